//! Bundles of other stores: taken in and kept as they are, given out again, verified with their store,
//! and what a crash in between leaves.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exhibit::digest::Digest;
use exhibit::evidence::log::{Leaf, LeafKind, Log};
use exhibit::evidence::{CustodyEvent, LogKey, Trust, custody_lines, verify};
use exhibit::tlog::policy::Policy;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Reply, TestDaemon, eventually, trust_in};
use crate::keeping::{leaves, refused_to_agents, sealed, with_tcp};
use crate::process::{Process, said, stock_tools, write_config};
use crate::scrub::{findings, told};
use crate::visitor::Visitor;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
}

fn imports(store: &Path) -> Vec<Leaf> {
    leaves(store, |leaf| leaf.kind == LeafKind::Import)
}

fn place_of(store: &Path, bytes: &[u8]) -> PathBuf {
    store.join(format!("imported/{}.tar.zst", Digest::of(bytes)))
}

fn left(store: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(store.join("imported")).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

async fn bundle(daemon: &TestDaemon, runs: &[&str]) -> Vec<u8> {
    daemon.post("/v1/bundles", json!({ "runs": runs })).await.ok().body
}

async fn import(daemon: &TestDaemon, bytes: &[u8]) -> Reply {
    daemon.send(daemon.request(Method::POST, "/v1/imports").body(bytes.to_vec())).await
}

/// Trust in the keys of all the daemons whose folders these are.
fn trust_in_all(folders: &[&Path]) -> Trust {
    let (mut lines, mut policy) = (Vec::new(), Vec::new());
    for folder in folders {
        let key = folder.join("keys/signing_ed25519");
        let signer = exhibit::evidence::Signer::load_or_create(&key).expect("the daemon's key");
        lines.push(signer.allowed_signers_line("exhibit"));
        let key = std::fs::read_to_string(folder.join("keys/log_ed25519.vkey")).expect("a key");
        policy.push(format!("log {key}"));
    }
    let policy = Policy::parse(&policy.concat()).expect("a policy");
    Trust::from_allowed_signers(&lines.join("\n")).expect("sound lines").with_log(policy)
}

fn codes(folder: &Path, trust: &Trust) -> (u8, BTreeSet<&'static str>) {
    let report = verify::store(&folder.join("store"), trust, &[]);
    let below = report.folders.iter().flat_map(|folder| &folder.findings);
    let codes = below.chain(&report.findings).map(|finding| finding.code.as_str());
    // Notes of what is under way in a daemon that runs, and of what its watch was quick enough to find.
    let under_way = ["run_open", "log_unpublished", "finding_logged"];
    (report.exit(), codes.filter(|code| !under_way.contains(code)).collect())
}

#[track_caller]
fn assert_codes<const N: usize>(folder: &Path, exit: u8, expected: [&'static str; N]) {
    assert_eq!(codes(folder, &trust_in(folder)), (exit, expected.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_of_another_store_is_kept_as_it_is_and_given_out_again() {
    let (office, branch) = (TestDaemon::start().await, TestDaemon::start().await);
    let (one, two) = (sealed(&branch, "w").await, sealed(&branch, "w").await);
    let (own, bytes) = (sealed(&office, "w").await, bundle(&branch, &[&one, &two]).await);
    let (store, sha256) = (office.store(), Digest::of(&bytes));
    let done = import(&office, &bytes).await.ok().json();
    assert_eq!((&done["kept"], &done["restored"]), (&json!("new"), &json!([])));
    assert_eq!((&done["others"], &done["sha256"]), (&json!([one, two]), &json!(sha256)));
    let path = place_of(&store, &bytes);
    assert_eq!(std::fs::read(&path).expect("kept"), bytes);
    assert_eq!(path.metadata().expect("there").permissions().mode() & 0o777, 0o444);
    assert_eq!(left(&store), [format!("{sha256}.tar.zst")]);
    let (entry, origin) = (&imports(&store)[0], Log::origin_of(&branch.store()));
    let origin = origin.expect("readable").expect("a log");
    assert_eq!(
        (&entry.data["kept"], &entry.data["size"], &entry.data["origins"]),
        (&json!(true), &json!(bytes.len()), &json!([origin]))
    );
    assert_eq!((&entry.data["sha256"], &entry.data["runs"]), (&json!(sha256), &json!([one, two])));

    // The same again is here already.
    let again = import(&office, &bytes).await.ok().json();
    assert_eq!((&again["kept"], &again["others"]), (&json!("here"), &json!([one, two])));
    assert_eq!((&again["log_index"], imports(&store).len()), (&done["log_index"], 1));

    let listed = office.get("/v1/imports").await.ok().json();
    let listed = &listed["imports"][0];
    assert_eq!((&listed["sha256"], &listed["there"]), (&json!(sha256), &json!(true)));
    assert_eq!(
        (&listed["log_index"], &listed["by"]["via"]),
        (&done["log_index"], &json!("socket"))
    );
    let given = office.get(&format!("/v1/imports/{sha256}")).await.ok();
    assert!(given.body == bytes, "byte for byte");
    assert_eq!(given.header("x-exhibit-sha256"), Some(sha256.to_string().as_str()));
    let given = leaves(&store, |leaf| leaf.kind == LeafKind::Export);
    assert_eq!((&given[0].data["runs"], given.len()), (&json!([one, two]), 1));
    let mut acts = Vec::new();
    custody_lines(&store, |_, _, line, _| {
        let event: CustodyEvent = serde_json::from_slice(line).expect("an event");
        acts.push((json!(event.act), event.runs.len(), event.detail["sha256"].clone()));
        false
    })
    .expect("readable");
    assert_eq!(acts, ["import", "export"].map(|act| (json!(act), 2, json!(sha256))));

    // None of them is a run of this store.
    assert_eq!(office.get(&format!("/v1/runs/{one}")).await.status, 404);
    let runs = office.get("/v1/runs").await.ok().json();
    assert_eq!((&runs["runs"][0]["run"], &runs["runs"][1]), (&json!(own), &Value::Null));
    // Whose they are is judged by whoever says something of their key.
    let (here, there) = (office.folder.path(), branch.folder.path());
    assert_codes(here, 0, ["import_not_vouched"]);
    assert_eq!(codes(here, &trust_in_all(&[here, there])), (0, [].into()));
    let mut unlogged = trust_in_all(&[here, there]);
    let key = std::fs::read_to_string(here.join("keys/log_ed25519.vkey")).expect("a key");
    unlogged = unlogged.with_log(Policy::parse(&format!("log {key}")).expect("a policy"));
    assert_eq!(
        codes(here, &unlogged),
        (12, ["log_unknown"].into()),
        "told of the key, fully judged"
    );
    let report = verify::store(&store, &trust_in_all(&[here, there]), &[]);
    assert_eq!(report.imports[0].runs.len(), 2);
    assert!(report.imports[0].logged.iter().all(|it| it.starts_with(&origin)), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_bundle_that_is_lost_comes_back_and_what_lies_in_its_place_stays() {
    let (office, branch) = (TestDaemon::start().await, TestDaemon::start().await);
    let bytes = bundle(&branch, &[&sealed(&branch, "w").await]).await;
    import(&office, &bytes).await.ok();
    let (store, folder) = (office.store(), office.folder.path());
    let (path, get) = (place_of(&store, &bytes), format!("/v1/imports/{}", Digest::of(&bytes)));
    std::fs::remove_file(&path).expect("ours");
    assert_codes(folder, 10, ["import_gone"]);
    assert_eq!(office.get(&get).await.refusal().1, "import_not_found");
    assert_eq!(office.get("/v1/imports").await.ok().json()["imports"][0]["there"], false);
    assert_eq!(import(&office, &bytes).await.ok().json()["kept"], "new");
    assert_eq!(imports(&store).len(), 2);
    assert_codes(folder, 0, ["import_not_vouched"]);
    assert!(office.get(&get).await.ok().body == bytes);

    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    set_mode(&path, 0o600);
    std::fs::write(&path, &changed).expect("ours");
    assert_codes(folder, 10, ["import_malformed", "import_not_logged"]);
    assert_eq!(office.get(&get).await.refusal().1, "run_damaged");
    assert_eq!(import(&office, &bytes).await.refusal().1, "run_damaged");
    std::fs::remove_file(&path).expect("ours");
    import(&office, &bytes).await.ok();
    // One that somebody put there is not taken for one that was taken in.
    let other = bundle(&branch, &[&sealed(&branch, "w").await]).await;
    let placed = place_of(&store, &other);
    std::fs::write(&placed, &other).expect("ours");
    assert_codes(folder, 10, ["import_not_logged", "import_not_vouched"]);
    assert_eq!(import(&office, &other).await.refusal().1, "run_damaged");
    std::fs::remove_file(&placed).expect("ours");
    assert_eq!(import(&office, &other).await.ok().json()["kept"], "new");
    assert_codes(folder, 0, ["import_not_vouched"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_bundle_goes_when_the_time_of_its_runs_is_over_and_its_entry_stays() {
    let branch = TestDaemon::start().await;
    let office = TestDaemon::start_with(|config| {
        with_tcp(config);
        config.retention.default = 0;
    })
    .await;
    let brief = TestDaemon::start_with(|config| config.retention.default = 0).await;
    let (store, folder) = (office.store(), office.folder.path());
    let kept = bundle(&branch, &[&sealed(&branch, "w").await]).await;
    let run = sealed(&brief, "w").await;
    let due = bundle(&brief, &[&run]).await;
    let path = |bytes: &[u8]| format!("/v1/imports/{}/purge", Digest::of(bytes));
    let asked = json!({ "reason": "r" });
    assert_eq!(office.post(&path(&due), asked.clone()).await.refusal().1, "import_not_found");
    for bytes in [&kept, &due] {
        import(&office, bytes).await.ok();
    }
    refused_to_agents(&office, &path(&due), &asked).await;
    assert_eq!(office.post(&path(&due), json!({})).await.refusal().1, "missing_field");
    let refused = office.post(&path(&kept), asked.clone()).await.refusal();
    assert_eq!(refused, (409, "not_due".to_owned(), "sha256".to_owned()), "as was promised");
    let dry = json!({ "reason": "r", "dry_run": true });
    let told = office.post(&path(&due), dry).await.ok().json();
    assert_eq!((&told["runs"], &told["log_index"]), (&json!([run]), &Value::Null));
    assert!(place_of(&store, &due).is_file());
    let gone = office.post(&path(&due), asked.clone()).await.ok().json();
    assert!(!place_of(&store, &due).exists() && left(&store).len() == 1);
    let entries = leaves(&store, |leaf| leaf.kind == LeafKind::PurgeImport);
    assert_eq!(
        (&entries[0].data["runs"], &entries[0].data["reason"]),
        (&json!([run]), &json!("r"))
    );
    assert_eq!(gone["sha256"], entries[0].data["sha256"]);
    assert_codes(folder, 0, ["import_not_vouched"]);
    assert_eq!(office.post(&path(&due), asked.clone()).await.refusal().1, "import_not_found");

    // One that somebody puts back is told of; one that is brought is kept anew.
    std::fs::write(place_of(&store, &due), &due).expect("ours");
    assert_codes(folder, 10, ["import_not_logged", "import_not_vouched"]);
    std::fs::remove_file(place_of(&store, &due)).expect("ours");
    assert_eq!(import(&office, &due).await.ok().json()["kept"], "new");
    std::fs::remove_file(place_of(&store, &due)).expect("ours");
    assert_eq!(office.post(&path(&due), asked.clone()).await.refusal().1, "run_damaged");
    let even = json!({ "reason": "r", "even_damaged": true });
    office.post(&path(&due), even).await.ok();
    let entries = leaves(&store, |leaf| leaf.kind == LeafKind::PurgeImport);
    assert_eq!(entries[1].data["damage"], "import_gone");
    assert_codes(folder, 0, ["import_not_vouched"]);

    // A purge that was cut short before its entry has not happened, after it is finished.
    import(&office, &due).await.ok();
    let folder = office.stop().await;
    let mark = |bytes: &[u8]| store.join(format!("imported/{}.going", Digest::of(bytes)));
    std::fs::write(mark(&kept), b"").expect("ours");
    std::fs::write(mark(&due), b"").expect("ours");
    let entry = json!({ "kind": "purge-import", "sha256": Digest::of(&due), "runs": [run] });
    append(folder.path(), entry);
    assert_codes(folder.path(), 0, ["import_unfinished", "import_not_vouched"]);
    let office = TestDaemon::start_in(folder, |config| config.retention.default = 0).await;
    assert_eq!(left(&store), [format!("{}.tar.zst", Digest::of(&kept))]);
    assert_codes(office.folder.path(), 0, ["import_not_vouched"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_mixed_or_brought_by_an_agent_is_not_kept() {
    let office = TestDaemon::start_with(with_tcp).await;
    let branch = TestDaemon::start().await;
    let (own, open) = (sealed(&office, "w").await, office.open_run("w").await);
    let (run, other) = (sealed(&branch, "w").await, sealed(&branch, "w").await);
    let store = office.store();
    refused_to_agents(&office, "/v1/imports", &json!({})).await;
    let packed = |folders: &[(&str, PathBuf)]| {
        let folders: Vec<_> = folders
            .iter()
            .map(|(run, path)| (run.parse().expect("an id"), path.as_path(), None))
            .collect();
        exhibit::bundle::write(Vec::new(), &folders).expect("in memory")
    };
    let mixed = packed(&[(&own, office.sealed(&own)), (&run, branch.sealed(&run))]);
    let refused = import(&office, &mixed).await;
    assert!(String::from_utf8_lossy(&refused.body).contains("one after the other"));
    assert_eq!(refused.refusal(), (400, "invalid_field".to_owned(), "body".to_owned()));
    // A folder under the name of a run that is still open here.
    let posing = packed(&[(&open, branch.sealed(&run))]);
    assert_eq!(import(&office, &posing).await.refusal().1, "run_not_found");
    // A folder that is another's by its name.
    let renamed = packed(&[(&other, branch.sealed(&run))]);
    assert_eq!(import(&office, &renamed).await.refusal().1, "run_damaged");
    // A proof beside it that is of another.
    let key = LogKey::load_or_create(&branch.folder.path().join("keys/log_ed25519"));
    let log = key.expect("a key");
    let origin = Log::origin_of(&branch.store()).expect("readable").expect("a log");
    let proof = {
        let store = branch.store();
        let log = Log::open(&store, &log, &origin).expect("a log");
        log.proof(0).expect("a proof")
    };
    let id = run.parse().expect("an id");
    let folder = branch.sealed(&run);
    let beside = exhibit::bundle::write(Vec::new(), &[(id, folder.as_path(), Some(proof))]);
    let refused = import(&office, &beside.expect("in memory")).await;
    assert!(String::from_utf8_lossy(&refused.body).contains("proof_mismatch"));
    let path = folder.join("data/provenance.json");
    set_mode(&path, 0o600);
    std::fs::write(&path, b"{}").expect("ours");
    let refused = import(&office, &packed(&[(&run, folder)])).await;
    assert!(String::from_utf8_lossy(&refused.body).contains("file_altered"));
    assert_eq!(refused.refusal().1, "run_damaged");
    assert_eq!(import(&office, b"no bundle").await.refusal().1, "invalid_field");
    assert!(imports(&store).is_empty() && left(&store).is_empty());

    // What is kept is for those who may see everybody's runs.
    let bytes = bundle(&branch, &[&other]).await;
    import(&office, &bytes).await.ok();
    let visitor = Visitor::of(&office);
    let ring = office.folder.path().join("keys/api-keys.json");
    let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("keys");
    let (key, _) = ring.add("agent", exhibit::clock::Clock::system().now()).expect("made");
    let bearer = format!("Bearer {}", key.expose());
    for path in ["/v1/imports".to_owned(), format!("/v1/imports/{}", Digest::of(&bytes))] {
        let key = [("authorization", bearer.as_str())];
        let told = visitor.send(Method::GET, &path, &key, "").await.refusal();
        assert_eq!((told.0, told.1.as_str()), (403, "not_a_viewer"), "{path}");
    }
    let absent = Digest::of(b"absent");
    for (path, code) in
        [(absent.to_string(), "import_not_found"), ("x".to_owned(), "invalid_field")]
    {
        assert_eq!(office.get(&format!("/v1/imports/{path}")).await.refusal().1, code);
    }
}

/// Put an entry into the log of a store that nobody uses.
fn append(folder: &Path, mut entry: Value) {
    let store = folder.join("store");
    let key = LogKey::load_or_create(&folder.join("keys/log_ed25519")).expect("the log's key");
    let origin = Log::origin_of(&store).expect("readable").expect("a log");
    let log = Log::open(&store, &key, &origin).expect("sound");
    entry["format"] = json!("exhibit-log/1");
    entry["time"] = json!("2099-01-01T00:00:00.000Z");
    entry["by"] = json!({ "gid": 0, "pid": 1, "uid": 0, "via": "socket" });
    log.append(serde_json::to_vec(&entry).expect("JSON")).expect("added");
}

/// The same with an `import` entry of a bundle that is kept.
fn put_into_log(folder: &Path, bytes: &[u8]) {
    let (sha256, size) = (Digest::of(bytes), bytes.len());
    let entry = json!({
        "kept": true, "kind": "import", "origins": [], "runs": [], "sha256": sha256, "size": size,
    });
    append(folder, entry);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_cut_short_at_any_step_is_finished_or_taken_back_by_the_next_start() {
    let (office, branch) = (TestDaemon::start().await, TestDaemon::start().await);
    let mut bundles = Vec::new();
    for _ in 0..5 {
        bundles.push(bundle(&branch, &[&sealed(&branch, "w").await]).await);
    }
    let (store, folder) = (office.store(), office.stop().await);
    let [writing, written, logged, placed, torn] = bundles.as_slice() else { panic!("five") };
    let name = |bytes: &[u8], ending: &str| format!("{}{ending}", Digest::of(bytes));
    let put = |bytes: &[u8], ending: &str, content: &[u8]| {
        std::fs::create_dir_all(store.join("imported")).expect("made");
        std::fs::write(store.join("imported").join(name(bytes, ending)), content).expect("written");
    };
    put(writing, ".begun.partial", &writing[..100]);
    put(written, ".begun", written);
    put(logged, ".begun", logged);
    put(placed, ".tar.zst", placed);
    put(torn, ".begun", &torn[..100]);
    for bytes in [logged, placed, torn] {
        put_into_log(folder.path(), bytes);
    }
    // Until then a verifier sees where they stand, and misses only what is not there.
    assert_codes(folder.path(), 10, ["import_gone", "import_not_vouched", "import_unfinished"]);
    let office = TestDaemon::start_in(folder, |_| {}).await;
    let mut expected =
        vec![name(logged, ".tar.zst"), name(placed, ".tar.zst"), name(torn, ".begun")];
    expected.sort();
    assert_eq!(left(&store), expected, "what is not the logged one is left for `verify` to tell");
    assert!(std::fs::read(place_of(&store, logged)).expect("there") == *logged);
    let done = import(&office, torn).await.ok().json();
    assert_eq!(done["kept"], "new", "brought again");
    assert_codes(office.folder.path(), 0, ["import_not_vouched"]);
    assert!(!left(&store).contains(&name(torn, ".begun")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_watch_and_the_scrubber_look_after_kept_bundles() {
    let branch = TestDaemon::start().await;
    let office = TestDaemon::start_with(|config| {
        config.integrity.rest = Duration::from_millis(5);
        config.integrity.pace = 1 << 40;
    })
    .await;
    eventually("folders are watched", async || told(&office).await["watch"]["on"] == true).await;
    let bytes = bundle(&branch, &[&sealed(&branch, "w").await]).await;
    import(&office, &bytes).await.ok();
    let (store, place) = (office.store(), format!("imported/{}.tar.zst", Digest::of(&bytes)));
    let path = place_of(&store, &bytes);
    let rounds = async || told(&office).await["rounds"].as_u64().expect("a number");
    let before = rounds().await;
    eventually("it is read again", async || rounds().await >= before + 2).await;
    assert_eq!(told(&office).await["findings"], json!({}));
    assert_eq!(findings(&store), [Value::Null; 0], "the import is the daemon's own work");
    set_mode(&path, 0o600);
    eventually("the touch is told", async || {
        findings(&store).iter().any(|one| one["place"] == "imported" && one["after_touch"] == true)
    })
    .await;
    let found = findings(&store);
    assert!(found.iter().all(|one| one["codes"].as_array().is_none_or(Vec::is_empty)), "{found:?}");
    let mut changed = bytes.clone();
    changed[50] ^= 1;
    std::fs::write(&path, &changed).expect("ours");
    let wrong = json!(["import_not_logged"]);
    eventually("the change is told", async || {
        told(&office).await["findings"][&place] == wrong
            && findings(&store).iter().any(|one| one["codes"] == wrong)
    })
    .await;
    std::fs::remove_file(&path).expect("ours");
    let gone = json!({ &place: ["import_gone"] });
    eventually("that it is gone is told", async || told(&office).await["findings"] == gone).await;
    import(&office, &bytes).await.ok();
    eventually("all is well", async || told(&office).await["findings"] == json!({})).await;
}

/// A store of the real binary's, with a sealed run.
async fn with_run(more: &str) -> (TempDir, Process, String) {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), more);
    let daemon = Process::start(&folder).await;
    let run = daemon.sealed_run("w").await;
    (folder, daemon, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_keeps_lists_and_passes_on_and_auditors_check_what_is_kept() {
    let (branch, exporting, run) = with_run("").await;
    let (office, daemon, _) = with_run("").await;
    let (from, to) = (branch.path(), office.path());
    let file = from.join("bundle.tar.zst");
    let file = file.to_str().expect("text");
    assert_eq!(said(from, &["export", &run, "--out", file]).0, 0);
    assert_eq!(said(from, &["keys", "export", "--out", "trust"]).0, 0);
    assert!(exporting.terminate().success());
    let bytes = std::fs::read(file).expect("a bundle");
    let sha256 = Digest::of(&bytes).to_string();

    let (code, text) = said(to, &["import", file]);
    assert!(code == 0 && text.contains(&format!("{run}: another store's, its")), "{text}");
    let (code, text) = said(to, &["import", file]);
    assert!(code == 0 && text.contains("kept here already"), "{text}");
    let (code, text) = said(to, &["import", "--list"]);
    assert!(code == 0 && text.contains(&sha256), "{text}");
    assert_eq!(said(to, &["import"]).0, 2);
    let asked = ["export", "--imported", &sha256, "--out", "again.tar.zst"];
    let (code, text) = said(to, &asked);
    assert!(code == 0 && text.contains(&sha256), "{text}");
    assert!(std::fs::read(to.join("again.tar.zst")).expect("given out") == bytes);
    let purge = ["purge", "--imported", &sha256, "--reason", "r"];
    let (code, text) = said(to, &purge);
    assert!(code == 8 && text.contains("not_due"), "{text}");
    let (_, text) = said(to, &["custody", &run]);
    assert!(text.contains("import") && text.contains("export"), "{text}");

    // Without a word about the other store's key, and with it.
    assert_eq!(said(to, &["keys", "export", "--out", "trust"]).0, 0);
    let judge = || said(to, &["verify", "--trust", "trust", "store"]);
    let (code, text) = judge();
    assert!(code == 0 && text.contains("import_not_vouched"), "{text}");
    let (passed, told) = stock_tools(to);
    assert!(passed && told.contains("of which DIR says nothing"), "{told}");
    for name in ["allowed_signers", "log.vkey"] {
        let both = [
            std::fs::read(to.join("trust").join(name)),
            std::fs::read(from.join("trust").join(name)),
        ];
        let both = both.map(|read| read.expect("handed over")).concat();
        std::fs::write(to.join("trust").join(name), both).expect("ours");
    }
    let (code, text) = judge();
    assert!(code == 0 && !text.contains("import_not_vouched"), "{text}");
    assert!(text.contains("1 folder of another store, signed by"), "{text}");
    let (passed, told) = stock_tools(to);
    assert!(passed && !told.contains("of which DIR says nothing"), "{told}");
    assert!(told.contains("PASS 22 imports"), "{told}");

    let path = place_of(&to.join("store"), &bytes);
    let mut changed = bytes.clone();
    changed[60] ^= 1;
    set_mode(&path, 0o600);
    std::fs::write(&path, &changed).expect("ours");
    let (code, text) = judge();
    assert!(code == 10 && text.contains(&format!("imported/{sha256}.tar.zst")), "{text}");
    let (passed, told) = stock_tools(to);
    assert!(!passed && told.contains("FAIL 22 imports"), "{told}");
    assert_eq!(said(to, &["import", file]).0, 8, "other bytes lie there");
    assert!(daemon.terminate().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_9_while_bundles_are_taken_in_loses_none_that_was_told_of() {
    let branch = TestDaemon::start().await;
    let mut bundles = Vec::new();
    for _ in 0..12 {
        bundles.push(bundle(&branch, &[&sealed(&branch, "w").await]).await);
    }
    let (office, mut daemon, _) = with_run("").await;
    let (folder, store) = (office.path(), office.path().join("store"));
    for (number, bytes) in bundles.iter().enumerate() {
        std::fs::write(folder.join(format!("{number}.tar.zst")), bytes).expect("written");
    }
    for least in [2, 6] {
        let names: Vec<String> = (0..bundles.len()).map(|it| format!("{it}.tar.zst")).collect();
        let at = folder.to_owned();
        let importing = std::thread::spawn(move || {
            names.iter().filter(|name| said(&at, &["import", name]).0 == 0).count()
        });
        eventually("some are kept", async || imports(&store).len() >= least).await;
        // SIGKILL.
        drop(daemon);
        let told = importing.join().expect("it ends");
        daemon = Process::start(&office).await;
        assert!(imports(&store).len() >= told, "what somebody was told holds");
        let all = left(&store);
        assert!(all.iter().all(|name| name.ends_with(".tar.zst")), "{all:?}");
        assert_eq!(all.len(), imports(&store).len(), "each that the log tells of is there");
        assert_codes(folder, 0, ["import_not_vouched"]);
    }
    assert!(daemon.terminate().success());
}

/// A log that has our log's name and another key, or more of our own than we have, is not another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_our_name_is_not_taken_for_another_stores() {
    let named = |config: &mut exhibit::config::Config| {
        config.transparency.origin = Some("exhibit.example/log".to_owned());
    };
    let (office, branch) =
        (TestDaemon::start_with(named).await, TestDaemon::start_with(named).await);
    let run = sealed(&branch, "w").await;
    let refused = import(&office, &bundle(&branch, &[&run]).await).await;
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert_eq!(refused.refusal(), (400, "invalid_field".to_owned(), "body".to_owned()));
    for part in [&run, "`exhibit.example/log`", "transparency.origin"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(imports(&office.store()).is_empty() && left(&office.store()).is_empty());

    // A copy of the store, whose log has gone on with the same key.
    let folder = branch.stop().await;
    let copy = tempfile::tempdir().expect("a folder");
    let copied = std::process::Command::new("cp")
        .args(["-a", "--"])
        .arg(folder.path().join("."))
        .arg(copy.path())
        .status();
    assert!(copied.expect("cp is there").success());
    let branch = TestDaemon::start_in(folder, named).await;
    let bytes = bundle(&branch, &[&sealed(&branch, "w").await]).await;
    branch.stop().await;
    let copy = TestDaemon::start_in(copy, named).await;
    let refused = import(&copy, &bytes).await;
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert!(said.contains("signed with this log's key"), "{said}");
}

/// What another store promised binds this one only as long as its operator wants.
#[tokio::test(flavor = "multi_thread")]
async fn a_promise_of_a_hundred_years_is_the_operators_to_take_over() {
    let office = TestDaemon::start().await;
    let branch = TestDaemon::start_with(|config| config.retention.default = 36_525).await;
    let run = sealed(&branch, "w").await;
    let bytes = bundle(&branch, &[&run]).await;
    let refused = import(&office, &bytes).await;
    let said = String::from_utf8_lossy(&refused.body).into_owned();
    assert_eq!(refused.refusal(), (400, "invalid_field".to_owned(), "body".to_owned()));
    for part in [&run, "36525 days", "2555 days", "`retention.imports`"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(imports(&office.store()).is_empty() && left(&office.store()).is_empty());
    let folder = office.stop().await;
    let office =
        TestDaemon::start_in(folder, |config| config.retention.imports = Some(36_525)).await;
    assert_eq!(import(&office, &bytes).await.ok().json()["kept"], "new");
}
