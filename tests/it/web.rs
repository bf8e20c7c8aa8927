//! The way in to the web page: a link that signs in once, who sees what, and that other pages, other
//! names and captured pages are kept out. What the pages show is in web_pages.rs.

use std::os::unix::fs::PermissionsExt as _;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::process::{Process, exhibit, write_config};
use crate::visitor::{Visitor, assert_guarded, text, with_tcp};

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
    let mut ring = exhibit::auth::keyring::Keyring::open(&ring).expect("no keys yet");
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
