//! Tests of the index: what is put into it is found and counted, by whoever may see it, and readers and
//! the writer do not wait for each other.

#![expect(clippy::disallowed_methods, reason = "tests damage files of their own")]

use std::fs;

use super::super::fixture::Bench;
use super::super::query::{Filter, USAGE};
use super::super::record::RunRecord;
use super::*;
use crate::run::Caller;

#[test]
fn deleting_or_damaging_the_file_loses_nothing() {
    let bench = Bench::new();
    bench.sealed(0);
    bench.sealed(1);
    let root = bench.store.root().to_owned();
    let path = root.join("index.sqlite");
    let (index, filled) = Index::rebuild(&path, &root).expect("built");
    assert_eq!((filled.added, filled.unreadable.len()), (2, 0));
    let before = index.list(&Filter::default()).expect("listed");
    drop(index);
    for damage in ["delete", "garbage", "truncate"] {
        match damage {
            "delete" => fs::remove_file(&path).expect("removed"),
            "garbage" => fs::write(&path, vec![b'x'; 8192]).expect("written"),
            _ => {
                let bytes = fs::read(&path).expect("read");
                fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
            }
        }
        let index = Index::open(&path).expect("opened");
        assert!(index.is_new(), "{damage}");
        index.fill(&root).expect("filled");
        assert_eq!(index.list(&Filter::default()).expect("listed"), before, "{damage}");
    }
    assert!(!Index::open(&path).expect("opened").is_new());
}

/// Rows of so many runs of another caller, made by SQLite itself.
fn crowd(index: &Index, rows: u32) {
    let crowd = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) \
         INSERT INTO runs SELECT printf('%08d', i), 'w', 'sealed', \
         '2026-11-24T08:00:00.000Z', NULL, NULL, NULL, NULL, 'uid:4242', '', '{{}}', 1 FROM n"
    );
    index.lock().execute_batch(&crowd).expect("filled");
}

#[test]
fn a_reader_does_not_stop_a_writer_nor_a_writer_a_reader() {
    let bench = Bench::new();
    let record = RunRecord::read(&bench.sealed(0)).expect("read");
    let run = record.opening.run;
    let index = Index::open(&bench.store.root().join("index.sqlite")).expect("opened");
    crowd(&index, 1000);
    // Half-way through a long list, on the thread that writes: were there one lock, it would wait
    // for itself.
    let reader = index.reader().expect("lent");
    let mut all = reader.prepare("SELECT run FROM runs").expect("prepared");
    let mut rows = all.query([]).expect("asked");
    assert!(rows.next().expect("read").is_some());
    index.put(record).expect("put");
    let writer = index.lock();
    assert!(index.get(run).expect("read").is_some(), "read while somebody writes");
    drop(writer);
    let mut seen = 1;
    while rows.next().expect("read").is_some() {
        seen += 1;
    }
    assert_eq!(seen, 1000, "what was there when it was asked");
}

#[expect(clippy::disallowed_methods, reason = "a test measures")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

/// One lock over all: nineteen times slower with 60,000 rows. What is left is the processor's.
#[test]
fn four_who_ask_for_their_usage_do_not_stop_sealing() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let bench = Bench::new();
    let record = RunRecord::read(&bench.sealed(0)).expect("read");
    let index = Index::open(&bench.store.root().join("index.sqlite")).expect("opened");
    crowd(&index, 60_000);
    let nobody = Caller::Key { id: "0badc0de".to_owned(), name: "k".to_owned() };
    let put = || {
        let before = now();
        (0..200).for_each(|_| index.put(record.clone()).expect("put"));
        now().saturating_duration_since(before)
    };
    let (alone, over) = (put(), AtomicBool::new(false));
    let beside = std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    index.captures_since(&nobody, "2026-11").expect("asked");
                }
            });
        }
        let beside = put();
        over.store(true, Ordering::Relaxed);
        beside
    });
    println!("200 seals in the index: {alone:?} alone, {beside:?} beside four pollers");
    assert!(beside < alone * 10 + std::time::Duration::from_millis(200), "{alone:?} {beside:?}");
}

#[test]
fn readers_are_few_and_wait_for_each_other() {
    let bench = Bench::new();
    let index = Index::open(&bench.store.root().join("index.sqlite")).expect("opened");
    let lent: Vec<_> = (0..4).map(|_| index.reader().expect("lent")).collect();
    std::thread::scope(|scope| {
        let fifth = scope.spawn(|| index.get(super::super::fixture::id(0)).expect("read"));
        drop(lent);
        assert!(fifth.join().expect("it got one").is_none());
    });
}

#[test]
fn usage_costs_the_same_however_many_runs_there_are() {
    use rusqlite::StatementStatus::VmStep;
    let bench = Bench::new();
    let record = RunRecord::read(&bench.sealed(0)).expect("read");
    let (caller, captures) = (record.opening.caller.clone(), record.counts.captures);
    let month = record.opened_at[..7].to_owned();
    let index = Index::open(&bench.store.root().join("index.sqlite")).expect("opened");
    // Taken in twice, it counts once; forgotten, not at all.
    for _ in 0..2 {
        index.put(record.clone()).expect("put");
        assert_eq!(index.captures_since(&caller, &month).expect("asked"), captures);
    }
    assert_eq!(index.captures_since(&caller, "2099-01").expect("asked"), 0);
    crowd(&index, 60_000);
    let crowd = Caller::Socket { uid: 4242, gid: 1, pid: None };
    let nobody = Caller::Key { id: "0badc0de".to_owned(), name: "k".to_owned() };
    for (caller, captures) in [(&crowd, 60_000), (&nobody, 0)] {
        assert_eq!(index.captures_since(caller, "2026-01").expect("asked"), captures);
        let opener = Some(caller.clone());
        let filter = Filter { opener, limit: Some(10), ..Filter::default() };
        index.list(&filter).expect("listed");
        // The connection that was lent last keeps the statements that it ran.
        let reader = index.reader().expect("lent");
        for statement in [USAGE.to_owned(), filter.list(10).0] {
            let ran = reader.prepare_cached(&statement).expect("prepared");
            let steps = ran.get_status(VmStep);
            assert!(0 < steps && steps < 500, "{steps} for {statement}");
        }
    }
    index.forget(record.opening.run).expect("forgotten");
    assert_eq!(index.captures_since(&caller, &month).expect("asked"), 0);
}

/// What somebody with the store's files can put into the index beside rows.
const STRANGE: [&str; 5] = [
    "CREATE TRIGGER evil AFTER INSERT ON marks BEGIN \
     UPDATE runs SET outcome = 'failed', summary = replace(summary, 'succeeded', 'failed') \
     WHERE run = new.run; END; DELETE FROM marks;",
    "ALTER TABLE runs RENAME TO rows; CREATE VIEW runs AS SELECT * FROM rows;",
    "DROP TABLE runs;",
    "DROP TABLE marks; DROP TABLE usage;",
    "ALTER TABLE runs ADD COLUMN more TEXT; CREATE TABLE \"a\"\"b\" (x);",
];

#[test]
fn nothing_strange_in_the_schema_stays_at_a_start_nor_beside_a_daemon_at_work() {
    for strange in STRANGE {
        for at_work in [false, true] {
            let bench = Bench::new();
            bench.sealed(0);
            let root = bench.store.root().to_owned();
            let path = root.join("index.sqlite");
            let open = || {
                let index = Index::open(&path).expect("opened");
                index.authenticate(&super::super::fixture::log_key());
                index.distrust().expect("looked at");
                index.fill(&root).expect("filled");
                index
            };
            let index = open();
            let before = index.list(&Filter::default()).expect("listed");
            let held = at_work.then_some(index);
            Connection::open(&path).expect("opened").execute_batch(strange).expect("done");
            let index = match held {
                Some(index) => {
                    assert!(index.distrust().expect("mended"), "{strange}");
                    index.fill(&root).expect("filled");
                    index
                }
                None => open(),
            };
            assert_eq!(index.list(&Filter::default()).expect("listed"), before, "{strange}");
            assert_eq!(schema(&index.lock()), own_schema(), "{strange}");
            bench.sealed(1);
            index.fill(&root).expect("filled");
            let all = index.list(&Filter::default()).expect("listed");
            assert!(all.iter().all(|run| run.outcome.as_deref() != Some("failed")), "{strange}");
            assert_eq!(all.len(), 2, "{strange}");
        }
    }
}
