//! Owns the store: the directory tree with its open and its sealed runs, and the lock that keeps
//! other daemons out. Knows where runs are, not what is in them.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::chain::{self, Tip};
use super::draft::{Draft, RunLocation};
use super::error::StoreError;
use super::layout::{self, EVENTS, LOCK, OPEN, PROVENANCE, RUNS};
use super::log::{Log, leaf};
use super::recover::{self, Salvage};
use super::reporter::{PlainReports, Reporter};
use super::stamp::TimestampAuthority;
use super::{places, publish};
use crate::artifact::Artifact;
use crate::clock::Moment;
use crate::digest::Digest;
use crate::disk::{self, Appending, Lock, PARTIAL_SUFFIX};
use crate::id::RunId;
use crate::run::{Event, Opening, REDACTED};
use crate::workflow::Tally;

/// A store, held by this process alone.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    organization: Option<String>,
    log: Option<Arc<Log>>,
    authority: Option<Arc<dyn TimestampAuthority>>,
    reporter: Arc<dyn Reporter>,
    _locks: [Lock; 2],
}

impl Store {
    /// Open the store at `root`, making it when it does not exist, and keep other daemons out until
    /// this is dropped.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another daemon holds it; [`StoreError::Damaged`] when a link stands in
    /// a place of its own; see [`StoreError`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        places::check(root)?;
        for name in [OPEN, RUNS] {
            let folder = root.join(name);
            disk::make_dirs(&folder).map_err(StoreError::at(&folder))?;
        }
        let path = root.join(LOCK);
        let locked = |error: io::Error| match error.kind() {
            io::ErrorKind::WouldBlock => StoreError::Locked { path: path.clone() },
            _ => StoreError::new(&path, error),
        };
        // The file keeps out daemons of before; the folder those that find the file removed.
        let locks = [Lock::take_folder(root), Lock::take(&path)];
        let [folder, file] = locks;
        let locks = [folder.map_err(locked)?, file.map_err(locked)?];
        let store = Self {
            root: root.to_owned(),
            organization: None,
            log: None,
            authority: None,
            reporter: Arc::new(PlainReports),
            _locks: locks,
        };
        store.drop_unborn()?;
        Ok(store)
    }

    /// The same store, whose folders name `organization` as their source.
    #[must_use]
    pub fn with_organization(mut self, organization: Option<String>) -> Self {
        self.organization = organization;
        self
    }

    /// The same store, whose runs stand in `log`.
    #[must_use]
    pub fn with_log(mut self, log: Arc<Log>) -> Self {
        self.log = Some(log);
        self
    }

    /// The same store, whose folders' signatures are stamped by `authority` while it answers.
    #[must_use]
    pub fn with_authority(mut self, authority: Arc<dyn TimestampAuthority>) -> Self {
        self.authority = Some(authority);
        self
    }

    /// The same store, whose folders' reports are made by `reporter`; by [`PlainReports`] where nobody
    /// says who makes them.
    #[must_use]
    pub fn with_reporter(mut self, reporter: Arc<dyn Reporter>) -> Self {
        self.reporter = reporter;
        self
    }

    /// Whether its runs stand in a log.
    pub(super) fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// Remove runs whose opening a crash cut short: nobody was told of them.
    fn drop_unborn(&self) -> Result<(), StoreError> {
        for entry in self.list(OPEN)? {
            if entry.name.to_string_lossy().ends_with(PARTIAL_SUFFIX) {
                disk::remove_dir_all(&entry.path).map_err(StoreError::at(&entry.path))?;
            }
        }
        Ok(())
    }

    fn list(&self, name: &str) -> Result<Vec<layout::FolderEntry>, StoreError> {
        let folder = self.root.join(name);
        layout::entries(&folder).map_err(StoreError::at(&folder))
    }

    /// The directory of the store.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the sealed folder of `run` is, or will be.
    pub fn folder_of(&self, run: RunId) -> PathBuf {
        self.root.join(layout::sealed_place(run))
    }

    /// Where the folder of `run` is while it is open.
    pub fn folder_of_open(&self, run: RunId) -> PathBuf {
        self.root.join(layout::open_place(run))
    }

    pub(super) fn place(&self, run: RunId) -> RunLocation {
        RunLocation {
            root: self.root.clone(),
            folder: self.root.join(layout::open_place(run)),
            organization: self.organization.clone(),
            log: self.log.clone(),
            authority: self.authority.clone(),
            reporter: Arc::clone(&self.reporter),
        }
    }

    /// Open a run: its folder, its provenance and its first event are on disk when this returns,
    /// and it stands in the log.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`] when there is such a run already; see [`StoreError`].
    pub fn begin(
        &self,
        opening: &Opening,
        provenance: &Value,
        at: Moment,
    ) -> Result<Draft, StoreError> {
        let place = self.place(opening.run);
        let sealed = self.folder_of(opening.run);
        if sealed.symlink_metadata().is_ok() {
            return Err(StoreError::NameTaken { path: sealed });
        }
        let unborn = self.root.join(format!("{}{PARTIAL_SUFFIX}", layout::open_place(opening.run)));
        disk::remove_dir_all(&unborn).map_err(StoreError::at(&unborn))?;
        let draft = prepare(&unborn, place, opening, provenance, at).and_then(|draft| {
            let folder = &draft.place.folder;
            disk::rename_new(&unborn, folder).map_err(StoreError::at(folder))?;
            Ok(draft)
        });
        if draft.is_err() {
            drop(disk::remove_dir_all(&unborn));
        }
        let open = self.root.join(OPEN);
        disk::sync_dir(&open).map_err(StoreError::at(&open))?;
        let draft = draft?;
        if let Err(error) = self.enter(&draft, at) {
            // Nobody was told of it, so it may go again; unless the log may tell of it, in which case
            // the next start seals it.
            if !matches!(error, StoreError::InDoubt { .. })
                && disk::rename_new(draft.folder(), &unborn).is_ok()
            {
                drop(disk::remove_dir_all(&unborn));
            }
            return Err(error);
        }
        Ok(draft)
    }

    /// Put the opening of `draft` into the log.
    fn enter(&self, draft: &Draft, at: Moment) -> Result<(), StoreError> {
        let Some(log) = &self.log else { return Ok(()) };
        let entry = leaf::open(&draft.opening, draft.first_event, at);
        log.append(entry).map(drop)
    }

    /// The runs that are open on disk, oldest first: after a start, those that a crash left.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn unfinished(&self) -> Result<Vec<RunId>, StoreError> {
        let entries = self.list(OPEN)?;
        let ids = entries.iter().filter_map(|entry| entry.name.to_str()?.parse().ok());
        Ok(ids.collect())
    }

    /// Take up a run that a crash left open, and that [`Store::triage`] says may be resumed; of its chain
    /// the log holds the first `logged` events ([`History::events`](super::log::History::events)). The first
    /// events recorded afterwards are preceded by one that tells of the recovery.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Damaged`] when the run's first event cannot be read;
    /// see [`StoreError`].
    pub fn resume(&self, run: RunId, logged: Option<u64>) -> Result<(Draft, Salvage), StoreError> {
        recover::resume(self.place(run), logged)
    }

    /// A run, a bundle or what is on its way to either, if the store holds any.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn first_thing(&self) -> Result<Option<PathBuf>, StoreError> {
        let places =
            [OPEN, layout::ARCHIVING, layout::PURGING, layout::IMPORTED, layout::QUARANTINE];
        for place in places {
            if let Some(entry) = layout::listed(&self.root.join(place))?.into_iter().next() {
                return Ok(Some(entry.path));
            }
        }
        Ok(in_days(&self.root).next().map(|entry| entry.path))
    }

    /// Finish what a crash left between the move of a sealed folder and its becoming read-only.
    /// Answers the folders that were touched.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn settle(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut touched = Vec::new();
        for folder in self.sealed() {
            let metadata = std::fs::metadata(&folder).map_err(StoreError::at(&folder))?;
            if metadata.permissions().mode() & 0o222 != 0 {
                publish::protect_top(&folder)?;
                touched.push(folder);
            }
        }
        Ok(touched)
    }

    /// The folders of the sealed runs, oldest first. What cannot be listed is left out; `verify`
    /// reports it.
    pub fn sealed(&self) -> impl Iterator<Item = PathBuf> + use<> {
        sealed_in(&self.root)
    }
}

/// The folders of the sealed runs in the store at `root`, oldest first.
pub fn sealed_in(root: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let is_run = |entry: &layout::FolderEntry| {
        entry.name.to_str().is_some_and(|name| name.parse::<RunId>().is_ok())
    };
    in_days(root).filter(move |entry| entry.kind.is_dir() && is_run(entry)).map(|entry| entry.path)
}

/// What lies in the folders of days in the store at `root`, oldest first. What cannot be listed is
/// left out.
pub(super) fn in_days(root: &Path) -> impl Iterator<Item = layout::FolderEntry> + use<> {
    days_in(root).into_iter().flat_map(|day| layout::entries(&day).unwrap_or_default())
}

/// The folders of days in the store at `root`, oldest first. What cannot be listed is left out.
pub fn days_in(root: &Path) -> Vec<PathBuf> {
    let folders = |folder: PathBuf| {
        let below = layout::entries(&folder).unwrap_or_default().into_iter();
        below.filter(|entry| entry.kind.is_dir()).map(|entry| entry.path)
    };
    folders(root.join(RUNS)).flat_map(folders).flat_map(folders).collect()
}

/// The folders of days in the store at `root`, and those above them, that cannot be listed, and why.
pub fn unlisted_in(root: &Path) -> Vec<(PathBuf, io::Error)> {
    let (mut unlisted, mut level) = (Vec::new(), vec![root.join(RUNS)]);
    for _ in 0..4 {
        let mut below = Vec::new();
        for folder in level {
            match layout::entries(&folder) {
                Ok(entries) => {
                    let folders = entries.into_iter().filter(|entry| entry.kind.is_dir());
                    below.extend(folders.map(|entry| entry.path));
                }
                Err(error) if disk::is_unreadable(&error) => unlisted.push((folder, error)),
                Err(_) => {}
            }
        }
        level = below;
    }
    unlisted
}

/// Write the beginnings of a run into `unborn`.
fn prepare(
    unborn: &Path,
    place: RunLocation,
    opening: &Opening,
    provenance: &Value,
    at: Moment,
) -> Result<Draft, StoreError> {
    let data = unborn.join("data");
    disk::make_dirs(&data).map_err(StoreError::at(&data))?;
    let mut text = serde_json::to_vec_pretty(provenance).expect("a JSON value is JSON");
    text.push(b'\n');
    let path = unborn.join(PROVENANCE);
    let sha256 = disk::write_once(&path, &text).map_err(StoreError::at(&path))?;
    let artifact = Artifact {
        path: PROVENANCE.to_owned(),
        media_type: "application/json".to_owned(),
        size_bytes: text.len() as u64,
        sha256,
    };
    let path = unborn.join(EVENTS);
    let mut draft = Draft {
        place: RunLocation { folder: unborn.to_owned(), ..place.clone() },
        opening: opening.clone(),
        opened_at: at.to_rfc3339(),
        log: Appending::open(&path).map_err(StoreError::at(&path))?,
        tip: Tip::START,
        lines: 0,
        captures: 0,
        tally: Tally::default(),
        artifacts: [(artifact.path.clone(), artifact.clone())].into(),
        growing: BTreeMap::new(),
        origin: Some(at.monotonic),
        latest: None,
        recovered: None,
        damaged: false,
        closing: None,
        first_event: Digest::ZERO,
        bound: None,
        published: None,
    };
    draft.record(&[opened(opening, &artifact)], at)?;
    draft.first_event = draft.tip.sha256;
    draft.place = place;
    Ok(draft)
}

/// The first event: the format, what is known of the run, and the provenance file.
fn opened(opening: &Opening, provenance: &Artifact) -> Event {
    let mut data = Map::from_iter([("format".to_owned(), json!(layout::FORMAT))]);
    if let Value::Object(known) = json!(opening) {
        data.extend(known);
    }
    data.extend(opening.redacted.iter().map(|told| (REDACTED.to_owned(), told.clone())));
    data.insert("provenance".to_owned(), json!(provenance));
    Event::exhibit(chain::OPENED, Value::Object(data))
}
