//! Owns the giving out of sealed runs as a bundle. That they were given out, and to whom, is in the
//! log before anybody gets them.

use std::io;

use serde_json::json;

use super::Runs;
use super::archiving::archived;
use super::custody::Looker;
use super::problem::{not_to_see, sealed_first, store_problem, unknown};
use crate::blob::{Blob, BlobWriter};
use crate::bundle;
use crate::error::{Code, Problem};
use crate::evidence::Act;
use crate::evidence::log::leaf;
use crate::id::RunId;

/// Most runs in one bundle.
const MAX_RUNS: usize = 1_000;

impl Runs {
    /// The sealed runs `ids` as one `.tar.zst`, for `looker`, who is put on record.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `conflict` for one that is still open; `run_damaged` for a folder
    /// that holds what no bundle does; what the disk says.
    pub async fn bundle(&self, mut ids: Vec<RunId>, looker: &Looker) -> Result<Blob, Problem> {
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() || ids.len() > MAX_RUNS {
            let message = format!("`runs` names {} runs; give 1 to {MAX_RUNS}", ids.len());
            return Err(Problem::new(Code::InvalidField, message).field("runs"));
        }
        for id in &ids {
            if self.workflow_of(*id).is_some() {
                return Err(sealed_first(*id));
            }
            let record = self.sealed_run(*id).await?;
            if !looker.reader.may_read(&record.opening.caller) {
                return Err(not_to_see(*id).field("runs"));
            }
        }
        let (this, looker) = (self.clone(), looker.clone());
        self.blocking("making the bundle", move || {
            let log = this.log();
            let places = log.places(&ids).map_err(store_problem)?;
            let mut folders = Vec::new();
            for id in &ids {
                let seal = places.get(id).and_then(|place| place.seal);
                let proof = seal.map(|seal| log.proof(seal)).transpose().map_err(store_problem)?;
                let folder = this.0.store.folder_of(*id);
                if !folder.is_dir() && this.is_archived(*id) {
                    return Err(archived(*id).field("runs"));
                }
                if !folder.is_dir() {
                    return Err(unknown(*id));
                }
                folders.push((*id, folder, proof));
            }
            let parts: Vec<_> = folders
                .iter()
                .map(|(id, path, proof)| (*id, path.as_path(), proof.clone()))
                .collect();
            let written = bundle::write(BlobWriter::new(this.root()), &parts);
            let written = written.map_err(not_written)?;
            let given = written.finish();
            let digest =
                given.digest().map_err(|error| Problem::internal("reading the bundle", error))?;
            let deed = looker.deed(Act::Export, ids.clone(), json!({ "sha256": digest }));
            this.put_on_record(deed)?;
            let by = &looker.caller;
            let entry = leaf::export(&ids, digest, by, this.0.clock.now());
            this.append_with_head(vec![entry])?;
            tracing::info!(runs = ids.len(), %digest, ?by, "runs were given out");
            Ok(given)
        })
        .await
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
