//! Owns every write to the file system: files that are written once, logs that only grow, locks,
//! and the synchronisation that makes a promise hold through a power cut. Nothing else may open a
//! file for writing (clippy's `disallowed-methods` holds that).
//!
//! A file written once goes to a temporary name in its own folder, is synchronised, and takes its
//! final name by a rename that refuses to replace; then the folder is synchronised.
//!
//! What is done to names that others may watch is noted in [`own`] while it is done.

pub mod canary;
pub mod flags;
pub mod own;

pub(crate) mod fault;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt as _, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, RenameFlags};

use self::fault::{changes, makes, removes, writes};
use self::own::Window;
use crate::digest::{Digest, Hashing};

/// What a file being written is called until it is whole: recovery deletes these.
pub const PARTIAL_SUFFIX: &str = ".partial";

/// Read and write for the owner, nothing for others.
const PRIVATE_FILE: u32 = 0o600;
/// The same for folders.
const PRIVATE_DIR: u32 = 0o700;

/// How often a lock is tried.
const LOCK_ATTEMPTS: u32 = 20;
/// How long in between.
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

/// A file on its way to being written once.
#[derive(Debug)]
pub struct OnceFile {
    file: Hashing<File>,
    partial: PathBuf,
    path: PathBuf,
    length: u64,
    _window: Window,
}

impl OnceFile {
    /// Begin a file that will be called `path`. Its folder must exist.
    ///
    /// # Errors
    /// `AlreadyExists` when `path` exists, or is being written; else what the system answers.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
    pub fn create(path: &Path) -> io::Result<Self> {
        if path.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(PARTIAL_SUFFIX);
        let partial = PathBuf::from(partial);
        let window = Window::on(&partial);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(PRIVATE_FILE);
        let file = makes(&partial, || options.open(&partial)).inspect_err(|error| {
            if error.kind() != io::ErrorKind::AlreadyExists {
                drop(remove_file(&partial));
            }
        })?;
        Ok(Self {
            file: Hashing::new(file),
            partial,
            path: path.to_owned(),
            length: 0,
            _window: window,
        })
    }

    /// Give up and remove what was written.
    #[expect(clippy::disallowed_methods, reason = "the one place that removes files")]
    pub fn discard(self) {
        drop(changes(&self.partial, || fs::remove_file(&self.partial)));
    }

    /// Synchronise the content and give the file its name. The folder is *not* synchronised yet:
    /// call [`sync_dir`] once for all files of a folder.
    ///
    /// # Errors
    /// `AlreadyExists` when somebody else took the name meanwhile; else what the system answers.
    /// Nothing is left of the file then.
    pub fn finish(self) -> io::Result<(Digest, u64)> {
        let (digest, file) = self.file.finish();
        let finished = changes(&self.partial, || file.sync_all())
            .and_then(|()| rename_new(&self.partial, &self.path));
        if let Err(error) = finished {
            drop(remove_file(&self.partial));
            // A disk that says it failed may have done as it was told.
            if error.kind() != io::ErrorKind::AlreadyExists {
                drop(remove_file(&self.path));
            }
            return Err(error);
        }
        Ok((digest, self.length))
    }
}

impl Write for OnceFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        writes(&self.partial, bytes, |bytes| self.file.write_all(bytes))?;
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Write `bytes` once to `path` and synchronise file and folder.
///
/// # Errors
/// `AlreadyExists` when `path` exists; else what the system answers. Nothing is left behind.
pub fn write_once(path: &Path, bytes: &[u8]) -> io::Result<Digest> {
    let mut file = OnceFile::create(path)?;
    if let Err(error) = file.write_all(bytes) {
        file.discard();
        return Err(error);
    }
    let (digest, _) = file.finish()?;
    sync_dir(parent(path))?;
    Ok(digest)
}

/// Write what `reader` yields to `path`, which must not exist. It is *not* synchronised: a copy of
/// what lies elsewhere.
///
/// # Errors
/// `AlreadyExists` when it exists; else what the system or the reader answers.
#[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
pub fn unpack_file(path: &Path, reader: &mut impl Read) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(PRIVATE_FILE);
    let mut file = makes(path, || options.open(path))?;
    changes(path, || io::copy(reader, &mut file))
}

/// Replace the content of `path`, or make it: readers see the old content or the new, never a mix.
///
/// # Errors
/// What the system answers. On failure the old content stands.
#[expect(clippy::disallowed_methods, reason = "the one place that opens and renames files")]
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = parent(path);
    let (mut windows, mut partial) = (vec![Window::on(path)], PathBuf::new());
    let made = makes(path, || {
        let mut builder = tempfile::Builder::new();
        let prefix = prefix_of(path);
        builder.prefix(&prefix).suffix(PARTIAL_SUFFIX).disable_cleanup(true);
        let made = builder.make_in(folder, |name| {
            name.clone_into(&mut partial);
            windows.push(Window::on(name));
            OpenOptions::new().write(true).create_new(true).mode(mode).open(name)
        });
        made.map(tempfile::NamedTempFile::into_file)
    });
    let written = made.and_then(|mut file| {
        writes(path, bytes, |bytes| file.write_all(bytes))?;
        changes(path, || file.sync_all())
    });
    // Closed before the windows are, because closing is an event, too.
    let done = written.and_then(|()| changes(path, || fs::rename(&partial, path)));
    if done.is_err() && !partial.as_os_str().is_empty() {
        drop(remove_file(&partial));
    }
    drop(windows);
    done.and_then(|()| sync_dir(folder))
}

/// What a replacement of `path` is called before it is whole begins so.
fn prefix_of(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

/// Remove what a crash cut short of `path`, written once or replaced. Nobody may be writing it.
///
/// # Errors
/// What the system answers; a folder that does not exist is no error.
pub fn remove_cut_short(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(parent(path)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let (prefix, mut once) = (prefix_of(path), path.file_name().unwrap_or_default().to_owned());
    once.push(PARTIAL_SUFFIX);
    for entry in entries {
        let name = entry?.file_name();
        let bytes = name.as_encoded_bytes();
        let replacing = bytes.starts_with(prefix.as_encoded_bytes())
            && bytes.ends_with(PARTIAL_SUFFIX.as_bytes());
        if name == once || replacing {
            remove_file(&path.with_file_name(&name))?;
        }
    }
    Ok(())
}

/// A file without a name on the file system of `folder`, for bytes that are too many for memory.
/// It is gone when it is closed, or when the process dies.
///
/// # Errors
/// What the system answers.
pub fn unnamed_file(folder: &Path) -> io::Result<File> {
    makes(folder, || tempfile::tempfile_in(folder))
}

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
    /// `AlreadyExists` when it exists; else what the system answers.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(PRIVATE_FILE);
        let file = makes(path, || options.open(path))?;
        sync_dir(parent(path))?;
        Ok(Self { file, path: path.to_owned() })
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

/// Give `from` the name `to`, which must be free (`renameat2` with `RENAME_NOREPLACE`).
///
/// # Errors
/// `AlreadyExists` when `to` exists; else what the system answers.
#[expect(clippy::disallowed_methods, reason = "the one place that renames files")]
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let cwd = rustix::fs::CWD;
    let _windows = [Window::on(from), Window::on(to)];
    changes(to, || match rustix::fs::renameat_with(cwd, from, cwd, to, RenameFlags::NOREPLACE) {
        // A file system without the flag: look first. We hold the store's lock, so nobody races us.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if to.symlink_metadata().is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::rename(from, to)
        }
        other => Ok(other?),
    })
}

/// Make the names in `folder` durable.
///
/// # Errors
/// What the system answers.
pub fn sync_dir(folder: &Path) -> io::Result<()> {
    let folder_file = File::open(folder)?;
    changes(folder, || folder_file.sync_all())
}

/// Make `folder` and what is missing above it, each readable by its owner only, and make the new
/// names durable.
///
/// # Errors
/// What the system answers.
#[expect(clippy::disallowed_methods, reason = "the one place that makes folders")]
pub fn make_dirs(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = parent(folder);
    make_dirs(above)?;
    let _window = Window::on(folder);
    match makes(folder, || fs::DirBuilder::new().mode(PRIVATE_DIR).create(folder)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(above),
    }
}

/// Set the permission bits of `path`.
///
/// # Errors
/// What the system answers.
#[expect(clippy::disallowed_methods, reason = "the one place that changes permissions")]
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    let _window = Window::on(path);
    changes(path, || fs::set_permissions(path, Permissions::from_mode(mode)))
}

/// Give `path` to whoever owns the folder it lies in: what root writes for the daemon must be
/// readable by the daemon.
///
/// # Errors
/// What the system answers.
pub fn give_to_folders_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let (file, folder) = (fs::metadata(path)?, fs::metadata(parent(path))?);
    if file.uid() == folder.uid() {
        return Ok(());
    }
    changes(path, || std::os::unix::fs::chown(path, Some(folder.uid()), Some(folder.gid())))
}

/// Remove a file that is not evidence: a temporary name, a socket of ours, a rebuildable index.
///
/// # Errors
/// What the system answers; a file that does not exist is no error.
#[expect(clippy::disallowed_methods, reason = "the one place that removes files")]
pub fn remove_file(path: &Path) -> io::Result<()> {
    let _window = Window::on(path);
    match changes(path, || fs::remove_file(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Remove a folder that is not evidence, with all it holds: a browser's profile.
///
/// # Errors
/// What the system answers; a folder that does not exist is no error.
#[expect(clippy::disallowed_methods, reason = "the one place that removes files")]
pub fn remove_dir_all(folder: &Path) -> io::Result<()> {
    let _window = Window::below(folder);
    match removes(folder, || fs::remove_dir_all(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// An exclusive advisory lock on a file (`flock`), held until dropped or until the process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Take the lock on `path`, making the file when it does not exist. A lock that is held is
    /// tried again for half a second: a process that is just being started holds a copy of all our
    /// files until it has become another program.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else holds it; else what the system answers.
    #[expect(clippy::disallowed_methods, reason = "the one place that opens files for writing")]
    pub fn take(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false).mode(PRIVATE_FILE);
        let file = makes(path, || options.open(path))?;
        for _ in 0..LOCK_ATTEMPTS {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
                other => return other.map(|()| Self(file)).map_err(io::Error::from),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Bytes that an ordinary user may still write on the file system of `path`.
///
/// # Errors
/// What the system answers.
pub fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The whole of `path`, refusing more than `limit` bytes.
///
/// # Errors
/// `FileTooLarge` over the limit; else what the system answers.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// [`read_limited`] of a plain file: a pipe or device, on which a reader would wait, is refused.
///
/// # Errors
/// `InvalidInput` for what is no plain file; else as [`read_limited`].
pub fn read_plain(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"));
    }
    read_limited(path, limit)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("the folder");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_written_once_and_never_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("screenshot.png");
        assert_eq!(write_once(&path, b"first").expect("written"), Digest::of(b"first"));
        let error = write_once(&path, b"second").expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("readable"), b"first");
        assert_eq!(names(folder.path()), ["screenshot.png"]);
    }

    #[test]
    fn what_was_cut_short_of_a_file_goes_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        for name in ["key", "key.partial", ".key.aB3.partial", "other.partial", ".key.x"] {
            write_once(&folder.path().join(name), b"x").expect("written");
        }
        remove_cut_short(&path).expect("removed");
        assert_eq!(names(folder.path()), [".key.x", "key", "other.partial"]);
        remove_cut_short(&folder.path().join("none/key")).expect("no folder, nothing to do");
    }

    #[test]
    fn a_name_taken_while_writing_is_not_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        let mut file = OnceFile::create(&path).expect("created");
        file.write_all(b"ours").expect("written");
        replace(&path, b"theirs", 0o600).expect("replaced");
        let error = file.finish().expect_err("taken meanwhile");
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("readable"), b"theirs");
    }

    #[test]
    fn a_dangling_link_in_the_way_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).expect("a link");
        assert!(write_once(&path, b"x").is_err());
        assert_eq!(names(folder.path()), ["a"]);
    }

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

    #[test]
    fn the_second_lock_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let first = Lock::take(&path).expect("free");
        assert_eq!(Lock::take(&path).expect_err("held").kind(), io::ErrorKind::WouldBlock);
        drop(first);
        Lock::take(&path).expect("free again");
    }

    #[test]
    fn new_folders_and_files_are_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("runs/2026/11");
        make_dirs(&deep).expect("made");
        make_dirs(&deep).expect("made again");
        write_once(&deep.join("f"), b"x").expect("written");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&deep), 0o700);
        assert_eq!(mode(&folder.path().join("runs")), 0o700);
        assert_eq!(mode(&deep.join("f")), 0o600);
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        write_once(&path, b"12345").expect("written");
        assert_eq!(read_limited(&path, 5).expect("within"), b"12345");
        assert_eq!(read_limited(&path, 4).expect_err("over").kind(), io::ErrorKind::FileTooLarge);
    }
}
