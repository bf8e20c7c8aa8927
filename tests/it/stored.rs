//! Sequences that are kept, and what else the hosted API has beside pictures.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_is_kept_listed_run_and_deleted() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body = json!({
        "name": "Look at the desk", "description": "for the audit",
        "steps": [
            { "action": "navigate", "url": "{{base}}ok" },
            { "action": "screenshot", "name": "desk" },
        ],
    });
    let reply = daemon.post("/api/v1/sequences", body).await.ok();
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!((reply.status, &reply.json()["name"]), (201, &json!("Look at the desk")));
    let listed = daemon.get("/v1/sequences").await.ok().json();
    assert_eq!(listed["sequences"][0]["step_count"], 2);
    let shown = daemon.get(&format!("/v1/sequences/{id}")).await.ok().json();
    assert_eq!(shown["steps"][1]["name"], "desk");

    let path = format!("/v1/sequences/{id}/run");
    let reply = daemon.post(&path, json!({})).await;
    assert_eq!(reply.refusal(), (400, "missing_field".into(), "variables.base".into()));
    let reply = daemon.post(&path, json!({ "variables": { "base": site.url("/") } })).await.ok();
    assert_eq!(reply.json()["steps_completed"], 2);
    daemon.assert_verifies(&reply.run());
    let reply = daemon.post(&path, json!({ "variables": { "base": "file:///" } })).await;
    assert_eq!(reply.refusal().1, "target_forbidden");
    let reply = daemon.post(&path, json!({ "steps": [] })).await;
    assert_eq!(reply.refusal().1, "unknown_field");

    let delete =
        |id: &str| daemon.send(daemon.request(Method::DELETE, &format!("/v1/sequences/{id}")));
    assert_eq!(delete(&id).await.status, 204);
    for reply in
        [delete(&id).await, daemon.post(&path, json!({})).await, delete("..%2F..%2Flock").await]
    {
        assert_eq!((reply.refusal().0, reply.refusal().1.as_str()), (404, "sequence_not_found"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_sequence_can_be_a_recording() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let film = json!({ "name": "Film", "type": "video", "pace": 1, "steps": [
        { "action": "navigate", "url": "{{base}}ok", "note": "The desk" },
    ] });
    let id = daemon.post("/api/v1/sequences", film).await.ok().json()["id"].clone();
    let path = format!("/v1/sequences/{}/run", id.as_str().expect("an id"));
    let reply = daemon.post(&path, json!({ "variables": { "base": site.url("/") } })).await.ok();
    assert_eq!(reply.header("content-type"), Some("video/mp4"));
    daemon.assert_verifies(&reply.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_did_becomes_a_sequence() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let trace = json!([
        { "step": 1, "action": "navigate", "target": site.url("/form"), "result": "ok" },
        { "step": 2, "action": "fill", "target": "e1", "value": "48.50", "thought": "the amount" },
        { "step": 3, "action": "done" },
    ]);
    let selectors = json!({ "e1": "input" });
    let body = json!({ "trace": trace, "selectors": selectors, "save": false });
    let answer = daemon.post("/api/v1/sequences/import", body).await.ok().json();
    assert_eq!((&answer["saved"], &answer["step_count"]), (&json!(false), &json!(3)));
    let body = json!({ "trace": trace, "selectors": selectors, "name": "Imported refund" });
    let answer = daemon.post("/api/v1/sequences/import", body).await.ok().json();
    for name in ["id", "name", "type", "step_count", "steps"] {
        assert!(answer.get(name).is_some(), "{name}");
    }
    let id = answer["id"].as_str().expect("an id");
    let reply = daemon.post(&format!("/v1/sequences/{id}/run"), json!({})).await.ok();
    assert_eq!(reply.json()["steps_completed"], 3, "{}", reply.json());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_supported_says_so_in_the_contracts_shape() {
    let daemon = TestDaemon::start().await;
    for path in ["/act"] {
        let reply =
            daemon.post(&format!("/api/v1{path}"), json!({ "url": "http://a.example/" })).await;
        let body = reply.json();
        assert_eq!((reply.status, &body["code"]), (501, &json!("not_supported")), "{path}");
        assert!(body["error"].is_string());
    }
    assert_eq!(daemon.get("/v1/jobs").await.ok().json(), json!({ "jobs": [] }));
    for id in ["a%2Fb", "..%2F..%2Fetc%2Fpasswd", "3f0e8f0a-94a5-4f4e-8d39-6a7c6a3c7f10", "%ff"] {
        let reply = daemon.get(&format!("/v1/jobs/{id}")).await;
        assert_eq!((reply.refusal().0, reply.refusal().1.as_str()), (404, "job_not_found"), "{id}");
    }
    let reply = daemon.get("/llms-full.txt").await.ok();
    assert!(String::from_utf8_lossy(&reply.body).contains("/api/v1"));
    let usage = daemon.get("/v1/usage").await.ok().json();
    assert!(usage["usage"]["current"].is_u64() && usage["plan"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_a_failing_request_twice_does_no_harm() {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("refund").await;
    let url = crate::site::refused_url();
    for _ in 0..2 {
        let request = daemon.request(Method::POST, "/api/v1/screenshot");
        let request = request.header("x-exhibit-run", &run).json(&json!({ "url": url }));
        assert_eq!(daemon.send(request).await.refusal().1, "connection_refused");
    }
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let failed: Vec<Value> = daemon
        .events(&run)
        .into_iter()
        .filter(|event| event["kind"] == "capture.failed")
        .map(|event| event["data"]["capture"].clone())
        .collect();
    assert_eq!(failed, [json!("0001-during"), json!("0002-during")]);
}
