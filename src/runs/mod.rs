//! Owns the open runs: who may act on which, one writer at a time for each, their limits, their
//! ending by caller, by time or after a crash. Everything that touches the disk is done off the
//! async threads, by work that goes on when its asker hangs up.

mod open;
mod problem;
mod provenance;
mod report;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::open::{OpenRun, Work};
use self::open::{lock, millis};
use self::problem::{seal_problem, sealed, store_problem, unknown};
use self::provenance::{host_name, provenance};
use crate::artifact::{Artifact, NewArtifact, is_safe_name};
use crate::blob::Blob;
use crate::clock::{Clock, Moment};
use crate::config::{self, Config};
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::{
    Attachment, Draft, Filter, GrowingFile, Index, RunSummary, Signer, Store, StoreError,
};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Actor, Caller, Ending, Event, Opening, Recorded, RunSpec, State};
use crate::tasks::Tasks;

/// The index, beside the evidence it is made from.
pub const INDEX: &str = "index.sqlite";

/// The open runs of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    signer: Signer,
    index: Mutex<Index>,
    open: Mutex<HashMap<RunId, Arc<OpenRun>>>,
    clock: Clock,
    tasks: Tasks,
    config: watch::Receiver<Arc<Config>>,
    host: String,
}

impl Runs {
    /// Take possession of the store: finish what a crash left, bring the index up to date.
    ///
    /// # Errors
    /// `store_locked` when another daemon has it; what else stands in the way.
    pub fn open(
        config: watch::Receiver<Arc<Config>>,
        signer: Signer,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, Problem> {
        let root = config.borrow().store.path.clone();
        let store = Store::open(&root).map_err(store_problem)?;
        store.settle().map_err(store_problem)?;
        let index = open_index(&store)?;
        let shared = Shared {
            store,
            signer,
            index: Mutex::new(index),
            open: Mutex::default(),
            clock,
            tasks,
            config,
            host: host_name(),
        };
        let runs = Self(Arc::new(shared));
        runs.recover()?;
        Ok(runs)
    }

    /// Seal the runs that an earlier life of the daemon left open.
    fn recover(&self) -> Result<(), Problem> {
        for id in self.0.store.unfinished().map_err(store_problem)? {
            let resumed = self.0.store.resume(id);
            let (draft, salvage) = match resumed {
                Ok(resumed) => resumed,
                Err(error) => {
                    tracing::error!(run = %id, error = chain(&error), "a run cannot be taken up; it stays where it is");
                    continue;
                }
            };
            let ending = salvage.ending.clone().unwrap_or_else(|| {
                Ending::interrupted("the daemon ended without sealing this run")
            });
            match draft.seal(&ending, &self.0.signer, self.0.clock.now()) {
                Ok(receipt) => {
                    tracing::warn!(run = %id, state = ?receipt.state, "an unfinished run was sealed");
                    self.index(&receipt);
                }
                Err(error) => {
                    tracing::error!(run = %id, error = chain(&error), "an unfinished run cannot be sealed; it stays open");
                }
            }
        }
        Ok(())
    }

    /// The daemon's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What `error` means for a caller.
    pub fn problem(&self, error: StoreError) -> Problem {
        store_problem(error)
    }

    /// Number of open runs.
    pub fn open_count(&self) -> usize {
        self.registry().len()
    }

    /// Folder of the store.
    pub fn root(&self) -> &Path {
        self.0.store.root()
    }

    fn registry(&self) -> MutexGuard<'_, HashMap<RunId, Arc<OpenRun>>> {
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
        self.check_room()?;
        let most = self.0.config.borrow().runs.max_open;
        if self.open_count() >= most {
            let message =
                format!("{most} runs are open, which is `runs.max_open`; seal some first");
            return Err(Problem::new(Code::TooManyRuns, message));
        }
        let at = self.0.clock.now();
        let opening = Opening {
            run: RunId::new(at),
            spec,
            caller,
            host: self.0.host.clone(),
            exhibit: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let provenance = provenance(&opening, browser);
        let this = self.clone();
        self.blocking("opening the run", move || {
            let draft = this.0.store.begin(&opening, &provenance, at).map_err(store_problem)?;
            let run = Arc::new(OpenRun {
                id: opening.run,
                opening,
                draft: Mutex::new(Some(draft)),
                work: Arc::default(),
                captures: AtomicU32::new(0),
                recordings: AtomicU32::new(0),
                opened: millis(at),
                touched: AtomicU64::new(millis(at)),
            });
            this.registry().insert(run.id, Arc::clone(&run));
            Ok(run)
        })
        .await
    }

    /// Refuse new evidence when the disk is nearly full, while there is still room to seal what
    /// is open.
    fn check_room(&self) -> Result<(), Problem> {
        let least = self.0.config.borrow().store.min_free;
        let free = disk::free_bytes(self.root())
            .map_err(|error| store_problem(StoreError::new(self.root(), error)))?;
        if free >= least {
            return Ok(());
        }
        let message = format!(
            "the store's disk has {} MiB left, less than `store.min_free` ({} MiB); free some space",
            free >> 20,
            least >> 20
        );
        Err(Problem::new(Code::StoreFull, message))
    }

    /// The workflow of the open run `id`.
    pub fn workflow_of(&self, id: RunId) -> Option<String> {
        self.registry().get(&id).map(|run| run.opening.spec.workflow.clone())
    }

    /// The open run `id`, for `caller` to add to; it is not sealed while the answer is held.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `not_your_run`.
    pub async fn work(&self, id: RunId, caller: &Caller) -> Result<Work, Problem> {
        self.check_room()?;
        let run = self.find(id, caller)?;
        let guard = Arc::clone(&run.work).read_owned().await;
        if lock(&run.draft).is_none() {
            return Err(sealed(id));
        }
        Ok(Work { run, _guard: Arc::new(guard) })
    }

    fn find(&self, id: RunId, caller: &Caller) -> Result<Arc<OpenRun>, Problem> {
        let run = self.registry().get(&id).cloned();
        let Some(run) = run else {
            return Err(if self.0.store.folder_of(id).exists() { sealed(id) } else { unknown(id) });
        };
        if !caller.may_act_on(&run.opening.caller) {
            let message = format!("the run {id} was opened by another caller; use one of your own");
            return Err(Problem::new(Code::NotYourRun, message));
        }
        Ok(run)
    }

    /// Add events to a run. They are on disk when this returns.
    ///
    /// # Errors
    /// `run_sealed`, or what the store says.
    pub async fn record(&self, work: &Work, events: Vec<Event>) -> Result<Vec<Recorded>, Problem> {
        let most = self.0.config.borrow().runs.max_events;
        self.with_draft(work, "recording events", move |draft, at| {
            let agents = events.iter().any(|event| event.actor == Actor::Agent);
            if agents && draft.events() + events.len() as u64 > most {
                let message = format!("the run would have more than {most} events, which is `runs.max_events`; open another");
                return Err(Problem::new(Code::InvalidField, message));
            }
            draft.record(&events, at).map_err(store_problem)
        })
        .await
    }

    /// Add files to a run, and the event that `tell` makes of them: both are on disk when this
    /// returns, or neither.
    ///
    /// # Errors
    /// `run_sealed`, or what the store says.
    pub async fn add(
        &self,
        work: &Work,
        files: Vec<NewArtifact>,
        tell: impl FnOnce(&[Artifact]) -> Event + Send + 'static,
    ) -> Result<(Vec<Artifact>, Recorded), Problem> {
        self.with_draft(work, "adding files", move |draft, at| {
            let artifacts = draft.add(files).map_err(store_problem)?;
            let mut recorded = draft.record(&[tell(&artifacts)], at).map_err(store_problem)?;
            Ok((artifacts, recorded.remove(0)))
        })
        .await
    }

    /// What the run's events since `begun` say, for captions: from and to, in seconds since the
    /// epoch, and what.
    ///
    /// # Errors
    /// `run_sealed`, or when the events cannot be read.
    pub async fn said_since(
        &self,
        work: &Work,
        begun: Moment,
    ) -> Result<Vec<(f64, f64, String)>, Problem> {
        self.with_draft(work, "reading the events", move |draft, _| {
            let said = draft.said_since(&begun.to_rfc3339());
            said.map_err(|error| Problem::internal("reading the events", error))
        })
        .await
    }

    /// Begin a file that grows while the run goes on.
    ///
    /// # Errors
    /// `name_taken`, or what the store says.
    pub async fn begin_growing(&self, work: &Work, name: String) -> Result<GrowingFile, Problem> {
        let head_room = self.0.config.borrow().store.min_free;
        self.with_draft(work, "beginning a recording", move |draft, _| {
            draft.begin_growing(&name, head_room).map_err(store_problem)
        })
        .await
    }

    /// Make the file `name`, which has grown, and others part of a run, and the event that `tell`
    /// makes of them, the grown one first. The grown file is handed out for reading.
    ///
    /// # Errors
    /// What the store says; the grown file then stays as it is.
    pub async fn finish_growing(
        &self,
        work: &Work,
        name: String,
        files: Vec<NewArtifact>,
        tell: impl FnOnce(&[Artifact]) -> Event + Send + 'static,
    ) -> Result<(Vec<Artifact>, Blob), Problem> {
        self.with_draft(work, "finishing a recording", move |draft, at| {
            let (artifact, file) = draft.finish_growing(&name).map_err(store_problem)?;
            let blob = Blob::of_file(file, artifact.size_bytes);
            let mut artifacts = vec![artifact];
            artifacts.extend(draft.add(files).map_err(store_problem)?);
            draft.record(&[tell(&artifacts)], at).map_err(store_problem)?;
            Ok((artifacts, blob))
        })
        .await
    }

    /// Begin a file of the caller's.
    ///
    /// # Errors
    /// `invalid_field` for its name, `name_taken`, or what the store says.
    pub async fn attachment(&self, work: &Work, name: &str) -> Result<Attachment, Problem> {
        if !is_safe_name(name) {
            let message = "`name` cannot be part of a path; give 1 to 100 of A-Z a-z 0-9 . _ -, \
                           beginning with a letter, a digit or an underscore";
            return Err(Problem::new(Code::InvalidField, message).field("name"));
        }
        let name = name.to_owned();
        self.with_draft(work, "beginning an attachment", move |draft, _| {
            draft.attachment(&name).map_err(store_problem)
        })
        .await
    }

    /// Make a written attachment part of its run.
    ///
    /// # Errors
    /// What the store says.
    pub async fn finish_attachment(
        &self,
        work: &Work,
        attachment: Attachment,
        media_type: String,
    ) -> Result<Artifact, Problem> {
        self.with_draft(work, "finishing an attachment", move |draft, at| {
            let artifact =
                draft.finish_attachment(attachment, &media_type).map_err(store_problem)?;
            let event = Event::exhibit("attachment.added", json!({ "artifact": artifact }));
            draft.record(&[event], at).map_err(store_problem)?;
            Ok(artifact)
        })
        .await
    }

    /// Seal a run, once the work under way on it is done.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `not_your_run`, or what stopped the sealing; the run is then
    /// still open.
    pub async fn seal(
        &self,
        id: RunId,
        caller: &Caller,
        ending: Ending,
    ) -> Result<Receipt, Problem> {
        let run = self.find(id, caller)?;
        self.seal_run(run, ending).await
    }

    /// Seal a run of one, whose only work is done.
    ///
    /// # Errors
    /// What stopped the sealing.
    pub async fn seal_own(&self, work: Work, ending: Ending) -> Result<Receipt, Problem> {
        let run = Arc::clone(&work.run);
        drop(work);
        self.seal_run(run, ending).await
    }

    async fn seal_run(&self, run: Arc<OpenRun>, ending: Ending) -> Result<Receipt, Problem> {
        let guard = Arc::clone(&run.work).write_owned().await;
        let this = self.clone();
        self.blocking("sealing the run", move || {
            let _guard = guard;
            let mut place = lock(&run.draft);
            let draft = place.take().ok_or_else(|| sealed(run.id))?;
            match draft.seal(&ending, &this.0.signer, this.0.clock.now()) {
                Ok(receipt) => {
                    this.registry().remove(&run.id);
                    this.index(&receipt);
                    Ok(receipt)
                }
                Err(error) => {
                    let problem = seal_problem(&error);
                    *place = Some(*error.draft);
                    Err(problem)
                }
            }
        })
        .await
    }

    /// Note a sealed run in the index. The index is never the truth: a failure costs nothing that
    /// cannot be rebuilt.
    fn index(&self, receipt: &Receipt) {
        let folder = self.0.store.folder_of(receipt.run);
        let noted = RunSummary::read(&folder).map_err(|error| chain(&error)).and_then(|summary| {
            let index = self.0.index.lock().unwrap_or_else(PoisonError::into_inner);
            index.put(&summary).map_err(|error| chain(&error))
        });
        if let Err(error) = noted {
            tracing::warn!(run = %receipt.run, error, "a sealed run is not in the index; `exhibit index rebuild` mends it");
        }
    }

    /// The sealed runs of `caller` that `filter` finds, newest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn list(
        &self,
        mut filter: Filter,
        caller: &Caller,
        limit: u32,
    ) -> Result<Vec<RunSummary>, Problem> {
        let (this, caller, limit) = (self.clone(), caller.clone(), limit as usize);
        self.blocking("reading the index", move || {
            let index = this.0.index.lock().unwrap_or_else(PoisonError::into_inner);
            let mut mine = Vec::new();
            loop {
                let page = index.list(&filter);
                let page = page.map_err(|error| Problem::internal("reading the index", error))?;
                let Some(last) = page.last() else { break };
                filter.before = Some(last.run);
                mine.extend(page.into_iter().filter(|run| caller.may_act_on(&run.caller)));
                if mine.len() >= limit {
                    break;
                }
            }
            mine.truncate(limit);
            Ok(mine)
        })
        .await
    }

    /// How many captures `caller` has taken in runs sealed this month (UTC), and in open ones.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn captures_this_month(&self, caller: &Caller) -> Result<u64, Problem> {
        let today = self.0.clock.now().wall.to_zoned(jiff::tz::TimeZone::UTC);
        let begin = today.first_of_month().and_then(|first| first.start_of_day());
        let since = begin.map_err(|error| Problem::internal("reading the calendar", error))?;
        let filter = Filter { since: Some(since.timestamp()), ..Filter::default() };
        let sealed = self.list(filter, caller, u32::MAX).await?;
        let open: Vec<_> = self.registry().values().cloned().collect();
        let open = open.iter().filter(|run| caller.may_act_on(&run.opening.caller));
        let open: u64 = open.map(|run| run.capture_count()).sum();
        Ok(sealed.iter().map(|run| run.counts.captures).sum::<u64>() + open)
    }

    /// The sealed run `id`.
    ///
    /// # Errors
    /// `run_not_found`, or when it cannot be read.
    pub async fn summary(&self, id: RunId) -> Result<RunSummary, Problem> {
        let folder = self.0.store.folder_of(id);
        self.blocking("reading the run", move || {
            RunSummary::read(&folder).map_err(|error| match error {
                StoreError::NotFound { .. } => unknown(id),
                other => store_problem(other),
            })
        })
        .await
    }

    /// The open runs that `caller` opened, as answers show them.
    pub fn open_runs(&self, caller: &Caller) -> Vec<Value> {
        let runs: Vec<_> = self.registry().values().cloned().collect();
        let mine = runs.iter().filter(|run| caller.may_act_on(&run.opening.caller));
        mine.map(|run| run.shown()).collect()
    }

    /// The open run `id`, as answers show it.
    ///
    /// # Errors
    /// See [`Runs::work`].
    pub fn open_run(&self, id: RunId, caller: &Caller) -> Result<Value, Problem> {
        self.find(id, caller).map(|run| run.shown())
    }

    /// Seal every run that outlived its time, again and again until `tasks` are to stop. A run
    /// whose work does not end keeps no other waiting.
    pub async fn expire(self, tasks: Tasks) {
        let (mut ends, mut ending) = (FuturesUnordered::new(), HashSet::new());
        loop {
            let limits = self.0.config.borrow().runs.clone();
            let every = limits.idle.min(limits.max_duration) / 4;
            let every = every.clamp(Duration::from_millis(100), Duration::from_secs(60));
            tokio::select! {
                Some(id) = ends.next() => {
                    ending.remove(&id);
                    continue;
                }
                () = tokio::time::sleep(every) => {}
                () = tasks.stopping() => return,
            }
            let now = millis(self.0.clock.now());
            let runs: Vec<_> = self.registry().values().cloned().collect();
            for run in runs {
                let id = run.id;
                if let Some(reason) = overdue(&run, &limits, now)
                    && ending.insert(id)
                {
                    let state = State::Expired;
                    let end = self.end(run, Ending { state, outcome: None, reason: Some(reason) });
                    ends.push(end.map(move |()| id));
                }
            }
        }
    }

    /// Seal every open run as interrupted: the daemon is stopping.
    pub async fn interrupt_all(&self) {
        let runs: Vec<_> = self.registry().values().cloned().collect();
        let ends = runs.into_iter().map(|run| {
            self.end(run, Ending::interrupted("the daemon was stopped before the run was sealed"))
        });
        // All at once: one whose work does not end keeps no other from its seal.
        join_all(ends).await;
    }

    async fn end(&self, run: Arc<OpenRun>, ending: Ending) {
        let (id, state) = (run.id, ending.state);
        match self.seal_run(run, ending).await {
            Ok(_) => tracing::warn!(run = %id, ?state, "an open run was sealed by the daemon"),
            Err(error) => {
                tracing::error!(run = %id, error = chain(&error), "an open run cannot be sealed");
            }
        }
    }

    async fn with_draft<T: Send + 'static>(
        &self,
        work: &Work,
        what: &'static str,
        act: impl FnOnce(&mut Draft, Moment) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let (run, clock) = (Arc::clone(&work.run), self.0.clock.clone());
        self.blocking(what, move || {
            let mut draft = lock(&run.draft);
            let draft = draft.as_mut().ok_or_else(|| sealed(run.id))?;
            let at = clock.now();
            run.touched.store(millis(at), Ordering::Relaxed);
            act(draft, at)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = self.0.tasks.spawn_blocking(work).await;
        done.map_err(|error| Problem::internal(what, error))?
    }
}

/// Why the time of `run` is over at `now`, if it is.
fn overdue(run: &OpenRun, limits: &config::Runs, now: u64) -> Option<String> {
    let age = |since: u64| Duration::from_millis(now.saturating_sub(since));
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

/// Open the index, adding what it lacks: a crash may have come between a seal and its note.
fn open_index(store: &Store) -> Result<Index, Problem> {
    let opened = Index::open(&store.root().join(INDEX)).and_then(|index| {
        let filled = index.fill(store.root())?;
        for (folder, error) in &filled.unreadable {
            let folder = folder.display();
            tracing::error!(%folder, error = chain(error), "a sealed run cannot be read");
        }
        Ok(index)
    });
    opened.map_err(|error| Problem::internal("opening the index", error))
}
