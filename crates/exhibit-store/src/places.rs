//! Owns the question whether a store's places are its own: a link in the place of a folder or of a file
//! that grows would have the daemon write, move and remove outside of the store.

use std::path::{Path, PathBuf};

use exhibit_verify::custody::CUSTODY;

use super::error::StoreError;
use super::layout;
use super::log::{FOLDER, HISTORY};
use crate::{disk, verify};

/// Folders whose entries, too, are written by name, and how many levels of folders there are in them:
/// tiles and checkpoints by thousands, runs by year, month and day.
const DEEPER: [(&str, u32); 5] =
    [("", 0), (FOLDER, 12), (HISTORY, 12), (CUSTODY, 0), (layout::RUNS, 2)];

/// Refuse a store in which a link, or anything but a folder where a folder belongs, stands in a place
/// that the daemon writes to.
///
/// # Errors
/// [`StoreError::Damaged`], which names the place and the remedy; what cannot be read.
pub(super) fn check(root: &Path) -> Result<(), StoreError> {
    for (folder, levels) in DEEPER.map(|(name, levels)| (root.join(name), levels)) {
        if disk::found(&folder).map_err(StoreError::at(&folder))?.is_some_and(|it| it.is_dir()) {
            holds_no_link(&folder, levels)?;
        }
    }
    for path in verify::FOLDERS.map(|name| root.join(name)) {
        let found = disk::found(&path).map_err(StoreError::at(&path))?;
        if found.is_some_and(|found| !found.is_dir()) {
            return Err(misplaced(path, "a store has a folder there"));
        }
    }
    Ok(())
}

/// Refuse a link in `folder`, and in so many `levels` of folders below it.
fn holds_no_link(folder: &Path, levels: u32) -> Result<(), StoreError> {
    for entry in layout::entries(folder).map_err(StoreError::at(folder))? {
        if entry.kind.is_symlink() {
            return Err(misplaced(entry.path, "it is a link, which may lead out of the store"));
        }
        if entry.kind.is_dir() && levels > 0 {
            holds_no_link(&entry.path, levels - 1)?;
        }
    }
    Ok(())
}

fn misplaced(path: PathBuf, what: &str) -> StoreError {
    let what = format!(
        "{what}; remove it and put back what belongs there (another disk is mounted there, not linked)"
    );
    StoreError::Damaged { path, what }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::store::Store;

    #[test]
    fn a_store_with_a_link_in_a_place_of_its_own_is_not_opened() {
        for name in [
            "quarantine",
            "reserve",
            "sequences",
            "lock",
            "index.sqlite",
            "log/checkpoint",
            "log/tile",
            "log/tile/0",
            "log/tile/0/000.p",
            "log/tile/entries/x001/234.p",
            "checkpoints/000.note",
            "checkpoints/x001/000.note",
            "runs/2026",
            "runs/2026/12",
            "runs/2026/12/01",
            "custody/2026-12.jsonl",
        ] {
            let (folder, elsewhere) = (tempfile::tempdir(), tempfile::tempdir());
            let (folder, elsewhere) = (folder.expect("a folder"), elsewhere.expect("a folder"));
            let path = folder.path().join(name);
            disk::make_dirs(path.parent().expect("in a folder")).expect("made");
            symlink(elsewhere.path(), &path).expect("linked");
            let error = Store::open(folder.path()).expect_err("refused");
            let StoreError::Damaged { path: told, .. } = &error else { panic!("{name}: {error}") };
            assert!(path.starts_with(told), "{name}: {error}");
            let left = std::fs::read_dir(elsewhere.path()).expect("there").count();
            assert_eq!(left, 0, "{name}: nothing was written there");
        }
    }

    #[test]
    fn a_store_with_a_file_for_a_folder_is_not_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        disk::write_once(&folder.path().join("purging"), b"").expect("written");
        let error = Store::open(folder.path()).expect_err("refused");
        assert!(error.to_string().contains("a store has a folder there"), "{error}");
    }
}
