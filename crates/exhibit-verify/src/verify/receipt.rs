//! Owns the check of receipts: what a caller was handed when a run was sealed. Each field of it is bound
//! by something else: by `seal.json`, the record, the signature, the timestamp and the proof in the
//! folder, or by the log; and it must still be what these say.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use ssh_key::{HashAlg, PublicKey};

use super::log::LogCheck;
use super::signature::key_in;
use super::{FolderReport, Readings};
use crate::bundle::Folder;
use crate::disk;
use crate::error::StoreError;
use crate::finding::{Finding, FindingCode, shown};
use crate::layout::{MAX_SMALL, RECORD, SEAL, SIGNATURE, TIMESTAMP, sealed_place};
use crate::log::FOLDER;
use crate::moment::rfc3339_millis;
use crate::receipt::Receipt;
use crate::timestamp::TimestampToken;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::note::Note;
use exhibit_tlog::proof::Proof;
use exhibit_tlog::tile::WIDTH;

/// The receipt in the file at `path`: alone, or as the answer to a capture or a seal holds it. There is
/// one in it, of which every field is known: of two, or of fields that nothing binds, readers would
/// believe different things.
///
/// # Errors
/// [`StoreError::Damaged`] when there is none in it, or more than one; what the system answers.
pub fn read_receipt(path: &Path) -> Result<Receipt, StoreError> {
    let bytes = disk::read_named(path, MAX_SMALL).map_err(|error| StoreError::new(path, error))?;
    let damaged = |what: String| StoreError::Damaged {
        path: path.to_owned(),
        what: format!("it holds no receipt ({what})"),
    };
    let not_json = |error: serde_json::Error| damaged(error.to_string());
    serde_json::from_slice::<NamedOnce>(&bytes).map_err(not_json)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(not_json)?;
    let mut found = Vec::new();
    receipts_in(&value, &mut found);
    let (evidence, answer) = (&value["evidence"]["receipt"], &value["receipt"]);
    let place = [evidence, answer].into_iter().find(|place| place.is_object()).unwrap_or(&value);
    match found[..] {
        [one] if std::ptr::eq(one, place) => {}
        [] => return Err(damaged("no object has its fields".to_owned())),
        [_] => {
            let what = "it is neither alone, nor `receipt`, nor `evidence.receipt`";
            return Err(damaged(what.to_owned()));
        }
        _ => return Err(damaged(format!("{} objects have fields of one", found.len()))),
    }
    let receipt: Receipt = serde_json::from_value(place.clone()).map_err(not_json)?;
    let said = serde_json::to_value(&receipt).unwrap_or_default();
    match strange_field(place, &said) {
        None => Ok(receipt),
        Some(name) => Err(damaged(format!("nothing binds its field {}", shown(&name)))),
    }
}

/// A field of `value`, or of what is in it, that `known` has not; one that is null says nothing.
fn strange_field(value: &Value, known: &Value) -> Option<String> {
    match (value, known) {
        (Value::Object(fields), Value::Object(known)) => {
            fields.iter().find_map(|(name, value)| match known.get(name) {
                None => (!value.is_null()).then(|| name.clone()),
                Some(known) => strange_field(value, known),
            })
        }
        (Value::Array(items), Value::Array(known)) => {
            items.iter().zip(known).find_map(|(item, known)| strange_field(item, known))
        }
        _ => None,
    }
}

/// The objects in `value` that a reader could take for a receipt: what stands for it, or its place in
/// the log, is a field of each.
fn receipts_in<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    const TELLING: [&str; 4] = ["seal_sha256", "tagmanifest_sha256", "log_index", "checkpoint"];
    match value {
        Value::Array(items) => items.iter().for_each(|item| receipts_in(item, found)),
        Value::Object(fields) => {
            if TELLING.iter().any(|name| fields.contains_key(*name)) {
                found.push(value);
            }
            fields.values().for_each(|field| receipts_in(field, found));
        }
        _ => {}
    }
}

/// JSON in which no object has a name twice: of two fields readers believe different ones.
struct NamedOnce;

impl<'de> Deserialize<'de> for NamedOnce {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Once)
    }
}

struct Once;

impl<'de> Visitor<'de> for Once {
    type Value = NamedOnce;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON in which no name comes twice in an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NamedOnce, A::Error> {
        let mut names = HashSet::new();
        while let Some((name, _)) = map.next_entry::<String, NamedOnce>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom(format!("the name {} comes twice", shown(&name))));
            }
        }
        Ok(NamedOnce)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<NamedOnce, A::Error> {
        while items.next_element::<NamedOnce>()?.is_some() {}
        Ok(NamedOnce)
    }

    fn visit_bool<E>(self, _: bool) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_i64<E>(self, _: i64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_u64<E>(self, _: u64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_f64<E>(self, _: f64) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_str<E>(self, _: &str) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }

    fn visit_unit<E>(self) -> Result<NamedOnce, E> {
        Ok(NamedOnce)
    }
}

/// What a folder's files say of the fields of a receipt; none of what is missing or cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bound {
    seal: Option<Value>,
    /// The record's judgement of completeness; null where there is none.
    completeness: Option<Value>,
    key: Option<String>,
    /// When the signature was stamped; null where it was not.
    stamped: Option<Value>,
    /// Index and checkpoint of the proof.
    proven: Option<(u64, String)>,
}

impl Bound {
    /// By the files of a folder, each of which is `read`.
    fn of(read: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        fn parsed<T: DeserializeOwned>(bytes: Option<Vec<u8>>) -> Option<T> {
            serde_json::from_slice(&bytes?).ok()
        }
        let seal: Option<Value> = parsed(read(SEAL));
        let record: Option<Value> = parsed(read(RECORD));
        let key = read(SIGNATURE).and_then(|text| key_in(&text));
        let key = key.map(|key| PublicKey::from(key).fingerprint(HashAlg::Sha256).to_string());
        let stamp = read(TIMESTAMP).and_then(|bytes| TimestampToken::parse(&bytes).ok());
        let is_stamped = seal.as_ref().is_some_and(|seal| !seal["timestamp_sha256"].is_null());
        let stamped = match stamp {
            Some(stamp) => Some(Value::from(rfc3339_millis(stamp.time))),
            None => Some(Value::Null).filter(|_| !is_stamped),
        };
        let proof = read(crate::layout::PROOF).and_then(|text| String::from_utf8(text).ok());
        let proof = proof.and_then(|text| Proof::parse(&text).ok());
        Self {
            seal,
            completeness: record.map(|record| record["completeness"].clone()),
            key,
            stamped,
            proven: proof.map(|proof| (proof.index, proof.note.text)),
        }
    }

    /// By the files of the folder on disk that was judged with `readings`. One that is another by now
    /// says nothing, which the findings tell.
    fn on_disk(folder: &Path, readings: &Readings) -> (Self, Vec<Finding>) {
        let findings = RefCell::new(Vec::new());
        let bound = Self::of(|name| {
            let bytes = disk::read_plain(&folder.join(name), MAX_SMALL).ok();
            let (judged, now) = (readings.of(name), bytes.as_deref().map(Digest::of));
            // A folder that a daemon moved meanwhile is no folder that was changed.
            let judged = judged.filter(|_| now.is_some() || folder.is_dir());
            if let Some(judged) = judged.filter(|judged| now != Some(*judged)) {
                let place = folder.join(name).display().to_string();
                let found = now.map_or_else(|| "nothing".to_owned(), |now| now.to_string());
                let found = format!("{found}, a moment later");
                let code = FindingCode::FileAltered;
                findings.borrow_mut().push(Finding::new(code, place, judged.to_string(), found));
                return None;
            }
            bytes
        });
        (bound, findings.into_inner())
    }

    pub(super) fn in_bundle(folder: &Folder) -> Self {
        Self::of(|name| folder.whole(name).map(<[u8]>::to_vec))
    }

    /// The fields in which `receipt` says something else: which, what was expected, what it says.
    fn differences(&self, receipt: &Receipt) -> Vec<(&'static str, String, String)> {
        let said = serde_json::to_value(receipt).unwrap_or_default();
        let mut expected: Vec<(&str, Value)> = Vec::new();
        expected.push(("folder", sealed_place(receipt.run).into()));
        if let Some(seal) = &self.seal {
            for name in ["run", "state", "outcome", "sealed_at", "events", "tagmanifest_sha256"] {
                expected.push((name, seal[name].clone()));
            }
            let oxum = seal["payload_oxum"].as_str().and_then(|oxum| oxum.split_once('.'));
            let number = |text: &str| text.parse::<u64>().map_or(Value::Null, Value::from);
            if let Some((bytes, files)) = oxum {
                expected.extend([("size_bytes", number(bytes)), ("files", number(files))]);
            }
        }
        expected.extend(self.completeness.clone().map(|value| ("completeness", value)));
        expected.extend(self.key.clone().map(|key| ("key", key.into())));
        expected.extend(self.stamped.clone().map(|time| ("timestamp", time)));
        // A receipt that was handed over before the log answered names no place in it.
        if let Some((index, _)) = self.proven.as_ref().filter(|_| receipt.log_index.is_some()) {
            expected.push(("log_index", (*index).into()));
        }
        let differ = expected.into_iter().filter(|(name, value)| said[*name] != *value);
        let mut found: Vec<_> =
            differ.map(|(name, value)| (name, value.to_string(), said[name].to_string())).collect();
        if let (Some((_, proven)), Some(text)) = (&self.proven, &receipt.checkpoint)
            && Note::parse(text).map(|note| note.text).as_ref() != Ok(proven)
        {
            found.push(("checkpoint", "the one in the folder's proof".to_owned(), text.clone()));
        }
        found
    }

    fn findings(&self, place: &str, receipt: &Receipt) -> Vec<Finding> {
        let finding = |(name, expected, found): (&str, String, String)| {
            Finding::new(FindingCode::ReceiptMismatch, format!("{place}#{name}"), expected, found)
        };
        self.differences(receipt).into_iter().map(finding).collect()
    }
}

/// Hold the sealed folder that `report` is about against a receipt from the file `place`; `folder` is
/// where it lies, unless it came in a bundle.
pub fn folder_against_receipt(
    report: &mut FolderReport,
    folder: Option<&Path>,
    place: &Path,
    receipt: &Receipt,
) {
    let found = report.facts.seal.or(report.facts.readings.of(SEAL));
    let place = place.display().to_string();
    if report.run != Some(receipt.run) || found != Some(receipt.seal_sha256) {
        let expected = format!("{} of {}", receipt.seal_sha256, receipt.run);
        let found = found.map_or_else(|| "no seal".to_owned(), |seal| seal.to_string());
        report.findings.push(Finding::new(FindingCode::ReceiptMismatch, place, expected, found));
        return;
    }
    let packed = report.facts.bound.as_deref().cloned();
    let on_disk = folder.map(|folder| Bound::on_disk(folder, &report.facts.readings));
    let packed = packed.map(|bound| (bound, Vec::new()));
    let (bound, changed) = on_disk.or(packed).unwrap_or_default();
    report.findings.extend(changed);
    report.findings.extend(bound.findings(&place, receipt));
}

impl LogCheck<'_> {
    /// Hold log and folders against receipts, each with the file it comes from; `read` are the folders
    /// and archives that were read.
    pub(super) fn receipts<'r>(
        &mut self,
        receipts: &[(PathBuf, Receipt)],
        read: impl Iterator<Item = &'r FolderReport> + Clone,
    ) {
        for (path, receipt) in receipts {
            let of_run = read.clone().find(|report| report.run == Some(receipt.run));
            self.receipt(&path.display().to_string(), receipt, of_run);
        }
    }

    fn receipt(&mut self, place: &str, receipt: &Receipt, report: Option<&FolderReport>) {
        let told = self.runs.get(&receipt.run);
        let (seal, last) =
            told.map_or((None, None), |told| (told.seals.last().copied(), told.last));
        let index = receipt.log_index.is_none() || receipt.log_index == last;
        if seal != Some(receipt.seal_sha256) || !index {
            let what = format!("{}/{SEAL}", sealed_place(receipt.run));
            let expected = format!("{} as the seal of {what}", receipt.seal_sha256);
            let found = seal.map_or_else(|| "none in the log".to_owned(), |seal| seal.to_string());
            self.add(FindingCode::ReceiptMismatch, place, expected, found);
        } else {
            let bound = self.bound(report, last, receipt.seal_sha256);
            self.findings.extend(bound.findings(place, receipt));
        }
        let Some(text) = &receipt.checkpoint else { return };
        let note = Note::parse(text).ok();
        let stated = note.and_then(|note| Some((Checkpoint::parse(&note.text).ok()?, note)));
        match (stated, self.newest.clone()) {
            (Some((old, note)), Some(now)) => self.continues(place, &note, &old, &now),
            (None, _) => {
                let expected = "a checkpoint of the log";
                self.add(FindingCode::ReceiptMismatch, place, expected, "something else");
            }
            _ => {}
        }
    }

    /// What binds the fields of a receipt: the folder with that seal, and the entry `last` of the log,
    /// which is its seal and stays when the folder is purged.
    fn bound(&mut self, report: Option<&FolderReport>, last: Option<u64>, seal: Digest) -> Bound {
        let mut bound = Bound::default();
        if let Some(report) = report.filter(|report| report.facts.seal == Some(seal)) {
            let packed = report.facts.bound.as_deref().cloned();
            bound = packed.unwrap_or_else(|| {
                let folder = Path::new(&report.folder);
                let (bound, changed) = Bound::on_disk(folder, &report.facts.readings);
                self.findings.extend(changed);
                bound
            });
        }
        let Some(last) = last else { return bound };
        let entries = self.reader.bundle(last / WIDTH, self.report.size.max(last + 1));
        if !self.unread_result(FOLDER, &entries) {
            let at = usize::try_from(last % WIDTH).expect("below 256");
            let entry = entries.ok().and_then(|mut entries| entries.drain(..).nth(at));
            // The tile is read again: what stands there now must be the seal that was gone through.
            let (found, expected) = (entry.as_deref().map(Digest::of), seal.to_string());
            if found == Some(seal) {
                bound.seal = entry.and_then(|entry| serde_json::from_slice(&entry).ok());
            } else {
                let found = found.map_or_else(|| "nothing".to_owned(), |it| it.to_string());
                let found = format!("{found}, a moment later");
                self.add(FindingCode::LogTileAltered, format!("{FOLDER}#{last}"), expected, found);
            }
        }
        // What names no timestamp has none, whether the folder is there or not.
        if bound.seal.as_ref().is_some_and(|seal| seal["timestamp_sha256"].is_null()) {
            bound.stamped = Some(Value::Null);
        }
        bound
    }
}
