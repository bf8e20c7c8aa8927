//! Every write of Exhibit's evidence: runs on disk from their first event to the sealed folder, the keys
//! that sign them, the log in which they stand, and what becomes of them later. docs/FORMAT.md is the
//! contract of what is written, and `exhibit-verify` reads it.
//!
//! In scope: the store and its lock ([`Store`]); a run that is open ([`Draft`]) and its sealing; the keys
//! of evidence and of the log, in files or held by an SSH agent ([`Signer`], [`LogKey`], [`ssh_agent`]),
//! their exchange and revoking ([`Signers`]), and the look at them before anything is made
//! ([`Inventory`]); the log's writer ([`log::Log`]); what a start does with what a crash or an insider
//! left ([`Triage`], [`Store::resume`]); archives, purges and imports, which are methods of [`Store`];
//! the access log ([`Custody`]); the index over it all, which can be deleted at any time ([`Index`]);
//! bundles unpacked ([`bundle`]); and every write to the file system ([`disk`]), with what holds files in
//! place (flags, fs-verity) and who else could exchange them ([`ownership`]).
//!
//! Out of scope: HTTP, an async runtime, a browser, configuration files. Everything blocks. Nothing but
//! [`clock`] reads the time: a [`Moment`](clock::Moment) is passed in. Two things are asked of whoever
//! uses the store, each by a trait: timestamps of an authority ([`TimestampAuthority`]) and the report in
//! a sealed folder ([`Reporter`]). Who may read, hold or purge is decided above.
//!
//! # The order of things
//! What is acknowledged is on disk: a file is written under another name, synchronised, renamed, and its
//! folder synchronised. An event is a line of a hash chain. A seal is a list of small steps, each of
//! which may be the last before a crash: closing event, record, manifest, report, tag manifest, signature,
//! timestamp, seal, everything read back and verified, the log's entry, its proof, one rename. Until the
//! seal is in the log sealing starts over; from then on the run is that seal. What cannot be written is a
//! [`StoreError`], and what stopped a seal a [`SealError`], which gives the run back.
//!
//! # Example
//! ```
//! use exhibit_store::clock::Clock;
//! use exhibit_store::{Signer, Store, Trust, verify};
//! use exhibit_verify::artifact::NewArtifact;
//! use exhibit_verify::id::RunId;
//! use exhibit_verify::run::{Caller, Ending, Event, Opening, RunSpec};
//! use serde_json::json;
//!
//! # let folder = tempfile::tempdir()?;
//! # let at = folder.path();
//! let store = Store::open(&at.join("store"))?;
//! let signer = Signer::load_or_create(&at.join("evidence_ed25519"))?;
//! let clock = Clock::system();
//!
//! // A run is opened, and stands on disk from here on.
//! let opening = Opening {
//!     run: RunId::new(clock.now()),
//!     spec: RunSpec { workflow: "refund".to_owned(), ..RunSpec::default() },
//!     policy: None,
//!     retention: None,
//!     caller: Caller::Daemon,
//!     host: "desk.example".to_owned(),
//!     exhibit: "0.1.0".to_owned(),
//!     redacted: None,
//! };
//! let mut draft = store.begin(&opening, &json!({ "browser": "none" }), clock.now())?;
//! let note = NewArtifact {
//!     path: "attachments/note.txt".to_owned(),
//!     media_type: "text/plain",
//!     bytes: b"paid back".to_vec().into(),
//! };
//! let files = draft.add(vec![note])?;
//! draft.record(&[Event::exhibit("note.taken", json!({ "files": files }))], clock.now())?;
//!
//! // It is sealed: nothing here changes it any more, and whoever has the key's line can check it.
//! let receipt = draft.seal(&Ending::sealed("succeeded"), &signer, clock.now())?;
//! let line = signer.allowed_signers_line("desk@example");
//! let trust = Trust::from_allowed_signers(&line)?;
//! let report = verify::folder(&store.root().join(&receipt.folder), &trust);
//! assert_eq!(report.signed_by.as_deref(), Some("desk@example"));
//! assert!(report.findings.is_empty(), "{:?}", report.findings);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Tests of whoever uses it
//! With the feature `testing` a disk can be told to fail at any step (`disk::fault`), there are runs
//! whose every byte is the same each time (`fixture`), and what somebody with a store's files can do to
//! them (`tampering`). Without it a step is what it does, and nothing of
//! this is compiled.

#[rustfmt::skip]
pub use exhibit_verify::{bag, chain, facts, finding, found, layout, record, sizes, trust, verify};

use exhibit_tlog::{self as tlog, digest};
use exhibit_verify::{artifact, id, receipt, run, shown, timestamp, workflow};

mod archive;
mod batch;
pub mod bundle;
pub mod clock;
mod custody;
pub mod disk;
mod draft;
mod error;
mod growing;
mod growing_file;
mod import;
mod index;
mod inventory;
mod key_file;
mod leftovers;
pub mod log;
pub mod ownership;
mod places;
mod publish;
mod purge;
mod query;
mod recover;
mod reporter;
mod seal;
mod sign;
mod signers;
pub mod ssh_agent;
mod stamp;
mod store;
mod triage;

pub use archive::archived_in;
pub use bag::Manifest;
pub use chain::{Line, artifacts_stated, lines};
pub use custody::{
    AccessActor, Act, Custody, CustodyEvent, Head, NewAccessEvent, lines as custody_lines,
};
pub use draft::{Attachment, Draft};
pub use error::{SealCause, SignError, StoreError};
pub use exhibit_verify::archived::archived_record;
pub use exhibit_verify::revocation::Revocation;
pub use facts::{CodeNamed, RunFacts, sealed_report};
pub use finding::{Class, Finding, FindingCode};
pub use found::{
    FindingDetail, Findings, FoundBy, Integrity, IntegrityState, LOG_PLACE, LoggedFinding, Resolved,
};
pub use growing_file::GrowingFile;
pub use index::{Filled, Index, IndexError, words};
pub use inventory::{Amiss, Inventory};
pub use key_file::KeyKind;
pub use layout::{
    EVENTS, FORMAT, IMPORTED, MANIFEST, MAX_MANIFEST, MAX_SMALL, PROOF, QUARANTINE, RECORD, REPORT,
    RUNS, SEAL, archived_place, is_safe_path, open_place, sealed_place,
};
pub use purge::{Leaving, seal_digest};
pub use query::{Choice, Filter, MAX_LIST, Tally};
pub use record::{Counts, RunRecord, RunSummary};
pub use recover::{Salvage, Torn, Unlogged};
pub use reporter::{PlainReports, Reporter};
pub use seal::{GUIDE, SealError};
pub use sign::{KeyGone, KeyPlace, LogKey, Signer};
pub use signers::{Doubt, Epoch, Next, Signers, SignersError};
pub use stamp::TimestampAuthority;
pub use store::{Store, days_in, sealed_in, unlisted_in};
pub use triage::Triage;
pub use trust::{LOG_KEY, REVOKED, SIGNERS, Trust, TrustError, Unfit};

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod completeness;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod exchange;
#[cfg(test)]
mod faults;
#[cfg(any(test, feature = "testing"))]
pub mod fixture;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod known;
#[cfg(test)]
mod matrix;
#[cfg(test)]
mod model;
#[cfg(test)]
mod mutations;
#[cfg(any(test, feature = "testing"))]
pub mod tampering;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth;
