//! Owns the looking at runs by whoever may read them, as pages show it: a list that is searched, one
//! run with what it holds so far, one file of it. Changes nothing, and puts on record who saw what.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use super::Runs;
use super::archiving::archived;
use super::custody::Looker;
use super::open::OpenRun;
use super::problem::{not_to_see, unknown};
use crate::blob::Blob;
use crate::error::{Code, Problem};
use crate::evidence::{Act, Choice, Filter, Integrity, RunSummary, Tally, words};
use crate::evidence::{Index, IndexError};
use crate::id::RunId;
use crate::report::{self, Glance};
use crate::run::Reader;

/// Sealed runs that were looked for.
#[derive(Debug)]
pub struct Found {
    /// The runs, newest first, and what was found of each.
    pub runs: Vec<(RunSummary, Option<Integrity>)>,
    /// Whether there are older ones.
    pub more: bool,
    /// How many there are in all, by state and verdict.
    pub tally: Vec<Tally>,
    /// The words there are to choose by.
    pub choices: Vec<(Choice, Vec<String>)>,
}

/// A run that may be read.
pub(super) struct Readable {
    /// Where it lies now.
    pub(super) folder: PathBuf,
    /// The run, while it is open.
    open: Option<Arc<OpenRun>>,
}

/// What a run holds.
#[derive(Debug)]
pub struct Look {
    /// Whether it is open: then it can still grow.
    pub open: bool,
    /// What was read in its folder.
    pub glance: Glance,
}

impl Runs {
    /// The sealed runs that pass `filter` and `reader` may read; at most `filter.limit` of them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn search(&self, mut filter: Filter, reader: &Reader) -> Result<Found, Problem> {
        if let Reader::Own(caller) = reader {
            filter.opener = Some(caller.clone());
        }
        let this = self.clone();
        self.blocking("reading the index", move || {
            this.narrow(&mut filter);
            let altered = this.altered();
            let index = this.checked_index()?;
            let found = || -> Result<Found, crate::evidence::IndexError> {
                let limit = filter.limit.unwrap_or(u32::MAX);
                let page = Filter { limit: Some(limit.saturating_add(1)), ..filter.clone() };
                let mut runs = index.list(&page)?;
                let more = runs.len() > limit as usize;
                runs.truncate(limit as usize);
                let mut choices = Vec::new();
                for choice in Choice::ALL {
                    choices.push((choice, index.choices(choice, filter.opener.as_ref())?));
                }
                let tally = tally(index, &filter, altered)?;
                let runs = runs.into_iter().map(|run| {
                    let integrity = this.integrity(run.run);
                    (run, integrity)
                });
                Ok(Found { runs: runs.collect(), more, tally, choices })
            };
            found().map_err(|error| Problem::internal("reading the index", error))
        })
        .await
    }

    /// The open runs that pass `filter` and `reader` may read, newest first, as answers show them.
    /// An open run has neither state nor verdict nor outcome yet.
    pub fn search_open(&self, filter: &Filter, reader: &Reader) -> Vec<Value> {
        if filter.altered
            || filter.state.is_some()
            || filter.verdict.is_some()
            || filter.outcome.is_some()
        {
            return Vec::new();
        }
        let mut runs: Vec<_> = self.registry().values().cloned().collect();
        runs.retain(|run| reader.may_read(&run.opening.caller) && passes(run, filter));
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        runs.iter().map(|run| run.shown()).collect()
    }

    /// What the run `id` holds, for `looker`, who is put on record.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `custody_unwritable`, or what kept it from being read.
    pub async fn look(&self, id: RunId, looker: &Looker) -> Result<Look, Problem> {
        match self.look_once(id, looker).await {
            // It may have been sealed just now.
            Err(problem) if problem.code == Code::RunNotFound => self.look_once(id, looker).await,
            looked => looked,
        }
    }

    async fn look_once(&self, id: RunId, looker: &Looker) -> Result<Look, Problem> {
        let readable = self.readable(id, &looker.reader).await?;
        let (this, looker) = (self.clone(), looker.clone());
        self.blocking("reading the run", move || {
            let open = readable.open.is_some();
            if !open {
                // What contradicts its seal is told from here on, whatever the folder says.
                this.facts_of(id).ok();
            }
            let integrity = this.integrity(id).filter(|_| !open);
            let judged = readable.open.map(|run| run.shown()["completeness"].take());
            let glance = Glance::of(&readable.folder, judged, integrity.as_ref())
                .map_err(|_| unknown(id))?;
            this.saw(&looker, Act::View, id, None)?;
            Ok(Look { open, glance })
        })
        .await
    }

    /// The file `path` of the run `id`, for `looker`, who is put on record as doing `act`.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `file_not_found`, `custody_unwritable`.
    pub async fn file(
        &self,
        id: RunId,
        looker: &Looker,
        path: String,
        act: Act,
    ) -> Result<Blob, Problem> {
        let folder = self.readable(id, &looker.reader).await?.folder;
        let (this, looker) = (self.clone(), looker.clone());
        self.blocking("reading the file", move || {
            let found = report::file_in(&folder, &path)
                .and_then(|(path, length)| Some(Blob::of_file(File::open(path).ok()?, length)));
            let found = found.ok_or_else(|| no_such_file(id))?;
            this.saw(&looker, act, id, Some(&path))?;
            Ok(found)
        })
        .await
    }

    /// A small picture of the picture `path` of the run `id`, for `looker`: a PNG.
    ///
    /// # Errors
    /// As [`Runs::file`].
    pub async fn thumbnail(
        &self,
        id: RunId,
        looker: &Looker,
        path: String,
    ) -> Result<Blob, Problem> {
        let folder = self.readable(id, &looker.reader).await?.folder;
        let (this, looker) = (self.clone(), looker.clone());
        self.blocking("making a small picture", move || {
            let small = report::thumbnail_in(&folder, &path).map(Blob::from);
            let small = small.ok_or_else(|| no_such_file(id))?;
            this.saw(&looker, Act::View, id, Some(&path))?;
            Ok(small)
        })
        .await
    }

    /// Where the run `id` lies, when `reader` may read it.
    pub(super) async fn readable(&self, id: RunId, reader: &Reader) -> Result<Readable, Problem> {
        let open = self.registry().get(&id).cloned();
        // While it is being sealed its folder moves, before it is taken off the list.
        let open = open.filter(|_| self.0.store.folder_of_open(id).exists());
        let (folder, opener) = match &open {
            Some(run) => (self.0.store.folder_of_open(id), run.opening.caller.clone()),
            None => (self.0.store.folder_of(id), self.sealed_run(id).await?.opening.caller),
        };
        if reader.may_read(&opener) {
            if open.is_none() && !folder.is_dir() && self.is_archived(id) {
                return Err(archived(id));
            }
            return Ok(Readable { folder, open });
        }
        Err(not_to_see(id))
    }
}

/// How many runs there are by state and verdict; those that are not as they were sealed by that alone.
fn tally(
    index: &Index,
    filter: &Filter,
    altered: BTreeSet<RunId>,
) -> Result<Vec<Tally>, IndexError> {
    let of = |only: Option<BTreeSet<RunId>>, except| {
        index.tally(&Filter { only, except, ..filter.clone() })
    };
    let not_standing = match &filter.only {
        _ if altered.is_empty() => Vec::new(),
        Some(only) => of(Some(only.intersection(&altered).copied().collect()), BTreeSet::new())?,
        None => of(Some(&altered - &filter.except), BTreeSet::new())?,
    };
    let mut tally = of(filter.only.clone(), &filter.except | &altered)?;
    let runs: u64 = not_standing.iter().map(|one| one.runs).sum();
    if runs > 0 {
        tally.push(Tally { state: "altered".to_owned(), verdict: None, runs });
    }
    Ok(tally)
}

fn no_such_file(id: RunId) -> Problem {
    let message = format!("the run {id} has no such file; its page lists those it has");
    Problem::new(Code::FileNotFound, message)
}

fn passes(run: &OpenRun, filter: &Filter) -> bool {
    let spec = &run.opening.spec;
    let is = |wanted: &Option<String>, value: Option<&String>| {
        wanted.as_ref().is_none_or(|wanted| value == Some(wanted))
    };
    let opened = run.id.opened_at();
    let declared = words(run.id, spec, []);
    is(&filter.workflow, Some(&spec.workflow))
        && is(&filter.agent, spec.agent.as_ref())
        && is(&filter.principal, spec.principal.as_ref())
        && filter.since.is_none_or(|since| opened >= since)
        && filter.until.is_none_or(|until| opened < until)
        && filter.words.iter().all(|word| declared.contains(word))
}
