//! Operators see everybody's runs by the API and the command line, as they do on the page, and are on
//! record for what they saw of others'; whoever opened a run sees it, and nobody else does.

use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::process::{exhibit, told};

/// A daemon with a socket for operators (this test's user is the daemon's) and a port for keys.
struct Bench {
    daemon: TestDaemon,
    key: String,
    http: reqwest::Client,
}

impl Bench {
    async fn new() -> Self {
        let daemon = TestDaemon::start_with(|config| {
            config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
        })
        .await;
        let ring = daemon.folder.path().join("keys/api-keys.json");
        let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("no keys yet");
        let made = ring.add("agent", exhibit::clock::Clock::system().now()).expect("made");
        let key = made.0.expose().clone();
        Self { daemon, key, http: exhibit::http::client().build().expect("a client") }
    }

    /// An agent's request, by its key.
    async fn agent(&self, method: &str, path: &str, body: Value) -> crate::harness::Reply {
        let address = self.daemon.daemon().tcp().expect("listening");
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("http://{address}{path}"));
        self.daemon.send(request.header("x-api-key", &self.key).json(&body)).await
    }

    async fn opened_by_agent(&self) -> String {
        let opened = self.agent("POST", "/v1/runs", json!({ "workflow": "refund" })).await;
        opened.ok().json()["run"].as_str().expect("an id").to_owned()
    }

    /// The runs that an operator is listed, with `query`.
    async fn listed(&self, query: &str) -> Vec<String> {
        let listed = self.daemon.get(&format!("/v1/runs{query}")).await.ok().json();
        let runs = listed["runs"].as_array().expect("a list").clone();
        runs.iter().map(|run| run["run"].as_str().expect("an id").to_owned()).collect()
    }

    /// How often the access log names `run`, by whoever did what.
    fn views(&self, run: &str) -> Vec<Value> {
        let socket = self.daemon.daemon().socket().display().to_string();
        let store = self.daemon.store().display().to_string();
        let home = self.daemon.folder.path();
        let (code, text) =
            told(home, &["--socket", &socket, "custody", run, "--store", &store, "--json"]);
        assert_eq!(code, 0, "{text}");
        let events: Value = serde_json::from_str(&text).expect("JSON");
        events.as_array().expect("a list").iter().map(|event| event["act"].clone()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_the_runs_of_all_and_is_on_record_for_those_of_others() {
    let bench = Bench::new().await;
    let (open, sealed) = (bench.opened_by_agent().await, bench.opened_by_agent().await);
    bench.agent("POST", &format!("/v1/runs/{sealed}/seal"), json!({})).await.ok();
    let own = bench.daemon.open_run("nightly").await;

    let all = bench.listed("").await;
    assert!([&open, &sealed, &own].iter().all(|run| all.contains(run)), "{all:?}");
    assert_eq!(bench.listed("?mine=true").await, std::slice::from_ref(&own));
    assert_eq!(
        bench.listed("?verdict=incomplete").await,
        std::slice::from_ref(&sealed),
        "of another's, too"
    );
    assert!(bench.views(&sealed).is_empty(), "a list is no look");

    for run in [&open, &sealed] {
        let shown = bench.daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
        assert_eq!((&shown["run"], &shown["workflow"]), (&json!(run), &json!("refund")));
        assert_eq!(bench.views(run), [json!("view")], "{run}");
    }
    let report = bench.daemon.get(&format!("/v1/runs/{sealed}/report")).await.ok();
    assert!(String::from_utf8_lossy(&report.body).contains(&sealed));
    assert_eq!(bench.views(&sealed).len(), 2, "the report was looked at");
    // One's own is asked for all the time, and is no look at another's.
    bench.daemon.get(&format!("/v1/runs/{own}")).await.ok();
    bench.agent("GET", &format!("/v1/runs/{sealed}"), json!({})).await.ok();
    assert!(bench.views(&own).is_empty() && bench.views(&sealed).len() == 2);

    // To see is not to act: the run stays its caller's.
    let told = bench.daemon.post(&format!("/v1/runs/{open}/seal"), json!({})).await.refusal();
    assert_eq!((told.0, told.1.as_str()), (403, "not_your_run"));
    // And an agent sees nobody else's, with the remedy.
    for path in [format!("/v1/runs/{own}"), format!("/v1/runs/{own}/report")] {
        let refused = bench.agent("GET", &path, json!({})).await;
        assert_eq!(refused.status, 403, "{path}");
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert!(
            text.contains("web.viewers") && text.contains("opened by another caller"),
            "{text}"
        );
    }
    let listed = bench.agent("GET", "/v1/runs?mine=false", json!({})).await.ok().json();
    assert!(!listed.to_string().contains(&own), "an agent cannot ask for more: {listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_put_on_record_is_not_shown() {
    let bench = Bench::new().await;
    let run = bench.opened_by_agent().await;
    let custody = bench.daemon.store().join("custody");
    // Whatever the custody log would be written to is a folder now.
    let month = exhibit::clock::Clock::system().now().to_rfc3339()[..7].to_owned();
    std::fs::create_dir_all(custody.join(format!("{month}.jsonl"))).expect("made");
    let told = bench.daemon.get(&format!("/v1/runs/{run}")).await.refusal();
    assert_eq!((told.0, told.1.as_str()), (503, "custody_unwritable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_and_shows_them_in_lines_for_people() {
    let bench = Bench::new().await;
    let run = bench.opened_by_agent().await;
    let socket = bench.daemon.daemon().socket().display().to_string();
    let home = bench.daemon.folder.path();
    let cli = |arguments: &[&str]| told(home, &[&["--socket", &socket][..], arguments].concat());
    let (code, text) = cli(&["list"]);
    assert!(code == 0 && text.contains(&run), "{text}");
    let (code, text) = cli(&["list", "--mine"]);
    assert!(code == 0 && !text.contains(&run), "{text}");
    let (code, text) = cli(&["show", &run]);
    assert!(code == 0 && text.contains("retention.days") && !text.contains("{\""), "{text}");
    // What an open run lacks is said with commands, and not with requests.
    let lacks = format!("exhibit shot URL --run {run} --stage before");
    assert!(text.contains(&lacks) && !text.contains("POST /"), "{text}");
    let (code, text) = cli(&["status"]);
    assert!(code == 0 && text.contains("room.") && !text.contains("{\""), "{text}");
    for (arguments, value) in
        [(&["list", "--state", "foo"][..], "foo"), (&["list", "--verdict", "bar"], "bar")]
    {
        let output = exhibit().args(arguments).current_dir(home).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(value), "{text}");
    }
    let refused = bench.daemon.get("/v1/runs?state=foo").await;
    assert!(String::from_utf8_lossy(&refused.body).contains("`foo`"));
}
