//! Owns the log's word on what of a run may go, as the guard takes it: by an entry that a checkpoint
//! with the log's signature covers, in a log that goes on from all that the guard has seen of it, with
//! every entry since then read and covered as well. By nothing else.

use std::fmt::Display;
use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::disk;
use crate::evidence::log::{self, Leaf, LeafKind, LogReader, TreeReader};
use crate::id::RunId;
use crate::integrity::memory::Memory;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::VerifierKey;
use crate::tlog::tile::{HEIGHT, WIDTH};
use crate::tlog::tree;

/// What the log says last of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// It was purged: nothing of it stays.
    Purged,
    /// It became the archive with this digest, in whose favour its folder goes.
    Archived(Digest),
    /// It became a folder again, the one whose `seal.json` has this digest, in whose favour its
    /// archive goes.
    Restored(Digest),
}

impl Word {
    /// Which of the three.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Purged => "purged",
            Self::Archived(_) => "archived",
            Self::Restored(_) => "restored",
        }
    }
}

/// The log of a store, as the guard reads it.
#[derive(Debug)]
pub(super) struct Log {
    /// The store.
    pub store: PathBuf,
    /// The public key of the log.
    pub key: VerifierKey,
    /// What was seen of it.
    pub memory: Memory,
}

impl Log {
    fn reader(&self) -> LogReader {
        LogReader::of_store(&self.store)
    }

    /// The newest checkpoint, which is signed and goes on from what was seen; it is seen from now on.
    ///
    /// # Errors
    /// Why there is none that counts, in words.
    pub(super) fn checkpoint(&self) -> Result<Checkpoint, String> {
        let reader = self.reader();
        let (note, checkpoint) = reader.checkpoint().map_err(|error| damaged(&error))?;
        if note.signed_by(&self.key).is_none() {
            return Err("the log's checkpoint is not signed with the log's key".to_owned());
        }
        self.memory.check(&reader, &checkpoint)?;
        // What a crash could still undo must not be remembered: the log would never go on from it.
        disk::sync_dir(&self.store.join(log::FOLDER)).map_err(|error| damaged(&error))?;
        self.memory.see_checkpoint(&checkpoint)?;
        Ok(checkpoint)
    }

    /// The word on `run`.
    ///
    /// # Errors
    /// Why there is none that counts, in words.
    pub(super) fn word(&self, run: RunId) -> Result<Word, String> {
        let checkpoint = self.checkpoint()?;
        let mut restored = false;
        for bundle in (0..checkpoint.size.div_ceil(WIDTH)).rev() {
            let entries = self.bundle(bundle, &checkpoint)?;
            for said in entries.iter().rev().filter_map(|entry| run_log_entry(entry, run)) {
                match said {
                    // Its seal stands further ahead.
                    RunLogEntry::Restored => restored = true,
                    RunLogEntry::Sealed(seal) if restored => return Ok(Word::Restored(seal)),
                    RunLogEntry::Archived(_) | RunLogEntry::Sealed(_) if restored => {}
                    RunLogEntry::Sealed(_) => break,
                    RunLogEntry::PutBack => {
                        return Err(format!("the log says that {run} was put back; it stays"));
                    }
                    RunLogEntry::Purged => return Ok(Word::Purged),
                    RunLogEntry::Archived(sha256) => return Ok(Word::Archived(sha256)),
                }
            }
        }
        Err(format!("the log holds no purge of {run}; what is sealed stays until it does"))
    }

    /// The entries of the bundle `number`, all of which `checkpoint` covers: one that was changed
    /// could hide a newer word.
    fn bundle(&self, number: u64, checkpoint: &Checkpoint) -> Result<Vec<Vec<u8>>, String> {
        let reader = self.reader();
        let entries = reader.bundle(number, checkpoint.size).map_err(|error| damaged(&error))?;
        let tree = TreeReader::new(&reader, checkpoint.size);
        let covered = is_covered(&tree, &entries, number * WIDTH, checkpoint);
        if covered.map_err(|error| damaged(&error))? {
            Ok(entries)
        } else {
            Err("the log's entries are not those that its checkpoint covers".to_owned())
        }
    }
}

/// Whether `checkpoint` covers all of `entries`, the first of which has the index `first`.
fn is_covered(
    tree: &TreeReader<'_>,
    entries: &[Vec<u8>],
    first: u64,
    checkpoint: &Checkpoint,
) -> io::Result<bool> {
    let (size, root) = (checkpoint.size, checkpoint.root);
    let hashes: Vec<Digest> = entries.iter().map(|entry| tree::leaf_hash(entry)).collect();
    if hashes.len() as u64 == WIDTH {
        let mut proof = tree::inclusion_proof(tree, first, size)?;
        // What stands beside the first is made of the others here, not of what a tile says.
        for (level, beside) in proof.iter_mut().take(HEIGHT as usize).enumerate() {
            let others = &hashes[1 << level..2 << level];
            *beside = tree::root_over(others).expect("a power of two has a root");
        }
        return Ok(tree::verify_inclusion(hashes[0], first, size, &proof, root));
    }
    for (index, hash) in (first..).zip(hashes) {
        let proof = tree::inclusion_proof(tree, index, size)?;
        if !tree::verify_inclusion(hash, index, size, &proof, root) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn damaged(error: &dyn Display) -> String {
    format!("the log cannot be read: {error}")
}

/// What one entry says of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RunLogEntry {
    Purged,
    Archived(Digest),
    Restored,
    /// It was lost and came back from a bundle.
    PutBack,
    /// The entry is its `seal.json`, with this digest.
    Sealed(Digest),
}

/// What `entry` says of `run`, if it says that something of it goes or comes.
fn run_log_entry(entry: &[u8], run: RunId) -> Option<RunLogEntry> {
    let leaf = Leaf::parse(entry)?;
    let named = |value: &serde_json::Value| value.as_str() == Some(run.to_string().as_str());
    let runs = leaf.data.get("runs").and_then(|runs| runs.as_array());
    if leaf.run != Some(run) && !runs.is_some_and(|runs| runs.iter().any(named)) {
        return None;
    }
    match leaf.kind {
        LeafKind::Purge => Some(RunLogEntry::Purged),
        LeafKind::Archive => {
            let sha256 = leaf.data.get("sha256").and_then(|it| it.as_str()?.parse().ok());
            // One without a digest is in nobody's favour.
            Some(RunLogEntry::Archived(sha256.unwrap_or(Digest::ZERO)))
        }
        LeafKind::Restore => Some(RunLogEntry::Restored),
        LeafKind::Import if leaf.data.get("kept").is_none_or(|kept| kept != true) => {
            Some(RunLogEntry::PutBack)
        }
        LeafKind::Seal => Some(RunLogEntry::Sealed(Digest::of(entry))),
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
        let said = |entry: &str| run_log_entry(entry.as_bytes(), run);
        assert_eq!(said(&entry("purge", &own)), Some(RunLogEntry::Purged));
        let several = format!("\"runs\":[\"{RUN}\"]");
        assert_eq!(said(&entry("archive", &several)), Some(RunLogEntry::Archived(Digest::ZERO)));
        let digest = Digest::of(b"archive");
        let archive = format!("{own},\"sha256\":\"{digest}\"");
        assert_eq!(said(&entry("archive", &archive)), Some(RunLogEntry::Archived(digest)));
        assert_eq!(said(&entry("restore", &own)), Some(RunLogEntry::Restored));
        assert_eq!(said(&entry("import", &several)), Some(RunLogEntry::PutBack));
        assert_eq!(said(&entry("import", &format!("{several},\"kept\":true"))), None);
        for kind in ["open", "hold", "finding"] {
            assert_eq!(said(&entry(kind, &own)), None, "{kind}");
        }
        assert_eq!(said(&entry("purge", &own.replace("8b57", "8b58"))), None, "another run");
        assert_eq!(said("purge"), None);
    }
}
