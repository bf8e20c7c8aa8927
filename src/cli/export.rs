//! `exhibit export`: sealed runs as one file for somebody else, who checks it with `exhibit verify`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Common, check_free, out};
use crate::digest::Digest;
use crate::error::{Problem, exit};
use crate::evidence::{Trust, verify};
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
    Ok(report_damage(&export.out))
}

/// Say what is not as it was sealed in the bundle at `path`, whoever signed it; the exit code.
fn report_damage(path: &Path) -> u8 {
    let Ok(reports) = verify::bundle(path, &Trust::none()) else { return exit::OK };
    let mut code = exit::OK;
    for report in reports {
        let damage = report.findings.iter().filter(|finding| finding.class.is_damage());
        let codes: BTreeSet<&str> = damage.map(|finding| finding.code.as_str()).collect();
        if !codes.is_empty() {
            code = exit::ALTERED;
            let run = report.run.map_or_else(|| report.folder.clone(), |run| run.to_string());
            let codes = codes.into_iter().collect::<Vec<_>>().join(", ");
            out::note(format!("{run} in it is not as it was sealed ({codes})"));
        }
    }
    code
}
