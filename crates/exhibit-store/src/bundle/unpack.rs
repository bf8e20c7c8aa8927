//! Owns the unpacking of a bundle: into a folder that did not exist, after all of it was read once and
//! found to be as our writer makes it and to have room. It is verified afterwards like any other
//! folder.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{BundleError, Limits, Reader, TarType, survey};
use crate::RUNS;
use crate::disk;
use crate::id::RunId;

/// What a bundle held.
#[derive(Debug)]
pub struct Unpacked {
    /// By run: its folder, and its proof where there is one.
    pub runs: BTreeMap<RunId, (PathBuf, Option<PathBuf>)>,
}

/// Unpack the bundle `packed` into `folder`, which is empty.
///
/// # Errors
/// [`BundleError`]; for what is no bundle, or too much, nothing is written.
pub fn unpack(
    mut packed: impl Read + Seek,
    folder: &Path,
    limits: Limits,
) -> Result<Unpacked, BundleError> {
    survey(&mut packed, limits)?;
    packed.seek(SeekFrom::Start(0))?;
    let mut reader = Reader::open(packed, limits)?;
    let mut unpacked = Unpacked { runs: BTreeMap::new() };
    let mut proofs = BTreeMap::new();
    while let Some(entry) = reader.next_entry()? {
        let (place, run) = (folder.join(entry.name.path()), entry.name.run());
        match entry.kind {
            TarType::Folder => disk::make_dirs(&place)?,
            TarType::File => {
                disk::make_dirs(place.parent().unwrap_or(folder))?;
                disk::unpack_file(&place, &mut reader)?;
            }
        }
        if entry.name.is_proof() {
            proofs.insert(run, place);
        } else {
            let place = || folder.join(RUNS).join(run.to_string());
            unpacked.runs.entry(run).or_insert_with(|| (place(), proofs.remove(&run)));
        }
    }
    // Whoever could change it between the two readings gets no further with it.
    reader.close()?;
    Ok(unpacked)
}
