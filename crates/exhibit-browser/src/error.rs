//! Owns the error of a capture: what the browser, or another backend, could not do, as a kind that a
//! program can act on and a sentence that a caller can act on. It knows no HTTP status and no exit
//! code: the daemon maps each kind to one of its own codes.

use std::error::Error;
use std::fmt;

use serde::{Serialize, Serializer};

use exhibit_verify::shown::shown_sentence;

macro_rules! kinds {
    ($( $(#[doc = $doc:literal])+ $name:ident = $code:literal; )+) => {
        /// What kind of failure it is. Each has a stable name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ErrorKind {
            $( $(#[doc = $doc])+ $name, )+
            /// A hosted service reported it, by a code of the daemon's API.
            Reported(&'static str),
        }

        impl ErrorKind {
            /// Every kind of our own.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// Its stable name.
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$name => $code, )+
                    Self::Reported(code) => code,
                }
            }
        }
    };
}

kinds! {
    /// A setting has a value that the browser does not take.
    InvalidField = "invalid_field";
    /// Policy forbids the target.
    TargetForbidden = "target_forbidden";
    /// What the operator's rules cover could not be covered, or the page uncovered it.
    MaskFailed = "mask_failed";
    /// This backend, or this version of the browser, cannot do it.
    NotSupported = "not_supported";
    /// The session is closed, or never was.
    SessionNotFound = "session_not_found";
    /// No such recording is under way.
    RecordingNotFound = "recording_not_found";
    /// The session is being recorded already.
    AlreadyRecording = "already_recording";
    /// The hosted backend was asked for and is not configured.
    BackendNotConfigured = "backend_not_configured";
    /// The hosted backend did not deliver.
    BackendFailed = "backend_failed";
    /// The hosted backend delivered something that moves, runs, bursts, or is of another size.
    BackendAnswerRefused = "backend_answer_refused";
    /// The caller hung up while it waited: it was not begun.
    CallerGone = "caller_gone";
    /// The host's name has no address.
    DnsFailure = "dns_failure";
    /// The target refused the connection.
    ConnectionRefused = "connection_refused";
    /// The target could not be reached.
    TargetUnreachable = "target_unreachable";
    /// The target did not accept the connection in time.
    ConnectionTimeout = "target_connection_timeout";
    /// The target's certificate or TLS is not acceptable.
    TlsError = "tls_error";
    /// The target redirects without end.
    RedirectLoop = "redirect_loop";
    /// The navigation failed in another way.
    NavigationFailed = "navigation_failed";
    /// The page did not get as far as asked within its time.
    NavigationTimeout = "navigation_timeout";
    /// The server ended its answer before the document's end.
    DocumentCutShort = "document_cut_short";
    /// The target is a document larger than is kept.
    DocumentTooLarge = "document_too_large";
    /// The server answered that there is nothing to show.
    NoContent = "no_content";
    /// The target is a download and not a page.
    DownloadNotPage = "download_not_page";
    /// The selector matches nothing.
    SelectorNotFound = "selector_not_found";
    /// The selector matches an element of which nothing can be seen.
    SelectorNotVisible = "selector_not_visible";
    /// The injected script failed.
    ScriptFailed = "script_failed";
    /// The clip lies outside the page.
    ClipOutsidePage = "clip_outside_page";
    /// The picture would have more pixels than is allowed.
    PictureTooLarge = "picture_too_large";
    /// The page's renderer died.
    RendererCrashed = "renderer_crashed";
    /// The browser is not there, or died twice during one capture.
    BrowserUnavailable = "browser_unavailable";
    /// The whole capture took longer than is allowed.
    RequestTimeout = "request_timeout";
    /// The browser is on its way down.
    ShuttingDown = "shutting_down";
    /// Something of ours broke.
    Internal = "internal_error";
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Most characters of a sentence, and of a field's name: a caller or a page may have chosen either.
const MESSAGE: usize = 2_000;
const FIELD: usize = 200;

/// The cause underneath an error, for the log.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why there is no capture, or no recording, or no session: one sentence with the remedy for the
/// caller, and the cause for the log. `Display` prints the sentence only.
#[derive(Debug)]
pub struct CaptureError {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// The sentence, naming field, value and remedy.
    pub message: String,
    /// The setting it is about, by its name in requests or in the configuration.
    pub field: Option<String>,
    /// What to try, beyond what the sentence says.
    pub hint: Option<String>,
    /// What caused it.
    pub cause: Option<Cause>,
}

impl CaptureError {
    /// An error with its sentence, which may quote a caller or a page: it is escaped to one line, and
    /// the middle of a long one is left out.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = shown_sentence(&message.into(), MESSAGE);
        Self { kind, message, field: None, hint: None, cause: None }
    }

    /// The same, about `field`.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(shown_sentence(&field.into(), FIELD));
        self
    }

    /// The same, with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(shown_sentence(&hint.into(), MESSAGE));
        self
    }

    /// The same, with what caused it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Something of ours broke while doing `what`.
    pub fn internal(what: &str, cause: impl Into<Cause>) -> Self {
        let message = format!("{what} failed inside the daemon; its log says why");
        Self::new(ErrorKind::Internal, message).because(cause)
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CaptureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_sentence_in_one_line_and_keeps_its_cause_apart() {
        let cause = std::io::Error::other("the disk");
        let error = CaptureError::new(ErrorKind::BackendFailed, "a\nb").because(cause);
        assert_eq!(error.to_string(), "a\\u{a}b");
        assert_eq!(error.source().map(ToString::to_string).as_deref(), Some("the disk"));
        let long = CaptureError::new(ErrorKind::Internal, "x".repeat(10_000));
        assert!(long.message.chars().count() <= MESSAGE + 40, "{}", long.message.len());
    }

    #[test]
    fn kinds_have_names_of_their_own() {
        for (index, kind) in ErrorKind::ALL.iter().enumerate() {
            assert!(ErrorKind::ALL[..index].iter().all(|one| one.as_str() != kind.as_str()));
        }
        assert_eq!(ErrorKind::Reported("run_sealed").to_string(), "run_sealed");
    }
}
