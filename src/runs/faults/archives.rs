//! Runs archived, restored, and purged as archives; and what was cut short of that before, once, or by
//! two crashes in a row.

use std::time::Duration;

use serde_json::json;

use super::{DaemonFolder, Life, operator, purge_all, try_life, try_two_crashes};
use crate::error::{Problem, chain};
use crate::evidence::Act;
use crate::evidence::log::leaf;
use crate::id::RunId;
use crate::request::{ArchiveRequest, PurgeRequest};
use crate::runs::Runs;
use crate::runs::access::accessor::decided;

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 61;
const DAY: Duration = Duration::from_hours(24);

/// What somebody was told, and so must hold.
#[derive(Debug, Default)]
struct Acknowledged {
    archived: bool,
    restored: bool,
    purged: bool,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

/// A daemon on a disk that can fail.
struct Trial {
    place: DaemonFolder,
    /// A folder; an archive; a folder whose archiving was cut short behind its entry; an archive whose
    /// restoring was cut short before its entry, and one behind it.
    runs: [RunId; 5],
    told: Acknowledged,
}

fn asked(run: RunId, restore: bool) -> ArchiveRequest {
    ArchiveRequest { runs: vec![run], older_than_days: None, dry_run: false, restore }
}

impl Trial {
    fn new() -> Self {
        let place = DaemonFolder::new();
        let runs = place.open().expect("a store");
        let sealed = [(); 5].map(|()| place.sealed(&runs).expect("sealed").run);
        place.clock.advance(2 * DAY);
        let trial = Self { place, runs: sealed, told: Acknowledged::default() };
        let [_, packed, cut, undone, back] = sealed;
        for run in [packed, undone, back] {
            trial.turn(&runs, run, false).expect("archived");
        }
        drop(runs);
        // Their archives are those of an earlier life.
        drop(trial.place.open().expect("a store"));
        let runs = trial.place.open().expect("a store");
        let (store, at) = (&runs.0.context.store, trial.place.clock.now());
        let (sha256, size) = store.write_archive(cut).expect("written");
        store.mark_archiving(cut, false).expect("marked");
        let entry = leaf::archive(cut, sha256, size, &operator(), at);
        put_down(&runs, Act::Archive, cut, entry);
        for run in [undone, back] {
            store.unpack_archive(run, u64::MAX).expect("an archive");
            store.mark_archiving(run, true).expect("marked");
            store.publish_unpacked(run).expect("in place");
        }
        put_down(&runs, Act::Restore, back, leaf::restore(back, &operator(), at));
        trial
    }

    /// Archive or restore `run`.
    fn turn(&self, runs: &Runs, run: RunId, restore: bool) -> Result<(), Problem> {
        let done = self.place.wait(runs.retention().archive(asked(run, restore), &operator()))?;
        assert_eq!(done.runs.len(), 1, "{run} is told of");
        Ok(())
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
        let mut told = Acknowledged::default();
        let [plain, packed, cut, ..] = self.runs;
        let Some(runs) = self.place.twice("open", &mut told.refused, DaemonFolder::open) else {
            return;
        };
        let archive = |_: &DaemonFolder| self.turn(&runs, plain, false);
        told.archived = self.place.twice("archive", &mut told.refused, archive).is_some();
        let restore = |_: &DaemonFolder| self.turn(&runs, packed, true);
        told.restored = self.place.twice("restore", &mut told.refused, restore).is_some();
        let named = || PurgeRequest { runs: vec![cut], ..purge_all() };
        let purge = |place: &DaemonFolder| place.wait(runs.purge(named(), &operator())).map(drop);
        told.purged = self.place.twice("purge", &mut told.refused, purge).is_some();
        self.place.wait(runs.stopped());
        self.told = told;
    }

    fn wrong(&self) -> Vec<String> {
        let runs = match self.place.open() {
            Ok(runs) => runs,
            Err(problem) => return vec![format!("no start: {}", chain(&problem))],
        };
        let mut wrong = self.place.wrong(&runs);
        let [plain, packed, cut, undone, back] = self.runs;
        let folder = |run: RunId| runs.0.context.store.folder_of(run).is_dir();
        let archive = |run: RunId| runs.0.context.store.archive_of(run).is_file();
        for run in self.runs {
            let (folder, archive) = (folder(run), archive(run));
            let purged = runs.retention().decisions().tombstone(run).is_some();
            if u8::from(purged) + u8::from(folder) + u8::from(archive) != 1 {
                wrong.push(format!("{run}: purged {purged}, folder {folder}, archive {archive}"));
            } else if archive != runs.retention().decisions().is_archived(run)
                || runs.catalog().record_of(run).is_ok() == purged
            {
                wrong.push(format!("{run} is not told of as it lies there"));
            }
        }
        let mut must = |what: &str, holds: bool| {
            wrong.extend((!holds).then(|| format!("{what} does not hold")));
        };
        must("the archive that was told of", !self.told.archived || archive(plain));
        must("the restoring that was told of", !self.told.restored || folder(packed));
        must("the purge that was told of", !self.told.purged || !archive(cut));
        must("the archiving that was cut short", !folder(cut));
        must("the restoring that was undone", archive(undone));
        must("the restoring that was cut short", folder(back));
        // What is over stands in the way of nothing.
        for run in [plain, packed] {
            let again = self.turn(&runs, run, archive(run));
            wrong.extend(again.err().map(|error| format!("not again: {}", chain(&error))));
        }
        wrong
    }

    fn refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told.refused)
    }

    fn is_all_told(&self) -> bool {
        let told = &self.told;
        told.archived && told.restored && told.purged
    }
}

fn put_down(runs: &Runs, act: Act, run: RunId, entry: Vec<u8>) {
    let event = decided(&operator(), act, vec![run], json!({}));
    runs.retention().decisions().lock().record(event, vec![entry]).expect("put down");
}

#[test]
fn a_disk_that_fails_at_any_step_loses_no_run_between_folder_and_archive() {
    try_life(Trial::new(), STRIDE);
}

#[test]
fn two_crashes_in_a_row_lose_none_either() {
    try_two_crashes(Trial::new(), STRIDE);
}
