//! Owns what was begun with archives and imports and cut short, by a crash or an error: finishes what
//! the log tells of, undoes what it does not, and clears `archiving/`.

use std::collections::{BTreeSet, HashMap};

use super::Retention;
use super::damage::damaged;
use super::turn::Turn;
use crate::digest::Digest;
use crate::error::{Code, Problem, chain};
use crate::evidence::Leaving;
use crate::evidence::log::LeafKind;
use crate::id::RunId;
use crate::runs::problem::store_problem;

/// What came of what was begun before.
#[derive(Debug, Default)]
pub(in crate::runs) struct Begun {
    pub(in crate::runs) finished: BTreeSet<RunId>,
    pub(super) stuck: HashMap<RunId, Problem>,
}

impl Retention {
    /// Finish what an earlier life of the daemon (`starting`), or an attempt before, began to archive
    /// or restore, and remove what it left in `archiving/`. What is not in the log has not happened;
    /// that is known at a start alone: later, an entry may be in doubt. A folder that lies beside an
    /// archive and is not marked was put there by somebody, and is left for `verify` to tell of.
    pub(super) fn finish_archives(&self, starting: bool, turn: &Turn<'_>) -> Begun {
        let mut begun = Begun::default();
        let there = self.0.context.store.in_archiving().unwrap_or_else(|error| {
            tracing::error!(error = chain(&error), "`archiving/` cannot be read");
            BTreeSet::new()
        });
        for run in there {
            match self.finish_archive(run, starting, turn) {
                Ok(false) => {}
                Ok(true) => {
                    begun.finished.insert(run);
                    tracing::warn!(%run, "an archiving or restoring that was cut short is finished");
                }
                Err(problem) => {
                    let error = chain(&problem);
                    tracing::error!(%run, error, "it is not archived, nor restored; `exhibit archive`, or the next start, goes on");
                    begun.stuck.insert(run, problem);
                }
            }
        }
        begun
    }

    /// Finish the import that an earlier life of the daemon put into the log, and remove what is left of
    /// it: what no entry tells of has not happened.
    pub(super) fn finish_imports(&self, turn: &Turn<'_>) {
        if let Err(problem) = self.finish_import(turn) {
            let error = chain(&problem);
            tracing::error!(error, "an import is not finished; the next start goes on");
        }
    }

    fn finish_import(&self, turn: &Turn<'_>) -> Result<(), Problem> {
        self.go_on_importing(turn)?;
        self.0.context.store.clear_imports().map_err(store_problem)
    }

    /// Give the runs their places of which the log says that they were put back, and were not.
    pub(super) fn go_on_importing(&self, _turn: &Turn<'_>) -> Result<(), Problem> {
        let Some(since) = self.0.context.store.begun_import().map_err(store_problem)? else {
            return Ok(());
        };
        // An entry that was in doubt is there or not, once another one is.
        self.0.access.attest()?;
        self.0.decisions.read_again()?;
        let last = self.0.context.log.last(|leaf| leaf.kind == LeafKind::Import);
        let last = last.map_err(store_problem)?.filter(|(index, _)| *index >= since);
        let named = last.and_then(|(_, leaf)| leaf.data.get("runs").cloned());
        let named: Vec<RunId> =
            named.and_then(|runs| serde_json::from_value(runs).ok()).unwrap_or_default();
        named.into_iter().try_for_each(|run| self.finish_importing(run))
    }

    /// The log says that `run` was put back: have it be so.
    fn finish_importing(&self, run: RunId) -> Result<(), Problem> {
        let (store, unpacked) = (&self.0.context.store, self.0.context.store.unpacked_import(run));
        let there = store.folder_of(run).is_dir() || self.0.decisions.is_archived(run);
        if there || self.0.decisions.tombstone(run).is_some() || !unpacked.is_dir() {
            return Ok(());
        }
        match self.judge_import(run, &unpacked) {
            // `verify` tells that it is gone; another import may bring it.
            Err(problem) if problem.code == Code::RunDamaged => {
                let error = chain(&problem);
                tracing::error!(%run, error, "an import that was cut short is not finished");
                return Ok(());
            }
            judged => judged?,
        }
        store.publish_folder(run, &unpacked).map_err(store_problem)?;
        self.0.catalog.index_run(run);
        self.0.guard.lock_soon(run);
        tracing::warn!(%run, "an import that was cut short is finished");
        Ok(())
    }

    /// Whether something was begun with `run`, and is finished now.
    fn finish_archive(&self, run: RunId, starting: bool, turn: &Turn<'_>) -> Result<bool, Problem> {
        let store = &self.0.context.store;
        let (archiving, restoring) = (store.is_archiving(run), store.is_restoring(run));
        let (purged, last) = {
            let standing = self.0.decisions.lock();
            (standing.tombstone(run).is_some(), standing.last_archive(run))
        };
        let archived = last.filter(|last| !last.restored).map(|last| last.sha256);
        let in_doubt = if archived.is_some() { restoring } else { archiving };
        if in_doubt && !starting && !purged {
            return Ok(false);
        }
        let done = match archived {
            _ if purged => false,
            Some(sha256) => self.finish_archiving(run, sha256, archiving || restoring, turn)?,
            None if restoring && last.is_some() => self.finish_restoring(run, turn)?,
            None => false,
        };
        store.clear_archiving(run, purged || archived.is_some()).map_err(store_problem)?;
        Ok(done)
    }

    /// The log says that `run` is the archive with that digest: have it be so, where it is `marked`.
    fn finish_archiving(
        &self,
        run: RunId,
        sha256: Digest,
        marked: bool,
        turn: &Turn<'_>,
    ) -> Result<bool, Problem> {
        let (store, folder) = (&self.0.context.store, self.0.context.store.folder_of(run));
        if store.archive_of(run).is_file() {
            // Durably, before the folder goes.
            store.sync_archive(run).map_err(store_problem)?;
        } else {
            let mut begun = store.begun_archive(run).map_err(store_problem)?;
            // The same folder gives the same bytes.
            if begun != Some(sha256) && marked && folder.is_dir() && self.is_as_sealed(run)? {
                begun = Some(store.write_archive(run).map_err(store_problem)?.0);
            }
            if begun == Some(sha256) {
                store.publish_archive(run).map_err(store_problem)?;
            }
        }
        if !self.damage_of_archive(run).is_empty() {
            return Err(damaged(run, "its archive is gone, or another"));
        }
        if folder.is_dir() && marked {
            // Another than was sealed was put there by somebody.
            if !self.is_as_sealed(run)? {
                return Err(damaged(run, "a folder that lies beside the archive is another"));
            }
            self.take_folder_away(run, Leaving::Archived, turn)?;
        }
        if marked {
            self.0.guard.lock_soon(run);
        }
        Ok(marked)
    }

    /// The log says that `run` is a folder again: have it be so.
    fn finish_restoring(&self, run: RunId, turn: &Turn<'_>) -> Result<bool, Problem> {
        if !self.is_as_sealed(run)? {
            return Err(damaged(run, "it was restored, and its folder is gone, or another"));
        }
        self.take_archive_away(run, turn)?;
        self.0.guard.lock_soon(run);
        Ok(true)
    }
}
