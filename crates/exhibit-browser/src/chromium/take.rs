//! Owns one attempt at a capture, from an empty page to its product: the order of steps, and what
//! was seen on the way.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::bound::Bound;
use super::document;
use super::edit;
use super::emulate::{end_storing, prepare};
use super::error::PageError;
use super::limits::QUICK;
use super::load::{navigate, rest, settle};
use super::page::Page;
use super::product::make;
use super::product_request::ProductRequest;
use super::script::World;
use crate::backend::{CaptureRequest, Companion, ConsoleLine, Original, PageFacts, Snapshots};
use crate::error::{CaptureError, ErrorKind};
use crate::settings::{PageSettings, Target};
use exhibit_tlog::digest::Digest;
use exhibit_verify::blob::Blob;

/// What came of one attempt.
#[derive(Debug)]
pub(super) struct CaptureOutput {
    /// The picture or document, exactly as the browser gave it.
    pub(super) bytes: Blob,
    /// A picture's size in device pixels.
    pub(super) pixels: Option<(u32, u32)>,
    /// The document that they are, where the target was no page.
    pub(super) original: Option<Original>,
    /// What goes with it.
    pub(super) companions: Vec<Companion>,
    /// The snapshots.
    pub(super) snapshots: Snapshots,
    /// What was seen.
    pub(super) facts: PageFacts,
    /// The console.
    pub(super) console: Vec<ConsoleLine>,
    /// The network traffic, HAR 1.2.
    pub(super) network: Value,
}

/// Load and capture, once; `browser` is the browser's own word for itself.
///
/// # Errors
/// See [`PageError`]; what was seen until then is in `page.observed()`.
pub(super) async fn take(
    page: &Page,
    request: &CaptureRequest,
    browser: &str,
) -> Result<CaptureOutput, PageError> {
    let settings = &request.settings.page;
    begin(page, request);
    page.listen_again().await?;
    let begun = Instant::now();
    let (until, bound) = Bound::sooner(begun, settings.navigation_timeout, request.deadline);
    page.observed().bound = bound;
    prepare(page, settings, settings.session.is_some()).await?;
    match navigate(page, settings, until).await {
        Err(PageError::Capture(problem))
            if problem.kind == ErrorKind::DownloadNotPage
                && document::may_be_kept(page, request) =>
        {
            let taken = document::fetch(page, request, until).await?;
            return of_document(page, request, taken, browser).await;
        }
        navigated => navigated?,
    }
    page.observed().facts.timings.navigate_ms = millis_since(begun);
    let navigated = Instant::now();
    settle(page, settings, until).await?;
    end_storing(page).await?;
    edit::apply(page, settings, until).await?;
    rest(page, settings).await?;
    page.observed().facts.timings.settle_ms = millis_since(navigated);
    let settled = Instant::now();

    let product_request = ProductRequest {
        settings,
        product: &request.settings.product,
        snapshot: request.snapshot,
        max_pixels: request.max_pixels,
        until: request.deadline,
        spool: &request.spool,
        deadline: request.deadline,
    };
    let mut made = make(page, &product_request).await?;
    let withheld = page.observed().facts.snapshots_withheld.is_some();
    if request.snapshot
        && request.documents
        && !withheld
        && matches!(settings.target, Target::Url(_))
        && let Some((companion, original)) = document::beside(page).await
        && !holds_secrets(page, &companion.bytes).await
    {
        made.companions.push(companion);
        page.observed().facts.original = Some(original);
    }
    let certificate = certificate(page, settings).await;
    let metadata = if request.metadata { Some(metadata(page).await?) } else { None };
    let seen = {
        let mut seen = page.observed();
        seen.facts.timings.take_ms = millis_since(settled);
        seen.facts.title = made.title;
        seen.facts.metadata = metadata;
        seen.facts.downloads = seen.downloads.take();
        if let Some(tls) = seen.facts.document.as_mut().and_then(|page| page.tls.as_mut()) {
            tls.certificate_sha256 = certificate;
        }
        let network = seen.network.archive(browser);
        (seen.facts.clone(), std::mem::take(&mut seen.console), network)
    };
    let (facts, console, network) = page.typed().clean_seen(seen, page.tasks()).await?;
    check_where_it_led(page, request)?;
    Ok(CaptureOutput {
        bytes: made.bytes,
        pixels: made.pixels,
        original: None,
        companions: made.companions,
        snapshots: made.snapshots,
        facts,
        console,
        network,
    })
}

/// Whether a document, which is kept as it came or not at all, has something in it that was typed into a
/// field for secrets.
async fn holds_secrets(page: &Page, bytes: &[u8]) -> bool {
    if page.typed().values().is_empty() {
        return false;
    }
    let text = String::from_utf8_lossy(bytes).into_owned();
    page.typed().cleaned(text.clone(), page.tasks()).await != text
}

/// What came of a target that is a document and no page.
async fn of_document(
    page: &Page,
    request: &CaptureRequest,
    (bytes, original): (Blob, Original),
    browser: &str,
) -> Result<CaptureOutput, PageError> {
    check_where_it_led(page, request)?;
    let whole =
        bytes.bytes().map_err(|error| CaptureError::internal("reading a document", error))?;
    if holds_secrets(page, &whole).await {
        let message = "the document holds what was typed into a field for secrets, and is not kept; \
                       ask for it in a request without that session";
        return Err(CaptureError::new(ErrorKind::DownloadNotPage, message).field("url").into());
    }
    let seen = {
        let mut seen = page.observed();
        seen.facts.original = Some(original.clone());
        let network = seen.network.archive(browser);
        (seen.facts.clone(), std::mem::take(&mut seen.console), network)
    };
    let (facts, console, network) = page.typed().clean_seen(seen, page.tasks()).await?;
    Ok(CaptureOutput {
        bytes,
        pixels: None,
        original: Some(original),
        companions: Vec::new(),
        snapshots: Snapshots::default(),
        facts,
        console,
        network,
    })
}

/// Tell the page's observer what this capture asks of it.
fn begin(page: &Page, request: &CaptureRequest) {
    let mut seen = page.observed();
    if request.settings.page.session.is_some() {
        seen.begin_again();
    }
    seen.set_policy(request.policy.clone());
    seen.network.keep_secret(request.settings.page.headers.iter().map(|(name, _)| name.clone()));
}

fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Policy holds for where the page led, too: by redirect, by script, and by what it loaded from
/// inside. Nothing of such a picture is handed out.
fn check_where_it_led(page: &Page, request: &CaptureRequest) -> Result<(), CaptureError> {
    let seen = page.observed();
    seen.may_be_shown()?;
    let Some(url) = &seen.facts.final_url else { return Ok(()) };
    let Ok(url) = url.parse::<url::Url>() else { return Ok(()) };
    match (url.scheme(), &request.settings.page.target) {
        // Where a written page lives, and where Chromium shows an error status without a body.
        ("http" | "https" | "about", _) | ("chrome-error", Target::Url(_) | Target::Current) => {
            Ok(())
        }
        (scheme, _) => {
            let message = format!("the page led to a `{scheme}:` address, which is never captured");
            Err(CaptureError::new(ErrorKind::TargetForbidden, message).field("url"))
        }
    }
}

/// What the page says of itself in its head: its own word.
async fn metadata(page: &Page) -> Result<Value, PageError> {
    const READ: &str = "() => {
        // What is cut ends with a mark: the cleaning of secrets looks at what stands before it.
        const cut = text => (text.length > 2000
            ? text.slice(0, 2000).replace(/[\\uD800-\\uDBFF]$/, '') + '…' : text);
        const of = name => {
            const tag = document.querySelector(`meta[name=\"${name}\"], meta[property=\"${name}\"]`);
            return tag ? cut(tag.content) : null;
        };
        const canonical = document.querySelector('link[rel=\"canonical\"]');
        return {
            title: cut(document.title),
            description: of('description'),
            lang: document.documentElement.lang || null,
            canonical: canonical ? canonical.href : null,
            ogTitle: of('og:title'),
            ogDescription: of('og:description'),
            ogImage: of('og:image'),
            ogType: of('og:type'),
            ogUrl: of('og:url'),
        };
    }";
    World::isolated(page).await?.call(READ, &[], QUICK).await
}

/// SHA-256 of the certificate the page's origin showed, if it showed one.
async fn certificate(page: &Page, settings: &PageSettings) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        table_names: Vec<String>,
    }
    page.observed().facts.document.as_ref()?.tls.as_ref()?;
    let Target::Url(asked) = &settings.target else { return None };
    let final_url = page.observed().facts.final_url.as_ref().and_then(|url| url.parse().ok());
    let origin = final_url.as_ref().unwrap_or(asked).origin().ascii_serialization();
    let answer = page.call_raw("Network.getCertificate", json!({ "origin": origin }), QUICK).await;
    let answer: Answer = read(answer.ok()?.get()).ok()?;
    let der = STANDARD.decode(answer.table_names.first()?).ok()?;
    Some(Digest::of(&der).to_string())
}

fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, CaptureError> {
    serde_json::from_str(answer)
        .map_err(|error| CaptureError::internal("reading the browser's answer", error))
}
