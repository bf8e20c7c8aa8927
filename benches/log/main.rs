//! `make bench`: what the log costs as it grows, how many runs are sealed a second, and how long
//! verification takes beside `sha256sum` and `bagit.py`.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a benchmark reads the clock, starts programs, and prints rounded figures"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exhibit::artifact::NewArtifact;
use exhibit::clock::Clock;
use exhibit::evidence::log::Log;
use exhibit::evidence::{LogKey, Signer, Store, Trust, verify};
use exhibit::id::RunId;
use exhibit::report::SealedReports;
use exhibit::run::{Caller, Ending, Opening, RunSpec};
use serde_json::json;

/// Name of the logs made here.
const ORIGIN: &str = "bench.example/exhibit";
/// Appends of which the median is taken.
const APPENDS: usize = 200;
/// Files that are verified, and their size in bytes.
const FILES: usize = 10_000;
const SIZE: usize = 40_000;

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

fn main() {
    // `cargo bench` and `cargo test --benches` pass flags of theirs.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    // This program again: the memory of one that does nothing but verify.
    if let [_, word, path, line] = std::env::args().collect::<Vec<_>>().as_slice()
        && word == "--verify"
    {
        return verify_only(Path::new(path), line);
    }
    let folder = tempfile::tempdir().expect("a folder");
    append(folder.path());
    seals(folder.path());
    verification(folder.path());
}

fn table(heading: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN).set_header(heading.iter().copied());
    table
}

fn log_in(root: &Path) -> Log {
    let key = LogKey::load_or_create(&root.with_extension("key")).expect("a key");
    std::fs::create_dir_all(root).expect("made");
    Log::open(root, &key, ORIGIN).expect("a log")
}

/// An entry as long as a seal.
fn entry(number: usize) -> Vec<u8> {
    format!("{{\"kind\":\"heartbeat\",\"number\":{number:0560}}}").into_bytes()
}

fn append(folder: &Path) {
    let mut table = table(&["entries", "one append ms", "8 at once, a second", "opened ms"]);
    // Both at the beginning of a tile, so that both write bundles of the same lengths.
    for size in [1_024, 1_000_192] {
        let root = folder.join(format!("log-{size}"));
        let log = log_in(&root);
        for begin in (0..size).step_by(100_000) {
            let entries = (begin..size.min(begin + 100_000)).map(entry).collect();
            log.append_all(entries).expect("appended");
        }
        let mut times: Vec<Duration> = (0..APPENDS)
            .map(|number| {
                let begun = Instant::now();
                log.append(entry(number)).expect("appended");
                begun.elapsed()
            })
            .collect();
        times.sort();
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for number in 0..APPENDS / 4 {
                        log.append(entry(number)).expect("appended");
                    }
                });
            }
        });
        let at_once = (8 * (APPENDS / 4)) as f64 / begun.elapsed().as_secs_f64();
        drop(log);
        let begun = Instant::now();
        drop(log_in(&root));
        table.add_row(vec![
            size.to_string(),
            format!("{:.2}", millis(times[APPENDS / 2])),
            format!("{at_once:.0}"),
            format!("{:.1}", millis(begun.elapsed())),
        ]);
    }
    println!("{table}\n");
}

fn opening(run: RunId) -> Opening {
    Opening {
        run,
        spec: RunSpec { workflow: "bench".to_owned(), ..RunSpec::default() },
        policy: None,
        retention: None,
        caller: Caller::Daemon,
        host: "bench".to_owned(),
        exhibit: "bench".to_owned(),
        redacted: None,
    }
}

fn file(path: String, bytes: Vec<u8>) -> NewArtifact {
    NewArtifact { path, media_type: "application/octet-stream", bytes: bytes.into() }
}

/// Open a run with `files` and seal it; its folder.
fn seal(
    store: &Store,
    signer: &Signer,
    clock: &Clock,
    files: impl Iterator<Item = NewArtifact>,
) -> PathBuf {
    let at = clock.now();
    let mut draft =
        store.begin(&opening(RunId::new(at)), &json!({ "browser": "none" }), at).expect("begun");
    for file in files {
        draft.add(vec![file]).expect("added");
    }
    let receipt = draft.seal(&Ending::sealed("ok"), signer, clock.now()).expect("sealed");
    store.root().join(receipt.folder)
}

fn seals(folder: &Path) {
    const RUNS: usize = 100;
    let signer = Signer::load_or_create(&folder.join("signing")).expect("a key");
    let clock = Clock::system();
    let mut table = table(&["runs opened, filled with 100 KB and sealed", "a second"]);
    for (name, logged, threads) in [
        ("without a log", false, 1),
        ("with the log", true, 1),
        ("with the log, 4 at once", true, 4),
    ] {
        let root = folder.join(format!("seals-{logged}-{threads}"));
        let mut store = Store::open(&root).expect("a store").with_reporter(Arc::new(SealedReports));
        if logged {
            store = store.with_log(Arc::new(log_in(&root)));
        }
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    for _ in 0..RUNS / threads {
                        let files = [file("captures/0001.png".to_owned(), vec![7; 100_000])];
                        seal(&store, &signer, &clock, files.into_iter());
                    }
                });
            }
        });
        let rate = RUNS as f64 / begun.elapsed().as_secs_f64();
        table.add_row(vec![name.to_owned(), format!("{rate:.0}")]);
    }
    println!("{table}\n");
}

/// Verify what lies at `path` twice, and print the better time in microseconds, and the most memory
/// this process had, in MiB.
fn verify_only(path: &Path, line: &str) {
    let trust = Trust::from_allowed_signers(line).expect("a line");
    let once = || {
        let begun = Instant::now();
        if path.join("log").exists() {
            assert_eq!(verify::store(path, &trust, &[]).exit(), 0);
        } else {
            assert_eq!(verify::folder(path, &trust).findings, []);
        }
        begun.elapsed()
    };
    // The second finds the files in memory, so that the disk is not what is measured.
    let best = once().min(once());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0 kB");
    let kib: f64 = peak.trim().trim_end_matches(" kB").trim().parse().unwrap_or(0.0);
    println!("{} {:.0}", best.as_micros(), kib / 1024.0);
}

/// Time and memory of a process that verifies `path`.
fn verified(path: &Path, line: &str) -> (Duration, String) {
    let own = std::env::current_exe().expect("this program");
    let output = Command::new(own).arg("--verify").arg(path).arg(line).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (micros, memory) = text.trim().split_once(' ').expect("it verifies");
    (Duration::from_micros(micros.parse().expect("a number")), memory.to_owned())
}

fn verification(folder: &Path) {
    let signer = Signer::load_or_create(&folder.join("signing")).expect("a key");
    let line = signer.allowed_signers_line("bench");
    let root = folder.join("verified");
    let store = Store::open(&root)
        .expect("a store")
        .with_reporter(Arc::new(SealedReports))
        .with_log(Arc::new(log_in(&root)));
    let bytes = |number: usize| (0..SIZE).map(|at| (at * 31 + number) as u8).collect::<Vec<u8>>();
    let files = (0..FILES).map(|n| file(format!("captures/{n:05}.bin"), bytes(n)));
    let sealed = seal(&store, &signer, &Clock::system(), files);
    let mut table = table(&["10,000 files of 40 kB checked by", "s", "MB/s", "peak MiB"]);
    let mut row = |name: &str, time: Duration, memory: String| {
        let rate = (FILES * SIZE) as f64 / 1e6 / time.as_secs_f64();
        let seconds = format!("{:.2}", time.as_secs_f64());
        table.add_row(vec![name.to_owned(), seconds, format!("{rate:.0}"), memory]);
    };
    let (time, memory) = verified(&sealed, &line);
    row("exhibit verify, one folder", time, memory);
    let (time, memory) = verified(&root, &line);
    row("exhibit verify, the store with its log", time, memory);
    drop(store);
    // The same files in a thousand runs.
    let root = folder.join("many");
    let store = Store::open(&root)
        .expect("a store")
        .with_reporter(Arc::new(SealedReports))
        .with_log(Arc::new(log_in(&root)));
    for run in 0..1_000 {
        let files = (0..FILES / 1_000).map(|n| file(format!("{n}.bin"), bytes(run * 10 + n)));
        seal(&store, &signer, &Clock::system(), files);
    }
    let (time, memory) = verified(&root, &line);
    row("exhibit verify, a store of 1,000 runs of 10 files", time, memory);
    let bagit = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/bagit.py");
    let rivals: [(&str, PathBuf, &[&str]); 2] = [
        ("sha256sum -c", "sha256sum".into(), &["--quiet", "-c", "manifest-sha256.txt"]),
        ("bagit.py --validate", bagit, &["--quiet", "--validate", "."]),
    ];
    for (name, program, arguments) in rivals {
        let mut best = Duration::MAX;
        for _ in 0..2 {
            let mut command = Command::new(&program);
            command.args(arguments).current_dir(&sealed).stderr(Stdio::null());
            let begun = Instant::now();
            match command.status() {
                Ok(status) => assert!(status.success(), "{name}"),
                Err(error) => {
                    println!("{name} is not here: {error}");
                    best = Duration::ZERO;
                    break;
                }
            }
            best = best.min(begun.elapsed());
        }
        if best > Duration::ZERO {
            row(name, best, "-".to_owned());
        }
    }
    println!("{table}");
}
