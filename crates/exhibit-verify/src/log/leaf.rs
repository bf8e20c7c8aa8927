//! Owns what the entries of the log say. A seal's entry is its `seal.json`, byte for byte; all
//! others are RFC 8785 JSON with a `kind`. None holds what an agent or a page wrote but for the
//! workflow's name and the outcome in a seal: the log outlives the evidence. The reasons in it are
//! operators' own.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::id::RunId;
use crate::moment::{Moment, rfc3339_millis};
use crate::retention::Retention;
use crate::revocation::Revocation;
use crate::run::{Caller, Opening};
use exhibit_tlog::digest::Digest;

/// Name of this form of entry; seals have the format's own.
const FORM: &str = "exhibit-log/1";

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeafKind {
    /// A run was opened: before anything of it was captured.
    Open,
    /// A run was sealed; the entry is its `seal.json`.
    Seal,
    /// The daemon started.
    Start,
    /// The daemon stopped in good order.
    Stop,
    /// The daemon was there.
    Heartbeat,
    /// How far the event chains of open runs had come.
    Progress,
    /// A new configuration came into force.
    ConfigChange,
    /// Evidence is signed with another key from here on.
    KeyChange,
    /// A key of evidence is not to be believed any more.
    KeyRevocation,
    /// Runs were given out as a bundle.
    Export,
    /// Evidence was found to be no longer as it was.
    Finding,
    /// A run was put on hold: it is not purged while that stands.
    Hold,
    /// A run was released from a hold.
    Release,
    /// A run was purged: this stays in its place.
    Purge,
    /// A run's folder became an archive.
    Archive,
    /// A run's archive became a folder again.
    Restore,
    /// Runs were put back from a bundle, or a bundle of another store is kept.
    Import,
    /// A kept bundle of another store was purged.
    PurgeImport,
    /// How far the custody log goes.
    Custody,
    /// An authority said when entries were there.
    Timestamp,
    /// An entry of a kind that this version does not know.
    Other,
}

impl LeafKind {
    fn parse(word: &str) -> Self {
        match word {
            "open" => Self::Open,
            "start" => Self::Start,
            "stop" => Self::Stop,
            "heartbeat" => Self::Heartbeat,
            "progress" => Self::Progress,
            "config-change" => Self::ConfigChange,
            "key-change" => Self::KeyChange,
            "key-revocation" => Self::KeyRevocation,
            "export" => Self::Export,
            "finding" => Self::Finding,
            "hold" => Self::Hold,
            "release" => Self::Release,
            "purge" => Self::Purge,
            "archive" => Self::Archive,
            "restore" => Self::Restore,
            "import" => Self::Import,
            "purge-import" => Self::PurgeImport,
            "custody" => Self::Custody,
            "timestamp" => Self::Timestamp,
            _ => Self::Other,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Seal => "seal",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Heartbeat => "heartbeat",
            Self::Progress => "progress",
            Self::ConfigChange => "config-change",
            Self::KeyChange => "key-change",
            Self::KeyRevocation => "key-revocation",
            Self::Export => "export",
            Self::Finding => "finding",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Purge => "purge",
            Self::Archive => "archive",
            Self::Restore => "restore",
            Self::Import => "import",
            Self::PurgeImport => "purge-import",
            Self::Custody => "custody",
            Self::Timestamp => "timestamp",
            Self::Other => "other",
        }
    }
}

/// An entry, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// What it is about.
    pub kind: LeafKind,
    /// Which run, where it is about one.
    pub run: Option<RunId>,
    /// When, by the host's clock: RFC 3339, UTC.
    pub time: String,
    /// All of it.
    pub data: Map<String, Value>,
}

impl Leaf {
    /// Read an entry; none when it is not what this format writes.
    pub fn parse(entry: &[u8]) -> Option<Self> {
        let Ok(Value::Object(data)) = serde_json::from_slice(entry) else { return None };
        let text = |name: &str| data.get(name).and_then(Value::as_str);
        let (kind, time) = match text("format")? {
            FORM => (LeafKind::parse(text("kind")?), text("time")?),
            super::super::layout::FORMAT => (LeafKind::Seal, text("sealed_at")?),
            _ => return None,
        };
        let run = text("run").and_then(|run| run.parse().ok());
        let time = time.to_owned();
        Some(Self { kind, run, time, data })
    }
}

fn entry(kind: LeafKind, at: Moment, data: Value) -> Vec<u8> {
    let mut entry = json!({ "format": FORM, "kind": kind.word(), "time": at.to_rfc3339() });
    if let Some(clock) = at.state {
        entry["clock"] = json!(clock);
    }
    if let (Value::Object(entry), Value::Object(data)) = (&mut entry, data) {
        entry.extend(data);
    }
    serde_json_canonicalizer::to_vec(&entry).expect("strings and small integers canonicalize")
}

/// A run is opened. `first_event` is the digest of the first line of its chain, which holds all
/// that is known of it.
pub fn open(opening: &Opening, first_event: Digest, at: Moment) -> Vec<u8> {
    let mut data = json!({
        "run": opening.run,
        "workflow": opening.spec.workflow,
        "first_event_sha256": first_event,
    });
    if let Some(retention) = &opening.retention {
        data["retention"] = json!(retention);
    }
    entry(LeafKind::Open, at, data)
}

/// Where and as what a daemon runs: what its `start` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Life {
    /// Version of the program.
    pub exhibit: String,
    /// Digest of the machine's identity (machine-id(5)) with this log's name: tells machines
    /// apart without giving the identity away.
    pub machine: Digest,
    /// The same of the boot's identity.
    pub boot: Digest,
    /// Fingerprint of the key that signs evidence.
    pub key: String,
    /// Digest of the configuration in force.
    pub config_sha256: Digest,
    /// How often the log is to say that the daemon is there, in milliseconds.
    pub heartbeat_ms: u64,
}

/// `time` in milliseconds.
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The daemon starts.
pub fn start(life: &Life, moved: bool, at: Moment) -> Vec<u8> {
    let mut data = json!(life);
    if moved {
        data["moved"] = json!(true);
    }
    entry(LeafKind::Start, at, data)
}

/// The daemon stops; `open` runs stay open.
pub fn stop(open: usize, at: Moment) -> Vec<u8> {
    entry(LeafKind::Stop, at, json!({ "open": open }))
}

/// The daemon is there, with `open` runs, and will say so again after `every`.
pub fn heartbeat(open: usize, every: Duration, at: Moment) -> Vec<u8> {
    let data = json!({ "open": open, "heartbeat_ms": millis(every) });
    entry(LeafKind::Heartbeat, at, data)
}

/// The event chains of open runs had come as far as `heads` say.
pub fn progress(heads: &Value, at: Moment) -> Vec<u8> {
    entry(LeafKind::Progress, at, json!({ "runs": heads }))
}

/// A new configuration is in force.
pub fn config_change(keys: &[&str], config_sha256: Digest, at: Moment) -> Vec<u8> {
    entry(LeafKind::ConfigChange, at, json!({ "keys": keys, "config_sha256": config_sha256 }))
}

/// Evidence is signed with `to` from here on; `reason` is the operator's.
pub fn key_change(from: &str, to: &str, reason: Option<&str>, at: Moment) -> Vec<u8> {
    let mut data = json!({ "from": from, "to": to });
    if let Some(reason) = reason {
        data["reason"] = json!(reason);
    }
    entry(LeafKind::KeyChange, at, data)
}

/// A key is revoked: from `since` on others may have signed with it.
pub fn key_revocation(revocation: &Revocation, at: Moment) -> Vec<u8> {
    let Revocation { fingerprint, since, reason, .. } = revocation;
    let data = json!({
        "key": fingerprint,
        "since": rfc3339_millis(*since),
        "revoked_at": rfc3339_millis(revocation.at),
        "reason": reason,
    });
    entry(LeafKind::KeyRevocation, at, data)
}

/// The runs `runs` were given out to `to`, as a bundle with this digest.
pub fn export(runs: &[RunId], sha256: Digest, to: &Caller, at: Moment) -> Vec<u8> {
    entry(LeafKind::Export, at, json!({ "runs": runs, "sha256": sha256, "to": to }))
}

/// An authority's response over the checkpoint at `size` was taken in.
pub fn timestamp(size: u64, response: Digest, at: Moment) -> Vec<u8> {
    entry(LeafKind::Timestamp, at, json!({ "size": size, "sha256": response }))
}

/// Evidence was read again and is not as it was: `told` says where and by which codes.
pub fn finding(told: &Value, at: Moment) -> Vec<u8> {
    entry(LeafKind::Finding, at, told.clone())
}

/// `run` is kept whatever its retention says, for the sake of `matter`, until it is released. `seal`
/// is the digest of its `seal.json`, where it is sealed: what is kept is that folder and no other.
pub fn hold(
    run: RunId,
    seal: Option<Digest>,
    matter: Option<&str>,
    reason: &str,
    by: &Caller,
    at: Moment,
) -> Vec<u8> {
    let mut data = about_hold(run, matter, reason, by);
    if let Some(seal) = seal {
        data["seal_sha256"] = json!(seal);
    }
    entry(LeafKind::Hold, at, data)
}

/// `run` is no longer held for the sake of `matter`.
pub fn release(run: RunId, matter: Option<&str>, reason: &str, by: &Caller, at: Moment) -> Vec<u8> {
    entry(LeafKind::Release, at, about_hold(run, matter, reason, by))
}

fn about_hold(run: RunId, matter: Option<&str>, reason: &str, by: &Caller) -> Value {
    let mut data = json!({ "run": run, "reason": reason, "by": by });
    if let Some(matter) = matter {
        data["matter"] = json!(matter);
    }
    data
}

/// A run that is purged: what stays of it.
#[derive(Clone, Debug, Serialize)]
pub struct Burial<'a> {
    /// The run.
    pub run: RunId,
    /// Kind of run.
    pub workflow: &'a str,
    /// Index of its seal in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal_index: Option<u64>,
    /// Digest of its `seal.json`, as it lay in the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seal_sha256: Option<Digest>,
    /// When it was sealed.
    pub sealed_at: &'a str,
    /// Since when it was due.
    pub kept_until: String,
    /// What was promised of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<&'a Retention>,
    /// Codes of what was not as it was sealed.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub damage: &'a BTreeSet<String>,
    /// Why, in the operator's words.
    pub reason: &'a str,
    /// Who purged it.
    pub by: &'a Caller,
}

/// A run is purged.
pub fn purge(buried: &Burial<'_>, at: Moment) -> Vec<u8> {
    entry(LeafKind::Purge, at, json!(buried))
}

/// The folder of `run` became an archive of `size` bytes with this digest.
pub fn archive(run: RunId, sha256: Digest, size: u64, by: &Caller, at: Moment) -> Vec<u8> {
    let data = json!({ "run": run, "sha256": sha256, "size": size, "by": by });
    entry(LeafKind::Archive, at, data)
}

/// The archive of `run` became a folder again.
pub fn restore(run: RunId, by: &Caller, at: Moment) -> Vec<u8> {
    entry(LeafKind::Restore, at, json!({ "run": run, "by": by }))
}

/// The runs `runs` were put back from a bundle with this digest.
pub fn import(runs: &[RunId], sha256: Digest, by: &Caller, at: Moment) -> Vec<u8> {
    entry(LeafKind::Import, at, json!({ "runs": runs, "sha256": sha256, "by": by }))
}

/// A bundle of another store that was taken in and is kept as it is.
#[derive(Clone, Debug, Serialize)]
pub struct Keep<'a> {
    /// The runs in it.
    pub runs: &'a [RunId],
    /// Its digest.
    pub sha256: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Names of the logs that its proofs lead to.
    pub origins: &'a BTreeSet<String>,
    /// Before when it must not be purged.
    pub kept_until: String,
    /// Who took it in.
    pub by: &'a Caller,
}

/// A bundle of another store is kept.
pub fn keep_import(keep: &Keep<'_>, at: Moment) -> Vec<u8> {
    let mut data = json!(keep);
    data["kept"] = json!(true);
    entry(LeafKind::Import, at, data)
}

/// A kept bundle of another store that is purged: what stays of it.
#[derive(Clone, Debug, Serialize)]
pub struct BurialOfImport<'a> {
    /// Its digest.
    pub sha256: Digest,
    /// The runs in it.
    pub runs: &'a [RunId],
    /// Index of its `import` entry.
    pub import_index: u64,
    /// What was wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<&'a str>,
    /// Why, in the operator's words.
    pub reason: &'a str,
    /// Who purged it.
    pub by: &'a Caller,
}

/// A kept bundle of another store is purged.
pub fn purge_import(buried: &BurialOfImport<'_>, at: Moment) -> Vec<u8> {
    entry(LeafKind::PurgeImport, at, json!(buried))
}

/// The custody log has `count` events, of which the last line has this digest.
pub fn custody(count: u64, sha256: Digest, at: Moment) -> Vec<u8> {
    entry(LeafKind::Custody, at, json!({ "count": count, "sha256": sha256 }))
}

/// The same at a start, which found `unlogged` lines behind those that the log held: whoever has the
/// files can have written them.
pub fn custody_found(count: u64, sha256: Digest, unlogged: u64, at: Moment) -> Vec<u8> {
    let data = json!({ "count": count, "sha256": sha256, "unlogged": unlogged });
    entry(LeafKind::Custody, at, data)
}
