//! Callers who hang up free their place: what waits for them is not begun, and is on record as that;
//! what is under way is finished.

use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually};
use crate::site::Site;

/// Begin to ask, and give what hangs up when it is dropped.
fn ask(daemon: &TestDaemon, path: &str, body: &Value) -> tokio::task::JoinHandle<()> {
    let request = daemon.request(reqwest::Method::POST, path).json(body);
    tokio::spawn(async move { drop(request.send().await) })
}

async fn load(daemon: &TestDaemon) -> (u64, u64) {
    let status = daemon.get("/v1/status").await.ok().json();
    let number = |name: &str| status[name].as_u64().expect("a number");
    (number("captures_under_way"), number("captures_waiting"))
}

/// The runs that are sealed, with the events of each.
async fn sealed(daemon: &TestDaemon) -> Vec<Vec<Value>> {
    let runs = daemon.get("/v1/runs?limit=100").await.ok().json();
    let runs = runs["runs"].as_array().expect("a list").iter();
    let runs = runs.filter(|run| run["state"] != "open" && run["sealed_at"].is_string());
    runs.map(|run| daemon.events(run["run"].as_str().expect("an id"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_nobody_is_not_begun() {
    let daemon = TestDaemon::start_with(|config| {
        config.capture.concurrent = 1;
        config.quotas.captures = 1;
    })
    .await;
    let site = Site::start().await;
    let slow = json!({ "url": site.url("/slow/30000"), "waitUntil": "load" });
    let under_way = ask(&daemon, "/v1/screenshot", &slow);
    site.wait_for_request("/slow/30000").await;
    // One of each kind waits behind it.
    let never = json!({ "url": site.url("/ok?never"), "waitUntil": "load" });
    let steps =
        json!([{ "action": "navigate", "url": site.url("/ok?never") }, { "action": "screenshot" }]);
    let compared = json!({ "url_a": site.url("/ok?never"), "url_b": site.url("/ok?never") });
    let waiting = [
        ask(&daemon, "/v1/screenshot", &never),
        ask(&daemon, "/v1/pdf", &never),
        ask(&daemon, "/v1/inspect", &never),
        ask(&daemon, "/v1/sequence", &json!({ "steps": steps })),
        ask(&daemon, "/v1/video", &json!({ "steps": steps.as_array().expect("a list")[..1] })),
        ask(&daemon, "/v1/diff", &compared),
    ];
    eventually("all wait", async || load(&daemon).await == (1, 7)).await;
    for one in &waiting {
        one.abort();
    }
    under_way.abort();
    eventually("nobody waits any more", async || load(&daemon).await == (1, 0)).await;
    let mut found = Vec::new();
    eventually("what was not begun is sealed", async || {
        found = sealed(&daemon).await;
        found.len() == 6
    })
    .await;
    let codes = found.iter().flatten().filter(|event| event["data"]["code"] == "caller_gone");
    assert_eq!(codes.count(), 7, "{found:#?}");

    // What was under way is finished all the same, and the next caller has its place.
    site.release();
    daemon.quick_shot(&site.url("/ok?next")).await.ok();
    eventually("what was under way is sealed", async || sealed(&daemon).await.len() == 8).await;
    let taken = sealed(&daemon).await;
    let taken = taken.iter().flatten().filter(|event| event["kind"] == "capture.taken");
    assert_eq!(taken.count(), 2);
    assert_eq!(site.count("/ok?never"), 0, "it was not begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_its_session_is_not_begun_either() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let shot = |path: &str| {
        json!({
            "url": site.url(path), "session_id": session, "waitUntil": "load",
        })
    };
    let first = ask(&daemon, "/v1/screenshot", &shot("/slow/30000"));
    site.wait_for_request("/slow/30000").await;
    let second = ask(&daemon, "/v1/screenshot", &shot("/ok?never"));
    eventually("both have a place", async || load(&daemon).await == (2, 0)).await;
    second.abort();
    eventually("the second is not waited for", async || load(&daemon).await == (1, 0)).await;
    site.release();
    daemon.shot(shot("/ok?next")).await.ok();
    first.await.expect("it was answered");
    assert_eq!(site.count("/ok?never"), 0);
}
