//! Owns what is on record of the windows that a recorded page opens, and that these open: that there
//! is one, before it does anything; its recording, where there is room for one; and what it did.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Captures;
use super::footage::Take;
use super::record::with_artifacts;
use crate::artifact::{Artifact, NewArtifact};
use crate::backend::{CaptureError, Filmed, News, Popup, WindowSeen};
use crate::error::{Problem, chain};
use crate::pack;
use crate::run::Event;
use crate::video::Settings;
use crate::workflow::{WINDOW_CLOSED, WINDOW_OPENED, WINDOWS_UNWATCHED};

impl Captures {
    /// Record the windows of `opener`, and put on record what they did.
    pub(super) async fn follow_windows(
        self,
        opener: Take,
        settings: Settings,
        mut news: mpsc::Receiver<News>,
    ) {
        let mut windows = Vec::new();
        while let Some(news) = news.recv().await {
            let (this, opener) = (self.clone(), opener.clone());
            let following = async move {
                let kept = match news {
                    News::Window(popup) => this.keep_window(&opener, settings, popup).await,
                    News::Unwatched(count) => this.keep_unwatched(&opener, count).await,
                };
                if let Err(problem) = kept {
                    tracing::error!(error = chain(&problem), "a window is not on record");
                }
            };
            windows.push(self.0.tasks.spawn(following));
        }
        for window in windows {
            if let Err(error) = window.await {
                tracing::error!(%error, "a window of a recording is lost");
            }
        }
    }

    async fn keep_unwatched(&self, opener: &Take, count: u64) -> Result<(), Problem> {
        let data = json!({ "opener": opener.name, "count": count });
        let event = Event::exhibit(WINDOWS_UNWATCHED, data);
        self.0.runs.record(&opener.work, vec![event]).await.map(drop)
    }

    /// Put a window on record, from its opening to its end.
    async fn keep_window(
        &self,
        opener: &Take,
        settings: Settings,
        popup: Popup,
    ) -> Result<(), Problem> {
        let Popup { number, noted, url, filming, seen } = popup;
        let window = format!("{}-window-{number:02}", opener.name);
        let data = json!({ "window": window, "opener": opener.name });
        let opened = vec![Event::exhibit(WINDOW_OPENED, data)];
        self.0.runs.record(&opener.work, opened).await?;
        // It may have gone meanwhile.
        let _ = noted.send(());
        let recording = match url.await {
            Ok(url) => self.film_window(opener, &window, settings, url, filming).await,
            // It was closed before anything could be recorded.
            Err(_) => {
                drop(filming);
                Ok(None)
            }
        };
        let recording = recording.unwrap_or_else(|problem| {
            tracing::error!(error = chain(&problem), "the recording of a window is not on record");
            None
        });
        self.keep_closed(opener, &window, recording, seen.await.ok()).await
    }

    /// Record a window; the recording's name and whether there is anything in it, or none when there
    /// was no room for one.
    async fn film_window(
        &self,
        opener: &Take,
        window: &str,
        settings: Settings,
        url: String,
        filming: Filmed,
    ) -> Result<Option<(String, bool)>, Problem> {
        let begun = self.0.runs.clock().now();
        let seat = match self.seat(&opener.work.run.opening.caller) {
            Ok(seat) => seat,
            Err(problem) => {
                self.keep_too_many(opener, window, &url, &problem).await?;
                return Ok(None);
            }
        };
        let of = Some(opener.name.clone());
        let take = Take::new(opener.work.clone(), opener.stage.clone(), begun, of);
        let (recording, _ending) = self.recording_request(&take, settings, None).await?;
        let data = json!({
            "recording": take.name, "opener": take.opener, "window": window, "url": url,
            "width": settings.width, "height": settings.height, "framerate": settings.frame_rate,
        });
        let started = vec![Event::exhibit("recording.started", data)];
        if let Err(problem) = self.0.runs.record(&take.work, started).await {
            drop(recording);
            self.keep_lost(&take, &problem).await;
            return Err(problem);
        }
        let gone = || CaptureError::internal("recording a window", "its page is gone");
        let recorded = match filming.request.send(recording) {
            Ok(()) => filming.recorded.await.unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(gone()),
        };
        drop(seat);
        let said = self.0.runs.captions_since(&take.work, take.begun).await.unwrap_or_default();
        let kept = self.conclude_take(&take, recorded.map_err(Problem::from), said).await;
        if let Err(problem) = &kept {
            tracing::warn!(error = chain(problem), "a window was not recorded, as its event says");
        }
        let shows = kept.is_ok_and(|footage| footage.summary.frames > 0);
        Ok(Some((take.name, shows)))
    }

    /// Put on record that there was no room for the recording of a window.
    async fn keep_too_many(
        &self,
        opener: &Take,
        window: &str,
        url: &str,
        problem: &Problem,
    ) -> Result<(), Problem> {
        let data = json!({
            "opener": opener.name, "window": window, "url": url, "code": problem.code,
            "message": problem.message,
        });
        let event = Event::exhibit("recording.failed", data);
        self.0.runs.record(&opener.work, vec![event]).await.map(drop)
    }

    /// Put on record what a window did.
    async fn keep_closed(
        &self,
        opener: &Take,
        window: &str,
        recording: Option<(String, bool)>,
        seen: Option<WindowSeen>,
    ) -> Result<(), Problem> {
        let (recording, recorded) =
            recording.map_or((None, false), |(name, shows)| (Some(name), shows));
        let mut data = json!({
            "window": window, "opener": opener.name, "recording": recording, "recorded": recorded,
            "watched": seen.is_some(),
        });
        let Some(WindowSeen { url, facts, network, forbidden, closed }) = seen else {
            let event = Event::exhibit(WINDOW_CLOSED, data);
            return self.0.runs.record(&opener.work, vec![event]).await.map(drop);
        };
        let of = json!({ "window": window, "opener": opener.name });
        self.keep_downloads(&opener.work, &facts.downloads, of, Value::Null).await?;
        let more = json!({
            "url": url, "closed": closed, "document": facts.document,
            "requests": facts.requests, "failed_requests": facts.failed_requests,
            "console_errors": facts.console_errors, "dialogs": facts.dialogs,
            "popups": facts.popups, "events_lost": facts.events_lost, "forbidden": forbidden,
        });
        if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
            data.extend(more);
        }
        let mut files = Vec::new();
        if !network.is_null() {
            let traffic = serde_json::to_vec(&network).map_err(std::io::Error::other);
            let packed = traffic.and_then(|bytes| pack::compress(&bytes));
            let packed = packed.map_err(|error| Problem::internal("keeping a window", error))?;
            files.push(NewArtifact {
                path: format!("recordings/{window}.har.zst"),
                media_type: "application/json",
                bytes: packed.into(),
            });
        }
        let event = Event::exhibit(WINDOW_CLOSED, data);
        let tell = move |artifacts: &[Artifact]| with_artifacts(event, artifacts);
        self.0.runs.add(&opener.work, files, tell).await.map(drop)
    }
}
