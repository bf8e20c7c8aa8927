//! `exhibit purge`: takes away runs whose time is over. The log keeps that they were there.

use serde_json::json;

use super::runs::cell;
use super::{Common, DONE, out};
use crate::error::Problem;
use crate::id::RunId;

#[derive(Debug, clap::Args)]
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
    /// Also a run that is not as it was sealed; name it with --run
    #[arg(long, requires = "runs")]
    even_damaged: bool,
}

pub(super) async fn purge(common: &Common, purge: Purge) -> Result<u8, Problem> {
    let mut body = json!({
        "reason": purge.reason, "dry_run": purge.dry_run, "even_damaged": purge.even_damaged,
    });
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
    out::note(format!("{} runs {what}, {} stay", gone.len(), list("refused").len()));
    DONE
}
