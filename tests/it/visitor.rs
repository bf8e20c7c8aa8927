//! Somebody who looks at the web page, with what browsers send given by hand.

use std::net::SocketAddr;

use exhibit::config::Config;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Reply, TestDaemon};

/// A text that would do harm where it is not escaped.
pub(crate) const HOSTILE: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>";

pub(crate) fn with_tcp(config: &mut Config) {
    config.daemon.listen = Some("127.0.0.1:0".parse().expect("an address"));
}

/// Somebody at a browser: what browsers send is given by hand.
pub(crate) struct Visitor<'d> {
    daemon: &'d TestDaemon,
    http: reqwest::Client,
    pub(crate) address: SocketAddr,
}

impl<'d> Visitor<'d> {
    pub(crate) fn of(daemon: &'d TestDaemon) -> Self {
        // A connection for each request: one that is kept may be given up at the moment it is used again.
        let http = exhibit::http::client().redirect(reqwest::redirect::Policy::none());
        let http = http.pool_max_idle_per_host(0);
        let address = daemon.daemon().tcp().expect("listening");
        Self { daemon, http: http.build().expect("a client"), address }
    }

    pub(crate) async fn send(
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

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.send(Method::GET, path, headers, "").await
    }

    /// The path and the token of a new link.
    pub(crate) async fn link(&self) -> (String, String) {
        let made = self.daemon.post("/ui/links", json!({})).await.ok().json();
        assert_eq!(made["expires_in_s"], 60);
        let url = made["url"].as_str().expect("a link");
        let path = url.strip_prefix(&format!("http://{}", self.address)).expect("our address");
        let token = path.strip_prefix("/ui/sign-in?token=").expect("the way in");
        (path.to_owned(), token.to_owned())
    }

    /// Sign in; the cookie.
    pub(crate) async fn sign_in(&self) -> String {
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

pub(crate) fn text(reply: &Reply) -> String {
    String::from_utf8(reply.body.clone()).expect("text")
}

/// What every page of ours holds browsers to.
#[track_caller]
pub(crate) fn assert_guarded(reply: &Reply) {
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
