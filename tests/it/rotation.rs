//! Keys exchanged while the daemon works: each signs in its own time, and the log tells of it once.

use std::path::Path;

use exhibit::evidence::log::{Leaf, LeafKind};
use futures_util::future::join_all;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::eventually;
use crate::ledger::leaves;
use crate::process::{Process, said, told, write_config};

const ROUNDS: usize = 3;
const SEALS: usize = 8;

/// Fingerprint of the key that signs.
async fn signing(daemon: &Process) -> String {
    let status = daemon.try_send("GET", "/v1/status", &Value::Null).await.expect("an answer");
    status.ok().json()["signing"]["key"].as_str().expect("a key").to_owned()
}

/// Have the daemon read anew, and wait until `key` signs.
async fn reload(daemon: &Process, key: &str) {
    daemon.signal(Signal::HUP);
    eventually("the key signs", async || signing(daemon).await == key).await;
}

fn rotate(folder: &Path, reason: &str) -> String {
    let (code, text) = told(folder, &["keys", "rotate", "--reason", reason]);
    assert_eq!(code, 0, "{text}");
    text.trim().to_owned()
}

fn of_kind(store: &Path, kind: LeafKind) -> Vec<Leaf> {
    leaves(store).into_iter().filter(|leaf| leaf.kind == kind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_exchanged_while_runs_are_sealed_and_each_signs_in_its_own_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (at, store) = (folder.path(), folder.path().join("store"));
    write_config(at, "");
    let daemon = Process::start(&folder).await;
    let mut keys = vec![signing(&daemon).await];
    for round in 0..ROUNDS {
        let next = rotate(at, &format!("round {round}"));
        assert_eq!(signing(&daemon).await, keys[round], "it only waits");
        let seals = join_all((0..SEALS).map(|_| daemon.sealed_run("refund")));
        let ((), runs) = tokio::join!(reload(&daemon, &next), seals);
        assert_eq!(runs.len(), SEALS);
        keys.push(next);
    }
    daemon.sealed_run("refund").await;

    // A key that is exchanged can be revoked, and the daemon tells of it without a new start.
    let revoke =
        ["keys", "revoke", &keys[0], "--reason", "lost", "--since", "2000-01-01T00:00:00Z"];
    assert_eq!(told(at, &revoke).0, 0);
    daemon.signal(Signal::HUP);
    let revoked = async || of_kind(&store, LeafKind::KeyRevocation).len() == 1;
    eventually("the log tells that it is revoked", revoked).await;
    assert!(daemon.terminate().success());
    let daemon = Process::start(&folder).await;
    assert_eq!(signing(&daemon).await, keys[ROUNDS]);
    assert!(daemon.terminate().success());

    // Once each, also after another start.
    let changes = of_kind(&store, LeafKind::KeyChange);
    assert_eq!(changes.len(), ROUNDS);
    for (round, change) in changes.iter().enumerate() {
        let said = |name: &str| change.data[name].as_str().expect("text").to_owned();
        assert_eq!((said("from"), said("to")), (keys[round].clone(), keys[round + 1].clone()));
        assert_eq!(said("reason"), format!("round {round}"));
    }
    assert_eq!(of_kind(&store, LeafKind::KeyRevocation).len(), 1);

    // Auditors believe each key in its time, and the revoked one never.
    assert_eq!(told(at, &["keys", "export", "--out", "trust"]).0, 0);
    let (_, text) = told(at, &["verify", "--trust", "trust", "--json", "store"]);
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let found = report["reports"][0]["store"]["folders"].as_array().expect("folders");
    assert_eq!(found.len(), ROUNDS * SEALS + 1);
    let codes = found.iter().flat_map(|folder| folder["findings"].as_array().expect("a list"));
    let codes: Vec<&Value> = codes.map(|finding| &finding["code"]).collect();
    assert!(codes.iter().all(|code| *code == "key_revoked"), "{codes:?}");
    std::fs::remove_file(at.join("trust/revoked_keys")).expect("there");
    let (code, text) = said(at, &["verify", "--trust", "trust", "store"]);
    assert_eq!(code, 0, "{text}");
}
