//! What somebody with the files and no key can lay before a start: a sealed run moved back among the
//! open ones, an open one cut short, a second daemon beside the first. Nothing of it is signed, and all
//! of it is told.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use exhibit::evidence::verify;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, trust_in};
use crate::process::{Process, outcome, write_config};
use crate::scrub::{findings, sealed_run, told};

/// Files that a seal writes, which whoever wants a run sealed anew removes.
const SEALED: [&str; 10] = [
    "VERIFY.txt",
    "bag-info.txt",
    "bagit.txt",
    "manifest-sha256.txt",
    "report.html",
    "seal.json",
    "seal.json.tlog-proof",
    "tagmanifest-sha256.txt",
    "tagmanifest-sha256.txt.sig",
    "data/run.json",
];

fn unlock(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("set");
    for entry in std::fs::read_dir(folder).expect("listed") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            unlock(&path);
        } else {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        }
    }
}

/// Move a sealed run to `open/`; where it lies then.
fn reopen(store: &Path, sealed: &Path, run: &str) -> PathBuf {
    let open = store.join("open").join(run);
    unlock(sealed);
    std::fs::rename(sealed, &open).expect("moved");
    open
}

/// Change the lines of a run's events, and bind each to the one before it.
fn forge(folder: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let path = folder.join("data/events.jsonl");
    let text = std::fs::read_to_string(&path).expect("there");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    let mut previous = "0".repeat(64);
    for line in &mut lines {
        let (before, _) = line.rsplit_once("\"previous\":").expect("the last key");
        *line = format!("{before}\"previous\":\"{previous}\"}}");
        previous = exhibit::digest::Digest::of(line.as_bytes()).to_string();
    }
    std::fs::write(path, lines.join("\n") + "\n").expect("written");
}

/// Codes of all that verification says of the store in `folder`, notes left out.
fn codes(folder: &Path) -> Vec<String> {
    let report = verify::store(&folder.join("store"), &trust_in(folder), &[]);
    let folders = report.folders.iter().flat_map(|folder| &folder.findings);
    let wrong = folders.chain(&report.findings).filter(|finding| finding.class.is_damage());
    wrong.map(|finding| finding.code.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_run_that_comes_back_as_an_open_one_is_finished_as_it_was_or_never_signed() {
    let daemon = TestDaemon::start().await;
    let (whole, forged, first) =
        (sealed_run(&daemon).await, sealed_run(&daemon).await, sealed_run(&daemon).await);
    let places = [&whole, &forged, &first].map(|run| daemon.sealed(run));
    let folder = daemon.stop().await;
    let store = folder.path().join("store");
    reopen(&store, &places[0], &whole);
    let open = reopen(&store, &places[1], &forged);
    for name in SEALED {
        std::fs::remove_file(open.join(name)).expect("there");
    }
    forge(&open, |lines| {
        lines.pop();
        lines[0] = lines[0].replace("\"workflow\":\"refund\"", "\"workflow\":\"access\"");
    });
    let open = reopen(&store, &places[2], &first);
    let events = std::fs::read_to_string(open.join("data/events.jsonl")).expect("there");
    std::fs::remove_dir_all(&open).expect("ours");
    std::fs::create_dir_all(open.join("data")).expect("made");
    let line = events.lines().next().expect("an event");
    std::fs::write(open.join("data/events.jsonl"), format!("{line}\n")).expect("written");

    // Before a start: the one that is whole is on its way, the others are told.
    assert_eq!(codes(folder.path()), ["run_reopened", "run_reopened"]);
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    daemon.assert_verifies(&whole);
    for run in [&forged, &first] {
        assert!(store.join("quarantine").join(run).is_dir(), "{run}");
        assert_eq!(daemon.get(&format!("/v1/runs/{run}")).await.status, 404);
        let told = told(&daemon).await;
        assert_eq!(told["findings"][format!("quarantine/{run}")], json!(["seal_not_logged"]));
    }
    let logged: Vec<Value> = findings(&store);
    let mut named: Vec<&str> = logged.iter().filter_map(|told| told["place"].as_str()).collect();
    named.sort_unstable();
    let mut expected = [forged.as_str(), first.as_str()];
    expected.sort_unstable();
    assert_eq!(named, expected, "{logged:?}");
    assert!(logged.iter().all(|told| told["quarantined"] == true), "{logged:?}");
    let folder = daemon.stop().await;
    assert_eq!(codes(folder.path()), ["run_gone", "run_gone"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_run_that_is_cut_short_while_no_daemon_runs_is_not_signed() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let (cut, kept) = (daemon.open_run("refund").await, daemon.open_run("refund").await);
    for run in [&cut, &kept] {
        let path = format!("/v1/runs/{run}/events");
        daemon.post(&path, json!({ "message": "paid 48.50" })).await.ok();
        let path = format!("/v1/runs/{run}/attachments?name=note.txt");
        daemon.post(&path, json!("a note")).await.ok();
    }
    daemon.signal(Signal::KILL);
    drop(daemon);
    let store = folder.path().join("store");
    let open = store.join("open").join(&cut);
    forge(&open, |lines| lines.truncate(1));
    std::fs::remove_file(open.join("data/attachments/note.txt")).expect("there");
    assert_eq!(codes(folder.path()), ["head_not_logged"]);

    let daemon = Process::start(&folder).await;
    assert!(store.join("quarantine").join(&cut).is_dir());
    assert!(!store.join("open").join(&cut).exists());
    daemon.terminate();
    assert_eq!(codes(folder.path()), ["run_gone"]);
    // The honest one is sealed as interrupted, whole.
    let report = verify::store(&store, &trust_in(folder.path()), &[]);
    let sealed: Vec<String> =
        report.folders.iter().filter_map(|folder| Some(folder.run?.to_string())).collect();
    assert_eq!(sealed, [kept]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_gets_no_store_by_removing_its_lock_and_a_log_put_back_is_not_continued() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let store = folder.path().join("store");
    std::fs::remove_file(store.join("lock")).expect("there");
    let arguments = ["--config", "config.toml", "serve"];
    let (code, _, said) = outcome(folder.path(), &arguments);
    assert!(code != 0 && said.contains("another daemon"), "{code}: {said}");
    // Also where they would not meet at the socket.
    let config = std::fs::read_to_string(folder.path().join("config.toml")).expect("there");
    let config = config.replace("exhibit.sock", "other.sock").replace("\"browser\"", "\"other\"");
    std::fs::write(folder.path().join("other.toml"), config).expect("written");
    let (code, _, said) = outcome(folder.path(), &["--config", "other.toml", "serve"]);
    assert!(code == 8 && said.contains("another running daemon"), "{code}: {said}");

    // What a caller was handed still holds; a receipt that names another seal is told.
    let run = daemon.open_run("refund").await;
    let receipt = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
    let other = receipt.to_string().replace(
        receipt["seal_sha256"].as_str().expect("a digest"),
        &exhibit::digest::Digest::of(b"another").to_string(),
    );
    for (receipt, code) in [(receipt.to_string(), 0), (other, 10)] {
        std::fs::write(folder.path().join("receipt.json"), receipt).expect("written");
        let (found, said) =
            crate::process::told(folder.path(), &["verify", "--receipt", "receipt.json", "store"]);
        assert_eq!(found, code, "{said}");
        assert_eq!(said.contains("receipt_mismatch"), code != 0, "{said}");
    }

    // An earlier checkpoint is put back: nothing is added to the log behind the daemon's back.
    let checkpoint = store.join("log/checkpoint");
    let before = std::fs::read(&checkpoint).expect("there");
    daemon.sealed_run("refund").await;
    let newest = std::fs::read(&checkpoint).expect("there");
    std::fs::set_permissions(&checkpoint, std::fs::Permissions::from_mode(0o600)).expect("set");
    std::fs::write(&checkpoint, &before).expect("written");
    let refused = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await;
    assert_eq!(refused.status, 500);
    daemon.terminate();
    let (code, _, said) = outcome(folder.path(), &arguments);
    assert!(code != 0 && said.contains("was put back to an earlier state"), "{code}: {said}");
    std::fs::write(&checkpoint, &newest).expect("written");
    let daemon = Process::start(&folder).await;
    daemon.sealed_run("refund").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ending_that_the_log_does_not_hold_ends_no_run() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let run = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{run}/events");
    daemon.post(&path, json!({ "message": "refused by the supervisor" })).await.ok();
    daemon.post(&format!("/v1/runs/{run}/attachments?name=a.txt"), json!("a")).await.ok();
    daemon.signal(Signal::KILL);
    drop(daemon);
    let store = folder.path().join("store");
    let open = store.join("open").join(&run);
    forge(&open, |lines| {
        let last: Value = serde_json::from_str(lines.last().expect("some")).expect("an event");
        let sequence = last["sequence"].as_u64().expect("a number") + 1;
        let data = json!({
            "state": "sealed", "outcome": "succeeded", "reason": "approved", "artifacts": [],
            "counts": { "events": sequence, "captures": 0, "files": 1 },
        });
        let event = json!({
            "sequence": sequence, "time": last["time"], "monotonic_ms": last["monotonic_ms"],
            "actor": "exhibit", "kind": "run.sealed", "data": data, "previous": last["previous"],
        });
        lines.push(event.to_string());
    });
    let daemon = Process::start(&folder).await;
    daemon.terminate();
    let report = verify::store(&store, &trust_in(folder.path()), &[]);
    let sealed = report.folders.iter().find(|folder| folder.run.is_some()).expect("sealed");
    assert_eq!(sealed.state, Some(exhibit::run::State::Interrupted), "{sealed:?}");
    let record = std::fs::read(Path::new(&sealed.folder).join("data/run.json")).expect("there");
    let record: Value = serde_json::from_slice(&record).expect("a record");
    assert_eq!(record["outcome"], Value::Null, "{record}");
}

/// What a start of the daemon in `folder` says, which is refused.
fn refused(folder: &Path) -> String {
    let (code, _, said) = outcome(folder, &["serve"]);
    assert_eq!(code, 6, "{said}");
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sealed_on_where_the_log_was_taken_away_or_put_back() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let run = daemon.sealed_run("refund").await;
    daemon.terminate();
    let store = folder.path().join("store");
    let at = |name: &str| store.join(name);
    let aside = |name: &str| folder.path().join("aside").join(name);
    std::fs::create_dir(folder.path().join("aside")).expect("made");
    let copied = |from: &Path, to: &Path| {
        let done = std::process::Command::new("cp").arg("-a").args([from, to]).status();
        assert!(done.expect("cp is there").success());
    };
    for name in ["log", "checkpoints", "custody", "runs"] {
        copied(&at(name), &aside(name));
    }
    let daemon = Process::start(&folder).await;
    daemon.sealed_run("refund").await;
    daemon.terminate();

    // An older state of everything: the daemon remembers a later one, outside the store.
    for name in ["log", "checkpoints", "custody", "runs"] {
        unlock(&at(name));
        std::fs::remove_dir_all(at(name)).expect("ours");
        copied(&aside(name), &at(name));
    }
    let said = refused(folder.path());
    assert!(said.contains("an older state of it was put in its place"), "{said}");
    // No log at all, with runs and without.
    for name in ["log", "checkpoints", "custody"] {
        unlock(&at(name));
        std::fs::remove_dir_all(at(name)).expect("ours");
    }
    let said = refused(folder.path());
    assert!(said.contains("the store has no log"), "{said}");
    // Where nothing is remembered, a log does not begin over what is there already: not with the
    // seals of folders, nor with whatever else lies in their place.
    let memory = folder.path().join("keys");
    let seen = std::fs::read_dir(&memory).expect("listed").flatten();
    let seen =
        seen.map(|entry| entry.path()).find(|path| path.extension() == Some("seen".as_ref()));
    std::fs::remove_dir_all(seen.expect("a memory")).expect("ours");
    let said = refused(folder.path());
    assert!(said.contains("the store's log has not begun") && said.contains(&run), "{said}");
    // An empty log of its own, which the store keeps, is none.
    std::fs::create_dir_all(at("checkpoints")).expect("made");
    std::fs::create_dir_all(at("log")).expect("made");
    std::fs::copy(aside("checkpoints/000.note"), at("checkpoints/000.note")).expect("copied");
    std::fs::copy(aside("checkpoints/000.note"), at("log/checkpoint")).expect("copied");
    let said = refused(folder.path());
    assert!(said.contains("the store's log has not begun"), "{said}");
}
