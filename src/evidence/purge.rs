//! Owns the taking away of a sealed folder whose purge stands in the log. The order, of which any
//! step can be the last before a crash:
//!
//! 1. the folder is asked whether it can go (nothing of it is immutable);
//! 2. the `purge` entry is in the log;
//! 3. the folder is moved out of `runs/` into `purging/`;
//! 4. it is removed there.
//!
//! After 1 nothing has happened; after 2 and 3 the next start, or the next purge, goes on. Whether a
//! run may go is not decided here.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::layout::{self, PURGING};
use super::seal;
use super::store::Store;
use crate::digest::Digest;
use crate::disk;
use crate::id::RunId;

/// Mode of a folder that can be moved and emptied.
const OPEN_FOLDER: u32 = 0o700;

impl Store {
    /// Where the folder of `run` is while it is being removed.
    pub fn folder_of_purging(&self, run: RunId) -> PathBuf {
        self.root().join(layout::purging_place(run))
    }

    /// Whether the kernel would let the folder of `run` go: nothing of it, nor the folder it lies
    /// in, is immutable or append-only. Each is given the mode that it has, which such a thing
    /// refuses, and so nothing is changed.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`] naming what refuses; see [`StoreError`].
    pub fn check_removable(&self, run: RunId) -> Result<(), StoreError> {
        let folder = self.folder_of(run);
        if let Some(above) = folder.parent() {
            same_mode(above)?;
        }
        each_below(&folder, &mut same_mode)
    }

    /// Move the folder of `run` out of the sealed ones. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`]; then it lies where it was, read-only.
    pub fn move_aside(&self, run: RunId) -> Result<(), StoreError> {
        let (from, to) = (self.folder_of(run), self.folder_of_purging(run));
        if !from.is_dir() {
            return Ok(());
        }
        let purging = self.root().join(PURGING);
        disk::make_dirs(&purging).map_err(StoreError::at(&purging))?;
        // A folder can be moved elsewhere only by whom it lets write into it.
        disk::set_mode(&from, OPEN_FOLDER).map_err(StoreError::at(&from))?;
        if let Err(error) = disk::rename_new(&from, &to) {
            drop(seal::protect_top(&from));
            return Err(StoreError::new(&from, error));
        }
        for folder in [from.parent(), Some(purging.as_path())].into_iter().flatten() {
            disk::sync_dir(folder).map_err(StoreError::at(folder))?;
        }
        Ok(())
    }

    /// Remove what was moved aside of `run`. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`]; then it can be tried again.
    pub fn remove_aside(&self, run: RunId) -> Result<(), StoreError> {
        let folder = self.folder_of_purging(run);
        if folder.symlink_metadata().is_err() {
            return Ok(());
        }
        let mut open = |path: &Path| {
            let is_dir = path.symlink_metadata().is_ok_and(|found| found.is_dir());
            if is_dir { disk::set_mode(path, OPEN_FOLDER) } else { Ok(()) }
                .map_err(StoreError::at(path))
        };
        each_below(&folder, &mut open)?;
        disk::remove_dir_all(&folder).map_err(StoreError::at(&folder))?;
        let purging = self.root().join(PURGING);
        disk::sync_dir(&purging).map_err(StoreError::at(&purging))
    }

    /// The runs that were moved aside and are not wholly removed.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn aside(&self) -> Result<Vec<RunId>, StoreError> {
        aside_in(self.root())
    }
}

/// The digest of the seal in `folder`, which the log holds; none when it cannot be read.
pub(crate) fn seal_digest(folder: &Path) -> Option<Digest> {
    let seal = disk::read_plain(&folder.join(layout::SEAL), layout::MAX_SMALL).ok()?;
    Some(Digest::of(&seal))
}

/// The runs that were moved aside in the store at `root`.
pub(super) fn aside_in(root: &Path) -> Result<Vec<RunId>, StoreError> {
    let folder = root.join(PURGING);
    match layout::entries(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::new(&folder, error)),
        Ok(entries) => {
            let runs = entries.iter().filter_map(|entry| entry.name.to_str()?.parse().ok());
            Ok(runs.collect())
        }
    }
}

/// Give `path` the mode that it has.
fn same_mode(path: &Path) -> Result<(), StoreError> {
    let found = path.symlink_metadata().map_err(StoreError::at(path))?;
    if found.is_symlink() {
        return Ok(());
    }
    let mode = found.permissions().mode() & 0o7777;
    disk::set_mode(path, mode).map_err(StoreError::at(path))
}

/// Show `act` the folder and everything below it, each folder before what it holds. Links are not
/// followed.
fn each_below(
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
    use crate::evidence::fixture::{Bench, id};

    #[test]
    fn a_folder_goes_in_two_steps_each_of_which_can_be_done_again() {
        let bench = Bench::new();
        let folder = bench.sealed(0);
        let (store, run) = (&bench.store, id(0));
        store.check_removable(run).expect("nothing holds it");
        assert_eq!(store.settle().expect("looked"), Vec::<std::path::PathBuf>::new(), "unchanged");
        store.move_aside(run).expect("moved");
        store.move_aside(run).expect("moved already");
        assert!(!folder.exists() && store.folder_of_purging(run).is_dir());
        assert_eq!(store.aside().expect("listed"), [run]);
        store.remove_aside(run).expect("removed");
        store.remove_aside(run).expect("removed already");
        assert_eq!(store.aside().expect("listed"), []);
    }
}
