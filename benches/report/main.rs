//! `make bench`: what a report costs in time and bytes, for a run of one picture and for one
//! of 5,000 events and 300 captures; and how long a browser takes to open it and to reach its end.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock and prints its table"
)]

#[path = "../../tests/it/browser.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod browser;
#[path = "../../tests/it/harness.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod harness;
#[path = "../../tests/it/site.rs"]
mod site;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use exhibit::artifact::NewArtifact;
use exhibit::clock::Clock;
use exhibit::evidence::{Signer, Store};
use exhibit::id::RunId;
use exhibit::report::{self, Options, SealedReports};
use exhibit::run::{Actor, Caller, Ending, Event, Opening, RunSpec};
use serde_json::{Value, json};

use browser::Browser;
use harness::TestDaemon;
use site::Site;

/// With one decimal.
fn megabytes(bytes: usize) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
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
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let shot = daemon.quick_shot(&site.url("/ok")).await.ok();
    let capture = daemon.capture(&shot.run(), "0001-during");
    let binary = PathBuf::from(capture["browser"]["binary"].as_str().expect("a path"));
    let folder = tempfile::tempdir().expect("a folder");
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "events",
        "captures",
        "pictures MB",
        "seal ms",
        "of it report ms",
        "report MB",
        "opens ms",
        "last event shown ms",
    ]);
    for (index, (events, captures)) in [(3, 1), (500, 30), (5_000, 300)].into_iter().enumerate() {
        let store = folder.path().join(format!("store-{index}"));
        let (sealed, seal_ms) = run(&store, events, captures, &shot.body);
        let begun = Instant::now();
        let mut made = Vec::new();
        report::write(&sealed, &Options::default(), &mut made).expect("memory").expect("a report");
        let report_ms = millis(begun);
        let path = folder.path().join(format!("report-{index}.html"));
        std::fs::write(&path, &made).expect("written");
        let mut browser = Browser::start(&binary).await;
        browser.view(1280, false).await;
        let begun = Instant::now();
        browser.open(&path).await;
        let opens_ms = millis(begun);
        let begun = Instant::now();
        let last = format!(
            "(async () => {{
                const last = document.getElementById('event-{events}');
                for (let up = last; up; up = up.parentElement) if (up.open === false) up.open = true;
                last.scrollIntoView();
                await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
            }})()"
        );
        browser.value(&last).await;
        let row = [
            events.to_string(),
            captures.to_string(),
            megabytes(captures * shot.body.len()),
            format!("{seal_ms:.0}"),
            format!("{report_ms:.0}"),
            megabytes(made.len()),
            format!("{opens_ms:.0}"),
            format!("{:.0}", millis(begun)),
        ];
        table.add_row(row);
    }
    println!("{table}");
}

/// A sealed run with so many events and captures; its folder, and how long sealing took.
fn run(root: &Path, events: usize, captures: usize, png: &[u8]) -> (PathBuf, f64) {
    let clock = Clock::system();
    let store = Store::open(root).expect("a store").with_reporter(Arc::new(SealedReports));
    let id = RunId::new(clock.now());
    let spec = RunSpec { workflow: "refund".to_owned(), ..RunSpec::default() };
    let caller = Caller::Daemon;
    let opening = Opening {
        run: id,
        spec,
        policy: None,
        retention: None,
        caller,
        host: "bench".to_owned(),
        exhibit: "0".to_owned(),
        redacted: None,
    };
    let mut draft = store.begin(&opening, &json!({}), clock.now()).expect("begun");
    // Opening and sealing are events as well.
    let said = events - captures - 2;
    for number in 0..captures {
        let stage = if number == 0 { "before" } else { "after" };
        let name = format!("{:04}-{stage}", number + 1);
        let file = |name: &str, media_type, bytes: Vec<u8>| NewArtifact {
            path: name.to_owned(),
            media_type,
            bytes: bytes.into(),
        };
        let described = serde_json::to_vec(&json!({ "picture": { "pixels": [1280, 720] } }));
        let added = draft.add(vec![
            file(&format!("captures/{name}/screenshot.png"), "image/png", png.to_vec()),
            file(
                &format!("captures/{name}/capture.json"),
                "application/json",
                described.expect("JSON"),
            ),
        ]);
        let taken = json!({
            "capture": name, "stage": stage, "title": "A page", "status": 200,
            "final_url": "https://desk.example/transactions/TX-1042", "altered_by": [],
            "artifacts": added.expect("added"),
        });
        let mut told = vec![Event::exhibit("capture.taken", taken)];
        told.extend((said * number / captures..said * (number + 1) / captures).map(log));
        draft.record(&told, clock.now()).expect("recorded");
    }
    let signer = Signer::load_or_create(&root.join("key")).expect("a key");
    let begun = Instant::now();
    let receipt = draft.seal(&Ending::sealed("succeeded"), &signer, clock.now()).expect("sealed");
    (root.join(receipt.folder), millis(begun))
}

fn log(number: usize) -> Event {
    let Value::Object(data) = json!({
        "level": "info", "message": format!("Step {number}: looked at the next transaction"),
        "data": { "transaction": format!("TX-{number}"), "amount": "48.50", "state": "paid" },
    }) else {
        unreachable!("an object")
    };
    Event { actor: Actor::Agent, kind: "log".to_owned(), data }
}
