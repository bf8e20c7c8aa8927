//! Owns the signing keys, of evidence and of the log. Evidence is signed in OpenSSH's signature format
//! (PROTOCOL.sshsig in the OpenSSH source), so that `ssh-keygen -Y verify` checks it, by a key in a
//! file or one that an agent holds. Never shows a key.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey, Signature, SshSig};

use super::error::SignError;
use super::key_file::{self, KeyKind};
use super::layout::NAMESPACE;
use crate::digest::Digest;
use crate::ownership::{self, Use};
use crate::ssh_agent;
use crate::tlog::note::{NoteError, NoteSigner};

/// Comment in a key file we make.
pub(super) const COMMENT: &str = "exhibit evidence key";
/// The same for the log's key.
const LOG_COMMENT: &str = "exhibit log key";
/// Of what is signed, as the signature's format asks for.
const HASH: HashAlg = HashAlg::Sha512;
/// How long an SSH agent may take: somebody may have to touch the key.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the key that signs evidence is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    /// File of the private key; of the public one where an SSH agent holds the private.
    pub path: PathBuf,
    /// What is made when there is none.
    pub kind: KeyKind,
    /// Socket of the SSH agent that holds the key.
    pub agent: Option<PathBuf>,
}

impl KeyPlace {
    /// Whether another key waits to take this one's place at the next reload or start.
    pub fn waits(&self) -> bool {
        self.agent.is_none() && key_file::next_file(&self.path).symlink_metadata().is_ok()
    }
}

/// The key that signs evidence is not there, and something shows that there was one.
#[derive(Debug, thiserror::Error)]
#[error("the signing key {} is gone, but {} is there; restore the key; if it is lost, make another by hand ({}), which the log will tell", .path.display(), .there.display(), .by_hand)]
pub struct KeyGone {
    /// Its file.
    pub path: PathBuf,
    /// What shows that there was one.
    pub there: PathBuf,
    /// The command that makes another.
    pub by_hand: String,
}

impl KeyGone {
    /// That the key at `place` is gone, of which `there` shows that it was.
    pub(super) fn at(place: &KeyPlace, there: PathBuf) -> Self {
        let kind = match place.kind {
            KeyKind::Ed25519 => "ed25519",
            KeyKind::P256 => "ecdsa -b 256",
        };
        let by_hand = format!("ssh-keygen -t {kind} -N '' -f {}", place.path.display());
        Self { path: place.path.clone(), there, by_hand }
    }
}

/// The key that signs evidence.
pub struct Signer(Key);

enum Key {
    File(Box<PrivateKey>),
    Agent { public: PublicKey, socket: PathBuf, patience: Duration },
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.fingerprint())
    }
}

/// The key that signs the checkpoints of the log, or of a witness. Never shown.
#[derive(Debug)]
pub struct LogKey(PrivateKey);

impl LogKey {
    /// As [`Signer::load_or_create`], always Ed25519.
    ///
    /// # Errors
    /// As [`Signer::load_or_create`].
    pub fn load_or_create(path: &Path) -> Result<Self, SignError> {
        // C2SP's notes are signed with Ed25519, and with nothing else.
        let kind = KeyKind::Ed25519;
        key_file::load_or_create(path, kind, &[kind], LOG_COMMENT).map(Self)
    }

    /// The key in the file `path`, which must be there.
    ///
    /// # Errors
    /// As [`Signer::load_or_create`].
    pub fn load(path: &Path) -> Result<Self, SignError> {
        key_file::read(path, &[KeyKind::Ed25519]).map(Self)
    }

    #[cfg(any(test, feature = "testing"))]
    pub(super) fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        key_file::from_seed(seed, LOG_COMMENT).map(Self)
    }

    /// The SHA-256 of the public key.
    pub fn fingerprint(&self) -> Digest {
        let pair = self.0.key_data().ed25519().expect("no other key is loaded");
        Digest::of(&pair.public.0)
    }

    /// A secret for `purpose` that follows from this key.
    pub(super) fn derived(&self, purpose: &str) -> Digest {
        let pair = self.0.key_data().ed25519().expect("no other key is loaded");
        Digest::of_parts(&[purpose.as_bytes(), b"\n", &pair.private.to_bytes()])
    }

    /// This key under the name `name`.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn signer(&self, name: &str) -> Result<NoteSigner, NoteError> {
        let pair = self.0.key_data().ed25519().expect("no other key is loaded");
        NoteSigner::new(name, &pair.private.to_bytes())
    }
}

impl Signer {
    /// The key in the file `path`; when there is none, a new one, with its public half in
    /// `<path>.pub`.
    ///
    /// # Errors
    /// As [`Signer::open`].
    pub fn load_or_create(path: &Path) -> Result<Self, SignError> {
        Self::open(&KeyPlace { path: path.to_owned(), kind: KeyKind::default(), agent: None })
    }

    /// The key at `place`. In a file it is made when there is none; an agent must hold it.
    ///
    /// # Errors
    /// [`SignError::Exposed`] when others could read or exchange the file, or use the agent;
    /// [`SignError::NotHeld`] when the agent does not hold the key; see [`SignError`].
    pub fn open(place: &KeyPlace) -> Result<Self, SignError> {
        let Some(socket) = &place.agent else {
            let key = key_file::load_or_create(&place.path, place.kind, &KeyKind::ALL, COMMENT)?;
            return Ok(Self(Key::File(Box::new(key))));
        };
        let public = key_file::load_public(&place.path)?;
        let failed = |source| SignError::Io { path: socket.clone(), source };
        // Whoever reaches the socket can sign.
        if let Some(exposure) = ownership::exposure(socket, Use::Secret).map_err(failed)? {
            return Err(SignError::Exposed { path: socket.clone(), exposure });
        }
        let signer = Self(Key::Agent { public, socket: socket.clone(), patience: PATIENCE });
        signer.check_held()?;
        Ok(signer)
    }

    /// The public half of the key at `place`, which must be there; no agent is asked.
    ///
    /// # Errors
    /// As [`Signer::open`].
    pub fn public_at(place: &KeyPlace) -> Result<PublicKey, SignError> {
        if place.agent.is_some() {
            return key_file::load_public(&place.path);
        }
        Ok(key_file::read(&place.path, &KeyKind::ALL)?.public_key().clone())
    }

    /// Whether the agent holds the key; a key in a file is there.
    fn check_held(&self) -> Result<(), SignError> {
        let Key::Agent { public, socket, patience } = &self.0 else { return Ok(()) };
        let held = ssh_agent::identities(socket, *patience)
            .map_err(|source| SignError::Agent { socket: socket.clone(), source })?;
        if held.contains(&public.to_bytes().map_err(SignError::Sign)?) {
            return Ok(());
        }
        Err(SignError::NotHeld { socket: socket.clone(), fingerprint: self.fingerprint() })
    }

    /// The key with this seed (RFC 8032 §5.1.5).
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        key_file::from_seed(seed, COMMENT).map(|key| Self(Key::File(Box::new(key))))
    }

    /// Fingerprint of the key, as `ssh-keygen -l` prints it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.public().fingerprint(HashAlg::Sha256).to_string()
    }

    /// The line that vouches for this key in an `allowed_signers` file (ssh-keygen(1), ALLOWED
    /// SIGNERS), for evidence only.
    pub fn allowed_signers_line(&self, principal: &str) -> String {
        format!("{principal} namespaces=\"{NAMESPACE}\" {}", key_file::public_line(self.public()))
    }

    /// The armored OpenSSH signature over `bytes`, as `ssh-keygen -Y sign -n evidence@exhibit`
    /// writes it, with SHA-512.
    ///
    /// # Errors
    /// [`SignError::Sign`], [`SignError::Agent`].
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SignError> {
        let signature = match &self.0 {
            Key::File(key) => key.sign(NAMESPACE, HASH, bytes).map_err(SignError::Sign)?,
            Key::Agent { public, socket, patience } => {
                let data = SshSig::signed_data(NAMESPACE, HASH, bytes).map_err(SignError::Sign)?;
                let key = public.to_bytes().map_err(SignError::Sign)?;
                let made = ssh_agent::sign(socket, &key, &data, *patience)
                    .map_err(|source| SignError::Agent { socket: socket.clone(), source })?;
                let made = Signature::try_from(made.as_slice()).map_err(SignError::Sign)?;
                let key = public.key_data().clone();
                SshSig::new(key, NAMESPACE, HASH, made).map_err(SignError::Sign)?
            }
        };
        signature.to_pem(LineEnding::LF).map_err(SignError::Sign)
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        match &self.0 {
            Key::File(key) => key.public_key(),
            Key::Agent { public, .. } => public,
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare files of their own")]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::disk;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("there").permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_private_and_loaded_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys/evidence");
        let made = Signer::load_or_create(&path).expect("made");
        let loaded = Signer::load_or_create(&path).expect("loaded");
        assert_eq!(made.fingerprint(), loaded.fingerprint());
        assert!(made.fingerprint().starts_with("SHA256:"));
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(&path.with_extension("pub")), 0o644);
        let other = Signer::load_or_create(&folder.path().join("other")).expect("made");
        assert_ne!(made.fingerprint(), other.fingerprint());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence");
        Signer::load_or_create(&path).expect("made");
        for bits in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(bits)).expect("set");
            let error = Signer::load_or_create(&path).expect_err("exposed");
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn a_folder_that_others_write_makes_every_key_in_it_unsafe() {
        let folder = tempfile::tempdir().expect("a folder");
        let keys = folder.path().join("keys");
        Signer::load_or_create(&keys.join("evidence")).expect("made");
        LogKey::load_or_create(&keys.join("log")).expect("made");
        fs::set_permissions(&keys, fs::Permissions::from_mode(0o777)).expect("set");
        for error in [
            Signer::load_or_create(&keys.join("evidence")).expect_err("exposed"),
            Signer::load_or_create(&keys.join("new")).expect_err("exposed"),
            LogKey::load_or_create(&keys.join("log")).expect_err("exposed"),
        ] {
            assert!(matches!(error, SignError::Exposed { .. }), "{error:?}");
            assert!(error.to_string().contains("chmod go-w "), "{error}");
        }
    }

    /// `name` signed by `signer` must be good to the real ssh-keygen, and to nobody else.
    fn is_good_to_ssh_keygen(signer: &Signer) {
        use std::process::{Command, Stdio};
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let line = signer.allowed_signers_line("exhibit@host");
        fs::write(at("allowed_signers"), format!("{line}\n")).expect("written");
        fs::write(at("sig"), signer.sign(b"evidence").expect("signed")).expect("written");
        for (bytes, good) in [(&b"evidence"[..], true), (b"Evidence", false)] {
            fs::write(at("bytes"), bytes).expect("written");
            let mut command = Command::new("ssh-keygen");
            command.args(["-Y", "verify", "-n", NAMESPACE, "-I", "exhibit@host"]);
            command.arg("-f").arg(at("allowed_signers")).arg("-s").arg(at("sig"));
            command.stdin(fs::File::open(at("bytes")).expect("there")).stdout(Stdio::null());
            let done = command.output().expect("ssh-keygen is there");
            assert_eq!(done.status.success(), good, "{done:?}");
        }
    }

    #[test]
    fn both_kinds_of_key_sign_what_ssh_keygen_verifies() {
        let folder = tempfile::tempdir().expect("a folder");
        for kind in KeyKind::ALL {
            let path = folder.path().join(kind.word());
            let place = KeyPlace { path: path.clone(), kind, agent: None };
            is_good_to_ssh_keygen(&Signer::open(&place).expect("made"));
            // A key that is there is taken, whatever would be made.
            let signer = Signer::load_or_create(&path).expect("loaded");
            let line = signer.allowed_signers_line("x");
            assert_eq!(line.contains("ecdsa-sha2-nistp256"), kind == KeyKind::P256, "{line}");
            is_good_to_ssh_keygen(&signer);
        }
        let p256 = folder.path().join("p256");
        let refused = LogKey::load_or_create(&p256).expect_err("a log's key is Ed25519");
        assert!(matches!(refused, SignError::OtherKind { .. }), "{refused:?}");
    }

    #[test]
    fn keys_of_other_kinds_or_with_a_passphrase_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, arguments, why) in [
            (
                "p384",
                &["-t", "ecdsa", "-b", "384", "-N", ""][..],
                "of the kind ecdsa-sha2-nistp384",
            ),
            ("rsa", &["-t", "rsa", "-b", "2048", "-N", ""], "of the kind ssh-rsa"),
            ("closed", &["-t", "ed25519", "-N", "a passphrase"], "has a passphrase"),
        ] {
            let path = folder.path().join(name);
            let mut command = std::process::Command::new("ssh-keygen");
            let made = command.arg("-q").args(arguments).arg("-f").arg(&path).status();
            assert!(made.expect("ssh-keygen is there").success());
            let error = Signer::load_or_create(&path).expect_err(name);
            assert!(error.to_string().contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("evidence");
        disk::write_once(&path, b"not a key").expect("written");
        assert!(matches!(Signer::load_or_create(&path), Err(SignError::NotAKey { .. })));
        assert_eq!(fs::read(&path).expect("there"), b"not a key");
    }

    #[test]
    fn the_key_does_not_show() {
        let signer = Signer::from_seed(&[7; 32]).expect("a key");
        assert_eq!(format!("{signer:?}"), format!("Signer({})", signer.fingerprint()));
        let line = signer.allowed_signers_line("exhibit@host");
        assert!(line.starts_with("exhibit@host namespaces=\"evidence@exhibit\" ssh-ed25519 AAAA"));
        assert_eq!(line.split(' ').count(), 4);
    }
}
