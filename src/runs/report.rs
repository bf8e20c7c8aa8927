//! Owns the way to a run's report, or to a look at it: the sealed one as it lies in its folder, or one
//! made of what there is while the run is open.

use super::Runs;
use super::custody::Looker;
use super::problem::unknown;
use crate::blob::{Blob, BlobWriter};
use crate::error::Problem;
use crate::evidence::Act;
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
            if let Ok(kept) = std::fs::File::open(folder.join(report::FILE)) {
                let length = kept.metadata().map_err(broken)?.len();
                this.saw(&looker, Act::View, id, Some(report::FILE))?;
                return Ok(Blob::of_file(kept, length));
            }
            // Sealed before there were reports, or open. A report may be too long for memory.
            let mut made = BlobWriter::new(this.root());
            let written = report::write(&folder, &Options::default(), &mut made);
            // Sealing moves the folder; then it is found sealed when it is asked for again.
            written.map_err(broken)?.map_err(|_| unknown(id))?;
            this.saw(&looker, Act::View, id, Some(report::FILE))?;
            Ok(made.finish())
        })
        .await
    }
}
