//! Owns the unpacking of a bundle: into a folder that did not exist, after all of it was read once and
//! found to be as our writer makes it and to have room. It is verified afterwards like any other
//! folder.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::header::Kind;
use super::reader::{Reader, Survey};
use super::{BundleError, Limits, RUNS};
use crate::disk;
use crate::id::RunId;

/// What a bundle held.
#[derive(Debug)]
pub struct Unpacked {
    /// By run: its folder, and its proof where there is one.
    pub runs: BTreeMap<RunId, (PathBuf, Option<PathBuf>)>,
}

/// Read the bundle `packed` to its end, without writing: what it holds.
///
/// # Errors
/// [`BundleError`].
pub fn survey(packed: impl Read, limits: Limits) -> Result<Survey, BundleError> {
    Reader::open(packed, limits)?.close()
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
    while let Some(entry) = reader.next()? {
        let (place, run) = (folder.join(entry.name.path()), entry.name.run());
        match entry.kind {
            Kind::Folder => disk::make_dirs(&place)?,
            Kind::File => {
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

/// The bytes of the file `name` in the bundle `packed`, if it is there; at most `limit` of them.
///
/// # Errors
/// What the file answers, or `InvalidData` for a larger one and for what is no bundle up to there.
pub fn file_in(packed: impl Read, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut reader = Reader::open(packed, Limits::default()).map_err(invalid)?;
    while let Some(entry) = reader.next().map_err(invalid)? {
        if entry.name.path() != name || entry.kind != Kind::File {
            continue;
        }
        if entry.size > limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != entry.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        return Ok(Some(bytes));
    }
    Ok(None)
}

fn invalid(error: BundleError) -> io::Error {
    match error {
        BundleError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}
