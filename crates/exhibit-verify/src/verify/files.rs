//! Owns the check of files against manifests: what is listed must be there with its bytes, and
//! what is there must be listed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use super::parallel::in_order;
use super::{Check, FileKind};
use crate::bag::{LineFault, Manifest, ManifestEntry};
use crate::bundle::{Folder, FolderItem};
use crate::disk;
use crate::finding::FindingCode;
use crate::layout::{
    BAG_INFO, LISTED, MANIFEST, MAX_MANIFEST, REPORT, RESERVED, SEAL, SIGNATURE, TAG_FILES,
    TAG_MANIFEST,
};
use crate::sizes::{MAX_TAG_FILE, SLACK, UNSTATED, largest, payload_in};
use exhibit_tlog::digest::Digest;

/// How many files are read at a time. Two keep a disk busy; more would only compete.
const READERS: usize = 2;
/// Files from which on a second one is worth its while.
const WORTH_A_READER: usize = 12;

impl Check<'_> {
    /// Everything beside `data/`, against the tag manifest. Answers the tag manifest's bytes.
    pub(super) fn tag_files(&mut self) -> Option<Vec<u8>> {
        let bytes = self.read(TAG_MANIFEST, MAX_MANIFEST);
        let listed = bytes.as_ref().map(|bytes| self.manifest_at(TAG_MANIFEST, bytes, ""));
        if let Some(listed) = &listed {
            self.compare(listed);
            for name in LISTED.iter().chain(&[REPORT]) {
                if self.is_file(name) && !listed.iter().any(|entry| entry.name == *name) {
                    let expected = format!("a line in {TAG_MANIFEST}");
                    self.add(FindingCode::TagFileNotListed, *name, expected, "none");
                }
            }
        }
        self.root_entries(&listed.unwrap_or_default());
        bytes
    }

    /// Which names stand beside `data/`, and which should.
    fn root_entries(&mut self, listed: &[ManifestEntry]) {
        let is_listed = |name: &str| listed.iter().any(|entry| entry.name == name);
        for name in TAG_FILES {
            if self.has(name) || is_listed(name) {
                continue;
            }
            let code = match name {
                SIGNATURE => FindingCode::SignatureMissing,
                SEAL => FindingCode::SealMissing,
                _ => FindingCode::TagFileMissing,
            };
            self.add(code, name, "a file", "nothing");
        }
        let root: Vec<(String, FileKind)> = self
            .entries
            .iter()
            .filter(|(name, _)| !name.contains('/'))
            .map(|(name, kind)| (name.clone(), *kind))
            .collect();
        for (name, kind) in root {
            let known = TAG_FILES.contains(&name.as_str()) || RESERVED.contains(&name.as_str());
            match kind {
                FileKind::Folder if name == "data" => {}
                FileKind::Folder => self.extra(FindingCode::UnexpectedFolder, &name, "a folder"),
                FileKind::Other => self.extra(FindingCode::NotAFile, &name, "a link or device"),
                // Listed or not: a name outside the format has no place beside `data/`.
                FileKind::File(_) if !known => {
                    self.extra(FindingCode::UnexpectedFile, &name, "a file");
                }
                FileKind::File(_) => {}
            }
        }
    }

    fn extra(&mut self, code: FindingCode, place: &str, found: &str) {
        let expected = if code == FindingCode::NotAFile { "a plain file" } else { "nothing" };
        self.add(code, place, expected, found);
    }

    /// Everything below `data/`, against the manifest.
    pub(super) fn payload(&mut self) {
        self.limit_payload();
        let Some(bytes) = self.read(MANIFEST, MAX_MANIFEST) else {
            // Its absence is a finding already; without it nothing here can be judged.
            return;
        };
        let listed = self.manifest_at(MANIFEST, &bytes, "data/");
        (self.report.files, self.report.bytes) = self.compare(&listed);
        let names: BTreeSet<&str> = listed.iter().map(|entry| entry.name.as_str()).collect();
        let mut folders: BTreeSet<&str> = BTreeSet::new();
        for name in &names {
            folders.extend(name.match_indices('/').map(|(end, _)| &name[..end]));
        }
        let below: Vec<(String, FileKind)> = self
            .entries
            .iter()
            .filter(|(name, _)| name.starts_with("data/"))
            .map(|(name, kind)| (name.clone(), *kind))
            .collect();
        for (name, kind) in below {
            let (name, listed) = (name.as_str(), names.contains(name.as_str()));
            match kind {
                FileKind::Other => self.extra(FindingCode::NotAFile, name, "a link or device"),
                FileKind::File(_) if !listed => {
                    self.extra(FindingCode::UnexpectedFile, name, "a file");
                }
                FileKind::Folder if !folders.contains(name) => {
                    self.extra(FindingCode::UnexpectedFolder, name, "a folder");
                }
                _ => {}
            }
        }
        let entries = listed.iter().map(|entry| (entry.name.clone(), entry.sha256));
        self.manifest = Some(entries.collect::<BTreeMap<_, _>>());
    }

    /// Read a manifest; its faults become findings.
    fn manifest_at(&mut self, name: &str, bytes: &[u8], prefix: &str) -> Vec<ManifestEntry> {
        let manifest = Manifest::parse(bytes, prefix);
        // Faults come in the order of the lines, so that one pass shows them all.
        let (mut lines, mut passed) = (bytes.split(|byte| *byte == b'\n'), 0);
        for (line, fault) in manifest.faults {
            let text = lines.nth(line - 1 - passed).unwrap_or_default();
            passed = line;
            let (code, expected) = match fault {
                LineFault::Malformed => {
                    (FindingCode::ManifestMalformed, "digest, two spaces, name, line feed")
                }
                LineFault::UnsafeName => (FindingCode::UnsafeName, "a plain name of its set"),
                LineFault::Duplicate => (FindingCode::DuplicateName, "each name once"),
                LineFault::Unsorted => (FindingCode::UnsortedName, "bytewise order"),
            };
            let found = text[..text.len().min(200)].escape_ascii().to_string();
            self.add(code, format!("{name}:{line}"), expected, found);
        }
        manifest.entries
    }

    /// From what size on a file below `data/` is not read: one alone must not be larger than all of
    /// them, by the folder's own word. What lies in a bundle was held against it when that was read.
    fn limit_payload(&mut self) {
        if self.packed.is_none() {
            let text = disk::read_plain(&self.folder.join(BAG_INFO), MAX_TAG_FILE);
            if let Err(error) = &text
                && disk::is_unreadable(error)
            {
                self.unreadable(BAG_INFO, error);
            }
            let stated = text.ok().and_then(|text| payload_in(&text));
            self.payload_most = stated.map_or(UNSTATED, |bytes| bytes.saturating_add(SLACK));
        }
    }

    /// Most bytes that are read of the file `name`.
    fn most(&self, name: &str) -> u64 {
        let of_its_kind = largest(name);
        if name.starts_with("data/") { of_its_kind.min(self.payload_most) } else { of_its_kind }
    }

    /// Whether the file `name` is larger than it can be, so that it is not read.
    pub(super) fn is_too_large(&self, name: &str) -> bool {
        matches!(self.entries.get(name), Some(FileKind::File(size)) if *size > self.most(name))
    }

    /// Whether the file `name` can be read; that it is too large is told.
    fn is_of_its_size(&mut self, name: &str) -> bool {
        let Some(FileKind::File(size)) = self.entries.get(name).copied() else { return false };
        let most = self.most(name);
        if size <= most {
            return true;
        }
        let expected = format!("at most {most} bytes");
        self.add(FindingCode::TooLarge, name, expected, format!("{size} bytes"));
        false
    }

    /// Read every listed file and compare. Answers how many files and bytes were read.
    fn compare(&mut self, listed: &[ManifestEntry]) -> (u64, u64) {
        let there: Vec<&ManifestEntry> =
            listed.iter().filter(|entry| self.is_file(&entry.name)).collect();
        let there: Vec<&ManifestEntry> =
            there.into_iter().filter(|entry| self.is_of_its_size(&entry.name)).collect();
        let results = match self.packed {
            None => read_all(self.folder, &there),
            Some(packed) => there.iter().map(|entry| packed_digest(packed, &entry.name)).collect(),
        };
        let (mut files, mut bytes) = (0, 0);
        for (entry, result) in there.iter().zip(results) {
            match result {
                Ok((sha256, size)) => {
                    files += 1;
                    bytes += size;
                    self.was_read(&entry.name, sha256);
                    if sha256 != entry.sha256 {
                        let (expected, found) = (entry.sha256.to_string(), sha256.to_string());
                        self.add(FindingCode::FileAltered, &entry.name, expected, found);
                    }
                }
                Err(error) => self.unreadable(&entry.name, &error),
            }
        }
        for entry in listed {
            // A link in a listed file's place is reported as what it is, and so is a folder that
            // could not be listed.
            let there =
                matches!(self.entries.get(&entry.name), Some(FileKind::File(_) | FileKind::Other));
            if !there && !self.is_hidden(&entry.name) {
                let expected = entry.sha256.to_string();
                self.add(FindingCode::FileMissing, &entry.name, expected, "no file");
            }
        }
        (files, bytes)
    }
}

/// Digest and size of a file in a bundle.
fn packed_digest(folder: &Folder, name: &str) -> io::Result<(Digest, u64)> {
    match folder.entries.get(name) {
        Some(FolderItem::File { size, sha256 }) => Ok((*sha256, *size)),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Digest and size of each listed file, in constant memory.
fn read_all(folder: &Path, listed: &[&ManifestEntry]) -> Vec<io::Result<(Digest, u64)>> {
    // A thread costs as much as some files do.
    let readers = if listed.len() < WORTH_A_READER { 1 } else { READERS };
    in_order(readers, listed, |entry| {
        disk::open(&folder.join(&entry.name)).and_then(Digest::of_reader)
    })
}
