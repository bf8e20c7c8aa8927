//! Tests of absences and samples, which need no store; populations of a real one are in
//! tests/it/population.rs.

use serde_json::json;

use super::absence::Absences;
use super::*;
use crate::evidence::log::{Leaf, LeafKind};

fn leaf(kind: LeafKind, time: &str) -> Leaf {
    let every = json!({ "heartbeat_ms": 900_000 });
    let data = if kind == LeafKind::Start { every } else { json!({}) };
    let data = data.as_object().cloned().unwrap_or_default();
    Leaf { kind, run: None, time: format!("2026-11-24T{time}Z"), data }
}

fn absences(leaves: &[(LeafKind, &str)]) -> Vec<(Cause, i64)> {
    let mut absences = Absences::default();
    for (kind, time) in leaves {
        absences.take(&leaf(*kind, time));
    }
    let found = absences.within(None, None);
    found.iter().map(|absence| (absence.cause, absence.length().as_secs())).collect()
}

#[test]
fn a_stop_a_crash_a_silence_and_a_clock_that_was_set_are_told_apart() {
    use LeafKind::{Heartbeat, Open, Seal, Start, Stop};
    let quiet = [(Start, "08:00:00"), (Heartbeat, "08:15:00"), (Heartbeat, "08:30:01")];
    assert_eq!(absences(&quiet), []);
    let told = absences(&[
        (Start, "08:00:00"),
        (Stop, "08:05:00"),
        (Start, "08:10:00"),
        (Open, "08:11:00"),
        (Start, "08:20:00"),
        (Heartbeat, "09:00:00"),
        (Open, "08:59:59"),
    ]);
    let expected = [
        (Cause::Stopped, 300),
        (Cause::Crashed, 540),
        (Cause::Silent, 2400),
        (Cause::ClockSetBack, -1),
    ];
    assert_eq!(told, expected);
    // What was sealed before there was a log is taken in after its start, with its old time.
    let adopted = [(Start, "08:00:00"), (Seal, "03:00:00"), (Open, "08:00:02")];
    assert_eq!(absences(&adopted), []);
    // Callers at the same moment stand in the log milliseconds out of order, and nobody set a clock; that
    // takes no silence away, and hides none.
    let together = [
        (Start, "08:00:00.000"),
        (Open, "08:00:01.029"),
        (Open, "08:00:01.015"),
        (Heartbeat, "08:00:01.028"),
        (Heartbeat, "08:30:01.020"),
    ];
    assert_eq!(absences(&together), []);
    let later = [&together[..4], &[(Heartbeat, "08:30:02.000"), (Open, "08:30:01.000")]].concat();
    assert_eq!(absences(&later), [(Cause::Silent, 1800), (Cause::ClockSetBack, -1)]);
}

#[test]
fn an_absence_counts_when_it_touches_the_period() {
    let mut absences = Absences::default();
    absences.take(&leaf(LeafKind::Stop, "08:00:00"));
    absences.take(&leaf(LeafKind::Start, "09:00:00"));
    let at = |time: &str| Some(format!("2026-11-24T{time}Z").parse().expect("a time"));
    for (from, to, touches) in [
        (None, at("08:00:00"), 0),
        (None, at("08:00:01"), 1),
        (at("08:30:00"), at("08:31:00"), 1),
        (at("09:00:00"), None, 1),
        (at("09:00:01"), None, 0),
    ] {
        assert_eq!(absences.clone().within(from, to).len(), touches, "{from:?} {to:?}");
    }
}

fn population(runs: usize) -> Population {
    let row = |number: usize| {
        let run = format!("019ab2f0-6c1e-7d3a-9a41-{number:012x}").parse().expect("an id");
        let workflow = "refund".to_owned();
        Row { number: Some(number as u64), workflow, ..Row::of(run, String::new(), Fate::Sealed) }
    };
    let runs: Vec<Row> = (1..=runs).map(row).collect();
    let log = LogState { origin: "bench".to_owned(), size: 9, root: Digest::ZERO };
    let query = Query { from: None, to: None, workflow: None };
    let totals = totals(&runs);
    let exhibit = "0.1.0".to_owned();
    Population { query, exhibit, log, ever_opened: 9, totals, runs, absences: Vec::new() }
}

#[test]
fn a_sample_is_what_the_seed_says_whoever_draws_it() {
    let ids = |seed: &str, asked: usize| -> Vec<String> {
        let sample = sample(population(40), asked, seed);
        sample.runs.iter().map(|ranked| ranked.row.run.to_string()).collect()
    };
    let (first, again) = (ids("a", 5), ids("a", 5));
    assert_eq!((first.len(), &first), (5, &again));
    assert_ne!(first, ids("b", 5));
    // A larger sample by the same seed holds the smaller one.
    assert_eq!(ids("a", 9)[..5], first);
    assert_eq!(ids("a", 100).len(), 40);
    // `printf 'a\n%s' RUN | sha256sum` says the same rank.
    let rank = sample(population(1), 1, "a").runs[0].rank;
    assert_eq!(rank, Digest::of(b"a\n019ab2f0-6c1e-7d3a-9a41-000000000001"));
}

#[test]
fn totals_count_every_run_once() {
    let totals = totals(&population(7).runs);
    assert_eq!((totals.runs, totals.fates["sealed"], totals.verdicts["none"]), (7, 7, 7));
    assert_eq!(totals.workflows["refund"], 7);
}

#[test]
fn a_table_has_a_row_for_each_run_and_no_formula() {
    let mut population = population(2);
    population.runs[0].agent = Some("=1+1".to_owned());
    let mut bytes = Vec::new();
    write_runs(&mut bytes, &population.runs).expect("in memory");
    let text = String::from_utf8(bytes).expect("text");
    assert_eq!(text.lines().count(), 3);
    assert!(text.starts_with("number,run,workflow,") && text.contains(",'=1+1,"));
}

#[test]
fn a_run_that_was_removed_is_not_purged_by_what_is_shown_for_a_moment_and_nobody_signed() {
    use exhibit_store::fixture::{Bench, ORIGIN, id, trust_in_log};
    use exhibit_store::tampering::{copy_tree, extend, passed, remove, unlock};
    use exhibit_verify::layout::{SEAL, sealed_place};

    let bench = Bench::logged();
    bench.sealed(0);
    let (victim, other) = (bench.scratch().join("victim"), bench.scratch().join("other"));
    copy_tree(bench.store.root(), &victim);
    unlock(&victim);
    let seal = std::fs::read(victim.join(sealed_place(id(0))).join(SEAL)).expect("there");
    remove(&victim.join(sealed_place(id(0))));
    let key = crate::evidence::LogKey::load_or_create(&bench.scratch().join("another"));
    let key = key.expect("a key");
    let log = crate::evidence::log::Log::open(&other, &key, ORIGIN).expect("a log");
    let reader = crate::evidence::log::LogReader::of_store(&victim);
    let size = reader.checkpoint().expect("a checkpoint").1.size;
    extend(&log, &reader.bundle(0, size).expect("whole"));
    let time = "2029-01-01T00:00:00.000Z";
    let purge = json!({
        "format": "exhibit-log/1", "kind": "purge", "run": id(0),
        "seal_sha256": Digest::of(&seal), "time": time,
    });
    log.append(purge.to_string().into_bytes()).expect("appended");

    let trust = trust_in_log("");
    let judge = || {
        let (log, findings) = crate::evidence::verify::log(&victim, &trust, &[]);
        let size = log.size;
        let state = log.root.map(|root| LogState { origin: log.origin.clone(), size, root });
        let query = Query { from: None, to: None, workflow: None };
        let found = super::population(&victim, query, state.as_ref(), trust.log());
        findings.is_empty() && found.is_ok_and(|found| found.doubtful().next().is_none())
    };
    assert_eq!(passed(&victim, &other, judge), [0; 0]);
}
