//! What the access agent does: changes somebody's role, because somebody else approved it.

use serde_json::json;

use super::{Agent, Part};
use crate::error::Problem;
use crate::receipt::Receipt;
use crate::run::RunSpec;

/// Whose role is changed.
const PERSON: &str = "alice";

pub(super) async fn perform(
    agent: &Agent<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Receipt, Problem> {
    let details = agent.page(&format!("/people/{PERSON}"));

    tell("opening a run: who acts, for whom, about what, with which code");
    let spec = RunSpec {
        workflow: "access-change".to_owned(),
        agent: Some("access-agent/2.1".to_owned()),
        principal: Some("identity-team@example.com".to_owned()),
        subject: Some(PERSON.to_owned()),
        ..RunSpec::default()
    };
    let run = agent.open(spec).await?;
    agent.code(run, "access.rs", include_str!("access.rs")).await?;
    let wish = json!({ "ticket": "IAM-204", "from": "Viewer", "to": "Admin" });
    agent.log(run, "log", "Alice's team asks for more rights", wish).await?;

    tell(&agent.step(Part::Before, "capturing the person's role as it was before"));
    agent.capture(run, Part::Before, &details).await?;
    let approval = json!({ "number": "APR-118", "by": "dana@example.com" });
    agent.log(run, "approval", "Approved by the owner of the system", approval).await?;

    tell(&agent.step(
        Part::Recording,
        "changing the role through the desk's own form, recorded, each step on record",
    ));
    let rest = |milliseconds| agent.rest(milliseconds);
    let steps = json!([
        { "action": "navigate", "url": format!("{details}/role"), "pauseAfter": rest(600) },
        { "action": "select", "selector": "[name=role]", "value": "Admin" },
        { "action": "fill", "selector": "[name=approval]", "value": "APR-118", "pauseAfter": rest(800) },
        { "action": "screenshot", "name": "the form, filled in" },
        { "action": "click", "selector": "button" },
        { "action": "wait_for", "selector": "[role=status]", "pauseAfter": rest(1_000) },
    ]);
    let instead =
        (&*format!("/api/people/{PERSON}/role"), json!({ "role": "Admin", "approval": "APR-118" }));
    agent.act(run, steps, instead).await?;

    tell("asking the desk for the person's role");
    let person = agent.fetch(&format!("/api/people/{PERSON}")).await?;
    let text = format!("The desk shows the role {}", person["role"].as_str().unwrap_or_default());
    agent.log(run, "tool-call", &text, person).await?;

    tell(&agent.step(Part::After, "capturing the person's role as it is after"));
    agent.capture(run, Part::After, &details).await?;

    tell("sealing the run: manifest, signature, seal");
    agent.client.seal(run, Some("succeeded"), Some("The role was changed as approved")).await
}
