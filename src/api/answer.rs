//! Owns the form of answers: JSON bodies, and one shape for everything that was refused or failed.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Api;
use super::drain::{DROPPED, announced};
use crate::backend::BackendName;
use crate::blob::Blob;
use crate::capture::{Done, Refused};
use crate::error::{Code, Problem, chain};
use crate::id::{RandomId, RunId};
use crate::request::read_json;
use crate::tasks::Tasks;

/// Header with the id of the run in which a capture is on record.
pub(super) const RUN: HeaderName = HeaderName::from_static("x-exhibit-run");
/// Header with the stage of a capture.
pub(super) const STAGE: HeaderName = HeaderName::from_static("x-exhibit-stage");
/// Header that asks for a backend, and tells which one it was.
pub(super) const BACKEND: HeaderName = HeaderName::from_static("x-exhibit-backend");
/// Header with the SHA-256 of the picture or document.
const SHA256: HeaderName = HeaderName::from_static("x-exhibit-sha256");
/// Header with the HTTP status of the page captured.
const PAGE_STATUS: HeaderName = HeaderName::from_static("x-exhibit-page-status");

/// From how many bytes on a body is read by a thread of its own.
const LARGE: usize = 64 * 1024;
/// How many of those are read at the same time.
static LARGE_AT_ONCE: Semaphore = Semaphore::const_new(2);

/// What a handler answers when it cannot do what was asked.
#[derive(Debug)]
pub(super) struct Failure(Box<Refused>);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem.into()))
    }
}

impl From<Box<Refused>> for Failure {
    fn from(refused: Box<Refused>) -> Self {
        Self(refused)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let Refused { problem, evidence } = *self.0;
        let code = problem.code;
        if code.status() >= 500 {
            tracing::warn!(code = %code, error = chain(&problem), "a request failed");
        }
        let mut body = json!(problem);
        let told = |name: &str| {
            let text = evidence.as_ref()?[name].as_str()?;
            HeaderValue::from_str(text).ok()
        };
        let headers = [(RUN, told("run")), (BACKEND, told("backend"))];
        if let Some(evidence) = evidence {
            body["evidence"] = evidence;
        }
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        if code.status() == StatusCode::TOO_MANY_REQUESTS.as_u16() {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        for (name, value) in headers {
            if let Some(value) = value {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// Bytes as they are, read as fast as their caller takes them.
pub(super) fn file(media_type: &str, bytes: &Blob) -> Response {
    let length = bytes.len().to_string();
    let headers = [(CONTENT_TYPE, media_type), (CONTENT_LENGTH, &length)];
    (headers, Body::from_stream(stream::iter(bytes.pieces()))).into_response()
}

/// A capture in the form its caller asked for.
///
/// # Errors
/// `internal_error` when it cannot be read again.
pub(super) fn product(done: Done) -> Result<Response, Problem> {
    let mut response = if let Some(mut report) = done.report {
        report["duration_ms"] = json!(done.duration_ms);
        report["evidence"] = done.evidence;
        Json(report).into_response()
    } else if done.json {
        let bytes = done.bytes.bytes();
        let bytes = bytes.map_err(|error| Problem::internal("reading what was made", error))?;
        let mut body = json!({
            "data": STANDARD.encode(&bytes),
            "size_bytes": bytes.len(),
            "duration_ms": done.duration_ms,
            "evidence": done.evidence,
        });
        if let Some(metadata) = done.metadata {
            body["metadata"] = metadata;
        }
        Json(body).into_response()
    } else {
        file(done.media_type, &done.bytes)
    };
    let headers = response.headers_mut();
    let mut set = |name, value: String| {
        let value = HeaderValue::from_str(&value).expect("ids, digests and numbers are ASCII");
        headers.insert(name, value);
    };
    set(RUN, done.run.to_string());
    set(BACKEND, done.backend.to_string());
    set(SHA256, done.sha256.to_string());
    if let Some(status) = done.status {
        set(PAGE_STATUS, status.to_string());
    }
    Ok(response)
}

/// `answer`, with the run in which it is on record, and who took it.
pub(super) fn on_record(run: RunId, by: BackendName, answer: impl IntoResponse) -> Response {
    let mut response = answer.into_response();
    let run = HeaderValue::from_str(&run.to_string()).expect("an id is ASCII");
    response.headers_mut().insert(RUN, run);
    response.headers_mut().insert(BACKEND, HeaderValue::from_static(by.as_str()));
    response
}

/// The body of `request` as JSON, `{}` when it is empty.
///
/// # Errors
/// `body_too_large`; see [`read_json`].
pub(super) async fn json_body(api: &Api, request: Request) -> Result<Value, Problem> {
    body_as(api, request, Ok).await
}

/// What `read` makes of the body of `request`.
///
/// # Errors
/// As [`json_body`]; what `read` says.
pub(super) async fn body_as<T: Send + 'static>(
    api: &Api,
    request: Request,
    read: impl FnOnce(Value) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let limit = api.config.borrow().capture.max_body;
    fits(request.headers(), limit)?;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let bytes = axum::body::to_bytes(request.into_body(), most).await.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error + 'static>::is::<http_body_util::LengthLimitError>);
        if too_large { too_large_body(limit) } else { broken_body(error) }
    })?;
    let size = bytes.len();
    let work = move || read(if bytes.is_empty() { json!({}) } else { read_json(&bytes)? });
    in_turn(api.runs.tasks(), size, work).await
}

/// What comes of `work` on text of `size` bytes. What takes long keeps no async thread from others, and of
/// the other threads only some, in the order in which it came.
pub(super) async fn in_turn<T: Send + 'static>(
    tasks: &Tasks,
    size: usize,
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    if size < LARGE {
        return work();
    }
    let turn = LARGE_AT_ONCE.acquire().await;
    let done = tasks.spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|error| Problem::internal("reading the body", error))?
}

/// Refuse a body before any of it is read that says to be longer than `limit`, and than what is read and
/// dropped for those who send all of it before they listen.
///
/// # Errors
/// `body_too_large`.
pub(super) fn fits(headers: &HeaderMap, limit: u64) -> Result<(), Problem> {
    match announced(headers) {
        Some(length) if length > limit && length > DROPPED => Err(too_large_body(limit)),
        _ => Ok(()),
    }
}

/// The body is longer than allowed.
pub(super) fn too_large_body(limit: u64) -> Problem {
    let message = format!("the body is larger than {limit} bytes; send less, or raise the limit");
    Problem::new(Code::BodyTooLarge, message)
}

/// The body stopped arriving.
pub(super) fn broken_body(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Problem {
    Problem::new(Code::InvalidJson, "the body did not arrive whole, or too slowly; send it again")
        .because(cause)
}

/// The run id in a path or header.
///
/// # Errors
/// `invalid_field`.
pub(super) fn run_id(text: &str, field: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|error| {
        let message = format!("`{field}` is no run id; give one that POST /runs answered");
        Problem::new(Code::InvalidField, message).field(field).because(error)
    })
}

/// The run that a path names.
///
/// # Errors
/// `invalid_field`.
pub(super) fn run_in_path(id: Result<Path<String>, PathRejection>) -> Result<RunId, Problem> {
    let unreadable = |rejection: PathRejection| {
        let message = "the path holds what is no text; give a run id that POST /runs answered";
        Problem::new(Code::InvalidField, message).field("id").because(rejection)
    };
    let Path(id) = id.map_err(unreadable)?;
    run_id(&id, "id")
}

/// The id of a session, a job or a kept sequence in a path; what is no id names nothing there is.
///
/// # Errors
/// `not_found`, the code that goes with the kind of thing.
pub(super) fn random_id(
    id: Result<Path<String>, PathRejection>,
    not_found: Code,
) -> Result<RandomId, Problem> {
    let text = id.map(|Path(text)| text).unwrap_or_default();
    text.parse().map_err(|error| {
        let message = "the path names nothing that is here; give an id that was answered";
        Problem::new(not_found, message).field("id").because(error)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// One thread: it would wait for itself.
    #[tokio::test(flavor = "current_thread")]
    async fn what_is_large_is_not_read_by_an_async_thread() {
        let (tasks, (go, told)) = (Tasks::default(), mpsc::channel());
        let reading = in_turn(&tasks, LARGE, move || {
            told.recv_timeout(Duration::from_secs(60))
                .map_err(|error| Problem::internal("waiting for the async thread", error))
        });
        let other = async { go.send(()).expect("somebody reads") };
        let (read, ()) = tokio::join!(reading, other);
        read.expect("the other went on meanwhile");
        assert_eq!(in_turn(&tasks, 1, || Ok(1)).await.expect("read"), 1);
    }
}
