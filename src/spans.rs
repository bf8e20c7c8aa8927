//! Owns the spans of the daemon's log, by which the lines about one piece of work can be joined:
//! `request` (of the API), `capture`, `seal`, `log.append` and `cdp`. They hold names and numbers of
//! ours, and nothing that a caller or a page said.

use std::fmt::Display;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;
use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use crate::id::RunId;

/// The span of a capture, a sequence, a recording or a session, asked for at `endpoint`. Its run and
/// name are told by [`tell_run`] and [`tell_capture`] once they are known.
pub fn capture(endpoint: &'static str) -> Span {
    info_span!("capture", endpoint, run = Empty, capture = Empty)
}

/// Say which run the current span is about.
pub fn tell_run(run: RunId) {
    Span::current().record("run", display(run));
}

/// Say which capture of its run the current span is about.
pub fn tell_capture(name: impl Display) {
    Span::current().record("capture", display(name));
}

/// The span of the sealing of `run`.
pub fn seal(run: RunId) -> Span {
    info_span!("seal", %run)
}

/// A value as a field of the log: its JSON, a text without its quotation marks.
pub fn value(of: &impl Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// A time in whole milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
