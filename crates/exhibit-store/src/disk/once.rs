//! Owns files that are whole or not there: written once under a name that must be free, or replaced.
//! Each goes to a temporary name in its own folder, is synchronised, and takes its final name by a
//! rename; then the folder is synchronised.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::fault::{changes, makes, writes};
use super::own::Window;
use super::{PRIVATE_FILE, parent, remove_file, rename_new, sync_dir};
use crate::digest::{Digest, Hashing};

/// What a file being written is called until it is whole: recovery deletes these.
pub use exhibit_verify::disk::PARTIAL_SUFFIX;

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
}
