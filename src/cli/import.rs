//! `exhibit import`: puts back runs of the daemon's store that were lost, from a bundle or an archive,
//! keeps bundles of other stores as they are, and lists those.

use std::path::PathBuf;

use serde_json::Value;

use super::out::cell;
use super::{Common, DONE, in_file, out};
use crate::error::Problem;

#[derive(Debug, clap::Args)]
pub(super) struct Import {
    /// A bundle (`exhibit export`) or an archive (`exhibit archive`): of runs of this store that were
    /// lost, or of another store's
    #[arg(value_name = "FILE", required_unless_present = "list")]
    bundle: Option<PathBuf>,
    /// List the bundles of other stores that are kept; `export --imported` gives one out again
    #[arg(long, conflicts_with = "bundle")]
    list: bool,
}

pub(super) async fn import(common: &Common, import: Import) -> Result<u8, Problem> {
    let Some(path) = import.bundle else { return list(common).await };
    let file = tokio::fs::File::open(&path).await.map_err(|error| in_file(&path, error))?;
    let answer = common.client()?.post("/imports", file).await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let kept = if answer["kept"] == "here" {
        "another store's, kept here already"
    } else {
        "another store's, its bundle is kept"
    };
    for (name, what) in [("restored", "put back"), ("here", "already here"), ("others", kept)] {
        for run in answer[name].as_array().into_iter().flatten() {
            out::line(format!("{}: {what}", run.as_str().unwrap_or_default()));
        }
    }
    DONE
}

async fn list(common: &Common) -> Result<u8, Problem> {
    let answer = common.client()?.get("/imports").await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let imports = answer["imports"].as_array().cloned().unwrap_or_default();
    let columns =
        ["sha256", "size", "imported_at", "kept_until", "log_index", "runs", "origins", "there"];
    let row = |import: &Value| {
        let shown = columns.map(|name| match (name, import[name].as_array()) {
            ("runs", Some(runs)) => runs.len().to_string(),
            (_, Some(all)) => all.iter().map(cell).collect::<Vec<_>>().join(" "),
            (_, None) => cell(&import[name]),
        });
        shown.to_vec()
    };
    out::table(&columns, imports.iter().map(row));
    out::note(format!("{} bundles of other stores", imports.len()));
    DONE
}
