//! Owns the telling of what the daemon itself found, and put into the log: that evidence was not as it
//! was, or was touched by others, and whether it was as it was again later. It is a note: how the
//! evidence is now, the verifier reads for itself.

use super::MAX_OF_A_CODE;
use super::log::LogCheck;
use crate::finding::FindingCode;
use crate::found::{FindingDetail, FoundBy, LoggedFinding};
use crate::log::FOLDER;

impl LogCheck<'_> {
    /// Tell of each finding in the log.
    pub(super) fn logged_findings(&mut self) {
        let told = std::mem::take(&mut self.logged_findings);
        for one in told.all().iter().take(MAX_OF_A_CODE as usize) {
            let place = one.index.map_or(FOLDER.to_owned(), |index| format!("{FOLDER}#{index}"));
            let expected = format!("{} as it was", one.place);
            self.add(FindingCode::FindingLogged, place, expected, found(one));
        }
        let more = told.all().len().saturating_sub(MAX_OF_A_CODE as usize);
        if more > 0 {
            let found = format!("{more} further findings of the daemon's");
            self.add(FindingCode::FindingLogged, FOLDER, "evidence as it was", found);
        }
    }
}

fn found(one: &LoggedFinding) -> String {
    let time = &one.time;
    let said = match &one.detail {
        FindingDetail::Codes(codes, by) => {
            let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
            let by = match by {
                FoundBy::Scrub => "the scrubber",
                FoundBy::Watch => "the watch",
            };
            format!("{}, found {time} by {by}", codes.join(", "))
        }
        FindingDetail::Tampered(ways) => {
            format!("touched {time} by somebody else than the daemon ({})", ways.join(", "))
        }
        FindingDetail::Lost => format!("touched in ways that the kernel dropped before {time}"),
    };
    match &one.resolved {
        None => format!("{said}; not resolved"),
        Some(since) => {
            let entry =
                since.index.map_or_else(String::new, |index| format!(" ({FOLDER}#{index})"));
            format!("{said}; resolved: as it was again {}{entry}", since.time)
        }
    }
}
