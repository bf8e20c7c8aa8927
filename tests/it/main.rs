//! The integration tests, as one binary: a daemon in this process or in its own, with the real
//! Chromium, against real pages.

mod harness;
mod site;
mod spine;
mod tidy;
mod tls;
