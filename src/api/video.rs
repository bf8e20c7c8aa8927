//! Owns the paths about recordings: of steps, at once or as a job, and of a session's page in a run.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::answer::{Failure, file, json_body, on_record, random_id, run_id, run_in_path};
use super::{Api, ask};
use crate::backend::BackendName;
use crate::capture::{Ask, CaptureKind, VideoDone};
use crate::error::{Code, Problem};
use crate::request::{VideoRequest, read_stop};
use crate::run::{Caller, Reader};
use crate::runs::Accessor;

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/video", post(video))
        .route("/jobs", get(jobs))
        .route("/jobs/{id}", get(job))
        .route("/jobs/{id}/file", get(job_file))
        .route("/runs/{id}/recordings", post(start))
        .route("/runs/{id}/recordings/{recording}/stop", post(stop))
}

async fn video(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let ask = ask(&api, CaptureKind::Screenshot, caller, request).await?;
    film(&api, ask).await
}

/// Record steps, now or later.
pub(super) async fn film(api: &Api, ask: Ask) -> Result<Response, Failure> {
    // What cannot be understood is answered at once, in either way.
    let asynchronous = VideoRequest::read(ask.body.clone()).is_ok_and(|video| video.asynchronous);
    if asynchronous {
        return Ok(later(api, ask)?);
    }
    let VideoDone { run, bytes, format, json, mut answer } = api.captures.video(ask, None).await?;
    if !json {
        return Ok(on_record(run, BackendName::Chromium, file(format.media_type(), &bytes)));
    }
    let read = bytes.bytes().map_err(|error| Problem::internal("reading the recording", error))?;
    answer["data"] = json!(STANDARD.encode(read));
    Ok(on_record(run, BackendName::Chromium, Json(answer)))
}

/// Record later, and answer now.
fn later(api: &Api, ask: Ask) -> Result<Response, Problem> {
    // What there is no place for is refused, not accepted and failed later.
    let seat = api.captures.seat(&ask.caller)?;
    let (id, before) = api.jobs.begin(&ask.caller)?;
    let (jobs, captures) = (api.jobs.clone(), api.captures.clone());
    captures.clone().in_background(async move {
        let done = captures.video(ask, Some(seat)).await;
        let output = done.map(|done| (done.answer, done.bytes, done.format.media_type()));
        jobs.complete(id, output.map_err(|refused| refused.problem.to_string()));
    });
    let answer = json!({
        "job_id": id,
        "status": "queued",
        "status_url": format!("/api/v1/jobs/{id}"),
        "queue_position": before,
        "estimated_wait_ms": 0,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

async fn jobs(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Value> {
    Json(json!({ "jobs": api.jobs.list(&caller) }))
}

async fn job(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    Ok(Json(api.jobs.get(&caller, random_id(id, Code::JobNotFound)?)?))
}

async fn job_file(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let id = random_id(id, Code::JobNotFound)?;
    let (recording, media_type) = api.jobs.file(&caller, id)?;
    if let Some(run) = api.jobs.run(&caller, id)? {
        let accessor = Accessor::caller(caller.clone(), Reader::Own(caller));
        api.runs.access_log().record_download(&accessor, run).await?;
    }
    Ok(file(media_type, &recording))
}

async fn start(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let run = run_in_path(id)?;
    let body = json_body(&api, request).await?;
    let answer = api.captures.start_recording(caller, run, body).await?;
    Ok((StatusCode::CREATED, Json(answer)))
}

async fn stop(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<(String, String)>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let (id, recording) = path.map(|Path(path)| path).unwrap_or_default();
    let run = run_id(&id, "id")?;
    read_stop(json_body(&api, request).await?)?;
    Ok(Json(api.captures.stop_recording(&caller, run, &recording).await?))
}
