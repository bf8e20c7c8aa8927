//! Evidence of every format that was ever written verifies for ever, by us and by stock tools: the
//! folders in `tests/data/evidence/` and the stores in `tests/data/store/` are frozen and never made
//! anew.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use exhibit::evidence::{FORMAT, RunRecord, Trust, verify};
use exhibit::population::{Query, population};
use exhibit::tlog::policy::Policy;

#[test]
fn frozen_folders_of_every_format_verify() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/evidence"));
    let mut formats = Vec::new();
    for version in fs::read_dir(root).expect("frozen evidence") {
        let version = version.expect("an entry").path();
        let signers = fs::read_to_string(version.join("allowed_signers")).expect("who signed");
        let trust = Trust::from_allowed_signers(&signers).expect("sound lines");
        let folders =
            fs::read_dir(&version).expect("a folder").map(|entry| entry.expect("an entry").path());
        for folder in folders.filter(|path| path.is_dir()) {
            let report = verify::folder(&folder, &trust);
            assert!(report.findings.is_empty(), "{}: {:#?}", folder.display(), report.findings);
            assert!(report.signed_by.is_some() && report.files > 5, "{report:#?}");
            formats.push(RunRecord::read(&folder).expect("a record").format);
            let stock = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.sh"))
                .arg("--trust")
                .args([&version, &folder])
                .output()
                .expect("bash is there");
            let said = String::from_utf8_lossy(&stock.stdout);
            assert!(stock.status.success() && said.contains("PASS  7 signature"), "{said}");
        }
    }
    assert!(
        formats.iter().any(|format| format == FORMAT),
        "freeze a folder of {FORMAT}: {formats:?}"
    );
}

#[test]
fn frozen_stores_verify_with_their_logs() {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/store"));
    for version in fs::read_dir(root).expect("frozen stores") {
        let version = version.expect("an entry").path();
        let read = |name: &str| fs::read_to_string(version.join(name)).expect("a text");
        let policy = Policy::parse(&format!("log {}", read("trust/log.vkey"))).expect("a key");
        let trust = Trust::from_allowed_signers(&read("trust/allowed_signers")).expect("a line");
        let (store, kept) = (version.join("store"), version.join("kept.note"));
        let report = verify::store(&store, &trust.with_log(policy), &[kept]);
        assert_eq!(report.exit(), 0, "{report:#?}");
        let log = report.log.as_ref().expect("a log");
        assert_eq!((log.sealed, log.remembered), (report.folders.len() as u64, 1));
        assert!(report.folders.iter().all(|folder| folder.logged.is_some()), "{report:#?}");
        // One complete run, with pictures and their framed copies, and one that a stop cut short.
        let query = Query { from: None, to: None, workflow: None };
        let population = population(&store, query, None, &Policy::default()).expect("a population");
        let verdicts: Vec<_> = population.runs.iter().map(|run| run.verdict).collect();
        assert_eq!(verdicts, [Some("complete"), Some("incomplete")]);
    }
}
