//! Owns the turn: one purge, archiving, restoring, import or locking at a time. It is taken before
//! every other lock of the retention.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::decisions::is_held_here;

/// Gives out the turn.
#[derive(Debug, Default)]
pub(in crate::runs) struct Turns(Mutex<()>);

/// The turn. What moves sealed runs asks for it, so that two of those never meet.
#[derive(Debug)]
pub(in crate::runs) struct Turn<'a> {
    _guard: MutexGuard<'a, ()>,
}

impl Turns {
    /// Wait for the turn. Whoever holds a `Decision` must not.
    pub(in crate::runs) fn take(&self) -> Turn<'_> {
        debug_assert!(!is_held_here(), "the turn is taken before a decision");
        Turn { _guard: self.0.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}
