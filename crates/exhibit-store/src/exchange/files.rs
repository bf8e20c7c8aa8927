//! Files of a sealed folder that somebody exchanges while it is verified, at each moment at which the
//! verifier looks at them: what is told as intact is one folder, and the one that was sealed.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::is_intact;
use crate::digest::Digest;
use crate::disk::reading::{Reads, Unread};
use crate::fixture::{Bench, id, trust_in_log};
use crate::layout::{
    BAG_INFO, EVENTS, MANIFEST, PROOF, RECORD, SEAL, SIGNATURE, TAG_MANIFEST, sealed_place,
};
use crate::tampering::{copy_tree, unlock, write};
use crate::verify::{self, StoreReport};

/// Files that are exchanged together, with what is put in their place.
type Forgery = Vec<(PathBuf, Vec<u8>)>;

/// What somebody would show for a moment in place of the folder of run 0 in the store at `root`.
fn forgeries(root: &Path) -> Vec<Forgery> {
    let folder = root.join(sealed_place(id(0)));
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("there");
    let file = |name: &str, text: String| (folder.join(name), text.into_bytes());
    let changed = |name: &str, from: &str, to: &str| {
        let text = read(name);
        assert!(text.contains(from), "{name} holds {from}");
        file(name, text.replace(from, to))
    };
    // A second folder of the same bench lends what is in order and belongs to another run.
    let lent = |name: &str| {
        let other = fs::read(root.join(sealed_place(id(1))).join(name)).expect("there");
        (folder.join(name), other)
    };
    let record = changed(RECORD, "succeeded", "forgotten");
    let events = changed(EVENTS, "succeeded", "forgotten");
    let mut manifest = read(MANIFEST);
    for (name, (_, bytes)) in [(RECORD, &record), (EVENTS, &events)] {
        let was = Digest::of(read(name).as_bytes()).to_string();
        manifest = manifest.replace(&was, &Digest::of(bytes).to_string());
    }
    let manifest = file(MANIFEST, manifest);
    vec![
        vec![record.clone()],
        vec![events.clone()],
        vec![manifest.clone()],
        vec![record, events, manifest],
        vec![lent(SEAL)],
        vec![lent(SIGNATURE)],
        vec![lent(PROOF)],
        vec![lent(BAG_INFO)],
        vec![lent(TAG_MANIFEST), lent(MANIFEST), lent(SIGNATURE), lent(SEAL)],
    ]
}

fn put(files: &Forgery) {
    for (path, bytes) in files {
        write(path, bytes);
    }
}

fn honest(forgery: &Forgery) -> Forgery {
    forgery.iter().map(|(path, _)| (path.clone(), fs::read(path).expect("there"))).collect()
}

/// The report of the store at `root`, in which `then` is put in place before step `at` of reading it.
fn judged(root: &Path, at: u64, then: &Forgery) -> StoreReport {
    let then = then.clone();
    let reads = Reads::before(root, at, move || put(&then));
    let report = verify::store(root, &trust_in_log(""), &[]);
    drop(reads);
    report
}

#[test]
fn no_mixture_of_two_folders_is_told_as_intact() {
    let bench = Bench::logged();
    bench.sealed(0);
    bench.sealed(1);
    let root = bench.scratch().join("victim");
    copy_tree(bench.store.root(), &root);
    unlock(&root);
    let counted = Reads::below(&root, Unread::Nothing, Errno::IO);
    let truth = verify::store(&root, &trust_in_log(""), &[]);
    let steps = counted.steps();
    drop(counted);
    assert_eq!(truth.exit(), 0, "{truth:?}");
    assert!(steps > 20, "{steps}");
    for forged in forgeries(&root) {
        let kept = honest(&forged);
        let names: Vec<&Path> = forged.iter().map(|(path, _)| path.as_path()).collect();
        put(&forged);
        assert!(!is_intact(&root, &[]), "at rest: {names:?}");
        for step in 0..steps {
            put(&forged);
            let report = judged(&root, step, &kept);
            assert!(report.exit() != 0 || report == truth, "made good at {step}: {names:?}");
            put(&kept);
            let report = judged(&root, step, &forged);
            assert!(report.exit() != 0 || report == truth, "made bad at {step}: {names:?}");
        }
        put(&kept);
    }
}
