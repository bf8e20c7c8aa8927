//! Owns what a run is: what its caller declared when opening it, who the caller was, its events
//! and how it ended. Knows neither disk nor wire.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::RunId;
use crate::retention::Retention;
use crate::workflow::Policy;
use exhibit_tlog::digest::Digest;

/// Who asked, as the daemon itself established it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "kebab-case")]
pub enum Caller {
    /// Over the Unix socket; the kernel says who.
    Socket {
        /// User id of the peer.
        uid: u32,
        /// Group id of the peer.
        gid: u32,
        /// Process id of the peer at the time it connected.
        pid: Option<i32>,
    },
    /// Over TCP, with an API key.
    Key {
        /// Identity of the key (never the key).
        id: String,
        /// Name the key was given when it was made.
        name: String,
    },
    /// The daemon itself, when it recovers or closes a run.
    Daemon,
}

impl Caller {
    /// Who it is, in words.
    pub fn words(&self) -> String {
        match self {
            Self::Socket { uid, .. } => format!("user {uid}"),
            Self::Key { id, name } => format!("key {name} ({id})"),
            Self::Daemon => "the daemon".to_owned(),
        }
    }

    /// A text for whom limits and usage are counted: equal for callers who may act on each other's runs
    /// ([`Caller::may_act_on`]).
    pub fn account(&self) -> String {
        match self {
            Self::Socket { uid, .. } => format!("uid:{uid}"),
            Self::Key { id, .. } => format!("key:{id}"),
            Self::Daemon => "daemon".to_owned(),
        }
    }

    /// Whether `self` may act on a run that `opener` opened: the same user, or the same key.
    pub fn may_act_on(&self, opener: &Self) -> bool {
        match (self, opener) {
            (Self::Daemon, _) => true,
            (Self::Socket { uid, .. }, Self::Socket { uid: opener, .. }) => uid == opener,
            (Self::Key { id, .. }, Self::Key { id: opener, .. }) => id == opener,
            _ => false,
        }
    }
}

/// Whose runs somebody may look at. Looking is never acting: see [`Caller::may_act_on`] for that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Everybody's: the recorder's own user, root, and whom the configuration names.
    Everything,
    /// A caller's own.
    Own(Caller),
}

impl Reader {
    /// Whether the run that `opener` opened may be looked at.
    pub fn may_read(&self, opener: &Caller) -> bool {
        match self {
            Self::Everything => true,
            Self::Own(caller) => caller.may_act_on(opener),
        }
    }
}

/// Which code ran (layer 2), as the caller declares it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeReference {
    /// Where the code lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// Commit id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Path inside the repository.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which part of the file: a function, a class, a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symbol: Option<String>,
    /// SHA-256 of the file that ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Who reviewed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// Link to the review.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<String>,
}

/// What the caller declares when opening a run. Everything is the caller's word, and the record
/// keeps it as such.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunSpec {
    /// Kind of run: `refund`, `access-change`, `data-validation`, or a name of the caller's.
    pub workflow: String,
    /// Which agent acts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// What it is about: a transaction, an account, a data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Controls the run supports: `CC6.1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<String>,
    /// Which code ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeReference>,
    /// Free text by name.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub labels: Map<String, Value>,
    /// W3C Trace Context, to join the run to a trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// The workflow of a capture for which no run was named.
pub const STANDALONE: &str = "standalone";

/// All that is known of a run when it is opened; the data of its first event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Identity of the run.
    pub run: RunId,
    /// What the caller declared.
    #[serde(flatten)]
    pub spec: RunSpec,
    /// What its workflow required when it was opened; none when nobody had configured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
    /// How long it is to be kept; none in runs of versions that promised nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    /// Who asked.
    pub caller: Caller,
    /// Name of the host the daemon runs on.
    pub host: String,
    /// Version of the daemon.
    pub exhibit: String,
    /// What was taken out of the caller's declaration as secrets: rules, numbers and places. It stands
    /// in the first event and nowhere else.
    #[serde(default, skip_serializing)]
    pub redacted: Option<Value>,
}

/// Who an event speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The agent, through its caller: its own word.
    Agent,
    /// The daemon: what it did and saw itself.
    Exhibit,
}

/// An event before it is placed in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Who speaks.
    pub actor: Actor,
    /// What kind of event: `log`, `decision`, `capture.taken`, …
    pub kind: String,
    /// Its structured data, a JSON object.
    pub data: Map<String, Value>,
}

impl Event {
    /// An event of the daemon's own. `data` that is no JSON object is kept under `value`.
    pub fn exhibit(kind: &str, data: Value) -> Self {
        let data = match data {
            Value::Object(map) => map,
            other => Map::from_iter([("value".to_owned(), other)]),
        };
        Self { actor: Actor::Exhibit, kind: kind.to_owned(), data }
    }
}

/// Where an event came to stand in its run's chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// Position in the chain, from 1.
    pub sequence: u64,
    /// Time of the event, RFC 3339, UTC.
    pub time: String,
    /// SHA-256 of the event's line, without the line feed.
    pub sha256: Digest,
}

/// Key of an event's data that lists what was taken out of it as secrets.
pub const REDACTED: &str = "redacted";

/// How a run came to be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// By its caller, or at the end of a stand-alone capture.
    Sealed,
    /// By the daemon, because the run outlived its time.
    Expired,
    /// By the daemon, after a crash or while stopping.
    Interrupted,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// How it came to be sealed.
    pub state: State,
    /// What the caller says came of it: `succeeded`, `failed`, or a word of the caller's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Why, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was taken out of both as secrets, as in [`Opening::redacted`]; in the last event alone.
    #[serde(default, skip_serializing)]
    pub redacted: Option<Value>,
}

impl Ending {
    /// How a run ended, by nobody's word but these.
    pub fn new(state: State, outcome: Option<String>, reason: Option<String>) -> Self {
        Self { state, outcome, reason, redacted: None }
    }

    /// Sealed by the caller, with its outcome.
    pub fn sealed(outcome: impl Into<String>) -> Self {
        Self::new(State::Sealed, Some(outcome.into()), None)
    }

    /// Sealed by the daemon because it had to stop, or had stopped.
    pub fn interrupted(reason: impl Into<String>) -> Self {
        Self::new(State::Interrupted, None, Some(reason.into()))
    }
}
