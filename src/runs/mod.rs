//! Owns the open runs: who may act on which, one writer at a time for each, their limits, their
//! ending by caller, by time or after a crash. Everything that touches the disk is done off the
//! async threads, by work that goes on when its asker hangs up.

mod adding;
mod archiving;
mod authority;
mod bundle;
mod code;
mod cosigning;
mod counts;
mod custody;
mod ending;
mod found;
mod guarding;
mod heads;
mod holds;
mod import_purging;
mod importing;
mod imports;
mod keeping;
mod ledger;
mod life;
mod listing;
mod open;
mod problem;
mod provenance;
mod purging;
mod redaction;
mod report;
mod scrub;
mod signing;
mod stamping;
mod turns;
mod unfinished;
mod viewing;
mod watching;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::{Notify, mpsc, watch};

pub use self::archiving::{Archives, Packed};
pub use self::authority::Asked;
use self::authority::Authority;
pub use self::cosigning::Witnessed;
pub use self::counts::Counts;
pub use self::custody::Looker;
pub use self::guarding::Guarded;
pub use self::import_purging::PurgedImport;
pub use self::importing::{Imported, Keeping};
pub use self::imports::Import;
use self::listing::open_index;
use self::open::{Endings, Writers, lock, millis};
pub use self::open::{OpenRun, Work};
use self::problem::{sealed, store_problem};
use self::provenance::{host_name, provenance};
pub use self::purging::{Going, Purged, Staying};
pub use self::scrub::Scrubbed;
use self::signing::Signing;
pub use self::viewing::{Found, Look};
pub use self::watching::Watching;
use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::disk;
use crate::error::{Code, Problem};
use crate::evidence::log::{Log, Standing};
use crate::evidence::{
    Custody, Draft, Findings, Index, LogKey, Store, StoreError, TimestampAuthority,
};
use crate::id::RunId;
use crate::integrity::{Hook, Messages};
use crate::run::{Caller, Opening, RunSpec};
use crate::tasks::Tasks;

/// The index, beside the evidence it is made from.
pub const INDEX: &str = "index.sqlite";

/// The open runs of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runs(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    signing: Signing,
    index: Mutex<Index>,
    open: Mutex<HashMap<RunId, Arc<OpenRun>>>,
    log: Arc<Log>,
    /// What came of asking witnesses, by name.
    witnessed: Mutex<BTreeMap<String, Witnessed>>,
    authority: Arc<Authority>,
    /// What the log says of holds; held while it is judged by and added to.
    standing: Mutex<Standing>,
    custody: Custody,
    /// Events of custody that the log holds, by its last word.
    attested: AtomicU64,
    /// Held by the one purge, archiving or restoring there is at a time.
    purging: Mutex<()>,
    clock: Clock,
    tasks: Tasks,
    config: watch::Receiver<Arc<Config>>,
    host: String,
    counts: Counts,
    scrubbed: Mutex<Scrubbed>,
    /// What was found to be no longer as it was, by the log.
    found: Mutex<Findings>,
    hurry: Notify,
    /// A run was opened.
    opened: Notify,
    /// An event was recorded of which the log does not hold the head.
    grown: Notify,
    watching: Mutex<Watching>,
    hook: Hook,
    messages: Mutex<Option<Messages>>,
    guarded: Mutex<Guarded>,
    lock_soon: mpsc::UnboundedSender<RunId>,
    sealed: Mutex<Option<guarding::Sealed>>,
}

impl Runs {
    /// Take possession of the store: finish what a crash left, bring the index up to date.
    ///
    /// # Errors
    /// `store_locked` when another daemon has it; what else stands in the way.
    pub fn open(
        config: watch::Receiver<Arc<Config>>,
        log_key: &LogKey,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<Self, Problem> {
        let root = config.borrow().store.path.clone();
        let store = Store::open(&root).map_err(store_problem)?;
        store.settle().map_err(store_problem)?;
        let held = Arc::clone(&config.borrow());
        let (store, log, signing) = life::begin(store, &held, log_key, &clock)?;
        let authority = Authority::new(config.clone(), clock.clone(), tasks.clone());
        let authority = Arc::new(authority);
        let store = store.with_authority(Arc::clone(&authority) as Arc<dyn TimestampAuthority>);
        let standing = Standing::of_store(store.root()).map_err(store_problem)?;
        let standing_custody = standing.custody();
        let found = Findings::of_store(store.root()).map_err(store_problem)?;
        let custody = custody::take_up(store.root(), standing_custody)?;
        let (index, filled) = open_index(&store, log_key)?;
        let (hook, messages) = Hook::new();
        let (lock_soon, sealed_runs) = mpsc::unbounded_channel();
        let shared = Shared {
            counts: Counts::default(),
            scrubbed: Mutex::new(scrub::remembered(store.root())),
            found: Mutex::new(found),
            hurry: Notify::new(),
            opened: Notify::new(),
            grown: Notify::new(),
            watching: Mutex::default(),
            hook,
            messages: Mutex::new(Some(messages)),
            guarded: Mutex::default(),
            lock_soon,
            sealed: Mutex::new(Some(sealed_runs)),
            store,
            signing,
            log,
            witnessed: Mutex::default(),
            authority,
            standing: Mutex::new(standing),
            attested: AtomicU64::new(standing_custody.min(custody.head().count)),
            custody,
            purging: Mutex::default(),
            index: Mutex::new(index),
            open: Mutex::default(),
            clock,
            tasks,
            config,
            host: host_name(),
        };
        let runs = Self(Arc::new(shared));
        runs.doubt(&filled.doubted);
        runs.attest()?;
        runs.finish_purges();
        runs.finish_archives(true);
        runs.finish_imports();
        runs.finish_kept_imports(true);
        runs.recover()?;
        Ok(runs)
    }

    /// The daemon's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What `error` means for a caller.
    pub fn problem(&self, error: StoreError) -> Problem {
        store_problem(error)
    }

    /// What was counted since the daemon started.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
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
        let config = Arc::clone(&self.0.config.borrow());
        let policy = config.workflows.get(&spec.workflow).cloned();
        let (spec, redacted) = self.spec_without_secrets(spec)?;
        let opening = Opening {
            run: RunId::new(at),
            retention: Some(config.retention.promise(policy.as_ref())),
            policy,
            spec,
            caller,
            host: self.0.host.clone(),
            exhibit: env!("CARGO_PKG_VERSION").to_owned(),
            redacted,
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
                endings: Endings::default(),
                writers: Writers::default(),
                captures: AtomicU32::new(0),
                recordings: AtomicU32::new(0),
                codes: AtomicU32::new(0),
                opened: millis(at),
                touched: AtomicU64::new(millis(at)),
                // The log has its first event.
                fixed: AtomicU64::new(1),
            });
            this.registry().insert(run.id, Arc::clone(&run));
            this.0.counts.opened();
            this.0.opened.notify_one();
            Ok(run)
        })
        .await
    }

    /// Bytes that can still be written on the store's disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn free_bytes(&self) -> Result<u64, Problem> {
        disk::free_bytes(self.root())
            .map_err(|error| store_problem(StoreError::new(self.root(), error)))
    }

    /// Refuse new evidence when the disk is nearly full, while there is still room to seal what
    /// is open.
    fn check_room(&self) -> Result<(), Problem> {
        let least = self.0.config.borrow().store.min_free;
        let free = self.free_bytes()?;
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

    /// Whether `caller` may act on the open run `id`. Waits for nothing.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `not_your_run`.
    pub fn may_act_on(&self, id: RunId, caller: &Caller) -> Result<(), Problem> {
        self.find(id, caller).map(drop)
    }

    fn find(&self, id: RunId, caller: &Caller) -> Result<Arc<OpenRun>, Problem> {
        let run = self.registry().get(&id).cloned();
        let Some(run) = run else {
            return Err(if self.0.store.folder_of(id).exists() || self.is_archived(id) {
                sealed(id)
            } else {
                self.gone(id)
            });
        };
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
        let (run, clock) = (Arc::clone(&work.run), self.0.clock.clone());
        self.blocking(what, move || {
            let mut draft = lock(&run.draft);
            // One whose seal is in the log is not changed any more, though it may not be moved yet.
            let draft = draft.as_mut().filter(|draft| !draft.is_bound());
            let draft = draft.ok_or_else(|| sealed(run.id))?;
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

#[cfg(test)]
mod faults;
