//! Somebody who exchanges the log of a store while it is verified, at each moment at which the verifier
//! looks at it: what is told by nobody who is vouched for, or is older than what an auditor kept, tells
//! of nothing at any of them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde_json::{Value, json};

use super::attacks::write;
use super::damage::unlock;
use super::fixture::{Bench, ORIGIN, id, trust_in_log};
use super::hostile::copy_tree;
use super::layout::{SEAL, open_place, sealed_place};
use super::log::{CHECKPOINT, FOLDER, Log, LogReader, extend, files, remove};
use super::sign::LogKey;
use super::verify;
use crate::digest::Digest;
use crate::disk::reading::{Reads, Unread};
use crate::population::{LogState, Query, population};

/// After any promise of the runs is over.
const LATER: &str = "2029-01-01T00:00:00.000Z";

/// Where the checkpoint of the store at `root` lies.
fn checkpoint(root: &Path) -> PathBuf {
    root.join(FOLDER).join(CHECKPOINT)
}

fn entries(root: &Path) -> Vec<Vec<u8>> {
    let reader = LogReader::of_store(root);
    let (_, checkpoint) = reader.checkpoint().expect("a checkpoint");
    reader.bundle(0, checkpoint.size).expect("whole")
}

/// What puts the log of the store at `from` into the one at `to`, the checkpoint last.
fn exchange(from: &Path, to: &Path) -> impl FnOnce() + Send + use<> {
    let folder = from.join(FOLDER);
    let mut new: Vec<(String, Vec<u8>)> = files(&folder).into_iter().collect();
    new.sort_by_key(|(name, _)| name == CHECKPOINT);
    let to = to.join(FOLDER);
    move || {
        for (name, bytes) in new {
            let path = to.join(name);
            let beside = path.with_extension("new");
            #[expect(clippy::disallowed_methods, reason = "a test plays an attacker")]
            fs::create_dir_all(path.parent().expect("in the log")).expect("a folder");
            write(&beside, &bytes);
            super::attacks::rename(&beside, &path);
        }
    }
}

/// Exchange the log of the store at `root`, which is restored each time, for the one at `other` at every
/// step of what `judge` reads of it; steps at which `judge` says that all is well.
fn passed(root: &Path, other: &Path, judge: impl Fn() -> bool) -> Vec<u64> {
    let honest = tempfile::tempdir().expect("a folder");
    let kept = honest.path().join("store");
    copy_tree(root, &kept);
    let counted = Reads::below(&checkpoint(root), Unread::Nothing, Errno::IO);
    let at_rest = judge();
    assert!(!at_rest, "at rest it is told");
    let steps = counted.steps();
    drop(counted);
    assert!(steps > 0);
    let mut passed = Vec::new();
    for step in 0..steps + 8 {
        let reads = Reads::before(&checkpoint(root), step, exchange(other, root));
        if judge() {
            passed.push(step);
        }
        drop(reads);
        remove(&root.join(FOLDER));
        copy_tree(&kept.join(FOLDER), &root.join(FOLDER));
    }
    passed
}

/// A bench with a store of two runs, the victim: a copy of it, and one whose log goes on with an entry
/// that somebody without the log's key put into it.
struct Scene {
    bench: Bench,
    victim: PathBuf,
    other: PathBuf,
}

impl Scene {
    fn of(forged: &Value) -> Self {
        let bench = Bench::logged();
        bench.sealed(0);
        bench.sealed(1);
        let [victim, other] = ["victim", "other"].map(|name| bench.scratch().join(name));
        copy_tree(bench.store.root(), &victim);
        unlock(&victim);
        let key = LogKey::from_seed(&[1; 32]).expect("a key");
        let log = Log::open(&other, &key, ORIGIN).expect("a log");
        extend(&log, &entries(&victim));
        log.append(serde_json_canonicalizer::to_vec(forged).expect("JSON")).expect("appended");
        Self { bench, victim, other }
    }

    fn kept(&self) -> PathBuf {
        let kept = self.bench.scratch().join("kept.note");
        write(&kept, &fs::read(checkpoint(self.bench.store.root())).expect("there"));
        kept
    }
}

fn entry(kind: &str, more: Value) -> Value {
    let mut entry = json!({ "format": "exhibit-log/1", "kind": kind, "time": LATER, "run": id(0) });
    let Value::Object(more) = more else { panic!("an object") };
    entry.as_object_mut().expect("an object").extend(more);
    entry
}

fn is_intact(root: &Path, kept: &[PathBuf]) -> bool {
    verify::store(root, &trust_in_log(""), kept).exit() == 0
}

#[test]
fn a_run_that_was_removed_is_not_purged_by_what_nobody_signed() {
    let seal = |bench: &Bench| {
        fs::read(bench.store.root().join(sealed_place(id(0))).join(SEAL)).expect("there")
    };
    let bench = Bench::logged();
    bench.sealed(0);
    let purge = entry("purge", json!({ "seal_sha256": Digest::of(&seal(&bench)) }));
    let scene = Scene::of(&purge);
    remove(&scene.victim.join(sealed_place(id(0))));
    let kept = scene.kept();
    let judge = || is_intact(&scene.victim, std::slice::from_ref(&kept));
    assert_eq!(passed(&scene.victim, &scene.other, judge), [0; 0], "verification");
    let query = || Query { from: None, to: None, workflow: None };
    let trust = trust_in_log("");
    let judge = || {
        let (log, findings) = verify::log(&scene.victim, &trust, &[]);
        let size = log.size;
        let state = log.root.map(|root| LogState { origin: log.origin.clone(), size, root });
        let found = population(&scene.victim, query(), state.as_ref(), trust.log());
        findings.is_empty() && found.is_ok_and(|found| found.doubtful().next().is_none())
    };
    assert_eq!(passed(&scene.victim, &scene.other, judge), [0; 0], "the population");
}

#[test]
fn a_run_that_was_laid_into_a_store_is_not_opened_by_what_nobody_signed() {
    let elsewhere = Bench::new();
    let folder = elsewhere.fill(elsewhere.begin_third()).folder().to_owned();
    let first = fs::read_to_string(folder.join("data/events.jsonl")).expect("there");
    let first = Digest::of(first.lines().next().expect("an event").as_bytes());
    let run = Bench::third();
    let scene = Scene::of(&entry("open", json!({ "run": run, "first_event_sha256": first })));
    copy_tree(&folder, &scene.victim.join(open_place(run)));
    let judge = || is_intact(&scene.victim, &[]);
    assert_eq!(passed(&scene.victim, &scene.other, judge), [0; 0]);
}

#[test]
fn an_older_state_does_not_continue_what_was_kept_while_the_newest_is_shown_for_a_moment() {
    let bench = Bench::logged();
    bench.sealed(0);
    let (victim, newest) = (bench.scratch().join("victim"), bench.scratch().join("newest"));
    copy_tree(bench.store.root(), &victim);
    unlock(&victim);
    bench.sealed(1);
    copy_tree(bench.store.root(), &newest);
    unlock(&newest);
    let kept = checkpoint(&newest);
    let judge = || is_intact(&victim, std::slice::from_ref(&kept));
    assert_eq!(passed(&victim, &newest, judge), [0; 0]);
}

#[test]
fn a_pipe_in_the_place_of_the_checkpoint_is_not_waited_for() {
    let bench = Bench::logged();
    bench.sealed(0);
    let root = bench.scratch().join("victim");
    copy_tree(bench.store.root(), &root);
    unlock(&root);
    // Something is wrong, so that the log is looked at again.
    remove(&root.join(sealed_place(id(0))));
    let place = checkpoint(&root);
    let reads = Reads::below(&place, Unread::Nothing, Errno::IO);
    assert!(!is_intact(&root, &[]));
    let steps = reads.steps();
    drop(reads);
    let note = fs::read(&place).expect("there");
    for step in 0..steps {
        let pipe = place.clone();
        let reads = Reads::before(&place, step, move || {
            remove(&pipe);
            rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).expect("made");
        });
        assert!(!is_intact(&root, &[]), "at step {step}");
        drop(reads);
        remove(&place);
        write(&place, &note);
    }
}
