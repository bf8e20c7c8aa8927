//! Owns the judgement of one run against what the log holds of it, for whoever asks of runs and not of
//! the whole store: the same checks as those of a folder, and that its seal and its first event are the
//! logged ones. Whose signature counts is not asked.

use std::io;
use std::path::Path;

use super::parallel::in_order;
use super::{archive, folder, with_facts};
use crate::disk;
use crate::finding::{Finding, FindingCode};
use crate::id::RunId;
use crate::layout::{EVENTS, SEAL};
use crate::trust::Trust;
use exhibit_tlog::digest::Digest;

/// What the log holds of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoggedRun {
    /// Digest of its last seal.
    pub seal: Option<Digest>,
    /// Digest of its first event.
    pub opening: Option<Digest>,
    /// Digest of its archive, where it is looked for in one.
    pub archive: Option<Digest>,
}

/// What is not as it was sealed of `run`, which lies at `path`.
pub fn run(run: RunId, path: &Path, logged: LoggedRun) -> Vec<Finding> {
    let (report, found) = if logged.archive.is_some() {
        let packed = archive::one(run, path, &Trust::none());
        (packed.report, packed.sha256)
    } else {
        (with_facts(path, folder(path, &Trust::none())), None)
    };
    let mut findings: Vec<Finding> =
        report.findings.into_iter().filter(|finding| finding.class.is_damage()).collect();
    if let Some(why) = report.facts.unread
        && !findings.iter().any(|finding| finding.code == FindingCode::Unreadable)
    {
        findings.push(Finding::new(FindingCode::Unreadable, ".", "what can be read", why));
    }
    // Of a folder without anything in it nothing is known; of one that was sealed its seal is missing.
    let seal = disk::found(&path.join(SEAL));
    let missing = |finding: &Finding| finding.code == FindingCode::SealMissing;
    if logged.archive.is_none()
        && seal.is_ok_and(|seal| seal.is_none())
        && path.is_dir()
        && !findings.iter().any(missing)
    {
        findings.push(Finding::new(FindingCode::SealMissing, SEAL, "a seal", "nothing"));
    }
    let mut expect = |logged: Option<Digest>, found: Option<Digest>, code, place: &str| {
        if let (Some(logged), Some(found)) = (logged, found)
            && logged != found
        {
            findings.push(Finding::new(code, place, logged.to_string(), found.to_string()));
        }
    };
    // What cannot be read is a finding already.
    expect(logged.archive, found, FindingCode::ArchiveNotLogged, ".");
    expect(logged.seal, report.facts.seal, FindingCode::SealNotLogged, SEAL);
    expect(logged.opening, report.facts.first_event, FindingCode::OpeningNotLogged, EVENTS);
    findings
}

/// The digest of the first event of the run in `folder`; none when there is no whole one.
///
/// # Errors
/// What the system answers when it cannot be read.
pub fn first_event(folder: &Path) -> io::Result<Option<Digest>> {
    super::runs::first_event(folder)
}

/// What `work` makes of each of `things`, in their order, as many at a time as there are processors.
pub fn each<T: Sync, R: Send>(things: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    in_order(workers, things, work)
}
