//! Owns what became of each run: by the entries of the log, and by what lies in the store, which is read
//! and believed only where it is what the log holds.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::log::{Reading, RunHistory, Runs, untold};
use super::place::{is_absent, is_file, is_folder};
use super::{Fate, Query, Row};
use crate::disk;
use crate::error::chain;
use crate::evidence::log::{Continuation, Leaf};
use crate::evidence::verify::{self, LoggedRun, Stand};
use crate::evidence::{
    Class, EVENTS, Finding, FindingCode, RunFacts, StoreError, archived_place, open_place,
    sealed_place,
};
use crate::id::RunId;
use crate::tlog::policy::Policy;

/// Looks at a run that a daemon moves while it is looked at, and how long there is between them.
const LOOKS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);

/// Judges the runs of a store by its log, as far as it was read.
pub(super) struct Judge<'a> {
    root: &'a Path,
    told: &'a Runs,
    /// How far the log was read, and whose signatures count for what is added to it.
    at: &'a Continuation,
    policy: &'a Policy,
}

/// What was found of a run.
enum Found {
    /// What the log holds.
    Sound(Box<Option<RunFacts>>),
    /// Something else, or nothing that can be read.
    Wrong(Vec<Finding>),
    Nothing,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        root: &'a Path,
        told: &'a Runs,
        at: &'a Continuation,
        policy: &'a Policy,
    ) -> Self {
        Self { root, told, at, policy }
    }

    /// The rows of the runs that the log tells of and that are asked for.
    pub(super) fn rows(&self, query: &Query) -> Vec<Row> {
        let asked =
            self.told.iter().filter_map(|(run, told)| Some((row(*run, told, query)?, told)));
        let asked: Vec<(Row, &RunHistory)> = asked.collect();
        verify::each(&asked, |(row, told)| self.judged(row.clone(), told))
    }

    fn judged(&self, mut row: Row, told: &RunHistory) -> Row {
        if told.purge.is_some() {
            row.fate = Fate::Purged;
            return row;
        }
        let found = self.settled(told, &mut row);
        match found {
            _ if row.fate == Fate::Purged => {}
            Found::Sound(facts) => {
                row.fate = fate(told);
                if let Some(facts) = *facts {
                    row.fill(facts);
                }
            }
            Found::Wrong(findings) => {
                let unread = |finding: &Finding| finding.class == Class::Unreadable;
                row.fate =
                    if findings.iter().all(unread) { Fate::Unreadable } else { Fate::Altered };
                let codes: BTreeSet<&str> = findings.iter().map(|one| one.code.as_str()).collect();
                row.codes = codes.into_iter().map(str::to_owned).collect();
            }
            Found::Nothing => row.fate = Fate::Gone,
        }
        row
    }

    /// What is found of a run once nobody moves it while it is looked at: a daemon may purge, archive and
    /// restore it meanwhile, and the log tell of that by now.
    fn settled(&self, told: &RunHistory, row: &mut Row) -> Found {
        let (run, mut told, mut at) = (row.run, told.clone(), self.at.clone());
        let mut stand = Stand::of(self.root, run);
        let mut found = self.found(run, &told);
        for look in 0..LOOKS {
            if matches!(found, Found::Sound(_)) {
                break;
            }
            let now = Stand::of(self.root, run);
            let later = Reading::since(self.root, &at, self.policy).ok();
            at = later.as_ref().map_or(at, |later| later.at.clone());
            let later = later.and_then(|mut later| later.told.remove(&run));
            let is_settled = now == stand && !now.is_moving() && later.is_none();
            // What is nowhere may have been on its way, and is looked for twice at least.
            if is_settled && (look > 0 || !matches!(found, Found::Nothing)) {
                break;
            }
            told.extend(later.unwrap_or_default());
            if told.purge.is_some() {
                (row.fate, row.purge_index) = (Fate::Purged, told.purge);
                break;
            }
            if look > 0 {
                thread::sleep(PAUSE);
            }
            stand = now;
            found = self.found(run, &told);
        }
        found
    }

    /// Look for `run` where it can lie, and hold it against the log. Where one of its places cannot be
    /// looked at, nobody can tell that it is gone.
    fn found(&self, run: RunId, told: &RunHistory) -> Found {
        self.look(run, told).unwrap_or_else(|error| unreadable(&error))
    }

    fn look(&self, run: RunId, told: &RunHistory) -> io::Result<Found> {
        let logged = told.logged();
        let at = |place: String| self.root.join(place);
        let (folder, open) = (at(sealed_place(run)), at(open_place(run)));
        if logged.seal.is_none() {
            return self.unsealed(run, &folder, &open, logged);
        }
        // A sealed run is moved to its place only after its seal is in the log.
        for path in [&folder, &open, &folder] {
            if is_folder(path)? && (path == &folder || disk::found(&path.join(EVENTS))?.is_some()) {
                return Ok(read(run, path, logged));
            }
        }
        let archive = at(archived_place(run));
        let packed = is_file(&archive)?;
        Ok(match told.archive.filter(|_| packed) {
            Some(sha256) => read(run, &archive, LoggedRun { archive: Some(sha256), ..logged }),
            None if packed => {
                let code = FindingCode::ArchiveNotLogged;
                Found::Wrong(vec![Finding::new(code, ".", "no archive", "an archive")])
            }
            None => Found::Nothing,
        })
    }

    /// A run whose seal the log did not hold yet: its beginning must be the logged one.
    fn unsealed(
        &self,
        run: RunId,
        folder: &Path,
        open: &Path,
        logged: LoggedRun,
    ) -> io::Result<Found> {
        let mut there = None;
        for path in [open, folder, open] {
            if there.is_none() && disk::found(&path.join(EVENTS))?.is_some() {
                there = Some(path);
            }
        }
        let Some(path) = there else { return Ok(Found::Nothing) };
        let code = match verify::first_event(path)? {
            // It may have been moved meanwhile.
            None if !is_folder(path)? && path != folder && is_folder(folder)? => {
                return self.unsealed(run, folder, folder, logged);
            }
            found if found != logged.opening => FindingCode::OpeningNotLogged,
            _ if path == folder => {
                let later = Reading::since(self.root, self.at, self.policy).ok();
                let later = later.and_then(|mut later| later.told.remove(&run)).unwrap_or_default();
                let seal = crate::evidence::seal_digest(folder);
                if later.seal.is_some_and(|(_, logged, _)| Some(logged) == seal) {
                    return Ok(Found::Sound(Box::new(None)));
                }
                FindingCode::RunNotLogged
            }
            _ => return Ok(Found::Sound(Box::new(None))),
        };
        Ok(Found::Wrong(vec![Finding::new(code, ".", "what the log holds", "something else")]))
    }

    /// Runs among the sealed ones that the log does not tell of. What they say of themselves nobody
    /// sealed, so that none of it keeps them out of sight.
    pub(super) fn unlogged(&self, query: &Query) -> Result<Vec<Row>, StoreError> {
        let mut rows = Vec::new();
        for run in untold(self.root, self.told, self.at, self.policy)? {
            // One that was opened in the log has its row.
            let opened = run.opened_at();
            if self.told.contains_key(&run) || !query.takes_time(opened) {
                continue;
            }
            let mut row = Row::of(run, crate::clock::rfc3339_millis(opened), Fate::NotLogged);
            if let Ok(facts) = RunFacts::of(&self.root.join(sealed_place(run)), None) {
                row.workflow.clone_from(&facts.record.opening.spec.workflow);
                row.sealed_at = Some(facts.record.sealed_at.clone());
                row.outcome.clone_from(&facts.record.ending.outcome);
                row.fill(facts);
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Read the run at `path`, which must be what is `logged`.
fn read(run: RunId, path: &Path, logged: LoggedRun) -> Found {
    let findings = verify::run(run, path, logged);
    if !findings.is_empty() {
        // Moved while it was read, it is looked for again.
        return if is_absent(path) { Found::Nothing } else { Found::Wrong(findings) };
    }
    let facts = match logged.archive {
        Some(_) => RunFacts::archived(path, run, logged.seal),
        None => RunFacts::of(path, logged.seal),
    };
    match facts {
        // What was judged is not what is told of: somebody changes it.
        Ok(RunFacts { doubts, .. }) if !doubts.is_empty() => {
            let found = "something else, a moment later";
            let doubted = |code| Finding::new(code, ".", "what was judged", found);
            Found::Wrong(doubts.into_iter().map(doubted).collect())
        }
        Ok(facts) => Found::Sound(Box::new(Some(facts))),
        Err(_) if is_absent(path) => Found::Nothing,
        Err(error) => unreadable(&error),
    }
}

fn unreadable(error: &(dyn Error + 'static)) -> Found {
    let (code, expected) = (FindingCode::Unreadable, "a readable folder");
    Found::Wrong(vec![Finding::new(code, ".", expected, chain(error))])
}

/// What became of a run that is there as the log holds it.
fn fate(told: &RunHistory) -> Fate {
    let Some((_, _, seal)) = &told.seal else { return Fate::Open };
    match seal.data.get("state").and_then(Value::as_str) {
        _ if told.archive.is_some() => Fate::Archived,
        Some("expired") => Fate::Expired,
        Some("interrupted") => Fate::Interrupted,
        _ => Fate::Sealed,
    }
}

/// The row of a run by the log alone, if it is asked for.
fn row(run: RunId, told: &RunHistory, query: &Query) -> Option<Row> {
    let text = |leaf: &Leaf, name: &str| leaf.data.get(name)?.as_str().map(str::to_owned);
    let seal = told.seal.as_ref().map(|(_, _, leaf)| leaf);
    let any = told.open.as_ref().map(|(_, leaf)| leaf).or(seal)?;
    let workflow = text(any, "workflow").unwrap_or_default();
    // A run that was sealed before there was a log says itself when it was opened.
    let opened_at = match &told.open {
        Some((_, leaf)) => leaf.time.clone(),
        None => text(any, "opened_at").unwrap_or_default(),
    };
    if !query.takes(opened_at.parse().unwrap_or(Timestamp::MIN), &workflow) {
        return None;
    }
    Some(Row {
        number: told.open.is_some().then_some(told.number),
        workflow,
        sealed_at: seal.map(|leaf| leaf.time.clone()),
        outcome: seal.and_then(|leaf| text(leaf, "outcome")),
        open_index: told.open.as_ref().map(|(index, _)| *index),
        seal_index: told.seal.as_ref().map(|(index, ..)| *index),
        purge_index: told.purge,
        ..Row::of(run, opened_at, Fate::Gone)
    })
}

impl Row {
    /// Take over what the folder says beyond the log.
    fn fill(&mut self, facts: RunFacts) {
        let RunFacts { record, code, unlogged, .. } = facts;
        let spec = record.opening.spec;
        let judged = record.completeness.filter(|_| self.fate != Fate::NotLogged);
        self.verdict = judged.map(|judged| judged.verdict.word());
        let (events, captures) = unlogged;
        self.captures = Some(record.counts.captures.saturating_sub(captures));
        self.events_unlogged = Some(events).filter(|events| *events > 0);
        (self.agent, self.principal, self.subject) = (spec.agent, spec.principal, spec.subject);
        self.code = code;
    }
}
