//! Owns the keeping of sealed runs: until when they are kept, holds, purges, archives, and imports. Each
//! is an entry of the log before anything moves, and what something cut short is finished by the log.

pub(in crate::runs) mod archiving;
mod damage;
pub(in crate::runs) mod decisions;
mod holds;
pub(in crate::runs) mod import_purging;
pub(in crate::runs) mod importing;
pub(in crate::runs) mod imports;
mod keeping;
pub(in crate::runs) mod purging;
mod removal;
pub(in crate::runs) mod turn;
mod unfinished;

use std::sync::Arc;

use self::decisions::Decisions;
use self::turn::{Turn, Turns};
use super::access::log::AccessLog;
use super::catalog::Catalog;
use super::context::Context;
use super::integrity::guarding::GuardClient;
use super::log::signing::Signing;
use super::registry::Registry;
use super::room::Room;

/// The keeping of a store's runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Retention(Arc<Parts>);

/// What the retention owns, decisions and turns, and what it works with.
#[derive(Debug)]
pub(in crate::runs) struct Parts {
    pub(in crate::runs) decisions: Decisions,
    pub(in crate::runs) turns: Arc<Turns>,
    pub(in crate::runs) context: Arc<Context>,
    pub(in crate::runs) room: Arc<Room>,
    pub(in crate::runs) signing: Signing,
    pub(in crate::runs) access: AccessLog,
    pub(in crate::runs) registry: Registry,
    pub(in crate::runs) catalog: Catalog,
    pub(in crate::runs) guard: GuardClient,
}

impl Retention {
    pub(in crate::runs) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Wait for the turn.
    pub(in crate::runs) fn turn(&self) -> Turn<'_> {
        self.0.turns.take()
    }

    /// What the log says of the keeping of each run.
    pub fn decisions(&self) -> &Decisions {
        &self.0.decisions
    }

    /// Finish what an earlier life of the daemon began.
    pub(in crate::runs) fn finish(&self, turn: &Turn<'_>) {
        self.finish_purges(turn);
        self.finish_archives(true, turn);
        self.finish_imports(turn);
        self.finish_kept_imports(true, turn);
    }
}
