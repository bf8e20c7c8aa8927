//! Owns the looking at runs: the open ones in memory, the sealed ones through the index, which is
//! never the truth.

use std::sync::PoisonError;

use serde_json::Value;

use super::problem::store_problem;
use super::{INDEX, Runs};
use crate::error::{Problem, chain};
use crate::evidence::{Filter, Index, RunRecord, RunSummary, Store, StoreError, archived_record};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::Caller;

impl Runs {
    /// Note a sealed run in the index. The index is never the truth: a failure costs nothing that
    /// cannot be rebuilt.
    pub(super) fn index(&self, receipt: &Receipt) {
        self.index_run(receipt.run);
    }

    /// The same of a run that was put back.
    pub(super) fn index_run(&self, run: RunId) {
        let folder = self.0.store.folder_of(run);
        let noted = RunRecord::read(&folder).map_err(|error| chain(&error)).and_then(|record| {
            let index = self.0.index.lock().unwrap_or_else(PoisonError::into_inner);
            index.put(record).map_err(|error| chain(&error))
        });
        if let Err(error) = noted {
            tracing::warn!(%run, error, "a sealed run is not in the index; `exhibit index rebuild` mends it");
        }
    }

    /// Take a purged run out of the index.
    pub(super) fn forget(&self, run: RunId) {
        let index = self.0.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = index.forget(run) {
            let error = chain(&error);
            tracing::warn!(%run, error, "a purged run is still in the index; `exhibit index rebuild` mends it");
        }
    }

    /// The sealed runs of `caller` that `filter` finds, newest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn list(
        &self,
        mut filter: Filter,
        caller: &Caller,
        limit: u32,
    ) -> Result<Vec<RunSummary>, Problem> {
        let (this, caller, limit) = (self.clone(), caller.clone(), limit as usize);
        self.blocking("reading the index", move || {
            let index = this.0.index.lock().unwrap_or_else(PoisonError::into_inner);
            let mut mine = Vec::new();
            loop {
                let page = index.list(&filter);
                let page = page.map_err(|error| Problem::internal("reading the index", error))?;
                let Some(last) = page.last() else { break };
                filter.before = Some(last.run);
                mine.extend(page.into_iter().filter(|run| caller.may_act_on(&run.caller)));
                if mine.len() >= limit {
                    break;
                }
            }
            mine.truncate(limit);
            Ok(mine)
        })
        .await
    }

    /// How many captures `caller` has taken in runs sealed this month (UTC), and in open ones.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn captures_this_month(&self, caller: &Caller) -> Result<u64, Problem> {
        let today = self.0.clock.now().wall.to_zoned(jiff::tz::TimeZone::UTC);
        let begin = today.first_of_month().and_then(|first| first.start_of_day());
        let since = begin.map_err(|error| Problem::internal("reading the calendar", error))?;
        let filter = Filter { since: Some(since.timestamp()), ..Filter::default() };
        let sealed = self.list(filter, caller, u32::MAX).await?;
        let open: Vec<_> = self.registry().values().cloned().collect();
        let open = open.iter().filter(|run| caller.may_act_on(&run.opening.caller));
        let open: u64 = open.map(|run| run.capture_count()).sum();
        Ok(sealed.iter().map(|run| run.counts.captures).sum::<u64>() + open)
    }

    /// The sealed run `id`.
    ///
    /// # Errors
    /// `run_not_found`, or when it cannot be read.
    pub async fn sealed_run(&self, id: RunId) -> Result<RunRecord, Problem> {
        let this = self.clone();
        self.blocking("reading the run", move || {
            this.record_of(id).map_err(|error| match error {
                StoreError::NotFound { .. } => this.gone(id),
                other => store_problem(other),
            })
        })
        .await
    }

    /// The record of the sealed run `id`, in its folder or its archive.
    pub(super) fn record_of(&self, id: RunId) -> Result<RunRecord, StoreError> {
        match RunRecord::read(&self.0.store.folder_of(id)) {
            Err(StoreError::NotFound { .. }) if self.is_archived(id) => {
                archived_record(&self.0.store.archive_of(id), id)
            }
            read => read,
        }
    }

    /// The open runs that `caller` opened, as answers show them.
    pub fn open_runs(&self, caller: &Caller) -> Vec<Value> {
        let runs: Vec<_> = self.registry().values().cloned().collect();
        let mine = runs.iter().filter(|run| caller.may_act_on(&run.opening.caller));
        mine.map(|run| run.shown()).collect()
    }

    /// The open run `id`, as answers show it.
    ///
    /// # Errors
    /// See [`Runs::work`].
    pub fn open_run(&self, id: RunId, caller: &Caller) -> Result<Value, Problem> {
        self.find(id, caller).map(|run| run.shown())
    }
}

/// Open the index, adding what it lacks: a crash may have come between a seal and its note.
pub(super) fn open_index(store: &Store) -> Result<Index, Problem> {
    let opened = Index::open(&store.root().join(INDEX)).and_then(|index| {
        let filled = index.fill(store.root())?;
        for (folder, error) in &filled.unreadable {
            let folder = folder.display();
            tracing::error!(%folder, error = chain(error), "a sealed run cannot be read");
        }
        Ok(index)
    });
    opened.map_err(|error| Problem::internal("opening the index", error))
}
