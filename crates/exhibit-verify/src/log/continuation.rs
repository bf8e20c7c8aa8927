//! Owns what a log that was read became since. A daemon goes on with its log while others read it. What
//! it added counts when the new checkpoint is signed by a log that is vouched for and its root follows
//! from the entries that were read before and from those that were added. Whatever else lies there
//! meanwhile was put there by somebody, and tells of nothing.

use std::path::PathBuf;

use thiserror::Error;

use super::{CHECKPOINT, FOLDER, LogReader};
use crate::error::StoreError;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::frontier::Frontier;
use exhibit_tlog::note::Note;
use exhibit_tlog::policy::{Judgement, Policy};
use exhibit_tlog::tile::WIDTH;
use exhibit_tlog::tree::leaf_hash;

/// How far a log was read: the state that what is added must continue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Continuation {
    /// Name of the log; empty when nothing was read of it.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// The edge of the tree over them.
    pub edge: Frontier,
}

/// An entry of a log: its index and its bytes.
pub type Indexed = (u64, Vec<u8>);

/// Why what lies in the place of a log tells of nothing.
#[derive(Debug, Error)]
pub enum Broken {
    /// It cannot be read.
    #[error(transparent)]
    Unread(#[from] StoreError),
    /// It is another log, or none that is vouched for signed it.
    #[error("nobody who is vouched for signed what it became ({0})")]
    Unknown(String),
    /// It states fewer entries than were read.
    #[error("it became shorter ({0} entries)")]
    Truncated(u64),
    /// Its root does not follow from its entries.
    #[error("what it became does not continue what it was (root {0})")]
    Rewritten(Digest),
}

impl Continuation {
    /// The entries that `reader`'s log has by now beyond these, which are taken over.
    ///
    /// # Errors
    /// [`Broken`]; then nothing is taken over.
    pub fn advance(&mut self, reader: &LogReader, policy: &Policy) -> Result<Vec<Indexed>, Broken> {
        let (note, newest) = reader.checkpoint()?;
        self.vouched(&note, &newest, policy)?;
        self.advance_to(reader, &newest)
    }

    /// The entries beyond these of the log that `newest` states, which are taken over.
    ///
    /// # Errors
    /// As [`Continuation::advance`]; whose checkpoint it is, is not asked.
    pub fn advance_to(
        &mut self,
        reader: &LogReader,
        newest: &Checkpoint,
    ) -> Result<Vec<Indexed>, Broken> {
        if newest.size < self.size {
            return Err(Broken::Truncated(newest.size));
        }
        let (mut edge, mut added) = (self.edge.clone(), Vec::new());
        for bundle in self.size / WIDTH..newest.size.div_ceil(WIDTH) {
            let read = reader.bundle(bundle, newest.size);
            let place = || PathBuf::from(FOLDER);
            let read = read.map_err(|error| StoreError::new(&place(), error))?;
            let new = (bundle * WIDTH..).zip(read).filter(|(at, _)| *at >= self.size);
            for (at, entry) in new {
                edge.push(leaf_hash(&entry), |_, _, _| ());
                added.push((at, entry));
            }
        }
        if edge.root() != newest.root {
            return Err(Broken::Rewritten(newest.root));
        }
        *self = Self { origin: newest.origin.clone(), size: newest.size, edge };
        Ok(added)
    }

    fn vouched(&self, note: &Note, newest: &Checkpoint, policy: &Policy) -> Result<(), Broken> {
        let unknown = matches!(policy.judge(note, &newest.origin), Judgement::UnknownLog);
        let other = !self.origin.is_empty() && newest.origin != self.origin;
        if other || (unknown && !policy.is_empty()) {
            return Err(Broken::Unknown(newest.origin.clone()));
        }
        Ok(())
    }
}

impl Broken {
    /// The same, as what is wrong with the store's files.
    pub fn into_store_error(self) -> StoreError {
        match self {
            Self::Unread(error) => error,
            other => StoreError::Damaged {
                path: PathBuf::from(FOLDER).join(CHECKPOINT),
                what: other.to_string(),
            },
        }
    }
}
