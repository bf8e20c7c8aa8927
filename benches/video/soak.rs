//! `make soak`: a long recording of a page that never rests. Memory must stay where it is after the
//! first minute, and every frame must be in the recording or be counted as left out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::cpu::{Meter, resident};
use crate::driver::{Driver, Source};
use crate::film::{Film, at_part};
use crate::stage::Stage;

/// What memory may grow by between the second minute and the end: the index of the file grows.
const GROWTH: f64 = 6.0;
/// Pictures a second the daemon is asked for by default.
const RATE: f64 = 25.0;

/// Record for `length`; the last line says whether it passed.
pub(crate) async fn soak(length: Duration) {
    println!("soak: {} s of a page that paints 60 times a second", length.as_secs());
    let mut stage = Stage::start(length).await;
    let mut driver = Driver::start(Source::Exhibit("screencast")).await.expect("the daemon starts");
    let process = driver.process();
    let (ids, urls) = stage.pages("moving", 1);
    let meter = Meter::of(process);
    driver.open(&urls, true).await.expect("it records");
    stage.ready(&ids).await;
    let before = meter.read();
    let memory = Memory::watch(process);
    let ran = stage.run(&ids).await[0];
    let samples = memory.samples();
    let recorded = driver.stop().await.expect("it ends");
    let used = (meter.read() - before).per(length.as_secs_f64());
    let summary = &recorded.summaries[0];
    println!("the page painted {} frames, the last is number {}", ran.painted, ran.last);
    println!("the daemon says {summary}");
    println!(
        "CPU-seconds per second: browser {:.2}, daemon {:.2}, together {:.2}",
        used.browser,
        used.recorder,
        used.total()
    );
    let film = Film::open(&recorded.files[0]).expect("it decodes");
    driver.close().await;
    let verdicts = [
        is_flat(&samples),
        adds_up(summary, &film, ran.painted, length),
        has_no_gaps(&film, ran.last),
    ];
    let passed = verdicts.into_iter().all(|verdict| verdict);
    println!("soak: {}", if passed { "pass" } else { "FAIL" });
    assert!(passed, "the soak failed");
}

/// Samples of a process's memory in MiB, one each second.
struct Memory {
    samples: Arc<Mutex<Vec<f64>>>,
    over: Arc<AtomicBool>,
}

impl Memory {
    fn watch(process: u32) -> Self {
        let (samples, over) = (Arc::new(Mutex::new(vec![])), Arc::new(AtomicBool::new(false)));
        std::thread::spawn({
            let (samples, over) = (Arc::clone(&samples), Arc::clone(&over));
            move || {
                while !over.load(Ordering::Relaxed) {
                    let kib = u32::try_from(resident(process) / 1024).expect("below 4 TiB");
                    samples.lock().expect("not poisoned").push(f64::from(kib) / 1024.0);
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        });
        Self { samples, over }
    }

    fn samples(self) -> Vec<f64> {
        self.over.store(true, Ordering::Relaxed);
        self.samples.lock().expect("not poisoned").clone()
    }
}

/// Whether the memory of the last minute is that of the second.
fn is_flat(samples: &[f64]) -> bool {
    for (minute, samples) in samples.chunks(60).enumerate() {
        println!(
            "memory of the daemon, minute {:>2}: median {:.1} MiB, most {:.1} MiB",
            minute + 1,
            at_part(samples.to_vec(), 0.5),
            at_part(samples.to_vec(), 1.0)
        );
    }
    if samples.len() < 180 {
        println!("memory: too short a recording to tell; give at least 180 s");
        return false;
    }
    let second = at_part(samples[60..120].to_vec(), 0.5);
    let last = at_part(samples[samples.len() - 60..].to_vec(), 0.5);
    let flat = last - second <= GROWTH;
    println!("memory: {:+.1} MiB since the second minute: {}", last - second, word(flat));
    flat
}

/// Whether every frame is accounted for: what the daemon counts is what a decoder finds, and there
/// are as many pictures as the frame rate asks for. What the browser does not send because the way
/// was busy shows in the evidence as gaps only: a shortfall is frames that nothing accounts for.
fn adds_up(summary: &serde_json::Value, film: &Film, painted: u32, length: Duration) -> bool {
    let count = |name: &str| summary[name].as_u64().expect("a count");
    let (coded, superseded, unreadable) =
        (count("frames"), count("superseded"), count("unreadable"));
    let (decoded, distinct) = (film.pictures.len(), film.frames().len());
    let received = f64::from(u32::try_from(coded + superseded + unreadable).expect("a count"));
    let due = f64::from(painted).min(RATE * length.as_secs_f64());
    println!(
        "frames: {painted} painted, {due:.0} due at {RATE} a second, {received:.0} received = {coded} \
         coded + {superseded} superseded + {unreadable} unreadable; {:.0} due ones never came, \
         and {} gaps are on record; a decoder finds {decoded} pictures of {distinct} different frames",
        (due - received).max(0.0),
        count("gaps"),
    );
    // The first and the last picture may be shown twice: while nothing moves yet, or any more.
    let good = summary["ended"] == "stopped"
        && unreadable == 0
        && usize::try_from(coded).is_ok_and(|coded| coded == decoded)
        && decoded - distinct <= 10
        && received >= 0.95 * due;
    println!("counts: {}", word(good));
    good
}

/// Whether frames follow each other as closely as the rate allows, from the first to the last.
fn has_no_gaps(film: &Film, last: u32) -> bool {
    let frames: Vec<u32> = film.frames().into_keys().collect();
    let gaps = frames.windows(2).map(|pair| f64::from(pair[1] - pair[0]) / 60.0 * 1000.0);
    let gaps: Vec<f64> = gaps.collect();
    let (median, late, most) =
        (at_part(gaps.clone(), 0.5), at_part(gaps.clone(), 0.999), at_part(gaps, 1.0));
    let shown = frames.last().copied().unwrap_or_default();
    println!(
        "between frames shown: median {median:.0} ms, 999 of 1000 {late:.0} ms, most {most:.0} ms; \
         {:.1} ms off the page's time; last {shown} of {last}",
        film.time_off()
    );
    let good = median <= 1.5 * 1000.0 / RATE && late <= 5.0 * 1000.0 / RATE && last - shown <= 6;
    println!("pictures: {}", word(good));
    good
}

fn word(good: bool) -> &'static str {
    if good { "good" } else { "NOT GOOD" }
}
