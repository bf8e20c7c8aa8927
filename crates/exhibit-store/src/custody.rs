//! Owns the custody log of a store: who looked at evidence, took it away, or decided what is kept. One
//! chain of lines over files by month, `custody/2026-11.jsonl`; an event is on disk when its caller
//! hears of it, and those who wait together share one synchronisation. Its head goes into the log of
//! the store, so that a line that is changed or gone shows. Decides nothing about who may look.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::{Map, Value};

use super::batch::{Batch, lock};
use super::error::StoreError;
use crate::clock::Moment;
use crate::digest::Digest;
use crate::disk::{self, Appending};
use crate::id::RunId;
pub use exhibit_verify::custody::*;

/// An access event before it has its place in the log.
#[derive(Clone, Debug)]
pub struct NewAccessEvent {
    /// Who.
    pub by: AccessActor,
    /// Did what.
    pub act: Act,
    /// To which runs.
    pub runs: Vec<RunId>,
    /// The particulars: `path`, `sha256`, `reason`, …
    pub detail: Map<String, Value>,
}

/// The custody log, held by this process alone (the store's lock).
#[derive(Debug)]
pub struct Custody {
    folder: PathBuf,
    batch: Batch<(Moment, NewAccessEvent), ()>,
    tail: Mutex<Tail>,
}

/// Where the next line goes.
#[derive(Debug)]
struct Tail {
    head: Head,
    /// The newest file there is.
    newest: Option<PathBuf>,
    file: Option<(PathBuf, Appending)>,
}

impl Custody {
    /// Go on with the custody log of the store at `root`. A last line that was cut short was never
    /// acknowledged, and is removed.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when its last line is none of ours; see [`StoreError`].
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let folder = root.join(CUSTODY);
        disk::make_dirs(&folder).map_err(StoreError::at(&folder))?;
        let mut head = Head { count: 0, sha256: Digest::ZERO };
        let files = files(root)?;
        for path in files.iter().rev() {
            if let Some(last) = last_line(path)? {
                let damaged = |error: serde_json::Error| StoreError::Damaged {
                    path: path.clone(),
                    what: format!("its last line is no event of custody: {error}"),
                };
                let event: CustodyEvent = serde_json::from_slice(&last).map_err(damaged)?;
                head = Head { count: event.sequence, sha256: Digest::of(&last) };
                break;
            }
        }
        let newest = files.last().cloned();
        let tail = Mutex::new(Tail { head, newest, file: None });
        Ok(Self { folder, batch: Batch::default(), tail })
    }

    /// How far it goes.
    pub fn head(&self) -> Head {
        lock(&self.tail).head
    }

    /// Put `event` down. It is on disk when this returns.
    ///
    /// # Errors
    /// See [`StoreError`]; then it does not stand there, and what it tells of must not be done.
    pub fn record(&self, event: NewAccessEvent, at: Moment) -> Result<(), StoreError> {
        let commit = |tail: &mut Tail, events: Vec<(Moment, NewAccessEvent)>| {
            tail.write(&self.folder, events)
        };
        self.batch.write((at, event), &self.tail, commit, |(), _| ())
    }
}

impl Tail {
    /// Write all `events`, each in the file of its month, or none of those of a month.
    fn write(
        &mut self,
        folder: &Path,
        events: Vec<(Moment, NewAccessEvent)>,
    ) -> Result<(), StoreError> {
        let (mut head, mut bytes) = (self.head, Vec::new());
        // All of them go where the last one belongs: a month begins once.
        let Some((last, _)) = events.last() else { return Ok(()) };
        let path = self.path_for(folder, &last.to_rfc3339());
        for (at, new) in events {
            let event = CustodyEvent {
                sequence: head.count.saturating_add(1),
                time: at.to_rfc3339(),
                by: new.by,
                act: new.act,
                runs: new.runs,
                detail: new.detail,
                previous: head.sha256,
            };
            let line = serde_json::to_vec(&event).expect("an event is plain data");
            head = Head { count: event.sequence, sha256: Digest::of(&line) };
            bytes.extend_from_slice(&line);
            bytes.push(b'\n');
        }
        if self.file.as_ref().is_none_or(|(open, _)| *open != path) {
            let file = Appending::open(&path).map_err(StoreError::at(&path))?;
            self.file = Some((path.clone(), file));
        }
        let (_, file) = self.file.as_mut().expect("just opened");
        // Where this fails, the file is as it was, or takes nothing more until the next start.
        file.append(&bytes).map_err(StoreError::at(&path))?;
        self.head = head;
        self.newest = Some(path);
        Ok(())
    }

    /// The file for an event at `time`; a clock that was set back goes on with the newest.
    fn path_for(&self, folder: &Path, time: &str) -> PathBuf {
        let path = folder.join(format!("{}.jsonl", &time[..7]));
        match &self.newest {
            Some(newest) if *newest > path => newest.clone(),
            _ => path,
        }
    }
}

/// The last whole line of the file at `path`; what stands after it is removed.
fn last_line(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let at = |error| StoreError::new(path, error);
    let mut file = BufReader::new(File::open(path).map_err(at)?);
    let (mut last, mut length) = (None, 0);
    loop {
        let mut line = Vec::new();
        let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(at)?;
        if line.last() != Some(&b'\n') {
            if read as u64 == MAX_LINE {
                let what = format!("a line of it is longer than {MAX_LINE} bytes");
                return Err(StoreError::Damaged { path: path.to_owned(), what });
            }
            if read > 0 {
                disk::truncate(path, length).map_err(at)?;
            }
            return Ok(last);
        }
        length += read as u64;
        line.pop();
        last = Some(line);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;
    use crate::run::Caller;

    fn event(path: &str) -> NewAccessEvent {
        let caller = Caller::Socket { uid: 7, gid: 7, pid: Some(1) };
        let detail = Map::from_iter([("path".to_owned(), path.into())]);
        let by = AccessActor { caller, session: true };
        NewAccessEvent { by, act: Act::Download, runs: Vec::new(), detail }
    }

    fn all(root: &Path) -> Vec<(String, CustodyEvent, Digest)> {
        let mut found = Vec::new();
        lines(root, |path, _, line, whole| {
            assert!(whole);
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let event = serde_json::from_slice(line).expect("an event");
            found.push((name, event, Digest::of(line)));
            false
        })
        .expect("readable");
        found
    }

    #[test]
    fn events_are_one_chain_over_months_and_lives() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-30T23:59:59Z".parse().expect("a time"));
        let custody = Custody::open(folder.path()).expect("begun");
        custody.record(event("one"), clock.now()).expect("recorded");
        clock.advance(Duration::from_secs(2));
        custody.record(event("two"), clock.now()).expect("recorded");
        // A clock that is set back does not begin an older month again.
        clock.set_wall("2026-11-01T00:00:00Z".parse().expect("a time"));
        custody.record(event("three"), clock.now()).expect("recorded");
        let head = custody.head();
        drop(custody);
        let custody = Custody::open(folder.path()).expect("gone on with");
        assert_eq!(custody.head(), head);
        clock.set_wall("2026-10-02T00:00:00Z".parse().expect("a time"));
        custody.record(event("four"), clock.now()).expect("recorded");

        let events = all(folder.path());
        let names: Vec<&str> = events.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["2026-11.jsonl", "2026-12.jsonl", "2026-12.jsonl", "2026-12.jsonl"]);
        let mut previous = Digest::ZERO;
        for ((_, event, digest), sequence) in events.iter().zip(1..) {
            assert_eq!((event.sequence, event.previous), (sequence, previous));
            previous = *digest;
        }
        assert_eq!(custody.head(), Head { count: 4, sha256: previous });
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test tears a line")]
    fn a_line_cut_short_is_removed_and_one_of_another_kind_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-30T10:00:00Z".parse().expect("a time"));
        let custody = Custody::open(folder.path()).expect("begun");
        custody.record(event("one"), clock.now()).expect("recorded");
        let (head, path) = (custody.head(), folder.path().join("custody/2026-11.jsonl"));
        drop(custody);
        let whole = std::fs::read(&path).expect("there");
        std::fs::write(&path, [whole.as_slice(), b"{\"sequence\":2,"].concat()).expect("ours");
        let custody = Custody::open(folder.path()).expect("gone on with");
        assert_eq!((custody.head(), std::fs::read(&path).expect("there")), (head, whole.clone()));
        drop(custody);
        std::fs::write(&path, [whole.as_slice(), b"{}\n"].concat()).expect("ours");
        let error = Custody::open(folder.path()).expect_err("refused");
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    }

    #[test]
    fn many_at_once_lose_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-30T10:00:00Z".parse().expect("a time"));
        let custody = Custody::open(folder.path()).expect("begun");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        custody.record(event("x"), clock.now()).expect("recorded");
                    }
                });
            }
        });
        assert_eq!((all(folder.path()).len(), custody.head().count), (160, 160));
    }
}
