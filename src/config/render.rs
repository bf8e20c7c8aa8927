//! Owns the writing of a [`Config`] as TOML that reads back to the same values: what
//! `exhibit config show` prints. Writes no file.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use jiff::SignedDuration;

use super::retention::text_of;
use super::{Config, KEYS, LogFormat};
use crate::secret::REDACTED;
use crate::video::Source;

impl fmt::Display for Config {
    /// As TOML, every key with its value; of a secret only that it is there.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut current = "";
        for key in KEYS {
            let (table, name) = key.parts();
            if table != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                writeln!(f, "{gap}[{table}]")?;
                current = table;
            }
            writeln!(f, "{name} = {}", self.value(key.name))?;
        }
        f.write_str(&self.workflows.render())
    }
}

impl Config {
    /// The value of the key `name`, as TOML.
    fn value(&self, name: &str) -> toml::Value {
        let optional = |value: Option<String>| value.unwrap_or_default().into();
        let count = |value: usize| number(value as u64);
        let path = |path: &std::path::Path| path.display().to_string().into();
        match name {
            name if name.starts_with("daemon.") => self.daemon_value(name),
            "store.path" => path(&self.store.path),
            "store.min_free" => size(self.store.min_free),
            "store.min_free_inodes" => number(self.store.min_free_inodes),
            name if name.starts_with("quotas.") => self.quota_value(name),
            "keys.signing" => path(&self.keys.signing),
            "keys.algorithm" => self.keys.algorithm.word().into(),
            "keys.agent" => {
                optional(self.keys.agent.as_ref().map(|path| path.display().to_string()))
            }
            "keys.principal" => self.keys.principal.clone().into(),
            "keys.api" => path(&self.keys.api),
            "keys.log" => optional(self.keys.log.as_ref().map(|path| path.display().to_string())),
            name if Self::is_keeping(name) => self.keeping_value(name),
            "browser.path" => {
                optional(self.browser.path.as_ref().map(|path| path.display().to_string()))
            }
            "browser.sandbox" => self.browser.sandbox.into(),
            "browser.runtime" => path(&self.browser.runtime),
            "browser.prepared" => count(self.browser.prepared),
            "browser.recycle_after" => number(self.browser.recycle_after.into()),
            "browser.probe_every" => duration(self.browser.probe_every),
            "browser.patience" => duration(self.browser.patience),
            "capture.concurrent" => count(self.capture.concurrent),
            "capture.queue" => count(self.capture.queue),
            "capture.deadline" => duration(self.capture.deadline),
            "capture.max_body" => size(self.capture.max_body),
            "capture.max_pixels" => number(self.capture.max_pixels),
            "capture.snapshot" => self.capture.snapshot.into(),
            "capture.framed" => self.capture.framed.into(),
            "policy.allow_hosts" => self.policy.allow_hosts.clone().into(),
            "policy.deny_hosts" => self.policy.deny_hosts.clone().into(),
            "policy.deny_addresses" => self.policy.deny_addresses.clone().into(),
            "privacy.mask" => self.privacy.mask.clone().into(),
            "privacy.mask_inputs" => self.privacy.mask_inputs.clone().into(),
            "runs.max_open" => count(self.runs.max_open),
            "runs.idle" => duration(self.runs.idle),
            "runs.max_duration" => duration(self.runs.max_duration),
            "runs.max_events" => number(self.runs.max_events),
            "runs.max_attachment" => size(self.runs.max_attachment),
            "events.max_size" => size(self.events.max_size),
            "events.redact" => {
                let rules = self.events.redact.iter().map(|rule| rule.source.clone());
                rules.collect::<Vec<_>>().into()
            }
            "code.work_trees" => self.code.work_trees.clone().into(),
            "sessions.max" => count(self.sessions.max),
            "sessions.idle" => duration(self.sessions.idle),
            "sessions.max_duration" => duration(self.sessions.max_duration),
            name if name.starts_with("backend.hosted.") => self.hosted_value(name),
            "video.source" => self.video.source.map_or("auto", Source::word).into(),
            "video.max" => count(self.video.max),
            "video.max_duration" => duration(self.video.max_duration),
            "video.max_bytes" => size(self.video.max_bytes),
            "video.ffmpeg" => {
                self.video.ffmpeg.as_deref().unwrap_or(Path::new("")).display().to_string().into()
            }
            "web.viewers" => {
                let viewers = self.web.viewers.iter().map(|uid| i64::from(*uid));
                viewers.collect::<Vec<_>>().into()
            }
            "web.url" => optional(self.web.url.as_ref().map(ToString::to_string)),
            "web.session" => duration(self.web.session),
            "log.filter" => self.log.filter.clone().into(),
            "log.format" => match self.log.format {
                LogFormat::Auto => "auto".into(),
                LogFormat::Human => "human".into(),
                LogFormat::Json => "json".into(),
            },
            // The test below asks for every key there is.
            other => unreachable!("no such key: {other}"),
        }
    }

    /// The value of a key of `[quotas]`.
    fn quota_value(&self, name: &str) -> toml::Value {
        match name {
            "quotas.open_runs" => number(self.quotas.open_runs as u64),
            "quotas.requests" => number(self.quotas.requests as u64),
            "quotas.stored" => size(self.quotas.stored),
            "quotas.sessions" => number(self.quotas.sessions as u64),
            "quotas.recordings" => number(self.quotas.recordings as u64),
            "quotas.captures" => number(self.quotas.captures as u64),
            other => unreachable!("no such key: {other}"),
        }
    }

    /// Whether a key belongs to the tables that say how evidence is kept.
    fn is_keeping(name: &str) -> bool {
        ["integrity.", "transparency.", "timestamp.", "retention."]
            .iter()
            .any(|table| name.starts_with(table))
    }

    /// The same of a key of those tables.
    fn keeping_value(&self, name: &str) -> toml::Value {
        let Self { integrity, transparency, timestamp, retention, .. } = self;
        let optional = |value: &Option<String>| value.clone().unwrap_or_default().into();
        match name {
            "integrity.pace" => size(integrity.pace),
            "integrity.rest" => duration(integrity.rest),
            "retention.default" => text_of(retention.default),
            "retention.classes" => retention.classes_value(),
            "retention.imports" => retention.imports.map_or("".into(), text_of),
            "integrity.watch" => integrity.watch.into(),
            "integrity.hook" => integrity.hook.clone().into(),
            "integrity.hook_limit" => duration(integrity.hook_limit),
            "integrity.guard" => {
                optional(&integrity.guard.as_ref().map(|path| path.display().to_string()))
            }
            "timestamp.url" => optional(&timestamp.url.as_ref().map(ToString::to_string)),
            "timestamp.authorities" => {
                optional(&timestamp.authorities.as_ref().map(|path| path.display().to_string()))
            }
            "timestamp.every" => duration(timestamp.every),
            "timestamp.patience" => duration(timestamp.patience),
            "transparency.origin" => optional(&transparency.origin),
            "transparency.heartbeat" => duration(transparency.heartbeat),
            "transparency.moved_from" => optional(&transparency.moved_from),
            "transparency.witnesses" => {
                let keys = transparency.witnesses.iter().map(ToString::to_string);
                keys.collect::<Vec<_>>().into()
            }
            "transparency.cosign_every" => duration(transparency.cosign_every),
            other => unreachable!("no such key: {other}"),
        }
    }

    /// The same of a key of `[backend.hosted]`.
    fn hosted_value(&self, name: &str) -> toml::Value {
        let hosted = &self.backend.hosted;
        match name.rsplit('.').next().unwrap_or_default() {
            "base_url" => {
                hosted.base_url.as_ref().map(ToString::to_string).unwrap_or_default().into()
            }
            "key" => hosted.key.as_ref().map_or("", |_| REDACTED).into(),
            "key_file" => {
                let path = hosted.key_file.as_ref().map(|path| path.display().to_string());
                path.unwrap_or_default().into()
            }
            "timeout" => duration(hosted.timeout),
            "retries" => number(hosted.retries.into()),
            "max_response" => size(hosted.max_response),
            "fallback" => hosted.fallback.word().into(),
            "workflows" => hosted.workflows.clone().into(),
            "callers" => hosted.callers.clone().into(),
            other => unreachable!("no such key: {other}"),
        }
    }
}

pub(super) fn number(value: u64) -> toml::Value {
    i64::try_from(value).unwrap_or(i64::MAX).into()
}

pub(super) fn duration(value: Duration) -> toml::Value {
    let value = SignedDuration::try_from(value).unwrap_or(SignedDuration::MAX);
    format!("{value:#}").into()
}

/// `bytes` in the largest binary unit that says it exactly.
pub(super) fn size(bytes: u64) -> toml::Value {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut value, mut unit) = (bytes, 0);
    while value > 0 && value % 1024 == 0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024, unit + 1);
    }
    format!("{value} {}", UNITS[unit]).into()
}
