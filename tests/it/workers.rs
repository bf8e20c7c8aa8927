//! Workers of all kinds run, under the same policy as their page, and what they ask for is on record
//! with it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::header::{ACCEPT_LANGUAGE, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use serde_json::{Value, json};

use crate::harness::TestDaemon;

/// What each part of a page tells of its languages.
const TELL: &str = "const tell = () => ({ languages: navigator.languages, \
     locale: Intl.DateTimeFormat().resolvedOptions().locale, \
     zone: Intl.DateTimeFormat().resolvedOptions().timeZone });";

/// A page with parts of every kind, which shows what they tell once all have told.
const ALL: &str = "<!doctype html><body><iframe src='/frame'></iframe><iframe src='http://localhost:PORT/other'></iframe>
    <script>TELL
    const told = { page: tell() };
    const add = (part, words) => {
        told[part] = words;
        if (Object.keys(told).length < 7) return;
        document.title = JSON.stringify(told);
        document.body.id = 'told';
    };
    onmessage = event => add(event.data.part, event.data.words);
    new Worker('/worker.js').onmessage = event => add(event.data.part, event.data.words);
    new SharedWorker('/shared.js').port.onmessage = event => add('shared', event.data);
    navigator.serviceWorker.onmessage = event => add('service', event.data);
    navigator.serviceWorker.register('/service.js').then(() => navigator.serviceWorker.ready)
        .then(ready => ready.active.postMessage('tell'));
    </script>";

/// A server whose pages have parts of every kind.
pub(crate) struct Echo {
    address: SocketAddr,
    /// Path, and the languages it was asked in.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

impl Echo {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let log = Arc::clone(&asked);
        let answer = async move |request: Request| {
            let path = request.uri().path_and_query().expect("a path").to_string();
            let languages = request
                .headers()
                .get(ACCEPT_LANGUAGE)
                .map_or("", |value| value.to_str().expect("plain text"));
            log.lock().expect("no panic").push((path.clone(), languages.to_owned()));
            let (kind, text) = content(&path);
            let text = text.replace("TELL", TELL).replace("PORT", &address.port().to_string());
            ([(CONTENT_TYPE, kind)], text).into_response()
        };
        tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
        Self { address, asked }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The languages in which `path` was asked for.
    pub(crate) fn languages(&self, path: &str) -> String {
        let asked = self.asked();
        let found = asked.iter().find(|(one, _)| one == path);
        found.unwrap_or_else(|| panic!("{path} was not asked for: {asked:?}")).1.clone()
    }

    /// What a page told by asking for `/told?name=…`.
    pub(crate) fn told(&self, name: &str) -> Value {
        let asked = self.asked();
        let start = format!("/told?{name}=");
        let found = asked.iter().find_map(|(path, _)| path.strip_prefix(&start).map(str::to_owned));
        let text = found.unwrap_or_else(|| panic!("{name} was not told: {asked:?}"));
        let text =
            url::form_urlencoded::parse(text.as_bytes()).next().expect("a value").0.into_owned();
        serde_json::from_str(&text).expect("JSON")
    }
}

/// Media type and text of a path.
fn content(path: &str) -> (&'static str, String) {
    let (script, page) = ("text/javascript", "text/html");
    let text = match path {
        "/all" => (page, ALL),
        "/frame" => (page, "<script>TELL parent.postMessage({ part: 'frame', words: tell() }, '*')</script>"),
        "/other" => (page, "<script>TELL parent.postMessage({ part: 'other', words: tell() }, '*')</script>"),
        "/worker.js" => (
            script,
            "TELL fetch('/asked/worker').then(() => postMessage({ part: 'worker', words: tell() }));
             new Worker('/inner.js').onmessage = event => postMessage(event.data);",
        ),
        "/inner.js" => (
            script,
            "TELL fetch('/asked/inner').then(() => postMessage({ part: 'inner', words: tell() }))",
        ),
        "/shared.js" => (
            script,
            "TELL onconnect = event => fetch('/asked/shared').then(() => event.ports[0].postMessage(tell()))",
        ),
        "/service.js" => (
            script,
            "TELL oninstall = event => { skipWaiting(); event.waitUntil(caches.open('one').then(cache =>
                 cache.put('/offline', new Response('<title>from the cache</title>',
                     { headers: { 'content-type': 'text/html' } })))); };
             onactivate = event => event.waitUntil(clients.claim());
             onfetch = event => { if (event.request.url.endsWith('/offline'))
                 event.respondWith(caches.match('/offline')); };
             onmessage = event => fetch('/asked/service').then(() => event.source.postMessage(tell()));",
        ),
        "/case" => (
            page,
            "<!doctype html><h1 id=h>waiting</h1><script>navigator.serviceWorker.register('/plain.js')
             .then(() => { h.textContent = 'registered'; h.className = 'done'; },
                   error => { h.textContent = 'refused ' + error; h.className = 'done'; })</script>",
        ),
        "/plain.js" => (script, "self.addEventListener('install', event => self.skipWaiting())"),
        "/offline-first" => (
            page,
            "<!doctype html><body><script>navigator.serviceWorker.register('/service.js')
             .then(() => navigator.serviceWorker.ready)
             .then(ready => ready.update()).then(() => { document.body.id = 'told'; })</script>",
        ),
        "/asks" => (
            page,
            "<!doctype html><body><script>Promise.all([Notification.requestPermission(),
                 navigator.permissions.query({ name: 'camera' }).then(one => one.state),
                 new Promise(done => navigator.geolocation.getCurrentPosition(() => done('there'),
                     error => done('error ' + error.code)))])
             .then(answers => { document.title = JSON.stringify(answers); document.body.id = 'told'; })
             </script>",
        ),
        "/opens" => (
            page,
            "<!doctype html><body><script>onmessage = () => { document.body.id = 'told'; };
             open('/window')</script>",
        ),
        "/window" => (
            page,
            "<!doctype html><script>const words = JSON.stringify([navigator.language,
                 Intl.DateTimeFormat().resolvedOptions().locale, [screen.width, screen.height]]);
             fetch('/told?window=' + encodeURIComponent(words)).then(() => opener.postMessage('told', '*'))
             </script>",
        ),
        _ => (page, "nothing"),
    };
    (text.0, text.1.to_owned())
}

/// The addresses in a capture's network record.
fn traffic(daemon: &TestDaemon, run: &str, capture: &str) -> Vec<Value> {
    let har: Value =
        serde_json::from_str(&daemon.unpacked(run, capture, "network.har.zst")).expect("JSON");
    har["log"]["entries"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_of_all_kinds_run_and_their_requests_are_on_record() {
    let (daemon, echo) = (TestDaemon::start().await, Echo::start().await);
    let begun = std::time::Instant::now();
    let body =
        json!({ "url": echo.url("/case"), "waitUntil": "load", "waitForSelector": "h1.done" });
    let reply = daemon.shot(body).await.ok();
    assert!(begun.elapsed().as_secs() < 9, "nothing waits for what a worker does not know");
    let dom = daemon.unpacked(&reply.run(), "0001-during", "dom.html.zst");
    assert!(dom.contains("registered"), "{dom}");

    let body = json!({ "url": echo.url("/all"), "waitUntil": "load", "waitForSelector": "#told" });
    let run = daemon.shot(body).await.ok().run();
    let asked = traffic(&daemon, &run, "0001-during");
    let asked: Vec<&str> = asked.iter().filter_map(|one| one["request"]["url"].as_str()).collect();
    for path in [
        "/worker.js",
        "/inner.js",
        "/shared.js",
        "/service.js",
        "/asked/worker",
        "/asked/inner",
        "/asked/shared",
        "/asked/service",
        "/other",
    ] {
        assert!(asked.iter().any(|url| url.ends_with(path)), "{path} is not in {asked:?}");
    }
    let page = &daemon.capture(&run, "0001-during")["page"];
    let workers = page["workers"].as_array().expect("a list");
    let mut kinds: Vec<&str> = workers.iter().filter_map(|one| one["kind"].as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["service_worker", "shared_worker", "worker", "worker"]);
    daemon.assert_verifies(&run);

    // What is kept from loading is so in workers, too.
    let body = json!({
        "url": echo.url("/all"), "waitUntil": "load", "blockRequests": ["/asked/*"], "delay": 500,
    });
    let before = echo.asked().iter().filter(|(path, _)| path.starts_with("/asked/")).count();
    let run = daemon.shot(body).await.ok().run();
    let after = echo.asked().iter().filter(|(path, _)| path.starts_with("/asked/")).count();
    assert_eq!(after, before, "a worker asked for what is blocked");
    let blocked = daemon.capture(&run, "0001-during")["page"]["blocked"].clone();
    assert!(blocked.as_array().is_some_and(|blocked| blocked.len() >= 3), "{blocked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_worker_answers_itself_is_told_as_such() {
    let (daemon, echo) = (TestDaemon::start().await, Echo::start().await);
    let session =
        daemon.post("/api/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let run = daemon.open_run("offline").await;
    let shot = async |path: &str, wait: Value| {
        let body = json!({
            "url": echo.url(path), "session_id": session, "waitUntil": "load", "waitForSelector": wait,
        });
        let path = format!("/v1/runs/{run}/screenshot");
        let _ = &path;
        daemon
            .send(
                daemon
                    .request(reqwest::Method::POST, "/api/v1/screenshot")
                    .header("X-Exhibit-Run", &run)
                    .json(&body),
            )
            .await
            .ok()
    };
    shot("/offline-first", json!("#told")).await;
    shot("/offline", json!("title")).await;
    assert!(echo.asked().iter().all(|(path, _)| path != "/offline"), "the server was asked");
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "succeeded" })).await.ok();
    let asked = traffic(&daemon, &run, "0002-during");
    let offline = asked
        .iter()
        .find(|one| one["request"]["url"].as_str().is_some_and(|url| url.ends_with("/offline")));
    let offline = offline.expect("it is on record");
    assert_eq!(offline["_fromServiceWorker"], true, "{offline}");
    assert_eq!(offline["_serviceWorkerResponseSource"], "cache-storage");
    let page = &daemon.capture(&run, "0002-during")["page"];
    assert_eq!(page["document"]["from_service_worker"], true, "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_for_a_permission() {
    let (daemon, echo) = (TestDaemon::start().await, Echo::start().await);
    let body = json!({ "url": echo.url("/asks"), "waitUntil": "load", "waitForSelector": "#told" });
    let run = daemon.shot(body).await.ok().run();
    let title = daemon.capture(&run, "0001-during")["page"]["title"].clone();
    let answers: Value = serde_json::from_str(title.as_str().expect("a title")).expect("JSON");
    assert_ne!(answers[0], "granted", "{answers}");
    assert_eq!(answers[2], "error 1", "{answers}");
    // What is switched off is named with the browser.
    let off = daemon.capture(&run, "0001-during")["browser"]["switched_off"].clone();
    let features: Vec<&str> =
        off.as_array().expect("a list").iter().filter_map(|one| one["feature"].as_str()).collect();
    for feature in ["downloads", "permission prompts", "HTTP/3"] {
        assert!(features.contains(&feature), "{feature} is not in {features:?}");
    }
}
