//! Owns the recording of one page: frames come from the browser's screencast as events, and are
//! coded off the async threads. The browser sends a frame only when something changed, and waits
//! until the ones before were taken.

use std::sync::mpsc::{Sender, channel};

use serde_json::json;
use tokio::task::JoinHandle;

use super::page::{Page, QUICK};
use super::picture;
use super::pipe::CallError;
use crate::backend::{Recorded, RecordingOrder};
use crate::error::Problem;
use crate::settings::Format;
use crate::tasks::Tasks;
use crate::video::{self, Message};

/// Quality of the frames, 1 to 100: at 90 text is as legible as in the page.
const QUALITY: u32 = 90;

/// A recording under way.
pub(super) struct Recorder {
    messages: Sender<Message>,
    coding: JoinHandle<std::io::Result<video::Summary>>,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    /// Begin to record `page`.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(super) async fn start(
        page: &Page,
        order: RecordingOrder,
        tasks: &Tasks,
    ) -> Result<Self, CallError> {
        let RecordingOrder { settings, mut file, ended } = order;
        let (messages, coming) = channel();
        let coding = tasks.spawn_blocking(move || {
            let summary = video::record(&coming, &mut file, settings);
            // Whoever does not listen has stopped it.
            let _ = ended.send(());
            summary
        });
        page.send_frames_to(Some(messages.clone()));
        let params = json!({
            "format": "jpeg",
            "quality": QUALITY,
            "maxWidth": settings.width,
            "maxHeight": settings.height,
            "everyNthFrame": 1,
        });
        if let Err(error) = page.call_raw("Page.startScreencast", params, QUICK).await {
            page.send_frames_to(None);
            // Nobody writes to the file any more when this returns.
            drop(messages);
            let _ = coding.await;
            return Err(error);
        }
        Ok(Self { messages, coding })
    }

    /// A step begins: there is to be a seek point.
    pub(super) fn mark(&self) {
        // When the coding has ended, so has the recording: its summary says why.
        let _ = self.messages.send(Message::Mark);
    }

    /// End it.
    ///
    /// # Errors
    /// When the coder could not be had, or broke.
    pub(super) async fn stop(self, page: &Page) -> Result<Recorded, Problem> {
        let poster = if page.is_alive() { poster(page).await } else { None };
        page.send_frames_to(None);
        let last = if page.is_alive() { Some(Message::Stop) } else { None };
        // Without a word the coding ends too, when nobody holds the other end.
        drop(last.map(|last| self.messages.send(last)));
        drop(self.messages);
        let coded = self.coding.await.map_err(|error| Problem::internal("recording", error))?;
        if let Err(error) = page.call_raw("Page.stopScreencast", json!({}), QUICK).await {
            tracing::debug!(%error, "a screencast was not stopped");
        }
        let summary = coded.map_err(|error| Problem::internal("recording", error))?;
        Ok(Recorded { summary, poster })
    }
}

/// The page as it stands.
async fn poster(page: &Page) -> Option<Vec<u8>> {
    match picture::window(page, Format::Png).await {
        Ok(bytes) => Some(bytes),
        Err(trouble) => {
            tracing::debug!(?trouble, "a recording has no poster");
            None
        }
    }
}
