//! Owns the command `verify`, without the form of its command line: `exhibit verify` and
//! `exhibit-verify` read their arguments, say whom to believe, and have this do the rest.

mod named;
mod time;
mod trust;
mod words;

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub use self::named::{ExpectedEvidence, check as check_path};
pub use self::time::time;
pub use self::trust::trust_in;
pub use self::words::counted;
use crate::cause::chain;
use crate::exit;
use crate::receipt::Receipt;
use crate::trust::Trust;
use crate::verify::{self, FolderReport};

/// Takes each line of what is said.
pub type Line<'a> = dyn FnMut(String) + 'a;

/// What is asked for, beside whom to believe.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// Evidence folders, stores or bundles.
    pub paths: Vec<PathBuf>,
    /// Checkpoints of the log that were kept elsewhere.
    pub checkpoints: Vec<PathBuf>,
    /// Whether witnesses must have looked since a time that the trust holds.
    pub witnessed_since: bool,
    /// A later proof than the one in the folder.
    pub proof: Option<PathBuf>,
    /// What callers were handed for sealed runs.
    pub receipts: Vec<PathBuf>,
    /// Whether to answer in JSON.
    pub json: bool,
}

/// Why nothing was verified: the command line asks for what makes no sense, or names what is not there.
#[derive(Debug)]
pub struct Refused {
    /// The argument that it is about, without dashes.
    pub field: Option<&'static str>,
    /// Whether two arguments exclude each other.
    pub conflict: bool,
    /// The sentence, with the remedy.
    pub message: String,
    /// What the system said.
    pub cause: Option<std::io::Error>,
}

impl Refused {
    fn new(field: &'static str, message: impl Into<String>) -> Self {
        Self { field: Some(field), conflict: false, message: message.into(), cause: None }
    }

    fn conflict(field: &'static str, message: impl Into<String>) -> Self {
        Self { conflict: true, ..Self::new(field, message) }
    }

    fn in_file(path: &Path, error: std::io::Error) -> Self {
        let message = format!("{}: {error}; check the path and its permissions", path.display());
        Self { field: None, conflict: false, message, cause: Some(error) }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Refused {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

/// Verify what is asked for, and say what is found in lines, or as one JSON document; the exit code.
///
/// # Errors
/// [`Refused`] before anything is verified.
pub fn run(asked: &VerifyOptions, trust: &Trust, line: &mut Line<'_>) -> Result<u8, Refused> {
    for path in &asked.paths {
        check_path(path, ExpectedEvidence::Any)?;
    }
    check_checkpoints(asked)?;
    check_proof(asked)?;
    let mut command = Command { asked, trust, receipts: receipts(&asked.receipts)?, said: line };
    let (mut worst, mut reports) = (exit::OK, Vec::new());
    for path in &asked.paths {
        let code = if path.is_file() {
            command.bundle(path, &mut reports)
        } else if is_store(path) {
            command.store(path, &mut reports)
        } else {
            command.folder(path, &mut reports)
        };
        worst = worse(worst, code);
    }
    if asked.json {
        let all = json!({ "exit": worst, "reports": reports });
        line(serde_json::to_string_pretty(&all).expect("reports are plain data"));
    }
    Ok(worst)
}

struct Command<'a, 'l> {
    asked: &'a VerifyOptions,
    trust: &'a Trust,
    /// What callers were handed, each with its file.
    receipts: Vec<(PathBuf, Receipt)>,
    said: &'a mut Line<'l>,
}

impl Command<'_, '_> {
    fn store(&mut self, path: &Path, reports: &mut Vec<Value>) -> u8 {
        let kept = &self.asked.checkpoints;
        let report = verify::store_with_receipts(path, self.trust, kept, &self.receipts);
        if self.asked.json {
            reports.push(json!({ "path": path, "store": report }));
            return report.exit();
        }
        for folder in &report.folders {
            words::folder(folder, path, self.said);
        }
        for finding in &report.findings {
            (self.said)(finding.to_string());
        }
        for import in &report.imports {
            words::import(import, self.said);
        }
        let checked = counted(report.folders.len(), "sealed folder");
        (self.said)(format!("{}: {checked} checked", path.display()));
        if let Some(log) = &report.log {
            words::log(log, self.said);
        }
        report.exit()
    }

    fn folder(&mut self, path: &Path, reports: &mut Vec<Value>) -> u8 {
        let mut report = verify::folder_with(path, self.trust, self.asked.proof.as_deref());
        self.hold_to(&mut report, Some(path));
        self.tell(&report, path, reports);
        report.exit()
    }

    /// Verify what is in a bundle.
    fn bundle(&mut self, path: &Path, reports: &mut Vec<Value>) -> u8 {
        let mut folders = match verify::bundle(path, self.trust) {
            Ok(folders) => folders,
            Err(error) => {
                let why = format!("{}: {}", path.display(), chain(&error));
                if self.asked.json {
                    reports.push(json!({ "path": path, "unreadable": why }));
                } else {
                    (self.said)(format!("{why}: UNREADABLE"));
                }
                return exit::UNREADABLE;
            }
        };
        let mut worst = exit::OK;
        for report in &mut folders {
            if self.receipts.iter().any(|(_, receipt)| report.run == Some(receipt.run)) {
                self.hold_to(report, None);
            }
            worst = worse(worst, report.exit());
            self.tell(report, path, reports);
        }
        if !self.asked.json {
            let checked = counted(folders.len(), "folder");
            (self.said)(format!("{}: {checked} checked", path.display()));
        }
        worst
    }

    fn tell(&mut self, report: &FolderReport, path: &Path, reports: &mut Vec<Value>) {
        if self.asked.json {
            reports.push(json!({ "path": path, "folder": report }));
        } else {
            words::folder(report, path, self.said);
        }
    }

    /// Hold a folder against the receipts of its run; against a single one whatever run it is of.
    fn hold_to(&self, report: &mut FolderReport, folder: Option<&Path>) {
        for (path, receipt) in &self.receipts {
            if self.receipts.len() == 1 || report.run == Some(receipt.run) {
                verify::folder_against_receipt(report, folder, path, receipt);
            }
        }
    }
}

fn receipts(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Receipt)>, Refused> {
    let read = |path: &PathBuf| {
        let receipt = verify::read_receipt(path).map_err(|error| {
            let message = format!("{}; give what was answered to a seal", chain(&error));
            Refused::new("receipt", message)
        })?;
        Ok((path.clone(), receipt))
    };
    paths.iter().map(read).collect()
}

fn is_store(path: &Path) -> bool {
    path.join("runs").is_dir() || path.join("open").is_dir()
}

/// A proof speaks of one folder.
fn check_proof(asked: &VerifyOptions) -> Result<(), Refused> {
    let fits = matches!(asked.paths.as_slice(), [path] if !is_store(path));
    if asked.proof.is_none() || fits {
        return Ok(());
    }
    let message = "--proof is held against one evidence folder; name that and nothing else";
    Err(Refused::conflict("proof", message))
}

/// A checkpoint speaks of a whole log.
fn check_checkpoints(asked: &VerifyOptions) -> Result<(), Refused> {
    let field = match (asked.checkpoints.is_empty(), asked.witnessed_since) {
        (true, false) => return Ok(()),
        (true, true) => "witnessed-since",
        (false, _) => "checkpoint",
    };
    if asked.paths.iter().all(|path| is_store(path)) {
        return Ok(());
    }
    let message = format!("--{field} is held against the log of a store; name stores only");
    Err(Refused::conflict(field, message))
}

/// Altered is the worst, then unreadable, incomplete, unknown key.
pub fn worse(one: u8, other: u8) -> u8 {
    const ORDER: [u8; 5] =
        [exit::OK, exit::UNKNOWN_KEY, exit::INCOMPLETE, exit::UNREADABLE, exit::ALTERED];
    let rank = |code: u8| ORDER.iter().position(|known| *known == code).unwrap_or(ORDER.len());
    if rank(other) > rank(one) { other } else { one }
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
