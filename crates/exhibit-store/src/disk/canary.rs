//! Owns the canary: a folder made like that of a day, with one in it like that of a sealed run, on which
//! every way of changing them is tried, so that what protects sealed evidence is measured and not
//! assumed. It touches nothing else.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::flags::Held;
use super::{make_dirs, set_mode, verity, write_once};

/// What the folder of the day is called in the store; the number of the process follows, and its own.
const NAME: &str = ".canary";
/// How many this process has made: several may try at once.
static MADE: AtomicU64 = AtomicU64::new(0);
/// What lies in it: what is like a run, and a file that nothing protects but the folder.
const SEALED: &str = "sealed";
const LOOSE: &str = "loose";
const CONTENT: &[u8] = b"{}\n";
const FILE_MODE: u32 = 0o444;
const FOLDER_MODE: u32 = 0o555;
const DAY_MODE: u32 = 0o700;

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
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = PathBuf::from(format!("{NAME}-{}-{number}", std::process::id()));
        let canary = Self { store: store.to_owned(), name };
        canary.remove();
        let data = canary.sealed().join("data");
        make_dirs(&data)?;
        write_once(&canary.day().join(LOOSE), b"")?;
        for file in [canary.file(), canary.sealed().join("seal.json")] {
            write_once(&file, CONTENT)?;
            set_mode(&file, FILE_MODE)?;
        }
        set_mode(&data, FOLDER_MODE)?;
        set_mode(&canary.sealed(), FOLDER_MODE)?;
        Ok(canary)
    }

    fn day(&self) -> PathBuf {
        self.store.join(&self.name)
    }

    fn sealed(&self) -> PathBuf {
        self.day().join(SEALED)
    }

    /// Set the immutable flag on all of what is like a sealed folder.
    ///
    /// # Errors
    /// As [`Held::set_immutable`].
    pub fn lock(&self) -> io::Result<()> {
        Held::open(&self.store)?.set_immutable(&self.name.join(SEALED), true).map(drop)
    }

    /// Set the append-only flag on what is like the folder of a day.
    ///
    /// # Errors
    /// As [`Held::set_append_only`].
    pub fn lock_day(&self) -> io::Result<()> {
        Held::open(&self.store)?.set_append_only(&self.name, true).map(drop)
    }

    /// Enable fs-verity on a file of it.
    ///
    /// # Errors
    /// As [`verity::enable`].
    pub fn enable_verity(&self) -> io::Result<()> {
        verity::enable(&self.file())
    }

    /// Whether the kernel holds that file to the digest of what is in it.
    ///
    /// # Errors
    /// What the system answers.
    pub fn is_measured(&self) -> io::Result<bool> {
        Ok(verity::measured(&self.file())? == Some(verity::of_block(CONTENT)))
    }

    /// Try to write that file, to whom its modes are no hindrance.
    #[expect(clippy::disallowed_methods, reason = "what is measured is what the system lets pass")]
    pub fn attack_file(&self) -> Vec<Attempt> {
        let file = self.file();
        let open = |options: &mut OpenOptions| options.open(&file).map(drop);
        // Refused, it is what the modes are that is tried.
        drop(mode(&file, 0o644));
        let attempts = [
            ("write", open(OpenOptions::new().write(true))),
            ("append", open(OpenOptions::new().append(true))),
            ("truncate", open(OpenOptions::new().write(true).truncate(true))),
        ];
        drop(mode(&file, FILE_MODE));
        attempts.into_iter().map(|(what, done)| Attempt { what, refused: done.is_err() }).collect()
    }

    fn file(&self) -> PathBuf {
        self.sealed().join("data/run.json")
    }

    /// Try everything on what is like a sealed folder, as whoever this process is. What succeeds is
    /// undone.
    #[expect(clippy::disallowed_methods, reason = "what is measured is what the system lets pass")]
    pub fn attack(&self) -> Vec<Attempt> {
        let (folder, data) = (self.sealed(), self.sealed().join("data"));
        let (file, other) = (self.file(), data.join("other"));
        let aside = folder.with_extension("aside");
        let open = |options: &mut OpenOptions| options.open(&file).map(drop);
        let mut attempts = Vec::new();
        let mut tell = |what, done: io::Result<()>| {
            attempts.push(Attempt { what, refused: done.is_err() });
        };
        tell("write", open(OpenOptions::new().write(true)));
        tell("append", open(OpenOptions::new().append(true)));
        tell("add", fs::write(&other, "").and_then(|()| fs::remove_file(&other)));
        tell("link", fs::hard_link(&file, &aside).and_then(|()| fs::remove_file(&aside)));
        tell("rename", away_and_back(&file, &other));
        tell("rename the folder", away_and_back(&folder, &aside));
        tell("chmod", mode(&file, 0o644).and_then(|()| mode(&file, FILE_MODE)));
        let chmod = mode(&folder, 0o755).and_then(|()| mode(&folder, FOLDER_MODE));
        tell("chmod of the folder", chmod);
        tell("truncate", open(OpenOptions::new().write(true).truncate(true)));
        tell("remove", fs::remove_file(&file));
        attempts
    }

    /// The same on what is like the folder of a day: names that go, its own among them.
    #[expect(clippy::disallowed_methods, reason = "what is measured is what the system lets pass")]
    pub fn attack_day(&self) -> Vec<Attempt> {
        let (day, loose) = (self.day(), self.day().join(LOOSE));
        let (outside, other) = (day.with_extension("outside"), day.join("other"));
        let mut attempts = Vec::new();
        let mut tell = |what, done: io::Result<()>| {
            attempts.push(Attempt { what, refused: done.is_err() });
        };
        tell("move out", away_and_back(&loose, &outside));
        tell("rename in it", away_and_back(&loose, &other));
        tell("move the folder", away_and_back(&day, &outside));
        tell("chmod of it", mode(&day, 0o755).and_then(|()| mode(&day, DAY_MODE)));
        let replaced = fs::write(&outside, "").and_then(|()| fs::rename(&outside, &loose));
        tell("replace", replaced);
        tell("remove from it", fs::remove_file(&loose));
        drop(fs::remove_file(&outside));
        attempts
    }

    /// Move something into what is like the folder of a day, as a seal does.
    ///
    /// # Errors
    /// What the system answers.
    #[expect(clippy::disallowed_methods, reason = "what is measured is what the system lets pass")]
    pub fn add_to_day(&self) -> io::Result<()> {
        let outside = self.day().with_extension("outside");
        fs::create_dir(&outside)?;
        let moved = fs::rename(&outside, self.day().join("added"));
        if moved.is_err() {
            drop(fs::remove_dir(&outside));
        }
        moved
    }

    #[expect(clippy::disallowed_methods, reason = "the canary is no evidence")]
    fn remove(&self) {
        // What cannot be removed stays for whoever can; it is no evidence, and in nobody's way.
        if let Ok(held) = Held::open(&self.store) {
            drop(held.set_append_only(&self.name, false));
            drop(held.set_immutable(&self.name, false));
        }
        let sealed = self.sealed();
        drop(set_mode(&sealed, 0o700).and_then(|()| set_mode(&sealed.join("data"), 0o700)));
        drop(fs::remove_dir_all(self.day()));
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is what the system lets pass")]
fn away_and_back(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to).and_then(|()| fs::rename(to, from))
}

#[expect(clippy::disallowed_methods, reason = "what is measured is what the system lets pass")]
fn mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))
}

impl Drop for Canary {
    fn drop(&mut self) {
        self.remove();
    }
}

#[cfg(test)]
mod tests {
    use super::super::flags::{is_append_only, is_immutable};
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
                assert!(is_immutable(&canary.sealed().join("data/run.json")).expect("seen"));
                assert!(!is_immutable(&canary.day()).expect("seen"), "only what is like a run");
                assert_eq!(refused(&canary).len(), 10, "the flag holds everybody");
            }
            Err(error) => {
                let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                assert!(!is_immutable(&canary.sealed()).expect("seen"));
            }
        }
        drop(canary);
        assert_eq!(fs::read_dir(store.path()).expect("there").count(), 0, "nothing is left");
    }
    #[test]
    fn what_the_kernel_holds_a_file_to_is_measured_and_not_assumed() {
        let store = tempfile::tempdir().expect("a folder");
        let canary = Canary::make(store.path()).expect("made");
        let refused = |canary: &Canary| {
            let attempts = canary.attack_file();
            assert_eq!(attempts.len(), 3);
            attempts.iter().filter(|one| one.refused).count()
        };
        assert!(!canary.is_measured().expect("read"));
        assert_eq!(refused(&canary), 0, "modes do not hold their owner");
        drop(canary);

        let canary = Canary::make(store.path()).expect("made");
        match canary.enable_verity() {
            Ok(()) => {
                assert!(canary.is_measured().expect("read"));
                assert_eq!(refused(&canary), 3, "it holds everybody");
                assert!(canary.is_measured().expect("read"));
            }
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error:?}");
                assert!(!canary.is_measured().expect("read"));
            }
        }
        drop(canary);
        assert_eq!(fs::read_dir(store.path()).expect("there").count(), 0, "nothing is left");
    }

    #[test]
    fn what_keeps_names_in_a_day_is_measured_and_not_assumed() {
        let store = tempfile::tempdir().expect("a folder");
        let canary = Canary::make(store.path()).expect("made");
        drop(Canary::make(store.path()).expect("another beside it"));
        let refused = |canary: &Canary| -> Vec<&str> {
            let attempts = canary.attack_day();
            assert_eq!(attempts.len(), 6);
            attempts.iter().filter(|one| one.refused).map(|one| one.what).collect()
        };
        assert_eq!(refused(&canary), [""; 0], "its owner does what it likes");
        canary.add_to_day().expect("added");
        drop(canary);

        let canary = Canary::make(store.path()).expect("made");
        match canary.lock_day() {
            Ok(()) => {
                assert!(is_append_only(&canary.day()).expect("seen"));
                assert!(!is_append_only(&canary.sealed()).expect("seen"), "the folder alone");
                assert_eq!(refused(&canary).len(), 6, "the flag holds everybody");
                canary.add_to_day().expect("and takes what is new");
                canary.add_to_day().expect_err("but nothing in another's place");
            }
            Err(error) => {
                let kinds = [io::ErrorKind::PermissionDenied, io::ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "{error:?}");
            }
        }
        drop(canary);
        assert_eq!(fs::read_dir(store.path()).expect("there").count(), 0, "nothing is left");
    }
}
