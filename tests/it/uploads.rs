//! Bodies that are large, slow or cut off: whoever sends one is answered, and nobody else waits
//! for it.

use std::path::Path;
use std::time::Duration;

use exhibit::evidence::verify;
use exhibit::run::State;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::harness::{LIMIT, TestDaemon, eventually};

/// A connection that has sent the head of a `POST` and nothing of its body.
async fn begin_post(folder: &Path, path: &str, length: usize) -> UnixStream {
    let mut stream = UnixStream::connect(folder.join("exhibit.sock")).await.expect("it listens");
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: exhibit\r\nConnection: close\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

/// The status and the code of the answer on `stream`.
async fn answer(mut stream: UnixStream) -> (u16, String) {
    let mut answer = String::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_string(&mut answer)).await;
    read.expect("an answer in time").expect("a whole answer");
    let status = answer.split(' ').nth(1).expect("a status line").parse().expect("a number");
    let body = answer.split_once("\r\n\r\n").expect("a body").1;
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    (status, body["code"].as_str().unwrap_or_default().to_owned())
}

/// The attachments of `run` that lie in the store while it is open.
fn attachments(daemon: &TestDaemon, run: &str) -> Vec<String> {
    let folder = daemon.store().join("open").join(run).join("data/attachments");
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_sends_all_before_listening_hears_why_it_was_refused() {
    let daemon = TestDaemon::start_with(|config| {
        config.runs.max_attachment = 1_000;
        config.capture.max_body = 1_000;
    })
    .await;
    let run = daemon.open_run("refund").await;
    let unknown = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";
    let cases = [
        (format!("/v1/runs/{run}/attachments?name=large"), 413, "body_too_large"),
        (format!("/v1/runs/{run}/attachments?name=.hidden"), 400, "invalid_field"),
        (format!("/v1/runs/{unknown}/attachments?name=large"), 404, "run_not_found"),
        (format!("/v1/runs/{run}/events"), 413, "body_too_large"),
        ("/v1/screenshot".to_owned(), 413, "body_too_large"),
        ("/v1/nowhere".to_owned(), 404, "no_such_endpoint"),
    ];
    // More than the socket holds, so that sending ends only if the daemon goes on reading.
    let body = vec![b'x'; 3_000_000];
    for (path, status, code) in cases {
        let mut stream = begin_post(daemon.folder.path(), &path, body.len()).await;
        let sent = tokio::time::timeout(LIMIT, stream.write_all(&body)).await;
        sent.expect("sent in time").unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(answer(stream).await, (status, code.to_owned()), "{path}");
    }
    assert_eq!(attachments(&daemon, &run), Vec::<String>::new());
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_streamed_and_one_that_is_cut_off_leaves_nothing() {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{run}/attachments?name=log.bin");
    let begun = async || {
        let mut stream = begin_post(daemon.folder.path(), &path, 2_000_000).await;
        stream.write_all(&vec![b'a'; 1_000_000]).await.expect("sent");
        eventually("the upload is under way", async || !attachments(&daemon, &run).is_empty())
            .await;
        stream
    };
    drop(begun().await);
    eventually("nothing is left of it", async || attachments(&daemon, &run).is_empty()).await;

    let mut stream = begun().await;
    let taken = daemon.send(daemon.request(reqwest::Method::POST, &path).body("mine")).await;
    assert_eq!((taken.refusal().0, taken.refusal().1), (409, "name_taken".to_owned()));
    stream.write_all(&vec![b'b'; 1_000_000]).await.expect("sent");
    assert_eq!(answer(stream).await.0, 201);
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let kept = std::fs::read(daemon.sealed(&run).join("data/attachments/log.bin")).expect("kept");
    assert_eq!((kept.len(), kept[999_999], kept[1_000_000]), (2_000_000, b'a', b'b'));
    let added = daemon.kinds(&run).into_iter().filter(|kind| kind == "attachment.added").count();
    assert_eq!(added, 1, "what was cut off is not among the events");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stalls_keeps_no_other_run_from_ending() {
    let daemon = TestDaemon::start_with(|config| {
        config.runs.max_duration = Duration::from_millis(400);
        config.daemon.drain = Duration::from_millis(200);
    })
    .await;
    let stalled = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{stalled}/attachments?name=log.bin");
    let stream = begin_post(daemon.folder.path(), &path, 2_000_000).await;
    eventually("the upload is under way", async || !attachments(&daemon, &stalled).is_empty())
        .await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(daemon.open_run("refund").await);
        let other = others.last().expect("just opened");
        eventually("it expires", async || daemon.sealed(other).exists()).await;
    }
    let last = daemon.open_run("refund").await;
    let (trust, sealed) = (daemon.trust(), daemon.sealed(&last));
    let state = |what: &str, folder: &Path| {
        let report = verify::folder(folder, &trust);
        assert!(report.findings.is_empty(), "{what}: {:#?}", report.findings);
        report.state
    };
    for other in &others {
        assert_eq!(state("another", &daemon.sealed(other)), Some(State::Expired));
    }
    let stalled_sealed = daemon.sealed(&stalled);
    let folder = tokio::time::timeout(LIMIT, daemon.stop()).await.expect("stopping has a limit");
    assert!(matches!(state("the last", &sealed), Some(State::Interrupted | State::Expired)));
    drop(stream);
    // Here the old daemon's connection lives on in this process: it lets go of its file first.
    let left = folder.path().join("store/open").join(&stalled).join("data/attachments");
    let gone = || std::fs::read_dir(&left).map_or(0, Iterator::count) == 0;
    eventually("the upload is given up", async || gone()).await;
    let folder = TestDaemon::start_in(folder, |_| {}).await.stop().await;
    assert!(matches!(
        state("the stalled", &stalled_sealed),
        Some(State::Interrupted | State::Expired)
    ));
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_stalls_is_given_up_and_its_run_expires() {
    let daemon =
        TestDaemon::start_with(|config| config.runs.idle = Duration::from_millis(400)).await;
    let run = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{run}/attachments?name=log.bin");
    let mut stream = begin_post(daemon.folder.path(), &path, 2_000_000).await;
    stream.write_all(b"the beginning").await.expect("sent");
    // The answer comes although the body never does: drop our sending side once it is refused.
    eventually("it is given up", async || attachments(&daemon, &run).is_empty()).await;
    eventually("the run is sealed", async || daemon.sealed(&run).exists()).await;
    stream.shutdown().await.expect("our side is closed");
    assert_eq!(answer(stream).await, (504, "request_timeout".to_owned()));
    eventually("it is shown", async || {
        daemon.get(&format!("/v1/runs/{run}")).await.json()["state"] == "expired"
    })
    .await;
    daemon.assert_verifies(&run);
}
