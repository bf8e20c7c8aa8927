//! Owns the settings of one screenshot after validation: plain values a backend can carry out
//! without looking anything up, and the form in which they are put on record (secrets left out).

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use url::Url;

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
}

impl Default for Viewport {
    fn default() -> Self {
        Self { width: 1280, height: 720, device_scale_factor: 1.0 }
    }
}

/// Encoding of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lossless.
    Png,
    /// Lossy; quality 1 to 100.
    Jpeg(u8),
    /// Lossy; quality 1 to 100.
    Webp(u8),
}

impl Format {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg(_) => "image/jpeg",
            Self::Webp(_) => "image/webp",
        }
    }

    /// The usual ending of such a file's name, which is also the hosted API's word for it.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg(_) => "jpeg",
            Self::Webp(_) => "webp",
        }
    }

    /// Quality, where the format has one.
    pub fn quality(self) -> Option<u8> {
        match self {
            Self::Png => None,
            Self::Jpeg(quality) | Self::Webp(quality) => Some(quality),
        }
    }
}

/// A rectangle in CSS pixels, from the page's top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rect {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// Greater than 0.
    pub width: f64,
    /// Greater than 0.
    pub height: f64,
}

/// Which part of the page the picture shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// What fits the window.
    Viewport,
    /// All of it.
    FullPage,
    /// The first element that a CSS selector matches.
    Element(String),
    /// A rectangle.
    Clip(Rect),
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

/// Everything about one screenshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Shot {
    /// What is to be captured.
    pub target: Target,
    /// Window.
    pub viewport: Viewport,
    /// Encoding.
    pub format: Format,
    /// Part of the page.
    pub region: Region,
    /// Pause between the page's being ready and the picture.
    pub delay: Duration,
    /// How far the page must have come.
    pub wait_until: WaitUntil,
    /// A CSS selector that must match before the picture is taken.
    pub wait_for_selector: Option<String>,
    /// Limit for navigating and waiting.
    pub navigation_timeout: Duration,
    /// Whether pages are told that the user prefers dark colours.
    pub dark_mode: bool,
    /// Whether the page's default background is transparent.
    pub omit_background: bool,
    /// Request headers added to every request of the page; values are secrets.
    pub headers: Vec<(String, Secret<String>)>,
    /// Cookies.
    pub cookies: Vec<Cookie>,
    /// User agent to send.
    pub user_agent: Option<String>,
    /// IANA time zone the page sees.
    pub time_zone: Option<String>,
}

impl Shot {
    /// A plain screenshot of `target` with the hosted API's defaults.
    pub fn of(target: Target) -> Self {
        Self {
            target,
            viewport: Viewport::default(),
            format: Format::Png,
            region: Region::Viewport,
            delay: Duration::ZERO,
            wait_until: WaitUntil::NetworkIdle2,
            wait_for_selector: None,
            navigation_timeout: Duration::from_millis(25_000),
            dark_mode: false,
            omit_background: false,
            headers: Vec::new(),
            cookies: Vec::new(),
            user_agent: None,
            time_zone: None,
        }
    }

    /// The fields through which the page was changed or is not real: an altered view is allowed,
    /// and always marked.
    pub fn altered_by(&self) -> Vec<&'static str> {
        let flags = [
            (matches!(self.target, Target::Html(_)), "html"),
            (self.dark_mode, "darkMode"),
            (self.omit_background, "omitBackground"),
            (!self.headers.is_empty(), "headers"),
            (!self.cookies.is_empty(), "cookies"),
            (self.user_agent.is_some(), "userAgent"),
            (self.time_zone.is_some(), "timeZone"),
        ];
        flags.into_iter().filter_map(|(set, name)| set.then_some(name)).collect()
    }

    /// The settings as they are put on record: every field with the value in force; of secrets
    /// only the names, of `html` only its digest and length.
    pub fn record(&self) -> Value {
        let names = self.headers.iter().map(|(name, _)| (name.clone(), REDACTED.into()));
        let headers: serde_json::Map<String, Value> = names.collect();
        let cookies: Vec<Value> = self.cookies.iter().map(cookie_record).collect();
        let (selector, clip) = match &self.region {
            Region::Element(selector) => (Some(selector), None),
            Region::Clip(clip) => (None, Some(clip)),
            Region::Viewport | Region::FullPage => (None, None),
        };
        let (url, html) = match &self.target {
            Target::Url(url) => (Some(presentable(url)), None),
            Target::Html(html) => {
                let sha256 = Digest::of(html.as_bytes());
                (None, Some(json!({ "sha256": sha256, "size_bytes": html.len() })))
            }
        };
        json!({
            "url": url,
            "html": html,
            "width": self.viewport.width,
            "height": self.viewport.height,
            "deviceScaleFactor": self.viewport.device_scale_factor,
            "format": self.format.extension(),
            "quality": self.format.quality(),
            "fullPage": self.region == Region::FullPage,
            "selector": selector,
            "clip": clip,
            "delay": self.delay.as_millis(),
            "waitUntil": self.wait_until.as_str(),
            "waitForSelector": self.wait_for_selector,
            "navigationTimeout": self.navigation_timeout.as_millis(),
            "darkMode": self.dark_mode,
            "omitBackground": self.omit_background,
            "headers": headers,
            "cookies": cookies,
            "userAgent": self.user_agent,
            "timeZone": self.time_zone,
        })
    }
}

fn cookie_record(cookie: &Cookie) -> Value {
    json!({ "name": cookie.name, "value": REDACTED, "domain": cookie.domain, "path": cookie.path })
}

/// `url` with user name and password replaced by a mark, as it may be shown and put on record.
pub fn presentable(url: &Url) -> String {
    if url.username().is_empty() && url.password().is_none() {
        return url.to_string();
    }
    let mut url = url.clone();
    // Both fail only for addresses without a host, which have no user either.
    let _ = url.set_password(None);
    let _ = url.set_username("redacted");
    url.to_string()
}

/// [`presentable`] for an address that is still text; what is no address stays as it is.
pub fn presentable_text(text: String) -> String {
    // Without an @ there is no user, and nothing to be parsed for.
    if !text.contains('@') {
        return text;
    }
    text.parse().map_or(text, |url| presentable(&url))
}

/// Where in its run a capture belongs: `before`, `during`, `after`, or a name of the caller's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Stage(String);

impl Stage {
    /// The stage called `name`: 1 to 40 lower-case letters, digits and hyphens, beginning with a
    /// letter or digit (it becomes part of a folder's name).
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound =
            (1..=40).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('-');
        sound.then(|| Self(name.to_owned()))
    }

    /// The stage of a capture for which none was named.
    pub fn during() -> Self {
        Self("during".to_owned())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_reaches_the_record() {
        let url = "https://alice:hunter2@desk.example/refunds".parse().expect("an address");
        let mut shot = Shot::of(Target::Url(url));
        shot.headers.push(("Authorization".to_owned(), Secret::new("Bearer hunter2".to_owned())));
        shot.cookies.push(Cookie {
            name: "session".to_owned(),
            value: Secret::new("hunter2".to_owned()),
            domain: None,
            path: None,
            secure: true,
            http_only: true,
        });
        let record = shot.record().to_string();
        assert!(!record.contains("hunter2"), "{record}");
        assert!(!format!("{:?}", shot.headers).contains("hunter2"));
        assert!(record.contains("https://redacted@desk.example/refunds"), "{record}");
        assert_eq!(shot.altered_by(), ["headers", "cookies"]);
    }

    #[test]
    fn stages_are_safe_in_a_path() {
        assert!(Stage::new("before").is_some());
        assert!(Stage::new("2-after-approval").is_some());
        for bad in ["", "../up", "Before", "a b", "-x", &"x".repeat(41)] {
            assert_eq!(Stage::new(bad), None, "{bad}");
        }
    }
}
