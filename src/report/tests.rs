//! Attacks the report with what a folder may hold: scripts in every text, links that lead out of
//! it, files that are missing, damaged or endless, and bytes at random.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Options, ReportError, SealedReports, content_security_policy, write};
use crate::compare::Bitmap;
use crate::digest::Digest;
use crate::evidence::Reporter as _;
use crate::{disk, pack};

pub(super) const EVIL: &str =
    "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'\u{202e}";

/// A folder of evidence that is made by hand.
pub(super) struct Folder(tempfile::TempDir);

impl Folder {
    /// A folder with these events: actor, kind, data.
    pub(super) fn new(events: &[(&str, &str, Value)]) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        let (mut text, mut previous) = (String::new(), Digest::ZERO);
        for (index, (actor, kind, data)) in events.iter().enumerate() {
            let line = json!({
                "sequence": index + 1, "time": "2026-11-24T08:15:46.120Z", "monotonic_ms": 1,
                "actor": actor, "kind": kind, "data": data, "previous": previous,
            })
            .to_string();
            previous = Digest::of(line.as_bytes());
            writeln!(text, "{line}").expect("memory");
        }
        folder.put("data/events.jsonl", text.as_bytes());
        folder
    }

    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        disk::make_dirs(path.parent().expect("a folder")).expect("made");
        disk::write_once(&path, bytes).expect("written");
    }

    /// A manifest of the files `names`.
    pub(super) fn list(&self, names: &[&str]) {
        let mut names = names.to_vec();
        names.sort_unstable();
        let digest = |name: &str| {
            let bytes = disk::read_limited(&self.path().join(name), 1 << 30).expect("readable");
            Digest::of(&bytes)
        };
        let lines: String = names
            .iter()
            .map(|name| format!("{}  {name}", digest(name)))
            .collect::<Vec<_>>()
            .join("\n");
        self.put("manifest-sha256.txt", format!("{lines}\n").as_bytes());
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn report(&self) -> String {
        let mut out = Vec::new();
        write(self.path(), &Options::default(), &mut out).expect("memory").expect("a report");
        String::from_utf8(out).expect("text")
    }
}

pub(super) fn artifact(path: &str, bytes: &[u8]) -> Value {
    json!({
        "path": path, "media_type": EVIL, "size_bytes": bytes.len(), "sha256": Digest::of(bytes),
    })
}

pub(super) fn taken(
    name: &str,
    stage: &str,
    artifacts: &[Value],
) -> (&'static str, &'static str, Value) {
    let data = json!({
        "capture": name, "stage": stage, "title": EVIL, "status": EVIL, "altered_by": [EVIL],
        "final_url": format!("javascript:alert(1)//{EVIL}"), "artifacts": artifacts,
    });
    ("exhibit", "capture.taken", data)
}

pub(super) fn picture(width: u32, height: u32) -> Vec<u8> {
    let noise = (0..width * height * 4).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]);
    Bitmap::new(width, height, noise.collect()).expect("a picture").to_png().expect("a PNG")
}

/// How much of pictures a report carries.
fn room() -> usize {
    usize::try_from(super::embed::PICTURES).expect("a small number")
}

/// Everything that could run or lead anywhere is our own.
pub(super) fn assert_harmless(html: &str) {
    for evil in ["<script>alert", "<img src=x", "onerror=alert(2)>", "\u{202e}"] {
        assert!(!html.contains(evil), "{evil}");
    }
    for link in html.split("href=\"").skip(1) {
        assert!(link.starts_with('#') || link.starts_with("data/"), "{}", &link[..40]);
    }
    for source in html.split(" src=\"").skip(1) {
        assert!(source.starts_with("data:") || source.starts_with("data/"), "{}", &source[..40]);
    }
    let bare = html.split("<script>").count() - 1;
    let data = html.split("<script type=\"text/plain\"").count() - 1;
    assert_eq!((bare, html.split("<script").count() - 1), (1, bare + data));
    let head = html.split("<style>").next().expect("a head");
    // Nothing before the policy could be more than ours.
    assert!(head.replace("&#39;", "'").contains(content_security_policy()), "{head}");
}

#[test]
fn nothing_that_pages_and_agents_say_becomes_markup() {
    let png = picture(40, 30);
    let console = json!({"level": EVIL, "text": EVIL}).to_string();
    let console = pack::compress(format!("{console}\n{EVIL}").as_bytes()).expect("packed");
    let shot = "data/captures/0001-before/screenshot.png";
    let log = "data/captures/0001-before/console.jsonl.zst";
    let spec = json!({
        "run": EVIL, "workflow": EVIL, "agent": EVIL, "principal": EVIL, "subject": EVIL,
        "controls": [EVIL], "labels": {EVIL: EVIL}, "caller": {"via": EVIL}, "host": EVIL,
        "code": {"repository": format!("javascript:{EVIL}"), EVIL: EVIL, "snippet": format!("a\n{EVIL}")},
    });
    let named = artifact(&format!("data/attachments/{EVIL}"), b"");
    let folder = Folder::new(&[
        ("exhibit", "run.opened", spec.clone()),
        ("agent", EVIL, json!({"message": EVIL, "level": EVIL, EVIL: {"deep": [EVIL]}})),
        taken("0001-before", "before", &[artifact(shot, &png), artifact(log, &console)]),
        taken(EVIL, EVIL, &[]),
        ("exhibit", "attachment.added", json!({"artifact": named})),
        ("exhibit", "capture.failed", json!({"capture": EVIL, "message": EVIL})),
        (
            "exhibit",
            "recording.taken",
            json!({"recording": EVIL, "artifacts": [artifact("data/recordings/0001.mp4", b"x"), artifact("data/recordings/0001.vtt", b"y")]}),
        ),
        (
            "exhibit",
            "captures.compared",
            json!({"before": {"capture": EVIL}, "after": EVIL, "changed_pct": EVIL}),
        ),
    ]);
    let mut record = spec;
    record["completeness"] = json!({"verdict": EVIL, "workflow": EVIL, "controls": [EVIL],
        "requirements": [{"kind": EVIL, "name": EVIL, "met": false, "reason": EVIL, "evidence": [EVIL, shot]}]});
    folder.put("data/run.json", record.to_string().as_bytes());
    folder.put(shot, &png);
    folder.put(log, &console);
    folder.put("data/recordings/0001.mp4", b"x");
    let vtt = format!("WEBVTT\n\n00:00:01.000 --> 00:00:02.000\n{EVIL}\n");
    folder.put("data/recordings/0001.vtt", vtt.as_bytes());
    let html = folder.report();
    assert_harmless(&html);
    assert!(html.contains("\\u{202e}") && html.contains("&#60;script&#62;alert(1)"));
    assert!(html.contains("href=\"#capture-3\">data/captures/0001-before/screenshot.png"));
    assert!(html.contains("✗ missing"));
}

#[test]
fn a_link_leads_nowhere_and_a_pipe_ends() {
    let secret = tempfile::NamedTempFile::new().expect("a file");
    disk::replace(secret.path(), b"the secret", 0o600).expect("written");
    let shot = "data/captures/0001-x/screenshot.png";
    let film = "data/recordings/0001.mp4";
    let artifacts = [artifact(shot, b"x"), artifact("data/../../etc/passwd.png", b"")];
    let folder = Folder::new(&[
        taken("0001-x", "before", &artifacts),
        (
            "exhibit",
            "recording.taken",
            json!({"recording": "0001", "artifacts": [artifact(film, b"")]}),
        ),
    ]);
    folder.put("data/captures/0001-x/other", b"");
    symlink(secret.path(), folder.path().join(shot)).expect("a link");
    disk::make_dirs(&folder.path().join("data/recordings")).expect("made");
    let pipe = folder.path().join(film);
    rustix::fs::mknodat(
        rustix::fs::CWD,
        pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a pipe");
    let html = folder.report();
    assert!(!html.contains("dGhlIHNlY3JldA"), "the secret was carried");
    for name in [shot, film] {
        assert!(html.contains(&format!("{name} is missing, or is no plain file.")), "{name}");
    }
    assert!(html.contains(">Damaged</p>"));
}

#[test]
fn what_is_damaged_is_told_and_the_rest_is_shown() {
    let shot = "data/captures/0001-before/screenshot.png";
    let folder = Folder::new(&[
        ("exhibit", "run.opened", json!({"workflow": "refund"})),
        taken("0001-before", "before", &[artifact(shot, b"sealed")]),
    ]);
    folder.put(shot, b"sealed");
    folder.put("data/run.json", b"{\"workflow\": ");
    folder.list(&["data/events.jsonl", "data/run.json", shot]);
    let sound = folder.report();
    assert!(sound.contains("data/run.json is not JSON") && sound.contains("Capture 0001-before"));
    disk::replace(&folder.path().join(shot), b"another", 0o600).expect("replaced");
    let mut text =
        disk::read_limited(&folder.path().join("data/events.jsonl"), 1 << 20).expect("read");
    text.extend_from_slice(b"{\"sequence\": 9}\n\xff\xfe\ncut");
    disk::replace(&folder.path().join("data/events.jsonl"), &text, 0o600).expect("replaced");
    let html = folder.report();
    for told in [
        format!("{shot} is not the file that was sealed."),
        "data/events.jsonl is not the file that was sealed.".to_owned(),
        "Event 3 cannot be read".to_owned(),
        "Event 4 cannot be read".to_owned(),
        "The last line of data/events.jsonl is cut short.".to_owned(),
    ] {
        assert!(html.contains(&told), "{told}");
    }
    assert!(html.contains("Capture 0001-before"));
}

#[test]
fn an_event_out_of_its_chain_is_told() {
    let folder = Folder::new(&[("exhibit", "run.opened", json!({})), ("agent", "log", json!({}))]);
    let path = folder.path().join("data/events.jsonl");
    let text = String::from_utf8(disk::read_limited(&path, 1 << 20).expect("read")).expect("text");
    disk::replace(&path, text.replace("run.opened", "run.OPENED").as_bytes(), 0o600).expect("put");
    assert!(folder.report().contains("Event 2 is not bound to the one before."));
}

#[test]
fn what_has_no_room_is_small_and_bounded() {
    let png = picture(1200, 900);
    let count = room() / png.len() + 3;
    let name = |number: usize| format!("data/captures/{number:04}-during/screenshot.png");
    let events: Vec<_> = (1..=count)
        .map(|number| {
            taken(&format!("{number:04}-during"), "during", &[artifact(&name(number), &png)])
        })
        .collect();
    let folder = Folder::new(&events);
    (1..=count).for_each(|number| folder.put(&name(number), &png));
    let html = folder.report();
    let most = room() / 3 * 4 + (4 << 20);
    assert!(html.len() < most, "{} bytes", html.len());
    let last = format!("<a href=\"{0}\">{0}</a> beside it", name(count));
    assert!(html.contains(&last) && html.contains("small: "), "the last is a small picture");
    assert!(html.contains("had no room"));
}

#[test]
fn a_recording_without_room_is_played_from_beside_the_report() {
    let film = "data/recordings/0001.mp4";
    let told = json!({"recording": "0001", "artifacts": [artifact(film, b"")]});
    let folder = Folder::new(&[("exhibit", "recording.taken", told)]);
    let room = usize::try_from(super::embed::RECORDINGS).expect("a small number");
    folder.put(film, &vec![0; room + 1]);
    let options = Options { base: "../run%20x/".to_owned(), ..Options::default() };
    let mut out = Vec::new();
    write(folder.path(), &options, &mut out).expect("memory").expect("a report");
    let html = String::from_utf8(out).expect("text");
    assert!(html.contains(&format!(" src=\"../run%20x/{film}\"")) && html.len() < 1 << 20);
    assert!(html.contains("had no room"));
}

#[test]
fn very_many_events_are_cut_and_the_end_is_told() {
    let mut events = vec![("agent", "log", json!({"message": "x".repeat(300)})); 10_100];
    events.push(("exhibit", "run.sealed", json!({"outcome": "succeeded"})));
    let folder = Folder::new(&events);
    let html = folder.report();
    assert!(html.contains("100 further events") && html.contains("The run was sealed: succeeded"));
    assert!(html.len() < 20 << 20, "{} bytes", html.len());
    assert_eq!(html.split("<details class=\"group\" open>").count(), 2);
}

#[test]
fn the_pair_is_before_and_after_and_a_framed_picture_is_preferred() {
    let (first, second, framed) = (picture(30, 20), picture(31, 20), picture(30, 40));
    let path = |capture: &str, name: &str| format!("data/captures/{capture}/{name}");
    let folder = Folder::new(&[
        taken("0001-before", "before", &[artifact(&path("0001-before", "screenshot.png"), &first)]),
        taken(
            "0002-after",
            "after",
            &[
                artifact(&path("0002-after", "screenshot.png"), &second),
                artifact(&path("0002-after", "framed.png"), &framed),
            ],
        ),
    ]);
    folder.put(&path("0001-before", "screenshot.png"), &first);
    folder.put(&path("0002-after", "screenshot.png"), &second);
    folder.put(&path("0002-after", "framed.png"), &framed);
    let html = folder.report();
    // The pair twice, and the framed one: each whole, once.
    assert_eq!(html.matches("data-file=\"data/captures/").count(), 3, "{html}");
    assert_eq!(html.matches("data-file=\"data/captures/0002-after/framed.png\"").count(), 1);
    assert!(html.contains("The whole picture stands under"));
}

#[test]
fn completeness_comes_first_in_words() {
    let folder = Folder::new(&[("exhibit", "run.sealed", json!({}))]);
    let requirement = |met: bool| json!({"kind": "stage", "name": "after", "met": met, "reason": "no capture has the stage after"});
    let record = |met: bool| {
        json!({"workflow": "refund", "state": "sealed", "completeness": {
            "verdict": if met { "complete" } else { "incomplete" }, "workflow": "refund",
            "controls": ["PI1.4"], "requirements": [requirement(met), requirement(true)],
        }})
    };
    folder.put("data/run.json", record(false).to_string().as_bytes());
    folder.list(&["data/events.jsonl", "data/run.json"]);
    let html = folder.report();
    assert!(
        html.contains(">Incomplete</p>")
            && html.contains("1 of 2 things that the workflow refund asks for is missing")
    );
    let folder = Folder::new(&[("exhibit", "run.sealed", json!({}))]);
    folder.put("data/run.json", record(true).to_string().as_bytes());
    folder.list(&["data/events.jsonl", "data/run.json"]);
    assert!(folder.report().contains(">Complete</p>"));
    let folder = Folder::new(&[("exhibit", "run.opened", json!({}))]);
    assert!(folder.report().contains(">Open</p>"));
}

#[test]
fn what_is_no_evidence_has_no_report() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in [folder.path().to_owned(), folder.path().join("nothing")] {
        let refused = write(&path, &Options::default(), &mut Vec::new()).expect("memory");
        assert!(matches!(refused, Err(ReportError::NotEvidence(_))), "{refused:?}");
    }
    let mut excuse = Vec::new();
    SealedReports.write(folder.path(), &mut excuse).expect("memory");
    let excuse = String::from_utf8(excuse).expect("text");
    assert!(excuse.contains("is not a folder of evidence") && excuse.contains("VERIFY.txt"));
}

/// A value of any shape, of the names that matter.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        Just(json!("data/captures/0001-a/screenshot.png")),
        Just(json!("before")),
        Just(json!(Digest::ZERO)),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        const NAMES: [&str; 16] = [
            "path",
            "media_type",
            "size_bytes",
            "sha256",
            "artifacts",
            "capture",
            "stage",
            "summary",
            "completeness",
            "requirements",
            "code",
            "caller",
            "before",
            "after",
            "steps",
            "step",
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((prop::sample::select(&NAMES[..]), inner), 0..6).prop_map(
                |pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Value>()
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_record_and_no_event_of_any_shape_confuses_it(
        record in any_value(), data in any_value(), kind in prop::sample::select(&[
            "run.opened", "capture.taken", "recording.taken", "captures.compared",
            "attachment.added", "step.done", "run.sealed", "sequence.requested",
        ][..]),
    ) {
        let data = if data.is_object() { data } else { json!({ "artifacts": [data] }) };
        let folder = Folder::new(&[("exhibit", kind, data)]);
        folder.put("data/run.json", record.to_string().as_bytes());
        folder.put("data/captures/0001-a/screenshot.png", b"no picture");
        let mut out = Vec::new();
        let done = write(folder.path(), &Options::default(), &mut out).expect("memory");
        prop_assert!(done.is_ok(), "{done:?}");
    }

    #[test]
    fn no_bytes_confuse_it(
        events in prop::collection::vec(any::<u8>(), 0..300),
        record in prop::collection::vec(any::<u8>(), 0..100),
        manifest in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        folder.put("data/events.jsonl", &events);
        folder.put("data/run.json", &record);
        folder.put("manifest-sha256.txt", &manifest);
        let mut out = Vec::new();
        let done = write(folder.path(), &Options::default(), &mut out).expect("memory");
        prop_assert!(done.is_ok(), "{done:?}");
    }
}

#[test]
fn what_was_altered_since_shows_nothing_whatever_the_record_and_the_manifest_say() {
    let (recorded, now) = (picture(40, 30), picture(30, 40));
    let shot = "data/captures/0001-before/screenshot.png";
    let requirement = json!({
        "kind": "stage", "name": "before", "met": true,
        "evidence": ["captures/0001-before/screenshot.png"],
    });
    let said = json!({
        "kind": "layer", "name": "log", "met": true, "evidence": ["events.jsonl:1"],
    });
    let record = json!({
        "run": "r", "workflow": "refund", "state": "sealed",
        "completeness": { "verdict": "complete", "workflow": "refund",
                          "requirements": [requirement, said] },
    });
    let report = |bytes: &[u8]| {
        let folder = Folder::new(&[
            ("exhibit", "run.opened", json!({ "run": "r", "workflow": "refund" })),
            taken("0001-before", "before", &[artifact(shot, &recorded)]),
        ]);
        folder.put(shot, bytes);
        folder.put("data/run.json", record.to_string().as_bytes());
        // Whoever changes a picture can make the manifest fit; the event still tells of the other.
        folder.list(&["data/events.jsonl", "data/run.json", shot]);
        folder.report()
    };
    let marks = |html: &str| {
        ["✓ present", "✗ altered", "this is not the file that was recorded"]
            .map(|mark| html.matches(mark).count())
    };
    let whole = report(&recorded);
    assert_eq!(marks(&whole), [2, 0, 0]);
    assert!(whole.contains(">Complete<"));
    let altered = report(&now);
    let [present, lost, marked] = marks(&altered);
    assert_eq!((present, lost), (1, 1), "what the events themselves show is there");
    assert!(marked >= 2, "where it is evidence, and where it is shown");
    assert!(altered.contains(">Damaged<") && !altered.contains(">Complete<"));
}
