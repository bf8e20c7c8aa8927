//! Owns the verification of what lies in `open/`: a run that is not sealed must be the one that the
//! log tells of, as far as it tells of it; one whose seal is in the log must be that seal, on its way
//! to its place. Everything else was put there by somebody.

use std::fs::Metadata;
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use super::chain::Walk;
use super::log::LogCheck;
use super::{Check, FileKind, FolderReport, archive, folder, with_facts};
use crate::chain;
use crate::disk;
use crate::finding::{Finding, FindingCode};
use crate::id::RunId;
use crate::layout::{self, EVENTS, PROOF};
use crate::log::RunHead;
use crate::opening::{Heads, is_newborn};
use exhibit_tlog::digest::Digest;

/// The log's checkpoint, which tells of what was added.
const LOG: &str = "log/checkpoint";
/// How often a run is looked for that may be on its way from one place to the other.
const LOOKS: u32 = 3;

impl LogCheck<'_> {
    /// Hold the run in `open/` against what the log says of it; `sealed` when it lies in its place, too.
    /// What there is of it elsewhere, when it was moved meanwhile.
    pub(super) fn in_open(&mut self, run: RunId, sealed: bool) -> Option<FolderReport> {
        let (place, path) = (layout::open_place(run), self.root.join(layout::open_place(run)));
        let Some(told) = self.runs.get(&run) else {
            let newborn = is_newborn(&path, run);
            let told = self.has_entries_since(run);
            let unread = self.unread_result(&place, &newborn) || self.unread_result(LOG, &told);
            let known = newborn.unwrap_or(false) || told.unwrap_or(false);
            if !unread && !known && path.is_dir() {
                self.add(FindingCode::RunNotLogged, place, "its opening in the log", "none");
            }
            return None;
        };
        if self.keeping.is_purged(run) || (sealed && !told.seals.is_empty()) {
            if self.there(&place).is_ok_and(|there| there.is_some()) {
                let expected = "a run that is not sealed";
                self.add(
                    FindingCode::RunReopened,
                    place,
                    expected,
                    "one that was sealed or purged",
                );
            }
            return None;
        }
        if !told.seals.is_empty() {
            // Where it lies is asked with all runs that lie nowhere else.
            return None;
        }
        let (opening, heads) = (told.opening, told.heads.clone());
        let mut check = Check::new(&path);
        check.open(&heads);
        let first = super::runs::first_event(&path);
        match self.is_folder(&place) {
            Some(true) => {}
            Some(false) => return self.elsewhere(run),
            None => return None,
        }
        if !self.unread_result(&format!("{place}/{EVENTS}"), &first) {
            let first = first.ok().flatten();
            if first != opening && opening.is_some() {
                self.opening(run, first, place.clone());
            }
        }
        let below =
            |finding: Finding| Finding { place: format!("{place}/{}", finding.place), ..finding };
        self.findings.extend(check.report.findings.into_iter().map(below));
        None
    }

    /// Look for `run`, which was not where the others lie: in a store in use it may have been sealed,
    /// moved or archived since, or its seal is in the log and it is not moved yet.
    pub(super) fn elsewhere(&mut self, run: RunId) -> Option<FolderReport> {
        let trust = self.trust.without_witnesses();
        let open = self.root.join(layout::open_place(run));
        let (place, archive) = (layout::sealed_place(run), layout::archived_place(run));
        for _ in 0..LOOKS {
            let path = self.root.join(&place);
            // Where one of its places cannot be looked at, nobody can tell that it is gone.
            if self.lies(&place, Metadata::is_dir).ok()? {
                let report = with_facts(&path, folder(&path, &trust));
                self.catch_up(run).ok()?;
                self.folder(run, &report, place);
                return Some(report);
            }
            let path = self.root.join(&archive);
            if self.lies(&archive, Metadata::is_file).ok()? {
                let packed = archive::read(&[(run, path)], &trust).pop()?;
                self.catch_up(run).ok()?;
                self.folder(run, &packed.report, archive);
                return Some(packed.report);
            }
            if self.lies(&layout::open_place(run), Metadata::is_dir).ok()? {
                self.catch_up(run).ok()?;
                let told = self.runs.get(&run).map(|told| told.seals.is_empty());
                if told == Some(true) {
                    return self.in_open(run, false);
                }
                let report = self.on_its_way(run, &open);
                if is_folder(&open) {
                    return report;
                }
                self.findings.retain(|finding| finding.place != layout::open_place(run));
            }
        }
        let unsealed = self.runs.get(&run).is_none_or(|told| told.seals.is_empty());
        let expected = if unsealed { "a run that was opened" } else { "a run that was sealed" };
        self.add(FindingCode::RunGone, place, expected, "nothing");
        None
    }

    /// A run in `open/` whose seal is in the log: it is that seal, byte for byte, or a finding.
    fn on_its_way(&mut self, run: RunId, open: &Path) -> Option<FolderReport> {
        let place = layout::open_place(run);
        let mut report = with_facts(open, folder(open, &self.trust.without_witnesses()));
        if let Some(why) = report.facts.unread.clone() {
            self.not_compared(&report, &place, &why);
            return Some(report);
        }
        let logged = self.runs.get(&run).and_then(|told| told.seals.last().copied());
        if report.facts.seal.is_none() || report.facts.seal != logged {
            let expected = "the seal that the log holds, on its way to its place";
            self.add(FindingCode::RunReopened, place, expected, "something else");
            return None;
        }
        let (expected, found) = (layout::sealed_place(run), "not moved yet");
        self.add(FindingCode::SealUnpublished, place.clone(), expected, found);
        // The proof comes after the seal.
        report.findings.retain(|finding| finding.place != PROOF);
        self.folder(run, &report, place);
        Some(report)
    }
}

impl Check<'_> {
    /// Check a run that is not sealed: its chain as far as it goes, the heads of it that the log holds,
    /// and the files that its events tell of. A last line without an end was promised to nobody.
    fn open(&mut self, heads: &[RunHead]) {
        self.walk(self.folder, "");
        let others = self.entries.iter().filter(|(_, kind)| matches!(kind, FileKind::Other));
        for name in others.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.add(FindingCode::NotAFile, name, "a plain file", "a link or device");
        }
        if !self.is_file(EVENTS) {
            return;
        }
        let file = match disk::open(&self.folder.join(EVENTS)) {
            Ok(file) => file,
            Err(error) => return self.unreadable(EVENTS, &error),
        };
        let (mut walk, mut heads) = (Walk::default(), Heads::of(heads));
        for line in chain::lines(BufReader::new(file)) {
            match line {
                Ok(line) if line.whole => {
                    heads.take(Digest::of(&line.bytes));
                    self.event(&mut walk, &line);
                }
                Ok(_) => break,
                Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                    let place = format!("{EVENTS}:{}", walk.lines + 1);
                    self.add(FindingCode::TooLarge, place, "a line within the limit", "more");
                    break;
                }
                Err(error) => return self.unreadable(EVENTS, &error),
            }
        }
        self.heads(&heads);
        for ((path, sha256), line) in walk.told {
            let size = walk.sizes.get(&path).copied();
            self.open_artifact(&path, sha256, size, line);
        }
    }

    /// Whether the chain that was gone through holds what the log says that it had come to.
    pub(super) fn heads(&mut self, heads: &Heads) {
        if let Some((events, sha256)) = heads.missing() {
            let found = format!("{} events", heads.lines);
            let place = format!("{EVENTS}:{events}");
            self.add(FindingCode::HeadNotLogged, place, sha256.to_string(), found);
        }
    }

    /// The file that an event tells of, judged by its size before it is read.
    fn open_artifact(&mut self, path: &str, sha256: Digest, size: Option<u64>, line: u64) {
        let expected = || format!("{sha256} as line {line} of {EVENTS} tells");
        let full = self.folder.join(path);
        let read = disk::found(&full).and_then(|found| match found {
            Some(found) if found.is_file() && size.is_some_and(|size| size != found.len()) => {
                Err(ErrorKind::InvalidData.into())
            }
            Some(found) if found.is_file() => disk::open(&full),
            _ => Err(ErrorKind::NotFound.into()),
        });
        match read.and_then(Digest::of_reader) {
            Ok((found, _)) if found == sha256 => {}
            Ok((found, _)) => {
                let found = found.to_string();
                self.add(FindingCode::EventArtifactMismatch, path, expected(), found);
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.add(FindingCode::EventArtifactMismatch, path, expected(), "no file");
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                let found = "a file of another size";
                self.add(FindingCode::EventArtifactMismatch, path, expected(), found);
            }
            Err(error) => self.unreadable(path, &error),
        }
    }
}

fn is_folder(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_dir())
}
