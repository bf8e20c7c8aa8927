//! Owns purges: which runs are due, what keeps a run from going, and the going itself, by an entry of
//! the log that stays in its place. Only operators purge.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Runs;
use super::archiving::tidy;
use super::custody::decided;
use super::holds::operator;
use super::problem::{sealed_first, store_problem, unknown};
use crate::clock::rfc3339_millis;
use crate::digest::Digest;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{Leaf, Logged, Standing, Tombstone, leaf};
use crate::evidence::{Act, FindingCode, Leaving, RunSummary, StoreError, seal_digest, verify};
use crate::id::RunId;
use crate::request::PurgeRequest;
use crate::retention::Retention;
use crate::run::Caller;

/// A run that is purged, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Going {
    /// The run.
    pub run: RunId,
    /// Its workflow.
    pub workflow: String,
    /// When it was sealed, RFC 3339, UTC.
    pub sealed_at: String,
    /// Since when it is due, RFC 3339, UTC.
    pub kept_until: String,
    /// Index of its purge in the log; none while it is only asked what would go.
    pub log_index: Option<u64>,
}

/// A run that stays, though it is due or was named.
#[derive(Debug, Serialize)]
pub struct Staying {
    /// The run.
    pub run: RunId,
    /// What keeps it.
    #[serde(flatten)]
    pub because: Problem,
}

/// What a purge came to.
#[derive(Debug, Serialize)]
pub struct Purged {
    /// Whether it was only asked what would go.
    pub dry_run: bool,
    /// The runs that went, or would.
    pub purged: Vec<Going>,
    /// The runs that stay.
    pub refused: Vec<Staying>,
}

/// What the log says of a sealed run. A run's own files do not decide when it may go: whoever can change
/// them would decide it.
struct Told {
    run: RunId,
    workflow: String,
    sealed_at: String,
    /// Where it was promised when it was opened.
    retention: Option<Retention>,
}

/// A run that may go, with what its tombstone will say.
struct Due {
    told: Told,
    until: Timestamp,
    damage: BTreeSet<String>,
    place: Logged,
}

impl Runs {
    /// Purge the runs that are asked for, or all that are due. Each one's entry is in the log before
    /// anything of it goes.
    ///
    /// # Errors
    /// `not_an_operator`; what keeps a run that was named (then none goes); what the disk and the
    /// log say (then those before it are gone, and the next purge goes on).
    pub async fn purge(&self, asked: PurgeRequest, by: &Caller) -> Result<Purged, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.blocking("purging", move || {
            // One at a time.
            let _turn = this.0.purging.lock();
            let mut done = this.purge_now(&asked, &by);
            if !asked.dry_run && done.as_ref().is_err_and(|problem| this.makes_room(problem, true))
            {
                done = this.purge_now(&asked, &by);
            }
            // What went may have left the room that was wanting.
            if this.is_read_only() {
                this.look_for_room();
            }
            done
        })
        .await
    }

    fn purge_now(&self, asked: &PurgeRequest, by: &Caller) -> Result<Purged, Problem> {
        let named = !asked.runs.is_empty();
        let mut answer = Purged { dry_run: asked.dry_run, purged: Vec::new(), refused: Vec::new() };
        let finished = if asked.dry_run { BTreeSet::new() } else { self.go_on(&asked.runs)? };
        let wanted = if named { asked.runs.clone() } else { self.due_by_date() };
        let places = self.log().places(&wanted).map_err(store_problem)?;
        let mut due = Vec::new();
        for run in wanted {
            // Its purge was cut short before, and has gone on.
            if finished.contains(&run) {
                continue;
            }
            match self.judge_due(run, asked.even_damaged, &places) {
                Ok(one) => due.push(one),
                Err(because) if named => return Err(because.field("runs")),
                Err(because) => answer.refused.push(Staying { run, because }),
            }
        }
        for one in due {
            let log_index = if asked.dry_run { None } else { Some(self.bury(&one, asked, by)?) };
            let Due { told, until, .. } = one;
            answer.purged.push(Going {
                run: told.run,
                workflow: told.workflow,
                sealed_at: told.sealed_at,
                kept_until: rfc3339_millis(until),
                log_index,
            });
        }
        Ok(answer)
    }

    /// The sealed runs whose time is over, by their own records: a hint where to look, since the log
    /// decides. One whose record cannot be read is `verify`'s to tell of.
    fn due_by_date(&self) -> Vec<RunId> {
        let now = self.0.clock.now().wall;
        let archived: Vec<RunId> = self.standing().archives().map(|(run, _)| run).collect();
        let archived = archived.into_iter().filter_map(|run| self.record_of(run).ok());
        let summaries = self.0.store.sealed().filter_map(|folder| RunSummary::read(&folder).ok());
        let summaries = summaries.chain(archived.map(RunSummary::from));
        let due = summaries.filter(|run| self.kept_until(run) <= now);
        due.map(|run| run.run).collect()
    }

    /// Whether `run` may go.
    fn judge_due(
        &self,
        run: RunId,
        even_damaged: bool,
        places: &HashMap<RunId, Logged>,
    ) -> Result<Due, Problem> {
        if self.tombstone(run).is_some() {
            return Err(self.gone(run));
        }
        let folder = self.0.store.folder_of(run);
        if !folder.is_dir() && !self.is_archived(run) {
            let open = self.workflow_of(run).is_some();
            return Err(if open { sealed_first(run) } else { self.gone(run) });
        }
        check_not_held(&self.standing(), run)?;
        let place = places.get(&run).copied().unwrap_or_default();
        let told = self.told(run, place)?;
        let until = self.kept_for(told.retention.as_ref(), &told.sealed_at);
        self.check_over(run, until)?;
        let damage = if folder.is_dir() {
            self.damage_of(&folder, place)
        } else {
            self.damage_of_archive(run)
        };
        if !damage.is_empty() && !even_damaged {
            let codes: Vec<&str> = damage.iter().map(String::as_str).collect();
            return Err(if codes == [UNREADABLE] {
                unreadable(run)
            } else {
                damaged(run, &codes.join(", "))
            });
        }
        // A record that is as it was sealed says no less than the log, which says nothing of the
        // promise of a run that was opened before there was one.
        let record = match self.record_of(run) {
            Err(error) if disk::is_unreadable(&error) && !even_damaged => {
                return Err(unreadable(run).because(error));
            }
            record => record.ok().filter(|_| damage.is_empty()),
        };
        let until = record.map_or(until, |it| until.max(self.kept_until(&RunSummary::from(it))));
        self.check_over(run, until)?;
        self.check_removable(run).map_err(|error| refused_by_kernel(run, error))?;
        Ok(Due { told, until, damage, place })
    }

    /// Whether it is `until` already.
    fn check_over(&self, run: RunId, until: Timestamp) -> Result<(), Problem> {
        if until <= self.0.clock.now().wall {
            return Ok(());
        }
        let message =
            format!("the run {run} is kept until {}; ask again then", rfc3339_millis(until));
        Err(Problem::new(Code::NotDue, message))
    }

    /// What the log says of `run`, which stands at `place` in it.
    fn told(&self, run: RunId, place: Logged) -> Result<Told, Problem> {
        let entry = |index: Option<u64>| -> Result<Option<Leaf>, Problem> {
            let entry = index.map(|index| self.log().entry(index)).transpose();
            Ok(entry.map_err(store_problem)?.and_then(|entry| Leaf::parse(&entry)))
        };
        let Some(seal) = entry(place.seal)? else {
            let message = format!(
                "the log holds no seal of the run {run}, so that nothing says when it was sealed and \
                 how long it is kept; look into it with `exhibit verify`"
            );
            return Err(Problem::new(Code::RunDamaged, message));
        };
        let retention = entry(place.open)?.and_then(|open| open.data.get("retention").cloned());
        let retention = retention.and_then(|promise| serde_json::from_value(promise).ok());
        let workflow = seal.data.get("workflow").and_then(Value::as_str).unwrap_or_default();
        Ok(Told { run, workflow: workflow.to_owned(), sealed_at: seal.time, retention })
    }

    /// Whether the kernel would let go what there is of `run`, with the guard's help where there is
    /// one.
    pub(super) fn check_removable(&self, run: RunId) -> Result<(), StoreError> {
        self.check_lets_go(run, self.0.config.borrow().integrity.guard.is_some())
    }

    /// The same, with a guard's help or (`guarded` is false) without.
    pub(super) fn check_lets_go(&self, run: RunId, guarded: bool) -> Result<(), StoreError> {
        if self.0.store.archive_of(run).is_file() {
            self.0.store.check_archive_removable(run, guarded)?;
        }
        if self.0.store.folder_of(run).is_dir() {
            self.0.store.check_removable(run, guarded)?;
        }
        Ok(())
    }

    /// What is wrong with a sealed folder: codes of findings.
    pub(super) fn damage_of(&self, folder: &Path, place: Logged) -> BTreeSet<String> {
        let report = verify::folder(folder, &self.own_trust());
        let mut codes = Self::codes(&report.findings);
        if report.findings.iter().any(|finding| finding.code == FindingCode::Unreadable) {
            codes.insert(UNREADABLE.to_owned());
        }
        let found = seal_digest(folder);
        // Of a seal that cannot be read nothing more can be said.
        if found.is_none() && codes.contains(UNREADABLE) {
            return codes;
        }
        let logged = place.seal.and_then(|index| self.log().entry(index).ok());
        let logged = logged.map(|entry| Digest::of(&entry));
        if logged.is_none() || logged != found {
            codes.insert("seal_not_logged".to_owned());
        }
        codes
    }

    /// Put the purge of a run into the log, then take its folder away.
    fn bury(&self, due: &Due, asked: &PurgeRequest, by: &Caller) -> Result<u64, Problem> {
        let run = due.told.run;
        let index = {
            let mut standing = self.standing();
            // Somebody may have held it meanwhile; from the entry on, nobody can.
            check_not_held(&standing, run)?;
            let buried = leaf::Burial {
                run,
                workflow: &due.told.workflow,
                seal_index: due.place.seal,
                seal_sha256: self.seal_at(due.place),
                sealed_at: &due.told.sealed_at,
                kept_until: rfc3339_millis(due.until),
                retention: due.told.retention.as_ref(),
                damage: &due.damage,
                reason: &asked.reason,
                by,
            };
            let entry = leaf::purge(&buried, self.0.clock.now());
            self.0.store.mark_purge(run).map_err(store_problem)?;
            let deed = decided(by, Act::Purge, vec![run], json!({ "reason": asked.reason }));
            self.put_down(&mut standing, deed, vec![entry])?
        };
        tracing::warn!(%run, log_index = index, ?by, "a run is purged");
        self.take_away(run)?;
        Ok(index)
    }

    /// The digest of the seal that stands at `place` in the log.
    fn seal_at(&self, place: Logged) -> Option<Digest> {
        Some(Digest::of(&self.log().entry(place.seal?).ok()?))
    }

    fn take_away(&self, run: RunId) -> Result<(), Problem> {
        self.take_folder_away(run, Leaving::Purged)?;
        // Neither does anything stay of an archiving that was cut short.
        self.0.store.clear_archiving(run, true).map_err(store_problem)?;
        self.forget(run);
        tidy(run, self.0.store.unmark_purge(run));
        Ok(())
    }

    /// Take the folder of `run` away, of which the log says why; and its archive, if it was purged.
    pub(super) fn take_folder_away(&self, run: RunId, why: Leaving) -> Result<(), Problem> {
        let store = &self.0.store;
        let taken = self.let_go(run, || {
            store.move_aside(run, why)?;
            if why == Leaving::Purged { store.remove_archive(run) } else { Ok(()) }
        })?;
        let done = taken.and_then(|()| store.remove_aside(run, why));
        done.map_err(|error| refused_by_kernel(run, error))
    }

    /// Finish the purges that are begun, and of the runs `named` those that were purged and still lie in
    /// their place; which these were.
    fn go_on(&self, named: &[RunId]) -> Result<BTreeSet<RunId>, Problem> {
        let mut begun = self.0.store.begun_purges().map_err(store_problem)?;
        let store = &self.0.store;
        let there = |run: RunId| store.folder_of(run).is_dir() || store.archive_of(run).is_file();
        begun.extend(named.iter().filter(|run| there(**run)));
        begun.retain(|run| self.tombstone(*run).is_some());
        for run in &begun {
            self.take_away(*run)?;
            tracing::warn!(%run, "a purge that was cut short is finished");
        }
        Ok(begun)
    }

    /// Take away the marks of purges that never came into the log, and so have not happened. That is
    /// known at a start alone: later, an entry may be in doubt.
    fn forget_unlogged(&self) -> Result<(), Problem> {
        let begun = self.0.store.begun_purges().map_err(store_problem)?;
        begun
            .into_iter()
            .filter(|run| self.tombstone(*run).is_none())
            .try_for_each(|run| self.0.store.unmark_purge(run).map_err(store_problem))
    }

    /// Finish what an earlier life of the daemon began to purge. What was purged, lies in its place and
    /// is not marked was put back by somebody, and is left for `verify` to tell of.
    pub(super) fn finish_purges(&self) {
        if let Err(problem) = self.go_on(&[]).and_then(|_| self.forget_unlogged()) {
            tracing::error!(
                error = chain(&problem),
                "a purge is not finished; `exhibit purge`, or the next start, goes on"
            );
        }
    }

    /// The purge of `run`, if it was purged.
    pub fn tombstone(&self, run: RunId) -> Option<Tombstone> {
        self.standing().tombstone(run).cloned()
    }

    /// What is said of a run that is not there.
    pub(super) fn gone(&self, run: RunId) -> Problem {
        let Some(tombstone) = self.tombstone(run) else { return unknown(run) };
        let message = format!(
            "the run {run} was purged at {}; entry {} of the log says so, `exhibit show` says why",
            tombstone.time, tombstone.log_index
        );
        Problem::new(Code::RunPurged, message)
    }
}

pub(super) fn check_not_held(standing: &Standing, run: RunId) -> Result<(), Problem> {
    let holds = standing.holds(run);
    let Some(first) = holds.first() else { return Ok(()) };
    let matters: Vec<&str> = holds.iter().filter_map(|hold| hold.matter.as_deref()).collect();
    let matters =
        if matters.is_empty() { String::new() } else { format!(" for {}", matters.join(", ")) };
    let message = format!(
        "the run {run} is on hold{matters} since {}; `exhibit hold release` ends a hold",
        first.since
    );
    Err(Problem::new(Code::RunHeld, message))
}

/// The code of what cannot be read, which is no damage that anybody knows of.
pub(super) const UNREADABLE: &str = "unreadable";

/// Whether `run` is as it was sealed nobody can tell now.
pub(super) fn unreadable(run: RunId) -> Problem {
    let message = format!(
        "the run {run} cannot be read, so whether it is as it was sealed is not known; look at the \
         disk and at permissions, then ask again"
    );
    Problem::new(Code::RunUnreadable, message)
}

fn damaged(run: RunId, what: &str) -> Problem {
    let message = format!(
        "the run {run} is not as it was sealed ({what}), and damage is evidence too; look into it, \
         then name the run with `even_damaged` (--even-damaged)"
    );
    Problem::new(Code::RunDamaged, message)
}

pub(super) fn refused_by_kernel(run: RunId, error: StoreError) -> Problem {
    let StoreError::Unwritable { path, .. } = &error else { return store_problem(error) };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let message = format!(
        "the kernel does not let the folder of the run {run} go (at `{name}`): it is immutable, or \
         another user's; clear that (`chattr -R -i -a`, lsattr shows it), then ask again"
    );
    Problem::new(Code::StoreUnwritable, message).because(error)
}
