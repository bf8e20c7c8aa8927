//! Owns the paths about sessions.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{delete, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::answer::{Failure, RUN, on_record, random_id, run_id};
use super::{Api, ask, header};
use crate::backend::BackendName;
use crate::capture::CaptureKind;
use crate::error::Code;
use crate::run::Caller;

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/sessions", post(open).get(list)).route("/sessions/{id}", delete(close))
}

async fn open(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let ask = ask(&api, CaptureKind::Screenshot, caller, request).await?;
    let opened = api.captures.open_session(ask).await?;
    Ok(on_record(opened.run, BackendName::Chromium, Json(opened.answer)))
}

async fn list(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Value> {
    Json(json!({ "sessions": api.captures.sessions(&caller) }))
}

async fn close(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<StatusCode, Failure> {
    let id = random_id(id, Code::SessionNotFound)?;
    let run = header(&headers, &RUN)?.map(|text| run_id(text, RUN.as_str())).transpose()?;
    api.captures.close_session(caller, run, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
