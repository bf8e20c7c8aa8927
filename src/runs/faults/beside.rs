//! Verification beside a daemon at work: runs are opened, sealed, archived, restored and purged, bundles
//! of another store taken in and purged, while somebody verifies the store and asks for its population.
//! Nothing of that is ever told as a change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use super::kept::bundles;
use super::{DaemonFolder, operator, purge_all};
use crate::blob::Blob;
use crate::error::Code;
use crate::evidence::{Act, Class, Custody, FindingCode, Signers, Trust, verify};
use crate::id::RunId;
use crate::population::{self, Query, Row};
use crate::request::{ArchiveRequest, ImportPurgeRequest, PurgeRequest};
use crate::run::Reader;
use crate::runs::access::accessor::decided;
use crate::runs::{Accessor, Imported, Runs};
use crate::tlog::policy::Policy;

/// Rounds of the daemon's work; each moves every run that there is several times.
const ROUNDS: usize = 6;
/// After whatever was promised.
const LATER: Duration = Duration::from_hours(24 * 500);

/// One round of work on a store with `old` runs.
fn work(place: &DaemonFolder, runs: &Runs, old: &[RunId], bundle: &Blob) {
    let archive = |of: &[RunId], restore: bool| {
        let (runs_asked, older_than_days) = (of.to_vec(), None);
        let asked = ArchiveRequest { runs: runs_asked, older_than_days, dry_run: false, restore };
        let done =
            place.wait(runs.retention().archive(asked, &operator())).expect("archived or restored");
        assert_eq!(done.runs.len(), of.len());
    };
    let bring =
        || place.wait(runs.retention().import(bundle.clone(), &operator())).expect("taken in");
    let Imported { sha256, .. } = bring();
    archive(old, false);
    let new = [(); 2].map(|()| place.sealed(runs).expect("sealed").run);
    archive(old, true);
    archive(&new[..1], false);
    place.clock.advance(LATER);
    let asked = PurgeRequest { runs: new.to_vec(), ..purge_all() };
    let purged = place.wait(runs.purge(asked, &operator())).expect("purged");
    assert_eq!(purged.purged.len(), new.len());
    let reason = "its time is over".to_owned();
    let asked = ImportPurgeRequest { reason, dry_run: false, even_damaged: false };
    place.wait(runs.retention().purge_import(sha256, asked, &operator())).expect("purged");
    for run in old {
        archive(&[*run], false);
        archive(&[*run], true);
    }
}

fn trust(place: &DaemonFolder, runs: &Runs) -> Trust {
    let keys = &place.config.keys;
    let signers = Signers::open(&keys.signers_file()).expect("a history");
    let lines = signers.allowed_signers(&keys.principal, runs.0.signing.key().signer().public());
    let policy = Policy::parse(&format!("log {}\n", runs.0.context.log.key())).expect("a policy");
    Trust::from_allowed_signers(&lines).expect("a list").with_log(policy)
}

/// What verification and population say of the store but for what is only worth knowing.
fn accused(runs: &Runs, trust: &Trust) -> Vec<String> {
    let report = verify::store(runs.root(), trust, &[]);
    let folders = report.folders.iter().flat_map(|folder| &folder.findings);
    let found = folders.chain(&report.findings).filter(|finding| finding.class != Class::Note);
    let mut found: Vec<String> = found.map(ToString::to_string).collect();
    let all = Query { from: None, to: None, workflow: None };
    let population = population::population(runs.root(), all, None, trust.log());
    let population = population.expect("a log");
    let doubt = |row: &Row| format!("{} {} {:?}", row.run, row.fate.word(), row.codes);
    found.extend(population.doubtful().map(doubt));
    found
}

#[test]
fn verification_beside_a_daemon_at_work_accuses_nobody() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a store");
    let old = [(); 3].map(|()| place.sealed(&runs).expect("sealed").run);
    let [bundle, _] = bundles();
    let trust = trust(&place, &runs);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let verifiers = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut found = Vec::new();
                while !is_done.load(Ordering::Acquire) {
                    found.extend(accused(&runs, &trust));
                }
                found
            })
        });
        let worked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for _ in 0..ROUNDS {
                work(&place, &runs, &old, &bundle);
            }
        }));
        is_done.store(true, Ordering::Release);
        let found: Vec<String> =
            verifiers.into_iter().flat_map(|one| one.join().expect("verified")).collect();
        worked.expect("the daemon works");
        assert!(found.is_empty(), "{} accusations:\n{}", found.len(), found.join("\n"));
    });
    place.wait(runs.stopped());
    let found = accused(&runs, &trust);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_start_tells_of_lines_of_custody_that_the_log_did_not_hold() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a store");
    let run = place.sealed(&runs).expect("sealed").run;
    let looked = || decided(&operator(), Act::View, vec![run], json!({}));
    runs.0.access.record(looked()).expect("put down");
    place.wait(runs.stopped());
    let told = |runs: &Runs| {
        let report = verify::store(runs.root(), &trust(&place, runs), &[]);
        assert_eq!(report.exit(), 0, "{:#?}", report.findings);
        let told = report.findings.iter().filter(|it| it.code == FindingCode::CustodyUnlogged);
        told.map(|finding| finding.found.clone()).collect::<Vec<_>>()
    };
    drop(runs);
    let runs = place.open().expect("a start");
    assert_eq!(told(&runs), [""; 0], "a stop in good order leaves none");
    place.wait(runs.stopped());
    let root = runs.root().to_owned();
    drop(runs);
    // Somebody with the files adds a line while no daemon runs.
    let custody = Custody::open(&root).expect("a chain");
    custody.record(looked(), place.clock.now()).expect("added");
    drop(custody);
    let runs = place.open().expect("a start");
    runs.0.access.record(looked()).expect("put down");
    place.wait(runs.stopped());
    assert_eq!(told(&runs), ["lines 2 to 2, found at a start"]);
}

#[test]
fn an_import_over_a_run_that_is_damaged_says_so_and_takes_nothing_in() {
    let place = DaemonFolder::new();
    let runs = place.open().expect("a store");
    let run = place.sealed(&runs).expect("sealed").run;
    let accessor = Accessor::caller(operator(), Reader::Everything);
    let bundle = place.wait(runs.disclosure().bundle(vec![run], &accessor)).expect("a bundle");
    let bring = || place.wait(runs.retention().import(bundle.clone(), &operator()));
    assert_eq!(bring().expect("it is here").here, [run]);
    let file = runs.0.context.store.folder_of(run).join("data/events.jsonl");
    crate::disk::set_mode(&file, 0o600).expect("set");
    crate::disk::replace(&file, b"{}\n", 0o600).expect("replaced");
    let problem = bring().expect_err("not as it was sealed");
    assert_eq!(problem.code, Code::RunDamaged, "{problem:?}");
    assert!(problem.to_string().contains("file_altered"), "{problem}");
}
