//! Owns the verification of folders in bundles and archives: the bundle is read once, from its
//! beginning to its end, each folder in it is judged by what was seen of it, and nothing is unpacked.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::signature::key_in;
use super::{Check, Facts, FolderReport, check_folder};
use crate::bundle::{self, BundleError, Folder, Limits};
use crate::disk;
use crate::finding::{Finding, FindingCode};
use crate::layout::{RUNS, SIGNATURE};
use crate::trust::Trust;
use exhibit_tlog::digest::{Digest, Hashing};

/// What is to be said of a folder in a bundle.
#[derive(Debug)]
pub struct Beside {
    /// What is to be said of the folder itself.
    pub report: FolderReport,
    /// What is wrong with the proof beside the folder.
    pub beside: Vec<Finding>,
}

/// Judge `folder`, which is to be called `shown`, with the proof in it and the one beside it. What
/// witnesses saw, the later one tells.
pub fn beside(shown: &Path, folder: &Folder, trust: &Trust) -> Beside {
    judged(Check::packed(shown, folder), folder, trust)
}

pub(super) fn judged(check: Check<'_>, folder: &Folder, trust: &Trust) -> Beside {
    let shown = check.folder;
    let Some(proof) = &folder.proof else {
        let report = check_folder(check, trust, None);
        return Beside { report: facts(report, folder), beside: Vec::new() };
    };
    let report = check_folder(check, &trust.without_witnesses(), None);
    let mut beside = Check::packed(shown, folder);
    beside.judge_proof(proof.clone(), trust);
    let logged = beside.report.logged.or(report.logged.clone());
    let report = FolderReport { logged, ..facts(report, folder) };
    Beside { report, beside: beside.report.findings }
}

fn facts(report: FolderReport, folder: &Folder) -> FolderReport {
    FolderReport { facts: Facts::in_bundle(folder), ..report }
}

/// Whether the signature in `folder` is of a key of which the auditor was told nothing.
pub(super) fn is_of_a_stranger(folder: &Folder, trust: &Trust) -> bool {
    let key = folder.whole(SIGNATURE).and_then(key_in);
    key.is_some_and(|key| !trust.names(&key))
}

/// Verify the bundle or archive at `path`: a report for each folder in it.
///
/// # Errors
/// [`BundleError`] for what is no bundle.
pub fn bundle(path: &Path, trust: &Trust) -> Result<Vec<FolderReport>, BundleError> {
    let mut reports = Vec::new();
    read(path, |folder| {
        let Beside { mut report, beside: found } = beside(&inside(path, &folder), &folder, trust);
        let place = format!("proofs/{}.tlog-proof", folder.run);
        report.findings.extend(found.into_iter().map(|it| Finding { place: place.clone(), ..it }));
        reports.push(report);
    })?;
    Ok(reports)
}

/// Where `folder` lies in the bundle at `path`.
fn inside(path: &Path, folder: &Folder) -> PathBuf {
    path.join(RUNS).join(folder.run.to_string())
}

/// Show `take` the folders in the bundle at `path`; the digest of the file.
///
/// # Errors
/// [`BundleError`]; then what was shown is of no bundle.
pub(super) fn read(path: &Path, take: impl FnMut(Folder)) -> Result<Digest, BundleError> {
    let file = disk::open(path)?;
    let length = file.metadata()?.len();
    let mut hashed = Tee { file, hashing: Hashing::new(io::sink()) };
    bundle::folders(&mut hashed, length, Limits::default(), take)?;
    Ok(hashed.hashing.finish().0)
}

/// The digest of the file at `path`, of which the log says that it has this `size`; none where it has
/// another: it need not be hashed to know that it is another one.
///
/// # Errors
/// What the system answers when it cannot be read.
pub(super) fn digest_of(path: &Path, size: Option<u64>) -> io::Result<Option<Digest>> {
    let Some(found) = disk::found(path)? else { return Ok(None) };
    if size.is_some_and(|size| size != found.len()) {
        return Ok(None);
    }
    disk::open(path).and_then(Digest::of_reader).map(|(sha256, _)| Some(sha256))
}

/// Hashes what is read.
struct Tee {
    file: File,
    hashing: Hashing<io::Sink>,
}

impl Read for Tee {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        io::Write::write_all(&mut self.hashing, &buffer[..count])?;
        Ok(count)
    }
}

/// The code of a finding for a bundle that was not read, which is `malformed` when it is none.
pub(super) fn code_of(error: &BundleError, malformed: FindingCode) -> FindingCode {
    match error {
        BundleError::TooMuch(_) => FindingCode::TooLarge,
        _ if error.is_of_the_system() => FindingCode::Unreadable,
        _ => malformed,
    }
}
