//! Owns the digests of the seals that the log holds.

use crate::digest::Digest;
use crate::disk;
use crate::evidence::log::{Leaf, LeafKind, Log};
use crate::evidence::{PROOF, Store, seal_digest};
use crate::id::RunId;
use crate::tlog::note::MAX_NOTE;
use crate::tlog::proof::Proof;

/// The digest of the last seal of `run` in the log; none where it holds none, or cannot be read.
pub(in crate::runs) fn seal_in_log(log: &Log, store: &Store, run: RunId) -> Option<Digest> {
    let entry = |index: u64| {
        let entry = log.entry(index).ok()?;
        let leaf = Leaf::parse(&entry)?;
        (leaf.kind == LeafKind::Seal && leaf.run == Some(run)).then(|| Digest::of(&entry))
    };
    // Its proof says where to look, and is not believed: what stands there is read.
    let proof = disk::read_plain(&store.folder_of(run).join(PROOF), MAX_NOTE).ok();
    let proof = proof.and_then(|text| Proof::parse(std::str::from_utf8(&text).ok()?).ok());
    let near = proof.and_then(|proof| entry(proof.index));
    let seal = seal_digest(&store.folder_of(run));
    if near.is_some() && near == seal {
        return near;
    }
    let places = log.places(&[run]).ok()?;
    entry(places.get(&run)?.seal?)
}
