//! Attacks on timestamps, over the signature of a folder and over checkpoints: taken away, exchanged,
//! given by others, by clocks that were set, and folders that are dated back with stolen keys.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::authority::{Authority, P256};
use super::store::{build, entries, prove, without};
use super::{Row, Scene, Victim, What, edit, flip, hand_over, row, unnoticed};
use crate::attacks::{forge, write};
use crate::damage::unlock;
use crate::fixture::{Bench, id, log_key, signer};
use crate::hostile::copy_tree;
use crate::layout::{REQUEST, SEAL, SIGNATURE, TIMESTAMP};
use crate::log::remove;
use crate::run::Ending;
use crate::seal::{self, STEPS};
use crate::timestamp::Request;
use crate::trust::Trust;
use crate::verify;

const FOLDER: What = What::Folder;
const STORE: What = What::Store;
const PICTURE: &str = "data/captures/0001-before/screenshot.png";
/// When the runs of the scene are sealed; long ago, so that what expires has expired.
const THEN: &str = "2020-06-01T12:00:00Z";
/// An hour later the evidence key is given up.
const UNTIL: &str = "20200601130000Z";
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Those that give timestamps.
pub(super) struct Stampers {
    /// Believed; its certificate expired at the end of 2020.
    own: Arc<Authority>,
    /// Believed; its certificate is of 2026.
    young: Authority,
    /// Believed by nobody.
    other: Authority,
}

fn then() -> Timestamp {
    THEN.parse().expect("a time")
}

/// A bench of `then`, stamped by an authority whose clock is `ahead`.
pub(super) fn bench(authority: &Arc<Authority>, ahead: SignedDuration) -> Bench {
    let authority = Arc::clone(authority);
    Bench::stamped(then(), move |request, now| authority.answer_at(request.bytes(), now + ahead))
}

/// An authority whose certificate expired since.
pub(super) fn expired() -> Arc<Authority> {
    Arc::new(Authority::new(P256, ("20200101000000Z", "20210101000000Z")))
}

/// Two sealed runs, a timestamp over each and over the checkpoint after each.
pub(super) fn scene() -> Scene {
    let own = expired();
    let young = Authority::new(P256, ("20260101000000Z", "20980101000000Z"));
    let other = Authority::new(P256, ("20200101000000Z", "20980101000000Z"));
    let bench = bench(&own, SignedDuration::ZERO);
    let answers = [0, 1].map(|index| {
        bench.clock.advance(Duration::from_secs(1800 * index as u64));
        bench.sealed(index);
        let (_, request) = bench.log().timestamp_request().expect("a request");
        own.answer_at(request.bytes(), bench.now().wall)
    });
    // The courier comes later: what the log tells of them stands behind both runs.
    let log = bench.log();
    for answer in answers {
        log.take_stamp(&answer, None, bench.now()).expect("taken in");
    }
    let trust = bench.scratch().join("trust");
    hand_over(&trust);
    let line = signer().allowed_signers_line("exhibit@bench");
    let line = line.replace("namespaces", &format!("valid-before=\"{UNTIL}\",namespaces"));
    let roots = [own.root(), young.root()].map(|root| fs::read(root).expect("a certificate"));
    write(&trust.join("allowed_signers"), line.as_bytes());
    write(&trust.join("tsa-ca.pem"), &roots.concat());
    let stampers = Some(Stampers { own, young, other });
    Scene { bench, earlier: Default::default(), stampers }
}

pub(super) const ROWS: &[Row] = &[
    unnoticed(
        "nothing; the authority's certificate has expired since",
        FOLDER,
        |_| {},
        "it was valid when it signed",
    ),
    row("a byte of the timestamp changed", FOLDER, |copy| flip(&copy.run(0), TIMESTAMP)),
    row("a byte of its request changed", FOLDER, |copy| flip(&copy.run(0), REQUEST)),
    row("the timestamp removed", FOLDER, |copy| remove(&copy.run(0).join(TIMESTAMP))),
    row("the timestamp and its request removed, `seal.json` made anew", FOLDER, |copy| {
        strip(&copy.run(0));
    }),
    row("the timestamp of another folder", FOLDER, |copy| {
        for name in [TIMESTAMP, REQUEST] {
            let bytes = fs::read(copy.run(1).join(name)).expect("there");
            write(&copy.run(0).join(name), &bytes);
        }
    }),
    row("the digest of the timestamp edited in `seal.json`", FOLDER, |copy| {
        edit(&copy.run(0), SEAL, "\"timestamp_sha256\":\"", "\"timestamp_sha256\":\"0");
    }),
    row(
        "a screenshot changed, signature and `seal.json` made anew with the stolen evidence key",
        FOLDER,
        |copy| {
            flip(&copy.run(0), PICTURE);
            forge(&copy.run(0), Some(&signer()));
        },
    ),
    row("… with an honest timestamp of two hours later", FOLDER, |copy| {
        flip(&copy.run(0), PICTURE);
        forge(&copy.run(0), Some(&signer()));
        stamp(&copy.run(0), &stampers(copy.scene).own, then() + HOUR + HOUR);
    }),
    row(
        "another run made two hours later under this one's id and time, with the stolen keys of evidence and log",
        FOLDER,
        |copy| {
            replace(copy, HOUR + HOUR, |_| {});
        },
    ),
    row("… within the hour in which the key was still good", FOLDER, |copy| {
        replace(copy, HOUR / 2, |_| {});
    }),
    unnoticed(
        "… without a timestamp",
        FOLDER,
        |copy| replace(copy, HOUR, strip),
        "its own word is all there is; a kept checkpoint tells, and timestamps over the log",
    ),
    row("… with a timestamp of an authority that nobody believes", FOLDER, |copy| {
        replace(copy, HOUR, |folder| stamp(folder, &stampers(copy.scene).other, then()));
    }),
    row("… of one whose clock was set back before its certificate was made", FOLDER, |copy| {
        replace(copy, HOUR, |folder| stamp(folder, &stampers(copy.scene).young, then()));
    }),
    row(
        "a timestamp from before the time of sealing, by an authority whose clock was set back",
        FOLDER,
        |copy| {
            replace(copy, -HOUR, |_| {});
        },
    ),
    row(
        "another time in words that nobody signed put into the timestamp, `seal.json` made anew",
        FOLDER,
        |copy| {
            words(&copy.run(0), FORGED);
            forge(&copy.run(0), None);
        },
    ),
    row(
        "… of a run made two hours later, with the stolen keys of evidence and log",
        FOLDER,
        |copy| {
            replace(copy, HOUR + HOUR, |folder| words(folder, FORGED));
        },
    ),
    row(
        "other words that nobody signed, with the stolen keys of evidence and log",
        FOLDER,
        |copy| {
            replace(copy, SignedDuration::ZERO, |folder| words(folder, "it was noon"));
        },
    ),
    unnoticed(
        "the words `Operation Okay`, likewise",
        FOLDER,
        |copy| replace(copy, SignedDuration::ZERO, |folder| words(folder, "Operation Okay")),
        "authorities made with Bouncy Castle say so, and nothing is read from it",
    ),
    row("bytes behind the end of the timestamp, likewise", FOLDER, |copy| {
        replace(copy, SignedDuration::ZERO, |folder| {
            let bytes = fs::read(folder.join(TIMESTAMP)).expect("there");
            write(&folder.join(TIMESTAMP), &[&bytes[..], b"more"].concat());
            forge(folder, None);
        });
    }),
    unnoticed("nothing", STORE, |_| {}, "it is intact"),
    row("a byte of the timestamp over a checkpoint changed", STORE, |copy| {
        flip(&copy.root, "checkpoints/004.tsr");
    }),
    row("a byte of the request for it changed", STORE, |copy| {
        flip(&copy.root, "checkpoints/004.tsq");
    }),
    row("another time in words that nobody signed put into it", STORE, |copy| {
        let path = copy.root.join("checkpoints/004.tsr");
        write(&path, &with_words(&fs::read(&path).expect("there"), FORGED));
    }),
    row("bytes behind its end", STORE, |copy| {
        let path = copy.root.join("checkpoints/004.tsr");
        write(&path, &[fs::read(&path).expect("there"), b"more".to_vec()].concat());
    }),
    row("the timestamp over another checkpoint put in its place", STORE, |copy| {
        let bytes = fs::read(copy.root.join("checkpoints/002.tsr")).expect("there");
        write(&copy.root.join("checkpoints/004.tsr"), &bytes);
    }),
    row("the timestamp removed that the log tells of", STORE, |copy| {
        remove(&copy.root.join("checkpoints/004.tsr"));
    }),
    row("a copy of it under a name that no timestamp has", STORE, |copy| {
        let bytes = fs::read(copy.root.join("checkpoints/004.tsr")).expect("there");
        write(&copy.root.join("checkpoints/004.17.tsr"), &bytes);
    }),
    row("a timestamp of an authority that nobody believes put in its place", STORE, |copy| {
        over_checkpoint(copy, "004.tsr", &stampers(copy.scene).other, then());
    }),
    unnoticed(
        "timestamps of authorities that nobody believes put beside it, in every place there is",
        STORE,
        |copy| {
            over_checkpoint(copy, "004.2.tsr", &stampers(copy.scene).other, then());
            let bytes = fs::read(copy.root.join("checkpoints/004.2.tsr")).expect("there");
            for number in 3..=16 {
                write(&copy.root.join(format!("checkpoints/004.{number}.tsr")), &bytes);
            }
        },
        "they count for nothing, which a note says",
    ),
    unnoticed(
        "… of one whose clock was set back before its certificate was made",
        STORE,
        |copy| over_checkpoint(copy, "004.2.tsr", &stampers(copy.scene).young, then()),
        "it counts for nothing, which a note says",
    ),
    row("the log made anew without a run, the timestamps kept", STORE, |copy| {
        let names = ["002.tsq", "002.tsr", "004.tsq", "004.tsr"];
        let kept = names.map(|name| {
            let place = copy.root.join("checkpoints").join(name);
            (fs::read(&place).expect("there"), place)
        });
        without(copy, 1);
        for (bytes, place) in kept {
            write(&place, &bytes);
        }
    }),
    row(
        "two runs sealed half an hour apart, exchanged in the log with its stolen key",
        STORE,
        |copy| {
            let mut entries = untold(copy);
            // Opened and sealed, opened and sealed.
            entries.rotate_left(2);
            let log = build(copy, &log_key(), &entries);
            prove(copy, &log, &entries);
        },
    ),
    row("the timestamps over checkpoints removed", STORE, |copy| {
        for name in ["002.tsq", "002.tsr", "004.tsq", "004.tsr", "stamped.note"] {
            remove(&copy.root.join("checkpoints").join(name));
        }
    }),
    unnoticed(
        "the same, and from the log what it tells of them, with its stolen key",
        STORE,
        |copy| {
            let entries = untold(copy);
            let log = build(copy, &log_key(), &entries);
            prove(copy, &log, &entries);
        },
        "only a kept checkpoint or a witness can tell; those over runs are bound by their seals",
    ),
];

/// What `openssl ts -reply -text` prints as if it were the time.
const FORGED: &str = "x\nTime stamp: Jun  1 12:00:01 2020 GMT\nAccuracy: 0x01 seconds";

/// The timestamp `response` with `words` in its status, which nobody signs.
fn with_words(response: &[u8], words: &str) -> Vec<u8> {
    // The status granted (0), behind the tag and the length of the whole.
    let at = response.windows(5).position(|it| it == [0x30, 3, 2, 1, 0]).expect("granted");
    let (words, token) = (words.as_bytes(), &response[at + 5..]);
    let length = |bytes: usize| u8::try_from(bytes).expect("short");
    let text = [&[0x0c, length(words.len())], words].concat();
    let list = [&[0x30, length(text.len())], &text[..]].concat();
    let status = [&[0x30, length(list.len() + 3), 2, 1, 0], &list[..]].concat();
    let inside = [&status, token].concat();
    let length = u16::try_from(inside.len()).expect("it is small").to_be_bytes();
    [&[0x30, 0x82][..], &length, &inside].concat()
}

/// Put `words` into the timestamp over the signature in `folder`, and have `seal.json` name that.
fn words(folder: &Path, words: &str) {
    let path = folder.join(TIMESTAMP);
    write(&path, &with_words(&fs::read(&path).expect("there"), words));
    forge(folder, None);
}

/// The entries of the log without those that tell of timestamps.
fn untold(copy: &Victim) -> Vec<Vec<u8>> {
    let told = |entry: &[u8]| String::from_utf8_lossy(entry).contains("\"kind\":\"timestamp\"");
    entries(copy).into_iter().filter(|entry| !told(entry)).collect()
}

fn stampers(scene: &Scene) -> &Stampers {
    scene.stampers.as_ref().expect("a scene with timestamps")
}

/// Take the timestamp away, and have `seal.json` know of none.
fn strip(folder: &Path) {
    for name in [TIMESTAMP, REQUEST] {
        remove(&folder.join(name));
    }
    forge(folder, None);
}

/// Have the signature stamped by `authority`, whose clock says `time`, and `seal.json` name that.
fn stamp(folder: &Path, authority: &Authority, time: Timestamp) {
    let signature = fs::read(folder.join(SIGNATURE)).expect("there");
    let request = Request::over(&signature).expect("a request");
    write(&folder.join(REQUEST), request.bytes());
    write(&folder.join(TIMESTAMP), &authority.answer_at(request.bytes(), time));
    forge(folder, None);
}

/// Put another run in the place of the first one, made by the recorder itself with the real keys,
/// while the authority's clock was `ahead` of the recorder's; then do `more` to it, and make the log
/// anew.
fn replace(copy: &Victim, ahead: SignedDuration, more: impl FnOnce(&Path)) {
    let folder = copy.run(0);
    let old = fs::read(folder.join(SEAL)).expect("there");
    let other = bench(&stampers(copy.scene).own, ahead);
    let draft = other.filled(0);
    let receipt = draft.seal(&Ending::sealed("declined"), &signer(), other.now()).expect("sealed");
    let made = other.store.root().join(receipt.folder);
    unlock(&made);
    remove(&folder);
    copy_tree(&made, &folder);
    more(&folder);
    let new = fs::read(folder.join(SEAL)).expect("there");
    let entries: Vec<_> = entries(copy)
        .into_iter()
        .map(|entry| if entry == old { new.clone() } else { entry })
        .collect();
    let log = build(copy, &log_key(), &entries);
    prove(copy, &log, &entries);
}

/// Put the answer of `authority`, whose clock says `time`, over the newest checkpoint into the file
/// `name`.
fn over_checkpoint(copy: &Victim, name: &str, authority: &Authority, time: Timestamp) {
    let request = fs::read(copy.root.join("checkpoints/004.tsq")).expect("there");
    write(&copy.root.join("checkpoints").join(name), &authority.answer_at(&request, time));
}

/// What the auditor of `scene` finds in `folder`, and when it was stamped.
fn told(scene: &Scene, folder: &Path) -> (Vec<String>, Option<String>) {
    let trust = Trust::in_folder(&scene.trust()).expect("whom to believe");
    let report = verify::folder(folder, &trust);
    let codes = report.findings.iter().map(|finding| finding.code.to_string()).collect();
    (codes, report.stamped.map(|stamp| stamp.time))
}

/// The commands of `guide` that begin with `first`, run by bash in `folder` and followed by `last`; how
/// they end and what they print.
fn commands(guide: &str, first: &str, last: &str, folder: &Path, root: &Path) -> (bool, String) {
    let at = guide.find(first).expect("they are there");
    let end = guide[at..].find("\n\n").map_or(guide.len(), |end| at + end);
    let block = guide[at..end].split("\n```").next().expect("it begins");
    let mut bash = std::process::Command::new("bash");
    let done = bash.args(["-c", &format!("{block}\n{last}")]).current_dir(folder);
    let done = done.env("TSA_CA", root).output().expect("bash is there");
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

#[test]
fn the_manuals_commands_read_the_time_that_was_signed() {
    let scene = scene();
    let copy = Victim::of(&scene);
    let (folder, root) = (copy.run(0), stampers(&scene).own.root());
    let guide = include_str!("../VERIFY.txt");
    let first = "test ! -e tagmanifest-sha256.txt.sig.tsr || {";
    let time = || commands(guide, first, "echo \"at $TIME\"", &folder, &root);
    let there = format!("at {}\n", then().as_second());
    assert!(time().0 && time().1.ends_with(&there), "{:?}", time());
    let forged = FORGED.replace("12:00", "10:00");
    words(&folder, &forged);
    let text = ["ts", "-reply", "-in", TIMESTAMP, "-text"];
    let text = std::process::Command::new("openssl").args(text).current_dir(&folder).output();
    let text = String::from_utf8_lossy(&text.expect("openssl is there").stdout).into_owned();
    assert!(text.contains("\nTime stamp: Jun  1 10:00:01 2020 GMT"), "what is forged: {text}");
    assert!(time().0 && time().1.ends_with(&there), "{:?}", time());
    // Where no time is signed, none is believed.
    for damage in [flip as fn(&Path, &str), |folder: &Path, name: &str| {
        write(&folder.join(name), b"");
    }] {
        damage(&folder, TIMESTAMP);
        assert!(!commands(guide, first, "", &folder, &root).0);
    }
    let checkpoints = copy.root.join("checkpoints");
    for name in ["note", "tsr"] {
        let bytes = fs::read(checkpoints.join(format!("004.{name}"))).expect("there");
        super::make_dir(&checkpoints.join("x002"));
        write(&checkpoints.join(format!("x002/114.{name}")), &bytes);
    }
    write(&checkpoints.join("tsa-ca.pem"), &fs::read(root).expect("there"));
    let (manual, first) = (include_str!("../../../../docs/AUDITORS.md"), "head -n 3 x002/114.note");
    let read = || commands(manual, first, "echo \"at $TIME\"", &checkpoints, Path::new("/"));
    let seal = then().as_second() + 1800;
    assert!(read().0 && read().1.contains("Verification: OK"), "{:?}", read());
    assert!(read().1.ends_with(&format!("at {seal}\n")), "{:?}", read());
    let path = checkpoints.join("x002/114.tsr");
    write(&path, &with_words(&fs::read(&path).expect("there"), FORGED));
    assert!(read().1.ends_with(&format!("at {seal}\n")), "{:?}", read());
}

#[test]
fn a_crash_after_any_step_of_sealing_leaves_the_timestamp_of_the_seal_that_counts_or_none() {
    let scene = scene();
    let own = &stampers(&scene).own;
    // Before the timestamp is asked for, behind it, and before the folder is moved.
    for steps in [8, 9, 10, STEPS.len() - 1] {
        // The same daemon tries again, hours later.
        let bench = bench(own, SignedDuration::ZERO);
        let ending = Ending::sealed("succeeded");
        let mut draft = bench.filled(0);
        seal::run(&mut draft, &ending, &signer(), bench.now(), steps).expect("as far as it goes");
        assert_eq!(draft.folder().join(TIMESTAMP).exists(), steps > 8, "after step {steps}");
        bench.clock.advance(Duration::from_secs(7200));
        let receipt = draft.seal(&ending, &signer(), bench.now()).expect("sealed");
        let (codes, time) = told(&scene, &bench.store.root().join(&receipt.folder));
        if steps == STEPS.len() - 1 {
            // The log holds the first attempt's seal, with its timestamp, and the run is that.
            assert_eq!((codes, time), (Vec::new(), Some("2020-06-01T12:00:00Z".to_owned())));
            continue;
        }
        let late = "2020-06-01T14:00:00Z".to_owned();
        assert_eq!((codes, time), (vec!["key_not_valid_then".to_owned()], Some(late)));
        assert_eq!(receipt.timestamp.as_deref(), Some("2020-06-01T14:00:00.000Z"));

        // Another life of it, in which nobody is asked.
        let bench = self::bench(own, SignedDuration::ZERO);
        let mut draft = bench.filled(1);
        seal::run(&mut draft, &ending, &signer(), bench.now(), steps).expect("as far as it goes");
        drop(draft);
        let bench = bench.reopen();
        let (draft, salvage) = bench.resume(id(1)).expect("resumed");
        assert_eq!(salvage.removed.contains(&TIMESTAMP.to_owned()), steps > 8, "{salvage:?}");
        let receipt = draft.seal(&ending, &signer(), bench.now()).expect("sealed");
        let (codes, time) = told(&scene, &bench.store.root().join(receipt.folder));
        // The folder of a store without a log has no proof.
        assert_eq!((codes, time), (vec!["proof_missing".to_owned()], None), "after step {steps}");
    }
}
