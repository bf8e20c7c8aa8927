//! Owns the reading of a request to compare two pages: `POST /diff`.

use serde_json::Value;

use super::fields::Fields;
use super::{CaptureRequest, page, screenshot};
use crate::error::Problem;
use crate::settings::{CaptureSettings, Format, PageSettings, Picture, Product, Stage, Target};

/// A comparison that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonRequest {
    /// The two captures, in the order in which they are compared.
    pub pages: [CaptureRequest; 2],
    /// How different a pixel's colour must be to count as changed, 0 to 1.
    pub threshold: f64,
    /// Stage named in the body.
    pub stage: Option<Stage>,
}

impl ComparisonRequest {
    /// Read the body of `POST /diff`.
    ///
    /// # Errors
    /// Every problem found, as one: the first with its field, the others in the hint.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let request = read(&mut fields);
        fields.refuse_leftovers();
        fields.finish(request)
    }
}

fn read(fields: &mut Fields) -> Option<ComparisonRequest> {
    let before = page::named_target(fields, "url_a", "html_a");
    let after = page::named_target(fields, "url_b", "html_b");
    let page = page::of(fields, before.as_ref());
    let region = screenshot::region(fields);
    let threshold = threshold(fields);
    let stage = page::stage(fields);
    page::json(fields);
    let aliases = fields.aliases();
    let capture = |target: Target| {
        // Only what is lossless can be compared.
        let picture =
            Picture { format: Format::Png, region: region.clone(), omit_background: false };
        let page = PageSettings { target, ..page.clone() };
        let settings = CaptureSettings { page, product: Product::Picture(picture) };
        // A document is no picture that could be compared.
        let (aliases, documents) = (aliases.clone(), false);
        CaptureRequest { documents, aliases, ..CaptureRequest::new(settings) }
    };
    Some(ComparisonRequest { pages: [capture(before?), capture(after?)], threshold, stage })
}

/// How different a pixel's colour must be to count as changed: pixelmatch's default is 0.1.
pub(super) fn threshold(fields: &mut Fields) -> f64 {
    fields.number("threshold", 0.0..=1.0).unwrap_or(0.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use serde_json::json;

    #[test]
    fn both_pages_are_needed_and_share_their_settings() {
        let body = json!({ "url_a": "http://a.example/", "html_b": "<p>b", "width": 500 });
        let request = ComparisonRequest::read(body).expect("sound");
        let [before, after] = &request.pages;
        assert_eq!(before.settings.page.viewport, after.settings.page.viewport);
        assert!(matches!(after.settings.page.target, Target::Html(_)));
        assert!((request.threshold - 0.1).abs() < f64::EPSILON);
        let cases = [
            (json!({ "url_a": "http://a.example/" }), Code::MissingField, "url_b"),
            (json!({ "url_b": "http://a.example/" }), Code::MissingField, "url_a"),
            (
                json!({ "url_a": "http://a.example/", "html_a": "", "html_b": "" }),
                Code::ConflictingFields,
                "html_a",
            ),
            (json!({ "url_a": "file:///x", "html_b": "" }), Code::TargetForbidden, "url_a"),
            (
                json!({ "html_a": "", "html_b": "", "threshold": 1.01 }),
                Code::InvalidField,
                "threshold",
            ),
        ];
        for (body, code, field) in cases {
            let problem = ComparisonRequest::read(body).expect_err(field);
            assert_eq!((problem.code, problem.field.as_deref()), (code, Some(field)));
        }
    }
}
