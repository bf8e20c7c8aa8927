//! Runs from opening to seal, by their callers, by time, and by the daemon's own end.

use std::time::Duration;

use serde_json::json;

use crate::harness::{LIMIT, TestDaemon, eventually, processes_with};
use crate::site::Site;

#[tokio::test(flavor = "multi_thread")]
async fn a_run_holds_all_three_layers_and_verifies() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let spec = json!({
        "workflow": "refund", "agent": "refund-bot", "principal": "lead@example.com",
        "subject": "TX-1", "controls": ["PI1.4"], "code": { "commit": "c0ffee" },
        "labels": { "ratio": 0.1 },
    });
    let opened = daemon.post("/v1/runs", spec).await.ok();
    assert_eq!(opened.status, 201);
    let run = opened.json()["run"].as_str().expect("an id").to_owned();
    let path = |rest: &str| format!("/v1/runs/{run}/{rest}");

    let events =
        json!([{ "message": "asked" }, { "kind": "decision", "data": { "amount": 48.5 } }]);
    let recorded = daemon.post(&path("events"), events).await.ok().json();
    assert_eq!(recorded["recorded"][1]["sequence"], 3);
    let body = json!({ "stage": "before", "url": site.url("/ok"), "waitUntil": "load" });
    let before = daemon.post(&path("captures"), body).await.ok().json();
    assert_eq!(before["evidence"]["capture"], "0001-before");
    assert!(before["evidence"].get("receipt").is_none(), "the run goes on");

    // The compatible endpoint takes the run by header, and answers with bytes.
    let request = daemon.request(reqwest::Method::POST, "/api/v1/screenshot");
    let request = request.header("X-Exhibit-Run", &run).header("X-Exhibit-Stage", "after");
    let after =
        daemon.send(request.json(&json!({ "url": site.url("/ok"), "waitUntil": "load" }))).await;
    assert_eq!(after.ok().header("content-type"), Some("image/png"));

    let request = daemon.request(reqwest::Method::POST, &path("attachments?name=review.txt"));
    let request = request.header("content-type", "text/plain").body("approved by two");
    daemon.send(request).await.ok();
    let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
    assert_eq!((&shown["state"], &shown["captures"]), (&json!("open"), &json!(2)));

    let receipt = daemon.post(&path("seal"), json!({ "outcome": "succeeded" })).await.ok().json();
    assert_eq!((&receipt["state"], &receipt["outcome"]), (&json!("sealed"), &json!("succeeded")));
    daemon.assert_verifies(&run);
    let folder = daemon.sealed(&run);
    assert_eq!(receipt["folder"], json!(folder.strip_prefix(daemon.store()).expect("below")));
    let tags = std::fs::read(folder.join("tagmanifest-sha256.txt")).expect("there");
    assert_eq!(receipt["tagmanifest_sha256"], exhibit::digest::Digest::of(&tags).to_string());
    let kept = std::fs::read_to_string(folder.join("data/attachments/review.txt"));
    assert_eq!(kept.expect("there"), "approved by two");
    assert!(folder.join("data/captures/0002-after/screenshot.png").exists());

    let late = [
        ("events", json!({ "message": "late" })),
        ("captures", json!({ "url": site.url("/ok") })),
        ("attachments?name=late", json!({})),
        ("seal", json!({})),
    ];
    for (rest, body) in late {
        let told = daemon.post(&path(rest), body).await.refusal();
        assert_eq!((told.0, told.1.as_str()), (409, "run_sealed"), "{rest}");
    }
    let listed = daemon.get("/v1/runs?workflow=refund&state=sealed").await.ok().json();
    assert_eq!(listed["runs"][0]["run"], json!(run));
    assert_eq!(daemon.get(&format!("/v1/runs/{run}")).await.ok().json()["state"], "sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_a_run_is_refused_by_name() {
    let daemon = TestDaemon::start_with(|config| {
        config.runs.max_open = 2;
        config.runs.max_events = 5;
        config.runs.max_attachment = 1_000;
    })
    .await;
    let run = daemon.open_run("refund").await;
    let attach = async |name: &str, body: Vec<u8>| {
        let path = format!("/v1/runs/{run}/attachments?name={name}");
        daemon.send(daemon.request(reqwest::Method::POST, &path).body(body)).await
    };
    for name in ["..%2Fx", "a%2Fb", ".hidden", "", "a%20b", "-x", "x.partial", &"x".repeat(101)] {
        let told = attach(name, b"x".to_vec()).await.refusal();
        assert_eq!((told.0, told.1.as_str()), (400, "invalid_field"), "{name}");
    }
    attach("taken", b"x".to_vec()).await.ok();
    let taken = attach("taken", b"y".to_vec()).await.refusal();
    assert_eq!((taken.0, taken.1.as_str()), (409, "name_taken"));
    let large = attach("large", vec![0; 1_001]).await.refusal();
    assert_eq!((large.0, large.1.as_str()), (413, "body_too_large"));
    attach("large", vec![0; 1_000]).await.ok();

    for id in ["..%2F..%2Fetc", "%2e%2e", "x", &run.to_uppercase()] {
        let told = daemon.get(&format!("/v1/runs/{id}")).await.refusal();
        assert!(matches!(told.1.as_str(), "invalid_field" | "no_such_endpoint"), "{id}: {told:?}");
    }
    for path in ["/v1/runs?limit=many", "/v1/runs?limit=0", "/v1/runs?state=lost", "/v1/runs/%ff"] {
        let told = daemon.get(path).await.refusal();
        assert_eq!((told.0, told.1.as_str()), (400, "invalid_field"), "{path}");
    }
    let unknown = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";
    let told = daemon.get(&format!("/v1/runs/{unknown}")).await.refusal();
    assert_eq!((told.0, told.1.as_str()), (404, "run_not_found"));
    for (rest, body) in [
        ("events", json!({ "message": "x" })),
        ("captures", json!({ "url": "http://127.0.0.1:1/" })),
        ("attachments?name=x", json!({})),
        ("seal", json!({})),
    ] {
        let told = daemon.post(&format!("/v1/runs/{unknown}/{rest}"), body).await.refusal();
        assert_eq!((told.0, told.1.as_str()), (404, "run_not_found"), "{rest}");
    }
    for (id, wanted) in [(unknown, (404, "run_not_found")), ("../x", (400, "invalid_field"))] {
        let request = daemon.request(reqwest::Method::POST, "/v1/screenshot");
        let request = request.header("X-Exhibit-Run", id);
        let told = daemon.send(request.json(&json!({ "url": "http://127.0.0.1:1/" }))).await;
        let told = told.refusal();
        assert_eq!((told.0, told.1.as_str()), wanted, "{id}");
    }

    let events = |count: usize| json!(vec![json!({ "message": "x" }); count]);
    let path = format!("/v1/runs/{run}/events");
    assert_eq!(daemon.post(&path, events(3)).await.refusal().1, "invalid_field", "over the limit");
    for kind in ["run.opened", "run.sealed", "run.recovered", "capture.taken", "attachment.added"] {
        let told = daemon.post(&path, json!({ "kind": kind, "message": "x" })).await.refusal();
        assert_eq!((told.1.as_str(), told.2.as_str()), ("invalid_field", "kind"), "{kind}");
    }
    // Three are there: the opening and two attachments.
    daemon.post(&path, events(2)).await.ok();
    assert_eq!(daemon.post(&path, events(1)).await.refusal().1, "invalid_field", "at the limit");
    daemon.open_run("refund").await;
    let third = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await;
    assert_eq!((third.refusal().0, third.refusal().1), (429, "too_many_runs".to_owned()));
    assert!(third.json()["error"].as_str().expect("a sentence").contains("runs.max_open"));

    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seal_waits_for_the_capture_under_way_and_includes_it() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("refund").await;
    let body = json!({ "stage": "during", "url": site.url("/never-loads"), "waitUntil": "load" });
    let (captures, seal) = (format!("/v1/runs/{run}/captures"), format!("/v1/runs/{run}/seal"));
    let capture = daemon.post(&captures, body);
    let sealing = async {
        site.wait_for_request("/held.png").await;
        let releasing = async {
            // Long enough for the seal to arrive and, if it did not wait, to be done.
            for _ in 0..50 {
                let shown = daemon.get(&format!("/v1/runs/{run}")).await.ok().json();
                assert_eq!(shown["state"], "open");
            }
            site.release();
        };
        let (sealed, ()) = tokio::join!(daemon.post(&seal, json!({})), releasing);
        sealed.ok()
    };
    let (captured, _) = tokio::join!(capture, sealing);
    captured.ok();
    daemon.assert_verifies(&run);
    assert!(daemon.kinds(&run).contains(&"capture.taken".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_changes_nothing() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let body = json!({ "url": site.url("/never-loads"), "waitUntil": "load" });
    let hanging_up = async {
        site.wait_for_request("/held.png").await;
    };
    tokio::select! {
        reply = daemon.shot(body) => panic!("answered too early: {}", reply.status),
        () = hanging_up => {}
    }
    site.release();
    eventually("the capture is completed and sealed", async || {
        let runs = daemon.get("/v1/runs?state=sealed").await.ok().json();
        runs["runs"][0]["outcome"] == "succeeded"
    })
    .await;
    let runs = daemon.get("/v1/runs").await.ok().json();
    daemon.assert_verifies(runs["runs"][0]["run"].as_str().expect("an id"));
}

#[tokio::test(flavor = "multi_thread")]
async fn more_captures_than_may_wait_are_refused_at_once() {
    let daemon = TestDaemon::start_with(|config| {
        config.capture.concurrent = 1;
        config.capture.queue = 1;
    })
    .await;
    let site = Site::start().await;
    let slow = json!({ "url": site.url("/never-loads"), "waitUntil": "load" });
    let (first, second) = (daemon.shot(slow.clone()), daemon.shot(slow));
    let third = async {
        site.wait_for_request("/held.png").await;
        let status = async || daemon.get("/v1/status").await.ok().json();
        eventually("one waits", async || status().await["captures_waiting"] == 1).await;
        let refused = daemon.quick_shot(&site.url("/ok")).await;
        assert_eq!((refused.refusal().0, refused.refusal().1), (429, "busy".to_owned()));
        assert_eq!(refused.header("retry-after"), Some("1"));
        site.release();
    };
    let (first, second, ()) = tokio::join!(first, second, third);
    first.ok();
    second.ok();
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_outlives_its_time_is_sealed_as_expired() {
    for idle in [true, false] {
        let daemon = TestDaemon::start_with(|config| {
            let short = Duration::from_millis(400);
            if idle { config.runs.idle = short } else { config.runs.max_duration = short }
        })
        .await;
        let run = daemon.open_run("refund").await;
        eventually("the run is sealed", async || daemon.sealed(&run).exists()).await;
        let shown = async || daemon.get(&format!("/v1/runs/{run}")).await;
        eventually("the daemon says so", async || shown().await.status == 200).await;
        assert_eq!(shown().await.ok().json()["state"], "expired");
        daemon.assert_verifies(&run);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_what_is_under_way_and_leaves_nothing_behind() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let open = daemon.open_run("refund").await;
    let url = site.url("/never-loads");
    let capture = daemon.request(reqwest::Method::POST, "/v1/screenshot");
    let capture = capture.json(&json!({ "url": url, "waitUntil": "load" })).send();
    let capture = tokio::spawn(capture);
    site.wait_for_request("/held.png").await;
    let (socket, runtime) =
        (daemon.folder.path().join("exhibit.sock"), daemon.folder.path().join("browser"));
    let (trust, sealed) = (daemon.trust(), daemon.sealed(&open));
    let (folder, answered) = tokio::join!(daemon.stop(), async {
        site.release();
        tokio::time::timeout(LIMIT, capture).await
    });
    let answered = answered.expect("in time").expect("no panic").expect("an answer");
    assert_eq!(answered.status().as_u16(), 200, "what was accepted is finished");
    let report = exhibit::evidence::verify::folder(&sealed, &trust);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.state, Some(exhibit::run::State::Interrupted));
    assert!(!socket.exists(), "the socket is gone");
    assert_eq!(processes_with(&runtime), Vec::<i32>::new(), "no browser is left");
    assert_eq!(std::fs::read_dir(&runtime).expect("a folder").count(), 0, "no profile is left");

    let again = TestDaemon::start_in(folder, |_| {}).await;
    again.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_finish_while_stopping_is_given_up_and_on_record() {
    let site = Site::start().await;
    let daemon = TestDaemon::start_with(|config| {
        config.daemon.drain = Duration::from_millis(200);
    })
    .await;
    let run = daemon.open_run("refund").await;
    let body = json!({ "stage": "during", "url": site.url("/never-loads"), "waitUntil": "load" });
    let path = format!("/v1/runs/{run}/captures");
    let capture = daemon.request(reqwest::Method::POST, &path).json(&body).send();
    let capture = tokio::spawn(capture);
    site.wait_for_request("/held.png").await;
    let (trust, sealed) = (daemon.trust(), daemon.sealed(&run));
    let folder = tokio::time::timeout(LIMIT, daemon.stop()).await.expect("stopping has a limit");
    let report = exhibit::evidence::verify::folder(&sealed, &trust);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.state, Some(exhibit::run::State::Interrupted));
    let events = std::fs::read_to_string(sealed.join("data/events.jsonl")).expect("events");
    assert!(events.contains("capture.failed"), "{events}");
    // The answer may have been cut off with its connection, or have said why.
    if let Ok(Ok(answer)) = tokio::time::timeout(LIMIT, capture).await.expect("in time") {
        assert_eq!(answer.status().as_u16(), 503);
    }
    drop(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_daemon_is_refused() {
    let daemon = TestDaemon::start().await;
    let mut config = crate::harness::config_in(daemon.folder.path());
    let start = async |config: &exhibit::config::Config| {
        let config = std::sync::Arc::new(config.clone());
        let clock = exhibit::clock::Clock::system();
        exhibit::daemon::Daemon::start(config, None, clock).await.expect_err("refused").code
    };
    assert_eq!(start(&config).await.as_str(), "store_locked", "the same store");
    config.store.path = daemon.folder.path().join("other-store");
    assert_eq!(start(&config).await.as_str(), "store_locked", "the same socket");
    daemon.get("/healthz").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_keep_to_their_own_runs() {
    let daemon = TestDaemon::start_with(|config| {
        config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
    })
    .await;
    let address = daemon.daemon().tcp().expect("listening");
    let ring = daemon.folder.path().join("keys/api-keys.json");
    let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("no keys yet");
    let mut add = |name: &str| {
        let at = exhibit::clock::Clock::system().now();
        ring.add(name, at).expect("made").0.expose().clone()
    };
    let (one, other) = (add("one"), add("other"));
    let http = exhibit::http::client().build().expect("a client");
    let call = async |key: &str, method: reqwest::Method, path: &str| {
        let body = if path == "/v1/runs" { json!({ "workflow": "w" }) } else { json!({}) };
        let request = http.request(method, format!("http://{address}{path}"));
        daemon.send(request.header("x-api-key", key).json(&body)).await
    };
    let opened = call(&one, reqwest::Method::POST, "/v1/runs").await.ok().json();
    let run = opened["run"].as_str().expect("an id").to_owned();
    let by_socket = daemon.open_run("refund").await;
    let (post, get) = (reqwest::Method::POST, reqwest::Method::GET);
    for (key, run) in [(&other, &run), (&one, &by_socket)] {
        for (method, path) in
            [(&post, format!("/v1/runs/{run}/seal")), (&get, format!("/v1/runs/{run}"))]
        {
            let told = call(key, method.clone(), &path).await.refusal();
            assert_eq!((told.0, told.1.as_str()), (403, "not_your_run"), "{path}");
        }
    }
    let listed = call(&other, get.clone(), "/v1/runs").await.ok().json();
    assert_eq!(listed["runs"], json!([]));

    // One's own are found also behind many of others.
    call(&one, post.clone(), &format!("/v1/runs/{run}/seal")).await.ok();
    for _ in 0..3 {
        let run = daemon.open_run("refund").await;
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    }
    let listed = call(&one, get.clone(), "/v1/runs?limit=1").await.ok().json();
    assert_eq!(listed["runs"][0]["run"], json!(run));

    for (name, value) in
        [("x-api-key", "exk_guess"), ("authorization", "Bearer exk_guess"), ("x", "y")]
    {
        let request = http.get(format!("http://{address}/v1/runs")).header(name, value);
        assert_eq!(daemon.send(request).await.refusal().1, "unauthorized", "{name}");
    }
    let bearer = http.get(format!("http://{address}/v1/runs")).bearer_auth(&one);
    daemon.send(bearer).await.ok();
    daemon.send(http.get(format!("http://{address}/v1/runs?api_key={one}"))).await.ok();
    daemon.send(http.get(format!("http://{address}/healthz"))).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_counts_what_the_caller_took_and_the_rest_of_the_hosted_api_says_it_is_not_there() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let current = async || {
        let usage = daemon.get("/api/v1/usage").await.ok().json();
        assert!(
            usage["usage"]["limit"].is_u64() && usage["usage"]["remaining"].is_u64(),
            "{usage}"
        );
        usage["usage"]["current"].as_u64().expect("a number")
    };
    assert_eq!(current().await, 0);
    daemon.quick_shot(&site.url("/ok")).await.ok();
    let run = daemon.open_run("refund").await;
    let body = json!({ "url": site.url("/ok"), "waitUntil": "load" });
    daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
    assert_eq!(current().await, 2);
    for (path, known) in [("/v1/act", true), ("/v1/crawl", false)] {
        let told = daemon.post(path, json!({})).await.refusal();
        let wanted = if known { (501, "not_supported") } else { (404, "no_such_endpoint") };
        assert_eq!((told.0, told.1.as_str()), wanted, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_of_one_run_at_the_same_time_are_all_kept() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{run}/captures");
    let take = async |stage: &str| {
        let url = site.url(&format!("/never-loads?{stage}"));
        let body = json!({ "stage": stage, "url": url, "waitUntil": "load" });
        daemon.post(&path, body).await.ok().json()["evidence"].clone()
    };
    let together = async {
        site.wait_for_requests("/held.png", 3).await;
        let listed = daemon.get("/v1/runs?state=open").await.ok().json();
        assert_eq!(listed["runs"][0]["run"], json!(run));
        let told = daemon.post(&format!("/v1/runs/{run}/events"), json!({ "message": "x" })).await;
        told.ok();
        site.release();
    };
    let (one, two, three, ()) =
        tokio::join!(take("before"), take("during"), take("after"), together);
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
    let mut numbers = Vec::new();
    for (evidence, stage) in [(one, "before"), (two, "during"), (three, "after")] {
        let name = evidence["capture"].as_str().expect("a name");
        let (number, of) = name.split_once('-').expect("a number and a stage");
        assert_eq!((of, number.len()), (stage, 4));
        numbers.push(number.parse::<u32>().expect("a number"));
        let kept = daemon.sealed(&run).join("data/captures").join(name).join("screenshot.png");
        let kept = exhibit::digest::Digest::of(&std::fs::read(kept).expect("the picture"));
        assert_eq!(evidence["sha256"], kept.to_string(), "{name}");
        let url = site.url(&format!("/never-loads?{stage}"));
        assert_eq!(daemon.capture(&run, name)["page"]["final_url"], url, "{name}");
    }
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_with_a_capture_under_way_is_not_idle() {
    let daemon = TestDaemon::start_with(|config| {
        config.runs.idle = Duration::from_millis(200);
    })
    .await;
    let site = Site::start().await;
    let url = site.url("/never-loads");
    let capture = daemon.quick_shot(&url);
    let waiting = async {
        site.wait_for_request("/held.png").await;
        let open = daemon.get("/v1/runs?state=open").await.ok().json();
        let run = open["runs"][0]["run"].as_str().expect("an id").to_owned();
        for _ in 0..2 {
            let idle = daemon.open_run("refund").await;
            eventually("another run expires", async || daemon.sealed(&idle).exists()).await;
        }
        assert!(!daemon.sealed(&run).exists(), "its capture is under way");
        site.release();
        run
    };
    let (captured, run) = tokio::join!(capture, waiting);
    assert_eq!(captured.ok().run(), run);
    daemon.assert_verifies(&run);
    assert_eq!(daemon.get(&format!("/v1/runs/{run}")).await.ok().json()["state"], "sealed");
    assert!(daemon.kinds(&run).contains(&"capture.taken".to_owned()));
}
