//! Owns bundles: sealed folders on their way to somebody else, as one `.tar.zst` that plain `tar`
//! opens, each with a proof that it stands in the log. The same folders and proofs give the same
//! bytes. What is read may have been made to hurt whoever reads it.

mod unpack;

use std::io::{self, Write};
use std::path::Path;

use tar::{Builder, EntryType, Header};

pub use self::unpack::{BundleError, Limits, Unpacked, file_in, unpack};
use crate::evidence::entries;
use crate::id::RunId;
use crate::tlog::proof::Proof;

/// Folder of the evidence folders, in a bundle.
const RUNS: &str = "runs";
/// Folder of the proofs.
const PROOFS: &str = "proofs";
/// How hard is tried to make it small: pictures and recordings are small already.
const LEVEL: i32 = 3;
/// Readable by everybody, writable by nobody: what the folders are.
const FILE: u32 = 0o444;
const FOLDER: u32 = 0o755;

/// Write the bundle of `folders`, each with its run and its proof if there is one, to `out`.
///
/// # Errors
/// What a folder or `out` answers.
pub fn write<W: Write>(out: W, folders: &[(RunId, &Path, Option<Proof>)]) -> io::Result<W> {
    let mut packed = zstd::Encoder::new(out, LEVEL)?;
    packed.include_checksum(true)?;
    let mut tar = Builder::new(packed);
    let mut sorted: Vec<_> = folders.iter().collect();
    sorted.sort_by_key(|(run, ..)| *run);
    for (run, _, proof) in &sorted {
        if let Some(proof) = proof {
            let text = proof.to_string();
            file(
                &mut tar,
                &format!("{PROOFS}/{run}.tlog-proof"),
                text.len() as u64,
                text.as_bytes(),
            )?;
        }
    }
    for (run, folder, _) in &sorted {
        below(&mut tar, folder, &format!("{RUNS}/{run}"))?;
    }
    tar.into_inner()?.finish()
}

/// Add what is in `folder`, in bytewise order of the names.
fn below<W: Write>(tar: &mut Builder<W>, folder: &Path, name: &str) -> io::Result<()> {
    let mut header = header(EntryType::Directory, FOLDER, 0);
    tar.append_data(&mut header, format!("{name}/"), io::empty())?;
    for entry in entries(folder)? {
        let part = entry.name.to_str().ok_or(io::ErrorKind::InvalidData)?;
        let name = format!("{name}/{part}");
        if entry.kind.is_dir() {
            below(tar, &entry.path, &name)?;
        } else if entry.kind.is_file() {
            let open = std::fs::File::open(&entry.path)?;
            file(tar, &name, open.metadata()?.len(), open)?;
        }
        // A link or device is no evidence; that the folder held one, verification says there.
    }
    Ok(())
}

fn file<W: Write>(
    tar: &mut Builder<W>,
    name: &str,
    size: u64,
    bytes: impl io::Read,
) -> io::Result<()> {
    tar.append_data(&mut header(EntryType::Regular, FILE, size), name, bytes)
}

/// Whatever is no evidence is the same in every bundle: times, owners.
fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header
}

#[cfg(test)]
mod tests;
