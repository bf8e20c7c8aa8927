//! Owns the verification of a whole store: every folder in it, and that nothing lies in it that is
//! not a folder or an archive in its place. Does not ask the index.

use std::path::{Path, PathBuf};
use std::thread;

use serde::Serialize;

use super::log::{LogCheck, LogReport};
use super::moving::{Moving, StoreArea};
use super::parallel::in_order;
use super::{FolderReport, ImportReport, archive, folder, folder_there_at, import, with_facts};
use crate::custody::CUSTODY;
use crate::disk::PARTIAL_SUFFIX;
use crate::finding::{Finding, FindingCode, worst_exit};
use crate::id::RunId;
use crate::layout::{self, ARCHIVING, IMPORTED, OPEN, PURGING, QUARANTINE, RUNS, sealed_place};
use crate::log::{FOLDER, HISTORY};
use crate::receipt::Receipt;
use crate::trust::Trust;

/// The folders of a store, each of which is one and no link to elsewhere.
pub const FOLDERS: [&str; 9] =
    [ARCHIVING, FOLDER, HISTORY, IMPORTED, OPEN, PURGING, QUARANTINE, RUNS, CUSTODY];

/// What verification says of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StoreReport {
    /// One report per sealed folder and per archive, oldest first.
    pub folders: Vec<FolderReport>,
    /// What there is to say of the store itself; places are paths inside it.
    pub findings: Vec<Finding>,
    /// The bundles of other stores that it keeps.
    pub imports: Vec<ImportReport>,
    /// What there is to say of its log; none when there is none.
    pub log: Option<LogReport>,
}

impl StoreReport {
    /// The exit code of `exhibit verify` for this store: that of its worst finding.
    pub fn exit(&self) -> u8 {
        let folders = self.folders.iter().flat_map(|report| &report.findings);
        worst_exit(folders.chain(&self.findings))
    }
}

/// Verify all sealed folders of the store at `root` and its log, against each other and against the
/// checkpoints in the files `remembered`, and say which runs are still open.
pub fn store(root: &Path, trust: &Trust, remembered: &[PathBuf]) -> StoreReport {
    store_with_receipts(root, trust, remembered, &[])
}

/// The same, also against receipts, each with the file it comes from.
pub fn store_with_receipts(
    root: &Path,
    trust: &Trust,
    remembered: &[PathBuf],
    receipts: &[(PathBuf, Receipt)],
) -> StoreReport {
    let mut report = StoreReport::default();
    let (mut found, mut packed) = (Vec::new(), Vec::new());
    report.walk(root, RUNS, 4, &mut found, &mut packed);
    let named = |(path, _): &(PathBuf, String)| path.file_name()?.to_str()?.parse().ok();
    let mut moving = Moving::default();
    moving.remember(root, StoreArea::Sealed, found.iter().filter_map(named));
    moving.remember(root, StoreArea::Archived, packed.iter().map(|(run, _)| *run));
    // What witnesses saw of the log they saw of all folders in it.
    report.read(&found, &trust.without_witnesses());
    let mut archives = archive::read(&packed, &trust.without_witnesses());
    let (mut kept, beside) = import::read(root, &trust.without_witnesses());
    report.findings.extend(beside);
    let mut open = Vec::new();
    for entry in report.list(root, OPEN) {
        let name = layout::readable(&entry.name);
        let run = name.parse::<RunId>().ok();
        open.extend(run.filter(|_| entry.kind.is_dir()));
        // One that was being opened when the daemon was stopped is removed at its next start.
        let begun = name.strip_suffix(PARTIAL_SUFFIX).is_some_and(|id| id.parse::<RunId>().is_ok());
        let (code, expected, found) = match entry.kind {
            kind if kind.is_dir() && (run.is_some() || begun) => {
                (FindingCode::RunOpen, "a sealed run", "an open one")
            }
            kind if kind.is_dir() => (FindingCode::UnexpectedFolder, "runs only", "a folder"),
            kind if kind.is_file() => (FindingCode::UnexpectedFile, "runs only", "a file"),
            _ => (FindingCode::NotAFile, "runs only", "a link or device"),
        };
        report.findings.push(Finding::new(code, format!("{OPEN}/{name}"), expected, found));
    }
    moving.remember(root, StoreArea::Open, open.iter().copied());
    report.set_aside(root);
    // The log comes last: what is sealed stood in it before.
    let mut log = LogCheck::new(root, trust);
    if log.run(remembered) {
        report.folders.retain(|folder| !log.was_purged_meanwhile(folder));
        archives.retain(|archive| !log.was_purged_meanwhile(&archive.report));
        log.archives(&archives);
        let late = log.runs(&report.folders, &archives, &open);
        report.folders.extend(late);
        log.look_again(&mut moving, &mut report.folders, &mut archives);
        // Of what was read last.
        let packed = archives.iter().map(|archive| &archive.report);
        log.stamped_in_order(report.folders.iter().chain(packed));
        let packed = archives.iter().map(|archive| &archive.report);
        log.receipts(receipts, report.folders.iter().chain(packed));
        report.reconsider(root, trust, &log);
        archive::reconsider(&mut archives, trust, &log);
        let packed = archives.iter_mut().map(|archive| &mut archive.report);
        report.folders.iter_mut().chain(packed).for_each(|report| log.revoked(report));
        log.imports(&mut kept);
        log.custody();
    }
    report.folders.extend(archives.into_iter().map(|archive| archive.report));
    report.folders.sort_by(|one, other| one.folder.cmp(&other.folder));
    report.findings.extend(import::findings(&mut kept));
    report.imports = kept.into_iter().map(|kept| kept.report).collect();
    let LogCheck { findings, report: of_log, .. } = log;
    report.findings.extend(findings);
    report.log = (!of_log.origin.is_empty()).then_some(of_log);
    report
}

impl StoreReport {
    /// Go down `depth` levels of folders from `place`; the last level holds evidence folders, which
    /// are `found`, each with its place in the store, and archives, which are `packed`.
    fn walk(
        &mut self,
        root: &Path,
        place: &str,
        depth: u32,
        found: &mut Vec<(PathBuf, String)>,
        packed: &mut Vec<(RunId, PathBuf)>,
    ) {
        for entry in self.list(root, place) {
            let name = layout::readable(&entry.name);
            let below = format!("{place}/{name}");
            let archived = layout::archived_run(&entry.name).filter(|_| entry.kind.is_file());
            if let Some(run) = archived.filter(|run| layout::archived_place(*run) == below) {
                packed.push((run, entry.path));
            } else if !entry.kind.is_dir() {
                let code = if entry.kind.is_file() {
                    FindingCode::UnexpectedFile
                } else {
                    FindingCode::NotAFile
                };
                self.findings.push(Finding::new(code, below, "a folder", "something else"));
            } else if depth == 1 || name.parse::<RunId>().is_ok() {
                found.push((entry.path, below));
            } else {
                let digits = if depth == 4 { 4 } else { 2 };
                if name.len() != digits || !name.bytes().all(|byte| byte.is_ascii_digit()) {
                    let (code, expected) =
                        (FindingCode::UnexpectedFolder, "years, months and days");
                    self.findings.push(Finding::new(code, &below, expected, "a folder"));
                }
                self.walk(root, &below, depth - 1, found, packed);
            }
        }
    }

    /// What was set aside at a start, which is no evidence; and links where the store has folders.
    fn set_aside(&mut self, root: &Path) {
        for name in FOLDERS {
            let kind = root.join(name).symlink_metadata();
            if kind.is_ok_and(|found| !found.is_dir()) {
                let found = Finding::new(FindingCode::NotAFile, name, "a folder", "something else");
                self.findings.push(found);
            }
        }
        for entry in self.list(root, QUARANTINE) {
            let place = format!("{QUARANTINE}/{}", layout::readable(&entry.name));
            let (code, found) = (FindingCode::Quarantined, "what the log contradicts");
            self.findings.push(Finding::new(code, place, "nothing", found));
        }
    }

    /// Verify the folders that were `found`, as many at a time as there are processors.
    fn read(&mut self, found: &[(PathBuf, String)], trust: &Trust) {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        self.folders = in_order(workers, found, |(path, _)| with_facts(path, folder(path, trust)));
        for (report, (path, place)) in self.folders.iter().zip(found) {
            // Without a record the name is all there is to go by.
            let named = path.file_name().and_then(|name| name.to_str()?.parse().ok());
            match report.run.or(named).map(sealed_place) {
                Some(expected) if expected != *place => {
                    let finding = Finding::new(FindingCode::WrongPlace, place, expected, place);
                    self.findings.push(finding);
                }
                _ => {}
            }
        }
    }

    /// Judge what was signed with a revoked key by what timestamps over the log say of its age.
    fn reconsider(&mut self, root: &Path, trust: &Trust, log: &LogCheck<'_>) {
        let trust = trust.without_witnesses();
        for report in &mut self.folders {
            let revoked = report.findings.iter().any(|it| it.code == FindingCode::KeyRevoked);
            let Some(run) = report.run.filter(|_| revoked) else { continue };
            if let Some(there) = log.sealed_by(run, &report.facts) {
                let path = root.join(sealed_place(run));
                let again = with_facts(&path, folder_there_at(&path, &trust, there));
                // What it said of another folder in the same place does not count.
                if again.facts.readings == report.facts.readings {
                    *report = again;
                }
            }
        }
    }

    fn list(&mut self, root: &Path, place: &str) -> Vec<layout::FolderEntry> {
        match layout::entries(&root.join(place)) {
            Ok(entries) => entries,
            // A copy of the sealed runs alone is a whole store to whoever checks it.
            Err(error)
                if [OPEN, QUARANTINE].contains(&place)
                    && error.kind() == std::io::ErrorKind::NotFound =>
            {
                Vec::new()
            }
            Err(error) => {
                let finding = Finding::new(
                    FindingCode::Unreadable,
                    place,
                    "a readable folder",
                    error.to_string(),
                );
                self.findings.push(finding);
                Vec::new()
            }
        }
    }
}
