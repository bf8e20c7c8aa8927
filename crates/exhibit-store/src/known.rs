//! The facts of a run, of runs that the store sealed: what the seal binds is believed, and nothing else.

use serde_json::json;

use super::attacks::write;
use super::damage::unlock;
use super::fixture::{Bench, signer};
use super::{FindingCode, MANIFEST, RECORD, RunFacts, SEAL};
use crate::digest::Digest;
use crate::run::{Actor, Ending, Event};
use crate::workflow::CODE_EVENT;

#[test]
fn code_counts_wherever_it_was_named_and_only_by_the_daemons_word() {
    let bench = Bench::new();
    let mut draft = bench.filled(0);
    let code = json!({ "code": { "commit": "0123456" }, "work_tree": { "state": "dirty" } });
    let event = |actor| Event { actor, ..Event::exhibit(CODE_EVENT, code.clone()) };
    let events = [event(Actor::Agent), event(Actor::Exhibit)];
    draft.record(&events, bench.now()).expect("recorded");
    let receipt = draft.seal(&Ending::sealed("succeeded"), &signer(), bench.now());
    let folder = bench.store.root().join(receipt.expect("sealed").folder);
    let facts = RunFacts::of(&folder, None).expect("readable");
    assert_eq!(facts.doubts, [].into());
    let named: Vec<_> = facts.code.iter().map(|one| (one.event, one.code.clone())).collect();
    assert_eq!(json!(named), json!([[5, { "commit": "0123456" }]]));
    assert!(facts.code[0].work_tree.is_some());
}

#[test]
fn what_the_seal_does_not_bind_is_in_doubt() {
    let bench = Bench::new();
    let folder = bench.sealed(0);
    unlock(&folder);
    let seal = Digest::of(&std::fs::read(folder.join(SEAL)).expect("there"));
    let doubts = |logged| RunFacts::of(&folder, logged).expect("readable").doubts;
    assert_eq!(doubts(Some(seal)), [].into());
    assert_eq!(doubts(Some(Digest::ZERO)), [FindingCode::SealNotLogged].into());
    let record = std::fs::read_to_string(folder.join(RECORD)).expect("there");
    write(&folder.join(RECORD), record.replace("succeeded", "approved!").as_bytes());
    assert_eq!(doubts(Some(seal)), [FindingCode::FileAltered].into());
    // The manifest made to fit is not the one that was sealed.
    let manifest = std::fs::read_to_string(folder.join(MANIFEST)).expect("there");
    let (old, new) = (Digest::of(record.as_bytes()), std::fs::read(folder.join(RECORD)));
    let new = Digest::of(&new.expect("there"));
    let manifest = manifest.replace(&old.to_string(), &new.to_string());
    write(&folder.join(MANIFEST), manifest.as_bytes());
    assert_eq!(doubts(Some(seal)), [FindingCode::SealMismatch].into());
}
