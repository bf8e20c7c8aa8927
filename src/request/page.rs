//! Owns the reading of the field groups that every endpoint which loads a page shares: target,
//! window, waiting, emulation, identity, changes.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::fields::{Fields, shortened};
use super::identity;
use crate::blocking::{Blocking, Resource};
use crate::error::{Code, Problem};
use crate::id::SessionId;
use crate::settings::{
    Edits, Geolocation, Locale, MediaType, PageSettings, Stage, Target, Viewport, WaitUntil, device,
};

/// Largest `html`: what the default body limit lets through.
const HTML_LIMIT: usize = 10 * 1024 * 1024;
/// Largest style sheet or script to be injected: the hosted API's limit.
const INJECT_LIMIT: usize = 50 * 1024;
const WAITS: &[(&str, WaitUntil)] = &[
    ("load", WaitUntil::Load),
    ("domcontentloaded", WaitUntil::DomContentLoaded),
    ("networkidle0", WaitUntil::NetworkIdle0),
    ("networkidle2", WaitUntil::NetworkIdle2),
    // Playwright's word, which public callers send.
    ("networkidle", WaitUntil::NetworkIdle2),
];

/// Spellings that public callers send for what they mean.
const ALIASES: &[(&str, &str)] = &[
    ("full_page", "fullPage"),
    ("wait_until", "waitUntil"),
    ("dark_mode", "darkMode"),
    ("wait_for_selector", "waitForSelector"),
    ("device_scale_factor", "deviceScaleFactor"),
    ("user_agent", "userAgent"),
];

/// Read the settings of a page; what the capture itself needs is left.
pub(super) fn read(fields: &mut Fields) -> Option<PageSettings> {
    let session = session(fields);
    let target = match session {
        Some(_) if !TARGETS.iter().any(|name| fields.has(name)) => Some(Target::Current),
        _ => target(fields),
    };
    let settings = of(fields, target.as_ref());
    target.map(|target| PageSettings { target, session, ..settings })
}

/// Read the settings of a page whose target is known already.
pub(super) fn of(fields: &mut Fields, target: Option<&Target>) -> PageSettings {
    for &(sent, meant) in ALIASES {
        fields.rename(sent, meant);
    }
    let own_window = !WINDOW.iter().any(|name| fields.has(name));
    let (viewport, device) = viewport(fields);
    let millis =
        |value: Option<u32>, default| Duration::from_millis(u64::from(value.unwrap_or(default)));
    let delay = millis(fields.int("delay", 0..=30_000), 0);
    let navigation_timeout = millis(fields.int("navigationTimeout", 0..=30_000), 25_000);
    let (headers, locale) = (identity::headers(fields), locale(fields));
    if locale.is_some()
        && headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("accept-language"))
    {
        let message = "`locale` and the header `Accept-Language` exclude each other; give one";
        let problem = Problem::new(Code::ConflictingFields, message).field("locale");
        let _: Option<()> = fields.problem(problem);
    }
    let own_agent = device.and_then(device::Device::user_agent).map(str::to_owned);
    PageSettings {
        target: target.cloned().unwrap_or(Target::Current),
        session: None,
        viewport,
        own_window,
        device: device.map(|device| device.id.to_owned()),
        delay,
        wait_until: fields.choice("waitUntil", WAITS).unwrap_or(WaitUntil::NetworkIdle2),
        wait_for_selector: fields.filled_text("waitForSelector", 2_000),
        navigation_timeout,
        dark_mode: fields.flag("darkMode").unwrap_or(false),
        reduced_motion: fields.flag("reducedMotion").unwrap_or(false),
        media_type: fields
            .choice("mediaType", &[("screen", MediaType::Screen), ("print", MediaType::Print)]),
        geolocation: fields.object("geolocation", geolocation),
        headers,
        cookies: identity::cookies(fields, target),
        auth_state: identity::auth_state(fields),
        user_agent: fields.filled_text("userAgent", 1_000).or(own_agent),
        time_zone: fields.filled_text("timeZone", 100),
        locale,
        bypass_csp: fields.flag("bypassCSP").unwrap_or(false),
        edits: edits(fields),
        blocking: blocking(fields),
        carried: Vec::new(),
    }
}

/// The session a request names.
pub(super) fn session(fields: &mut Fields) -> Option<SessionId> {
    let text = fields.filled_text("session_id", 200)?;
    let id = text.parse();
    id.ok().or_else(|| {
        let found = format!("`{}`", shortened(&text));
        fields.wrong("session_id", &found, "give one that POST /sessions answered")
    })
}

/// The window: a device's, changed by what else is given.
fn viewport(fields: &mut Fields) -> (Viewport, Option<&'static device::Device>) {
    let preset = fields.filled_text("viewportDevice", 100).and_then(|id| {
        device::find(&id).or_else(|| {
            let remedy = format!(
                "did you mean `{}`? GET /devices lists them; correct it",
                device::nearest(&id)
            );
            fields.wrong("viewportDevice", &format!("`{}`", shortened(&id)), &remedy)
        })
    });
    let preset: Option<&'static device::Device> = preset;
    let mut viewport = preset.map(device::Device::viewport).unwrap_or_default();
    if fields.flag("viewportLandscape") == Some(true) && viewport.height > viewport.width {
        std::mem::swap(&mut viewport.width, &mut viewport.height);
    }
    if fields.has("viewport") {
        // The window as one object, which public callers send.
        fields.alias("viewport", "width, height, deviceScaleFactor");
        fields.object("viewport", |nested| {
            sides(nested, &mut viewport);
            Some(())
        });
    }
    sides(fields, &mut viewport);
    viewport.mobile = fields.flag("viewportMobile").unwrap_or(viewport.mobile);
    viewport.touch = fields.flag("viewportHasTouch").unwrap_or(viewport.touch);
    (viewport, preset)
}

/// The window of a sequence or a session.
pub(super) fn window(fields: &mut Fields, page: &mut PageSettings) {
    page.own_window = !WINDOW.iter().any(|name| fields.has(name));
    page.locale = locale(fields);
    fields.object("viewport", |viewport| {
        page.viewport.width = viewport.int("width", 320..=3840).unwrap_or(page.viewport.width);
        page.viewport.height = viewport.int("height", 200..=2160).unwrap_or(page.viewport.height);
        Some(())
    });
    if let Some(scale) = fields.number("deviceScaleFactor", 1.0..=3.0) {
        page.viewport.device_scale_factor = scale;
    }
}

/// The language and region, by their tag.
fn locale(fields: &mut Fields) -> Option<Locale> {
    let tag = fields.filled_text("locale", 100)?;
    let known = Locale::new(&tag);
    known.or_else(|| {
        let remedy = "give a language tag of BCP 47 like `de` or `de-CH`, without extensions";
        fields.wrong("locale", &format!("`{}`", shortened(&tag)), remedy)
    })
}

fn sides(fields: &mut Fields, viewport: &mut Viewport) {
    viewport.width = fields.int("width", 1..=3840).unwrap_or(viewport.width);
    viewport.height = fields.int("height", 1..=2160).unwrap_or(viewport.height);
    let scale = fields.number("deviceScaleFactor", 1.0..=3.0);
    viewport.device_scale_factor = scale.unwrap_or(viewport.device_scale_factor);
}

fn geolocation(fields: &mut Fields) -> Option<Geolocation> {
    for name in ["latitude", "longitude"] {
        if !fields.has(name) {
            let field = format!("geolocation.{name}");
            let message = format!("`{field}` is missing; give latitude and longitude in degrees");
            return fields.problem(Problem::new(Code::MissingField, message).field(field));
        }
    }
    let latitude = fields.number("latitude", -90.0..=90.0);
    let longitude = fields.number("longitude", -180.0..=180.0);
    let accuracy = fields.number("accuracy", 0.0..=100_000.0).unwrap_or(1.0);
    Some(Geolocation { latitude: latitude?, longitude: longitude?, accuracy })
}

fn edits(fields: &mut Fields) -> Edits {
    Edits {
        hide_selectors: texts(fields, "hideSelectors", "CSS selectors, like [\".cookie-banner\"]"),
        inject_css: fields.filled_text("injectCss", INJECT_LIMIT),
        inject_js: fields.filled_text("injectJs", INJECT_LIMIT),
        click: fields.filled_text("click", 2_000),
    }
}

/// What is kept from loading.
pub(super) fn blocking(fields: &mut Fields) -> Blocking {
    // The browser does not ask before it opens a web socket.
    let askable = || Resource::ASKABLE.into_iter().filter(|kind| *kind != Resource::WebSocket);
    let mut resources = Vec::new();
    for word in texts(fields, "blockResources", "types of resources, like [\"image\"]") {
        match Resource::from_word(&word).filter(|kind| *kind != Resource::WebSocket) {
            Some(kind) => resources.push(kind),
            None => {
                let found = format!("a list with `{}`", shortened(&word));
                let words: Vec<&str> = askable().map(Resource::word).collect();
                let remedy = format!("give some of {}", words.join(", "));
                let _: Option<()> = fields.wrong("blockResources", &found, &remedy);
            }
        }
    }
    Blocking {
        requests: texts(fields, "blockRequests", "patterns, like [\"*.example.com/*\"]"),
        resources,
        ..lists(fields)
    }
}

/// The lists of what is kept from loading.
pub(super) fn lists(fields: &mut Fields) -> Blocking {
    let mut flag = |name| fields.flag(name).unwrap_or(false);
    Blocking {
        ads: flag("blockAds"),
        banners: flag("blockBanners"),
        chats: flag("blockChats"),
        trackers: flag("blockTrackers"),
        ..Blocking::default()
    }
}

/// A list of at most 100 texts that are not empty.
fn texts(fields: &mut Fields, name: &'static str, what: &str) -> Vec<String> {
    let mut texts = Vec::new();
    for value in fields.list(name, 100).unwrap_or_default() {
        match value {
            Value::String(text) if !text.is_empty() && text.len() <= 2_000 => texts.push(text),
            _ => {
                let remedy = format!("give a list of {what}");
                let _: Option<()> = fields.wrong(name, "not a list of texts", &remedy);
            }
        }
    }
    texts
}

/// The fields that say what is to be captured.
const TARGETS: &[&str] = &["url", "html", "markdown"];
/// The fields of the window.
const WINDOW: &[&str] = &[
    "width",
    "height",
    "deviceScaleFactor",
    "viewport",
    "viewportDevice",
    "viewportMobile",
    "viewportHasTouch",
    "viewportLandscape",
];

fn target(fields: &mut Fields) -> Option<Target> {
    let markdown = fields.text("markdown", HTML_LIMIT);
    if fields.has("url") || fields.has("html") || markdown.is_none() {
        let Some(_) = markdown else { return named_target(fields, "url", "html") };
        let message = "`markdown` excludes `url` and `html`; give one";
        fields.rest();
        let problem = Problem::new(Code::ConflictingFields, message).field("markdown");
        return fields.problem(problem);
    }
    // Known names, so that a slip of the pen is told from them.
    fields.value("url");
    fields.value("html");
    markdown.map(Target::Markdown)
}

/// The target in the fields of these names.
pub(super) fn named_target(
    fields: &mut Fields,
    url_name: &'static str,
    html_name: &'static str,
) -> Option<Target> {
    let html = fields.text(html_name, HTML_LIMIT);
    if !fields.has(url_name) {
        fields.value(url_name);
        return html.map(Target::Html).or_else(|| {
            let message = format!("`{url_name}` is missing; give `{url_name}` or `{html_name}`");
            fields.problem(Problem::new(Code::MissingField, message).field(url_name))
        });
    }
    if html.is_some() {
        let message = format!("`{url_name}` and `{html_name}` exclude each other; give one");
        fields.value(url_name);
        return fields.problem(Problem::new(Code::ConflictingFields, message).field(html_name));
    }
    let url = fields.filled_text(url_name, 8_192)?;
    match url.parse::<Url>() {
        Ok(url) => allowed(fields, url_name, url),
        Err(error) => {
            let found = format!("not an address ({error}): {}", shortened(&url));
            fields.wrong(url_name, &found, "give one like https://example.com/")
        }
    }
}

/// Only pages of the web: everything else either is no page or reaches into the host.
pub(super) fn allowed(fields: &mut Fields, name: &str, url: Url) -> Option<Target> {
    if !url.username().is_empty() || url.password().is_some() {
        // The browser would write them into the page's own snapshots.
        let remedy = "send them as `headers`, {\"Authorization\": …}";
        return fields.wrong(name, "an address with a user name or password in it", remedy);
    }
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Some(Target::Url(url));
    }
    let field = fields.named(name);
    let message = format!(
        "`{field}` has the scheme `{}:`, which is never captured; give an http or https address",
        shortened(url.scheme())
    );
    fields.problem(Problem::new(Code::TargetForbidden, message).field(field))
}

/// Whether the answer is to be JSON instead of the bytes themselves.
pub(super) fn json(fields: &mut Fields) -> bool {
    fields.choice("response_type", &[("json", true), ("binary", false)]).unwrap_or(false)
}

/// The stage that a body names.
pub(super) fn stage(fields: &mut Fields) -> Option<Stage> {
    let name = fields.text("stage", 100)?;
    Stage::new(&name).or_else(|| {
        let remedy = "give 1 to 40 lower-case letters, digits and hyphens, like `before`";
        fields.wrong("stage", &format!("`{}`", shortened(&name)), remedy)
    })
}
