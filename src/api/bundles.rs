//! Owns the giving out of sealed runs as bundles.

use axum::extract::{Request, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::post;
use axum::{Extension, Router};
use serde_json::Value;

use super::Api;
use super::answer::{Failure, file, json_body, run_id};
use super::keeping::reader;
use crate::error::{Code, Problem};
use crate::id::RunId;
use crate::run::Caller;
use crate::runs::Looker;

/// SHA-256 of what is sent.
const DIGEST: HeaderName = HeaderName::from_static("x-exhibit-sha256");

pub(super) fn routes() -> Router<Api> {
    Router::new().route("/bundles", post(bundle))
}

async fn bundle(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let runs = runs_in(&json_body(&api, request).await?)?;
    let looker = Looker::caller(caller.clone(), reader(&api, &caller));
    let bundle = api.runs.bundle(runs, &looker).await?;
    let digest = bundle.digest().map_err(|error| Problem::internal("reading the bundle", error))?;
    let mut response = file("application/zstd", &bundle);
    let headers = response.headers_mut();
    let digest = HeaderValue::from_str(&digest.to_string()).expect("digits are ASCII");
    headers.insert(DIGEST, digest);
    let name = HeaderValue::from_static("attachment; filename=\"evidence.tar.zst\"");
    headers.insert(CONTENT_DISPOSITION, name);
    Ok(response)
}

fn runs_in(body: &Value) -> Result<Vec<RunId>, Problem> {
    let wrong = |code, message: &str| Problem::new(code, message).field("runs");
    if let Some(name) = body.as_object().and_then(|body| body.keys().find(|name| *name != "runs")) {
        let message = format!("`{name}` is not known here; give `runs` alone");
        return Err(Problem::new(Code::UnknownField, message).field(name.clone()));
    }
    let runs = body.get("runs").ok_or_else(|| {
        wrong(Code::MissingField, "`runs` is missing; give a list of ids of sealed runs")
    })?;
    let runs = runs.as_array().ok_or_else(|| {
        wrong(Code::InvalidField, "`runs` is no list; give a list of ids of sealed runs")
    })?;
    runs.iter().map(|run| run_id(run.as_str().unwrap_or_default(), "runs")).collect()
}
