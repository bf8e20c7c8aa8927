//! Owns the look at what is there of keys and evidence before a daemon makes anything: a key is made for
//! a store in which nothing was signed with another, and never in the place of one that is gone. It
//! makes and changes nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::archive::archived_in;
use super::error::SignError;
use super::key_file::{self, KeyKind, next_file, public_file};
use super::layout::{self, IMPORTED, OPEN, PROOF};
use super::log::{self, LogReader};
use super::sign::{KeyGone, KeyPlace, LogKey};
use super::signers::{Signers, SignersError};
use super::store::sealed_in;
use crate::disk::PARTIAL_SUFFIX;
use crate::tlog::note::Algorithm;

/// What keeps a store from being served, or its keys from being made.
#[derive(Debug, thiserror::Error)]
pub enum Amiss {
    /// The store belongs to another user.
    #[error("the store {} belongs to the user {owner}, and this is the user {user}; {}chown -R {user} it", .path.display(), if *owner == 0 { "" } else { "run it as that user, or " })]
    Owner {
        /// The store.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
        /// Who looks.
        user: u32,
    },
    /// The store cannot be looked at.
    #[error("{} cannot be looked at; run it as the user that owns the store", .path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key that signs the log is not there, and something that it signed is.
    #[error("the log's key {} is gone, but {} is there; restore the key, or begin another store: a log does not change its key", .path.display(), .there.display())]
    LogKeyGone {
        /// Its file.
        path: PathBuf,
        /// What shows that there was one.
        there: PathBuf,
    },
    /// The log is another key's.
    #[error("the log {} was not signed with the key {}; restore that log's key (keys.log)", .log.display(), .path.display())]
    OthersLog {
        /// The key's file.
        path: PathBuf,
        /// The checkpoint.
        log: PathBuf,
    },
    /// The key that signs evidence is not there, and something shows that there was one.
    #[error(transparent)]
    SigningKeyGone(KeyGone),
    /// A key that is there cannot be used.
    #[error("{field} cannot be used")]
    Key {
        /// Which one, as the configuration calls it.
        field: &'static str,
        /// Why not.
        source: SignError,
    },
    /// The keys' history cannot be used.
    #[error(transparent)]
    History(SignersError),
}

impl Amiss {
    /// The key of the configuration that it is about.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Owner { .. } | Self::Unreadable { .. } => "store.path",
            Self::LogKeyGone { .. } | Self::OthersLog { .. } => "keys.log",
            Self::SigningKeyGone(_) | Self::History(_) => "keys.signing",
            Self::Key { field, .. } => field,
        }
    }
}

/// Where keys and evidence are.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// The store.
    pub store: PathBuf,
    /// The key that signs evidence.
    pub signing: KeyPlace,
    /// The history of the keys that did.
    pub history: PathBuf,
    /// The key that signs the log.
    pub log_key: PathBuf,
    /// Its public half, for whoever checks the log.
    pub log_public: PathBuf,
}

impl Inventory {
    /// What is amiss: nothing, where a daemon may start and make what is not there.
    pub fn amiss(&self) -> Vec<Amiss> {
        let mut amiss = Vec::new();
        if let Err(error) = self.check_store() {
            amiss.push(error);
            // What cannot be looked at would seem to hold nothing.
            return amiss;
        }
        amiss.extend(self.check_log_key().err());
        amiss.extend(self.check_signing_key().err());
        amiss
    }

    /// Whether this user can see what is in the store, and make what is missing in it.
    fn check_store(&self) -> Result<(), Amiss> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |source| Amiss::Unreadable { path, source }
        };
        let owner = match fs::metadata(&self.store) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            seen => seen.map_err(unreadable(&self.store))?.uid(),
        };
        let user = rustix::process::geteuid();
        // Root can serve a store of another's with its keys, but makes none that the other cannot use.
        let makes = !is_there(&self.log_key)
            || self.signing.agent.is_none() && !is_there(&self.signing.path);
        if owner != user.as_raw() && (!user.is_root() || makes) {
            let path = self.store.clone();
            return Err(Amiss::Owner { path, owner, user: user.as_raw() });
        }
        let folders = [log::FOLDER, log::HISTORY, layout::RUNS, OPEN, IMPORTED];
        for folder in folders.map(|name| self.store.join(name)) {
            match fs::read_dir(&folder) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                read => drop(read.map_err(unreadable(&folder))?),
            }
        }
        Ok(())
    }

    fn check_log_key(&self) -> Result<(), Amiss> {
        let path = &self.log_key;
        if !is_there(path) {
            let public = [self.log_public.clone(), public_file(path)];
            let there = public.into_iter().find(|file| is_there(file)).or_else(|| self.of_log());
            return there
                .map_or(Ok(()), |there| Err(Amiss::LogKeyGone { path: path.clone(), there }));
        }
        let key = LogKey::load(path);
        let key = key.map_err(|source| Amiss::Key { field: "keys.log", source })?;
        let reader = LogReader::of_store(&self.store);
        // What is wrong with the log itself is for whoever opens it.
        let Ok((note, checkpoint)) = reader.checkpoint() else { return Ok(()) };
        let signer = key.signer(&checkpoint.origin);
        let signs =
            signer.is_ok_and(|it| note.signed_by(&it.verifier(Algorithm::Ed25519)).is_some());
        if signs {
            return Ok(());
        }
        let log = self.store.join(log::FOLDER).join(log::CHECKPOINT);
        Err(Amiss::OthersLog { path: path.clone(), log })
    }

    fn check_signing_key(&self) -> Result<(), Amiss> {
        let history = Signers::open(&self.history).map_err(Amiss::History)?;
        let path = &self.signing.path;
        let usable = |source| Amiss::Key { field: "keys.signing", source };
        if self.signing.agent.is_some() {
            return key_file::load_public(path).map(drop).map_err(usable);
        }
        let next = next_file(path);
        if is_there(&next) {
            key_file::read(&next, &KeyKind::ALL).map_err(usable)?;
        }
        if is_there(path) {
            return key_file::read(path, &KeyKind::ALL).map(drop).map_err(usable);
        }
        // The exchange of keys was cut short, and goes on.
        if is_there(&next) {
            return Ok(());
        }
        let public = Some(public_file(path)).filter(|file| is_there(file));
        let told = || Some(self.history.clone()).filter(|_| !history.keys().is_empty());
        match public.or_else(told).or_else(|| self.of_log()).or_else(|| self.of_runs()) {
            None => Ok(()),
            Some(there) => Err(Amiss::SigningKeyGone(KeyGone::at(&self.signing, there))),
        }
    }

    /// Something of a log.
    fn of_log(&self) -> Option<PathBuf> {
        let folders = [log::FOLDER, log::HISTORY].map(|name| self.store.join(name));
        let first = folders.iter().find_map(|folder| first_in(folder));
        let proved =
            || sealed_in(&self.store).map(|run| run.join(PROOF)).find(|file| is_there(file));
        first.or_else(proved)
    }

    /// A run, open, sealed or archived, or a bundle of another store.
    fn of_runs(&self) -> Option<PathBuf> {
        let open = [OPEN, IMPORTED].map(|name| self.store.join(name));
        let open = open.iter().find_map(|folder| first_in(folder));
        let sealed = || sealed_in(&self.store).next();
        open.or_else(sealed).or_else(|| Some(archived_in(&self.store).next()?.1))
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// What lies in `folder` and was not cut short: the first of it.
fn first_in(folder: &Path) -> Option<PathBuf> {
    let entries = layout::entries(folder).ok()?;
    let whole =
        |entry: &layout::FolderEntry| !layout::readable(&entry.name).ends_with(PARTIAL_SUFFIX);
    entries.into_iter().find(whole).map(|entry| entry.path)
}
