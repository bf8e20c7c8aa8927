//! Owns the population of a period: every run that the log of a store tells of, what became of each,
//! when nobody recorded, and samples of it. Reads the log and the folders, believes neither without
//! the other, and asks no index. The same log and folders give the same answer.

mod absence;
mod sample;
mod table;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use self::absence::Absences;
pub use self::absence::{Absence, Cause};
pub use self::sample::{Sample, sample};
pub use self::table::{write_absences, write_runs};
use crate::digest::Digest;
use crate::disk;
use crate::evidence::log::{Leaf, LeafKind, LogReader};
use crate::evidence::{
    PROOF, RunSummary, StoreError, archived_place, archived_record, open_place, sealed_place,
};
use crate::id::RunId;
use crate::tlog::note::MAX_NOTE;
use crate::tlog::proof::Proof;
use crate::tlog::tile::WIDTH;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Query {
    /// Runs opened at this time or later.
    pub from: Option<Timestamp>,
    /// Runs opened before this time.
    pub to: Option<Timestamp>,
    /// Runs of this workflow.
    pub workflow: Option<String>,
}

impl Query {
    fn takes(&self, opened: Timestamp, workflow: &str) -> bool {
        self.from.is_none_or(|from| opened >= from)
            && self.to.is_none_or(|to| opened < to)
            && self.workflow.as_deref().is_none_or(|wanted| wanted == workflow)
    }
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Sealed by its caller.
    Sealed,
    /// Sealed because it outlived its time.
    Expired,
    /// Sealed after a crash or a stop.
    Interrupted,
    /// Still open.
    Open,
    /// Purged: the log tells when and why.
    Purged,
    /// Archived: the log holds the archive's digest.
    Archived,
    /// The log tells of it, and the store does not hold it.
    Gone,
    /// The store holds it, and the log does not tell of it.
    NotLogged,
}

impl Fate {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Expired => "expired",
            Self::Interrupted => "interrupted",
            Self::Open => "open",
            Self::Purged => "purged",
            Self::Archived => "archived",
            Self::Gone => "gone",
            Self::NotLogged => "not-logged",
        }
    }
}

/// One run of a population.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Place among all runs that were ever opened in this log, from 1: without a gap.
    pub number: Option<u64>,
    /// Identity of the run.
    pub run: RunId,
    /// Kind of run.
    pub workflow: String,
    /// When it was opened, RFC 3339, UTC.
    pub opened_at: String,
    /// When it was sealed, RFC 3339, UTC.
    pub sealed_at: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// What its caller said came of it.
    pub outcome: Option<String>,
    /// `complete`, `incomplete`; none when nobody had configured the workflow, or it is not known.
    pub verdict: Option<&'static str>,
    /// Which agent acted.
    pub agent: Option<String>,
    /// On whose behalf.
    pub principal: Option<String>,
    /// What it was about.
    pub subject: Option<String>,
    /// Index of its `open` entry in the log.
    pub open_index: Option<u64>,
    /// Index of its last `seal` entry.
    pub seal_index: Option<u64>,
    /// Captures in it.
    pub captures: Option<u64>,
    /// Index of its `purge` entry.
    pub purge_index: Option<u64>,
}

/// Which state of the log the answer is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogState {
    /// Name of the log.
    pub origin: String,
    /// Entries.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
}

/// The population of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Population {
    /// What was asked for.
    pub query: Query,
    /// Version of the program that answered.
    pub exhibit: String,
    /// The state of the log it is about.
    pub log: LogState,
    /// Runs ever opened in the log, within the query or not.
    pub ever_opened: u64,
    /// How many runs became of what.
    pub totals: Totals,
    /// The runs, in the order of their opening.
    pub runs: Vec<Row>,
    /// When nobody recorded, or nobody can tell.
    pub absences: Vec<Absence>,
}

/// Counts of a population.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Runs.
    pub runs: u64,
    /// By what became of them.
    pub fates: BTreeMap<&'static str, u64>,
    /// By verdict; `none` for those without.
    pub verdicts: BTreeMap<&'static str, u64>,
    /// By workflow.
    pub workflows: BTreeMap<String, u64>,
}

/// What the log tells of one run.
#[derive(Debug, Default)]
struct Told {
    number: u64,
    open: Option<(u64, Leaf)>,
    seal: Option<(u64, Leaf)>,
    purge: Option<u64>,
    archived: bool,
}

/// The population of the store at `root`.
///
/// # Errors
/// [`StoreError::NotFound`] when the store has no log; [`StoreError::Damaged`] when it cannot be
/// read. Whether it is sound is `exhibit verify`'s to say.
pub fn population(root: &Path, query: Query) -> Result<Population, StoreError> {
    let reader = LogReader::of_store(root);
    let (_, checkpoint) = reader.checkpoint()?;
    let (mut told, mut absences) = (HashMap::<RunId, Told>::new(), Absences::default());
    let mut opened = 0;
    for bundle in 0..checkpoint.size.div_ceil(WIDTH) {
        let entries = reader.bundle(bundle, checkpoint.size);
        let entries = entries.map_err(|error| StoreError::new(root, error))?;
        for (index, entry) in (bundle * WIDTH..).zip(entries) {
            let Some(leaf) = Leaf::parse(&entry) else { continue };
            absences.take(&leaf);
            let Some(run) = leaf.run else { continue };
            let told = told.entry(run).or_default();
            match leaf.kind {
                LeafKind::Open if told.open.is_none() => {
                    opened += 1;
                    told.number = opened;
                    told.open = Some((index, leaf));
                }
                LeafKind::Seal => told.seal = Some((index, leaf)),
                LeafKind::Archive => told.archived = true,
                LeafKind::Restore => told.archived = false,
                LeafKind::Purge => told.purge = told.purge.or(Some(index)),
                _ => {}
            }
        }
    }
    let mut runs = Vec::new();
    for (run, told) in &told {
        runs.extend(row(root, checkpoint.size, *run, told, &query));
    }
    runs.extend(unlogged(root, checkpoint.size, &told, &query));
    runs.sort_by(|one, other| (&one.opened_at, one.run).cmp(&(&other.opened_at, other.run)));
    let log = LogState { origin: checkpoint.origin, size: checkpoint.size, root: checkpoint.root };
    let absences = absences.within(query.from, query.to);
    let exhibit = env!("CARGO_PKG_VERSION").to_owned();
    let totals = totals(&runs);
    Ok(Population { query, exhibit, log, ever_opened: opened, totals, runs, absences })
}

/// The row of a run that the log tells of, if it is asked for.
fn row(root: &Path, size: u64, run: RunId, told: &Told, query: &Query) -> Option<Row> {
    let text = |leaf: &Leaf, name: &str| leaf.data.get(name)?.as_str().map(str::to_owned);
    let seal = told.seal.as_ref().map(|(_, leaf)| leaf);
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
    let mut row = Row {
        number: told.open.is_some().then_some(told.number),
        run,
        workflow,
        opened_at,
        sealed_at: seal.map(|leaf| leaf.time.clone()),
        fate: if told.purge.is_some() { Fate::Purged } else { Fate::Gone },
        outcome: seal.and_then(|leaf| text(leaf, "outcome")),
        verdict: None,
        agent: None,
        principal: None,
        subject: None,
        open_index: told.open.as_ref().map(|(index, _)| *index),
        seal_index: told.seal.as_ref().map(|(index, _)| *index),
        captures: None,
        purge_index: told.purge,
    };
    let summary = RunSummary::read(&root.join(sealed_place(run)));
    let archive = root.join(archived_place(run));
    if summary.is_err() && told.archived && told.purge.is_none() && archive.is_file() {
        // Whether it is the one that the log holds is `exhibit verify`'s to say.
        if let Ok(record) = archived_record(&archive, run) {
            row.fill(RunSummary::from(record));
        }
        row.fate = Fate::Archived;
        return Some(row);
    }
    match (summary, seal) {
        (Ok(summary), Some(_)) => row.fill(summary),
        // What is there without its seal in the log is not what the log tells of.
        (Ok(_), None) if is_later(root, run, size) => row.fate = Fate::Open,
        (Ok(summary), None) => {
            row.fill(summary);
            row.fate = Fate::NotLogged;
        }
        (Err(_), _) if root.join(open_place(run)).is_dir() => row.fate = Fate::Open,
        // It may have been moved from there meanwhile.
        (Err(_), _) => {
            if let Ok(summary) = RunSummary::read(&root.join(sealed_place(run))) {
                row.fill(summary);
            }
        }
    }
    Some(row)
}

/// Whether the sealed run `run` came into the log only after its first `size` entries, in a store in
/// use: its proof says so.
fn is_later(root: &Path, run: RunId, size: u64) -> bool {
    let path = root.join(sealed_place(run)).join(PROOF);
    let proof = disk::read_limited(&path, MAX_NOTE).ok();
    let proof = proof.and_then(|proof| Proof::parse(std::str::from_utf8(&proof).ok()?).ok());
    proof.is_some_and(|proof| proof.index >= size)
}

impl Row {
    /// Take over what the folder says.
    fn fill(&mut self, summary: RunSummary) {
        use crate::run::State;
        self.fate = match summary.state {
            State::Sealed => Fate::Sealed,
            State::Expired => Fate::Expired,
            State::Interrupted => Fate::Interrupted,
        };
        self.verdict = summary.verdict.map(crate::workflow::Verdict::word);
        self.captures = Some(summary.counts.captures);
        self.outcome = summary.outcome;
        (self.agent, self.principal, self.subject) =
            (summary.agent, summary.principal, summary.subject);
    }
}

/// Folders that the log does not tell of.
fn unlogged(root: &Path, size: u64, told: &HashMap<RunId, Told>, query: &Query) -> Vec<Row> {
    let mut rows = Vec::new();
    for folder in crate::evidence::sealed_in(root) {
        let Ok(summary) = RunSummary::read(&folder) else { continue };
        let opened = summary.opened_at.parse().unwrap_or(Timestamp::MIN);
        let known = told.contains_key(&summary.run) || is_later(root, summary.run, size);
        if known || !query.takes(opened, &summary.workflow) {
            continue;
        }
        let mut row = Row {
            number: None,
            run: summary.run,
            workflow: summary.workflow.clone(),
            opened_at: summary.opened_at.clone(),
            sealed_at: Some(summary.sealed_at.clone()),
            fate: Fate::NotLogged,
            outcome: None,
            verdict: None,
            agent: None,
            principal: None,
            subject: None,
            open_index: None,
            seal_index: None,
            captures: None,
            purge_index: None,
        };
        row.fill(summary);
        row.fate = Fate::NotLogged;
        rows.push(row);
    }
    rows
}

fn totals(runs: &[Row]) -> Totals {
    let mut totals = Totals { runs: runs.len() as u64, ..Totals::default() };
    for run in runs {
        *totals.fates.entry(run.fate.word()).or_default() += 1;
        *totals.verdicts.entry(run.verdict.unwrap_or("none")).or_default() += 1;
        *totals.workflows.entry(run.workflow.clone()).or_default() += 1;
    }
    totals
}

impl Population {
    /// What an auditor must look into: runs that are gone or were never logged.
    pub fn doubtful(&self) -> impl Iterator<Item = &Row> {
        self.runs.iter().filter(|run| matches!(run.fate, Fate::Gone | Fate::NotLogged))
    }
}

/// What is written goes to `out`.
type Written = io::Result<()>;

#[cfg(test)]
mod tests;
