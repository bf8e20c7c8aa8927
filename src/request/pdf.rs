//! Owns the reading of a PDF request: the hosted API's fields of `POST /pdf`, and those that every
//! endpoint which loads a page shares.

use serde_json::Value;

use super::fields::{Fields, shortened};
use super::{CaptureRequest, page};
use crate::error::Problem;
use crate::settings::pdf::{Margin, Paper, Pdf, inches};
use crate::settings::{CaptureSettings, Product};

/// Longest header or footer template.
const TEMPLATE: usize = 50 * 1024;
/// Largest distance and sheet, in inches.
const FAR: f64 = 200.0;

/// Read the body of `POST /pdf`.
///
/// # Errors
/// Every problem found, as one: the first with its field, the others in the hint.
pub fn read_pdf(body: Value) -> Result<CaptureRequest, Problem> {
    let mut fields = Fields::of(body)?;
    let request = read(&mut fields);
    fields.refuse_leftovers();
    fields.finish(request)
}

fn read(fields: &mut Fields) -> Option<CaptureRequest> {
    let pdf = pdf(fields);
    let page = page::read(fields);
    let stage = page::stage(fields);
    let (json, aliases) = (page::json(fields), fields.aliases());
    page.map(|page| {
        let settings = CaptureSettings { page, product: Product::Pdf(pdf) };
        CaptureRequest { json, stage, aliases, ..CaptureRequest::new(settings) }
    })
}

/// Read how the page is printed.
pub(super) fn pdf(fields: &mut Fields) -> Pdf {
    // `width` and `height` mean the sheet here, and not the window.
    let (width, height) = (length(fields, "width"), length(fields, "height"));
    Pdf {
        paper: paper(fields, width, height),
        landscape: fields.flag("landscape").unwrap_or(false),
        print_background: fields.flag("printBackground").unwrap_or(true),
        margin: margin(fields),
        scale: fields.number("scale", 0.1..=2.0).unwrap_or(1.0),
        fit_to_width: fields.flag("fitToWidth").unwrap_or(false),
        prefer_css_page_size: fields.flag("preferCSSPageSize").unwrap_or(false),
        tagged: fields.flag("tagged").unwrap_or(false),
        page_ranges: fields.filled_text("pageRanges", 1_000),
        display_header_footer: fields.flag("displayHeaderFooter").unwrap_or(false),
        header_template: fields.text("headerTemplate", TEMPLATE),
        footer_template: fields.text("footerTemplate", TEMPLATE),
    }
}

/// The sheet: by name, and by its sides where these are given.
fn paper(fields: &mut Fields, width: Option<f64>, height: Option<f64>) -> Paper {
    let named = fields.filled_text("format", 100).and_then(|name| {
        Paper::named(&name).or_else(|| {
            let remedy = format!("give one of {}", Paper::names());
            fields.wrong("format", &format!("`{}`", shortened(&name)), &remedy)
        })
    });
    let named = named.unwrap_or(Pdf::default().paper);
    Paper { width: width.unwrap_or(named.width), height: height.unwrap_or(named.height) }
}

/// Distances from the edges: one for all, or each its own.
fn margin(fields: &mut Fields) -> Margin {
    match fields.value("margin") {
        None => Margin::default(),
        Some(Value::Object(sides)) => {
            let read = fields.nested(sides, "margin.".to_owned(), |sides| {
                let mut side = |name| length(sides, name).unwrap_or(0.0);
                Some(Margin {
                    top: side("top"),
                    right: side("right"),
                    bottom: side("bottom"),
                    left: side("left"),
                })
            });
            read.unwrap_or_default()
        }
        Some(all) => {
            let all = length_of(fields, "margin", &all).unwrap_or(0.0);
            Margin { top: all, right: all, bottom: all, left: all }
        }
    }
}

fn length(fields: &mut Fields, name: &'static str) -> Option<f64> {
    let value = fields.value(name)?;
    length_of(fields, name, &value)
}

/// A CSS length, or a number of pixels, in inches.
fn length_of(fields: &mut Fields, name: &str, value: &Value) -> Option<f64> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match inches(&text).filter(|inches| (0.0..=FAR).contains(inches)) {
        Some(inches) => Some(inches),
        None => fields.wrong(name, &shortened(&text), "give a length like 10mm, 1in or 96px"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use serde_json::json;

    fn pdf(body: Value) -> Pdf {
        match read_pdf(body).expect("sound").settings.product {
            Product::Pdf(pdf) => pdf,
            _ => panic!("a document was asked for"),
        }
    }

    #[test]
    fn the_documented_defaults_hold() {
        assert_eq!(pdf(json!({ "url": "http://a.example/" })), Pdf::default());
        let request = read_pdf(json!({ "html": "x", "response_type": "json" })).expect("sound");
        assert!(request.json);
    }

    #[test]
    fn paper_and_margins_come_in_several_forms() {
        let url = "http://a.example/";
        let letter = pdf(json!({ "url": url, "format": "Letter", "margin": "1in" }));
        assert_eq!((letter.paper.width, letter.margin.left), (8.5, 1.0));
        let own =
            pdf(json!({ "url": url, "width": "5in", "height": 960, "margin": { "top": "2in" } }));
        assert_eq!(own.paper, Paper { width: 5.0, height: 10.0 });
        assert_eq!((own.margin.top, own.margin.left), (2.0, 0.0));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let cases = [
            ("format", json!("B9"), Code::InvalidField),
            ("margin", json!("wide"), Code::InvalidField),
            ("margin.top", json!({ "top": "1em" }), Code::InvalidField),
            ("scale", json!(2.1), Code::InvalidField),
            ("width", json!(-1), Code::InvalidField),
            ("landscape", json!("yes"), Code::InvalidField),
            ("tagged", json!(1), Code::InvalidField),
            ("fitToWidth", json!("yes"), Code::InvalidField),
            ("preferCSSPageSize", json!("a"), Code::InvalidField),
            ("fullPage", json!(true), Code::UnknownField),
        ];
        for (field, value, code) in cases {
            let mut body = json!({ "url": "http://a.example/" });
            body[field.split('.').next().expect("a name")] = value;
            let problem = read_pdf(body).expect_err(field);
            assert_eq!((problem.code, problem.field.as_deref()), (code, Some(field)));
        }
    }
}
