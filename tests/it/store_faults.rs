//! Disks that are full, read-only or damaged: the caller is told, nothing acknowledged is lost, and
//! all goes on when the disk does.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::harness::TestDaemon;
use crate::site::Site;

/// Mounting needs root. Whoever is not runs the test called `name` once more, as root of user and
/// mount namespaces of its own; true when that has been done.
fn run_as_root(name: &str) -> bool {
    if rustix::process::geteuid().is_root() {
        return false;
    }
    let this = std::env::current_exe().expect("the test binary");
    let again = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount"])
        .arg(this)
        .args(["--exact", &format!("store_faults::{name}"), "--nocapture"])
        .status();
    assert!(again.expect("unshare runs").success(), "{name} failed in its own namespaces");
    true
}

/// A small file system of a test's own, mounted for as long as this lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).expect("a folder");
        let options = format!("size={size},mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status();
        assert!(mounted.expect("mount runs").success(), "mounting needs root: run this as root");
        Self(at.to_owned())
    }

    fn remount(&self, how: &str) {
        // Of the mount only: a file system may not be remounted in a namespace of a user's own.
        let options = format!("remount,bind,{how}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.0).status();
        assert!(done.expect("mount runs").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

/// A daemon whose store is a disk of this size.
async fn on_small_disk(size: &str) -> (TestDaemon, SmallDisk) {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = SmallDisk::mount(&folder.path().join("store"), size);
    (TestDaemon::start_in(folder, |_| {}).await, disk)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_it_cannot_keep_and_keeps_what_it_accepted() {
    if run_as_root("a_full_disk_refuses_what_it_cannot_keep_and_keeps_what_it_accepted") {
        return;
    }
    let (daemon, disk) = on_small_disk("6m").await;
    let site = Site::start().await;
    let run = daemon.open_run("refund").await;
    let event = json!({ "message": "kept" });
    let kept = daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok().json();

    let ballast = disk.0.join("ballast");
    let mut accepted = Vec::new();
    let full = loop {
        let length = std::fs::metadata(&ballast).map_or(0, |ballast| ballast.len());
        std::fs::write(&ballast, vec![1; usize::try_from(length).expect("small") + 800_000])
            .unwrap_or_else(|error| assert_eq!(error.kind(), std::io::ErrorKind::StorageFull));
        let reply = daemon.quick_shot(&site.url("/ok")).await;
        if reply.status != 200 {
            break reply;
        }
        accepted.push(reply.run());
    };
    let (status, code, _) = full.refusal();
    assert_eq!((status, code.as_str()), (507, "store_full"));
    let path = format!("/v1/runs/{run}/attachments?name=large");
    let large = daemon.request(reqwest::Method::POST, &path).body(vec![0; 5_000_000]);
    assert_eq!(daemon.send(large).await.refusal().1, "store_full");

    std::fs::remove_file(&ballast).expect("removed");
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let recorded = &kept["recorded"][0];
    let events = std::fs::read_to_string(daemon.sealed(&run).join("data/events.jsonl"));
    let line = events.expect("events").lines().nth(1).expect("the event").to_owned();
    assert_eq!(recorded["sha256"], exhibit::digest::Digest::of(line.as_bytes()).to_string());
    assert!(!daemon.sealed(&run).join("data/attachments/large").exists());
    for run in &accepted {
        daemon.assert_verifies(run);
    }
    daemon.quick_shot(&site.url("/ok")).await.ok();

    // What the full disk cut short is recovered by the next start.
    let folder = daemon.stop().await;
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let report = exhibit::evidence::verify::store(&daemon.store(), &daemon.trust(), &[]);
    assert!(report.folders.iter().all(|folder| folder.findings.is_empty()), "{report:#?}");
    let open = std::fs::read_dir(daemon.store().join("open")).expect("a folder");
    assert_eq!(open.count(), 0, "nothing is left open");
    drop(daemon.stop().await);
    drop(disk);
}

/// Make a folder unchangeable, also for root, or changeable again.
fn set_immutable(folder: &Path, immutable: bool) {
    use std::os::unix::fs::PermissionsExt as _;
    if !rustix::process::geteuid().is_root() {
        let mode = if immutable { 0o500 } else { 0o700 };
        let permissions = std::fs::Permissions::from_mode(mode);
        return std::fs::set_permissions(folder, permissions).expect("our own folder");
    }
    let flag = if immutable { "+i" } else { "-i" };
    let done = Command::new("chattr").arg(flag).arg(folder).status();
    assert!(done.expect("chattr runs").success(), "chattr needs root and a file system with flags");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_be_written_says_so_and_recovers() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("refund").await;
    let (open, runs) = (daemon.store().join("open"), daemon.store().join("runs"));
    for folder in [&open, &runs] {
        set_immutable(folder, true);
    }
    let replies = [
        daemon.quick_shot(&site.url("/ok")).await,
        daemon.post("/v1/runs", json!({ "workflow": "refund" })).await,
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await,
    ];
    for folder in [&open, &runs] {
        set_immutable(folder, false);
    }
    for reply in replies {
        let (status, code, _) = reply.refusal();
        assert_eq!((status, code.as_str()), (503, "store_unwritable"));
    }
    // Its seal is in the log, so nothing is added any more; sealing goes on where it stopped.
    let more = daemon.post(&format!("/v1/runs/{run}/events"), json!({ "message": "x" })).await;
    assert_eq!(more.refusal().1, "run_sealed");
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_store_keeps_the_daemon_from_starting() {
    if run_as_root("a_read_only_store_keeps_the_daemon_from_starting") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let disk = SmallDisk::mount(&folder.path().join("store"), "5m");
    disk.remount("ro");
    let config = std::sync::Arc::new(crate::harness::config_in(folder.path()));
    let start =
        || exhibit::daemon::Daemon::start(config.clone(), None, exhibit::clock::Clock::system());
    let problem = start().await.expect_err("it cannot be written");
    assert_eq!(problem.code.as_str(), "store_unwritable");
    disk.remount("rw");
    start().await.expect("it can be written").stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn head_room_is_kept_for_sealing() {
    let daemon = TestDaemon::start_with(|config| config.store.min_free = 1 << 60).await;
    let reply = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await;
    let (status, code, _) = reply.refusal();
    assert_eq!((status, code.as_str()), (507, "store_full"));
    assert!(reply.json()["error"].as_str().expect("a sentence").contains("store.min_free"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_store_does_not_keep_the_daemon_from_starting() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let sealed = daemon.quick_shot(&site.url("/ok")).await.ok().run();
    let folder: TempDir = daemon.stop().await;
    let store = folder.path().join("store");
    let broken = store.join("open/019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57/data");
    std::fs::create_dir_all(&broken).expect("made");
    std::fs::write(broken.join("events.jsonl"), "no event\n").expect("written");
    for index in ["no database", ""] {
        std::fs::write(store.join("index.sqlite"), index).expect("written");
        let daemon = TestDaemon::start_in(tempfile::tempdir().expect("a folder"), |config| {
            config.store.path.clone_from(&store);
            config.keys.signing = folder.path().join("keys/signing_ed25519");
        })
        .await;
        let listed = daemon.get("/v1/runs").await.ok().json();
        let mut listed = listed["runs"].as_array().expect("a list").iter();
        assert!(
            listed.any(|run| run["run"] == json!(sealed)),
            "the index is filled from the folders"
        );
        daemon.quick_shot(&site.url("/ok")).await.ok();
        drop(daemon.stop().await);
    }
    let aside = store.join("quarantine/019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57/data/events.jsonl");
    assert!(aside.exists(), "what the log does not tell of is set aside, whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_things_in_the_store_are_left_alone_and_stop_nobody() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let shots =
        [daemon.quick_shot(&site.url("/ok")).await.ok(), daemon.quick_shot(&site.url("/ok")).await];
    let [spoiled, sealed] = shots.map(|reply| reply.ok().run());
    let spoiled = daemon.sealed(&spoiled).join("data/run.json");
    let folder: TempDir = daemon.stop().await;
    let store = folder.path().join("store");
    let kept = [
        ("open/notes.txt", "a file"),
        ("open/not-a-run/x", "a folder of another name"),
        ("runs/notes.txt", "a file among the years"),
        ("runs/2026/notes.txt", "a file among the months"),
    ];
    for (name, text) in kept {
        let path = store.join(name);
        std::fs::create_dir_all(path.parent().expect("below the store")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    // What has the name of a run and is none goes out of the way.
    let runs = ["8", "9", "a"].map(|last| format!("019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b5{last}"));
    std::fs::write(store.join("open").join(&runs[0]), "a file").expect("written");
    std::fs::create_dir_all(store.join("open").join(&runs[1])).expect("made");
    std::os::unix::fs::symlink("/", store.join("open").join(&runs[2])).expect("a link");
    std::fs::remove_file(&spoiled).expect("removed");
    std::fs::write(&spoiled, "no record").expect("written");
    std::fs::remove_file(store.join("index.sqlite")).expect("there was one");

    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let listed = daemon.get("/v1/runs").await.ok().json();
    let listed: Vec<_> = listed["runs"].as_array().expect("a list").iter().collect();
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["run"], json!(sealed));
    for (name, text) in kept {
        assert_eq!(std::fs::read_to_string(store.join(name)).expect("left alone"), text);
    }
    for run in runs {
        assert!(store.join("quarantine").join(&run).symlink_metadata().is_ok(), "{run}");
    }
    let shot = daemon.quick_shot(&site.url("/ok")).await.ok();
    daemon.assert_verifies(&shot.run());
}

/// Something done to a file.
type Damage = fn(&Path);

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_damaged_inside_is_made_anew() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let sealed = daemon.quick_shot(&site.url("/ok")).await.ok().run();
    let mut folder: TempDir = daemon.stop().await;
    let index = folder.path().join("store/index.sqlite");
    let damages: [(&str, Damage); 3] = [
        ("its head is sound and its pages are not", |index| {
            let mut bytes = std::fs::read(index).expect("read");
            bytes[100..].fill(b'x');
            std::fs::write(index, bytes).expect("written");
        }),
        ("its log is another's", |index| {
            std::fs::write(index.with_extension("sqlite-wal"), [7; 9_000]).expect("written");
        }),
        ("it is gone", |index| std::fs::remove_file(index).expect("removed")),
    ];
    for (what, damage) in damages {
        damage(&index);
        let daemon = TestDaemon::start_in(folder, |_| {}).await;
        let listed = daemon.get("/v1/runs").await.ok().json();
        assert_eq!(listed["runs"][0]["run"], json!(sealed), "{what}");
        folder = daemon.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_room_lets_an_open_run_be_sealed() {
    if run_as_root("the_head_room_lets_an_open_run_be_sealed") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let disk = SmallDisk::mount(&folder.path().join("store"), "6m");
    let daemon = TestDaemon::start_in(folder, |config| config.store.min_free = 2 << 20).await;
    let site = Site::start().await;
    let run = daemon.open_run("refund").await;
    let (events, captures) = (format!("/v1/runs/{run}/events"), format!("/v1/runs/{run}/captures"));
    let body = json!({ "url": site.url("/ok"), "waitUntil": "load" });
    daemon.post(&captures, body.clone()).await.ok();
    std::fs::write(disk.0.join("ballast"), vec![1; 4_500_000]).expect("there is room");
    let replies = [
        ("a screenshot", daemon.quick_shot(&site.url("/ok")).await),
        ("a capture", daemon.post(&captures, body).await),
        ("an event", daemon.post(&events, json!({ "message": "x" })).await),
        ("another run", daemon.post("/v1/runs", json!({ "workflow": "refund" })).await),
    ];
    for (what, reply) in replies {
        assert_eq!(
            (reply.refusal().0, reply.refusal().1),
            (507, "store_full".to_owned()),
            "{what}"
        );
    }
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    std::fs::remove_file(disk.0.join("ballast")).expect("removed");
    daemon.quick_shot(&site.url("/ok")).await.ok();
    drop(daemon.stop().await);
    drop(disk);
}
