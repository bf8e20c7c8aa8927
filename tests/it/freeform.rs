//! What callers write as they like: whatever of it is accepted seals and verifies, by our verifier and
//! by docs/verify.sh, and is on record as it was sent; whatever is not is refused with a reason.

use exhibit::error::exit;
use exhibit::evidence::verify;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::harness::{Reply, TestDaemon};
use crate::process::verify_sh;

/// Runs that are made up.
const CASES: usize = 60;

/// Names that mean something to somebody who reads the evidence.
const NAMES: &[&str] = &[
    "path",
    "previous",
    "sequence",
    "format",
    "provenance",
    "artifact",
    "artifacts",
    "__proto__",
    "constructor",
    "run",
    "state",
    "outcome",
    "completeness",
    "redacted",
    "labels",
    "counts",
    "policy",
    "data",
    "kind",
    "actor",
    "$serde_json::private::RawValue",
    "$serde_json::private::Number",
    "toString",
    "",
    " ",
    "a",
    "a.b",
    "a/b~c",
    "\\u0000",
    "\\ud83d\\ude00",
    "\\u202e",
    "\\ud800",
    "password",
    "ß",
];

/// The text of some JSON, or of what is none.
fn hostile_json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has no others", |n| n.is_finite())
            .prop_map(|n| json!(n).to_string()),
        "-?[1-9][0-9]{18,40}",
        "-?[0-9]\\.[0-9]{1,30}(e-?[0-9]{1,4})?",
    ];
    let text = prop_oneof![
        ".{0,20}".prop_map(|text| json!(text).to_string()),
        prop::sample::select(NAMES).prop_map(|name| format!("\"{name}\"")),
        "([a-f0-9]{64}|data/[a-z.]{1,8})".prop_map(|text| format!("\"{text}\"")),
    ];
    let digest = "0".repeat(64);
    let artifact = format!(
        "{{\"path\":\"data/events.jsonl\",\"media_type\":\"t\",\"size_bytes\":1,\"sha256\":\"{digest}\"}}"
    );
    let leaf = prop_oneof![
        2 => number,
        4 => text,
        3 => Just(artifact),
        1 => prop::sample::select(&["null", "true", "false", "[]", "{}"][..]).prop_map(str::to_owned),
    ];
    let any = leaf.prop_recursive(4, 24, 4, |inner| {
        let field = (prop::sample::select(NAMES), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec(field, 0..4).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    });
    let deep =
        (80_usize..140).prop_map(|levels| format!("{}1{}", "[".repeat(levels), "]".repeat(levels)));
    prop_oneof![20 => any, 1 => deep]
}

/// The text of an object whose values are hostile.
fn hostile_object() -> impl Strategy<Value = String> {
    let field = (prop::sample::select(NAMES), hostile_json());
    prop::collection::vec(field, 0..4).prop_map(|fields| {
        let fields: Vec<String> =
            fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

/// Texts of one run's requests.
#[derive(Clone, Debug)]
struct Case {
    labels: String,
    data: String,
    lines: String,
    /// Words for fields that hold text.
    words: Vec<String>,
    kind: String,
}

fn case() -> impl Strategy<Value = Case> {
    let word = prop_oneof![20 => ".{1,30}", 20 => "[\\x00-\\x1f\"\\\\\u{202e}\u{feff}]{1,8}", 1 => "password=[a-z0-9]{8}"];
    let words = prop::collection::vec(word, 12);
    let lines = prop::collection::vec(hostile_object(), 0..3);
    let lines = lines.prop_map(|lines| {
        let lines: Vec<String> =
            lines.iter().map(|line| format!("{{\"data\":{line}}}\n")).collect();
        lines.concat()
    });
    (hostile_object(), hostile_object(), lines, words, "[a-z-]{1,12}")
        .prop_map(|(labels, data, lines, words, kind)| Case { labels, data, lines, words, kind })
}

async fn send(daemon: &TestDaemon, path: &str, media_type: &str, body: String) -> Reply {
    let request = daemon.request(reqwest::Method::POST, path).header("content-type", media_type);
    let reply = daemon.send(request.body(body.clone())).await;
    assert!(reply.status < 500, "{path}: {} {} for {body}", reply.status, reply.json());
    if reply.status >= 400 {
        reply.refusal();
    }
    reply
}

/// What `text` says, where it is on record: nothing was taken out or changed.
fn kept(text: &str, found: &Value) {
    let sent: Value = serde_json::from_str(text).expect("it was accepted");
    assert_eq!(sent, *found, "on record is something else than was sent: {text}");
}

async fn live(daemon: &TestDaemon, case: &Case) -> String {
    let json = "application/json";
    let word = |index: usize| json!(case.words[index]);
    let opening = format!(
        "{{\"workflow\":{},\"agent\":{},\"principal\":{},\"subject\":{},\"controls\":[{}],\"labels\":{},\
         \"code\":{{\"repository\":{},\"path\":{},\"symbol\":{},\"review\":{}}}}}",
        word(0),
        word(1),
        word(2),
        word(3),
        word(4),
        case.labels,
        word(5),
        word(6),
        word(7),
        word(8)
    );
    let opened = send(daemon, "/v1/runs", json, opening).await;
    let opened = if opened.status == 201 {
        opened
    } else {
        // Then it is the labels: what else there is is accepted.
        let plain = json!({"workflow": word(0), "subject": word(3)});
        send(daemon, "/v1/runs", json, plain.to_string()).await.ok()
    };
    let run = opened.json()["run"].as_str().expect("an id").to_owned();
    let path = |rest: &str| format!("/v1/runs/{run}/{rest}");
    let event =
        format!("{{\"kind\":\"{}\",\"message\":{},\"data\":{}}}", case.kind, word(9), case.data);
    send(daemon, &path("events"), json, event.clone()).await;
    send(daemon, &path("events"), json, format!("[{event},{event}]")).await;
    send(daemon, &path("events"), "application/x-ndjson", case.lines.clone()).await;
    let code = json!({"repository": word(5), "reviewer": word(10), "commit": "c0ffee"});
    send(daemon, &path("code"), json, code.to_string()).await;
    let name: String = case.kind.trim_start_matches('-').to_owned() + "x";
    send(
        daemon,
        &path(&format!("attachments?name={name}")),
        "a/b; c=\"d\\\"\"",
        word(9).to_string(),
    )
    .await
    .ok();
    send(daemon, &path("code"), json, json!({"attachment": name, "review": word(11)}).to_string())
        .await;
    let refused = json!({"url": "file:///etc/passwd", "stage": "before"}).to_string();
    send(daemon, &path("captures"), json, refused).await;
    let ending = json!({"outcome": word(11), "reason": word(10)}).to_string();
    send(daemon, &path("seal"), json, ending).await.ok();
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_accepted_seals_and_verifies_and_is_on_record_as_it_was_sent() {
    let daemon = TestDaemon::start().await;
    let mut runner = TestRunner::deterministic();
    let mut accepted = 0;
    for _ in 0..CASES {
        let case = case().new_tree(&mut runner).expect("a case").current();
        let run = live(&daemon, &case).await;
        daemon.assert_verifies(&run);
        let events = daemon.events(&run);
        let opening = &events[0]["data"];
        if opening.get("labels").is_some() && opening.get("redacted").is_none() {
            kept(&case.labels, &opening["labels"]);
            accepted += 1;
        }
        for event in events.iter().filter(|event| event["kind"] == json!(case.kind)) {
            if event["data"].get("redacted").is_none() {
                kept(&case.data, &event["data"]["data"]);
            }
        }
    }
    assert!(accepted * 5 > CASES, "nearly nothing is accepted: {accepted}");
    all_is_well(&daemon);
}

/// Both verifiers say so of the whole store.
fn all_is_well(daemon: &TestDaemon) {
    let report = verify::store(&daemon.store(), &daemon.trust(), &[]);
    assert_eq!(report.exit(), exit::OK, "{:#?}", report.findings);
    let folder = daemon.folder.path();
    let trust = folder.join("trust");
    let written = std::fs::create_dir_all(&trust);
    written.expect("a folder");
    let key = exhibit::evidence::Signer::load_or_create(&folder.join("keys/signing_ed25519"));
    let line = key.expect("the daemon's key").allowed_signers_line("exhibit");
    let write = |name: &str, text: &str| std::fs::write(trust.join(name), text).expect("written");
    write("allowed_signers", &format!("{line}\n"));
    write(
        "log.vkey",
        &std::fs::read_to_string(folder.join("keys/log_ed25519.vkey")).expect("there"),
    );
    let (code, said) = verify_sh(folder, &["--trust", "trust", "--store", "store"]);
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_like_a_file_in_a_callers_words_binds_nobody() {
    let daemon = TestDaemon::start().await;
    let file =
        json!({"path": "data/x", "media_type": "t", "size_bytes": 1, "sha256": "0".repeat(64)});
    let labels =
        json!({"a": file, "provenance": file, "artifacts": [file], "deep": {"artifact": [file]}});
    let opened =
        daemon.post("/v1/runs", json!({"workflow": "refund", "labels": labels})).await.ok();
    let run = opened.json()["run"].as_str().expect("an id").to_owned();
    let event = json!({"kind": "log", "data": {"artifacts": [file], "artifact": file}});
    daemon.post(&format!("/v1/runs/{run}/events"), event).await.ok();
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({"outcome": "succeeded"})).await.ok();
    daemon.assert_verifies(&run);
    assert_eq!(daemon.events(&run)[0]["data"]["labels"], labels);
    all_is_well(&daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_changed_or_could_not_be_sealed_is_refused_by_name() {
    let daemon = TestDaemon::start().await;
    let run = daemon.open_run("refund").await;
    let events = format!("/v1/runs/{run}/events");
    let json = "application/json";
    for (path, body, code, field) in [
        (
            "/v1/runs",
            r#"{"workflow":"w","labels":{"n":18446744073709551616}}"#,
            "invalid_field",
            "labels.n",
        ),
        ("/v1/runs", r#"{"workflow":"w","workflow":"v"}"#, "invalid_field", "workflow"),
        (
            &events,
            r#"{"message":"x","data":{"n":-9223372036854775809}}"#,
            "invalid_field",
            "data.n",
        ),
        (&events, r#"[{"message":"x"},{"data":{"a":1,"a":2}}]"#, "invalid_field", "[1].data.a"),
        (
            "/v1/screenshot",
            r#"{"url":"https://x.example","width":1,"width":2}"#,
            "invalid_field",
            "width",
        ),
        (
            "/v1/sequence",
            r#"{"steps":[{"n":123456789012345678901234567890}]}"#,
            "invalid_field",
            "steps[0].n",
        ),
    ] {
        let reply = send(&daemon, path, json, body.to_owned()).await;
        let found = reply.refusal();
        assert_eq!((found.0, found.1.as_str(), found.2.as_str()), (400, code, field), "{path}");
    }
    let lines = "{\"message\":\"x\"}\n{\"data\":{\"n\":18446744073709551616}}\n".to_owned();
    let (status, code, field) =
        send(&daemon, &events, "application/x-ndjson", lines).await.refusal();
    assert_eq!((status, code.as_str(), field.as_str()), (400, "invalid_field", "line 2: data.n"));
    let deep =
        format!("{{\"message\":\"x\",\"data\":{{\"a\":{}1{}}}}}", "[".repeat(99), "]".repeat(99));
    let reply = send(&daemon, &events, json, deep).await;
    assert!(
        reply.status == 400
            && reply.json()["error"].as_str().is_some_and(|text| text.contains("100 levels"))
    );
    // Short as JSON, and too long for the record, which has a line for each value.
    let zeros = format!("{}{}{}", "[".repeat(90), vec!["0"; 30_000].join(","), "]".repeat(90));
    let wide = format!("{{\"workflow\":\"w\",\"labels\":{{\"a\":{zeros}}}}}");
    let (status, code, field) = send(&daemon, "/v1/runs", json, wide).await.refusal();
    assert_eq!((status, code.as_str(), field.as_str()), (413, "body_too_large", "labels"));
    let path = format!("/v1/runs/{run}/attachments?name=a");
    let long = format!("text/plain; x={}", "y".repeat(300));
    let (status, _, field) = send(&daemon, &path, &long, "x".to_owned()).await.refusal();
    assert_eq!((status, field.as_str()), (400, "content-type"));
    daemon.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
    daemon.assert_verifies(&run);
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_in_what_is_declared_are_taken_out_and_told() {
    let daemon = TestDaemon::start().await;
    let secret = "hunter2-hunter2";
    let opened = json!({
        "workflow": "refund", "agent": "desk", "principal": format!("bob, password={secret}"),
        "subject": format!("https://bob:{secret}@shop.example/"),
        "labels": {"db.password": secret, "notes": [format!("--password {secret}")]},
        "code": {"repository": format!("https://x:{secret}@git.example/r"), "commit": "c0ffee",
                 "sha256": "a".repeat(64)},
    });
    let reply = daemon.post("/v1/runs", opened).await.ok();
    assert!(!reply.json().to_string().contains(secret), "{}", reply.json());
    let run = reply.json()["run"].as_str().expect("an id").to_owned();
    let code = json!({"repository": format!("git clone https://x:{secret}@git.example/r"), "commit": "c0ffee"});
    daemon.post(&format!("/v1/runs/{run}/code"), code).await.ok();
    let ending =
        json!({"outcome": format!("token={secret}"), "reason": format!("pwd={secret} was wrong")});
    daemon.post(&format!("/v1/runs/{run}/seal"), ending).await.ok();
    daemon.assert_verifies(&run);
    let events = daemon.events(&run);
    let told = |event: &Value| -> Vec<String> {
        let told = event["data"]["redacted"].as_array().expect("told").clone();
        told.iter()
            .map(|one| format!("{} {} {}", one["rule"], one["count"], one["path"]).replace('"', ""))
            .collect()
    };
    assert_eq!(
        told(&events[0]),
        [
            "url-password 1 /code/repository",
            "credential 1 /labels/db.password",
            "credential 1 /labels/notes/0",
            "credential 1 /principal",
            "url-password 1 /subject",
        ]
    );
    let referenced = events.iter().find(|event| event["kind"] == "code.referenced").expect("there");
    assert_eq!(told(referenced), ["url-password 1 /code/repository"]);
    assert_eq!(
        told(events.last().expect("one")),
        ["credential 1 /outcome", "credential 1 /reason"]
    );
    for (name, bytes) in daemon.contents(&run) {
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "it is in {name}");
    }
    let log = daemon.store().join("log");
    let entries =
        std::process::Command::new("grep").arg("-rl").arg(secret).arg(log).output().expect("grep");
    assert!(entries.stdout.is_empty(), "it is in the log");
    all_is_well(&daemon);
}
