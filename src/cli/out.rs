//! Owns what the command line prints: results to standard output, everything else to standard
//! error. Nothing else in the program prints, and nothing is printed but by the one escape of
//! `shown`. Whoever reads may stop: what is left is dropped, and the exit code stays the command's.

use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

pub(super) use exhibit_verify::command::counted;

use crate::error::{Code, Problem, chain, exit};
use crate::shown::{is_seen, shown_json, shown_value, shown_within};

/// Most characters of a value of others; `--json` has all of it.
const VALUE: usize = 2_000;

/// Why standard output takes no more.
static STOPPED: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line of result.
pub(super) fn line(text: impl Display) {
    put(format!("{}\n", whole_line(&text)).as_bytes());
}

/// A text of several lines that somebody signed, or that was escaped where it was made: the same
/// bytes, unless something in it cannot be seen.
pub(super) fn text(text: &str) {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter == '\n' || is_seen(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.escape_unicode());
        }
    }
    put(shown.as_bytes());
}

/// A result as JSON, indented.
pub(super) fn json(value: &impl Serialize) {
    json_text(&serde_json::to_string_pretty(value).expect("results are plain data"));
}

/// A result that is JSON already.
pub(super) fn json_text(text: &str) {
    put(format!("{}\n", shown_json(text)).as_bytes());
}

/// A file as a result, its bytes as they are: a picture that was asked for, a table that was escaped
/// where it was made.
pub(super) fn bytes(bytes: &[u8]) {
    put(bytes);
}

/// A remark that is no result.
pub(super) fn note(text: impl Display) {
    tell(&whole_line(&text));
}

/// What went wrong, its hint and its causes.
pub(super) fn problem(problem: &Problem) {
    // Where it tells of several things, each has a line.
    format!("error: {problem} [{}]", problem.code).lines().for_each(note);
    if let Some(hint) = &problem.hint {
        note(format!("  hint: {hint}"));
    }
    if let Some(cause) = std::error::Error::source(problem).map(chain)
        && !problem.message.contains(&cause)
    {
        note(format!("  cause: {cause}"));
    }
}

/// What a run's caller declares, in its own words.
const DECLARED: [&str; 10] = [
    "workflow",
    "agent",
    "principal",
    "subject",
    "controls",
    "code",
    "labels",
    "outcome",
    "reason",
    "traceparent",
];

/// Every value in `facts`, each in a line of its own; what a caller declares stands in quotation marks.
pub(super) fn facts(facts: &Value) {
    let mut lines = Vec::new();
    flatten(String::new(), facts, &mut lines);
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, value) in lines {
        line(format!("{name:width$}  {value}"));
    }
}

/// Put every value in `facts` into `lines`, under a name like `caller.uid`; what holds nothing is left
/// out.
fn flatten(name: String, facts: &Value, lines: &mut Vec<(String, String)>) {
    let is_declared = DECLARED.contains(&name.split('.').next().unwrap_or_default());
    let spoken = |value: &Value| if is_declared { quoted(value) } else { cell(value) };
    let below = |part: &dyn std::fmt::Display| {
        let part = crate::shown::quoted_unless_plain(&shown_value(&part.to_string(), VALUE));
        if name.is_empty() { part } else { format!("{name}.{part}") }
    };
    match facts {
        Value::Null => {}
        Value::Object(fields) => {
            for (part, value) in fields {
                flatten(below(part), value, lines);
            }
        }
        Value::Array(values) if values.iter().any(|it| it.is_object() || it.is_array()) => {
            for (index, value) in values.iter().enumerate() {
                flatten(below(&(index + 1)), value, lines);
            }
        }
        Value::Array(values) if values.is_empty() => {}
        Value::Array(values) => {
            let spoken = values.iter().map(spoken).collect::<Vec<_>>().join(", ");
            lines.push((name, spoken));
        }
        scalar => {
            let spoken = spoken(scalar);
            lines.push((name, spoken));
        }
    }
}

/// Rows under a heading.
pub(super) fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(heading.iter().copied());
    for row in rows {
        table.add_row(row.iter().map(|cell| shown_value(cell, VALUE)));
    }
    table.lines().for_each(|row| line(row.trim()));
}

/// A value of others in a line: a text as it is, else as JSON; empty for null.
pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => shown_value(text, VALUE),
        other => shown_value(&other.to_string(), VALUE),
    }
}

/// What somebody else says, beside words of ours ([`quoted_unless_plain`](crate::shown::quoted_unless_plain)).
pub(super) fn quoted(value: &Value) -> String {
    crate::shown::quoted_unless_plain(&cell(value))
}

/// The exit code of this process, when its command came to `code`.
pub(super) fn ended(code: u8) -> u8 {
    flushed();
    let stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner).take();
    match stopped {
        // Nobody reads any more, and what came of the command is as it is.
        None => code,
        Some(error) if error.kind() == ErrorKind::BrokenPipe => code,
        Some(error) => {
            let message = "standard output takes no more; mend where it goes, and ask again";
            problem(&Problem::new(Code::Internal, message).because(error));
            if code == exit::OK { exit::INTERNAL } else { code }
        }
    }
}

/// Say what is wrong with the command line, or what was asked of it; its exit code.
pub(super) fn usage(error: &clap::Error) -> u8 {
    let plain = error.render().to_string();
    if plain.chars().all(|letter| letter == '\n' || is_seen(letter)) {
        // With its colours, where there are some; whoever stopped reading has seen enough.
        let _ = error.print();
    } else {
        note(plain);
    }
    u8::try_from(error.exit_code()).unwrap_or(exit::USAGE)
}

/// What a panic says, by the same escape: it may quote what the program works on.
pub(super) fn panicked(info: &std::panic::PanicHookInfo<'_>) {
    let backtrace = std::backtrace::Backtrace::capture();
    tell(&whole_line(info));
    if backtrace.status() == std::backtrace::BacktraceStatus::Captured {
        backtrace.to_string().lines().for_each(note);
    }
}

fn whole_line(text: &impl Display) -> String {
    shown_within(&text.to_string(), usize::MAX)
}

/// Write to standard output, unless it takes no more.
fn put(bytes: &[u8]) {
    let mut stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
    if stopped.is_none() {
        *stopped = io::stdout().lock().write_all(bytes).err();
    }
}

fn flushed() {
    let mut stopped = STOPPED.lock().unwrap_or_else(PoisonError::into_inner);
    if stopped.is_none() {
        *stopped = io::stdout().lock().flush().err();
    }
}

/// Write to standard error; there is nobody to tell when it takes no more.
fn tell(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Steps of something that takes a while, told on standard error: a moving line on a terminal,
/// plain lines elsewhere.
pub(super) struct Steps(Option<ProgressBar>);

impl Steps {
    /// No step yet.
    pub(super) fn new() -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self(bar)
    }

    /// The next step begins.
    pub(super) fn begin(&mut self, what: &str) {
        let what = shown_within(what, VALUE);
        match &self.0 {
            Some(bar) => {
                if !bar.message().is_empty() {
                    bar.println(format!("✓ {}", bar.message()));
                }
                bar.set_message(what);
            }
            None => note(format!("- {what}")),
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
