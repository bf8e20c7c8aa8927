//! Owns what the events of a run tell, as far as completeness is concerned, gathered line by line.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::KINDS;
use crate::artifact::Artifact;
use crate::run::{Actor, CodeReference};
use exhibit_tlog::digest::Digest;

/// Kind of the event that tells of a code reference given after the run was opened.
pub const CODE_EVENT: &str = "code.referenced";

/// Kind of the event that tells of a recovery.
const RECOVERY_EVENT: &str = "run.recovered";
/// Kind of the event that tells that a recorded page, or a window of its, opened one more.
pub const WINDOW_OPENED: &str = "window.opened";
/// Kind of the event that tells what such a window did, and whether that is recorded.
pub const WINDOW_CLOSED: &str = "window.closed";
/// Kind of the event that tells how many windows were opened beyond those that are watched.
pub const WINDOWS_UNWATCHED: &str = "windows.unwatched";

/// A capture or a recording that succeeded, with the file that shows it.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// Path inside the folder, with `data/`.
    pub(super) path: String,
    pub(super) sha256: Digest,
    /// The kind of capture; none for a recording.
    pub(super) kind: Option<&'static str>,
    pub(super) stage: String,
    pub(super) altered: bool,
    /// Whether it is a picture that does not show all it seems to.
    pub(super) incomplete: bool,
}

/// A stage in which captures failed: which, how many, and the code of the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Failed {
    pub(super) stage: String,
    pub(super) times: u64,
    pub(super) code: String,
}

/// What one event tells.
#[derive(Clone, Debug)]
enum Effect {
    /// The caller said something, in this line and those that follow it up to `last`.
    Said {
        last: u64,
    },
    Approved,
    Code(CodeReference),
    Shown(Shown),
    Failed {
        stage: String,
        code: String,
    },
    RecordingFailed,
    WindowOpened,
    WindowRecorded,
    Unwatched(u64),
}

/// What the events of a run tell so far, line by line: what a later recovery says that the log did not
/// hold is left out again.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    effects: Vec<(u64, Effect)>,
    /// The lines that each recovery found in the chain and not in the log, with its own.
    unlogged: Vec<(u64, RangeInclusive<u64>)>,
}

/// What counts of the events of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Counted<'t> {
    /// Line of the first event of the caller's.
    pub(super) said: Option<u64>,
    /// Line of the first approval.
    pub(super) approval: Option<u64>,
    /// Code references after the opening, with their lines.
    pub(super) code: Vec<(u64, &'t CodeReference)>,
    pub(super) shown: Vec<&'t Shown>,
    pub(super) failed: Vec<Failed>,
    pub(super) failed_recordings: u64,
    /// Windows of recorded pages that are in no recording, as far as is known yet.
    pub(super) unrecorded_windows: u64,
}

impl Tally {
    /// Take in the event in line `line` of the chain.
    pub fn take(&mut self, line: u64, actor: Actor, kind: &str, data: &Map<String, Value>) {
        if actor == Actor::Agent {
            self.note_agent_event(line);
            if kind == "approval" {
                self.effects.push((line, Effect::Approved));
            }
            return;
        }
        let text =
            |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let effect = match kind {
            "capture.taken" | "recording.taken" => return self.shown(line, kind, data),
            "capture.failed" | "capture.refused" => {
                Effect::Failed { stage: text("stage"), code: text("code") }
            }
            "recording.failed" => Effect::RecordingFailed,
            RECOVERY_EVENT => return self.recovered(line, data),
            WINDOW_OPENED => Effect::WindowOpened,
            WINDOW_CLOSED if data.get("recorded") == Some(&Value::Bool(true)) => {
                Effect::WindowRecorded
            }
            WINDOWS_UNWATCHED => {
                let count = data.get("count").and_then(Value::as_u64).unwrap_or_default();
                Effect::Unwatched(count)
            }
            CODE_EVENT => {
                let code = data.get("code").cloned().unwrap_or_default();
                let Ok(code) = serde_json::from_value(code) else { return };
                Effect::Code(code)
            }
            _ => return,
        };
        self.effects.push((line, effect));
    }

    fn note_agent_event(&mut self, line: u64) {
        match self.effects.last_mut() {
            Some((_, Effect::Said { last })) if *last + 1 == line => *last = line,
            _ => self.effects.push((line, Effect::Said { last: line })),
        }
    }

    /// What recovery found in the chain and not in the log: it ends right before the event that tells
    /// so, and anything else that says so was not written by a recovery.
    fn recovered(&mut self, line: u64, data: &Map<String, Value>) {
        let bound = |name: &str| data.get("unlogged").and_then(|unlogged| unlogged[name].as_u64());
        let (Some(first), Some(last)) = (bound("first"), bound("last")) else { return };
        if first <= last && last + 1 == line {
            self.unlogged.push((line, first..=last));
        }
    }

    /// The lines that count for nothing, because whoever has the files could write them while no daemon
    /// ran. A recovery that stands in such lines itself takes nothing away.
    fn uncounted(&self) -> Vec<RangeInclusive<u64>> {
        let mut uncounted: Vec<RangeInclusive<u64>> = Vec::new();
        for (line, unlogged) in self.unlogged.iter().rev() {
            if !uncounted.iter().any(|lines| lines.contains(line)) {
                uncounted.push(unlogged.clone());
            }
        }
        uncounted
    }

    /// What counts.
    pub(super) fn counted(&self) -> Counted<'_> {
        let uncounted = self.uncounted();
        let counts = |line: u64| !uncounted.iter().any(|lines| lines.contains(&line));
        let mut counted = Counted::default();
        for (line, effect) in &self.effects {
            if let Effect::Said { last } = effect {
                let first = (*line..=*last).find(|line| counts(*line));
                counted.said = counted.said.or(first);
            } else if counts(*line) {
                counted.take(*line, effect);
            }
        }
        counted
    }

    fn shown(&mut self, line: u64, kind: &str, data: &Map<String, Value>) {
        let stage = data.get("stage").and_then(Value::as_str).unwrap_or_default();
        let altered =
            data.get("altered_by").and_then(Value::as_array).is_some_and(|by| !by.is_empty());
        let incomplete =
            data.get("incomplete_view").and_then(Value::as_array).is_some_and(|it| !it.is_empty());
        for Artifact { path, media_type, sha256, .. } in Artifact::stated(kind, data) {
            let kind = match path.split('/').collect::<Vec<_>>().as_slice() {
                ["data", "captures", _, file] => {
                    let known = KINDS.iter().find(|(_, beginning)| file.starts_with(beginning));
                    let Some((kind, _)) = known else { continue };
                    Some(*kind)
                }
                ["data", "recordings", _] if media_type == "video/mp4" => None,
                _ => continue,
            };
            let stage = stage.to_owned();
            let incomplete = incomplete && kind == Some(KINDS[0].0);
            let shown = Shown { path, sha256, kind, stage, altered, incomplete };
            self.effects.push((line, Effect::Shown(shown)));
        }
    }
}

impl<'t> Counted<'t> {
    fn take(&mut self, line: u64, effect: &'t Effect) {
        let windows = &mut self.unrecorded_windows;
        match effect {
            Effect::Said { .. } => {}
            Effect::Approved => drop(self.approval.get_or_insert(line)),
            Effect::Code(code) => self.code.push((line, code)),
            Effect::Shown(shown) => self.shown.push(shown),
            Effect::Failed { stage, code } => self.failure(stage, code),
            Effect::RecordingFailed => self.failed_recordings += 1,
            Effect::WindowOpened => *windows = windows.saturating_add(1),
            Effect::WindowRecorded => *windows = windows.saturating_sub(1),
            Effect::Unwatched(count) => *windows = windows.saturating_add(*count),
        }
    }

    fn failure(&mut self, stage: &str, code: &str) {
        let known = self.failed.iter().position(|failed| failed.stage == stage);
        let index = known.unwrap_or_else(|| {
            self.failed.push(Failed { stage: stage.to_owned(), ..Failed::default() });
            self.failed.len() - 1
        });
        let failed = &mut self.failed[index];
        failed.times += 1;
        code.clone_into(&mut failed.code);
    }
}
