//! The mistakes of whoever uses Exhibit for the first time: what is said names the value, the key and a
//! remedy that works, and nothing is made or taken meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use exhibit::clock::Clock;
use exhibit::daemon::Daemon;
use serde_json::json;

use crate::harness::{TestDaemon, config_in};
use crate::process::{exhibit, outcome, said, write_config};

/// Exit code and standard error of the binary with `arguments`, run in `folder`.
fn refused(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let (code, stdout, stderr) = outcome(folder, arguments);
    assert!(code != 0 && stdout.is_empty(), "{arguments:?}: {stdout}{stderr}");
    (code, stderr)
}

#[track_caller]
fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
}

#[test]
fn a_start_that_cannot_work_says_so_before_it_makes_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let script = elsewhere.path().join("chromium");
    fs::write(&script, "#!/bin/sh\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("ours");
    let script = script.display().to_string();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").to_string();
    let listen = format!("`daemon.listen` is {port}");
    let serve = ["--config", "config.toml", "serve"];
    let (sandbox, keys) = ("[browser]\nsandbox = false\n", "[keys]\nsigning = \"keys/s\"\n");
    for (config, parts) in [
        (format!("{sandbox}runtime = \"/proc/b\"\n{keys}"), &["`browser.runtime` is /proc/b"][..]),
        (format!("{sandbox}[keys]\nsigning = \"/proc/k/s\"\n"), &["`keys.signing` is /proc/k/s"]),
        (format!("{sandbox}{keys}log = \"/proc/k/l\"\n"), &["`keys.log` is /proc/k/l"]),
        (format!("{sandbox}path = \"{script}\"\n{keys}"), &["`browser.path`", "is a script"]),
        (
            format!("{sandbox}{keys}[daemon]\nsocket_group = \"nobodys\"\n"),
            &["`nobodys`", "groupadd"],
        ),
        (format!("{sandbox}{keys}[daemon]\nlisten = \"{port}\"\n"), &[&listen, "another"]),
    ] {
        let config = config.replace("[daemon]\n", "[daemon]\nsocket = \"a.sock\"\n");
        let daemon =
            if config.contains("[daemon]") { "" } else { "[daemon]\nsocket = \"a.sock\"\n" };
        let runtime = if config.contains("runtime") { "" } else { "runtime = \"b\"\n" };
        let config = config.replace("sandbox = false\n", &format!("sandbox = false\n{runtime}"));
        fs::write(
            place.join("config.toml"),
            format!("{config}{daemon}[store]\npath = \"store\"\n"),
        )
        .expect("written");
        let (_, text) = refused(place, &serve);
        assert_says(&text, parts);
        assert_says(&text, &["nothing was made or changed"]);
        assert!(
            !text.contains("inside the daemon") && !text.contains("ask the operator"),
            "{text}"
        );
        let left: Vec<_> = fs::read_dir(place).expect("a folder").collect();
        assert_eq!(left.len(), 1, "{config}: {left:?}");
    }
    // Keys are not made where others could exchange them, and then refused.
    let open = elsewhere.path().join("open");
    fs::create_dir(&open).expect("made");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("ours");
    let exposed = format!(
        "{sandbox}runtime = \"b\"\n[keys]\nsigning = \"{}/k/s\"\n[store]\npath = \"store\"\n\
         [daemon]\nsocket = \"a.sock\"\n",
        open.display()
    );
    fs::write(place.join("config.toml"), exposed).expect("written");
    let (_, text) = refused(place, &serve);
    assert_says(&text, &["`keys.signing` is", "written by others", "chmod go-w"]);
    assert_eq!(fs::read_dir(&open).expect("a folder").count(), 0, "no key was made");
    fs::write(place.join("config.toml"), "[store]\npath = \"/proc/x\"\n").expect("written");
    let (_, text) = refused(place, &serve);
    assert_says(&text, &["`store.path` is /proc/x", "examples/own-user.toml"]);
    if rustix::process::geteuid().is_root() {
        assert_says(&text, &["`browser.sandbox` is on", "user of its own"]);
    }
    // Doctor says the same, and its exit code as well.
    let (code, text) = said(place, &["--config", "config.toml", "doctor"]);
    assert_eq!(code, 14, "{text}");
    assert_says(&text, &["FAILED   store", "`store.path` is /proc/x"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_told_of_the_first() {
    let daemon = TestDaemon::start().await;
    let start = async |config: exhibit::config::Config| {
        let started = Daemon::start(config.into(), None, Clock::system()).await;
        let problem = started.map(drop).expect_err("it must not start");
        (problem.field.clone().unwrap_or_default(), problem.message)
    };
    let own = format!("(process {})", std::process::id());
    let (field, text) = start(config_in(daemon.folder.path())).await;
    assert_eq!(field, "daemon.socket");
    assert_says(&text, &[&own, "exhibit.sock", "stop it"]);
    let mut config = config_in(daemon.folder.path());
    config.daemon.socket = daemon.folder.path().join("other.sock");
    let (field, text) = start(config).await;
    assert_eq!(field, "store.path");
    assert_says(&text, &[&own, &daemon.store().display().to_string(), "stop it"]);
    assert!(!text.contains("/lock"), "{text}");
    daemon.get("/healthz").await.ok();
}

#[test]
fn a_configuration_is_taken_only_where_it_is_ours() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    let here = place.join("config.toml");
    // Another program's is passed over, with a note; ours with a mistake in it is not.
    fs::write(&here, "title = \"a site\"\n[server]\nport = 1\n").expect("written");
    let (code, text) = refused(place, &["verify", "nowhere"]);
    assert_eq!(code, 2, "{text}");
    let (_, text) = refused(place, &["--socket", "none.sock", "status"]);
    assert!(!text.contains("server"), "{text}");
    let (code, text) = said(place, &["config", "check", "config.toml"]);
    assert!(code == 6 && text.contains("server"), "named, it counts: {text}");
    let (_, text) = said(place, &["doctor"]);
    assert_says(&text, &["./config.toml is passed over", "--config"]);
    fs::write(&here, "[store]\npath = \"s\"\n[stroe]\n").expect("written");
    assert_says(&refused(place, &["doctor"]).1, &["config.toml:3", "did you mean `store`"]);
    // So is one that another user may have laid there for root to fall into.
    if rustix::process::geteuid().is_root() {
        fs::write(&here, "[store]\npath = \"s\"\n").expect("written");
        std::os::unix::fs::chown(&here, Some(65_534), None).expect("given away");
        let (_, text) = said(place, &["doctor"]);
        assert_says(&text, &["./config.toml is passed over: it belongs to the user 65534"]);
    }

    fs::write(place.join("w.toml"), "[workflow.refund]\nrecording = true\n").expect("written");
    let (code, text) = refused(place, &["config", "check", "w.toml"]);
    assert_eq!(code, 6);
    assert_says(&text, &["w.toml:1", "did you mean `[workflows.NAME]`"]);
    fs::write(place.join("g.toml"), "[daemon]\nsocket_group = \"nobodys\"\n").expect("written");
    let (code, text) = refused(place, &["config", "check", "g.toml"]);
    assert_eq!(code, 6);
    assert_says(&text, &["g.toml", "`nobodys`", "groupadd"]);
}

#[test]
fn a_wrong_path_is_a_mistake_and_no_tampering() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    fs::create_dir_all(place.join("home/store/runs")).expect("made");
    for (verb, path, parts) in [
        ("verify", "nope", &["nope is not there", "an evidence folder, a store"][..]),
        ("verify", "home", &["home is neither evidence nor a store", "home/store is"]),
        ("report", "nope", &["nope is not there", "the folder of one run"]),
        ("report", "home/store", &["home/store is not a folder of evidence"]),
    ] {
        let (code, text) = refused(place, &[verb, path]);
        assert_eq!(code, 2, "{verb} {path}: {text}");
        assert_says(&text, parts);
        assert!(!text.to_lowercase().contains("altered"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_is_not_let_in_is_told_what_to_give() {
    let daemon = TestDaemon::start_with(|config| {
        config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
    })
    .await;
    let place = daemon.folder.path();
    let url = format!("http://{}", daemon.daemon().tcp().expect("listening"));
    let (code, text) = refused(place, &["--url", &url["http://".len()..], "list"]);
    assert_eq!(code, 2);
    assert_says(&text, &["http://HOST:PORT"]);
    for (key, part) in [(&[][..], "asks for an API key"), (&["--key", "exk_x"], "does not know")] {
        let (code, text) = refused(place, &[&["--url", &url][..], key, &["list"]].concat());
        assert_eq!(code, 4);
        assert_says(&text, &[part, "--key or EXHIBIT_KEY", "exhibit keys add"]);
        assert!(!text.contains("x-api-key"), "{text}");
    }
    // The daemon is there, and the socket is not for this user.
    if rustix::process::geteuid().is_root() {
        let open = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
        };
        open(place, 0o755);
        let socket = daemon.daemon().socket();
        open(socket, 0o600);
        let mut other = exhibit();
        other.uid(65_534).gid(65_534).current_dir("/").arg("--socket").arg(socket).arg("list");
        let Ok(output) = other.output() else { return };
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_says(&text, &["may not use the socket", "group"]);
        assert!(!text.contains("exhibit serve"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_field_is_told_of_alone() {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("nightly").await;
    let socket = daemon.daemon().socket().display().to_string();
    let log = ["--socket", &socket, "run", "log", &run, "done", "--kind", "run.sealed"];
    let (code, text) = refused(daemon.folder.path(), &log);
    assert_eq!(code, 2);
    assert_says(&text, &["`kind` is `run.sealed`"]);
    assert!(!text.contains("hint") && !text.contains("leave it out"), "{text}");
    let many = [
        ("/v1/runs", json!({"workflow": "w", "controls": [7], "labels": {}, "agent": "a"})),
        ("/v1/runs", json!({"workflow": "w", "labels": [], "code": {"commit": "c"}})),
        ("/v1/sequences/import", json!({"name": "n", "selectors": [], "trace": []})),
    ];
    for (path, body) in many {
        let refused = daemon.post(path, body.clone()).await;
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(refused.status == 400 && !text.contains("is not a field here"), "{body}: {text}");
    }
}

#[test]
fn a_key_that_cannot_be_used_is_told_once_and_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path();
    write_config(place, "");
    let keys = place.join("keys");
    fs::create_dir(&keys).expect("made");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).expect("ours");
    let make = |arguments: &[&str]| {
        fs::remove_file(keys.join("signing_ed25519")).ok();
        let mut command = std::process::Command::new("ssh-keygen");
        let made = command.arg("-q").args(arguments).arg("-f").arg(keys.join("signing_ed25519"));
        assert!(made.status().expect("ssh-keygen is there").success());
        fs::remove_file(keys.join("signing_ed25519.pub")).expect("made as well");
    };
    let tell = || refused(place, &["--config", "config.toml", "serve"]).1;
    make(&["-t", "rsa", "-b", "2048", "-N", ""]);
    assert_says(&tell(), &["keys.signing", "of the kind ssh-rsa"]);
    make(&["-t", "ed25519", "-N", "a passphrase"]);
    assert_says(&tell(), &["keys.signing", "has a passphrase", "keys.agent"]);
    fs::remove_file(keys.join("signing_ed25519")).expect("there");
    exhibit::disk::write_once(&keys.join("signing_ed25519"), b"no key").expect("written");
    let text = tell();
    assert_says(&text, &["keys.signing", "is not an OpenSSH private key"]);
    assert_eq!(text.matches("is not an OpenSSH private key").count(), 1, "{text}");
    assert_eq!(text.to_lowercase().matches("preamble").count().max(1), 1, "{text}");
}

#[test]
fn a_print_as_root_asks_for_another_user_and_not_for_a_daemon() {
    let folder = tempfile::tempdir().expect("a folder");
    let evidence = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/evidence/v1/01a20cfc-4612-7588-878e-5b7a1d5cb702");
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let print = ["report", evidence.to_str().expect("text"), "--pdf", "--out", "out.pdf"];
    let (_, text) = refused(folder.path(), &print);
    assert_says(&text, &["run this command as another user", "does not work for root"]);
    assert!(!text.contains("daemon as a user"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_taken_for_a_file_that_cannot_be_written() {
    let daemon = TestDaemon::start().await;
    let place = daemon.folder.path();
    let socket = daemon.daemon().socket().display().to_string();
    fs::write(place.join("there"), "").expect("written");
    let url = crate::site::refused_url();
    let run = daemon.open_run("nightly").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    for command in [&["shot", &url][..], &["pdf", &url], &["record", &url], &["export", &run]] {
        for (out, code) in [("there", 8), ("no/such/folder", 2)] {
            let arguments = [&["--socket", &socket][..], command, &["--out", out]].concat();
            let (told, text) = refused(place, &arguments);
            assert!(
                told == code && text.contains(out.split('/').next().expect("a name")),
                "{text}"
            );
        }
    }
    let runs = daemon.get("/v1/runs").await.ok().json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "no attempt was made: {runs}");
    let (_, text) = said(place, &["custody", "--store", "store", "--json"]);
    assert!(!text.contains("bundle") && !text.contains("export"), "nothing was handed out: {text}");
}
