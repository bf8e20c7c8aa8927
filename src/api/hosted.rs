//! Owns the paths of the hosted API that tell of this service, and the one that is not supported:
//! it says so, instead of not being there.

use axum::extract::{Request, State};
use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::Api;
use super::answer::Failure;
use crate::capture::NO_LIMIT;
use crate::error::{Code, Problem};
use crate::run::Caller;
use crate::settings::device::DEVICES;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/devices", get(devices))
        .route("/usage", get(usage))
        .route("/act", any(not_supported))
}

/// What an agent that reads before it calls is told: the API's own description.
pub(super) async fn llms() -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8")], include_str!("../../docs/API.md"))
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
    let current = api.runs.catalog().captures_this_month(&caller).await?;
    let usage = json!({
        "current": current,
        "limit": NO_LIMIT,
        "remaining": NO_LIMIT.saturating_sub(current),
    });
    Ok(Json(json!({ "plan": "local", "usage": usage })))
}

async fn not_supported(request: Request) -> Failure {
    let message = format!(
        "`{}` is not supported here: it needs a language model; let the agent call `/observe` and \
         `/sequence` itself",
        request.uri().path()
    );
    Problem::new(Code::NotSupported, message).into()
}
