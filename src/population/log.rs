//! Owns what the log of a store tells of its runs, gathered in one pass: when each was opened, its last
//! seal, whether it was purged or archived, and what the daemon found of it. And which runs are there
//! that it does not tell of, or the reverse, without reading any.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

use super::absence::Absences;
use super::place::{is_file, is_folder};
use super::{Fate, LogState};
use crate::digest::Digest;
use crate::evidence::log::{Broken, Continuation, Indexed, Leaf, LeafKind, LogReader};
use crate::evidence::verify::LoggedRun;
use crate::evidence::{
    Findings, StoreError, archived_in, archived_place, open_place, sealed_in, sealed_place,
};
use crate::id::RunId;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::policy::Policy;

/// What the log tells of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct RunHistory {
    /// Place among the runs that were opened.
    pub(super) number: u64,
    pub(super) open: Option<(u64, Leaf)>,
    /// The last seal: index, digest, and what it says.
    pub(super) seal: Option<(u64, Digest, Leaf)>,
    pub(super) purge: Option<u64>,
    /// The digest of its archive, while it is archived.
    pub(super) archive: Option<Digest>,
    /// Whether it became an archive, or a folder again, or was purged.
    moved: bool,
}

impl RunHistory {
    /// What its folder is held against.
    pub(super) fn logged(&self) -> LoggedRun {
        let open = self.open.as_ref().map(|(_, leaf)| leaf);
        // One that states no digest agrees with no folder.
        let opening = open.map(|leaf| digest(leaf, "first_event_sha256").unwrap_or(Digest::ZERO));
        LoggedRun { seal: self.seal.as_ref().map(|(_, seal, _)| *seal), opening, archive: None }
    }

    /// Take over what the log tells of the run in entries behind those that were read.
    pub(super) fn extend(&mut self, later: Self) {
        self.open = self.open.take().or(later.open);
        self.seal = later.seal.or(self.seal.take());
        self.purge = self.purge.or(later.purge);
        if later.moved {
            self.archive = later.archive;
        }
    }

    fn take(&mut self, index: u64, entry: &[u8], leaf: Leaf, opened: &mut u64) {
        use LeafKind::{Archive, Purge, Restore};
        self.moved |= matches!(leaf.kind, Archive | Restore | Purge);
        match leaf.kind {
            LeafKind::Open if self.open.is_none() => {
                *opened += 1;
                self.number = *opened;
                self.open = Some((index, leaf));
            }
            LeafKind::Seal => self.seal = Some((index, Digest::of(entry), leaf)),
            Archive => {
                self.archive = Some(digest(&leaf, "sha256").unwrap_or(Digest::ZERO));
            }
            Restore => self.archive = None,
            Purge => {
                self.purge = self.purge.or(Some(index));
                self.archive = None;
            }
            _ => {}
        }
    }
}

fn digest(leaf: &Leaf, name: &str) -> Option<Digest> {
    leaf.data.get(name)?.as_str()?.parse().ok()
}

/// What the log tells of all runs.
pub(super) type Runs = HashMap<RunId, RunHistory>;

/// A log, read: all of it, or what was added.
pub(super) struct Reading {
    pub(super) told: Runs,
    pub(super) findings: Findings,
    pub(super) absences: Absences,
    /// Runs that were ever opened.
    pub(super) opened: u64,
    /// How far it was read.
    pub(super) at: Continuation,
}

impl Reading {
    /// Read the log of the store at `root`: its first entries, as `state` has them, or all that it has,
    /// where a log that `policy` vouches for signed it.
    ///
    /// # Errors
    /// What cannot be read; [`StoreError::Damaged`] when its root does not follow from its entries.
    pub(super) fn of(
        root: &Path,
        state: Option<&LogState>,
        policy: &Policy,
    ) -> Result<Self, StoreError> {
        let (reader, mut at) = (LogReader::of_store(root), Continuation::default());
        let entries = match state {
            Some(LogState { origin, size, root }) => {
                let (origin, size, root) = (origin.clone(), *size, *root);
                at.advance_to(&reader, &Checkpoint { origin, size, root })
            }
            None => at.advance(&reader, policy),
        };
        Ok(Self::over(entries.map_err(Broken::into_store_error)?, at))
    }

    /// Read what was added to the log of the store at `root` since `at`, by a log that `policy` vouches
    /// for.
    ///
    /// # Errors
    /// As [`Reading::of`].
    pub(super) fn since(
        root: &Path,
        at: &Continuation,
        policy: &Policy,
    ) -> Result<Self, StoreError> {
        let mut at = at.clone();
        let added =
            at.advance(&LogReader::of_store(root), policy).map_err(Broken::into_store_error)?;
        Ok(Self::over(added, at))
    }

    fn over(entries: Vec<Indexed>, at: Continuation) -> Self {
        let (mut told, mut opened) = (Runs::new(), 0);
        let (mut findings, mut absences) = (Findings::default(), Absences::default());
        for (index, entry) in entries {
            let Some(leaf) = Leaf::parse(&entry) else { continue };
            absences.take(&leaf);
            findings.take(Some(index), &leaf);
            if let Some(run) = leaf.run {
                told.entry(run).or_default().take(index, &entry, leaf, &mut opened);
            }
        }
        Self { told, findings, absences, opened, at }
    }
}

/// The runs below `runs/` of the store at `root` of which a log that was read up to `at` when they were
/// looked for does not tell, now that it may have more: a seal is in the log before its folder is in its
/// place, so that what is new there is told of by now. What a folder says of its own place in the log
/// counts for nothing.
pub(super) fn untold(
    root: &Path,
    told: &Runs,
    at: &Continuation,
    policy: &Policy,
) -> Result<Vec<RunId>, StoreError> {
    let folders = sealed_in(root).filter_map(|path| path.file_name()?.to_str()?.parse().ok());
    let there: HashSet<RunId> = folders.chain(archived_in(root).map(|(run, _)| run)).collect();
    let known = |run: &RunId| told.get(run).is_some_and(|told| told.seal.is_some());
    let unknown: Vec<RunId> = there.into_iter().filter(|run| !known(run)).collect();
    if unknown.is_empty() {
        return Ok(unknown);
    }
    let later = Reading::since(root, at, policy)?.told;
    let sealed = |run: &RunId| later.get(run).is_some_and(|told| told.seal.is_some());
    Ok(unknown.into_iter().filter(|run| !sealed(run)).collect())
}

/// The runs that the log of the store at `root`, signed as `policy` asks for, tells of and that lie nowhere ([`Fate::Gone`]), or of
/// which nobody can tell ([`Fate::Unreadable`]), and those whose seal it does not hold although they lie
/// among the sealed ones ([`Fate::NotLogged`]). None of them is read.
///
/// # Errors
/// When the log cannot be read.
pub(crate) fn absent(root: &Path, policy: &Policy) -> Result<Vec<(RunId, Fate)>, StoreError> {
    let Reading { told, at, .. } = Reading::of(root, None, policy)?;
    let lies = |run: RunId, told: &RunHistory| -> io::Result<bool> {
        let folder = || is_folder(&root.join(sealed_place(run)));
        let archive = || is_file(&root.join(archived_place(run)));
        let open = || -> io::Result<bool> {
            Ok(told.seal.is_none() && is_folder(&root.join(open_place(run)))?)
        };
        // It may have been moved from one to the other meanwhile.
        Ok(folder()? || archive()? || open()? || folder()? || archive()?)
    };
    let doubt = |(run, told): (&RunId, &RunHistory)| match lies(*run, told) {
        _ if told.purge.is_some() => None,
        Ok(true) => None,
        Ok(false) => Some((*run, Fate::Gone)),
        Err(_) => Some((*run, Fate::Unreadable)),
    };
    let mut found: Vec<(RunId, Fate)> = told.iter().filter_map(doubt).collect();
    let untold = untold(root, &told, &at, policy)?;
    found.extend(untold.into_iter().map(|run| (run, Fate::NotLogged)));
    found.sort_unstable_by_key(|(run, _)| *run);
    Ok(found)
}
