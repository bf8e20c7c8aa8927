//! Attacks on what evidence travels and rests in: archives and kept bundles that one program reads
//! otherwise than another, each under the digest that the log holds, so that nothing but their form
//! tells; and files that are larger than they can be.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::store::{LATER, add, packed};
use super::{Row, Scene, Victim, What, edit, import, row, unnoticed, verify_sh};
use crate::Trust;
use crate::attacks::write;
use crate::bundle::attacks;
use crate::digest::Digest;
use crate::fixture::{id, stranger};
use crate::layout::{EVENTS, archived_place, imported_place};
use crate::log::remove;
use crate::verify;
use exhibit_verify::exit;

const FOLDER: What = What::Folder;
const STORE: What = What::Store;

pub(super) const ROWS: &[Row] = &[
    unnoticed(
        "an archive whose frame and tar are as we write them, put into the log",
        STORE,
        |copy| archived(copy, crate::bundle::framed),
        "it is intact, as one file",
    ),
    row("an archive with two PAX records of a file's size", STORE, |copy| {
        archive(copy, "two PAX records of a file's size");
    }),
    row("… with a PAX comment before a file", STORE, |copy| {
        archive(copy, "a PAX comment before a file");
    }),
    row("… with a PAX header for all of it", STORE, |copy| {
        archive(copy, "a PAX header for the whole archive");
    }),
    row("… with a file that PAX records call sparse", STORE, |copy| {
        archive(copy, "a sparse file by PAX records");
    }),
    row("… with GNU's long name before a file whose name fits", STORE, |copy| {
        archive(copy, "GNU's long name before a file whose name fits");
    }),
    row("… with a size in binary", STORE, |copy| archive(copy, "a size in binary")),
    row("… with a size after spaces", STORE, |copy| {
        archive(copy, "a size with spaces before it");
    }),
    row("… with a checksum of six digits and a space", STORE, |copy| {
        archive(copy, "a checksum of six digits and a space");
    }),
    row("… with bytes behind a name", STORE, |copy| archive(copy, "bytes behind a name")),
    row("… with a file that is filled up with something", STORE, |copy| {
        archive(copy, "a file that is filled up with something");
    }),
    row("… with a file that stands there twice", STORE, |copy| {
        archive(copy, "a file that stands there twice");
    }),
    row("… with another file of the same name", STORE, |copy| {
        archive(copy, "another file of the same name");
    }),
    row("… with a hard link in place of a file", STORE, |copy| {
        archive(copy, "a hard link in place of a file");
    }),
    row("… with two files exchanged", STORE, |copy| archive(copy, "two files exchanged")),
    row("… with an entry behind its end", STORE, |copy| {
        archive(copy, "an entry behind the end of the tar");
    }),
    row("… filled up as GNU tar does", STORE, |copy| {
        archive(copy, "a tar that is filled up as GNU tar does");
    }),
    row("… with a skippable frame behind it", STORE, |copy| {
        archive(copy, "a skippable frame behind");
    }),
    row("… in two frames", STORE, |copy| archive(copy, "a tar in two frames")),
    row("… in a frame without a checksum", STORE, |copy| {
        archive(copy, "a frame without a checksum");
    }),
    row("… of a gigabyte of zeros, more than `bag-info.txt` says", STORE, |copy| {
        archive(copy, "zeros below data/, more than bag-info.txt says");
    }),
    row("… with a signature of zeros", STORE, |copy| archive(copy, "a signature of zeros")),
    row("a kept bundle with two PAX records of a file's size", STORE, |copy| {
        bundle(copy, "two PAX records of a file's size");
    }),
    row("… with a PAX comment before a file", STORE, |copy| {
        bundle(copy, "a PAX comment before a file");
    }),
    row("… with a second tar in a second frame", STORE, |copy| {
        bundle(copy, "a second tar in a second frame");
    }),
    row("… with an entry behind its end", STORE, |copy| {
        bundle(copy, "an entry behind the end of the tar");
    }),
    row("… of a gigabyte of zeros, more than `bag-info.txt` says", STORE, |copy| {
        bundle(copy, "zeros below data/, more than bag-info.txt says");
    }),
    row("`run.json` of a folder made 40 GiB long, with holes", FOLDER, |copy| {
        grow(&copy.run(0), "data/run.json");
    }),
    row("… its events", FOLDER, |copy| grow(&copy.run(0), "data/events.jsonl")),
    row("… a picture", FOLDER, |copy| {
        grow(&copy.run(0), "data/captures/0001-before/screenshot.png");
    }),
    row("… its report", FOLDER, |copy| grow(&copy.run(0), "report.html")),
    row("… `bag-info.txt`", FOLDER, |copy| grow(&copy.run(0), "bag-info.txt")),
    row("… a manifest", FOLDER, |copy| grow(&copy.run(0), "manifest-sha256.txt")),
    row("… `seal.json`", FOLDER, |copy| grow(&copy.run(0), "seal.json")),
    row("… the signature", FOLDER, |copy| grow(&copy.run(0), "tagmanifest-sha256.txt.sig")),
    row("an archive made 40 GiB long, with holes", STORE, |copy| {
        archived(copy, crate::bundle::framed);
        grow(&copy.root, &archived_place(id(0)));
    }),
    row("a kept bundle made 40 GiB long, with holes", STORE, |copy| {
        let bytes = import::bundle_of(&stranger(), |_| {});
        drop(import::keep(copy, &bytes));
        grow(&copy.root, &imported_place(Digest::of(&bytes)));
    }),
];

/// What the attack called `name` makes of a tar.
fn attack(name: &str) -> fn(&[u8]) -> Vec<u8> {
    attacks().find(|(attack, _)| *attack == name).map(|(_, make)| *make).expect(name)
}

/// Put what `make` makes of the first run's archive into its place, and that into the log.
fn archived(copy: &Victim, make: impl FnOnce(&[u8]) -> Vec<u8>) {
    let tar = zstd::decode_all(packed(copy, 0).as_slice()).expect("a frame");
    let (bytes, path) = (make(&tar), copy.root.join(archived_place(id(0))));
    write(&path, &bytes);
    remove(&copy.run(0));
    let entry = json!({
        "kind": "archive", "time": LATER, "run": id(0), "sha256": Digest::of(&bytes),
        "size": bytes.len(),
    });
    add(copy, vec![entry]);
}

fn archive(copy: &Victim, name: &str) {
    archived(copy, attack(name));
}

/// Keep what the attack `name` makes of a bundle of another store, as the log then says.
fn bundle(copy: &Victim, name: &str) {
    let sound = import::bundle_of(&stranger(), |_| {});
    let tar = zstd::decode_all(sound.as_slice()).expect("a frame");
    drop::<PathBuf>(import::keep(copy, &attack(name)(&tar)));
}

/// Make the file `name` 40 GiB long, without writing them.
#[expect(clippy::disallowed_methods, reason = "a test plays an attacker")]
fn grow(at: &Path, name: &str) {
    let file = std::fs::OpenOptions::new().write(true).open(at.join(name)).expect("there");
    file.set_len(40 << 30).expect("grown");
}

/// What was sent as one file is judged alike, whatever is made of it.
#[test]
fn verify_sh_judges_what_was_sent_as_we_do() {
    let scene = Scene::new();
    let copy = Victim::of(&scene);
    let seal = scene.bench.log().places(&[id(0)]).expect("found")[&id(0)].seal.expect("sealed");
    let proof = scene.bench.log().proof(seal).expect("a proof");
    let folders = [(id(0), copy.run(0), Some(proof)), (id(1), copy.run(1), None)];
    let sound = import::bundle(&folders);
    let tar = zstd::decode_all(sound.as_slice()).expect("a frame");
    let path = copy.root.join("sent.tar.zst");
    let believed = Trust::in_folder(&scene.trust()).expect("whom to believe");
    let judged = |bytes: &[u8]| {
        write(&path, bytes);
        let ours = verify::bundle(&path, &believed);
        let ours = ours.is_ok_and(|reports| reports.iter().all(|it| it.exit() == exit::OK));
        let (code, said) = verify_sh(&scene.trust(), &[&path]);
        assert!(matches!(code, 0 | 1), "{code}: {said}");
        (ours, code == 0, said)
    };
    let (ours, theirs, said) = judged(&sound);
    assert!(ours && theirs, "{said}");
    // A third of them: each is tried in `bundle::peers`, too.
    for (attack, make) in attacks().step_by(3) {
        let (ours, theirs, said) = judged(&make(&tar));
        assert!(!ours && !theirs, "{attack}: {said}");
    }
    edit(&copy.run(1), EVENTS, "succeeded", "refused!!");
    let (ours, theirs, said) = judged(&import::bundle(&folders));
    assert!(!ours && !theirs && said.contains("FAIL  4 payload"), "{said}");
}
