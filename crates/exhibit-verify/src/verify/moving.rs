//! Owns the second look. A daemon archives, restores, purges and imports runs while they are verified,
//! so a folder can go while it is read, and the log can be older than what lies there. A finding that
//! accuses a run counts once its places and its entries in the log stay the same from before it was
//! read until after; until then the run is read again, against the newest log.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::archive::{self, Packed};
use super::log::LogCheck;
use super::{FolderReport, folder, with_facts};
use crate::disk;
use crate::finding::{Class, Finding};
use crate::id::RunId;
use crate::layout::{
    ARCHIVE_SUFFIX, ARCHIVING, BEGUN_SUFFIX, OPEN, PURGING, RUNS, archived_place, open_place,
    sealed_place,
};

/// How long a verification waits before it looks at a run again that a daemon is moving, and how often
/// in all: a store that is always at work, or says so, must not hold it up for ever.
const PAUSE: Duration = Duration::from_millis(10);
const PAUSES: u32 = 500;
/// Looks at one run at most.
const LOOKS: u32 = 100;

/// Which file or folder lies at a place: a rename and a change of its mode set its time of change.
pub(super) type Lies = Option<(u64, u64, i64, i64)>;

/// What lies at `path`.
pub(super) fn lies(path: &Path) -> Lies {
    let found = fs::symlink_metadata(path).ok()?;
    Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
}

/// What lies in the places of a run, to be held against what lies there later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stand {
    places: [Lies; 3],
    /// Marks of what a daemon has begun with it.
    marks: [Lies; 3],
}

impl Stand {
    /// What lies in the places of `run` in the store at `root`.
    pub fn of(root: &Path, run: RunId) -> Self {
        let at = |place: String| lies(&root.join(place));
        let mark = |folder: &str, suffix: &str| at(format!("{folder}/{run}{suffix}"));
        let begun = [mark(ARCHIVING, BEGUN_SUFFIX), mark(PURGING, BEGUN_SUFFIX)];
        let restoring = mark(ARCHIVING, ".restoring");
        Self {
            places: [at(sealed_place(run)), at(archived_place(run)), at(open_place(run))],
            marks: [begun[0], begun[1], restoring],
        }
    }

    /// Whether a daemon has begun something with the run and not finished it.
    pub fn is_moving(&self) -> bool {
        self.marks.iter().any(Option::is_some)
    }
}

/// One of the places of a run.
#[derive(Clone, Copy, Debug)]
pub(super) enum StoreArea {
    Sealed,
    Archived,
    Open,
}

/// What lay where when the verification began, and how much longer it may wait.
#[derive(Debug)]
pub(super) struct Moving {
    /// None for a run that was no longer where a list of the store had it.
    before: BTreeMap<RunId, Option<Stand>>,
    pauses: u32,
}

impl Default for Moving {
    fn default() -> Self {
        Self { before: BTreeMap::new(), pauses: PAUSES }
    }
}

impl Moving {
    /// Remember what lies in the places of `runs` of the store at `root`, which a list of the store had
    /// in `place`, and which were not read yet.
    pub(super) fn remember(
        &mut self,
        root: &Path,
        place: StoreArea,
        runs: impl IntoIterator<Item = RunId>,
    ) {
        for run in runs {
            let known = self.before.entry(run).or_insert_with(|| Some(Stand::of(root, run)));
            // What moved between the list and this is not where it will be looked for.
            known.take_if(|stand| stand.places[place as usize].is_none());
        }
    }

    /// Wait a moment; whether there was one left.
    fn pause(&mut self) -> bool {
        let left = self.pauses.checked_sub(1);
        self.pauses = left.unwrap_or(0);
        if left.is_some() {
            thread::sleep(PAUSE);
        }
        left.is_some()
    }
}

/// The run in whose place in the store `place` lies.
fn placed(place: &str) -> Option<RunId> {
    let mut parts = place.split('/');
    let levels = match parts.next()? {
        OPEN => 0,
        RUNS => 3,
        _ => return None,
    };
    let name = parts.nth(levels)?;
    name.strip_suffix(ARCHIVE_SUFFIX).unwrap_or(name).parse().ok()
}

/// The run that `report` is about, which lies in one of its places in the store at `root`.
fn of_report(root: &Path, report: &FolderReport) -> Option<RunId> {
    let place = Path::new(&report.folder).strip_prefix(root).ok()?;
    placed(place.to_str()?)
}

fn accuses(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.class != Class::Note)
}

impl LogCheck<'_> {
    /// Look again at each run that is accused and that a daemon may have moved meanwhile. `reports` and
    /// `archives` are what was read, and then hold what was read last.
    pub(super) fn look_again(
        &mut self,
        moving: &mut Moving,
        reports: &mut Vec<FolderReport>,
        archives: &mut Vec<Packed>,
    ) {
        let read = reports.iter().chain(archives.iter().map(|archive| &archive.report));
        let accused = read.filter(|report| accuses(&report.findings));
        let accused = accused.filter_map(|report| of_report(self.root, report));
        let told = self.findings.iter().filter(|finding| finding.class != Class::Note);
        let accused: BTreeSet<RunId> =
            accused.chain(told.filter_map(|finding| placed(&finding.place))).collect();
        for run in accused {
            let now = Stand::of(self.root, run);
            let same = moving.before.get(&run) == Some(&Some(now.clone()));
            if !same || now.is_moving() || self.has_entries_since(run).unwrap_or(false) {
                self.look_at(run, moving, reports, archives);
            }
        }
    }

    /// Read `run` until nobody moves it while it is read.
    fn look_at(
        &mut self,
        run: RunId,
        moving: &mut Moving,
        reports: &mut Vec<FolderReport>,
        archives: &mut Vec<Packed>,
    ) {
        let root = self.root;
        let of_run = |report: &FolderReport| of_report(root, report) == Some(run);
        for _ in 0..LOOKS {
            reports.retain(|report| !of_run(report));
            archives.retain(|archive| !of_run(&archive.report));
            self.findings.retain(|finding| placed(&finding.place) != Some(run));
            let before = Stand::of(self.root, run);
            let (folders, packed) = self.look(run);
            let read = folders.iter().chain(packed.iter().map(|archive| &archive.report));
            let told = self.findings.iter().filter(|it| placed(&it.place) == Some(run));
            let accused = read.clone().any(|report| accuses(&report.findings))
                || told.clone().any(|finding| finding.class != Class::Note);
            reports.extend(folders);
            archives.extend(packed);
            let after = Stand::of(self.root, run);
            let settled = before == after && !after.is_moving();
            if !accused
                || settled && !self.has_entries_since(run).unwrap_or(false)
                || !moving.pause()
            {
                return;
            }
        }
    }

    /// Read what lies in the places of `run`, and hold it against the newest log.
    fn look(&mut self, run: RunId) -> (Vec<FolderReport>, Vec<Packed>) {
        let trust = self.trust.without_witnesses();
        let (mut reports, mut archives) = (Vec::new(), Vec::new());
        let path = |place: String| -> PathBuf { self.root.join(place) };
        let (sealed, packed) = (path(sealed_place(run)), path(archived_place(run)));
        if disk::found(&sealed).is_ok_and(|found| found.is_some_and(|found| found.is_dir())) {
            reports.push(with_facts(&sealed, folder(&sealed, &trust)));
        }
        if disk::found(&packed).is_ok_and(|found| found.is_some_and(|found| found.is_file())) {
            archives.push(archive::one(run, &packed, &trust));
        }
        // What is there now stood in the log before.
        if self.catch_up(run).is_err() {
            return (reports, archives);
        }
        reports.retain(|report| !self.was_purged_meanwhile(report));
        archives.retain(|archive| !self.was_purged_meanwhile(&archive.report));
        for archive in &archives {
            self.archive(archive);
            self.folder(run, &archive.report, archived_place(run));
        }
        for report in &reports {
            self.folder(run, report, sealed_place(run));
        }
        self.unfinished(run);
        self.purged_run(run);
        let is_placed = !reports.is_empty() || !archives.is_empty();
        let told = self.runs.get(&run).map(|told| told.seals.is_empty());
        let lies_open = matches!(self.lies(&open_place(run), Metadata::is_dir), Ok(true));
        if lies_open && (told != Some(false) || is_placed) {
            reports.extend(self.in_open(run, is_placed));
        } else if !is_placed && told.is_some() && !self.keeping.is_purged(run) {
            reports.extend(self.elsewhere(run));
        }
        (reports, archives)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test prepares a folder")]
    fn what_moved_between_the_list_and_the_stand_is_looked_at_again() {
        let store = tempfile::tempdir().expect("a folder");
        let run: RunId = "01a20ca0-17b6-73c6-84a8-63dce6c54a64".parse().expect("a run");
        std::fs::create_dir_all(store.path().join(sealed_place(run))).expect("a folder");
        let mut moving = Moving::default();
        moving.remember(store.path(), StoreArea::Sealed, [run]);
        assert_eq!(moving.before[&run], Some(Stand::of(store.path(), run)), "where it was seen");
        // A list had its archive, which was restored before it was read.
        moving.remember(store.path(), StoreArea::Archived, [run]);
        assert_eq!(moving.before[&run], None);
    }
}
