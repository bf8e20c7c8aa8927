//! Owns the page of one run, what it holds so far while it is open, and its files. Each look is put
//! on record.

use askama::Template;
use axum::Extension;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, RANGE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;

use super::Web;
use super::refusal::{Refusal, page_of};
use super::viewer::Viewer;
use crate::blob::Blob;
use crate::error::{Code, Problem};
use crate::evidence::Act;
use crate::evidence::log::Hold;
use crate::id::RunId;
use crate::report::{Glance, content_security_policy, is_picture};
use crate::run::Reader;

/// Seconds after which the page of an open run is fetched again.
const REFRESH: u32 = 10;
/// What a file may do in a browser: nothing.
const FILE_POLICY: &str = "default-src 'none'; sandbox; frame-ancestors 'none'";

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    viewer: Option<String>,
    signed_in: bool,
    refresh: Option<u32>,
    id: String,
    open: bool,
    paused: bool,
    every: u32,
    look: Glance,
    /// Why it is kept beyond its time, a sentence for each hold.
    held: Vec<String>,
}

impl RunPage {
    /// How many of the things asked for nothing can add any more.
    fn never(&self) -> usize {
        self.look.required.iter().flatten().filter(|one| one.never).count()
    }
}

pub(super) async fn page(
    State(web): State<Web>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let id = run(&id.map(|Path(id)| id).unwrap_or_default())?;
    let look = web.runs.disclosure().look(id, &viewer.accessor()).await?;
    let paused = query.as_deref() == Some("paused");
    Ok(page_of(&RunPage {
        viewer: Some(viewer.name()),
        signed_in: viewer.signed_in,
        refresh: (look.open && !paused).then_some(REFRESH),
        id: id.to_string(),
        open: look.open,
        paused,
        every: REFRESH,
        look: look.glance,
        held: web
            .runs
            .retention()
            .holds_on(id)
            .iter()
            .map(|hold| hold_words(hold, &viewer.reader))
            .collect(),
    }))
}

/// A hold in words; the reason is for those who may look at everybody's runs.
fn hold_words(hold: &Hold, reader: &Reader) -> String {
    match reader {
        Reader::Own(_) => format!("On hold since {}.", hold.since),
        Reader::Everything => {
            let matter = hold.matter.as_ref().map(|matter| format!(" for {matter}"));
            let matter = matter.unwrap_or_default();
            format!("On hold{matter} since {}: {}", hold.since, hold.reason)
        }
    }
}

/// The report, under its own policy: nothing but its own script and style may run.
pub(super) async fn report(
    State(web): State<Web>,
    Extension(viewer): Extension<Viewer>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    let id = run(&id.map(|Path(id)| id).unwrap_or_default())?;
    let report = web.runs.disclosure().report(id, &viewer.accessor()).await?;
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
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let Path((id, path)) = path.map_err(|_| no_such_run())?;
    let id = run(&id)?;
    let asked = query.as_deref().filter(|query| matches!(*query, "picture" | "small"));
    let picture = is_picture(&path).filter(|_| asked.is_some());
    let small = asked == Some("small") && picture == Some("image/png");
    let (runs, accessor) = (web.runs.disclosure(), &viewer.accessor());
    let bytes = if small {
        runs.thumbnail(id, accessor, path.clone()).await?
    } else {
        let act = if picture.is_some() { Act::View } else { Act::Download };
        runs.file(id, accessor, path.clone(), act).await?
    };
    if let Some(media_type) = picture {
        return Ok(sent(&bytes, media_type, FILE_POLICY, "inline"));
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    let disposition = format!("attachment; filename=\"{name}\"");
    // A report plays a recording that it does not carry from beside it: that needs the type, and
    // going to a chapter needs a part of the file.
    if name.rsplit_once('.').is_some_and(|(_, ending)| ending == "mp4") {
        let whole = sent(&bytes, "video/mp4", FILE_POLICY, &disposition);
        return Ok(part_of(whole, &bytes, &headers));
    }
    Ok(sent(&bytes, "application/octet-stream", FILE_POLICY, &disposition))
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

/// The part of `whole` that was asked for, when one was and it is there (RFC 9110, 14.2).
fn part_of(mut whole: Response, bytes: &Blob, headers: &HeaderMap) -> Response {
    whole.headers_mut().insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    let range = headers.get(RANGE).and_then(|range| range.to_str().ok());
    let Some((first, last)) = range.and_then(|range| range_in(range, bytes.len())) else {
        return whole;
    };
    let length = last - first + 1;
    *whole.body_mut() = Body::from_stream(stream::iter(bytes.part(first, length)));
    *whole.status_mut() = StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {first}-{last}/{}", bytes.len());
    let range = HeaderValue::from_str(&range).expect("numbers are ASCII");
    whole.headers_mut().insert(CONTENT_RANGE, range);
    whole.headers_mut().insert(CONTENT_LENGTH, length.into());
    whole
}

/// The first and the last byte of the one range that `text` names, of a file of `length` bytes.
fn range_in(text: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    let (first, last) = match (first, last) {
        ("", suffix) => (length.saturating_sub(suffix.parse().ok()?), end),
        (first, "") => (first.parse().ok()?, end),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(end)),
    };
    (first <= last).then_some((first, last))
}

fn run(text: &str) -> Result<RunId, Problem> {
    text.parse().map_err(|_| no_such_run())
}

fn no_such_run() -> Problem {
    Problem::new(Code::RunNotFound, "there is no such run; begin at the list of runs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_a_part_of_the_file_or_none() {
        for (text, expected) in [
            ("bytes=0-", Some((0, 99))),
            ("bytes=10-19", Some((10, 19))),
            ("bytes=90-500", Some((90, 99))),
            ("bytes=-5", Some((95, 99))),
            ("bytes=-500", Some((0, 99))),
            ("bytes=100-", None),
            ("bytes=5-4", None),
            ("bytes=0-1,5-6", None),
            ("bytes=-0", None),
            ("lines=0-1", None),
            ("", None),
        ] {
            assert_eq!(range_in(text, 100), expected, "{text}");
        }
        assert_eq!(range_in("bytes=0-", 0), None);
    }
}
