//! Owns the taking up of a run that a crash left open: cuts a torn last line, removes files cut
//! short and what a half-done seal wrote, and tells all of it. Repairs nothing that was
//! acknowledged, and hides no damage.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::BufReader;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::chain::{self, Line, Tip};
use super::draft::{Draft, RunLocation};
use super::error::StoreError;
use super::layout::{self, EVENTS, RECORD};
use super::leftovers;
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::disk::{self, Appending};
use crate::run::{Actor, Ending, Event, Opening};
use crate::workflow::Tally;

/// Largest file of a run: what a bundle can hold.
const MAX_FILE: u64 = 8_589_934_591;
/// Most bytes of a file that take no room on disk: a file system may pack what repeats itself.
const MAX_HOLES: u64 = 1 << 30;

/// What recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Salvage {
    /// The last line was cut short, and so was never acknowledged; it was removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torn: Option<Torn>,
    /// Files that were removed: cut short, or written by a seal that was not finished.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Files that no event tells of: kept.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unnamed: Vec<String>,
    /// Files that an event tells of and that are gone: damage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Files that are not as an event tells: damage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Lines of the chain, from 1, that are no events or do not follow: damage.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub broken: Vec<u64>,
    /// Events that the log does not hold: only their own chain binds them, and whoever has the files
    /// could have written them while no daemon ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlogged: Option<Unlogged>,
    /// How the run was about to be sealed when it was cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
}

/// Lines of a chain, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Unlogged {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

/// A last line that was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Torn {
    /// Its length in bytes.
    pub length: u64,
    /// Its SHA-256.
    pub sha256: Digest,
}

impl Salvage {
    /// The event that tells of the recovery.
    pub fn event(&self) -> Event {
        let data = serde_json::to_value(self).expect("a salvage is plain data");
        Event::exhibit(chain::RECOVERED, data)
    }

    /// How the run ends, if the log holds that it was about to be sealed so: the last line of a chain can
    /// be written by whoever has the files while no daemon runs.
    pub fn logged_ending(&self) -> Option<Ending> {
        self.ending.clone().filter(|_| self.unlogged.is_none())
    }

    /// Whether something that was acknowledged is no longer as it was.
    pub fn is_damaged(&self) -> bool {
        !(self.missing.is_empty() && self.changed.is_empty() && self.broken.is_empty())
    }
}

/// Take up the open run at `place`, of whose chain the log holds the first `logged` events, where it
/// stands in one.
pub(super) fn resume(
    place: RunLocation,
    logged: Option<u64>,
) -> Result<(Draft, Salvage), StoreError> {
    let path = place.folder.join(EVENTS);
    if !place.folder.is_dir() {
        return Err(StoreError::NotFound { path: place.folder });
    }
    let mut salvage = Salvage::default();
    let mut chain = Scanned::read(&path, &mut salvage)?;
    let first = logged.map(|logged| logged + 1).filter(|first| *first <= chain.lines);
    salvage.unlogged = first.map(|first| Unlogged { first, last: chain.lines });
    salvage.removed = leftovers::clear(&place.folder)?;
    remove_impossible(&place.folder.join("data"), "data", &mut salvage.removed)?;
    let artifacts = compare(&place.folder, &chain.named, &mut salvage)?;
    if salvage.torn.is_some() {
        disk::truncate(&path, chain.length).map_err(StoreError::at(&path))?;
    }
    // What follows from the recovery follows from it before its event is in the chain: that comes with
    // the next one.
    let recovered = salvage.event();
    chain.tally.take(chain.lines + 1, recovered.actor, &recovered.kind, &recovered.data);
    let opening = chain.opening.ok_or_else(|| StoreError::Damaged {
        path: path.clone(),
        what: "it does not begin with a readable run.opened event".to_owned(),
    })?;
    disk::set_mode(&path, 0o600).map_err(StoreError::at(&path))?;
    let draft = Draft {
        opening: opening.0,
        opened_at: opening.1,
        log: Appending::open(&path).map_err(StoreError::at(&path))?,
        place,
        tip: chain.tip,
        lines: chain.lines,
        captures: chain.captures,
        tally: chain.tally,
        artifacts,
        growing: BTreeMap::new(),
        origin: None,
        latest: None,
        recovered: Some(recovered),
        damaged: salvage.is_damaged(),
        closing: None,
        first_event: chain.first,
        bound: None,
        published: None,
    };
    Ok((draft, salvage))
}

/// What the chain of an open run holds.
#[derive(Debug)]
struct Scanned {
    opening: Option<(Opening, String)>,
    /// Digest of the first line.
    first: Digest,
    tip: Tip,
    lines: u64,
    /// Length in bytes of all whole lines.
    length: u64,
    captures: u64,
    tally: Tally,
    named: HashMap<String, Artifact>,
}

impl Scanned {
    fn read(path: &Path, salvage: &mut Salvage) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(StoreError::at(path))?;
        let mut chain = Self {
            opening: None,
            first: Digest::ZERO,
            tip: Tip::START,
            lines: 0,
            length: 0,
            captures: 0,
            tally: Tally::default(),
            named: HashMap::new(),
        };
        for line in chain::lines(BufReader::new(file)) {
            let line = line.map_err(StoreError::at(path))?;
            if !line.whole {
                let length = line.bytes.len() as u64;
                salvage.torn = Some(Torn { length, sha256: Digest::of(&line.bytes) });
                break;
            }
            chain.lines += 1;
            chain.length += line.bytes.len() as u64 + 1;
            salvage.ending = None;
            let parsed = line.parse();
            if !parsed.as_ref().is_ok_and(|parsed| chain.follows(parsed)) {
                salvage.broken.push(chain.lines);
            }
            chain.tip = Tip {
                sequence: parsed.as_ref().map_or(chain.tip.sequence + 1, |line| line.sequence),
                sha256: Digest::of(&line.bytes),
            };
            if chain.lines == 1 {
                chain.first = chain.tip.sha256;
            }
            if let Ok(parsed) = parsed {
                chain.take(parsed, salvage);
            }
        }
        Ok(chain)
    }

    fn follows(&self, line: &Line) -> bool {
        line.previous == self.tip.sha256 && line.sequence == self.tip.sequence + 1
    }

    fn take(&mut self, line: Line, salvage: &mut Salvage) {
        self.tally.take(self.lines, line.actor, &line.kind, &line.data);
        let named = chain::artifacts_stated(&line);
        self.named.extend(named.into_iter().map(|artifact| (artifact.path.clone(), artifact)));
        if line.actor != Actor::Exhibit {
            return;
        }
        match line.kind.as_str() {
            chain::OPENED if self.lines == 1 => {
                let opening = serde_json::from_value(Value::Object(line.data)).ok();
                self.opening = opening.map(|opening| (opening, line.time));
            }
            chain::SEALED => salvage.ending = serde_json::from_value(Value::Object(line.data)).ok(),
            chain::CAPTURED => self.captures += 1,
            _ => {}
        }
    }
}

/// The files that are there, and how they compare with what the events tell.
fn compare(
    folder: &Path,
    named: &HashMap<String, Artifact>,
    salvage: &mut Salvage,
) -> Result<BTreeMap<String, Artifact>, StoreError> {
    let mut artifacts = BTreeMap::new();
    let data = folder.join("data");
    collect(&data, "data", &mut artifacts)?;
    for artifact in artifacts.values_mut() {
        match named.get(&artifact.path) {
            None => salvage.unnamed.push(artifact.path.clone()),
            Some(told) => {
                artifact.media_type.clone_from(&told.media_type);
                if told.sha256 != artifact.sha256 {
                    salvage.changed.push(artifact.path.clone());
                }
            }
        }
    }
    let gone = named.keys().filter(|path| !artifacts.contains_key(*path));
    salvage.missing = gone.cloned().collect();
    salvage.missing.sort();
    Ok(artifacts)
}

/// Remove files that no writer of ours leaves, and that nobody could hash in time: larger than a bundle
/// holds, or with nothing in most of it. Which those were is told.
fn remove_impossible(
    folder: &Path,
    name: &str,
    removed: &mut Vec<String>,
) -> Result<(), StoreError> {
    for entry in layout::entries(folder).map_err(StoreError::at(folder))? {
        let path = format!("{name}/{}", entry.name.to_string_lossy());
        if entry.kind.is_dir() {
            remove_impossible(&entry.path, &path, removed)?;
        } else if entry.kind.is_file() && path != EVENTS {
            let found = entry.path.symlink_metadata().map_err(StoreError::at(&entry.path))?;
            let holes = found.len().saturating_sub(found.blocks().saturating_mul(512));
            if found.len() > MAX_FILE || holes > MAX_HOLES {
                disk::remove_file(&entry.path).map_err(StoreError::at(&entry.path))?;
                removed.push(path);
            }
        }
    }
    Ok(())
}

fn collect(
    folder: &Path,
    name: &str,
    artifacts: &mut BTreeMap<String, Artifact>,
) -> Result<(), StoreError> {
    for entry in layout::entries(folder).map_err(StoreError::at(folder))? {
        let path = format!("{name}/{}", entry.name.to_string_lossy());
        if entry.kind.is_dir() {
            collect(&entry.path, &path, artifacts)?;
        } else if entry.kind.is_file() && path != EVENTS && path != RECORD {
            let read = File::open(&entry.path).and_then(Digest::of_reader);
            let (sha256, size_bytes) = read.map_err(StoreError::at(&entry.path))?;
            let media_type = layout::media_type_of(&path).to_owned();
            artifacts.insert(path.clone(), Artifact { path, media_type, size_bytes, sha256 });
        }
    }
    Ok(())
}
