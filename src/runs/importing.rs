//! Owns imports: runs of this store that were lost, put back from a bundle or an archive of theirs,
//! where the log still holds their seals. Only operators import. A purged run does not come back, and
//! no run of another store comes in.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::Runs;
use super::custody::decided;
use super::holds::operator;
use super::problem::store_problem;
use crate::blob::{Blob, BlobWriter};
use crate::bundle::{BundleError, Limits, Unpacked};
use crate::digest::Digest;
use crate::disk;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{Act, RunRecord, seal_digest};
use crate::id::RunId;
use crate::run::Caller;

/// What an import came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Digest of the bundle.
    pub sha256: Digest,
    /// The runs that were put back.
    pub restored: Vec<RunId>,
    /// The runs that were there already, and were left.
    pub here: Vec<RunId>,
    /// Index of the entry in the log; none when nothing was put back.
    pub log_index: Option<u64>,
}

impl Runs {
    /// Begin an import of `by`'s: where the bundle goes until it is whole.
    ///
    /// # Errors
    /// `not_an_operator`, `store_full`.
    pub fn begin_import(&self, by: &Caller) -> Result<BlobWriter, Problem> {
        operator(by)?;
        self.check_room()?;
        Ok(BlobWriter::new(self.root()))
    }

    /// Whether there is room for more of an import.
    ///
    /// # Errors
    /// `store_full`.
    pub fn check_import(&self) -> Result<(), Problem> {
        self.check_room()
    }

    /// Put back the runs in `bundle` that are lost: all of them or, when one must not come in, none.
    ///
    /// # Errors
    /// `not_an_operator`; `invalid_field` for what is no bundle; `run_purged`; `run_not_found` for a
    /// run of another store; `run_damaged` for one that is not as it was sealed.
    pub async fn import(&self, bundle: Blob, by: &Caller) -> Result<Imported, Problem> {
        operator(by)?;
        let (this, by) = (self.clone(), by.clone());
        self.blocking("importing", move || {
            // Neither does a purge go on meanwhile.
            let _turn = this.0.purging.lock();
            this.go_on_importing()?;
            let (unpacked, scratch) = this.unpack_bundle(&bundle)?;
            let imported = this.import_unpacked(&bundle, &unpacked, &by);
            // What the log may tell of by now stays for the next start.
            if imported.is_err() && this.0.store.is_importing() {
                return imported;
            }
            let dropped = this.0.store.drop_import(&scratch).map_err(store_problem);
            let imported = imported?;
            dropped?;
            Ok(imported)
        })
        .await
    }

    fn unpack_bundle(&self, bundle: &Blob) -> Result<(Unpacked, PathBuf), Problem> {
        let free = disk::free_bytes(self.root())
            .map_err(|error| Problem::internal("asking for free space", error))?;
        let room = free.saturating_sub(self.0.config.borrow().store.min_free);
        let most = Limits::default();
        let limits = Limits { bytes: most.bytes.min(room), ..most };
        self.0.store.unpack_import(bundle.reader(), limits).map_err(|error| match error {
            BundleError::TooMuch(_) => {
                let message = format!("the bundle is not unpacked: {error}; free some space");
                Problem::new(Code::StoreFull, message)
            }
            _ => {
                let message = format!(
                    "what was sent is not taken in: {}; send a file that `exhibit export` or \
                     `exhibit archive` made",
                    chain(&error)
                );
                Problem::new(Code::InvalidField, message).field("body")
            }
        })
    }

    fn import_unpacked(
        &self,
        bundle: &Blob,
        unpacked: &Unpacked,
        by: &Caller,
    ) -> Result<Imported, Problem> {
        let digest = bundle.digest();
        let sha256 = digest.map_err(|error| Problem::internal("reading the bundle", error))?;
        let (mut lost, mut here) = (Vec::new(), Vec::new());
        for (run, (folder, _)) in &unpacked.runs {
            self.judge_import(*run, folder)?;
            if self.0.store.folder_of(*run).is_dir() || self.is_archived(*run) {
                here.push(*run);
            } else {
                lost.push((*run, folder));
            }
        }
        let restored: Vec<RunId> = lost.iter().map(|(run, _)| *run).collect();
        if lost.is_empty() {
            return Ok(Imported { sha256, restored, here, log_index: None });
        }
        let index = {
            let mut standing = self.standing();
            let at = self.0.clock.now();
            let mut entries = vec![leaf::import(&restored, sha256, by, at)];
            // What was an archive comes back as a folder.
            let packed = restored.iter().filter(|run| standing.archive(**run).is_some());
            entries.extend(packed.map(|run| leaf::restore(*run, by, at)));
            let deed = decided(by, Act::Import, restored.clone(), json!({ "sha256": sha256 }));
            self.0.store.mark_import(self.log().checkpoint().1.size).map_err(store_problem)?;
            self.put_down(&mut standing, deed, entries)?
        };
        tracing::warn!(runs = restored.len(), log_index = index, %sha256, ?by, "runs are put back");
        for (run, folder) in lost {
            self.0.store.publish_folder(run, folder).map_err(store_problem)?;
            self.index_run(run);
            self.lock_soon(run);
        }
        Ok(Imported { sha256, restored, here, log_index: Some(index) })
    }

    /// Whether `run` may come back as `folder` has it: sealed as the log says, and sound.
    pub(super) fn judge_import(&self, run: RunId, folder: &Path) -> Result<(), Problem> {
        if self.tombstone(run).is_some() {
            return Err(self.gone(run).field("body"));
        }
        let places = self.log().places(&[run]).map_err(store_problem)?;
        let seal = places.get(&run).and_then(|place| place.seal);
        let Some(seal) = seal else {
            let message = format!(
                "this store's log holds no seal of the run {run}: it is another store's, and stays \
                 in its bundle, which `exhibit verify` reads as it is"
            );
            return Err(Problem::new(Code::RunNotFound, message).field("body"));
        };
        let seal = Digest::of(&self.log().entry(seal).map_err(store_problem)?);
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
