//! Owns the heads of event chains in the log: how far an open run had come, so that a chain which is
//! cut short or made anew while nobody holds its folder is told from one that a crash left.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::leaf::{self, Leaf, LeafKind};
use crate::id::RunId;
use crate::moment::Moment;
use exhibit_tlog::digest::Digest;

/// Most heads of one entry: it must stay below the 65,535 bytes that the log allows.
const MOST: usize = 400;

/// The head of a run's event chain at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunHead {
    /// The run.
    pub run: RunId,
    /// Number of its events: of whole lines in `events.jsonl`.
    pub events: u64,
    /// SHA-256 of the last of them, without its line feed.
    pub sha256: Digest,
}

impl RunHead {
    /// The heads that `leaf` tells of.
    pub fn in_leaf(leaf: &Leaf) -> Vec<Self> {
        let heads = leaf.data.get("runs").filter(|_| leaf.kind == LeafKind::Progress);
        heads.and_then(|heads| serde_json::from_value(heads.clone()).ok()).unwrap_or_default()
    }

    /// The entries that tell of `heads`.
    pub fn entries(heads: &[Self], at: Moment) -> Vec<Vec<u8>> {
        heads.chunks(MOST).map(|some| leaf::progress(&json!(some), at)).collect()
    }
}
