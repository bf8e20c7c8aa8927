//! Owns the writing of a bundle: the same folders and proofs give the same tar, and what no reader
//! would accept is not written.

use std::io::{self, Read, Write};
use std::path::Path;

use super::header::{BLOCK, Head, TarType};
use super::name::Name;
use super::{Limits, PROOFS, RUNS};
use crate::disk;
use crate::id::RunId;
use crate::layout::entries;
use crate::sizes::largest;

/// A tar that is being written.
struct Writer<'a, W> {
    tar: &'a mut W,
    entries: u64,
    bytes: u64,
}

/// Write what is compressed in the bundle of `folders`, each with the bytes of its proof if there is
/// one.
///
/// # Errors
/// What a folder or `tar` answers; `InvalidData` for what the format does not have, and for a file that
/// changes meanwhile.
pub fn write_tar(
    tar: &mut impl Write,
    folders: &[(RunId, &Path, Option<Vec<u8>>)],
) -> io::Result<()> {
    let mut sorted: Vec<_> = folders.iter().collect();
    sorted.sort_by_key(|(run, ..)| *run);
    let mut writer = Writer { tar, entries: 0, bytes: 0 };
    for (run, _, proof) in &sorted {
        if let Some(proof) = proof {
            let name = format!("{PROOFS}/{run}.tlog-proof");
            writer.file(&name, proof.len() as u64, proof.as_slice())?;
        }
    }
    for (run, folder, _) in &sorted {
        writer.below(folder, &format!("{RUNS}/{run}"))?;
    }
    writer.tar.write_all(&[0; 2 * BLOCK])
}

impl<W: Write> Writer<'_, W> {
    /// Add what is in `folder`, in bytewise order of the names.
    fn below(&mut self, folder: &Path, name: &str) -> io::Result<()> {
        self.head(&format!("{name}/"), TarType::Folder, 0)?;
        for entry in entries(folder)? {
            let part = entry.name.to_str().ok_or(io::ErrorKind::InvalidData)?;
            let name = format!("{name}/{part}");
            if entry.kind.is_dir() {
                self.below(&entry.path, &name)?;
            } else if entry.kind.is_file() {
                let open = disk::open_at_once(&entry.path)?;
                self.file(&name, open.metadata()?.len(), open)?;
            }
            // A link or device is no evidence; that the folder held one, verification says there.
        }
        Ok(())
    }

    fn file(&mut self, name: &str, size: u64, bytes: impl Read) -> io::Result<()> {
        self.head(name, TarType::File, size)?;
        // One byte more than there were tells that it grows.
        let written = io::copy(&mut bytes.take(size + 1), self.tar)?;
        if written != size {
            return Err(invalid(format!("{name} changed while it was read")));
        }
        let padding = size.next_multiple_of(BLOCK as u64) - size;
        self.tar.write_all(&[0; BLOCK][..usize::try_from(padding).unwrap_or_default()])
    }

    /// Write what stands before the bytes of an entry.
    fn head(&mut self, name: &str, kind: TarType, size: u64) -> io::Result<()> {
        let named = Name::read(name.as_bytes()).ok();
        let fits = named.is_some_and(|named| size <= named.inside().map_or(u64::MAX, largest));
        let Some(Head { long, header }) = Head::of(name, kind, size).filter(|_| fits) else {
            let name = name.escape_debug();
            return Err(invalid(format!("the format has no file {name} of {size} bytes")));
        };
        let most = Limits::default();
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.entries > most.entries || self.bytes > most.bytes {
            return Err(invalid("they are more than one bundle holds; make several".to_owned()));
        }
        self.tar.write_all(&long.unwrap_or_default())?;
        self.tar.write_all(&header)
    }
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
