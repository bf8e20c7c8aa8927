//! The keys that sign: held by a real SSH agent, exchanged, revoked, and what the real ssh-keygen says
//! of the folders.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use exhibit::clock::Clock;
use exhibit::config::Config;
use exhibit::daemon::Daemon;
use exhibit::evidence::log::{Leaf, LeafKind, Log};
use exhibit::evidence::{KeyKind, KeyPlace, LogKey, SignError, Signer, Signers, Trust, verify};
use exhibit::timestamp::TimestampToken;
use serde_json::{Value, json};

use crate::authority::{Authority, NOW, P256};
use crate::harness::{TestDaemon, config_in, eventually};
use crate::ledger::leaves;
use crate::process::{said, stock_tools, write_config};
use crate::security_key;

/// A real `ssh-agent`, with a folder of its own.
struct SshAgent {
    child: Child,
    socket: PathBuf,
}

impl SshAgent {
    async fn start(folder: &Path) -> Self {
        let socket = folder.join("agent.sock");
        drop(fs::remove_file(&socket));
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("ssh-agent is there");
        let agent = Self { child, socket };
        eventually("the agent answers", async || agent.add(&["-l"]).code() != Some(2)).await;
        agent
    }

    fn add(&self, arguments: &[&str]) -> std::process::ExitStatus {
        let mut command = Command::new("ssh-add");
        command.env("SSH_AUTH_SOCK", &self.socket).args(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("ssh-add is there")
    }

    #[track_caller]
    fn holds(&self, key: &Path) {
        assert!(self.add(&[key.to_str().expect("text")]).success());
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A key pair made by ssh-keygen; the file of the private half.
fn key_pair(folder: &Path, name: &str, kind: &[&str]) -> PathBuf {
    let path = folder.join(name);
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-N", "", "-t"]).args(kind).arg("-f").arg(&path);
    assert!(command.status().expect("ssh-keygen is there").success());
    path
}

fn held_by(socket: &Path, public: &Path) -> KeyPlace {
    let agent = Some(socket.to_owned());
    KeyPlace { path: public.to_owned(), kind: KeyKind::Ed25519, agent }
}

fn public_of(key: &Path) -> PathBuf {
    key.with_extension("pub")
}

/// Whether the real ssh-keygen takes the signature of `folder` by the word of `allowed_signers`, with
/// `more` arguments.
fn ssh_keygen(folder: &Path, allowed_signers: &str, more: &[&str]) -> bool {
    let trust = tempfile::tempdir().expect("a folder");
    fs::write(trust.path().join("allowed_signers"), allowed_signers).expect("written");
    let signed = fs::File::open(folder.join("tagmanifest-sha256.txt")).expect("there");
    let mut command = Command::new("ssh-keygen");
    command.env("TZ", "UTC").args(["-Y", "verify", "-n", "evidence@exhibit", "-I", "exhibit"]);
    command.arg("-f").arg(trust.path().join("allowed_signers"));
    command.arg("-s").arg(folder.join("tagmanifest-sha256.txt.sig")).args(more).stdin(signed);
    command.output().expect("ssh-keygen is there").status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_signs_with_keys_of_both_kinds_and_with_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let agent = SshAgent::start(folder.path()).await;
    for (name, kind) in [("one", &["ed25519"][..]), ("two", &["ecdsa", "-b", "256"])] {
        let key = key_pair(folder.path(), name, kind);
        let place = held_by(&agent.socket, &public_of(&key));
        let refused = Signer::open(&place).expect_err("not added yet");
        assert!(matches!(refused, SignError::NotHeld { .. }), "{refused:?}");
        agent.holds(&key);
        // The agent's signature, and the one that the file gives, say the same.
        let (held, read) = (Signer::open(&place), Signer::load_or_create(&key));
        let (held, read) = (held.expect("held"), read.expect("readable"));
        assert_eq!(held.fingerprint(), read.fingerprint());
        let same = held.sign(b"x").expect("signed") == read.sign(b"x").expect("signed");
        assert_eq!(same, name == "one", "of ECDSA only ours is the same each time");
    }
    let rsa = key_pair(folder.path(), "rsa", &["rsa", "-b", "2048"]);
    agent.holds(&rsa);
    let refused = Signer::open(&held_by(&agent.socket, &public_of(&rsa))).expect_err("RSA");
    assert!(matches!(refused, SignError::NotAPublicKey { .. }), "{refused:?}");
    // The private key's file in its place is a slip worth a word.
    let refused = Signer::open(&held_by(&agent.socket, &rsa)).expect_err("private");
    assert!(matches!(refused, SignError::NotAPublicKey { .. }), "{refused:?}");
    // Whoever reaches the agent can sign.
    fs::set_permissions(&agent.socket, std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .expect("set");
    let place = held_by(&agent.socket, &folder.path().join("one.pub"));
    let refused = Signer::open(&place).expect_err("everybody's");
    assert!(refused.to_string().contains("chmod 600"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_agent_is_gone_runs_stay_open_and_are_sealed_when_it_is_back() {
    let keys = tempfile::tempdir().expect("a folder");
    let key = key_pair(keys.path(), "evidence", &["ecdsa", "-b", "256"]);
    let agent = SshAgent::start(keys.path()).await;
    agent.holds(&key);
    let socket = agent.socket.clone();
    let daemon = TestDaemon::start_with(|config| {
        config.keys.agent = Some(socket);
        config.keys.signing = public_of(&key);
    })
    .await;
    let signer = Signer::load_or_create(&key).expect("readable");
    let line = signer.allowed_signers_line("exhibit");
    let trust = Trust::from_allowed_signers(&line).expect("a list");
    let sealed = daemon.open_run("refund").await;
    daemon.post(&format!("/v1/runs/{sealed}/seal"), json!({})).await.ok();
    let report = verify::folder(&daemon.sealed(&sealed), &trust);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert!(ssh_keygen(&daemon.sealed(&sealed), &line, &[]));

    let waiting = daemon.open_run("refund").await;
    drop(agent);
    let seal = format!("/v1/runs/{waiting}/seal");
    let refused = daemon.post(&seal, json!({})).await;
    assert_eq!(refused.refusal(), (503, "signer_unavailable".into(), String::new()));
    let status = daemon.get("/v1/status").await.ok().json()["signing"].clone();
    assert_eq!(status["key"], json!(signer.fingerprint()));
    assert!(status["failed"].as_str().is_some_and(|why| why.contains("SSH agent")), "{status}");
    // One without the key is no better.
    let other = SshAgent::start(keys.path()).await;
    assert_eq!(daemon.post(&seal, json!({})).await.status, 503);
    // Nothing was lost: events are still taken, and the seal is done when the key is back.
    let events = format!("/v1/runs/{waiting}/events");
    daemon.post(&events, json!({ "message": "still here" })).await.ok();
    other.holds(&key);
    daemon.post(&seal, json!({})).await.ok();
    let report = verify::folder(&daemon.sealed(&waiting), &trust);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let status = daemon.get("/v1/status").await.ok().json()["signing"].clone();
    assert_eq!(status["failed"], Value::Null);
}

/// An agent at `path` that passes everything on to the real one at `socket`, and exchanges the first
/// key of `swap` for the second on the way there, and back: it signs with another key than it says.
fn bewitched(path: &Path, socket: PathBuf, swap: (Vec<u8>, Vec<u8>)) {
    use std::io::{Read as _, Write as _};
    let listener = UnixListener::bind(path).expect("bound");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let message = |stream: &mut std::os::unix::net::UnixStream| {
                let mut length = [0; 4];
                stream.read_exact(&mut length).expect("a length");
                let mut rest = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut rest).expect("a message");
                [length.to_vec(), rest].concat()
            };
            let exchanged = |bytes: Vec<u8>, from: &[u8], to: &[u8]| {
                let at = bytes.windows(from.len()).position(|window| window == from);
                at.map_or(bytes.clone(), |at| {
                    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
                })
            };
            let request = message(&mut stream);
            let mut real = std::os::unix::net::UnixStream::connect(&socket).expect("the agent");
            real.write_all(&exchanged(request, &swap.0, &swap.1)).expect("sent");
            let answer = message(&mut real);
            drop(stream.write_all(&exchanged(answer, &swap.1, &swap.0)));
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bewitched_agent_signs_with_another_key_is_never_published() {
    let keys = tempfile::tempdir().expect("a folder");
    let agent = SshAgent::start(keys.path()).await;
    let blob = |key: &Path| {
        let text = fs::read_to_string(public_of(key)).expect("there");
        ssh_key::PublicKey::from_openssh(&text).expect("a key").to_bytes().expect("bytes")
    };
    let real = key_pair(keys.path(), "real", &["ed25519"]);
    let other = key_pair(keys.path(), "other", &["ed25519"]);
    agent.holds(&other);
    let path = keys.path().join("bewitched.sock");
    bewitched(&path, agent.socket.clone(), (blob(&real), blob(&other)));
    let daemon = TestDaemon::start_with(|config| {
        config.keys.agent = Some(path);
        config.keys.signing = public_of(&real);
    })
    .await;
    let run = daemon.open_run("refund").await;
    let refused = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await;
    assert_eq!(refused.status, 500, "what was read back does not verify");
    assert!(!daemon.sealed(&run).exists());
    let open = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
    assert_eq!(open["state"], "open", "{open}");
}

/// Start a daemon that must refuse to; what it says.
async fn refused(config: Config) -> String {
    let refused = Daemon::start(config.into(), None, Clock::system()).await;
    refused.map(drop).expect_err("it must not start").message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_whose_keys_others_could_use_does_not_start() {
    let folder = TestDaemon::start().await.stop().await;
    let mode = |path: &Path, mode: u32| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(path, mode).expect("set");
    };
    let keys = folder.path().join("keys");
    fs::write(keys.join("api-keys.json"), "{\"keys\":[]}").expect("written");
    mode(&keys.join("api-keys.json"), 0o600);
    for name in ["signing_ed25519", "log_ed25519", "api-keys.json"] {
        mode(&keys.join(name), 0o640);
        let said = refused(config_in(folder.path())).await;
        assert!(said.contains(name) && said.contains("chmod 600 "), "{said}");
        assert!(said.contains("0640"), "{said}");
        mode(&keys.join(name), 0o600);
    }
    mode(&keys, 0o777);
    assert!(refused(config_in(folder.path())).await.contains("chmod go-w"));
    mode(&keys, 0o700);
    TestDaemon::start_in(folder, |_| {}).await.stop().await;
}

#[track_caller]
fn done(folder: &Path, arguments: &[&str]) -> String {
    let (code, text) = said(folder, arguments);
    assert_eq!(code, 0, "{arguments:?}: {text}");
    text
}

/// A run, sealed; its folder.
async fn sealed_run(daemon: &TestDaemon) -> PathBuf {
    let run = daemon.open_run("refund").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.sealed(&run)
}

/// Codes of what is said of `run` by the word of the lines in `signers`.
fn codes(run: &Path, signers: &str) -> Vec<&'static str> {
    let trust = Trust::from_allowed_signers(signers).expect("a list");
    verify::folder(run, &trust).findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// The time of sealing, as ssh-keygen wants it.
fn sealed_at(run: &Path) -> String {
    let record = fs::read_to_string(run.join("data/run.json")).expect("there");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    let digits: String = record["sealed_at"]
        .as_str()
        .expect("a time")
        .split('.')
        .next()
        .map(|time| time.chars().filter(char::is_ascii_digit).collect())
        .expect("a time");
    format!("-Overify-time={digits}Z")
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rotation_each_key_is_good_for_its_own_time_and_no_other() {
    let daemon = TestDaemon::start().await;
    let old = sealed_run(&daemon).await;
    write_config(daemon.folder.path(), "");
    let here = daemon.folder.path().to_owned();
    let first = done(&here, &["keys", "export"]);
    let rotate = ["keys", "rotate", "--algorithm", "p256", "--reason", "a year is over"];
    done(&here, &rotate);
    let (code, again) = said(&here, &rotate);
    assert!(code == 2 && again.contains("have the daemon reload"), "{code}: {again}");
    // Until the daemon starts again it signs with the old key, and auditors know no other.
    let still = sealed_run(&daemon).await;
    assert_eq!(done(&here, &["keys", "export"]), first);
    let folder = daemon.stop().await;
    let held = fs::read(here.join("keys/signing_ed25519")).expect("the old key");

    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let new = sealed_run(&daemon).await;
    let lines = done(&here, &["keys", "export"]);
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(done(&here, &["keys", "signers"]).contains("a year is over"));
    for run in [&old, &still, &new] {
        assert_eq!(codes(run, &lines), [""; 0], "{lines}");
        assert!(ssh_keygen(run, &lines, &[&sealed_at(run)]), "{lines}");
    }
    assert_eq!(codes(&new, &first), ["unknown_key"]);
    let changes: Vec<Value> = leaves(&daemon.store())
        .into_iter()
        .filter(|leaf| leaf.kind == LeafKind::KeyChange)
        .map(|leaf| Value::Object(leaf.data))
        .collect();
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change["reason"], "a year is over");
    assert_eq!(change["to"], daemon.get("/v1/status").await.ok().json()["signing"]["key"]);

    // Somebody brings the old key back: nobody vouched for what it signs now.
    let folder = daemon.stop().await;
    let key = folder.path().join("keys/signing_ed25519");
    fs::write(&key, held).expect("written");
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    // A key's time ends with a full second, which still belongs to it.
    let signers = Signers::open(&here.join("keys/signers.json")).expect("readable");
    let until = signers.keys()[0].until.expect("a time") + Duration::from_secs(2);
    eventually("that second is over", async || Clock::system().now().wall > until).await;
    let late = sealed_run(&daemon).await;
    assert_eq!(codes(&late, &lines), ["key_not_valid_then"]);
    assert!(!ssh_keygen(&late, &lines, &["-Overify-time=20991231Z"]));
    assert_eq!(codes(&late, &done(&here, &["keys", "export"])), [""; 0]);
}

/// Have `authority` stamp the log of the store in `folder`, whose daemon is stopped; the moment.
fn stamped(folder: &Path, authority: &Authority) -> jiff::Timestamp {
    let root = folder.join("store");
    let key = LogKey::load_or_create(&folder.join("keys/log_ed25519")).expect("a key");
    let origin = Log::origin_of(&root).expect("readable").expect("a log");
    let log = Log::open(&root, &key, &origin).expect("a log");
    let (_, request) = log.timestamp_request().expect("a request");
    let answer = authority.answer(request.bytes(), None);
    log.take_stamp(&answer, None, Clock::system().now()).expect("taken in");
    TimestampToken::parse(&answer).expect("sound").time
}

/// What `exhibit doctor` thinks of the keys' history.
fn health(folder: &Path) -> String {
    let (_, text) = said(folder, &["doctor", "--json"]);
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    let mut checks = answer["checks"].as_array().expect("a list").iter();
    let history = checks.find(|check| check["name"] == "keys' history").expect("a check");
    history["health"].as_str().expect("a word").to_owned()
}

/// Whether docs/verify.sh believes the signature in the folder `run` of the store in `here`.
fn signed_by_stock_tools(here: &Path, run: &Path) -> bool {
    let (_, text) = stock_tools(here);
    let name = run.file_name().and_then(|name| name.to_str()).expect("text");
    let of = text
        .split("\nfolder ")
        .find(|part| part.lines().next().is_some_and(|first| first.contains(name)));
    of.expect("a folder").contains("PASS  7 signature")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_revoked_key_signed_counts_only_if_others_say_that_it_was_there_before() {
    let daemon = TestDaemon::start().await;
    write_config(daemon.folder.path(), "");
    let here = daemon.folder.path().to_owned();
    let early = sealed_run(&daemon).await;
    let key = daemon.get("/v1/status").await.ok().json()["signing"]["key"].clone();
    let key = key.as_str().expect("a fingerprint").to_owned();
    let folder = daemon.stop().await;
    let authority = Authority::new(P256, NOW);
    // An authority may be off by a second, and the list knows whole seconds.
    let there = stamped(&here, &authority) + Duration::from_secs(3);
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    eventually("that is past", async || Clock::system().now().wall > there).await;
    let revoke = ["keys", "revoke", &key, "--reason", "the host was broken into"];
    let (code, text) = said(&here, &revoke);
    assert!(code == 2 && text.contains("exhibit keys rotate"), "{text}");
    assert_eq!(health(&here), "ok");
    done(&here, &["keys", "rotate", "--reason", "the host was broken into"]);
    assert_eq!(health(&here), "warning", "it waits");
    done(&here, &revoke);
    assert_eq!(health(&here), "failed", "the daemon still signs with it");
    // The daemon was not started again yet, and so signs with it; that is what must not count.
    let late = sealed_run(&daemon).await;
    let folder = daemon.stop().await;
    let held = fs::read(here.join("keys/signing_ed25519")).expect("the revoked key");
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let new = sealed_run(&daemon).await;
    let folder = daemon.stop().await;

    assert_eq!(health(&here), "ok");

    // The log tells of it, once.
    stamped(&here, &authority);
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let told_of: Vec<Leaf> = leaves(&daemon.store());
    let told_of: Vec<&Leaf> =
        told_of.iter().filter(|leaf| leaf.kind == LeafKind::KeyRevocation).collect();
    let [leaf] = told_of.as_slice() else { panic!("{told_of:?}") };
    assert_eq!(leaf.data["key"], json!(key));
    assert_eq!(leaf.data["reason"], "the host was broken into");
    let folder = daemon.stop().await;

    // Ours: without a timestamp that counts nothing of the key is believed, with one what was before.
    done(&here, &["keys", "export", "--out", "trust"]);
    let found = |run: &Path| {
        let (code, text) = said(&here, &["verify", "--trust", "trust", "--json", "store"]);
        let report: Value = serde_json::from_str(&text).expect("JSON");
        let of =
            |folder: &&Value| folder["run"] == json!(run.file_name().expect("a name").to_str());
        let folders = report["reports"][0]["store"]["folders"].as_array().expect("folders").clone();
        let findings = folders.iter().find(of).expect("it is there")["findings"].clone();
        let codes = findings.as_array().expect("findings").iter();
        (code, codes.map(|it| it["code"].as_str().expect("a code").to_owned()).collect::<Vec<_>>())
    };
    for run in [&early, &late] {
        assert_eq!(found(run), (12, vec!["key_revoked".to_owned()]));
    }
    fs::copy(authority.root(), here.join("trust/tsa-ca.pem")).expect("copied");
    assert_eq!(found(&early), (12, vec!["key_revoked_later".to_owned()]));
    assert_eq!(found(&late).1, ["key_revoked"], "its timestamp is of later");
    // Of another seal than the one it holds the log says nothing.
    let seal = early.join("seal.json");
    let kept = fs::read(&seal).expect("there");
    fs::set_permissions(&seal, std::os::unix::fs::PermissionsExt::from_mode(0o644)).expect("set");
    fs::write(&seal, [&kept[..], b" "].concat()).expect("written");
    assert_eq!(found(&early).1.first().map(String::as_str), Some("key_revoked"));
    fs::write(&seal, kept).expect("written");
    assert_eq!(found(&new).1, [""; 0]);

    // Theirs.
    let signers = fs::read_to_string(here.join("trust/allowed_signers")).expect("there");
    let list = here.join("trust/revoked_keys");
    let listed = ["-r", list.to_str().expect("text")];
    for (run, good) in [(&early, false), (&late, false), (&new, true)] {
        let at = sealed_at(run);
        assert!(ssh_keygen(run, &signers, &[&at]));
        assert_eq!(ssh_keygen(run, &signers, &[&at, listed[0], listed[1]]), good);
    }
    // Of each folder verify.sh says what we say: what a timestamp over the log shows to be older counts.
    let signed = || [&early, &late, &new].map(|run| signed_by_stock_tools(&here, run));
    assert_eq!(signed(), [true, false, true]);
    fs::write(&seal, [&fs::read(&seal).expect("there")[..], b" "].concat()).expect("written");
    assert!(!signed()[0], "of another seal the log says nothing");
    fs::rename(here.join("trust/tsa-ca.pem"), here.join("elsewhere")).expect("moved");
    assert_eq!(signed(), [false, false, true], "nobody is believed about time");

    // A daemon does not start with it.
    fs::write(folder.path().join("keys/signing_ed25519"), held).expect("written");
    let said = refused(config_in(folder.path())).await;
    assert!(said.contains("revoked") && said.contains("the host was broken into"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_security_key_signs_what_ssh_keygen_verifies() {
    let keys = tempfile::tempdir().expect("a folder");
    let (socket, public) = (keys.path().join("agent.sock"), keys.path().join("security.pub"));
    let key = security_key::plugged_in(&socket);
    fs::write(&public, &key).expect("written");
    let daemon = TestDaemon::start_with(|config| {
        config.keys.agent = Some(socket);
        config.keys.signing = public;
    })
    .await;
    let line = format!("exhibit namespaces=\"evidence@exhibit\" {key}");
    for run in [sealed_run(&daemon).await, sealed_run(&daemon).await] {
        assert_eq!(codes(&run, &line), [""; 0]);
        assert!(ssh_keygen(&run, &line, &[]));
    }
}
