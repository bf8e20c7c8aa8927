//! Tests of the judgement: a run that has everything, and the same with one thing left out.

use serde_json::{Value, json};

use super::*;
use crate::artifact::Artifact;
use crate::run::{Actor, CodeReference, RunSpec};
use exhibit_tlog::digest::Digest;

/// A policy that requires one of everything.
fn policy() -> Policy {
    Policy {
        layers: vec![Layer::Log, Layer::Code, Layer::Visual],
        stages: [("after", vec!["screenshot", "pdf"]), ("before", vec![])]
            .map(|(stage, kinds)| {
                (stage.to_owned(), kinds.into_iter().map(str::to_owned).collect())
            })
            .into(),
        recording: true,
        incomplete_views: false,
        fields: Field::ALL.iter().map(|(_, field)| *field).collect(),
        controls: vec!["PI1.4".to_owned()],
        retention: None,
        max_duration_ms: None,
    }
}

/// A run in the making: what it declared, told and holds.
#[derive(Clone)]
struct Made {
    spec: RunSpec,
    events: Vec<(Actor, &'static str, Value)>,
    artifacts: Vec<Artifact>,
}

impl Made {
    /// A run that has everything.
    fn whole() -> Self {
        let text = |text: &str| Some(text.to_owned());
        let spec = RunSpec {
            workflow: "refund".to_owned(),
            agent: text("bot"),
            principal: text("lead"),
            subject: text("TX-1"),
            controls: vec!["CC8.1".to_owned(), "PI1.4".to_owned()],
            code: Some(CodeReference {
                commit: text("c0ffee"),
                review: text("https://git.example/1"),
                ..CodeReference::default()
            }),
            ..RunSpec::default()
        };
        let mut made = Self { spec, events: Vec::new(), artifacts: Vec::new() };
        made.events.push((Actor::Exhibit, "run.opened", json!({})));
        made.events.push((Actor::Agent, "log", json!({ "message": "hello" })));
        made.events.push((Actor::Agent, "approval", json!({ "message": "granted" })));
        made.capture("0001-before", "before", "screenshot.png", json!([]));
        made.capture("0002-after", "after", "screenshot.webp", json!(["injectCss"]));
        made.capture("0003-after", "after", "document.pdf", json!([]));
        let mp4 = made.file("data/recordings/0001.mp4");
        let data = json!({ "recording": "0001", "stage": "during", "artifacts": [mp4] });
        made.events.push((Actor::Exhibit, "recording.taken", data));
        made
    }

    fn file(&mut self, path: &str) -> Artifact {
        let media_type = if path.contains("recordings") { "video/mp4" } else { "image/png" };
        let artifact = Artifact {
            path: path.to_owned(),
            media_type: media_type.to_owned(),
            size_bytes: 1,
            sha256: Digest::of(path.as_bytes()),
        };
        self.artifacts.push(artifact.clone());
        artifact
    }

    fn capture(&mut self, name: &str, stage: &str, file: &str, altered_by: Value) {
        let shown = self.file(&format!("data/captures/{name}/{file}"));
        let facts = self.file(&format!("data/captures/{name}/capture.json"));
        let data = json!({ "stage": stage, "altered_by": altered_by, "artifacts": [shown, facts] });
        self.events.push((Actor::Exhibit, "capture.taken", data));
    }

    /// The same without the events that `drop` picks.
    fn without(mut self, drop: impl Fn(&str, &Value) -> bool) -> Self {
        self.events.retain(|(_, kind, data)| !drop(kind, data));
        self
    }

    /// The same with a picture of the stage `before` that does not show all it seems to.
    fn cut(mut self) -> Self {
        for (_, kind, data) in &mut self.events {
            if *kind == "capture.taken" && data["stage"] == "before" {
                data["incomplete_view"] = json!([{ "reason": "image_failed" }]);
            }
        }
        self
    }

    fn judged(&self) -> Completeness {
        self.judged_by(&policy())
    }

    fn judged_by(&self, policy: &Policy) -> Completeness {
        let mut tally = Tally::default();
        for (line, (actor, kind, data)) in (1..).zip(&self.events) {
            tally.take(line, *actor, kind, data.as_object().expect("an object"));
        }
        judge(policy, &self.spec, &tally, &self.artifacts)
    }

    /// Kind and name of what is missing.
    fn missing(&self) -> Vec<String> {
        let judged = self.judged();
        let missing: Vec<_> = judged.requirements.iter().filter(|one| !one.met).collect();
        assert_eq!(missing.is_empty(), judged.verdict == Verdict::Complete);
        for one in &judged.requirements {
            assert_eq!(one.met, one.reason.is_none(), "{one:?}");
            let remedy = one.reason.as_ref().is_none_or(|reason| reason.contains(';'));
            assert!(remedy, "no remedy: {one:?}");
        }
        missing
            .iter()
            .map(|one| format!("{} {}", json!(one.kind).as_str().unwrap(), one.name))
            .collect()
    }
}

#[test]
fn a_run_that_has_everything_is_complete_and_says_where() {
    let judged = Made::whole().judged();
    assert_eq!(judged.verdict, Verdict::Complete);
    assert_eq!(judged.controls, ["PI1.4", "CC8.1"], "the policy's and the caller's, each once");
    let places: Vec<_> =
        judged.requirements.iter().map(|one| (one.name.as_str(), one.evidence.join(" "))).collect();
    let pictures = "captures/0001-before/screenshot.png captures/0003-after/document.pdf \
                    recordings/0001.mp4 captures/0002-after/screenshot.webp";
    let expected = [
        ("log", "events.jsonl:2"),
        ("code", "events.jsonl:1"),
        ("visual", pictures),
        ("before", "captures/0001-before/screenshot.png"),
        ("after", "captures/0003-after/document.pdf captures/0002-after/screenshot.webp"),
        ("recording", "recordings/0001.mp4"),
        ("agent", "events.jsonl:1"),
        ("principal", "events.jsonl:1"),
        ("subject", "events.jsonl:1"),
        ("approval", "events.jsonl:3"),
        ("code", "events.jsonl:1"),
        ("review", "events.jsonl:1"),
    ];
    assert_eq!(places, expected.map(|(name, place)| (name, place.to_owned())));
    let after = &judged.requirements[4];
    assert_eq!(after.altered, ["captures/0002-after/screenshot.webp"], "it counts, and is named");
    assert_eq!(after.captures, ["screenshot", "pdf"]);
}

#[test]
fn a_picture_that_is_not_whole_counts_only_where_that_is_allowed() {
    let made = Made::whole().cut();
    let judged = made.judged();
    let lack = judged.missing().next().expect("something is missing");
    assert!(lack.contains("captures/0001-before/screenshot.png does not count"), "{lack}");
    assert!(!without_remedy(lack).contains("POST"), "{lack}");
    let allowing = Policy { incomplete_views: true, ..policy() };
    assert_eq!(made.judged_by(&allowing).verdict, Verdict::Complete);
    let kept = serde_json::to_value(policy()).expect("JSON");
    assert!(kept.get("incomplete_views").is_none(), "policies of earlier runs read the same");
}

#[test]
fn each_thing_left_out_is_the_one_that_is_named() {
    type Change = fn(Made) -> Made;
    type Declaration = fn(&mut RunSpec);
    let declared = |made: Made, change: Declaration| {
        let mut made = made;
        change(&mut made.spec);
        made
    };
    let cases: [(Change, &[&str]); 13] = [
        (|made| made, &[]),
        (Made::cut, &["stage before"]),
        // An approval is an event of the agent's too.
        (|made| made.without(|kind, _| kind == "log"), &[]),
        (|made| made.without(|kind, _| kind == "approval"), &["field approval"]),
        (
            |made| made.without(|kind, _| matches!(kind, "log" | "approval")),
            &["layer log", "field approval"],
        ),
        (|made| made.without(|_, data| data["stage"] == "before"), &["stage before"]),
        (|made| made.without(|_, data| data["stage"] == "after"), &["stage after"]),
        (
            |made| made.without(|_, data| data.to_string().contains("document.pdf")),
            &["stage after"],
        ),
        (|made| made.without(|kind, _| kind == "recording.taken"), &["recording recording"]),
        (|made| made.without(|kind, _| kind == "capture.taken"), &["stage before", "stage after"]),
        (
            |made| made.without(|kind, _| kind.contains("taken")),
            &["layer visual", "stage before", "stage after", "recording recording"],
        ),
        // The file is gone, or another one.
        (
            |mut made| {
                made.artifacts.retain(|one| !one.path.contains("0001-before"));
                made
            },
            &["stage before"],
        ),
        (
            |mut made| {
                made.artifacts.iter_mut().for_each(|one| {
                    if one.path.contains("recordings") {
                        one.sha256 = Digest::of(b"other");
                    }
                });
                made
            },
            &["recording recording"],
        ),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(change(Made::whole()).missing(), expected, "case {index}");
    }
    let cases: [(Declaration, &[&str]); 5] = [
        (|spec| spec.agent = None, &["field agent"]),
        (|spec| spec.principal = None, &["field principal"]),
        (|spec| spec.subject = None, &["field subject"]),
        (|spec| spec.code = None, &["layer code", "field code", "field review"]),
        (
            |spec| {
                let repository = Some("desk".to_owned());
                spec.code = Some(CodeReference { repository, ..CodeReference::default() });
            },
            &["layer code", "field review"],
        ),
    ];
    for (index, (change, expected)) in cases.into_iter().enumerate() {
        assert_eq!(declared(Made::whole(), change).missing(), expected, "declaration {index}");
    }
}

#[test]
fn windows_that_are_in_no_recording_are_counted() {
    let window = |made: &mut Made, kind: &'static str, data: Value| {
        made.events.push((Actor::Exhibit, kind, data));
    };
    let mut made = Made::whole();
    window(&mut made, WINDOW_OPENED, json!({ "window": "0001-window-01" }));
    window(&mut made, WINDOW_CLOSED, json!({ "window": "0001-window-01", "recorded": true }));
    assert_eq!(made.missing(), Vec::<String>::new(), "all of it is recorded");
    // One that no recording shows, one of which a crash leaves nobody to tell, and some that nobody
    // watched.
    window(&mut made, WINDOW_OPENED, json!({ "window": "0001-window-02" }));
    window(&mut made, WINDOW_CLOSED, json!({ "window": "0001-window-02", "recorded": false }));
    window(&mut made, WINDOW_OPENED, json!({ "window": "0001-window-03" }));
    window(&mut made, WINDOWS_UNWATCHED, json!({ "count": 5 }));
    assert_eq!(made.missing(), ["recording recording"]);
    let judged = made.judged();
    let reason = judged.missing().next().expect("a reason");
    assert!(reason.contains("not recorded: 7;"), "{reason}");
    // What an agent says of windows is its own word.
    for (actor, kind, _) in &mut made.events {
        if kind.starts_with("window") {
            *actor = Actor::Agent;
        }
    }
    assert_eq!(made.missing(), Vec::<String>::new());
}

#[test]
fn an_agent_can_claim_no_capture_and_a_failed_one_is_told() {
    let mut made = Made::whole().without(|_, data| data["stage"] == "before");
    let claim = Made::whole().events[3].2.clone();
    made.events.push((Actor::Agent, "capture.taken", claim));
    let failed = json!({ "stage": "before", "code": "dns_failure" });
    made.events.push((Actor::Exhibit, "capture.failed", failed.clone()));
    made.events.push((Actor::Exhibit, "capture.failed", failed));
    assert_eq!(made.missing(), ["stage before"]);
    let judged = made.judged();
    let reason = judged.missing().next().expect("a reason");
    assert!(reason.contains("2 failed, the last with `dns_failure`"), "{reason}");
    assert!(reason.contains("\"stage\": \"before\""), "{reason}");
}

#[test]
fn code_given_later_counts_like_code_given_at_the_start() {
    let mut made = Made::whole();
    made.spec.code = None;
    let code = json!({ "sha256": Digest::of(b"code"), "review": "https://git.example/2" });
    made.events.push((Actor::Exhibit, CODE_EVENT, json!({ "code": code })));
    assert_eq!(made.missing(), Vec::<String>::new());
    let line = format!("events.jsonl:{}", made.events.len());
    assert_eq!(made.judged().requirements[1].evidence, [line]);
    // The agent's own word is no reference.
    made.events.last_mut().expect("one").0 = Actor::Agent;
    assert_eq!(made.missing(), ["layer code", "field code", "field review"]);
}

#[test]
fn a_long_run_names_no_more_than_so_many_places() {
    let mut made = Made::whole();
    for number in 0..300 {
        made.capture(
            &format!("{number:04}-before"),
            "before",
            "screenshot.png",
            json!(["injectJs"]),
        );
    }
    let judged = made.judged();
    let before = &judged.requirements[3];
    assert_eq!(before.evidence.len(), MAX_EVIDENCE);
    assert_eq!(before.evidence[0], "captures/0001-before/screenshot.png", "the plain view first");
    assert_eq!(before.altered.len(), MAX_EVIDENCE - 1);
}

/// The same run, taken up after a crash: from line `first` on the log held nothing.
fn recovered(mut made: Made, first: u64) -> Made {
    let last = made.events.len() as u64;
    let data = json!({ "unlogged": { "first": first, "last": last } });
    made.events.push((Actor::Exhibit, "run.recovered", data));
    made
}

#[test]
fn what_the_log_did_not_hold_changes_nothing_in_either_direction() {
    let reasons = |made: &Made| {
        let judged = made.judged().requirements;
        judged.into_iter().map(|one| (one.name, one.reason)).collect::<Vec<_>>()
    };
    let whole = Made::whole();
    let next = whole.events.len() as u64 + 1;
    assert_eq!(whole.judged().verdict, Verdict::Complete);
    // Three windows that nobody recorded are not recorded by the word of whoever has the files.
    let mut windows = Made::whole();
    for _ in 0..3 {
        windows.events.push((Actor::Exhibit, "window.opened", json!({})));
    }
    let honest = reasons(&windows);
    assert_eq!(windows.judged().verdict, Verdict::Incomplete);
    let from = windows.events.len() as u64 + 1;
    for _ in 0..3 {
        windows.events.push((Actor::Exhibit, "window.closed", json!({ "recorded": true })));
    }
    assert_eq!(reasons(&recovered(windows, from)), honest);
    // Nor is anything taken back: by windows, failures, or by a recovery that there was not.
    for (kind, data) in [
        ("window.opened", json!({})),
        ("windows.unwatched", json!({ "count": 7 })),
        ("capture.failed", json!({ "stage": "after", "code": "x" })),
        ("recording.failed", json!({})),
        ("run.recovered", json!({ "unlogged": { "first": 2, "last": next - 1 } })),
        ("run.recovered", json!({ "unlogged": { "first": 3, "last": 3 } })),
    ] {
        let mut forged = Made::whole();
        forged.events.push((Actor::Exhibit, kind, data));
        assert_eq!(reasons(&recovered(forged, next)), reasons(&whole), "{kind}");
    }
    // A recovery speaks of the lines right before its own, and of no others.
    let mut elsewhere = Made::whole();
    let data = json!({ "unlogged": { "first": 2, "last": 3 } });
    elsewhere.events.push((Actor::Exhibit, "run.recovered", data));
    assert_eq!(reasons(&elsewhere), reasons(&whole));
    // What was said before and after lines that do not count still counts.
    let mut twice = recovered(Made::whole(), 3);
    twice.events.push((Actor::Agent, "approval", json!({ "message": "granted again" })));
    let judged = twice.judged();
    let approval = judged.requirements.iter().find(|one| one.name == "approval").expect("asked");
    assert_eq!(approval.evidence, [format!("events.jsonl:{}", twice.events.len())]);
}
