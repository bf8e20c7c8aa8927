//! The arithmetic and the texts of a transparency log, as C2SP specifies them, and SHA-256, on which
//! both stand: bytes in, bytes out.
//!
//! In scope: the Merkle tree ([`tree`], [`frontier`]) and its tiles ([`tile`]), signed notes and cosignatures
//! ([`note`]), checkpoints ([`checkpoint`]), proofs ([`proof`]), the request to a witness
//! ([`witness`]), a verifier's policy of logs and witnesses ([`policy`]), digests ([`digest`]).
//!
//! Out of scope: files, clocks, the network, keys on disk, and what an entry of a log means. Where a
//! log lies on disk and what its entries say is `exhibit-verify`'s; who writes it, `exhibit-store`'s.
//!
//! Sources: c2sp.org/tlog-tiles 0.1.0, c2sp.org/tlog-checkpoint 1.0.0, c2sp.org/signed-note 1.0.0,
//! c2sp.org/tlog-cosignature 1.0.1, c2sp.org/tlog-proof (v1), c2sp.org/tlog-witness 1.0.0,
//! c2sp.org/tlog-policy (untagged), RFC 6962 §2.1 and RFC 9162 §2.1.
//!
//! # Example
//! A log of three entries, and the proof that the second is in it:
//!
//! ```
//! use exhibit_tlog::digest::Digest;
//! use exhibit_tlog::tree::{Hashes, inclusion_proof, leaf_hash, root, root_over, verify_inclusion};
//!
//! /// Whoever keeps the hashes hands over roots of complete subtrees.
//! struct Leaves(Vec<Digest>);
//!
//! impl Hashes for Leaves {
//!     fn complete(&self, level: u32, index: u64) -> std::io::Result<Digest> {
//!         let (from, to) = ((index << level) as usize, ((index + 1) << level) as usize);
//!         Ok(root_over(&self.0[from..to]).expect("a subtree has leaves"))
//!     }
//! }
//!
//! let log = Leaves([&b"refund"[..], b"access change", b"validation"].map(leaf_hash).into());
//! let proof = inclusion_proof(&log, 1, 3)?;
//! let top = root(&log, 3)?;
//! assert!(verify_inclusion(leaf_hash(b"access change"), 1, 3, &proof, top));
//! assert!(!verify_inclusion(leaf_hash(b"another"), 1, 3, &proof, top));
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod checkpoint;
pub mod digest;
pub mod frontier;
pub mod note;
pub mod policy;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod witness;
