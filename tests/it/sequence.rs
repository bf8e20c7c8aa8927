//! Sequences: steps taken in one page, each on record, each output a capture.

use base64::Engine as _;
use exhibit::clock::Clock;
use exhibit::demo::desk::Desk;
use exhibit::tasks::Tasks;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::site::Site;

async fn run(daemon: &TestDaemon, steps: Value) -> Reply {
    daemon.post("/api/v1/sequence", json!({ "steps": steps })).await
}

/// The text of a sealed run's capture's document.
fn dom(daemon: &TestDaemon, run: &str, capture: &Value) -> String {
    daemon.unpacked(run, capture.as_str().expect("a name"), "dom.html.zst")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_is_processed_through_the_form_under_evidence() {
    let daemon = TestDaemon::start().await;
    let tasks = Tasks::new();
    let desk = Desk::start(Clock::system(), &tasks).await.expect("the desk opens").url();
    let form = format!("{desk}/transactions/TX-1042/refund");
    let steps = json!([
        { "action": "navigate", "url": form },
        { "action": "fill", "selector": "[name=amount]", "value": "48.50" },
        { "action": "fill", "selector": "[name=reason]", "value": "Duplicate charge" },
        { "action": "screenshot", "name": "form" },
        { "action": "click", "selector": "button" },
        { "action": "wait_for", "selector": ".done" },
        { "action": "screenshot", "name": "confirmation", "format": "jpeg", "fullPage": true },
        { "action": "pdf", "name": "receipt" },
    ]);
    let reply = run(&daemon, steps).await.ok();
    let answer = reply.json();
    assert_eq!((&answer["steps_completed"], &answer["total_steps"]), (&json!(8), &json!(8)));
    let statuses = answer["step_results"].as_array().expect("a list");
    assert!(statuses.iter().all(|step| step["status"] == "ok"), "{statuses:?}");
    let outputs = answer["outputs"].as_array().expect("a list");
    let told: Vec<_> = outputs
        .iter()
        .map(|output| (output["name"].as_str(), output["content_type"].as_str()))
        .collect();
    let wanted =
        [("form", "image/png"), ("confirmation", "image/jpeg"), ("receipt", "application/pdf")];
    assert_eq!(told, wanted.map(|(name, kind)| (Some(name), Some(kind))));
    assert_eq!(answer["usage"]["outputs_charged"], 3);

    let id = reply.run();
    daemon.assert_verifies(&id);
    for (output, file) in outputs.iter().zip(["screenshot.png", "screenshot.jpeg", "document.pdf"])
    {
        let data = output["data"].as_str().expect("base64");
        let bytes = base64::engine::general_purpose::STANDARD.decode(data).expect("base64");
        let capture = output["capture"].as_str().expect("a name");
        let kept = daemon.sealed(&id).join("data/captures").join(capture).join(file);
        assert_eq!(std::fs::read(kept).expect("kept"), bytes, "{file}");
    }
    let after = dom(&daemon, &id, &outputs[1]["capture"]);
    assert!(after.contains("Refunded 48.50 €: Duplicate charge"), "{after}");
    let events = daemon.events(&id);
    let steps: Vec<_> = events.iter().filter(|event| event["kind"] == "step.done").collect();
    assert_eq!(steps.len(), 8);
    assert_eq!(steps[1]["data"]["value"], "48.50");
    let click = &steps[4]["data"];
    assert_eq!(click["before"]["url"], json!(form));
    assert!(
        click["after"]["url"].as_str().expect("an address").ends_with("/confirmation"),
        "{click}"
    );
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_does_what_a_person_would_and_passwords_stay_out() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let steps = json!([
        { "action": "navigate", "url": site.url("/form") },
        { "action": "fill", "selector": "#user", "value": "alice" },
        { "action": "fill", "selector": "#pin", "value": "hunter2secret" },
        { "action": "fill", "selector": "#note", "value": "two\nlines" },
        { "action": "select", "selector": "#role", "value": "Admin" },
        { "action": "hover", "selector": "#hover" },
        { "action": "dblclick", "selector": "#hover" },
        { "action": "press_key", "key": "Escape", "selector": "#user" },
        { "action": "evaluate", "script": "heard.push('evaluated')" },
        { "action": "wait", "ms": 10 },
        { "action": "scroll", "selector": "#below" },
        { "action": "scroll", "y": -90_000 },
        { "action": "press_key", "key": "Enter", "selector": "#user" },
        { "action": "screenshot" },
    ]);
    let reply = run(&daemon, steps).await.ok();
    let answer = reply.json();
    assert_eq!(answer["steps_completed"], 14, "{}", answer["step_results"]);
    let id = reply.run();
    daemon.assert_verifies(&id);
    let heard = dom(&daemon, &id, &answer["outputs"][0]["capture"]);
    for told in [
        "user alice",
        "pin of 13",
        "note two",
        "role a",
        "hovered",
        "double",
        "key Escape",
        "evaluated",
        "key Enter",
        "sent at 0",
    ] {
        assert!(heard.contains(told), "{told} was not heard: {heard}");
    }
    for (file, bytes) in daemon.contents(&id) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("hunter2secret"), "{file}");
    }
    let fill = daemon.events(&id);
    let fill = fill
        .iter()
        .find(|event| event["data"]["selector"] == "#pin" && event["kind"] == "step.done");
    assert_eq!(fill.expect("the step")["data"]["value"], "[redacted]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_fails_is_told_inside_the_answer_and_ends_it_unless_optional() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let go = json!({ "action": "navigate", "url": site.url("/ok") });
    let lost = json!({ "action": "click", "selector": "#absent" });
    let shot = json!({ "action": "screenshot" });
    let mut optional = lost.clone();
    optional["optional"] = json!(true);

    let reply = run(&daemon, json!([go, lost, shot])).await.ok();
    let answer = reply.json();
    assert_eq!((&answer["steps_completed"], &answer["outputs"]), (&json!(1), &json!([])));
    let failed = &answer["step_results"][1];
    assert_eq!(
        (&failed["status"], &failed["code"]),
        (&json!("error"), &json!("selector_not_found"))
    );
    assert_eq!(
        answer["step_results"].as_array().expect("a list").len(),
        2,
        "the rest was not tried"
    );
    daemon.assert_verifies(&reply.run());
    let sealed = daemon.events(&reply.run());
    assert_eq!(sealed.last().expect("the last")["data"]["outcome"], "failed");

    let reply = run(&daemon, json!([go, optional, shot])).await.ok();
    let answer = reply.json();
    assert_eq!(answer["outputs"].as_array().expect("a list").len(), 1);
    assert_eq!(answer["steps_completed"], 2);
    daemon.assert_verifies(&reply.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_holds_for_every_step() {
    let site = Site::start().await;
    let daemon = TestDaemon::start_with(|config| {
        config.policy.deny_hosts = vec!["localhost".to_owned()];
    })
    .await;
    let denied = site.url("/ok").replace("127.0.0.1", "localhost");
    let shot = json!({ "action": "screenshot" });
    let reply = run(&daemon, json!([{ "action": "navigate", "url": denied }, shot])).await;
    assert_eq!((reply.refusal().0, reply.refusal().1.as_str()), (403, "target_forbidden"));
    daemon.assert_verifies(&reply.run());

    let script = format!("location.href = '{denied}'");
    let steps = json!([
        { "action": "navigate", "url": site.url("/ok") },
        { "action": "evaluate", "script": script },
        shot,
    ]);
    let reply = run(&daemon, steps).await.ok();
    let answer = reply.json();
    assert_eq!(answer["outputs"], json!([]), "nothing of it is handed out");
    assert_eq!(answer["step_results"][1]["code"], "target_forbidden");
    daemon.assert_verifies(&reply.run());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sequence_can_be_part_of_a_run_and_go_by_its_other_name() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let id = daemon.open_run("refund").await;
    let steps =
        json!([{ "action": "navigate", "url": site.url("/ok") }, { "action": "screenshot" }]);
    let request = daemon.request(reqwest::Method::POST, "/v1/run_sequence");
    let request = request.header("x-exhibit-run", &id).header("x-exhibit-stage", "after");
    let answer = daemon.send(request.json(&json!({ "steps": steps }))).await.ok().json();
    assert_eq!(answer["outputs"][0]["capture"], "0001-after");
    daemon.post(&format!("/v1/runs/{id}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&id);
}
