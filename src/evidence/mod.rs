//! Owns evidence: runs on disk from their first event to the sealed folder, the key that signs them,
//! the verification of what was sealed, and the index over it. docs/FORMAT.md is the contract.
//!
//! Knows no HTTP, no async runtime and no clock of its own: a [`Moment`](crate::clock::Moment) is
//! passed in. Everything blocks; all writing goes through [`disk`](crate::disk).

#[rustfmt::skip]
pub use exhibit_verify::{bag, chain, facts, finding, found, layout, record, sizes, trust, verify};

mod archive;
mod batch;
mod custody;
mod draft;
mod error;
mod growing;
mod import;
mod index;
mod inventory;
mod key_file;
pub mod log;
mod publish;
mod purge;
mod query;
mod recover;
mod revocation;
mod seal;
mod sign;
mod signers;
mod stamp;
mod store;
mod triage;

pub(crate) use archive::archived_in;
pub(crate) use bag::Manifest;
pub(crate) use chain::{Line, artifacts_stated, lines};
pub use custody::{Act, Custodian, Custody, CustodyEvent, Deed, Head, lines as custody_lines};
pub use draft::{Attachment, Draft};
pub use error::{SealCause, SealError, StoreError};
pub(crate) use exhibit_verify::archived::archived_record;
pub use exhibit_verify::revocation::Revocation;
pub(crate) use facts::is_sealed_report;
pub use facts::{CodeNamed, RunFacts};
pub use finding::{Class, Finding, FindingCode};
pub(crate) use found::LOG_PLACE;
pub use found::{Findings, FoundBy, Integrity, IntegrityState, LoggedFinding, Resolved, Said};
pub use growing::GrowingFile;
pub(crate) use index::words;
pub use index::{Filled, Index, IndexError};
pub use inventory::{Amiss, Inventory};
pub use key_file::KeyKind;
pub use layout::FORMAT;
pub(crate) use layout::{
    EVENTS, IMPORTED, MANIFEST, MAX_MANIFEST, MAX_SMALL, PROOF, QUARANTINE, RECORD, REPORT, RUNS,
    SEAL, archived_place, is_safe_path, open_place, sealed_place,
};
pub use purge::Leaving;
pub(crate) use purge::seal_digest;
pub use query::{Choice, Filter, MAX_LIST, Tally};
pub use record::{Counts, RunRecord, RunSummary};
pub use recover::{Salvage, Torn, Unlogged};
pub(crate) use seal::GUIDE;
pub use sign::{KeyPlace, LogKey, SignError, Signer};
pub use signers::{Doubt, Epoch, Next, Signers, SignersError};
pub use stamp::TimestampAuthority;
pub use store::Store;
pub(crate) use store::{days_in, sealed_in, unlisted_in};
pub use triage::Triage;
pub(crate) use trust::{LOG_KEY, REVOKED, SIGNERS};
pub use trust::{Trust, TrustError, Unfit};

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod completeness;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixture;
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
#[cfg(test)]
mod tests;
#[cfg(test)]
mod truth;
