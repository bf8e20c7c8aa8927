//! Owns the history of the keys that sign evidence, a file beside the log's key: which key signed from
//! when until when, which is to be next, which were revoked, and why. Exchanges keys so that a crash at
//! any step leaves one to sign with. What time it is, others say.

use std::io;
use std::path::{Path, PathBuf};

use exhibit_verify::revocation::Revocation;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use ssh_key::{HashAlg, PublicKey};

use super::error::SignError;
use super::key_file::{self, KeyKind};
use super::layout::NAMESPACE;
use super::log::LoggedKeys;
use super::sign::{COMMENT, KeyGone, KeyPlace, Signer};
use crate::clock::Moment;
use crate::disk;
use crate::ownership::{Use, exposure};

mod revocation;

/// Name of this form of file.
const FORM: &str = "exhibit-signers/1";
/// Largest file read: some thousand keys.
const LIMIT: u64 = 1 << 20;
/// For everybody to read: there is no secret in it.
const PUBLIC: u32 = 0o644;
/// Longest reason, in bytes.
const MAX_REASON: usize = 200;
/// Said of a key that nobody announced.
const UNANNOUNCED: &str = "another key was found in its place";
/// As `allowed_signers` has it.
const SIGNERS_TIME: &str = "%Y%m%d%H%M%SZ";

/// Why a history cannot be used, or a key not be exchanged.
#[derive(Debug, thiserror::Error)]
pub enum SignersError {
    /// The file cannot be read or written, or be locked.
    #[error("the keys' history {} cannot be read or written", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what this program writes, or others can change it.
    #[error("the keys' history {} cannot be used: {what}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what mends it.
        what: String,
    },
    /// What was asked for cannot be done; why, and what to do instead.
    #[error("{0}")]
    Refused(String),
    /// The key that would sign is revoked.
    #[error(
        "it is revoked ({reason}): {fingerprint}; make another with: exhibit keys rotate, or name \
         another in keys.signing"
    )]
    Revoked {
        /// The key.
        fingerprint: String,
        /// Why it was revoked.
        reason: String,
    },
    /// The history says something else than the log.
    #[error("the keys' history {} contradicts the log: {}", .path.display(), joined(.doubts))]
    Contradicted {
        /// The file.
        path: PathBuf,
        /// In what, each with its remedy.
        doubts: Vec<Doubt>,
    },
    /// A key cannot be used or made.
    #[error(transparent)]
    Key(#[from] SignError),
}

/// A key, for as long as it signed evidence without another in between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    /// Its fingerprint, `SHA256:…`.
    pub fingerprint: String,
    /// The public key in OpenSSH's form, without a comment.
    pub key: String,
    /// Since when; none for the first.
    pub from: Option<Timestamp>,
    /// Until when; none while it is the one that signs.
    pub until: Option<Timestamp>,
    /// Why it took the place of the one before; none for the first.
    pub reason: Option<String>,
}

/// The key that is taken up at the next reload or start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Next {
    /// Its fingerprint.
    pub fingerprint: String,
    /// Why it is to take the other's place.
    pub reason: String,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<Next>,
    keys: Vec<Epoch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    revoked: Vec<Revocation>,
}

/// The history of a daemon's signing keys.
#[derive(Debug)]
pub struct Signers {
    path: PathBuf,
    file: File,
}

impl Signers {
    /// Read the history in the file at `path`; it is empty when there is none.
    ///
    /// # Errors
    /// When others can change the file, or it holds something else.
    pub fn open(path: &Path) -> Result<Self, SignersError> {
        let mut signers = Self { path: path.to_owned(), file: File::default() };
        signers.read()?;
        Ok(signers)
    }

    fn read(&mut self) -> Result<(), SignersError> {
        self.file = File { format: FORM.to_owned(), ..File::default() };
        match exposure(&self.path, Use::Shown) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.io(error)),
            Ok(Some(exposure)) => return Err(self.unusable(exposure.to_string())),
            Ok(None) => {}
        }
        let bytes = disk::read_limited(&self.path, LIMIT).map_err(|error| self.io(error))?;
        let file = serde_json::from_slice::<File>(&bytes);
        self.file = file.map_err(|error| self.unusable(format!("{error}; restore it")))?;
        if self.file.format != FORM {
            let what = format!("its format is {:?}, not {FORM:?}; restore it", self.file.format);
            return Err(self.unusable(what));
        }
        self.names_its_keys()
    }

    /// Refuse a key beside the fingerprint of another: who goes by one would believe the other.
    fn names_its_keys(&self) -> Result<(), SignersError> {
        let keys = self.file.keys.iter().map(|it| ("keys", &it.fingerprint, &it.key));
        let revoked = self.file.revoked.iter().map(|it| ("revoked", &it.fingerprint, &it.key));
        for (list, named, key) in keys.chain(revoked) {
            let found = PublicKey::from_openssh(key).map(|key| fingerprint(&key));
            if found.as_ref().ok() != Some(named) {
                let found = found.unwrap_or_else(|error| error.to_string());
                let what = format!(
                    "the key beside {named} in `{list}` is another ({found}); restore the file"
                );
                return Err(self.unusable(what));
            }
        }
        Ok(())
    }

    fn io(&self, source: io::Error) -> SignersError {
        SignersError::Io { path: self.path.clone(), source }
    }

    fn unusable(&self, what: String) -> SignersError {
        SignersError::Unusable { path: self.path.clone(), what }
    }

    /// Keep others from changing the history, and know what they did before.
    fn lock(&mut self) -> Result<disk::Lock, SignersError> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let lock = self.path.with_extension("lock");
        let taken = disk::make_dirs(folder)
            .and_then(|()| disk::Lock::take(&lock))
            .and_then(|taken| disk::give_to_folders_owner(&lock).map(|()| taken));
        let taken = taken.map_err(|error| self.io(error))?;
        disk::remove_cut_short(&self.path).map_err(|error| self.io(error))?;
        self.read()?;
        Ok(taken)
    }

    fn save(&self) -> Result<(), SignersError> {
        let mut text = serde_json::to_vec_pretty(&self.file).expect("texts and times are plain");
        text.push(b'\n');
        disk::replace(&self.path, &text, PUBLIC)
            .and_then(|()| disk::give_to_folders_owner(&self.path))
            .map_err(|error| self.io(error))
    }

    /// Every key there was, in the order in which they signed.
    pub fn keys(&self) -> &[Epoch] {
        &self.file.keys
    }

    /// The key that is taken up at the next reload or start, if one waits.
    pub fn next(&self) -> Option<&Next> {
        self.file.next.as_ref()
    }

    /// Make a key of the kind `kind` that takes the place of the one at `place` when the daemon next
    /// reloads or starts; its fingerprint.
    ///
    /// # Errors
    /// [`SignersError::Refused`] when one waits already, or an agent holds the key; see
    /// [`SignersError`].
    pub fn rotate(
        &mut self,
        place: &KeyPlace,
        kind: KeyKind,
        reason: &str,
    ) -> Result<String, SignersError> {
        check_reason(reason)?;
        if let Some(agent) = &place.agent {
            return Err(SignersError::Refused(format!(
                "the agent at {} holds the key; add another to it, write its public half to a \
                 file, name that in keys.signing and start the daemon again",
                agent.display()
            )));
        }
        let _lock = self.lock()?;
        key_file::remove_cut_short(&place.path)?;
        let next = key_file::next_file(&place.path);
        if next.symlink_metadata().is_ok() {
            return Err(SignersError::Refused(format!(
                "a new key waits in {} already; have the daemon reload (SIGHUP) or start \
                 again to take it up, or remove it",
                next.display()
            )));
        }
        self.begin_with(&Signer::public_at(place)?);
        let key = key_file::new(kind, COMMENT)?;
        let fingerprint = fingerprint(key.public_key());
        // The reason first: without its key it does no harm.
        self.file.next = Some(Next { fingerprint: fingerprint.clone(), reason: reason.to_owned() });
        self.save()?;
        key_file::write(&next, &key)?;
        disk::give_to_folders_owner(&next).map_err(|error| self.io(error))?;
        Ok(fingerprint)
    }

    /// The key to sign with from `at` on: the one that waits, if there is one, else the one at
    /// `place`. Whoever calls this must be the only one who signs. The history is held against what is
    /// `logged` of keys before, where there is a log.
    ///
    /// # Errors
    /// See [`SignersError`]; then no key is lost, and the next attempt goes on where this one ended.
    pub fn take_up(
        &mut self,
        place: &KeyPlace,
        logged: Option<&LoggedKeys>,
        at: Moment,
    ) -> Result<Signer, SignersError> {
        let _lock = self.lock()?;
        let current = Signer::public_at(place).ok().map(|key| fingerprint(&key));
        let doubts = logged.map(|logged| self.agree(logged, current.as_deref())).transpose()?;
        for doubt in doubts.into_iter().flatten() {
            tracing::warn!(
                doubt = doubt.to_string(),
                "the keys' history says what the log does not"
            );
        }
        if place.agent.is_none() {
            key_file::remove_cut_short(&place.path)?;
            // Of a history that was lost the key that another waits for is the beginning.
            if place.waits() && self.file.keys.is_empty() && place.path.symlink_metadata().is_ok() {
                self.begin_with(&Signer::public_at(place)?);
            }
            key_file::exchange(&place.path, millis(at))?;
            // Another is not made in the place of one that signed: also not by a reload.
            if !self.file.keys.is_empty() && place.path.symlink_metadata().is_err() {
                let gone = KeyGone::at(place, self.path.clone());
                return Err(SignersError::Refused(gone.to_string()));
            }
        }
        let signer = Signer::open(place)?;
        if let Some(revocation) = self.revocation(&signer.fingerprint()) {
            let Revocation { fingerprint, reason, .. } = revocation.clone();
            return Err(SignersError::Revoked { fingerprint, reason });
        }
        if self.follow(signer.public(), at) {
            self.save()?;
        }
        Ok(signer)
    }

    /// Write down that `key` signs from `at` on; whether that is news.
    fn follow(&mut self, key: &PublicKey, at: Moment) -> bool {
        let fingerprint = fingerprint(key);
        if self.file.keys.is_empty() {
            self.begin_with(key);
            return true;
        }
        let last = self.file.keys.last_mut().expect("it is not empty");
        if last.fingerprint == fingerprint {
            return false;
        }
        let at = millis(at);
        last.until = Some(at);
        let next = self.file.next.take_if(|next| next.fingerprint == fingerprint);
        let reason = Some(next.map_or_else(|| UNANNOUNCED.to_owned(), |next| next.reason));
        let key = key_file::public_line(key);
        self.file.keys.push(Epoch { fingerprint, key, from: Some(at), until: None, reason });
        true
    }

    /// The first key has signed since nobody knows when.
    fn begin_with(&mut self, key: &PublicKey) {
        if self.file.keys.is_empty() {
            let (fingerprint, key) = (fingerprint(key), key_file::public_line(key));
            let first = Epoch { fingerprint, key, from: None, until: None, reason: None };
            self.file.keys.push(first);
        }
    }

    /// Why the key that signs now took the place of the one before.
    pub fn reason(&self) -> Option<&str> {
        self.file.keys.last()?.reason.as_deref()
    }

    /// The lines that vouch for all these keys, each for its time, and for `current` if it is not
    /// among them yet (ssh-keygen(1), ALLOWED SIGNERS).
    ///
    /// The time is in whole seconds and never too short: a key's last second is the next one's first.
    pub fn allowed_signers(&self, principal: &str, current: &PublicKey) -> String {
        let line = |options: String, key: &str| {
            format!("{principal} {options}namespaces=\"{NAMESPACE}\" {key}\n")
        };
        let mut lines = String::new();
        for epoch in &self.file.keys {
            let from = epoch.from.map(|at| at.strftime(SIGNERS_TIME).to_string());
            let until = epoch.until.map(|at| next_second(at).strftime(SIGNERS_TIME).to_string());
            let from = from.map_or(String::new(), |at| format!("valid-after=\"{at}\","));
            let until = until.map_or(String::new(), |at| format!("valid-before=\"{at}\","));
            lines += &line(from + &until, &epoch.key);
        }
        let last = self.file.keys.last();
        if last.is_none_or(|last| last.fingerprint != fingerprint(current)) {
            lines += &line(String::new(), &key_file::public_line(current));
        }
        lines
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The wall clock as evidence has it, to the millisecond.
fn millis(at: Moment) -> Timestamp {
    at.to_rfc3339().parse().expect("what is written can be read")
}

/// The first whole second that is not before `at`.
fn next_second(at: Timestamp) -> Timestamp {
    let part = i64::from(at.subsec_nanosecond());
    let step = if part == 0 { 0 } else { 1_000_000_000 - part };
    at.checked_add(SignedDuration::from_nanos(step)).unwrap_or(at)
}

/// Reasons stand in lists of one line each, and in the log.
fn check_reason(reason: &str) -> Result<(), SignersError> {
    if reason.trim().is_empty() || reason.len() > MAX_REASON || reason.contains(char::is_control) {
        let why = format!("a reason is a line of 1 to {MAX_REASON} bytes; give --reason another");
        return Err(SignersError::Refused(why));
    }
    Ok(())
}

mod logged;

pub use self::logged::Doubt;
use self::logged::joined;

#[cfg(test)]
pub(super) mod tests;
