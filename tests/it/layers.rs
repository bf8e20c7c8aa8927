//! Three layers in one run: what a workflow requires, what is still needed, and what sealing says.

use std::fs;

use exhibit::clock::Clock;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, config_in, eventually};

/// What is needed still, by the answer `shown`: the names of the requirements that are not met.
fn lacking(shown: &Value) -> Vec<String> {
    let requirements = shown["completeness"]["requirements"].as_array().expect("a list");
    let lacking = requirements.iter().filter(|one| one["met"] == false);
    lacking.map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

async fn picture(daemon: &TestDaemon, run: &str, stage: &str) {
    let body = json!({ "html": "<p>A refund</p>", "waitUntil": "load", "stage": stage });
    daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_it_needs_until_it_has_it() {
    let daemon = TestDaemon::start().await;
    let body = json!({
        "workflow": "access-change", "agent": "iam-bot", "subject": "alice",
        "controls": ["CC6.8"], "code": { "commit": "c0ffee" },
    });
    let opened = daemon.post("/v1/runs", body).await.ok().json();
    assert_eq!(opened["completeness"]["verdict"], "incomplete");
    let before = ["log", "visual", "before", "after", "principal", "approval"];
    assert_eq!(lacking(&opened), before);
    assert_eq!(opened["needed"].as_array().map(Vec::len), Some(before.len()));
    let run = opened["run"].as_str().expect("an id");
    let events = format!("/v1/runs/{run}/events");
    daemon.post(&events, json!({ "kind": "approval", "message": "by dana" })).await.ok();
    picture(&daemon, run, "before").await;
    let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
    assert_eq!(lacking(&shown), ["after", "principal"]);
    picture(&daemon, run, "after").await;
    let receipt = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
    assert_eq!(receipt["completeness"]["verdict"], "incomplete");
    assert_eq!(lacking(&receipt), ["principal"]);
    let controls = json!(["CC6.1", "CC6.2", "CC6.3", "CC6.8"]);
    assert_eq!(receipt["completeness"]["controls"], controls);
    // What was drawn here is no page of the web, and says so.
    let after = &receipt["completeness"]["requirements"][4];
    assert_eq!(after["altered"], json!(["captures/0002-after/screenshot.png"]), "{after}");
    daemon.assert_verifies(run);
    let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
    assert_eq!(shown["completeness"], receipt["completeness"]);
    for (verdict, found) in [("incomplete", 1), ("complete", 0)] {
        let runs = daemon.get(&format!("/v1/runs?verdict={verdict}")).await.ok().json();
        assert_eq!(runs["runs"].as_array().map(Vec::len), Some(found), "{verdict}");
    }
    let refused = daemon.get("/v1/runs?verdict=half").await;
    assert_eq!(refused.refusal(), (400, "invalid_field".into(), "verdict".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_nobody_configured_has_no_completeness_and_says_so() {
    let daemon = TestDaemon::start().await;
    let opened = daemon.post("/v1/runs", json!({ "workflow": "payroll" })).await.ok().json();
    for name in ["policy", "completeness", "needed"] {
        assert_eq!(opened.get(name), Some(&Value::Null), "{name}");
    }
    let run = opened["run"].as_str().expect("an id");
    let receipt = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
    assert_eq!(receipt.get("completeness"), Some(&Value::Null));
    daemon.assert_verifies(run);
}

/// A work tree with one commit, and its id.
fn work_tree(folder: &std::path::Path) -> String {
    let git = |arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.current_dir(folder).args(["-c", "user.name=t", "-c", "user.email=t@x"]);
        let output = command.args(arguments).output().expect("git is there");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    git(&["init", "-q"]);
    fs::write(folder.join("refund.py"), "print('refund')\n").expect("written");
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "one"]);
    git(&["rev-parse", "HEAD"])
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_referenced_by_word_by_file_and_by_work_tree() {
    let trees = tempfile::tempdir().expect("a folder");
    let tree = trees.path().join("agents");
    fs::create_dir(&tree).expect("made");
    let commit = work_tree(&tree);
    let allowed = trees.path().to_string_lossy().into_owned();
    let daemon = TestDaemon::start_with(|config| config.code.work_trees = vec![allowed]).await;
    let run = daemon.open_run("refund").await;
    let code = format!("/v1/runs/{run}/code");
    let said = json!({ "repository": "desk", "symbol": "refund()", "reviewer": "dana" });
    let answer = daemon.post(&code, said).await.ok().json();
    assert_eq!(answer["code"]["symbol"], "refund()");
    let attach = format!("/v1/runs/{run}/attachments?name=agent.py");
    let request = daemon.request(reqwest::Method::POST, &attach).body("print('agent')\n");
    let attached = daemon.send(request).await.ok().json();
    let by_file = json!({ "attachment": "agent.py", "path": "src/agent.py" });
    let answer = daemon.post(&code, by_file).await.ok().json();
    assert_eq!(answer["code"]["sha256"], attached["artifact"]["sha256"]);
    let short = &commit[..8];
    let by_tree = json!({ "work_tree": tree, "path": "refund.py", "commit": short });
    let answer = daemon.post(&code, by_tree.clone()).await.ok().json();
    assert_eq!((&answer["code"]["commit"], &answer["state"]), (&json!(commit), &json!("clean")));
    let kept = answer["artifact"]["path"].as_str().expect("a path").to_owned();
    fs::write(tree.join("refund.py"), "print('more')\n").expect("written");
    let answer = daemon.post(&code, by_tree).await.ok().json();
    assert_eq!(answer["state"], "dirty");
    let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
    assert!(!lacking(&shown).contains(&"code".to_owned()), "{shown}");
    let refusals = [
        (json!({}), "missing_field", "commit"),
        (json!({ "work_tree": "/etc" }), "target_forbidden", "work_tree"),
        (json!({ "work_tree": trees.path() }), "invalid_field", "work_tree"),
        (json!({ "work_tree": tree, "path": "../agents/refund.py" }), "invalid_field", "path"),
        (json!({ "work_tree": tree, "commit": "1234567" }), "conflicting_fields", "commit"),
        (json!({ "work_tree": tree, "attachment": "a" }), "conflicting_fields", "work_tree"),
        (json!({ "attachment": "none.py" }), "invalid_field", "attachment"),
        (
            json!({ "attachment": "agent.py", "sha256": "0".repeat(64) }),
            "conflicting_fields",
            "sha256",
        ),
    ];
    for (body, code_, field) in refusals {
        let (_, found, place) = daemon.post(&code, body.clone()).await.refusal();
        assert_eq!((found.as_str(), place.as_str()), (code_, field), "{body}");
    }
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    let kept = fs::read_to_string(daemon.sealed(&run).join(kept)).expect("the file");
    assert_eq!(kept, "print('refund')\n", "as it was when it was looked at");
    daemon.assert_verifies(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_keeps_the_policy_under_which_it_was_opened() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    let config = config_in(folder.path());
    let shown = config.to_string();
    let all_but_workflows = shown.split("\n[workflows.").next().expect("a first part");
    let text = |fields: &str| {
        format!(
            "{all_but_workflows}\n[workflows.refund]\nlayers = []\nstages = {{}}\n\
             recording = false\nfields = {fields}\n"
        )
    };
    fs::write(&file, text("[\"subject\"]")).expect("written");
    let config = exhibit::config::load(&file).expect("sound");
    let daemon =
        exhibit::daemon::Daemon::start(std::sync::Arc::new(config), Some(&file), Clock::system())
            .await
            .expect("the daemon starts");
    let client = exhibit::client::Client::unix(daemon.socket()).expect("a client");
    let spec = || exhibit::run::RunSpec {
        workflow: "refund".to_owned(),
        subject: Some("TX-1".to_owned()),
        ..exhibit::run::RunSpec::default()
    };
    let old = client.open_run(&spec()).await.expect("opened");
    fs::write(&file, text("[\"agent\"]")).expect("written");
    eventually("the new configuration is in force", async || {
        let opened = client.open(&spec()).await.expect("opened");
        lacking(&opened) == ["agent"]
    })
    .await;
    let receipt = client.seal(old, None, None).await.expect("sealed");
    let judged = receipt.completeness.expect("a policy");
    assert_eq!(judged.verdict, exhibit::workflow::Verdict::Complete);
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_outlives_its_workflow_is_sealed_as_expired_and_incomplete() {
    let daemon = TestDaemon::start_with(|config| {
        let refund = config.workflows.0.get_mut("refund").expect("built in");
        refund.max_duration_ms = Some(300);
    })
    .await;
    let run = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{run}");
    eventually("the run expires", async || {
        daemon.get(&path).await.ok().json()["state"] == "expired"
    })
    .await;
    let shown = daemon.get(&path).await.ok().json();
    assert_eq!(shown["verdict"], "incomplete");
    let events = daemon.events(&run);
    let reason =
        events.last().expect("one")["data"]["reason"].as_str().expect("a reason").to_owned();
    assert!(reason.contains("workflows.refund.max_duration"), "{reason}");
    daemon.assert_verifies(&run);
}
