//! Attacks by names: links and files in the places of a store's folders, names and numbers beyond the
//! format, empty folders, and lines of another form behind those that the log holds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Row, Victim, What, make_dir, row, unnoticed};
use crate::attacks::{rename, write};
use crate::digest::Digest;
use crate::fixture::Bench;
use crate::layout::EVENTS;

const STORE: What = What::Store;
/// Runs of which the log does not tell; the second is called in a form that no run is called in.
const SLIPPED: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b58";
const OTHER_VARIANT: &str = "019ab2f0-6c1e-7d3a-1a41-0d9c6e2f8b58";
const CUSTODY: &str = "custody/2026-11.jsonl";

pub(super) const ROWS: &[Row] = &[
    row("a link in the place of `log/`", STORE, |copy| linked(copy, "log")),
    row("a link in the place of `checkpoints/`", STORE, |copy| linked(copy, "checkpoints")),
    row("a link in the place of `runs/`", STORE, |copy| linked(copy, "runs")),
    row("a link in the place of `open/`", STORE, |copy| linked(copy, "open")),
    row("a link in the place of `custody/`", STORE, |copy| linked(copy, "custody")),
    row("a link in the place of `imported/`, empty", STORE, |copy| linked(copy, "imported")),
    row("a link in the place of `quarantine/`", STORE, |copy| linked(copy, "quarantine")),
    row("a link in the place of `purging/`", STORE, |copy| linked(copy, "purging")),
    row("a link in the place of `archiving/`", STORE, |copy| linked(copy, "archiving")),
    row("a file in the place of `log/`", STORE, |copy| filed(copy, "log")),
    row("a file in the place of `checkpoints/`", STORE, |copy| filed(copy, "checkpoints")),
    row("a file in the place of `runs/`", STORE, |copy| filed(copy, "runs")),
    row("a file in the place of `open/`", STORE, |copy| filed(copy, "open")),
    row("a file in the place of `custody/`", STORE, |copy| filed(copy, "custody")),
    row("a file in the place of `imported/`", STORE, |copy| filed(copy, "imported")),
    row("a file in the place of `quarantine/`", STORE, |copy| filed(copy, "quarantine")),
    row("a file in the place of `purging/`", STORE, |copy| filed(copy, "purging")),
    row("a file in the place of `archiving/`", STORE, |copy| filed(copy, "archiving")),
    row("a tile of a kind that there is not", STORE, |copy| put(copy, "log/tile/foo/000")),
    row("a tile of a level above all", STORE, |copy| put(copy, "log/tile/8/000")),
    row("a tile of a level of two digits", STORE, |copy| put(copy, "log/tile/00/000")),
    row("a partial tile wider than a full one", STORE, |copy| put(copy, "log/tile/0/001.p/300")),
    row("a partial tile as wide as a full one", STORE, |copy| put(copy, "log/tile/0/001.p/256")),
    row("a tile whose number has more than 64 bits", STORE, |copy| {
        put(copy, "log/tile/0/x018/x446/x744/x073/x709/x551/616");
    }),
    unnoticed(
        "a tile beyond the log, with the largest number that there is",
        STORE,
        |copy| put(copy, "log/tile/0/x018/x446/x744/x073/x709/x551/615"),
        "no checkpoint states it, which a note says",
    ),
    row("a checkpoint whose number has more than 64 bits", STORE, |copy| {
        put(copy, "checkpoints/x018/x446/x744/x073/x709/x551/616.tsr");
    }),
    row("an empty folder of another name below `runs/`", STORE, |copy| {
        make_dir(&copy.root.join("runs/foo/bar"));
    }),
    row("an empty folder that is called after no month", STORE, |copy| {
        make_dir(&copy.root.join("runs/2026/011"));
    }),
    unnoticed(
        "the empty folder of a day",
        STORE,
        |copy| make_dir(&copy.root.join("runs/2026/11/29")),
        "purged runs leave the same",
    ),
    row("an empty folder of a run that the log does not tell of, in `open/`", STORE, |copy| {
        make_dir(&copy.root.join(format!("open/{SLIPPED}")));
    }),
    unnoticed(
        "the same with an empty `data/` in it",
        STORE,
        |copy| make_dir(&copy.root.join(format!("open/{SLIPPED}/data"))),
        "a crash while a run is opened leaves the same; the next start removes it",
    ),
    row("the same with a folder that is called like a file cut short", STORE, |copy| {
        put(copy, &format!("open/{SLIPPED}/data/sub.partial/a"));
    }),
    row("the same with one beside `data/`", STORE, |copy| {
        make_dir(&copy.root.join(format!("open/{SLIPPED}/data")));
        make_dir(&copy.root.join(format!("open/{SLIPPED}/sub.partial")));
    }),
    row("the same with a folder in the place of the provenance", STORE, |copy| {
        put(copy, &format!("open/{SLIPPED}/data/provenance.json/a"));
    }),
    row("the same under a name that no run has", STORE, |copy| {
        make_dir(&copy.root.join(format!("open/{OTHER_VARIANT}/data")));
    }),
    row("an event with a key too many behind those that the log holds", STORE, |copy| {
        said(copy, |line| line.replacen("{\"sequence\"", "{\"x\":1,\"sequence\"", 1));
    }),
    row("an event with a key twice, likewise", STORE, |copy| {
        said(copy, |line| line.replacen("\"kind\":\"log\"", "\"kind\":\"log\",\"kind\":\"x\"", 1));
    }),
    row("an event with half a character, likewise", STORE, |copy| {
        said(copy, |line| line.replacen("added", "\\ud800", 1));
    }),
    row("an event by somebody else, likewise", STORE, |copy| {
        said(copy, |line| line.replacen("\"agent\"", "\"root\"", 1));
    }),
    row("an event without a time, likewise", STORE, |copy| {
        said(copy, |line| line.replacen("\"time\"", "\"tyme\"", 1));
    }),
    row("an event of two hundred levels, likewise", STORE, |copy| {
        let deep = "[".repeat(200) + &"]".repeat(200);
        said(copy, |line| line.replacen("\"added\"", &deep, 1));
    }),
    row("a line of custody with other keys, behind those that the log holds", STORE, |copy| {
        did(copy, |line| line.replacen("\"detail\":{}", "\"evil\":1", 1));
    }),
    row("a line of custody with a key twice, likewise", STORE, |copy| {
        did(copy, |line| line.replacen("{\"sequence\"", "{\"sequence\":999,\"sequence\"", 1));
    }),
    row("a line of custody with its keys in another order, likewise", STORE, |copy| {
        did(copy, |line| {
            line.replacen("\"act\":\"view\",", "", 1).replacen('{', "{\"act\":\"view\",", 1)
        });
    }),
    row("a line of custody by somebody with a key too many, likewise", STORE, |copy| {
        did(copy, |line| line.replacen("\"pid\":42", "\"pid\":42,\"x\":1", 1));
    }),
    row("a line of custody at no time, likewise", STORE, |copy| {
        did(copy, |line| line.replacen("2026-11-24T09", "2026-11-24T29", 1));
    }),
    row("a line of custody with blanks in it, likewise", STORE, |copy| {
        did(copy, |line| line.replacen("\"act\":", "\"act\": ", 1));
    }),
    row("a line of custody about what is no run, likewise", STORE, |copy| {
        did(copy, |line| line.replacen("\"runs\":[]", "\"runs\":[\"x\"]", 1));
    }),
    row("a line of custody with a number that is none, likewise", STORE, |copy| {
        did(copy, |line| line.replacen("\"detail\":{}", "\"detail\":{\"n\":1e16}", 1));
    }),
    unnoticed(
        "a line of custody in its form, likewise",
        STORE,
        |copy| did(copy, |line| line),
        "the log takes the head in after a minute at the latest; what is added before is bound by no key",
    ),
    row("a line cut short in a file of custody before the others", STORE, |copy| {
        write(&copy.root.join("custody/0001-01.jsonl"), b"{\"sequence\":");
    }),
    unnoticed(
        "a line cut short at the end of custody",
        STORE,
        |copy| write(&copy.root.join("custody/9999-12.jsonl"), b"{\"sequence\":"),
        "it was promised to nobody, and the next start removes it",
    ),
    row("a line of custody longer than any can be", STORE, |copy| {
        let long = format!("\"detail\":{{\"x\":\"{}\"}}", "x".repeat(1 << 20));
        did(copy, |line| line.replacen("\"detail\":{}", &long, 1));
    }),
];

fn elsewhere(copy: &Victim, name: &str) -> PathBuf {
    let (path, aside) = (copy.root.join(name), copy.root.join("elsewhere"));
    if path.exists() {
        rename(&path, &aside);
    } else {
        make_dir(&aside);
    }
    path
}

/// Put a link to a folder with the same in it in the place of the folder `name`.
fn linked(copy: &Victim, name: &str) {
    symlink("elsewhere", elsewhere(copy, name)).expect("linked");
}

/// Put a file in the place of the folder `name`.
fn filed(copy: &Victim, name: &str) {
    write(&elsewhere(copy, name), b"x");
}

fn put(copy: &Victim, name: &str) {
    let path = copy.root.join(name);
    make_dir(path.parent().expect("a folder"));
    write(&path, b"x");
}

/// Add an event to the open run, bound to those before, after a `change` of its line.
fn said(copy: &Victim, change: impl FnOnce(String) -> String) {
    let path = copy.root.join(format!("open/{}", Bench::third())).join(EVENTS);
    let text = fs::read_to_string(&path).expect("there");
    let last = text.lines().last().expect("a line");
    let known: Value = serde_json::from_str(last).expect("JSON");
    let sequence = known["sequence"].as_u64().expect("a number") + 1;
    let line = json!({
        "sequence": sequence, "time": known["time"], "monotonic_ms": known["monotonic_ms"],
        "actor": "agent", "kind": "log", "data": { "message": "added" },
        "previous": Digest::of(last.as_bytes()),
    });
    write(&path, format!("{text}{}\n", change(line.to_string())).as_bytes());
}

/// Add a line to custody, bound to those before, after a `change` of it.
fn did(copy: &Victim, change: impl FnOnce(String) -> String) {
    let path = copy.root.join(CUSTODY);
    let text = fs::read_to_string(&path).expect("there");
    let last = text.lines().last().expect("a line");
    let known: Value = serde_json::from_str(last).expect("JSON");
    let sequence = known["sequence"].as_u64().expect("a number") + 1;
    let by = json!({ "via": "socket", "uid": 1000, "gid": 1000, "pid": 42 });
    let line = json!({
        "sequence": sequence, "time": "2026-11-24T09:00:00.000Z", "by": by, "act": "view",
        "runs": [], "detail": {}, "previous": Digest::of(last.as_bytes()),
    });
    write(&path, format!("{text}{}\n", change(line.to_string())).as_bytes());
}
