//! Owns the facts that are seen of a page while it is captured, as they stand in the evidence.

use serde::Serialize;
use serde_json::Value;

pub use crate::view_facts::{BasePicture, Incomplete, MOST_INCOMPLETE, PaintWay, Painted, ViewBox};

/// One hop of a redirect chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Redirect {
    /// The address that redirected.
    pub url: String,
    /// Its HTTP status.
    pub status: u16,
}

/// A navigation that a page began by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Led {
    /// Where it led.
    pub url: String,
    /// `script`, `meta_refresh`, `refresh_header`, `form`, `link`, `reload` or `page`.
    pub by: &'static str,
}

/// A navigation that a page has announced and not begun.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leading {
    /// Where it will lead.
    pub url: String,
    /// As of [`Led`].
    pub by: &'static str,
    /// Seconds from the announcement to its beginning.
    pub after_s: f64,
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
    /// Whether a service worker of the site's answered, and no server.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_service_worker: bool,
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

/// A download that was refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Download {
    /// Its address.
    pub url: String,
    /// The name it was to have, as the server or the page suggests it.
    pub name: String,
    /// The browser's id of the frame that asked for it.
    pub frame: String,
}

/// A worker that a page started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// `worker`, `shared_worker` or `service_worker`.
    pub kind: String,
    /// The address of its script.
    pub url: String,
}

/// Left, top, width and height in the page, in CSS pixels.
pub type BoundingBox = [i64; 4];

/// What a rule of the operator's covered in the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Masked {
    /// The rule: a CSS selector.
    pub rule: String,
    /// Number of elements it covered.
    pub count: u64,
    /// Where the first 100 of them were.
    pub places: Vec<BoundingBox>,
}

/// A document that was the target, and no page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Original {
    /// The file that holds its bytes.
    pub file: String,
    /// What its server or its address calls it.
    pub name: String,
    /// Its media type, of those that are told as they are.
    pub media_type: &'static str,
    /// Its media type as its server or the browser told it.
    pub served_as: String,
    /// Whether its bytes are its text in UTF-8, as the browser read it, and not those that came: they
    /// differ where it came in another encoding.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decoded: bool,
    /// Why there is no picture of it, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_picture: Option<&'static str>,
}

/// What is missing in a picture of an element: it shows the part that could be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// The whole element.
    pub asked: BoundingBox,
    /// The part in the picture.
    pub shown: BoundingBox,
    /// Why the rest is not there, in words.
    pub why: String,
    /// What covers the rest, or a part of what is shown: tag with id or classes, at most five.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub covered_by: Vec<String>,
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
    /// Where it led by itself, at most 100 times; HTTP redirects are apart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub led: Vec<Led>,
    /// Where it was about to lead when it was captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending_navigation: Option<Leading>,
    /// The answer it was made from.
    pub document: Option<Document>,
    /// How far it had come.
    pub settled: Option<Settled>,
    /// Size of the whole page in CSS pixels: width, height.
    pub page_size: Option<(u64, u64)>,
    /// How what lay outside of the window came into the picture; none where the browser painted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub painted: Option<Painted>,
    /// What of the page the picture does not show although it seems to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub incomplete_view: Vec<Incomplete>,
    /// The document that the target was, kept as it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// The size at which it was printed so that its width fits the sheet; 1 is its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub print_scale: Option<f64>,
    /// What is missing in the picture of an element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
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
    /// What was covered in it because the operator's rules say so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub masked: Vec<Masked>,
    /// Why its snapshots were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshots_withheld: Option<&'static str>,
    /// Number of console lines at level error, and of uncaught exceptions.
    pub console_errors: u64,
    /// Whether it said more in its console than is listened to: what came after that is not on record.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub console_cut: bool,
    /// Dialogs it opened.
    pub dialogs: Vec<Dialog>,
    /// Addresses of windows it opened; they are not captured.
    pub popups: Vec<String>,
    /// Downloads that it, or a frame in it, began; they were refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub downloads: Vec<Download>,
    /// Workers that ran with it, at most 100; what they asked for is judged and told as its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub workers: Vec<Worker>,
    /// Whether fonts were still loading when the picture was taken.
    pub fonts_pending: bool,
    /// Browser events that were lost because the page produced them faster than they were read.
    pub events_lost: u64,
    /// Time spent.
    pub timings: Timings,
}

impl Cut {
    /// Each text in it that the page has a say in.
    fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        std::iter::once(&mut self.why).chain(self.covered_by.iter_mut())
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl PageFacts {
    /// Each text in it that the page has a say in, but for its metadata.
    pub fn texts(&mut self) -> impl Iterator<Item = &mut String> {
        let failed = self.failed_requests.iter_mut().map(|failed| &mut failed.url);
        let blocked = self.blocked.iter_mut().map(|blocked| &mut blocked.url);
        let in_flight = self.settled.iter_mut().flat_map(|settled| settled.in_flight.iter_mut());
        self.final_url
            .iter_mut()
            .chain(self.title.iter_mut())
            .chain(self.redirects.iter_mut().map(|hop| &mut hop.url))
            .chain(self.document.iter_mut().map(|document| &mut document.status_text))
            .chain(failed)
            .chain(blocked)
            .chain(in_flight)
            .chain(self.dialogs.iter_mut().map(|dialog| &mut dialog.message))
            .chain(self.popups.iter_mut())
            .chain(self.incomplete_view.iter_mut().filter_map(|lack| lack.url.as_mut()))
            .chain(self.led.iter_mut().map(|led| &mut led.url))
            .chain(self.pending_navigation.iter_mut().map(|leading| &mut leading.url))
            .chain(self.workers.iter_mut().map(|worker| &mut worker.url))
            .chain(self.original.iter_mut().flat_map(|one| [&mut one.name, &mut one.served_as]))
            .chain(self.cut.iter_mut().flat_map(Cut::texts))
            .chain(self.downloads.iter_mut().flat_map(|one| [&mut one.url, &mut one.name]))
    }

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
