//! Owns the sharing of a commit: many who write at once wait for one synchronisation of the disk.
//! Whoever comes first writes for all who wait. Knows nothing of what is written.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::StoreError;

/// Things on their way, by ticket, and what became of them.
#[derive(Debug)]
pub(super) struct Batch<T, R> {
    queue: Mutex<Queue<T, R>>,
}

#[derive(Debug)]
struct Queue<T, R> {
    last: u64,
    waiting: Vec<(u64, T)>,
    done: HashMap<u64, Result<R, StoreError>>,
}

impl<T, R> Default for Batch<T, R> {
    fn default() -> Self {
        let queue = Queue { last: 0, waiting: Vec::new(), done: HashMap::new() };
        Self { queue: Mutex::new(queue) }
    }
}

impl<T, R> Batch<T, R> {
    /// Have `thing` written by `commit`, which is given the `writer` and all that wait, in their
    /// order; `share` makes of what it answers, and of the place among them from 0, what became of
    /// each.
    ///
    /// # Errors
    /// What `commit` says: the same of all that it was given.
    pub(super) fn write<W, C>(
        &self,
        thing: T,
        writer: &Mutex<W>,
        commit: impl FnOnce(&mut W, Vec<T>) -> Result<C, StoreError>,
        share: impl Fn(&C, u64) -> R,
    ) -> Result<R, StoreError> {
        let ticket = {
            let mut queue = lock(&self.queue);
            queue.last += 1;
            let ticket = queue.last;
            queue.waiting.push((ticket, thing));
            ticket
        };
        let mut writer = lock(writer);
        let taken = lock(&self.queue).done.remove(&ticket);
        if let Some(done) = taken {
            return done;
        }
        let (tickets, things): (Vec<u64>, Vec<T>) =
            std::mem::take(&mut lock(&self.queue).waiting).into_iter().unzip();
        let outcome = commit(&mut writer, things);
        // While the writer is held: whoever gets it next must find what became of its own.
        let mut queue = lock(&self.queue);
        for (ticket, place) in tickets.into_iter().zip(0..) {
            let done = outcome.as_ref().map(|done| share(done, place));
            queue.done.insert(ticket, done.map_err(StoreError::again));
        }
        queue.done.remove(&ticket).expect("one's own thing is among those that waited")
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
