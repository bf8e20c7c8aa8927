//! Owns what could not be read: it is no change of the evidence, so that the log holds no word of it; it is
//! remembered, told by status and metrics, and tried again until somebody knows how it is.

use std::path::PathBuf;
use std::time::Duration;

use super::Integrity;
use super::scrub::is_import;
use crate::disk;
use crate::evidence::{Finding, FindingCode, LOG_PLACE, RUNS, unlisted_in};
use crate::id::RunId;

/// How long after a failure to read that is tried again.
const AGAIN: Duration = Duration::from_secs(60);

impl Integrity {
    /// Read again what could not be read, where that was long enough ago; how many bytes were read.
    pub(super) fn try_again(&self) -> Option<u64> {
        let now = self.0.context.clock.now().monotonic;
        let places: Vec<String> = {
            let mut scrubbed = self.scrub_state();
            if scrubbed.tried.is_some_and(|tried| now.saturating_sub(tried) < AGAIN) {
                return None;
            }
            scrubbed.tried = Some(now);
            scrubbed.unreadable.keys().cloned().collect()
        };
        let mut bytes = 0;
        for place in &places {
            if let Ok(run) = place.parse::<RunId>() {
                if !self.0.decisions.is_archived(run) {
                    bytes += self.read_folder(run, &self.0.context.store.folder_of(run));
                }
            } else if place == LOG_PLACE {
                let (read, findings, codes) = self.log_findings();
                self.judge(LOG_PLACE, &findings, &codes);
                bytes += read;
            }
        }
        if places.iter().any(|place| is_import(place)) {
            bytes += self.scrub_imports();
        }
        if places
            .iter()
            .any(|place| place.parse().is_ok_and(|run| self.0.decisions.is_archived(run)))
        {
            bytes += self.scrub_archives();
        }
        if places.iter().any(|place| place == RUNS) {
            self.judge_findings(RUNS, &self.unlisted());
        }
        (!places.is_empty()).then_some(bytes)
    }

    /// Folders of days, and those above them, that cannot be listed.
    pub(in crate::runs) fn unlisted(&self) -> Vec<Finding> {
        let unread = |(folder, error): (PathBuf, std::io::Error)| {
            let place =
                folder.strip_prefix(self.0.context.root()).unwrap_or(&folder).to_string_lossy();
            let expected = "a readable folder";
            Finding::new(FindingCode::Unreadable, place, expected, error.to_string())
        };
        unlisted_in(self.0.context.root()).into_iter().map(unread).collect()
    }

    /// Nothing is to be tried again of what is gone, of which the log tells.
    pub(super) fn forget_unread(&self) {
        let places: Vec<String> = self.scrub_state().unreadable.keys().cloned().collect();
        for place in places {
            let there = |run: RunId| self.may_be_there(run) || self.0.decisions.is_archived(run);
            let known = place == LOG_PLACE || place == RUNS || is_import(&place);
            if !known && !place.parse().is_ok_and(there) {
                self.scrub_state().unreadable.remove(&place);
            }
        }
    }

    /// Whether the folder of `run` is there, or nobody can tell.
    pub(super) fn may_be_there(&self, run: RunId) -> bool {
        let folder = self.0.context.store.folder_of(run);
        disk::found(&folder).map_or(true, |found| found.is_some() && folder.is_dir())
    }

    /// Remember whether `place` could be read; whether it could not.
    pub(super) fn note_unread(&self, place: &str, findings: &[Finding]) -> bool {
        let unread = findings.iter().find(|one| one.code == FindingCode::Unreadable);
        let mut scrubbed = self.scrub_state();
        let Some(finding) = unread else {
            scrubbed.unreadable.remove(place);
            return false;
        };
        let why = finding.to_string();
        if scrubbed.unreadable.insert(place.to_owned(), why.clone()).is_none() {
            tracing::error!(
                place,
                why,
                "evidence cannot be read; that is no change of it, and it is tried again"
            );
        }
        true
    }
}
