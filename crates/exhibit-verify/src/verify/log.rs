//! Owns the verification of a store's log: that its tiles follow from its entries and its checkpoint
//! from them, that checkpoints somebody remembers still hold, and that log and folders tell of the
//! same runs.

mod custody;
mod growth;
mod history;
mod keeping;
mod reading;
pub(super) mod stamps;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use self::custody::Stated;
pub(super) use self::growth::Added;
use self::growth::Growth;
pub use self::history::WitnessReport;
use self::history::{Kept, Watch};
use self::keeping::Keeping;
use self::stamps::Dated;
pub use self::stamps::StampedReport;
use super::Facts;
use super::proof::cosigned_by;
use super::unread::{Unread, unreadable};
use crate::disk::{self, PARTIAL_SUFFIX};
use crate::finding::{Finding, FindingCode};
use crate::found::Findings;
use crate::id::RunId;
use crate::layout;
use crate::log::{
    CHECKPOINT, FOLDER, HISTORY, KeptImport, Leaf, LeafKind, LogReader, LoggedKeys, RunHead,
};
use crate::trust::Trust;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::frontier::Frontier;
use exhibit_tlog::note::Note;
use exhibit_tlog::policy::Judgement;
use exhibit_tlog::tile::{self, Tile, TileKind, WIDTH};
use exhibit_tlog::tree;

/// What verification says of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// Its name.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root over them, as the entries give it.
    pub root: Option<Digest>,
    /// Runs of which the log says that they were opened.
    pub opened: u64,
    /// Runs of which it says that they were sealed.
    pub sealed: u64,
    /// Runs of which it says that they were purged.
    pub purged: u64,
    /// Events of custody beside it.
    pub custody: u64,
    /// Witnesses whose cosignatures of the newest checkpoint are sound.
    pub witnesses: Vec<String>,
    /// What each witness of the policy saw last.
    pub seen: Vec<WitnessReport>,
    /// Checkpoints from outside that the log still holds to.
    pub remembered: u64,
    /// The newest timestamp that counts.
    pub stamped: Option<StampedReport>,
}

/// Verify the log of the store at `root` alone, against the checkpoints in the files `remembered`:
/// what it is, and what there is to say.
pub fn log(root: &Path, trust: &Trust, remembered: &[PathBuf]) -> (LogReport, Vec<Finding>) {
    let mut check = LogCheck::new(root, trust);
    check.run(remembered);
    (check.report, check.findings)
}

/// Verify the log of the store at `root`, and the custody log beside it.
pub fn log_and_custody(root: &Path, trust: &Trust) -> (LogReport, Vec<Finding>) {
    let mut check = LogCheck::new(root, trust);
    if check.run(&[]) {
        check.custody();
    }
    (check.report, check.findings)
}

/// The finding for a run that the log tells of and the store does not hold (`gone`), or the reverse.
pub fn doubt(gone: bool) -> FindingCode {
    if gone { FindingCode::RunGone } else { FindingCode::RunNotLogged }
}

/// One verification of a log under way.
pub(super) struct LogCheck<'a> {
    pub(super) root: &'a Path,
    pub(super) reader: LogReader,
    pub(super) trust: &'a Trust,
    /// Digests of the tiles of hashes as they follow from the entries, by level and number.
    pub(super) tiles: HashMap<(u32, u64), Digest>,
    /// Digests of the texts of the checkpoints in the history that were judged, by place.
    pub(super) notes: HashMap<String, Digest>,
    /// Tiles on disk that nothing was compared with yet, by their path in the log's folder.
    pub(super) unseen: BTreeSet<String>,
    pub(super) runs: HashMap<RunId, RunEntries>,
    pub(super) newest: Option<Checkpoint>,
    /// What was added to it since.
    pub(super) growth: Growth,
    /// How many entries were taken over of runs that were looked at again.
    pub(super) caught: HashMap<RunId, u64>,
    /// The same of kept bundles, where they were looked at again.
    pub(super) imports_caught: Option<u64>,
    pub(super) keeping: Keeping,
    /// Bundles of other stores that were taken in, and whether they were purged since.
    pub(super) imports: BTreeMap<Digest, (KeptImport, bool)>,
    /// What it says of the keys that sign.
    pub(super) keys: LoggedKeys,
    /// Heads of the custody log.
    pub(super) heads: Vec<Stated>,
    pub(super) dated: Dated,
    pub(super) watch: Watch,
    /// What the daemon itself found.
    pub(super) logged_findings: Findings,
    /// Sizes with a timestamp that counts, and the latest moment that it can mean.
    pub(super) there_by: Vec<(u64, Timestamp)>,
    pub(super) report: LogReport,
    pub(super) findings: Vec<Finding>,
}

/// What the log tells of a run.
#[derive(Debug, Default)]
pub(super) struct RunEntries {
    /// The digest of its first event, once it was opened.
    pub(super) opening: Option<Digest>,
    /// Digests of its seals.
    pub(super) seals: Vec<Digest>,
    /// Where the last of them stands.
    pub(super) last: Option<u64>,
    /// How far its chain had come while it was open.
    pub(super) heads: Vec<RunHead>,
}

impl<'a> LogCheck<'a> {
    pub(super) fn new(root: &'a Path, trust: &'a Trust) -> Self {
        let dated = Dated::in_store(root);
        let unread = dated.as_ref().err().map(|error| unreadable(HISTORY, error));
        Self {
            root,
            reader: LogReader::of_store(root),
            trust,
            tiles: HashMap::new(),
            notes: HashMap::new(),
            unseen: BTreeSet::new(),
            runs: HashMap::new(),
            newest: None,
            growth: Growth::default(),
            caught: HashMap::new(),
            imports_caught: None,
            keeping: Keeping::default(),
            imports: BTreeMap::new(),
            keys: LoggedKeys::default(),
            heads: Vec::new(),
            dated: dated.unwrap_or_default(),
            watch: Watch::default(),
            logged_findings: Findings::default(),
            there_by: Vec::new(),
            report: LogReport::default(),
            findings: unread.into_iter().collect(),
        }
    }

    pub(super) fn add(
        &mut self,
        code: FindingCode,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.findings.push(Finding::new(code, place, expected, found));
    }

    /// Verify the log itself; whether there is one that can be held against the folders.
    pub(super) fn run(&mut self, remembered: &[PathBuf]) -> bool {
        let place = format!("{FOLDER}/{CHECKPOINT}");
        self.policy();
        // What somebody kept was there before the log is looked at, which therefore has as much.
        let kept: Vec<Kept> = remembered.iter().map(|path| Kept::read(path)).collect();
        let Ok(there) = self.there(&place) else { return false };
        let Some(there) = there else {
            let expected = !self.trust.log().is_empty() || !remembered.is_empty();
            if expected || self.there(FOLDER).is_ok_and(|folder| folder.is_some()) {
                self.add(FindingCode::LogMissing, place, "the log of the store", "nothing");
            }
            return false;
        };
        if !there.is_file() {
            self.add(FindingCode::NotAFile, place, "a plain file", "a link or device");
            return false;
        }
        let (note, checkpoint) = match self.reader.checkpoint() {
            Ok(read) => read,
            Err(error) => {
                self.failed(FindingCode::LogMalformed, &place, "a checkpoint", &error);
                return false;
            }
        };
        self.report.origin.clone_from(&checkpoint.origin);
        self.report.size = checkpoint.size;
        self.judge(&note, &checkpoint, &place);
        // What cannot be listed is told; its files are read by their names all the same.
        let _ = self.list(FOLDER);
        let whole = self.tree(&checkpoint);
        self.extra();
        if whole {
            self.history(&note, &checkpoint);
            self.remembered(kept, &checkpoint);
            self.newest = Some(checkpoint);
        }
        self.logged_findings();
        whole
    }

    pub(super) fn judge(&mut self, note: &Note, checkpoint: &Checkpoint, place: &str) {
        match self.trust.log().judge(note, &checkpoint.origin) {
            Judgement::Believed { witnesses } => {
                self.report.witnesses = witnesses.into_iter().map(|(name, _)| name).collect();
            }
            Judgement::UnknownLog if self.trust.log().is_empty() => {}
            Judgement::UnknownLog => {
                let expected = "the signature of a log that is vouched for";
                self.add(FindingCode::LogUnknown, place, expected, checkpoint.origin.clone());
            }
            Judgement::TooFewWitnesses { witnesses } => {
                let found = cosigned_by(&witnesses);
                self.witnessed(checkpoint, place, found);
            }
        }
    }

    /// Remember every file below `place`.
    pub(super) fn list(&mut self, place: &str) -> Result<(), Unread> {
        let entries = match layout::entries(&self.root.join(place)) {
            Ok(entries) => entries,
            Err(error) => {
                self.unread(place, &error);
                return Err(Unread);
            }
        };
        let mut whole = Ok(());
        for entry in entries {
            let below = format!("{place}/{}", layout::readable(&entry.name));
            if entry.kind.is_dir() {
                whole = self.list(&below).and(whole);
            } else if !entry.kind.is_file() {
                self.add(FindingCode::NotAFile, below, "a plain file", "a link or device");
            } else if below.ends_with(PARTIAL_SUFFIX) {
                let found = "a file being written, or cut short";
                self.add(FindingCode::LogUnpublished, below, "whole files", found);
            } else if below != format!("{FOLDER}/{CHECKPOINT}") {
                self.unseen.insert(below);
            }
        }
        whole
    }

    /// Go through all entries, and compute all tiles from them; whether the checkpoint follows.
    fn tree(&mut self, checkpoint: &Checkpoint) -> bool {
        let mut edge = Frontier::default();
        for bundle in 0..checkpoint.size.div_ceil(WIDTH) {
            let tile =
                Tile::of(TileKind::Entries, bundle, checkpoint.size).expect("within the size");
            let bytes = match self.reader.tile(tile) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let place = format!("{FOLDER}/{tile}");
                    self.failed(FindingCode::LogTileAltered, &place, "whole entries", &error);
                    if disk::is_unreadable(&error) {
                        // Which tiles follow from the rest nobody can tell.
                        self.unseen.retain(|place| tile_at(place).is_none());
                    }
                    return false;
                }
            };
            self.compare(tile, &bytes);
            let entries = tile::entries(&bytes).unwrap_or_default();
            for (index, entry) in (bundle * WIDTH..).zip(entries) {
                self.entry(index, entry);
                edge.push(tree::leaf_hash(entry), |level, at, hashes| {
                    self.computed(level, at, hashes);
                });
            }
        }
        for (level, index, hashes) in edge.partial() {
            self.computed(level, index, hashes);
        }
        let root = edge.root();
        self.growth = Growth::of(&checkpoint.origin, checkpoint.size, edge);
        self.report.root = Some(root);
        if root != checkpoint.root {
            let place = format!("{FOLDER}/{CHECKPOINT}");
            let (expected, found) = (root.to_string(), checkpoint.root.to_string());
            self.add(FindingCode::LogRootMismatch, place, expected, found);
        }
        root == checkpoint.root
    }

    /// Compare a tile that was computed with the one on disk.
    fn computed(&mut self, level: u32, index: u64, hashes: &[Digest]) {
        if hashes.is_empty() {
            return;
        }
        let kind = TileKind::Hashes(level);
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
        self.tiles.insert((level, index), Digest::of(&bytes));
        self.compare(Tile { kind, index, width: hashes.len() as u64 }, &bytes);
    }

    /// Compare what lies on disk for `tile`, and for the narrower ones that it continues, with what
    /// it must hold.
    fn compare(&mut self, tile: Tile, bytes: &[u8]) {
        let mut found = false;
        let widths: Vec<u64> = (1..=tile.width).rev().collect();
        for width in widths {
            let part = Tile { width, ..tile };
            let place = format!("{FOLDER}/{part}");
            if !self.unseen.remove(&place) {
                continue;
            }
            let there = disk::read_limited(&self.root.join(&place), 1 << 25);
            found |= width == tile.width;
            // A partial tile goes when the full one is there.
            let gone = there.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound);
            let there = if gone && !part.is_full() { self.reader.tile(part) } else { there };
            if self.unread_result(&place, &there) {
                continue;
            }
            if !there.is_ok_and(|there| Some(there.as_slice()) == beginning(part, bytes)) {
                let expected = "what follows from the entries";
                self.add(FindingCode::LogTileAltered, place, expected, "other bytes");
            }
        }
        // Of a log that grew meanwhile, the full tile may have taken its place.
        if found || tile.kind == TileKind::Entries {
            return;
        }
        let (there, place) = (self.reader.tile(tile), format!("{FOLDER}/{tile}"));
        let unread = self.unread_result(&place, &there);
        if !unread && !there.is_ok_and(|there| there == bytes) {
            self.add(FindingCode::LogTileAltered, place, "hashes of the log", "nothing");
        }
    }

    fn entry(&mut self, index: u64, entry: &[u8]) {
        let Some(leaf) = Leaf::parse(entry) else {
            let place = format!("{FOLDER}#{index}");
            self.add(FindingCode::LogEntryMalformed, place, "an entry of this format", "another");
            return;
        };
        self.dated.entry(index, &leaf);
        self.keys.take(index, &leaf);
        if leaf.kind == LeafKind::Custody {
            self.heads.push(Stated::of(index, &leaf));
        }
        self.import(index, &leaf);
        self.logged_findings.take(Some(index), &leaf);
        for head in RunHead::in_leaf(&leaf) {
            self.runs.entry(head.run).or_default().heads.push(head);
        }
        if let Some(run) = leaf.run {
            self.about(run, index, entry, &leaf);
        }
    }

    /// Take over what the entry `index` tells of `run`, among others.
    pub(super) fn of_run(&mut self, run: RunId, index: u64, entry: &[u8], leaf: &Leaf) {
        let heads = RunHead::in_leaf(leaf).into_iter().filter(|head| head.run == run);
        self.runs.entry(run).or_default().heads.extend(heads);
        if leaf.run == Some(run) {
            self.about(run, index, entry, leaf);
        }
    }

    /// Take over the entry `index`, which is about `run`.
    fn about(&mut self, run: RunId, index: u64, entry: &[u8], leaf: &Leaf) {
        let told = self.runs.entry(run).or_default();
        let seal = told.seals.last().copied();
        match leaf.kind {
            LeafKind::Open if told.opening.is_none() => {
                let first =
                    leaf.data.get("first_event_sha256").and_then(|it| it.as_str()?.parse().ok());
                // One that states none agrees with no folder.
                told.opening = Some(first.unwrap_or(Digest::ZERO));
                self.report.opened += 1;
            }
            LeafKind::Seal => {
                self.report.sealed += u64::from(told.seals.is_empty());
                told.seals.push(Digest::of(entry));
                told.last = Some(index);
            }
            _ => {}
        }
        if let (LeafKind::Seal, Some(before), now) = (leaf.kind, seal, Digest::of(entry))
            && before != now
        {
            let place = format!("{FOLDER}#{index}");
            self.add(FindingCode::SealedTwice, place, before.to_string(), now.to_string());
        }
        self.held(run, index, leaf, seal);
        self.keeping(run, index, leaf, seal);
    }

    /// When the seal in the folder of `run` was there at the latest, by a timestamp over the log that
    /// counts. Of a seal that is not the log's the log says nothing.
    pub(super) fn sealed_by(&self, run: RunId, facts: &Facts) -> Option<Timestamp> {
        let told = self.runs.get(&run)?;
        let seal = facts.seal?;
        told.seals.last().filter(|logged| **logged == seal)?;
        let last = told.last?;
        let over = self.there_by.iter().filter(|(size, _)| last < *size);
        over.map(|(_, time)| *time).min()
    }

    /// Files in the log's folder that belong to no tile of it.
    fn extra(&mut self) {
        for place in std::mem::take(&mut self.unseen) {
            if tile_at(&place).is_some_and(|tile| tile.is_beyond(self.report.size)) {
                let expected = format!("what a log of {} entries has", self.report.size);
                self.add(FindingCode::LogUnpublished, place, expected, "more");
                continue;
            }
            self.add(FindingCode::UnexpectedFile, place, "nothing", "a file");
        }
    }
}

/// The tile that is called so in the store.
fn tile_at(place: &str) -> Option<Tile> {
    Tile::parse(place.strip_prefix(FOLDER)?.strip_prefix('/')?)
}

/// What the tile `part` holds of the bytes of a wider one.
fn beginning(part: Tile, bytes: &[u8]) -> Option<&[u8]> {
    let width = usize::try_from(part.width).ok()?;
    let length = match part.kind {
        TileKind::Hashes(_) => width * 32,
        TileKind::Entries => {
            tile::entries(bytes)?.iter().take(width).map(|entry| entry.len() + 2).sum()
        }
    };
    bytes.get(..length)
}
