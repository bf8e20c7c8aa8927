//! `exhibit doctor`: looks at this machine and says what would go wrong, each with its remedy. It
//! changes nothing but a canary of its own, which it takes away again.

mod checks;
mod integrity;

use serde::Serialize;

use super::{Common, out};
use crate::config::Config;
use crate::error::{Problem, exit};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Health {
    Ok,
    /// Works, with a limit one should know of.
    Warning,
    /// Captures or evidence will fail.
    Failed,
}

/// One thing looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    /// What was looked at.
    name: &'static str,
    health: Health,
    /// What was found.
    found: String,
    /// What to do, unless all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, health: Health::Ok, found: found.into(), remedy: None }
    }

    fn warning(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, health: Health::Warning, found: found.into(), remedy: Some(remedy.into()) }
    }

    fn failed(name: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, health: Health::Failed, found: found.into(), remedy: Some(remedy.into()) }
    }
}

pub(super) fn doctor(common: &Common) -> Result<u8, Problem> {
    let config = common.config()?;
    let checks = all(&config);
    let failed = checks.iter().any(|check| check.health == Health::Failed);
    if common.json {
        out::json(&serde_json::json!({ "healthy": !failed, "checks": checks }));
    } else {
        for check in &checks {
            let mark = match check.health {
                Health::Ok => "ok     ",
                Health::Warning => "warning",
                Health::Failed => "FAILED ",
            };
            out::line(format!("{mark}  {:16} {}", check.name, check.found));
            if let Some(remedy) = &check.remedy {
                out::line(format!("{:27}→ {remedy}", ""));
            }
        }
    }
    Ok(if failed { exit::UNHEALTHY } else { exit::OK })
}

fn all(config: &Config) -> Vec<Check> {
    let mut all = vec![
        checks::browser(config.browser.path.as_deref()),
        checks::sandbox(config.browser.sandbox),
        checks::font("emoji", ":lang=und-zsye", "fonts-noto-color-emoji"),
        checks::font("CJK font", ":lang=ja", "fonts-noto-cjk"),
        checks::shared_memory(),
        checks::disk(&config.store),
        checks::retention(&config.retention),
        integrity::watch(config),
        integrity::modes(&config.store.path),
        integrity::immutable(config),
        integrity::append_only(config),
        integrity::verity(&config.store.path),
        checks::clock(),
        checks::signing_key(&config.keys),
        checks::signers(config),
        checks::key("log key", &config.keys.log_file(), "is made at the first start"),
        checks::key("API keys", &config.keys.api, "are made by `exhibit keys add`"),
        checks::socket(&config.daemon.socket),
        checks::descriptors(config),
    ];
    all.extend(checks::hosted(&config.backend.hosted));
    // What keeps the daemon from starting stands in the place of what its own check would say.
    for amiss in checks::inventory(config).into_iter().chain(checks::obstacles(config)) {
        match all.iter_mut().find(|check| check.name == amiss.name) {
            Some(check) if check.health == Health::Failed => {}
            Some(check) => *check = amiss,
            None => all.insert(0, amiss),
        }
    }
    all
}
