//! Owns the keeping of a document that is captured: of a target that is no page at all (a PDF, an
//! archive), whose bytes are asked for once more and taken as they come, and of one that the browser
//! shows as a page of its own making (a picture, JSON, text). The bytes are never looked into.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide_cdp::cdp::browser_protocol::page::NavigateParams;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::cut::cut;
use super::ends::too_slow;
use super::error::PageError;
use super::limits::{PAGE_CALL, QUICK};
use super::observe::{Catching, Observed};
use super::page::{Look, Page};
use super::stream;
use crate::backend::{CaptureRequest, Companion, Original};
use crate::error::{CaptureError, ErrorKind};
use crate::settings::{Product, Target, presentable};
use exhibit_verify::blob::Blob;

/// Most bytes of a document that is kept.
const MOST: u64 = 100 * 1024 * 1024;
/// Most bytes of one that is kept beside its picture: it comes in one message.
const MOST_BESIDE: usize = 16 * 1024 * 1024;
/// Longest name and media type kept, in characters.
const TEXT: usize = 200;
/// How long a document is waited for after the browser has said that there is no page.
const LATE: Duration = Duration::from_secs(2);

/// Why there is no picture of it.
const NO_PICTURE: &str = "the target is a document and no page, and the recorder's browser shows no \
                          documents of its kind";

/// Media types that are told as they are, and the endings of their files. Any other is bytes.
const TYPES: &[(&str, &str)] = &[
    ("application/pdf", "pdf"),
    ("application/json", "json"),
    ("application/zip", "zip"),
    ("application/gzip", "gz"),
    ("application/xml", "xml"),
    ("text/xml", "xml"),
    ("text/plain", "txt"),
    ("text/csv", "csv"),
    ("text/tab-separated-values", "tsv"),
    ("text/calendar", "ics"),
    ("text/markdown", "md"),
    ("image/png", "png"),
    ("image/jpeg", "jpeg"),
    ("image/webp", "webp"),
    ("image/gif", "gif"),
    ("image/svg+xml", "svg"),
    ("application/msword", "doc"),
    ("application/vnd.ms-excel", "xls"),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", "pptx"),
];

/// The media type under which one that a server named is kept, and the ending of the file.
fn kept_as(served: &str) -> (&'static str, &'static str) {
    let served = served.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = TYPES.iter().find(|(known, _)| *known == served).copied();
    known.unwrap_or_else(|| match served.rsplit_once('+') {
        Some((_, "json")) => ("application/json", "json"),
        Some((_, "xml")) => ("application/xml", "xml"),
        _ => ("application/octet-stream", "bin"),
    })
}

/// Whether a target that is no page may be kept as it is: where a picture or a print was asked for, and
/// nothing would have to be covered in it.
pub(super) fn may_be_kept(page: &Page, request: &CaptureRequest) -> bool {
    let product = matches!(request.settings.product, Product::Picture(_) | Product::Pdf(_));
    request.documents && product && page.observed().masks().are_for_passwords()
}

#[derive(Deserialize)]
struct Stream {
    stream: String,
}

/// Ask once more for the document at the target of `request`, whose download the browser refused, and
/// keep its bytes.
///
/// # Errors
/// `target_forbidden` by where it came from; `document_too_large`; `download_not_page` when it does not
/// come again; see [`PageError`].
pub(super) async fn fetch(
    page: &Page,
    request: &CaptureRequest,
    until: Instant,
) -> Result<(Blob, Original), PageError> {
    let Target::Url(url) = &request.settings.page.target else { return Err(gone("").into()) };
    page.observed().may_be_shown()?;
    let name = {
        let mut seen = page.observed();
        seen.catching = Catching::Waiting;
        // It is not refused after all.
        let began = seen.downloads.take().pop();
        seen.downloads.expect();
        began.map(|download| download.name)
    };
    let mut patterns = vec![json!({ "resourceType": "Document", "requestStage": "Response" })];
    if page.observed().is_blocking() {
        patterns.push(json!({ "urlPattern": "*" }));
    }
    page.call_raw("Fetch.enable", json!({ "patterns": patterns }), QUICK).await?;
    let limit = until.saturating_duration_since(Instant::now());
    let navigating = page.call(NavigateParams::new(url.as_str()), limit);
    let taking = take(page, request, until);
    tokio::pin!(taking);
    let taken = tokio::select! {
        biased;
        taken = &mut taking => taken,
        // Its end may be told before what was caught of it.
        _ = navigating => match tokio::time::timeout(LATE, taking).await {
            Ok(taken) => taken,
            Err(_) => Err(gone(&presentable(url)).into()),
        },
    };
    page.observed().catching = Catching::No;
    let bytes = taken?;
    page.observed().may_be_shown()?;
    let served = page.observed().facts.document.as_ref().map(|one| one.mime_type.clone());
    let served = cut(served.unwrap_or_default(), TEXT);
    let (media_type, ending) = kept_as(&served);
    // Nothing but a PDF is what a print is called.
    let file =
        if ending == "pdf" { "document.pdf".to_owned() } else { format!("original.{ending}") };
    let name = cut(name.unwrap_or_default(), TEXT);
    let no_picture = Some(NO_PICTURE);
    let decoded = false;
    Ok((bytes, Original { file, name, media_type, served_as: served, decoded, no_picture }))
}

async fn take(page: &Page, request: &CaptureRequest, until: Instant) -> Result<Blob, PageError> {
    let caught = |seen: &Observed, _| match &seen.catching {
        Catching::Caught(id) => Look::Found(id.clone()),
        _ => Look::NotYet,
    };
    let Some(id) = page.wait_for(until, caught).await else {
        return Err(too_slow(page, &request.settings.page).into());
    };
    let params = json!({ "requestId": id });
    let body = page.call_raw("Fetch.takeResponseBodyAsStream", params, QUICK).await?;
    let body: Stream = serde_json::from_str(body.get())
        .map_err(|error| CaptureError::internal("reading the document", error))?;
    let bytes = stream::read(page, &body.stream, &request.spool, MOST).await;
    // Whatever came of it, the browser is to do nothing more with it.
    let end = json!({ "requestId": id, "errorReason": "Aborted" });
    if let Err(error) = page.call_raw("Fetch.failRequest", end, QUICK).await {
        tracing::debug!(%error, "a document that was taken was gone");
    }
    bytes?.ok_or_else(too_large)
}

/// What the browser shows as a page of its own making, for the files beside its picture; none where the
/// target is a page.
pub(super) async fn beside(page: &Page) -> Option<(Companion, Original)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        body: String,
        base64_encoded: bool,
    }
    let (id, served, url) = {
        let seen = page.observed();
        let served = cut(seen.facts.document.as_ref()?.mime_type.clone(), TEXT);
        (seen.loader().to_owned(), served, seen.facts.final_url.clone().unwrap_or_default())
    };
    if matches!(served.as_str(), "" | "text/html" | "application/xhtml+xml") {
        return None;
    }
    let params = json!({ "requestId": id });
    let body = page.call_raw("Network.getResponseBody", params, PAGE_CALL).await;
    let body = body.inspect_err(|error| tracing::debug!(%error, "a document is not kept")).ok()?;
    let body: Body = serde_json::from_str(body.get()).ok()?;
    let bytes = if body.base64_encoded {
        STANDARD.decode(&body.body).ok()?
    } else {
        body.body.as_bytes().to_vec()
    };
    if bytes.len() > MOST_BESIDE {
        return None;
    }
    let (media_type, ending) = kept_as(&served);
    let name = format!("original.{ending}");
    let of = url.parse::<url::Url>().ok();
    let last =
        of.and_then(|url| url.path_segments()?.next_back().map(|name| cut(name.to_owned(), TEXT)));
    let original = Original {
        file: name.clone(),
        name: last.unwrap_or_default(),
        media_type,
        served_as: served,
        decoded: !body.base64_encoded,
        no_picture: None,
    };
    Some((Companion { name, media_type, bytes }, original))
}

fn gone(url: &str) -> CaptureError {
    let message = format!(
        "`url` {url} is a document and no page, and it did not come a second time, to be kept; ask \
         again"
    );
    CaptureError::new(ErrorKind::DownloadNotPage, message).field("url")
}

fn too_large() -> PageError {
    let message = format!(
        "`url` is a document of more than {MOST} bytes, which is the most that is kept; give the \
         address of a smaller one"
    );
    CaptureError::new(ErrorKind::DocumentTooLarge, message).field("url").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_of_servers_are_told_by_words_of_ours() {
        let cases = [
            ("application/pdf", ("application/pdf", "pdf")),
            ("Text/CSV; charset=utf-8", ("text/csv", "csv")),
            ("application/problem+json", ("application/json", "json")),
            ("application/atom+xml", ("application/xml", "xml")),
            ("x/../../y", ("application/octet-stream", "bin")),
            ("", ("application/octet-stream", "bin")),
        ];
        for (served, kept) in cases {
            assert_eq!(kept_as(served), kept, "{served}");
        }
    }
}
