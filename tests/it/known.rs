//! What the daemon knows, everybody sees: a run that scrubber or watch found altered is shown as that
//! wherever runs are shown, and code counts wherever it was named.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use exhibit::workflow::{Layer, Policy};
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually};
use crate::process::{said, told as cli, write_config};
use crate::scrub::{findings, told};

const COMMIT: &str = "c0ffee0123456789";
const PICTURE: &str = "data/captures/0001-before/screenshot.png";

/// A daemon that watches and reads nothing without reason, whose workflow `refund` asks for little.
async fn daemon() -> TestDaemon {
    let daemon = TestDaemon::start_with(|config| {
        config.integrity.pace = 0;
        let stages = [("before".to_owned(), vec!["screenshot".to_owned()])].into();
        let layers = vec![Layer::Log, Layer::Code, Layer::Visual];
        let policy = Policy { layers, stages, ..Policy::default() };
        config.workflows.0.insert("refund".to_owned(), policy);
    })
    .await;
    write_config(daemon.folder.path(), "");
    eventually("folders are watched", async || told(&daemon).await["watch"]["on"] == true).await;
    daemon
}

/// A sealed run that is complete: its code was named after it was opened.
async fn complete_run(daemon: &TestDaemon) -> String {
    let run = daemon.open_run("refund").await;
    let at = |path: &str| format!("/v1/runs/{run}/{path}");
    daemon.post(&at("events"), json!({ "message": "paid" })).await.ok();
    daemon.post(&at("code"), json!({ "commit": COMMIT })).await.ok();
    let body = json!({ "html": "<p>A refund</p>", "waitUntil": "load", "stage": "before" });
    daemon.post(&at("captures"), body).await.ok();
    let receipt = daemon.post(&at("seal"), json!({ "outcome": "succeeded" })).await.ok().json();
    assert_eq!(receipt["completeness"]["verdict"], "complete", "{receipt}");
    run
}

fn put(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, Permissions::from_mode(0o644)).expect("set");
    fs::write(path, bytes).expect("written");
}

async fn page(daemon: &TestDaemon, path: &str) -> String {
    String::from_utf8(daemon.get(path).await.ok().body).expect("text")
}

async fn json_of(daemon: &TestDaemon, path: &str) -> Value {
    daemon.get(path).await.ok().json()
}

async fn row(daemon: &TestDaemon, run: &str) -> Value {
    let runs = json_of(daemon, "/v1/runs").await["runs"].take();
    let runs = runs.as_array().expect("a list").clone();
    runs.into_iter().find(|one| one["run"] == run).expect("it is listed")
}

#[tokio::test(flavor = "multi_thread")]
async fn code_counts_in_every_view_wherever_it_was_named() {
    let daemon = daemon().await;
    let run = complete_run(&daemon).await;
    let home = daemon.folder.path();
    let shown = json_of(&daemon, &format!("/v1/runs/{run}")).await;
    assert_eq!(shown["code"][0]["code"], json!({ "commit": COMMIT }), "{shown}");
    assert!(shown["code"][0]["event"].as_u64() > Some(1), "{shown}");
    let sealed = fs::read_to_string(daemon.sealed(&run).join("report.html")).expect("a report");
    assert!(sealed.contains(COMMIT) && !sealed.contains("No code was named"));
    assert!(page(&daemon, &format!("/ui/runs/{run}")).await.contains(COMMIT));
    assert!(page(&daemon, &format!("/?q={COMMIT}")).await.contains(&run), "it is found by it");
    let folder = daemon.sealed(&run).display().to_string();
    let (code, text) = said(home, &["--config", "config.toml", "report", &folder, "--oscal"]);
    assert_eq!(code, 0, "{text}");
    let oscal = fs::read_to_string(home.join(format!("assessment-results-{run}.json")));
    let named = format!("commit {COMMIT}");
    assert!(oscal.expect("written").contains(&named));
    let (_, text) = cli(home, &["--config", "config.toml", "show", &run]);
    assert!(text.contains(&format!("code: {named}")), "{text}");
    let (code, text) = cli(home, &["--config", "config.toml", "population", "--csv"]);
    assert!(code == 0 && text.contains(COMMIT), "{text}");
}

/// What the command line says of the altered `folder` and its store without the daemon's help.
fn assert_altered_offline(home: &Path, folder: &str) {
    let exhibit =
        |arguments: &[&str]| said(home, &[&["--config", "config.toml"][..], arguments].concat());
    let (code, text) = exhibit(&["verify", folder]);
    assert_eq!(code, 10);
    assert!(text.contains("ALTERED, ") && !text.contains("complete"), "{text}");
    let (code, text) = exhibit(&["report", folder, "--out", "again.html"]);
    assert_eq!(code, 10, "whoever goes by the exit code hears of it");
    assert!(text.contains("THE FOLDER IS ALTERED"), "{text}");
    let again = fs::read_to_string(home.join("again.html")).expect("written");
    let visual = again.split("Layer 3, visual").next().expect("a beginning");
    assert!(visual.ends_with("✗ altered</span>\n<span>"), "the picture shows nothing any more");
    let oscal = exhibit(&["report", folder, "--oscal", "--out", "again.json"]);
    let document = fs::read_to_string(home.join("again.json")).expect("written");
    assert!(document.contains("THE FOLDER IS DAMAGED"), "{oscal:?}");
    assert!(document.contains("not-satisfied") && document.contains("was altered"));
    let (code, text) = cli(home, &["--config", "config.toml", "population", "--json"]);
    assert_eq!(code, 10, "{text}");
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let fates: Vec<_> =
        found["runs"].as_array().expect("rows").iter().map(|one| &one["fate"]).collect();
    assert_eq!(json!(fates), json!(["altered", "sealed"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_run_is_altered_wherever_it_is_shown_until_it_is_as_it_was() {
    let daemon = daemon().await;
    let (run, other) = (complete_run(&daemon).await, complete_run(&daemon).await);
    let home = daemon.folder.path();
    let exhibit =
        |arguments: &[&str]| said(home, &[&["--config", "config.toml"][..], arguments].concat());
    let row_before = row(&daemon, &run).await;
    assert_eq!((&row_before["verdict"], row_before.get("integrity")), (&json!("complete"), None));

    let picture = daemon.sealed(&run).join(PICTURE);
    let whole = fs::read(&picture).expect("there");
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    put(&picture, &changed);
    eventually("the watch found it", async || {
        told(&daemon).await["findings"][&run] == json!(["file_altered"])
    })
    .await;

    // The API, and what the command line makes of it.
    for shown in [row(&daemon, &run).await, json_of(&daemon, &format!("/v1/runs/{run}")).await] {
        let found = &shown["integrity"];
        assert_eq!((&found["state"], &found["found_by"]), (&json!("altered"), &json!("watch")));
        assert_eq!((&found["codes"], &shown["verdict"]), (&json!(["file_altered"]), &Value::Null));
    }
    assert_eq!(row(&daemon, &other).await["verdict"], "complete");
    for (state, runs) in [("?verdict=complete", vec![&other]), ("?state=altered", vec![&run])] {
        let listed = json_of(&daemon, &format!("/v1/runs{state}")).await;
        let ids: Vec<_> =
            listed["runs"].as_array().expect("runs").iter().map(|one| &one["run"]).collect();
        assert_eq!(json!(ids), json!(runs), "{state}");
    }
    let (_, text) = exhibit(&["list"]);
    assert!(text.lines().any(|line| line.contains(&run) && line.contains("ALTERED")), "{text}");
    let (_, text) = exhibit(&["show", &run]);
    assert!(text.starts_with("ALTERED: file_altered"), "{text}");
    assert!(!text.contains("completeness: complete"), "{text}");

    // The pages.
    let list = page(&daemon, "/").await;
    assert!(list.contains("<span class=\"badge bad\">Altered</span>"), "{list}");
    assert!(list.contains("<b>1</b> altered") && list.contains("<b>1</b> complete"), "{list}");
    let look = page(&daemon, &format!("/ui/runs/{run}")).await;
    assert!(look.contains("<p class=\"word\">Altered</p>") && look.contains("✗ altered"), "{look}");
    for path in [format!("/ui/runs/{run}/report.html"), format!("/v1/runs/{run}/report")] {
        let served = page(&daemon, &path).await;
        assert!(served.contains("<p class=\"word\">Altered</p>"), "{path}");
        assert!(served.contains("ALTERED: this is not the file that was recorded"), "{path}");
    }
    let untouched = page(&daemon, &format!("/ui/runs/{other}/report.html")).await;
    assert!(untouched.contains("<p class=\"word\">Complete</p>"));

    assert_altered_offline(home, &daemon.sealed(&run).display().to_string());

    // Put back, it is as it was, and that it was not stays known.
    put(&picture, &whole);
    eventually("the watch found it", async || told(&daemon).await["findings"] == json!({})).await;
    let shown = row(&daemon, &run).await;
    assert_eq!(
        (&shown["verdict"], &shown["integrity"]["state"]),
        (&json!("complete"), &json!("restored"))
    );
    let look = page(&daemon, &format!("/ui/runs/{run}")).await;
    assert!(
        look.contains("<p class=\"word\">Complete</p>") && look.contains("as it was sealed again")
    );
    let store = daemon.store().display().to_string();
    let (code, text) = exhibit(&["verify", &store]);
    assert_eq!(code, 0, "{text}");
    let notes = text.lines().filter(|line| line.starts_with("finding_logged"));
    assert!(notes.clone().count() >= 2, "{text}");
    assert!(notes.clone().any(|line| line.contains("file_altered")), "{text}");
    let altered = |line: &&str| line.contains("file_altered");
    assert!(notes.filter(altered).all(|line| line.contains("; resolved: ")), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_look_finds_is_told_like_what_the_scrubber_finds() {
    let daemon = TestDaemon::start_with(|config| {
        config.integrity.pace = 0;
        config.integrity.watch = false;
    })
    .await;
    let run = daemon.open_run("refund").await;
    let outcome = json!({ "outcome": "succeeded" });
    daemon.post(&format!("/v1/runs/{run}/seal"), outcome).await.ok();
    let record = daemon.sealed(&run).join("data/run.json");
    let text = fs::read_to_string(&record).expect("there");
    put(&record, text.replace("\"succeeded\"", "\"approved!\"").as_bytes());
    let shown = json_of(&daemon, &format!("/v1/runs/{run}")).await;
    assert_eq!(shown["integrity"]["state"], "altered", "{shown}");
    let logged = findings(&daemon.store());
    assert_eq!((logged.len(), &logged[0]["place"]), (1, &json!(run)));
    // A report that was exchanged is not handed out.
    put(&record, text.as_bytes());
    let other = daemon.open_run("refund").await;
    daemon.post(&format!("/v1/runs/{other}/seal"), json!({})).await.ok();
    let report = daemon.sealed(&other).join("report.html");
    put(&report, b"<!doctype html><title>Complete</title><p>forged</p>");
    let served = page(&daemon, &format!("/v1/runs/{other}/report")).await;
    assert!(!served.contains("forged") && served.contains("Altered"), "{served}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_index_shows_nothing_that_is_not_so() {
    let daemon = TestDaemon::start_with(|config| config.integrity.pace = 0).await;
    let run = daemon.open_run("refund").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "failed" })).await.ok();
    let path = daemon.store().join("index.sqlite");
    for attack in [
        "UPDATE runs SET outcome = 'succeeded', summary = replace(summary, 'failed', 'succeeded')",
        "DELETE FROM runs",
    ] {
        let other = rusqlite::Connection::open(&path).expect("opened");
        assert_eq!(other.execute(attack, []).expect("edited"), 1);
        assert_eq!(row(&daemon, &run).await["outcome"], "failed", "{attack}");
        assert!(page(&daemon, "/?outcome=failed").await.contains(&run), "{attack}");
    }
}
