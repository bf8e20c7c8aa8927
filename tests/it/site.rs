//! Owns the web site that integration tests capture: an HTTP server on a free loopback port with
//! pages that behave well, badly or maliciously, and a log of what was asked of it. It must not
//! know the daemon: a test that captures it learns about the daemon from outside.
//!
//! The server has a thread and a runtime of its own, so that a test which blocks its thread (a
//! child process it waits for) does not also stop the site. Nothing here sleeps: a slow answer is
//! a wait for [`Site::release`] with a limit, and the waits of tests are on the request log.
#![allow(dead_code, reason = "a fixture offers more than the tests of one moment use")]
#![allow(clippy::unused_async, reason = "axum handlers are async whether or not they wait")]

#[path = "site/pages.rs"]
mod pages;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[allow(unused_imports, reason = "a fixture offers more than the tests of one moment use")]
pub(crate) use pages::{BAND_HEIGHT, band_colour};

/// How long a test waits for something that ought to happen at once. Long enough for a busy
/// machine, short enough that a hang is reported and not killed.
const WAIT_LIMIT: Duration = Duration::from_secs(20);
/// How long one poll of `/never-idle` is held: long enough that several are always under way.
const POLL: Duration = Duration::from_millis(150);

/// One request the site has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `GET`, `POST`, …
    pub(crate) method: String,
    /// Path with query, as it was asked for.
    pub(crate) path: String,
    /// Names in lower case, in the order of arrival.
    pub(crate) headers: Vec<(String, String)>,
}

impl Seen {
    /// The first value of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.next().map(|(_, value)| value.as_str())
    }
}

/// What handlers share.
#[derive(Clone)]
struct Shared {
    log: watch::Sender<Vec<Seen>>,
    released: CancellationToken,
}

/// The running site; it stops when dropped, and every held answer with it.
pub(crate) struct Site {
    address: SocketAddr,
    log: watch::Receiver<Vec<Seen>>,
    released: CancellationToken,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    /// Start the site on a free port of 127.0.0.1. It accepts connections when this returns.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
        listener.set_nonblocking(true).expect("a listener can be made non-blocking");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (log, receiver) = watch::channel(Vec::new());
        let shared = Shared { log, released: CancellationToken::new() };
        let (released, stop) = (shared.released.clone(), CancellationToken::new());
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || serve(listener, shared, &stopping));
        Self { address, log: receiver, released, stop, thread: Some(thread) }
    }

    /// The absolute URL of `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// `127.0.0.1:<port>`.
    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Everything asked so far, oldest first.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.log.borrow().clone()
    }

    /// How often `path` (with its query) was asked for so far.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.log.borrow().iter().filter(|seen| seen.path == path).count()
    }

    /// Wait until `path` has been asked for, and give the first such request.
    pub(crate) async fn wait_for_request(&self, path: &str) -> Seen {
        self.wait_for_requests(path, 1).await.swap_remove(0)
    }

    /// Wait until `path` has been asked for `count` times, and give these requests.
    pub(crate) async fn wait_for_requests(&self, path: &str, count: usize) -> Vec<Seen> {
        let matching = |log: &[Seen]| -> Vec<Seen> {
            log.iter().filter(|seen| seen.path == path).cloned().collect()
        };
        let mut log = self.log.clone();
        let wait = log.wait_for(|log| matching(log).len() >= count);
        match tokio::time::timeout(WAIT_LIMIT, wait).await {
            Ok(Ok(log)) => matching(&log),
            _ => panic!("{path} was not asked for {count} times; seen: {:#?}", self.requests()),
        }
    }

    /// Let every answer end that is held: `/never-loads`, `/hang`, `/slow`, the polls.
    pub(crate) fn release(&self) {
        self.released.cancel();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the server has been printed already; a second one here would abort.
            drop(thread.join());
        }
    }
}

/// A URL of a loopback port at which nobody listens.
pub(crate) fn refused_url() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free loopback port");
    format!("http://{}/", listener.local_addr().expect("a bound listener has an address"))
}

fn serve(listener: TcpListener, shared: Shared, stop: &CancellationToken) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let server = axum::serve(listener, router(shared));
        tokio::select! {
            served = server => served.expect("the site serves"),
            () = stop.cancelled() => {}
        }
    });
}

fn router(shared: Shared) -> Router {
    let steady = pages::FIXED.iter().fold(Router::new(), |router, (path, page)| {
        router.route(path, get(move || async move { Html(*page) }))
    });
    steady
        .route("/ok", get(async || Html(pages::dashboard())))
        .route("/status/{code}", get(status))
        .route("/empty/{code}", get(empty))
        .route("/redirect/{hops}", get(redirect))
        .route("/redirect-to", get(redirect_to))
        .route("/loop", get(async || found("/loop")))
        .route("/download", get(download))
        .route("/held.png", get(held_image))
        .route("/poll", get(poll).post(poll))
        .route("/slow/{ms}", get(slow))
        .route("/hang", get(hang))
        .route("/tall/{height}", get(async |Path(height): Path<u32>| Html(pages::tall(height))))
        .route("/lazy/{count}", get(async |Path(count): Path<u32>| Html(pages::lazy(count))))
        .route("/img/{number}", get(image))
        .route("/view/{name}", get(view))
        .route("/echo", get(echo))
        .route("/set-cookie", get(set_cookie))
        .fallback(async || (StatusCode::NOT_FOUND, Html(pages::status(StatusCode::NOT_FOUND))))
        .layer(middleware::from_fn_with_state(shared.clone(), remember))
        .with_state(shared)
}

/// Put every request into the log before it is answered, so that a held one is seen too.
async fn remember(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let seen = Seen {
        method: request.method().to_string(),
        path: path.to_owned(),
        headers: readable(request.headers()),
    };
    shared.log.send_modify(|log| log.push(seen));
    next.run(request).await
}

fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// 302 to `target`, whatever it is.
fn found(target: &str) -> Response {
    match HeaderValue::from_str(target) {
        Ok(target) => (StatusCode::FOUND, [(header::LOCATION, target)]).into_response(),
        Err(_) => StatusCode::BAD_REQUEST.into_response(),
    }
}

/// Final status codes only: an interim one (1xx) is not an answer.
fn final_status(code: u16) -> StatusCode {
    let code = StatusCode::from_u16(code).ok().filter(|code| !code.is_informational());
    code.unwrap_or(StatusCode::BAD_REQUEST)
}

async fn status(Path(code): Path<u16>) -> Response {
    let code = final_status(code);
    (code, Html(pages::status(code))).into_response()
}

async fn empty(Path(code): Path<u16>) -> Response {
    final_status(code).into_response()
}

async fn redirect(Path(hops): Path<u32>) -> Response {
    if hops > 1 { found(&format!("/redirect/{}", hops - 1)) } else { found("/ok") }
}

async fn redirect_to(Query(query): Query<std::collections::BTreeMap<String, String>>) -> Response {
    found(query.get("url").map_or("/ok", String::as_str))
}

async fn download() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/csv"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"refunds.csv\""),
    ];
    (headers, "id,amount\nTX-1,12.50\n").into_response()
}

/// The first bytes of a picture, and then nothing until released.
async fn held_image(State(shared): State<Shared>) -> Response {
    let begun = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"\x89PNG\r\n")) });
    let never = stream::pending().take_until(shared.released.cancelled_owned());
    let body = Body::from_stream(begun.chain(never));
    ([(header::CONTENT_TYPE, "image/png")], body).into_response()
}

/// Hold the answer for `limit`, or until released.
async fn hold(shared: &Shared, limit: Duration) {
    drop(tokio::time::timeout(limit, shared.released.cancelled()).await);
}

async fn poll(State(shared): State<Shared>) -> &'static str {
    hold(&shared, POLL).await;
    "again"
}

async fn slow(State(shared): State<Shared>, Path(ms): Path<u64>) -> Html<&'static str> {
    hold(&shared, Duration::from_millis(ms)).await;
    Html("<!doctype html><title>Slow</title><h1>Slow, but here</h1>")
}

async fn hang(State(shared): State<Shared>) -> StatusCode {
    shared.released.cancelled().await;
    StatusCode::NO_CONTENT
}

async fn image(Path(number): Path<u32>) -> Response {
    ([(header::CONTENT_TYPE, "image/svg+xml")], pages::image(number)).into_response()
}

/// A page of `tests/data/view`, in which `OTHER` is this site by another name.
async fn view(headers: HeaderMap, Path(name): Path<String>) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let port = host.rsplit_once(':').map_or("80", |(_, port)| port);
    let other = if host.starts_with("localhost") { "127.0.0.1" } else { "localhost" };
    let path = format!("{}/tests/data/view/{name}.html", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read_to_string(path) {
        Ok(page) => Html(page.replace("OTHER", &format!("http://{other}:{port}"))).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn echo(headers: HeaderMap) -> Html<String> {
    Html(pages::echo(&readable(&headers)))
}

async fn set_cookie() -> Response {
    let cookie = [(header::SET_COOKIE, "visited=yes; Path=/")];
    (cookie, Html("<!doctype html><title>Cookie</title><h1>A cookie was set</h1>")).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> reqwest::Client {
        let client = exhibit::http::client().redirect(reqwest::redirect::Policy::none());
        client.no_proxy().build().expect("a client")
    }

    async fn get(site: &Site, path: &str) -> reqwest::Response {
        client().get(site.url(path)).send().await.expect("the site answers")
    }

    #[tokio::test]
    async fn every_page_is_there_and_the_log_knows_it() {
        let site = Site::start().await;
        let paths = pages::FIXED.iter().map(|(path, _)| *path);
        let paths = paths.chain(["/ok", "/tall/30000", "/lazy/5", "/img/3", "/echo", "/download"]);
        for path in paths {
            let answer = get(&site, path).await;
            assert_eq!(answer.status(), 200, "{path}");
            assert!(!answer.text().await.expect("a body").is_empty(), "{path}");
            assert_eq!(site.count(path), 1, "{path}");
        }
        assert_eq!(get(&site, "/nothing-here").await.status(), 404);
    }

    #[tokio::test]
    async fn statuses_have_a_body_only_when_asked() {
        let site = Site::start().await;
        for code in [200_u16, 404, 418, 500, 503] {
            let full = get(&site, &format!("/status/{code}")).await;
            assert_eq!(full.status(), code);
            assert!(full.text().await.expect("a body").contains(&code.to_string()));
            let empty = get(&site, &format!("/empty/{code}")).await;
            assert_eq!(empty.status(), code);
            assert_eq!(empty.text().await.expect("no body"), "");
        }
    }

    #[tokio::test]
    async fn redirects_lead_where_they_say() {
        let site = Site::start().await;
        let location = async |path: &str| {
            let answer = get(&site, path).await;
            assert_eq!(answer.status(), 302, "{path}");
            answer.headers()["location"].to_str().expect("text").to_owned()
        };
        assert_eq!(location("/redirect/3").await, "/redirect/2");
        assert_eq!(location("/redirect/1").await, "/ok");
        assert_eq!(location("/loop").await, "/loop");
        for target in ["file:///etc/passwd", "javascript:alert(1)", "http://169.254.169.254/"] {
            assert_eq!(location(&format!("/redirect-to?url={target}")).await, target);
        }
    }

    #[tokio::test]
    async fn a_held_answer_is_logged_at_once_and_ends_when_released() {
        let site = Site::start().await;
        for path in ["/hang", "/slow/3600000", "/held.png"] {
            let asked = client().get(site.url(path)).header("x-who", "a test").send();
            let answer = async { asked.await.expect("an answer").bytes().await.expect("a body") };
            tokio::pin!(answer);
            let seen = tokio::select! {
                _ = &mut answer => panic!("{path} answered before it was released"),
                seen = site.wait_for_request(path) => seen,
            };
            assert_eq!(seen.header("X-Who"), Some("a test"));
            if path == "/held.png" {
                site.release();
                assert_eq!(answer.await, &b"\x89PNG\r\n"[..]);
            }
        }
    }

    #[tokio::test]
    async fn nobody_listens_at_the_refused_url() {
        let error = client().get(refused_url()).send().await.expect_err("refused");
        assert!(error.is_connect());
    }

    #[tokio::test]
    async fn a_dropped_site_is_gone() {
        let site = Site::start().await;
        let url = site.url("/ok");
        drop(site);
        assert!(client().get(url).send().await.is_err());
    }
}
