//! Owns files that grow: recordings, whose beginning a crash leaves, and logs, of which each append is
//! on disk when it returns.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::fault::{changes, makes, writes};
use super::{PRIVATE_FILE, parent, remove_file, sync_dir};

/// A file that has its name from the beginning and grows: what a crash leaves of it is kept.
#[derive(Debug)]
pub struct Growing {
    file: File,
    path: PathBuf,
}

impl Growing {
    /// Begin `path`. Its folder must exist; the name is durable when this returns.
    ///
    /// # Errors
    /// `AlreadyExists` when it exists; else what the system answers. Nothing is left of it then.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(PRIVATE_FILE);
        let file = makes(path, || options.open(path));
        let begun = file.and_then(|file| sync_dir(parent(path)).map(|()| file));
        match begun {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // A disk that says it failed may have done as it was told.
                drop(remove_file(path));
                Err(error)
            }
            begun => Ok(Self { file: begun?, path: path.to_owned() }),
        }
    }

    /// Append `bytes`: to the page cache, which outlives the process but not the host.
    ///
    /// # Errors
    /// What the system answers.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        writes(&self.path, bytes, |bytes| self.file.write_all(bytes))
    }

    /// Make durable what was appended, then write `bytes` over what stands at `at`.
    ///
    /// # Errors
    /// What the system answers.
    pub fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        changes(&self.path, || self.file.sync_data())?;
        writes(&self.path, bytes, |bytes| self.file.write_all_at(bytes, at))
    }
}

/// A file that only grows. Each [`Appending::append`] is on disk when it returns.
#[derive(Debug)]
pub struct Appending {
    file: File,
    path: PathBuf,
    length: u64,
    /// An append failed and could not be undone: what stands behind `length` is not ours.
    torn: bool,
}

impl Appending {
    /// Open `path` for appending, making it when it does not exist; its folder must exist.
    ///
    /// # Errors
    /// What the system answers.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(PRIVATE_FILE);
        let file = makes(path, || options.open(path))?;
        let length = file.metadata()?.len();
        sync_dir(parent(path))?;
        Ok(Self { file, path: path.to_owned(), length, torn: false })
    }

    /// Append `bytes` and synchronise. When the write stops half-way (a full disk) the file is cut
    /// back to what it was, so that a failed append leaves no trace; when even that fails, nothing
    /// more is appended.
    ///
    /// # Errors
    /// What the system answers.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.torn {
            let message = "an append before this one failed and could not be undone";
            return Err(io::Error::other(message));
        }
        let written = writes(&self.path, bytes, |bytes| self.file.write_all(bytes))
            .and_then(|()| changes(&self.path, || self.file.sync_data()));
        if let Err(error) = written {
            self.torn = changes(&self.path, || self.file.set_len(self.length)).is_err();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }
}

/// Cut `path` to its first `length` bytes and synchronise: only for recovering a torn append.
///
/// # Errors
/// What the system answers.
#[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
pub fn truncate(path: &Path, length: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    changes(path, || file.set_len(length))?;
    changes(path, || file.sync_all())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn appends_add_up_and_truncation_cuts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("events.jsonl");
        let mut log = Appending::open(&path).expect("opened");
        log.append(b"one\n").expect("appended");
        log.append(b"two\n").expect("appended");
        drop(log);
        truncate(&path, 4).expect("cut");
        Appending::open(&path).expect("opened").append(b"three\n").expect("appended");
        assert_eq!(fs::read(&path).expect("readable"), b"one\nthree\n");
    }

    #[test]
    fn nothing_follows_an_append_that_could_not_be_undone() {
        // Writing to /dev/full fails for want of space, and a device cannot be cut.
        let mut log = Appending::open(Path::new("/dev/full")).expect("a device");
        let first = log.append(b"lost").expect_err("full");
        assert_eq!(first.kind(), io::ErrorKind::StorageFull);
        let second = log.append(b"behind torn bytes").expect_err("refused");
        assert!(second.to_string().contains("could not be undone"), "{second}");
    }
}
