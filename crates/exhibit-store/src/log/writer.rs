//! Owns the growing of the log on disk. The order is: entries, hashes, the checkpoint by a rename,
//! its place in the history; each synchronised before the next. What no checkpoint states was not
//! promised to anybody, and is removed before the log goes on.

use std::path::Path;

use super::{CHECKPOINT, FOLDER, HISTORY, STAMPED, WITNESSED};
use super::{LogReader, TreeReader, read_checkpoint};
use crate::digest::Digest;
use crate::disk::{self, PARTIAL_SUFFIX};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{Algorithm, Note, NoteSigner};
use crate::tlog::tile::{self, HEIGHT, Tile, TileKind, WIDTH};
use crate::tlog::tree;
use crate::{StoreError, layout};

/// Files of the log are never changed, only replaced by longer ones.
const READ_ONLY: u32 = 0o400;

/// What is written of a commit: tiles with their bytes.
type Files = Vec<(Tile, Vec<u8>)>;

/// The end of the log: all that is needed to go on.
#[derive(Clone, Debug)]
pub(super) struct End {
    size: u64,
    /// The bundle that is not full.
    bundle: Vec<u8>,
    /// By tile level: the hashes of the tile that is not full.
    levels: Vec<Vec<Digest>>,
}

impl End {
    fn empty() -> Self {
        Self { size: 0, bundle: Vec::new(), levels: Vec::new() }
    }

    /// The root over everything.
    fn root(&self) -> Digest {
        let mut rest = None;
        for level in &self.levels {
            let hashes: Vec<Digest> = level.iter().copied().chain(rest).collect();
            rest = tree::root_over(&hashes);
        }
        rest.unwrap_or_else(tree::empty_root)
    }

    fn push(&mut self, entry: &[u8], files: &mut Files) {
        tile::push_entry(&mut self.bundle, entry);
        self.size += 1;
        if self.size.is_multiple_of(WIDTH) {
            let full = Tile { kind: TileKind::Entries, index: self.size / WIDTH - 1, width: WIDTH };
            files.push((full, std::mem::take(&mut self.bundle)));
        }
        self.push_hash(0, tree::leaf_hash(entry), files);
    }

    fn push_hash(&mut self, level: usize, hash: Digest, files: &mut Files) {
        if self.levels.len() == level {
            self.levels.push(Vec::new());
        }
        self.levels[level].push(hash);
        if self.levels[level].len() as u64 == WIDTH {
            let hashes = std::mem::take(&mut self.levels[level]);
            files.push((self.tile(level, WIDTH), bytes_of(&hashes)));
            let top = tree::root_over(&hashes).expect("256 hashes have a root");
            self.push_hash(level + 1, top, files);
        }
    }

    /// The last tile of hashes at `level`, with `width` hashes in it.
    fn tile(&self, level: usize, width: u64) -> Tile {
        let level = u32::try_from(level).expect("a tree has few levels");
        let held = self.size >> (HEIGHT * level);
        let index = if width == WIDTH { held / WIDTH - 1 } else { held / WIDTH };
        Tile { kind: TileKind::Hashes(level), index, width }
    }

    /// The tiles that are not full and have grown since `before`.
    fn partial(&self, before: &Self) -> Files {
        let mut files = Files::new();
        if !self.bundle.is_empty() {
            let (index, width) = (self.size / WIDTH, self.size % WIDTH);
            files.push((Tile { kind: TileKind::Entries, index, width }, self.bundle.clone()));
        }
        for (level, hashes) in self.levels.iter().enumerate() {
            if hashes.is_empty() || before.levels.get(level) == Some(hashes) {
                continue;
            }
            files.push((self.tile(level, hashes.len() as u64), bytes_of(hashes)));
        }
        files
    }
}

fn bytes_of(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// The one writer of a log.
#[derive(Debug)]
pub(super) struct Writer {
    end: End,
    note: Note,
    checkpoint: Checkpoint,
    /// A commit failed, so that what is on disk may be more than what is known here.
    stale: bool,
    /// What the last commit was to publish.
    tried: Option<Checkpoint>,
}

impl Writer {
    /// Go on with the log of the store at `root`, or begin one under the name of `signer`.
    pub(super) fn open(root: &Path, signer: &NoteSigner) -> Result<Self, StoreError> {
        // Only now: later, files among the checkpoints may be on their way by others' hands.
        for folder in [FOLDER, HISTORY] {
            sweep(&root.join(folder), "", None)?;
        }
        let path = root.join(FOLDER).join(CHECKPOINT);
        if path.symlink_metadata().is_ok() {
            return Self::load(root, signer);
        }
        let origin = signer.name().to_owned();
        let checkpoint = Checkpoint { origin, size: 0, root: tree::empty_root() };
        let note = signed(&checkpoint, signer);
        let mut writer = Self { end: End::empty(), note, checkpoint, stale: false, tried: None };
        writer.publish(root, writer.note.clone(), writer.checkpoint.clone())?;
        Ok(writer)
    }

    /// Take up what the newest checkpoint states. It must be this log's own, and follow from its
    /// tiles: nothing is added to a log that was changed.
    fn load(root: &Path, signer: &NoteSigner) -> Result<Self, StoreError> {
        let path = root.join(FOLDER).join(CHECKPOINT);
        let (note, checkpoint) = read_checkpoint(&path)?;
        let damaged =
            |what: &str| StoreError::Damaged { path: path.clone(), what: what.to_owned() };
        if note.signed_by(&signer.verifier(Algorithm::Ed25519)).is_none() {
            return Err(damaged("it is not signed with this log's key"));
        }
        let reader = LogReader::of_store(root);
        let end = end_of(&reader, checkpoint.size).map_err(|error| {
            if disk::is_unreadable(&error) {
                return StoreError::new(&path, error);
            }
            damaged(&format!("its tiles cannot be read ({error})"))
        })?;
        if end.root() != checkpoint.root {
            return Err(damaged("it does not follow from the log's tiles"));
        }
        check_history(root, &reader, &checkpoint)?;
        sweep(&root.join(FOLDER), "", Some(checkpoint.size))?;
        let place = format!("{HISTORY}/{}.note", tile::grouped(checkpoint.size));
        if read_checkpoint(&root.join(place)).is_err() {
            remember(root, &note, &checkpoint)?;
        }
        Ok(Self { end, note, checkpoint, stale: false, tried: None })
    }

    /// The newest checkpoint.
    pub(super) fn published(&self) -> (Note, Checkpoint) {
        (self.note.clone(), self.checkpoint.clone())
    }

    /// Put `entries` at the end of the log: all of them are in it when this returns the index of
    /// the first, or none.
    pub(super) fn commit(
        &mut self,
        root: &Path,
        signer: &NoteSigner,
        entries: &[Vec<u8>],
    ) -> Result<u64, StoreError> {
        self.settle(root, signer)?;
        let (mut end, mut files) = (self.end.clone(), Files::new());
        let first = end.size;
        for entry in entries {
            end.push(entry, &mut files);
        }
        files.extend(end.partial(&self.end));
        self.stale = true;
        // Entries first: from them alone all the rest follows.
        files.sort_by_key(|(tile, _)| (tile.kind != TileKind::Entries, tile.kind, tile.index));
        for (tile, bytes) in &files {
            write(root, &format!("{FOLDER}/{tile}"), bytes)?;
        }
        let origin = self.checkpoint.origin.clone();
        let checkpoint = Checkpoint { origin, size: end.size, root: end.root() };
        self.tried = Some(checkpoint.clone());
        self.publish_surely(root, signed(&checkpoint, signer), checkpoint)?;
        (self.end, self.stale) = (end, false);
        // Only now is nobody in need of the partial tiles that became full; nor harmed by them.
        for (tile, _) in files.iter().filter(|(tile, _)| tile.is_full()) {
            drop(disk::remove_dir_all(&root.join(FOLDER).join(format!("{tile}.p"))));
        }
        Ok(first)
    }

    /// Be sure of what the log's last checkpoint is: the one that this process published last, or
    /// tried to. Any other was written by somebody else, and a log that two continue contradicts
    /// itself: it is not gone on with.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]; what the system answers.
    pub(super) fn settle(&mut self, root: &Path, signer: &NoteSigner) -> Result<(), StoreError> {
        let path = root.join(FOLDER).join(CHECKPOINT);
        let (_, there) = read_checkpoint(&path)?;
        let tried = self.tried.as_ref().filter(|_| self.stale);
        if there != self.checkpoint && Some(&there) != tried {
            let (ours, size) = (self.checkpoint.size, there.size);
            let what = format!(
                "it states {size} entries, and this process published {ours} last: somebody else \
                 wrote to the log, or put an older one back"
            );
            return Err(StoreError::Damaged { path, what });
        }
        if self.stale {
            *self = Self::load(root, signer)?;
        }
        Ok(())
    }

    /// Publish a checkpoint that states more than the last. A disk that says it failed may have
    /// done as it was told: then it is told again.
    ///
    /// # Errors
    /// [`StoreError::InDoubt`] when the checkpoint may be in place and may not; else it is not.
    fn publish_surely(
        &mut self,
        root: &Path,
        note: Note,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        let Err(error) = self.publish(root, note.clone(), checkpoint.clone()) else {
            return Ok(());
        };
        let doubt = |error| StoreError::InDoubt { source: Box::new(error) };
        match read_checkpoint(&root.join(FOLDER).join(CHECKPOINT)) {
            Ok((_, there)) if there == self.checkpoint => Err(error),
            Ok((_, there)) if there == checkpoint => {
                self.publish(root, note, checkpoint).map_err(doubt)
            }
            _ => Err(doubt(error)),
        }
    }

    fn publish(
        &mut self,
        root: &Path,
        note: Note,
        checkpoint: Checkpoint,
    ) -> Result<(), StoreError> {
        write(root, &format!("{FOLDER}/{CHECKPOINT}"), note.to_string().as_bytes())?;
        remember(root, &note, &checkpoint)?;
        (self.note, self.checkpoint) = (note, checkpoint);
        Ok(())
    }

    /// Keep `note`, a checkpoint there was with more signatures than before; as the newest that
    /// was cosigned when it is that.
    pub(super) fn cosigned(
        &mut self,
        root: &Path,
        note: Note,
        checkpoint: &Checkpoint,
        newer: bool,
    ) -> Result<(), StoreError> {
        let text = note.to_string();
        if *checkpoint == self.checkpoint {
            self.publish(root, note, checkpoint.clone())?;
        } else {
            remember(root, &note, checkpoint)?;
        }
        if newer {
            write(root, &format!("{HISTORY}/{WITNESSED}"), text.as_bytes())?;
        }
        Ok(())
    }
}

/// Whether the log still holds what it published before: the largest of the checkpoints there were,
/// and those that witnesses and authorities saw last. A log that was put back to an earlier state, or
/// that two continued, is not gone on with.
fn check_history(root: &Path, reader: &LogReader, now: &Checkpoint) -> Result<(), StoreError> {
    let folder = root.join(HISTORY);
    let mut largest = None;
    find_largest(&folder, "", &mut largest)?;
    let largest = largest.map(|size| format!("{}.note", tile::grouped(size)));
    for name in largest.iter().map(String::as_str).chain([WITNESSED, STAMPED]) {
        let path = folder.join(name);
        // What is no checkpoint of this log is for `verify` to tell of.
        let Ok((_, old)) = read_checkpoint(&path) else { continue };
        if old.origin != now.origin {
            continue;
        }
        let root = (old.size <= now.size).then(|| TreeReader::new(reader, now.size));
        let root = root.and_then(|tree| tree::root(&tree, old.size).ok());
        if root != Some(old.root) {
            let what = format!(
                "it states {} entries, and the log, which has {}, does not hold them: the log was \
                 put back to an earlier state, or written by two at once",
                old.size, now.size
            );
            return Err(StoreError::Damaged { path, what });
        }
    }
    Ok(())
}

/// The largest size of which there is a checkpoint below `folder`, whose names begin with `prefix`.
fn find_largest(folder: &Path, prefix: &str, largest: &mut Option<u64>) -> Result<(), StoreError> {
    let entries = match layout::entries(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(StoreError::at(folder))?,
    };
    for entry in entries {
        let name = format!("{prefix}{}", layout::readable(&entry.name));
        if entry.kind.is_dir() {
            find_largest(&entry.path, &format!("{name}/"), largest)?;
        } else if let Some(size) = name.strip_suffix(".note").and_then(tile::ungrouped) {
            *largest = (*largest).max(Some(size));
        }
    }
    Ok(())
}

/// Put a checkpoint among those there were.
fn remember(root: &Path, note: &Note, checkpoint: &Checkpoint) -> Result<(), StoreError> {
    let name = format!("{HISTORY}/{}.note", tile::grouped(checkpoint.size));
    write(root, &name, note.to_string().as_bytes())
}

/// Remove files cut short below `folder`, and the tiles that a log of `size` entries does not have: of
/// a commit that was not finished. `prefix` is the folder's own path in the log, with its slash.
fn sweep(folder: &Path, prefix: &str, size: Option<u64>) -> Result<(), StoreError> {
    let entries = match layout::entries(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        read => read.map_err(StoreError::at(folder))?,
    };
    for entry in entries {
        let name = format!("{prefix}{}", layout::readable(&entry.name));
        if entry.kind.is_dir() {
            sweep(&entry.path, &format!("{name}/"), size)?;
        } else if name.ends_with(PARTIAL_SUFFIX)
            || size.zip(Tile::parse(&name)).is_some_and(|(size, tile)| tile.is_beyond(size))
        {
            disk::remove_file(&entry.path).map_err(StoreError::at(&entry.path))?;
        }
    }
    Ok(())
}

fn signed(checkpoint: &Checkpoint, signer: &NoteSigner) -> Note {
    let mut note = Note::new(checkpoint.to_string());
    note.add(&signer.sign(&note.text)).expect("a signer writes a signature's line");
    note
}

fn write(root: &Path, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
    let path = root.join(name);
    let folder = path.parent().expect("below the store");
    disk::make_dirs(folder)
        .and_then(|()| disk::replace(&path, bytes, READ_ONLY))
        .map_err(StoreError::at(&path))
}

/// The end of a log of `size` entries, from its tiles.
fn end_of(reader: &LogReader, size: u64) -> std::io::Result<End> {
    let mut end = End { size, ..End::empty() };
    if let Some(tile) = Tile::of(TileKind::Entries, size / WIDTH, size) {
        end.bundle = reader.tile(tile)?;
    }
    for level in 0.. {
        let held = size >> (HEIGHT * level);
        if held == 0 {
            break;
        }
        let tile = Tile::of(TileKind::Hashes(level), held / WIDTH, size);
        end.levels.push(tile.map_or(Ok(Vec::new()), |tile| reader.hashes(tile))?);
    }
    let entries = tile::entries(&end.bundle).unwrap_or_default();
    let hashes: Vec<Digest> = entries.into_iter().map(tree::leaf_hash).collect();
    if end.levels.first().is_some_and(|level| *level != hashes) {
        let message = "the last entries are not those of the last hashes";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, message));
    }
    Ok(end)
}
