//! Owns the comparison of what a log tells of runs with what the store holds of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::archive::Packed;
use super::log::LogCheck;
use super::{Facts, FolderReport};
use crate::digest::Digest;
use crate::evidence::chain;
use crate::evidence::finding::FindingCode;
use crate::evidence::layout::{self, EVENTS, PROOF, SEAL};
use crate::evidence::log::Leaf;
use crate::id::RunId;
use crate::tlog::tile::WIDTH;

impl LogCheck<'_> {
    /// Whether the log tells that the run of `folder` was purged, and it went while it was looked at.
    pub(super) fn went(&self, folder: &FolderReport) -> bool {
        let path = Path::new(&folder.folder);
        let named = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        named.is_some_and(|run| self.keeping.is_purged(run)) && path.symlink_metadata().is_err()
    }

    /// The runs of the log against the folders: `folders` and `archives` are those that are sealed,
    /// `open` the runs that are not yet.
    pub(super) fn runs(&mut self, folders: &[FolderReport], archives: &[Packed], open: &[RunId]) {
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
        let last = |run| self.runs.get(run)?.last;
        let placed = there.iter().filter_map(|(run, folder)| Some((last(run)?, *folder)));
        self.stamped_in_order(placed.collect());
        self.purged();
        let told: Vec<(RunId, bool)> =
            self.runs.iter().map(|(run, told)| (*run, told.seals.is_empty())).collect();
        for (run, unsealed) in told {
            let place = layout::sealed_place(run);
            let purged = self.keeping.is_purged(run);
            if purged || there.contains_key(&run) || (unsealed && open.contains(&run)) {
                continue;
            }
            // In a store in use it may have been opened or sealed since, or be on its way from one
            // place to the other: its seal is in the log before its folder is moved.
            let now = [&place, &layout::open_place(run), &place];
            let archive = self.root.join(layout::archived_place(run));
            if archive.is_file() || now.into_iter().any(|now| self.root.join(now).is_dir()) {
                continue;
            }
            let expected = if unsealed { "a run that was opened" } else { "a run that was sealed" };
            self.add(FindingCode::RunGone, place, expected, "nothing");
        }
        for run in open {
            if !self.runs.contains_key(run) && !self.is_told_since(*run) {
                let place = layout::open_place(*run);
                self.add(FindingCode::RunNotLogged, place, "its opening in the log", "none");
            }
            let folder = self.root.join(layout::open_place(*run));
            self.opening(*run, first_event(&folder), layout::open_place(*run));
        }
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
    fn opening(&mut self, run: RunId, found: Option<Digest>, place: String) {
        let Some(logged) = self.runs.get(&run).and_then(|told| told.opening) else { return };
        if found != Some(logged) {
            let found = found.map_or_else(|| "no event".to_owned(), |found| found.to_string());
            let place = format!("{place}/{EVENTS}:1");
            self.add(FindingCode::OpeningNotLogged, place, logged.to_string(), found);
        }
    }

    /// Whether the log tells of `run` in what was added since it was looked at.
    fn is_told_since(&self, run: RunId) -> bool {
        let Ok((_, newest)) = self.reader.checkpoint() else { return false };
        (self.report.size / WIDTH..newest.size.div_ceil(WIDTH)).any(|bundle| {
            let entries = self.reader.bundle(bundle, newest.size).unwrap_or_default();
            entries.iter().any(|entry| Leaf::parse(entry).is_some_and(|leaf| leaf.run == Some(run)))
        })
    }

    fn folder(&mut self, run: RunId, folder: &FolderReport, place: String) {
        // What cannot be unpacked was told of.
        let read = [FindingCode::ArchiveMalformed, FindingCode::Unreadable, FindingCode::TooLarge];
        let told = folder.findings.iter().any(|it| read.contains(&it.code) && it.place == ".");
        if told && folder.facts == Facts::default() {
            return;
        }
        self.opening(run, folder.facts.first_event, place.clone());
        self.proven(&folder.facts, &place);
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

/// The digest of the first line of a folder's events; none when there is no whole one.
pub(super) fn first_event(folder: &Path) -> Option<Digest> {
    let path = folder.join(EVENTS);
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    let line = chain::lines(BufReader::new(File::open(path).ok()?)).next()?.ok()?;
    line.whole.then(|| Digest::of(&line.bytes))
}
