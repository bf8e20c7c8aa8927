//! Printing: the document is whole, on the paper asked for, and evidence like any other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::site::Site;

/// Width and height in points of the first page, from its MediaBox; and the number of pages.
fn measured(pdf: &[u8]) -> ((f64, f64), usize) {
    let text = String::from_utf8_lossy(pdf);
    let media_box = text.split("/MediaBox [").nth(1).expect("a page");
    let numbers = media_box.split(']').next().expect("numbers").split_whitespace();
    let numbers: Vec<f64> = numbers.map(|number| number.parse().expect("a number")).collect();
    ((numbers[2], numbers[3]), text.matches("/Type /Page\n").count())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_printed_as_asked_and_sealed() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let print = async |fields: Value| {
        let mut body = json!({ "url": site.url("/ok"), "waitUntil": "load" });
        body.as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("fields").clone());
        let reply = daemon.post("/v1/pdf", body).await.ok();
        assert_eq!(reply.header("content-type"), Some("application/pdf"));
        assert!(
            reply.body.starts_with(b"%PDF-") && reply.body.trim_ascii_end().ends_with(b"%%EOF")
        );
        daemon.assert_verifies(&reply.run());
        reply
    };
    let plain = print(json!({})).await;
    let ((width, height), pages) = measured(&plain.body);
    assert!((width - 595.0).abs() < 1.5 && (height - 842.0).abs() < 1.5, "A4: {width} × {height}");
    assert!(pages >= 2, "a table of sixty rows: {pages} pages");
    let run = plain.run();
    let kept = std::fs::read(daemon.sealed(&run).join("data/captures/0001-during/document.pdf"));
    assert_eq!(kept.expect("kept"), plain.body);
    let record = daemon.capture(&run, "0001-during");
    assert_eq!(record["pdf"]["media_type"], "application/pdf");
    assert_eq!(record["page"]["document"]["status"], 200);
    assert_eq!(record["settings"]["pdf"]["print_background"], true);

    let ((width, height), pages) = measured(
        &print(json!({ "format": "Letter", "landscape": true, "pageRanges": "1" })).await.body,
    );
    assert!((width - 792.0).abs() < 1.5 && (height - 612.0).abs() < 1.5, "{width} × {height}");
    assert_eq!(pages, 1);
    let ((width, _), _) = measured(&print(json!({ "width": "5in", "height": "5in" })).await.body);
    assert!((width - 360.0).abs() < 1.5, "{width}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_can_be_part_of_a_run_and_comes_as_json_too() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let run = daemon.open_run("refund").await;
    let body =
        json!({ "type": "pdf", "stage": "after", "url": site.url("/ok"), "waitUntil": "load" });
    let captured = daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok().json();
    assert_eq!(captured["evidence"]["capture"], "0001-after");
    assert!(captured["data"].as_str().expect("base64").starts_with("JVBERi0"), "%PDF- in base64");
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_printed_is_told_and_on_record() {
    let (daemon, site) = (TestDaemon::start().await, Site::start().await);
    let cases = [
        (json!({ "pageRanges": "9-7" }), "invalid_field", "pageRanges"),
        (json!({ "margin": "50in" }), "invalid_field", "pageRanges"),
    ];
    for (fields, code, field) in cases {
        let mut body = json!({ "url": site.url("/ok"), "waitUntil": "load" });
        body.as_object_mut()
            .expect("an object")
            .extend(fields.as_object().expect("fields").clone());
        let reply = daemon.post("/v1/pdf", body).await;
        assert_eq!(reply.refusal(), (400, code.to_owned(), field.to_owned()), "{fields}");
        daemon.assert_verifies(&reply.run());
    }
    let reply = daemon.post("/v1/pdf", json!({ "url": site.url("/ok"), "scale": 3 })).await;
    assert_eq!(reply.refusal().2, "scale");
    let told = daemon.post("/v1/pdf", json!({ "url": "file:///etc/passwd" })).await.refusal();
    assert_eq!((told.0, told.1.as_str()), (403, "target_forbidden"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_document_waits_on_disk_and_arrives_whole() {
    let daemon = TestDaemon::start().await;
    // Noise cannot be packed, so that the document is as large as the picture.
    let side = 1_400_u32;
    let mut state = 1_u32;
    let noise: Vec<u8> = (0..side * side * 3)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect();
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, side, side);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&noise).expect("pixels");
    writer.finish().expect("whole");
    let html = format!("<img width=700 src='data:image/png;base64,{}'>", STANDARD.encode(png));
    let reply = daemon.post("/v1/pdf", json!({ "html": html, "waitUntil": "load" })).await.ok();
    assert!(reply.body.len() > 4 * 1024 * 1024, "{}", reply.body.len());
    assert_eq!(reply.header("content-length"), Some(reply.body.len().to_string().as_str()));
    let run = reply.run();
    daemon.assert_verifies(&run);
    let kept = daemon.sealed(&run).join("data/captures/0001-during/document.pdf");
    assert!(std::fs::read(kept).expect("kept") == reply.body, "what is kept is what is answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_paper_and_width_are_as_asked_for() {
    let daemon = TestDaemon::start().await;
    let print = async |html: &str, fields: Value| {
        let mut body = json!({ "html": html, "waitUntil": "load" });
        body.as_object_mut().expect("an object").extend(fields.as_object().expect("too").clone());
        daemon.post("/v1/pdf", body).await.ok()
    };
    let tags = |pdf: &[u8]| String::from_utf8_lossy(pdf).contains("/StructTreeRoot");
    assert!(!tags(&print("<h1>A", json!({})).await.body));
    assert!(tags(&print("<h1>A", json!({ "tagged": true })).await.body));

    let own = "<style>@page { size: 100mm 200mm }</style><p>small";
    let ((width, _), _) = measured(&print(own, json!({})).await.body);
    assert!((width - 595.0).abs() < 1.5, "A4: {width}");
    let ((width, height), _) =
        measured(&print(own, json!({ "preferCSSPageSize": true })).await.body);
    assert!((width - 283.5).abs() < 1.5 && (height - 567.0).abs() < 1.5, "{width} × {height}");

    let wide =
        "<body style='margin:0'><div style='width:1588px;height:100px;background:lime'></div>";
    let scale = async |fields: Value| {
        let run = print(wide, fields).await.run();
        daemon.capture(&run, "0001-during")["page"]["print_scale"].as_f64()
    };
    assert_eq!(scale(json!({})).await, None);
    let fitted = scale(json!({ "fitToWidth": true })).await.expect("it is on record");
    assert!((fitted - 0.5).abs() < 0.01, "A4 is 794 pixels wide: {fitted}");
    let narrow = print("<p>narrow", json!({ "fitToWidth": true })).await.run();
    assert_eq!(daemon.capture(&narrow, "0001-during")["page"]["print_scale"], 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_many_thousand_rows_is_printed() {
    let daemon = TestDaemon::start().await;
    let html = "<!doctype html><div id=r></div><script>let s = '';
        for (let i = 0; i < 25000; i++) s += '<div><span>row ' + i + '</span></div>';
        r.innerHTML = s</script>";
    let reply = daemon.post("/v1/pdf", json!({ "html": html, "waitUntil": "load" })).await.ok();
    let (_, pages) = measured(&reply.body);
    assert!(pages > 350 && reply.body.len() < 2_000_000, "{pages} pages, {}", reply.body.len());
}
