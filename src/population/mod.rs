//! Owns the population of a period: every run that the log of a store tells of, what became of each,
//! when nobody recorded, and samples of it. What became of a run and what came of it is told by the
//! log; the folders are read and held against it, and believed where they agree. No index is asked.
//! The same log and folders give the same answer.

mod absence;
mod judge;
mod log;
mod place;
mod sample;
mod table;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

pub use self::absence::{Absence, Cause};
use self::log::Reading;
pub(crate) use self::log::absent;
pub use self::sample::{Sample, sample};
pub use self::table::{write_absences, write_runs};
use crate::digest::Digest;
use crate::evidence::{CodeNamed, Integrity, StoreError};
use crate::id::RunId;
use crate::tlog::policy::Policy;

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
        self.takes_time(opened) && self.workflow.as_deref().is_none_or(|wanted| wanted == workflow)
    }

    fn takes_time(&self, opened: Timestamp) -> bool {
        self.from.is_none_or(|from| opened >= from) && self.to.is_none_or(|to| opened < to)
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
    /// It is not what the log holds of it, or not as it was sealed.
    Altered,
    /// It could not be read, so that nothing is known of it.
    Unreadable,
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
            Self::Altered => "altered",
            Self::Unreadable => "unreadable",
            Self::Gone => "gone",
            Self::NotLogged => "not-logged",
        }
    }
}

/// One run of a population.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Place among all runs that were ever opened in this log, from 1: without a gap.
    pub number: Option<u64>,
    /// Identity of the run.
    pub run: RunId,
    /// Kind of run, by the log; of one that it does not tell of, by the folder's own word.
    pub workflow: String,
    /// When it was opened, RFC 3339, UTC.
    pub opened_at: String,
    /// When it was sealed, RFC 3339, UTC.
    pub sealed_at: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// What its caller said came of it, by the seal in the log.
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
    /// Captures in it, but for those in events that the log did not hold.
    pub captures: Option<u64>,
    /// Events that the log did not hold when the run was taken up after a crash: somebody with the files
    /// can have written them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_unlogged: Option<u64>,
    /// Index of its `purge` entry.
    pub purge_index: Option<u64>,
    /// Codes of what is not as it was sealed (docs/FORMAT.md), of one that is altered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
    /// What the daemon itself found, by the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrity: Option<Integrity>,
    /// The code that was named for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<CodeNamed>,
}

impl Row {
    /// A row of which nothing but this is known.
    fn of(run: RunId, opened_at: String, fate: Fate) -> Self {
        Self {
            number: None,
            run,
            workflow: String::new(),
            opened_at,
            sealed_at: None,
            fate,
            outcome: None,
            verdict: None,
            agent: None,
            principal: None,
            subject: None,
            open_index: None,
            seal_index: None,
            captures: None,
            events_unlogged: None,
            purge_index: None,
            codes: Vec::new(),
            integrity: None,
            code: Vec::new(),
        }
    }
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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

/// The population of the store at `root`, by the `state` of its log that somebody verified, and by what
/// logs that `policy` vouches for added since; without a state, by the log as such a one signed it. Every run
/// in it is read and held against the log.
///
/// # Errors
/// [`StoreError::NotFound`] when the store has no log; [`StoreError::Damaged`] when it cannot be
/// read, or is no longer the one that was verified. Whether the log is sound is `exhibit verify`'s to
/// say.
pub fn population(
    root: &Path,
    query: Query,
    state: Option<&LogState>,
    policy: &Policy,
) -> Result<Population, StoreError> {
    let Reading { told, findings, absences, opened, at } = Reading::of(root, state, policy)?;
    let judge = judge::Judge::new(root, &told, &at, policy);
    let mut runs = judge.rows(&query);
    runs.extend(judge.unlogged(&query)?);
    for row in &mut runs {
        row.integrity = findings.of(row.run);
    }
    runs.sort_by(|one, other| (&one.opened_at, one.run).cmp(&(&other.opened_at, other.run)));
    let root = at.edge.root();
    let log = LogState { origin: at.origin, size: at.size, root };
    let absences = absences.within(query.from, query.to);
    let exhibit = env!("CARGO_PKG_VERSION").to_owned();
    let totals = totals(&runs);
    Ok(Population { query, exhibit, log, ever_opened: opened, totals, runs, absences })
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
    /// What an auditor must look into: runs that are altered, unreadable or gone, or were never logged.
    pub fn doubtful(&self) -> impl Iterator<Item = &Row> {
        let doubtful = [Fate::Altered, Fate::Unreadable, Fate::Gone, Fate::NotLogged];
        self.runs.iter().filter(move |run| doubtful.contains(&run.fate))
    }
}

/// What is written goes to `out`.
type Written = io::Result<()>;

#[cfg(test)]
mod tests;
