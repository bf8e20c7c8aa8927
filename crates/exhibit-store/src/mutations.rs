//! Random single changes anywhere in a store of sealed runs, archives and custody: every one must be told by whoever verifies the
//! store, but for what docs/FORMAT.md says is no evidence; docs/verify.sh is asked about some of them
//! as well. `cargo test` makes some hundreds, `make mutations` ten thousand; `EXHIBIT_SEED` gives
//! others.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::attacks::write;
use super::custody::Custody;
use super::damage::unlock;
use super::draft::Draft;
use super::fixture::{Bench, agent_says, file, id, opening, signer, trust_in_log};
use super::hostile::copy_tree;
use super::log::{Log, RunHead, grow, leaf, remove};
use super::matrix::{hand_over, look, stamped_bench, verify_sh};
use super::purge::Leaving;
use super::verify;
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Caller, Ending, Event};
use crate::tlog::tile::Tile;
use exhibit_verify::exit;

/// How many at the least; what `EXHIBIT_MUTATIONS` says otherwise.
const SOME: u64 = 300;
/// Of so many changes, docs/verify.sh is asked about one: it takes a hundred times as long.
const STOCK: u64 = 250;
/// The folders of a store that hold evidence.
const EVIDENCE: [&str; 5] = ["runs", "open", "log", "checkpoints", "custody"];
/// Entries of the log: full tiles, partial ones, and partial ones left over from before.
const ENTRIES: u64 = 266;
/// The run that is open.
const OPEN: &str = "019ab2f0-6c21-7000-8000-000000000004";

/// A store of a sealed run, of one that became an archive, of one that was purged and of one that is open,
/// which an authority stamped, and of what was put down about who looked at them.
fn scene() -> Bench {
    let bench = stamped_bench();
    for index in [0, 1] {
        bench.sealed(index);
    }
    let draft = bench.begin_third();
    let ending = Ending::sealed("succeeded");
    let purged = draft.seal(&ending, &signer(), bench.now()).expect("sealed");
    let draft = begin(&bench);
    let log = bench.log();
    log.append_all(RunHead::entries(&[draft.head()], bench.now())).expect("appended");
    drop(draft);
    let custody = Custody::open(bench.store.root()).expect("begun");
    for path in ["data/run.json", "report.html", "data/events.jsonl"] {
        custody.record(look(path), bench.now()).expect("recorded");
    }
    let head = custody.head();
    log.append(leaf::custody(head.count, head.sha256, bench.now())).expect("appended");
    archive(&bench, &log, id(1));
    purge(&bench, &log, &purged);
    grow(&log, 253);
    grow(&log, 1);
    grow(&log, 1);
    assert_eq!(log.checkpoint().1.size, ENTRIES);
    bench
}

fn operator() -> Caller {
    Caller::Socket { uid: 0, gid: 0, pid: Some(1) }
}

/// Begin a run that stays open, with a capture.
fn begin(bench: &Bench) -> Draft {
    let run = OPEN.parse().expect("an id");
    let provenance = json!({ "browser": "none" });
    let mut draft = bench.store.begin(&opening(run), &provenance, bench.now()).expect("begun");
    let name = "captures/0001-before/screenshot.png";
    let artifacts = draft.add(vec![file(name, b"a picture")]).expect("added");
    let taken = json!({ "stage": "before", "artifacts": artifacts });
    let taken = Event::exhibit("capture.taken", taken);
    draft.record(&[taken, agent_says("paid")], bench.now()).expect("recorded");
    draft
}

fn archive(bench: &Bench, log: &Log, run: RunId) {
    let store = &bench.store;
    let (sha256, size) = store.write_archive(run).expect("written");
    log.append(leaf::archive(run, sha256, size, &operator(), bench.now())).expect("appended");
    store.publish_archive(run).expect("in place");
    store.move_aside(run, Leaving::Archived).expect("moved");
    store.remove_aside(run, Leaving::Archived).expect("removed");
}

fn purge(bench: &Bench, log: &Log, sealed: &Receipt) {
    let run = sealed.run;
    let buried = leaf::Burial {
        run,
        workflow: "refund",
        seal_index: sealed.log_index,
        seal_sha256: Some(sealed.seal_sha256),
        sealed_at: &sealed.sealed_at,
        kept_until: sealed.sealed_at.clone(),
        retention: None,
        damage: &BTreeSet::new(),
        reason: "its time is over",
        by: &operator(),
    };
    log.append(leaf::purge(&buried, bench.now())).expect("appended");
    bench.store.move_aside(run, Leaving::Purged).expect("moved");
    bench.store.remove_aside(run, Leaving::Purged).expect("removed");
}

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit as u64).expect("below a length")
    }
}

/// A copy of the store, whose every file is known, so that each change can be taken back.
struct Subject {
    trust: PathBuf,
    _place: tempfile::TempDir,
    root: PathBuf,
    files: BTreeMap<PathBuf, Vec<u8>>,
    folders: Vec<PathBuf>,
    /// What is told of it as it is: notes, of timestamps that nobody judges here.
    usual: Vec<String>,
}

impl Subject {
    fn of(bench: &Bench, trust: &Path) -> Self {
        let memory = Path::new("/dev/shm");
        let place =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let place = place.expect("a folder");
        let root = place.path().join("store");
        copy_tree(bench.store.root(), &root);
        unlock(&root);
        let mut subject = Self {
            trust: trust.to_owned(),
            _place: place,
            root,
            files: BTreeMap::new(),
            folders: Vec::new(),
            usual: Vec::new(),
        };
        for name in EVIDENCE {
            subject.list(&subject.root.join(name));
        }
        subject.usual = subject.judged().0;
        subject
    }

    fn list(&mut self, folder: &Path) {
        self.folders.push(folder.to_owned());
        for entry in super::layout::entries(folder).expect("listed") {
            if entry.kind.is_dir() {
                self.list(&entry.path);
            } else {
                let bytes = fs::read(&entry.path).expect("there");
                self.files.insert(entry.path, bytes);
            }
        }
    }

    /// What is told of it; and whether it counts as whole, because all that is told are notes.
    fn judged(&self) -> (Vec<String>, bool) {
        let report = verify::store(&self.root, &trust_in_log(""), &[]);
        let folders = report.folders.iter().flat_map(|folder| {
            folder.findings.iter().map(|it| format!("{} {} {}", folder.folder, it.code, it.place))
        });
        let store = report.findings.iter().map(|it| format!("{} {}", it.code, it.place));
        (folders.chain(store).collect(), report.exit() == exit::OK)
    }

    fn is_intact(&self) -> bool {
        self.judged().1
    }

    /// Whether what was done is told of, where `stock` is set by docs/verify.sh as well. Tiles beyond
    /// the checkpoint were promised to nobody: of those there is a note, and the script is silent.
    fn is_noticed(&self, stock: bool) -> bool {
        let (told, whole) = self.judged();
        let agrees = || verify_sh(&self.trust, &[Path::new("--store"), &self.root]).0 == 1;
        told != self.usual && (whole || !stock || agrees())
    }

    fn pick(&self, dice: &mut Dice) -> (&Path, &[u8]) {
        let (path, bytes) =
            self.files.iter().nth(dice.below(self.files.len())).expect("below their number");
        (path, bytes)
    }

    /// Whether the format says that the file may be missing.
    fn is_dispensable(&self, path: &Path) -> bool {
        let name = path.strip_prefix(&self.root).expect("below").to_string_lossy();
        let tile = name.strip_prefix("log/").and_then(Tile::parse);
        let left_over = |tile: Tile| Tile::of(tile.kind, tile.index, ENTRIES) != Some(tile);
        name.starts_with("checkpoints/") || tile.is_some_and(left_over)
    }

    /// Change one thing, ask, and take it back: what was done, and whether it was noticed. None when
    /// nothing was changed, or nothing that is evidence.
    fn change(&self, dice: &mut Dice, stock: bool) -> Option<(String, bool)> {
        let (path, bytes) = self.pick(dice);
        let shown =
            |path: &Path| path.strip_prefix(&self.root).expect("below").display().to_string();
        let at = dice.below(bytes.len().max(1));
        let mut changed = bytes.to_vec();
        let what = match dice.below(10) {
            0 | 1 if !bytes.is_empty() => {
                let bit = dice.below(8);
                changed[at] ^= 1 << bit;
                format!("bit {bit} of byte {at} of {} turned", shown(path))
            }
            2 if !bytes.is_empty() => {
                changed.truncate(at);
                format!("{} cut to {at} bytes", shown(path))
            }
            3 => {
                let byte = *b"\n 0{\0"[..].get(dice.below(5)).expect("one of five");
                changed.insert(at, byte);
                format!("byte {byte} put in at {at} of {}", shown(path))
            }
            4 => return self.removed(path, bytes, stock),
            5 => return Some(self.added(dice, stock)),
            6 => return Some(self.renamed(dice, stock)),
            7 | 8 => return self.moved(dice, stock),
            _ => return self.exchanged(dice, (path, bytes), stock),
        };
        write(path, &changed);
        let noticed = self.is_noticed(stock);
        write(path, bytes);
        Some((what, noticed))
    }

    fn removed(&self, path: &Path, bytes: &[u8], stock: bool) -> Option<(String, bool)> {
        if self.is_dispensable(path) {
            return None;
        }
        remove(path);
        let noticed = self.is_noticed(stock);
        write(path, bytes);
        Some((format!("{} removed", path.display()), noticed))
    }

    fn added(&self, dice: &mut Dice, stock: bool) -> (String, bool) {
        let folder = &self.folders[dice.below(self.folders.len())];
        // A file of an open run may be there before the event that tells of it.
        if folder.starts_with(self.root.join("open").join(OPEN)) {
            return (String::new(), true);
        }
        let name = ["x", "-", ".hidden", "0", "001", "seal.json.bak"][dice.below(6)];
        let path = folder.join(format!("{name}{}", ["", ".note", ".p"][dice.below(3)]));
        if path.exists() {
            return (String::new(), true);
        }
        let (_, bytes) = self.pick(dice);
        write(&path, bytes);
        let noticed = self.is_noticed(stock);
        remove(&path);
        (format!("{} added", path.display()), noticed)
    }

    /// A file or a folder gets another name.
    #[expect(clippy::disallowed_methods, reason = "a test does damage")]
    fn renamed(&self, dice: &mut Dice, stock: bool) -> (String, bool) {
        let folder = &self.folders[dice.below(self.folders.len())];
        let path = if dice.below(4) == 0 { folder } else { self.pick(dice).0 };
        let mut name = path.file_name().expect("a name").to_owned();
        name.push(["x", ".bak", "~", "0"][dice.below(4)]);
        let other = path.with_file_name(name);
        fs::rename(path, &other).expect("renamed");
        let noticed = self.is_noticed(stock);
        fs::rename(&other, path).expect("renamed");
        (format!("{} renamed to {}", path.display(), other.display()), noticed)
    }

    /// A run, or what holds some, is moved or copied to where another kind of thing lies.
    #[expect(clippy::disallowed_methods, reason = "a test does damage")]
    fn moved(&self, dice: &mut Dice, stock: bool) -> Option<(String, bool)> {
        let runs = self.root.join("runs");
        let movable = |path: &&PathBuf| {
            let depth = path.strip_prefix(&runs).map_or(0, |below| below.components().count());
            (1..=4).contains(&depth) || path.ends_with(OPEN)
        };
        let archives =
            self.files.keys().filter(|path| path.to_string_lossy().ends_with(".tar.zst"));
        let sources: Vec<&PathBuf> = self.folders.iter().filter(movable).chain(archives).collect();
        let source = sources[dice.below(sources.len())];
        let name = source.file_name().expect("a name");
        let copies = dice.below(2) == 0;
        // What lies elsewhere in the store is no evidence, and a copy there takes nothing away.
        let elsewhere = ["open", "runs/2020/01/01", "purging", "archiving", "quarantine", "aside"];
        let place = self.root.join(elsewhere[dice.below(if copies { 2 } else { 6 })]);
        let target = place.join(name);
        if target.exists() || place.starts_with(source) {
            return None;
        }
        let new = !place.exists();
        fs::create_dir_all(&place).expect("made");
        if source.is_dir() {
            copy_tree(source, &target);
        } else {
            fs::copy(source, &target).expect("copied");
        }
        let aside = self.root.with_file_name("taken");
        if !copies {
            fs::rename(source, &aside).expect("moved");
        }
        let noticed = self.is_noticed(stock);
        if !copies {
            fs::rename(&aside, source).expect("moved");
        }
        remove(&target);
        if new {
            let top = place.strip_prefix(&self.root).expect("below").components().take(2).collect();
            let top: PathBuf = top;
            let top = if top.starts_with("runs") { self.root.join(top) } else { place };
            remove(&top);
        }
        let verb = if copies { "copied" } else { "moved" };
        Some((format!("{} {verb} to {}", source.display(), target.display()), noticed))
    }

    fn exchanged(
        &self,
        dice: &mut Dice,
        (path, bytes): (&Path, &[u8]),
        stock: bool,
    ) -> Option<(String, bool)> {
        let (other, others) = self.pick(dice);
        if bytes == others {
            return None;
        }
        write(path, others);
        write(other, bytes);
        let noticed = self.is_noticed(stock);
        write(path, bytes);
        write(other, others);
        Some((format!("{} and {} exchanged", path.display(), other.display()), noticed))
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn no_change_anywhere_in_a_sealed_store_goes_unnoticed() {
    let (wanted, seed) = (number("EXHIBIT_MUTATIONS", SOME), number("EXHIBIT_SEED", 1));
    let bench = scene();
    let trust = bench.scratch().join("trust");
    hand_over(&trust);
    let threads = std::thread::available_parallelism().map_or(2, usize::from) as u64;
    let unnoticed: Vec<String> = std::thread::scope(|scope| {
        let work = |thread: u64| {
            let (subject, mut dice) = (Subject::of(&bench, &trust), Dice(seed * 1000 + thread));
            assert!(subject.is_intact(), "before");
            let (mut done, mut unnoticed) = (0, Vec::new());
            while done < wanted.div_ceil(threads) {
                if let Some((what, noticed)) = subject.change(&mut dice, done % STOCK == 0) {
                    done += 1;
                    unnoticed.extend((!noticed).then_some(what));
                }
            }
            assert!(subject.is_intact(), "every change was taken back");
            unnoticed
        };
        let workers: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("done")).collect()
    });
    assert!(unnoticed.is_empty(), "seed {seed}: {unnoticed:#?}");
}
