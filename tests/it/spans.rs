//! The daemon's log: the lines about one piece of work can be joined, with what its caller calls it.

use serde_json::{Value, json};

use crate::harness::eventually;
use crate::process::{Process, write_config};
use crate::site::Site;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_of_one_request_are_joined_by_its_spans() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "[log]\nfilter = \"info,exhibit=debug\"\nformat = \"json\"\n");
    let daemon = Process::start(&folder).await;
    let run = daemon.open_run("nightly").await;
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let headers = [
        ("x-request-id", "order-7"),
        ("traceparent", parent.as_str()),
        ("x-exhibit-run", run.as_str()),
        ("x-exhibit-stage", "before"),
    ];
    let shot = json!({ "url": site.url("/ok"), "waitUntil": "load" });
    let taken = daemon.post_with(&headers, "/v1/screenshot", &shot).await;
    assert_eq!((taken.status, taken.header("x-request-id")), (200, Some("order-7")));
    let sealed = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await;
    assert_eq!(sealed.status, 200);
    assert_eq!(sealed.header("x-request-id").map(str::len), Some(36), "one that was made for it");

    let lines = || {
        let log = std::fs::read_to_string(folder.path().join("log")).expect("the log");
        log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect::<Vec<Value>>()
    };
    let in_span = |name: &str| {
        let spans = |line: &Value| line["spans"].as_array().cloned().unwrap_or_default();
        let found = lines().iter().flat_map(spans).find(|span| span["name"] == name);
        found.unwrap_or_default()
    };
    eventually("both are told of", async || {
        !in_span("capture").is_null() && !in_span("seal").is_null()
    })
    .await;
    let capture = in_span("capture");
    let told = [&capture["run"], &capture["capture"], &capture["endpoint"]];
    assert_eq!(told, [&json!(run), &json!("0001-before"), &json!("/screenshot")]);
    assert_eq!(in_span("seal")["run"], json!(run));
    let of_capture = lines()
        .into_iter()
        .find(|line| line["spans"].as_array().is_some_and(|spans| spans.contains(&capture)));
    let of_capture = of_capture.expect("it was found");
    let request = &of_capture["spans"][0];
    let told = [&request["name"], &request["request_id"], &request["trace_id"]];
    assert_eq!(told, [&json!("request"), &json!("order-7"), &json!(TRACE)], "{of_capture}");
    // Values, and no text of a debugger's.
    for line in lines() {
        let text = line.to_string();
        assert!(!text.contains("Some(") && !text.contains("Socket {"), "{text}");
    }
}
