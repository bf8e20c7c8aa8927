//! Downloads are refused, and each is on record: by whatever way a page began it, and in whatever was
//! captured or recorded then.

use axum::Router;
use axum::http::header;
use axum::response::{Html, IntoResponse as _};
use axum::routing::get;
use serde_json::{Value, json};

use crate::harness::TestDaemon;

const PAGE: &str = "<!doctype html><title>desk</title>
    <a id=link download=list.csv href='/list'>list</a>
    <form method=post action=/export><input name=password type=password id=secret>
    <button id=export>export</button></form>
    <button id=window onclick=\"window.open('/export?from=window')\">window</button>
    <iframe src=/inner></iframe>
    <button id=inside onclick=\"frames[0].location = '/export?from=frame'\">inside</button>";

async fn site() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let attached = || async {
        let disposition = (header::CONTENT_DISPOSITION, "attachment; filename=refunds.bin");
        ([disposition, (header::CONTENT_TYPE, "application/octet-stream")], "bytes").into_response()
    };
    let router = Router::new()
        .route("/", get(|| async { Html(PAGE) }))
        .route("/inner", get(|| async { Html("<p>inner") }))
        .route("/list", get(|| async { "a,b" }))
        .route("/export", get(attached).post(attached));
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}/")
}

fn refused(daemon: &TestDaemon, run: &str) -> Vec<Value> {
    let events = daemon.events(run).into_iter();
    let refused = events.filter(|event| event["kind"] == "download.refused");
    refused.map(|event| event["data"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_ends_in_a_download_names_it_and_keeps_its_traffic() {
    let (daemon, site) = (TestDaemon::start().await, site().await);
    let steps = json!([
        { "action": "navigate", "url": site },
        { "action": "fill", "selector": "#secret", "value": "hunter2secret" },
        { "action": "click", "selector": "#export" },
        { "action": "screenshot" },
    ]);
    let reply = daemon.post("/v1/sequence", json!({ "steps": steps })).await.ok();
    let (answer, run) = (reply.json(), reply.run());
    let export = format!("{site}export");
    let failed = &answer["step_results"][2];
    assert_eq!(failed["code"], "download_not_page", "{failed}");
    let said = failed["error"].as_str().expect("a sentence");
    assert!(said.contains(&export) && said.contains("refunds.bin"), "{said}");
    daemon.assert_verifies(&run);
    let told = refused(&daemon, &run);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["url"], &told[0]["name"]), (&json!(export), &json!("refunds.bin")));
    assert_eq!(told[0]["step"], 2);
    assert!(!told[0]["frame"].as_str().expect("a frame").is_empty());
    let path = told[0]["artifacts"][0]["path"].as_str().expect("a path");
    let contents = daemon.contents(&run);
    let (_, har) = contents.iter().find(|(name, _)| name.ends_with(path)).expect("the traffic");
    let har: Value = serde_json::from_slice(har).expect("JSON");
    let entries = har["log"]["entries"].as_array().expect("entries");
    let post = |entry: &&Value| entry["request"]["method"] == "POST";
    let post = entries.iter().find(post).expect("the request");
    assert_eq!(post["request"]["url"], json!(export));
    assert!(
        !contents
            .iter()
            .any(|(_, bytes)| { String::from_utf8_lossy(bytes).contains("hunter2secret") })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_does_not_stand_for_what_comes_after_it() {
    let (daemon, site) = (TestDaemon::start().await, site().await);
    let steps = json!([
        { "action": "navigate", "url": site },
        { "action": "click", "selector": "#link", "optional": true },
        { "action": "click", "selector": "#inside", "optional": true },
        { "action": "navigate", "url": format!("{site}inner") },
        { "action": "screenshot" },
    ]);
    let reply = daemon.post("/v1/sequence", json!({ "steps": steps })).await.ok();
    let (answer, run) = (reply.json(), reply.run());
    assert_eq!(answer["step_results"][3]["status"], "ok", "{}", answer["step_results"]);
    assert_eq!(answer["step_results"][4]["status"], "ok", "{}", answer["step_results"]);
    daemon.assert_verifies(&run);
    let told = refused(&daemon, &run);
    let urls: Vec<&str> = told.iter().map(|one| one["url"].as_str().expect("text")).collect();
    assert_eq!(urls, [format!("{site}list"), format!("{site}export?from=frame")]);
    assert_eq!(told[0]["name"], "list.csv");
    assert_ne!(told[0]["frame"], told[1]["frame"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_of_a_download_says_so() {
    let (daemon, site) = (TestDaemon::start().await, site().await);
    let run = daemon.open_run("download").await;
    let shot = daemon.request(reqwest::Method::POST, "/v1/observe");
    let shot = shot.header("x-exhibit-run", &run).json(&json!({ "url": format!("{site}export") }));
    let (status, code, _) = daemon.send(shot).await.refusal();
    assert_eq!((status, code.as_str()), (422, "download_not_page"));
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let told = refused(&daemon, &run);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["url"], json!(format!("{site}export")));
    assert_eq!(told[0]["capture"], "0001-during");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_session_and_its_windows_tell_of_their_downloads() {
    let (daemon, site) = (TestDaemon::start().await, site().await);
    let run = daemon.open_run("download").await;
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let steps = async |steps: Value| {
        let request = daemon.request(reqwest::Method::POST, "/v1/sequence");
        let body = json!({ "session_id": session, "steps": steps });
        daemon.send(request.header("x-exhibit-run", &run).json(&body)).await.ok().json()
    };
    let shot = json!({ "action": "screenshot" });
    steps(json!([{ "action": "navigate", "url": site }, shot])).await;
    let recordings = format!("/v1/runs/{run}/recordings");
    let started = daemon.post(&recordings, json!({ "session_id": session })).await;
    let recording = started.json()["recording"].as_str().expect("a recording").to_owned();
    let clicked = steps(json!([
        { "action": "click", "selector": "#link" },
        { "action": "click", "selector": "#window" },
        { "action": "wait", "ms": 1_500 },
        shot,
    ]));
    let clicked = clicked.await;
    assert_eq!(clicked["steps_completed"], 4, "{}", clicked["step_results"]);
    daemon.post(&format!("{recordings}/{recording}/stop"), json!({})).await.ok();
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let told = refused(&daemon, &run);
    let of = |url: String| told.iter().find(|one| one["url"] == json!(url));
    let link = of(format!("{site}list")).unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!(link["name"], "list.csv");
    let window = of(format!("{site}export?from=window")).unwrap_or_else(|| panic!("{told:?}"));
    assert_eq!((&window["name"], &window["opener"]), (&json!("refunds.bin"), &json!(recording)));
}
