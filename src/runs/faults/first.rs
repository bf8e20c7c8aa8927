//! The first start of all, in an empty folder; and a key that is exchanged, revoked, and told of by the
//! start after that.

use super::{DaemonFolder, is_over};
use crate::disk::fault::{Fault, try_all};
use crate::error::{Problem, chain};
use crate::evidence::log::LeafKind;
use crate::evidence::{Signers, SignersError, seal_digest};
use crate::receipt::Receipt;

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 37;

/// What somebody was told, and so must hold.
#[derive(Debug, Default)]
struct Acknowledged {
    sealed: Vec<Receipt>,
    /// Fingerprint of the key that was revoked.
    revoked: Option<String>,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

fn signers(place: &DaemonFolder) -> Result<Signers, SignersError> {
    Signers::open(&place.config.keys.signers_file())
}

/// As `exhibit keys revoke` does.
fn revoke(place: &DaemonFolder, key: &str) -> Result<(), SignersError> {
    // Some time after the last seal.
    place.clock.advance(std::time::Duration::from_millis(10));
    let at = place.clock.now();
    signers(place)?.revoke(key, &place.config.keys.place(), (None, "it was lost"), at).map(drop)
}

fn live(place: &DaemonFolder) -> Acknowledged {
    let mut told = Acknowledged::default();
    let Some(runs) = place.twice("open", &mut told.refused, DaemonFolder::open) else {
        return told;
    };
    told.sealed.extend(place.twice("seal", &mut told.refused, |place| place.sealed(&runs)));
    let first = runs.0.signing.key().fingerprint();
    drop(runs);
    // Refused the second time because another key waits already, or this one is revoked already.
    drop(place.rotate().or_else(|_| place.rotate()));
    if revoke(place, &first).is_ok() || revoke(place, &first).is_ok() {
        told.revoked = Some(first);
    }
    let Some(runs) = place.twice("open", &mut told.refused, DaemonFolder::open) else {
        return told;
    };
    told.sealed.extend(place.twice("seal", &mut told.refused, |place| place.sealed(&runs)));
    place.wait(runs.stopped());
    told
}

/// What is wrong after a start.
fn wrong(place: &DaemonFolder, told: &Acknowledged) -> Vec<String> {
    let words = |problem: Problem| vec![format!("no start: {}", chain(&problem))];
    let runs = match place.open() {
        Ok(runs) => runs,
        Err(problem) => return words(problem),
    };
    let mut wrong = place.wrong(&runs);
    for receipt in &told.sealed {
        let folder = runs.0.context.store.folder_of(receipt.run);
        if seal_digest(&folder) != Some(receipt.seal_sha256) {
            wrong.push(format!("the seal of {} is gone", receipt.run));
        }
    }
    let revoked = signers(place).expect("a history").revoked().to_vec();
    let logged =
        runs.0.context.log.last(|leaf| leaf.kind == LeafKind::KeyRevocation).expect("readable");
    if revoked.iter().any(|it| !it.logged) || revoked.is_empty() == logged.is_some() {
        wrong.push(format!("the log and the list tell another thing of {revoked:?}"));
    }
    if told.revoked.is_some() && told.revoked != revoked.first().map(|it| it.fingerprint.clone()) {
        wrong.push("the revocation that was told of is gone".to_owned());
    }
    for key in [&place.config.keys.signing, &place.config.keys.log_file()] {
        if !key.with_added_extension("pub").is_file() {
            wrong.push(format!("{} has no public half", key.display()));
        }
    }
    // What was begun stands in the way of nothing.
    wrong.extend(place.sealed(&runs).err().map(|error| format!("no seal: {}", chain(&error))));
    wrong
}

/// How many steps a life takes on a disk that does as it is told.
fn steps() -> u64 {
    let place = DaemonFolder::new();
    let plan = place.plan(Fault::Failed, u64::MAX);
    let told = live(&place);
    let steps = plan.steps();
    drop(plan);
    assert_eq!(told.refused, Vec::<String>::new());
    assert_eq!(wrong(&place, &told), Vec::<String>::new());
    assert!(told.sealed.len() == 2 && told.revoked.is_some(), "{told:?}");
    steps
}

#[test]
fn a_disk_that_fails_at_any_step_of_the_first_start_leaves_one_that_succeeds() {
    try_all(steps(), STRIDE, |fault, step| {
        let place = DaemonFolder::new();
        let plan = place.plan(fault, step);
        let mut told = live(&place);
        drop(plan);
        let mut wrong = wrong(&place, &told);
        if is_over(fault) {
            wrong.append(&mut told.refused);
        }
        wrong
    });
}
