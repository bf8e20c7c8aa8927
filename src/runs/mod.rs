//! The runs of a store, in parts that own their state and their files. `Runs` puts them together at the
//! start, and does what takes several of them. Everything that touches the disk is done off the async
//! threads, by work that goes on when its asker hangs up.
//!
//! | part | owns |
//! |---|---|
//! | [`registry`] | the open runs: quotas, what is added to them, the heads of their chains, their ending |
//! | [`log`] | the service of the log: what is read of it, cosignatures, timestamps; the key that signs |
//! | [`retention`] | decisions that stand (holds, purges, archives, imports), and the turn to move runs |
//! | [`integrity`] | findings, scrubber, watch, the guard's client |
//! | [`access`] | the access log, and what is shown or given out by it |
//! | [`catalog`] | the index of sealed runs, their records and facts |
//! | [`room`] | the room on the disk and its reserve |
//!
//! A part knows those it is made of, and never `Runs`.
//!
//! # The order of locks
//!
//! A lock is taken only while those before it in this list are held, or none:
//!
//! 1. the work of a run ([`Work`] holds it for reading, sealing for writing);
//! 2. the turn of the retention, [`Turn`](retention::turn::Turn): what moves sealed runs asks for it;
//! 3. the draft of a run;
//! 4. the signing key: [`SigningKey`](log::signing::SigningKey), for reading by each seal, for writing by an
//!    exchange;
//! 5. the decisions that stand, [`Decision`](retention::decisions::Decision): only who holds it can add one;
//! 6. the access log, then the log: each inside its type, which calls nothing of the runs;
//! 7. all others, one at a time and without waiting: the map of open runs, the index, findings, the states
//!    that `status` shows.
//!
//! The turn and the decision are values that functions take, so that the compiler asks for them; that
//! nobody waits for the turn while he holds a decision is for the reader to see: no function takes both but
//! in that order.

mod access;
mod catalog;
mod context;
mod counts;
mod facade;
mod integrity;
mod life;
mod log;
mod problem;
mod provenance;
mod registry;
mod retention;
mod room;

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

pub use self::access::Disclosure;
pub use self::access::accessor::Accessor;
use self::access::log::AccessLog;
pub use self::access::viewing::Look;
pub use self::catalog::listing::Found;
use self::catalog::open_index;
pub use self::catalog::{Catalog, INDEX};
use self::context::Context;
pub use self::counts::Counts;
pub use self::integrity::Integrity;
use self::integrity::guarding::GuardClient;
pub use self::integrity::guarding::Guarded;
pub use self::integrity::scrub::Scrubbed;
pub use self::integrity::watching::Watching;
pub use self::log::LogService;
pub use self::log::authority::Asked;
use self::log::authority::Authority;
pub use self::log::cosigning::Witnessed;
use self::log::signing::Signing;
use self::log::start::{self, Unsaid};
use self::problem::store_problem;
pub use self::registry::Registry;
use self::registry::ending::Sealer;
pub use self::registry::open::{OpenRun, Work};
pub use self::retention::Retention;
pub use self::retention::archiving::{Archives, Packed};
use self::retention::decisions::Decisions;
pub use self::retention::import_purging::PurgedImport;
pub use self::retention::importing::{Imported, Keeping};
pub use self::retention::imports::Import;
pub use self::retention::purging::{PurgeBlocked, PurgeCandidate, Purged};
use self::retention::turn::Turns;
use self::room::RESERVE;
pub use self::room::Room;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::room::Reserve;
use crate::error::Problem;
use crate::evidence::log::{Log, Standing};
use crate::evidence::{Findings, LogKey, Store, TimestampAuthority};
use crate::id::RunId;
use crate::tasks::Tasks;

/// The runs of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runs(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    context: Arc<Context>,
    room: Arc<Room>,
    /// The writer of the log; `service` is for those who read it.
    log: Arc<Log>,
    service: LogService,
    signing: Signing,
    access: AccessLog,
    registry: Registry,
    sealer: Sealer,
    integrity: Integrity,
    guard: GuardClient,
    catalog: Catalog,
    retention: Retention,
    disclosure: Disclosure,
    counts: Counts,
    /// What the log was to hear of the start, while there is no room for it.
    unsaid: Mutex<Option<Unsaid>>,
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
        let begun = start::begin(store, &held, log_key, &clock, &reserve)?;
        let (runs, doubted) = Self::assemble(begun, reserve, log_key, config, clock, tasks)?;
        runs.0.integrity.doubt(&doubted);
        if !runs.0.room.is_read_only() {
            runs.take_up(&runs.0.retention.turn())?;
        }
        Ok(runs)
    }

    /// Put the parts of a begun store together; the runs of which the index says that they contradict
    /// their seals.
    fn assemble(
        begun: start::Begun,
        reserve: Reserve,
        log_key: &LogKey,
        config: watch::Receiver<Arc<Config>>,
        clock: Clock,
        tasks: Tasks,
    ) -> Result<(Self, Vec<RunId>), Problem> {
        let start::Begun { store, log, signing: key, unsaid } = begun;
        let authority = Arc::new(Authority::new(config.clone(), clock.clone(), tasks.clone()));
        let store = store.with_authority(Arc::clone(&authority) as Arc<dyn TimestampAuthority>);
        let standing = Standing::of_store(store.root()).map_err(store_problem)?;
        let found = Findings::of_store(store.root()).map_err(store_problem)?;
        let why = unsaid.as_ref().map(|unsaid| unsaid.why.clone());
        let root = store.root().to_owned();
        let room = Arc::new(Room::new(root, config.clone(), reserve, why));
        let context = Arc::new(Context { store, clock, tasks, config });
        let counts = Counts::default();
        let access = AccessLog::open(context.clone(), log.clone(), standing.custody())?;
        let (index, filled) = open_index(&context.store, log_key)?;
        let signing = Signing::new(context.clone(), room.clone(), log.clone(), counts.clone(), key);
        let decisions = Decisions::new(context.clone(), access.clone(), standing);
        let registry = Registry::new(
            context.clone(),
            room.clone(),
            log.clone(),
            decisions.clone(),
            counts.clone(),
        );
        let integrity = Integrity::new(
            context.clone(),
            log.clone(),
            signing.clone(),
            decisions.clone(),
            registry.clone(),
            found,
        );
        let catalog = Catalog::new(
            context.clone(),
            log.clone(),
            decisions.clone(),
            registry.clone(),
            integrity.clone(),
            index,
        );
        let turns = Arc::new(Turns::default());
        let guard = GuardClient::new(context.clone(), log.clone(), Arc::clone(&turns));
        let sealer = Sealer::new(registry::ending::Parts {
            context: context.clone(),
            log: log.clone(),
            signing: signing.clone(),
            registry: registry.clone(),
            integrity: integrity.clone(),
            catalog: catalog.clone(),
            guard: guard.clone(),
        });
        let retention = Retention::new(retention::Parts {
            decisions: decisions.clone(),
            turns,
            context: context.clone(),
            room: room.clone(),
            log: log.clone(),
            signing: signing.clone(),
            access: access.clone(),
            registry: registry.clone(),
            catalog: catalog.clone(),
            guard: guard.clone(),
        });
        let disclosure = Disclosure::new(access::Parts {
            context: context.clone(),
            log: log.clone(),
            signing: signing.clone(),
            access: access.clone(),
            decisions,
            registry: registry.clone(),
            integrity: integrity.clone(),
            catalog: catalog.clone(),
        });
        let service = LogService::new(context.clone(), log.clone(), authority);
        let unsaid = Mutex::new(unsaid);
        let parts = Parts {
            context,
            room,
            log,
            service,
            signing,
            access,
            registry,
            sealer,
            integrity,
            guard,
            catalog,
            retention,
            disclosure,
            counts,
            unsaid,
        };
        Ok((Self(Arc::new(parts)), filled.doubted))
    }
}

#[cfg(test)]
mod faults;
