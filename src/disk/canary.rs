//! Owns the canary: a folder made like a sealed one, on which every way of changing it is tried, so
//! that what protects sealed evidence is measured and not assumed. It touches nothing else.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::flags::Held;
use super::{make_dirs, set_mode, write_once};

/// What it is called in the store; a number follows.
const NAME: &str = ".canary";
const FILE_MODE: u32 = 0o444;
const FOLDER_MODE: u32 = 0o555;

/// What was tried, and whether the system refused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// What was tried.
    pub what: &'static str,
    /// Whether it was refused.
    pub refused: bool,
}

/// A canary; gone when this is dropped.
#[derive(Debug)]
pub struct Canary {
    store: PathBuf,
    name: PathBuf,
}

impl Canary {
    /// Make one in the store at `store`, as a seal leaves a folder.
    ///
    /// # Errors
    /// What the system answers.
    pub fn make(store: &Path) -> io::Result<Self> {
        let name = PathBuf::from(format!("{NAME}-{}", std::process::id()));
        let canary = Self { store: store.to_owned(), name };
        canary.remove();
        let data = canary.folder().join("data");
        make_dirs(&data)?;
        for file in [data.join("run.json"), canary.folder().join("seal.json")] {
            write_once(&file, b"{}\n")?;
            set_mode(&file, FILE_MODE)?;
        }
        set_mode(&data, FOLDER_MODE)?;
        set_mode(&canary.folder(), FOLDER_MODE)?;
        Ok(canary)
    }

    fn folder(&self) -> PathBuf {
        self.store.join(&self.name)
    }

    /// Set the immutable flag on all of it.
    ///
    /// # Errors
    /// As [`Held::set_immutable`].
    pub fn lock(&self) -> io::Result<()> {
        Held::open(&self.store)?.set_immutable(&self.name, true).map(drop)
    }

    /// Try everything, as whoever this process is. What succeeds is undone.
    #[expect(clippy::disallowed_methods, reason = "what is measured is what the system lets pass")]
    pub fn attack(&self) -> Vec<Attempt> {
        let (folder, data) = (self.folder(), self.folder().join("data"));
        let (file, other) = (data.join("run.json"), data.join("other"));
        let aside = folder.with_extension("aside");
        let open = |options: &mut OpenOptions| options.open(&file).map(drop);
        let mode = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode));
        let mut attempts = Vec::new();
        let mut tell = |what, done: io::Result<()>| {
            attempts.push(Attempt { what, refused: done.is_err() });
        };
        tell("write", open(OpenOptions::new().write(true)));
        tell("append", open(OpenOptions::new().append(true)));
        tell("add", fs::write(&other, "").and_then(|()| fs::remove_file(&other)));
        tell("link", fs::hard_link(&file, &aside).and_then(|()| fs::remove_file(&aside)));
        tell("rename", fs::rename(&file, &other).and_then(|()| fs::rename(&other, &file)));
        let away = fs::rename(&folder, &aside).and_then(|()| fs::rename(&aside, &folder));
        tell("rename the folder", away);
        tell("chmod", mode(&file, 0o644).and_then(|()| mode(&file, FILE_MODE)));
        let chmod = mode(&folder, 0o755).and_then(|()| mode(&folder, FOLDER_MODE));
        tell("chmod of the folder", chmod);
        tell("truncate", open(OpenOptions::new().write(true).truncate(true)));
        tell("remove", fs::remove_file(&file));
        attempts
    }

    #[expect(clippy::disallowed_methods, reason = "the canary is no evidence")]
    fn remove(&self) {
        // What cannot be removed stays for whoever can; it is no evidence, and in nobody's way.
        if let Ok(held) = Held::open(&self.store) {
            drop(held.set_immutable(&self.name, false));
        }
        let folder = self.folder();
        drop(set_mode(&folder, 0o700).and_then(|()| set_mode(&folder.join("data"), 0o700)));
        drop(fs::remove_dir_all(folder));
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::is_immutable;
    use super::*;

    #[test]
    fn what_protects_a_folder_is_measured_and_not_assumed() {
        let store = tempfile::tempdir().expect("a folder");
        let canary = Canary::make(store.path()).expect("made");
        let refused = |canary: &Canary| -> Vec<&str> {
            let attempts = canary.attack();
            assert_eq!(attempts.len(), 10);
            attempts.iter().filter(|one| one.refused).map(|one| one.what).collect()
        };
        let plain = refused(&canary);
        if rustix::process::geteuid().is_root() {
            assert_eq!(plain, [""; 0], "modes do not hold root");
        } else {
            assert!(plain.contains(&"write") && plain.contains(&"remove"), "{plain:?}");
            assert!(!plain.contains(&"chmod"), "modes do not hold their owner: {plain:?}");
        }
        drop(canary);

        let canary = Canary::make(store.path()).expect("made");
        match canary.lock() {
            Ok(()) => {
                assert!(is_immutable(&canary.folder().join("data/run.json")).expect("seen"));
                assert_eq!(refused(&canary).len(), 10, "the flag holds everybody");
            }
            Err(error) => {
                let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                assert!(!is_immutable(&canary.folder()).expect("seen"));
            }
        }
        drop(canary);
        assert_eq!(fs::read_dir(store.path()).expect("there").count(), 0, "nothing is left");
    }
}
