//! What one caller may take of what all callers share: sessions, recordings, and captures under way.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon, eventually};
use crate::site::Site;

/// One caller asks over the socket, the other one by a key.
struct Two {
    daemon: TestDaemon,
    http: reqwest::Client,
    key: String,
}

impl Two {
    async fn start() -> Self {
        let daemon = TestDaemon::start_with(|config| {
            config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
            config.sessions.max = 3;
            config.video.max = 3;
            config.capture.concurrent = 3;
        })
        .await;
        let ring = daemon.folder.path().join("keys/api-keys.json");
        let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("no keys yet");
        let at = exhibit::clock::Clock::system().now();
        let key = ring.add("other", at).expect("made").0.expose().clone();
        let http = exhibit::http::client().build().expect("a client");
        Self { daemon, http, key }
    }

    async fn other(&self, path: &str, body: Value) -> Reply {
        let address = self.daemon.daemon().tcp().expect("listening");
        let request = self.http.post(format!("http://{address}{path}"));
        self.daemon.send(request.header("x-api-key", &self.key).json(&body)).await
    }
}

fn id(reply: Reply) -> String {
    reply.ok().json()["session_id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_caller_leaves_sessions_and_recordings_to_others() {
    let two = Two::start().await;
    let daemon = &two.daemon;
    let own = [
        id(daemon.post("/v1/sessions", json!({})).await),
        id(daemon.post("/v1/sessions", json!({})).await),
    ];
    let refused = daemon.post("/v1/sessions", json!({})).await.refusal();
    assert_eq!(refused, (429, "too_many_sessions".to_owned(), "quotas.sessions".to_owned()));
    let theirs = id(two.other("/v1/sessions", json!({})).await);
    let full = two.other("/v1/sessions", json!({})).await.json();
    assert!(full["error"].as_str().is_some_and(|error| error.contains("`sessions.max`")), "{full}");

    let run = daemon.open_run("refund").await;
    let path = format!("/v1/runs/{run}/recordings");
    for session in &own {
        daemon.post(&path, json!({ "session_id": session })).await.ok();
    }
    let refused = daemon.post(&path, json!({ "session_id": own[0] })).await.refusal();
    assert_eq!(refused, (429, "too_many_recordings".to_owned(), "quotas.recordings".to_owned()));
    let opened = two.other("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
    let path = format!("/v1/runs/{}/recordings", opened["run"].as_str().expect("an id"));
    two.other(&path, json!({ "session_id": theirs })).await.ok();
    two.daemon.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn captures_that_never_end_leave_places_to_others() {
    let (two, site) = (Two::start().await, Site::start().await);
    // They end when the site is told to send the picture.
    let endless = json!({ "url": site.url("/never-loads"), "waitUntil": "load" });
    let path = "/v1/screenshot";
    let waiting: Vec<_> = (0..8)
        .map(|_| tokio::spawn(two.daemon.request(Method::POST, path).json(&endless).send()))
        .collect();
    eventually("captures are under way", async || {
        let status = two.daemon.get("/v1/status").await.ok().json();
        status["captures_under_way"] == 2 && status["captures_waiting"] == 6
    })
    .await;
    for _ in 0..3 {
        let body = json!({ "url": site.url("/ok"), "waitUntil": "load" });
        two.other(path, body).await.ok();
    }
    assert!(waiting.iter().all(|one| !one.is_finished()));
    site.release();
    for one in waiting {
        let answer = one.await.expect("no panic").expect("an answer");
        assert_eq!(answer.status(), 200);
    }
}
