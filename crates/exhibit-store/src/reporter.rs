//! Owns what sealing asks of whoever makes reports: one HTML file for people, made of the files of a
//! folder that is about to be sealed. Makes no report itself: who does is handed in.

use std::fmt::Debug;
use std::io::{self, Write};
use std::path::Path;

/// Somebody who makes the report of a run that is being sealed.
pub trait Reporter: Debug + Send + Sync {
    /// Write the report of `folder` to `out`. What is there by then: the files of the run, its closed
    /// chain of events, its record, the manifest and the declarations of the bag. The same files must
    /// give the same bytes whenever this is called, because a seal may be tried again.
    ///
    /// # Errors
    /// What `out` answers; then [`Reporter::excuse`] is written in its place. That there is nothing to
    /// report on is no error, but a report that says so.
    fn write(&self, folder: &Path, out: &mut dyn Write) -> io::Result<()>;

    /// A small page that says `why` there is no report: a report must not keep a run from being sealed.
    fn excuse(&self, why: &str) -> Vec<u8>;
}

/// Reports that show nothing, and say so: for a [`Store`](crate::Store) that nobody gave another.
#[derive(Debug)]
pub struct PlainReports;

impl Reporter for PlainReports {
    fn write(&self, folder: &Path, out: &mut dyn Write) -> io::Result<()> {
        let run = folder.file_name().unwrap_or_default().to_string_lossy();
        out.write_all(&page(&format!("run {run}: VERIFY.txt says how to check this folder")))
    }

    fn excuse(&self, why: &str) -> Vec<u8> {
        page(why)
    }
}

fn page(text: &str) -> Vec<u8> {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    format!("<!DOCTYPE html><meta charset=\"utf-8\"><title>No report</title><p>{text}\n").into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixture::{Bench, verdict};
    use crate::layout::REPORT;

    /// Breaks off in the middle, as on a full disk.
    #[derive(Debug)]
    struct BreaksOff;

    impl Reporter for BreaksOff {
        fn write(&self, _: &Path, out: &mut dyn Write) -> io::Result<()> {
            out.write_all(b"<p>the first half")?;
            Err(io::ErrorKind::StorageFull.into())
        }

        fn excuse(&self, why: &str) -> Vec<u8> {
            format!("none: {why}").into()
        }
    }

    #[test]
    fn a_report_that_breaks_off_is_excused_and_the_run_sealed() {
        let bench = Bench::new().with_reporter(Arc::new(BreaksOff));
        let folder = bench.sealed(0);
        let report = std::fs::read_to_string(folder.join(REPORT)).expect("a page");
        assert_eq!(report, "none: no storage space");
        assert_eq!(verdict(&folder), [""; 0]);
    }

    #[test]
    fn a_plain_report_names_its_run_and_escapes_what_it_says() {
        let bench = Bench::new();
        let folder = bench.sealed(0);
        let report = std::fs::read_to_string(folder.join(REPORT)).expect("a page");
        assert!(report.contains(&crate::fixture::id(0).to_string()), "{report}");
        let excuse = String::from_utf8(PlainReports.excuse("<b> & more")).expect("text");
        assert!(excuse.ends_with("<p>&lt;b> &amp; more\n"), "{excuse}");
    }
}
