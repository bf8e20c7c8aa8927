//! Owns the daemon's part in making sealed folders immutable: it asks the guard for each, beside its
//! other work and again where that failed, and knows what came of it. It sets no flag itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

use super::Runs;
use crate::disk::flags::is_immutable;
use crate::disk::own::Window;
use crate::error::chain;
use crate::evidence::{SEAL, sealed_in};
use crate::id::RunId;
use crate::integrity::guard::{self, Order};
use crate::tasks::Tasks;

/// How long until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// How the guard fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Guarded {
    /// Whether the immutable flag was seen to hold, by trying to break it.
    pub holds: bool,
    /// Why not.
    pub why_not: Option<String>,
    /// Sealed folders that were made immutable, or were found to be, since the daemon started.
    pub immutable: u64,
    /// Sealed folders that are not, and are asked for again.
    pub waiting: u64,
}

/// Runs that were just sealed.
pub(super) type Sealed = mpsc::UnboundedReceiver<RunId>;

impl Runs {
    /// How the guard fares.
    pub fn guarded(&self) -> Guarded {
        self.guard_state().clone()
    }

    fn guard_state(&self) -> MutexGuard<'_, Guarded> {
        self.0.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Have the folder of `run`, which is sealed, made immutable when its turn comes.
    pub(super) fn lock_soon(&self, run: RunId) {
        // Nobody takes it when there is no guard.
        let _ = self.0.lock_soon.send(run);
    }

    /// Have the guard make every sealed folder immutable, until `tasks` are to stop.
    pub async fn keep_locked(self, tasks: Tasks) {
        let sealed = self.0.sealed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (Some(mut sealed), socket) = (sealed, self.0.config.borrow().integrity.guard.clone())
        else {
            return;
        };
        let Some(socket) = socket else {
            self.guard_state().why_not = Some("`integrity.guard` names no guard".to_owned());
            return;
        };
        let mut waiting = self.not_locked().await;
        loop {
            waiting = self.lock_all(waiting, &socket, &tasks).await;
            self.guard_state().waiting = waiting.len() as u64;
            let again = !waiting.is_empty() || !self.guard_state().holds;
            tokio::select! {
                () = tasks.stopping() => return,
                run = sealed.recv() => waiting.extend(run),
                () = tokio::time::sleep(AGAIN), if again => {}
            }
        }
    }

    /// The sealed runs whose folders are not immutable; the others are counted.
    async fn not_locked(&self) -> BTreeSet<RunId> {
        let this = self.clone();
        let looked = self.blocking("looking at sealed folders", move || {
            let mut waiting = BTreeSet::new();
            for folder in sealed_in(this.root()) {
                let run = folder.file_name().and_then(|name| name.to_str()?.parse::<RunId>().ok());
                // The folder's own flag is set last.
                if is_immutable(&folder).unwrap_or(false)
                    && is_immutable(&folder.join(SEAL)).unwrap_or(false)
                {
                    this.guard_state().immutable += 1;
                } else {
                    waiting.extend(run);
                }
            }
            Ok(waiting)
        });
        looked.await.unwrap_or_default()
    }

    /// Ask for each of `runs`; those that are left.
    async fn lock_all(
        &self,
        runs: BTreeSet<RunId>,
        socket: &Path,
        tasks: &Tasks,
    ) -> BTreeSet<RunId> {
        if !self.guard_state().holds && !self.measured(socket).await {
            return runs;
        }
        let mut left = BTreeSet::new();
        for run in runs {
            if tasks.is_stopping() {
                left.insert(run);
                continue;
            }
            let folder = self.0.store.folder_of(run);
            let (this, own) = (self.clone(), socket.to_owned());
            let asked = self.blocking("asking the guard", move || {
                // What a purge takes away at this moment is not locked again.
                let _turn = this.0.purging.lock();
                // The guard does it for us.
                let _own = Window::below(&folder);
                // One that is gone meanwhile needs no lock.
                Ok(if folder.is_dir() { Some(guard::ask(&own, Order::Lock(run))) } else { None })
            });
            match asked.await {
                Ok(None) => {}
                Ok(Some(Ok(()))) => self.guard_state().immutable += 1,
                Ok(Some(Err(why))) => {
                    tracing::error!(%run, why, again = ?AGAIN, "a sealed folder is not immutable");
                    let mut state = self.guard_state();
                    (state.holds, state.why_not) = (false, Some(why));
                    left.insert(run);
                }
                Err(error) => {
                    tracing::error!(%run, error = chain(&error), "the guard is not asked");
                }
            }
        }
        left
    }

    /// Whether the flag holds, by the guard's trying.
    async fn measured(&self, socket: &Path) -> bool {
        let own = socket.to_owned();
        let asked = self.blocking("asking the guard", move || Ok(guard::ask(&own, Order::Measure)));
        let holds = asked.await.unwrap_or_else(|error| Err(chain(&error)));
        if let Err(why) = &holds {
            tracing::error!(why, again = ?AGAIN, "sealed folders are read-only, but not immutable");
        } else {
            tracing::info!("sealed folders are made immutable");
        }
        let mut state = self.guard_state();
        (state.holds, state.why_not) = (holds.is_ok(), holds.err());
        state.holds
    }
}
