//! The right edge of a tree that grows: as much of it as is needed to compute its root, and that of
//! every tree that continues it (the compact range of RFC 6962 §2.1's left-to-right tree, kept in tiles
//! of 256 hashes as c2sp.org/tlog-tiles 0.1.0 lays them out).

use crate::digest::Digest;
use crate::tile::WIDTH;
use crate::tree::{empty_root, root_over};

/// The hashes of the last, partial tile of each level of a tree.
///
/// Whoever holds the frontier of a tree that was verified knows, from the new entries alone, whether a
/// larger tree continues it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    /// From the leaves up.
    levels: Vec<Part>,
}

/// A tile that is not full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Part {
    index: u64,
    hashes: Vec<Digest>,
}

impl Frontier {
    /// Append a leaf, given its hash. `full` is told of each tile that this completes: its level, its
    /// index and its hashes.
    pub fn push(&mut self, leaf: Digest, mut full: impl FnMut(u32, u64, &[Digest])) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Part::default());
            }
            let part = &mut self.levels[level];
            part.hashes.push(hash);
            if (part.hashes.len() as u64) < WIDTH {
                return;
            }
            full(u32::try_from(level).expect("a tree has few levels"), part.index, &part.hashes);
            hash = root_over(&part.hashes).expect("a full tile has a root");
            part.index += 1;
            part.hashes.clear();
        }
    }

    /// The tiles that are not full, from the leaves up: level, index and hashes.
    pub fn partial(&self) -> impl Iterator<Item = (u32, u64, &[Digest])> {
        let parts = (0..).zip(&self.levels);
        parts.map(|(level, part)| (level, part.index, part.hashes.as_slice()))
    }

    /// The root over all leaves.
    pub fn root(&self) -> Digest {
        let above = |below: Option<Digest>, part: &Part| {
            root_over(&part.hashes.iter().copied().chain(below).collect::<Vec<_>>())
        };
        self.levels.iter().fold(None, above).unwrap_or_else(empty_root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf_hash;

    #[test]
    fn the_root_is_that_of_the_tree_at_every_size() {
        let leaves: Vec<Digest> = (0_u32..70_000).map(|at| leaf_hash(&at.to_be_bytes())).collect();
        let (mut frontier, mut tiles) = (Frontier::default(), 0);
        assert_eq!(frontier.root(), empty_root());
        for (before, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf, |_, _, hashes| {
                assert_eq!(hashes.len() as u64, WIDTH);
                tiles += 1;
            });
            let size = before + 1;
            let edge = [1, 2, 3, 255, 256, 257, 512, 65_535, 65_536, 65_537, 65_792, 70_000];
            if size < 40 || edge.contains(&size) {
                assert_eq!(Some(frontier.root()), root_over(&leaves[..size]), "{size}");
            }
        }
        assert_eq!(tiles, 273 + 1, "70,000 hashes fill 273 tiles, and these one");
        let parts: Vec<_> = frontier.partial().map(|(_, at, part)| (at, part.len())).collect();
        assert_eq!(parts, [(273, 112), (1, 17), (0, 1)]);
    }
}
