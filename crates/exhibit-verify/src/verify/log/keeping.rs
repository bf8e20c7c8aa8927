//! Owns the verification of purges: that each entry is founded on what the log says before it, and
//! that what was purged is not there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

use super::LogCheck;
use crate::finding::FindingCode;
use crate::id::RunId;
use crate::layout::{self, PURGING, aside_in};
use crate::log::{FOLDER, Leaf, LeafKind};
use crate::retention::Retention;
use exhibit_tlog::digest::Digest;

/// What the log says of the keeping of runs, as far as it was read.
#[derive(Debug, Default)]
pub(in crate::verify) struct Keeping {
    /// Days that were promised of runs when they were opened.
    promised: BTreeMap<RunId, Retention>,
    /// When runs were sealed last.
    sealed_at: BTreeMap<RunId, Timestamp>,
    /// Holds that stand, by run and matter.
    holds: BTreeSet<(RunId, Option<String>)>,
    /// Runs that were purged.
    purged: BTreeSet<RunId>,
    /// Digests of the archives that runs became, and whether they became folders again.
    pub(in crate::verify) archived: BTreeMap<RunId, (Digest, bool)>,
    /// How large these are, where the log says so.
    pub(in crate::verify) sizes: BTreeMap<RunId, u64>,
}

impl Keeping {
    pub(in crate::verify) fn is_purged(&self, run: RunId) -> bool {
        self.purged.contains(&run)
    }

    /// When `run` was sealed last, by its own word.
    pub(in crate::verify) fn sealed_at(&self, run: RunId) -> Option<Timestamp> {
        self.sealed_at.get(&run).copied()
    }

    /// Whether a hold stands on one of `runs`.
    pub(in crate::verify) fn holds_one_of(&self, runs: &[RunId]) -> bool {
        self.holds.iter().any(|(held, _)| runs.contains(held))
    }

    /// Take over an entry about `run`; what is wrong with a purge. `seal` is the digest of its last
    /// seal before this entry.
    pub(in crate::verify) fn take(
        &mut self,
        run: RunId,
        leaf: &Leaf,
        seal: Option<Digest>,
    ) -> Option<Wrong> {
        let text = |name: &str| leaf.data.get(name).and_then(Value::as_str);
        let matter = || text("matter").map(str::to_owned);
        match leaf.kind {
            LeafKind::Open => {
                let promised = leaf.data.get("retention").cloned();
                let promised = promised.and_then(|told| serde_json::from_value(told).ok());
                self.promised.extend(promised.map(|promised| (run, promised)));
            }
            LeafKind::Seal => self.sealed_at.extend(leaf.time.parse().ok().map(|time| (run, time))),
            LeafKind::Hold => drop(self.holds.insert((run, matter()))),
            LeafKind::Release => drop(self.holds.remove(&(run, matter()))),
            LeafKind::Purge => {
                let wrong = self.wrong_with(run, leaf, seal);
                self.purged.insert(run);
                self.archived.remove(&run);
                return wrong;
            }
            LeafKind::Archive => {
                let sha256 = text("sha256").and_then(|sha256| sha256.parse().ok());
                self.archived.insert(run, (sha256.unwrap_or(Digest::ZERO), false));
                self.sizes
                    .extend(leaf.data.get("size").and_then(Value::as_u64).map(|it| (run, it)));
            }
            LeafKind::Restore => {
                if let Some((_, restored)) = self.archived.get_mut(&run) {
                    *restored = true;
                }
            }
            _ => {}
        }
        None
    }

    fn wrong_with(&self, run: RunId, leaf: &Leaf, seal: Option<Digest>) -> Option<Wrong> {
        let stated = leaf.data.get("seal_sha256").and_then(Value::as_str);
        let stated: Option<Digest> = stated.and_then(|stated| stated.parse().ok());
        let Some(seal) = seal else {
            return Some(("a run that was sealed".to_owned(), "one that was not".to_owned()));
        };
        if self.holds.iter().any(|(held, _)| *held == run) {
            return Some(("a run that nobody holds".to_owned(), "one on hold".to_owned()));
        }
        // A damaged folder may have had another seal, or none; its entry says so.
        if stated != Some(seal) && leaf.data.get("damage").is_none() {
            let found = stated.map_or_else(|| "none".to_owned(), |stated| stated.to_string());
            return Some((seal.to_string(), found));
        }
        let sealed_at = *self.sealed_at.get(&run)?;
        let kept = Retention::kept_until(self.promised.get(&run), 0, sealed_at);
        let early = leaf.time.parse().is_ok_and(|time: Timestamp| time < kept);
        early.then(|| (format!("a time after {kept}"), leaf.time.clone()))
    }
}

/// What was expected of a purge, and what was found.
type Wrong = (String, String);

impl LogCheck<'_> {
    /// Hold the purge of `run` that the entry `index` tells of against what is before it.
    pub(in crate::verify) fn keeping(
        &mut self,
        run: RunId,
        index: u64,
        leaf: &Leaf,
        seal: Option<Digest>,
    ) {
        let again = leaf.kind == LeafKind::Purge && self.keeping.is_purged(run);
        let wrong = self.keeping.take(run, leaf, seal);
        if let Some((expected, found)) = wrong {
            let place = format!("{FOLDER}#{index}");
            self.add(FindingCode::PurgeUnfounded, place, expected, found);
        }
        self.report.purged += u64::from(leaf.kind == LeafKind::Purge && !again);
    }

    /// A hold names the seal of the run that it keeps, where that was sealed: `seal`, as the log holds it.
    pub(in crate::verify) fn held(
        &mut self,
        run: RunId,
        index: u64,
        leaf: &Leaf,
        seal: Option<Digest>,
    ) {
        let stated = leaf.data.get("seal_sha256").filter(|_| leaf.kind == LeafKind::Hold);
        let Some(stated) = stated.and_then(Value::as_str) else { return };
        if stated.parse().ok() != seal || seal.is_none() {
            let place = format!("{FOLDER}#{index}");
            let expected = seal.map_or_else(|| format!("no seal of {run}"), |it| it.to_string());
            self.add(FindingCode::HoldSealMismatch, place, expected, stated);
        }
    }

    /// Tell where something of `run` is there although it was purged.
    pub(in crate::verify) fn purged_run(&mut self, run: RunId) {
        if !self.keeping.is_purged(run) {
            return;
        }
        for place in [layout::sealed_place(run), layout::archived_place(run)] {
            if self.there(&place).is_ok_and(|there| there.is_some()) {
                let (expected, found) = ("nothing: it was purged", "its evidence");
                self.add(FindingCode::PurgedRunThere, place, expected, found);
            }
        }
    }

    /// Purged runs of which something is there.
    pub(in crate::verify) fn purged(&mut self) {
        for run in self.keeping.purged.clone() {
            self.purged_run(run);
        }
        let aside = aside_in(self.root).unwrap_or_else(|error| {
            self.unread(PURGING, &error);
            Vec::new()
        });
        for run in aside {
            if self.keeping.is_purged(run) {
                let place = layout::purging_place(run);
                self.add(FindingCode::PurgeUnfinished, place, "nothing", "a folder");
            }
        }
    }
}
