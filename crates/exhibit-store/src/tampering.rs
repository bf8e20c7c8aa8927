//! What tests do to a store as its daemon never would, and as somebody with its files can: for the tests of
//! this crate, and those of whoever uses it (the feature `testing`).
#![expect(clippy::disallowed_methods, reason = "a test does damage")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::layout;
use super::log::Log;

/// Write `bytes` to `path`, whatever is there.
pub fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
}

/// Give `from` the name `to`, whose folder is made.
pub fn rename(from: &Path, to: &Path) {
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent).expect("made");
    }
    fs::rename(from, to).expect("renamed");
}

/// Remove a file, or a folder with all that is in it.
pub fn remove(path: &Path) {
    fs::remove_dir_all(path).or_else(|_| fs::remove_file(path)).expect("removed");
}

/// Make folders writable again, as somebody with the rights would.
pub fn unlock(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("set");
    for entry in layout::entries(folder).expect("listed") {
        if entry.kind.is_dir() {
            unlock(&entry.path);
        } else if entry.kind.is_file() {
            fs::set_permissions(&entry.path, fs::Permissions::from_mode(0o644)).expect("set");
        }
    }
}

/// Copy all that is below `from` to `to`.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in layout::entries(from).expect("listed") {
        let target = to.join(&entry.name);
        if entry.kind.is_dir() {
            copy_tree(&entry.path, &target);
        } else {
            fs::copy(&entry.path, &target).expect("copied");
        }
    }
}

/// Put `entries` into the log with one commit.
pub fn extend(log: &Log, entries: &[Vec<u8>]) {
    log.append_all(entries.to_vec()).expect("appended");
}

/// The files below `folder`, by name.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(at) = folders.pop() {
        for entry in fs::read_dir(&at).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
                found.insert(name, fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

/// Have `files` lie below `folder`, and nothing else.
pub fn lay_out(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    drop(fs::remove_dir_all(folder));
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }
}
