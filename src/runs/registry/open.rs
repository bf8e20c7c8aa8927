//! Owns one open run in memory: its draft, its counters, the work under way on it, and who writes to
//! its files.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{RwLock, watch};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::clock::Moment;
use crate::evidence::Draft;
use crate::evidence::log::RunHead;
use crate::id::RunId;
use crate::run::Opening;
use crate::workflow::Completeness;

/// A run that is open.
#[derive(Debug)]
pub struct OpenRun {
    /// Identity of the run.
    pub id: RunId,
    /// What was known when it was opened.
    pub opening: Opening,
    /// None once it is sealed. Held over writing, signing and an authority's answer: async code and
    /// work for other runs never wait for it, and go by `snapshot`.
    pub(super) draft: Mutex<Option<Draft>>,
    /// Held for a moment at a time.
    snapshot: Mutex<RunSnapshot>,
    /// Read-held by work that will still add to the run; sealing takes it for writing, so that
    /// nothing accepted before is left out.
    pub(super) work: Arc<RwLock<()>>,
    pub(super) endings: Endings,
    pub(super) writers: Writers,
    pub(super) captures: AtomicU32,
    pub(super) recordings: AtomicU32,
    pub(super) codes: AtomicU32,
    /// Monotonic milliseconds of the opening and of the last addition.
    pub(super) opened: u64,
    pub(super) touched: AtomicU64,
    /// Events of which the log has the head.
    pub(super) fixed: AtomicU64,
}

/// An open run as it was after the last addition, for whoever must not wait for the next one.
#[derive(Debug)]
pub(super) struct RunSnapshot {
    opened_at: String,
    events: u64,
    /// None while it is sealed and afterwards.
    head: Option<RunHead>,
    completeness: Option<Completeness>,
}

impl RunSnapshot {
    pub(super) fn of(draft: &Draft) -> Self {
        Self {
            opened_at: draft.opened_at().to_owned(),
            events: draft.events(),
            head: Some(draft.head()),
            completeness: draft.completeness(),
        }
    }
}

/// Work that will still add to a run: the run is not sealed while this, or a clone, is held.
#[derive(Clone, Debug)]
pub struct Work {
    /// The run.
    pub run: Arc<OpenRun>,
    pub(in crate::runs) _guard: Arc<tokio::sync::OwnedRwLockReadGuard<()>>,
}

impl Work {
    /// The number of the next capture in this run, from 1.
    pub fn next_capture(&self) -> u32 {
        self.run.captures.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The number of the next code reference in this run, from 1.
    pub(super) fn next_code(&self) -> u32 {
        self.run.codes.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Completes when somebody wants to seal the run, which waits for this work: what would go on
    /// until it is told to end, must end now.
    pub async fn ending(&self) {
        let mut endings = self.run.endings.0.subscribe();
        // The sender lives in the run, which this work holds.
        drop(endings.wait_for(|count| *count > 0).await);
    }

    /// The number of the next recording in this run, from 1.
    pub fn next_recording(&self) -> u32 {
        self.run.recordings.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// How many want to seal a run and wait for the work under way: what would go on until it is told to
/// end, ends then.
#[derive(Debug, Default)]
pub(super) struct Endings(watch::Sender<usize>);

/// Somebody waits to seal a run.
pub(super) struct EndingGuard<'a>(&'a Endings);

impl Endings {
    /// One more, until the answer is dropped.
    pub(in crate::runs) fn want(&self) -> EndingGuard<'_> {
        self.0.send_modify(|count| *count += 1);
        EndingGuard(self)
    }
}

impl Drop for EndingGuard<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// Who writes to the files of a run that grow: by name, what is cancelled when its writer is gone.
#[derive(Debug, Default)]
pub(super) struct Writers(Mutex<HashMap<String, CancellationToken>>);

impl Writers {
    /// The writer of `name`: it is gone when the answer is dropped.
    pub(in crate::runs) fn begin(&self, name: &str) -> DropGuard {
        let writer = CancellationToken::new();
        self.lock().insert(name.to_owned(), writer.clone());
        writer.drop_guard()
    }

    /// Completes when nobody writes to `name`.
    pub(in crate::runs) async fn gone(&self, name: &str) {
        let writer = self.lock().get(name).cloned();
        if let Some(writer) = writer {
            writer.cancelled().await;
            self.lock().remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenRun {
    /// A run that was opened `at` a time, with its first event in `draft` and in the log.
    pub(super) fn new(opening: Opening, draft: Draft, at: Moment) -> Self {
        Self {
            id: opening.run,
            opening,
            snapshot: Mutex::new(RunSnapshot::of(&draft)),
            draft: Mutex::new(Some(draft)),
            work: Arc::default(),
            endings: Endings::default(),
            writers: Writers::default(),
            captures: AtomicU32::new(0),
            recordings: AtomicU32::new(0),
            codes: AtomicU32::new(0),
            opened: millis(at),
            touched: AtomicU64::new(millis(at)),
            fixed: AtomicU64::new(1),
        }
    }

    /// It is sealed before its only work is answered: the log needs no head of it.
    pub fn sealed_next(&self) {
        self.fixed.store(u64::MAX, Ordering::Release);
    }

    /// How long its workflow lets it stay open.
    pub(super) fn longest(&self) -> Option<Duration> {
        self.opening.policy.as_ref()?.max_duration_ms.map(Duration::from_millis)
    }

    /// Captures begun in it so far.
    pub(in crate::runs) fn capture_count(&self) -> u64 {
        u64::from(self.captures.load(Ordering::Relaxed))
    }

    fn snapshot(&self) -> MutexGuard<'_, RunSnapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tell of the run as `draft`, which the caller holds, is now.
    pub(super) fn tell(&self, draft: &Draft) {
        // What is not recorded changes nothing that is told.
        if self.snapshot().head.is_none_or(|head| head.events != draft.events()) {
            let told = RunSnapshot::of(draft);
            *self.snapshot() = told;
        }
    }

    /// The draft, which the caller holds, is being sealed: the log hears of the seal, and of no head.
    pub(super) fn tell_sealing(&self) {
        self.snapshot().head = None;
    }

    /// The head of its chain, as far as that is on disk; none while it is sealed and afterwards.
    pub(super) fn head(&self) -> Option<RunHead> {
        self.snapshot().head
    }

    /// What is told of it. Waits for nobody who writes to it or seals it.
    pub(in crate::runs) fn shown(&self) -> Value {
        let told = self.snapshot();
        let completeness = &told.completeness;
        json!({
            "run": self.id,
            "state": "open",
            "workflow": self.opening.spec.workflow,
            "agent": self.opening.spec.agent,
            "principal": self.opening.spec.principal,
            "subject": self.opening.spec.subject,
            "opened_at": told.opened_at,
            "events": told.events,
            "captures": self.capture_count(),
            "policy": self.opening.policy,
            "retention": self.opening.retention,
            "completeness": completeness,
            "needed": completeness.as_ref().map(|judged| judged.missing().collect::<Vec<_>>()),
        })
    }
}

pub(in crate::runs) fn lock(draft: &Mutex<Option<Draft>>) -> MutexGuard<'_, Option<Draft>> {
    draft.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(in crate::runs) fn millis(at: Moment) -> u64 {
    u64::try_from(at.monotonic.as_millis()).unwrap_or(u64::MAX)
}
