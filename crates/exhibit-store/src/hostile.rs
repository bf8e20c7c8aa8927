//! Folders made to hurt whoever verifies them: names that draw on the terminal, manifests that take
//! for ever, chains that contradict themselves, files beyond every limit.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::json;

use super::attacks::victim;
use super::bag::render_manifest;
use super::finding::FindingCode;
use super::fixture::{Bench, file, trust, verdict};
use super::layout::{EVENTS, MANIFEST, MAX_EVENT_READ, MAX_MANIFEST, TAG_MANIFEST};
pub(super) use super::tampering::copy_tree;
use super::verify::{self, MAX_OF_A_CODE};
use crate::digest::Digest;
use crate::run::{Ending, Event};
use exhibit_verify::exit;

#[expect(clippy::disallowed_methods, reason = "a test does damage")]
fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("written");
}

/// A file of `length` zeros that takes no space.
#[expect(clippy::disallowed_methods, reason = "a test does damage")]
fn huge(path: &Path, length: u64) {
    fs::File::create(path).and_then(|file| file.set_len(length)).expect("made");
}

#[test]
fn names_cannot_draw_on_the_terminal_and_stay_apart() {
    let (_bench, folder) = victim();
    for name in [&b"a\x1b[2K\nok"[..], b"a\xff", b"a\xfe", b"a\\xff"] {
        write(&folder.join("data").join(OsStr::from_bytes(name)), b"x");
    }
    let found = verdict(&folder);
    for name in [r"a\x1b[2K\nok", r"a\xff", r"a\xfe", r"a\\xff"] {
        assert!(found.contains(&format!("unexpected_file data/{name}")), "{name}: {found:?}");
    }
}

#[test]
fn a_record_cannot_draw_on_the_terminal_either() {
    let (_bench, folder) = victim();
    let path = folder.join("data/run.json");
    let text = fs::read_to_string(&path).expect("there");
    let evil = "2026-11-24\u{9b}2K\u{202e}";
    write(
        &path,
        text.replacen("\"sealed_at\": \"2026-11-24", &format!("\"sealed_at\": \"{evil}"), 1)
            .as_bytes(),
    );
    let report = verify::folder(&folder, &trust());
    let shown = serde_json::to_string(&report).expect("plain data");
    assert!(report.sealed_at.as_ref().is_some_and(|time| time.contains(r"\u{9b}2K")), "{shown}");
    assert!(!shown.contains(['\u{9b}', '\u{202e}']), "{shown}");
}

#[test]
fn a_manifest_of_nothing_but_faults_is_read_in_one_pass_and_counted() {
    let (_bench, folder) = victim();
    // Long enough that going back to the beginning for each fault would take hours.
    write(&folder.join(MANIFEST), "\n".repeat(400_000).as_bytes());
    let report = verify::folder(&folder, &trust());
    let of = |code| report.findings.iter().filter(|finding| finding.code == code).count();
    let limit = usize::try_from(MAX_OF_A_CODE).expect("small");
    assert_eq!(of(FindingCode::ManifestMalformed), limit);
    assert_eq!(report.omitted, 400_000 - u64::from(MAX_OF_A_CODE));
    // What is cut off is only ever more of the same.
    assert_eq!((of(FindingCode::FileAltered), report.exit()), (1, exit::ALTERED));
}

#[test]
fn a_file_named_often_is_read_once_and_disorder_is_told() {
    let (_bench, folder) = victim();
    let text = fs::read_to_string(folder.join(MANIFEST)).expect("there");
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let png = lines.iter().position(|line| line.contains("screenshot")).expect("listed");
    write(&folder.join(MANIFEST), (text.clone() + lines[png]).as_bytes());
    let files = verify::folder(&folder, &trust()).files;
    assert_eq!(files, lines.len() as u64);
    assert_eq!(verdict(&folder)[1], format!("duplicate_name {MANIFEST}:{}", lines.len() + 1));
    let mut turned = lines.clone();
    turned.swap(0, 1);
    write(&folder.join(MANIFEST), turned.concat().as_bytes());
    assert_eq!(verdict(&folder)[1], format!("unsorted_name {MANIFEST}:2"));
    // The first of two entries counts: a second one cannot vouch for what the first does not.
    let name = "data/captures/0001-before/screenshot.png";
    write(&folder.join(name), b"other");
    let twice = text.clone() + &render_manifest([(name, Digest::of(b"other"))]);
    write(&folder.join(MANIFEST), twice.as_bytes());
    assert!(verdict(&folder).contains(&format!("file_altered {name}")));
}

#[test]
fn files_beyond_the_limits_are_not_read() {
    for (name, length) in [(MANIFEST, MAX_MANIFEST + 1), (TAG_MANIFEST, MAX_MANIFEST + 1)] {
        let (_bench, folder) = victim();
        huge(&folder.join(name), length);
        assert!(verdict(&folder).contains(&format!("too_large {name}")), "{name}");
    }
    let (_bench, folder) = victim();
    huge(&folder.join(EVENTS), MAX_EVENT_READ + 1);
    assert!(verdict(&folder).contains(&format!("too_large {EVENTS}:1")));
}

#[test]
fn a_chain_that_begins_elsewhere_has_no_opening() {
    let (_bench, folder) = victim();
    let text = fs::read_to_string(folder.join(EVENTS)).expect("events");
    let (_, rest) = text.split_once('\n').expect("a line");
    write(&folder.join(EVENTS), rest.as_bytes());
    assert!(verdict(&folder).contains(&format!("opening_missing {EVENTS}:1")));
}

#[test]
fn two_events_that_tell_of_one_file_differently_cannot_both_be_right() {
    let bench = Bench::new();
    let mut draft = bench.begin(0);
    let added = draft.add(vec![file("a.png", b"real")]).expect("added");
    let mut other = added[0].clone();
    other.sha256 = Digest::of(b"another");
    let tell = |artifact| Event::exhibit("capture.taken", json!({"artifacts": [artifact]}));
    let events = [tell(json!(other)), tell(json!(added[0]))];
    draft.record(&events, bench.now()).expect("recorded");
    let folder = draft.folder().to_owned();
    let error = draft.seal(&Ending::sealed("ok"), &super::fixture::signer(), bench.now());
    error.expect_err("our own check notices");
    assert_eq!(verdict(&folder), ["event_artifact_mismatch data/a.png"]);
}

#[test]
fn a_copy_of_the_sealed_runs_alone_is_a_whole_store() {
    let (bench, folder) = victim();
    let copy = bench.scratch().join("copy");
    let place = folder.strip_prefix(bench.store.root()).expect("in the store");
    copy_tree(&folder, &copy.join(place));
    let report = verify::store(&copy, &trust(), &[]);
    assert_eq!((report.folders.len(), report.findings.len(), report.exit()), (1, 0, exit::OK));
    let nothing = verify::store(&bench.scratch().join("nowhere"), &trust(), &[]);
    assert_eq!(nothing.exit(), exit::UNREADABLE);
}
