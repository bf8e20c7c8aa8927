//! Owns what the command line prints: results to standard output, everything else to standard
//! error. Nothing else in the program prints.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the one place that prints")]

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::Table;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::error::{Problem, chain};

/// A line of result.
pub(super) fn line(text: impl std::fmt::Display) {
    println!("{text}");
}

/// A result as JSON, indented.
pub(super) fn json(value: &impl Serialize) {
    let text = serde_json::to_string_pretty(value).expect("results are plain data");
    println!("{text}");
}

/// Bytes of result, as they are.
///
/// # Errors
/// When standard output takes no more.
pub(super) fn bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

/// A remark that is no result.
pub(super) fn note(text: impl std::fmt::Display) {
    eprintln!("{text}");
}

/// What went wrong, its hint and its causes.
pub(super) fn problem(problem: &Problem) {
    eprintln!("error: {problem} [{}]", problem.code);
    if let Some(hint) = &problem.hint {
        eprintln!("  hint: {hint}");
    }
    if let Some(cause) = std::error::Error::source(problem) {
        eprintln!("  cause: {}", chain(cause));
    }
}

/// Rows under a heading.
pub(super) fn table(heading: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::NOTHING).set_header(heading.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for line in table.lines() {
        println!("{}", line.trim());
    }
}

/// Steps of something that takes a while, told on standard error: a moving line on a terminal,
/// plain lines elsewhere.
pub(super) struct Steps(Option<ProgressBar>);

impl Steps {
    /// No step yet.
    pub(super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
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
        match &self.0 {
            Some(bar) => {
                if !bar.message().is_empty() {
                    bar.println(format!("✓ {}", bar.message()));
                }
                bar.set_message(what.to_owned());
            }
            None => eprintln!("- {what}"),
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
