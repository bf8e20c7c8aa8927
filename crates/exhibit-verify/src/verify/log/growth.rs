//! Owns what a log became while it was verified: it counts as what was verified does, or it is a
//! finding ([`Continuation`]).

use super::LogCheck;
use crate::error::StoreError;
use crate::finding::FindingCode;
use crate::log::{Broken, CHECKPOINT, Continuation, FOLDER, Leaf};
use exhibit_tlog::digest::Digest;
use exhibit_tlog::frontier::Frontier;
use exhibit_tlog::tree::leaf_hash;

/// An entry that was added to the log: its index, its bytes, and what it says.
pub(in crate::verify) type Added = (u64, Vec<u8>, Leaf);

/// What was added to a log since it was verified.
#[derive(Debug, Default)]
pub(in crate::verify) struct Growth {
    /// The edge of the tree that was verified.
    verified: Frontier,
    now: Continuation,
    /// Leaf hashes of all entries that were added.
    leaves: Vec<Digest>,
    entries: Vec<Added>,
    /// Whether something was found in the checkpoint's place that does not continue the log.
    is_broken: bool,
}

impl Growth {
    /// That of the log `origin`, of which `size` entries were verified, with this `edge`.
    pub(super) fn of(origin: &str, size: u64, edge: Frontier) -> Self {
        let now = Continuation { origin: origin.to_owned(), size, edge: edge.clone() };
        Self { verified: edge, now, ..Self::default() }
    }
}

impl LogCheck<'_> {
    /// How many entries the log has by now.
    ///
    /// # Errors
    /// What cannot be read, and [`StoreError::Damaged`] for what does not continue the log that was
    /// verified, which is said once.
    fn grow(&mut self) -> Result<u64, StoreError> {
        let added = match self.growth.now.advance(&self.reader, self.trust.log()) {
            Ok(added) => added,
            Err(broken) => return Err(self.broken(broken)),
        };
        for (at, entry) in added {
            self.growth.leaves.push(leaf_hash(&entry));
            self.growth.entries.extend(Leaf::parse(&entry).map(|leaf| (at, entry, leaf)));
        }
        Ok(self.growth.now.size)
    }

    fn broken(&mut self, broken: Broken) -> StoreError {
        let code = match &broken {
            Broken::Unread(_) => None,
            Broken::Unknown(_) => Some(FindingCode::LogUnknown),
            Broken::Truncated(_) => Some(FindingCode::LogTruncated),
            Broken::Rewritten(_) => Some(FindingCode::LogRewritten),
        };
        if let Some(code) = code
            && !std::mem::replace(&mut self.growth.is_broken, true)
        {
            let (place, expected) = (format!("{FOLDER}/{CHECKPOINT}"), "the log that was verified");
            self.add(code, place, expected, format!("while it was read, {broken}"));
        }
        broken.into_store_error()
    }

    /// How many entries the log has by now, and those from `since` on, of what was added.
    ///
    /// # Errors
    /// What cannot be read; [`StoreError::Damaged`] for what does not continue the log.
    pub(in crate::verify) fn added_since(
        &mut self,
        since: u64,
    ) -> Result<(u64, Vec<Added>), StoreError> {
        let size = self.grow()?;
        let added = self.growth.entries.iter().filter(|(at, ..)| *at >= since);
        Ok((size, added.cloned().collect()))
    }

    /// The root over the first `size` entries of the log as it is by now, which are more than were
    /// verified; none when it has not so many.
    ///
    /// # Errors
    /// As [`LogCheck::added_since`].
    pub(in crate::verify) fn later_root(
        &mut self,
        size: u64,
    ) -> Result<Option<Digest>, StoreError> {
        self.grow()?;
        let added = size.checked_sub(self.report.size).and_then(|it| usize::try_from(it).ok());
        let Some(leaves) = added.and_then(|added| self.growth.leaves.get(..added)) else {
            return Ok(None);
        };
        let mut edge = self.growth.verified.clone();
        for leaf in leaves {
            edge.push(*leaf, |_, _, _| ());
        }
        Ok(Some(edge.root()))
    }
}
