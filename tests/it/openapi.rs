//! The description of the API: `/openapi.json` is what is in the repository, docs/API.md is made
//! of it, and no field of the hosted API's contract is missing. `make docs` writes both anew.

use std::fs;
use std::path::PathBuf;

use exhibit::api::openapi::{SECTIONS, document, section};
use serde_json::Value;

use crate::harness::TestDaemon;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Whether the files are to be written instead of compared.
fn updating() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

#[track_caller]
fn same(name: &str, wanted: &str) {
    if updating() {
        fs::write(path(name), wanted).expect("written");
    }
    let found = fs::read_to_string(path(name)).expect("text");
    let differs = found.lines().zip(wanted.lines()).position(|(one, other)| one != other);
    assert!(found == wanted, "{name} differs from line {differs:?} on; run `make docs`");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_served_is_what_is_in_the_repository() {
    let mut wanted = serde_json::to_string_pretty(document()).expect("JSON");
    wanted.push('\n');
    same("docs/openapi.json", &wanted);
    let daemon = TestDaemon::start().await;
    let served = daemon.get("/openapi.json").await.ok().json();
    assert_eq!(&served, document());
    assert_eq!(served["openapi"], "3.1.0");
}

#[test]
fn the_tables_of_the_manual_are_made_of_it() {
    let name = "docs/API.md";
    let mut manual = fs::read_to_string(path(name)).expect("text");
    for part in SECTIONS {
        let (begin, end) = (format!("<!-- made: {part} -->\n"), "<!-- end -->\n");
        let (before, rest) = manual.split_once(&begin).unwrap_or_else(|| panic!("no {part}"));
        let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{part} has no end"));
        manual = format!("{before}{begin}{}{end}{after}", section(part));
    }
    same(name, &manual);
}

#[test]
fn no_field_of_the_contract_is_missing() {
    let contract = fs::read_to_string(path("tests/data/contract-fields.txt")).expect("text");
    let manual = fs::read_to_string(path("docs/API.md")).expect("text");
    let (mut missing, mut count) = (Vec::new(), 0);
    for line in contract.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let endpoint = words.next().expect("an endpoint");
        let operation = &document()["paths"][format!("/api/v1{endpoint}")]["post"];
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        for field in words {
            count += 1;
            let refused = operation["responses"]["501"].is_object();
            let told = if refused {
                manual.contains(&format!("| `{field}` |"))
            } else {
                schema["properties"].get(field).is_some_and(Value::is_object)
            };
            if !told {
                missing.push(format!("{endpoint} {field}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    assert!(count > 200, "{count}");
}
