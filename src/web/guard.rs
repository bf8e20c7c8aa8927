//! Owns what stands before every page: that the request was meant for this daemon by a page of its
//! own, and the headers that keep other pages from reading or framing what is answered.

use axum::extract::connect_info::ConnectInfo;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::Web;
use super::refusal::Refusal;
use crate::api::peer::Peer;
use crate::error::{Code, Problem};

/// What our own pages may do: have our style and pictures, and send their forms to us. No script.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer; one that a handler has set stays.
const HEADERS: [(HeaderName, &str); 7] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (X_FRAME_OPTIONS, "DENY"),
    (CACHE_CONTROL, "no-store"),
];

pub(super) async fn guard(State(web): State<Web>, request: Request, next: Next) -> Response {
    let url = web.config.borrow().web.url.clone();
    let mut response = match check(&request, url.as_ref()) {
        Ok(()) => next.run(request).await,
        Err(problem) => Refusal(problem).into_response(),
    };
    for (name, value) in HEADERS {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

fn check(request: &Request, url: Option<&Url>) -> Result<(), Problem> {
    let headers = request.headers();
    let over_socket = matches!(request.extensions().get(), Some(ConnectInfo(Peer::Socket(_))));
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if !over_socket {
        let absolute = request.uri().authority().map(Authority::as_str);
        let named = host.is_some_and(|host| is_own(host, url));
        if !named || !absolute.is_none_or(|host| is_own(host, url)) {
            return Err(foreign(
                "the address names a host that is not this daemon's; use the one that `exhibit \
                 open` prints, or name yours as `web.url`",
            ));
        }
    }
    if is_from_elsewhere(headers, request.method(), host) {
        return Err(foreign(
            "another page asked for this; open it yourself, or use the forms of this page",
        ));
    }
    Ok(())
}

fn foreign(message: &str) -> Problem {
    Problem::new(Code::ForeignRequest, message)
}

/// Whether the host of a request is a loopback name, or the configured one. A page that had its own
/// name lead here (DNS rebinding) comes with that name.
fn is_own(host: &str, url: Option<&Url>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().to_ascii_lowercase();
    let configured = url.and_then(Url::host_str) == Some(&name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let loopback = address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !host.contains('@') && (configured || loopback || name == "localhost")
}

/// Whether another page caused the request. Following a link to a page is let pass.
fn is_from_elsewhere(headers: &HeaderMap, method: &Method, host: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    // Without a referrer browsers say `null` of their own pages, too; then the other header counts.
    let origin = text(ORIGIN.as_str()).filter(|origin| *origin != "null");
    let same = |origin: &str| {
        let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        named.is_some() && named == host
    };
    if origin.is_some_and(|origin| !same(origin)) {
        return true;
    }
    match text("sec-fetch-site") {
        Some("same-origin") => false,
        Some("none") => changes,
        Some(_) => {
            let follows = text("sec-fetch-mode") == Some("navigate")
                && text("sec-fetch-dest") == Some("document");
            changes || !follows
        }
        // No browser of today; what is no browser sends no `Origin` either, and has no cookies
        // that another page could use.
        None => changes && origin.is_none() && headers.contains_key("cookie"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_and_the_configured_one_are_our_own() {
        let url = "https://evidence.internal".parse().expect("an address");
        for own in [
            "127.0.0.1:8420",
            "127.9.9.9",
            "localhost:1",
            "LOCALHOST",
            "[::1]:8420",
            "evidence.internal",
            "Evidence.Internal:443",
        ] {
            assert!(is_own(own, Some(&url)), "{own}");
        }
        for other in [
            "evil.example",
            "127.0.0.1.evil.example:8420",
            "localhost.evil.example",
            "10.0.0.7",
            "a@127.0.0.1",
            "127.0.0.1@evil.example",
            "",
            "[::2]",
            "0.0.0.0:8420",
            "exhibit.localhost",
        ] {
            assert!(!is_own(other, Some(&url)), "{other}");
        }
        assert!(!is_own("evidence.internal", None));
    }

    #[test]
    fn another_page_may_lead_here_and_no_more() {
        let elsewhere = |method: Method, given: &[(&'static str, &str)]| {
            let pairs = given.iter().map(|(name, value)| {
                (HeaderName::from_static(name), value.parse().expect("a value"))
            });
            is_from_elsewhere(&pairs.collect(), &method, Some("127.0.0.1:8420"))
        };
        let (site, mode, dest) = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest");
        let follow = [(site, "cross-site"), (mode, "navigate"), (dest, "document")];
        assert!(!elsewhere(Method::GET, &follow));
        assert!(elsewhere(Method::POST, &follow));
        assert!(elsewhere(Method::GET, &[(site, "same-site"), (mode, "no-cors"), (dest, "image")]));
        assert!(elsewhere(
            Method::GET,
            &[(site, "same-site"), (mode, "navigate"), (dest, "iframe")]
        ));
        assert!(!elsewhere(Method::POST, &[(site, "same-origin"), ("origin", "null")]));
        assert!(!elsewhere(Method::POST, &[("origin", "http://127.0.0.1:8420")]));
        for origin in ["http://127.0.0.1:9999", "http://evil.example", "null", "file://"] {
            let cookie = ("cookie", "exhibit-session=x");
            assert!(elsewhere(Method::POST, &[("origin", origin), cookie]), "{origin}");
        }
        assert!(elsewhere(Method::POST, &[("origin", "http://x"), (site, "same-origin")]));
        assert!(!elsewhere(Method::GET, &[]) && !elsewhere(Method::POST, &[]));
    }
}
