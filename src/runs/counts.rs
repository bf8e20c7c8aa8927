//! Owns the counts of what was put on record since the daemon started: what came of captures,
//! recordings and runs, and how long captures took. It knows nothing of how things stand now, and
//! holds no name, address or text of anybody.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde_json::Value;

use super::problem::store_problem;
use crate::clock::Moment;
use crate::error::Problem;
use crate::evidence::Draft;
use crate::run::{Actor, Event, Recorded, State};

/// Upper ends of the classes that the durations of captures are sorted into, in seconds.
const SECONDS: [f64; 10] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0];

/// One count for each value of one label.
type By = Family<[(&'static str, String); 1], Counter>;

/// What was counted. Clones count together.
#[derive(Clone, Debug)]
pub struct Counts {
    events: By,
    captures: By,
    recordings: By,
    capture_seconds: Histogram,
    opened: Counter,
    sealed: By,
    seal_failures: Counter,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            events: By::default(),
            captures: By::default(),
            recordings: By::default(),
            capture_seconds: Histogram::new(SECONDS),
            opened: Counter::default(),
            sealed: By::default(),
            seal_failures: Counter::default(),
        }
    }
}

impl Counts {
    /// Put `events` on record in `draft`, and count them.
    ///
    /// # Errors
    /// What the store says; then none is on record, and none counted.
    pub(super) fn record(
        &self,
        draft: &mut Draft,
        events: &[Event],
        at: Moment,
    ) -> Result<Vec<Recorded>, Problem> {
        let recorded = draft.record(events, at).map_err(store_problem)?;
        for event in events {
            self.count(event);
        }
        Ok(recorded)
    }

    fn count(&self, event: &Event) {
        let of_agent = event.actor == Actor::Agent;
        increase(&self.events, "actor", if of_agent { "agent" } else { "exhibit" });
        if of_agent {
            return;
        }
        let counts = match event.kind.split_once('.') {
            Some(("capture", outcome)) => Some((&self.captures, outcome)),
            Some(("recording", outcome)) => Some((&self.recordings, outcome)),
            _ => None,
        };
        if let Some((counts, outcome)) = counts {
            increase(counts, "outcome", outcome);
        }
        let taken = (event.kind == "capture.taken").then(|| event.data.get("duration_ms"));
        if let Some(millis) = taken.flatten().and_then(Value::as_f64) {
            self.capture_seconds.observe(millis / 1_000.0);
        }
    }

    pub(super) fn opened(&self) {
        self.opened.inc();
    }

    /// Count a seal that ended with `state`, or failed.
    pub(super) fn sealed(&self, state: Option<State>) {
        let Some(state) = state else {
            self.seal_failures.inc();
            return;
        };
        let state = match state {
            State::Sealed => "sealed",
            State::Expired => "expired",
            State::Interrupted => "interrupted",
        };
        increase(&self.sealed, "state", state);
    }

    /// Have `registry` tell of them.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("events", "Events put on record, by who speaks", self.events.clone());
        let about = "Captures put on record as requested, taken, failed or refused";
        registry.register("captures", about, self.captures.clone());
        let about = "What was put on record of recordings";
        registry.register("recordings", about, self.recordings.clone());
        let about = "From the request of a capture to its being on disk";
        registry.register("capture_duration_seconds", about, self.capture_seconds.clone());
        registry.register("runs_opened", "Runs opened", self.opened.clone());
        registry.register("runs_sealed", "Runs sealed, by how it came about", self.sealed.clone());
        let about = "Seals that failed; the run stays open";
        registry.register("seal_failures", about, self.seal_failures.clone());
    }
}

fn increase(counts: &By, label: &'static str, value: &str) {
    counts.get_or_create(&[(label, value.to_owned())]).inc();
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_agents_say_is_counted_and_never_shown() {
        let counts = Counts::default();
        let data = json!({ "duration_ms": 700, "url": "https://secret.example/" });
        let Value::Object(data) = data else { unreachable!("an object") };
        for (actor, kind) in [
            (Actor::Exhibit, "capture.requested"),
            (Actor::Exhibit, "capture.taken"),
            (Actor::Exhibit, "recording.started"),
            (Actor::Agent, "capture.forged"),
        ] {
            counts.count(&Event { actor, kind: kind.to_owned(), data: data.clone() });
        }
        counts.opened();
        counts.sealed(Some(State::Expired));
        counts.sealed(None);
        let (mut registry, mut text) = (Registry::default(), String::new());
        counts.register(&mut registry);
        encode(&mut text, &registry).expect("text");
        for line in [
            "events_total{actor=\"exhibit\"} 3",
            "events_total{actor=\"agent\"} 1",
            "captures_total{outcome=\"taken\"} 1",
            "recordings_total{outcome=\"started\"} 1",
            "capture_duration_seconds_bucket{le=\"0.5\"} 0",
            "capture_duration_seconds_bucket{le=\"1.0\"} 1",
            "runs_opened_total 1",
            "runs_sealed_total{state=\"expired\"} 1",
            "seal_failures_total 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} in:\n{text}");
        }
        assert!(!text.contains("forged") && !text.contains("secret"), "{text}");
    }
}
