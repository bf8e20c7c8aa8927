//! Owns the recording of one page, from either source: frames of the browser's screencast, or
//! segments of its own recorder. What they show is put into a file off the async threads.

use std::sync::mpsc::{Sender, channel};

use serde_json::json;
use tokio::task::JoinHandle;

use super::limits::QUICK;
use super::mask;
use super::page::Page;
use super::pipe::CallError;
use super::screenshot;
use super::segments::Segments;
use crate::backend::{Masked, Recorded, RecordingRequest};
use crate::error::{CaptureError, ErrorKind};
use crate::settings::Format;
use crate::tasks::Tasks;
use crate::video::{self, Message, Source};

/// Quality of the frames, 1 to 100: what is lost here no coder brings back.
const QUALITY: u32 = 100;

/// A recording under way.
#[derive(Debug)]
pub(super) struct Recorder {
    messages: Sender<Message>,
    /// The browser's own recorder; none where frames are coded here.
    segments: Option<Segments>,
    coding: JoinHandle<std::io::Result<video::Summary>>,
}

impl Recorder {
    /// Begin to record `page`, which is [`ready`].
    ///
    /// # Errors
    /// `not_supported` when the browser has no such recorder; what the browser says.
    pub(super) async fn start(
        page: &Page,
        request: RecordingRequest,
        tasks: &Tasks,
    ) -> Result<Self, CaptureError> {
        let RecordingRequest { settings, mut file, clock, ended, popups: _ } = request;
        let (messages, coming) = channel();
        let segments = match settings.source {
            Some(Source::Screencast) => None,
            wanted => {
                let begun = Segments::start(page, settings, clock, messages.clone(), tasks).await;
                if begun.is_none() && wanted.is_some() {
                    let message = "this browser has no recorder (Chromium 153 and later do); set \
                                   `video.source` to \"screencast\"";
                    return Err(
                        CaptureError::new(ErrorKind::NotSupported, message).field("video.source")
                    );
                }
                begun
            }
        };
        let source = segments.as_ref().map_or(Source::Screencast, |_| Source::Recorder);
        let coding = tasks.spawn_blocking(move || {
            let summary = video::record(&coming, &mut *file, settings, source);
            // Whoever does not listen has stopped it.
            let _ = ended.send(());
            summary
        });
        page.send_frames_to(Some(messages.clone()));
        if segments.is_none()
            && let Err(error) = start_screencast(page, settings).await
        {
            page.send_frames_to(None);
            // Nobody writes to the file any more when this returns.
            drop(messages);
            let _ = coding.await;
            return Err(error.into());
        }
        Ok(Self { messages, segments, coding })
    }

    /// A step begins: there is to be a seek point.
    pub(super) fn mark(&self) {
        match &self.segments {
            Some(segments) => segments.turn(),
            // When the coding has ended, so has the recording: its summary says why.
            None => drop(self.messages.send(Message::Mark)),
        }
    }

    /// End it; `last` is what the page showed when it was told to end.
    ///
    /// # Errors
    /// `mask_failed` when the page showed what a mask is for; when the coder could not be had, or broke.
    pub(super) async fn stop(self, page: &Page, last: LastLook) -> Result<Recorded, CaptureError> {
        page.send_frames_to(None);
        let screencast = self.segments.is_none();
        if let Some(segments) = self.segments {
            segments.end().await;
        }
        let word = if page.is_alive() { Some(Message::Stop) } else { None };
        // Without a word the coding ends too, when nobody holds the other end.
        drop(word.map(|word| self.messages.send(word)));
        drop(self.messages);
        let coded =
            self.coding.await.map_err(|error| CaptureError::internal("recording", error))?;
        if screencast
            && let Err(error) = page.call_raw("Page.stopScreencast", json!({}), QUICK).await
        {
            tracing::debug!(%error, "a screencast was not stopped");
        }
        let summary = coded.map_err(|error| CaptureError::internal("recording", error))?;
        let LastLook { masked, poster, uncovered } = last;
        if uncovered {
            return Err(mask::uncovered());
        }
        Ok(Recorded { summary, poster, masked, downloads: Vec::new() })
    }
}

/// Make sure that `page` may be recorded: it shows nothing that policy forbids, and its masks are on.
///
/// # Errors
/// `target_forbidden`, `mask_failed`, or what the browser says.
pub(super) async fn ready(page: &Page) -> Result<(), CaptureError> {
    page.observed().may_be_shown()?;
    mask::cover(page).await?;
    page.set_uncovered(false);
    Ok(())
}

/// What a page shows when its recording is told to end.
pub(super) struct LastLook {
    /// What is covered in it.
    masked: Vec<Masked>,
    /// The page as it stands, PNG.
    poster: Option<Vec<u8>>,
    /// Whether something was shown meanwhile that a mask is for.
    uncovered: bool,
}

impl LastLook {
    /// Look at `page`.
    pub(super) async fn at(page: &Page) -> Self {
        let (masked, poster) = match mask::cover(page).await {
            Ok(covered) => (covered.masked, poster(page).await),
            Err(_) => (Vec::new(), None),
        };
        // Asked afterwards: what was shown then was shown before.
        let poster = poster.filter(|_| page.observed().may_be_shown().is_ok());
        if poster.is_some() && mask::covered_still(page).await.is_err() {
            page.set_uncovered(true);
        }
        // A mask may have come late to a document that began unheard.
        let unheard = page.observed().begun_silenced() && !page.masks().rules().is_empty();
        Self { masked, poster, uncovered: page.was_uncovered() || unheard }
    }
}

async fn start_screencast(page: &Page, settings: video::Settings) -> Result<(), CallError> {
    let params = json!({
        "format": "jpeg",
        "quality": QUALITY,
        "maxWidth": settings.width,
        "maxHeight": settings.height,
        "everyNthFrame": 1,
        // One at a time: the next when it is due. What is shown meanwhile is not forgotten: a page
        // that then stands still would otherwise never show its last state.
        "maxFramesInFlight": 1,
        "sendLastFrame": true,
    });
    page.call_raw("Page.startScreencast", params, QUICK).await.map(drop)
}

/// The page as it stands.
async fn poster(page: &Page) -> Option<Vec<u8>> {
    match screenshot::window(page, Format::Png).await {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            tracing::debug!(%error, "a recording has no poster");
            None
        }
    }
}
