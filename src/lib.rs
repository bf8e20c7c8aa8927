//! Exhibit drives a local Chromium, captures what an agent did in a web application, and writes
//! hash-manifested, signed evidence folders that anybody can check offline.
//!
//! The layers, lowest first; a module may use those above it in this list, never those below
//! (`tests/it/tidy/` holds the rule):
//!
//! * L0 base: [`pack`], [`secret`], [`error`], [`http`], [`compare`], [`redact`], [`words`], [`qr`]
//! * L1 domain: [`request`]
//! * L2 parts: [`config`], [`auth`], [`quotas`], [`hosted`], [`report`], [`worktree`], [`population`],
//!   [`integrity`]
//! * L3 pipeline: [`runs`], [`sessions`], [`sequences`], [`jobs`], [`capture`]
//! * L4 daemon and API: [`daemon`], [`api`], [`web`], [`client`]
//! * L5 front ends: [`cli`], [`demo`]; `fuzz`, which only tests have
//!
//! Below them lie crates, whose modules are known here by paths of the daemon's own: the browser with
//! its settings and its policy ([`exhibit_browser`]: [`backend`], [`settings`], [`policy`], [`masks`],
//! [`blocking`], [`video`], [`caption`], [`markdown`], [`tasks`]); every write of evidence
//! ([`exhibit_store`]: [`evidence`], [`disk`], [`bundle`], [`clock`], [`ownership`], [`ssh_agent`]); its
//! format ([`exhibit_verify`]: [`artifact`], [`run`], [`receipt`], [`workflow`], [`retention`], [`id`],
//! [`blob`], [`shown`], [`timestamp`]); the log's arithmetic ([`exhibit_tlog`]: [`tlog`], [`digest`]).

pub use exhibit_browser::{blocking, caption, markdown, masks, policy, settings, tasks, video};
pub use exhibit_store as evidence;
pub use exhibit_store::{bundle, clock, disk, ownership, ssh_agent};
pub use exhibit_tlog as tlog;
pub use exhibit_tlog::digest;
pub use exhibit_verify::{
    artifact, blob, id, receipt, retention, run, shown, timestamp, unlogged, workflow,
};

/// What takes pictures of pages: the local browser, and what any other backend has in common with it.
pub mod backend {
    pub use exhibit_browser::backend::*;
    pub use exhibit_browser::{chromium, media};
}

pub mod api;
pub mod auth;
pub mod capture;
pub mod cli;
pub mod client;
pub mod compare;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod error;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod hosted;
pub mod http;
pub mod integrity;
pub mod jobs;
pub mod pack;
pub mod population;
pub mod qr;
pub mod quotas;
pub mod redact;
pub mod report;
pub mod request;
pub mod runs;
pub mod secret;
pub mod sequences;
pub mod sessions;
pub mod spans;
pub mod web;
pub mod words;
pub mod worktree;
