//! Owns the words in which a verification is told: one line for each thing, for people.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::json;

use super::Line;
use crate::exit;
use crate::finding::Class;
use crate::shown::shown_within;
use crate::verify::{
    FolderReport, ImportReport, LogReport, StampReport, StampedReport, WitnessReport,
};

/// Most letters of a witness's name that are shown.
const MAX_NAME: usize = 200;

/// `count` of something, whose plural ends in `s` or `ies`.
pub fn counted(count: impl TryInto<u64>, one: &str) -> String {
    match (count.try_into().unwrap_or(u64::MAX), one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (count, Some(stem)) => format!("{count} {stem}ies"),
        (count, None) => format!("{count} {one}s"),
    }
}

/// What is said of a folder that was named, or found, at `path`.
pub(super) fn folder(report: &FolderReport, path: &Path, line: &mut Line<'_>) {
    let bad = report.findings.iter().filter(|finding| finding.class != Class::Note).count();
    let verdict = match report.exit() {
        exit::OK => "intact",
        exit::ALTERED => "ALTERED",
        exit::INCOMPLETE => "INCOMPLETE",
        exit::UNKNOWN_KEY if report.signed_by.is_some() => {
            "intact, but NOT ALL OF IT is vouched for"
        }
        exit::UNKNOWN_KEY => "signed by an UNKNOWN KEY",
        _ => "UNREADABLE",
    };
    let run = report
        .run
        .map_or_else(|| format!("{} names no run", path.display()), |run| run.to_string());
    let state = report.state.map(|state| json!(state).as_str().unwrap_or_default().to_owned());
    let damaged = report.findings.iter().any(|finding| finding.class.is_damage());
    // Of what is not as it was sealed nothing follows.
    let state = state.filter(|_| !damaged).map_or(String::new(), |state| format!(", {state}"));
    let complete = report.verdict.filter(|_| !damaged);
    let complete = complete.map_or_else(String::new, |it| format!(", {}", it.word()));
    line(format!(
        "{run}: {verdict}{state}{complete}, {} files, {} bytes",
        report.files, report.bytes
    ));
    if let Some(signer) = &report.signed_by {
        line(format!("  signed by {signer}"));
    }
    if let Some(StampReport { time, authority, .. }) = &report.stamped {
        line(format!("  its signature was there at {time}, says {authority}"));
    }
    if let Some(logged) = &report.logged {
        line(format!("  in the log {logged}"));
    }
    for finding in &report.findings {
        line(format!("  {finding}"));
    }
    if bad > 0 {
        let findings = counted(bad, "finding");
        line(format!("  {findings}; docs/FORMAT.md explains the codes"));
    }
    if report.exit() == exit::UNREADABLE {
        line(String::from(
            "  run it as the user that owns the evidence, or have the operator hand it out: `exhibit \
             export RUN --out FILE`",
        ));
    }
}

/// What is said of a log.
pub(super) fn log(log: &LogReport, line: &mut Line<'_>) {
    line(format!(
        "log {}: {}, {} opened, {} sealed, {} purged",
        log.origin,
        counted(log.size, "entry"),
        counted(log.opened, "run"),
        log.sealed,
        log.purged
    ));
    if log.custody > 0 {
        line(format!("  {} of custody", counted(log.custody, "event")));
    }
    for WitnessReport { name, time, size } in &log.seen {
        let name = shown_within(name, MAX_NAME);
        line(match (time, size) {
            (Some(time), Some(size)) => {
                format!("  the witness {name} saw {size} of {} entries at {time}", log.size)
            }
            _ => format!("  the witness {name} saw nothing"),
        });
    }
    if log.remembered > 0 {
        let kept = counted(log.remembered, "kept checkpoint");
        line(format!("  it continues {kept}"));
    }
    if let Some(StampedReport { size, time, authority }) = &log.stamped {
        line(format!("  {size} entries were there at {time}, says {authority}"));
    }
}

/// What is said of a kept bundle of another store.
pub(super) fn import(import: &ImportReport, line: &mut Line<'_>) {
    let ImportReport { place, runs, keys, signed_by, logged } = import;
    let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
    let who = match (signed_by.is_empty(), keys.is_empty()) {
        (false, _) => format!("signed by {}", list(signed_by)),
        (true, false) => format!("signed with {}", list(keys)),
        (true, true) => "no sound signature".to_owned(),
    };
    let folders = counted(runs.len(), "folder");
    line(format!("{place}: {folders} of another store, {who}"));
    if !logged.is_empty() {
        line(format!("  in the log {}", list(logged)));
    }
}
