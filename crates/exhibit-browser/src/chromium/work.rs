//! Owns the work that is done with a running browser: captures, tried once more when they lost it;
//! sequences, which are not; sessions; recordings.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::error::{PageError, out_of_time, unavailable, unless_gone};
use super::instance::Instance;
use super::limits::QUICK;
use super::page::Page;
use super::pipe::CallError;
use super::recording::Recording;
use super::sessions::Held;
use super::{Chromium, boxed, emulate, steps, take, view};
use crate::backend::{
    BackendName, CaptureRequest, CaptureResult, Failed, FailedAttempt, Recorded, RecordingRequest,
    SequenceRequest, SessionRequest, StepReport,
};
use crate::error::{CaptureError, ErrorKind};
use exhibit_verify::id::SessionId;

impl Chromium {
    pub(super) async fn take_with_retry(
        &self,
        request: &CaptureRequest,
    ) -> Result<CaptureResult, Box<Failed>> {
        let mut failed_attempts = Vec::new();
        loop {
            let again = !failed_attempts.is_empty();
            let attempt = self.attempt(request, again).await;
            let failed = match attempt {
                Ok(mut taken) => {
                    taken.failed_attempts = failed_attempts;
                    return Ok(taken);
                }
                Err(failed) => failed,
            };
            let lost = matches!(
                failed.problem.kind,
                ErrorKind::RendererCrashed | ErrorKind::BrowserUnavailable
            );
            // What a session's page was like cannot be made again.
            let lost = lost && request.settings.page.session.is_none();
            if !lost || again || Instant::now() >= request.deadline {
                return Err(Box::new(Failed { failed_attempts, ..*failed }));
            }
            tracing::warn!(code = %failed.problem.kind, "a capture lost its browser; it is tried again");
            failed_attempts.push(FailedAttempt {
                code: failed.problem.kind.as_str(),
                message: failed.problem.message.clone(),
                browser: None,
            });
        }
    }

    /// Take the steps of a sequence, once: what they did to the application cannot be undone, so
    /// they are not tried again.
    pub(super) async fn steps(
        &self,
        mut request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
        recording: Option<RecordingRequest>,
    ) -> Result<Option<Recorded>, CaptureError> {
        let (deadline, session) = (request.deadline, request.page.session);
        if let Some(id) = session {
            let held = unless_gone(&request.gone, self.0.sessions.hold(id, deadline)).await?;
            let held = held.as_ref().ok_or_else(|| unavailable("the session is closed"))?;
            if recording.is_some() && held.recorder.is_some() {
                return Err(already_recording());
            }
            request.product = held.instance.product();
            let walk = self.walk(&held.page, &held.instance, &request, &reports, recording);
            return Box::pin(walk).await;
        }
        let instance = self.instance(deadline).await?;
        request.product = instance.product();
        let token = instance.under_way();
        let page = tokio::time::timeout_at(deadline, instance.page()).await;
        let page =
            page.map_err(|_| out_of_time())?.ok_or_else(|| unavailable("the browser died"))?;
        let outcome = Box::pin(self.walk(&page, &instance, &request, &reports, recording)).await;
        self.let_go(page, instance, token);
        outcome
    }

    /// Take the steps on `page`, recorded if that is asked for. What was recorded is not lost when
    /// the steps are.
    async fn walk(
        &self,
        page: &Page,
        instance: &Instance,
        request: &SequenceRequest,
        reports: &mpsc::Sender<StepReport>,
        recording: Option<RecordingRequest>,
    ) -> Result<Option<Recorded>, CaptureError> {
        steps::ready(page, request).await.map_err(CaptureError::from)?;
        let recorder = match recording {
            Some(recording) => {
                Some(Recording::start(page, instance, recording, &self.0.tasks).await?)
            }
            None => None,
        };
        let run = Box::pin(steps::run(page, instance, request, reports, recorder.as_ref()));
        let outcome = tokio::time::timeout_at(request.deadline, run).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(out_of_time().into())).map_err(CaptureError::from);
        match recorder {
            Some(recorder) => {
                let recorded = recorder.stop(page).await?;
                if let Err(problem) = outcome {
                    tracing::debug!(%problem, "the steps of a recording came to nothing");
                }
                Ok(Some(recorded))
            }
            None => outcome.map(|()| None),
        }
    }

    pub(super) async fn record(
        &self,
        session: SessionId,
        request: RecordingRequest,
    ) -> Result<(), CaptureError> {
        let deadline = Instant::now() + QUICK;
        let mut held = self.0.sessions.hold(session, deadline).await?;
        let held = held.as_mut().ok_or_else(|| unavailable("the session is closed"))?;
        if held.recorder.is_some() {
            return Err(already_recording());
        }
        let recorder = Recording::start(&held.page, &held.instance, request, &self.0.tasks);
        held.recorder = Some(recorder.await?);
        Ok(())
    }

    pub(super) async fn end_recording(&self, session: SessionId) -> Result<Recorded, CaptureError> {
        let mut held = self.0.sessions.seize(session).await?;
        let recorder = held.as_mut().and_then(|held| held.recorder.take());
        match (recorder, held.as_ref()) {
            (Some(recorder), Some(held)) => recorder.stop(&held.page).await,
            _ => {
                let message = "the session is not being recorded; start a recording first";
                Err(CaptureError::new(ErrorKind::RecordingNotFound, message))
            }
        }
    }

    async fn attempt(
        &self,
        request: &CaptureRequest,
        again: bool,
    ) -> Result<CaptureResult, Box<Failed>> {
        if let Some(id) = request.settings.page.session {
            let held = self.0.sessions.hold(id, request.deadline);
            let held = unless_gone(&request.gone, held).await.map_err(boxed)?;
            return match held.as_ref() {
                Some(held) => attempt_on(&held.page, &held.instance, request).await,
                None => Err(boxed(unavailable("the session is closed"))),
            };
        }
        let begun = Instant::now();
        let instance = self.instance(request.deadline).await.map_err(boxed)?;
        let token = instance.under_way();
        let page =
            async { if again { instance.proven_page().await } else { instance.page().await } };
        let page = match tokio::time::timeout_at(request.deadline, page).await {
            Ok(Some(page)) => page,
            Ok(None) => return Err(boxed(unavailable("the browser died"))),
            Err(_) => return Err(boxed(out_of_time())),
        };
        let page_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        page.observed().facts.timings.page_ms = page_ms;
        let result = attempt_on(&page, &instance, request).await;
        self.let_go(page, instance, token);
        result
    }

    /// Open a session's page.
    pub(super) async fn open(&self, request: SessionRequest) -> Result<(), CaptureError> {
        let SessionRequest { id, page: settings, deadline, policy } = request;
        let instance = self.instance(deadline).await?;
        let token = instance.under_way();
        let page = tokio::time::timeout_at(deadline, instance.page()).await;
        let page =
            page.map_err(|_| out_of_time())?.ok_or_else(|| unavailable("the browser died"))?;
        page.observed().set_policy(policy);
        match emulate::prepare(&page, &settings, false).await {
            Ok(()) => {
                self.0.sessions.keep(id, Held { page, instance, token, recorder: None });
                Ok(())
            }
            Err(error) => {
                self.let_go(page, instance, token);
                Err(error.into())
            }
        }
    }

    /// Dispose of a page that was used; its caller need not wait for that.
    pub(super) fn let_go(&self, page: Page, instance: Arc<Instance>, token: TaskTrackerToken) {
        instance.count_capture(self.0.settings.recycle_after);
        drop(self.0.tasks.spawn(async move {
            close(page, &instance).await;
            drop(token);
        }));
    }
}

/// One attempt at a capture on `page`.
async fn attempt_on(
    page: &Page,
    instance: &Instance,
    request: &CaptureRequest,
) -> Result<CaptureResult, Box<Failed>> {
    let browser = instance.product();
    let taking = take::take(page, request, &browser);
    let outcome = tokio::time::timeout_at(request.deadline, taking).await;
    let outcome = outcome.unwrap_or_else(|_| Err(out_of_time().into()));
    match outcome {
        Ok(made) => Ok(CaptureResult {
            by: BackendName::Chromium,
            product: made.bytes,
            pixels: made.pixels,
            original: made.original,
            companions: made.companions,
            facts: Some(made.facts),
            told: None,
            console: made.console,
            network: made.network,
            snapshots: made.snapshots,
            browser: instance.provenance.clone(),
            failed_attempts: Vec::new(),
        }),
        Err(error) => {
            if request.settings.page.session.is_some() && page.is_alive() {
                view::recover(page, request.settings.page.viewport).await;
            }
            let (facts, forbidden) = {
                let mut seen = page.observed();
                seen.facts.downloads = seen.downloads.take();
                (seen.facts.clone(), seen.forbidden.is_some())
            };
            // A renderer that dies while it is asked to navigate looks like an aborted navigation.
            let died = page.observed().crashed && !matches!(error, PageError::Call(_));
            let error = if died { CallError::SessionGone.into() } else { error };
            let problem = CaptureError::from(error);
            let cleaning = page.typed().cleaned_failure(problem, facts, page.tasks());
            let (problem, mut facts) = cleaning.await;
            if forbidden || problem.kind == ErrorKind::TargetForbidden {
                facts.withhold_words();
            }
            let facts = Some(Box::new(facts));
            Err(Box::new(Failed { facts, ..Failed::from(problem) }))
        }
    }
}

async fn close(page: Page, instance: &Instance) {
    if !page.close().await {
        tracing::warn!("a browser that does not let go of its pages is replaced");
        instance.ask_for_successor();
    }
}

fn already_recording() -> CaptureError {
    let message = "the session is being recorded already; stop that recording first";
    CaptureError::new(ErrorKind::AlreadyRecording, message).field("session_id")
}
