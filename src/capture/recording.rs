//! Owns the pipeline of recordings: of the steps of a `/video` request, and of a session's page for
//! as long as its caller wants. Bytes are on disk as they are made; what a recording was is on record
//! when it ends, however it ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::record::{millis_between, with_artifacts};
use super::sequence::{Course, NO_LIMIT, Results, carried, requested};
use super::{Ask, Captures, Chosen, Place, Refused, queue_too_slow};
use crate::artifact::{Artifact, NewArtifact};
use crate::backend::{BackendName, Recorded, RecordingOrder, StepReport};
use crate::blob::Blob;
use crate::clock::Moment;
use crate::error::{Code, Problem, chain};
use crate::id::{RunId, SessionId};
use crate::request::{RecordingRequest, SequenceRequest, VideoRequest};
use crate::run::{Caller, Event};
use crate::runs::Work;
use crate::settings::{Stage, Viewport};
use crate::video::vtt::{self, Cue};
use crate::video::{LARGEST_SIDE, Settings, Summary};

/// Media type of a recording.
pub const VIDEO: &str = "video/mp4";

/// A recording of steps, on disk.
#[derive(Debug)]
pub struct VideoDone {
    /// The run.
    pub run: RunId,
    /// The recording.
    pub bytes: Blob,
    /// Whether the caller asked for JSON.
    pub json: bool,
    /// The answer, without the recording itself.
    pub answer: Value,
}

/// Recordings of sessions under way.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    under_way: Mutex<HashMap<(RunId, u32), Active>>,
    count: Arc<Mutex<usize>>,
}

/// A recording of a session under way.
#[derive(Debug)]
struct Active {
    session: SessionId,
    /// Tells it to end; it answers with what is on record.
    stop: oneshot::Sender<oneshot::Sender<Result<Value, Problem>>>,
}

/// One of the recordings that may be under way at the same time.
#[derive(Debug)]
struct Seat(Arc<Mutex<usize>>);

impl Drop for Seat {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
    }
}

impl Recordings {
    fn lock(&self) -> MutexGuard<'_, HashMap<(RunId, u32), Active>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seat(&self, most: usize) -> Result<Seat, Problem> {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        if *count >= most {
            let message =
                format!("{most} recordings are under way, which is `video.max`; end one first");
            return Err(Problem::new(Code::TooManyRecordings, message));
        }
        *count += 1;
        Ok(Seat(Arc::clone(&self.count)))
    }
}

/// What is known of a recording when it ends.
struct Take {
    work: Work,
    /// `0001`.
    name: String,
    stage: Stage,
    begun: Moment,
}

impl Take {
    /// Path of one of its files, below `data/`.
    fn path(&self, ending: &str) -> String {
        format!("recordings/{}{ending}", self.name)
    }
}

impl Captures {
    /// Take the steps of a `/video` request under a recording. The work goes on when the caller
    /// hangs up.
    ///
    /// # Errors
    /// See [`Refused`]; a step that fails is part of the answer, not an error.
    pub async fn video(&self, ask: Ask) -> Result<VideoDone, Box<Refused>> {
        let this = self.clone();
        let work = self.0.tasks.spawn(async move { Box::pin(this.carry_out_video(ask)).await });
        let done = work.await.map_err(|error| Problem::internal("recording the steps", error));
        done.map_err(|problem| Box::new(problem.into()))?
    }

    async fn carry_out_video(&self, ask: Ask) -> Result<VideoDone, Box<Refused>> {
        if self.choose(&ask)? == BackendName::Hosted {
            let message = "only the local browser records; ask with `X-Exhibit-Backend: chromium`";
            return Err(Problem::new(Code::NotSupported, message).into());
        }
        let Ask { caller, run, stage, body, .. } = ask;
        let read = |body| {
            let mut request = VideoRequest::read(body)?;
            request.sequence = self.allowed_steps(request.sequence)?;
            Ok(request)
        };
        let VideoRequest { sequence: mut request, frame_rate, json, .. } =
            self.understand(&caller, run, body, read).await?;
        let session = self.0.sessions.enter(&caller, &mut request.page)?;
        let limits = self.0.config.borrow().video.clone();
        let seat = self.0.recordings.seat(limits.max)?;
        let Place { waiting, .. } = self.queue()?;
        // Steps take as long as a person would; the recording's own limit holds.
        let deadline = Instant::now() + limits.max_duration + Duration::from_secs(30);
        let stage = request.stage.clone().or(stage).unwrap_or_else(Stage::during);
        let by = BackendName::Chromium;
        let (work, standalone) = self.run(run, caller, by).await?;
        let begun = self.0.runs.clock().now();
        let name = format!("{:04}", work.next_recording());
        let take = Take { work, name, stage, begun };
        let mut event = requested(&request, &take.stage, by);
        event.data.insert("recording".to_owned(), json!(take.name));
        self.0.runs.record(&take.work, vec![event]).await?;

        let slot = tokio::time::timeout_at(deadline, self.0.slots.acquire()).await;
        drop(waiting);
        let mut results = Results::default();
        let mut cues = Vec::new();
        let ended = match slot {
            Ok(_slot) => {
                let settings = self.recording_settings(request.page.viewport, frame_rate);
                self.film(&take, &request, settings, deadline, &mut results, &mut cues).await
            }
            Err(_) => Err(queue_too_slow()),
        };
        drop(seat);
        if let Some(session) = session {
            let mut page = request.page.clone();
            page.carried = carried(&request, request.steps.len());
            self.leave(session, &page, ended.as_ref().err());
        }
        let kept = match ended {
            Ok(recorded) => self.keep_recording(&take, recorded, cues).await,
            Err(problem) => Err(problem),
        };
        self.conclude_video(take, standalone, json, &request, results, kept).await
    }

    fn recording_settings(&self, viewport: Viewport, frame_rate: u32) -> Settings {
        let limits = self.0.config.borrow().video.clone();
        let (width, height) = (viewport.width.max(2), viewport.height.max(2));
        let scale = f64::from(LARGEST_SIDE) / f64::from(width.max(height));
        let side = |side: u32| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a side")]
            let scaled = (f64::from(side) * scale.min(1.0)).floor().max(2.0) as u32;
            scaled & !1
        };
        Settings {
            source: limits.source,
            width: side(width),
            height: side(height),
            frame_rate,
            max_duration: limits.max_duration,
            max_bytes: limits.max_bytes,
        }
    }

    /// Have the steps taken and recorded, putting each on record.
    async fn film(
        &self,
        take: &Take,
        request: &SequenceRequest,
        settings: Settings,
        deadline: Instant,
        results: &mut Results,
        cues: &mut Vec<(f64, f64, String)>,
    ) -> Result<Recorded, Problem> {
        let file = self.0.runs.begin_growing(&take.work, take.path(".mp4")).await?;
        let order = self.sequence_order(request, None, deadline);
        let (ended, _) = oneshot::channel();
        let clock = self.0.runs.clock().clone();
        let recording = RecordingOrder { settings, file, clock, ended };
        let (reports, mut reported) = mpsc::channel(1);
        let backends = self.0.backends.clone();
        let running = self.0.tasks.spawn(async move {
            backends.local().record_sequence(order, reports, recording).await
        });
        let chosen = Chosen { by: BackendName::Chromium, sent: None };
        let course = Course { work: &take.work, request, stage: &take.stage, chosen: &chosen };
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
        let recorded = running.await.map_err(|error| Problem::internal("recording", error))?;
        kept.and(recorded)
    }

    /// Put a recording on record, with what is said in it and its last picture.
    async fn keep_recording(
        &self,
        take: &Take,
        recorded: Recorded,
        cues: Vec<(f64, f64, String)>,
    ) -> Result<(Vec<Artifact>, Blob, Summary), Problem> {
        let Recorded { summary, poster, masked } = recorded;
        let said: Vec<Cue> = cues
            .into_iter()
            .map(|(from, to, text)| {
                let length = Duration::from_millis(summary.duration_ms).as_secs_f64();
                let since =
                    |at: f64| Duration::from_secs_f64((at - summary.began_at).clamp(0.0, length));
                Cue { from: since(from), to: since(to), text }
            })
            .collect();
        let document = json!({
            "format": "exhibit/1",
            "run": take.work.run.id,
            "recording": take.name,
            "stage": take.stage,
            "requested_at": take.begun.to_rfc3339(),
            "began_at": rfc3339(summary.began_at),
            "source": summary.source,
            "codec": summary.source.codec(),
            "summary": summary,
            "masks": self.0.policy.borrow().masks().rules(),
            "masked": masked,
            "clock": "times of pictures are of the host's wall clock",
        });
        let document = serde_json::to_vec_pretty(&document)
            .map_err(|error| Problem::internal("writing down the recording", error))?;
        let file = |ending: &str, media_type, bytes: Vec<u8>| NewArtifact {
            path: take.path(ending),
            media_type,
            bytes: bytes.into(),
        };
        let mut files = vec![
            file(".vtt", "text/vtt", vtt::document(&said).into_bytes()),
            file(".json", "application/json", document),
        ];
        files.extend(poster.map(|bytes| file("-poster.png", "image/png", bytes)));
        let data = json!({
            "recording": take.name, "stage": take.stage, "summary": summary,
            "began_at": rfc3339(summary.began_at),
        });
        let event = Event::exhibit("recording.taken", data);
        let tell = move |artifacts: &[Artifact]| with_artifacts(event, artifacts);
        let (artifacts, blob) =
            self.0.runs.finish_growing(&take.work, take.path(".mp4"), files, tell).await?;
        Ok((artifacts, blob, summary))
    }

    /// Put on record that there is no recording but what may be in its file.
    async fn keep_lost(&self, take: &Take, problem: &Problem) {
        let data = json!({
            "recording": take.name, "stage": take.stage, "code": problem.code,
            "message": problem.message,
        });
        let event = Event::exhibit("recording.failed", data);
        let told = event.clone();
        let tell = move |artifacts: &[Artifact]| with_artifacts(told, artifacts);
        let kept = self.0.runs.finish_growing(&take.work, take.path(".mp4"), Vec::new(), tell);
        if kept.await.is_err()
            && let Err(error) = self.0.runs.record(&take.work, vec![event]).await
        {
            tracing::error!(error = chain(&error), "a lost recording is not on record");
        }
    }

    async fn conclude_video(
        &self,
        take: Take,
        standalone: bool,
        json: bool,
        request: &SequenceRequest,
        results: Results,
        kept: Result<(Vec<Artifact>, Blob, Summary), Problem>,
    ) -> Result<VideoDone, Box<Refused>> {
        let (run, begun, total) = (take.work.run.id, take.begun, request.steps.len());
        let mut evidence = json!({ "run": run, "recording": take.name });
        if let Err(problem) = &kept {
            self.keep_lost(&take, problem).await;
        }
        if standalone {
            let done = kept.is_ok() && results.completed == total;
            let outcome = if done { "succeeded" } else { "failed" };
            match self.seal(take.work, outcome).await {
                Ok(receipt) => evidence["receipt"] = json!(receipt),
                Err(error) if kept.is_ok() => return Err(error.into()),
                Err(error) => tracing::error!(error = chain(&error), "a recording is not sealed"),
            }
        }
        let (artifacts, bytes, summary) = match kept {
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
            "format": "mp4",
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
        Ok(VideoDone { run, bytes, json, answer })
    }

    /// Begin to record a session's page into a run; the answer.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn start_recording(
        &self,
        caller: Caller,
        run: RunId,
        body: Value,
    ) -> Result<Value, Box<Refused>> {
        let RecordingRequest { session, frame_rate } = RecordingRequest::read(body)?;
        self.check_not_stopping()?;
        let work = self.0.runs.work(run, &caller).await?;
        let viewport = self.0.sessions.viewport(session, &caller)?;
        let seat = self.0.recordings.seat(self.0.config.borrow().video.max)?;
        let number = work.next_recording();
        let (name, begun) = (format!("{number:04}"), self.0.runs.clock().now());
        let take = Take { work, name, stage: Stage::during(), begun };
        let file = self.0.runs.begin_growing(&take.work, take.path(".mp4")).await?;
        let settings = self.recording_settings(viewport, frame_rate);
        let data = json!({
            "recording": take.name, "session_id": session, "width": settings.width,
            "height": settings.height, "framerate": frame_rate,
        });
        let started = Event::exhibit("recording.started", data);
        let recorded = self.0.runs.record(&take.work, vec![started]).await?;
        let (ended, ending) = oneshot::channel();
        let clock = self.0.runs.clock().clone();
        let order = RecordingOrder { settings, file, clock, ended };
        if let Err(problem) = self.0.backends.local().start_recording(session, order).await {
            self.keep_lost(&take, &problem).await;
            return Err(problem.into());
        }
        let (stop, stopped) = oneshot::channel();
        self.0.recordings.lock().insert((run, number), Active { session, stop });
        let evidence = json!({ "run": run, "event": recorded.first() });
        let answer = json!({ "recording": take.name, "session_id": session, "evidence": evidence });
        let this = self.clone();
        drop(self.0.tasks.spawn(async move {
            this.see_through(take, number, session, ending, stopped).await;
            drop(seat);
        }));
        Ok(answer)
    }

    /// Wait until a recording ends, by itself or because it is told to, and put it on record.
    async fn see_through(
        &self,
        take: Take,
        number: u32,
        session: SessionId,
        ending: oneshot::Receiver<()>,
        stopped: oneshot::Receiver<oneshot::Sender<Result<Value, Problem>>>,
    ) {
        let mut stopped = stopped;
        let told = tokio::select! {
            told = &mut stopped => told.ok(),
            _ = ending => None,
            () = self.0.tasks.stopping() => None,
        };
        let run = take.work.run.id;
        let kept = match self.0.backends.local().stop_recording(session).await {
            Ok(recorded) => {
                let cues = self.0.runs.said_since(&take.work, take.begun).await;
                self.keep_recording(&take, recorded, cues.unwrap_or_default()).await
            }
            Err(problem) => Err(problem),
        };
        let answer = match kept {
            Ok((artifacts, _, summary)) => Ok(json!({
                "recording": take.name, "summary": summary,
                "evidence": { "run": run, "artifacts": artifacts },
            })),
            Err(problem) => {
                self.keep_lost(&take, &problem).await;
                Err(problem)
            }
        };
        // The run may be sealed from now on.
        drop(take);
        self.0.recordings.lock().remove(&(run, number));
        let asker = told.or_else(|| stopped.try_recv().ok());
        if let Some(asker) = asker {
            // Who asked may have gone.
            let _ = asker.send(answer);
        }
    }

    /// End a recording; what is on record of it.
    ///
    /// # Errors
    /// `recording_not_found`, `not_your_run`, or what stood in its way.
    pub async fn stop_recording(
        &self,
        caller: &Caller,
        run: RunId,
        name: &str,
    ) -> Result<Value, Problem> {
        drop(self.0.runs.work(run, caller).await?);
        let number = name.parse::<u32>().unwrap_or(0);
        self.end_recording(run, number).await
    }

    async fn end_recording(&self, run: RunId, number: u32) -> Result<Value, Problem> {
        let gone = || {
            let message = "no such recording is under way in the run; start one first";
            Problem::new(Code::RecordingNotFound, message).field("recording")
        };
        let active = self.0.recordings.lock().remove(&(run, number)).ok_or_else(gone)?;
        let (asker, answer) = oneshot::channel();
        active.stop.send(asker).map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// End the recordings of a run that is to be sealed, or of a session that is to be closed.
    pub async fn end_recordings(&self, run: Option<RunId>, session: Option<SessionId>) {
        let wanted: Vec<(RunId, u32)> = {
            let under_way = self.0.recordings.lock();
            let wanted = under_way.iter().filter(|((of, _), active)| {
                run.is_none_or(|run| run == *of)
                    && session.is_none_or(|session| session == active.session)
            });
            wanted.map(|(key, _)| *key).collect()
        };
        for (run, number) in wanted {
            if let Err(problem) = self.end_recording(run, number).await {
                tracing::debug!(%problem, "a recording had ended already");
            }
        }
    }
}

/// What is said of a step: when it began and ended, in seconds since the epoch, and what it was.
fn cue(request: &SequenceRequest, report: &StepReport, until: f64) -> (f64, f64, String) {
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
        format!("{} {}", step.word, what.unwrap_or_default()).trim().to_owned()
    });
    if let Some(note) = step.and_then(|step| step.note.as_ref()) {
        text = format!("{note} ({text})");
    }
    if let Some(problem) = &report.problem {
        text = format!("{text}: failed, {}", problem.code);
    }
    (until - took, until, format!("{}. {text}", report.index + 1))
}

fn rfc3339(seconds: f64) -> Option<String> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
    let millis = (seconds * 1000.0).round() as i64;
    jiff::Timestamp::from_millisecond(millis).ok().map(crate::clock::rfc3339_millis)
}
