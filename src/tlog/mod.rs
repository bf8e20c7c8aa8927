//! Owns the arithmetic and the texts of a transparency log, as C2SP specifies them: the Merkle tree
//! ([`tree`]), its tiles ([`tile`]), signed notes and cosignatures ([`note`]), checkpoints
//! ([`checkpoint`]), proofs ([`proof`]), what a witness is asked ([`witness`]) and whom a reader
//! believes ([`policy`]). Knows no file and no clock; where the log lies on disk and what its
//! entries say is `evidence/log`'s.
//!
//! Sources: c2sp.org/tlog-tiles 0.1.0, c2sp.org/tlog-checkpoint 1.0.0, c2sp.org/signed-note 1.0.0,
//! c2sp.org/tlog-cosignature 1.0.1, c2sp.org/tlog-proof (v1), c2sp.org/tlog-witness 1.0.0,
//! c2sp.org/tlog-policy (untagged), RFC 6962 §2.1 and RFC 9162 §2.1.

pub mod checkpoint;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod witness;
