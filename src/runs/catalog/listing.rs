//! Owns the lists of runs, of a caller's own and of all that a reader may read: the open ones in memory,
//! the sealed ones by the index, without verdicts that do not stand.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Catalog;
use crate::error::Problem;
use crate::evidence::{Choice, Filter, Index, IndexError, Integrity, RunSummary, Tally, words};
use crate::id::RunId;
use crate::run::{Caller, Reader};
use crate::runs::registry::open::OpenRun;

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

impl Catalog {
    /// The sealed runs that `filter` finds and `reader` may read, newest first, at most `limit` of them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn list(
        &self,
        mut filter: Filter,
        reader: &Reader,
        limit: u32,
    ) -> Result<Vec<RunSummary>, Problem> {
        let (this, limit) = (self.clone(), limit as usize);
        if let Reader::Own(caller) = reader {
            filter.opener = Some(caller.clone());
        }
        self.0
            .context
            .blocking("reading the index", move || {
                this.0.integrity.narrow(&mut filter);
                let index = this.checked_index()?;
                let mut mine = Vec::new();
                loop {
                    filter.limit = u32::try_from(limit - mine.len()).ok();
                    let page = index.list(&filter);
                    let page =
                        page.map_err(|error| Problem::internal("reading the index", error))?;
                    let Some(last) = page.last() else { break };
                    filter.before = Some(last.run);
                    mine.extend(page);
                    if mine.len() >= limit {
                        break;
                    }
                }
                Ok(mine)
            })
            .await
    }

    /// How many captures `caller` has taken in runs sealed this month (UTC), and in open ones.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn captures_this_month(&self, caller: &Caller) -> Result<u64, Problem> {
        let month = self.0.context.clock.now().to_rfc3339()[..7].to_owned();
        let (this, by) = (self.clone(), caller.clone());
        let sealed = self.0.context.blocking("reading the index", move || {
            let used = this.checked_index()?.captures_since(&by, &month);
            used.map_err(|error| Problem::internal("reading the index", error))
        });
        let sealed = sealed.await?;
        let open: Vec<_> = self.0.registry.all();
        let open = open.iter().filter(|run| caller.may_act_on(&run.opening.caller));
        let open: u64 = open.map(|run| run.capture_count()).sum();
        Ok(sealed + open)
    }

    /// The sealed runs that pass `filter` and `reader` may read; at most `filter.limit` of them.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub async fn search(&self, mut filter: Filter, reader: &Reader) -> Result<Found, Problem> {
        if let Reader::Own(caller) = reader {
            filter.opener = Some(caller.clone());
        }
        let this = self.clone();
        self.0
            .context
            .blocking("reading the index", move || {
                this.0.integrity.narrow(&mut filter);
                let altered = this.0.integrity.altered();
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
                        let integrity = this.0.integrity.of(run.run);
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
        let mut runs: Vec<_> = self.0.registry.all();
        runs.retain(|run| reader.may_read(&run.opening.caller) && passes(run, filter));
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        runs.iter().map(|run| run.shown()).collect()
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
