//! Windows that a recorded page opens are recordings of their own, covered and limited like it.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use exhibit::video::Source;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually};
use crate::video::played;

/// A site whose first page opens a second one, which opens a third one and closes itself.
async fn site() -> String {
    let page = |colour: &str, script: &str| {
        format!(
            "<!doctype html><title>{colour}</title><body style='background:{colour}'>\
             <b class=secret style='position:fixed;left:0;right:0;bottom:0;height:60px;\
             background:{colour}'>secret</b><button id=open>open</button>\
             <script>{script}</script>"
        )
    };
    let first = page(
        "#00f",
        "document.getElementById('open').onclick = () => {
            const second = window.open('/second');
            setTimeout(() => second.third = second.open('/third'), 500);
            setTimeout(() => second.close(), 1200);
        }",
    );
    let (second, third) = (page("#0f0", ""), page("#f00", ""));
    let router = Router::new()
        .route("/first", get(move || async move { Html(first) }))
        .route("/second", get(move || async move { Html(second) }))
        .route("/third", get(move || async move { Html(third) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}/first")
}

fn record_of(daemon: &TestDaemon, run: &str, name: &str) -> (Value, Vec<u8>) {
    let folder = daemon.sealed(run).join("data/recordings");
    let record = std::fs::read(folder.join(format!("{name}.json"))).expect("kept");
    let mp4 = std::fs::read(folder.join(format!("{name}.mp4"))).expect("kept");
    (serde_json::from_slice(&record).expect("JSON"), mp4)
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_that_a_page_opens_are_recordings_of_their_own() {
    for source in [Source::Screencast, Source::Recorder] {
        let daemon = TestDaemon::start_with(|config| {
            config.video.source = Some(source);
            config.video.max = 3;
            config.privacy.mask = vec![".secret".to_owned()];
        })
        .await;
        let steps = json!([
            { "action": "navigate", "url": site().await },
            { "action": "click", "selector": "#open" },
            { "action": "wait", "ms": 2_500 },
        ]);
        let reply = daemon.post("/v1/video", json!({ "steps": steps })).await.ok();
        let run = reply.run();
        daemon.assert_verifies(&run);
        let mut seen = Vec::new();
        for name in ["0001", "0002", "0003"] {
            let (record, mp4) = record_of(&daemon, &run, name);
            let length = record["summary"]["duration_ms"].as_f64().expect("a length") / 1_000.0;
            let (_, colours) = played(&daemon, &mp4, &[length - 0.05]).await;
            // The lowest part of each page is a secret.
            assert!(colours[0].iter().all(|part| *part < 60), "{name}: {colours:?}");
            seen.push((record["opener"].clone(), record["summary"]["ended"].clone()));
            assert_eq!(record["summary"]["source"], source.word());
        }
        let (none, first) = (Value::Null, json!("0001"));
        assert_eq!(seen[0], (none, json!("stopped")));
        assert_eq!(seen[1], (first.clone(), json!("page-gone")));
        assert_eq!(seen[2], (first, json!("stopped")));
        let started = |event: &&Value| event["kind"] == "recording.started";
        let urls: Vec<Value> =
            daemon.events(&run).iter().filter(started).map(|e| e["data"]["url"].clone()).collect();
        assert_eq!(urls.len(), 2, "{urls:?}");
        assert!(urls[0].as_str().expect("an address").ends_with("/second"), "{urls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_beyond_the_limit_is_on_record_and_the_page_is_recorded_on() {
    let daemon = TestDaemon::start_with(|config| config.video.max = 1).await;
    let run = daemon.open_run("refund").await;
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let recordings = format!("/v1/runs/{run}/recordings");
    daemon.post(&recordings, json!({ "session_id": session })).await.ok();
    let steps = json!([
        { "action": "navigate", "url": site().await },
        { "action": "click", "selector": "#open" },
        { "action": "screenshot", "name": "after" },
    ]);
    let body = json!({ "session_id": session, "steps": steps });
    daemon.post("/v1/sequence", body).await.ok();
    let events = daemon.store().join("open").join(&run).join("data/events.jsonl");
    eventually("the window is on record", async || {
        let events = std::fs::read_to_string(&events).expect("events");
        events.contains("too_many_recordings") && events.contains("/second")
    })
    .await;
    let stopped = daemon.post(&format!("{recordings}/0001/stop"), json!({})).await.ok().json();
    assert_eq!(stopped["summary"]["ended"], "stopped", "{stopped}");
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
}
