//! Owns the settings of a page as it is to be loaded, whatever is then taken of it: target, window,
//! emulation, identity, changes, waiting.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::presentable;
use crate::digest::Digest;
use crate::secret::{REDACTED, Secret};

/// What is to be captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A page, by its `http` or `https` address.
    Url(Url),
    /// HTML handed over by the caller: never a real page, always an altered view.
    Html(String),
}

/// Size of the window in CSS pixels and how many device pixels each of them has.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Viewport {
    /// CSS pixels.
    pub width: u32,
    /// CSS pixels.
    pub height: u32,
    /// Device pixels per CSS pixel.
    pub device_scale_factor: f64,
    /// Whether pages are laid out as on a phone.
    pub mobile: bool,
    /// Whether there is a touch screen.
    pub touch: bool,
}

impl Default for Viewport {
    fn default() -> Self {
        Self { width: 1280, height: 720, device_scale_factor: 1.0, mobile: false, touch: false }
    }
}

/// How far the page must have come before the picture is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitUntil {
    /// The `load` event.
    Load,
    /// The `DOMContentLoaded` event.
    DomContentLoaded,
    /// `load`, then no request under way for 500 ms.
    NetworkIdle0,
    /// `load`, then at most two requests under way for 500 ms.
    NetworkIdle2,
}

impl WaitUntil {
    /// The hosted API's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::DomContentLoaded => "domcontentloaded",
            Self::NetworkIdle0 => "networkidle0",
            Self::NetworkIdle2 => "networkidle2",
        }
    }

    /// The number of requests that may be under way for the network to count as idle.
    pub fn idle_at(self) -> Option<usize> {
        match self {
            Self::Load | Self::DomContentLoaded => None,
            Self::NetworkIdle0 => Some(0),
            Self::NetworkIdle2 => Some(2),
        }
    }
}

/// A cookie set before the first navigation.
#[derive(Clone, Debug, PartialEq)]
pub struct Cookie {
    /// Name.
    pub name: String,
    /// Value: a secret.
    pub value: Secret<String>,
    /// Domain it is for; the target's host when not given.
    pub domain: Option<String>,
    /// Path it is for.
    pub path: Option<String>,
    /// Only over TLS.
    pub secure: bool,
    /// Not for scripts.
    pub http_only: bool,
}

/// A place on Earth that the page is told of.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Geolocation {
    /// Degrees north, -90 to 90.
    pub latitude: f64,
    /// Degrees east, -180 to 180.
    pub longitude: f64,
    /// Metres.
    pub accuracy: f64,
}

/// Which style sheets apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaType {
    /// Those for screens.
    Screen,
    /// Those for paper.
    Print,
}

impl MediaType {
    /// CSS's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Print => "print",
        }
    }
}

/// What is changed about the page before it is captured: each of these makes an altered view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edits {
    /// CSS selectors of what is made invisible.
    pub hide_selectors: Vec<String>,
    /// Style sheet added to the page.
    pub inject_css: Option<String>,
    /// Script run in the page.
    pub inject_js: Option<String>,
    /// CSS selector of what is clicked, last of all.
    pub click: Option<String>,
}

/// How a page is to be loaded.
#[derive(Clone, Debug, PartialEq)]
pub struct PageSettings {
    /// What is to be captured.
    pub target: Target,
    /// Window.
    pub viewport: Viewport,
    /// Preset the window came from.
    pub device: Option<String>,
    /// Pause between the page's being ready and its being captured.
    pub delay: Duration,
    /// How far the page must have come.
    pub wait_until: WaitUntil,
    /// A CSS selector that must match first.
    pub wait_for_selector: Option<String>,
    /// Limit for navigating and waiting.
    pub navigation_timeout: Duration,
    /// Whether pages are told that the user prefers dark colours.
    pub dark_mode: bool,
    /// Whether pages are told that the user prefers less motion.
    pub reduced_motion: bool,
    /// Which style sheets apply; the browser's choice when not given.
    pub media_type: Option<MediaType>,
    /// Where the page is told to be.
    pub geolocation: Option<Geolocation>,
    /// Request headers added to every request of the page; values are secrets.
    pub headers: Vec<(String, Secret<String>)>,
    /// Cookies.
    pub cookies: Vec<Cookie>,
    /// User agent to send.
    pub user_agent: Option<String>,
    /// IANA time zone the page sees.
    pub time_zone: Option<String>,
    /// Whether the page's content security policy is not applied.
    pub bypass_csp: bool,
    /// What is changed about the page.
    pub edits: Edits,
}

impl PageSettings {
    /// `target` with the hosted API's defaults.
    pub fn of(target: Target) -> Self {
        Self {
            target,
            viewport: Viewport::default(),
            device: None,
            delay: Duration::ZERO,
            wait_until: WaitUntil::NetworkIdle2,
            wait_for_selector: None,
            navigation_timeout: Duration::from_millis(25_000),
            dark_mode: false,
            reduced_motion: false,
            media_type: None,
            geolocation: None,
            headers: Vec::new(),
            cookies: Vec::new(),
            user_agent: None,
            time_zone: None,
            bypass_csp: false,
            edits: Edits::default(),
        }
    }

    /// The fields through which the page was changed or is not real: an altered view is allowed,
    /// and always marked.
    pub(super) fn altered_by(&self) -> Vec<&'static str> {
        let edits = &self.edits;
        let flags = [
            (matches!(self.target, Target::Html(_)), "html"),
            (self.device.is_some(), "viewportDevice"),
            (self.viewport.mobile, "viewportMobile"),
            (self.viewport.touch, "viewportHasTouch"),
            (self.dark_mode, "darkMode"),
            (self.reduced_motion, "reducedMotion"),
            (self.media_type.is_some(), "mediaType"),
            (self.geolocation.is_some(), "geolocation"),
            (!self.headers.is_empty(), "headers"),
            (!self.cookies.is_empty(), "cookies"),
            (self.user_agent.is_some(), "userAgent"),
            (self.time_zone.is_some(), "timeZone"),
            (self.bypass_csp, "bypassCSP"),
            (!edits.hide_selectors.is_empty(), "hideSelectors"),
            (edits.inject_css.is_some(), "injectCss"),
            (edits.inject_js.is_some(), "injectJs"),
            (edits.click.is_some(), "click"),
        ];
        flags.into_iter().filter_map(|(set, name)| set.then_some(name)).collect()
    }

    /// The settings as they are put on record: every field with the value in force; of secrets
    /// only the names, of `html` and injected text only digest and length.
    pub(super) fn record(&self) -> Map<String, Value> {
        let names = self.headers.iter().map(|(name, _)| (name.clone(), REDACTED.into()));
        let headers: Map<String, Value> = names.collect();
        let cookies: Vec<Value> = self.cookies.iter().map(cookie_record).collect();
        let (url, html) = match &self.target {
            Target::Url(url) => (Some(presentable(url)), None),
            Target::Html(html) => (None, Some(digested(html))),
        };
        let (viewport, edits) = (&self.viewport, &self.edits);
        let record = json!({
            "url": url,
            "html": html,
            "width": viewport.width,
            "height": viewport.height,
            "deviceScaleFactor": viewport.device_scale_factor,
            "viewportDevice": self.device,
            "viewportMobile": viewport.mobile,
            "viewportHasTouch": viewport.touch,
            "delay": self.delay.as_millis(),
            "waitUntil": self.wait_until.as_str(),
            "waitForSelector": self.wait_for_selector,
            "navigationTimeout": self.navigation_timeout.as_millis(),
            "darkMode": self.dark_mode,
            "reducedMotion": self.reduced_motion,
            "mediaType": self.media_type,
            "geolocation": self.geolocation,
            "headers": headers,
            "cookies": cookies,
            "userAgent": self.user_agent,
            "timeZone": self.time_zone,
            "bypassCSP": self.bypass_csp,
            "hideSelectors": edits.hide_selectors,
            "injectCss": edits.inject_css.as_deref().map(digested),
            "injectJs": edits.inject_js.as_deref().map(digested),
            "click": edits.click,
        });
        match record {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

fn cookie_record(cookie: &Cookie) -> Value {
    json!({ "name": cookie.name, "value": REDACTED, "domain": cookie.domain, "path": cookie.path })
}

fn digested(text: &str) -> Value {
    json!({ "sha256": Digest::of(text.as_bytes()), "size_bytes": text.len() })
}
