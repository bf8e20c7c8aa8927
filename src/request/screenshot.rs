//! Owns the reading of a screenshot request: the hosted API's fields, names, defaults and limits
//! (docs/API.md lists them), and the spellings public callers also send.

use std::time::Duration;

use serde_json::{Map, Value};
use url::Url;

use super::fields::{Fields, shortened};
use crate::error::{Code, Problem};
use crate::secret::Secret;
use crate::settings::{Cookie, Format, Rect, Region, Shot, Stage, Target, Viewport, WaitUntil};

/// Fields of the hosted API that are known and not supported yet: refused by name, never ignored.
pub const UNSUPPORTED: &[&str] = &[
    "authState",
    "authorization",
    "blockAds",
    "blockBanners",
    "blockChats",
    "blockRequests",
    "blockResources",
    "blockTrackers",
    "bypassCSP",
    "click",
    "extractMetadata",
    "fullPageMaxHeight",
    "fullPageScroll",
    "fullPageScrollBy",
    "fullPageScrollDelay",
    "geolocation",
    "hideSelectors",
    "injectCss",
    "injectJs",
    "markdown",
    "mediaType",
    "reducedMotion",
    "session_id",
    "style",
    "viewportDevice",
    "viewportHasTouch",
    "viewportLandscape",
    "viewportMobile",
];

/// Largest `html`: what the default body limit lets through.
const HTML_LIMIT: usize = 10 * 1024 * 1024;
const WAITS: &[(&str, WaitUntil)] = &[
    ("load", WaitUntil::Load),
    ("domcontentloaded", WaitUntil::DomContentLoaded),
    ("networkidle0", WaitUntil::NetworkIdle0),
    ("networkidle2", WaitUntil::NetworkIdle2),
    // Playwright's word, which public callers send.
    ("networkidle", WaitUntil::NetworkIdle2),
];

/// A screenshot request that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenshotRequest {
    /// The picture asked for.
    pub shot: Shot,
    /// Whether the answer is JSON with base64 instead of the picture's bytes.
    pub json: bool,
    /// Stage named in the body, where the endpoint has one.
    pub stage: Option<Stage>,
    /// Spellings that were accepted in place of a field's name: (sent, meant).
    pub aliases: Vec<(&'static str, &'static str)>,
}

impl ScreenshotRequest {
    /// Read a request body.
    ///
    /// # Errors
    /// Every problem found, as one: the first with its field, the others in the hint.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let request = read(&mut fields);
        fields.refuse_leftovers(UNSUPPORTED);
        fields.finish(request)
    }
}

fn read(fields: &mut Fields) -> Option<ScreenshotRequest> {
    let aliases = take_aliases(fields);
    let target = target(fields);
    let viewport = Viewport {
        width: fields.int("width", 1..=3840).unwrap_or(1280),
        height: fields.int("height", 1..=2160).unwrap_or(720),
        device_scale_factor: fields.number("deviceScaleFactor", 1.0..=3.0).unwrap_or(1.0),
    };
    let format = format(fields);
    let region = region(fields);
    let millis =
        |value: Option<u32>, default| Duration::from_millis(u64::from(value.unwrap_or(default)));
    let delay = millis(fields.int("delay", 0..=30_000), 0);
    let navigation_timeout = millis(fields.int("navigationTimeout", 0..=30_000), 25_000);
    let cookies = cookies(fields, target.as_ref());
    let stage = fields.text("stage", 100).and_then(|name| stage(fields, &name));
    let shot = Shot {
        viewport,
        format,
        region,
        delay,
        navigation_timeout,
        wait_until: fields.choice("waitUntil", WAITS).unwrap_or(WaitUntil::NetworkIdle2),
        wait_for_selector: fields.filled_text("waitForSelector", 2_000),
        dark_mode: fields.flag("darkMode").unwrap_or(false),
        omit_background: fields.flag("omitBackground").unwrap_or(false),
        headers: headers(fields),
        cookies,
        user_agent: fields.filled_text("userAgent", 1_000),
        time_zone: fields.filled_text("timeZone", 100),
        target: target.clone().unwrap_or(Target::Html(String::new())),
    };
    let json = fields.choice("response_type", &[("json", true), ("binary", false)]);
    target.map(|_| ScreenshotRequest { shot, json: json.unwrap_or(false), stage, aliases })
}

/// Take the misspellings that public callers send for what they mean.
fn take_aliases(fields: &mut Fields) -> Vec<(&'static str, &'static str)> {
    const ALIASES: &[(&str, &str)] = &[
        ("full_page", "fullPage"),
        ("wait_until", "waitUntil"),
        ("dark_mode", "darkMode"),
        ("wait_for_selector", "waitForSelector"),
    ];
    let mut taken = Vec::new();
    for &(sent, meant) in ALIASES {
        if fields.rename(sent, meant) {
            taken.push((sent, meant));
        }
    }
    taken
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
            Ok(url) => allowed_scheme(fields, url),
            Err(error) => {
                let found = format!("not an address ({error}): {}", shortened(&url));
                fields.wrong("url", &found, "give one like https://example.com/")
            }
        },
    }
}

/// Only pages of the web: everything else either is no page or reaches into the host.
fn allowed_scheme(fields: &mut Fields, url: Url) -> Option<Target> {
    if !url.username().is_empty() || url.password().is_some() {
        // The browser would write them into the page's own snapshots.
        let remedy = "send them as `headers`, {\"Authorization\": …}";
        return fields.wrong("url", "an address with a user name or password in it", remedy);
    }
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Some(Target::Url(url));
    }
    let message = format!(
        "`url` has the scheme `{}:`, which is never captured; give an http or https address",
        shortened(url.scheme())
    );
    fields.problem(Problem::new(Code::TargetForbidden, message).field("url"))
}

fn format(fields: &mut Fields) -> Format {
    let quality = fields.int("quality", 1..=100).and_then(|quality| u8::try_from(quality).ok());
    let quality = quality.unwrap_or(80);
    let formats = [
        ("png", Format::Png),
        ("jpeg", Format::Jpeg(quality)),
        ("jpg", Format::Jpeg(quality)),
        ("webp", Format::Webp(quality)),
    ];
    fields.choice("format", &formats).unwrap_or(Format::Png)
}

fn region(fields: &mut Fields) -> Region {
    let full_page = fields.flag("fullPage").unwrap_or(false);
    let selector = fields.filled_text("selector", 2_000);
    let clip = fields.object("clip", clip);
    let given =
        [(full_page, "fullPage"), (selector.is_some(), "selector"), (clip.is_some(), "clip")];
    let given: Vec<&str> = given.into_iter().filter_map(|(is, name)| is.then_some(name)).collect();
    if let [first, second, ..] = given[..] {
        let message = format!("`{first}` and `{second}` exclude each other; give one");
        let problem = Problem::new(Code::ConflictingFields, message).field(second);
        let _: Option<()> = fields.problem(problem);
    }
    match (selector, clip) {
        (Some(selector), _) => Region::Element(selector),
        (None, Some(clip)) => Region::Clip(clip),
        (None, None) if full_page => Region::FullPage,
        (None, None) => Region::Viewport,
    }
}

fn clip(fields: &mut Fields) -> Option<Rect> {
    const FAR: f64 = 1_000_000.0;
    let mut side = |name, least| {
        if !fields.has(name) {
            let field = format!("clip.{name}");
            let message = format!("`{field}` is missing; a clip needs x, y, width and height");
            return fields.problem(Problem::new(Code::MissingField, message).field(field));
        }
        fields.number(name, least..=FAR)
    };
    let (x, y) = (side("x", 0.0), side("y", 0.0));
    let (width, height) = (side("width", 1.0), side("height", 1.0));
    Some(Rect { x: x?, y: y?, width: width?, height: height? })
}

fn stage(fields: &mut Fields, name: &str) -> Option<Stage> {
    Stage::new(name).or_else(|| {
        let remedy = "give 1 to 40 lower-case letters, digits and hyphens, like `before`";
        fields.wrong("stage", &format!("`{}`", shortened(name)), remedy)
    })
}

fn headers(fields: &mut Fields) -> Vec<(String, Secret<String>)> {
    let Some(Value::Object(map)) = fields.value("headers").or(Some(Value::Object(Map::new())))
    else {
        let _: Option<()> = fields.wrong("headers", "not an object", "give {\"Name\": \"value\"}");
        return Vec::new();
    };
    let mut headers = Vec::new();
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

fn cookies(fields: &mut Fields, target: Option<&Target>) -> Vec<Cookie> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(body: Value) -> Result<ScreenshotRequest, Problem> {
        ScreenshotRequest::read(body)
    }

    /// The code and the field of the problem with `body`.
    fn refused(body: Value) -> (Code, String) {
        let shown = body.to_string();
        let problem = read(body).expect_err(&shown);
        assert!(
            problem.message.contains(';') || problem.message.contains('?'),
            "no remedy: {problem}"
        );
        (problem.code, problem.field.unwrap_or_default())
    }

    #[test]
    fn the_seed_callers_request_has_the_documented_defaults() {
        let request = read(json!({"url": "https://example.com", "format": "png"})).expect("sound");
        let expected = Shot::of(Target::Url("https://example.com".parse().expect("an address")));
        assert_eq!(request.shot, expected);
        assert!(!request.json && request.stage.is_none() && request.aliases.is_empty());
    }

    #[test]
    fn every_limit_holds_just_inside_and_just_outside() {
        let limits = [
            ("width", 1.0, 3840.0),
            ("height", 1.0, 2160.0),
            ("quality", 1.0, 100.0),
            ("delay", 0.0, 30_000.0),
            ("navigationTimeout", 0.0, 30_000.0),
            ("deviceScaleFactor", 1.0, 3.0),
        ];
        for (field, least, most) in limits {
            let body = |value: f64| json!({"url": "http://a.example/", field: value});
            read(body(least)).expect(field);
            read(body(most)).expect(field);
            assert_eq!(refused(body(least - 1.0)), (Code::InvalidField, field.to_owned()));
            assert_eq!(refused(body(most + 1.0)), (Code::InvalidField, field.to_owned()));
        }
    }

    #[test]
    fn wrong_types_are_named() {
        let wrong = [
            ("url", json!(7)),
            ("html", json!({})),
            ("width", json!("1280")),
            ("width", json!(12.5)),
            ("width", json!(-1)),
            ("width", json!(1e300)),
            ("fullPage", json!("yes")),
            ("format", json!("gif")),
            ("format", json!(1)),
            ("waitUntil", json!("eventually")),
            ("headers", json!([])),
            ("cookies", json!("a=b")),
            ("clip", json!(5)),
            ("userAgent", json!("")),
            ("response_type", json!("xml")),
            ("stage", json!("../up")),
        ];
        for (field, value) in wrong {
            let mut body = json!({"url": "http://a.example/"});
            body[field] = value;
            assert_eq!(refused(body), (Code::InvalidField, field.to_owned()));
        }
    }

    #[test]
    fn only_pages_of_the_web_are_targets() {
        for url in [
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "javascript:alert(1)",
            "chrome://version",
            "data:text/html,x",
            "about:blank",
            "ftp://a.example/",
            "view-source:http://a.example/",
            "blob:http://a.example/1",
        ] {
            assert_eq!(refused(json!({"url": url})), (Code::TargetForbidden, "url".to_owned()));
        }
        let named = ["http://alice@a.example/", "http://:hunter2@a.example/"];
        for url in ["example.com", "http://", "//a.example", " "].into_iter().chain(named) {
            assert_eq!(refused(json!({"url": url})), (Code::InvalidField, "url".to_owned()));
        }
    }

    #[test]
    fn one_target_is_needed_and_one_region_at_most() {
        assert_eq!(refused(json!({})), (Code::MissingField, "url".to_owned()));
        assert_eq!(
            refused(json!({"url": "http://a.example/", "html": "x"})),
            (Code::ConflictingFields, "html".to_owned())
        );
        assert_eq!(
            refused(json!({"html": "x", "fullPage": true, "selector": "p"})),
            (Code::ConflictingFields, "selector".to_owned())
        );
        assert_eq!(
            refused(json!({"html": "x", "clip": {"x": 0, "y": 0, "width": 5}})),
            (Code::MissingField, "clip.height".to_owned())
        );
    }

    #[test]
    fn known_but_unsupported_and_unknown_fields_are_told_apart() {
        for &field in UNSUPPORTED {
            let body = json!({"url": "http://a.example/", field: true});
            assert_eq!(refused(body), (Code::UnsupportedField, field.to_owned()));
        }
        let problem =
            read(json!({"url": "http://a.example/", "fulPage": true})).expect_err("unknown");
        assert_eq!(problem.code, Code::UnknownField);
        assert_eq!(problem.message, "`fulPage` is not a field here; did you mean `fullPage`?");
    }

    #[test]
    fn all_problems_arrive_in_one_answer() {
        let body = json!({"url": "http://a.example/", "width": 0, "height": "x", "colour": 1});
        let problem = read(body).expect_err("three problems");
        assert_eq!(problem.field.as_deref(), Some("width"));
        let hint = problem.hint.expect("the others");
        assert!(hint.contains("`height`") && hint.contains("`colour`"), "{hint}");
    }

    #[test]
    fn misspellings_of_public_callers_are_understood_and_noted() {
        let body =
            json!({"url": "http://a.example/", "full_page": true, "wait_until": "networkidle"});
        let request = read(body).expect("understood");
        assert_eq!(request.shot.region, Region::FullPage);
        assert_eq!(request.shot.wait_until, WaitUntil::NetworkIdle2);
        assert_eq!(request.aliases, [("full_page", "fullPage"), ("wait_until", "waitUntil")]);
    }

    #[test]
    fn cookies_come_as_pairs_or_objects() {
        let cookies =
            json!(["a=1=2", {"name": "b", "value": "2", "domain": "a.example", "hostOnly": true}]);
        let request = read(json!({"url": "http://a.example/", "cookies": cookies})).expect("sound");
        let read: Vec<_> = request
            .shot
            .cookies
            .iter()
            .map(|c| (c.name.as_str(), c.value.expose().as_str()))
            .collect();
        assert_eq!(read, [("a", "1=2"), ("b", "2")]);
        let (code, field) = refused(json!({"url": "http://a.example/", "cookies": ["novalue"]}));
        assert_eq!((code, field.as_str()), (Code::InvalidField, "cookies[0]"));
    }
}
