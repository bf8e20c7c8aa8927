//! What a picture of an element shows: the part of it that a person can see, and nothing else. Where
//! nothing of it can be seen there is no picture, and the refusal says why.

use serde_json::{Value, json};

use crate::harness::TestDaemon;
use crate::pictures::Picture;

/// The element `#e` is lime wherever it is seen, and nothing else on a page is.
const STYLE: &str = "<!doctype html><style>body{margin:0;height:2000px;background:#fff}\
     #e{width:200px;height:60px;background:lime}</style>";

/// Pages on which nothing of `#e` can be seen, and a word of the reason.
const UNSEEN: &[(&str, &str)] = &[
    ("<div id=e style='position:absolute;left:-500px'>", "outside the page"),
    ("<div id=e style='position:absolute;top:-200px;left:300px'>", "outside the page"),
    (
        "<div id=acc style='height:0;overflow:hidden'><div id=e></div></div><p>next",
        "div#acc clips it away",
    ),
    ("<div id=e style='display:none'>", "`display: none`"),
    ("<div class=tab style='display:none'><div id=e></div></div>", "div.tab has `display: none`"),
    ("<div id=e style='visibility:hidden'>", "`visibility: hidden`"),
    ("<div id=fade style='opacity:0'><div id=e></div></div>", "div#fade is transparent"),
    ("<div id=e style='height:0'>", "no size"),
    (
        "<details id=more><summary>More</summary><div id=e></div></details>",
        "details#more is closed",
    ),
    ("<div id=e style='clip-path:inset(50%)'>", "clipped away"),
    (
        "<div id=e></div><div id=sheet style='position:fixed;inset:0;background:#fff'></div>",
        "div#sheet covers it",
    ),
    (
        "<div id=e></div><div id=sheet style='position:fixed;inset:0;background:#fff;\
         pointer-events:none'></div>",
        "div#sheet covers it",
    ),
    (
        "<div id=e></div><dialog id=ask style='width:600px;height:500px;margin:0;background:#fff'>\
         Sure?</dialog><script>ask.showModal()</script>",
        "dialog#ask covers it",
    ),
    (
        "<div id=ring style='width:300px;height:60px;overflow:hidden'><div style='width:900px'>\
         <div id=e style='margin-left:600px'></div></div></div>",
        "div#ring clips it away",
    ),
    ("<div style='content-visibility:hidden' id=skip><div id=e></div></div>", "div#skip"),
];

/// Something as large as the element and in its place; what it is like follows.
const OVER: &str = "position:absolute;left:0;top:0;width:300px;height:100px;";

/// Pages on which `#e` is there for whoever asks the document, and something else is seen.
const REPLACED: &[&str] = &[
    "<div id=e></div><div style='{O}background:linear-gradient(#fff,#fff)'>APPROVED</div>",
    "<div style='{O}background:linear-gradient(#fff,#fff)'>APPROVED</div><div id=e></div>",
    "<div id=e></div><div style='{O}background:#fff;pointer-events:none!important'>APPROVED</div>",
    "<div id=e></div><x-y></x-y><script>document.querySelector('x-y').attachShadow({ mode: 'closed' })\
     .innerHTML = `<div style='{O}background:#fff;pointer-events:none'>APPROVED</div>`</script>",
    "<style>body::after{content:'APPROVED';{O}background:#fff}</style><div id=e></div>",
    "<div id=e></div><div style='{O}background:rgba(255,255,255,.85)'></div>\
     <div style='{O}background:rgba(255,255,255,.85)'>APPROVED</div>",
    "<div id=e></div><div style='{O}left:-600px;box-shadow:600px 0 0 #fff'></div>",
    "<div id=e></div><svg style='{O}'><rect width=400 height=200 fill=white /></svg>",
    "<div id=e></div><div style='{O}backdrop-filter:brightness(0) invert(1)'>APPROVED</div>",
    "<div id=e></div><div popover=manual id=p style='{O}margin:0;border:0;\
     background:linear-gradient(#fff,#fff)'>APPROVED</div><script>p.showPopover()</script>",
    "<div style='filter:opacity(0)'><div id=e></div></div><div style='{O}z-index:-1'>APPROVED</div>",
    "<div id=e style='mask:linear-gradient(transparent,transparent)'>",
    "<div style='transform:rotateY(180deg);backface-visibility:hidden'><div id=e></div></div>",
    "<div style='mix-blend-mode:lighten'><div id=e></div></div>",
];

/// Pages on which a part of `#e` is not seen, which is told.
const PARTLY: &[&str] = &[
    "<div id=e></div><div style='{O}width:90px;background:linear-gradient(#fff,#fff)'></div>",
    "<div id=e></div><div style='{O}left:20px;top:3px;width:9px;height:16px;background:#fff'>X</div>",
    "<div id=e style='color:lime'>REFUSED</div><div style='{O}font-size:30px'>APPROVED</div>",
    "<div id=e style='background:lime!important'></div>\
     <div style='{O}left:90px;background:linear-gradient(#fff,#fff)'></div>",
];

/// Pages on which all of `#e` is seen, whatever lies around, in and over it.
const HONEST: &[&str] = &[
    "<div id=e style='position:relative'><label style='position:absolute;left:9px'>Name</label></div>",
    "<style>#e{position:relative}#e::before{content:'';position:absolute;inset:0;background:\
     linear-gradient(red,blue)}</style><div id=e>text</div>",
    "<div id=e></div><a href='#' style='{O}'></a>",
    "<div id=e></div><div style='{O}background:linear-gradient(rgba(0,0,0,.5),rgba(0,0,0,.6))'></div>",
    "<div style='border-radius:30px;overflow:hidden;width:200px'><div id=e>text</div></div>",
    "<div id=e style='border-radius:50%'>text</div>",
    "<div id=e style='clip-path:circle(28px)'>text</div>",
    "<div id=e style='opacity:.4'>text</div>",
    "<div id=e style='background:none'>text</div>",
    "<div id=e style='background:none'></div>",
    "<style>.b{background:#fff!important}</style><div id=e class=b>text</div>",
    "<div id=e style='transition:all 5s'><button>Go</button></div>",
    "<html style='filter:invert(1) hue-rotate(180deg)'><div id=e>dark</div>",
    "<x-y id=e style='display:block'></x-y><script>e.attachShadow({ mode: 'open' }).innerHTML = \
     '<p style=\"margin:0;height:60px;background:white\">text</p>'</script>",
    "<x-y id=e style='display:block'></x-y><script>e.attachShadow({ mode: 'closed' }).innerHTML = \
     '<p style=\"margin:0;height:60px;background:linear-gradient(red,blue)\">text</p>'</script>",
    "<img id=e src='data:image/svg+xml,<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" \
     height=\"9\"><rect width=\"9\" height=\"9\"/></svg>'>",
    "<canvas id=e></canvas><script>e.getContext('2d').fillRect(0, 0, 999, 999)</script>",
    "<input id=e value=text>",
    "<input id=e placeholder=text>",
    "<textarea id=e>text</textarea>",
    "<select id=e><option>text</select>",
    "<button id=e>text</button>",
    "<input id=e type=checkbox>",
    "<iframe id=e srcdoc='<body style=background:red>text'></iframe>",
    "<progress id=e value=.5></progress>",
    "<meter id=e value=.5></meter>",
    "<table><tr id=e><td>one<td style='background:#fff'>two</table>",
    "<table id=e border=1><tr><td>one<td style='background:#fff'>two</table>",
    "<p style='width:90px'>words <span id=e style='background:none'>that go on for some lines and end</span>",
    "<svg id=e viewBox='0 0 9 9'><circle r=3 cx=4 cy=4 /></svg>",
    "<svg width=300 height=200><path id=e d='M10 10 L190 150' stroke=red /></svg>",
    "<div style='display:contents'><div id=e><div style='position:relative;z-index:9;height:60px;\
     background:#fff'></div></div></div>",
    "<div id=e style='overflow:auto'><p style='height:900px;background:white'>text</div>",
    "<div id=e style='position:fixed;top:0'>text</div>",
    "<body id=e><header style='position:fixed;top:0;background:#fff'>bar</header><p>text",
    "<details open id=e><summary>s</summary>text</details>",
    "<div id=e style='display:contents'><p style='background:#fff'>text</div>",
];

/// Pages on which `#e` is seen: the size of its picture, and a word on what is missing, if anything.
const SEEN: &[(&str, (u32, u32), &str)] = &[
    ("<div id=e>", (200, 60), ""),
    ("<div style='height:1500px'></div><div id=e>", (200, 60), ""),
    ("<div id=e style='position:absolute;left:-100px;width:300px'>", (200, 60), "beyond the page"),
    (
        "<div style='width:120px;height:40px;overflow:hidden'><div id=e></div></div>",
        (120, 40),
        "clips it",
    ),
    (
        "<div style='width:300px;height:100px;overflow:auto'><div style='height:900px'></div>\
         <div id=e></div></div>",
        (200, 60),
        "",
    ),
    // A bar over the window's upper edge: the element is scrolled out from below it.
    (
        "<div style='position:fixed;top:0;left:0;right:0;height:50px;background:#fff'></div>\
         <div style='height:900px'></div><div id=e>",
        (200, 60),
        "",
    ),
    (
        "<div id=e></div><div id=bar style='position:absolute;top:0;left:0;width:400px;height:20px;\
         background:#fff'></div>",
        (200, 40),
        "div#bar covers the rest",
    ),
    // Light that falls on it is no cover, nor is a child, nor what nobody sees.
    (
        "<div id=e></div><div style='position:fixed;inset:0'></div>\
         <div style='position:fixed;inset:0;background:#fff;opacity:0'></div>",
        (200, 60),
        "",
    ),
    ("<div id=e><div style='width:200px;height:60px;background:lime'></div></div>", (200, 60), ""),
    // It moves all the time.
    (
        "<style>@keyframes go{to{transform:translateX(600px)}}</style>\
         <div id=e style='animation:go 700ms linear infinite alternate'>",
        (200, 60),
        "",
    ),
    ("<div style='display:contents' id=wrap><div id=e></div></div>", (200, 60), ""),
    (
        "<script>document.documentElement.dir='rtl'</script><div style='width:3000px;height:100px'>\
         <div id=e style='position:absolute;left:-1200px'></div></div>",
        (200, 60),
        "",
    ),
    ("<style>body{zoom:2}</style><div id=e>", (400, 120), ""),
];

async fn shot(daemon: &TestDaemon, page: &str) -> crate::harness::Reply {
    let html = format!("{STYLE}{page}");
    daemon.shot(json!({ "html": html, "selector": "#e", "waitUntil": "load" })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_an_element_shows_that_element_or_there_is_none() {
    let daemon = TestDaemon::start().await;
    for (page, why) in UNSEEN {
        let reply = shot(&daemon, page).await;
        let (status, code, field) = reply.refusal();
        assert_eq!(
            (status, code.as_str(), field.as_str()),
            (422, "selector_not_visible", "selector"),
            "{page}"
        );
        let error = reply.json()["error"].as_str().expect("a sentence").to_owned();
        assert!(error.contains(why) && error.contains("`#e`"), "{page}: {error}");
    }
    for (page, size, missing) in SEEN {
        let reply = shot(&daemon, page).await.ok();
        let picture = Picture::decode(&reply.body);
        assert_eq!(picture.size(), *size, "{page}");
        let (width, height) = picture.size();
        let foreign = (1..height - 1).flat_map(|y| (1..width - 1).map(move |x| (x, y)));
        let foreign = foreign.filter(|&(x, y)| picture.pixel(x, y)[..3] != [0, 255, 0]).count();
        assert_eq!(foreign, 0, "pixels of something else: {page}");
        let run = reply.run();
        let cut = &daemon.capture(&run, "0001-during")["page"]["cut"];
        let why = cut["why"].as_str().unwrap_or_default();
        assert!(
            if missing.is_empty() { cut.is_null() } else { why.contains(missing) },
            "{page}: {cut}"
        );
        let event = daemon.events(&run).into_iter().find(|event| event["kind"] == "capture.taken");
        assert_eq!(event.expect("taken")["data"]["cut"], *cut, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_in_the_place_of_an_element_is_no_picture_of_it() {
    let daemon = TestDaemon::start().await;
    let mut wrong = Vec::new();
    for page in REPLACED {
        let reply = shot(&daemon, &page.replace("{O}", OVER)).await;
        let error = reply.json()["error"].as_str().unwrap_or_default().to_owned();
        if reply.status != 422
            || !(error.contains("something else is seen in its place")
                || error.contains("covers it"))
        {
            wrong.push(format!("{page} is {}: {error}", reply.status));
        }
    }
    let seen = [(PARTLY, "something covers a part of it"), (HONEST, "")];
    for (page, told) in
        seen.iter().flat_map(|(pages, told)| pages.iter().map(move |page| (page, told)))
    {
        let reply = shot(&daemon, &page.replace("{O}", OVER)).await;
        if reply.status != 200 {
            wrong.push(format!("{page} is refused: {}", reply.json()["error"]));
            continue;
        }
        let cut = &daemon.capture(&reply.run(), "0001-during")["page"]["cut"];
        let why = cut["why"].as_str().unwrap_or_default();
        if why.contains("covers") == told.is_empty() || !why.contains(told) {
            wrong.push(format!("{page} should be cut by {told:?} and is {cut}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_tells_what_is_missing_and_sequences_keep_to_the_same() {
    let daemon = TestDaemon::start().await;
    let half = "<div id=e style='position:absolute;left:-100px;width:300px'>";
    let body = json!({
        "html": format!("{STYLE}{half}"), "selector": "#e", "response_type": "json",
    });
    let answer = daemon.shot(body).await.ok().json();
    let cut = &answer["evidence"]["cut"];
    assert_eq!(
        (&cut["asked"], &cut["shown"]),
        (&json!([-100, 0, 300, 60]), &json!([0, 0, 200, 60]))
    );

    let show =
        |style: &str| format!("document.body.innerHTML = `{STYLE}<div id=e style='{style}'>`");
    let steps = json!([
        { "action": "evaluate", "script": show("position:absolute;left:-100px;width:300px") },
        { "action": "screenshot", "selector": "#e", "name": "half" },
        { "action": "evaluate", "script": show("display:none") },
        { "action": "screenshot", "selector": "#e", "name": "none" },
    ]);
    let answer = daemon.post("/api/v1/sequence", json!({ "steps": steps })).await.ok().json();
    let last = &answer["step_results"][3];
    assert_eq!(last["status"], "error");
    assert!(last["error"].as_str().expect("a sentence").contains("`display: none`"), "{last}");
    let captures: Vec<&Value> =
        answer["evidence"]["captures"].as_array().expect("a list").iter().collect();
    assert_eq!(captures[0]["cut"]["shown"], json!([0, 0, 200, 60]), "{captures:?}");
    // Of the window alone nothing is cut.
    let reply = daemon.shot(json!({ "html": format!("{STYLE}{half}") })).await.ok();
    assert!(daemon.capture(&reply.run(), "0001-during")["page"].get("cut").is_none());
}
