//! GET /metrics: numbers that tell what an operator must hear of, and nothing of anybody.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use exhibit::auth::keyring::Keyring;
use exhibit::clock::Clock;
use reqwest::Method;
use serde_json::json;

use crate::harness::{TestDaemon, eventually};
use crate::scrub::sealed_run;
use crate::site::{Site, refused_url};
use crate::visitor::Visitor;

/// The number that `metric`, with its labels, has now.
async fn number(daemon: &TestDaemon, metric: &str) -> Option<f64> {
    let text = String::from_utf8(daemon.get("/metrics").await.ok().body).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    line.map(|number| number.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_on_record_is_counted_and_who_and_where_is_not_told() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    daemon.quick_shot(&site.url("/ok")).await.ok();
    daemon.quick_shot(&refused_url()).await.refusal();
    daemon.quick_shot("file:///etc/passwd").await.refusal();
    let run = daemon.open_run("my-own-workflow").await;
    let said = json!({ "kind": "decision", "data": { "text": "approved" } });
    daemon.post(&format!("/v1/runs/{run}/events"), said).await.ok();

    let reply = daemon.get("/metrics").await.ok();
    let media_type = reply.header("content-type").expect("a type");
    assert_eq!(media_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = String::from_utf8(reply.body).expect("text");
    for line in [
        "exhibit_ready 1",
        "exhibit_runs_open 1",
        "exhibit_runs_opened_total 4",
        "exhibit_runs_sealed_total{state=\"sealed\"} 3",
        "exhibit_seal_failures_total 0",
        "exhibit_captures_total{outcome=\"taken\"} 1",
        "exhibit_captures_total{outcome=\"failed\"} 1",
        "exhibit_captures_total{outcome=\"refused\"} 1",
        "exhibit_capture_duration_seconds_count 1",
        "exhibit_events_total{actor=\"agent\"} 1",
        "exhibit_evidence_touches_total 0",
        "exhibit_damaged_places 0",
        "# EOF",
    ] {
        assert!(text.lines().any(|told| told == line), "{line} in:\n{text}");
    }
    let entries = daemon.get("/v1/log/checkpoint").await.ok();
    let entries = String::from_utf8(entries.body).expect("text");
    let entries = entries.lines().nth(1).expect("a size").parse().expect("a number");
    assert_eq!(number(&daemon, "exhibit_log_entries").await, Some(entries));
    for name in ["my-own", "approved", "decision", &site.host(), "passwd"] {
        assert!(!text.contains(name), "{name} in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_touch_of_evidence_and_its_damage_are_numbers_to_alert_on() {
    let daemon = TestDaemon::start().await;
    let run = sealed_run(&daemon).await;
    let file = daemon.sealed(&run).join("data/provenance.json");
    let watched = async || number(&daemon, "exhibit_folders_watched").await > Some(3.0);
    eventually("the run's folders are watched", watched).await;
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("set");
    fs::write(&file, "another").expect("written");
    let told = async || {
        number(&daemon, "exhibit_evidence_touches_total").await > Some(0.0)
            && number(&daemon, "exhibit_damaged_places").await == Some(1.0)
    };
    eventually("the touch and the damage are told", told).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tcp_they_are_for_those_who_have_a_key() {
    let daemon = TestDaemon::start_with(crate::keeping::with_tcp).await;
    let visitor = Visitor::of(&daemon);
    let mut ring = Keyring::open(&daemon.folder.path().join("keys/api-keys.json")).expect("keys");
    let (key, _) = ring.add("prometheus", Clock::system().now()).expect("made");
    let bearer = format!("Bearer {}", key.expose());
    let ask =
        async |headers: &[(&str, &str)]| visitor.send(Method::GET, "/metrics", headers, "").await;
    assert_eq!(ask(&[]).await.refusal().1, "unauthorized");
    ask(&[("authorization", &bearer)]).await.ok();
}
