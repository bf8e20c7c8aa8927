//! Owns the way from an empty page to one that is ready to be captured: navigation, waiting. Every
//! wait is on a condition and has a limit.

use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::page::NavigateParams;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::ends::{cut_short, download, navigation_problem, no_content, too_slow};
use super::error::PageError;
use super::limits::QUICK;
use super::nearest;
use super::observe::Observed;
use super::page::{Look, Page};
use super::pipe::CallError;
use super::script::World;
use crate::backend::{Download, Settled};
use crate::error::{CaptureError, ErrorKind};
use crate::markdown;
use crate::settings::{PageSettings, Target, WaitUntil, presentable};

/// How long the network must be quiet to count as idle: the value Puppeteer made common.
const IDLE: Duration = Duration::from_millis(500);
/// How long fonts are waited for before the picture is taken without them.
const FONTS: Duration = Duration::from_secs(3);

/// How long the browser's word of an answer is waited for, once it says that there is no page.
const SAID: Duration = Duration::from_millis(100);
/// How long the browser's word of a download is waited for, once its answer says that there is one.
const TOLD: Duration = Duration::from_secs(2);

/// Begin to load what is to be captured; returns when its document has begun.
pub(super) async fn navigate(
    page: &Page,
    settings: &PageSettings,
    until: Instant,
) -> Result<(), PageError> {
    let url = match &settings.target {
        Target::Html(html) => return write(page, settings, html, until).await,
        Target::Markdown(text) => {
            return write(page, settings, &markdown::to_html(text), until).await;
        }
        Target::Current => {
            page.observed().expect_quiet(Instant::now());
            return Ok(());
        }
        Target::Url(url) => url,
    };
    page.observed().downloads.expect();
    let limit = until.saturating_duration_since(Instant::now());
    let answer = match page.call(NavigateParams::new(url.as_str()), limit).await {
        Err(CallError::Timeout { .. }) => return Err(too_slow(page, settings).into()),
        answer => answer?,
    };
    if answer.is_download == Some(true) {
        wait_for_download(page, url).await;
    }
    if let Some(began) = page.observed().downloads.began() {
        return Err(download(url, Some(began)).into());
    }
    if answer.error_text.is_some()
        && let Some(status) = nothing_to_show(page).await
    {
        return Err(no_content(status, &presentable(url)).into());
    }
    match answer.error_text.as_deref() {
        // The server answered with an error status and an empty body: that is what it said, and
        // the record shows it.
        None | Some("net::ERR_HTTP_RESPONSE_CODE_FAILURE") => {}
        Some(error) => return Err(navigation_problem(error, &presentable(url)).into()),
    }
    if let Some(loader) = answer.loader_id {
        page.observed().expect_loader(loader.inner(), Instant::now());
    }
    Ok(())
}

/// The status by which the server said that there is nothing to show, if it did: 204 or 205 (RFC 9110,
/// 15.3.5).
async fn nothing_to_show(page: &Page) -> Option<u16> {
    let status = |seen: &Observed, _| match &seen.facts.document {
        Some(document) if seen.answered => Look::Found(document.status),
        _ => Look::NotYet,
    };
    let status = page.wait_for(Instant::now() + SAID, status).await;
    status.filter(|status| matches!(status, 204 | 205))
}

/// Write `html` into the page; a page that was used before is emptied first.
async fn write(
    page: &Page,
    settings: &PageSettings,
    html: &str,
    until: Instant,
) -> Result<(), PageError> {
    // What a window offers for a touch screen it has from its beginning.
    if settings.session.is_some() || settings.viewport.touch {
        let empty = page.call(NavigateParams::new("about:blank"), QUICK).await?;
        if let Some(loader) = empty.loader_id {
            page.observed().expect_loader(loader.inner(), Instant::now());
        }
        let loaded = |seen: &Observed, _| {
            if seen.is_loaded() { Look::Found(()) } else { Look::NotYet }
        };
        page.wait_for(until, loaded).await;
        page.observed().facts.document = None;
    }
    // The page's own scripts run while it is written, and may not come back.
    match write_document(page, html, until).await {
        Err(PageError::Call(CallError::Timeout { .. })) => Err(too_slow(page, settings).into()),
        written => written,
    }
}

/// Write `html` into the empty page, as if a server had sent it.
async fn write_document(page: &Page, html: &str, until: Instant) -> Result<(), PageError> {
    page.observed().expect_document(Instant::now());
    let limit = until.saturating_duration_since(Instant::now());
    let write = "html => { document.open(); document.write(html); document.close(); }";
    World::main(page).await?.call::<Value>(write, &[json!(html)], limit).await?;
    Ok(())
}

/// Wait until the page is as far as was asked, as long as `until` allows.
pub(super) async fn settle(
    page: &Page,
    settings: &PageSettings,
    until: Instant,
) -> Result<(), PageError> {
    let wanted = settings.wait_until;
    let reached = page
        .wait_for(until, |seen, now| {
            if seen.crashed || seen.cut_short.is_some() || seen.downloads.began().is_some() {
                return Look::Found(false);
            }
            match wanted.idle_at() {
                None if wanted == WaitUntil::DomContentLoaded && seen.is_parsed() => {
                    Look::Found(true)
                }
                _ if !seen.is_loaded() => Look::NotYet,
                None => Look::Found(true),
                Some(most) => match seen.idle_since(most) {
                    Some(since) if now >= since + IDLE => Look::Found(true),
                    Some(since) => Look::AgainAt(since + IDLE),
                    None => Look::NotYet,
                },
            }
        })
        .await;
    {
        let mut seen = page.observed();
        if seen.crashed {
            return Err(CallError::SessionGone.into());
        }
        if let Some(error) = seen.cut_short.take() {
            let url = seen.facts.final_url.clone().unwrap_or_default();
            return Err(cut_short(&error, &url).into());
        }
        if let (Some(began), Target::Url(url)) = (seen.downloads.began(), &settings.target) {
            return Err(download(url, Some(began)).into());
        }
        let in_flight = if reached.is_none() { seen.in_flight() } else { Vec::new() };
        let reached = reached.is_some();
        seen.facts.settled = Some(Settled { wanted: wanted.as_str(), reached, in_flight });
        // A network that never falls silent is not a reason to give up a page that has loaded.
        if !reached && (wanted.idle_at().is_none() || !seen.is_loaded()) {
            drop(seen);
            return Err(if page.is_alive() {
                too_slow(page, settings).into()
            } else {
                CallError::Closed.into()
            });
        }
    }
    if let Some(selector) = &settings.wait_for_selector {
        wait_for_selector(page, selector, "waitForSelector", until).await?;
    }
    Ok(())
}

/// Give the page the pause that was asked for, and its fonts.
pub(super) async fn rest(page: &Page, settings: &PageSettings) -> Result<(), PageError> {
    if !settings.delay.is_zero() {
        tokio::time::sleep(settings.delay).await;
    }
    wait_for_fonts(page).await
}

/// Wait for `selector` to match, through an observer inside the page: nothing polls.
pub(super) async fn wait_for_selector(
    page: &Page,
    selector: &str,
    field: &str,
    until: Instant,
) -> Result<(), PageError> {
    const APPEARS: &str = "selector => new Promise(resolve => {
        if (document.querySelector(selector)) return resolve(true);
        new MutationObserver((_, observer) => {
            if (!document.querySelector(selector)) return;
            observer.disconnect();
            resolve(true);
        }).observe(document, { attributes: true, childList: true, subtree: true });
    })";
    loop {
        let limit = until.saturating_duration_since(Instant::now());
        let world = World::isolated(page).await?;
        match world.call::<bool>(APPEARS, &[json!(selector)], limit).await {
            Ok(_) => return Ok(()),
            Err(PageError::Call(CallError::Timeout { .. })) => {
                let message = format!(
                    "`{field}` is `{selector}`, and nothing on the page matched it in time; correct \
                     it, or allow more time"
                );
                let problem = CaptureError::new(ErrorKind::SelectorNotFound, message).field(field);
                return Err(nearest::hinted(page, problem, selector).await);
            }
            // The page went on to another document meanwhile: look there, once it is there.
            Err(PageError::Call(CallError::Refused { .. })) if Instant::now() < until => {
                page.wait_for(
                    until,
                    |seen, _| if seen.is_parsed() { Look::Found(()) } else { Look::NotYet },
                )
                .await;
            }
            Err(other) => return Err(other.in_field(field, selector)),
        }
    }
}

/// Wait for the page's fonts, but not for ever; whether they were there goes on record.
async fn wait_for_fonts(page: &Page) -> Result<(), PageError> {
    const READY: &str = "limit => document.fonts.status === 'loaded' || Promise.race([
        document.fonts.ready.then(() => true),
        new Promise(resolve => setTimeout(resolve, limit, false)),
    ])";
    let limit = json!(FONTS.as_millis());
    let ready = World::isolated(page).await?.call::<bool>(READY, &[limit], FONTS + QUICK).await;
    match ready {
        Ok(ready) => page.observed().facts.fonts_pending = !ready,
        Err(PageError::Call(CallError::Refused { .. })) => {
            page.observed().facts.fonts_pending = true;
        }
        Err(other) => return Err(other),
    }
    Ok(())
}

/// The answer can be there before the event that tells of the download. Without one, it is on record
/// by what was asked for.
async fn wait_for_download(page: &Page, asked: &url::Url) {
    let began = |seen: &Observed, _| match seen.downloads.began() {
        Some(_) => Look::Found(()),
        None => Look::NotYet,
    };
    if page.wait_for(Instant::now() + TOLD, began).await.is_none() {
        let frame = page.main_frame().to_owned();
        let download = Download { url: presentable(asked), name: String::new(), frame };
        page.observed().downloads.add(download, true);
    }
}
