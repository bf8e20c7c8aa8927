//! Owns what is on record about who recorded: program, host, user and browser.

use serde_json::{Value, json};

use crate::run::Opening;

/// The content of `provenance.json`.
pub(super) fn provenance(opening: &Opening, browser: Value) -> Value {
    let system = rustix::system::uname();
    json!({
        "exhibit": { "version": opening.exhibit },
        "host": {
            "name": opening.host,
            "kernel": format!(
                "{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()
            ),
            "machine": system.machine().to_string_lossy(),
        },
        "recorder": {
            "uid": rustix::process::geteuid().as_raw(),
            "pid": std::process::id(),
        },
        "browser": browser,
    })
}

pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
