//! Owns what the tests of this crate share, and those of whoever uses it (the feature `testing`): a store with a fixed key, a fixed clock and runs whose
//! every byte is the same each time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::draft::Draft;
use super::error::{SealCause, StoreError};
use super::log::Log;
use super::recover::Salvage;
use super::reporter::{PlainReports, Reporter};
use super::seal::{self, STEPS};
use super::sign::{LogKey, Signer};
use super::stamp::TimestampAuthority;
use super::store::Store;
use super::trust::Trust;
use super::verify;
use crate::artifact::NewArtifact;
use crate::clock::{Clock, Moment};
use crate::id::RunId;
use crate::run::{Actor, Caller, Ending, Event, Opening, RunSpec};
use crate::timestamp::Request;
use crate::tlog::note::Algorithm;
use crate::tlog::policy::Policy;
use exhibit_verify::retention::Retention;

/// Two runs of one day.
pub const RUNS: [&str; 2] =
    ["019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57", "019ab2f0-6c1f-7000-8000-000000000002"];

/// A store in a temporary folder.
pub struct Bench {
    folder: tempfile::TempDir,
    /// The store.
    pub store: Store,
    /// It stands still until [`Bench::now`] is asked.
    pub clock: Clock,
    /// What is promised of runs that are opened from here on.
    pub promise: Option<Retention>,
    reporter: Arc<dyn Reporter>,
}

/// The key that signs its runs.
pub fn signer() -> Signer {
    Signer::from_seed(&[7; 32]).expect("a key")
}

/// A key that nobody vouches for.
pub fn stranger() -> Signer {
    Signer::from_seed(&[8; 32]).expect("a key")
}

/// A key whose time was over before the runs were sealed.
pub fn retired() -> Signer {
    Signer::from_seed(&[6; 32]).expect("a key")
}

/// A key that was revoked, and since when.
pub fn revoked() -> (Signer, &'static str) {
    (Signer::from_seed(&[5; 32]).expect("a key"), "20261124081000Z")
}

/// Trust in [`signer`], as an auditor states it.
pub fn trust() -> Trust {
    let line = signer().allowed_signers_line("exhibit@bench");
    Trust::from_allowed_signers(&line).expect("a list")
}

/// Name of the log.
pub const ORIGIN: &str = "bench.example/exhibit";

/// The key that signs its log.
pub fn log_key() -> LogKey {
    LogKey::from_seed(&[9; 32]).expect("a key")
}

/// [`trust`], in the log as well, with `more` lines of a trust policy.
pub fn trust_in_log(more: &str) -> Trust {
    let key = log_key().signer(ORIGIN).expect("a name").verifier(Algorithm::Ed25519);
    let policy = Policy::parse(&format!("log {key}\n{more}")).expect("a policy");
    trust().with_log(policy)
}

/// The id of run number `index`.
pub fn id(index: usize) -> RunId {
    RUNS[index].parse().expect("an id")
}

/// What is known of `run` when it is opened.
pub fn opening(run: RunId) -> Opening {
    let labels = json!({"ticket": format!("T-{run}")});
    Opening {
        run,
        spec: RunSpec {
            workflow: "refund".to_owned(),
            agent: Some("desk-agent".to_owned()),
            labels: labels.as_object().expect("an object").clone(),
            ..RunSpec::default()
        },
        policy: None,
        retention: None,
        caller: Caller::Socket { uid: 1000, gid: 1000, pid: Some(42) },
        host: "bench".to_owned(),
        exhibit: "0.1.0".to_owned(),
        redacted: None,
    }
}

/// An event of the agent's.
pub fn agent_says(text: &str) -> Event {
    let data = json!({"message": text});
    let data = data.as_object().expect("an object").clone();
    Event { actor: Actor::Agent, kind: "log".to_owned(), data }
}

/// A file for a run, whose bytes are said to be a picture.
pub fn file(path: &str, bytes: &[u8]) -> NewArtifact {
    NewArtifact { path: path.to_owned(), media_type: "image/png", bytes: bytes.to_vec().into() }
}

/// An authority that has the bench's clock.
struct ClockedAuthority<F> {
    clock: Clock,
    answer: F,
}

impl<F> std::fmt::Debug for ClockedAuthority<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClockedAuthority")
    }
}

impl<F: Fn(&Request, Timestamp) -> Vec<u8> + Send + Sync> TimestampAuthority
    for ClockedAuthority<F>
{
    fn ask(&self, _: RunId, request: &Request) -> Option<Vec<u8>> {
        Some((self.answer)(request, self.clock.now().wall))
    }
}

impl Bench {
    /// A store without a log, at a quarter past eight.
    #[expect(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self::on(Clock::fixed("2026-11-24T08:15:46.120Z".parse().expect("a time")))
    }

    fn on(clock: Clock) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(&folder.path().join("store")).expect("a store");
        Self { folder, store, clock, promise: None, reporter: Arc::new(PlainReports) }
    }

    /// A store of the time `then`, whose runs stand in a log and are stamped by `answer`, which is
    /// told the time.
    pub fn stamped(
        then: Timestamp,
        answer: impl Fn(&Request, Timestamp) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let bench = Self::on(Clock::fixed(then)).with_log();
        let asked = ClockedAuthority { clock: bench.clock.clone(), answer };
        Self { store: bench.store.with_authority(Arc::new(asked)), ..bench }
    }

    /// The same store, whose reports `reporter` makes.
    #[must_use]
    pub fn with_reporter(self, reporter: Arc<dyn Reporter>) -> Self {
        Self { store: self.store.with_reporter(Arc::clone(&reporter)), reporter, ..self }
    }

    /// A store whose runs stand in a log.
    pub fn logged() -> Self {
        Self::new().with_log()
    }

    fn with_log(self) -> Self {
        let log = self.log();
        Self { store: self.store.with_log(Arc::new(log)), ..self }
    }

    /// The log in the store's folder, opened anew.
    pub fn log(&self) -> Log {
        Log::open(self.store.root(), &log_key(), ORIGIN).expect("a log")
    }

    /// A folder beside the store.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// The same folder with its store let go and opened anew, as after a crash.
    #[must_use]
    pub fn reopen(self) -> Self {
        let Self { folder, store, clock, promise, reporter } = self;
        drop(store);
        let store = Store::open(&folder.path().join("store")).expect("a store");
        let store = store.with_reporter(Arc::clone(&reporter));
        Self { folder, store, clock, promise, reporter }
    }

    /// The time, ten milliseconds after it was asked for last.
    pub fn now(&self) -> Moment {
        self.clock.advance(Duration::from_millis(10));
        self.clock.now()
    }

    /// Take up a run that was left open, whatever the log tells of it.
    ///
    /// # Errors
    /// As [`Store::resume`].
    pub fn resume(&self, run: RunId) -> Result<(Draft, Salvage), StoreError> {
        self.store.resume(run, None)
    }

    /// Run number `index`, opened.
    pub fn begin(&self, index: usize) -> Draft {
        let provenance = json!({"browser": "none", "run": index});
        let opening = Opening { retention: self.promise.clone(), ..opening(id(index)) };
        self.store.begin(&opening, &provenance, self.now()).expect("begun")
    }

    /// A run that stays open.
    pub fn begin_third(&self) -> Draft {
        let provenance = json!({"browser": "none"});
        self.store.begin(&opening(Self::third()), &provenance, self.now()).expect("begun")
    }

    /// The id of the run that stays open.
    pub fn third() -> RunId {
        "019ab2f0-6c20-7000-8000-000000000003".parse().expect("an id")
    }

    /// Run number `index` with a capture and a word of the agent's.
    pub fn filled(&self, index: usize) -> Draft {
        self.fill(self.begin(index))
    }

    /// `draft` with a capture and a word of the agent's.
    pub fn fill(&self, mut draft: Draft) -> Draft {
        let run = draft.id();
        let png = format!("picture of {run}");
        let taken = draft
            .add(vec![
                file("captures/0001-before/screenshot.png", png.as_bytes()),
                file("captures/0001-before/capture.json", b"{}\n"),
            ])
            .expect("added");
        let event = Event::exhibit("capture.taken", json!({"stage": "before", "artifacts": taken}));
        draft.record(&[event, agent_says(&format!("paid {run}"))], self.now()).expect("recorded");
        draft
    }

    /// Run number `index`, sealed; its folder.
    pub fn sealed(&self, index: usize) -> PathBuf {
        let draft = self.filled(index);
        let ending = Ending::sealed("succeeded");
        let receipt = draft.seal(&ending, &signer(), self.now()).expect("sealed");
        self.store.root().join(receipt.folder)
    }
}

/// Code and place of all that verification says of `folder`.
pub fn verdict(folder: &Path) -> Vec<String> {
    let report = verify::folder(folder, &trust());
    report.findings.iter().map(|finding| format!("{} {}", finding.code, finding.place)).collect()
}

/// A run with a capture, whose files somebody added a capture, code, an approval and an ending to while
/// no daemon ran; taken up again and sealed. Its folder, and how many of its events the log held.
pub fn forged(bench: Bench) -> (Bench, PathBuf, u64) {
    let mut draft = bench.filled(0);
    let logged = draft.head().events;
    let picture = draft.add(vec![file("captures/0002-after/screenshot.png", b"forged")]);
    let picture = picture.expect("added");
    let code = json!({ "commit": "deadbeefcafe", "repository": "https://git.example/approved" });
    let title = json!({ "capture": "0002-after", "stage": "after", "artifacts": picture });
    let events = [
        Event::exhibit("capture.taken", title),
        Event::exhibit("code.referenced", json!({ "code": code })),
        agent_says("approved"),
    ];
    draft.record(&events, bench.now()).expect("recorded");
    drop(draft);
    let bench = bench.reopen();
    let (draft, _) = bench.store.resume(id(0), Some(logged)).expect("taken up");
    let ending = Ending::interrupted("the daemon stopped");
    draft.seal(&ending, &signer(), bench.now()).expect("sealed");
    let folder = bench.store.folder_of(id(0));
    (bench, folder, logged)
}

/// How many steps a seal has.
pub const SEAL_STEPS: usize = STEPS.len();

/// Take the first `steps` steps of sealing `draft` at the time `at`, as before a crash.
///
/// # Errors
/// What stopped it.
pub fn seal_up_to(
    draft: &mut Draft,
    ending: &Ending,
    at: Moment,
    steps: usize,
) -> Result<(), SealCause> {
    seal::run(draft, ending, &signer(), at, steps)
}
