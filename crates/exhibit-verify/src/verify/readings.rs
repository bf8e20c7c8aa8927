//! Owns the rule that one folder is judged. Some of its files are read more than once: hashed, and then
//! understood. Whoever exchanges them in between could show each check what it wants to see, so what
//! is read again must be what was read before.

use std::collections::BTreeMap;

use super::Check;
use crate::finding::FindingCode;
use crate::layout::{EVENTS, RECORD};
use exhibit_tlog::digest::Digest;

/// What stands for the first line of the chain.
const FIRST_EVENT: &str = "data/events.jsonl:1";

/// Digests of what was read of a folder, by the names of its files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings(BTreeMap<String, Digest>);

impl Readings {
    /// The digest with which the file `name` was read; none when it was not.
    pub fn of(&self, name: &str) -> Option<Digest> {
        self.0.get(name).copied()
    }

    /// The digest of the first line of the chain.
    pub(super) fn first_event(&self) -> Option<Digest> {
        self.of(FIRST_EVENT)
    }

    /// Note that `name` was read. Answers what it was before, where that was something else.
    fn note(&mut self, name: &str, found: Digest) -> Option<Digest> {
        let before = *self.0.entry(name.to_owned()).or_insert(found);
        (before != found).then_some(before)
    }

    /// Those that somebody may want to read again when the folder was judged.
    pub(super) fn kept(mut self) -> Self {
        self.0.retain(|name, _| {
            !name.starts_with("data/") || [RECORD, EVENTS, FIRST_EVENT].contains(&name.as_str())
        });
        self
    }
}

impl Check<'_> {
    /// Note that the file `name` was read; that it was another before is a finding.
    pub(super) fn was_read(&mut self, name: &str, found: Digest) {
        if let Some(before) = self.readings.note(name, found) {
            let found = format!("{found}, a moment later");
            self.add(FindingCode::FileAltered, name, before.to_string(), found);
        }
    }

    /// Note which the first line of the chain is.
    pub(super) fn first_line_was(&mut self, found: Digest) {
        self.was_read(FIRST_EVENT, found);
    }
}
