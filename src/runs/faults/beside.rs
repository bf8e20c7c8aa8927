//! Verification beside a daemon at work: runs are opened, sealed, archived, restored and purged, bundles
//! of another store taken in and purged, while somebody verifies the store and asks for its population.
//! Nothing of that is ever told as a change.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::kept::bundles;
use super::{Place, operator, purge_all};
use crate::blob::Blob;
use crate::evidence::{Class, Signers, Trust, verify};
use crate::id::RunId;
use crate::population::{self, Query, Row};
use crate::request::{ArchiveRequest, ImportPurgeRequest, PurgeRequest};
use crate::runs::{Imported, Runs};
use crate::tlog::policy::Policy;

/// Rounds of the daemon's work; each moves every run that there is several times.
const ROUNDS: usize = 6;
/// After whatever was promised.
const LATER: Duration = Duration::from_hours(24 * 500);

/// One round of work on a store with `old` runs.
fn work(place: &Place, runs: &Runs, old: &[RunId], bundle: &Blob) {
    let archive = |of: &[RunId], restore: bool| {
        let (runs_asked, older_than_days) = (of.to_vec(), None);
        let asked = ArchiveRequest { runs: runs_asked, older_than_days, dry_run: false, restore };
        let done = place.wait(runs.archive(asked, &operator())).expect("archived or restored");
        assert_eq!(done.runs.len(), of.len());
    };
    let bring = || place.wait(runs.import(bundle.clone(), &operator())).expect("taken in");
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
    place.wait(runs.purge_import(sha256, asked, &operator())).expect("purged");
    for run in old {
        archive(&[*run], false);
        archive(&[*run], true);
    }
}

/// What verification and population say of the store but for what is only worth knowing.
fn accused(runs: &Runs, trust: &Trust) -> Vec<String> {
    let report = verify::store(runs.root(), trust, &[]);
    let folders = report.folders.iter().flat_map(|folder| &folder.findings);
    let found = folders.chain(&report.findings).filter(|finding| finding.class != Class::Note);
    let mut found: Vec<String> = found.map(ToString::to_string).collect();
    let all = Query { from: None, to: None, workflow: None };
    let population = population::population(runs.root(), all).expect("a log");
    let doubt = |row: &Row| format!("{} {} {:?}", row.run, row.fate.word(), row.codes);
    found.extend(population.doubtful().map(doubt));
    found
}

#[test]
fn verification_beside_a_daemon_at_work_accuses_nobody() {
    let place = Place::new();
    let runs = place.open().expect("a store");
    let old = [(); 3].map(|()| place.sealed(&runs).expect("sealed").run);
    let [bundle, _] = bundles();
    let keys = &place.config.keys;
    let signers = Signers::open(&keys.signers_file()).expect("a history");
    let lines = signers.allowed_signers(&keys.principal, runs.0.signing.signer().public());
    let policy = Policy::parse(&format!("log {}\n", runs.log().key())).expect("a policy");
    let trust = Trust::from_allowed_signers(&lines).expect("a list").with_log(policy);
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
