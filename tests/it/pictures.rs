//! What the picture shows: that it is whole, exact, of what was asked for, and of nothing else.

use base64::Engine as _;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::{BAND_HEIGHT, Site, band_colour};

/// A decoded PNG.
pub(crate) struct Picture {
    width: u32,
    height: u32,
    channels: usize,
    bytes: Vec<u8>,
}

impl Picture {
    pub(crate) fn decode(png: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let frame = reader.next_frame(&mut bytes).expect("a whole picture");
        let channels = frame.color_type.samples();
        Self { width: frame.width, height: frame.height, channels, bytes }
    }

    /// Number of pixels of exactly this colour.
    pub(crate) fn count(&self, colour: [u8; 3]) -> usize {
        self.bytes.chunks_exact(self.channels).filter(|pixel| pixel[..3] == colour).count()
    }

    pub(crate) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub(crate) fn pixel(&self, x: u32, y: u32) -> &[u8] {
        let at = (y * self.width + x) as usize * self.channels;
        &self.bytes[at..at + self.channels]
    }
}

async fn picture(daemon: &TestDaemon, body: Value) -> Picture {
    let reply = daemon.shot(body).await.ok();
    daemon.assert_verifies(&reply.run());
    Picture::decode(&reply.body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_thirty_thousand_pixels_is_whole() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body = json!({ "url": site.url("/tall/30000"), "fullPage": true, "waitUntil": "load" });
    let picture = picture(&daemon, body).await;
    assert_eq!(picture.size(), (1280, 30_000));
    for band in 0..30 {
        for y in [band * BAND_HEIGHT + 1, (band + 1) * BAND_HEIGHT - 1] {
            assert_eq!(picture.pixel(1_200, y)[..3], band_colour(band), "at {y}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_load_lazily_are_there() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body =
        json!({ "url": site.url("/lazy/40"), "fullPage": true, "width": 420, "waitUntil": "load" });
    let picture = picture(&daemon, body).await;
    for number in 0..40 {
        assert!(site.count(&format!("/img/{number}")) > 0, "image {number} was not asked for");
        let colour = band_colour(number);
        let column = (0..picture.height).map(|y| &picture.pixel(200, y)[..3]);
        assert!(
            column.filter(|pixel| *pixel == colour).count() >= 200,
            "image {number} is missing"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_places_are_exact() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let of = |fields: Value| {
        let mut body = json!({ "url": site.url("/elements"), "waitUntil": "load" });
        body.as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("fields").clone());
        picture(&daemon, body)
    };
    assert_eq!(of(json!({})).await.size(), (1280, 720));
    assert_eq!(of(json!({ "width": 390, "height": 844 })).await.size(), (390, 844));
    let scaled = of(json!({ "width": 400, "height": 300, "deviceScaleFactor": 2 })).await;
    assert_eq!(scaled.size(), (800, 600));
    assert_eq!(scaled.pixel(120, 120)[..3], [0, 128, 0]);

    let element = of(json!({ "selector": "#box" })).await;
    assert_eq!(element.size(), (200, 100));
    assert!([(0, 0), (199, 99)].iter().all(|&(x, y)| element.pixel(x, y)[..3] == [0, 128, 0]));
    let below = of(json!({ "selector": "#below" })).await;
    assert_eq!((below.size(), &below.pixel(60, 30)[..3]), ((120, 60), &[128, 0, 128][..]));

    let clip = of(json!({ "clip": { "x": 40, "y": 40, "width": 30, "height": 20 } })).await;
    assert_eq!(clip.size(), (30, 20));
    assert_eq!(
        (&clip.pixel(9, 9)[..3], &clip.pixel(10, 10)[..3]),
        (&[255; 3][..], &[0, 128, 0][..])
    );

    let body =
        json!({ "url": site.url("/transparent"), "omitBackground": true, "waitUntil": "load" });
    let transparent = picture(&daemon, body).await;
    assert_eq!(transparent.channels, 4);
    assert_eq!(
        (transparent.pixel(500, 500)[3], transparent.pixel(50, 50)),
        (0, &[0, 0, 255, 255][..])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_format_is_the_one_asked_for_and_json_carries_the_same_bytes() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    for (format, magic, file) in [
        ("png", &b"\x89PNG"[..], "screenshot.png"),
        ("jpeg", b"\xff\xd8\xff", "screenshot.jpeg"),
        ("webp", b"RIFF", "screenshot.webp"),
    ] {
        let body = json!({
            "url": site.url("/ok"), "format": format, "quality": 70, "waitUntil": "load",
            "response_type": "json",
        });
        let reply = daemon.shot(body).await.ok();
        let answer = reply.json();
        let data = answer["data"].as_str().expect("bare base64");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        assert!(bytes.starts_with(magic), "{format}");
        assert_eq!(answer["size_bytes"], bytes.len());
        let path = daemon.sealed(&reply.run()).join("data/captures/0001-during").join(file);
        assert_eq!(std::fs::read(path).expect("kept"), bytes, "{format}");
        assert_eq!(answer["evidence"]["sha256"], exhibit::digest::Digest::of(&bytes).to_string());
        assert_eq!(reply.header("x-exhibit-sha256"), answer["evidence"]["sha256"].as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_reach_the_page_and_are_marked_as_altering_it() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body = json!({
        "url": site.url("/echo"), "waitUntil": "load", "darkMode": true, "width": 500,
        "userAgent": "AuditBot/1.0", "timeZone": "Asia/Kolkata",
        "headers": { "X-Ticket": "SUP-7731" },
        "cookies": ["session=abc", { "name": "role", "value": "admin", "httpOnly": true }],
    });
    let reply = daemon.shot(body).await.ok();
    let dom = daemon.unpacked(&reply.run(), "0001-during", "dom.html.zst");
    for seen in
        ["AuditBot/1.0", "Asia/", "dark", "SUP-7731", "session=abc", "role=admin", "500x720@1"]
    {
        assert!(dom.contains(seen), "{seen} is not in {dom}");
    }
    assert!(dom.contains("id=\"cookies\">session=abc<"), "an httpOnly cookie is not for scripts");
    let altered = &daemon.capture(&reply.run(), "0001-during")["altered_by"];
    assert_eq!(*altered, json!(["darkMode", "headers", "cookies", "userAgent", "timeZone"]));
    assert_eq!(Picture::decode(&reply.body).pixel(490, 700)[..3], [16, 16, 16]);

    // Nothing of it is left for the next.
    let reply = daemon.quick_shot(&site.url("/echo")).await.ok();
    let dom = daemon.unpacked(&reply.run(), "0001-during", "dom.html.zst");
    for gone in ["AuditBot", "Kolkata", "SUP-7731", "session=", "role="] {
        assert!(!dom.contains(gone), "{gone} is still in {dom}");
    }
    assert!(dom.contains("id=\"time-zone\">UTC<"), "{dom}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_leaves_in_the_browser_is_gone_with_it() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let asks = "document.title = localStorage.getItem('mark') || 'nothing';
                localStorage.setItem('mark', 'left over'); fetch('/img/1?from=script')";
    for _ in 0..2 {
        let body = json!({ "url": site.url("/set-cookie"), "waitUntil": "load", "injectJs": asks });
        let run = daemon.shot(body).await.ok().run();
        assert_eq!(daemon.capture(&run, "0001-during")["page"]["title"], "nothing");
    }
    let cookies = |path: &str| -> Vec<Option<String>> {
        let sent = site.requests().into_iter().filter(|seen| seen.path == path);
        sent.map(|seen| seen.header("cookie").map(str::to_owned)).collect()
    };
    assert_eq!(cookies("/set-cookie"), [None, None], "none is left from the capture before");
    let within = Some("visited=yes".to_owned());
    assert_eq!(cookies("/img/1?from=script"), [within.clone(), within], "within one it is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_are_in_no_file_of_the_folder() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body = json!({
        "url": site.url("/ok"), "waitUntil": "load", "headers": { "Authorization": "Bearer hunter2secret" },
        "cookies": [{ "name": "session", "value": "hunter2secret" }],
    });
    let reply = daemon.shot(body).await.ok();
    daemon.assert_verifies(&reply.run());
    let sent = site.requests();
    assert!(sent.iter().any(|seen| seen.header("cookie") == Some("session=hunter2secret")));
    let mut marks = 0;
    for (file, bytes) in daemon.contents(&reply.run()) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("hunter2secret"), "{file}");
        marks += text.matches("[redacted]").count();
    }
    assert!(marks >= 2, "the record says that something was left out");
}

#[tokio::test(flavor = "multi_thread")]
async fn html_is_rendered_and_marked_and_captures_do_not_mix() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let html = "<title>Mine</title><body style=\"margin:0;background:#123456\"><p>A & B</p>";
    let reply = daemon.shot(json!({ "html": html, "waitUntil": "load" })).await.ok();
    let capture = daemon.capture(&reply.run(), "0001-during");
    assert_eq!(capture["altered_by"], json!(["html"]));
    assert_eq!(capture["page"]["title"], "Mine");
    assert_eq!(Picture::decode(&reply.body).pixel(600, 600)[..3], [0x12, 0x34, 0x56]);

    let band = |number: u32| {
        let clip = json!({ "x": 1_000, "y": 0, "width": 10, "height": 10 });
        let [r, g, b] = band_colour(number);
        let html = format!("<body style=\"margin:0;background:rgb({r},{g},{b})\">");
        picture(&daemon, json!({ "html": html, "clip": clip, "waitUntil": "load" }))
    };
    let pictures = futures_util::future::join_all((0..6).map(band)).await;
    for (number, picture) in (0..).zip(pictures) {
        assert_eq!(picture.pixel(5, 5)[..3], band_colour(number), "{number}");
    }
    daemon.quick_shot(&site.url("/ok")).await.ok();
}
