//! Owns the settings of a page as it is to be loaded, whatever is then taken of it: target, window,
//! emulation, identity, changes, waiting.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::{Locale, presentable};
use crate::blocking::Blocking;
use crate::secret::{REDACTED, Secret};
use exhibit_tlog::digest::Digest;
use exhibit_verify::id::SessionId;

/// What is to be captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A page, by its `http` or `https` address.
    Url(Url),
    /// HTML handed over by the caller: never a real page, always an altered view.
    Html(String),
    /// Markdown handed over by the caller, which becomes a page of ours.
    Markdown(String),
    /// The page that a session has open, as it stands.
    Current,
}

impl Target {
    /// Whether the document was handed over instead of loaded from its server.
    pub fn is_written(&self) -> bool {
        matches!(self, Self::Html(_) | Self::Markdown(_))
    }

    /// Whether going there surely leads to another document than the one that is open: an address with a
    /// fragment may lead to another place in the same (HTML, 7.4.2.3.3).
    pub fn is_surely_another(&self) -> bool {
        match self {
            Self::Url(url) => is_another_document(url),
            Self::Html(_) | Self::Markdown(_) => true,
            Self::Current => false,
        }
    }
}

/// Whether going to `url` surely leads to another document than the one that is open.
pub fn is_another_document(url: &Url) -> bool {
    url.fragment().is_none()
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
    /// Address it is for, instead of a domain.
    pub url: Option<Url>,
    /// Whether it goes along with requests from other sites.
    pub same_site: Option<SameSite>,
    /// When it ends, in seconds since the epoch; with the session when not given.
    pub expires: Option<f64>,
}

impl Cookie {
    /// A cookie of the target's host that ends with the capture.
    pub fn new(name: String, value: Secret<String>) -> Self {
        Self {
            name,
            value,
            domain: None,
            path: None,
            secure: false,
            http_only: false,
            url: None,
            same_site: None,
            expires: None,
        }
    }

    fn record(&self) -> Value {
        json!({ "name": self.name, "value": REDACTED, "domain": self.domain, "path": self.path })
    }
}

/// Which requests from other sites a cookie goes along with (RFC 6265bis).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// None.
    Strict,
    /// Navigation.
    Lax,
    /// All.
    None,
}

impl SameSite {
    /// The DevTools protocol's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// What a browser of the caller's was signed in with; put into place before the first navigation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuthState {
    /// Cookies.
    pub cookies: Vec<Cookie>,
    /// Local storage, origin by origin.
    pub local_storage: Vec<OriginStorage>,
}

/// The local storage of one origin.
#[derive(Clone, Debug, PartialEq)]
pub struct OriginStorage {
    /// `https://shop.example`, as the URL standard serialises it.
    pub origin: String,
    /// Names and values; values are secrets.
    pub items: Vec<(String, Secret<String>)>,
}

impl AuthState {
    fn record(&self) -> Value {
        let cookies: Vec<Value> = self.cookies.iter().map(Cookie::record).collect();
        let storage: Vec<Value> = self.local_storage.iter().map(OriginStorage::record).collect();
        json!({ "cookies": cookies, "localStorage": storage })
    }
}

impl OriginStorage {
    fn record(&self) -> Value {
        let items = self.items.iter().map(|(name, _)| json!({ "name": name, "value": REDACTED }));
        json!({ "origin": self.origin, "items": items.collect::<Vec<_>>() })
    }
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
    /// The session whose page is used, instead of a fresh one.
    pub session: Option<SessionId>,
    /// Window.
    pub viewport: Viewport,
    /// Whether the window was left to the session.
    pub own_window: bool,
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
    /// Cookies and local storage of a browser that is signed in.
    pub auth_state: Option<AuthState>,
    /// User agent to send.
    pub user_agent: Option<String>,
    /// IANA time zone the page sees.
    pub time_zone: Option<String>,
    /// Language and region the page sees, and servers are asked for.
    pub locale: Option<Locale>,
    /// Whether the page's content security policy is not applied.
    pub bypass_csp: bool,
    /// What is changed about the page.
    pub edits: Edits,
    /// What is kept from loading.
    pub blocking: Blocking,
    /// Fields through which the session's document was changed before.
    pub carried: Vec<&'static str>,
}

impl PageSettings {
    /// `target` with the hosted API's defaults.
    pub fn of(target: Target) -> Self {
        Self {
            target,
            session: None,
            viewport: Viewport::default(),
            own_window: true,
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
            auth_state: None,
            user_agent: None,
            time_zone: None,
            locale: None,
            bypass_csp: false,
            edits: Edits::default(),
            blocking: Blocking::default(),
            carried: Vec::new(),
        }
    }

    /// The fields through which the page was changed or is not real: an altered view is allowed,
    /// and always marked.
    pub fn altered_by(&self) -> Vec<&'static str> {
        let (edits, blocking) = (&self.edits, &self.blocking);
        let flags = [
            (matches!(self.target, Target::Html(_)), "html"),
            (matches!(self.target, Target::Markdown(_)), "markdown"),
            (self.device.is_some(), "viewportDevice"),
            (self.viewport.mobile, "viewportMobile"),
            (self.viewport.touch, "viewportHasTouch"),
            (self.dark_mode, "darkMode"),
            (self.reduced_motion, "reducedMotion"),
            (self.media_type.is_some(), "mediaType"),
            (self.geolocation.is_some(), "geolocation"),
            (!self.headers.is_empty(), "headers"),
            (!self.cookies.is_empty(), "cookies"),
            (self.auth_state.is_some(), "authState"),
            (self.user_agent.is_some(), "userAgent"),
            (self.time_zone.is_some(), "timeZone"),
            (self.locale.is_some(), "locale"),
            (self.bypass_csp, "bypassCSP"),
            (!edits.hide_selectors.is_empty(), "hideSelectors"),
            (edits.inject_css.is_some(), "injectCss"),
            (edits.inject_js.is_some(), "injectJs"),
            (edits.click.is_some(), "click"),
            (blocking.ads, "blockAds"),
            (blocking.banners, "blockBanners"),
            (blocking.chats, "blockChats"),
            (blocking.trackers, "blockTrackers"),
            (!blocking.requests.is_empty(), "blockRequests"),
            (!blocking.resources.is_empty(), "blockResources"),
        ];
        let mut names: Vec<_> =
            flags.into_iter().filter_map(|(set, name)| set.then_some(name)).collect();
        names.extend(self.carried.iter().filter(|name| !flags.contains(&(true, **name))));
        names
    }

    /// The fields whose effect outlives a capture in a session, as long as its document does.
    pub fn lasting(&self) -> Vec<&'static str> {
        const LASTING: &[&str] = &[
            "html",
            "markdown",
            "cookies",
            "authState",
            "hideSelectors",
            "injectCss",
            "injectJs",
            "click",
            "evaluate",
        ];
        self.altered_by().into_iter().filter(|name| LASTING.contains(name)).collect()
    }

    /// The settings as they are put on record: every field with the value in force; of secrets
    /// only the names, of `html` and injected text only digest and length.
    pub(super) fn record(&self) -> Map<String, Value> {
        let names = self.headers.iter().map(|(name, _)| (name.clone(), REDACTED.into()));
        let headers: Map<String, Value> = names.collect();
        let cookies: Vec<Value> = self.cookies.iter().map(Cookie::record).collect();
        let (mut url, mut html, mut markdown) = (None, None, None);
        match &self.target {
            Target::Url(address) => url = Some(presentable(address)),
            Target::Html(text) => html = Some(digested(text)),
            Target::Markdown(text) => markdown = Some(digested(text)),
            Target::Current => {}
        }
        let (viewport, edits) = (&self.viewport, &self.edits);
        let record = json!({
            "url": url,
            "html": html,
            "markdown": markdown,
            "session_id": self.session,
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
            "authState": self.auth_state.as_ref().map(AuthState::record),
            "userAgent": self.user_agent,
            "timeZone": self.time_zone,
            "locale": self.locale,
            "bypassCSP": self.bypass_csp,
            "hideSelectors": edits.hide_selectors,
            "injectCss": edits.inject_css.as_deref().map(digested),
            "injectJs": edits.inject_js.as_deref().map(digested),
            "click": edits.click,
            "blockAds": self.blocking.ads,
            "blockBanners": self.blocking.banners,
            "blockChats": self.blocking.chats,
            "blockTrackers": self.blocking.trackers,
            "blockRequests": self.blocking.requests,
            "blockResources": self.blocking.resources.iter().map(|kind| kind.word()).collect::<Vec<_>>(),
        });
        match record {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

fn digested(text: &str) -> Value {
    json!({ "sha256": Digest::of(text.as_bytes()), "size_bytes": text.len() })
}
