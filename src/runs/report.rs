//! Owns the way to a run's report, or to a look at it: the sealed one as it lies in its folder, or one
//! made of what there is while the run is open.

use super::Runs;
use super::custody::Looker;
use super::problem::unknown;
use crate::blob::{Blob, BlobWriter};
use crate::error::Problem;
use crate::evidence::{Act, Integrity, is_sealed_report, verify};
use crate::id::RunId;
use crate::report::{self, Options};

impl Runs {
    /// The report of the run `id`, for `looker`, who is put on record.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `custody_unwritable`, or what kept it from being read or made.
    pub async fn report(&self, id: RunId, looker: &Looker) -> Result<Blob, Problem> {
        let folder = self.readable(id, &looker.reader).await?.folder;
        let (this, looker) = (self.clone(), looker.clone());
        self.blocking("making the report", move || {
            let broken = |error| Problem::internal("making the report", error);
            let sealed = folder == this.0.store.folder_of(id);
            let is_own = sealed && this.is_own_report(id);
            let integrity = this.integrity(id).filter(|_| sealed);
            if is_own
                && integrity.is_none()
                && let Ok(kept) = std::fs::File::open(folder.join(report::FILE))
            {
                let length = kept.metadata().map_err(broken)?.len();
                this.saw(&looker, Act::View, id, Some(report::FILE))?;
                return Ok(Blob::of_file(kept, length));
            }
            // Sealed before there were reports, or open, or not as it was sealed: what was said when it
            // was sealed does not stand. A report may be too long for memory.
            let altered = integrity.as_ref().is_some_and(Integrity::is_altered);
            let checked = altered.then(|| verify::folder(&folder, &this.own_trust()));
            let mut made = BlobWriter::new(this.root());
            let options = Options { checked, integrity, fresh: !sealed, ..Options::default() };
            let written = report::write(&folder, &options, &mut made);
            // Sealing moves the folder; then it is found sealed when it is asked for again.
            written.map_err(broken)?.map_err(|_| unknown(id))?;
            this.saw(&looker, Act::View, id, Some(report::FILE))?;
            Ok(made.finish())
        })
        .await
    }

    /// Whether the report in the folder of the sealed run `id` is the one that was sealed. Where it is
    /// another, that is told.
    fn is_own_report(&self, id: RunId) -> bool {
        let folder = self.0.store.folder_of(id);
        if !folder.join(report::FILE).exists() {
            return false;
        }
        let Ok(own) = is_sealed_report(&folder, self.seal_in_log(id)) else { return false };
        if !own && self.integrity(id).is_none_or(|told| !told.is_altered()) {
            self.doubt(&[id]);
        }
        own
    }
}
