//! Owns the pipeline of a sequence: each step an event, each output a capture, all of them on disk
//! as they happen; and the answer in the hosted API's shape.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attempt::{Attempt, add, millis_between, page_notices, view_of};
use super::backends::{Chosen, passed_on};
use super::comparison::{Difference, Side};
use super::queue::Gone;
use super::record::{files_of, with_artifacts, with_framed};
use super::sequence_request::{carried, check_steps, led_to};
use super::{Ask, Captures, Refused, check_session, unreadable};
use crate::artifact::Artifact;
use crate::backend::{
    self, BackendName, CaptureResult, Failed, FailedAttempt, Output, Sent, StepReport,
};
use crate::clock::Moment;
use crate::error::{Problem, chain};
use crate::id::RunId;
use crate::request::{CaptureRequest, SequenceRequest};
use crate::run::Event;
use crate::runs::Work;
use crate::settings::sequence::{Action, Step};
use crate::settings::{CaptureSettings, Product, Stage, Target};

/// What clients that count down are told: nothing is limited here, and they need a number.
pub const NO_LIMIT: u64 = 1_000_000_000;

/// A sequence that was carried out, as far as it went.
#[derive(Debug)]
pub struct SequenceDone {
    /// The run.
    pub run: RunId,
    /// Who took the steps.
    pub backend: BackendName,
    /// The answer.
    pub answer: Value,
}

/// What came of a sequence so far.
#[derive(Debug, Default)]
pub(super) struct Results {
    outputs: Vec<Value>,
    pub(super) steps: Vec<Value>,
    pub(super) completed: usize,
    captures: Vec<Value>,
    /// The recording of the steps; null when there is none.
    pub(super) recording: Value,
    /// Who was asked to take the steps.
    asked: Option<BackendName>,
    /// Which service took the steps; null when it was the local browser.
    browser: Value,
    failed_attempts: Vec<FailedAttempt>,
}

impl Results {
    /// Whether the step `index` is told as one that worked.
    pub(super) fn succeeded(&self, index: usize) -> bool {
        self.steps.get(index).is_some_and(|step| step["status"] == "ok")
    }
}

/// A sequence under way.
pub(super) struct Course<'a> {
    pub(super) work: &'a Work,
    pub(super) request: &'a SequenceRequest,
    pub(super) stage: &'a Stage,
    pub(super) chosen: &'a Chosen,
    /// Cancelled when its caller hangs up.
    pub(super) gone: &'a Gone,
}

impl Captures {
    /// Carry out a sequence. The work goes on when the caller hangs up.
    ///
    /// # Errors
    /// See [`Refused`]; a step that fails is part of the answer, not an error.
    pub async fn sequence(&self, ask: Ask) -> Result<SequenceDone, Box<Refused>> {
        let this = self.clone();
        let work = |gone| async move { Box::pin(this.carry_out_sequence(ask, gone)).await };
        self.detached("carrying out the sequence", "/sequence", work).await
    }

    async fn carry_out_sequence(&self, ask: Ask, gone: Gone) -> Result<SequenceDone, Box<Refused>> {
        let by = self.choose(&ask)?;
        let Ask { caller, run, stage, body, .. } = ask;
        let sent = if by == BackendName::Hosted { body.clone() } else { Value::Null };
        let read = |body| SequenceRequest::read(body).and_then(|r| self.allowed_steps(r));
        let mut request = self.understand(&caller, run, body, read).await?;
        let pass_on = || passed_on(sent, &[], &request.ignored);
        let chosen = Chosen::of(by, "/sequence", pass_on);
        check_session(by, &request.page)?;
        check_steps(by, &request)?;
        let seat = if request.record { Some(self.seat(&caller)?) } else { None };
        let session = self.0.sessions.enter(&caller, &mut request.page)?;
        let mut place = self.queue(&caller, &gone)?;
        let stage = request.stage.clone().or(stage).unwrap_or_else(Stage::during);
        let (work, standalone) = self.run(run, caller, by).await?;
        let begun = self.0.runs.clock().now();
        self.0.runs.record(&work, vec![requested(&request, &stage, by)]).await?;

        let deadline = place.deadline;
        let slot = self.turn(&mut place, &work, deadline).await;
        let mut results = Results::default();
        let ended = match slot {
            Ok(_slot) => {
                let (work, request, gone) = (&work, &request, &gone);
                let course = Course { work, request, stage: &stage, chosen: &chosen, gone };
                match seat {
                    Some(seat) => {
                        Box::pin(self.film_course(course, seat, deadline, &mut results)).await
                    }
                    None => self.follow(course, deadline, &mut results).await,
                }
            }
            Err(problem) => Err(problem),
        };
        if let Some(session) = session {
            let mut page = request.page.clone();
            page.carried = carried(&request, request.steps.len(), |at| results.succeeded(at));
            self.leave(session, &page, ended.as_ref().err());
        }
        results.asked = Some(by);
        self.conclude(work, standalone, &request, begun, results, ended).await
    }

    pub(super) fn allowed_steps(
        &self,
        request: SequenceRequest,
    ) -> Result<SequenceRequest, Problem> {
        let policy = self.0.policy.borrow();
        for step in &request.steps {
            match &step.action {
                Action::Navigate(url) | Action::Compare { other: Target::Url(url), .. } => {
                    policy.check_url(url)?;
                }
                _ => {}
            }
        }
        drop(policy);
        Ok(request)
    }

    /// What is asked of a backend for a sequence.
    pub(super) fn sequence_request(
        &self,
        request: &SequenceRequest,
        sent: Option<Sent>,
        deadline: Instant,
        gone: &Gone,
    ) -> backend::SequenceRequest {
        let limits = self.0.config.borrow().capture.clone();
        backend::SequenceRequest {
            sent,
            page: request.page.clone(),
            steps: request.steps.clone(),
            observe: request.observe,
            snapshot: limits.snapshot,
            max_pixels: limits.max_pixels,
            spool: self.spool(),
            deadline,
            gone: gone.clone(),
            policy: self.0.policy.borrow().clone(),
            product: String::new(),
        }
    }

    /// Put each step on record as it is reported.
    async fn follow(
        &self,
        course: Course<'_>,
        deadline: Instant,
        results: &mut Results,
    ) -> Result<(), Problem> {
        let (request, by) = (course.request, course.chosen.by);
        let sent = course.chosen.sent.clone();
        let backend_request = self.sequence_request(request, sent, deadline, course.gone);
        // One report at a time: a step begins when the one before is on disk.
        let (reports, mut reported) = mpsc::channel(1);
        let backends = self.0.backends.clone();
        let running = self
            .0
            .tasks
            .spawn(async move { backends.sequence(by, backend_request, reports).await });
        let mut kept = Ok(());
        while let Some(report) = reported.recv().await {
            kept = self.keep_step(&course, report, results).await;
            if kept.is_err() {
                break;
            }
        }
        drop(reported);
        let ended = running.await.map_err(|error| Problem::internal("taking the steps", error))?;
        let ended = match ended {
            Ok((browser, failed_attempts)) => {
                (results.browser, results.failed_attempts) = (browser, failed_attempts);
                Ok(())
            }
            Err(failed) => {
                let Failed { problem, browser, failed_attempts, .. } = *failed;
                results.browser = browser.unwrap_or_default();
                results.failed_attempts = failed_attempts;
                Err(problem.into())
            }
        };
        kept.and(ended)
    }

    pub(super) async fn keep_step(
        &self,
        course: &Course<'_>,
        report: StepReport,
        results: &mut Results,
    ) -> Result<(), Problem> {
        let Course { work, request, .. } = *course;
        let StepReport { index, mut record, problem, outputs, state, .. } = report;
        let (downloads, network, duration_ms) =
            (report.downloads, report.network, report.duration_ms);
        self.keep_downloads(work, &downloads, json!({ "step": index }), network).await?;
        let problem = problem.map(Problem::from);
        record["step"] = json!(index);
        record["duration_ms"] = json!(duration_ms);
        let kind = if problem.is_some() { "step.failed" } else { "step.done" };
        if let Some(problem) = &problem {
            record["code"] = json!(problem.code);
            record["message"] = json!(problem.message);
        }
        let action = request.steps.get(index).map(|step| step.word);
        let mut sides = Vec::new();
        for (place, mut output) in outputs.into_iter().enumerate() {
            // The second is of another page, loaded for the comparison alone.
            if place == 0 {
                output.page.target = led_to(request, index);
            }
            let name = output.name.clone();
            let (side, shown) = self.keep_output(course, index, output, results).await?;
            sides.push((side, name, shown));
        }
        let captures: Vec<&str> = sides.iter().map(|(side, ..)| side.capture.as_str()).collect();
        if !captures.is_empty() {
            record["captures"] = json!(captures);
        }
        let compared = request.steps.get(index).map(|step| &step.action);
        if let Some(Action::Compare { threshold, .. }) = compared {
            if let Ok([(before, name, _), (after, ..)]) = <[_; 2]>::try_from(sides) {
                let shown = self.difference(work, [before, after], *threshold).await?;
                results.outputs.push(compared_output(index, &name, shown));
            }
        } else {
            results.outputs.extend(sides.into_iter().map(|(.., shown)| shown));
        }
        self.0.runs.record(work, vec![Event::exhibit(kind, record)]).await?;
        let mut result = json!({ "step_index": index, "action": action, "status": "ok" });
        match problem {
            Some(problem) => {
                result["status"] = json!("error");
                result["error"] = json!(problem.message);
                result["code"] = json!(problem.code);
            }
            None => results.completed += 1,
        }
        match state {
            Some(Ok(state)) => result["state"] = state,
            Some(Err(problem)) => result["state"] = json!({ "error": problem.message }),
            None => {}
        }
        results.steps.push(result);
        Ok(())
    }

    /// Keep what a step made, as a capture; what its caller is told of it.
    async fn keep_output(
        &self,
        course: &Course<'_>,
        index: usize,
        output: Output,
        results: &mut Results,
    ) -> Result<(Side, Value), Problem> {
        let Course { work, request, stage, chosen, .. } = *course;
        let name = format!("{:04}-{stage}", work.next_capture());
        let at = self.0.runs.clock().now();
        let mut page = output.page;
        page.carried.extend(carried(request, index, |at| results.succeeded(at)));
        let settings = CaptureSettings { page, product: output.product };
        let mut shown = json!({
            "name": output.name,
            "data": STANDARD.encode(output.bytes.bytes().map_err(unreadable)?),
            "content_type": settings.product.media_type(),
            "size_bytes": output.bytes.len(),
            "step_index": index,
            "capture": name,
        });
        match &settings.product {
            Product::Picture(picture) => {
                shown["type"] = json!("screenshot");
                shown["format"] = json!(picture.format.extension());
            }
            product => shown["type"] = json!(product.kind()),
        }
        add(&mut shown, view_of(output.facts.as_ref()));
        let request = CaptureRequest { json: true, ..CaptureRequest::new(settings) };
        let attempt = Attempt {
            work: work.clone(),
            stage: stage.clone(),
            name,
            chosen: chosen.clone(),
            request,
            begun: at,
        };
        let (capture, by) = (attempt.name.clone(), output.by);
        let side = Side { capture, by, bytes: output.bytes.clone() };
        let page = page_notices(output.facts.as_ref());
        let browser = output.browser.unwrap_or_else(|| self.0.backends.provenance(by));
        let taken = CaptureResult {
            by,
            product: output.bytes,
            pixels: output.pixels,
            original: None,
            companions: output.companions,
            facts: output.facts,
            told: None,
            console: output.console,
            network: output.network,
            snapshots: output.snapshots,
            browser,
            failed_attempts: Vec::new(),
        };
        let mut event = attempt.taken_event(&taken, at);
        event.data.insert("step".to_owned(), json!(index));
        event.data.insert("name".to_owned(), json!(output.name));
        let framed = self.frame(&attempt, &taken, at).await;
        let event = with_framed(event, &framed);
        let files = files_of(&attempt, taken, framed, at);
        let files = files.map_err(|error| Problem::internal("packing", error))?;
        let tell = move |artifacts: &[Artifact]| with_artifacts(event, artifacts);
        let (artifacts, _) = self.0.runs.add(work, files, tell).await?;
        let mut told = json!({ "capture": attempt.name, "backend": by, "artifacts": artifacts });
        add(&mut told, page);
        results.captures.push(told);
        Ok((side, shown))
    }

    /// Put the end on record, and answer.
    async fn conclude(
        &self,
        work: Work,
        standalone: bool,
        request: &SequenceRequest,
        begun: Moment,
        results: Results,
        ended: Result<(), Problem>,
    ) -> Result<SequenceDone, Box<Refused>> {
        let by = results.by();
        let Results { outputs, steps, completed, captures, recording, .. } = results;
        let (browser, failed_attempts) = (results.browser, results.failed_attempts);
        let total = request.steps.len();
        let problem = ended.as_ref().err();
        let mut data = json!({
            "backend": by,
            "steps_completed": completed,
            "total_steps": total,
            "code": problem.map(|problem| problem.code),
            "message": problem.map(|problem| &problem.message),
            "failed_attempts": failed_attempts,
        });
        if !browser.is_null() {
            data["browser"] = browser;
        }
        let run = work.run.id;
        let mut evidence = json!({ "run": run, "backend": by, "captures": captures });
        if !request.ignored.is_empty() {
            evidence["ignored"] = json!(request.ignored);
        }
        if !recording.is_null() {
            evidence["recording"] = recording;
        }
        let event = Event::exhibit("sequence.ended", data);
        match self.0.runs.record(&work, vec![event]).await {
            Ok(recorded) => evidence["event"] = json!(recorded.first()),
            Err(error) => {
                tracing::error!(error = chain(&error), "the end of a sequence is not on record");
            }
        }
        if standalone {
            let outcome = if completed == total { "succeeded" } else { "failed" };
            match self.seal(work, outcome).await {
                Ok(receipt) => evidence["receipt"] = json!(receipt),
                Err(error) if ended.is_ok() => return Err(error.into()),
                Err(error) => tracing::error!(error = chain(&error), "a sequence is not sealed"),
            }
        }
        if let Err(problem) = ended {
            return Err(Box::new(Refused { problem, evidence: Some(evidence) }));
        }
        let charged = outputs.len();
        let answer = json!({
            "outputs": outputs,
            "step_results": steps,
            "steps_completed": completed,
            "total_steps": total,
            "total_duration_ms": millis_between(begun, self.0.runs.clock().now()),
            "usage": { "outputs_charged": charged, "remaining": NO_LIMIT },
            "evidence": evidence,
        });
        Ok(SequenceDone { run, backend: by, answer })
    }
}

impl Results {
    /// Who took the steps, or was to take them.
    fn by(&self) -> BackendName {
        let taken_over = self.browser.is_null() && !self.failed_attempts.is_empty();
        match self.asked {
            Some(BackendName::Hosted) if !taken_over => BackendName::Hosted,
            _ => BackendName::Chromium,
        }
    }
}

/// What a comparison of two pages is, among the outputs.
fn compared_output(index: usize, name: &str, difference: Difference) -> Value {
    let Difference { image, facts, .. } = difference;
    let mut shown = facts;
    shown["type"] = json!("diff");
    shown["name"] = json!(name);
    shown["data"] = json!(STANDARD.encode(&image));
    shown["content_type"] = json!("image/png");
    shown["size_bytes"] = json!(image.len());
    shown["step_index"] = json!(index);
    shown
}

/// The event that a sequence was asked for.
pub(super) fn requested(request: &SequenceRequest, stage: &Stage, by: BackendName) -> Event {
    let steps: Vec<Value> = request.steps.iter().map(Step::record).collect();
    let settings = CaptureSettings {
        page: request.page.clone(),
        product: Product::Picture(crate::settings::Picture::default()),
    };
    let mut page = settings.record();
    if let Some(page) = page.as_object_mut() {
        page.retain(|name, _| {
            matches!(
                name.as_str(),
                "width"
                    | "height"
                    | "deviceScaleFactor"
                    | "darkMode"
                    | "locale"
                    | "cookies"
                    | "authState"
                    | "session_id"
                    | "blockAds"
                    | "blockBanners"
                    | "blockChats"
                    | "blockTrackers"
            )
        });
    }
    let data = json!({
        "stage": stage, "backend": by, "steps": steps, "page": page, "altered_by": settings.altered_by(),
        "ignored": request.ignored,
    });
    Event::exhibit("sequence.requested", data)
}
