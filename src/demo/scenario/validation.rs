//! What the validation agent does: runs the checks of a batch, and shows what they found.

use serde_json::json;

use super::{Agent, Part};
use crate::error::Problem;
use crate::receipt::Receipt;
use crate::run::RunSpec;

/// The batch that is checked.
const BATCH: &str = "2026-11";

pub(super) async fn perform(
    agent: &Agent<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Receipt, Problem> {
    let details = agent.page(&format!("/batches/{BATCH}"));

    tell("opening a run: who acts, for whom, about what, with which code");
    let spec = RunSpec {
        workflow: "data-validation".to_owned(),
        agent: Some("validation-agent/0.9".to_owned()),
        principal: Some("data-team@example.com".to_owned()),
        subject: Some(format!("payments {BATCH}")),
        ..RunSpec::default()
    };
    let run = agent.open(spec).await?;
    agent.code(run, "validation.rs", include_str!("validation.rs")).await?;
    agent.log(run, "log", "The batch has arrived", json!({ "batch": BATCH })).await?;

    tell(&agent.step(Part::Before, "capturing the batch as it arrived"));
    agent.capture(run, Part::Before, &details).await?;

    tell(&agent.step(Part::Recording, "running the checks, recorded, each step on record"));
    let steps = json!([
        { "action": "navigate", "url": details, "pauseAfter": agent.rest(600) },
        { "action": "click", "selector": "button" },
        { "action": "wait_for", "selector": ".check", "pauseAfter": agent.rest(1_000) },
        { "action": "screenshot", "name": "the checks" },
    ]);
    agent.act(run, steps, (&*format!("/api/batches/{BATCH}/check"), json!({}))).await?;

    tell("asking the desk what the checks found");
    let batch = agent.fetch(&format!("/api/batches/{BATCH}")).await?;
    let checks = batch["checks"].as_array().cloned().unwrap_or_default();
    let passed = !checks.is_empty() && checks.iter().all(|check| check["passed"] == true);
    let verdict = if passed { "Every check passed" } else { "A check failed" };
    agent.log(run, "decision", verdict, json!({ "checks": checks })).await?;

    tell(&agent.step(Part::After, "capturing the batch with its checks"));
    agent.capture(run, Part::After, &details).await?;

    tell("sealing the run: manifest, signature, seal");
    let outcome = if passed { "succeeded" } else { "failed" };
    agent.client.seal(run, Some(outcome), Some(verdict)).await
}
