//! The attack matrix: every attack of the threat model laid out on a copy of a sealed folder or of a
//! whole store, judged by our verifier and by docs/verify.sh, which shares no code with it. Both must
//! agree on every row. The same rows make the tables in docs/AUDITORS.md; `make docs` writes them.

#[path = "../../../../tests/it/authority.rs"]
#[expect(clippy::disallowed_methods, dead_code, reason = "the integration tests' own")]
pub(super) mod authority;
mod container;
mod folder;
mod import;
mod name;
mod open;
mod peer;
mod reading;
mod stamp;
mod store;
mod unread;
mod witness;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::attacks::write;
use super::custody::{AccessActor, Act, Custody, NewAccessEvent};
use super::damage::unlock;
use super::fixture::{Bench, ORIGIN, id, log_key, opening, retired, revoked, signer};
use super::hostile::copy_tree;
use super::key_file::public_line;
use super::log::{files, grow, leaf, remove};
use super::sign::Signer;
use super::trust::Trust;
use super::verify;
use crate::digest::Digest;
use crate::run::{Caller, Ending};
use crate::tlog::note::Algorithm;
use exhibit_verify::exit;
use exhibit_verify::retention::Retention;

/// The manual whose tables these are.
const MANUAL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/AUDITORS.md");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/verify.sh");

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The folder of the first run.
    Folder,
    /// The store.
    Store,
    /// The store, by somebody who kept its newest checkpoint.
    Kept,
    /// The store, by somebody who asks for a late look of the witnesses.
    Since,
}

/// An attack: what is done, to what, and what to say where nobody can notice it.
struct Row {
    attack: &'static str,
    what: What,
    does: fn(&Victim),
    /// Why it goes unnoticed, where it must.
    limit: &'static str,
}

const fn row(attack: &'static str, what: What, does: fn(&Victim)) -> Row {
    Row { attack, what, does, limit: "" }
}

const fn unnoticed(
    attack: &'static str,
    what: What,
    does: fn(&Victim),
    limit: &'static str,
) -> Row {
    Row { attack, what, does, limit }
}

/// The files of a log and of its history, by name.
type State = (BTreeMap<String, Vec<u8>>, BTreeMap<String, Vec<u8>>);

/// A store with two sealed runs and an open one, whose log has several tiles; made once, copied for
/// each attack.
struct Scene {
    bench: Bench,
    /// Log and history before the second run was sealed.
    earlier: State,
    /// Those that give timestamps, where there are any.
    stampers: Option<stamp::Stampers>,
}

/// Somebody's taking a file of the first run.
pub(super) fn look(path: &str) -> NewAccessEvent {
    let caller = Caller::Socket { uid: 1000, gid: 1000, pid: Some(42) };
    let detail = serde_json::Map::from_iter([("path".to_owned(), path.into())]);
    let by = AccessActor { caller, session: false };
    NewAccessEvent { by, act: Act::Download, runs: vec![id(0)], detail }
}

impl Scene {
    fn new() -> Self {
        let mut bench = Bench::logged();
        let root = bench.store.root().to_owned();
        drop(bench.begin_third());
        sealed_with_a_file_in_its_labels(&bench);
        let earlier = (files(&root.join("log")), files(&root.join("checkpoints")));
        bench.promise = Some(Retention { class: None, days: 400 });
        bench.sealed(1);
        let custody = Custody::open(&root).expect("begun");
        for path in ["data/run.json", "report.html", "data/events.jsonl"] {
            custody.record(look(path), bench.now()).expect("recorded");
        }
        let head = custody.head();
        let entry = leaf::custody(head.count, head.sha256, bench.now());
        bench.log().append(entry).expect("appended");
        custody.record(look("data/provenance.json"), bench.now()).expect("recorded");
        grow(&bench.log(), 257);
        hand_over(&bench.scratch().join("trust"));
        let newest = fs::read(root.join("log/checkpoint")).expect("there");
        write(&bench.scratch().join("kept.note"), &newest);
        Self { bench, earlier, stampers: None }
    }

    fn trust(&self) -> PathBuf {
        self.bench.scratch().join("trust")
    }

    fn kept(&self) -> PathBuf {
        self.bench.scratch().join("kept.note")
    }
}

/// The first run, whose caller wrote what looks like a file that is not there.
fn sealed_with_a_file_in_its_labels(bench: &Bench) {
    let mut opening = opening(id(0));
    let file =
        json!({"path": "data/x", "media_type": "t", "size_bytes": 1, "sha256": Digest::ZERO});
    opening.spec.labels.insert("provenance".to_owned(), file);
    let draft = bench.store.begin(&opening, &json!({"browser": "none"}), bench.now());
    let draft = bench.fill(draft.expect("begun"));
    draft.seal(&Ending::sealed("succeeded"), &signer(), bench.now()).expect("sealed");
}

/// A copy of the scene's store, to be attacked, and of what the auditor was handed. The store's folder
/// has a name that a careless script stumbles over.
struct Victim<'a> {
    scene: &'a Scene,
    _folder: tempfile::TempDir,
    root: PathBuf,
    trust: PathBuf,
}

impl<'a> Victim<'a> {
    fn of(scene: &'a Scene) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("-a store\n'of mine'");
        copy_tree(scene.bench.store.root(), &root);
        unlock(&root);
        let trust = folder.path().join("trust");
        copy_tree(&scene.trust(), &trust);
        Self { scene, _folder: folder, root, trust }
    }

    /// The folder of the run number `index`.
    fn run(&self, index: usize) -> PathBuf {
        self.root.join(super::layout::sealed_place(id(index)))
    }

    /// What our verifier finds, and whether all is well.
    fn ours(&self, what: What) -> (Vec<&'static str>, bool) {
        let trust = &Trust::in_folder(&self.trust).expect("whom to believe");
        let since = (what == What::Since).then(|| witness::ASKED.parse().expect("a time"));
        let trust = &trust.clone().witnessed_since(since);
        let (mut codes, code) = if what == What::Folder {
            let report = verify::folder(&self.run(0), trust);
            (report.findings.iter().map(|f| f.code.as_str()).collect::<Vec<_>>(), report.exit())
        } else {
            let kept = if what == What::Kept { vec![self.scene.kept()] } else { Vec::new() };
            let report = verify::store(&self.root, trust, &kept);
            let folders = report.folders.iter().flat_map(|folder| &folder.findings);
            (folders.chain(&report.findings).map(|f| f.code.as_str()).collect(), report.exit())
        };
        codes.retain(|code| *code != "run_open");
        once(&mut codes);
        (codes, code == exit::OK)
    }

    /// The checks of docs/verify.sh that fail, whether all is well, and what it printed.
    fn theirs(&self, what: What) -> (Vec<String>, bool, String) {
        let (trust, folder, kept) = (self.trust.clone(), self.run(0), self.scene.kept());
        let (store, checkpoint) = (Path::new("--store"), Path::new("--checkpoint"));
        let since = [Path::new("--witnessed-since"), Path::new(witness::ASKED)];
        let (code, said) = match what {
            What::Folder => verify_sh(&trust, &[&folder]),
            What::Store => verify_sh(&trust, &[store, &self.root]),
            What::Kept => verify_sh(&trust, &[store, &self.root, checkpoint, &kept]),
            What::Since => verify_sh(&trust, &[store, &self.root, since[0], since[1]]),
        };
        assert!(matches!(code, 0 | 1), "{code:?}: {said}");
        let failed = said.lines().filter(|line| line.starts_with("FAIL"));
        let mut failed: Vec<String> =
            failed.filter_map(|line| Some(line.split_whitespace().nth(2)?.to_owned())).collect();
        once(&mut failed);
        assert_eq!(failed.is_empty(), code == 0, "{said}");
        (failed, code == 0, said)
    }
}

/// A store whose runs are stamped by an authority of openssl's.
pub(super) fn stamped_bench() -> Bench {
    stamp::bench(&stamp::expired(), jiff::SignedDuration::ZERO)
}

/// Put into the folder `trust` what an auditor is handed.
pub(super) fn hand_over(trust: &Path) {
    let key = log_key().signer(ORIGIN).expect("a name").verifier(Algorithm::Ed25519);
    let line = |signer: &Signer| signer.allowed_signers_line("exhibit@bench");
    let limited = line(&retired()).replace("names", "valid-before=\"20261124000000Z\",names");
    let (revoked, since) = revoked();
    let lines = format!("# the keys\n{limited}\n{}\n{}\n", line(&revoked), line(&signer()));
    let list = format!("{} since={since} it was lost\n", public_line(revoked.public()));
    make_dir(trust);
    write(&trust.join("allowed_signers"), lines.as_bytes());
    write(&trust.join("revoked_keys"), list.as_bytes());
    write(&trust.join("log.vkey"), format!("{key}\n").as_bytes());
}

/// How docs/verify.sh ends, trusting what `trust` holds, and what it says.
pub(super) fn verify_sh(trust: &Path, arguments: &[&Path]) -> (i32, String) {
    let mut script = Command::new("bash");
    let done = script.arg(SCRIPT).arg("--trust").arg(trust).args(arguments).output();
    let done = done.expect("bash is there");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    (done.status.code().expect("it ended by itself"), said)
}

/// Leave each of `all` only where it comes first.
fn once<T: PartialEq + Clone>(all: &mut Vec<T>) {
    let mut seen: Vec<T> = Vec::new();
    all.retain(|one| {
        let new = !seen.contains(one);
        if new {
            seen.push(one.clone());
        }
        new
    });
}

#[expect(clippy::disallowed_methods, reason = "a test prepares an attack")]
fn make_dir(path: &Path) {
    fs::create_dir_all(path).expect("made");
}

/// Change one bit in the middle of the file `name`.
fn flip(at: &Path, name: &str) {
    let path = at.join(name);
    let mut bytes = fs::read(&path).expect("there");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    write(&path, &bytes);
}

/// Put `to` in the place of the first `from` in the file `name`.
fn edit(at: &Path, name: &str, from: &str, to: &str) {
    let path = at.join(name);
    let text = fs::read_to_string(&path).expect("text");
    assert!(text.contains(from), "{name} holds {from:?}: {text}");
    write(&path, text.replacen(from, to, 1).as_bytes());
}

/// Attack, ask both, and compare: the table's line, or what they disagree about.
fn judge(scene: &Scene, row: &Row) -> Result<String, String> {
    let copy = Victim::of(scene);
    (row.does)(&copy);
    let (codes, intact) = copy.ours(row.what);
    let (checks, agrees, said) = copy.theirs(row.what);
    if intact != agrees || intact == row.limit.is_empty() {
        return Err(format!("{}: we say {codes:?}, verify.sh says\n{said}", row.attack));
    }
    let list = |words: Vec<&str>| {
        let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
        words.join(", ")
    };
    let attack = row.attack;
    if intact {
        return Ok(format!("| {attack} | nothing | nothing: {} |\n", row.limit));
    }
    let checks = checks.iter().map(String::as_str).collect();
    Ok(format!("| {attack} | {} | {} |\n", list(codes), list(checks)))
}

/// The table of `rows`, each judged on a copy of its own.
fn table(scene: &Scene, rows: &[Row]) -> String {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut lines = Vec::new();
        while let Some((at, row)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            rows.get(at).map(|row| (at, row))
        } {
            lines.push((at, judge(scene, row)));
        }
        lines
    };
    let mut lines: Vec<(usize, Result<String, String>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("judged")).collect()
    });
    lines.sort();
    let mut table = "| what was done | `exhibit verify` | `verify.sh` fails |\n".to_owned();
    table += "|---|---|---|\n";
    let mut wrong = String::new();
    for (_, line) in lines {
        line.map_or_else(|said| wrong += &said, |line| table += &line);
    }
    assert!(wrong.is_empty(), "{wrong}");
    table
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a golden file is written when that is asked for")]
fn verify_sh_agrees_on_every_attack_and_the_manual_says_so() {
    let (scene, stamped, watched) = (Scene::new(), stamp::scene(), witness::scene());
    let mut manual = fs::read_to_string(MANUAL).expect("text");
    let found = manual.clone();
    for (part, scene, rows) in [
        ("folder", &scene, folder::ROWS),
        ("reading", &scene, reading::ROWS),
        ("store", &scene, store::ROWS),
        ("store by names", &scene, name::ROWS),
        ("run in `open/`", &scene, open::ROWS),
        ("kept bundle", &scene, import::ROWS),
        ("container", &scene, container::ROWS),
        ("timestamp", &stamped, stamp::ROWS),
        ("watched log", &watched, witness::ROWS),
    ] {
        // One table alone, while its rows are written.
        if std::env::var("MATRIX_TABLE").is_ok_and(|only| only != part) {
            continue;
        }
        let (begin, end) = (format!("<!-- made: attacks on a {part} -->\n"), "<!-- end -->\n");
        let (before, rest) = manual.split_once(&begin).unwrap_or_else(|| panic!("no {part}"));
        let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("{part} has no end"));
        manual = format!("{before}{begin}{}{end}{after}", table(scene, rows));
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(MANUAL, &manual).expect("written");
        return;
    }
    let differs = found.lines().zip(manual.lines()).find(|(one, other)| one != other);
    assert!(found == manual, "docs/AUDITORS.md: {differs:#?}; run `make docs`");
}

#[test]
fn verify_sh_says_what_it_needs_and_believes_nothing_it_finds() {
    let scene = Scene::new();
    let (copy, trust) = (Victim::of(&scene), scene.trust());
    let store = Path::new("--store");
    for arguments in [&[][..], &[store], &[store, &copy.run(0), &copy.run(1)], &[Path::new("-x")]] {
        assert_eq!(verify_sh(&trust, arguments).0, 2, "{arguments:?}");
    }
    assert_eq!(verify_sh(&copy.root.join("nowhere"), &[&copy.run(0)]).0, 2);
    // Keys that lie in what is checked are its maker's.
    hand_over(&copy.root.join("trust"));
    let (code, said) = verify_sh(&copy.root.join("trust"), &[store, &copy.root]);
    assert_eq!((code, said.contains("DIR lies in what is to be checked")), (2, true), "{said}");
    // Without the log's key a folder can be checked, and that the log was not is said.
    let alone = copy.scene.bench.scratch().join("alone");
    hand_over(&alone);
    remove(&alone.join("log.vkey"));
    let (code, said) = verify_sh(&alone, &[&copy.run(0)]);
    assert_eq!((code, said.contains("SKIP 10 proof")), (0, true), "{said}");
    assert_eq!(verify_sh(&alone, &[store, &copy.root]).0, 2);
    // The time of sealing counts, not today.
    let line = signer().allowed_signers_line("exhibit@bench");
    for (until, code) in [("20261201Z", 0), ("20261124Z", 1)] {
        let line = line.replace("namespaces", &format!("valid-before=\"{until}\",namespaces"));
        write(&alone.join("allowed_signers"), line.as_bytes());
        assert_eq!(verify_sh(&alone, &[&copy.run(0)]).0, code, "{until}");
    }
}
