//! Two pages compared: `/diff` and the step `diff`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exhibit::compare::Bitmap;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

const BEFORE: &str = "<body style='margin:0;background:#fff'><p id='role' \
                      style='margin:0;width:200px;height:50px;background:#eee'></p>";
const AFTER: &str = "<body style='margin:0;background:#fff'><p id='role' \
                     style='margin:0;width:200px;height:50px;background:#c00'></p>";

fn image(answer: &Value, field: &str) -> Bitmap {
    let bytes = STANDARD.decode(answer[field].as_str().expect("base64")).expect("base64");
    Bitmap::from_png(&bytes, 10_000_000).expect("a picture")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_is_counted_and_shown() {
    let daemon = TestDaemon::start().await;
    let body = json!({
        "html_a": BEFORE, "html_b": AFTER, "waitUntil": "load", "width": 400, "height": 300,
    });
    let reply = daemon.post("/api/v1/diff", body).await.ok();
    let answer = reply.json();
    assert_eq!(
        (&answer["changed_pixels"], &answer["total_pixels"]),
        (&json!(10_000), &json!(120_000))
    );
    assert_eq!(answer["changed_pct"], 8.3333);
    assert_eq!(answer["regions"][0]["width"], 200);
    let shown = image(&answer, "diff_image");
    assert_eq!((shown.width(), shown.height()), (400, 300));
    assert_eq!(shown.rgba()[..4], [255, 0, 0, 255]);

    let run = reply.run();
    daemon.assert_verifies(&run);
    let kinds = daemon.kinds(&run);
    assert_eq!(kinds.iter().filter(|kind| *kind == "capture.taken").count(), 2, "{kinds:?}");
    assert!(kinds.contains(&"captures.compared".to_owned()), "{kinds:?}");
    let folder = daemon.sealed(&run).join("data/comparisons/0002-during");
    let record = std::fs::read(folder.join("comparison.json")).expect("kept");
    let record: Value = serde_json::from_slice(&record).expect("JSON");
    assert_eq!(record["derived"], true);
    assert_eq!(record["before"]["capture"], "0001-during");
    assert_eq!(record["changed_pixels"], 10_000);
    assert!(folder.join("diff.png").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_different_size_are_compared_as_a_whole() {
    let daemon = TestDaemon::start().await;
    let page = |height: u32| format!("<body style='margin:0'><div style='height:{height}px'>");
    let body = json!({
        "html_a": page(800), "html_b": page(1000), "fullPage": true, "width": 320,
        "waitUntil": "load",
    });
    let answer = daemon.post("/v1/diff", body).await.ok().json();
    assert_eq!(answer["total_pixels"], 320 * 1000);
    assert_eq!(answer["changed_pixels"], 320 * 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_had_fails_the_comparison_and_both_are_on_record() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body = json!({
        "url_a": site.url("/ok"), "url_b": crate::site::refused_url(), "waitUntil": "load",
    });
    let reply = daemon.post("/v1/diff", body).await;
    assert_eq!(reply.refusal().1, "connection_refused");
    let run = reply.run();
    daemon.assert_verifies(&run);
    let kinds = daemon.kinds(&run);
    for kind in ["capture.taken", "capture.failed"] {
        assert!(kinds.iter().any(|one| one == kind), "{kind} is not in {kinds:?}");
    }
    let body = json!({ "url_a": "file:///etc/passwd", "html_b": "" });
    let reply = daemon.post("/v1/diff", body).await;
    assert_eq!(reply.refusal(), (403, "target_forbidden".to_owned(), "url_a".to_owned()));
    daemon.assert_verifies(&reply.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_compares_its_page_with_another() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let steps = json!([
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "diff", "name": "same", "url_b": site.url("/ok") },
        { "action": "diff", "name": "other", "html_b": "<body style='background:red'>" },
    ]);
    let reply = daemon.post("/v1/sequence", json!({ "steps": steps })).await.ok();
    let answer = reply.json();
    assert_eq!(answer["steps_completed"], 3, "{answer}");
    let outputs = answer["outputs"].as_array().expect("a list");
    assert_eq!((&outputs[0]["type"], &outputs[0]["changed_pixels"]), (&json!("diff"), &json!(0)));
    assert!(outputs[1]["changed_pct"].as_f64().expect("a number") > 50.0);
    assert_eq!(answer["usage"]["outputs_charged"], 2);
    let run = reply.run();
    daemon.assert_verifies(&run);
    assert_eq!(daemon.kinds(&run).iter().filter(|kind| *kind == "captures.compared").count(), 2);
}
