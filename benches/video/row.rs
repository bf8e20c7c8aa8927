//! What was measured, one row for each page, recorder and number of recordings, and how it is told:
//! a table for people, JSON for programs, and whether the goal is met.

use comfy_table::{Cell, CellAlignment, Table};
use serde::Serialize;

use crate::cpu::Cpu;

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) page: String,
    pub(crate) source: String,
    /// Recordings at once; 0 for the page alone.
    pub(crate) recordings: usize,
    /// CPU-seconds per second and recording (or page).
    pub(crate) cpu: Option<Cpu>,
    /// CPU-seconds per second that everything else on the machine used meanwhile: above a tenth the
    /// row was disturbed.
    pub(crate) others: f64,
    /// Frames a page painted, per second.
    pub(crate) painted: f64,
    pub(crate) film: Option<Judged>,
    /// Why there is nothing.
    pub(crate) why_not: Option<String>,
}

/// A recording beside lossless pictures.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    /// Bytes of one recording.
    pub(crate) bytes: u64,
    /// Mean and least SSIM of luma.
    pub(crate) ssim: f64,
    pub(crate) worst_ssim: f64,
    /// Moments compared.
    pub(crate) compared: usize,
    /// Different frames of the page in it, per second.
    pub(crate) frames: f64,
    /// Pictures whose number cannot be read.
    pub(crate) unreadable: usize,
    /// Milliseconds that 95 of 100 frames are off at most.
    pub(crate) time_off: f64,
}

impl Row {
    fn cells(&self) -> Vec<String> {
        let count = if self.recordings == 0 { "–".into() } else { self.recordings.to_string() };
        let mut cells = vec![self.page.clone(), self.source.clone(), count];
        match &self.cpu {
            None => {
                cells.extend(std::iter::repeat_n("–".to_owned(), 4));
                cells.push(self.why_not.clone().unwrap_or_default());
                return cells;
            }
            Some(cpu) => {
                let encoder = if self.source.starts_with("exhibit") {
                    "in it".to_owned()
                } else {
                    format!("{:.2}", cpu.encoder)
                };
                cells.push(format!("{:.2}", cpu.browser));
                cells.push(format!("{:.2}", cpu.recorder));
                cells.push(encoder);
                cells.push(format!("{:.2}", cpu.total()));
            }
        }
        cells.push(format!("{:.2}", self.others));
        cells.push(format!("{:.0}", self.painted));
        if let Some(film) = &self.film {
            cells.push(format!("{}", film.bytes / 1000));
            cells.push(format!("{:.4}", film.ssim));
            cells.push(format!("{:.4}", film.worst_ssim));
            cells.push(format!("{:.1}", film.frames));
            cells.push(format!("{:.0}", film.time_off));
        } else if let Some(why) = &self.why_not {
            cells.push(why.clone());
        }
        cells
    }
}

/// The table.
pub(crate) fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "page",
        "recorder",
        "at once",
        "browser",
        "recorder",
        "encoder",
        "CPU s/s",
        "others",
        "painted/s",
        "kB",
        "SSIM",
        "least",
        "frames/s",
        "off ms",
    ]);
    for row in rows {
        let cells = row.cells().into_iter().enumerate().map(|(at, text)| {
            let side = if at < 2 { CellAlignment::Left } else { CellAlignment::Right };
            Cell::new(text).set_alignment(side)
        });
        table.add_row(cells);
    }
    table
}

/// What is to be reached: at most half of Puppeteer's CPU, less than Playwright's, and pictures as
/// good as either's. A recording that shows fewer frames is cheaper for that reason: no comparison.
pub(crate) fn verdicts(rows: &[Row]) -> Vec<String> {
    let ours = rows.iter().filter(|row| row.source.starts_with("exhibit") && row.recordings > 0);
    let pairs = ours.flat_map(|ours| {
        [("puppeteer", 0.5), ("playwright", 1.0)].into_iter().filter_map(move |(rival, part)| {
            let theirs = rows.iter().find(|row| {
                (row.page.as_str(), row.recordings) == (&ours.page, ours.recordings)
                    && row.source == rival
            })?;
            Some((ours, theirs, part))
        })
    });
    pairs.filter_map(|(ours, theirs, part)| verdict(ours, theirs, part)).collect()
}

fn verdict(ours: &Row, theirs: &Row, part: f64) -> Option<String> {
    let (our_film, their_film) = (ours.film.as_ref()?, theirs.film.as_ref()?);
    let share = ours.cpu?.total() / theirs.cpu?.total();
    let cpu = if our_film.frames < 0.9 * their_film.frames {
        "NOT COMPARABLE, it shows fewer frames"
    } else if share < part || (part < 1.0 && share <= part) {
        "met"
    } else {
        "NOT MET"
    };
    let ahead = our_film.ssim - their_film.ssim;
    let ssim = match ahead {
        ahead if ahead >= 0.0 => "met",
        ahead if ahead > -0.0005 => "equal within 0.0005",
        _ => "NOT MET",
    };
    Some(format!(
        "{} · {} · {} at once · {}: CPU {share:.2} of its, {} {part} wanted ({cpu}); frames/s {:.1} \
         to {:.1}; SSIM {ahead:+.4} ({ssim})",
        ours.page,
        ours.source,
        ours.recordings,
        theirs.source,
        if part < 1.0 { "at most" } else { "below" },
        our_film.frames,
        their_film.frames,
    ))
}
