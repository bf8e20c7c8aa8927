//! Owns the pipeline of a capture, from a request to evidence and receipt. [`Captures::take`] tells
//! the whole story; nothing below it calls upward.

mod ask;
mod attempt;
mod backends;
mod comparison;
mod convert;
mod downloads;
mod failure;
mod footage;
mod framing;
mod queue;
mod record;
mod recording;
mod sequence;
mod sequence_request;
mod session;
mod slots;
mod video;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::sync::watch;

pub use self::ask::{Ask, CaptureKind, Done, Refused};
use self::attempt::{Attempt, add, millis_between, page_notices, view_of};
pub use self::backends::Backends;
use self::backends::{Chosen, passed_on};
pub use self::comparison::Compared;
use self::failure::Failure;
pub use self::footage::Seat;
use self::queue::{Gone, QueueTicket};
use self::record::{asked_for, files_of, metadata, report, with_artifacts, with_framed};
use self::recording::Recordings;
pub use self::sequence::{NO_LIMIT, SequenceDone};
pub use self::session::SessionOpened;
use self::slots::Slots;
pub use self::video::VideoDone;
use crate::artifact::Artifact;
use crate::backend::{self, BackendName, CaptureResult};
use crate::blob::Blob;
use crate::config::Config;
use crate::digest::Digest;
use crate::error::{Code, Problem, chain};
use crate::hosted::no_sessions;
use crate::id::RunId;
use crate::policy::Policy;
use crate::quotas::Shares;
use crate::receipt::Receipt;
use crate::request::CaptureRequest;
use crate::run::{Caller, Ending, Event, RunSpec, STANDALONE};
use crate::runs::{Runs, Work};
use crate::sessions::{InUse, Sessions};
use crate::settings::{PageSettings, Stage, Target};
use crate::spans;
use crate::tasks::Tasks;

/// Takes captures. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Captures(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    runs: Runs,
    backends: Backends,
    policy: watch::Receiver<Policy>,
    config: watch::Receiver<Arc<Config>>,
    slots: Slots,
    waiting: AtomicUsize,
    /// Captures by caller, waiting or under way.
    shares: Shares,
    sessions: Sessions,
    recordings: Recordings,
    tasks: Tasks,
}

impl Captures {
    /// Take captures with `backends` into `runs`.
    pub fn new(
        runs: Runs,
        backends: Backends,
        policy: watch::Receiver<Policy>,
        config: watch::Receiver<Arc<Config>>,
        tasks: Tasks,
    ) -> Self {
        let slots = Slots::new(config.borrow().capture.concurrent);
        let waiting = AtomicUsize::new(0);
        let sessions = Sessions::new(runs.clock().clone(), config.clone());
        let recordings = Recordings::default();
        Self(Arc::new(Shared {
            runs,
            backends,
            policy,
            config,
            slots,
            waiting,
            shares: Shares::default(),
            sessions,
            recordings,
            tasks,
        }))
    }

    /// Have work go on that nobody waits for.
    pub fn in_background(self, work: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.tasks.spawn(work));
    }

    /// Whether captures can be taken now; if not, why.
    ///
    /// # Errors
    /// A sentence.
    pub fn ready(&self) -> Result<(), String> {
        self.0.backends.local().ready()
    }

    /// What is on record about the local browser.
    pub fn provenance(&self) -> Value {
        self.0.backends.local().provenance()
    }

    /// Captures under way and waiting.
    pub fn load(&self) -> (usize, usize) {
        let under_way = self.0.config.borrow().capture.concurrent;
        let free = self.0.slots.free();
        (under_way.saturating_sub(free), self.0.waiting.load(Ordering::Relaxed))
    }

    /// Take a capture. The work goes on when the caller hangs up.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn take(&self, ask: Ask) -> Result<Done, Box<Refused>> {
        let (this, endpoint) = (self.clone(), ask.kind.endpoint());
        let work = |gone| async move { this.carry_out(ask, gone).await };
        self.detached("taking the capture", endpoint, work).await
    }

    /// The story of a capture.
    async fn carry_out(&self, ask: Ask, gone: Gone) -> Result<Done, Box<Refused>> {
        let by = self.choose(&ask)?;
        let Ask { kind, caller, run, stage, body, .. } = ask;
        let sent = if by == BackendName::Hosted { body.clone() } else { Value::Null };
        let read = |body| kind.read(body).and_then(|request| self.allowed(request));
        let mut request = self.understand(&caller, run, body, read).await?;
        let pass_on = || passed_on(sent, &request.aliases, &request.ignored);
        let chosen = Chosen::of(by, kind.endpoint(), pass_on);
        check_session(by, &request.settings.page)?;
        let session = self.0.sessions.enter(&caller, &mut request.settings.page)?;
        let place = self.queue(&caller, &gone)?;

        // The attempt is on disk before any browser moves.
        let stage = request.stage.clone().or(stage).unwrap_or_else(Stage::during);
        let (work, standalone) = self.run(run, caller, by).await?;
        let attempt = self.begin(work, stage, chosen, request).await?;
        let outcome = self.obtain(&attempt, place).await;
        if let Some(session) = session {
            let failed = outcome.as_ref().err().map(|failed| &failed.problem);
            self.leave(session, &attempt.request.settings.page, failed);
        }

        // Whatever came of it is on disk before the caller hears of it.
        let kept = match outcome {
            Ok(taken) => self.keep(&attempt, taken).await,
            Err(failed) => Err(*failed),
        };
        tracing::debug!(ok = kept.is_ok(), "the capture is on disk");
        match kept {
            Ok(kept) => self.conclude_capture(attempt, kept, standalone).await,
            Err(failed) => Err(self.conclude_failure(attempt, failed, standalone).await),
        }
    }

    /// Put on record that a capture is asked for.
    async fn begin(
        &self,
        work: Work,
        stage: Stage,
        chosen: Chosen,
        request: CaptureRequest,
    ) -> Result<Attempt, Problem> {
        let name = format!("{:04}-{stage}", work.next_capture());
        spans::tell_capture(&name);
        let begun = self.0.runs.clock().now();
        let attempt = Attempt { work, stage, name, chosen, request, begun };
        self.0.runs.record(&attempt.work, vec![attempt.requested()]).await?;
        Ok(attempt)
    }

    /// Wait for a free slot, and have it taken.
    async fn obtain(
        &self,
        attempt: &Attempt,
        mut place: QueueTicket,
    ) -> Result<CaptureResult, Box<Failure>> {
        let until = place.deadline;
        let _slot = self.turn(&mut place, &attempt.work, until).await.map_err(Failure::from)?;
        let request = self.backend_request(attempt, &place);
        let taken = self.0.backends.take(attempt.chosen.by, request).await;
        taken.map_err(|failed| Box::new((*failed).into()))
    }

    /// Who is to carry out `ask`.
    fn choose(&self, ask: &Ask) -> Result<BackendName, Problem> {
        let workflow = match ask.run {
            Some(run) => self.0.runs.workflow_of(run),
            None => Some(STANDALONE.to_owned()),
        };
        self.0.backends.choose(ask.backend, &ask.caller, workflow.as_deref())
    }

    /// Let go of a session; one whose page is gone is forgotten.
    fn leave(&self, session: InUse, page: &PageSettings, failed: Option<&Problem>) {
        let lost = failed.is_some_and(|problem| problem.code == Code::SessionNotFound);
        session.leave(page, failed.is_none());
        if let (true, Some(id)) = (lost, page.session) {
            self.0.sessions.forget_lost(id);
        }
    }

    /// Read a request and judge it by policy. What asks for something forbidden is put on record;
    /// what cannot be understood is only answered.
    async fn understand<R>(
        &self,
        caller: &Caller,
        run: Option<RunId>,
        body: Value,
        read: impl FnOnce(Value) -> Result<R, Problem>,
    ) -> Result<R, Box<Refused>> {
        self.check_not_stopping()?;
        let asked_for = asked_for(&body);
        match read(body) {
            Ok(request) => Ok(request),
            Err(problem) if problem.code == Code::TargetForbidden => {
                Err(self.refuse(caller.clone(), run, asked_for, problem).await)
            }
            Err(problem) => Err(problem.into()),
        }
    }

    fn check_not_stopping(&self) -> Result<(), Problem> {
        if !self.0.tasks.is_stopping() {
            return Ok(());
        }
        let message = "the daemon is stopping; ask again when it has been started";
        Err(Problem::new(Code::ShuttingDown, message))
    }

    fn allowed(&self, request: CaptureRequest) -> Result<CaptureRequest, Problem> {
        if let Target::Url(url) = &request.settings.page.target {
            self.0.policy.borrow().check_url(url)?;
        }
        Ok(request)
    }

    /// The run named, or one of its own for this capture.
    async fn run(
        &self,
        run: Option<RunId>,
        caller: Caller,
        by: BackendName,
    ) -> Result<(Work, bool), Problem> {
        if let Some(run) = run {
            spans::tell_run(run);
            return Ok((self.0.runs.work(run, &caller).await?, false));
        }
        let spec = RunSpec { workflow: STANDALONE.to_owned(), ..RunSpec::default() };
        let provenance = self.0.backends.provenance(by);
        let run = self.0.runs.begin(spec, caller.clone(), provenance).await?;
        spans::tell_run(run.id);
        run.sealed_next();
        Ok((self.0.runs.work(run.id, &caller).await?, true))
    }

    /// Where large documents wait: beside the evidence.
    fn spool(&self) -> PathBuf {
        self.0.config.borrow().store.path.clone()
    }

    fn backend_request(&self, attempt: &Attempt, place: &QueueTicket) -> backend::CaptureRequest {
        let request = &attempt.request;
        let limits = self.0.config.borrow().capture.clone();
        backend::CaptureRequest {
            sent: attempt.chosen.sent.clone(),
            settings: request.settings.clone(),
            snapshot: limits.snapshot,
            documents: request.documents,
            metadata: request.metadata,
            max_pixels: limits.max_pixels,
            spool: self.spool(),
            deadline: place.deadline,
            gone: place.gone.clone(),
            policy: self.0.policy.borrow().clone(),
        }
    }

    /// Put what was taken on disk.
    async fn keep(&self, attempt: &Attempt, taken: CaptureResult) -> Result<Kept, Failure> {
        let at = self.0.runs.clock().now();
        let (metadata, event) = (metadata(&taken), attempt.taken_event(&taken, at));
        let (by, status) = (taken.by, taken.status());
        self.keep_refused(attempt, taken.facts.as_ref()).await?;
        let bytes = taken.product.clone();
        let mut evidence = attempt.evidence(by);
        add(&mut evidence, view_of(taken.facts.as_ref()));
        add(&mut evidence, page_notices(taken.facts.as_ref()));
        let product = &attempt.request.settings.product;
        let media_type =
            taken.original.as_ref().map_or(product.media_type(), |original| original.media_type);
        let report = report(&attempt.request.settings.product, &taken)?;
        let framed = self.frame(attempt, &taken, at).await;
        let event = with_framed(event, &framed);
        let files = files_of(attempt, taken, framed, at);
        let files = files.map_err(|error| Problem::internal("packing", error))?;
        let tell = move |artifacts: &[Artifact]| with_artifacts(event, artifacts);
        let (artifacts, recorded) = self.0.runs.add(&attempt.work, files, tell).await?;
        let sha256 = bytes.digest().map_err(unreadable)?;
        evidence["sha256"] = json!(sha256);
        evidence["event"] = json!(recorded);
        evidence["artifacts"] = json!(artifacts);
        Ok(Kept { by, bytes, sha256, status, metadata, report, media_type, evidence })
    }

    /// Answer with what is on disk.
    async fn conclude_capture(
        &self,
        attempt: Attempt,
        kept: Kept,
        standalone: bool,
    ) -> Result<Done, Box<Refused>> {
        let Kept { by, bytes, sha256, status, metadata, report, media_type, mut evidence } = kept;
        let request = &attempt.request;
        let json = request.json;
        let (run, begun) = (attempt.work.run.id, attempt.begun);
        if standalone {
            evidence["receipt"] = json!(self.seal(attempt.work, "succeeded").await?);
        }
        let duration_ms = millis_between(begun, self.0.runs.clock().now());
        Ok(Done {
            bytes,
            media_type,
            json,
            report,
            run,
            backend: by,
            sha256,
            status,
            duration_ms,
            metadata,
            evidence,
        })
    }

    /// Put a failure on record, and answer with it.
    async fn conclude_failure(
        &self,
        attempt: Attempt,
        failed: Failure,
        standalone: bool,
    ) -> Box<Refused> {
        let (problem, recorded) = self.keep_failure(&attempt, failed).await;
        let mut evidence = json!({
            "run": attempt.work.run.id, "capture": attempt.name, "stage": attempt.stage,
            "backend": attempt.chosen.by,
        });
        if let Some(recorded) = recorded {
            evidence["event"] = recorded;
        }
        if standalone {
            match self.seal(attempt.work, "failed").await {
                Ok(receipt) => evidence["receipt"] = json!(receipt),
                Err(error) => {
                    tracing::error!(error = chain(&error), "a failed capture is not sealed");
                }
            }
        }
        Box::new(Refused { problem, evidence: Some(evidence) })
    }

    /// Put a failure on record: the problem, and the place of its event.
    async fn keep_failure(&self, attempt: &Attempt, failed: Failure) -> (Problem, Option<Value>) {
        let Failure { problem, facts, failed_attempts, browser } = failed;
        let cause = std::error::Error::source(&problem).map(chain);
        let mut data = attempt.facts();
        data["code"] = json!(problem.code);
        data["message"] = json!(problem.message);
        data["cause"] = json!(cause);
        data["failed_attempts"] = json!(failed_attempts);
        data["page"] = json!(facts);
        if let Some(browser) = browser {
            data["browser"] = browser;
        }
        if let Err(error) = self.keep_refused(attempt, facts.as_deref()).await {
            tracing::error!(error = chain(&error), "a download is not on record");
        }
        let event = Event::exhibit("capture.failed", data);
        match self.0.runs.record(&attempt.work, vec![event]).await {
            Ok(recorded) => (problem, recorded.first().map(|event| json!(event))),
            Err(error) => {
                tracing::error!(error = chain(&error), "a failed capture is not on record");
                (problem, None)
            }
        }
    }

    /// Put on record that something forbidden was asked for.
    async fn refuse(
        &self,
        caller: Caller,
        run: Option<RunId>,
        asked_for: String,
        problem: Problem,
    ) -> Box<Refused> {
        let recorded = async {
            let (work, standalone) = self.run(run, caller, BackendName::Chromium).await?;
            let id = work.run.id;
            let data = json!({
                "url": asked_for, "code": problem.code, "message": problem.message,
            });
            let event = Event::exhibit("capture.refused", data);
            let recorded = self.0.runs.record(&work, vec![event]).await?;
            let mut evidence = json!({ "run": id, "event": recorded.first() });
            if standalone {
                evidence["receipt"] = json!(self.seal(work, "refused").await?);
            }
            Ok::<_, Problem>(evidence)
        };
        match recorded.await {
            Ok(evidence) => Box::new(Refused { problem, evidence: Some(evidence) }),
            // The run cannot be written to: that comes first, or a refusal would leave no trace.
            Err(other) => Box::new(other.into()),
        }
    }

    async fn seal(&self, work: Work, outcome: &str) -> Result<Receipt, Problem> {
        self.0.runs.seal_own(work, Ending::sealed(outcome)).await
    }
}

/// A capture that is on disk.
struct Kept {
    by: BackendName,
    bytes: Blob,
    sha256: Digest,
    status: Option<u16>,
    metadata: Option<Value>,
    report: Option<Value>,
    media_type: &'static str,
    /// What its caller is told of it.
    evidence: Value,
}

/// Sessions are pages of the local browser.
fn check_session(by: BackendName, page: &PageSettings) -> Result<(), Problem> {
    match page.session {
        Some(_) if by == BackendName::Hosted => Err(no_sessions().into()),
        _ => Ok(()),
    }
}

/// What was made cannot be read again.
fn unreadable(error: std::io::Error) -> Problem {
    Problem::internal("reading what was made", error)
}
