//! Owns the report: one HTML file that shows a human what an evidence folder holds, what is missing,
//! and how to check it. The folder is never trusted and the file asks nothing of any network. The
//! same folder gives the same bytes; knows no clock.

mod changes;
mod clock;
mod csv;
mod embed;
mod escape;
mod facts;
mod glance;
mod guide;
mod media;
mod oscal;
mod page;
mod pair;
mod record;
mod required;
mod run_changes;
mod shot;
mod source;
mod story;
mod summary;
mod text;
mod thumbnail;
mod verdict;
mod view;

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Name of the report in a sealed folder.
pub const FILE: &str = REPORT;

pub(crate) use self::csv::row as csv_row;
pub(crate) use self::escape::Html;
pub(crate) use self::facts::caller;
pub use self::glance::{Glance, GlanceCapture, GlanceFact, Happened, Listed, Required};
pub(crate) use self::glance::{file_in, is_picture, thumbnail_in, title_of};
pub use self::page::content_security_policy;
use self::page::{Excuse, ReportPage};
pub use self::run_changes::RunChanges;
pub use self::source::ReportError;
pub(crate) use self::text::{between, moment, spoken, text};
use crate::evidence::verify::FolderReport;
use crate::evidence::{Integrity, REPORT, Reporter};
use crate::shown::shown_json;
use crate::tlog::note::Note;

/// The colours and typefaces of reports, for whatever is to look the same: variables of CSS.
pub const PALETTE: &str = include_str!("palette.css");

/// What a report is made with, beside the folder.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where the folder lies, seen from the report: empty, or ending with `/`.
    pub base: String,
    /// What verifying the folder said.
    pub checked: Option<FolderReport>,
    /// What the daemon that keeps the folder found of it, by the log.
    pub integrity: Option<Integrity>,
    /// Whether the folder was listed just now, or is still open: then its files are not read to compare
    /// them.
    pub fresh: bool,
    /// A checkpoint of the log the run stands in, to be kept: a signed note.
    pub checkpoint: Option<Note>,
}

/// What was made of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made {
    /// Things in the folder that are not what was recorded, or could not be read. What was read just
    /// before, by a verification, may have been something else.
    pub problems: usize,
}

/// Write the report of the folder at `folder` to `out`.
///
/// # Errors
/// [`ReportError`] inside the first result, when there is nothing to report on; what `out` answers.
pub fn write(
    folder: &Path,
    options: &Options,
    out: &mut impl Write,
) -> io::Result<Result<Made, ReportError>> {
    match guarded(|| ReportPage::read(folder, options)) {
        Ok(page) => {
            let made = Made { problems: page.problems() };
            page.write(out).map(|()| Ok(made))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// Write the events of the folder at `folder` to `out`, as CSV.
///
/// # Errors
/// As [`write()`].
pub fn write_csv(
    folder: &Path,
    options: &Options,
    out: &mut impl Write,
) -> io::Result<Result<Made, ReportError>> {
    csv::write(folder, options, out)
}

/// Write the folder at `folder` to `out` as OSCAL assessment results.
///
/// # Errors
/// As [`write()`].
pub fn write_oscal(
    folder: &Path,
    options: &Options,
    out: &mut impl Write,
) -> io::Result<Result<Made, ReportError>> {
    match guarded(|| oscal::document(folder, options)) {
        Ok((document, made)) => {
            let text = shown_json(&serde_json::to_string_pretty(&document)?);
            writeln!(out, "{text}").map(|()| Ok(made))
        }
        Err(error) => Ok(Err(error)),
    }
}

/// What is different between the captures in the folder at `folder`: in words and in pixels.
///
/// # Errors
/// [`ReportError`], when there is nothing to report on.
pub fn changes(folder: &Path) -> Result<RunChanges, ReportError> {
    guarded(|| RunChanges::read(folder))
}

/// What a folder holds is anybody's: a fault in reading it must not bring down the daemon.
fn guarded<T>(read: impl FnOnce() -> Result<T, ReportError>) -> Result<T, ReportError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        let why = "a fault while reading the folder".to_owned();
        Err(ReportError::Broken(why))
    })
}

/// Makes the reports of folders that are being sealed.
#[derive(Debug)]
pub struct SealedReports;

impl Reporter for SealedReports {
    /// [`write()`]; where there can be no report, a page says why.
    fn write(&self, folder: &Path, mut out: &mut dyn Write) -> io::Result<()> {
        match write(folder, &Options { fresh: true, ..Options::default() }, &mut out)? {
            Ok(_) => Ok(()),
            Err(error) => out.write_all(&self.excuse(&error.to_string())),
        }
    }

    fn excuse(&self, why: &str) -> Vec<u8> {
        let mut page = Vec::new();
        Excuse::new(why).write(&mut page).expect("memory takes every page");
        page
    }
}

#[cfg(test)]
mod compared;
#[cfg(test)]
mod marked;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod tests;
