//! The watch: whoever touches sealed evidence beside a running daemon is told of, and the daemon's
//! own work is not.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually, sealed_folder};
use crate::process::{Process, write_config};
use crate::scrub::{findings, sealed_run, told};
use exhibit::integrity::Folders;

/// A daemon that only watches: its scrubber reads nothing.
async fn watching(change: impl FnOnce(&mut exhibit::config::Config)) -> TestDaemon {
    let daemon = TestDaemon::start_with(|config| {
        config.integrity.pace = 0;
        change(config);
    })
    .await;
    eventually("folders are watched", async || told(&daemon).await["watch"]["on"] == true).await;
    daemon
}

/// Seal a run, and wait until its folders are watched, which takes a moment.
async fn watched_run(daemon: &TestDaemon) -> String {
    let run = sealed_run(daemon).await;
    all_watched(daemon).await;
    run
}

async fn all_watched(daemon: &TestDaemon) {
    // The store's own folder, and all below four of its folders.
    let parts = Folders::parts(&daemon.store());
    let wanted = 1 + parts.iter().map(|part| folders(part)).sum::<u64>();
    let watched = async || told(daemon).await["watch"]["folders"].as_u64();
    eventually("all folders are watched", async || watched().await == Some(wanted)).await;
}

/// A folder and those below it; none of one that is not there.
fn folders(at: &Path) -> u64 {
    if !at.is_dir() {
        return 0;
    }
    let entries = fs::read_dir(at).expect("a folder").map(|entry| entry.expect("an entry").path());
    1 + entries.filter(|path| path.is_dir()).map(|path| folders(&path)).sum::<u64>()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
}

/// The findings after the first `seen`, once one of them tells how `place` was found; and how.
async fn outcome(daemon: &TestDaemon, place: &str, seen: usize) -> (Vec<Value>, Value) {
    let mut found = Vec::new();
    let judged = |one: &&Value| one["place"] == place && one["after_touch"] == true;
    eventually("what was touched is told and read again", async || {
        found = findings(&daemon.store()).split_off(seen);
        found.iter().any(|one| judged(&one))
    })
    .await;
    let codes = found.iter().rev().find(judged).expect("one")["codes"].clone();
    (found, codes)
}

/// The kinds of touches of `place` in `found`.
fn kinds<'a>(found: &'a [Value], place: &str) -> BTreeSet<&'a str> {
    let touches = found.iter().filter(|one| one["place"] == place && one["touched"].is_object());
    let kinds = touches.flat_map(|one| one["touched"].as_object().expect("kinds").keys());
    kinds.map(String::as_str).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_touching_a_sealed_folder_is_told_with_what_became_of_it() {
    let daemon = watching(|_| {}).await;
    let run = watched_run(&daemon).await;
    let folder = daemon.sealed(&run);
    let file = folder.join("data/provenance.json");
    let whole = fs::read(&file).expect("there");
    assert_eq!(findings(&daemon.store()), [Value::Null; 0], "the seal is the daemon's own work");
    let mut seen = 0;
    let mut check = async |what: &str, wanted: &[&str], codes: Value| {
        // In more than one piece, perhaps: until all of it is told, and then how it was found.
        let mut found = Vec::new();
        eventually(what, async || {
            found = findings(&daemon.store()).split_off(seen);
            let kinds = kinds(&found, &run);
            wanted.iter().all(|kind| kinds.contains(kind))
                && found.iter().rfind(|one| one["place"] == *run.as_str()).expect("kinds")["codes"]
                    == codes
        })
        .await;
        seen += found.len();
    };

    mode(&file, 0o644);
    check("chmod", &["attributes"], json!([])).await;
    let mut changed = whole.clone();
    changed[5] ^= 1;
    fs::write(&file, &changed).expect("written");
    check("edit", &["modified", "written"], json!(["file_altered"])).await;
    fs::write(&file, &whole).expect("written");
    check("edit back", &["modified"], json!([])).await;
    mode(&folder.join("data"), 0o755);
    check("chmod of a folder", &["attributes"], json!([])).await;
    fs::write(folder.join("data/more.txt"), "x").expect("written");
    let more = json!(["bag_info_mismatch", "seal_mismatch", "unexpected_file"]);
    check("add", &["created"], more).await;
    fs::remove_file(folder.join("data/more.txt")).expect("removed");
    check("remove", &["removed"], json!([])).await;
    let aside = folder.with_extension("aside");
    mode(&folder, 0o755);
    check("chmod of the top", &["attributes"], json!([])).await;
    fs::rename(&folder, &aside).expect("renamed");
    check("rename", &["moved_away"], json!(["run_gone"])).await;
    fs::rename(&aside, &folder).expect("renamed");
    check("rename back", &["moved_here"], json!([])).await;
    fs::remove_dir_all(&folder).expect("removed");
    check("removal", &["removed"], json!(["run_gone"])).await;
    let status = told(&daemon).await;
    assert!(status["watch"]["touches"].as_u64().expect("a number") > 9, "{status}");
    assert_eq!(status["watch"]["lost"], 0, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_and_the_folders_above_the_runs_are_watched_too() {
    let daemon = watching(|_| {}).await;
    let run = watched_run(&daemon).await;
    let bundle = daemon.store().join("log/tile/entries");
    let note = fs::read_dir(daemon.store().join("checkpoints")).expect("there");
    let note = note.map(|entry| entry.expect("an entry").path()).find(|path| path.is_file());
    mode(&note.expect("a checkpoint"), 0o600);
    let (found, codes) = outcome(&daemon, "log", 0).await;
    assert_eq!(kinds(&found, "checkpoints"), ["attributes"].into());
    assert_eq!(codes, json!([]), "a mode is no content");
    let seen = found.len();
    fs::write(bundle.join("note.txt"), "x").expect("written");
    let (found, _) = outcome(&daemon, "log", seen).await;
    assert!(kinds(&found, "log").contains("created"), "{found:?}");
    let seen = seen + found.len();
    let year = daemon.sealed(&run).ancestors().nth(3).expect("a year").to_owned();
    fs::rename(&year, year.with_extension("old")).expect("renamed");
    let (found, codes) = outcome(&daemon, "log", seen).await;
    assert_eq!(kinds(&found, "runs"), ["moved_away", "moved_here"].into());
    assert!(codes.as_array().expect("codes").contains(&json!("run_gone")), "{codes}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemons_own_work_is_no_touch_and_every_new_folder_is_watched() {
    let daemon = watching(|config| config.integrity.pace = 1 << 40).await;
    let mut runs = Vec::new();
    for _ in 0..25 {
        runs.push(sealed_run(&daemon).await);
    }
    all_watched(&daemon).await;
    let shot = daemon.quick_shot("data:text/html,<p>nothing").await;
    assert_eq!(findings(&daemon.store()), [Value::Null; 0], "{:?}", shot.status);
    // The last of them is watched like the first; and what is told is only of this.
    let last = runs.last().expect("one");
    mode(&daemon.sealed(last).join("seal.json"), 0o600);
    let (found, codes) = outcome(&daemon, last, 0).await;
    assert!(found.iter().all(|one| one["place"] == *last.as_str()), "{found:?}");
    assert_eq!((codes, told(&daemon).await["watch"]["touches"].clone()), (json!([]), json!(1)));
    // A start, too, is the daemon's own work.
    let folder = daemon.stop().await;
    let daemon = TestDaemon::start_in(folder, |config| config.integrity.pace = 0).await;
    eventually("folders are watched", async || told(&daemon).await["watch"]["on"] == true).await;
    sealed_run(&daemon).await;
    assert_eq!(findings(&daemon.store()).len(), found.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_program_is_told_and_one_that_hangs_is_cut_off() {
    let out = tempfile::tempdir().expect("a folder");
    let file = out.path().join("told");
    let shell = |script: &str| {
        ["sh", "-c", script, "hook", &file.display().to_string()].map(str::to_owned).to_vec()
    };
    let daemon = watching(|config| config.integrity.hook = shell("cat >> \"$1\"")).await;
    let run = watched_run(&daemon).await;
    mode(&daemon.sealed(&run).join("seal.json"), 0o600);
    eventually("the program ran twice", async || {
        told(&daemon).await["hook"] == json!({ "ran": 2, "failed": 0, "dropped": 0 })
    })
    .await;
    let text = fs::read_to_string(&file).expect("written");
    let said: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(said[0]["touched"], json!({ "attributes": 1 }), "{said:?}");
    assert!(said[0]["paths"][0].as_str().expect("a path").ends_with("/seal.json"), "{said:?}");
    assert_eq!((&said[1]["place"], &said[1]["codes"]), (&json!(run), &json!([])), "{said:?}");
    assert!(said.iter().all(|one| one["kind"] == "finding" && one["log_index"].is_u64()));
    let folder = daemon.stop().await;

    let daemon = TestDaemon::start_in(folder, |config| {
        config.integrity.pace = 0;
        config.integrity.hook = shell("cat > /dev/null; sleep 1000");
        config.integrity.hook_limit = Duration::from_millis(50);
    })
    .await;
    eventually("folders are watched", async || told(&daemon).await["watch"]["on"] == true).await;
    mode(&daemon.sealed(&run).join("seal.json"), 0o644);
    eventually("both were cut off", async || told(&daemon).await["hook"]["failed"] == 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_the_kernel_dropped_are_said_and_everything_is_read_again() {
    let home = tempfile::tempdir().expect("a folder");
    write_config(home.path(), "[integrity]\npace = \"0 B\"\n");
    let daemon = Process::start(&home).await;
    let told = async || {
        let status = daemon.try_send("GET", "/v1/status", &Value::Null).await;
        status.expect("the daemon answers").ok().json()["integrity"].clone()
    };
    let run = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
    let run = run["run"].as_str().expect("an id").to_owned();
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    let store = home.path().join("store");
    let folder = sealed_folder(&store, &run);
    let wanted = 1 + Folders::parts(&store).iter().map(|part| folders(part)).sum::<u64>();
    eventually("all folders are watched", async || {
        told().await["watch"]["folders"].as_u64() == Some(wanted)
    })
    .await;
    assert_eq!(told().await["rounds"], 0, "the scrubber rests");

    // While it does not read, the kernel keeps so many events and drops the rest.
    daemon.signal(Signal::STOP);
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("known");
    let limit: u64 = limit.trim().parse().expect("a number");
    let file = folder.join("data/provenance.json");
    let mut changed = fs::read(&file).expect("there");
    changed[5] ^= 1;
    mode(&file, 0o644);
    fs::write(&file, &changed).expect("written");
    let (one, two) = (folder.join("one"), folder.join("two"));
    mode(&folder, 0o755);
    fs::write(&one, "x").expect("written");
    for _ in 0..=limit / 2 {
        fs::rename(&one, &two).expect("renamed");
        fs::rename(&two, &one).expect("renamed");
    }
    daemon.signal(Signal::CONT);
    eventually("everything was read again", async || {
        let told = told().await;
        told["watch"]["lost"].as_u64() > Some(0) && told["rounds"].as_u64() > Some(0)
    })
    .await;
    let found = findings(&store);
    assert!(found.iter().any(|one| one["lost"] == true), "{found:?}");
    let codes = told().await["findings"][&run].clone();
    assert!(codes.as_array().expect("codes").contains(&json!("file_altered")), "{codes}");
    // And it is watched on.
    let seen = found.len();
    fs::remove_file(&one).expect("removed");
    eventually("what is touched is told as before", async || {
        findings(&store).split_off(seen).iter().any(|one| one["touched"]["removed"] == 1)
    })
    .await;
}
