//! `exhibit-verify`: the verifier alone, for an auditor who builds nothing else. It believes nobody but
//! whom the auditor names, opens no socket, and writes nothing.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use exhibit_verify::command::{self, Refused, VerifyOptions, time};
use exhibit_verify::shown::{shown_json, shown_within};
use exhibit_verify::trust::{SIGNERS, Trust};
use exhibit_verify::{cause, exit};
use jiff::Timestamp;

/// Check evidence folders, bundles and whole stores of Exhibit, offline. Ends with 0 (intact), 10
/// (altered), 11 (a file of the seal is missing), 12 (nobody vouched for a key), 13 (unreadable), 2
/// (the command line is wrong)
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Evidence folders, stores, or bundles (.tar.zst)
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Folder with whom to believe: allowed_signers, revoked_keys, trust-policy.txt or log.vkey for
    /// the log, and tsa-ca.pem for timestamps. It must not lie in what is verified
    #[arg(long, value_name = "DIR")]
    trust: Option<PathBuf>,
    /// A checkpoint of the log that was kept elsewhere: the log must still continue it
    #[arg(long, value_name = "FILE")]
    checkpoint: Vec<PathBuf>,
    /// The witnesses that trust-policy.txt needs must have looked at the log at this time or later
    #[arg(long, value_name = "TIME", value_parser = time, requires = "trust")]
    witnessed_since: Option<Timestamp>,
    /// A later proof that the folder's seal is in the log, instead of the one in it
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// What a caller was handed for a sealed run
    #[arg(long, value_name = "FILE")]
    receipt: Vec<PathBuf>,
    /// When signing keys are judged where no timestamp says when they signed
    #[arg(long, value_name = "TIME", value_parser = time)]
    at: Option<Timestamp>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let code = verified(Arguments::parse()).unwrap_or_else(|refused| {
        say(&mut io::stderr(), &format!("error: {}", cause::chain(&refused)));
        exit::USAGE
    });
    ExitCode::from(code)
}

fn verified(arguments: Arguments) -> Result<u8, Refused> {
    let since = arguments.witnessed_since;
    let trust = match &arguments.trust {
        Some(folder) => command::trust_in(folder, &arguments.paths, since)?,
        None => {
            say(&mut io::stderr(), "no --trust: nobody is believed");
            Trust::none()
        }
    };
    for line in trust.passed_over() {
        let text = format!("{SIGNERS}, {line}; passed over, as ssh-keygen does");
        say(&mut io::stderr(), &text);
    }
    let asked = VerifyOptions {
        paths: arguments.paths,
        checkpoints: arguments.checkpoint,
        witnessed_since: since.is_some(),
        proof: arguments.proof,
        receipts: arguments.receipt,
        json: arguments.json,
    };
    let mut said = |line: String| {
        let line = if asked.json { shown_json(&line) } else { whole_line(&line) };
        put(&mut io::stdout(), &line);
    };
    command::run(&asked, &trust.at(arguments.at), &mut said)
}

/// `text` on one line, with what cannot be seen spelled out.
fn whole_line(text: &str) -> String {
    shown_within(text, usize::MAX)
}

fn say(to: &mut dyn io::Write, text: &str) {
    put(to, &whole_line(text));
}

/// Whoever reads may stop; the exit code stays what it is.
fn put(to: &mut dyn io::Write, line: &str) {
    drop(writeln!(to, "{line}"));
}
