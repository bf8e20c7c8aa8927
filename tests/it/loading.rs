//! What is loaded, and as whom: Markdown, blocking, local storage, social cards.

use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn markdown_becomes_a_page_that_says_it_is_one() {
    let daemon = TestDaemon::start().await;
    let text = "# Decision\n\n| field | value |\n|---|---|\n| amount | **48.50** |\n";
    let run = daemon.shot(json!({ "markdown": text, "waitUntil": "load" })).await.ok().run();
    daemon.assert_verifies(&run);
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(record["altered_by"], json!(["markdown"]));
    assert_eq!(record["settings"]["markdown"]["size_bytes"], text.len());
    let dom = daemon.unpacked(&run, "0001-during", "dom.html.zst");
    assert!(dom.contains("<strong>48.50</strong>"), "{dom}");
    let reply = daemon.shot(json!({ "markdown": "a", "url": "http://a.example/" })).await;
    assert_eq!(reply.refusal().1, "conflicting_fields");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_blocked_is_never_asked_for_and_is_on_record() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let image = |number: u32| site.url(&format!("/img/{number}"));
    let html = format!(
        "<img src='{}'><img src='{}'><script>fetch('{}').catch(() => document.title = 'kept out')\
         </script><script src='https://www.google-analytics.com/analytics.js'></script>\
         <div id='onetrust-banner-sdk'>We value your privacy</div>",
        image(1),
        image(2),
        site.url("/poll")
    );
    let body = json!({
        "html": html, "waitUntil": "load", "blockRequests": ["*/img/2", "/poll"],
        "blockTrackers": true, "blockBanners": true,
    });
    let run = daemon.shot(body).await.ok().run();
    daemon.assert_verifies(&run);
    assert_eq!((site.count("/img/1"), site.count("/img/2"), site.count("/poll")), (1, 0, 0));
    let record = daemon.capture(&run, "0001-during");
    let altered = json!(["html", "blockBanners", "blockTrackers", "blockRequests"]);
    assert_eq!(record["altered_by"], altered);
    let blocked = record["page"]["blocked"].as_array().expect("a list");
    let by: Vec<&str> = blocked.iter().filter_map(|one| one["by"].as_str()).collect();
    for why in ["blockRequests: */img/2", "blockRequests: /poll", "trackers"] {
        assert!(by.contains(&why), "{why} is not in {by:?}");
    }
    assert_eq!(record["page"]["blocked_requests"], 3);
    assert_eq!(record["page"]["title"], "kept out");

    // The banner is not seen, and without the field it is.
    let banner = |fields: Value| {
        let mut body = json!({
            "html": "<div id='onetrust-banner-sdk'>We value your privacy</div>",
            "waitUntil": "load", "selector": "#onetrust-banner-sdk",
        });
        body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("too"));
        daemon.shot(body)
    };
    banner(json!({})).await.ok();
    let reply = banner(json!({ "blockBanners": true })).await;
    assert_eq!(reply.refusal().1, "selector_not_visible");

    let body = json!({
        "html": format!("<img src='{}'><p>text", image(3)), "waitUntil": "load",
        "blockResources": ["image"],
    });
    daemon.shot(body).await.ok();
    assert_eq!(site.count("/img/3"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_another_site_is_judged_too_and_the_page_itself_never() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let other = site.url("/echo").replace("127.0.0.1", "localhost");
    let html = format!("<iframe src='{other}'></iframe>");
    let body = json!({ "html": html, "waitUntil": "load", "blockRequests": ["localhost"] });
    daemon.shot(body).await.ok();
    assert_eq!(site.count("/echo"), 0);
    let body = json!({
        "url": site.url("/ok"), "waitUntil": "load", "blockRequests": ["*"],
    });
    let run = daemon.shot(body).await.ok().run();
    assert_eq!(daemon.capture(&run, "0001-during")["page"]["title"], "Operations");
}

#[tokio::test(flavor = "multi_thread")]
async fn local_storage_is_there_before_the_page_and_what_the_page_does_with_it_stays() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let origin = site.url("/");
    let state = json!({
        "cookies": [{ "name": "sid", "value": "hunter2", "url": origin, "sameSite": "Lax" }],
        "localStorage": [{ "origin": origin, "items": [{ "name": "token", "value": "hunter3" }] }],
    });
    let steps = json!([
        { "action": "navigate", "url": site.url("/echo") },
        { "action": "evaluate", "script": "document.title = localStorage.token; localStorage.clear()" },
        { "action": "screenshot", "name": "first" },
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "evaluate", "script": "document.title = String(localStorage.token)" },
        { "action": "screenshot", "name": "second" },
    ]);
    let body = json!({ "steps": steps, "authState": state });
    let reply = daemon.post("/v1/sequence", body).await.ok();
    let answer = reply.json();
    assert_eq!(answer["steps_completed"], 6, "{answer}");
    let run = reply.run();
    daemon.assert_verifies(&run);
    assert_eq!(daemon.capture(&run, "0001-during")["page"]["title"], "hunter3");
    assert_eq!(daemon.capture(&run, "0002-during")["page"]["title"], "undefined");
    let sent = site.wait_for_request("/echo").await;
    assert_eq!(sent.header("cookie"), Some("sid=hunter2"));
    let requested = &daemon.events(&run)[1];
    let recorded = &requested["data"]["page"]["authState"];
    assert_eq!(recorded["localStorage"][0]["items"][0]["name"], "token");
    assert!(!requested.to_string().contains("hunter"), "{requested}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_social_card_is_a_picture_of_a_template() {
    let daemon = TestDaemon::start().await;
    for template in ["default", "minimal", "gradient"] {
        let body = json!({
            "template": template, "title": "Refund TX-1042 was paid back",
            "subtitle": "by agent refunds-7 on 2026-11-24", "response_type": "json",
        });
        let reply = daemon.post("/api/v1/og-image", body).await.ok();
        let run = reply.run();
        daemon.assert_verifies(&run);
        let record = daemon.capture(&run, "0001-during");
        assert_eq!(record["picture"]["pixels"], json!([1200, 630]), "{template}");
        assert_eq!(record["altered_by"], json!(["html"]));
    }
    let reply = daemon.post("/v1/og-image", json!({ "format": "webp", "width": 600 })).await.ok();
    assert_eq!(reply.header("content-type"), Some("image/webp"));
    let own = json!({ "html": "<h1>own</h1>", "title": "ignored by it", "format": "jpeg" });
    let reply = daemon.post("/v1/og-image", own).await.ok();
    assert_eq!(reply.header("content-type"), Some("image/jpeg"));
    let reply = daemon.post("/v1/og-image", json!({ "accentColor": "red" })).await;
    assert_eq!(reply.refusal().2, "accentColor");
}
