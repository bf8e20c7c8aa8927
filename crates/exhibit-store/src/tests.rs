//! Attacks the promises of a run's life: what is acknowledged is on disk, what is taken is not
//! overwritten, what a crash leaves is sealed with nothing lost, and what is sealed stays.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::chain;
use super::draft::Draft;
use super::error::{SealCause, StoreError};
use super::finding::FindingCode;
use super::fixture::{Bench, agent_says, file, id, opening, signer, verdict};
use super::key_file::KeyKind;
use super::layout::EVENTS;
use super::record::RunSummary;
use super::seal::{self, STEPS};
use super::sign::{KeyPlace, Signer};
use super::store::Store;
use super::trust::Trust;
use super::verify;
use crate::disk::Appending;
use crate::run::{Ending, State};

fn events(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
    text.lines().map(|line| serde_json::from_str(line).expect("an event")).collect()
}

fn kinds(folder: &Path) -> Vec<String> {
    events(folder).iter().map(|event| event["kind"].as_str().expect("a kind").to_owned()).collect()
}

fn interrupted() -> Ending {
    Ending::interrupted("the daemon stopped")
}

#[test]
fn a_sealed_run_verifies_and_is_read_only() {
    let bench = Bench::new();
    let folder = bench.sealed(0);
    assert_eq!(verdict(&folder), [""; 0]);
    assert_eq!(folder, bench.store.folder_of(id(0)));
    assert!(!bench.store.root().join("open").join(id(0).to_string()).exists());
    let mode =
        |name: &str| fs::metadata(folder.join(name)).expect("there").permissions().mode() & 0o777;
    assert_eq!(
        [
            mode(""),
            mode("data"),
            mode("data/captures/0001-before"),
            mode(EVENTS),
            mode("seal.json")
        ],
        [0o555, 0o555, 0o555, 0o444, 0o444]
    );
    let summary = RunSummary::read(&folder).expect("readable");
    assert_eq!((summary.counts.captures, summary.counts.files), (1, 5));
    assert_eq!(summary.state, State::Sealed);
}

#[test]
fn a_run_sealed_with_a_key_of_the_other_kind_verifies() {
    let bench = Bench::new();
    let path = bench.scratch().join("keys/p256");
    let signer = Signer::open(&KeyPlace { path, kind: KeyKind::P256, agent: None }).expect("made");
    let draft = bench.filled(0);
    let receipt = draft.seal(&Ending::sealed("done"), &signer, bench.now()).expect("sealed");
    let folder = bench.store.root().join(receipt.folder);
    let trust = Trust::from_allowed_signers(&signer.allowed_signers_line("p256@bench"));
    let report = verify::folder(&folder, &trust.expect("a list"));
    assert_eq!((report.findings.as_slice(), report.key), (&[][..], Some(signer.fingerprint())));
    assert_eq!(report.signed_by.as_deref(), Some("p256@bench"));
    assert_eq!(verdict(&folder), ["unknown_key tagmanifest-sha256.txt.sig"]);
}

#[test]
fn what_is_begun_is_on_disk_before_anything_else_happens() {
    let bench = Bench::new();
    let draft = bench.begin(0);
    assert_eq!(kinds(draft.folder()), ["run.opened"]);
    assert_eq!(events(draft.folder())[0]["data"]["format"], "exhibit/1");
    assert!(draft.folder().join("data/provenance.json").is_file());
    assert_eq!(bench.store.unfinished().expect("listed"), [id(0)]);
    let again = bench.store.begin(&opening(id(0)), &json!({}), bench.now());
    assert!(matches!(again, Err(StoreError::NameTaken { .. })));
}

#[test]
fn a_run_that_is_sealed_cannot_be_opened_again() {
    let bench = Bench::new();
    bench.sealed(0);
    let again = bench.store.begin(&opening(id(0)), &json!({}), bench.now());
    assert!(matches!(again, Err(StoreError::NameTaken { .. })));
    assert!(matches!(bench.resume(id(0)), Err(StoreError::NotFound { .. })));
}

#[test]
fn a_second_daemon_is_kept_out() {
    let bench = Bench::new();
    let second = Store::open(bench.store.root());
    assert!(matches!(second, Err(StoreError::Locked { .. })));
}

#[test]
fn files_are_added_all_or_none() {
    let bench = Bench::new();
    let mut draft = bench.filled(0);
    let taken = draft.add(vec![
        file("captures/0002-after/a.png", b"a"),
        file("captures/0001-before/screenshot.png", b"another"),
    ]);
    assert!(matches!(taken, Err(StoreError::NameTaken { .. })));
    let twice = draft.add(vec![file("b.png", b"a"), file("b.png", b"b")]);
    assert!(matches!(twice, Err(StoreError::NameTaken { .. })));
    for name in ["../x", "a/../../x", "/x", "a.partial", ".x", "a b", "x/", ""] {
        let refused = draft.add(vec![file("fine.png", b"a"), file(name, b"x")]);
        assert!(matches!(refused, Err(StoreError::UnsafeName { .. })), "{name}");
    }
    for name in ["run.json", "events.jsonl", "provenance.json"] {
        let refused = draft.add(vec![file(name, b"forged")]);
        assert!(matches!(refused, Err(StoreError::NameTaken { .. })), "{name}");
    }
    let receipt = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect("sealed");
    let folder = bench.store.root().join(receipt.folder);
    assert_eq!(receipt.files, 5);
    assert_eq!(verdict(&folder), [""; 0]);
}

#[test]
fn attachments_can_be_unpacked_where_case_does_not_count() {
    let bench = Bench::new();
    let mut draft = bench.begin(0);
    for name in ["con", "NUL.txt", "com1", "Lpt9.tar.gz", "x.", "a..", "aux.b.c"] {
        let refused = draft.attachment(name);
        assert!(matches!(refused, Err(StoreError::UnsafeName { .. })), "{name}");
    }
    for name in ["console", "com10", "com", "a.con", "x.y", "lpta"] {
        drop(draft.attachment(name).expect("portable"));
    }
    // Both are written at once, and the second to be finished is refused.
    let mut written = ["Review.txt", "review.TXT"].map(|name| {
        let mut file = draft.attachment(name).expect("begun");
        file.write_all(name.as_bytes()).expect("written");
        Some(file)
    });
    let mut finish =
        |at: usize| draft.finish_attachment(written[at].take().expect("written"), "text/plain");
    assert!(finish(1).is_ok());
    assert!(matches!(finish(0), Err(StoreError::NameTaken { .. })));
    assert!(matches!(draft.attachment("REVIEW.txt"), Err(StoreError::NameTaken { .. })));
    let receipt = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect("sealed");
    assert_eq!(verdict(&bench.store.root().join(receipt.folder)), [""; 0]);
}

#[test]
fn an_attachment_counts_only_when_it_is_finished() {
    let bench = Bench::new();
    let mut draft = bench.begin(0);
    let mut dropped = draft.attachment("dropped.txt").expect("begun");
    dropped.write_all(b"half").expect("written");
    drop(dropped);
    let mut kept = draft.attachment("review.txt").expect("begun");
    assert!(matches!(draft.attachment("review.txt"), Err(StoreError::NameTaken { .. })));
    assert!(matches!(draft.attachment("../x"), Err(StoreError::UnsafeName { .. })));
    kept.write_all(b"looks good").expect("written");
    draft.record(&[agent_says("meanwhile")], bench.now()).expect("recorded");
    let artifact = draft.finish_attachment(kept, "text/plain").expect("finished");
    assert_eq!(artifact.path, "data/attachments/review.txt");
    let late = draft.attachment("late.txt").expect("begun");
    let receipt = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect("sealed");
    drop(late);
    let folder = bench.store.root().join(receipt.folder);
    assert_eq!(verdict(&folder), [""; 0]);
    assert!(!folder.join("data/attachments/dropped.txt").exists());
}

#[test]
fn a_full_disk_leaves_the_chain_as_it_was() {
    let bench = Bench::new();
    let mut draft = bench.filled(0);
    let log = std::mem::replace(&mut draft.log, full());
    let before = draft.events();
    let error = draft.record(&[agent_says("lost")], bench.now()).expect_err("full");
    assert!(matches!(error, StoreError::Full { .. }), "{error}");
    assert_eq!(draft.events(), before);
    draft.log = full();
    let failed = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect_err("full");
    assert!(matches!(failed.source, SealCause::Store(StoreError::Full { .. })));
    let mut draft = *failed.draft;
    draft.log = log;
    draft.record(&[agent_says("kept")], bench.now()).expect("recorded");
    let receipt = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect("sealed");
    let folder = bench.store.root().join(receipt.folder);
    assert_eq!(verdict(&folder), [""; 0]);
    let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
    assert!(text.contains("kept") && !text.contains("lost"));
}

/// A log on a device that is always full.
fn full() -> Appending {
    Appending::open(Path::new("/dev/full")).expect("every Linux has one")
}

/// Stop after `steps` steps of sealing, as a crash would.
fn crash_while_sealing(draft: Draft, bench: &Bench, steps: usize) {
    let mut draft = draft;
    seal::run(&mut draft, &Ending::sealed("succeeded"), &signer(), bench.now(), steps)
        .expect("as far as it goes");
}

#[test]
fn a_crash_after_any_step_of_sealing_loses_nothing() {
    for steps in 0..=STEPS.len() {
        let bench = Bench::new();
        crash_while_sealing(bench.filled(0), &bench, steps);
        let bench = bench.reopen();
        let folder = bench.store.folder_of(id(0));
        let unfinished = bench.store.unfinished().expect("listed");
        if steps == STEPS.len() {
            assert_eq!(unfinished, []);
            assert_eq!(bench.store.settle().expect("settled"), std::slice::from_ref(&folder));
            assert!(bench.store.settle().expect("settled").is_empty());
        } else {
            assert_eq!(unfinished, [id(0)], "after step {steps}");
            let (draft, salvage) = bench.resume(id(0)).expect("resumed");
            assert!(!salvage.is_damaged(), "{salvage:?}");
            assert_eq!(salvage.ending.is_some(), steps >= 2, "after step {steps}");
            draft.seal(&interrupted(), &signer(), bench.now()).expect("sealed");
        }
        assert_eq!(verdict(&folder), [""; 0], "after step {steps}");
        let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
        assert!(text.contains("paid 019ab2f0"), "after step {steps}");
        let mode = fs::metadata(&folder).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o555);
    }
}

#[test]
fn a_seal_that_failed_can_be_tried_again_by_the_same_daemon() {
    for steps in 0..=STEPS.len() {
        let bench = Bench::new();
        let mut draft = bench.filled(0);
        let ending = Ending::sealed("succeeded");
        seal::run(&mut draft, &ending, &signer(), bench.now(), steps).expect("as far as it goes");
        let receipt = draft.seal(&ending, &signer(), bench.now()).expect("sealed");
        let folder = bench.store.root().join(receipt.folder);
        assert_eq!(verdict(&folder), [""; 0], "after step {steps}");
        let sealed = kinds(&folder).iter().filter(|kind| *kind == chain::SEALED).count();
        assert_eq!(sealed, 1, "after step {steps}");
    }
}

#[test]
fn events_after_a_failed_seal_are_not_behind_the_end() {
    let bench = Bench::new();
    let mut draft = bench.filled(0);
    let ending = Ending::sealed("succeeded");
    seal::run(&mut draft, &ending, &signer(), bench.now(), 10).expect("as far as it goes");
    draft.record(&[agent_says("one more")], bench.now()).expect("recorded");
    draft.add(vec![file("more.png", b"more")]).expect("added");
    let receipt = draft.seal(&ending, &signer(), bench.now()).expect("sealed");
    assert_eq!(verdict(&bench.store.root().join(receipt.folder)), [""; 0]);
}

/// The recovered folder of a run that `damage` was done to while it was open.
fn recover_after(damage: impl FnOnce(&Path)) -> (Bench, super::Salvage, std::path::PathBuf) {
    let bench = Bench::new();
    let folder = bench.filled(0).folder().to_owned();
    damage(&folder);
    let bench = bench.reopen();
    let (draft, salvage) = bench.resume(id(0)).expect("resumed");
    let receipt = draft.seal(&interrupted(), &signer(), bench.now()).expect("sealed");
    let folder = bench.store.root().join(receipt.folder);
    (bench, salvage, folder)
}

#[test]
fn a_torn_append_is_cut_and_told() {
    let (_bench, salvage, folder) = recover_after(|folder| {
        let mut text = fs::read(folder.join(EVENTS)).expect("events");
        text.extend(b"{\"sequence\":4,\"ti");
        write(&folder.join(EVENTS), &text);
        write(&folder.join("data/half.png.partial"), b"half");
        write(&folder.join("data/unnamed.png"), b"whole, but nobody was told");
    });
    let torn = salvage.torn.expect("torn");
    assert_eq!(torn.length, 17);
    assert_eq!(salvage.removed, ["data/half.png.partial"]);
    assert_eq!(salvage.unnamed, ["data/unnamed.png"]);
    assert!(!salvage.is_damaged());
    assert_eq!(
        verdict(&folder),
        ["files_unnamed data/events.jsonl:4"],
        "a note, by whom nobody knows"
    );
    let told = ["run.opened", "capture.taken", "log", "run.recovered", "run.sealed"];
    assert_eq!(kinds(&folder), told);
    assert_eq!(events(&folder)[3]["data"]["torn"]["sha256"], json!(torn.sha256));
    assert!(folder.join("data/unnamed.png").is_file());
    assert_eq!(RunSummary::read(&folder).expect("read").state, State::Interrupted);
}

#[test]
fn damage_done_to_an_open_run_is_sealed_and_stays_visible() {
    let (_bench, salvage, folder) = recover_after(|folder| {
        let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
        let lines: Vec<&str> = text.lines().collect();
        write(&folder.join(EVENTS), format!("{}\n{}\n", lines[0], lines[2]).as_bytes());
    });
    assert_eq!(salvage.broken, [2]);
    // The event that told of both files is gone.
    assert_eq!(
        verdict(&folder),
        [
            "event_previous data/events.jsonl:2",
            "event_sequence data/events.jsonl:2",
            "files_unnamed data/events.jsonl:3",
            "files_unnamed data/events.jsonl:3"
        ]
    );

    let (_bench, salvage, folder) = recover_after(|folder| {
        write(&folder.join("data/captures/0001-before/screenshot.png"), b"painted over");
    });
    assert_eq!(salvage.changed, ["data/captures/0001-before/screenshot.png"]);
    let expected = "event_artifact_mismatch data/captures/0001-before/screenshot.png";
    assert_eq!(verdict(&folder), [expected]);

    let (_bench, salvage, folder) = recover_after(|folder| {
        remove(&folder.join("data/captures/0001-before/capture.json"));
    });
    assert_eq!(salvage.missing, ["data/captures/0001-before/capture.json"]);
    let expected = "event_artifact_mismatch data/captures/0001-before/capture.json";
    assert_eq!(verdict(&folder), [expected]);
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    let bench = Bench::new();
    let mut draft = bench.begin(0);
    let mut nested = agent_says("deep");
    let value = (0..120).fold(json!(1), |value, _| json!([value]));
    nested.data.insert("deep".to_owned(), value);
    let mut huge = agent_says("huge");
    huge.data.insert("huge".to_owned(), json!("x".repeat(9 << 20)));
    for event in [nested, huge] {
        assert!(matches!(draft.record(&[event], bench.now()), Err(StoreError::Unfit { .. })));
    }
    let receipt = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect("sealed");
    assert_eq!(verdict(&bench.store.root().join(receipt.folder)), [""; 0]);
}

#[test]
fn a_clock_that_is_set_is_an_event_of_its_own() {
    let bench = Bench::new();
    let mut draft = bench.begin(0);
    let at = |text: &str| text.parse().expect("a time");
    draft.record(&[agent_says("before")], bench.now()).expect("recorded");
    bench.clock.set_wall(at("2026-11-24T09:15:46.150Z"));
    draft.record(&[agent_says("after")], bench.now()).expect("recorded");
    draft.record(&[agent_says("later")], bench.now()).expect("recorded");
    bench.clock.set_wall(at("2026-11-24T08:15:46.200Z"));
    draft.seal(&Ending::sealed("succeeded"), &signer(), bench.now()).expect("sealed");
    let folder = bench.store.folder_of(id(0));
    let expected =
        ["run.opened", "log", "clock.stepped", "log", "log", "clock.stepped", "run.sealed"];
    assert_eq!(kinds(&folder), expected);
    let events = events(&folder);
    let steps = [&events[2], &events[5]].map(|event| {
        assert_eq!(event["actor"], "exhibit");
        (event["data"]["step_ms"].as_i64(), event["data"]["after_event"].as_u64())
    });
    assert_eq!(steps.map(|(_, after)| after), [Some(2), Some(5)]);
    let forth = steps[0].0.expect("a number");
    assert!((3_599_000..3_601_000).contains(&forth), "{forth}");
    assert!(steps[1].0.expect("a number") < -3_599_000, "{steps:?}");
    // The way back is what verification notes; it is no fault of the folder.
    assert_eq!(verdict(&folder), ["event_time_order data/events.jsonl:6"]);
    let record: Value =
        serde_json::from_slice(&fs::read(folder.join("data/run.json")).expect("there"))
            .expect("JSON");
    assert_eq!(record["counts"]["events"], 7);
    assert_eq!(record["counts"], events[6]["data"]["counts"]);
}

#[test]
fn an_agent_cannot_speak_for_the_recovery() {
    let bench = Bench::new();
    drop(bench.filled(0));
    let (mut draft, _) = bench.resume(id(0)).expect("resumed");
    let mut event = agent_says("all fine");
    event.kind = chain::RECOVERED.to_owned();
    assert_eq!(draft.record(&[event], bench.now()).expect("recorded")[0].sequence, 5);
    assert_eq!(events(draft.folder())[3]["actor"], "exhibit");
}

#[test]
fn a_file_changed_behind_a_living_run_stops_its_seal() {
    let bench = Bench::new();
    let draft = bench.filled(0);
    write(&draft.folder().join("data/captures/0001-before/screenshot.png"), b"painted over");
    let failed = draft.seal(&Ending::sealed("ok"), &signer(), bench.now()).expect_err("noticed");
    let SealCause::NotVerified(findings) = &failed.source else { panic!("{failed:?}") };
    assert!(findings.iter().any(|finding| finding.code == FindingCode::FileAltered));
    assert!(!bench.store.folder_of(id(0)).exists());
}

#[test]
fn a_crash_while_opening_leaves_no_run() {
    let bench = Bench::new();
    let unborn = bench.store.root().join("open").join(format!("{}.partial", id(0)));
    make_dirs(&unborn.join("data"));
    write(&unborn.join(EVENTS), b"{\"sequ");
    let bench = bench.reopen();
    assert!(!unborn.exists());
    assert_eq!(bench.store.unfinished().expect("listed"), []);
}

#[test]
fn a_run_whose_first_event_is_gone_is_reported_not_guessed() {
    let bench = Bench::new();
    let folder = bench.filled(0).folder().to_owned();
    write(&folder.join(EVENTS), b"");
    assert!(matches!(bench.resume(id(0)), Err(StoreError::Damaged { .. })));
}

#[expect(clippy::disallowed_methods, reason = "a test prepares damage")]
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
}

#[expect(clippy::disallowed_methods, reason = "a test prepares damage")]
fn remove(path: &Path) {
    fs::remove_file(path).expect("removed");
}

#[expect(clippy::disallowed_methods, reason = "a test prepares damage")]
fn make_dirs(path: &Path) {
    fs::create_dir_all(path).expect("made");
}
