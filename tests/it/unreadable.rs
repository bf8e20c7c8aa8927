//! The real binary where it cannot read: with too few descriptors, and as a user without rights. What it
//! cannot read it says, and takes nothing for changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::process::{Process, told, write_config};

/// Somebody without rights.
const NOBODY: u32 = 65534;
const OK: i32 = 0;
const USAGE: i32 = 2;
const UNREADABLE: i32 = 13;

/// A folder with a stopped daemon's store and the trust in it.
async fn stopped() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let daemon = Process::start(&folder).await;
    // So many that two of them are read at once.
    for _ in 0..12 {
        daemon.sealed_run("refund").await;
    }
    assert!(daemon.terminate().success());
    let (code, said) = told(folder.path(), &["keys", "export", "--out", "trust"]);
    assert_eq!(code, 0, "{said}");
    folder
}

/// Classes of all findings in what `exhibit verify --json` says; none when it says nothing.
fn classes(said: &str) -> Vec<String> {
    fn gather(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("class").and_then(Value::as_str).map(str::to_owned));
                fields.values().for_each(|field| gather(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| gather(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    gather(&serde_json::from_str(said).unwrap_or_default(), &mut found);
    found
}

fn ended(command: &mut Command) -> (i32, String) {
    let done = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    (done.status.code().expect("it ended by itself"), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_too_few_descriptors_nothing_is_taken_for_changed() {
    let folder = stopped().await;
    let mut codes = Vec::new();
    for limit in 4..28 {
        let line = format!("ulimit -n {limit}; exec \"$0\" verify --json --trust trust store");
        let mut command = Command::new("bash");
        command.current_dir(folder.path()).args(["-c", &line, env!("CARGO_BIN_EXE_exhibit")]);
        let (code, said) = ended(&mut command);
        let accused = classes(&said).into_iter().filter(|class| class != "note");
        let accused: Vec<String> = accused.filter(|class| class != "unreadable").collect();
        assert!(accused.is_empty(), "{limit}: {code} {said}");
        // How many files are open at once depends on its threads; that the trust cannot be read is
        // said of the command line.
        assert!(matches!(code, OK | USAGE | UNREADABLE), "{limit}: {code} {said}");
        codes.push(code);
    }
    assert!(codes.iter().any(|code| *code != OK), "{codes:?}");
    assert_eq!(codes.last(), Some(&OK), "{codes:?}");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// Let everybody read what is in `folder`.
fn unlock(folder: &Path) {
    set_mode(folder, 0o755);
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            unlock(&path);
        } else if path.is_file() {
            set_mode(&path, 0o644);
        }
    }
}

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_below(&path, found);
        }
        found.push(path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_rights_nothing_is_taken_for_changed() {
    let folder = stopped().await;
    let at = folder.path();
    fs::copy(env!("CARGO_BIN_EXE_exhibit"), at.join("exhibit")).expect("copied");
    unlock(at);
    set_mode(&at.join("exhibit"), 0o755);
    let verify = || {
        let mut command = Command::new(at.join("exhibit"));
        command.args(["verify", "--json", "--trust", "trust", "store"]).current_dir(at);
        if rustix::process::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        ended(&mut command)
    };
    assert_eq!(verify().0, OK);
    let mut places = Vec::new();
    for name in ["runs", "log", "checkpoints", "custody"] {
        files_below(&at.join("store").join(name), &mut places);
    }
    assert!(places.len() > 50, "{}", places.len());
    for place in places {
        let mode = fs::metadata(&place).expect("there").permissions().mode();
        set_mode(&place, 0);
        let (code, said) = verify();
        set_mode(&place, mode);
        let other = classes(&said).into_iter().find(|class| class != "unreadable");
        assert!(code == UNREADABLE && other.is_none(), "{}: {code} {said}", place.display());
    }
}
