//! A disk that fails, at every step of a daemon's life as far as it is not a run's: a key exchanged, the
//! store taken up, a purge finished that was cut short, runs held, looked at and purged. A start
//! afterwards brings all into order: what was told holds, and verification finds nothing.
//! `cargo test` tries some of the steps, `EXHIBIT_FAULTS=all` every one.

use std::collections::BTreeSet;
use std::fs;
use std::future::Future;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::custody::decided;
use super::{Looker, Runs};
use crate::clock::{Clock, rfc3339_millis};
use crate::config::Config;
use crate::disk;
use crate::disk::fault::{Fault, Plan, try_all};
use crate::error::{Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{
    Act, CustodyEvent, Finding, KeyKind, LogKey, RunSummary, Signers, SignersError, Trust,
    custody_lines, seal_digest, verify,
};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::request::{HoldRequest, PurgeRequest};
use crate::run::{Caller, Ending, Reader, RunSpec};
use crate::tasks::Tasks;
use crate::tlog::policy::Policy;

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 23;
const DAY: Duration = Duration::from_hours(24);

/// What somebody was told, and so must hold.
#[derive(Debug, Default)]
struct Told {
    sealed: Vec<Receipt>,
    held: Vec<RunId>,
    seen: Vec<RunId>,
    purged: Vec<RunId>,
    /// Fingerprints of keys: one that was to be next, those that signed.
    keys: Vec<String>,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

/// A daemon on a disk that can fail.
struct Trial {
    place: tempfile::TempDir,
    config: Arc<Config>,
    clock: Clock,
    runtime: Runtime,
    /// Due; due and to be held; due, and its purge was cut short.
    runs: [RunId; 3],
    told: Told,
}

impl Trial {
    fn at(place: tempfile::TempDir, now: Timestamp, runs: [RunId; 3]) -> Self {
        let mut config = Config::default();
        config.store.path = place.path().join("store");
        config.store.min_free = 0;
        config.keys.signing = place.path().join("keys/evidence");
        config.retention.default = 1;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (config, clock) = (Arc::new(config), Clock::fixed(now));
        Self { place, config, clock, runtime, runs, told: Told::default() }
    }

    fn new() -> Self {
        let now = "2026-11-24T08:15:46.120Z".parse().expect("a time");
        let nobody = Clock::fixed(now).now();
        let mut trial = Self::at(scratch(), now, [RunId::new(nobody); 3]);
        let runs = trial.open().expect("a store");
        for index in 0..3 {
            trial.runs[index] = trial.sealed(&runs).expect("sealed").run;
        }
        trial.clock.advance(2 * DAY);
        trial.cut_short(&runs, trial.runs[2]);
        trial
    }

    /// Another one that begins where this one is.
    fn copy(&self) -> Self {
        let place = scratch();
        for name in ["store", "keys"] {
            copy_tree(&self.place.path().join(name), &place.path().join(name));
        }
        Self::at(place, self.clock.now().wall, self.runs)
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

    /// The purge of `run` is in the log, and that is all.
    fn cut_short(&self, runs: &Runs, run: RunId) {
        let asked = purge_all();
        let folder = runs.0.store.folder_of(run);
        let summary = RunSummary::read(&folder).expect("readable");
        let buried = leaf::Burial {
            run,
            workflow: &summary.workflow,
            seal_index: runs.log().places(&[run]).expect("found")[&run].seal,
            seal_sha256: seal_digest(&folder),
            sealed_at: &summary.sealed_at,
            kept_until: rfc3339_millis(runs.kept_until(&summary)),
            retention: summary.retention.as_ref(),
            damage: &BTreeSet::new(),
            reason: &asked.reason,
            by: &operator(),
        };
        runs.0.store.mark_purge(run).expect("marked");
        let deed = decided(&operator(), Act::Purge, vec![run], json!({}));
        let entry = leaf::purge(&buried, self.clock.now());
        runs.put_down(&mut runs.standing(), deed, vec![entry]).expect("put down");
    }

    fn sealed(&self, runs: &Runs) -> Result<Receipt, Problem> {
        let run = self.begun(runs)?;
        self.wait(runs.seal(run, &operator(), Ending::sealed("succeeded")))
    }

    fn begun(&self, runs: &Runs) -> Result<RunId, Problem> {
        let spec = RunSpec { workflow: "nightly".to_owned(), ..RunSpec::default() };
        Ok(self.wait(runs.begin(spec, operator(), json!({"browser": "none"})))?.id)
    }

    /// Do `act`, and once more if it fails: as those who call do.
    fn twice<T>(&mut self, what: &str, act: impl Fn(&Self) -> Result<T, Problem>) -> Option<T> {
        let done = act(self).or_else(|_| act(self));
        done.inspect_err(|error| self.told.refused.push(format!("{what}: {}", chain(error)))).ok()
    }

    fn live(&mut self) {
        // Refused the second time because it waits already: so it was done, and not told.
        self.told.keys.extend(self.rotate().or_else(|_| self.rotate()));
        let Some(runs) = self.twice("open", Self::open) else { return };
        self.told.keys.push(runs.0.signing.fingerprint());
        let [due, held, _] = self.runs;
        let asked = || HoldRequest { runs: vec![held], reason: "a suit".to_owned(), matter: None };
        // What is in doubt the second time says so: it is held already.
        if self.wait(runs.hold(asked(), &operator())).is_ok()
            || self.wait(runs.hold(asked(), &operator())).is_ok()
        {
            self.told.held.push(held);
        }
        let looker = Looker::caller(operator(), Reader::Everything);
        let seen = self.twice("look", |trial| trial.wait(runs.look(due, &looker)).map(drop));
        self.told.seen.extend(seen.map(|()| due));
        let sealed = self.twice("seal", |trial| trial.sealed(&runs));
        self.told.sealed.extend(sealed);
        if self.told.held.contains(&held) {
            let purge = |trial: &Self| trial.wait(runs.purge(purge_all(), &operator()));
            let purged = self.twice("purge", purge);
            let purged = purged.iter().flat_map(|done| &done.purged).map(|going| going.run);
            self.told.purged.extend(purged);
        }
        drop(self.begun(&runs));
        self.wait(runs.stopped());
    }

    /// As `exhibit keys rotate` does.
    fn rotate(&self) -> Result<String, SignersError> {
        let keys = &self.config.keys;
        let mut signers = Signers::open(&keys.signers_file())?;
        signers.rotate(&keys.place(), KeyKind::Ed25519, "a year is over")
    }

    /// What is wrong after a start.
    fn wrong(&self) -> Vec<String> {
        let runs = match self.open() {
            Ok(runs) => runs,
            Err(problem) => return vec![format!("no start: {}", chain(&problem))],
        };
        let mut wrong = Vec::new();
        let signers = Signers::open(&self.config.keys.signers_file()).expect("a history");
        let principal = &self.config.keys.principal;
        let lines = signers.allowed_signers(principal, runs.0.signing.signer().public());
        let policy = Policy::parse(&format!("log {}\n", runs.log().key())).expect("a policy");
        let trust = Trust::from_allowed_signers(&lines).expect("a list").with_log(policy);
        let report = verify::store(runs.root(), &trust, &[]);
        let folders = report.folders.iter().flat_map(|folder| &folder.findings);
        let findings = folders.chain(&report.findings);
        let words = |it: &Finding| format!("{} {}: {}", it.code, it.place, it.found);
        wrong.extend(findings.map(words));
        wrong.extend(self.runs_wrong(&runs));
        let known = |key: &&String| signers.keys().iter().any(|epoch| epoch.fingerprint == **key);
        let unknown = self.told.keys.iter().filter(|key| !known(key));
        wrong.extend(unknown.map(|key| format!("the key {key} is gone")));
        if self.told.keys.first().is_some_and(|key| *key != runs.0.signing.fingerprint()) {
            wrong.push("another key signs than the one that was to be next".to_owned());
        }
        let mut seen = Vec::new();
        custody_lines(runs.root(), |_, _, line, _| {
            let event: CustodyEvent = serde_json::from_slice(line).expect("an event");
            seen.extend(event.runs.into_iter().map(|run| (event.act, run)));
            false
        })
        .expect("readable");
        let unseen = self.told.seen.iter().filter(|run| !seen.contains(&(Act::View, **run)));
        wrong.extend(unseen.map(|run| format!("who looked at {run} is gone")));
        left_over(self.place.path(), &mut wrong);
        // What is over stands in the way of nothing.
        wrong.extend(self.rotate().err().map(|error| format!("no other key: {error}")));
        wrong
    }

    /// What is not as it was told, or neither there nor gone.
    fn runs_wrong(&self, runs: &Runs) -> Vec<String> {
        let mut wrong = Vec::new();
        for run in self.runs {
            let there = runs.0.store.folder_of(run).is_dir();
            let indexed = runs.0.index.lock().expect("whole").get(run).expect("read").is_some();
            if runs.tombstone(run).is_some() == there || there != indexed {
                wrong.push(format!("{run}: there is {there}, indexed {indexed}"));
            }
        }
        let [_, held, cut_short] = self.runs;
        let purged = self.told.purged.iter().chain([&cut_short]);
        let stayed = purged.filter(|run| runs.tombstone(**run).is_none());
        wrong.extend(stayed.map(|run| format!("the purge of {run} is gone")));
        if runs.tombstone(held).is_some() && self.told.held.contains(&held) {
            wrong.push("a run was purged that is held".to_owned());
        }
        let let_go = self.told.held.iter().filter(|run| runs.holds_on(**run).is_empty());
        wrong.extend(let_go.map(|run| format!("the hold on {run} is gone")));
        let sealed = |receipt: &&Receipt| {
            let folder = runs.0.store.folder_of(receipt.run);
            seal_digest(&folder) != Some(receipt.seal_sha256)
        };
        let lost = self.told.sealed.iter().filter(sealed);
        wrong.extend(lost.map(|receipt| format!("the seal of {} is gone", receipt.run)));
        wrong
    }
}

fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

fn copy_tree(from: &Path, to: &Path) {
    let metadata = fs::metadata(from).expect("there");
    if metadata.is_dir() {
        disk::make_dirs(to).expect("made");
        for entry in fs::read_dir(from).expect("a folder") {
            let entry = entry.expect("an entry");
            copy_tree(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        let mut file = fs::File::open(from).expect("readable");
        disk::unpack_file(to, &mut file).expect("copied");
    }
    disk::set_mode(to, metadata.permissions().mode() & 0o7777).expect("set");
}

fn operator() -> Caller {
    let uid = rustix::process::geteuid().as_raw();
    Caller::Socket { uid, gid: 0, pid: Some(1) }
}

fn purge_all() -> PurgeRequest {
    let reason = "their time is over".to_owned();
    PurgeRequest { runs: Vec::new(), reason, dry_run: false, even_damaged: false }
}

/// What nobody needs any more: files cut short, purged folders, a key that waits.
fn left_over(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let ends = |end| path.to_string_lossy().ends_with(end);
        if ends(".partial")
            || ends(".next")
            || path.parent().is_some_and(|it| it.ends_with("purging"))
        {
            found.push(format!("{} is left", path.display()));
        } else if path.is_dir() {
            left_over(&path, found);
        }
    }
}

/// How many steps a life takes on a disk that does as it is told.
fn steps(first: &Trial) -> u64 {
    let mut trial = first.copy();
    let plan = Plan::below(trial.place.path(), Fault::Failed, u64::MAX);
    trial.live();
    assert_eq!(trial.told.refused, Vec::<String>::new());
    let steps = plan.steps();
    drop(plan);
    assert_eq!(trial.wrong(), Vec::<String>::new());
    let told = &trial.told;
    let counts = [told.sealed.len(), told.held.len(), told.seen.len(), told.purged.len()];
    assert_eq!((counts, told.keys.len()), ([1, 1, 1, 1], 2));
    steps
}

/// What is wrong after `fault` at `step`, and a start.
fn outcome(mut trial: Trial, fault: Fault, step: u64) -> Vec<String> {
    let plan = Plan::below(trial.place.path(), fault, step);
    trial.live();
    drop(plan);
    let mut wrong = trial.wrong();
    // What went wrong once does not stand in the way of a second attempt.
    if matches!(fault, Fault::Failed | Fault::FailedButWritten | Fault::Torn | Fault::Slow) {
        wrong.append(&mut trial.told.refused);
    }
    wrong
}

#[test]
fn a_disk_that_fails_at_any_step_undoes_no_hold_no_purge_and_no_key() {
    let first = Trial::new();
    let steps = steps(&first);
    // One at a time is copied: it is read by several.
    let first = Mutex::new(first);
    let copy = || first.lock().expect("no copy fails").copy();
    try_all(steps, STRIDE, |fault, step| outcome(copy(), fault, step));
}
