//! Kill -9 of the daemon and of its browser under load: nothing acknowledged is lost, nothing is
//! left behind, and the survivors go on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually, processes_with, sealed_folder};
use crate::process::{Process, assert_store_is_sound, quick, write_config};
use crate::site::Site;

const ROUNDS: u32 = 5;
const CALLERS: usize = 3;

/// Something the daemon acknowledged: in which run, and what must be found there.
enum Acknowledged {
    /// A file, with its digest: of a run of one, of an open run, or an attachment.
    File { run: String, path: String, sha256: String },
    /// A seal, with the digest of what was signed.
    Seal { run: String, sha256: String },
    /// An event, with the digest of its line.
    Event { run: String, sequence: u64, sha256: String },
}

/// Numbers that look random and are the same every time: where each round is cut.
fn cut(round: u32) -> usize {
    let mixed = u64::from(round + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from((mixed >> 40) % 14).expect("small") + 1
}

/// Call until the daemon is gone; what it acknowledged.
async fn load(
    daemon: &Process,
    site: &Site,
    caller: usize,
    acknowledged: &AtomicUsize,
) -> Vec<Acknowledged> {
    let mut got = Vec::new();
    let opened = daemon.try_send("POST", "/v1/runs", &json!({ "workflow": "refund" })).await;
    let Some(opened) = opened.filter(|reply| reply.status == 201) else { return got };
    let run = opened.json()["run"].as_str().expect("an id").to_owned();
    loop {
        let path = format!("/v1/runs/{run}/events");
        let event = json!({ "message": "step", "data": { "caller": caller } });
        let Some(reply) = daemon.try_send("POST", &path, &event).await else { return got };
        let recorded = reply.ok().json()["recorded"][0].clone();
        got.push(Acknowledged::Event {
            run: run.clone(),
            sequence: recorded["sequence"].as_u64().expect("a number"),
            sha256: recorded["sha256"].as_str().expect("a digest").to_owned(),
        });
        acknowledged.fetch_add(1, Ordering::SeqCst);
        let mut shot = quick(&site.url("/ok"));
        shot["response_type"] = json!("json");
        let captures = format!("/v1/runs/{run}/captures");
        let attachment = format!("/v1/runs/{run}/attachments?name=note-{}", got.len());
        for path in ["/v1/screenshot", &captures, &attachment] {
            let Some(reply) = daemon.try_send("POST", path, &shot).await else { return got };
            got.extend(files_in(&reply.ok().json()));
            acknowledged.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What the answer to a capture or an upload acknowledges.
fn files_in(answer: &Value) -> Vec<Acknowledged> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let evidence = answer.get("evidence").unwrap_or(answer);
    let run = text(&evidence["run"]);
    let artifacts = match evidence.get("artifacts") {
        Some(artifacts) => artifacts.as_array().expect("a list").clone(),
        None => vec![evidence["artifact"].clone()],
    };
    assert!(!artifacts.is_empty(), "{answer}");
    let file = |file: &Value| Acknowledged::File {
        run: run.clone(),
        path: text(&file["path"]),
        sha256: text(&file["sha256"]),
    };
    let mut found: Vec<_> = artifacts.iter().map(file).collect();
    if let Some(receipt) = evidence.get("receipt") {
        let sha256 = text(&receipt["tagmanifest_sha256"]);
        found.push(Acknowledged::Seal { run: run.clone(), sha256 });
    }
    found
}

fn check_kept(store: &std::path::Path, acknowledged: &Acknowledged) {
    match acknowledged {
        Acknowledged::File { run, path, sha256 } => {
            let file = std::fs::read(sealed_folder(store, run).join(path));
            let file = file.unwrap_or_else(|error| panic!("{run}: {path}: {error}"));
            assert_eq!(exhibit::digest::Digest::of(&file).to_string(), *sha256, "{run}: {path}");
        }
        Acknowledged::Seal { run, sha256 } => {
            let signed = sealed_folder(store, run).join("tagmanifest-sha256.txt");
            let signed = std::fs::read(signed).expect("an acknowledged seal");
            assert_eq!(exhibit::digest::Digest::of(&signed).to_string(), *sha256, "{run}");
        }
        Acknowledged::Event { run, sequence, sha256 } => {
            let events = sealed_folder(store, run).join("data/events.jsonl");
            let events = std::fs::read_to_string(events).expect("an acknowledged run");
            let index = usize::try_from(*sequence).expect("small") - 1;
            let line = events.lines().nth(index).expect("an acknowledged event");
            assert_eq!(exhibit::digest::Digest::of(line.as_bytes()).to_string(), *sha256);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_daemon_loses_nothing_acknowledged() {
    let site = Site::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        let daemon = Process::start(&folder).await;
        let pid = Pid::from_raw(i32::try_from(daemon.child.id()).expect("a pid")).expect("a pid");
        let acknowledged = AtomicUsize::new(0);
        let loading = (0..CALLERS).map(|caller| load(&daemon, &site, caller, &acknowledged));
        let killing = async {
            let goal = cut(round);
            eventually("enough was acknowledged", async || {
                acknowledged.load(Ordering::SeqCst) >= goal
            })
            .await;
            kill_process(pid, Signal::KILL).expect("it runs");
        };
        let (got, ()) = tokio::join!(futures_util::future::join_all(loading), killing);
        all.extend(got.into_iter().flatten());
        drop(daemon);
        let runtime = folder.path().join("browser");
        eventually("the browser ends with the daemon", async || {
            processes_with(&runtime).is_empty()
        })
        .await;
    }
    // The last start recovers the last kill; an orderly end leaves the store at rest.
    let daemon = Process::start(&folder).await;
    assert!(daemon.terminate().success());
    let folders = assert_store_is_sound(folder.path());
    assert!(all.len() >= ROUNDS as usize && folders > ROUNDS as usize);
    for acknowledged in &all {
        check_kept(&folder.path().join("store"), acknowledged);
    }
    let interrupted = exhibit::evidence::Index::open(&folder.path().join("store/index.sqlite"));
    let filter = exhibit::evidence::Filter {
        state: Some(exhibit::run::State::Interrupted),
        ..exhibit::evidence::Filter::default()
    };
    let interrupted = interrupted.expect("the index").list(&filter).expect("readable");
    assert!(!interrupted.is_empty(), "the runs that were open are sealed as interrupted");
    let left = std::fs::read_dir(folder.path().join("browser")).expect("a folder").count();
    assert_eq!(left, 0, "no profile is left");
    assert_eq!(partial_files(&folder.path().join("store")), Vec::<std::path::PathBuf>::new());
    let of = |what: fn(&Acknowledged) -> bool| all.iter().filter(|one| what(one)).count();
    assert!(of(|one| matches!(one, Acknowledged::Seal { .. })) > 0, "no seal was acknowledged");
    assert!(of(|one| matches!(one, Acknowledged::File { .. })) > 0, "no file was acknowledged");
}

/// Files and folders below `folder` that were being written.
fn partial_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let found = paths.flat_map(|path| {
        let mut below = if path.is_dir() { partial_files(&path) } else { Vec::new() };
        below.extend(Some(path).filter(|path| path.to_string_lossy().ends_with(".partial")));
        below
    });
    found.collect()
}

/// The browser's main process: the one whose parent is this process.
fn browser_of(daemon: &TestDaemon) -> Option<Pid> {
    let ours = std::process::id().to_string();
    let pids = processes_with(&daemon.folder.path().join("browser"));
    let child = pids.into_iter().find(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        after_name.split_whitespace().nth(1) == Some(&ours)
    });
    child.and_then(Pid::from_raw)
}

/// All processes below `parent`.
fn descendants_of(parent: i32) -> Vec<i32> {
    let mut found = vec![parent];
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children =
                std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<i32>().ok()));
        }
        at += 1;
    }
    found
}

/// A capture under load ended one way or the other, and is on record either way.
fn check_ended(daemon: &TestDaemon, reply: &crate::harness::Reply) {
    if reply.status != 200 {
        let (status, code, _) = reply.refusal();
        assert!(matches!(status, 502..=504), "{status} {code}");
        assert!(matches!(&*code, "browser_unavailable" | "renderer_crashed"), "{status} {code}");
    }
    daemon.assert_verifies(&reply.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_of_the_browser_is_survived() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let mut retried = 0;
    for round in 0..ROUNDS {
        let taken = AtomicUsize::new(0);
        let loading = (0..CALLERS).map(|_| async {
            let mut replies = Vec::new();
            for _ in 0..3 {
                replies.push(daemon.quick_shot(&site.url("/ok")).await);
                taken.fetch_add(1, Ordering::SeqCst);
            }
            replies
        });
        let killing = async {
            let goal = cut(round) % 6;
            eventually("some were taken", async || taken.load(Ordering::SeqCst) >= goal).await;
            eventually("there is a browser to kill", async || {
                browser_of(&daemon).is_some_and(|pid| kill_process(pid, Signal::KILL).is_ok())
            })
            .await;
        };
        let (replies, ()) = tokio::join!(futures_util::future::join_all(loading), killing);
        for reply in replies.iter().flatten() {
            check_ended(&daemon, reply);
            if reply.status == 200 {
                let capture = daemon.capture(&reply.run(), "0001-during");
                retried += capture["failed_attempts"].as_array().expect("a list").len();
            }
        }
    }
    assert!(retried > 0, "no capture was tried again in any round");
    daemon.quick_shot(&site.url("/ok")).await.ok();
    let ours = i32::try_from(std::process::id()).expect("a pid");
    eventually("no zombie is left", async || zombies_of(ours).is_empty()).await;
    let profiles = std::fs::read_dir(daemon.folder.path().join("browser")).expect("a folder");
    assert_eq!(profiles.count(), 1, "only the running browser has a profile");
}

/// Chromium processes in state Z whose parent is `parent`.
fn zombies_of(parent: i32) -> Vec<String> {
    let stats = std::fs::read_dir("/proc")
        .expect("procfs")
        .filter_map(|entry| std::fs::read_to_string(entry.ok()?.path().join("stat")).ok());
    let parent = parent.to_string();
    stats
        .filter(|stat| stat.contains("(chromium") || stat.contains("(headless"))
        .filter(|stat| {
            let fields: Vec<_> =
                stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            fields.first() == Some(&"Z") && fields.get(1) == Some(&parent.as_str())
        })
        .collect()
}

/// Kill every renderer of the daemon's own browser; how many there were.
pub(crate) fn kill_renderers(daemon: &TestDaemon) -> usize {
    let browser = browser_of(daemon).expect("it runs").as_raw_nonzero().get();
    let killed = descendants_of(browser).into_iter().filter(|pid| {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let renderer = String::from_utf8_lossy(&command).contains("--type=renderer");
        // It may have ended by itself.
        renderer && kill_process(Pid::from_raw(*pid).expect("a pid"), Signal::KILL).is_ok()
    });
    killed.count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renderer_that_crashes_again_fails_the_capture_and_nothing_else() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let url = site.url("/never-loads");
    let capture = daemon.quick_shot(&url);
    let crashing = async {
        for attempt in 1..=2 {
            site.wait_for_requests("/held.png", attempt).await;
            assert!(kill_renderers(&daemon) > 0, "no renderer was found");
        }
    };
    let (reply, ()) = tokio::join!(capture, crashing);
    let (status, code, _) = reply.refusal();
    assert_eq!((status, code.as_str()), (502, "renderer_crashed"));
    let run = reply.run();
    daemon.assert_verifies(&run);
    assert!(!daemon.sealed(&run).join("data/captures").exists(), "nothing was captured");
    let events = daemon.events(&run);
    let failed = events.iter().find(|event| event["kind"] == "capture.failed").expect("on record");
    assert_eq!(failed["data"]["code"], "renderer_crashed");
    let before = &failed["data"]["failed_attempts"];
    assert_eq!(before.as_array().map(Vec::len), Some(1), "{before}");
    assert_eq!(before[0]["code"], "renderer_crashed");
    assert_eq!(site.count("/held.png"), 2, "it is tried again once");
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_renderer_costs_one_attempt() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let url = site.url("/never-loads");
    let capture = daemon.quick_shot(&url);
    let crashing = async {
        site.wait_for_request("/held.png").await;
        assert!(kill_renderers(&daemon) > 0, "no renderer was found");
        site.wait_for_requests("/held.png", 2).await;
        site.release();
    };
    let (reply, ()) = tokio::join!(capture, crashing);
    let capture = daemon.capture(&reply.ok().run(), "0001-during");
    assert_eq!(capture["failed_attempts"][0]["code"], "renderer_crashed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_hangs_is_replaced() {
    let daemon = TestDaemon::start_with(|config| {
        config.browser.probe_every = Duration::from_millis(100);
        config.browser.patience = Duration::from_secs(3);
    })
    .await;
    let site = Site::start().await;
    daemon.quick_shot(&site.url("/ok")).await.ok();
    let hung = browser_of(&daemon).expect("it runs");
    kill_process(hung, Signal::STOP).expect("it runs");
    let reply = daemon.quick_shot(&site.url("/ok")).await.ok();
    let capture = daemon.capture(&reply.run(), "0001-during");
    assert_eq!(capture["failed_attempts"][0]["code"], "browser_unavailable");
    assert_ne!(browser_of(&daemon), Some(hung));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_browser_is_replaced_without_anybody_noticing() {
    let daemon = TestDaemon::start_with(|config| config.browser.recycle_after = 3).await;
    let site = Site::start().await;
    daemon.quick_shot(&site.url("/ok")).await.ok();
    let first = browser_of(&daemon).expect("it runs");
    for _ in 0..8 {
        let reply = daemon.quick_shot(&site.url("/ok")).await.ok();
        let capture = daemon.capture(&reply.run(), "0001-during");
        assert_eq!(capture["failed_attempts"], Value::Array(Vec::new()));
    }
    let runtime = daemon.folder.path().join("browser");
    eventually("only the successor is left", async || {
        let profiles = std::fs::read_dir(&runtime).expect("a folder").count();
        profiles == 1 && browser_of(&daemon).is_some_and(|pid| pid != first)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_hung_when_the_daemon_was_killed_does_not_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "");
    let mut daemon = Process::start(&folder).await;
    let runtime = folder.path().join("browser");
    let pid = Pid::from_raw(i32::try_from(daemon.child.id()).expect("a pid")).expect("a pid");
    let orphans = descendants_of(pid.as_raw_nonzero().get()).split_off(1);
    let browser = Pid::from_raw(*orphans.first().expect("a browser")).expect("a pid");
    kill_process(browser, Signal::STOP).expect("it runs");
    kill_process(pid, Signal::KILL).expect("it runs");
    daemon.child.wait().expect("it ends");
    drop(daemon);

    let daemon = Process::start(&folder).await;
    let left = || processes_with(&runtime).into_iter().any(|pid| orphans.contains(&pid));
    eventually("nothing of the old browser is left", async || !left()).await;
    let profiles = std::fs::read_dir(&runtime).expect("a folder").count();
    assert_eq!(profiles, 1, "only the running browser has a profile");
    assert!(daemon.terminate().success());
}
