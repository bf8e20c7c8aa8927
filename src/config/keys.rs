//! Owns the list of all configuration keys: their names, and whether a change of each takes effect
//! at once or with the next start. Reads no file.

use super::Config;

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its full name, table and key: `daemon.socket`.
    pub name: &'static str,
    /// Whether a change takes effect only when the daemon is restarted.
    pub restart: bool,
    differs: fn(&Config, &Config) -> bool,
}

impl Key {
    /// Whether the key's value differs between the two.
    pub fn differs(&self, one: &Config, other: &Config) -> bool {
        (self.differs)(one, other)
    }

    /// The name's two parts: its table, `daemon` or `backend.hosted`, and the key in it.
    pub(super) fn parts(&self) -> (&'static str, &'static str) {
        self.name.rsplit_once('.').expect("every name below has a table and a key")
    }
}

macro_rules! keys {
    ($( $table:ident . $key:ident $(. $inner:ident)?: $when:ident; )+) => {
        /// Every key there is, in the order of the shipped `config.toml`.
        pub const KEYS: &[Key] = &[$(
            Key {
                name: concat!(stringify!($table), ".", stringify!($key) $(, ".", stringify!($inner))?),
                restart: keys!($when),
                differs: |one, other| one.$table.$key$(.$inner)? != other.$table.$key$(.$inner)?,
            },
        )+];
    };
    (restart) => { true };
    (live) => { false };
}

// What is bound, opened or started once needs a restart: sockets, the store, keys, the browser,
// the number of workers. What is asked anew for each request does not.
keys! {
    daemon.socket: restart;
    daemon.socket_mode: restart;
    daemon.socket_group: restart;
    daemon.listen: restart;
    daemon.drain: live;
    daemon.max_connections: restart;
    daemon.max_connections_per_peer: live;
    daemon.head_limit: live;
    daemon.idle: live;
    daemon.body_rate: live;
    store.path: restart;
    store.min_free: live;
    store.min_free_inodes: live;
    quotas.open_runs: live;
    quotas.requests: live;
    quotas.stored: live;
    quotas.sessions: live;
    quotas.recordings: live;
    quotas.captures: live;
    keys.signing: restart;
    keys.algorithm: restart;
    keys.agent: restart;
    keys.principal: restart;
    keys.api: restart;
    keys.log: restart;
    integrity.pace: live;
    integrity.rest: live;
    integrity.watch: restart;
    integrity.hook: live;
    integrity.hook_limit: live;
    integrity.guard: restart;
    transparency.origin: restart;
    transparency.heartbeat: live;
    transparency.moved_from: restart;
    transparency.witnesses: live;
    transparency.cosign_every: live;
    timestamp.url: live;
    timestamp.authorities: live;
    timestamp.every: live;
    timestamp.patience: live;
    browser.path: restart;
    browser.sandbox: restart;
    browser.runtime: restart;
    browser.prepared: restart;
    browser.recycle_after: restart;
    browser.probe_every: restart;
    browser.patience: restart;
    capture.concurrent: restart;
    capture.queue: restart;
    capture.deadline: live;
    capture.max_body: live;
    capture.max_pixels: live;
    capture.snapshot: live;
    capture.framed: live;
    policy.allow_hosts: live;
    policy.deny_hosts: live;
    policy.deny_addresses: live;
    privacy.mask: live;
    privacy.mask_inputs: live;
    runs.max_open: live;
    runs.idle: live;
    runs.max_duration: live;
    runs.max_events: live;
    runs.max_attachment: live;
    retention.default: live;
    retention.classes: live;
    retention.imports: live;
    events.max_size: live;
    events.redact: live;
    code.work_trees: live;
    sessions.max: live;
    sessions.idle: live;
    sessions.max_duration: live;
    video.source: live;
    video.max: live;
    video.max_duration: live;
    video.max_bytes: live;
    video.ffmpeg: live;
    backend.hosted.base_url: live;
    backend.hosted.key: live;
    backend.hosted.key_file: live;
    backend.hosted.timeout: live;
    backend.hosted.retries: live;
    backend.hosted.max_response: live;
    backend.hosted.fallback: live;
    backend.hosted.workflows: live;
    backend.hosted.callers: live;
    web.viewers: live;
    web.url: live;
    web.session: live;
    log.filter: restart;
    log.format: restart;
}
