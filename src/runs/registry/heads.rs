//! Owns what the log hears of open runs: the heads of their chains, with each capture and each
//! heartbeat. Whoever shortens or changes an open run while the daemon is down is found out by them.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Registry;
use super::open::{OpenRun, Work};
use crate::error::{Problem, chain};
use crate::evidence::log::RunHead;
use crate::runs::problem::store_problem;
use crate::tasks::Tasks;

/// How long what was recorded waits for its head to be put into the log.
const PAUSE: Duration = Duration::from_millis(500);

impl Registry {
    /// Put the head of the run's chain into the log: what was recorded so far cannot be taken back
    /// unseen when this returns. Those who ask at the same time share a commit. A log that cannot be
    /// written keeps nobody from his answer: what he is told is in the run, and the log hears of it with
    /// the next head or the seal.
    pub(super) async fn fix_head(&self, work: &Work) {
        self.fix(vec![Arc::clone(&work.run)]).await;
    }

    /// The same of all open runs that have grown since the log heard of them.
    pub(in crate::runs) async fn fix_all_heads(&self) {
        let runs = self.all();
        self.fix(runs).await;
    }

    /// Put the heads of runs that grow into the log, soon after they did, until `tasks` are to stop.
    pub async fn keep_heads(self, tasks: Tasks) {
        loop {
            tokio::select! {
                () = tasks.stopping() => return,
                () = self.0.grown.notified() => {}
            }
            // Those that grow meanwhile share the entry.
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep(PAUSE) => {}
            }
            self.fix_all_heads().await;
        }
    }

    async fn fix(&self, runs: Vec<Arc<OpenRun>>) {
        if runs.iter().all(|run| run.fixed.load(Ordering::Acquire) == u64::MAX) {
            return;
        }
        let this = self.clone();
        let done = self.0.context.blocking("writing to the log", move || this.fix_heads(&runs));
        if let Err(error) = done.await {
            tracing::error!(error = chain(&error), "the log does not say how far open runs are");
        }
    }

    fn fix_heads(&self, runs: &[Arc<OpenRun>]) -> Result<(), Problem> {
        let grown = |run: &Arc<OpenRun>| {
            // A draft that somebody writes to or seals is not waited for: who wrote asks again.
            let head = run.head()?;
            (head.events > run.fixed.load(Ordering::Acquire)).then(|| (Arc::clone(run), head))
        };
        let grown: Vec<(Arc<OpenRun>, RunHead)> = runs.iter().filter_map(grown).collect();
        let heads: Vec<RunHead> = grown.iter().map(|(_, head)| *head).collect();
        for entry in RunHead::entries(&heads, self.0.context.clock.now()) {
            self.0.context.log.append(entry).map_err(store_problem)?;
        }
        for (run, head) in grown {
            run.fixed.fetch_max(head.events, Ordering::AcqRel);
        }
        Ok(())
    }
}
