//! Owns the waiting of captures for their turn: how many may wait, how long, and for whom. What waits
//! for a caller who has hung up is not begun; what is under way is finished.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::slots::Slot;
use super::{Captures, Refused, Shared};
use crate::error::{Code, Problem};
use crate::quotas::{Quota, Share};
use crate::run::Caller;
use crate::runs::Work;
use crate::spans;

/// Cancelled when the caller has hung up.
pub(super) type Gone = CancellationToken;

/// A place in the queue, and when the capture must be there.
pub(super) struct QueueTicket {
    waiting: Option<Waiting>,
    pub(super) deadline: Instant,
    pub(super) gone: Gone,
    /// Held until the capture is done.
    _share: Share,
}

/// A place among the captures that wait; given back when dropped.
struct Waiting(Arc<Shared>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Captures {
    /// Do `work`, which is asked for at `endpoint` and called `what` when it breaks. It goes on when its
    /// caller hangs up, and is told of that.
    ///
    /// # Errors
    /// Those of the work.
    pub(super) async fn detached<T, F>(
        &self,
        what: &'static str,
        endpoint: &'static str,
        work: impl FnOnce(Gone) -> F,
    ) -> Result<T, Box<Refused>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Box<Refused>>> + Send + 'static,
    {
        let gone = Gone::new();
        // Dropped with the caller's request.
        let present = gone.clone().drop_guard();
        let done = self.0.tasks.spawn_in(spans::capture(endpoint), work(gone)).await;
        // The caller has its answer: what comes now was not hung up.
        drop(present.disarm());
        done.map_err(|error| Box::new(Problem::internal(what, error).into()))?
    }

    /// Take a place among those that wait, for `caller`, who may hang up.
    pub(super) fn queue(&self, caller: &Caller, gone: &Gone) -> Result<QueueTicket, Problem> {
        let (limits, most) = {
            let config = self.0.config.borrow();
            (config.capture.clone(), config.quotas.requests)
        };
        let share = self.0.shares.take(caller, Quota::Requests, most, 0)?;
        let deadline = Instant::now() + limits.deadline;
        let waiting = Some(Waiting(Arc::clone(&self.0)));
        let place = QueueTicket { waiting, deadline, gone: gone.clone(), _share: share };
        let before = self.0.waiting.fetch_add(1, Ordering::Relaxed);
        // Whoever finds a free slot has only not taken it yet, and does not wait.
        if before < limits.queue + self.0.slots.free() {
            return Ok(place);
        }
        let message = format!(
            "{} captures wait already, which is `capture.queue`; ask again in a moment",
            limits.queue
        );
        Err(Problem::new(Code::Busy, message))
    }

    /// Wait in `place` for the turn of the caller whose `work` it is, at most until `until`.
    ///
    /// # Errors
    /// `request_timeout`; `caller_gone` when there is nobody left to wait for.
    pub(super) async fn turn(
        &self,
        place: &mut QueueTicket,
        work: &Work,
        until: Instant,
    ) -> Result<Slot, Problem> {
        let slot = tokio::select! {
            biased;
            () = place.gone.cancelled() => Err(hung_up()),
            slot = tokio::time::timeout_at(until, self.slot(work)) => {
                slot.map_err(|_| queue_too_slow())
            }
        };
        place.waiting = None;
        slot
    }
}

/// Nobody waits for it any more.
pub(super) fn hung_up() -> Problem {
    let message = "the caller hung up while this waited, so it was not begun; ask again, and wait";
    Problem::new(Code::CallerGone, message)
}

fn queue_too_slow() -> Problem {
    let message =
        "no browser page was free within `capture.deadline`; ask again, or for less at once";
    Problem::new(Code::RequestTimeout, message)
}
