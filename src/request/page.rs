//! Owns the reading of the field groups that every endpoint which loads a page shares: target,
//! window, waiting, emulation, identity, changes.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::fields::{Fields, shortened};
use crate::error::{Code, Problem};
use crate::secret::Secret;
use crate::settings::{
    Cookie, Edits, Geolocation, MediaType, PageSettings, Stage, Target, Viewport, WaitUntil, device,
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

/// Read the settings of a page; what the capture itself needs is left.
pub(super) fn read(fields: &mut Fields) -> Option<PageSettings> {
    let target = target(fields);
    let (viewport, device) = viewport(fields);
    let millis =
        |value: Option<u32>, default| Duration::from_millis(u64::from(value.unwrap_or(default)));
    let delay = millis(fields.int("delay", 0..=30_000), 0);
    let navigation_timeout = millis(fields.int("navigationTimeout", 0..=30_000), 25_000);
    let cookies = cookies(fields, target.as_ref());
    let own_agent = device.and_then(device::Device::user_agent).map(str::to_owned);
    let settings = PageSettings {
        target: target.clone().unwrap_or(Target::Html(String::new())),
        viewport,
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
        headers: headers(fields),
        cookies,
        user_agent: fields.filled_text("userAgent", 1_000).or(own_agent),
        time_zone: fields.filled_text("timeZone", 100),
        bypass_csp: fields.flag("bypassCSP").unwrap_or(false),
        edits: edits(fields),
    };
    target.map(|_| settings)
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
    viewport.width = fields.int("width", 1..=3840).unwrap_or(viewport.width);
    viewport.height = fields.int("height", 1..=2160).unwrap_or(viewport.height);
    let scale = fields.number("deviceScaleFactor", 1.0..=3.0);
    viewport.device_scale_factor = scale.unwrap_or(viewport.device_scale_factor);
    viewport.mobile = fields.flag("viewportMobile").unwrap_or(viewport.mobile);
    viewport.touch = fields.flag("viewportHasTouch").unwrap_or(viewport.touch);
    (viewport, preset)
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
    let mut hide_selectors = Vec::new();
    for value in fields.list("hideSelectors", 100).unwrap_or_default() {
        match value {
            Value::String(selector) if !selector.is_empty() && selector.len() <= 2_000 => {
                hide_selectors.push(selector);
            }
            _ => {
                let remedy = "give a list of CSS selectors, like [\".cookie-banner\"]";
                let _: Option<()> =
                    fields.wrong("hideSelectors", "not a list of selectors", remedy);
            }
        }
    }
    Edits {
        hide_selectors,
        inject_css: fields.filled_text("injectCss", INJECT_LIMIT),
        inject_js: fields.filled_text("injectJs", INJECT_LIMIT),
        click: fields.filled_text("click", 2_000),
    }
}

fn target(fields: &mut Fields) -> Option<Target> {
    let url = fields.filled_text("url", 8_192);
    let html = fields.text("html", HTML_LIMIT);
    match (url, html) {
        (Some(_), Some(_)) => fields.problem(
            Problem::new(Code::ConflictingFields, "`url` and `html` exclude each other; give one")
                .field("html"),
        ),
        (None, None) => fields.problem(
            Problem::new(Code::MissingField, "`url` is missing; give `url` or `html`").field("url"),
        ),
        (None, Some(html)) => Some(Target::Html(html)),
        (Some(url), None) => match url.parse::<Url>() {
            Ok(url) => allowed(fields, url),
            Err(error) => {
                let found = format!("not an address ({error}): {}", shortened(&url));
                fields.wrong("url", &found, "give one like https://example.com/")
            }
        },
    }
}

/// Only pages of the web: everything else either is no page or reaches into the host.
pub(super) fn allowed(fields: &mut Fields, url: Url) -> Option<Target> {
    if !url.username().is_empty() || url.password().is_some() {
        // The browser would write them into the page's own snapshots.
        let remedy = "send them as `headers`, {\"Authorization\": …}";
        return fields.wrong("url", "an address with a user name or password in it", remedy);
    }
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Some(Target::Url(url));
    }
    let field = fields.named("url");
    let message = format!(
        "`{field}` has the scheme `{}:`, which is never captured; give an http or https address",
        shortened(url.scheme())
    );
    fields.problem(Problem::new(Code::TargetForbidden, message).field(field))
}

fn headers(fields: &mut Fields) -> Vec<(String, Secret<String>)> {
    let given = fields.value("headers").unwrap_or(Value::Object(Map::new()));
    let Value::Object(map) = given else {
        let _: Option<()> = fields.wrong("headers", "not an object", "give {\"Name\": \"value\"}");
        return Vec::new();
    };
    let mut headers = Vec::new();
    if let Some(value) = fields.filled_text("authorization", 8_192) {
        headers.push(("Authorization".to_owned(), Secret::new(value)));
    }
    for (name, value) in map {
        let sound = |text: &str| !text.contains(['\r', '\n', '\0']);
        match value {
            Value::String(value) if sound(&value) && sound(&name) && !name.is_empty() => {
                headers.push((name, Secret::new(value)));
            }
            _ => {
                let field = format!("headers.{}", shortened(&name));
                let remedy = "give a string without line breaks";
                let _: Option<()> = fields.wrong(&field, "not a header", remedy);
            }
        }
    }
    headers
}

pub(super) fn cookies(fields: &mut Fields, target: Option<&Target>) -> Vec<Cookie> {
    let cookies = fields.list("cookies", 100).unwrap_or_default();
    let read = cookies.into_iter().enumerate().filter_map(|(index, value)| {
        let cookie = match value {
            Value::String(pair) => cookie_pair(&pair),
            Value::Object(map) => cookie_object(fields, index, map),
            _ => None,
        };
        let Some(cookie) = cookie else {
            let field = format!("cookies[{index}]");
            let remedy = "give \"name=value\" or {\"name\": …, \"value\": …}";
            return fields.wrong(&field, "not a cookie", remedy);
        };
        if cookie.domain.is_none() && matches!(target, Some(Target::Html(_))) {
            let field = format!("cookies[{index}].domain");
            return fields.wrong(&field, "missing", "with `html` a cookie needs its domain");
        }
        Some(cookie)
    });
    read.collect()
}

fn cookie_pair(pair: &str) -> Option<Cookie> {
    let (name, value) = pair.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    (!name.is_empty()).then(|| Cookie {
        name: name.to_owned(),
        value: Secret::new(value.to_owned()),
        domain: None,
        path: None,
        secure: false,
        http_only: false,
    })
}

/// The hosted API passes keys it does not know, so these are not refused here either.
fn cookie_object(fields: &mut Fields, index: usize, map: Map<String, Value>) -> Option<Cookie> {
    fields.nested(map, format!("cookies[{index}]."), |cookie| {
        let read = Cookie {
            name: cookie.filled_text("name", 4_096)?,
            value: Secret::new(cookie.text("value", 4_096)?),
            domain: cookie.filled_text("domain", 255),
            path: cookie.filled_text("path", 4_096),
            secure: cookie.flag("secure").unwrap_or(false),
            http_only: cookie.flag("httpOnly").unwrap_or(false),
        };
        cookie.rest();
        Some(read)
    })
}

/// The stage that a body names.
pub(super) fn stage(fields: &mut Fields) -> Option<Stage> {
    let name = fields.text("stage", 100)?;
    Stage::new(&name).or_else(|| {
        let remedy = "give 1 to 40 lower-case letters, digits and hyphens, like `before`";
        fields.wrong("stage", &format!("`{}`", shortened(&name)), remedy)
    })
}
