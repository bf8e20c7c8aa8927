//! A key exchanged while the processes that do it are killed: no key is lost, none signs outside of
//! its time, and what was sealed before is good afterwards.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use exhibit::evidence::log::LeafKind;
use exhibit::evidence::{Signers, Trust, verify};
use exhibit::tlog::policy::Policy;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::eventually;
use crate::ledger::leaves;
use crate::process::{Process, exhibit, write_config};

const NEXT: &str = "signing_ed25519.next";

/// How many files of keys there are whose names hold `part`.
fn keys(folder: &Path, part: &str) -> usize {
    let entries = fs::read_dir(folder.join("keys")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names.filter(|name| name.to_string_lossy().contains(part)).count()
}

fn changes(folder: &Path) -> Vec<Value> {
    let leaves = leaves(&folder.join("store")).into_iter();
    let changes = leaves.filter(|leaf| leaf.kind == LeafKind::KeyChange);
    changes.map(|leaf| Value::Object(leaf.data)).collect()
}

/// Run the command in `folder`, and kill it as soon as `done`, if it has not ended by then.
async fn killed(folder: &Path, arguments: &[&str], done: impl Fn() -> bool) {
    let mut command = exhibit();
    command.args(["--config", "config.toml"]).args(arguments).current_dir(folder);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("the binary starts");
    eventually("it has come so far, or ended", async || {
        done() || child.try_wait().expect("ours").is_some()
    })
    .await;
    // SIGKILL.
    drop(child.kill());
    child.wait().expect("it ended");
}

/// Everything in the store is good by the word of all keys there were.
#[track_caller]
fn assert_sound(folder: &Path) {
    let exported = exhibit().args(["keys", "export"]).current_dir(folder).output();
    let exported = exported.expect("the binary runs").stdout;
    let lines = String::from_utf8(exported).expect("text");
    let key = fs::read_to_string(folder.join("keys/log_ed25519.vkey")).expect("the log's key");
    let policy = Policy::parse(&format!("log {key}")).expect("a policy");
    let trust = Trust::from_allowed_signers(&lines).expect("a list").with_log(policy);
    let report = verify::store(&folder.join("store"), &trust, &[]);
    let below = report.folders.iter().flat_map(|folder| &folder.findings);
    let found: Vec<_> = below.chain(&report.findings).collect();
    // What is under way in a daemon that runs is a note.
    assert_eq!(report.exit(), 0, "{found:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_a_key_is_exchanged_loses_no_key() {
    let folder: TempDir = tempfile::tempdir().expect("a folder");
    let here = folder.path().to_owned();
    write_config(&here, "");
    seal_one(&folder).await;
    let rotate = ["keys", "rotate", "--reason", "a year is over"];
    // The start is killed when the old key was put aside, the new one took its place, the history has it,
    // and the log tells of it.
    for turn in 0..4 {
        killed(&here, &rotate, || keys(&here, NEXT) > 0).await;
        // Where it was killed before there was a key, it is done again.
        if keys(&here, NEXT) == 0 || keys(&here, ".partial") > 0 {
            killed(&here, &rotate, || false).await;
        }
        assert_eq!(keys(&here, NEXT), 1);
        let history = || Signers::open(&here.join("keys/signers.json")).expect("a history");
        let waits = history().next().expect("it is announced").fingerprint.clone();
        let (retired, told) = (keys(&here, ".until-"), changes(&here).len());
        killed(&here, &["serve"], || match turn {
            0 => keys(&here, ".until-") > retired,
            1 => keys(&here, NEXT) == 0,
            2 => history().keys().len() > turn + 1,
            _ => changes(&here).len() > told,
        })
        .await;
        seal_one(&folder).await;
        let history = history();
        assert_eq!(history.keys().last().expect("a key").fingerprint, waits, "it signs");
        assert_eq!((history.keys().len(), history.next()), (turn + 2, None));
        assert_eq!(keys(&here, NEXT) + keys(&here, ".partial"), 0);
        assert_eq!(changes(&here).last().expect("told")["to"], json!(waits));
        assert_sound(&here);
    }
    assert_eq!(keys(&here, ".until-"), 4);
}

/// Start the daemon, have it seal a run, and stop it.
async fn seal_one(folder: &TempDir) {
    let daemon = Process::start(folder).await;
    daemon.sealed_run("w").await;
    assert!(daemon.terminate().success());
}
