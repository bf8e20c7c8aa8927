//! Evidence of every format that was ever written verifies for ever: the folders in
//! `tests/data/evidence/` are frozen and never made anew.

use std::fs;
use std::path::PathBuf;

use exhibit::evidence::{FORMAT, RunRecord, Trust, verify};

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
        }
    }
    assert!(
        formats.iter().any(|format| format == FORMAT),
        "freeze a folder of {FORMAT}: {formats:?}"
    );
}
