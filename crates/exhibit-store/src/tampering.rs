//! What tests do to a store as its daemon never would, and as somebody with its files can: for the tests of
//! this crate, and those of whoever uses it (the feature `testing`).
#![expect(clippy::disallowed_methods, reason = "a test does damage")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::disk::reading::{Reads, Unread};
use super::layout;
use super::log::{CHECKPOINT, FOLDER, Log};

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

/// Where the checkpoint of the store at `root` lies.
pub fn checkpoint(root: &Path) -> PathBuf {
    root.join(FOLDER).join(CHECKPOINT)
}

/// What puts the log of the store at `from` into the one at `to`, the checkpoint last.
pub fn exchange(from: &Path, to: &Path) -> impl FnOnce() + Send + use<> {
    let folder = from.join(FOLDER);
    let mut new: Vec<(String, Vec<u8>)> = files(&folder).into_iter().collect();
    new.sort_by_key(|(name, _)| name == CHECKPOINT);
    let to = to.join(FOLDER);
    move || {
        for (name, bytes) in new {
            let path = to.join(name);
            let beside = path.with_extension("new");
            fs::create_dir_all(path.parent().expect("in the log")).expect("a folder");
            write(&beside, &bytes);
            rename(&beside, &path);
        }
    }
}

/// Exchange the log of the store at `root`, which is restored each time, for the one at `other` at every
/// step of what `judge` reads of it; steps at which `judge` says that all is well.
pub fn passed(root: &Path, other: &Path, judge: impl Fn() -> bool) -> Vec<u64> {
    let honest = tempfile::tempdir().expect("a folder");
    let kept = honest.path().join("store");
    copy_tree(root, &kept);
    let counted = Reads::below(&checkpoint(root), Unread::Nothing, Errno::IO);
    let at_rest = judge();
    assert!(!at_rest, "at rest it is told");
    let steps = counted.steps();
    drop(counted);
    assert!(steps > 0);
    let mut passed = Vec::new();
    for step in 0..steps + 8 {
        let reads = Reads::before(&checkpoint(root), step, exchange(other, root));
        if judge() {
            passed.push(step);
        }
        drop(reads);
        remove(&root.join(FOLDER));
        copy_tree(&kept.join(FOLDER), &root.join(FOLDER));
    }
    passed
}
