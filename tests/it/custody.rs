//! Custody: who looked at evidence, took it away, or decided what is kept.

use std::path::Path;

use exhibit::evidence::log::LeafKind;
use exhibit::evidence::verify;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, trust_in};
use crate::keeping::{leaves, sealed};
use crate::process::{Process, stock_tools, told, write_config};

/// The events of custody in `store`, oldest first.
pub(crate) fn events(store: &Path) -> Vec<Value> {
    let mut files: Vec<_> = std::fs::read_dir(store.join("custody"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let texts = files.iter().map(|path| std::fs::read_to_string(path).expect("text"));
    let lines = texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>());
    lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect()
}

fn acts(store: &Path) -> Vec<String> {
    let act = |event: &Value| event["act"].as_str().expect("a word").to_owned();
    events(store).iter().map(act).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_look_is_an_event_and_a_list_is_none() {
    let daemon = TestDaemon::start_with(|config| config.retention.default = 0).await;
    let (run, open) = (sealed(&daemon, "w").await, daemon.open_run("w").await);
    for path in ["/", "/v1/runs", &format!("/v1/runs/{run}"), "/v1/status", "/v1/holds"] {
        daemon.get(path).await.ok();
    }
    assert_eq!(acts(&daemon.store()), [""; 0]);
    for path in [
        format!("/ui/runs/{run}"),
        format!("/ui/runs/{run}/report.html"),
        format!("/ui/runs/{run}/data/events.jsonl"),
        format!("/v1/runs/{run}/report"),
        format!("/ui/runs/{open}"),
    ] {
        daemon.get(&path).await.ok();
    }
    daemon.post("/v1/bundles", json!({ "runs": [run] })).await.ok();
    daemon.post("/v1/holds", json!({ "runs": [run], "reason": "r" })).await.ok();
    daemon.post("/v1/holds/release", json!({ "runs": [run], "reason": "r" })).await.ok();
    daemon.post("/v1/purges", json!({ "runs": [run], "reason": "r" })).await.ok();
    // What is not there, or was refused, was not seen.
    assert_eq!(daemon.get(&format!("/ui/runs/{open}/data/none")).await.status, 404);
    let store = daemon.store();
    let expected =
        ["view", "view", "download", "view", "view", "export", "hold", "release", "purge"];
    assert_eq!(acts(&store), expected);
    let events = events(&store);
    let uid = rustix::process::geteuid().as_raw();
    for (event, sequence) in events.iter().zip(1_u64..) {
        assert_eq!(event["sequence"], sequence);
        assert_eq!((&event["by"]["via"], &event["by"]["uid"]), (&json!("socket"), &json!(uid)));
    }
    assert_eq!(events[2]["detail"]["path"], "data/events.jsonl");
    assert_eq!(events[5]["detail"]["sha256"].as_str().map(str::len), Some(64));
    assert_eq!((&events[4]["runs"], &events[8]["detail"]["reason"]), (&json!([open]), &json!("r")));

    // What decides or hands out takes the head into the log at once, the rest follows.
    let heads = leaves(&store, |leaf| leaf.kind == LeafKind::Custody);
    let counts: Vec<_> = heads.iter().map(|leaf| leaf.data["count"].as_u64()).collect();
    assert_eq!(counts, [Some(6), Some(7), Some(8), Some(9)]);
    daemon.get(&format!("/ui/runs/{open}")).await.ok();
    let folder = daemon.stop().await;
    let heads = leaves(&store, |leaf| leaf.kind == LeafKind::Custody);
    assert_eq!(heads.last().map(|leaf| leaf.data["count"].clone()), Some(json!(10)));
    let report = verify::store(&store, &trust_in(folder.path()), &[]);
    assert_eq!((report.exit(), report.log.expect("a log").custody), (0, 10));

    // A line that is gone is missed, whoever has the files.
    let file = std::fs::read_dir(store.join("custody")).expect("a folder").next();
    let file = file.expect("one").expect("an entry").path();
    let text = std::fs::read_to_string(&file).expect("text");
    let without: Vec<&str> = text.lines().take(9).collect();
    std::fs::write(&file, format!("{}\n", without.join("\n"))).expect("ours");
    let report = verify::store(&store, &trust_in(folder.path()), &[]);
    let codes: Vec<&str> = report.findings.iter().map(|one| one.code.as_str()).collect();
    assert_eq!((report.exit(), codes), (10, vec!["custody_truncated"]));
}

/// Make a file or folder immutable, or no longer; false where that cannot be done.
fn immutable(path: &Path, on: bool) -> bool {
    let change = if on { "+i" } else { "-i" };
    let done = std::process::Command::new("chattr").arg(change).arg(path).output();
    done.is_ok_and(|done| done.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_put_down_is_not_shown_and_not_done() {
    let daemon = TestDaemon::start_with(|config| config.retention.default = 0).await;
    let run = sealed(&daemon, "w").await;
    let custody = daemon.store().join("custody");
    if !immutable(&custody, true) {
        // Without the privilege, or on a file system without the flag, there is nothing to see.
        return;
    }
    let looks =
        ["", "/report.html", "/data/events.jsonl"].map(|path| format!("/ui/runs/{run}{path}"));
    let report = format!("/v1/runs/{run}/report");
    let mut replies = Vec::new();
    for path in looks.iter().chain([&report]) {
        replies.push((path.clone(), daemon.get(path).await));
    }
    let asked = json!({ "runs": [run], "reason": "r" });
    for path in ["/v1/bundles", "/v1/holds", "/v1/purges"] {
        let body = if path == "/v1/bundles" { json!({ "runs": [run] }) } else { asked.clone() };
        replies.push((path.to_owned(), daemon.post(path, body).await));
    }
    let there = daemon.sealed(&run).is_dir();
    assert!(immutable(&custody, false));
    for (path, reply) in replies {
        assert_eq!(reply.status, 503, "{path}");
        assert!(!String::from_utf8_lossy(&reply.body).contains("run.opened"), "{path}");
    }
    assert!(there && leaves(&daemon.store(), |leaf| leaf.kind == LeafKind::Purge).is_empty());
    daemon.get(&looks[0]).await.ok();
    assert_eq!(acts(&daemon.store()), ["view"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_custody_and_the_stock_tools_check_it() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let run = daemon.sealed_run("w").await;
        let path = format!("/ui/runs/{run}/data/run.json");
        daemon.try_send("GET", &path, &Value::Null).await.expect("an answer").ok();
        runs.push(run);
    }
    // A crash loses no event, and the next start takes the head into the log.
    drop(daemon);
    let daemon = Process::start(&folder).await;
    assert!(daemon.terminate().success());
    let told = |arguments: &[&str]| told(folder.path(), arguments);
    let (code, text) = told(&["custody"]);
    assert!(code == 0 && runs.iter().all(|run| text.contains(run)), "{text}");
    let (_, text) = told(&["custody", &runs[1], "--json"]);
    let one: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((one.as_array().map(Vec::len), &one[0]["act"]), (Some(1), &json!("download")));
    assert_eq!(told(&["keys", "export", "--out", "trust"]).0, 0);
    let (code, text) = told(&["verify", "--trust", "trust", "store"]);
    assert!(code == 0 && text.contains("2 events of custody"), "{text}");
    let (passed, said) = stock_tools(folder.path());
    assert!(passed && said.contains("custody"), "{said}");
}
