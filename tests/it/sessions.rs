//! Sessions: a page that is kept between requests, for one caller, for a while.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon, eventually};
use crate::site::Site;

async fn open(daemon: &TestDaemon, body: Value) -> String {
    let reply = daemon.post("/api/v1/sessions", body).await.ok();
    daemon.assert_verifies(&reply.run());
    assert_eq!(daemon.kinds(&reply.run())[1], "session.opened");
    reply.json()["session_id"].as_str().expect("an id").to_owned()
}

async fn close(daemon: &TestDaemon, id: &str) -> Reply {
    daemon.send(daemon.request(Method::DELETE, &format!("/api/v1/sessions/{id}"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_keeps_its_page_and_what_changed_it_is_remembered() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let id = open(&daemon, json!({ "viewport": { "width": 640, "height": 480 } })).await;
    let fill = json!({ "session_id": id, "steps": [
        { "action": "navigate", "url": site.url("/form") },
        { "action": "evaluate", "script": "document.title = 'changed'; sessionStorage.a = 1" },
        { "action": "screenshot" },
    ] });
    let reply = daemon.post("/v1/sequence", fill).await.ok();
    assert_eq!(reply.json()["steps_completed"], 3, "{}", reply.json());

    // The page is where it was left, and the record says what was done to it.
    let body = json!({ "session_id": id, "waitUntil": "load", "response_type": "json" });
    let reply = daemon.shot(body).await.ok();
    let (run, answer) = (reply.run(), reply.json());
    daemon.assert_verifies(&run);
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(record["page"]["title"], "changed");
    assert_eq!(record["page"]["final_url"], json!(site.url("/form")));
    assert_eq!(record["picture"]["pixels"], json!([640, 480]), "the session's own window");
    assert_eq!(record["settings"]["session_id"], json!(id));
    assert_eq!(answer["evidence"]["altered_by"], json!(["evaluate"]));

    // What one capture asks of the page does not last; what it did to the document does.
    let body = json!({
        "session_id": id, "darkMode": true, "hideSelectors": ["h1"], "width": 800,
        "waitUntil": "load",
    });
    daemon.shot(body).await.ok();
    let dark = "document.title = String(matchMedia('(prefers-color-scheme: dark)').matches)";
    let body = json!({ "session_id": id, "injectJs": dark, "waitUntil": "load" });
    let run = daemon.shot(body).await.ok().run();
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(record["page"]["title"], "false");
    assert_eq!(record["altered_by"], json!(["injectJs", "evaluate", "hideSelectors"]));

    // A fragment leads to another place in the same document, and what leads nowhere to none.
    for url in [format!("{}#z", site.url("/form")), site.url("/form#a")] {
        let body = json!({ "session_id": id, "url": url, "waitUntil": "load" });
        let run = daemon.shot(body).await.ok().run();
        let altered = daemon.capture(&run, "0001-during")["altered_by"].to_string();
        assert!(altered.contains("evaluate") && altered.contains("injectJs"), "{url}: {altered}");
    }
    let steps = json!({ "session_id": id, "steps": [
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "evaluate", "script": "document.title = 'again'" },
        { "action": "navigate", "url": site.url("/ok#q") },
        { "action": "screenshot" },
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "screenshot" },
    ] });
    let run = daemon.post("/v1/sequence", steps).await.ok().run();
    let altered = |name: &str| daemon.capture(&run, name)["altered_by"].clone();
    assert_eq!(altered("0001-during"), json!(["evaluate"]));
    assert_eq!(altered("0002-during"), json!([]));

    // Another document is another story.
    let body = json!({ "session_id": id, "url": site.url("/ok"), "waitUntil": "load" });
    let run = daemon.shot(body).await.ok().run();
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(
        (&record["altered_by"], &record["page"]["title"]),
        (&json!([]), &json!("Operations"))
    );
    let observed = daemon.post("/v1/observe", json!({ "session_id": id })).await.ok().json();
    assert_eq!(observed["url"], json!(site.url("/ok")));
    let written = json!({ "session_id": id, "html": "<title>mine</title>", "waitUntil": "load" });
    let run = daemon.shot(written).await.ok().run();
    assert_eq!(daemon.capture(&run, "0001-during")["altered_by"], json!(["html"]));

    let listed = daemon.get("/v1/sessions").await.ok().json();
    let session = &listed["sessions"][0];
    assert_eq!(session["session_id"], json!(id));
    assert!(session["created_at"].is_string() && session["expires_at"].is_string());
    assert_eq!(close(&daemon, &id).await.status, 204);
    for reply in [
        close(&daemon, &id).await,
        daemon.shot(json!({ "session_id": id })).await,
        daemon
            .post(
                "/v1/sequence",
                json!({ "session_id": id, "steps": [{ "action": "screenshot" }] }),
            )
            .await,
        close(&daemon, "..%2Fx").await,
    ] {
        assert_eq!((reply.refusal().0, reply.refusal().1.as_str()), (404, "session_not_found"));
    }
    assert_eq!(daemon.get("/v1/sessions").await.ok().json(), json!({ "sessions": [] }));
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_a_session_last_and_stay_out_of_the_record() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let host = site.host();
    let host = host.split(':').next().expect("a host");
    let id = open(
        &daemon,
        json!({ "cookies": [{ "name": "sid", "value": "hunter2", "domain": host }] }),
    )
    .await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        let body = json!({ "session_id": id, "url": site.url("/echo"), "waitUntil": "load" });
        let run = daemon.shot(body).await.ok().run();
        assert_eq!(daemon.capture(&run, "0001-during")["altered_by"], json!(["cookies"]));
        runs.push(run);
    }
    let seen = site.wait_for_requests("/echo", 2).await;
    assert!(seen.iter().all(|request| request.header("cookie") == Some("sid=hunter2")));
    for run in runs {
        for (name, bytes) in daemon.contents(&run) {
            let own = name.contains("dom.html")
                || name.contains("page.mhtml")
                || name.contains("accessibility")
                || name.contains("screenshot");
            let text = String::from_utf8_lossy(&bytes);
            assert!(own || !text.contains("hunter2"), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_capture_at_a_time_has_the_page() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let id = open(&daemon, json!({})).await;
    let shots = ["/ok", "/form", "/elements", "/ok"].map(|path| {
        daemon.shot(json!({
            "session_id": id, "url": site.url(path), "waitUntil": "load", "response_type": "json",
        }))
    });
    let replies = futures_util::future::join_all(shots).await;
    for (reply, path) in replies.into_iter().zip(["/ok", "/form", "/elements", "/ok"]) {
        let run = reply.ok().run();
        let record = daemon.capture(&run, "0001-during");
        assert_eq!(record["page"]["final_url"], json!(site.url(path)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_few_and_end_by_themselves() {
    let daemon = TestDaemon::start_with(|config| {
        config.sessions.max = 1;
        config.sessions.idle = Duration::from_secs(5);
    })
    .await;
    let id = open(&daemon, json!({ "stealth": true })).await;
    let reply = daemon.post("/v1/sessions", json!({})).await;
    assert_eq!((reply.refusal().0, reply.refusal().1.as_str()), (429, "too_many_sessions"));
    eventually("the session ends", async || {
        daemon.get("/v1/sessions").await.ok().json() == json!({ "sessions": [] })
    })
    .await;
    let reply = daemon.shot(json!({ "session_id": id })).await;
    assert_eq!(reply.refusal().1, "session_not_found");
    open(&daemon, json!({})).await;
    // A daemon with an open session comes to its end all the same.
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_browser_died_is_gone_and_says_so() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let id = open(&daemon, json!({})).await;
    let body = json!({ "session_id": id, "url": site.url("/ok"), "waitUntil": "load" });
    daemon.shot(body.clone()).await.ok();
    crate::crash::kill_renderers(&daemon);
    eventually("the session is gone", async || {
        let reply = daemon.shot(body.clone()).await;
        let code = reply.refusal().1;
        assert!(["renderer_crashed", "session_not_found"].contains(&code.as_str()), "{code}");
        code == "session_not_found"
    })
    .await;
    assert_eq!(daemon.get("/v1/sessions").await.ok().json(), json!({ "sessions": [] }));
    daemon.quick_shot(&site.url("/ok")).await.ok();
}
