//! What policy forbids stays out of the evidence whichever way a page goes about it: by redirect,
//! by what it loads inside, by its workers; and nobody captures the daemon itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use exhibit::video::Source;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::site::Site;
use crate::video::played;

/// What must be in no file of any folder.
const SECRET: &str = "only for the inside";

/// A server inside, at an address of the loopback network that the test's policy denies. It lets
/// every page read it, so that nothing but policy stands in the way.
struct Inside {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Inside {
    async fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let answer = async move |request: axum::extract::Request| {
            count.fetch_add(1, Ordering::SeqCst);
            let (kind, body) = match request.uri().path() {
                "/script" => ("text/javascript", format!("document.title = {SECRET:?};")),
                "/style" => ("text/css", format!("body::before {{ content: {SECRET:?} }}")),
                "/picture" => (
                    "image/svg+xml",
                    format!("<svg xmlns='http://www.w3.org/2000/svg'><text>{SECRET}</text></svg>"),
                ),
                _ => {
                    let body = "<body style='background:#0f0'>";
                    ("text/html", format!("<title>{SECRET}</title>{body}<h1>{SECRET}</h1>"))
                }
            };
            let headers = [(CONTENT_TYPE, kind), (ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
            (headers, body).into_response()
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.7:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let serve = axum::serve(listener, Router::new().fallback(answer));
        tokio::spawn(serve.into_future());
        Self { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn daemon_denying_inside() -> TestDaemon {
    TestDaemon::start_with(|config| {
        config.policy.deny_addresses = vec!["127.0.0.7/32".to_owned()];
    })
    .await
}

/// Nothing is handed out, nothing is kept, and the attempt is on record as `kind`.
fn check_forbidden(daemon: &TestDaemon, reply: &Reply, kind: &str, what: &str) {
    let wanted = (403, "target_forbidden".to_owned(), "url".to_owned());
    assert_eq!(reply.refusal(), wanted, "{what}");
    let run = reply.run();
    daemon.assert_verifies(&run);
    assert!(!daemon.sealed(&run).join("data/captures").exists(), "{what} was kept");
    let events = daemon.events(&run);
    let event = events.iter().find(|event| event["kind"] == kind).expect("on record");
    assert_eq!(event["data"]["code"], "target_forbidden", "{what}");
    for (file, bytes) in daemon.contents(&run) {
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{what}: {file}");
    }
}

fn written(html: &str) -> Value {
    json!({ "html": html, "waitUntil": "networkidle0", "navigationTimeout": 10_000 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denied_address_is_seen_whichever_way_it_is_loaded() {
    let (daemon, site, inside) =
        (daemon_denying_inside().await, Site::start().await, Inside::start().await);
    let at = inside.address;
    let fetched = format!("fetch('http://{at}/page').then(a => a.text()).then(show, show)");
    let show = "const show = text => document.body.append(String(text))";
    let pages = [
        format!("<iframe src=\"http://{at}/page\"></iframe>"),
        format!("<iframe srcdoc=\"<iframe src='http://{at}/page'></iframe>\"></iframe>"),
        format!("<img src=\"http://{at}/picture\">"),
        format!("<img src=\"{}?url=http://{at}/picture\">", site.url("/redirect-to")),
        format!("<object data=\"http://{at}/page\"></object>"),
        format!("<link rel=\"stylesheet\" href=\"http://{at}/style\">"),
        format!("<script src=\"http://{at}/script\"></script>"),
        format!("<body><script>{show}; {fetched}</script>"),
        format!(
            "<body><script>{show}; const source = new Blob([\"const show = t => postMessage(String(t)); {fetched}\"]);
             new Worker(URL.createObjectURL(source)).onmessage = event => show(event.data)</script>"
        ),
        format!("<script>fetch('http://{at}/page').then(a => a.text()).then(alert)</script>"),
        format!("<script>new WebSocket('ws://{at}/')</script>"),
        format!("<script>location.href = 'http://{at}/page'</script>"),
        format!("<meta http-equiv=\"refresh\" content=\"0; url=http://{at}/page\">"),
    ];
    for page in &pages {
        let before = inside.asked();
        let reply = daemon.shot(written(page)).await;
        assert!(inside.asked() > before, "the page does not do what it is here for: {page}");
        check_forbidden(&daemon, &reply, "capture.failed", page);
    }
    let url = format!("{}?url=http://{at}/page", site.url("/redirect-to"));
    check_forbidden(&daemon, &daemon.quick_shot(&url).await, "capture.failed", &url);
    // What is allowed still is.
    let page = format!("<img src=\"{}\">", site.url("/img/1"));
    daemon.shot(written(&page)).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_ends_before_what_came_from_a_denied_address_is_shown() {
    let (site, inside) = (Site::start().await, Inside::start().await);
    for (source, by_host) in [
        (Source::Screencast, false),
        (Source::Screencast, true),
        (Source::Recorder, false),
        (Source::Recorder, true),
    ] {
        let daemon = TestDaemon::start_with(|config| {
            config.policy.deny_addresses.clear();
            if by_host {
                config.policy.deny_hosts.push("127.0.0.7".to_owned());
            } else {
                config.policy.deny_addresses.push("127.0.0.7/32".to_owned());
            }
            config.video.source = Some(source);
        })
        .await;
        let url = format!("{}?url=http://{}/page", site.url("/redirect-to"), inside.address);
        let steps = json!([
            { "action": "navigate", "url": site.url("/ok") },
            { "action": "wait", "ms": 400 },
            { "action": "navigate", "url": url, "optional": true },
            { "action": "wait", "ms": 400 },
        ]);
        let body = json!({ "steps": steps, "response_type": "json" });
        let reply = daemon.post("/v1/video", body).await.ok();
        let answer = reply.json();
        assert_eq!(answer["step_results"][2]["code"], "target_forbidden", "{answer}");
        let run = reply.run();
        daemon.assert_verifies(&run);
        let folder = daemon.sealed(&run).join("data/recordings");
        let record = std::fs::read_to_string(folder.join("0001.json")).expect("kept");
        assert!(record.contains("\"ended\": \"forbidden\""), "{record}");
        assert!(!folder.join("0001-poster.png").exists());
        let mp4 = std::fs::read(folder.join("0001.mp4")).expect("kept");
        let length = answer["duration_ms"].as_f64().expect("a length") / 1_000.0;
        let times: Vec<f64> = (1..=20).map(|part| length - 0.02 * f64::from(part)).collect();
        let (_, colours) = played(&daemon, &mp4, &times).await;
        // A page that is left may be shown black; the one that is forbidden is green.
        let green = |[red, green, _]: &[i64; 3]| *green > *red + 40;
        assert!(!colours.iter().any(green), "{colours:?}");
        for (file, bytes) in daemon.contents(&run) {
            assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{file}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_leads_to_a_denied_address_shows_nothing_of_it() {
    let (daemon, site, inside) =
        (daemon_denying_inside().await, Site::start().await, Inside::start().await);
    let url = format!("{}?url=http://{}/page", site.url("/redirect-to"), inside.address);
    let steps = json!([
        { "action": "navigate", "url": url, "optional": true },
        { "action": "screenshot", "name": "first", "optional": true },
        { "action": "screenshot", "name": "second" },
    ]);
    let reply = daemon.post("/v1/sequence", json!({ "steps": steps })).await;
    assert_eq!(inside.asked(), 1);
    let text = String::from_utf8_lossy(&reply.body);
    assert!(text.contains("target_forbidden") && !text.contains(SECRET), "{text}");
    let run = reply.run();
    daemon.assert_verifies(&run);
    assert!(!daemon.sealed(&run).join("data/captures").exists(), "{text}");
    for (file, bytes) in daemon.contents(&run) {
        assert!(!String::from_utf8_lossy(&bytes).contains(SECRET), "{file}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_hosts_listed_are_captured() {
    let daemon = TestDaemon::start_with(|config| {
        config.policy.allow_hosts = vec!["127.0.0.1".to_owned()];
    })
    .await;
    let site = Site::start().await;
    let elsewhere = site.url("/ok").replace("127.0.0.1", "localhost");
    let reply = daemon.quick_shot(&elsewhere).await;
    check_forbidden(&daemon, &reply, "capture.refused", &elsewhere);
    assert_eq!(site.count("/ok"), 0, "it is refused before anything moves");
    let led = format!("{}?url={elsewhere}", site.url("/redirect-to"));
    check_forbidden(&daemon, &daemon.quick_shot(&led).await, "capture.failed", &led);
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_itself_is_never_captured() {
    let daemon = TestDaemon::start_with(|config| {
        config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
    })
    .await;
    let site = Site::start().await;
    let own = daemon.daemon().tcp().expect("listening");
    for host in ["127.0.0.1", "127.9.9.9", "[::ffff:127.0.0.1]", "0x7f000001"] {
        let url = format!("http://{host}:{}/healthz", own.port());
        check_forbidden(&daemon, &daemon.quick_shot(&url).await, "capture.refused", &url);
    }
    // By a name, a redirect or a frame it shows only when the browser has connected.
    let named = format!("http://localhost:{}/healthz", own.port());
    let led = format!("{}?url=http://{own}/healthz", site.url("/redirect-to"));
    for url in [named, led] {
        check_forbidden(&daemon, &daemon.quick_shot(&url).await, "capture.failed", &url);
    }
    let framed = format!("<iframe src=\"http://{own}/healthz\"></iframe>");
    check_forbidden(&daemon, &daemon.shot(written(&framed)).await, "capture.failed", &framed);
    daemon.quick_shot(&site.url("/ok")).await.ok();
}

/// A site of its own whose pages let a worker that outlives them fetch `url` and tell.
async fn site_with_workers(url: String) -> SocketAddr {
    let fetched = format!("fetch('{url}').then(a => a.text()).then(told, told)");
    let service = format!(
        "oninstall = () => skipWaiting();
         onactivate = event => event.waitUntil(clients.claim());
         onmessage = event => {{ const told = t => event.source.postMessage(String(t)); {fetched} }};"
    );
    let shared = format!(
        "onconnect = event => {{ const told = t => event.ports[0].postMessage(String(t)); {fetched} }};"
    );
    let show = "<body><p></p><script>const show = text => {
         const told = document.querySelector('p'); told.id = 'told'; told.textContent = text; };";
    let service_page = format!(
        "{show} const workers = navigator.serviceWorker;
         workers.onmessage = event => show(event.data);
         workers.register('/service.js').then(() => workers.ready)
           .then(ready => ready.active.postMessage('go'), show)</script>"
    );
    let shared_page = format!(
        "{show} new SharedWorker('/shared.js').port.onmessage = event => show(event.data)</script>"
    );
    let answer = async move |request: axum::extract::Request| {
        let (kind, body) = match request.uri().path() {
            "/service.js" => ("text/javascript", service.clone()),
            "/shared.js" => ("text/javascript", shared.clone()),
            "/service" => ("text/html", service_page.clone()),
            _ => ("text/html", shared_page.clone()),
        };
        ([(CONTENT_TYPE, kind)], body).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(axum::serve(listener, Router::new().fallback(answer)).into_future());
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_outlive_a_page_bring_it_nothing_either() {
    let (daemon, inside) = (daemon_denying_inside().await, Inside::start().await);
    let site = site_with_workers(format!("http://{}/page", inside.address)).await;
    let url = |page: &str| format!("http://{site}/{page}");
    let body = json!({ "url": url("service"), "waitUntil": "load", "waitForSelector": "#told" });
    check_forbidden(&daemon, &daemon.shot(body).await, "capture.failed", "a service worker");
    let body = json!({ "url": url("shared"), "waitUntil": "load", "waitForSelector": "#told" });
    check_forbidden(&daemon, &daemon.shot(body).await, "capture.failed", "a shared worker");
    assert_eq!(inside.asked(), 2, "both asked, and nothing of it is shown");
}
