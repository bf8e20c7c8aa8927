//! Owns signed notes (c2sp.org/signed-note 1.0.0) with Ed25519 signatures, and the cosignatures of
//! witnesses (c2sp.org/tlog-cosignature 1.0.1): reading them, checking them, making them. A key is
//! whatever the caller hands over; none is taken from a note.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::digest::Digest;

/// Begins a signature's line.
const DASH: &str = "\u{2014} ";
/// Most signature lines that are read.
const MAX_SIGNATURES: usize = 100;
/// Longest note that is read, in bytes.
pub const MAX_NOTE: u64 = 1 << 16;

/// What a key signs with; the byte that tells it in a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// The text of the note: how a log signs its checkpoints.
    Ed25519,
    /// The text with a time before it: how a witness cosigns.
    Cosignature,
}

impl Algorithm {
    fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 1,
            Self::Cosignature => 4,
        }
    }
}

/// Why a text is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not a note.
    #[error("not a signed note: {0}")]
    Malformed(&'static str),
    /// Not the key of a log or witness.
    #[error("not a verifier key (name+hash+key): {0}")]
    Key(&'static str),
    /// Not a name for a log or a witness.
    #[error("{0:?} cannot name a log or witness: 1 to 200 letters, no space and no plus sign")]
    Name(String),
}

/// Whether `name` can be the name of a log or a witness.
///
/// # Errors
/// [`NoteError::Name`].
pub fn check_name(name: &str) -> Result<(), NoteError> {
    let sound = |letter: char| !letter.is_whitespace() && !letter.is_control() && letter != '+';
    if name.is_empty() || name.len() > 200 || !name.chars().all(sound) {
        return Err(NoteError::Name(name.to_owned()));
    }
    Ok(())
}

/// The four bytes that tell keys apart.
fn key_id(name: &str, algorithm: Algorithm, public: &[u8; 32]) -> [u8; 4] {
    let parts: [&[u8]; 4] = [name.as_bytes(), b"\n", &[algorithm.byte()], public];
    let digest = Digest::of_parts(&parts);
    let (id, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    *id
}

/// The public key of a log or a witness, with its name: `example.com/log+7d3f0a12+AZ…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    algorithm: Algorithm,
    key: VerifyingKey,
}

impl VerifierKey {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn id(&self) -> [u8; 4] {
        key_id(&self.name, self.algorithm, self.key.as_bytes())
    }

    /// Whether `signature` is this key's over `text`; the time of a cosignature in seconds since
    /// the epoch, 0 for others.
    fn check(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let (time, signed, raw) = match self.algorithm {
            Algorithm::Ed25519 => (0, text.as_bytes().to_vec(), signature),
            Algorithm::Cosignature => {
                let (time, raw) = signature.split_first_chunk::<8>()?;
                let time = u64::from_be_bytes(*time);
                (time, cosigned(time, text), raw)
            }
        };
        let signature = ed25519_dalek::Signature::from_slice(raw).ok()?;
        self.key.verify_strict(&signed, &signature).ok()?;
        Some(time)
    }
}

/// What a witness signs: the time at which it saw the checkpoint, and its text.
fn cosigned(time: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {time}\n{text}").into_bytes()
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = u32::from_be_bytes(self.id());
        let mut key = vec![self.algorithm.byte()];
        key.extend(self.key.as_bytes());
        write!(f, "{}+{id:08x}+{}", self.name, STANDARD.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut parts = text.trim_end_matches('\n').splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Key("expected three parts with a plus sign between them"));
        };
        check_name(name)?;
        let key = STANDARD.decode(key).map_err(|_| NoteError::Key("the key is no Base64"))?;
        let (algorithm, key) = match key.split_first() {
            Some((1, key)) => (Algorithm::Ed25519, key),
            Some((4, key)) => (Algorithm::Cosignature, key),
            _ => return Err(NoteError::Key("the key is of a kind that is not supported")),
        };
        let key = <[u8; 32]>::try_from(key).map_err(|_| NoteError::Key("the key's length"))?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| NoteError::Key("no Ed25519 key"))?;
        let read = Self { name: name.to_owned(), algorithm, key };
        if id != format!("{:08x}", u32::from_be_bytes(read.id())) {
            return Err(NoteError::Key("the hash is not that of name and key"));
        }
        Ok(read)
    }
}

/// The private key of a log or a witness. Never shown.
pub struct NoteSigner {
    name: String,
    key: SigningKey,
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({})", self.name)
    }
}

impl NoteSigner {
    /// The key with this seed (RFC 8032 §5.1.5), under the name `name`.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), key: SigningKey::from_bytes(seed) })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public half, for signatures of this kind.
    pub fn verifier(&self, algorithm: Algorithm) -> VerifierKey {
        VerifierKey { name: self.name.clone(), algorithm, key: self.key.verifying_key() }
    }

    /// The line that signs `text`, with its line feed.
    pub fn sign(&self, text: &str) -> String {
        let signature = self.key.sign(text.as_bytes()).to_bytes();
        self.line(Algorithm::Ed25519, &signature)
    }

    /// The line that cosigns `text` as seen at `time`, in seconds since the epoch.
    pub fn cosign(&self, text: &str, time: u64) -> String {
        let mut signature = time.to_be_bytes().to_vec();
        signature.extend(self.key.sign(&cosigned(time, text)).to_bytes());
        self.line(Algorithm::Cosignature, &signature)
    }

    fn line(&self, algorithm: Algorithm, signature: &[u8]) -> String {
        let mut bytes = self.verifier(algorithm).id().to_vec();
        bytes.extend(signature);
        format!("{DASH}{} {}\n", self.name, STANDARD.encode(bytes))
    }
}

/// A signed note: a text and the lines that sign it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The text, with its last line feed.
    pub text: String,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    name: String,
    id: [u8; 4],
    signature: Vec<u8>,
}

impl Note {
    /// The note with this text, signed by nobody yet.
    pub fn new(text: String) -> Self {
        Self { text, lines: Vec::new() }
    }

    /// Read a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let malformed = NoteError::Malformed;
        if note.chars().any(|letter| letter.is_ascii_control() && letter != '\n') {
            return Err(malformed("it holds control characters"));
        }
        let at = note.rfind("\n\n").ok_or(malformed("there is no blank line"))?;
        let (text, signatures) = (&note[..=at], &note[at + 2..]);
        let signatures =
            signatures.strip_suffix('\n').ok_or(malformed("it does not end with a line feed"))?;
        let mut read = Self::new(text.to_owned());
        for line in signatures.split('\n') {
            if read.lines.len() == MAX_SIGNATURES {
                return Err(malformed("there are more than a hundred signatures"));
            }
            let line = Line::parse(line).ok_or(malformed("a signature's line"))?;
            read.lines.push(line);
        }
        Ok(read)
    }

    /// Add the signature `line`, which [`NoteSigner::sign`] or [`NoteSigner::cosign`] made.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn add(&mut self, line: &str) -> Result<(), NoteError> {
        let line = Line::parse(line.trim_end_matches('\n'));
        let line = line.ok_or(NoteError::Malformed("a signature's line"))?;
        self.lines.push(line);
        Ok(())
    }

    /// Take over the line with which `key` signed `other`, a note of the same text; whether there
    /// was a sound one. Other lines that claim the same key go, but for its own later cosignature.
    pub fn take_signature(&mut self, other: &Self, key: &VerifierKey) -> bool {
        let Some(taken) = other.newest(key).filter(|_| other.text == self.text) else {
            return false;
        };
        let later = self.newest(key).filter(|(_, time)| *time > taken.1);
        let line = later.unwrap_or(taken).0.clone();
        self.lines.retain(|own| !own.claims(key));
        self.lines.push(line);
        true
    }

    /// Whether `key` signed: the time of its latest cosignature in seconds since the epoch, 0 where
    /// it makes none. Anybody can add a line that claims the key and is none of its signatures; that
    /// takes nothing from one that is.
    pub fn signed_by(&self, key: &VerifierKey) -> Option<u64> {
        self.newest(key).map(|(_, time)| time)
    }

    fn newest(&self, key: &VerifierKey) -> Option<(&Line, u64)> {
        let claimed = self.lines.iter().filter(|line| line.claims(key));
        let sound =
            claimed.filter_map(|line| Some((line, key.check(&self.text, &line.signature)?)));
        sound.max_by_key(|(_, time)| *time)
    }

    /// Whether a line claims none of `keys`.
    pub fn has_strangers<'a>(&self, keys: impl Iterator<Item = &'a VerifierKey> + Clone) -> bool {
        self.lines.iter().any(|line| !keys.clone().any(|key| line.claims(key)))
    }

    /// Who signed, by their own word.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.name.as_str())
    }
}

impl Line {
    /// Whether it says that `key` made it.
    fn claims(&self, key: &VerifierKey) -> bool {
        self.name == key.name && self.id == key.id()
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        check_name(name).ok()?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, signature) = bytes.split_first_chunk::<4>()?;
        let signature = Some(signature).filter(|signature| !signature.is_empty())?.to_vec();
        Some(Self { name: name.to_owned(), id: *id, signature })
    }
}

/// The note as it is written.
impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.lines.iter().try_for_each(|line| {
            let mut bytes = line.id.to_vec();
            bytes.extend(&line.signature);
            writeln!(f, "{DASH}{} {}", line.name, STANDARD.encode(bytes))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signer(name: &str) -> NoteSigner {
        NoteSigner::new(name, &[7; 32]).expect("a name")
    }

    #[test]
    fn the_example_of_the_reference_implementation_verifies() {
        // golang.org/x/mod/sumdb/note, package documentation.
        let key = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let key: VerifierKey = key.parse().expect("a key");
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert_eq!(Note::parse(note).expect("a note").signed_by(&key), Some(0));
        let signer = signer("example.com/log");
        let key = signer.verifier(Algorithm::Cosignature);
        assert_eq!(key.to_string().parse(), Ok(key));
    }

    #[test]
    fn a_note_is_believed_only_whole_and_from_the_key_handed_over() {
        let (log, witness) = (signer("example.com/log"), signer("witness.example/w"));
        let mut note = Note::new("example.com/log\n5\nAAAA\n".to_owned());
        note.add(&log.sign(&note.text)).expect("a line");
        note.add(&witness.cosign(&note.text, 1_790_000_000)).expect("a line");
        let text = note.to_string();
        let read = Note::parse(&text).expect("a note");
        assert_eq!(read, note);
        let (of_log, of_witness) =
            (log.verifier(Algorithm::Ed25519), witness.verifier(Algorithm::Cosignature));
        assert_eq!(read.signed_by(&of_log), Some(0));
        assert_eq!(read.signed_by(&of_witness), Some(1_790_000_000));
        // The same key under another name, or for another purpose, has not signed.
        assert_eq!(read.signed_by(&signer("other").verifier(Algorithm::Ed25519)), None);
        assert_eq!(read.signed_by(&log.verifier(Algorithm::Cosignature)), None);
        // A changed text is signed by nobody.
        let changed = Note::parse(&text.replace("\n5\n", "\n6\n")).expect("a note");
        assert_eq!(changed.signed_by(&of_log), None);
        assert_eq!(changed.signed_by(&of_witness), None);
        // A second line that claims a key takes nothing from its signature, wherever it stands.
        let (head, lines) = text.split_once("\n\n").expect("a note");
        let (false_log, false_witness) = (log.sign("other\n"), witness.cosign("other\n", u64::MAX));
        for twice in [
            format!("{text}{false_log}{false_witness}"),
            format!("{head}\n\n{false_log}{false_witness}{lines}"),
        ] {
            let twice = Note::parse(&twice).expect("a note");
            assert_eq!(twice.signed_by(&of_log), Some(0));
            assert_eq!(twice.signed_by(&of_witness), Some(1_790_000_000));
            let mut bare = Note::new(twice.text.clone());
            assert!(bare.take_signature(&twice, &of_witness));
            assert_eq!(bare.signed_by(&of_witness), Some(1_790_000_000));
            assert!(!twice.has_strangers([&of_log, &of_witness].into_iter()));
            assert!(twice.has_strangers([&of_log].into_iter()));
        }
        // Of two sound cosignatures the later one counts.
        let later = format!("{text}{}", witness.cosign(&note.text, 1_790_000_060));
        let later = Note::parse(&later).expect("a note");
        assert_eq!(later.signed_by(&of_witness), Some(1_790_000_060));
        let mut kept = later.clone();
        assert!(kept.take_signature(&note, &of_witness), "an older one is sound, too");
        assert_eq!(
            kept.signed_by(&of_witness),
            Some(1_790_000_060),
            "and takes no later one's place"
        );
    }

    #[test]
    fn what_is_no_note_or_key_is_told() {
        let log = signer("example.com/log");
        let line = log.sign("a\n");
        for bad in ["", "a\n", "a\n\n", "a\n\nb\n", &format!("a\n\n{}", line.trim_end())] {
            assert!(Note::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Note::parse(&format!("a\r\n\n{line}")).is_err());
        for name in ["", "a b", "a+b", "a\u{2003}b", &"x".repeat(201)] {
            assert!(NoteSigner::new(name, &[7; 32]).is_err(), "{name:?}");
        }
        let key = log.verifier(Algorithm::Ed25519).to_string();
        for bad in [&key.replace("example", "exomple"), &key[..key.len() - 4], "a+b", "a+b+c", ""] {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(note) = Note::parse(&text) {
                prop_assert_eq!(Note::parse(&note.to_string()), Ok(note));
            }
            let _ = text.parse::<VerifierKey>();
        }
    }
}
