//! Owns what others ask of the runs as a whole: the parts, and what those who record do with an open run.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::registry::open::{OpenRun, Work};
use super::{
    AccessLog, Catalog, Counts, Disclosure, GuardClient, Integrity, LogService, Purged, Registry,
    Retention, Room, Runs, Signing,
};
use crate::artifact::{Artifact, NewArtifact};
use crate::auth::operator;
use crate::blob::Blob;
use crate::clock::{Clock, Moment};
use crate::error::Problem;
use crate::evidence::{GrowingFile, StoreError};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::request::PurgeRequest;
use crate::run::{Caller, Ending, Event, Recorded, RunSpec};
use crate::runs::problem::store_problem;
use crate::tasks::Tasks;

/// The parts.
impl Runs {
    /// The open runs.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The log, for those who read and attest it.
    pub fn log(&self) -> &LogService {
        &self.0.service
    }

    /// The key that signs.
    pub fn signing(&self) -> &Signing {
        &self.0.signing
    }

    /// Holds, purges, archives and imports.
    pub fn retention(&self) -> &Retention {
        &self.0.retention
    }

    /// What was found of sealed evidence, and who looks for it.
    pub fn integrity(&self) -> &Integrity {
        &self.0.integrity
    }

    /// The daemon's side of the guard.
    pub fn guard(&self) -> &GuardClient {
        &self.0.guard
    }

    /// The sealed runs, as the index and their records tell of them.
    pub fn catalog(&self) -> &Catalog {
        &self.0.catalog
    }

    /// What is shown and given out of runs, on record.
    pub fn disclosure(&self) -> &Disclosure {
        &self.0.disclosure
    }

    /// The access log.
    pub fn access_log(&self) -> &AccessLog {
        &self.0.access
    }

    /// Room on the store's disk.
    pub fn room(&self) -> &Room {
        &self.0.room
    }

    /// What was counted since the daemon started.
    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    /// The daemon's clock.
    pub fn clock(&self) -> &Clock {
        &self.0.context.clock
    }

    /// The daemon's work.
    pub fn tasks(&self) -> &Tasks {
        &self.0.context.tasks
    }

    /// Folder of the store.
    pub fn root(&self) -> &Path {
        self.0.context.root()
    }

    /// What `error` means for a caller.
    pub fn problem(&self, error: StoreError) -> Problem {
        store_problem(error)
    }
}

/// What is done with open runs.
impl Runs {
    /// Number of open runs.
    pub fn open_count(&self) -> usize {
        self.0.registry.len()
    }

    /// The workflow of the open run `id`.
    pub fn workflow_of(&self, id: RunId) -> Option<String> {
        self.0.registry.workflow_of(id)
    }

    /// See [`Registry::begin`].
    ///
    /// # Errors
    /// As there.
    pub async fn begin(
        &self,
        spec: RunSpec,
        caller: Caller,
        browser: Value,
    ) -> Result<Arc<OpenRun>, Problem> {
        self.0.registry.begin(spec, caller, browser).await
    }

    /// See [`Registry::work`].
    ///
    /// # Errors
    /// As there.
    pub async fn work(&self, id: RunId, caller: &Caller) -> Result<Work, Problem> {
        self.0.registry.work(id, caller).await
    }

    /// See [`Registry::may_act_on`].
    ///
    /// # Errors
    /// As there.
    pub fn may_act_on(&self, id: RunId, caller: &Caller) -> Result<(), Problem> {
        self.0.registry.may_act_on(id, caller)
    }

    /// See [`Registry::record`].
    ///
    /// # Errors
    /// As there.
    pub async fn record(&self, work: &Work, events: Vec<Event>) -> Result<Vec<Recorded>, Problem> {
        self.0.registry.record(work, events).await
    }

    /// See [`Registry::add`].
    ///
    /// # Errors
    /// As there.
    pub async fn add(
        &self,
        work: &Work,
        files: Vec<NewArtifact>,
        tell: impl FnOnce(&[Artifact]) -> Event + Send + 'static,
    ) -> Result<(Vec<Artifact>, Recorded), Problem> {
        self.0.registry.add(work, files, tell).await
    }

    /// See [`Registry::captions_since`].
    ///
    /// # Errors
    /// As there.
    pub async fn captions_since(
        &self,
        work: &Work,
        begun: Moment,
    ) -> Result<Vec<(f64, f64, String)>, Problem> {
        self.0.registry.captions_since(work, begun).await
    }

    /// See [`Registry::begin_growing`].
    ///
    /// # Errors
    /// As there.
    pub async fn begin_growing(&self, work: &Work, name: String) -> Result<GrowingFile, Problem> {
        self.0.registry.begin_growing(work, name).await
    }

    /// See [`Registry::finish_growing`].
    ///
    /// # Errors
    /// As there.
    pub async fn finish_growing(
        &self,
        work: &Work,
        name: String,
        files: Vec<NewArtifact>,
        tell: impl FnOnce(&[Artifact]) -> Event + Send + 'static,
    ) -> Result<(Vec<Artifact>, Blob), Problem> {
        self.0.registry.finish_growing(work, name, files, tell).await
    }

    /// Seal a run, once the work under way on it is done.
    ///
    /// # Errors
    /// `run_not_found`, `run_sealed`, `not_your_run`, or what stopped the sealing; the run is then
    /// still open.
    pub async fn seal(
        &self,
        id: RunId,
        caller: &Caller,
        ending: Ending,
    ) -> Result<Receipt, Problem> {
        self.0.sealer.seal(id, caller, ending).await
    }

    /// Seal a run of one, whose only work is done.
    ///
    /// # Errors
    /// What stopped the sealing.
    pub async fn seal_own(&self, work: Work, ending: Ending) -> Result<Receipt, Problem> {
        self.0.sealer.seal_own(work, ending).await
    }

    /// Seal every run that outlived its time, again and again until `tasks` are to stop.
    pub async fn expire(self, tasks: Tasks) {
        self.0.sealer.expire(tasks).await;
    }

    /// Seal every open run as interrupted: the daemon is stopping.
    pub async fn interrupt_all(&self) {
        self.0.sealer.interrupt_all().await;
    }
}

/// What takes several parts.
impl Runs {
    /// Purge the runs that are asked for, or all that are due, and take up a store for which there was
    /// no room before.
    ///
    /// # Errors
    /// What the retention answers.
    pub async fn purge(&self, asked: PurgeRequest, by: &Caller) -> Result<Purged, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.0
            .context
            .blocking("purging", move || {
                let turn = this.0.retention.turn();
                let done = this.0.retention.purge(&asked, &by, &turn);
                // What went may have left the room that was wanting.
                if this.0.room.is_read_only() && this.is_taken_up(&turn) {
                    this.0.room.refill();
                }
                done
            })
            .await
    }
}
