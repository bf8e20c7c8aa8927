//! The hosted backend: our own daemon plays the service, and a server that misbehaves does.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exhibit::compare::Bitmap;
use exhibit::config::{Config, Fallback};
use exhibit::digest::Digest;
use exhibit::secret::Secret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::hosted_server::{Answer, HostedServer, answer, answer_of_length};
use crate::site::Site;

const KEY: &str = "pf_test_key_of_the_hosted_service";
const PNG: &str = "content-type: image/png\r\n";
const JSON: &str = "content-type: application/json\r\n";
const AT_ONCE: &str = "retry-after: 0\r\n";

/// Ask for `path` by name of the backend.
pub(crate) async fn ask(daemon: &TestDaemon, backend: &str, path: &str, body: Value) -> Reply {
    let request = daemon.request(Method::POST, path).header("x-exhibit-backend", backend);
    daemon.send(request.json(&body)).await
}

pub(crate) fn use_hosted(config: &mut Config, base_url: &str, key: &str) {
    config.backend.hosted.base_url = Some(base_url.parse().expect("an address"));
    config.backend.hosted.key = Some(Secret::new(key.to_owned()));
}

/// A daemon that plays the hosted service, and one that uses it, with its key.
pub(crate) async fn pair(change: impl FnOnce(&mut Config)) -> (TestDaemon, TestDaemon, String) {
    let remote = TestDaemon::start_with(|config| {
        config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
    })
    .await;
    let ring = remote.folder.path().join("keys/api-keys.json");
    let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("no keys yet");
    let at = exhibit::clock::Clock::system().now();
    let key = ring.add("exhibit", at).expect("made").0.expose().clone();
    let folder = tempfile::tempdir().expect("a folder");
    let key_file = folder.path().join("hosted-key");
    exhibit::disk::write_once(&key_file, key.as_bytes()).expect("written, mode 600");
    let url = format!("http://{}", remote.daemon().tcp().expect("listening"));
    let local = TestDaemon::start_in(folder, |config| {
        use_hosted(config, &url, "");
        config.backend.hosted.key = None;
        config.backend.hosted.key_file = Some(key_file);
        change(config);
    })
    .await;
    (remote, local, key)
}

/// The folder verifies, says that the hosted service took the capture, and holds no secret.
fn check_capture(daemon: &TestDaemon, run: &str, name: &str, secrets: &[&str]) -> Value {
    daemon.assert_verifies(run);
    let capture = daemon.capture(run, name);
    assert_eq!((&capture["backend"], &capture["fallback_from"]), (&json!("hosted"), &Value::Null));
    assert_eq!(capture["page"], Value::Null, "nothing was seen here");
    let browser = &capture["browser"];
    assert_eq!((&browser["backend"], &browser["freshness"]), (&json!("hosted"), &json!("unknown")));
    assert_eq!(browser["response"]["status"], 200);
    assert!(browser["timing_ms"].is_u64(), "{browser}");
    for (file, bytes) in daemon.contents(run) {
        assert!(!file.ends_with("network.har.zst"), "nobody here saw the traffic");
        let text = String::from_utf8_lossy(&bytes);
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} in {file}");
        }
    }
    capture
}

#[tokio::test(flavor = "multi_thread")]
async fn our_own_daemon_can_be_the_hosted_service() {
    let (remote, local, key) = pair(|_| {}).await;
    let site = Site::start().await;
    let secrets = [key.as_str(), "hunter2secret"];
    let body = json!({
        "url": site.url("/ok"), "full_page": true, "wait_until": "load", "stage": "before",
        "headers": { "X-Token": "hunter2secret" }, "cookies": ["sid=hunter2secret"],
        "style": { "theme": "glass" },
    });
    let reply = ask(&local, "hosted", "/api/v1/screenshot", body).await.ok();
    assert_eq!(reply.header("x-exhibit-backend"), Some("hosted"));
    assert_eq!(reply.header("x-exhibit-page-status"), None, "it is not known");
    let capture = check_capture(&local, &reply.run(), "0001-before", &secrets);
    let sha256 = Digest::of(&reply.body).to_string();
    let response = &capture["browser"]["response"];
    assert_eq!(response["sha256"], json!(sha256));
    assert_eq!(response["headers"]["x-exhibit-sha256"], json!(sha256));
    assert!(capture["picture"]["pixels"][0].is_u64());
    let request = &capture["browser"]["request"];
    assert_eq!(request["fullPage"], true);
    assert_eq!((&request["stage"], &request["style"]), (&Value::Null, &Value::Null));
    // The service keeps the same picture.
    let there = response["headers"]["x-exhibit-run"].as_str().expect("a run");
    remote.assert_verifies(there);
    assert_eq!(remote.capture(there, "0001-during")["picture"]["sha256"], json!(sha256));
    let provenance = local.sealed(&reply.run()).join("data/provenance.json");
    let provenance = std::fs::read_to_string(provenance).expect("kept");
    assert!(provenance.contains("\"backend\": \"hosted\""), "{provenance}");

    let quick = |fields: Value| {
        let mut body = json!({ "url": site.url("/ok"), "waitUntil": "load" });
        body.as_object_mut().expect("fields").extend(fields.as_object().cloned().expect("fields"));
        body
    };
    let body = quick(json!({ "extractMetadata": true, "response_type": "json" }));
    let reply = ask(&local, "hosted", "/api/v1/screenshot", body).await.ok();
    assert!(reply.json()["metadata"]["title"].is_string(), "{}", reply.json()["metadata"]);
    check_capture(&local, &reply.run(), "0001-during", &secrets);
    let card = json!({ "title": "Card", "format": "webp" });
    let observed = quick(json!({ "includeScreenshot": true }));
    for (path, body) in [
        ("pdf", quick(json!({}))),
        ("og-image", card),
        ("inspect", quick(json!({}))),
        ("observe", observed),
    ] {
        let reply = ask(&local, "hosted", &format!("/v1/{path}"), body).await.ok();
        check_capture(&local, &reply.run(), "0001-during", &secrets);
        if path == "observe" {
            let picture =
                STANDARD.decode(reply.json()["screenshot"]["base64"].as_str().expect("one"));
            assert!(picture.expect("base64").starts_with(b"\xff\xd8\xff"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_and_comparisons_are_hosted_too_and_what_cannot_be_is_told() {
    let (_remote, local, key) = pair(|_| {}).await;
    let site = Site::start().await;
    let secrets = [key.as_str(), "hunter2secret"];
    let steps = json!([
        { "action": "navigate", "url": site.url("/form") },
        { "action": "fill", "selector": "#user", "value": "hunter2secret" },
        { "action": "screenshot", "name": "form", "style": {} },
        { "action": "pdf", "name": "paper" },
        { "action": "click", "selector": "#absent" },
    ]);
    let reply = ask(&local, "hosted", "/v1/sequence", json!({ "steps": steps })).await.ok();
    assert_eq!(reply.header("x-exhibit-backend"), Some("hosted"));
    let answer = reply.json();
    assert_eq!(answer["steps_completed"], 4, "{}", answer["step_results"]);
    assert_eq!(answer["step_results"][4]["code"], "selector_not_found");
    assert_eq!(answer["outputs"].as_array().expect("a list").len(), 2);
    check_capture(&local, &reply.run(), "0001-during", &secrets);
    check_capture(&local, &reply.run(), "0002-during", &secrets);

    let sides = json!({ "html_a": "<p>one", "html_b": "<p>two", "waitUntil": "load" });
    let reply = ask(&local, "hosted", "/v1/diff", sides).await.ok();
    assert!(reply.json()["changed_pixels"].as_u64().expect("a number") > 0);
    assert_eq!(reply.header("x-exhibit-backend"), Some("hosted"));
    check_capture(&local, &reply.run(), "0002-during", &secrets);

    let compare = json!([
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "diff", "html_b": "<p>" },
    ]);
    let reply = ask(&local, "hosted", "/v1/sequence", json!({ "steps": compare })).await.refusal();
    assert_eq!((reply.1.as_str(), reply.2.as_str()), ("not_supported", "steps[1].action"));
    let refused = ask(&local, "hosted", "/v1/sessions", json!({})).await.refusal();
    assert_eq!(refused.1, "not_supported");
    let session = local.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let body = json!({ "session_id": session, "url": site.url("/ok") });
    let refused = ask(&local, "hosted", "/v1/screenshot", body).await.refusal();
    assert_eq!((refused.1.as_str(), refused.2.as_str()), ("not_supported", "session_id"));
    let refused = ask(&local, "firefox", "/v1/screenshot", json!({})).await.refusal();
    assert_eq!((refused.0, refused.2.as_str()), (400, "x-exhibit-backend"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_or_a_caller_can_be_hosted_and_the_request_has_the_last_word() {
    let (_remote, local, _) = pair(|config| {
        config.backend.hosted.workflows = vec!["refund".to_owned()];
        config.policy.deny_hosts = vec!["denied.example".to_owned()];
    })
    .await;
    let site = Site::start().await;
    let body = json!({ "url": site.url("/ok"), "waitUntil": "load" });
    let run = local.open_run("refund").await;
    let path = format!("/v1/runs/{run}/captures");
    let took = async |backend: Option<&str>, path: &str| {
        let mut request = local.request(Method::POST, path);
        if let Some(backend) = backend {
            request = request.header("x-exhibit-backend", backend);
        }
        let reply = local.send(request.json(&body)).await.ok();
        reply.header("x-exhibit-backend").expect("who").to_owned()
    };
    assert_eq!(took(None, &path).await, "hosted", "its workflow");
    assert_eq!(took(Some("chromium"), &path).await, "chromium", "the request");
    assert_eq!(took(None, "/v1/screenshot").await, "chromium", "another workflow");
    local.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    local.assert_verifies(&run);
    let events = local.events(&run);
    let told = |kind: &str| -> Vec<Value> {
        let of_kind = events.iter().filter(|event| event["kind"] == kind);
        of_kind.map(|event| event["data"]["backend"].clone()).collect()
    };
    assert_eq!(told("capture.requested"), ["hosted", "chromium"]);
    assert_eq!(told("capture.taken"), ["hosted", "chromium"]);
    // Policy is ours, whoever would take the picture.
    let denied = json!({ "url": "http://denied.example/" });
    let refused = ask(&local, "hosted", "/v1/screenshot", denied).await.refusal();
    assert_eq!(refused.1, "target_forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_sent_unless_it_is_on_and_asked_for() {
    let (server, site) = (HostedServer::start(), Site::start().await);
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    let off = TestDaemon::start_with(|config| {
        use_hosted(config, &server.url(), KEY);
        config.backend.hosted.base_url = None;
        config.backend.hosted.callers = vec![uid.clone()];
        config.backend.hosted.workflows = vec!["standalone".to_owned()];
    })
    .await;
    let reply = off.quick_shot(&site.url("/ok")).await.ok();
    assert_eq!(reply.header("x-exhibit-backend"), Some("chromium"));
    let refused = ask(&off, "hosted", "/v1/screenshot", json!({ "url": site.url("/ok") })).await;
    assert_eq!(refused.refusal().1, "backend_not_configured");
    drop(off);
    let on = TestDaemon::start_with(|config| use_hosted(config, &server.url(), KEY)).await;
    let reply = on.quick_shot(&site.url("/ok")).await.ok();
    assert_eq!(reply.header("x-exhibit-backend"), Some("chromium"));
    assert_eq!(on.capture(&reply.run(), "0001-during")["backend"], "chromium");
    assert_eq!(server.received().len(), 0);
}

/// A picture of the size that is asked for when none is named.
fn picture() -> Vec<u8> {
    picture_of(1280, 720)
}

fn picture_of(width: u32, height: u32) -> Vec<u8> {
    let samples = vec![200; (width * height * 4) as usize];
    Bitmap::new(width, height, samples).expect("a picture").to_png().expect("a PNG")
}

/// `png` with a chunk of an animation before its end.
fn animated(png: &[u8]) -> Vec<u8> {
    let control = b"\0\0\0\x08acTL\0\0\0\x01\0\0\0\0\xb4\x2d\xe9\xa0";
    let end = png.len() - 12;
    [&png[..end], control, &png[end..]].concat()
}

/// 69 bytes that decode to four gigapixels.
fn bomb() -> Vec<u8> {
    let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\xff\xff\0\0\xff\xff\x08\x02\0\0\0....";
    let data = b"\0\0\0\x0cIDATx\x9c\x63\0\0\0\x01\0\x01\0\0\0....";
    [&header[..], data, b"\0\0\0\0IEND\xaeB`\x82"].concat()
}

/// What the service does, how often it is asked, which code that is, and part of the sentence.
type Case = (&'static str, Vec<Answer>, usize, &'static str, &'static str);

fn cases(other: &HostedServer) -> Vec<Case> {
    let png = picture();
    let busy = || answer("503 Service Unavailable", AT_ONCE, b"");
    let elsewhere = format!("location: http://localhost:{}/api/v1/screenshot\r\n", other.port());
    let quoting = format!("{{\"error\": \"no such key: {KEY}\"}}");
    let html = b"<!doctype html><h1>502 Bad Gateway</h1>".as_slice();
    let large = [png.clone(), vec![0; 200_000]].concat();
    let endless =
        [b"HTTP/1.1 200 OK\r\ncontent-type: image/png\r\n\r\n", large.as_slice()].concat();
    let whole = |headers, body: &[u8]| vec![answer("200 OK", headers, body)];
    let status = |status: &str, body: &[u8]| vec![answer(status, JSON, body)];
    let cut = answer_of_length("200 OK", PNG, &png, png.len() + 100);
    let html_type = "content-type: text/html; charset=utf-8\r\n";
    vec![
        ("slow", vec![Answer::Nothing], 1, "request_timeout", "backend.hosted.timeout"),
        ("always busy", vec![busy(), busy(), busy()], 3, "backend_failed", "503"),
        ("hangs up", vec![Answer::End; 3], 3, "backend_failed", "broke off the connection"),
        ("truncated", vec![cut], 1, "backend_failed", "in the middle of its answer"),
        ("half a PNG", whole(PNG, &png[..png.len() / 2]), 1, "backend_failed", "cut short"),
        ("JPEG's name", whole("content-type: image/jpeg\r\n", &png), 1, "backend_failed", "jpeg"),
        ("no type", whole("", &png), 1, "backend_failed", "no content type"),
        ("HTML", whole(html_type, html), 1, "backend_failed", "text/html instead of image/png"),
        ("HTML as PNG", whole(PNG, html), 1, "backend_failed", "no image/png"),
        ("PDF as PNG", whole(PNG, b"%PDF-1.4 %%EOF"), 1, "backend_failed", "application/pdf"),
        ("animated", whole(PNG, &animated(&png)), 1, "backend_answer_refused", "an animation"),
        ("a bomb", whole(PNG, &bomb()), 1, "backend_answer_refused", "65535 × 65535 pixels"),
        (
            "another size",
            whole(PNG, &picture_of(128, 72)),
            1,
            "backend_answer_refused",
            "128 × 72 pixels, where 1280 × 720",
        ),
        (
            "a page behind it",
            whole(PNG, &[&png, b"<script>alert(1)</script>".as_slice()].concat()),
            1,
            "backend_answer_refused",
            "bytes behind its end",
        ),
        ("nothing", whole(PNG, b""), 1, "backend_failed", "nothing at all"),
        ("no content", vec![answer("204 No Content", "", b"")], 1, "backend_failed", "nothing"),
        ("too large", whole(PNG, &large), 1, "backend_failed", "max_response"),
        ("endless", vec![Answer::Bytes(endless)], 1, "backend_failed", "max_response"),
        (
            "400",
            status("400 Bad Request", b"{\"error\": \"`x` is odd\"}"),
            1,
            "backend_failed",
            "`x` is odd",
        ),
        (
            "401",
            status("401 Unauthorized", quoting.as_bytes()),
            1,
            "backend_failed",
            "check the key",
        ),
        (
            "402",
            status("402 Payment Required", b"{\"error\": \"quota\"}"),
            1,
            "backend_failed",
            "quota is used up",
        ),
        ("500", status("500 Internal Server Error", b"oops"), 1, "backend_failed", "500"),
        (
            "redirect",
            vec![answer("307 Temporary Redirect", &elsewhere, b"")],
            1,
            "backend_failed",
            "redirects to localhost",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_misbehaves_is_told_of_and_on_record() {
    let (server, other) = (HostedServer::start(), HostedServer::start());
    let daemon = TestDaemon::start_with(|config| {
        use_hosted(config, &server.url(), KEY);
        config.backend.hosted.timeout = Duration::from_secs(3);
        config.backend.hosted.max_response = 100_000;
    })
    .await;
    let body = json!({ "url": "http://shop.example/", "stage": "after", "response_type": "json" });
    for (name, script, tries, code, part) in cases(&other) {
        server.play(script);
        let reply = ask(&daemon, "hosted", "/v1/screenshot", body.clone()).await;
        let told = reply.refusal();
        let sentence = reply.json()["error"].as_str().expect("a sentence").to_owned();
        assert_eq!(told.1, code, "{name}: {sentence}");
        assert!(sentence.contains(part), "{name}: {sentence}");
        assert_eq!(reply.header("x-exhibit-backend"), Some("hosted"), "{name}");
        let received = server.received();
        assert_eq!(received.len(), tries, "{name}");
        for request in &received {
            assert!(request.head.contains(&format!("x-api-key: {KEY}")), "{name}");
            assert_eq!(request.body, "{\"url\":\"http://shop.example/\"}", "{name}");
        }
        let run = reply.run();
        daemon.assert_verifies(&run);
        let events = daemon.events(&run);
        let failed = events.iter().find(|event| event["kind"] == "capture.failed");
        let data = &failed.expect("on record")["data"];
        assert_eq!(data["code"], code, "{name}");
        assert_eq!(data["browser"]["request"]["url"], "http://shop.example/", "{name}");
        let attempts = data["browser"]["attempts"].as_array().expect("a list").len();
        // An answer that is whole and wrong is no failed try.
        assert!(attempts == tries || attempts == 0, "{name}: {attempts}");
        for (file, bytes) in daemon.contents(&run) {
            assert!(!String::from_utf8_lossy(&bytes).contains(KEY), "{name}: the key in {file}");
        }
        assert!(!sentence.contains(KEY), "{name}");
    }
    assert_eq!(other.received().len(), 0, "the key does not follow a redirect");

    server.play([answer("200 OK", JSON, b"[1]")]);
    let told = ask(&daemon, "hosted", "/v1/inspect", body.clone()).await;
    assert!(told.json()["error"].as_str().expect("a sentence").contains("no object"));
    server.play([answer("200 OK", JSON, b"{\"step_results\": []}")]);
    let steps = json!([{ "action": "navigate", "url": "http://a.example" }, { "action": "pdf" }]);
    let told = ask(&daemon, "hosted", "/v1/sequence", json!({ "steps": steps })).await;
    assert_eq!(told.refusal().1, "backend_failed");
    daemon.assert_verifies(&told.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_asked_again_when_it_says_so_and_each_try_is_on_record() {
    let server = HostedServer::start();
    let daemon = TestDaemon::start_with(|config| use_hosted(config, &server.url(), KEY)).await;
    let limited = answer("429 Too Many Requests", "retry-after: 1\r\n", b"{\"error\": \"slow\"}");
    let good = answer("200 OK", PNG, &picture());
    server.play([limited, Answer::End, good]);
    let body = json!({ "url": "http://shop.example/" });
    let reply = ask(&daemon, "hosted", "/v1/screenshot", body.clone()).await.ok();
    assert_eq!(reply.body, picture());
    assert_eq!(server.received().len(), 3);
    let capture = check_capture(&daemon, &reply.run(), "0001-during", &[KEY]);
    assert_eq!(capture["picture"]["pixels"], json!([1280, 720]));
    let attempts = &capture["browser"]["attempts"];
    assert_eq!((&attempts[0]["status"], &attempts[0]["waited_ms"]), (&json!(429), &json!(1000)));
    assert_eq!((&attempts[1]["status"], &attempts[2]), (&Value::Null, &Value::Null));

    // What steps did cannot be undone: only what cannot have begun is sent again.
    let steps = json!([{ "action": "navigate", "url": "http://a.example" }, { "action": "pdf" }]);
    let limited = answer("429 Too Many Requests", AT_ONCE, b"");
    server.play([limited, answer("502 Bad Gateway", AT_ONCE, b"")]);
    let reply = ask(&daemon, "hosted", "/v1/sequence", json!({ "steps": steps })).await;
    assert_eq!(reply.refusal().1, "backend_failed");
    assert_eq!(server.received().len(), 2);
    daemon.assert_verifies(&reply.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_local_browser_takes_over_when_the_service_is_down_and_only_then() {
    let (server, site) = (HostedServer::start(), Site::start().await);
    let uid = format!("uid:{}", rustix::process::geteuid().as_raw());
    let daemon = TestDaemon::start_with(|config| {
        use_hosted(config, &server.url(), KEY);
        config.backend.hosted.callers = vec![uid];
        config.backend.hosted.retries = 0;
        config.backend.hosted.fallback = Fallback::Chromium;
    })
    .await;
    let taken_over = |reply: &Reply| {
        assert_eq!(reply.header("x-exhibit-backend"), Some("chromium"));
        daemon.assert_verifies(&reply.run());
        let capture = daemon.capture(&reply.run(), "0001-during");
        assert_eq!(capture["backend"], "chromium");
        assert_eq!(capture["fallback_from"], "hosted");
        assert_eq!(capture["page"]["final_url"], json!(site.url("/ok")));
        capture
    };
    let down = || answer("503 Service Unavailable", "", b"");
    server.play([down()]);
    let reply = daemon.quick_shot(&site.url("/ok")).await.ok();
    let capture = taken_over(&reply);
    let first = &capture["failed_attempts"][0];
    assert_eq!(
        (&first["code"], &first["browser"]["backend"]),
        (&json!("backend_failed"), &json!("hosted"))
    );
    assert_eq!(server.received().len(), 1);

    server.play([answer("402 Payment Required", "", b"")]);
    let refused = daemon.quick_shot(&site.url("/ok")).await;
    assert_eq!(refused.refusal().1, "backend_failed", "a refusal is no reason");

    let steps = json!([
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "screenshot" },
    ]);
    server.play([down()]);
    let reply = daemon.post("/v1/sequence", json!({ "steps": steps })).await;
    assert_eq!(reply.refusal().1, "backend_failed", "it may have begun");
    // Nobody listens any more.
    drop(server);
    let reply = daemon.post("/v1/sequence", json!({ "steps": steps })).await.ok();
    taken_over(&reply);
    taken_over(&daemon.quick_shot(&site.url("/ok")).await.ok());
}
