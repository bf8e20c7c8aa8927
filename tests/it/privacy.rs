//! What the operator's rules cover is in no picture, recording or snapshot, however a page comes by
//! it, and the evidence says what was covered and where.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exhibit::video::Source;
use serde_json::{Value, json};

use crate::harness::{TestDaemon, eventually};
use crate::pictures::Picture;
use crate::video::played;

/// What must be in no file of any folder.
const SECRET: &str = "DE02 1203 0000 0000 2020 51";

/// Everything that is to be covered is red, and nothing else is.
const SECRETS: &str = "<style>
    .iban { color: #f00; background: #f00; border: 9px solid #f00; transition: all 9s; }
    .iban::after { content: 'after'; position: absolute; background: #f00; }
    .wide { overflow: visible; width: 40px; height: 20px } .wide b { position: relative; left: 99px }
    svg text { fill: #f00; font-size: 40px }
    input { color: #f00; background: #f00; border: 9px solid #f00 }
    </style>";

fn page(secret: &str) -> String {
    format!(
        "<!doctype html><title>Account</title>{SECRETS}<h1>Account</h1>
        <p><span class=iban>{secret}</span><p class='iban wide'><b>{secret}</b></p>
        <table><tr class=iban><td>{secret}</td></tr></table>
        <svg class=iban width=200 height=50><text y=40>{secret}</text></svg>
        <svg width=200 height=50><text y=40 class=iban>{secret}</text></svg>
        <p class=iban style='position:fixed;right:0;top:0'>{secret}</p>
        <input type=PassWord value=hunter2><input type=password>"
    )
}

/// A site whose pages have secrets in every place there is.
async fn site() -> (String, String) {
    let same = page(SECRET);
    let inner = same.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let everywhere = move || async move {
        let (quoted, host) = (json!(page(SECRET)), format!("http://localhost:{port}/inner"));
        Html(format!(
            "{}<iframe src='/inner'></iframe><iframe src='{host}'></iframe>
            <div id=light></div><div id=shadow></div><script>
            light.innerHTML = {quoted};
            const root = shadow.attachShadow({{ mode: 'open' }});
            root.innerHTML = {quoted} + '<div id=deeper></div>';
            root.querySelector('#deeper').attachShadow({{ mode: 'open' }}).innerHTML = {quoted};
            document.adoptedStyleSheets = [];
            </script>",
            page(SECRET)
        ))
    };
    let router = Router::new()
        .route("/inner", get(move || async move { Html(inner) }))
        .route("/everywhere", get(everywhere))
        .route("/login", get(|| async { Html(SECRETS.to_owned() + "<input type=password>") }))
        .route("/", get(move || async move { Html(same) }));
    tokio::spawn(axum::serve(listener, router).into_future());
    (format!("http://127.0.0.1:{port}/everywhere"), format!("http://127.0.0.1:{port}/login"))
}

async fn masking(mask: &'static [&'static str]) -> TestDaemon {
    TestDaemon::start_with(|config| {
        config.privacy.mask = mask.iter().map(|&rule| rule.to_owned()).collect();
    })
    .await
}

fn red(picture: &Picture) -> usize {
    let (width, height) = picture.size();
    let all = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    all.filter(|(x, y)| {
        let pixel = picture.pixel(*x, *y);
        pixel[0] > 60 && pixel[1] < 40 && pixel[2] < 40
    })
    .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_covered_is_in_no_picture_and_no_snapshot() {
    let (everywhere, _) = site().await;
    let body = json!({ "url": everywhere, "fullPage": true, "waitUntil": "load" });
    let bare = TestDaemon::start_with(|config| config.privacy.mask_inputs.clear()).await;
    let picture = Picture::decode(&bare.shot(body.clone()).await.ok().body);
    assert!(red(&picture) > 10_000, "the test shows nothing");

    let daemon = masking(&[".iban"]).await;
    let reply = daemon.shot(body).await.ok();
    let picture = Picture::decode(&reply.body);
    assert_eq!(red(&picture), 0);
    let run = reply.run();
    daemon.assert_verifies(&run);
    let record = daemon.capture(&run, "0001-during");
    let page = &record["page"];
    let rules: Vec<&str> = page["masked"]
        .as_array()
        .expect("rules")
        .iter()
        .map(|one| one["rule"].as_str().expect("a rule"))
        .collect();
    assert_eq!(rules, ["input[type=\"password\" i]", ".iban"], "{page}");
    let covered = &page["masked"][1];
    // In the document, in what it was given, in two shadows, and in two frames.
    assert_eq!(covered["count"], 6 * 6, "{covered}");
    let [x, y, width, height]: [u32; 4] =
        serde_json::from_value(covered["places"][0].clone()).expect("a place");
    assert_eq!(picture.pixel(x + width / 2, y + height / 2)[..3], [0, 0, 0], "{covered}");
    assert!(page["snapshots_withheld"].as_str().expect("why").contains("text"), "{page}");
    for (name, bytes) in daemon.contents(&run) {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET), "{name}");
    }
    let bytes = daemon.post("/api/v1/pdf", json!({ "url": everywhere })).await.ok().body;
    assert!(bytes.starts_with(b"%PDF"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_frames_cover_is_told_once_and_where_it_is_in_the_page() {
    const COVERED: &str = "<body style='margin:0'><div class=iban style='position:absolute;\
                           left:10px;top:20px;width:50px;height:30px'>secret</div>";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let frame = |source: &str, place: &str| {
        format!(
            "<iframe src='{source}' style='position:absolute;border:5px solid;{place}'></iframe>"
        )
    };
    let deep = format!("{COVERED}{}", frame("/inner", "left:100px;top:200px;padding:7px"));
    let other = format!("http://localhost:{port}/inner");
    let outer = format!(
        "{COVERED}{}{}{}<p style='position:absolute;top:1800px'>end</p>",
        frame("/deep", "left:300px;top:400px;width:500px;height:500px"),
        frame(&other, "left:20px;top:1000px"),
        frame("/inner", "display:none"),
    );
    let page = |html: String| get(move || async move { Html(html) });
    let router = Router::new()
        .route("/", page(outer))
        .route("/deep", page(deep))
        .route("/inner", page(COVERED.to_owned()));
    tokio::spawn(axum::serve(listener, router).into_future());
    let daemon = masking(&[".iban"]).await;
    for (full, script) in [(true, "0"), (false, "scrollTo(0, 300)")] {
        let url = format!("http://127.0.0.1:{port}/");
        let body = json!({ "url": url, "fullPage": full, "injectJs": script, "waitUntil": "load" });
        let run = daemon.shot(body).await.ok().run();
        let record = daemon.capture(&run, "0001-during");
        let covered = &record["page"]["masked"][0];
        assert_eq!(covered["count"], 4, "{covered}");
        let mut places: Vec<[i64; 4]> =
            serde_json::from_value(covered["places"].clone()).expect("places");
        places.sort_unstable_by_key(|place| place[1]);
        let wanted = [[10, 20, 50, 30], [315, 425, 50, 30], [427, 637, 50, 30], [35, 1025, 50, 30]];
        assert_eq!(places, wanted, "{full}: {covered}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn password_fields_are_covered_unless_the_operator_says_otherwise() {
    let (_, login) = site().await;
    let daemon = TestDaemon::start().await;
    let steps = json!([
        { "action": "navigate", "url": login },
        { "action": "fill", "selector": "input", "value": SECRET },
        { "action": "screenshot", "name": "filled" },
    ]);
    let reply = daemon.post("/api/v1/sequence", json!({ "steps": steps })).await.ok();
    let outputs = &reply.json()["outputs"];
    let picture = STANDARD.decode(outputs[0]["data"].as_str().expect("base64")).expect("base64");
    assert_eq!(red(&Picture::decode(&picture)), 0);
    let run = reply.run();
    // Snapshots are kept, and none has the password.
    let contents = daemon.contents(&run);
    assert!(contents.iter().any(|(name, _)| name.ends_with("page.mhtml.zst")));
    for (name, bytes) in contents {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(SECRET) && !text.contains(&SECRET.replace(' ', "=20")), "{name}");
    }
}

/// What paints a text `t` in colours of its own.
const HIGHLIGHTED: &str = "<style>::highlight(h) { color: red; -webkit-text-fill-color: red; \
    background: red }</style><script>const range = new Range(); range.selectNodeContents(t); \
    CSS.highlights.set('h', new Highlight(range))</script>";

/// Pages in which what is to be covered is red, each with a way around a style sheet.
const AROUND: &[(&str, &str)] = &[
    (
        "boxless",
        "<div class=iban style='display:contents'>{S}<b style='background:red'>{S}</b></div>",
    ),
    ("inline", "<p class=iban style='filter:none!important;background:red!important'>{S}"),
    (
        "layer",
        "<style>@layer z { p.iban { filter: none !important; background: red !important } }\
               </style><p class=iban>{S}",
    ),
    (
        "higher",
        "<style>#a p.iban#b { filter: none !important; background: red !important }</style>\
                <div id=a><p class=iban id=b>{S}</div>",
    ),
    (
        "popover",
        "<div class=iban>{S}<div id=p popover=manual style='background:red'>{S}</div>\
                 <dialog id=d style='background:red;top:200px'>{S}</dialog></div>\
                 <script>p.showPopover(); d.showModal()</script>",
    ),
    (
        "transition",
        "<div class=iban>{S} <b style='view-transition-name:foo;display:inline-block;\
                    background:red'>{S}</b></div><style>::view-transition-group(*) \
                    { animation-duration: 60s }</style><script>setTimeout(() => \
                    document.startViewTransition(() => {}))</script>",
    ),
    (
        "drawing",
        "<svg width=600 height=300 fill=red><g class=iban style='visibility:visible!important'>\
                 <text x=10 y=80 style='visibility:visible!important'>{S}</text></g><defs>\
                 <text id=q class=iban>{S}</text></defs><use href='#q' x=10 y=250 /></svg>",
    ),
    // By the document's whole address, and of a part of what is covered.
    (
        "drawing-whole",
        "<svg width=600 height=300 fill=red><defs><g class=iban><text id=q>{S}</text></g></defs>\
         <use id=u x=10 y=150 /></svg><script>u.setAttribute('href', document.URL.split('#')[0] \
         + '#q')</script>",
    ),
    ("highlight", "<div class=iban style='display:contents'><p id=t>{S}</p></div>{H}"),
    ("highlight-inline", "<p>x <span class=iban style='display:contents' id=t>{S}</span> y</p>{H}"),
    (
        "highlight-layer",
        "<style>@layer z { .iban *, .iban { color: red !important; filter: none !important; \
         background: red !important } ::highlight(h) { color: red !important; background: red \
         !important; -webkit-text-fill-color: red !important } }</style>\
         <div class=iban style='display:contents'><p id=t>{S}</p></div>{H}",
    ),
    (
        "selection",
        "<style>@layer z { ::selection { color: red !important; background: red !important; \
         -webkit-text-fill-color: red !important } }</style><my-iban class=iban id=t \
         style='display:contents'>{S}</my-iban><script>getSelection().selectAllChildren(t)</script>",
    ),
    (
        "details",
        "<style>@layer z { details::details-content { color: red !important; \
         -webkit-text-fill-color: red !important; background: red !important } }</style>\
         <details open class=iban style='display:contents'><summary>s</summary>{S}</details>",
    ),
    (
        "leaving",
        "<style>@layer z { .iban * { transition: overlay 100s allow-discrete, display 100s \
         allow-discrete !important; color: red !important; -webkit-text-fill-color: red !important; \
         background: red !important; filter: none !important } } [popover]:not(:popover-open) \
         { display: none }</style><div class=iban style='height:60px'>box<div popover=manual id=p>{S}\
         </div></div><script>p.showPopover(); setTimeout(() => p.hidePopover(), 100)</script>",
    ),
    (
        "shadow",
        "<x-card></x-card><script>setTimeout(() => customElements.define('x-card', class \
                extends HTMLElement { constructor() { super(); const root = this.attachShadow({ mode: \
                'open' }); root.innerHTML = '<p class=iban style=background:red>{S}'; \
                root.adoptedStyleSheets = [new CSSStyleSheet()]; } }), 100)</script>",
    ),
    (
        "declared",
        "<div><template shadowrootmode=open><p class=iban style='background:red'>S</p>\
                  </template></div>",
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_paints_past_its_styles_is_covered_too() {
    let daemon = masking(&[".iban"]).await;
    let shot = |page: &str| {
        let text = page.replace("{H}", HIGHLIGHTED).replace("{S}", SECRET);
        let html =
            format!("<!doctype html><style>.iban {{ color: red; font-size: 30px }}</style>{text}");
        json!({ "html": html, "delay": 300, "waitUntil": "load" })
    };
    for (name, page) in AROUND {
        let reply = daemon.shot(shot(page)).await.ok();
        let picture = Picture::decode(&reply.body);
        if let Ok(folder) = std::env::var("EXHIBIT_LOOK") {
            let file = std::path::Path::new(&folder).join(format!("mask-{name}.png"));
            std::fs::write(file, &reply.body).expect("written");
        }
        assert_eq!(red(&picture), 0, "{name}");
        let run = reply.run();
        let record = daemon.capture(&run, "0001-during");
        assert_eq!(record["page"]["masked"][0]["rule"], ".iban", "{name}: {record}");
        for (file, bytes) in daemon.contents(&run) {
            let text = String::from_utf8_lossy(&bytes);
            let told = file.contains("page.") || file.contains("dom.") || file.contains("access");
            assert!(
                !told && (!text.contains(SECRET) || file.contains("request")),
                "{name}: {file}"
            );
        }
    }
    // What is not seen is in no snapshot all the same.
    let hidden = daemon.shot(shot("<p class=iban hidden>{S}")).await.ok().run();
    let record = daemon.capture(&hidden, "0001-during");
    assert!(record["page"]["masked"].is_null() && record["page"]["snapshots_withheld"].is_string());
    // What a transition of a part shows was seen before it was covered.
    let moving = "<style>@layer z { .iban * { view-transition-name: foo !important; color: red \
        !important; -webkit-text-fill-color: red !important; background: red !important; filter: none \
        !important } } #host { contain: layout } ::view-transition-group(*) { animation-duration: 60s }\
        </style><div id=host><div class=iban>box <b style='display:inline-block'>{S}</b></div></div>\
        <script>setTimeout(() => { const one = host.startViewTransition ? host : document; \
        one.startViewTransition(() => {}) }, 100)</script>";
    let refused = daemon.shot(shot(moving)).await;
    assert_eq!(refused.refusal().1, "mask_failed");
    // A page that wins is not kept.
    let wins = "<p class=iban id=h></p><script>h.attachShadow({ mode: 'open' }).innerHTML = \
                '<style>:host { filter: none !important; background: red !important }</style>x'</script>";
    let refused = daemon.shot(shot(wins)).await;
    assert_eq!(refused.refusal().1, "mask_failed");
}

/// The browser marks what an address points to, which an agent may choose.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_address_points_to_stays_covered() {
    const PAGE: &str = "<!doctype html><style>::target-text { color: red; background: red; \
        -webkit-text-fill-color: red }</style><p>before</p><p>IBAN: <my-iban class=iban \
        style='display:contents'>DE02</my-iban> end</p><p>after</p>";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let router = Router::new().route("/", get(|| async { Html(PAGE) }));
    tokio::spawn(axum::serve(listener, router).into_future());
    let body = |text: &str| {
        let url = format!("http://127.0.0.1:{port}/#:~:text={text}");
        json!({ "url": url, "delay": 300, "waitUntil": "load" })
    };
    let daemon = masking(&[".iban"]).await;
    let picture = Picture::decode(&daemon.shot(body("before")).await.ok().body);
    assert!(red(&picture) > 100, "the test marks nothing");
    let picture = Picture::decode(&daemon.shot(body("DE02")).await.ok().body);
    assert_eq!(red(&picture), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_covered_is_in_no_recording() {
    for source in [Source::Screencast, Source::Recorder] {
        let daemon = TestDaemon::start_with(|config| {
            config.privacy.mask = vec!["#secret".to_owned()];
            config.video.source = Some(source);
        })
        .await;
        // The secret fills the page, comes late, and takes the page's sheets away.
        let shown =
            "'<div id=secret style=\"position:fixed;inset:0;background:#f00\">secret</div>'";
        let late = match source {
            Source::Screencast => {
                format!("document.body.innerHTML = {shown}; document.adoptedStyleSheets = [];")
            }
            // The same in a shadow of an element that is there already.
            Source::Recorder => format!(
                "document.body.innerHTML = '<div id=host></div>'; setTimeout(() => {{ \
                 const root = host.attachShadow({{ mode: 'open' }}); root.innerHTML = {shown}; \
                 root.adoptedStyleSheets = []; }}, 300);"
            ),
        };
        let steps = json!([
            { "action": "evaluate", "script": late }, { "action": "wait", "ms": 1_500 },
        ]);
        let body = json!({ "steps": steps, "response_type": "json" });
        let reply = daemon.post("/v1/video", body).await.ok();
        let answer = reply.json();
        let mp4 = STANDARD.decode(answer["data"].as_str().expect("base64")).expect("base64");
        let length = answer["duration_ms"].as_f64().expect("a length") / 1_000.0;
        let times: Vec<f64> =
            (0..24).map(|part| f64::from(part) * (length - 0.05) / 23.0).collect();
        let (_, colours) = played(&daemon, &mp4, &times).await;
        assert!(colours.iter().all(|colour| colour[0] < 60 || colour[1] > 200), "{colours:?}");
        assert!(colours.last().expect("one")[0] < 60, "it is covered: {colours:?}");
        let folder = daemon.sealed(&reply.run()).join("data/recordings");
        let record = std::fs::read(folder.join("0001.json")).expect("kept");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        assert_eq!(record["masked"][0]["rule"], "#secret", "{record}");
        assert_eq!(record["masked"][0]["places"], json!([[0, 0, 1280, 720]]));
        let poster = std::fs::read(folder.join("0001-poster.png")).expect("kept");
        assert_eq!(red(&Picture::decode(&poster)), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_of_a_page_that_uncovers_what_is_covered_is_not_kept() {
    let daemon = masking(&["#secret"]).await;
    let bare = "document.body.innerHTML = '<p id=secret></p>'; setTimeout(() => { \
                secret.attachShadow({ mode: 'open' }).innerHTML = '<style>:host { filter: none \
                !important; background: red !important }</style>x'; }, 300);";
    let steps = json!([{ "action": "evaluate", "script": bare }, { "action": "wait", "ms": 900 }]);
    let refused = daemon.post("/v1/video", json!({ "steps": steps })).await;
    assert_eq!(refused.refusal().1, "mask_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_covered_is_not_captured() {
    let (everywhere, _) = site().await;
    let daemon = masking(&["::nonsense(1)"]).await;
    let refused = daemon.shot(json!({ "url": everywhere, "waitUntil": "load" })).await;
    let (status, code, field) = refused.refusal();
    assert_eq!((status, code.as_str(), field.as_str()), (500, "mask_failed", "privacy.mask"));
    assert!(refused.json()["error"].as_str().expect("why").contains("::nonsense(1)"));
    let steps = json!([{ "action": "navigate", "url": everywhere }]);
    let refused = daemon.post("/v1/video", json!({ "steps": steps })).await;
    assert_eq!(refused.refusal().1, "mask_failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_follows_the_rules_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::process::write_config(folder.path(), "");
    let daemon = crate::process::Process::start(&folder).await;
    let (everywhere, _) = site().await;
    let session = daemon.post("/v1/sessions", json!({})).await.ok().json()["session_id"].clone();
    let go = json!({ "session_id": session, "url": everywhere, "waitUntil": "load" });
    let stay = json!({ "session_id": session });
    let before = Picture::decode(&daemon.post("/v1/screenshot", go).await.ok().body);
    assert!(red(&before) > 0);
    crate::process::write_config(folder.path(), "[privacy]\nmask = [\".iban\"]\n");
    eventually("the rules are in force", async || {
        let reply = daemon.post("/v1/screenshot", stay.clone()).await.ok();
        red(&Picture::decode(&reply.body)) == 0
    })
    .await;
    assert!(daemon.terminate().success());
}
