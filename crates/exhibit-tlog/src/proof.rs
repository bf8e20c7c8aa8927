//! Owns proofs that can be checked offline (c2sp.org/tlog-proof, v1): where an entry stands in a
//! log, the hashes that lead to the root, and the checkpoint with its signatures.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::Checkpoint;
use super::note::{Note, NoteError};
use super::tree;
use crate::digest::Digest;

/// First line of a proof.
const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// Hashes in a proof of the largest tree there can be.
const MAX_HASHES: usize = 64;

/// A proof that an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Where the entry stands, from 0.
    pub index: u64,
    /// The hashes beside its way to the root, from below.
    pub hashes: Vec<Digest>,
    /// The checkpoint, signed.
    pub note: Note,
    /// What the note states.
    pub checkpoint: Checkpoint,
}

impl Proof {
    /// Read a proof. A line of extra data is left alone.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let (head, note) = text.split_once("\n\n").ok_or(malformed("there is no blank line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(malformed("it does not begin as a proof does"));
        }
        if let Some(extra) = lines.next_if(|line| line.starts_with("extra ")) {
            let extra = STANDARD.decode(extra.trim_start_matches("extra "));
            extra.map_err(|_| malformed("its extra data is no Base64"))?;
        }
        let number = lines.next().and_then(|line| line.strip_prefix("index "));
        let number = number.ok_or(malformed("a proof's index"))?;
        let index: u64 = number.parse().map_err(|_| malformed("a proof's index"))?;
        if index.to_string() != number {
            return Err(malformed("a proof's index is written in its one form"));
        }
        let mut hashes = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).ok().and_then(|hash| <[u8; 32]>::try_from(hash).ok());
            hashes.push(Digest::from_bytes(hash.ok_or(malformed("a hash of the proof"))?));
            if hashes.len() > MAX_HASHES {
                return Err(malformed("there are more hashes than a tree has levels"));
            }
        }
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        Ok(Self { index, hashes, note, checkpoint })
    }

    /// Whether it shows that `entry` is in the log, if its checkpoint can be believed.
    pub fn verify_inclusion(&self, entry: &[u8]) -> bool {
        let Self { index, hashes, checkpoint, .. } = self;
        tree::verify_inclusion(
            tree::leaf_hash(entry),
            *index,
            checkpoint.size,
            hashes,
            checkpoint.root,
        )
    }
}

/// The proof as it is written.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("{HEADER}\nindex {}\n", self.index);
        for hash in &self.hashes {
            writeln!(text, "{}", STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "{text}\n{}", self.note)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::note::{Algorithm, NoteSigner};
    use super::*;

    fn proof() -> Proof {
        let leaves = [tree::leaf_hash(b"open"), tree::leaf_hash(b"seal")];
        let root = tree::node_hash(&leaves[0], &leaves[1]);
        let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size: 2, root };
        let signer = NoteSigner::new("example.com/log", &[7; 32]).expect("a name");
        let mut note = Note::new(checkpoint.to_string());
        note.add(&signer.sign(&note.text)).expect("a line");
        assert_eq!(note.signed_by(&signer.verifier(Algorithm::Ed25519)), Some(0));
        Proof { index: 1, hashes: vec![leaves[0]], note, checkpoint }
    }

    #[test]
    fn a_proof_survives_its_text_and_holds_for_its_entry_only() {
        let proof = proof();
        let read = Proof::parse(&proof.to_string()).expect("a proof");
        assert_eq!(read, proof);
        assert!(read.verify_inclusion(b"seal") && !read.verify_inclusion(b"open"));
        let extra = proof.to_string().replace("index", "extra AAAA\nindex");
        assert_eq!(Proof::parse(&extra), Ok(proof));
    }

    #[test]
    fn what_is_no_proof_is_told() {
        let text = proof().to_string();
        for bad in [
            text.replace("@v1", "@v2"),
            text.replace("index 1", "index 01"),
            text.replace("index 1", "index x"),
            text.replace("\n\n", "\n"),
            text.replace("index 1\n", "index 1\nAAAA\n"),
        ] {
            assert!(Proof::parse(&bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String, cut: prop::sample::Index) {
            let _ = Proof::parse(&text);
            let whole = proof().to_string();
            let at = (0..=cut.index(whole.len())).rev().find(|at| whole.is_char_boundary(*at));
            let _ = Proof::parse(&whole[..at.expect("0 is a boundary")]);
        }
    }
}
