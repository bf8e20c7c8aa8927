//! The web page: a link that signs in once, a list that is searched, one run as it grows and when it
//! is sealed; and that it lets nobody else in, runs nothing, and changes nothing.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;

use exhibit::config::Config;
use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::{Reply, TestDaemon};
use crate::process::{Process, exhibit, write_config};
use crate::site::Site;

/// A text that would do harm where it is not escaped.
const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

fn with_tcp(config: &mut Config) {
    config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
}

/// Somebody at a browser: what browsers send is given by hand.
struct Visitor<'d> {
    daemon: &'d TestDaemon,
    http: reqwest::Client,
    address: SocketAddr,
}

impl<'d> Visitor<'d> {
    fn of(daemon: &'d TestDaemon) -> Self {
        let http = exhibit::http::client().redirect(reqwest::redirect::Policy::none());
        let address = daemon.daemon().tcp().expect("listening");
        Self { daemon, http: http.build().expect("a client"), address }
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut request = self.http.request(method, format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.daemon.send(request.body(body.to_owned())).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, path, headers, "").await
    }

    /// The path and the token of a new link.
    async fn link(&self) -> (String, String) {
        let made = self.daemon.post("/ui/links", json!({})).await.ok().json();
        assert_eq!(made["expires_in_s"], 60);
        let url = made["url"].as_str().expect("a link");
        let path = url.strip_prefix(&format!("http://{}", self.address)).expect("our address");
        let token = path.strip_prefix("/ui/sign-in?token=").expect("the way in");
        (path.to_owned(), token.to_owned())
    }

    /// Sign in; the cookie.
    async fn sign_in(&self) -> String {
        let (_, token) = self.link().await;
        let form = [("sec-fetch-site", "same-origin"), ("origin", "null")];
        let reply = self.send(Method::POST, "/ui/sign-in", &form, &format!("token={token}")).await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
        let cookie = reply.header("set-cookie").expect("a cookie");
        let (pair, rest) = cookie.split_once(';').expect("attributes");
        assert_eq!(rest, " Path=/; Max-Age=28800; HttpOnly; SameSite=Strict");
        pair.to_owned()
    }
}

fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).expect("text")
}

/// What every page of ours holds browsers to.
#[track_caller]
fn assert_guarded(reply: &Reply) {
    let policy = reply.header("content-security-policy").expect("a policy");
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(reply.header(name), Some(value), "{name}");
    }
    assert!(reply.header("access-control-allow-origin").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_signs_in_once_and_the_session_only_looks() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let visitor = Visitor::of(&daemon);
    let refused = visitor.get("/", &[]).await;
    assert_eq!(refused.status, 401);
    assert!(text(&refused).contains("exhibit open"));
    assert_guarded(&refused);

    // A preview of the link does not use it up; the form does.
    let (path, token) = visitor.link().await;
    for _ in 0..2 {
        let page = visitor.get(&path, &[]).await.ok();
        assert!(text(&page).contains(&format!("name=\"token\" value=\"{token}\"")));
        assert!(page.header("set-cookie").is_none());
        assert_guarded(&page);
    }
    let form = format!("token={token}");
    let reply = visitor.send(Method::POST, "/ui/sign-in", &[], &form).await;
    assert_eq!(reply.status, 303);
    let cookie = reply.header("set-cookie").expect("a cookie").split(';').next().expect("one");
    let again = visitor.send(Method::POST, "/ui/sign-in", &[], &form).await;
    assert_eq!((again.status, again.header("set-cookie")), (401, None));
    assert_eq!(visitor.get(&path, &[]).await.status, 401);
    assert_eq!(visitor.get("/ui/sign-in", &[]).await.status, 401);

    let session = [("cookie", cookie)];
    let page = visitor.get("/", &session).await.ok();
    assert!(text(&page).contains("Sign out"));
    assert_guarded(&page);
    // It opens no door of the API, and the pages take nothing.
    for (method, path) in [
        (Method::POST, "/api/v1/runs"),
        (Method::GET, "/api/v1/runs"),
        (Method::GET, "/v1/status"),
        (Method::POST, "/v1/screenshot"),
        (Method::POST, "/ui/links"),
    ] {
        let body = "{\"workflow\": \"refund\"}";
        let own = [session[0], ("sec-fetch-site", "same-origin")];
        let reply = visitor.send(method, path, &own, body).await;
        assert_eq!(reply.refusal().0, 401, "{path}");
    }
    let run = daemon.open_run("refund").await;
    for path in ["/".to_owned(), format!("/ui/runs/{run}"), format!("/ui/runs/{run}/report.html")] {
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            let own = [session[0], ("sec-fetch-site", "same-origin")];
            assert_eq!(visitor.send(method, &path, &own, "").await.status, 405, "{path}");
        }
    }

    let own = [session[0], ("sec-fetch-site", "same-origin")];
    let out = visitor.send(Method::POST, "/ui/sign-out", &own, "").await;
    assert!(out.header("set-cookie").expect("taken away").contains("Max-Age=0"));
    assert_eq!(visitor.get("/", &session).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_pages_and_other_names_are_refused() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let visitor = Visitor::of(&daemon);
    let cookie = visitor.sign_in().await;
    let session = ("cookie", cookie.as_str());
    let refused = |reply: &Reply| {
        assert_eq!(reply.status, 403);
        assert!(text(reply).contains("foreign_request"));
    };
    // A name that was made to lead here (DNS rebinding).
    for host in ["evil.example", "evil.example:8420", "127.0.0.1.evil.example", "10.1.2.3"] {
        refused(&visitor.get("/", &[session, ("host", host)]).await);
        refused(&visitor.get("/ui/style.css", &[("host", host)]).await);
    }
    visitor.get("/", &[("cookie", &cookie), ("host", "localhost:9")]).await.ok();
    // A form or a script of another page, which on this machine may be of the same site.
    let (_, token) = visitor.link().await;
    let form = format!("token={token}");
    for headers in [
        [("origin", "http://evil.example"), ("sec-fetch-site", "cross-site")],
        [("origin", "null"), ("sec-fetch-site", "cross-site")],
        [("origin", "http://127.0.0.1:1"), ("sec-fetch-site", "same-site")],
        [("origin", "http://127.0.0.1:1"), ("accept", "*/*")],
        [("origin", "https://127.0.0.1"), session],
    ] {
        for path in ["/ui/sign-in", "/ui/sign-out"] {
            let mut headers = headers.to_vec();
            headers.push(session);
            refused(&visitor.send(Method::POST, path, &headers, &form).await);
        }
    }
    let picture = [session, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors")];
    refused(&visitor.get("/", &picture).await);
    // Nothing of that used the link up, or ended the session; and a link in a message can be followed.
    let follow = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    visitor.get(&format!("/ui/sign-in?{form}"), &follow).await.ok();
    visitor.get("/", &[session]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_the_cookie_is_held_to_https() {
    let daemon = TestDaemon::start_with(|config| {
        with_tcp(config);
        config.web.url = Some("https://evidence.internal".parse().expect("an address"));
    })
    .await;
    let visitor = Visitor::of(&daemon);
    let made = daemon.post("/ui/links", json!({})).await.ok().json();
    let link = made["url"].as_str().expect("a link");
    let token = link.strip_prefix("https://evidence.internal/ui/sign-in?token=").expect("its own");
    let host = ("host", "evidence.internal");
    let form = [host, ("origin", "https://evidence.internal")];
    let reply = visitor.send(Method::POST, "/ui/sign-in", &form, &format!("token={token}")).await;
    let cookie = reply.header("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("__Host-exhibit-session=") && cookie.ends_with("; Secure"),
        "{cookie}"
    );
    let cookie = ("cookie", cookie.split(';').next().expect("one"));
    visitor.get("/", &[host, cookie]).await.ok();
    assert_eq!(
        visitor.get("/", &[cookie]).await.status,
        401,
        "by another name it is not asked for"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_look_at_what() {
    let daemon = TestDaemon::start_with(|config| {
        with_tcp(config);
        config.daemon.socket_mode = 0o666;
        config.web.viewers = vec![65_533];
    })
    .await;
    let visitor = Visitor::of(&daemon);
    let run = daemon.open_run("refund").await;
    let ring = daemon.folder.path().join("keys/api-keys.json");
    let mut ring = exhibit::daemon::keyring::Keyring::open(&ring).expect("no keys yet");
    let (key, _) = ring.add("one", exhibit::clock::Clock::system().now()).expect("made");
    let bearer = format!("Bearer {}", key.expose());
    let key = [("authorization", bearer.as_str())];
    let own = visitor.send(Method::POST, "/v1/runs", &key, "{\"workflow\": \"of-the-key\"}").await;
    let own = own.ok().json()["run"].as_str().expect("an id").to_owned();

    // A key sees what it opened, as in the API, and gets no session.
    let list = text(&visitor.get("/", &key).await.ok());
    assert!(list.contains(&own) && !list.contains(&run), "{list}");
    visitor.get(&format!("/ui/runs/{own}"), &key).await.ok();
    for path in ["", "/report.html", "/data/events.jsonl"] {
        assert_eq!(visitor.get(&format!("/ui/runs/{run}{path}"), &key).await.status, 403, "{path}");
    }
    let told = visitor.send(Method::POST, "/ui/links", &key, "").await.refusal();
    assert_eq!((told.0, told.1.as_str()), (403, "not_a_viewer"));
    // The recorder's own user sees both.
    let list = text(&daemon.get("/").await.ok());
    assert!(list.contains(&own) && list.contains(&run));

    // Whoever merely may use the socket sees their own; whom the operator names sees all.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let open = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(daemon.folder.path(), open).expect("ours");
    let by = async |uid: u32, method: &str, path: &str| {
        let mut curl = tokio::process::Command::new("curl");
        curl.uid(uid).args(["--silent", "--show-error", "--request", method, "--unix-socket"]);
        curl.arg(daemon.folder.path().join("exhibit.sock")).arg(format!("http://exhibit{path}"));
        let output = curl.current_dir("/").output().await.expect("curl runs");
        String::from_utf8(output.stdout).expect("text")
    };
    let told = by(65_534, "POST", "/ui/links").await;
    assert!(told.contains("not_a_viewer") && told.contains("65534"), "{told}");
    let list = by(65_534, "GET", "/").await;
    assert!(list.contains("<h1>Runs</h1>") && !list.contains(&run), "{list}");
    assert!(by(65_534, "GET", &format!("/ui/runs/{run}")).await.contains("not_your_run"));
    assert!(by(65_533, "POST", "/ui/links").await.contains("/ui/sign-in?token="));
    assert!(by(65_533, "GET", "/").await.contains(&run));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_and_searched_and_shows_no_markup_of_others() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let visitor = Visitor::of(&daemon);
    let cookie = visitor.sign_in().await;
    let session = [("cookie", cookie.as_str())];
    let open = async |spec: Value| {
        let opened = daemon.post("/v1/runs", spec).await.ok().json();
        opened["run"].as_str().expect("an id").to_owned()
    };
    let hostile = open(json!({
        "workflow": HOSTILE, "agent": HOSTILE, "principal": HOSTILE,
        "subject": format!("javascript:alert(3) {HOSTILE}"), "labels": { HOSTILE: HOSTILE },
    }))
    .await;
    let refund = open(json!({
        "workflow": "refund", "agent": "refund-bot", "principal": "lead@example.com",
        "subject": "TX-1042", "controls": ["PI1.4"], "labels": { "ticket": "OPS-7" },
    }))
    .await;
    let plain = open(json!({ "workflow": "elsewhere", "agent": "other" })).await;
    for (run, outcome) in [(&hostile, HOSTILE), (&refund, "succeeded")] {
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": outcome })).await.ok();
    }

    let listed = async |query: &str| {
        let page = text(&visitor.get(&format!("/?{query}"), &session).await.ok());
        [&hostile, &refund, &plain].map(|run| page.contains(&format!("/ui/runs/{run}\"")))
    };
    assert_eq!(listed("").await, [true, true, true]);
    for (query, expected) in [
        ("workflow=refund", [false, true, false]),
        ("state=open", [false, false, true]),
        ("state=sealed", [true, true, false]),
        ("state=interrupted", [false, false, false]),
        ("verdict=incomplete", [false, true, false]),
        ("outcome=succeeded", [false, true, false]),
        ("agent=other", [false, false, true]),
        ("principal=lead%40example.com", [false, true, false]),
        ("q=tx-1042+OPS-7", [false, true, false]),
        ("q=pi1.4", [false, true, false]),
        ("q=tx-1042+nothing", [false, false, false]),
        ("q=ELSEWHERE", [false, false, true]),
        ("q=%3Cscript%3E", [true, false, false]),
        ("from=2020-01-01T00:00", [true, true, true]),
        ("to=2020-01-01T00:00", [false, false, false]),
        ("workflow=&agent=&q=", [true, true, true]),
    ] {
        assert_eq!(listed(query).await, expected, "{query}");
    }
    assert_eq!(listed(&format!("before={refund}")).await, [true, false, false]);

    let page = text(&visitor.get("/", &session).await.ok());
    assert!(page.contains("<b>2</b> sealed runs") && page.contains("<b>1</b> incomplete"));
    let run_page = text(&visitor.get(&format!("/ui/runs/{hostile}"), &session).await.ok());
    let searched = visitor.get("/?q=%22%3E%3Cscript%3Ex&agent=%22%3E%3Cscript%3Ex", &session).await;
    for page in [page, run_page, text(&searched.ok())] {
        assert!(!page.contains("<script") && !page.contains("<img src=x"), "{page}");
        assert!(page.contains("&#60;script"));
        assert!(!page.to_lowercase().contains("href=\"javascript:"));
    }
    let wrong = visitor.get("/?from=yesterday%22%3E%3Cb%3E", &session).await;
    assert_eq!(wrong.status, 400);
    let page = text(&wrong);
    assert!(page.contains("role=\"alert\"") && page.contains("`from` cannot be read"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_come_page_by_page() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let mut runs = Vec::new();
    for _ in 0..51 {
        let run = daemon.open_run("w").await;
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
        runs.push(run);
    }
    let first = text(&daemon.get("/?workflow=w").await.ok());
    assert!(first.contains("<b>51</b> sealed runs") && !first.contains(&runs[0]));
    let older = first.split("href=\"").filter_map(|part| part.split_once('"'));
    let older = older.map(|(href, _)| href).find(|href| href.contains("before=")).expect("a link");
    let older = older.replace("&#38;", "&");
    let second = text(&daemon.get(&older).await.ok());
    assert!(second.contains(&runs[0]) && !second.contains(&runs[50]), "{older}");
    assert!(second.contains("<b>51</b> sealed runs") && !second.contains("rel=\"next\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_run_is_watched_until_it_is_sealed() {
    let (daemon, site) = (TestDaemon::start_with(with_tcp).await, Site::start().await);
    let visitor = Visitor::of(&daemon);
    let cookie = visitor.sign_in().await;
    let session = [("cookie", cookie.as_str())];
    let spec = json!({ "workflow": "refund", "agent": "a", "principal": "p", "subject": "s" });
    let opened = daemon.post("/v1/runs", spec).await.ok().json();
    let run = opened["run"].as_str().expect("an id");
    let path = format!("/ui/runs/{run}");
    let look = async |query: &str| {
        let reply = visitor.get(&format!("{path}{query}"), &session).await.ok();
        assert_guarded(&reply);
        text(&reply)
    };
    let seen = look("").await;
    assert!(seen.contains("http-equiv=\"refresh\" content=\"10\""));
    assert!(seen.contains("Pause updates") && seen.contains("… missing yet"));
    assert!(seen.contains("Stage before") && seen.contains("Nothing was captured yet"));
    // It can be held still.
    let paused = look("?paused").await;
    assert!(!paused.contains("http-equiv=\"refresh\"") && paused.contains("Updates are paused"));

    let body = json!({ "url": site.url("/ok"), "stage": "before", "waitUntil": "load" });
    daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
    let event = json!({ "kind": "decision", "message": HOSTILE });
    daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok();
    let seen = look("").await;
    assert!(seen.contains("✓ present") && seen.contains("… missing yet"));
    assert!(seen.contains(&site.url("/ok")) && !seen.contains("<script"));
    assert!(!seen.contains(&format!("href=\"{}", site.url(""))), "addresses of pages are text");
    let picture = format!("{path}/data/captures/0001-before/screenshot.png");
    assert!(seen.contains(&format!("src=\"{picture}?small\"")), "{seen}");
    for (query, disposition) in [("?small", "inline"), ("?picture", "inline"), ("", "attachment")] {
        let reply = visitor.get(&format!("{picture}{query}"), &session).await.ok();
        assert!(reply.body.starts_with(b"\x89PNG"), "{query}");
        assert!(reply.header("content-disposition").expect("one").starts_with(disposition));
        assert!(reply.header("content-security-policy").expect("one").contains("sandbox"));
        assert_guarded(&reply);
    }
    let list = text(&visitor.get("/", &session).await.ok());
    assert!(list.contains("Open now") && list.contains("still missing"));

    // Of a recording a player may ask for a part.
    let film = daemon.request(Method::POST, &format!("/v1/runs/{run}/attachments?name=a.mp4"));
    daemon.send(film.body("0123456789")).await.ok();
    let range = [session[0], ("range", "bytes=2-4")];
    let part = visitor.get(&format!("{path}/data/attachments/a.mp4"), &range).await;
    assert_eq!((part.status, text(&part).as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));

    daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "succeeded" })).await.ok();
    let seen = look("").await;
    assert!(!seen.contains("http-equiv=\"refresh\"") && !seen.contains("Pause updates"));
    assert!(seen.contains("Incomplete") && seen.contains("✗ missing"));
    assert!(seen.contains(&format!("{path}/report.html")));
    // The report keeps its own policy.
    let report = visitor.get(&format!("{path}/report.html"), &session).await.ok();
    let policy = report.header("content-security-policy").expect("one");
    assert!(policy.contains("script-src 'sha256-") && policy.contains("frame-ancestors 'none'"));
    let kept = std::fs::read(daemon.sealed(run).join("report.html")).expect("kept");
    assert_eq!(report.body, kept);
    // Every file it lists can be had, as it is.
    let files = seen.split(" download>").filter_map(|part| part.rsplit_once("href=\""));
    let files: Vec<&str> = files.map(|(_, href)| href.trim_end_matches('"')).collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let reply = visitor.get(file, &session).await.ok();
        let name = file.strip_prefix(&format!("{path}/")).expect("below the run");
        // The report is shown and not saved.
        let kept = std::fs::read(daemon.sealed(run).join(name)).expect("kept");
        assert!(reply.body == kept, "{name}");
    }
    for path in
        ["../../../../../keys/signing_ed25519", "%2e%2e/x", "data", "data/none", "//etc/passwd"]
    {
        let reply = visitor.get(&format!("/ui/runs/{run}/{path}"), &session).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    for path in ["/ui/runs/x", "/ui/runs/019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57", "/ui/none"] {
        assert_eq!(visitor.get(path, &session).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_captured_page_does_not_reach_it() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let own = daemon.daemon().tcp().expect("listening");
    let made = daemon.post("/ui/links", json!({})).await.ok().json();
    let link = made["url"].as_str().expect("a link");
    let named = format!("http://localhost:{}/", own.port());
    for url in [format!("http://{own}/"), link.to_owned(), named] {
        let reply = daemon.quick_shot(&url).await;
        assert_eq!(reply.refusal().1, "target_forbidden", "{url}");
    }
    let frame = json!({ "html": format!("<iframe src=\"{link}\"></iframe>"), "waitUntil": "load" });
    assert_eq!(daemon.shot(frame).await.refusal().1, "target_forbidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_a_link_or_what_is_lacking() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let open = async |daemon: &TestDaemon, more: &[&str]| {
        let mut command = tokio::process::Command::from(exhibit());
        command.arg("--socket").arg(daemon.folder.path().join("exhibit.sock")).arg("open");
        command.args(more).output().await.expect("it runs")
    };
    let output = open(&daemon, &["--print"]).await;
    assert!(output.status.success());
    let link = String::from_utf8(output.stdout).expect("text");
    let address = daemon.daemon().tcp().expect("listening");
    assert!(link.starts_with(&format!("http://{address}/ui/sign-in?token=")), "{link}");
    let output = open(&daemon, &["--json"]).await;
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(answer["expires_in_s"], 60);

    let daemon = TestDaemon::start().await;
    let output = open(&daemon, &[]).await;
    assert_eq!(output.status.code(), Some(6));
    let told = String::from_utf8(output.stderr).expect("text");
    assert!(told.contains("daemon.listen") && told.contains("no_web_address"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_look_is_in_the_daemons_log() {
    let folder = tempfile::tempdir().expect("a folder");
    write_config(folder.path(), "[log]\nformat = \"json\"\n");
    let daemon = Process::start(&folder).await;
    let opened = daemon.post("/v1/runs", json!({ "workflow": "w" })).await.ok().json();
    let run = opened["run"].as_str().expect("an id").to_owned();
    let paths = ["", "/report.html", "/data/events.jsonl"];
    for path in paths {
        let reply = daemon.try_send("GET", &format!("/ui/runs/{run}{path}"), &json!({})).await;
        reply.expect("an answer").ok();
    }
    assert!(daemon.terminate().success());
    let log = std::fs::read_to_string(folder.path().join("log")).expect("text");
    let lines = log.lines().filter(|line| line.contains("evidence was looked at"));
    let lines: Vec<Value> =
        lines.map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let viewer = format!("user {}", rustix::process::geteuid().as_raw());
    assert_eq!(lines.len(), paths.len(), "{log}");
    for line in lines {
        assert!(line.to_string().contains(&run) && line.to_string().contains(&viewer), "{line}");
    }
}

/// A daemon with an open run and sealed ones, and a browser that is signed in; the open run.
async fn signed_in_browser() -> (TestDaemon, Browser, String) {
    let (daemon, site) = (TestDaemon::start_with(with_tcp).await, Site::start().await);
    let spec = json!({ "workflow": "refund", "subject": "TX-1042", "agent": "refund-bot" });
    let opened = daemon.post("/v1/runs", spec).await.ok().json();
    let run = opened["run"].as_str().expect("an id").to_owned();
    let body = json!({ "url": site.url("/ok"), "stage": "before", "waitUntil": "load" });
    daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
    daemon.quick_shot(&site.url("/ok")).await.ok();
    let long = "x".repeat(300);
    let spec = json!({ "workflow": "access-change", "subject": long, "agent": HOSTILE });
    let opened = daemon.post("/v1/runs", spec).await.ok().json();
    let other = opened["run"].as_str().expect("an id");
    daemon.post(&format!("/v1/runs/{other}/seal"), json!({ "outcome": "failed" })).await.ok();
    let made = daemon.post("/ui/links", json!({})).await.ok().json();
    let binary = exhibit::backend::chromium::find::browser(None).expect("Chromium");
    let mut browser = Browser::start(&binary).await;
    browser.view(1280, false).await;
    browser.visit(made["url"].as_str().expect("a link")).await;
    browser.value("document.querySelector('form button').click()").await;
    browser.until("document.querySelector('h1')?.textContent === 'Runs'").await;
    (daemon, browser, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_by_browser_and_opens_a_report() {
    let (daemon, mut browser, run) = signed_in_browser().await;
    assert_eq!(browser.value("document.cookie").await, "", "no script sees the session");

    check_views(&mut browser, "the list").await;
    browser.value("document.querySelector('.runs a').click()").await;
    browser.until("document.querySelector('.verdict .word')?.textContent === 'Open'").await;
    let loaded = "[...document.images].every(image => image.complete && image.naturalWidth > 0)";
    browser.until(loaded).await;
    check_views(&mut browser, "an open run").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "succeeded" })).await.ok();
    browser.until("document.querySelector('.verdict .word')?.textContent === 'Incomplete'").await;
    assert_eq!(browser.value("document.querySelector('meta[http-equiv]')").await, Value::Null);
    check_views(&mut browser, "a sealed run").await;
    assert!(browser.complaints().is_empty(), "{:#?}", browser.complaints());

    browser.value("document.querySelector('.button').click()").await;
    browser.until("document.getElementById('check')?.disabled === false").await;
    browser.value("document.getElementById('check').click()").await;
    browser.until("/^Match/.test(document.getElementById('check-result').textContent)").await;
    browser.visit(&format!("http://{}/", daemon.daemon().tcp().expect("listening"))).await;
    browser.value("document.querySelector('.bar button').click()").await;
    browser.until("document.querySelector('h1')?.textContent === 'Not signed in'").await;
}

/// axe-core (npm) has nothing to say, at both widths, light and dark.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs axe-core of npm in target/tools/axe; `make axe` fetches it"]
async fn axe_core_finds_nothing() {
    let (daemon, mut browser, run) = signed_in_browser().await;
    let base = format!("http://{}", daemon.daemon().tcp().expect("listening"));
    for path in ["/", "/?from=x", "/ui/none", "/ui/sign-in", &format!("/ui/runs/{run}?paused")] {
        for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
            browser.view(width, dark).await;
            browser.visit(&format!("{base}{path}")).await;
            let open = "document.querySelectorAll('details').forEach(one => { one.open = true; })";
            browser.value(open).await;
            let (passes, violations) = browser.axe().await;
            assert!(passes > 10, "it looked: {passes}");
            assert_eq!(violations, json!([]), "{path} {width} dark={dark}");
        }
    }
}

/// Nothing is wider than the window, and light is light and dark is dark.
async fn check_views(browser: &mut Browser, what: &str) {
    for width in [1280, 390] {
        for dark in [false, true] {
            browser.view(width, dark).await;
            let seen = "document.querySelectorAll('details').forEach(one => { one.open = true; }),
                [document.documentElement.scrollWidth, innerWidth,
                 getComputedStyle(document.body).backgroundColor]";
            let seen = browser.value(seen).await;
            assert_eq!(seen[0], seen[1], "{what}: nothing is wider than {width} pixels");
            assert_eq!(seen[2] == "rgb(255, 255, 255)", !dark, "{what}: {seen}");
            if let Some(folder) = std::env::var_os("EXHIBIT_SHOTS") {
                browser
                    .picture(
                        &std::path::Path::new(&folder)
                            .join(format!("{}-{width}-{dark}.png", what.replace(' ', "-"))),
                    )
                    .await;
            }
        }
    }
    browser.view(1280, false).await;
}
