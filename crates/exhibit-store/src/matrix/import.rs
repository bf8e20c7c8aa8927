//! Attacks on kept bundles of other stores: changed, taken away, exchanged and slipped in, with the
//! stolen key of the log and without.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::store::{LATER, add, packed, remove_file};
use super::{Row, Victim, What, edit, flip, make_dir, row, unnoticed};
use crate::attacks::{rename, write};
use crate::damage::unlock;
use crate::digest::Digest;
use crate::fixture::{Bench, ORIGIN, agent_says, revoked, signer, stranger};
use crate::id::RunId;
use crate::layout::{EVENTS, imported_place};
use crate::log::remove;
use crate::run::Ending;
use crate::sign::Signer;
use crate::tlog::proof::Proof;

const STORE: What = What::Store;

pub(super) const ROWS: &[Row] = &[
    unnoticed(
        "a bundle of another store kept, as the log says",
        STORE,
        |copy| drop(import(copy, &stranger(), |_| {})),
        "it is intact; whose key it is, DIR does not say",
    ),
    unnoticed(
        "the same, the auditor was told of its key",
        STORE,
        |copy| drop(import(copy, &signer(), |_| {})),
        "it is intact, and judged like a folder of the store's",
    ),
    row("the same, the key was revoked", STORE, |copy| drop(import(copy, &revoked().0, |_| {}))),
    row("a byte of a kept bundle changed", STORE, |copy| {
        let path = import(copy, &stranger(), |_| {});
        let name = path.file_name().and_then(|name| name.to_str()).expect("text");
        flip(&copy.root.join("imported"), name);
    }),
    row("a kept bundle removed", STORE, |copy| remove_file(&import(copy, &stranger(), |_| {}))),
    row(
        "a kept bundle removed, 40 GiB of holes under the name it had while it was taken in",
        STORE,
        |copy| {
            let path = import(copy, &stranger(), |_| {});
            holes(&path.with_extension("").with_extension("begun"));
            remove_file(&path);
        },
    ),
    unnoticed(
        "40 GiB of holes under the name of a bundle that is being taken in",
        STORE,
        |copy| {
            make_dir(&copy.root.join("imported"));
            holes(&copy.root.join(format!("imported/{}.begun", Digest::ZERO)));
        },
        "a crash while a bundle is taken in leaves such a file, and it is no evidence; it is not read",
    ),
    row("`imported/` removed", STORE, |copy| {
        drop(import(copy, &stranger(), |_| {}));
        remove(&copy.root.join("imported"));
    }),
    unnoticed(
        "a kept bundle removed whose purge is in the log",
        STORE,
        |copy| {
            let path = import(copy, &stranger(), |_| {});
            purge(copy, &path, LATER, None);
            remove_file(&path);
        },
        "it was purged, and the log says by whom and why",
    ),
    row("a purge of a kept bundle put into the log, the bundle left", STORE, |copy| {
        let path = import(copy, &stranger(), |_| {});
        purge(copy, &path, LATER, None);
    }),
    row("a kept bundle removed and purged before its time", STORE, |copy| {
        let path = import(copy, &stranger(), |_| {});
        purge(copy, &path, "2027-12-31T23:59:59.999Z", None);
        remove_file(&path);
    }),
    row("a kept bundle removed and purged while one of its runs was on hold", STORE, |copy| {
        let path = import(copy, &stranger(), |_| {});
        let hold = json!({ "kind": "hold", "time": LATER, "run": Bench::third(), "reason": "r" });
        purge(copy, &path, LATER, Some(hold));
        remove_file(&path);
    }),
    row("the purge of a bundle that was never kept put into the log", STORE, |copy| {
        purge(copy, Path::new(&Digest::ZERO.to_string()), LATER, None);
    }),
    row("another bundle in the place of a kept one", STORE, |copy| {
        let place = import(copy, &stranger(), |_| {});
        write(&place, &packed(copy, 1));
    }),
    row("a kept bundle made anew of a changed folder", STORE, |copy| {
        let place = import(copy, &stranger(), |_| {});
        write(&place, &bundle_of(&stranger(), |folder| edit(folder, EVENTS, "paid", "took")));
    }),
    row("the same, under its own digest, its import put into the log", STORE, |copy| {
        drop(import(copy, &stranger(), |folder| edit(folder, EVENTS, "paid", "took")));
    }),
    row("the same with the proof beside the folder of another", STORE, |copy| {
        let (bench, _) = of_another(&stranger());
        let proof = bench.log().proof(0).expect("a proof");
        let folders = [(Bench::third(), bench.store.folder_of(Bench::third()), Some(proof))];
        drop(keep(copy, &bundle(&folders)));
    }),
    row("a bundle put into `imported/` that the log does not tell of", STORE, |copy| {
        let bytes = bundle_of(&stranger(), |_| {});
        put(copy, &bytes);
    }),
    row("what is no bundle kept, its import put into the log", STORE, |copy| {
        drop(keep(copy, b"no bundle"));
    }),
    row("a file of another name added to `imported/`", STORE, |copy| {
        drop(import(copy, &stranger(), |_| {}));
        write(&copy.root.join("imported/x \n-y"), b"x");
    }),
    row("a link in the place of a kept bundle", STORE, |copy| {
        let path = import(copy, &stranger(), |_| {});
        rename(&path, &copy.root.join("elsewhere"));
        std::os::unix::fs::symlink("../elsewhere", &path).expect("linked");
    }),
    row("a link in the place of `imported/`", STORE, |copy| {
        drop(import(copy, &stranger(), |_| {}));
        rename(&copy.root.join("imported"), &copy.root.join("elsewhere"));
        std::os::unix::fs::symlink("elsewhere", copy.root.join("imported")).expect("linked");
    }),
];

/// Another store, whose run was signed with `key`; and the index of the run's seal in its log.
fn of_another(key: &Signer) -> (Bench, u64) {
    let bench = Bench::logged();
    let mut draft = bench.begin_third();
    draft.record(&[agent_says("paid")], bench.now()).expect("recorded");
    draft.seal(&Ending::sealed("succeeded"), key, bench.now()).expect("sealed");
    let places = bench.log().places(&[Bench::third()]).expect("found");
    (bench, places[&Bench::third()].seal.expect("sealed"))
}

pub(super) fn bundle(folders: &[(RunId, PathBuf, Option<Proof>)]) -> Vec<u8> {
    let folders: Vec<_> =
        folders.iter().map(|(run, path, proof)| (*run, path.as_path(), proof.clone())).collect();
    crate::bundle::write(Vec::new(), &folders).expect("in memory")
}

/// The bundle of a run of another store that was signed with `key`, after a `change` in its folder.
pub(super) fn bundle_of(key: &Signer, change: impl FnOnce(&Path)) -> Vec<u8> {
    let (bench, seal) = of_another(key);
    let folder = bench.store.folder_of(Bench::third());
    unlock(&folder);
    change(&folder);
    let proof = bench.log().proof(seal).expect("a proof");
    bundle(&[(Bench::third(), folder, Some(proof))])
}

/// Make a file of 40 GiB that takes no room, which nobody is to hash.
#[expect(clippy::disallowed_methods, reason = "a test prepares an attack")]
fn holes(path: &Path) {
    let file = std::fs::File::create(path).expect("made");
    file.set_len(40 << 30).expect("with holes");
}

/// Put `bytes` into `imported/`, under their digest; where they lie.
fn put(copy: &Victim, bytes: &[u8]) -> PathBuf {
    let path = copy.root.join(imported_place(Digest::of(bytes)));
    make_dir(path.parent().expect("a folder"));
    write(&path, bytes);
    path
}

/// The same, and put that into the log, with its stolen key.
pub(super) fn keep(copy: &Victim, bytes: &[u8]) -> PathBuf {
    let (sha256, runs) = (Digest::of(bytes), [Bench::third()]);
    let entry = json!({
        "kind": "import", "time": LATER, "runs": runs, "sha256": sha256, "size": bytes.len(),
        "origins": [ORIGIN], "kept": true, "kept_until": "2028-01-01T00:00:00.000Z",
    });
    add(copy, vec![entry]);
    put(copy, bytes)
}

/// Put into the log, with its stolen key, that the kept bundle at `path` was purged at `time`, after
/// `before`.
fn purge(copy: &Victim, path: &Path, time: &str, before: Option<Value>) {
    let name = path.file_name().and_then(|name| name.to_str()).expect("text");
    let sha256 = name.trim_end_matches(".tar.zst");
    let entry = json!({
        "kind": "purge-import", "time": time, "sha256": sha256, "runs": [Bench::third()],
        "reason": "r",
    });
    add(copy, before.into_iter().chain([entry]).collect());
}

/// Keep the bundle of a run of another store, as the log then says.
pub(super) fn import(copy: &Victim, key: &Signer, change: impl FnOnce(&Path)) -> PathBuf {
    keep(copy, &bundle_of(key, change))
}
