//! `exhibit verify`: checks evidence without any daemon and without trusting what it checks. What it does
//! and says is [`exhibit_verify::command`]'s.

use std::path::PathBuf;

pub(super) use exhibit_verify::command::worse;
use exhibit_verify::command::{self, Refused, VerifyOptions, time};
use jiff::Timestamp;

use super::trust::{LogTrust, trust, trust_in};
use super::{Common, out};
use crate::error::{Code, Problem};

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
        command::check_path(path, command::ExpectedEvidence::Any)?;
    }
    let since = verify.log.witnessed_since;
    let trust = match &verify.log.trust {
        Some(folder) => trust_in(folder, &verify.paths, since)?,
        None => trust(common, verify.allowed_signers.as_deref())?,
    };
    let asked = VerifyOptions {
        paths: verify.paths,
        checkpoints: verify.log.checkpoint,
        witnessed_since: since.is_some(),
        proof: verify.proof,
        receipts: verify.receipt,
        json: common.json,
    };
    let json = common.json;
    let mut said = |line: String| if json { out::json_text(&line) } else { out::line(line) };
    Ok(command::run(&asked, &trust.at(verify.at), &mut said)?)
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let Refused { field, conflict, message, cause } = refused;
        let code = if conflict { Code::ConflictingFields } else { Code::InvalidField };
        let mut problem = Self::new(code, message);
        problem = field.into_iter().fold(problem, Self::field);
        cause.into_iter().fold(problem, Self::because)
    }
}
