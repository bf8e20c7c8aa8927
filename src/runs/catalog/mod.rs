//! Owns what is known of sealed runs without reading all of them: the index, which is never the truth,
//! and the records and facts in their folders and archives.

pub(super) mod listing;

use std::sync::{Arc, Mutex, PoisonError};

use super::context::Context;
use super::integrity::Integrity;
use super::log::seals::seal_in_log;
use super::problem::store_problem;
use super::registry::Registry;
use super::retention::decisions::Decisions;
use crate::error::{Problem, chain};
use crate::evidence::{
    CodeNamed, Filled, Index, LogKey, RunFacts, RunRecord, Store, StoreError, archived_record,
};
use crate::id::RunId;

/// The index, beside the evidence it is made from.
pub const INDEX: &str = "index.sqlite";

/// The sealed runs of a store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    decisions: Decisions,
    registry: Registry,
    integrity: Integrity,
    index: Index,
    /// Held while rows of others are thrown away and read again.
    checking: Mutex<()>,
}

impl Catalog {
    pub(super) fn new(
        context: Arc<Context>,
        decisions: Decisions,
        registry: Registry,
        integrity: Integrity,
        index: Index,
    ) -> Self {
        let checking = Mutex::default();
        Self(Arc::new(Inner { context, decisions, registry, integrity, index, checking }))
    }

    /// Note a sealed run in the index. The index is never the truth: a failure costs nothing that
    /// cannot be rebuilt.
    pub(super) fn index_run(&self, run: RunId) {
        let folder = self.0.context.store.folder_of(run);
        let noted = RunFacts::of(&folder, None)
            .map_err(|error| chain(&error))
            .and_then(|facts| self.0.index.put(facts).map_err(|error| chain(&error)));
        if let Err(error) = noted {
            tracing::warn!(%run, error, "a sealed run is not in the index; `exhibit index rebuild` mends it");
        }
    }

    /// The index as it is.
    #[cfg(test)]
    pub(super) fn index(&self) -> &Index {
        &self.0.index
    }

    /// Take a purged run out of the index.
    pub(super) fn forget(&self, run: RunId) {
        if let Err(error) = self.0.index.forget(run) {
            let error = chain(&error);
            tracing::warn!(%run, error, "a purged run is still in the index; `exhibit index rebuild` mends it");
        }
    }

    /// The index, after rows that are not the daemon's own were thrown away and read again.
    pub(super) fn checked_index(&self) -> Result<&Index, Problem> {
        let failed = |error| Problem::internal("reading the index", error);
        let index = &self.0.index;
        // Nobody lists what was thrown away and not read again yet.
        let checking = self.0.checking.lock().unwrap_or_else(PoisonError::into_inner);
        if index.distrust().map_err(failed)? {
            tracing::error!(
                "somebody else wrote into the index; what it says is read again from the folders"
            );
            let filled = index.fill(self.0.context.root()).map_err(failed)?;
            drop(checking);
            self.0.integrity.doubt(&filled.doubted);
        }
        Ok(index)
    }

    /// The facts of the sealed run `id`. One that contradicts its seal is read as the scrubber would,
    /// and told.
    ///
    /// # Errors
    /// `run_not_found`, or when it cannot be read.
    pub async fn sealed_facts(&self, id: RunId) -> Result<RunFacts, Problem> {
        let this = self.clone();
        self.0
            .context
            .blocking("reading the run", move || {
                this.facts_of(id).map_err(|error| match error {
                    StoreError::NotFound { .. } => this.0.decisions.gone(id),
                    other => store_problem(other),
                })
            })
            .await
    }

    /// The code that is named so far for the open run `id`; none of one that is sealed meanwhile.
    pub async fn open_code(&self, id: RunId) -> Vec<CodeNamed> {
        let folder = self.0.context.store.folder_of_open(id);
        let read = self.0.context.blocking("reading the run", move || {
            RunFacts::code_so_far(&folder).map_err(store_problem)
        });
        read.await.unwrap_or_default()
    }

    /// See [`Catalog::sealed_facts`].
    pub(super) fn facts_of(&self, id: RunId) -> Result<RunFacts, StoreError> {
        let logged = seal_in_log(&self.0.context.log, &self.0.context.store, id);
        let facts = match RunFacts::of(&self.0.context.store.folder_of(id), logged) {
            Err(StoreError::NotFound { .. }) if self.0.decisions.is_archived(id) => {
                RunFacts::archived(&self.0.context.store.archive_of(id), id, logged)
            }
            read => read,
        }?;
        let known = self.0.integrity.of(id).is_some_and(|told| told.is_altered());
        if !facts.doubts.is_empty() && !known {
            self.0.integrity.doubt(&[id]);
        }
        Ok(facts)
    }

    /// The sealed run `id`.
    ///
    /// # Errors
    /// `run_not_found`, or when it cannot be read.
    pub async fn sealed_run(&self, id: RunId) -> Result<RunRecord, Problem> {
        let this = self.clone();
        self.0
            .context
            .blocking("reading the run", move || {
                this.record_of(id).map_err(|error| match error {
                    StoreError::NotFound { .. } => this.0.decisions.gone(id),
                    other => store_problem(other),
                })
            })
            .await
    }

    /// The record of the sealed run `id`, in its folder or its archive.
    pub(super) fn record_of(&self, id: RunId) -> Result<RunRecord, StoreError> {
        match RunRecord::read(&self.0.context.store.folder_of(id)) {
            Err(StoreError::NotFound { .. }) if self.0.decisions.is_archived(id) => {
                archived_record(&self.0.context.store.archive_of(id), id)
            }
            read => read,
        }
    }
}

/// Open the index, adding what it lacks: a crash may have come between a seal and its note.
pub(super) fn open_index(store: &Store, key: &LogKey) -> Result<(Index, Filled), Problem> {
    let opened = Index::open(&store.root().join(INDEX)).or_else(|error| {
        // It can be made anew anywhere; evidence is to be found on a full disk, too.
        tracing::warn!(error = chain(&error), "the index is kept beside the store for now");
        Index::temporary()
    });
    let opened = opened.and_then(|index| {
        index.authenticate(key);
        index.distrust()?;
        let filled = index.fill(store.root())?;
        for (folder, error) in &filled.unreadable {
            let folder = folder.display();
            tracing::error!(%folder, error = chain(error), "a sealed run cannot be read");
        }
        Ok((index, filled))
    });
    opened.map_err(|error| Problem::internal("opening the index", error))
}
