//! Owns the way from an empty page to one that is ready to be captured: navigation, waiting. Every
//! wait is on a condition and has a limit.

use std::time::Duration;

use chromiumoxide_cdp::cdp::browser_protocol::page::NavigateParams;
use serde_json::{Value, json};
use tokio::time::Instant;

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

/// Write `html` into the page; a page that was used before is emptied first.
async fn write(
    page: &Page,
    settings: &PageSettings,
    html: &str,
    until: Instant,
) -> Result<(), PageError> {
    if settings.session.is_some() {
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
            if seen.crashed || seen.downloads.began().is_some() {
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

/// A download came instead of a page: what was asked for, or what the page led to.
fn download(asked: &url::Url, began: Option<&Download>) -> CaptureError {
    let asked = presentable(asked);
    let message = match began {
        Some(Download { url, name, .. }) if *url != asked => format!(
            "the page led to the download of {url}, named `{name}`, which was refused; have it lead to \
             a page"
        ),
        _ => format!("`url` {asked} is a download and not a page; give the address of a page"),
    };
    CaptureError::new(ErrorKind::DownloadNotPage, message).field("url")
}

/// The limit passed before the page was where it had to be.
fn too_slow(page: &Page, settings: &PageSettings) -> CaptureError {
    let limit = settings.navigation_timeout.as_millis();
    let answered = page.observed().answered;
    if !answered && matches!(settings.target, Target::Url(_)) {
        let message = format!(
            "the target did not answer within {limit} ms; check that it is up, or raise \
             `navigationTimeout`"
        );
        return CaptureError::new(ErrorKind::ConnectionTimeout, message).field("url");
    }
    let in_flight = page.observed().in_flight();
    let message = format!(
        "the page did not reach `{}` within {limit} ms; raise `navigationTimeout`, or wait for \
         less with `waitUntil`",
        settings.wait_until.as_str()
    );
    let problem = CaptureError::new(ErrorKind::NavigationTimeout, message).field("waitUntil");
    if in_flight.is_empty() {
        problem
    } else {
        problem.hint(format!("still loading: {}", in_flight.join(", ")))
    }
}

/// Chromium's name of a network error as a problem with `url`. The names are those of Chromium's
/// `net/base/net_error_list.h`.
fn navigation_problem(error: &str, url: &str) -> CaptureError {
    let name = error.trim_start_matches("net::");
    let (code, what, remedy) = match name {
        "ERR_NAME_NOT_RESOLVED" | "ERR_NAME_RESOLUTION_FAILED" | "ERR_DNS_TIMED_OUT" => (
            ErrorKind::DnsFailure,
            "names a host that has no address",
            "check its spelling and the DNS",
        ),
        "ERR_CONNECTION_REFUSED" => (
            ErrorKind::ConnectionRefused,
            "refused the connection",
            "check that it is up, and its port",
        ),
        "ERR_CONNECTION_TIMED_OUT" | "ERR_TIMED_OUT" => (
            ErrorKind::ConnectionTimeout,
            "did not answer",
            "check that it is up and may be reached",
        ),
        "ERR_TOO_MANY_REDIRECTS" => (
            ErrorKind::RedirectLoop,
            "redirects without end",
            "correct the page, or send the cookies it wants",
        ),
        "ERR_UNSAFE_REDIRECT" | "ERR_UNKNOWN_URL_SCHEME" | "ERR_DISALLOWED_URL_SCHEME" => (
            ErrorKind::TargetForbidden,
            "leads to an address that is never captured",
            "give one that stays with http and https",
        ),
        "ERR_CONNECTION_RESET"
        | "ERR_CONNECTION_CLOSED"
        | "ERR_EMPTY_RESPONSE"
        | "ERR_ADDRESS_UNREACHABLE"
        | "ERR_INTERNET_DISCONNECTED"
        | "ERR_NETWORK_CHANGED"
        | "ERR_CONNECTION_ABORTED"
        | "ERR_CONNECTION_FAILED"
        | "ERR_ADDRESS_INVALID"
        | "ERR_NETWORK_ACCESS_DENIED"
        | "ERR_UNSAFE_PORT" => (
            ErrorKind::TargetUnreachable,
            "could not be reached",
            "check that it is up and may be reached",
        ),
        name if name.starts_with("ERR_CERT_")
            || name.starts_with("ERR_SSL_")
            || name.contains("SSL") =>
        {
            (
                ErrorKind::TlsError,
                "has no certificate the recorder trusts",
                "mend it, or add its CA to the host",
            )
        }
        _ => (ErrorKind::NavigationFailed, "could not be opened", "check it in a browser"),
    };
    CaptureError::new(code, format!("`url` {url} {what} ({name}); {remedy}")).field("url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_errors_have_stable_codes() {
        let cases = [
            ("net::ERR_NAME_NOT_RESOLVED", ErrorKind::DnsFailure),
            ("net::ERR_CONNECTION_REFUSED", ErrorKind::ConnectionRefused),
            ("net::ERR_CERT_AUTHORITY_INVALID", ErrorKind::TlsError),
            ("net::ERR_SSL_PROTOCOL_ERROR", ErrorKind::TlsError),
            ("net::ERR_TOO_MANY_REDIRECTS", ErrorKind::RedirectLoop),
            ("net::ERR_UNSAFE_REDIRECT", ErrorKind::TargetForbidden),
            ("net::ERR_EMPTY_RESPONSE", ErrorKind::TargetUnreachable),
            ("net::ERR_SOMETHING_NEW", ErrorKind::NavigationFailed),
        ];
        for (error, code) in cases {
            let problem = navigation_problem(error, "http://a.example/");
            assert_eq!(problem.kind, code, "{error}");
            assert!(problem.message.contains("http://a.example/") && problem.message.contains(';'));
        }
    }
}
