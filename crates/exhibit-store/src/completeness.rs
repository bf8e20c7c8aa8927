//! Tests of completeness in the folder: sealed with the run, the same after a crash, and derived
//! again by whoever verifies, so that even the holder of the key cannot claim otherwise.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::attacks::{forge, write};
use super::damage::unlock;
use super::draft::Draft;
use super::fixture::{Bench, agent_says, file, id, opening, signer, trust, verdict};
use super::layout::{BAG_INFO, EVENTS, RECORD};
use super::record::RunSummary;
use super::verify;
use crate::digest::Digest;
use crate::run::{Ending, Event};
use crate::workflow::{Layer, Policy, Verdict};

/// A run that must have the log and a picture before and after, and has the one before.
fn half(bench: &Bench) -> Draft {
    let mut opening = opening(id(0));
    let stage = |name: &str| (name.to_owned(), vec!["screenshot".to_owned()]);
    opening.policy = Some(Policy {
        layers: vec![Layer::Log, Layer::Visual],
        stages: [stage("before"), stage("after")].into(),
        ..Policy::default()
    });
    let provenance = json!({ "browser": "none" });
    let mut draft = bench.store.begin(&opening, &provenance, bench.now()).expect("begun");
    capture(&mut draft, bench, "0001", "before");
    draft.record(&[agent_says("paid")], bench.now()).expect("recorded");
    draft
}

fn capture(draft: &mut Draft, bench: &Bench, number: &str, stage: &str) {
    let path = format!("captures/{number}-{stage}/screenshot.png");
    let taken = draft.add(vec![file(&path, stage.as_bytes())]).expect("added");
    let data = json!({ "stage": stage, "altered_by": [], "artifacts": taken });
    draft.record(&[Event::exhibit("capture.taken", data)], bench.now()).expect("recorded");
}

fn record(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join(RECORD)).expect("there")).expect("JSON")
}

/// What is missing, by the record in `folder`.
fn missing(folder: &Path) -> Vec<String> {
    let requirements = record(folder)["completeness"]["requirements"].take();
    let requirements = requirements.as_array().expect("a list").clone();
    let missing = requirements.iter().filter(|one| one["met"] == false);
    missing.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn an_incomplete_run_is_sealed_and_nobody_is_left_in_doubt() {
    let bench = Bench::new();
    let receipt = half(&bench).seal(&Ending::sealed("succeeded"), &signer(), bench.now());
    let receipt = receipt.expect("sealed");
    assert_eq!(receipt.completeness.map(|judged| judged.verdict), Some(Verdict::Incomplete));
    let folder = bench.store.folder_of(id(0));
    assert_eq!(verdict(&folder), [""; 0], "what is missing is no damage");
    assert_eq!(missing(&folder), ["after"]);
    assert_eq!(verify::folder(&folder, &trust()).verdict, Some(Verdict::Incomplete));
    let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
    let last: Value = serde_json::from_str(text.lines().last().expect("one")).expect("JSON");
    assert_eq!(last["data"]["completeness"], record(&folder)["completeness"]);
    let summary = RunSummary::read(&folder).expect("readable");
    assert_eq!(summary.verdict, Some(Verdict::Incomplete));
}

#[test]
fn a_run_without_a_policy_has_no_verdict() {
    let bench = Bench::new();
    let folder = bench.sealed(0);
    assert_eq!(record(&folder).get("completeness"), None);
    assert_eq!(verify::folder(&folder, &trust()).verdict, None);
    assert_eq!(RunSummary::read(&folder).expect("readable").verdict, None);
}

#[test]
fn recovery_judges_as_the_living_daemon_would_have() {
    let bench = Bench::new();
    let mut draft = half(&bench);
    capture(&mut draft, &bench, "0002", "after");
    let judged = draft.completeness().expect("a policy");
    assert_eq!(judged.verdict, Verdict::Complete);
    drop(draft);
    let bench = bench.reopen();
    let (draft, _) = bench.resume(id(0)).expect("taken up");
    assert_eq!(draft.completeness(), Some(judged));
    let ending = Ending::interrupted("the daemon stopped");
    let receipt = draft.seal(&ending, &signer(), bench.now()).expect("sealed");
    assert_eq!(receipt.completeness.map(|judged| judged.verdict), Some(Verdict::Complete));
    assert_eq!(verdict(&bench.store.folder_of(id(0))), [""; 0]);
}

#[test]
fn a_picture_that_vanished_before_recovery_counts_no_more() {
    let bench = Bench::new();
    let mut draft = half(&bench);
    capture(&mut draft, &bench, "0002", "after");
    let picture = draft.folder().join("data/captures/0002-after/screenshot.png");
    drop(draft);
    write(&picture, b"another picture");
    let bench = bench.reopen();
    let (draft, salvage) = bench.resume(id(0)).expect("taken up");
    assert!(salvage.is_damaged());
    let ending = Ending::interrupted("the daemon stopped");
    draft.seal(&ending, &signer(), bench.now()).expect("sealed");
    let folder = bench.store.folder_of(id(0));
    assert_eq!(missing(&folder), ["after"]);
    let findings = verdict(&folder);
    let place = "data/captures/0002-after/screenshot.png";
    assert_eq!(findings, [format!("event_artifact_mismatch {place}")], "and no more than that");
}

#[test]
fn what_the_log_had_not_heard_of_meets_no_requirement() {
    let bench = Bench::new();
    let mut draft = half(&bench);
    let logged = draft.head().events;
    capture(&mut draft, &bench, "0002", "after");
    drop(draft);
    let bench = bench.reopen();
    let (draft, salvage) = bench.store.resume(id(0), Some(logged)).expect("taken up");
    assert_eq!(
        salvage.unlogged.map(|lines| (lines.first, lines.last)),
        Some((logged + 1, logged + 1))
    );
    let ending = Ending::interrupted("the daemon stopped");
    draft.seal(&ending, &signer(), bench.now()).expect("sealed");
    let folder = bench.store.folder_of(id(0));
    assert_eq!(missing(&folder), ["after"]);
    let noted = format!("events_unlogged data/events.jsonl:{}", logged + 2);
    assert_eq!(verdict(&folder), [noted], "and no more than that");
}

/// The sealed folder of an incomplete run that may be changed.
fn victim() -> (Bench, std::path::PathBuf) {
    let bench = Bench::new();
    half(&bench).seal(&Ending::sealed("succeeded"), &signer(), bench.now()).expect("sealed");
    let folder = bench.store.folder_of(id(0));
    unlock(&folder);
    (bench, folder)
}

/// Make everything anew that speaks of the rest, signed by the right key.
fn resealed(folder: &Path) {
    let size = |path: &Path| fs::metadata(path).expect("there").len();
    let data = folder.join("data");
    let picture = data.join("captures/0001-before/screenshot.png");
    let files = [data.join("events.jsonl"), data.join("provenance.json"), data.join("run.json")];
    let bytes: u64 = files.iter().map(|path| size(path)).sum::<u64>() + size(&picture);
    let text = fs::read_to_string(folder.join(BAG_INFO)).expect("there");
    let lines = text.lines().map(|line| match line.split_once(": ") {
        Some(("Payload-Oxum", _)) => format!("Payload-Oxum: {bytes}.4\n"),
        _ => format!("{line}\n"),
    });
    write(&folder.join(BAG_INFO), lines.collect::<String>().as_bytes());
    forge(folder, Some(&signer()));
}

#[test]
fn a_record_that_claims_more_is_found_even_under_a_good_signature() {
    let claims = [json!("complete"), json!("incomplete")];
    for claim in claims {
        let (_bench, folder) = victim();
        let mut record = record(&folder);
        record["completeness"]["verdict"] = claim.clone();
        if claim == "incomplete" {
            record["completeness"]["requirements"] = json!([]);
        }
        write(&folder.join(RECORD), record.to_string().as_bytes());
        resealed(&folder);
        assert_eq!(verdict(&folder), ["completeness_mismatch data/run.json#completeness"]);
    }
    let (_bench, folder) = victim();
    let mut record = record(&folder);
    record.as_object_mut().expect("an object").remove("completeness");
    write(&folder.join(RECORD), record.to_string().as_bytes());
    resealed(&folder);
    assert_eq!(verdict(&folder), ["completeness_mismatch data/run.json#completeness"]);
}

#[test]
fn a_chain_that_claims_more_is_found_even_under_a_good_signature() {
    let (_bench, folder) = victim();
    let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
    let (before, last) = text.trim_end().rsplit_once('\n').expect("lines");
    let false_last = last.replace("\"verdict\":\"incomplete\"", "\"verdict\":\"complete\"");
    assert_ne!(last, false_last);
    write(&folder.join(EVENTS), format!("{before}\n{false_last}\n").as_bytes());
    let mut record = record(&folder);
    record["completeness"]["verdict"] = json!("complete");
    record["last_event_sha256"] = json!(Digest::of(false_last.as_bytes()));
    write(&folder.join(RECORD), record.to_string().as_bytes());
    resealed(&folder);
    let line = text.lines().count();
    assert_eq!(
        verdict(&folder),
        [
            format!("completeness_mismatch data/events.jsonl:{line}#completeness"),
            "completeness_mismatch data/run.json#completeness".to_owned(),
        ]
    );
}
