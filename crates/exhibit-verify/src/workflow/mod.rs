//! Owns what a workflow requires of its runs, and the judgement whether a run holds it: a pure
//! function of the run's first event, the events after it and the files it lists. Knows neither
//! disk nor configuration.

mod judge;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use judge::judge;
pub use tally::{CODE_EVENT, Tally, WINDOW_CLOSED, WINDOW_OPENED, WINDOWS_UNWATCHED};

/// A part of the evidence that a run can be required to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// What the agent says: events of its caller.
    Log,
    /// What ran: a code reference that names a commit or a file's hash.
    Code,
    /// What was seen: a capture or a recording that succeeded.
    Visual,
}

/// A field that a run can be required to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// Which agent acts.
    Agent,
    /// On whose behalf.
    Principal,
    /// What it is about.
    Subject,
    /// An event of the kind `approval`.
    Approval,
    /// A code reference.
    Code,
    /// A code reference with a link to its review.
    Review,
}

macro_rules! words {
    ($type:ident: $( $variant:ident = $word:literal ),+) => {
        impl $type {
            /// Every one there is, with its word.
            pub const ALL: &'static [(&'static str, Self)] = &[$( ($word, Self::$variant) ),+];

            /// Its word in configuration and evidence.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }
        }
    };
}

words!(Layer: Log = "log", Code = "code", Visual = "visual");
words!(Field: Agent = "agent", Principal = "principal", Subject = "subject",
       Approval = "approval", Code = "code", Review = "review");

/// The kinds of capture that a stage can be required to hold, by the words of `type` in the API,
/// and the beginnings of the files that show them.
pub const KINDS: &[(&str, &str)] = &[
    ("screenshot", "screenshot."),
    ("pdf", "document."),
    ("inspect", "inspection."),
    ("observe", "observation."),
];

/// What a workflow requires of its runs. A run keeps the one under which it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policy {
    /// Layers that must be there.
    pub layers: Vec<Layer>,
    /// Stages that must have a capture, and of which kinds; any kind where none is named.
    pub stages: BTreeMap<String, Vec<String>>,
    /// Whether there must be a recording.
    pub recording: bool,
    /// Whether a picture counts that does not show all it seems to (`incomplete_view`).
    #[serde(skip_serializing_if = "is_false")]
    pub incomplete_views: bool,
    /// Fields that must be there.
    pub fields: Vec<Field>,
    /// Controls it supports: `CC8.1`.
    pub controls: Vec<String>,
    /// Name of the retention class of its runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<String>,
    /// A run open for this long is sealed as expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_duration_ms: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(it: &bool) -> bool {
    !*it
}

impl Policy {
    /// Whether it requires nothing at all.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
            && self.stages.is_empty()
            && !self.recording
            && self.fields.is_empty()
    }
}

/// Whether a run holds what its workflow requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything is there.
    Complete,
    /// Something is missing.
    Incomplete,
}

impl Verdict {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Incomplete => "incomplete",
        }
    }
}

/// The judgement over a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// Whether everything required is there.
    pub verdict: Verdict,
    /// The workflow whose policy it was.
    pub workflow: String,
    /// Controls that the workflow, or the run's caller, named.
    pub controls: Vec<String>,
    /// What was required, one by one.
    pub requirements: Vec<Requirement>,
}

impl Completeness {
    /// What is missing, a sentence each, with how it is added.
    pub fn missing(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().filter_map(|one| one.reason.as_deref())
    }
}

/// What `reason` says is missing, without the request that would add it: nothing can be added to a
/// sealed run.
pub fn without_remedy(reason: &str) -> &str {
    match reason.split_once("; ") {
        Some((lack, remedy)) if remedy.contains("POST /") => lack,
        _ => reason,
    }
}

/// What sort of thing is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequirementKind {
    /// A layer.
    Layer,
    /// A stage with a capture.
    Stage,
    /// A recording.
    Recording,
    /// A field.
    Field,
}

/// One thing required of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// What sort of thing.
    pub kind: RequirementKind,
    /// Which: `visual`, `before`, `principal`.
    pub name: String,
    /// The kinds of capture that the stage must have, where it must have certain ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captures: Vec<String>,
    /// Whether it is there.
    pub met: bool,
    /// Where: a file below `data/`, or a line of the event chain, `events.jsonl:7`. At most
    /// [`MAX_EVIDENCE`] of them.
    pub evidence: Vec<String>,
    /// Those of `evidence` that show an altered view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub altered: Vec<String>,
    /// What is missing and how it is added, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Most places that one requirement names.
pub const MAX_EVIDENCE: usize = 100;
