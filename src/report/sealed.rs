//! Tests of the reports that are made while runs are sealed: the same files give the same report, and
//! what the log did not hold is shown as such.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use exhibit_store::fixture::{Bench, SEAL_STEPS, forged, seal_up_to, signer};
use serde_json::Value;

use super::{Options, SealedReports, write, write_csv, write_oscal};
use crate::run::Ending;

fn bench() -> Bench {
    Bench::new().with_reporter(Arc::new(SealedReports))
}

/// The report in `folder`, and the one that is made of the folder as it is now.
fn reports(folder: &Path) -> (String, String) {
    let kept = fs::read_to_string(folder.join("report.html")).expect("a report");
    let mut made = Vec::new();
    let options = Options::default();
    write(folder, &options, &mut made).expect("memory").expect("a report");
    (kept, String::from_utf8(made).expect("text"))
}

#[test]
fn the_report_is_the_same_whenever_it_is_made_of_the_same_files() {
    let first = {
        let bench = bench();
        let (kept, made) = reports(&bench.sealed(0));
        assert!(kept == made, "made of the sealed folder it is another");
        assert!(kept.contains("paid 019ab2f0"));
        kept
    };
    for steps in 0..=SEAL_STEPS {
        let bench = bench();
        let (mut draft, ending) = (bench.filled(0), Ending::sealed("succeeded"));
        let at = bench.now();
        seal_up_to(&mut draft, &ending, at, steps).expect("as far as it goes");
        let receipt = draft.seal(&ending, &signer(), at).expect("sealed");
        let (kept, made) = reports(&bench.store.root().join(receipt.folder));
        assert!(kept == first && made == first, "after step {steps}");
    }
}

#[test]
fn what_the_log_did_not_hold_is_shown_as_such() {
    let (_bench, folder, logged) = forged(bench());
    let lines = format!("events {} to {}", logged + 1, logged + 3);
    let mut html = Vec::new();
    let options = Options::default();
    write(&folder, &options, &mut html).expect("memory").expect("a report");
    let html = String::from_utf8(html).expect("text");
    let body = html.split("<script type=\"text/plain\"").next().expect("a part");
    assert!(body.contains(&format!("NOT IN THE LOG: {lines}")), "it is said first");
    assert_eq!(body.matches("<span class=\"bad\">NOT IN THE LOG</span>").count(), 3);
    assert!(body.contains("but for the events that are not in the log"));
    assert!(!body.contains("data-file=\"data/captures/0002-after/screenshot.png\""));
    assert!(body.contains("No code was named") || !body.contains("<dd>deadbeefcafe"), "no code");

    let mut rows = Vec::new();
    write_csv(&folder, &options, &mut rows).expect("memory").expect("rows");
    let rows = String::from_utf8(rows).expect("text");
    let marked: Vec<&str> = rows.lines().filter(|row| row.contains("NOT IN THE LOG: ")).collect();
    assert_eq!(marked.len(), 3, "{rows}");
    assert!(rows.contains(&format!("the log did not hold the {lines}")), "{rows}");

    let mut oscal = Vec::new();
    write_oscal(&folder, &options, &mut oscal).expect("memory").expect("a document");
    let oscal: Value = serde_json::from_slice(&oscal).expect("JSON");
    let text = oscal.to_string();
    assert!(text.contains("NOT IN THE LOG") && !text.contains("deadbeefcafe"), "{text}");
    assert!(!text.contains("Capture 0002"), "{text}");
}

#[test]
fn a_file_that_a_start_found_and_no_event_tells_of_is_marked() {
    let bench = bench();
    let folder = bench.filled(0).folder().to_owned();
    exhibit_store::tampering::write(
        &folder.join("data/unnamed.png"),
        b"whole, but nobody was told",
    );
    let bench = bench.reopen();
    let (draft, _) = bench.resume(exhibit_store::fixture::id(0)).expect("resumed");
    let ending = Ending::interrupted("the daemon ended without sealing this run");
    let receipt = draft.seal(&ending, &signer(), bench.now()).expect("sealed");
    let (_, made) = reports(&bench.store.root().join(receipt.folder));
    assert!(made.contains("NO EVENT TELLS OF data/unnamed.png"), "the report marks it");
}
