//! Attacks on a log that a witness watches: put back to a state that the witness saw, with signatures
//! added and taken away, and by policies that ask for less than they seem to.

use std::fs;

use super::{Row, Scene, Victim, What, edit, make_dir, row, unnoticed};
use crate::attacks::write;
use crate::fixture::{Bench, ORIGIN, id, log_key};
use crate::layout::PROOF;
use crate::log::{files, lay_out, remove};
use crate::tlog::note::{Algorithm, Note, NoteSigner};

const FOLDER: What = What::Folder;
const STORE: What = What::Store;
const KEPT: What = What::Kept;
const SINCE: What = What::Since;
/// When the witness looked: after the first run was sealed, and after the second.
const LOOKS: [u64; 2] = [1_795_508_400, 1_795_514_400];
/// Between the two: an auditor asks for a look since then.
pub(super) const ASKED: &str = "2026-11-24T09:30:00Z";

fn witness(seed: u8) -> NoteSigner {
    NoteSigner::new("auditor.example/w", &[seed; 32]).expect("a name")
}

/// Two sealed runs, each of which a witness saw.
pub(super) fn scene() -> Scene {
    let bench = Bench::logged();
    let root = bench.store.root().to_owned();
    let own = witness(4);
    let key = own.verifier(Algorithm::Cosignature);
    let look = |index: usize| {
        bench.sealed(index);
        let log = bench.log();
        let (mut note, _) = log.checkpoint();
        note.add(&own.cosign(&note.text, LOOKS[index])).expect("a line");
        let taken = log.cosign(&note, std::slice::from_ref(&key)).expect("taken in");
        assert_eq!(taken.witnesses.len(), 1);
        (files(&root.join("log")), files(&root.join("checkpoints")))
    };
    let earlier = look(0);
    look(1);
    let trust = bench.scratch().join("trust");
    super::hand_over(&trust);
    let log = log_key().signer(ORIGIN).expect("a name").verifier(Algorithm::Ed25519);
    let policy = format!("log {log}\nwitness w {key}\nquorum w\n");
    write(&trust.join("trust-policy.txt"), policy.as_bytes());
    let newest = fs::read(root.join("log/checkpoint")).expect("there");
    write(&bench.scratch().join("kept.note"), &newest);
    Scene { bench, earlier, stampers: None }
}

pub(super) const ROWS: &[Row] = &[
    unnoticed("nothing", STORE, |_| {}, "it is intact, and the witness saw all of it"),
    unnoticed("nothing, the witness must have looked lately", SINCE, |_| {}, "it did"),
    row("nothing, to the folder alone", FOLDER, |_| {}),
    unnoticed(
        "an older state put back whole: log, history, and a run's folder gone",
        STORE,
        put_back,
        "the witness saw that state, too; a kept checkpoint tells, and `--witnessed-since`",
    ),
    row("the same, the witness must have looked lately", SINCE, put_back),
    row("the same, a checkpoint was kept", KEPT, put_back),
    row("the log put back, a later cosignature left in its history", SINCE, |copy| {
        lay_out(&copy.root.join("log"), &copy.scene.earlier.0);
        remove(&copy.run(1));
    }),
    unnoticed(
        "signatures added in the names of the log and of the witness, before and behind theirs",
        SINCE,
        |copy| {
            let log = log_key().signer(ORIGIN).expect("a name");
            let false_lines = log.sign("x\n") + &witness(4).cosign("x\n", u64::MAX);
            for name in ["log/checkpoint", "checkpoints/004.note", "checkpoints/witnessed.note"] {
                edit(&copy.root, name, "\n\n", &format!("\n\n{false_lines}"));
                append(copy, name, &false_lines);
            }
        },
        "the sound ones beside them count",
    ),
    unnoticed(
        "a signature of a key that nobody named added to checkpoints and to a proof",
        STORE,
        |copy| {
            let stranger =
                NoteSigner::new("stranger.example", &[1; 32]).expect("a name").sign("x\n");
            let proof = copy.run(0).join(PROOF);
            let proof = proof.strip_prefix(&copy.root).expect("inside").to_str().expect("text");
            for name in ["log/checkpoint", "checkpoints/002.note", proof] {
                append(copy, name, &stranger);
            }
        },
        "it counts for nothing, which a note says",
    ),
    row("a line added to a checkpoint that is no signature", STORE, |copy| {
        append(copy, "log/checkpoint", "\u{2014} x\n");
    }),
    row("a hundred signatures added to a checkpoint", STORE, |copy| {
        let stranger = NoteSigner::new("stranger.example", &[1; 32]).expect("a name").sign("x\n");
        append(copy, "log/checkpoint", &stranger.repeat(100));
    }),
    row(
        "an empty line and more put into a checkpoint, with the stolen key of the log",
        STORE,
        |copy| {
            let path = copy.root.join("log/checkpoint");
            let note = Note::parse(&fs::read_to_string(&path).expect("text")).expect("a note");
            let text = format!("{}\nmore\n", note.text);
            let line = log_key().signer(ORIGIN).expect("a name").sign(&text);
            write(&path, format!("{text}\n{line}").as_bytes());
        },
    ),
    row("the witness's signatures removed", STORE, |copy| {
        for name in ["log/checkpoint", "checkpoints/002.note", "checkpoints/004.note"] {
            strip(copy, name);
        }
        remove(&copy.root.join("checkpoints/witnessed.note"));
    }),
    row("another's signature in the witness's name in the place of its own", STORE, |copy| {
        for name in ["log/checkpoint", "checkpoints/004.note", "checkpoints/witnessed.note"] {
            strip(copy, name);
            let text = fs::read_to_string(copy.root.join(name)).expect("text");
            let note = Note::parse(&text).expect("a note");
            append(copy, name, &witness(5).cosign(&note.text, LOOKS[1]));
        }
    }),
    row("a policy that names a witness and no quorum", STORE, |copy| {
        edit(&copy.trust, "trust-policy.txt", "quorum w\n", "");
    }),
    row("a policy that names nobody", STORE, |copy| {
        write(&copy.trust.join("trust-policy.txt"), b"# nobody\n");
    }),
    unnoticed(
        "a policy that says that nobody is needed",
        STORE,
        |copy| edit(&copy.trust, "trust-policy.txt", "quorum w\n", "quorum none\n"),
        "whoever wrote that meant it",
    ),
];

/// Everything as it was when the witness looked first.
fn put_back(copy: &Victim) {
    let (log, history) = &copy.scene.earlier;
    lay_out(&copy.root.join("log"), log);
    lay_out(&copy.root.join("checkpoints"), history);
    remove(&copy.run(1));
}

fn append(copy: &Victim, name: &str, lines: &str) {
    let path = copy.root.join(name);
    let text = fs::read_to_string(&path).expect("text") + lines;
    make_dir(path.parent().expect("a folder"));
    write(&path, text.as_bytes());
}

/// Leave of the note `name` what the log signed.
fn strip(copy: &Victim, name: &str) {
    let path = copy.root.join(name);
    let text = fs::read_to_string(&path).expect("text");
    let lines = text.split_inclusive('\n').filter(|line| !line.contains(" auditor.example/w "));
    write(&path, lines.collect::<String>().as_bytes());
}

#[test]
fn what_witnesses_saw_is_told() {
    let scene = scene();
    let trust = super::Trust::in_folder(&scene.trust()).expect("whom to believe");
    let report = super::verify::log(scene.bench.store.root(), &trust, &[]).0;
    let [seen] = &report.seen[..] else { panic!("{report:?}") };
    assert_eq!((seen.name.as_str(), seen.size), ("w", Some(4)));
    assert_eq!(seen.time.as_deref(), Some("2026-11-24T10:00:00Z"));
    let copy = Victim::of(&scene);
    let (_, _, said) = copy.theirs(STORE);
    assert!(said.contains("the witness 'w' saw 4 of 4 entries at 2026-11-24T10:00:00Z"), "{said}");
    assert!(said.contains(&id(0).to_string()), "{said}");
}
