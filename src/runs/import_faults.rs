//! A disk that fails, at every step of taking in bundles of other stores, and of purging one. A
//! start afterwards finishes what the log tells of and takes back the rest: who was told that a
//! bundle is kept finds it, one that was purged is gone, and verification finds nothing. `cargo
//! test` tries some of the steps, `EXHIBIT_FAULTS=all` every one.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::{Imported, Keeping, Looker, Runs};
use crate::blob::Blob;
use crate::clock::Clock;
use crate::config::Config;
use crate::digest::Digest;
use crate::disk::fault::{Fault, Plan, try_all};
use crate::error::{Code, Problem, chain};
use crate::evidence::{FindingCode, LogKey, verify};
use crate::request::ImportPurgeRequest;
use crate::run::{Caller, Ending, Reader, RunSpec};
use crate::tasks::Tasks;
use crate::tlog::policy::Policy;

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 11;
/// After whatever was promised.
const LATER: Duration = Duration::from_hours(24 * 500);

/// A daemon on a disk that can fail.
struct Trial {
    place: tempfile::TempDir,
    config: Arc<Config>,
    clock: Clock,
    runtime: Runtime,
    /// Digests of bundles of which somebody was told that they are kept.
    kept: Vec<Digest>,
    /// That one is purged.
    purged: Option<Digest>,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

impl Trial {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = place.expect("a folder");
        let mut config = Config::default();
        config.store.path = place.path().join("store");
        config.store.min_free = 0;
        config.keys.signing = place.path().join("keys/evidence");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let clock = Clock::fixed("2026-11-24T08:15:46.120Z".parse().expect("a time"));
        let (kept, refused) = (Vec::new(), Vec::new());
        Self { place, config: Arc::new(config), clock, runtime, kept, purged: None, refused }
    }

    fn open(&self) -> Result<Runs, Problem> {
        self.clock.advance(Duration::from_secs(2));
        let log_key = LogKey::load_or_create(&self.config.keys.log_file());
        let log_key = log_key.map_err(|error| Problem::internal("the log's key", error))?;
        let (_, config) = watch::channel(Arc::clone(&self.config));
        Runs::open(config, &log_key, self.clock.clone(), Tasks::new())
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.clock.advance(Duration::from_millis(10));
        self.runtime.block_on(work)
    }

    /// A bundle of a run of this store's.
    fn bundle(&self, runs: &Runs) -> Blob {
        let spec = RunSpec { workflow: "nightly".to_owned(), ..RunSpec::default() };
        let run = self.wait(runs.begin(spec, operator(), json!({"browser": "none"})));
        let run = run.expect("begun").id;
        self.wait(runs.seal(run, &operator(), Ending::sealed("succeeded"))).expect("sealed");
        let looker = Looker::caller(operator(), Reader::Everything);
        self.wait(runs.bundle(vec![run], &looker)).expect("a bundle")
    }

    /// Both bundles are brought, each once more when that fails; then the first one again; then the
    /// second one is purged.
    fn live(&mut self, bundles: &[Blob]) {
        let Ok(runs) = self.open().or_else(|_| self.open()) else { return };
        for bundle in [&bundles[0], &bundles[1], &bundles[0]] {
            let bring = || self.wait(runs.import(bundle.clone(), &operator()));
            match bring().or_else(|_| bring()) {
                Ok(Imported { sha256, .. }) => self.kept.push(sha256),
                Err(problem) => self.refused.push(chain(&problem)),
            }
        }
        let second = bundles[1].digest().expect("read");
        if self.kept.contains(&second) {
            self.clock.advance(LATER);
            let purge = || self.wait(runs.purge_import(second, asked(), &operator()));
            match purge().or_else(|_| purge()) {
                Ok(_) => self.purged = Some(second),
                // What is in doubt the second time says so: it is purged already.
                Err(problem) if problem.code == Code::ImportNotFound => self.purged = Some(second),
                Err(problem) => self.refused.push(chain(&problem)),
            }
            self.kept.retain(|kept| *kept != second);
        }
        self.wait(runs.stopped());
    }

    /// What is wrong after a start.
    fn wrong(&self, bundles: &[Blob]) -> Vec<String> {
        let runs = match self.open() {
            Ok(runs) => runs,
            Err(problem) => return vec![format!("no start: {}", chain(&problem))],
        };
        let policy = Policy::parse(&format!("log {}\n", runs.log().key())).expect("a policy");
        let trust = runs.own_trust().with_log(policy);
        let report = verify::store(runs.root(), &trust, &[]);
        let findings = report.findings.iter();
        let told = findings.filter(|it| it.code != FindingCode::ImportNotVouched);
        let mut wrong: Vec<String> =
            told.map(|it| format!("{} {}: {}", it.code, it.place, it.found)).collect();
        for sha256 in &self.kept {
            if !runs.0.store.kept_import(*sha256).is_ok_and(|kept| kept.is_some()) {
                wrong.push(format!("{sha256} is not kept"));
            }
        }
        let there = |sha256: &Digest| {
            let named = runs.0.store.import_of(*sha256).exists();
            named || runs.standing().import(*sha256).is_some()
        };
        if let Some(sha256) = self.purged.filter(there) {
            wrong.push(format!("{sha256} is not purged"));
        }
        for entry in fs::read_dir(runs.root().join("imported")).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().ends_with(".tar.zst") {
                wrong.push(format!("{} is left", entry.path().display()));
            }
        }
        // What is over stands in the way of nothing.
        for bundle in bundles {
            let brought = self.wait(runs.import(bundle.clone(), &operator()));
            let sha256 = bundle.digest().expect("read");
            match brought {
                Ok(Imported { kept: Some(Keeping::New), .. }) if self.kept.contains(&sha256) => {
                    wrong.push(format!("{sha256} was not here"));
                }
                Ok(_) => {}
                Err(problem) => wrong.push(format!("{sha256}: {}", chain(&problem))),
            }
        }
        wrong
    }
}

fn asked() -> ImportPurgeRequest {
    let reason = "its time is over".to_owned();
    ImportPurgeRequest { reason, dry_run: false, even_damaged: false }
}

fn operator() -> Caller {
    let uid = rustix::process::geteuid().as_raw();
    Caller::Socket { uid, gid: 0, pid: Some(1) }
}

/// How many steps a life takes on a disk that does as it is told.
fn steps(bundles: &[Blob]) -> u64 {
    let mut trial = Trial::new();
    let plan = Plan::below(trial.place.path(), Fault::Failed, u64::MAX);
    trial.live(bundles);
    let steps = plan.steps();
    drop(plan);
    assert_eq!((trial.refused.as_slice(), trial.kept.len()), (&[][..], 2));
    assert!(trial.purged.is_some());
    assert_eq!(trial.wrong(bundles), Vec::<String>::new());
    steps
}

/// What is wrong after `fault` at `step`, and a start.
fn outcome(bundles: &[Blob], fault: Fault, step: u64) -> Vec<String> {
    let mut trial = Trial::new();
    let plan = Plan::below(trial.place.path(), fault, step);
    trial.live(bundles);
    drop(plan);
    let mut wrong = trial.wrong(bundles);
    // What went wrong once does not stand in the way of a second attempt.
    if matches!(fault, Fault::Failed | Fault::FailedButWritten | Fault::Torn | Fault::Slow) {
        wrong.append(&mut trial.refused);
    }
    wrong
}

#[test]
fn a_disk_that_fails_at_any_step_loses_no_bundle_that_is_kept_and_keeps_none_untold() {
    let other = Trial::new();
    let bundles = {
        let runs = other.open().expect("a store");
        let bundles = [other.bundle(&runs), other.bundle(&runs)];
        other.wait(runs.stopped());
        bundles
    };
    try_all(steps(&bundles), STRIDE, |fault, step| outcome(&bundles, fault, step));
}
