//! What is in a page, told without a picture: `/inspect` and `/observe`.

use exhibit::clock::Clock;
use exhibit::demo::desk::Desk;
use exhibit::tasks::Tasks;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

const PAGE: &str = r#"<!doctype html><html lang="en"><head><title>Refund</title>
<meta name="description" content="Pay money back"></head><body>
<nav><a href="/home">Home</a></nav>
<main><h1>Refund <b>TX-1042</b></h1><p>The amount goes back to the card.</p>
<form id="refund" action="/refunds" method="post">
  <label for="amount">Amount</label><input id="amount" name="amount" type="number" required value="48.50">
  <label>PIN <input name="pin" type="password" value="hunter2"></label>
  <select name="reason" aria-label="Reason"><option>Duplicate</option></select>
  <button disabled>Refund</button>
</form>
<div style="display:none"><button>Hidden</button></div>
<button id="cancel" aria-expanded="true">Cancel</button>
<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=" alt="A receipt">
</main><script>console.warn("careful", 7)</script></body></html>"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_tells_what_is_there_in_the_contracts_shape() {
    let daemon = TestDaemon::start().await;
    let body = json!({ "html": PAGE, "waitUntil": "load", "includeConsole": true });
    let reply = daemon.post("/api/v1/inspect", body).await.ok();
    let told = reply.json();
    assert_eq!((&told["title"], &told["metadata"]["lang"]), (&json!("Refund"), &json!("en")));
    assert_eq!(told["metadata"]["description"], "Pay money back");
    assert_eq!(told["headings"][0]["level"], 1);
    assert_eq!(told["headings"][0]["text"], "Refund TX-1042");
    let elements = told["elements"].as_array().expect("a list");
    let amount = elements.iter().find(|one| one["selector"] == "#amount").expect("the field");
    assert_eq!((&amount["role"], &amount["text"]), (&json!("spinbutton"), &json!("Amount")));
    assert_eq!(amount["attributes"]["type"], "number");
    assert!(amount["rect"]["width"].as_f64().expect("a width") > 10.0);
    assert!(elements.iter().all(|one| one["text"] != "Hidden"), "what nobody sees is not there");
    assert_eq!(told["forms"][0]["selector"], "#refund");
    assert_eq!(told["forms"][0]["fields"], json!(["amount", "pin", "reason"]));
    assert_eq!(told["forms"][0]["method"], "post");
    assert_eq!(told["links"][0]["text"], "Home");
    assert_eq!(told["images"][0]["alt"], "A receipt");
    assert_eq!(told["console"]["messages"][0]["text"], "careful 7");
    assert!(told["duration_ms"].is_u64());
    assert!(!told.to_string().contains("hunter2") && !told.to_string().contains("48.50"));

    let run = reply.run();
    daemon.assert_verifies(&run);
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(record["inspection"]["file"], "inspection.json");
    let kept = daemon.sealed(&run).join("data/captures/0001-during/inspection.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).expect("kept")).expect("JSON");
    assert_eq!(kept["elements"], told["elements"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn selectors_lead_back_to_their_elements() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let url = site.url("/form");
    let told = daemon.post("/v1/inspect", json!({ "url": url })).await.ok().json();
    assert_eq!(told["metadata"]["httpStatusCode"], 200);
    let selectors: Vec<&Value> =
        told["elements"].as_array().expect("a list").iter().map(|one| &one["selector"]).collect();
    assert!(selectors.len() >= 3, "{selectors:?}");
    // Each matches exactly one element.
    let script = format!(
        "for (const one of {}) if (document.querySelectorAll(one).length !== 1) throw Error(one)",
        json!(selectors)
    );
    let body = json!({ "url": url, "injectJs": script, "waitUntil": "load" });
    daemon.post("/v1/inspect", body).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observation_tells_an_agent_what_it_can_do() {
    let daemon = TestDaemon::start().await;
    let body = json!({
        "html": PAGE, "waitUntil": "load", "includeRects": true, "includeContent": true,
        "includeAriaTree": true, "includeScreenshot": true, "includeConsole": true,
    });
    let reply = daemon.post("/api/v1/observe", body).await.ok();
    let told = reply.json();
    assert_eq!(told["pageType"], "login");
    let elements = told["elements"].as_array().expect("a list");
    let by_name = |name: &str| {
        elements.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{name}"))
    };
    assert_eq!(by_name("Refund")["state"], json!(["disabled"]));
    assert_eq!(by_name("Cancel")["state"], json!(["expanded"]));
    assert!(by_name("Amount")["rect"]["w"].as_f64().expect("a width") > 10.0);
    assert!(by_name("Home")["href"].is_string());
    let ids: Vec<&Value> = elements.iter().map(|one| &one["id"]).collect();
    let form = told["forms"][0]["fieldIds"].as_array().expect("ids");
    assert!(form.len() == 4 && form.iter().all(|id| ids.contains(&id)), "{form:?}");
    let actions = told["actions"].as_array().expect("a list");
    assert_eq!(actions[0]["intent"], "login");
    assert!(actions.iter().any(|action| action["intent"] == "press: Cancel"), "{actions:?}");
    let content = told["content"]["markdown"].as_str().expect("text");
    assert!(content.starts_with("# Refund **TX-1042**"), "{content}");
    assert!(!content.contains("Home"), "what is not the page's own is left out: {content}");
    let tree = told["ariaTree"].as_str().expect("a tree");
    assert!(tree.contains("- heading \"Refund TX-1042\" [level=1]"), "{tree}");
    assert!(tree.contains("- button \"Refund\" [disabled]"), "{tree}");
    assert_eq!(told["screenshot"]["format"], "jpeg");
    assert!(told["stats"]["estimatedTokens"].as_u64().expect("a number") > 50);

    let run = reply.run();
    daemon.assert_verifies(&run);
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(record["companions"][0]["file"], "screenshot.jpeg");
    let folder = daemon.sealed(&run).join("data/captures/0001-during");
    let picture = std::fs::read(folder.join("screenshot.jpeg")).expect("kept");
    assert!(picture.starts_with(&[0xff, 0xd8]));
    for (name, bytes) in daemon.contents(&run) {
        let text = String::from_utf8_lossy(&bytes);
        let own = name.contains("dom.html") || name.contains("page.mhtml");
        assert!(own || !text.contains("hunter2"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_flat_form_has_numbers_and_selectors_instead_of_elements() {
    let daemon = TestDaemon::start().await;
    let body = json!({
        "html": PAGE, "waitUntil": "load", "format": "flatdomtree", "maxElements": 3,
    });
    let told = daemon.post("/api/v1/observe", body).await.ok().json();
    assert!(told.get("elements").is_none());
    let text = told["dom_text"].as_str().expect("text");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("[2]<input type=number role=spinbutton required>Amount</input>"),
        "{text}"
    );
    assert_eq!(told["selectors"]["2"], "#amount");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_finds_its_way_through_the_desk_by_what_it_is_told() {
    let daemon = TestDaemon::start().await;
    let tasks = Tasks::new();
    let desk = Desk::start(Clock::system(), &tasks).await.expect("the desk opens").url();
    let form = format!("{desk}/transactions/TX-1042/refund");
    let run = daemon.open_run("refund").await;
    let body = json!({ "type": "observe", "url": form, "stage": "before", "waitUntil": "load" });
    let told = daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok().json();
    let named = |name: &str| {
        let elements = told["elements"].as_array().expect("a list");
        let found = elements.iter().find(|one| one["name"].as_str().unwrap_or("").contains(name));
        found.unwrap_or_else(|| panic!("no {name} in {elements:?}"))["selector"].clone()
    };
    let steps = json!([
        { "action": "navigate", "url": form },
        { "action": "fill", "selector": named("Amount"), "value": "12.00" },
        { "action": "fill", "selector": named("Reason"), "value": "Broken" },
        { "action": "click", "selector": named("Refund") },
        { "action": "screenshot", "name": "confirmation" },
    ]);
    let request = daemon.request(reqwest::Method::POST, "/v1/sequence");
    let body = json!({ "steps": steps, "observeAfterEachStep": true });
    let answer = daemon.send(request.header("x-exhibit-run", &run).json(&body)).await.ok().json();
    assert_eq!(answer["steps_completed"], 5, "{answer}");
    let states: Vec<&Value> = answer["step_results"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["state"])
        .collect();
    assert!(states.iter().all(|state| state["pageType"].is_string()), "{states:?}");
    assert_ne!(states[2]["url"], states[3]["url"]);
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    tasks.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_that_matches_nothing_gets_its_neighbours_as_a_hint() {
    let daemon = TestDaemon::start().await;
    for body in [
        json!({ "html": PAGE, "waitUntil": "load", "selector": "#amuont" }),
        json!({ "html": PAGE, "waitUntil": "load", "click": "#amuont" }),
        json!({
            "html": PAGE, "waitUntil": "load", "waitForSelector": "#amuont",
            "navigationTimeout": 1_000,
        }),
    ] {
        let reply = daemon.shot(body.clone()).await;
        assert_eq!(reply.refusal().1, "selector_not_found", "{body}");
        let hint = reply.json()["hint"].as_str().unwrap_or_default().to_owned();
        assert!(hint.contains("#amount"), "{body}: {hint}");
    }
}
