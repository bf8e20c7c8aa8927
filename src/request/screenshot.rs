//! Owns the reading of a screenshot request: the hosted API's fields, names, defaults and limits
//! (docs/API.md lists them), and the spellings public callers also send.

use std::time::Duration;

use serde_json::Value;

use super::fields::Fields;
use super::{CaptureRequest, page};
use crate::error::{Code, Problem};
use crate::settings::{CaptureSettings, Format, FullPage, Picture, Product, Rect, Region};

/// Read the body of `POST /screenshot`.
///
/// # Errors
/// Every problem found, as one: the first with its field, the others in the hint.
pub fn read_screenshot(body: Value) -> Result<CaptureRequest, Problem> {
    let mut fields = Fields::of(body)?;
    let request = read(&mut fields);
    fields.refuse_leftovers();
    fields.finish(request)
}

fn read(fields: &mut Fields) -> Option<CaptureRequest> {
    let page = page::read(fields);
    let picture = picture(fields);
    let stage = page::stage(fields);
    let json = page::json(fields);
    let metadata = fields.flag("extractMetadata").unwrap_or(false);
    let ignored = decoration(fields);
    let aliases = fields.aliases();
    let product = Product::Picture(picture);
    page.map(|page| CaptureRequest {
        json,
        metadata,
        stage,
        aliases,
        ignored,
        ..CaptureRequest::new(CaptureSettings { page, product })
    })
}

/// Decoration is for presentation; the evidence is always the plain picture.
pub(super) fn decoration(fields: &mut Fields) -> Vec<&'static str> {
    let style = fields.object("style", |style| Some(style.rest()));
    style.filter(|style| !style.is_empty()).map(|_| "style").into_iter().collect()
}

/// Read what the picture is to show, and in which form.
pub(super) fn picture(fields: &mut Fields) -> Picture {
    let (format, region) = (format(fields), region(fields));
    Picture { format, region, omit_background: fields.flag("omitBackground").unwrap_or(false) }
}

pub(super) fn format(fields: &mut Fields) -> Format {
    let quality = fields.int("quality", 1..=100).and_then(|quality| u8::try_from(quality).ok());
    encoding(fields, "format", quality.unwrap_or(80)).unwrap_or(Format::Png)
}

/// The encoding that the field `name` names.
pub(super) fn encoding(fields: &mut Fields, name: &'static str, quality: u8) -> Option<Format> {
    let formats = [
        ("png", Format::Png),
        ("jpeg", Format::Jpeg(quality)),
        ("jpg", Format::Jpeg(quality)),
        ("webp", Format::Webp(quality)),
    ];
    fields.choice(name, &formats)
}

/// The part of the page that is to be seen.
pub(super) fn region(fields: &mut Fields) -> Region {
    let full_page = fields.flag("fullPage").unwrap_or(false);
    let settings = full_page_settings(fields);
    if settings.expand_scrollers && !full_page {
        let message =
            "`expandScrollers` is for the whole page; give `fullPage`, too, or leave it out";
        let problem = Problem::new(Code::ConflictingFields, message).field("expandScrollers");
        let _: Option<()> = fields.problem(problem);
    }
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
        (None, None) if full_page => Region::FullPage(settings),
        (None, None) => Region::Viewport,
    }
}

fn full_page_settings(fields: &mut Fields) -> FullPage {
    let delay = fields.int("fullPageScrollDelay", 0..=2_000);
    FullPage {
        scroll: fields.flag("fullPageScroll").unwrap_or(true),
        scroll_delay: delay.map(|delay| Duration::from_millis(u64::from(delay))),
        scroll_by: fields.int("fullPageScrollBy", 1..=100_000),
        max_height: fields.int("fullPageMaxHeight", 1..=1_000_000),
        expand_scrollers: fields.flag("expandScrollers").unwrap_or(false),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{PageSettings, Target, WaitUntil};
    use serde_json::json;

    fn read(body: Value) -> Result<CaptureRequest, Problem> {
        read_screenshot(body)
    }

    fn picture(request: &CaptureRequest) -> &Picture {
        match &request.settings.product {
            Product::Picture(picture) => picture,
            other => panic!("a picture was asked for, not {other:?}"),
        }
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
        let target = Target::Url("https://example.com".parse().expect("an address"));
        assert_eq!(request.settings.page, PageSettings::of(target));
        assert_eq!(*picture(&request), Picture::default());
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
            ("expandScrollers", json!("all")),
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
            refused(json!({"html": "x", "expandScrollers": true})),
            (Code::ConflictingFields, "expandScrollers".to_owned())
        );
        let body = json!({"html": "x", "fullPage": true, "expandScrollers": true});
        let request = read(body).expect("sound");
        assert_eq!(request.settings.altered_by(), ["html", "expandScrollers"]);
        assert_eq!(request.settings.record()["expandScrollers"], true);
        assert_eq!(
            refused(json!({"html": "x", "clip": {"x": 0, "y": 0, "width": 5}})),
            (Code::MissingField, "clip.height".to_owned())
        );
    }

    #[test]
    fn what_loads_the_page_is_read_and_unknown_fields_are_named() {
        let body = json!({
            "markdown": "# A", "blockAds": true, "blockResources": ["image"],
            "blockRequests": ["*.example/*"], "viewport": { "width": 400, "height": 300 },
            "authState": {
                "cookies": [{ "name": "a", "value": "hunter2", "url": "http://a.example/" }],
                "localStorage": [{
                    "origin": "http://a.example/x",
                    "items": [{ "name": "token", "value": "hunter2" }],
                }],
            },
        });
        let request = read(body).expect("sound");
        let page = &request.settings.page;
        assert!(page.target.is_written() && page.viewport.width == 400);
        let state = page.auth_state.as_ref().expect("given");
        assert_eq!(state.local_storage[0].origin, "http://a.example");
        assert!(!request.settings.record().to_string().contains("hunter2"));
        assert_eq!(request.aliases, [("viewport", "width, height, deviceScaleFactor")]);
        for altered in ["markdown", "blockAds", "blockResources", "blockRequests", "authState"] {
            assert!(request.settings.altered_by().contains(&altered), "{altered}");
        }
        for (field, value) in [
            ("markdown", json!(1)),
            ("blockResources", json!(["websocket"])),
            ("session_id", json!("../x")),
        ] {
            let mut body = json!({ "url": "http://a.example/" });
            body[field] = value;
            assert_eq!(refused(body), (Code::InvalidField, field.to_owned()));
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
        assert_eq!(picture(&request).region, Region::FullPage(FullPage::default()));
        assert_eq!(request.settings.page.wait_until, WaitUntil::NetworkIdle2);
        assert_eq!(request.aliases, [("full_page", "fullPage"), ("wait_until", "waitUntil")]);
    }

    #[test]
    fn cookies_come_as_pairs_or_objects() {
        let cookies =
            json!(["a=1=2", {"name": "b", "value": "2", "domain": "a.example", "hostOnly": true}]);
        let request = read(json!({"url": "http://a.example/", "cookies": cookies})).expect("sound");
        let read: Vec<_> = request
            .settings
            .page
            .cookies
            .iter()
            .map(|c| (c.name.as_str(), c.value.expose().as_str()))
            .collect();
        assert_eq!(read, [("a", "1=2"), ("b", "2")]);
        let (code, field) = refused(json!({"url": "http://a.example/", "cookies": ["novalue"]}));
        assert_eq!((code, field.as_str()), (Code::InvalidField, "cookies[0]"));
    }

    #[test]
    fn a_device_is_a_window_that_other_fields_change() {
        let body = json!({
            "url": "http://a.example/", "viewportDevice": "iphone_14_pro", "viewportLandscape": true,
            "deviceScaleFactor": 1,
        });
        let page = read(body).expect("sound").settings.page;
        assert_eq!((page.viewport.width, page.viewport.height), (852, 393));
        assert_eq!((page.viewport.device_scale_factor, page.viewport.mobile), (1.0, true));
        assert!(page.user_agent.expect("the device's").contains("iPhone"));
        let body = json!({"url": "http://a.example/", "viewportDevice": "iphone_14_por"});
        let problem = read(body).expect_err("unknown");
        assert!(problem.message.contains("did you mean `iphone_14_pro`"), "{problem}");
    }

    #[test]
    fn what_changes_the_page_is_read_and_what_decorates_the_picture_is_listed() {
        let body = json!({
            "url": "http://a.example/", "hideSelectors": [".ad"], "injectCss": "p{}",
            "injectJs": "1", "click": "#go", "bypassCSP": true, "authorization": "Basic x",
            "mediaType": "print", "reducedMotion": true, "style": { "frame": "macos" },
            "geolocation": { "latitude": 52.5, "longitude": 13.4 }, "extractMetadata": true,
        });
        let request = read(body).expect("sound");
        let altered = request.settings.altered_by();
        for name in ["hideSelectors", "injectCss", "injectJs", "click", "bypassCSP", "headers"] {
            assert!(altered.contains(&name), "{name} is not in {altered:?}");
        }
        assert_eq!(request.ignored, ["style"]);
        assert!(request.metadata && !request.settings.record().to_string().contains("Basic x"));
        let long = "x".repeat(50 * 1024 + 1);
        let cases = [
            ("injectCss", json!(long)),
            ("hideSelectors", json!("p")),
            ("mediaType", json!("radio")),
            ("geolocation.latitude", json!({ "latitude": 91, "longitude": 0 })),
            ("fullPageScrollDelay", json!(2_001)),
        ];
        for (field, value) in cases {
            let mut body = json!({"url": "http://a.example/"});
            body[field.split('.').next().expect("a name")] = value;
            assert_eq!(refused(body), (Code::InvalidField, field.to_owned()));
        }
    }
}
