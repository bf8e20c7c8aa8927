//! The integration tests, as one binary: a daemon in this process or in its own, with the real
//! Chromium, against real pages.
#![expect(
    clippy::disallowed_methods,
    reason = "tests damage files, spawn callers and read the clock"
)]

mod archives;
mod authority;
mod browser;
mod bundles;
mod cli;
mod comparison;
mod connections;
mod contract;
mod crash;
mod custody;
mod edits;
mod events;
mod format;
mod formats;
mod framed;
mod freeform;
mod guard;
mod guard_archives;
mod guard_user;
mod guard_verity;
mod guard_word;
mod harness;
mod hosted;
mod hosted_server;
mod imports;
mod keeping;
mod keys;
mod known;
mod layers;
mod ledger;
mod lifecycle;
mod loading;
mod metrics;
mod openapi;
mod outline;
mod pdf;
mod pictures;
mod policy;
mod population;
mod privacy;
mod process;
mod purges;
mod recovery;
mod recordings;
mod report;
mod rotation;
mod rotation_killed;
mod scenarios;
mod scrub;
mod security_key;
mod sequence;
mod sessions;
mod shown;
mod signals;
mod site;
mod spine;
mod stamped;
mod store_faults;
mod stored;
mod targets;
mod tidy;
mod timestamps;
mod tls;
mod uploads;
mod video;
mod visitor;
mod watching;
mod web;
mod web_pages;
mod windows;
mod witness;
