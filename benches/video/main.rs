//! `make bench`: what recording a page costs, and how good the recording is, beside Playwright's
//! `recordVideo` and Puppeteer's `screencast`. Same pages, browser, window, length and machine, one
//! after the other. With `EXHIBIT_SOAK` it is the long recording of `make soak` instead.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock, starts programs, writes and prints its table"
)]

mod cpu;
mod driver;
mod film;
#[path = "../../tests/it/harness.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod harness;
#[path = "../../tests/it/process.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod process;
mod row;
mod soak;
mod stage;

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use cpu::Meter;
use driver::{Driver, SOURCES, Source};
use film::{Film, luma_of_png, ssim};
use row::{Judged, Row};
use stage::{PAGES, Stage};

/// Recordings at once; 0 is the page alone.
const COUNTS: [usize; 4] = [0, 1, 2, 4];
/// Moments at which a recording is compared with lossless pictures.
const MOMENTS: u32 = 20;

#[tokio::main]
async fn main() {
    // `cargo test --benches` passes a flag of its own.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if let Some(seconds) = number("EXHIBIT_SOAK") {
        soak::soak(Duration::from_secs(seconds)).await;
        return;
    }
    let seconds = number("EXHIBIT_BENCH_SECONDS").unwrap_or(15);
    let browser = exhibit::backend::chromium::find::browser(None).expect("a browser");
    println!("{} · {seconds} s each · 1280 by 720", version(&browser));
    let mut stage = Stage::start(Duration::from_secs(seconds)).await;
    let mut rows = vec![];
    for page in PAGES {
        for source in SOURCES {
            rows.extend(measure(&mut stage, page, source, seconds).await);
        }
    }
    let verdicts = row::verdicts(&rows);
    println!("{}\n", row::table(&rows));
    for verdict in &verdicts {
        println!("{verdict}");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-video");
    std::fs::create_dir_all(&folder).expect("a folder");
    let told = json!({
        "browser": version(&browser), "seconds": seconds, "rows": rows, "verdicts": verdicts,
    });
    let file = folder.join("results.json");
    std::fs::write(&file, format!("{told:#}\n")).expect("written");
}

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; give a number")))
}

fn version(browser: &Path) -> String {
    let output = std::process::Command::new(browser).arg("--version").output();
    String::from_utf8_lossy(&output.expect("the browser starts").stdout).trim().to_owned()
}

/// Whether `EXHIBIT_BENCH_ONLY` names this row, or names none: `form/exhibit screencast/1,puppeteer`.
fn is_wanted(page: &str, source: Source, count: usize) -> bool {
    let name = format!("{page}/{}/{count}", source.name());
    std::env::var("EXHIBIT_BENCH_ONLY")
        .map_or(true, |only| only.split(',').any(|part| name.contains(part)))
}

/// The rows of one recorder and one page.
async fn measure(stage: &mut Stage, page: &str, source: Source, seconds: u64) -> Vec<Row> {
    let counts = COUNTS.into_iter().filter(|count| is_wanted(page, source, *count));
    let counts: Vec<usize> = counts.collect();
    let mut rows = vec![];
    if counts.is_empty() {
        return rows;
    }
    let nothing = |recordings, why: String| Row {
        page: page.to_owned(),
        source: source.name(),
        recordings,
        cpu: None,
        others: 0.0,
        painted: 0.0,
        film: None,
        why_not: Some(why),
    };
    let mut driver = match Driver::start(source).await {
        Ok(driver) => driver,
        Err(why) => {
            println!("{page} · {}: {why}", source.name());
            return vec![nothing(1, why)];
        }
    };
    for count in counts {
        let taken = take(stage, &mut driver, page, count, seconds).await;
        let row = match taken {
            Ok(row) => Row { source: source.name(), ..row },
            Err(why) => nothing(count, why),
        };
        println!("{}", serde_json::to_string(&row).expect("a row is JSON"));
        rows.push(row);
    }
    driver.close().await;
    rows
}

/// Record `count` of the page at once, or let one run without.
async fn take(
    stage: &mut Stage,
    driver: &mut Driver,
    page: &str,
    count: usize,
    seconds: u64,
) -> Result<Row, String> {
    let (ids, urls) = stage.pages(page, count.max(1));
    let meter = Meter::of(driver.process());
    driver.open(&urls, count > 0).await?;
    stage.ready(&ids).await;
    let (before, busy_before, begun) = (meter.read(), cpu::machine(), Instant::now());
    let ran = stage.run(&ids).await;
    let recorded = driver.stop().await?;
    let used = meter.read() - before;
    let others = (cpu::machine() - busy_before - used.total()) / begun.elapsed().as_secs_f64();
    drop(meter);
    let pages = f64::from(u32::try_from(ids.len()).expect("a few"));
    let length = Duration::from_secs(seconds).as_secs_f64();
    let painted: u32 = ran.iter().map(|ran| ran.painted).sum();
    let film = match recorded.files.first() {
        Some(file) => Some(judge(stage, driver, page, file, length).await?),
        None => None,
    };
    Ok(Row {
        page: page.to_owned(),
        source: String::new(),
        recordings: count,
        cpu: Some(used.per(length * pages)),
        others: others.max(0.0),
        painted: f64::from(painted) / length / pages,
        film,
        why_not: None,
    })
}

/// Compare a recording with lossless pictures of the same frames, taken by the same browser.
async fn judge(
    stage: &Stage,
    driver: &mut Driver,
    page: &str,
    file: &Path,
    length: f64,
) -> Result<Judged, String> {
    let film = Film::open(file)?;
    let frames = film.frames();
    let last = *frames.keys().last().ok_or("no picture of it can be read")?;
    // From half a second on: before that a recorder may still be starting.
    let moments = (0..MOMENTS).map(|at| 30 + at * last.saturating_sub(30) / MOMENTS);
    let mut picked: Vec<(u32, usize)> =
        moments.filter_map(|from| frames.range(from..).next()).map(|(f, at)| (*f, *at)).collect();
    picked.dedup();
    let urls: Vec<String> = picked.iter().map(|(frame, _)| stage.still(page, *frame)).collect();
    let lossless = driver.shots(&urls).await?;
    let places: Vec<usize> = picked.iter().map(|(_, at)| *at).collect();
    let pictures = film.luma(&places)?;
    let mut likeness = vec![];
    for (picture, png) in pictures.iter().zip(&lossless) {
        likeness.push(ssim(picture, &luma_of_png(png)?));
    }
    let count = |length: usize| f64::from(u32::try_from(length).expect("not that many"));
    Ok(Judged {
        bytes: std::fs::metadata(file).map_err(|error| error.to_string())?.len(),
        ssim: likeness.iter().sum::<f64>() / count(likeness.len()),
        worst_ssim: likeness.iter().copied().fold(1.0, f64::min),
        compared: likeness.len(),
        frames: count(frames.len()) / length,
        unreadable: film.pictures.iter().filter(|(frame, _)| frame.is_none()).count(),
        time_off: film.time_off(),
    })
}
