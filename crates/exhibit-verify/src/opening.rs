//! Owns what tells how far an open run must have come: the heads that the log holds of it, and what
//! one looks like that is only being opened.

use std::collections::HashMap;
use std::fs;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use exhibit_tlog::digest::Digest;
use serde_json::json;

use crate::chain;
use crate::disk::{self, PARTIAL_SUFFIX};
use crate::id::RunId;
use crate::layout::{self, EVENTS, PROVENANCE};
use crate::log::RunHead;

/// Whether `folder` holds nothing but the beginnings of a run: what there is between the rename that
/// makes it an open run and its entry in the log.
///
/// # Errors
/// What the system answers when it cannot tell.
pub fn is_newborn(folder: &Path, run: RunId) -> std::io::Result<bool> {
    // What is cut short is a file; nothing else that is called so is passed over.
    let others = |folder: &Path| -> std::io::Result<Vec<layout::FolderEntry>> {
        let mut entries = layout::entries(folder)?;
        entries.retain(|entry| {
            !entry.kind.is_file() || !entry.name.to_string_lossy().ends_with(PARTIAL_SUFFIX)
        });
        Ok(entries)
    };
    let is = |entry: &layout::FolderEntry, name: &str| entry.name == *name;
    match &others(folder)?[..] {
        [data] if is(data, "data") && data.kind.is_dir() => {}
        _ => return Ok(false),
    }
    let known = [EVENTS, PROVENANCE].map(|path| path.trim_start_matches("data/"));
    let begun = |entry: &layout::FolderEntry| {
        entry.kind.is_file() && known.iter().any(|name| is(entry, name))
    };
    if !others(&folder.join("data"))?.iter().all(begun) {
        return Ok(false);
    }
    let path = folder.join(EVENTS);
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        found => {
            found?;
        }
    }
    let mut lines = chain::lines(BufReader::new(disk::open_at_once(&path)?));
    let opens = |line: &chain::RawLine| {
        let line = line.parse().ok();
        line.is_some_and(|line| {
            line.kind == chain::OPENED && line.data.get("run") == Some(&json!(run))
        })
    };
    let first = lines.next().transpose()?.filter(|line| line.whole);
    Ok(first.is_none_or(|line| opens(&line)) && lines.next().is_none())
}

/// The heads that the log holds of a run, held against the lines of its chain one by one.
#[derive(Debug)]
pub struct Heads {
    /// By number of events: their digests, of which there is one in an honest log.
    wanted: HashMap<u64, Vec<Digest>>,
    /// Lines so far.
    pub lines: u64,
}

impl Heads {
    /// The heads `heads`, none of them met yet.
    pub fn of(heads: &[RunHead]) -> Self {
        let mut wanted: HashMap<u64, Vec<Digest>> = HashMap::new();
        for head in heads {
            wanted.entry(head.events).or_default().push(head.sha256);
        }
        Self { wanted, lines: 0 }
    }

    /// Take the next whole line, by its digest.
    pub fn take(&mut self, sha256: Digest) {
        self.lines += 1;
        if let Some(wanted) = self.wanted.get_mut(&self.lines) {
            wanted.retain(|head| *head != sha256);
        }
    }

    /// After the last line: the first event that the log holds and the chain does not.
    pub fn missing(&self) -> Option<(u64, Digest)> {
        let left = self.wanted.iter().filter_map(|(events, left)| Some((*events, *left.first()?)));
        left.min_by_key(|(events, _)| *events)
    }
}
