//! Owns the command line: what can be said, and handing it to whoever does it. Each command is a
//! function that answers an exit code; the codes are a contract (docs/API.md).

mod archive;
mod capture;
mod config;
mod custody;
mod demo;
mod doctor;
mod export;
mod guard;
mod hold;
mod import;
mod index;
mod keys;
mod log;

mod open;
mod out;
mod population;
mod printed;
mod purge;
mod record;
mod remedy;
mod report;
mod runs;
mod serve;

mod timestamp;
mod trust;
mod verify;

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use rustix::fs::Access;

use crate::client::Client;
use crate::config::{Config, SYSTEM_FILE, is_of_another_program, load};
use crate::disk;
use crate::error::{Code, Problem, exit};
use crate::secret::Secret;
use crate::shown::shown_within;

/// Most characters of an argument that an error quotes.
const ARGUMENT: usize = 500;

/// The configuration of whoever works in this folder.
const HERE: &str = "config.toml";

const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 internal · 2 usage or request · 3 daemon unreachable · 4 denied · \
5 capture failed (and recorded) · 6 configuration · 7 no such run · 8 conflict · 9 unavailable · \
verify: 10 altered · 11 incomplete · 12 unknown key · 13 unreadable · doctor: 14 unhealthy\n\
A reader of the output may stop reading: the command goes on, and its exit code is the same.";

/// Visual proof of what an AI agent did: captured, hashed, signed and sealed, checked by anybody.
#[derive(Debug, Parser)]
#[command(name = "exhibit", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// The heading of the options that every command understands: apart from the command's own.
const EVERY: &str = "Options of every command";

/// What every command understands.
#[derive(Debug, clap::Args)]
struct Common {
    /// Configuration file [default: ./config.toml where it is one of Exhibit's and this user's or
    /// root's, else /etc/exhibit/config.toml, else the defaults]
    #[arg(long, global = true, help_heading = EVERY, env = "EXHIBIT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Unix socket of the daemon [default: the configuration's]
    #[arg(long, global = true, help_heading = EVERY, env = "EXHIBIT_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Base address of the daemon, instead of its socket: http://127.0.0.1:8420
    #[arg(long, global = true, help_heading = EVERY, env = "EXHIBIT_URL", value_name = "URL", conflicts_with = "socket")]
    url: Option<String>,
    /// API key, with --url
    #[arg(long, global = true, help_heading = EVERY, env = "EXHIBIT_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// Answer as JSON
    #[arg(long, global = true, help_heading = EVERY)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve,
    /// Take a screenshot of a page
    Shot(capture::Shot),
    /// Print a page as PDF
    Pdf(capture::Pdf),
    /// Record a page, or steps in it, as video
    Record(record::Record),
    /// Work with a run
    #[command(subcommand)]
    Run(runs::Run),
    /// List runs
    List(runs::List),
    /// Show one run
    Show(runs::Show),
    /// Print a link that signs in to the web page over all runs, and open it where there is a display
    Open(open::Open),
    /// Check evidence folders, or a whole store, without any daemon
    Verify(verify::Verify),
    /// Show an evidence folder as one HTML file, without any daemon
    Report(report::Report),
    /// List every run of a period that the log tells of, and when nobody recorded
    Population(population::Population),
    /// Draw a sample of a population, by a seed
    Sample(population::Sample),
    /// Hand out sealed runs as one file, which is noted in the log
    Export(export::Export),
    /// Put back runs that were lost, from a bundle of theirs, or keep a bundle of another store
    Import(import::Import),
    /// Say who looked at evidence, took it away, or decided what is kept
    Custody(custody::Custody),
    /// Legal holds, which keep runs from being purged
    #[command(subcommand)]
    Hold(hold::Hold),
    /// Take away runs whose time is over; the log keeps that they were there
    Purge(purge::Purge),
    /// Make sealed runs one file each, which `verify` reads, or folders again
    Archive(archive::Archive),
    /// The log of all runs, and its witnesses
    #[command(subcommand)]
    Log(log::Log),
    /// API keys, and the key that signs
    #[command(subcommand)]
    Keys(keys::Keys),
    /// The configuration
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Check this machine, with a remedy for each thing amiss
    Doctor,
    /// Make sealed folders immutable for the daemon, with the capability that it lacks
    Guard,
    /// How the daemon fares
    Status,
    /// The index over the sealed runs
    #[command(subcommand)]
    Index(index::Index),
    /// Show a workflow under evidence, in an application of our own
    Demo(demo::Demo),
}

/// Run the command line of this process; its exit code.
pub fn main() -> u8 {
    std::panic::set_hook(Box::new(out::panicked));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return out::ended(out::usage(&presentable(error))),
    };
    let code = run(cli).unwrap_or_else(|problem| {
        out::problem(&problem);
        problem.code.exit()
    });
    out::ended(code)
}

/// `error` as it is of arguments that can be shown: it quotes them.
fn presentable(error: clap::Error) -> clap::Error {
    let shown = |argument: OsString| shown_within(&argument.to_string_lossy(), ARGUMENT);
    let again = Cli::try_parse_from(std::env::args_os().map(shown)).err();
    again.filter(|again| again.kind() == error.kind()).unwrap_or(error)
}

/// Every command that there is: what tests go through, so that a new one is not forgotten.
#[doc(hidden)]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// Runs `command`; only those that wait for something have a runtime, and its descriptors and threads.
fn run(Cli { common, command }: Cli) -> Result<u8, Problem> {
    match command {
        Command::Serve => waited(serve::serve(&common)),
        Command::Shot(shot) => waited(capture::shot(&common, shot)),
        Command::Pdf(pdf) => waited(capture::pdf(&common, pdf)),
        Command::Record(record) => waited(record::record(&common, record)),
        Command::Run(command) => waited(runs::run(&common, command)),
        Command::List(list) => waited(runs::list(&common, list)),
        Command::Show(show) => waited(runs::show(&common, show)),
        Command::Open(open) => waited(open::open(&common, open)),
        Command::Verify(verify) => verify::verify(&common, verify),
        Command::Report(report) => waited(report::report(&common, report)),
        Command::Population(asked) => population::population(&common, &asked),
        Command::Sample(asked) => population::sample(&common, &asked),
        Command::Export(export) => waited(export::export(&common, export)),
        Command::Import(import) => waited(import::import(&common, import)),
        Command::Custody(asked) => custody::custody(&common, &asked),
        Command::Purge(purge) => waited(purge::purge(&common, purge)),
        Command::Archive(archive) => waited(archive::archive(&common, archive)),
        Command::Hold(command) => waited(hold::hold(&common, command)),
        Command::Log(command) => waited(log::log(&common, command)),
        Command::Keys(keys) => keys::keys(&common, keys),
        Command::Config(command) => config::config(&common, command),
        Command::Doctor => doctor::doctor(&common),
        Command::Guard => guard::guard(&common),
        Command::Status => waited(runs::status(&common)),
        Command::Index(command) => index::index(&common, &command),
        Command::Demo(demo) => waited(demo::demo(&common, demo)),
    }
}

/// How long threads that are still at work when a command is done may take to end.
const THREADS_END: Duration = Duration::from_secs(2);

/// What came of `work`, on a runtime of its own.
fn waited(work: impl Future<Output = Result<u8, Problem>>) -> Result<u8, Problem> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        let message = "no runtime can be started; raise the limits on descriptors and threads";
        Problem::new(Code::Internal, message).because(error)
    })?;
    let done = runtime.block_on(work);
    // A thread that reads something large is not waited for: whatever it does, a crash may end as well.
    runtime.shutdown_timeout(THREADS_END);
    done
}

impl Common {
    /// The configuration file in force: the one named, else one that is there.
    fn config_file(&self) -> Option<PathBuf> {
        let here = || {
            let path = PathBuf::from(HERE);
            let owner = path.metadata().ok()?.uid();
            let Some(why) = passed_over(&path, owner) else { return Some(path) };
            out::note(format!("./{HERE} is passed over: {why}; --config names a file that counts"));
            None
        };
        let system = || Path::new(SYSTEM_FILE).exists().then(|| PathBuf::from(SYSTEM_FILE));
        self.config.clone().or_else(here).or_else(system)
    }

    fn config(&self) -> Result<Config, Problem> {
        match self.config_file() {
            Some(file) => Ok(load(&file)?),
            None => Ok(Config::default()),
        }
    }

    /// The way to the daemon. The configuration is only needed when nothing names the way.
    fn client(&self) -> Result<Client, Problem> {
        if let Some(url) = &self.url {
            return Client::tcp(url, self.key.clone().map(Secret::new));
        }
        match &self.socket {
            Some(socket) => Client::unix(socket),
            None => Client::unix(&self.config()?.daemon.socket),
        }
    }
}

/// Why the file `path` of the user `owner`, which nobody named, is not taken for the configuration:
/// another user could have laid it into the current folder, or it is another program's.
fn passed_over(path: &Path, owner: u32) -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    if owner != user && owner != 0 {
        return Some(format!("it belongs to the user {owner}"));
    }
    is_of_another_program(path).then(|| "no table in it is one of Exhibit's".to_owned())
}

/// The file `path` cannot be read or written.
fn in_file(path: &Path, error: std::io::Error) -> Problem {
    let message = format!("{}: {error}; check the path and its permissions", path.display());
    Problem::new(Code::InvalidField, message).because(error)
}

/// Refuse a file to be written that is there, or cannot be made, before anything is done for it.
fn check_free(path: &Path) -> Result<(), Problem> {
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let metadata = folder.metadata().map_err(|error| in_file(folder, error))?;
    if !metadata.is_dir() {
        return Err(in_file(folder, std::io::ErrorKind::NotADirectory.into()));
    }
    rustix::fs::access(folder, Access::WRITE_OK | Access::EXEC_OK)
        .map_err(|error| in_file(path, error.into()))
}

fn exists(path: &Path) -> Problem {
    let message = format!("{} exists already; give another name", path.display());
    Problem::new(Code::NameTaken, message).field("out")
}

/// Put what was taken into a new file.
fn save(path: &Path, bytes: &[u8]) -> Result<(), Problem> {
    match disk::write_once(path, bytes) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists(path)),
        saved => saved.map(drop).map_err(|error| in_file(path, error)),
    }
}

/// What was taken could not be saved, and is on record as `evidence` says.
fn kept_in(problem: Problem, evidence: &serde_json::Value) -> Problem {
    match evidence["run"].as_str() {
        Some(run) => problem.hint(format!("it was taken, and is on record in run {run}")),
        None => problem,
    }
}

/// The exit code of something that is done.
const DONE: Result<u8, Problem> = Ok(exit::OK);

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
