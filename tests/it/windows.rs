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
            config.quotas.recordings = 3;
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

/// A page whose button opens windows in every way: one that is closed at once, one that does not know
/// its opener, one that is written into and closed, and two ordinary ones.
async fn opener() -> String {
    let first = "<!doctype html><button id=open>open</button><script>
        document.getElementById('open').onclick = () => {
            window.open('/quick').close();
            window.open('/alone', '_blank', 'noopener');
            const written = window.open();
            written.document.write('<img src=/written.png>');
            setTimeout(() => written.close(), 300);
            window.open('/second');
            window.open('/third');
        }</script>";
    let alone = "<!doctype html><title>Alone</title><script>
        setTimeout(() => fetch('/told?secret=4711'), 300)</script>";
    let page = |html: &'static str| get(move || async move { Html(html) });
    let router = Router::new()
        .route("/first", page(first))
        .route("/alone", page(alone))
        .route("/quick", page("quick"))
        .route("/second", page("second"))
        .route("/third", page("third"))
        .route("/told", page("told"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}/first")
}

/// What the daemon told of the windows of `run`: the data of each event of this kind.
fn told(daemon: &TestDaemon, run: &str, kind: &str) -> Vec<Value> {
    let events = daemon.events(run).into_iter().filter(|event| event["kind"] == kind);
    events.map(|mut event| event["data"].take()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_windows_do_is_on_record_from_their_first_request_on() {
    let daemon = TestDaemon::start_with(|config| {
        config.video.max = 2;
        let workflow = config.workflows.0.get_mut("access-change").expect("a workflow");
        workflow.recording = true;
    })
    .await;
    let run = daemon.open_run("access-change").await;
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let recordings = format!("/v1/runs/{run}/recordings");
    daemon.post(&recordings, json!({ "session_id": session })).await.ok();
    let steps = json!([
        { "action": "navigate", "url": opener().await },
        { "action": "click", "selector": "#open", "pauseAfter": 1_500 },
        { "action": "screenshot", "name": "after" },
    ]);
    let body = json!({ "session_id": session, "steps": steps });
    daemon.post("/v1/sequence", body).await.ok();
    daemon.post(&format!("{recordings}/0001/stop"), json!({})).await.ok();
    let receipt = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
    daemon.assert_verifies(&run);

    let opened = told(&daemon, &run, "window.opened");
    let mut names: Vec<&str> =
        opened.iter().map(|one| one["window"].as_str().expect("a name")).collect();
    // One that does not know its opener keeps it from nothing.
    names.sort_unstable();
    let all = [1, 2, 3, 4, 5].map(|number| format!("0001-window-0{number}"));
    assert_eq!(names, all);
    let closed = told(&daemon, &run, "window.closed");
    assert_eq!(closed.len(), 5, "{closed:?}");
    let traffic = |one: &Value| {
        let Some(path) = one["artifacts"][0]["path"].as_str() else { return String::new() };
        let packed = std::fs::read(daemon.sealed(&run).join(path)).expect("kept");
        let har = exhibit::pack::decompress(&packed, 1 << 20).expect("a sound frame");
        String::from_utf8(har).expect("text")
    };
    let asked = ["/quick", "/told?secret=4711", "/written.png", "/second", "/third"];
    for (name, asked) in all.iter().zip(asked) {
        let one = closed.iter().find(|one| one["window"] == *name).expect("told");
        assert!(traffic(one).contains(asked), "{one} {}", traffic(one));
        assert!(one["requests"].as_u64() > Some(0), "{one}");
        assert_eq!(one["closed"], name.ends_with('1') || name.ends_with('3'), "{one}");
        assert_eq!((&one["opener"], &one["watched"]), (&json!("0001"), &json!(true)), "{one}");
    }
    // One seat was left for the windows.
    let recorded = closed.iter().filter(|one| one["recorded"] == true).count();
    assert!(recorded <= 1, "{closed:?}");
    let requirements = receipt["completeness"]["requirements"].as_array().expect("a list");
    let recording = requirements.iter().find(|one| one["kind"] == "recording").expect("required");
    assert_eq!(recording["met"], false, "{recording}");
    let reason = recording["reason"].as_str().expect("a reason");
    assert!(reason.contains(&format!("not recorded: {};", 5 - recorded)), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_windows_than_are_watched_are_counted_and_keep_nobody_waiting() {
    let daemon = TestDaemon::start_with(|config| config.video.max = 1).await;
    let script = "for (let i = 0; i < 103; i++) window.open('/ok?' + i)";
    let site = crate::site::Site::start().await;
    let steps = json!([
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "evaluate", "script": script },
        { "action": "wait", "ms": 1_000 },
    ]);
    let reply = daemon.post("/v1/video", json!({ "steps": steps })).await.ok();
    let run = reply.run();
    daemon.assert_verifies(&run);
    assert_eq!(told(&daemon, &run, "window.opened").len(), 100);
    assert_eq!(told(&daemon, &run, "window.closed").len(), 100);
    let unwatched = json!({ "opener": "0001", "count": 3 });
    assert_eq!(told(&daemon, &run, "windows.unwatched"), [unwatched]);
    // The browser still takes pages, and windows of pages that nobody records.
    let body = json!({ "url": site.url("/ok"), "injectJs": "window.open('/ok')" });
    daemon.shot(body).await.ok();
}
