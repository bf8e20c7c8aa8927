//! Owns the keeping of sealed runs: until when they are kept, holds, purges, archives, and imports. Each
//! is an entry of the log before anything moves, and what something cut short is finished by the log.

pub(super) mod archiving;
mod damage;
pub(super) mod decisions;
mod holds;
pub(super) mod import_purging;
pub(super) mod importing;
pub(super) mod imports;
mod keeping;
pub(super) mod purging;
mod removal;
pub(super) mod turn;
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
pub(super) struct Parts {
    pub(super) decisions: Decisions,
    pub(super) turns: Arc<Turns>,
    pub(super) context: Arc<Context>,
    pub(super) room: Arc<Room>,
    pub(super) signing: Signing,
    pub(super) access: AccessLog,
    pub(super) registry: Registry,
    pub(super) catalog: Catalog,
    pub(super) guard: GuardClient,
}

impl Retention {
    pub(super) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Wait for the turn.
    pub(super) fn turn(&self) -> Turn<'_> {
        self.0.turns.take()
    }

    /// What the log says of the keeping of each run.
    pub fn decisions(&self) -> &Decisions {
        &self.0.decisions
    }

    /// Finish what an earlier life of the daemon began.
    pub(super) fn finish(&self, turn: &Turn<'_>) {
        self.finish_purges(turn);
        self.finish_archives(true, turn);
        self.finish_imports(turn);
        self.finish_kept_imports(true, turn);
    }
}
