//! Owns the starting of tasks. Work that must finish is spawned here and awaited by whoever asked,
//! so that it goes on when the asker hangs up, and so that shutting down can wait for it. Nothing
//! else may call `tokio::spawn` (clippy's `disallowed-methods` holds that).

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument as _, Span};

/// All the work under way, and the token that tells it to come to an end.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// No work yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Start work that [`Tasks::drain`] waits for.
    #[expect(clippy::disallowed_methods, reason = "the one place that may spawn")]
    pub fn spawn<F>(&self, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::spawn(self.tracker.track_future(work))
    }

    /// [`Tasks::spawn`] within `span`, by which the lines that the work puts into the log can be joined.
    pub fn spawn_in<F>(&self, span: Span, work: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(work.instrument(span))
    }

    /// Run blocking work (files, hashing) off the async threads, in the span of its asker;
    /// [`Tasks::drain`] waits for it.
    pub fn spawn_blocking<F, T>(&self, work: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let span = Span::current();
        self.tracker.spawn_blocking(move || span.in_scope(work))
    }

    /// Run work that nobody needs but whoever asks for it off the async threads, and wait for it. It
    /// looks at what it is given from time to time, and gives up when nobody waits any more: a
    /// request that was given up leaves no thread at work.
    ///
    /// # Errors
    /// When it panicked.
    pub async fn blocking<F, T>(&self, work: F) -> Result<T, JoinError>
    where
        F: FnOnce(&CancelFlag) -> T + Send + 'static,
        T: Send + 'static,
    {
        let asked = CancelFlag::default();
        let _leaving = Leaving(asked.clone());
        self.spawn_blocking(move || work(&asked)).await
    }

    /// Completes when it is time to stop.
    pub async fn stopping(&self) {
        self.stop.cancelled().await;
    }

    /// Whether it is time to stop.
    pub fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Tell everything that waits on [`Tasks::stopping`] to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Wait until all work has ended, or until `limit` has passed. True when all of it ended.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.tracker.close();
        tokio::time::timeout(limit, self.tracker.wait()).await.is_ok()
    }
}

/// Whether somebody still waits for what is being worked out.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Whether nobody does any more.
    pub fn is_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Nobody does.
    #[cfg(test)]
    pub(crate) fn over() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

struct Leaving(CancelFlag);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_given_up() {
        let tasks = Tasks::new();
        let (begun, beginning) = tokio::sync::oneshot::channel();
        let asking = tasks.blocking(move |asked: &CancelFlag| {
            begun.send(()).expect("somebody waits");
            while !asked.is_over() {
                std::thread::yield_now();
            }
        });
        tokio::select! {
            _ = asking => panic!("it ends when it is given up, and not before"),
            begun = beginning => begun.expect("it has begun"),
        }
        assert!(tasks.drain(Duration::from_secs(10)).await, "no thread is left at work");
    }

    #[tokio::test]
    async fn draining_waits_for_work_whose_asker_left() {
        let tasks = Tasks::new();
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let (done, finished) = tokio::sync::oneshot::channel::<()>();
        drop(tasks.spawn(async move {
            released.await.expect("released");
            done.send(()).expect("somebody waits");
        }));
        assert!(!tasks.drain(Duration::from_millis(1)).await, "the work is still under way");
        release.send(()).expect("the work waits");
        assert!(tasks.drain(Duration::from_secs(10)).await);
        finished.await.expect("the work finished");
    }
}
