//! Owns every write to the file system: folders, names, permissions and locks here, files that are
//! written whole in [`once`], files that grow in [`growing`], and the synchronisation that makes a
//! promise hold through a power cut. Nothing else may open a file for writing (clippy's
//! `disallowed-methods` holds that). Reading is in [`reading`],
//! and how much room there is in [`room`].
//!
//! What is done to names that others may watch is noted in [`own`] while it is done.

pub mod canary;
pub mod flags;
pub mod growing;
pub mod once;
pub mod own;
pub mod room;
pub mod verity;

pub mod fault;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, RenameFlags};

use self::fault::{changes, makes, removes};
pub use self::growing::{Appending, Growing, Grown, truncate};
pub use self::once::{OnceFile, PARTIAL_SUFFIX, remove_cut_short, replace, write_once};
use self::own::Window;
pub use self::room::{free_bytes, free_inodes};
pub use exhibit_verify::disk::{self as reading, *};

/// Read and write for the owner, nothing for others.
const PRIVATE_FILE: u32 = 0o600;
/// The same for folders.
const PRIVATE_DIR: u32 = 0o700;

/// A file that is opened for writing is not looked for behind a link (`O_NOFOLLOW`).
const NO_LINK: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();

/// How often a lock is tried.
const LOCK_ATTEMPTS: u32 = 20;
/// How long in between.
const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(25);

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

/// A file without a name on the file system of `folder`, for bytes that are too many for memory.
/// It is gone when it is closed, or when the process dies.
///
/// # Errors
/// What the system answers.
pub fn unnamed_file(folder: &Path) -> io::Result<File> {
    makes(folder, || tempfile::tempfile_in(folder))
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

/// Make durable what was written to `file`, which is `path`, by whomever.
///
/// # Errors
/// What the system answers.
pub fn sync_file(path: &Path, file: &File) -> io::Result<()> {
    changes(path, || file.sync_all())
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

/// Whether `folder`, which is not there, could be made: the first folder that is missing is made and
/// taken away again.
///
/// # Errors
/// What the system answers to the making.
#[expect(clippy::disallowed_methods, reason = "the one place that makes folders")]
pub fn try_make_dirs(folder: &Path) -> io::Result<()> {
    let missing = folder.ancestors().take_while(|it| it.symlink_metadata().is_err()).last();
    let Some(missing) = missing.filter(|it| !it.as_os_str().is_empty()) else { return Ok(()) };
    let _window = Window::on(missing);
    match makes(missing, || fs::DirBuilder::new().mode(PRIVATE_DIR).create(missing)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => removes(missing, || fs::remove_dir(missing)),
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

/// An exclusive advisory lock on a file or folder (`flock`), held until dropped or until the process
/// dies.
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
        options.write(true).create(true).truncate(false).mode(PRIVATE_FILE).custom_flags(NO_LINK);
        Self::hold(makes(path, || options.open(path))?)
    }

    /// Take the lock on the folder `path` itself: nobody gets around it by removing a file in it.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_folder(path: &Path) -> io::Result<Self> {
        Self::hold(File::open(path)?)
    }

    fn hold(file: File) -> io::Result<Self> {
        for _ in 0..LOCK_ATTEMPTS {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
                other => return other.map(|()| Self(file)).map_err(io::Error::from),
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
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
}
