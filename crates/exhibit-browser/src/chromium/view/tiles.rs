//! Owns the geometry of what is painted piece by piece: areas of a page in CSS pixels, and which of
//! them fit a window together. Pure.

use serde::{Deserialize, Serialize};

use crate::settings::Rect;

/// An area of a page, in CSS pixels from its upper left corner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 4]", into = "[f64; 4]")]
pub(in super::super) struct Area {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl From<[f64; 4]> for Area {
    fn from([x, y, width, height]: [f64; 4]) -> Self {
        Self { x, y, width, height }
    }
}

impl From<Area> for [f64; 4] {
    fn from(area: Area) -> Self {
        [area.x, area.y, area.width, area.height]
    }
}

impl From<Rect> for Area {
    fn from(rect: Rect) -> Self {
        Self { x: rect.x, y: rect.y, width: rect.width, height: rect.height }
    }
}

impl From<Area> for Rect {
    fn from(area: Area) -> Self {
        Self { x: area.x, y: area.y, width: area.width, height: area.height }
    }
}

impl Area {
    fn between(x: f64, y: f64, right: f64, bottom: f64) -> Self {
        Self { x, y, width: (right - x).max(0.0), height: (bottom - y).max(0.0) }
    }

    pub(super) fn right(self) -> f64 {
        self.x + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.y + self.height
    }

    /// Whether there is less than a pixel of it.
    pub(super) fn is_empty(self) -> bool {
        self.width < 1.0 || self.height < 1.0
    }

    /// What is in both.
    pub(super) fn and(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        Self::between(x, y, self.right().min(other.right()), self.bottom().min(other.bottom()))
    }

    /// The smallest area with both in it.
    pub(super) fn with(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self::between(x, y, self.right().max(other.right()), self.bottom().max(other.bottom()))
    }

    /// What of it is not in `other`: at most four areas that do not overlap.
    pub(super) fn without(self, other: Self) -> Vec<Self> {
        let hole = self.and(other);
        if hole.is_empty() {
            return vec![self];
        }
        let pieces = [
            Self::between(self.x, self.y, self.right(), hole.y),
            Self::between(self.x, hole.y, hole.x, hole.bottom()),
            Self::between(hole.right(), hole.y, self.right(), hole.bottom()),
            Self::between(self.x, hole.bottom(), self.right(), self.bottom()),
        ];
        pieces.into_iter().filter(|piece| !piece.is_empty()).collect()
    }

    /// The whole pixels that it touches.
    pub(super) fn outwards(self) -> Self {
        let (x, y) = (self.x.floor(), self.y.floor());
        Self::between(x, y, self.right().ceil(), self.bottom().ceil())
    }

    /// The whole pixels within it.
    pub(super) fn inwards(self) -> Self {
        let (x, y) = (self.x.ceil(), self.y.ceil());
        Self::between(x, y, self.right().floor(), self.bottom().floor())
    }

    /// Whether it differs from `other` by less than a pixel on each side.
    pub(super) fn is_at(self, other: Self) -> bool {
        let (one, other): ([f64; 4], [f64; 4]) = (self.into(), other.into());
        one.iter().zip(other).all(|(one, other)| (one - other).abs() <= 1.0)
    }

    /// It, in columns of at most this width.
    pub(super) fn columns(self, width: f64) -> Vec<Self> {
        let width = width.max(1.0);
        let mut columns = Vec::new();
        let mut x = self.x;
        while x < self.right() {
            let right = self.right().min(x + width);
            columns.push(Self::between(x, self.y, right, self.bottom()));
            x = right;
        }
        columns
    }
}

/// A part of a page that is to be painted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Piece {
    /// The thing it is a part of.
    pub(super) id: u64,
    pub(super) area: Area,
}

/// Pieces that are brought into the window together.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// All of it.
    pub(super) area: Area,
    pub(super) pieces: Vec<Piece>,
}

impl Group {
    /// The things that it has parts of.
    pub(super) fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.pieces.iter().map(|piece| piece.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }
}

/// `pieces` from the top down, those together that fit a window of this height.
pub(super) fn groups(mut pieces: Vec<Piece>, height: f64) -> Vec<Group> {
    pieces.sort_by(|one, other| one.area.y.total_cmp(&other.area.y));
    let mut groups: Vec<Group> = Vec::new();
    for piece in pieces {
        match groups.last_mut() {
            Some(group) if group.area.with(piece.area).height <= height => {
                group.area = group.area.with(piece.area);
                group.pieces.push(piece);
            }
            _ => groups.push(Group { area: piece.area, pieces: vec![piece] }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: f64, y: f64, width: f64, height: f64) -> Area {
        Area { x, y, width, height }
    }

    #[test]
    fn what_the_window_shows_is_taken_out_of_an_area() {
        let window = area(0.0, 0.0, 1280.0, 720.0);
        let below = area(0.0, 900.0, 300.0, 150.0);
        assert_eq!(below.without(window), [below]);
        assert_eq!(area(10.0, 10.0, 50.0, 50.0).without(window), []);
        let across = area(100.0, 600.0, 300.0, 200.0);
        assert_eq!(across.without(window), [area(100.0, 720.0, 300.0, 80.0)]);
        let around = area(-10.0, -10.0, 1300.0, 740.0).without(window);
        let left: f64 = around.iter().map(|piece| piece.width * piece.height).sum();
        assert!((left - (1300.0 * 740.0 - 1280.0 * 720.0)).abs() < 0.1, "{around:?}");
    }

    #[test]
    fn pieces_are_brought_together_as_far_as_a_window_holds_them() {
        let piece = |id, y, height| Piece { id, area: area(0.0, y, 100.0, height) };
        let pieces =
            vec![piece(3, 2_000.0, 3_000.0), piece(1, 100.0, 200.0), piece(2, 400.0, 300.0)];
        let groups = groups(pieces, 720.0);
        let ids: Vec<_> = groups.iter().map(Group::ids).collect();
        assert_eq!(ids, [vec![1, 2], vec![3]]);
        assert_eq!(groups[0].area, area(0.0, 100.0, 100.0, 600.0));
        assert_eq!(area(5.0, 0.0, 25.0, 9.0).columns(10.0).len(), 3);
    }

    #[test]
    fn areas_are_cut_to_whole_pixels() {
        let odd = area(0.4, 10.6, 20.0, 5.0);
        assert_eq!(odd.outwards(), area(0.0, 10.0, 21.0, 6.0));
        assert_eq!(odd.inwards(), area(1.0, 11.0, 19.0, 4.0));
        assert!(odd.is_at(area(0.0, 10.0, 20.5, 5.0)) && !odd.is_at(area(0.0, 13.0, 20.0, 5.0)));
    }
}
