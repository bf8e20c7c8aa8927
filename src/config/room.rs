//! Owns what can be configured of room: that of the store's file system (`[store]`), and what of it and
//! of the daemon one caller may take (`[quotas]`).

use std::path::PathBuf;

use super::Config;
use super::read::{self, Document};

const MIB: u64 = 1024 * 1024;

/// `[store]`
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Folder of the evidence store.
    pub path: PathBuf,
    /// Nothing new is accepted when fewer bytes than this are free.
    pub min_free: u64,
    /// Nothing new is accepted when fewer files than this can be made.
    pub min_free_inodes: u64,
}

impl Default for Store {
    fn default() -> Self {
        let path = "/var/lib/exhibit/store".into();
        Self { path, min_free: 256 * MIB, min_free_inodes: 8192 }
    }
}

/// `[quotas]`: of each caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Runs open at the same time.
    pub open_runs: usize,
    /// Requests under way at the same time; captures count until they are done.
    pub requests: usize,
    /// Bytes of stored sequences.
    pub stored: u64,
    /// Open sessions; 0 leaves a third of `sessions.max` to others.
    pub sessions: usize,
    /// Recordings under way; 0 leaves a third of `video.max` to others.
    pub recordings: usize,
    /// Captures under way; 0 leaves a third of `capture.concurrent` to others.
    pub captures: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            open_runs: 64,
            requests: 32,
            stored: 64 * MIB,
            sessions: 0,
            recordings: 0,
            captures: 0,
        }
    }
}

impl Config {
    /// How many sessions one caller may have open.
    pub fn session_share(&self) -> usize {
        share(self.quotas.sessions, self.sessions.max)
    }

    /// How many recordings one caller may have under way.
    pub fn recording_share(&self) -> usize {
        share(self.quotas.recordings, self.video.max)
    }

    /// How many captures one caller may have under way.
    pub fn capture_share(&self) -> usize {
        share(self.quotas.captures, self.capture.concurrent)
    }
}

/// What one caller may have of `all`: as configured, or all but a third, rounded down.
fn share(configured: usize, all: usize) -> usize {
    if configured == 0 { all - all / 3 } else { configured }
}

pub(super) fn store(document: &mut Document<'_>, default: Store) -> Store {
    let mut table = document.table("store");
    let inodes = read::number(0..=u64::MAX >> 1);
    let store = Store {
        path: table.get("path", default.path, read::path),
        min_free: table.get("min_free", default.min_free, read::size),
        min_free_inodes: table.get("min_free_inodes", default.min_free_inodes, inodes),
    };
    table.finish();
    store
}

pub(super) fn quotas(document: &mut Document<'_>, default: &Quotas) -> Quotas {
    let mut table = document.table("quotas");
    let quotas = Quotas {
        open_runs: table.get("open_runs", default.open_runs, read::number(1..=100_000)),
        requests: table.get("requests", default.requests, read::number(2..=100_000)),
        stored: table.get("stored", default.stored, read::size),
        sessions: table.get("sessions", default.sessions, read::number(0..=1_000)),
        recordings: table.get("recordings", default.recordings, read::number(0..=1_000)),
        captures: table.get("captures", default.captures, read::number(0..=64)),
    };
    table.finish();
    quotas
}
