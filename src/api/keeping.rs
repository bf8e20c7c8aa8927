//! Owns the paths about the keeping of runs: legal holds, and purges.

use axum::extract::{Request, State};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::Api;
use super::answer::{Failure, json_body};
use crate::request::{HoldRequest, PurgeRequest};
use crate::run::{Caller, Reader};
use crate::web::may_see_all;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/holds", get(holds).post(hold))
        .route("/holds/release", post(release))
        .route("/purges", post(purge))
}

/// Whose runs `caller` may look at.
pub(super) fn reader(api: &Api, caller: &Caller) -> Reader {
    let all = may_see_all(caller, &api.config.borrow().web);
    if all { Reader::Everything } else { Reader::Own(caller.clone()) }
}

async fn holds(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    let holds = api.runs.holds(&reader(&api, &caller))?;
    Ok(Json(json!({ "holds": holds })))
}

async fn hold(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = HoldRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!({ "holds": api.runs.hold(asked, &caller).await? })))
}

async fn release(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = HoldRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!({ "released": api.runs.release(asked, &caller).await? })))
}

async fn purge(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let asked = PurgeRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!(api.runs.purge(asked, &caller).await?)))
}
