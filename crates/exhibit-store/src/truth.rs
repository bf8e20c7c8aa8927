//! Tests of what is told of true and of forged evidence: every field of a receipt is held against what
//! binds it, and what the log did not hold is counted nowhere and shown as such.

use std::path::Path;

use serde_json::{Value, json};

use super::attacks::write;
use super::facts::RunFacts;
use super::fixture::{Bench, forged, id, signer, trust_in_log};
use super::log::remove;
use super::matrix::{hand_over, verify_sh};
use super::verify;
use crate::digest::Digest;
use crate::receipt::Receipt;
use crate::run::Ending;
use exhibit_verify::exit;

/// Codes that the receipt in `text` gives on the folder, on a bundle of it, and on the whole store.
fn held(bench: &Bench, receipt: &Receipt) -> [bool; 3] {
    let trust = trust_in_log("");
    let folder = bench.store.folder_of(id(0));
    let place = Path::new("receipt.json");
    let codes = |report: &verify::FolderReport| {
        report.findings.iter().any(|it| it.code.as_str() == "receipt_mismatch")
    };
    let mut alone = verify::folder(&folder, &trust);
    verify::folder_against_receipt(&mut alone, Some(&folder), place, receipt);
    let path = bench.scratch().join("one.tar.zst");
    let bytes = crate::bundle::write(Vec::new(), &[(id(0), &folder, None)]).expect("in memory");
    write(&path, &bytes);
    let mut packed = verify::bundle(&path, &trust).expect("a bundle").remove(0);
    verify::folder_against_receipt(&mut packed, None, place, receipt);
    let receipts = [(place.to_owned(), receipt.clone())];
    let store = verify::store_with_receipts(bench.store.root(), &trust, &[], &receipts);
    let told = store.findings.iter().any(|it| it.class.exit() == exit::ALTERED);
    [codes(&alone), codes(&packed), told]
}

#[test]
fn every_field_of_a_receipt_is_held_against_what_binds_it() {
    let bench = Bench::logged();
    let draft = bench.filled(0);
    let receipt = draft.seal(&Ending::sealed("succeeded"), &signer(), bench.now()).expect("sealed");
    assert_eq!(held(&bench, &receipt), [false; 3], "{receipt:#?}");
    let honest = serde_json::to_value(&receipt).expect("JSON");
    let another = Digest::of(b"another");
    let completeness = json!({
        "verdict": "complete", "workflow": "refund", "controls": [], "requirements": [],
    });
    let note = receipt.checkpoint.clone().expect("a log");
    let edits = [
        ("run", json!(id(1))),
        ("state", json!("expired")),
        ("outcome", json!("failed")),
        ("outcome", Value::Null),
        ("completeness", completeness),
        ("sealed_at", json!("2020-01-01T00:00:00.000Z")),
        ("folder", json!("runs/x")),
        ("events", json!(99)),
        ("files", json!(99)),
        ("size_bytes", json!(1)),
        ("tagmanifest_sha256", json!(another)),
        ("seal_sha256", json!(another)),
        ("key", json!("SHA256:evil")),
        ("timestamp", json!("2020-01-01T00:00:00.000Z")),
        ("log_index", json!(0)),
        ("checkpoint", json!("x")),
        ("checkpoint", json!(note.replacen("\n2\n", "\n400\n", 1))),
    ];
    let mut seen: Vec<&str> = edits.iter().map(|(name, _)| *name).collect();
    seen.dedup();
    let mut names: Vec<&String> = honest.as_object().expect("an object").keys().collect();
    names.retain(|name| !seen.contains(&name.as_str()));
    assert_eq!(names, Vec::<&String>::new(), "a field that no row edits");
    for (name, value) in edits {
        let mut edited = honest.clone();
        edited[name] = value.clone();
        let edited: Receipt = serde_json::from_value(edited).expect("a receipt");
        let [alone, packed, store] = held(&bench, &edited);
        assert!(alone && packed, "{name} {value}: folder {alone}, bundle {packed}");
        // A checkpoint of a later state would be as good.
        assert!(store || value.to_string().contains("400"), "{name} {value}");
    }
    // One that was handed over before the log answered names no place in it.
    let early = Receipt { log_index: None, checkpoint: None, ..receipt };
    assert_eq!(held(&bench, &early), [false; 3]);
}

#[test]
fn a_receipt_that_says_two_things_is_none() {
    let bench = Bench::logged();
    let draft = bench.filled(0);
    let receipt = draft.seal(&Ending::sealed("succeeded"), &signer(), bench.now()).expect("sealed");
    let text = serde_json::to_string(&receipt).expect("JSON");
    let path = bench.scratch().join("receipt.json");
    let read = |text: &str| {
        write(&path, text.as_bytes());
        verify::read_receipt(&path).map_err(|error| exhibit_verify::cause::chain(&error))
    };
    assert_eq!(read(&text), Ok(receipt.clone()));
    assert_eq!(read(&format!("{{\"evidence\":{{\"receipt\":{text}}}}}")), Ok(receipt));
    let twice = text.replacen("\"outcome\"", "\"outcome\":\"failed\",\"outcome\"", 1);
    let beside = format!("{{\"receipt\":{text},\"receipt\":{text}}}");
    for bad in [twice, beside] {
        let why = read(&bad).expect_err("refused");
        assert!(why.contains("comes twice"), "{why}");
    }
    // Of two receipts readers would believe different ones, and of fields that nothing binds any.
    let forged = text.replacen("succeeded", "failed", 1);
    let around = |inner: &str| format!("{},\"evidence\":{inner}}}", &forged[..forged.len() - 1]);
    for bad in [
        around(&format!("{{\"receipt\":{text}}}")),
        format!("{},\"receipt\":{text}}}", &forged[..forged.len() - 1]),
        format!("{{\"receipt\":{forged},\"evidence\":{{\"receipt\":{text}}}}}"),
        format!("{{\"evidence\":{{\"receipt\":{text},\"checkpoint\":\"x\"}}}}"),
        format!("{{\"answer\":{text}}}"),
        format!("[{text}]"),
        text.replacen('{', "{\"Outcome\":\"failed\",", 1),
        text.replacen('{', "{\"verdict\":\"complete\",", 1),
    ] {
        read(&bad).expect_err(&bad);
    }
    let answer = format!("{{\"size_bytes\":1,\"evidence\":{{\"run\":\"x\",\"receipt\":{text}}}}}");
    assert!(read(&answer).is_ok(), "an answer says other things beside it");
}

#[test]
fn what_the_log_did_not_hold_is_counted_nowhere_and_noted_by_stock_tools() {
    let (bench, folder, logged) = forged(Bench::new());
    let facts = RunFacts::of(&folder, None).expect("readable");
    assert_eq!((facts.code, facts.unlogged), (Vec::new(), (3, 1)));
    assert_eq!(facts.record.counts.captures, 2, "the record counts events");

    let lines = format!("events {} to {}", logged + 1, logged + 3);
    // Stock tools note it, too.
    let trust = bench.scratch().join("trust");
    hand_over(&trust);
    remove(&trust.join("log.vkey"));
    let (code, said) = verify_sh(&trust, &[&folder]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains(&format!("the log did not hold the {lines}")), "{said}");
}
