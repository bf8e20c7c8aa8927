//! Owns the error of work on a page: the page or the request is at fault, or a call to the browser
//! failed. Callers inside this folder tell the two apart; callers outside get one [`CaptureError`].

use std::fmt;

use tokio_util::sync::CancellationToken;

use super::pipe::CallError;
use crate::error::{CaptureError, ErrorKind};

/// Why work on a page failed.
#[derive(Debug)]
pub(super) enum PageError {
    /// The page, or the request, is at fault: trying again would not help.
    Capture(CaptureError),
    /// A call to the browser failed.
    Call(CallError),
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capture(error) => error.fmt(f),
            Self::Call(error) => error.fmt(f),
        }
    }
}

impl From<CaptureError> for PageError {
    fn from(error: CaptureError) -> Self {
        Self::Capture(error)
    }
}

impl From<CallError> for PageError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl PageError {
    /// A script error caused by the value of `field`, as an error with that field.
    pub(super) fn in_field(self, field: &str, value: &str) -> Self {
        match self {
            Self::Capture(error) if error.kind == ErrorKind::NavigationFailed => {
                let message =
                    format!("`{field}` is `{value}`, which is no CSS selector; correct it");
                let wrong = CaptureError::new(ErrorKind::InvalidField, message);
                wrong.field(field).because(error).into()
            }
            other => other,
        }
    }
}

impl From<PageError> for CaptureError {
    fn from(error: PageError) -> Self {
        match error {
            PageError::Capture(error) => error,
            PageError::Call(call) => call.into(),
        }
    }
}

impl From<CallError> for CaptureError {
    fn from(call: CallError) -> Self {
        let (kind, message) = match &call {
            CallError::Closed => return unavailable("the browser died").because(call),
            CallError::SessionGone => (
                ErrorKind::RendererCrashed,
                "the page's renderer died; check the page, or give the host more memory",
            ),
            CallError::Timeout { method, .. } => (ErrorKind::RequestTimeout, too_long(method)),
            CallError::Refused { .. } | CallError::Malformed { .. } => (
                ErrorKind::NavigationFailed,
                "the browser could not do what the capture needs; the daemon's log says why",
            ),
        };
        Self::new(kind, message).because(call)
    }
}

/// What took too long, by the command that was not answered.
fn too_long(method: &str) -> &'static str {
    match method {
        "Page.printToPDF" | "IO.read" => {
            "printing did not end before `capture.deadline` passed; print fewer pages with \
             `pageRanges`, leave out `tagged`, or have the operator raise it"
        }
        "Page.captureScreenshot" => {
            "the picture was not painted in time; ask for a smaller one with `clip`, \
             `fullPageMaxHeight` or `deviceScaleFactor`, or check the page"
        }
        _ => "the page's scripts did not let the browser answer; check the page",
    }
}

/// The browser is not there.
pub(super) fn unavailable(what: &str) -> CaptureError {
    let message = format!("{what}; `exhibit doctor` looks for the cause");
    CaptureError::new(ErrorKind::BrowserUnavailable, message)
}

/// What `work` gives, unless whoever waits for it has `gone` before.
///
/// # Errors
/// `caller_gone`, or those of `work`.
pub(super) async fn unless_gone<T>(
    gone: &CancellationToken,
    work: impl Future<Output = Result<T, CaptureError>>,
) -> Result<T, CaptureError> {
    let message = "the caller hung up while this waited, so it was not begun; ask again, and wait";
    tokio::select! {
        biased;
        () = gone.cancelled() => Err(CaptureError::new(ErrorKind::CallerGone, message)),
        outcome = work => outcome,
    }
}

/// The deadline of a capture passed.
pub(super) fn out_of_time() -> CaptureError {
    let message = "the capture did not finish within `capture.deadline`; ask for less, or raise it";
    CaptureError::new(ErrorKind::RequestTimeout, message)
}
