//! Owns what can be asked of the index: which runs pass a filter, how many of each kind they are, and
//! which words there are to choose from. Changes nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{ToSql, params_from_iter};

use super::index::{Index, IndexError, state_name};
use super::record::RunSummary;
use crate::clock::rfc3339_millis;
use crate::id::RunId;
use crate::run::{Caller, State};
use crate::workflow::Verdict;

/// Most runs that one list answers.
pub const MAX_LIST: u32 = 1000;
/// What a caller has used since a month: a row for each.
pub(super) const USAGE: &str =
    "SELECT coalesce(sum(captures), 0) FROM usage WHERE opener = ?1 AND month >= ?2";
/// Most words that one choice has.
const MAX_CHOICES: u32 = 200;

/// Which runs to list; nothing set lists all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this workflow.
    pub workflow: Option<String>,
    /// Only runs of this verdict.
    pub verdict: Option<Verdict>,
    /// Only this state.
    pub state: Option<State>,
    /// Only runs with this outcome.
    pub outcome: Option<String>,
    /// Only runs of this agent.
    pub agent: Option<String>,
    /// Only runs on behalf of this principal.
    pub principal: Option<String>,
    /// Only runs that this caller may act on.
    pub opener: Option<Caller>,
    /// Only these runs, where some are named.
    pub only: Option<BTreeSet<RunId>>,
    /// None of these runs.
    pub except: BTreeSet<RunId>,
    /// Only runs that were found to be no longer as they were sealed; whoever knows which says so in
    /// `only`.
    pub altered: bool,
    /// Only runs in which each of these is found, in small letters.
    pub words: Vec<String>,
    /// Only runs opened at or after this time.
    pub since: Option<Timestamp>,
    /// Only runs opened before this time.
    pub until: Option<Timestamp>,
    /// Only runs older than this one: the last of the page before.
    pub before: Option<RunId>,
    /// At most this many; [`MAX_LIST`] when not given or more.
    pub limit: Option<u32>,
}

/// Something runs can be chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The workflow.
    Workflow,
    /// What their callers said came of them.
    Outcome,
    /// The agent.
    Agent,
    /// On whose behalf.
    Principal,
}

impl Choice {
    /// Every one there is.
    pub const ALL: [Self; 4] = [Self::Workflow, Self::Outcome, Self::Agent, Self::Principal];
}

/// How many runs there are of one state and verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// The state, by its word.
    pub state: String,
    /// The verdict, by its word; none where there is none.
    pub verdict: Option<String>,
    /// How many.
    pub runs: u64,
}

/// A condition and its values.
struct Condition {
    text: String,
    values: Vec<Box<dyn ToSql>>,
}

impl Filter {
    /// The condition that holds for the runs that pass; `before` and `limit` are left out.
    fn condition(&self) -> Condition {
        let mut condition = Condition { text: "TRUE".to_owned(), values: Vec::new() };
        let opener = self.opener.as_ref().map(Caller::account);
        for (column, value) in [
            ("workflow", self.workflow.as_deref()),
            ("state", self.state.map(state_name)),
            ("verdict", self.verdict.map(Verdict::word)),
            ("outcome", self.outcome.as_deref()),
            ("agent", self.agent.as_deref()),
            ("principal", self.principal.as_deref()),
            ("opener", opener.as_deref()),
        ] {
            if let Some(value) = value {
                condition.and(&format!("{column} = ?"), value.to_owned());
            }
        }
        let ids = |runs: &BTreeSet<RunId>| serde_json::to_string(runs).expect("ids are plain data");
        if let Some(only) = &self.only {
            condition.and("run IN (SELECT value FROM json_each(?))", ids(only));
        }
        if !self.except.is_empty() {
            condition.and("run NOT IN (SELECT value FROM json_each(?))", ids(&self.except));
        }
        for word in &self.words {
            condition.and("instr(words, ?) > 0", word.clone());
        }
        if let Some(since) = self.since {
            condition.and("opened_at >= ?", rfc3339_millis(since));
        }
        if let Some(until) = self.until {
            condition.and("opened_at < ?", rfc3339_millis(until));
        }
        condition
    }

    /// The statement that lists the runs that pass, newest first, and its values.
    pub(super) fn list(&self, limit: u32) -> (String, Vec<Box<dyn ToSql>>) {
        let mut condition = self.condition();
        if let Some(before) = self.before {
            condition.and("run < ?", before.to_string());
        }
        let Condition { text, values } = condition;
        let list = format!("SELECT summary FROM runs WHERE {text} ORDER BY run DESC LIMIT {limit}");
        (list, values)
    }
}

impl Condition {
    fn and(&mut self, text: &str, value: String) {
        self.text.push_str(" AND ");
        self.text.push_str(text);
        self.values.push(Box::new(value));
    }
}

impl Index {
    /// The runs that pass `filter`, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, IndexError> {
        let limit = filter.limit.unwrap_or(MAX_LIST).min(MAX_LIST);
        let (list, values) = filter.list(limit);
        let connection = self.reader()?;
        let mut statement = connection.prepare_cached(&list).map_err(|e| self.failed(e))?;
        let rows = statement
            .query_map(params_from_iter(values), |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| self.failed(error))?;
        // A row that cannot be understood is as good as none: the folder is the truth.
        Ok(rows.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    /// How many captures `caller` has taken in sealed runs that were opened in `month` (`2026-11`, UTC)
    /// or later.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn captures_since(&self, caller: &Caller, month: &str) -> Result<u64, IndexError> {
        let connection = self.reader()?;
        let mut statement = connection.prepare_cached(USAGE).map_err(|e| self.failed(e))?;
        let sum =
            statement.query_row([caller.account().as_str(), month], |row| row.get::<_, i64>(0));
        sum.map(|sum| u64::try_from(sum).unwrap_or(0)).map_err(|error| self.failed(error))
    }

    /// How many runs pass `filter`, by state and verdict; `before` and `limit` count for nothing.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn tally(&self, filter: &Filter) -> Result<Vec<Tally>, IndexError> {
        let Condition { text, values } = filter.condition();
        let count = format!(
            "SELECT state, verdict, count(*) FROM runs WHERE {text} \
             GROUP BY state, verdict ORDER BY state DESC, verdict"
        );
        let connection = self.reader()?;
        let mut statement = connection.prepare_cached(&count).map_err(|e| self.failed(e))?;
        let tally = statement.query_map(params_from_iter(values), |row| {
            Ok(Tally { state: row.get(0)?, verdict: row.get(1)?, runs: row.get(2)? })
        });
        tally.and_then(Iterator::collect).map_err(|error| self.failed(error))
    }

    /// The words there are to choose by, in the order of the alphabet, among runs of `opener`'s
    /// where one is given.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn choices(
        &self,
        choice: Choice,
        opener: Option<&Caller>,
    ) -> Result<Vec<String>, IndexError> {
        let column = match choice {
            Choice::Workflow => "workflow",
            Choice::Outcome => "outcome",
            Choice::Agent => "agent",
            Choice::Principal => "principal",
        };
        let filter = Filter { opener: opener.cloned(), ..Filter::default() };
        let Condition { text, values } = filter.condition();
        let choices = format!(
            "SELECT DISTINCT {column} FROM runs WHERE {text} AND {column} IS NOT NULL \
             ORDER BY {column} LIMIT {MAX_CHOICES}"
        );
        let connection = self.reader()?;
        let mut statement = connection.prepare_cached(&choices).map_err(|e| self.failed(e))?;
        let words = statement.query_map(params_from_iter(values), |row| row.get(0));
        words.and_then(Iterator::collect).map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Bench, id};
    use super::super::record::RunRecord;
    use super::*;

    fn runs(index: &Index, filter: &Filter) -> Vec<RunId> {
        index.list(filter).expect("listed").into_iter().map(|summary| summary.run).collect()
    }

    /// Two runs; the second is another agent's, with an outcome and a label.
    fn index(bench: &Bench) -> Index {
        let folders = [bench.sealed(0), bench.sealed(1)];
        let index = Index::open(&bench.store.root().join("index.sqlite")).expect("opened");
        let mut records = folders.map(|folder| RunRecord::read(&folder).expect("read"));
        let spec = &mut records[1].opening.spec;
        spec.agent = Some("Zoë's bot".to_owned());
        spec.principal = Some("lead".to_owned());
        spec.labels.insert("ticket".to_owned(), "OPS-42%".into());
        records[1].ending.outcome = Some("failed".to_owned());
        records[1].opening.caller = Caller::Key { id: "0badc0de".to_owned(), name: "k".to_owned() };
        for record in records {
            index.put(record).expect("put");
        }
        index
    }

    #[test]
    fn lists_are_newest_first_and_filtered() {
        let bench = Bench::new();
        let index = index(&bench);
        let all = Filter::default();
        assert_eq!(runs(&index, &all), [id(1), id(0)]);
        assert_eq!(runs(&index, &Filter { limit: Some(1), ..all.clone() }), [id(1)]);
        assert_eq!(runs(&index, &Filter { before: Some(id(1)), ..all.clone() }), [id(0)]);
        let workflow = Some("other".to_owned());
        assert_eq!(runs(&index, &Filter { workflow, ..all.clone() }), []);
        let state = Some(State::Interrupted);
        assert_eq!(runs(&index, &Filter { state, ..all.clone() }), []);
        let split = index.get(id(1)).expect("got").expect("known").opened_at.parse().ok();
        assert_eq!(runs(&index, &Filter { since: split, ..all.clone() }), [id(1)]);
        assert_eq!(runs(&index, &Filter { until: split, ..all.clone() }), [id(0)]);
        let agent = Some("Zoë's bot".to_owned());
        assert_eq!(runs(&index, &Filter { agent, ..all.clone() }), [id(1)]);
        let principal = Some("lead".to_owned());
        assert_eq!(runs(&index, &Filter { principal, ..all.clone() }), [id(1)]);
        let outcome = Some("failed".to_owned());
        assert_eq!(runs(&index, &Filter { outcome, ..all.clone() }), [id(1)]);
        // Whatever the key was called, it is the same one.
        let opener = Some(Caller::Key { id: "0badc0de".to_owned(), name: "renamed".to_owned() });
        assert_eq!(runs(&index, &Filter { opener, ..all }), [id(1)]);
    }

    #[test]
    fn every_word_must_be_found_and_none_is_a_pattern() {
        let bench = Bench::new();
        let index = index(&bench);
        let found = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            runs(&index, &Filter { words, ..Filter::default() })
        };
        assert_eq!(found(&["ops-42%", "zoë"]), [id(1)]);
        assert_eq!(found(&["ops-42%", "elsewhere"]), []);
        assert_eq!(found(&["%"]), [id(1)]);
        assert_eq!(found(&["' OR 1=1 --"]), []);
        assert_eq!(found(&[&id(0).to_string()]), [id(0)]);
        // The names of fields are no words of the run.
        assert_eq!(found(&["ticket"]), []);
    }

    #[test]
    fn runs_are_counted_and_their_words_offered() {
        let bench = Bench::new();
        let index = index(&bench);
        let count = |filter: &Filter| -> u64 {
            index.tally(filter).expect("counted").iter().map(|one| one.runs).sum()
        };
        let all = Filter { limit: Some(1), before: Some(id(0)), ..Filter::default() };
        assert_eq!(count(&all), 2, "a page counts for nothing");
        assert_eq!(count(&Filter { outcome: Some("failed".to_owned()), ..all }), 1);
        let key = Caller::Key { id: "0badc0de".to_owned(), name: "k".to_owned() };
        let agents = index.choices(Choice::Agent, Some(&key)).expect("asked");
        assert_eq!(agents, ["Zoë's bot"]);
        assert_eq!(index.choices(Choice::Outcome, Some(&key)).expect("asked"), ["failed"]);
        assert_eq!(index.choices(Choice::Workflow, None).expect("asked").len(), 1);
    }
}
