//! `exhibit run …`, `list`, `show` and `status`: working with runs through the daemon.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::out::cell;
use super::remedy::by_command;
use super::{Common, DONE, in_file, out};
use crate::error::{Code, Problem};
use crate::id::RunId;
use crate::request::read_json;
use crate::run::{CodeReference, RunSpec};
use crate::workflow::{Completeness, Verdict};

#[derive(Debug, Subcommand)]
pub(super) enum Run {
    /// Open a run; prints its id
    Open(Open),
    /// Add an event to a run
    Log(Log),
    /// Add a file to a run
    Attach(Attach),
    /// Say which code runs
    Code(CodeSaid),
    /// Seal a run; prints the receipt
    Seal(Seal),
}

#[derive(Debug, clap::Args)]
pub(super) struct Open {
    /// Kind of run: refund, access-change, data-validation, …
    workflow: String,
    /// Which agent acts
    #[arg(long)]
    agent: Option<String>,
    /// On whose behalf
    #[arg(long)]
    principal: Option<String>,
    /// What it is about
    #[arg(long)]
    subject: Option<String>,
    /// A control it supports, like CC8.1; may be given several times
    #[arg(long = "control", value_name = "ID")]
    controls: Vec<String>,
    /// A label, name=value; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Where the code that runs lives
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Its commit
    #[arg(long)]
    commit: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Log {
    /// The run
    run: RunId,
    /// What happened
    message: String,
    /// log, decision, tool-call, approval, error, or a name
    #[arg(long, default_value = "log")]
    kind: String,
    /// trace, debug, info, warn or error
    #[arg(long)]
    level: Option<String>,
    /// Structured data, a JSON object
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Attach {
    /// The run
    run: RunId,
    /// The file
    file: PathBuf,
    /// Name in the evidence [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// What the file is
    #[arg(long, default_value = "application/octet-stream")]
    media_type: String,
}

#[derive(Debug, clap::Args, serde::Serialize)]
pub(super) struct CodeSaid {
    /// The run
    #[serde(skip)]
    run: RunId,
    /// Where the code lives
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Its commit
    #[arg(long)]
    commit: Option<String>,
    /// Its path there
    #[arg(long)]
    path: Option<String>,
    /// Which part of it
    #[arg(long)]
    symbol: Option<String>,
    /// Who reviewed it
    #[arg(long)]
    reviewer: Option<String>,
    /// Link to the review
    #[arg(long, value_name = "URL")]
    review: Option<String>,
    /// A file attached to the run, whose SHA-256 is taken
    #[arg(long, value_name = "NAME")]
    attachment: Option<String>,
    /// A git work tree on the daemon's host, where its configuration allows it
    #[arg(long, value_name = "DIR")]
    work_tree: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Seal {
    /// The run
    run: RunId,
    /// What came of it: succeeded, failed, or a word
    #[arg(long)]
    outcome: Option<String>,
    /// Why, in a sentence
    #[arg(long)]
    reason: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only runs of this kind
    #[arg(long)]
    workflow: Option<String>,
    /// Only open, sealed, expired or interrupted ones, or those found to be altered since
    #[arg(long, value_parser = ["open", "sealed", "expired", "interrupted", "altered"])]
    state: Option<String>,
    /// Only complete or incomplete ones
    #[arg(long, value_parser = ["complete", "incomplete"])]
    verdict: Option<String>,
    /// Only the caller's own, also where the caller may see everybody's
    #[arg(long)]
    mine: bool,
    /// At most this many
    #[arg(long, default_value_t = 50)]
    limit: u32,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    /// The run
    run: RunId,
}

pub(super) async fn run(common: &Common, command: Run) -> Result<u8, Problem> {
    match command {
        Run::Open(open) => open_run(common, open).await,
        Run::Log(log) => add_event(common, log).await,
        Run::Attach(attach) => add_file(common, attach).await,
        Run::Code(code) => reference_code(common, code).await,
        Run::Seal(seal) => seal_run(common, seal).await,
    }
}

async fn open_run(common: &Common, open: Open) -> Result<u8, Problem> {
    let mut labels = Map::new();
    for label in &open.labels {
        let (name, value) = label.split_once('=').ok_or_else(|| {
            let message = format!("`--label` is `{label}`; give NAME=VALUE");
            Problem::new(Code::InvalidField, message).field("label")
        })?;
        labels.insert(name.to_owned(), json!(value));
    }
    let given = open.repository.is_some() || open.commit.is_some();
    let (repository, commit) = (open.repository, open.commit);
    let code = given.then(|| CodeReference { repository, commit, ..CodeReference::default() });
    let spec = RunSpec {
        workflow: open.workflow,
        agent: open.agent,
        principal: open.principal,
        subject: open.subject,
        controls: open.controls,
        code,
        labels,
        traceparent: None,
    };
    let opened = common.client()?.open(&spec).await?;
    if common.json {
        out::json(&opened);
        return DONE;
    }
    out::line(cell(&opened["run"]));
    match opened["needed"].as_array() {
        Some(needed) => {
            let run = opened["run"].as_str().and_then(|id| id.parse().ok());
            for reason in needed.iter().filter_map(Value::as_str) {
                out::note(format!("needed: {}", by_command(reason, run)));
            }
        }
        None => out::note(format!(
            "nobody has configured the workflow `{}`: nothing will say whether the run is complete",
            cell(&opened["workflow"])
        )),
    }
    DONE
}

async fn add_event(common: &Common, log: Log) -> Result<u8, Problem> {
    let mut event = json!({ "kind": log.kind, "message": log.message, "level": log.level });
    if let Some(data) = &log.data {
        event["data"] = read_json(data.as_bytes()).map_err(|problem| {
            let message = format!("`--data`: {}; give an object", problem.message);
            Problem::new(Code::InvalidField, message).field("data").because(problem)
        })?;
    }
    let recorded = common.client()?.log(log.run, &[event]).await?;
    if common.json {
        out::json(&recorded);
    } else {
        for event in recorded {
            out::line(format!("event {} {}", event.sequence, event.sha256));
        }
    }
    DONE
}

async fn add_file(common: &Common, attach: Attach) -> Result<u8, Problem> {
    let path = &attach.file;
    let name = attach.name.clone().or_else(|| Some(path.file_name()?.to_str()?.to_owned()));
    let name = name.ok_or_else(|| {
        let message = format!("{} has no name to be kept under; give --name", path.display());
        Problem::new(Code::MissingField, message).field("name")
    })?;
    let file = tokio::fs::File::open(path).await.map_err(|error| in_file(path, error))?;
    let artifact = common.client()?.attach(attach.run, &name, &attach.media_type, file).await?;
    if common.json {
        out::json(&artifact);
    } else {
        out::line(format!("{} {} bytes {}", artifact.path, artifact.size_bytes, artifact.sha256));
    }
    DONE
}

async fn reference_code(common: &Common, said: CodeSaid) -> Result<u8, Problem> {
    let path = format!("/runs/{}/code", said.run);
    let answer = common.client()?.call(&path, None, json!(said)).await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    for name in ["commit", "sha256"] {
        if let Some(value) = answer["code"][name].as_str() {
            out::line(format!("{name:<8} {value}"));
        }
    }
    if let Some(state) = answer["state"].as_str() {
        out::line(format!("{:<8} {state}", "tree"));
    }
    DONE
}

async fn seal_run(common: &Common, seal: Seal) -> Result<u8, Problem> {
    let client = common.client()?;
    let receipt = client.seal(seal.run, seal.outcome.as_deref(), seal.reason.as_deref()).await?;
    if common.json {
        out::json(&receipt);
        return DONE;
    }
    out::line(format!("run          {}", receipt.run));
    out::line(format!("folder       {}", in_store(common, &receipt.folder)));
    for line in completeness(receipt.completeness.as_ref(), None) {
        out::line(format!("completeness {line}"));
    }
    out::line(format!("events       {}", receipt.events));
    out::line(format!("files        {} ({} bytes)", receipt.files, receipt.size_bytes));
    out::line(format!("tagmanifest  sha256 {}", receipt.tagmanifest_sha256));
    out::line(format!("signed by    {}", receipt.key));
    DONE
}

/// What there is to say of a run's completeness, line by line; while it is `open`, with what adds what
/// is missing.
pub(super) fn completeness(judged: Option<&Completeness>, open: Option<RunId>) -> Vec<String> {
    let Some(judged) = judged else {
        return vec!["not judged: nobody had configured the workflow".to_owned()];
    };
    let verdict = match judged.verdict {
        Verdict::Complete => "complete",
        Verdict::Incomplete => "INCOMPLETE",
    };
    let missing = judged.missing().map(|reason| format!("missing: {}", by_command(reason, open)));
    std::iter::once(verdict.to_owned()).chain(missing).collect()
}

pub(super) async fn list(common: &Common, list: List) -> Result<u8, Problem> {
    let mut query = vec![("limit", list.limit.to_string())];
    query.extend(list.workflow.map(|workflow| ("workflow", workflow)));
    query.extend(list.state.map(|state| ("state", state)));
    query.extend(list.verdict.map(|verdict| ("verdict", verdict)));
    query.extend(list.mine.then(|| ("mine", "true".to_owned())));
    let answer = common.client()?.runs(&query).await?;
    if common.json {
        out::json(&answer);
        return DONE;
    }
    let columns = [
        "run",
        "workflow",
        "state",
        "integrity",
        "held",
        "outcome",
        "verdict",
        "opened_at",
        "captures",
        "events",
    ];
    let runs = answer["runs"].as_array().cloned().unwrap_or_default();
    let shown = |run: &Value, name: &str| match name {
        "integrity" => cell(&run[name]["state"]).to_uppercase(),
        "workflow" | "outcome" => out::quoted(&run[name]),
        _ => cell(&run[name]),
    };
    out::table(&columns, runs.iter().map(|run| columns.map(|name| shown(run, name)).to_vec()));
    DONE
}

pub(super) async fn show(common: &Common, show: Show) -> Result<u8, Problem> {
    let mut run = common.client()?.run(show.run).await?;
    if common.json {
        print_facts(common, &run);
        return DONE;
    }
    if run["state"] == "purged" {
        print_facts(common, &run);
        return DONE;
    }
    let judged = serde_json::from_value(run["completeness"].take()).ok();
    let (holds, code, found) = (run["holds"].take(), run["code"].take(), run["integrity"].take());
    if let Some(facts) = run.as_object_mut() {
        // Told line by line below, or first.
        let told = ["needed", "policy", "verdict", "holds", "code", "integrity", "completeness"];
        facts.retain(|name, _| !told.contains(&name.as_str()));
    }
    let altered = found["state"] == "altered";
    if altered {
        out::line(format!("ALTERED: {}", integrity(&found)));
        out::line("what it says of itself does not count:");
    }
    print_facts(common, &run);
    for named in code.as_array().into_iter().flatten() {
        out::line(format!("code: {}", code_named(named)));
    }
    if altered {
        out::line("completeness: does not count: the run is not as it was sealed");
    } else {
        let open = (run["state"] == "open").then_some(show.run);
        for line in completeness(judged.as_ref(), open) {
            out::line(format!("completeness: {line}"));
        }
    }
    if found["state"] == "restored" {
        out::line(format!("integrity: {}", integrity(&found)));
    }
    for hold in holds.as_array().into_iter().flatten() {
        let matter = hold["matter"].as_str().map_or(String::new(), |id| format!(" for `{id}`"));
        out::line(format!(
            "held{matter} since {}: {}",
            cell(&hold["since"]),
            out::quoted(&hold["reason"])
        ));
    }
    DONE
}

/// What was found of a run's evidence, in a line.
fn integrity(found: &Value) -> String {
    let get = |name: &str| cell(&found[name]);
    let codes = found["codes"].as_array().into_iter().flatten().map(cell).collect::<Vec<_>>();
    let codes = codes.join(", ");
    let (at, by) = (get("found_at"), get("found_by"));
    match found["resolved_at"].as_str() {
        None => format!("{codes}, found {at} by the {by}"),
        Some(since) => {
            format!("as it was sealed again since {since}; before, {codes}, found {at} by the {by}")
        }
    }
}

/// Code that was named for a run, in a line.
fn code_named(named: &Value) -> String {
    let fields = named["code"].as_object().into_iter().flatten();
    let mut said: Vec<String> =
        fields.map(|(name, value)| format!("{name} {}", out::quoted(value))).collect();
    if let Some(state) = named["work_tree"]["state"].as_str() {
        said.push(format!("work tree {state}"));
    }
    format!("{} (event {})", said.join(", "), cell(&named["event"]))
}

pub(super) async fn status(common: &Common) -> Result<u8, Problem> {
    let status = common.client()?.status().await?;
    print_facts(common, &status);
    DONE
}

fn print_facts(common: &Common, facts: &Value) {
    if common.json {
        return out::json(facts);
    }
    out::facts(facts);
}

/// The path of `folder`, which lies in the daemon's store, where this user can see it.
pub(super) fn in_store(common: &Common, folder: &str) -> String {
    let store = common.config().ok().filter(|_| common.url.is_none()).map(|it| it.store.path);
    match store.map(|store| store.join(folder)).filter(|path| path.is_dir()) {
        Some(path) => path.display().to_string(),
        None => format!("{folder} (in the daemon's store)"),
    }
}
