//! Owns verification: says what is wrong with a sealed folder, or a store of them, from the bytes
//! on disk and keys handed over from outside. Never writes, never consults the index, never trusts
//! a key it finds inside.

mod archive;
mod bundle;
mod chain;
mod files;
mod findings;
mod import;
mod log;
mod moving;
mod open;
mod parallel;
mod proof;
mod readings;
mod receipt;
mod revoked;
mod run;
mod runs;
mod seal;
mod signature;
mod stamp;
mod store;
mod unread;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::finding::{Finding, FindingCode, shown, worst_exit};
use super::layout;
use super::record::RunRecord;
use super::sizes;
use super::trust::Trust;
use crate::bundle::{Folder, FolderItem};
use crate::disk;
use crate::id::RunId;
use crate::run::State;
use crate::workflow::Verdict;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::note::MAX_NOTE;
use exhibit_tlog::proof::Proof;

pub use bundle::bundle;
pub use bundle::{Beside, beside};
pub use import::ImportReport;
pub use import::{Logged as LoggedImports, imports};
pub use log::{LogReport, StampedReport, WitnessReport, log};
pub use log::{doubt, log_and_custody};
pub use moving::Stand;
pub use readings::Readings;
pub use receipt::{folder_against_receipt, read_receipt};
pub use run::{LoggedRun, each, first_event, run};
pub use stamp::StampReport;
pub use store::{FOLDERS, StoreReport, store, store_with_receipts};

/// Most findings of one code that a report lists. A folder made to be verified for ever must not
/// fill the memory; the first of each code are always listed, so the exit code is never affected.
pub const MAX_OF_A_CODE: u32 = 1000;

/// What verification says of one folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FolderReport {
    /// The folder, as it was named.
    pub folder: String,
    /// Identity of the run, as `run.json` says.
    pub run: Option<RunId>,
    /// How it came to be sealed, as `run.json` says.
    pub state: Option<State>,
    /// Whether it holds what its workflow required, as follows from its events; none when nobody
    /// had configured the workflow, and of a folder that is not as it was sealed.
    pub verdict: Option<Verdict>,
    /// When it was sealed, as `run.json` says: RFC 3339, UTC.
    pub sealed_at: Option<String>,
    /// Who vouched for the key of a sound signature.
    pub signed_by: Option<String>,
    /// Fingerprint of the key of a sound signature.
    pub key: Option<String>,
    /// When its signature was there, by the word of an authority that is believed.
    pub stamped: Option<StampReport>,
    /// Where its seal stands in a log that somebody vouched for: its name and the index.
    pub logged: Option<String>,
    /// Files below `data/` that were read and compared.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What there is to say, in the order of the checks; empty when all is well.
    pub findings: Vec<Finding>,
    /// Findings that are not listed because there are [`MAX_OF_A_CODE`] of their code already.
    pub omitted: u64,
    /// What of it the log is held against.
    #[serde(skip)]
    pub facts: Facts,
}

/// What of a folder the log is held against; none of what cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The digest of its seal.
    seal: Option<Digest>,
    /// The digest of its first event.
    first_event: Option<Digest>,
    /// The checkpoint in its proof.
    proven: Option<Checkpoint>,
    /// Why one of them could not be read: then its absence says nothing.
    unread: Option<String>,
    /// The digests of its events, of a folder that will not be there any more when they are asked for.
    lines: Option<Vec<Digest>>,
    /// What a receipt is held against, of the same.
    bound: Option<Box<receipt::Bound>>,
    /// What was read of a folder on disk when it was judged.
    readings: Readings,
}

impl Facts {
    /// Those of `folder`, which was judged with `readings`, and of the `proof` in it. What was judged
    /// counts; what that did not read is read now.
    fn of(folder: &Path, readings: Readings, proof: Result<&[u8], &std::io::Error>) -> Self {
        let seal = || disk::read_plain(&folder.join(layout::SEAL), layout::MAX_SMALL);
        let seal = readings.of(layout::SEAL).map_or_else(|| Ok(Digest::of(&seal()?)), Ok);
        let first_event = readings.first_event().map(Some);
        let first_event = first_event.map_or_else(|| runs::first_event(folder), Ok);
        let errors = [seal.as_ref().err(), proof.err(), first_event.as_ref().err()];
        let unread = errors.into_iter().flatten().find(|error| disk::is_unreadable(*error));
        Self {
            unread: unread.map(ToString::to_string),
            seal: seal.ok(),
            first_event: first_event.ok().flatten(),
            proven: proven_in(proof.ok()),
            readings,
            ..Self::default()
        }
    }

    fn in_bundle(folder: &Folder) -> Self {
        let lines = folder.events().ok().flatten().and_then(chain::digests);
        Self {
            seal: folder.whole(layout::SEAL).map(Digest::of),
            first_event: lines.as_ref().and_then(|lines| lines.first().copied()),
            proven: proven_in(folder.whole(layout::PROOF)),
            bound: Some(Box::new(receipt::Bound::in_bundle(folder))),
            lines,
            ..Self::default()
        }
    }
}

/// The checkpoint in a proof.
fn proven_in(proof: Option<&[u8]>) -> Option<Checkpoint> {
    let proof = Proof::parse(std::str::from_utf8(proof?).ok()?).ok()?;
    Some(proof.checkpoint)
}

impl FolderReport {
    /// The exit code of `exhibit verify` for this folder: that of its worst finding.
    pub fn exit(&self) -> u8 {
        worst_exit(&self.findings)
    }

    /// What was read of the folder, for whoever reads it again.
    pub fn readings(&self) -> &Readings {
        &self.facts.readings
    }
}

/// `report` of the folder at `path`, with what the log is held against: what was judged counts, whatever
/// lies there now.
fn with_facts(path: &Path, mut report: FolderReport) -> FolderReport {
    let readings = std::mem::take(&mut report.facts.readings);
    let proof = disk::read_plain(&path.join(layout::PROOF), MAX_NOTE);
    if let (Some(judged), Ok(proof)) = (readings.of(layout::PROOF), &proof)
        && Digest::of(proof) != judged
    {
        let found = format!("{}, a moment later", Digest::of(proof));
        let code = FindingCode::FileAltered;
        report.findings.push(Finding::new(code, layout::PROOF, judged.to_string(), found));
    }
    report.facts = Facts::of(path, readings, proof.as_deref());
    report
}

/// How often a folder is read that is moved, put back or replaced while it is read.
const LOOKS: u32 = 5;

/// Verify the folder at `path`.
pub fn folder(path: &Path, trust: &Trust) -> FolderReport {
    folder_with(path, trust, None)
}

/// Verify the folder at `path`, with the proof in the file `proof` instead of the one in it.
pub fn folder_with(path: &Path, trust: &Trust, proof: Option<&Path>) -> FolderReport {
    for _ in 1..LOOKS {
        let before = moving::lies(path);
        let report = check_folder(Check::new(path), trust, proof);
        if report.exit() == 0 || moving::lies(path) == before {
            return report;
        }
    }
    check_folder(Check::new(path), trust, proof)
}

/// Verify the folder at `path`, whose seal was there at `believed`, by the word of somebody believed.
fn folder_there_at(path: &Path, trust: &Trust, believed: Timestamp) -> FolderReport {
    check_folder(Check { believed: Some(believed), ..Check::new(path) }, trust, None)
}

fn check_folder(mut check: Check<'_>, trust: &Trust, proof: Option<&Path>) -> FolderReport {
    if check.begin() {
        check.all(trust, proof);
    }
    // Of what is not as it was sealed nothing follows: it is not complete.
    if check.report.findings.iter().any(|finding| finding.class.is_damage()) {
        check.report.verdict = None;
    }
    check.report.facts.readings = check.readings.kept();
    check.report
}

/// What one entry of a folder is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileKind {
    /// A plain file, with its size in bytes.
    File(u64),
    Folder,
    /// A link, device, socket or pipe.
    Other,
}

/// One verification under way.
struct Check<'a> {
    folder: &'a Path,
    /// What was read of it, where it lies in a bundle and not on disk.
    packed: Option<&'a Folder>,
    /// Everything in the folder, by path, as [`layout::readable`] spells it.
    entries: BTreeMap<String, FileKind>,
    /// Folders that could not be listed, and files whose size is not known.
    unlisted: Vec<String>,
    /// What `manifest-sha256.txt` lists, when it could be read.
    manifest: Option<BTreeMap<String, Digest>>,
    /// `run.json` as it stands, for fields that no record has.
    raw_record: serde_json::Value,
    /// When the seal was there at the latest, by the word of others than the folder.
    believed: Option<Timestamp>,
    /// Most bytes of a file below `data/` that are read.
    payload_most: u64,
    /// How often each code was found.
    counts: HashMap<FindingCode, u32>,
    readings: Readings,
    report: FolderReport,
}

impl<'a> Check<'a> {
    fn new(folder: &'a Path) -> Self {
        let report = FolderReport {
            folder: folder.display().to_string(),
            run: None,
            state: None,
            verdict: None,
            sealed_at: None,
            signed_by: None,
            key: None,
            stamped: None,
            logged: None,
            files: 0,
            bytes: 0,
            findings: Vec::new(),
            omitted: 0,
            facts: Facts::default(),
        };
        Self {
            folder,
            packed: None,
            entries: BTreeMap::new(),
            unlisted: Vec::new(),
            manifest: None,
            raw_record: serde_json::Value::Null,
            believed: None,
            payload_most: u64::MAX,
            counts: HashMap::new(),
            readings: Readings::default(),
            report,
        }
    }

    /// Of a folder in a bundle, which is to be called `shown`.
    fn packed(shown: &'a Path, folder: &'a Folder) -> Self {
        let entries = folder.entries.iter().map(|(name, seen)| match seen {
            FolderItem::Folder => (name.clone(), FileKind::Folder),
            FolderItem::File { size, .. } => (name.clone(), FileKind::File(*size)),
        });
        Self { packed: Some(folder), entries: entries.collect(), ..Self::new(shown) }
    }

    fn add(
        &mut self,
        code: FindingCode,
        place: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let count = self.counts.entry(code).or_default();
        if *count == MAX_OF_A_CODE {
            self.report.omitted += 1;
            return;
        }
        *count += 1;
        self.report.findings.push(Finding::new(code, place, expected, found));
    }

    /// Look around; whether there is something to verify.
    fn begin(&mut self) -> bool {
        if self.packed.is_none() && !self.look() {
            return false;
        }
        if self.is_file(layout::EVENTS) && !layout::TAG_FILES.iter().any(|name| self.has(name)) {
            let found = "a run that is still open, or whose seal was removed";
            self.add(FindingCode::Unsealed, ".", "a sealed run", found);
            return false;
        }
        if self.entries.is_empty() {
            if self.unlisted.is_empty() {
                self.add(FindingCode::Unreadable, ".", "an evidence folder", "nothing");
            }
            return false;
        }
        true
    }

    /// Look around on disk; whether there is a folder.
    fn look(&mut self) -> bool {
        match fs::symlink_metadata(self.folder) {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => {
                self.add(FindingCode::Unreadable, ".", "an evidence folder", "something else");
                return false;
            }
            Err(error) => {
                self.add(FindingCode::Unreadable, ".", "an evidence folder", error.to_string());
                return false;
            }
        }
        self.walk(self.folder, "");
        true
    }

    /// The name of the folder, which lies at the path `real`, or in a bundle.
    fn name(&self, real: Option<std::path::PathBuf>) -> Option<String> {
        let packed = || self.packed.map(|packed| packed.run.to_string());
        real.map_or_else(packed, |real| Some(real.file_name()?.to_str()?.to_owned()))
    }

    /// Check all of the folder, with the proof in it, or the one in the file `proof`.
    fn all(&mut self, trust: &Trust, proof: Option<&Path>) {
        let tag_manifest = self.tag_files();
        self.payload();
        let record = self.record();
        self.declaration();
        self.bag_info(record.as_ref());
        let stamped = self.timestamp(record.as_ref(), trust);
        self.signature(tag_manifest.as_deref(), record.as_ref(), stamped, trust);
        self.events(record.as_ref());
        self.seal(record.as_ref());
        self.proof(trust, proof);
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        let entries = match layout::entries(folder) {
            Ok(entries) => entries,
            Err(error) => {
                let place = if prefix.is_empty() { "." } else { prefix.trim_end_matches('/') };
                self.add(FindingCode::Unreadable, place, "a readable folder", error.to_string());
                self.unlisted.push(place.to_owned());
                return;
            }
        };
        for entry in entries {
            let name = format!("{prefix}{}", layout::readable(&entry.name));
            let kind = if entry.kind.is_dir() {
                self.walk(&entry.path, &format!("{name}/"));
                FileKind::Folder
            } else if entry.kind.is_file() {
                FileKind::File(self.size(&entry.path, &name))
            } else {
                FileKind::Other
            };
            self.entries.insert(name, kind);
        }
    }

    fn size(&mut self, path: &Path, name: &str) -> u64 {
        match disk::found(path) {
            Ok(found) => found.map_or(0, |found| found.len()),
            Err(error) => {
                self.unreadable(name, &error);
                self.unlisted.push(name.to_owned());
                0
            }
        }
    }

    /// Whether `name` lies in a folder that could not be listed.
    fn is_hidden(&self, name: &str) -> bool {
        let inside = |folder: &String| {
            name.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
        };
        self.unlisted.iter().any(inside)
    }

    fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    fn is_file(&self, name: &str) -> bool {
        matches!(self.entries.get(name), Some(FileKind::File(_)))
    }

    /// The content of a small file, if it is there; a failure to read it becomes a finding.
    fn read(&mut self, name: &str, limit: u64) -> Option<Vec<u8>> {
        if !self.is_file(name) {
            return None;
        }
        let limit = limit.min(sizes::largest(name));
        let read = match self.packed {
            None => disk::read_limited(&self.folder.join(name), limit),
            Some(packed) => {
                packed.whole(name).map(<[u8]>::to_vec).ok_or(ErrorKind::NotFound.into())
            }
        };
        match read {
            Ok(bytes) => {
                self.was_read(name, Digest::of(&bytes));
                Some(bytes)
            }
            Err(error) if error.kind() == ErrorKind::FileTooLarge => {
                let expected = format!("at most {limit} bytes");
                self.add(FindingCode::TooLarge, name, expected, "more");
                None
            }
            Err(error) => {
                self.unreadable(name, &error);
                None
            }
        }
    }

    fn unreadable(&mut self, name: &str, error: &std::io::Error) {
        let known =
            |finding: &Finding| finding.code == FindingCode::Unreadable && finding.place == name;
        if !self.report.findings.iter().any(known) {
            self.add(FindingCode::Unreadable, name, "a readable file", error.to_string());
        }
    }

    /// `run.json`; its absence is reported with the manifest.
    fn record(&mut self) -> Option<RunRecord> {
        let bytes = self.read(layout::RECORD, layout::MAX_SMALL)?;
        match serde_json::from_slice::<RunRecord>(&bytes) {
            Ok(record) => {
                self.raw_record = serde_json::from_slice(&bytes).unwrap_or_default();
                self.report.run = Some(record.opening.run);
                self.report.state = Some(record.ending.state);
                self.report.sealed_at = Some(shown(&record.sealed_at));
                let real = self.packed.is_none().then(|| self.folder.canonicalize()).transpose();
                let real = match real {
                    Ok(real) => real,
                    Err(error) => {
                        self.unreadable(".", &error);
                        return Some(record);
                    }
                };
                let (name, run) = (self.name(real), record.opening.run.to_string());
                if name.as_ref() != Some(&run) {
                    let found = name.unwrap_or("no name".to_owned());
                    self.add(FindingCode::FolderRenamed, ".", run, found);
                }
                Some(record)
            }
            Err(error) => {
                let expected = "the record of a run";
                self.add(FindingCode::RecordMalformed, layout::RECORD, expected, error.to_string());
                None
            }
        }
    }
}
