//! Owns the private files of a running browser: its profile, and bytes that are too many for memory.
//! None of them is evidence and none survives the process, so nothing here is synchronised.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Permissions of a private folder.
const PRIVATE_DIR: u32 = 0o700;

/// A file without a name on the file system of `folder`. It is gone when it is closed, or when the
/// process dies.
pub(crate) fn unnamed_file(folder: &Path) -> io::Result<File> {
    tempfile::tempfile_in(folder)
}

/// Make `folder` and what is missing above it, each readable by its owner only.
#[expect(clippy::disallowed_methods, reason = "a browser's private folder is no evidence")]
pub(crate) fn make_dirs(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(PRIVATE_DIR).create(folder)
}

/// Remove `folder` with all it holds; one that does not exist is no error.
#[expect(clippy::disallowed_methods, reason = "a browser's private folder is no evidence")]
pub(crate) fn remove_dir_all(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Bytes that an ordinary user may still write on the file system of `path`.
pub(crate) fn free_bytes(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn folders_are_private_and_go_with_all_they_hold() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("browser/profile");
        make_dirs(&folder).expect("made");
        make_dirs(&folder).expect("there already");
        for made in [&folder, &root.path().join("browser")] {
            let mode = made.metadata().expect("a folder").permissions().mode();
            assert_eq!(mode & 0o777, PRIVATE_DIR, "{}", made.display());
        }
        unnamed_file(&folder).expect("made").write_all(b"gone").expect("written");
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 0);
        let top = root.path().join("browser");
        remove_dir_all(&top).expect("removed");
        remove_dir_all(&top).expect("gone already");
        assert!(!top.exists());
    }
}
