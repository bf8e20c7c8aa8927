//! Owns the ending of runs: by their caller, by time, when the daemon stops, or after a crash.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::json;

use super::Registry;
use super::open::{OpenRun, Work, lock, millis};
use crate::config;
use crate::error::{Problem, chain};
use crate::evidence::{FindingCode, Triage};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Caller, Ending, State};
use crate::runs::catalog::Catalog;
use crate::runs::context::Context;
use crate::runs::integrity::Integrity;
use crate::runs::integrity::guarding::GuardClient;
use crate::runs::log::signing::Signing;
use crate::runs::problem::{seal_problem, sealed, store_problem};
use crate::spans;
use crate::tasks::Tasks;

/// Brings open runs to their end. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::runs) struct Sealer(Arc<Parts>);

/// What it works with.
#[derive(Debug)]
pub(in crate::runs) struct Parts {
    pub(in crate::runs) context: Arc<Context>,
    pub(in crate::runs) signing: Signing,
    pub(in crate::runs) registry: Registry,
    pub(in crate::runs) integrity: Integrity,
    pub(in crate::runs) catalog: Catalog,
    pub(in crate::runs) guard: GuardClient,
}

impl Sealer {
    pub(in crate::runs) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Bring the runs to their end that an earlier life of the daemon left in `open/`: what the log
    /// tells of each decides how.
    pub(in crate::runs) fn recover(&self) -> Result<(), Problem> {
        let unfinished = self.0.context.store.unfinished().map_err(store_problem)?;
        let histories = self.0.context.log.histories(&unfinished).map_err(store_problem)?;
        for id in unfinished {
            let history = histories.get(&id).cloned().unwrap_or_default();
            let triage = self.0.context.store.triage(id, &history);
            let done = triage.map_err(store_problem).and_then(|triage| match triage {
                Triage::Resume => self.resume(id, history.events()),
                Triage::Publish(index) => self.publish_sealed(id, index),
                Triage::Discard => self.0.context.store.discard(id).map_err(store_problem),
                Triage::Quarantine(code) => self.quarantine(id, code),
            });
            if let Err(error) = done {
                tracing::error!(run = %id, error = chain(&error), "an open run is not brought to its end; it stays where it is");
            }
        }
        Ok(())
    }

    /// Seal a run that a crash left open.
    fn resume(&self, id: RunId, logged: Option<u64>) -> Result<(), Problem> {
        let (draft, salvage) = self.0.context.store.resume(id, logged).map_err(store_problem)?;
        let why = if salvage.ending.is_none() {
            "the daemon ended without sealing this run"
        } else {
            "the daemon ended while it sealed this run, and the log does not hold how it was to end"
        };
        let ending = salvage.logged_ending().unwrap_or_else(|| Ending::interrupted(why));
        let receipt =
            self.0.signing.seal_draft(draft, &ending).map_err(|error| seal_problem(&error))?;
        tracing::warn!(run = %id, state = spans::value(&receipt.state), "an unfinished run was sealed");
        self.0.catalog.index_run(receipt.run);
        Ok(())
    }

    /// Move a run to its place whose seal is in the log.
    fn publish_sealed(&self, id: RunId, index: u64) -> Result<(), Problem> {
        self.0.context.store.publish_sealed(id, index).map_err(store_problem)?;
        tracing::warn!(run = %id, "a run that was sealed was moved to its place");
        self.0.catalog.index_run(id);
        self.0.guard.lock_soon(id);
        Ok(())
    }

    /// Set aside what is not as the log tells: in the log first, then it goes.
    fn quarantine(&self, id: RunId, code: FindingCode) -> Result<(), Problem> {
        let told = json!({ "place": id, "codes": [code], "quarantined": true });
        self.0.integrity.tell_finding(&told);
        let place = self.0.context.store.quarantine(id).map_err(store_problem)?;
        self.0.integrity.quarantined(&place, code);
        tracing::error!(run = %id, place, %code, "a folder in `open/` is not what the log tells; it was set aside and is not signed");
        Ok(())
    }

    /// Seal a run, once the work under way on it is done.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `not_your_run`, or what stopped the sealing; the run is then
    /// still open.
    pub(in crate::runs) async fn seal(
        &self,
        id: RunId,
        caller: &Caller,
        ending: Ending,
    ) -> Result<Receipt, Problem> {
        let run = self.0.registry.find(id, caller)?;
        let ending = self.0.registry.ending_without_secrets(ending).await?;
        self.seal_run(run, ending).await
    }

    /// Seal a run of one, whose only work is done.
    ///
    /// # Errors
    /// What stopped the sealing.
    pub(in crate::runs) async fn seal_own(
        &self,
        work: Work,
        ending: Ending,
    ) -> Result<Receipt, Problem> {
        let run = Arc::clone(&work.run);
        drop(work);
        self.seal_run(run, ending).await
    }

    async fn seal_run(&self, run: Arc<OpenRun>, ending: Ending) -> Result<Receipt, Problem> {
        let span = spans::seal(run.id);
        // Recordings end by this, also those that begin while the others are waited for.
        let wanted = run.endings.want();
        let guard = Arc::clone(&run.work).write_owned().await;
        drop(wanted);
        let this = self.clone();
        self.0
            .context
            .blocking("sealing the run", move || {
                let (_span, _guard) = (span.entered(), guard);
                let mut place = lock(&run.draft);
                let draft = place.take().ok_or_else(|| sealed(run.id))?;
                run.tell_sealing();
                match this.0.signing.seal_draft(draft, &ending) {
                    Ok(receipt) => {
                        tracing::debug!(state = spans::value(&receipt.state), "sealed");
                        this.0.registry.remove(run.id);
                        this.0.catalog.index_run(receipt.run);
                        this.0.guard.lock_soon(receipt.run);
                        Ok(receipt)
                    }
                    Err(error) => {
                        let problem = seal_problem(&error);
                        run.tell(&error.draft);
                        *place = Some(*error.draft);
                        Err(problem)
                    }
                }
            })
            .await
    }

    /// Seal every run that outlived its time, again and again until `tasks` are to stop. A run
    /// whose work does not end keeps no other waiting.
    pub(in crate::runs) async fn expire(&self, tasks: Tasks) {
        let (mut ends, mut ending) = (FuturesUnordered::new(), HashSet::new());
        loop {
            let limits = self.0.context.config.borrow().runs.clone();
            let every = limits.idle.min(limits.max_duration) / 4;
            let runs = self.0.registry.all();
            let shortest = runs.iter().filter_map(|run| run.longest()).min();
            let every = shortest.map_or(every, |shortest| every.min(shortest / 4));
            let every = every.clamp(Duration::from_millis(100), Duration::from_secs(60));
            tokio::select! {
                Some(id) = ends.next() => {
                    ending.remove(&id);
                    continue;
                }
                () = tokio::time::sleep(every) => {}
                // One that was just opened may have less time than any before it.
                () = self.0.registry.one_opened() => {}
                () = tasks.stopping() => return,
            }
            let now = millis(self.0.context.clock.now());
            let runs = self.0.registry.all();
            for run in runs {
                let id = run.id;
                if let Some(reason) = overdue(&run, &limits, now)
                    && ending.insert(id)
                {
                    let state = State::Expired;
                    let end = self.end(run, Ending::new(state, None, Some(reason)));
                    ends.push(end.map(move |()| id));
                }
            }
        }
    }

    /// Seal every open run as interrupted: the daemon is stopping.
    pub(in crate::runs) async fn interrupt_all(&self) {
        let runs = self.0.registry.all();
        let ends = runs.into_iter().map(|run| {
            self.end(run, Ending::interrupted("the daemon was stopped before the run was sealed"))
        });
        // All at once: one whose work does not end keeps no other from its seal.
        join_all(ends).await;
    }

    async fn end(&self, run: Arc<OpenRun>, ending: Ending) {
        let (id, state) = (run.id, ending.state);
        match self.seal_run(run, ending).await {
            Ok(_) => {
                tracing::warn!(run = %id, state = spans::value(&state), "an open run was sealed by the daemon");
            }
            Err(error) => {
                tracing::error!(run = %id, error = chain(&error), "an open run cannot be sealed");
            }
        }
    }
}

/// Why the time of `run` is over at `now`, if it is.
fn overdue(run: &OpenRun, limits: &config::Runs, now: u64) -> Option<String> {
    let age = |since: u64| Duration::from_millis(now.saturating_sub(since));
    if run.longest().is_some_and(|longest| age(run.opened) >= longest) {
        let workflow = &run.opening.spec.workflow;
        return Some(format!("open for longer than `workflows.{workflow}.max_duration` allowed"));
    }
    if age(run.opened) >= limits.max_duration {
        return Some(format!(
            "open for longer than `runs.max_duration` ({:?})",
            limits.max_duration
        ));
    }
    let idle = age(run.touched.load(Ordering::Relaxed)) >= limits.idle;
    (idle && run.work.try_write().is_ok())
        .then(|| format!("nothing was added for `runs.idle` ({:?})", limits.idle))
}
