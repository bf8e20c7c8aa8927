//! Owns the reading of requests: from a JSON body to domain values, with every limit checked and
//! every problem named. Knows no HTTP and starts nothing.

mod comparison;
mod fields;
mod identity;
mod json;
mod keeping;
mod og_image;
mod outline;
mod page;
mod pdf;
mod run;
mod screenshot;
mod sequence;
mod session;
mod stored;
mod video;

pub use comparison::ComparisonRequest;
pub use json::{MAX_LEVELS, read_json};
pub use keeping::{ArchiveRequest, HoldRequest, ImportPurgeRequest, PurgeRequest};
pub use og_image::read_og_image;
pub use outline::{read_inspect, read_observe};
pub use pdf::read_pdf;
pub use run::{CodeRequest, SealRequest, read_event, read_events, read_run_spec};
pub use screenshot::read_screenshot;
pub use sequence::SequenceRequest;
pub use session::SessionRequest;
pub use stored::{ImportRequest, StoredRequest, take_variables, with_variables};
pub use video::{RecordingRequest, VideoRequest, read_stop};

use crate::settings::{CaptureSettings, Stage};

/// A request for a capture that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureRequest {
    /// The page, and what is to be made of it.
    pub settings: CaptureSettings,
    /// Whether the answer is JSON with base64 instead of the bytes themselves.
    pub json: bool,
    /// Whether the answer also tells of the page's title, description and the like.
    pub metadata: bool,
    /// Whether a target that is a document and no page is kept as it is.
    pub documents: bool,
    /// Stage named in the body, where the endpoint has one.
    pub stage: Option<Stage>,
    /// Spellings that were accepted in place of a field's name: (sent, meant).
    pub aliases: Vec<(&'static str, &'static str)>,
    /// Fields that were accepted and not applied.
    pub ignored: Vec<&'static str>,
}

impl CaptureRequest {
    /// A capture with these settings, answered with its bytes.
    pub fn new(settings: CaptureSettings) -> Self {
        Self {
            settings,
            json: false,
            metadata: false,
            documents: true,
            stage: None,
            aliases: Vec::new(),
            ignored: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::error::Problem;

    /// Any JSON value, a few levels deep.
    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(|number| json!(number)),
            "\\PC{0,20}".prop_map(Value::from),
            "(https?|file|javascript)://[a-z0-9.@:\\[\\]/]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec(("[a-z]{1,8}", inner), 0..5)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Bodies made of the names that are known, with any values.
    fn any_body() -> impl Strategy<Value = Value> {
        const NAMES: &[&str] = &[
            "url",
            "html",
            "markdown",
            "url_a",
            "html_b",
            "session_id",
            "authState",
            "blockResources",
            "viewport",
            "maxElements",
            "includeScreenshot",
            "template",
            "steps",
            "trace",
            "width",
            "height",
            "deviceScaleFactor",
            "format",
            "quality",
            "fullPage",
            "selector",
            "clip",
            "delay",
            "waitUntil",
            "waitForSelector",
            "navigationTimeout",
            "darkMode",
            "headers",
            "cookies",
            "userAgent",
            "timeZone",
            "locale",
            "geolocation",
            "margin",
            "scale",
            "pageRanges",
            "hideSelectors",
            "injectJs",
            "click",
            "style",
            "stage",
            "viewportDevice",
            "response_type",
            "full_page",
            "authorization",
            "workflow",
            "labels",
            "controls",
            "code",
            "kind",
            "message",
            "data",
            "level",
            "outcome",
            "unheard-of",
        ];
        prop::collection::vec((prop::sample::select(NAMES), any_json()), 0..8).prop_map(|fields| {
            let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value));
            Value::Object(fields.collect::<Map<_, _>>())
        })
    }

    /// A refusal always names a remedy, and is never our own fault.
    fn sound<T>(read: Result<T, Problem>) -> Result<(), TestCaseError> {
        if let Err(problem) = read {
            prop_assert!(problem.code.status() < 500, "{problem:?}");
            let remedy = problem.message.contains(';') || problem.message.contains('?');
            prop_assert!(remedy, "no remedy: {problem}");
        }
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn no_body_is_more_than_any_reader_can_take(body in prop_oneof![any_body(), any_json()]) {
            let taken = read_screenshot(body.clone());
            if let Ok(request) = &taken {
                // What was understood can be put on record.
                prop_assert!(request.settings.record().is_object());
            }
            sound(taken)?;
            sound(read_pdf(body.clone()))?;
            sound(read_og_image(body.clone()))?;
            sound(read_inspect(body.clone()))?;
            sound(read_observe(body.clone()))?;
            sound(ComparisonRequest::read(body.clone()))?;
            sound(SessionRequest::read(body.clone()))?;
            sound(VideoRequest::read(body.clone()))?;
            sound(RecordingRequest::read(body.clone()))?;
            sound(StoredRequest::read(body.clone()))?;
            sound(ImportRequest::read(body.clone()))?;
            sound(read_run_spec(body.clone()))?;
            sound(read_events(body.clone()))?;
            sound(CodeRequest::read(body.clone()))?;
            sound(SealRequest::read(body))?;
        }
    }
}
