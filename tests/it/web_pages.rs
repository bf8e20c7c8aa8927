//! What the web page shows: a list that is searched, one run as it grows and when it is sealed, in a
//! real browser, too; and that it runs nothing of what agents and pages say.

use reqwest::Method;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::harness::TestDaemon;
use crate::site::Site;
use crate::visitor::{HOSTILE, Visitor, assert_guarded, text, with_tcp};

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_filtered_and_searched_and_shows_no_markup_of_others() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let visitor = Visitor::of(&daemon);
    let cookie = visitor.sign_in().await;
    let session = [("cookie", cookie.as_str())];
    let open = async |spec: Value| {
        let opened = daemon.post("/v1/runs", spec).await.ok().json();
        opened["run"].as_str().expect("an id").to_owned()
    };
    let hostile = open(json!({
        "workflow": HOSTILE, "agent": HOSTILE, "principal": HOSTILE,
        "subject": format!("javascript:alert(3) {HOSTILE}"), "labels": { HOSTILE: HOSTILE },
    }))
    .await;
    let refund = open(json!({
        "workflow": "refund", "agent": "refund-bot", "principal": "lead@example.com",
        "subject": "TX-1042", "controls": ["PI1.4"], "labels": { "ticket": "OPS-7" },
    }))
    .await;
    let plain = open(json!({ "workflow": "elsewhere", "agent": "other" })).await;
    for (run, outcome) in [(&hostile, HOSTILE), (&refund, "succeeded")] {
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": outcome })).await.ok();
    }

    let listed = async |query: &str| {
        let page = text(&visitor.get(&format!("/?{query}"), &session).await.ok());
        [&hostile, &refund, &plain].map(|run| page.contains(&format!("/ui/runs/{run}\"")))
    };
    assert_eq!(listed("").await, [true, true, true]);
    for (query, expected) in [
        ("workflow=refund", [false, true, false]),
        ("state=open", [false, false, true]),
        ("state=sealed", [true, true, false]),
        ("state=interrupted", [false, false, false]),
        ("verdict=incomplete", [false, true, false]),
        ("outcome=succeeded", [false, true, false]),
        ("agent=other", [false, false, true]),
        ("principal=lead%40example.com", [false, true, false]),
        ("q=tx-1042+OPS-7", [false, true, false]),
        ("q=pi1.4", [false, true, false]),
        ("q=tx-1042+nothing", [false, false, false]),
        ("q=ELSEWHERE", [false, false, true]),
        ("q=%3Cscript%3E", [true, false, false]),
        ("from=2020-01-01T00:00", [true, true, true]),
        ("to=2020-01-01T00:00", [false, false, false]),
        ("workflow=&agent=&q=", [true, true, true]),
    ] {
        assert_eq!(listed(query).await, expected, "{query}");
    }
    assert_eq!(listed(&format!("before={refund}")).await, [true, false, false]);

    let page = text(&visitor.get("/", &session).await.ok());
    assert!(page.contains("<b>2</b> sealed runs") && page.contains("<b>1</b> incomplete"));
    let run_page = text(&visitor.get(&format!("/ui/runs/{hostile}"), &session).await.ok());
    let searched = visitor.get("/?q=%22%3E%3Cscript%3Ex&agent=%22%3E%3Cscript%3Ex", &session).await;
    for page in [page, run_page, text(&searched.ok())] {
        assert!(!page.contains("<script") && !page.contains("<img src=x"), "{page}");
        assert!(page.contains("&#60;script"));
        assert!(!page.to_lowercase().contains("href=\"javascript:"));
    }
    let wrong = visitor.get("/?from=yesterday%22%3E%3Cb%3E", &session).await;
    assert_eq!(wrong.status, 400);
    let page = text(&wrong);
    assert!(page.contains("role=\"alert\"") && page.contains("`from` cannot be read"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_come_page_by_page() {
    let daemon = TestDaemon::start_with(with_tcp).await;
    let mut runs = Vec::new();
    for _ in 0..51 {
        let run = daemon.open_run("w").await;
        daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
        runs.push(run);
    }
    let first = text(&daemon.get("/?workflow=w").await.ok());
    assert!(first.contains("<b>51</b> sealed runs") && !first.contains(&runs[0]));
    let older = first.split("href=\"").filter_map(|part| part.split_once('"'));
    let older = older.map(|(href, _)| href).find(|href| href.contains("before=")).expect("a link");
    let older = older.replace("&#38;", "&");
    let second = text(&daemon.get(&older).await.ok());
    assert!(second.contains(&runs[0]) && !second.contains(&runs[50]), "{older}");
    assert!(second.contains("<b>51</b> sealed runs") && !second.contains("rel=\"next\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_run_is_watched_until_it_is_sealed() {
    let (daemon, site) = (TestDaemon::start_with(with_tcp).await, Site::start().await);
    let visitor = Visitor::of(&daemon);
    let cookie = visitor.sign_in().await;
    let session = [("cookie", cookie.as_str())];
    let spec = json!({ "workflow": "refund", "agent": "a", "principal": "p", "subject": "s" });
    let opened = daemon.post("/v1/runs", spec).await.ok().json();
    let run = opened["run"].as_str().expect("an id");
    let path = format!("/ui/runs/{run}");
    let look = async |query: &str| {
        let reply = visitor.get(&format!("{path}{query}"), &session).await.ok();
        assert_guarded(&reply);
        text(&reply)
    };
    let seen = look("").await;
    assert!(seen.contains("http-equiv=\"refresh\" content=\"10\""));
    assert!(seen.contains("Pause updates") && seen.contains("… missing yet"));
    assert!(seen.contains("Stage before") && seen.contains("Nothing was captured yet"));
    // It can be held still.
    let paused = look("?paused").await;
    assert!(!paused.contains("http-equiv=\"refresh\"") && paused.contains("Updates are paused"));

    let body = json!({ "url": site.url("/ok"), "stage": "before", "waitUntil": "load" });
    daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
    let event = json!({ "kind": "decision", "message": HOSTILE });
    daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok();
    let seen = look("").await;
    assert!(seen.contains("✓ present") && seen.contains("… missing yet"));
    assert!(seen.contains(&site.url("/ok")) && !seen.contains("<script"));
    assert!(!seen.contains(&format!("href=\"{}", site.url(""))), "addresses of pages are text");
    let picture = format!("{path}/data/captures/0001-before/screenshot.png");
    assert!(seen.contains(&format!("src=\"{picture}?small\"")), "{seen}");
    for (query, disposition) in [("?small", "inline"), ("?picture", "inline"), ("", "attachment")] {
        let reply = visitor.get(&format!("{picture}{query}"), &session).await.ok();
        assert!(reply.body.starts_with(b"\x89PNG"), "{query}");
        assert!(reply.header("content-disposition").expect("one").starts_with(disposition));
        assert!(reply.header("content-security-policy").expect("one").contains("sandbox"));
        assert_guarded(&reply);
    }
    let list = text(&visitor.get("/", &session).await.ok());
    assert!(list.contains("Open now") && list.contains("still missing"));
    assert!(!list.contains("can no longer be met") && !seen.contains("can no longer be met"));
    // What is given only when a run is opened is no longer waited for.
    let late = daemon.post("/v1/runs", json!({ "workflow": "refund" })).await.ok().json();
    let late = format!("/ui/runs/{}", late["run"].as_str().expect("an id"));
    let late = text(&visitor.get(&late, &session).await.ok());
    assert!(late.contains("✗ too late") && late.contains("can no longer be met"), "{late}");
    assert!(text(&visitor.get("/", &session).await.ok()).contains("of them can no longer be met"));

    // Of a recording a player may ask for a part.
    let film = daemon.request(Method::POST, &format!("/v1/runs/{run}/attachments?name=a.mp4"));
    daemon.send(film.body("0123456789")).await.ok();
    let range = [session[0], ("range", "bytes=2-4")];
    let part = visitor.get(&format!("{path}/data/attachments/a.mp4"), &range).await;
    assert_eq!((part.status, text(&part).as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));

    daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "succeeded" })).await.ok();
    let seen = look("").await;
    assert!(!seen.contains("http-equiv=\"refresh\"") && !seen.contains("Pause updates"));
    assert!(seen.contains("Incomplete") && seen.contains("✗ missing"));
    assert!(seen.contains(&format!("{path}/report.html")));
    // The report keeps its own policy.
    let report = visitor.get(&format!("{path}/report.html"), &session).await.ok();
    let policy = report.header("content-security-policy").expect("one");
    assert!(policy.contains("script-src 'sha256-") && policy.contains("frame-ancestors 'none'"));
    let kept = std::fs::read(daemon.sealed(run).join("report.html")).expect("kept");
    assert_eq!(report.body, kept);
    // Every file it lists can be had, as it is.
    let files = seen.split(" download>").filter_map(|part| part.rsplit_once("href=\""));
    let files: Vec<&str> = files.map(|(_, href)| href.trim_end_matches('"')).collect();
    assert!(files.len() > 10, "{files:?}");
    for file in files {
        let reply = visitor.get(file, &session).await.ok();
        let name = file.strip_prefix(&format!("{path}/")).expect("below the run");
        // The report is shown and not saved.
        let kept = std::fs::read(daemon.sealed(run).join(name)).expect("kept");
        assert!(reply.body == kept, "{name}");
    }
    for path in
        ["../../../../../keys/signing_ed25519", "%2e%2e/x", "data", "data/none", "//etc/passwd"]
    {
        let reply = visitor.get(&format!("/ui/runs/{run}/{path}"), &session).await;
        assert_eq!(reply.status, 404, "{path}");
    }
    for path in ["/ui/runs/x", "/ui/runs/019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57", "/ui/none"] {
        assert_eq!(visitor.get(path, &session).await.status, 404, "{path}");
    }
}

/// A daemon with an open run and sealed ones, and a browser that is signed in; the open run.
async fn signed_in_browser() -> (TestDaemon, Browser, String) {
    let (daemon, site) = (TestDaemon::start_with(with_tcp).await, Site::start().await);
    let spec = json!({ "workflow": "refund", "subject": "TX-1042", "agent": "refund-bot" });
    let opened = daemon.post("/v1/runs", spec).await.ok().json();
    let run = opened["run"].as_str().expect("an id").to_owned();
    let body = json!({ "url": site.url("/ok"), "stage": "before", "waitUntil": "load" });
    daemon.post(&format!("/v1/runs/{run}/captures"), body).await.ok();
    daemon.quick_shot(&site.url("/ok")).await.ok();
    let long = "x".repeat(300);
    let spec = json!({ "workflow": "access-change", "subject": long, "agent": HOSTILE });
    let opened = daemon.post("/v1/runs", spec).await.ok().json();
    let other = opened["run"].as_str().expect("an id");
    daemon.post(&format!("/v1/runs/{other}/seal"), json!({ "outcome": "failed" })).await.ok();
    let made = daemon.post("/ui/links", json!({})).await.ok().json();
    let binary = exhibit::backend::chromium::find::browser(None).expect("Chromium");
    let mut browser = Browser::start(&binary).await;
    browser.view(1280, false).await;
    // By way of a file, as `exhibit open` has it done.
    let leads = daemon.folder.path().join("open.html");
    let page = format!(
        "<meta http-equiv=refresh content=\"0; url={}\">",
        made["url"].as_str().expect("a link")
    );
    std::fs::write(&leads, page).expect("written");
    browser.open(&leads).await;
    browser.until("document.querySelector('form button') !== null").await;
    browser.value("document.querySelector('form button').click()").await;
    browser.until("document.querySelector('h1')?.textContent === 'Runs'").await;
    (daemon, browser, run)
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_signs_in_by_browser_and_opens_a_report() {
    let (daemon, mut browser, run) = signed_in_browser().await;
    assert_eq!(browser.value("document.cookie").await, "", "no script sees the session");

    check_views(&mut browser, "the list").await;
    browser.value("document.querySelector('.runs a').click()").await;
    browser.until("document.querySelector('.verdict .word')?.textContent === 'Open'").await;
    let loaded = "[...document.images].every(image => image.complete && image.naturalWidth > 0)";
    browser.until(loaded).await;
    check_views(&mut browser, "an open run").await;
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({ "outcome": "succeeded" })).await.ok();
    browser.until("document.querySelector('.verdict .word')?.textContent === 'Incomplete'").await;
    assert_eq!(browser.value("document.querySelector('meta[http-equiv]')").await, Value::Null);
    check_views(&mut browser, "a sealed run").await;
    assert!(browser.complaints().is_empty(), "{:#?}", browser.complaints());

    browser.value("document.querySelector('.button').click()").await;
    browser.until("document.getElementById('check')?.disabled === false").await;
    browser.value("document.getElementById('check').click()").await;
    browser.until("/^Match/.test(document.getElementById('check-result').textContent)").await;
    browser.visit(&format!("http://{}/", daemon.daemon().tcp().expect("listening"))).await;
    browser.value("document.querySelector('.bar button').click()").await;
    browser.until("document.querySelector('h1')?.textContent === 'Not signed in'").await;
}

/// axe-core (npm) has nothing to say, at both widths, light and dark.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs axe-core of npm in target/tools/axe; `make axe` fetches it"]
async fn axe_core_finds_nothing() {
    let (daemon, mut browser, run) = signed_in_browser().await;
    let base = format!("http://{}", daemon.daemon().tcp().expect("listening"));
    for path in ["/", "/?from=x", "/ui/none", "/ui/sign-in", &format!("/ui/runs/{run}?paused")] {
        for (width, dark) in [(1280, false), (1280, true), (390, false), (390, true)] {
            browser.view(width, dark).await;
            browser.visit(&format!("{base}{path}")).await;
            let open = "document.querySelectorAll('details').forEach(one => { one.open = true; })";
            browser.value(open).await;
            let (passes, violations) = browser.axe().await;
            assert!(passes > 10, "it looked: {passes}");
            assert_eq!(violations, json!([]), "{path} {width} dark={dark}");
        }
    }
}

/// Nothing is wider than the window, and light is light and dark is dark.
async fn check_views(browser: &mut Browser, what: &str) {
    for width in [1280, 390] {
        for dark in [false, true] {
            browser.view(width, dark).await;
            let seen = "document.querySelectorAll('details').forEach(one => { one.open = true; }),
                [document.documentElement.scrollWidth, innerWidth,
                 getComputedStyle(document.body).backgroundColor]";
            let seen = browser.value(seen).await;
            assert_eq!(seen[0], seen[1], "{what}: nothing is wider than {width} pixels");
            assert_eq!(seen[2] == "rgb(255, 255, 255)", !dark, "{what}: {seen}");
            if let Some(folder) = std::env::var_os("EXHIBIT_SHOTS") {
                browser
                    .picture(
                        &std::path::Path::new(&folder)
                            .join(format!("{}-{width}-{dark}.png", what.replace(' ', "-"))),
                    )
                    .await;
            }
        }
    }
    browser.view(1280, false).await;
}
