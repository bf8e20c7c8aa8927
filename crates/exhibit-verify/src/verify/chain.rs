//! Owns the check of the event chain, and of what its first and last events say of the record and
//! the files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead, BufReader};

use serde_json::{Value, json};

use super::Check;
use crate::artifact::Artifact;
use crate::chain::{self, CAPTURED, Line, OPENED, RECOVERED, SEALED};
use crate::disk;
use crate::finding::FindingCode;
use crate::layout::{EVENTS, RECORD};
use crate::record::{COMPLETENESS, Counts, RunRecord};
use crate::run::{Actor, Opening};
use crate::workflow::{Completeness, Tally, judge};
use exhibit_tlog::digest::{Digest, Hashing};

/// What is remembered while going down the chain.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) lines: u64,
    captures: u64,
    tally: Tally,
    first: Option<Line>,
    /// The last line, if it is an event.
    last: Option<Line>,
    last_sha256: Option<Digest>,
    /// Sequence number and time of the line before, if it was an event.
    before: Option<(u64, String)>,
    /// Files that events told of, by path and digest, with the first line that did: two events
    /// that tell of one path differently cannot both be right.
    pub(super) told: BTreeMap<(String, Digest), u64>,
    /// Files that a recovery found and no event had told of, each with the line that says so.
    unnamed: Vec<(u64, String)>,
    /// Sizes of these files, by the first event that told of each.
    pub(super) sizes: BTreeMap<String, u64>,
}

impl Check<'_> {
    pub(super) fn events(&mut self, record: Option<&RunRecord>) {
        // Its absence is reported with the manifest.
        if !self.is_file(EVENTS) {
            return;
        }
        // One that is larger than it can be is told of with the files.
        if self.is_too_large(EVENTS) {
            return;
        }
        let opened = match self.packed {
            None => disk::open(&self.folder.join(EVENTS)).map(|file| reader(BufReader::new(file))),
            Some(packed) => {
                packed.events().map(|events| events.map_or(reader(io::empty()), reader))
            }
        };
        match opened {
            Ok(events) => self.walk_events(events, record),
            Err(error) => self.unreadable(EVENTS, &error),
        }
    }

    fn walk_events(&mut self, events: Box<dyn BufRead>, record: Option<&RunRecord>) {
        let mut walk = Walk::default();
        let mut whole = Hashing::new(io::sink());
        for line in chain::lines(events) {
            if let Ok(line) = &line {
                line.hash_into(&mut whole);
            }
            match line {
                Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
                    let place = format!("{EVENTS}:{}", walk.lines + 1);
                    self.add(FindingCode::TooLarge, place, "a line within the limit", "more");
                    return;
                }
                Err(error) => return self.unreadable(EVENTS, &error),
                Ok(line) if !line.whole => {
                    let place = format!("{EVENTS}:{}", walk.lines + 1);
                    let found = format!("{} bytes without one", line.bytes.len());
                    self.add(FindingCode::EventsTorn, place, "a line feed at the end", found);
                    walk.last = None;
                }
                Ok(line) => self.event(&mut walk, &line),
            }
        }
        self.was_read(EVENTS, whole.finish().0);
        self.ends(&walk, record);
    }

    pub(super) fn event(&mut self, walk: &mut Walk, raw: &chain::RawLine) {
        walk.lines += 1;
        let place = format!("{EVENTS}:{}", walk.lines);
        let before = walk.last_sha256.unwrap_or(Digest::ZERO);
        let sha256 = Digest::of(&raw.bytes);
        if walk.lines == 1 {
            self.first_line_was(sha256);
        }
        walk.last_sha256 = Some(sha256);
        let line = match raw.parse() {
            Ok(line) => line,
            Err(error) => {
                self.add(FindingCode::EventMalformed, place, "an event", error.to_string());
                (walk.last, walk.before) = (None, None);
                return;
            }
        };
        if line.previous != before {
            let (expected, found) = (before.to_string(), line.previous.to_string());
            self.add(FindingCode::EventPrevious, &place, expected, found);
        }
        // After a line that is no event there is no telling which number comes next.
        let sequence = walk
            .before
            .as_ref()
            .map_or(if walk.lines == 1 { 1 } else { line.sequence }, |(sequence, _)| {
                sequence.saturating_add(1)
            });
        if line.sequence != sequence {
            let (expected, found) = (sequence.to_string(), line.sequence.to_string());
            self.add(FindingCode::EventSequence, &place, expected, found);
        }
        if line.kind == RECOVERED
            && line.actor == Actor::Exhibit
            && line.data.contains_key("unlogged")
        {
            let found = line.data["unlogged"].to_string();
            self.add(FindingCode::EventsUnlogged, &place, "events that the log held", found);
        }
        if line.kind == RECOVERED && line.actor == Actor::Exhibit {
            let unnamed = line.data.get("unnamed").and_then(Value::as_array);
            let paths = unnamed.into_iter().flatten().filter_map(Value::as_str);
            walk.unnamed.extend(paths.map(|path| (walk.lines, path.to_owned())));
        }
        if let Some((_, time)) = walk.before.as_ref().filter(|(_, time)| line.time < *time) {
            let expected = format!("{time} or later");
            self.add(FindingCode::EventTimeOrder, &place, expected, line.time.clone());
        }
        walk.before = Some((line.sequence, line.time.clone()));
        walk.captures += u64::from(line.kind == CAPTURED && line.actor == Actor::Exhibit);
        walk.tally.take(walk.lines, line.actor, &line.kind, &line.data);
        if line.kind != SEALED {
            for artifact in chain::artifacts_stated(&line) {
                walk.sizes.entry(artifact.path.clone()).or_insert(artifact.size_bytes);
                walk.told.entry((artifact.path, artifact.sha256)).or_insert(walk.lines);
            }
        }
        if walk.lines == 1 {
            walk.first = Some(line.clone());
        }
        walk.last = Some(line);
    }

    /// What the ends of the chain say, against the record and the manifest.
    fn ends(&mut self, walk: &Walk, record: Option<&RunRecord>) {
        let is = |line: &&Line, kind: &str| line.kind == kind && line.actor == Actor::Exhibit;
        let first = walk.first.as_ref().filter(|line| is(line, OPENED));
        let last = walk.last.as_ref().filter(|line| is(line, SEALED));
        let kind = |line: Option<&Line>| {
            line.map_or_else(|| "no event".to_owned(), |line| line.kind.clone())
        };
        if first.is_none() {
            let place = format!("{EVENTS}:1");
            self.add(FindingCode::OpeningMissing, place, OPENED, kind(walk.first.as_ref()));
        }
        if last.is_none() {
            let found = kind(walk.last.as_ref());
            self.add(FindingCode::EndingMissing, EVENTS, SEALED, found);
        }
        self.compare_artifacts(&walk.told);
        if let Some(last) = last {
            self.listed(last);
            self.unnamed(walk);
        }
        if let (Some(first), Some(last), Some(record)) = (first, last, record) {
            let counts = Counts {
                events: walk.lines,
                captures: walk.captures,
                files: self.manifest.as_ref().map_or(record.counts.files, |m| m.len() as u64),
            };
            let sha256 = walk.last_sha256.unwrap_or(Digest::ZERO);
            let derived = RunRecord::derive(first, last, counts, sha256);
            self.same_record(derived.as_ref());
            self.completeness(walk, first, last);
        }
    }

    /// The judgement in `run.sealed` and in the record, against what follows from the chain.
    fn completeness(&mut self, walk: &Walk, first: &Line, last: &Line) {
        let Ok(opening) = serde_json::from_value::<Opening>(Value::Object(first.data.clone()))
        else {
            return;
        };
        let artifacts: Vec<Artifact> = listed_in(last);
        let judged = opening.policy.as_ref();
        let judged = judged.map(|policy| judge(policy, &opening.spec, &walk.tally, &artifacts));
        self.report.verdict = judged.as_ref().map(|judged| judged.verdict);
        let expected = json!(judged);
        let claims = [
            (format!("{EVENTS}:{}", walk.lines), last.data.get(COMPLETENESS)),
            (RECORD.to_owned(), self.raw_record.get(COMPLETENESS)),
        ];
        let wrong: Vec<_> = claims
            .into_iter()
            .map(|(place, claim)| (place, claim.cloned().unwrap_or_default()))
            .filter(|(_, claim)| *claim != expected)
            .collect();
        for (place, claim) in wrong {
            let place = format!("{place}#{COMPLETENESS}");
            let (expected, found) = completeness_differences(judged.as_ref(), &claim);
            self.add(FindingCode::CompletenessMismatch, place, expected, found);
        }
    }

    /// Files that events told of, against the manifest.
    fn compare_artifacts(&mut self, told: &BTreeMap<(String, Digest), u64>) {
        let Some(manifest) = self.manifest.take() else { return };
        for ((path, sha256), line) in told {
            let found = manifest.get(path);
            if found != Some(sha256) {
                let expected = format!("{sha256} as line {line} of {EVENTS} tells");
                let found = found.map_or_else(|| "no file".to_owned(), Digest::to_string);
                self.add(FindingCode::EventArtifactMismatch, path, expected, found);
            }
        }
        self.manifest = Some(manifest);
    }

    /// The list in `run.sealed`, against the manifest.
    fn listed(&mut self, last: &Line) {
        let Some(manifest) = self.manifest.take() else { return };
        let artifacts = listed_in(last);
        let listed: BTreeMap<&str, &Artifact> =
            artifacts.iter().map(|artifact| (artifact.path.as_str(), artifact)).collect();
        let nothing = || "nothing".to_owned();
        for (path, artifact) in &listed {
            let there = manifest.get(*path);
            if there != Some(&artifact.sha256) {
                let found = there.map_or_else(nothing, Digest::to_string);
                let expected = artifact.sha256.to_string();
                self.add(FindingCode::ArtifactMismatch, *path, expected, found);
            }
        }
        for (path, sha256) in &manifest {
            if path != EVENTS && path != RECORD && !listed.contains_key(path.as_str()) {
                self.add(FindingCode::ArtifactMismatch, path, nothing(), sha256.to_string());
            }
        }
        self.manifest = Some(manifest);
    }

    /// The files that a recovery found and of which no event told, before it or after.
    fn unnamed(&mut self, walk: &Walk) {
        let named: BTreeSet<&str> = walk.told.keys().map(|(path, _)| path.as_str()).collect();
        let manifest = self.manifest.take();
        for (line, path) in &walk.unnamed {
            let there = manifest.as_ref().is_some_and(|manifest| manifest.contains_key(path));
            if there && !named.contains(path.as_str()) {
                let (place, expected) = (format!("{EVENTS}:{line}"), "files that events tell of");
                self.add(FindingCode::FilesUnnamed, place, expected, path.clone());
            }
        }
        self.manifest = manifest;
    }

    fn same_record(&mut self, derived: Option<&RunRecord>) {
        let differences = super::seal::differences(&json!(derived), &self.raw_record);
        // The judgement has a finding of its own.
        for (field, expected, found) in differences.into_iter().filter(|(f, ..)| f != COMPLETENESS)
        {
            let place = format!("{RECORD}#{field}");
            self.add(FindingCode::RecordMismatch, place, expected, found);
        }
    }
}

fn reader(events: impl BufRead + 'static) -> Box<dyn BufRead> {
    Box::new(events)
}

/// The digests of the whole lines of `events`; none when they cannot be read.
pub(super) fn digests(events: impl BufRead) -> Option<Vec<Digest>> {
    let lines = chain::lines(events);
    let whole = lines.filter(|line| line.as_ref().map_or(true, |line| line.whole));
    whole.map(|line| line.map(|line| Digest::of(&line.bytes))).collect::<Result<_, _>>().ok()
}

/// The files that `run.sealed` lists.
fn listed_in(last: &Line) -> Vec<Artifact> {
    Artifact::stated(SEALED, &last.data)
}

/// What differs between a judgement and a claim, short enough to be read.
fn completeness_differences(judged: Option<&Completeness>, claim: &Value) -> (String, String) {
    let claimed = claim["verdict"].as_str().unwrap_or("no verdict").to_owned();
    let expected = judged.map_or("no verdict", |judged| judged.verdict.word()).to_owned();
    if claimed != expected {
        return (expected, claimed);
    }
    let expected = json!(judged);
    let differences = super::seal::differences(&expected, claim);
    let of = |side: fn(&(String, String, String)) -> String| {
        differences.iter().map(side).collect::<Vec<_>>().join(", ")
    };
    (
        of(|(name, expected, _)| format!("{name} {expected}")),
        of(|(name, _, found)| format!("{name} {found}")),
    )
}
