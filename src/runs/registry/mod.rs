//! Owns the open runs: who may act on which, one writer at a time for each, their quotas, what is
//! added to them and how they end.

pub(super) mod adding;
mod code;
pub(super) mod ending;
mod heads;
pub(super) mod open;
mod redaction;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;

use self::open::{OpenRun, Work, lock, millis};
use super::context::Context;
use super::counts::Counts;
use super::problem::{not_to_see, sealed, store_problem};
use super::provenance::{host_name, provenance};
use super::retention::decisions::Decisions;
use super::room::Room;
use crate::clock::Moment;
use crate::error::{Code, Problem};
use crate::evidence::Draft;
use crate::id::RunId;
use crate::quotas::{Quota, Share, Shares};
use crate::run::{Caller, Opening, Reader, RunSpec};

/// The open runs of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    room: Arc<Room>,
    decisions: Decisions,
    counts: Counts,
    host: String,
    open: Mutex<HashMap<RunId, Arc<OpenRun>>>,
    /// Runs that are being opened.
    opening: Shares,
    /// A run was opened.
    opened: Notify,
    /// An event was recorded of which the log does not hold the head.
    grown: Notify,
}

impl Registry {
    pub(super) fn new(
        context: Arc<Context>,
        room: Arc<Room>,
        decisions: Decisions,
        counts: Counts,
    ) -> Self {
        Self(Arc::new(Inner {
            context,
            room,
            decisions,
            counts,
            host: host_name(),
            open: Mutex::default(),
            opening: Shares::default(),
            opened: Notify::new(),
            grown: Notify::new(),
        }))
    }

    /// Number of open runs.
    pub(super) fn len(&self) -> usize {
        self.map().len()
    }

    /// The run `id`, while it is open.
    pub(super) fn get(&self, id: RunId) -> Option<Arc<OpenRun>> {
        self.map().get(&id).cloned()
    }

    /// Whether the run `id` is open.
    pub(super) fn contains(&self, id: RunId) -> bool {
        self.map().contains_key(&id)
    }

    /// All runs that are open now. The registry's lock is released: a run's own is taken without it.
    pub(super) fn all(&self) -> Vec<Arc<OpenRun>> {
        self.map().values().cloned().collect()
    }

    /// Take a run off that is sealed now.
    fn remove(&self, id: RunId) {
        self.map().remove(&id);
    }

    /// Completes when a run was opened.
    async fn one_opened(&self) {
        self.0.opened.notified().await;
    }

    /// The lock is held for one look or change, and no other is taken meanwhile but that of `opening`.
    fn map(&self) -> MutexGuard<'_, HashMap<RunId, Arc<OpenRun>>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Open a run. Its beginning is on disk when this returns.
    ///
    /// # Errors
    /// `too_many_runs`, `store_full`, or what else the store says.
    pub async fn begin(
        &self,
        spec: RunSpec,
        caller: Caller,
        browser: Value,
    ) -> Result<Arc<OpenRun>, Problem> {
        self.0.room.check()?;
        let place = self.reserve(&caller)?;
        let at = self.0.context.clock.now();
        let config = Arc::clone(&self.0.context.config.borrow());
        let policy = config.workflows.get(&spec.workflow).cloned();
        let this = self.clone();
        self.0
            .context
            .blocking("opening the run", move || {
                let (spec, redacted) = this.spec_without_secrets(spec)?;
                let opening = Opening {
                    run: RunId::new(at),
                    retention: Some(config.retention.promise(policy.as_ref())),
                    policy,
                    spec,
                    caller,
                    host: this.0.host.clone(),
                    exhibit: env!("CARGO_PKG_VERSION").to_owned(),
                    redacted,
                };
                let provenance = provenance(&opening, browser);
                let draft =
                    this.0.context.store.begin(&opening, &provenance, at).map_err(store_problem)?;
                let run = Arc::new(OpenRun::new(opening, draft, at));
                this.map().insert(run.id, Arc::clone(&run));
                drop(place);
                this.0.counts.opened();
                this.0.opened.notify_one();
                Ok(run)
            })
            .await
    }

    /// A place among the open runs, of all callers and of `caller`, held until the run has it.
    fn reserve(&self, caller: &Caller) -> Result<Share, Problem> {
        let (most, own) = {
            let config = self.0.context.config.borrow();
            (config.runs.max_open, config.quotas.open_runs)
        };
        let open = self.map();
        if open.len() + self.0.opening.held() >= most {
            let message =
                format!("{most} runs are open, which is `runs.max_open`; seal some first");
            return Err(Problem::new(Code::TooManyRuns, message));
        }
        let mine = open.values().filter(|run| caller.may_act_on(&run.opening.caller)).count();
        self.0.opening.take(caller, Quota::OpenRuns, own, mine)
    }

    /// The open run `id`, as answers show it, and who opened it.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `run_purged`, `not_your_run`.
    pub fn shown(&self, id: RunId, reader: &Reader) -> Result<(Value, Caller), Problem> {
        let run = self.find_any(id)?;
        let opener = run.opening.caller.clone();
        if reader.may_read(&opener) { Ok((run.shown(), opener)) } else { Err(not_to_see(id)) }
    }

    /// The workflow of the open run `id`.
    pub fn workflow_of(&self, id: RunId) -> Option<String> {
        self.get(id).map(|run| run.opening.spec.workflow.clone())
    }

    /// The open run `id`, for `caller` to add to; it is not sealed while the answer is held.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `not_your_run`.
    pub async fn work(&self, id: RunId, caller: &Caller) -> Result<Work, Problem> {
        self.0.room.check()?;
        let run = self.find(id, caller)?;
        let guard = Arc::clone(&run.work).read_owned().await;
        // Nobody seals it while the guard is held.
        if run.head().is_none() {
            return Err(sealed(id));
        }
        Ok(Work { run, _guard: Arc::new(guard) })
    }

    /// Whether `caller` may act on the open run `id`. Waits for nothing.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `not_your_run`.
    pub fn may_act_on(&self, id: RunId, caller: &Caller) -> Result<(), Problem> {
        self.find(id, caller).map(drop)
    }

    /// The open run `id`, whoever opened it.
    fn find_any(&self, id: RunId) -> Result<Arc<OpenRun>, Problem> {
        self.get(id).ok_or_else(|| {
            if self.0.context.store.folder_of(id).exists() || self.0.decisions.is_archived(id) {
                sealed(id)
            } else {
                self.0.decisions.gone(id)
            }
        })
    }

    fn find(&self, id: RunId, caller: &Caller) -> Result<Arc<OpenRun>, Problem> {
        let run = self.find_any(id)?;
        if !caller.may_act_on(&run.opening.caller) {
            let message = format!("the run {id} was opened by another caller; use one of your own");
            return Err(Problem::new(Code::NotYourRun, message));
        }
        Ok(run)
    }

    async fn with_draft<T: Send + 'static>(
        &self,
        work: &Work,
        what: &'static str,
        act: impl FnOnce(&mut Draft, Moment) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        self.with_prepared(work, what, || Ok(()), |draft, at, ()| act(draft, at)).await
    }

    /// Have what `prepare` made, while nobody waits, added to the draft.
    async fn with_prepared<P, T: Send + 'static>(
        &self,
        work: &Work,
        what: &'static str,
        prepare: impl FnOnce() -> Result<P, Problem> + Send + 'static,
        act: impl FnOnce(&mut Draft, Moment, P) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (run, clock) = (Arc::clone(&work.run), self.0.context.clock.clone());
        self.0
            .context
            .blocking(what, move || {
                let prepared = prepare()?;
                let mut draft = lock(&run.draft);
                // One whose seal is in the log is not changed any more, though it may not be moved yet.
                let draft = draft.as_mut().filter(|draft| !draft.is_bound());
                let draft = draft.ok_or_else(|| sealed(run.id))?;
                let at = clock.now();
                run.touched.store(millis(at), Ordering::Relaxed);
                let done = act(draft, at, prepared);
                run.tell(draft);
                done
            })
            .await
    }
}
