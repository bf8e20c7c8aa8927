//! Owns the rows of a population as a table (RFC 4180), for spreadsheets.

use std::io::Write;

use super::{Absence, Row, Written};
use crate::evidence::{CodeNamed, Integrity};
use crate::report::csv_row;

/// Write `runs` as rows.
///
/// # Errors
/// What the writer answers.
pub fn write_runs<'a>(out: &mut impl Write, runs: impl IntoIterator<Item = &'a Row>) -> Written {
    let heading = [
        "number",
        "run",
        "workflow",
        "opened_at",
        "sealed_at",
        "fate",
        "outcome",
        "verdict",
        "agent",
        "principal",
        "subject",
        "open_index",
        "seal_index",
        "captures",
        "purge_index",
        "codes",
        "integrity",
        "code",
        "events_unlogged",
    ];
    csv_row(out, &heading.map(str::to_owned))?;
    for run in runs {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        let cells = [
            number(run.number),
            run.run.to_string(),
            run.workflow.clone(),
            run.opened_at.clone(),
            text(&run.sealed_at),
            run.fate.word().to_owned(),
            text(&run.outcome),
            run.verdict.unwrap_or_default().to_owned(),
            text(&run.agent),
            text(&run.principal),
            text(&run.subject),
            number(run.open_index),
            number(run.seal_index),
            number(run.captures),
            number(run.purge_index),
            run.codes.join(" "),
            run.integrity.as_ref().map(Integrity::sentence).unwrap_or_default(),
            run.code.iter().map(named).collect::<Vec<_>>().join(" "),
            number(run.events_unlogged),
        ];
        csv_row(out, &cells)?;
    }
    Ok(())
}

/// What code is called by in a cell: its commit, else its file's digest, else where it lies.
fn named(code: &CodeNamed) -> String {
    let text = |name: &str| code.code.get(name).and_then(serde_json::Value::as_str);
    let name = ["commit", "sha256", "path", "repository"].into_iter().find_map(text);
    name.unwrap_or_default().to_owned()
}

/// Write `absences` as rows.
///
/// # Errors
/// What the writer answers.
pub fn write_absences(out: &mut impl Write, absences: &[Absence]) -> Written {
    csv_row(out, &["from", "to", "seconds", "cause"].map(str::to_owned))?;
    for absence in absences {
        let cells = [
            absence.from.to_string(),
            absence.to.to_string(),
            format!("{:.3}", absence.length().as_secs_f64()),
            absence.cause.word().to_owned(),
        ];
        csv_row(out, &cells)?;
    }
    Ok(())
}
