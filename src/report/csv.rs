//! Owns the events as rows of a table (RFC 4180), for spreadsheets. What agents and pages said must
//! not become a formula there.

use std::io::{self, Write};
use std::path::Path;

use serde_json::Value;

use super::source::{ReportError, Source};
use super::summary::summary;
use super::text::spoken;
use super::{Made, Options};
use crate::digest::Digest;
use crate::evidence::{EVENTS, lines};
use crate::run::Actor;
use crate::shown::{shown_json, shown_within};
use crate::unlogged::Unlogged;

/// Most characters of a cell: what the common spreadsheets take.
const CELL: usize = 32_000;

/// What a formula begins with, also in full width; and what may stand before that.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
const BEFORE: [char; 2] = [' ', '"'];

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
pub(super) fn write(
    folder: &Path,
    options: &Options,
    out: &mut impl Write,
) -> io::Result<Result<Made, ReportError>> {
    let mut source = match Source::open_checked(folder, options.checked.as_ref()) {
        Ok(source) => source,
        Err(error) => return Ok(Err(error)),
    };
    let Some(file) = source.stream(EVENTS) else {
        return Ok(Err(ReportError::NotEvidence(folder.to_owned())));
    };
    let Some(chain) = source.stream(EVENTS) else {
        return Ok(Err(ReportError::NotEvidence(folder.to_owned())));
    };
    let mut unlogged = Unlogged::default();
    for (number, line) in (1..).zip(lines(chain)) {
        let event = line.ok().and_then(|line| line.parse().ok());
        if let Some(event) = &event {
            unlogged.take(number, event);
        }
    }
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
        let not_logged = if unlogged.holds(index as u64 + 1) { "NOT IN THE LOG: " } else { "" };
        let said = summary(&event.kind, by_agent, &event.data);
        let cells = [
            number,
            event.sequence.to_string(),
            spoken(&Value::String(event.time)),
            event.monotonic_ms.to_string(),
            if by_agent { "agent" } else { "exhibit" }.to_owned(),
            spoken(&Value::String(event.kind)),
            format!("{not_logged}{}", said.sentence),
            said.url,
            shown_json(&Value::Object(event.data).to_string()),
            digest,
        ];
        row(out, &cells)?;
    }
    Ok(Ok(Made { problems: source.close().1.len() }))
}

/// Write a row, each cell cut and never a formula.
///
/// # Errors
/// What the writer answers.
pub(crate) fn row(out: &mut impl Write, cells: &[String]) -> io::Result<()> {
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    write!(out, "{}\r\n", cells.join(","))
}

/// A cell by the escape of all that is printed: in one line, cut, never a formula, quoted where it
/// must be.
fn quoted(cell: &str) -> String {
    let shown = shown_within(cell, CELL);
    let mut text = String::with_capacity(shown.len());
    // Where lists are separated by semicolons, a spreadsheet takes what follows one for a cell.
    for (index, part) in shown.split(';').enumerate() {
        if index > 0 {
            text.push(';');
        }
        // Spreadsheets calculate what begins like this, quoted or not.
        if part.trim_start_matches(BEFORE).starts_with(FORMULA) {
            text.push('\'');
        }
        text.push_str(part);
    }
    if text.contains(['"', ',', ';']) || text.starts_with(' ') || text.ends_with(' ') {
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
        assert_eq!(quoted("a,\"b\"\n"), "\"a,\"\"b\"\"\\u{a}\"");
        assert_eq!(quoted("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(quoted("@SUM(1)"), "'@SUM(1)");
        for formula in ["=1", "+1", "-1", "@A1", "＝1", "  =1", "\"=1", "-5"] {
            let cell = quoted(formula);
            assert!(cell.trim_start_matches('"').starts_with('\''), "{cell}");
        }
        assert_eq!(quoted("a; =1;b;+2"), "\"a;' =1;b;'+2\"");
        assert_eq!(quoted("a=b-c@d"), "a=b-c@d");
        let evil = "\r\n=1\t\u{1b}[2J\u{202e}\u{200b}p\u{430}y";
        assert_eq!(quoted(evil), "\\u{d}\\u{a}=1\\u{9}\\u{1b}[2J\\u{202e}\\u{200b}p\\u{430}y");
        assert_eq!(quoted(&"x".repeat(40_000)).chars().count(), 32_001);
    }
}
