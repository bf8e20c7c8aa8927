//! Owns the clearing of an open run's folder: what an earlier attempt to seal it left, and what a crash
//! cut short, goes; what the run acknowledged stays.

use std::path::Path;

use super::error::StoreError;
use super::layout::{self, RECORD, TAG_FILES};
use crate::disk::{self, PARTIAL_SUFFIX};

const PRIVATE_FOLDER: u32 = 0o700;

/// Bring the folder of an open run back to what its run acknowledged: folders writable, no files
/// cut short, nothing of an earlier seal, no empty folders. Answers the names of what it removed.
pub(super) fn clear(folder: &Path) -> Result<Vec<String>, StoreError> {
    let mut removed = Vec::new();
    disk::set_mode(folder, PRIVATE_FOLDER).map_err(StoreError::at(folder))?;
    for name in TAG_FILES.iter().chain(&layout::RESERVED).chain(&[RECORD]) {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() {
            // `data/` may be read-only since an earlier attempt.
            let parent = path.parent().expect("a file of the folder lies in a folder");
            disk::set_mode(parent, PRIVATE_FOLDER).map_err(StoreError::at(parent))?;
            disk::remove_file(&path).map_err(StoreError::at(&path))?;
            removed.push((*name).to_owned());
        }
    }
    sweep(folder, folder, &mut removed)?;
    Ok(removed)
}

/// Remove files cut short and empty folders below `at`; answers whether nothing is left in it.
fn sweep(top: &Path, at: &Path, removed: &mut Vec<String>) -> Result<bool, StoreError> {
    disk::set_mode(at, PRIVATE_FOLDER).map_err(StoreError::at(at))?;
    let mut empty = true;
    for entry in layout::entries(at).map_err(StoreError::at(at))? {
        let gone = if entry.kind.is_dir() {
            let gone = sweep(top, &entry.path, removed)?;
            if gone {
                disk::remove_dir_all(&entry.path).map_err(StoreError::at(&entry.path))?;
            }
            gone
        } else {
            let partial = entry.name.to_string_lossy().ends_with(PARTIAL_SUFFIX);
            if partial {
                disk::remove_file(&entry.path).map_err(StoreError::at(&entry.path))?;
                let name = entry.path.strip_prefix(top).unwrap_or(&entry.path);
                removed.push(name.to_string_lossy().into_owned());
            }
            partial
        };
        empty &= gone;
    }
    Ok(empty)
}
