//! Owns the log's word on what of a run may go, as the guard takes it: by an entry that a checkpoint
//! with the log's signature covers, and by nothing else.

use std::fmt::Display;
use std::path::Path;

use crate::evidence::log::{Leaf, LeafKind, LogReader};
use crate::id::RunId;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::{Note, VerifierKey};
use crate::tlog::tile::WIDTH;

/// What the log says last of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It was purged: nothing of it stays.
    Purged,
    /// It became an archive, in whose favour its folder goes.
    Archived,
    /// It became a folder again, in whose favour its archive goes.
    Restored,
}

/// The word of the log of the store at `store` on `run`.
///
/// # Errors
/// Why there is none that counts, in words.
pub(super) fn of_log(store: &Path, key: &VerifierKey, run: RunId) -> Result<Word, String> {
    let (note, checkpoint) = checkpoint(store, key)?;
    let (log, size) = (LogReader::of_store(store), checkpoint.size);
    for bundle in (0..size.div_ceil(WIDTH)).rev() {
        let entries = log.bundle(bundle, size).map_err(|error| damaged(&error))?;
        let mut newest = entries.iter().enumerate().rev();
        let found = newest.find_map(|(at, entry)| Some((at, said(entry, run)?)));
        let Some((at, word)) = found else { continue };
        let index = bundle * WIDTH + at as u64;
        let proof = log.proof(index, note, checkpoint).map_err(|error| damaged(&error))?;
        return if proof.includes(&entries[at]) {
            Ok(word)
        } else {
            Err("the log's entry is not the one that its checkpoint covers".to_owned())
        };
    }
    Err(format!("the log holds no purge of {run}; what is sealed stays until it does"))
}

/// The newest checkpoint of the log of the store at `store`.
///
/// # Errors
/// Why there is none that counts, in words.
pub(super) fn checkpoint(store: &Path, key: &VerifierKey) -> Result<(Note, Checkpoint), String> {
    let (note, checkpoint) =
        LogReader::of_store(store).checkpoint().map_err(|error| damaged(&error))?;
    if note.signed_by(key).is_none() {
        return Err("the log's checkpoint is not signed with the log's key".to_owned());
    }
    Ok((note, checkpoint))
}

fn damaged(error: &dyn Display) -> String {
    format!("the log cannot be read: {error}")
}

/// What `entry` says of `run`, if it says that something of it goes.
fn said(entry: &[u8], run: RunId) -> Option<Word> {
    let leaf = Leaf::parse(entry)?;
    let named = |value: &serde_json::Value| value.as_str() == Some(run.to_string().as_str());
    let runs = leaf.data.get("runs").and_then(|runs| runs.as_array());
    if leaf.run != Some(run) && !runs.is_some_and(|runs| runs.iter().any(named)) {
        return None;
    }
    match leaf.kind {
        LeafKind::Purge => Some(Word::Purged),
        LeafKind::Archive => Some(Word::Archived),
        LeafKind::Restore => Some(Word::Restored),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

    #[test]
    fn only_an_entry_that_says_so_lets_a_run_go() {
        let run: RunId = RUN.parse().expect("an id");
        let entry = |kind: &str, more: &str| {
            format!(
                "{{\"format\":\"exhibit-log/1\",\"kind\":\"{kind}\",{more},\"time\":\"2026-11-29T00:00:00.000Z\"}}"
            )
        };
        let own = format!("\"run\":\"{RUN}\"");
        let said = |entry: &str| said(entry.as_bytes(), run);
        assert_eq!(said(&entry("purge", &own)), Some(Word::Purged));
        let several = format!("\"runs\":[\"{RUN}\"]");
        assert_eq!(said(&entry("archive", &several)), Some(Word::Archived));
        assert_eq!(said(&entry("restore", &own)), Some(Word::Restored));
        for kind in ["open", "hold", "import", "finding"] {
            assert_eq!(said(&entry(kind, &own)), None, "{kind}");
        }
        assert_eq!(said(&entry("purge", &own.replace("8b57", "8b58"))), None, "another run");
        assert_eq!(said("purge"), None);
    }
}
