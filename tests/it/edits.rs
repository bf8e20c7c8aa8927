//! What a caller changes about a page before it is captured: it happens, and is on record.

use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

/// A page that tells of everything it was subjected to.
const PAGE: &str = r#"<!doctype html><html lang="en"><head><title>Edited</title>
<meta name="description" content="A page to be changed"><meta property="og:title" content="Shared">
<style>@media print { #media::after { content: "print" } }</style></head>
<body><p id="banner">banner</p><p id="state">waiting</p><button id="go">go</button>
<pre id="seen"></pre><script>
  go.onclick = event => { state.textContent = 'clicked ' + event.isTrusted; };
  const seen = {
    motion: matchMedia('(prefers-reduced-motion: reduce)').matches,
    touch: navigator.maxTouchPoints > 0,
    print: matchMedia('print').matches,
    width: innerWidth,
  };
  const show = () => { document.getElementById('seen').textContent = JSON.stringify(seen); };
  show();
  navigator.geolocation.getCurrentPosition(at => { seen.at = at.coords.latitude; show(); });
</script></body></html>"#;

async fn capture(daemon: &TestDaemon, fields: Value) -> (Value, Value, String) {
    let mut body = json!({ "html": PAGE, "waitUntil": "load", "response_type": "json" });
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("fields").clone());
    let reply = daemon.shot(body).await.ok();
    let run = reply.run();
    daemon.assert_verifies(&run);
    let dom = daemon.unpacked(&run, "0001-during", "dom.html.zst");
    (reply.json(), daemon.capture(&run, "0001-during"), dom)
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_made_in_order_and_are_on_record() {
    let daemon = TestDaemon::start().await;
    let (_, record, dom) = capture(&daemon, json!({ "click": "#go" })).await;
    assert!(dom.contains("clicked true"), "as by a person: {dom}");
    assert_eq!(record["altered_by"], json!(["html", "click"]));

    let script = "await new Promise(done => setTimeout(done, 50)); state.textContent = getComputedStyle(banner).visibility + getComputedStyle(banner).color";
    let fields = json!({
        "hideSelectors": ["#banner"], "injectCss": "#banner { color: rgb(1, 2, 3) }",
        "injectJs": format!("(async () => {{ {script} }})()"),
    });
    let (_, record, dom) = capture(&daemon, fields).await;
    assert!(dom.contains("hiddenrgb(1, 2, 3)"), "{dom}");
    assert_eq!(record["altered_by"], json!(["html", "hideSelectors", "injectCss", "injectJs"]));
    assert!(!record.to_string().contains("getComputedStyle"), "only the script's digest is kept");

    for (script, says) in
        [("throw new Error('no luck')", "no luck"), ("new Promise(() => {})", "15 s")]
    {
        let reply =
            daemon.shot(json!({ "html": PAGE, "waitUntil": "load", "injectJs": script })).await;
        let (status, code, field) = reply.refusal();
        assert_eq!((status, code.as_str(), field.as_str()), (422, "script_failed", "injectJs"));
        assert!(reply.json()["error"].as_str().expect("a sentence").contains(says));
        daemon.assert_verifies(&reply.run());
    }
    let reply = daemon.shot(json!({ "html": PAGE, "waitUntil": "load", "click": "#absent" })).await;
    assert_eq!(
        (reply.refusal().1.as_str(), reply.refusal().2.as_str()),
        ("selector_not_found", "click")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_that_leads_elsewhere_is_followed() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let html = format!("<a id=\"go\" href=\"{}\">go</a>", site.url("/ok"));
    for wait in ["load", "networkidle0"] {
        let body = json!({ "html": html, "click": "#go", "waitUntil": wait });
        let run = daemon.shot(body).await.ok().run();
        assert_eq!(daemon.capture(&run, "0001-during")["page"]["title"], "Operations", "{wait}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_sees_the_device_it_is_told_of() {
    let daemon = TestDaemon::start().await;
    let fields = json!({
        "viewportDevice": "iphone_14_pro", "reducedMotion": true, "mediaType": "print",
    });
    let (answer, record, dom) = capture(&daemon, fields).await;
    for seen in ["\"motion\":true", "\"touch\":true", "\"print\":true"] {
        assert!(dom.contains(seen), "{seen} is not in {dom}");
    }
    assert_eq!(record["picture"]["pixels"], json!([393 * 3, 852 * 3]));
    assert!(record["settings"]["userAgent"].as_str().expect("the device's").contains("iPhone"));
    assert!(answer["evidence"].get("ignored").is_none());

    let devices = daemon.get("/api/v1/devices").await.ok().json();
    let devices = devices["devices"].as_array().expect("a list");
    assert!(devices.len() >= 25);
    for name in ["id", "name", "width", "height", "deviceScaleFactor", "mobile"] {
        assert!(devices.iter().all(|device| device.get(name).is_some()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_web_can_be_told_where_it_is() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    // Only a page of a trustworthy origin may ask, and loopback is one.
    let script = "new Promise((done, no) => navigator.geolocation.getCurrentPosition(at => {
        document.title = 'at ' + at.coords.latitude; done();
    }, no))";
    let body = json!({
        "url": site.url("/ok"), "waitUntil": "load", "injectJs": script,
        "geolocation": { "latitude": 52.5, "longitude": 13.4 },
    });
    let run = daemon.shot(body).await.ok().run();
    assert_eq!(daemon.capture(&run, "0001-during")["page"]["title"], "at 52.5");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_is_told_and_decoration_is_listed_as_ignored() {
    let daemon = TestDaemon::start().await;
    let fields = json!({ "extractMetadata": true, "style": { "frame": "macos", "padding": 40 } });
    let (answer, record, _) = capture(&daemon, fields).await;
    assert_eq!(answer["metadata"]["title"], "Edited");
    assert_eq!(answer["metadata"]["description"], "A page to be changed");
    assert_eq!(answer["metadata"]["ogTitle"], "Shared");
    assert_eq!(answer["evidence"]["ignored"], json!(["style"]));
    assert_eq!(record["ignored"], json!(["style"]));
    assert_eq!(record["picture"]["pixels"], json!([1280, 720]), "the plain picture");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_height_of_a_full_page_can_be_limited() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body = json!({
        "url": site.url("/tall/5000"), "waitUntil": "load", "fullPage": true,
        "fullPageMaxHeight": 3000, "fullPageScrollBy": 2000, "fullPageScrollDelay": 10,
    });
    let run = daemon.shot(body).await.ok().run();
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(record["picture"]["pixels"], json!([1280, 3000]));
    assert_eq!(record["page"]["page_size"], json!([1280, 5000]));
}
