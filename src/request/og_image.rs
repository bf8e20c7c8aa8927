//! Owns the reading of a request for a social card: `POST /og-image`. The card is a page of ours,
//! made of a template, of which a picture is taken as of any other.

use std::fmt::Write as _;

use serde_json::Value;
use url::Url;

use super::fields::{Fields, shortened};
use super::{CaptureRequest, page, screenshot};
use crate::error::Problem;
use crate::settings::{
    CaptureSettings, PageSettings, Picture, Product, Region, Target, Viewport, WaitUntil,
};

/// Longest title and subtitle, in bytes.
const TITLE: usize = 500;
/// Largest card of the caller's own.
const HTML: usize = 1024 * 1024;

/// What all templates share; the rest is colours and places.
const STYLE: &str = include_str!("og_image.css");

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Template {
    Default,
    Minimal,
    Gradient,
}

impl Template {
    fn class(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Minimal => "minimal",
            Self::Gradient => "gradient",
        }
    }

    /// Background, text and accent when the caller names none.
    fn colors(self) -> [&'static str; 3] {
        match self {
            Self::Default => ["#ffffff", "#14181f", "#1f6feb"],
            Self::Minimal => ["#f6f5f2", "#1c1c1c", "#8a8578"],
            Self::Gradient => ["#12355b", "#ffffff", "#1d7874"],
        }
    }
}

/// Read the body of `POST /og-image`.
///
/// # Errors
/// Every problem found, as one: the first with its field, the others in the hint.
pub fn read_og_image(body: Value) -> Result<CaptureRequest, Problem> {
    let mut fields = Fields::of(body)?;
    let request = read(&mut fields);
    fields.refuse_leftovers();
    fields.finish(Some(request))
}

fn read(fields: &mut Fields) -> CaptureRequest {
    let viewport = Viewport {
        width: fields.int("width", 1..=2400).unwrap_or(1200),
        height: fields.int("height", 1..=1260).unwrap_or(630),
        ..Viewport::default()
    };
    let format = screenshot::format(fields);
    let picture = Picture { format, region: Region::Viewport, omit_background: false };
    let card = card(fields, viewport);
    let own = fields.filled_text("html", HTML);
    let stage = page::stage(fields);
    let (json, aliases) = (page::json(fields), fields.aliases());
    let page = PageSettings {
        viewport,
        // Logo and picture are there at `load`, and nothing comes later.
        wait_until: WaitUntil::Load,
        ..PageSettings::of(Target::Html(own.unwrap_or(card)))
    };
    let settings = CaptureSettings { page, product: Product::Picture(picture) };
    CaptureRequest { json, stage, aliases, ..CaptureRequest::new(settings) }
}

/// The card as a document.
fn card(fields: &mut Fields, viewport: Viewport) -> String {
    const TEMPLATES: &[(&str, Template)] = &[
        ("default", Template::Default),
        ("minimal", Template::Minimal),
        ("gradient", Template::Gradient),
    ];
    let template = fields.choice("template", TEMPLATES).unwrap_or(Template::Gradient);
    let title = fields.text("title", TITLE).unwrap_or_else(|| "Your Title Here".to_owned());
    let subtitle = fields.text("subtitle", TITLE).unwrap_or_default();
    let (logo, picture) = (image(fields, "logo"), image(fields, "bgImage"));
    let own = template.colors();
    let mut color = |name, own: &str| color(fields, name).unwrap_or_else(|| own.to_owned());
    let background = color("bgColor", own[0]);
    let text = color("textColor", own[1]);
    let accent = color("accentColor", own[2]);

    // A long title is set smaller, so that it stays on the card.
    let size = match title.chars().count() {
        0..=24 => 8.0,
        25..=48 => 6.4,
        49..=90 => 5.0,
        91..=180 => 3.8,
        _ => 2.6,
    };
    let mut html =
        String::from("<!doctype html><meta charset=\"utf-8\"><title>Card</title><style>");
    let unit = f64::from(viewport.width) / 100.0;
    let _ = write!(
        html,
        ":root {{ --unit: {unit}px; --size: {size}; --background: {background}; --text: {text}; \
         --accent: {accent} }}\n{STYLE}</style><body class=\"{}\">",
        template.class()
    );
    for (class, url) in [("picture", picture), ("logo", logo)] {
        if let Some(url) = url {
            let _ =
                write!(html, "<img class=\"{class}\" alt=\"\" src=\"{}\">", escaped(url.as_str()));
        }
    }
    let _ = write!(html, "<main><h1>{}</h1>", escaped(&title));
    if !subtitle.is_empty() {
        let _ = write!(html, "<p>{}</p>", escaped(&subtitle));
    }
    html.push_str("</main></body>");
    html
}

fn image(fields: &mut Fields, name: &'static str) -> Option<Url> {
    let text = fields.filled_text(name, 8_192)?;
    let url = text.parse::<Url>().ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.or_else(|| {
        let found = format!("no address of a picture: {}", shortened(&text));
        fields.wrong(name, &found, "give one like https://example.com/logo.png")
    })
}

/// A colour in CSS's hexadecimal notation.
fn color(fields: &mut Fields, name: &'static str) -> Option<String> {
    let text = fields.filled_text(name, 100)?;
    let digits = text.strip_prefix('#').unwrap_or(&text);
    if matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Some(format!("#{digits}"));
    }
    let found = format!("no colour: {}", shortened(&text));
    fields.wrong(name, &found, "give one in hexadecimal, like #1f6feb")
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use serde_json::json;

    #[test]
    fn nothing_is_mandatory_and_nothing_escapes_its_place() {
        let request = read_og_image(json!({})).expect("sound");
        let viewport = request.settings.page.viewport;
        assert_eq!((viewport.width, viewport.height), (1200, 630));
        let body = json!({ "title": "<script>&\"x", "logo": "https://a.example/l.png?a=\"b" });
        let request = read_og_image(body).expect("sound");
        let Target::Html(html) = &request.settings.page.target else { panic!("a document") };
        assert!(
            html.contains("&lt;script&gt;&amp;&quot;x") && !html.contains("<script>"),
            "{html}"
        );
        assert!(html.contains("l.png?a=%22b"), "{html}");
    }

    #[test]
    fn limits_hold_just_inside_and_just_outside() {
        for (inside, outside) in [
            (json!({ "width": 2400 }), json!({ "width": 2401 })),
            (json!({ "height": 1260 }), json!({ "height": 1261 })),
            (json!({ "width": 1 }), json!({ "width": 0 })),
            (json!({ "bgColor": "#fff" }), json!({ "bgColor": "red;}" })),
            (json!({ "template": "minimal" }), json!({ "template": "fancy" })),
            (json!({ "logo": "http://a.example/" }), json!({ "logo": "file:///etc/passwd" })),
            (json!({ "title": "x".repeat(500) }), json!({ "title": "x".repeat(501) })),
        ] {
            read_og_image(inside.clone()).unwrap_or_else(|problem| panic!("{inside}: {problem}"));
            let problem = read_og_image(outside.clone()).expect_err("outside");
            assert_eq!(problem.code, Code::InvalidField, "{outside}");
        }
    }
}
