//! The store's log as the daemon keeps it: what stands in it, when, and whose store is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use exhibit::clock::Clock;
use exhibit::daemon::Daemon;
use exhibit::evidence::log::LeafKind::{Open, Seal, Start, Stop};
use exhibit::evidence::log::{Leaf, LeafKind, Log, LogReader};
use exhibit::evidence::{LogKey, verify};
use exhibit::tlog::tile::WIDTH;
use serde_json::json;

use crate::harness::{LIMIT, TestDaemon, config_in, sealed_folder, trust_in};
use crate::site::Site;

/// All entries of the log of `store`, oldest first.
pub(crate) fn leaves(store: &Path) -> Vec<Leaf> {
    let reader = LogReader::of_store(store);
    let (_, checkpoint) = reader.checkpoint().expect("a log");
    let bundles = 0..checkpoint.size.div_ceil(WIDTH);
    let entries =
        bundles.flat_map(|bundle| reader.bundle(bundle, checkpoint.size).expect("entries"));
    entries.map(|entry| Leaf::parse(&entry).expect("an entry of ours")).collect()
}

fn kinds(store: &Path) -> Vec<LeafKind> {
    leaves(store).iter().map(|leaf| leaf.kind).collect()
}

#[track_caller]
fn assert_sound(folder: &Path) {
    let report = verify::store(&folder.join("store"), &trust_in(folder), &[]);
    assert_eq!(report.exit(), 0, "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_stands_in_the_log_when_it_is_opened_and_when_it_is_sealed() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("refund").await;
    let opened = leaves(&daemon.store());
    let leaf = opened.last().expect("an entry");
    assert_eq!(
        (leaf.kind, leaf.run.map(|run| run.to_string())),
        (LeafKind::Open, Some(run.clone()))
    );
    let sealed = daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok().json();
    assert_eq!(sealed["log_index"], 2);
    let checkpoint = sealed["checkpoint"].as_str().expect("a note").to_owned();
    let shot = daemon.quick_shot(&site.url("/ok")).await.ok().run();
    let store = daemon.store();
    assert_eq!(kinds(&store), [Start, Open, Seal, Open, Seal]);
    let folder = daemon.stop().await;
    assert_eq!(kinds(&store), [Start, Open, Seal, Open, Seal, Stop]);

    // The checkpoint in a receipt is one to remember.
    let kept = folder.path().join("kept.note");
    std::fs::write(&kept, checkpoint).expect("written");
    let report = verify::store(&store, &trust_in(folder.path()), &[kept]);
    assert_eq!((report.exit(), report.log.expect("a log").remembered), (0, 1));
    let report = verify::folder(&sealed_folder(&store, &shot), &trust_in(folder.path()));
    assert!(report.logged.is_some_and(|place| place.ends_with(" at 4")));

    // Another life of the daemon goes on with the same log.
    let daemon = TestDaemon::start_in(folder, |_| {}).await;
    let folder = daemon.stop().await;
    assert_eq!(kinds(&store)[6..], [Start, Stop]);
    assert_sound(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_says_that_the_daemon_is_there() {
    let daemon =
        TestDaemon::start_with(|config| config.transparency.heartbeat = Duration::from_millis(20))
            .await;
    let store = daemon.store();
    let beats = async {
        while kinds(&store).iter().filter(|kind| **kind == LeafKind::Heartbeat).count() < 3 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, beats).await.expect("it beats");
    let folder = daemon.stop().await;
    assert_sound(folder.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_machine_is_refused_until_it_is_said_to_have_moved() {
    let folder = TestDaemon::start().await.stop().await;
    let store = folder.path().join("store");
    let (_, checkpoint) = LogReader::of_store(&store).checkpoint().expect("a log");
    let key = LogKey::load_or_create(&folder.path().join("keys/log_ed25519")).expect("a key");
    let log = Log::open(&store, &key, &checkpoint.origin).expect("the log");
    let start = json!({
        "format": "exhibit-log/1", "kind": "start", "time": "2026-11-24T08:15:46.120Z",
        "machine": "00112233445566778899aabbccddeeff".repeat(2), "key": "SHA256:another",
    });
    log.append(start.to_string().into_bytes()).expect("appended");
    drop(log);
    let mut config = config_in(folder.path());
    let refused = Daemon::start(Arc::new(config.clone()), None, Clock::system()).await;
    let problem = refused.expect_err("another machine's");
    assert_eq!(problem.field.as_deref(), Some("transparency.moved_from"), "{problem}");
    assert!(problem.message.contains("\"0011223344556677\""), "{problem}");
    config.transparency.moved_from = Some("0011223344556677".to_owned());
    let daemon = Daemon::start(Arc::new(config), None, Clock::system()).await.expect("moved");
    let told = leaves(&store);
    let moved = told.iter().rfind(|leaf| leaf.kind == LeafKind::Start).expect("a start");
    assert_eq!(moved.data["moved"], true);
    let change = told.last().expect("an entry");
    assert_eq!(
        (change.kind, &change.data["from"]),
        (LeafKind::KeyChange, &json!("SHA256:another"))
    );
    daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_gone_is_missed_and_nothing_is_taken_into_another() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.quick_shot(&site.url("/ok")).await.ok().run();
    let folder = daemon.stop().await;
    let store = folder.path().join("store");
    for part in ["log", "checkpoints"] {
        std::fs::remove_dir_all(store.join(part)).expect("removed");
    }
    let refused = Daemon::start(Arc::new(config_in(folder.path())), None, Clock::system()).await;
    assert_eq!(refused.expect_err("gone").code.as_str(), "log_damaged");
    // A folder that was sealed before there was a log has no proof: it verifies by itself, and a log
    // that knows nothing of it does not begin over it.
    let sealed = sealed_folder(&store, &run);
    let proof = sealed.join("seal.json.tlog-proof");
    std::fs::set_permissions(&sealed, std::fs::Permissions::from_mode(0o755)).expect("set");
    std::fs::remove_file(proof).expect("removed");
    let config = config_in(folder.path());
    std::fs::remove_dir_all(config.keys.log_memory_folder()).expect("removed");
    let refused = Daemon::start(Arc::new(config), None, Clock::system()).await;
    let refused = refused.expect_err("it holds something");
    assert_eq!(refused.code.as_str(), "log_damaged");
    assert!(refused.message.contains("the store's log has not begun"), "{refused}");
    let report = verify::folder(&sealed, &trust_in(folder.path()));
    assert_eq!(report.findings[0].code.as_str(), "proof_missing");
}
