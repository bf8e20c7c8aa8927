//! The three workflows end to end: complete, and with one thing left out each time incomplete,
//! naming exactly what is missing. The same by the example programs.

use std::path::Path;
use std::process::Output;

use exhibit::client::Client;
use exhibit::clock::Clock;
use exhibit::demo::scenario::{Agent, Part, Scenario};
use exhibit::tasks::Tasks;
use exhibit::workflow::{Completeness, Verdict};
use serde_json::{Value, json};

use crate::harness::TestDaemon;

const ALL: [Scenario; 3] = [Scenario::Refund, Scenario::AccessChange, Scenario::DataValidation];

/// Kind and name of each requirement that is not met.
fn missing(judged: &Completeness) -> Vec<String> {
    let missing = judged.requirements.iter().filter(|one| !one.met);
    missing
        .map(|one| format!("{} {}", json!(one.kind).as_str().expect("a word"), one.name))
        .collect()
}

/// What a run of `scenario` lacks when `part` is left out.
fn expected(scenario: Scenario, part: Part) -> Vec<&'static str> {
    let recorded = scenario == Scenario::Refund;
    let approved = scenario == Scenario::AccessChange;
    let mut lacking = match part {
        Part::Log => vec!["layer log"],
        Part::Code => vec!["layer code", "field code"],
        Part::Visual => vec!["layer visual", "stage before", "stage after"],
        Part::Before => vec!["stage before"],
        Part::After => vec!["stage after"],
        Part::Agent => vec!["field agent"],
        Part::Subject => vec!["field subject"],
        Part::Principal if scenario != Scenario::DataValidation => vec!["field principal"],
        Part::Approval if approved => vec!["field approval"],
        Part::Recording | Part::Principal | Part::Approval => Vec::new(),
    };
    if recorded && matches!(part, Part::Recording | Part::Visual) {
        lacking.push("recording recording");
    }
    if approved && part == Part::Log {
        lacking.push("field approval");
    }
    lacking
}

async fn matrix(scenario: Scenario) {
    let daemon = TestDaemon::start().await;
    let client = Client::unix(daemon.daemon().socket()).expect("a client");
    let parts = [
        Part::Log,
        Part::Code,
        Part::Visual,
        Part::Before,
        Part::After,
        Part::Recording,
        Part::Approval,
        Part::Agent,
        Part::Principal,
        Part::Subject,
    ];
    for part in std::iter::once(None).chain(parts.map(Some)) {
        let tasks = Tasks::new();
        let desk = scenario.open_desk(Clock::system(), &tasks).await.expect("the desk opens");
        let without = part.into_iter().collect();
        let agent = Agent { client: &client, desk, without, calm: false };
        let receipt = agent.perform(scenario, &mut |_| {}).await;
        let receipt = receipt.unwrap_or_else(|problem| panic!("{part:?}: {problem:?}"));
        tasks.stop();
        let judged = receipt.completeness.expect("a policy");
        let expected = part.map_or_else(Vec::new, |part| expected(scenario, part));
        assert_eq!(missing(&judged), expected, "{scenario:?} without {part:?}");
        let complete = judged.verdict == Verdict::Complete;
        assert_eq!(complete, expected.is_empty(), "{scenario:?} without {part:?}");
        daemon.assert_verifies(&receipt.run.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_complete_or_says_what_is_missing() {
    matrix(Scenario::Refund).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_change_is_complete_or_says_what_is_missing() {
    matrix(Scenario::AccessChange).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_validation_is_complete_or_says_what_is_missing() {
    matrix(Scenario::DataValidation).await;
}

#[track_caller]
fn answered(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_program_makes_a_complete_run() {
    let daemon = TestDaemon::start().await;
    let socket = daemon.folder.path().join("exhibit.sock");
    for scenario in ALL {
        for (program, ending) in [("python3", "py"), ("bash", "sh")] {
            let tasks = Tasks::new();
            let desk = scenario.open_desk(Clock::system(), &tasks).await.expect("the desk opens");
            let name = format!("{}.{ending}", scenario.workflow().replace('-', "_"));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(&name);
            let mut command = tokio::process::Command::new(program);
            command.arg(path).arg(&socket).arg(&desk);
            let output = command.output().await.expect("it starts");
            tasks.stop();
            let receipt = answered(&output);
            assert_eq!(receipt["completeness"]["verdict"], "complete", "{name}: {receipt}");
            assert_eq!(receipt["outcome"], "succeeded", "{name}");
            daemon.assert_verifies(receipt["run"].as_str().expect("an id"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_example_program_that_fails_leaves_its_run_sealed_as_failed() {
    let daemon = TestDaemon::start().await;
    let socket = daemon.folder.path().join("exhibit.sock");
    // Nobody serves this desk, so that the first capture fails.
    let desk = crate::site::refused_url();
    for (program, name) in [("python3", "refund.py"), ("bash", "access_change.sh")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        let mut command = tokio::process::Command::new(program);
        command.arg(path).arg(&socket).arg(desk.trim_end_matches('/'));
        let output = command.output().await.expect("it starts");
        assert!(!output.status.success(), "{name} succeeded without a desk");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let run = said.split("failed: run ").nth(1).and_then(|rest| rest.split(' ').next());
        let run = run.unwrap_or_else(|| panic!("{name} names no run: {said}"));
        let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
        assert_eq!((&shown["state"], &shown["outcome"]), (&json!("sealed"), &json!("failed")));
        daemon.assert_verifies(run);
    }
}
