//! Owns the watch over sealed evidence: what was found to be no longer as it was, the scrubber and the
//! inotify watch that find it, and the guard that keeps it immutable.

mod found;
pub(super) mod guarding;
pub(super) mod judging;
pub(super) mod scrub;
mod unread;
pub(super) mod watching;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use self::scrub::{Scrubbed, remembered};
use self::watching::Watching;
use super::context::Context;
use super::log::signing::Signing;
use super::registry::Registry;
use super::retention::decisions::Decisions;
use crate::evidence::Findings;
use crate::integrity::{Hook, Messages};
use crate::tasks::Tasks;

/// What is known of the integrity of a store's evidence. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Integrity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    signing: Signing,
    decisions: Decisions,
    registry: Registry,
    scrubbed: Mutex<Scrubbed>,
    /// What was found to be no longer as it was, by the log.
    found: Mutex<Findings>,
    hurry: Notify,
    watching: Mutex<Watching>,
    hook: Hook,
    messages: Mutex<Option<Messages>>,
}

impl Integrity {
    pub(super) fn new(
        context: Arc<Context>,
        signing: Signing,
        decisions: Decisions,
        registry: Registry,
        found: Findings,
    ) -> Self {
        let (hook, messages) = Hook::new();
        let scrubbed = Mutex::new(remembered(context.root()));
        Self(Arc::new(Inner {
            context,
            signing,
            decisions,
            registry,
            scrubbed,
            found: Mutex::new(found),
            hurry: Notify::new(),
            watching: Mutex::default(),
            hook,
            messages: Mutex::new(Some(messages)),
        }))
    }

    /// Run the operator's program for what is told, until `tasks` are to stop.
    pub async fn alert(self, tasks: Tasks) {
        let messages = self.0.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut messages) = messages else { return };
        loop {
            let message = tokio::select! {
                () = tasks.stopping() => return,
                message = messages.recv() => message,
            };
            let Some(message) = message else { return };
            let settings = self.0.context.config.borrow().integrity.clone();
            tokio::select! {
                () = tasks.stopping() => return,
                () = self.0.hook.tell(&settings.hook, &message, settings.hook_limit) => {}
            }
        }
    }
}
