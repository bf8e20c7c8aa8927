//! Owns what a backend is: something that takes a picture of a page and says what it saw doing so.
//! It writes no evidence and knows no run. `chromium` is the local browser, `hosted` a service that
//! is asked over the network.

pub mod chromium;
pub mod hosted;
mod media;

use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::blob::Blob;
use crate::clock::Clock;
use crate::error::{Code, Problem};
use crate::evidence::GrowingFile;
use crate::id::SessionId;
use crate::policy::Policy;
use crate::settings::sequence::Step;
use crate::settings::{CaptureSettings, PageSettings, Product};
use crate::video;

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
pub struct Order {
    /// What is passed on, for a backend that does so.
    pub sent: Option<Sent>,
    /// The page, and what is to be made of it.
    pub settings: CaptureSettings,
    /// Whether page snapshots (MHTML, DOM, accessibility tree) are wanted too.
    pub snapshot: bool,
    /// Whether what the page says of itself is wanted too.
    pub metadata: bool,
    /// Largest picture in device pixels.
    pub max_pixels: u64,
    /// Folder on whose file system large documents wait for their place in the evidence.
    pub spool: PathBuf,
    /// When the answer must be there.
    pub deadline: Instant,
    /// What may be loaded.
    pub policy: Policy,
}

/// One hop of a redirect chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// The address that redirected.
    pub url: String,
    /// Its HTTP status.
    pub status: u16,
}

/// What is known of the TLS connection the page came over.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TlsFacts {
    /// `TLS 1.3`.
    pub protocol: String,
    /// Cipher suite or AEAD.
    pub cipher: String,
    /// Subject of the certificate.
    pub subject: String,
    /// Who issued it.
    pub issuer: String,
    /// Names it is for.
    pub names: Vec<String>,
    /// Start of its validity, RFC 3339.
    pub valid_from: String,
    /// End of its validity, RFC 3339.
    pub valid_to: String,
    /// SHA-256 of its DER bytes, where the browser gave them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_sha256: Option<String>,
}

/// The answer the page was made from.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Document {
    /// HTTP status.
    pub status: u16,
    /// Its text.
    pub status_text: String,
    /// Media type as the browser took it.
    pub mime_type: String,
    /// Address of the server, `127.0.0.1:8080`; of the proxy when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_address: Option<String>,
    /// `http/1.1`, `h2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// TLS facts, on `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsFacts>,
}

/// A line of the page's console, or an exception it did not catch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsoleLine {
    /// `log`, `warning`, `error`, `exception`, …
    pub level: String,
    /// The text.
    pub text: String,
    /// Where it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Line there, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

/// A dialog the page opened; it was answered at once, so that it could not block the capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dialog {
    /// `alert`, `confirm`, `prompt`, `beforeunload`.
    pub kind: String,
    /// Its text.
    pub message: String,
    /// Whether it was accepted.
    pub accepted: bool,
}

/// A request that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailedRequest {
    /// Its address.
    pub url: String,
    /// Chromium's name of the error: `net::ERR_CONNECTION_REFUSED`.
    pub error: String,
}

/// A request that was kept from being sent, because the caller asked for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blocked {
    /// Its address.
    pub url: String,
    /// The list or pattern it is in.
    pub by: String,
}

/// How far the page had come when the picture was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// What was waited for.
    pub wanted: &'static str,
    /// Whether it came; if not, the picture was taken at the time limit all the same.
    pub reached: bool,
    /// Requests still under way, at most 20 of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_flight: Vec<String>,
}

/// Milliseconds spent on each part of a capture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Timings {
    /// Waiting for a prepared page.
    pub page_ms: u64,
    /// From asking for the page to its first answer having been taken.
    pub navigate_ms: u64,
    /// Waiting for what was asked to be waited for.
    pub settle_ms: u64,
    /// Taking picture and snapshots.
    pub take_ms: u64,
}

/// What was seen while capturing; as far as it got, also of a capture that failed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PageFacts {
    /// Address of the page, from the browser and never from the page.
    pub final_url: Option<String>,
    /// Title of the page.
    pub title: Option<String>,
    /// What the page says of itself in its head: description, language, Open Graph tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// The redirects on the way.
    pub redirects: Vec<Redirect>,
    /// The answer it was made from.
    pub document: Option<Document>,
    /// How far it had come.
    pub settled: Option<Settled>,
    /// Size of the whole page in CSS pixels: width, height.
    pub page_size: Option<(u64, u64)>,
    /// Number of requests it made.
    pub requests: u64,
    /// Requests that failed, at most 100.
    pub failed_requests: Vec<FailedRequest>,
    /// Number of requests that were kept from being sent, because the caller asked for it.
    #[serde(skip_serializing_if = "is_zero")]
    pub blocked_requests: u64,
    /// These requests, at most 100.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<Blocked>,
    /// Number of console lines at level error, and of uncaught exceptions.
    pub console_errors: u64,
    /// Dialogs it opened.
    pub dialogs: Vec<Dialog>,
    /// Addresses of windows it opened; they are not captured.
    pub popups: Vec<String>,
    /// Whether fonts were still loading when the picture was taken.
    pub fonts_pending: bool,
    /// Browser events that were lost because the page produced them faster than they were read.
    pub events_lost: u64,
    /// Time spent.
    pub timings: Timings,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl PageFacts {
    /// Leave out what the page says in words of its own: it may have them from where policy
    /// forbids anything to be loaded from.
    pub fn withhold_words(&mut self) {
        self.title = None;
        self.metadata = None;
        for dialog in &mut self.dialogs {
            dialog.message.clear();
        }
    }
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
pub struct Taken {
    /// Who took it.
    pub by: BackendName,
    /// The picture or document, exactly as the browser gave it.
    pub product: Blob,
    /// Size of a picture in device pixels: width, height.
    pub pixels: Option<(u32, u32)>,
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

impl Taken {
    /// HTTP status of the page, where it was seen.
    pub fn status(&self) -> Option<u16> {
        self.facts.as_ref()?.document.as_ref().map(|document| document.status)
    }
}

/// A sequence asked of a backend.
#[derive(Clone, Debug)]
pub struct SequenceOrder {
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
    /// What may be loaded.
    pub policy: Policy,
    /// The browser's word for itself; the backend fills it in.
    pub product: String,
}

/// A recording asked of a backend.
pub struct RecordingOrder {
    /// Size, rate and limits.
    pub settings: video::Settings,
    /// Where its bytes go.
    pub file: GrowingFile,
    /// Where times come from that the browser does not tell.
    pub clock: Clock,
    /// Told when it ends by itself; dropped when it ends at all.
    pub ended: oneshot::Sender<()>,
}

/// A recording that was made, as far as it went. Nobody writes to its file any more.
#[derive(Debug)]
pub struct Recorded {
    /// What became of it.
    pub summary: video::Summary,
    /// The page as it stood when the recording was stopped, PNG.
    pub poster: Option<Vec<u8>>,
}

/// A session asked of a backend.
#[derive(Clone, Debug)]
pub struct SessionOrder {
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
    pub problem: Option<Problem>,
    /// What it made, if it was to make something: one output, or the two that are compared.
    pub outputs: Vec<Output>,
    /// What the page was like after it, if that was asked for; or why nobody knows.
    pub state: Option<Result<Value, Problem>>,
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
    pub problem: Problem,
    /// What was seen until then.
    pub facts: Option<Box<PageFacts>>,
    /// Attempts before this one.
    pub failed_attempts: Vec<FailedAttempt>,
    /// Which service it was asked of; none when it was the backend's own browser.
    pub browser: Option<Value>,
    /// Whether the backend is down, and nothing was done by it: another one may do it.
    pub down: bool,
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self { problem, facts: None, failed_attempts: Vec::new(), browser: None, down: false }
    }
}

impl From<Problem> for Box<Failed> {
    fn from(problem: Problem) -> Self {
        Self::new(problem.into())
    }
}

/// A future that a backend returns.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Something that takes pictures of pages.
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Take one picture. Answers before `order.deadline`, whatever the page does.
    fn take(&self, order: Order) -> Pending<'_, Result<Taken, Box<Failed>>>;

    /// Take the steps of a sequence in one page, sending a report of each as soon as it is done.
    /// What comes back is which service did so, null for the backend's own browser.
    ///
    /// # Errors
    /// When no page could be had, or the browser was lost; steps that failed are in their reports.
    fn sequence(
        &self,
        order: SequenceOrder,
        reports: mpsc::Sender<StepReport>,
    ) -> Pending<'_, Result<Value, Box<Failed>>>;

    /// The same, recorded.
    ///
    /// # Errors
    /// When no page could be had, or it could not be recorded.
    fn record_sequence(
        &self,
        order: SequenceOrder,
        reports: mpsc::Sender<StepReport>,
        recording: RecordingOrder,
    ) -> Pending<'_, Result<Recorded, Problem>> {
        drop((order, reports, recording));
        Box::pin(async { Err(no_recordings()) })
    }

    /// Begin to record the page of a session.
    ///
    /// # Errors
    /// `session_not_found`, `already_recording`, or what the browser says.
    fn start_recording(
        &self,
        session: SessionId,
        order: RecordingOrder,
    ) -> Pending<'_, Result<(), Problem>> {
        drop((session, order));
        Box::pin(async { Err(no_recordings()) })
    }

    /// End the recording of a session's page.
    ///
    /// # Errors
    /// `recording_not_found` when there is none.
    fn stop_recording(&self, session: SessionId) -> Pending<'_, Result<Recorded, Problem>> {
        let _ = session;
        Box::pin(async { Err(no_recordings()) })
    }

    /// Open a session: a page of its own that is kept between captures.
    ///
    /// # Errors
    /// When no page could be had, or it could not be prepared.
    fn open_session(&self, order: SessionOrder) -> Pending<'_, Result<(), Problem>>;

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

fn no_recordings() -> Problem {
    let message = "only the local browser records; ask with `X-Exhibit-Backend: chromium`";
    Problem::new(Code::NotSupported, message)
}
