//! Owns the question whether there is room for evidence: bytes and inodes of the store's file system,
//! and the reserve that sealing and purging may spend. A daemon that had no room to say that it
//! started is read-only until there is some.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::watch;

use super::problem::store_problem;
use crate::config::Config;
use crate::disk::{self, room::Reserve};
use crate::error::{Code, Problem, chain};
use crate::evidence::StoreError;

/// Folder of the reserve, in the store.
pub(super) const RESERVE: &str = "reserve";

/// Room for evidence in the store.
#[derive(Debug)]
pub struct Room {
    root: PathBuf,
    config: watch::Receiver<Arc<Config>>,
    reserve: Reserve,
    /// What there was no room for at the start; none once it was done.
    read_only: Mutex<Option<String>>,
}

impl Room {
    pub(super) fn new(
        root: PathBuf,
        config: watch::Receiver<Arc<Config>>,
        reserve: Reserve,
        read_only: Option<String>,
    ) -> Self {
        Self { root, config, reserve, read_only: Mutex::new(read_only) }
    }

    /// Bytes that can still be written on the store's disk.
    ///
    /// # Errors
    /// What the disk says.
    pub fn free_bytes(&self) -> Result<u64, Problem> {
        disk::free_bytes(&self.root)
            .map_err(|error| store_problem(StoreError::new(&self.root, error)))
    }

    /// Files that can still be made there; none where they are not counted.
    ///
    /// # Errors
    /// What the disk says.
    pub fn free_inodes(&self) -> Result<Option<u64>, Problem> {
        disk::free_inodes(&self.root)
            .map_err(|error| store_problem(StoreError::new(&self.root, error)))
    }

    /// Refuse new evidence when the disk is nearly full, while there is still room to seal what
    /// is open.
    ///
    /// # Errors
    /// `store_full`, naming what there is too little of, the key and its value.
    pub fn check(&self) -> Result<(), Problem> {
        if let Some(why) = &*self.read_only() {
            return Err(read_only(why));
        }
        let (least, least_inodes) = {
            let config = self.config.borrow();
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
    pub fn status(&self) -> Value {
        let because = self.check().err().map(|problem| problem.message);
        json!({
            "free_bytes": self.free_bytes().ok(),
            "free_inodes": self.free_inodes().ok().flatten(),
            "reserve": self.reserve.is_full(),
            "read_only": self.is_read_only(),
            "refused_because": because,
        })
    }

    /// Bytes that may be written before less is free than is to stay so.
    pub(super) fn spare_bytes(&self) -> Result<u64, Problem> {
        let least = self.config.borrow().store.min_free;
        Ok(self.free_bytes()?.saturating_sub(least))
    }

    /// Whether `bytes` more in so many `files` leave what is to stay free.
    pub(super) fn check_for_bundle(&self, bytes: u64, files: u64) -> Result<(), Problem> {
        let inodes = self.config.borrow().store.min_free_inodes;
        if let Some(free) = self.free_inodes()?
            && free.saturating_sub(inodes) < files
        {
            let message = format!(
                "the bundle takes {files} files, and {free} can still be made on the store's disk, of \
                 which `store.min_free_inodes` stay free ({inodes}); free some inodes"
            );
            return Err(Problem::new(Code::StoreFull, message));
        }
        if self.spare_bytes()? >= bytes {
            return Ok(());
        }
        let (least, free) = (self.config.borrow().store.min_free, self.free_bytes()?);
        let message = format!(
            "the bundle has {} MiB, and the store's disk {} MiB left, of which `store.min_free` stays \
             free ({} MiB); free some space",
            bytes >> 20,
            free >> 20,
            least >> 20
        );
        Err(Problem::new(Code::StoreFull, message))
    }

    /// Whether the daemon had no room to say that it started, and has none yet.
    pub fn is_read_only(&self) -> bool {
        self.read_only().is_some()
    }

    /// What there was no room for at the start is done.
    pub(super) fn allow_writing(&self) {
        *self.read_only() = None;
    }

    fn read_only(&self) -> MutexGuard<'_, Option<String>> {
        self.read_only.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spend the reserve after `problem`, if that tells of a full disk; whether it can be tried again.
    /// A half stays for purging, which is what makes room.
    pub(super) fn spend(&self, problem: &Problem, purging: bool) -> bool {
        let reserve = &self.reserve;
        let spend = || if purging { reserve.spend() } else { reserve.spend_half() };
        let spent = problem.code == Code::StoreFull && spend();
        if spent {
            tracing::error!(error = chain(problem), "the disk is full; the reserve is spent");
        }
        spent
    }

    /// Keep a reserve while there is room.
    pub(super) fn refill(&self) {
        let spare = |inodes: Option<u64>| inodes.is_none_or(|free| free > 2 * Reserve::INODES);
        let room = self.check().is_ok() && self.free_inodes().is_ok_and(spare);
        if !self.reserve.is_full()
            && room
            && let Err(error) = self.reserve.fill()
        {
            tracing::warn!(%error, "the reserve of room is not whole");
        }
    }
}

fn read_only(why: &str) -> Problem {
    let message = format!(
        "the daemon is read-only, because it started without room on the store's disk ({why}); \
         evidence can be read, verified and purged; free some space or inodes"
    );
    Problem::new(Code::StoreFull, message)
}
