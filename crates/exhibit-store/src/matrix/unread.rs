//! Failures to read, tried at every step of a verification and at every file and folder of a store: by
//! our verifier through the disk's own faults, by docs/verify.sh as a user who may not read them.
//! None may be told as a change, and none may pass as intact.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::io::Errno;

use super::import::import;
use super::store::archive;
use super::{SCRIPT, Scene, Victim, make_dir, stamp};
use crate::attacks::write;
use crate::disk::reading::{Reads, Unread};
use crate::fixture::{Bench, id, stranger};
use crate::hostile::copy_tree;
use crate::layout::{archived_place, sealed_place};
use crate::{Class, Trust, verify};
use exhibit_verify::exit;

/// Somebody without rights.
const NOBODY: u32 = 65534;
const SCRIPTS: [&str; 3] = ["verify.sh", "verify_log.py", "verify_container.py"];

/// A store with one of everything, or with timestamps.
fn full(scene: &Scene) -> Victim<'_> {
    let copy = Victim::of(scene);
    if scene.stampers.is_none() {
        drop(archive(&copy, 1, |_| {}));
        drop(import(&copy, &stranger(), |_| {}));
    }
    copy
}

/// What is said of the store, but for what is only worth knowing.
fn said(copy: &Victim<'_>) -> (u8, BTreeSet<String>) {
    let believed = Trust::in_folder(&copy.trust).expect("whom to believe");
    let report = verify::store(&copy.root, &believed, &[]);
    let folders = report.folders.iter().flat_map(|folder| &folder.findings);
    let all = folders.chain(&report.findings).filter(|finding| finding.class != Class::Note);
    (report.exit(), all.map(ToString::to_string).collect())
}

/// What is wrong with the words on a failure to read: it is told as such, and nothing else is.
fn wrong(copy: &Victim<'_>, below: &Path, which: Unread, errno: Errno) -> Option<String> {
    let reads = Reads::below(below, which, errno);
    let (code, said) = said(copy);
    let alone = said.iter().all(|finding| finding.starts_with("unreadable at "));
    let as_such = code == exit::UNREADABLE && !said.is_empty() && alone;
    // What failed once, and was read when it was looked at again, was read.
    let unharmed = reads.unread().is_empty() && code == exit::OK;
    let what = below.strip_prefix(&copy.root).expect("in the store").display();
    let unread = reads.unread();
    (!as_such && !unharmed)
        .then(|| format!("{which:?} {errno:?} at {what:?}: {code} {said:#?}, of {unread:?}"))
}

fn paths(at: &Path, found: &mut Vec<PathBuf>) {
    for entry in crate::layout::entries(at).expect("listed") {
        if entry.kind.is_dir() {
            paths(&entry.path, found);
        }
        found.push(entry.path);
    }
}

/// Each of `cases` on a copy of `scene`, by four at a time, each of which has its own.
fn try_all(
    scene: &Scene,
    count: usize,
    case: impl Fn(&Victim<'_>, usize) -> Option<String> + Sync,
) {
    let next = AtomicUsize::new(0);
    let work = || {
        let copy = full(scene);
        let cases = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        cases.take_while(|at| *at < count).filter_map(|at| case(&copy, at)).collect::<Vec<_>>()
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("judged")).collect()
    });
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_failure_to_read_is_told_as_such_at_every_step() {
    for scene in [Scene::new(), stamp::scene()] {
        let copy = full(&scene);
        let reads = Reads::below(&copy.root, Unread::Nothing, Errno::IO);
        assert_eq!(said(&copy), (exit::OK, BTreeSet::new()));
        let steps = reads.steps();
        drop(reads);
        let steps = usize::try_from(steps).expect("few");
        assert!(steps > 100, "{steps}");
        try_all(&scene, 2 * steps, |copy, at| {
            let (step, once) = ((at / 2) as u64, at.is_multiple_of(2));
            let which = if once { Unread::At(step) } else { Unread::From(step) };
            let errno = [Errno::MFILE, Errno::ACCESS, Errno::IO][at % 3];
            wrong(copy, &copy.root, which, errno)
        });
    }
}

#[test]
fn a_file_or_folder_that_cannot_be_read_is_told_as_such() {
    for scene in [Scene::new(), stamp::scene()] {
        let mut all = Vec::new();
        paths(&full(&scene).root, &mut all);
        try_all(&scene, all.len(), |copy, at| {
            // The same places in each copy.
            let mut all = Vec::new();
            paths(&copy.root, &mut all);
            wrong(copy, &all[at], Unread::From(0), Errno::ACCESS)
        });
    }
}

/// Where everybody may look, with the scripts and the trust beside the store.
fn shared(copy: &Victim<'_>) -> PathBuf {
    let folder = copy.root.parent().expect("a folder").to_owned();
    let docs = Path::new(SCRIPT).parent().expect("docs");
    for name in SCRIPTS {
        write(&folder.join(name), &fs::read(docs.join(name)).expect("there"));
    }
    copy_tree(&copy.scene.trust(), &folder.join("trust"));
    make_dir(&folder.join("tmp"));
    crate::damage::unlock(&folder);
    set_mode(&folder.join("tmp"), 0o777);
    folder
}

#[expect(clippy::disallowed_methods, reason = "a test takes rights away")]
fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// How verify.sh ends for somebody without rights, and what it says.
fn as_nobody(folder: &Path, root: &Path) -> (i32, String) {
    let mut script = Command::new("bash");
    script.current_dir(folder).env("TMPDIR", folder.join("tmp"));
    script.args(["verify.sh", "--trust", "trust", "--store"]).arg(root);
    if rustix::process::geteuid().is_root() {
        script.uid(NOBODY).gid(NOBODY);
    }
    let done = script.output().expect("bash is there");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    (done.status.code().expect("it ended by itself"), said)
}

#[test]
fn verify_sh_tells_what_it_cannot_read_from_what_was_changed() {
    let (run, open) = (sealed_place(id(0)), format!("open/{}", Bench::third()));
    let scene = Scene::new();
    let copy = full(&scene);
    let (folder, archived) = (shared(&copy), archived_place(id(1)));
    let (code, said) = as_nobody(&folder, &copy.root);
    assert_eq!(code, 0, "{said}");
    let day = run.rsplit_once('/').expect("a day").0.to_owned();
    let in_run = |name: &str| format!("{run}/{name}");
    let imported = crate::layout::entries(&copy.root.join("imported")).expect("listed");
    let imported = format!("imported/{}", imported[0].name.to_str().expect("text"));
    let places = [
        "log",
        "log/checkpoint",
        "log/tile/entries/000",
        "log/tile/0/000",
        "checkpoints",
        "checkpoints/003.note",
        "custody",
        "custody/2026-11.jsonl",
        "imported",
        "open",
    ];
    let mut places: Vec<String> = places.into_iter().map(str::to_owned).collect();
    places.extend([day, archived, imported, run.clone(), open.clone()]);
    places.push(format!("{open}/data/events.jsonl"));
    for name in [
        "data",
        "data/events.jsonl",
        "data/run.json",
        "bagit.txt",
        "manifest-sha256.txt",
        "tagmanifest-sha256.txt",
        "tagmanifest-sha256.txt.sig",
        "seal.json",
        "seal.json.tlog-proof",
    ] {
        places.push(in_run(name));
    }
    for place in places {
        let path = copy.root.join(&place);
        let mode = fs::metadata(&path).expect(&place).permissions().mode();
        set_mode(&path, 0);
        let (code, said) = as_nobody(&folder, &copy.root);
        let accused = said.lines().any(|line| line.starts_with("FAIL"));
        assert!(code == 3 && !accused, "{place}: {code}\n{said}");
        // A change elsewhere is told nevertheless.
        set_mode(&path, mode);
    }
    let path = copy.root.join(in_run("data/run.json"));
    write(&path, &[fs::read(&path).expect("there"), b"\n".to_vec()].concat());
    set_mode(&copy.root.join("custody"), 0);
    let (code, said) = as_nobody(&folder, &copy.root);
    assert!(code == 1 && said.contains("FAIL  4 payload") && said.contains("UNREAD 20"), "{said}");
    set_mode(&copy.root.join("custody"), 0o755);
}
