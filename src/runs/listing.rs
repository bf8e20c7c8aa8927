//! Owns the looking at runs: the open ones in memory, the sealed ones through the index, which is
//! never the truth.

use std::sync::PoisonError;

use serde_json::Value;

use super::problem::{not_to_see, store_problem};
use super::{INDEX, Runs};
use crate::digest::Digest;
use crate::disk;
use crate::error::{Problem, chain};
use crate::evidence::log::{Leaf, LeafKind};
use crate::evidence::{
    CodeNamed, Filled, Filter, Index, LogKey, PROOF, RunFacts, RunRecord, RunSummary, Store,
    StoreError, archived_record, seal_digest, verify,
};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{Caller, Reader};
use crate::tlog::note::MAX_NOTE;
use crate::tlog::proof::Proof;

impl Runs {
    /// Note a sealed run in the index. The index is never the truth: a failure costs nothing that
    /// cannot be rebuilt.
    pub(super) fn index(&self, receipt: &Receipt) {
        self.index_run(receipt.run);
    }

    /// The same of a run that was put back.
    pub(super) fn index_run(&self, run: RunId) {
        let folder = self.0.store.folder_of(run);
        let noted = RunFacts::of(&folder, None)
            .map_err(|error| chain(&error))
            .and_then(|facts| self.0.index.put(facts).map_err(|error| chain(&error)));
        if let Err(error) = noted {
            tracing::warn!(%run, error, "a sealed run is not in the index; `exhibit index rebuild` mends it");
        }
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
            let filled = index.fill(self.root()).map_err(failed)?;
            drop(checking);
            self.doubt(&filled.doubted);
        }
        Ok(index)
    }

    /// Read `runs`, which contradict their seals, as the scrubber would, and tell how they are.
    pub(super) fn doubt(&self, runs: &[RunId]) {
        for run in runs {
            let folder = self.0.store.folder_of(*run);
            let report = verify::folder(&folder, &self.own_trust());
            if folder.is_dir() && self.tombstone(*run).is_none() {
                let codes = self.codes_of_run(*run, &report.findings);
                self.judge(&run.to_string(), &report.findings, &codes);
            }
        }
    }

    /// The digest of the last seal of `run` in the log; none where it holds none, or cannot be read.
    pub(super) fn seal_in_log(&self, run: RunId) -> Option<Digest> {
        let entry = |index: u64| {
            let entry = self.log().entry(index).ok()?;
            let leaf = Leaf::parse(&entry)?;
            (leaf.kind == LeafKind::Seal && leaf.run == Some(run)).then(|| Digest::of(&entry))
        };
        // Its proof says where to look, and is not believed: what stands there is read.
        let proof = disk::read_plain(&self.0.store.folder_of(run).join(PROOF), MAX_NOTE).ok();
        let proof = proof.and_then(|text| Proof::parse(std::str::from_utf8(&text).ok()?).ok());
        let near = proof.and_then(|proof| entry(proof.index));
        let seal = seal_digest(&self.0.store.folder_of(run));
        if near.is_some() && near == seal {
            return near;
        }
        let places = self.log().places(&[run]).ok()?;
        entry(places.get(&run)?.seal?)
    }

    /// The facts of the sealed run `id`. One that contradicts its seal is read as the scrubber would,
    /// and told.
    ///
    /// # Errors
    /// `run_not_found`, or when it cannot be read.
    pub async fn sealed_facts(&self, id: RunId) -> Result<RunFacts, Problem> {
        let this = self.clone();
        self.blocking("reading the run", move || {
            this.facts_of(id).map_err(|error| match error {
                StoreError::NotFound { .. } => this.gone(id),
                other => store_problem(other),
            })
        })
        .await
    }

    /// The code that is named so far for the open run `id`; none of one that is sealed meanwhile.
    pub async fn open_code(&self, id: RunId) -> Vec<CodeNamed> {
        let folder = self.0.store.folder_of_open(id);
        let read = self.blocking("reading the run", move || {
            RunFacts::code_so_far(&folder).map_err(store_problem)
        });
        read.await.unwrap_or_default()
    }

    /// See [`Runs::sealed_facts`].
    pub(super) fn facts_of(&self, id: RunId) -> Result<RunFacts, StoreError> {
        let facts = match RunFacts::of(&self.0.store.folder_of(id), self.seal_in_log(id)) {
            Err(StoreError::NotFound { .. }) if self.is_archived(id) => {
                RunFacts::archived(&self.0.store.archive_of(id), id)
            }
            read => read,
        }?;
        let known = self.integrity(id).is_some_and(|told| told.is_altered());
        if !facts.doubts.is_empty() && !known {
            self.doubt(&[id]);
        }
        Ok(facts)
    }

    /// The sealed runs that `filter` finds and `reader` may read, newest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn list(
        &self,
        mut filter: Filter,
        reader: &Reader,
        limit: u32,
    ) -> Result<Vec<RunSummary>, Problem> {
        let (this, limit) = (self.clone(), limit as usize);
        if let Reader::Own(caller) = reader {
            filter.opener = Some(caller.clone());
        }
        self.blocking("reading the index", move || {
            this.narrow(&mut filter);
            let index = this.checked_index()?;
            let mut mine = Vec::new();
            loop {
                filter.limit = u32::try_from(limit - mine.len()).ok();
                let page = index.list(&filter);
                let page = page.map_err(|error| Problem::internal("reading the index", error))?;
                let Some(last) = page.last() else { break };
                filter.before = Some(last.run);
                mine.extend(page);
                if mine.len() >= limit {
                    break;
                }
            }
            Ok(mine)
        })
        .await
    }

    /// How many captures `caller` has taken in runs sealed this month (UTC), and in open ones.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn captures_this_month(&self, caller: &Caller) -> Result<u64, Problem> {
        let month = self.0.clock.now().to_rfc3339()[..7].to_owned();
        let (this, by) = (self.clone(), caller.clone());
        let sealed = self.blocking("reading the index", move || {
            let used = this.checked_index()?.captures_since(&by, &month);
            used.map_err(|error| Problem::internal("reading the index", error))
        });
        let sealed = sealed.await?;
        let open: Vec<_> = self.registry().values().cloned().collect();
        let open = open.iter().filter(|run| caller.may_act_on(&run.opening.caller));
        let open: u64 = open.map(|run| run.capture_count()).sum();
        Ok(sealed + open)
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

    /// The open run `id`, as answers show it, and who opened it.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `run_purged`, `not_your_run`.
    pub fn open_run(&self, id: RunId, reader: &Reader) -> Result<(Value, Caller), Problem> {
        let run = self.find_any(id)?;
        let opener = run.opening.caller.clone();
        if reader.may_read(&opener) { Ok((run.shown(), opener)) } else { Err(not_to_see(id)) }
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
