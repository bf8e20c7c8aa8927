//! Tests what a look and a report say of pictures: which are of error pages, and in which order they
//! were taken.

use serde_json::json;

use super::tests::{Folder, artifact, picture, taken};

/// A complete run whose one capture shows a page with this status.
fn with_status(status: u64) -> Folder {
    let shot = "data/captures/0001-after/screenshot.png";
    let png = picture(40, 30);
    let data = json!({
        "capture": "0001-after", "stage": "after", "title": "T", "status": status,
        "final_url": "http://desk.example/", "artifacts": [artifact(shot, &png)],
    });
    let folder = Folder::new(&[("exhibit", "capture.taken", data)]);
    folder.put(shot, &png);
    let record = json!({"run": "r", "workflow": "refund", "state": "sealed", "completeness": {
        "verdict": "complete", "workflow": "refund", "requirements": [
            {"kind": "stage", "name": "after", "met": true,
             "evidence": ["captures/0001-after/screenshot.png"]},
        ],
    }});
    folder.put("data/run.json", record.to_string().as_bytes());
    folder.list(&["data/events.jsonl", "data/run.json", shot]);
    folder
}

#[test]
fn an_error_page_counts_and_nobody_can_overlook_it() {
    for (status, is_error) in [(200, false), (302, false), (399, false), (404, true), (503, true)] {
        let folder = with_status(status);
        let html = folder.report();
        let banner = format!("1 of 1 capture shows an error page: 0001-after (HTTP {status}).");
        assert_eq!(html.contains(&banner), is_error, "{status}");
        assert!(html.contains(">Complete</p>") && html.contains("✓ present"), "{status}");
        let tone = if is_error { "verdict warn" } else { "verdict good" };
        assert!(html.contains(tone) && !html.contains("HTTP {"), "{status}");
        // In the row of the stage and at the picture.
        let tags = html.matches(&format!("HTTP {status}: an error page</span>")).count();
        assert_eq!(tags, usize::from(is_error), "{status}");
        assert_eq!(html.contains("This is a picture of an error page."), is_error, "{status}");
        let look = super::Glance::of(folder.path(), None, None).expect("a look");
        assert_eq!(look.error_pages.is_empty(), !is_error);
        assert_eq!((look.word, look.tone == "warn"), ("Complete", is_error));
        assert_eq!(look.last_captures[0].error_page.is_empty(), !is_error);
        let required = look.required.expect("a workflow");
        assert_eq!(required[0].error_pages.is_empty(), !is_error);
    }
}

#[test]
fn a_look_shows_captures_in_the_order_in_which_they_were_taken() {
    let names: Vec<String> = (1..=30).map(|number| format!("{number:04}-during")).collect();
    let events: Vec<_> = names.iter().map(|name| taken(name, "during", &[])).collect();
    let look = super::Glance::of(Folder::new(&events).path(), None, None).expect("a look");
    let shown: Vec<&String> = look.last_captures.iter().map(|one| &one.name).collect();
    assert_eq!(shown, names[6..].iter().collect::<Vec<_>>());
}
