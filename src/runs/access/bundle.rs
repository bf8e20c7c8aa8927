//! Owns the giving out of sealed runs as a bundle. That they were given out, and to whom, is in the
//! log before anybody gets them.

use std::io;

use super::Disclosure;
use super::accessor::Accessor;
use crate::blob::{Blob, BlobWriter};
use crate::bundle;
use crate::error::{Code, Problem};
use crate::id::RunId;
use crate::runs::problem::archived;
use crate::runs::problem::{not_to_see, sealed_first, store_problem, unknown};

/// Most runs in one bundle.
const MAX_RUNS: usize = 1_000;

impl Disclosure {
    /// The sealed runs `ids` as one `.tar.zst`, for `accessor`, who is put on record.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `conflict` for one that is still open; `run_damaged` for a folder
    /// that holds what no bundle does; what the disk says.
    pub async fn bundle(&self, mut ids: Vec<RunId>, accessor: &Accessor) -> Result<Blob, Problem> {
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() || ids.len() > MAX_RUNS {
            let message = format!("`runs` names {} runs; give 1 to {MAX_RUNS}", ids.len());
            return Err(Problem::new(Code::InvalidField, message).field("runs"));
        }
        for id in &ids {
            if self.0.registry.workflow_of(*id).is_some() {
                return Err(sealed_first(*id));
            }
            let record = self.0.catalog.sealed_run(*id).await?;
            if !accessor.reader.may_read(&record.opening.caller) {
                return Err(not_to_see(*id).field("runs"));
            }
        }
        let (this, accessor) = (self.clone(), accessor.clone());
        self.0.context.blocking("making the bundle", move || this.export(&ids, &accessor)).await
    }

    fn export(&self, ids: &[RunId], accessor: &Accessor) -> Result<Blob, Problem> {
        let log = &self.0.context.log;
        let places = log.places(ids).map_err(store_problem)?;
        let mut folders = Vec::new();
        for id in ids {
            let seal = places.get(id).and_then(|place| place.seal);
            let proof = seal.map(|seal| log.proof(seal)).transpose().map_err(store_problem)?;
            let folder = self.0.context.store.folder_of(*id);
            if !folder.is_dir() && self.0.decisions.is_archived(*id) {
                return Err(archived(*id).field("runs"));
            }
            if !folder.is_dir() {
                return Err(unknown(*id));
            }
            folders.push((*id, folder, proof));
        }
        let parts: Vec<_> =
            folders.iter().map(|(id, path, proof)| (*id, path.as_path(), proof.clone())).collect();
        let written = bundle::write(BlobWriter::new(self.0.context.root()), &parts);
        let given = written.map_err(not_written)?.finish();
        let digest =
            given.digest().map_err(|error| Problem::internal("reading the bundle", error))?;
        self.0.access.export(accessor, ids, digest)?;
        let by = &accessor.caller;
        tracing::info!(runs = ids.len(), %digest, by = by.account(), "runs were given out");
        Ok(given)
    }
}

fn not_written(error: io::Error) -> Problem {
    if error.kind() != io::ErrorKind::InvalidData {
        return Problem::internal("making the bundle", error);
    }
    let message = format!(
        "no bundle is made of these runs: {error}; look into them with `exhibit verify`, and hand out \
         what is damaged as a folder"
    );
    Problem::new(Code::RunDamaged, message).field("runs")
}
