//! Owns files that grow: recordings, whose beginning a crash leaves, and logs, of which each append is
//! on disk when it returns.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fault::{changes, makes, writes};
use super::{NO_LINK, PRIVATE_FILE, parent, remove_file, sync_dir};
use crate::digest::{Digest, Hashing};

/// Bytes read back at a time.
const PIECE: usize = 64 << 10;

/// A file that has its name from the beginning and grows: what a crash leaves of it is kept. What was
/// written is known, so that a file that somebody else changed or exchanged is not taken for it.
#[derive(Debug)]
pub struct Growing {
    file: File,
    path: PathBuf,
    written: Arc<Mutex<Written>>,
}

/// What was written to a file that grows.
#[derive(Clone, Debug, Default)]
struct Written {
    /// Over all that was appended, before anything was patched.
    appended: Hashing<io::Sink>,
    length: u64,
    patches: Vec<Patch>,
    /// Whether a write failed, so that nobody knows what is there.
    failed: bool,
}

/// Bytes that were written over others.
#[derive(Clone, Debug)]
struct Patch {
    at: u64,
    before: Vec<u8>,
    after: Vec<u8>,
}

/// A file that has grown: for reading it back, and nothing else in its place.
#[derive(Debug)]
pub struct Grown {
    file: File,
    path: PathBuf,
    written: Arc<Mutex<Written>>,
}

impl Growing {
    /// Begin `path`. Its folder must exist; the name is durable when this returns.
    ///
    /// # Errors
    /// `AlreadyExists` when it exists; else what the system answers. Nothing is left of it then.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(PRIVATE_FILE);
        let file = makes(path, || options.open(path));
        let begun = file.and_then(|file| sync_dir(parent(path)).map(|()| file));
        match begun {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                // A disk that says it failed may have done as it was told.
                drop(remove_file(path));
                Err(error)
            }
            begun => Ok(Self { file: begun?, path: path.to_owned(), written: Arc::default() }),
        }
    }

    /// The same file, for whoever reads it back when it has grown.
    ///
    /// # Errors
    /// What the system answers.
    pub fn grown(&self) -> io::Result<Grown> {
        let (path, written) = (self.path.clone(), Arc::clone(&self.written));
        Ok(Grown { file: self.file.try_clone()?, path, written })
    }

    /// Append `bytes`: to the page cache, which outlives the process but not the host.
    ///
    /// # Errors
    /// What the system answers.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let at = lock(&self.written).length;
        let done = writes(&self.path, bytes, |bytes| self.file.write_all_at(bytes, at));
        let mut written = lock(&self.written);
        written.append(bytes);
        if done.is_err() {
            written.failed = true;
            written.length = self.file.metadata()?.len();
        }
        done
    }

    /// Make durable what was appended, then write `bytes` over what stands at `at`.
    ///
    /// # Errors
    /// What the system answers.
    pub fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        changes(&self.path, || self.file.sync_data())?;
        let mut before = vec![0; bytes.len()];
        self.file.read_exact_at(&mut before, at)?;
        let done = writes(&self.path, bytes, |bytes| self.file.write_all_at(bytes, at));
        let mut written = lock(&self.written);
        written.failed |= done.is_err();
        written.patches.push(Patch { at, before, after: bytes.to_vec() });
        done
    }
}

impl Written {
    fn append(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.appended.write_all(bytes).expect("a sink takes everything");
    }
}

impl Grown {
    /// The digest and size of the file, whose bytes are those that were written: it is on disk when this
    /// returns, and the file itself is handed out, opened for reading alone: whoever keeps it long may
    /// close it long after the run was sealed, and that is no change of it. After a failed write nobody
    /// knows what that left, and the file is taken as it is.
    ///
    /// # Errors
    /// `InvalidData` when another file has its name, or its bytes are others; else what the system
    /// answers.
    pub fn finish(&self) -> io::Result<(Digest, u64, File)> {
        changes(&self.path, || self.file.sync_all())?;
        let same = |there: &Metadata| {
            let ours = self.file.metadata()?;
            if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
                return Ok(());
            }
            Err(io::Error::new(ErrorKind::InvalidData, "another file has its name"))
        };
        same(&self.path.symlink_metadata()?)?;
        let reading = super::open(&self.path)?;
        same(&reading.metadata()?)?;
        let written = lock(&self.written).clone();
        let (mut file, mut before) = (Hashing::new(io::sink()), Hashing::new(io::sink()));
        let (mut at, mut piece) = (0, vec![0; PIECE]);
        loop {
            let read = self.file.read_at(&mut piece, at)?;
            if read == 0 {
                break;
            }
            let piece = &mut piece[..read];
            file.write_all(piece)?;
            let there = piece.to_vec();
            written.patches.iter().for_each(|patch| put(piece, at, patch.at, &patch.after));
            if !written.failed && there != piece {
                return Err(others());
            }
            // The first patch of a place replaced what was appended there.
            let patches = written.patches.iter().rev();
            patches.for_each(|patch| put(piece, at, patch.at, &patch.before));
            before.write_all(piece)?;
            at += read as u64;
        }
        if !written.failed && before.finish().0 != written.appended.finish().0 {
            return Err(others());
        }
        Ok((file.finish().0, at, reading))
    }
}

fn others() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "somebody else wrote into it")
}

/// Put `bytes`, which belong at `from`, into the part of a file that begins at `at`, as far as they lie
/// in it.
fn put(piece: &mut [u8], at: u64, from: u64, bytes: &[u8]) {
    for (byte, place) in bytes.iter().zip(from..) {
        let index = place.checked_sub(at).and_then(|index| usize::try_from(index).ok());
        if let Some(there) = index.and_then(|index| piece.get_mut(index)) {
            *there = *byte;
        }
    }
}

fn lock(written: &Mutex<Written>) -> MutexGuard<'_, Written> {
    written.lock().unwrap_or_else(PoisonError::into_inner)
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
        options.append(true).create(true).mode(PRIVATE_FILE).custom_flags(NO_LINK);
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
    let file = OpenOptions::new().write(true).custom_flags(NO_LINK).open(path)?;
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
    #[expect(clippy::disallowed_methods, reason = "a test plays somebody else")]
    fn a_file_that_somebody_else_wrote_into_or_exchanged_is_not_taken_for_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let of = |name: &str| {
            let path = folder.path().join(name);
            let mut file = Growing::create(&path).expect("begun");
            file.append(b"head....").expect("appended");
            file.append(&vec![7; 3 * PIECE]).expect("appended");
            file.patch(4, b"DONE").expect("patched");
            file.patch(6, b"ne").expect("patched");
            let grown = file.grown().expect("the same file");
            (path, file, grown)
        };
        let (path, file, grown) = of("sound");
        drop(file);
        let (sha256, length, mut read) = grown.finish().expect("as it was written");
        assert!(read.write_all(b"more").is_err(), "what is handed out is for reading alone");
        let bytes = fs::read(&path).expect("there");
        assert_eq!((sha256, length), (Digest::of(&bytes), bytes.len() as u64));
        assert!(bytes.starts_with(b"headDOne"));
        for (name, place) in [("first", 0), ("patched", 5), ("later", 100_000)] {
            let (path, _, grown) = of(name);
            let other = OpenOptions::new().write(true).open(&path).expect("ours");
            other.write_all_at(b"!", place).expect("written");
            assert!(grown.finish().is_err(), "{name}");
        }
        let (path, mut file, grown) = of("cut");
        OpenOptions::new().write(true).open(&path).expect("ours").set_len(9).expect("cut");
        assert_eq!(grown.finish().expect_err("cut").kind(), ErrorKind::InvalidData);
        file.append(b"more").expect("appended");
        assert!(grown.finish().is_err());
        let (path, _, grown) = of("exchanged");
        fs::copy(&path, folder.path().join("other")).expect("copied");
        fs::rename(folder.path().join("other"), &path).expect("exchanged");
        assert_eq!(grown.finish().expect_err("another").kind(), ErrorKind::InvalidData);
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
