//! Owns what a log says of the keys that sign evidence: which signed from when on, by its `start` and
//! `key-change` entries, and which were revoked. Whatever else tells of keys is held against this.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::leaf::{Leaf, LeafKind};
use super::reader::LogReader;
use crate::error::StoreError;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::note::VerifierKey;
use exhibit_tlog::tile::WIDTH;
use exhibit_tlog::tree;

/// A key, for as long as the log names no other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedEpoch {
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: String,
    /// Time of the first entry that names it; none where that is no time.
    pub first: Option<Timestamp>,
    /// Time of the last entry that names it.
    pub last: Option<Timestamp>,
}

/// That a key is not to be believed any more, as the log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRevocation {
    /// From when on others may have signed with it: the earliest time that an entry says; none where
    /// that cannot be read, which is for ever.
    pub since: Option<Timestamp>,
    /// Index of the first entry about it.
    pub index: u64,
    /// Why, by the last of them.
    pub reason: String,
}

/// What a log says of keys, as far as it was read.
#[derive(Clone, Debug, Default)]
pub struct LoggedKeys {
    /// In the order in which they signed.
    pub epochs: Vec<LoggedEpoch>,
    /// By fingerprint.
    pub revoked: BTreeMap<String, LoggedRevocation>,
    /// Time of the newest entry.
    pub newest: Option<Timestamp>,
}

impl LoggedKeys {
    /// What the log of the store at `root` says, whose entries must give the root that its newest
    /// checkpoint states, and that checkpoint be signed with `key` where one is given.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no log; [`StoreError::Damaged`]; what the system answers.
    pub fn of_store(root: &Path, key: Option<&VerifierKey>) -> Result<Self, StoreError> {
        let folder = root.join(super::FOLDER);
        let damaged = |what: &str| StoreError::Damaged {
            path: folder.join(super::CHECKPOINT),
            what: what.to_owned(),
        };
        let reader = LogReader::of_store(root);
        let (note, checkpoint) = reader.checkpoint()?;
        if key.is_some_and(|key| note.signed_by(key).is_none()) {
            return Err(damaged("it is not signed with the log's key"));
        }
        let (mut keys, mut whole, mut rest) = (Self::default(), Vec::new(), None);
        for bundle in 0..checkpoint.size.div_ceil(WIDTH) {
            let entries =
                reader.bundle(bundle, checkpoint.size).map_err(StoreError::at(&folder))?;
            for (index, entry) in (bundle * WIDTH..).zip(&entries) {
                keys.entry(index, entry);
            }
            let hashes: Vec<Digest> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
            let top = tree::root_over(&hashes);
            if hashes.len() as u64 == WIDTH { whole.extend(top) } else { rest = top }
        }
        whole.extend(rest);
        if tree::root_over(&whole).unwrap_or_else(tree::empty_root) != checkpoint.root {
            return Err(damaged("its root is not that of the log's entries"));
        }
        Ok(keys)
    }

    /// Take over what the entry `index` says. What is no entry of ours is passed over.
    fn entry(&mut self, index: u64, entry: &[u8]) {
        if let Some(leaf) = Leaf::parse(entry) {
            self.take(index, &leaf);
        }
    }

    /// Take over what `leaf`, the entry `index`, says.
    pub fn take(&mut self, index: u64, leaf: &Leaf) {
        let text = |name: &str| leaf.data.get(name).and_then(|value| value.as_str());
        let time = leaf.time.parse().ok();
        match leaf.kind {
            LeafKind::Start => self.named(text("key"), time),
            LeafKind::KeyChange => {
                self.named(text("from").filter(|_| self.is_another(text("to"))), time);
                self.named(text("to"), time);
            }
            LeafKind::KeyRevocation => self.is_revoked(index, leaf),
            _ => {}
        }
        self.newest = time.or(self.newest);
    }

    /// Whether `key` is not the one that signed last.
    fn is_another(&self, key: Option<&str>) -> bool {
        self.epochs.last().is_none_or(|last| Some(last.fingerprint.as_str()) != key)
    }

    fn named(&mut self, key: Option<&str>, time: Option<Timestamp>) {
        let Some(key) = key else { return };
        if self.is_another(Some(key)) {
            let fingerprint = key.to_owned();
            self.epochs.push(LoggedEpoch { fingerprint, first: time, last: time });
        } else if let Some(last) = self.epochs.last_mut() {
            last.last = time.or(last.last);
        }
    }

    fn is_revoked(&mut self, index: u64, leaf: &Leaf) {
        let text = |name: &str| leaf.data.get(name).and_then(|value| value.as_str());
        let Some(key) = text("key") else { return };
        let since = text("since").and_then(|since| since.parse().ok());
        let reason = text("reason").unwrap_or_default().to_owned();
        let new = LoggedRevocation { since, index, reason: reason.clone() };
        let known = self.revoked.entry(key.to_owned()).or_insert(new);
        // None is before every time.
        known.since = known.since.min(since);
        known.reason = reason;
    }
}
