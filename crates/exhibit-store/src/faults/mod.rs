//! A disk that fails, at every step of a store's life: runs begun, filled, stamped and sealed, files
//! that grow and files that come late, the log grown.
//! Whatever goes wrong, and even if the process is killed there, a start afterwards brings the store
//! into order: verification finds nothing, and all that anybody was told is in it. `cargo test` tries
//! some of the steps, `EXHIBIT_FAULTS=all` every one.

mod stamper;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use self::stamper::{ClockedStamper, Stamper};
use super::draft::{Attachment, Draft};
use super::error::StoreError;
use super::finding::FindingCode;
use super::fixture::{ORIGIN, agent_says, file, id, log_key, opening, signer, trust_in_log};
use super::growing_file::GrowingFile;
use super::layout::{EVENTS, SEAL};
use super::log::{Log, grow, leaf};
use super::store::Store;
use super::triage::Triage;
use super::verify;
use crate::artifact::Artifact;
use crate::clock::{Clock, Moment};
use crate::digest::Digest;
use crate::disk::fault::{Fault, Plan, try_all};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Ending, Event, Recorded};

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 7;
/// Entries of the log beforehand: a bundle becomes full on the way.
const BEFORE: usize = 253;

/// What somebody was told, and so must be found again.
#[derive(Debug, Default)]
struct Acknowledged {
    runs: BTreeMap<RunId, ToldOfRun>,
    entries: Vec<(u64, Vec<u8>)>,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

#[derive(Debug, Default)]
struct ToldOfRun {
    artifacts: Vec<Artifact>,
    events: Vec<Recorded>,
    grown: Option<Grown>,
    receipt: Option<Receipt>,
}

/// What was written to a recording.
#[derive(Debug, Default)]
struct Grown {
    name: &'static str,
    /// Its beginning; four zeros where that is not known.
    bytes: Vec<u8>,
    ended: bool,
}

impl Grown {
    /// Whether `bytes` begin so.
    fn is_in(&self, bytes: &[u8]) -> bool {
        let known = if self.bytes.starts_with(&[0; 4]) { 4 } else { 0 };
        bytes.get(known..self.bytes.len()) == Some(&self.bytes[known..])
    }
}

/// A store on a disk that can fail.
struct Trial {
    place: tempfile::TempDir,
    clock: Clock,
    stamper: Arc<Stamper>,
    told: Acknowledged,
}

impl Trial {
    fn new(stamper: &Arc<Stamper>) -> Self {
        let memory = Path::new("/dev/shm");
        let place =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = place.expect("a folder");
        let clock = Clock::fixed("2026-11-24T08:15:46.120Z".parse().expect("a time"));
        let trial =
            Self { place, clock, stamper: Arc::clone(stamper), told: Acknowledged::default() };
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
        let asked = Arc::new(ClockedStamper(Arc::clone(&self.stamper), self.clock.clone()));
        let store = store.with_log(Arc::clone(&log)).with_authority(asked);
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
        let mut recording = self.record_page(&mut draft);
        // The attachment comes while the run goes on.
        let mut attachment = self.twice("attach", |_| attachment_of(&mut draft));
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
        if let Some(recording) = &mut recording {
            self.append(run, recording, b", its middle");
        }
        let attached = self.twice("attach", |_| {
            // It is gone when it could not be finished, and its caller sends it again.
            let written = attachment.take().map_or_else(|| attachment_of(&mut draft), Ok)?;
            draft.finish_attachment(written, "text/plain")
        });
        self.told_of(run).artifacts.extend(attached);
        // The other run's recording is cut short.
        if let Some(recording) = recording.filter(|_| index == 0) {
            self.finish(&mut draft, recording);
        }
        Some(draft)
    }

    /// Begin a recording; where that fails, another one.
    fn record_page(&mut self, draft: &mut Draft) -> Option<(&'static str, GrowingFile)> {
        let mut names = ["recordings/0001.mp4", "recordings/0002.mp4"].into_iter();
        let begun = self.twice("begin a recording", |_| {
            let name = names.next().expect("two attempts");
            Ok((name, draft.begin_growing(name, 0)?))
        });
        let mut begun = begun?;
        self.append(draft.id(), &mut begun, b"HEAD, its beginning");
        Some(begun)
    }

    /// Append to a recording, which a disk that fails ends.
    fn append(&mut self, run: RunId, (name, file): &mut (&'static str, GrowingFile), bytes: &[u8]) {
        let new = Grown { name, ..Grown::default() };
        let grown = self.told_of(run).grown.get_or_insert(new);
        if !grown.ended && file.append(bytes).is_ok() {
            grown.bytes.extend(bytes);
        } else {
            grown.ended = true;
        }
    }

    /// Write over the head of a recording, as finishing does, and make it part of its run.
    fn finish(&mut self, draft: &mut Draft, (name, mut file): (&'static str, GrowingFile)) {
        let grown = self.told_of(draft.id()).grown.as_mut();
        if let Some(grown) = grown.filter(|grown| !grown.ended) {
            if file.patch(0, b"head").is_ok() {
                grown.bytes[..4].copy_from_slice(b"head");
            } else {
                // It may be there, in part, or not.
                grown.bytes[..4].fill(0);
            }
        }
        drop(file);
        let kept = self.twice("finish a recording", |trial| {
            let (artifact, _) = draft.finish_growing(name)?;
            let event = Event::exhibit("recording.taken", json!({ "artifacts": [artifact] }));
            draft.record(&[event], trial.now())?;
            Ok(artifact)
        });
        self.told_of(draft.id()).artifacts.extend(kept);
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
        let mut histories = log.histories(&unfinished).expect("found");
        for run in unfinished {
            let history = histories.remove(&run).expect("asked for");
            match store.triage(run, &history).expect("judged") {
                Triage::Resume => self.resume(&store, run, history.events()),
                Triage::Publish(index) => store.publish_sealed(run, index).expect("published"),
                Triage::Discard => {
                    assert!(!self.told.runs.contains_key(&run), "{run} was told of");
                    store.discard(run).expect("discarded");
                }
                Triage::Quarantine(code) => panic!("{run} is set aside: {code}"),
            }
        }
        store.settle().expect("settled");
    }

    fn resume(&self, store: &Store, run: RunId, logged: Option<u64>) {
        let (draft, salvage) = store.resume(run, logged).expect("taken up");
        assert!(!salvage.is_damaged(), "{salvage:?}");
        let ending = salvage.logged_ending();
        let ending = ending.unwrap_or_else(|| Ending::interrupted("the daemon ended"));
        draft.seal(&ending, &signer(), self.now()).expect("sealed");
    }

    /// What is wrong with the store, which was started again.
    fn wrong(&self) -> Vec<String> {
        let root = self.root();
        let trust = trust_in_log("").with_time(self.stamper.authorities());
        let report = verify::store(&root, &trust, &[]);
        let folders = report.folders.iter().flat_map(|folder| &folder.findings);
        // What recovery says of events that the log had not heard of, and of files that no event tells
        // of, is said of honest ones, too.
        let said = [FindingCode::EventsUnlogged, FindingCode::FilesUnnamed];
        let findings =
            folders.chain(&report.findings).filter(|finding| !said.contains(&finding.code));
        let mut wrong: Vec<String> =
            findings.map(|finding| format!("{} {}", finding.code, finding.place)).collect();
        let log = Log::open(&root, &log_key(), ORIGIN).expect("a log");
        for (index, entry) in &self.told.entries {
            if log.entry(*index).ok().as_ref() != Some(entry) {
                wrong.push(format!("entry {index} is gone"));
            }
        }
        let stamped = report.folders.iter().filter(|folder| folder.stamped.is_some()).count();
        let receipts = self.told.runs.values().filter_map(|told| told.receipt.as_ref());
        if receipts.filter(|receipt| receipt.timestamp.is_some()).count() > stamped {
            wrong.push("a timestamp that was told of is gone".to_owned());
        }
        for (run, told) in &self.told.runs {
            wrong.extend(missing(&root.join(super::layout::sealed_place(*run)), told));
        }
        wrong
    }
}

/// A file of a caller's, written and not yet part of its run.
fn attachment_of(draft: &mut Draft) -> Result<Attachment, StoreError> {
    let mut attachment = draft.attachment("agent.log")?;
    attachment.write_all(b"a line\n").map_err(StoreError::at(draft.folder()))?;
    Ok(attachment)
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
    let whole = |grown: &&Grown| {
        fs::read(folder.join("data").join(grown.name)).is_ok_and(|bytes| grown.is_in(&bytes))
    };
    let grown = told.grown.iter().filter(|grown| !whole(grown));
    artifacts
        .map(|artifact| gone(artifact.path.clone()))
        .chain(grown.map(|grown| gone(format!("what was written to {}", grown.name))))
        .chain(lost.map(|event| gone(format!("event {}", event.sequence))))
        .chain(seal.map(|_| gone("the seal".to_owned())))
        .collect()
}

/// How many steps a life takes on a disk that does as it is told.
fn steps(stamper: &Arc<Stamper>) -> u64 {
    let mut trial = Trial::new(stamper);
    let plan = Plan::below(&trial.root(), Fault::Failed, u64::MAX);
    trial.live();
    assert_eq!(trial.told.refused, Vec::<String>::new());
    let steps = plan.steps();
    drop(plan);
    trial.start();
    assert_eq!(trial.wrong(), Vec::<String>::new());
    let receipt = trial.told.runs[&id(0)].receipt.as_ref().expect("sealed");
    assert!(receipt.timestamp.is_some(), "{receipt:?}");
    assert_eq!(trial.told.runs[&id(0)].artifacts.len(), 4);
    steps
}

/// What is wrong after `fault` at `step`, and a start.
fn outcome(stamper: &Arc<Stamper>, fault: Fault, step: u64) -> Vec<String> {
    let mut trial = Trial::new(stamper);
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
    let stamper = Arc::new(Stamper::new());
    try_all(steps(&stamper), STRIDE, |fault, step| outcome(&stamper, fault, step));
}
