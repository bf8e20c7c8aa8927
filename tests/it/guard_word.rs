//! The guard and an old word of the log: it remembers how far it saw the log, reads every entry since
//! the one it goes by, and lets a folder go only for the archive that the log tells of.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use exhibit::disk::flags::is_immutable;
use exhibit::evidence::LogKey;
use exhibit::evidence::log::Log;
use exhibit::id::RunId;
use exhibit::integrity::guard::{GuardCommand, ask, release};
use serde_json::json;
use tempfile::TempDir;

use crate::guard::{Guard, Unlock, assert_withstands, chattr_works, guarded, skipped};
use crate::harness::{TestDaemon, eventually};
use crate::keeping::sealed;

/// A guard over a store with a run that was archived and restored, and what the store's user can take
/// from the time in between.
struct Bench {
    folder: TempDir,
    socket: PathBuf,
    store: PathBuf,
    run: RunId,
    sealed: PathBuf,
    archive: PathBuf,
    /// Checkpoint and tiles while the run was an archive, and that archive.
    then: PathBuf,
    guard: Option<Guard>,
    _unlock: Unlock,
}

async fn start(folder: TempDir, socket: &Path) -> TestDaemon {
    let socket = socket.to_owned();
    TestDaemon::start_in(folder, |config| config.integrity.guard = Some(socket)).await
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("made");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() { copy_tree(&from, &to) } else { assert!(fs::copy(&from, &to).is_ok()) }
    }
}

impl Bench {
    async fn new() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        if !chattr_works(folder.path()) {
            skipped("an old word of the log with a guard", "nobody may set flags here");
            return None;
        }
        let (store, socket) = (folder.path().join("store"), folder.path().join("guard.sock"));
        let unlock = Unlock(store.clone());
        let folder = start(folder, &socket).await.stop().await;
        let guard = Guard::start(folder.path(), &socket).await;
        let daemon = start(folder, &socket).await;
        let id = sealed(&daemon, "w").await;
        let immutable = async |count: u64| {
            eventually("all is immutable", async || {
                let said = guarded(&daemon).await;
                said["immutable"] == count && said["waiting"] == 0
            })
            .await;
        };
        immutable(1).await;
        daemon.post("/v1/archives", json!({ "runs": [id] })).await.ok();
        immutable(2).await;
        let (sealed, then) = (daemon.sealed(&id), daemon.folder.path().join("then"));
        let archive = sealed.with_file_name(format!("{id}.tar.zst"));
        copy_tree(&store.join("log"), &then.join("log"));
        fs::copy(&archive, then.join("archive")).expect("copied");
        daemon.post("/v1/archives/restore", json!({ "runs": [id] })).await.ok();
        immutable(3).await;
        let folder = daemon.stop().await;
        let run = id.parse().expect("an id");
        let guard = Some(guard);
        Some(Self { folder, socket, store, run, sealed, archive, then, guard, _unlock: unlock })
    }

    /// Put what is kept of the log at `name` in the place of what is there.
    fn put_back(&self, name: &str) {
        let (from, to) = (self.then.join("log").join(name), self.store.join("log").join(name));
        if to.is_dir() {
            // What is full is immutable; this log has no full tile.
            fs::remove_dir_all(&to).expect("removed");
            copy_tree(&from, &to);
        } else {
            fs::remove_file(&to).expect("removed");
            fs::copy(&from, &to).expect("copied");
        }
    }

    async fn again(&mut self) {
        drop(self.guard.take());
        fs::remove_file(&self.socket).expect("left by the guard");
        self.guard = Some(Guard::start(self.folder.path(), &self.socket).await);
    }

    fn refused(&self, what: &str) {
        let why = release(&self.socket, self.run).map(drop).expect_err("it must stay");
        assert!(why.contains(what), "{why}");
        assert_withstands(&self.sealed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_word_of_the_log_lets_nothing_go() {
    let Some(mut bench) = Bench::new().await else { return };
    fs::write(&bench.archive, "bogus").expect("a day takes what is new");
    let now = bench.folder.path().join("now");
    copy_tree(&bench.store.join("log"), &now.join("log"));
    bench.put_back("checkpoint");
    bench.refused("were seen before");
    // With its tiles; also by a guard that starts anew, whose memory the store's user cannot take back.
    bench.put_back("tile");
    bench.refused("were seen before");
    bench.again().await;
    bench.refused("were seen before");
    let why = ask(&bench.socket, GuardCommand::Tiles(1)).expect_err("no tile either");
    assert!(why.contains("were seen before"), "{why}");

    // By its newest word, that the run is a folder again, what is bogus goes and the folder stays.
    bench.then = now;
    bench.put_back("checkpoint");
    bench.put_back("tile");
    release(&bench.socket, bench.run).expect("an archive goes").close().expect("closed");
    assert!(!is_immutable(&bench.archive).expect("seen"));
    assert_withstands(&bench.sealed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_entry_that_is_hidden_is_missed() {
    let Some(bench) = Bench::new().await else { return };
    fs::copy(bench.then.join("archive"), &bench.archive).expect("a day takes what is new");
    // The entry that says `restore` becomes another of the same length.
    let folder = bench.store.join("log/tile/entries");
    let mut changed = 0;
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).expect("readable");
            let (from, to) = (b"\"kind\":\"restore\"", b"\"kind\":\"rectore\"");
            let Some(at) = bytes.windows(from.len()).position(|part| part == from) else {
                continue;
            };
            let mut bytes = bytes;
            bytes[at..at + to.len()].copy_from_slice(to);
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("ours");
            fs::write(&path, bytes).expect("written");
            changed += 1;
        }
    }
    assert!(changed > 0);
    bench.refused("not those that its checkpoint covers");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_goes_for_the_archive_of_the_log_and_for_no_other() {
    let Some(mut bench) = Bench::new().await else { return };
    // As after a crash between the entry and the move: the log says `archive`, both are there.
    let key = LogKey::load_or_create(&bench.folder.path().join("keys/log_ed25519")).expect("one");
    let origin = Log::origin_of(&bench.store).expect("read").expect("a log");
    let log = Log::open(&bench.store, &key, &origin).expect("opened");
    let genuine = fs::read(bench.then.join("archive")).expect("kept");
    let entry = json!({
        "format": "exhibit-log/1", "kind": "archive", "run": bench.run,
        "sha256": exhibit::digest::Digest::of(&genuine), "time": "2026-11-29T00:00:00.000Z",
    });
    log.append(entry.to_string().into_bytes()).expect("appended");
    fs::write(&bench.archive, "bogus").expect("a day takes what is new");
    bench.refused("not the one that the log tells of");
    assert!(!is_immutable(&bench.archive).expect("seen"), "what is bogus is not kept");
    fs::write(&bench.archive, &genuine).expect("ours");
    let released = release(&bench.socket, bench.run).expect("the log says so");
    assert!(is_immutable(&bench.archive).expect("seen"), "and what it goes for stays");
    assert!(!is_immutable(&bench.sealed).expect("seen"));
    released.close().expect("closed");

    // And the other way round: for a folder that is not what was sealed its archive stays.
    let entry = json!({
        "format": "exhibit-log/1", "kind": "restore", "run": bench.run,
        "time": "2026-11-29T00:00:00.000Z",
    });
    log.append(entry.to_string().into_bytes()).expect("appended");
    let file = bench.sealed.join("data/provenance.json");
    let sound = fs::read(&file).expect("readable");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("ours");
    fs::write(&file, "{}").expect("it is not immutable now");
    let why = release(&bench.socket, bench.run).map(drop).expect_err("it must stay");
    assert!(why.contains("is not what was sealed") && why.contains("stays"), "{why}");
    assert!(is_immutable(&bench.archive).expect("seen"));
    fs::write(&file, sound).expect("ours");
    fs::set_permissions(&file, Permissions::from_mode(0o444)).expect("ours");
    release(&bench.socket, bench.run).expect("now it goes").close().expect("closed");
    assert!(!is_immutable(&bench.archive).expect("seen"));
    assert_withstands(&bench.sealed);
    bench.again().await;

    // What came back from a bundle goes by no older word.
    let entry = json!({
        "format": "exhibit-log/1", "kind": "import", "runs": [bench.run],
        "sha256": "0".repeat(64), "time": "2026-11-29T00:00:00.000Z",
    });
    log.append(entry.to_string().into_bytes()).expect("appended");
    bench.refused("was put back");
}
