//! Owns the page of one run, what it holds so far while it is open, and its files. Each look is put
//! on record.

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderValue;
use axum::http::header::{
    CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::Web;
use super::refusal::{Refusal, page_of};
use super::viewer::Viewer;
use crate::blob::Blob;
use crate::error::{Code, Problem};
use crate::id::RunId;
use crate::report::{Glance, content_security_policy, is_picture};

/// Seconds after which the page of an open run is fetched again.
const REFRESH: u32 = 10;
/// What a file may do in a browser: nothing.
const FILE_POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "run.html")]
struct Page {
    viewer: Option<String>,
    signed_in: bool,
    refresh: Option<u32>,
    id: String,
    open: bool,
    paused: bool,
    every: u32,
    look: Glance,
}

pub(super) async fn page(
    State(web): State<Web>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let id = run(&id.map(|Path(id)| id).unwrap_or_default())?;
    let look = web.runs.look(id, &viewer.reader).await?;
    viewer.saw(id, if look.open { "the open run" } else { "the run" }, "");
    let paused = query.as_deref() == Some("paused");
    Ok(page_of(&Page {
        viewer: Some(viewer.name()),
        signed_in: viewer.signed_in,
        refresh: (look.open && !paused).then_some(REFRESH),
        id: id.to_string(),
        open: look.open,
        paused,
        every: REFRESH,
        look: look.glance,
    }))
}

/// The report, under its own policy: nothing but its own script and style may run.
pub(super) async fn report(
    State(web): State<Web>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let id = run(&id.map(|Path(id)| id).unwrap_or_default())?;
    let report = web.runs.report(id, &viewer.reader).await?;
    viewer.saw(id, "its report", "report.html");
    let policy = format!("{}; frame-ancestors 'none'", content_security_policy());
    let name = format!("inline; filename=\"report-{id}.html\"");
    Ok(sent(&report, "text/html; charset=utf-8", &policy, &name))
}

/// A file of the run: to be saved, or with `?picture` shown in a page, with `?small` as a small
/// picture.
pub(super) async fn file(
    State(web): State<Web>,
    Extension(viewer): Extension<Viewer>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let Path((id, path)) = path.map_err(|_| no_such_run())?;
    let id = run(&id)?;
    let picture = is_picture(&path);
    let (bytes, media_type, disposition) = match (query.as_deref(), picture) {
        (Some("small"), Some("image/png")) => {
            let small = web.runs.thumbnail(id, &viewer.reader, path.clone()).await?;
            (small, "image/png", "inline".to_owned())
        }
        (Some("picture" | "small"), Some(media_type)) => {
            let whole = web.runs.file(id, &viewer.reader, path.clone()).await?;
            (whole, media_type, "inline".to_owned())
        }
        _ => {
            let whole = web.runs.file(id, &viewer.reader, path.clone()).await?;
            let name = path.rsplit('/').next().unwrap_or_default();
            // A report plays its recording from beside it, which needs the type.
            let is_video = path.ends_with(".mp4");
            let media_type = if is_video { "video/mp4" } else { "application/octet-stream" };
            (whole, media_type, format!("attachment; filename=\"{name}\""))
        }
    };
    viewer.saw(id, "a file of it", &path);
    Ok(sent(&bytes, media_type, FILE_POLICY, &disposition))
}

/// Bytes as they are, read as fast as they are taken, under `policy`.
fn sent(bytes: &Blob, media_type: &'static str, policy: &str, disposition: &str) -> Response {
    let mut response = Body::from_stream(stream::iter(bytes.pieces())).into_response();
    for (name, value) in [
        (CONTENT_TYPE, media_type),
        (CONTENT_LENGTH, &bytes.len().to_string()),
        (CONTENT_SECURITY_POLICY, policy),
        (CONTENT_DISPOSITION, disposition),
    ] {
        let value = HeaderValue::from_str(value).expect("names of files and ids are plain ASCII");
        response.headers_mut().insert(name, value);
    }
    response
}

fn run(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|_| no_such_run())
}

fn no_such_run() -> Problem {
    Problem::new(Code::RunNotFound, "there is no such run; begin at the list of runs")
}
