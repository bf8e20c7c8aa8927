//! Owns the question whether a request was meant for this daemon: it names one host, over TCP one of the
//! daemon's own, and no page of another site caused it. A page that had its own name lead here (DNS
//! rebinding) comes with that name. It holds no rule about who may do what.

use axum::extract::Request;
use axum::extract::connect_info::ConnectInfo;
use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName};
use url::Url;

use super::peer::Peer;
use crate::error::{Code, Problem};

/// What browsers say of where a request comes from.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether `request` was meant for the daemon, which is also reached at `url`.
///
/// # Errors
/// `invalid_field` for two hosts; `foreign_request`.
pub(crate) fn check_origin(request: &Request, url: Option<&Url>) -> Result<(), Problem> {
    one_host(request)?;
    if is_over_socket(request) {
        return Ok(());
    }
    own_host(request, url)?;
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let text = |name: &HeaderName| {
        headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("?")).collect::<Vec<_>>()
    };
    let elsewhere = text(&ORIGIN).into_iter().any(|origin| !is_same(origin, host))
        || text(&SITE).into_iter().any(|site| !matches!(site, "same-origin" | "none"));
    if elsewhere {
        return Err(foreign(
            "a page of another site asked for this; ask from a program of your own",
        ));
    }
    Ok(())
}

/// Whether the request came over the Unix socket, which no page reaches.
pub(crate) fn is_over_socket(request: &Request) -> bool {
    matches!(request.extensions().get(), Some(ConnectInfo(Peer::Socket(_))))
}

/// Refuse a request that names two hosts (RFC 9112, 3.2): whoever stands in between may see the other.
///
/// # Errors
/// `invalid_field`.
pub(crate) fn one_host(request: &Request) -> Result<(), Problem> {
    let headers: &HeaderMap = request.headers();
    if headers.get_all(HOST).iter().count() <= 1 {
        return Ok(());
    }
    let message = "the request has two `Host` headers; send one";
    Err(Problem::new(Code::InvalidField, message).field("Host"))
}

/// Refuse a request over TCP that names a host that is not the daemon's.
///
/// # Errors
/// `foreign_request`.
pub(crate) fn own_host(request: &Request, url: Option<&Url>) -> Result<(), Problem> {
    let absolute = request.uri().authority().map(Authority::as_str);
    let host = request.headers().get(HOST).map(|host| host.to_str().unwrap_or("?"));
    // A client of HTTP/1.0 names none, and no browser does so.
    let named = host.or(absolute).is_none_or(|host| is_own(host, url));
    if named && absolute.is_none_or(|host| is_own(host, url)) {
        return Ok(());
    }
    Err(foreign(
        "the address names a host that is not this daemon's; use the one that `exhibit open` \
         prints, or name yours as `web.url`",
    ))
}

pub(crate) fn foreign(message: &str) -> Problem {
    Problem::new(Code::ForeignRequest, message)
}

/// Whether the host of a request is a loopback name, or the configured one.
fn is_own(host: &str, url: Option<&Url>) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().to_ascii_lowercase();
    let configured = url.and_then(Url::host_str) == Some(&name);
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let loopback = address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    !host.contains('@') && (configured || loopback || name == "localhost")
}

/// Whether `origin` is the site that the request itself names as `host`.
pub(crate) fn is_same(origin: &str, host: Option<&str>) -> bool {
    let named = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    named.is_some() && named == host
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

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
    fn what_another_site_or_another_name_asks_for_is_refused_over_tcp() {
        let said = |peer: Option<Peer>, headers: &[(&str, &str)]| {
            let mut request = Request::builder().uri("/v1/status");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let mut request = request.body(Body::empty()).expect("a request");
            request.extensions_mut().insert(ConnectInfo(peer.unwrap_or(Peer::Tcp)));
            check_origin(&request, None).map_err(|problem| problem.code.as_str()).err()
        };
        let own = ("host", "127.0.0.1:8420");
        for passes in [
            &[own][..],
            &[],
            &[own, ("origin", "http://127.0.0.1:8420"), ("sec-fetch-site", "same-origin")],
            &[own, ("sec-fetch-site", "none")],
        ] {
            assert_eq!(said(None, passes), None, "{passes:?}");
        }
        for foreign in [
            &[("host", "evil.example")][..],
            &[("host", "evil.example:8420"), ("origin", "http://evil.example:8420")],
            &[own, ("origin", "http://evil.example")],
            &[own, ("origin", "null")],
            &[own, ("origin", "http://127.0.0.1:9999")],
            &[own, ("origin", "http://127.0.0.1:8420"), ("origin", "http://evil.example")],
            &[own, ("origin", "\u{e9}")],
            &[own, ("sec-fetch-site", "cross-site")],
            &[own, ("sec-fetch-site", "same-site")],
        ] {
            assert_eq!(said(None, foreign), Some("foreign_request"), "{foreign:?}");
        }
        assert_eq!(said(None, &[own, own]), Some("invalid_field"));
        let socket = || Some(Peer::Socket(None));
        assert_eq!(said(socket(), &[("host", "exhibit")]), None);
        assert_eq!(said(socket(), &[own, ("host", "x")]), Some("invalid_field"));
    }
}
