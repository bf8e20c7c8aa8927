//! Owns the private files of a running browser: its profile, its home, what it writes while it runs.
//! None of them is evidence and none outlives the browser, so nothing here is synchronised.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Permissions of a private folder.
const PRIVATE_DIR: u32 = 0o700;

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
        let cookies = tempfile::NamedTempFile::new_in(&folder).expect("a file");
        cookies.keep().expect("it stays");
        let top = root.path().join("browser");
        remove_dir_all(&top).expect("removed");
        remove_dir_all(&top).expect("gone already");
        assert!(!top.exists());
    }
}
