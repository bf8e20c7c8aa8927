//! `exhibit export`: sealed runs as one file for somebody else, who checks it with `exhibit verify`.

use std::path::PathBuf;

use super::{Common, DONE, check_free, out};
use crate::digest::Digest;
use crate::error::Problem;
use crate::id::RunId;

#[derive(Debug, clap::Args)]
pub(super) struct Export {
    /// The runs
    #[arg(required_unless_present = "imported")]
    runs: Vec<RunId>,
    /// A bundle of another store that is kept here, as it came: its digest, by `import --list`
    #[arg(long, value_name = "SHA256", conflicts_with = "runs")]
    imported: Option<Digest>,
    /// Write the bundle there: evidence.tar.zst
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

pub(super) async fn export(common: &Common, export: Export) -> Result<u8, Problem> {
    // What is handed out is noted in the log, so a file that cannot be written is told before.
    check_free(&export.out)?;
    let client = common.client()?;
    let (sha256, bytes) = match export.imported {
        Some(sha256) => client.import(sha256, &export.out).await?,
        None => client.bundle(&export.runs, &export.out).await?,
    };
    if common.json {
        let path = export.out.display().to_string();
        out::json(&serde_json::json!({ "path": path, "sha256": sha256, "size_bytes": bytes }));
    } else {
        out::line(format!("{sha256}  {}", export.out.display()));
    }
    DONE
}
