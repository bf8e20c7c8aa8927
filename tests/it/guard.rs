//! The guard: sealed folders are immutable where the system can do it, measured by trying, and one is
//! let go only when the log says that it goes.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use exhibit::disk::flags::is_append_only;
use exhibit::evidence::LogKey;
use exhibit::evidence::log::Log;
use exhibit::integrity::guard::{Flag, GuardCommand, ask, measure, release};
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually, sealed_folder};
use crate::keeping::sealed;
use crate::process::{exhibit, write_config};
use crate::scrub::{findings, sealed_run, told};

/// Clears all flags of a store, and of what its guard remembers, when it goes, so that its folder can be
/// removed.
pub(crate) struct Unlock(pub(crate) PathBuf);

impl Drop for Unlock {
    fn drop(&mut self) {
        let state = self.0.with_file_name("guard-state");
        drop(Command::new("chattr").args(["-R", "-f", "-i", "-a"]).arg(&self.0).output());
        drop(Command::new("chattr").args(["-R", "-f", "-a"]).arg(state).output());
    }
}

/// The guard, as the process that it is.
pub(crate) struct Guard(Child);

impl Guard {
    pub(crate) async fn start(folder: &Path, socket: &Path) -> Self {
        let own = format!("[integrity]\nguard = \"{}\"\n", socket.display());
        write_config(folder, &own);
        let mut guard = exhibit();
        guard.args(["--config", "config.toml", "guard"]).current_dir(folder);
        let guard =
            Self(guard.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started"));
        eventually("the guard listens", async || UnixStream::connect(socket).is_ok()).await;
        guard
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// What each way of changing a sealed folder was answered.
fn attacks(folder: &Path) -> Vec<(&'static str, std::io::Result<()>)> {
    let (file, data) = (folder.join("seal.json"), folder.join("data"));
    let mode = |path: &Path| fs::set_permissions(path, Permissions::from_mode(0o755));
    vec![
        ("write", OpenOptions::new().write(true).open(&file).map(drop)),
        ("truncate", OpenOptions::new().write(true).truncate(true).open(&file).map(drop)),
        ("chmod", mode(&file)),
        ("chmod of a folder", mode(&data)),
        ("rename", fs::rename(&file, folder.join("other"))),
        ("remove", fs::remove_file(data.join("events.jsonl"))),
        ("link", fs::hard_link(&file, folder.with_extension("link"))),
        ("add", fs::write(data.join("more"), "")),
        ("rename the folder", fs::rename(folder, folder.with_extension("aside"))),
        ("remove the folder", fs::remove_dir(&data)),
    ]
}

pub(crate) fn assert_withstands(folder: &Path) {
    for (what, done) in attacks(folder) {
        let error = done.expect_err(what);
        let not_permitted = rustix::io::Errno::PERM.raw_os_error();
        // A folder that is not empty is refused for that before.
        if what != "remove the folder" {
            assert_eq!(error.raw_os_error(), Some(not_permitted), "{what}: {error}");
        }
    }
}

/// Neither the folder of the day of `folder` nor those above it let a name go, and they take new ones.
pub(crate) fn assert_day_withstands(folder: &Path) {
    let not_permitted = Some(rustix::io::Errno::PERM.raw_os_error());
    let refused = |what: &str, done: std::io::Result<()>| {
        assert_eq!(done.expect_err(what).raw_os_error(), not_permitted, "{what}");
    };
    let name = format!("of-{}", std::process::id());
    for above in folder.ancestors().skip(1).take(4) {
        let aside = above.with_extension("aside");
        refused("move it", fs::rename(above, &aside));
        refused("chmod", fs::set_permissions(above, Permissions::from_mode(0o755)));
        // What is new comes in, and stays: it is there already the second time.
        drop(fs::create_dir(above.join(&name)));
        refused("remove from it", fs::remove_dir(above.join(&name)));
        refused("rename in it", fs::rename(above.join(&name), above.join("other")));
        refused("move out of it", fs::rename(above.join(&name), &aside));
    }
}

/// Tell of a test that cannot be played here, past its own capturing of what is printed.
pub(crate) fn skipped(what: &str, why: &str) {
    drop(writeln!(std::io::stderr(), "SKIPPED (1 test): {what}: {why}"));
}

/// Whether chattr(1), which is not ours, can set the flag in `folder`.
pub(crate) fn chattr_works(folder: &Path) -> bool {
    let file = folder.join("probe");
    fs::write(&file, "").expect("written");
    let chattr = |flag| {
        let done = Command::new("chattr").arg(flag).arg(&file).output();
        done.is_ok_and(|done| done.status.success())
    };
    let works = chattr("+i");
    chattr("-i");
    fs::remove_file(&file).expect("removed");
    works
}

pub(crate) async fn guarded(daemon: &TestDaemon) -> Value {
    told(daemon).await["guard"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_folders_are_immutable_until_the_log_says_that_they_go() {
    let daemon = TestDaemon::start().await;
    let first = sealed_run(&daemon).await;
    assert_eq!(guarded(&daemon).await["why_not"], "`integrity.guard` names no guard");
    let folder = daemon.stop().await;
    let (store, socket) = (folder.path().join("store"), folder.path().join("guard.sock"));
    let _guard = Guard::start(folder.path(), &socket).await;

    let can = chattr_works(folder.path());
    let guard = socket.clone();
    let daemon = TestDaemon::start_in(folder, |config| config.integrity.guard = Some(guard)).await;
    let unlock = Unlock(store.clone());
    eventually("it was measured", async || {
        let said = guarded(&daemon).await;
        said["holds"] == true || said["why_not"].is_string()
    })
    .await;
    let said = guarded(&daemon).await;
    assert_eq!(said["holds"], can, "{said}");
    assert_eq!(said["append_only"]["holds"], can, "{said}");
    for flag in [Flag::Immutable, Flag::AppendOnly] {
        assert_eq!(measure(&store, flag).is_ok(), can, "the same by ourselves");
    }
    let second = sealed_run(&daemon).await;
    if !can {
        // Read-only, and said to be no more than that.
        assert!(said["why_not"].as_str().is_some_and(|why| !why.is_empty()), "{said}");
        return;
    }
    // One that was sealed before there was a guard, and one after.
    eventually("both are immutable", async || {
        let said = guarded(&daemon).await;
        said["immutable"] == 2 && said["waiting"] == 0
    })
    .await;
    for run in [&first, &second] {
        assert_withstands(&daemon.sealed(run));
        daemon.assert_verifies(run);
    }
    assert!(is_append_only(&store.join("runs")).expect("seen"));
    assert_eq!(findings(&daemon.store()), [Value::Null; 0], "the guard works for the daemon");

    let run = first.parse().expect("an id");
    let refused = ask(&socket, GuardCommand::Release(run)).expect_err("nothing says that it goes");
    assert!(refused.contains("no purge"), "{refused}");
    let none = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57".parse().expect("an id");
    let refused = ask(&socket, GuardCommand::Lock(none)).expect_err("not there");
    assert!(refused.contains("no such sealed folder"), "{refused}");
    drop(unlock_later(daemon, &socket, &first, &second).await);
    drop(unlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purge_has_the_guard_let_go_and_without_it_is_finished_later() {
    let folder = tempfile::tempdir().expect("a folder");
    if !chattr_works(folder.path()) {
        return skipped("a purge with a guard", "nobody may set flags here");
    }
    let (store, socket) = (folder.path().join("store"), folder.path().join("guard.sock"));
    let guard = socket.clone();
    let daemon = TestDaemon::start_in(folder, |config| {
        config.integrity.guard = Some(guard);
        config.retention.default = 0;
    })
    .await;
    let unlock = Unlock(store.clone());
    let (first, second) = (sealed(&daemon, "w").await, sealed(&daemon, "w").await);
    let process = Guard::start(daemon.folder.path(), &socket).await;
    let folder = daemon.stop().await;
    let again = socket.clone();
    let daemon = TestDaemon::start_in(folder, |config| {
        config.integrity.guard = Some(again);
        config.retention.default = 0;
    })
    .await;
    eventually("both are immutable", async || guarded(&daemon).await["immutable"] == 2).await;
    let purge = |run: &str| json!({ "runs": [run], "reason": "r" });
    daemon.post("/v1/purges", purge(&first)).await.ok();
    assert!(!daemon.sealed(&first).exists() && daemon.sealed(&second).is_dir());
    assert_withstands(&daemon.sealed(&second));

    // Nobody lets it go: the log says that it goes, and it is there.
    drop(process);
    let told = daemon.post("/v1/purges", purge(&second)).await.refusal();
    assert_eq!(told.1, "store_unwritable");
    assert!(daemon.sealed(&second).is_dir());
    fs::remove_file(&socket).expect("left by the guard");
    let _guard = Guard::start(daemon.folder.path(), &socket).await;
    daemon.post("/v1/purges", purge(&second)).await.ok();
    assert!(!daemon.sealed(&second).exists());
    assert_eq!(findings(&store), [Value::Null; 0], "the guard works for the daemon");
    drop(unlock);
}

/// Say in the log of a store that nobody uses that `run` is purged.
pub(crate) fn purge_in_log(folder: &Path, run: &str) {
    let store = folder.join("store");
    let key = LogKey::load_or_create(&folder.join("keys/log_ed25519")).expect("the key");
    let origin = Log::origin_of(&store).expect("read").expect("a log");
    let log = Log::open(&store, &key, &origin).expect("opened");
    let entry = json!({
        "format": "exhibit-log/1", "kind": "purge", "run": run,
        "time": "2026-11-29T00:00:00.000Z",
    });
    log.append(entry.to_string().into_bytes()).expect("appended");
}

/// Say in the log that `first` goes, and have it let go; `second` stays.
async fn unlock_later(daemon: TestDaemon, socket: &Path, first: &str, second: &str) -> Unlock {
    let folder = daemon.stop().await;
    let store = folder.path().join("store");
    let unlock = Unlock(store.clone());
    purge_in_log(folder.path(), first);
    let order = |run: &str| release(socket, run.parse().expect("an id"));
    order(second).expect_err("of this nothing was said");
    let (going, stays) = (sealed_folder(&store, first), sealed_folder(&store, second));
    assert_withstands(&stays);
    assert_day_withstands(&stays);
    let released = order(first).expect("the log says so");
    fs::set_permissions(&going, Permissions::from_mode(0o755)).expect("it may be changed again");
    let aside = going.with_extension("aside");
    fs::rename(&going, &aside)
        .and_then(|()| fs::rename(&aside, &going))
        .expect("and its day lets go");
    for above in going.ancestors().skip(2).take(3) {
        assert!(is_append_only(above).expect("seen"), "that day and no more");
    }
    assert_withstands(&stays);
    released.close().expect("closed again");
    assert_day_withstands(&going);
    // Whoever asked dies: the guard does not wait for a word.
    drop(order(first).expect("the log says so"));
    eventually("the day is closed", async || {
        is_append_only(going.parent().expect("a day")).expect("seen")
    })
    .await;
    assert_day_withstands(&going);
    // A checkpoint of somebody else's log is no word of this one.
    let note = store.join("log/checkpoint");
    let text = fs::read_to_string(&note).expect("there");
    let forged = text.replace("\u{2014} ", "\u{2014} x");
    fs::remove_file(&note).and_then(|()| fs::write(&note, forged)).expect("written");
    let refused = order(first).expect_err("not signed");
    assert!(refused.contains("log"), "{refused}");
    drop(unlock);
    Unlock(store)
}
