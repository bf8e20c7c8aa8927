//! Owns purges: which runs are due, what keeps a run from going, and the going itself, by an entry of
//! the log that stays in its place. Only operators purge.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::Retention;
use super::damage::{UNREADABLE, unreadable};
use super::holds::check_not_held;
use super::removal::{refused_by_kernel, tidy};
use super::turn::Turn;
use crate::clock::rfc3339_millis;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{Leaf, Logged, leaf};
use crate::evidence::{Act, Leaving, RunSummary};
use crate::id::RunId;
use crate::request::PurgeRequest;
use crate::retention::Retention as Promise;
use crate::run::Caller;
use crate::runs::access::accessor::decided;
use crate::runs::problem::{sealed_first, store_problem};

/// A run that is purged, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PurgeCandidate {
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
pub struct PurgeBlocked {
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
    pub purged: Vec<PurgeCandidate>,
    /// The runs that stay.
    pub refused: Vec<PurgeBlocked>,
}

/// What the log says of a sealed run. A run's own files do not decide when it may go: whoever can change
/// them would decide it.
struct LoggedSeal {
    run: RunId,
    workflow: String,
    sealed_at: String,
    /// Where it was promised when it was opened.
    retention: Option<Promise>,
}

/// A run that may go, with what its tombstone will say.
struct Due {
    told: LoggedSeal,
    until: Timestamp,
    damage: BTreeSet<String>,
    place: Logged,
}

impl Retention {
    /// Purge the runs that are asked for, or all that are due. Each one's entry is in the log before
    /// anything of it goes.
    ///
    /// # Errors
    /// `not_an_operator`; what keeps a run that was named (then none goes); what the disk and the
    /// log say (then those before it are gone, and the next purge goes on).
    pub(in crate::runs) fn purge(
        &self,
        asked: &PurgeRequest,
        by: &Caller,
        turn: &Turn<'_>,
    ) -> Result<Purged, Problem> {
        let done = self.purge_now(asked, by, turn);
        match done {
            Err(problem) if !asked.dry_run && self.0.room.spend(&problem, true) => {
                self.purge_now(asked, by, turn)
            }
            done => done,
        }
    }

    fn purge_now(
        &self,
        asked: &PurgeRequest,
        by: &Caller,
        turn: &Turn<'_>,
    ) -> Result<Purged, Problem> {
        let named = !asked.runs.is_empty();
        let mut answer = Purged { dry_run: asked.dry_run, purged: Vec::new(), refused: Vec::new() };
        let finished = if asked.dry_run { BTreeSet::new() } else { self.go_on(&asked.runs, turn)? };
        let wanted = if named { asked.runs.clone() } else { self.due_by_date() };
        let places = self.0.context.log.places(&wanted).map_err(store_problem)?;
        let mut due = Vec::new();
        for run in wanted {
            // Its purge was cut short before, and has gone on.
            if finished.contains(&run) {
                continue;
            }
            match self.judge_due(run, asked.even_damaged, &places) {
                Ok(one) => due.push(one),
                Err(because) if named => return Err(because.field("runs")),
                Err(because) => answer.refused.push(PurgeBlocked { run, because }),
            }
        }
        for one in due {
            let log_index =
                if asked.dry_run { None } else { Some(self.bury(&one, asked, by, turn)?) };
            let Due { told, until, .. } = one;
            answer.purged.push(PurgeCandidate {
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
        let now = self.0.context.clock.now().wall;
        let archived: Vec<RunId> = self.0.decisions.lock().archives().map(|(run, _)| run).collect();
        let archived = archived.into_iter().filter_map(|run| self.0.catalog.record_of(run).ok());
        let summaries =
            self.0.context.store.sealed().filter_map(|folder| RunSummary::read(&folder).ok());
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
        if self.0.decisions.tombstone(run).is_some() {
            return Err(self.0.decisions.gone(run));
        }
        let folder = self.0.context.store.folder_of(run);
        if !folder.is_dir() && !self.0.decisions.is_archived(run) {
            let open = self.0.registry.workflow_of(run).is_some();
            return Err(if open { sealed_first(run) } else { self.0.decisions.gone(run) });
        }
        check_not_held(&self.0.decisions.lock(), run)?;
        let place = places.get(&run).copied().unwrap_or_default();
        let told = self.seal_and_retention(run, place)?;
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
        let record = match self.0.catalog.record_of(run) {
            Err(error) if disk::is_unreadable(&error) && !even_damaged => {
                return Err(unreadable(run).because(error));
            }
            record => record.ok().filter(|_| damage.is_empty()),
        };
        let until = record.map_or(until, |it| until.max(self.kept_until(&RunSummary::from(it))));
        self.check_over(run, until)?;
        self.0.guard.check_removable(run).map_err(|error| refused_by_kernel(run, error))?;
        Ok(Due { told, until, damage, place })
    }

    /// Whether it is `until` already.
    fn check_over(&self, run: RunId, until: Timestamp) -> Result<(), Problem> {
        if until <= self.0.context.clock.now().wall {
            return Ok(());
        }
        let message =
            format!("the run {run} is kept until {}; ask again then", rfc3339_millis(until));
        Err(Problem::new(Code::NotDue, message))
    }

    /// What the log says of `run`, which stands at `place` in it.
    fn seal_and_retention(&self, run: RunId, place: Logged) -> Result<LoggedSeal, Problem> {
        let entry = |index: Option<u64>| -> Result<Option<Leaf>, Problem> {
            let entry = index.map(|index| self.0.context.log.entry(index)).transpose();
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
        Ok(LoggedSeal { run, workflow: workflow.to_owned(), sealed_at: seal.time, retention })
    }

    /// Put the purge of a run into the log, then take its folder away.
    fn bury(
        &self,
        due: &Due,
        asked: &PurgeRequest,
        by: &Caller,
        turn: &Turn<'_>,
    ) -> Result<u64, Problem> {
        let run = due.told.run;
        let index = {
            let mut standing = self.0.decisions.lock();
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
            let entry = leaf::purge(&buried, self.0.context.clock.now());
            self.0.context.store.mark_purge(run).map_err(store_problem)?;
            let event = decided(by, Act::Purge, vec![run], json!({ "reason": asked.reason }));
            standing.record(event, vec![entry])?
        };
        tracing::warn!(%run, log_index = index, by = by.account(), "a run is purged");
        self.take_away(run, turn)?;
        Ok(index)
    }

    fn take_away(&self, run: RunId, turn: &Turn<'_>) -> Result<(), Problem> {
        self.take_folder_away(run, Leaving::Purged, turn)?;
        // Neither does anything stay of an archiving that was cut short.
        self.0.context.store.clear_archiving(run, true).map_err(store_problem)?;
        self.0.catalog.forget(run);
        tidy(run, self.0.context.store.unmark_purge(run));
        Ok(())
    }

    /// Finish the purges that are begun, and of the runs `named` those that were purged and still lie in
    /// their place; which these were.
    fn go_on(&self, named: &[RunId], turn: &Turn<'_>) -> Result<BTreeSet<RunId>, Problem> {
        let mut begun = self.0.context.store.begun_purges().map_err(store_problem)?;
        let store = &self.0.context.store;
        let there = |run: RunId| store.folder_of(run).is_dir() || store.archive_of(run).is_file();
        begun.extend(named.iter().filter(|run| there(**run)));
        begun.retain(|run| self.0.decisions.tombstone(*run).is_some());
        for run in &begun {
            self.take_away(*run, turn)?;
            tracing::warn!(%run, "a purge that was cut short is finished");
        }
        Ok(begun)
    }

    /// Take away the marks of purges that never came into the log, and so have not happened. That is
    /// known at a start alone: later, an entry may be in doubt.
    fn forget_unlogged(&self) -> Result<(), Problem> {
        let begun = self.0.context.store.begun_purges().map_err(store_problem)?;
        begun
            .into_iter()
            .filter(|run| self.0.decisions.tombstone(*run).is_none())
            .try_for_each(|run| self.0.context.store.unmark_purge(run).map_err(store_problem))
    }

    /// Finish what an earlier life of the daemon began to purge. What was purged, lies in its place and
    /// is not marked was put back by somebody, and is left for `verify` to tell of.
    pub(super) fn finish_purges(&self, turn: &Turn<'_>) {
        if let Err(problem) = self.go_on(&[], turn).and_then(|_| self.forget_unlogged()) {
            tracing::error!(
                error = chain(&problem),
                "a purge is not finished; `exhibit purge`, or the next start, goes on"
            );
        }
    }
}

fn damaged(run: RunId, what: &str) -> Problem {
    let message = format!(
        "the run {run} is not as it was sealed ({what}), and damage is evidence too; look into it, \
         then name the run with `even_damaged` (--even-damaged)"
    );
    Problem::new(Code::RunDamaged, message)
}
