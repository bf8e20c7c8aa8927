//! Owns what stands before every page: that the request was meant for this daemon by a page of its
//! own, and the headers that keep other pages from reading or framing what is answered.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use url::Url;

use super::Web;
use super::refusal::Refusal;
use crate::auth::origin::{foreign, is_over_socket, is_same, one_host, own_host};
use crate::error::Problem;

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
    one_host(request)?;
    if !is_over_socket(request) {
        own_host(request, url)?;
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    if is_from_elsewhere(headers, request.method(), host) {
        return Err(foreign(
            "another page asked for this; open it yourself, or use the forms of this page",
        ));
    }
    Ok(())
}

/// Whether another page caused the request. Following a link to a page is let pass.
fn is_from_elsewhere(headers: &HeaderMap, method: &Method, host: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let changes = !matches!(*method, Method::GET | Method::HEAD);
    // Without a referrer browsers say `null` of their own pages, too; then the other header counts.
    let origin = text(ORIGIN.as_str()).filter(|origin| *origin != "null");
    if origin.is_some_and(|origin| !is_same(origin, host)) {
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
