//! The guard and archives: one file is as immutable as the folder it was made of, each goes only in the
//! other's favour, and a guard that was ended closes what it had open.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use exhibit::disk::flags::{is_append_only, is_immutable};
use exhibit::disk::verity::has_verity;
use exhibit::evidence::LogKey;
use exhibit::evidence::log::Log;
use exhibit::id::RunId;
use exhibit::integrity::guard::{GuardCommand, ask, release};
use exhibit::integrity::verity::measure;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::guard::{
    Guard, Unlock, assert_day_withstands, assert_withstands, chattr_works, guarded, skipped,
};
use crate::harness::{TestDaemon, eventually, sealed_folder};
use crate::keeping::sealed;
use crate::scrub::findings;

/// A guarded daemon whose runs are due at once; none where nothing can be guarded.
struct Bench {
    daemon: TestDaemon,
    guard: Guard,
    socket: PathBuf,
    store: PathBuf,
    _unlock: Unlock,
}

impl Bench {
    async fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        if !chattr_works(folder.path()) {
            skipped("archives, days and tiles with a guard", "nobody may set flags here");
            return None;
        }
        let (store, socket) = (folder.path().join("store"), folder.path().join("guard.sock"));
        let unlock = Unlock(store.clone());
        // The first start makes the keys and the store.
        let folder = start(folder, &socket).await.stop().await;
        let guard = Guard::start(folder.path(), &socket).await;
        let daemon = start(folder, &socket).await;
        Some(Self { daemon, guard, socket, store, _unlock: unlock })
    }

    /// Wait until `count` folders and archives were made immutable.
    async fn immutable(&self, count: u64) {
        eventually("all is immutable", async || {
            let said = guarded(&self.daemon).await;
            said["immutable"] == count && said["waiting"] == 0
        })
        .await;
    }

    async fn post(&self, path: &str, run: &str) -> Value {
        let body = json!({ "runs": [run] });
        self.daemon.post(path, body).await.ok().json()
    }
}

async fn start(folder: TempDir, socket: &Path) -> TestDaemon {
    let socket = socket.to_owned();
    TestDaemon::start_in(folder, |config| {
        config.integrity.guard = Some(socket);
        config.retention.default = 0;
    })
    .await
}

fn archive_of(store: &Path, run: &str) -> PathBuf {
    sealed_folder(store, run).with_file_name(format!("{run}.tar.zst"))
}

fn assert_archive_withstands(archive: &Path) {
    let folder = archive.parent().expect("a day");
    for (what, done) in [
        ("write", OpenOptions::new().write(true).open(archive).map(drop)),
        ("chmod", fs::set_permissions(archive, Permissions::from_mode(0o755))),
        ("rename", fs::rename(archive, folder.join("other"))),
        ("remove", fs::remove_file(archive)),
        ("link", fs::hard_link(archive, folder.join("link"))),
    ] {
        let error = done.expect_err(what);
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::PERM.raw_os_error()), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_is_immutable_and_each_goes_only_in_the_others_favour() {
    let Some(bench) = Bench::new().await else { return };
    let run = sealed(&bench.daemon, "w").await;
    let id: RunId = run.parse().expect("an id");
    let (folder, archive) = (bench.daemon.sealed(&run), archive_of(&bench.store, &run));
    bench.immutable(1).await;
    // Fs-verity comes before the flag, with which it cannot be enabled.
    let verity = measure(&bench.store).is_ok();
    assert_eq!(has_verity(&folder.join("seal.json")).expect("seen"), verity);
    bench.post("/v1/archives", &run).await;
    assert!(!folder.exists());
    bench.immutable(2).await;
    assert_archive_withstands(&archive);
    assert_day_held(&archive);
    // The log says that the folder goes, and that has gone: nothing lets the archive go.
    let why = release(&bench.socket, id).expect_err("the archive stays");
    assert!(why.contains("stays"), "{why}");

    bench.post("/v1/archives/restore", &run).await;
    bench.immutable(3).await;
    assert!(!archive.exists());
    assert_withstands(&folder);
    assert_day_held(&folder);
    bench.daemon.assert_verifies(&run);
    let why = release(&bench.socket, id).expect_err("the folder stays");
    assert!(why.contains("stays"), "{why}");

    bench.post("/v1/archives", &run).await;
    bench.immutable(4).await;
    assert_archive_withstands(&archive);
    let purge = json!({ "runs": [run], "reason": "r" });
    bench.daemon.post("/v1/purges", purge).await.ok();
    assert!(!archive.exists() && !folder.exists());
    assert!(is_append_only(archive.parent().expect("a day")).expect("seen"), "closed again");
    assert_eq!(findings(&bench.store), [Value::Null; 0], "the guard works for the daemon");
}

#[tokio::test(flavor = "multi_thread")]
async fn full_tiles_of_the_log_are_immutable_and_the_log_goes_on() {
    let Some(bench) = Bench::new().await else { return };
    let Bench { daemon, guard, socket, store, _unlock } = bench;
    let folder = daemon.stop().await;
    let beat = json!({
        "format": "exhibit-log/1", "kind": "heartbeat", "time": "2026-11-29T00:00:00.000Z",
    });
    let key = LogKey::load_or_create(&folder.path().join("keys/log_ed25519")).expect("the key");
    let origin = Log::origin_of(&store).expect("read").expect("a log");
    let log = Log::open(&store, &key, &origin).expect("opened");
    log.append_all(vec![beat.to_string().into_bytes(); 600]).expect("appended");
    drop(log);
    let daemon = start(folder, &socket).await;
    // Two of entries and two of hashes.
    eventually("the full ones are immutable", async || guarded(&daemon).await["tiles"] == 4).await;
    let tile = |name: &str| store.join("log/tile").join(name);
    for name in ["entries/000", "entries/001", "0/000", "0/001"] {
        assert_archive_withstands(&tile(name));
    }
    for name in ["entries/002.p", "1/000.p", ""] {
        assert!(!is_immutable(&tile(name)).expect("seen"), "{name} still changes");
    }
    let why = ask(&socket, GuardCommand::Tiles(u64::MAX)).expect_err("none so long");
    assert!(why.contains("entries, not"), "{why}");
    let run = sealed(&daemon, "w").await;
    daemon.assert_verifies(&run);
    assert_eq!(findings(&store), [Value::Null; 0], "the guard works for the daemon");
    drop(guard);
}

#[track_caller]
fn assert_day_held(sealed: &Path) {
    for above in sealed.ancestors().skip(1).take(4) {
        assert!(is_append_only(above).expect("seen"), "{}", above.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_that_was_ended_closes_the_days_when_it_starts() {
    let Some(bench) = Bench::new().await else { return };
    let (run, stays) = (sealed(&bench.daemon, "w").await, sealed(&bench.daemon, "w").await);
    bench.immutable(2).await;
    let Bench { daemon, guard, socket, store, _unlock } = bench;
    let day = daemon.sealed(&run).parent().expect("a day").to_owned();
    // What the daemon would have taken away is let go when the guard is killed.
    let folder = daemon.stop().await;
    crate::guard::purge_in_log(folder.path(), &run);
    let released = release(&socket, run.parse().expect("an id")).expect("the log says so");
    assert!(!is_append_only(&day).expect("seen"));
    drop(guard);
    released.close().expect_err("nobody is there");
    assert!(!is_append_only(&day).expect("seen"), "open as it was left");
    fs::remove_file(&socket).expect("left by the guard");
    let _guard = Guard::start(folder.path(), &socket).await;
    assert!(is_append_only(&day).expect("seen"), "before it listens");
    assert_day_withstands(&sealed_folder(&store, &stays));

    // One whose flag somebody took off while nobody looked gets it back from the daemon.
    let taken_off = std::process::Command::new("chattr").arg("-a").arg(&day).status();
    assert!(taken_off.expect("chattr").success() && !is_append_only(&day).expect("seen"));
    let daemon = start(folder, &socket).await;
    eventually("the day is closed", async || is_append_only(&day).expect("seen")).await;
    eventually("all is immutable", async || guarded(&daemon).await["waiting"] == 0).await;
    assert!(is_immutable(&sealed_folder(&store, &stays)).expect("seen"));
}
