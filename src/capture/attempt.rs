//! Owns a capture under way: what was asked, of whom and in which run, and what its events say.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::backends::Chosen;
use crate::backend::{BackendName, CaptureResult, PageFacts};
use crate::clock::Moment;
use crate::request::CaptureRequest;
use crate::run::Event;
use crate::runs::Work;
use crate::settings::{Stage, Target, presentable};

/// What is known of a capture under way.
pub(super) struct Attempt {
    pub(super) work: Work,
    pub(super) stage: Stage,
    /// `0001-before`: name of the capture and of its folder.
    pub(super) name: String,
    pub(super) chosen: Chosen,
    pub(super) request: CaptureRequest,
    pub(super) begun: Moment,
}

impl Attempt {
    /// What every event of this capture says.
    pub(super) fn facts(&self) -> Value {
        let target = match &self.request.settings.page.target {
            Target::Url(url) => json!(presentable(url)),
            Target::Html(_) | Target::Markdown(_) | Target::Current => Value::Null,
        };
        json!({
            "capture": self.name,
            "stage": self.stage,
            "backend": self.chosen.by,
            "url": target,
            "session_id": self.request.settings.page.session,
            "altered_by": self.request.settings.altered_by(),
        })
    }

    /// What its caller is told of it, which `by` took, before what came of it.
    pub(super) fn evidence(&self, by: BackendName) -> Value {
        let mut evidence = json!({
            "run": self.work.run.id,
            "capture": self.name,
            "stage": self.stage,
            "altered_by": self.request.settings.altered_by(),
        });
        self.tell_who(&mut evidence, by);
        if !self.request.aliases.is_empty() {
            evidence["aliases"] = aliases(&self.request);
        }
        if !self.request.ignored.is_empty() {
            evidence["ignored"] = json!(self.request.ignored);
        }
        evidence
    }

    /// Who took it, and in whose place if that was not who was asked.
    pub(super) fn tell_who(&self, record: &mut Value, by: BackendName) {
        record["backend"] = json!(by);
        if by != self.chosen.by {
            record["fallback_from"] = json!(self.chosen.by);
        }
    }

    pub(super) fn requested(&self) -> Event {
        let mut data = self.facts();
        data["settings"] = self.request.settings.record();
        if !self.request.aliases.is_empty() {
            data["aliases"] = aliases(&self.request);
        }
        Event::exhibit("capture.requested", data)
    }

    pub(super) fn taken_event(&self, taken: &CaptureResult, at: Moment) -> Event {
        let mut data = self.facts();
        let facts = taken.facts.as_ref();
        self.tell_who(&mut data, taken.by);
        data["final_url"] = json!(facts.and_then(|facts| facts.final_url.as_ref()));
        data["title"] = json!(facts.and_then(|facts| facts.title.as_ref()));
        data["status"] = json!(taken.status());
        add(&mut data, view_of(facts));
        data["failed_attempts"] = json!(taken.failed_attempts);
        add(&mut data, page_notices(facts));
        data["duration_ms"] = json!(millis_between(self.begun, at));
        Event::exhibit("capture.taken", data)
    }
}

/// How a picture was put together, and what it does not show, for the answer and the event.
pub(super) fn view_of(facts: Option<&PageFacts>) -> Map<String, Value> {
    let lacks = facts.map(|facts| &facts.incomplete_view).filter(|lacks| !lacks.is_empty());
    known([
        ("painted", facts.and_then(|facts| facts.painted.as_ref()).map(|it| json!(it))),
        ("incomplete_view", lacks.map(|it| json!(it))),
    ])
}

/// What of a page whoever asked for it must know, in the answer and in the event: that a picture shows
/// a part only, or that the page was about to lead elsewhere.
pub(super) fn page_notices(facts: Option<&PageFacts>) -> Map<String, Value> {
    known([
        ("cut", facts.and_then(|facts| facts.cut.as_ref()).map(|it| json!(it))),
        (
            "pending_navigation",
            facts.and_then(|facts| facts.pending_navigation.as_ref()).map(|it| json!(it)),
        ),
        ("original", facts.and_then(|facts| facts.original.as_ref()).map(|it| json!(it))),
    ])
}

/// Of these fields those that have a value.
fn known<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// `record` with `more` fields.
pub(super) fn add(record: &mut Value, more: Map<String, Value>) {
    if let Value::Object(record) = record {
        record.extend(more);
    }
}

/// The fields that were sent under another name.
pub(super) fn aliases(request: &CaptureRequest) -> Value {
    request.aliases.iter().map(|(sent, meant)| json!({ "sent": sent, "meant": meant })).collect()
}

/// Milliseconds from one moment to another.
pub(super) fn millis_between(begun: Moment, ended: Moment) -> u64 {
    let elapsed: Duration = ended.monotonic.saturating_sub(begun.monotonic);
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
