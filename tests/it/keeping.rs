//! How long evidence is kept.

use exhibit::config::Config;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::TestDaemon;

/// A sealed run of the workflow `workflow`.
async fn sealed(daemon: &TestDaemon, workflow: &str) -> String {
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
