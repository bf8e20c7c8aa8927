//! `make bench`: what a screenshot with sealed evidence costs over the bare picture. Same page,
//! same browser binary, same flags, same run; the two take turns, so that a busy machine slows
//! both. Read ratios.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, spawns callers and prints its table"
)]

mod floor;
#[path = "../../tests/it/harness.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod harness;
#[path = "../../tests/it/site.rs"]
mod site;

use std::sync::Arc;
use std::time::{Duration, Instant};

use comfy_table::{Cell, CellAlignment, Table};
use serde_json::{Value, json};

use floor::Floor;
use harness::TestDaemon;
use site::Site;

const ROUNDS: usize = 40;
const WARM_UP: usize = 5;
const THROUGHPUT: Duration = Duration::from_secs(8);

/// Times in milliseconds, sorted.
struct Sample(Vec<f64>);

impl Sample {
    fn at(&self, part: f64) -> f64 {
        let mut times = self.0.clone();
        times.sort_by(f64::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an index into a short list"
        )]
        let index = ((times.len() - 1) as f64 * part).round() as usize;
        times[index]
    }

    /// The median of the ratios to `floor`, round by round.
    fn ratio(&self, floor: &Self) -> f64 {
        Self(self.0.iter().zip(&floor.0).map(|(ours, theirs)| ours / theirs).collect()).at(0.5)
    }
}

fn millis(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64() * 1000.0
}

#[tokio::main]
async fn main() {
    // `cargo bench` and `cargo test --benches` pass flags of theirs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let site = Site::start().await;
    let url = site.url("/ok");
    let daemon = Arc::new(TestDaemon::start_with(|config| config.browser.prepared = 2).await);
    let first = daemon.shot(plain(&url)).await.ok();
    let capture = daemon.capture(&first.run(), "0001-during");
    let binary = capture["browser"]["binary"].as_str().expect("a path").to_owned();
    let flags = capture["browser"]["flags"].as_array().expect("flags");
    let flags: Vec<String> =
        flags.iter().map(|flag| flag.as_str().expect("text").to_owned()).collect();
    println!("{} · {} · {} rounds", capture["browser"]["version"]["product"], binary, ROUNDS);

    let mut floor = Floor::start(binary.as_ref(), &flags);
    let [mut bare, mut sealed, mut idle, mut lean, mut unframed] = [const { vec![] }; 5];
    let bare_daemon = TestDaemon::start_with(|config| {
        config.browser.prepared = 2;
        config.capture.snapshot = false;
    })
    .await;
    let unframed_daemon = TestDaemon::start_with(|config| {
        config.browser.prepared = 2;
        config.capture.framed = false;
    })
    .await;
    for round in 0..WARM_UP + ROUNDS {
        let begun = Instant::now();
        let (back, length) = tokio::task::spawn_blocking({
            let url = url.clone();
            move || {
                let length = floor.shot(&url);
                (floor, length)
            }
        })
        .await
        .expect("the floor holds");
        floor = back;
        let floor_ms = millis(begun);
        assert!(length > 10_000, "a picture");
        let begun = Instant::now();
        daemon.shot(plain(&url)).await.ok();
        let sealed_ms = millis(begun);
        let begun = Instant::now();
        bare_daemon.shot(plain(&url)).await.ok();
        let lean_ms = millis(begun);
        let begun = Instant::now();
        unframed_daemon.shot(plain(&url)).await.ok();
        let unframed_ms = millis(begun);
        let begun = Instant::now();
        daemon.shot(json!({ "url": url })).await.ok();
        let idle_ms = millis(begun);
        if round >= WARM_UP {
            bare.push(floor_ms);
            sealed.push(sealed_ms);
            lean.push(lean_ms);
            unframed.push(unframed_ms);
            idle.push(idle_ms);
        }
    }
    drop(floor);
    let bare = Sample(bare);
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["what", "p50 ms", "p95 ms", "ratio to floor"]);
    let mut row = |what: &str, sample: &Sample| {
        let numbers = [sample.at(0.5), sample.at(0.95), sample.ratio(&bare)];
        let cells = [0, 0, 2].iter().zip(numbers).map(|(decimals, number)| {
            Cell::new(format!("{number:.decimals$}")).set_alignment(CellAlignment::Right)
        });
        table.add_row(std::iter::once(Cell::new(what)).chain(cells));
    };
    row("floor: bare CDP, context to dispose, no evidence", &bare);
    row("POST /screenshot, sealed evidence, wait for load", &Sample(sealed));
    row("the same without page snapshots", &Sample(lean));
    row("the same without the framed copy", &Sample(unframed));
    row("with snapshots and the default wait (500 ms of quiet)", &Sample(idle));
    println!("{table}\n");
    endpoints(&daemon, &site, &bare).await;
    throughput(&daemon, &url, &bare).await;
}

/// The other endpoints, each sealed as a run of its own, taking turns.
async fn endpoints(daemon: &TestDaemon, site: &Site, floor: &Sample) {
    let url = site.url("/ok");
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let steps = json!([
        { "action": "navigate", "url": site.url("/form") },
        { "action": "fill", "selector": "input", "value": "48.50" },
        { "action": "screenshot", "name": "form" },
        { "action": "navigate", "url": url },
        { "action": "screenshot", "name": "after" },
    ]);
    let load = |fields: Value| {
        let mut body = json!({ "url": url, "waitUntil": "load" });
        body.as_object_mut().expect("an object").extend(fields.as_object().cloned().expect("too"));
        body
    };
    let requests = [
        ("POST /pdf", "/v1/pdf", load(json!({}))),
        ("POST /inspect", "/v1/inspect", load(json!({}))),
        (
            "POST /observe with content and ARIA tree",
            "/v1/observe",
            load(json!({
                "includeContent": true, "includeAriaTree": true,
            })),
        ),
        (
            "POST /diff of two pages",
            "/v1/diff",
            json!({
                "url_a": url, "url_b": site.url("/form"), "waitUntil": "load",
            }),
        ),
        (
            "POST /sequence, 5 steps, 2 pictures (each page waits for 500 ms of quiet)",
            "/v1/sequence",
            json!({ "steps": steps }),
        ),
        (
            "POST /screenshot of a session's page as it stands",
            "/v1/screenshot",
            json!({
                "session_id": session, "waitUntil": "load",
            }),
        ),
    ];
    let mut samples = vec![Vec::new(); requests.len()];
    for round in 0..WARM_UP + ROUNDS / 2 {
        for ((_, path, body), sample) in requests.iter().zip(&mut samples) {
            let begun = Instant::now();
            daemon.post(path, body.clone()).await.ok();
            if round >= WARM_UP {
                sample.push(millis(begun));
            }
        }
    }
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["what", "p50 ms", "p95 ms", "in floors"]);
    for ((what, ..), sample) in requests.iter().zip(samples) {
        let sample = Sample(sample);
        let (middle, late) = (sample.at(0.5), sample.at(0.95));
        let floors = middle / floor.at(0.5);
        table.add_row([
            (*what).to_owned(),
            format!("{middle:.0}"),
            format!("{late:.0}"),
            format!("{floors:.1}"),
        ]);
    }
    println!("{table}\n");
}

/// Stand-alone sealed captures per second with 1, 2 and 4 callers.
async fn throughput(daemon: &Arc<TestDaemon>, url: &str, floor: &Sample) {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["callers", "captures/s", "ratio to the floor's one caller"]);
    for callers in [1, 2, 4] {
        let begun = Instant::now();
        let calling: Vec<_> = (0..callers)
            .map(|_| {
                let (daemon, url) = (Arc::clone(daemon), url.to_owned());
                tokio::spawn(async move {
                    let mut taken = 0_u32;
                    while begun.elapsed() < THROUGHPUT {
                        daemon.shot(plain(&url)).await.ok();
                        taken += 1;
                    }
                    taken
                })
            })
            .collect();
        let mut taken = 0;
        for caller in calling {
            taken += caller.await.expect("every capture succeeds");
        }
        let rate = f64::from(taken) / begun.elapsed().as_secs_f64();
        let ratio = rate * floor.at(0.5) / 1000.0;
        table.add_row([callers.to_string(), format!("{rate:.1}"), format!("{ratio:.2}")]);
    }
    println!("{table}");
}

fn plain(url: &str) -> Value {
    json!({ "url": url, "format": "png", "waitUntil": "load" })
}
