//! Owns the purges of kept bundles of other stores: what was promised of the runs in one, and what is
//! in force here, keeps it as it keeps runs. The log keeps that it was there.

use serde::Serialize;
use serde_json::json;

use super::Retention;
use super::holds::check_not_held;
use super::imports::not_found;
use super::turn::Turn;
use crate::auth::operator;
use crate::digest::Digest;
use crate::error::{Code, Problem};
use crate::evidence::log::{KeptImport, leaf};
use crate::evidence::{Act, FindingCode, StoreError};
use crate::id::RunId;
use crate::request::ImportPurgeRequest;
use crate::run::Caller;
use crate::runs::access::accessor::decided;
use crate::runs::problem::store_problem;

/// A kept bundle that was purged, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PurgedImport {
    /// Whether it was only asked what would go.
    pub dry_run: bool,
    /// Digest of the bundle.
    pub sha256: Digest,
    /// The runs in it.
    pub runs: Vec<RunId>,
    /// Since when it was due, RFC 3339, UTC.
    pub kept_until: Option<String>,
    /// Index of the entry in the log; none while it is only asked.
    pub log_index: Option<u64>,
}

impl Retention {
    /// Take the kept bundle with this digest away: once its time is over, and while nobody holds one of
    /// its runs here.
    ///
    /// # Errors
    /// `not_an_operator`, `import_not_found`, `not_due`, `run_held`; `run_damaged` for one that is gone
    /// or has other bytes, unless that is asked for; `store_unwritable` where the kernel keeps it.
    pub async fn purge_import(
        &self,
        sha256: Digest,
        asked: ImportPurgeRequest,
        by: &Caller,
    ) -> Result<PurgedImport, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.0
            .context
            .blocking("purging a bundle", move || {
                let turn = this.0.turns.take();
                this.finish_kept_imports(false, &turn);
                this.purge_import_now(sha256, &asked, &by, &turn)
            })
            .await
    }

    fn purge_import_now(
        &self,
        sha256: Digest,
        asked: &ImportPurgeRequest,
        by: &Caller,
        _turn: &Turn<'_>,
    ) -> Result<PurgedImport, Problem> {
        let store = &self.0.context.store;
        let kept =
            self.0.decisions.lock().import(sha256).cloned().ok_or_else(|| not_found(sha256))?;
        self.check_due(&kept)?;
        let damage = self.damage_of_import(&kept)?;
        if let Some(damage) = damage.filter(|_| !asked.even_damaged) {
            return Err(damaged(sha256, damage));
        }
        store.check_import_removable(sha256).map_err(kept_by_kernel)?;
        let KeptImport { runs, kept_until, log_index: import_index, .. } = kept;
        let dry_run = asked.dry_run;
        let mut answer = PurgedImport { dry_run, sha256, runs, kept_until, log_index: None };
        for run in &answer.runs {
            check_not_held(&self.0.decisions.lock(), *run)?;
        }
        if dry_run {
            return Ok(answer);
        }
        let (runs, reason) = (answer.runs.as_slice(), asked.reason.as_str());
        let buried = leaf::BurialOfImport { sha256, runs, import_index, damage, reason, by };
        let entry = leaf::purge_import(&buried, self.0.context.clock.now());
        store.mark_import_going(sha256).map_err(store_problem)?;
        let index = {
            let mut standing = self.0.decisions.lock();
            let detail = json!({ "sha256": sha256, "kept": true, "reason": reason });
            let event = decided(by, Act::Purge, runs.to_vec(), detail);
            standing.record(event, vec![entry])?
        };
        tracing::warn!(%sha256, log_index = index, by = by.account(), "a kept bundle of another store is purged");
        store.remove_import(sha256).map_err(kept_by_kernel)?;
        answer.log_index = Some(index);
        Ok(answer)
    }

    fn check_due(&self, kept: &KeptImport) -> Result<(), Problem> {
        let Some(until) = &kept.kept_until else { return Ok(()) };
        let now = self.0.context.clock.now().wall;
        // A time that is none keeps it for ever.
        if until.parse::<jiff::Timestamp>().is_ok_and(|until| until <= now) {
            return Ok(());
        }
        let message = format!(
            "the bundle {} is kept until {until}, as was promised of its runs; wait until then",
            kept.sha256
        );
        Err(Problem::new(Code::NotDue, message).field("sha256"))
    }

    /// What is wrong with the bundle: the code of a finding.
    fn damage_of_import(&self, kept: &KeptImport) -> Result<Option<&'static str>, Problem> {
        match self.0.context.store.kept_import(kept.sha256, kept.size) {
            Ok(Some(_)) => Ok(None),
            Ok(None) => Ok(Some(FindingCode::ImportGone.as_str())),
            Err(StoreError::Damaged { .. }) => Ok(Some(FindingCode::ImportNotLogged.as_str())),
            Err(error) => Err(store_problem(error)),
        }
    }
}

fn damaged(sha256: Digest, what: &str) -> Problem {
    let message = format!(
        "the bundle {sha256} is not as it was taken in ({what}), and damage is evidence too; look into \
         it, then ask with `even_damaged` (--even-damaged)"
    );
    Problem::new(Code::RunDamaged, message).field("sha256")
}

fn kept_by_kernel(error: StoreError) -> Problem {
    if !matches!(error, StoreError::Unwritable { .. }) {
        return store_problem(error);
    }
    let message = "the kernel does not let the bundle go: it is immutable, or another user's; clear that \
                   (`chattr -i -a`, lsattr shows it), then ask again";
    Problem::new(Code::StoreUnwritable, message).because(error)
}
