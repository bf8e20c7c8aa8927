//! The log over the API, and witnesses who watch it by exchanging files.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use exhibit::config::Witness;
use exhibit::tlog::checkpoint::Checkpoint;
use exhibit::tlog::note::{Algorithm, NoteSigner, VerifierKey};
use exhibit::tlog::proof::Proof;
use exhibit::tlog::tile::Tile;
use exhibit::tlog::witness::{Refusal, Request};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{TestDaemon, eventually};
use crate::process::{Process, outcome, stock_tools, verify_sh, write_config};

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, stdout, stderr) = outcome(folder, arguments);
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
    assert!(proof.verify_inclusion(&seal));
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
    let code = done(at, &["log", "checkpoint", "--qr"]);
    assert!(code.contains('▀') && code.lines().count() > 25, "{code}");
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
    let (code, text, _) = outcome(at, &["verify", "--trust", "trust", sealed]);
    assert_eq!(code, 12, "its own proof is older than the witness's look: {text}");
    assert!(text.contains("witness_missing"), "{text}");
    done(at, &["log", "proof", &run, "--out", "later.tlog-proof"]);
    done(at, &["verify", "--trust", "trust", "--proof", "later.tlog-proof", sealed]);
    assert!(done(at, &["verify", "--trust", "trust", "store"]).contains("3 entries"));
    let (passed, text) = stock_tools(at);
    assert!(passed && text.contains("PASS 26 witnesses"), "{text}");
    // How fresh that is, the witness's clock says.
    for (since, good) in [("2020-01-01", true), ("2097-01-01T00:00:00Z", false)] {
        let asked = ["verify", "--trust", "trust", "--witnessed-since", since, "store"];
        let (code, text, _) = outcome(at, &asked);
        assert_eq!((code == 0, text.contains("witness_stale")), (good, !good), "{text}");
        assert!(text.contains("the witness w saw 3 of 3 entries at 20"), "{text}");
        let asked = ["--trust", "trust", "--store", "store", "--witnessed-since", since];
        let (code, text) = verify_sh(at, &asked);
        assert_eq!(code == Some(0), good, "{text}");
        assert!(text.contains("the witness 'w' saw 3 of 3 entries at 20"), "{text}");
    }
    // That is asked of a store, and of witnesses that are needed.
    let since = ["verify", "--trust", "trust", "--witnessed-since", "2020-01-01"];
    assert_eq!(outcome(at, &[&since[..], &[sealed]].concat()).0, 2);
    std::fs::rename(at.join("trust/trust-policy.txt"), at.join("aside")).expect("renamed");
    assert_eq!(outcome(at, &[&since[..], &["store"]].concat()).0, 2);
    let asked = ["--trust", "trust", "--store", "store", "--witnessed-since", "2020-01-01"];
    assert_eq!(verify_sh(at, &asked).0, Some(2));
    std::fs::rename(at.join("aside"), at.join("trust/trust-policy.txt")).expect("renamed");

    // The next request begins where the witness looked last, and does not fit a second time.
    sealed_run(&daemon).await;
    assert!(done(at, &["verify", "--trust", "trust", "store"]).contains("witness_behind"));
    let request = done(at, &["log", "witness", "request"]);
    assert!(request.starts_with("old 3\n"), "{request}");
    std::fs::write(at.join("request"), request).expect("written");
    done(at, &[&SIGN[..], &["--out", "signed"]].concat());
    let (code, _, stderr) = outcome(at, &SIGN);
    assert_eq!(code, 6, "{stderr}");
    assert!(stderr.contains("saw the checkpoint at 5 last"), "{stderr}");
    done(at, &["log", "witness", "add", "signed"]);

    // A log begun anew with the same keys does not continue what the witness saw.
    assert!(daemon.terminate().success());
    for part in ["store", "keys/api-keys.json"] {
        let path = at.join(part);
        drop(std::fs::rename(&path, at.join("old")));
    }
    std::fs::remove_dir_all(at.join("keys/log_ed25519.seen")).expect("the operator's decision");
    let daemon = Process::start(&folder).await;
    for _ in 0..4 {
        sealed_run(&daemon).await;
    }
    done(at, &["log", "witness", "request", "--old", "5", "--out", "request"]);
    let (code, _, stderr) = outcome(at, &SIGN);
    assert_eq!(code, 6, "{stderr}");
    assert!(stderr.contains("DOES NOT CONTINUE"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_several_witnesses_is_asked_from_what_it_saw() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let named = |word: &str| format!("auditor.example/{word}");
    let key = |word: &str| {
        let name = named(word);
        let key = ["log", "witness", "key", "--witness-key", word, "--name", &name];
        format!("\"{}\"", done(at, &key).trim())
    };
    let keys = format!("[transparency]\nwitnesses = [{}, {}]\n", key("v"), key("w"));
    write_config(at, &keys);
    let daemon = Process::start(&folder).await;
    sealed_run(&daemon).await;
    // Neither saw anything: one request is as good as another.
    assert!(done(at, &["log", "witness", "request"]).starts_with("old 0\n"));
    let cosign = |word: &str| {
        let (name, state) = (named(word), format!("{word}.note"));
        done(at, &["log", "witness", "request", "--witness", &name, "--out", "request"]);
        let sign = ["log", "witness", "sign", "--witness-key", word, "--name", &name, "--log-key"];
        let what = ["keys/log_ed25519.vkey", "--state", &state, "request", "--out", "signed"];
        done(at, &[&sign[..], &what].concat());
        done(at, &["log", "witness", "add", "signed"]);
    };
    cosign("v");
    sealed_run(&daemon).await;
    let (code, _, said) = outcome(at, &["log", "witness", "request"]);
    assert!(code == 2 && said.contains("auditor.example/v saw 3"), "{said}");
    for (word, begins) in [("v", "old 3\n"), ("w", "old 0\n")] {
        let request = done(at, &["log", "witness", "request", "--witness", &named(word)]);
        assert!(request.starts_with(begins), "{word}: {request}");
    }
    cosign("w");
    cosign("v");
    assert!(done(at, &["log", "witness", "request"]).starts_with("old 5\n"));
    let (code, _, said) = outcome(at, &["log", "witness", "request", "--witness", "nobody"]);
    assert!(code == 2 && said.contains("names no \"nobody\""), "{said}");
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
    let (code, _, stderr) = outcome(at, &["log", "witness", "add", "signed"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("transparency.witnesses"), "{stderr}");
    // Named while the daemon runs, it is.
    let key = done(
        at,
        &["log", "witness", "key", "--witness-key", "stranger", "--name", "auditor.example/w"],
    );
    write_config(at, &format!("[transparency]\nwitnesses = [\"{}\"]\n", key.trim()));
    eventually("the configuration is followed", async || {
        outcome(at, &["log", "witness", "add", "signed"]).0 == 0
    })
    .await;
}

/// A witness in the network (c2sp.org/tlog-witness): what it saw last of one log, and how often it
/// was asked.
#[derive(Default)]
struct Watching {
    log: Option<VerifierKey>,
    seen: Option<Checkpoint>,
    asked: u32,
    silent: bool,
}

fn watcher() -> NoteSigner {
    NoteSigner::new("net.example/w", &[5; 32]).expect("a name")
}

async fn add_checkpoint(State(watching): State<Arc<Mutex<Watching>>>, body: String) -> Response {
    let mut watching = watching.lock().expect("no panic");
    watching.asked += 1;
    let Ok(request) = Request::parse(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    if watching.silent {
        return (StatusCode::SERVICE_UNAVAILABLE, "closed today").into_response();
    }
    let log = watching.log.as_ref().expect("known");
    match request.check(log, watching.seen.as_ref()) {
        Ok(()) => {
            let line = watcher().cosign(&request.note.text, 1_800_000_000);
            watching.seen = Some(request.checkpoint);
            line.into_response()
        }
        Err(Refusal::OtherStart { seen, .. }) => {
            let kind = [("content-type", "text/x.tlog.size")];
            (StatusCode::CONFLICT, kind, format!("{seen}\n")).into_response()
        }
        Err(Refusal::NotSigned(_)) => StatusCode::FORBIDDEN.into_response(),
        Err(refusal) => (StatusCode::UNPROCESSABLE_ENTITY, refusal.to_string()).into_response(),
    }
}

async fn listening(watching: &Arc<Mutex<Watching>>) -> Witness {
    let app = Router::new().route("/some/prefix/add-checkpoint", post(add_checkpoint));
    let app = app.with_state(Arc::clone(watching));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/some/prefix", listener.local_addr().expect("an address"));
    tokio::spawn(axum::serve(listener, app).into_future());
    let key = watcher().verifier(Algorithm::Cosignature);
    Witness { key, url: Some(url.parse().expect("an address")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_in_the_network_is_asked_and_what_it_says_is_told() {
    let watching = Arc::new(Mutex::new(Watching { silent: true, ..Watching::default() }));
    let witness = listening(&watching).await;
    let daemon = TestDaemon::start_with(|config| {
        config.transparency.witnesses = vec![witness];
        config.transparency.cosign_every = Duration::from_millis(50);
    })
    .await;
    let told =
        async || daemon.get("/v1/status").await.ok().json()["witnesses"]["net.example/w"].clone();
    eventually("that it is closed is told", async || {
        told().await["refusal"].as_str().is_some_and(|why| why.contains("closed today"))
    })
    .await;
    let key = std::fs::read_to_string(daemon.store().with_file_name("keys/log_ed25519.vkey"));
    {
        // It knows of an older checkpoint, which the daemon does not know it saw.
        let mut watching = watching.lock().expect("no panic");
        watching.log = Some(key.expect("a key").trim().parse().expect("a key"));
        let text = std::fs::read_to_string(daemon.store().join("log/checkpoint")).expect("there");
        let note = exhibit::tlog::note::Note::parse(&text).expect("a note");
        watching.seen = Some(Checkpoint::parse(&note.text).expect("a checkpoint"));
        watching.silent = false;
    }
    let run = daemon.open_run("refund").await;
    eventually("it cosigns", async || {
        let told = told().await;
        told["size"] == 2 && told["refusal"].is_null()
    })
    .await;
    let witnessed = daemon.get("/v1/log/witnessed").await.ok();
    assert!(String::from_utf8(witnessed.body).expect("text").contains("net.example/w"));
    let asked = watching.lock().expect("no panic").asked;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    eventually("it cosigns what came since", async || told().await["size"] == 3).await;
    assert_eq!(watching.lock().expect("no panic").asked, asked + 1, "only when the log has grown");

    // One that saw what this log does not hold.
    let root = exhibit::digest::Digest::ZERO;
    let forked = |size: u64| {
        let mut watching = watching.lock().expect("no panic");
        let origin = watching.seen.take().expect("seen").origin;
        watching.seen = Some(Checkpoint { origin, size, root });
    };
    for (size, said) in [(2, "DOES NOT CONTINUE"), (99, "IS SHORTER")] {
        forked(size);
        daemon.open_run("refund").await;
        eventually(said, async || {
            told().await["refusal"].as_str().is_some_and(|why| why.contains(said))
        })
        .await;
        assert_eq!(told().await["size"], 3, "what it signed before is kept");
    }
}
