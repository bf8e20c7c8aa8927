//! `exhibit population` and `exhibit sample`: what an auditor asks of many runs, without any daemon.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::trust::{Judged, LogTrust, judge_log};
use super::verify::worse;
use super::{Common, in_file, out};
use crate::disk;
use crate::error::{Code, Problem, chain, exit};
use crate::population::{self, Fate, Query, Row, write_absences, write_runs};
use crate::shown::{quoted_unless_plain, shown_json, shown_within};
use exhibit_verify::command::time;

/// For everybody to read.
const MODE: u32 = 0o644;
/// Most letters of a cell on a terminal.
const CELL: usize = 60;

/// Which runs.
#[derive(Debug, clap::Args)]
struct PopulationArgs {
    /// The store [default: the configuration's]
    store: Option<PathBuf>,
    /// Runs opened then or later: 2026-11-01, or a time in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Runs opened before then: 2026-12-01 is all of November
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Runs of this workflow
    #[arg(long)]
    workflow: Option<String>,
    #[command(flatten)]
    trust: LogTrust,
    /// Write the answer, with what was asked, into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Answer as a table of comma-separated values
    #[arg(long)]
    csv: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Population {
    #[command(flatten)]
    asked: PopulationArgs,
}

#[derive(Debug, clap::Args)]
pub(super) struct Sample {
    #[command(flatten)]
    asked: PopulationArgs,
    /// How many runs
    #[arg(short, long, value_name = "COUNT")]
    n: usize,
    /// What decides which: something neither side chose, such as the root of a checkpoint that was
    /// published after the period
    #[arg(long)]
    seed: String,
}

pub(super) fn population(common: &Common, population: &Population) -> Result<u8, Problem> {
    let asked = &population.asked;
    let (found, exit) = ask(common, asked)?;
    if let Some(folder) = &asked.out {
        let absences = table(|out| write_absences(out, &found.absences))?;
        write(folder, "population", &found, &found.runs.iter().collect::<Vec<_>>())?;
        put(folder, "absences.csv", &absences)?;
    }
    if common.json {
        out::json(&found);
    } else if asked.csv {
        out::bytes(&table(|out| write_runs(out, &found.runs))?);
    } else {
        print_population(&found);
    }
    Ok(exit)
}

pub(super) fn sample(common: &Common, sample: &Sample) -> Result<u8, Problem> {
    let asked = &sample.asked;
    let (found, exit) = ask(common, asked)?;
    let chosen = population::sample(found, sample.n, &sample.seed);
    let rows: Vec<&Row> = chosen.runs.iter().map(|ranked| &ranked.row).collect();
    if let Some(folder) = &asked.out {
        write(folder, "sample", &chosen, &rows)?;
    }
    if common.json {
        out::json(&chosen);
    } else if asked.csv {
        out::bytes(&table(|out| write_runs(out, rows.iter().copied()))?);
    } else {
        out::line(format!(
            "{} of {} runs, by the seed {:?}, of the log {} at {}",
            rows.len(),
            chosen.population,
            chosen.seed,
            chosen.log.origin,
            chosen.log.size
        ));
        list(&rows);
    }
    Ok(exit)
}

/// The population that was asked for, and the exit code that its log deserves.
fn ask(common: &Common, asked: &PopulationArgs) -> Result<(population::Population, u8), Problem> {
    let root = match &asked.store {
        Some(root) => root.clone(),
        None => common.config()?.store.path,
    };
    if let (Some(from), Some(to)) = (asked.from, asked.to)
        && from >= to
    {
        let message = format!("the period ends ({to}) before it begins ({from}); exchange the two");
        return Err(Problem::new(Code::InvalidField, message).field("to"));
    }
    let Judged { exit: sound, state, policy } = judge_log(common, &asked.trust, &root)?;
    let query = Query { from: asked.from, to: asked.to, workflow: asked.workflow.clone() };
    let found = population::population(&root, query, state.as_ref(), &policy).map_err(|error| {
        let message = format!(
            "the log of {} cannot be read: {}; name a store that has one",
            root.display(),
            chain(&error)
        );
        Problem::new(Code::LogDamaged, message).field("store")
    })?;
    let unread = found.doubtful().all(|run| run.fate == Fate::Unreadable);
    let exit = match found.doubtful().next() {
        Some(_) if unread => worse(sound, exit::UNREADABLE),
        Some(_) => exit::ALTERED,
        None => sound,
    };
    Ok((found, exit))
}

fn print_population(found: &population::Population) {
    let bound = |time: Option<Timestamp>| time.map_or("…".to_owned(), |time| time.to_string());
    let population::Population { query, log, totals, .. } = found;
    out::line(format!("runs opened from {} to {}", bound(query.from), bound(query.to)));
    let entries = out::counted(log.size, "entry");
    out::line(format!("log {}: {entries}, root {}", log.origin, log.root));
    let counts = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    };
    out::line(format!("{}: {}", out::counted(totals.runs, "run"), counts(&totals.fates)));
    out::line(format!("verdicts: {}", counts(&totals.verdicts)));
    if !found.runs.is_empty() {
        list(&found.runs.iter().collect::<Vec<_>>());
    }
    for absence in &found.absences {
        let seconds = absence.length().as_secs_f64();
        out::line(format!(
            "nobody recorded from {} to {} ({seconds:.0} s): {}",
            absence.from,
            absence.to,
            absence.cause.word()
        ));
    }
    for run in found.doubtful() {
        let codes = run.codes.join(", ");
        let codes = if codes.is_empty() { codes } else { format!(" ({codes})") };
        out::line(format!("look into {}: {}{codes}", run.run, run.fate.word()));
    }
    for run in &found.runs {
        if let Some(events) = run.events_unlogged {
            out::line(format!(
                "look into {}: the log did not hold {events} of its events when it was taken up after a \
                 crash; they count for nothing",
                run.run
            ));
        }
        if let Some(integrity) = &run.integrity {
            out::line(format!("the log tells of {}: {}", run.run, integrity.sentence()));
        }
    }
}

fn list(rows: &[&Row]) {
    let heading = ["number", "run", "workflow", "opened_at", "fate", "verdict", "outcome"];
    let cells = |row: &&Row| {
        vec![
            row.number.map(|number| number.to_string()).unwrap_or_default(),
            row.run.to_string(),
            quoted_unless_plain(&shown_within(&row.workflow, CELL)),
            row.opened_at.clone(),
            row.fate.word().to_owned(),
            row.verdict.unwrap_or_default().to_owned(),
            quoted_unless_plain(&shown_within(row.outcome.as_deref().unwrap_or_default(), CELL)),
        ]
    };
    out::table(&heading, rows.iter().map(cells));
}

/// Write the whole answer and its rows.
fn write(folder: &Path, name: &str, answer: &impl Serialize, rows: &[&Row]) -> Result<(), Problem> {
    disk::make_dirs(folder).map_err(|error| in_file(folder, error))?;
    let text = serde_json::to_string_pretty(answer).expect("an answer is plain data");
    put(folder, &format!("{name}.json"), format!("{}\n", shown_json(&text)).as_bytes())?;
    put(folder, &format!("{name}.csv"), &table(|out| write_runs(out, rows.iter().copied()))?)
}

fn put(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Problem> {
    let path = folder.join(name);
    disk::replace(&path, bytes, MODE).map_err(|error| in_file(&path, error))
}

fn table(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> Result<Vec<u8>, Problem> {
    let mut bytes = Vec::new();
    write(&mut bytes).map_err(|error| Problem::internal("writing a table", error))?;
    Ok(bytes)
}
