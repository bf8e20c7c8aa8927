//! Owns the pipeline of `/video`: steps that are recorded while they are taken, and the recording in
//! the format that is asked for.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::attempt::millis_between;
use super::convert::convert;
use super::footage::{Footage, Seat, Take, TimedText};
use super::queue::Gone;
use super::record::with_artifacts;
use super::sequence::{Course, NO_LIMIT, Results, requested};
use super::sequence_request::carried;
use super::{Ask, Captures, Chosen, Refused};
use crate::artifact::{Artifact, NewArtifact};
use crate::backend::{BackendName, Recorded, StepReport, only_local_records};
use crate::blob::Blob;
use crate::error::{Code, Problem, chain};
use crate::id::RunId;
use crate::request::{SequenceRequest, VideoRequest};
use crate::run::Event;
use crate::settings::Stage;
use crate::shown::quoted_within;
use crate::video::{Format, Settings};

/// A recording of steps, on disk.
#[derive(Debug)]
pub struct VideoDone {
    /// The run.
    pub run: RunId,
    /// The recording.
    pub bytes: Blob,
    /// Its format.
    pub format: Format,
    /// Whether the caller asked for JSON.
    pub json: bool,
    /// The answer, without the recording itself.
    pub answer: Value,
}

/// Most pictures a second in the recording of a sequence.
const FRAME_RATE: u32 = 25;

/// How the answer is asked for.
#[derive(Clone, Copy)]
struct ResponseOptions {
    /// In a run of its own.
    standalone: bool,
    json: bool,
    format: Format,
}

impl Captures {
    /// Take the steps of a `/video` request under a recording, in `seat` where the caller has one
    /// already. The work goes on when the caller hangs up.
    ///
    /// # Errors
    /// See [`Refused`]; a step that fails is part of the answer, not an error.
    pub async fn video(&self, ask: Ask, seat: Option<Seat>) -> Result<VideoDone, Box<Refused>> {
        let this = self.clone();
        let work = |gone| async move { Box::pin(this.carry_out_video(ask, seat, gone)).await };
        self.detached("recording the steps", "/video", work).await
    }

    async fn carry_out_video(
        &self,
        ask: Ask,
        seat: Option<Seat>,
        gone: Gone,
    ) -> Result<VideoDone, Box<Refused>> {
        if self.choose(&ask)? == BackendName::Hosted {
            return Err(only_local_records().into());
        }
        let Ask { caller, run, stage, body, .. } = ask;
        let read = |body| {
            let mut request = VideoRequest::read(body)?;
            request.sequence = self.allowed_steps(request.sequence)?;
            Ok(request)
        };
        let VideoRequest { sequence: mut request, frame_rate, format, json, .. } =
            self.understand(&caller, run, body, read).await?;
        if format != Format::Mp4 && self.0.config.borrow().video.ffmpeg.is_none() {
            return Err(no_converter().into());
        }
        let session = self.0.sessions.enter(&caller, &mut request.page)?;
        let seat = seat.map_or_else(|| self.seat(&caller), Ok)?;
        let mut place = self.queue(&caller, &gone)?;
        // Steps take as long as a person would; the recording's own limit holds.
        let longest = self.0.config.borrow().video.max_duration;
        let deadline = Instant::now() + longest + Duration::from_secs(30);
        let stage = request.stage.clone().or(stage).unwrap_or_else(Stage::during);
        let by = BackendName::Chromium;
        let (work, standalone) = self.run(run, caller, by).await?;
        let take = Take::new(work, stage, self.0.runs.clock().now(), None);
        let mut event = requested(&request, &take.stage, by);
        event.data.insert("recording".to_owned(), json!(take.name));
        self.0.runs.record(&take.work, vec![event]).await?;

        let slot = self.turn(&mut place, &take.work, deadline).await;
        let mut results = Results::default();
        let mut cues = Vec::new();
        let ended = match slot {
            Ok(_slot) => {
                let settings = self.recording_settings(request.page.viewport, frame_rate);
                Box::pin(self.film(&take, &request, settings, deadline, &mut results, &mut cues))
                    .await
            }
            Err(problem) => Err(problem),
        };
        drop(seat);
        if let Some(session) = session {
            let mut page = request.page.clone();
            page.carried = carried(&request, request.steps.len(), |at| results.succeeded(at));
            self.leave(session, &page, ended.as_ref().err());
        }
        let kept = match self.conclude_take(&take, ended, cues).await {
            Ok(footage) => self.converted(&take, footage, format, frame_rate).await,
            Err(problem) => Err(problem),
        };
        let asked = ResponseOptions { standalone, json, format };
        self.conclude_video(take, asked, &request, results, kept).await
    }

    /// Have the steps taken and recorded, putting each on record.
    async fn film(
        &self,
        take: &Take,
        request: &SequenceRequest,
        settings: Settings,
        deadline: Instant,
        results: &mut Results,
        cues: &mut Vec<TimedText>,
    ) -> Result<Recorded, Problem> {
        let (recording, filming) = self.begin_filming(take, settings).await?;
        // The steps have their turn: whoever hangs up now finds them on record.
        let gone = Gone::new();
        let backend_request = self.sequence_request(request, None, deadline, &gone);
        let (reports, mut reported) = mpsc::channel(1);
        let backends = self.0.backends.clone();
        let running = self.0.tasks.spawn(async move {
            backends.local().record_sequence(backend_request, reports, recording).await
        });
        let chosen = Chosen { by: BackendName::Chromium, sent: None };
        let (work, stage) = (&take.work, &take.stage);
        let course = Course { work, request, stage, chosen: &chosen, gone: &gone };
        let mut kept = Ok(());
        while let Some(report) = reported.recv().await {
            let until = self.0.runs.clock().now().seconds();
            cues.push(cue(request, &report, until));
            kept = self.keep_step(&course, report, results).await;
            if kept.is_err() {
                break;
            }
        }
        drop(reported);
        let recorded = running.await.map_err(|error| Problem::internal("recording", error));
        filming.windows().await;
        kept.and(recorded.and_then(|recorded| recorded.map_err(Problem::from)))
    }

    /// Have the steps of a sequence taken and recorded.
    ///
    /// # Errors
    /// When the steps or their recording came to nothing, or could not be put on record.
    pub(super) async fn film_course(
        &self,
        course: Course<'_>,
        seat: Seat,
        deadline: Instant,
        results: &mut Results,
    ) -> Result<(), Problem> {
        let Course { work, request, stage, .. } = course;
        let take = Take::new(work.clone(), stage.clone(), self.0.runs.clock().now(), None);
        let settings = self.recording_settings(request.page.viewport, FRAME_RATE);
        let mut said = Vec::new();
        let filmed =
            Box::pin(self.film(&take, request, settings, deadline, results, &mut said)).await;
        drop(seat);
        let Footage { artifacts, summary, .. } = self.conclude_take(&take, filmed, said).await?;
        results.recording =
            json!({ "recording": take.name, "summary": summary, "artifacts": artifacts });
        Ok(())
    }

    /// Make of a recording what is asked for, and put that on record, too.
    async fn converted(
        &self,
        take: &Take,
        footage: Footage,
        format: Format,
        frame_rate: u32,
    ) -> Result<Footage, Problem> {
        if format == Format::Mp4 {
            return Ok(footage);
        }
        let Footage { mut artifacts, bytes, summary } = footage;
        let video = self.0.config.borrow().video.clone();
        let program = video.ffmpeg.ok_or_else(no_converter)?;
        let made = convert(&program, &bytes, format, frame_rate, &self.spool()).await;
        if let Err(problem) = &made {
            let data = json!({
                "recording": take.name, "format": format, "code": problem.code,
                "message": problem.message,
            });
            let event = Event::exhibit("recording.not-converted", data);
            self.0.runs.record(&take.work, vec![event]).await?;
        }
        let made = made?;
        let files = vec![NewArtifact {
            path: take.path(format.ending()),
            media_type: format.media_type(),
            bytes: made.bytes.clone(),
        }];
        let data = json!({
            "recording": take.name, "stage": take.stage, "format": format, "by": made.by,
        });
        let event = Event::exhibit("recording.converted", data);
        let tell = move |artifacts: &[Artifact]| with_artifacts(event, artifacts);
        let (more, _) = self.0.runs.add(&take.work, files, tell).await?;
        artifacts.extend(more);
        Ok(Footage { artifacts, bytes: made.bytes, summary })
    }

    async fn conclude_video(
        &self,
        take: Take,
        asked: ResponseOptions,
        request: &SequenceRequest,
        results: Results,
        kept: Result<Footage, Problem>,
    ) -> Result<VideoDone, Box<Refused>> {
        let (run, begun, total) = (take.work.run.id, take.begun, request.steps.len());
        let mut evidence = json!({ "run": run, "recording": take.name });
        if asked.standalone {
            let done = kept.is_ok() && results.completed == total;
            let outcome = if done { "succeeded" } else { "failed" };
            match self.seal(take.work, outcome).await {
                Ok(receipt) => evidence["receipt"] = json!(receipt),
                Err(error) if kept.is_ok() => return Err(error.into()),
                Err(error) => tracing::error!(error = chain(&error), "a recording is not sealed"),
            }
        }
        let Footage { artifacts, bytes, summary } = match kept {
            Ok(kept) => kept,
            Err(problem) => {
                return Err(Box::new(Refused { problem, evidence: Some(evidence) }));
            }
        };
        evidence["artifacts"] = json!(artifacts);
        if !request.ignored.is_empty() {
            evidence["ignored"] = json!(request.ignored);
        }
        let answer = json!({
            "format": asked.format,
            "size_bytes": bytes.len(),
            "duration_ms": summary.duration_ms,
            "frames": summary.frames,
            "steps_completed": results.completed,
            "total_steps": total,
            "step_results": results.steps,
            "took_ms": millis_between(begun, self.0.runs.clock().now()),
            "usage": { "video_cost": 0, "remaining": NO_LIMIT },
            "evidence": evidence,
        });
        Ok(VideoDone { run, bytes, format: asked.format, json: asked.json, answer })
    }
}

fn no_converter() -> Problem {
    let message = "`format` asks for what a program of the operator's makes, and there is none; give \
                   mp4, or have the operator name ffmpeg in `video.ffmpeg`";
    Problem::new(Code::InvalidField, message).field("format")
}

/// Most characters of what an agent says of a step.
const SAID: usize = 400;

/// What is said of a step: when it began and ended, in seconds since the epoch, and what it was.
fn cue(request: &SequenceRequest, report: &StepReport, until: f64) -> TimedText {
    let took = Duration::from_millis(report.duration_ms.unwrap_or(0)).as_secs_f64();
    let step = request.steps.get(report.index);
    let mut text = step.map_or_else(String::new, |step| {
        let record = step.record();
        let what = ["selector", "url", "key", "ms"].iter().find_map(|name| {
            Some(match record.get(*name)? {
                Value::String(text) => text.clone(),
                Value::Null => return None,
                other => other.to_string(),
            })
        });
        match what {
            Some(what) => format!("{} {}", step.word, quoted_within(&what, SAID)),
            None => step.word.to_owned(),
        }
    });
    if let Some(note) = step.and_then(|step| step.note.as_ref()) {
        text = format!("{text}; the agent says {}", quoted_within(note, SAID));
    }
    for download in &report.downloads {
        text = format!("{text}; refused the download of {}", quoted_within(&download.url, SAID));
    }
    if let Some(problem) = &report.problem {
        text = format!("{text}: failed, {}", problem.kind);
    }
    (until - took, until, format!("{}. {text}", report.index + 1))
}
