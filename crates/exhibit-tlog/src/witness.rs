//! Owns what a log asks of a witness, in the form of c2sp.org/tlog-witness 1.0.0 (`add-checkpoint`):
//! a checkpoint, and the proof that it continues the one the witness saw before. By file or by
//! HTTP, the bytes are the same.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::checkpoint::Checkpoint;
use super::note::{Note, NoteError, VerifierKey};
use super::tree;
use crate::digest::Digest;

/// Hashes in a proof between the largest trees there can be.
const MAX_HASHES: usize = 63;

/// What a log asks of a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Size of the checkpoint that the witness is thought to have seen last; 0 for none.
    pub old: u64,
    /// That the new one continues it.
    pub proof: Vec<Digest>,
    /// The new one, signed by the log.
    pub note: Note,
    /// What it states.
    pub checkpoint: Checkpoint,
}

/// Why a witness does not sign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The log's key has not signed.
    #[error("the checkpoint is not signed by the log {0}")]
    NotSigned(String),
    /// The witness saw another checkpoint last.
    #[error(
        "this witness saw the checkpoint at {seen} last, and the request begins at {asked}; ask for one that begins there"
    )]
    OtherStart {
        /// What it saw last.
        seen: u64,
        /// What the log thought.
        asked: u64,
    },
    /// It asks for less than the witness saw: an old request, or one that was edited.
    #[error(
        "the request is for {size} entries, and this witness saw {seen}; ask for one of the log as it is now"
    )]
    Shorter {
        /// The size this witness saw.
        seen: u64,
        /// The size asked for.
        size: u64,
    },
    /// The log signed two histories of one size: whoever holds both notes can show it.
    #[error(
        "THE LOG DOES NOT CONTINUE what this witness saw: it signed {size} entries with the root {root}, and as many with the root {seen}"
    )]
    Split {
        /// The size of both.
        size: u64,
        /// The root this witness saw.
        seen: Digest,
        /// The new one.
        root: Digest,
    },
    /// The proof, which nobody signs, does not lead from what was seen to what is asked for.
    #[error(
        "nothing shows that {size} entries with the root {root} continue the {seen} that this witness saw: the request was damaged on its way, or THE LOG DOES NOT CONTINUE; ask for a new request, and if that one fails as well, the log was rewritten"
    )]
    NotShown {
        /// The size this witness saw.
        seen: u64,
        /// The new size.
        size: u64,
        /// The new root.
        root: Digest,
    },
}

impl Request {
    /// Read a request.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        let (head, note) = text.split_once("\n\n").ok_or(malformed("there is no blank line"))?;
        let mut lines = head.split('\n');
        let number = lines.next().and_then(|line| line.strip_prefix("old "));
        let number = number.ok_or(malformed("a request begins with the old size"))?;
        let old: u64 = number.parse().map_err(|_| malformed("a request's old size"))?;
        let mut proof = Vec::new();
        for line in lines {
            let hash = STANDARD.decode(line).ok().and_then(|hash| <[u8; 32]>::try_from(hash).ok());
            proof.push(Digest::from_bytes(hash.ok_or(malformed("a hash of the proof"))?));
            if proof.len() > MAX_HASHES {
                return Err(malformed("there are more hashes than a tree has levels"));
            }
        }
        let note = Note::parse(note)?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        Ok(Self { old, proof, note, checkpoint })
    }

    /// Whether a witness that saw `seen` last may sign this, for the log with the key `log`.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, log: &VerifierKey, seen: Option<&Checkpoint>) -> Result<(), Refusal> {
        let Self { old, proof, note, checkpoint } = self;
        if log.name() != checkpoint.origin || note.signed_by(log).is_none() {
            return Err(Refusal::NotSigned(log.name().to_owned()));
        }
        let (size, root) = seen.map_or((0, tree::empty_root()), |seen| (seen.size, seen.root));
        // What the log signed comes first; where the request says it begins, nobody signs.
        if checkpoint.size == size && checkpoint.root != root {
            return Err(Refusal::Split { size, seen: root, root: checkpoint.root });
        }
        if *old != size {
            return Err(Refusal::OtherStart { seen: size, asked: *old });
        }
        if checkpoint.size < size {
            return Err(Refusal::Shorter { seen: size, size: checkpoint.size });
        }
        // Of the checkpoint that was seen there is nothing to show, whatever stands there as proof.
        if checkpoint.size == size
            || tree::verify_consistency(size, root, checkpoint.size, checkpoint.root, proof)
        {
            return Ok(());
        }
        Err(Refusal::NotShown { seen: size, size: checkpoint.size, root: checkpoint.root })
    }
}

/// The request as it is sent.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("old {}\n", self.old);
        for hash in &self.proof {
            writeln!(text, "{}", STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "{text}\n{}", self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::super::note::{Algorithm, NoteSigner};
    use super::*;

    fn request(old: u64, leaves: &[&str]) -> (Request, VerifierKey) {
        let hashes: Vec<Digest> =
            leaves.iter().map(|leaf| tree::leaf_hash(leaf.as_bytes())).collect();
        let root = tree::root_over(&hashes).expect("there are some");
        let size = leaves.len() as u64;
        let checkpoint = Checkpoint { origin: "example.com/log".to_owned(), size, root };
        let signer = NoteSigner::new("example.com/log", &[7; 32]).expect("a name");
        let mut note = Note::new(checkpoint.to_string());
        note.add(&signer.sign(&note.text)).expect("a line");
        // From one entry to two: the second one's hash.
        let proof = if old == 1 { vec![hashes[1]] } else { Vec::new() };
        (Request { old, proof, note, checkpoint }, signer.verifier(Algorithm::Ed25519))
    }

    #[test]
    fn a_witness_signs_only_what_continues_what_it_saw() {
        let (first, log) = request(0, &["a"]);
        assert_eq!(first.check(&log, None), Ok(()));
        let (second, _) = request(1, &["a", "b"]);
        assert_eq!(second.check(&log, Some(&first.checkpoint)), Ok(()));
        let told = second.check(&log, None).expect_err("another start");
        assert_eq!(told, Refusal::OtherStart { seen: 0, asked: 1 });
        let (rewritten, _) = request(1, &["x", "b"]);
        let told = rewritten.check(&log, Some(&first.checkpoint)).expect_err("rewritten");
        assert!(matches!(told, Refusal::NotShown { seen: 1, size: 2, .. }), "{told}");
        let (split, _) = request(0, &["x"]);
        let told = split.check(&log, Some(&first.checkpoint)).expect_err("two histories");
        assert!(matches!(told, Refusal::Split { size: 1, .. }), "{told}");
        let other = NoteSigner::new("example.com/log", &[8; 32]).expect("a name");
        let other = other.verifier(Algorithm::Ed25519);
        assert!(matches!(first.check(&other, None), Err(Refusal::NotSigned(_))));
    }

    /// What no signature covers can be edited by whoever carries a request: that accuses no log.
    #[test]
    fn an_edited_request_does_not_accuse_the_log() {
        let (first, log) = request(0, &["a"]);
        let (second, _) = request(1, &["a", "b"]);
        let told = Request { old: 2, ..first }.check(&log, Some(&second.checkpoint));
        assert_eq!(told, Err(Refusal::Shorter { seen: 2, size: 1 }));
        let again = Request { old: 2, ..second.clone() };
        assert_eq!(again.check(&log, Some(&second.checkpoint)), Ok(()), "a proof of nothing");
        let seen = request(0, &["a"]).0.checkpoint;
        let damaged = Request { proof: vec![Digest::ZERO], ..second };
        let told = damaged.check(&log, Some(&seen)).expect_err("damaged").to_string();
        assert!(told.contains("damaged on its way, or THE LOG DOES NOT CONTINUE"), "{told}");
    }

    #[test]
    fn a_request_survives_its_text() {
        let (request, _) = request(1, &["a", "b"]);
        let text = request.to_string();
        assert_eq!(Request::parse(&text), Ok(request));
        for bad in
            [text.replace("old", "new"), text.replace("old 1", "old x"), text.replace("\n\n", "\n")]
        {
            assert!(Request::parse(&bad).is_err(), "{bad}");
        }
    }
}
