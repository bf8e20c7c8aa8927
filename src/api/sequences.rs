//! Owns the paths about sequences: running one, keeping it, running what is kept.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::answer::{Failure, body_as, on_record, random_id};
use super::{Api, ask, video};
use crate::capture::{Ask, CaptureKind};
use crate::error::{Code, Problem};
use crate::request::{ImportRequest, StoredRequest, take_variables, with_variables};
use crate::run::Caller;

/// Fields of a request to run a kept sequence that belong to this run alone.
const OF_THE_RUN: &[&str] = &[
    "authState",
    "blockAds",
    "blockBanners",
    "blockChats",
    "blockTrackers",
    "cookies",
    "darkMode",
    "deviceScaleFactor",
    "observeAfterEachStep",
    "session_id",
    "stage",
    "viewport",
];

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/sequence", post(run))
        .route("/run_sequence", post(run))
        .route("/sequences", post(keep).get(list))
        .route("/sequences/import", post(import))
        .route("/sequences/{id}", get(show).delete(delete))
        .route("/sequences/{id}/run", post(run_kept))
}

async fn run(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let ask = ask(&api, CaptureKind::Screenshot, caller, request).await?;
    carry_out(&api, ask).await
}

async fn carry_out(api: &Api, ask: Ask) -> Result<Response, Failure> {
    let done = api.captures.sequence(ask).await?;
    Ok(on_record(done.run, done.backend, Json(done.answer)))
}

async fn keep(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let request = body_as(&api, request, StoredRequest::read).await?;
    let kept = api.sequences.keep(caller, request).await?;
    Ok((StatusCode::CREATED, Json(kept.summary())))
}

async fn import(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let ImportRequest { sequence, save } = body_as(&api, request, ImportRequest::read).await?;
    let steps = sequence.body["steps"].clone();
    let count = steps.as_array().map_or(0, Vec::len);
    if !save {
        return Ok(Json(json!({ "saved": false, "steps": steps, "step_count": count })));
    }
    let kept = api.sequences.keep(caller, sequence).await?;
    let mut answer = kept.summary();
    answer["saved"] = json!(true);
    answer["steps"] = steps;
    Ok(Json(answer))
}

async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    let kept = api.sequences.list(caller).await?;
    let kept: Vec<Value> = kept.iter().map(crate::sequences::Listed::summary).collect();
    Ok(Json(json!({ "sequences": kept })))
}

async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let kept = api.sequences.get(caller, random_id(id, Code::SequenceNotFound)?).await?;
    let mut answer = kept.summary();
    if let (Some(answer), Value::Object(body)) = (answer.as_object_mut(), kept.body) {
        answer.extend(body);
    }
    Ok(Json(answer))
}

async fn delete(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Failure> {
    api.sequences.delete(caller, random_id(id, Code::SequenceNotFound)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Run a kept sequence: `variables` for its `{{names}}`, and what belongs to this run alone.
async fn run_kept(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let id = random_id(id, Code::SequenceNotFound)?;
    let mut ask = ask(&api, CaptureKind::Screenshot, caller.clone(), request).await?;
    let kept = api.sequences.get(caller, id).await?;
    let Value::Object(mut given) = ask.body else {
        let message = "the body is no object; send a JSON object";
        return Err(Problem::new(Code::InvalidJson, message).into());
    };
    let variables = take_variables(&mut given)?.unwrap_or_default();
    if let Some(name) = given.keys().find(|name| !OF_THE_RUN.contains(&name.as_str())) {
        let message = format!(
            "`{name}` is not a field here; give `variables`, or one of {}",
            OF_THE_RUN.join(", ")
        );
        return Err(Problem::new(Code::UnknownField, message).field(name.clone()).into());
    }
    let mut body = with_variables(kept.body, &variables)?;
    for (name, value) in given {
        body[name.as_str()] = value;
    }
    ask.body = body;
    if kept.kind == "video" { video::film(&api, ask).await } else { carry_out(&api, ask).await }
}
