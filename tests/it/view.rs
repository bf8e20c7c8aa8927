//! That a picture shows all of what was asked for, also what a browser does not paint outside of its
//! window; and that it says so where it does not. The pages are those of `tests/data/view`: `c-…` of the
//! corpus are whole, `b-…` are broken on purpose.

use base64::Engine as _;
use exhibit::workflow::Policy;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::pictures::Picture;
use crate::site::Site;

const GREEN: [u8; 3] = [0, 200, 0];
/// The windows of the corpus.
const WINDOW: (u32, u32) = (640, 480);
const TALL: (u32, u32) = (360, 800);
/// Most pictures of one sequence.
const MOST_OUTPUTS: usize = 5;

/// A capture of a page of `tests/data/view`.
struct Shot {
    bytes: Vec<u8>,
    picture: Picture,
    run: String,
    page: Value,
}

impl Shot {
    /// What it says it does not show: reason, left, top, width, height.
    fn incomplete(&self) -> Vec<(String, [i64; 4])> {
        let list = self.page["incomplete_view"].as_array().cloned().unwrap_or_default();
        let one = |one: &Value| {
            let side = |name: &str| one[name].as_i64().expect("a number");
            let reason = one["reason"].as_str().expect("a reason").to_owned();
            (reason, ["x", "y", "width", "height"].map(side))
        };
        list.iter().map(one).collect()
    }
}

struct Lab {
    daemon: TestDaemon,
    site: Site,
}

impl Lab {
    async fn open() -> Self {
        let daemon = TestDaemon::start_with(|config| {
            let stages = [("before".to_owned(), vec!["screenshot".to_owned()])].into();
            for (name, incomplete_views) in [("strict", false), ("lenient", true)] {
                let stages = std::collections::BTreeMap::clone(&stages);
                let policy = Policy { stages, incomplete_views, ..Policy::default() };
                config.workflows.0.insert(name.to_owned(), policy);
            }
            config.privacy.mask = vec![".secret".to_owned()];
            config.capture.snapshot = false;
            config.capture.framed = false;
            config.quotas.captures = config.capture.concurrent;
        });
        Self { daemon: daemon.await, site: Site::start().await }
    }

    fn url(&self, page: &str) -> String {
        self.site.url(&format!("/view/{page}"))
    }

    async fn shot(&self, page: &str, fields: Value) -> Shot {
        let mut body = json!({ "url": self.url(page), "waitUntil": "load" });
        body.as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("fields").clone());
        let reply = self.daemon.shot(body).await.ok();
        look(page, &reply.body);
        let run = reply.run();
        let page = self.daemon.capture(&run, "0001-during")["page"].clone();
        let picture = if reply.body.starts_with(b"\x89PNG") {
            Picture::decode(&reply.body)
        } else {
            Picture::decode(EMPTY)
        };
        Shot { picture, bytes: reply.body, run, page }
    }

    async fn full(&self, page: &str) -> Shot {
        self.shot(page, json!({ "fullPage": true })).await
    }

    async fn small(&self, page: &str) -> Shot {
        self.whole(page, WINDOW).await
    }

    async fn whole(&self, page: &str, (width, height): (u32, u32)) -> Shot {
        self.shot(page, json!({ "fullPage": true, "width": width, "height": height })).await
    }

    /// The windows that a person sees who scrolls through the page, each with its top.
    async fn scrolled(&self, page: &str, height: u32, window: (u32, u32)) -> Vec<(u32, Picture)> {
        let last = height.saturating_sub(window.1);
        let tops: Vec<u32> =
            (0..height.div_ceil(window.1)).map(|n| (n * window.1).min(last)).collect();
        let mut seen = Vec::new();
        for at in (0..tops.len()).step_by(MOST_OUTPUTS) {
            let wanted = at..tops.len().min(at + MOST_OUTPUTS);
            seen.extend(self.windows(page, &tops, wanted, window).await);
        }
        tops.into_iter().zip(seen).collect()
    }

    /// The windows of which the numbers are `wanted`, on the way through all `tops` before them.
    async fn windows(
        &self,
        page: &str,
        tops: &[u32],
        wanted: std::ops::Range<usize>,
        (width, height): (u32, u32),
    ) -> Vec<Picture> {
        // What stays in its place is seen where it is first.
        let hide = "document.documentElement.style.scrollSnapType = 'none';
            for (const one of document.querySelectorAll('[data-pinned]')) one.style.opacity = '0'";
        let shot = json!({ "action": "screenshot", "delay": 80 });
        let mut steps = vec![json!({ "action": "navigate", "url": self.url(page) })];
        for number in 0..wanted.end {
            if number > 0 {
                let by = tops[number] - tops[number - 1];
                steps.push(json!({ "action": "scroll", "y": by }));
            }
            if wanted.contains(&number) {
                steps.push(shot.clone());
            }
            if number == 0 {
                steps.push(json!({ "action": "evaluate", "script": hide }));
            }
        }
        let body = json!({ "steps": steps, "viewport": { "width": width, "height": height } });
        let answer = self.daemon.post("/v1/sequence", body).await.ok().json();
        let outputs = answer["outputs"].as_array().expect("outputs");
        assert_eq!(outputs.len(), wanted.len(), "{page}: {answer}");
        let decoded = |output: &Value| {
            let data = output["data"].as_str().expect("base64");
            let engine = base64::engine::general_purpose::STANDARD;
            Picture::decode(&engine.decode(data).expect("base64"))
        };
        outputs.iter().map(decoded).collect()
    }
}

/// A PNG of one pixel, where the answer is another kind of picture.
const EMPTY: &[u8] = include_bytes!("../data/view/_pixel.png");

/// Keep a picture for somebody to look at, in the folder `EXHIBIT_LOOK`.
fn look(name: &str, bytes: &[u8]) {
    if let Ok(folder) = std::env::var("EXHIBIT_LOOK") {
        let path = std::path::Path::new(&folder).join(format!("{name}.png"));
        std::fs::write(path, bytes).expect("a picture to look at");
    }
}

/// The pages whose names begin so.
fn pages(beginning: &str) -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/view");
    let names = std::fs::read_dir(folder)
        .expect("pages")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    let pages = names.filter_map(|name| name.strip_suffix(".html").map(str::to_owned));
    let mut pages: Vec<String> = pages.filter(|name| name.starts_with(beginning)).collect();
    pages.sort();
    pages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_page_is_painted() {
    let lab = Lab::open().await;

    let shot = lab.full("cross-site-frame").await;
    let words = shot.picture.count([204, 255, 204]);
    assert!(words > 800 * 150 / 2, "{words} {}", shot.page);
    assert_eq!(shot.page["painted"]["way"], "patches");

    let shot = lab.full("content-visibility").await;
    assert_eq!(shot.picture.size(), (1280, 8_056));
    assert_eq!(shot.picture.count([0, 0, 255]), 20 * 2 * 1264, "{}", shot.page);
    assert_eq!(shot.page["painted"]["way"], "sections");

    for fields in [
        json!({ "fullPage": true }),
        json!({ "fullPage": true, "deviceScaleFactor": 2 }),
        json!({ "clip": { "x": 0, "y": 0, "width": 1280, "height": 3970 } }),
    ] {
        let shot = lab.shot("bank", fields.clone()).await;
        let scale = fields["deviceScaleFactor"]
            .as_u64()
            .map_or(1, |scale| usize::try_from(scale * scale).expect("small"));
        let count = |colour| shot.picture.count(colour) / scale;
        assert_eq!(shot.incomplete(), [], "{fields}");
        assert_eq!(count(GREEN), 2 * 400 * 200, "{fields}");
        assert_eq!(count([0, 0, 255]), 1280 * (720 - 40 - 30 + 8 * 2), "{fields}");
        assert_eq!(count([0x12, 0x34, 0x56]), 1280 * 40, "{fields}");
        assert_eq!(count([0x65, 0x43, 0x21]), 1280 * 30, "{fields}");
        assert_eq!(count([255, 255, 0]), 1280 * 50, "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_a_closed_shadow_is_painted() {
    let lab = Lab::open().await;
    for (page, way) in [("c-frame-in-closed", "patches"), ("c-skipped-in-closed", "sections")] {
        let shot = lab.small(page).await;
        assert_eq!(shot.page["painted"]["way"], way, "{page}: {}", shot.page);
        assert_eq!(shot.picture.count(GREEN), 300 * 150, "{page}");
        assert_eq!(shot.incomplete(), [], "{page}");
    }
}

/// Many areas are painted by one window, where that moves nothing; and a page of 70,000 pixels whole.
#[tokio::test(flavor = "multi_thread")]
async fn many_areas_and_long_pages_are_painted_whole() {
    let lab = Lab::open().await;
    let shot = lab.small("many-frames").await;
    assert_eq!(shot.page["painted"]["way"], "tall_window", "{}", shot.page);
    assert_eq!(shot.picture.count(GREEN), 8 * 300 * 150);
    assert_eq!(shot.incomplete(), []);

    if std::env::var_os("EXHIBIT_CORPUS").is_none() {
        return;
    }
    let shot = lab.small("long").await;
    assert_eq!(shot.picture.size(), (640, 70_000));
    assert_eq!(shot.picture.count(GREEN), 3 * 300 * 150, "{}", shot.page);
    assert_eq!(shot.picture.count([0, 0, 255]), 10 * 100 * 50, "{}", shot.page);
    assert_eq!(shot.incomplete(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_put_together_says_so_and_keeps_what_the_browser_gave() {
    let lab = Lab::open().await;
    let shot = lab.small("c-frame-under-bar").await;
    lab.daemon.assert_verifies(&shot.run);
    let painted = &shot.page["painted"];
    assert_eq!(painted["way"], "patches");
    let folder = lab.daemon.sealed(&shot.run).join("data/captures/0001-during");
    let base = std::fs::read(folder.join("base.png")).expect("the base");
    assert_eq!(painted["base"]["sha256"], exhibit::digest::Digest::of(&base).to_string());
    let base = Picture::decode(&base);
    let boxes: Vec<[u32; 4]> = painted["boxes"]
        .as_array()
        .expect("boxes")
        .iter()
        .map(|one| {
            let side =
                |name: &str| u32::try_from(one[name].as_u64().expect("a side")).expect("small");
            [side("x"), side("y"), side("width"), side("height")]
        })
        .collect();
    let (width, height) = base.size();
    assert_eq!(shot.picture.size(), (width, height));
    let mut differing = 0;
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        let within = |[left, top, wide, high]: &[u32; 4]| {
            (*left..left + wide).contains(&x) && (*top..top + high).contains(&y)
        };
        if base.pixel(x, y)[..3] != shot.picture.pixel(x, y)[..3] {
            differing += 1;
            assert!(boxes.iter().any(within), "outside of the boxes at {x}, {y}");
        }
    }
    assert!(differing >= 300 * 600 / 2, "{differing}");

    let fields =
        |format: &str| json!({ "fullPage": true, "width": 640, "height": 480, "format": format });
    let shot = lab.shot("c-frame-other", fields("jpeg")).await;
    let jpeg = zune_jpeg::JpegDecoder::new(&shot.bytes).decode().expect("a JPEG");
    let at = (750 * 640 + 100) * 3;
    let near = jpeg[at..at + 3].iter().zip(GREEN).all(|(one, other)| one.abs_diff(other) < 6);
    assert!(near, "{:?}", &jpeg[at..at + 3]);
    let shot = lab.shot("c-frame-other", fields("webp")).await;
    assert!(shot.bytes.starts_with(b"RIFF"));
    assert_eq!(shot.page["painted"]["way"], "patches");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_afterwards_as_it_was_and_masks_cover_what_is_brought_to_light() {
    let lab = Lab::open().await;
    let shot = lab.small("masked").await;
    assert_eq!(shot.picture.count([0xc8, 0, 0]), 0, "{}", shot.page);
    assert!(shot.picture.count([0, 0, 0]) >= 100 * 50 + 100 * 200 - 800, "{}", shot.page);
    assert_eq!(shot.picture.count(GREEN), 300 * 150 - 100 * 50);
    let places = shot.page["masked"][0]["places"].as_array().expect("places").clone();
    assert!(places.contains(&json!([0, 1050, 100, 200])), "{places:?}");

    for page in ["bank", "masked", "c-snap"] {
        let plain = json!({ "action": "screenshot" });
        let whole = json!({ "action": "screenshot", "fullPage": true, "fullPageScroll": false });
        let steps = json!([
            { "action": "navigate", "url": lab.url(page) }, { "action": "scroll", "y": 480 },
            { "action": "wait", "ms": 200 }, plain, whole, plain,
        ]);
        let body = json!({ "steps": steps, "viewport": { "width": 640, "height": 480 } });
        let answer = lab.daemon.post("/v1/sequence", body).await.ok().json();
        let outputs = answer["outputs"].as_array().expect("outputs");
        assert!(outputs[1]["painted"].is_object(), "{page}: {}", outputs[1]["painted"]);
        assert_eq!(outputs[0]["data"], outputs[2]["data"], "{page} is not as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_area_that_scrolls_by_itself_is_shown_in_full_when_that_is_asked_for() {
    let lab = Lab::open().await;
    let shot = lab.full("scroll-inner").await;
    assert_eq!(shot.incomplete(), [("cut_at_viewport".to_owned(), [0, 0, 1280, 720])]);
    assert_eq!(shot.page["incomplete_view"][0]["hidden_height"], 3_280 + 40);
    let sizes = [
        ("scroll-inner", 4_040),
        ("b-cut-shell", 2_060),
        ("b-cut-body", 3_000),
        ("b-cut-below", 4_751),
        ("b-cut-frame", 1_400),
    ];
    for (page, height) in sizes {
        let fields = json!({ "fullPage": true, "expandScrollers": true });
        let shot = lab.shot(page, fields).await;
        assert_eq!(shot.picture.size(), (1280, height), "{page} {}", shot.page);
        assert_eq!(shot.incomplete(), [], "{page}");
        let altered = lab.daemon.capture(&shot.run, "0001-during")["altered_by"].clone();
        assert_eq!(altered, json!(["expandScrollers"]), "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_counts_no_picture_that_is_not_whole_unless_it_allows_that() {
    let lab = Lab::open().await;
    for (workflow, verdict) in [("strict", "incomplete"), ("lenient", "complete")] {
        let run = lab.daemon.open_run(workflow).await;
        let body = json!({
            "type": "screenshot", "stage": "before", "fullPage": true, "waitUntil": "load",
            "url": lab.url("b-image-missing"), "response_type": "json",
        });
        let answer = lab.daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok().json();
        let told = &answer["evidence"]["incomplete_view"];
        assert_eq!(told[0]["reason"], "image_failed", "{answer}");
        let sealed = lab.daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
        assert_eq!(sealed["completeness"]["verdict"], verdict, "{sealed}");
        let report = std::fs::read_to_string(lab.daemon.sealed(&run).join("report.html"));
        let report = report.expect("a report");
        let told = "an image that failed, at 0, 700, 200 × 100 CSS pixels";
        assert!(report.contains("incomplete view") && report.contains(told), "{workflow}");
        lab.daemon.assert_verifies(&run);
    }
}

/// Pages of which some pixels of a window may differ, how many, and why.
const EXPLAINED: &[(&str, usize, &str)] = &[(
    "c-perspective",
    600,
    "the slanted edges of a plane are smoothed anew wherever the page is scrolled to",
)];

/// Whether a picture of the whole page shows what a person sees who scrolls through it.
async fn compare(lab: &Lab, page: &str, size: (u32, u32)) -> Vec<String> {
    let shot = lab.whole(page, size).await;
    let (width, height) = shot.picture.size();
    let mut wrong = Vec::new();
    if !shot.incomplete().is_empty() {
        wrong.push(format!("{page} is called incomplete: {:?}", shot.incomplete()));
    }
    let windows = lab.scrolled(page, height, size).await;
    let mut from = 0;
    for (top, window) in windows {
        let differs = |y: u32| {
            let pixels = (0..width.min(size.0)).filter(|x| {
                let pair = (shot.picture.pixel(*x, y), window.pixel(*x, y - top));
                pair.0.iter().zip(pair.1).take(3).any(|(one, other)| one.abs_diff(*other) > 8)
            });
            pixels.count()
        };
        let rows: Vec<(u32, usize)> = (from..height.min(top + size.1))
            .map(|y| (y, differs(y)))
            .filter(|(_, pixels)| *pixels > 0)
            .collect();
        from = top + size.1;
        let pixels: usize = rows.iter().map(|(_, pixels)| pixels).sum();
        let explained = EXPLAINED.iter().find(|(name, ..)| *name == page).map_or(0, |it| it.1);
        if let (Some(first), Some(last)) = (rows.first(), rows.last())
            && pixels > explained
        {
            wrong.push(format!(
                "{page} at {size:?}: {pixels} pixels differ from row {} to {}; {}",
                first.0, last.0, shot.page["painted"]
            ));
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_page_is_what_a_person_sees_who_scrolls_through_it() {
    let lab = Lab::open().await;
    let pages = pages("c-");
    assert!(pages.len() >= 60, "{pages:?}");
    // Each at both sizes with `make corpus`; else some of them, by turns at one or the other.
    let all = std::env::var_os("EXHIBIT_CORPUS").is_some();
    let both = pages.iter().enumerate().flat_map(|(number, page)| {
        let sizes = [WINDOW, TALL].into_iter().enumerate();
        let chosen = move |at: &(usize, (u32, u32))| all || number % 6 == at.0 * 3;
        sizes.filter(chosen).map(move |(_, size)| (page, size))
    });
    let compared = stream::iter(both).map(|(page, size)| compare(&lab, page, size));
    let compared = compared.buffer_unordered(2);
    let wrong: Vec<Vec<String>> = compared.collect().await;
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_picture_does_not_show_is_named_with_its_box() {
    const BELOW: [i64; 4] = [0, 700, 300, 150];
    const IMAGE: [i64; 4] = [0, 700, 200, 100];
    let lab = Lab::open().await;
    let cases: &[(&str, &str, [i64; 4])] = &[
        ("b-frame-hangs", "frame_not_loaded", BELOW),
        ("b-frame-hangs-other", "frame_not_loaded", BELOW),
        ("b-frame-refused", "frame_not_loaded", BELOW),
        ("b-frame-refused-other", "frame_not_loaded", BELOW),
        ("b-image-missing", "image_failed", IMAGE),
        ("b-image-broken", "image_failed", IMAGE),
        ("b-image-in-shadow", "image_failed", IMAGE),
        ("b-background-missing", "image_failed", IMAGE),
        ("b-background-before", "image_failed", IMAGE),
        ("b-svg-image-missing", "image_failed", IMAGE),
        ("b-image-held", "image_not_loaded", IMAGE),
        ("b-video", "media_failed", IMAGE),
        ("b-canvas-lost", "canvas_lost", IMAGE),
        ("b-cut", "cut_at_viewport", [0, 0, 640, 480]),
        ("b-cut-frame", "cut_at_viewport", [0, 0, 640, 480]),
        ("b-cut-frame-other", "cut_at_viewport", [0, 0, 640, 480]),
        ("b-cut-body", "cut_at_viewport", [0, 0, 640, 480]),
        ("b-cut-below", "cut_at_viewport", [0, 700, 640, 1_000]),
        ("b-cut-shell", "cut_at_viewport", [0, 60, 640, 420]),
        ("b-white-on-white", "one_colour", [0, 0, 640, 480]),
        ("b-nothing", "one_colour", [0, 0, 640, 480]),
    ];
    let names: Vec<&str> = cases.iter().map(|(page, ..)| *page).collect();
    assert!(pages("b-").iter().all(|page| names.contains(&page.as_str())));
    let told = stream::iter(cases).map(async |(page, reason, area)| {
        // A frame that hangs keeps the page from `load`.
        let wait = if page.contains("hangs") { "domcontentloaded" } else { "load" };
        let fields = json!({ "fullPage": true, "width": 640, "height": 480, "waitUntil": wait });
        let shot = lab.shot(page, fields).await;
        let told = shot.incomplete();
        let right = told == [((*reason).to_owned(), *area)];
        (!right).then(|| format!("{page} should be {reason} at {area:?} and is {told:?}"))
    });
    let wrong: Vec<Option<String>> = told.buffer_unordered(3).collect().await;
    let wrong: Vec<String> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
