//! The runs of a store, in parts that own their state and their files. `Runs` puts them together at the
//! start, and does what takes several of them. Everything that touches the disk is done off the async
//! threads, by work that goes on when its asker hangs up.
//!
//! | part | owns |
//! |---|---|
//! | `registry` | the open runs: quotas, what is added to them, the heads of their chains, their ending |
//! | `log` | the service of the log: what is read of it, cosignatures, timestamps; the key that signs |
//! | `retention` | decisions that stand (holds, purges, archives, imports), and the turn to move runs |
//! | `integrity` | findings, scrubber, watch, the guard's client |
//! | `access` | the access log, and what is shown or given out by it |
//! | `catalog` | the index of sealed runs, their records and facts |
//! | `room` | the room on the disk and its reserve |
//!
//! A part knows those it is made of, and never `Runs`.
//!
//! # The order of locks
//!
//! A lock is taken only while those before it in this list are held, or none:
//!
//! 1. the work of a run ([`Work`] holds it for reading, sealing for writing);
//! 2. the turn of the retention, `Turn`: what moves sealed runs asks for it;
//! 3. the draft of a run;
//! 4. the signing key, `SigningKey`: for reading by each seal, for writing by an exchange;
//! 5. the turn to decide, `Decision`: only who holds it can add a decision; who looks at those that stand
//!    waits for a moment at most;
//! 6. the access log, then the log: each inside its type, which calls nothing of the runs;
//! 7. all others, one at a time and without waiting: the map of open runs, what is told of each, the index,
//!    findings, the states that `status` shows.
//!
//! Async code takes none of 2 to 5: each is held over a disk, a signature or an authority's answer.
//!
//! The turn and the decision are values that functions take, so that the compiler asks for them. Who
//! waits for the turn, or for a second decision, while he holds a decision would wait for himself: builds
//! with assertions panic there.

mod access;
mod assembly;
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

use std::sync::Arc;

use tokio::sync::watch;

pub use self::access::Disclosure;
pub use self::access::accessor::Accessor;
pub use self::access::log::AccessLog;
pub use self::access::viewing::Look;
use self::assembly::{Parts, assemble};
pub use self::catalog::listing::Found;
pub use self::catalog::{Catalog, INDEX};
pub use self::counts::Counts;
pub use self::integrity::Integrity;
pub use self::integrity::guarding::GuardClient;
pub use self::integrity::guarding::Guarded;
pub use self::integrity::scrub::Scrubbed;
pub use self::integrity::watching::Watching;
pub use self::log::LogService;
pub use self::log::authority::TimestampStats;
pub use self::log::cosigning::Witnessed;
pub use self::log::signing::Signing;
use self::log::start;
pub(crate) use self::problem::not_to_see;
use self::problem::store_problem;
pub use self::registry::Registry;
pub use self::registry::open::{OpenRun, Work};
pub use self::retention::Retention;
pub use self::retention::archiving::{Archives, Packed};
pub use self::retention::decisions::Decisions;
pub use self::retention::import_purging::PurgedImport;
pub use self::retention::importing::{Imported, Keeping};
pub use self::retention::imports::Import;
pub use self::retention::purging::{PurgeBlocked, PurgeCandidate, Purged};
use self::room::RESERVE;
pub use self::room::Room;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk::room::Reserve;
use crate::error::Problem;
use crate::evidence::{LogKey, Store};
use crate::tasks::Tasks;

/// The runs of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Runs(Arc<Parts>);

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
        let (parts, doubted) = assemble(begun, reserve, log_key, (config, clock, tasks))?;
        let runs = Self(Arc::new(parts));
        runs.0.integrity.doubt(&doubted);
        if !runs.0.room.is_read_only() {
            runs.take_up(&runs.0.retention.turn())?;
        }
        Ok(runs)
    }
}

#[cfg(test)]
mod faults;
