//! Owns the framed picture: the strip, a hatched frame below it, and inside that the page's pixels
//! with the samples they have; written as PNG row by row.

use std::io::{BufRead, Seek, Write};

use png::{BitDepth, ColorType};
use serde::Serialize;

use super::error::FrameError;
use super::source::{Encoding, Source};
use super::strip::{Caption, Strip};

/// Small pixels of the frame on each side, and of one of its stripes.
const BORDER: u32 = 6;
const STRIPE: u32 = 3;
/// Least width in small pixels: a page that is narrower stands at the left.
const NARROWEST: u32 = 360;
/// Most device pixels of a small one.
const MAX_SCALE: u32 = 8;

/// Where the page's pixels lie in a framed picture, in device pixels from its top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Inside {
    /// From the left.
    pub x: u32,
    /// From the top: what is above is the caption and its frame.
    pub y: u32,
    /// Width of the page's picture.
    pub width: u32,
    /// Height of the page's picture.
    pub height: u32,
}

/// Write `picture` framed, with `caption` above it, to `out`; `density` is how many device pixels a
/// pixel of the page has.
///
/// # Errors
/// See [`FrameError`]; then part of it may be written.
pub fn frame(
    picture: impl BufRead + Seek,
    encoding: Encoding,
    caption: &Caption,
    density: f64,
    max_pixels: u64,
    out: impl Write,
) -> Result<Inside, FrameError> {
    let mut source = Source::open(picture, encoding, max_pixels)?;
    let canvas = Canvas::around(&source, caption, density)?;
    let mut encoder = png::Encoder::new(out, canvas.width, canvas.height);
    encoder.set_color(source.color);
    encoder.set_depth(source.depth);
    // By measurement: docs/OPERATIONS.md. The finest takes ten times as long for a fifth less.
    encoder.set_deflate_compression(png::DeflateCompression::Level(1));
    encoder.set_filter(png::Filter::Adaptive);
    let mut writer = encoder.write_header().map_err(FrameError::Write)?;
    let mut stream = writer.stream_writer_with_size(1 << 16).map_err(FrameError::Write)?;
    let mut line = Vec::new();
    for y in 0..canvas.height {
        line.clear();
        let row = y.checked_sub(canvas.inside.y).filter(|row| *row < source.height);
        let (left, right) = match row {
            None => (canvas.width, canvas.width),
            Some(_) => (canvas.inside.x, canvas.inside.x + source.width),
        };
        canvas.draw(y, 0..left, (source.color, source.depth), &mut line);
        if row.is_some() {
            line.extend_from_slice(source.row()?);
        }
        canvas.draw(y, right..canvas.width, (source.color, source.depth), &mut line);
        stream.write_all(&line).map_err(|error| FrameError::Write(error.into()))?;
    }
    source.finish()?;
    stream.finish().map_err(FrameError::Write)?;
    writer.finish().map_err(FrameError::Write)?;
    Ok(canvas.inside)
}

/// Decode `picture` without keeping it: whether all of it is there, and sound.
///
/// # Errors
/// See [`FrameError`].
pub fn decoded(
    picture: impl BufRead + Seek,
    encoding: Encoding,
    max_pixels: u64,
) -> Result<(), FrameError> {
    let mut source = Source::open(picture, encoding, max_pixels)?;
    for _ in 0..source.height {
        source.row()?;
    }
    source.finish()
}

/// All that is around the page.
struct Canvas {
    strip: Strip,
    scale: u32,
    /// Height of the strip in device pixels.
    top: u32,
    width: u32,
    height: u32,
    inside: Inside,
}

impl Canvas {
    fn around<R: BufRead + Seek>(
        source: &Source<R>,
        caption: &Caption,
        density: f64,
    ) -> Result<Self, FrameError> {
        let (width, height) = (source.width, source.height);
        let scale = (1..MAX_SCALE).find(|scale| density < f64::from(*scale) + 0.5);
        let scale = scale.unwrap_or(MAX_SCALE);
        let border = BORDER * scale;
        let whole = (width + 2 * border).max(NARROWEST * scale);
        let strip = Strip::draw(caption, whole.div_ceil(scale) as usize);
        let too_large = || FrameError::TooLarge { width, height };
        let top = u32::try_from(strip.height).ok().and_then(|top| top.checked_mul(scale));
        let top = top.ok_or_else(too_large)?;
        let total = top.checked_add(height).and_then(|sum| sum.checked_add(2 * border));
        let inside = Inside { x: border, y: top + border, width, height };
        Ok(Self { strip, scale, top, width: whole, height: total.ok_or_else(too_large)?, inside })
    }

    /// Draw a part of the row `y` that is not the page's.
    fn draw(
        &self,
        y: u32,
        part: std::ops::Range<u32>,
        (color, depth): (ColorType, BitDepth),
        line: &mut Vec<u8>,
    ) {
        let bytes = if depth == BitDepth::Sixteen { 2 } else { 1 };
        let opaque = matches!(color, ColorType::GrayscaleAlpha | ColorType::Rgba);
        let colours = color.samples() - usize::from(opaque);
        let mut push = |grey: u8| {
            line.extend(std::iter::repeat_n(grey, colours * bytes));
            line.extend(std::iter::repeat_n(255, usize::from(opaque) * bytes));
        };
        if y < self.top {
            let row = self.strip.row(y as usize, self.scale as usize);
            let row = row.take(part.end as usize).skip(part.start as usize);
            row.for_each(push);
        } else {
            let stripe = STRIPE * self.scale;
            part.for_each(|x| push(if ((x + y) / stripe).is_multiple_of(2) { 0 } else { 255 }));
        }
    }
}
