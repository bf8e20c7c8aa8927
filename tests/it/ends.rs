//! How pages end that do not come to be, or are about to lead elsewhere: each end has its own sentence,
//! with the remedy that helps, and what a page announces is on record.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};

use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

/// A server whose answers are bytes as they are, and which hangs up after each.
pub(crate) fn raw_server(answer: fn(&str) -> Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let mut request = [0; 8_192];
                let read = stream.read(&mut request).unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                let path = request.split(' ').nth(1).unwrap_or_default();
                // Whoever asked may have hung up.
                drop(stream.write_all(&answer(path)));
            });
        }
    });
    address
}

/// A whole answer.
pub(crate) fn answer(kind: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn broken(path: &str) -> Vec<u8> {
    let page =
        |head: &str| answer("text/html", "", format!("<!doctype html>{head}<h1>here").as_bytes());
    match path {
        "/204" => b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n".to_vec(),
        "/205" => b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        "/short" => b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9999\r\n\r\n<h1>cut".to_vec(),
        "/chunked" => {
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n<h1>cut\r\n"
                .to_vec()
        }
        "/silent" => Vec::new(),
        "/meta" => page("<meta http-equiv=refresh content='60; url=/next'>"),
        "/meta-at-once" => page("<meta http-equiv=refresh content='0; url=/next'>"),
        "/header" => answer("text/html", "Refresh: 60; url=/next\r\n", b"<!doctype html><h1>here"),
        "/script" => page("<script>location.replace('/next')</script>"),
        _ => page(""),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_end_has_its_own_sentence_and_remedy() {
    let daemon = TestDaemon::start().await;
    let server = raw_server(broken);
    let cases = [
        (format!("http://{server}/204"), 422, "no_content", "answered 204"),
        (format!("http://{server}/205"), 422, "no_content", "answered 205"),
        (
            format!("http://{server}/short"),
            502,
            "document_cut_short",
            "ERR_CONTENT_LENGTH_MISMATCH",
        ),
        (format!("http://{server}/chunked"), 502, "document_cut_short", "mend the server"),
        (format!("http://{server}/silent"), 502, "target_unreachable", "ERR_EMPTY_RESPONSE"),
        (format!("https://{server}/"), 502, "tls_error", "`http://`"),
    ];
    for (url, status, code, words) in cases {
        let begun = std::time::Instant::now();
        let reply = daemon.shot(json!({ "url": url, "waitUntil": "load" })).await;
        assert_eq!((reply.refusal().0, reply.refusal().1.as_str()), (status, code), "{url}");
        let error = reply.json()["error"].as_str().expect("a sentence").to_owned();
        assert!(error.contains(words), "{url}: {error}");
        assert!(begun.elapsed().as_secs() < 15, "{url} was waited for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_that_passed_is_the_one_that_is_named() {
    let daemon = TestDaemon::start_with(|config| {
        config.capture.deadline = std::time::Duration::from_secs(4);
    })
    .await;
    let site = Site::start().await;
    let cases = [
        (
            json!({ "url": site.url("/hang"), "navigationTimeout": 500 }),
            "target_connection_timeout",
            "navigationTimeout",
        ),
        (json!({ "url": site.url("/hang") }), "request_timeout", "capture.deadline"),
        (
            json!({ "url": site.url("/hang"), "navigationTimeout": 0 }),
            "request_timeout",
            "capture.deadline",
        ),
        (
            json!({ "url": site.url("/never-loads"), "navigationTimeout": 700 }),
            "navigation_timeout",
            "navigationTimeout",
        ),
        (
            json!({ "url": site.url("/never-loads"), "navigationTimeout": 0 }),
            "request_timeout",
            "capture.deadline",
        ),
    ];
    for (body, code, remedy) in cases {
        let reply = daemon.shot(body.clone()).await;
        assert_eq!((reply.refusal().0, reply.refusal().1.as_str()), (504, code), "{body}");
        let error = reply.json()["error"].as_str().expect("a sentence").to_owned();
        let other =
            if remedy == "capture.deadline" { "navigationTimeout" } else { "capture.deadline" };
        assert!(error.contains(remedy) && !error.contains(other), "{body}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_page_leads_by_itself_is_on_record() {
    let daemon = TestDaemon::start().await;
    let server = raw_server(broken);
    let next = format!("http://{server}/next");
    for (path, pending) in [("/meta", "meta_refresh"), ("/header", "refresh_header")] {
        let body = json!({ "url": format!("http://{server}{path}"), "response_type": "json" });
        let reply = daemon.shot(body).await.ok();
        let page = daemon.capture(&reply.run(), "0001-during")["page"].clone();
        let expected = json!({ "url": next, "by": pending, "after_s": 60.0 });
        assert_eq!(page["pending_navigation"], expected, "{path}");
        assert_eq!(reply.json()["evidence"]["pending_navigation"], expected, "{path}");
        assert!(page.get("led").is_none(), "{path}: {page}");
    }
    for (path, by) in [("/meta-at-once", "meta_refresh"), ("/script", "script")] {
        let body = json!({ "url": format!("http://{server}{path}") });
        let run = daemon.shot(body).await.ok().run();
        let page = daemon.capture(&run, "0001-during")["page"].clone();
        assert_eq!(page["led"], json!([{ "url": next, "by": by }]), "{path}");
        assert_eq!(page["final_url"], json!(next), "{path}");
        assert!(page.get("pending_navigation").is_none(), "{path}: {page}");
    }
    let run = daemon.shot(json!({ "url": next })).await.ok().run();
    let page = daemon.capture(&run, "0001-during")["page"].clone();
    assert_eq!((page.get("led"), page.get("pending_navigation")), (None, None::<&Value>));
}
