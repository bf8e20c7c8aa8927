//! Owns bundles: sealed folders on their way to somebody else, as one `.tar.zst` that plain `tar`
//! opens, each with a proof that it stands in the log. The same folders and proofs give the same
//! bytes. What is read may have been made to hurt whoever reads it, or to be read by others as
//! something else: only what our writer would write is accepted (docs/FORMAT.md, section 8).

mod folder;
mod frame;
mod header;
mod name;
mod reader;
mod writer;

use std::io::{self, Read, Write};
use std::path::Path;

pub use self::folder::{Folder, FolderItem, folders};
pub use self::header::TarType;
pub use self::name::Name;
pub use self::reader::{Reader, Survey, TarEntry};
pub use self::writer::write_tar;
use crate::disk;
use crate::id::RunId;
use exhibit_tlog::proof::Proof;

/// Folder of the evidence folders, in a bundle.
const RUNS: &str = "runs";
/// Folder of the proofs.
const PROOFS: &str = "proofs";

/// How much a bundle may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
}

impl Default for Limits {
    /// 64 GiB and a million entries.
    fn default() -> Self {
        Self { bytes: 64 << 30, entries: 1_000_000 }
    }
}

/// Why a file is not read as a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file or the disk.
    #[error("it cannot be read or unpacked")]
    Io(#[from] io::Error),
    /// It holds what no bundle holds, or another spelling of what one holds.
    #[error("it is no bundle of exhibit: {0}")]
    NotABundle(String),
    /// It holds more than the limits allow.
    #[error(
        "it holds more than {0}; a bundle made to fill a disk does, and a larger one is divided by its maker"
    )]
    TooMuch(String),
}

impl BundleError {
    /// Whether it tells of this machine (a full disk, a file that may not be read) and not of what is
    /// in the file; bytes that cannot be unpacked are no error of the system's.
    pub fn is_of_the_system(&self) -> bool {
        disk::is_unreadable(self)
    }
}

/// Write the bundle of `folders`, each with its run and its proof if there is one, to `out`.
///
/// # Errors
/// What a folder or `out` answers; `InvalidData` for a name that the format does not have, and for a
/// file that changes meanwhile.
pub fn write<W: Write>(out: W, folders: &[(RunId, &Path, Option<Proof>)]) -> io::Result<W> {
    let proof = |proof: &Option<Proof>| proof.as_ref().map(|proof| proof.to_string().into_bytes());
    let folders: Vec<_> =
        folders.iter().map(|(run, folder, beside)| (*run, *folder, proof(beside))).collect();
    let mut tar = frame::encoder(out)?;
    write_tar(&mut tar, &folders)?;
    tar.finish()
}

/// Read the bundle `packed` to its end, without writing: what it holds.
///
/// # Errors
/// [`BundleError`].
pub fn survey(packed: impl Read, limits: Limits) -> Result<Survey, BundleError> {
    Reader::open(packed, limits)?.close()
}

/// The bytes of the file `name` in the bundle `packed`, if it is there; at most `limit` of them.
///
/// # Errors
/// What the file answers, or `InvalidData` for a larger one and for what is no bundle up to there.
pub fn file_in(packed: impl Read, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let [found] = files_in(packed, [(name, limit)])?;
    match found {
        Some(Found::Bytes(bytes)) => Ok(Some(bytes)),
        Some(Found::TooLarge) => Err(io::ErrorKind::InvalidData.into()),
        None => Ok(None),
    }
}

/// A file of a bundle that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// It has more than was asked for.
    TooLarge,
}

/// The files that are `wanted` of the bundle `packed`, each by name and with the most bytes that are read
/// of it, in one reading; none of what is not there.
///
/// # Errors
/// What the file answers, or `InvalidData` for what is no bundle as far as it is read.
pub fn files_in<const N: usize>(
    packed: impl Read,
    wanted: [(&str, u64); N],
) -> io::Result<[Option<Found>; N]> {
    let mut found = [const { None }; N];
    let mut reader = Reader::open(packed, Limits::default()).map_err(invalid)?;
    while found.iter().any(Option::is_none)
        && let Some(entry) = reader.next_entry().map_err(invalid)?
    {
        let at = wanted.iter().position(|(name, _)| entry.name.path() == *name);
        let Some(at) = at.filter(|_| entry.kind == TarType::File) else { continue };
        if entry.size > wanted[at].1 {
            found[at] = Some(Found::TooLarge);
            continue;
        }
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes)?;
        if bytes.len() as u64 != entry.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        found[at] = Some(Found::Bytes(bytes));
    }
    Ok(found)
}

fn invalid(error: BundleError) -> io::Error {
    match error {
        BundleError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

/// Single headers and frames, of which tests and fuzzers make what is no bundle.
pub mod testing {
    use std::io::Write as _;

    pub use super::frame::encoder;
    pub use super::header::{BLOCK, Block, Head};

    /// `tar` in a frame as our bundles are.
    pub fn framed(tar: &[u8]) -> Vec<u8> {
        let mut packed = encoder(Vec::new()).expect("an encoder");
        packed.write_all(tar).expect("in memory");
        packed.finish().expect("in memory")
    }
}
