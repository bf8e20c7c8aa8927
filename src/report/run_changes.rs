//! Owns the differences of a whole run: of each pair of captures that belong together, without a report.

use std::fmt;
use std::path::Path;

use serde::Serialize;

use super::changes::{Budget, Changes, PixelCounts};
use super::pair::choose;
use super::record::record;
use super::source::{ReportError, Source};
use super::story::Story;
use super::text::count;
use crate::words::Words;

/// What is different between the captures of a run that belong together.
#[derive(Debug, Serialize)]
pub struct RunChanges {
    run: String,
    pairs: Vec<PairChanges>,
    /// Pairs that were not compared.
    left_out: usize,
    /// What is wrong with the folder, as far as it was read.
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct PairChanges {
    before: String,
    after: String,
    title: String,
    words: Option<Words>,
    pixels: Option<PixelCounts>,
    notes: Vec<String>,
    files: Vec<String>,
    #[serde(skip)]
    silence: Option<String>,
    #[serde(skip)]
    counted: String,
}

impl RunChanges {
    /// Compare the captures in the folder at `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, ReportError> {
        let mut source = Source::open(folder)?;
        let story = Story::read(&mut source);
        let run = record(&mut source, &story).get("run");
        let (chosen, left_out) = choose(&story);
        let mut budget = Budget::default();
        let pair = |(before, after): (usize, usize)| {
            let told = [&story.captures[before], &story.captures[after]];
            let mut changes = Changes::between(&mut source, &mut budget, told, [None; 2]);
            let why = [changes.words.as_ref().err(), changes.pixels.as_ref().err()];
            let why: Vec<String> = why.into_iter().flatten().cloned().collect();
            changes.notes.extend(why);
            changes.notes.splice(0..0, changes.warning());
            PairChanges {
                before: told[0].get("capture"),
                after: told[1].get("capture"),
                title: told[1].get("title"),
                silence: changes.silence().filter(|_| changes.words.is_ok()),
                counted: changes
                    .pixels
                    .as_ref()
                    .map_or_else(|_| String::new(), ToString::to_string),
                words: changes.words.ok(),
                pixels: changes.pixels.ok(),
                notes: changes.notes,
                files: changes.files,
            }
        };
        let pairs = chosen.into_iter().map(pair).collect();
        let (_, problems) = source.close();
        Ok(Self { run, pairs, left_out, problems })
    }
}

impl fmt::Display for RunChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.problems.is_empty() {
            writeln!(f, "THE FOLDER IS DAMAGED: {}\n", self.problems.join(" "))?;
        }
        if self.pairs.is_empty() {
            return f.write_str("No page was captured both before and after.");
        }
        for (number, pair) in self.pairs.iter().enumerate() {
            let line = if number == 0 { "" } else { "\n\n" };
            write!(f, "{line}{} → {}: {}", pair.before, pair.after, pair.title)?;
            let words = pair.words.iter().flat_map(|words| &words.changes);
            for words in words {
                write!(f, "\n  {words}")?;
            }
            let counted = Some(&pair.counted).filter(|counted| !counted.is_empty());
            for more in pair.silence.iter().chain(counted).chain(&pair.notes) {
                write!(f, "\n  {more}")?;
            }
        }
        if self.left_out > 0 {
            write!(f, "\n\n{} not compared.", count(self.left_out as u64, "further pair"))?;
        }
        Ok(())
    }
}
