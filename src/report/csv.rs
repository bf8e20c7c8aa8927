//! Owns the events as rows of a table (RFC 4180), for spreadsheets. What agents and pages said must
//! not become a formula there.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::source::{ReportError, Source};
use super::summary::summary;
use super::text::spoken;
use crate::digest::Digest;
use crate::evidence::{EVENTS, lines};
use crate::run::Actor;

/// Most characters of a cell: what the common spreadsheets take.
const CELL: usize = 32_000;

const HEADING: [&str; 10] = [
    "line",
    "sequence",
    "time",
    "monotonic_ms",
    "actor",
    "kind",
    "summary",
    "url",
    "data",
    "event_sha256",
];

/// Write the events of the folder at `folder` as rows.
pub(super) fn write(folder: &Path, out: &mut impl Write) -> io::Result<Result<(), ReportError>> {
    let mut source = match Source::open(folder) {
        Ok(source) => source,
        Err(error) => return Ok(Err(error)),
    };
    let Some(file) = source.stream(EVENTS) else {
        return Ok(Err(ReportError::NotEvidence(folder.to_owned())));
    };
    row(out, &HEADING.map(str::to_owned))?;
    for (index, line) in lines(file).enumerate() {
        let number = (index + 1).to_string();
        let line = match line {
            Ok(line) => line,
            Err(error) => return Ok(Err(ReportError::Broken(error.to_string()))),
        };
        let digest = Digest::of(&line.bytes).to_string();
        let Ok(event) = line.parse() else {
            // It stays visible that there is one.
            let mut cells = HEADING.map(|_| String::new());
            cells[0] = number;
            "not an event".clone_into(&mut cells[6]);
            cells[9] = digest;
            row(out, &cells)?;
            continue;
        };
        let by_agent = event.actor == Actor::Agent;
        let said = summary(&event.kind, by_agent, &event.data);
        let cells = [
            number,
            event.sequence.to_string(),
            spoken(&Value::String(event.time)),
            event.monotonic_ms.to_string(),
            if by_agent { "agent" } else { "exhibit" }.to_owned(),
            spoken(&Value::String(event.kind)),
            said.sentence,
            said.url,
            Value::Object(event.data).to_string(),
            digest,
        ];
        row(out, &cells)?;
    }
    Ok(Ok(()))
}

/// Write a row, each cell cut and never a formula.
///
/// # Errors
/// What the writer answers.
pub(crate) fn row(out: &mut impl Write, cells: &[String]) -> io::Result<()> {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    write!(out, "{}\r\n", cells.join(","))
}

/// A cell: cut, never a formula, quoted where it must be.
fn quoted(cell: &str) -> String {
    let mut text: String = cell.chars().take(CELL).collect();
    if text.len() < cell.len() {
        text.push('…');
    }
    // Spreadsheets calculate what begins like this, quoted or not.
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        text.insert(0, '\'');
    }
    if text.contains(['"', ',', '\n', '\r']) {
        text = format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_cell_is_no_formula_and_stays_one_cell() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
        assert_eq!(quoted("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(quoted("@SUM(1)"), "'@SUM(1)");
        assert_eq!(quoted(&"x".repeat(40_000)).chars().count(), 32_001);
    }
}
