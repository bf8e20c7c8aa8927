//! Owns what lies at a place of the store: a folder, a plain file, or nothing, where anybody can tell.

use std::io;
use std::path::Path;

use crate::disk;

/// Whether nothing is at `path`, as far as anybody can tell.
pub(super) fn is_absent(path: &Path) -> bool {
    disk::found(path).is_ok_and(|found| found.is_none())
}

/// Whether a folder is at `path`, or a link to one.
///
/// # Errors
/// What the system answers when it cannot tell.
pub(super) fn is_folder(path: &Path) -> io::Result<bool> {
    let found = disk::found(path)?;
    Ok(found.is_some_and(|found| found.is_dir() || found.is_symlink() && path.is_dir()))
}

/// The same of a plain file.
pub(super) fn is_file(path: &Path) -> io::Result<bool> {
    let found = disk::found(path)?;
    Ok(found.is_some_and(|found| found.is_file() || found.is_symlink() && path.is_file()))
}
