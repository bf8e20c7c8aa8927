//! Owns the configuration: what can be configured, its defaults and its limits. `load` reads it
//! strictly; `watch` follows the file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be configured; `config.toml` in the repository shows every key with its
/// default.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Sockets and shutdown.
    pub daemon: Daemon,
    /// Where evidence is kept.
    pub store: Store,
    /// The signing key and the API keys.
    pub keys: Keys,
    /// The local browser.
    pub browser: Browser,
    /// Limits of a capture.
    pub capture: Capture,
    /// What may be captured.
    pub policy: Policy,
    /// Limits of a run.
    pub runs: Runs,
    /// The daemon's own log.
    pub log: Log,
}

/// `[daemon]`
#[derive(Clone, Debug, PartialEq)]
pub struct Daemon {
    /// Path of the Unix socket.
    pub socket: PathBuf,
    /// Permission bits of the socket, as an octal string: `"0660"`.
    pub socket_mode: u32,
    /// Group that may use the socket; the daemon's own when not given.
    pub socket_group: Option<String>,
    /// Loopback TCP address on which callers with a key are served; none when not given.
    pub listen: Option<SocketAddr>,
    /// How long stopping waits for captures under way.
    pub drain: Duration,
}

/// `[store]`
#[derive(Clone, Debug, PartialEq)]
pub struct Store {
    /// Folder of the evidence store.
    pub path: PathBuf,
    /// Nothing new is accepted when fewer bytes than this are free.
    pub min_free: u64,
}

/// `[keys]`
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// OpenSSH private key that signs evidence; made at first start.
    pub signing: PathBuf,
    /// Name under which auditors know the key in their `allowed_signers` file.
    pub principal: String,
    /// File with the hashed API keys.
    pub api: PathBuf,
}

/// `[browser]`
#[derive(Clone, Debug, PartialEq)]
pub struct Browser {
    /// The browser's binary; searched for when not given.
    pub path: Option<PathBuf>,
    /// Whether Chromium's own sandbox is on. Off only for a root CI.
    pub sandbox: bool,
    /// Private folder for profiles and temporary files; emptied at start.
    pub runtime: PathBuf,
    /// Number of browser contexts kept ready ahead of need.
    pub prepared: usize,
    /// Captures after which the browser is replaced by a fresh one.
    pub recycle_after: u32,
    /// How often the browser is asked whether it is alive.
    pub probe_every: Duration,
    /// How long it may take to answer before it counts as hung, and to start.
    pub patience: Duration,
}

/// `[capture]`
#[derive(Clone, Debug, PartialEq)]
pub struct Capture {
    /// Captures taken at the same time.
    pub concurrent: usize,
    /// Captures that may wait for their turn; one more is refused.
    pub queue: usize,
    /// Limit for a whole capture, waiting included.
    pub deadline: Duration,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// Largest picture in device pixels.
    pub max_pixels: u64,
    /// Whether page snapshots (MHTML, DOM, accessibility tree) are kept beside each picture.
    pub snapshot: bool,
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Hosts that may be captured, `*.example.com` for all below; every host when empty.
    pub allow_hosts: Vec<String>,
    /// Hosts that may not.
    pub deny_hosts: Vec<String>,
    /// Addresses nothing may be loaded from, in CIDR notation: cloud metadata services by default.
    pub deny_addresses: Vec<String>,
}

/// `[runs]`
#[derive(Clone, Debug, PartialEq)]
pub struct Runs {
    /// Runs open at the same time.
    pub max_open: usize,
    /// A run that nothing is added to for this long is sealed as expired.
    pub idle: Duration,
    /// A run open for this long is sealed as expired.
    pub max_duration: Duration,
    /// Events in one run.
    pub max_events: u64,
    /// Largest attachment in bytes.
    pub max_attachment: u64,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    /// `tracing` filter: `info`, `exhibit=debug`.
    pub filter: String,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Form of the log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Human on a terminal, JSON otherwise.
    Auto,
    /// For humans.
    Human,
    /// One JSON object a line.
    Json,
}
