//! The format of Exhibit's evidence and its verification: of evidence folders, archives, bundles and
//! whole stores, offline. docs/FORMAT.md is the contract.
//!
//! In scope: where things lie ([`layout`]), the bag ([`bag`]), the event chain ([`chain`]), the record
//! of a run ([`record`]), what a workflow asks for ([`workflow`]), the log's entries and their reading
//! ([`log`]), timestamps without HTTP ([`timestamp`]), whom an auditor believes ([`trust`]), and the
//! verification itself ([`verify`]), which answers with findings ([`finding`]) and an exit code
//! ([`exit`]).
//!
//! Out of scope: writing (nothing here opens a file for that, but for nameless scratch files), reading
//! a clock, the network, an async runtime, a browser. Who seals is `exhibit-store`'s.
//!
//! What cannot be read is never told as altered: [`disk::is_unreadable`] tells the two apart.
//!
//! # Example
//! ```
//! use std::path::Path;
//!
//! use exhibit_verify::trust::Trust;
//! use exhibit_verify::{exit, verify};
//!
//! // One of the frozen folders of format version 1, and the keys that sealed it.
//! # let tests = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/store/v1");
//! # let tests = Path::new(tests);
//! let store = tests.join("store");
//! let believed = Trust::in_folder(&tests.join("trust")).expect("keys to believe");
//! let report = verify::store(&store, &believed, &[]);
//! assert_eq!(report.exit(), exit::OK, "{:?}", report.findings);
//! ```

pub mod archived;
pub mod artifact;
pub mod bag;
pub mod blob;
pub mod bundle;
pub mod cause;
pub mod chain;
pub mod command;
pub mod custody;
pub mod disk;
pub mod error;
pub mod exit;
pub mod facts;
pub mod finding;
pub mod found;
pub mod id;
pub mod imported;
pub mod layout;
pub mod log;
pub mod moment;
pub mod opening;
pub mod receipt;
pub mod record;
pub mod retention;
pub mod revocation;
pub mod run;
pub mod shown;
pub mod sizes;
pub mod timestamp;
pub mod trust;
pub mod unlogged;
pub mod verify;
pub mod workflow;

mod allowed;
#[cfg(test)]
mod test_key;
