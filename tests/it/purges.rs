//! Purges: what goes, what stays, what is left of what went, and what a crash in between leaves.

use std::path::Path;

use exhibit::evidence::LogKey;
use exhibit::evidence::log::{Leaf, LeafKind, Log, LogReader};
use exhibit::evidence::verify;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually, sealed_folder, trust_in};
use crate::keeping::{leaves, refused_to_agents, sealed, with_tcp};
use crate::process::{Process, stock_tools, told, write_config};

const ABSENT: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

/// A daemon that keeps runs without a class no longer than they are open.
async fn forgetful() -> TestDaemon {
    TestDaemon::start_with(|config| config.retention.default = 0).await
}

fn purges(store: &Path) -> Vec<Leaf> {
    leaves(store, |leaf| leaf.kind == LeafKind::Purge)
}

#[track_caller]
fn assert_sound(folder: &Path) -> u64 {
    let report = verify::store(&folder.join("store"), &trust_in(folder), &[]);
    assert_eq!(report.exit(), 0, "{report:#?}");
    report.log.expect("a log").purged
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_goes_and_its_tombstone_stays() {
    let daemon = forgetful().await;
    let (one, held) = (sealed(&daemon, "w").await, sealed(&daemon, "w").await);
    let (kept, open) = (sealed(&daemon, "refund").await, daemon.open_run("w").await);
    daemon.post("/v1/holds", json!({ "runs": [held], "reason": "r", "matter": "M" })).await.ok();
    let asked = json!({ "reason": "time is over", "dry_run": true });
    let dry = daemon.post("/v1/purges", asked).await.ok().json();
    let ids = |answer: &Value, name: &str| -> Vec<Value> {
        answer[name].as_array().expect("a list").iter().map(|run| run["run"].clone()).collect()
    };
    assert_eq!((ids(&dry, "purged"), ids(&dry, "refused")), (vec![json!(one)], vec![json!(held)]));
    assert_eq!(dry["refused"][0]["code"], "run_held");
    assert!(daemon.sealed(&one).is_dir() && purges(&daemon.store()).is_empty(), "only asked");

    let asked = json!({ "reason": "time is over" });
    let done = daemon.post("/v1/purges", asked).await.ok().json();
    assert_eq!(
        (ids(&done, "purged"), ids(&done, "refused")),
        (vec![json!(one)], vec![json!(held)])
    );
    let entries = purges(&daemon.store());
    let [leaf] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(leaf.run.map(|run| run.to_string()), Some(one.clone()));
    for name in ["seal_index", "seal_sha256", "sealed_at", "kept_until", "retention", "by"] {
        assert!(!leaf.data[name].is_null(), "{name}: {leaf:?}");
    }
    assert_eq!(
        (&leaf.data["reason"], &leaf.data["workflow"]),
        (&json!("time is over"), &json!("w"))
    );
    assert!(!daemon.sealed(&one).exists() && daemon.sealed(&held).is_dir());
    let aside = std::fs::read_dir(daemon.store().join("purging")).expect("a folder");
    assert_eq!(aside.count(), 0);

    // What is left to say of it.
    let shown = daemon.get(&format!("/v1/runs/{one}")).await.ok().json();
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("purged"), &json!("time is over")));
    let listed = daemon.get("/v1/runs?state=sealed").await.ok().json();
    assert!(!ids(&listed, "runs").contains(&json!(one)));
    for path in [format!("/v1/runs/{one}/report"), format!("/ui/runs/{one}")] {
        assert_eq!(daemon.get(&path).await.status, 410, "{path}");
    }
    for (asked, code) in [
        (json!([one]), "run_purged"),
        (json!([held]), "run_held"),
        (json!([kept]), "not_due"),
        (json!([open]), "run_open"),
        (json!([ABSENT]), "run_not_found"),
    ] {
        let asked = json!({ "runs": asked, "reason": "r" });
        let told = daemon.post("/v1/purges", asked).await.refusal();
        assert_eq!((told.1.as_str(), told.2.as_str()), (code, "runs"));
    }
    let hold = json!({ "runs": [one], "reason": "too late" });
    assert_eq!(daemon.post("/v1/holds", hold).await.refusal().1, "run_purged");

    // Released, it goes; and all that is so after a restart.
    let release = json!({ "runs": [held], "reason": "over", "matter": "M" });
    daemon.post("/v1/holds/release", release).await.ok();
    daemon.post("/v1/purges", json!({ "runs": [held], "reason": "r" })).await.ok();
    let daemon = TestDaemon::start_in(daemon.stop().await, |_| {}).await;
    assert_eq!(daemon.get(&format!("/v1/runs/{one}")).await.ok().json()["state"], "purged");
    assert!(daemon.sealed(&kept).is_dir());
    assert_eq!(assert_sound(daemon.folder.path()), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_and_a_viewer_purge_nothing() {
    let daemon = TestDaemon::start_with(|config| {
        with_tcp(config);
        config.retention.default = 0;
    })
    .await;
    let run = sealed(&daemon, "w").await;
    refused_to_agents(&daemon, "/v1/purges", &json!({ "runs": [run], "reason": "r" })).await;
    assert!(daemon.sealed(&run).is_dir() && purges(&daemon.store()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_stays_unless_it_is_named_and_is_told_by_the_tombstone() {
    let daemon = forgetful().await;
    let (run, sound) = (sealed(&daemon, "w").await, sealed(&daemon, "w").await);
    let path = daemon.sealed(&run).join("data/provenance.json");
    set_mode(&path, 0o600);
    std::fs::write(&path, b"{}").expect("ours");
    let done = daemon.post("/v1/purges", json!({ "reason": "r" })).await.ok().json();
    assert_eq!(done["purged"][0]["run"], sound);
    assert_eq!(done["refused"][0]["code"], "run_damaged");
    let named = json!({ "runs": [run], "reason": "r" });
    assert_eq!(daemon.post("/v1/purges", named).await.refusal().1, "run_damaged");
    let named = json!({ "runs": [run], "reason": "disk failed", "even_damaged": true });
    daemon.post("/v1/purges", named).await.ok();
    let entries = purges(&daemon.store());
    let damage = entries[1].data["damage"].as_array().expect("codes");
    assert!(damage.contains(&json!("file_altered")), "{damage:?}");
    assert_eq!(assert_sound(daemon.folder.path()), 2);
}

/// When a run may go is what the log says of it: whoever can change its files decides nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_date_of_a_damaged_run_is_the_logs() {
    let daemon = forgetful().await;
    let (kept, due) = (sealed(&daemon, "refund").await, sealed(&daemon, "w").await);
    let (broken, resealed) = (sealed(&daemon, "w").await, sealed(&daemon, "w").await);
    let rewrite = |run: &str, name: &str, change: &dyn Fn(Value) -> Vec<u8>| {
        let path = daemon.sealed(run).join(name);
        set_mode(&path, 0o600);
        let record = serde_json::from_slice(&std::fs::read(&path).expect("there"));
        std::fs::write(&path, change(record.expect("JSON"))).expect("ours");
    };
    let dated = |sealed_at: &'static str, days: u32| {
        move |mut record: Value| {
            record["sealed_at"] = json!(sealed_at);
            record["retention"] = json!({ "days": days });
            record["workflow"] = json!("forged");
            record.to_string().into_bytes()
        }
    };
    rewrite(&kept, "data/run.json", &dated("2001-01-01T00:00:00.000Z", 0));
    rewrite(&due, "data/run.json", &dated("2999-01-01T00:00:00.000Z", 36_525));
    rewrite(&broken, "data/run.json", &|_| b"no record".to_vec());
    rewrite(&resealed, "seal.json", &|_| b"{}".to_vec());
    let asked = |run: &str| json!({ "runs": [run], "reason": "r", "even_damaged": true });
    assert_eq!(daemon.post("/v1/purges", asked(&kept)).await.refusal().1, "not_due");
    assert!(daemon.sealed(&kept).is_dir());
    for run in [&due, &broken, &resealed] {
        let plain = json!({ "runs": [run], "reason": "r" });
        assert_eq!(daemon.post("/v1/purges", plain).await.refusal().1, "run_damaged");
        let gone = daemon.post("/v1/purges", asked(run)).await.ok().json();
        assert!(gone["purged"][0]["sealed_at"].as_str().is_some_and(|at| at < "2900"), "{gone}");
        assert!(!daemon.sealed(run).exists());
    }
    let entries = purges(&daemon.store());
    let seals = leaves(&daemon.store(), |leaf| leaf.kind == LeafKind::Seal);
    for (purge, run) in entries.iter().zip([&due, &broken, &resealed]) {
        let seal = seals.iter().find(|seal| seal.data["run"] == json!(run)).expect("sealed");
        assert_eq!(purge.data["sealed_at"], seal.data["sealed_at"]);
        assert_eq!((&purge.data["workflow"], &purge.data["run"]), (&json!("w"), &json!(run)));
        let logged = serde_json::to_vec(&seal.data).expect("JSON");
        assert_eq!(purge.data["seal_sha256"], json!(exhibit::digest::Digest::of(&logged)));
        assert!(!purge.data["damage"].as_array().expect("codes").is_empty());
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
}

/// Make a file immutable, or no longer; false where that cannot be done.
fn immutable(path: &Path, on: bool) -> bool {
    let change = if on { "+i" } else { "-i" };
    let done = std::process::Command::new("chattr").arg(change).arg(path).output();
    done.is_ok_and(|done| done.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_kernel_does_not_let_go_is_told_before_anything_is_done() {
    let daemon = forgetful().await;
    let run = sealed(&daemon, "w").await;
    let path = daemon.sealed(&run).join("data/run.json");
    if !immutable(&path, true) {
        // Without the privilege, or on a file system without the flag, there is nothing to see.
        return;
    }
    let named = json!({ "runs": [run], "reason": "r" });
    let told = daemon.post("/v1/purges", named.clone()).await;
    let untouched = daemon.sealed(&run).is_dir() && purges(&daemon.store()).is_empty();
    assert!(immutable(&path, false));
    assert_eq!(told.refusal().1, "store_unwritable");
    assert!(untouched && told.json()["error"].as_str().expect("text").contains("chattr"));
    daemon.assert_verifies(&run);
    daemon.post("/v1/purges", named).await.ok();
    assert_eq!(assert_sound(daemon.folder.path()), 1);
}

/// Put the purge of `run` into the log of a store that nobody uses, as the first step does.
fn put_into_log(folder: &Path, run: &str) {
    let store = folder.join("store");
    let key = LogKey::load_or_create(&folder.join("keys/log_ed25519")).expect("the log's key");
    let origin = Log::origin_of(&store).expect("readable").expect("a log");
    let log = Log::open(&store, &key, &origin).expect("sound");
    let seal = std::fs::read(sealed_folder(&store, run).join("seal.json")).expect("there");
    let entry = json!({
        "by": { "gid": 0, "pid": 1, "uid": 0, "via": "socket" }, "format": "exhibit-log/1",
        "kind": "purge", "reason": "r", "run": run,
        "seal_sha256": exhibit::digest::Digest::of(&seal), "time": "2099-01-01T00:00:00.000Z",
    });
    log.append(serde_json::to_vec(&entry).expect("JSON")).expect("added");
}

/// Move the folder of `run` aside, as the second step does.
fn move_aside(store: &Path, run: &str) {
    let from = sealed_folder(store, run);
    std::fs::create_dir_all(store.join("purging")).expect("made");
    set_mode(&from, 0o700);
    std::fs::rename(&from, store.join("purging").join(run)).expect("moved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_cut_short_at_any_step_is_finished_by_the_next_start() {
    let daemon = forgetful().await;
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(sealed(&daemon, "w").await);
    }
    let (store, folder) = (daemon.store(), daemon.stop().await);
    let [logged, moved, half, bystander] = runs.as_slice() else { panic!("{runs:?}") };
    std::fs::create_dir_all(store.join("purging")).expect("made");
    for run in [logged, moved, half] {
        std::fs::write(store.join(format!("purging/{run}.begun")), "").expect("marked");
        put_into_log(folder.path(), run);
    }
    move_aside(&store, moved);
    move_aside(&store, half);
    let aside = store.join("purging").join(half);
    set_mode(&aside.join("data"), 0o700);
    std::fs::remove_file(aside.join("data/events.jsonl")).expect("removed");
    // Until then a verifier sees where it stands.
    let report = verify::store(&store, &trust_in(folder.path()), &[]);
    let mut codes: Vec<&str> = report.findings.iter().map(|one| one.code.as_str()).collect();
    codes.sort_unstable();
    assert_eq!(codes, ["purge_unfinished", "purge_unfinished", "purged_run_there"]);

    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    for run in [logged, moved, half] {
        assert!(!daemon.sealed(run).exists());
    }
    assert_eq!(std::fs::read_dir(store.join("purging")).expect("a folder").count(), 0);
    daemon.assert_verifies(bystander);
    assert_eq!(assert_sound(daemon.folder.path()), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_folder_that_is_put_back_is_told_and_not_hidden() {
    let daemon = forgetful().await;
    let run = sealed(&daemon, "w").await;
    let copy = daemon.folder.path().join("copy");
    copy_tree(&daemon.sealed(&run), &copy);
    let named = json!({ "runs": [run], "reason": "r" });
    daemon.post("/v1/purges", named.clone()).await.ok();
    let folder = TestDaemon::start_in(daemon.stop().await, |_| {}).await.stop().await;
    copy_tree(&copy, &sealed_folder(&folder.path().join("store"), &run));
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let report = verify::store(&daemon.store(), &daemon.trust(), &[]);
    let codes: Vec<&str> = report.findings.iter().map(|one| one.code.as_str()).collect();
    assert_eq!((report.exit(), codes), (10, vec!["purged_run_there"]));
    // Whoever decides that it goes names it.
    daemon.post("/v1/purges", named).await.ok();
    assert_eq!(assert_sound(daemon.folder.path()), 1);
}

pub(crate) fn copy_tree(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_tree(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).expect("copied");
        }
    }
}

const MANY: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_during_a_purge_leaves_no_run_between_there_and_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "[retention]\ndefault = \"0d\"\n");
    let (store, mut runs) = (folder.path().join("store"), Vec::new());
    let mut daemon = Process::start(&folder).await;
    for _ in 0..MANY {
        runs.push(daemon.sealed_run("w").await);
    }
    for least in [3, 9, 17] {
        let asked = json!({ "reason": "r" });
        let purging = daemon.try_send("POST", "/v1/purges", &asked);
        let cutting = eventually("some are purged", async || purges(&store).len() >= least);
        tokio::select! {
            _ = purging => {}
            () = cutting => {}
        }
        // SIGKILL.
        drop(daemon);
        daemon = Process::start(&folder).await;
        let gone: Vec<String> =
            purges(&store).iter().filter_map(|leaf| Some(leaf.run?.to_string())).collect();
        for run in &runs {
            assert_eq!(sealed_folder(&store, run).is_dir(), !gone.contains(run), "{run}");
        }
        let purged = assert_sound(folder.path());
        assert!(purged >= least as u64 && purged == gone.len() as u64, "{purged}");
    }
    daemon.post("/v1/purges", json!({ "reason": "r" })).await.ok();
    assert_eq!(assert_sound(folder.path()), MANY as u64);
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_purges_and_auditors_see_what_was() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "[retention]\ndefault = \"0d\"\n");
    let daemon = Process::start(&folder).await;
    let mut runs = Vec::new();
    for workflow in ["w", "refund"] {
        runs.push(daemon.sealed_run(workflow).await);
    }
    let told = |arguments: &[&str]| told(folder.path(), arguments);
    assert_eq!(told(&["purge"]).0, 2, "a reason is needed");
    let (code, text) = told(&["purge", "--dry-run", "--reason", "r"]);
    assert!(code == 0 && text.contains(&runs[0]) && !text.contains(&runs[1]), "{text}");
    assert_eq!(told(&["purge", "--reason", "r", "--run", &runs[1]]).0, 8, "not due");
    let (code, text) = told(&["purge", "--reason", "yearly", "--json"]);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &answer["purged"][0]["run"]), (0, &json!(runs[0])));
    let (_, text) = told(&["show", &runs[0]]);
    assert!(text.contains("purged") && text.contains("yearly"), "{text}");
    assert!(daemon.terminate().success());

    let (code, text) = told(&["population", "--json"]);
    let found: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &found["runs"][0]["fate"]), (0, &json!("purged")));
    assert_eq!(found["runs"][0]["purge_index"], answer["purged"][0]["log_index"]);
    let (_, drawn) = told(&["sample", "-n", "2", "--seed", "x", "--json"]);
    assert!(drawn.contains("\"purged\""), "{drawn}");
    assert_eq!(told(&["keys", "export", "--out", "trust"]).0, 0);
    let (code, text) = told(&["verify", "--trust", "trust", "store"]);
    assert!(code == 0 && text.contains("1 purged"), "{text}");
    let (passed, said) = stock_tools(folder.path());
    assert!(passed, "{said}");
    let log = LogReader::of_store(&folder.path().join("store"));
    assert!(log.exists());
}
