//! Owns the comparison of two pictures, pixel by pixel, with the semantics of pixelmatch.
//!
//! Two colours differ by their distance in the YIQ space, as Kotsarenko and Ramos measure it
//! ("Measuring perceived color difference using YIQ NTSC transmission color space in mobile
//! applications", 2010).
//! A pixel whose difference is only that a line was smoothed differently is recognised the way
//! Vyšniauskas describes ("Anti-aliased Pixel and Intensity Slope Detector", 2009) and does not
//! count as changed.
//! The constants and the order of the arithmetic are those of npm `pixelmatch` 5.3 with
//! `includeAA: false`, so that the counts can be checked with that tool.

mod bitmap;
mod outline;

use std::cmp::Reverse;

use serde::Serialize;

pub use bitmap::{Bitmap, CompareError};
pub use outline::boxes;

/// The largest distance two colours can have in the YIQ space, squared.
const FARTHEST: f64 = 35_215.0;
/// How much of an unchanged pixel is left in the picture of the differences.
const FADED: f64 = 0.1;
/// With so many neighbours of its own colour a pixel belongs to a surface, not to a slope.
const SURFACE: usize = 3;
/// The steps to the neighbours of a pixel, column by column; among equals the first decides.
const AROUND: [(i32, i32); 8] =
    [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)];
/// The side of the square cells in which changed pixels are gathered to regions.
const CELL: u32 = 16;
/// How many regions a comparison names at most.
pub const MOST_REGIONS: usize = 100;

const WHITE: Pixel = [255, 255, 255, 255];
const YELLOW: Pixel = [255, 255, 0, 255];
const RED: Pixel = [255, 0, 0, 255];

type Pixel = [u8; 4];
type Point = (u32, u32);

/// A rectangle in which pixels changed, drawn as tightly as they allow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Region {
    /// Its left edge.
    pub x: u32,
    /// Its upper edge.
    pub y: u32,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// How many pixels in it changed.
    pub changed_pixels: u64,
}

/// What two pictures have not in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// How many pixels changed.
    pub changed_pixels: u64,
    /// How many pixels the rectangle has that holds both pictures.
    pub total_pixels: u64,
    /// How many pixels differ only in how an edge was smoothed; they are not among the changed.
    pub anti_aliased_pixels: u64,
    /// Where pixels changed, from the top to the bottom and then from left to right.
    /// When there are more than a hundred places, those with the most changed pixels.
    pub regions: Vec<Region>,
    /// The first picture faded to grey, with changed pixels in red and smoothed ones in yellow.
    pub image: Bitmap,
}

impl Comparison {
    /// The changed pixels in percent of all, rounded to four decimals.
    #[expect(clippy::cast_precision_loss, reason = "no picture has 2^53 pixels")]
    pub fn changed_percent(&self) -> f64 {
        let percent = self.changed_pixels as f64 * 100.0 / self.total_pixels as f64;
        (percent * 10_000.0).round() / 10_000.0
    }
}

/// How many pixels the rectangle has that holds both pictures, and so their comparison.
///
/// It can be far more than both have together: one may be wide and the other high.
pub fn union_pixels(before: &Bitmap, after: &Bitmap) -> u64 {
    u64::from(before.width().max(after.width())) * u64::from(before.height().max(after.height()))
}

/// Compares two pictures, after it made sure that the comparison has at most `max_pixels`.
///
/// # Errors
/// When the rectangle that holds both pictures is larger.
pub fn compare_within(
    before: &Bitmap,
    after: &Bitmap,
    threshold: f64,
    max_pixels: u64,
) -> Result<Comparison, CompareError> {
    if union_pixels(before, after) > max_pixels {
        let (width, height) =
            (before.width().max(after.width()), before.height().max(after.height()));
        return Err(CompareError::TooLarge { width, height, max_pixels });
    }
    Ok(compare(before, after, threshold))
}

/// Compares two pictures; a `threshold` of 0 finds every difference, one of 1 none but the largest.
/// A threshold outside of that counts as the nearer end, and what is no number as 0.
///
/// Pictures of different size are laid on each other at their upper left corner.
/// A pixel that only one of them has is changed; one that neither has is not, and is drawn white.
/// Their common part is compared as if both ended there.
///
/// # Panics
/// When there is no memory for the rectangle that holds both pictures;
/// use [`compare_within`] for pictures that were not chosen by you.
pub fn compare(before: &Bitmap, after: &Bitmap, threshold: f64) -> Comparison {
    let threshold = if threshold.is_nan() { 0.0 } else { threshold.clamp(0.0, 1.0) };
    let tolerated = FARTHEST * threshold * threshold;
    let (old, new) = (View::common(before, after), View::common(after, before));
    let mut sheet =
        Sheet::new(before.width().max(after.width()), before.height().max(after.height()));
    for y in 0..old.height {
        for x in 0..old.width {
            sheet.record((x, y), judge(&old, &new, (x, y), tolerated));
        }
    }
    for only in [before, after] {
        for y in 0..only.height() {
            let start = if y < old.height { old.width } else { 0 };
            (start..only.width()).for_each(|x| sheet.record((x, y), Verdict::Changed));
        }
    }
    sheet.finish()
}

/// What became of one pixel.
#[derive(Clone, Copy)]
enum Verdict {
    /// It is as it was, or nearly so; this is its first colour.
    Alike(Pixel),
    Smoothed,
    Changed,
}

fn judge(old: &View, new: &View, at: Point, tolerated: f64) -> Verdict {
    let (was, is) = (old.at(at), new.at(at));
    if was == is || distance(was, is) <= tolerated {
        Verdict::Alike(was)
    } else if old.is_smoothed(at, new) || new.is_smoothed(at, old) {
        Verdict::Smoothed
    } else {
        Verdict::Changed
    }
}

/// A channel as it looks on white paper; `cover` says how much of the paper it hides.
fn on_white(channel: f64, cover: f64) -> f64 {
    255.0 + (channel - 255.0) * cover
}

fn flatten([red, green, blue, alpha]: Pixel) -> [f64; 3] {
    let channels = [red, green, blue].map(f64::from);
    if alpha == 255 {
        return channels;
    }
    let cover = f64::from(alpha) / 255.0;
    channels.map(|channel| on_white(channel, cover))
}

/// Y of the YIQ space: how bright a colour looks.
fn brightness([red, green, blue]: [f64; 3]) -> f64 {
    red * 0.298_895_31 + green * 0.586_622_47 + blue * 0.114_482_23
}

/// I of the YIQ space: from blue to orange.
fn in_phase([red, green, blue]: [f64; 3]) -> f64 {
    red * 0.595_977_99 - green * 0.274_176_10 - blue * 0.321_801_89
}

/// Q of the YIQ space: from green to purple.
fn quadrature([red, green, blue]: [f64; 3]) -> f64 {
    red * 0.211_470_17 - green * 0.522_617_11 + blue * 0.311_146_94
}

/// The squared distance of two colours, weighted as the eye does.
fn distance(one: Pixel, other: Pixel) -> f64 {
    let (one, other) = (flatten(one), flatten(other));
    let y = brightness(one) - brightness(other);
    let i = in_phase(one) - in_phase(other);
    let q = quadrature(one) - quadrature(other);
    0.5053 * y * y + 0.299 * i * i + 0.1957 * q * q
}

/// The part of a picture that the other has too.
struct View<'a> {
    pixels: &'a [Pixel],
    stride: u32,
    width: u32,
    height: u32,
}

impl<'a> View<'a> {
    fn common(of: &'a Bitmap, with: &Bitmap) -> Self {
        let width = of.width().min(with.width());
        let height = of.height().min(with.height());
        Self { pixels: of.pixels(), stride: of.width(), width, height }
    }

    fn at(&self, (x, y): Point) -> Pixel {
        self.pixels[y as usize * self.stride as usize + x as usize]
    }

    /// The neighbours of a pixel; a step over the upper or left border wraps round and is no place.
    fn around(&self, (x, y): Point) -> impl Iterator<Item = Point> {
        AROUND.iter().filter_map(move |&(across, down)| {
            let (x, y) = (x.wrapping_add_signed(across), y.wrapping_add_signed(down));
            (x < self.width && y < self.height).then_some((x, y))
        })
    }

    /// What lies beyond the border counts as one more neighbour of the pixel's own colour.
    fn beyond(&self, (x, y): Point) -> usize {
        let border = x == 0 || y == 0 || x + 1 == self.width || y + 1 == self.height;
        usize::from(border)
    }

    /// Whether a pixel belongs to a surface of one colour.
    fn is_surface(&self, at: Point) -> bool {
        let own = self.at(at);
        let equal = self.around(at).filter(|&neighbour| self.at(neighbour) == own);
        equal.count() + self.beyond(at) >= SURFACE
    }

    /// The brightest and the darkest neighbour of a pixel that lies between both in brightness.
    /// There are none when it belongs to a surface, or nothing near is brighter, or darker.
    fn slope(&self, at: Point) -> Option<(Point, Point)> {
        let own = brightness(flatten(self.at(at)));
        let mut equal = self.beyond(at);
        let (mut brightest, mut darkest) = ((0.0, at), (0.0, at));
        for neighbour in self.around(at) {
            let drop = own - brightness(flatten(self.at(neighbour)));
            if drop == 0.0 {
                equal += 1;
                if equal >= SURFACE {
                    return None;
                }
            }
            brightest = if drop < brightest.0 { (drop, neighbour) } else { brightest };
            darkest = if drop > darkest.0 { (drop, neighbour) } else { darkest };
        }
        (brightest.1 != at && darkest.1 != at).then_some((brightest.1, darkest.1))
    }

    /// Whether a pixel smooths an edge: it lies on a slope, and one end of the slope is a surface
    /// in both pictures.
    fn is_smoothed(&self, at: Point, other: &Self) -> bool {
        let stands = |end: Point| self.is_surface(end) && other.is_surface(end);
        self.slope(at).is_some_and(|(brightest, darkest)| stands(brightest) || stands(darkest))
    }
}

/// The changed pixels of one cell of the grid.
#[derive(Clone, Copy, Default)]
struct Cell {
    changed: u64,
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl Cell {
    /// Takes over what another cell holds.
    fn absorb(&mut self, other: Self) {
        if self.changed == 0 {
            *self = other;
            return;
        }
        self.changed += other.changed;
        self.left = self.left.min(other.left);
        self.top = self.top.min(other.top);
        self.right = self.right.max(other.right);
        self.bottom = self.bottom.max(other.bottom);
    }

    fn region(self) -> Region {
        Region {
            x: self.left,
            y: self.top,
            width: self.right - self.left + 1,
            height: self.bottom - self.top + 1,
            changed_pixels: self.changed,
        }
    }
}

/// Where the verdicts are written down.
struct Sheet {
    width: u32,
    height: u32,
    image: Vec<Pixel>,
    changed: u64,
    smoothed: u64,
    cells: Vec<Cell>,
    columns: u32,
}

impl Sheet {
    fn new(width: u32, height: u32) -> Self {
        let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
        Self {
            width,
            height,
            image: vec![WHITE; width as usize * height as usize],
            changed: 0,
            smoothed: 0,
            cells: vec![Cell::default(); columns as usize * rows as usize],
            columns,
        }
    }

    fn cell(&self, (column, row): Point) -> usize {
        row as usize * self.columns as usize + column as usize
    }

    fn record(&mut self, at: Point, verdict: Verdict) {
        let (x, y) = at;
        let colour = match verdict {
            Verdict::Alike(pixel) => faded(pixel),
            Verdict::Smoothed => {
                self.smoothed += 1;
                YELLOW
            }
            Verdict::Changed => {
                self.changed += 1;
                let cell = self.cell((x / CELL, y / CELL));
                self.cells[cell].absorb(Cell { changed: 1, left: x, top: y, right: x, bottom: y });
                RED
            }
        };
        self.image[y as usize * self.width as usize + x as usize] = colour;
    }

    fn finish(mut self) -> Comparison {
        Comparison {
            changed_pixels: self.changed,
            total_pixels: u64::from(self.width) * u64::from(self.height),
            anti_aliased_pixels: self.smoothed,
            regions: self.regions(),
            image: Bitmap::of_pixels(self.width, self.height, self.image),
        }
    }

    /// Empties the cells into regions.
    fn regions(&mut self) -> Vec<Region> {
        let rows = self.height.div_ceil(CELL);
        let mut found = Vec::new();
        for row in 0..rows {
            for column in 0..self.columns {
                let grown = self.grow((column, row));
                found.extend((grown.changed > 0).then(|| grown.region()));
            }
        }
        if found.len() > MOST_REGIONS {
            found.sort_by_key(|region| (Reverse(region.changed_pixels), region.y, region.x));
            found.truncate(MOST_REGIONS);
        }
        found.sort_by_key(|region| (region.y, region.x));
        found
    }

    /// Takes a cell and every cell that hangs together with it, corners included.
    fn grow(&mut self, start: Point) -> Cell {
        let mut whole = Cell::default();
        let mut waiting = vec![start];
        while let Some((column, row)) = waiting.pop() {
            let index = self.cell((column, row));
            let cell = std::mem::take(&mut self.cells[index]);
            if cell.changed == 0 {
                continue;
            }
            whole.absorb(cell);
            for row in row.saturating_sub(1)..=(row + 1).min(self.height.div_ceil(CELL) - 1) {
                let columns = column.saturating_sub(1)..=(column + 1).min(self.columns - 1);
                waiting.extend(columns.map(|column| (column, row)));
            }
        }
        whole
    }
}

/// An unchanged pixel in the picture of the differences: grey, and nearly white.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "from 0 to 255, and the fraction is dropped as pixelmatch drops it"
)]
fn faded(pixel: Pixel) -> Pixel {
    let [red, green, blue, alpha] = pixel.map(f64::from);
    let grey = on_white(brightness([red, green, blue]), FADED * alpha / 255.0) as u8;
    [grey, grey, grey, 255]
}

#[cfg(test)]
mod tests;
