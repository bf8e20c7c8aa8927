//! Owns private key files: OpenSSH's own form, without passphrase, Ed25519 or P-256; made at first
//! use, for their owner only, and refused when anybody else could read or exchange them.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ssh_key::private::{EcdsaKeypair, Ed25519Keypair, KeypairData};
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, EcdsaCurve, LineEnding, PrivateKey, PublicKey};

use super::error::SignError;
use crate::disk;
use crate::ownership::{self, Use};

/// Largest key file read.
const LIMIT: u64 = 1 << 16;
/// What a key that waits to be taken up is called, behind the name of the one in use.
const NEXT: &str = ".next";
/// For everybody to read.
const PUBLIC: u32 = 0o644;

/// Kinds of key that sign evidence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// Ed25519 (RFC 8032): `ssh-ed25519`.
    #[default]
    Ed25519,
    /// ECDSA on the curve P-256 (FIPS 186-5): `ecdsa-sha2-nistp256`.
    P256,
}

impl KeyKind {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::P256];

    /// The word for it in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::P256 => "p256",
        }
    }

    /// The kind with this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    fn of(algorithm: &Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Ed25519 => Some(Self::Ed25519),
            Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => Some(Self::P256),
            _ => None,
        }
    }
}

/// The key in the file `path`; when there is none, a new one of the kind `kind`, with its public
/// half in `<path>.pub`. A key that is there is taken as it is, if it is of one of `kinds`.
pub(super) fn load_or_create(
    path: &Path,
    kind: KeyKind,
    kinds: &[KeyKind],
    comment: &str,
) -> Result<PrivateKey, SignError> {
    match read(path, kinds) {
        Err(SignError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path, kind, comment)
        }
        Ok(key) => {
            // A crash may have come between the two halves; without the public one all goes on.
            if public_file(path).symlink_metadata().is_err() {
                drop(remove_cut_short(path).and_then(|()| write_public(path, &key)));
            }
            Ok(key)
        }
        read => read,
    }
}

/// The key in the file `path`, if it is of one of `kinds`, and nobody else's.
pub(super) fn read(path: &Path, kinds: &[KeyKind]) -> Result<PrivateKey, SignError> {
    let path_buf = || path.to_owned();
    match ownership::exposure(path, Use::Secret) {
        Ok(None) => {}
        Ok(Some(exposure)) => return Err(SignError::Exposed { path: path_buf(), exposure }),
        Err(source) => return Err(SignError::Io { path: path_buf(), source }),
    }
    let text = disk::read_limited(path, LIMIT)
        .map_err(|source| SignError::Io { path: path_buf(), source })?;
    let key = PrivateKey::from_openssh(&text)
        .map_err(|error| SignError::NotAKey { path: path_buf(), source: Some(error) })?;
    let usable = KeyKind::of(&key.algorithm()).is_some_and(|kind| kinds.contains(&kind));
    if !usable {
        return Err(SignError::OtherKind { path: path_buf(), kind: key.algorithm().to_string() });
    }
    if key.is_encrypted() {
        return Err(SignError::Encrypted { path: path_buf() });
    }
    Ok(key)
}

/// The public key in the file `path`, whose private half is elsewhere.
pub(super) fn load_public(path: &Path) -> Result<PublicKey, SignError> {
    let io = |source| SignError::Io { path: path.to_owned(), source };
    if let Some(exposure) = ownership::exposure(path, Use::Shown).map_err(io)? {
        return Err(SignError::Exposed { path: path.to_owned(), exposure });
    }
    let text = disk::read_limited(path, LIMIT).map_err(io)?;
    let key = std::str::from_utf8(&text).ok().and_then(|text| PublicKey::from_openssh(text).ok());
    let usable = |key: &PublicKey| {
        KeyKind::of(&key.algorithm()).is_some() || key.algorithm() == Algorithm::SkEd25519
    };
    key.filter(usable).ok_or_else(|| SignError::NotAPublicKey { path: path.to_owned() })
}

fn create(path: &Path, kind: KeyKind, comment: &str) -> Result<PrivateKey, SignError> {
    let failed = |source| SignError::Io { path: path.to_owned(), source };
    // The private half is written first: a public one alone is that of a key that was taken away.
    let public = public_file(path);
    if public.symlink_metadata().is_ok() {
        return Err(SignError::Gone { path: path.to_owned(), public });
    }
    let key = new(kind, comment)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        disk::make_dirs(folder).map_err(failed)?;
    }
    remove_cut_short(path)?;
    write(path, &key)?;
    write_public(path, &key)?;
    // It may have been made in a folder of others'.
    match ownership::exposure(path, Use::Secret).map_err(failed)? {
        None => Ok(key),
        Some(exposure) => Err(SignError::Exposed { path: path.to_owned(), exposure }),
    }
}

/// A new key.
pub(super) fn new(kind: KeyKind, comment: &str) -> Result<PrivateKey, SignError> {
    // Asked first, because what follows does not say that there is no randomness but ends.
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(SignError::Random)?;
    let pair = match kind {
        KeyKind::Ed25519 => KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed)),
        KeyKind::P256 => {
            let pair = EcdsaKeypair::random(&mut OsRng, EcdsaCurve::NistP256);
            KeypairData::Ecdsa(pair.map_err(SignError::Sign)?)
        }
    };
    PrivateKey::new(pair, comment).map_err(SignError::Sign)
}

/// Remove what a crash cut short of the key at `path`, its public half and the key that waits: it would
/// stand in the way of another.
pub(super) fn remove_cut_short(path: &Path) -> Result<(), SignError> {
    [path, &public_file(path), &next_file(path)]
        .into_iter()
        .try_for_each(disk::remove_cut_short)
        .map_err(|source| SignError::Io { path: path.to_owned(), source })
}

/// Write the private key to `path`, which must be free.
pub(super) fn write(path: &Path, key: &PrivateKey) -> Result<(), SignError> {
    let secret = key.to_openssh(LineEnding::LF).map_err(SignError::Sign)?;
    let written = disk::write_once(path, secret.as_bytes());
    written.map(drop).map_err(|source| SignError::Io { path: path.to_owned(), source })
}

/// Write the public half of `key` beside `path`.
pub(super) fn write_public(path: &Path, key: &PrivateKey) -> Result<(), SignError> {
    let line = format!("{} {}\n", public_line(key.public_key()), key.comment());
    let written = disk::replace(&public_file(path), line.as_bytes(), PUBLIC);
    written.map_err(|source| SignError::Io { path: path.to_owned(), source })
}

/// Put the key that waits beside `path`, if there is one, in the place of the one in use, which is kept
/// under another name. Until the last step the new key waits, so that a crash before it only means that
/// all is done again.
pub(super) fn exchange(path: &Path, at: Timestamp) -> Result<(), SignError> {
    let next = next_file(path);
    if next.symlink_metadata().is_err() {
        return Ok(());
    }
    // Looked at first: what is no key must not take a key's place.
    let key = read(&next, &KeyKind::ALL)?;
    write_public(path, &key)?;
    let failed = |source| SignError::Io { path: path.to_owned(), source };
    if path.symlink_metadata().is_ok() {
        let mut retired = path.as_os_str().to_owned();
        retired.push(at.strftime(".until-%Y%m%dT%H%M%S%.3fZ").to_string());
        disk::rename_new(path, Path::new(&retired)).map_err(failed)?;
    }
    disk::rename_new(&next, path).map_err(failed)?;
    disk::sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(failed)
}

/// Where a key waits to take the place of the one at `path`.
pub(super) fn next_file(path: &Path) -> PathBuf {
    let mut next = path.as_os_str().to_owned();
    next.push(NEXT);
    next.into()
}

/// Where the public half of the key in `path` lies.
pub(super) fn public_file(path: &Path) -> PathBuf {
    let mut public = path.as_os_str().to_owned();
    public.push(".pub");
    public.into()
}

/// `ssh-ed25519 AAAA…`, without a comment.
pub(super) fn public_line(key: &PublicKey) -> String {
    let bare = PublicKey::new(key.key_data().clone(), "");
    bare.to_openssh().expect("a public key that was read always has its OpenSSH form")
}

#[cfg(any(test, feature = "testing"))]
pub(super) fn from_seed(seed: &[u8; 32], comment: &str) -> Result<PrivateKey, SignError> {
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(seed));
    PrivateKey::new(pair, comment).map_err(SignError::Sign)
}
