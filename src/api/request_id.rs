//! Owns what joins the lines of the daemon's log with the request that they are about: each request has
//! an id, its caller's (`X-Request-Id`) or one that is made for it, which is in the answer, too; and the
//! trace of a caller that has one (`traceparent`, W3C Trace Context, 2021-11-23, §3.2). Neither is
//! evidence, and nothing is decided by them.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, info_span};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Longest id of a caller's.
const LONGEST: usize = 128;

/// Answer within a span that has the request's id, and give the id back.
pub(super) async fn trace(request: Request, next: Next) -> Response {
    let id = of_caller(request.headers()).unwrap_or_else(|| Uuid::now_v7().to_string());
    let span = info_span!(
        "request",
        request_id = id,
        method = %request.method(),
        path = request.uri().path(),
        trace_id = Empty,
        parent_id = Empty,
    );
    if let Some(Parent { trace, span: parent }) = Parent::of(request.headers()) {
        span.record("trace_id", display(trace)).record("parent_id", display(parent));
    }
    let mut answer = next.run(request).instrument(span).await;
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(REQUEST_ID, id);
    }
    answer
}

/// The id that a caller gave. Another than one of plain letters counts as none.
fn of_caller(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(&byte);
    let fits = (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain);
    fits.then(|| id.to_owned())
}

/// The span of a caller's in which a request is made.
#[derive(Debug, PartialEq, Eq)]
struct Parent {
    trace: String,
    span: String,
}

impl Parent {
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(TRACEPARENT).iter();
        let (Some(one), None) = (all.next(), all.next()) else { return None };
        Self::parse(one.to_str().ok()?)
    }

    /// `VERSION-TRACE-SPAN-FLAGS` of 2, 32, 16 and 2 hexadecimal digits in small letters; a later version
    /// may have more behind them.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut part = |length: usize| {
            let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            parts.next().filter(|part| part.len() == length && part.bytes().all(digit))
        };
        let (version, trace, span, _) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
        let more = version == "00" && parts.next().is_some();
        let valid = version != "ff" && !is_zero(trace) && !is_zero(span) && !more;
        valid.then(|| Self { trace: trace.to_owned(), span: span.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_its_specification_says() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        const SPAN: &str = "00f067aa0ba902b7";
        let read = |text: &str| Parent::parse(text).map(|parent| (parent.trace, parent.span));
        let known = Some((TRACE.to_owned(), SPAN.to_owned()));
        assert_eq!(read(&format!("00-{TRACE}-{SPAN}-01")), known);
        assert_eq!(read(&format!("01-{TRACE}-{SPAN}-01-more")), known, "a later version");
        for wrong in [
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{TRACE}-{SPAN}"),
            String::new(),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_id_of_a_callers_is_plain_or_none() {
        let of = |id: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(REQUEST_ID, HeaderValue::from_str(id).expect("a value"));
            of_caller(&headers)
        };
        assert_eq!(of("order-7/3"), Some("order-7/3".to_owned()));
        let long = "x".repeat(LONGEST + 1);
        for id in ["", "two words", "\"quoted\"", "{\"a\":1}", &long] {
            assert_eq!(of(id), None, "{id}");
        }
    }
}
