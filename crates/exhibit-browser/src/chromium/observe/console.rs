//! Owns what is seen of a page's console: its lines, what it did not catch, and whether it is listened
//! to at all.

use super::{Observed, TEXT_LIMIT};
use crate::backend::ConsoleLine;
use crate::chromium::cut::cut;
use crate::chromium::events::{ConsoleCall, EntryAdded, ExceptionThrown, LogEntry, RemoteObject};
use crate::chromium::pipe::RawEvent;
use crate::settings::presentable_text;

/// Most console lines kept.
const CONSOLE_LIMIT: usize = 1_000;

impl Observed {
    /// A console said more than is listened to.
    pub(in crate::chromium) fn console_flooded(&mut self) {
        self.silenced = true;
        self.facts.console_cut = true;
    }

    /// Whether a console was silenced, which is to be listened to again.
    pub(in crate::chromium) fn listen_again(&mut self) -> bool {
        self.begun_silenced = false;
        std::mem::take(&mut self.silenced)
    }

    /// Whether a document began while the browser told nothing of the console.
    pub(in crate::chromium) fn begun_silenced(&self) -> bool {
        self.begun_silenced
    }

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
            line.text = cut(line.text, TEXT_LIMIT);
            line.url = line.url.map(presentable_text);
            self.console.push(line);
        }
    }
}
