//! `exhibit verify`: checks evidence without any daemon and without trusting what it checks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::named::{self, Wanted};
use super::time::time;
use super::trust::{LogTrust, trust, trust_in};
use super::{Common, out};
use crate::error::{Code, Problem, chain, exit};
use crate::evidence::verify::{
    FolderReport, ImportReport, LogReport, StampReport, StampedReport, WitnessReport,
};
use crate::evidence::{Class, Trust, verify as check};
use crate::receipt::Receipt;
use crate::shown::shown_within;

/// Most letters of a witness's name that are shown.
const MAX_NAME: usize = 200;

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Evidence folders, stores, or bundles (.tar.zst, as `exhibit export` makes)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    log: LogTrust,
    /// Who is trusted to sign, in ssh-keygen's allowed_signers format
    /// [default: this machine's own signing key]
    #[arg(long, value_name = "FILE", conflicts_with = "trust")]
    allowed_signers: Option<PathBuf>,
    /// A later proof that the folder's seal is in the log (`exhibit log proof`), instead of the one
    /// in it; for one folder
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// What a caller was handed for a sealed run: the folder, or the log of the store, must still hold
    /// the seal that it names, and the log must continue the checkpoint in it
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
    /// When signing keys are judged where no timestamp says when they signed: a day or a time, such
    /// as when you received the evidence [default: the time of sealing, by the folder's own word]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
}

pub(super) fn verify(common: &Common, verify: Verify) -> Result<u8, Problem> {
    for path in &verify.paths {
        named::check(path, Wanted::Any)?;
    }
    let trust = match &verify.log.trust {
        Some(folder) => trust_in(folder, &verify.paths)?,
        None => trust(common, verify.allowed_signers.as_deref())?,
    };
    let trust = verify.log.asked(trust)?.at(verify.at);
    check_checkpoints(&verify)?;
    check_proof(&verify)?;
    let receipts = receipts(&verify.receipt)?;
    let mut worst = exit::OK;
    let mut reports = Vec::new();
    for path in &verify.paths {
        if path.is_file() {
            worst = worse(worst, bundle(common, path, &trust, &receipts, &mut reports));
        } else if is_store(path) {
            let kept = &verify.log.checkpoint;
            let report = check::store_with_receipts(path, &trust, kept, &receipts);
            worst = worse(worst, report.exit());
            if common.json {
                reports.push(json!({ "path": path, "store": report }));
                continue;
            }
            for folder in &report.folders {
                print(folder, path);
            }
            for finding in &report.findings {
                out::line(format!("{finding}"));
            }
            for import in &report.imports {
                print_import(import);
            }
            let count = report.folders.len();
            let checked = out::counted(count, "sealed folder");
            out::line(format!("{}: {checked} checked", path.display()));
            if let Some(log) = &report.log {
                print_log(log);
            }
        } else {
            let mut report = check::folder_with(path, &trust, verify.proof.as_deref());
            hold_to(&mut report, Some(path), &receipts);
            worst = worse(worst, report.exit());
            if common.json {
                reports.push(json!({ "path": path, "folder": report }));
            } else {
                print(&report, path);
            }
        }
    }
    if common.json {
        out::json(&json!({ "exit": worst, "reports": reports }));
    }
    Ok(worst)
}

/// What callers were handed, each with its file.
type Receipts = [(PathBuf, Receipt)];

fn receipts(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Receipt)>, Problem> {
    let read = |path: &PathBuf| {
        let receipt = check::read_receipt(path).map_err(|error| {
            let message = format!("{}; give what was answered to a seal", chain(&error));
            Problem::new(Code::InvalidField, message).field("receipt")
        })?;
        Ok((path.clone(), receipt))
    };
    paths.iter().map(read).collect()
}

/// Hold a folder against the receipts of its run; against a single one whatever run it is of.
fn hold_to(report: &mut FolderReport, folder: Option<&Path>, receipts: &Receipts) {
    for (path, receipt) in receipts {
        if receipts.len() == 1 || report.run == Some(receipt.run) {
            check::folder_against_receipt(report, folder, path, receipt);
        }
    }
}

/// Verify what is in a bundle; the exit code it deserves.
fn bundle(
    common: &Common,
    path: &Path,
    trust: &Trust,
    receipts: &Receipts,
    reports: &mut Vec<Value>,
) -> u8 {
    let mut folders = match check::bundle(path, trust) {
        Ok(folders) => folders,
        Err(error) => {
            let why = format!("{}: {}", path.display(), chain(&error));
            if common.json {
                reports.push(json!({ "path": path, "unreadable": why }));
            } else {
                out::line(format!("{why}: UNREADABLE"));
            }
            return exit::UNREADABLE;
        }
    };
    let mut worst = exit::OK;
    for report in &mut folders {
        if receipts.iter().any(|(_, receipt)| report.run == Some(receipt.run)) {
            hold_to(report, None, receipts);
        }
        worst = worse(worst, report.exit());
        if common.json {
            reports.push(json!({ "path": path, "folder": report }));
        } else {
            print(report, path);
        }
    }
    if !common.json {
        let checked = out::counted(folders.len(), "folder");
        out::line(format!("{}: {checked} checked", path.display()));
    }
    worst
}

fn is_store(path: &Path) -> bool {
    path.join("runs").is_dir() || path.join("open").is_dir()
}

/// A proof speaks of one folder.
fn check_proof(verify: &Verify) -> Result<(), Problem> {
    let fits = matches!(verify.paths.as_slice(), [path] if !is_store(path));
    if verify.proof.is_none() || fits {
        return Ok(());
    }
    let message = "--proof is held against one evidence folder; name that and nothing else";
    Err(Problem::new(Code::ConflictingFields, message).field("proof"))
}

/// A checkpoint speaks of a whole log.
fn check_checkpoints(verify: &Verify) -> Result<(), Problem> {
    let field = match (verify.log.checkpoint.is_empty(), verify.log.witnessed_since) {
        (true, None) => return Ok(()),
        (true, Some(_)) => "witnessed-since",
        (false, _) => "checkpoint",
    };
    if verify.paths.iter().all(|path| is_store(path)) {
        return Ok(());
    }
    let message = format!("--{field} is held against the log of a store; name stores only");
    Err(Problem::new(Code::ConflictingFields, message).field(field))
}

/// Altered is the worst, then unreadable, incomplete, unknown key.
pub(super) fn worse(one: u8, other: u8) -> u8 {
    const ORDER: [u8; 5] =
        [exit::OK, exit::UNKNOWN_KEY, exit::INCOMPLETE, exit::UNREADABLE, exit::ALTERED];
    let rank = |code: u8| ORDER.iter().position(|known| *known == code).unwrap_or(ORDER.len());
    if rank(other) > rank(one) { other } else { one }
}

fn print(report: &FolderReport, path: &Path) {
    let bad = report.findings.iter().filter(|finding| finding.class != Class::Note).count();
    let verdict = match report.exit() {
        exit::OK => "intact",
        exit::ALTERED => "ALTERED",
        exit::INCOMPLETE => "INCOMPLETE",
        exit::UNKNOWN_KEY if report.signed_by.is_some() => {
            "intact, but NOT ALL OF IT is vouched for"
        }
        exit::UNKNOWN_KEY => "signed by an UNKNOWN KEY",
        _ => "UNREADABLE",
    };
    let run = report
        .run
        .map_or_else(|| format!("{} names no run", path.display()), |run| run.to_string());
    let state = report.state.map(|state| json!(state).as_str().unwrap_or_default().to_owned());
    let damaged = report.findings.iter().any(|finding| finding.class.is_damage());
    // Of what is not as it was sealed nothing follows.
    let state = state.filter(|_| !damaged).map_or(String::new(), |state| format!(", {state}"));
    let complete = report.verdict.filter(|_| !damaged);
    let complete = complete.map_or_else(String::new, |it| format!(", {}", it.word()));
    out::line(format!(
        "{run}: {verdict}{state}{complete}, {} files, {} bytes",
        report.files, report.bytes
    ));
    if let Some(signer) = &report.signed_by {
        out::line(format!("  signed by {signer}"));
    }
    if let Some(StampReport { time, authority, .. }) = &report.stamped {
        out::line(format!("  its signature was there at {time}, says {authority}"));
    }
    if let Some(logged) = &report.logged {
        out::line(format!("  in the log {logged}"));
    }
    for finding in &report.findings {
        out::line(format!("  {finding}"));
    }
    if bad > 0 {
        let findings = out::counted(bad, "finding");
        out::line(format!("  {findings}; docs/FORMAT.md explains the codes"));
    }
    if report.exit() == exit::UNREADABLE {
        out::line(
            "  run it as the user that owns the evidence, or have the operator hand it out: `exhibit \
             export RUN --out FILE`",
        );
    }
}

fn print_log(log: &LogReport) {
    out::line(format!(
        "log {}: {}, {} opened, {} sealed, {} purged",
        log.origin,
        out::counted(log.size, "entry"),
        out::counted(log.opened, "run"),
        log.sealed,
        log.purged
    ));
    if log.custody > 0 {
        out::line(format!("  {} of custody", out::counted(log.custody, "event")));
    }
    for WitnessReport { name, time, size } in &log.seen {
        let name = shown_within(name, MAX_NAME);
        out::line(match (time, size) {
            (Some(time), Some(size)) => {
                format!("  the witness {name} saw {size} of {} entries at {time}", log.size)
            }
            _ => format!("  the witness {name} saw nothing"),
        });
    }
    if log.remembered > 0 {
        let kept = out::counted(log.remembered, "kept checkpoint");
        out::line(format!("  it continues {kept}"));
    }
    if let Some(StampedReport { size, time, authority }) = &log.stamped {
        out::line(format!("  {size} entries were there at {time}, says {authority}"));
    }
}

fn print_import(import: &ImportReport) {
    let ImportReport { place, runs, keys, signed_by, logged } = import;
    let list = |all: &BTreeSet<String>| all.iter().cloned().collect::<Vec<_>>().join(", ");
    let who = match (signed_by.is_empty(), keys.is_empty()) {
        (false, _) => format!("signed by {}", list(signed_by)),
        (true, false) => format!("signed with {}", list(keys)),
        (true, true) => "no sound signature".to_owned(),
    };
    let folders = out::counted(runs.len(), "folder");
    out::line(format!("{place}: {folders} of another store, {who}"));
    if !logged.is_empty() {
        out::line(format!("  in the log {}", list(logged)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn altered_is_the_worst() {
        assert_eq!(worse(exit::INCOMPLETE, exit::ALTERED), exit::ALTERED);
        assert_eq!(worse(exit::ALTERED, exit::UNREADABLE), exit::ALTERED);
        assert_eq!(worse(exit::OK, exit::UNKNOWN_KEY), exit::UNKNOWN_KEY);
    }
}
