//! Owns the verification of archives in a store: each is unpacked into a temporary folder, verified as
//! the folder that it stands for, and held against the log.

use std::fs::File;
use std::path::PathBuf;
use std::thread;

use jiff::Timestamp;

use super::log::LogCheck;
use super::parallel::in_order;
use super::{Check, Facts, FolderReport, check_folder, folder};
use crate::bundle::BundleError;
use crate::digest::Digest;
use crate::evidence::archive::unpacked;
use crate::evidence::finding::FindingCode;
use crate::evidence::layout::{archived_place, sealed_place};
use crate::evidence::trust::Trust;
use crate::id::RunId;

/// An archive that was read.
pub(super) struct Packed {
    /// The run that it is called after.
    pub(super) run: RunId,
    path: PathBuf,
    /// Its digest; none when it cannot be read.
    sha256: Option<Digest>,
    /// What there is to say of what is in it.
    pub(super) report: FolderReport,
}

/// Read the archives that were `found`, as many at a time as there are processors.
pub(super) fn read(found: &[(RunId, PathBuf)], trust: &Trust) -> Vec<Packed> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    in_order(workers, found, |(run, path)| {
        let sha256 = File::open(path).and_then(Digest::of_reader).ok().map(|(sha256, _)| sha256);
        let report = verified(*run, path, trust, None);
        Packed { run: *run, path: path.clone(), sha256, report }
    })
}

/// Verify what is in the archive at `path`, whose seal was there at `believed` where somebody says so.
fn verified(
    run: RunId,
    path: &std::path::Path,
    trust: &Trust,
    believed: Option<Timestamp>,
) -> FolderReport {
    let mut check = Check::new(path);
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(error) => {
            let expected = "room in the temporary folder to unpack it";
            check.add(FindingCode::Unreadable, ".", expected, error.to_string());
            return check.report;
        }
    };
    let report = match unpacked(path, run, scratch.path()) {
        Ok(place) => {
            let report = match believed {
                Some(_) => check_folder(Check { believed, ..Check::new(&place) }, trust, None),
                None => folder(&place, trust),
            };
            FolderReport { facts: Facts::of_passing(&place), ..report }
        }
        Err(error) => {
            let code = match &error {
                BundleError::TooMuch(_) => FindingCode::TooLarge,
                _ if error.is_of_the_system() => FindingCode::Unreadable,
                _ => FindingCode::ArchiveMalformed,
            };
            let expected = format!("the folder of {run} and nothing else");
            check.add(code, ".", expected, crate::error::chain(&error));
            return check.report;
        }
    };
    FolderReport { folder: path.display().to_string(), ..report }
}

/// Judge what was signed with a revoked key by what timestamps over the log say of its age.
pub(super) fn reconsider(archives: &mut [Packed], trust: &Trust, log: &LogCheck<'_>) {
    let trust = trust.without_witnesses();
    for Packed { run, path, report, .. } in archives {
        let revoked = report.findings.iter().any(|it| it.code == FindingCode::KeyRevoked);
        if let Some(there) = log.sealed_by(*run, &report.facts).filter(|_| revoked) {
            *report = verified(*run, path, &trust, Some(there));
        }
    }
}

impl LogCheck<'_> {
    /// Hold the archives against what the log says of them, and tell where one thing was becoming the
    /// other.
    pub(super) fn archives(&mut self, archives: &[Packed]) {
        for Packed { run, sha256, .. } in archives {
            let place = archived_place(*run);
            let folder = self.root.join(sealed_place(*run)).is_dir();
            let logged = self.keeping.archived.get(run).copied();
            // That a purged one is there is told of.
            if self.keeping.is_purged(*run) {
                continue;
            }
            match logged {
                Some((logged, restored)) if Some(logged) == *sha256 && (!restored || folder) => {
                    if folder {
                        let found = "its folder, too";
                        self.add(FindingCode::ArchiveUnfinished, place, "an archive", found);
                    }
                }
                _ => {
                    let said = |sha256: Digest| sha256.to_string();
                    let expected = logged.filter(|(_, restored)| !restored);
                    let expected = expected.map_or("no archive".to_owned(), |(it, _)| said(it));
                    let found = sha256.map_or("what cannot be read".to_owned(), said);
                    self.add(FindingCode::ArchiveNotLogged, place, expected, found);
                }
            }
        }
        let logged = self.keeping.archived.clone();
        for (run, _) in logged.into_iter().filter(|(_, (_, restored))| !restored) {
            let place = archived_place(run);
            let folder = self.root.join(sealed_place(run)).is_dir();
            if folder && !self.root.join(&place).exists() {
                let found = "its folder";
                self.add(FindingCode::ArchiveUnfinished, place, "an archive", found);
            }
        }
    }
}
