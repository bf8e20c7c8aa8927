//! Owns the facts of a run: its record, the code that was named for it when it was opened or by a later
//! event, and whether the record is the one that its seal binds. Whoever shows or searches a run asks
//! here, so that none of them looks at the opening alone or believes text that nobody sealed.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, Seek as _};
use std::path::Path;

use serde::Serialize;
use serde_json::{Map, Value};

use super::bag::Manifest;
use super::bundle;
use super::chain::{self, CAPTURED, Line, RECOVERED, lines};
use super::error::StoreError;
use super::finding::FindingCode;
use super::layout::{
    EVENTS, MANIFEST, MAX_MANIFEST, MAX_SMALL, RECORD, REPORT, RUNS, SEAL, TAG_MANIFEST,
};
use super::record::RunRecord;
use crate::disk;
use crate::id::RunId;
use crate::run::Actor;
use crate::unlogged::Unlogged;
use crate::workflow::CODE_EVENT;
use exhibit_tlog::digest::Digest;

/// Most code references that are told of a run.
const MOST: usize = 100;
/// Most bytes of a chain that are unpacked of an archive.
const CHAIN: u64 = 64 << 20;

/// Code that was named for a run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CodeNamed {
    /// Line of the chain in which it stands, from 1.
    pub event: u64,
    /// The reference.
    pub code: Map<String, Value>,
    /// What was seen of a git work tree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub work_tree: Option<Map<String, Value>>,
    /// The file in the run's folder that was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl CodeNamed {
    /// The code that the event in line `number` names; none when it names none.
    pub fn by(number: u64, event: &Line) -> Option<Self> {
        if event.actor != Actor::Exhibit {
            return None;
        }
        let object = |name: &str| event.data.get(name).and_then(Value::as_object).cloned();
        let opening = number == 1 && event.kind == chain::OPENED;
        if !opening && event.kind != CODE_EVENT {
            return None;
        }
        let code = object("code").unwrap_or_default();
        let work_tree = object("work_tree").filter(|_| !opening);
        let file = object("artifact").filter(|_| !opening);
        let file = file.and_then(|file| Some(file.get("path")?.as_str()?.to_owned()));
        if code.is_empty() && work_tree.is_none() && file.is_none() {
            return None;
        }
        Some(Self { event: number, code, work_tree, file })
    }
}

/// What is known of a sealed run.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFacts {
    /// Its record: how it was opened, under which policy, and how it ended.
    pub record: RunRecord,
    /// The code that was named for it, in order, but for that in events that the log did not hold.
    pub code: Vec<CodeNamed>,
    /// Events that the log did not hold, and captures among them.
    pub unlogged: (u64, u64),
    /// What contradicts the seal; then none of this need be true.
    pub doubts: BTreeSet<FindingCode>,
}

impl From<RunRecord> for RunFacts {
    /// What a record alone tells.
    fn from(record: RunRecord) -> Self {
        Self { record, code: Vec::new(), unlogged: (0, 0), doubts: BTreeSet::new() }
    }
}

impl RunFacts {
    /// Every text that the code named by later events can be looked for by.
    pub fn code_words(&self) -> Vec<String> {
        let trees = self.code.iter().filter_map(|named| named.work_tree.as_ref());
        let fields = self.code.iter().map(|named| &named.code).chain(trees);
        let texts = fields.flat_map(|fields| fields.values().filter_map(Value::as_str));
        texts.map(str::to_owned).collect()
    }

    /// The facts of the sealed folder `folder`. `logged` is the digest of its seal by the log, where
    /// that is known.
    ///
    /// # Errors
    /// As [`RunRecord::read`].
    pub fn of(folder: &Path, logged: Option<Digest>) -> Result<Self, StoreError> {
        let (record, bytes) = RunRecord::read_with_bytes(folder)?;
        let path = folder.join(EVENTS);
        let named = match disk::open_at_once(&path) {
            Ok(file) => named_in(file).map_err(StoreError::at(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Named::default(),
            Err(error) => return Err(StoreError::new(&path, error)),
        };
        let read = [(RECORD, Digest::of(&bytes)), (EVENTS, named.events)];
        let doubts = doubts(folder, logged, read).map_err(StoreError::at(folder))?;
        Ok(Self { record, code: named.code, unlogged: named.unlogged, doubts })
    }

    /// The code that is named so far in the chain of the folder `folder`, of a run that is still open.
    ///
    /// # Errors
    /// What the system answers.
    pub fn code_so_far(folder: &Path) -> Result<Vec<CodeNamed>, StoreError> {
        let path = folder.join(EVENTS);
        let file = disk::open_at_once(&path).map_err(StoreError::at(&path))?;
        Ok(named_in(file).map_err(StoreError::at(&path))?.code)
    }

    /// The facts of the run in the archive at `path`, which is read once. `logged` is the digest of its
    /// seal by the log, where that is known.
    ///
    /// # Errors
    /// As [`RunRecord::read`].
    pub fn archived(path: &Path, run: RunId, logged: Option<Digest>) -> Result<Self, StoreError> {
        let damaged = |what: String| StoreError::Damaged { path: path.to_owned(), what };
        let file = disk::open_at_once(path).map_err(StoreError::at(path))?;
        let limits =
            [(RECORD, MAX_SMALL), (EVENTS, CHAIN), (SEAL, MAX_SMALL), (MANIFEST, MAX_MANIFEST)];
        let names = limits.map(|(name, limit)| (format!("{RUNS}/{run}/{name}"), limit));
        let wanted = names.each_ref().map(|(name, limit)| (name.as_str(), *limit));
        let found = bundle::files_in(file, wanted).map_err(|error| damaged(error.to_string()))?;
        let [record, events, seal, manifest] = found.map(|found| match found {
            Some(bundle::Found::Bytes(bytes)) => Some(bytes),
            _ => None,
        });
        let bytes = record.ok_or_else(|| damaged(format!("{RECORD} is not in it")))?;
        let record = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        // A chain that is too long for this is no reason to know nothing of the run.
        let mut read = vec![(RECORD, Digest::of(&bytes))];
        let named = match events {
            Some(events) => {
                read.push((EVENTS, Digest::of(&events)));
                named_in(events.as_slice()).map_err(StoreError::at(path))?
            }
            None => Named::default(),
        };
        let doubts = match (seal, manifest) {
            (Some(seal), Some(manifest)) => contradictions(&seal, &manifest, logged, &read),
            (None, _) => [FindingCode::SealMissing].into(),
            (_, None) => [FindingCode::FileMissing].into(),
        };
        Ok(Self { record, code: named.code, unlogged: named.unlogged, doubts })
    }
}

/// What a chain names, and its digest.
struct Named {
    code: Vec<CodeNamed>,
    /// Events that the log did not hold, and captures among them.
    unlogged: (u64, u64),
    events: Digest,
}

impl Default for Named {
    fn default() -> Self {
        Self { code: Vec::new(), unlogged: (0, 0), events: Digest::ZERO }
    }
}

/// What the chain in `events` names.
fn named_in(events: impl io::Read) -> io::Result<Named> {
    let mut hashing =
        Reading { inner: events, hasher: exhibit_tlog::digest::Hashing::new(io::sink()) };
    let (mut code, mut captures, mut unlogged) = (Vec::new(), Vec::new(), Unlogged::default());
    for (number, line) in (1..).zip(lines(BufReader::with_capacity(1 << 16, &mut hashing))) {
        let line = line?;
        // Spares the reading of all others.
        let kinds = [CODE_EVENT, CAPTURED, RECOVERED];
        let named = number == 1 || kinds.iter().any(|it| contains(&line.bytes, it.as_bytes()));
        let Some(event) = named.then(|| line.parse().ok()).flatten() else { continue };
        unlogged.take(number, &event);
        if event.kind == CAPTURED && event.actor == Actor::Exhibit {
            captures.push(number);
        }
        code.extend(CodeNamed::by(number, &event));
    }
    code.retain(|named: &CodeNamed| !unlogged.holds(named.event));
    code.truncate(MOST);
    captures.retain(|line| unlogged.holds(*line));
    let unlogged = (unlogged.count(), captures.len() as u64);
    Ok(Named { code, unlogged, events: hashing.hasher.finish().0 })
}

/// A reader that hashes what is read.
struct Reading<R> {
    inner: R,
    hasher: exhibit_tlog::digest::Hashing<io::Sink>,
}

impl<R: io::Read> io::Read for Reading<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        io::Write::write_all(&mut self.hasher, &buffer[..count])?;
        Ok(count)
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The report in `folder`, if it is the one that its seal, which is the `logged` one, binds by way of the
/// tag manifest; to be read from its beginning.
///
/// # Errors
/// What the system answers when it cannot tell.
pub fn sealed_report(folder: &Path, logged: Option<Digest>) -> io::Result<Option<File>> {
    let seal = disk::read_plain(&folder.join(SEAL), MAX_SMALL)?;
    let tags = disk::read_plain(&folder.join(TAG_MANIFEST), MAX_MANIFEST)?;
    let mut file = disk::open_at_once(&folder.join(REPORT))?;
    let (report, _) = Digest::of_reader(&file)?;
    file.rewind()?;
    let stated = serde_json::from_slice::<Value>(&seal).unwrap_or_default();
    let bound = stated["tagmanifest_sha256"].as_str() == Some(&Digest::of(&tags).to_string());
    let listed = Manifest::parse(&tags, "").entries;
    let listed = listed.iter().any(|entry| entry.name == REPORT && entry.sha256 == report);
    let own = bound && listed && logged.is_none_or(|logged| logged == Digest::of(&seal));
    Ok(own.then_some(file))
}

/// What of the way from the log's seal by way of the manifest to what was `found` of record and chain is
/// broken. A file that cannot be read is no doubt, but an error.
fn doubts(
    folder: &Path,
    logged: Option<Digest>,
    found: [(&str, Digest); 2],
) -> io::Result<BTreeSet<FindingCode>> {
    let read = |name: &str, limit| disk::read_plain(&folder.join(name), limit);
    let seal = match read(SEAL, MAX_SMALL) {
        // A folder that was moved away meanwhile has lost nothing.
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {
            return Ok([FindingCode::SealMissing].into());
        }
        read => read?,
    };
    let manifest = match read(MANIFEST, MAX_MANIFEST) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && folder.is_dir() => {
            let another = logged.is_some_and(|logged| logged != Digest::of(&seal));
            let another = another.then_some(FindingCode::SealNotLogged);
            return Ok(another.into_iter().chain([FindingCode::FileMissing]).collect());
        }
        read => read?,
    };
    Ok(contradictions(&seal, &manifest, logged, &found))
}

/// What is broken of the way from the `logged` seal by way of `seal` and `manifest` to what was `found`.
fn contradictions(
    seal: &[u8],
    manifest: &[u8],
    logged: Option<Digest>,
    found: &[(&str, Digest)],
) -> BTreeSet<FindingCode> {
    let mut doubts = BTreeSet::new();
    if logged.is_some_and(|logged| logged != Digest::of(seal)) {
        doubts.insert(FindingCode::SealNotLogged);
    }
    let seal: Value = serde_json::from_slice(seal).unwrap_or_default();
    if seal["manifest_sha256"].as_str() != Some(&Digest::of(manifest).to_string()) {
        doubts.insert(FindingCode::SealMismatch);
    }
    let listed = Manifest::parse(manifest, "data/").entries;
    for (name, found) in found {
        if !listed.iter().any(|entry| entry.name == *name && entry.sha256 == *found) {
            doubts.insert(FindingCode::FileAltered);
        }
    }
    doubts
}
