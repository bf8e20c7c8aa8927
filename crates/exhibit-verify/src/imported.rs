//! Owns what there can be in `imported/`: bundles of other stores, kept byte for byte under their
//! digests, those on their way in, and the marks of those on their way out.

use std::fs::{FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use exhibit_tlog::digest::Digest;

use crate::disk::{self, PARTIAL_SUFFIX};
use crate::layout::{self, ARCHIVE_SUFFIX, BEGUN_SUFFIX, GOING_SUFFIX, IMPORTED};

/// Whether the plain file at `path` has this digest, and this `size`, by which it is judged before it is
/// read: of a file of many gigabytes with nothing in it nobody learns the digest in time.
///
/// # Errors
/// What the system answers when it cannot tell.
pub fn is_that(path: &Path, sha256: Digest, size: u64) -> io::Result<bool> {
    if !disk::found(path)?.is_some_and(|found| found.is_file() && found.len() == size) {
        return Ok(false);
    }
    Ok(disk::open(path).and_then(Digest::of_reader)?.0 == sha256)
}

/// What lies in `imported/`.
#[derive(Debug)]
pub enum Found {
    /// A file that is called after the digest of a bundle.
    Kept(Digest, PathBuf),
    /// One on its way in or out, by its place.
    Begun(String),
    /// Something else, by its place.
    Other(String, FileType),
}

/// What lies in `imported/` of the store at `root`, by name.
///
/// # Errors
/// What the system answers; a folder that does not exist is no error.
pub fn found_in(root: &Path) -> io::Result<Vec<Found>> {
    let folder = root.join(IMPORTED);
    match disk::found(&folder)? {
        None => return Ok(Vec::new()),
        Some(found) if !found.is_dir() => {
            return Ok(vec![Found::Other(IMPORTED.to_owned(), found.file_type())]);
        }
        Some(_) => {}
    }
    let entries = layout::entries(&folder)?.into_iter().map(|entry| {
        let place = format!("{IMPORTED}/{}", layout::readable(&entry.name));
        let partials = [BEGUN_SUFFIX, GOING_SUFFIX].map(|it| format!("{it}{PARTIAL_SUFFIX}"));
        let begun = [BEGUN_SUFFIX, GOING_SUFFIX, &partials[0], &partials[1]];
        match layout::imported_as(&entry.name, ARCHIVE_SUFFIX) {
            _ if !entry.kind.is_file() => Found::Other(place, entry.kind),
            Some(sha256) => Found::Kept(sha256, entry.path),
            None if begun.iter().any(|it| layout::imported_as(&entry.name, it).is_some()) => {
                Found::Begun(place)
            }
            None => Found::Other(place, entry.kind),
        }
    });
    Ok(entries.collect())
}

/// Whether the bundle with this digest is marked as going in the store at `root`.
///
/// # Errors
/// What the system answers when it cannot tell.
pub fn goes_in(root: &Path, sha256: Digest) -> io::Result<bool> {
    let mark = disk::found(&root.join(format!("{IMPORTED}/{sha256}{GOING_SUFFIX}")))?;
    Ok(mark.is_some_and(|mark| mark.is_file()))
}

/// Whether the bundle with this digest and `size` waits to take its place in the store at `root`, or has
/// it.
///
/// # Errors
/// What the system answers when it cannot tell.
pub fn waits_in(root: &Path, sha256: Digest, size: u64) -> io::Result<Option<bool>> {
    let place = root.join(layout::imported_place(sha256));
    // A link in its place is told of as what it is.
    let is_file = |found: Metadata| found.is_file() || found.is_symlink() && place.is_file();
    let placed = || disk::found(&place).map(|found| found.is_some_and(is_file));
    if placed()? {
        return Ok(Some(false));
    }
    let waits = is_that(&root.join(layout::importing_place(sha256)), sha256, size);
    // It may have taken it in between.
    if placed()? { Ok(Some(false)) } else { Ok(waits?.then_some(true)) }
}
