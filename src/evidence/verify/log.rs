//! Owns the verification of a store's log: that its tiles follow from its entries and its checkpoint
//! from them, that checkpoints somebody remembers still hold, and that log and folders tell of the
//! same runs.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::archive::Packed;
use super::custody::Stated;
use super::keeping::Keeping;
use super::proof::cosigned_by;
use super::stamps::{Dated, StampedReport};
use super::{Facts, FolderReport};
use crate::digest::Digest;
use crate::disk::{self, PARTIAL_SUFFIX};
use crate::evidence::chain;
use crate::evidence::finding::{Finding, FindingCode};
use crate::evidence::layout::{self, EVENTS, PROOF, SEAL};
use crate::evidence::log::{
    CHECKPOINT, FOLDER, HISTORY, Leaf, LeafKind, LogReader, STAMPED, StampFile, TreeReader,
    WITNESSED,
};
use crate::evidence::log::{read_checkpoint, read_kept_checkpoint};
use crate::evidence::trust::Trust;
use crate::id::RunId;
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::Note;
use crate::tlog::policy::Judgement;
use crate::tlog::tile::{self, Kind, Tile, WIDTH};
use crate::tlog::tree;

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
pub(crate) fn log_and_custody(root: &Path, trust: &Trust) -> (LogReport, Vec<Finding>) {
    let mut check = LogCheck::new(root, trust);
    if check.run(&[]) {
        check.custody();
    }
    (check.report, check.findings)
}

/// The finding for a run that the log tells of and the store does not hold (`gone`), or the reverse.
pub(crate) fn doubt(gone: bool) -> FindingCode {
    if gone { FindingCode::RunGone } else { FindingCode::RunNotLogged }
}

/// One verification of a log under way.
pub(super) struct LogCheck<'a> {
    pub(super) root: &'a Path,
    reader: LogReader,
    pub(super) trust: &'a Trust,
    /// Tiles on disk that nothing was compared with yet, by their path in the log's folder.
    unseen: BTreeSet<String>,
    runs: HashMap<RunId, Told>,
    newest: Option<Checkpoint>,
    pub(super) keeping: Keeping,
    /// Heads of the custody log.
    pub(super) heads: Vec<Stated>,
    pub(super) dated: Dated,
    /// Sizes with a timestamp that counts, and the latest moment that it can mean.
    pub(super) there_by: Vec<(u64, Timestamp)>,
    pub(super) report: LogReport,
    pub(super) findings: Vec<Finding>,
}

/// What the log tells of a run.
#[derive(Debug, Default)]
struct Told {
    /// The digest of its first event, once it was opened.
    opening: Option<Digest>,
    /// Digests of its seals.
    seals: Vec<Digest>,
    /// Where the last of them stands.
    last: Option<u64>,
}

impl<'a> LogCheck<'a> {
    pub(super) fn new(root: &'a Path, trust: &'a Trust) -> Self {
        Self {
            root,
            reader: LogReader::of_store(root),
            trust,
            unseen: BTreeSet::new(),
            runs: HashMap::new(),
            newest: None,
            keeping: Keeping::default(),
            heads: Vec::new(),
            dated: Dated::in_store(root),
            there_by: Vec::new(),
            report: LogReport::default(),
            findings: Vec::new(),
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
        if !self.reader.exists() {
            let expected = !self.trust.log().is_empty() || !remembered.is_empty();
            if expected || self.root.join(FOLDER).symlink_metadata().is_ok() {
                self.add(FindingCode::LogMissing, place, "the log of the store", "nothing");
            }
            return false;
        }
        if !self.root.join(&place).symlink_metadata().is_ok_and(|found| found.is_file()) {
            self.add(FindingCode::NotAFile, place, "a plain file", "a link or device");
            return false;
        }
        let (note, checkpoint) = match self.reader.checkpoint() {
            Ok(read) => read,
            Err(error) => {
                self.add(FindingCode::LogMalformed, place, "a checkpoint", error.to_string());
                return false;
            }
        };
        self.report.origin.clone_from(&checkpoint.origin);
        self.report.size = checkpoint.size;
        self.judge(&note, &checkpoint, &place);
        self.list(FOLDER);
        let whole = self.tree(&checkpoint);
        self.extra();
        if whole {
            self.history(&note, &checkpoint);
            self.remembered(remembered, &checkpoint);
            self.newest = Some(checkpoint);
        }
        whole
    }

    fn judge(&mut self, note: &Note, checkpoint: &Checkpoint, place: &str) {
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

    /// Whether enough witnesses saw an earlier checkpoint; that the log continues it is checked
    /// with the others.
    fn witnessed(&mut self, now: &Checkpoint, place: &str, found: String) {
        let earlier = read_checkpoint(&self.root.join(HISTORY).join(WITNESSED)).ok();
        let believed =
            earlier.and_then(|(note, earlier)| match self.trust.log().judge(&note, &now.origin) {
                Judgement::Believed { witnesses } if earlier.size <= now.size => {
                    Some((earlier.size, witnesses))
                }
                _ => None,
            });
        let expected = "the witnesses of the policy";
        let Some((size, witnesses)) = believed else {
            self.add(FindingCode::WitnessMissing, place, expected, found);
            return;
        };
        self.report.witnesses = witnesses.into_iter().map(|(name, _)| name).collect();
        let found = format!("those of the first {size} of {} entries", now.size);
        self.add(FindingCode::WitnessBehind, place, expected, found);
    }

    /// Remember every file below `place`.
    fn list(&mut self, place: &str) {
        let entries = match layout::entries(&self.root.join(place)) {
            Ok(entries) => entries,
            Err(error) => {
                self.add(FindingCode::Unreadable, place, "a readable folder", error.to_string());
                return;
            }
        };
        for entry in entries {
            let below = format!("{place}/{}", layout::readable(&entry.name));
            if entry.kind.is_dir() {
                self.list(&below);
            } else if !entry.kind.is_file() {
                self.add(FindingCode::NotAFile, below, "a plain file", "a link or device");
            } else if below.ends_with(PARTIAL_SUFFIX) {
                let found = "a file being written, or cut short";
                self.add(FindingCode::LogUnpublished, below, "whole files", found);
            } else if below != format!("{FOLDER}/{CHECKPOINT}") {
                self.unseen.insert(below);
            }
        }
    }

    /// Go through all entries, and compute all tiles from them; whether the checkpoint follows.
    fn tree(&mut self, checkpoint: &Checkpoint) -> bool {
        let mut levels: Vec<(u64, Vec<Digest>)> = vec![(0, Vec::new())];
        for bundle in 0..checkpoint.size.div_ceil(WIDTH) {
            let tile = Tile::of(Kind::Entries, bundle, checkpoint.size).expect("within the size");
            let bytes = match self.reader.tile(tile) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let place = format!("{FOLDER}/{tile}");
                    self.add(
                        FindingCode::LogTileAltered,
                        place,
                        "whole entries",
                        error.to_string(),
                    );
                    return false;
                }
            };
            self.compare(tile, &bytes);
            let entries = tile::entries(&bytes).unwrap_or_default();
            for (index, entry) in (bundle * WIDTH..).zip(entries) {
                self.entry(index, entry);
                self.push(&mut levels, 0, tree::leaf_hash(entry));
            }
        }
        let mut rest = None;
        for (level, (index, hashes)) in levels.into_iter().enumerate() {
            self.computed(level, index, &hashes);
            rest = tree::root_over(&hashes.into_iter().chain(rest).collect::<Vec<_>>());
        }
        let root = rest.unwrap_or_else(tree::empty_root);
        self.report.root = Some(root);
        if root != checkpoint.root {
            let place = format!("{FOLDER}/{CHECKPOINT}");
            let (expected, found) = (root.to_string(), checkpoint.root.to_string());
            self.add(FindingCode::LogRootMismatch, place, expected, found);
        }
        root == checkpoint.root
    }

    /// Put a hash on a level of the tree, and its tile's root on the next when that is full.
    fn push(&mut self, levels: &mut Vec<(u64, Vec<Digest>)>, level: usize, hash: Digest) {
        if levels.len() == level {
            levels.push((0, Vec::new()));
        }
        levels[level].1.push(hash);
        if levels[level].1.len() as u64 == WIDTH {
            let hashes = std::mem::take(&mut levels[level].1);
            self.computed(level, levels[level].0, &hashes);
            levels[level].0 += 1;
            let top = tree::root_over(&hashes).expect("a full tile has a root");
            self.push(levels, level + 1, top);
        }
    }

    /// Compare a tile that was computed with the one on disk.
    fn computed(&mut self, level: usize, index: u64, hashes: &[Digest]) {
        if hashes.is_empty() {
            return;
        }
        let kind = Kind::Hashes(u32::try_from(level).expect("a tree has few levels"));
        let bytes: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
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
            // A partial tile goes when the full one is there.
            if there.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound)
                && !part.is_full()
                && self.reader.tile(part).is_ok()
            {
                continue;
            }
            found |= width == tile.width;
            if !there.is_ok_and(|there| Some(there.as_slice()) == beginning(part, bytes)) {
                let expected = "what follows from the entries";
                self.add(FindingCode::LogTileAltered, place, expected, "other bytes");
            }
        }
        // Of a log that grew meanwhile, the full tile may have taken its place.
        let found = found || self.reader.tile(tile).is_ok_and(|there| there == bytes);
        if !found && tile.kind != Kind::Entries {
            let place = format!("{FOLDER}/{tile}");
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
        if leaf.kind == LeafKind::Custody {
            self.heads.push(Stated::of(index, &leaf));
        }
        let Some(run) = leaf.run else { return };
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
        self.keeping(run, index, &leaf, seal);
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
            let tile = place.strip_prefix(&format!("{FOLDER}/")).and_then(Tile::parse);
            if tile.is_some_and(|tile| tile.is_beyond(self.report.size)) {
                let expected = format!("what a log of {} entries has", self.report.size);
                self.add(FindingCode::LogUnpublished, place, expected, "more");
                continue;
            }
            self.add(FindingCode::UnexpectedFile, place, "nothing", "a file");
        }
    }

    /// The checkpoints that were published, against the tree.
    fn history(&mut self, newest: &Note, checkpoint: &Checkpoint) {
        if self.root.join(HISTORY).symlink_metadata().is_err() {
            self.add(FindingCode::LogMissing, HISTORY, "the checkpoints there were", "nothing");
            return;
        }
        self.list(HISTORY);
        let mut stamps = Vec::new();
        for place in std::mem::take(&mut self.unseen) {
            if let Some(file) = StampFile::parse(&place[HISTORY.len() + 1..]) {
                stamps.push(file);
                continue;
            }
            match read_checkpoint(&self.root.join(&place)) {
                Ok((note, old)) => {
                    let expected = format!("{HISTORY}/{}.note", tile::grouped(old.size));
                    let named = [WITNESSED, STAMPED].map(|name| format!("{HISTORY}/{name}"));
                    if place != expected && !named.contains(&place) {
                        self.add(FindingCode::UnexpectedFile, &place, expected, "a checkpoint");
                    }
                    // One with more cosignatures says the same as the newest.
                    if note != *newest {
                        self.continues(&place, &note, &old, checkpoint);
                    }
                }
                Err(error) => {
                    self.add(FindingCode::LogMalformed, place, "a checkpoint", error.to_string());
                }
            }
        }
        // A request before its answers.
        stamps.sort_unstable();
        self.stamps(&stamps);
    }

    /// Checkpoints that somebody kept elsewhere.
    fn remembered(&mut self, remembered: &[PathBuf], checkpoint: &Checkpoint) {
        for path in remembered {
            let place = path.display().to_string();
            match read_kept_checkpoint(path) {
                Ok((note, old)) => {
                    let before = self.findings.len();
                    self.continues(&place, &note, &old, checkpoint);
                    self.report.remembered += u64::from(self.findings.len() == before);
                }
                Err(error) => {
                    self.add(FindingCode::Unreadable, place, "a checkpoint", error.to_string());
                }
            }
        }
    }

    /// Whether the log continues what `old` states.
    fn continues(&mut self, place: &str, note: &Note, old: &Checkpoint, now: &Checkpoint) {
        if old.origin != now.origin {
            self.add(FindingCode::LogUnknown, place, now.origin.clone(), old.origin.clone());
            return;
        }
        if let Judgement::UnknownLog = self.trust.log().judge(note, &old.origin)
            && !self.trust.log().is_empty()
        {
            let expected = "the signature of a log that is vouched for";
            self.add(FindingCode::LogUnknown, place, expected, old.origin.clone());
            return;
        }
        self.holds(place, old, now);
    }

    /// Whether the log still begins with what `old` states.
    fn holds(&mut self, place: &str, old: &Checkpoint, now: &Checkpoint) {
        if old.size > now.size {
            // A log in use may have grown since it was looked at; its checkpoint comes first.
            if self.reader.checkpoint().is_ok_and(|(_, newest)| newest.size >= old.size) {
                return;
            }
            let (expected, found) = (format!("{} entries", old.size), format!("{}", now.size));
            self.add(FindingCode::LogTruncated, place, expected, found);
            return;
        }
        let tree = TreeReader::new(&self.reader, now.size);
        let root = tree::root(&tree, old.size);
        if root.as_ref().ok() != Some(&old.root) {
            let found = root.map_or_else(|error| error.to_string(), |root| root.to_string());
            self.add(FindingCode::LogRewritten, place, old.root.to_string(), found);
        }
    }

    /// Whether the log tells that the run of `folder` was purged, and it went while it was looked at.
    pub(super) fn went(&self, folder: &FolderReport) -> bool {
        let path = Path::new(&folder.folder);
        let named = path.file_name().and_then(|name| name.to_str()?.parse().ok());
        named.is_some_and(|run| self.keeping.is_purged(run)) && path.symlink_metadata().is_err()
    }

    /// The runs of the log against the folders: `folders` and `archives` are those that are sealed,
    /// `open` the runs that are not yet.
    pub(super) fn runs(&mut self, folders: &[FolderReport], archives: &[Packed], open: &[RunId]) {
        let mut there: BTreeMap<RunId, &FolderReport> = BTreeMap::new();
        for archive in archives {
            there.insert(archive.run, &archive.report);
            self.folder(archive.run, &archive.report, layout::archived_place(archive.run));
        }
        for folder in folders {
            let name = Path::new(&folder.folder).file_name();
            let named = name.and_then(|name| name.to_str()?.parse().ok());
            if let Some(run) = folder.run.or(named) {
                there.insert(run, folder);
                self.folder(run, folder, layout::sealed_place(run));
            }
        }
        let last = |run| self.runs.get(run)?.last;
        let placed = there.iter().filter_map(|(run, folder)| Some((last(run)?, *folder)));
        self.stamped_in_order(placed.collect());
        self.purged();
        let told: Vec<(RunId, bool)> =
            self.runs.iter().map(|(run, told)| (*run, told.seals.is_empty())).collect();
        for (run, unsealed) in told {
            let place = layout::sealed_place(run);
            let purged = self.keeping.is_purged(run);
            if purged || there.contains_key(&run) || (unsealed && open.contains(&run)) {
                continue;
            }
            // In a store in use it may have been opened or sealed since, or be on its way from one
            // place to the other: its seal is in the log before its folder is moved.
            let now = [&place, &layout::open_place(run), &place];
            let archive = self.root.join(layout::archived_place(run));
            if archive.is_file() || now.into_iter().any(|now| self.root.join(now).is_dir()) {
                continue;
            }
            let expected = if unsealed { "a run that was opened" } else { "a run that was sealed" };
            self.add(FindingCode::RunGone, place, expected, "nothing");
        }
        for run in open {
            if !self.runs.contains_key(run) && !self.is_told_since(*run) {
                let place = layout::open_place(*run);
                self.add(FindingCode::RunNotLogged, place, "its opening in the log", "none");
            }
            let folder = self.root.join(layout::open_place(*run));
            self.opening(*run, first_event(&folder), layout::open_place(*run));
        }
    }

    /// The checkpoint in a folder's proof, which is one that the log once published. Whose it is,
    /// the folder's own verification says.
    fn proven(&mut self, facts: &Facts, place: &str) {
        let (Some(proven), Some(newest)) = (&facts.proven, self.newest.clone()) else { return };
        if proven.origin == newest.origin {
            self.holds(&format!("{place}/{PROOF}"), proven, &newest);
        }
    }

    /// The first event of `run` that was `found`, against what the log says of its opening.
    fn opening(&mut self, run: RunId, found: Option<Digest>, place: String) {
        let Some(logged) = self.runs.get(&run).and_then(|told| told.opening) else { return };
        if found != Some(logged) {
            let found = found.map_or_else(|| "no event".to_owned(), |found| found.to_string());
            let place = format!("{place}/{EVENTS}:1");
            self.add(FindingCode::OpeningNotLogged, place, logged.to_string(), found);
        }
    }

    /// Whether the log tells of `run` in what was added since it was looked at.
    fn is_told_since(&self, run: RunId) -> bool {
        let Ok((_, newest)) = self.reader.checkpoint() else { return false };
        (self.report.size / WIDTH..newest.size.div_ceil(WIDTH)).any(|bundle| {
            let entries = self.reader.bundle(bundle, newest.size).unwrap_or_default();
            entries.iter().any(|entry| Leaf::parse(entry).is_some_and(|leaf| leaf.run == Some(run)))
        })
    }

    fn folder(&mut self, run: RunId, folder: &FolderReport, place: String) {
        // What cannot be unpacked was told of.
        let read = [FindingCode::ArchiveMalformed, FindingCode::Unreadable, FindingCode::TooLarge];
        let told = folder.findings.iter().any(|it| read.contains(&it.code) && it.place == ".");
        if told && folder.facts == Facts::default() {
            return;
        }
        self.opening(run, folder.facts.first_event, place.clone());
        self.proven(&folder.facts, &place);
        // Its absence is a finding of the folder's.
        let Some(seal) = folder.facts.seal else { return };
        let code = match self.runs.get(&run).map(|told| &told.seals) {
            Some(seals) if seals.last() == Some(&seal) => return,
            Some(seals) if !seals.is_empty() => FindingCode::SealNotLogged,
            _ => FindingCode::RunNotLogged,
        };
        self.add(code, format!("{place}/{SEAL}"), "its seal in the log", "another, or none");
    }
}

/// The digest of the first line of a folder's events; none when there is no whole one.
pub(super) fn first_event(folder: &Path) -> Option<Digest> {
    let path = folder.join(EVENTS);
    path.symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
    let line = chain::lines(BufReader::new(File::open(path).ok()?)).next()?.ok()?;
    line.whole.then(|| Digest::of(&line.bytes))
}

/// What the tile `part` holds of the bytes of a wider one.
fn beginning(part: Tile, bytes: &[u8]) -> Option<&[u8]> {
    let width = usize::try_from(part.width).ok()?;
    let length = match part.kind {
        Kind::Hashes(_) => width * 32,
        Kind::Entries => {
            tile::entries(bytes)?.iter().take(width).map(|entry| entry.len() + 2).sum()
        }
    };
    bytes.get(..length)
}
