//! Owns what every part of the runs works with: the store and its log, the clock, the configuration in
//! force, and the way off the async threads.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::error::Problem;
use crate::evidence::Store;
use crate::evidence::log::Log;
use crate::tasks::Tasks;
use crate::tlog::policy::Policy;

/// What the parts share. It holds no state of its own, and no lock but those inside store and log.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) store: Store,
    /// The log of the store, which each part appends its own entries to.
    pub(super) log: Arc<Log>,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) config: watch::Receiver<Arc<Config>>,
}

impl Context {
    /// Folder of the store.
    pub(super) fn root(&self) -> &Path {
        self.store.root()
    }

    /// Whose signature counts on what lies in the log's place: this daemon's.
    pub(super) fn log_policy(&self) -> Policy {
        Policy::of_keys(&self.log.key().to_string()).expect("a key that this daemon made")
    }

    /// Do `work` off the async threads. It goes on when its asker hangs up.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        what: &'static str,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let done = self.tasks.spawn_blocking(work).await;
        done.map_err(|error| Problem::internal(what, error))?
    }
}
