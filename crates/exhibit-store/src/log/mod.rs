//! Owns the log of a store: one transparency log (c2sp.org/tlog-tiles) in which every run stands
//! twice, when it is opened and when it is sealed, beside the daemon's own life. It only grows;
//! what is in it is on disk before anybody hears of it.

mod history;
mod stamps;
mod writer;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub use exhibit_verify::log::*;

pub use self::history::History;
pub use self::stamps::{StampRefusal, Stamped};
use self::writer::Writer;
use super::StoreError;
use super::batch::{Batch, lock};
use super::layout::{self, FolderEntry};
use super::sign::LogKey;
use crate::id::RunId;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{Algorithm, Note, NoteSigner, VerifierKey};
use crate::tlog::proof::Proof;
use crate::tlog::tile::{MAX_ENTRY, WIDTH, grouped};
use crate::tlog::tree;
use crate::tlog::witness::Request;

/// A log, held by this process alone (the store's lock). Many may append at once; those who wait
/// for the disk together share its synchronisation.
#[derive(Debug)]
pub struct Log {
    root: PathBuf,
    signer: NoteSigner,
    /// Entries that wait for the writer, with the index that each gets.
    batch: Batch<Vec<u8>, u64>,
    writer: Mutex<Writer>,
    /// Held while timestamps are asked for or taken in.
    stamping: Mutex<()>,
}

/// The place of a run in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// Index of its `open` entry.
    pub open: Option<u64>,
    /// Index of its last `seal` entry.
    pub seal: Option<u64>,
}

/// What came of a note that witnesses signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// Size of the checkpoint it states.
    pub size: u64,
    /// The witnesses whose cosignatures were taken in.
    pub witnesses: Vec<String>,
}

impl Log {
    /// Go on with the log of the store at `root`, or begin one with the name `origin`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the log is not what its checkpoint states, or has another name
    /// or key; see [`StoreError`].
    pub fn open(root: &Path, key: &LogKey, origin: &str) -> Result<Self, StoreError> {
        let path = root.join(FOLDER).join(CHECKPOINT);
        let damaged = |what: String| StoreError::Damaged { path: path.clone(), what };
        let signer = key.signer(origin).map_err(|error| damaged(error.to_string()))?;
        if path.symlink_metadata().is_ok() {
            let (_, checkpoint) = read_checkpoint(&path)?;
            if checkpoint.origin != origin {
                let is = format!("its name is {:?}, not {origin:?}", checkpoint.origin);
                return Err(damaged(is));
            }
        }
        let writer = Mutex::new(Writer::open(root, &signer)?);
        let stamping = Mutex::default();
        Ok(Self { root: root.to_owned(), signer, batch: Batch::default(), writer, stamping })
    }

    /// The name of the log of the store at `root`, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Damaged`]; see [`StoreError`].
    pub fn origin_of(root: &Path) -> Result<Option<String>, StoreError> {
        let reader = LogReader::of_store(root);
        reader.exists().then(|| reader.checkpoint().map(|(_, it)| it.origin)).transpose()
    }

    /// The public key of the log, for those who check it.
    pub fn key(&self) -> VerifierKey {
        self.signer.verifier(Algorithm::Ed25519)
    }

    /// For reading.
    pub fn reader(&self) -> LogReader {
        LogReader::of_store(&self.root)
    }

    /// The newest checkpoint.
    pub fn checkpoint(&self) -> (Note, Checkpoint) {
        lock(&self.writer).published()
    }

    /// Put `entries` at the end of the log with one commit: the index of the first.
    ///
    /// # Errors
    /// As [`Log::append`]: all of them are in the log, or none.
    pub fn append_all(&self, entries: Vec<Vec<u8>>) -> Result<u64, StoreError> {
        let _span = tracing::debug_span!("log.append", entries = entries.len()).entered();
        if entries.iter().any(|entry| entry.len() > MAX_ENTRY) {
            return Err(self.too_long());
        }
        lock(&self.writer).commit(&self.root, &self.signer, &entries)
    }

    fn too_long(&self) -> StoreError {
        StoreError::new(&self.root.join(FOLDER), io::ErrorKind::FileTooLarge.into())
    }

    /// Put `entry` at the end of the log. It is on disk, and stated by a checkpoint, when this
    /// returns its index.
    ///
    /// # Errors
    /// `FileTooLarge` for an entry of more than 65,535 bytes; see [`StoreError`]. The entry is then
    /// not in the log, unless it is [`StoreError::InDoubt`].
    pub fn append(&self, entry: Vec<u8>) -> Result<u64, StoreError> {
        if entry.len() > MAX_ENTRY {
            return Err(self.too_long());
        }
        let commit = |writer: &mut Writer, entries: Vec<Vec<u8>>| {
            writer.commit(&self.root, &self.signer, &entries)
        };
        self.batch.write(entry, &self.writer, commit, |first, place| first + place)
    }

    /// Find out what became of a commit that was in doubt, and what the last entry is.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn settle(&self) -> Result<(), StoreError> {
        lock(&self.writer).settle(&self.root, &self.signer)
    }

    /// The entry `index`, byte for byte.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, StoreError> {
        let (_, checkpoint) = self.checkpoint();
        let path = self.root.join(FOLDER);
        let reader = self.reader();
        let bundle = CheckedReader::new(&reader, &checkpoint).bundle(index / WIDTH);
        let mut entries = bundle.map_err(StoreError::at(&path))?.into_iter();
        let place = usize::try_from(index % WIDTH).expect("below 256");
        entries.nth(place).ok_or(StoreError::NotFound { path })
    }

    /// The proof that the entry `index` is in the log: against the newest checkpoint that was
    /// cosigned, if that covers it, else against the newest.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn proof(&self, index: u64) -> Result<Proof, StoreError> {
        let witnessed = self.witnessed()?.filter(|(_, checkpoint)| index < checkpoint.size);
        let (note, checkpoint) = witnessed.unwrap_or_else(|| self.checkpoint());
        self.reader().proof(index, note, checkpoint)
    }

    /// The newest checkpoint that a witness cosigned.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn witnessed(&self) -> Result<Option<(Note, Checkpoint)>, StoreError> {
        let path = self.root.join(HISTORY).join(WITNESSED);
        match read_checkpoint(&path) {
            Err(StoreError::NotFound { .. }) => Ok(None),
            read => read.map(Some),
        }
    }

    /// Size of the newest checkpoint that `witness` cosigned; 0 when there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn seen_by(&self, witness: &VerifierKey) -> Result<u64, StoreError> {
        let place = self.root.join(HISTORY);
        let mut sizes = Vec::new();
        published(&place, &mut sizes).map_err(StoreError::at(&place))?;
        sizes.sort_unstable_by(|one, other| other.cmp(one));
        for size in sizes {
            let (note, _) = read_checkpoint(&place.join(format!("{}.note", grouped(size))))?;
            if note.signed_by(witness).is_some() {
                return Ok(size);
            }
        }
        Ok(0)
    }

    /// What to ask of a witness that saw the checkpoint at `old` last; the newest one that was
    /// cosigned when nothing is said.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn request(&self, old: Option<u64>) -> Result<Request, StoreError> {
        let old = match old {
            Some(old) => old,
            None => self.witnessed()?.map_or(0, |(_, checkpoint)| checkpoint.size),
        };
        let (note, checkpoint) = self.checkpoint();
        let reader = self.reader();
        let tree = TreeReader::new(&reader, checkpoint.size);
        let proof = tree::consistency_proof(&tree, old, checkpoint.size);
        let proof = proof.map_err(StoreError::at(&self.root.join(FOLDER)))?;
        Ok(Request { old, proof, note, checkpoint })
    }

    /// Take in what `witnesses` signed of `note`, which states a checkpoint of this log.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when this log never published such a checkpoint; see
    /// [`StoreError`].
    pub fn cosign(&self, note: &Note, witnesses: &[VerifierKey]) -> Result<Cosigned, StoreError> {
        let mut writer = lock(&self.writer);
        let place = self.root.join(HISTORY);
        let unknown = || StoreError::Damaged {
            path: place.clone(),
            what: "this log never published that checkpoint".to_owned(),
        };
        let size = Checkpoint::parse(&note.text).map_err(|_| unknown())?.size;
        let path = place.join(format!("{}.note", grouped(size)));
        let (mut kept, checkpoint) = read_checkpoint(&path).map_err(|_| unknown())?;
        if kept.text != note.text {
            return Err(unknown());
        }
        let signed = witnesses.iter().filter(|key| kept.take_signature(note, key));
        let witnesses: Vec<String> = signed.map(|key| key.name().to_owned()).collect();
        if !witnesses.is_empty() {
            let newer = self.witnessed()?.is_none_or(|(_, seen)| seen.size <= size);
            writer.cosigned(&self.root, kept, &checkpoint, newer)?;
        }
        Ok(Cosigned { size, witnesses })
    }

    /// The last entry that `is` is true for, with its index, looking from the end.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn last(&self, is: impl Fn(&Leaf) -> bool) -> Result<Option<(u64, Leaf)>, StoreError> {
        let mut found = None;
        self.backwards(|index, leaf, _| {
            if is(&leaf) {
                found = Some((index, leaf));
            }
            found.is_some()
        })?;
        Ok(found)
    }

    /// Where `runs` stand in the log.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn places(&self, runs: &[RunId]) -> Result<HashMap<RunId, Logged>, StoreError> {
        let mut places: HashMap<RunId, Logged> =
            runs.iter().map(|run| (*run, Logged::default())).collect();
        let mut missing = places.len();
        if missing == 0 {
            return Ok(places);
        }
        self.backwards(|index, leaf, _| {
            let place = leaf.run.and_then(|run| places.get_mut(&run));
            match (leaf.kind, place) {
                (LeafKind::Seal, Some(place)) if place.seal.is_none() => place.seal = Some(index),
                (LeafKind::Open, Some(place)) if place.open.is_none() => {
                    place.open = Some(index);
                    missing -= 1;
                }
                _ => {}
            }
            missing == 0
        })?;
        Ok(places)
    }

    /// Show the entries from the last to the first, until `enough`. What is no entry of ours is
    /// passed over.
    fn backwards(
        &self,
        mut enough: impl FnMut(u64, Leaf, &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let (_, checkpoint) = self.checkpoint();
        let (reader, path) = (self.reader(), self.root.join(FOLDER));
        let reader = CheckedReader::new(&reader, &checkpoint);
        for bundle in (0..checkpoint.size.div_ceil(WIDTH)).rev() {
            let entries = reader.bundle(bundle).map_err(StoreError::at(&path))?;
            for (place, entry) in entries.iter().enumerate().rev() {
                let index = bundle * WIDTH + place as u64;
                if Leaf::parse(entry).is_some_and(|leaf| enough(index, leaf, entry)) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Sizes of the checkpoints that are kept below `folder`.
fn published(folder: &Path, sizes: &mut Vec<u64>) -> io::Result<()> {
    for FolderEntry { path, kind, .. } in layout::entries(folder)? {
        if kind.is_dir() {
            published(&path, sizes)?;
        } else if path.extension().is_some_and(|ending| ending == "note")
            && let Ok((_, checkpoint)) = read_checkpoint(&path)
        {
            sizes.push(checkpoint.size);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(super) use self::tests::grow;
#[cfg(test)]
pub(super) use super::tampering::{extend, files, lay_out, remove};
