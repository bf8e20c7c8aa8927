//! Owns what the log says of the keeping of each run: holds, purges, archives and imports. A decision
//! is judged by it and added to it under one lock, so that nobody decides on what is no longer so.

use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{Code, Problem};
use crate::evidence::Deed;
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
    standing: Mutex<Standing>,
}

/// The decisions that stand, for as long as no other is made. Who wants the turn as well takes that
/// before.
#[derive(Debug)]
pub(in crate::runs) struct Decision<'a> {
    standing: MutexGuard<'a, Standing>,
    access: &'a AccessLog,
}

impl Deref for Decision<'_> {
    type Target = Standing;

    fn deref(&self) -> &Standing {
        &self.standing
    }
}

impl Drop for Decision<'_> {
    fn drop(&mut self) {
        HELD.set(false);
    }
}

impl Decision<'_> {
    /// Record `event` in the access log, append `entries` to the log and take over what they say; the
    /// index of the first.
    pub(in crate::runs) fn record(
        &mut self,
        event: Deed,
        entries: Vec<Vec<u8>>,
    ) -> Result<u64, Problem> {
        let leaves: Vec<_> = entries.iter().filter_map(|entry| Leaf::parse(entry)).collect();
        self.access.record(event)?;
        let first = self.access.append_with_head(entries)?;
        for (index, leaf) in (first..).zip(&leaves) {
            self.standing.take(index, leaf);
        }
        Ok(first)
    }
}

impl Decisions {
    pub(in crate::runs) fn new(
        context: Arc<Context>,
        access: AccessLog,
        standing: Standing,
    ) -> Self {
        Self(Arc::new(Inner { context, access, standing: Mutex::new(standing) }))
    }

    /// The decisions, to judge by and to add to.
    pub(in crate::runs) fn lock(&self) -> Decision<'_> {
        debug_assert!(!is_held_here(), "this thread would wait for its own decision");
        let standing = self.0.standing.lock().unwrap_or_else(PoisonError::into_inner);
        HELD.set(true);
        Decision { standing, access: &self.0.access }
    }

    /// Read them from the log again, which may hold an entry that was in doubt.
    pub(in crate::runs) fn read_again(&self) -> Result<(), Problem> {
        // Nobody decides between the reading and the taking over.
        let mut decision = self.lock();
        *decision.standing = Standing::of_store(self.0.context.root()).map_err(store_problem)?;
        Ok(())
    }

    /// The purge of `run`, if it was purged.
    pub fn tombstone(&self, run: RunId) -> Option<Tombstone> {
        self.lock().tombstone(run).cloned()
    }

    /// Whether `run` lies in the store as an archive that the log tells of.
    pub fn is_archived(&self, run: RunId) -> bool {
        let logged = self.lock().archive(run).is_some();
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
