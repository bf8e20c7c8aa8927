//! `exhibit custody`: who looked at evidence, took it away, or decided what is kept. Reads the store
//! itself, without a daemon; `exhibit verify` says whether the lines are sound.

use std::path::PathBuf;

use super::{Common, DONE, out};
use crate::error::{Code, Problem, chain};
use crate::evidence::{CustodyEvent, custody_lines};
use crate::id::RunId;
use crate::shown::shown_within;

/// Most letters of a text of others that are shown.
const SHOWN: usize = 120;

#[derive(Debug, clap::Args)]
pub(super) struct Custody {
    /// Only what was done with this run
    run: Option<RunId>,
    /// The store [default: the configuration's]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

pub(super) fn custody(common: &Common, asked: &Custody) -> Result<u8, Problem> {
    let root = match &asked.store {
        Some(root) => root.clone(),
        None => common.config()?.store.path,
    };
    let (mut events, mut unreadable) = (Vec::new(), 0);
    let read = custody_lines(&root, |_, _, line, _| {
        match serde_json::from_slice::<CustodyEvent>(line) {
            Ok(event) if asked.run.is_none_or(|run| event.runs.contains(&run)) => {
                events.push(event);
            }
            Ok(_) => {}
            Err(_) => unreadable += 1,
        }
        false
    });
    read.map_err(|error| {
        let message = format!(
            "the custody log of {} cannot be read: {}; name a store with --store",
            root.display(),
            chain(&error)
        );
        Problem::new(Code::InvalidField, message).field("store")
    })?;
    if common.json {
        out::json(&events);
    } else {
        let columns = ["time", "who", "act", "runs", "detail"];
        out::table(&columns, events.iter().map(row));
    }
    if unreadable > 0 {
        out::note(format!("{unreadable} lines are no events; run `exhibit verify` on the store"));
    }
    DONE
}

fn row(event: &CustodyEvent) -> Vec<String> {
    let who = shown_within(&event.by.caller.words(), SHOWN);
    let who = if event.by.session { format!("{who}, signed in") } else { who };
    let act = serde_json::to_value(event.act).ok();
    let act = act.and_then(|act| act.as_str().map(str::to_owned)).unwrap_or_default();
    let runs = match event.runs.as_slice() {
        [run] => run.to_string(),
        runs => format!("{} runs", runs.len()),
    };
    let details = event.detail.iter().map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{name} {}", shown_within(&value, SHOWN))
    });
    let details = details.collect::<Vec<_>>().join(", ");
    vec![event.time.clone(), who, act, runs, details]
}
