//! Runs that somebody is busy with: one that is being sealed while an authority never answers, one whose
//! event takes long. Whoever looks at them, and all other runs, go on meanwhile.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use exhibit::redact::Rule;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::harness::{Reply, TestDaemon, eventually};
use crate::ledger::leaves;

/// Longer than any test: what waits for it has waited for the busy run.
const LONG: Duration = Duration::from_secs(600);

/// An authority that answers nobody until it is told to.
async fn silent_authority() -> (String, CancellationToken) {
    let silence = CancellationToken::new();
    let own = silence.clone();
    let answer = async move || {
        own.cancelled().await;
        StatusCode::SERVICE_UNAVAILABLE
    };
    let app = Router::new().route("/", post(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, silence)
}

/// Post `body` to `path`, and go on.
fn begin(
    daemon: &TestDaemon,
    path: &str,
    body: &Value,
) -> JoinHandle<reqwest::Result<reqwest::Response>> {
    tokio::spawn(daemon.request(Method::POST, path).json(body).send())
}

async fn record(daemon: &TestDaemon, run: &str, message: &str) -> Reply {
    let event = json!({ "kind": "note", "level": "info", "message": message });
    daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok()
}

/// Whether the log holds a head of `run` with so many events.
fn has_head(daemon: &TestDaemon, run: &str, events: u64) -> bool {
    let run = run.parse().expect("an id");
    let heads = leaves(&daemon.store());
    let mut heads = heads.iter().flat_map(exhibit::evidence::log::RunHead::in_leaf);
    heads.any(|head| head.run == run && head.events >= events)
}

/// That whoever looks at `busy` is answered, and that `other` goes on: its events are recorded and its
/// heads come into the log.
async fn all_else_goes_on(daemon: &TestDaemon, busy: &str, other: &str) {
    // More askers at once than there are threads.
    let path = format!("/v1/runs/{busy}");
    let looks = (0..16).map(|_| tokio::spawn(daemon.request(Method::GET, &path).send()));
    for look in looks.collect::<Vec<_>>() {
        let answer = look.await.expect("no panic").expect("an answer");
        let shown: Value = answer.json().await.expect("JSON");
        assert_eq!((&shown["state"], shown["run"].as_str()), (&json!("open"), Some(busy)));
        assert!(shown["opened_at"].is_string() && shown["events"].as_u64() >= Some(1), "{shown}");
    }
    let list = daemon.get("/v1/runs").await.ok().json();
    assert_eq!(list["runs"].as_array().map(Vec::len), Some(2), "{list}");
    let status = daemon.get("/v1/status").await.ok().json();
    assert!(status["signing"]["key"].is_string());
    let before = daemon.get(&format!("/v1/runs/{other}")).await.ok().json()["events"].as_u64();
    record(daemon, other, "approved").await;
    let events = before.expect("a number") + 1;
    eventually("the head of the other run", async || has_head(daemon, other, events)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_being_sealed_keeps_nobody_waiting() {
    let (url, silence) = silent_authority().await;
    let daemon = TestDaemon::start_with(|config| {
        config.timestamp.url = Some(url.parse().expect("an address"));
        config.timestamp.patience = LONG;
    })
    .await;
    let (busy, other) = (daemon.open_run("refund").await, daemon.open_run("refund").await);
    let sealing = begin(&daemon, &format!("/v1/runs/{busy}/seal"), &json!({}));
    let signature = daemon.store().join("open").join(&busy).join("tagmanifest-sha256.txt.sig");
    eventually("it is signed, and the authority asked", async || signature.exists()).await;
    all_else_goes_on(&daemon, &busy, &other).await;
    assert!(!sealing.is_finished());
    // Whoever adds to it waits for the seal, and keeps nobody waiting.
    let late = json!({ "kind": "note", "level": "info", "message": "late" });
    let late = begin(&daemon, &format!("/v1/runs/{busy}/events"), &late);
    all_else_goes_on(&daemon, &busy, &other).await;
    assert!(!sealing.is_finished() && !late.is_finished());
    silence.cancel();
    let answer = async |asked: JoinHandle<reqwest::Result<reqwest::Response>>| {
        asked.await.expect("no panic").expect("an answer")
    };
    assert_eq!(answer(sealing).await.status(), StatusCode::OK);
    assert_eq!(answer(late).await.status(), StatusCode::CONFLICT);
    let report = daemon.get(&format!("/v1/runs/{busy}")).await.ok().json();
    assert_eq!(report["state"], "sealed", "{report}");
}

/// The expression looks for the end of the text from each letter on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_takes_long_keeps_nobody_waiting() {
    let daemon = TestDaemon::start_with(|config| {
        config.events.redact.push(Rule::parse("slow: qx[^!]*!|qx").expect("sound"));
    })
    .await;
    let (busy, other) = (daemon.open_run("refund").await, daemon.open_run("refund").await);
    let slow = json!({ "kind": "note", "level": "info", "data": { "text": "qx".repeat(80_000) } });
    let slow = begin(&daemon, &format!("/v1/runs/{busy}/events"), &slow);
    all_else_goes_on(&daemon, &busy, &other).await;
    // Others add to the same run.
    record(&daemon, &busy, "approved").await;
    assert!(!slow.is_finished(), "it was over too soon to tell");
    slow.await.expect("no panic").expect("an answer");
}
