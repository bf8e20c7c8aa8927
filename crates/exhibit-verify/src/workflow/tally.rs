//! Owns what the events of a run tell, as far as completeness is concerned, gathered line by line.

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
    /// Line of the event that tells of it.
    line: u64,
    /// Path inside the folder, with `data/`.
    pub(super) path: String,
    pub(super) sha256: Digest,
    /// The kind of capture; none for a recording.
    pub(super) kind: Option<&'static str>,
    pub(super) stage: String,
    pub(super) altered: bool,
}

/// A stage in which captures failed: which, how many, and the code of the last.
#[derive(Clone, Debug, Default)]
pub(super) struct Failed {
    pub(super) stage: String,
    pub(super) times: u64,
    pub(super) code: String,
}

/// What the events of a run tell so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Line of the first event of the caller's.
    pub(super) said: Option<u64>,
    /// Line of the first approval.
    pub(super) approval: Option<u64>,
    /// Code references after the opening, with their lines.
    pub(super) code: Vec<(u64, CodeReference)>,
    pub(super) shown: Vec<Shown>,
    pub(super) failed: Vec<Failed>,
    pub(super) failed_recordings: u64,
    /// Windows of recorded pages that are in no recording, as far as is known yet.
    pub(super) unrecorded_windows: u64,
}

impl Tally {
    /// Take in the event in line `line` of the chain.
    pub fn take(&mut self, line: u64, actor: Actor, kind: &str, data: &Map<String, Value>) {
        if actor == Actor::Agent {
            self.said.get_or_insert(line);
            if kind == "approval" {
                self.approval.get_or_insert(line);
            }
            return;
        }
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        match kind {
            "capture.taken" | "recording.taken" => self.shown(line, kind, data),
            "capture.failed" | "capture.refused" => self.failure(text("stage"), text("code")),
            "recording.failed" => self.failed_recordings += 1,
            RECOVERY_EVENT => self.forget(data),
            WINDOW_OPENED => self.unrecorded_windows = self.unrecorded_windows.saturating_add(1),
            WINDOW_CLOSED if data.get("recorded") == Some(&Value::Bool(true)) => {
                self.unrecorded_windows = self.unrecorded_windows.saturating_sub(1);
            }
            WINDOWS_UNWATCHED => {
                let count = data.get("count").and_then(Value::as_u64).unwrap_or_default();
                self.unrecorded_windows = self.unrecorded_windows.saturating_add(count);
            }
            CODE_EVENT => {
                let code = data.get("code").cloned().unwrap_or_default();
                self.code.extend(serde_json::from_value(code).ok().map(|code| (line, code)));
            }
            _ => {}
        }
    }

    /// What recovery found in the chain and not in the log meets no requirement: whoever has the files
    /// can write it while no daemon runs.
    fn forget(&mut self, data: &Map<String, Value>) {
        let bound = |name: &str| data.get("unlogged").and_then(|unlogged| unlogged[name].as_u64());
        let (Some(first), Some(last)) = (bound("first"), bound("last")) else { return };
        let unlogged = first..=last;
        self.shown.retain(|shown| !unlogged.contains(&shown.line));
        self.code.retain(|(line, _)| !unlogged.contains(line));
        for line in [&mut self.said, &mut self.approval] {
            *line = line.filter(|line| !unlogged.contains(line));
        }
    }

    fn shown(&mut self, line: u64, kind: &str, data: &Map<String, Value>) {
        let stage = data.get("stage").and_then(Value::as_str).unwrap_or_default();
        let altered =
            data.get("altered_by").and_then(Value::as_array).is_some_and(|by| !by.is_empty());
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
            self.shown.push(Shown { line, path, sha256, kind, stage, altered });
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
