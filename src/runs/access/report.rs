//! Owns the way to a run's report, or to a look at it: the sealed one as it lies in its folder, or one
//! made of what there is while the run is open.

use std::fs::File;

use super::Disclosure;
use super::accessor::Accessor;
use crate::blob::{Blob, BlobWriter};
use crate::error::Problem;
use crate::evidence::{Act, Integrity, sealed_report, verify};
use crate::id::RunId;
use crate::report::{self, Options};
use crate::runs::log::seals::seal_in_log;
use crate::runs::problem::unknown;

impl Disclosure {
    /// The report of the run `id`, for `accessor`, who is put on record.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `custody_unwritable`, or what kept it from being read or made.
    pub async fn report(&self, id: RunId, accessor: &Accessor) -> Result<Blob, Problem> {
        let folder = self.readable(id, &accessor.reader).await?.folder;
        let (this, accessor) = (self.clone(), accessor.clone());
        self.0
            .context
            .blocking("making the report", move || {
                let broken = |error| Problem::internal("making the report", error);
                let sealed = folder == this.0.context.store.folder_of(id);
                let own = if sealed { this.own_report(id) } else { None };
                let integrity = this.0.integrity.of(id).filter(|_| sealed);
                if let Some(kept) = own.filter(|_| integrity.is_none()) {
                    let length = kept.metadata().map_err(broken)?.len();
                    this.0.access.record_access(&accessor, Act::View, id, Some(report::FILE))?;
                    return Ok(Blob::of_file(kept, length));
                }
                // Sealed before there were reports, or open, or not as it was sealed: what was said when it
                // was sealed does not stand. A report may be too long for memory.
                let altered = integrity.as_ref().is_some_and(Integrity::is_altered);
                let checked = altered.then(|| verify::folder(&folder, &this.0.signing.own_trust()));
                let mut made = BlobWriter::new(this.0.context.root());
                let options = Options { checked, integrity, fresh: !sealed, ..Options::default() };
                let written = report::write(&folder, &options, &mut made);
                // Sealing moves the folder; then it is found sealed when it is asked for again.
                written.map_err(broken)?.map_err(|_| unknown(id))?;
                this.0.access.record_access(&accessor, Act::View, id, Some(report::FILE))?;
                Ok(made.finish())
            })
            .await
    }

    /// The report in the folder of the sealed run `id`, if it is the one that was sealed. Where it is
    /// another, that is told.
    fn own_report(&self, id: RunId) -> Option<File> {
        let folder = self.0.context.store.folder_of(id);
        if !folder.join(report::FILE).exists() {
            return None;
        }
        let logged = seal_in_log(&self.0.context.log, &self.0.context.store, id);
        let own = sealed_report(&folder, logged).ok()?;
        if own.is_none() && self.0.integrity.of(id).is_none_or(|told| !told.is_altered()) {
            self.0.integrity.doubt(&[id]);
        }
        own
    }
}
