//! Owns GET /metrics: what was counted, and how things stand, as OpenMetrics text 1.0
//! (<https://prometheus.io/docs/specs/om/open_metrics_spec/>), which Prometheus and others read.

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

use super::Api;
use super::answer::Failure;
use crate::error::Problem;
use crate::runs::Runs;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(State(api): State<Api>) -> Result<Response, Failure> {
    let entries = api.runs.log().checkpoint().await?.1.size;
    let mut registry = Registry::with_prefix("exhibit");
    let (under_way, waiting) = api.captures.load();
    let mut now = Now(&mut registry);
    now.info();
    let ready = api.captures.ready().is_ok() && api.runs.room().check().is_ok();
    now.is("ready", "Whether captures can be taken", ready);
    now.gauge("runs_open", "Runs that are open", api.runs.open_count() as u64);
    now.gauge("captures_under_way", "Captures under way", under_way as u64);
    now.gauge("captures_waiting", "Captures that wait for a page", waiting as u64);
    store(&mut now, &api.runs, entries);
    integrity(&mut now, &api.runs);
    others(&mut now, &api.runs);
    api.runs.counts().register(&mut registry);

    let mut text = String::new();
    encode(&mut text, &registry).map_err(|error| Problem::internal("writing metrics", error))?;
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn store(now: &mut Now<'_>, runs: &Runs, entries: u64) {
    // On a disk that does not answer the others are still told of.
    if let Ok(free) = runs.room().free_bytes() {
        now.gauge("store_free_bytes", "Bytes free on the store's disk", free);
    }
    if let Ok(Some(free)) = runs.room().free_inodes() {
        now.gauge("store_free_inodes", "Files that can be made on the store's disk", free);
    }
    let about = "Whether the daemon started without room, and writes nothing";
    now.is("read_only", about, runs.room().is_read_only());
    now.gauge("log_entries", "Entries of the log", entries);
    let failed = !runs.signing().status()["failed"].is_null();
    now.is("signing_failed", "Whether the last seal could not be signed", failed);
}

fn integrity(now: &mut Now<'_>, runs: &Runs) {
    let (watch, hook) = runs.integrity().watching();
    let about = "Touches of sealed evidence by others than the daemon";
    now.counter("evidence_touches", about, watch.tamper_events);
    let about = "Times that the kernel dropped events of touches";
    now.counter("evidence_touches_lost", about, watch.lost);
    now.is("watching", "Whether sealed evidence is watched", watch.on);
    now.gauge("folders_watched", "Folders that are watched", watch.folders);
    now.gauge("folders_not_watched", "Folders that are not, for want of watches", watch.missed);
    let outcomes = [("ran", hook.ran), ("failed", hook.failed), ("dropped", hook.dropped)];
    now.counters("hook_calls", "Calls of the hook", "outcome", outcomes);

    let scrubbed = runs.integrity().scrubbed();
    now.counter("scrub_rounds", "Rounds in which all evidence was read again", scrubbed.rounds);
    let about = "Places whose evidence is no longer as it was, by the last reading";
    now.gauge("damaged_places", about, scrubbed.findings.len() as u64);
    let about = "Places whose evidence could not be read, which is tried again";
    now.gauge("unreadable_places", about, scrubbed.unreadable.len() as u64);

    let guarded = runs.guard().status();
    now.is("guard_holds", "Whether the immutable flag was seen to hold", guarded.holds);
    let about = "Whether the append-only flag of the folders of days was seen to hold";
    now.is("append_only_holds", about, guarded.append_only.holds);
    let about = "Whether fs-verity was seen to hold";
    now.is("verity_holds", about, guarded.verity.holds);
    let about = "Sealed folders and archives that lack what can be had here";
    now.gauge("guard_waiting", about, guarded.waiting);
}

/// What those outside answered, who vouch for the log.
fn others(now: &mut Now<'_>, runs: &Runs) {
    if let Some(asked) = runs.log().timestamp_stats() {
        let outcomes = [("stamped", asked.stamped), ("without", asked.without)];
        let about = "Seals for which a timestamp was asked, and what came of it";
        now.counters("seal_timestamps", about, "outcome", outcomes);
    }
    let sizes = Family::<[(&'static str, String); 1], Gauge>::default();
    let refused = Family::<[(&'static str, String); 1], Gauge>::default();
    for (name, witnessed) in runs.log().witnesses() {
        let witness = [("witness", name)];
        let size = witnessed.size.unwrap_or_default();
        sizes.get_or_create(&witness).set(i64::try_from(size).unwrap_or(i64::MAX));
        refused.get_or_create(&witness).set(witnessed.refusal.is_some().into());
    }
    now.0.register("witness_size", "Entries of the log that a witness cosigned last", sizes);
    let about = "Whether a witness refused, or did not answer, when it was asked last";
    now.0.register("witness_refuses", about, refused);
}

/// How things stand at this moment.
struct Now<'a>(&'a mut Registry);

impl Now<'_> {
    fn info(&mut self) {
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        self.0.register("build", "What runs", Info::new(version));
    }

    fn gauge(&mut self, name: &str, about: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.0.register(name, about, ConstGauge::new(value));
    }

    fn is(&mut self, name: &str, about: &str, value: bool) {
        self.gauge(name, about, value.into());
    }

    fn counter(&mut self, name: &str, about: &str, value: u64) {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        self.0.register(name, about, counter);
    }

    fn counters<const N: usize>(
        &mut self,
        name: &str,
        about: &str,
        label: &'static str,
        values: [(&'static str, u64); N],
    ) {
        let counters = Family::<[(&'static str, &'static str); 1], Counter>::default();
        for (value, count) in values {
            counters.get_or_create(&[(label, value)]).inc_by(count);
        }
        self.0.register(name, about, counters);
    }
}
