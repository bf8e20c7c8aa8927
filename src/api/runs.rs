//! Owns the paths about runs: opening, adding to, sealing and looking at them.

use std::io::Write as _;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{
    Failure, body_as, broken_body, file, fits, json_body, product, run_id, run_in_path,
    too_large_body,
};
use super::events::events;
use super::keeping::reader;
use super::{Api, backend};
use crate::capture::{Ask, CaptureKind};
use crate::clock::rfc3339_millis;
use crate::error::{Code, Problem};
use crate::evidence::{Filter, RunFacts, RunSummary, StoreError};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::report::content_security_policy;
use crate::request::{CodeRequest, SealRequest, read_run_spec};
use crate::run::{Caller, Ending, Reader, State as RunState};
use crate::runs::{Accessor, not_to_see};
use crate::workflow::Verdict;

/// Longest media type of an attachment: the closing event names it with each file, and all of them
/// must fit into one line.
const MEDIA_TYPE: usize = 200;
/// Most runs in one answer.
const LIST_LIMIT: u32 = 1_000;
/// What is asked for where runs are that are no longer as they were sealed.
const ALTERED: &str = "altered";

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/runs", post(open).get(list))
        .route("/runs/{id}", get(show))
        .route("/runs/{id}/events", post(events))
        .route("/runs/{id}/code", post(code))
        .route("/runs/{id}/captures", post(capture))
        .route("/runs/{id}/attachments", post(attach))
        .route("/runs/{id}/seal", post(seal))
        .route("/runs/{id}/report", get(report))
}

async fn open(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let spec = body_as(&api, request, read_run_spec).await?;
    let browser = api.captures.provenance();
    let run = api.runs.begin(spec, caller.clone(), browser).await?;
    let (opened, _) = api.runs.registry().shown(run.id, &Reader::Own(caller))?;
    Ok((StatusCode::CREATED, Json(opened)))
}

/// Which code runs.
async fn code(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let id = run_in_path(id)?;
    let request = body_as(&api, request, CodeRequest::read).await?;
    let work = api.runs.work(id, &caller).await?;
    Ok((StatusCode::CREATED, Json(api.runs.registry().reference_code(&work, request).await?)))
}

/// A capture with a stage, always answered as JSON.
async fn capture(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Failure> {
    let run = Some(run_in_path(id)?);
    let backend = backend(request.headers())?;
    let mut body = json_body(&api, request).await?;
    if let Some(fields) = body.as_object_mut() {
        fields.entry("response_type").or_insert_with(|| json!("json"));
    }
    let kind = match body.as_object_mut().and_then(|fields| fields.remove("type")) {
        None | Some(Value::Null) => Some(CaptureKind::Screenshot),
        Some(kind) => kind.as_str().and_then(CaptureKind::named),
    };
    let kind = kind.ok_or_else(|| {
        let message =
            "`type` is no kind of capture; give screenshot, pdf, og-image, inspect or observe";
        Problem::new(Code::InvalidField, message).field("type")
    })?;
    let done = api.captures.take(Ask { kind, caller, run, stage: None, backend, body }).await?;
    Ok(product(done)?)
}

#[derive(Deserialize)]
struct AttachQuery {
    name: Option<String>,
}

async fn attach(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    query: Result<Query<AttachQuery>, QueryRejection>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let id = run_in_path(id)?;
    let Query(query) = query.map_err(unreadable_query)?;
    let name = query.name.ok_or_else(|| {
        let message = "`name` is missing; give the file's name as ?name=…";
        Problem::new(Code::MissingField, message).field("name")
    })?;
    let media_type = media_type(request.headers())?;
    let (limit, idle) = {
        let config = api.config.borrow();
        (config.runs.max_attachment, config.runs.idle)
    };
    fits(request.headers(), limit)?;
    let work = api.runs.work(id, &caller).await?;
    let mut file = api.runs.registry().attachment(&work, &name).await?;
    let mut body = request.into_body().into_data_stream();
    let mut length = 0;
    // The run cannot end while this is under way, so that it must not take for ever.
    let stalled = |_| {
        let message = format!("nothing arrived for `runs.idle` ({idle:?}); send without pauses");
        Problem::new(Code::RequestTimeout, message)
    };
    while let Some(chunk) = tokio::time::timeout(idle, body.next()).await.map_err(stalled)? {
        let chunk = chunk.map_err(broken_body)?;
        length += chunk.len() as u64;
        if length > limit {
            return Err(too_large_body(limit).into());
        }
        // A chunk is small and goes to the page cache; only finishing waits for the disk.
        file.write_all(&chunk).map_err(|error| {
            api.runs.problem(StoreError::new(std::path::Path::new(&name), error))
        })?;
    }
    let artifact = api.runs.registry().finish_attachment(&work, file, media_type).await?;
    Ok((StatusCode::CREATED, Json(json!({ "run": id, "artifact": artifact }))))
}

/// What the caller says an attachment is.
fn media_type(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return Ok("application/octet-stream".to_owned());
    };
    match value.to_str() {
        Ok(text) if text.len() <= MEDIA_TYPE => Ok(text.to_owned()),
        _ => {
            let message = format!(
                "`content-type` is no text of at most {MEDIA_TYPE} bytes; give a media type, like \
                 application/pdf"
            );
            Err(Problem::new(Code::InvalidField, message).field("content-type"))
        }
    }
}

async fn seal(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Receipt>, Failure> {
    let id = run_in_path(id)?;
    let SealRequest { outcome, reason } = body_as(&api, request, SealRequest::read).await?;
    let ending = Ending::new(RunState::Sealed, outcome, reason);
    Ok(Json(api.runs.seal(id, &caller, ending).await?))
}

/// The report, for a browser: nothing but its own script and style may run, whatever it holds.
async fn report(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let id = run_in_path(id)?;
    let accessor = Accessor::caller(caller.clone(), reader(&api, &caller));
    let report = api.runs.disclosure().report(id, &accessor).await?;
    let mut response = file("text/html; charset=utf-8", &report);
    let policy = format!("{}; frame-ancestors 'none'", content_security_policy());
    let name = format!("inline; filename=\"report-{id}.html\"");
    for (header, value) in [
        (CONTENT_SECURITY_POLICY, policy),
        (CONTENT_DISPOSITION, name),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHE_CONTROL, "no-store".to_owned()),
    ] {
        let value = HeaderValue::from_str(&value).expect("digests, ids and keywords are ASCII");
        response.headers_mut().insert(header, value);
    }
    Ok(response)
}

#[derive(Deserialize)]
struct ListQuery {
    workflow: Option<String>,
    state: Option<String>,
    verdict: Option<String>,
    limit: Option<u32>,
    before: Option<String>,
    mine: Option<bool>,
}

/// The runs that the caller may see: open ones first, then sealed ones, newest first. With `mine`
/// only the caller's own, also for those who see everybody's.
async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(query) = query.map_err(unreadable_query)?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=LIST_LIMIT).contains(&limit) {
        let message = format!("`limit` is {limit}; give 1 to {LIST_LIMIT}");
        return Err(Problem::new(Code::InvalidField, message).field("limit").into());
    }
    let (open_wanted, state) = match query.state.as_deref() {
        None => (query.before.is_none(), None),
        Some("open") => (true, None),
        Some(ALTERED) => (false, None),
        Some(name) => (false, Some(run_state(name)?)),
    };
    let altered = query.state.as_deref() == Some(ALTERED);
    let verdict = query.verdict.as_deref().map(verdict_named).transpose()?;
    // A run that is open has no verdict yet.
    let open_wanted = open_wanted && verdict.is_none();
    let reader = match query.mine {
        Some(true) => Reader::Own(caller),
        _ => reader(&api, &caller),
    };
    let of_workflow = Filter { workflow: query.workflow.clone(), ..Filter::default() };
    let mut runs = if open_wanted {
        api.runs.catalog().search_open(&of_workflow, &reader)
    } else {
        Vec::new()
    };
    if query.state.as_deref() != Some("open") {
        let before = query.before.map(|text| run_id(&text, "before")).transpose()?;
        let filter = Filter {
            workflow: query.workflow,
            state,
            verdict,
            before,
            altered,
            ..Filter::default()
        };
        let sealed = api.runs.catalog().list(filter, &reader, limit).await?;
        runs.extend(sealed.iter().map(|run| json!(run)));
    }
    for run in &mut runs {
        api.runs.retention().show_holds(run, &reader);
        api.runs.integrity().show(run);
    }
    Ok(Json(json!({ "runs": runs })))
}

fn unreadable_query(rejection: QueryRejection) -> Problem {
    let message = format!("the query cannot be read ({}); correct it", rejection.body_text());
    Problem::new(Code::InvalidField, message).field("query")
}

fn run_state(name: &str) -> Result<RunState, Problem> {
    serde_json::from_value(json!(name)).map_err(|error| {
        let message = format!(
            "`state` is `{name}`, which is none; give open, sealed, expired, interrupted or altered"
        );
        Problem::new(Code::InvalidField, message).field("state").because(error)
    })
}

fn verdict_named(name: &str) -> Result<Verdict, Problem> {
    serde_json::from_value(json!(name)).map_err(|error| {
        let message = format!("`verdict` is `{name}`, which is none; give complete or incomplete");
        Problem::new(Code::InvalidField, message).field("verdict").because(error)
    })
}

async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Value>, Failure> {
    let id = run_in_path(id)?;
    let reader = reader(&api, &caller);
    let (mut shown, opener) = match api.runs.registry().shown(id, &reader) {
        Ok((mut open, opener)) => {
            let code = api.runs.catalog().open_code(id).await;
            if !code.is_empty() {
                open["code"] = json!(code);
            }
            (open, opener)
        }
        Err(problem) if problem.code == Code::RunSealed => sealed(&api, id, &reader).await?,
        Err(problem) if problem.code == Code::RunPurged => {
            // What the log says of it is for those who may read the log.
            return match api.runs.retention().decisions().tombstone(id) {
                Some(tombstone) if reader == Reader::Everything => {
                    let mut shown = json!(tombstone);
                    shown["state"] = json!("purged");
                    Ok(Json(shown))
                }
                _ => Err(problem.into()),
            };
        }
        Err(problem) => return Err(problem.into()),
    };
    if !caller.may_act_on(&opener) {
        // As on the run's page: before anything is shown.
        let accessor = Accessor::caller(caller, reader.clone());
        api.runs.access_log().record_view(&accessor, id).await?;
    }
    api.runs.retention().show_holds(&mut shown, &reader);
    Ok(Json(shown))
}

/// The sealed run `id` as answers show it, and who opened it.
async fn sealed(api: &Api, id: RunId, reader: &Reader) -> Result<(Value, Caller), Problem> {
    let RunFacts { record, code, .. } = api.runs.catalog().sealed_facts(id).await?;
    let opener = record.opening.caller.clone();
    if !reader.may_read(&opener) {
        return Err(not_to_see(id));
    }
    let (policy, judged) = (json!(record.opening.policy), json!(record.completeness));
    let summary = RunSummary::from(record);
    let mut shown = json!(summary);
    (shown["policy"], shown["completeness"]) = (policy, judged);
    shown["kept_until"] = json!(rfc3339_millis(api.runs.retention().kept_until(&summary)));
    if !code.is_empty() {
        shown["code"] = json!(code);
    }
    api.runs.integrity().show(&mut shown);
    Ok((shown, opener))
}
