//! The demonstration: an application on loopback, a daemon of its own, and an agent that works in
//! the one under the other's eyes. It uses the daemon as any caller does, through the client;
//! printing is the command line's.

mod access;
pub mod desk;
mod ledger;
mod pages;
pub mod scenario;
mod serve;
mod validation;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::scenario::{Agent, Part, Scenario};
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::disk;
use crate::error::{Code, Problem};
use crate::evidence::{Signer, Trust, verify};
use crate::receipt::Receipt;
use crate::tasks::Tasks;
use crate::tlog::policy::Policy;

/// What the demonstration made.
#[derive(Debug)]
pub struct Demonstration {
    /// The sealed folder.
    pub folder: PathBuf,
    /// The store that holds it.
    pub store: PathBuf,
    /// What an auditor would be handed: `allowed_signers` and `log.vkey`.
    pub trust: PathBuf,
    /// The line that vouches for the signing key, in that folder.
    pub allowed_signers: PathBuf,
    /// What the agent got.
    pub receipt: Receipt,
    /// What verifying found.
    pub report: verify::FolderReport,
    /// Who is named in `allowed_signers`.
    pub principal: String,
    /// Whether Chromium's sandbox was off, because the demonstration ran as root.
    pub without_sandbox: bool,
}

/// The configuration of a daemon whose every file lies in `home`.
fn config_in(home: &Path) -> Config {
    let mut config = Config::default();
    config.daemon.socket = home.join("exhibit.sock");
    config.store.path = home.join("store");
    config.keys.signing = home.join("keys/signing_ed25519");
    config.keys.api = home.join("keys/api-keys.json");
    config.browser.runtime = home.join("browser");
    config.browser.sandbox = !rustix::process::geteuid().is_root();
    config
}

/// Show `scenario` in the folder `home`, without some of its parts; `tell` hears of each step before
/// it is taken.
///
/// # Errors
/// Whatever stood in the way, with the remedy.
pub async fn run(
    home: &Path,
    scenario: Scenario,
    without: Vec<Part>,
    tell: &mut dyn FnMut(&str),
) -> Result<Demonstration, Problem> {
    let home = std::path::absolute(home).map_err(|error| in_folder(home, error))?;
    disk::make_dirs(&home).map_err(|error| in_folder(&home, error))?;
    let config = config_in(&home);
    let (principal, key) = (config.keys.principal.clone(), config.keys.signing.clone());
    let sandbox = config.browser.sandbox;
    let (store, log_key) = (config.store.path.clone(), config.keys.log_public_file());

    tell("starting the application and the daemon with its Chromium");
    let tasks = Tasks::new();
    let desk = scenario.open_desk(Clock::system(), &tasks).await;
    let desk = desk.map_err(|error| Problem::internal("starting the application", error))?;
    let daemon = Daemon::start(Arc::new(config), None, Clock::system()).await?;
    daemon.ready().await?;
    let client = Client::unix(daemon.socket())?;
    let agent = Agent { client: &client, desk, without, calm: true };
    let performed = agent.perform(scenario, tell).await;
    tell("stopping the daemon");
    daemon.stop().await;
    tasks.stop();
    let receipt = performed?;

    tell("verifying the sealed folder");
    let signer = Signer::load_or_create(&key)
        .map_err(|error| Problem::internal("reading the signing key", error))?;
    let line = signer.allowed_signers_line(&principal);
    let trust = home.join("trust");
    let allowed_signers = trust.join("allowed_signers");
    let log_key = std::fs::read(log_key).map_err(|error| in_folder(&home, error))?;
    disk::make_dirs(&trust)
        .and_then(|()| disk::replace(&allowed_signers, format!("{line}\n").as_bytes(), 0o644))
        .and_then(|()| disk::replace(&trust.join("log.vkey"), &log_key, 0o644))
        .map_err(|error| in_folder(&home, error))?;
    let policy = Policy::parse(&format!("log {}", String::from_utf8_lossy(&log_key)))
        .map_err(|error| Problem::internal("reading the log's key", error))?;
    let believed = Trust::from_allowed_signers(&line)
        .map_err(|error| Problem::internal("reading the allowed signers", error))?
        .with_log(policy);
    let folder = store.join(&receipt.folder);
    let report = verify::folder(&folder, &believed);
    let without_sandbox = !sandbox;
    Ok(Demonstration {
        folder,
        store,
        trust,
        allowed_signers,
        receipt,
        report,
        principal,
        without_sandbox,
    })
}

fn in_folder(home: &Path, error: std::io::Error) -> Problem {
    let message = format!("cannot use the folder {} ({error}); give another", home.display());
    Problem::new(Code::StoreUnwritable, message).because(error)
}
