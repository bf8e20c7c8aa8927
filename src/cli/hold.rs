//! `exhibit hold …`: legal holds, which keep runs from being purged.

use clap::Subcommand;
use serde_json::{Value, json};

use super::out::cell;
use super::{Common, DONE, out};
use crate::error::Problem;
use crate::id::RunId;

#[derive(Debug, Subcommand)]
pub(super) enum Hold {
    /// Put runs on hold
    Add(HoldArgs),
    /// Release runs from a hold
    Release(HoldArgs),
    /// List the holds that stand
    List,
}

#[derive(Debug, clap::Args)]
pub(super) struct HoldArgs {
    /// The runs
    #[arg(required = true)]
    runs: Vec<RunId>,
    /// Why; it stands in the log
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For the sake of which matter; several may hold one run
    #[arg(long, value_name = "ID")]
    matter: Option<String>,
}

pub(super) async fn hold(common: &Common, command: Hold) -> Result<u8, Problem> {
    let client = common.client()?;
    let (answer, name) = match command {
        Hold::Add(asked) => (client.call("/holds", None, asked.body()).await?, "holds"),
        Hold::Release(asked) => {
            (client.call("/holds/release", None, asked.body()).await?, "released")
        }
        Hold::List => (client.get("/holds").await?, "holds"),
    };
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let columns = ["run", "matter", "since", "reason", "log_index"];
    let holds = answer[name].as_array().cloned().unwrap_or_default();
    out::table(&columns, holds.iter().map(|hold| columns.map(|name| cell(&hold[name])).to_vec()));
    DONE
}

impl HoldArgs {
    fn body(&self) -> Value {
        let mut body = json!({ "runs": self.runs, "reason": self.reason });
        if let Some(matter) = &self.matter {
            body["matter"] = json!(matter);
        }
        body
    }
}
