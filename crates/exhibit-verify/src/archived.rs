//! Owns the reading of single files out of an archived run, which is a bundle of one.

use std::path::Path;

use crate::bundle;
use crate::disk;
use crate::error::StoreError;
use crate::id::RunId;
use crate::layout::{MAX_SMALL, RECORD, RUNS};
use crate::record::RunRecord;

/// The record of `run` in its archive at `path`.
///
/// # Errors
/// See [`RunRecord::read`].
pub fn archived_record(path: &Path, run: RunId) -> Result<RunRecord, StoreError> {
    let bytes = archived_file(path, run, RECORD, MAX_SMALL)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| StoreError::Damaged { path: path.to_owned(), what: error.to_string() })
}

/// The file `name` of `run` in its archive at `path`, of at most `limit` bytes.
///
/// # Errors
/// See [`RunRecord::read`].
pub fn archived_file(
    path: &Path,
    run: RunId,
    name: &str,
    limit: u64,
) -> Result<Vec<u8>, StoreError> {
    let file = disk::open_at_once(path).map_err(StoreError::at(path))?;
    let damaged = |what: String| StoreError::Damaged { path: path.to_owned(), what };
    let bytes = bundle::file_in(file, &format!("{RUNS}/{run}/{name}"), limit);
    let bytes = bytes.map_err(|error| damaged(error.to_string()))?;
    bytes.ok_or_else(|| damaged(format!("{name} is not in it")))
}
