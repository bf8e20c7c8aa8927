//! What the refund agent does: looks, decides, acts through the desk's own form, and shows what came
//! of it.

use serde_json::{Map, Value, json};

use super::{Agent, Part};
use crate::error::Problem;
use crate::receipt::Receipt;
use crate::run::RunSpec;

/// The transaction that is refunded.
const TRANSACTION: &str = "TX-1042";

pub(super) async fn perform(
    agent: &Agent<'_>,
    tell: &mut dyn FnMut(&str),
) -> Result<Receipt, Problem> {
    let details = agent.page(&format!("/transactions/{TRANSACTION}"));

    tell("opening a run: who acts, for whom, about what, with which code");
    let run = agent.open(spec()).await?;
    agent.code(run, "refund.rs", include_str!("refund.rs")).await?;
    let ticket = json!({ "ticket": "SUP-7731" });
    agent.log(run, "log", "A customer asks for a refund", ticket).await?;

    tell(&agent.step(Part::Before, "capturing the transaction as it was before"));
    agent.capture(run, Part::Before, &details).await?;
    let reason = "Duplicate charge, confirmed by the customer";
    let data = json!({ "transaction": TRANSACTION, "amount": "48.50", "rule": "duplicate-charge" });
    agent.log(run, "decision", "Refund approved: the charge is a duplicate", data).await?;

    tell(&agent.step(
        Part::Recording,
        "processing the refund through the desk's own form, recorded, each step on record",
    ));
    let rest = |milliseconds| agent.rest(milliseconds);
    let steps = json!([
        { "action": "navigate", "url": format!("{details}/refund"), "pauseAfter": rest(600) },
        { "action": "fill", "selector": "[name=amount]", "value": "48.50", "pauseAfter": rest(600) },
        { "action": "fill", "selector": "[name=reason]", "value": reason, "pauseAfter": rest(800) },
        { "action": "screenshot", "name": "the form, filled in" },
        { "action": "click", "selector": "button" },
        { "action": "wait_for", "selector": ".done", "pauseAfter": rest(1_200) },
        { "action": "screenshot", "name": "the confirmation" },
    ]);
    let instead = (
        &*format!("/api/transactions/{TRANSACTION}/refund"),
        json!({ "amount": "48.50", "reason": reason }),
    );
    agent.act(run, steps, instead).await?;

    tell("asking the desk for the transaction's status");
    let status = agent.fetch(&format!("/api/transactions/{TRANSACTION}")).await?;
    agent.log(run, "tool-call", "The desk shows the refund", status).await?;

    tell(&agent.step(Part::After, "capturing the transaction as it is after"));
    agent.capture(run, Part::After, &details).await?;

    tell("sealing the run: manifest, signature, seal");
    agent.client.seal(run, Some("succeeded"), Some("The duplicate charge was refunded")).await
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
        labels,
        ..RunSpec::default()
    }
}
