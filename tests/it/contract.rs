//! The hosted API's wire contract, held by a client that was written from it alone
//! (`tests/contract/client.py`), and the folders of all it did.

use serde_json::Value;

use crate::harness::TestDaemon;
use crate::site::Site;

/// Longest the client may take: it makes some two hundred captures.
const LIMIT: std::time::Duration = std::time::Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn the_contracts_client_finds_everything_as_it_is_written() {
    let site = Site::start().await;
    let daemon = TestDaemon::start_with(|config| {
        config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
    })
    .await;
    let ring = daemon.folder.path().join("keys/api-keys.json");
    let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("no keys yet");
    let (key, _) = ring.add("contract", exhibit::clock::Clock::system().now()).expect("made");

    let mut client = tokio::process::Command::new("python3");
    client.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/client.py"));
    client.env("EXHIBIT_URL", format!("http://{}", daemon.daemon().tcp().expect("listening")));
    client.env("EXHIBIT_KEY", key.expose()).env("CONTRACT_SITE", site.url("")).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, client.output()).await.expect("it ends in time");
    let output = output.expect("scripts/setup makes sure of python3");
    let (told, wrong) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let failed: Vec<&str> = told.lines().filter(|line| line.starts_with("FAIL")).collect();
    assert!(output.status.success(), "{}\n{wrong}", failed.join("\n"));

    let summary: Value = serde_json::from_str(told.lines().last().expect("a line")).expect("JSON");
    assert!(summary["checks"].as_u64().expect("a number") > 600, "{summary}");
    let runs = summary["runs"].as_array().expect("a list");
    assert!(runs.len() > 150, "{} runs", runs.len());
    for run in runs {
        daemon.assert_verifies(run.as_str().expect("an id"));
    }
}
