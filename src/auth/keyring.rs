//! Owns the API keys: making, storing and recognising them. Only hashes are stored; a key is shown
//! once, when it is made. The file may be changed by `exhibit keys` while the daemon runs.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::clock::Moment;
use crate::digest::Digest;
use crate::disk;
use crate::error::{Code, Problem};
use crate::ownership::{Use, exposure};
use crate::run::Caller;
use crate::secret::{Secret, hash_api_key, new_api_key};

/// Largest key file read.
const LIMIT: u64 = 4 * 1024 * 1024;
/// Readable and writable by the daemon's user only.
const MODE: u32 = 0o600;

/// A stored key: everything but the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Identity of the key, eight hexadecimal digits: what stands in evidence.
    pub id: String,
    /// Name it was given.
    pub name: String,
    /// When it was made, RFC 3339, UTC.
    pub created_at: String,
    /// SHA-256 of the key.
    pub sha256: Digest,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    keys: Vec<KeyEntry>,
}

/// The keys in a file.
#[derive(Debug)]
pub struct Keyring {
    path: PathBuf,
    keys: Vec<KeyEntry>,
    /// Which state of the file was read: device, inode, size and time.
    read: Option<(u64, u64, u64, i64, i64)>,
}

impl Keyring {
    /// Read the keys in the file at `path`; there are none when it does not exist.
    ///
    /// # Errors
    /// When others can read the file, or it holds something else.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let mut keyring = Self { path: path.to_owned(), keys: Vec::new(), read: None };
        keyring.reload()?;
        Ok(keyring)
    }

    fn reload(&mut self) -> Result<(), Problem> {
        let metadata = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (self.keys, self.read) = (Vec::new(), None);
                return Ok(());
            }
            Err(error) => return Err(self.unusable(&error.to_string())),
            Ok(metadata) => metadata,
        };
        match exposure(&self.path, Use::Secret) {
            Ok(None) => {}
            Ok(Some(exposure)) => return Err(self.unusable(&exposure.to_string())),
            Err(error) => return Err(self.unusable(&error.to_string())),
        }
        let bytes = disk::read_limited(&self.path, LIMIT)
            .map_err(|error| self.unusable(&error.to_string()))?;
        let file: KeyFile = serde_json::from_slice(&bytes)
            .map_err(|error| self.unusable(&format!("it is damaged ({error})")))?;
        (self.keys, self.read) = (file.keys, Some(state_of(&metadata)));
        Ok(())
    }

    fn unusable(&self, why: &str) -> Problem {
        let message = format!("the file of API keys {} cannot be used: {why}", self.path.display());
        Problem::new(Code::InvalidConfig, message).field("keys.api")
    }

    /// Make a key called `name`; it is on disk when this returns, and shown only here.
    ///
    /// # Errors
    /// When the name is taken or not usable, or the file cannot be written.
    pub fn add(&mut self, name: &str, at: Moment) -> Result<(Secret<String>, KeyEntry), Problem> {
        let _lock = self.lock()?;
        let sound = |c: char| c.is_ascii_alphanumeric() || "._-@".contains(c);
        if name.is_empty() || name.len() > 100 || !name.chars().all(sound) {
            let message = "the name of a key has 1 to 100 of A-Z a-z 0-9 . _ - @; give another";
            return Err(Problem::new(Code::InvalidField, message).field("name"));
        }
        if self.keys.iter().any(|key| key.name == name) {
            let message =
                format!("there is a key called `{name}`; remove it first, or give another name");
            return Err(Problem::new(Code::NameTaken, message).field("name"));
        }
        let key = new_api_key().map_err(|error| Problem::internal("making a key", error))?;
        let sha256 = hash_api_key(key.expose());
        // Ids are drawn from the key's hash, so they are as random as it.
        let id = sha256.to_string()[..8].to_owned();
        let entry = KeyEntry { id, name: name.to_owned(), created_at: at.to_rfc3339(), sha256 };
        self.keys.push(entry.clone());
        self.save()?;
        Ok((key, entry))
    }

    /// Forget the key with this id or name.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written.
    pub fn remove(&mut self, id_or_name: &str) -> Result<KeyEntry, Problem> {
        let _lock = self.lock()?;
        let at = self.keys.iter().position(|key| key.id == id_or_name || key.name == id_or_name);
        let at = at.ok_or_else(|| {
            let message = format!("there is no key `{id_or_name}`; `exhibit keys list` shows them");
            Problem::new(Code::InvalidField, message).field("id")
        })?;
        let entry = self.keys.remove(at);
        self.save()?;
        Ok(entry)
    }

    /// Keep other commands from changing the keys, and know what they did before.
    fn lock(&mut self) -> Result<disk::Lock, Problem> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let lock = self.path.with_extension("lock");
        let taken = disk::make_dirs(folder)
            .and_then(|()| disk::Lock::take(&lock))
            .and_then(|taken| disk::give_to_folders_owner(&lock).map(|()| taken))
            .and_then(|taken| disk::remove_cut_short(&self.path).map(|()| taken));
        let taken = taken.map_err(|error| {
            self.unusable(&format!(
                "another command is changing it, or it cannot be locked ({error})"
            ))
        })?;
        self.reload()?;
        Ok(taken)
    }

    fn save(&mut self) -> Result<(), Problem> {
        let file = KeyFile { keys: self.keys.clone() };
        let mut text = serde_json::to_vec_pretty(&file).expect("keys are plain data");
        text.push(b'\n');
        let folder = self.path.parent().unwrap_or(Path::new("."));
        disk::make_dirs(folder)
            .and_then(|()| disk::replace(&self.path, &text, MODE))
            .and_then(|()| disk::give_to_folders_owner(&self.path))
            .map_err(|error| self.unusable(&format!("it cannot be written ({error})")))
    }

    /// The keys there are.
    pub fn list(&self) -> &[KeyEntry] {
        &self.keys
    }

    /// Whose key this is. The file is read again when it has changed, so that a key can be added
    /// or removed while the daemon runs; while it cannot be read, no key is known.
    pub fn find(&mut self, key: &str) -> Option<Caller> {
        let now = std::fs::metadata(&self.path).ok().map(|metadata| state_of(&metadata));
        if now != self.read
            && let Err(error) = self.reload()
        {
            tracing::error!(%error, "no API key is accepted until that is mended");
            (self.keys, self.read) = (Vec::new(), now);
        }
        let sha256 = hash_api_key(key);
        let found = self.keys.iter().find(|entry| entry.sha256 == sha256)?;
        Some(Caller::Key { id: found.id.clone(), name: found.name.clone() })
    }
}

fn state_of(metadata: &std::fs::Metadata) -> (u64, u64, u64, i64, i64) {
    let at = (metadata.mtime(), metadata.mtime_nsec());
    (metadata.dev(), metadata.ino(), metadata.len(), at.0, at.1)
}

/// A keyring that every request may ask. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SharedKeyring(Arc<Mutex<Keyring>>);

impl SharedKeyring {
    /// As [`Keyring::open`].
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub fn open(path: &Path) -> Result<Self, Problem> {
        Keyring::open(path).map(|keyring| Self(Arc::new(Mutex::new(keyring))))
    }

    /// As [`Keyring::find`].
    pub fn find(&self, key: &str) -> Option<Caller> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).find(key)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::clock::Clock;

    fn ring() -> (tempfile::TempDir, PathBuf, Moment) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys/api-keys.json");
        (folder, path, Clock::system().now())
    }

    #[test]
    fn a_key_made_elsewhere_is_known_at_once_and_one_removed_is_not() {
        let (_folder, path, at) = ring();
        let shared = SharedKeyring::open(&path).expect("no keys yet");
        let mut other = Keyring::open(&path).expect("no keys yet");
        let (key, entry) = other.add("agent", at).expect("made");
        let caller = Caller::Key { id: entry.id.clone(), name: "agent".to_owned() };
        assert_eq!(shared.find(key.expose()), Some(caller));
        assert_eq!(shared.find("exk_guess"), None);
        assert_eq!(shared.find(&entry.sha256.to_string()), None, "a hash is not a key");
        other.remove("agent").expect("removed");
        assert_eq!(shared.find(key.expose()), None);
    }

    #[test]
    fn the_key_itself_is_not_stored_and_the_file_is_private() {
        let (_folder, path, at) = ring();
        let (key, _) = Keyring::open(&path).expect("no keys yet").add("agent", at).expect("made");
        let text = std::fs::read_to_string(&path).expect("the file");
        assert!(!text.contains(key.expose()));
        let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        disk::set_mode(&path, 0o640).expect("changed");
        let problem = Keyring::open(&path).expect_err("others can read it");
        assert!(problem.message.contains("chmod 600"), "{problem}");
        disk::set_mode(&path, 0o600).expect("changed");
        let folder = path.parent().expect("a folder");
        disk::set_mode(folder, 0o777).expect("changed");
        let problem = Keyring::open(&path).expect_err("others can put another in its place");
        assert!(problem.message.contains("chmod go-w"), "{problem}");
    }

    #[test]
    fn while_the_file_cannot_be_read_no_key_is_known() {
        let (_folder, path, at) = ring();
        let shared = SharedKeyring::open(&path).expect("no keys yet");
        let mut keyring = Keyring::open(&path).expect("no keys yet");
        let (key, _) = keyring.add("agent", at).expect("made");
        assert!(shared.find(key.expose()).is_some());
        disk::replace(&path, b"no keys", MODE).expect("damaged");
        assert_eq!(shared.find(key.expose()), None);
        disk::remove_file(&path).expect("removed");
        keyring.add("other", at).expect("made anew");
        assert_eq!(shared.find(key.expose()), None);
    }

    #[test]
    fn commands_at_the_same_time_lose_nothing() {
        let (_folder, path, at) = ring();
        let mut one = Keyring::open(&path).expect("no keys yet");
        let mut other = Keyring::open(&path).expect("no keys yet");
        one.add("a", at).expect("made");
        other.add("b", at).expect("made");
        one.remove("a").expect("removed");
        let names: Vec<_> = one.list().iter().map(|key| key.name.as_str()).collect();
        assert_eq!(names, ["b"]);
        let lock = disk::Lock::take(&path.with_extension("lock")).expect("free");
        assert!(one.add("c", at).is_err(), "another command is at it");
        drop(lock);
        one.add("c", at).expect("made");
    }

    #[test]
    fn names_are_checked_and_unique() {
        let (_folder, path, at) = ring();
        let mut keyring = Keyring::open(&path).expect("no keys yet");
        keyring.add("a", at).expect("made");
        assert_eq!(keyring.add("a", at).expect_err("taken").code, Code::NameTaken);
        for bad in ["", "a b", "a\nb", &"x".repeat(101)] {
            assert_eq!(keyring.add(bad, at).expect_err("bad").code, Code::InvalidField);
        }
        assert_eq!(keyring.remove("nobody").expect_err("none").code, Code::InvalidField);
    }
}
