//! Owns the signing keys, of evidence and of the log: each an OpenSSH Ed25519 private key file, made
//! at first use, readable by its owner only. Evidence is signed in OpenSSH's signature format
//! (PROTOCOL.sshsig in the OpenSSH source), so that `ssh-keygen -Y verify` checks it. Never shows a
//! key.

use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey};

use super::layout::NAMESPACE;
use crate::digest::Digest;
use crate::disk;
use crate::tlog::note::{NoteError, NoteSigner};

/// Comment in a key file we make.
const COMMENT: &str = "exhibit evidence key";
/// The same for the log's key.
const LOG_COMMENT: &str = "exhibit log key";
/// Permission bits that give a key away.
const SHARED: u32 = 0o077;

/// Why there is no key to sign with, or why it did not sign.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key file cannot be read or made.
    #[error("the signing key {} cannot be read or made", .path.display())]
    Io {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others than the owner can read the key file.
    #[error("the signing key {} can be read by others (mode {mode:04o}); run: chmod 600 {}", .path.display(), .path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is no key that can be used.
    #[error("{} is not an OpenSSH Ed25519 private key without passphrase; make one with: ssh-keygen -t ed25519 -N '' -f {}", .path.display(), .path.display())]
    NotAKey {
        /// The key file.
        path: PathBuf,
        /// What is wrong with it, where the parser said so.
        source: Option<ssh_key::Error>,
    },
    /// The operating system has no randomness to give.
    #[error("no randomness for a new signing key: {0}")]
    Random(getrandom::Error),
    /// The key did not sign.
    #[error("signing failed")]
    Sign(#[source] ssh_key::Error),
}

/// The key that signs evidence.
pub struct Signer {
    key: PrivateKey,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.fingerprint())
    }
}

/// The key in the file `path`; when there is none, a new one, with its public half in
/// `<path>.pub`.
fn load_or_create(path: &Path, comment: &str) -> Result<PrivateKey, SignError> {
    match std::fs::metadata(path) {
        Ok(metadata) => load(path, metadata.permissions().mode() & 0o7777),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, comment),
        Err(source) => Err(SignError::Io { path: path.to_owned(), source }),
    }
}

fn load(path: &Path, mode: u32) -> Result<PrivateKey, SignError> {
    let path_buf = || path.to_owned();
    if mode & SHARED != 0 {
        return Err(SignError::Exposed { path: path_buf(), mode });
    }
    let text = disk::read_limited(path, 1 << 16)
        .map_err(|source| SignError::Io { path: path_buf(), source })?;
    let key = PrivateKey::from_openssh(&text)
        .map_err(|error| SignError::NotAKey { path: path_buf(), source: Some(error) })?;
    if key.is_encrypted() || key.algorithm() != Algorithm::Ed25519 {
        return Err(SignError::NotAKey { path: path_buf(), source: None });
    }
    Ok(key)
}

fn create(path: &Path, comment: &str) -> Result<PrivateKey, SignError> {
    let failed = |source| SignError::Io { path: path.to_owned(), source };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(SignError::Random)?;
    let key = from_seed(&seed, comment)?;
    let secret = key.to_openssh(LineEnding::LF).map_err(SignError::Sign)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        disk::make_dirs(folder).map_err(failed)?;
    }
    disk::write_once(path, secret.as_bytes()).map_err(failed)?;
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    let line = format!("{} {comment}\n", public_line(&key));
    disk::replace(Path::new(&public), line.as_bytes(), 0o644).map_err(failed)?;
    Ok(key)
}

fn from_seed(seed: &[u8; 32], comment: &str) -> Result<PrivateKey, SignError> {
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
    PrivateKey::new(pair, comment).map_err(SignError::Sign)
}

/// `ssh-ed25519 AAAA…`, without a comment.
fn public_line(key: &PrivateKey) -> String {
    let bare = PublicKey::new(key.public_key().key_data().clone(), "");
    bare.to_openssh().expect("an Ed25519 public key always has its OpenSSH form")
}

/// The key that signs the checkpoints of the log, or of a witness. Never shown.
#[derive(Debug)]
pub struct LogKey(PrivateKey);

impl LogKey {
    /// As [`Signer::load_or_create`].
    ///
    /// # Errors
    /// As [`Signer::load_or_create`].
    pub fn load_or_create(path: &Path) -> Result<Self, SignError> {
        load_or_create(path, LOG_COMMENT).map(Self)
    }

    #[cfg(test)]
    pub(super) fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        from_seed(seed, LOG_COMMENT).map(Self)
    }

    /// The SHA-256 of the public key.
    pub fn fingerprint(&self) -> Digest {
        let pair = self.0.key_data().ed25519().expect("no other key is loaded");
        Digest::of(&pair.public.0)
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
    /// [`SignError::Exposed`] when group or others have any right on the file; see [`SignError`].
    pub fn load_or_create(path: &Path) -> Result<Self, SignError> {
        load_or_create(path, COMMENT).map(|key| Self { key })
    }

    /// The key with this seed (RFC 8032 §5.1.5).
    #[cfg(test)]
    pub(super) fn from_seed(seed: &[u8; 32]) -> Result<Self, SignError> {
        from_seed(seed, COMMENT).map(|key| Self { key })
    }

    /// Fingerprint of the key, as `ssh-keygen -l` prints it: `SHA256:…`.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The line that vouches for this key in an `allowed_signers` file (ssh-keygen(1), ALLOWED
    /// SIGNERS), for evidence only.
    pub fn allowed_signers_line(&self, principal: &str) -> String {
        format!("{principal} namespaces=\"{NAMESPACE}\" {}", public_line(&self.key))
    }

    /// The armored OpenSSH signature over `bytes`, as `ssh-keygen -Y sign -n evidence@exhibit`
    /// writes it, with SHA-512.
    ///
    /// # Errors
    /// [`SignError::Sign`].
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SignError> {
        let signature =
            self.key.sign(NAMESPACE, HashAlg::Sha512, bytes).map_err(SignError::Sign)?;
        signature.to_pem(LineEnding::LF).map_err(SignError::Sign)
    }

    /// The public half.
    pub(super) fn public(&self) -> &PublicKey {
        self.key.public_key()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests prepare files of their own")]
mod tests {
    use std::fs;

    use super::*;

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
