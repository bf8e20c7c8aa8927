//! Owns the room on a file system: bytes and inodes that are free, and a reserve of both, which is spent
//! when there is nothing left, so that what makes room again can still be written down.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Files of a reserve: so many inodes.
const FILES: u64 = 64;
/// Those of its first half, which sealing may spend; purging may spend all of it.
const HALF: u64 = FILES / 2;
/// Bytes of the first file of each half; the others are empty.
const BYTES: usize = 1 << 19;

/// Bytes that an ordinary user may still write on the file system of `path`.
///
/// # Errors
/// What the system answers.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Files that an ordinary user may still make on the file system of `path`; none when it does not
/// count them, as btrfs does not.
///
/// # Errors
/// What the system answers.
pub fn free_inodes(path: &Path) -> io::Result<Option<u64>> {
    let stat = rustix::fs::statvfs(path)?;
    Ok((stat.f_files > 0).then_some(stat.f_favail))
}

/// Room that is kept by files which hold nothing. They are no evidence and not synchronised: a reserve
/// that a power cut takes is made anew.
#[derive(Debug)]
pub struct Reserve(PathBuf);

impl Reserve {
    /// The reserve in `folder`, which needs not be there.
    pub fn in_folder(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Inodes that a whole one takes: of the folder, too.
    pub const INODES: u64 = FILES + 1;

    /// Make what is missing of it.
    ///
    /// # Errors
    /// What the system answers; what could be made stays.
    #[expect(clippy::disallowed_methods, reason = "the one place that makes files")]
    pub fn fill(&self) -> io::Result<()> {
        if self.0.symlink_metadata().is_err() {
            fs::DirBuilder::new().create(&self.0)?;
        }
        for number in 0..FILES {
            let path = self.0.join(number.to_string());
            let bytes = if number.is_multiple_of(HALF) { vec![1; BYTES] } else { Vec::new() };
            match fs::File::create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => made?.write_all(&bytes)?,
            }
        }
        Ok(())
    }

    /// Whether all of it is there, by a look at the last file of each half.
    pub fn is_full(&self) -> bool {
        let there = |number: u64| self.0.join(number.to_string()).symlink_metadata().is_ok();
        there(HALF - 1) && there(FILES - 1)
    }

    /// Give up its first half; whether there was anything to give.
    pub fn spend_half(&self) -> bool {
        self.spend_files(HALF)
    }

    /// Give up all of it; whether there was anything to give.
    pub fn spend(&self) -> bool {
        self.spend_files(FILES)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that removes files")]
    fn spend_files(&self, files: u64) -> bool {
        let removed = (0..files).map(|number| fs::remove_file(self.0.join(number.to_string())));
        removed.flatten().count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_is_filled_spent_and_filled_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let reserve = Reserve::in_folder(folder.path().join("reserve"));
        assert!(!reserve.spend() && !reserve.is_full());
        reserve.fill().expect("room");
        reserve.fill().expect("done already");
        assert!(reserve.is_full());
        let first = folder.path().join("reserve/0");
        assert_eq!(first.metadata().expect("there").len(), BYTES as u64);
        assert!(reserve.spend_half() && !reserve.is_full() && !reserve.spend_half());
        assert!(reserve.spend() && !reserve.spend());
        reserve.fill().expect("room");
        assert!(reserve.is_full());
    }

    #[test]
    fn inodes_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let free = free_inodes(folder.path()).expect("known");
        assert!(free.is_none_or(|free| free > 0));
    }
}
