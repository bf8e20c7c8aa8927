//! Owns a run that is still open: appends its events, adds its files, and hands itself over to be
//! sealed. Everything it acknowledges is on disk. Never changes or removes what it acknowledged.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::chain::{self, Tip};
use super::error::StoreError;
use super::growing_file::Begun;
use super::layout::{self, ATTACHMENTS, EVENTS, MAX_EVENT_DEPTH, MAX_EVENT_WRITE, MAX_FILES};
use super::log::{Log, RunHead};
use super::reporter::Reporter;
use super::stamp::TimestampAuthority;
use crate::artifact::{Artifact, NewArtifact};
use crate::clock::Moment;
use crate::digest::Digest;
use crate::disk::{self, Appending, OnceFile};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Actor, Ending, Event, Opening, Recorded};
use crate::workflow::{Completeness, Tally, judge};

/// A step of the wall clock that is told, in milliseconds. Both clocks are read one right after the
/// other, and the same corrections of speed apply to both, so that less is no step.
const STEP: u64 = 250;

/// A run that is still open. One writer at a time; the store's lock keeps other daemons out.
#[derive(Debug)]
pub struct Draft {
    pub(super) place: RunLocation,
    pub(super) opening: Opening,
    pub(super) opened_at: String,
    pub(super) log: Appending,
    pub(super) tip: Tip,
    /// Lines of the chain; differs from the tip's sequence number only in a damaged chain.
    pub(super) lines: u64,
    pub(super) captures: u64,
    /// What the events tell of what the workflow requires.
    pub(super) tally: Tally,
    /// By path inside the folder; without `events.jsonl` and `run.json`.
    pub(super) artifacts: BTreeMap<String, Artifact>,
    /// The writers of files that grow and are not part of the run yet, by name below `data/`.
    pub(super) growing: BTreeMap<String, Begun>,
    /// The monotonic clock when the run was opened or taken up again.
    pub(super) origin: Option<Duration>,
    /// The time of the last event in this life of the daemon.
    pub(super) latest: Option<Moment>,
    /// The event that tells of a recovery, until it is in the chain.
    pub(super) recovered: Option<Event>,
    /// Whether recovery found the record damaged: then that damage does not hinder sealing.
    pub(super) damaged: bool,
    /// The ending and its place, when the chain ends with `run.sealed` already: a seal that failed
    /// half-way and is being tried again.
    pub(super) closing: Option<(Ending, Recorded)>,
    /// Digest of the first line of the chain.
    pub(super) first_event: Digest,
    /// What is bound by a seal that is in the log, or may be: from then on nothing is added, and the
    /// run is sealed as that or not at all.
    pub(super) bound: Option<Bound>,
    /// The receipt, once the folder has its final place.
    pub(super) published: Option<Receipt>,
}

/// What a seal in the log binds.
#[derive(Debug)]
pub(super) struct Bound {
    /// What the caller gets for it.
    pub(super) receipt: Receipt,
    /// Where it stands in the log; none while that is in doubt.
    pub(super) index: Option<u64>,
}

/// Where a run lives.
#[derive(Clone, Debug)]
pub(super) struct RunLocation {
    /// The store.
    pub(super) root: PathBuf,
    /// The folder of the run, while open.
    pub(super) folder: PathBuf,
    /// Whose evidence it is, for `bag-info.txt`.
    pub(super) organization: Option<String>,
    /// The log the run stands in.
    pub(super) log: Option<Arc<Log>>,
    /// Who is asked for a timestamp when it is sealed.
    pub(super) authority: Option<Arc<dyn TimestampAuthority>>,
    /// Who makes its report when it is sealed.
    pub(super) reporter: Arc<dyn Reporter>,
}

impl Draft {
    /// Identity of the run.
    pub fn id(&self) -> RunId {
        self.opening.run
    }

    /// What was known when the run was opened.
    pub fn opening(&self) -> &Opening {
        &self.opening
    }

    /// The folder of the run, while it is open.
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// Number of events so far.
    pub fn events(&self) -> u64 {
        self.lines
    }

    /// The head of its chain.
    pub fn head(&self) -> RunHead {
        RunHead { run: self.id(), events: self.lines, sha256: self.tip.sha256 }
    }

    /// Whether a seal of it is in the log, or may be: then nothing can be added to it any more.
    pub fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    /// When the run was opened: RFC 3339, UTC.
    pub fn opened_at(&self) -> &str {
        &self.opened_at
    }

    /// Whether it holds what its workflow requires, as far as it has come; none when nobody had
    /// configured the workflow when the run was opened.
    pub fn completeness(&self) -> Option<Completeness> {
        let Opening { spec, policy, .. } = &self.opening;
        policy.as_ref().map(|policy| judge(policy, spec, &self.tally, self.artifacts()))
    }

    /// The files so far, by path; without `events.jsonl`.
    pub fn artifacts(&self) -> impl Iterator<Item = &Artifact> {
        self.artifacts.values()
    }

    /// Append `events` to the chain, all at the time `at`. They are on disk when this returns.
    /// The first events after a recovery are preceded by the one that tells of it.
    ///
    /// # Errors
    /// See [`StoreError`]; then none of them is in the chain.
    pub fn record(&mut self, events: &[Event], at: Moment) -> Result<Vec<Recorded>, StoreError> {
        self.append(events, at, MAX_EVENT_WRITE)
    }

    /// [`Draft::record`] for events of at most `limit` bytes each.
    pub(super) fn append(
        &mut self,
        events: &[Event],
        at: Moment,
        limit: usize,
    ) -> Result<Vec<Recorded>, StoreError> {
        let preceding = self.preceding(events, at);
        let origin = self.origin.unwrap_or(at.monotonic);
        let elapsed = at.monotonic.saturating_sub(origin).as_millis();
        let (time, elapsed) = (at.to_rfc3339(), u64::try_from(elapsed).unwrap_or(u64::MAX));
        let path = self.place.folder.join(EVENTS);
        let (mut bytes, mut placed, mut tip) = (Vec::new(), Vec::new(), self.tip);
        for event in preceding.iter().chain(events) {
            if event.data.values().any(|value| is_deeper(value, MAX_EVENT_DEPTH)) {
                return Err(unfit(&format!("an event nests deeper than {MAX_EVENT_DEPTH} levels")));
            }
            let (line, recorded) = tip.place(event, &time, elapsed, at.state);
            if line.len() > limit {
                return Err(unfit(&format!("an event is longer than {limit} bytes")));
            }
            tip = Tip { sequence: recorded.sequence, sha256: recorded.sha256 };
            bytes.extend(line);
            placed.push(recorded);
        }
        self.log.append(&bytes).map_err(StoreError::at(&path))?;
        self.origin = Some(origin);
        self.latest = Some(at);
        self.tip = tip;
        self.captures += count_captures(events);
        for event in preceding.iter().chain(events) {
            self.lines += 1;
            self.tally.take(self.lines, event.actor, &event.kind, &event.data);
        }
        self.recovered = None;
        self.closing = None;
        Ok(placed.split_off(placed.len() - events.len()))
    }

    /// What must be told before `events` at the time `at`: a recovery, or that the wall clock was
    /// set since the last event.
    pub(super) fn preceding(&self, events: &[Event], at: Moment) -> Vec<Event> {
        let told = events
            .iter()
            .any(|event| event.kind == chain::RECOVERED && event.actor == Actor::Exhibit);
        let recovered = self.recovered.clone().filter(|_| !told);
        let step = self.latest.map_or(0, |latest| at.stepped_since(latest));
        let stepped = (step.unsigned_abs() >= STEP).then(|| {
            let data = json!({ "step_ms": step, "after_event": self.tip.sequence });
            Event::exhibit(chain::STEPPED, data)
        });
        recovered.into_iter().chain(stepped).collect()
    }

    /// Add `files`, all of them or none. They are on disk when this returns; the order of the
    /// answers is that of `files`.
    ///
    /// # Errors
    /// [`StoreError::UnsafeName`], [`StoreError::NameTaken`]; see [`StoreError`].
    pub fn add(&mut self, files: Vec<NewArtifact>) -> Result<Vec<Artifact>, StoreError> {
        let mut written = Vec::new();
        let mut finished = Vec::new();
        match self.write_all(files, &mut written, &mut finished) {
            Ok(artifacts) => {
                for artifact in &artifacts {
                    self.artifacts.insert(artifact.path.clone(), artifact.clone());
                }
                Ok(artifacts)
            }
            Err(error) => {
                // Nothing was acknowledged, so nothing may stay.
                written.into_iter().for_each(OnceFile::discard);
                for path in finished {
                    drop(disk::remove_file(&path));
                }
                Err(error)
            }
        }
    }

    fn write_all(
        &self,
        files: Vec<NewArtifact>,
        written: &mut Vec<OnceFile>,
        finished: &mut Vec<PathBuf>,
    ) -> Result<Vec<Artifact>, StoreError> {
        let (more, mut named, mut paths) = (files.len(), Vec::new(), Vec::new());
        for file in files {
            let path = self.claim(&file.path, more)?;
            let mut once = OnceFile::create(&path).map_err(StoreError::at(&path))?;
            let outcome = io::copy(&mut file.bytes.reader(), &mut once);
            written.push(once);
            outcome.map_err(StoreError::at(&path))?;
            paths.push(path);
            named.push((format!("data/{}", file.path), file.media_type.to_owned()));
        }
        let mut artifacts = Vec::new();
        for ((name, media_type), path) in named.into_iter().zip(&paths) {
            let once = written.remove(0);
            let (sha256, size_bytes) = once.finish().map_err(StoreError::at(path))?;
            finished.push(path.clone());
            artifacts.push(Artifact { path: name, media_type, size_bytes, sha256 });
        }
        let mut folders: Vec<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
        folders.dedup();
        for folder in folders {
            disk::sync_dir(folder).map_err(StoreError::at(folder))?;
        }
        Ok(artifacts)
    }

    /// The path of a new file that will be called `name` below `data/`; its folder exists then.
    pub(super) fn claim(&self, name: &str, more: usize) -> Result<PathBuf, StoreError> {
        if !layout::is_safe_path(name) {
            return Err(StoreError::UnsafeName { name: name.to_owned() });
        }
        let path = self.place.folder.join("data").join(name);
        // Only sealing writes the record, so that its name is free until then.
        if path == self.place.folder.join(layout::RECORD) {
            return Err(StoreError::NameTaken { path });
        }
        if self.artifacts.len() + more > MAX_FILES {
            return Err(unfit(&format!("a run has at most {MAX_FILES} files")));
        }
        let folder = path.parent().expect("a path below data/ has a parent");
        disk::make_dirs(folder).map_err(StoreError::at(folder))?;
        Ok(path)
    }

    /// Count a file that is on disk among the run's.
    pub(super) fn keep(&mut self, artifact: Artifact) {
        self.artifacts.insert(artifact.path.clone(), artifact);
    }

    /// Begin a file of the caller's, called `name` among the attachments. It is part of the run
    /// only after [`Draft::finish_attachment`]; a writer that is dropped leaves nothing behind.
    /// The run can go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::UnsafeName`], [`StoreError::NameTaken`]; see [`StoreError`].
    pub fn attachment(&mut self, name: &str) -> Result<Attachment, StoreError> {
        if name.contains('/') || !layout::is_portable_name(name) {
            return Err(StoreError::UnsafeName { name: name.to_owned() });
        }
        let name = format!("{ATTACHMENTS}/{name}");
        self.has_no_twin(&format!("data/{name}"))?;
        let path = self.claim(&name, 1).map_err(|error| match error {
            StoreError::UnsafeName { name } => {
                StoreError::UnsafeName { name: name.trim_start_matches("attachments/").to_owned() }
            }
            other => other,
        })?;
        let file = OnceFile::create(&path).map_err(StoreError::at(&path))?;
        Ok(Attachment { run: self.id(), name: format!("data/{name}"), path, file: Some(file) })
    }

    /// Refuse a name that differs from one in use by the case of its letters only: where case does not
    /// count, one file would take the place of the other.
    fn has_no_twin(&self, name: &str) -> Result<(), StoreError> {
        let twin = self.artifacts.keys().find(|other| other.eq_ignore_ascii_case(name));
        twin.map_or(Ok(()), |twin| {
            Err(StoreError::NameTaken { path: self.place.folder.join(twin) })
        })
    }

    /// Make a written attachment part of the run. It is on disk when this returns.
    ///
    /// # Errors
    /// [`StoreError::NameTaken`], when another was finished meanwhile; see [`StoreError`]. Then the
    /// attachment is gone.
    pub fn finish_attachment(
        &mut self,
        mut attachment: Attachment,
        media_type: &str,
    ) -> Result<Artifact, StoreError> {
        let path = attachment.path.clone();
        let ours = attachment.run == self.id();
        let file = attachment.file.take().filter(|_| ours);
        let file = file.ok_or_else(|| StoreError::NotFound { path: path.clone() })?;
        if let Err(error) = self.has_no_twin(&attachment.name) {
            file.discard();
            return Err(error);
        }
        let (sha256, size_bytes) = file.finish().map_err(StoreError::at(&path))?;
        let folder = path.parent().expect("an attachment lies in a folder");
        if let Err(error) = disk::sync_dir(folder) {
            drop(disk::remove_file(&path));
            return Err(StoreError::new(folder, error));
        }
        let media_type = media_type.to_owned();
        let artifact = Artifact { path: attachment.name.clone(), media_type, size_bytes, sha256 };
        self.artifacts.insert(artifact.path.clone(), artifact.clone());
        Ok(artifact)
    }
}

fn unfit(what: &str) -> StoreError {
    let what = format!("{what}; send less, attach what is long as a file, or open another run");
    StoreError::Unfit { what }
}

/// Whether `value` nests deeper than `limit` levels: what JSON readers refuse must not be written.
fn is_deeper(value: &Value, limit: usize) -> bool {
    let mut below: Box<dyn Iterator<Item = &Value>> = match value {
        Value::Array(items) => Box::new(items.iter()),
        Value::Object(map) => Box::new(map.values()),
        _ => return false,
    };
    limit == 0 || below.any(|value| is_deeper(value, limit - 1))
}

/// How many of `events` tell of a capture.
fn count_captures(events: &[Event]) -> u64 {
    let is_capture =
        |event: &&Event| event.kind == chain::CAPTURED && event.actor == Actor::Exhibit;
    events.iter().filter(is_capture).count() as u64
}

/// An attachment being written. Dropped unfinished, it leaves nothing behind.
#[derive(Debug)]
pub struct Attachment {
    run: RunId,
    name: String,
    path: PathBuf,
    file: Option<OnceFile>,
}

impl Write for Attachment {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            file.discard();
        }
    }
}
