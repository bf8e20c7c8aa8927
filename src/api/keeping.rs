//! Owns the paths about the keeping of runs: legal holds, purges and archives.

use axum::extract::{Request, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::Api;
use super::answer::{Failure, json_body};
use crate::auth::reader_of;
use crate::request::{ArchiveRequest, HoldRequest, PurgeRequest};
use crate::run::{Caller, Reader};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/holds", get(holds).post(hold))
        .route("/holds/release", post(release))
        .route("/purges", post(purge))
        .route("/archives", post(archive))
        .route("/archives/restore", post(restore))
}

/// Whose runs `caller` may look at.
pub(super) fn reader(api: &Api, caller: &Caller) -> Reader {
    reader_of(caller, &api.config.borrow().web)
}

async fn holds(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    let holds = api.runs.retention().holds(&reader(&api, &caller))?;
    Ok(Json(json!({ "holds": holds })))
}

async fn hold(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = HoldRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!({ "holds": api.runs.retention().hold(asked, &caller).await? })))
}

async fn release(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = HoldRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!({ "released": api.runs.retention().release(asked, &caller).await? })))
}

async fn purge(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = PurgeRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!(api.runs.purge(asked, &caller).await?)))
}

async fn archive(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = ArchiveRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!(api.runs.retention().archive(asked, &caller).await?)))
}

async fn restore(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = ArchiveRequest::read_restore(json_body(&api, request).await?)?;
    Ok(Json(json!(api.runs.retention().archive(asked, &caller).await?)))
}
