//! `exhibit verify`: checks evidence without any daemon and without trusting what it checks.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Common, in_file, out};
use crate::error::{Code, Problem, exit};
use crate::evidence::verify::FolderReport;
use crate::evidence::{Class, Signer, Trust, verify as check};

#[derive(Debug, clap::Args)]
pub(super) struct Verify {
    /// Evidence folders, or stores
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Who is trusted to sign, in ssh-keygen's allowed_signers format
    /// [default: this machine's own signing key]
    #[arg(long, value_name = "FILE")]
    allowed_signers: Option<PathBuf>,
}

pub(super) fn verify(common: &Common, verify: Verify) -> Result<u8, Problem> {
    let trust = trust(common, verify.allowed_signers.as_deref())?;
    let mut worst = exit::OK;
    let mut reports = Vec::new();
    for path in &verify.paths {
        let is_store = path.join("runs").is_dir() || path.join("open").is_dir();
        if is_store {
            let report = check::store(path, &trust);
            worst = worse(worst, report.exit());
            if common.json {
                reports.push(json!({ "path": path, "store": report }));
                continue;
            }
            for folder in &report.folders {
                print(folder);
            }
            for finding in &report.findings {
                out::line(format!("{finding}"));
            }
            let count = report.folders.len();
            out::line(format!("{}: {count} sealed folders checked", path.display()));
        } else {
            let report = check::folder(path, &trust);
            worst = worse(worst, report.exit());
            if common.json {
                reports.push(json!({ "path": path, "folder": report }));
            } else {
                print(&report);
            }
        }
    }
    if common.json {
        out::json(&json!({ "exit": worst, "reports": reports }));
    }
    Ok(worst)
}

/// Whose signatures count: never a key that lies in what is checked.
pub(super) fn trust(common: &Common, allowed_signers: Option<&Path>) -> Result<Trust, Problem> {
    let text = if let Some(path) = allowed_signers {
        std::fs::read_to_string(path).map_err(|error| in_file(path, error))?
    } else {
        let keys = common.config()?.keys;
        if !keys.signing.exists() {
            out::note(
                "no --allowed-signers, and no signing key on this machine: nobody is trusted",
            );
            return Ok(Trust::none());
        }
        let signer = Signer::load_or_create(&keys.signing).map_err(|error| {
            let message = "this machine's signing key cannot be read; give --allowed-signers";
            Problem::new(Code::InvalidField, message).because(error)
        })?;
        signer.allowed_signers_line(&keys.principal)
    };
    Trust::from_allowed_signers(&text).map_err(|error| {
        let message = format!("--allowed-signers cannot be read: {error}");
        Problem::new(Code::InvalidField, message).field("allowed-signers")
    })
}

/// Altered is the worst, then unreadable, incomplete, unknown key.
fn worse(one: u8, other: u8) -> u8 {
    const ORDER: [u8; 5] =
        [exit::OK, exit::UNKNOWN_KEY, exit::INCOMPLETE, exit::UNREADABLE, exit::ALTERED];
    let rank = |code: u8| ORDER.iter().position(|known| *known == code).unwrap_or(ORDER.len());
    if rank(other) > rank(one) { other } else { one }
}

fn print(report: &FolderReport) {
    let bad = report.findings.iter().filter(|finding| finding.class != Class::Note).count();
    let verdict = match report.exit() {
        exit::OK => "intact",
        exit::ALTERED => "ALTERED",
        exit::INCOMPLETE => "INCOMPLETE",
        exit::UNKNOWN_KEY => "signed by an UNKNOWN KEY",
        _ => "UNREADABLE",
    };
    let run =
        report.run.map_or_else(|| "a folder that names no run".to_owned(), |run| run.to_string());
    let state = report.state.map(|state| json!(state).as_str().unwrap_or_default().to_owned());
    let state = state.map_or(String::new(), |state| format!(", {state}"));
    let complete = report.verdict.map_or_else(String::new, |it| format!(", {}", it.word()));
    out::line(format!(
        "{run}: {verdict}{state}{complete}, {} files, {} bytes",
        report.files, report.bytes
    ));
    if let Some(signer) = &report.signed_by {
        out::line(format!("  signed by {signer}"));
    }
    for finding in &report.findings {
        out::line(format!("  {finding}"));
    }
    if bad > 0 {
        out::line(format!("  {bad} findings; docs/FORMAT.md explains the codes"));
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
