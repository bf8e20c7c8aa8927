//! Attacks on what lies in `open/`: sealed runs moved there, open ones cut short, changed and slipped in,
//! and on what the log says of both.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::store::{LATER, add, archive, chain, purge, remove_file};
use super::{Row, Victim, What, edit, flip, make_dir, row, unnoticed};
use crate::attacks::{rename, write};
use crate::digest::Digest;
use crate::fixture::{Bench, ORIGIN, id, log_key, opening};
use crate::hostile::copy_tree;
use crate::layout::{EVENTS, SEAL};
use crate::log::{Log, extend, remove};

const STORE: What = What::Store;
/// A run of which the log does not tell.
const SLIPPED: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b58";

pub(super) const ROWS: &[Row] = &[
    unnoticed(
        "an open run slipped in that holds nothing but its opening",
        STORE,
        |copy| {
            let run = SLIPPED.parse().expect("an id");
            let other = Bench::new();
            let provenance = json!({ "browser": "none" });
            drop(other.store.begin(&opening(run), &provenance, other.now()).expect("begun"));
            let place = format!("open/{run}");
            copy_tree(&other.store.root().join(&place), &copy.root.join(place));
        },
        "a crash while a run is opened leaves the same; the next start removes it unsigned",
    ),
    row("an open run slipped in that holds a capture", STORE, |copy| {
        slip_in(copy, |other| drop(other.filled(0)));
    }),
    unnoticed(
        "a sealed run moved to `open/`",
        STORE,
        reopen,
        "it is the seal that the log holds, and the next start moves it back",
    ),
    row("a sealed run moved to `open/`, its picture exchanged", STORE, |copy| {
        reopen(copy);
        let folder = copy.root.join(format!("open/{}", id(1)));
        write(&folder.join("data/captures/0001-before/screenshot.png"), b"another");
    }),
    row("only the first event of a sealed run left, in `open/`", STORE, |copy| {
        let events = fs::read_to_string(copy.run(1).join(EVENTS)).expect("there");
        remove(&copy.run(1));
        let folder = copy.root.join(format!("open/{}", id(1)));
        make_dir(&folder.join("data"));
        let (first, _) = events.split_once('\n').expect("a line");
        write(&folder.join(EVENTS), format!("{first}\n").as_bytes());
    }),
    row("a copy of a sealed run in `open/`, beside it", STORE, |copy| {
        copy_tree(&copy.run(1), &copy.root.join(format!("open/{}", id(1))));
    }),
    row("an empty folder in `open/` for a sealed run that is removed", STORE, |copy| {
        remove(&copy.run(1));
        make_dir(&copy.root.join(format!("open/{}", id(1))));
    }),
    row("a purged run in `open/`", STORE, |copy| {
        purge(copy, 1, LATER, None);
        reopen(copy);
    }),
    unnoticed(
        "an archived run in `open/`, its archive removed",
        STORE,
        |copy| {
            copy_tree(&copy.run(1), &copy.root.join(format!("open/{}", id(1))));
            remove_file(&archive(copy, 1, |_| {}));
        },
        "it is the folder that was sealed, and the next start moves it to its place",
    ),
    row("an open run cut short of what the log says it had come to", STORE, |copy| {
        let folder = copy.root.join(format!("open/{}", Bench::third()));
        fixed_head(copy, &folder, |lines| lines.truncate(1));
    }),
    row("an open run's event changed that the log remembers, the chain made anew", STORE, |copy| {
        let folder = copy.root.join(format!("open/{}", Bench::third()));
        fixed_head(copy, &folder, |lines| {
            let last = lines.last_mut().expect("a line");
            *last = last.replace("paid", "took");
            chain(lines);
        });
    }),
    row("a sealed run whose chain lacks a head that the log remembers", STORE, |copy| {
        let head = json!({ "run": id(1), "events": 2, "sha256": Digest::ZERO });
        add(copy, vec![json!({ "kind": "progress", "time": LATER, "runs": [head] })]);
    }),
    row("two different seals of one run in the log, with its stolen key", STORE, |copy| {
        let seal = fs::read(copy.run(1).join(SEAL)).expect("there");
        let mut other: Value = serde_json::from_slice(&seal).expect("JSON");
        other["outcome"] = json!("declined");
        let log = Log::open(&copy.root, &log_key(), ORIGIN).expect("a log");
        let other = serde_json_canonicalizer::to_vec(&other).expect("JSON");
        extend(&log, &[other, seal]);
    }),
    row("a hold on another seal than the log holds, with its stolen key", STORE, |copy| {
        let hold = json!({
            "kind": "hold", "time": LATER, "run": id(1), "reason": "r",
            "seal_sha256": Digest::ZERO,
        });
        add(copy, vec![hold]);
    }),
    row("a bit of an open run's picture changed", STORE, |copy| {
        let folder = copy.root.join(format!("open/{}", Bench::third()));
        fixed_head(copy, &folder, |_| {});
        flip(&folder, "data/captures/0001-before/screenshot.png");
    }),
    row("a link in the place of an open run", STORE, |copy| {
        let folder = copy.root.join(format!("open/{}", Bench::third()));
        rename(&folder, &copy.root.join("elsewhere"));
        std::os::unix::fs::symlink("../elsewhere", &folder).expect("linked");
    }),
    row("an open run's first event edited", STORE, |copy| {
        let folder = copy.root.join(format!("open/{}", Bench::third()));
        edit(&folder, EVENTS, "desk-agent", "deck-agent");
    }),
];

/// Move the second run to `open/`.
fn reopen(copy: &Victim) {
    rename(&copy.run(1), &copy.root.join(format!("open/{}", id(1))));
}

/// Put a run among the open ones that `prepare` began in another store.
fn slip_in(copy: &Victim, prepare: impl FnOnce(&Bench)) {
    let other = Bench::new();
    prepare(&other);
    let place = copy.root.join(format!("open/{SLIPPED}"));
    copy_tree(&other.store.root().join(format!("open/{}", id(0))), &place);
}

/// Have the run in `folder`, which is open, hold a capture of which the log has the head; then change
/// the lines of its chain.
fn fixed_head(copy: &Victim, folder: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let name = "data/captures/0001-before/screenshot.png";
    make_dir(folder.join(name).parent().expect("a folder"));
    write(&folder.join(name), b"a picture");
    let path = folder.join(EVENTS);
    let text = fs::read_to_string(&path).expect("there");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let artifact = json!({
        "path": name, "media_type": "image/png", "size_bytes": 9,
        "sha256": Digest::of(b"a picture"),
    });
    let data = json!({ "stage": "before", "note": "paid", "artifacts": [artifact] });
    let number = lines.len() + 1;
    lines.push(format!(
        "{{\"sequence\":{number},\"time\":\"2026-11-24T08:15:47.000Z\",\"monotonic_ms\":9,\
         \"actor\":\"exhibit\",\"kind\":\"capture.taken\",\"data\":{data},\"previous\":\"\"}}"
    ));
    chain(&mut lines);
    let head = json!({
        "run": Bench::third(), "events": number,
        "sha256": Digest::of(lines.last().expect("a line").as_bytes()),
    });
    add(copy, vec![json!({ "kind": "progress", "time": LATER, "runs": [head] })]);
    change(&mut lines);
    write(&path, (lines.join("\n") + "\n").as_bytes());
}
