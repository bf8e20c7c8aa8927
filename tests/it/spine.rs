//! The main job: a screenshot asked for over the socket becomes a sealed evidence folder.

use serde_json::json;

use crate::harness::TestDaemon;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_screenshot_becomes_a_sealed_folder_that_verifies() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let reply = daemon.quick_shot(&site.url("/ok")).await.ok();
    assert_eq!(reply.header("content-type"), Some("image/png"));
    assert!(reply.body.starts_with(b"\x89PNG"));
    let run = reply.run();
    daemon.assert_verifies(&run);
    let kept = std::fs::read(daemon.sealed(&run).join("data/captures/0001-during/screenshot.png"));
    assert_eq!(kept.expect("the picture"), reply.body, "the answer is what was kept");
    let kinds = daemon.kinds(&run);
    assert_eq!(kinds, ["run.opened", "capture.requested", "capture.taken", "run.sealed"]);
    if exhibit::clock::Clock::system().now().state.is_some() {
        let told = |event: &serde_json::Value| {
            event["clock"]["synchronised"].is_boolean() && event["clock"]["max_error_us"].is_u64()
        };
        assert!(daemon.events(&run).iter().all(told), "each event holds the clock's state");
    }
    let capture = daemon.capture(&run, "0001-during");
    assert_eq!(capture["page"]["document"]["status"], 200);
    assert_eq!(capture["page"]["final_url"], site.url("/ok"));
    assert_eq!(capture["altered_by"], json!([]));
    let folder = daemon.sealed(&run).join("data/captures/0001-during");
    for name in ["page.mhtml.zst", "dom.html.zst", "accessibility.json.zst", "capture.json"] {
        assert!(folder.join(name).exists(), "{name}");
    }
    let archive = daemon.unpacked(&run, "0001-during", "network.har.zst");
    let archive: serde_json::Value = serde_json::from_str(&archive).expect("JSON");
    let entry = &archive["log"]["entries"][0];
    assert_eq!(
        (&entry["request"]["url"], &entry["response"]["status"]),
        (&json!(site.url("/ok")), &json!(200))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_in_a_run_answers_json_unless_bytes_are_asked_for() {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{run}/captures");
    let cases = [
        (json!({}), "application/json"),
        (json!({ "response_type": "binary" }), "image/png"),
        (json!({ "response_type": "binary", "type": "pdf" }), "application/pdf"),
    ];
    for (mut body, media_type) in cases {
        body["html"] = json!("<p>A refund</p>");
        body["waitUntil"] = json!("load");
        let reply = daemon.post(&path, body.clone()).await.ok();
        assert_eq!(reply.header("content-type"), Some(media_type), "{body}");
        let document = exhibit::api::openapi::document();
        let described = &document["paths"]["/api/v1/runs/{id}/captures"]["post"];
        let described = &described["responses"]["200"]["content"];
        assert!(described.get(media_type).is_some(), "{media_type} is not in {described}");
    }
}
