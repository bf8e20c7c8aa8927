//! What pages do to us: everything that goes wrong is answered in time, with its code, and is on
//! record in a folder that verifies; and the daemon goes on working.

use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::site::{Site, refused_url};
use crate::tls::SelfSigned;

/// A capture that must be refused or fail: with which status, code and field.
struct Case<'a> {
    body: Value,
    status: u16,
    code: &'a str,
    field: &'a str,
}

fn case<'a>(body: Value, status: u16, code: &'a str, field: &'a str) -> Case<'a> {
    Case { body, status, code, field }
}

/// The capture fails as told, and the attempt is on record.
async fn check_recorded(daemon: &TestDaemon, case: &Case<'_>, kind: &str, outcome: &str) -> Reply {
    let reply = daemon.shot(case.body.clone()).await;
    let told = reply.refusal();
    let wanted = (case.status, case.code.to_owned(), case.field.to_owned());
    assert_eq!(told, wanted, "{} → {}", case.body, String::from_utf8_lossy(&reply.body));
    let run = reply.run();
    daemon.assert_verifies(&run);
    let events = daemon.events(&run);
    let event = events.iter().find(|event| event["kind"] == kind).expect("on record");
    assert_eq!(event["data"]["code"], case.code);
    assert_eq!(events.last().expect("the last")["data"]["outcome"], outcome);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_that_fail_say_how_and_are_on_record() {
    let (daemon, site, tls) = (TestDaemon::start().await, Site::start().await, SelfSigned::start());
    let quick =
        |url: String| json!({ "url": url, "waitUntil": "load", "navigationTimeout": 20_000 });
    let soon = |path: &str| json!({ "url": site.url(path), "waitUntil": "load", "navigationTimeout": 1_500 });
    let with = |path: &str, name: &str, value: Value| {
        let mut body = quick(site.url(path));
        body[name] = value;
        body
    };
    let far = json!({ "x": 0, "y": 0, "width": 100, "height": 90_000 });
    let mut never = soon("/ok");
    never["waitForSelector"] = json!("#never");
    let cases = [
        case(quick(refused_url()), 502, "connection_refused", "url"),
        case(quick("http://no-such-host.invalid/".to_owned()), 502, "dns_failure", "url"),
        case(quick(tls.url("/")), 502, "tls_error", "url"),
        case(quick(site.url("/loop")), 502, "redirect_loop", "url"),
        case(soon("/hang"), 504, "target_connection_timeout", "url"),
        case(soon("/never-loads"), 504, "navigation_timeout", "waitUntil"),
        case(soon("/heavy-loop"), 504, "navigation_timeout", "waitUntil"),
        case(with("/ok", "selector", json!("#absent")), 422, "selector_not_found", "selector"),
        case(
            with("/elements", "selector", json!("#hidden")),
            422,
            "selector_not_visible",
            "selector",
        ),
        case(
            with("/elements", "selector", json!("#zero")),
            422,
            "selector_not_visible",
            "selector",
        ),
        case(with("/ok", "selector", json!("p[")), 400, "invalid_field", "selector"),
        case(never, 422, "selector_not_found", "waitForSelector"),
        case(with("/ok", "waitForSelector", json!(">>")), 400, "invalid_field", "waitForSelector"),
        case(with("/ok", "clip", far), 422, "clip_outside_page", "clip"),
        case(with("/ok", "timeZone", json!("Mars/Olympus")), 400, "invalid_field", "timeZone"),
    ];
    for case in &cases {
        check_recorded(&daemon, case, "capture.failed", "failed").await;
    }
    let hint = daemon.shot(soon("/never-loads")).await.json()["hint"].clone();
    assert!(hint.as_str().expect("a hint").contains("/held.png"), "what still loads: {hint}");
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_status_is_captured_as_what_it_is() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    for (path, status) in [("/status/404", 404), ("/status/500", 500), ("/empty/503", 503)] {
        let reply = daemon.quick_shot(&site.url(path)).await.ok();
        assert_eq!(reply.header("x-exhibit-page-status"), Some(status.to_string().as_str()));
        let run = reply.run();
        daemon.assert_verifies(&run);
        assert_eq!(daemon.capture(&run, "0001-during")["page"]["document"]["status"], status);
    }
    let reply = daemon.quick_shot(&site.url("/redirect/3")).await.ok();
    let capture = daemon.capture(&reply.run(), "0001-during");
    assert_eq!(capture["page"]["final_url"], site.url("/ok"));
    let hops = capture["page"]["redirects"].as_array().expect("the chain");
    let hops: Vec<_> = hops.iter().map(|hop| hop["url"].as_str().expect("an address")).collect();
    assert_eq!(hops, [3, 2, 1].map(|hop| site.url(&format!("/redirect/{hop}"))));
}

#[tokio::test(flavor = "multi_thread")]
async fn forbidden_targets_are_refused_and_the_attempt_is_evidence() {
    let site = Site::start().await;
    let port: u16 = site.host().rsplit(':').next().expect("a port").parse().expect("a number");
    let daemon = TestDaemon::start_with(|config| {
        config.policy.deny_hosts = vec!["denied.example".to_owned()];
        config.policy.deny_addresses.push("127.0.0.7/32".to_owned());
    })
    .await;
    let urls = [
        "file:///etc/passwd".to_owned(),
        "FILE:///etc/passwd".to_owned(),
        "javascript:alert(1)".to_owned(),
        "chrome://version".to_owned(),
        "data:text/html,hello".to_owned(),
        "http://denied.example/".to_owned(),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        format!("http://127.0.0.7:{port}/ok"),
    ];
    for url in urls {
        let case = case(json!({ "url": url }), 403, "target_forbidden", "url");
        let reply = check_recorded(&daemon, &case, "capture.refused", "refused").await;
        let event = &daemon.events(&reply.run())[1];
        assert!(event["data"]["url"].as_str().expect("an address").contains(':'), "{event}");
    }
    // Where a page leads counts as much as where it begins.
    let targets = [
        ("file:///etc/passwd", 403, "target_forbidden"),
        ("chrome://version", 403, "target_forbidden"),
        ("data:text/html,hello", 403, "target_forbidden"),
        // The browser drops it without a word of why.
        ("javascript:alert(1)", 502, "navigation_failed"),
    ];
    for (target, status, code) in targets {
        let url = format!("{}?url={target}", site.url("/redirect-to"));
        let body = json!({ "url": url, "waitUntil": "load" });
        let case = case(body, status, code, "url");
        let reply = check_recorded(&daemon, &case, "capture.failed", "failed").await;
        assert!(!daemon.sealed(&reply.run()).join("data/captures").exists(), "{target} was kept");
    }
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_loads_inside_is_judged_too() {
    let site = Site::start().await;
    let port = site.host().rsplit(':').next().expect("a port").to_owned();
    let daemon = TestDaemon::start_with(|config| {
        // 127.0.0.0/8 is all loopback, and the site listens on 127.0.0.1: deny exactly that.
        config.policy.deny_addresses = vec!["127.0.0.1/32".to_owned()];
    })
    .await;
    // A script or a fetch is not among them: what another site does not offer to this one is kept
    // from the page by the browser, and no answer is told of.
    let insides = ["<iframe src=\"/ok\"></iframe>", "<img src=\"/img/1\">"];
    for inside in insides {
        let html = format!("<base href=\"http://localhost:{port}/\">{inside}");
        let body = json!({ "html": html, "waitUntil": "networkidle0" });
        let case = case(body, 403, "target_forbidden", "url");
        let reply = check_recorded(&daemon, &case, "capture.failed", "failed").await;
        assert!(!daemon.sealed(&reply.run()).join("data/captures").exists(), "{inside} was kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_files_stay_out_of_pictures_and_snapshots() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    for path in ["/iframe-file", "/dom-file"] {
        let body = json!({ "url": site.url(path), "waitUntil": "load", "delay": 300 });
        let reply = daemon.shot(body).await;
        let run = reply.run();
        daemon.assert_verifies(&run);
        for (file, bytes) in daemon.contents(&run) {
            assert!(!contains(&bytes, b"root:x:0:0"), "{path}: {file} holds /etc/passwd");
            for way in ["fetch: READ", "xhr: READ", "import: READ"] {
                assert!(!contains(&bytes, way.as_bytes()), "{path}: {file}: {way}");
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn noisy_pages_are_captured_and_their_noise_is_on_record() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let page = async |path: &str| {
        let body = json!({ "url": site.url(path), "waitUntil": "networkidle0", "navigationTimeout": 3_000 });
        let run = daemon.shot(body).await.ok().run();
        daemon.assert_verifies(&run);
        (daemon.capture(&run, "0001-during")["page"].clone(), run)
    };
    let (facts, _) = page("/dialogs").await;
    let kinds: Vec<_> = facts["dialogs"].as_array().expect("dialogs").iter().collect();
    let kinds: Vec<_> =
        kinds.iter().map(|dialog| dialog["kind"].as_str().expect("a kind")).collect();
    assert_eq!(kinds, ["alert", "confirm", "prompt"]);

    let (facts, run) = page("/console").await;
    assert!(facts["console_errors"].as_u64().expect("a number") >= 3, "{facts}");
    let console = daemon.unpacked(&run, "0001-during", "console.jsonl.zst");
    assert!(console.contains("nobody catches this") && console.contains("a warning"), "{console}");

    let (facts, _) = page("/popup").await;
    let popups = facts["popups"].to_string();
    assert!(popups.contains("/ok?from=script"), "{popups}");

    let (facts, _) = page("/never-idle").await;
    assert_eq!(facts["settled"]["reached"], false);
    assert!(facts["settled"]["in_flight"].to_string().contains("/poll"), "{facts}");

    let (facts, _) = page("/client-redirect").await;
    assert_eq!(facts["final_url"], site.url("/ok"));
    assert_eq!(facts["title"], "Operations");

    let body = json!({ "url": site.url("/late-element"), "waitForSelector": "#late", "selector": "#late" });
    daemon.shot(body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_dialog_holds_a_capture_up_and_no_page_fills_the_record_with_them() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    // The browser asks before leaving only where somebody has touched the page.
    let leaving = format!(
        "<script>onbeforeunload = event => {{ event.preventDefault(); event.returnValue = 'stay' }}
         </script><a id=\"leave\" href=\"{}\">leave</a>",
        site.url("/ok")
    );
    let body = json!({ "html": leaving, "waitUntil": "load", "click": "#leave" });
    let run = daemon.shot(body).await.ok().run();
    daemon.assert_verifies(&run);
    let page = &daemon.capture(&run, "0001-during")["page"];
    assert_eq!(page["dialogs"][0]["kind"], "beforeunload", "{page}");
    assert_eq!(page["dialogs"][0]["accepted"], true);
    assert_eq!(page["final_url"], site.url("/ok"), "leaving is never refused");

    let endless = "<script>for (;;) alert('again and again')</script>";
    let body = json!({ "html": endless, "waitUntil": "load", "navigationTimeout": 1_500 });
    let reply = daemon.shot(body).await;
    let wanted = (504, "navigation_timeout".to_owned(), "waitUntil".to_owned());
    assert_eq!(reply.refusal(), wanted);
    let run = reply.run();
    daemon.assert_verifies(&run);
    let failed = daemon.events(&run).into_iter().find(|event| event["kind"] == "capture.failed");
    let failed = failed.expect("on record");
    assert_eq!(failed["data"]["page"]["dialogs"].as_array().map(Vec::len), Some(100));
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_script_holds_up_nobody_else() {
    let daemon = TestDaemon::start_with(|config| {
        config.capture.deadline = std::time::Duration::from_secs(5);
    })
    .await;
    let site = Site::start().await;
    let url = site.url("/heavy-loop/after-load");
    let hangs = daemon.quick_shot(&url);
    let others = async {
        site.wait_for_request("/heavy-loop/after-load").await;
        for _ in 0..3 {
            daemon.quick_shot(&site.url("/ok")).await.ok();
        }
    };
    let (hung, ()) = tokio::join!(hangs, others);
    if hung.status != 200 {
        let (status, code, _) = hung.refusal();
        assert_eq!((status, code.as_str()), (504, "request_timeout"));
    }
    daemon.assert_verifies(&hung.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_cannot_be_understood_are_answered_and_not_recorded() {
    let daemon = TestDaemon::start_with(|config| {
        config.capture.max_body = 100_000;
        config.capture.max_pixels = 1_000_000;
    })
    .await;
    let url = "http://a.example/";
    let cases = [
        case(json!({}), 400, "missing_field", "url"),
        case(json!([1]), 400, "invalid_json", ""),
        case(json!({ "url": url, "html": "x" }), 400, "conflicting_fields", "html"),
        case(json!({ "url": url, "width": 1_000_000 }), 400, "invalid_field", "width"),
        case(json!({ "url": url, "width": "wide" }), 400, "invalid_field", "width"),
        case(json!({ "url": url, "width": 0 }), 400, "invalid_field", "width"),
        case(json!({ "url": url, "height": -1 }), 400, "invalid_field", "height"),
        case(json!({ "url": url, "height": 1e300 }), 400, "invalid_field", "height"),
        case(
            json!({ "url": url, "deviceScaleFactor": 100 }),
            400,
            "invalid_field",
            "deviceScaleFactor",
        ),
        case(json!({ "url": url, "fullPage": "yes" }), 400, "invalid_field", "fullPage"),
        case(json!({ "url": url, "format": "gif" }), 400, "invalid_field", "format"),
        case(json!({ "url": url, "quality": 101 }), 400, "invalid_field", "quality"),
        case(json!({ "url": url, "delay": 3_600_000 }), 400, "invalid_field", "delay"),
        case(json!({ "url": url, "headers": ["a"] }), 400, "invalid_field", "headers"),
        case(json!({ "url": url, "cookies": "a=b" }), 400, "invalid_field", "cookies"),
        case(json!({ "url": url, "clip": "all" }), 400, "invalid_field", "clip"),
        case(json!({ "url": 7 }), 400, "invalid_field", "url"),
        case(json!({ "url": "no address" }), 400, "invalid_field", "url"),
        case(json!({ "html": "", "selector": "" }), 400, "invalid_field", "selector"),
        case(json!({ "url": url, "colour": 1 }), 400, "unknown_field", "colour"),
        case(json!({ "url": url, "blockAds": 1 }), 400, "invalid_field", "blockAds"),
        case(json!({ "html": "x".repeat(100_001) }), 413, "body_too_large", ""),
    ];
    for case in &cases {
        let reply = daemon.shot(case.body.clone()).await;
        let wanted = (case.status, case.code.to_owned(), case.field.to_owned());
        assert_eq!(reply.refusal(), wanted);
        assert_eq!(reply.header("x-exhibit-run"), None);
    }
    for body in ["{\"url\": ", "null", "\"a\"", "url=http://a.example/", "\u{0}"] {
        let request = daemon.request(reqwest::Method::POST, "/v1/screenshot");
        let request = request.header("content-type", "application/json");
        let reply = daemon.send(request.body(body)).await;
        assert_eq!(reply.refusal(), (400, "invalid_json".to_owned(), String::new()), "{body:?}");
    }
    let request = daemon.request(reqwest::Method::POST, "/v1/screenshot");
    assert_eq!(daemon.send(request).await.refusal().1, "missing_field", "no body asks for nothing");
    let runs = daemon.get("/v1/runs").await.ok().json();
    assert_eq!(runs["runs"], json!([]), "nothing was begun");

    let html = "<div style=\"height: 2000px\">tall</div>";
    let reply = daemon.shot(json!({ "html": html, "fullPage": true })).await;
    assert_eq!(reply.refusal(), (422, "picture_too_large".to_owned(), "fullPage".to_owned()));
    assert_eq!(daemon.get("/v1/nowhere").await.refusal().1, "no_such_endpoint");
    assert_eq!(daemon.get("/v1/screenshot").await.refusal().1, "method_not_allowed");
}
