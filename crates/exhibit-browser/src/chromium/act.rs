//! Owns what a step does in a page by way of script and keyboard: filling, choosing, scrolling,
//! pressing keys.

use serde::Deserialize;
use serde_json::{Value, json};

use super::edit;
use super::error::PageError;
use super::injected::TYPED;
use super::limits::QUICK;
use super::nearest;
use super::page::Page;
use super::script::World;
use crate::error::{CaptureError, ErrorKind};
use crate::settings::sequence::Key;

#[derive(Deserialize)]
struct Reached {
    found: bool,
    #[serde(default)]
    secret: bool,
    #[serde(default)]
    matched: bool,
}

/// Put a value into a field, as typing would: the page's own handlers hear of it. True when the
/// field is one for secrets: before it has the focus, with the focus, or once it was typed into.
/// Such a value is known as a secret before the page hears of it.
pub(super) async fn fill(page: &Page, selector: &str, value: &str) -> Result<bool, PageError> {
    const FILL: &str = "(selector, value) => {
        const field = document.querySelector(selector);
        if (!field) return { found: false };
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
        return { found: true, matched: true };
    }";
    let secret = is_secret(page, selector).await?;
    if secret {
        page.typed().note(value);
    }
    let found = call(page, FILL, &[json!(selector), json!(value)], selector).await?;
    if !found.matched {
        return Err(wrong(
            "selector",
            &format!("`{selector}`, which matches no field to type into"),
        ));
    }
    if secret {
        return Ok(true);
    }
    // A page that hides what was typed does so by its next frame; it may have gone on elsewhere.
    edit::next_frame(page).await?;
    let hidden = is_secret(page, selector).await.unwrap_or(false);
    if hidden {
        page.typed().note(value);
    }
    Ok(hidden)
}

/// Whether the field that `selector` matches is one for secrets, which it may become when it gets
/// the focus.
async fn is_secret(page: &Page, selector: &str) -> Result<bool, PageError> {
    let judge = format!(
        "selector => {{
            const field = document.querySelector(selector);
            if (!field) return {{ found: false }};
            const typed = globalThis.exhibitTyped || ({TYPED})();
            const before = typed.isSecret(field);
            field.scrollIntoView({{ block: 'center', behavior: 'instant' }});
            field.focus();
            return {{ found: true, secret: before || typed.isSecret(field) }};
        }}"
    );
    Ok(call(page, &judge, &[json!(selector)], selector).await?.secret)
}

/// Choose an option by its value or its text.
pub(super) async fn select(page: &Page, selector: &str, value: &str) -> Result<(), PageError> {
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

/// Scroll an element into view, or by so many CSS pixels.
pub(super) async fn scroll(
    page: &Page,
    selector: Option<&str>,
    x: f64,
    y: f64,
) -> Result<(), PageError> {
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

/// Press a key, in an element or wherever the focus is.
pub(super) async fn press(page: &Page, key: Key, selector: Option<&str>) -> Result<(), PageError> {
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
) -> Result<Reached, PageError> {
    let world = World::isolated(page).await?;
    let found = world.call::<Reached>(function, arguments, QUICK).await;
    let found = found.map_err(|error| error.in_field("selector", selector))?;
    if found.found {
        return Ok(found);
    }
    Err(nearest::not_found(page, "selector", selector).await)
}

fn wrong(field: &str, what: &str) -> PageError {
    CaptureError::new(ErrorKind::InvalidField, format!("`{field}` is {what}; correct it"))
        .field(field)
        .into()
}
