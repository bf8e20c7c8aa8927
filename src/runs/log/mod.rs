//! Owns the service of the store's log: what others read of it, and the cosignatures and timestamps
//! that it gets. What goes into it, each part of the runs appends itself.

pub(super) mod authority;
pub(super) mod cosigning;
mod ledger;
pub(super) mod seals;
pub(super) mod signing;
mod stamping;
pub(super) mod start;
mod turns;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use self::authority::Authority;
use self::cosigning::Witnessed;
use super::context::Context;
use crate::error::Problem;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::Note;

/// The log of a store, for those who read and attest it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogService(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    /// What came of asking witnesses, by name.
    witnessed: Mutex<BTreeMap<String, Witnessed>>,
    authority: Arc<Authority>,
}

impl LogService {
    pub(super) fn new(context: Arc<Context>, authority: Arc<Authority>) -> Self {
        Self(Arc::new(Inner { context, witnessed: Mutex::default(), authority }))
    }

    /// The newest checkpoint, signed, and what it states. Waits for an entry that is being written, so
    /// that no async thread looks for it.
    ///
    /// # Errors
    /// `internal_error` when nobody could look.
    pub async fn checkpoint(&self) -> Result<(Note, Checkpoint), Problem> {
        let log = Arc::clone(&self.0.context.log);
        self.0.context.blocking("reading the checkpoint", move || Ok(log.checkpoint())).await
    }
}
