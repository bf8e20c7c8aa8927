//! Attacks on a whole store: folders taken out, moved, exchanged and slipped in, and everything that
//! can be done to its log, with its key and without.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Row, Victim, What, edit, flip, make_dir, row, unnoticed};
use crate::attacks::{rename, write};
use crate::digest::Digest;
use crate::fixture::{Bench, ORIGIN, id, log_key, signer};
use crate::hostile::copy_tree;
use crate::layout::{EVENTS, PROOF, SEAL, archived_place};
use crate::log::{Log, LogReader};
use crate::log::{extend, grow, lay_out, remove};
use crate::run::Ending;
use crate::sign::LogKey;

const STORE: What = What::Store;
const KEPT: What = What::Kept;
/// What stands against an attacker who has everything but other people's memory.
const MEMORY: &str = "only a kept checkpoint or a witness can tell";

pub(super) const ROWS: &[Row] = &[
    unnoticed("nothing", STORE, |_| {}, "it is intact"),
    unnoticed("nothing, a checkpoint was kept", KEPT, |_| {}, "it is intact"),
    row("a folder removed", STORE, |copy| remove(&copy.run(1))),
    unnoticed(
        "a folder removed whose purge is in the log",
        STORE,
        |copy| {
            purge(copy, 1, LATER, None);
            remove(&copy.run(1));
        },
        "it was purged, and the log says by whom and why",
    ),
    row("a purge put into the log, the folder left", STORE, |copy| purge(copy, 1, LATER, None)),
    row("a folder removed and purged before its time", STORE, |copy| {
        purge(copy, 1, "2026-11-24T09:00:00.000Z", None);
        remove(&copy.run(1));
    }),
    row("a folder removed and purged while on hold", STORE, |copy| {
        let hold = json!({ "kind": "hold", "time": LATER, "run": id(1), "reason": "r" });
        purge(copy, 1, LATER, Some(hold));
        remove(&copy.run(1));
    }),
    row("a folder removed and purged as another than was sealed", STORE, |copy| {
        let seal = fs::read(copy.run(0).join(SEAL)).expect("there");
        write(&copy.run(1).join(SEAL), &seal);
        purge(copy, 1, LATER, None);
        remove(&copy.run(1));
    }),
    row("an open run removed, its purge in the log", STORE, |copy| {
        let entry = json!({ "kind": "purge", "time": LATER, "run": Bench::third() });
        add(copy, vec![entry]);
        remove(&copy.root.join("open"));
    }),
    unnoticed(
        "a folder archived, as the log says",
        STORE,
        |copy| drop(archive(copy, 1, |_| {})),
        "it is intact, as one file",
    ),
    row("a byte of an archive changed", STORE, |copy| {
        let path = archive(copy, 1, |_| {});
        flip(path.parent().expect("a day"), &format!("{}.tar.zst", id(1)));
    }),
    row("bytes added to an archive", STORE, |copy| {
        let path = archive(copy, 1, |_| {});
        let more = [fs::read(&path).expect("there"), b"more".to_vec()].concat();
        write(&path, &more);
    }),
    row("a file changed, which the daemon had found and put into the log", STORE, |copy| {
        flip(&copy.run(1), "report.html");
        add(copy, vec![found(&["file_altered"])]);
    }),
    unnoticed(
        "a file changed and put back, after the daemon had found it",
        STORE,
        |copy| add(copy, vec![found(&["file_altered"]), found(&[])]),
        "the evidence is as it was; that it was not is told as a note, `finding_logged`",
    ),
    row("an archive removed", STORE, |copy| remove_file(&archive(copy, 1, |_| {}))),
    row("the archive of another run in the place of one", STORE, |copy| {
        let (one, other) = (archive(copy, 0, |_| {}), archive(copy, 1, |_| {}));
        write(&one, &fs::read(other).expect("there"));
    }),
    row("an archive made anew of a changed folder", STORE, |copy| {
        let place = archive(copy, 1, |_| {});
        let sound = Victim::of(copy.scene);
        edit(&sound.run(1), EVENTS, "paid", "took");
        write(&place, &packed(&sound, 1));
    }),
    row("the same, its archiving put into the log", STORE, |copy| {
        drop(archive(copy, 1, |folder| edit(folder, EVENTS, "paid", "took")));
    }),
    row("a folder made an archive that the log does not tell of", STORE, |copy| {
        let bytes = packed(copy, 1);
        remove(&copy.run(1));
        write(&copy.root.join(archived_place(id(1))), &bytes);
    }),
    row("a folder put back beside its archive, with a change", STORE, |copy| {
        drop(archive(copy, 1, |_| {}));
        copy_tree(&copy.scene.bench.store.folder_of(id(1)), &copy.run(1));
        edit(&copy.run(1), EVENTS, "paid", "took");
    }),
    row("an archive moved to another day", STORE, |copy| {
        let path = archive(copy, 1, |_| {});
        make_dir(&copy.root.join("runs/2020/01/01"));
        rename(&path, &copy.root.join(format!("runs/2020/01/01/{}.tar.zst", id(1))));
    }),
    row("the archive of a purged run left", STORE, |copy| {
        purge(copy, 1, LATER, None);
        drop(archive(copy, 1, |_| {}));
    }),
    row("a folder moved to another day", STORE, |copy| {
        rename(&copy.run(1), &copy.root.join(format!("runs/2020/01/01/{}", id(1))));
    }),
    row("two runs' folders exchanged", STORE, |copy| {
        let (one, other, aside) = (copy.run(0), copy.run(1), copy.root.join("aside"));
        rename(&one, &aside);
        rename(&other, &one);
        rename(&aside, &other);
    }),
    row("a folder of another store with the same keys put in", STORE, |copy| {
        let (other, place) = elsewhere();
        copy_tree(&other.store.root().join(&place), &copy.root.join(&place));
        remove(&copy.root.join("open"));
    }),
    row("an open run removed", STORE, |copy| remove(&copy.root.join("open"))),
    row("a link in the place of the log's checkpoint", STORE, |copy| {
        let path = copy.root.join("log/checkpoint");
        rename(&path, &copy.root.join("elsewhere"));
        std::os::unix::fs::symlink("../elsewhere", &path).expect("linked");
    }),
    row("pipes, on which a reader would wait, in the place of files of the log", STORE, |copy| {
        for name in ["log/checkpoint", "log/tile/entries/000", "checkpoints/003.note"] {
            pipe(copy, &copy.root.join(name));
        }
    }),
    row("a pipe in the place of a tile", STORE, |copy| {
        pipe(copy, &copy.root.join("log/tile/entries/000"));
    }),
    row("pipes in the place of a folder's seal and events", STORE, |copy| {
        for name in [SEAL, EVENTS] {
            pipe(copy, &copy.run(1).join(name));
        }
    }),
    row("the proof of one folder removed", STORE, |copy| remove(&copy.run(1).join(PROOF))),
    unnoticed("the log cut short, with its history and the folder it told of", STORE, cut, MEMORY),
    row("the same, a checkpoint was kept", KEPT, cut),
    row("the log cut short, its history left", STORE, |copy| {
        lay_out(&copy.root.join("log"), &copy.scene.earlier.0);
    }),
    unnoticed(
        "log, history and proofs made anew without a run, with the stolen log key",
        STORE,
        anew,
        MEMORY,
    ),
    row("the same, a checkpoint was kept", KEPT, anew),
    row("the same, the proof of a run that was sealed later left as it was", STORE, |copy| {
        let proof = fs::read(copy.run(1).join(PROOF)).expect("there");
        without(copy, 0);
        write(&copy.run(1).join(PROOF), &proof);
    }),
    row("log and history made anew with another key", STORE, |copy| {
        drop(rebuild(copy, &LogKey::from_seed(&[1; 32]).expect("a key"), |_| true));
    }),
    row("a byte of a full tile of entries changed", STORE, |copy| log(copy, "tile/entries/000")),
    row("a byte of the last tile of entries changed", STORE, |copy| {
        log(copy, "tile/entries/001.p/7");
    }),
    row("a byte of a full tile of hashes changed", STORE, |copy| log(copy, "tile/0/000")),
    row("a byte of the last tile of hashes changed", STORE, |copy| log(copy, "tile/0/001.p/7")),
    row("a byte of a tile of the second level changed", STORE, |copy| {
        log(copy, "tile/1/000.p/1");
    }),
    row("a tile of entries removed", STORE, |copy| {
        remove(&copy.root.join("log/tile/entries/000"));
    }),
    row("a tile of hashes removed", STORE, |copy| remove(&copy.root.join("log/tile/0/000"))),
    row("a file added to the log", STORE, |copy| {
        copied(copy, "log/tile/1/000.p/1", "log/tile/1/000.p/01");
    }),
    row("two entries exchanged, the tiles made anew", STORE, |copy| {
        let kept = fs::read(copy.root.join("log/checkpoint")).expect("there");
        let mut entries = entries(copy);
        entries.swap(2, 3);
        drop(build(copy, &log_key(), &entries));
        write(&copy.root.join("log/checkpoint"), &kept);
    }),
    row("the checkpoint edited", STORE, |copy| {
        edit(&copy.root, "log/checkpoint", "\n263\n", "\n262\n");
    }),
    row("the checkpoint signed with another key", STORE, |copy| {
        let signer = LogKey::from_seed(&[1; 32]).expect("a key").signer(ORIGIN).expect("a name");
        let text = fs::read_to_string(copy.root.join("log/checkpoint")).expect("there");
        let (text, _) = text.split_once("\n\n").expect("a note");
        let line = signer.sign(&format!("{text}\n"));
        write(&copy.root.join("log/checkpoint"), format!("{text}\n\n{line}").as_bytes());
    }),
    row("an earlier checkpoint put in the newest one's place", STORE, |copy| {
        copied(copy, "checkpoints/003.note", "log/checkpoint");
    }),
    row("the log removed", STORE, |copy| remove(&copy.root.join("log"))),
    row("log, history and proofs removed", STORE, |copy| {
        for name in ["log", "checkpoints"] {
            remove(&copy.root.join(name));
        }
        for index in [0, 1] {
            remove(&copy.run(index).join(PROOF));
        }
    }),
    row("a checkpoint in `checkpoints/` edited", STORE, |copy| {
        edit(&copy.root, "checkpoints/003.note", "\n3\n", "\n4\n");
    }),
    row("`checkpoints/` removed", STORE, |copy| remove(&copy.root.join("checkpoints"))),
    unnoticed(
        "a checkpoint in `checkpoints/` removed",
        STORE,
        |copy| remove(&copy.root.join("checkpoints/003.note")),
        "those that are kept elsewhere are the ones that count",
    ),
    row("a line of custody edited", STORE, |copy| {
        edit(&copy.root, CUSTODY, "report.html", "VERIFY.txt");
    }),
    row("a line of custody removed", STORE, |copy| custody(copy, |lines| drop(lines.remove(1)))),
    row("two lines of custody exchanged", STORE, |copy| custody(copy, |lines| lines.swap(0, 1))),
    row("a line of custody edited, the chain made anew", STORE, |copy| {
        custody(copy, |lines| {
            lines[1] = lines[1].replace("report.html", "VERIFY.txt");
            chain(lines);
        });
    }),
    row("the last lines of custody removed", STORE, |copy| {
        custody(copy, |lines| lines.truncate(2));
    }),
    unnoticed(
        "a line of custody removed that the log does not hold yet",
        STORE,
        |copy| custody(copy, |lines| lines.truncate(3)),
        "the log takes the head in after a minute at the latest",
    ),
    row("`custody/` removed", STORE, |copy| remove(&copy.root.join("custody"))),
    row("a file added to `custody/`", STORE, |copy| write(&copy.root.join("custody/x"), b"x")),
    row("a link in the place of a file of custody", STORE, |copy| {
        rename(&copy.root.join(CUSTODY), &copy.root.join("elsewhere"));
        std::os::unix::fs::symlink("../elsewhere", copy.root.join(CUSTODY)).expect("linked");
    }),
    row("a file added below `runs/`", STORE, |copy| {
        write(&copy.root.join("runs/2025 \n-x"), b"x");
    }),
    row("a file added to `open/`", STORE, |copy| write(&copy.root.join("open/x"), b"x")),
    row("a folder added beside a run's", STORE, |copy| {
        make_dir(&copy.run(1).with_file_name("x"));
    }),
];

/// After any promise of the runs there are is over.
pub(super) const LATER: &str = "2029-01-01T00:00:00.000Z";

/// Put into the log, with its stolen key, that the run number `index` was purged at `time`, after
/// `before`.
pub(super) fn purge(copy: &Victim, index: usize, time: &str, before: Option<Value>) {
    let seal = fs::read(copy.run(index).join(SEAL)).expect("there");
    let sha256 = Digest::of(&seal);
    let entry = json!({ "kind": "purge", "time": time, "run": id(index), "seal_sha256": sha256 });
    add(copy, before.into_iter().chain([entry]).collect());
}

/// The daemon's finding that the second run has these `codes`.
fn found(codes: &[&str]) -> Value {
    json!({ "kind": "finding", "time": LATER, "place": id(1), "codes": codes })
}

/// What an archive of the run number `index` holds.
pub(super) fn packed(copy: &Victim, index: usize) -> Vec<u8> {
    crate::bundle::write(Vec::new(), &[(id(index), &copy.run(index), None)]).expect("in memory")
}

/// Make an archive of the folder of the run number `index` after a `change` in it, and put that into
/// the log, with its stolen key; where it lies.
pub(super) fn archive(copy: &Victim, index: usize, change: impl FnOnce(&Path)) -> PathBuf {
    change(&copy.run(index));
    let (bytes, folder) = (packed(copy, index), copy.run(index));
    let path = copy.root.join(archived_place(id(index)));
    write(&path, &bytes);
    remove(&folder);
    let sha256 = Digest::of(&bytes);
    let entry = json!({ "kind": "archive", "time": LATER, "run": id(index), "sha256": sha256 });
    add(copy, vec![entry]);
    path
}

#[expect(clippy::disallowed_methods, reason = "a test plays an attacker")]
pub(super) fn remove_file(path: &Path) {
    fs::remove_file(path).expect("removed");
}

/// Put entries at the end of the log, with its stolen key.
pub(super) fn add(copy: &Victim, entries: Vec<Value>) {
    let log = Log::open(&copy.root, &log_key(), ORIGIN).expect("a log");
    let entries = entries.into_iter().map(|mut entry| {
        entry["format"] = json!("exhibit-log/1");
        serde_json_canonicalizer::to_vec(&entry).expect("JSON")
    });
    log.append_all(entries.collect()).expect("added");
}

/// The one file of custody.
const CUSTODY: &str = "custody/2026-11.jsonl";

/// Change the lines of custody.
fn custody(copy: &Victim, change: impl FnOnce(&mut Vec<String>)) {
    let path = copy.root.join(CUSTODY);
    let text = fs::read_to_string(&path).expect("text");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    write(&path, (lines.join("\n") + "\n").as_bytes());
}

/// Bind each line to the one before it.
pub(super) fn chain(lines: &mut [String]) {
    let mut previous = Digest::ZERO;
    for line in lines {
        let (before, _) = line.rsplit_once("\"previous\":").expect("the last key");
        *line = format!("{before}\"previous\":\"{previous}\"}}");
        previous = Digest::of(line.as_bytes());
    }
}

/// Change a byte of a file of the log.
fn log(copy: &Victim, name: &str) {
    flip(&copy.root.join("log"), name);
}

fn copied(copy: &Victim, from: &str, to: &str) {
    let to = copy.root.join(to);
    make_dir(to.parent().expect("a folder"));
    write(&to, &fs::read(copy.root.join(from)).expect("there"));
}

/// A store with the same keys and a sealed run of its own; the run's place.
fn elsewhere() -> (Bench, String) {
    let bench = Bench::logged();
    let draft = bench.begin_third();
    let receipt = draft.seal(&Ending::sealed("succeeded"), &signer(), bench.now());
    (bench, receipt.expect("sealed").folder)
}

/// Put a pipe in the place of the file at `path`.
fn pipe(copy: &Victim, path: &Path) {
    rename(path, &copy.root.join("elsewhere"));
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("a pipe");
}

/// Everything as it was before the second run was sealed.
fn cut(copy: &Victim) {
    let (log, history) = &copy.scene.earlier;
    lay_out(&copy.root.join("log"), log);
    lay_out(&copy.root.join("checkpoints"), history);
    remove(&copy.run(1));
}

/// The second run never was.
fn anew(copy: &Victim) {
    without(copy, 1);
}

/// The run number `index` never was: its folder is gone, and so is what the log told of it.
pub(super) fn without(copy: &Victim, index: usize) {
    remove(&copy.run(index));
    let run = id(index).to_string();
    let log = rebuild(copy, &log_key(), |entry| !String::from_utf8_lossy(entry).contains(&run));
    // Longer than the one there was, so that its length gives nothing away.
    grow(&log, 5);
}

/// The entries of the log.
pub(super) fn entries(copy: &Victim) -> Vec<Vec<u8>> {
    let reader = LogReader::of_store(&copy.root);
    let (_, checkpoint) = reader.checkpoint().expect("a checkpoint");
    let bundles = 0..checkpoint.size.div_ceil(256);
    bundles.flat_map(|index| reader.bundle(index, checkpoint.size).expect("whole")).collect()
}

/// Make log and history anew of `entries`.
pub(super) fn build(copy: &Victim, key: &LogKey, entries: &[Vec<u8>]) -> Log {
    for name in ["log", "checkpoints"] {
        remove(&copy.root.join(name));
    }
    let log = Log::open(&copy.root, key, ORIGIN).expect("a log");
    extend(&log, entries);
    log
}

/// Make log, history and proofs anew of the entries that `stay`.
fn rebuild(copy: &Victim, key: &LogKey, stay: impl Fn(&[u8]) -> bool) -> Log {
    let entries: Vec<_> = entries(copy).into_iter().filter(|entry| stay(entry)).collect();
    let log = build(copy, key, &entries);
    prove(copy, &log, &entries);
    log
}

/// Make the proofs of the folders anew, from `log` with its `entries`.
pub(super) fn prove(copy: &Victim, log: &Log, entries: &[Vec<u8>]) {
    for index in [0, 1].into_iter().filter(|index| copy.run(*index).is_dir()) {
        let seal = fs::read(copy.run(index).join(SEAL)).expect("there");
        let at = entries.iter().position(|entry| *entry == seal).expect("in the log");
        let proof = log.proof(at as u64).expect("a proof").to_string();
        write(&copy.run(index).join(PROOF), proof.as_bytes());
    }
}
