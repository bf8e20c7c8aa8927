//! Owns the form of the custody log of a store, and its reading: who looked at evidence, took it away,
//! or decided what is kept, one chain of lines over files by month, `custody/2026-11.jsonl`.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use exhibit_tlog::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::disk;
use crate::error::StoreError;
use crate::id::RunId;
use crate::layout;
use crate::moment::rfc3339_millis;
use crate::run::Caller;

/// Folder of the custody log, in the store.
pub const CUSTODY: &str = "custody";
/// Longest line that is read, in bytes.
pub const MAX_LINE: u64 = 1 << 20;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// A run was looked at: its page, its report, a small picture.
    View,
    /// A file of a run was given out.
    Download,
    /// Runs were given out as a bundle.
    Export,
    /// Runs were put on hold.
    Hold,
    /// Runs were released from a hold.
    Release,
    /// Runs were purged.
    Purge,
    /// Runs' folders became archives.
    Archive,
    /// Runs' archives became folders again.
    Restore,
    /// Runs were put back from a bundle.
    Import,
}

/// Who an access event is by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(expecting = "struct Custodian")]
pub struct AccessActor {
    /// As the daemon established it.
    #[serde(flatten)]
    pub caller: Caller,
    /// Whether by a session of the web page, which that caller opened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub session: bool,
}

/// One line; `previous` is its last key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustodyEvent {
    /// Position among all events of the store, from 1.
    pub sequence: u64,
    /// When, RFC 3339, UTC.
    pub time: String,
    /// Who.
    pub by: AccessActor,
    /// Did what.
    pub act: Act,
    /// To which runs.
    pub runs: Vec<RunId>,
    /// The particulars.
    pub detail: Map<String, Value>,
    /// SHA-256 of the line before, without its line feed; zeros in the first.
    pub previous: Digest,
}

impl CustodyEvent {
    /// The event in `line`, where the line is what its writer makes of it: these keys in this order, each
    /// once, no blanks, the time in its one form.
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let event: Self = serde_json::from_slice(line).ok()?;
        let time = event.time.parse().ok().map(rfc3339_millis);
        let is_written_so = serde_json::to_vec(&event).is_ok_and(|again| again == line);
        let are_runs = event.runs.iter().all(|run| run.to_string().parse::<RunId>().is_ok());
        let is_whole = are_runs && event.detail.values().all(has_whole_numbers);
        (is_written_so && is_whole && time.as_ref() == Some(&event.time)).then_some(event)
    }
}

/// Whether every number in `value` is a whole one of 64 bits.
fn has_whole_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => !number.is_f64(),
        Value::Array(values) => values.iter().all(has_whole_numbers),
        Value::Object(fields) => fields.values().all(has_whole_numbers),
        _ => true,
    }
}

/// How far a custody log goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Events.
    pub count: u64,
    /// SHA-256 of the last line, without its line feed.
    pub sha256: Digest,
}

/// The files of the custody log of the store at `root`, oldest first.
///
/// # Errors
/// See [`StoreError`].
pub fn files(root: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let folder = root.join(CUSTODY);
    match layout::entries(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(StoreError::new(&folder, error)),
        Ok(entries) => {
            let files = entries
                .into_iter()
                .filter(|entry| entry.kind.is_file() && entry.name.to_str().is_some_and(is_month));
            Ok(files.map(|entry| entry.path).collect())
        }
    }
}

/// Whether `name` is that of a month's file: `2026-11.jsonl`.
pub fn is_month(name: &str) -> bool {
    let month = name.strip_suffix(".jsonl").unwrap_or_default().as_bytes();
    let digit = |at: &usize| month[*at].is_ascii_digit();
    month.len() == 7 && month[4] == b'-' && [0, 1, 2, 3, 5, 6].iter().all(digit)
}

/// Show each line of the custody log of the store at `root`, without its line feed, with its file and
/// number there, from 1, until `enough`. The last one may be cut short: then it has no line feed.
///
/// # Errors
/// See [`StoreError`].
pub fn lines(
    root: &Path,
    mut enough: impl FnMut(&Path, u64, &[u8], bool) -> bool,
) -> Result<(), StoreError> {
    for path in files(root)? {
        let at = |error| StoreError::new(&path, error);
        let mut file = BufReader::new(disk::open(&path).map_err(at)?);
        for number in 1.. {
            let mut line = Vec::new();
            let read = file.by_ref().take(MAX_LINE).read_until(b'\n', &mut line).map_err(at)?;
            if read == 0 {
                break;
            }
            let whole = line.last() == Some(&b'\n');
            let text = if whole { &line[..line.len() - 1] } else { &line[..] };
            if enough(&path, number, text, whole) {
                return Ok(());
            }
        }
    }
    Ok(())
}
