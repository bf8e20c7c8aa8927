//! Owns the end of a start that takes long (one that reads a large file of an open run, say): it hears of
//! a signal, and is given up where it does not come to its end soon. A crash may end it as well, so
//! nothing is lost by that.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::error::Problem;

/// How long a start that nobody wants any more may take to come to its end.
const PATIENCE: Duration = Duration::from_secs(3);

/// What came of a start.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Started<T> {
    /// It is done.
    Wanted(T),
    /// It is done, and meanwhile was told to end.
    Unwanted(T),
    /// It was told to end, and is at work still.
    GivenUp,
}

/// Wait until `starting` is done, or for a moment after `told`.
///
/// # Errors
/// That it came to no end of its own.
pub(super) async fn until_told<T>(
    mut starting: JoinHandle<T>,
    told: impl Future<Output = ()>,
) -> Result<Started<T>, Problem> {
    let broken = |error| Problem::internal("starting", error);
    tokio::select! {
        started = &mut starting => return started.map(Started::Wanted).map_err(broken),
        () = told => {}
    }
    match tokio::time::timeout(PATIENCE, starting).await {
        Ok(started) => started.map(Started::Unwanted).map_err(broken),
        Err(_) => {
            tracing::warn!("stopping before the start was done; the next one goes on with it");
            Ok(Started::GivenUp)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::tasks::Tasks;

    #[test]
    fn a_start_that_is_at_work_keeps_no_process_that_is_told_to_end() {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (working, is_working) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        // As a start that hashes a file does, it holds a thread and looks at nothing else.
        let start = async move {
            working.send(()).expect("awaited");
            let _ = released.recv();
        };
        let ended = runtime.block_on(async {
            let starting = Tasks::new().spawn(start);
            let told = async { tokio::task::yield_now().await };
            until_told(starting, told).await
        });
        is_working.recv().expect("it began");
        assert_eq!(ended.expect("given up"), Started::GivenUp);
        runtime.shutdown_timeout(Duration::from_millis(10));
        drop(release);
    }

    #[tokio::test]
    async fn a_start_that_is_done_in_time_is_ended_in_order() {
        let never = std::future::pending();
        let done = until_told(Tasks::new().spawn(async { 1 }), never).await;
        assert_eq!(done.expect("done"), Started::Wanted(1));
        let (go, going) = tokio::sync::oneshot::channel();
        let told = async move { go.send(()).expect("awaited") };
        let starting = Tasks::new().spawn(async move {
            going.await.expect("told");
            2
        });
        assert_eq!(until_told(starting, told).await.expect("done"), Started::Unwanted(2));
    }
}
