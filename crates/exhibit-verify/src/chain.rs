//! Owns the event chain: how one event becomes one line of `events.jsonl`, bound to the line
//! before it by its hash, and how lines are read again. Decides nothing about what a break means.

use std::io::{self, BufRead, Read as _, Write as _};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::layout::MAX_EVENT_READ;
use crate::artifact::Artifact;
use crate::moment::TimeQuality;
use crate::run::{Actor, Event, Recorded};
use exhibit_tlog::digest::{Digest, Hashing};

/// Kind of the first event.
pub const OPENED: &str = "run.opened";
/// Kind of the last event.
pub const SEALED: &str = "run.sealed";
/// Kind of the event that tells of a recovery.
pub const RECOVERED: &str = "run.recovered";
/// Kind of the event that tells of a capture; these are counted.
pub const CAPTURED: &str = "capture.taken";
/// Kind of the event that tells that the wall clock was set.
pub const STEPPED: &str = "clock.stepped";

/// One line of the chain, in the order of its keys. `previous` comes last so that a line can be
/// checked by its ending, with nothing but a shell.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Position, from 1.
    pub sequence: u64,
    /// Wall clock, RFC 3339, UTC, three decimals.
    pub time: String,
    /// Milliseconds since the run was opened, or taken up again, in this life of the daemon.
    pub monotonic_ms: u64,
    /// What the kernel said of the wall clock; none where it did not, and before it was asked.
    #[serde(default)]
    pub clock: Option<TimeQuality>,
    /// Who speaks.
    pub actor: Actor,
    /// What kind of event.
    pub kind: String,
    /// Its data.
    pub data: Map<String, Value>,
    /// SHA-256 of the line before, without its line feed; zeros for the first.
    pub previous: Digest,
}

#[derive(Serialize)]
struct LineRef<'a> {
    sequence: u64,
    time: &'a str,
    monotonic_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    clock: Option<TimeQuality>,
    actor: Actor,
    kind: &'a str,
    data: &'a Map<String, Value>,
    previous: Digest,
}

/// The end of a chain: where the next event goes.
#[derive(Clone, Copy, Debug)]
pub struct Tip {
    /// Sequence number of the last event.
    pub sequence: u64,
    /// SHA-256 of the last line; zeros before the first.
    pub sha256: Digest,
}

impl Tip {
    /// The end of a chain without events.
    pub const START: Self = Self { sequence: 0, sha256: Digest::ZERO };

    /// Place `event` after this tip: its line with line feed, and where it stands.
    pub fn place(
        self,
        event: &Event,
        time: &str,
        monotonic_ms: u64,
        clock: Option<TimeQuality>,
    ) -> (Vec<u8>, Recorded) {
        let line = LineRef {
            sequence: self.sequence + 1,
            time,
            monotonic_ms,
            clock,
            actor: event.actor,
            kind: &event.kind,
            data: &event.data,
            previous: self.sha256,
        };
        let mut bytes =
            serde_json::to_vec(&line).expect("an event holds nothing that JSON cannot express");
        let sha256 = Digest::of(&bytes);
        bytes.push(b'\n');
        (bytes, Recorded { sequence: line.sequence, time: time.to_owned(), sha256 })
    }
}

/// One line as it lies on disk.
#[derive(Debug)]
pub struct RawLine {
    /// Its bytes, without the line feed.
    pub bytes: Vec<u8>,
    /// Whether a line feed ends it; only the last line of a torn file has none.
    pub whole: bool,
}

impl RawLine {
    /// Hash it as it lies in its file.
    pub(crate) fn hash_into(&self, whole: &mut Hashing<io::Sink>) {
        let end: &[u8] = if self.whole { b"\n" } else { b"" };
        let hashed = whole.write_all(&self.bytes).and_then(|()| whole.write_all(end));
        hashed.expect("a sink takes all");
    }

    /// The line's event, when it is one.
    ///
    /// # Errors
    /// What the JSON parser says.
    pub fn parse(&self) -> Result<Line, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}

/// The lines of `reader`, one at a time.
///
/// # Errors
/// Each item: what the reader answers, or `FileTooLarge` for a line over the limit.
pub fn lines(mut reader: impl BufRead) -> impl Iterator<Item = io::Result<RawLine>> {
    std::iter::from_fn(move || {
        let mut bytes = Vec::new();
        match (&mut reader).take(MAX_EVENT_READ).read_until(b'\n', &mut bytes) {
            Err(error) => Some(Err(error)),
            Ok(0) => None,
            Ok(length) if length as u64 == MAX_EVENT_READ && !bytes.ends_with(b"\n") => {
                Some(Err(io::ErrorKind::FileTooLarge.into()))
            }
            Ok(_) => {
                let whole = bytes.pop_if(|last| *last == b'\n').is_some();
                Some(Ok(RawLine { bytes, whole }))
            }
        }
    })
}

/// The artifacts that the daemon itself states in `line`. What callers and pages fill is never read:
/// whatever they write there binds nobody.
pub fn artifacts_stated(line: &Line) -> Vec<Artifact> {
    match line.actor {
        Actor::Exhibit => Artifact::stated(&line.kind, &line.data),
        Actor::Agent => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_keys_stand_in_the_order_of_the_format() {
        let event = Event::exhibit("log", json!({"b": 1, "a": "ü\n\u{2028}"}));
        let (line, recorded) = Tip::START.place(&event, "2026-11-24T08:15:46.120Z", 7, None);
        let text = String::from_utf8(line).expect("text");
        let zeros = "0".repeat(64);
        let expected = format!(
            "{{\"sequence\":1,\"time\":\"2026-11-24T08:15:46.120Z\",\"monotonic_ms\":7,\
             \"actor\":\"exhibit\",\"kind\":\"log\",\"data\":{{\"b\":1,\"a\":\"ü\\n\u{2028}\"}},\
             \"previous\":\"{zeros}\"}}\n"
        );
        assert_eq!(text, expected);
        assert_eq!(recorded.sha256, Digest::of(expected.trim_end_matches('\n').as_bytes()));
    }

    #[test]
    fn the_state_of_the_clock_stands_beside_its_time() {
        let event = Event::exhibit("log", json!({}));
        let state = TimeQuality { synchronised: true, max_error_us: 21_000 };
        let (line, _) = Tip::START.place(&event, "t", 7, Some(state));
        let text = String::from_utf8(line).expect("text");
        let expected = "\"monotonic_ms\":7,\"clock\":{\"synchronised\":true,\
                        \"max_error_us\":21000},\"actor\"";
        assert!(text.contains(expected), "{text}");
        let read: Line = serde_json::from_str(&text).expect("a line");
        assert_eq!(read.clock, Some(state));
    }

    #[test]
    fn lines_come_back_and_a_torn_one_is_told() {
        let read: Vec<RawLine> = lines(&b"one\n\ntwo"[..]).map(|l| l.expect("memory")).collect();
        let told: Vec<_> = read.iter().map(|line| (&line.bytes[..], line.whole)).collect();
        assert_eq!(told, [(&b"one"[..], true), (b"", true), (b"two", false)]);
    }

    #[test]
    fn only_the_daemon_states_artifacts() {
        let artifact = Artifact {
            path: "data/a".to_owned(),
            media_type: "text/plain".to_owned(),
            size_bytes: 1,
            sha256: Digest::of(b"a"),
        };
        let data = json!({"artifacts": [artifact], "title": artifact});
        let event = Event::exhibit(CAPTURED, data);
        for (actor, expected) in [(Actor::Exhibit, 1), (Actor::Agent, 0)] {
            let (bytes, _) = Tip::START.place(&Event { actor, ..event.clone() }, "t", 0, None);
            let line = serde_json::from_slice(&bytes).expect("a line");
            assert_eq!(artifacts_stated(&line).len(), expected);
        }
    }
}
