//! `exhibit log timestamp …`: timestamps over the log, by files that go to an authority and come
//! back. With `[timestamp] url` the daemon asks one itself.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use super::{Common, DONE, in_file, out};
use crate::disk;
use crate::error::{Code, Problem};
use crate::timestamp::MAX_STAMP;

#[derive(Debug, Subcommand)]
pub(super) enum Timestamp {
    /// Write a request over the newest checkpoint, for an authority; the daemon keeps it
    Export {
        /// File to write, such as log.tsq
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take in what an authority answered
    Import {
        /// The response, such as log.tsr
        file: PathBuf,
    },
    /// Say which checkpoint was stamped last, and when
    Status,
}

pub(super) async fn timestamp(common: &Common, timestamp: Timestamp) -> Result<u8, Problem> {
    match timestamp {
        Timestamp::Export { out: path } => {
            let request = common.client()?.bytes("/log/timestamp-request").await?;
            disk::replace(&path, &request, 0o644).map_err(|error| in_file(&path, error))?;
        }
        Timestamp::Import { file } => {
            let response =
                disk::read_limited(&file, MAX_STAMP).map_err(|error| in_file(&file, error))?;
            let told = common.client()?.post("/log/timestamps", response).await?;
            if common.json {
                out::json(&told);
            } else {
                out::line(format!(
                    "{} entries were there at {}",
                    told["size"],
                    word(&told["time"])
                ));
            }
        }
        Timestamp::Status => status(common).await?,
    }
    DONE
}

async fn status(common: &Common) -> Result<(), Problem> {
    let text = common.client()?.text("/log/timestamps").await?;
    let told: Value = serde_json::from_str(&text)
        .map_err(|error| Problem::new(Code::Internal, "the answer is no JSON").because(error))?;
    if common.json {
        out::json(&told);
        return Ok(());
    }
    let size = told["size"].as_u64().unwrap_or_default();
    out::line(format!("log {}: {size} entries", word(&told["origin"])));
    let newest = &told["stamped"];
    match newest["size"].as_u64() {
        Some(stamped) => out::line(format!(
            "stamped at {stamped}: {}; {} entries since",
            word(&newest["time"]),
            size.saturating_sub(stamped)
        )),
        None => out::line("no checkpoint has a timestamp yet"),
    }
    Ok(())
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
