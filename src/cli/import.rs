//! `exhibit import`: puts back runs of the daemon's store that were lost, from a bundle or an archive.

use std::path::PathBuf;

use super::{Common, DONE, in_file, out};
use crate::error::Problem;

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// A bundle (`exhibit export`) or an archive (`exhibit archive`) of runs of this store
    #[arg(value_name = "FILE")]
    bundle: PathBuf,
}

pub(super) async fn import(common: &Common, import: Import) -> Result<u8, Problem> {
    let path = import.bundle;
    let file = tokio::fs::File::open(&path).await.map_err(|error| in_file(&path, error))?;
    let answer = common.client()?.post("/imports", file).await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    for (name, what) in [("restored", "put back"), ("here", "already here")] {
        for run in answer[name].as_array().into_iter().flatten() {
            out::line(format!("{}: {what}", run.as_str().unwrap_or_default()));
        }
    }
    DONE
}
