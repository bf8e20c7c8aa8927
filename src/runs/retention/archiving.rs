//! Owns archiving: sealed runs that become one file each, and back, by entries of the log. Only
//! operators archive. What is kept how long does not change by it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::Retention;
use super::damage::{UNREADABLE, damaged};
use super::purging::PurgeBlocked;
use super::removal::{refused_by_kernel, tidy};
use super::turn::Turn;
use super::unfinished::Begun;
use crate::auth::operator;
use crate::digest::Digest;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{Act, Leaving, RunSummary, StoreError, seal_digest};
use crate::id::RunId;
use crate::request::ArchiveRequest;
use crate::run::Caller;
use crate::runs::access::accessor::decided;
use crate::runs::problem::{archived, sealed_first, store_problem, unknown};

/// A run that became an archive, or a folder again, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: String,
    /// When it was sealed, RFC 3339, UTC.
    pub sealed_at: String,
    /// Digest of the archive; none while it is only asked.
    pub sha256: Option<Digest>,
    /// Size of a new archive, in bytes.
    pub size: Option<u64>,
    /// Index of the entry in the log; none while it is only asked.
    pub log_index: Option<u64>,
}

/// What archiving or restoring came to.
#[derive(Debug, Serialize)]
pub struct Archives {
    /// Whether it was only asked what would be done.
    pub dry_run: bool,
    /// The runs with which it was done, or would be.
    pub runs: Vec<Packed>,
    /// The runs that stay as they are.
    pub refused: Vec<PurgeBlocked>,
}

impl Retention {
    /// Make archives of the runs that are asked for, or restore them. Each is verified before
    /// anything of it goes.
    ///
    /// # Errors
    /// `not_an_operator`; what keeps a run that was named as it is (then nothing is done); what the
    /// disk and the log say (then those before it are done).
    pub async fn archive(&self, asked: ArchiveRequest, by: &Caller) -> Result<Archives, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.0
            .context
            .blocking("archiving", move || {
                // One at a time.
                let turn = this.0.turns.take();
                this.archive_now(&asked, &by, &turn)
            })
            .await
    }

    fn archive_now(
        &self,
        asked: &ArchiveRequest,
        by: &Caller,
        turn: &Turn<'_>,
    ) -> Result<Archives, Problem> {
        let named = !asked.runs.is_empty();
        let mut answer = Archives { dry_run: asked.dry_run, runs: Vec::new(), refused: Vec::new() };
        let mut before =
            if asked.dry_run { Begun::default() } else { self.finish_archives(false, turn) };
        let wanted = if named { asked.runs.clone() } else { self.sealed_runs() };
        let sealed_before = asked.older_than_days.map(|days| self.days_ago(days));
        let mut due = Vec::new();
        for run in wanted {
            // What was asked for was cut short before, and has gone on.
            if before.finished.contains(&run) && self.0.decisions.is_archived(run) != asked.restore
            {
                answer.runs.push(self.packed(run)?);
                continue;
            }
            let stuck = before.stuck.remove(&run).map_or(Ok(()), Err);
            match stuck.and_then(|()| self.judge_archive(run, asked.restore)) {
                Ok(one) if sealed_before.is_some_and(|before| !is_before(&one, before)) => {}
                Ok(one) => due.push(one),
                Err(because) if named => return Err(because.field("runs")),
                Err(because) => answer.refused.push(PurgeBlocked { run, because }),
            }
        }
        for mut one in due {
            if !asked.dry_run && asked.restore {
                self.restore_one(&mut one, by, turn)?;
            } else if !asked.dry_run {
                self.archive_one(&mut one, by, turn)?;
            }
            answer.runs.push(one);
        }
        Ok(answer)
    }

    fn sealed_runs(&self) -> Vec<RunId> {
        let name = |path: std::path::PathBuf| path.file_name()?.to_str()?.parse().ok();
        self.0.context.store.sealed().filter_map(name).collect()
    }

    fn days_ago(&self, days: u32) -> Timestamp {
        let now = self.0.context.clock.now().wall;
        now.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(Timestamp::MIN)
    }

    /// Whether `run` may become an archive, or a folder.
    fn judge_archive(&self, run: RunId, restore: bool) -> Result<Packed, Problem> {
        if self.0.decisions.tombstone(run).is_some() {
            return Err(self.0.decisions.gone(run));
        }
        let summary = match self.0.catalog.record_of(run) {
            Ok(record) => RunSummary::from(record),
            Err(StoreError::NotFound { .. }) if self.0.registry.workflow_of(run).is_some() => {
                return Err(sealed_first(run));
            }
            Err(StoreError::NotFound { .. }) => return Err(unknown(run)),
            Err(error) => return Err(damaged(run, &chain(&error))),
        };
        let stands = self.0.decisions.lock().archive(run);
        let folder = self.0.context.store.folder_of(run);
        match (restore, stands) {
            (true, None) => {
                let message = format!("the run {run} is not archived; name those that are");
                return Err(Problem::new(Code::RunNotFound, message));
            }
            (false, Some(_)) => return Err(archived(run)),
            (false, None) => {
                let places = self.0.context.log.places(&[run]).map_err(store_problem)?;
                let place = places.get(&run).copied().unwrap_or_default();
                let damage: Vec<String> = self.damage_of(&folder, place).into_iter().collect();
                if !damage.is_empty() {
                    return Err(damaged(run, &damage.join(", ")));
                }
            }
            (true, Some(_)) => {}
        }
        self.0.guard.check_removable(run).map_err(|error| refused_by_kernel(run, error))?;
        let RunSummary { workflow, sealed_at, .. } = summary;
        let sha256 = stands.map(|archive| archive.sha256);
        Ok(Packed { run, workflow, sealed_at, sha256, size: None, log_index: None })
    }

    /// What was done with `run`, which the log tells of.
    fn packed(&self, run: RunId) -> Result<Packed, Problem> {
        let summary = RunSummary::from(self.0.catalog.record_of(run).map_err(store_problem)?);
        let RunSummary { workflow, sealed_at, .. } = summary;
        let last = self.0.decisions.lock().last_archive(run);
        let sha256 = last.filter(|last| !last.restored).map(|last| last.sha256);
        let size = self.0.context.store.archive_of(run).metadata().ok().map(|found| found.len());
        let log_index = last.map(|last| last.log_index);
        Ok(Packed { run, workflow, sealed_at, sha256, size, log_index })
    }

    fn archive_one(&self, one: &mut Packed, by: &Caller, turn: &Turn<'_>) -> Result<(), Problem> {
        self.0.room.check()?;
        let (run, store) = (one.run, &self.0.context.store);
        let (sha256, size) = store.write_archive(run).map_err(store_problem)?;
        self.check_unpacked(run, seal_digest(&store.folder_of(run)))?;
        store.drop_unpacked(run).map_err(store_problem)?;
        store.mark_archiving(run, false).map_err(store_problem)?;
        let index = {
            let mut standing = self.0.decisions.lock();
            let entry = leaf::archive(run, sha256, size, by, self.0.context.clock.now());
            let event = decided(by, Act::Archive, vec![run], json!({ "sha256": sha256 }));
            standing.record(event, vec![entry])?
        };
        tracing::warn!(%run, log_index = index, %sha256, by = by.account(), "a run is archived");
        store.publish_archive(run).map_err(store_problem)?;
        self.take_folder_away(run, Leaving::Archived, turn)?;
        tidy(run, store.clear_archiving(run, true));
        self.0.guard.lock_soon(run);
        (one.sha256, one.size, one.log_index) = (Some(sha256), Some(size), Some(index));
        Ok(())
    }

    fn restore_one(&self, one: &mut Packed, by: &Caller, turn: &Turn<'_>) -> Result<(), Problem> {
        self.0.room.check()?;
        let (run, store) = (one.run, &self.0.context.store);
        let (folder, seal) = (store.folder_of(run), self.logged_seal(run)?);
        // One that lies there before must be the same.
        if folder.is_dir() && !self.is_as_sealed(run)? {
            return Err(damaged(run, "a folder that lies beside the archive is another"));
        }
        self.check_unpacked(run, seal)?;
        store.mark_archiving(run, true).map_err(store_problem)?;
        store.publish_unpacked(run).map_err(store_problem)?;
        let index = {
            let mut standing = self.0.decisions.lock();
            let entry = leaf::restore(run, by, self.0.context.clock.now());
            let event = decided(by, Act::Restore, vec![run], json!({}));
            standing.record(event, vec![entry])?
        };
        tracing::warn!(%run, log_index = index, by = by.account(), "a run is restored from its archive");
        self.take_archive_away(run, turn)?;
        tidy(run, store.clear_archiving(run, false));
        self.0.guard.lock_soon(run);
        one.log_index = Some(index);
        Ok(())
    }

    /// Unpack the archive of `run` and verify what is in it: sound, and with that seal.
    fn check_unpacked(&self, run: RunId, seal: Option<Digest>) -> Result<(), Problem> {
        let room = self.0.room.spare_bytes()?;
        let folder =
            self.0.context.store.unpack_archive(run, room).map_err(|error| match &error {
                StoreError::Damaged { .. } => damaged(run, &chain(&error)),
                _ => store_problem(error),
            })?;
        let mut wrong = self.sound(&folder);
        let unread = wrong.iter().any(|code| code == UNREADABLE);
        if !unread && (seal.is_none() || seal_digest(&folder) != seal) {
            wrong.push("seal_not_logged".to_owned());
        }
        if wrong.is_empty() { Ok(()) } else { Err(damaged(run, &wrong.join(", "))) }
    }
}

fn is_before(run: &Packed, before: Timestamp) -> bool {
    run.sealed_at.parse::<Timestamp>().is_ok_and(|sealed_at| sealed_at < before)
}
