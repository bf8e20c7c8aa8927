//! Owns the check of receipts: what a caller was handed when a run was sealed names its seal, its place
//! in the log and a checkpoint, and must still be true.

use std::path::{Path, PathBuf};

use super::log::LogCheck;
use super::{Facts, FolderReport};
use crate::disk;
use crate::error::StoreError;
use crate::finding::{Finding, FindingCode};
use crate::layout::{MAX_SMALL, SEAL, sealed_place};
use crate::receipt::Receipt;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::note::Note;

/// The receipt in the file at `path`: alone, or as the answer to a capture or a seal holds it.
///
/// # Errors
/// [`StoreError::Damaged`] when there is none in it; what the system answers.
pub fn read_receipt(path: &Path) -> Result<Receipt, StoreError> {
    let bytes =
        disk::read_limited(path, MAX_SMALL).map_err(|error| StoreError::new(path, error))?;
    let damaged = |error: serde_json::Error| StoreError::Damaged {
        path: path.to_owned(),
        what: format!("it holds no receipt ({error})"),
    };
    let value: serde_json::Value = serde_json::from_slice(&bytes).map_err(damaged)?;
    let places = [&value["evidence"]["receipt"], &value["receipt"], &value];
    let found = places.into_iter().find(|place| place.is_object()).unwrap_or(&value);
    serde_json::from_value(found.clone()).map_err(damaged)
}

/// Hold the sealed folder that `report` is about against a receipt from the file `place`; `folder` is
/// where it lies, unless it came in a bundle.
pub fn folder_against_receipt(
    report: &mut FolderReport,
    folder: Option<&Path>,
    place: &Path,
    receipt: &Receipt,
) {
    let found = report.facts.seal.or_else(|| folder.and_then(|folder| Facts::of(folder).seal));
    if report.run != Some(receipt.run) || found != Some(receipt.seal_sha256) {
        let expected = format!("{} of {}", receipt.seal_sha256, receipt.run);
        let found = found.map_or_else(|| "no seal".to_owned(), |seal| seal.to_string());
        let place = place.display().to_string();
        report.findings.push(Finding::new(FindingCode::ReceiptMismatch, place, expected, found));
    }
}

impl LogCheck<'_> {
    /// Hold the log against receipts, each with the file it comes from.
    pub(super) fn receipts(&mut self, receipts: &[(PathBuf, Receipt)]) {
        for (path, receipt) in receipts {
            self.receipt(&path.display().to_string(), receipt);
        }
    }

    fn receipt(&mut self, place: &str, receipt: &Receipt) {
        let told = self.runs.get(&receipt.run);
        let (seal, last) =
            told.map_or((None, None), |told| (told.seals.last().copied(), told.last));
        let index = receipt.log_index.is_none() || receipt.log_index == last;
        if seal != Some(receipt.seal_sha256) || !index {
            let what = format!("{}/{SEAL}", sealed_place(receipt.run));
            let expected = format!("{} as the seal of {what}", receipt.seal_sha256);
            let found = seal.map_or_else(|| "none in the log".to_owned(), |seal| seal.to_string());
            self.add(FindingCode::ReceiptMismatch, place, expected, found);
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
}
