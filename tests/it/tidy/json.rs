//! Holds that `json!` stands where an answer is shaped, and in tests: inside, evidence and settings are
//! values of types. What still owes that is named, and the list may only shrink.

use super::{code, nothing, sources};

/// Where answers, requests of our own clients and documents of others' formats are shaped.
const SHAPES: &[&str] = &[
    "src/api/",
    "src/cli/",
    "src/client.rs",
    "src/daemon/gate.rs",
    "src/demo/",
    "src/fuzz.rs",
    "src/report/oscal.rs",
    "src/web/",
    // What Chromium and a hook are asked, in their words.
    "crates/exhibit-browser/src/chromium/",
    "src/integrity/hook.rs",
    // What `exhibit verify --json` answers.
    "crates/exhibit-verify/src/command/",
];

/// What owes it, and how many files of it.
const OWED: &[(&str, usize)] = &[
    ("crates/exhibit-browser/src/settings/", 5),
    ("crates/exhibit-store/src/", 3),
    ("crates/exhibit-verify/src/", 5),
    ("src/capture/", 13),
    ("src/hosted/", 5),
    ("src/jobs.rs", 1),
    ("src/redact/", 1),
    ("src/request/", 2),
    ("src/runs/", 18),
    ("src/sequences.rs", 1),
    ("src/sessions.rs", 1),
];

#[test]
fn json_is_written_where_answers_are_shaped() {
    let mut counts = vec![0; OWED.len()];
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let shapes = SHAPES.iter().any(|place| name.starts_with(place));
        if shapes || !code(&text).any(|(_, line)| line.contains("json!(")) {
            continue;
        }
        match OWED.iter().position(|(place, _)| name.starts_with(place)) {
            Some(at) => counts[at] += 1,
            None => wrong.push(name),
        }
    }
    for ((place, owed), count) in OWED.iter().zip(counts) {
        if count > *owed {
            wrong.push(format!("{place}: {count} files, {owed} are owed"));
        }
        if count < *owed {
            wrong.push(format!("{place} owes {count} by now: say so, instead of {owed}"));
        }
    }
    nothing("`json!` outside answers", wrong);
}
