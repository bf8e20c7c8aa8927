//! Owns whom the command line believes: this machine's keys, or those in a folder that was handed over,
//! and which log.

use std::path::{Path, PathBuf};

use exhibit_verify::command::{self, time};
use jiff::Timestamp;

use super::keys::vouched;
use super::{Common, in_file, out};
use crate::error::{Code, Problem, exit};
use crate::evidence::{Class, SIGNERS, Trust, verify as check};
use crate::population::LogState;
use crate::tlog::policy::Policy;

/// Which log is believed.
#[derive(Debug, clap::Args)]
pub(super) struct LogTrust {
    /// Folder with whom to believe: allowed_signers, revoked_keys, trust-policy.txt or log.vkey for
    /// the log, and tsa-ca.pem for timestamps;
    /// `exhibit keys export --out` makes one. It must not lie in what is verified
    #[arg(long, value_name = "DIR")]
    pub(super) trust: Option<PathBuf>,
    /// A checkpoint of the log that was kept elsewhere: the log must still continue it
    #[arg(long, value_name = "FILE")]
    pub(super) checkpoint: Vec<PathBuf>,
    /// The witnesses that trust-policy.txt needs must have looked at the log at this time or later: a
    /// day or a time. An old state of a store, put back whole, is told by this or by --checkpoint
    #[arg(long, value_name = "TIME", value_parser = time, requires = "trust")]
    pub(super) witnessed_since: Option<Timestamp>,
}

/// What there is to say of a log.
#[derive(Debug)]
pub(super) struct Judged {
    /// The exit code that it deserves.
    pub(super) exit: u8,
    /// The state that was verified, where nothing is wrong with it.
    pub(super) state: Option<LogState>,
    /// Whose signatures count for what is added to it.
    pub(super) policy: Policy,
}

/// Say what is wrong with the log of the store at `root`, and judge it.
pub(super) fn judge_log(common: &Common, asked: &LogTrust, root: &Path) -> Result<Judged, Problem> {
    let trust = match &asked.trust {
        Some(folder) => trust_in(folder, &[root.to_owned()], asked.witnessed_since)?,
        None => trust(common, None)?,
    };
    let (report, findings) = check::log(root, &trust, &asked.checkpoint);
    for finding in &findings {
        out::note(format!("{finding}"));
    }
    let worst = findings.iter().map(|finding| finding.class).max();
    let exit = worst.map_or(exit::OK, Class::exit);
    let whole = report.root.filter(|_| exit == exit::OK);
    let state = whole.map(|root| LogState { origin: report.origin, size: report.size, root });
    Ok(Judged { exit, state, policy: trust.log().clone() })
}

/// Whose signatures count: never a key that lies in what is checked.
pub(super) fn trust(common: &Common, allowed_signers: Option<&Path>) -> Result<Trust, Problem> {
    let (mut policy, mut revoked) = (Policy::default(), String::new());
    let text = if let Some(path) = allowed_signers {
        std::fs::read_to_string(path).map_err(|error| in_file(path, error))?
    } else {
        let config = common.config()?;
        let keys = &config.keys;
        if !keys.signing.exists() {
            out::note(
                "no --allowed-signers, and no signing key on this machine: nobody is trusted",
            );
            return Ok(Trust::none());
        }
        if let Ok(key) = std::fs::read_to_string(keys.log_public_file()) {
            policy = Policy::of_keys(&key).map_err(|error| {
                let message = format!("this machine's log key: {error}; hand it over again");
                Problem::new(Code::InvalidField, message).field("trust")
            })?;
        }
        let (signers, list) = vouched(&config).map_err(|error| {
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
pub(super) fn trust_in(
    folder: &Path,
    verified: &[PathBuf],
    witnessed_since: Option<Timestamp>,
) -> Result<Trust, Problem> {
    let trust = command::trust_in(folder, verified, witnessed_since)?;
    for line in trust.passed_over() {
        out::note(format!("{SIGNERS}, {line}; passed over, as ssh-keygen does"));
    }
    Ok(trust)
}
