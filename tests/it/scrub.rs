//! The scrubber: what happens to sealed evidence is noticed without anybody asking.

use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use exhibit::evidence::log::LogReader;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually};

/// What the log says of findings.
pub(crate) fn findings(store: &Path) -> Vec<Value> {
    let log = LogReader::of_store(store);
    let (_, checkpoint) = log.checkpoint().expect("a log");
    let entries = log.bundle(0, checkpoint.size).expect("entries");
    let entries = entries.iter().map(|entry| serde_json::from_slice(entry).expect("JSON"));
    entries.filter(|entry: &Value| entry["kind"] == "finding").collect()
}

pub(crate) async fn told(daemon: &TestDaemon) -> Value {
    daemon.get("/v1/status").await.ok().json()["integrity"].clone()
}

/// Wait until two more rounds are finished: then everything has been read since.
async fn two_rounds(daemon: &TestDaemon) -> Value {
    let rounds = |told: &Value| told["rounds"].as_u64().expect("a number");
    let before = rounds(&told(daemon).await);
    eventually("two rounds are finished", async || rounds(&told(daemon).await) >= before + 2).await;
    told(daemon).await
}

pub(crate) async fn sealed_run(daemon: &TestDaemon) -> String {
    let run = daemon.open_run("refund").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_sealed_evidence_is_noticed_and_told_once() {
    let daemon = TestDaemon::start_with(|config| {
        config.integrity.rest = Duration::from_millis(5);
        config.integrity.pace = 1 << 40;
        config.integrity.watch = false;
    })
    .await;
    let (first, second) = (sealed_run(&daemon).await, sealed_run(&daemon).await);
    assert_eq!(two_rounds(&daemon).await["findings"], json!({}));
    assert_eq!(findings(&daemon.store()), [Value::Null; 0]);

    let path = daemon.sealed(&first).join("data/provenance.json");
    let whole = std::fs::read(&path).expect("there");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
    // In place: a file that is cut short before it is written is another finding, for a moment.
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("writable");
    file.write_all_at(&[whole[5] ^ 1], 5).expect("written");
    let said = two_rounds(&daemon).await;
    assert_eq!(said["findings"][&first], json!(["file_altered"]));
    let logged = findings(&daemon.store());
    assert_eq!(logged.len(), 1, "{logged:?}");
    assert_eq!(
        (&logged[0]["place"], &logged[0]["codes"]),
        (&json!(first), &json!(["file_altered"]))
    );

    // Put back, it is no longer told; that it was stays in the log, and that it is as it was again.
    file.write_all_at(&whole[5..6], 5).expect("written");
    assert_eq!(two_rounds(&daemon).await["findings"], json!({}));
    let logged = findings(&daemon.store());
    assert_eq!((logged.len(), &logged[1]["place"]), (2, &json!(first)), "{logged:?}");
    assert_eq!(logged[1]["codes"], json!([]), "{logged:?}");

    // A folder that is gone is missed by the log.
    let folder = daemon.sealed(&second);
    for place in [folder.join("data"), folder.clone()] {
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o755)).expect("set");
    }
    std::fs::remove_dir_all(&folder).expect("removed");
    let gone = json!({ "log": ["run_gone"], &second: ["run_gone"] });
    assert_eq!(two_rounds(&daemon).await["findings"], gone);
    // What was read while it was being removed may be told as well.
    let told = findings(&daemon.store());
    assert!(told.iter().any(|one| one["codes"] == json!(["run_gone"])), "{told:?}");

    // It goes on where it stopped, and remembers what it said.
    let folder = daemon.stop().await;
    let daemon = TestDaemon::start_in(folder, |config| {
        config.integrity.rest = Duration::from_millis(5);
        config.integrity.pace = 1 << 40;
        config.integrity.watch = false;
    })
    .await;
    assert_eq!(two_rounds(&daemon).await["findings"], gone);
    assert_eq!(findings(&daemon.store()), told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_is_no_finding_and_a_line_of_custody_that_is_gone_is_one() {
    let daemon = TestDaemon::start_with(|config| {
        config.integrity.rest = Duration::from_millis(1);
        config.integrity.pace = 1 << 40;
        config.retention.default = 0;
        config.retention.classes.insert("financial".to_owned(), 0);
    })
    .await;
    for _ in 0..12 {
        sealed_run(&daemon).await;
    }
    let purged = daemon.post("/v1/purges", json!({ "reason": "r" })).await.ok().json();
    assert_eq!(purged["purged"].as_array().map(Vec::len), Some(12), "{purged}");
    assert_eq!(two_rounds(&daemon).await["findings"], json!({}));
    assert_eq!(findings(&daemon.store()), [Value::Null; 0], "also while they went");

    let custody = std::fs::read_dir(daemon.store().join("custody")).expect("a folder").next();
    let custody = custody.expect("a month").expect("an entry").path();
    let text = std::fs::read_to_string(&custody).expect("text");
    let shorter: Vec<&str> = text.lines().take(5).collect();
    std::fs::write(&custody, format!("{}\n", shorter.join("\n"))).expect("ours");
    let said = two_rounds(&daemon).await;
    assert_eq!(said["findings"], json!({ "log": ["custody_truncated"] }));
}
