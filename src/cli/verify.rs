//! `exhibit verify`: checks evidence without any daemon and without trusting what it checks.

use std::collections::BTreeSet;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::keys::vouched;
use super::population::time;
use super::{Common, in_file, out};
use crate::bundle::{Limits, unpack};
use crate::error::{Code, Problem, chain, exit};
use crate::evidence::verify::{FolderReport, ImportReport, StampReport, StampedReport};
use crate::evidence::{Class, Trust, verify as check};
use crate::timestamp::Authorities;
use crate::tlog::policy::Policy;

/// Files of a folder that says whom to believe.
pub(super) const SIGNERS: &str = "allowed_signers";
pub(super) const REVOKED: &str = "revoked_keys";
pub(super) const LOG_KEY: &str = "log.vkey";
const TRUST_POLICY: &str = "trust-policy.txt";
const TIME: &str = "tsa-ca.pem";

/// Which log is believed.
#[derive(Debug, clap::Args)]
pub(super) struct LogTrust {
    /// Folder with whom to believe: allowed_signers, revoked_keys, trust-policy.txt or log.vkey for
    /// the log, and tsa-ca.pem for timestamps;
    /// `exhibit keys export --out` makes one. It must not lie in what is verified
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// A checkpoint of the log that was kept elsewhere: the log must still continue it
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
}

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
    /// When signing keys are judged where no timestamp says when they signed: a day or a time, such
    /// as when you received the evidence [default: the time of sealing, by the folder's own word]
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
}

pub(super) fn verify(common: &Common, verify: Verify) -> Result<u8, Problem> {
    let trust = match &verify.log.trust {
        Some(folder) => trust_in(folder, &verify.paths)?,
        None => trust(common, verify.allowed_signers.as_deref())?,
    };
    let trust = trust.at(verify.at);
    check_checkpoints(&verify)?;
    check_proof(&verify)?;
    let mut worst = exit::OK;
    let mut reports = Vec::new();
    for path in &verify.paths {
        if path.is_file() {
            worst = worse(worst, bundle(common, path, &trust, &mut reports)?);
        } else if is_store(path) {
            let report = check::store(path, &trust, &verify.log.checkpoint);
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
            for import in &report.imports {
                print_import(import);
            }
            let count = report.folders.len();
            out::line(format!("{}: {count} sealed folders checked", path.display()));
            if let Some(log) = &report.log {
                out::line(format!(
                    "log {}: {} entries, {} runs opened, {} sealed, {} purged",
                    log.origin, log.size, log.opened, log.sealed, log.purged
                ));
                if log.custody > 0 {
                    out::line(format!("  {} events of custody", log.custody));
                }
                if let Some(StampedReport { size, time, authority }) = &log.stamped {
                    out::line(format!("  {size} entries were there at {time}, says {authority}"));
                }
            }
        } else {
            let report = check::folder_with(path, &trust, verify.proof.as_deref());
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

/// Verify what is in a bundle; the exit code it deserves.
fn bundle(
    common: &Common,
    path: &Path,
    trust: &Trust,
    reports: &mut Vec<Value>,
) -> Result<u8, Problem> {
    let scratch = tempfile::tempdir().map_err(|error| in_file(&std::env::temp_dir(), error))?;
    let packed = std::fs::File::open(path).map_err(|error| in_file(path, error))?;
    let unpacked = match unpack(BufReader::new(packed), scratch.path(), Limits::default()) {
        Ok(unpacked) => unpacked,
        Err(error) => {
            let why = format!("{}: {}", path.display(), chain(&error));
            if common.json {
                reports.push(json!({ "path": path, "unreadable": why }));
            } else {
                out::line(format!("{why}: UNREADABLE"));
            }
            return Ok(exit::UNREADABLE);
        }
    };
    let mut worst = exit::OK;
    for (folder, proof) in unpacked.runs.values() {
        let report = check::folder_with(folder, trust, proof.as_deref());
        worst = worse(worst, report.exit());
        if common.json {
            reports.push(json!({ "path": path, "folder": report }));
        } else {
            print(&report);
        }
    }
    if !common.json {
        out::line(format!("{}: {} folders checked", path.display(), unpacked.runs.len()));
    }
    Ok(worst)
}

/// Say what is wrong with the log of the store at `root`; the exit code it deserves.
pub(super) fn judge_log(common: &Common, asked: &LogTrust, root: &Path) -> Result<u8, Problem> {
    let trust = match &asked.trust {
        Some(folder) => trust_in(folder, &[root.to_owned()])?,
        None => trust(common, None)?,
    };
    let (_, findings) = check::log(root, &trust, &asked.checkpoint);
    for finding in &findings {
        out::note(format!("{finding}"));
    }
    let worst = findings.iter().map(|finding| finding.class).max();
    Ok(worst.map_or(exit::OK, Class::exit))
}

/// Whose signatures count: never a key that lies in what is checked.
pub(super) fn trust(common: &Common, allowed_signers: Option<&Path>) -> Result<Trust, Problem> {
    let (mut policy, mut revoked) = (Policy::default(), String::new());
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
        if let Ok(key) = std::fs::read_to_string(keys.log_public_file()) {
            policy = policy_of(&key, "this machine's log key")?;
        }
        let (signers, list) = vouched(&keys).map_err(|error| {
            let message = "this machine's signing key cannot be read; give --allowed-signers";
            Problem::new(Code::InvalidField, message).because(error)
        })?;
        revoked = list;
        signers
    };
    Trust::from_allowed_signers(&text)
        .and_then(|trust| trust.with_revoked(&revoked))
        .map_err(|error| {
            let message = format!("--allowed-signers cannot be read: {error}");
            Problem::new(Code::InvalidField, message).field("allowed-signers")
        })
        .map(|trust| trust.with_log(policy))
}

/// Whom the files in `folder` say to believe.
fn trust_in(folder: &Path, verified: &[PathBuf]) -> Result<Trust, Problem> {
    let refused = |message: String| Problem::new(Code::InvalidField, message).field("trust");
    let real = folder.canonicalize().map_err(|error| in_file(folder, error))?;
    for path in verified {
        if path.canonicalize().is_ok_and(|path| real.starts_with(path)) {
            let message = format!(
                "{} lies in what is to be verified, whose maker could have put it there; take the \
                 folder that was handed over separately",
                folder.display()
            );
            return Err(refused(message));
        }
    }
    let read = |name: &str| {
        let path = folder.join(name);
        match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            read => read.map(Some).map_err(|error| in_file(&path, error)),
        }
    };
    let signers = read(SIGNERS)?.ok_or_else(|| {
        let path = folder.join(SIGNERS);
        refused(format!("{} is not there; put the trusted keys there", path.display()))
    })?;
    let trust = Trust::from_allowed_signers(&signers);
    let trust = trust.map_err(|error| refused(format!("{SIGNERS}, {error}; correct it")))?;
    let revoked = read(REVOKED)?.unwrap_or_default();
    let trust = trust.with_revoked(&revoked);
    let trust = trust.map_err(|error| refused(format!("{REVOKED}, {error}; correct it")))?;
    let policy = match (read(TRUST_POLICY)?, read(LOG_KEY)?) {
        (Some(policy), _) => {
            let policy = Policy::parse(&policy);
            policy.map_err(|error| refused(format!("{error}; correct {TRUST_POLICY}")))?
        }
        (None, Some(keys)) => policy_of(&keys, LOG_KEY)?,
        (None, None) => Policy::default(),
    };
    let time = match read(TIME)? {
        None => Authorities::default(),
        Some(pem) => Authorities::from_pem(pem.as_bytes())
            .map_err(|error| refused(format!("{error}; put PEM certificates into {TIME}")))?,
    };
    Ok(trust.with_log(policy).with_time(time))
}

/// The policy that believes the logs with these keys, one a line.
fn policy_of(keys: &str, place: &str) -> Result<Policy, Problem> {
    let lines: Vec<String> = keys.lines().map(|key| format!("log {key}\n")).collect();
    Policy::parse(&lines.concat()).map_err(|error| {
        let message = format!("{place}: {error}; hand it over again");
        Problem::new(Code::InvalidField, message).field("trust")
    })
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
    if verify.log.checkpoint.is_empty() || verify.paths.iter().all(|path| is_store(path)) {
        return Ok(());
    }
    let message = "--checkpoint is held against the log of a store; name stores only";
    Err(Problem::new(Code::ConflictingFields, message).field("checkpoint"))
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
        exit::UNKNOWN_KEY if report.signed_by.is_some() => {
            "intact, but NOT ALL OF IT is vouched for"
        }
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
        out::line(format!("  {bad} findings; docs/FORMAT.md explains the codes"));
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
    out::line(format!("{place}: {} folders of another store, {who}", runs.len()));
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
