//! Owns the list of runs: what was asked for, open runs first, sealed ones newest first, page by
//! page, with how many there are.

use askama::Template;
use axum::Extension;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;

use super::Web;
use super::query::SearchForm;
use super::refusal::{Refusal, page_of};
use super::viewer::Viewer;
use crate::error::{Code, Problem};
use crate::evidence::{Choice, Filter, Integrity, RunSummary, Tally};
use crate::report::{between, caller, moment, spoken, text, title_of};
use crate::run::State as RunState;
use crate::runs::Found;
use crate::workflow::{Verdict, without_remedy};

/// Sealed runs on one page.
const PAGE: u32 = 50;

/// A run in the list.
#[derive(Debug)]
struct Row {
    id: String,
    title: String,
    tone: &'static str,
    word: &'static str,
    /// What else there is to say of its state.
    note: String,
    /// What was found of it, a sentence, and how that is to be seen.
    found: String,
    found_tone: &'static str,
    day: String,
    time: String,
    /// RFC 3339.
    at: String,
    lasted: String,
    agent: String,
    principal: String,
    /// Who asked, of a run that names no agent and no principal.
    caller: String,
    outcome: String,
    events: u64,
    captures: u64,
}

/// The words that a field of the form offers.
#[derive(Debug)]
struct Offered {
    name: &'static str,
    label: &'static str,
    value: String,
    words: Vec<String>,
}

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    viewer: Option<String>,
    signed_in: bool,
    refresh: Option<u32>,
    everything: bool,
    asked: SearchForm,
    narrowed: bool,
    fields: Vec<Offered>,
    problem: String,
    open: Vec<Row>,
    show_sealed: bool,
    sealed: Vec<Row>,
    counts: Vec<(String, u64)>,
    at_beginning: bool,
    newest: String,
    older: Option<String>,
    here: String,
}

impl ListPage {
    /// What a word is shown as, where that is not as it is sent.
    #[expect(clippy::unused_self, reason = "called by the template")]
    fn label(&self, word: &str) -> Option<String> {
        Some(text(word)).filter(|shown| shown != word)
    }
}

pub(super) async fn page(
    State(web): State<Web>,
    Extension(viewer): Extension<Viewer>,
    query: Result<Query<SearchForm>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Query(asked) = query.map_err(|_| {
        let message = "the address holds a field twice, or what is no text; begin at `/`";
        Problem::new(Code::InvalidField, message)
    })?;
    let (wanted, problem) = match asked.read() {
        Ok(wanted) => (Some(wanted), String::new()),
        Err(problem) => (None, problem.message),
    };
    let status = if wanted.is_some() { StatusCode::OK } else { StatusCode::BAD_REQUEST };
    // What cannot be understood finds nothing, and the form stands as it was filled in.
    let nothing = Filter { limit: Some(0), ..Filter::default() };
    let (open, show_sealed, filter) = match wanted {
        Some(wanted) => {
            let filter = Filter { limit: Some(PAGE), ..wanted.filter };
            let open = wanted.open.then(|| web.runs.catalog().search_open(&filter, &viewer.reader));
            (open.unwrap_or_default(), wanted.sealed, filter)
        }
        None => (Vec::new(), false, nothing),
    };
    let Found { runs, more, tally, choices } =
        web.runs.catalog().search(filter, &viewer.reader).await?;
    let older = runs.last().filter(|_| more).map(|(run, _)| asked.address(&run.run.to_string()));
    let offered = choices.into_iter().map(|(choice, words)| offered(choice, words, &asked));
    let page = ListPage {
        viewer: Some(viewer.name()),
        signed_in: viewer.signed_in,
        refresh: None,
        everything: viewer.reader == crate::run::Reader::Everything,
        narrowed: asked.narrows(),
        fields: offered.collect(),
        problem,
        open: open.iter().map(open_row).collect(),
        show_sealed,
        sealed: runs.iter().map(|(run, integrity)| sealed_row(run, integrity.as_ref())).collect(),
        counts: counts(&tally),
        at_beginning: asked.before.is_empty(),
        newest: asked.address(""),
        here: asked.address(&asked.before),
        older,
        asked,
    };
    Ok((status, page_of(&page)).into_response())
}

fn offered(choice: Choice, words: Vec<String>, asked: &SearchForm) -> Offered {
    let (name, label, value) = match choice {
        Choice::Workflow => ("workflow", "Workflow", &asked.workflow),
        Choice::Outcome => ("outcome", "Outcome", &asked.outcome),
        Choice::Agent => ("agent", "Agent", &asked.agent),
        Choice::Principal => ("principal", "On behalf of", &asked.principal),
    };
    Offered { name, label, value: value.clone(), words }
}

/// How many there are in all, then by what became of them.
fn counts(tally: &[Tally]) -> Vec<(String, u64)> {
    let total = tally.iter().map(|one| one.runs).sum();
    let named = |one: &Tally| match (one.state.as_str(), one.verdict.as_deref()) {
        ("sealed", Some(verdict)) => verdict.to_owned(),
        ("sealed", None) => "not judged".to_owned(),
        (state, Some(verdict)) => format!("{state}, {verdict}"),
        (state, None) => state.to_owned(),
    };
    let mut counts =
        vec![((if total == 1 { "sealed run" } else { "sealed runs" }).to_owned(), total)];
    counts.extend(tally.iter().map(|one| (named(one), one.runs)));
    counts
}

fn sealed_row(run: &RunSummary, integrity: Option<&Integrity>) -> Row {
    let (tone, word) = match (run.state, run.verdict) {
        _ if integrity.is_some_and(Integrity::is_altered) => {
            ("bad", integrity.map_or("Altered", Integrity::word))
        }
        (RunState::Interrupted, _) => ("warn", "Interrupted"),
        (RunState::Expired, _) => ("warn", "Expired"),
        (RunState::Sealed, Some(Verdict::Complete)) => ("good", "Complete"),
        (RunState::Sealed, Some(Verdict::Incomplete)) => ("bad", "Incomplete"),
        (RunState::Sealed, None) => ("plain", "Sealed"),
    };
    let (day, time) = to_the_second(&run.opened_at);
    let said = |said: &Option<String>| said.as_deref().map_or_else(String::new, text);
    let found = integrity.map(Integrity::sentence);
    let note = match (run.state, run.verdict) {
        _ if integrity.is_some_and(Integrity::is_altered) => String::new(),
        (RunState::Sealed, _) | (_, None) => String::new(),
        (_, Some(verdict)) => verdict.word().to_owned(),
    };
    Row {
        id: run.run.to_string(),
        title: title_of(&run.workflow, run.subject.as_deref()),
        tone,
        word,
        note,
        found: found.unwrap_or_default(),
        found_tone: if integrity.is_some_and(Integrity::is_altered) { "bad" } else { "warn" },
        day,
        time,
        at: run.opened_at.clone(),
        lasted: between(&run.opened_at, &run.sealed_at),
        agent: said(&run.agent),
        principal: said(&run.principal),
        caller: match (&run.agent, &run.principal) {
            (None, None) => {
                serde_json::to_value(&run.caller).map_or_else(|_| String::new(), |it| caller(&it))
            }
            _ => String::new(),
        },
        outcome: said(&run.outcome),
        events: run.counts.events,
        captures: run.counts.captures,
    }
}

/// Day and time of day, without the fraction.
fn to_the_second(time: &str) -> (String, String) {
    let (day, time) = moment(time);
    let whole = time.split_once('.').map(|(whole, _)| whole.to_owned());
    (day, whole.unwrap_or(time))
}

/// Whether nothing that is done while the run is open adds what `lack` says is missing.
fn is_too_late(lack: &Value) -> bool {
    lack.as_str().is_some_and(|lack| without_remedy(lack) == lack)
}

fn open_row(run: &Value) -> Row {
    let at = run["opened_at"].as_str().unwrap_or_default().to_owned();
    let (day, time) = to_the_second(&at);
    let required = run["completeness"]["requirements"].as_array().map(Vec::len);
    let needed = run["needed"].as_array().map_or(&[][..], Vec::as_slice);
    let missing = needed.len();
    let never = needed.iter().filter(|lack| is_too_late(lack)).count();
    let too_late = match never {
        0 => String::new(),
        _ if never == missing => ", which can no longer be met".to_owned(),
        never => format!(", {never} of them can no longer be met"),
    };
    let note = match (required, missing) {
        (None, _) => "nobody has configured its workflow".to_owned(),
        (Some(_), 0) => "all that is asked for is there".to_owned(),
        (Some(required), missing) => format!("{missing} of {required} still missing{too_late}"),
    };
    Row {
        id: spoken(&run["run"]),
        title: title_of(run["workflow"].as_str().unwrap_or_default(), run["subject"].as_str()),
        tone: "warn",
        word: "Open",
        note,
        found: String::new(),
        found_tone: "warn",
        day,
        time,
        at,
        lasted: String::new(),
        agent: spoken(&run["agent"]),
        principal: spoken(&run["principal"]),
        caller: match (&run["agent"], &run["principal"], &run["caller"]) {
            (Value::Null, Value::Null, asked) if asked.is_object() => caller(asked),
            _ => String::new(),
        },
        outcome: String::new(),
        events: run["events"].as_u64().unwrap_or_default(),
        captures: run["captures"].as_u64().unwrap_or_default(),
    }
}
