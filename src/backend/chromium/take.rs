//! Owns the taking of the picture, once the page is ready: which rectangle, how large, the
//! picture's own bytes, and the snapshots beside it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide_cdp::cdp::browser_protocol::page::{
    CaptureScreenshotFormat, CaptureScreenshotParams, Viewport as Clip,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::edit;
use super::emulate::prepare;
use super::load::{Trouble, navigate, rest, settle};
use super::page::{Page, QUICK};
use super::script::World;
use crate::backend::{ConsoleLine, Order, PageFacts, Snapshots};
use crate::digest::Digest;
use crate::error::{Code, Problem};
use crate::settings::{Format, FullPage, Rect, Region, Shot, Target};

/// Limit for one call that the page's renderer must answer.
const PAGE_CALL: Duration = Duration::from_secs(30);

/// What came of one attempt.
#[derive(Debug)]
pub(super) struct Picture {
    /// The picture, exactly as the browser gave it.
    pub(super) bytes: Vec<u8>,
    /// Its size in device pixels.
    pub(super) pixels: (u32, u32),
    /// The snapshots.
    pub(super) snapshots: Snapshots,
    /// What was seen.
    pub(super) facts: PageFacts,
    /// The console.
    pub(super) console: Vec<ConsoleLine>,
    /// The network traffic, HAR 1.2.
    pub(super) network: Value,
}

/// Load and capture, once; `product` is the browser's word for itself.
///
/// # Errors
/// See [`Trouble`]; what was seen until then is in `page.observed()`.
pub(super) async fn take(page: &Page, order: &Order, product: &str) -> Result<Picture, Trouble> {
    let shot = &order.shot;
    begin(page, order);
    let begun = Instant::now();
    let until = match shot.page.navigation_timeout {
        Duration::ZERO => order.deadline,
        limit => (begun + limit).min(order.deadline),
    };
    prepare(page, shot).await?;
    navigate(page, &shot.page, until).await?;
    page.observed().facts.timings.navigate_ms = millis_since(begun);
    let navigated = Instant::now();
    settle(page, &shot.page, until).await?;
    edit::apply(page, &shot.page, until).await?;
    rest(page, &shot.page).await?;
    page.observed().facts.timings.settle_ms = millis_since(navigated);
    let settled = Instant::now();

    if let Region::FullPage(settings) = &shot.region
        && settings.scroll
    {
        show_everything(page, settings).await?;
    }
    let rect = rectangle(page, shot).await?;
    let pixels = size_in_pixels(rect, shot, order.max_pixels)?;
    let (bytes, snapshots, title) =
        tokio::try_join!(picture(page, shot, rect), snapshots(page, order.snapshot), title(page))?;
    let certificate = certificate(page, shot).await;
    let metadata = if order.metadata { Some(metadata(page).await?) } else { None };
    let pixels = png_size(&bytes).unwrap_or(pixels);

    let (facts, console, network) = {
        let mut seen = page.observed();
        seen.facts.timings.take_ms = millis_since(settled);
        seen.facts.title = title;
        seen.facts.metadata = metadata;
        if let Some(tls) = seen.facts.document.as_mut().and_then(|page| page.tls.as_mut()) {
            tls.certificate_sha256 = certificate;
        }
        let network = seen.network.archive(product);
        (seen.facts.clone(), std::mem::take(&mut seen.console), network)
    };
    check_where_it_led(page, shot, order)?;
    Ok(Picture { bytes, pixels, snapshots, facts, console, network })
}

/// Tell the page's observer what this capture asks of it.
fn begin(page: &Page, order: &Order) {
    let mut seen = page.observed();
    seen.set_policy(order.policy.clone());
    seen.network.keep_secret(order.shot.page.headers.iter().map(|(name, _)| name.clone()));
}

fn millis_since(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Policy holds for where the page led, too: by redirect, by script, and by what it loaded from
/// inside. Nothing of such a picture is handed out.
fn check_where_it_led(page: &Page, shot: &Shot, order: &Order) -> Result<(), Problem> {
    let seen = page.observed();
    if let Some(why) = &seen.forbidden {
        let message = format!("the page loaded what policy forbids ({why}); ask the operator");
        return Err(Problem::new(Code::TargetForbidden, message).field("url"));
    }
    let Some(url) = &seen.facts.final_url else { return Ok(()) };
    let Ok(url) = url.parse::<url::Url>() else { return Ok(()) };
    match (url.scheme(), &shot.page.target) {
        ("http" | "https", _) => order.policy.check_url(&url),
        // Where a written page lives, and where Chromium shows an error status without a body.
        ("about", _) | ("chrome-error", Target::Url(_)) => Ok(()),
        (scheme, _) => {
            let message = format!("the page led to a `{scheme}:` address, which is never captured");
            Err(Problem::new(Code::TargetForbidden, message).field("url"))
        }
    }
}

/// Scroll through the whole page, so that what loads only when it comes into view is loaded, wait
/// for the images, and return to the top.
async fn show_everything(page: &Page, settings: &FullPage) -> Result<(), Trouble> {
    const SCROLL: &str = "async (limit, by, delay) => {
        const end = performance.now() + limit;
        const frame = () => new Promise(resolve => {
            requestAnimationFrame(resolve);
            setTimeout(resolve, 100);
        });
        const root = document.scrollingElement || document.documentElement;
        if (!root) return true;
        for (let y = 0; y < root.scrollHeight && performance.now() < end; y += by || innerHeight) {
            window.scrollTo({ top: y, behavior: 'instant' });
            await frame();
            if (delay) await new Promise(resolve => setTimeout(resolve, delay));
        }
        const loaded = image => image.complete || new Promise(resolve => {
            image.addEventListener('load', resolve, { once: true });
            image.addEventListener('error', resolve, { once: true });
        });
        const images = Promise.all(Array.from(document.images, loaded)).then(() => true);
        const rest = Math.max(0, end - performance.now());
        const whole = await Promise.race([
            images,
            new Promise(resolve => setTimeout(resolve, rest, false)),
        ]);
        window.scrollTo({ top: 0, behavior: 'instant' });
        await frame();
        return whole;
    }";
    let limit = Duration::from_secs(15);
    let world = World::isolated(page).await?;
    let delay = settings.scroll_delay.map(|delay| delay.as_millis());
    let arguments = [json!(limit.as_millis()), json!(settings.scroll_by), json!(delay)];
    let whole = world.call::<bool>(SCROLL, &arguments, limit + QUICK).await?;
    if !whole && let Some(settled) = page.observed().facts.settled.as_mut() {
        settled.reached = false;
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutMetrics {
    css_content_size: Size,
}

#[derive(Deserialize)]
struct Size {
    width: f64,
    height: f64,
}

/// The rectangle of the page to be captured; none for the window as it is.
async fn rectangle(page: &Page, shot: &Shot) -> Result<Option<Rect>, Trouble> {
    let metrics = page.call_raw("Page.getLayoutMetrics", json!({}), PAGE_CALL).await?;
    let size = serde_json::from_str::<LayoutMetrics>(metrics.get())
        .map_err(|error| Problem::internal("measuring the page", error))?
        .css_content_size;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a page's size")]
    let whole = (size.width.max(0.0).ceil() as u64, size.height.max(0.0).ceil() as u64);
    page.observed().facts.page_size = Some(whole);
    match &shot.region {
        Region::Viewport => Ok(None),
        Region::FullPage(settings) => {
            let most = settings.max_height.map_or(f64::INFINITY, f64::from);
            let (width, height) = (size.width.max(1.0), size.height.clamp(1.0, most));
            Ok(Some(Rect { x: 0.0, y: 0.0, width, height }))
        }
        Region::Clip(clip) => {
            let (right, bottom) = (clip.x + clip.width, clip.y + clip.height);
            let width = size.width.max(f64::from(shot.page.viewport.width));
            let height = size.height.max(f64::from(shot.page.viewport.height));
            if right <= width && bottom <= height {
                return Ok(Some(*clip));
            }
            let message = format!(
                "`clip` reaches to {right} × {bottom}, and the page ends at {width} × {height} CSS \
                 pixels; give a rectangle inside it"
            );
            Err(Problem::new(Code::ClipOutsidePage, message).field("clip").into())
        }
        Region::Element(selector) => element(page, selector).await.map(Some),
    }
}

async fn element(page: &Page, selector: &str) -> Result<Rect, Trouble> {
    const BOX: &str = "selector => {
        const element = document.querySelector(selector);
        if (!element) return null;
        element.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' });
        const box = element.getBoundingClientRect();
        return [box.x + scrollX, box.y + scrollY, box.width, box.height];
    }";
    let world = World::isolated(page).await?;
    let found = world.call::<Option<[f64; 4]>>(BOX, &[json!(selector)], PAGE_CALL).await;
    let problem = |code, what: &str| {
        let message = format!("`selector` is `{selector}`, {what}; correct it");
        Trouble::from(Problem::new(code, message).field("selector"))
    };
    match found.map_err(|trouble| trouble.in_field("selector", selector))? {
        None => Err(problem(Code::SelectorNotFound, "and nothing on the page matches it")),
        Some([_, _, width, height]) if width < 1.0 || height < 1.0 => {
            Err(problem(Code::SelectorNotVisible, "and what it matches has no size to be seen"))
        }
        Some([x, y, width, height]) => Ok(Rect { x: x.max(0.0), y: y.max(0.0), width, height }),
    }
}

/// The size of the picture in device pixels, refused above `most`.
fn size_in_pixels(rect: Option<Rect>, shot: &Shot, most: u64) -> Result<(u32, u32), Problem> {
    let (width, height) = match rect {
        Some(rect) => (rect.width, rect.height),
        None => (f64::from(shot.page.viewport.width), f64::from(shot.page.viewport.height)),
    };
    let scale = shot.page.viewport.device_scale_factor;
    let (width, height) = ((width * scale).ceil(), (height * scale).ceil());
    #[expect(clippy::cast_precision_loss, reason = "a limit far below 2^52")]
    if width * height > most as f64 {
        let message = format!(
            "the picture would be {width} × {height} pixels, more than `capture.max_pixels` \
             ({most}); ask for a `clip`, or a smaller `deviceScaleFactor`"
        );
        return Err(Problem::new(Code::PictureTooLarge, message).field("fullPage"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok((width as u32, height as u32))
}

async fn picture(page: &Page, shot: &Shot, rect: Option<Rect>) -> Result<Vec<u8>, Trouble> {
    let format = match shot.format {
        Format::Png => CaptureScreenshotFormat::Png,
        Format::Jpeg(_) => CaptureScreenshotFormat::Jpeg,
        Format::Webp(_) => CaptureScreenshotFormat::Webp,
    };
    let params = CaptureScreenshotParams {
        format: Some(format),
        quality: shot.format.quality().map(i64::from),
        clip: rect.map(|r| Clip { x: r.x, y: r.y, width: r.width, height: r.height, scale: 1.0 }),
        capture_beyond_viewport: rect.map(|_| true),
        ..CaptureScreenshotParams::default()
    };
    let answer = page.call(params, PAGE_CALL).await?;
    let decoded = STANDARD.decode(AsRef::<[u8]>::as_ref(&answer.data));
    Ok(decoded.map_err(|error| Problem::internal("reading the picture", error))?)
}

/// Width and height of a PNG, from its header (PNG specification, §11.2.1).
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..16)?.strip_prefix(b"IHDR")?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    Some((number(0)?, number(4)?))
}

async fn snapshots(page: &Page, wanted: bool) -> Result<Snapshots, Trouble> {
    if !wanted {
        return Ok(Snapshots::default());
    }
    let (mhtml, dom, accessibility) = tokio::join!(mhtml(page), dom(page), accessibility(page));
    Ok(Snapshots {
        mhtml: kept("MHTML", mhtml)?,
        dom: kept("DOM", dom)?,
        accessibility: kept("accessibility tree", accessibility)?,
    })
}

/// A snapshot that cannot be had is no reason to lose the picture; a dead page or browser is.
fn kept(what: &str, snapshot: Result<Vec<u8>, Trouble>) -> Result<Option<Vec<u8>>, Trouble> {
    use super::pipe::CallError;
    match snapshot {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Trouble::Call(error @ (CallError::Closed | CallError::SessionGone))) => {
            Err(error.into())
        }
        Err(trouble) => {
            tracing::warn!(?trouble, "no {what} of the page");
            Ok(None)
        }
    }
}

async fn mhtml(page: &Page) -> Result<Vec<u8>, Trouble> {
    #[derive(Deserialize)]
    struct Answer {
        data: String,
    }
    let params = json!({ "format": "mhtml" });
    let answer = page.call_raw("Page.captureSnapshot", params, PAGE_CALL).await?;
    let answer: Answer = read(answer.get())?;
    Ok(answer.data.into_bytes())
}

async fn dom(page: &Page) -> Result<Vec<u8>, Trouble> {
    #[derive(Deserialize)]
    struct Document {
        root: Node,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Node {
        node_id: u64,
    }
    #[derive(Deserialize)]
    struct Outer {
        #[serde(rename = "outerHTML")]
        outer_html: String,
    }
    let document = page.call_raw("DOM.getDocument", json!({ "depth": 0 }), PAGE_CALL).await?;
    let document: Document = read(document.get())?;
    let params = json!({ "nodeId": document.root.node_id });
    let outer = page.call_raw("DOM.getOuterHTML", params, PAGE_CALL).await?;
    let outer: Outer = read(outer.get())?;
    Ok(outer.outer_html.into_bytes())
}

async fn accessibility(page: &Page) -> Result<Vec<u8>, Trouble> {
    let tree = page.call_raw("Accessibility.getFullAXTree", json!({}), PAGE_CALL).await?;
    Ok(tree.get().as_bytes().to_vec())
}

async fn title(page: &Page) -> Result<Option<String>, Trouble> {
    let info = page.call_raw("Target.getTargetInfo", json!({}), QUICK).await?;
    let info: Value = read(info.get())?;
    Ok(info["targetInfo"]["title"].as_str().map(str::to_owned))
}

/// What the page says of itself in its head: its own word.
async fn metadata(page: &Page) -> Result<Value, Trouble> {
    const READ: &str = "() => {
        const of = name => {
            const tag = document.querySelector(`meta[name=\"${name}\"], meta[property=\"${name}\"]`);
            return tag ? tag.content.slice(0, 2000) : null;
        };
        const canonical = document.querySelector('link[rel=\"canonical\"]');
        return {
            title: document.title.slice(0, 2000),
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
async fn certificate(page: &Page, shot: &Shot) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        table_names: Vec<String>,
    }
    page.observed().facts.document.as_ref()?.tls.as_ref()?;
    let Target::Url(asked) = &shot.page.target else { return None };
    let final_url = page.observed().facts.final_url.as_ref().and_then(|url| url.parse().ok());
    let origin = final_url.as_ref().unwrap_or(asked).origin().ascii_serialization();
    let answer = page.call_raw("Network.getCertificate", json!({ "origin": origin }), QUICK).await;
    let answer: Answer = read(answer.ok()?.get()).ok()?;
    let der = STANDARD.decode(answer.table_names.first()?).ok()?;
    Some(Digest::of(&der).to_string())
}

fn read<'a, T: Deserialize<'a>>(answer: &'a str) -> Result<T, Problem> {
    serde_json::from_str(answer)
        .map_err(|error| Problem::internal("reading the browser's answer", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixel_limit_counts_device_pixels() {
        let mut shot = Shot::of(Target::Html(String::new()));
        shot.page.viewport.device_scale_factor = 2.0;
        let rect = Some(Rect { x: 0.0, y: 0.0, width: 100.0, height: 100.5 });
        assert_eq!(size_in_pixels(rect, &shot, 200 * 201).expect("just inside"), (200, 201));
        let problem = size_in_pixels(rect, &shot, 200 * 201 - 1).expect_err("just outside");
        assert_eq!(problem.code, Code::PictureTooLarge);
    }

    #[test]
    fn a_png_says_its_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([0, 0, 5, 0, 0, 0, 2, 208]);
        assert_eq!(png_size(&png), Some((1280, 720)));
        assert_eq!(png_size(&png[..20]), None);
        assert_eq!(png_size(b"\xff\xd8\xff"), None);
    }
}
