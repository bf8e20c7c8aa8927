//! Owns the life of the daemon as the log tells of it: that it is there, has another configuration, and
//! stopped; and the taking up of a store, at the start or when there is room to say so at last.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::Runs;
use super::log::start::{digest_of, remember};
use super::problem::store_problem;
use super::retention::turn::Turn;
use crate::error::{Problem, chain};
use crate::evidence::log::leaf;
use crate::tasks::Tasks;

/// How often it is looked whether there is room again.
const LOOK: Duration = Duration::from_secs(10);

impl Runs {
    /// Finish what an earlier life left.
    pub(super) fn take_up(&self, turn: &Turn<'_>) -> Result<(), Problem> {
        self.0.access.attest_found()?;
        self.0.retention.finish(turn);
        self.0.sealer.recover()
    }

    /// Keep a reserve while there is room, and take up a store that could not be written to at the
    /// start, until `tasks` are to stop.
    pub async fn keep_room(self, tasks: Tasks) {
        loop {
            let this = self.clone();
            let looked = self.0.context.blocking("looking for room", move || {
                this.look_for_room();
                Ok(())
            });
            if let Err(error) = looked.await {
                tracing::error!(error = chain(&error), "room is not looked for any more");
                return;
            }
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Do what there is room for again.
    pub(super) fn look_for_room(&self) {
        // A purge goes on in a store that is read-only; what is taken up waits for it.
        if self.0.room.is_read_only() && !self.is_taken_up(&self.0.retention.turn()) {
            return;
        }
        self.0.room.refill();
    }

    /// Take up a store for which there was no room at the start; whether that is done.
    pub(super) fn is_taken_up(&self, turn: &Turn<'_>) -> bool {
        let done = self.say_started(turn);
        if let Err(error) = &done {
            tracing::debug!(error = chain(error), "there is no room yet");
        }
        done.is_ok()
    }

    /// Have the log say that the daemon started, which it had no room for, and take up what an earlier
    /// life left.
    fn say_started(&self, turn: &Turn<'_>) -> Result<(), Problem> {
        {
            let mut unsaid = self.0.unsaid.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(waiting) = unsaid.as_mut() else { return Ok(()) };
            waiting.say(&self.0.context.log, &self.0.context.clock)?;
            *unsaid = None;
            self.0.room.allow_writing();
        }
        tracing::warn!("there is room again: the store is written to");
        self.take_up(turn)
    }

    /// Say in the log that the daemon is there, and what changed, until `tasks` are to stop.
    pub async fn live(self, tasks: Tasks) {
        let mut config = self.0.context.config.clone();
        let mut before = Arc::clone(&config.borrow_and_update());
        loop {
            let pause = before.transparency.heartbeat;
            tokio::select! {
                () = tasks.stopping() => return,
                changed = config.changed() => {
                    if changed.is_err() {
                        // Nobody will change it any more.
                        self.beat_until(&tasks).await;
                        return;
                    }
                    let after = Arc::clone(&config.borrow_and_update());
                    let keys = before.changed(&after);
                    if !keys.is_empty() {
                        let at = self.0.context.clock.now();
                        self.tell(leaf::config_change(&keys, digest_of(&after), at)).await;
                    }
                    before = after;
                }
                () = tokio::time::sleep(pause) => self.beat().await,
            }
        }
    }

    async fn beat_until(&self, tasks: &Tasks) {
        let pause = self.0.context.config.borrow().transparency.heartbeat;
        loop {
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep(pause) => self.beat().await,
            }
        }
    }

    async fn beat(&self) {
        if self.0.room.is_read_only() {
            return;
        }
        self.0.access.attest_soon().await;
        self.0.registry.fix_all_heads().await;
        let every = self.0.context.config.borrow().transparency.heartbeat;
        self.tell(leaf::heartbeat(self.open_count(), every, self.0.context.clock.now())).await;
    }

    /// Say in the log that the daemon stops in good order.
    pub async fn stopped(&self) {
        if self.0.room.is_read_only() {
            return;
        }
        self.0.access.attest_soon().await;
        self.tell(leaf::stop(self.open_count(), self.0.context.clock.now())).await;
    }

    async fn tell(&self, entry: Vec<u8>) {
        let (log, this) = (Arc::clone(&self.0.context.log), self.clone());
        let told = self.0.context.blocking("writing to the log", move || {
            let told = log.append(entry).map_err(store_problem);
            remember(&this.0.memory, &log);
            told
        });
        if let Err(error) = told.await {
            tracing::error!(error = chain(&error), "the log could not be continued");
        }
    }
}
