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

/// Make `folder` and all below it writable.
fn unlock(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("set");
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            unlock(&path);
        } else {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unsealed_text_decides_nothing_of_a_population() {
    let (folder, daemon, [sealed, cut, still]) = store_with_a_past().await;
    let another = open(&daemon, "refund").await;
    seal(&daemon, &another).await;
    let _left_open = open(&daemon, "refund").await;
    // Killed: a stop would seal what is open.
    drop(daemon);
    let (at, store) = (folder.path(), folder.path().join("store"));
    let of = |found: &Value, run: &str| {
        let rows = found["runs"].as_array().expect("rows");
        rows.iter().find(|row| row["run"] == run).cloned().unwrap_or_default()
    };
    let (code, found) = answer(at, &["population"]);
    assert_eq!((code, found["totals"]["runs"].as_u64()), (0, Some(5)), "{found}");

    // Another outcome and workflow in the record.
    let place = sealed_folder(&store, &sealed);
    unlock(&place);
    let record = place.join("data/run.json");
    let text = std::fs::read_to_string(&record).expect("there");
    let forged = text.replace("\"succeeded\"", "\"failed\"").replace("\"refund\"", "\"payroll\"");
    std::fs::write(&record, forged).expect("written");
    let (code, found) = answer(at, &["population", "--workflow", "refund"]);
    let row = of(&found, &sealed);
    assert_eq!((code, &row["fate"], &row["outcome"]), (10, &json!("altered"), &json!("succeeded")));
    assert_eq!((&row["workflow"], &row["agent"]), (&json!("refund"), &Value::Null), "{row}");
    assert!(row["codes"].as_array().expect("codes").contains(&json!("file_altered")), "{row}");
    std::fs::write(&record, text).expect("written");

    // A file that nothing of the record speaks of.
    let events = place.join("data/provenance.json");
    let whole = std::fs::read(&events).expect("there");
    std::fs::write(&events, b"{}").expect("written");
    let (code, drawn) = answer(at, &["sample", "-n", "5", "--seed", "x"]);
    assert_eq!((code, &of(&drawn, &sealed)["fate"]), (10, &json!("altered")));
    std::fs::write(&events, whole).expect("written");
    assert_eq!(answer(at, &["population"]).0, 0, "as it was");

    // A folder that the log does not tell of, whose proof names a place far ahead, and another workflow.
    let last = if another.ends_with('0') { '1' } else { '0' };
    let stranger = format!("{}{last}", &another[..35]);
    let slipped_in = sealed_folder(&store, &stranger);
    let original = sealed_folder(&store, &another);
    unlock(&original);
    let copied = std::process::Command::new("cp").arg("-r").args([&original, &slipped_in]).status();
    assert!(copied.expect("cp is there").success());
    let proof = slipped_in.join("seal.json.tlog-proof");
    let text = std::fs::read_to_string(&proof).expect("there");
    let index = text.lines().find(|line| line.starts_with("index ")).expect("an index").to_owned();
    std::fs::write(&proof, text.replace(&index, "index 99999999")).expect("written");
    let (code, found) = answer(at, &["population", "--workflow", "access-change"]);
    assert_eq!((code, &of(&found, &stranger)["fate"]), (10, &json!("not-logged")), "{found}");
    std::fs::remove_dir_all(&slipped_in).expect("removed");

    // Empty folders among the open runs: of one that was sealed, and of one that is open.
    let gone = sealed_folder(&store, &cut);
    unlock(&gone);
    std::fs::remove_dir_all(&gone).expect("removed");
    std::fs::create_dir(store.join("open").join(&cut)).expect("made");
    let begun = store.join("open").join(&still).join("data/events.jsonl");
    let text = std::fs::read_to_string(&begun).expect("there");
    std::fs::write(&begun, text.replacen("desk-agent", "deck-agent", 1)).expect("written");
    let (code, found) = answer(at, &["population"]);
    assert_eq!(code, 10, "{found}");
    let row = of(&found, &still);
    assert_eq!((&row["fate"], &row["codes"]), (&json!("altered"), &json!(["opening_not_logged"])));
    assert_ne!(of(&found, &cut)["fate"], "open", "{found}");
    std::fs::remove_dir_all(store.join("open").join(&still)).expect("removed");
    std::fs::create_dir(store.join("open").join(&still)).expect("made");
    let (_, found) = answer(at, &["population"]);
    assert_eq!(of(&found, &still)["fate"], "gone");
}
