//! What is typed into fields for secrets stands in no file of the evidence, in whatever way a page says
//! that a field is one, and wherever it shows, tells or sends what was typed; other fields keep theirs.

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};

use crate::harness::TestDaemon;

/// Fields for secrets, one of each spelling. Each has a value of its own.
const SECRET: &[(&str, &str)] = &[
    ("password", "<input id=f1 type=password>"),
    ("current", "<input id=f2 autocomplete='section-a current-password'>"),
    ("new", "<input id=f3 autocomplete=new-password>"),
    ("code", "<textarea id=f4 autocomplete=one-time-code></textarea>"),
    ("card", "<input id=f5 autocomplete='billing cc-number'>"),
    ("csc", "<input id=f6 autocomplete=cc-csc>"),
    ("named", "<input id=f7 name=userPassword>"),
    ("aria", "<input id=f8 aria-label='Passcode'>"),
    ("hint", "<input id=f9 placeholder='One-time code'>"),
    ("label", "<label for=f10>Your PIN</label><input id=f10>"),
    ("around", "<label>Kartenprüfnummer <input id=f11></label>"),
    ("by", "<b id=by>Mot de passe</b><input id=f12 aria-labelledby=by>"),
    ("otp", "<input id=f13 name=otp inputmode=numeric>"),
    ("number", "<input id=f14 type=tel name=cardnumber>"),
    ("style", "<input id=f15 style='-webkit-text-security: disc'>"),
    ("focus", "<input id=f16 onfocus=\"this.type='password'\">"),
    ("shows", "<input id=f17 type=password onfocus=\"this.type='text'\">"),
    ("typed", "<input id=f18 oninput=\"this.type='password'\">"),
    ("later", "<input id=f19 oninput=\"setTimeout(() => this.type = 'password')\">"),
    ("editable", "<div id=f20 contenteditable aria-label='contraseña'></div>"),
    ("chinese", "<input id=f21 placeholder='密码'>"),
    ("cvv", "<input id=f22 name=cvv2>"),
];

/// Fields that are for no secrets.
const HONEST: &[(&str, &str)] = &[
    ("#search", "<input id=search type=search name=q placeholder=Search>"),
    ("#quantity", "<label>Quantity <input id=quantity name=quantity></label>"),
    ("#shipping", "<input id=shipping name=shippingOption aria-label='Spinning opinion'>"),
    ("#user", "<input id=user autocomplete=username>"),
];

fn page() -> String {
    let fields = |all: &[(&str, &str)]| all.iter().map(|(_, field)| *field).collect::<String>();
    format!(
        "<!doctype html><title>form</title><form action=/sent>{}{}\
         <input id=short name=cvc><input id=amount name=amount></form>\
         <button id=show>show</button><button id=send>send</button><div id=echo></div>
         <script>
         addEventListener('input', event => {{
             const value = event.data;
             const echo = document.createElement('a');
             echo.href = '/echo?v=' + encodeURIComponent(value);
             echo.title = echo.textContent = value;
             document.getElementById('echo').append(echo);
             event.target.setAttribute('value', value);
             document.title = 'typed ' + value;
             console.log('typed ' + value);
             fetch('/log?v=' + encodeURIComponent(value));
             history.replaceState(null, '', '?last=' + encodeURIComponent(value));
         }}, true);
         document.getElementById('show').onclick = () => {{
             document.querySelectorAll('input[type=password]').forEach(one => one.type = 'text');
         }};
         document.getElementById('send').onclick = () => document.forms[0].submit();
         </script>",
        fields(SECRET),
        fields(HONEST),
    )
}

async fn site() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let sent = "<!doctype html><title>sent</title><p id=all></p><script>
        document.getElementById('all').textContent = location.search</script>";
    let router = Router::new()
        .route("/", get(|| async { Html(page()) }))
        .route("/log", get(|| async { "kept" }))
        .route("/sent", get(move || async move { Html(sent) }));
    tokio::spawn(axum::serve(listener, router).into_future());
    format!("http://{address}/")
}

/// What is typed into the field that is a secret because of `why`.
fn secret(why: &str) -> String {
    match why {
        "card" => "4111111111111111".to_owned(),
        why => format!("zQ7&{why} Xk93"),
    }
}

fn steps(url: &str) -> Vec<Value> {
    let mut steps = vec![json!({ "action": "navigate", "url": url })];
    let mut fill = |selector: &str, value: &str| {
        steps.push(json!({ "action": "fill", "selector": selector, "value": value }));
    };
    for (at, (why, _)) in SECRET.iter().enumerate() {
        fill(&format!("#f{}", at + 1), &secret(why));
    }
    for (selector, _) in HONEST {
        fill(selector, &format!("honest {}", &selector[1..]));
    }
    fill("#short", "907");
    fill("#amount", "907");
    steps
}

/// Every spelling in which a file could hold `value`.
fn spellings(value: &str) -> Vec<String> {
    let query: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let mut all = vec![
        value.to_owned(),
        query.replace('+', "%20"),
        query,
        value.replace('&', "&amp;"),
        value.replace('&', "\\u0026"),
        "4111 1111 1111 1111".to_owned(),
    ];
    // The middle of it, however its ends are written.
    all.extend(value.split(['&', ' ']).nth(1).map(|middle| format!("{middle} Xk93")));
    all
}

#[track_caller]
fn assert_clean(daemon: &TestDaemon, run: &str) {
    for (file, bytes) in daemon.contents(run) {
        // As quoted-printable reads.
        let text = String::from_utf8_lossy(&bytes).replace("=\r\n", "").replace("=3D", "=");
        for (why, _) in SECRET {
            for spelling in spellings(&secret(why)) {
                if let Some(at) = text.find(&spelling) {
                    let from = text.floor_char_boundary(at.saturating_sub(200));
                    panic!("{why} stands in {file}: {}", &text[from..at + spelling.len()]);
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_into_fields_for_secrets_stands_in_no_file() {
    let (daemon, site) = (TestDaemon::start().await, site().await);
    let mut steps = steps(&site);
    let shot = json!({ "action": "screenshot" });
    let click = |selector: &str| json!({ "action": "click", "selector": selector });
    steps.extend([shot.clone(), click("#show"), shot.clone(), click("#send"), shot.clone()]);
    let body = json!({ "steps": steps, "observeAfterEachStep": true });
    let reply = daemon.post("/api/v1/sequence", body).await.ok();
    let (answer, run) = (reply.json(), reply.run());
    assert_eq!(answer["steps_completed"], steps.len(), "{}", answer["step_results"]);
    daemon.assert_verifies(&run);
    assert_clean(&daemon, &run);
    for result in answer["step_results"].as_array().expect("a list") {
        assert!(!result.to_string().contains(" Xk93"), "{result}");
    }
    let events = daemon.events(&run);
    let typed = |selector: &str| {
        let mut fills = events.iter().filter(|event| event["kind"] == "step.done");
        let fill = fills.find(|event| event["data"]["selector"] == selector);
        fill.expect("the step")["data"]["value"].as_str().expect("text").to_owned()
    };
    for (at, (why, _)) in SECRET.iter().enumerate() {
        assert_eq!(typed(&format!("#f{}", at + 1)), "[redacted]", "{why}");
    }
    let capture = |at: usize| answer["outputs"][at]["capture"].as_str().expect("a name").to_owned();
    let tree = daemon.unpacked(&run, &capture(0), "accessibility.json.zst");
    let dom = daemon.unpacked(&run, &capture(0), "dom.html.zst");
    for (selector, _) in HONEST {
        let honest = format!("honest {}", &selector[1..]);
        assert_eq!(typed(selector), honest);
        assert!(tree.contains(&honest) && dom.contains(&honest), "{honest}");
    }
    assert!(daemon.unpacked(&run, &capture(2), "dom.html.zst").contains("honest"));
    let network = daemon.unpacked(&run, &capture(2), "network.har.zst");
    assert!(network.contains("/log?v=[redacted]") && network.contains("honest"), "{network}");
    let console = daemon.unpacked(&run, &capture(0), "console.jsonl.zst");
    assert!(console.contains("typed [redacted]") && console.contains("typed honest user"));

    // A short value is any word; it is left out of its own field only.
    assert_eq!((typed("#short").as_str(), typed("#amount").as_str()), ("[redacted]", "907"));
    assert!(dom.contains("name=\"amount\" value=\"907\""), "{dom}");
    assert!(dom.contains("name=\"cvc\" value=\"[redacted]\""), "{dom}");
    let tree: Value = serde_json::from_str(&tree).expect("JSON");
    let nodes = tree["nodes"].as_array().expect("nodes");
    let values = nodes.iter().filter(|node| node["value"]["value"] == "907").count();
    assert_eq!(values, 1, "only the amount");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_remembers_the_secrets_that_were_typed_in_it() {
    let (daemon, site) = (TestDaemon::start().await, site().await);
    let run = daemon.open_run("login").await;
    let send = async |path: &str, body: Value| {
        let request = daemon.request(reqwest::Method::POST, path);
        daemon.send(request.header("x-exhibit-run", &run).json(&body)).await.ok().json()
    };
    let session = send("/api/v1/sessions", json!({})).await["session_id"].clone();
    let with = |mut body: Value| {
        body["session_id"] = session.clone();
        body
    };
    let mut all = steps(&site);
    all.push(json!({ "action": "screenshot" }));
    let typed = send("/api/v1/sequence", with(json!({ "steps": all }))).await;
    assert_eq!(typed["steps_completed"], typed["total_steps"], "{}", typed["step_results"]);
    let show = json!({ "steps": [
        { "action": "click", "selector": "#show" }, { "action": "screenshot" },
    ] });
    send("/api/v1/sequence", with(show)).await;
    let observe =
        json!({ "includeAriaTree": true, "includeContent": true, "includeConsole": true });
    send("/api/v1/observe", with(observe)).await;
    send("/api/v1/inspect", with(json!({}))).await;
    send("/api/v1/screenshot", with(json!({ "response_type": "json" }))).await;
    let sent = json!({ "steps": [
        { "action": "click", "selector": "#send" }, { "action": "screenshot" },
    ] });
    send("/api/v1/sequence", with(sent)).await;
    send(&format!("/api/v1/runs/{run}/seal"), json!({})).await;
    daemon.assert_verifies(&run);
    assert_clean(&daemon, &run);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_is_cut_short_no_part_of_a_secret_stays() {
    let daemon = TestDaemon::start().await;
    let (word, token) =
        ("Qx7Wordpass", "eyJhbGciOiJSUzI1NiJ9.".to_owned() + &"aB3dE6gH".repeat(110));
    let html = format!(
        "<!doctype html><input type=password value={word}><input name=accessToken value={token}>\
         <h1></h1><a href=/x></a><button></button><input placeholder=x id=p><script>
         const [one, two] = document.querySelectorAll('input');
         document.title = 'x'.repeat(1990) + two.value;
         document.querySelector('h1').textContent = two.value;
         document.querySelector('a').textContent = 'see ' + two.value;
         document.querySelector('a').title = two.value;
         document.querySelector('button').textContent = two.value;
         p.placeholder = two.value;
         console.log('x'.repeat(3990) + one.value);
         console.log('y'.repeat(3200) + two.value);
         alert('z'.repeat(3995) + one.value);
         </script>"
    );
    let all = json!({
        "html": html, "includeConsole": true, "includeContent": true, "includeAriaTree": true,
    });
    let mut runs = vec![daemon.post("/api/v1/observe", all).await.ok().run()];
    let inspect = json!({ "html": html, "includeConsole": true });
    runs.push(daemon.post("/api/v1/inspect", inspect).await.ok().run());
    runs.push(daemon.shot(json!({ "html": html, "extractMetadata": true })).await.ok().run());
    for run in runs {
        daemon.assert_verifies(&run);
        for (file, bytes) in daemon.contents(&run) {
            let text = String::from_utf8_lossy(&bytes);
            for part in ["Qx7W", &token[..8]] {
                let asked = file.ends_with("request.json");
                assert!(asked || !text.contains(part), "{part} stands in {file}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_more_secrets_than_can_be_searched_for_is_told_in_no_word() {
    let daemon = TestDaemon::start().await;
    let page = |script: &str| {
        let html = format!("<!doctype html><p>some words</p><script>{script}</script>");
        json!({ "html": html, "waitUntil": "load" })
    };
    let add = "const add = (kind, value) => { const one = document.createElement(kind); \
               one.type = one.name = 'password'; one.value = value; document.body.append(one) };";
    let hostile = [
        format!("{add} for (let n = 0; n < 600; n += 1) add('input', 'value' + n + Math.random())"),
        format!("{add} add('textarea', 'secret'.repeat(50_000))"),
        // A text in which each `<` begins a tag that never ends.
        format!(
            "{add} add('input', 'ab'); const raw = document.createElement('script'); \
                 raw.type = 'text/plain'; raw.textContent = '<a x'.repeat(200_000); \
                 document.body.append(raw)"
        ),
    ];
    for script in hostile {
        let run = daemon.shot(page(&script)).await.ok().run();
        let record = daemon.capture(&run, "0001-during");
        let why = record["page"]["snapshots_withheld"].as_str().unwrap_or_default();
        assert!(why.contains("fields for secrets"), "{script}: {record}");
        assert!(!daemon.contents(&run).iter().any(|(file, _)| file.contains("dom.html")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_secrets_and_much_text_hold_up_nobody_else() {
    let daemon = TestDaemon::start().await;
    let html = "<!doctype html><script>
        for (let n = 0; n < 400; n += 1) {
            const one = document.createElement('input');
            one.type = 'password'; one.value = 'value' + n + Math.random();
            document.documentElement.append(one);
        }
        for (let n = 0; n < 1000; n += 1) console.log(('%20&amp;' + n).repeat(400));
        </script>";
    let busy = daemon.shot(json!({ "html": html, "waitUntil": "load" }));
    let asking = async {
        let mut longest = std::time::Duration::ZERO;
        for _ in 0..40 {
            let begun = std::time::Instant::now();
            daemon.get("/api/v1/status").await.ok();
            longest = longest.max(begun.elapsed());
        }
        longest
    };
    let (busy, longest) = tokio::join!(busy, asking);
    let run = busy.ok().run();
    assert!(longest < std::time::Duration::from_secs(10), "{longest:?}");
    assert!(daemon.capture(&run, "0001-during")["page"]["snapshots_withheld"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_nothing_that_a_print_says_and_does_not_show() {
    let daemon = TestDaemon::start().await;
    let html = "<!doctype html><input type=password value=Hunter2Sekret><a>link</a><script>
        const { value } = document.querySelector('input');
        document.title = 'T ' + value;
        document.querySelector('a').href = 'http://a.example/?p=' + value;
        </script>";
    let reply = daemon.post("/api/v1/pdf", json!({ "html": html, "waitUntil": "load" })).await.ok();
    let text = String::from_utf8_lossy(&reply.body);
    assert!(!text.contains("Hunter2Sekret") && text.contains("[redacted]"), "{text}");
    assert!(text.trim_end().ends_with("%%EOF"));
}
