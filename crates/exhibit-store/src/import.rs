//! Owns the steps by which a bundle of another store becomes a file of this one, byte for byte:
//!
//! 1. the bundle is written to `imported/<digest>.begun`, synchronised and read-only;
//! 2. the `import` entry, which holds its digest, is in the log;
//! 3. the file takes its name, `imported/<digest>.tar.zst`, once and for all.
//!
//! Up to 1 nothing has happened, and a start takes the file back; after 2 a start finishes.
//!
//! And by which it goes again: a mark, `imported/<digest>.going`, says that its purge is begun; the
//! `purge-import` entry is in the log; the file is removed, and its mark after it. Without the entry a
//! start takes the mark away, with it the start finishes. Which bundle may come in or go is not
//! decided here.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use super::error::StoreError;
use super::layout::{self, BEGUN_SUFFIX, GOING_SUFFIX, IMPORTED};
use super::publish::READ_ONLY_FILE;
use super::purge::same_mode;
use super::store::Store;
use crate::digest::Digest;
use crate::disk::{self, OnceFile, PARTIAL_SUFFIX};
use exhibit_verify::imported::is_that;

impl Store {
    /// Where the bundle of another store with this digest is kept, or will be.
    pub fn import_of(&self, sha256: Digest) -> PathBuf {
        self.root().join(layout::imported_place(sha256))
    }

    fn importing(&self, sha256: Digest) -> PathBuf {
        self.root().join(layout::importing_place(sha256))
    }

    /// Write `bundle`, which has this digest and `size`, beside its place. What an earlier attempt
    /// wrote whole is left.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it has another digest; see [`StoreError`].
    pub fn write_import(
        &self,
        mut bundle: impl Read,
        sha256: Digest,
        size: u64,
    ) -> Result<(), StoreError> {
        let (folder, path) = (self.root().join(IMPORTED), self.importing(sha256));
        let at = |error| StoreError::new(&path, error);
        disk::make_dirs(&folder).map_err(StoreError::at(&folder))?;
        if !is_that(&path, sha256, size).map_err(StoreError::at(&path))? {
            disk::remove_file(&path).map_err(at)?;
            disk::remove_cut_short(&path).map_err(at)?;
            let mut file = OnceFile::create(&path).map_err(at)?;
            if let Err(error) = io::copy(&mut bundle, &mut file) {
                file.discard();
                return Err(at(error));
            }
            if file.finish().map_err(at)?.0 != sha256 {
                disk::remove_file(&path).map_err(at)?;
                let what = "its bytes changed while it was written".to_owned();
                return Err(StoreError::Damaged { path: path.clone(), what });
            }
        }
        disk::set_mode(&path, READ_ONLY_FILE).map_err(at)?;
        disk::sync_dir(&folder).map_err(StoreError::at(&folder))
    }

    /// Give the bundle with this digest and `size`, of which the log tells, its place. Done already is no error.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when what waits is not that bundle; see [`StoreError`].
    pub fn publish_import(&self, sha256: Digest, size: u64) -> Result<(), StoreError> {
        let (from, to) = (self.importing(sha256), self.import_of(sha256));
        if is_that(&to, sha256, size).map_err(StoreError::at(&to))? {
            return self.drop_begun_import(sha256);
        }
        if !is_that(&from, sha256, size).map_err(StoreError::at(&from))? {
            let what = "it is not the bundle that the log tells of".to_owned();
            return Err(StoreError::Damaged { path: from, what });
        }
        disk::rename_new(&from, &to).map_err(StoreError::at(&to))?;
        let folder = self.root().join(IMPORTED);
        disk::sync_dir(&folder).map_err(StoreError::at(&folder))
    }

    /// The bundle that is kept under this digest, with this `size`: its file. None when nothing lies
    /// there.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for other bytes than that; see [`StoreError`].
    pub fn kept_import(&self, sha256: Digest, size: u64) -> Result<Option<File>, StoreError> {
        let path = self.import_of(sha256);
        let found = disk::found(&path).map_err(StoreError::at(&path))?;
        let Some(found) = found else { return Ok(None) };
        let damaged =
            |what: &str| StoreError::Damaged { path: path.clone(), what: what.to_owned() };
        if !found.is_file() {
            return Err(damaged("it is no plain file"));
        }
        // One of another size is not read at leisure to learn that.
        if found.len() != size {
            return Err(damaged("it has another size"));
        }
        let file = disk::open(&path).map_err(StoreError::at(&path))?;
        let (digest, _) = Digest::of_reader(&file).map_err(StoreError::at(&path))?;
        if digest == sha256 { Ok(Some(file)) } else { Err(damaged("it has other bytes")) }
    }

    /// The bundles that were being taken in when something cut it short. What was cut short of
    /// writing one goes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn begun_imports(&self) -> Result<Vec<Digest>, StoreError> {
        let folder = self.root().join(IMPORTED);
        if folder.symlink_metadata().is_err() {
            return Ok(Vec::new());
        }
        let mut begun = Vec::new();
        for entry in layout::entries(&folder).map_err(StoreError::at(&folder))? {
            let cut_short = |suffix: &str| {
                let suffix = format!("{suffix}{PARTIAL_SUFFIX}");
                layout::imported_as(&entry.name, &suffix).is_some()
            };
            if [BEGUN_SUFFIX, GOING_SUFFIX].into_iter().any(cut_short) {
                disk::remove_file(&entry.path).map_err(StoreError::at(&entry.path))?;
            }
            begun.extend(layout::imported_as(&entry.name, BEGUN_SUFFIX));
        }
        Ok(begun)
    }

    /// Where the purge of the bundle with this digest is marked.
    fn mark_of_import(&self, sha256: Digest) -> PathBuf {
        self.root().join(format!("{IMPORTED}/{sha256}{GOING_SUFFIX}"))
    }

    /// Whether the kernel would let the bundle with this digest go: it and its folder are given the
    /// mode that they have. One that is not there goes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn check_import_removable(&self, sha256: Digest) -> Result<(), StoreError> {
        let path = self.import_of(sha256);
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        same_mode(&self.root().join(IMPORTED))?;
        same_mode(&path)
    }

    /// Mark the purge of the bundle with this digest as begun. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn mark_import_going(&self, sha256: Digest) -> Result<(), StoreError> {
        let (mark, folder) = (self.mark_of_import(sha256), self.root().join(IMPORTED));
        disk::make_dirs(&folder).map_err(StoreError::at(&folder))?;
        if mark.symlink_metadata().is_ok() {
            return disk::sync_dir(&folder).map_err(StoreError::at(&folder));
        }
        disk::write_once(&mark, b"").map(drop).map_err(StoreError::at(&mark))
    }

    /// The bundles that are marked as going.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn going_imports(&self) -> Result<Vec<Digest>, StoreError> {
        let folder = self.root().join(IMPORTED);
        if folder.symlink_metadata().is_err() {
            return Ok(Vec::new());
        }
        let entries = layout::entries(&folder).map_err(StoreError::at(&folder))?;
        let going = entries.iter().filter_map(|it| layout::imported_as(&it.name, GOING_SUFFIX));
        Ok(going.collect())
    }

    /// Remove the bundle with this digest, of which the log says that it goes, and its mark. Done
    /// already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn remove_import(&self, sha256: Digest) -> Result<(), StoreError> {
        let (folder, path) = (self.root().join(IMPORTED), self.import_of(sha256));
        if path.symlink_metadata().is_ok() {
            disk::remove_file(&path).map_err(StoreError::at(&path))?;
            disk::sync_dir(&folder).map_err(StoreError::at(&folder))?;
        }
        self.unmark_import(sha256)
    }

    /// Take the mark of the bundle with this digest away. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn unmark_import(&self, sha256: Digest) -> Result<(), StoreError> {
        let (folder, mark) = (self.root().join(IMPORTED), self.mark_of_import(sha256));
        if mark.symlink_metadata().is_err() {
            return Ok(());
        }
        disk::remove_file(&mark).map_err(StoreError::at(&mark))?;
        disk::sync_dir(&folder).map_err(StoreError::at(&folder))
    }

    /// Take back the bundle with this digest, of which the log does not tell.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn drop_begun_import(&self, sha256: Digest) -> Result<(), StoreError> {
        let (folder, path) = (self.root().join(IMPORTED), self.importing(sha256));
        disk::remove_file(&path).map_err(StoreError::at(&path))?;
        disk::sync_dir(&folder).map_err(StoreError::at(&folder))
    }
}

#[cfg(test)]
mod tests {
    use exhibit_verify::imported::{Found, found_in, waits_in};

    use super::*;
    use crate::fixture::Bench;

    #[test]
    fn a_bundle_takes_its_place_in_steps_each_of_which_can_be_done_again() {
        let bench = Bench::new();
        let (store, bytes) = (&bench.store, b"a bundle".as_slice());
        let sha256 = Digest::of(bytes);
        assert!(store.publish_import(sha256, 8).is_err(), "nothing was written");
        // Nobody reads a file with nothing in it for hours, to learn that it is not that bundle.
        disk::make_dirs(&store.root().join(IMPORTED)).expect("made");
        #[expect(clippy::disallowed_methods, reason = "a test plays an attacker")]
        let sparse = File::create(store.importing(sha256)).expect("made");
        sparse.set_len(1 << 42).expect("with a hole");
        assert!(store.publish_import(sha256, 8).is_err(), "of another size");
        assert_eq!(waits_in(store.root(), sha256, 8).expect("looked"), None);
        store.write_import(bytes, sha256, 8).expect("written");
        store.write_import(&b""[..], sha256, 8).expect("what is whole is left");
        assert_eq!(store.begun_imports().expect("listed"), [sha256]);
        assert_eq!(waits_in(store.root(), sha256, 8).expect("looked"), Some(true));
        assert_eq!(waits_in(store.root(), sha256, 9).expect("looked"), None, "of another size");
        assert!(store.kept_import(sha256, 8).expect("looked").is_none());
        store.publish_import(sha256, 8).expect("in place");
        store.publish_import(sha256, 8).expect("already");
        assert_eq!(waits_in(store.root(), sha256, 8).expect("looked"), Some(false));
        assert!(store.kept_import(sha256, 8).expect("looked").is_some());
        let other = store.kept_import(sha256, 9);
        assert!(matches!(other, Err(StoreError::Damaged { .. })), "{other:?}");
        assert_eq!(store.begun_imports().expect("listed"), []);
        store.check_import_removable(sha256).expect("nothing holds it");
        store.mark_import_going(sha256).expect("marked");
        store.mark_import_going(sha256).expect("already");
        assert_eq!(store.going_imports().expect("listed"), [sha256]);
        store.unmark_import(sha256).expect("unmarked");
        assert!(store.kept_import(sha256, 8).expect("looked").is_some());
        // Bytes that are not those of the name stay nowhere.
        let other = Digest::of(b"other");
        let refused = store.write_import(bytes, other, 8);
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{refused:?}");
        assert_eq!(store.begun_imports().expect("listed"), []);
        let found = found_in(store.root()).expect("listed");
        assert!(matches!(found.as_slice(), [Found::Kept(one, _)] if *one == sha256), "{found:?}");
        store.mark_import_going(sha256).expect("marked");
        store.remove_import(sha256).expect("removed");
        store.remove_import(sha256).expect("already");
        assert!(found_in(store.root()).expect("listed").is_empty());
    }
}
