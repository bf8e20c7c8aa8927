//! Owns the steps by which a sealed folder becomes one archive in its place, and an archive a folder
//! again. At every moment the run lies whole in its place, as one or the other. To archive:
//!
//! 1. the archive is written to `archiving/`, synchronised, unpacked beside itself and verified;
//! 2. a mark in `archiving/` says that this is begun;
//! 3. the `archive` entry, which holds its digest, is in the log;
//! 4. the archive takes its place beside the folder;
//! 5. the guard, where there is one, makes the folder removable, for the entry's sake;
//! 6. the folder is moved to `archiving/`, the guard closes its day again, and it is removed there, and
//!    the mark after it.
//!
//! To restore: the archive is unpacked in `archiving/`, verified and synchronised; another mark is
//! set; the folder takes its place; the `restore` entry is in the log; the guard makes the archive
//! removable, for the entry's sake; it is removed, the guard closes the day again, and the mark goes.
//! A start goes on with what is marked, as often as it takes; what lies beside an archive and has no
//! mark was put there by somebody. Whether a run may be archived is not decided here.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::layout::{self, ARCHIVE_SUFFIX, ARCHIVING, MAX_SMALL, RUNS};
use super::publish::{READ_ONLY_FILE, protect_below, protect_top};
use super::purge::Leaving::Archived;
use super::purge::{MARK, check_above, each_below, remove_folder, same_mode, set_mark, take_mark};
use super::store::{Store, in_days};
use crate::bundle::{self, BundleError, Limits, Unpacked};
use crate::digest::Digest;
use crate::disk::{self, OnceFile, PARTIAL_SUFFIX};
use crate::id::RunId;
use exhibit_verify::cause::chain;

/// Where a bundle is unpacked, in `archiving/`.
const IMPORT: &str = "import";
/// What the mark of a run that becomes a folder again is called, behind the run.
const RESTORING: &str = ".restoring";
/// Where an archive is unpacked, in `archiving/`.
const UNPACKED: &str = ".unpacked";

impl Store {
    /// Where the archive of `run` is, or will be.
    pub fn archive_of(&self, run: RunId) -> PathBuf {
        self.root().join(layout::archived_place(run))
    }

    fn archiving(&self, run: RunId, ending: &str) -> PathBuf {
        self.root().join(format!("{}{ending}", layout::archiving_place(run)))
    }

    /// Write the archive of the sealed folder of `run` beside the store's runs, in place of what an
    /// earlier attempt left; its digest and size in bytes.
    ///
    /// # Errors
    /// See [`StoreError`]; then nothing is left of it.
    pub fn write_archive(&self, run: RunId) -> Result<(Digest, u64), StoreError> {
        let path = self.archiving(run, ARCHIVE_SUFFIX);
        let above = self.root().join(ARCHIVING);
        let at = StoreError::at(&path);
        disk::make_dirs(&above).map_err(StoreError::at(&above))?;
        for ending in [ARCHIVE_SUFFIX.to_owned(), format!("{ARCHIVE_SUFFIX}{PARTIAL_SUFFIX}")] {
            let left = self.archiving(run, &ending);
            disk::remove_file(&left).map_err(StoreError::at(&left))?;
        }
        let mut file = OnceFile::create(&path).map_err(at)?;
        let folder = self.folder_of(run);
        if let Err(error) = bundle::write(&mut file, &[(run, &folder, None)]) {
            file.discard();
            return Err(StoreError::new(&path, error));
        }
        let written = file.finish().map_err(StoreError::at(&path))?;
        disk::set_mode(&path, READ_ONLY_FILE).map_err(StoreError::at(&path))?;
        disk::sync_dir(&above).map_err(StoreError::at(&above))?;
        Ok(written)
    }

    /// Unpack the archive of `run` that lies in its place, or in `archiving/` before that; the folder
    /// in `archiving/` that was in it. It must not take more than `room` bytes.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for what is no archive of that run; `StorageFull` for a larger one; see
    /// [`StoreError`].
    pub fn unpack_archive(&self, run: RunId, room: u64) -> Result<PathBuf, StoreError> {
        let (begun, placed) = (self.archiving(run, ARCHIVE_SUFFIX), self.archive_of(run));
        let path = if begun.is_file() { begun } else { placed };
        let scratch = self.archiving(run, UNPACKED);
        remove_folder(&scratch)?;
        disk::make_dirs(&scratch).map_err(StoreError::at(&scratch))?;
        unpacked(&path, run, &scratch, room).map_err(|error| match error {
            BundleError::Io(why) if why.raw_os_error().is_some() => StoreError::new(&path, why),
            other => StoreError::Damaged { path: path.clone(), what: chain(&other) },
        })
    }

    /// Remove what [`Store::unpack_archive`] made. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn drop_unpacked(&self, run: RunId) -> Result<(), StoreError> {
        remove_folder(&self.archiving(run, UNPACKED))
    }

    /// Mark that `run` is becoming an archive, or with `restoring` a folder. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn mark_archiving(&self, run: RunId, restoring: bool) -> Result<(), StoreError> {
        set_mark(&self.archiving(run, if restoring { RESTORING } else { MARK }), b"")
    }

    /// Whether `run` is becoming an archive: it is marked, or its folder was moved aside.
    pub fn is_archiving(&self, run: RunId) -> bool {
        self.archiving(run, MARK).is_file() || self.folder_leaving(run, Archived).is_dir()
    }

    /// Whether `run` is becoming a folder: it is marked.
    pub fn is_restoring(&self, run: RunId) -> bool {
        self.archiving(run, RESTORING).is_file()
    }

    /// The runs of which something lies in `archiving/`, whatever that is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn in_archiving(&self) -> Result<BTreeSet<RunId>, StoreError> {
        let entries = layout::listed(&self.root().join(ARCHIVING))?;
        let run =
            |entry: &layout::FolderEntry| entry.name.to_str()?.split('.').next()?.parse().ok();
        Ok(entries.iter().filter_map(run).collect())
    }

    /// Give the archive of `run` its place, durably. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn publish_archive(&self, run: RunId) -> Result<(), StoreError> {
        let (from, to) = (self.archiving(run, ARCHIVE_SUFFIX), self.archive_of(run));
        if from.is_file() {
            disk::rename_new(&from, &to).map_err(StoreError::at(&to))?;
        }
        sync_parents(&[&from, &to])
    }

    /// Make durable that the archive of `run` is in its place.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn sync_archive(&self, run: RunId) -> Result<(), StoreError> {
        sync_parents(&[&self.archive_of(run)])
    }

    /// The digest of the archive of `run` that waits to take its place, if one does.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn begun_archive(&self, run: RunId) -> Result<Option<Digest>, StoreError> {
        let path = self.archiving(run, ARCHIVE_SUFFIX);
        if !path.is_file() {
            return Ok(None);
        }
        let digest = File::open(&path).and_then(Digest::of_reader);
        digest.map(|(digest, _)| Some(digest)).map_err(StoreError::at(&path))
    }

    /// Give the folder that [`Store::unpack_archive`] made its place, read-only as it was sealed. One
    /// that is there already is left.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn publish_unpacked(&self, run: RunId) -> Result<(), StoreError> {
        let scratch = self.archiving(run, UNPACKED);
        self.publish_folder(run, &scratch.join(RUNS).join(run.to_string()))?;
        remove_folder(&scratch)
    }

    /// Give the unpacked folder `from`, of `run`, its place, read-only as it was sealed. One that is
    /// there already is left, but for that.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn publish_folder(&self, run: RunId, from: &Path) -> Result<(), StoreError> {
        let to = self.folder_of(run);
        if to.is_dir() {
            protect_top(&to)?;
            return sync_parents(&[from, &to]);
        }
        let day = to.parent().expect("a folder of the store");
        disk::make_dirs(day).map_err(StoreError::at(day))?;
        each_below(from, &mut |path| disk::sync_dir(path).map_err(StoreError::at(path)))?;
        protect_below(from)?;
        disk::rename_new(from, &to).map_err(StoreError::at(&to))?;
        protect_top(&to)?;
        sync_parents(&[from, &to])
    }

    /// Unpack `bundle` into `archiving/`, within `limits`: what was in it, and the folder to give to
    /// [`Store::drop_import`] afterwards.
    ///
    /// # Errors
    /// [`BundleError`]; then nothing is left of it.
    pub fn unpack_import(
        &self,
        bundle: impl Read + Seek,
        limits: Limits,
    ) -> Result<(Unpacked, PathBuf), BundleError> {
        let scratch = self.root().join(ARCHIVING).join(IMPORT);
        let clear = || remove_folder(&scratch).map_err(io::Error::other);
        clear()?;
        disk::make_dirs(&scratch)?;
        match bundle::unpack(bundle, &scratch, limits) {
            Ok(unpacked) => Ok((unpacked, scratch)),
            Err(error) => {
                clear()?;
                Err(error)
            }
        }
    }

    /// Mark that an import is begun which the log tells of behind its first `size` entries.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn mark_import(&self, size: u64) -> Result<(), StoreError> {
        set_mark(&self.import_mark(), size.to_string().as_bytes())
    }

    fn import_mark(&self) -> PathBuf {
        self.root().join(format!("{ARCHIVING}/{IMPORT}{MARK}"))
    }

    /// Whether an import is begun.
    pub fn is_importing(&self) -> bool {
        self.import_mark().is_file()
    }

    /// Behind how many entries the log tells of the import that is begun, if it does.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for what is no such mark; see [`StoreError`].
    pub fn begun_import(&self) -> Result<Option<u64>, StoreError> {
        let path = self.import_mark();
        if !self.is_importing() {
            return Ok(None);
        }
        let text = disk::read_limited(&path, MAX_SMALL).map_err(StoreError::at(&path))?;
        let size = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        let what = || "it does not say how long the log was".to_owned();
        size.map(Some).ok_or_else(|| StoreError::Damaged { path: path.clone(), what: what() })
    }

    /// Where the folder of `run` is that [`Store::unpack_import`] found.
    pub fn unpacked_import(&self, run: RunId) -> PathBuf {
        self.root().join(format!("{ARCHIVING}/{IMPORT}/{RUNS}/{run}"))
    }

    /// Remove what is left of an import in `scratch`, and its mark.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn drop_import(&self, scratch: &Path) -> Result<(), StoreError> {
        remove_folder(scratch)?;
        take_mark(&self.import_mark())
    }

    /// Whether the kernel would let the archive of `run` go, as [`Store::check_removable`] asks of a
    /// folder.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn check_archive_removable(&self, run: RunId, guarded: bool) -> Result<(), StoreError> {
        let archive = self.archive_of(run);
        check_above(&archive, guarded)?;
        let passed = guarded && disk::flags::is_immutable(&archive).unwrap_or(false);
        if passed { Ok(()) } else { same_mode(&archive) }
    }

    /// Remove the archive of `run`. Done already is no error.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn remove_archive(&self, run: RunId) -> Result<(), StoreError> {
        let path = self.archive_of(run);
        if path.symlink_metadata().is_err() {
            return Ok(());
        }
        disk::remove_file(&path).map_err(StoreError::at(&path))?;
        sync_parents(&[&path])
    }

    /// Remove what lies in `archiving/` of `run`, its marks last: nothing is left to do. Its folder goes
    /// only where `folder_too` says so.
    ///
    /// # Errors
    /// See [`StoreError`]; then it can be tried again.
    pub fn clear_archiving(&self, run: RunId, folder_too: bool) -> Result<(), StoreError> {
        if folder_too {
            self.remove_aside(run, Archived)?;
        }
        self.drop_unpacked(run)?;
        for ending in [ARCHIVE_SUFFIX.to_owned(), format!("{ARCHIVE_SUFFIX}{PARTIAL_SUFFIX}")] {
            take_mark(&self.archiving(run, &ending))?;
        }
        take_mark(&self.archiving(run, RESTORING))?;
        take_mark(&self.archiving(run, MARK))
    }

    /// Remove from `archiving/` what is of no run: what is left of an import, its mark last, and marks
    /// cut short.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn clear_imports(&self) -> Result<(), StoreError> {
        for entry in layout::listed(&self.root().join(ARCHIVING))? {
            if !entry.kind.is_dir() && entry.name.to_string_lossy().ends_with(PARTIAL_SUFFIX) {
                disk::remove_file(&entry.path).map_err(StoreError::at(&entry.path))?;
            }
        }
        self.drop_import(&self.root().join(ARCHIVING).join(IMPORT))
    }
}

fn sync_parents(paths: &[&Path]) -> Result<(), StoreError> {
    for folder in paths.iter().filter_map(|path| path.parent()) {
        disk::sync_dir(folder).map_err(StoreError::at(folder))?;
    }
    Ok(())
}

/// Unpack the archive at `path`, which takes at most `room` bytes, into `folder`, which is empty: the
/// evidence folder in it, which must be that of `run` and alone.
///
/// # Errors
/// [`BundleError`].
fn unpacked(path: &Path, run: RunId, folder: &Path, room: u64) -> Result<PathBuf, BundleError> {
    let mut file = disk::open(path)?;
    let survey = bundle::survey(&file, Limits::default())?;
    let other = || BundleError::NotABundle(format!("an archive holds the folder of {run} alone"));
    if survey.runs != [run] {
        return Err(other());
    }
    if survey.bytes > room {
        return Err(io::Error::from(rustix::io::Errno::NOSPC).into());
    }
    file.seek(SeekFrom::Start(0))?;
    let found = bundle::unpack(file, folder, Limits::default())?;
    match found.runs.get(&run) {
        Some((place, None)) if found.runs.len() == 1 => Ok(place.clone()),
        _ => Err(other()),
    }
}

/// The archives in the store at `root`, oldest first, as [`sealed_in`](super::sealed_in) finds
/// folders.
pub fn archived_in(root: &Path) -> impl Iterator<Item = (RunId, PathBuf)> + use<> {
    in_days(root)
        .filter(|entry| entry.kind.is_file())
        .filter_map(|entry| Some((layout::archived_run(&entry.name)?, entry.path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Bench, id, verdict};
    use crate::{RunRecord, archived_record};

    #[test]
    fn a_folder_becomes_an_archive_and_comes_back_as_it_was() {
        let bench = Bench::new();
        let folder = bench.sealed(0);
        let (store, run) = (&bench.store, id(0));
        let first = store.write_archive(run).expect("written");
        assert_eq!(store.write_archive(run).expect("again"), first, "the same bytes");
        assert_eq!(store.begun_archive(run).expect("read"), Some(first.0));
        let full = store.unpack_archive(run, 1000).expect_err("no room");
        assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
        let unpacked = store.unpack_archive(run, u64::MAX).expect("an archive");
        assert_eq!(verdict(&unpacked), verdict(&folder));
        store.drop_unpacked(run).expect("removed");
        store.publish_archive(run).expect("in place");
        store.publish_archive(run).expect("already");
        let record = archived_record(&store.archive_of(run), run).expect("in it");
        assert_eq!(record, RunRecord::read(&folder).expect("there"));
        let found: Vec<_> = archived_in(store.root()).collect();
        assert_eq!(found, [(run, store.archive_of(run))]);
        store.move_aside(run, Archived).expect("moved");
        store.clear_archiving(run, false).expect("cleared");
        assert!(store.is_archiving(run), "a folder is not cleared");
        assert_eq!(store.in_archiving().expect("listed"), [run].into());
        store.clear_archiving(run, true).expect("cleared");
        assert!(!folder.exists() && !store.is_archiving(run));

        store.unpack_archive(run, u64::MAX).expect("an archive");
        store.publish_unpacked(run).expect("in place");
        assert_eq!(store.settle().expect("looked"), Vec::<PathBuf>::new(), "read-only");
        assert_eq!(verdict(&folder), [""; 0]);
        store.remove_archive(run).expect("removed");
        store.remove_archive(run).expect("already");
        assert_eq!(store.write_archive(run).expect("again"), first, "as it was");
        store.mark_archiving(run, false).expect("marked");
        store.mark_archiving(run, true).expect("marked");
        assert!(store.is_archiving(run) && store.is_restoring(run));
        store.clear_archiving(run, false).expect("cleared");
        store.clear_archiving(run, false).expect("already");
        assert!(!store.is_archiving(run) && !store.is_restoring(run));
        assert_eq!(store.in_archiving().expect("listed"), [].into());
        assert_eq!(store.begun_archive(run).expect("read"), None, "what was begun is cleared");
    }
}
