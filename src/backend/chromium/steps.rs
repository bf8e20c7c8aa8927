//! Owns the taking of a sequence's steps in one page, one after the other, as a person would take
//! them. Each is reported as soon as it is done; the first that fails ends the sequence, unless it
//! is optional.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::emulate::{omit_background, prepare};
use super::load::{Trouble, navigate, rest, settle, wait_for_selector};
use super::page::{Page, QUICK};
use super::print::print;
use super::script::World;
use super::snapshot::snapshots;
use super::take::title;
use super::{edit, into_problem, picture};
use crate::backend::{Output, SequenceOrder, StepReport};
use crate::error::{Code, Problem};
use crate::secret::REDACTED;
use crate::settings::sequence::{Action, Key, Step};
use crate::settings::{PageSettings, Product, Target};

/// Limit for one step: the hosted API's.
const STEP: Duration = Duration::from_secs(15);

/// Take the steps of `order` on `page`, telling of each.
///
/// # Errors
/// When the page cannot be prepared; a step that fails is no error but a report.
pub(super) async fn run(
    page: &Page,
    order: &SequenceOrder,
    reports: &mpsc::Sender<StepReport>,
) -> Result<(), Trouble> {
    page.observed().set_policy(order.policy.clone());
    prepare(page, &order.page).await?;
    for (index, step) in order.steps.iter().enumerate() {
        let report = take(page, order, index, step).await;
        let goes_on = report.problem.is_none() || step.optional;
        // Whoever listened has gone when the daemon is stopping: there is nobody to go on for.
        if reports.send(report).await.is_err() || !goes_on || !page.is_alive() {
            break;
        }
    }
    Ok(())
}

/// Where the page is, by the browser's word; its title only where policy lets the page be seen.
async fn place(page: &Page, order: &SequenceOrder) -> Value {
    let title = title(page).await.ok().flatten();
    let title = title.filter(|_| allowed(page, order).is_ok());
    json!({ "url": page.observed().facts.final_url, "title": title })
}

async fn take(page: &Page, order: &SequenceOrder, index: usize, step: &Step) -> StepReport {
    let begun = Instant::now();
    let until = (begun + STEP).min(order.deadline);
    let mut record = step.record();
    record["before"] = place(page, order).await;
    let acting = act(page, order, step, until, &mut record);
    let acted = match tokio::time::timeout_at(order.deadline.min(begun + STEP * 3), acting).await {
        Ok(acted) => acted.and_then(|output| allowed(page, order).map(|()| output)),
        Err(_) => Err(too_slow().into()),
    };
    record["after"] = place(page, order).await;
    let (output, problem) = match acted {
        Ok(output) => (output, None),
        Err(trouble) => (None, Some(into_problem(trouble))),
    };
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    StepReport { index, record, problem, output, duration_ms }
}

/// Policy holds for where a step led, too.
fn allowed(page: &Page, order: &SequenceOrder) -> Result<(), Trouble> {
    let seen = page.observed();
    if let Some(why) = &seen.forbidden {
        let message = format!("the page loaded what policy forbids ({why}); ask the operator");
        return Err(Problem::new(Code::TargetForbidden, message).field("url").into());
    }
    let url = seen.facts.final_url.as_ref().and_then(|url| url.parse::<url::Url>().ok());
    match url {
        Some(url) if matches!(url.scheme(), "http" | "https") => {
            Ok(order.policy.check_url(&url)?)
        }
        _ => Ok(()),
    }
}

fn too_slow() -> Problem {
    let message = "the step did not end in time; check the page, or wait for less";
    Problem::new(Code::RequestTimeout, message)
}

async fn act(
    page: &Page,
    order: &SequenceOrder,
    step: &Step,
    until: Instant,
    record: &mut Value,
) -> Result<Option<Output>, Trouble> {
    let settings = &order.page;
    match &step.action {
        Action::Navigate(url) => {
            order.policy.check_url(url)?;
            let target = Target::Url(url.clone());
            let there = PageSettings { target, ..settings.clone() };
            navigate(page, &there, until).await?;
            settle(page, &there, until).await?;
        }
        Action::Click { selector, count } => {
            edit::click(page, selector, *count, "selector").await?;
            come_to_rest(page, settings, until).await?;
        }
        Action::Hover(selector) => {
            let at = edit::middle(page, selector, "selector").await?;
            edit::mouse(page, "mouseMoved", at, 0).await?;
        }
        Action::Fill { selector, value } => {
            let secret = fill(page, selector, value.expose()).await?;
            record["value"] = json!(if secret { REDACTED } else { value.expose() });
        }
        Action::Select { selector, value } => {
            select(page, selector, value).await?;
            come_to_rest(page, settings, until).await?;
        }
        Action::Scroll { selector, x, y } => scroll(page, selector.as_deref(), *x, *y).await?,
        Action::Wait(pause) => tokio::time::sleep(*pause).await,
        Action::WaitFor { selector, timeout } => {
            wait_for_selector(page, selector, "selector", Instant::now() + *timeout).await?;
        }
        Action::Evaluate(script) => {
            edit::run_script(page, script, "script").await?;
            come_to_rest(page, settings, until).await?;
        }
        Action::PressKey { key, selector } => {
            press(page, *key, selector.as_deref()).await?;
            come_to_rest(page, settings, until).await?;
        }
        Action::Output { name, product, delay } => {
            let settings = PageSettings { delay: *delay, ..settings.clone() };
            rest(page, &settings).await?;
            return output(page, order, name, product).await.map(Some);
        }
    }
    Ok(None)
}

/// Wait until what an action set in motion has come to rest.
async fn come_to_rest(page: &Page, settings: &PageSettings, until: Instant) -> Result<(), Trouble> {
    page.observed().expect_quiet(Instant::now());
    settle(page, settings, until).await
}

async fn output(
    page: &Page,
    order: &SequenceOrder,
    name: &str,
    product: &Product,
) -> Result<Output, Trouble> {
    let snapshots = snapshots(page, order.snapshot);
    let (bytes, pixels, snapshots) = match product {
        Product::Picture(wanted) => {
            if wanted.omit_background {
                omit_background(page).await?;
            }
            let frame = picture::frame(page, &order.page, wanted, order.max_pixels).await?;
            let taking = picture::take(page, wanted, frame);
            let ((bytes, pixels), snapshots) = tokio::try_join!(taking, snapshots)?;
            (bytes, Some(pixels), snapshots)
        }
        Product::Pdf(wanted) => {
            let (bytes, snapshots) = tokio::try_join!(print(page, wanted), snapshots)?;
            (bytes, None, snapshots)
        }
    };
    let title = title(page).await?;
    let (facts, console, network) = {
        let mut seen = page.observed();
        seen.facts.title = title;
        (seen.facts.clone(), seen.console.clone(), seen.network.archive(&order.product))
    };
    let (name, product) = (name.to_owned(), product.clone());
    Ok(Output { name, product, bytes, pixels, snapshots, facts, console, network })
}

#[derive(Deserialize)]
struct Reached {
    found: bool,
    #[serde(default)]
    secret: bool,
    #[serde(default)]
    matched: bool,
}

/// Put a value into a field, as typing would: the page's own handlers hear of it. True when the
/// field is one for secrets.
async fn fill(page: &Page, selector: &str, value: &str) -> Result<bool, Trouble> {
    const FILL: &str = "(selector, value) => {
        const field = document.querySelector(selector);
        if (!field) return { found: false };
        field.scrollIntoView({ block: 'center', behavior: 'instant' });
        field.focus();
        if (field.isContentEditable) {
            field.textContent = value;
        } else {
            const kind = field instanceof HTMLTextAreaElement ? HTMLTextAreaElement : HTMLInputElement;
            if (!(field instanceof kind)) return { found: true, matched: false };
            Object.getOwnPropertyDescriptor(kind.prototype, 'value').set.call(field, value);
        }
        field.dispatchEvent(new InputEvent('input', { bubbles: true, data: value }));
        field.dispatchEvent(new Event('change', { bubbles: true }));
        const hints = (field.getAttribute('autocomplete') || '').toLowerCase();
        const secret = field.type === 'password' || /password|cc-|one-time-code/.test(hints);
        return { found: true, matched: true, secret };
    }";
    let found = call(page, FILL, &[json!(selector), json!(value)], selector).await?;
    if found.matched {
        return Ok(found.secret);
    }
    Err(wrong("selector", &format!("`{selector}`, which matches no field to type into")))
}

async fn select(page: &Page, selector: &str, value: &str) -> Result<(), Trouble> {
    const SELECT: &str = "(selector, value) => {
        const list = document.querySelector(selector);
        if (!list) return { found: false };
        const options = Array.from(list.options || []);
        const option = options.find(one => one.value === value)
            || options.find(one => one.text.trim() === value);
        if (!option) return { found: true, matched: false };
        list.focus();
        list.value = option.value;
        list.dispatchEvent(new Event('input', { bubbles: true }));
        list.dispatchEvent(new Event('change', { bubbles: true }));
        return { found: true, matched: true };
    }";
    let found = call(page, SELECT, &[json!(selector), json!(value)], selector).await?;
    if found.matched {
        return Ok(());
    }
    Err(wrong("value", &format!("`{value}`, which is no option of `{selector}`")))
}

async fn scroll(page: &Page, selector: Option<&str>, x: f64, y: f64) -> Result<(), Trouble> {
    const SCROLL: &str = "(selector, x, y) => {
        if (selector === null) {
            window.scrollBy({ left: x, top: y, behavior: 'instant' });
            return { found: true };
        }
        const element = document.querySelector(selector);
        if (!element) return { found: false };
        element.scrollIntoView({ block: 'center', behavior: 'instant' });
        return { found: true };
    }";
    let arguments = [json!(selector), json!(x), json!(y)];
    call(page, SCROLL, &arguments, selector.unwrap_or_default()).await.map(drop)
}

async fn press(page: &Page, key: Key, selector: Option<&str>) -> Result<(), Trouble> {
    const FOCUS: &str = "selector => {
        const element = document.querySelector(selector);
        if (element) element.focus();
        return { found: Boolean(element) };
    }";
    if let Some(selector) = selector {
        call(page, FOCUS, &[json!(selector)], selector).await?;
    }
    let name = if key.name == "Space" { " " } else { key.name };
    for kind in [if key.text.is_empty() { "rawKeyDown" } else { "keyDown" }, "keyUp"] {
        let text = if kind == "keyDown" { key.text } else { "" };
        let params = json!({
            "type": kind, "key": name, "code": key.name, "text": text,
            "windowsVirtualKeyCode": key.code,
        });
        page.call_raw("Input.dispatchKeyEvent", params, QUICK).await?;
    }
    edit::next_frame(page).await
}

async fn call(
    page: &Page,
    function: &str,
    arguments: &[Value],
    selector: &str,
) -> Result<Reached, Trouble> {
    let world = World::isolated(page).await?;
    let found = world.call::<Reached>(function, arguments, QUICK).await;
    let found = found.map_err(|trouble| trouble.in_field("selector", selector))?;
    if found.found {
        return Ok(found);
    }
    let message =
        format!("`selector` is `{selector}`, and nothing on the page matches it; correct it");
    Err(Problem::new(Code::SelectorNotFound, message).field("selector").into())
}

fn wrong(field: &str, what: &str) -> Trouble {
    Problem::new(Code::InvalidField, format!("`{field}` is {what}; correct it")).field(field).into()
}
