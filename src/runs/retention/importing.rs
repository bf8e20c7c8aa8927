//! Owns imports: runs of this store that were lost, put back from a bundle or an archive of theirs,
//! where the log still holds their seals. Only operators import. A purged run does not come back, and
//! no run of another store becomes one of this: a bundle of those is kept as it is (`imports`).

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::Retention;
use crate::auth::operator;
use crate::blob::{Blob, BlobWriter};
use crate::bundle::{self, BundleError, Limits, Survey, Unpacked};
use crate::digest::Digest;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{Act, RunRecord, seal_digest};
use crate::id::RunId;
use crate::run::Caller;
use crate::runs::access::accessor::decided;
use crate::runs::problem::store_problem;

/// What an import came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Digest of the bundle.
    pub sha256: Digest,
    /// The runs that were put back.
    pub restored: Vec<RunId>,
    /// The runs that were there already, and were left.
    pub here: Vec<RunId>,
    /// Runs of other stores: their bundle is kept as it is.
    pub others: Vec<RunId>,
    /// Whether it is kept since now, or was before; none for runs of this store.
    pub kept: Option<Keeping>,
    /// Index of the entry in the log; none when nothing was put back.
    pub log_index: Option<u64>,
}

/// Since when a bundle of another store is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Keeping {
    /// Since now.
    New,
    /// It was here already.
    Here,
}

impl Retention {
    /// Begin an import of `by`'s: where the bundle goes until it is whole.
    ///
    /// # Errors
    /// `not_an_operator`, `store_full`.
    pub fn begin_import(&self, by: &Caller) -> Result<BlobWriter, Problem> {
        operator(by)?;
        self.0.room.check()?;
        Ok(BlobWriter::new(self.0.context.root()))
    }

    /// Whether there is room for more of an import.
    ///
    /// # Errors
    /// `store_full`.
    pub fn check_import(&self) -> Result<(), Problem> {
        self.0.room.check()
    }

    /// Put back the runs in `bundle` that are lost: all of them or, when one must not come in, none. A
    /// bundle without any run of this store is kept as it is.
    ///
    /// # Errors
    /// `not_an_operator`; `invalid_field` for what is no bundle, or one with runs of this store and of
    /// others; `run_purged`; `run_not_found` for a run of this store that was never sealed;
    /// `run_damaged` for one that is not as it was sealed; `store_full`.
    pub async fn import(&self, bundle: Blob, by: &Caller) -> Result<Imported, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.0
            .context
            .blocking("importing", move || {
                // Neither does a purge go on meanwhile.
                let turn = this.0.turns.take();
                this.go_on_importing(&turn)?;
                this.finish_kept_imports(false, &turn);
                let digest = bundle.digest();
                let sha256 =
                    digest.map_err(|error| Problem::internal("reading the bundle", error))?;
                if let Some(here) = this.kept_already(sha256)? {
                    return Ok(here);
                }
                // All of it is read before anything of it is written.
                let survey =
                    bundle::survey(bundle.reader(), Limits::default()).map_err(not_taken)?;
                if this.are_own(&survey.runs)? {
                    return this.import_own(sha256, &bundle, &survey, &by);
                }
                let foreign = this.judge_foreign(&bundle)?;
                this.keep_foreign(&bundle, sha256, foreign, &by)
            })
            .await
    }

    /// Put back the runs in `bundle`, which are this store's and were counted by the `survey`.
    fn import_own(
        &self,
        sha256: Digest,
        bundle: &Blob,
        survey: &Survey,
        by: &Caller,
    ) -> Result<Imported, Problem> {
        self.0.room.check_for_bundle(survey.bytes, survey.entries)?;
        let (unpacked, scratch) = self.unpack_bundle(bundle)?;
        let imported = self.import_unpacked(sha256, &unpacked, by);
        // What the log may tell of by now stays for the next start.
        let imported = match imported {
            Err(problem) if self.0.context.store.is_importing() => return Err(problem),
            imported => imported,
        };
        let dropped = self.0.context.store.drop_import(&scratch).map_err(store_problem);
        let imported = imported?;
        dropped?;
        Ok(imported)
    }

    fn unpack_bundle(&self, bundle: &Blob) -> Result<(Unpacked, PathBuf), Problem> {
        let unpacked = self.0.context.store.unpack_import(bundle.reader(), Limits::default());
        unpacked.map_err(not_taken)
    }

    /// Whether `runs` are this store's: all of them, or none.
    ///
    /// # Errors
    /// `invalid_field` for some of each.
    fn are_own(&self, runs: &[RunId]) -> Result<bool, Problem> {
        let places = self.0.context.log.places(runs).map_err(store_problem)?;
        let own = |run: &RunId| {
            let place = places.get(run).copied().unwrap_or_default();
            place.open.or(place.seal).is_some() || self.0.decisions.tombstone(*run).is_some()
        };
        let (own, others): (Vec<RunId>, Vec<RunId>) = runs.iter().copied().partition(own);
        match (own.first(), others.first()) {
            (Some(one), Some(other)) => {
                let message = format!(
                    "the bundle holds runs of this store ({one}) and of another ({other}); make a \
                     bundle of each, and import them one after the other"
                );
                Err(Problem::new(Code::InvalidField, message).field("body"))
            }
            (own, _) => Ok(own.is_some()),
        }
    }

    fn import_unpacked(
        &self,
        sha256: Digest,
        unpacked: &Unpacked,
        by: &Caller,
    ) -> Result<Imported, Problem> {
        let (mut lost, mut here) = (Vec::new(), Vec::new());
        for (run, (folder, _)) in &unpacked.runs {
            self.judge_import(*run, folder)?;
            if self.0.context.store.folder_of(*run).is_dir() || self.0.decisions.is_archived(*run) {
                self.check_here(*run)?;
                here.push(*run);
            } else {
                lost.push((*run, folder));
            }
        }
        let restored: Vec<RunId> = lost.iter().map(|(run, _)| *run).collect();
        if lost.is_empty() {
            return Ok(put_back(sha256, restored, here, None));
        }
        let index = {
            let mut standing = self.0.decisions.lock();
            let at = self.0.context.clock.now();
            let mut entries = vec![leaf::import(&restored, sha256, by, at)];
            // What was an archive comes back as a folder.
            let packed = restored.iter().filter(|run| standing.archive(**run).is_some());
            entries.extend(packed.map(|run| leaf::restore(*run, by, at)));
            let event = decided(by, Act::Import, restored.clone(), json!({ "sha256": sha256 }));
            self.0
                .context
                .store
                .mark_import(self.0.context.log.checkpoint().1.size)
                .map_err(store_problem)?;
            standing.record(event, entries)?
        };
        tracing::warn!(runs = restored.len(), log_index = index, %sha256, by = by.account(), "runs are put back");
        for (run, folder) in lost {
            self.0.context.store.publish_folder(run, folder).map_err(store_problem)?;
            self.0.catalog.index_run(run);
            self.0.guard.lock_soon(run);
        }
        Ok(put_back(sha256, restored, here, Some(index)))
    }

    /// Whether `run`, which lies here, is as it was sealed: of one that is not, nobody must hear that all
    /// is here.
    fn check_here(&self, run: RunId) -> Result<(), Problem> {
        let folder = self.0.context.store.folder_of(run);
        let codes = if folder.is_dir() {
            let places = self.0.context.log.places(&[run]).map_err(store_problem)?;
            self.damage_of(&folder, places.get(&run).copied().unwrap_or_default())
        } else {
            self.damage_of_archive(run)
        };
        if codes.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the run {run} lies here and is not as it was sealed ({}), so nothing of the bundle is taken \
             in; take what lies here out of the store, and import again",
            codes.into_iter().collect::<Vec<_>>().join(", ")
        );
        Err(Problem::new(Code::RunDamaged, message).field("body"))
    }

    /// Whether `run` may come back as `folder` has it: sealed as the log says, and sound.
    pub(super) fn judge_import(&self, run: RunId, folder: &Path) -> Result<(), Problem> {
        if self.0.decisions.tombstone(run).is_some() {
            return Err(self.0.decisions.gone(run).field("body"));
        }
        let places = self.0.context.log.places(&[run]).map_err(store_problem)?;
        let seal = places.get(&run).and_then(|place| place.seal);
        let Some(seal) = seal else {
            let message = format!(
                "this store's log tells of the run {run} and holds no seal of it, so that nothing says \
                 whether this is the one; `exhibit verify` reads the bundle as it is"
            );
            return Err(Problem::new(Code::RunNotFound, message).field("body"));
        };
        let seal = Digest::of(&self.0.context.log.entry(seal).map_err(store_problem)?);
        let mut wrong = self.sound(folder);
        if seal_digest(folder) != Some(seal) || RunRecord::read(folder).is_err() {
            wrong.push("seal_not_logged".to_owned());
        }
        if wrong.is_empty() {
            return Ok(());
        }
        let message = format!(
            "the run {run} in the bundle is not as it was sealed ({}), so nothing of the bundle is \
             taken in; send another copy",
            wrong.join(", ")
        );
        Err(Problem::new(Code::RunDamaged, message).field("body"))
    }
}

/// What is said of a bundle that is none, or holds more than any may.
pub(super) fn not_taken(error: BundleError) -> Problem {
    if !error.is_of_the_system() {
        let message = format!(
            "what was sent is not taken in: {}; send a file that `exhibit export` or \
             `exhibit archive` made",
            chain(&error)
        );
        return Problem::new(Code::InvalidField, message).field("body");
    }
    match error {
        BundleError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            let message = "the store's disk has no room to unpack the bundle; free some space";
            Problem::new(Code::StoreFull, message)
        }
        error => Problem::internal("reading the bundle", error),
    }
}

fn put_back(
    sha256: Digest,
    restored: Vec<RunId>,
    here: Vec<RunId>,
    log_index: Option<u64>,
) -> Imported {
    Imported { sha256, restored, here, others: Vec::new(), kept: None, log_index }
}
