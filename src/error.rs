//! Owns what can be said when something is refused or fails: the stable codes with their HTTP
//! status and CLI exit code, and [`Problem`], the sentence for the caller with its cause for the
//! log. `Display` prints the sentence only; [`chain`] prints the causes, at the edge.

use std::fmt;

pub use exhibit_verify::cause::chain;
use serde::{Serialize, Serializer};

use crate::backend::{CaptureError, ErrorKind};
use crate::shown::shown_sentence;

/// CLI exit codes: a documented contract (docs/API.md).
pub mod exit {
    pub use exhibit_verify::exit::{ALTERED, INCOMPLETE, OK, UNKNOWN_KEY, UNREADABLE, USAGE};

    /// Something of ours broke.
    pub const INTERNAL: u8 = 1;
    /// The daemon does not answer.
    pub const UNREACHABLE: u8 = 3;
    /// The caller may not do that.
    pub const DENIED: u8 = 4;
    /// The page could not be captured; the attempt is recorded.
    pub const CAPTURE_FAILED: u8 = 5;
    /// The configuration is wrong.
    pub const CONFIG: u8 = 6;
    /// There is no such run.
    pub const NOT_FOUND: u8 = 7;
    /// The run is sealed, the name is taken, or the store belongs to another daemon.
    pub const CONFLICT: u8 = 8;
    /// The store cannot be written, or the daemon is busy or stopping.
    pub const UNAVAILABLE: u8 = 9;
    /// `doctor`: at least one check failed.
    pub const UNHEALTHY: u8 = 14;
}

macro_rules! codes {
    ($( $(#[doc = $doc:literal])+ $name:ident = ($code:literal, $status:literal, $exit:ident); )+) => {
        /// A stable name for each kind of refusal and failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $( $(#[doc = $doc])+ $name, )+ }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$name,)+];

            /// The code as it stands in answers, events and documents.
            pub fn as_str(self) -> &'static str {
                match self { $( Code::$name => $code, )+ }
            }

            /// What it means, in a few words.
            pub fn about(self) -> &'static str {
                match self { $( Code::$name => concat!($($doc),+), )+ }
            }

            /// The HTTP status that goes with it.
            pub fn status(self) -> u16 {
                match self { $( Code::$name => $status, )+ }
            }

            /// The CLI exit code that goes with it.
            pub fn exit(self) -> u8 {
                match self { $( Code::$name => exit::$exit, )+ }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or not an object.
    InvalidJson = ("invalid_json", 400, USAGE);
    /// A field has a wrong type or a value outside its limits.
    InvalidField = ("invalid_field", 400, USAGE);
    /// A field that must be there is not.
    MissingField = ("missing_field", 400, USAGE);
    /// Two fields that exclude each other.
    ConflictingFields = ("conflicting_fields", 400, USAGE);
    /// A field nobody knows.
    UnknownField = ("unknown_field", 400, USAGE);
    /// The body is larger than the configuration allows.
    BodyTooLarge = ("body_too_large", 413, USAGE);
    /// No key, or a key nobody knows.
    Unauthorized = ("unauthorized", 401, DENIED);
    /// The run belongs to another caller.
    NotYourRun = ("not_your_run", 403, DENIED);
    /// The caller may not look at everybody's runs.
    NotAViewer = ("not_a_viewer", 403, DENIED);
    /// The caller may not decide what is kept: holds, purges, archives and imports are for operators.
    NotAnOperator = ("not_an_operator", 403, DENIED);
    /// The run is held for that matter already.
    AlreadyHeld = ("already_held", 409, CONFLICT);
    /// The run is not held for that matter.
    NotHeld = ("not_held", 409, CONFLICT);
    /// The link for signing in was used, is too old, or never was one.
    LinkNotValid = ("link_not_valid", 401, DENIED);
    /// The request comes from another site, or by a name that is not the daemon's.
    ForeignRequest = ("foreign_request", 403, DENIED);
    /// No TCP address is served, where web pages would be.
    NoWebAddress = ("no_web_address", 409, CONFIG);
    /// Policy forbids the target.
    TargetForbidden = ("target_forbidden", 403, DENIED);
    /// The operator's program did not make the format that was asked for of a recording.
    ConversionFailed = ("conversion_failed", 500, CAPTURE_FAILED);
    /// What the operator's rules cover could not be covered, or the page uncovered it.
    MaskFailed = ("mask_failed", 500, CAPTURE_FAILED);
    /// An endpoint of the hosted API that this version does not support.
    NotSupported = ("not_supported", 501, USAGE);
    /// No such path.
    NoSuchEndpoint = ("no_such_endpoint", 404, NOT_FOUND);
    /// The path exists, the method does not.
    MethodNotAllowed = ("method_not_allowed", 405, USAGE);
    /// No such run.
    RunNotFound = ("run_not_found", 404, NOT_FOUND);
    /// No such bundle of another store is kept.
    ImportNotFound = ("import_not_found", 404, NOT_FOUND);
    /// The run has no such file.
    FileNotFound = ("file_not_found", 404, NOT_FOUND);
    /// No such session of the caller's, or it is closed.
    SessionNotFound = ("session_not_found", 404, NOT_FOUND);
    /// No such job.
    JobNotFound = ("job_not_found", 404, NOT_FOUND);
    /// No such stored sequence of the caller's.
    SequenceNotFound = ("sequence_not_found", 404, NOT_FOUND);
    /// No such recording under way.
    RecordingNotFound = ("recording_not_found", 404, NOT_FOUND);
    /// The session is being recorded already.
    AlreadyRecording = ("already_recording", 409, CONFLICT);
    /// Too many recordings are under way.
    TooManyRecordings = ("too_many_recordings", 429, UNAVAILABLE);
    /// Too many sessions are open.
    TooManySessions = ("too_many_sessions", 429, UNAVAILABLE);
    /// The hosted backend was asked for and is not configured.
    BackendNotConfigured = ("backend_not_configured", 400, USAGE);
    /// The hosted backend did not deliver.
    BackendFailed = ("backend_failed", 502, CAPTURE_FAILED);
    /// The hosted backend delivered something that moves, runs, bursts, or is of another size.
    BackendAnswerRefused = ("backend_answer_refused", 502, CAPTURE_FAILED);
    /// The run is sealed: nothing can be added.
    RunSealed = ("run_sealed", 409, CONFLICT);
    /// The run is still open: it cannot be given out.
    RunOpen = ("run_open", 409, CONFLICT);
    /// The run is on hold: it is not purged.
    RunHeld = ("run_held", 409, CONFLICT);
    /// The run's time is not over: it is not purged.
    NotDue = ("not_due", 409, CONFLICT);
    /// The run is not as it was sealed: it is not purged unasked.
    RunDamaged = ("run_damaged", 409, CONFLICT);
    /// The run cannot be read now: whether it is as it was sealed is not known.
    RunUnreadable = ("run_unreadable", 503, UNAVAILABLE);
    /// The run is archived: restore it, or take its archive.
    RunArchived = ("run_archived", 409, CONFLICT);
    /// The run was purged: the log tells of it.
    RunPurged = ("run_purged", 410, NOT_FOUND);
    /// The name is taken within the run.
    NameTaken = ("name_taken", 409, CONFLICT);
    /// Another daemon holds the store.
    StoreLocked = ("store_locked", 409, CONFLICT);
    /// The store's log is not what its checkpoint and key say, and is not continued.
    LogDamaged = ("log_damaged", 500, CONFIG);
    /// The caller hung up while it waited: it was not begun.
    CallerGone = ("caller_gone", 499, UNAVAILABLE);
    /// The host's name has no address.
    DnsFailure = ("dns_failure", 502, CAPTURE_FAILED);
    /// The target refused the connection.
    ConnectionRefused = ("connection_refused", 502, CAPTURE_FAILED);
    /// The target could not be reached.
    TargetUnreachable = ("target_unreachable", 502, CAPTURE_FAILED);
    /// The target did not accept the connection in time.
    ConnectionTimeout = ("target_connection_timeout", 504, CAPTURE_FAILED);
    /// The target's certificate or TLS is not acceptable.
    TlsError = ("tls_error", 502, CAPTURE_FAILED);
    /// The target redirects without end.
    RedirectLoop = ("redirect_loop", 502, CAPTURE_FAILED);
    /// The navigation failed in another way.
    NavigationFailed = ("navigation_failed", 502, CAPTURE_FAILED);
    /// The page did not get as far as asked within its time.
    NavigationTimeout = ("navigation_timeout", 504, CAPTURE_FAILED);
    /// The server ended its answer before the document's end.
    DocumentCutShort = ("document_cut_short", 502, CAPTURE_FAILED);
    /// The target is a document larger than is kept.
    DocumentTooLarge = ("document_too_large", 422, CAPTURE_FAILED);
    /// The server answered that there is nothing to show.
    NoContent = ("no_content", 422, CAPTURE_FAILED);
    /// The target is a download and not a page.
    DownloadNotPage = ("download_not_page", 422, CAPTURE_FAILED);
    /// The selector matches nothing.
    SelectorNotFound = ("selector_not_found", 422, CAPTURE_FAILED);
    /// The selector matches an element of which nothing can be seen.
    SelectorNotVisible = ("selector_not_visible", 422, CAPTURE_FAILED);
    /// The injected script failed.
    ScriptFailed = ("script_failed", 422, CAPTURE_FAILED);
    /// The clip lies outside the page.
    ClipOutsidePage = ("clip_outside_page", 422, CAPTURE_FAILED);
    /// The picture would have more pixels than the configuration allows.
    PictureTooLarge = ("picture_too_large", 422, CAPTURE_FAILED);
    /// The page's renderer died.
    RendererCrashed = ("renderer_crashed", 502, CAPTURE_FAILED);
    /// The browser is not there, or died twice during one capture.
    BrowserUnavailable = ("browser_unavailable", 503, UNAVAILABLE);
    /// The whole request took longer than the configuration allows.
    RequestTimeout = ("request_timeout", 504, CAPTURE_FAILED);
    /// More captures wait than the configuration allows.
    Busy = ("busy", 429, UNAVAILABLE);
    /// As many connections are open as may be, in all or of one peer.
    TooManyConnections = ("too_many_connections", 503, UNAVAILABLE);
    /// Too many runs are open.
    TooManyRuns = ("too_many_runs", 429, UNAVAILABLE);
    /// Too many requests of this caller are under way.
    TooManyRequests = ("too_many_requests", 429, UNAVAILABLE);
    /// The caller's stored sequences would have more bytes than the configuration allows.
    QuotaExceeded = ("quota_exceeded", 507, UNAVAILABLE);
    /// The disk is full, or under the configured head-room.
    StoreFull = ("store_full", 507, UNAVAILABLE);
    /// The store cannot be written.
    StoreUnwritable = ("store_unwritable", 503, UNAVAILABLE);
    /// The SSH agent that holds the signing key did not sign.
    SignerUnavailable = ("signer_unavailable", 503, UNAVAILABLE);
    /// Who looks cannot be put down, so nothing is shown.
    CustodyUnwritable = ("custody_unwritable", 503, UNAVAILABLE);
    /// The daemon is on its way down.
    ShuttingDown = ("shutting_down", 503, UNAVAILABLE);
    /// The configuration is wrong.
    InvalidConfig = ("invalid_config", 500, CONFIG);
    /// Nothing answers at the daemon's address.
    DaemonUnreachable = ("daemon_unreachable", 503, UNREACHABLE);
    /// Something of ours broke.
    Internal = ("internal_error", 500, INTERNAL);
}

impl Code {
    /// The code with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidField => Self::InvalidField,
            ErrorKind::TargetForbidden => Self::TargetForbidden,
            ErrorKind::DocumentCutShort => Self::DocumentCutShort,
            ErrorKind::DocumentTooLarge => Self::DocumentTooLarge,
            ErrorKind::NoContent => Self::NoContent,
            ErrorKind::CallerGone => Self::CallerGone,
            ErrorKind::MaskFailed => Self::MaskFailed,
            ErrorKind::NotSupported => Self::NotSupported,
            ErrorKind::SessionNotFound => Self::SessionNotFound,
            ErrorKind::RecordingNotFound => Self::RecordingNotFound,
            ErrorKind::AlreadyRecording => Self::AlreadyRecording,
            ErrorKind::BackendNotConfigured => Self::BackendNotConfigured,
            ErrorKind::BackendFailed => Self::BackendFailed,
            ErrorKind::BackendAnswerRefused => Self::BackendAnswerRefused,
            ErrorKind::DnsFailure => Self::DnsFailure,
            ErrorKind::ConnectionRefused => Self::ConnectionRefused,
            ErrorKind::TargetUnreachable => Self::TargetUnreachable,
            ErrorKind::ConnectionTimeout => Self::ConnectionTimeout,
            ErrorKind::TlsError => Self::TlsError,
            ErrorKind::RedirectLoop => Self::RedirectLoop,
            ErrorKind::NavigationFailed => Self::NavigationFailed,
            ErrorKind::NavigationTimeout => Self::NavigationTimeout,
            ErrorKind::DownloadNotPage => Self::DownloadNotPage,
            ErrorKind::SelectorNotFound => Self::SelectorNotFound,
            ErrorKind::SelectorNotVisible => Self::SelectorNotVisible,
            ErrorKind::ScriptFailed => Self::ScriptFailed,
            ErrorKind::ClipOutsidePage => Self::ClipOutsidePage,
            ErrorKind::PictureTooLarge => Self::PictureTooLarge,
            ErrorKind::RendererCrashed => Self::RendererCrashed,
            ErrorKind::BrowserUnavailable => Self::BrowserUnavailable,
            ErrorKind::RequestTimeout => Self::RequestTimeout,
            ErrorKind::ShuttingDown => Self::ShuttingDown,
            ErrorKind::Internal => Self::Internal,
            // Whoever reported it took the name from this list.
            ErrorKind::Reported(code) => Self::from_name(code).unwrap_or(Self::BackendFailed),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Most characters of a sentence, and of a field's name: a caller may have chosen either.
const MESSAGE: usize = 2_000;
const FIELD: usize = 200;

/// The cause underneath a problem, for the log.
type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Something refused or failed: one sentence with the remedy for the caller, a stable code, the
/// field it is about where there is one, and the cause for the log.
///
/// As JSON: `{"error": "<sentence>", "code": "<code>", "field": …, "hint": …}`; the last two only
/// where they exist.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// The sentence, naming field, value and remedy.
    #[serde(rename = "error")]
    pub message: String,
    /// The stable code.
    pub code: Code,
    /// The request field or configuration key it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What to try, beyond what the sentence says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    #[serde(skip)]
    cause: Option<Cause>,
}

impl Problem {
    /// A problem with its sentence, which may quote a caller, a page or a file: it is shown in one
    /// line, and of what is long the middle is left out.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let message = shown_sentence(&message.into(), MESSAGE);
        Self { message, code, field: None, hint: None, cause: None }
    }

    /// The same with a line for each of several things.
    pub fn of_lines(code: Code, lines: impl IntoIterator<Item = impl ToString>) -> Self {
        let lines = lines.into_iter().map(|line| shown_sentence(&line.to_string(), MESSAGE));
        let message = lines.collect::<Vec<_>>().join("\n");
        Self { message, ..Self::new(code, "") }
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
        Self::new(Code::Internal, message).because(cause)
    }
}

impl From<CaptureError> for Problem {
    /// The same sentence, field, hint and cause, with the code of its kind.
    fn from(error: CaptureError) -> Self {
        let CaptureError { kind, message, field, hint, cause } = error;
        Self { message, code: kind.into(), field, hint, cause }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_found_by_name() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert_eq!(Code::from_name(code.as_str()), Some(*code));
            assert!(!Code::ALL[..index].iter().any(|other| other.as_str() == code.as_str()));
            assert!((400..600).contains(&code.status()), "{code}");
        }
    }

    #[test]
    fn every_kind_of_capture_error_has_the_code_of_its_name() {
        for kind in ErrorKind::ALL {
            assert_eq!(Code::from(*kind).as_str(), kind.as_str());
        }
        for code in Code::ALL {
            assert_eq!(Code::from(ErrorKind::Reported(code.as_str())), *code);
        }
    }

    #[test]
    fn a_capture_error_becomes_a_problem_that_says_the_same() {
        let cause = std::io::Error::other("the cause");
        let error = CaptureError::new(ErrorKind::DnsFailure, "no\u{202e} such host")
            .field("url")
            .hint("try\nanother")
            .because(cause);
        let (message, field, hint) =
            (error.message.clone(), error.field.clone(), error.hint.clone());
        let said = chain(&error);
        let problem = Problem::from(error);
        assert_eq!((&problem.message, &problem.field, &problem.hint), (&message, &field, &hint));
        assert_eq!((problem.code, chain(&problem)), (Code::DnsFailure, said));
    }

    #[test]
    fn what_a_sentence_quotes_cannot_draw_nor_fill_the_screen() {
        let evil = format!("a\n\u{1b}[2Jerror: forged\u{202e}{}", "x".repeat(1_000_000));
        let message = format!("`{evil}` is not a field here; leave it out");
        let problem = Problem::new(Code::UnknownField, message).field(&*evil).hint(evil);
        let hint = problem.hint.as_deref().unwrap_or_default();
        for text in [&problem.message, problem.field.as_deref().unwrap_or_default(), hint] {
            assert!(
                text.starts_with("a\\u{a}\\u{1b}[2J") || text.starts_with("`a\\u{a}"),
                "{text}"
            );
            assert!(
                text.chars().all(crate::shown::is_seen) && text.len() < 2_200,
                "{}",
                text.len()
            );
        }
        assert!(problem.message.ends_with("is not a field here; leave it out"), "{problem}");
    }

    #[test]
    fn the_answer_holds_the_sentence_and_the_log_the_cause() {
        let problem = Problem::new(Code::InvalidField, "`width` is 0; give 1 to 3840")
            .field("width")
            .because(std::io::Error::other("the cause"));
        let json = serde_json::to_value(&problem).expect("serializes");
        let expected = serde_json::json!({
            "error": "`width` is 0; give 1 to 3840", "code": "invalid_field", "field": "width"
        });
        assert_eq!(json, expected);
        assert_eq!(chain(&problem), "`width` is 0; give 1 to 3840: the cause");
    }
}
