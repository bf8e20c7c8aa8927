//! Owns the pages that sessions keep between captures. One capture at a time has a session's page;
//! what a capture put into force there is undone by the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::out_of_time;
use super::instance::Instance;
use super::page::Page;
use super::recording::Recording;
use crate::error::{CaptureError, ErrorKind};
use exhibit_verify::id::SessionId;

/// A page kept for a session.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) page: Page,
    pub(super) instance: Arc<Instance>,
    /// The browser is not ended in an orderly way while this is there.
    pub(super) token: TaskTrackerToken,
    /// The recording of the page, if there is one.
    pub(super) recorder: Option<Recording>,
}

/// A session's page, none once the session is closed.
type Slot = Arc<AsyncMutex<Option<Held>>>;

/// The pages of all sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<SessionId, Slot>>);

impl Sessions {
    /// Keep a page.
    pub(super) fn keep(&self, id: SessionId, held: Held) {
        self.slots().insert(id, Arc::new(AsyncMutex::new(Some(held))));
    }

    /// The page of a session, for one capture; others wait for it.
    ///
    /// # Errors
    /// `session_not_found` when it is closed or its browser died; `request_timeout`.
    pub(super) async fn hold(
        &self,
        id: SessionId,
        deadline: Instant,
    ) -> Result<OwnedMutexGuard<Option<Held>>, CaptureError> {
        let slot = self.slots().get(&id).cloned().ok_or_else(gone)?;
        let guard = tokio::time::timeout_at(deadline, slot.lock_owned()).await;
        let guard = guard.map_err(|_| out_of_time())?;
        match guard.as_ref() {
            Some(held) if held.page.is_alive() => Ok(guard),
            _ => Err(gone()),
        }
    }

    /// The page of a session, alive or not, once the capture that has it is done.
    ///
    /// # Errors
    /// `session_not_found` when it is closed.
    pub(super) async fn seize(
        &self,
        id: SessionId,
    ) -> Result<OwnedMutexGuard<Option<Held>>, CaptureError> {
        let slot = self.slots().get(&id).cloned().ok_or_else(gone)?;
        Ok(slot.lock_owned().await)
    }

    /// Let go of a session's page, once the capture that has it is done.
    pub(super) async fn release(&self, id: SessionId) -> Option<Held> {
        let slot = self.slots().remove(&id)?;
        slot.lock_owned().await.take()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<SessionId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session whose page is gone cannot be made again: what was done in it is not known here.
fn gone() -> CaptureError {
    let message = "the session is closed, or its page died; open another one with POST /sessions";
    CaptureError::new(ErrorKind::SessionNotFound, message).field("session_id")
}
