//! Owns the giving out of sealed runs as bundles, and the taking in of bundles.

use std::io::Write as _;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::header::CONTENT_DISPOSITION;
use axum::http::{HeaderName, HeaderValue};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Failure, broken_body, file, json_body, run_id};
use super::keeping::reader;
use crate::blob::Blob;
use crate::digest::Digest;
use crate::error::{Code, Problem};
use crate::evidence::StoreError;
use crate::id::RunId;
use crate::request::ImportPurgeRequest;
use crate::run::Caller;
use crate::runs::Accessor;

/// SHA-256 of what is sent.
const DIGEST: HeaderName = HeaderName::from_static("x-exhibit-sha256");

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/bundles", post(bundle))
        .route("/imports", get(imports).post(import))
        .route("/imports/{sha256}", get(kept))
        .route("/imports/{sha256}/purge", post(purge))
}

async fn bundle(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failure> {
    let runs = runs_in(&json_body(&api, request).await?)?;
    let accessor = Accessor::caller(caller.clone(), reader(&api, &caller));
    let bundle = api.runs.disclosure().bundle(runs, &accessor).await?;
    let digest = bundle.digest().map_err(|error| Problem::internal("reading the bundle", error))?;
    Ok(sent(&bundle, digest))
}

/// A bundle with its digest.
fn sent(bundle: &Blob, digest: Digest) -> Response {
    let mut response = file("application/zstd", bundle);
    let headers = response.headers_mut();
    let digest = HeaderValue::from_str(&digest.to_string()).expect("digits are ASCII");
    headers.insert(DIGEST, digest);
    let name = HeaderValue::from_static("attachment; filename=\"evidence.tar.zst\"");
    headers.insert(CONTENT_DISPOSITION, name);
    response
}

async fn imports(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Failure> {
    let imports = api.runs.retention().imports(&reader(&api, &caller))?;
    Ok(Json(json!({ "imports": imports })))
}

/// A bundle of another store that is kept, as it came.
async fn kept(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    sha256: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let sha256 = digest_in(sha256)?;
    let accessor = Accessor::caller(caller.clone(), reader(&api, &caller));
    Ok(sent(&api.runs.retention().give_import(sha256, &accessor).await?, sha256))
}

/// Take away a bundle of another store that is kept.
async fn purge(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    sha256: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let sha256 = digest_in(sha256)?;
    let asked = ImportPurgeRequest::read(json_body(&api, request).await?)?;
    Ok(Json(json!(api.runs.retention().purge_import(sha256, asked, &caller).await?)))
}

/// The digest that a path names.
fn digest_in(path: Result<Path<String>, PathRejection>) -> Result<Digest, Problem> {
    let sha256 = path.ok().and_then(|Path(digits)| digits.parse::<Digest>().ok());
    sha256.ok_or_else(|| {
        let message = "`sha256` is no digest; give 64 lower-case hexadecimal digits, as GET /imports \
                       answers them";
        Problem::new(Code::InvalidField, message).field("sha256")
    })
}

/// How many bytes of an import are taken before it is asked again whether there is room.
const STRIDE: u64 = 64 << 20;

async fn import(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Value>, Failure> {
    let mut spool = api.runs.retention().begin_import(&caller)?;
    let idle = api.config.borrow().runs.idle;
    let stalled = |_| {
        let message = format!("nothing arrived for `runs.idle` ({idle:?}); send without pauses");
        Problem::new(Code::RequestTimeout, message)
    };
    let mut body = request.into_body().into_data_stream();
    let mut since = 0;
    while let Some(chunk) = tokio::time::timeout(idle, body.next()).await.map_err(stalled)? {
        let chunk = chunk.map_err(broken_body)?;
        since += chunk.len() as u64;
        if since > STRIDE {
            api.runs.room().check()?;
            since = 0;
        }
        // A chunk is small and goes to the page cache.
        spool.write_all(&chunk).map_err(|error| {
            api.runs.problem(StoreError::new(std::path::Path::new("the bundle"), error))
        })?;
    }
    Ok(Json(json!(api.runs.retention().import(spool.finish(), &caller).await?)))
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
