//! Owns the comparison of what a log tells of runs with what the store holds of them.

use std::collections::BTreeMap;
use std::io::{self, BufReader};
use std::path::Path;

use super::archive::Packed;

use super::log::{Added, LogCheck};
use super::unread::Unread;
use super::{Facts, FolderReport};
use crate::chain;
use crate::disk;
use crate::error::StoreError;
use crate::finding::FindingCode;
use crate::id::RunId;
use crate::layout::{self, EVENTS, PROOF, SEAL};
use crate::log::{CHECKPOINT, FOLDER, RunHead};
use crate::opening::Heads;
use exhibit_tlog::digest::{Digest, Hashing};

impl LogCheck<'_> {
    /// Whether the log tells that the run of `folder`, or of an archive, was purged, and it went while it
    /// was looked at.
    pub(super) fn was_purged_meanwhile(&self, folder: &FolderReport) -> bool {
        let path = Path::new(&folder.folder);
        let run = |name| layout::archived_run(name).or_else(|| name.to_str()?.parse().ok());
        let named = path.file_name().and_then(run);
        let gone = || disk::found(path).is_ok_and(|found| found.is_none());
        named.is_some_and(|run| self.keeping.is_purged(run)) && gone()
    }

    /// The runs of the log against the folders: `folders` and `archives` are those that are sealed,
    /// `open` the runs that are not yet.
    ///
    /// Answers what was read of runs that were found elsewhere than where they lay at first.
    pub(super) fn runs(
        &mut self,
        folders: &[FolderReport],
        archives: &[Packed],
        open: &[RunId],
    ) -> Vec<FolderReport> {
        let mut there: BTreeMap<RunId, &FolderReport> = BTreeMap::new();
        for archive in archives {
            there.insert(archive.run, &archive.report);
            self.folder(archive.run, &archive.report, layout::archived_place(archive.run));
        }
        for folder in folders {
            let name = Path::new(&folder.folder).file_name();
            let named = name.and_then(|name| name.to_str()?.parse().ok());
            if let Some(run) = folder.run.or(named) {
                there.insert(run, folder);
                self.folder(run, folder, layout::sealed_place(run));
            }
        }
        self.purged();
        let told: Vec<RunId> = self.runs.keys().copied().collect();
        let mut late = Vec::new();
        for run in told {
            let unsealed = self.runs.get(&run).is_none_or(|told| told.seals.is_empty());
            let elsewhere = there.contains_key(&run) || (unsealed && open.contains(&run));
            if !elsewhere && !self.keeping.is_purged(run) {
                late.extend(self.elsewhere(run));
            }
        }
        for run in open {
            late.extend(self.in_open(*run, there.contains_key(run)));
        }
        late
    }

    /// The checkpoint in a folder's proof, which is one that the log once published. Whose it is,
    /// the folder's own verification says.
    fn proven(&mut self, facts: &Facts, place: &str) {
        let (Some(proven), Some(newest)) = (&facts.proven, self.newest.clone()) else { return };
        if proven.origin == newest.origin {
            self.holds(&format!("{place}/{PROOF}"), proven, &newest);
        }
    }

    /// The first event of `run` that was `found`, against what the log says of its opening.
    pub(super) fn opening(&mut self, run: RunId, found: Option<Digest>, place: String) {
        let Some(told) = self.runs.get(&run) else { return };
        let Some(logged) = told.opening else {
            // What was sealed was opened first; what nobody heard of before is an invention.
            if !told.seals.is_empty() {
                let (place, expected) = (format!("{place}/{EVENTS}:1"), "an entry of its opening");
                self.add(FindingCode::OpeningNotLogged, place, expected, "none");
            }
            return;
        };
        if found != Some(logged) {
            let found = found.map_or_else(|| "no event".to_owned(), |found| found.to_string());
            let place = format!("{place}/{EVENTS}:1");
            self.add(FindingCode::OpeningNotLogged, place, logged.to_string(), found);
        }
    }

    /// The heads that the log holds of `run`, against the events in its folder.
    fn heads(&mut self, run: RunId, folder: &FolderReport, place: &str) {
        let Some(told) = self.runs.get(&run).filter(|told| !told.heads.is_empty()) else { return };
        let mut heads = Heads::of(&told.heads);
        let passing = folder.facts.lines.clone().map(|lines| Ok(Some(lines)));
        let read = passing.unwrap_or_else(|| self.lines_of(folder, place));
        if let Err(error) = &read
            && disk::is_unreadable(error)
        {
            self.not_compared(folder, place, &error.to_string());
        }
        // Its absence is a finding of the folder's.
        let Some(lines) = read.ok().flatten() else { return };
        for line in lines {
            heads.take(line);
        }
        if let Some((events, sha256)) = heads.missing() {
            let (place, found) =
                (format!("{place}/{EVENTS}:{events}"), format!("{} events", heads.lines));
            self.add(FindingCode::HeadNotLogged, place, sha256.to_string(), found);
        }
    }

    /// The digests of the lines in the chain of `folder`, which must be the chain that was judged.
    fn lines_of(&mut self, folder: &FolderReport, place: &str) -> io::Result<Option<Vec<Digest>>> {
        let read = line_digests(Path::new(&folder.folder))?;
        let (found, lines) = read.unzip();
        if let Some(judged) = folder.facts.readings.of(EVENTS).filter(|it| found != Some(*it)) {
            let found = found.map_or_else(|| "no file".to_owned(), |it| it.to_string());
            let found = format!("{found}, a moment later");
            self.add(
                FindingCode::FileAltered,
                format!("{place}/{EVENTS}"),
                judged.to_string(),
                found,
            );
        }
        Ok(lines)
    }

    /// Take over what the log tells of `run` in what was added since it was looked at.
    pub(super) fn catch_up(&mut self, run: RunId) -> Result<(), Unread> {
        let read = self.entries_since(run);
        if self.unread_result(&format!("{FOLDER}/{CHECKPOINT}"), &read) {
            return Err(Unread);
        }
        let Ok((size, added)) = read else { return Ok(()) };
        self.caught.insert(run, size);
        // The report is about the log as it was looked at first.
        let report = self.report.clone();
        for (index, entry, leaf) in added {
            self.of_run(run, index, &entry, &leaf);
        }
        self.report = report;
        Ok(())
    }

    /// Whether the log tells of `run` in what was added since it was looked at.
    pub(super) fn has_entries_since(&mut self, run: RunId) -> Result<bool, StoreError> {
        Ok(!self.entries_since(run)?.1.is_empty())
    }

    /// How many entries the log has by now, and those about `run` that were not taken over yet.
    fn entries_since(&mut self, run: RunId) -> Result<(u64, Vec<Added>), StoreError> {
        let since = self.caught.get(&run).copied().unwrap_or(self.report.size);
        let (size, mut added) = self.added_since(since)?;
        added.retain(|(_, _, leaf)| {
            leaf.run == Some(run) || RunHead::in_leaf(leaf).into_iter().any(|head| head.run == run)
        });
        Ok((size, added))
    }

    /// Say that a part of `folder` was not compared with the log, where its own report does not.
    pub(super) fn not_compared(&mut self, folder: &FolderReport, place: &str, why: &str) {
        if folder.findings.iter().all(|finding| finding.code != FindingCode::Unreadable) {
            self.add(FindingCode::Unreadable, place, "what can be read", why);
        }
    }

    pub(super) fn folder(&mut self, run: RunId, folder: &FolderReport, place: String) {
        // What cannot be unpacked was told of.
        let read = [FindingCode::ArchiveMalformed, FindingCode::Unreadable, FindingCode::TooLarge];
        let told = folder.findings.iter().any(|it| read.contains(&it.code) && it.place == ".");
        if told && folder.facts == Facts::default() {
            return;
        }
        match &folder.facts.unread {
            None => self.opening(run, folder.facts.first_event, place.clone()),
            Some(why) => self.not_compared(folder, &place, why),
        }
        self.proven(&folder.facts, &place);
        self.heads(run, folder, &place);
        // Its absence is a finding of the folder's.
        let Some(seal) = folder.facts.seal else { return };
        let code = match self.runs.get(&run).map(|told| &told.seals) {
            Some(seals) if seals.last() == Some(&seal) => return,
            Some(seals) if !seals.is_empty() => FindingCode::SealNotLogged,
            _ => FindingCode::RunNotLogged,
        };
        self.add(code, format!("{place}/{SEAL}"), "its seal in the log", "another, or none");
    }
}

/// The digest of a folder's chain, and those of its whole lines; none when there is no chain.
///
/// # Errors
/// What the system answers when they cannot be read.
fn line_digests(folder: &Path) -> io::Result<Option<(Digest, Vec<Digest>)>> {
    let path = folder.join(EVENTS);
    if !disk::found(&path)?.is_some_and(|found| found.is_file()) {
        return Ok(None);
    }
    let (mut whole, mut digests) = (Hashing::new(io::sink()), Vec::new());
    for line in chain::lines(BufReader::new(disk::open(&path)?)) {
        let line = line?;
        line.hash_into(&mut whole);
        digests.extend(line.whole.then(|| Digest::of(&line.bytes)));
    }
    Ok(Some((whole.finish().0, digests)))
}

/// The digest of the first line of a folder's events; none when there is no whole one.
///
/// # Errors
/// What the system answers when it cannot be read.
pub(super) fn first_event(folder: &Path) -> io::Result<Option<Digest>> {
    let path = folder.join(EVENTS);
    if !disk::found(&path)?.is_some_and(|found| found.is_file()) {
        return Ok(None);
    }
    let line = chain::lines(BufReader::new(disk::open(&path)?)).next().transpose()?;
    Ok(line.filter(|line| line.whole).map(|line| Digest::of(&line.bytes)))
}
