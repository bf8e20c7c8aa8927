//! Owns what a caller gets back for a sealed run: enough to recognise the folder later, and to
//! notice if it was exchanged.

use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::run::State;
use crate::workflow::Completeness;
use exhibit_tlog::digest::Digest;

/// What the caller gets for a sealed run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Identity of the run.
    pub run: RunId,
    /// How it came to be sealed.
    pub state: State,
    /// What the caller said came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether the run holds what its workflow required; null when nobody had configured it.
    pub completeness: Option<Completeness>,
    /// When it was sealed, RFC 3339, UTC.
    pub sealed_at: String,
    /// Path of the folder, relative to the store.
    pub folder: String,
    /// Number of events.
    pub events: u64,
    /// Number of files below `data/`.
    pub files: u64,
    /// Bytes below `data/`.
    pub size_bytes: u64,
    /// SHA-256 of `tagmanifest-sha256.txt`: one value that stands for the whole folder.
    pub tagmanifest_sha256: Digest,
    /// SHA-256 of `seal.json`.
    pub seal_sha256: Digest,
    /// Fingerprint of the key that signed, as `ssh-keygen -l` prints it.
    pub key: String,
    /// When an authority saw the signature: RFC 3339, UTC; none when there is no timestamp over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// Index of the seal in the store's log, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_index: Option<u64>,
    /// The log's checkpoint that covers it, a signed note: whoever keeps it notices when the log is
    /// cut short or rewritten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<String>,
}
