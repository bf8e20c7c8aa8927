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
mod room;
mod scrub;
mod signing;
mod stamping;
mod turns;
mod unfinished;
mod unread;
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
pub(crate) use self::problem::not_to_see;
use self::problem::{sealed, store_problem};
use self::provenance::{host_name, provenance};
pub use self::purging::{Going, Purged, Staying};
use self::room::RESERVE;
pub use self::scrub::Scrubbed;
use self::signing::Signing;
pub use self::viewing::{Found, Look};
pub use self::watching::Watching;
use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::disk::room::Reserve;
use crate::error::{Code, Problem};
use crate::evidence::log::{Log, Standing};
use crate::evidence::{
    Custody, Draft, Findings, Index, LogKey, Store, StoreError, TimestampAuthority,
};
use crate::id::RunId;
use crate::integrity::{Hook, Messages};
use crate::quotas::{Quota, Share, Shares};
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
    reserve: Reserve,
    /// What the log was to hear of the start, while there is no room for it.
    unsaid: Mutex<Option<life::Unsaid>>,
    index: Index,
    /// Held while rows of others are thrown away and read again.
    checking: Mutex<()>,
    open: Mutex<HashMap<RunId, Arc<OpenRun>>>,
    /// Runs that are being opened.
    opening: Shares,
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
        let reserve = Reserve::in_folder(root.join(RESERVE));
        let begun = life::begin(store, &held, log_key, &clock, &reserve)?;
        let life::Begun { store, log, signing, unsaid } = begun;
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
            reserve,
            unsaid: Mutex::new(unsaid),
            log,
            witnessed: Mutex::default(),
            authority,
            standing: Mutex::new(standing),
            attested: AtomicU64::new(standing_custody.min(custody.head().count)),
            custody,
            purging: Mutex::default(),
            index,
            checking: Mutex::default(),
            open: Mutex::default(),
            opening: Shares::default(),
            clock,
            tasks,
            config,
            host: host_name(),
        };
        let runs = Self(Arc::new(shared));
        runs.doubt(&filled.doubted);
        if !runs.is_read_only() {
            runs.take_up()?;
        }
        Ok(runs)
    }

    /// Finish what an earlier life left.
    fn take_up(&self) -> Result<(), Problem> {
        self.attest()?;
        self.finish_purges();
        self.finish_archives(true);
        self.finish_imports();
        self.finish_kept_imports(true);
        self.recover()
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
        let place = self.reserve(&caller)?;
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
            let config = self.0.config.borrow();
            (config.runs.max_open, config.quotas.open_runs)
        };
        let open = self.registry();
        if open.len() + self.0.opening.held() >= most {
            let message =
                format!("{most} runs are open, which is `runs.max_open`; seal some first");
            return Err(Problem::new(Code::TooManyRuns, message));
        }
        let mine = open.values().filter(|run| caller.may_act_on(&run.opening.caller)).count();
        self.0.opening.take(caller, Quota::OpenRuns, own, mine)
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

    /// The open run `id`, whoever opened it.
    fn find_any(&self, id: RunId) -> Result<Arc<OpenRun>, Problem> {
        self.registry().get(&id).cloned().ok_or_else(|| {
            if self.0.store.folder_of(id).exists() || self.is_archived(id) {
                sealed(id)
            } else {
                self.gone(id)
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
