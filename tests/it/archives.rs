//! Archives: one file in the place of a folder, verified like it, what a crash in between leaves, and
//! the way back.

use std::path::{Path, PathBuf};

use exhibit::digest::Digest;
use exhibit::evidence::LogKey;
use exhibit::evidence::log::{Leaf, LeafKind, Log};
use exhibit::evidence::verify;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually, sealed_folder, trust_in};
use crate::keeping::{leaves, refused_to_agents, sealed, with_tcp};
use crate::process::{Process, said, stock_tools, told, write_config};
use crate::purges::copy_tree;

fn archive_of(store: &Path, run: &str) -> PathBuf {
    let folder = sealed_folder(store, run);
    folder.with_file_name(format!("{run}.tar.zst"))
}

fn archived(store: &Path) -> Vec<Leaf> {
    leaves(store, |leaf| leaf.kind == LeafKind::Archive)
}

fn codes(folder: &Path) -> (u8, Vec<&'static str>) {
    let report = verify::store(&folder.join("store"), &trust_in(folder), &[]);
    let below = report.folders.iter().flat_map(|folder| &folder.findings);
    let codes = below.chain(&report.findings).map(|finding| finding.code.as_str());
    // Notes of what is under way in a daemon that runs, and of what its watch was quick enough to find.
    let under_way = ["run_open", "log_unpublished", "finding_logged"];
    (report.exit(), codes.filter(|code| !under_way.contains(code)).collect())
}

#[track_caller]
fn assert_sound(folder: &Path) {
    assert_eq!(codes(folder), (0, vec![]));
}

fn left(store: &Path) -> usize {
    std::fs::read_dir(store.join("archiving")).map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_becomes_one_file_and_a_folder_again() {
    let daemon = TestDaemon::start().await;
    let (run, other) = (sealed(&daemon, "w").await, sealed(&daemon, "w").await);
    let (store, open) = (daemon.store(), daemon.open_run("w").await);
    let asked = json!({ "runs": [run], "dry_run": true });
    let dry = daemon.post("/v1/archives", asked).await.ok().json();
    assert_eq!(dry["runs"][0]["run"], run);
    assert!(daemon.sealed(&run).is_dir() && archived(&store).is_empty(), "only asked");
    let done = daemon.post("/v1/archives", json!({ "runs": [run] })).await.ok().json();
    let (path, entries) = (archive_of(&store, &run), archived(&store));
    let bytes = std::fs::read(&path).expect("an archive");
    assert_eq!(done["runs"][0]["sha256"], json!(Digest::of(&bytes)));
    assert_eq!(entries[0].data["sha256"], done["runs"][0]["sha256"]);
    assert_eq!(entries[0].data["size"], bytes.len());
    assert!(!daemon.sealed(&run).exists() && daemon.sealed(&other).is_dir());
    assert_eq!(left(&store), 0);
    assert_sound(daemon.folder.path());

    // It is told of, and what lies in it is not shown.
    let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
    assert_eq!((&shown["archived"], &shown["state"]), (&json!(true), &json!("sealed")));
    for path in [format!("/v1/runs/{run}/report"), format!("/ui/runs/{run}")] {
        assert_eq!(daemon.get(&path).await.status, 409, "{path}");
    }
    let told = daemon.post("/v1/bundles", json!({ "runs": [run] })).await.refusal();
    assert_eq!(told.1, "run_archived");
    for (path, asked, code) in [
        ("/v1/archives", &run, "run_archived"),
        ("/v1/archives", &open, "run_open"),
        ("/v1/archives/restore", &other, "run_not_found"),
        ("/v1/purges", &run, "not_due"),
    ] {
        let asked = json!({ "runs": [asked] });
        let mut body = asked.clone();
        if path == "/v1/purges" {
            body["reason"] = json!("r");
        }
        assert_eq!(daemon.post(path, body).await.refusal().1, code, "{path}");
    }
    daemon.post("/v1/holds", json!({ "runs": [run], "reason": "r" })).await.ok();

    // The same after a restart, and by an index that was made anew.
    let folder = daemon.stop().await;
    std::fs::remove_file(store.join("index.sqlite")).expect("there");
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let listed = daemon.get("/v1/runs?state=sealed").await.ok().json();
    let listed = listed["runs"].as_array().expect("a list").clone();
    let one = listed.iter().find(|one| one["run"] == run.as_str()).expect("listed");
    assert_eq!((&one["archived"], &one["held"]), (&json!(true), &json!(true)));

    daemon.post("/v1/archives/restore", json!({ "runs": [run] })).await.ok();
    assert!(!path.exists() && left(&store) == 0);
    daemon.assert_verifies(&run);
    assert_sound(daemon.folder.path());
    assert_eq!(daemon.get(&format!("/v1/runs/{run}/report")).await.status, 200);
    // The same folder gives the same bytes.
    daemon.post("/v1/archives", json!({ "runs": [run] })).await.ok();
    assert_eq!(std::fs::read(&path).expect("an archive"), bytes);
    assert_sound(daemon.folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_run_and_an_agents_wish_are_refused_and_what_is_due_is_purged() {
    let daemon = TestDaemon::start_with(|config| {
        with_tcp(config);
        config.retention.default = 0;
    })
    .await;
    let (run, due) = (sealed(&daemon, "w").await, sealed(&daemon, "w").await);
    refused_to_agents(&daemon, "/v1/archives", &json!({ "runs": [run] })).await;
    refused_to_agents(&daemon, "/v1/archives/restore", &json!({ "runs": [run] })).await;
    let path = daemon.sealed(&run).join("data/provenance.json");
    set_mode(&path, 0o600);
    std::fs::write(&path, b"{}").expect("ours");
    let asked = json!({ "older_than_days": 0 });
    let done = daemon.post("/v1/archives", asked).await.ok().json();
    assert_eq!((&done["runs"][0]["run"], &done["runs"][1]), (&json!(due), &Value::Null));
    assert_eq!(done["refused"][0]["code"], "run_damaged");
    assert!(daemon.sealed(&run).is_dir() && archive_of(&daemon.store(), &due).is_file());
    let purge = json!({ "reason": "r" });
    let done = daemon.post("/v1/purges", purge).await.ok().json();
    assert_eq!((&done["purged"][0]["run"], &done["purged"][1]), (&json!(due), &Value::Null));
    assert!(!archive_of(&daemon.store(), &due).exists());
    let named = json!({ "runs": [run], "reason": "r", "even_damaged": true });
    daemon.post("/v1/purges", named).await.ok();
    assert_sound(daemon.folder.path());
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
}

/// Put an entry about `run` into the log of a store that nobody uses.
fn put_into_log(folder: &Path, kind: &str, run: &str, sha256: Option<Digest>) {
    let store = folder.join("store");
    let key = LogKey::load_or_create(&folder.join("keys/log_ed25519")).expect("the log's key");
    let origin = Log::origin_of(&store).expect("readable").expect("a log");
    let log = Log::open(&store, &key, &origin).expect("sound");
    let entry = json!({
        "by": { "gid": 0, "pid": 1, "uid": 0, "via": "socket" }, "format": "exhibit-log/1",
        "kind": kind, "run": run, "sha256": sha256, "time": "2099-01-01T00:00:00.000Z",
    });
    log.append(serde_json::to_vec(&entry).expect("JSON")).expect("added");
}

/// Write the archive of `run` to `archiving/`, as the first step does; its digest.
fn begin(store: &Path, run: &str) -> Digest {
    let folder = sealed_folder(store, run);
    let id = run.parse().expect("an id");
    let folders = [(id, folder.as_path(), None)];
    let bytes = exhibit::bundle::write(Vec::new(), &folders).expect("in memory");
    std::fs::create_dir_all(store.join("archiving")).expect("made");
    let path = store.join(format!("archiving/{run}.tar.zst"));
    std::fs::write(path, &bytes).expect("written");
    Digest::of(&bytes)
}

fn mark(store: &Path, run: &str, ending: &str) {
    std::fs::write(store.join(format!("archiving/{run}.{ending}")), "").expect("marked");
}

fn publish(store: &Path, run: &str) {
    let from = store.join(format!("archiving/{run}.tar.zst"));
    std::fs::rename(from, archive_of(store, run)).expect("moved");
}

fn move_aside(store: &Path, run: &str) {
    let from = sealed_folder(store, run);
    set_mode(&from, 0o700);
    std::fs::rename(&from, store.join("archiving").join(run)).expect("moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archiving_cut_short_at_any_step_is_finished_or_undone_by_the_next_start() {
    let daemon = TestDaemon::start().await;
    let mut runs = Vec::new();
    for _ in 0..6 {
        runs.push(sealed(&daemon, "w").await);
    }
    let (store, folder) = (daemon.store(), daemon.stop().await);
    let [written, logged, placed, moved, half, back] = runs.as_slice() else { panic!("{runs:?}") };
    begin(&store, written);
    for run in [logged, placed, moved, half, back] {
        let sha256 = begin(&store, run);
        mark(&store, run, "begun");
        put_into_log(folder.path(), "archive", run, Some(sha256));
    }
    for run in [placed, moved, half, back] {
        publish(&store, run);
    }
    for run in [moved, half] {
        move_aside(&store, run);
    }
    let aside = store.join("archiving").join(half);
    set_mode(&aside.join("data"), 0o700);
    std::fs::remove_file(aside.join("data/events.jsonl")).expect("removed");
    // Its folder came back, and the log says so.
    mark(&store, back, "restoring");
    put_into_log(folder.path(), "restore", back, None);
    // Until then a verifier sees where it stands, and misses nothing.
    assert_eq!(codes(folder.path()), (0, vec!["archive_unfinished"; 3]));

    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    for run in [written, back] {
        assert!(daemon.sealed(run).is_dir() && !archive_of(&store, run).exists(), "{run}");
    }
    for run in [logged, placed, moved, half] {
        assert!(!daemon.sealed(run).exists() && archive_of(&store, run).is_file(), "{run}");
    }
    assert_eq!(left(&store), 0);
    assert_sound(daemon.folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_put_beside_an_archive_is_told_and_not_taken_away() {
    let daemon = TestDaemon::start().await;
    let run = sealed(&daemon, "w").await;
    let (store, copy) = (daemon.store(), daemon.folder.path().join("copy"));
    copy_tree(&daemon.sealed(&run), &copy);
    daemon.post("/v1/archives", json!({ "runs": [run] })).await.ok();
    let folder = daemon.stop().await;
    copy_tree(&copy, &sealed_folder(&store, &run));
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    assert!(daemon.sealed(&run).is_dir() && archive_of(&store, &run).is_file());
    assert!(codes(daemon.folder.path()).1.contains(&"archive_unfinished"));
    // Whoever decides which of the two stays restores it.
    daemon.post("/v1/archives/restore", json!({ "runs": [run] })).await.ok();
    assert!(daemon.sealed(&run).is_dir() && !archive_of(&store, &run).exists());
    assert_sound(daemon.folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_runs_come_back_from_a_bundle_and_changed_ones_do_not_come_in() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "[retention]\ndefault = \"0d\"\n");
    let daemon = Process::start(&folder).await;
    let (store, mut runs) = (folder.path().join("store"), Vec::new());
    for _ in 0..3 {
        runs.push(daemon.sealed_run("w").await);
    }
    let told = |arguments: &[&str]| said(folder.path(), arguments);
    let [lost, packed, stays] = runs.as_slice() else { panic!("{runs:?}") };
    assert_eq!(told(&["export", lost, stays, "--out", "two.tar.zst"]).0, 0);
    assert_eq!(told(&["archive", packed]).0, 0);
    let archive = archive_of(&store, packed);
    std::fs::rename(&archive, folder.path().join("one.tar.zst")).expect("moved");
    let lose = |run: &str, to: &str| {
        let from = sealed_folder(&store, run);
        set_mode(&from, 0o700);
        std::fs::rename(&from, folder.path().join(to)).expect("moved");
    };
    lose(lost, "first");
    assert_eq!(codes(folder.path()), (10, vec!["run_gone", "run_gone"]));
    let (code, text) = told(&["import", "two.tar.zst"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains(&format!("{lost}: put back")), "{text}");
    assert!(text.contains(&format!("{stays}: already here")), "{text}");
    let (code, text) = told(&["import", "one.tar.zst"]);
    assert!(code == 0 && text.contains(&format!("{packed}: put back")), "{text}");
    assert_sound(folder.path());
    let entries = leaves(&store, |leaf| leaf.kind == LeafKind::Import);
    assert_eq!(entries[0].data["runs"], json!([lost]));
    assert!(told(&["list"]).1.contains(lost.as_str()), "it is in the index");
    let (_, text) = told(&["import", "two.tar.zst"]);
    assert!(!text.contains("put back"), "{text}");
    assert_eq!(leaves(&store, |leaf| leaf.kind == LeafKind::Import).len(), 2, "nothing was done");

    // What was purged is gone, what was changed does not come in.
    assert_eq!(told(&["purge", "--run", stays, "--reason", "r"]).0, 0);
    lose(lost, lost);
    let (code, text) = told(&["import", "two.tar.zst"]);
    assert!(code == 7 && text.contains("purged"), "{text}");
    let changed = folder.path().join(lost);
    let path = changed.join("data/provenance.json");
    set_mode(&path, 0o600);
    std::fs::write(&path, b"{}").expect("ours");
    let folders = [(lost.parse().expect("an id"), changed.as_path(), None)];
    let bytes = exhibit::bundle::write(Vec::new(), &folders).expect("in memory");
    std::fs::write(folder.path().join("changed"), bytes).expect("written");
    let (found, text) = told(&["import", "changed"]);
    assert!(found == 8 && text.contains("file_altered"), "{text}");
    std::fs::write(folder.path().join("none"), b"no bundle").expect("written");
    assert_eq!(told(&["import", "none"]).0, 2);
    assert!(!sealed_folder(&store, lost).exists() && left(&store) == 0);
    assert!(daemon.terminate().success());
}

const MANY: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_archiving_and_restoring_loses_no_run() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let (store, mut runs) = (folder.path().join("store"), Vec::new());
    let mut daemon = Process::start(&folder).await;
    for _ in 0..MANY {
        runs.push(daemon.sealed_run("w").await);
    }
    let told = |kind| leaves(&store, |leaf| leaf.kind == kind).len();
    let all = json!({ "older_than_days": 0 });
    for (path, kind, least) in [
        ("/v1/archives", LeafKind::Archive, 3),
        ("/v1/archives", LeafKind::Archive, 9),
        ("/v1/archives/restore", LeafKind::Restore, 2),
    ] {
        let there = |run: &&String| archive_of(&store, run).is_file();
        let packed: Vec<_> = runs.iter().filter(there).collect();
        let asked = if kind == LeafKind::Archive { all.clone() } else { json!({ "runs": packed }) };
        let asking = daemon.try_send("POST", path, &asked);
        let cutting = eventually("some are done", async || told(kind) >= least);
        tokio::select! {
            _ = asking => {}
            () = cutting => {}
        }
        // SIGKILL.
        drop(daemon);
        daemon = Process::start(&folder).await;
        for run in &runs {
            let (folder, archive) = (sealed_folder(&store, run).is_dir(), archive_of(&store, run));
            assert!(folder != archive.is_file(), "{run} lies there once");
        }
        assert!(told(kind) >= least);
        assert_sound(folder.path());
    }
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_archives_and_auditors_check_what_is_archived() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let run = daemon.sealed_run("refund").await;
    let told = |arguments: &[&str]| told(folder.path(), arguments);
    assert_eq!(told(&["archive"]).0, 2, "runs or an age are needed");
    assert_eq!(told(&["archive", "--older-than", "soon"]).0, 2);
    let (code, text) = told(&["archive", "--older-than", "90d", "--json"]);
    assert!(code == 0 && !text.contains(&run), "{text}");
    let (code, text) = told(&["archive", &run]);
    assert!(code == 0 && text.contains(&run), "{text}");
    let (_, text) = told(&["population", "--json"]);
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(found["runs"][0]["fate"], "archived");
    assert_eq!(told(&["keys", "export", "--out", "trust"]).0, 0);
    let archive = archive_of(&folder.path().join("store"), &run);
    let alone = archive.to_str().expect("text").to_owned();
    for what in ["store", alone.as_str()] {
        let (code, text) = told(&["verify", "--trust", "trust", what]);
        assert!(code == 0 && text.contains(&run), "{text}");
    }
    let (passed, said) = stock_tools(folder.path());
    assert!(passed && said.contains("PASS 21 archives"), "{said}");
    let mut bytes = std::fs::read(&archive).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    set_mode(&archive, 0o600);
    std::fs::write(&archive, &bytes).expect("ours");
    let (code, text) = told(&["verify", "--trust", "trust", "store"]);
    assert!(code == 10 && text.contains("archive_not_logged"), "{text}");
    let (passed, said) = stock_tools(folder.path());
    assert!(!passed && said.contains("FAIL 21 archives"), "{said}");
    assert_eq!(told(&["archive", "--restore", &run]).0, 8, "it is damaged");
    bytes[middle] ^= 1;
    std::fs::write(&archive, &bytes).expect("ours");
    assert_eq!(told(&["archive", "--restore", &run]).0, 0);
    assert_eq!(told(&["verify", "--trust", "trust", "store"]).0, 0);
    assert!(daemon.terminate().success());
}
