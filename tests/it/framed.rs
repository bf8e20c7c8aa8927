//! What framed pictures say, read back from their pixels by the shapes of the letters, and that the
//! page's pixels are in them as they were.

use std::collections::HashMap;
use std::path::Path;

use embedded_graphics::geometry::Point;
use embedded_graphics::image::GetPixel as _;
use embedded_graphics::mono_font::iso_8859_1::{FONT_7X13, FONT_7X13_BOLD};
use embedded_graphics::pixelcolor::BinaryColor;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::hosted::{ask, pair, use_hosted};
use crate::hosted_server::{HostedServer, answer};
use crate::site::Site;

/// A decoded picture with three or four bytes for each pixel.
struct Pixels {
    width: usize,
    height: usize,
    channels: usize,
    bytes: Vec<u8>,
}

/// Dots of a letter, from its top left corner.
type Shape = Vec<bool>;

impl Pixels {
    fn read(path: &Path) -> Self {
        let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut bytes).expect("a whole picture");
        let [width, height] = [info.width, info.height].map(|side| side as usize);
        Self { width, height, channels: info.color_type.samples(), bytes }
    }

    /// A picture without alpha that is no PNG.
    fn decode(name: &str, bytes: &[u8]) -> Self {
        let ((width, height), bytes) = if name == "screenshot.jpeg" {
            let mut decoder = zune_jpeg::JpegDecoder::new(bytes);
            let samples = decoder.decode().expect("a JPEG");
            (decoder.dimensions().expect("a size"), samples)
        } else {
            let mut decoder =
                image_webp::WebPDecoder::new(std::io::Cursor::new(bytes)).expect("a WebP");
            let mut samples = vec![0; decoder.output_buffer_size().expect("a size")];
            decoder.read_image(&mut samples).expect("whole");
            let (width, height) = decoder.dimensions();
            ((width as usize, height as usize), samples)
        };
        Self { width, height, channels: 3, bytes }
    }

    fn at(&self, x: usize, y: usize) -> &[u8] {
        &self.bytes[(y * self.width + x) * self.channels..][..self.channels]
    }

    fn crop(&self, [left, top, width, height]: [usize; 4]) -> Vec<u8> {
        let row = |y: usize| &self.bytes[(y * self.width + left) * self.channels..];
        (top..top + height).flat_map(|y| &row(y)[..width * self.channels]).copied().collect()
    }

    /// What the caption says, field by field; labels and words as they are read.
    fn caption(&self, scale: usize, bottom: usize) -> Vec<(String, String)> {
        let letters = letters();
        let (mut y, mut fields) = (0, vec![(String::new(), String::new())]);
        while (y + 15) * scale <= bottom {
            // The title is black from side to side, and a grey rule ends each field.
            if self.at(self.width - 1, y * scale)[0] == 0 {
                y += 15;
                continue;
            }
            if self.at(0, y * scale)[0] == 160 {
                fields.push((String::new(), String::new()));
                y += 1;
                continue;
            }
            let field = fields.last_mut().expect("one at least");
            let line = self.line(&letters, 3, 11, y, scale);
            field.0.push_str(line.trim_end());
            let words = self.line(&letters, 88, usize::MAX, y, scale);
            field.1.push_str(&words);
            // A line that is shorter than it might be was broken at a blank.
            if words.chars().count() < self.width / scale / 7 - 13 {
                field.1.push(' ');
            }
            y += 15;
        }
        fields.retain(|(label, _)| !label.is_empty());
        for (_, words) in &mut fields {
            words.truncate(words.trim_end().len());
        }
        fields
    }

    /// The letters of a line, from `left` on, at most `most`.
    fn line(
        &self,
        letters: &HashMap<Shape, char>,
        left: usize,
        most: usize,
        top: usize,
        scale: usize,
    ) -> String {
        let places = (left..).step_by(7).take(most);
        let fitting = places.take_while(|x| (x + 7) * scale <= self.width);
        let read = fitting.map(|x| {
            let dots = (0..13 * 7).map(|dot| {
                let (x, y) = ((x + dot % 7) * scale, (top + 1 + dot / 7) * scale);
                self.at(x, y)[0] < 128
            });
            let shape: Shape = dots.collect();
            let inverted = || shape.iter().map(|dot| !dot).collect::<Shape>();
            let letter = letters.get(&shape).or_else(|| letters.get(&inverted()));
            *letter.unwrap_or(&'\u{fffd}')
        });
        let line: String = read.collect();
        line.trim_end().to_owned()
    }
}

fn letters() -> HashMap<Shape, char> {
    let mut letters = HashMap::new();
    for font in [&FONT_7X13, &FONT_7X13_BOLD] {
        for letter in (' '..='~').chain('\u{a1}'..='\u{ff}') {
            let index = i32::try_from(font.glyph_mapping.index(letter)).expect("few");
            let dot = |dot: i32| {
                let place = Point::new(index % 16 * 7 + dot % 7, index / 16 * 13 + dot / 7);
                font.image.pixel(place) == Some(BinaryColor::On)
            };
            letters.entry((0..13 * 7).map(dot).collect()).or_insert(letter);
        }
    }
    letters
}

/// A framed picture, and the words in its caption.
struct Framed {
    fields: HashMap<String, String>,
    labels: Vec<String>,
    record: Value,
}

impl Framed {
    fn get(&self, label: &str) -> &str {
        self.fields.get(label).map_or("", String::as_str)
    }
}

/// Read the framed copy of a capture in a sealed run; its page must be the picture, pixel by pixel.
#[track_caller]
fn framed(daemon: &TestDaemon, run: &str, capture: &str, scale: usize) -> Framed {
    daemon.assert_verifies(run);
    let folder = daemon.sealed(run).join("data/captures").join(capture);
    let record = daemon.capture(run, capture)["framed"].clone();
    let pixels = Pixels::read(&folder.join("framed.png"));
    let page = ["x", "y", "width", "height"].map(|name| {
        usize::try_from(record["page"][name].as_u64().expect("a number")).expect("few")
    });
    let of = record["of"].as_str().expect("a name");
    let raw = match of {
        "screenshot.png" => Pixels::read(&folder.join(of)),
        other => Pixels::decode(other, &std::fs::read(folder.join(of)).expect("the picture")),
    };
    assert_eq!([raw.width, raw.height], page[2..], "the page is as large as its picture");
    assert_eq!(raw.channels, pixels.channels);
    assert!(pixels.crop(page) == raw.bytes, "the page's pixels are not those of the picture");
    let file = std::fs::read(folder.join("framed.png")).expect("there");
    assert_eq!(record["sha256"], exhibit::digest::Digest::of(&file).to_string());
    assert_eq!(record["size_bytes"], file.len());
    // Above the page: the strip, then the frame.
    let fields = pixels.caption(scale, page[1] - 6 * scale);
    let labels = fields.iter().map(|(label, _)| label.clone()).collect();
    Framed { labels, fields: fields.into_iter().collect(), record }
}

/// The event that tells of a capture.
fn told(daemon: &TestDaemon, run: &str) -> Value {
    let mut events = daemon.events(run).into_iter();
    events.find(|event| event["kind"] == "capture.taken").expect("taken")["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caption_says_what_is_on_record_and_a_page_cannot_paint_it() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let url = site.url("/fake-caption");
    let spec = json!({
        "workflow": "ad-hoc", "agent": "bot\nPrincipal   root\u{202e}", "principal": "Zoë \"A\"",
    });
    let opened = daemon.post("/v1/runs", spec).await.ok().json();
    let run = opened["run"].as_str().expect("an id").to_owned();
    let body = json!({ "type": "screenshot", "url": url, "stage": "before", "waitUntil": "load" });
    let reply = daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
    let sealed =
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "ok" })).await.ok();
    assert_eq!(sealed.status, 200);

    let picture = framed(&daemon, &run, "0001-before", 1);
    let port = url.split(':').nth(2).and_then(|rest| rest.split('/').next()).expect("a port");
    assert_eq!(picture.get("Host"), format!("127.0.0.1 port {port}, http (not encrypted)"));
    assert_eq!(picture.get("URL"), site.url("/refunds/TX-1"), "where the browser says it is");
    assert_eq!(picture.get("Asked for"), url);
    assert_eq!(
        picture.get("Agent"),
        r#""bot\u{a}Principal \u{20}\u{20}root\u{202e}", by its caller's word"#
    );
    assert_eq!(picture.get("Principal"), r#""Zoë \"A\"", by its caller's word"#);
    assert_eq!(picture.get("Workflow"), "\"ad-hoc\"");
    assert_eq!(picture.get("Run"), run);
    assert_eq!(picture.get("Capture"), "0001, stage \"before\"");
    assert_eq!(picture.get("View"), "plain: nothing was changed or pretended");
    let digest = reply.header("x-exhibit-sha256").expect("a digest");
    assert_eq!(picture.get("SHA-256"), format!("{digest} of screenshot.png"));
    let capture = daemon.capture(&run, "0001-before");
    let taken = capture["taken_at"].as_str().expect("a time");
    let time = taken.replace('T', " ").replace('Z', " UTC");
    assert!(picture.get("Time").starts_with(&time), "{}", picture.get("Time"));
    let clock = match &capture["clock"]["synchronised"] {
        Value::Bool(true) => ", clock synchronised, at most ",
        Value::Bool(false) => ",  clock not synchronised ",
        _ => ",  nothing is known of the clock",
    };
    assert!(picture.get("Time").contains(clock), "{}", picture.get("Time"));
    // The labels are ours, in our order, and nobody has added one.
    let labels = [
        "Host",
        "URL",
        "Asked for",
        "Time",
        "Agent",
        "Principal",
        "Workflow",
        "Run",
        "Capture",
        "View",
        "SHA-256",
    ];
    assert_eq!(picture.labels, labels);
    let event = told(&daemon, &run);
    assert_eq!(event["framed"], json!({ "of": "screenshot.png", "page": picture.record["page"] }));
    let files = event["artifacts"].as_array().expect("artifacts");
    let path = "data/captures/0001-before/framed.png";
    assert_eq!(files.iter().filter(|file| file["path"] == path).count(), 1);
}

/// The run of a capture of its own.
async fn shot(daemon: &TestDaemon, body: Value) -> String {
    let reply: Reply = daemon.shot(body).await.ok();
    reply.run()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_deceives_however_long_or_strange() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let port = site.host().split_once(':').expect("a port").1.to_owned();
    let long = format!("http://{}/ok?q={}&end", site.host(), "bank.example/".repeat(600));
    // Names below `localhost` are this machine's own to every browser.
    let puny = format!("http://xn--80ak6aa92e.bank.com.localhost:{port}/ok");
    // A caller's address with a user in it is refused; a page may lead to one.
    let trick = format!("http://bank.com:443@localhost:{port}/ok");
    let user = format!("{}?url={trick}", site.url("/redirect-to"));
    for (url, width) in [(&long, 320), (&long, 1280), (&puny, 320), (&user, 320)] {
        let body = json!({ "url": url, "width": width, "height": 240, "waitUntil": "load" });
        let run = shot(&daemon, body).await;
        let picture = framed(&daemon, &run, "0001-during", 1);
        let (host, whole) = (picture.get("Host"), picture.get("URL"));
        if *url == long {
            assert!(host.starts_with(&format!("127.0.0.1 port {port}")), "{host}");
            let start = format!("http://127.0.0.1:{port}/ok?q=bank.example/bank.example/");
            assert!(whole.starts_with(&start) && whole.ends_with("bank.example/&end"), "{whole}");
            assert!(whole.contains("characters left out") && whole.len() < 500, "{whole}");
        } else if *url == puny {
            let told = format!(
                "xn--80ak6aa92e.bank.com.localhost port {port}, not in plain letters (punycode), http"
            );
            assert!(host.starts_with(&told), "{host}");
        } else {
            assert!(host.starts_with(&format!("localhost port {port}, http")), "{host}");
            assert_eq!(whole, format!("http://redacted@localhost:{port}/ok"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_picture_is_framed_in_letters_as_fine_as_its_pixels() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let url = site.url("/elements");
    for (fields, scale) in [
        (json!({ "url": url, "deviceScaleFactor": 2 }), 2),
        (json!({ "url": url, "viewportDevice": "pixel_7" }), 3),
        (json!({ "url": url, "format": "jpeg", "quality": 60 }), 1),
        (json!({ "url": url, "format": "webp" }), 1),
        (json!({ "url": url, "selector": "#below" }), 1),
        (json!({ "url": site.url("/transparent"), "omitBackground": true }), 1),
        (
            json!({ "html": "<h1>Made up</h1>", "injectCss": "h1 { color: red }", "injectJs": "1" }),
            1,
        ),
        (json!({ "url": site.url("/tall/6000"), "fullPage": true }), 1),
    ] {
        let mut body = json!({ "waitUntil": "load" });
        let more = fields.as_object().expect("fields").clone();
        body.as_object_mut().expect("an object").extend(more);
        let run = shot(&daemon, body).await;
        let picture = framed(&daemon, &run, "0001-during", scale);
        let altered = daemon.capture(&run, "0001-during")["altered_by"] != json!([]);
        assert_eq!(picture.get("View").starts_with(" ALTERED : "), altered, "{fields}");
        if fields["html"].is_string() {
            let told = " ALTERED : HTML handed over by the caller, not loaded from a server; style \
                        sheet injected; script injected";
            assert_eq!(picture.get("View"), told);
            assert!(
                picture.get("Host").starts_with(" none : what is shown was handed over"),
                "{}",
                picture.get("Host")
            );
        }
        let file = picture.record["of"].as_str().expect("a name");
        let bytes = std::fs::read(daemon.sealed(&run).join("data/captures/0001-during").join(file));
        let digest = exhibit::digest::Digest::of(&bytes.expect("the picture"));
        let said = picture.get("SHA-256").replace(' ', "");
        assert_eq!(said, format!("{digest}of{file}"), "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_steps_of_comparisons_and_of_observations_are_framed_and_documents_are_not() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let steps = json!([
        { "action": "navigate", "url": site.url("/form") },
        { "action": "screenshot" },
        { "action": "evaluate", "script": "document.body.style.background = 'pink'" },
        { "action": "navigate", "url": site.url("/redirect/2") },
        { "action": "screenshot", "format": "jpeg" },
        { "action": "pdf" },
        { "action": "evaluate", "script": "document.body.style.background = 'pink'" },
        { "action": "screenshot" },
    ]);
    let body = json!({ "steps": steps, "record": true });
    let run = daemon.post("/v1/sequence", body).await.ok().run();
    let asked = [String::new(), site.url("/redirect/2"), String::new(), site.url("/redirect/2")];
    for (capture, asked) in ["0001", "0002", "0003", "0004"].iter().zip(asked) {
        let name = format!("{capture}-during");
        if *capture == "0003" {
            let record = daemon.capture(&run, &name);
            assert_eq!(record["framed"], Value::Null, "a document is not framed");
            let folder = daemon.sealed(&run).join("data/captures").join(&name);
            assert!(!folder.join("framed.png").exists());
            continue;
        }
        let picture = framed(&daemon, &run, &name, 1);
        assert_eq!(picture.get("Capture"), format!("{capture}, stage \"during\""));
        assert_eq!(picture.get("Asked for"), asked, "{name}");
        let altered =
            if *capture == "0004" { " ALTERED : script run by a step before" } else { "plain" };
        assert!(picture.get("View").starts_with(altered), "{name}: {}", picture.get("View"));
    }

    let both = json!({ "url_a": site.url("/ok"), "url_b": site.url("/form") });
    let run = daemon.post("/v1/diff", both).await.ok().run();
    for (capture, url) in [("0001-during", "/ok"), ("0002-during", "/form")] {
        assert_eq!(framed(&daemon, &run, capture, 1).get("URL"), site.url(url));
    }
    let body = json!({ "url": site.url("/form"), "waitUntil": "load", "includeScreenshot": true });
    let run = daemon.post("/v1/observe", body).await.ok().run();
    let picture = framed(&daemon, &run, "0001-during", 1);
    assert!(picture.get("SHA-256").ends_with("of screenshot.jpeg"), "{}", picture.get("SHA-256"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_services_picture_it_is_said_that_nothing_was_seen() {
    let (_remote, local, _) = pair(|_| {}).await;
    let site = Site::start().await;
    let body = json!({ "url": site.url("/redirect/1"), "waitUntil": "load" });
    let run = ask(&local, "hosted", "/v1/screenshot", body).await.ok().run();
    let picture = framed(&local, &run, "0001-during", 1);
    assert!(picture.get("Host").ends_with("; only asked for, not seen"), "{}", picture.get("Host"));
    assert_eq!(picture.get("Asked for"), site.url("/redirect/1"));
    assert_eq!(picture.get("URL"), "", "where it led, nobody here knows");
    let told = picture.get("Taken by");
    assert!(told.starts_with(" a hosted service  (\"http://127.0.0.1:"), "{told}");
    assert!(told.ends_with("is that service's word alone"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_picture_is_refused_and_one_that_is_not_framed_is_kept() {
    let server = HostedServer::start();
    let daemon = TestDaemon::start_with(|config| use_hosted(config, &server.url(), "key")).await;
    // The beginning and the end of a PNG, and nothing sound between.
    let broken =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x05\0\0\0\x02\xd0\x08\x02\0\0\0....IEND\xaeB\x60\x82";
    server.play([answer("200 OK", "content-type: image/png\r\n", broken)]);
    let reply =
        ask(&daemon, "hosted", "/v1/screenshot", json!({ "url": "http://a.example/" })).await;
    assert_eq!(reply.refusal().1, "backend_failed");
    daemon.assert_verifies(&reply.run());

    let (off, site) =
        (TestDaemon::start_with(|config| config.capture.framed = false).await, Site::start().await);
    let run = off.quick_shot(&site.url("/ok")).await.ok().run();
    check_unframed(&off, &run, "`capture.framed` is off");
}

/// The picture is there, a framed copy is not, and event, record and report say why.
#[track_caller]
fn check_unframed(daemon: &TestDaemon, run: &str, why: &str) {
    daemon.assert_verifies(run);
    let folder = daemon.sealed(run).join("data/captures/0001-during");
    assert!(folder.join("screenshot.png").exists() && !folder.join("framed.png").exists());
    for record in [told(daemon, run), daemon.capture(run, "0001-during")] {
        let left_out = record["framed"]["left_out"].as_str().expect("a sentence");
        assert!(left_out.starts_with(why), "{left_out}");
    }
    let report = std::fs::read_to_string(daemon.sealed(run).join("report.html")).expect("a report");
    assert!(report.contains("Without a caption"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_shows_framed_pictures_and_compares_the_pictures_themselves() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("data-validation").await;
    for (stage, page) in [("before", "/form"), ("after", "/elements")] {
        let body = json!({ "type": "screenshot", "url": site.url(page), "stage": stage, "waitUntil": "load" });
        daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
    }
    let sealed = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
    daemon.assert_verifies(&run);
    let report =
        std::fs::read_to_string(daemon.sealed(&run).join("report.html")).expect("a report");
    for capture in ["0001-before", "0002-after"] {
        for file in ["screenshot.png", "framed.png"] {
            let carried = format!("data-file=\"data/captures/{capture}/{file}\"");
            assert_eq!(report.matches(&carried).count(), 1, "{carried}");
        }
    }
    assert_eq!(report.matches("with its caption</a>").count(), 2, "each side of the slider");
    // A copy is no second screenshot.
    let told = sealed["completeness"].to_string();
    assert!(told.contains("captures/0001-before/screenshot.png"), "{told}");
    assert!(!told.contains("framed"), "{told}");
}
