//! Owns the exit codes of verification: a documented contract (docs/API.md), the same for
//! `exhibit verify` and `exhibit-verify`.

/// Intact, and vouched for.
pub const OK: u8 = 0;
/// The command line is wrong.
pub const USAGE: u8 = 2;
/// Something was changed, added, removed or exchanged.
pub const ALTERED: u8 = 10;
/// Something that must be there is not.
pub const INCOMPLETE: u8 = 11;
/// Intact, but nobody vouched for the key, the log or the timestamp.
pub const UNKNOWN_KEY: u8 = 12;
/// Could not be read.
pub const UNREADABLE: u8 = 13;
