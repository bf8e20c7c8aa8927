//! Owns what is left of a seal once it is in the log: the proof beside it, the move of the folder to
//! its place, its being read-only. Sealing takes these steps, and so does a start after a crash.

use std::io::ErrorKind;
use std::path::Path;

use super::error::StoreError;
use super::layout;
use super::log::Log;
use crate::disk;
use crate::id::RunId;
use crate::tlog::proof::Proof;

pub(super) const READ_ONLY_FILE: u32 = 0o444;
const READ_ONLY_FOLDER: u32 = 0o555;

/// Put the proof that the seal in `folder` is the entry `index` of `log` beside it, in the place of
/// what an attempt before left.
pub(super) fn prove(folder: &Path, log: &Log, index: u64) -> Result<Proof, StoreError> {
    let proof = log.proof(index)?;
    let path = folder.join(layout::PROOF);
    disk::remove_cut_short(&path)
        .and_then(|()| disk::replace(&path, proof.to_string().as_bytes(), READ_ONLY_FILE))
        .map_err(StoreError::at(&path))?;
    Ok(proof)
}

/// Move the folder of `run` from among the open runs to its place in the store at `root`: one rename
/// makes it sealed.
pub(super) fn move_to_place(root: &Path, run: RunId) -> Result<(), StoreError> {
    let open = root.join(layout::open_place(run));
    let place = root.join(layout::sealed_place(run));
    let parent = place.parent().expect("a sealed place lies in a folder");
    disk::make_dirs(parent).map_err(StoreError::at(parent))?;
    if let Err(error) = disk::rename_new(&open, &place) {
        // A disk that says it failed may have done as it was told.
        let gone = open.symlink_metadata();
        if !gone.is_err_and(|gone| gone.kind() == ErrorKind::NotFound) || !place.is_dir() {
            return Err(StoreError::new(&place, error));
        }
    }
    Ok(())
}

/// Make the move durable and the folder read-only.
pub(super) fn settle(root: &Path, run: RunId) -> Result<(), StoreError> {
    let (open, place) = (root.join(layout::OPEN), root.join(layout::sealed_place(run)));
    for parent in [place.parent(), Some(open.as_path())].into_iter().flatten() {
        disk::sync_dir(parent).map_err(StoreError::at(parent))?;
    }
    protect_top(&place)
}

/// Make the top folder of a sealed run read-only.
pub(super) fn protect_top(folder: &Path) -> Result<(), StoreError> {
    disk::set_mode(folder, READ_ONLY_FOLDER).map_err(StoreError::at(folder))
}

/// Make all files and folders below `at` read-only, `at` itself excepted.
pub(super) fn protect_below(at: &Path) -> Result<(), StoreError> {
    for entry in layout::entries(at).map_err(StoreError::at(at))? {
        if entry.kind.is_dir() {
            protect_below(&entry.path)?;
            disk::set_mode(&entry.path, READ_ONLY_FOLDER).map_err(StoreError::at(&entry.path))?;
        } else if entry.kind.is_file() {
            disk::set_mode(&entry.path, READ_ONLY_FILE).map_err(StoreError::at(&entry.path))?;
        }
    }
    Ok(())
}
