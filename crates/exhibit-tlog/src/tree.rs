//! Owns the Merkle tree of RFC 6962 §2.1: its hashes, its root, and the proofs that an entry is in
//! it and that a later tree continues an earlier one. Whoever has the hashes hands them over.
//! Making proofs and checking them share no code beyond the two hashes.

use std::io;

use crate::digest::Digest;

/// The hash of an entry: SHA-256 over 0x00 and its bytes.
pub fn leaf_hash(entry: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], entry])
}

/// The hash of a node over its two children: SHA-256 over 0x01 and both.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest::of_parts(&[&[1], left.as_bytes(), right.as_bytes()])
}

/// The root of the tree without entries: SHA-256 of nothing.
pub fn empty_root() -> Digest {
    Digest::of(b"")
}

/// The root over `hashes`, each the root of a complete tree of one and the same size but for the
/// last, which may be of a smaller one. None when there are none.
pub fn root_over(hashes: &[Digest]) -> Option<Digest> {
    match hashes {
        [] => None,
        [one] => Some(*one),
        _ => {
            let (left, right) = hashes.split_at(1 << (hashes.len() - 1).ilog2());
            Some(node_hash(&root_over(left)?, &root_over(right)?))
        }
    }
}

/// The largest power of two below `size`, which is at least 2: how many entries are to the left.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// Where the hashes of complete trees come from.
pub trait Hashes {
    /// The root of the complete tree over the entries from `index << level`, as many as
    /// `1 << level`.
    ///
    /// # Errors
    /// What the place they are kept at answers.
    fn complete(&self, level: u32, index: u64) -> io::Result<Digest>;
}

/// The root of the tree over the entries `from..to`, where `from` is a multiple of the smallest
/// power of two that is not below `to - from`.
fn subtree(hashes: &impl Hashes, from: u64, to: u64) -> io::Result<Digest> {
    let size = to - from;
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return hashes.complete(level, from >> level);
    }
    let middle = from + split(size);
    Ok(node_hash(&subtree(hashes, from, middle)?, &subtree(hashes, middle, to)?))
}

/// The root of the tree of the first `size` entries.
///
/// # Errors
/// As [`Hashes::complete`].
pub fn root(hashes: &impl Hashes, size: u64) -> io::Result<Digest> {
    if size == 0 { Ok(empty_root()) } else { subtree(hashes, 0, size) }
}

/// The proof that the entry `index` is in the tree of the first `size` entries (RFC 6962 §2.1.1),
/// from the entry upwards.
///
/// # Errors
/// `InvalidInput` when there is no such entry in it; as [`Hashes::complete`].
pub fn inclusion_proof(hashes: &impl Hashes, index: u64, size: u64) -> io::Result<Vec<Digest>> {
    if index >= size {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let (mut from, mut to, mut proof) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            proof.push(subtree(hashes, middle, to)?);
            to = middle;
        } else {
            proof.push(subtree(hashes, from, middle)?);
            from = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// The proof that the tree of the first `size` entries continues that of the first `old` (RFC 6962
/// §2.1.2). Nothing is to be proven for an empty or an equal tree.
///
/// # Errors
/// `InvalidInput` when `old` is larger; as [`Hashes::complete`].
pub fn consistency_proof(hashes: &impl Hashes, old: u64, size: u64) -> io::Result<Vec<Digest>> {
    if old > size {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut proof = Vec::new();
    if old == 0 || old == size {
        return Ok(proof);
    }
    let (mut from, mut to, mut whole) = (0, size, true);
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            proof.push(subtree(hashes, middle, to)?);
            to = middle;
        } else {
            proof.push(subtree(hashes, from, middle)?);
            (from, whole) = (middle, false);
        }
    }
    if !whole {
        proof.push(subtree(hashes, from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Whether `proof` shows that an entry with the hash `leaf` stands at `index` in the tree of `size`
/// entries with the root `root` (RFC 9162 §2.1.3.2).
pub fn verify_inclusion(
    leaf: Digest,
    index: u64,
    size: u64,
    proof: &[Digest],
    root: Digest,
) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node_hash(step, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// Whether `proof` shows that the tree of `size` entries with the root `root` continues that of
/// `old` entries with the root `old_root` (RFC 9162 §2.1.4.2).
pub fn verify_consistency(
    old: u64,
    old_root: Digest,
    size: u64,
    root: Digest,
    proof: &[Digest],
) -> bool {
    if old == 0 || old >= size {
        let same = if old == 0 { old_root == empty_root() } else { old_root == root };
        return old <= size && same && proof.is_empty();
    }
    let (mut at, mut last, mut steps) = (old - 1, size - 1, proof.iter());
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // A complete old tree is not in the proof: it is known.
    let first = if old.is_power_of_two() { Some(old_root) } else { steps.next().copied() };
    let Some(first) = first else { return false };
    let (mut of_old, mut of_new) = (first, first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            of_old = node_hash(step, &of_old);
            of_new = node_hash(step, &of_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            of_new = node_hash(&of_new, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && of_old == old_root && of_new == root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A tree held whole, its hashes computed as RFC 6962 defines them.
    struct Whole(Vec<Digest>);

    impl Whole {
        fn of(size: u64) -> Self {
            Self((0..size).map(|entry| leaf_hash(&entry.to_be_bytes())).collect())
        }

        fn defined(hashes: &[Digest]) -> Digest {
            if hashes.is_empty() {
                return empty_root();
            }
            if let [one] = hashes {
                return *one;
            }
            let mut left = 1;
            while left * 2 < hashes.len() {
                left *= 2;
            }
            node_hash(&Self::defined(&hashes[..left]), &Self::defined(&hashes[left..]))
        }
    }

    impl Hashes for Whole {
        fn complete(&self, level: u32, index: u64) -> io::Result<Digest> {
            let place = |entry: u64| usize::try_from(entry << level).expect("a small tree");
            let (from, to) = (place(index), place(index + 1));
            Ok(Self::defined(&self.0[from..to]))
        }
    }

    #[test]
    fn the_hashes_are_those_of_the_certificate_transparency_test_vectors() {
        // The tree of eight entries of RFC 6962's reference implementation.
        let entries: [&[u8]; 8] = [
            b"",
            &[0],
            &[0x10],
            &[0x20, 0x21],
            &[0x30, 0x31],
            &[0x40, 0x41, 0x42, 0x43],
            &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
            &[
                0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d,
                0x6e, 0x6f,
            ],
        ];
        let tree = Whole(entries.iter().map(|entry| leaf_hash(entry)).collect());
        let of = |size| root(&tree, size).expect("in memory").to_string();
        assert_eq!(of(0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(of(1), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        assert_eq!(of(3), "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        assert_eq!(of(8), "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    proptest! {
        #[test]
        fn proofs_hold_for_what_they_say_and_for_nothing_else(
            size in 1_u64..200, index in 0_u64..200, old in 0_u64..200, flip in 0_usize..64
        ) {
            let (index, old) = (index % size, old % (size + 1));
            let tree = Whole::of(size);
            let top = root(&tree, size).expect("in memory");
            prop_assert_eq!(top, Whole::defined(&tree.0));
            let proof = inclusion_proof(&tree, index, size).expect("in memory");
            let leaf = tree.complete(0, index).expect("in memory");
            prop_assert!(verify_inclusion(leaf, index, size, &proof, top));
            prop_assert!(!verify_inclusion(leaf_hash(b"other"), index, size, &proof, top));
            prop_assert!(size == 1 || !verify_inclusion(leaf, (index + 1) % size, size, &proof, top));
            let mut longer = proof.clone();
            longer.push(Digest::ZERO);
            prop_assert!(!verify_inclusion(leaf, index, size, &longer, top));
            if !proof.is_empty() {
                let mut wrong = proof.clone();
                let at = flip % wrong.len();
                wrong[at] = Digest::ZERO;
                prop_assert!(!verify_inclusion(leaf, index, size, &wrong, top));
                prop_assert!(!verify_inclusion(leaf, index, size, &proof[1..], top));
            }

            let before = root(&tree, old).expect("in memory");
            let proof = consistency_proof(&tree, old, size).expect("in memory");
            prop_assert!(verify_consistency(old, before, size, top, &proof));
            if old > 0 && old < size {
                prop_assert!(!verify_consistency(old, Digest::ZERO, size, top, &proof));
                prop_assert!(!verify_consistency(old, before, size, Digest::ZERO, &proof));
                let mut wrong = proof.clone();
                let at = flip % wrong.len();
                wrong[at] = Digest::ZERO;
                prop_assert!(!verify_consistency(old, before, size, top, &wrong));
                prop_assert!(!verify_consistency(old, before, size, top, &proof[1..]));
                let mut longer = proof;
                longer.push(Digest::ZERO);
                prop_assert!(!verify_consistency(old, before, size, top, &longer));
            }
            prop_assert!(!verify_consistency(size + 1, top, size, top, &[]));
        }

        #[test]
        fn roots_over_tiles_are_the_root(size in 1_usize..700) {
            // As the log keeps them: complete trees of 256, and what is left over.
            let tree = Whole::of(size as u64);
            let tops: Vec<Digest> =
                tree.0.chunks(256).filter_map(root_over).collect();
            prop_assert_eq!(root_over(&tops), Some(Whole::defined(&tree.0)));
        }
    }
}
