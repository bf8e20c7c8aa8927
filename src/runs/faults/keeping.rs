//! Keys exchanged, the store taken up, a purge finished that was cut short, runs held, looked at and
//! purged.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::{DaemonFolder, Life, operator, purge_all, try_life, try_two_crashes};
use crate::clock::rfc3339_millis;
use crate::error::chain;
use crate::evidence::log::leaf;
use crate::evidence::{Act, CustodyEvent, RunSummary, Signers, custody_lines, seal_digest};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::request::HoldRequest;
use crate::run::Reader;
use crate::runs::access::accessor::decided;
use crate::runs::{Accessor, Runs};

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 23;
const DAY: Duration = Duration::from_hours(24);

/// What somebody was told, and so must hold.
#[derive(Debug, Default)]
struct Acknowledged {
    sealed: Vec<Receipt>,
    held: Vec<RunId>,
    seen: Vec<RunId>,
    purged: Vec<RunId>,
    /// Fingerprints of keys: one that was to be next, those that signed.
    keys: Vec<String>,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

/// A daemon on a disk that can fail.
struct Trial {
    place: DaemonFolder,
    /// Due; due and to be held; due, and its purge was cut short.
    runs: [RunId; 3],
    told: Acknowledged,
}

impl Trial {
    fn new() -> Self {
        let place = DaemonFolder::new();
        let runs = place.open().expect("a store");
        let sealed = [(); 3].map(|()| place.sealed(&runs).expect("sealed").run);
        place.clock.advance(2 * DAY);
        let trial = Self { place, runs: sealed, told: Acknowledged::default() };
        trial.cut_short(&runs, sealed[2]);
        trial
    }

    /// The purge of `run` is in the log, and that is all.
    fn cut_short(&self, runs: &Runs, run: RunId) {
        let asked = purge_all();
        let folder = runs.0.context.store.folder_of(run);
        let summary = RunSummary::read(&folder).expect("readable");
        let buried = leaf::Burial {
            run,
            workflow: &summary.workflow,
            seal_index: runs.0.context.log.places(&[run]).expect("found")[&run].seal,
            seal_sha256: seal_digest(&folder),
            sealed_at: &summary.sealed_at,
            kept_until: rfc3339_millis(runs.retention().kept_until(&summary)),
            retention: summary.retention.as_ref(),
            damage: &BTreeSet::new(),
            reason: &asked.reason,
            by: &operator(),
        };
        runs.0.context.store.mark_purge(run).expect("marked");
        let event = decided(&operator(), Act::Purge, vec![run], json!({}));
        let entry = leaf::purge(&buried, self.place.clock.now());
        runs.retention().decisions().lock().record(event, vec![entry]).expect("put down");
    }

    /// What is not as it was told, or neither there nor gone.
    fn runs_wrong(&self, runs: &Runs) -> Vec<String> {
        let mut wrong = Vec::new();
        for run in self.runs {
            let there = runs.0.context.store.folder_of(run).is_dir();
            let indexed = runs.0.catalog.index().get(run).expect("read").is_some();
            if runs.retention().decisions().tombstone(run).is_some() == there || there != indexed {
                wrong.push(format!("{run}: there is {there}, indexed {indexed}"));
            }
        }
        let [_, held, cut_short] = self.runs;
        let purged = self.told.purged.iter().chain([&cut_short]);
        let stayed = purged.filter(|run| runs.retention().decisions().tombstone(**run).is_none());
        wrong.extend(stayed.map(|run| format!("the purge of {run} is gone")));
        if runs.retention().decisions().tombstone(held).is_some() && self.told.held.contains(&held)
        {
            wrong.push("a run was purged that is held".to_owned());
        }
        let let_go =
            self.told.held.iter().filter(|run| runs.retention().holds_on(**run).is_empty());
        wrong.extend(let_go.map(|run| format!("the hold on {run} is gone")));
        let sealed = |receipt: &&Receipt| {
            let folder = runs.0.context.store.folder_of(receipt.run);
            seal_digest(&folder) != Some(receipt.seal_sha256)
        };
        let lost = self.told.sealed.iter().filter(sealed);
        wrong.extend(lost.map(|receipt| format!("the seal of {} is gone", receipt.run)));
        wrong
    }
}

impl Life for Trial {
    fn place(&self) -> &DaemonFolder {
        &self.place
    }

    fn copy(&self) -> Self {
        Self { place: self.place.copy(), runs: self.runs, told: Acknowledged::default() }
    }

    fn live(&mut self) {
        let (place, told) = (&self.place, &mut self.told);
        // Refused the second time because it waits already: so it was done, and not told.
        told.keys.extend(place.rotate().or_else(|_| place.rotate()));
        let Some(runs) = place.twice("open", &mut told.refused, DaemonFolder::open) else { return };
        told.keys.push(runs.0.signing.key().fingerprint());
        let [due, held, _] = self.runs;
        let asked = || HoldRequest { runs: vec![held], reason: "a suit".to_owned(), matter: None };
        // What is in doubt the second time says so: it is held already.
        if place.wait(runs.retention().hold(asked(), &operator())).is_ok()
            || place.wait(runs.retention().hold(asked(), &operator())).is_ok()
        {
            told.held.push(held);
        }
        let accessor = Accessor::caller(operator(), Reader::Everything);
        let look =
            |place: &DaemonFolder| place.wait(runs.disclosure().look(due, &accessor)).map(drop);
        let seen = place.twice("look", &mut told.refused, look);
        told.seen.extend(seen.map(|()| due));
        let sealed = place.twice("seal", &mut told.refused, |place| place.sealed(&runs));
        told.sealed.extend(sealed);
        if told.held.contains(&held) {
            let purge = |place: &DaemonFolder| place.wait(runs.purge(purge_all(), &operator()));
            let purged = place.twice("purge", &mut told.refused, purge);
            let purged = purged.iter().flat_map(|done| &done.purged).map(|going| going.run);
            told.purged.extend(purged);
        }
        drop(place.begun(&runs));
        place.wait(runs.stopped());
    }

    fn wrong(&self) -> Vec<String> {
        let runs = match self.place.open() {
            Ok(runs) => runs,
            Err(problem) => return vec![format!("no start: {}", chain(&problem))],
        };
        let mut wrong = self.place.wrong(&runs);
        wrong.extend(self.runs_wrong(&runs));
        let signers = Signers::open(&self.place.config.keys.signers_file()).expect("a history");
        let known = |key: &&String| signers.keys().iter().any(|epoch| epoch.fingerprint == **key);
        let unknown = self.told.keys.iter().filter(|key| !known(key));
        wrong.extend(unknown.map(|key| format!("the key {key} is gone")));
        if self.told.keys.first().is_some_and(|key| *key != runs.0.signing.key().fingerprint()) {
            wrong.push("another key signs than the one that was to be next".to_owned());
        }
        let mut seen = Vec::new();
        custody_lines(runs.root(), |_, _, line, _| {
            let event: CustodyEvent = serde_json::from_slice(line).expect("an event");
            seen.extend(event.runs.into_iter().map(|run| (event.act, run)));
            false
        })
        .expect("readable");
        let unseen = self.told.seen.iter().filter(|run| !seen.contains(&(Act::View, **run)));
        wrong.extend(unseen.map(|run| format!("who looked at {run} is gone")));
        // What is over stands in the way of nothing.
        wrong.extend(self.place.rotate().err().map(|error| format!("no other key: {error}")));
        wrong
    }

    fn refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told.refused)
    }

    fn is_all_told(&self) -> bool {
        let told = &self.told;
        let counts = [told.sealed.len(), told.held.len(), told.seen.len(), told.purged.len()];
        (counts, told.keys.len()) == ([1, 1, 1, 1], 2)
    }
}

#[test]
fn a_disk_that_fails_at_any_step_undoes_no_hold_no_purge_and_no_key() {
    try_life(Trial::new(), STRIDE);
}

#[test]
fn two_crashes_in_a_row_undo_none_either() {
    try_two_crashes(Trial::new(), STRIDE);
}
