//! Owns the paths of the hosted API that tell of this service, and those that are not supported:
//! these say so, instead of not being there.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::Api;
use super::answer::{Failure, random_id};
use crate::capture::NO_LIMIT;
use crate::error::{Code, Problem};
use crate::run::Caller;
use crate::settings::device::DEVICES;

/// Endpoints of the hosted API that this version does not have: one needs a language model, one
/// recordings.
const NOT_SUPPORTED: &[&str] = &["/act", "/video"];

pub(super) fn routes() -> Router<Api> {
    let known = Router::new()
        .route("/devices", get(devices))
        .route("/usage", get(usage))
        .route("/jobs", get(jobs))
        .route("/jobs/{id}", get(job));
    NOT_SUPPORTED.iter().fold(known, |router, path| router.route(path, any(not_supported)))
}

/// What an agent that reads before it calls is told: the API's own description.
pub(super) async fn llms() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], include_str!("../../docs/API.md"))
}

/// Jobs are what asynchronous recordings are followed by: there are none yet.
async fn jobs() -> Json<Value> {
    Json(json!({ "jobs": [] }))
}

async fn job(id: Result<Path<String>, PathRejection>) -> Failure {
    let id = random_id(id, Code::JobNotFound).map(|id| {
        let message = format!("there is no job {id}; GET /jobs lists them");
        Problem::new(Code::JobNotFound, message).field("id")
    });
    id.unwrap_or_else(|problem| problem).into()
}

/// The device presets, in the hosted API's shape.
async fn devices() -> Json<Value> {
    Json(json!({ "devices": DEVICES }))
}

/// The caller's captures of this month.
async fn usage(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    let current = api.runs.captures_this_month(&caller).await?;
    let usage = json!({
        "current": current,
        "limit": NO_LIMIT,
        "remaining": NO_LIMIT.saturating_sub(current),
    });
    Ok(Json(json!({ "plan": "local", "usage": usage })))
}

async fn not_supported(request: Request) -> Failure {
    let path = request.uri().path();
    let why = if path.ends_with("/act") {
        "it needs a language model; let the agent call `/observe` and `/sequence` itself"
    } else {
        "recordings come with a later version; take screenshots in a `/sequence`"
    };
    Problem::new(Code::NotSupported, format!("`{path}` is not supported here: {why}")).into()
}
