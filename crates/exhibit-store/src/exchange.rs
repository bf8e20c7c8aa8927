//! Somebody who exchanges the log of a store while it is verified, at each moment at which the verifier
//! looks at it: what is told by nobody who is vouched for, or is older than what an auditor kept, tells
//! of nothing at any of them.

mod files;

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use serde_json::{Value, json};

use super::disk::reading::{Reads, Unread};
use super::fixture::{Bench, ORIGIN, id, trust_in_log};
use super::layout::{SEAL, open_place, sealed_place};
use super::log::{Log, LogReader};
use super::sign::LogKey;
use super::tampering::{checkpoint, copy_tree, extend, passed, remove, unlock, write};
use super::verify;
use crate::digest::Digest;

/// After any promise of the runs is over.
const LATER: &str = "2029-01-01T00:00:00.000Z";

fn entries(root: &Path) -> Vec<Vec<u8>> {
    let reader = LogReader::of_store(root);
    let (_, checkpoint) = reader.checkpoint().expect("a checkpoint");
    reader.bundle(0, checkpoint.size).expect("whole")
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
    assert_eq!(passed(&scene.victim, &scene.other, judge), [0; 0]);
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

/// With the stolen key the last entry is another; the tiles of hashes of the true log are shown at any
/// moment, which a kept checkpoint would follow from.
#[test]
fn a_log_that_was_rewritten_does_not_continue_what_was_kept_whatever_tile_is_shown_for_a_moment() {
    let bench = Bench::logged();
    bench.sealed(0);
    let said = |time: &str| {
        let entry = json!({ "format": "exhibit-log/1", "kind": "heartbeat", "time": time });
        serde_json_canonicalizer::to_vec(&entry).expect("JSON")
    };
    bench.log().append(said(LATER)).expect("appended");
    let (root, other) = (bench.scratch().join("victim"), bench.scratch().join("other"));
    copy_tree(bench.store.root(), &root);
    unlock(&root);
    let kept = bench.scratch().join("kept.note");
    write(&kept, &fs::read(checkpoint(&root)).expect("there"));
    let mut rewritten = entries(&root);
    let mut honest = super::log::files(&root.join("log/tile/0"));
    *rewritten.last_mut().expect("entries") = said("2029-01-01T00:00:01.000Z");
    let key = LogKey::from_seed(&[1; 32]).expect("a key");
    extend(&Log::open(&other, &key, ORIGIN).expect("a log"), &rewritten);
    remove(&root.join("log"));
    copy_tree(&other.join("log"), &root.join("log"));
    let rewritten = super::log::files(&root.join("log/tile/0"));
    // Narrower tiles of its beginning are not in the way.
    honest.retain(|name, _| rewritten.contains_key(name));
    assert!(rewritten != honest && rewritten.keys().eq(honest.keys()));
    let place = root.join("log/tile/0");
    let put = |files: &std::collections::BTreeMap<String, Vec<u8>>| {
        for (name, bytes) in files {
            write(&place.join(name), bytes);
        }
    };
    let kept = std::slice::from_ref(&kept);
    let counted = Reads::below(&place, Unread::Nothing, Errno::IO);
    assert!(!is_intact(&root, kept), "at rest");
    let steps = counted.steps();
    drop(counted);
    assert!(steps > 0);
    for step in 0..steps + 4 {
        let (shown, at) = (honest.clone(), place.clone());
        let reads = Reads::before(&place, step, move || {
            for (name, bytes) in shown {
                write(&at.join(name), &bytes);
            }
        });
        assert!(!is_intact(&root, kept), "at step {step}");
        drop(reads);
        put(&rewritten);
    }
}
