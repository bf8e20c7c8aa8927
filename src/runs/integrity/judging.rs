//! Owns the judging of what was read again: which findings are damage, what of it is news, and that it is
//! said once in the log.

use std::collections::BTreeSet;

use serde_json::json;

use super::Integrity;
use crate::disk;
use crate::evidence::{Finding, FindingCode, SEAL, seal_digest, verify};
use crate::id::RunId;
use crate::runs::log::seals::seal_in_log;
use crate::spans;

/// What the end of a round alone finds.
pub(super) const UNLOGGED: FindingCode = FindingCode::RunNotLogged;

impl Integrity {
    /// Read `runs`, which contradict their seals, as the scrubber would, and tell how they are.
    pub(in crate::runs) fn doubt(&self, runs: &[RunId]) {
        for run in runs {
            let folder = self.0.context.store.folder_of(*run);
            let report = verify::folder(&folder, &self.0.signing.own_trust());
            if folder.is_dir() && self.0.decisions.tombstone(*run).is_none() {
                let codes = self.codes_of_run(*run, &report.findings);
                self.judge(&run.to_string(), &report.findings, &codes);
            }
        }
    }

    /// The codes of `findings`, which the folder of `run` gave, and of what its folder cannot tell: that
    /// its seal is gone or not the logged one, and that the log does not tell of it.
    pub(super) fn codes_of_run(&self, run: RunId, findings: &[Finding]) -> BTreeSet<String> {
        let mut codes = damage_codes(findings);
        codes.extend(self.found().codes_of(&run.to_string()).0.take(UNLOGGED.as_str()));
        let folder = self.0.context.store.folder_of(run);
        let seal = seal_digest(&folder);
        if seal.is_some()
            && seal_in_log(&self.0.context.log, &self.0.context.store, run)
                .is_some_and(|logged| Some(logged) != seal)
        {
            codes.insert(FindingCode::SealNotLogged.to_string());
        }
        // Of a folder without anything in it nothing else is known.
        let none = disk::found(&folder.join(SEAL)).is_ok_and(|found| found.is_none());
        if none && folder.is_dir() {
            codes.insert(FindingCode::SealMissing.to_string());
        }
        codes
    }

    /// [`Integrity::judge`] by the codes of `findings`.
    pub(in crate::runs) fn judge_findings(&self, place: &str, findings: &[Finding]) {
        self.judge(place, findings, &damage_codes(findings));
    }

    /// Say once what is not as it was, and once that it is again. Where something cannot be read, by
    /// `findings`, what was known stays.
    pub(in crate::runs) fn judge(
        &self,
        place: &str,
        findings: &[Finding],
        codes: &BTreeSet<String>,
    ) {
        let mut codes = codes.clone();
        if self.note_unread(place, findings) {
            codes.extend(self.found().codes_of(place).0);
            if codes.is_empty() {
                return;
            }
        }
        let codes = &codes;
        if !self.is_news(place, codes) {
            return;
        }
        if codes.is_empty() {
            tracing::warn!(place, "evidence that was not as it was is as it was sealed again");
        } else {
            tracing::error!(
                place,
                codes = spans::value(codes),
                "evidence is not as it was; run `exhibit verify`"
            );
        }
        self.tell_finding(&json!({ "place": place, "codes": codes }));
    }
}

/// The codes of what is not as it was sealed; what cannot be read is none of it.
pub(in crate::runs) fn damage_codes(findings: &[Finding]) -> BTreeSet<String> {
    let bad = findings.iter().filter(|one| one.class.is_damage());
    let bad = bad.filter(|one| one.code != FindingCode::Unreadable);
    bad.map(|finding| finding.code.to_string()).collect()
}
