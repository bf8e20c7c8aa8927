//! Owns reading: open a file, list a folder, look whether something is there, and tell a failure to
//! read (EMFILE, EACCES, EIO) from what is not there. Such a failure says nothing of the bytes on
//! disk, so nobody may take it for a change of them. Tests inject failures here.

use std::error::Error;
use std::fs::{self, DirEntry, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

#[cfg(any(test, feature = "testing"))]
use planned::reads;
#[cfg(any(test, feature = "testing"))]
pub use planned::{Reads, Unread};

/// What the name of a file ends in until it is whole.
pub const PARTIAL_SUFFIX: &str = ".partial";

/// One step of reading; only tests make it fail.
#[cfg(not(any(test, feature = "testing")))]
#[inline]
#[expect(clippy::unnecessary_wraps, reason = "tests make it fail")]
fn reads(_: &str, _: &Path) -> io::Result<()> {
    Ok(())
}

/// Open the file at `path` for reading. What is no plain file is refused, and never waited for: somebody
/// may have put a pipe there a moment ago.
///
/// # Errors
/// `InvalidInput` for a pipe, a socket or a device; else what the system answers.
pub fn open(path: &Path) -> io::Result<File> {
    reads("open", path)?;
    open_at_once(path)
}

/// [`open`], where no test makes it fail.
///
/// # Errors
/// As [`open`].
#[expect(clippy::disallowed_methods, reason = "it is opened for reading alone")]
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let kind = file.metadata()?.file_type();
    if kind.is_file() || kind.is_dir() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"))
}

/// The entries of `folder`, in no order.
///
/// # Errors
/// What the system answers.
pub fn list(folder: &Path) -> io::Result<Vec<DirEntry>> {
    reads("list", folder)?;
    fs::read_dir(folder)?.collect()
}

/// What is at `path`, links not followed; none when nothing is there.
///
/// # Errors
/// What the system answers when it cannot tell.
pub fn found(path: &Path) -> io::Result<Option<Metadata>> {
    match reads("look", path).and_then(|()| fs::symlink_metadata(path)) {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The whole of `path`, refusing more than `limit` bytes.
///
/// # Errors
/// `FileTooLarge` over the limit; else what the system answers.
pub fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_from(open(path)?, limit)
}

/// [`read_limited`] of a plain file: a link, and a pipe or device, on which a reader would wait, is
/// refused. What is read is what was looked at.
///
/// # Errors
/// `InvalidInput` for what is no plain file; else as [`read_limited`].
pub fn read_plain(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_from(open_plain(path, OFlags::NOFOLLOW)?, limit)
}

/// [`read_plain`] of a file that somebody named, who may have named a link to it.
///
/// # Errors
/// As [`read_plain`].
pub fn read_named(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_from(open_plain(path, OFlags::empty())?, limit)
}

fn read_from(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Open a plain file for reading, without waiting for anybody who writes to a pipe in its place.
fn open_plain(path: &Path, how: OFlags) -> io::Result<File> {
    let other = || io::Error::new(io::ErrorKind::InvalidInput, "not a plain file");
    reads("open", path)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | how;
    let opened = match rustix::fs::open(path, flags, Mode::empty()) {
        // A link, and a socket.
        Err(Errno::LOOP | Errno::NXIO) => return Err(other()),
        opened => opened?,
    };
    let file = File::from(opened);
    if file.metadata()?.is_file() { Ok(file) } else { Err(other()) }
}

/// Whether `error`, or a cause of it, is the system's refusal or failure to read something that may
/// well be there. What is absent, of another kind or malformed was read.
pub fn is_unreadable(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.raw_os_error().is_some()
        {
            return !is_absent(error.kind()) && !is_of_another_kind(error.kind());
        }
        cause = error.source();
    }
    false
}

fn is_absent(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Of a folder where a file is expected, or a name that is there twice.
fn is_of_another_kind(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists)
}

#[cfg(any(test, feature = "testing"))]
mod planned {
    use std::collections::HashSet;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    use rustix::io::Errno;

    static PLANS: Mutex<Vec<Arc<Mutex<State>>>> = Mutex::new(Vec::new());

    /// Which steps of reading fail.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Unread {
        /// None: they are counted.
        Nothing,
        /// The one with this number, from 0.
        At(u64),
        /// All from this one on.
        From(u64),
    }

    /// Failures to read below a path, until this is dropped.
    pub struct Reads(Arc<Mutex<State>>);

    struct State {
        below: PathBuf,
        which: Unread,
        errno: Errno,
        steps: u64,
        failed: u64,
        /// What could not be read, and was not read since.
        unread: HashSet<(&'static str, PathBuf)>,
        /// What happens before the step with this number.
        act: Option<(u64, Act)>,
    }

    type Act = Box<dyn FnOnce() + Send>;

    impl Reads {
        /// Have `which` steps of reading `below` and what lies in it fail with `errno`.
        pub fn below(below: &Path, which: Unread, errno: Errno) -> Self {
            let (below, unread) = (below.to_owned(), HashSet::new());
            Self::plan(State { below, which, errno, steps: 0, failed: 0, unread, act: None })
        }

        /// Do `act` before the step number `at` of reading `below` and what lies in it.
        pub fn before(below: &Path, at: u64, act: impl FnOnce() + Send + 'static) -> Self {
            let (below, unread) = (below.to_owned(), HashSet::new());
            let act = Some((at, Box::new(act) as Act));
            let (which, errno) = (Unread::Nothing, Errno::IO);
            Self::plan(State { below, which, errno, steps: 0, failed: 0, unread, act })
        }

        fn plan(state: State) -> Self {
            let state = Arc::new(Mutex::new(state));
            plans().push(Arc::clone(&state));
            Self(state)
        }

        /// How many steps there were.
        pub fn steps(&self) -> u64 {
            lock(&self.0).steps
        }

        /// What could not be read, in which way, and was not when it was tried again.
        pub fn unread(&self) -> Vec<(&'static str, PathBuf)> {
            lock(&self.0).unread.iter().cloned().collect()
        }

        /// How many of them failed.
        pub fn failed(&self) -> u64 {
            lock(&self.0).failed
        }
    }

    impl Drop for Reads {
        fn drop(&mut self) {
            plans().retain(|state| !Arc::ptr_eq(state, &self.0));
        }
    }

    fn plans() -> MutexGuard<'static, Vec<Arc<Mutex<State>>>> {
        PLANS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reads(how: &'static str, path: &Path) -> io::Result<()> {
        let kept: Vec<_> = plans().clone();
        for state in kept {
            let mut state = lock(&state);
            if !path.starts_with(&state.below) {
                continue;
            }
            let step = state.steps;
            state.steps += 1;
            if let Some((_, act)) = state.act.take_if(|(at, _)| *at == step) {
                act();
            }
            let fails = match state.which {
                Unread::Nothing => false,
                Unread::At(at) => step == at,
                Unread::From(at) => step >= at,
            };
            if fails {
                state.failed += 1;
                state.unread.insert((how, path.to_owned()));
                return Err(state.errno.into());
            }
            state.unread.remove(&(how, path.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::BundleError;
    use crate::error::StoreError;

    #[expect(clippy::disallowed_methods, reason = "a test prepares a file")]
    fn put(path: &Path, bytes: &[u8]) {
        fs::write(path, bytes).expect("written");
    }

    #[test]
    fn reading_stops_at_the_limit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        put(&path, b"12345");
        assert_eq!(read_limited(&path, 5).expect("within"), b"12345");
        assert_eq!(read_limited(&path, 4).expect_err("over").kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn nobody_waits_on_a_pipe_and_only_what_was_named_may_be_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        put(&at("f"), b"12345");
        std::os::unix::fs::symlink(at("f"), at("link")).expect("linked");
        let mode = Mode::RUSR | Mode::WUSR;
        let made =
            rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, mode, 0);
        made.expect("made");
        let kind = |read: io::Result<Vec<u8>>| read.map_err(|error| error.kind());
        assert_eq!(kind(read_plain(&at("f"), 5)), Ok(b"12345".to_vec()));
        assert_eq!(kind(read_named(&at("link"), 5)), Ok(b"12345".to_vec()));
        assert_eq!(kind(read_plain(&at("link"), 5)), Err(io::ErrorKind::InvalidInput));
        for name in ["pipe", "."] {
            assert_eq!(kind(read_plain(&at(name), 5)), Err(io::ErrorKind::InvalidInput), "{name}");
            assert_eq!(kind(read_named(&at(name), 5)), Err(io::ErrorKind::InvalidInput), "{name}");
        }
        assert_eq!(kind(read_plain(&at("f"), 4)), Err(io::ErrorKind::FileTooLarge));
        assert_eq!(kind(read_named(&at("none"), 4)), Err(io::ErrorKind::NotFound));
    }

    #[test]
    fn a_failure_to_read_is_told_from_what_was_read() {
        let of = |errno: Errno| io::Error::from(errno);
        for errno in
            [Errno::MFILE, Errno::NFILE, Errno::ACCESS, Errno::PERM, Errno::IO, Errno::NOMEM]
        {
            assert!(is_unreadable(&of(errno)), "{errno:?}");
            assert!(is_unreadable(&StoreError::new(Path::new("x"), of(errno))), "{errno:?}");
            assert!(is_unreadable(&BundleError::Io(of(errno))), "{errno:?}");
            // As tar wraps what its reader answers.
            let wrapped = io::Error::other(StoreError::new(Path::new("x"), of(errno)));
            assert!(is_unreadable(&wrapped), "{errno:?}");
        }
        for errno in [Errno::NOENT, Errno::NOTDIR, Errno::ISDIR] {
            assert!(!is_unreadable(&of(errno)), "{errno:?}");
        }
        assert!(!is_unreadable(&io::Error::from(io::ErrorKind::InvalidData)));
        assert!(!is_unreadable(&io::Error::from(io::ErrorKind::FileTooLarge)));
    }

    #[test]
    fn what_is_absent_is_no_failure() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        assert!(found(&path).expect("looked").is_none());
        put(&path, b"1");
        assert!(found(&path.join("below")).expect("looked").is_none());
        let reads = Reads::below(&path, Unread::At(1), Errno::IO);
        assert!(found(&path).expect("looked").is_some());
        assert_eq!(
            found(&path).expect_err("planned").raw_os_error(),
            Some(Errno::IO.raw_os_error())
        );
        assert!(open(&path).is_ok());
        assert_eq!((reads.steps(), reads.failed()), (3, 1));
    }
}
