//! Owns the HTTP API: paths, authentication, bodies and answers. It holds no business rule: each
//! handler reads a request, calls the pipeline and shapes the answer. docs/API.md is its contract.

mod answer;
mod bundles;
mod drain;
mod events;
mod hosted;
mod keeping;
mod log;
mod metrics;
pub mod openapi;
mod request_id;
mod runs;
mod sequences;
mod sessions;
mod video;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;

use self::answer::{BACKEND, Failure, RUN, STAGE, json_body, on_record, product, run_id};
use crate::auth::keyring::SharedKeyring;
use crate::auth::origin::check_origin;
use crate::auth::peer::Authenticated;
use crate::auth::{may_see_all, peer};
use crate::backend::BackendName;
use crate::capture::{Ask, CaptureKind, Captures};
use crate::config::Config;
use crate::error::{Code, Problem};
use crate::jobs::Jobs;
use crate::quotas::{Quota, Share, Shares};
use crate::run::Caller;
use crate::runs::Runs;
use crate::sequences::StoredSequences;
use crate::settings::Stage;

/// What the handlers need.
#[derive(Clone, Debug)]
pub struct Api {
    /// The pipeline.
    pub captures: Captures,
    /// The open runs.
    pub runs: Runs,
    /// Recordings that are fetched later.
    pub jobs: Jobs,
    /// The sequences that callers keep.
    pub sequences: StoredSequences,
    /// The API keys.
    pub keys: SharedKeyring,
    /// Requests under way.
    pub requests: Shares,
    /// The configuration in force.
    pub config: watch::Receiver<Arc<Config>>,
}

/// Every path of the API. Health is open to everybody who can connect; all else needs a caller.
pub fn router(api: Api) -> Router {
    let authenticated = Router::new()
        .route("/screenshot", capture(CaptureKind::Screenshot))
        .route("/pdf", capture(CaptureKind::Pdf))
        .route("/og-image", capture(CaptureKind::OgImage))
        .route("/inspect", capture(CaptureKind::Inspect))
        .route("/observe", capture(CaptureKind::Observe))
        .route("/diff", post(compare))
        .route("/status", get(status))
        .merge(hosted::routes())
        .merge(log::routes())
        .merge(bundles::routes())
        .merge(keeping::routes())
        .merge(sequences::routes())
        .merge(sessions::routes())
        .merge(video::routes())
        .merge(runs::routes())
        .layer(middleware::from_fn_with_state(api.clone(), authenticate));
    let metrics =
        get(metrics::metrics).layer(middleware::from_fn_with_state(api.clone(), authenticate));
    Router::new()
        .nest("/api/v1", authenticated.clone())
        .nest("/v1", authenticated)
        .route("/llms-full.txt", get(hosted::llms))
        .route("/openapi.json", get(|| async { Json(openapi::document()) }))
        .route("/metrics", metrics)
        .route("/healthz", get(|| async { Json(json!({ "status": "ok" })) }))
        .route("/readyz", get(ready))
        .fallback(no_such_endpoint)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(api.clone(), check_meant))
        .layer(middleware::from_fn(drain::hear_out))
        .layer(middleware::from_fn(request_id::trace))
        .with_state(api)
}

/// Refuse what was not meant for this daemon.
async fn check_meant(State(api): State<Api>, request: Request, next: Next) -> Response {
    let url = api.config.borrow().web.url.clone();
    match check_origin(&request, url.as_ref()) {
        Ok(()) => next.run(request).await,
        Err(problem) => Failure::from(problem).into_response(),
    }
}

async fn authenticate(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    match peer::authenticate(&request, &api.keys) {
        Ok(caller) => match enter(&api, &caller) {
            Ok(_share) => {
                Authenticated::tell(&request);
                request.extensions_mut().insert(caller);
                next.run(request).await
            }
            Err(problem) => Failure::from(problem).into_response(),
        },
        Err(problem) => Failure::from(problem).into_response(),
    }
}

/// A share of what is under way, for as long as `caller` is being answered.
fn enter(api: &Api, caller: &Caller) -> Result<Share, Problem> {
    let limit = api.config.borrow().quotas.requests;
    api.requests.take(caller, Quota::Requests, limit, 0)
}

/// A capture by one of the hosted API's endpoints: the run, if any, is named by header.
fn capture(kind: CaptureKind) -> MethodRouter<Api> {
    post(
        async move |State(api): State<Api>,
                    Extension(caller): Extension<Caller>,
                    request: Request| {
            let ask = ask(&api, kind, caller, request).await?;
            Ok::<_, Failure>(product(api.captures.take(ask).await?)?)
        },
    )
}

async fn compare(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let ask = ask(&api, CaptureKind::Screenshot, caller, request).await?;
    let done = api.captures.compare(ask).await?;
    Ok(on_record(done.run, done.backend, Json(done.answer)))
}

async fn ask(
    api: &Api,
    kind: CaptureKind,
    caller: Caller,
    request: Request,
) -> Result<Ask, Problem> {
    let run = header(request.headers(), &RUN)?;
    let run = run.map(|text| run_id(text, RUN.as_str())).transpose()?;
    let stage = header(request.headers(), &STAGE)?.map(stage).transpose()?;
    let backend = backend(request.headers())?;
    let body = json_body(api, request).await?;
    Ok(Ask { kind, caller, run, stage, backend, body })
}

/// Who is to take the picture, where the request says so.
fn backend(headers: &HeaderMap) -> Result<Option<BackendName>, Problem> {
    let Some(word) = header(headers, &BACKEND)? else { return Ok(None) };
    BackendName::named(word).map(Some).ok_or_else(|| {
        let message = format!("the header `{BACKEND}` names no backend; give chromium or hosted");
        Problem::new(Code::InvalidField, message).field(BACKEND.as_str())
    })
}

fn header<'a>(
    headers: &'a HeaderMap,
    name: &axum::http::HeaderName,
) -> Result<Option<&'a str>, Problem> {
    let value = headers.get(name).map(|value| value.to_str()).transpose();
    value.map_err(|error| {
        let message = format!("the header `{name}` holds no plain text; correct it");
        Problem::new(Code::InvalidField, message).field(name.as_str()).because(error)
    })
}

fn stage(name: &str) -> Result<Stage, Problem> {
    Stage::new(name).ok_or_else(|| {
        let message = format!(
            "the header `{STAGE}` is no stage; give 1 to 40 lower-case letters, digits and hyphens"
        );
        Problem::new(Code::InvalidField, message).field(STAGE.as_str())
    })
}

async fn ready(State(api): State<Api>) -> Response {
    if let Err(problem) = api.runs.room().check() {
        let mut response = Failure::from(problem).into_response();
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        return response;
    }
    match api.captures.ready() {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(why) => {
            let message =
                format!("{why}; ask again in a moment, `exhibit doctor` looks for causes");
            Failure::from(Problem::new(Code::BrowserUnavailable, message)).into_response()
        }
    }
}

async fn status(State(api): State<Api>, Extension(caller): Extension<Caller>) -> Json<Value> {
    let (under_way, waiting) = api.captures.load();
    let room = api.runs.room().status();
    let full = room["refused_because"].as_str().map(str::to_owned);
    let not_ready = full.or_else(|| api.captures.ready().err());
    let browser = api.captures.provenance();
    let mut scrubbed = api.runs.integrity().scrubbed();
    if !may_see_all(&caller, &api.config.borrow().web) {
        scrubbed = scrubbed.without_runs();
    }
    let mut integrity = json!(scrubbed);
    let (watch, hook) = api.runs.integrity().watching();
    (integrity["watch"], integrity["hook"]) = (json!(watch), json!(hook));
    integrity["guard"] = json!(api.runs.guard().status());
    Json(json!({
        "exhibit": env!("CARGO_PKG_VERSION"),
        "ready": not_ready.is_none(),
        "not_ready_because": not_ready,
        "browser": browser["version"]["product"],
        "sandbox": browser["sandbox"],
        "open_runs": api.runs.open_count(),
        "captures_under_way": under_way,
        "captures_waiting": waiting,
        "room": room,
        "integrity": integrity,
        "witnesses": api.runs.log().witnesses(),
        "signing": api.runs.signing().status(),
        "timestamps": api.runs.log().timestamp_stats(),
    }))
}

async fn no_such_endpoint(request: Request) -> Failure {
    let message =
        format!("there is no `{}` here; docs/API.md lists the paths", request.uri().path());
    Problem::new(Code::NoSuchEndpoint, message).into()
}

async fn method_not_allowed(request: Request) -> Failure {
    let message = format!(
        "`{}` does not take {}; docs/API.md says what it takes",
        request.uri().path(),
        request.method()
    );
    Problem::new(Code::MethodNotAllowed, message).into()
}
