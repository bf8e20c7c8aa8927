//! Owns fs-verity of files (ioctl(2) `FS_IOC_ENABLE_VERITY`): SHA-256 over blocks of 4096 bytes. With it
//! the kernel lets nobody open the file for writing, root included, for as long as the file exists, and
//! compares what is read with what was there, so that a changed disk is an error and not other bytes.
//! It can still be renamed and removed. It needs no capability, and cannot be taken off.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use composefs_ioctls::fsverity::{
    EnableVerityError, MeasureVerityError, fs_ioc_enable_verity, fs_ioc_measure_verity,
};
use rustix::fs::StatxAttributes;

use super::flags::has;
use super::set_mode;
use crate::digest::Digest;

/// FS_VERITY_HASH_ALG_SHA256 (linux/fsverity.h).
const SHA256: u8 = 1;
const BLOCK: u32 = 4096;
/// The kernel asks for the right to write, which a read-only file gives nobody but root.
const OWN_FILE: u32 = 0o600;
const READ_ONLY: u32 = 0o444;

/// Enable it on the file at `path`, which is read-only afterwards. Done already is no error.
///
/// # Errors
/// `Unsupported` on a file system or kernel without it, `ExecutableFileBusy` while somebody has the
/// file open for writing, `PermissionDenied` for what is immutable; else what the system answers.
pub fn enable(path: &Path) -> io::Result<()> {
    if has_verity(path)? {
        // A crash may have come before the file was read-only again.
        let mode = fs::metadata(path)?.permissions().mode() & 0o777;
        return if mode == READ_ONLY { Ok(()) } else { set_mode(path, READ_ONLY) };
    }
    let file = File::open(path)?;
    set_mode(path, OWN_FILE)?;
    let enabled = fs_ioc_enable_verity(&file, SHA256, BLOCK);
    set_mode(path, READ_ONLY)?;
    match enabled {
        Ok(()) | Err(EnableVerityError::AlreadyEnabled) => Ok(()),
        Err(EnableVerityError::Io(error)) => Err(error),
        Err(EnableVerityError::FilesystemNotSupported) => Err(io::ErrorKind::Unsupported.into()),
        Err(EnableVerityError::FileOpenedForWrite) => Err(io::ErrorKind::ExecutableFileBusy.into()),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// Enable it on `path` and all files below, no link followed. How many have it now that had it not.
///
/// # Errors
/// As [`enable`], of the first that fails; the others after it are not tried.
pub fn enable_below(path: &Path) -> io::Result<u64> {
    let mut changed = 0;
    each_file(path, &mut |file| {
        changed += u64::from(!has_verity(file)?);
        enable(file)?;
        Ok(true)
    })?;
    Ok(changed)
}

/// Whether `path` and all files below have it, no link followed.
///
/// # Errors
/// What the system answers.
pub fn all_have(path: &Path) -> io::Result<bool> {
    each_file(path, &mut has_verity)
}

/// Show `act` files until it says false; whether it never did.
fn each_file(path: &Path, act: &mut impl FnMut(&Path) -> io::Result<bool>) -> io::Result<bool> {
    let kind = path.symlink_metadata()?.file_type();
    if kind.is_dir() {
        for entry in fs::read_dir(path)? {
            if !each_file(&entry?.path(), act)? {
                return Ok(false);
            }
        }
    }
    Ok(!kind.is_file() || act(path)?)
}

/// Whether the file at `path` has it.
///
/// # Errors
/// What the system answers.
pub fn has_verity(path: &Path) -> io::Result<bool> {
    has(path, StatxAttributes::VERITY)
}

/// The digest that the kernel holds the file at `path` to; none where it has none.
///
/// # Errors
/// What the system answers.
pub fn measured(path: &Path) -> io::Result<Option<Digest>> {
    match fs_ioc_measure_verity::<32>(File::open(path)?, SHA256) {
        Ok(digest) => Ok(Some(Digest::from_bytes(digest))),
        Err(MeasureVerityError::VerityMissing | MeasureVerityError::FilesystemNotSupported) => {
            Ok(None)
        }
        Err(MeasureVerityError::Io(error)) => Err(error),
        Err(error) => Err(io::Error::other(error)),
    }
}

/// The digest of a file of `bytes`, one block at the most, by the kernel's documentation
/// (Documentation/filesystems/fsverity.rst): of a descriptor with the digest of the padded block.
pub(super) fn of_block(bytes: &[u8]) -> Digest {
    let mut block = [0; BLOCK as usize];
    block[..bytes.len()].copy_from_slice(bytes);
    // Version, algorithm, the block's size as a power of two; no salt; 64 bytes for the root's digest,
    // then a salt and what is reserved, of nothing.
    let mut descriptor = [0; 256];
    descriptor[..3].copy_from_slice(&[1, SHA256, 12]);
    descriptor[8..16].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    descriptor[16..48].copy_from_slice(Digest::of(&block).as_bytes());
    Digest::of(&descriptor)
}

#[cfg(test)]
mod tests {
    use super::super::write_once;
    use super::*;

    #[test]
    fn the_digest_of_a_block_is_the_one_that_the_kernels_tools_compute() {
        // fsverity-utils: `printf '{}\n' > f; fsverity digest f`.
        let known = "8c092df93d97b1762229e8daa8a0cedbd66d8c0d7cc1c9ff1ea7d4624a870622";
        assert_eq!(of_block(b"{}\n").to_string(), known);
    }

    #[test]
    fn a_file_has_it_or_is_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        write_once(&path, b"{}\n").expect("written");
        set_mode(&path, 0o444).expect("set");
        match enable_below(folder.path()) {
            Ok(changed) => {
                assert_eq!((changed, enable_below(&path).expect("already")), (1, 0));
                assert!(all_have(folder.path()).expect("seen"));
                assert!(has_verity(&path).expect("seen"));
                assert_eq!(measured(&path).expect("read"), Some(of_block(b"{}\n")));
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error:?}");
                assert!(!has_verity(&path).expect("seen"));
                assert_eq!(measured(&path).expect("read"), None);
            }
        }
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o444);
    }
}
