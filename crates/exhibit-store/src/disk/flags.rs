//! Owns the flags of files and folders (chattr(1), ioctl_iflags(2)): setting, clearing and seeing them,
//! by paths below a folder that is held open, no link followed. With the immutable flag nobody
//! changes, renames or removes a thing; with the append-only flag a folder takes new names and lets
//! none go, its own included. Both hold root too, until somebody clears them who has the capability
//! `CAP_LINUX_IMMUTABLE`.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, IFlags, Mode, OFlags, ResolveFlags, StatxAttributes, StatxFlags,
};
use rustix::io::Errno;

/// Deepest folder that is gone into: a sealed folder has fewer.
const DEEPEST: usize = 32;
/// What is said where openat2(2) cannot be called.
const WITHOUT_OPENAT2: &str = "openat2 is answered with ENOSYS: a filter of system calls takes it away \
                               (RestrictSUIDSGID= in a unit does), or the kernel is older than 5.6";

/// A folder that is held open; what lies below it is named by paths that cannot lead out of it.
#[derive(Debug)]
pub struct Held(OwnedFd);

impl Held {
    /// Hold the folder at `path`.
    ///
    /// # Errors
    /// What the system answers.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(rustix::fs::open(path, flags, Mode::empty())?))
    }

    /// The user that owns it.
    ///
    /// # Errors
    /// What the system answers.
    pub fn owner(&self) -> io::Result<u32> {
        Ok(rustix::fs::fstat(&self.0)?.st_uid)
    }

    /// Set or clear the immutable flag of the file or folder `path` below this one, and of all that
    /// lies in it: plain files and folders. How many things were changed.
    ///
    /// # Errors
    /// What the system answers: `PermissionDenied` without the capability, `Unsupported` on a file
    /// system without flags; `InvalidInput` for what is neither file nor folder. Some things may
    /// have been changed by then.
    pub fn set_immutable(&self, path: &Path, on: bool) -> io::Result<u64> {
        set_all(&self.below(path, OFlags::empty())?, on, DEEPEST)
    }

    /// Set or clear the append-only flag of the folder `path` below this one, and of nothing in it.
    /// Whether it was changed.
    ///
    /// # Errors
    /// As [`Held::set_immutable`].
    pub fn set_append_only(&self, path: &Path, on: bool) -> io::Result<bool> {
        set(&self.below(path, OFlags::DIRECTORY)?, IFlags::APPEND, on)
    }

    /// The same of the file `path` below this one: it can be added to, and nothing taken from it.
    ///
    /// # Errors
    /// As [`Held::set_immutable`].
    pub fn set_append_only_on(&self, path: &Path, on: bool) -> io::Result<bool> {
        set(&self.below(path, OFlags::empty())?, IFlags::APPEND, on)
    }

    /// The same of this folder itself.
    ///
    /// # Errors
    /// As [`Held::set_immutable`].
    pub fn set_append_only_here(&self, on: bool) -> io::Result<bool> {
        set(&self.0, IFlags::APPEND, on)
    }

    /// The plain file `path` below this one, for reading.
    ///
    /// # Errors
    /// What the system answers; `InvalidInput` for what is no plain file.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let file = File::from(self.below(path, OFlags::empty())?);
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(file)
    }

    /// A path to this folder for as long as it is held, wherever it is moved.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }

    /// Set the append-only flag of the folder `path` below this one and of the folders in it, down to
    /// `levels` below it. How many were changed.
    ///
    /// # Errors
    /// As [`Held::set_immutable`].
    pub fn set_append_only_to(&self, path: &Path, levels: usize) -> io::Result<u64> {
        let folder = self.below(path, OFlags::DIRECTORY)?;
        let mut changed = 0;
        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            let may_be_folder =
                matches!(entry.file_type(), FileType::Directory | FileType::Unknown);
            if levels == 0 || !may_be_folder || name == "." || name == ".." {
                continue;
            }
            match self.set_append_only_to(&path.join(name), levels - 1) {
                Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
                set => changed += set?,
            }
        }
        Ok(changed + u64::from(set(&folder, IFlags::APPEND, true)?))
    }

    fn below(&self, path: &Path, more: OFlags) -> io::Result<OwnedFd> {
        if path.components().any(|part| !matches!(part, Component::Normal(_))) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        open_below(self.0.as_fd(), path.as_os_str(), more)
    }
}

fn open_below(folder: BorrowedFd<'_>, name: &OsStr, more: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    // A pipe must not keep us waiting.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    let opened = rustix::fs::openat2(folder, name.as_bytes(), flags, Mode::empty(), resolve);
    opened.map_err(without_openat2)
}

/// A system call that is not there says nothing of the file system: a filter may answer for the kernel,
/// as systemd's `RestrictSUIDSGID=` does.
pub fn without_openat2(error: Errno) -> io::Error {
    if error == Errno::NOSYS {
        return io::Error::other(WITHOUT_OPENAT2);
    }
    error.into()
}

/// Set or clear the immutable flag of `thing` and of all that lies in it.
fn set_all(thing: &OwnedFd, on: bool, deeper: usize) -> io::Result<u64> {
    let mut changed = 0;
    match FileType::from_raw_mode(rustix::fs::fstat(thing)?.st_mode) {
        FileType::Directory => {
            let deeper = deeper.checked_sub(1).ok_or(io::ErrorKind::InvalidInput)?;
            for entry in Dir::read_from(thing)? {
                let entry = entry?;
                let name: &CStr = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                let name = OsStr::from_bytes(name.to_bytes());
                changed += set_all(&open_below(thing.as_fd(), name, OFlags::empty())?, on, deeper)?;
            }
        }
        FileType::RegularFile => {}
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(changed + u64::from(set(thing, IFlags::IMMUTABLE, on)?))
}

/// Whether the flag was changed.
fn set(thing: &OwnedFd, flag: IFlags, on: bool) -> io::Result<bool> {
    let before = rustix::fs::ioctl_getflags(thing).map_err(unsupported)?;
    let mut after = before;
    after.set(flag, on);
    if after != before {
        rustix::fs::ioctl_setflags(thing, after).map_err(unsupported)?;
    }
    Ok(after != before)
}

/// File systems without flags say so in several ways.
fn unsupported(error: Errno) -> io::Error {
    match error {
        Errno::NOTTY | Errno::OPNOTSUPP => io::ErrorKind::Unsupported.into(),
        error => error.into(),
    }
}

/// Whether `path` itself has the immutable flag.
///
/// # Errors
/// What the system answers.
pub fn is_immutable(path: &Path) -> io::Result<bool> {
    has(path, StatxAttributes::IMMUTABLE)
}

/// Whether `path` itself has the append-only flag.
///
/// # Errors
/// What the system answers.
pub fn is_append_only(path: &Path) -> io::Result<bool> {
    has(path, StatxAttributes::APPEND)
}

pub(super) fn has(path: &Path, attribute: StatxAttributes) -> io::Result<bool> {
    let seen = rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty())?;
    Ok(seen.stx_attributes.contains(attribute))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test plays whoever is in the way")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_system_call_that_is_not_there_is_no_fault_of_the_file_system() {
        let told = without_openat2(Errno::NOSYS);
        assert_ne!(told.kind(), io::ErrorKind::Unsupported);
        assert!(told.to_string().contains("RestrictSUIDSGID="), "{told}");
        assert_eq!(without_openat2(Errno::NOENT).kind(), io::ErrorKind::NotFound);
        assert_eq!(unsupported(Errno::NOTTY).kind(), io::ErrorKind::Unsupported);
    }

    #[test]
    fn nothing_outside_is_reached_and_no_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inside, outside) = (folder.path().join("in"), folder.path().join("out"));
        fs::create_dir_all(inside.join("run")).expect("made");
        fs::create_dir(&outside).expect("made");
        std::os::unix::fs::symlink(&outside, inside.join("link")).expect("linked");
        let held = Held::open(&inside).expect("held");
        for path in ["../out", "/etc", "run/../../out", "link", "link/x", "none"] {
            held.set_immutable(Path::new(path), false).expect_err(path);
            held.set_append_only(Path::new(path), false).expect_err(path);
        }
        std::os::unix::fs::symlink("/etc/passwd", inside.join("run/x")).expect("linked");
        held.set_immutable(Path::new("run"), false).expect_err("a link in it");
        fs::remove_file(inside.join("run/x")).expect("removed");
        // Clearing what is not set changes nothing, and needs no capability.
        match held.set_immutable(Path::new("run"), false) {
            Ok(changed) => assert_eq!(changed, 0),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}"),
        }
        assert!(!is_immutable(&inside.join("run")).expect("seen"));
    }
}
