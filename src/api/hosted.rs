//! Owns the paths of the hosted API that tell of this service, and those that are not supported
//! yet: these say so, instead of not being there.

use axum::extract::{Request, State};
use axum::routing::{any, get};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::Api;
use super::answer::Failure;
use crate::capture::NO_LIMIT;
use crate::error::{Code, Problem};
use crate::run::Caller;
use crate::settings::device::DEVICES;

/// Endpoints of the hosted API that this version does not have.
const NOT_YET: &[&str] = &[
    "/act",
    "/diff",
    "/inspect",
    "/jobs",
    "/jobs/{id}",
    "/observe",
    "/og-image",
    "/sequences",
    "/sequences/import",
    "/sessions",
    "/sessions/{id}",
    "/video",
];

pub(super) fn routes() -> Router<Api> {
    let known = Router::new().route("/devices", get(devices)).route("/usage", get(usage));
    NOT_YET.iter().fold(known, |router, path| router.route(path, any(not_yet)))
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

async fn not_yet(request: Request) -> Failure {
    let message = format!(
        "`{}` is an endpoint of the hosted API that this version does not support yet; docs/API.md \
         lists those it does",
        request.uri().path()
    );
    Problem::new(Code::NotSupported, message).into()
}
