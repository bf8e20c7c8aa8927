//! Owns the form of answers: JSON bodies, and one shape for everything that was refused or failed.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::{Value, json};

use super::Api;
use crate::backend::BackendName;
use crate::blob::Blob;
use crate::capture::{Done, Refused};
use crate::error::{Code, Problem, chain};
use crate::id::{RandomId, RunId};
use crate::request::read_json;

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
    let limit = api.config.borrow().capture.max_body;
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let bytes = axum::body::to_bytes(request.into_body(), most).await.map_err(|error| {
        let too_large = std::error::Error::source(&error)
            .is_some_and(<dyn std::error::Error + 'static>::is::<http_body_util::LengthLimitError>);
        if too_large { too_large_body(limit) } else { broken_body(error) }
    })?;
    if bytes.is_empty() {
        return Ok(json!({}));
    }
    read_json(&bytes)
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
