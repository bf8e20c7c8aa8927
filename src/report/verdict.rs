//! Owns the first words of a report: what became of the run, the worst first, in a word and a
//! sentence.

use std::fmt::Write as _;

use super::facts::Record;
use super::required::Completeness;
use super::text::{count, quoted, text};
use crate::error::exit;
use crate::evidence::verify::FolderReport;
use crate::evidence::{FindingCode, Integrity, MANIFEST};

/// What is said first.
#[derive(Debug)]
pub(super) struct Verdict {
    /// `good`, `warn`, `bad` or `plain`.
    pub(super) tone: &'static str,
    pub(super) word: &'static str,
    pub(super) because: String,
    /// What the daemon had found before, and is as it was again; empty when there is nothing.
    pub(super) before: String,
    /// That captures show error pages; empty when none does.
    pub(super) error_pages: String,
    /// Whether the folder is not what was recorded.
    pub(super) damaged: bool,
    /// Whether nothing binds the manifest to what was sealed, so that a file that it lists may be any.
    pub(super) unbound: bool,
}

/// What else is known of a run when its verdict is told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// How many problems were seen while its folder was read.
    pub(super) problems: usize,
    /// What verifying it said.
    pub(super) checked: Option<&'a FolderReport>,
    /// What the daemon found of it, by the log.
    pub(super) integrity: Option<&'a Integrity>,
}

impl Known<'_> {
    /// Whether nothing binds the manifest any more.
    pub(super) fn unbinds(&self) -> bool {
        const CODES: [FindingCode; 8] = [
            FindingCode::SignatureMissing,
            FindingCode::SignatureMalformed,
            FindingCode::SignatureMismatch,
            FindingCode::SealMissing,
            FindingCode::SealMalformed,
            FindingCode::SealMismatch,
            FindingCode::SealNotLogged,
            FindingCode::ManifestMalformed,
        ];
        let found = self.checked.into_iter().flat_map(|report| &report.findings);
        let by_check = found.into_iter().any(|finding| {
            let file = [FindingCode::FileAltered, FindingCode::FileMissing];
            CODES.contains(&finding.code)
                || (file.contains(&finding.code) && finding.place == MANIFEST)
        });
        let told = self.integrity.filter(|told| told.is_altered());
        by_check
            || told.is_some_and(|told| CODES.iter().any(|code| told.codes.contains(code.as_str())))
    }
}

/// What verifying the folder said, as it is shown.
#[derive(Debug)]
pub(super) struct Checked {
    /// What it comes to, in a word or two.
    pub(super) word: &'static str,
    pub(super) sentence: String,
    pub(super) findings: Vec<String>,
}

/// Most findings that are shown.
const MAX_FINDINGS: usize = 200;

impl Verdict {
    /// The verdict on a run. Damage weighs most, then how it ended, then what is missing.
    pub(super) fn of(
        record: &Record,
        completeness: Option<&Completeness>,
        known: Known<'_>,
    ) -> Self {
        let altered = known.checked.is_some_and(|report| report.exit() == exit::ALTERED);
        let told = known.integrity.filter(|told| told.is_altered());
        let damaged = known.problems > 0 || altered || told.is_some();
        let (tone, word, because) = if let Some(told) = told {
            let because = format!(
                "{} What it says of itself does not count until it is as it was sealed again.",
                told.sentence()
            );
            ("bad", told.word(), because)
        } else if damaged {
            let because = "What is in this folder is not what was recorded, or cannot be read. \
                           What is wrong is told below; the rest is shown as it is.";
            ("bad", "Damaged", because.to_owned())
        } else if !record.ended {
            let because = "This run is not sealed yet: what is shown can still grow, and nothing \
                           vouches for it.";
            ("warn", "Open", because.to_owned())
        } else {
            ended(record, completeness)
        };
        let before = known.integrity.filter(|told| !told.is_altered());
        let before = before.map_or_else(String::new, Integrity::sentence);
        let unbound = known.unbinds();
        Self { tone, word, because, before, error_pages: String::new(), damaged, unbound }
    }

    /// The same, seen with the sentence on error pages: what is complete is not all well then.
    pub(super) fn with_error_pages(self, error_pages: String) -> Self {
        let is_well = matches!(self.tone, "good" | "plain") && !error_pages.is_empty();
        Self { tone: if is_well { "warn" } else { self.tone }, error_pages, ..self }
    }
}

fn ended(
    record: &Record,
    completeness: Option<&Completeness>,
) -> (&'static str, &'static str, String) {
    let missing = completeness.map_or(0, |told| told.missing);
    let lacks = match completeness {
        None => "No workflow policy applied to this run.".to_owned(),
        Some(told) if told.complete => {
            let count = told.requirements.len() as u64;
            format!("All {count} things that the workflow {} asks for are here.", told.workflow)
        }
        Some(told) => {
            let asked = count(told.requirements.len() as u64, "thing");
            let are = if missing == 1 { "is" } else { "are" };
            format!(
                "{missing} of {asked} that the workflow {} asks for {are} missing: {}.",
                told.workflow,
                named(told)
            )
        }
    };
    let outcome = record.get("outcome");
    let outcome = if outcome.is_empty() {
        String::new()
    } else {
        format!(" Outcome, by the caller’s word: {}.", quoted(&outcome))
    };
    let because = format!("{lacks}{outcome}");
    match (record.get("state").as_str(), completeness) {
        ("interrupted", _) => {
            let how = "The daemon stopped or crashed before this run was sealed by its caller.";
            ("warn", "Interrupted", format!("{how} {because}"))
        }
        ("expired", _) => {
            let how = "The run outlived its time and was sealed without its caller.";
            ("warn", "Expired", format!("{how} {because}"))
        }
        (_, Some(told)) if told.complete => ("good", "Complete", because),
        (_, Some(_)) => ("bad", "Incomplete", because),
        (_, None) => ("plain", "Sealed", because),
    }
}

/// The first of what is missing, by name.
fn named(told: &Completeness) -> String {
    let missing = told.requirements.iter().filter(|requirement| !requirement.met);
    let names: Vec<&str> = missing.map(|requirement| requirement.what.as_str()).collect();
    let more = if names.len() > 4 { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(4)].join("; "))
}

impl Checked {
    /// What `report` said of a folder in which so many `problems` were seen afterwards.
    pub(super) fn of(report: &FolderReport, problems: usize) -> Self {
        if report.exit() == exit::OK && problems > 0 {
            let sentence = "Intact when it was verified, and something else when it was read for \
                            this report right after: somebody changes it.";
            return Self { word: "altered", sentence: sentence.to_owned(), findings: Vec::new() };
        }
        let files = count(report.files, "file");
        let mut sentence = match report.exit() {
            exit::OK => format!("Intact: {files} are what the manifest lists"),
            exit::ALTERED => "Altered".to_owned(),
            exit::INCOMPLETE => "Not a whole sealed folder".to_owned(),
            exit::UNKNOWN_KEY => {
                format!("{files} are what the manifest lists, but nobody vouched for the key")
            }
            _ => "Not everything could be read".to_owned(),
        };
        if let Some(key) = &report.key {
            let _ = write!(sentence, ", signed with the key {}", text(key));
        }
        if let Some(signer) = &report.signed_by {
            let whose = if report.key.is_some() { " of" } else { ", signed by" };
            let _ = write!(sentence, "{whose} the principal {}", quoted(signer));
        }
        sentence.push('.');
        let word = match report.exit() {
            exit::OK => "intact",
            exit::ALTERED => "altered",
            exit::INCOMPLETE => "not whole",
            exit::UNKNOWN_KEY => "key unknown",
            _ => "unreadable in part",
        };
        let findings = report.findings.iter().take(MAX_FINDINGS).map(ToString::to_string);
        Self { word, sentence, findings: findings.collect() }
    }
}
