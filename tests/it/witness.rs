//! The log over the API, and witnesses who watch it by exchanging files.

use std::path::Path;

use exhibit::tlog::proof::Proof;
use exhibit::tlog::tile::Tile;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{TestDaemon, eventually};
use crate::process::{Process, exhibit, stock_tools, write_config};

/// Exit code, standard output and standard error of the binary, run in `folder`.
fn told(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = exhibit().args(arguments).current_dir(folder).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("a code"), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = told(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {stdout}{stderr}");
    stdout
}

async fn sealed_run(daemon: &Process) -> String {
    let opened = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
    let run = opened["run"].as_str().expect("an id").to_owned();
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_served_in_the_form_of_its_specification() {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("refund").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    let checkpoint = daemon.get("/api/v1/log/checkpoint").await.ok();
    let text = String::from_utf8(checkpoint.body).expect("text");
    assert_eq!(text.lines().nth(1), Some("3"), "{text}");
    for tile in ["tile/0/000.p/3", "tile/entries/000.p/3", "tile/0/000.p/1"] {
        let served = daemon.get(&format!("/api/v1/log/{tile}")).await.ok();
        let kept = std::fs::read(daemon.store().join("log").join(tile)).expect("kept");
        assert!(Tile::parse(tile).is_some() && served.body == kept, "{tile}");
    }
    for none in ["tile/0/000", "tile/0/000.p/9", "tile/9/000", "tile/entries/../checkpoint", "x"] {
        assert_eq!(daemon.get(&format!("/api/v1/log/{none}")).await.status, 404, "{none}");
    }
    let proof = daemon.get(&format!("/v1/runs/{run}/proof")).await.ok();
    let proof = Proof::parse(std::str::from_utf8(&proof.body).expect("text")).expect("a proof");
    let seal = std::fs::read(daemon.sealed(&run).join("seal.json")).expect("the seal");
    assert!(proof.includes(&seal));
    let (status, code, field) = daemon.get("/v1/log/request?old=9").await.refusal();
    assert_eq!((status, code.as_str(), field.as_str()), (400, "invalid_field", "old"));
    assert_eq!(daemon.get("/v1/log/witnessed").await.status, 404);
    let body = daemon.request(reqwest::Method::POST, "/v1/log/cosignatures").body("nothing");
    assert_eq!(daemon.send(body).await.refusal().1, "invalid_field");
}

/// A store with one sealed run, and a witness that the configuration names.
async fn watched() -> (TempDir, Process, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = done(
        folder.path(),
        &["log", "witness", "key", "--witness-key", "witness", "--name", "auditor.example/w"],
    );
    write_config(folder.path(), &format!("[transparency]\nwitnesses = [\"{}\"]\n", key.trim()));
    let daemon = Process::start(&folder).await;
    let run = sealed_run(&daemon).await;
    (folder, daemon, run)
}

const SIGN: [&str; 12] = [
    "log",
    "witness",
    "sign",
    "--witness-key",
    "witness",
    "--name",
    "auditor.example/w",
    "--log-key",
    "keys/log_ed25519.vkey",
    "--state",
    "state.note",
    "request",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_cosigns_what_continues_and_refuses_what_does_not() {
    let (folder, daemon, run) = watched().await;
    let at = folder.path();
    done(at, &["log", "witness", "request", "--out", "request"]);
    done(at, &[&SIGN[..], &["--out", "signed"]].concat());
    done(at, &["log", "witness", "add", "signed"]);
    let status: Value =
        serde_json::from_str(&done(at, &["log", "witness", "status", "--json"])).expect("JSON");
    assert_eq!(status["witnessed"], json!({ "size": 3, "witnesses": ["auditor.example/w"] }));

    // An auditor who asks for the witness is content with the proof against what it cosigned.
    done(at, &["keys", "export", "--out", "trust"]);
    let log = std::fs::read_to_string(at.join("trust/log.vkey")).expect("a key");
    let witness = done(
        at,
        &["log", "witness", "key", "--witness-key", "witness", "--name", "auditor.example/w"],
    );
    let policy = format!("log {}\nwitness w {}\nquorum w\n", log.trim(), witness.trim());
    std::fs::write(at.join("trust/trust-policy.txt"), policy).expect("written");
    let sealed = crate::harness::sealed_folder(&at.join("store"), &run);
    let sealed = sealed.to_str().expect("text");
    let (code, text, _) = told(at, &["verify", "--trust", "trust", sealed]);
    assert_eq!(code, 12, "its own proof is older than the witness's look: {text}");
    assert!(text.contains("witness_missing"), "{text}");
    done(at, &["log", "proof", &run, "--out", "later.tlog-proof"]);
    done(at, &["verify", "--trust", "trust", "--proof", "later.tlog-proof", sealed]);
    assert!(done(at, &["verify", "--trust", "trust", "store"]).contains("3 entries"));
    // Stock tools count no witnesses, and are not led astray by their lines.
    let (passed, text) = stock_tools(at);
    assert!(passed && text.contains("PASS 13 history"), "{text}");

    // The next request begins where the witness looked last, and does not fit a second time.
    sealed_run(&daemon).await;
    assert!(done(at, &["verify", "--trust", "trust", "store"]).contains("witness_behind"));
    let request = done(at, &["log", "witness", "request"]);
    assert!(request.starts_with("old 3\n"), "{request}");
    std::fs::write(at.join("request"), request).expect("written");
    done(at, &[&SIGN[..], &["--out", "signed"]].concat());
    let (code, _, stderr) = told(at, &SIGN);
    assert_eq!(code, 6, "{stderr}");
    assert!(stderr.contains("saw the checkpoint at 5 last"), "{stderr}");
    done(at, &["log", "witness", "add", "signed"]);

    // A log begun anew with the same keys does not continue what the witness saw.
    assert!(daemon.terminate().success());
    for part in ["store", "keys/api-keys.json"] {
        let path = at.join(part);
        drop(std::fs::rename(&path, at.join("old")));
    }
    let daemon = Process::start(&folder).await;
    for _ in 0..4 {
        sealed_run(&daemon).await;
    }
    done(at, &["log", "witness", "request", "--old", "5", "--out", "request"]);
    let (code, _, stderr) = told(at, &SIGN);
    assert_eq!(code, 6, "{stderr}");
    assert!(stderr.contains("DOES NOT CONTINUE"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_witnesses_that_were_named_are_taken_in() {
    let (folder, _daemon, _) = watched().await;
    let at = folder.path();
    done(at, &["log", "witness", "request", "--out", "request"]);
    let stranger = SIGN.map(|word| if word == "witness" { "stranger" } else { word });
    let mut stranger = stranger.to_vec();
    stranger[1] = "witness";
    done(at, &[&stranger[..], &["--out", "signed"]].concat());
    let (code, _, stderr) = told(at, &["log", "witness", "add", "signed"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("transparency.witnesses"), "{stderr}");
    // Named while the daemon runs, it is.
    let key = done(
        at,
        &["log", "witness", "key", "--witness-key", "stranger", "--name", "auditor.example/w"],
    );
    write_config(at, &format!("[transparency]\nwitnesses = [\"{}\"]\n", key.trim()));
    eventually("the configuration is followed", async || {
        told(at, &["log", "witness", "add", "signed"]).0 == 0
    })
    .await;
}
