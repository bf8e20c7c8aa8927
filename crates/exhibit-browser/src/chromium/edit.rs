//! Owns the changes a caller asks for in a page before it is captured: style, script, click. Each
//! makes an altered view, and is on record as such.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::cut::{SAID, cut};
use super::error::PageError;
use super::limits::QUICK;
use super::load::settle;
use super::nearest;
use super::page::{Look, Page};
use super::pipe::CallError;
use super::script::World;
use crate::error::{CaptureError, ErrorKind};
use crate::settings::PageSettings;

/// Limit for an injected script, its promise included.
const SCRIPT: Duration = Duration::from_secs(15);

/// Change the page as asked, in the order style, script, click.
pub(super) async fn apply(
    page: &Page,
    settings: &PageSettings,
    until: Instant,
) -> Result<(), PageError> {
    let edits = &settings.edits;
    let mut css = unwanted(page, settings);
    for selector in &edits.hide_selectors {
        css.push_str(selector);
        css.push_str(" { visibility: hidden !important }\n");
    }
    css.push_str(edits.inject_css.as_deref().unwrap_or_default());
    if !css.is_empty() {
        add_style(page, &css).await?;
    }
    if let Some(script) = &edits.inject_js {
        run_script(page, script, "injectJs").await?;
    }
    if let Some(selector) = &edits.click {
        click(page, selector, 1, "click").await?;
        // What the click set in motion comes to rest as the page itself did.
        page.observed().expect_quiet(Instant::now());
        settle(page, settings, until).await?;
    }
    Ok(())
}

/// A style sheet that hides what the lists in force know of the page's banners and chats.
fn unwanted(page: &Page, settings: &PageSettings) -> String {
    if settings.blocking.is_empty() {
        return String::new();
    }
    let url = page.observed().address().to_owned();
    let mut css = String::new();
    for selector in settings.blocking.hidden_selectors(&url) {
        css.push_str(&selector);
        css.push_str(" { display: none !important }\n");
    }
    css
}

/// Hide what the lists in force know of the page.
pub(super) async fn hide_unwanted(page: &Page, settings: &PageSettings) -> Result<(), PageError> {
    let css = unwanted(page, settings);
    if css.is_empty() { Ok(()) } else { add_style(page, &css).await }
}

async fn add_style(page: &Page, css: &str) -> Result<(), PageError> {
    // A sheet made by script and adopted by the document is not subject to the page's own policy
    // on content, and is no element that the page's scripts come across.
    const ADD: &str = "css => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(css);
        document.adoptedStyleSheets.push(sheet);
    }";
    World::isolated(page).await?.call::<Value>(ADD, &[json!(css)], QUICK).await?;
    Ok(())
}

/// Run the caller's script as the page's own would run, and wait for its promise.
pub(super) async fn run_script(page: &Page, script: &str, field: &str) -> Result<(), PageError> {
    let problem = |what: String| {
        let message = format!("`{field}` {what}; correct it, or leave it out");
        PageError::from(CaptureError::new(ErrorKind::ScriptFailed, message).field(field))
    };
    let params = json!({ "expression": script, "awaitPromise": true, "userGesture": true });
    let answer = match page.call_raw("Runtime.evaluate", params, SCRIPT).await {
        Err(CallError::Timeout { .. }) => {
            return Err(problem(format!("did not end within {} s", SCRIPT.as_secs())));
        }
        answer => answer?,
    };
    let answer: Value = serde_json::from_str(answer.get()).unwrap_or_default();
    let Some(thrown) = answer.get("exceptionDetails") else { return Ok(()) };
    let said = thrown["exception"]["description"].as_str().or(thrown["text"].as_str());
    let said = said.unwrap_or_default().lines().next().unwrap_or_default();
    let said = cut(said.to_owned(), SAID);
    Err(problem(format!("failed ({said})")))
}

/// The middle of the first element that `selector` matches, brought into view.
pub(super) async fn middle(
    page: &Page,
    selector: &str,
    field: &str,
) -> Result<[f64; 2], PageError> {
    const MIDDLE: &str = "selector => {
        const element = document.querySelector(selector);
        if (!element) return null;
        element.scrollIntoView({ block: 'center', inline: 'center', behavior: 'instant' });
        const box = element.getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2];
    }";
    let world = World::isolated(page).await?;
    let found = world.call::<Option<[f64; 2]>>(MIDDLE, &[json!(selector)], QUICK).await;
    let found = found.map_err(|error| error.in_field(field, selector))?;
    match found {
        Some(middle) => Ok(middle),
        None => Err(nearest::not_found(page, field, selector).await),
    }
}

/// Something the mouse does at a place, for the `count`th time in a row.
pub(super) async fn mouse(
    page: &Page,
    kind: &str,
    [x, y]: [f64; 2],
    count: u32,
) -> Result<(), PageError> {
    let button = if kind == "mouseMoved" { "none" } else { "left" };
    let params = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": count });
    page.call_raw("Input.dispatchMouseEvent", params, QUICK).await?;
    Ok(())
}

/// Click the middle of the first element that `selector` matches, as a mouse does.
pub(super) async fn click(
    page: &Page,
    selector: &str,
    count: u32,
    field: &str,
) -> Result<(), PageError> {
    let at = middle(page, selector, field).await?;
    mouse(page, "mouseMoved", at, 0).await?;
    for click in 1..=count {
        mouse(page, "mousePressed", at, click).await?;
        mouse(page, "mouseReleased", at, click).await?;
    }
    next_frame(page).await
}

/// Wait for the page's next frame: by then what an input set in motion has begun.
pub(super) async fn next_frame(page: &Page) -> Result<(), PageError> {
    let frame = "() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))";
    let framed = match World::isolated(page).await {
        Ok(world) => world.call::<Value>(frame, &[], QUICK).await.map(drop),
        Err(error) => Err(error),
    };
    match framed {
        // The document is gone already: a navigation has begun.
        Err(PageError::Call(CallError::Refused { .. })) => {
            let until = Instant::now() + Duration::from_millis(100);
            page.wait_for(
                until,
                |seen, _| {
                    if seen.is_loaded() { Look::NotYet } else { Look::Found(()) }
                },
            )
            .await;
            Ok(())
        }
        other => other,
    }
}
