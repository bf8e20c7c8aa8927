//! Tests of the log: that it grows as its specification says, survives being cut short anywhere,
//! and that whatever is done to it, or to the folders it tells of, is found.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;
use crate::attacks::{forge, write};
use crate::damage::unlock;
use crate::digest::Digest;
use crate::fixture::{Bench, ORIGIN, id, log_key, signer, trust_in_log};
use crate::tlog::tree;
use crate::triage::Triage;
use crate::verify;
use exhibit_verify::exit;

fn entry(number: usize) -> Vec<u8> {
    let at = crate::clock::Clock::fixed("2026-11-24T08:15:46.120Z".parse().expect("a time")).now();
    leaf::heartbeat(number, std::time::Duration::from_mins(15), at)
}

/// Put `count` entries into the log with one commit.
pub(crate) fn grow(log: &Log, count: usize) {
    extend(log, &(0..count).map(entry).collect::<Vec<_>>());
}

/// Code and place of all that verification says of the store, with what its folders say.
fn told(root: &Path, more: &str, remembered: &[PathBuf]) -> Vec<String> {
    let report = verify::store(root, &trust_in_log(more), remembered);
    let folders = report.folders.iter().flat_map(|folder| &folder.findings);
    let said = |finding: &crate::Finding| format!("{} {}", finding.code, finding.place);
    folders.chain(&report.findings).map(said).collect()
}

fn codes(told: &[String]) -> Vec<&str> {
    let mut codes: Vec<&str> = told.iter().filter_map(|line| line.split(' ').next()).collect();
    codes.dedup();
    codes
}

/// A daemon goes by what its log holds at a start and later: tiles that somebody shows in the place of
/// its own, those of hashes as well, open no run and hold none.
#[test]
fn tiles_that_are_shown_in_the_place_of_others_tell_a_daemon_nothing() {
    let (bench, other) = (Bench::new(), Bench::new());
    let (log, forged) = (bench.log(), other.log());
    let run = Bench::third();
    let open = serde_json::json!({
        "format": "exhibit-log/1", "kind": "open", "run": run, "time": "2026-11-24T08:15:46.120Z",
        "first_event_sha256": Digest::ZERO,
    });
    let mut entries: Vec<Vec<u8>> = (0..300).map(entry).collect();
    extend(&log, &entries);
    entries[7] = serde_json_canonicalizer::to_vec(&open).expect("JSON");
    extend(&forged, &entries);
    let (_, at) = log.checkpoint();
    let [root, theirs] = [&bench, &other].map(|bench| bench.store.root().join("log/tile"));
    let [honest, shown] = [&root, &theirs].map(|folder| files(folder));
    assert!(honest.keys().eq(shown.keys()) && honest != shown);
    let changed: Vec<&String> =
        honest.keys().filter(|name| honest[*name] != shown[*name]).collect();
    // One tile alone, and all of them.
    for names in changed.iter().map(|name| vec![*name]).chain([changed.clone()]) {
        for name in &names {
            write(&root.join(name), &shown[*name]);
        }
        assert!(log.places(&[run]).is_err() || names.iter().all(|it| !it.starts_with("entries")));
        let standing = exhibit_verify::log::Standing::at(bench.store.root(), &at);
        let untouched = !names.iter().any(|name| name.starts_with("entries"));
        assert!(standing.is_err() || untouched, "{names:?}");
        for name in &names {
            write(&root.join(name), &honest[*name]);
        }
    }
    let places = log.places(&[run]).expect("honest again");
    assert!(places[&run].open.is_none());
    assert!(exhibit_verify::log::Standing::at(bench.store.root(), &at).is_ok());
}

#[test]
fn many_append_at_once_and_each_gets_its_own_proof() {
    let bench = Bench::new();
    let log = bench.log();
    let mut places: Vec<(u64, Vec<u8>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let log = &log;
                scope.spawn(move || {
                    let entries = (0..75).map(|number| entry(thread * 1000 + number));
                    entries
                        .map(|entry| (log.append(entry.clone()).expect("appended"), entry))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("done")).collect()
    });
    places.sort();
    assert!(places.iter().map(|(index, _)| *index).eq(0..600));
    for (index, entry) in &places {
        let proof = log.proof(*index).expect("a proof");
        assert!(proof.verify_inclusion(entry) && proof.note.signed_by(&log.key()).is_some());
        assert_eq!(log.entry(*index).expect("there"), *entry);
    }
    // Two full tiles, whose partial ones are gone, and a partial one.
    let names = files(&bench.store.root().join(FOLDER));
    assert!(names.contains_key("tile/0/001") && names.contains_key("tile/0/002.p/88"));
    assert!(names.contains_key("tile/entries/001") && names.contains_key("tile/1/000.p/2"));
    assert!(!names.keys().any(|name| name.starts_with("tile/0/001.p")));
    // Another process goes on with it, and every checkpoint there was still holds.
    drop(log);
    let log = bench.log();
    assert_eq!(log.append(entry(9)).expect("appended"), 600);
    assert_eq!(told(bench.store.root(), "", &[]), [""; 0]);
    let (_, now) = log.checkpoint();
    let reader = log.reader();
    for note in files(&bench.store.root().join(HISTORY)).values() {
        let note = Note::parse(std::str::from_utf8(note).expect("text")).expect("a note");
        let old = Checkpoint::parse(&note.text).expect("a checkpoint");
        let tree = TreeReader::new(&reader, now.size);
        let proof = tree::consistency_proof(&tree, old.size, now.size).expect("a proof");
        assert!(tree::verify_consistency(old.size, old.root, now.size, now.root, &proof));
    }
}

#[test]
fn a_commit_cut_short_anywhere_was_never_promised_and_the_next_one_succeeds() {
    let bench = Bench::new();
    let root = bench.store.root();
    for before in [0, 1, 255, 256, 300] {
        for part in [FOLDER, HISTORY] {
            drop(fs::metadata(root.join(part)).map(|_| remove(&root.join(part))));
        }
        let log = bench.log();
        grow(&log, before);
        drop(log);
        let old = (files(&root.join(FOLDER)), files(&root.join(HISTORY)));
        let log = bench.log();
        log.append(entry(before)).expect("appended");
        drop(log);
        let new = (files(&root.join(FOLDER)), files(&root.join(HISTORY)));
        // In the order in which a commit writes them.
        let mut added: Vec<&String> =
            new.0.keys().filter(|name| *name != CHECKPOINT && !old.0.contains_key(*name)).collect();
        added.sort_by_key(|name| (!name.contains("entries"), (*name).clone()));
        for written in 0..=added.len() {
            let mut log_files = old.0.clone();
            for name in &added[..written] {
                log_files.insert((*name).clone(), new.0[*name].clone());
            }
            lay_out(&root.join(FOLDER), &log_files);
            lay_out(&root.join(HISTORY), &old.1);
            // Nobody is accused before the log goes on.
            let said = told(root, "", &[]);
            assert!(said.iter().all(|one| one.starts_with("log_unpublished")), "{said:?}");
            let log = bench.log();
            assert_eq!(log.checkpoint().1.size, before as u64, "{before}, {written} files");
            // Two at once: what the first commit left at the size between must be gone.
            let first = log.append_all(vec![entry(7), entry(8)]).expect("appended");
            assert_eq!(first, before as u64);
            assert!(log.proof(first + 1).expect("a proof").verify_inclusion(&entry(8)));
            assert_eq!(told(root, "", &[]), [""; 0], "{before}, {written} files");
        }
        // Between the checkpoint and its place in the history.
        lay_out(&root.join(FOLDER), &new.0);
        lay_out(&root.join(HISTORY), &old.1);
        assert_eq!(told(root, "", &[]), [""; 0]);
        drop(bench.log());
        assert_eq!(files(&root.join(HISTORY)), new.1);
    }
}

#[test]
fn a_log_that_was_changed_or_is_anothers_is_not_continued() {
    let bench = Bench::new();
    let root = bench.store.root();
    let log = bench.log();
    grow(&log, 3);
    drop(log);
    let whole = files(&root.join(FOLDER));
    for name in ["checkpoint", "tile/0/000.p/3", "tile/entries/000.p/3"] {
        let mut changed = whole.clone();
        let bytes = changed.get_mut(name).expect("there");
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        lay_out(&root.join(FOLDER), &changed);
        let refused = Log::open(root, &log_key(), ORIGIN);
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{name}: {refused:?}");
    }
    lay_out(&root.join(FOLDER), &whole);
    assert!(Log::open(root, &log_key(), "another.example/log").is_err());
    let other = LogKey::from_seed(&[1; 32]).expect("a key");
    assert!(Log::open(root, &other, ORIGIN).is_err());
    let long = bench.log().append(vec![b' '; 65_536]).expect_err("too long");
    assert!(matches!(long, StoreError::Io { .. }), "{long:?}");
}

#[test]
fn a_sealed_run_proves_that_it_stands_in_the_log() {
    let bench = Bench::logged();
    let folder = bench.sealed(0);
    let report = verify::folder(&folder, &trust_in_log(""));
    assert_eq!((report.findings.as_slice(), report.exit()), (&[][..], exit::OK));
    assert_eq!(report.logged.as_deref(), Some("bench.example/exhibit at 1"));
    drop(bench.begin_third());
    assert_eq!(codes(&told(bench.store.root(), "", &[])), ["run_open"]);
    let places = bench.log().places(&[id(0), Bench::third(), id(1)]).expect("read");
    assert_eq!(places[&id(0)], Logged { open: Some(0), seal: Some(1) });
    assert_eq!(places[&Bench::third()], Logged { open: Some(2), seal: None });
    assert_eq!(places[&id(1)], Logged::default());
}

#[test]
fn a_seal_that_is_tried_again_stands_in_the_log_once() {
    let bench = Bench::logged();
    let ending = crate::run::Ending::sealed("succeeded");
    let mut draft = bench.filled(0);
    // As a crash after the log heard of it, and before the folder was moved.
    let steps = crate::seal::STEPS.len() - 1;
    crate::seal::run(&mut draft, &ending, &signer(), bench.now(), steps).expect("done");
    drop(draft);
    // Nobody is accused of what is on its way.
    assert_eq!(codes(&told(bench.store.root(), "", &[])), ["run_open", "seal_unpublished"]);
    let history = bench.log().histories(&[id(0)]).expect("read").remove(&id(0)).expect("told of");
    let triage = bench.store.triage(id(0), &history).expect("judged");
    assert_eq!(triage, Triage::Publish(1));
    bench.store.publish_sealed(id(0), 1).expect("published");
    assert_eq!(bench.log().checkpoint().1.size, 2);
    assert_eq!(told(bench.store.root(), "", &[]), [""; 0]);
}

#[test]
fn a_seal_whose_publishing_fails_is_finished_as_it_is_by_the_next_attempt() {
    let bench = Bench::logged();
    let ending = crate::run::Ending::sealed("succeeded");
    let mut draft = bench.filled(0);
    let steps = crate::seal::STEPS.len();
    for step in steps - 2..steps {
        crate::seal::run(&mut draft, &ending, &signer(), bench.now(), step).expect("done");
        assert!(draft.is_bound());
    }
    let other = crate::run::Ending::sealed("something else");
    // With another key, later, as something else: what the log holds stands.
    let receipt = draft.seal(&other, &crate::fixture::stranger(), bench.now());
    let receipt = receipt.expect("sealed");
    assert_eq!((receipt.outcome.as_deref(), receipt.log_index), (Some("succeeded"), Some(1)));
    assert_eq!(receipt.key, signer().fingerprint());
    assert_eq!(bench.log().checkpoint().1.size, 2);
    assert_eq!(told(bench.store.root(), "", &[]), [""; 0]);
}

#[test]
fn folders_that_are_gone_forged_or_never_logged_are_told_by_the_log() {
    let bench = Bench::logged();
    let (first, second) = (bench.sealed(0), bench.sealed(1));
    let root = bench.store.root();
    unlock(&first);
    unlock(&second);
    // Everything made anew with the stolen signing key: the log still holds the first seal.
    write(&first.join("data/captures/0001-before/capture.json"), b"[]\n");
    let events = fs::read_to_string(first.join("data/events.jsonl")).expect("there");
    write(&first.join("data/events.jsonl"), events.as_bytes());
    forge(&first, Some(&signer()));
    let said = told(root, "", &[]);
    assert!(codes(&said).contains(&"proof_mismatch"), "{said:?}");
    assert!(codes(&said).contains(&"seal_not_logged"), "{said:?}");
    remove(&second.join("seal.json.tlog-proof"));
    assert!(codes(&told(root, "", &[])).contains(&"proof_missing"));
    remove(&second);
    let said = told(root, "", &[]);
    assert!(said.contains(&format!("run_gone {}", crate::layout::sealed_place(id(1)))));
    // A store of the attacker's own making has no log that anybody vouched for.
    let other = Bench::new();
    other.sealed(0);
    assert_eq!(codes(&told(other.store.root(), "", &[])), ["proof_missing", "log_missing"]);
}

#[test]
fn a_log_cut_short_or_rewritten_is_told_by_whoever_remembers() {
    let bench = Bench::logged();
    bench.sealed(0);
    let root = bench.store.root();
    let before = (files(&root.join(FOLDER)), files(&root.join(HISTORY)));
    bench.sealed(1);
    let kept = bench.scratch().join("kept.note");
    write(&kept, &fs::read(root.join(FOLDER).join(CHECKPOINT)).expect("there"));
    let remembered = [kept];
    assert_eq!(told(root, "", &remembered), [""; 0]);
    // The tail is cut off, with the folder it told of: only who remembers more can tell.
    let second = bench.store.folder_of(id(1));
    unlock(&second);
    remove(&second);
    lay_out(&root.join(FOLDER), &before.0);
    assert_eq!(codes(&told(root, "", &[])), ["log_truncated"], "the history is still there");
    lay_out(&root.join(HISTORY), &before.1);
    assert_eq!(told(root, "", &[]), [""; 0], "nobody remembers");
    assert_eq!(codes(&told(root, "", &remembered)), ["log_truncated"]);
    // All of it anew with the stolen key of the log.
    let first = bench.store.folder_of(id(0));
    unlock(&first);
    remove(&first);
    remove(&root.join(FOLDER));
    remove(&root.join(HISTORY));
    let log = bench.log();
    grow(&log, 5);
    assert_eq!(told(root, "", &[]), [""; 0], "nobody remembers");
    assert_eq!(codes(&told(root, "", &remembered)), ["log_rewritten"]);
    // A witness that is asked for has not seen it.
    let witness = NoteSigner::new("witness.example/w", &[3; 32]).expect("a name");
    let policy = format!("witness w {}\nquorum w\n", witness.verifier(Algorithm::Cosignature));
    assert_eq!(codes(&told(root, &policy, &[])), ["witness_missing"]);
    let (note, _) = log.checkpoint();
    let mut cosigned = Note::new(note.text.clone());
    cosigned.add(&witness.cosign(&note.text, 1_790_000_000)).expect("a line");
    let keys = [witness.verifier(Algorithm::Cosignature)];
    let done = log.cosign(&cosigned, &keys).expect("taken in");
    assert_eq!(done, Cosigned { size: 5, witnesses: vec!["witness.example/w".to_owned()] });
    assert_eq!(told(root, &policy, &[]), [""; 0]);
    // What came after it is covered by the next one only, and that is said.
    log.append(entry(9)).expect("appended");
    assert_eq!(told(root, &policy, &[]), ["witness_behind log/checkpoint"]);
    assert_eq!(log.proof(4).expect("a proof").checkpoint.size, 5, "against the witnessed one");
    let request = log.request(None).expect("a request");
    let (_, seen) = log.witnessed().expect("read").expect("there");
    assert_eq!((request.old, request.check(&log.key(), Some(&seen))), (5, Ok(())));
    // Nobody is believed who was not named, nor of a checkpoint that never was.
    assert_eq!(log.cosign(&cosigned, &[]).expect("no line").witnesses, [""; 0]);
    let mut other = Note::new(note.text.replace("\n5\n", "\n4\n"));
    other.add(&witness.cosign(&other.text, 1)).expect("a line");
    assert!(log.cosign(&other, &keys).is_err());
}

#[test]
fn every_byte_of_the_log_counts() {
    let bench = Bench::logged();
    bench.sealed(0);
    let log = bench.log();
    grow(&log, 258);
    drop(log);
    let root = bench.store.root();
    let whole = files(&root.join(FOLDER));
    for (name, bytes) in &whole {
        let mut changed = whole.clone();
        for at in [0, bytes.len() / 3, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 4;
            changed.insert(name.clone(), bytes);
            lay_out(&root.join(FOLDER), &changed);
            assert_ne!(told(root, "", &[]), [""; 0], "{name} at {at}");
        }
        changed.remove(name);
        lay_out(&root.join(FOLDER), &changed);
        assert_ne!(told(root, "", &[]), [""; 0], "{name} removed");
    }
    lay_out(&root.join(FOLDER), &whole);
    assert_eq!(told(root, "", &[]), [""; 0]);
}
