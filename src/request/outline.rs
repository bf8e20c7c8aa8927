//! Owns the reading of requests for what is in a page: `POST /inspect` and `POST /observe`.

use serde_json::Value;

use super::fields::Fields;
use super::{CaptureRequest, page, screenshot};
use crate::error::Problem;
use crate::settings::{
    CaptureSettings, Format, FullPage, Observation, ObservationForm, Picture, Product, Region,
};

/// Read the body of `POST /inspect`.
///
/// # Errors
/// Every problem found, as one: the first with its field, the others in the hint.
pub fn read_inspect(body: Value) -> Result<CaptureRequest, Problem> {
    read(body, |fields| {
        let console = fields.flag("includeConsole").unwrap_or(false);
        Product::Inspection { console }
    })
}

/// Read the body of `POST /observe`.
///
/// # Errors
/// As [`read_inspect`].
pub fn read_observe(body: Value) -> Result<CaptureRequest, Problem> {
    read(body, |fields| Product::Observation(observation(fields)))
}

fn read(
    body: Value,
    product: impl FnOnce(&mut Fields) -> Product,
) -> Result<CaptureRequest, Problem> {
    let mut fields = Fields::of(body)?;
    let product = product(&mut fields);
    let page = page::read(&mut fields);
    let stage = page::stage(&mut fields);
    // Both are always answered as JSON, and clients may say so.
    page::json(&mut fields);
    let aliases = fields.aliases();
    let request = page.map(|page| {
        let settings = CaptureSettings { page, product };
        CaptureRequest { json: true, stage, aliases, ..CaptureRequest::new(settings) }
    });
    fields.refuse_leftovers();
    fields.finish(request)
}

fn observation(fields: &mut Fields) -> Observation {
    const FORMS: &[(&str, ObservationForm)] =
        &[("json", ObservationForm::Json), ("flatdomtree", ObservationForm::FlatDomTree)];
    let default = Observation::default();
    let form = fields.choice("format", FORMS).unwrap_or(default.form);
    let max_elements = fields.int("maxElements", 1..=150).unwrap_or(default.max_elements);
    let format = screenshot::encoding(fields, "screenshotFormat", 80).unwrap_or(Format::Jpeg(80));
    let mut flag = |name| fields.flag(name).unwrap_or(false);
    let region = if flag("screenshotFullPage") {
        Region::FullPage(FullPage::default())
    } else {
        Region::Viewport
    };
    let picture = Picture { format, region, omit_background: false };
    Observation {
        form,
        max_elements,
        rects: flag("includeRects"),
        content: flag("includeContent"),
        aria_tree: flag("includeAriaTree"),
        picture: flag("includeScreenshot").then_some(picture),
        console: flag("includeConsole"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Code;
    use crate::settings::Target;
    use serde_json::json;

    #[test]
    fn an_observation_has_the_documented_defaults_and_limits() {
        let read = |fields: Value| {
            let mut body = json!({ "url": "http://a.example/" });
            body.as_object_mut()
                .expect("an object")
                .extend(fields.as_object().cloned().expect("too"));
            read_observe(body)
        };
        let request = read(json!({})).expect("sound");
        assert_eq!(request.settings.product, Product::Observation(Observation::default()));
        for (fields, field) in [
            (json!({ "maxElements": 0 }), "maxElements"),
            (json!({ "maxElements": 151 }), "maxElements"),
            (json!({ "format": "xml" }), "format"),
            (json!({ "screenshotFormat": "gif" }), "screenshotFormat"),
            (json!({ "includeRects": 1 }), "includeRects"),
        ] {
            let problem = read(fields).expect_err(field);
            assert_eq!((problem.code, problem.field.as_deref()), (Code::InvalidField, Some(field)));
        }
        read(json!({ "maxElements": 1 })).expect("just inside");
        read(json!({ "maxElements": 150 })).expect("just inside");
    }

    #[test]
    fn a_session_stands_for_its_page_unless_another_is_named() {
        let id = "3f0e8f0a-94a5-4f4e-8d39-6a7c6a3c7f10";
        let request = read_inspect(json!({ "session_id": id })).expect("sound");
        assert_eq!(request.settings.page.target, Target::Current);
        assert!(request.settings.page.own_window);
        let body = json!({ "session_id": id, "url": "http://a.example/", "width": 800 });
        let request = read_inspect(body).expect("sound");
        assert!(matches!(request.settings.page.target, Target::Url(_)));
        assert!(!request.settings.page.own_window);
        let problem = read_inspect(json!({ "session_id": "../x" })).expect_err("no id");
        assert_eq!(problem.field.as_deref(), Some("session_id"));
    }
}
