//! Owns the store's log over HTTP: read-only but for the cosignatures of witnesses the operator
//! named, and for timestamps that operators bring.

use axum::body::Bytes;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Api;
use super::answer::{Failure, run_in_path};
use crate::auth::may_see_all;
use crate::error::{Code, Problem};
use crate::evidence::log::Stamped;
use crate::run::Caller;
use crate::runs::not_to_see;
use crate::timestamp;
use crate::tlog::note::{MAX_NOTE, Note};
use crate::tlog::tile::{Tile, TileKind};

pub(super) fn routes() -> Router<Api> {
    Router::new()
        .route("/log/checkpoint", get(checkpoint))
        .route("/log/witnessed", get(witnessed))
        .route("/log/request", get(request))
        .route("/log/cosignatures", post(cosignatures))
        .route("/log/timestamp-request", get(timestamp_request))
        .route("/log/timestamps", get(timestamps).post(take_timestamp))
        .route("/log/tile/{*path}", get(tile))
        .route("/runs/{id}/proof", get(proof))
}

const TEXT: (HeaderName, &str) = (CONTENT_TYPE, "text/plain; charset=utf-8");

async fn checkpoint(State(api): State<Api>) -> Result<Response, Failure> {
    let (note, _) = api.runs.log().checkpoint().await?;
    Ok(([TEXT], note.to_string()).into_response())
}

async fn witnessed(State(api): State<Api>) -> Result<Response, Failure> {
    let found = api.runs.log().witnessed().await?;
    let (note, _) = found.ok_or_else(|| {
        let message = "no witness has cosigned a checkpoint yet; `exhibit log witness request` \
                       makes what one needs";
        Problem::new(Code::NoSuchEndpoint, message)
    })?;
    Ok(([TEXT], note.to_string()).into_response())
}

/// A tile. Entries name everybody's runs, and are for whoever may see all of them.
async fn tile(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let path = path.map(|Path(path)| format!("tile/{path}")).unwrap_or_default();
    let tile = Tile::parse(&path).ok_or_else(|| {
        let message = "that is no tile of the log; ask for tile/<level>/<index>, after \
                       c2sp.org/tlog-tiles";
        Problem::new(Code::NoSuchEndpoint, message)
    })?;
    if tile.kind == TileKind::Entries && !may_see_all(&caller, &api.config.borrow().web) {
        let message = "the entries of the log name the runs of all callers; ask the operator to \
                       put you into `web.viewers`, or ask for a run's proof";
        return Err(Problem::new(Code::NotAViewer, message).into());
    }
    let bytes = api.runs.log().tile(tile).await?;
    Ok(([(CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}

#[derive(Deserialize)]
struct RequestQuery {
    old: Option<u64>,
    witness: Option<String>,
}

/// What a witness is asked.
async fn request(
    State(api): State<Api>,
    query: Result<Query<RequestQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|rejection| {
        let message = format!("`old` is no size ({}); give a number", rejection.body_text());
        Problem::new(Code::InvalidField, message).field("old")
    })?;
    let request = api.runs.log().offline_request(query.old, query.witness.as_deref()).await?;
    Ok(([TEXT], request.to_string()).into_response())
}

/// Take in the cosignatures of a note.
async fn cosignatures(State(api): State<Api>, body: Bytes) -> Result<Json<Value>, Failure> {
    let text = std::str::from_utf8(&body).ok().filter(|text| text.len() as u64 <= MAX_NOTE);
    let note = text.map(Note::parse).and_then(Result::ok).ok_or_else(|| {
        let message = "the body is no signed note; send what `exhibit log witness sign` wrote";
        Problem::new(Code::InvalidField, message).field("body")
    })?;
    let cosigned = api.runs.log().cosign(note).await?;
    Ok(Json(json!({ "size": cosigned.size, "witnesses": cosigned.witnesses })))
}

/// What an authority is asked over the newest checkpoint.
async fn timestamp_request(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
) -> Result<Response, Failure> {
    let request = api.runs.log().timestamp_request(&caller).await?;
    Ok(([(CONTENT_TYPE, timestamp::QUERY)], request.bytes().to_vec()).into_response())
}

/// Take in what it answered.
async fn take_timestamp(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Value>, Failure> {
    if body.len() as u64 > timestamp::MAX_STAMP {
        let message = "the body is too long for a timestamp; send what an authority answered";
        return Err(Problem::new(Code::InvalidField, message).field("body").into());
    }
    Ok(Json(stamped(&api.runs.log().bring_stamp(&caller, body.to_vec()).await?)))
}

async fn timestamps(State(api): State<Api>) -> Result<Json<Value>, Failure> {
    let newest = api.runs.log().stamped().await?;
    let (_, now) = api.runs.log().checkpoint().await?;
    let newest = newest.as_ref().map(stamped);
    Ok(Json(json!({ "origin": now.origin, "size": now.size, "stamped": newest })))
}

fn stamped(it: &Stamped) -> Value {
    json!({ "size": it.size, "time": it.stamp.time.to_string() })
}

async fn proof(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let id = run_in_path(id)?;
    let record = api.runs.catalog().sealed_run(id).await?;
    let all = may_see_all(&caller, &api.config.borrow().web);
    if !all && !caller.may_act_on(&record.opening.caller) {
        return Err(not_to_see(id).into());
    }
    let proof = api.runs.log().proof(id).await?;
    Ok((StatusCode::OK, [TEXT], proof.to_string()).into_response())
}
