//! A disk that fails, at every step of a store's life: runs begun, filled and sealed, the log grown.
//! Whatever goes wrong, and even if the process is killed there, a start afterwards brings the store
//! into order: verification finds nothing, and all that anybody was told is in it. `cargo test` tries
//! some of the steps, `EXHIBIT_FAULTS=all` every one.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::draft::Draft;
use super::error::StoreError;
use super::fixture::{ORIGIN, agent_says, file, id, log_key, opening, signer, trust_in_log};
use super::layout::{EVENTS, SEAL};
use super::log::{Log, grow, leaf};
use super::store::Store;
use super::verify;
use crate::artifact::Artifact;
use crate::clock::{Clock, Moment};
use crate::digest::Digest;
use crate::disk::fault::{Fault, Plan, try_all};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Ending, Recorded};

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 7;
/// Entries of the log beforehand: a bundle becomes full on the way.
const BEFORE: usize = 253;

/// What somebody was told, and so must be found again.
#[derive(Debug, Default)]
struct Told {
    runs: BTreeMap<RunId, ToldOfRun>,
    entries: Vec<(u64, Vec<u8>)>,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

#[derive(Debug, Default)]
struct ToldOfRun {
    artifacts: Vec<Artifact>,
    events: Vec<Recorded>,
    receipt: Option<Receipt>,
}

/// A store on a disk that can fail.
struct Trial {
    place: tempfile::TempDir,
    clock: Clock,
    told: Told,
}

impl Trial {
    fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let place =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = place.expect("a folder");
        let clock = Clock::fixed("2026-11-24T08:15:46.120Z".parse().expect("a time"));
        let trial = Self { place, clock, told: Told::default() };
        let store = Store::open(&trial.root()).expect("a store");
        let log = Log::open(store.root(), &log_key(), ORIGIN).expect("a log");
        grow(&log, BEFORE);
        trial
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("store")
    }

    fn now(&self) -> Moment {
        self.clock.advance(Duration::from_millis(10));
        self.clock.now()
    }

    /// Do `act`, and once more if it fails: as those who call do.
    fn twice<T>(
        &mut self,
        what: &str,
        mut act: impl FnMut(&mut Self) -> Result<T, StoreError>,
    ) -> Option<T> {
        let done = act(self).or_else(|_| act(self));
        done.inspect_err(|error| self.told.refused.push(format!("{what}: {error}"))).ok()
    }

    /// Run number one is sealed, number two left open, and the log is used by another as well.
    fn live(&mut self) {
        let root = self.root();
        let Some(store) = self.twice("open", |_| Store::open(&root)) else { return };
        let log = self.twice("open the log", |_| Log::open(&root, &log_key(), ORIGIN));
        let Some(log) = log.map(Arc::new) else { return };
        let store = store.with_log(Arc::clone(&log));
        let finished = self.fill(&store, 0);
        let entry = leaf::heartbeat(1, Duration::from_secs(900), self.now());
        if let Some(index) = self.twice("append", |_| log.append(entry.clone())) {
            self.told.entries.push((index, entry));
        }
        if let Some(draft) = finished {
            self.seal(draft, &Ending::sealed("succeeded"));
        }
        drop(self.fill(&store, 1));
    }

    /// Begin a run and put some of everything into it.
    fn fill(&mut self, store: &Store, index: usize) -> Option<Draft> {
        let (run, provenance) = (id(index), json!({"browser": "none"}));
        let begin = |trial: &mut Self| {
            // A second attempt of a caller's is another run.
            store.begin(&opening(run), &provenance, trial.now())
        };
        let mut draft = begin(self).ok()?;
        self.told.runs.insert(run, ToldOfRun::default());
        let files = || {
            vec![
                file("captures/0001-before/screenshot.png", run.to_string().repeat(99).as_bytes()),
                file("captures/0001-before/capture.json", b"{}\n"),
            ]
        };
        if let Some(added) = self.twice("add", |_| draft.add(files())) {
            self.told_of(run).artifacts.extend(added);
        }
        let said = self.twice("record", |trial| draft.record(&[agent_says("paid")], trial.now()));
        self.told_of(run).events.extend(said.into_iter().flatten());
        let attached = self.twice("attach", |_| {
            let mut attachment = draft.attachment("agent.log")?;
            attachment.write_all(b"a line\n").map_err(StoreError::at(draft.folder()))?;
            draft.finish_attachment(attachment, "text/plain")
        });
        self.told_of(run).artifacts.extend(attached);
        Some(draft)
    }

    fn told_of(&mut self, run: RunId) -> &mut ToldOfRun {
        self.told.runs.get_mut(&run).expect("begun")
    }

    fn seal(&mut self, draft: Draft, ending: &Ending) {
        let run = draft.id();
        let sealed = draft.seal(ending, &signer(), self.now());
        let sealed = sealed.or_else(|error| error.draft.seal(ending, &signer(), self.now()));
        match sealed {
            Ok(receipt) => self.told_of(run).receipt = Some(receipt),
            Err(error) => self.told.refused.push(format!("seal: {:?}", error.source)),
        }
    }

    /// What a start does.
    fn start(&self) {
        let root = self.root();
        let store = Store::open(&root).expect("a store");
        let log = Arc::new(Log::open(&root, &log_key(), ORIGIN).expect("a log"));
        let store = store.with_log(Arc::clone(&log));
        let unfinished = store.unfinished().expect("listed");
        let places = log.places(&unfinished).expect("found");
        for run in unfinished {
            let (draft, salvage) = store.resume(run, places[&run], self.now()).expect("taken up");
            assert!(!salvage.is_damaged(), "{salvage:?}");
            let ending = salvage.ending.clone();
            let ending = ending.unwrap_or_else(|| Ending::interrupted("the daemon ended"));
            draft.seal(&ending, &signer(), self.now()).expect("sealed");
        }
        store.settle().expect("settled");
    }

    /// What is wrong with the store, which was started again.
    fn wrong(&self) -> Vec<String> {
        let root = self.root();
        let report = verify::store(&root, &trust_in_log(""), &[]);
        let folders = report.folders.iter().flat_map(|folder| &folder.findings);
        let findings = folders.chain(&report.findings);
        let mut wrong: Vec<String> =
            findings.map(|finding| format!("{} {}", finding.code, finding.place)).collect();
        let log = Log::open(&root, &log_key(), ORIGIN).expect("a log");
        for (index, entry) in &self.told.entries {
            if log.entry(*index).ok().as_ref() != Some(entry) {
                wrong.push(format!("entry {index} is gone"));
            }
        }
        for (run, told) in &self.told.runs {
            wrong.extend(missing(&root.join(super::layout::sealed_place(*run)), told));
        }
        wrong
    }
}

/// What the sealed `folder` lacks of what was told.
fn missing(folder: &Path, told: &ToldOfRun) -> Vec<String> {
    let digest = |name: &str| fs::read(folder.join(name)).ok().map(|bytes| Digest::of(&bytes));
    let events = fs::read(folder.join(EVENTS)).unwrap_or_default();
    let events: HashSet<Digest> = events.split(|byte| *byte == b'\n').map(Digest::of).collect();
    let gone = |what: String| format!("{}: {what} is gone", folder.display());
    let artifacts = told.artifacts.iter().filter(|it| digest(&it.path) != Some(it.sha256));
    let lost = told.events.iter().filter(|event| !events.contains(&event.sha256));
    let seal = told.receipt.iter().filter(|receipt| digest(SEAL) != Some(receipt.seal_sha256));
    artifacts
        .map(|artifact| gone(artifact.path.clone()))
        .chain(lost.map(|event| gone(format!("event {}", event.sequence))))
        .chain(seal.map(|_| gone("the seal".to_owned())))
        .collect()
}

/// How many steps a life takes on a disk that does as it is told.
fn steps() -> u64 {
    let mut trial = Trial::new();
    let plan = Plan::below(&trial.root(), Fault::Failed, u64::MAX);
    trial.live();
    assert_eq!(trial.told.refused, Vec::<String>::new());
    let steps = plan.steps();
    drop(plan);
    trial.start();
    assert_eq!(trial.wrong(), Vec::<String>::new());
    steps
}

/// What is wrong after `fault` at `step`, and a start.
fn outcome(fault: Fault, step: u64) -> Vec<String> {
    let mut trial = Trial::new();
    let plan = Plan::below(&trial.root(), fault, step);
    trial.live();
    drop(plan);
    trial.start();
    let mut wrong = trial.wrong();
    // What went wrong once does not stand in the way of a second attempt.
    if matches!(fault, Fault::Failed | Fault::FailedButWritten | Fault::Torn | Fault::Slow) {
        wrong.append(&mut trial.told.refused);
    }
    wrong
}

#[test]
fn a_disk_that_fails_at_any_step_costs_nothing_that_was_told() {
    try_all(steps(), STRIDE, outcome);
}
