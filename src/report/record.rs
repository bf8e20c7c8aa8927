//! Owns what is known of a run as a whole: its record, or what its first event says while there is none.

use serde_json::Value;

use super::facts::Record;
use super::source::Source;
use super::story::Story;
use crate::evidence::{MAX_SMALL, RECORD};

/// What is known of the run: its record, else what its first event says.
pub(super) fn record(source: &mut Source, story: &Story) -> Record {
    match source.object(RECORD, MAX_SMALL) {
        Some(Value::Object(fields)) => Record { fields, ended: true },
        _ => {
            let ended = source.plain(RECORD).is_some() || story.last_kind == "run.sealed";
            if ended && source.plain(RECORD).is_none() {
                source.problem(format!("{RECORD} is missing, although the run ended."));
            }
            Record { fields: story.opening.clone(), ended }
        }
    }
}
