//! Owns the tiles of c2sp.org/tlog-tiles: which hashes and which entries lie in which file, what the
//! files are called, and the form of a bundle of entries.

use std::fmt;

use crate::digest::Digest;

/// Hashes, or entries, in a full tile.
pub const WIDTH: u64 = 256;
/// Levels of the tree that one tile covers.
pub const HEIGHT: u32 = 8;
/// Longest entry, in bytes: its length is written in two.
pub const MAX_ENTRY: usize = 0xffff;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Hashes of the tree's level `HEIGHT * n`.
    Hashes(u32),
    /// The entries themselves.
    Entries,
}

/// A tile, full or partial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// What it holds.
    pub kind: TileKind,
    /// Which of its kind, from 0.
    pub index: u64,
    /// How many it holds, 1 to [`WIDTH`].
    pub width: u64,
}

impl Tile {
    /// The tile of `kind` with the number `index` in a tree of `size` entries; none when the tree
    /// does not reach it.
    pub fn of(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let held = match kind {
            TileKind::Entries => size,
            TileKind::Hashes(level) => size.checked_shr(HEIGHT * level).unwrap_or(0),
        };
        let width = held.saturating_sub(index.checked_mul(WIDTH)?).min(WIDTH);
        (width > 0).then_some(Self { kind, index, width })
    }

    /// All tiles of a tree of `size` entries, the entries first, then the hashes from below.
    pub fn all(size: u64) -> impl Iterator<Item = Self> {
        let levels = (0..u64::BITS / HEIGHT).map(TileKind::Hashes);
        std::iter::once(TileKind::Entries)
            .chain(levels)
            .flat_map(move |kind| (0..).map_while(move |index| Self::of(kind, index, size)))
    }

    /// Whether it is full.
    pub fn is_full(self) -> bool {
        self.width == WIDTH
    }

    /// Whether a tree of `size` entries has less than this tile holds.
    pub fn is_beyond(self, size: u64) -> bool {
        let there = Self::of(self.kind, self.index, size).map_or(0, |tile| tile.width);
        self.width > there
    }

    /// The same tile when it is full.
    #[must_use]
    pub fn full(self) -> Self {
        Self { width: WIDTH, ..self }
    }

    /// The tile with this path.
    pub fn parse(path: &str) -> Option<Self> {
        let (kind, rest) = path.strip_prefix("tile/")?.split_once('/')?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes(level.parse().ok().filter(|level| *level < 8)?),
        };
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok().filter(|w| *w < WIDTH)?),
            None => (rest, WIDTH),
        };
        let mut index = 0_u64;
        for group in number.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            let digits: u64 = Some(digits).filter(|digits| digits.len() == 3)?.parse().ok()?;
            index = index.checked_mul(1000)?.checked_add(digits)?;
        }
        let tile = Self { kind, index, width };
        // One path a tile: whatever is spelled otherwise is none.
        (width > 0 && tile.to_string() == path).then_some(tile)
    }
}

/// The path below the log's folder: `tile/0/x001/234`, `tile/entries/000.p/7`.
impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes(level) => write!(f, "tile/{level}/{}", grouped(self.index))?,
            TileKind::Entries => write!(f, "tile/entries/{}", grouped(self.index))?,
        }
        if self.is_full() { Ok(()) } else { write!(f, ".p/{}", self.width) }
    }
}

/// A number in groups of three digits, all but the last marked: `x001/x234/067`. No folder then
/// holds more than a thousand names.
pub fn grouped(number: u64) -> String {
    let mut text = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        text = format!("x{:03}/{text}", rest % 1000);
        rest /= 1000;
    }
    text
}

/// The number that [`grouped`] writes so; none for any other text.
pub fn ungrouped(text: &str) -> Option<u64> {
    let digits: String = text.split('/').map(|group| group.trim_start_matches('x')).collect();
    let number = digits.parse().ok()?;
    (grouped(number) == text).then_some(number)
}

/// Add an entry to a bundle: its length in two bytes, most significant first, and its bytes.
///
/// # Panics
/// When the entry is longer than [`MAX_ENTRY`].
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    let length = u16::try_from(entry.len()).expect("an entry is not longer than MAX_ENTRY");
    bundle.extend(length.to_be_bytes());
    bundle.extend(entry);
}

/// The entries of a bundle; none when it is cut short.
pub fn entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (length, rest) = bundle.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        bundle = rest;
    }
    Some(entries)
}

/// The hashes of a tile; none when its length is not that of whole hashes.
pub fn hashes(bytes: &[u8]) -> Option<Vec<Digest>> {
    let (hashes, []) = bytes.as_chunks::<32>() else { return None };
    Some(hashes.iter().copied().map(Digest::from_bytes).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let tile = |kind, index, width| Tile { kind, index, width }.to_string();
        assert_eq!(tile(TileKind::Hashes(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile(TileKind::Hashes(1), 0, 1), "tile/1/000.p/1");
        assert_eq!(tile(TileKind::Entries, 273, 112), "tile/entries/273.p/112");
        for bad in [
            "tile/0/x001/x234/67",
            "tile/0/001/x234/067",
            "tile/0/x000/001",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/07",
            "tile/8/000",
            "tile/00/000",
            "tile/entries/../../checkpoint",
            "tile/0/",
            "checkpoint",
        ] {
            assert_eq!(Tile::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_tree_has_the_tiles_of_the_specifications_example() {
        // A tree of 70,000 entries: 273 full tiles and one of 112 on level 0, 1 full and one of 17
        // on level 1, one of 1 on level 2, and the bundles of entries as on level 0.
        let tiles: Vec<Tile> = Tile::all(70_000).collect();
        assert_eq!(tiles.len(), 274 + 274 + 2 + 1);
        let partial: Vec<String> =
            tiles.iter().filter(|tile| !tile.is_full()).map(Tile::to_string).collect();
        assert_eq!(
            partial,
            ["tile/entries/273.p/112", "tile/0/273.p/112", "tile/1/001.p/17", "tile/2/000.p/1"]
        );
        assert_eq!(Tile::all(0).count(), 0);
    }

    proptest! {
        #[test]
        fn every_tile_has_one_path(level in 0_u32..8, index: u64, width in 1..=WIDTH, text in "(tile/[0-9e.px/]{0,20})") {
            for kind in [TileKind::Hashes(level), TileKind::Entries] {
                let tile = Tile { kind, index, width };
                prop_assert_eq!(Tile::parse(&tile.to_string()), Some(tile));
            }
            if let Some(tile) = Tile::parse(&text) {
                prop_assert_eq!(tile.to_string(), text);
            }
        }

        #[test]
        fn a_bundle_gives_back_its_entries(given: Vec<Vec<u8>>, cut: usize) {
            let mut bundle = Vec::new();
            for entry in &given {
                push_entry(&mut bundle, entry);
            }
            prop_assert_eq!(entries(&bundle).expect("whole"), given);
            // Cut anywhere, it is told or holds whole entries: never a panic.
            let _ = entries(&bundle[..cut % (bundle.len() + 1)]);
        }
    }
}
