//! Owns what the event chain tells: one row for each event, and what was captured, recorded,
//! compared and attached along the way. Reads line by line, and keeps no more than its limits.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::clock::ClockSaid;
use super::source::Source;
use super::summary::{Summary, summary};
use super::text::{count, indented, moment, quoted, spoken, text};
use crate::artifact::Artifact;
use crate::digest::Digest;
use crate::evidence::chain::RECOVERED;
use crate::evidence::{CodeNamed, EVENTS, Line, artifacts_stated, lines};
use crate::run::Actor;
use crate::unlogged::Unlogged;

/// Most events that are shown; the last one always is.
pub(super) const MAX_ROWS: usize = 10_000;
/// Most captures, recordings, comparisons and attachments that are shown, of each.
pub(super) const MAX_THINGS: usize = 1_000;
/// Most references to code that are shown.
const MAX_CODE: usize = 100;
/// Most bytes of one event's data that are shown.
const MAX_DETAIL: usize = 6_000;
/// Most bytes of all events' data that are shown.
const MAX_DETAILS: usize = 24 << 20;
/// Most bytes of the lines that tell of them.
const MAX_KEPT: usize = 64 << 20;
/// Most files that are named of which no event tells.
const MAX_UNNAMED: usize = 20;
/// Events in one group.
const GROUP: usize = 100;

/// One event, as it is shown.
#[derive(Debug)]
pub(super) struct Row {
    /// The line in the file, from 1.
    pub(super) line: u64,
    pub(super) day: String,
    pub(super) time: String,
    pub(super) by_agent: bool,
    pub(super) kind: String,
    pub(super) summary: Summary,
    /// Its data as JSON.
    pub(super) detail: String,
    /// The capture it tells of, by its place in the list.
    pub(super) capture: Option<usize>,
    /// Whether the log did not hold it.
    pub(super) unlogged: bool,
}

/// Events that are shown together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) title: String,
    pub(super) open: bool,
    pub(super) rows: Vec<Row>,
}

/// Something an event tells of that has files.
#[derive(Debug)]
pub(super) struct EventFiles {
    pub(super) line: u64,
    pub(super) time: String,
    pub(super) data: Map<String, Value>,
    pub(super) files: Vec<Artifact>,
    /// Whether its event has a row, where its pictures stand.
    pub(super) shown: bool,
}

impl EventFiles {
    /// The string called `name`.
    pub(super) fn get(&self, name: &str) -> String {
        self.data.get(name).map_or_else(String::new, spoken)
    }

    /// The first file whose name is `name` up to its ending.
    pub(super) fn file(&self, name: &str) -> Option<&Artifact> {
        let is_it = |artifact: &&Artifact| {
            let last = artifact.path.rsplit('/').next().unwrap_or_default();
            last.rsplit_once('.').is_some_and(|(stem, _)| stem == name)
        };
        self.files.iter().find(is_it)
    }
}

/// All that the chain tells.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) rows: Vec<Row>,
    /// Events that have no row.
    pub(super) untold: u64,
    pub(super) events: u64,
    pub(super) errors: u64,
    pub(super) captures: Vec<EventFiles>,
    pub(super) recordings: Vec<EventFiles>,
    pub(super) comparisons: Vec<EventFiles>,
    pub(super) attachments: Vec<EventFiles>,
    /// Code that was named.
    pub(super) code: Vec<CodeNamed>,
    /// Events that the log did not hold: they have their rows, and nothing else tells of them.
    pub(super) unlogged: Unlogged,
    /// Files that a recovery found and no event had told of.
    unnamed: BTreeSet<String>,
    /// Data of the first event.
    pub(super) opening: Map<String, Value>,
    /// What the kernel said of the clock.
    pub(super) clock: ClockSaid,
    /// Time of the first event and of the last.
    pub(super) times: Option<(String, String)>,
    /// Kind of the last event.
    pub(super) last_kind: String,
    details: usize,
    kept: usize,
}

impl Story {
    /// What the chain in `source` tells.
    pub(super) fn read(source: &mut Source) -> Self {
        let mut story = Self::default();
        let Some(file) = source.stream(EVENTS) else {
            source.problem(format!("{EVENTS} is missing, or is no plain file."));
            return story;
        };
        let mut previous = Digest::ZERO;
        let mut last = None;
        for line in lines(file) {
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    let number = story.events + 1;
                    source.problem(format!("{EVENTS} cannot be read at line {number}: {error}."));
                    break;
                }
            };
            if !line.whole {
                source.problem(format!("The last line of {EVENTS} is cut short."));
            }
            story.events += 1;
            let number = story.events;
            let digest = Digest::of(&line.bytes);
            match line.parse() {
                Ok(event) => {
                    if event.previous != previous {
                        source.problem(format!("Event {number} is not bound to the one before."));
                    }
                    if event.sequence != number {
                        source.problem(format!("Event {number} has another number."));
                    }
                    last = story.take(source, event, line.bytes.len());
                }
                Err(error) => {
                    let error = text(&error.to_string());
                    source.problem(format!("Event {number} cannot be read: {error}."));
                }
            }
            previous = digest;
        }
        // However many there are, how it ended is told.
        if let Some(row) = last {
            story.untold -= 1;
            story.rows.push(row);
        }
        story.set_apart();
        story
    }

    /// Take what the log did not hold out of all that is counted, shown and compared, and mark its rows.
    fn set_apart(&mut self) {
        let unlogged = &self.unlogged;
        if unlogged.is_empty() {
            return;
        }
        self.code.retain(|named| !unlogged.holds(named.event));
        let mut places = Vec::new();
        for told in &self.captures {
            let before = places.iter().flatten().count();
            places.push((!unlogged.holds(told.line)).then_some(before));
        }
        let lists = [&mut self.captures, &mut self.recordings, &mut self.comparisons];
        for list in lists.into_iter().chain([&mut self.attachments]) {
            list.retain(|told| !unlogged.holds(told.line));
        }
        for row in &mut self.rows {
            row.capture = row.capture.and_then(|place| places[place]);
            row.unlogged = unlogged.holds(row.line);
            self.errors -= u64::from(row.unlogged && row.summary.bad);
        }
    }

    /// What is said of files that a recovery found and no event told of; empty where there are none.
    pub(super) fn unnamed_notice(&self) -> String {
        let unnamed: Vec<&str> = self.unnamed.iter().map(String::as_str).collect();
        if unnamed.is_empty() {
            return String::new();
        }
        format!(
            "NO EVENT TELLS OF {}. A crash came between a file and its event, or whoever has the files \
             put it there while no daemon ran. Such a file is not established, and meets no requirement.",
            text(&unnamed.join(", "))
        )
    }

    /// What is said of events that the log did not hold; empty where it held all.
    pub(super) fn unlogged_notice(&self) -> String {
        if self.unlogged.is_empty() {
            return String::new();
        }
        format!(
            "NOT IN THE LOG: events {}. The log did not hold them when the run was taken up after a \
             crash, and whoever has the files can have written them. They are not established, are \
             counted nowhere, and meet no requirement.",
            self.unlogged.words()
        )
    }

    /// Take in one event. One that comes after the limit is handed back.
    fn take(&mut self, source: &mut Source, event: Line, length: usize) -> Option<Row> {
        self.clock.add(event.clock);
        let by_agent = event.actor == Actor::Agent;
        self.unlogged.take(self.events, &event);
        if event.kind == RECOVERED && !by_agent {
            let found = event.data.get("unnamed").and_then(Value::as_array).into_iter().flatten();
            let found = found.filter_map(Value::as_str).map(str::to_owned);
            self.unnamed.extend(found.take(MAX_UNNAMED));
        }
        let files = artifacts_stated(&event);
        for file in &files {
            source.tells(file);
        }
        if self.code.len() < MAX_CODE {
            self.code.extend(CodeNamed::by(self.events, &event));
        }
        let (day, time) = moment(&event.time);
        let opened = self.times.take().map_or_else(|| event.time.clone(), |(first, _)| first);
        self.times = Some((opened, event.time.clone()));
        self.last_kind.clone_from(&event.kind);
        let summary = summary(&event.kind, by_agent, &event.data);
        self.errors += u64::from(summary.bad);
        let shown = self.rows.len() < MAX_ROWS;
        let told =
            EventFiles { line: self.events, time: event.time, data: event.data, files, shown };
        let (data, capture) =
            if by_agent { (told.data, None) } else { self.sort_in(&event.kind, told, length) };
        let kind = if by_agent { quoted(&event.kind) } else { text(&event.kind) };
        let line = self.events;
        let detail = self.detail(data);
        let unlogged = false;
        let row = Row { line, day, time, by_agent, kind, summary, detail, capture, unlogged };
        if self.rows.len() < MAX_ROWS {
            self.rows.push(row);
            return None;
        }
        self.untold += 1;
        Some(row)
    }

    /// The data of an event as JSON, while there is room.
    fn detail(&mut self, data: Map<String, Value>) -> String {
        if self.details >= MAX_DETAILS || data.is_empty() {
            return String::new();
        }
        let detail = indented(&Value::Object(data), MAX_DETAIL);
        self.details += detail.len();
        detail
    }

    /// Keep what has files where it belongs. Answers the data for the row, and the place of a
    /// capture.
    fn sort_in(
        &mut self,
        kind: &str,
        told: EventFiles,
        length: usize,
    ) -> (Map<String, Value>, Option<usize>) {
        let data = told.data.clone();
        let list = match kind {
            "run.opened" if self.events == 1 => {
                self.opening = told.data;
                return (data, None);
            }
            "capture.taken" => &mut self.captures,
            "recording.taken" => &mut self.recordings,
            "captures.compared" => &mut self.comparisons,
            "attachment.added" => &mut self.attachments,
            _ => return (data, None),
        };
        if list.len() >= MAX_THINGS || self.kept + length > MAX_KEPT {
            return (data, None);
        }
        self.kept += length;
        list.push(told);
        let place = list.len() - 1;
        (data, (kind == "capture.taken").then_some(place))
    }

    /// The captures that show an error page, in a sentence; empty when there are none.
    pub(super) fn error_pages(&self) -> String {
        let shown =
            |told: &EventFiles| Some(format!("{} ({})", told.get("capture"), told.error_page()?));
        let pages: Vec<String> = self.captures.iter().filter_map(shown).collect();
        if pages.is_empty() {
            return String::new();
        }
        let more = if pages.len() > 4 { ", …" } else { "" };
        let show = if pages.len() == 1 { "shows an error page" } else { "show error pages" };
        let of = count(self.captures.len() as u64, "capture");
        format!("{} of {of} {show}: {}{more}.", pages.len(), pages[..pages.len().min(4)].join(", "))
    }

    /// The rows in groups. Only the first and the last stand open when there are many.
    pub(super) fn groups(rows: Vec<Row>) -> Vec<Group> {
        let total = rows.len();
        let mut groups = Vec::new();
        let mut day = String::new();
        let first_of_day = |mut row: Row| {
            // The day is said where it changes.
            if row.day == day {
                row.day.clear();
            } else {
                day.clone_from(&row.day);
            }
            row
        };
        let mut rows = rows.into_iter().map(first_of_day).peekable();
        while rows.peek().is_some() {
            let rows: Vec<Row> = rows.by_ref().take(GROUP).collect();
            let captures = rows.iter().filter(|row| row.capture.is_some()).count() as u64;
            let bad = rows.iter().filter(|row| row.summary.bad).count() as u64;
            let (first, last) = (&rows[0], &rows[rows.len() - 1]);
            let mut title = format!("Events {} to {}", first.line, last.line);
            let _ = write!(title, ", {} to {}", first.time, last.time);
            for (number, one) in [(captures, "capture"), (bad, "failure")] {
                if number > 0 {
                    let _ = write!(title, " · {}", count(number, one));
                }
            }
            groups.push(Group { title, open: groups.is_empty() || total <= 2 * GROUP, rows });
        }
        groups
    }
}
