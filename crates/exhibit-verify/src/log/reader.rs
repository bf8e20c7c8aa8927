//! Owns the reading of a log on disk: its checkpoint, its tiles, its entries, and proofs made of
//! them. Believes nothing: whoever needs to know checks the root against a checkpoint.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::error::StoreError;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::note::{MAX_NOTE, Note};
use exhibit_tlog::proof::Proof;
use exhibit_tlog::tile::{self, HEIGHT, MAX_ENTRY, Tile, TileKind, WIDTH};
use exhibit_tlog::tree::{self, Hashes};

/// Largest tile: a bundle of the longest entries.
const MAX_TILE: u64 = WIDTH * (MAX_ENTRY as u64 + 2);
/// Tiles that are kept in memory while proofs are made.
const KEPT: usize = 64;

/// A log on disk, for reading. Cheap to make.
#[derive(Clone, Debug)]
pub struct LogReader {
    folder: PathBuf,
}

impl LogReader {
    /// The log of the store at `root`.
    pub fn of_store(root: &Path) -> Self {
        Self { folder: root.join(super::FOLDER) }
    }

    /// Whether there is a log.
    pub fn exists(&self) -> bool {
        self.folder.join(super::CHECKPOINT).symlink_metadata().is_ok()
    }

    /// The newest checkpoint, as it is written, and what it states.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no log; [`StoreError::Damaged`].
    pub fn checkpoint(&self) -> Result<(Note, Checkpoint), StoreError> {
        let path = self.folder.join(super::CHECKPOINT);
        read_checkpoint(&path)
    }

    /// The bytes of `tile`. A partial tile is taken from the full one when it is no longer there.
    ///
    /// # Errors
    /// What the system answers; `InvalidData` when it does not hold what its width says.
    pub fn tile(&self, tile: Tile) -> io::Result<Vec<u8>> {
        let read = |tile: Tile| disk::read_plain(&self.folder.join(tile.to_string()), MAX_TILE);
        let bytes = match read(tile) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !tile.is_full() => {
                return cut(tile, read(tile.full())?);
            }
            read => read?,
        };
        let held = match tile.kind {
            TileKind::Hashes(_) => tile::hashes(&bytes).map(|hashes| hashes.len()),
            TileKind::Entries => tile::entries(&bytes).map(|entries| entries.len()),
        };
        if held == Some(usize::try_from(tile.width).expect("at most 256")) {
            Ok(bytes)
        } else {
            Err(not_whole(tile))
        }
    }

    /// The hashes of a tile of hashes.
    ///
    /// # Errors
    /// As [`LogReader::tile`].
    pub fn hashes(&self, tile: Tile) -> io::Result<Vec<Digest>> {
        tile::hashes(&self.tile(tile)?).ok_or_else(|| not_whole(tile))
    }

    /// The entries of the bundle `index` of a log of `size` entries.
    ///
    /// # Errors
    /// As [`LogReader::tile`]; `InvalidInput` when the log has no such bundle.
    pub fn bundle(&self, index: u64, size: u64) -> io::Result<Vec<Vec<u8>>> {
        let tile = Tile::of(TileKind::Entries, index, size).ok_or(io::ErrorKind::InvalidInput)?;
        let bytes = self.tile(tile)?;
        let entries = tile::entries(&bytes).ok_or_else(|| not_whole(tile))?;
        Ok(entries.into_iter().map(<[u8]>::to_vec).collect())
    }

    /// Show the first `size` entries to `take`, in their order, as they lie there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn each(&self, size: u64, take: impl FnMut(u64, &[u8])) -> Result<(), StoreError> {
        self.show(size, |index| self.bundle(index, size), take)
    }

    /// [`LogReader::each`] of all entries of the log that `at` states, each of which must follow from its
    /// root.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn each_in(&self, at: &Checkpoint, take: impl FnMut(u64, &[u8])) -> Result<(), StoreError> {
        let checked = CheckedReader::new(self, at);
        self.show(at.size, |index| checked.bundle(index), take)
    }

    fn show(
        &self,
        size: u64,
        bundle: impl Fn(u64) -> io::Result<Vec<Vec<u8>>>,
        mut take: impl FnMut(u64, &[u8]),
    ) -> Result<(), StoreError> {
        for number in 0..size.div_ceil(WIDTH) {
            let entries = bundle(number).map_err(StoreError::at(&self.folder))?;
            for (index, entry) in (number * WIDTH..).zip(entries) {
                take(index, &entry);
            }
        }
        Ok(())
    }

    /// The proof that the entry `index` is in the log that `note` states.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]; what the system answers.
    pub fn proof(
        &self,
        index: u64,
        note: Note,
        checkpoint: Checkpoint,
    ) -> Result<Proof, StoreError> {
        let tree = TreeReader::new(self, checkpoint.size);
        let hashes = tree::inclusion_proof(&tree, index, checkpoint.size);
        let hashes = hashes.map_err(|error| StoreError::new(&self.folder, error))?;
        Ok(Proof { index, hashes, note, checkpoint })
    }
}

/// The checkpoint in the file at `path`.
///
/// # Errors
/// [`StoreError::Damaged`]; what the system answers.
pub fn read_checkpoint(path: &Path) -> Result<(Note, Checkpoint), StoreError> {
    parse_checkpoint(path, &read_text(path)?)
}

/// The checkpoint in the file at `path`, which somebody scanned or typed: its last line feed may be
/// missing.
///
/// # Errors
/// As [`read_checkpoint`].
pub fn read_kept_checkpoint(path: &Path) -> Result<(Note, Checkpoint), StoreError> {
    let bytes = disk::read_named(path, MAX_NOTE).map_err(StoreError::at(path))?;
    let mut text = String::from_utf8(bytes).map_err(|error| damaged(path, error))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    parse_checkpoint(path, &text)
}

fn read_text(path: &Path) -> Result<String, StoreError> {
    let bytes = disk::read_limited(path, MAX_NOTE).map_err(StoreError::at(path))?;
    String::from_utf8(bytes).map_err(|error| damaged(path, error))
}

fn damaged(path: &Path, error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), what: error.to_string() }
}

fn parse_checkpoint(path: &Path, text: &str) -> Result<(Note, Checkpoint), StoreError> {
    let note = Note::parse(text).map_err(|error| damaged(path, error))?;
    let checkpoint = Checkpoint::parse(&note.text).map_err(|error| damaged(path, error))?;
    Ok((note, checkpoint))
}

fn not_whole(tile: Tile) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{tile} does not hold {} whole", tile.width))
}

/// The beginning of a full tile.
fn cut(tile: Tile, full: Vec<u8>) -> io::Result<Vec<u8>> {
    let width = usize::try_from(tile.width).expect("at most 256");
    let length = match tile.kind {
        TileKind::Hashes(_) => Some(width * 32),
        TileKind::Entries => tile::entries(&full)
            .map(|entries| entries.iter().take(width).map(|entry| entry.len() + 2).sum()),
    };
    match length {
        Some(length) if length <= full.len() => Ok(full[..length].to_vec()),
        _ => Err(not_whole(tile)),
    }
}

/// A tile is another than the entries that were gone through give.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a tile is not what follows from the entries that were read")]
pub struct OtherTile;

/// The tree of a log's first `size` entries, from its tiles.
pub struct TreeReader<'a> {
    log: &'a LogReader,
    size: u64,
    /// Digests of the tiles as they follow from the entries, by level and number, where these were gone
    /// through: what is read must be that.
    held: Option<&'a HashMap<(u32, u64), Digest>>,
    kept: RefCell<HashMap<(u32, u64), Vec<Digest>>>,
}

impl<'a> TreeReader<'a> {
    /// The tree of the first `size` entries of `log`.
    pub fn new(log: &'a LogReader, size: u64) -> Self {
        Self { log, size, held: None, kept: RefCell::default() }
    }

    /// The same, of whose tiles the digests are `held`, by level and number.
    pub fn held(log: &'a LogReader, size: u64, held: &'a HashMap<(u32, u64), Digest>) -> Self {
        Self { held: Some(held), ..Self::new(log, size) }
    }

    /// The hashes of the tile `number` of a level.
    fn hashes(&self, tier: u32, number: u64) -> io::Result<Vec<Digest>> {
        let tile = Tile::of(TileKind::Hashes(tier), number, self.size);
        let tile = tile.ok_or(io::ErrorKind::InvalidInput)?;
        let bytes = self.log.tile(tile)?;
        let held = self.held.map(|held| held.get(&(tier, number)));
        if held.is_some_and(|held| held != Some(&Digest::of(&bytes))) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, OtherTile));
        }
        tile::hashes(&bytes).ok_or_else(|| not_whole(tile))
    }
}

impl Hashes for TreeReader<'_> {
    fn complete(&self, level: u32, index: u64) -> io::Result<Digest> {
        let (tier, above) = (level / HEIGHT, level % HEIGHT);
        let first = index << above;
        let number = first / WIDTH;
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT && !kept.contains_key(&(tier, number)) {
            kept.clear();
        }
        let hashes = match kept.entry((tier, number)) {
            std::collections::hash_map::Entry::Occupied(there) => there.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(self.hashes(tier, number)?)
            }
        };
        let from = usize::try_from(first % WIDTH).expect("below 256");
        let below = hashes.get(from..from + (1 << above));
        below.and_then(tree::root_over).ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }
}

/// Reads the entries of a log of which a checkpoint is believed: what does not follow from its root, as a
/// tile that is shown in the place of another, is none of that log.
pub struct CheckedReader<'a> {
    log: &'a LogReader,
    at: &'a Checkpoint,
    tree: TreeReader<'a>,
}

impl<'a> CheckedReader<'a> {
    /// Of the `log` that `at` states.
    pub fn new(log: &'a LogReader, at: &'a Checkpoint) -> Self {
        Self { log, at, tree: TreeReader::new(log, at.size) }
    }

    /// The entries of the bundle `index`, by one inclusion proof of the first of them, which the others are
    /// part of (RFC 6962, 2.1.1).
    ///
    /// # Errors
    /// As [`LogReader::bundle`]; `InvalidData` when they do not follow.
    pub fn bundle(&self, index: u64) -> io::Result<Vec<Vec<u8>>> {
        let Self { log, at, tree } = self;
        let entries = log.bundle(index, at.size)?;
        let leaves: Vec<Digest> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
        let first = index * WIDTH;
        let leaf = leaves.first().copied().unwrap_or(Digest::ZERO);
        let proof = tree::inclusion_proof(&Overlay { first, leaves, tree }, first, at.size)?;
        if tree::verify_inclusion(leaf, first, at.size, &proof, at.root) {
            return Ok(entries);
        }
        let message = format!("the entries from {first} on are not those of the log's checkpoint");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

/// A tree whose entries from `first` on were read, and of which the rest lies in tiles.
struct Overlay<'a> {
    first: u64,
    leaves: Vec<Digest>,
    tree: &'a TreeReader<'a>,
}

impl Hashes for Overlay<'_> {
    fn complete(&self, level: u32, index: u64) -> io::Result<Digest> {
        let (from, count) = (index << level, 1_usize << level);
        let at = from.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        let read = at.and_then(|at| self.leaves.get(at..at.checked_add(count)?));
        read.and_then(tree::root_over).map_or_else(|| self.tree.complete(level, index), Ok)
    }
}
