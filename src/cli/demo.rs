//! `exhibit demo`: runs the demonstration and says where to look.

use std::path::{Path, PathBuf};

use super::runs::completeness;
use super::{Common, in_file, out};
use crate::clock::Clock;
use crate::config::{Log, LogFormat};
use crate::daemon::logging;
use crate::demo::{
    self,
    scenario::{Part, Scenario},
};
use crate::error::{Problem, exit};
use crate::tasks::Tasks;

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// Folder for the store, the keys and the socket [default: a new one among the temporary files]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// What is shown
    #[arg(long, value_enum, default_value_t = Scenario::Refund)]
    scenario: Scenario,
    /// Leave something out, to see what is said of an incomplete run; may be given several times
    #[arg(long, value_enum, value_name = "PART")]
    without: Vec<Part>,
    /// Only serve the scenario's application, for programs of your own, until interrupted
    #[arg(long, conflicts_with_all = ["store", "without"])]
    desk: bool,
}

/// Serve an application until somebody interrupts.
async fn desk(scenario: Scenario) -> Result<u8, Problem> {
    let tasks = Tasks::new();
    let address = scenario.open_desk(Clock::system(), &tasks).await;
    out::line(address.map_err(|error| Problem::internal("starting the application", error))?);
    let interrupted = tokio::signal::ctrl_c().await;
    tasks.stop();
    interrupted.map_err(|error| Problem::internal("waiting for the interrupt", error))?;
    Ok(exit::OK)
}

pub(super) async fn demo(common: &Common, demo: Demo) -> Result<u8, Problem> {
    logging::start(&Log { filter: "error".to_owned(), format: LogFormat::Human })?;
    if demo.desk {
        return desk(demo.scenario).await;
    }
    let home = match demo.store {
        Some(home) => home,
        None => {
            let made = tempfile::Builder::new().prefix("exhibit-demo-").tempdir();
            made.map_err(|error| in_file(&std::env::temp_dir(), error))?.keep()
        }
    };
    let mut steps = out::Steps::new();
    let done = demo::run(&home, demo.scenario, demo.without, &mut |step| steps.begin(step)).await;
    drop(steps);
    let done = done?;
    if common.json {
        out::json(&serde_json::json!({
            "folder": done.folder,
            "store": done.store,
            "trust": done.trust,
            "allowed_signers": done.allowed_signers,
            "receipt": done.receipt,
            "report": done.report,
        }));
        return Ok(done.report.exit());
    }
    if done.without_sandbox {
        out::note(
            "note: running as root, so Chromium ran without its sandbox; provenance.json says so",
        );
    }
    let intact = done.report.exit() == exit::OK;
    let verdict = if intact { "intact" } else { "NOT INTACT" };
    out::line(format!("sealed folder    {}", done.folder.display()));
    out::line(format!(
        "verified         {verdict}, {} files, {} bytes",
        done.report.files, done.report.bytes
    ));
    for line in completeness(done.receipt.completeness.as_ref(), None) {
        out::line(format!("completeness     {line}"));
    }
    for finding in &done.report.findings {
        out::line(format!("                 {finding}"));
    }
    out::line(format!("signed by        {}", done.receipt.key));
    if let Some(place) = &done.report.logged {
        out::line(format!("logged           {place}"));
    }
    out::line(format!("whom to trust    {}", done.trust.display()));
    out::line("");
    out::line("Look at the report in a browser, or at the pictures and the recording:");
    out::line(format!("  {}", done.folder.join(crate::report::FILE).display()));
    for picture in pictures(&done.folder) {
        out::line(format!("  {}", picture.display()));
    }
    out::line("");
    out::line("Check it without us:");
    out::line(format!("  cd {}", done.folder.display()));
    out::line("  sha256sum --strict --quiet -c tagmanifest-sha256.txt manifest-sha256.txt");
    out::line(format!(
        "  ssh-keygen -Y verify -f {} -I {} -n evidence@exhibit \\",
        done.allowed_signers.display(),
        done.principal
    ));
    out::line("      -s tagmanifest-sha256.txt.sig < tagmanifest-sha256.txt");
    out::line("  less VERIFY.txt");
    let (trust, store) = (done.trust.display(), done.store.display());
    out::line(
        "Check the whole store and its log, with stock tools (in the sources) or with Exhibit:",
    );
    out::line(format!("  docs/verify.sh --trust {trust} --store {store}"));
    out::line(format!("  {} verify --trust {trust} {store}", program()));
    Ok(done.report.exit())
}

/// How this program was called: it need not be on the PATH.
fn program() -> String {
    let called = std::env::args_os().next().unwrap_or_default();
    if called.is_empty() { "exhibit".to_owned() } else { called.to_string_lossy().into_owned() }
}

/// The screenshots in an evidence folder, in the order in which they were taken, and recordings.
fn pictures(folder: &Path) -> Vec<PathBuf> {
    let captures = std::fs::read_dir(folder.join("data/captures")).into_iter().flatten().flatten();
    let mut pictures: Vec<_> = captures.map(|one| one.path().join("screenshot.png")).collect();
    pictures.sort();
    let recordings =
        std::fs::read_dir(folder.join("data/recordings")).into_iter().flatten().flatten();
    let recordings = recordings.map(|one| one.path());
    pictures.extend(recordings.filter(|path| path.extension().is_some_and(|end| end == "mp4")));
    pictures
}
