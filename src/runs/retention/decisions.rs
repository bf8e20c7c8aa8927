//! Owns what the log says of the keeping of each run: holds, purges, archives and imports. A decision
//! is judged by it and added to it under one lock, so that nobody decides on what is no longer so.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use crate::error::{Code, Problem};
use crate::evidence::NewAccessEvent;
use crate::evidence::log::{Leaf, Standing, Tombstone};
use crate::id::RunId;
use crate::runs::access::log::AccessLog;
use crate::runs::context::Context;
use crate::runs::problem::{store_problem, unknown};

thread_local! {
    /// Whether this thread holds a decision.
    static HELD: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread holds a decision, and so must not wait for another, or for the turn.
pub(super) fn is_held_here() -> bool {
    HELD.get()
}

/// The decisions that stand. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Decisions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    access: AccessLog,
    /// Held by the one decision there is at a time, also while it is written.
    deciding: Mutex<()>,
    /// Written by the decision alone, for a moment, so that who looks waits for no disk.
    standing: RwLock<Standing>,
}

/// The decisions that stand, for as long as no other is made. Who wants the turn as well takes that
/// before.
#[derive(Debug)]
pub(in crate::runs) struct Decision<'a> {
    _turn: MutexGuard<'a, ()>,
    inner: &'a Inner,
    /// None while something is taken over.
    standing: Option<RwLockReadGuard<'a, Standing>>,
}

impl Deref for Decision<'_> {
    type Target = Standing;

    fn deref(&self) -> &Standing {
        self.standing.as_ref().expect("nothing is taken over just now")
    }
}

impl Drop for Decision<'_> {
    fn drop(&mut self) {
        HELD.set(false);
    }
}

impl Decision<'_> {
    /// Have `change` take over what is in the log.
    fn take_over(&mut self, change: impl FnOnce(&mut Standing)) {
        self.standing = None;
        change(&mut self.inner.standing.write().unwrap_or_else(PoisonError::into_inner));
        self.standing = Some(self.inner.read());
    }

    /// Record `event` in the access log, append `entries` to the log and take over what they say; the
    /// index of the first.
    pub(in crate::runs) fn record(
        &mut self,
        event: NewAccessEvent,
        entries: Vec<Vec<u8>>,
    ) -> Result<u64, Problem> {
        let leaves: Vec<_> = entries.iter().filter_map(|entry| Leaf::parse(entry)).collect();
        self.inner.access.record(event)?;
        let first = self.inner.access.append_with_head(entries)?;
        self.take_over(|standing| {
            for (index, leaf) in (first..).zip(&leaves) {
                standing.take(index, leaf);
            }
        });
        Ok(first)
    }
}

impl Inner {
    fn read(&self) -> RwLockReadGuard<'_, Standing> {
        self.standing.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Decisions {
    pub(in crate::runs) fn new(
        context: Arc<Context>,
        access: AccessLog,
        standing: Standing,
    ) -> Self {
        let (deciding, standing) = (Mutex::default(), RwLock::new(standing));
        Self(Arc::new(Inner { context, access, deciding, standing }))
    }

    /// The decisions, to judge by and to add to.
    pub(in crate::runs) fn lock(&self) -> Decision<'_> {
        debug_assert!(!is_held_here(), "this thread would wait for its own decision");
        let turn = self.0.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        HELD.set(true);
        Decision { _turn: turn, inner: &self.0, standing: Some(self.0.read()) }
    }

    /// The decisions, to look at for a moment. Waits for nobody's disk: async code goes by this.
    pub(in crate::runs) fn read(&self) -> RwLockReadGuard<'_, Standing> {
        self.0.read()
    }

    /// Read them from the log again, which may hold an entry that was in doubt.
    pub(in crate::runs) fn read_again(&self) -> Result<(), Problem> {
        // Nobody decides between the reading and the taking over.
        let mut decision = self.lock();
        let (_, at) = self.0.context.log.checkpoint();
        let read = Standing::at(self.0.context.root(), &at).map_err(store_problem)?;
        decision.take_over(|standing| *standing = read);
        Ok(())
    }

    /// The purge of `run`, if it was purged.
    pub fn tombstone(&self, run: RunId) -> Option<Tombstone> {
        self.read().tombstone(run).cloned()
    }

    /// Whether `run` lies in the store as an archive that the log tells of.
    pub fn is_archived(&self, run: RunId) -> bool {
        let logged = self.read().archive(run).is_some();
        logged && self.0.context.store.archive_of(run).is_file()
    }

    /// What is said of a run that is not there.
    pub(in crate::runs) fn gone(&self, run: RunId) -> Problem {
        let Some(tombstone) = self.tombstone(run) else { return unknown(run) };
        let message = format!(
            "the run {run} was purged at {}; entry {} of the log says so, `exhibit show` says why",
            tombstone.time, tombstone.log_index
        );
        Problem::new(Code::RunPurged, message)
    }
}
