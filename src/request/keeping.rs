//! Owns the reading of requests about the keeping of runs: legal holds, purges and archives.

use serde_json::Value;

use super::fields::Fields;
use crate::error::{Code, Problem};
use crate::id::RunId;

/// Most runs in one request.
const MAX_RUNS: usize = 1_000;
/// Longest reason, in bytes.
const MAX_REASON: usize = 2_000;
/// Longest name of a matter, in bytes.
const MAX_MATTER: usize = 100;

/// The body of `POST /holds` and `POST /holds/release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldRequest {
    /// The runs, each once.
    pub runs: Vec<RunId>,
    /// Why, in the operator's words.
    pub reason: String,
    /// For the sake of which matter.
    pub matter: Option<String>,
}

impl HoldRequest {
    /// Read the body.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let runs = runs(&mut fields, true);
        let reason = reason(&mut fields);
        let matter = plain(&mut fields, "matter", MAX_MATTER);
        fields.refuse_leftovers();
        let request = runs.zip(reason).map(|(runs, reason)| Self { runs, reason, matter });
        fields.finish(request)
    }
}

/// The body of `POST /purges`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurgeRequest {
    /// The runs, each once; none for all that are due.
    pub runs: Vec<RunId>,
    /// Why, in the operator's words.
    pub reason: String,
    /// Whether it is only asked what would go.
    pub dry_run: bool,
    /// Whether a run that is not as it was sealed may go.
    pub even_damaged: bool,
}

impl PurgeRequest {
    /// Read the body.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let runs = runs(&mut fields, false);
        let reason = reason(&mut fields);
        let dry_run = fields.flag("dry_run").unwrap_or(false);
        let even_damaged = fields.flag("even_damaged").unwrap_or(false);
        if even_damaged && runs.as_ref().is_some_and(Vec::is_empty) {
            let message = "`even_damaged` is for runs that are named; give `runs`, too";
            fields.problem::<()>(
                Problem::new(Code::ConflictingFields, message).field("even_damaged"),
            );
        }
        fields.refuse_leftovers();
        let request = runs.zip(reason);
        let request = request.map(|(runs, reason)| Self { runs, reason, dry_run, even_damaged });
        fields.finish(request)
    }
}

/// The body of `POST /imports/{sha256}/purge`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportPurgeRequest {
    /// Why, in the operator's words.
    pub reason: String,
    /// Whether it is only asked what would go.
    pub dry_run: bool,
    /// Whether a bundle may go that is not as it was taken in.
    pub even_damaged: bool,
}

impl ImportPurgeRequest {
    /// Read the body.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let reason = reason(&mut fields);
        let dry_run = fields.flag("dry_run").unwrap_or(false);
        let even_damaged = fields.flag("even_damaged").unwrap_or(false);
        fields.refuse_leftovers();
        fields.finish(reason.map(|reason| Self { reason, dry_run, even_damaged }))
    }
}

/// The body of `POST /archives` and `POST /archives/restore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveRequest {
    /// The runs, each once; none for all that were sealed before.
    pub runs: Vec<RunId>,
    /// Only runs that were sealed more than so many days ago.
    pub older_than_days: Option<u32>,
    /// Whether it is only asked what would be done.
    pub dry_run: bool,
    /// Whether archives become folders again.
    pub restore: bool,
}

impl ArchiveRequest {
    /// Read the body of `POST /archives`.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let (named, aged) = (fields.has("runs"), fields.has("older_than_days"));
        let runs = runs(&mut fields, false);
        let older_than_days = fields.int("older_than_days", 0..=36_500);
        let dry_run = fields.flag("dry_run").unwrap_or(false);
        if !named && !aged {
            let message = "`runs` is missing; name runs, or give `older_than_days`";
            fields.problem::<()>(Problem::new(Code::MissingField, message).field("runs"));
        }
        fields.refuse_leftovers();
        let request = runs.map(|runs| Self { runs, older_than_days, dry_run, restore: false });
        fields.finish(request)
    }

    /// Read the body of `POST /archives/restore`.
    ///
    /// # Errors
    /// Every problem found.
    pub fn read_restore(body: Value) -> Result<Self, Problem> {
        let mut fields = Fields::of(body)?;
        let runs = runs(&mut fields, true);
        let dry_run = fields.flag("dry_run").unwrap_or(false);
        fields.refuse_leftovers();
        let request = runs.map(|runs| Self { runs, older_than_days: None, dry_run, restore: true });
        fields.finish(request)
    }
}

/// The runs that are named, each once, in the order of their ids.
fn runs(fields: &mut Fields, needed: bool) -> Option<Vec<RunId>> {
    const REMEDY: &str = "give a list of 1 to 1000 ids of runs";
    if !fields.has("runs") {
        drop(fields.value("runs"));
        if !needed {
            return Some(Vec::new());
        }
        let message = format!("`runs` is missing; {REMEDY}");
        return fields.problem(Problem::new(Code::MissingField, message).field("runs"));
    }
    let given = fields.list("runs", MAX_RUNS)?;
    let ids = given.iter().map(|run| run.as_str()?.parse().ok()).collect::<Option<Vec<RunId>>>();
    match ids {
        Some(mut ids) if !ids.is_empty() => {
            ids.sort_unstable();
            ids.dedup();
            Some(ids)
        }
        _ => fields.wrong("runs", "something else", REMEDY),
    }
}

fn reason(fields: &mut Fields) -> Option<String> {
    if !fields.has("reason") {
        drop(fields.value("reason"));
        let message = "`reason` is missing; say why, for whoever reads the log";
        return fields.problem(Problem::new(Code::MissingField, message).field("reason"));
    }
    plain(fields, "reason", MAX_REASON)
}

/// Text of one line: it stands in the log for ever.
fn plain(fields: &mut Fields, name: &'static str, limit: usize) -> Option<String> {
    let text = fields.filled_text(name, limit)?;
    if text.chars().any(char::is_control) {
        return fields.wrong(name, "text with control characters", "give one line of plain text");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ONE: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

    #[test]
    fn a_purge_needs_a_reason_and_damage_a_name() {
        let read = PurgeRequest::read(json!({ "reason": "r", "dry_run": true })).expect("read");
        assert_eq!((read.runs.len(), read.dry_run, read.even_damaged), (0, true, false));
        for (body, field) in [
            (json!({}), "reason"),
            (json!({ "reason": "r", "runs": [] }), "runs"),
            (json!({ "reason": "r", "even_damaged": true }), "even_damaged"),
            (json!({ "reason": "r", "dry_run": "yes" }), "dry_run"),
        ] {
            let problem = PurgeRequest::read(body.clone()).expect_err("refused");
            assert_eq!(problem.field.as_deref(), Some(field), "{body}");
        }
    }

    #[test]
    fn an_archive_needs_runs_or_an_age() {
        let read = ArchiveRequest::read(json!({ "older_than_days": 90 })).expect("read");
        assert_eq!((read.runs.len(), read.older_than_days, read.restore), (0, Some(90), false));
        let read = ArchiveRequest::read_restore(json!({ "runs": [ONE] })).expect("read");
        assert!(read.restore && read.runs.len() == 1);
        for (body, field) in [
            (json!({}), "runs"),
            (json!({ "runs": [] }), "runs"),
            (json!({ "older_than_days": -1 }), "older_than_days"),
            (json!({ "older_than_days": 1, "reason": "r" }), "reason"),
        ] {
            let problem = ArchiveRequest::read(body.clone()).expect_err("refused");
            assert_eq!(problem.field.as_deref(), Some(field), "{body}");
        }
        ArchiveRequest::read_restore(json!({ "older_than_days": 1 }))
            .expect_err("names are needed");
    }

    #[test]
    fn runs_and_a_reason_are_needed_and_nothing_else_is_taken() {
        let read = HoldRequest::read(json!({ "runs": [ONE, ONE], "reason": "r" })).expect("read");
        assert_eq!((read.runs.len(), read.reason.as_str(), read.matter), (1, "r", None));
        for (body, field) in [
            (json!({ "reason": "r" }), "runs"),
            (json!({ "runs": [], "reason": "r" }), "runs"),
            (json!({ "runs": ["x"], "reason": "r" }), "runs"),
            (json!({ "runs": [ONE] }), "reason"),
            (json!({ "runs": [ONE], "reason": "" }), "reason"),
            (json!({ "runs": [ONE], "reason": "a\nb" }), "reason"),
            (json!({ "runs": [ONE], "reason": "r", "matter": "\u{1b}[2J" }), "matter"),
            (json!({ "runs": [ONE], "reason": "r", "by": "me" }), "by"),
        ] {
            let problem = HoldRequest::read(body.clone()).expect_err("refused");
            assert_eq!(problem.field.as_deref(), Some(field), "{body}");
        }
    }
}
