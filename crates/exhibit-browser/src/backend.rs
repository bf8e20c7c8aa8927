//! Owns what a backend is: something that takes a picture of a page and says what it saw doing so.
//! It writes no evidence and knows no run. `chromium` is the local browser; a hosted
//! service implements the same trait elsewhere.

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use crate::error::{CaptureError, ErrorKind};
pub use crate::facts::{
    Blocked, BoundingBox, ConsoleLine, Cut, Dialog, Document, Download, FailedRequest, Leading,
    Led, Masked, Original, PageFacts, Redirect, Settled, Timings, TlsFacts, Worker,
};
use crate::policy::Policy;
use crate::settings::sequence::Step;
use crate::settings::{CaptureSettings, PageSettings, Product};
use crate::video;
use exhibit_verify::blob::Blob;
use exhibit_verify::id::SessionId;
use exhibit_verify::moment::Moment;

/// Who takes pictures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// The local browser.
    Chromium,
    /// A hosted service.
    Hosted,
}

impl BackendName {
    /// Its word in requests and in the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Hosted => "hosted",
        }
    }

    /// The backend with this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Chromium, Self::Hosted].into_iter().find(|name| name.as_str() == word)
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is passed on to a service that has the hosted API.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The endpoint, below the version: `/screenshot`.
    pub endpoint: &'static str,
    /// What its caller sent, in the hosted API's words.
    pub body: Arc<Value>,
}

/// What is asked of a backend.
#[derive(Clone, Debug)]
pub struct CaptureRequest {
    /// What is passed on, for a backend that does so.
    pub sent: Option<Sent>,
    /// The page, and what is to be made of it.
    pub settings: CaptureSettings,
    /// Whether page snapshots (MHTML, DOM, accessibility tree) are wanted too.
    pub snapshot: bool,
    /// Whether a target that is a document and no page is kept as it is.
    pub documents: bool,
    /// Whether what the page says of itself is wanted too.
    pub metadata: bool,
    /// Largest picture in device pixels.
    pub max_pixels: u64,
    /// Folder on whose file system large documents wait for their place in the evidence.
    pub spool: PathBuf,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Cancelled when nobody waits for the answer any more: what has not begun then never does.
    pub gone: CancellationToken,
    /// What may be loaded.
    pub policy: Policy,
}

/// Snapshots of the page, beside its picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshots {
    /// The page and its resources, MHTML (RFC 2557).
    pub mhtml: Option<Vec<u8>>,
    /// The document as it stood.
    pub dom: Option<Vec<u8>>,
    /// The accessibility tree, the browser's own JSON.
    pub accessibility: Option<Vec<u8>>,
}

impl Snapshots {
    /// How many there are.
    pub fn count(&self) -> usize {
        [&self.mhtml, &self.dom, &self.accessibility].into_iter().flatten().count()
    }
}

/// A file that goes with what was made: the picture of an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Companion {
    /// What its file is called.
    pub name: String,
    /// Its media type.
    pub media_type: &'static str,
    /// Its bytes, exactly as the browser gave them.
    pub bytes: Vec<u8>,
}

/// Why an earlier attempt at the same capture came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedAttempt {
    /// Stable code.
    pub code: &'static str,
    /// The sentence.
    pub message: String,
    /// Who it was, where that was another backend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<Value>,
}

/// A capture that succeeded.
#[derive(Clone, Debug)]
pub struct CaptureResult {
    /// Who took it.
    pub by: BackendName,
    /// The picture or document, exactly as the browser gave it.
    pub product: Blob,
    /// Size of a picture in device pixels: width, height.
    pub pixels: Option<(u32, u32)>,
    /// The document that the product is, where the target was no page.
    pub original: Option<Original>,
    /// What goes with it.
    pub companions: Vec<Companion>,
    /// What was seen; none when nobody here saw anything.
    pub facts: Option<PageFacts>,
    /// What a service says of the page; none where it was seen here.
    pub told: Option<Value>,
    /// The console, at most 1,000 lines.
    pub console: Vec<ConsoleLine>,
    /// The network traffic, HAR 1.2; null when nobody here saw it.
    pub network: Value,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// Which browser took it.
    pub browser: Value,
    /// Attempts before this one.
    pub failed_attempts: Vec<FailedAttempt>,
}

impl CaptureResult {
    /// HTTP status of the page, where it was seen.
    pub fn status(&self) -> Option<u16> {
        self.facts.as_ref()?.document.as_ref().map(|document| document.status)
    }
}

/// A sequence asked of a backend.
#[derive(Clone, Debug)]
pub struct SequenceRequest {
    /// What is passed on, for a backend that does so.
    pub sent: Option<Sent>,
    /// Window, cookies and colours of the page.
    pub page: PageSettings,
    /// The steps.
    pub steps: Vec<Step>,
    /// Whether the state of the page is told after each step.
    pub observe: bool,
    /// Whether page snapshots are wanted beside each output.
    pub snapshot: bool,
    /// Largest picture in device pixels.
    pub max_pixels: u64,
    /// Folder on whose file system large documents wait for their place in the evidence.
    pub spool: PathBuf,
    /// When the last step must be done.
    pub deadline: Instant,
    /// Cancelled when nobody waits for the answer any more: what has not begun then never does.
    pub gone: CancellationToken,
    /// What may be loaded.
    pub policy: Policy,
    /// The browser's word for itself; the backend fills it in.
    pub product: String,
}

/// Where times come from that the browser does not tell.
pub trait WallClock: Send + Sync {
    /// The time now.
    fn now(&self) -> Moment;
}

/// A recording asked of a backend.
pub struct RecordingRequest {
    /// Size, rate and limits.
    pub settings: video::Settings,
    /// Where its bytes go.
    pub file: Box<dyn video::Sink>,
    /// Where times come from that the browser does not tell.
    pub clock: Arc<dyn WallClock>,
    /// Told when it ends by itself; dropped when it ends at all.
    pub ended: oneshot::Sender<()>,
    /// Told of each window that the page, or a window of its, opens; none where these are told of
    /// already.
    pub popups: Option<mpsc::Sender<News>>,
}

/// What is told of the windows of a recorded page.
pub enum News {
    /// There is one more.
    Window(Popup),
    /// So many more were opened than are watched: nothing else is known of them.
    Unwatched(u64),
}

/// A window that a recorded page opened: a recording of its own is asked for.
pub struct Popup {
    /// Its number among the windows of the recording, from 1.
    pub number: u64,
    /// To be told when it is on record that there is the window, which waits for that.
    pub noted: oneshot::Sender<()>,
    /// Where it is; dropped when it was closed before it could be recorded.
    pub url: oneshot::Receiver<String>,
    /// Its recording, dropped when it is not to be recorded.
    pub filming: Filmed,
    /// What it did, once it or its opener's recording has ended; dropped when nobody saw that.
    pub seen: oneshot::Receiver<WindowSeen>,
}

/// The recording of a window.
pub struct Filmed {
    /// How it is to be made.
    pub request: oneshot::Sender<RecordingRequest>,
    /// What was recorded, once the window is gone or its opener's recording has ended.
    pub recorded: oneshot::Receiver<Result<Recorded, CaptureError>>,
}

/// What a window was seen doing from its first request on, recorded or not.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowSeen {
    /// Where it was last, or what it asked for first.
    pub url: Option<String>,
    /// What was seen.
    pub facts: PageFacts,
    /// Its network traffic, HAR 1.2; null when there was none, or it is not to be kept.
    pub network: Value,
    /// Why policy lets nothing of it be kept.
    pub forbidden: Option<String>,
    /// Whether it was closed before the recording of its opener ended.
    pub closed: bool,
}

/// A recording that was made, as far as it went. Nobody writes to its file any more.
#[derive(Debug)]
pub struct Recorded {
    /// What became of it.
    pub summary: video::Summary,
    /// The page as it stood when the recording was stopped, PNG.
    pub poster: Option<Vec<u8>>,
    /// What was covered in the page then, because the operator's rules say so.
    pub masked: Vec<Masked>,
    /// Downloads that were refused and nobody was told of yet.
    pub downloads: Vec<Download>,
}

/// A session asked of a backend.
#[derive(Clone, Debug)]
pub struct SessionRequest {
    /// Its id.
    pub id: SessionId,
    /// Window, cookies and local storage of its page.
    pub page: PageSettings,
    /// When it must be there.
    pub deadline: Instant,
    /// What may be loaded.
    pub policy: Policy,
}

/// What came of one step.
#[derive(Debug)]
pub struct StepReport {
    /// Its index, from 0.
    pub index: usize,
    /// What it was, with where the page was before and after; secrets left out.
    pub record: Value,
    /// Why it failed, if it did.
    pub problem: Option<CaptureError>,
    /// What it made, if it was to make something: one output, or the two that are compared.
    pub outputs: Vec<Output>,
    /// What the page was like after it, if that was asked for; or why nobody knows.
    pub state: Option<Result<Value, CaptureError>>,
    /// Downloads that were refused since the step before.
    pub downloads: Vec<Download>,
    /// The network traffic so far, HAR 1.2, where there were any; else null.
    pub network: Value,
    /// Milliseconds it took; none when nobody here saw it.
    pub duration_ms: Option<u64>,
}

/// What a step made.
#[derive(Clone, Debug)]
pub struct Output {
    /// Who made it.
    pub by: BackendName,
    /// Which service made it; none when it was the backend's own browser.
    pub browser: Option<Value>,
    /// The name its caller gave it.
    pub name: String,
    /// What it is.
    pub product: Product,
    /// The bytes, exactly as the browser gave them.
    pub bytes: Blob,
    /// Size of a picture in device pixels.
    pub pixels: Option<(u32, u32)>,
    /// What goes with it.
    pub companions: Vec<Companion>,
    /// The page as it was to be loaded.
    pub page: PageSettings,
    /// Snapshots.
    pub snapshots: Snapshots,
    /// What was seen of the page so far; none when nobody here saw anything.
    pub facts: Option<PageFacts>,
    /// The console so far.
    pub console: Vec<ConsoleLine>,
    /// The network traffic so far, HAR 1.2; null when nobody here saw it.
    pub network: Value,
}

/// A capture that failed.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub problem: CaptureError,
    /// What was seen until then.
    pub facts: Option<Box<PageFacts>>,
    /// Attempts before this one.
    pub failed_attempts: Vec<FailedAttempt>,
    /// Which service it was asked of; none when it was the backend's own browser.
    pub browser: Option<Value>,
    /// Whether the backend is down, and nothing was done by it: another one may do it.
    pub down: bool,
}

impl From<CaptureError> for Failed {
    fn from(problem: CaptureError) -> Self {
        Self { problem, facts: None, failed_attempts: Vec::new(), browser: None, down: false }
    }
}

impl From<CaptureError> for Box<Failed> {
    fn from(problem: CaptureError) -> Self {
        Self::new(problem.into())
    }
}

/// A future that a backend returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that takes pictures of pages.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Take one picture. Answers before `request.deadline`, whatever the page does.
    fn take(&self, request: CaptureRequest) -> Pending<'_, Result<CaptureResult, Box<Failed>>>;

    /// Take the steps of a sequence in one page, sending a report of each as soon as it is done.
    /// What comes back is which service did so, null for the backend's own browser.
    ///
    /// # Errors
    /// When no page could be had, or the browser was lost; steps that failed are in their reports.
    fn sequence(
        &self,
        request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
    ) -> Pending<'_, Result<Value, Box<Failed>>>;

    /// The same, recorded.
    ///
    /// # Errors
    /// When no page could be had, or it could not be recorded.
    fn record_sequence(
        &self,
        request: SequenceRequest,
        reports: mpsc::Sender<StepReport>,
        recording: RecordingRequest,
    ) -> Pending<'_, Result<Recorded, CaptureError>> {
        drop((request, reports, recording));
        Box::pin(async { Err(only_local_records()) })
    }

    /// Begin to record the page of a session.
    ///
    /// # Errors
    /// `session_not_found`, `already_recording`, or what the browser says.
    fn start_recording(
        &self,
        session: SessionId,
        request: RecordingRequest,
    ) -> Pending<'_, Result<(), CaptureError>> {
        drop((session, request));
        Box::pin(async { Err(only_local_records()) })
    }

    /// End the recording of a session's page.
    ///
    /// # Errors
    /// `recording_not_found` when there is none.
    fn stop_recording(&self, session: SessionId) -> Pending<'_, Result<Recorded, CaptureError>> {
        let _ = session;
        Box::pin(async { Err(only_local_records()) })
    }

    /// Open a session: a page of its own that is kept between captures.
    ///
    /// # Errors
    /// When no page could be had, or it could not be prepared.
    fn open_session(&self, request: SessionRequest) -> Pending<'_, Result<(), CaptureError>>;

    /// Close a session, if it is there.
    fn close_session(&self, id: SessionId) -> Pending<'_, ()>;

    /// What is on record about who takes the pictures: for `provenance.json`.
    fn provenance(&self) -> Value;

    /// Whether it can take pictures now.
    ///
    /// # Errors
    /// Why not, in a sentence.
    fn ready(&self) -> Result<(), String>;
}

/// Recordings are the local browser's.
pub fn only_local_records() -> CaptureError {
    let message = "only the local browser records; ask with `X-Exhibit-Backend: chromium`";
    CaptureError::new(ErrorKind::NotSupported, message)
}
