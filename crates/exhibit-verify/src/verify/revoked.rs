//! Owns what the log's own `key-revocation` entries say of the folders: a signature of a key that the
//! log revokes counts where the log held its seal before, at a time before others may have had the key,
//! or where somebody who is believed about time says that it was there by then.

use jiff::Timestamp;

use super::FolderReport;
use super::log::LogCheck;
use crate::finding::{Finding, FindingCode};
use crate::layout::SIGNATURE;
use crate::log::FOLDER;

impl LogCheck<'_> {
    /// Judge the signature of the folder or archive that `report` is about by the log's revocations. Where
    /// the auditor's own list says something of its key, that was judged and counts.
    pub(super) fn revoked(&self, report: &mut FolderReport) {
        let judged = [FindingCode::KeyRevoked, FindingCode::KeyRevokedLater];
        if report.findings.iter().any(|it| judged.contains(&it.code)) {
            return;
        }
        let Some(revocation) = report.key.as_ref().and_then(|key| self.keys.revoked.get(key))
        else {
            return;
        };
        let told = report.run.and_then(|run| Some((run, self.runs.get(&run)?.last?)));
        let logged_before = told.is_some_and(|(run, index)| {
            let sealed = self.keeping.sealed_at(run);
            index < revocation.index && is_before(sealed, revocation.since)
        });
        let by_log = report.run.and_then(|run| self.sealed_by(run, &report.facts));
        let stamped = report.stamped.as_ref().and_then(|stamp| stamp.time.parse().ok());
        let there = [by_log, stamped].into_iter().flatten().min();
        if logged_before || is_before(there, revocation.since) {
            return;
        }
        let since = revocation.since.map_or("for ever".to_owned(), |at| format!("since {at}"));
        let expected = "a key that is not revoked, or a timestamp from before";
        let found = format!(
            "{}, revoked {since} by {FOLDER}#{}: {}",
            report.key.as_deref().unwrap_or_default(),
            revocation.index,
            revocation.reason
        );
        report.findings.push(Finding::new(FindingCode::KeyRevoked, SIGNATURE, expected, found));
    }
}

fn is_before(at: Option<Timestamp>, since: Option<Timestamp>) -> bool {
    at.zip(since).is_some_and(|(at, since)| at < since)
}
