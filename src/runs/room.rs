//! Owns the question whether there is room for evidence: bytes and inodes of the store's file system,
//! the reserve that sealing and purging may spend, and a daemon that had no room to say that it
//! started: it is read-only until there is some.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::Runs;
use super::life::Unsaid;
use super::problem::store_problem;
use crate::disk::{self, room::Reserve};
use crate::error::{Code, Problem, chain};
use crate::evidence::StoreError;
use crate::tasks::Tasks;

/// Folder of the reserve, in the store.
pub(super) const RESERVE: &str = "reserve";
/// How often it is looked whether there is room again.
const LOOK: Duration = Duration::from_secs(10);

impl Runs {
    /// Bytes that can still be written on the store's disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn free_bytes(&self) -> Result<u64, Problem> {
        disk::free_bytes(self.root())
            .map_err(|error| store_problem(StoreError::new(self.root(), error)))
    }

    /// Files that can still be made there; none where they are not counted.
    ///
    /// # Errors
    /// What the disk says.
    pub fn free_inodes(&self) -> Result<Option<u64>, Problem> {
        disk::free_inodes(self.root())
            .map_err(|error| store_problem(StoreError::new(self.root(), error)))
    }

    /// Refuse new evidence when the disk is nearly full, while there is still room to seal what
    /// is open.
    ///
    /// # Errors
    /// `store_full`, naming what there is too little of, the key and its value.
    pub fn check_room(&self) -> Result<(), Problem> {
        if let Some(unsaid) = &*self.unsaid() {
            return Err(read_only(unsaid));
        }
        let (least, least_inodes) = {
            let config = self.0.config.borrow();
            (config.store.min_free, config.store.min_free_inodes)
        };
        let free = self.free_bytes()?;
        if free < least {
            let message = format!(
                "the store's disk has {} MiB left, less than `store.min_free` ({} MiB); free some \
                 space",
                free >> 20,
                least >> 20
            );
            return Err(Problem::new(Code::StoreFull, message));
        }
        match self.free_inodes()? {
            Some(free) if free < least_inodes => {
                let message = format!(
                    "{free} files can still be made on the store's disk, fewer than \
                     `store.min_free_inodes` ({least_inodes}); free some inodes"
                );
                Err(Problem::new(Code::StoreFull, message))
            }
            _ => Ok(()),
        }
    }

    /// Room on the store's disk, for `status`.
    pub fn room(&self) -> Value {
        let because = self.check_room().err().map(|problem| problem.message);
        json!({
            "free_bytes": self.free_bytes().ok(),
            "free_inodes": self.free_inodes().ok().flatten(),
            "reserve": self.0.reserve.is_full(),
            "read_only": self.is_read_only(),
            "refused_because": because,
        })
    }

    /// Whether the daemon had no room to say that it started, and has none yet.
    pub fn is_read_only(&self) -> bool {
        self.unsaid().is_some()
    }

    pub(super) fn unsaid(&self) -> MutexGuard<'_, Option<Unsaid>> {
        self.0.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spend the reserve after `problem`, if that tells of a full disk; whether it can be tried again.
    /// A half stays for purging, which is what makes room.
    pub(super) fn makes_room(&self, problem: &Problem, purging: bool) -> bool {
        let reserve = &self.0.reserve;
        let spend = || if purging { reserve.spend() } else { reserve.spend_half() };
        let spent = problem.code == Code::StoreFull && spend();
        if spent {
            tracing::error!(error = chain(problem), "the disk is full; the reserve is spent");
        }
        spent
    }

    /// Keep a reserve while there is room, and take up a store that could not be written to at the
    /// start, until `tasks` are to stop.
    pub async fn keep_room(self, tasks: Tasks) {
        loop {
            let this = self.clone();
            let looked = self.blocking("looking for room", move || {
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
        if self.is_read_only()
            && let Err(error) = self.say_started()
        {
            tracing::debug!(error = chain(&error), "there is no room yet");
            return;
        }
        let spare = |inodes: Option<u64>| inodes.is_none_or(|free| free > 2 * Reserve::INODES);
        let room = self.check_room().is_ok() && self.free_inodes().is_ok_and(spare);
        if !self.0.reserve.is_full()
            && room
            && let Err(error) = self.0.reserve.fill()
        {
            tracing::warn!(%error, "the reserve of room is not whole");
        }
    }

    /// Have the log say that the daemon started, which it had no room for, and take up what an earlier
    /// life left.
    pub(super) fn say_started(&self) -> Result<(), Problem> {
        {
            let mut unsaid = self.unsaid();
            let Some(waiting) = unsaid.as_mut() else { return Ok(()) };
            waiting.say(self.log(), &self.0.clock)?;
            *unsaid = None;
        }
        tracing::warn!("there is room again: the store is written to");
        self.take_up()
    }
}

fn read_only(unsaid: &Unsaid) -> Problem {
    let message = format!(
        "the daemon is read-only, because it started without room on the store's disk ({}); \
         evidence can be read, verified and purged; free some space or inodes",
        unsaid.why
    );
    Problem::new(Code::StoreFull, message)
}
