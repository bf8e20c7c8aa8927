//! Timestamps over the signature of each run: asked for while it is sealed, from an authority of
//! openssl's on the loopback, and judged by every tool an auditor has.

use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use exhibit::evidence::{FindingCode, verify};
use exhibit::timestamp::{Authorities, Request, TimestampToken};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::authority::{Authority, NOW, P256, stock};
use crate::harness::{TestDaemon, sealed_folder, trust_in};
use crate::process::{Process, said, stock_tools, verify_sh, write_config};

const SIGNATURE: &str = "tagmanifest-sha256.txt.sig";
const REQUEST: &str = "tagmanifest-sha256.txt.sig.tsq";
const STAMP: &str = "tagmanifest-sha256.txt.sig.tsr";

/// How the authority behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Answers,
    Refuses,
    Babbles,
    AnswersAnother,
    KeepsSilent,
}

/// An authority that is asked over HTTP.
struct Service {
    authority: Mutex<Authority>,
    mood: Mutex<Mood>,
    /// To a request of its own.
    another: Vec<u8>,
}

impl Service {
    /// One that listens, and its address.
    async fn start() -> (Arc<Self>, String) {
        let authority = Authority::new(P256, NOW);
        let other = Request::over(b"something else").expect("a request");
        let another = authority.answer(other.bytes(), None);
        let (authority, mood) = (Mutex::new(authority), Mutex::new(Mood::Answers));
        let service = Arc::new(Self { authority, mood, another });
        let own = Arc::clone(&service);
        let app =
            Router::new().route("/", post(async move |request: Bytes| own.answer(&request).await));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        (service, url)
    }

    async fn answer(&self, request: &[u8]) -> Response {
        let mood = *self.mood.lock().expect("held by nobody");
        match mood {
            Mood::Answers => self.stamp(request).into_response(),
            Mood::Refuses => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            Mood::Babbles => "no timestamp".into_response(),
            Mood::AnswersAnother => self.another.clone().into_response(),
            Mood::KeepsSilent => std::future::pending().await,
        }
    }

    fn stamp(&self, request: &[u8]) -> Vec<u8> {
        self.authority.lock().expect("held by nobody").answer(request, None)
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().expect("held by nobody") = mood;
    }

    fn believed(&self) -> Authorities {
        let root = self.authority.lock().expect("held by nobody").root();
        Authorities::from_pem(&std::fs::read(root).expect("a certificate")).expect("certificates")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_run_has_a_timestamp_that_every_tool_accepts() {
    let (service, url) = Service::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), &format!("[timestamp]\nurl = \"{url}\"\n"));
    let daemon = Process::start(&folder).await;
    let at = folder.path();
    let run = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
    let run = run["run"].as_str().expect("an id").to_owned();
    let receipt = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
    let status = daemon.try_send("GET", "/v1/status", &Value::Null).await.expect("an answer");
    assert_eq!(status.json()["timestamps"], json!({ "stamped": 1, "without": 0 }));
    assert!(daemon.terminate().success());

    let sealed = sealed_folder(&at.join("store"), &run);
    let read = |name: &str| std::fs::read(sealed.join(name)).expect("it is there");
    let (signature, answer) = (read(SIGNATURE), read(STAMP));
    let stamp = TimestampToken::parse(&answer).expect("sound");
    assert!(stamp.answers(&Request::parse(&read(REQUEST)).expect("a request")));
    let root = service.authority.lock().expect("held by nobody").root();
    assert!(stock(&signature, &answer, &root, stamp.time));
    assert!(!stock(&read("seal.json"), &answer, &root, stamp.time));
    let time: jiff::Timestamp =
        receipt["timestamp"].as_str().expect("a time").parse().expect("RFC 3339");
    assert_eq!(time, stamp.time);

    // Ours, without and with an authority to believe.
    assert_eq!(said(at, &["keys", "export", "--out", "trust"]).0, 0);
    let path = sealed.to_str().expect("text");
    let (code, text) = said(at, &["verify", "--trust", "trust", path]);
    assert!(code == 0 && text.contains("timestamp_not_judged"), "{text}");
    std::fs::copy(&root, at.join("trust/tsa-ca.pem")).expect("copied");
    let (code, text) = said(at, &["verify", "--trust", "trust", path, "store"]);
    let line = format!("its signature was there at {}, says CN=Test tsa", stamp.time);
    assert!(code == 0 && text.contains(&line) && !text.contains("timestamp_"), "{text}");

    // An auditor's own.
    let (passed, text) = stock_tools(at);
    assert!(passed && text.contains("PASS 18 timestamp"), "{text}");
    let bagit = concat!(env!("CARGO_MANIFEST_DIR"), "/target/tools/bin/bagit.py");
    let bagit = Command::new(bagit).args(["--validate", path]).output();
    let bagit = bagit.expect("scripts/setup installs it");
    assert!(bagit.status.success(), "{bagit:?}");

    let other = Authority::new(P256, NOW);
    std::fs::copy(other.root(), at.join("trust/tsa-ca.pem")).expect("copied");
    let (code, text) = said(at, &["verify", "--trust", "trust", path]);
    assert!(code == 12 && text.contains("timestamp_untrusted"), "{text}");
    assert!(text.contains("NOT ALL OF IT is vouched for"), "{text}");
    let (passed, text) = stock_tools(at);
    assert!(!passed && text.contains("FAIL 18 timestamp"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_gives_none_holds_up_no_seal_and_is_told() {
    let (service, url) = Service::start().await;
    let daemon = TestDaemon::start_with(|config| {
        config.timestamp.url = Some(url.parse().expect("an address"));
        config.timestamp.patience = Duration::from_secs(3);
    })
    .await;
    let seal = async || {
        let run = daemon.open_run("refund").await;
        let receipt = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
        (run, receipt["timestamp"].is_string())
    };
    let status = async || daemon.get("/v1/status").await.ok().json()["timestamps"].clone();
    let trust = daemon.trust().with_time(service.believed());
    for (before, mood, because) in [
        (0, Mood::Refuses, "503"),
        (1, Mood::Babbles, "no timestamp of RFC 3161"),
        (2, Mood::AnswersAnother, "something else"),
        (3, Mood::KeepsSilent, "timestamp.patience"),
        // For a while it is not waited for again, though it would answer.
        (4, Mood::Answers, "rests"),
    ] {
        service.is(mood);
        let (run, stamped) = seal().await;
        assert!(!stamped, "{mood:?}");
        let told = status().await;
        assert_eq!((&told["stamped"], &told["without"]), (&json!(0), &json!(before + 1)));
        assert!(told["because"].as_str().is_some_and(|it| it.contains(because)), "{told}");
        assert!(
            !daemon.sealed(&run).join(STAMP).exists()
                && !daemon.sealed(&run).join(REQUEST).exists()
        );
        let report = verify::folder(&daemon.sealed(&run), &trust);
        assert_eq!((report.findings, report.stamped), (vec![], None), "{mood:?}");
    }
}

/// A daemon that asks the authority at `url`, with an open run.
async fn opened(url: &str) -> (TempDir, Process, String) {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), &format!("[timestamp]\nurl = \"{url}\"\n"));
    let daemon = Process::start(&folder).await;
    let run = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
    let run = run["run"].as_str().expect("an id").to_owned();
    (folder, daemon, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_a_crash_left_open_is_stamped_when_it_is_sealed() {
    let (service, url) = Service::start().await;
    let (folder, daemon, run) = opened(&url).await;
    // It is killed.
    drop(daemon);
    let daemon = Process::start(&folder).await;
    let sealed = sealed_folder(&folder.path().join("store"), &run);
    let trust = trust_in(folder.path()).with_time(service.believed());
    let report = verify::folder(&sealed, &trust);
    let codes: Vec<FindingCode> = report.findings.iter().map(|finding| finding.code).collect();
    assert!(codes.is_empty() && report.stamped.is_some(), "{:?}", report.findings);
    let status = daemon.try_send("GET", "/v1/status", &Value::Null).await.expect("an answer");
    assert_eq!(status.json()["timestamps"], json!({ "stamped": 1, "without": 0 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_where_that_is_off_and_a_stamp_put_in_later_is_found() {
    let (service, url) = Service::start().await;
    let daemon = TestDaemon::start_with(|config| {
        config.timestamp.url = Some(url.parse().expect("an address"));
        config.timestamp.patience = Duration::ZERO;
    })
    .await;
    let run = daemon.open_run("refund").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    assert_eq!(daemon.get("/v1/status").await.ok().json()["timestamps"], Value::Null);
    let sealed = daemon.sealed(&run);
    daemon.assert_verifies(&run);
    let trust = daemon.trust().with_time(service.believed());
    let root = daemon.stop().await;
    let at = root.path();
    // Without a timestamp the key is judged by the folder's word, or by the auditor's.
    let key = at.join("keys/signing_ed25519");
    let signer = exhibit::evidence::Signer::load_or_create(&key).expect("the daemon's key");
    let line = signer.allowed_signers_line("exhibit");
    let line = line.replace("namespaces", "valid-before=\"20980101Z\",namespaces");
    std::fs::write(at.join("signers"), line).expect("written");
    let path = sealed.to_str().expect("text");
    let asked =
        |moment: &str| said(at, &["verify", "--allowed-signers", "signers", "--at", moment, path]);
    assert_eq!(asked("2097-12-31").0, 0);
    // The second in which a key ends still counts, as ssh-keygen has it.
    assert_eq!(asked("2098-01-01T00:00:00Z").0, 0);
    let (code, text) = asked("2098-01-01T00:00:01Z");
    assert!(code == 12 && text.contains("a key valid at 2098-01-01T00:00:01Z"), "{text}");
    // verify.sh judges alike.
    std::fs::create_dir(at.join("trust")).expect("made");
    std::fs::copy(at.join("signers"), at.join("trust/allowed_signers")).expect("copied");
    for (moment, code) in [
        ("2097-12-31", 0),
        ("2098-01-01T00:00:00Z", 0),
        ("2098-01-01T00:00:01Z", 1),
        ("2097-12-31T23:59:59.5Z", 0),
        ("tomorrow", 2),
    ] {
        let (found, text) = verify_sh(at, &["--trust", "trust", "--at", moment, path]);
        assert_eq!(found, Some(code), "{moment}: {text}");
        assert_eq!(text.contains("FAIL  7 signature"), code == 1, "{moment}: {text}");
    }
    let (code, text) = asked("tomorrow");
    assert!(code == 2 && text.contains("write a day such as"), "{text}");
    // A sealed folder never changes: not even an honest timestamp may be put into it.
    let signature = std::fs::read(sealed.join(SIGNATURE)).expect("there");
    let request = Request::over(&signature).expect("a request");
    let answer = service.stamp(request.bytes());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&sealed, mode).expect("set");
    std::fs::write(sealed.join(REQUEST), request.bytes()).expect("written");
    std::fs::write(sealed.join(STAMP), answer).expect("written");
    let report = verify::folder(&sealed, &trust);
    let codes: Vec<FindingCode> = report.findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [FindingCode::SealMismatch, FindingCode::SealMismatch]);
    drop(root);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_counts_for_what_an_authority_saw_before() {
    let (service, url) = Service::start().await;
    let (folder, daemon, run) = opened(&url).await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    assert!(daemon.terminate().success());
    let at = folder.path();
    assert_eq!(said(at, &["keys", "export", "--out", "trust"]).0, 0);
    let signers = std::fs::read_to_string(at.join("trust/allowed_signers")).expect("there");
    let key = signers.trim().split_once("\" ").expect("options and a key").1.to_owned();
    let sealed = sealed_folder(&at.join("store"), &run);
    let sealed = sealed.to_str().expect("text");
    for (believed, since, code) in [
        (false, "since=20970101000000Z lost", "key_revoked at"),
        (true, "since=20200101000000Z lost", "key_revoked at"),
        (true, "", "key_revoked at"),
        (true, "since=20970101000000Z lost since=20200101000000Z", "key_revoked_later at"),
    ] {
        std::fs::write(at.join("trust/revoked_keys"), format!("{key} {since}\n")).expect("written");
        if believed {
            let root = service.authority.lock().expect("held by nobody").root();
            std::fs::copy(root, at.join("trust/tsa-ca.pem")).expect("copied");
        }
        let good = code == "key_revoked_later at";
        let (exit, text) = said(at, &["verify", "--trust", "trust", sealed]);
        assert!(exit == if good { 0 } else { 12 } && text.contains(code), "{since}: {text}");
        let (passed, text) = stock_tools(at);
        assert_eq!(passed, good, "{since}: {text}");
        assert_eq!(text.contains("FAIL  7 signature"), !good, "{since}: {text}");
    }
}
