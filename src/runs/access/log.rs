//! Owns the access log: who reads evidence, takes it away or decides what is kept is on disk before
//! anybody is answered, and the store's log holds the head.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::accessor::Accessor;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{Act, Custody, NewAccessEvent, StoreError};
use crate::id::RunId;
use crate::runs::context::Context;
use crate::runs::problem::store_problem;
use crate::spans;
use crate::tasks::Tasks;

/// How long an event waits at most until the log holds it, in one way or another.
const ATTEST: Duration = Duration::from_secs(60);

/// The store's access log, and how far the store's log covers it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AccessLog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    custody: Custody,
    /// Events that the log holds, by its last word.
    attested: AtomicU64,
}

impl AccessLog {
    /// Go on with the access log of the store, of which the log holds `stated` events.
    ///
    /// # Errors
    /// `log_damaged` when it cannot be continued; what else the store says.
    pub(in crate::runs) fn open(context: Arc<Context>, stated: u64) -> Result<Self, Problem> {
        let custody = continued(context.root(), stated)?;
        let attested = AtomicU64::new(stated.min(custody.head().count));
        Ok(Self(Arc::new(Inner { context, custody, attested })))
    }

    /// Record `event`; what it tells of must not happen otherwise.
    pub(in crate::runs) fn record(&self, event: NewAccessEvent) -> Result<(), Problem> {
        let at = self.0.context.clock.now();
        self.0.custody.record(event, at).map_err(|error| {
            tracing::error!(error = chain(&error), "custody cannot be put down");
            let message = "who looks at evidence cannot be put down, so nothing is shown or done; \
                           ask the operator to check `custody/` in the store";
            Problem::new(Code::CustodyUnwritable, message).because(error)
        })
    }

    /// Append `entries` to the log with the head of the access log, which tells of them: the index
    /// of the first.
    pub(in crate::runs) fn append_with_head(
        &self,
        mut entries: Vec<Vec<u8>>,
    ) -> Result<u64, Problem> {
        let head = self.0.custody.head();
        entries.push(leaf::custody(head.count, head.sha256, self.0.context.clock.now()));
        let first = self.0.context.log.append_all(entries).map_err(store_problem)?;
        self.0.attested.fetch_max(head.count, Ordering::SeqCst);
        Ok(first)
    }

    /// Record that `accessor` takes `runs` away as a file, and say so in the log.
    pub(in crate::runs) fn export(
        &self,
        accessor: &Accessor,
        runs: &[RunId],
        sha256: crate::digest::Digest,
    ) -> Result<(), Problem> {
        self.record(accessor.event(Act::Export, runs.to_vec(), json!({ "sha256": sha256 })))?;
        let by = &accessor.caller;
        let entry = leaf::export(runs, sha256, by, self.0.context.clock.now());
        self.append_with_head(vec![entry]).map(drop)
    }

    /// Append the head of the access log to the log, where it is not there yet.
    pub(in crate::runs) fn attest(&self) -> Result<(), Problem> {
        let head = self.0.custody.head();
        if self.0.attested.load(Ordering::SeqCst) >= head.count {
            return Ok(());
        }
        let entry = leaf::custody(head.count, head.sha256, self.0.context.clock.now());
        self.0.context.log.append(entry).map_err(store_problem)?;
        self.0.attested.fetch_max(head.count, Ordering::SeqCst);
        Ok(())
    }

    /// Append what a start found of the access log to the log, before anybody is served: lines that the
    /// log did not hold are counted, because whoever has the files can have written them.
    pub(in crate::runs) fn attest_found(&self) -> Result<(), Problem> {
        let (head, stated) = (self.0.custody.head(), self.0.attested.load(Ordering::SeqCst));
        let Some(unlogged) = head.count.checked_sub(stated).filter(|count| *count > 0) else {
            return Ok(());
        };
        tracing::warn!(unlogged, "lines of custody were found that the log did not hold");
        let at = self.0.context.clock.now();
        let entry = leaf::custody_found(head.count, head.sha256, unlogged, at);
        self.0.context.log.append(entry).map_err(store_problem)?;
        self.0.attested.fetch_max(head.count, Ordering::SeqCst);
        Ok(())
    }

    /// [`AccessLog::attest`], off the async threads; a failure is logged, and the next call tries again.
    pub(in crate::runs) async fn attest_soon(&self) {
        let this = self.clone();
        let done = self.0.context.blocking("writing to the log", move || this.attest()).await;
        if let Err(error) = done {
            tracing::error!(error = chain(&error), "the log does not hold the head of custody");
        }
    }

    /// Attest again and again until `tasks` are to stop.
    pub async fn keep_attested(self, tasks: Tasks) {
        loop {
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep(ATTEST) => self.attest_soon().await,
            }
        }
    }

    /// Record that `accessor` is shown what is known of `run`.
    ///
    /// # Errors
    /// `custody_unwritable`.
    pub async fn record_view(&self, accessor: &Accessor, run: RunId) -> Result<(), Problem> {
        let (this, accessor) = (self.clone(), accessor.clone());
        let record = move || this.record_access(&accessor, Act::View, run, None);
        self.0.context.blocking("putting down who looks", record).await
    }

    /// Record that `accessor` is given a recording of `run` that was made for them before.
    ///
    /// # Errors
    /// `custody_unwritable`.
    pub async fn record_download(&self, accessor: &Accessor, run: RunId) -> Result<(), Problem> {
        let (this, accessor) = (self.clone(), accessor.clone());
        let record = move || this.record_access(&accessor, Act::Download, run, None);
        self.0.context.blocking("putting down who looks", record).await
    }

    /// Record that `accessor` did `act` with `path` of `run`.
    pub(super) fn record_access(
        &self,
        accessor: &Accessor,
        act: Act,
        run: RunId,
        path: Option<&str>,
    ) -> Result<(), Problem> {
        let detail = path.map_or_else(|| json!({}), |path| json!({ "path": path }));
        self.record(accessor.event(act, vec![run], detail))?;
        let viewer = accessor.caller.words();
        tracing::info!(viewer, %run, act = spans::value(&act), path, "evidence was looked at");
        Ok(())
    }
}

fn continued(root: &Path, stated: u64) -> Result<Custody, Problem> {
    let custody = Custody::open(root).map_err(|error| match &error {
        StoreError::Damaged { .. } => {
            let message = format!(
                "the custody log is not continued: {error}; `exhibit verify` on the store says \
                 what is wrong; restore it, or move its newest file away, which `verify` then tells"
            );
            Problem::new(Code::LogDamaged, message)
        }
        _ => store_problem(error),
    })?;
    let count = custody.head().count;
    if count < stated {
        tracing::error!(count, stated, "events of custody are gone; `exhibit verify` tells of it");
    }
    Ok(custody)
}
