//! Owns `run.json`, the record of a sealed run, and `seal.json`, the one value that stands for the
//! folder. Both are derived: from the first and the last event, and from the folder's digests; the
//! writer and the verifier call the same functions, so that any edit shows.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::chain::{self, Line};
use super::error::StoreError;
use super::layout::{FORMAT, MAX_SMALL, RECORD};
use crate::disk;
use crate::id::RunId;
use crate::retention::Retention;
use crate::run::{Caller, Ending, Opening, State};
use crate::workflow::{Completeness, Verdict};
use exhibit_tlog::digest::Digest;

/// What a folder does not prove; in every record, so that nobody reads more into it.
pub const NOT_PROVEN: [&str; 4] = [
    "It is not proven that the remote server sent what was recorded.",
    "It is not proven that the host was honest while it recorded: whoever controls the host and the signing key can make a folder of their own.",
    "The times are the host's own clock; a time from elsewhere needs a timestamp.",
    "Nothing inside this folder shows whether another folder was deleted.",
];

/// Where the closing event and the record hold the judgement over the run.
pub const COMPLETENESS: &str = "completeness";

/// Members of `seal.json` that are there when a timestamp is.
pub const ASKED: &str = "timestamp_request_sha256";
/// See [`ASKED`].
pub const STAMPED: &str = "timestamp_sha256";

/// How much a run holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Lines of the event chain, the closing one included.
    pub events: u64,
    /// Events of kind `capture.taken`.
    pub captures: u64,
    /// Files below `data/`, `events.jsonl` and `run.json` included.
    pub files: u64,
}

/// The content of `run.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// `exhibit/1`.
    pub format: String,
    /// What was known when the run was opened.
    #[serde(flatten)]
    pub opening: Opening,
    /// Time of the first event, RFC 3339, UTC.
    pub opened_at: String,
    /// Time of the last event, RFC 3339, UTC.
    pub sealed_at: String,
    /// How it ended.
    #[serde(flatten)]
    pub ending: Ending,
    /// Whether it holds what its workflow required; none when nobody had configured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completeness: Option<Completeness>,
    /// How much it holds.
    pub counts: Counts,
    /// SHA-256 of the last line of the chain.
    pub last_event_sha256: Digest,
    /// What is not proven.
    pub not_proven: Vec<String>,
}

impl RunRecord {
    /// The record that follows from the chain; none when its first or last event is not what it
    /// must be.
    pub fn derive(first: &Line, last: &Line, counts: Counts, last_sha256: Digest) -> Option<Self> {
        if first.kind != chain::OPENED || last.kind != chain::SEALED {
            return None;
        }
        Some(Self {
            format: FORMAT.to_owned(),
            opening: serde_json::from_value(Value::Object(first.data.clone())).ok()?,
            opened_at: first.time.clone(),
            sealed_at: last.time.clone(),
            ending: serde_json::from_value(Value::Object(last.data.clone())).ok()?,
            completeness: serde_json::from_value(
                last.data.get(COMPLETENESS).cloned().unwrap_or_default(),
            )
            .ok()?,
            counts,
            last_event_sha256: last_sha256,
            not_proven: NOT_PROVEN.map(str::to_owned).to_vec(),
        })
    }

    /// The bytes of `run.json`.
    pub fn render(&self) -> Vec<u8> {
        let mut text =
            serde_json::to_vec_pretty(self).expect("a record holds nothing JSON cannot express");
        text.push(b'\n');
        text
    }

    /// Read the record of the sealed folder `folder`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Damaged`], or what the system answers.
    pub fn read(folder: &Path) -> Result<Self, StoreError> {
        Self::read_with_bytes(folder).map(|(record, _)| record)
    }

    /// The same, with the bytes it was read from.
    ///
    /// # Errors
    /// As [`RunRecord::read`].
    pub fn read_with_bytes(folder: &Path) -> Result<(Self, Vec<u8>), StoreError> {
        let path = folder.join(RECORD);
        let bytes = disk::read_limited(&path, MAX_SMALL).map_err(StoreError::at(&path))?;
        match serde_json::from_slice(&bytes) {
            Ok(record) => Ok((record, bytes)),
            Err(error) => Err(StoreError::Damaged { path, what: error.to_string() }),
        }
    }
}

/// What `seal.json` is made of, beside the record.
#[derive(Clone, Debug, Default)]
pub struct SealParts {
    /// Bytes and files below `data/`.
    pub payload_oxum: Option<String>,
    /// SHA-256 of `manifest-sha256.txt`.
    pub manifest_sha256: Option<Digest>,
    /// SHA-256 of `tagmanifest-sha256.txt`.
    pub tagmanifest_sha256: Option<Digest>,
    /// SHA-256 of the signature file.
    pub signature_sha256: Option<Digest>,
    /// SHA-256 of the request for a timestamp over it, where there is one.
    pub timestamp_request_sha256: Option<Digest>,
    /// SHA-256 of the response.
    pub timestamp_sha256: Option<Digest>,
}

/// The fields of `seal.json`. A part that is not known is `null`: never so when sealing, and when
/// verifying only for a file whose absence is reported on its own.
pub fn seal_value(record: &RunRecord, parts: &SealParts) -> Value {
    let mut seal = json!({
        "format": record.format,
        "run": record.opening.run,
        "workflow": record.opening.spec.workflow,
        "state": record.ending.state,
        "opened_at": record.opened_at,
        "sealed_at": record.sealed_at,
        "events": record.counts.events,
        "last_event_sha256": record.last_event_sha256,
        "payload_oxum": parts.payload_oxum,
        "manifest_sha256": parts.manifest_sha256,
        "tagmanifest_sha256": parts.tagmanifest_sha256,
        "signature_sha256": parts.signature_sha256,
    });
    if let Some(outcome) = &record.ending.outcome {
        seal["outcome"] = json!(outcome);
    }
    let stamp = [(ASKED, parts.timestamp_request_sha256), (STAMPED, parts.timestamp_sha256)];
    for (name, sha256) in stamp {
        if let Some(sha256) = sha256 {
            seal[name] = json!(sha256);
        }
    }
    seal
}

/// `seal` as RFC 8785 bytes: the content of `seal.json`.
pub fn seal_bytes(seal: &Value) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(seal).expect("strings and small integers always canonicalize")
}

/// What a list of runs shows of one; read from its `run.json`, so that the index can always be
/// made anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Identity of the run.
    pub run: RunId,
    /// Kind of run.
    pub workflow: String,
    /// Which agent acted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// What it was about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who asked.
    pub caller: Caller,
    /// How it came to be sealed.
    pub state: State,
    /// What the caller said came of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Whether it holds what its workflow required; null when nobody had configured it.
    pub verdict: Option<Verdict>,
    /// RFC 3339, UTC.
    pub opened_at: String,
    /// RFC 3339, UTC.
    pub sealed_at: String,
    /// How long it is to be kept, as was promised when it was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// How much it holds.
    #[serde(flatten)]
    pub counts: Counts,
}

impl RunSummary {
    /// Read the summary of the sealed folder `folder`.
    ///
    /// # Errors
    /// As [`RunRecord::read`].
    pub fn read(folder: &Path) -> Result<Self, StoreError> {
        RunRecord::read(folder).map(Self::from)
    }
}

impl From<RunRecord> for RunSummary {
    fn from(record: RunRecord) -> Self {
        let spec = record.opening.spec;
        Self {
            run: record.opening.run,
            workflow: spec.workflow,
            agent: spec.agent,
            principal: spec.principal,
            subject: spec.subject,
            caller: record.opening.caller,
            state: record.ending.state,
            outcome: record.ending.outcome,
            verdict: record.completeness.map(|judged| judged.verdict),
            opened_at: record.opened_at,
            sealed_at: record.sealed_at,
            retention: record.opening.retention,
            counts: record.counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunSpec;

    fn record() -> RunRecord {
        let run: RunId = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57".parse().expect("an id");
        let spec = RunSpec { workflow: "refund".to_owned(), ..RunSpec::default() };
        let caller = Caller::Socket { uid: 1000, gid: 1000, pid: Some(7) };
        RunRecord {
            format: FORMAT.to_owned(),
            opening: Opening {
                run,
                spec,
                policy: None,
                retention: None,
                caller,
                host: "h".to_owned(),
                exhibit: "0.1.0".to_owned(),
                redacted: None,
            },
            opened_at: "2026-11-24T08:15:46.120Z".to_owned(),
            sealed_at: "2026-11-24T08:15:47.120Z".to_owned(),
            ending: Ending::sealed("succeeded"),
            completeness: None,
            counts: Counts { events: 3, captures: 1, files: 4 },
            last_event_sha256: Digest::of(b"last"),
            not_proven: NOT_PROVEN.map(str::to_owned).to_vec(),
        }
    }

    #[test]
    fn a_record_survives_its_file() {
        let record = record();
        let read: RunRecord = serde_json::from_slice(&record.render()).expect("readable");
        assert_eq!(read, record);
    }

    #[test]
    fn the_seal_is_canonical() {
        let seal = seal_value(&record(), &SealParts::default());
        let text = String::from_utf8(seal_bytes(&seal)).expect("text");
        assert!(text.starts_with("{\"events\":3,\"format\":\"exhibit/1\",\"last_event_sha256\":"));
        assert!(text.contains("\"outcome\":\"succeeded\"") && !text.contains(' '));
    }
}
