//! The model of recovery: one run's life, crashes at each of its steps, starts, and whatever somebody
//! with the files and no key can do between them, tried in every order. Two things must hold in every
//! state: what happened honestly is no finding, and what verifies is what was acknowledged.
//! `cargo test` goes a few actions deep, `make model` six (`EXHIBIT_DEPTH`).

mod actions;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use self::actions::{ACTIONS, Action};
use super::finding::Class;
use super::fixture::{ORIGIN, id, log_key, trust_in_log};
use super::layout::{EVENTS, SEAL, archived_place, open_place, sealed_place};
use super::log::{CHECKPOINT, FOLDER, LogReader, lay_out};
use super::verify;
use crate::digest::Digest;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::Note;
use crate::tlog::tree;
use exhibit_verify::log::TreeReader;

/// How deep `cargo test` goes.
const SHALLOW: usize = 3;
/// The one picture of the run.
const PICTURE: &str = "data/captures/0001-before/screenshot.png";

/// A file, with the digest of its bytes.
type Content = Arc<(Digest, Vec<u8>)>;
/// Files of a store, by their path.
type Files = BTreeMap<String, Content>;

/// What was acknowledged: what must be there when a verifier has nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Truth {
    /// Lines of the chain, by digest.
    lines: Vec<Digest>,
    picture: Option<Digest>,
    seal: Option<Digest>,
    archive: Option<Digest>,
    purged: bool,
}

/// A store and what its people remember.
#[derive(Clone, Default)]
struct State {
    files: Files,
    /// What the insider put aside.
    backup: Option<Files>,
    truth: Truth,
    /// The checkpoint that the auditor keeps: the longest there was.
    kept: Option<(u64, Vec<u8>)>,
    /// Whether nobody interfered so far.
    tampered: bool,
    /// How it came about.
    path: Vec<Action>,
}

impl State {
    /// A store that was just made.
    fn first() -> Self {
        let bench = tempfile::tempdir().expect("a folder");
        let root = bench.path().join("store");
        drop(super::store::Store::open(&root).expect("a store"));
        drop(super::log::Log::open(&root, &log_key(), ORIGIN).expect("a log"));
        let mut first = Self::default();
        first.read(&root);
        first
    }

    /// One value for all that matters of it.
    fn key(&self) -> Digest {
        let mut parts: Vec<Vec<u8>> = Vec::new();
        for files in std::iter::once(&self.files).chain(&self.backup) {
            for (name, content) in files {
                parts.push(name.clone().into_bytes());
                parts.push(content.0.as_bytes().to_vec());
            }
            parts.push(b"/".to_vec());
        }
        parts.push(format!("{:?} {:?} {}", self.truth, self.kept, self.tampered).into_bytes());
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        Digest::of_parts(&parts)
    }

    fn has(&self, place: &str) -> bool {
        let below = format!("{place}/");
        self.files.range(below.clone()..).next().is_some_and(|(name, _)| name.starts_with(&below))
            || self.files.contains_key(place)
    }

    /// The bytes of a file.
    fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(|content| content.1.as_slice())
    }

    fn put(&mut self, name: String, bytes: Vec<u8>) {
        self.files.insert(name, Arc::new((Digest::of(&bytes), bytes)));
    }

    /// Lay the store out at `root`.
    fn lay_out(&self, root: &Path) {
        let files = self.files.iter().map(|(name, content)| (name.clone(), content.1.clone()));
        lay_out(root, &files.collect());
    }

    /// Take over what lies at `root`.
    fn read(&mut self, root: &Path) {
        let mut files = Files::new();
        for (name, bytes) in super::log::files(root) {
            // No evidence: the lock is empty, and everything else is in a folder.
            if !name.contains('/') {
                continue;
            }
            let digest = Digest::of(&bytes);
            let before = self.files.get(&name).filter(|content| content.0 == digest);
            let content = before.cloned().unwrap_or_else(|| Arc::new((digest, bytes)));
            files.insert(name, content);
        }
        self.files = files;
        self.remember(root);
    }

    /// The auditor keeps the newest checkpoint of the store at `root`, when it states more than the one
    /// before and continues it: nobody gives away what they hold for what contradicts it.
    fn remember(&mut self, root: &Path) {
        let parse = |bytes: &[u8]| {
            let note = Note::parse(std::str::from_utf8(bytes).ok()?).ok()?;
            Checkpoint::parse(&note.text).ok()
        };
        let Some(bytes) = self.bytes(&format!("{FOLDER}/{CHECKPOINT}")) else { return };
        let Some(now) = parse(bytes) else { return };
        let reader = LogReader::of_store(root);
        let continues = |old: &Checkpoint| {
            let tree = TreeReader::new(&reader, now.size);
            tree::root(&tree, old.size).is_ok_and(|root| root == old.root)
        };
        let kept = self.kept.as_ref().and_then(|(_, bytes)| parse(bytes));
        if kept.is_none_or(|kept| kept.size < now.size && continues(&kept)) {
            self.kept = Some((now.size, bytes.to_vec()));
        }
    }

    /// What is wrong with this state, laid out in `bench`.
    fn wrong(&self, bench: &Path) -> Option<String> {
        let (root, kept) = (bench.join("store"), bench.join("kept.note"));
        self.lay_out(&root);
        // What a store always has; empty folders are not among the files.
        for name in ["open", "runs"] {
            actions::make_dir(&root.join(name));
        }
        let remembered: Vec<PathBuf> = self.kept.iter().map(|_| kept.clone()).collect();
        if let Some((_, note)) = &self.kept {
            super::attacks::write(&kept, note);
        }
        let report = verify::store(&root, &trust_in_log(""), &remembered);
        let folders = report.folders.iter().flat_map(|folder| &folder.findings);
        let findings: BTreeSet<String> = folders
            .chain(&report.findings)
            .filter(|finding| finding.class != Class::Note)
            .map(|finding| format!("{} {}", finding.code, finding.place))
            .collect();
        if !self.tampered && !findings.is_empty() {
            return Some(format!("an honest store is accused: {findings:?}"));
        }
        let lie = self.lie(&root).filter(|_| report.exit() == 0);
        lie.map(|lie| format!("it verifies, and {lie}"))
    }

    /// What is not as it was acknowledged.
    fn lie(&self, root: &Path) -> Option<String> {
        let (run, truth) = (id(0), &self.truth);
        if truth.purged || truth.lines.is_empty() {
            return None;
        }
        let archive = archived_place(run);
        if let Some(archive) = self.files.get(&archive) {
            return (truth.archive != Some(archive.0)).then(|| "the archive is another".to_owned());
        }
        let places = [sealed_place(run), open_place(run)];
        let there: Vec<&String> = places.iter().filter(|place| self.has(place)).collect();
        if there.is_empty() {
            return Some("the run is gone".to_owned());
        }
        there.into_iter().find_map(|place| self.lie_in(&root.join(place)))
    }

    fn lie_in(&self, folder: &Path) -> Option<String> {
        let of = |what: &str| Some(format!("{what} of {} is another", folder.display()));
        let digest = |name: &str| fs::read(folder.join(name)).ok().map(|it| Digest::of(&it));
        let events = fs::read(folder.join(EVENTS)).unwrap_or_default();
        let lines: Vec<Digest> = events.split(|byte| *byte == b'\n').map(Digest::of).collect();
        if !lines.starts_with(&self.truth.lines) {
            return of("the chain");
        }
        if self.truth.picture.is_some() && digest(PICTURE) != self.truth.picture {
            return of("the picture");
        }
        let seal = self.truth.seal.filter(|seal| digest(SEAL) != Some(*seal));
        seal.and_then(|_| of("the seal"))
    }
}

/// Judge `states` and take every action in each: the states that follow, and what is wrong.
fn expand(states: &[State], seen: &Mutex<HashSet<Digest>>) -> (Vec<State>, Vec<String>) {
    let memory = Path::new("/dev/shm");
    let bench = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let bench = bench.expect("a folder");
    let (mut next, mut wrong) = (Vec::new(), Vec::new());
    for state in states {
        for action in ACTIONS {
            let Some(mut after) = action.take(state, bench.path()) else { continue };
            after.path.push(*action);
            if !seen.lock().expect("not poisoned").insert(after.key()) {
                continue;
            }
            wrong.extend(after.wrong(bench.path()).map(|what| format!("{:?}: {what}", after.path)));
            next.push(after);
        }
    }
    (next, wrong)
}

#[test]
fn no_path_leads_from_changed_content_to_intact_nor_from_an_honest_history_to_a_finding() {
    let depth = std::env::var("EXHIBIT_DEPTH").ok().and_then(|depth| depth.parse().ok());
    let (seen, mut states) = (Mutex::default(), vec![State::first()]);
    let mut count = 0;
    for level in 1..=depth.unwrap_or(SHALLOW) {
        let share = states.len().div_ceil(2).max(1);
        let parts: Vec<_> = std::thread::scope(|scope| {
            let workers: Vec<_> =
                states.chunks(share).map(|part| scope.spawn(|| expand(part, &seen))).collect();
            workers.into_iter().map(|worker| worker.join().expect("done")).collect()
        });
        let (next, wrong): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
        let wrong: Vec<String> = wrong.into_iter().flatten().collect();
        assert!(
            wrong.is_empty(),
            "after {level} actions, {} of: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(12)]
        );
        states = next.into_iter().flatten().collect();
        count += states.len();
    }
    assert!(count > 50, "{count} states");
}
