//! Owns the reading of a bundle: into a folder that did not exist, plain files and folders only,
//! under names of the format, within limits. It is verified afterwards like any other folder.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tar::{Archive, EntryType};

use super::{PROOFS, RUNS};
use crate::artifact::is_safe_name;
use crate::disk;
use crate::id::RunId;

/// Most parts of a path in a bundle: `runs`, the run, and what a folder may hold.
const MAX_DEPTH: usize = 12;
/// Most zeros behind the last entry: other tools fill up to their blocks.
const MAX_END: usize = 1 << 20;

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
    /// It holds what no bundle holds.
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
        matches!(self, Self::Io(error) if error.raw_os_error().is_some()
            && error.kind() != io::ErrorKind::AlreadyExists)
    }
}

/// What a bundle held.
#[derive(Debug)]
pub struct Unpacked {
    /// By run: its folder, and its proof where there is one.
    pub runs: BTreeMap<RunId, (PathBuf, Option<PathBuf>)>,
}

/// Unpack the bundle `packed` into `folder`, which is empty.
///
/// # Errors
/// [`BundleError`]; what was unpacked until then stays, for the caller to remove.
pub fn unpack(packed: impl Read, folder: &Path, limits: Limits) -> Result<Unpacked, BundleError> {
    // What a frame claims to need is not given before it is needed.
    let mut frames = zstd::Decoder::new(packed)?;
    frames.window_log_max(27)?;
    let mut archive = Archive::new(frames);
    let (mut bytes, mut count) = (0_u64, 0_u64);
    let mut unpacked = Unpacked { runs: BTreeMap::new() };
    for entry in archive.entries()? {
        let mut entry = entry?;
        count += 1;
        if count > limits.entries {
            return Err(BundleError::TooMuch(format!("{} entries", limits.entries)));
        }
        let path = entry.path_bytes().into_owned();
        let name = Name::read(&path)?;
        let place = folder.join(&name.path);
        match entry.header().entry_type() {
            EntryType::Directory => disk::make_dirs(&place)?,
            EntryType::Regular => {
                bytes = bytes.saturating_add(entry.size());
                if bytes > limits.bytes {
                    return Err(BundleError::TooMuch(format!("{} bytes", limits.bytes)));
                }
                disk::make_dirs(place.parent().unwrap_or(folder))?;
                disk::unpack_file(&place, &mut entry)?;
            }
            kind => {
                return Err(BundleError::NotABundle(format!("{} is {kind:?}", name.path)));
            }
        }
        name.tell(&mut unpacked, folder);
    }
    check_end(archive.into_inner())?;
    // A proof without a folder proves nothing that is here.
    unpacked.runs.retain(|_, (place, _)| place.is_dir());
    if unpacked.runs.is_empty() {
        return Err(BundleError::NotABundle("there is no evidence folder in it".to_owned()));
    }
    Ok(unpacked)
}

/// Whether nothing follows the last entry but the zeros that end a tar, and no frame but whole ones:
/// what plain tools do not see must not be there.
fn check_end(mut rest: impl Read) -> Result<(), BundleError> {
    let mut chunk = [0; 4096];
    let mut left = MAX_END;
    loop {
        let count = rest.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        left = left.saturating_sub(count);
        if left == 0 || chunk[..count].iter().any(|byte| *byte != 0) {
            return Err(BundleError::NotABundle("bytes follow its end".to_owned()));
        }
    }
}

/// The bytes of the file `name` in the bundle `packed`, if it is there; at most `limit` of them.
///
/// # Errors
/// What the file answers, or `InvalidData` for a larger one.
pub fn file_in(packed: impl Read, name: &str, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut frames = zstd::Decoder::new(packed)?;
    frames.window_log_max(27)?;
    for entry in Archive::new(frames).entries()? {
        let entry = entry?;
        if *entry.path_bytes() != *name.as_bytes() {
            continue;
        }
        if entry.size() > limit {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Vec::new();
        entry.take(limit).read_to_end(&mut bytes)?;
        return Ok(Some(bytes));
    }
    Ok(None)
}

/// The name of an entry, which has its place in a bundle.
struct Name {
    path: String,
    run: RunId,
    proof: bool,
}

impl Name {
    fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let shown = || bytes.escape_ascii().to_string();
        let refused = || BundleError::NotABundle(format!("it names {}", shown()));
        let path = std::str::from_utf8(bytes).map_err(|_| refused())?;
        let path = path.strip_suffix('/').unwrap_or(path);
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() > MAX_DEPTH || !parts.iter().all(|part| is_safe_name(part)) {
            return Err(refused());
        }
        let (run, proof) = match parts.as_slice() {
            [RUNS, run, ..] => (*run, false),
            [PROOFS, proof] => (proof.strip_suffix(".tlog-proof").ok_or_else(refused)?, true),
            _ => return Err(refused()),
        };
        let run: RunId = run.parse().map_err(|_| refused())?;
        Ok(Self { path: path.to_owned(), run, proof })
    }

    fn tell(&self, unpacked: &mut Unpacked, folder: &Path) {
        let place = || folder.join(RUNS).join(self.run.to_string());
        let (_, proof) = unpacked.runs.entry(self.run).or_insert_with(|| (place(), None));
        if self.proof {
            *proof = Some(folder.join(&self.path));
        }
    }
}
