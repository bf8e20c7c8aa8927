//! A start looks before it makes anything: where keys or evidence are, what is missing is named, and
//! nothing is made, replaced or added to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use exhibit::clock::Clock;
use exhibit::daemon::Daemon;

use crate::harness::{TestDaemon, config_in};
use crate::process::{told, write_config};

/// Every file below `folder`, with its bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.parent().is_some_and(|it| it.extension() == Some("seen".as_ref())) {
                // What is remembered of the log grows with it.
            } else if path.is_file() && path.extension().is_none_or(|it| it != "lock") {
                found.insert(path.clone(), fs::read(&path).expect("readable"));
            }
        }
    }
    found
}

/// Start in `folder`, where that must be refused and change nothing; what is said, of which key.
async fn refused(folder: &Path) -> (String, String) {
    let before = files(folder);
    let started = Daemon::start(config_in(folder).into(), None, Clock::system()).await;
    let problem = started.map(drop).expect_err("it must not start");
    let after = files(folder);
    let changed: Vec<_> =
        after.iter().filter(|(path, bytes)| before.get(*path) != Some(*bytes)).collect();
    assert!(changed.is_empty() && before.len() == after.len(), "{problem}: {changed:?}");
    (problem.field.clone().unwrap_or_default(), problem.message)
}

/// What doctor says is FAILED in `folder`.
fn failed(folder: &Path) -> String {
    write_config(folder, "");
    let (_, text) = told(folder, &["--config", "config.toml", "doctor"]);
    fs::remove_file(folder.join("config.toml")).expect("ours");
    let lines: Vec<&str> = text.lines().collect();
    let failed = lines.windows(2).filter(|pair| pair[0].starts_with("FAILED"));
    failed.map(|pair| pair.join(" ")).collect::<Vec<_>>().join("\n")
}

/// A daemon that sealed a run, and its folder.
async fn used() -> tempfile::TempDir {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("nightly").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), serde_json::json!({})).await.ok();
    daemon.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_key_is_made_where_there_was_one() {
    let folder = used().await;
    let keys = folder.path().join("keys");
    let aside = folder.path().join("aside");
    let away = |names: &[&str]| {
        fs::create_dir(&aside).expect("made");
        for name in names {
            fs::rename(keys.join(name), aside.join(name)).expect("moved");
        }
    };
    let back = || {
        for entry in fs::read_dir(&aside).expect("a folder") {
            let entry = entry.expect("an entry");
            fs::rename(entry.path(), keys.join(entry.file_name())).expect("moved");
        }
        fs::remove_dir(&aside).expect("empty");
    };
    let (log, signing) = ("log_ed25519", "signing_ed25519");
    let public_halves = ["log_ed25519.pub", "log_ed25519.vkey", "signing_ed25519.pub"];
    for (gone, field) in [
        // A backup without secrets: the log's key first, without which nothing else matters.
        (&[log, signing][..], "keys.log"),
        (&[log], "keys.log"),
        (&[log, "log_ed25519.pub", "log_ed25519.vkey"], "keys.log"),
        (&[signing], "keys.signing"),
        (&[signing, "signing_ed25519.pub", "signers.json"], "keys.signing"),
        (
            &[log, signing, public_halves[0], public_halves[1], public_halves[2], "signers.json"],
            "keys.log",
        ),
    ] {
        away(gone);
        let (of, said) = refused(folder.path()).await;
        assert_eq!(of, field, "{gone:?}: {said}");
        assert!(said.contains("is gone") && said.contains("restore"), "{said}");
        let told = failed(folder.path());
        let name = if field == "keys.log" { "log key" } else { "signing key" };
        assert!(told.contains(name) && told.contains("is gone"), "{gone:?}: {told}");
        back();
    }
    // Only the public halves and the history, and no store at all: still another's keys.
    let store = folder.path().join("store");
    fs::rename(&store, folder.path().join("store-aside")).expect("moved");
    away(&[log, signing]);
    assert_eq!(refused(folder.path()).await.0, "keys.log");
    back();
    fs::rename(folder.path().join("store-aside"), &store).expect("moved");
    TestDaemon::start_in(folder, |_| {}).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_key_or_anothers_is_named_before_anything_is_made() {
    let folder = used().await;
    let keys = folder.path().join("keys");
    for (name, of, field) in
        [("log_ed25519", "log key", "keys.log"), ("signing_ed25519", "signing key", "keys.signing")]
    {
        let (path, sound) = (keys.join(name), fs::read(keys.join(name)).expect("a key"));
        fs::write(&path, "-----BEGIN NONSENSE-----\n").expect("written");
        let (is, said) = refused(folder.path()).await;
        assert_eq!(is, field, "{said}");
        let told = failed(folder.path());
        assert!(told.contains(of) && told.contains("is not an OpenSSH private key"), "{told}");
        fs::write(&path, sound).expect("written");
    }
    // The key of another log; a key that waits to be exchanged is left where it is.
    let other = used().await;
    let (path, sound) =
        (keys.join("log_ed25519"), fs::read(keys.join("log_ed25519")).expect("one"));
    fs::write(&path, fs::read(other.path().join("keys/log_ed25519")).expect("one"))
        .expect("written");
    let next = keys.join("signing_ed25519.next");
    fs::write(&next, fs::read(other.path().join("keys/signing_ed25519")).expect("one"))
        .expect("made");
    fs::set_permissions(&next, fs::Permissions::from_mode(0o600)).expect("set");
    let (is, said) = refused(folder.path()).await;
    assert!(is == "keys.log" && said.contains("was not signed with"), "{said}");
    assert!(failed(folder.path()).contains("was not signed with"));
    fs::write(&path, sound).expect("written");
    fs::remove_file(&next).expect("ours");

    // A key that is exchanged by a reload is not made either.
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let keys = daemon.folder.path().join("keys");
    fs::remove_file(keys.join("signing_ed25519")).expect("removed");
    fs::remove_file(keys.join("signing_ed25519.pub")).expect("removed");
    let before = files(&keys);
    daemon.daemon().reload();
    let run = daemon.open_run("nightly").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), serde_json::json!({})).await.ok();
    let folder = daemon.stop().await;
    assert_eq!(files(&folder.path().join("keys")), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_another_machine_used_last_costs_no_key() {
    let folder = used().await;
    let store = folder.path().join("store");
    let key = folder.path().join("keys/log_ed25519");
    let key = exhibit::evidence::LogKey::load_or_create(&key).expect("a key");
    let origin = exhibit::evidence::log::Log::origin_of(&store).expect("read").expect("a log");
    let log = exhibit::evidence::log::Log::open(&store, &key, &origin).expect("opened");
    let start = serde_json::json!({
        "format": "exhibit-log/1", "kind": "start", "time": "2026-11-29T00:00:00.000Z",
        "machine": "0".repeat(64), "key": "SHA256:x",
    });
    log.append(start.to_string().into_bytes()).expect("appended");
    drop(log);
    let mut signers = exhibit::evidence::Signers::open(&folder.path().join("keys/signers.json"));
    let signers = signers.as_mut().expect("a history");
    let place = config_in(folder.path()).keys.place();
    signers.rotate(&place, exhibit::evidence::KeyKind::Ed25519, "a year is over").expect("made");
    let (field, said) = refused(folder.path()).await;
    assert_eq!(field, "transparency.moved_from", "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_user_is_named_and_no_key_is_made_for_it() {
    const STRANGER: u32 = 64_503;
    let folder = used().await;
    let setpriv = |arguments: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command.args([format!("--reuid={STRANGER}"), format!("--regid={STRANGER}")]);
        command.arg("--clear-groups").args(arguments).current_dir(folder.path());
        command.output()
    };
    if !setpriv(&["true"]).is_ok_and(|done| done.status.success()) {
        return crate::guard::skipped("a store of another user", "only root can play another");
    }
    let program = folder.path().join("exhibit");
    fs::copy(env!("CARGO_BIN_EXE_exhibit"), &program).expect("copied");
    let open = fs::Permissions::from_mode(0o755);
    for path in [folder.path(), &folder.path().join("store"), &program] {
        fs::set_permissions(path, open.clone()).expect("ours");
    }
    // Its own keys' folder, in which it could make some.
    fs::remove_dir_all(folder.path().join("keys")).expect("removed");
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).expect("made");
    std::os::unix::fs::chown(&keys, Some(STRANGER), Some(STRANGER)).expect("root");
    write_config(folder.path(), "");
    let program = program.display().to_string();
    for command in ["serve", "doctor"] {
        let done =
            setpriv(&[program.as_str(), "--config", "config.toml", command]).expect("it runs");
        let said = [done.stdout, done.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!done.status.success() && said.contains("belongs to the user 0"), "{said}");
    }
    assert_eq!(files(&keys), BTreeMap::new());
    // Root makes no keys that the store's user could not use, either.
    std::os::unix::fs::chown(folder.path().join("store"), Some(STRANGER), None).expect("root");
    let (field, said) = refused(folder.path()).await;
    assert!(field == "store.path" && said.contains("belongs to the user"), "{said}");
}
