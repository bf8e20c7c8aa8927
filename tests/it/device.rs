//! That a page believes its device: screen, window, pointer, touch, way up and language all say the
//! same, wherever they are asked for.

use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::workers::Echo;

/// A page that says in its title what it believes of its device.
const PROBE: &str = "<!doctype html><script>
    const one = (feature, values) => values.filter(value => matchMedia(`(${feature}:${value})`).matches);
    document.title = JSON.stringify({
        screen: [screen.width, screen.height], avail: [screen.availWidth, screen.availHeight],
        outer: [outerWidth, outerHeight], ratio: devicePixelRatio,
        media: [screen.width, screen.height].map((side, at) =>
            matchMedia(`(device-${['width', 'height'][at]}:${side}px)`).matches),
        aspect: matchMedia(`(device-aspect-ratio:${screen.width}/${screen.height})`).matches,
        narrow: matchMedia('(max-device-width:1024px)').matches,
        pointer: one('pointer', ['fine', 'coarse', 'none']), any: one('any-pointer', ['fine', 'coarse', 'none']),
        hover: one('hover', ['hover', 'none']), touch: [navigator.maxTouchPoints, 'ontouchstart' in window],
        way: [screen.orientation.type, screen.orientation.angle], orientation: one('orientation', ['portrait', 'landscape']),
        languages: [navigator.language, ...navigator.languages],
        intl: [Intl.DateTimeFormat().resolvedOptions().locale, (1234.5).toLocaleString()],
    });
</script><meta name=viewport content='width=device-width'>";

/// What the page said of itself.
fn believed(daemon: &TestDaemon, reply: Reply) -> Value {
    let run = reply.ok().run();
    let title = daemon.capture(&run, "0001-during")["page"]["title"].clone();
    serde_json::from_str(title.as_str().expect("a title")).expect("JSON")
}

/// A window, its size and density, the hand in front of it, and which way up it is.
type Device = (Value, [u32; 2], f64, Value, Value);

fn devices() -> Vec<Device> {
    let mouse = || {
        json!({
            "pointer": ["fine"], "any": ["fine"], "hover": ["hover"], "touch": [0, false],
        })
    };
    let finger = || {
        json!({
            "pointer": ["coarse"], "any": ["coarse"], "hover": ["none"], "touch": [5, true],
        })
    };
    vec![
        (json!({}), [1280, 720], 1.0, mouse(), json!(["landscape-primary", 0])),
        (
            json!({ "width": 1600, "height": 900 }),
            [1600, 900],
            1.0,
            mouse(),
            json!(["landscape-primary", 0]),
        ),
        (
            json!({ "width": 800, "height": 1200 }),
            [800, 1200],
            1.0,
            mouse(),
            json!(["portrait-primary", 0]),
        ),
        (
            json!({ "deviceScaleFactor": 2 }),
            [1280, 720],
            2.0,
            mouse(),
            json!(["landscape-primary", 0]),
        ),
        (
            json!({ "viewportDevice": "macbook_air_13" }),
            [1440, 900],
            2.0,
            mouse(),
            json!(["landscape-primary", 0]),
        ),
        (
            json!({ "viewportDevice": "iphone_14_pro" }),
            [393, 852],
            3.0,
            finger(),
            json!(["portrait-primary", 0]),
        ),
        (
            json!({ "viewportDevice": "iphone_14_pro", "viewportLandscape": true }),
            [852, 393],
            3.0,
            finger(),
            json!(["landscape-primary", 90]),
        ),
        (
            json!({ "viewportDevice": "ipad_air" }),
            [820, 1180],
            2.0,
            finger(),
            json!(["portrait-primary", 0]),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_a_page_is_told_of_its_device_agrees() {
    let daemon = TestDaemon::start().await;
    for (fields, size, ratio, hand, way) in devices() {
        let mut body = json!({ "html": PROBE, "waitUntil": "load" });
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("too").clone());
        let told = believed(&daemon, daemon.shot(body).await);
        for name in ["screen", "avail", "outer"] {
            assert_eq!(told[name], json!(size), "{name} of {fields}: {told}");
        }
        assert_eq!(told["ratio"].as_f64(), Some(ratio), "{fields}");
        assert_eq!(
            (&told["media"], &told["aspect"]),
            (&json!([true, true]), &json!(true)),
            "{fields}"
        );
        assert_eq!(told["narrow"], json!(size[0] <= 1024), "{fields}");
        for name in ["pointer", "any", "hover", "touch"] {
            assert_eq!(told[name], hand[name], "{name} of {fields}");
        }
        let upright = if size[1] > size[0] { "portrait" } else { "landscape" };
        assert_eq!((&told["way"], &told["orientation"]), (&way, &json!([upright])), "{fields}");
        assert_eq!((&told["languages"][0], &told["intl"][0]), (&json!("en-US"), &json!("en-US")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_and_its_steps_have_the_device_it_was_opened_with() {
    let daemon = TestDaemon::start().await;
    let opened = json!({ "viewport": { "width": 1600, "height": 1000 }, "locale": "de-ch" });
    let session = daemon.post("/api/v1/sessions", opened).await.ok().json()["session_id"].clone();
    let of_session = |fields: Value| {
        let mut body = json!({ "html": PROBE, "waitUntil": "load", "session_id": session });
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("too").clone());
        body
    };
    let told = believed(&daemon, daemon.shot(of_session(json!({}))).await);
    assert_eq!(
        (&told["screen"], &told["intl"]),
        (&json!([1600, 1000]), &json!(["de-CH", "1'234.5"]))
    );
    // A capture that names another window leaves it to the session; the locale is the session's again.
    let other = json!({ "viewportDevice": "iphone_14_pro", "locale": "fr" });
    let told = believed(&daemon, daemon.shot(of_session(other)).await);
    assert_eq!((&told["screen"], &told["languages"]), (&json!([393, 852]), &json!(["fr", "fr"])));
    let told = believed(&daemon, daemon.shot(of_session(json!({}))).await);
    assert_eq!((&told["screen"], &told["pointer"]), (&json!([393, 852]), &json!(["coarse"])));
    assert_eq!(told["languages"], json!(["de-CH", "de-CH", "de"]));
    let back = json!({ "width": 1600, "height": 1000 });
    let told = believed(&daemon, daemon.shot(of_session(back)).await);
    assert_eq!((&told["outer"], &told["touch"]), (&json!([1600, 1000]), &json!([0, false])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locale_goes_for_servers_scripts_frames_and_workers_alike() {
    let (daemon, echo) = (TestDaemon::start().await, Echo::start().await);
    let body = json!({
        "url": echo.url("/all"), "waitUntil": "load", "waitForSelector": "#told", "locale": "de-CH",
        "timeZone": "Asia/Tokyo",
    });
    let run = daemon.shot(body).await.ok().run();
    let capture = daemon.capture(&run, "0001-during");
    let title = capture["page"]["title"].as_str().expect("a title");
    let told: Value = serde_json::from_str(title).expect(title);
    let expected = json!({ "languages": ["de-CH", "de"], "locale": "de-CH", "zone": "Asia/Tokyo" });
    for part in ["page", "frame", "other", "worker", "inner", "shared", "service"] {
        assert_eq!(told[part], expected, "{part} in {told}");
    }
    for path in [
        "/all",
        "/frame",
        "/other",
        "/asked/worker",
        "/asked/inner",
        "/asked/shared",
        "/asked/service",
    ] {
        assert_eq!(echo.languages(path), "de-CH,de;q=0.9", "{path}");
    }
    assert_eq!(capture["altered_by"], json!(["timeZone", "locale"]));
    assert_eq!(capture["settings"]["locale"], "de-CH");

    for (locale, words) in
        [("de_CH", "language tag"), ("tlh", "no data"), ("de-CH-u-nu-latn", "without extensions")]
    {
        let body = json!({ "html": "x", "locale": locale });
        let reply = daemon.shot(body).await;
        let (status, code, field) = reply.refusal();
        assert_eq!((status, code.as_str(), field.as_str()), (400, "invalid_field", "locale"));
        assert!(reply.json()["error"].as_str().expect("a sentence").contains(words), "{locale}");
    }
    let both = json!({ "html": "x", "locale": "de", "headers": { "accept-language": "fr" } });
    let (_, code, field) = daemon.shot(both).await.refusal();
    assert_eq!((code.as_str(), field.as_str()), ("conflicting_fields", "locale"));
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_of_a_recorded_page_have_its_device_too() {
    let (daemon, echo) = (TestDaemon::start().await, Echo::start().await);
    let steps = json!([
        { "action": "navigate", "url": echo.url("/opens") },
        { "action": "wait_for", "selector": "#told" },
    ]);
    let body = json!({
        "steps": steps, "viewport": { "width": 1000, "height": 900 }, "locale": "fr-CA",
        "response_type": "json",
    });
    let answer = daemon.post("/api/v1/video", body).await.ok().json();
    assert_eq!(answer["steps_completed"], 2, "{answer}");
    assert_eq!(echo.told("window"), json!(["fr-CA", "fr-CA", [1000, 900]]));
}
