//! Owns the pages of the test site as data: HTML and pictures, no behaviour of the server. Sizes,
//! places and colours are exact, because tests sample the pixels of what is captured.

use std::fmt::Write as _;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Pages that are always the same, by path.
pub(super) const FIXED: &[(&str, &str)] = &[
    ("/never-loads", NEVER_LOADS),
    ("/never-idle", NEVER_IDLE),
    ("/dialogs", DIALOGS),
    ("/console", CONSOLE),
    ("/popup", POPUP),
    ("/heavy-loop", HEAVY_LOOP),
    ("/heavy-loop/after-load", HEAVY_LOOP_AFTER_LOAD),
    ("/transparent", TRANSPARENT),
    ("/elements", ELEMENTS),
    ("/late-element", LATE_ELEMENT),
    ("/fake-caption", FAKE_CAPTION),
    ("/iframe-file", IFRAME_FILE),
    ("/dom-file", DOM_FILE),
    ("/client-redirect", CLIENT_REDIRECT),
    ("/form", FORM),
];

/// The load event never comes: one picture begins and does not end.
const NEVER_LOADS: &str = r#"<!doctype html><meta charset="utf-8"><title>Never loads</title>
<h1>One picture never ends</h1><img src="/held.png" width="10" height="10" alt="">"#;

/// The load event comes, the network never rests: four polls are always under way, more than the
/// two that `networkidle2` tolerates.
const NEVER_IDLE: &str = r#"<!doctype html><meta charset="utf-8"><title>Never idle</title>
<h1>Loaded, but never idle</h1>
<script>
  const again = () => fetch("/poll").then((answer) => answer.text()).then(again, () => {});
  addEventListener("load", () => { for (let i = 0; i < 4; i++) again(); });
</script>"#;

/// Every kind of dialog; without somebody to answer them the page never loads.
const DIALOGS: &str = r#"<!doctype html><meta charset="utf-8"><title>Dialogs</title>
<h1 id="state">Waiting for the dialogs</h1>
<script>
  addEventListener("beforeunload", (event) => { event.preventDefault(); event.returnValue = "stay"; });
  alert("an alert");
  const sure = confirm("are you sure?");
  const name = prompt("your name?", "nobody");
  document.getElementById("state").textContent = `confirm: ${sure}, prompt: ${name}`;
</script>"#;

/// One of each kind of console message, an exception nobody catches, and a resource not found.
const CONSOLE: &str = r#"<!doctype html><meta charset="utf-8"><title>Console</title>
<h1>A noisy page</h1>
<script>
  console.log("a log line");
  console.warn("a warning");
  console.error("an error", { code: 42 });
</script>
<script>throw new Error("nobody catches this");</script>
<script>Promise.reject(new Error("a rejection nobody handles"));</script>
<img src="/no-such-picture.png" alt="">"#;

/// Opens windows by itself, by a click of its own, and by a form.
const POPUP: &str = r#"<!doctype html><meta charset="utf-8"><title>Pop-ups</title>
<h1 id="state">No window yet</h1>
<a id="link" href="/ok?from=link" target="_blank">a new window</a>
<form id="form" action="/ok" target="_blank"><input name="from" value="form"></form>
<script>
  const opened = window.open("/ok?from=script", "_blank", "width=300,height=200");
  document.getElementById("state").textContent = opened ? "opened" : "blocked";
  document.getElementById("link").click();
  document.getElementById("form").submit();
</script>"#;

/// The renderer hangs before the load event.
const HEAVY_LOOP: &str = r#"<!doctype html><meta charset="utf-8"><title>Heavy loop</title>
<h1>This page does not come back</h1><script>while (true) {}</script>"#;

/// The renderer hangs after the load event, when the capture is under way.
const HEAVY_LOOP_AFTER_LOAD: &str = r#"<!doctype html><meta charset="utf-8"><title>Hangs later</title>
<h1>Loaded, then gone</h1>
<script>addEventListener("load", () => setTimeout(() => { while (true) {} }, 0));</script>"#;

/// One opaque blue box of 100 × 100 at (10, 10) and nothing behind it.
const TRANSPARENT: &str = r#"<!doctype html><meta charset="utf-8"><title>Transparent</title>
<style>html, body { margin: 0; background: transparent }
#box { position: absolute; left: 10px; top: 10px; width: 100px; height: 100px; background: #0000ff }
</style><div id="box"></div>"#;

/// Elements of known size and place, one without display and one without size.
const ELEMENTS: &str = r#"<!doctype html><meta charset="utf-8"><title>Elements</title>
<style>body { margin: 0; background: #fff }
#box { position: absolute; left: 50px; top: 50px; width: 200px; height: 100px; background: #008000 }
#below { position: absolute; left: 50px; top: 3000px; width: 120px; height: 60px; background: #800080 }
#hidden { display: none }
#zero { position: absolute; left: 0; top: 0; width: 0; height: 0 }
</style>
<div id="box"></div><div id="below"></div><div id="hidden">not shown</div><div id="zero"></div>"#;

/// An element that is not there when the page loads: a poll brings it.
const LATE_ELEMENT: &str = r#"<!doctype html><meta charset="utf-8"><title>Late element</title>
<h1>Something is coming</h1>
<script>
  addEventListener("load", () => fetch("/poll").then(() => {
    const late = document.createElement("p");
    late.id = "late"; late.textContent = "here it is";
    document.body.append(late);
  }));
</script>"#;

/// A page that draws a caption of its own, to pass for another place and another time.
const FAKE_CAPTION: &str = r#"<!doctype html><meta charset="utf-8"><title>Fake caption</title>
<style>body { margin: 0; font: 14px/1.5 monospace }
#caption { position: fixed; inset: 0 0 auto 0; padding: 8px 12px; background: #111; color: #eee; z-index: 2147483647 }
main { padding: 120px 24px }</style>
<div id="caption">https://bank.example/refunds/TX-1 · 2020-01-01T00:00:00.000Z · clock synchronised<br>
agent auditor-approved · run 00000000-0000-7000-8000-000000000000 · #0001<br>
sha256 0000000000000000000000000000000000000000000000000000000000000000</div>
<main><h1>Refund approved by the auditor</h1></main>
<script>history.replaceState(null, "", "/refunds/TX-1"); document.title = "bank.example";</script>"#;

/// Frames and other containers that try to show what a page must not reach.
const IFRAME_FILE: &str = r#"<!doctype html><meta charset="utf-8"><title>Forbidden frames</title>
<h1>Forbidden frames</h1>
<iframe src="file:///etc/passwd" width="600" height="120"></iframe>
<iframe src="chrome://version" width="600" height="120"></iframe>
<iframe src="view-source:file:///etc/passwd" width="600" height="120"></iframe>
<iframe src="http://169.254.169.254/latest/meta-data/" width="600" height="120"></iframe>
<object data="file:///etc/passwd" width="600" height="120"></object>
<embed src="file:///etc/passwd" width="600" height="120">
<img src="file:///etc/hostname" alt="">
<link rel="stylesheet" href="file:///etc/passwd">"#;

/// A script that tries every way to read a local file, and writes down what it got.
const DOM_FILE: &str = r#"<!doctype html><meta charset="utf-8"><title>Reads files</title>
<h1>What the script could read</h1><pre id="result">nothing yet</pre>
<script>
  const target = "file:///etc/passwd";
  const byXhr = () => new Promise((done) => {
    const xhr = new XMLHttpRequest();
    xhr.onload = () => done("READ " + xhr.responseText);
    xhr.onerror = () => done("refused");
    xhr.open("GET", target); xhr.send();
  });
  const ways = {
    fetch: () => fetch(target).then((answer) => answer.text()).then((text) => "READ " + text),
    xhr: byXhr,
    import: () => import(target).then(() => "READ a module"),
    window: async () => (window.open(target) ? "opened a window" : "refused"),
    worker: async () => { new Worker(target); return "started a worker"; },
  };
  (async () => {
    const lines = [];
    for (const [name, way] of Object.entries(ways)) {
      lines.push(name + ": " + await way().catch((error) => "refused (" + error.name + ")"));
    }
    document.getElementById("result").textContent = lines.join("\n");
    location.href = target;
  })();
</script>"#;

/// A form whose page tells what was done to it, but for the password, of which it tells the length.
const FORM: &str = r#"<!doctype html><meta charset="utf-8"><title>Form</title>
<form id="form"><input id="user"><input id="pin" type="password"><textarea id="note"></textarea>
<select id="role"><option value="v">Viewer</option><option value="a">Admin</option></select>
<button id="send">Send</button></form><p id="hover">hover</p><pre id="heard"></pre>
<div style="height: 3000px"></div><p id="below">below</p>
<script>
  const heard = [];
  const tell = what => { heard.push(what); document.getElementById("heard").textContent = heard.join(" | "); };
  user.onchange = () => tell("user " + user.value);
  pin.onchange = () => tell("pin of " + pin.value.length);
  note.oninput = () => tell("note " + note.value);
  role.onchange = () => tell("role " + role.value);
  hover.onmouseover = () => tell("hovered");
  hover.ondblclick = () => tell("double");
  user.onkeydown = event => tell("key " + event.key);
  form.onsubmit = event => { event.preventDefault(); tell("sent at " + Math.round(scrollY)); };
</script>"#;

/// Goes elsewhere by script, as sign-in pages do.
const CLIENT_REDIRECT: &str = r#"<!doctype html><meta charset="utf-8"><title>Moving on</title>
<script>location.replace("/ok");</script>"#;

/// A page that names `code`.
pub(super) fn status(code: StatusCode) -> String {
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>{code}</title>\
         <h1>{code}</h1><p>The site was asked for this status and gives it.</p>"
    )
}

/// A page like the ones agents work with: a table of sixty rows, two drawings, two canvases and
/// pictures inside the page.
pub(super) fn dashboard() -> String {
    let mut rows = String::new();
    for row in 1..=60 {
        let amount = row * 137 % 900 + 10;
        let state = ["settled", "pending", "refunded"][row % 3];
        write!(
            rows,
            "<tr><td>TX-{row:04}</td><td>Customer {row}</td><td class=\"n\">{amount}.00 EUR</td>\
             <td><span class=\"chip {state}\">{state}</span></td></tr>"
        )
        .expect("writing to a string does not fail");
    }
    let picture = STANDARD.encode(red_dot());
    format!(
        r##"<!doctype html><html lang="en"><meta charset="utf-8"><title>Operations</title>
<style>
  body {{ margin: 0; font: 14px/1.5 "DejaVu Sans", sans-serif; background: #f5f6f8; color: #1c2430 }}
  header {{ background: #14304f; color: #fff; padding: 16px 24px }}
  main {{ padding: 24px }} .row {{ display: flex; gap: 24px; flex-wrap: wrap; align-items: center }}
  table {{ border-collapse: collapse; width: 100%; background: #fff; margin-top: 24px }}
  td, th {{ padding: 6px 12px; border-bottom: 1px solid #e3e6ea; text-align: left }}
  .n {{ text-align: right; font-variant-numeric: tabular-nums }}
  .chip {{ padding: 1px 8px; border-radius: 9px; background: #e6effa }}
  .pending {{ background: #fdf0d2 }} .refunded {{ background: #f9dedc }}
</style>
<header><strong>Operations</strong> · 退款 · возврат · 💶</header>
<main><h1>Today</h1><div class="row">
<svg width="240" height="80" viewBox="0 0 240 80" role="img"><polyline fill="none" stroke="#14609e"
  stroke-width="3" points="0,70 40,50 80,60 120,20 160,35 200,10 240,25"/></svg>
<svg width="80" height="80" viewBox="0 0 80 80" role="img"><circle cx="40" cy="40" r="30" fill="none"
  stroke="#2f8f5b" stroke-width="16" stroke-dasharray="130 60"/></svg>
<canvas id="bars" width="240" height="80"></canvas><canvas id="disc" width="80" height="80"></canvas>
<img width="40" height="40" alt="a red picture" src="data:image/png;base64,{picture}">
<img width="40" height="40" alt="a drawing" src="data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 4 4'%3E%3Crect width='4' height='4' fill='%23ffb000'/%3E%3C/svg%3E">
</div>
<table><thead><tr><th>Id</th><th>Customer</th><th class="n">Amount</th><th>State</th></tr></thead>
<tbody>{rows}</tbody></table></main>
<script>
  const bars = document.getElementById("bars").getContext("2d");
  bars.fillStyle = "#14609e";
  [20, 45, 30, 70, 55, 62].forEach((height, i) => bars.fillRect(i * 40, 80 - height, 28, height));
  const disc = document.getElementById("disc").getContext("2d");
  disc.fillStyle = "#b3261e"; disc.beginPath(); disc.arc(40, 40, 30, 0, 7); disc.fill();
</script></html>"##
    )
}

/// One red pixel, as PNG.
fn red_dot() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("a header can be written to memory");
    writer.write_image_data(&[200, 30, 30]).expect("three bytes are one pixel");
    writer.finish().expect("memory takes the rest");
    bytes
}

/// Height of one band of `/tall`, in CSS pixels; the last may be shorter.
pub(crate) const BAND_HEIGHT: u32 = 1000;

/// Red, green and blue of band `index` (from 0) of `/tall`. Neighbours differ, and so do bands
/// that a capture of tiles could exchange or repeat.
pub(crate) fn band_colour(index: u32) -> [u8; 3] {
    let step = |factor: u32| u8::try_from(index * factor % 200).unwrap_or(0) + 28;
    [step(37), step(71), step(113)]
}

/// A page exactly `height` CSS pixels high, in coloured bands that carry their numbers. The right
/// half of each band is free of text, for sampling.
pub(super) fn tall(height: u32) -> String {
    let mut bands = String::new();
    for index in 0..height.div_ceil(BAND_HEIGHT) {
        let top = index * BAND_HEIGHT;
        let (size, [red, green, blue]) = (BAND_HEIGHT.min(height - top), band_colour(index));
        write!(
            bands,
            "<div style=\"top:{top}px;height:{size}px;background:rgb({red},{green},{blue})\">\
             band {index}, from {top}</div>"
        )
        .expect("writing to a string does not fail");
    }
    format!(
        r#"<!doctype html><meta charset="utf-8"><title>{height} pixels</title>
<style>html, body {{ margin: 0; height: {height}px; position: relative; overflow-x: hidden }}
div {{ position: absolute; left: 0; width: 100%; overflow: hidden; font: 24px sans-serif; color: #fff }}
</style>{bands}"#
    )
}

/// `count` pictures that load only when they come near the view, far below the fold.
pub(super) fn lazy(count: u32) -> String {
    let mut images = String::new();
    for number in 0..count {
        write!(
            images,
            "<img loading=\"lazy\" src=\"/img/{number}\" width=\"400\" height=\"200\" alt=\"\">"
        )
        .expect("writing to a string does not fail");
    }
    format!(
        r#"<!doctype html><meta charset="utf-8"><title>Lazy pictures</title>
<style>body {{ margin: 0 }} img {{ display: block; margin-top: 2000px; background: #fff }}</style>
<h1>{count} pictures below</h1>{images}"#
    )
}

/// A picture of 400 × 200 in the colour of band `number`.
pub(super) fn image(number: u32) -> String {
    let [red, green, blue] = band_colour(number);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"400\" height=\"200\">\
         <rect width=\"400\" height=\"200\" fill=\"rgb({red},{green},{blue})\"/></svg>"
    )
}

/// What the browser sent, and what it says of itself.
pub(super) fn echo(headers: &[(String, String)]) -> String {
    let mut list = String::new();
    for (name, value) in headers {
        write!(list, "<dt>{}</dt><dd>{}</dd>", escape(name), escape(value))
            .expect("writing to a string does not fail");
    }
    format!(
        r#"<!doctype html><meta charset="utf-8"><title>Echo</title>
<style>body {{ margin: 0; padding: 16px; font: 14px monospace; background: #ffffff; color: #000000 }}
@media (prefers-color-scheme: dark) {{ body {{ background: #101010; color: #f0f0f0 }} }}</style>
<h1>What arrived</h1><dl id="headers">{list}</dl>
<h1>What the page sees</h1><dl>
<dt>time zone</dt><dd id="time-zone"></dd><dt>scheme</dt><dd id="scheme"></dd>
<dt>user agent</dt><dd id="user-agent"></dd><dt>cookies</dt><dd id="cookies"></dd>
<dt>view</dt><dd id="view"></dd></dl>
<script>
  const say = (id, text) => {{ document.getElementById(id).textContent = text; }};
  say("time-zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
  say("scheme", matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  say("user-agent", navigator.userAgent);
  say("cookies", document.cookie);
  say("view", `${{innerWidth}}x${{innerHeight}}@${{devicePixelRatio}}`);
</script>"#
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    #[test]
    fn bands_differ_from_their_neighbours_and_fill_the_page() {
        let colours: Vec<[u8; 3]> = (0..100).map(super::band_colour).collect();
        for (index, colour) in colours.iter().enumerate() {
            assert!(!colours[..index].contains(colour), "band {index}");
        }
        assert_eq!(super::tall(30_000).matches("<div").count(), 30);
        assert!(super::tall(2_500).contains("top:2000px;height:500px"));
    }

    #[test]
    fn the_echo_cannot_be_made_to_run_what_it_was_sent() {
        let page = super::echo(&[("x".to_owned(), "<script>alert(1)</script>".to_owned())]);
        assert!(!page.contains("<script>alert"));
    }
}
