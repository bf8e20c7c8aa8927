//! Exhibit drives a local Chromium, captures what an agent did in a web application, and writes
//! hash-manifested, signed evidence folders that anybody can check offline.
//!
//! The layers, lowest first; a module may use those above it in this list, never those below
//! (`tests/it/tidy.rs` holds the rule):
//!
//! * L0 base: [`clock`], [`id`], [`digest`], [`disk`], [`pack`], [`secret`], [`error`], [`tasks`],
//!   [`http`], [`blob`], [`markdown`], [`compare`], [`blocking`], [`video`], [`redact`],
//!   [`tlog`], [`shown`], [`words`], [`caption`],
//!   [`timestamp`], [`ownership`], [`ssh_agent`]
//! * L1 domain: [`artifact`], [`run`], [`receipt`], [`settings`], [`request`],
//!   [`workflow`], [`retention`]
//! * L2 parts: [`config`], [`auth`], [`masks`], [`policy`], [`backend`], [`evidence`], [`report`],
//!   [`worktree`], [`population`], [`bundle`], [`integrity`]
//! * L3 pipeline: [`runs`], [`sessions`], [`sequences`], [`jobs`], [`capture`]
//! * L4 daemon and API: [`daemon`], [`api`], [`web`], [`client`]
//! * L5 front ends: [`cli`], [`demo`]; `fuzz`, which only tests have

pub mod api;
pub mod artifact;
pub mod auth;
pub mod backend;
pub mod blob;
pub mod blocking;
pub mod bundle;
pub mod caption;
pub mod capture;
pub mod cli;
pub mod client;
pub mod clock;
pub mod compare;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod digest;
pub mod disk;
pub mod error;
pub mod evidence;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod http;
pub mod id;
pub mod integrity;
pub mod jobs;
pub mod markdown;
pub mod masks;
pub mod ownership;
pub mod pack;
pub mod policy;
pub mod population;
pub mod qr;
pub mod quotas;
pub mod receipt;
pub mod redact;
pub mod report;
pub mod request;
pub mod retention;
pub mod run;
pub mod runs;
pub mod secret;
pub mod sequences;
pub mod sessions;
pub mod settings;
pub mod shown;
pub mod ssh_agent;
pub mod tasks;
pub mod timestamp;
pub mod tlog;
pub mod video;
pub mod web;
pub mod words;
pub mod workflow;
pub mod worktree;
