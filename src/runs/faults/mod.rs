//! A disk that fails, at every step of a daemon's life as far as it is not a run's. A start afterwards
//! brings all into order: what was told holds, and verification finds nothing. `cargo test` tries some
//! of the steps, `EXHIBIT_FAULTS=all` every one.

mod archives;
mod beside;
mod first;
mod imports;
mod keeping;
mod kept;
mod room;
mod writers;

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

use super::Runs;
use crate::clock::Clock;
use crate::config::Config;
use crate::disk;
use crate::disk::fault::{Fault, Plan, try_all, try_in_turn};
use crate::error::{Problem, chain};
use crate::evidence::{
    Finding, FindingCode, KeyKind, LogKey, Signers, SignersError, Trust, verify,
};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::request::PurgeRequest;
use crate::run::{Caller, Ending, RunSpec};
use crate::tasks::Tasks;
use crate::tlog::policy::Policy;

/// A daemon's folder, on a disk that can fail.
struct DaemonFolder {
    folder: tempfile::TempDir,
    config: Arc<Config>,
    clock: Clock,
    runtime: Runtime,
}

impl DaemonFolder {
    fn at(folder: tempfile::TempDir, now: Timestamp) -> Self {
        let mut config = Config::default();
        config.store.path = folder.path().join("store");
        config.store.min_free = 0;
        config.store.min_free_inodes = 0;
        config.keys.signing = folder.path().join("keys/evidence");
        config.retention.default = 1;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        Self { folder, config: Arc::new(config), clock: Clock::fixed(now), runtime }
    }

    fn new() -> Self {
        Self::at(scratch(), "2026-11-24T08:15:46.120Z".parse().expect("a time"))
    }

    /// Another one that begins where this one is.
    fn copy(&self) -> Self {
        let folder = scratch();
        for name in ["store", "keys"] {
            copy_tree(&self.folder.path().join(name), &folder.path().join(name));
        }
        Self::at(folder, self.clock.now().wall)
    }

    fn plan(&self, fault: Fault, step: u64) -> Plan {
        Plan::below(self.folder.path(), fault, step)
    }

    fn open(&self) -> Result<Runs, Problem> {
        self.clock.advance(Duration::from_secs(2));
        if let Some(amiss) = self.config.inventory().amiss().into_iter().next() {
            return Err(Problem::internal("looking before anything is made", amiss));
        }
        let log_key = LogKey::load_or_create(&self.config.keys.log_file());
        let log_key = log_key.map_err(|error| Problem::internal("the log's key", error))?;
        let (_, config) = watch::channel(Arc::clone(&self.config));
        Runs::open(config, &log_key, self.clock.clone(), Tasks::new())
    }

    /// How many steps a start takes.
    fn steps_of_a_start(&self) -> u64 {
        let plan = self.plan(Fault::Failed, u64::MAX);
        drop(self.open().expect("a start"));
        plan.steps()
    }

    /// A start while `fault` happens at `step`.
    fn start_badly(&self, fault: Fault, step: u64) {
        let plan = self.plan(fault, step);
        drop(self.open());
        drop(plan);
    }

    fn wait<T>(&self, work: impl Future<Output = T>) -> T {
        self.clock.advance(Duration::from_millis(10));
        self.runtime.block_on(work)
    }

    fn sealed(&self, runs: &Runs) -> Result<Receipt, Problem> {
        let run = self.begun(runs)?;
        self.wait(runs.seal(run, &operator(), Ending::sealed("succeeded")))
    }

    fn begun(&self, runs: &Runs) -> Result<RunId, Problem> {
        let spec = RunSpec { workflow: "nightly".to_owned(), ..RunSpec::default() };
        Ok(self.wait(runs.begin(spec, operator(), json!({"browser": "none"})))?.id)
    }

    /// Do `act`, and once more if it fails, as those who call do; what was refused is put into `refused`.
    fn twice<T>(
        &self,
        what: &str,
        refused: &mut Vec<String>,
        act: impl Fn(&Self) -> Result<T, Problem>,
    ) -> Option<T> {
        let done = act(self).or_else(|_| act(self));
        done.inspect_err(|error| refused.push(format!("{what}: {}", chain(error)))).ok()
    }

    /// As `exhibit keys rotate` does.
    fn rotate(&self) -> Result<String, SignersError> {
        let keys = &self.config.keys;
        let mut signers = Signers::open(&keys.signers_file())?;
        signers.rotate(&keys.place(), KeyKind::Ed25519, "a year is over")
    }

    /// What verification finds, notes included, and what is left over.
    fn wrong(&self, runs: &Runs) -> Vec<String> {
        let signers = Signers::open(&self.config.keys.signers_file()).expect("a history");
        let principal = &self.config.keys.principal;
        let lines = signers.allowed_signers(principal, runs.0.signing.key().signer().public());
        let policy =
            Policy::parse(&format!("log {}\n", runs.0.context.log.key())).expect("a policy");
        let trust = Trust::from_allowed_signers(&lines).expect("a list").with_log(policy);
        let report = verify::store(runs.root(), &trust, &[]);
        let folders = report.folders.iter().flat_map(|folder| &folder.findings);
        // What a start says of events, and of custody, that the log had not heard of is said of honest
        // ones, too.
        let said =
            [FindingCode::EventsUnlogged, FindingCode::FilesUnnamed, FindingCode::CustodyUnlogged];
        let findings =
            folders.chain(&report.findings).filter(|finding| !said.contains(&finding.code));
        let words = |it: &Finding| format!("{} {}: {}", it.code, it.place, it.found);
        let mut wrong: Vec<String> = findings.map(words).collect();
        left_over(self.folder.path(), &mut wrong);
        wrong
    }
}

/// What a daemon does on a disk that can fail, and what must hold afterwards.
trait Life: Send + Sized {
    fn place(&self) -> &DaemonFolder;

    /// Another one that begins where this one is.
    fn copy(&self) -> Self;

    fn live(&mut self);

    /// What is wrong after a start.
    fn wrong(&self) -> Vec<String>;

    /// What was refused twice in a row.
    fn refused(&mut self) -> Vec<String>;

    /// Whether all was told that can be, which it is on a disk that does as it is told.
    fn is_all_told(&self) -> bool;
}

/// How many steps a life takes on a disk that does as it is told.
fn steps(first: &impl Life) -> u64 {
    let mut trial = first.copy();
    let plan = trial.place().plan(Fault::Failed, u64::MAX);
    trial.live();
    assert_eq!(trial.refused(), Vec::<String>::new());
    let steps = plan.steps();
    drop(plan);
    assert_eq!(trial.wrong(), Vec::<String>::new());
    assert!(trial.is_all_told());
    steps
}

/// Each fault at each step of a life, and a start.
fn try_life(first: impl Life, stride: usize) {
    let steps = steps(&first);
    // One at a time is copied: it is read by several.
    let first = Mutex::new(first);
    let copy = || first.lock().expect("no copy fails").copy();
    try_all(steps, stride, |fault, step| {
        let mut trial = copy();
        let plan = trial.place().plan(fault, step);
        trial.live();
        drop(plan);
        let mut wrong = trial.wrong();
        // What went wrong once does not stand in the way of a second attempt.
        if is_over(fault) {
            wrong.append(&mut trial.refused());
        }
        wrong
    });
}

/// A crash at each step of a life, twice: the start after it goes wrong elsewhere each time.
fn try_two_crashes(first: impl Life, stride: usize) {
    let (steps, start) = (steps(&first), first.copy().place().steps_of_a_start());
    let first = Mutex::new(first);
    let copy = || first.lock().expect("no copy fails").copy();
    try_in_turn(steps * 2, stride, |fault, turn| {
        let mut trial = copy();
        let plan = trial.place().plan(Fault::Killed, turn % steps);
        trial.live();
        drop(plan);
        trial.place().start_badly(fault, turn * 31 % start);
        trial.wrong()
    });
}

/// Whether a fault is over once it was told of: then a second attempt succeeds.
fn is_over(fault: Fault) -> bool {
    matches!(fault, Fault::Failed | Fault::FailedButWritten | Fault::Torn | Fault::Slow)
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

/// What nobody needs any more: files cut short, purged and archived folders, a key that waits.
fn left_over(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let ends = |end| path.to_string_lossy().ends_with(end);
        if ends(".partial")
            || ends(".next")
            || path.parent().is_some_and(|it| it.ends_with("purging") || it.ends_with("archiving"))
        {
            found.push(format!("{} is left", path.display()));
        } else if path.is_dir() {
            left_over(&path, found);
        }
    }
}
