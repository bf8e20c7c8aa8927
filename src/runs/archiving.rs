//! Owns archiving: sealed runs that become one file each, and back, by entries of the log. Only
//! operators archive. What is kept how long does not change by it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::Runs;
use super::custody::decided;
use super::holds::operator;
use super::problem::{sealed_first, store_problem, unknown};
use super::purging::{Staying, UNREADABLE, refused_by_kernel, unreadable};
use super::unfinished::Begun;
use crate::digest::Digest;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{Act, Leaving, RunSummary, StoreError, seal_digest, verify};
use crate::id::RunId;
use crate::request::ArchiveRequest;
use crate::run::Caller;

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
    pub refused: Vec<Staying>,
}

impl Runs {
    /// Make archives of the runs that are asked for, or restore them. Each is verified before
    /// anything of it goes.
    ///
    /// # Errors
    /// `not_an_operator`; what keeps a run that was named as it is (then nothing is done); what the
    /// disk and the log say (then those before it are done).
    pub async fn archive(&self, asked: ArchiveRequest, by: &Caller) -> Result<Archives, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.blocking("archiving", move || {
            // One at a time.
            let _turn = this.0.purging.lock();
            this.archive_now(&asked, &by)
        })
        .await
    }

    fn archive_now(&self, asked: &ArchiveRequest, by: &Caller) -> Result<Archives, Problem> {
        let named = !asked.runs.is_empty();
        let mut answer = Archives { dry_run: asked.dry_run, runs: Vec::new(), refused: Vec::new() };
        let mut before = if asked.dry_run { Begun::default() } else { self.finish_archives(false) };
        let wanted = if named { asked.runs.clone() } else { self.sealed_runs() };
        let sealed_before = asked.older_than_days.map(|days| self.days_ago(days));
        let mut due = Vec::new();
        for run in wanted {
            // What was asked for was cut short before, and has gone on.
            if before.finished.contains(&run) && self.is_archived(run) != asked.restore {
                answer.runs.push(self.packed(run)?);
                continue;
            }
            let stuck = before.stuck.remove(&run).map_or(Ok(()), Err);
            match stuck.and_then(|()| self.judge_archive(run, asked.restore)) {
                Ok(one) if sealed_before.is_some_and(|before| !is_before(&one, before)) => {}
                Ok(one) => due.push(one),
                Err(because) if named => return Err(because.field("runs")),
                Err(because) => answer.refused.push(Staying { run, because }),
            }
        }
        for mut one in due {
            if !asked.dry_run && asked.restore {
                self.restore_one(&mut one, by)?;
            } else if !asked.dry_run {
                self.archive_one(&mut one, by)?;
            }
            answer.runs.push(one);
        }
        Ok(answer)
    }

    fn sealed_runs(&self) -> Vec<RunId> {
        let name = |path: std::path::PathBuf| path.file_name()?.to_str()?.parse().ok();
        self.0.store.sealed().filter_map(name).collect()
    }

    fn days_ago(&self, days: u32) -> Timestamp {
        let now = self.0.clock.now().wall;
        now.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(Timestamp::MIN)
    }

    /// Whether `run` may become an archive, or a folder.
    fn judge_archive(&self, run: RunId, restore: bool) -> Result<Packed, Problem> {
        if self.tombstone(run).is_some() {
            return Err(self.gone(run));
        }
        let summary = match self.record_of(run) {
            Ok(record) => RunSummary::from(record),
            Err(StoreError::NotFound { .. }) if self.workflow_of(run).is_some() => {
                return Err(sealed_first(run));
            }
            Err(StoreError::NotFound { .. }) => return Err(unknown(run)),
            Err(error) => return Err(damaged(run, &chain(&error))),
        };
        let stands = self.standing().archive(run);
        let folder = self.0.store.folder_of(run);
        match (restore, stands) {
            (true, None) => {
                let message = format!("the run {run} is not archived; name those that are");
                return Err(Problem::new(Code::RunNotFound, message));
            }
            (false, Some(_)) => return Err(archived(run)),
            (false, None) => {
                let places = self.log().places(&[run]).map_err(store_problem)?;
                let place = places.get(&run).copied().unwrap_or_default();
                let damage: Vec<String> = self.damage_of(&folder, place).into_iter().collect();
                if !damage.is_empty() {
                    return Err(damaged(run, &damage.join(", ")));
                }
            }
            (true, Some(_)) => {}
        }
        self.check_removable(run).map_err(|error| refused_by_kernel(run, error))?;
        let RunSummary { workflow, sealed_at, .. } = summary;
        let sha256 = stands.map(|archive| archive.sha256);
        Ok(Packed { run, workflow, sealed_at, sha256, size: None, log_index: None })
    }

    /// What was done with `run`, which the log tells of.
    fn packed(&self, run: RunId) -> Result<Packed, Problem> {
        let summary = RunSummary::from(self.record_of(run).map_err(store_problem)?);
        let RunSummary { workflow, sealed_at, .. } = summary;
        let last = self.standing().last_archive(run);
        let sha256 = last.filter(|last| !last.restored).map(|last| last.sha256);
        let size = self.0.store.archive_of(run).metadata().ok().map(|found| found.len());
        let log_index = last.map(|last| last.log_index);
        Ok(Packed { run, workflow, sealed_at, sha256, size, log_index })
    }

    fn archive_one(&self, one: &mut Packed, by: &Caller) -> Result<(), Problem> {
        self.check_room()?;
        let (run, store) = (one.run, &self.0.store);
        let (sha256, size) = store.write_archive(run).map_err(store_problem)?;
        self.check_unpacked(run, seal_digest(&store.folder_of(run)))?;
        store.drop_unpacked(run).map_err(store_problem)?;
        store.mark_archiving(run, false).map_err(store_problem)?;
        let index = {
            let mut standing = self.standing();
            let entry = leaf::archive(run, sha256, size, by, self.0.clock.now());
            let deed = decided(by, Act::Archive, vec![run], json!({ "sha256": sha256 }));
            self.put_down(&mut standing, deed, vec![entry])?
        };
        tracing::warn!(%run, log_index = index, %sha256, ?by, "a run is archived");
        store.publish_archive(run).map_err(store_problem)?;
        self.take_folder_away(run, Leaving::Archived)?;
        tidy(run, store.clear_archiving(run, true));
        self.lock_soon(run);
        (one.sha256, one.size, one.log_index) = (Some(sha256), Some(size), Some(index));
        Ok(())
    }

    fn restore_one(&self, one: &mut Packed, by: &Caller) -> Result<(), Problem> {
        self.check_room()?;
        let (run, store) = (one.run, &self.0.store);
        let (folder, seal) = (store.folder_of(run), self.logged_seal(run)?);
        // One that lies there before must be the same.
        if folder.is_dir() && !self.is_as_sealed(run)? {
            return Err(damaged(run, "a folder that lies beside the archive is another"));
        }
        self.check_unpacked(run, seal)?;
        store.mark_archiving(run, true).map_err(store_problem)?;
        store.publish_unpacked(run).map_err(store_problem)?;
        let index = {
            let mut standing = self.standing();
            let entry = leaf::restore(run, by, self.0.clock.now());
            let deed = decided(by, Act::Restore, vec![run], json!({}));
            self.put_down(&mut standing, deed, vec![entry])?
        };
        tracing::warn!(%run, log_index = index, ?by, "a run is restored from its archive");
        self.take_archive_away(run)?;
        tidy(run, store.clear_archiving(run, false));
        self.lock_soon(run);
        one.log_index = Some(index);
        Ok(())
    }

    /// The digest of the seal of `run` that the log holds.
    fn logged_seal(&self, run: RunId) -> Result<Option<Digest>, Problem> {
        let places = self.log().places(&[run]).map_err(store_problem)?;
        let seal = places.get(&run).and_then(|place| place.seal);
        Ok(seal.and_then(|seal| self.log().entry(seal).ok()).map(|seal| Digest::of(&seal)))
    }

    /// Whether the folder of `run` is sound, and the one that the log holds the seal of.
    pub(super) fn is_as_sealed(&self, run: RunId) -> Result<bool, Problem> {
        let (folder, seal) = (self.0.store.folder_of(run), self.logged_seal(run)?);
        let wrong = self.sound(&folder);
        if wrong.iter().any(|code| code == UNREADABLE) {
            return Err(unreadable(run));
        }
        Ok(seal.is_some() && seal_digest(&folder) == seal && wrong.is_empty())
    }

    /// Remove the archive of `run`, of which the log says that it is a folder again.
    pub(super) fn take_archive_away(&self, run: RunId) -> Result<(), Problem> {
        let removed = self.let_go(run, || self.0.store.remove_archive(run))?;
        removed.map_err(|error| refused_by_kernel(run, error))
    }

    /// Unpack the archive of `run` and verify what is in it: sound, and with that seal.
    fn check_unpacked(&self, run: RunId, seal: Option<Digest>) -> Result<(), Problem> {
        let room = self.spare_bytes()?;
        let folder = self.0.store.unpack_archive(run, room).map_err(|error| match &error {
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

    /// Codes of what is wrong with `folder`.
    pub(super) fn sound(&self, folder: &std::path::Path) -> Vec<String> {
        let report = verify::folder(folder, &self.own_trust());
        let bad = report.findings.iter().filter(|one| one.class.is_damage());
        let mut codes: Vec<String> = bad.map(|finding| finding.code.to_string()).collect();
        codes.dedup();
        codes
    }

    /// What is wrong with the archive of `run`: codes of findings.
    pub(super) fn damage_of_archive(&self, run: RunId) -> BTreeSet<String> {
        let stands = self.standing().archive(run);
        let found = disk::open(&self.0.store.archive_of(run)).and_then(Digest::of_reader);
        if found.as_ref().is_err_and(|error| disk::is_unreadable(error)) {
            return [UNREADABLE.to_owned()].into();
        }
        let found = found.ok().map(|(sha256, _)| sha256);
        let sound = found.is_some() && found == stands.map(|archive| archive.sha256);
        let codes = if sound { None } else { Some("archive_not_logged".to_owned()) };
        codes.into_iter().collect()
    }

    /// Whether `run` lies in the store as an archive that the log tells of.
    pub fn is_archived(&self, run: RunId) -> bool {
        self.standing().archive(run).is_some() && self.0.store.archive_of(run).is_file()
    }
}

fn is_before(run: &Packed, before: Timestamp) -> bool {
    run.sealed_at.parse::<Timestamp>().is_ok_and(|sealed_at| sealed_at < before)
}

/// With `run` all is done, and what is left of the doing was `removed`, or is by the next start.
pub(super) fn tidy(run: RunId, removed: Result<(), StoreError>) {
    if let Err(error) = removed {
        tracing::warn!(%run, error = chain(&error), "its mark stays until the next start");
    }
}

/// What is said to whoever wants to look into the archived run `run`.
pub(super) fn archived(run: RunId) -> Problem {
    let message = format!(
        "the run {run} is archived; have an operator restore it (`exhibit archive --restore {run}`)"
    );
    Problem::new(Code::RunArchived, message)
}

pub(super) fn damaged(run: RunId, what: &str) -> Problem {
    if what == UNREADABLE {
        return unreadable(run);
    }
    let message = format!(
        "the run {run} is not as it was sealed ({what}), and stays as it is; look into it with \
         `exhibit verify`"
    );
    Problem::new(Code::RunDamaged, message)
}
