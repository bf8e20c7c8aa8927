//! Owns the reading of a folder that nobody vouches for: plain files only, by safe names, up to a
//! limit, each compared with the manifest; what does not fit becomes a problem to be told. Decides
//! nothing about how it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufReader, Seek as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::text::text;
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::disk;
use crate::evidence::verify::{FolderReport, Readings};
use crate::evidence::{EVENTS, MANIFEST, MAX_MANIFEST, MAX_SMALL, Manifest, RECORD, is_safe_path};

/// Most problems that are told one by one.
const MAX_PROBLEMS: usize = 200;

/// A folder being read.
#[derive(Debug)]
pub(super) struct Source {
    root: PathBuf,
    /// What the manifest lists, when there is one.
    listed: Option<BTreeMap<String, Digest>>,
    /// The manifest as it lies on disk.
    manifest: Vec<u8>,
    /// Digest and size of files, as the first event that names them tells.
    told: BTreeMap<String, (Digest, u64)>,
    /// Digests of what was read.
    found: BTreeMap<String, Digest>,
    /// With which it was verified just before, where somebody did.
    verified: Readings,
    /// Whether the manifest was made of the files just now, so that none is read to compare it.
    fresh: bool,
    problems: BTreeSet<String>,
    /// Problems beyond [`MAX_PROBLEMS`].
    untold: u64,
}

/// How a file stands against the manifest and the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whole {
    /// It is what they tell.
    Yes,
    /// It is another.
    Altered,
    /// It is not there.
    Missing,
    /// It cannot be read.
    Unreadable,
}

impl Whole {
    /// What is said where the file is shown; empty of one that is whole.
    pub(super) fn mark(self) -> &'static str {
        match self {
            Self::Yes => "",
            Self::Altered => "ALTERED: this is not the file that was recorded",
            Self::Missing => "MISSING: this file was recorded and is not here",
            Self::Unreadable => {
                "UNREADABLE: this file could not be compared with what was recorded"
            }
        }
    }
}

/// Why a folder has no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// There is no such folder, or it is something else.
    #[error("{} is not a folder of evidence: it has no {EVENTS} and no {RECORD}", .0.display())]
    NotEvidence(PathBuf),
    /// Making the report broke off.
    #[error("the report could not be made: {0}")]
    Broken(String),
}

impl Source {
    /// Look at the folder `root`.
    pub(super) fn open(root: &Path) -> Result<Self, ReportError> {
        Self::open_checked(root, None)
    }

    /// Look at the folder `root`, of which verifying it said `checked`: what it read must be there still.
    pub(super) fn open_checked(
        root: &Path,
        checked: Option<&FolderReport>,
    ) -> Result<Self, ReportError> {
        let mut source = Self {
            root: root.to_owned(),
            listed: None,
            manifest: Vec::new(),
            told: BTreeMap::new(),
            found: BTreeMap::new(),
            verified: checked.map(|report| report.readings().clone()).unwrap_or_default(),
            fresh: false,
            problems: BTreeSet::new(),
            untold: 0,
        };
        let is_folder = fs::metadata(root).is_ok_and(|metadata| metadata.is_dir());
        let there = source.plain(EVENTS).is_some() || source.plain(RECORD).is_some();
        if !is_folder || !there {
            return Err(ReportError::NotEvidence(root.to_owned()));
        }
        source.read_manifest();
        Ok(source)
    }

    fn read_manifest(&mut self) {
        if self.plain(MANIFEST).is_none() {
            return;
        }
        match disk::read_limited(&self.root.join(MANIFEST), MAX_MANIFEST) {
            Ok(bytes) => {
                self.hold_against_verified(MANIFEST, Digest::of(&bytes));
                let manifest = Manifest::parse(&bytes, "data/");
                if !manifest.faults.is_empty() {
                    let count = manifest.faults.len();
                    self.problem(format!("{MANIFEST} has {count} lines that are not in order."));
                }
                let entries = manifest.entries.into_iter();
                self.listed = Some(entries.map(|entry| (entry.name, entry.sha256)).collect());
                self.manifest = bytes;
            }
            Err(error) => self.problem(format!("{MANIFEST} cannot be read: {error}.")),
        }
    }

    /// Path and size of the plain file `name`; none when it, or a folder above it, is something
    /// else: a link could lead anywhere, and a pipe would never end.
    pub(super) fn plain(&self, name: &str) -> Option<(PathBuf, u64)> {
        if !is_safe_path(name) {
            return None;
        }
        let mut path = self.root.clone();
        let mut parts = name.split('/').peekable();
        while let Some(part) = parts.next() {
            path.push(part);
            let metadata = fs::symlink_metadata(&path).ok()?;
            match parts.peek() {
                Some(_) if metadata.is_dir() => {}
                None if metadata.is_file() => return Some((path, metadata.len())),
                _ => return None,
            }
        }
        None
    }

    /// The bytes of the file `name`, at most `limit` of them. That it cannot be read, or is not
    /// what the manifest lists, is a problem.
    pub(super) fn read(&mut self, name: &str, limit: u64) -> Option<Vec<u8>> {
        let Some((path, _)) = self.plain(name) else {
            self.problem(format!("{} is missing, or is no plain file.", text(name)));
            return None;
        };
        match disk::read_limited(&path, limit) {
            Ok(bytes) => {
                self.compare(name, Digest::of(&bytes));
                Some(bytes)
            }
            Err(error) => {
                self.problem(format!("{} cannot be read: {error}.", text(name)));
                None
            }
        }
    }

    /// The file `name`, to be read bit by bit, and whether it is what the manifest lists.
    pub(super) fn stream(&mut self, name: &str) -> Option<BufReader<File>> {
        let (path, _) = self.plain(name)?;
        // One file is opened once: another in its place is not the one that was compared.
        let read = File::open(&path).and_then(|mut file| {
            let (digest, _) = Digest::of_reader(&file)?;
            file.rewind()?;
            Ok((digest, file))
        });
        match read {
            Ok((digest, file)) => {
                self.compare(name, digest);
                Some(BufReader::new(file))
            }
            Err(error) => {
                self.problem(format!("{} cannot be read: {error}.", text(name)));
                None
            }
        }
    }

    /// Hold what was read of `name` against what was verified of it.
    fn hold_against_verified(&mut self, name: &str, found: Digest) {
        if self.verified.of(name).is_some_and(|verified| verified != found) {
            let name = text(name);
            self.problem(format!("{name} was changed after the folder was verified."));
        }
    }

    /// Hold the file `name` against manifest and events, by its digest.
    fn compare(&mut self, name: &str, found: Digest) {
        let before = *self.found.entry(name.to_owned()).or_insert(found);
        if before != found {
            self.problem(format!("{} was changed while it was read.", text(name)));
        }
        self.hold_against_verified(name, found);
        let listed = self.listed.as_ref().map(|listed| listed.get(name).copied());
        match listed {
            Some(None) => self.problem(format!("{} is not listed in {MANIFEST}.", text(name))),
            Some(Some(digest)) if digest != found => {
                self.problem(format!("{} is not the file that was sealed.", text(name)));
            }
            _ if self.told.get(name).is_some_and(|(digest, _)| *digest != found) => {
                self.problem(format!("{} is not the file that an event tells of.", text(name)));
            }
            _ => {}
        }
    }

    /// Take the word of the manifest, which was made of the files just now, and of an open run's files.
    pub(super) fn take_as_fresh(&mut self) {
        self.fresh = true;
    }

    /// Remember what an event tells of a file.
    pub(super) fn tells(&mut self, artifact: &Artifact) {
        let told = (artifact.sha256, artifact.size_bytes);
        self.told.entry(artifact.path.clone()).or_insert(told);
    }

    /// Whether the file `name` is the one that manifest and events tell of. It is read once.
    pub(super) fn whole(&mut self, name: &str) -> Whole {
        let listed = self.listed.as_ref().map(|listed| listed.get(name).copied());
        let told = self.told.get(name).copied();
        let Some((path, size)) = self.plain(name) else {
            self.problem(format!("{} is missing, or is no plain file.", text(name)));
            return Whole::Missing;
        };
        if told.is_some_and(|(_, told)| told != size) {
            self.problem(format!("{} is not the file that an event tells of.", text(name)));
            return Whole::Altered;
        }
        if self.fresh && !self.found.contains_key(name) {
            let as_told =
                listed.flatten().is_none_or(|listed| told.is_none_or(|(told, _)| told == listed));
            if as_told {
                return Whole::Yes;
            }
            self.problem(format!("{} is not the file that an event tells of.", text(name)));
            return Whole::Altered;
        }
        if !self.found.contains_key(name) {
            match File::open(&path).and_then(Digest::of_reader) {
                Ok((digest, _)) => self.compare(name, digest),
                Err(error) => {
                    self.problem(format!("{} cannot be read: {error}.", text(name)));
                    return Whole::Unreadable;
                }
            }
        }
        let found = self.found[name];
        let as_listed = listed.is_none_or(|listed| listed == Some(found));
        let as_told = told.is_none_or(|(told, _)| told == found);
        if as_listed && as_told { Whole::Yes } else { Whole::Altered }
    }

    /// The JSON object in the file `name`; what is there and is none is a problem.
    pub(super) fn object(&mut self, name: &str, limit: u64) -> Option<Value> {
        self.plain(name)?;
        let bytes = self.read(name, limit.min(MAX_SMALL))?;
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(value) if value.is_object() => Some(value),
            Ok(_) => {
                self.problem(format!("{} holds no JSON object.", text(name)));
                None
            }
            Err(error) => {
                self.problem(format!("{} is not JSON: {}.", text(name), text(&error.to_string())));
                None
            }
        }
    }

    /// Note what is not as it should be.
    pub(super) fn problem(&mut self, sentence: String) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.insert(sentence);
        } else if !self.problems.contains(&sentence) {
            self.untold += 1;
        }
    }

    /// What the manifest lists; none without a manifest.
    pub(super) fn listed(&self) -> Option<&BTreeMap<String, Digest>> {
        self.listed.as_ref()
    }

    /// Whether the files were listed in a manifest, as they are when a run is being sealed.
    pub(super) fn is_listed(&self) -> bool {
        self.listed.is_some()
    }

    /// The manifest as it lies on disk, and the problems.
    pub(super) fn close(self) -> (Vec<u8>, Vec<String>) {
        let mut problems: Vec<String> = self.problems.into_iter().collect();
        if self.untold > 0 {
            problems.push(format!("{} further problems are not told here.", self.untold));
        }
        (self.manifest, problems)
    }
}
