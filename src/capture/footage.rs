//! Owns what all recordings have in common: their place in a run, and their files on record.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::Captures;
use super::record::with_artifacts;
use crate::artifact::{Artifact, NewArtifact};
use crate::backend::{self, News, Recorded, WallClock};
use crate::blob::Blob;
use crate::clock::{Clock, Moment};
use crate::error::{Code, Problem, chain};
use crate::evidence::GrowingFile;
use crate::quotas::{Quota, Share};
use crate::run::{Caller, Event};
use crate::runs::Work;
use crate::settings::{Stage, Viewport};
use crate::video::vtt::{self, Cue};
use crate::video::{LARGEST_SIDE, Settings, Sink, Summary};

/// Something said in a recording: from and to, in seconds since the epoch, and what.
pub(super) type TimedText = (f64, f64, String);

/// One of the recordings that may be under way at the same time.
pub type Seat = Share;

/// A recording in its run.
#[derive(Clone)]
pub(super) struct Take {
    pub(super) work: Work,
    pub(super) number: u32,
    /// `0001`.
    pub(super) name: String,
    pub(super) stage: Stage,
    pub(super) begun: Moment,
    /// The recording whose page opened this one's.
    pub(super) opener: Option<String>,
}

impl Take {
    /// The next recording of a run.
    pub(super) fn new(work: Work, stage: Stage, begun: Moment, opener: Option<String>) -> Self {
        let number = work.next_recording();
        Self { work, number, name: format!("{number:04}"), stage, begun, opener }
    }

    /// Path of one of its files, below `data/`.
    pub(super) fn path(&self, ending: &str) -> String {
        format!("recordings/{}{ending}", self.name)
    }
}

/// A recording on record.
pub(super) struct Footage {
    pub(super) artifacts: Vec<Artifact>,
    pub(super) bytes: Blob,
    pub(super) summary: Summary,
}

/// A file of the evidence, as the browser's recorder writes to it.
struct RecordingFile(GrowingFile);

impl Sink for RecordingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.append(bytes)
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.patch(at, bytes)
    }
}

/// The daemon's clock, as the browser's recorder reads it.
struct RecordingClock(Clock);

impl WallClock for RecordingClock {
    fn now(&self) -> Moment {
        self.0.now()
    }
}

/// A recording that is being made.
pub(super) struct Filming {
    /// Completes when it ends by itself.
    pub(super) ending: oneshot::Receiver<()>,
    /// Ends when all windows that were opened are on record.
    windows: JoinHandle<()>,
}

impl Filming {
    /// Wait until all windows that were opened are on record.
    pub(super) async fn windows(self) {
        if let Err(error) = self.windows.await {
            tracing::error!(%error, "the windows of a recording are lost");
        }
    }
}

impl Captures {
    /// One of the recordings that may be under way at the same time, for `caller`.
    ///
    /// # Errors
    /// `too_many_recordings`.
    pub fn seat(&self, caller: &Caller) -> Result<Seat, Problem> {
        let (most, own) = {
            let config = self.0.config.borrow();
            (config.video.max, config.recording_share())
        };
        self.0.recordings.seats().take_of(caller, Quota::Recordings, own, 0, |held| {
            if held < most {
                return Ok(());
            }
            let message =
                format!("{most} recordings are under way, which is `video.max`; end one first");
            Err(Problem::new(Code::TooManyRecordings, message))
        })
    }

    pub(super) fn recording_settings(&self, viewport: Viewport, frame_rate: u32) -> Settings {
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

    /// Begin the file of a recording; what is asked of a backend for it.
    ///
    /// # Errors
    /// What the store says.
    pub(super) async fn begin_filming(
        &self,
        take: &Take,
        settings: Settings,
    ) -> Result<(backend::RecordingRequest, Filming), Problem> {
        let (told, news) = mpsc::channel(1);
        let (backend_request, ending) = self.recording_request(take, settings, Some(told)).await?;
        let (this, take) = (self.clone(), take.clone());
        let windows = self.0.tasks.spawn(this.follow_windows(take, settings, news));
        Ok((backend_request, Filming { ending, windows }))
    }

    /// What is asked of a backend for a recording, its file begun; and what tells when it ends by
    /// itself.
    pub(super) async fn recording_request(
        &self,
        take: &Take,
        settings: Settings,
        popups: Option<mpsc::Sender<News>>,
    ) -> Result<(backend::RecordingRequest, oneshot::Receiver<()>), Problem> {
        let file = self.0.runs.begin_growing(&take.work, take.path(".mp4")).await?;
        let (ended, ending) = oneshot::channel();
        let clock = Arc::new(RecordingClock(self.0.runs.clock().clone()));
        Ok((
            backend::RecordingRequest {
                settings,
                file: Box::new(RecordingFile(file)),
                clock,
                ended,
                popups,
            },
            ending,
        ))
    }

    /// Put on record what a recording came to: its files, or that there are none.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn conclude_take(
        &self,
        take: &Take,
        recorded: Result<Recorded, Problem>,
        said: Vec<TimedText>,
    ) -> Result<Footage, Problem> {
        let kept = match recorded {
            Ok(recorded) => self.keep_recording(take, recorded, said).await,
            Err(problem) => Err(problem),
        };
        if let Err(problem) = &kept {
            self.keep_lost(take, problem).await;
        }
        kept
    }

    /// Put a recording on record, with what is said in it and its last picture.
    async fn keep_recording(
        &self,
        take: &Take,
        recorded: Recorded,
        cues: Vec<TimedText>,
    ) -> Result<Footage, Problem> {
        let Recorded { summary, poster, masked, downloads } = recorded;
        let of = json!({ "recording": take.name });
        self.keep_downloads(&take.work, &downloads, of, serde_json::Value::Null).await?;
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
            "opener": take.opener,
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
            "recording": take.name, "stage": take.stage, "opener": take.opener,
            "summary": summary,
            "began_at": rfc3339(summary.began_at),
        });
        let event = Event::exhibit("recording.taken", data);
        let tell = move |artifacts: &[Artifact]| with_artifacts(event, artifacts);
        let (artifacts, bytes) =
            self.0.runs.finish_growing(&take.work, take.path(".mp4"), files, tell).await?;
        Ok(Footage { artifacts, bytes, summary })
    }

    /// Put on record that there is no recording but what may be in its file.
    pub(super) async fn keep_lost(&self, take: &Take, problem: &Problem) {
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
}

fn rfc3339(seconds: f64) -> Option<String> {
    #[expect(clippy::cast_possible_truncation, reason = "milliseconds since the epoch")]
    let millis = (seconds * 1000.0).round() as i64;
    jiff::Timestamp::from_millisecond(millis).ok().map(crate::clock::rfc3339_millis)
}
