//! How long evidence is kept: retention, and legal holds.

use std::os::unix::fs::PermissionsExt as _;

use exhibit::auth::keyring::Keyring;
use exhibit::config::Config;
use exhibit::evidence::log::{Leaf, LeafKind, LogReader};
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, trust_in};
use crate::process::{Process, told, write_config};
use crate::visitor::Visitor;

/// A sealed run of the workflow `workflow`.
pub(crate) async fn sealed(daemon: &TestDaemon, workflow: &str) -> String {
    let run = daemon.open_run(workflow).await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    run
}

/// Days for which `run` is kept, by the answer about it.
async fn kept_days(daemon: &TestDaemon, run: &str) -> i64 {
    let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
    let time = |name: &str| -> Timestamp {
        shown[name].as_str().expect("a time").parse().expect("a time")
    };
    let kept: SignedDuration = time("kept_until").duration_since(time("sealed_at"));
    assert_eq!(kept.as_secs() % 86_400, 0, "{shown}");
    kept.as_hours() / 24
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_kept_as_long_as_was_promised_and_longer_where_that_is_in_force() {
    let daemon = TestDaemon::start().await;
    let opened = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
    assert_eq!(opened["retention"], json!({ "class": "financial", "days": 2555 }));
    let refund = opened["run"].as_str().expect("an id").to_owned();
    daemon.post(&format!("/v1/runs/{refund}/seal"), json!({})).await.ok();
    let other = sealed(&daemon, "nobody-configured").await;
    let promised = |run: &str| daemon.events(run)[0]["data"]["retention"].clone();
    assert_eq!(promised(&refund), json!({ "class": "financial", "days": 2555 }));
    assert_eq!(promised(&other), json!({ "days": 400 }));
    let days = [kept_days(&daemon, &refund).await, kept_days(&daemon, &other).await];
    assert_eq!(days, [2555, 400]);
    daemon.assert_verifies(&refund);
    let listed: Value = daemon.get("/v1/runs").await.ok().json();
    assert_eq!(listed["runs"][0]["retention"], json!({ "days": 400 }));

    // Shorter for one class, longer for the rest.
    let change = |config: &mut Config| {
        config.retention.default = 500;
        config.retention.classes.insert("financial".to_owned(), 30);
    };
    let daemon = TestDaemon::start_in(daemon.stop().await, change).await;
    let days = [kept_days(&daemon, &refund).await, kept_days(&daemon, &other).await];
    assert_eq!(days, [2555, 500]);
    let newer = sealed(&daemon, "refund").await;
    assert_eq!(kept_days(&daemon, &newer).await, 30);
}

/// The entries of the log of `store` that `is` takes, oldest first.
pub(crate) fn leaves(store: &std::path::Path, is: impl Fn(&Leaf) -> bool) -> Vec<Leaf> {
    let reader = LogReader::of_store(store);
    let (_, checkpoint) = reader.checkpoint().expect("a log");
    let entries = reader.bundle(0, checkpoint.size).expect("entries");
    let leaves = entries.iter().map(|entry| Leaf::parse(entry).expect("an entry of ours"));
    leaves.filter(|leaf| is(leaf)).collect()
}

const ABSENT: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_is_in_the_log_before_the_answer_and_survives_the_daemon() {
    let daemon = TestDaemon::start().await;
    let (one, open) = (sealed(&daemon, "w").await, daemon.open_run("w").await);
    let hold = |runs: Value, matter: Option<&str>| json!({ "runs": runs, "reason": "subpoena", "matter": matter });
    let held = daemon.post("/v1/holds", hold(json!([one, open]), Some("A-1"))).await.ok().json();
    let is_hold = |leaf: &Leaf| leaf.kind == LeafKind::Hold;
    let logged = leaves(&daemon.store(), is_hold);
    assert_eq!((held["holds"].as_array().map(Vec::len), logged.len()), (Some(2), 2));
    let leaf = logged.iter().find(|leaf| leaf.run == one.parse().ok()).expect("there");
    assert_eq!((&leaf.data["reason"], &leaf.data["matter"]), (&json!("subpoena"), &json!("A-1")));
    assert_eq!(leaf.data["by"]["via"], "socket");

    // Another matter holds as well; the same one is refused, and then nothing of the request counts.
    daemon.post("/v1/holds", hold(json!([one]), None)).await.ok();
    let again = daemon.post("/v1/holds", hold(json!([one, open]), Some("A-1"))).await.refusal();
    assert_eq!(again, (409, "already_held".to_owned(), "runs".to_owned()));
    let absent = daemon.post("/v1/holds", hold(json!([one, ABSENT]), Some("B"))).await.refusal();
    assert_eq!(absent, (404, "run_not_found".to_owned(), "runs".to_owned()));
    assert_eq!(leaves(&daemon.store(), is_hold).len(), 3);

    let daemon = TestDaemon::start_in(daemon.stop().await, |_| {}).await;
    let shown = daemon.get(&format!("/v1/runs/{one}")).await.ok().json();
    assert_eq!((&shown["held"], shown["holds"].as_array().map(Vec::len)), (&json!(true), Some(2)));
    let listed = daemon.get("/v1/runs").await.ok().json();
    assert!(listed["runs"].as_array().expect("a list").iter().all(|run| run["held"] == true));
    let page = daemon.get(&format!("/ui/runs/{one}")).await.ok();
    assert!(String::from_utf8_lossy(&page.body).contains("subpoena"));

    let release = json!({ "runs": [one], "reason": "settled", "matter": "A-1" });
    let gone = daemon.post("/v1/holds/release", release.clone()).await.ok().json();
    assert_eq!(gone["released"][0]["matter"], "A-1");
    let again = daemon.post("/v1/holds/release", release).await.refusal();
    assert_eq!(again, (409, "not_held".to_owned(), "runs".to_owned()));
    let left = daemon.get("/v1/holds").await.ok().json();
    let left = left["holds"].as_array().expect("a list").iter();
    let mut left: Vec<_> = left.map(|hold| (hold["run"].clone(), hold["matter"].clone())).collect();
    left.sort_by_key(|(_, matter)| matter.to_string());
    assert_eq!(left, [(json!(open), json!("A-1")), (json!(one), Value::Null)]);
}

/// What other callers than an operator are answered, by user id and with a key.
pub(crate) async fn refused_to_agents(daemon: &TestDaemon, path: &str, body: &Value) {
    let visitor = Visitor::of(daemon);
    let ring = daemon.folder.path().join("keys/api-keys.json");
    let mut ring = Keyring::open(&ring).expect("keys");
    // Each name once.
    let name = format!("root{}", path.len());
    let (key, _) = ring.add(&name, exhibit::clock::Clock::system().now()).expect("made");
    let bearer = format!("Bearer {}", key.expose());
    let key = [("authorization", bearer.as_str())];
    let told = visitor.send(Method::POST, path, &key, &body.to_string()).await.refusal();
    assert_eq!((told.0, told.1.as_str()), (403, "not_an_operator"), "{path}");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let open = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(daemon.folder.path(), open).expect("ours");
    let socket = daemon.folder.path().join("exhibit.sock");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).expect("ours");
    let mut curl = tokio::process::Command::new("curl");
    curl.uid(65_533).args(["--silent", "--show-error", "--unix-socket"]).arg(&socket);
    curl.args(["--data", &body.to_string()]).arg(format!("http://exhibit{path}"));
    let output = curl.current_dir("/").output().await.expect("curl runs");
    let told = String::from_utf8(output.stdout).expect("text");
    assert!(told.contains("not_an_operator"), "{path}: {told}");
}

pub(crate) fn with_tcp(config: &mut Config) {
    config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
    // Seeing everything is not deciding.
    config.web.viewers = vec![65_533];
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_and_a_viewer_decide_nothing_about_holds() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let run = sealed(&daemon, "w").await;
    let asked = json!({ "runs": [run], "reason": "r" });
    refused_to_agents(&daemon, "/v1/holds", &asked).await;
    daemon.post("/v1/holds", asked.clone()).await.ok();
    refused_to_agents(&daemon, "/v1/holds/release", &asked).await;
    assert_eq!(daemon.get("/v1/holds").await.ok().json()["holds"][0]["run"], run);
    assert!(leaves(&daemon.store(), |leaf| leaf.kind == LeafKind::Release).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_puts_lists_and_releases_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let run = daemon.sealed_run("w").await;
    let told = |arguments: &[&str]| told(folder.path(), arguments);
    let add = ["hold", "add", &run, "--reason", "audit of 2026", "--matter", "M-7"];
    assert_eq!(told(&add).0, 0);
    assert_eq!(told(&add).0, 8, "it stands already");
    assert_eq!(told(&["hold", "add", ABSENT, "--reason", "r"]).0, 7);
    let (_, list) = told(&["hold", "list"]);
    assert!(
        list.contains(&run) && list.contains("M-7") && list.contains("audit of 2026"),
        "{list}"
    );
    let (_, shown) = told(&["show", &run]);
    assert!(shown.contains("held for `M-7` since ") && shown.contains("kept_until"), "{shown}");
    assert_eq!(told(&["hold", "release", &run, "--reason", "over"]).0, 8, "no such matter");
    assert_eq!(told(&["hold", "release", &run, "--reason", "over", "--matter", "M-7"]).0, 0);
    assert!(!told(&["hold", "list"]).1.contains(&run));
    assert!(daemon.terminate().success());
    let report = exhibit::evidence::verify::store(
        &folder.path().join("store"),
        &trust_in(folder.path()),
        &[],
    );
    assert_eq!(report.exit(), 0, "{report:#?}");
}
