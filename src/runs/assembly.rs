//! Owns the putting together of the parts, lowest first.

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use super::access::log::AccessLog;
use super::access::{self, Disclosure};
use super::catalog::{Catalog, open_index};
use super::context::Context;
use super::counts::Counts;
use super::integrity::Integrity;
use super::integrity::guarding::GuardClient;
use super::log::LogService;
use super::log::authority::Authority;
use super::log::signing::{Signing, SigningKey};
use super::log::start::{Begun, Unsaid};
use super::problem::store_problem;
use super::registry::Registry;
use super::registry::ending::{self, Sealer};
use super::retention::decisions::Decisions;
use super::retention::turn::Turns;
use super::retention::{self, Retention};
use super::room::Room;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::room::Reserve;
use crate::error::Problem;
use crate::evidence::log::Standing;
use crate::evidence::{Findings, Index, LogKey, TimestampAuthority};
use crate::id::RunId;
use crate::integrity::memory::Memory;
use crate::report::SealedReports;
use crate::tasks::Tasks;

/// All parts.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) context: Arc<Context>,
    pub(super) room: Arc<Room>,
    pub(super) service: LogService,
    pub(super) signing: Signing,
    pub(super) access: AccessLog,
    pub(super) registry: Registry,
    pub(super) sealer: Sealer,
    pub(super) integrity: Integrity,
    pub(super) guard: GuardClient,
    pub(super) catalog: Catalog,
    pub(super) retention: Retention,
    pub(super) disclosure: Disclosure,
    pub(super) counts: Counts,
    /// What the log was to hear of the start, while there is no room for it.
    pub(super) unsaid: Mutex<Option<Unsaid>>,
    /// How far the log has come, remembered outside the store.
    pub(super) memory: Memory,
}

/// The parts of a store that was taken possession of, and the runs of which the index says that they
/// contradict their seals.
pub(super) fn assemble(
    begun: Begun,
    reserve: Reserve,
    log_key: &LogKey,
    (config, clock, tasks): (watch::Receiver<Arc<Config>>, Clock, Tasks),
) -> Result<(Parts, Vec<RunId>), Problem> {
    let Begun { store, log, signing: key, unsaid, memory } = begun;
    let authority = Arc::new(Authority::new(config.clone(), clock.clone(), tasks.clone()));
    let store = store
        .with_authority(Arc::clone(&authority) as Arc<dyn TimestampAuthority>)
        .with_reporter(Arc::new(SealedReports));
    // What was gone through when the log was opened counts, and not what its tiles say by now.
    let (_, at) = log.checkpoint();
    let standing = Standing::at(store.root(), &at).map_err(store_problem)?;
    let found = Findings::at(store.root(), &at).map_err(store_problem)?;
    let why = unsaid.as_ref().map(|unsaid| unsaid.why.clone());
    let room = Room::new(store.root().to_owned(), config.clone(), reserve, why);
    let context = Arc::new(Context { store, log, clock, tasks, config });
    let access = AccessLog::open(context.clone(), standing.custody())?;
    let (index, filled) = open_index(&context.store, log_key)?;
    let decisions = Decisions::new(context.clone(), access.clone(), standing);
    let lower = Lower::new(context, room.into(), access, decisions, (key, found, index));
    Ok((lower.complete(authority, unsaid, memory), filled.doubted))
}

/// The parts that know no other above them.
struct Lower {
    context: Arc<Context>,
    room: Arc<Room>,
    access: AccessLog,
    decisions: Decisions,
    counts: Counts,
    signing: Signing,
    registry: Registry,
    integrity: Integrity,
    catalog: Catalog,
    turns: Arc<Turns>,
    guard: GuardClient,
}

impl Lower {
    fn new(
        context: Arc<Context>,
        room: Arc<Room>,
        access: AccessLog,
        decisions: Decisions,
        (key, found, index): (SigningKey, Findings, Index),
    ) -> Self {
        let of = || context.clone();
        let counts = Counts::default();
        let signing = Signing::new(of(), room.clone(), counts.clone(), key);
        let registry = Registry::new(of(), room.clone(), decisions.clone(), counts.clone());
        let integrity =
            Integrity::new(of(), signing.clone(), decisions.clone(), registry.clone(), found);
        let catalog =
            Catalog::new(of(), decisions.clone(), registry.clone(), integrity.clone(), index);
        let turns = Arc::new(Turns::default());
        let guard = GuardClient::new(of(), Arc::clone(&turns));
        Self {
            context,
            room,
            access,
            decisions,
            counts,
            signing,
            registry,
            integrity,
            catalog,
            turns,
            guard,
        }
    }

    /// With those that are made of several.
    fn complete(self, authority: Arc<Authority>, unsaid: Option<Unsaid>, memory: Memory) -> Parts {
        let (sealer, retention, disclosure) = (self.sealer(), self.retention(), self.disclosure());
        let service = LogService::new(self.context.clone(), authority);
        let Self { context, room, access, counts, signing, .. } = self;
        let Self { registry, integrity, catalog, guard, .. } = self;
        let unsaid = Mutex::new(unsaid);
        Parts {
            context,
            room,
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
            memory,
        }
    }

    fn sealer(&self) -> Sealer {
        Sealer::new(ending::Parts {
            context: self.context.clone(),
            signing: self.signing.clone(),
            registry: self.registry.clone(),
            integrity: self.integrity.clone(),
            catalog: self.catalog.clone(),
            guard: self.guard.clone(),
        })
    }

    fn retention(&self) -> Retention {
        Retention::new(retention::Parts {
            decisions: self.decisions.clone(),
            turns: self.turns.clone(),
            context: self.context.clone(),
            room: self.room.clone(),
            signing: self.signing.clone(),
            access: self.access.clone(),
            registry: self.registry.clone(),
            catalog: self.catalog.clone(),
            guard: self.guard.clone(),
        })
    }

    fn disclosure(&self) -> Disclosure {
        Disclosure::new(access::Parts {
            context: self.context.clone(),
            signing: self.signing.clone(),
            access: self.access.clone(),
            decisions: self.decisions.clone(),
            registry: self.registry.clone(),
            integrity: self.integrity.clone(),
            catalog: self.catalog.clone(),
        })
    }
}
