//! Owns what is put on record of a capture that was taken: its files, and what `capture.json` says. The
//! main file of one whose target was a document, and no page, is that document.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::attempt::{Attempt, aliases};
use super::framing::{FRAMED, Framed, MEDIA_TYPE};
use crate::artifact::{Artifact, NewArtifact};
use crate::backend::{CaptureResult, Companion};
use crate::blob::Blob;
use crate::clock::Moment;
use crate::digest::Digest;
use crate::error::Problem;
use crate::pack;
use crate::run::Event;
use crate::settings::{Product, presentable};

/// The address in a request that was not carried out, as it may be put on record.
pub(super) fn asked_for(body: &Value) -> String {
    // A comparison has two addresses, and either may be the one.
    let urls = ["url", "url_a", "url_b"].into_iter().filter_map(|name| body[name].as_str());
    let text = &urls.collect::<Vec<_>>().join(" ");
    let shown = text.parse().map_or_else(|_| text.clone(), |url| presentable(&url));
    shown.chars().take(2_000).collect()
}

/// What the page says of itself, with the status the browser saw; of a page that was not seen here,
/// what a service says of it.
pub(super) fn metadata(taken: &CaptureResult) -> Option<Value> {
    let Some(facts) = &taken.facts else { return taken.told.clone() };
    let mut metadata = facts.metadata.clone()?;
    metadata["httpStatusCode"] = json!(taken.status());
    Some(metadata)
}

/// What is told of the page, with its picture, for the caller.
///
/// # Errors
/// When what the backend made is no JSON.
pub(super) fn report(product: &Product, taken: &CaptureResult) -> Result<Option<Value>, Problem> {
    if !matches!(product, Product::Inspection { .. } | Product::Observation(_)) {
        return Ok(None);
    }
    let mut report: Value = serde_json::from_reader(taken.product.reader())
        .map_err(|error| Problem::internal("reading what is in the page", error))?;
    if let Some(picture) = taken.companions.first() {
        let format = report["screenshot"]["format"].take();
        report["screenshot"] =
            json!({ "base64": STANDARD.encode(&picture.bytes), "format": format });
    }
    Ok(Some(report))
}

pub(super) fn with_artifacts(mut event: Event, artifacts: &[Artifact]) -> Event {
    event.data.insert("artifacts".to_owned(), json!(artifacts));
    event
}

/// `event` with what became of the framed copy.
pub(super) fn with_framed(mut event: Event, framed: &Framed) -> Event {
    event.data.extend(framed.event_data().map(|told| ("framed".to_owned(), told)));
    event
}

/// The files of a capture, `capture.json` last.
pub(super) fn files_of(
    attempt: &Attempt,
    taken: CaptureResult,
    framed: Framed,
    at: Moment,
) -> std::io::Result<Vec<NewArtifact>> {
    let folder = format!("captures/{}", attempt.name);
    let mut files = Vec::new();
    let mut add = |name: &str, media_type, bytes: Blob| {
        files.push(NewArtifact { path: format!("{folder}/{name}"), media_type, bytes });
    };
    let (name, media_type) = file_of(attempt, &taken);
    let document = capture_document(attempt, &taken, &framed, at)?;
    add(&name, media_type, taken.product);
    for Companion { name, media_type, bytes } in taken.companions {
        add(&name, media_type, bytes.into());
    }
    if let Framed::Made { bytes, .. } = framed {
        add(FRAMED, MEDIA_TYPE, bytes);
    }
    let snapshots = [
        ("page.mhtml.zst", "multipart/related", taken.snapshots.mhtml),
        ("dom.html.zst", "text/html", taken.snapshots.dom),
        ("accessibility.json.zst", "application/json", taken.snapshots.accessibility),
    ];
    for (name, media_type, bytes) in snapshots {
        if let Some(bytes) = bytes {
            add(name, media_type, pack::compress(&bytes)?.into());
        }
    }
    if !taken.network.is_null() {
        let network = serde_json::to_vec(&taken.network)?;
        add("network.har.zst", "application/json", pack::compress(&network)?.into());
    }
    if !taken.console.is_empty() {
        let mut lines = Vec::new();
        for line in &taken.console {
            serde_json::to_writer(&mut lines, line)?;
            lines.push(b'\n');
        }
        add("console.jsonl.zst", "application/jsonl", pack::compress(&lines)?.into());
    }
    let mut document = serde_json::to_vec_pretty(&document)?;
    document.push(b'\n');
    add("capture.json", "application/json", document.into());
    Ok(files)
}

/// Name and media type of the file that a capture is for.
fn file_of(attempt: &Attempt, taken: &CaptureResult) -> (String, &'static str) {
    let product = &attempt.request.settings.product;
    match &taken.original {
        Some(original) => (original.file.clone(), original.media_type),
        None => (product.file_name(), product.media_type()),
    }
}

/// The content of `capture.json`.
fn capture_document(
    attempt: &Attempt,
    taken: &CaptureResult,
    framed: &Framed,
    at: Moment,
) -> std::io::Result<Value> {
    let settings = &attempt.request.settings;
    let (file, media_type) = file_of(attempt, taken);
    let kind = if taken.original.is_some() { "document" } else { settings.product.kind() };
    let mut product = json!({
        "file": file,
        "media_type": media_type,
        "size_bytes": taken.product.len(),
        "sha256": taken.product.digest()?,
    });
    let companions: Vec<Value> = taken.companions.iter().map(companion_record).collect();
    if let Some(pixels) = taken.pixels {
        product["pixels"] = json!(pixels);
    }
    let mut document = json!({
        "format": "exhibit/1",
        "run": attempt.work.run.id,
        "capture": attempt.name,
        "stage": attempt.stage,
        "backend": taken.by,
        "requested_at": attempt.begun.to_rfc3339(),
        "taken_at": at.to_rfc3339(),
        "settings": settings.record(),
        "aliases": aliases(&attempt.request),
        "ignored": attempt.request.ignored,
        "altered_by": settings.altered_by(),
        kind: product,
        "companions": companions,
        "page": taken.facts,
        "browser": taken.browser,
        "failed_attempts": taken.failed_attempts,
    });
    if let Some(clock) = at.state {
        document["clock"] = json!(clock);
    }
    if let Some(framed) = framed.record() {
        document["framed"] = framed;
    }
    attempt.tell_who(&mut document, taken.by);
    Ok(document)
}

fn companion_record(companion: &Companion) -> Value {
    let Companion { name, media_type, bytes } = companion;
    json!({
        "file": name, "media_type": media_type, "size_bytes": bytes.len(),
        "sha256": Digest::of(bytes),
    })
}
