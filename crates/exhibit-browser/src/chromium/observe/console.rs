//! Owns what is kept of a page's console, and of the exceptions nobody caught: as much as a person
//! reads, each line shortened.

use super::super::events::{ConsoleCall, EntryAdded, ExceptionThrown, LogEntry, RemoteObject};
use super::super::pipe::RawEvent;
use super::Observed;
use crate::backend::ConsoleLine;
use crate::settings::presentable_text;

/// Most console lines kept.
const CONSOLE_LIMIT: usize = 1_000;
/// Longest console text kept, in characters.
const TEXT_LIMIT: usize = 4_000;

impl Observed {
    pub(super) fn console_call(&mut self, event: &RawEvent) {
        let Some(call) = event.read::<ConsoleCall>() else { return };
        let texts: Vec<String> = call.args.iter().map(RemoteObject::text).collect();
        let place = call.stack_trace.and_then(|trace| trace.call_frames.into_iter().next());
        let (url, line) = place.map_or((None, None), |at| (Some(at.url), Some(at.line_number)));
        self.console_line(ConsoleLine { level: call.kind, text: texts.join(" "), url, line });
    }

    pub(super) fn exception(&mut self, event: &RawEvent) {
        let Some(thrown) = event.read::<ExceptionThrown>() else { return };
        let details = thrown.exception_details;
        let text = details.exception.as_ref().map_or(details.text, RemoteObject::text);
        let line = Some(details.line_number);
        self.console_line(ConsoleLine { level: "exception".into(), text, url: details.url, line });
    }

    pub(super) fn log_entry(&mut self, event: &RawEvent) {
        let Some(added) = event.read::<EntryAdded>() else { return };
        let LogEntry { level, text, url, line_number } = added.entry;
        self.console_line(ConsoleLine { level, text, url, line: line_number });
    }

    fn console_line(&mut self, mut line: ConsoleLine) {
        if matches!(line.level.as_str(), "error" | "exception" | "assert") {
            self.facts.console_errors += 1;
        }
        if self.console.len() < CONSOLE_LIMIT {
            line.text = shortened(line.text);
            line.url = line.url.map(presentable_text);
            self.console.push(line);
        }
    }
}

/// `text`, at most so long.
pub(super) fn shortened(mut text: String) -> String {
    if let Some((end, _)) = text.char_indices().nth(TEXT_LIMIT) {
        text.truncate(end);
        text.push('…');
    }
    text
}
