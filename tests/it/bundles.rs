//! Sealed runs handed out as one file, and checked by whoever gets it.

use std::path::Path;

use exhibit::evidence::log::LogReader;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, trust_in};
use crate::process::{Process, exhibit, outcome, verify_sh, write_config};

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_checked_without_its_store_and_its_going_out_is_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    let mut runs = Vec::new();
    for _ in 0..2 {
        runs.push(daemon.sealed_run("refund").await);
    }
    let at = folder.path();
    let told = |arguments: &[&str]| outcome(at, arguments);
    let (code, made, stderr) = told(&["export", &runs[0], &runs[1], "--out", "e.tar.zst"]);
    assert_eq!(code, 0, "{stderr}");
    let bytes = std::fs::read(at.join("e.tar.zst")).expect("there");
    let digest = exhibit::digest::Digest::of(&bytes).to_string();
    assert_eq!(made, format!("{digest}  e.tar.zst\n"));
    // The same runs once more, in another order: the same but for the proofs, which are newer.
    assert_eq!(told(&["export", &runs[1], &runs[0], "--out", "e.tar.zst"]).0, 8, "is there");
    let log = LogReader::of_store(&at.join("store"));
    let (_, checkpoint) = log.checkpoint().expect("a log");
    let entries = log.bundle(0, checkpoint.size).expect("entries");
    let exports: Vec<Value> = entries
        .iter()
        .map(|entry| serde_json::from_slice(entry).expect("JSON"))
        .filter(|entry: &Value| entry["kind"] == "export")
        .collect();
    assert_eq!(exports[0]["sha256"], digest);
    assert_eq!(exports[0]["runs"], json!(runs));
    assert_eq!(exports[0]["to"]["via"], "socket");

    assert_eq!(told(&["keys", "export", "--out", "trust"]).0, 0);
    let (code, text, _) = told(&["verify", "--trust", "trust", "e.tar.zst"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("2 folders checked") && text.contains("in the log"), "{text}");
    let (code, said) = verify_sh(at, &["--trust", "trust", "e.tar.zst"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("PASS 10 proof").count(), 2, "{said}");
    without_room(at, &runs[0]);
    // Plain tar opens it.
    let out = at.join("plain");
    std::fs::create_dir(&out).expect("made");
    let plain = std::process::Command::new("tar")
        .args(["--zstd", "-xf", "e.tar.zst", "-C", "plain"])
        .current_dir(at)
        .status();
    if plain.is_ok_and(|status| status.success()) {
        let report =
            exhibit::evidence::verify::folder(&out.join("runs").join(&runs[0]), &trust_in(at));
        assert_eq!(report.findings, []);
    }
    // Any byte of it counts, or is none of the evidence's: never a wrong answer.
    let mut cut = bytes.clone();
    cut.truncate(bytes.len() / 2);
    std::fs::write(at.join("cut.tar.zst"), &cut).expect("written");
    assert_eq!(told(&["verify", "--trust", "trust", "cut.tar.zst"]).0, 13);
    let mut flipped = bytes;
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(at.join("flipped.tar.zst"), &flipped).expect("written");
    // Whether the frame's end is still reached, or a file is another, is a matter of which byte.
    let code = told(&["verify", "--trust", "trust", "flipped.tar.zst"]).0;
    assert!(matches!(code, 10 | 13), "{code}");
}

/// Nothing is unpacked to verify what was sent: there need be no room, and zeros take none.
fn without_room(at: &Path, run: &str) {
    let verified = |file: &str| {
        let mut command = exhibit();
        command.args(["verify", "--trust", "trust", file]).current_dir(at);
        let done = command.env("TMPDIR", at.join("nowhere")).output().expect("the binary runs");
        (done.status.code(), String::from_utf8_lossy(&done.stdout).into_owned())
    };
    let (code, said) = verified("e.tar.zst");
    assert_eq!(code, Some(0), "{said}");
    let copy = at.join("copy").join(run);
    std::fs::create_dir_all(copy.join("data")).expect("made");
    let date = "Bagging-Date: 2026-11-24\nExternal-Identifier: urn:uuid:x\n";
    let bag = format!("{date}Payload-Oxum: 5.1\nBag-Software-Agent: exhibit 0.1.0\n");
    std::fs::write(copy.join("bag-info.txt"), bag).expect("written");
    let zeros = std::fs::File::create(copy.join("data/zeros")).expect("made");
    zeros.set_len(200 << 20).expect("long");
    let id = run.parse().expect("an id");
    let bomb = exhibit::bundle::write(Vec::new(), &[(id, &copy, None)]).expect("in memory");
    assert!(bomb.len() < 100_000, "{}", bomb.len());
    std::fs::write(at.join("bomb.tar.zst"), bomb).expect("written");
    let (code, said) = verified("bomb.tar.zst");
    assert!(said.contains("below data/, by its bag-info.txt"), "{said}");
    assert_eq!(code, Some(13), "{said}");
    let (code, said) = verify_sh(at, &["--trust", "trust", "bomb.tar.zst"]);
    assert!(said.contains("more lies below data/ than bag-info.txt says"), "{said}");
    assert_eq!(code, Some(1), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_sealed_and_ones_own_is_handed_out() {
    let daemon = TestDaemon::start().await;
    let open = daemon.open_run("refund").await;
    let refusal = daemon.post("/v1/bundles", json!({ "runs": [open] })).await.refusal();
    assert_eq!((refusal.0, refusal.1.as_str()), (409, "run_open"));
    let unknown = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";
    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({ "runs": "x" }), "invalid_field"),
        (json!({ "runs": ["x"] }), "invalid_field"),
        (json!({ "runs": [] }), "invalid_field"),
        (json!({ "runs": [unknown], "more": 1 }), "unknown_field"),
        (json!({ "runs": [unknown] }), "run_not_found"),
    ] {
        let refusal = daemon.post("/v1/bundles", body.clone()).await.refusal();
        assert_eq!(refusal.1, code, "{body}");
    }
}
