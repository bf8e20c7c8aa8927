//! Owns the check of what stands beside `data/` and speaks of the whole: declaration, metadata and
//! `seal.json`, each derived again from the rest of the folder and compared.

use serde_json::Value;

use super::{Check, FileKind};
use crate::bag::{self, BagInfo};
use crate::finding::FindingCode;
use crate::layout::MAX_MANIFEST;
use crate::layout::{BAG_INFO, BAGIT, MANIFEST, REQUEST, SEAL, SIGNATURE, TAG_MANIFEST, TIMESTAMP};
use crate::record::{ASKED, RunRecord, STAMPED, SealParts, seal_bytes, seal_value};
use crate::sizes::MAX_TAG_FILE;
use exhibit_tlog::digest::Digest;

impl Check<'_> {
    pub(super) fn declaration(&mut self) {
        let Some(text) = self.read(BAGIT, MAX_TAG_FILE) else { return };
        if text != bag::DECLARATION.as_bytes() {
            let found = text[..text.len().min(200)].escape_ascii().to_string();
            self.add(FindingCode::DeclarationMismatch, BAGIT, "BagIt 1.0, UTF-8", found);
        }
    }

    pub(super) fn bag_info(&mut self, record: Option<&RunRecord>) {
        let Some(text) = self.read(BAG_INFO, MAX_TAG_FILE) else { return };
        let Some(info) = BagInfo::parse(&text) else {
            let expected = "the labels of this format, once each, in their order";
            self.add(FindingCode::BagInfoMalformed, BAG_INFO, expected, "something else");
            return;
        };
        let mut pairs = Vec::new();
        if let Some(record) = record {
            let date = record.sealed_at.chars().take(10).collect();
            pairs.push(("Bagging-Date", date, info.date));
            pairs.push(("External-Identifier", record.opening.run.urn(), info.identifier));
        }
        if let Some(oxum) = self.oxum() {
            pairs.push(("Payload-Oxum", oxum, info.oxum));
        }
        for (label, expected, found) in pairs {
            if expected != found {
                let place = format!("{BAG_INFO}#{label}");
                self.add(FindingCode::BagInfoMismatch, place, expected, found);
            }
        }
    }

    pub(super) fn seal(&mut self, record: Option<&RunRecord>) {
        // Its absence is a finding already.
        let Some(bytes) = self.read(SEAL, MAX_TAG_FILE) else { return };
        let seal: Option<Value> = serde_json::from_slice(&bytes).ok();
        let Some(seal) = seal.filter(|seal| seal.is_object() && seal_bytes(seal) == bytes) else {
            let expected = "the canonical JSON of RFC 8785";
            self.add(FindingCode::SealMalformed, SEAL, expected, "something else");
            return;
        };
        // Without a record nothing of it can be derived; that there is none is a finding already.
        let Some(record) = record else { return };
        let parts = SealParts {
            payload_oxum: self.oxum(),
            manifest_sha256: self.digest(MANIFEST),
            tagmanifest_sha256: self.digest(TAG_MANIFEST),
            signature_sha256: self.digest(SIGNATURE),
            timestamp_request_sha256: self.digest(REQUEST),
            timestamp_sha256: self.digest(TIMESTAMP),
        };
        for (field, expected, found) in differences(&seal_value(record, &parts), &seal) {
            let stamp = [(ASKED, REQUEST), (STAMPED, TIMESTAMP)];
            let stamp = stamp.into_iter().find(|(member, _)| *member == field);
            if let (Some((_, name)), "nothing") = (stamp, expected.as_str()) {
                if !self.has(name) {
                    self.add(FindingCode::TimestampMissing, name, found, "no file");
                }
                continue;
            }
            // A file that is gone, or cannot be read, is a finding of its own.
            if expected != "null" {
                self.add(FindingCode::SealMismatch, format!("{SEAL}#{field}"), expected, found);
            }
        }
    }

    /// The `Payload-Oxum` of the files that are there; none when not all could be looked at.
    fn oxum(&self) -> Option<String> {
        let (mut bytes, mut files) = (0, 0);
        for (name, kind) in &self.entries {
            if let (true, FileKind::File(size)) = (name.starts_with("data/"), kind) {
                bytes += size;
                files += 1;
            }
        }
        self.unlisted.is_empty().then(|| bag::oxum(bytes, files))
    }

    fn digest(&mut self, name: &str) -> Option<Digest> {
        self.read(name, MAX_MANIFEST).map(|bytes| Digest::of(&bytes))
    }
}

/// The fields in which two JSON objects differ: name, expected, found; in the order of `expected`,
/// then those that only `found` has.
pub(super) fn differences(expected: &Value, found: &Value) -> Vec<(String, String, String)> {
    let none = serde_json::Map::new();
    let (expected, found) =
        (expected.as_object().unwrap_or(&none), found.as_object().unwrap_or(&none));
    let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
    let names = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    names
        .filter(|name| expected.get(*name) != found.get(*name))
        .map(|name| (name.clone(), show(expected.get(name)), show(found.get(name))))
        .collect()
}
