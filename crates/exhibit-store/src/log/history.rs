//! Owns what the log says of single runs: when each was opened, how far its chain had come, how it
//! was sealed, whether it was purged. Recovery is judged by it.

use std::collections::HashMap;

use super::{Leaf, LeafKind, Log, RunHead};
use crate::StoreError;
use crate::digest::Digest;
use crate::id::RunId;

/// What the log says of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Digest of its first event, as its `open` entry states it; zeros where that states none.
    pub first_event: Option<Digest>,
    /// The heads of its chain that the log holds.
    pub heads: Vec<RunHead>,
    /// Index of its last seal, and the digest of that seal's bytes.
    pub seal: Option<(u64, Digest)>,
    /// Whether it was purged.
    pub purged: bool,
}

impl History {
    /// How many events of its chain the log holds, by its opening and the heads after it; none when the
    /// log does not tell of it.
    pub fn events(&self) -> Option<u64> {
        let opened = self.first_event.map(|_| 1);
        self.heads.iter().map(|head| head.events).chain(opened).max()
    }

    /// Take over an entry about the run that is older than all before.
    fn take(&mut self, index: u64, leaf: &Leaf, entry: &[u8]) {
        match leaf.kind {
            LeafKind::Seal if self.seal.is_none() => self.seal = Some((index, Digest::of(entry))),
            LeafKind::Purge => self.purged = true,
            LeafKind::Open => {
                let first = leaf.data.get("first_event_sha256");
                let first = first.and_then(|first| first.as_str()?.parse().ok());
                self.first_event = Some(first.unwrap_or(Digest::ZERO));
            }
            _ => {}
        }
    }
}

impl Log {
    /// What the log says of `runs`; nothing of those that it does not tell of.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn histories(&self, runs: &[RunId]) -> Result<HashMap<RunId, History>, StoreError> {
        let mut histories: HashMap<RunId, History> =
            runs.iter().map(|run| (*run, History::default())).collect();
        let mut missing = histories.len();
        if missing == 0 {
            return Ok(histories);
        }
        self.backwards(|index, leaf, entry| {
            for head in RunHead::in_leaf(&leaf) {
                if let Some(history) = histories.get_mut(&head.run) {
                    history.heads.push(head);
                }
            }
            if let Some(history) = leaf.run.and_then(|run| histories.get_mut(&run)) {
                let first = leaf.kind == LeafKind::Open && history.first_event.is_none();
                missing -= usize::from(first);
                history.take(index, &leaf, entry);
            }
            missing == 0
        })?;
        Ok(histories)
    }
}
