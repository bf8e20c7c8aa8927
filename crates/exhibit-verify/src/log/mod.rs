//! Owns the reading of the log of a store: one transparency log (c2sp.org/tlog-tiles) in which every
//! run stands twice, when it is opened and when it is sealed, beside the daemon's own life. What its
//! entries say ([`leaf`]), what follows from them ([`Standing`]), and where it lies on disk.

mod continuation;
mod head;
mod keys;
pub mod leaf;
mod reader;
mod stamp_file;
mod standing;

pub use self::continuation::{Broken, Continuation, Indexed};
pub use self::head::RunHead;
pub use self::keys::{LoggedEpoch, LoggedKeys, LoggedRevocation};
pub use self::leaf::{Leaf, LeafKind, Life};
pub use self::reader::{
    CheckedReader, LogReader, OtherTile, TreeReader, read_checkpoint, read_kept_checkpoint,
};
pub use self::stamp_file::{MAX_PER_CHECKPOINT, StampFile};
pub use self::standing::purged_import;
pub use self::standing::{Archived, Hold, KeptImport, Standing, Tombstone};

/// Folder of the log, in the store.
pub const FOLDER: &str = "log";
/// The newest checkpoint, in that folder.
pub const CHECKPOINT: &str = "checkpoint";
/// Folder of every checkpoint there was, in the store.
pub const HISTORY: &str = "checkpoints";
/// The newest checkpoint that a witness cosigned, in that folder.
pub const WITNESSED: &str = "witnessed.note";
/// The newest one that has a timestamp, there as well.
pub const STAMPED: &str = "stamped.note";
