//! Targets that are documents and no pages: their bytes are kept as they came, with name, media type,
//! size and hash; of what the browser shows there is a picture, too.

use exhibit::digest::Digest;
use serde_json::{Value, json};

use crate::ends::{answer, raw_server};
use crate::harness::TestDaemon;

const PDF: &[u8] = b"%PDF-1.4\n% \xe2\xe3\xcf\xd3 not looked into\n%%EOF\n";
const LATIN: &[u8] = b"{\"name\": \"M\xfcller\"}";

fn documents(path: &str) -> Vec<u8> {
    let named = "Content-Disposition: attachment; filename=\"invoice.pdf\"\r\n";
    match path {
        "/invoice" => answer("application/pdf", named, PDF),
        "/plain.pdf" => answer("application/pdf", "", PDF),
        "/moved" => b"HTTP/1.1 302 Found\r\nLocation: /plain.pdf\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        "/list.csv" => answer("text/csv; charset=utf-8", "", b"id,amount\n1,2\n"),
        "/files.zip" => answer("application/zip", "", b"PK\x05\x06 nothing in it"),
        "/odd" => answer("application/x-odd", "", b"\x00\x01\x02"),
        "/data.json" => answer("application/json; charset=iso-8859-1", "", LATIN),
        "/note.txt" => answer("text/plain", "", b"a note\n"),
        "/list.xml" => answer("application/xml", "", b"<list><entry/></list>"),
        "/dot.svg" => answer("image/svg+xml", "", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        _ => answer("text/html", "", b"<!doctype html><h1>a page"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_as_target_is_kept_as_it_came() {
    let (daemon, server) = (TestDaemon::start().await, raw_server(documents));
    let cases: &[(&str, &str, &str, &str, &[u8])] = &[
        ("/invoice", "application/pdf", "document.pdf", "invoice.pdf", PDF),
        ("/plain.pdf", "application/pdf", "document.pdf", "plain.pdf", PDF),
        ("/moved", "application/pdf", "document.pdf", "plain.pdf", PDF),
        ("/list.csv", "text/csv", "original.csv", "list.csv", b"id,amount\n1,2\n"),
        ("/files.zip", "application/zip", "original.zip", "files.zip", b"PK\x05\x06 nothing in it"),
        ("/odd", "application/octet-stream", "original.bin", "odd", b"\x00\x01\x02"),
    ];
    for (endpoint, cases) in [("/v1/screenshot", cases), ("/v1/pdf", &cases[..1])] {
        for (path, media_type, file, name, bytes) in cases {
            let body = json!({ "url": format!("http://{server}{path}"), "waitUntil": "load" });
            let reply = daemon.post(endpoint, body).await.ok();
            assert_eq!(
                (reply.header("content-type"), &reply.body[..]),
                (Some(*media_type), *bytes),
                "{path}"
            );
            let run = reply.run();
            let kept = daemon.sealed(&run).join("data/captures/0001-during").join(file);
            assert_eq!(std::fs::read(kept).expect("it is kept"), *bytes, "{path}");
            let capture = daemon.capture(&run, "0001-during");
            let document = &capture["document"];
            assert_eq!(
                (&document["file"], &document["media_type"]),
                (&json!(file), &json!(media_type)),
                "{path}"
            );
            assert_eq!(document["size_bytes"], json!(bytes.len()), "{path}");
            assert_eq!(document["sha256"], json!(Digest::of(bytes).to_string()), "{path}");
            assert!(capture.get("picture").is_none() && capture.get("pdf").is_none(), "{path}");
            let original = &capture["page"]["original"];
            assert_eq!(original["name"], json!(name), "{original}");
            assert!(
                original["no_picture"].as_str().expect("why").contains("no page"),
                "{original}"
            );
            let kinds = daemon.kinds(&run);
            assert!(kinds.contains(&"capture.taken".to_owned()), "{kinds:?}");
            assert!(!kinds.contains(&"download.refused".to_owned()), "{kinds:?}");
            daemon.assert_verifies(&run);
        }
    }
    // The same as JSON, and in a comparison or a report on a page, where it can be nothing.
    let url = format!("http://{server}/invoice");
    let body = json!({ "url": url, "response_type": "json" });
    let told = daemon.shot(body).await.ok().json();
    assert_eq!(told["evidence"]["original"]["media_type"], "application/pdf", "{told}");
    let refused = daemon.post("/v1/inspect", json!({ "url": url })).await;
    assert_eq!(refused.refusal().1, "download_not_page");
    let refused = daemon.post("/v1/diff", json!({ "url_a": url, "html_b": "x" })).await;
    assert_eq!(refused.refusal().1, "download_not_page");
    // The page after it is one like any other.
    let body = json!({ "url": format!("http://{server}/page"), "waitUntil": "load" });
    let reply = daemon.shot(body).await.ok();
    assert_eq!(reply.header("content-type"), Some("image/png"));
    assert!(daemon.capture(&reply.run(), "0001-during")["page"].get("original").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_browser_shows_is_kept_beside_its_picture() {
    let (daemon, server) = (TestDaemon::start().await, raw_server(documents));
    let cases: &[(&str, &str, &str, &[u8])] = &[
        ("/data.json", "application/json", "original.json", "{\"name\": \"Müller\"}".as_bytes()),
        ("/note.txt", "text/plain", "original.txt", b"a note\n"),
        ("/list.xml", "application/xml", "original.xml", b"<list><entry/></list>"),
        ("/dot.svg", "image/svg+xml", "original.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    ];
    for (path, media_type, file, bytes) in cases {
        let body = json!({ "url": format!("http://{server}{path}"), "waitUntil": "load" });
        let reply = daemon.shot(body).await.ok();
        assert!(reply.body.starts_with(b"\x89PNG"), "{path}");
        let run = reply.run();
        let capture = daemon.capture(&run, "0001-during");
        let original = &capture["page"]["original"];
        let name = path.trim_start_matches('/');
        let told = ["file", "name", "media_type", "served_as"].map(|field| &original[field]);
        assert_eq!(told, [file, name, media_type, media_type], "{original}");
        // What came in another encoding is told as text, and what came as bytes is exact.
        assert!(original["decoded"] == true || path != &"/data.json", "{original}");
        let beside: Vec<&Value> =
            capture["companions"].as_array().expect("a list").iter().collect();
        assert_eq!(beside[0]["sha256"], json!(Digest::of(bytes).to_string()), "{path}: {beside:?}");
        let kept = daemon.sealed(&run).join("data/captures/0001-during").join(file);
        assert_eq!(std::fs::read(kept).expect("it is kept"), *bytes, "{path}");
        daemon.assert_verifies(&run);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_not_kept_where_something_in_it_would_have_to_be_covered() {
    let server = raw_server(documents);
    let daemon = TestDaemon::start_with(|config| {
        config.privacy.mask = vec![".iban".to_owned()];
    })
    .await;
    let reply = daemon.shot(json!({ "url": format!("http://{server}/invoice") })).await;
    assert_eq!(reply.refusal().1, "download_not_page");
}
