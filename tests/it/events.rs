//! Layer 1: what agents say, one event, many, or a stream of lines; without their secrets.

use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};

/// What the daemon's own events do not hold: the agent's, in order.
fn said(daemon: &TestDaemon, run: &str) -> Vec<Value> {
    let events = daemon.events(run);
    events.into_iter().filter(|event| event["actor"] == "agent").collect()
}

async fn lines(daemon: &TestDaemon, run: &str, body: impl Into<reqwest::Body>) -> Reply {
    let path = format!("/v1/runs/{run}/events");
    let request = daemon.request(reqwest::Method::POST, &path);
    let request = request.header("content-type", "application/x-ndjson; charset=utf-8");
    daemon.send(request.body(body)).await
}

async fn seal(daemon: &TestDaemon, run: &str) {
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_never_reach_the_disk_and_their_places_do() {
    let daemon = TestDaemon::start_with(|config| {
        let own = exhibit::redact::Rule::parse("employee: E[0-9]{6}").expect("sound");
        config.events.redact.push(own);
    })
    .await;
    let run = daemon.open_run("refund").await;
    let token = ["ghp", "abcdefghijklmnopqrstuvwxyz0123456789"].join("_");
    let event = json!({
        "kind": "tool-call", "level": "info", "message": "paid with 4111 1111 1111 1111",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "data": { "headers": { "authorization": "Basic dXNlcjpwYXNz" },
                  "log": ["by E123456", format!("with {token}")] },
    });
    daemon.post(&format!("/v1/runs/{run}/events"), event.clone()).await.ok();
    lines(&daemon, &run, event.to_string()).await.ok();
    seal(&daemon, &run).await;
    let said = said(&daemon, &run);
    assert_eq!(said.len(), 2);
    for event in said {
        let expected = json!([
            { "rule": "credential", "count": 1, "path": "/data/headers/authorization" },
            { "rule": "employee", "count": 1, "path": "/data/log/0" },
            { "rule": "api-key", "count": 1, "path": "/data/log/1" },
            { "rule": "card-number", "count": 1, "path": "/message" },
        ]);
        assert_eq!(event["data"]["redacted"], expected);
        assert_eq!(event["data"]["message"], "paid with [redacted:card-number]");
        assert_eq!(event["data"]["data"]["log"][0], "by [redacted:employee]");
    }
    for (name, bytes) in daemon.contents(&run) {
        let text = String::from_utf8_lossy(&bytes);
        for secret in ["4111 1111", &token, "dXNlcjpwYXNz", "E123456"] {
            assert!(!text.contains(secret), "{secret} is in {name}");
        }
    }
    daemon.assert_verifies(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_stream_in_and_a_bad_one_is_named_and_undoes_nothing() {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("refund").await;
    let line = |number: usize| format!("{}\n", json!({ "message": format!("line {number}") }));
    let many: String = (1..=3_000).map(line).collect();
    let answer = lines(&daemon, &run, many).await.ok().json();
    assert_eq!(answer["accepted"], 3_000);
    assert_eq!(
        (&answer["first"]["sequence"], &answer["last"]["sequence"]),
        (&json!(2), &json!(3_001))
    );
    // Pieces that end anywhere, blank lines, and no line feed at the end.
    let text = format!("{}\r\n\n{}", line(1).trim_end(), line(2).trim_end());
    let pieces: Vec<_> = text.bytes().map(|byte| Ok::<_, std::io::Error>(vec![byte])).collect();
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    assert_eq!(lines(&daemon, &run, body).await.ok().json()["accepted"], 2);
    let cases = [
        (format!("{}{}{{\"message\":\n{}", line(1), line(2), line(4)), 2, "invalid_json", "line 3"),
        (format!("{}{{\"kind\": \"run.sealed\"}}\n", line(1)), 1, "invalid_field", "line 2: kind"),
        (format!("\n{{\"message\": \"{}\"}}", "x".repeat(3 << 20)), 0, "body_too_large", "line 2"),
        ("\n \n".to_owned(), 0, "missing_field", "body"),
    ];
    let mut accepted = 3_002;
    for (body, good, code, field) in cases {
        let reply = lines(&daemon, &run, body).await;
        let (_, found, place) = reply.refusal();
        assert_eq!((found.as_str(), place.as_str()), (code, field));
        assert_eq!(reply.json()["evidence"]["accepted"], good, "{field}");
        accepted += good;
    }
    seal(&daemon, &run).await;
    assert_eq!(said(&daemon, &run).len(), accepted);
    daemon.assert_verifies(&run);
    let late = lines(&daemon, &run, line(1)).await;
    assert_eq!(late.refusal().1, "run_sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_larger_than_allowed_is_refused_with_its_whole_list() {
    let daemon = TestDaemon::start_with(|config| config.events.max_size = 4096).await;
    let run = daemon.open_run("refund").await;
    let body = json!([{ "message": "small" }, { "message": "x".repeat(5_000) }]);
    let reply = daemon.post(&format!("/v1/runs/{run}/events"), body).await;
    assert_eq!(reply.refusal(), (413, "body_too_large".into(), "data".into()));
    seal(&daemon, &run).await;
    assert!(said(&daemon, &run).is_empty(), "none of the list");
}
