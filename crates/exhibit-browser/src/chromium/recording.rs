//! Owns the recording of a page together with the windows it opens: the windows are followed before
//! the first frame is taken, and have ended before the page's own recording does.

use super::error::PageError;
use super::instance::Instance;
use super::page::Page;
use super::record::{LastLook, Recorder, ready};
use super::windows::Windows;
use crate::backend::{CaptureError, Recorded, RecordingRequest};
use crate::tasks::Tasks;

/// A recording of a page and its windows under way.
#[derive(Debug)]
pub(super) struct Recording {
    recorder: Recorder,
    /// The windows that the page opens, where they are recorded, too.
    windows: Option<Windows>,
}

impl Recording {
    /// Begin to record `page` of `instance`, and the windows it opens where the request asks for that.
    ///
    /// # Errors
    /// `not_supported` when the browser has no such recorder; what the browser says.
    pub(super) async fn start(
        page: &Page,
        instance: &Instance,
        mut request: RecordingRequest,
        tasks: &Tasks,
    ) -> Result<Self, CaptureError> {
        ready(page).await?;
        // First: a page whose windows nobody watches is not recorded.
        let windows = match request.popups.take() {
            Some(news) => {
                Some(Windows::follow(page, instance, news, tasks).await.map_err(PageError::from)?)
            }
            None => None,
        };
        let recorder = Recorder::start(page, request, tasks).await?;
        Ok(Self { recorder, windows })
    }

    /// A step begins: there is to be a seek point.
    pub(super) fn mark(&self) {
        self.recorder.mark();
    }

    /// End it.
    ///
    /// # Errors
    /// When the coder could not be had, or broke.
    pub(super) async fn stop(self, page: &Page) -> Result<Recorded, CaptureError> {
        let last = LastLook::at(page).await;
        if let Some(windows) = self.windows {
            windows.end().await;
        }
        let mut recorded = self.recorder.stop(page, last).await?;
        let downloads = page.observed().downloads.take();
        recorded.downloads = page.typed().clean_downloads(downloads, page.tasks()).await?;
        Ok(recorded)
    }
}
