//! Owns the configuration: what can be configured, its defaults and its limits. [`load()`] reads it
//! strictly; [`watch`] follows the file. Opens no socket and starts no work: a [`Config`] is data.

mod check;
mod daemon;
mod hosted;
mod keys;
mod load;
mod problem;
mod read;
mod render;
mod retention;
mod room;
#[cfg(test)]
mod tests;
pub mod watch;
mod workflows;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::backend::chromium::BrowserSettings;
use crate::evidence::{Inventory, KeyKind, KeyPlace};
use crate::masks::MaskSettings;
use crate::policy::PolicySettings;
use crate::tlog::note::VerifierKey;
use crate::video::Source;

pub use daemon::Daemon;
pub use hosted::{Fallback, Hosted};
pub use keys::{KEYS, Key};
pub use load::{is_of_another_program, load, parse};
pub use problem::{ConfigErrors, ConfigProblem};
pub use retention::Retention;
pub use room::{Quotas, Store};
pub use workflows::Workflows;

use crate::redact::{BUILT_IN, Rule};

/// Where the configuration is looked for when nobody names a file and the current folder has none.
pub const SYSTEM_FILE: &str = "/etc/exhibit/config.toml";

/// Everything that can be configured; `config.toml` in the repository shows every key with its
/// default.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Sockets and shutdown.
    pub daemon: Daemon,
    /// Where evidence is kept.
    pub store: Store,
    /// What one caller may have.
    pub quotas: Quotas,
    /// The signing key and the API keys.
    pub keys: Keys,
    /// The reading again of sealed evidence.
    pub integrity: Integrity,
    /// The log of the store.
    pub transparency: Transparency,
    /// Who stamps the log with the time.
    pub timestamp: Timestamping,
    /// The local browser.
    pub browser: BrowserSettings,
    /// Limits of a capture.
    pub capture: Capture,
    /// What may be captured.
    pub policy: PolicySettings,
    /// What is covered in pages before they are captured.
    pub privacy: MaskSettings,
    /// Limits of a run.
    pub runs: Runs,
    /// How long runs are kept.
    pub retention: Retention,
    /// What runs must contain, by workflow.
    pub workflows: Workflows,
    /// What agents say.
    pub events: Events,
    /// Where code may be looked at.
    pub code: CodePlaces,
    /// Limits of a session.
    pub sessions: Sessions,
    /// Limits of a recording.
    pub video: Video,
    /// Who takes pictures beside the local browser.
    pub backend: Backend,
    /// The web page over all runs.
    pub web: Web,
    /// The daemon's own log.
    pub log: Log,
}

/// `[keys]`
#[derive(Clone, Debug, PartialEq)]
pub struct Keys {
    /// OpenSSH private key that signs evidence; made at first start. Of a key that an agent holds,
    /// the public half.
    pub signing: PathBuf,
    /// What kind of key is made.
    pub algorithm: KeyKind,
    /// Socket of the SSH agent that holds the signing key; `signing` then names the public key.
    pub agent: Option<PathBuf>,
    /// Name under which auditors know the key in their `allowed_signers` file.
    pub principal: String,
    /// File with the hashed API keys.
    pub api: PathBuf,
    /// OpenSSH private key that signs the checkpoints of the log, made at first start; beside the
    /// signing key when not given.
    pub log: Option<PathBuf>,
}

impl Keys {
    /// Where the key that signs evidence is.
    pub fn place(&self) -> KeyPlace {
        KeyPlace { path: self.signing.clone(), kind: self.algorithm, agent: self.agent.clone() }
    }

    /// The history of the keys that signed evidence: beside the log's key, which stays.
    pub fn signers_file(&self) -> PathBuf {
        self.log_file().with_file_name("signers.json")
    }

    /// The file of the log's key.
    pub fn log_file(&self) -> PathBuf {
        self.log.clone().unwrap_or_else(|| self.signing.with_file_name("log_ed25519"))
    }

    /// The file of its public half, which the daemon writes beside it.
    pub fn log_public_file(&self) -> PathBuf {
        self.log_file().with_extension("vkey")
    }

    /// The folder in which the daemon remembers how far the log had come.
    pub fn log_memory_folder(&self) -> PathBuf {
        self.log_file().with_extension("seen")
    }
}

impl Config {
    /// Where the keys and the evidence are that are looked at before anything is made.
    pub fn inventory(&self) -> Inventory {
        Inventory {
            store: self.store.path.clone(),
            signing: self.keys.place(),
            history: self.keys.signers_file(),
            log_key: self.keys.log_file(),
            log_public: self.keys.log_public_file(),
        }
    }
}

/// `[integrity]`
#[derive(Clone, Debug, PartialEq)]
pub struct Integrity {
    /// Bytes of sealed evidence that are read again each second; none when 0.
    pub pace: u64,
    /// How long is waited before each folder, at least.
    pub rest: Duration,
    /// Whether folders of sealed evidence are watched for touches.
    pub watch: bool,
    /// Program and arguments that are run when evidence was touched or changed; none when empty.
    pub hook: Vec<String>,
    /// How long it may take.
    pub hook_limit: Duration,
    /// Socket of the guard, which sets the immutable flag; none when not given.
    pub guard: Option<PathBuf>,
}

/// `[transparency]`
#[derive(Clone, Debug, PartialEq)]
pub struct Transparency {
    /// Name of the log; made of the host's name and the key when not given.
    pub origin: Option<String>,
    /// How often the log says that the daemon is there.
    pub heartbeat: Duration,
    /// The machine the store was moved here from.
    pub moved_from: Option<String>,
    /// Witnesses whose cosignatures are taken in.
    pub witnesses: Vec<Witness>,
    /// How often those with an address are asked, when the log has grown.
    pub cosign_every: Duration,
}

/// Who watches the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Witness {
    /// The key it cosigns with.
    pub key: VerifierKey,
    /// Where it is asked (the submission prefix of c2sp.org/tlog-witness); by file when not given.
    pub url: Option<Url>,
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key)?;
        self.url.as_ref().map_or(Ok(()), |url| write!(f, " {url}"))
    }
}

/// `[timestamp]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timestamping {
    /// Address of an authority (RFC 3161) that is asked over the network; nobody is when not given.
    pub url: Option<Url>,
    /// File with the certificates of the authorities whose timestamps are taken in; any when not
    /// given.
    pub authorities: Option<PathBuf>,
    /// How often, when the log has grown.
    pub every: Duration,
    /// How long the sealing of a run waits for a timestamp over its signature; nothing asks for none.
    pub patience: Duration,
}

impl Default for Timestamping {
    fn default() -> Self {
        let (every, patience) = (Duration::from_hours(1), Duration::from_secs(5));
        Self { url: None, authorities: None, every, patience }
    }
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
    /// Whether each picture is kept a second time, with a caption around it.
    pub framed: bool,
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

/// `[events]`
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Largest event in bytes.
    pub max_size: u64,
    /// What is taken out of events as a secret.
    pub redact: Vec<Rule>,
}

/// `[code]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodePlaces {
    /// Folders below which git work trees may be looked at; none when empty.
    pub work_trees: Vec<String>,
}

impl CodePlaces {
    /// The folders.
    pub fn folders(&self) -> Vec<PathBuf> {
        self.work_trees.iter().map(PathBuf::from).collect()
    }
}

/// `[sessions]`
#[derive(Clone, Debug, PartialEq)]
pub struct Sessions {
    /// Sessions open at the same time; each keeps a page.
    pub max: usize,
    /// A session that is not used for this long is closed.
    pub idle: Duration,
    /// A session open for this long is closed.
    pub max_duration: Duration,
}

/// `[backend]`
#[derive(Clone, Debug, PartialEq)]
pub struct Backend {
    /// A hosted screenshot service.
    pub hosted: Hosted,
}

/// `[video]`
#[derive(Clone, Debug, PartialEq)]
pub struct Video {
    /// Where pictures come from; none is found out by asking the browser.
    pub source: Option<Source>,
    /// Recordings under way at the same time.
    pub max: usize,
    /// A recording that plays this long is ended.
    pub max_duration: Duration,
    /// A recording that has this many bytes is ended.
    pub max_bytes: u64,
    /// The program that makes other formats of a recording; they are refused when not given.
    pub ffmpeg: Option<PathBuf>,
}

/// `[web]`
#[derive(Clone, Debug, PartialEq)]
pub struct Web {
    /// User ids that may look at everybody's runs, beside root and the daemon's own user.
    pub viewers: Vec<u32>,
    /// Address of the page where it is not `daemon.listen`'s: a proxy's, or another loopback name.
    pub url: Option<Url>,
    /// How long whoever signed in stays so.
    pub session: Duration,
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

const MIB: u64 = 1024 * 1024;

impl Default for Integrity {
    fn default() -> Self {
        Self {
            pace: 4 * MIB,
            rest: Duration::from_secs(10),
            watch: true,
            hook: Vec::new(),
            hook_limit: Duration::from_secs(10),
            guard: None,
        }
    }
}

impl Default for Transparency {
    fn default() -> Self {
        Self {
            origin: None,
            heartbeat: Duration::from_mins(15),
            moved_from: None,
            witnesses: Vec::new(),
            cosign_every: Duration::from_mins(1),
        }
    }
}

impl Default for Config {
    /// What holds without a configuration file; the shipped `config.toml` says the same.
    fn default() -> Self {
        Self {
            daemon: Daemon::default(),
            store: Store::default(),
            quotas: Quotas::default(),
            keys: Keys {
                signing: "/var/lib/exhibit/keys/signing_ed25519".into(),
                algorithm: KeyKind::Ed25519,
                agent: None,
                principal: "exhibit".into(),
                api: "/var/lib/exhibit/keys/api-keys.json".into(),
                log: None,
            },
            integrity: Integrity::default(),
            transparency: Transparency::default(),
            timestamp: Timestamping::default(),
            browser: BrowserSettings::default(),
            capture: Capture {
                concurrent: 4,
                queue: 64,
                deadline: Duration::from_secs(90),
                max_body: 10 * MIB,
                max_pixels: 250_000_000,
                snapshot: true,
                framed: true,
            },
            policy: PolicySettings::default(),
            privacy: MaskSettings::default(),
            runs: Runs {
                max_open: 256,
                idle: Duration::from_mins(30),
                max_duration: Duration::from_hours(24),
                max_events: 100_000,
                max_attachment: 100 * MIB,
            },
            retention: Retention::default(),
            workflows: Workflows::default(),
            code: CodePlaces::default(),
            events: Events {
                max_size: MIB,
                redact: BUILT_IN.iter().filter_map(|name| Rule::parse(name).ok()).collect(),
            },
            sessions: Sessions {
                max: 8,
                idle: Duration::from_mins(10),
                max_duration: Duration::from_mins(30),
            },
            backend: Backend { hosted: Hosted::default() },
            video: Video {
                source: Some(Source::Screencast),
                max: 3,
                max_duration: Duration::from_mins(10),
                max_bytes: 500 * MIB,
                ffmpeg: None,
            },
            web: Web { viewers: Vec::new(), url: None, session: Duration::from_hours(8) },
            log: Log { filter: "info".into(), format: LogFormat::Auto },
        }
    }
}

impl Config {
    /// Names of the keys (`table.key`) whose values differ between `self` and `new`; of all
    /// workflows together only that they differ.
    pub fn changed(&self, new: &Self) -> Vec<&'static str> {
        let keys = KEYS.iter().filter(|key| key.differs(self, new)).map(|key| key.name);
        keys.chain((self.workflows != new.workflows).then_some("workflows")).collect()
    }

    /// Names of the changed keys that take effect only when the daemon is restarted.
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let restart = KEYS.iter().filter(|key| key.restart);
        restart.filter(|key| key.differs(self, new)).map(|key| key.name).collect()
    }
}
