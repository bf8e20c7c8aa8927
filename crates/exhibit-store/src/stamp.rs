//! Owns what sealing asks of a timestamp authority (RFC 3161): one response to one request over a
//! folder's signature, or nothing, in bounded time. Asks nobody itself: who does is handed in.

use std::fmt::Debug;

use crate::id::RunId;
use crate::timestamp::Request;

/// Somebody who says when a signature was there.
pub trait TimestampAuthority: Debug + Send + Sync {
    /// The response to `request`, which is over the signature of `run`, in DER. Blocks for as long
    /// as a seal may be held up, and no longer; none when there was no answer by then. That this was
    /// so is for the implementor to tell.
    fn ask(&self, run: RunId, request: &Request) -> Option<Vec<u8>>;
}
