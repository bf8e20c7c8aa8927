//! Owns what the daemon knows of evidence that is not as it was: the findings in the log, those that
//! scrubber and watch add to them, and how each run stands by them, for whoever shows a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use serde_json::{Map, Value, json};

use super::Integrity;
use crate::error::{Problem, chain};
use crate::evidence::log::{Leaf, leaf};
use crate::evidence::{Filter, Findings, Integrity as Standing};
use crate::id::RunId;
use crate::runs::problem::store_problem;

impl Integrity {
    pub(in crate::runs) fn found(&self) -> MutexGuard<'_, Findings> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the run `id` stands; none when nothing was ever found of it.
    pub fn of(&self, id: RunId) -> Option<Standing> {
        self.found().of(id)
    }

    /// Say in `shown`, the answer about a run, that it was found to be no longer as it was sealed.
    pub fn show(&self, shown: &mut Value) {
        let Some(run) = shown["run"].as_str().and_then(|run| run.parse().ok()) else { return };
        let Some(integrity) = self.of(run) else { return };
        if integrity.is_altered() {
            // Of what is not as it was sealed nothing follows.
            for name in ["verdict", "completeness"] {
                if !shown[name].is_null() {
                    shown[name] = Value::Null;
                }
            }
        }
        shown["integrity"] = json!(integrity);
    }

    /// The runs that were found to be no longer as they were sealed.
    pub(in crate::runs) fn altered(&self) -> BTreeSet<RunId> {
        self.found().altered()
    }

    /// Leave out of what `filter` finds what does not stand: the verdict of an altered run.
    pub(in crate::runs) fn narrow(&self, filter: &mut Filter) {
        let altered = self.altered();
        if filter.altered {
            filter.only = Some(altered);
        } else if filter.verdict.is_some() {
            filter.except = altered;
        }
    }

    /// What is not as it was, by its place. What was purged since is no more.
    pub(super) fn standing_findings(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut findings = self.found().standing();
        findings.retain(|place, _| {
            place.parse().ok().is_none_or(|run| self.0.decisions.tombstone(run).is_none())
        });
        findings
    }

    /// Whether the log says otherwise of `place` than `codes`, or does not say so yet.
    pub(super) fn is_news(&self, place: &str, codes: &BTreeSet<String>) -> bool {
        let (known, logged) = self.found().codes_of(place);
        known != *codes || !logged
    }

    /// Put a finding into the log, take it over, and tell the operator's program of it.
    pub(in crate::runs) fn tell_finding(&self, told: &Value) {
        let entry = leaf::finding(told, self.0.context.clock.now());
        let mut message: Map<String, Value> =
            serde_json::from_slice(&entry).expect("an entry is an object");
        let leaf = Leaf::parse(&entry).expect("an entry of ours");
        let index = self.0.context.log.append(entry).map_err(|error| {
            let problem: Problem = store_problem(error);
            tracing::error!(error = chain(&problem), "the log does not say so");
        });
        let index = index.ok();
        self.found().take(index, &leaf);
        message.insert("log_index".to_owned(), json!(index));
        message.insert("store".to_owned(), json!(self.0.context.root().to_string_lossy()));
        self.0.hook.send(Value::Object(message));
    }
}
