//! Attacks on one folder, from a changed byte to a folder made anew with the stolen evidence key.

use std::fs;
use std::path::Path;

use super::{Row, What, edit, flip, row, unnoticed};
use crate::attacks::{forge, rename, write};
use crate::bag::render_manifest;
use crate::digest::Digest;
use crate::fixture::{Bench, ORIGIN, agent_says, retired, revoked, signer, stranger};
use crate::layout::{
    BAG_INFO, EVENTS, MANIFEST, PROOF, RECORD, REPORT, SEAL, SIGNATURE, TAG_MANIFEST,
};
use crate::log::Log;
use crate::log::remove;
use crate::run::Ending;
use crate::sign::LogKey;

const PICTURE: &str = "data/captures/0001-before/screenshot.png";
const FOLDER: What = What::Folder;

pub(super) const ROWS: &[Row] = &[
    unnoticed(
        "nothing; the caller's labels look like a file that is not there",
        FOLDER,
        |_| {},
        "it is intact, and callers state no files",
    ),
    row("a byte of a screenshot changed", FOLDER, |copy| flip(&copy.run(0), PICTURE)),
    row("a screenshot removed", FOLDER, |copy| remove(&copy.run(0).join(PICTURE))),
    row("a file added below `data/`", FOLDER, |copy| write(&copy.run(0).join("data/-x y\n"), b"x")),
    row("a file added beside `data/`", FOLDER, |copy| write(&copy.run(0).join("-rf \n"), b"x")),
    row("a screenshot exchanged for a link to the same bytes", FOLDER, |copy| {
        let (path, elsewhere) = (copy.run(0).join(PICTURE), copy.root.join("elsewhere"));
        rename(&path, &elsewhere);
        std::os::unix::fs::symlink(&elsewhere, &path).expect("linked");
    }),
    row("`bag-info.txt` edited", FOLDER, |copy| edit(&copy.run(0), BAG_INFO, "2026", "2025")),
    row("tag manifest removed, `bag-info.txt` edited", FOLDER, |copy| {
        remove(&copy.run(0).join(TAG_MANIFEST));
        edit(&copy.run(0), BAG_INFO, "2026", "2025");
    }),
    row("a screenshot changed, manifests made anew", FOLDER, |copy| {
        flip(&copy.run(0), PICTURE);
        keeping(&copy.run(0), &[SEAL], |folder| forge(folder, None));
    }),
    row("… and signed with the stolen evidence key", FOLDER, |copy| {
        flip(&copy.run(0), PICTURE);
        keeping(&copy.run(0), &[SEAL], |folder| forge(folder, Some(&signer())));
    }),
    row("… and `seal.json` made anew", FOLDER, |copy| {
        flip(&copy.run(0), PICTURE);
        forge(&copy.run(0), Some(&signer()));
    }),
    row("another run made under this one's id, with the stolen evidence key", FOLDER, |copy| {
        keeping(&copy.run(0), &[PROOF], |folder| replace(folder, false));
    }),
    row("… with a proof from a log of the attacker's own", FOLDER, |copy| {
        replace(&copy.run(0), true);
    }),
    row("signed by somebody else", FOLDER, |copy| forge(&copy.run(0), Some(&stranger()))),
    row("signed with a key whose time was over", FOLDER, |copy| {
        forge(&copy.run(0), Some(&retired()));
    }),
    row("signed with a revoked key", FOLDER, |copy| forge(&copy.run(0), Some(&revoked().0))),
    row("… and dated back to before it was lost", FOLDER, |copy| {
        let sealed = "\"sealed_at\": \"2026-11-24T08:";
        edit(&copy.run(0), RECORD, sealed, &sealed.replace("08:", "07:"));
        forge(&copy.run(0), Some(&revoked().0));
    }),
    row("the signature removed", FOLDER, |copy| remove(&copy.run(0).join(SIGNATURE))),
    row("the proof removed", FOLDER, |copy| remove(&copy.run(0).join(PROOF))),
    row("`seal.json` removed", FOLDER, |copy| remove(&copy.run(0).join(SEAL))),
    row("signature, seal and proof removed", FOLDER, |copy| {
        for name in [SIGNATURE, SEAL, PROOF] {
            remove(&copy.run(0).join(name));
        }
    }),
    row("a field of `seal.json` edited", FOLDER, |copy| {
        edit(&copy.run(0), SEAL, "succeeded", "declined");
    }),
    row("the proof of another folder", FOLDER, |copy| {
        copied(&copy.run(1).join(PROOF), &copy.run(0).join(PROOF));
    }),
    row("a proof of the same seal in another log", FOLDER, |copy| {
        let seal = fs::read(copy.run(0).join(SEAL)).expect("there");
        write(&copy.run(0).join(PROOF), in_another_log(seal).as_bytes());
    }),
    unnoticed(
        "times of files set back",
        FOLDER,
        |copy| set_back(&copy.run(0).join(PICTURE)),
        "times of files are no evidence, copying changes them",
    ),
    row("an event edited, the chain made anew", FOLDER, |copy| {
        chain(&copy.run(0), |lines| lines[2] = lines[2].replace("paid", "Paid"));
    }),
    row("an event removed, the chain made anew", FOLDER, |copy| {
        chain(&copy.run(0), |lines| drop(lines.remove(1)));
    }),
    row("two events exchanged, the chain made anew", FOLDER, |copy| {
        chain(&copy.run(0), |lines| lines.swap(1, 2));
    }),
    row("… with manifests, seal and the stolen evidence key's signature", FOLDER, |copy| {
        chain(&copy.run(0), |lines| lines.swap(1, 2));
        forge(&copy.run(0), Some(&signer()));
    }),
    row(
        "a capture exchanged, all made anew with the stolen evidence key but its event",
        FOLDER,
        |copy| {
            exchanged(&copy.run(0), false);
        },
    ),
    row(
        "the digest in an event edited, all made anew with the stolen evidence key",
        FOLDER,
        |copy| {
            exchanged(&copy.run(0), true);
        },
    ),
    row("`run.json` edited", FOLDER, |copy| {
        edit(&copy.run(0), RECORD, "succeeded", "declined");
    }),
    row("… with manifests, seal and the stolen evidence key's signature", FOLDER, |copy| {
        edit(&copy.run(0), RECORD, "succeeded", "declined");
        forge(&copy.run(0), Some(&signer()));
    }),
    row("`report.html` exchanged for another run's", FOLDER, |copy| {
        copied(&copy.run(1).join(REPORT), &copy.run(0).join(REPORT));
    }),
    row("`report.html` edited, the tag manifest made anew", FOLDER, |copy| {
        let folder = copy.run(0);
        let was = digest(&folder, REPORT);
        flip(&folder, REPORT);
        edit(&folder, TAG_MANIFEST, &was, &digest(&folder, REPORT));
    }),
    row("`report.html` removed, with its line in the tag manifest", FOLDER, |copy| {
        let folder = copy.run(0);
        let line = format!("{}  {REPORT}\n", digest(&folder, REPORT));
        remove(&folder.join(REPORT));
        edit(&folder, TAG_MANIFEST, &line, "");
    }),
    row("a manifest that names a file elsewhere", FOLDER, |copy| {
        let folder = copy.run(0);
        let mut text = fs::read_to_string(folder.join(MANIFEST)).expect("there");
        text += &render_manifest([("data/../../../../../log/checkpoint", Digest::of(b""))]);
        write(&folder.join(MANIFEST), text.as_bytes());
    }),
];

#[expect(clippy::disallowed_methods, reason = "a test does damage")]
fn set_back(path: &Path) {
    let file = fs::File::options().append(true).open(path).expect("opened");
    file.set_modified(std::time::UNIX_EPOCH).expect("set");
}

fn copied(from: &Path, to: &Path) {
    write(to, &fs::read(from).expect("there"));
}

fn digest(folder: &Path, name: &str) -> String {
    Digest::of(&fs::read(folder.join(name)).expect("there")).to_string()
}

/// Do something to `folder`, and put the files `names` back as they were.
fn keeping(folder: &Path, names: &[&str], does: impl FnOnce(&Path)) {
    let kept: Vec<_> =
        names.iter().map(|name| fs::read(folder.join(name)).expect("there")).collect();
    does(folder);
    for (name, bytes) in names.iter().zip(kept) {
        write(&folder.join(name), &bytes);
    }
}

/// Change the lines of the events, then number and bind them as if nothing had been done.
fn chain(folder: &Path, does: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(folder.join(EVENTS)).expect("there");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    does(&mut lines);
    let mut previous = Digest::ZERO;
    for (line, number) in lines.iter_mut().zip(1..) {
        let (head, rest) = line.split_once(',').expect("fields");
        assert!(head.starts_with("{\"sequence\":"), "{head}");
        let (rest, _) = rest.rsplit_once(",\"previous\"").expect("the last field");
        *line = format!("{{\"sequence\":{number},{rest},\"previous\":\"{previous}\"}}");
        previous = Digest::of(line.as_bytes());
    }
    write(&folder.join(EVENTS), (lines.join("\n") + "\n").as_bytes());
}

/// Exchange a picture and its digest in `run.sealed`, or edit its digest in the event that states it;
/// then make all else anew with the stolen evidence key.
fn exchanged(folder: &Path, event: bool) {
    let was = digest(folder, PICTURE);
    if !event {
        flip(folder, PICTURE);
    }
    let is = if event { Digest::ZERO.to_string() } else { digest(folder, PICTURE) };
    chain(folder, |lines| {
        let line = if event { 1 } else { lines.len() - 1 };
        assert!(lines[line].contains(&was), "{}", lines[line]);
        lines[line] = lines[line].replace(&was, &is);
    });
    let text = fs::read_to_string(folder.join(EVENTS)).expect("there");
    let last = Digest::of(text.lines().last().expect("one").as_bytes());
    let record = fs::read_to_string(folder.join(RECORD)).expect("there");
    let (before, rest) = record.split_once("\"last_event_sha256\": \"").expect("a field");
    let record = format!("{before}\"last_event_sha256\": \"{last}{}", &rest[64..]);
    write(&folder.join(RECORD), record.as_bytes());
    forge(folder, Some(&signer()));
}

/// That `seal` stands in a log of the attacker's.
fn in_another_log(seal: Vec<u8>) -> String {
    let place = tempfile::tempdir().expect("a folder");
    let key = LogKey::from_seed(&[1; 32]).expect("a key");
    let log = Log::open(place.path(), &key, ORIGIN).expect("a log");
    let index = log.append(seal).expect("appended");
    log.proof(index).expect("a proof").to_string()
}

/// Put a whole folder of the same run in the place of `folder`, made by the recorder itself with the
/// real evidence key; with a proof of a log of the attacker's when it is to be `logged`.
fn replace(folder: &Path, logged: bool) {
    let other = Bench::new();
    let mut draft = other.filled(0);
    draft.record(&[agent_says("refused")], other.now()).expect("recorded");
    let receipt = draft.seal(&Ending::sealed("declined"), &signer(), other.now()).expect("sealed");
    let made = other.store.root().join(receipt.folder);
    crate::damage::unlock(&made);
    if logged {
        let seal = fs::read(made.join(SEAL)).expect("there");
        write(&made.join(PROOF), in_another_log(seal).as_bytes());
    }
    remove(folder);
    crate::hostile::copy_tree(&made, folder);
}
