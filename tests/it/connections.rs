//! Connections that ask nothing, or half of something: they stop nobody, hold no descriptor for long,
//! and what is meant for another host or comes from another site is refused.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use exhibit::config::Config;
use serde_json::json;

use crate::harness::{LIMIT, TestDaemon, eventually};
use crate::process::{assert_store_is_sound, told, write_config};
use crate::visitor::{Visitor, with_tcp};

/// A request of which nobody sends the end.
const HALF: &[u8] = b"POST /api/v1/screenshot HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Api-Ke";

/// Connections to `address`, each of which sent `half`; some may have been turned away.
fn half_open(address: SocketAddr, count: usize, half: &[u8]) -> Vec<TcpStream> {
    let connect = |_| {
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).ok()?;
        drop(stream.write_all(half));
        Some(stream)
    };
    (0..count).filter_map(connect).collect()
}

/// Whether the other side has closed `stream`.
fn is_closed(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("set");
    loop {
        match stream.read(&mut [0; 1024]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != std::io::ErrorKind::WouldBlock,
        }
    }
}

fn few(config: &mut Config) {
    with_tcp(config);
    config.daemon.max_connections = 40;
    config.daemon.max_connections_per_peer = 20;
    config.daemon.head_limit = Duration::from_secs(2);
    config.daemon.idle = Duration::from_secs(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_stop_nobody_and_are_given_up() {
    let daemon = TestDaemon::start_with(few).await;
    let visitor = Visitor::of(&daemon);
    let mut half = half_open(visitor.address, 200, HALF);
    // Who asks at once is answered, over TCP and over the socket, and evidence is written.
    for _ in 0..10 {
        assert_eq!(visitor.get("/healthz", &[]).await.status, 200);
    }
    let run = daemon.open_run("nightly").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let open = half.iter_mut().filter_map(|stream| (!is_closed(stream)).then_some(())).count();
    assert!(open <= 20, "{open} of one peer");
    eventually("all are closed", async || half.iter_mut().all(is_closed)).await;

    // A body that never comes, of a request without a key; and connections that say nothing.
    let body = b"POST /v1/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{";
    let mut half = half_open(visitor.address, 100, body);
    half.extend(half_open(visitor.address, 100, b""));
    assert_eq!(visitor.get("/healthz", &[]).await.status, 200);
    eventually("all are closed", async || half.iter_mut().all(is_closed)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_in_is_refused_and_one_that_comes_is_not() {
    let daemon = TestDaemon::start_with(|config| {
        config.daemon.head_limit = Duration::from_millis(300);
        config.daemon.body_rate = 1 << 20;
    })
    .await;
    let mut stream = UnixStream::connect(daemon.daemon().socket()).expect("connected");
    stream.set_read_timeout(Some(LIMIT)).expect("set");
    let head = "POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"workflow\"";
    stream.write_all(head.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("answered and closed");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("too slowly"), "{answer}");
    // Ten megabytes at once are faster than that.
    let text = "x".repeat(200_000);
    let run = daemon.open_run("nightly").await;
    let event = json!({ "kind": "note", "data": { "text": text } });
    daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_user_there_are_so_many_and_who_is_one_too_many_hears_so() {
    let daemon = TestDaemon::start_with(|config| {
        few(config);
        config.daemon.max_connections_per_peer = 3;
        config.daemon.head_limit = Duration::from_secs(10);
    })
    .await;
    // Requests of a known user are under way, and none goes in favour of another of the same.
    let half =
        b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 100\r\n\r\n";
    let connect = || {
        let mut stream = UnixStream::connect(daemon.daemon().socket()).expect("connected");
        stream.write_all(half).expect("sent");
        stream.set_read_timeout(Some(LIMIT)).expect("set");
        let mut answer = [0; 21];
        stream.read_exact(&mut answer).expect("its body is asked for");
        assert!(answer.starts_with(b"HTTP/1.1 100"));
        stream
    };
    let mut there: Vec<UnixStream> = (0..3).map(|_| connect()).collect();
    let turned_away = async || {
        let mut stream = UnixStream::connect(daemon.daemon().socket()).expect("connected");
        let mut answer = Vec::new();
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
        drop(stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer);
        answer.starts_with("HTTP/1.1 503") && answer.contains("\"too_many_connections\"")
    };
    eventually("one more is turned away", turned_away).await;
    // They are given up in their turn, and then there is room.
    for stream in &mut there {
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
    }
    assert_eq!(daemon.get("/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_keeps_descriptors_when_others_take_all_they_get() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
        free.local_addr().expect("bound").port()
    };
    let own = format!("[daemon]\nlisten = \"127.0.0.1:{port}\"\n[integrity]\nrest = \"1ms\"\n");
    write_config(folder.path(), &own);
    let serve = format!(
        "ulimit -n 256 && exec {} --config config.toml serve",
        env!("CARGO_BIN_EXE_exhibit")
    );
    let log = std::fs::File::create(folder.path().join("log")).expect("a file");
    let mut child = Command::new("sh")
        .args(["-c", &serve])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("started");
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("it listens", async || TcpStream::connect(address).is_ok()).await;
    let half = half_open(address, 600, HALF);
    assert!(half.len() > 256, "more than there are descriptors: {}", half.len());
    let ask = |arguments: &[&str]| {
        let socket = ["--socket", "exhibit.sock"];
        told(folder.path(), &[&socket[..], arguments].concat())
    };
    for _ in 0..5 {
        let (code, run) = ask(&["run", "open", "nightly"]);
        assert_eq!(code, 0, "{run}");
        let run = run.lines().next().expect("an id");
        assert_eq!(ask(&["run", "seal", run]).0, 0);
    }
    // The scrubber has read it all by then, and found nothing.
    let rounds = || -> Option<serde_json::Value> {
        serde_json::from_str(&ask(&["--json", "status"]).1).ok()
    };
    eventually("a round is over", async || {
        rounds().is_some_and(|status| status["integrity"]["rounds"].as_u64() > Some(0))
    })
    .await;
    let status = rounds().expect("a status");
    assert_eq!(status["integrity"]["findings"], json!({}), "{status}");
    drop(half);
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    child.wait().expect("it ends");
    assert_store_is_sound(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_answers_its_own_names_and_no_other_site() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let visitor = Visitor::of(&daemon);
    let own = format!("http://{}", visitor.address);
    for path in ["/healthz", "/openapi.json", "/v1/status", "/api/v1/usage", "/metrics", "/nothing"]
    {
        let reply = visitor.get(path, &[("host", "evil.example")]).await;
        assert_eq!(reply.refusal().1, "foreign_request", "{path}");
        let reply = visitor.get(path, &[("origin", "https://evil.example")]).await;
        assert_eq!(reply.refusal().1, "foreign_request", "{path}");
        let reply = visitor.get(path, &[("origin", &own)]).await;
        assert_ne!(reply.status, 403, "{path}");
    }
    // Two names in one request, over whatever.
    let two = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let mut answer = Vec::new();
    let mut stream = TcpStream::connect(visitor.address).expect("connected");
    stream.write_all(two).expect("sent");
    stream.read_to_end(&mut answer).expect("answered");
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
    let mut answer = Vec::new();
    let mut stream = UnixStream::connect(daemon.daemon().socket()).expect("connected");
    stream.write_all(two).expect("sent");
    stream.read_to_end(&mut answer).expect("answered");
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_not_told_which_run_was_read_last() {
    let daemon = TestDaemon::start_with(|config| {
        with_tcp(config);
        config.integrity.rest = Duration::from_millis(1);
    })
    .await;
    let config = daemon.folder.path().join("keys/api-keys.json");
    let mut keys = exhibit::auth::keyring::Keyring::open(&config).expect("keys");
    let clock = exhibit::clock::Clock::system();
    let (key, _) = keys.add("agent", clock.now()).expect("made");
    let runs = [daemon.open_run("nightly").await, daemon.open_run("nightly").await];
    for run in &runs {
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    }
    let folder = daemon.sealed(&runs[0]);
    let file = folder.join("data/provenance.json");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&file, mode).expect("ours");
    std::fs::write(&file, "{}").expect("written");
    eventually("it is found", async || {
        let told = daemon.get("/v1/status").await.ok().json();
        told["integrity"]["findings"][&runs[0]].is_array() && told["integrity"]["last"].is_string()
    })
    .await;
    let visitor = Visitor::of(&daemon);
    let told = visitor.get("/v1/status", &[("x-api-key", key.expose())]).await.ok().json();
    assert_eq!(told["integrity"]["last"], json!(null));
    let text = told.to_string();
    assert!(runs.iter().all(|run| !text.contains(run)), "{text}");
    assert!(told["integrity"]["findings"]["runs"].is_array(), "that there is something: {text}");
}
