//! Owns what every part of the runs works with: the store, the clock, the configuration in force, and
//! the way off the async threads.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::error::Problem;
use crate::evidence::Store;
use crate::tasks::Tasks;

/// What the parts share. It holds no state of its own, and no lock but the store's.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) config: watch::Receiver<Arc<Config>>,
}

impl Context {
    /// Folder of the store.
    pub(super) fn root(&self) -> &Path {
        self.store.root()
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
