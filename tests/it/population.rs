//! What an auditor asks of many runs, as the real binary answers it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::sealed_folder;
use crate::process::{Process, told, write_config};

fn answer(folder: &Path, arguments: &[&str]) -> (i32, Value) {
    let (code, text) = told(folder, &[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

async fn open(daemon: &Process, workflow: &str) -> String {
    let body = json!({ "workflow": workflow, "agent": "desk-agent", "principal": "A. Auditor" });
    let reply = daemon.post("/v1/runs", body).await.ok().json();
    reply["run"].as_str().expect("an id").to_owned()
}

async fn seal(daemon: &Process, run: &str) {
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "succeeded" })).await.ok();
}

/// A store in which a run was sealed, one cut short by a crash, and one is still open.
async fn store_with_a_past() -> (TempDir, Process, [String; 3]) {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let sealed = open(&daemon, "refund").await;
    seal(&daemon, &sealed).await;
    let cut = open(&daemon, "access-change").await;
    drop(daemon);
    let daemon = Process::start(&folder).await;
    let still = open(&daemon, "refund").await;
    (folder, daemon, [sealed, cut, still])
}

#[tokio::test(flavor = "multi_thread")]
async fn the_population_is_every_run_whatever_became_of_it() {
    let (folder, daemon, [sealed, cut, still]) = store_with_a_past().await;
    let at = folder.path();
    let (code, found) = answer(at, &["population"]);
    assert_eq!(code, 0, "{found}");
    let runs = found["runs"].as_array().expect("runs");
    let rows: Vec<_> = runs
        .iter()
        .map(|run| (run["number"].as_u64(), run["run"].as_str(), run["fate"].as_str()))
        .collect();
    let row = |number, run, fate| (Some(number), Some(run), Some(fate));
    assert_eq!(
        rows,
        [
            row(1, sealed.as_str(), "sealed"),
            row(2, cut.as_str(), "interrupted"),
            row(3, still.as_str(), "open"),
        ]
    );
    assert_eq!(runs[0]["verdict"], "incomplete");
    assert_eq!((&runs[0]["agent"], &runs[2]["agent"]), (&json!("desk-agent"), &Value::Null));
    assert_eq!(found["totals"]["workflows"], json!({ "access-change": 1, "refund": 2 }));
    let absences = found["absences"].as_array().expect("absences");
    assert_eq!(absences.len(), 1, "{absences:?}");
    assert_eq!(absences[0]["cause"], "crashed");

    // A period, a workflow, and files to keep.
    let (_, none) = answer(at, &["population", "--to", "2020-01-01"]);
    assert_eq!((none["totals"]["runs"].as_u64(), &none["ever_opened"]), (Some(0), &json!(3)));
    let filtered =
        ["population", "--workflow", "refund", "--out", "answer", "--from", "2026-01-01"];
    let (_, refunds) = answer(at, &filtered);
    assert_eq!(refunds["totals"]["runs"], 2);
    let kept: Value =
        serde_json::from_slice(&std::fs::read(at.join("answer/population.json")).expect("kept"))
            .expect("JSON");
    assert_eq!((&kept["query"]["workflow"], &kept["log"]), (&json!("refund"), &refunds["log"]));
    let table = std::fs::read_to_string(at.join("answer/population.csv")).expect("kept");
    assert_eq!(table.lines().count(), 3);
    let absences = std::fs::read_to_string(at.join("answer/absences.csv")).expect("kept");
    assert!(absences.contains(",crashed"), "{absences}");
    let (code, _) = told(at, &["population", "--from", "2026-02-01", "--to", "2026-01-01"]);
    assert_eq!(code, 2);
    let (_, text) = told(at, &["population"]);
    assert!(text.contains("3 runs: 1 interrupted, 1 open, 1 sealed"), "{text}");
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_gone_is_in_the_population_and_can_be_drawn() {
    let (folder, daemon, [sealed, cut, still]) = store_with_a_past().await;
    seal(&daemon, &still).await;
    assert!(daemon.terminate().success());
    let at = folder.path();
    let (code, drawn) = answer(at, &["sample", "-n", "2", "--seed", "a root"]);
    assert_eq!((code, drawn["runs"].as_array().map(Vec::len)), (0, Some(2)));
    let (_, again) = answer(at, &["sample", "-n", "2", "--seed", "a root"]);
    assert_eq!(drawn, again);

    let (code, _) = told(at, &["keys", "export", "--out", "trust"]);
    assert_eq!(code, 0);
    let (code, _) = told(at, &["verify", "--trust", "trust", "store"]);
    assert_eq!(code, 0);
    let gone = sealed_folder(&at.join("store"), &cut);
    for name in ["data", ""] {
        let permissions = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(gone.join(name), permissions).expect("set");
    }
    std::fs::remove_dir_all(&gone).expect("removed");
    let (code, found) = answer(at, &["population", "--trust", "trust"]);
    assert_eq!((code, &found["runs"][1]["fate"]), (10, &json!("gone")));
    assert_eq!(found["runs"][0]["run"], json!(sealed));
    let (code, text) = told(at, &["verify", "--trust", "trust", "store"]);
    assert_eq!(code, 10);
    assert!(text.contains("run_gone"), "{text}");
    let (code, drawn) = answer(at, &["sample", "-n", "9", "--seed", "x"]);
    assert_eq!((code, drawn["runs"].as_array().map(Vec::len)), (10, Some(3)));

    // Whoever made the store does not get to say whom to believe.
    std::fs::rename(at.join("trust"), at.join("store/trust")).expect("moved");
    let (code, _) = told(at, &["verify", "--trust", "store/trust", "store"]);
    assert_eq!(code, 2);
}
