//! Want of room: too few inodes, none at all, a start without any; and callers who would take all there
//! is. Where a small file system may be mounted (root), it is a real one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use super::{DaemonFolder, operator, purge_all};
use crate::disk::fault::{Fault, Plan};
use crate::disk::{free_inodes, write_once};
use crate::error::Code;
use crate::evidence::{Class, Filter, Trust, verify};
use crate::run::{Caller, Ending, Reader, RunSpec};
use crate::runs::Runs;
use crate::runs::integrity::judging::damage_codes;

/// A file system with few inodes over a folder, until this is dropped.
struct Small(PathBuf);

impl Small {
    /// None where one may not be mounted, which is said.
    fn over(folder: &Path, inodes: u64) -> Option<Self> {
        let options = format!("nr_inodes={inodes},size=64m,mode=700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "none"]).arg(folder);
        let mounted = mount.output().is_ok_and(|done| done.status.success());
        if !mounted {
            println!("not played: no file system may be mounted here");
        }
        mounted.then(|| Self(folder.to_owned()))
    }

    fn free(&self) -> u64 {
        free_inodes(&self.0).expect("known").expect("counted")
    }

    /// Take inodes until only so many are left.
    fn eat(&self, left: u64) {
        let at = self.0.join("eaten");
        crate::disk::make_dirs(&at).expect("made");
        let mut number = at.read_dir().expect("there").count();
        while self.free() > left {
            let path = at.join(number.to_string());
            #[expect(clippy::disallowed_methods, reason = "a test takes inodes")]
            std::fs::File::create_new(path).expect("room");
            number += 1;
        }
    }

    fn give_back(&self) {
        crate::disk::remove_dir_all(&self.0.join("eaten")).expect("removed");
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

/// Whether nothing is altered, by verification of what lies there, notes and open runs aside.
fn is_sound(runs: &Runs) -> bool {
    let report = verify::store(runs.root(), &Trust::none(), &[]);
    let folders = report.folders.iter().flat_map(|folder| &folder.findings);
    let mut bad = folders.chain(&report.findings).filter(|it| it.class > Class::UnknownKey);
    bad.next().is_none()
}

fn listed(place: &DaemonFolder, runs: &Runs) -> usize {
    place
        .wait(runs.catalog().list(Filter::default(), &Reader::Own(operator()), 100))
        .expect("listed")
        .len()
}

#[test]
fn a_store_without_inodes_seals_starts_read_only_and_purges() {
    let folder = super::scratch();
    let Some(small) = Small::over(folder.path(), 700) else { return };
    let mut place = DaemonFolder::at(folder, "2026-11-24T08:15:46.120Z".parse().expect("a time"));
    let mut config = (*place.config).clone();
    config.store.min_free_inodes = 150;
    place.config = config.into();
    let runs = place.open().expect("a start");
    runs.look_for_room();
    assert_eq!(runs.room().status()["reserve"], true);
    place.sealed(&runs).expect("room");
    let open = [(); 3].map(|()| place.begun(&runs).expect("room"));

    // Too few for new evidence, enough for what is open.
    small.eat(140);
    let refused = place.begun(&runs).expect_err("too few");
    assert_eq!(refused.code, Code::StoreFull);
    for word in ["store.min_free_inodes", "150", "files can still be made"] {
        assert!(refused.message.contains(word), "{word}: {refused}");
    }
    assert_eq!(runs.room().check().expect_err("not ready").code, Code::StoreFull);
    let seal = |run| place.wait(runs.seal(run, &operator(), Ending::sealed("succeeded")));
    seal(open[0]).expect("there is room for it");

    // None at all: the reserve is spent for the seal of one run, a half of it stays.
    small.eat(0);
    seal(open[1]).expect("by the reserve");
    assert_eq!(runs.room().status()["reserve"], false);
    small.eat(0);
    assert_eq!(seal(open[2]).expect_err("spent").code, Code::StoreFull);
    drop(runs);

    // The next start has no room to say so.
    let runs = place.open().expect("a start, read-only");
    assert!(runs.room().is_read_only());
    let refused = place.begun(&runs).expect_err("read-only");
    assert!(refused.message.contains("read-only"), "{refused}");
    assert_eq!((refused.code, runs.room().check().is_err()), (Code::StoreFull, true));
    assert_eq!(listed(&place, &runs), 3, "what is sealed is found");
    assert!(is_sound(&runs));

    // What makes room can still be written down; then it goes on by itself.
    place.clock.advance(Duration::from_hours(72));
    let purged = place.wait(runs.purge(purge_all(), &operator())).expect("purged");
    assert_eq!(purged.purged.len(), 3);
    small.give_back();
    runs.look_for_room();
    assert!(!runs.room().is_read_only());
    runs.room().check().expect("room");
    assert_eq!(runs.room().status()["reserve"], true);
    place.sealed(&runs).expect("room");
    assert_eq!(listed(&place, &runs), 2, "what was open was sealed, too");
    assert_eq!(place.wrong(&runs), Vec::<String>::new());
    drop(runs);
    let runs = place.open().expect("a start");
    assert!(!runs.room().is_read_only());
    assert_eq!(place.wrong(&runs), Vec::<String>::new());
    // The mount goes before its folder.
    drop((runs, small));
}

#[test]
fn a_start_on_a_full_disk_is_read_only_until_there_is_room() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a start");
    place.sealed(&runs).expect("sealed");
    let open = place.begun(&runs).expect("begun");
    drop(runs);
    // The lock is there already; a real disk lets it be opened.
    let plan = Plan::below(&place.config.store.path, Fault::Full, 1);
    let runs = place.open().expect("a start, read-only");
    assert!(runs.room().is_read_only());
    assert_eq!(runs.room().status()["read_only"], true);
    assert_eq!(listed(&place, &runs), 1);
    assert_eq!(place.begun(&runs).expect_err("read-only").code, Code::StoreFull);
    runs.look_for_room();
    assert!(runs.room().is_read_only(), "still full");
    assert!(is_sound(&runs));
    drop(plan);
    runs.look_for_room();
    assert!(!runs.room().is_read_only());
    place.wait(runs.catalog().sealed_run(open)).expect("it was sealed as interrupted");
    place.sealed(&runs).expect("sealed");
    assert_eq!(place.wrong(&runs), Vec::<String>::new());
}

#[test]
fn a_first_start_on_a_full_disk_is_refused() {
    let place = DaemonFolder::new();
    let plan = place.plan(Fault::Full, 0);
    assert!(place.open().is_err());
    drop(plan);
    assert!(!place.open().expect("a start").room().is_read_only());
}

#[test]
fn one_caller_cannot_take_all_open_runs_also_not_at_once() {
    let mut place = DaemonFolder::new();
    let mut config = (*place.config).clone();
    (config.runs.max_open, config.quotas.open_runs) = (4, 2);
    place.config = config.into();
    let runs = place.open().expect("a start");
    let begin = |caller: &Caller| {
        let spec = RunSpec { workflow: "nightly".to_owned(), ..RunSpec::default() };
        runs.begin(spec, caller.clone(), json!({ "browser": "none" }))
    };
    let caller = |uid| Caller::Socket { uid, gid: 1, pid: None };
    let opened = |uid: u32, count: usize| {
        let caller = caller(uid);
        let all = place.wait(join_all((0..count).map(|_| begin(&caller))));
        let (done, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
        let fields = refused.into_iter().map(|it| it.expect_err("refused"));
        (done.len(), fields.map(|it| (it.code, it.field.unwrap_or_default())).collect::<Vec<_>>())
    };
    let own = (Code::TooManyRuns, "quotas.open_runs".to_owned());
    assert_eq!(opened(4001, 8), (2, vec![own.clone(); 6]));
    assert_eq!(opened(4002, 1), (1, vec![]));
    assert_eq!(opened(4003, 3), (1, vec![(Code::TooManyRuns, String::new()); 2]), "of all callers");
    let mine = runs.catalog().search_open(&Filter::default(), &Reader::Own(caller(4001)));
    let run = mine[0]["run"].as_str().expect("an id").parse().expect("an id");
    place.wait(runs.seal(run, &caller(4001), Ending::sealed("done"))).expect("sealed");
    assert_eq!(opened(4001, 2).0, 1, "one more");
}

#[test]
fn what_cannot_be_read_is_no_finding_of_the_scrubbers() {
    use rustix::io::Errno;

    use crate::disk::reading::{Reads, Unread};
    let place = DaemonFolder::new();
    let runs = place.open().expect("a start");
    let sealed = place.sealed(&runs).expect("sealed").run;
    let archived = place.sealed(&runs).expect("sealed").run;
    let asked = json!({ "runs": [archived] });
    let asked = crate::request::ArchiveRequest::read(asked).expect("sound");
    place.wait(runs.retention().archive(asked, &operator())).expect("archived");
    let entries = || runs.0.context.log.checkpoint().1.size;
    let round = || {
        let before = runs.integrity().scrubbed().rounds;
        while runs.integrity().scrubbed().rounds == before {
            runs.integrity().turn();
        }
    };
    round();
    assert!(
        runs.integrity().scrubbed().findings.is_empty()
            && runs.integrity().scrubbed().unreadable.is_empty()
    );
    let size = entries();
    for (at, errno) in [
        ("log", Errno::MFILE),
        ("log/checkpoint", Errno::ACCESS),
        ("log/tile/entries", Errno::IO),
        ("checkpoints", Errno::MFILE),
        ("custody", Errno::ACCESS),
        ("runs", Errno::ACCESS),
    ] {
        let reads = Reads::below(&runs.root().join(at), Unread::From(0), errno);
        round();
        for (place, findings) in [
            ("log", runs.integrity().log_findings().1),
            ("run", runs.integrity().findings_of(sealed)),
        ] {
            let codes = damage_codes(&findings);
            assert!(codes.is_empty(), "{at}, {place}: {codes:?}");
        }
        let scrubbed = runs.integrity().scrubbed();
        assert!(reads.failed() > 0 && scrubbed.findings.is_empty(), "{at}: {scrubbed:?}");
        assert!(!scrubbed.unreadable.is_empty(), "{at}");
        drop(reads);
        // It is tried again before its turn, and is then as it was.
        place.clock.advance(Duration::from_secs(61));
        runs.integrity().turn();
        assert_eq!(runs.integrity().scrubbed().unreadable, [].into(), "{at}");
    }
    assert_eq!(entries(), size, "the log holds no word of it");
    // What was found before is not forgotten while it cannot be read.
    let record = runs.0.context.store.folder_of(sealed).join("data/run.json");
    let folder = record.parent().expect("a folder");
    for path in [folder, record.as_path()] {
        crate::disk::set_mode(path, 0o700).expect("set");
    }
    crate::disk::remove_file(&record).expect("removed");
    write_once(&record, b"{}").expect("written");
    round();
    let found = runs.integrity().scrubbed().findings;
    assert!(found.contains_key(&sealed.to_string()), "{found:?}");
    let reads = Reads::below(runs.root(), Unread::From(0), Errno::MFILE);
    runs.integrity().judge_findings(&sealed.to_string(), &runs.integrity().findings_of(sealed));
    assert_eq!(runs.integrity().scrubbed().findings, found);
    drop(reads);
}
