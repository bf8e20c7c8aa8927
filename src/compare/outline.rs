//! Owns the outlines around what changed: neighbouring regions become few boxes, and the boxes are
//! drawn so that they are seen on any ground. An outline moves outward to where it covers nothing.

use super::{Bitmap, Pixel, Region};

/// Pixels that a box keeps from what it surrounds, and that two boxes may be apart to become one.
const MARGIN: u32 = 10;
/// Most boxes.
const MOST: usize = 20;
/// The outline from its outer edge to its inner one: a strong colour between two light lines, which
/// on light ground shows as it is, and on dark ground or its own colour by its edges.
const OUTLINE: [Pixel; 5] = [LIGHT, STRONG, STRONG, STRONG, LIGHT];
/// How far an outline moves outward to find a place where it covers nothing.
const REACH: u32 = 96;
/// How unlike two neighbouring pixels are, summed over their channels, when one of them is of
/// something drawn: a letter, a line, the edge of a button.
const DRAWN: u32 = 48;
const LIGHT: Pixel = [255, 255, 255, 255];
const STRONG: Pixel = [209, 0, 108, 255];

/// A rectangle, its right and lower edges not included.
#[derive(Clone, Copy)]
struct Area {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
    changed: u64,
}

impl Area {
    fn around(region: &Region) -> Self {
        Self {
            left: region.x.saturating_sub(MARGIN),
            top: region.y.saturating_sub(MARGIN),
            right: region.x.saturating_add(region.width).saturating_add(MARGIN),
            bottom: region.y.saturating_add(region.height).saturating_add(MARGIN),
            changed: region.changed_pixels,
        }
    }

    fn with(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
            changed: self.changed.saturating_add(other.changed),
        }
    }

    fn touches(self, other: Self) -> bool {
        self.left <= other.right
            && other.left <= self.right
            && self.top <= other.bottom
            && other.top <= self.bottom
    }

    fn area(self) -> u64 {
        u64::from(self.right - self.left) * u64::from(self.bottom - self.top)
    }

    /// The part of it that lies in a picture of so many pixels; none when nothing does.
    fn within(self, width: u32, height: u32) -> Option<Region> {
        let (right, bottom) = (self.right.min(width), self.bottom.min(height));
        (self.left < right && self.top < bottom).then(|| Region {
            x: self.left,
            y: self.top,
            width: right - self.left,
            height: bottom - self.top,
            changed_pixels: self.changed,
        })
    }
}

/// Few boxes around all of `regions`, with a margin, as far as they lie in a picture of the size
/// given; from the top to the bottom, then from left to right.
pub fn boxes(regions: &[Region], width: u32, height: u32) -> Vec<Region> {
    let mut boxes: Vec<Area> = Vec::new();
    for region in regions {
        let mut grown = Area::around(region);
        // What it touches becomes part of it, and what that touches.
        while let Some(place) = boxes.iter().position(|other| grown.touches(*other)) {
            grown = grown.with(boxes.swap_remove(place));
        }
        boxes.push(grown);
        if boxes.len() > MOST {
            merge_nearest(&mut boxes);
        }
    }
    let mut boxes: Vec<Region> =
        boxes.into_iter().filter_map(|one| one.within(width, height)).collect();
    boxes.sort_by_key(|one| (one.y, one.x));
    boxes
}

/// Make one of the two boxes that together cover the least beyond themselves, and of whatever that
/// one touches.
fn merge_nearest(boxes: &mut Vec<Area>) {
    let mut best = (u64::MAX, 0, 1);
    for one in 0..boxes.len() {
        for other in one + 1..boxes.len() {
            let (a, b) = (boxes[one], boxes[other]);
            let more = a.with(b).area().saturating_sub(a.area() + b.area());
            best = best.min((more, one, other));
        }
    }
    let (_, one, other) = best;
    let second = boxes.swap_remove(other);
    let mut grown = boxes.swap_remove(one).with(second);
    while let Some(place) = boxes.iter().position(|other| grown.touches(*other)) {
        grown = grown.with(boxes.swap_remove(place));
    }
    boxes.push(grown);
}

/// Where an outline runs: its outer edges, the right and the lower one not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

/// A side of a [`Frame`].
#[derive(Clone, Copy)]
enum Side {
    Left,
    Top,
    Right,
    Bottom,
}

impl Frame {
    fn of(region: &Region, picture: &Bitmap) -> Self {
        Self {
            left: region.x,
            top: region.y,
            right: region.x.saturating_add(region.width).min(picture.width()),
            bottom: region.y.saturating_add(region.height).min(picture.height()),
        }
    }

    /// This frame, each side moved outward to the nearest place where it covers least. It does not
    /// move into another frame.
    fn clear_of(mut self, picture: &Bitmap, others: &[Self]) -> Self {
        if self.left >= self.right || self.top >= self.bottom {
            return self;
        }
        for side in [Side::Top, Side::Bottom, Side::Left, Side::Right] {
            let mut best = (self.covers(picture, side), self);
            for step in 1..=REACH {
                let Some(moved) = self.moved(side, step, picture) else { break };
                if best.0 == 0 || others.iter().any(|other| moved.meets(*other)) {
                    break;
                }
                let covers = moved.covers(picture, side);
                if covers < best.0 {
                    best = (covers, moved);
                }
            }
            self = best.1;
        }
        self
    }

    /// This frame with one side further out; none where the picture ends.
    fn moved(mut self, side: Side, step: u32, picture: &Bitmap) -> Option<Self> {
        match side {
            Side::Left => self.left = self.left.checked_sub(step)?,
            Side::Top => self.top = self.top.checked_sub(step)?,
            Side::Right => self.right = self.right.checked_add(step)?,
            Side::Bottom => self.bottom = self.bottom.checked_add(step)?,
        }
        (self.right <= picture.width() && self.bottom <= picture.height()).then_some(self)
    }

    fn meets(self, other: Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }

    /// How many pixels of something drawn one side of the outline would cover.
    fn covers(self, picture: &Bitmap, side: Side) -> usize {
        let wide = u32::try_from(OUTLINE.len()).unwrap_or(u32::MAX);
        let (rows, columns) = match side {
            Side::Left => (self.top..self.bottom, self.left..(self.left + wide).min(self.right)),
            Side::Right => {
                (self.top..self.bottom, self.right.saturating_sub(wide).max(self.left)..self.right)
            }
            Side::Top => (self.top..(self.top + wide).min(self.bottom), self.left..self.right),
            Side::Bottom => {
                (self.bottom.saturating_sub(wide).max(self.top)..self.bottom, self.left..self.right)
            }
        };
        let at =
            |x: u32, y: u32| picture.pixels()[y as usize * picture.width() as usize + x as usize];
        let unlike = |one: Pixel, other: Pixel| {
            let apart = one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(other)));
            apart.sum::<u32>() > DRAWN
        };
        let drawn = |x: u32, y: u32| {
            let pixel = at(x, y);
            (x > columns.start && unlike(at(x - 1, y), pixel))
                || (y > rows.start && unlike(at(x, y - 1), pixel))
        };
        rows.clone().map(|y| columns.clone().filter(|x| drawn(*x, y)).count()).sum()
    }
}

impl Bitmap {
    /// Draw an outline around each of `boxes`: along its inner edge, or further out where that edge
    /// would cover something drawn. What lies outside of the picture is not drawn.
    pub fn outline(&mut self, boxes: &[Region]) {
        let frames: Vec<Frame> = boxes.iter().map(|one| Frame::of(one, self)).collect();
        let roomy: Vec<Frame> = (0..frames.len())
            .map(|place| {
                let others = frames.iter().enumerate().filter(|(other, _)| *other != place);
                let others: Vec<Frame> = others.map(|(_, frame)| *frame).collect();
                frames[place].clear_of(self, &others)
            })
            .collect();
        for Frame { mut left, mut top, mut right, mut bottom } in roomy {
            for colour in OUTLINE {
                if left >= right || top >= bottom {
                    break;
                }
                for x in left..right {
                    self.set((x, top), colour);
                    self.set((x, bottom - 1), colour);
                }
                for y in top..bottom {
                    self.set((left, y), colour);
                    self.set((right - 1, y), colour);
                }
                (left, top) = (left + 1, top + 1);
                (right, bottom) = (right - 1, bottom - 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn region(x: u32, y: u32, width: u32, height: u32) -> Region {
        Region { x, y, width, height, changed_pixels: 1 }
    }

    #[test]
    fn neighbours_become_one_box_with_a_margin_and_those_apart_do_not() {
        let found = boxes(&[region(20, 20, 10, 10), region(40, 20, 10, 10)], 200, 100);
        let expected = Region { changed_pixels: 2, ..region(10, 10, 50, 30) };
        assert_eq!(found, [expected]);
        let found = boxes(&[region(100, 20, 10, 10), region(0, 20, 10, 10)], 105, 100);
        assert_eq!(found, [region(0, 10, 20, 30), region(90, 10, 15, 30)]);
        assert_eq!(boxes(&[region(0, 500, 10, 10)], 100, 100), []);
    }

    #[test]
    fn an_outline_is_seen_on_any_ground_and_leaves_what_is_inside() {
        for ground in [LIGHT, STRONG, [0, 0, 0, 255]] {
            let mut picture = Bitmap::of_pixels(40, 30, vec![ground; 1200]);
            picture.outline(&[region(5, 5, 30, 20), region(30, 20, 100, 100)]);
            let at = |x: usize, y: usize| picture.pixels()[y * 40 + x];
            assert_eq!((at(4, 10), at(10, 10)), (ground, ground));
            assert_eq!(
                [at(5, 10), at(6, 10), at(8, 10), at(9, 10)],
                [LIGHT, STRONG, STRONG, LIGHT]
            );
            let seen = (0..40).filter(|x| at(*x, 10) != ground).count();
            assert!(seen >= 4, "{ground:?}");
        }
    }

    /// A white picture with black bars, each of them three pixels wide and high.
    fn with_bars(bars: &[(u32, u32)]) -> Bitmap {
        let is_bar = |x: u32, y: u32| {
            bars.iter()
                .any(|(left, top)| (*left..left + 3).contains(&x) && (*top..top + 3).contains(&y))
        };
        let colour = |x, y| if is_bar(x, y) { [0, 0, 0, 255] } else { LIGHT };
        let pixels = (0..100).flat_map(|y| (0..200).map(move |x| (x, y)));
        Bitmap::of_pixels(200, 100, pixels.map(|(x, y)| colour(x, y)).collect())
    }

    #[test]
    fn an_outline_moves_out_of_the_way_of_what_is_drawn_beside_the_change() {
        // Bars left of, above and right of the box, where its edge would run.
        let bars = [(81, 50), (74, 50), (100, 41), (117, 52), (100, 57)];
        let mut picture = with_bars(&bars);
        picture.outline(&[region(80, 40, 40, 20)]);
        let at = |x: u32, y: u32| picture.pixels()[(y * 200 + x) as usize];
        for (left, top) in bars {
            for (x, y) in (0..3).flat_map(|x| (0..3).map(move |y| (left + x, top + y))) {
                assert_eq!(at(x, y), [0, 0, 0, 255], "{x} {y} is covered");
            }
        }
        assert!(picture.pixels().contains(&STRONG), "and it is drawn");
    }

    #[test]
    fn an_outline_does_not_move_into_another() {
        let picture = with_bars(&[(81, 50)]);
        let (one, other) = (region(80, 40, 40, 20), region(50, 40, 29, 20));
        let other = Frame::of(&other, &picture);
        let moved = Frame::of(&one, &picture).clear_of(&picture, &[other]);
        assert!(!moved.meets(other) && moved.left >= 79, "{moved:?}");
    }

    proptest! {
        #[test]
        fn every_change_lies_in_one_of_few_boxes(
            regions in prop::collection::vec((0_u32..500, 0_u32..500, 1_u32..60, 1_u32..60), 0..100),
        ) {
            let regions: Vec<Region> = regions.into_iter().map(|(x, y, w, h)| region(x, y, w, h)).collect();
            let boxes = boxes(&regions, 600, 600);
            prop_assert!(boxes.len() <= MOST);
            for one in &regions {
                let holds = |other: &Region| {
                    other.x <= one.x && other.y <= one.y
                        && one.x + one.width <= other.x + other.width
                        && one.y + one.height <= other.y + other.height
                };
                prop_assert_eq!(boxes.iter().filter(|other| holds(other)).count(), 1);
            }
            let mut picture = Bitmap::of_pixels(50, 50, vec![LIGHT; 2500]);
            picture.outline(&boxes);
            picture.outline(&regions);
        }
    }
}
