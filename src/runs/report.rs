//! Owns the way to a run's report, or to a look at it: the sealed one as it lies in its folder, or one
//! made of what there is while the run is open.

use super::Runs;
use super::problem::unknown;
use crate::blob::{Blob, BlobWriter};
use crate::error::Problem;
use crate::id::RunId;
use crate::report::{self, Options};
use crate::run::Reader;

impl Runs {
    /// The report of the run `id`, for `reader`.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, or what kept it from being read or made.
    pub async fn report(&self, id: RunId, reader: &Reader) -> Result<Blob, Problem> {
        let folder = self.readable(id, reader).await?.folder;
        let spool = self.root().to_owned();
        self.blocking("making the report", move || {
            let broken = |error| Problem::internal("making the report", error);
            if let Ok(kept) = std::fs::File::open(folder.join(report::FILE)) {
                let length = kept.metadata().map_err(broken)?.len();
                return Ok(Blob::of_file(kept, length));
            }
            // Sealed before there were reports, or open. A report may be too long for memory.
            let mut made = BlobWriter::new(&spool);
            let written = report::write(&folder, &Options::default(), &mut made);
            // Sealing moves the folder; then it is found sealed when it is asked for again.
            written.map_err(broken)?.map_err(|_| unknown(id))?;
            Ok(made.finish())
        })
        .await
    }
}
