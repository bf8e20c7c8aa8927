//! Owns the watching of a store's folders by inotify(7): one watch for each folder below `runs/`,
//! `log/`, `checkpoints/` and `imported/`, no link followed, nothing asked for that reading causes.
//! It says what was changed, the daemon's own changes left out, and how much it cannot see. It
//! decides nothing.
//!
//! The kernel limits the watches of a user (`fs.inotify.max_user_watches`); what is newest is watched
//! first. It does not see a change by another name of a file (a hard link in a folder elsewhere).

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::tamper::{TamperEvent, TamperKind};
use crate::disk::own::Ledger;

/// Folders of the store that are watched with all below them.
const PARTS: [&str; 4] = ["log", "checkpoints", "imported", "runs"];
/// Most watches that the kernel gives one user; and how many of those are left to others, such as
/// the browser.
const LIMIT_FILE: &str = "/proc/sys/fs/inotify/max_user_watches";
const FOR_OTHERS: usize = 256;
/// Bytes of events that are read at a time.
const BUFFER: usize = 1 << 16;

/// What is told of a folder that is watched. What happens to a folder itself is told by the one above.
const WANTED: WatchFlags =
    NAMES.union(WatchFlags::MODIFY).union(WatchFlags::CLOSE_WRITE).union(WatchFlags::ATTRIB);
/// The same of the store's own folder, in which much else is written.
const OF_STORE: WatchFlags = NAMES.union(WatchFlags::DELETE_SELF).union(WatchFlags::MOVE_SELF);
const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::ONLYDIR)
    .union(WatchFlags::DONT_FOLLOW);

const KINDS: [(ReadFlags, TamperKind); 10] = [
    (ReadFlags::MODIFY, TamperKind::Modified),
    (ReadFlags::CLOSE_WRITE, TamperKind::Written),
    (ReadFlags::ATTRIB, TamperKind::Attributes),
    (ReadFlags::CREATE, TamperKind::Created),
    (ReadFlags::DELETE, TamperKind::Removed),
    (ReadFlags::MOVED_FROM, TamperKind::MovedAway),
    (ReadFlags::MOVED_TO, TamperKind::MovedHere),
    (ReadFlags::DELETE_SELF, TamperKind::Removed),
    (ReadFlags::MOVE_SELF, TamperKind::MovedAway),
    (ReadFlags::UNMOUNT, TamperKind::Unmounted),
];

/// Something the watch has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchEvent {
    /// Somebody else changed what is watched.
    Tampered(TamperEvent),
    /// The kernel dropped events: what was changed meanwhile is not known.
    Lost,
}

/// The watched folders of a store.
#[derive(Debug)]
pub struct Folders {
    root: PathBuf,
    own: Arc<Ledger>,
    inotify: OwnedFd,
    /// Paths below the store, by number of the watch, and the other way round.
    paths: HashMap<i32, Arc<Path>>,
    watches: BTreeMap<Arc<Path>, i32>,
    missed: u64,
    /// Most watches that are asked for; the kernel has a limit of its own.
    most: usize,
    buffer: Vec<MaybeUninit<u8>>,
}

/// An event, as it was read.
struct Event {
    watch: i32,
    flags: ReadFlags,
    name: Option<PathBuf>,
}

impl Folders {
    /// The folders of the store at `root` that are watched with all below them.
    pub fn parts(root: &Path) -> [PathBuf; 4] {
        PARTS.map(|part| root.join(part))
    }

    /// Most watches that should be asked for: what the kernel gives, and a few less.
    pub fn most() -> usize {
        let limit = fs::read_to_string(LIMIT_FILE).ok().and_then(|text| text.trim().parse().ok());
        limit.map_or(usize::MAX, |limit: usize| limit.saturating_sub(FOR_OTHERS))
    }

    /// A ledger of what this process does to the folders that are watched of the store at `root`:
    /// kept from before the first of them is watched.
    pub fn ledger(root: &Path) -> Arc<Ledger> {
        Ledger::keep(Self::parts(root).to_vec())
    }

    /// Watch all folders of the store at `root`; what `own` says is the daemon's own is not told.
    ///
    /// # Errors
    /// What the system answers when nothing can be watched: `EMFILE` is the limit
    /// `fs.inotify.max_user_instances`.
    pub fn watch(root: &Path, own: Arc<Ledger>, most: usize) -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let mut folders = Self {
            root: root.to_owned(),
            own,
            inotify,
            paths: HashMap::new(),
            watches: BTreeMap::new(),
            missed: 0,
            most,
            buffer: vec![MaybeUninit::uninit(); BUFFER],
        };
        folders.add_one(Path::new(""), OF_STORE);
        for part in PARTS {
            folders.add(Path::new(part));
        }
        Ok(folders)
    }

    /// A copy of the descriptor that becomes readable when there is something to read.
    ///
    /// # Errors
    /// What the system answers.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.inotify.try_clone()
    }

    /// Folders that are watched.
    pub fn watched(&self) -> u64 {
        self.watches.len() as u64
    }

    /// Folders that could not be watched.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Read all events that are there, and tell `seen` what they say.
    ///
    /// # Errors
    /// What the system answers; then nothing is watched any more.
    pub fn read(&mut self, seen: &mut impl FnMut(WatchEvent)) -> io::Result<()> {
        let mark = self.own.mark();
        loop {
            let mut batch = Vec::new();
            let mut reader = inotify::Reader::new(self.inotify.as_fd(), &mut self.buffer);
            let ended = loop {
                match reader.next() {
                    Ok(event) => batch.push(Event {
                        watch: event.wd(),
                        flags: event.events(),
                        name: event
                            .file_name()
                            .map(|name| PathBuf::from(OsStr::from_bytes(name.to_bytes()))),
                    }),
                    Err(Errno::INTR) => {}
                    Err(error) => break error,
                }
                if reader.is_buffer_empty() {
                    break Errno::INTR;
                }
            };
            for event in batch {
                self.take(event, seen);
            }
            match ended {
                Errno::INTR => {}
                Errno::WOULDBLOCK => break,
                error => return Err(error.into()),
            }
        }
        self.own.forget(mark);
        Ok(())
    }

    fn take(&mut self, event: Event, seen: &mut impl FnMut(WatchEvent)) {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            return seen(WatchEvent::Lost);
        }
        // A folder that was moved away is not followed: its late events have no path any more.
        let Some(folder) = self.paths.get(&event.watch).cloned() else { return };
        if event.flags.contains(ReadFlags::IGNORED) {
            self.paths.remove(&event.watch);
            self.watches.remove(&folder);
            return;
        }
        let path = match &event.name {
            Some(name) => folder.join(name),
            None => folder.to_path_buf(),
        };
        let Some((_, kind)) = KINDS.iter().find(|(flag, _)| event.flags.contains(*flag)) else {
            return;
        };
        let of_store = folder.as_os_str().is_empty();
        let ignored = match event.name {
            // Beside the evidence lie files that change all the time.
            Some(_) => of_store && !PARTS.iter().any(|part| path == Path::new(part)),
            // Told by the folder above.
            None => !of_store && *kind != TamperKind::Unmounted,
        };
        if ignored {
            return;
        }
        if event.flags.contains(ReadFlags::ISDIR) && event.name.is_some() {
            match kind {
                TamperKind::Created | TamperKind::MovedHere => self.add(&path),
                TamperKind::Removed | TamperKind::MovedAway => self.drop_below(&path),
                _ => {}
            }
        }
        let at = self.root.join(&path);
        let late = *kind == TamperKind::Written && self.own.was_own(&at);
        if !late && !self.own.is_own(&at) {
            seen(WatchEvent::Tampered(TamperEvent { path, kind: *kind }));
        }
    }

    /// Watch the folder `path` below the store, and all below it, the newest names first.
    fn add(&mut self, path: &Path) {
        // Watched before it is listed: what comes afterwards is told.
        if !self.add_one(path, WANTED) {
            return;
        }
        let entries = fs::read_dir(self.root.join(path)).into_iter().flatten().flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut names: Vec<_> = folders.map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names.into_iter().rev() {
            self.add(&path.join(name));
        }
    }

    /// Watch one folder; whether there is one.
    fn add_one(&mut self, path: &Path, flags: WatchFlags) -> bool {
        let at = self.root.join(path);
        if self.watches.len() >= self.most {
            self.missed += 1;
            return at.is_dir();
        }
        match inotify::add_watch(&self.inotify, &at, flags) {
            Ok(watch) => {
                let path: Arc<Path> = path.into();
                // A folder under another name: what its old name led to is no longer told.
                if let Some(before) = self.paths.insert(watch, Arc::clone(&path)) {
                    self.watches.remove(&before);
                }
                self.watches.insert(path, watch);
                true
            }
            // Gone meanwhile, or no folder any more.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => false,
            Err(_) => {
                self.missed += 1;
                true
            }
        }
    }

    /// Follow `path` and what is below it no longer.
    fn drop_below(&mut self, path: &Path) {
        let from: Arc<Path> = path.into();
        let below = self.watches.range(from..).take_while(|(at, _)| at.starts_with(path));
        let below: Vec<_> = below.map(|(at, watch)| (Arc::clone(at), *watch)).collect();
        for (at, watch) in below {
            self.watches.remove(&at);
            self.paths.remove(&watch);
            // One that is gone already is no longer watched, either.
            let _ = inotify::remove_watch(&self.inotify, watch);
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test plays whoever tampers with what is watched")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::disk;

    const RUN: &str = "runs/2026/11/23/019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

    struct Watched {
        folder: tempfile::TempDir,
        folders: Folders,
    }

    impl Watched {
        fn start(most: usize) -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            fs::create_dir_all(folder.path().join(RUN).join("data")).expect("made");
            for part in ["log", "checkpoints"] {
                fs::create_dir(folder.path().join(part)).expect("made");
            }
            fs::write(folder.path().join(RUN).join("data/run.json"), "{}").expect("written");
            let own = Folders::ledger(folder.path());
            let folders = Folders::watch(folder.path(), own, most).expect("watched");
            Self { folder, folders }
        }

        fn at(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        /// What was seen since the last time, each kind and path once.
        fn tampered(&mut self) -> Vec<(TamperKind, String)> {
            let mut found = Vec::new();
            let told = self.folders.read(&mut |seen| match seen {
                WatchEvent::Tampered(event) => {
                    let path = event.path.display().to_string().replace(RUN, "RUN");
                    found.push((event.kind, path));
                }
                WatchEvent::Lost => panic!("events were lost"),
            });
            told.expect("read");
            found.dedup();
            found
        }
    }

    #[test]
    fn every_way_of_tampering_is_seen_and_reading_is_none() {
        use TamperKind::{Attributes, Created, Modified, MovedAway, MovedHere, Removed, Written};
        let mut watched = Watched::start(usize::MAX);
        let file = watched.at(RUN).join("data/run.json");
        let one = |kind, path: &str| (kind, path.to_owned());
        let name = "RUN/data/run.json";

        fs::read(&file).expect("read");
        fs::read_dir(watched.at(RUN)).expect("listed").for_each(drop);
        assert_eq!(watched.tampered(), []);
        fs::write(&file, "[]").expect("written");
        assert_eq!(watched.tampered(), [one(Modified, name), one(Written, name)]);
        fs::File::options().write(true).open(&file).expect("opened").set_len(1).expect("cut");
        assert_eq!(watched.tampered(), [one(Modified, name), one(Written, name)]);
        drop(fs::File::options().append(true).open(&file).expect("opened"));
        assert_eq!(watched.tampered(), [one(Written, name)]);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("set");
        assert_eq!(watched.tampered(), [one(Attributes, name)]);
        fs::set_permissions(watched.at(RUN), fs::Permissions::from_mode(0o755)).expect("set");
        assert_eq!(watched.tampered(), [one(Attributes, "RUN")]);
        let other = watched.at(RUN).join("data/other");
        fs::rename(&file, &other).expect("renamed");
        assert_eq!(watched.tampered(), [one(MovedAway, name), one(MovedHere, "RUN/data/other")]);
        fs::remove_file(&other).expect("removed");
        assert_eq!(watched.tampered(), [one(Removed, "RUN/data/other")]);
        std::os::unix::fs::symlink("/etc", &other).expect("linked");
        assert_eq!(watched.tampered(), [one(Created, "RUN/data/other")]);
        // What is new is watched as well, and what moved away no longer.
        fs::create_dir(watched.at("log/new")).expect("made");
        assert_eq!(watched.tampered(), [one(Created, "log/new")]);
        fs::create_dir(watched.at("log/new/in")).expect("made");
        assert_eq!(watched.tampered(), [one(Created, "log/new/in")]);
        fs::rename(watched.at("runs/2026"), watched.at("elsewhere")).expect("moved");
        assert_eq!(watched.tampered(), [one(MovedAway, "runs/2026")]);
        fs::write(watched.at(&RUN.replace("runs/2026", "elsewhere")).join("x"), "")
            .expect("written");
        assert_eq!(watched.tampered(), []);
        fs::rename(watched.at("elsewhere"), watched.at("runs/2026")).expect("moved");
        assert_eq!(watched.tampered(), [one(MovedHere, "runs/2026")]);
        fs::remove_file(watched.at(RUN).join("x")).expect("removed");
        assert_eq!(watched.tampered(), [one(Removed, "RUN/x")]);
        // The parts themselves; what else lies in the store is nobody's business.
        fs::write(watched.at("index.sqlite"), "").expect("written");
        fs::rename(watched.at("checkpoints"), watched.at("gone")).expect("moved");
        assert_eq!(watched.tampered(), [one(MovedAway, "checkpoints")]);
    }

    #[test]
    fn the_daemons_own_changes_are_not_told_and_those_of_others_beside_them_are() {
        let mut watched = Watched::start(usize::MAX);
        let run = watched.at(RUN);
        disk::replace(&watched.at("log/checkpoint"), b"note", 0o400).expect("replaced");
        disk::replace(&watched.at("log/checkpoint"), b"next", 0o400).expect("replaced");
        disk::make_dirs(&watched.at("log/tile/0")).expect("made");
        disk::write_once(&watched.at("log/tile/0/000"), b"tile").expect("written");
        disk::set_mode(&run, 0o555).expect("set");
        disk::set_mode(&run, 0o755).expect("set");
        disk::remove_dir_all(&watched.at("log/tile")).expect("removed");
        assert_eq!(watched.tampered(), []);
        // That a file of ours was closed may be told late; a change of it by others is one.
        let checkpoint = watched.at("log/checkpoint");
        disk::set_mode(&checkpoint, 0o600).expect("set");
        assert_eq!(watched.tampered(), []);
        drop(fs::File::options().write(true).open(&checkpoint).expect("opened"));
        assert_eq!(watched.tampered(), []);
        fs::write(&checkpoint, "x").expect("written");
        assert_eq!(watched.tampered()[0], (TamperKind::Modified, "log/checkpoint".to_owned()));
        // A failed change leaves nothing behind that would cover another.
        disk::rename_new(&watched.at("log/none"), &watched.at("log/some")).expect_err("not there");
        assert_eq!(watched.tampered(), []);
        fs::write(watched.at("log/some"), "").expect("written");
        assert_eq!(watched.tampered()[0], (TamperKind::Created, "log/some".to_owned()));
        // A folder that comes by a rename of ours is watched from then on.
        fs::create_dir_all(watched.at("open/x/data")).expect("made");
        let new = RUN.replace("8b57", "8b58");
        disk::rename_new(&watched.at("open/x"), &watched.at(&new)).expect("moved");
        assert_eq!(watched.tampered(), []);
        fs::write(watched.at(&new).join("data/y"), "").expect("written");
        assert_eq!(watched.tampered()[0], (TamperKind::Created, format!("{new}/data/y")));
        // One that the daemon takes out is not followed to where it is removed.
        let before = watched.folders.watched();
        disk::rename_new(&run, &watched.at("purging")).expect("moved");
        fs::remove_dir_all(watched.at("purging")).expect("removed");
        assert_eq!(watched.tampered(), []);
        assert_eq!(watched.folders.watched(), before - 2);
    }

    #[test]
    fn what_cannot_be_watched_is_counted_and_the_newest_goes_first() {
        let folder = tempfile::tempdir().expect("a folder");
        for day in ["20", "21", "22"] {
            fs::create_dir_all(folder.path().join("runs/2026/11").join(day)).expect("made");
        }
        let own = Folders::ledger(folder.path());
        // The store, runs, year, month and the newest day.
        let folders = Folders::watch(folder.path(), own, 5).expect("watched");
        assert_eq!((folders.watched(), folders.missed()), (5, 2));
        assert!(folders.watches.contains_key(Path::new("runs/2026/11/22")));
    }

    #[test]
    fn more_than_the_kernel_keeps_is_said() {
        let mut watched = Watched::start(usize::MAX);
        let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("known");
        let limit: u64 = limit.trim().parse().expect("a number");
        let (one, two) = (watched.at("log/one"), watched.at("log/two"));
        fs::write(&one, "").expect("written");
        for _ in 0..=limit / 4 {
            fs::rename(&one, &two).expect("renamed");
            fs::rename(&two, &one).expect("renamed");
        }
        let mut lost = 0;
        let seen = &mut |seen| lost += u64::from(seen == WatchEvent::Lost);
        watched.folders.read(seen).expect("read");
        assert_eq!(lost, 1);
        assert_eq!(watched.tampered(), [], "and it goes on");
        fs::write(&two, "").expect("written");
        assert_eq!(watched.tampered()[0], (TamperKind::Created, "log/two".to_owned()));
    }
}
