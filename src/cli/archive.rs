//! `exhibit archive`: makes sealed runs one file each, or folders again. The log tells of both.

use serde_json::json;

use super::out::cell;
use super::{Common, DONE, out};
use crate::error::Problem;
use crate::id::RunId;

#[derive(Debug, clap::Args)]
pub(super) struct Archive {
    /// These runs, and only if all of them can be archived
    #[arg(value_name = "RUN", required_unless_present = "older_than")]
    runs: Vec<RunId>,
    /// Runs that were sealed longer ago: 90d
    #[arg(long, value_name = "DAYS", value_parser = days)]
    older_than: Option<u32>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Make folders of the archives of these runs again
    #[arg(long, requires = "runs", conflicts_with = "older_than")]
    restore: bool,
}

fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    days.ok_or_else(|| format!("`{text}` is no number of days; say `90d`"))
}

pub(super) async fn archive(common: &Common, archive: Archive) -> Result<u8, Problem> {
    let mut body = json!({ "dry_run": archive.dry_run });
    if !archive.runs.is_empty() {
        body["runs"] = json!(archive.runs);
    }
    if let Some(days) = archive.older_than {
        body["older_than_days"] = json!(days);
    }
    let path = if archive.restore { "/archives/restore" } else { "/archives" };
    let answer = common.client()?.call(path, None, body).await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let list = |name: &str| answer[name].as_array().cloned().unwrap_or_default();
    let columns = ["run", "workflow", "sealed_at", "sha256", "size", "log_index"];
    let done = list("runs");
    out::table(&columns, done.iter().map(|run| columns.map(|name| cell(&run[name])).to_vec()));
    for stays in list("refused") {
        out::note(cell(&stays["error"]));
    }
    let would = if archive.dry_run { "would be " } else { "" };
    let what = if archive.restore { "restored" } else { "archived" };
    let (done, stay) = (out::counted(done.len(), "run"), list("refused").len());
    out::note(format!("{done} {would}{what}, left as they are: {stay}"));
    DONE
}
