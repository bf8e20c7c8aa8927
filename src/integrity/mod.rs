//! Owns what keeps sealed evidence as it is beside cryptography, and what notices when it is not
//! left alone: watched folders, the tamper events seen in them, the operator's hook, the guard that makes
//! folders immutable, fs-verity. Judges no evidence and writes to no log.

mod folders;
pub mod guard;
mod hook;
pub(crate) mod memory;
mod tamper;
pub mod verity;

pub use folders::{Folders, WatchEvent};
pub use hook::{Hook, HookCounts, Messages};
pub use tamper::{Burst, TamperEvent, TamperKind, TamperPlace};
