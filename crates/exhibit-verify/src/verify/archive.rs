//! Owns the verification of archives in a store: each is read once, judged as the folder that it stands
//! for, and held against the log.

use std::path::{Path, PathBuf};
use std::thread;

use jiff::Timestamp;

use super::bundle::{self, Beside, code_of, digest_of, judged};
use super::log::LogCheck;
use super::parallel::in_order;
use super::{Check, FolderReport};
use crate::bundle::BundleError;
use crate::finding::{Finding, FindingCode};
use crate::id::RunId;
use crate::layout::{archived_place, sealed_place};
use crate::trust::Trust;
use exhibit_tlog::digest::Digest;

/// An archive that was read.
pub(super) struct Packed {
    /// The run that it is called after.
    pub(super) run: RunId,
    path: PathBuf,
    /// Its digest; none when it is no archive, and was not read to its end.
    pub(super) sha256: Option<Digest>,
    /// What there is to say of what is in it.
    pub(super) report: FolderReport,
}

/// Read the archives that were `found`, as many at a time as there are processors.
pub(super) fn read(found: &[(RunId, PathBuf)], trust: &Trust) -> Vec<Packed> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    in_order(workers, found, |(run, path)| one(*run, path, trust))
}

/// Read the archive of `run` at `path`.
pub(super) fn one(run: RunId, path: &Path, trust: &Trust) -> Packed {
    let (sha256, report) = verified(run, path, trust, None);
    Packed { run, path: path.to_owned(), sha256, report }
}

/// Verify what is in the archive at `path`, whose seal was there at `believed` where somebody says so.
fn verified(
    run: RunId,
    path: &Path,
    trust: &Trust,
    believed: Option<Timestamp>,
) -> (Option<Digest>, FolderReport) {
    let (mut report, mut others) = (None, false);
    let read = bundle::read(path, |folder| {
        if folder.run != run || folder.proof.is_some() {
            others = true;
            return;
        }
        let check = Check { believed, ..Check::packed(path, &folder) };
        let Beside { report: found, .. } = judged(check, &folder, trust);
        report = Some(found);
    });
    let read = match (read, report) {
        (Ok(sha256), Some(report)) if !others => return (Some(sha256), report),
        (Err(error), _) => error,
        (Ok(_), _) => {
            BundleError::NotABundle(format!("an archive holds the folder of {run} alone"))
        }
    };
    let mut check = Check::new(path);
    let expected = format!("the folder of {run} and nothing else");
    let code = code_of(&read, FindingCode::ArchiveMalformed);
    check.add(code, ".", expected, crate::cause::chain(&read));
    (None, check.report)
}

/// Judge what was signed with a revoked key by what timestamps over the log say of its age.
pub(super) fn reconsider(archives: &mut [Packed], trust: &Trust, log: &LogCheck<'_>) {
    let trust = trust.without_witnesses();
    for Packed { run, path, report, .. } in archives {
        let revoked = report.findings.iter().any(|it| it.code == FindingCode::KeyRevoked);
        if let Some(there) = log.sealed_by(*run, &report.facts).filter(|_| revoked) {
            *report = verified(*run, path, &trust, Some(there)).1;
        }
    }
}

impl LogCheck<'_> {
    /// Hold the archives against what the log says of them, and tell where one thing was becoming the
    /// other.
    pub(super) fn archives(&mut self, archives: &[Packed]) {
        for archive in archives {
            self.archive(archive);
        }
        let logged: Vec<RunId> = self.keeping.archived.keys().copied().collect();
        for run in logged {
            self.unfinished(run);
        }
    }

    /// Hold an archive against what the log says of it.
    pub(super) fn archive(&mut self, archive: &Packed) {
        let Packed { run, sha256, path, report } = archive;
        // Of one that cannot be read nothing is known but that, which is told.
        let unread = |it: &Finding| it.code == FindingCode::Unreadable && it.place == ".";
        if sha256.is_none() && report.findings.iter().any(unread) {
            return;
        }
        let size = self.keeping.sizes.get(run).copied();
        let sha256 = sha256.map_or_else(|| digest_of(path, size), |sha256| Ok(Some(sha256)));
        let place = archived_place(*run);
        let Some(folder) = self.is_folder(&sealed_place(*run)) else { return };
        // That a purged one is there is told of.
        if self.unread_result(&place, &sha256) || self.keeping.is_purged(*run) {
            return;
        }
        let sha256 = sha256.ok().flatten();
        let logged = self.keeping.archived.get(run).copied();
        match logged {
            Some((logged, restored)) if Some(logged) == sha256 && (!restored || folder) => {
                if folder {
                    let found = "its folder, too";
                    self.add(FindingCode::ArchiveUnfinished, place, "an archive", found);
                }
            }
            _ => {
                let said = |sha256: Digest| sha256.to_string();
                let expected = logged.filter(|(_, restored)| !restored);
                let expected = expected.map_or("no archive".to_owned(), |(it, _)| said(it));
                let found = sha256.map_or("what has another size".to_owned(), said);
                self.add(FindingCode::ArchiveNotLogged, place, expected, found);
            }
        }
    }

    /// Tell where `run` lies as a folder alone although the log says that it is an archive.
    pub(super) fn unfinished(&mut self, run: RunId) {
        if self.keeping.archived.get(&run).is_none_or(|(_, restored)| *restored) {
            return;
        }
        let place = archived_place(run);
        let folder = self.is_folder(&sealed_place(run)) == Some(true);
        if folder && self.there(&place).is_ok_and(|there| there.is_none()) {
            self.add(FindingCode::ArchiveUnfinished, place, "an archive", "its folder");
        }
    }
}
