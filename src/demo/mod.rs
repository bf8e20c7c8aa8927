//! The demonstration: a refund desk on loopback, a daemon of its own, and an agent that processes
//! a refund under evidence. It uses the daemon as any caller does, through the client; printing is
//! the command line's.

pub mod desk;
mod pages;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use self::desk::Desk;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::Config;
use crate::daemon::Daemon;
use crate::disk;
use crate::error::{Code, Problem};
use crate::evidence::{Signer, Trust, verify};
use crate::id::RunId;
use crate::receipt::Receipt;
use crate::run::{CodeReference, RunSpec};
use crate::tasks::Tasks;

/// The transaction that is refunded.
const TRANSACTION: &str = "TX-1042";

/// What the demonstration made.
#[derive(Debug)]
pub struct Demonstration {
    /// The sealed folder.
    pub folder: PathBuf,
    /// The line that vouches for the signing key, as an auditor would be handed it.
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

/// Run the demonstration in the folder `home`; `tell` hears of each step before it is taken.
///
/// # Errors
/// Whatever stood in the way, with the remedy.
pub async fn run(home: &Path, tell: &mut dyn FnMut(&str)) -> Result<Demonstration, Problem> {
    let home = std::path::absolute(home).map_err(|error| in_folder(home, error))?;
    disk::make_dirs(&home).map_err(|error| in_folder(&home, error))?;
    let config = config_in(&home);
    let (principal, key) = (config.keys.principal.clone(), config.keys.signing.clone());
    let without_sandbox = !config.browser.sandbox;
    let root = config.store.path.clone();

    tell("starting the refund desk and the daemon with its Chromium");
    let tasks = Tasks::new();
    let desk = Desk::start(Clock::system(), &tasks).await;
    let desk = desk.map_err(|error| Problem::internal("starting the refund desk", error))?;
    let daemon = Daemon::start(Arc::new(config), None, Clock::system()).await?;
    daemon.ready().await?;
    let client = Client::unix(daemon.socket())?;
    let refunded = refund(&client, &desk, tell).await;
    tell("stopping the daemon");
    daemon.stop().await;
    tasks.stop();
    let receipt = refunded?;

    tell("verifying the sealed folder");
    let signer = Signer::load_or_create(&key)
        .map_err(|error| Problem::internal("reading the signing key", error))?;
    let line = signer.allowed_signers_line(&principal);
    let allowed_signers = home.join("allowed_signers");
    disk::replace(&allowed_signers, format!("{line}\n").as_bytes(), 0o644)
        .map_err(|error| in_folder(&home, error))?;
    let trust = Trust::from_allowed_signers(&line)
        .map_err(|error| Problem::internal("reading the allowed signers", error))?;
    let folder = root.join(&receipt.folder);
    let report = verify::folder(&folder, &trust);
    Ok(Demonstration { folder, allowed_signers, receipt, report, principal, without_sandbox })
}

fn in_folder(home: &Path, error: std::io::Error) -> Problem {
    let message = format!("cannot use the folder {} ({error}); give another", home.display());
    Problem::new(Code::StoreUnwritable, message).because(error)
}

/// What the agent does: looks, decides, acts, shows what came of it, and seals.
async fn refund(
    client: &Client,
    desk: &Desk,
    tell: &mut dyn FnMut(&str),
) -> Result<Receipt, Problem> {
    let page = |path: &str| format!("{}{path}", desk.url().trim_end_matches('/'));
    let details = page(&format!("/transactions/{TRANSACTION}"));

    tell("opening a run: who acts, for whom, about what, with which code");
    let run = client.open_run(&spec()).await?;
    log(client, run, "log", "A customer asks for a refund", json!({ "ticket": "SUP-7731" }))
        .await?;

    tell("capturing the transaction as it was before");
    capture(client, run, "before", &details).await?;
    let reason = "Duplicate charge, confirmed by the customer";
    let data = json!({ "transaction": TRANSACTION, "amount": "48.50", "rule": "duplicate-charge" });
    log(client, run, "decision", "Refund approved: the charge is a duplicate", data).await?;

    tell("processing the refund through the desk's own form, recorded, each step on record");
    let steps = json!([
        { "action": "navigate", "url": format!("{details}/refund"), "pauseAfter": 600 },
        { "action": "fill", "selector": "[name=amount]", "value": "48.50", "pauseAfter": 600 },
        { "action": "fill", "selector": "[name=reason]", "value": reason, "pauseAfter": 800 },
        { "action": "screenshot", "name": "the form, filled in" },
        { "action": "click", "selector": "button" },
        { "action": "wait_for", "selector": ".done", "pauseAfter": 1_200 },
        { "action": "screenshot", "name": "the confirmation" },
    ]);
    recorded(client, run, steps).await?;

    tell("asking the desk for the transaction's status");
    let status = status(&page(&format!("/api/transactions/{TRANSACTION}"))).await?;
    log(client, run, "tool-call", "The desk shows the refund", status).await?;

    tell("capturing the transaction as it is after");
    capture(client, run, "after", &details).await?;

    tell("sealing the run: manifest, signature, seal");
    client.seal(run, Some("succeeded"), Some("The duplicate charge was refunded")).await
}

/// Take `steps` in a page of their own that is recorded meanwhile.
async fn recorded(client: &Client, run: RunId, steps: Value) -> Result<(), Problem> {
    let session = client.call("/sessions", Some(run), json!({})).await?["session_id"].take();
    let recordings = format!("/runs/{run}/recordings");
    let started = client.call(&recordings, None, json!({ "session_id": session })).await?;
    let number = started["recording"].as_str().unwrap_or_default();
    let body = json!({ "session_id": session, "steps": steps, "stage": "during" });
    let answer = client.call("/sequence", Some(run), body).await?;
    client.call(&format!("{recordings}/{number}/stop"), None, json!({})).await?;
    if answer["steps_completed"] == answer["total_steps"] {
        return Ok(());
    }
    Err(Problem::internal("processing the refund", answer["step_results"].to_string()))
}

fn spec() -> RunSpec {
    let labels = [("environment", json!("demo")), ("ticket", json!("SUP-7731"))];
    let labels: Map<String, Value> =
        labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    RunSpec {
        workflow: "refund".to_owned(),
        agent: Some("refund-agent/1.4".to_owned()),
        principal: Some("support-lead@example.com".to_owned()),
        subject: Some(TRANSACTION.to_owned()),
        controls: vec!["PI1.4".to_owned()],
        code: Some(CodeReference {
            repository: Some("https://git.example/agents/refund".to_owned()),
            path: Some("examples/refund.sh".to_owned()),
            ..CodeReference::default()
        }),
        labels,
        traceparent: None,
    }
}

async fn log(
    client: &Client,
    run: RunId,
    kind: &str,
    message: &str,
    data: Value,
) -> Result<(), Problem> {
    let event = json!({ "kind": kind, "level": "info", "message": message, "data": data });
    client.log(run, &[event]).await.map(drop)
}

async fn capture(client: &Client, run: RunId, stage: &str, url: &str) -> Result<(), Problem> {
    // The desk's pages are whole when they have loaded: nothing to wait for beyond that.
    let body = json!({ "url": url, "waitUntil": "load" });
    client.capture("screenshot", Some(run), Some(stage), body).await.map(drop)
}

/// What the desk's own API says of the transaction: a plain call, which the daemon has no part in.
async fn status(url: &str) -> Result<Value, Problem> {
    let failed = |error| Problem::internal("calling the refund desk", error);
    let answer = reqwest::get(url).await.map_err(failed)?;
    answer.error_for_status().map_err(failed)?.json().await.map_err(failed)
}
