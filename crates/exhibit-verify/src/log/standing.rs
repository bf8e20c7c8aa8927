//! Owns what the log says of the keeping of runs, folded from its entries: which legal holds stand on
//! which run, which runs were purged, and which bundles of other stores are kept. The log is the truth; this is read from it at each start,
//! and grows with it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::leaf::{Leaf, LeafKind};
use super::reader::LogReader;
use crate::error::StoreError;
use crate::id::RunId;
use crate::run::Caller;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;

/// A legal hold that stands on a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// The run.
    pub run: RunId,
    /// For the sake of which matter; none where none was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matter: Option<String>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Since when, RFC 3339, UTC.
    pub since: String,
    /// Who put it there, where the entry says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Caller>,
    /// Index of its entry in the log.
    pub log_index: u64,
}

/// What the log keeps of a run that was purged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tombstone {
    /// The run.
    pub run: RunId,
    /// Index of its entry in the log.
    pub log_index: u64,
    /// When it was purged, RFC 3339, UTC.
    pub time: String,
    /// All that the entry says.
    #[serde(flatten)]
    pub data: Map<String, Value>,
}

/// What the log says of the archive of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archived {
    /// Digest of the file.
    pub sha256: Digest,
    /// Its size in bytes, where the entry says so.
    pub size: Option<u64>,
    /// Index of the last entry about it.
    pub log_index: u64,
    /// Whether that entry says that it became a folder again.
    pub restored: bool,
}

/// What the log says of a bundle of another store that was taken in and is kept as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeptImport {
    /// Digest of the bundle.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// The runs in it.
    pub runs: Vec<RunId>,
    /// Names of the logs that its proofs lead to, by its own word.
    pub origins: Vec<String>,
    /// When it was taken in, RFC 3339, UTC.
    pub imported_at: String,
    /// Before when it must not be purged, RFC 3339, UTC, where the entry says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept_until: Option<String>,
    /// Who took it in, where the entry says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<Caller>,
    /// Index of its entry in the log.
    pub log_index: u64,
}

impl KeptImport {
    /// What `leaf`, the entry `index`, says of a bundle that is kept; none when it tells of something
    /// else.
    pub fn from_leaf(index: u64, leaf: &Leaf) -> Option<Self> {
        let field = |name: &str| leaf.data.get(name).cloned().unwrap_or_default();
        if leaf.kind != LeafKind::Import || field("kept") != Value::Bool(true) {
            return None;
        }
        Some(Self {
            sha256: serde_json::from_value(field("sha256")).ok()?,
            size: field("size").as_u64().unwrap_or(0),
            runs: serde_json::from_value(field("runs")).unwrap_or_default(),
            origins: serde_json::from_value(field("origins")).unwrap_or_default(),
            imported_at: leaf.time.clone(),
            kept_until: serde_json::from_value(field("kept_until")).ok(),
            by: serde_json::from_value(field("by")).ok(),
            log_index: index,
        })
    }
}

/// The digest of the kept bundle of whose purge `leaf` tells, if it does.
pub fn purged_import(leaf: &Leaf) -> Option<Digest> {
    let told = leaf.kind == LeafKind::PurgeImport;
    leaf.data.get("sha256").filter(|_| told)?.as_str()?.parse().ok()
}

/// What stands.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    holds: BTreeMap<RunId, Vec<Hold>>,
    purged: BTreeMap<RunId, Tombstone>,
    archived: BTreeMap<RunId, Archived>,
    imports: BTreeMap<Digest, KeptImport>,
    /// Kept bundles that were purged.
    purged_imports: BTreeSet<Digest>,
    /// Events of custody.
    custody: u64,
}

impl Standing {
    /// What the log of the store at `root` says, as far as the checkpoint `at`, which the caller believes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn at(root: &Path, at: &Checkpoint) -> Result<Self, StoreError> {
        let mut standing = Self::default();
        LogReader::of_store(root).each_in(at, |index, entry| {
            if let Some(leaf) = speaks_of_keeping(entry).then(|| Leaf::parse(entry)).flatten() {
                standing.take(index, &leaf);
            }
        })?;
        Ok(standing)
    }

    /// Take over what `leaf`, the entry `index`, says; other kinds say nothing here.
    pub fn take(&mut self, index: u64, leaf: &Leaf) {
        if leaf.kind == LeafKind::Custody {
            let count = leaf.data.get("count").and_then(Value::as_u64);
            self.custody = self.custody.max(count.unwrap_or(0));
        }
        if let Some(kept) = KeptImport::from_leaf(index, leaf) {
            self.purged_imports.remove(&kept.sha256);
            self.imports.insert(kept.sha256, kept);
        }
        if let Some(sha256) = purged_import(leaf) {
            self.imports.remove(&sha256);
            self.purged_imports.insert(sha256);
        }
        let Some(run) = leaf.run else { return };
        let text = |name: &str| Some(leaf.data.get(name)?.as_str()?.to_owned());
        let matter = text("matter");
        match leaf.kind {
            LeafKind::Hold => {
                let by = leaf.data.get("by").and_then(|by| serde_json::from_value(by.clone()).ok());
                let reason = text("reason").unwrap_or_default();
                let since = leaf.time.clone();
                let hold = Hold { run, matter, reason, since, by, log_index: index };
                self.holds.entry(run).or_default().push(hold);
            }
            LeafKind::Release => {
                if let Some(holds) = self.holds.get_mut(&run) {
                    holds.retain(|hold| hold.matter != matter);
                    if holds.is_empty() {
                        self.holds.remove(&run);
                    }
                }
            }
            LeafKind::Purge => {
                let mut data = leaf.data.clone();
                data.retain(|name, _| !["run", "time", "format", "kind"].contains(&name.as_str()));
                let time = leaf.time.clone();
                let tombstone = Tombstone { run, log_index: index, time, data };
                self.purged.entry(run).or_insert(tombstone);
                self.archived.remove(&run);
            }
            LeafKind::Archive => {
                let sha256 = text("sha256").and_then(|it| it.parse().ok()).unwrap_or(Digest::ZERO);
                let size = leaf.data.get("size").and_then(Value::as_u64);
                let archived = Archived { sha256, size, log_index: index, restored: false };
                self.archived.insert(run, archived);
            }
            LeafKind::Restore => {
                if let Some(archived) = self.archived.get_mut(&run) {
                    (archived.restored, archived.log_index) = (true, index);
                }
            }
            _ => {}
        }
    }

    /// How many events of custody the log states.
    pub fn custody(&self) -> u64 {
        self.custody
    }

    /// What is kept of `run`, if it was purged.
    pub fn tombstone(&self, run: RunId) -> Option<&Tombstone> {
        self.purged.get(&run)
    }

    /// The archive of `run`, while it is archived.
    pub fn archive(&self, run: RunId) -> Option<Archived> {
        self.archived.get(&run).copied().filter(|archived| !archived.restored)
    }

    /// The runs that are archived.
    pub fn archives(&self) -> impl Iterator<Item = (RunId, Archived)> {
        let stand = self.archived.iter().filter(|(_, archived)| !archived.restored);
        stand.map(|(run, archived)| (*run, *archived))
    }

    /// What the last entry about an archive of `run` says, also where it became a folder again.
    pub fn last_archive(&self, run: RunId) -> Option<Archived> {
        self.archived.get(&run).copied()
    }

    /// What the log says of the bundle of another store with this digest, if it is kept.
    pub fn import(&self, sha256: Digest) -> Option<&KeptImport> {
        self.imports.get(&sha256)
    }

    /// Digests of the bundles of other stores that were purged, and not taken in again.
    pub fn purged_imports(&self) -> &BTreeSet<Digest> {
        &self.purged_imports
    }

    /// The bundles of other stores that are kept, by digest.
    pub fn imports(&self) -> impl Iterator<Item = &KeptImport> {
        self.imports.values()
    }

    /// The holds on `run`, oldest first.
    pub fn holds(&self, run: RunId) -> &[Hold] {
        self.holds.get(&run).map_or(&[], Vec::as_slice)
    }

    /// The hold on `run` for the sake of `matter`.
    pub fn hold(&self, run: RunId, matter: Option<&str>) -> Option<&Hold> {
        self.holds(run).iter().find(|hold| hold.matter.as_deref() == matter)
    }

    /// All holds, by run.
    pub fn all_holds(&self) -> impl Iterator<Item = &Hold> {
        self.holds.values().flatten()
    }
}

/// Whether an entry may be about the keeping of a run: spares the reading of all others.
fn speaks_of_keeping(entry: &[u8]) -> bool {
    let kinds =
        ["hold", "release", "purge", "custody", "archive", "restore", "import", "purge-import"];
    let kinds = kinds.map(|kind| format!("\"kind\":\"{kind}\""));
    std::str::from_utf8(entry).is_ok_and(|text| kinds.iter().any(|kind| text.contains(kind)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

    fn leaf(kind: &str, matter: Option<&str>) -> Leaf {
        let mut entry = json!({
            "format": "exhibit-log/1", "kind": kind, "time": "2026-11-24T08:15:46.120Z",
            "run": RUN, "reason": "r", "by": { "via": "socket", "uid": 0, "gid": 0, "pid": 1 },
        });
        if let Some(matter) = matter {
            entry["matter"] = json!(matter);
        }
        Leaf::parse(&serde_json::to_vec(&entry).expect("JSON")).expect("an entry")
    }

    #[test]
    fn a_release_ends_the_hold_of_its_matter_and_no_other() {
        let (mut standing, run) = (Standing::default(), RUN.parse().expect("an id"));
        for (index, (kind, matter)) in
            [("hold", None), ("hold", Some("a")), ("hold", Some("b")), ("release", Some("a"))]
                .into_iter()
                .enumerate()
        {
            standing.take(index as u64, &leaf(kind, matter));
        }
        let indices: Vec<u64> = standing.holds(run).iter().map(|hold| hold.log_index).collect();
        assert_eq!(indices, [0, 2]);
        assert!(standing.hold(run, Some("a")).is_none() && standing.hold(run, None).is_some());
        standing.take(4, &leaf("release", None));
        standing.take(5, &leaf("release", Some("b")));
        assert_eq!((standing.holds(run).len(), standing.all_holds().count()), (0, 0));
        // One that was never there changes nothing.
        standing.take(6, &leaf("release", Some("b")));
        assert_eq!(standing.all_holds().count(), 0);
    }
}
