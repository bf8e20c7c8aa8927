//! `exhibit purge`: takes away runs, or a kept bundle of another store, whose time is over. The log
//! keeps that they were there.

use serde_json::json;

use super::out::cell;
use super::{Common, DONE, out};
use crate::digest::Digest;
use crate::error::Problem;
use crate::id::RunId;

#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("named").args(["runs", "imported"])))]
pub(super) struct Purge {
    /// Only say what would go
    #[arg(long)]
    dry_run: bool,
    /// These runs, and only if all of them may go [default: all that are due]
    #[arg(long = "run", value_name = "RUN", num_args = 1..)]
    runs: Vec<RunId>,
    /// Why; it stands in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// A bundle of another store that is kept here, instead of runs: its digest, by `import --list`
    #[arg(long, value_name = "SHA256", conflicts_with = "runs")]
    imported: Option<Digest>,
    /// Also what is not as it was sealed or taken in; name it with --run or --imported
    #[arg(long, requires = "named")]
    even_damaged: bool,
}

pub(super) async fn purge(common: &Common, purge: Purge) -> Result<u8, Problem> {
    let mut body = json!({
        "reason": purge.reason, "dry_run": purge.dry_run, "even_damaged": purge.even_damaged,
    });
    if let Some(sha256) = purge.imported {
        let path = format!("/imports/{sha256}/purge");
        let answer = common.client()?.call(&path, None, body).await?;
        if common.json {
            out::json(&answer);
            return DONE;
        }
        let runs = answer["runs"].as_array().map_or(0, Vec::len);
        let what = if purge.dry_run { "would be purged" } else { "purged" };
        out::line(format!("{sha256}: {runs} folders of another store {what}"));
        return DONE;
    }
    if !purge.runs.is_empty() {
        body["runs"] = json!(purge.runs);
    }
    let answer = common.client()?.call("/purges", None, body).await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let columns = ["run", "workflow", "sealed_at", "kept_until", "log_index"];
    let gone = list("purged");
    out::table(&columns, gone.iter().map(|run| columns.map(|name| cell(&run[name])).to_vec()));
    for stays in list("refused") {
        out::note(cell(&stays["error"]));
    }
    let what = if purge.dry_run { "would be purged" } else { "purged" };
    let (gone, stay) = (out::counted(gone.len(), "run"), list("refused").len());
    out::note(format!("{gone} {what}, left as they are: {stay}"));
    DONE
}
