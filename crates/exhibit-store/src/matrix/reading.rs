//! How the same bytes are read: names that look like others, numbers that are nearly the same, and the
//! lines in which an auditor says whom to believe.

use std::fs;
use std::path::Path;

use super::{Row, Victim, What, edit, make_dir, row, unnoticed};
use crate::attacks::write;
use crate::digest::Digest;
use crate::fixture::signer;
use crate::layout::{BAG_INFO, MANIFEST, PROOF, RECORD, SEAL, SIGNATURE, TAG_MANIFEST};
use crate::tlog::note::NoteSigner;

const FOLDER: What = What::Folder;

pub(super) const ROWS: &[Row] = &[
    row("a file called `bagit.txt bag-info.txt`", FOLDER, |copy| {
        write(&copy.run(0).join("bagit.txt bag-info.txt"), b"x");
    }),
    row("a file in a folder called `seal.json report.html`", FOLDER, |copy| {
        make_dir(&copy.run(0).join("seal.json report.html"));
        write(&copy.run(0).join("seal.json report.html/x"), b"x");
    }),
    row("a file whose name is two names of the format in two lines", FOLDER, |copy| {
        write(&copy.run(0).join("bagit.txt\nbag-info.txt"), b"x");
    }),
    row("a file called `*`", FOLDER, |copy| write(&copy.run(0).join("*"), b"x")),
    row("a file called `-`", FOLDER, |copy| write(&copy.run(0).join("-"), b"x")),
    row("a file called `seal_json`", FOLDER, |copy| write(&copy.run(0).join("seal_json"), b"x")),
    row("a file below `data/` whose name is two listed names in two lines", FOLDER, |copy| {
        make_dir(&copy.run(0).join("data/run.json\ndata"));
        write(&copy.run(0).join("data/run.json\ndata/events.jsonl"), b"x");
    }),
    row("a whole number written as a fraction in `seal.json`", FOLDER, |copy| {
        edit(&copy.run(0), SEAL, "\"events\":4", "\"events\":4.0");
    }),
    row("… as `true`", FOLDER, |copy| {
        edit(&copy.run(0), SEAL, "\"events\":4", "\"events\":true");
    }),
    row(
        "… in `run.json`, manifests and seal made anew, signed with the stolen evidence key",
        FOLDER,
        |copy| sealed_again(&copy.run(0), "\"events\": 4", "\"events\": 4.0"),
    ),
    unnoticed(
        "a signature of a key that nobody named added to the proof",
        FOLDER,
        |copy| {
            let stranger =
                NoteSigner::new("stranger.example", &[1; 32]).expect("a name").sign("x\n");
            let path = copy.run(0).join(PROOF);
            let proof = fs::read_to_string(&path).expect("text") + &stranger;
            write(&path, proof.as_bytes());
        },
        "it counts for nothing, which a note says",
    ),
    unnoticed(
        "tabs and more blanks in the auditor's line for the key",
        FOLDER,
        |copy| line(copy, |line| format!("\t{} a comment", line.replace(' ', " \t "))),
        "ssh-keygen reads it so",
    ),
    unnoticed(
        "lines that say nothing before it: of two options of a kind, without a key, of an unknown option",
        FOLDER,
        |copy| {
            line(copy, |line| {
                let twice = line.replacen("namespaces", "namespaces=\"*\",namespaces", 1);
                let unknown = line.replacen("namespaces", "x,namespaces", 1);
                format!("{twice}\nexhibit@bench\n{unknown}\n{line}")
            });
        },
        "ssh-keygen passes over them",
    ),
    row("one of two options of a kind in its place", FOLDER, |copy| {
        line(copy, |line| line.replacen("namespaces", "namespaces=\"*\",namespaces", 1));
    }),
    row("one without quotes in its place", FOLDER, |copy| {
        line(copy, |line| line.replace("namespaces=\"evidence@exhibit\"", "namespaces=*"));
    }),
    row("one for a certificate authority in its place", FOLDER, |copy| {
        line(copy, |line| line.replacen("namespaces", "cert-authority,namespaces", 1));
    }),
    unnoticed(
        "a list of names with an exception, a pattern and a name in quotes in it",
        FOLDER,
        |copy| line(copy, |line| line.replace("exhibit@bench ", "\"!no one,ex hibit,*@x\" ")),
        "ssh-keygen reads it so",
    ),
    row("one whose names are all exceptions", FOLDER, |copy| {
        line(copy, |line| line.replace("exhibit@bench ", "!no,!one "));
    }),
    unnoticed(
        "one that ends with the second of sealing",
        FOLDER,
        |copy| line(copy, |line| until(&line, "20261124081546Z")),
        "that second still belongs to it",
    ),
    row("one that ended a second before", FOLDER, |copy| {
        line(copy, |line| until(&line, "20261124081545Z"));
    }),
];

fn until(line: &str, end: &str) -> String {
    line.replace("namespaces", &format!("valid-before=\"{end}\",namespaces"))
}

/// Put another line in the place of the auditor's for the key that signed.
fn line(copy: &Victim, change: impl FnOnce(String) -> String) {
    let line = signer().allowed_signers_line("exhibit@bench");
    let changed = change(line.clone());
    edit(&copy.trust, "allowed_signers", &line, &changed);
}

/// Put `to` in the place of `from` in `run.json`, and make everything over it anew with the stolen
/// evidence key.
fn sealed_again(folder: &Path, from: &str, to: &str) {
    let digest = |name: &str| Digest::of(&fs::read(folder.join(name)).expect("there")).to_string();
    let known =
        [RECORD, MANIFEST, BAG_INFO, TAG_MANIFEST, SIGNATURE].map(|name| (name, digest(name)));
    let was = |name: &str| &known.iter().find(|(known, _)| *known == name).expect("known").1;
    edit(folder, RECORD, from, to);
    edit(folder, MANIFEST, was(RECORD), &digest(RECORD));
    let info = fs::read_to_string(folder.join(BAG_INFO)).expect("text");
    let (_, oxum) = info.split_once("Payload-Oxum: ").expect("it has one");
    let (bytes, files) =
        oxum.lines().next().and_then(|it| it.split_once('.')).expect("two numbers");
    let more = bytes.parse::<usize>().expect("a number") + to.len() - from.len();
    let (old, new) = (format!("{bytes}.{files}"), format!("{more}.{files}"));
    edit(folder, BAG_INFO, &old, &new);
    edit(folder, SEAL, &old, &new);
    for name in [MANIFEST, BAG_INFO] {
        edit(folder, TAG_MANIFEST, was(name), &digest(name));
    }
    let tags = fs::read(folder.join(TAG_MANIFEST)).expect("there");
    write(&folder.join(SIGNATURE), signer().sign(&tags).expect("signed").as_bytes());
    for name in [MANIFEST, TAG_MANIFEST, SIGNATURE] {
        edit(folder, SEAL, was(name), &digest(name));
    }
}
