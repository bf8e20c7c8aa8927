//! Owns the sentences for pages that did not come to be: what the network said, what came instead of a
//! page, which limit passed. Each end has its own, with the remedy that helps.

use super::bound::Bound;
use super::net_error::is_cut_short;
use super::page::Page;
use crate::backend::Download;
use crate::error::{CaptureError, ErrorKind};
use crate::settings::{PageSettings, Target, presentable};

/// A download came instead of a page: what was asked for, or what the page led to.
pub(super) fn download(asked: &url::Url, began: Option<&Download>) -> CaptureError {
    let asked = presentable(asked);
    let message = match began {
        Some(Download { url, name, .. }) if *url != asked => format!(
            "the page led to the download of {url}, named `{name}`, which was refused; have it lead to \
             a page"
        ),
        _ => format!("`url` {asked} is a download and not a page; give the address of a page"),
    };
    CaptureError::new(ErrorKind::DownloadNotPage, message).field("url")
}

/// The limit passed before the page was where it had to be.
pub(super) fn too_slow(page: &Page, settings: &PageSettings) -> CaptureError {
    let (answered, bound) = {
        let seen = page.observed();
        (seen.answered, seen.bound)
    };
    let (passed, remedy) = (bound.passed(), bound.remedy());
    let code = match bound {
        Bound::Deadline => ErrorKind::RequestTimeout,
        _ if !answered && matches!(settings.target, Target::Url(_)) => ErrorKind::ConnectionTimeout,
        _ => ErrorKind::NavigationTimeout,
    };
    if !answered && matches!(settings.target, Target::Url(_)) {
        let message =
            format!("the target did not answer {passed}; check that it is up, or {remedy}");
        return CaptureError::new(code, message).field("url");
    }
    let in_flight = page.observed().in_flight();
    let message = format!(
        "the page did not reach `{}` {passed}; {remedy}, or wait for less with `waitUntil`",
        settings.wait_until.as_str()
    );
    let problem = CaptureError::new(code, message).field("waitUntil");
    if in_flight.is_empty() {
        problem
    } else {
        problem.hint(format!("still loading: {}", in_flight.join(", ")))
    }
}

/// Chromium's name of a network error as a problem with `url`. The names are those of Chromium's
/// `net/base/net_error_list.h`.
pub(super) fn navigation_problem(error: &str, url: &str) -> CaptureError {
    let name = error.trim_start_matches("net::");
    let (code, what, remedy) = match name {
        "ERR_NAME_NOT_RESOLVED" | "ERR_NAME_RESOLUTION_FAILED" | "ERR_DNS_TIMED_OUT" => (
            ErrorKind::DnsFailure,
            "names a host that has no address",
            "check its spelling and the DNS",
        ),
        "ERR_CONNECTION_REFUSED" => (
            ErrorKind::ConnectionRefused,
            "refused the connection",
            "check that it is up, and its port",
        ),
        "ERR_CONNECTION_TIMED_OUT" | "ERR_TIMED_OUT" => (
            ErrorKind::ConnectionTimeout,
            "did not answer",
            "check that it is up and may be reached",
        ),
        "ERR_TOO_MANY_REDIRECTS" => (
            ErrorKind::RedirectLoop,
            "redirects without end",
            "correct the page, or send the cookies it wants",
        ),
        "ERR_UNSAFE_REDIRECT" | "ERR_UNKNOWN_URL_SCHEME" | "ERR_DISALLOWED_URL_SCHEME" => (
            ErrorKind::TargetForbidden,
            "leads to an address that is never captured",
            "give one that stays with http and https",
        ),
        "ERR_CONNECTION_RESET"
        | "ERR_CONNECTION_CLOSED"
        | "ERR_EMPTY_RESPONSE"
        | "ERR_ADDRESS_UNREACHABLE"
        | "ERR_INTERNET_DISCONNECTED"
        | "ERR_NETWORK_CHANGED"
        | "ERR_CONNECTION_ABORTED"
        | "ERR_CONNECTION_FAILED"
        | "ERR_ADDRESS_INVALID"
        | "ERR_NETWORK_ACCESS_DENIED"
        | "ERR_UNSAFE_PORT" => (
            ErrorKind::TargetUnreachable,
            "could not be reached",
            "check that it is up and may be reached",
        ),
        name if name.starts_with("ERR_CERT_") || name.contains("SSL") => {
            let (what, remedy) = tls_problem(name);
            (ErrorKind::TlsError, what, remedy)
        }
        name if is_cut_short(name) => return cut_short(name, url),
        _ => (ErrorKind::NavigationFailed, "could not be opened", "check it in a browser"),
    };
    CaptureError::new(code, format!("`url` {url} {what} ({name}); {remedy}")).field("url")
}

/// What is wrong with the TLS of a site, and the remedy.
fn tls_problem(name: &str) -> (&'static str, &'static str) {
    match name {
        "ERR_SSL_PROTOCOL_ERROR" => (
            "does not speak TLS at this port",
            "ask with `http://`, or give the port that speaks TLS",
        ),
        "ERR_SSL_VERSION_OR_CIPHER_MISMATCH" | "ERR_SSL_OBSOLETE_CIPHER" => (
            "speaks no version of TLS that the browser still accepts",
            "have the server offer TLS 1.2 or later",
        ),
        name if name.contains("CLIENT_AUTH") || name.contains("CLIENT_CERT") => (
            "asks for a client certificate, which the recorder has none of",
            "give an address that does not",
        ),
        "ERR_CERT_DATE_INVALID" => (
            "has a certificate that is not valid at this time",
            "have it renewed, and check the host's clock",
        ),
        "ERR_CERT_COMMON_NAME_INVALID" => {
            ("has a certificate for another name", "ask by the name it is for, or have it reissued")
        }
        "ERR_CERT_REVOKED" => ("has a certificate that was revoked", "have it replaced"),
        _ => ("has no certificate the recorder trusts", "mend it, or add its CA to the host"),
    }
}

/// The document ended before its end.
pub(super) fn cut_short(name: &str, url: &str) -> CaptureError {
    let name = name.trim_start_matches("net::");
    let message = format!(
        "`url` {url} was cut short: its server ended the answer before the whole document was sent \
         ({name}); ask again, or mend the server"
    );
    CaptureError::new(ErrorKind::DocumentCutShort, message).field("url")
}

/// The server answered that there is nothing to show.
pub(super) fn no_content(status: u16, url: &str) -> CaptureError {
    let message = format!(
        "`url` {url} answered {status}, which says that there is nothing to show; give the address \
         of a page"
    );
    CaptureError::new(ErrorKind::NoContent, message).field("url")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_errors_have_stable_codes() {
        let cases = [
            ("net::ERR_NAME_NOT_RESOLVED", ErrorKind::DnsFailure),
            ("net::ERR_CONNECTION_REFUSED", ErrorKind::ConnectionRefused),
            ("net::ERR_CERT_AUTHORITY_INVALID", ErrorKind::TlsError),
            ("net::ERR_SSL_PROTOCOL_ERROR", ErrorKind::TlsError),
            ("net::ERR_TOO_MANY_REDIRECTS", ErrorKind::RedirectLoop),
            ("net::ERR_UNSAFE_REDIRECT", ErrorKind::TargetForbidden),
            ("net::ERR_EMPTY_RESPONSE", ErrorKind::TargetUnreachable),
            ("net::ERR_CERT_DATE_INVALID", ErrorKind::TlsError),
            ("net::ERR_CONTENT_LENGTH_MISMATCH", ErrorKind::DocumentCutShort),
            ("net::ERR_SOMETHING_NEW", ErrorKind::NavigationFailed),
        ];
        for (error, code) in cases {
            let problem = navigation_problem(error, "http://a.example/");
            assert_eq!(problem.kind, code, "{error}");
            assert!(problem.message.contains("http://a.example/") && problem.message.contains(';'));
        }
    }

    #[test]
    fn each_trouble_with_tls_has_its_own_remedy() {
        let cases = [
            ("ERR_SSL_PROTOCOL_ERROR", "`http://`"),
            ("ERR_CERT_DATE_INVALID", "clock"),
            ("ERR_CERT_COMMON_NAME_INVALID", "another name"),
            ("ERR_CERT_AUTHORITY_INVALID", "add its CA"),
            ("ERR_SSL_CLIENT_AUTH_CERT_NEEDED", "client certificate"),
            ("ERR_SSL_VERSION_OR_CIPHER_MISMATCH", "TLS 1.2"),
        ];
        for (error, words) in cases {
            let problem = navigation_problem(error, "https://a.example/");
            assert!(problem.message.contains(words), "{problem}");
        }
    }
}
