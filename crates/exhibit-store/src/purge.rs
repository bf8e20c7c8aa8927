//! Owns the taking away of a sealed folder whose purge stands in the log. The order, of which any
//! step can be the last before a crash:
//!
//! 1. the folder is asked whether it can go (nothing of it is immutable, nor the folder of its day
//!    append-only, but for what a guard lets go);
//! 2. a mark in `purging/` says that its purge is begun;
//! 3. the `purge` entry is in the log;
//! 4. the guard, where there is one, makes the folder removable, for the entry's sake;
//! 5. the folder is moved out of `runs/` into `purging/`, and the guard closes its day again;
//! 6. it is removed there, and the mark after it.
//!
//! Up to 2 nothing has happened, and the mark goes; after 3, 4 and 5 the next start, or the next
//! purge, goes on, as often as it takes. What is purged by the log, lies in `runs/` and has no mark
//! was put back by somebody. Whether a run may go is not decided here.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::layout::{self, PURGING};
use super::publish;
use super::store::Store;
use crate::digest::Digest;
use crate::disk;
use crate::id::RunId;

/// Mode of a folder that can be moved and emptied.
const OPEN_FOLDER: u32 = 0o700;
const OPEN_FILE: u32 = 0o600;
/// What the mark of what is begun with a run is called, behind the run.
pub(super) const MARK: &str = ".begun";

/// Why a sealed folder goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaving {
    /// Its purge is in the log.
    Purged,
    /// Its archive is in its place.
    Archived,
}

impl Store {
    /// Where the folder of `run` is while it is being removed.
    pub fn folder_leaving(&self, run: RunId, why: Leaving) -> PathBuf {
        self.root().join(match why {
            Leaving::Purged => layout::purging_place(run),
            Leaving::Archived => layout::archiving_place(run),
        })
    }

    /// Whether the kernel would let the folder of `run` go: nothing of it, nor the folder it lies
    /// in, is immutable or append-only. Each is given the mode that it has, which such a thing
    /// refuses, and so nothing is changed. What of the folder itself is immutable, and that the one
    /// it lies in is append-only, is passed over where a guard lets it go later (`guarded`).
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] naming what refuses; see [`StoreError`].
    pub fn check_removable(&self, run: RunId, guarded: bool) -> Result<(), StoreError> {
        let folder = self.folder_of(run);
        check_above(&folder, guarded)?;
        each_below(&folder, &mut |path| {
            let passed = guarded && disk::flags::is_immutable(path).unwrap_or(false);
            if passed { Ok(()) } else { same_mode(path) }
        })
    }

    fn mark_of(&self, run: RunId) -> PathBuf {
        self.root().join(format!("{}{MARK}", layout::purging_place(run)))
    }

    /// Mark the purge of `run` as begun. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn mark_purge(&self, run: RunId) -> Result<(), StoreError> {
        set_mark(&self.mark_of(run), b"")
    }

    /// Take the mark of `run` away: nothing is left to do. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn unmark_purge(&self, run: RunId) -> Result<(), StoreError> {
        take_mark(&self.mark_of(run))
    }

    /// Move the folder of `run` out of the sealed ones. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`]; then it lies where it was, read-only.
    pub fn move_aside(&self, run: RunId, why: Leaving) -> Result<(), StoreError> {
        let (from, to) = (self.folder_of(run), self.folder_leaving(run, why));
        if !from.is_dir() {
            return Ok(());
        }
        let aside = to.parent().expect("a folder of the store").to_owned();
        disk::make_dirs(&aside).map_err(StoreError::at(&aside))?;
        // A folder can be moved elsewhere only by whom it lets write into it.
        disk::set_mode(&from, OPEN_FOLDER).map_err(StoreError::at(&from))?;
        if let Err(error) = disk::rename_new(&from, &to) {
            drop(publish::protect_top(&from));
            return Err(StoreError::new(&from, error));
        }
        for folder in [from.parent(), Some(aside.as_path())].into_iter().flatten() {
            disk::sync_dir(folder).map_err(StoreError::at(folder))?;
        }
        Ok(())
    }

    /// Remove what was moved aside of `run`. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`]; then it can be tried again.
    pub fn remove_aside(&self, run: RunId, why: Leaving) -> Result<(), StoreError> {
        remove_folder(&self.folder_leaving(run, why))
    }

    /// The runs whose purge is begun and not finished: those that are marked, and those that were
    /// moved aside. What was cut short of a mark goes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn begun_purges(&self) -> Result<BTreeSet<RunId>, StoreError> {
        let folder = self.root().join(PURGING);
        let mut begun = BTreeSet::new();
        for entry in layout::listed(&folder)? {
            let name = entry.name.to_string_lossy();
            if name.ends_with(disk::PARTIAL_SUFFIX) {
                disk::remove_file(&entry.path).map_err(StoreError::at(&entry.path))?;
            }
            begun.extend(name.strip_suffix(MARK).unwrap_or(&name).parse::<RunId>());
        }
        Ok(begun)
    }
}

/// Set the mark at `path`, which says `what`, durably, and make the folder it lies in. Done already is
/// no error.
pub(super) fn set_mark(path: &Path, what: &[u8]) -> Result<(), StoreError> {
    let folder = path.parent().expect("a folder of the store");
    disk::make_dirs(folder).map_err(StoreError::at(folder))?;
    disk::replace(path, what, OPEN_FILE).map_err(StoreError::at(path))
}

/// Take the mark at `path` away. Done already is no error.
pub(super) fn take_mark(path: &Path) -> Result<(), StoreError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let folder = path.parent().expect("a folder of the store");
    disk::remove_file(path).map_err(StoreError::at(path))?;
    disk::sync_dir(folder).map_err(StoreError::at(folder))
}

/// Remove `folder`, whose parts may be read-only. Done already is no error.
pub(super) fn remove_folder(folder: &Path) -> Result<(), StoreError> {
    if folder.symlink_metadata().is_err() {
        return Ok(());
    }
    let mut open = |path: &Path| {
        let is_dir = path.symlink_metadata().is_ok_and(|found| found.is_dir());
        if is_dir { disk::set_mode(path, OPEN_FOLDER) } else { Ok(()) }
            .map_err(StoreError::at(path))
    };
    each_below(folder, &mut open)?;
    disk::remove_dir_all(folder).map_err(StoreError::at(folder))?;
    let above = folder.parent().expect("a folder of the store");
    disk::sync_dir(above).map_err(StoreError::at(above))
}

/// The digest of the seal in `folder`, which the log holds; none when it cannot be read.
pub fn seal_digest(folder: &Path) -> Option<Digest> {
    let seal = disk::read_plain(&folder.join(layout::SEAL), layout::MAX_SMALL).ok()?;
    Some(Digest::of(&seal))
}

/// Whether the folder that `path` lies in lets names go.
pub(super) fn check_above(path: &Path, guarded: bool) -> Result<(), StoreError> {
    let above = path.parent().expect("a folder of the store");
    let passed = guarded && disk::flags::is_append_only(above).unwrap_or(false);
    if passed { Ok(()) } else { same_mode(above) }
}

/// Give `path` the mode that it has.
pub(super) fn same_mode(path: &Path) -> Result<(), StoreError> {
    let found = path.symlink_metadata().map_err(StoreError::at(path))?;
    if found.is_symlink() {
        return Ok(());
    }
    let mode = found.permissions().mode() & 0o7777;
    disk::set_mode(path, mode).map_err(StoreError::at(path))
}

/// Show `act` the folder and everything below it, each folder before what it holds. Links are not
/// followed.
pub(super) fn each_below(
    folder: &Path,
    act: &mut impl FnMut(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    act(folder)?;
    for entry in layout::entries(folder).map_err(StoreError::at(folder))? {
        if entry.kind.is_dir() {
            each_below(&entry.path, act)?;
        } else {
            act(&entry.path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Leaving::Purged;
    use crate::fixture::{Bench, id};

    #[test]
    fn a_folder_goes_in_steps_each_of_which_can_be_done_again() {
        let bench = Bench::new();
        let folder = bench.sealed(0);
        let (store, run) = (&bench.store, id(0));
        store.check_removable(run, false).expect("nothing holds it");
        assert_eq!(store.settle().expect("looked"), Vec::<std::path::PathBuf>::new(), "unchanged");
        store.move_aside(run, Purged).expect("moved");
        store.move_aside(run, Purged).expect("moved already");
        assert!(!folder.exists() && store.folder_leaving(run, Purged).is_dir());
        assert_eq!(store.begun_purges().expect("listed"), [run].into());
        store.mark_purge(run).expect("marked");
        store.mark_purge(run).expect("marked already");
        store.remove_aside(run, Purged).expect("removed");
        store.remove_aside(run, Purged).expect("removed already");
        assert_eq!(store.begun_purges().expect("listed"), [run].into(), "by its mark");
        store.unmark_purge(run).expect("unmarked");
        store.unmark_purge(run).expect("unmarked already");
        assert_eq!(store.begun_purges().expect("listed"), [].into());
    }
}
