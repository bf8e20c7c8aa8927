//! Owns one browser process: how it is started, in a private folder and its own process group, and
//! how nothing is left of it afterwards. It does not decide when to start another.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStderr, Command};

use super::find::is_headless_shell;
use super::pipe::{CallError, Connection};
use crate::scratch;
use crate::tasks::Tasks;
use exhibit_tlog::digest::Digest;

/// What the profile folders in the runtime folder are called.
const FOLDER_PREFIX: &str = "chromium-";
/// The flag that names a browser its profile; in a process's command line it tells whose it is.
const PROFILE_FLAG: &str = "--user-data-dir=";
/// How often, and how long apart, a browser of an earlier life is looked for until it has ended.
const ORPHAN_ATTEMPTS: u32 = 100;
const ORPHAN_PAUSE: Duration = Duration::from_millis(20);

/// The flags every browser gets. `--disable-gpu` also keeps tall pages exact: the software
/// compositor has no texture limit. The features are one switch, because a second one would
/// replace the first. A headless browser has neither mouse nor touch screen unless it is told so: this
/// one has a mouse (4 is a fine pointer, 2 one that can hover), in Blink's numbers.
const FLAGS: &[&str] = &[
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--hide-scrollbars",
    "--mute-audio",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-pings",
    "--no-service-autorun",
    "--disable-background-networking",
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,\
     availablePointerTypes=4",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-domain-reliability",
    "--disable-hang-monitor",
    "--disable-popup-blocking",
    "--disable-prompt-on-repost",
    "--disable-client-side-phishing-detection",
    "--disable-back-forward-cache",
    "--disable-field-trial-config",
    "--disable-search-engine-choice-screen",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
    "--disable-quic",
    "--allow-pre-commit-input",
    "--metrics-recording-only",
    "--password-store=basic",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "--disable-features=AutofillServerCommunication,CertificateTransparencyComponentUpdater,\
     DialMediaRouteProvider,GlobalMediaControls,HttpsUpgrades,MediaRouter,OptimizationHints,\
     PaintHolding,Translate",
];

/// How a browser is to be started.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// Its binary.
    pub(super) binary: PathBuf,
    /// SHA-256 of the binary.
    pub(super) binary_sha256: Digest,
    /// Whether its sandbox is on.
    pub(super) sandbox: bool,
    /// Folder in which it gets its own private one.
    pub(super) runtime: PathBuf,
    /// How long it may take to answer for the first time.
    pub(super) patience: Duration,
}

impl Recipe {
    /// The command-line flags, without the profile folder, whose name is new each time.
    pub(super) fn flags(&self) -> Vec<&'static str> {
        let mut flags = FLAGS.to_vec();
        if !is_headless_shell(&self.binary) {
            flags.push("--headless");
        }
        if !self.sandbox {
            flags.push("--no-sandbox");
        }
        if small_shared_memory() {
            flags.push("--disable-dev-shm-usage");
        }
        flags
    }

    /// What is on record about the browser, `version` being its own word.
    pub(super) fn provenance(&self, version: &Value) -> Value {
        let mut facts = json!({
            "backend": "chromium",
            "version": version,
            "binary": self.binary,
            "binary_sha256": self.binary_sha256,
            "flags": self.flags(),
            "switched_off": switched_off(),
            "environment": { "LANG": "C.UTF-8", "TZ": "UTC" },
            "sandbox": self.sandbox,
        });
        if !self.sandbox {
            facts["warning"] = json!(
                "Chromium ran without its sandbox: a page that broke its renderer could reach the \
                 recorder. Run the daemon as its own unprivileged user with `sandbox = true`."
            );
        }
        facts
    }
}

/// Features of the browser that pages do without here, and what becomes of them.
const SWITCHED_OFF: &[(&str, &str)] = &[
    ("downloads", "refused, and on record"),
    ("permission prompts", "denied without asking, but for the place that a request gives"),
    ("notifications and push", "denied without asking"),
    ("HTTP/3", "pages come over HTTP/2 or HTTP/1.1"),
    ("back/forward cache", "a page is loaded anew when it is returned to"),
    ("GPU", "WebGL is drawn in software, or not at all"),
    ("extensions, sync, translation, autofill servers, media router", "not there"),
];

fn switched_off() -> Vec<Value> {
    let told = |(feature, effect): &(&str, &str)| json!({ "feature": feature, "effect": effect });
    SWITCHED_OFF.iter().map(told).collect()
}

/// A Chromium without room in /dev/shm crashes its pages; below this it uses files instead.
fn small_shared_memory() -> bool {
    scratch::free_bytes(Path::new("/dev/shm")).map_or(true, |free| free < 256 * 1024 * 1024)
}

/// Why a browser did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    /// The private folder cannot be made.
    #[error("cannot make the browser's folder in {path}")]
    Folder {
        /// The runtime folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The process cannot be started.
    #[error("cannot start {path}")]
    Spawn {
        /// The binary.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It started and did not answer.
    #[error("the browser does not answer; its last words: {last_words}")]
    Silent {
        /// The end of what it wrote to its error output.
        last_words: String,
        /// What became of the first call.
        source: CallError,
    },
}

/// A running browser.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Pid,
    /// Profile, home and temporary files: removed with the process.
    folder: TempDir,
    /// The way to talk to it.
    pub(super) connection: Connection,
    /// Its own word on its version.
    pub(super) version: Value,
}

impl Process {
    /// Start a browser and wait until it answers.
    ///
    /// # Errors
    /// See [`LaunchError`]. Nothing is left of a browser that did not start.
    pub(super) async fn launch(recipe: &Recipe, tasks: &Tasks) -> Result<Self, LaunchError> {
        let runtime = &recipe.runtime;
        let in_folder = |source| LaunchError::Folder { path: runtime.clone(), source };
        scratch::make_dirs(runtime).map_err(in_folder)?;
        let folder = tempfile::Builder::new()
            .prefix(FOLDER_PREFIX)
            .tempdir_in(runtime)
            .map_err(in_folder)?;
        for name in ["profile", "home", "tmp"] {
            scratch::make_dirs(&folder.path().join(name)).map_err(in_folder)?;
        }
        let in_spawn = |source| LaunchError::Spawn { path: recipe.binary.clone(), source };
        let (mut child, connection) = spawn(recipe, folder.path(), tasks).map_err(in_spawn)?;
        let stderr = child.stderr.take();
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = group.ok_or_else(|| in_spawn(io::Error::other("it ended at once")))?;
        let words = tasks.spawn(last_words(stderr));
        let mut process = Self { child, group, folder, connection, version: Value::Null };
        let answer =
            process.connection.call_raw("", "Browser.getVersion", json!({}), recipe.patience).await;
        match answer {
            Ok(version) => {
                process.version = serde_json::from_str(version.get()).unwrap_or_default();
                Ok(process)
            }
            Err(source) => {
                process.end().await;
                let last_words = words.await.unwrap_or_default();
                Err(LaunchError::Silent { last_words, source })
            }
        }
    }

    /// Process id of the browser, which is also its process group.
    pub(super) fn pid(&self) -> i32 {
        self.group.as_raw_nonzero().get()
    }

    /// Completes when the process has ended.
    pub(super) async fn ended(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// End the browser and everything it started, wait for it, and remove its folder.
    pub(super) async fn end(mut self) {
        self.connection.close();
        // A browser whose pipe closes ends by itself, quickly; what is left of its group after a
        // moment, or a browser that hangs, is killed.
        let graceful = tokio::time::timeout(Duration::from_millis(500), self.child.wait()).await;
        if let Err(error) = kill_process_group(self.group, Signal::KILL)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(%error, pid = self.pid(), "cannot kill the browser's process group");
        }
        if graceful.is_err() {
            // Reaps the process, so that no zombie stays.
            let _ = self.child.wait().await;
        }
        let path = self.folder.path().to_owned();
        if let Err(error) = self.folder.close() {
            tracing::warn!(%error, path = %path.display(), "the browser's folder is not removed");
        }
    }
}

fn spawn(recipe: &Recipe, folder: &Path, tasks: &Tasks) -> io::Result<(Child, Connection)> {
    let (their_read, our_write) = io::pipe()?;
    let (our_read, their_write) = io::pipe()?;
    let mut command = Command::new(&recipe.binary);
    command
        .args(recipe.flags())
        .arg(format!("{PROFILE_FLAG}{}", folder.join("profile").display()))
        .arg("about:blank")
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", folder.join("home"))
        .env("TMPDIR", folder.join("tmp"))
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    let mappings = vec![
        FdMapping { parent_fd: their_read.into(), child_fd: 3 },
        FdMapping { parent_fd: their_write.into(), child_fd: 4 },
    ];
    command.fd_mappings(mappings).map_err(io::Error::other)?;
    let child = command.spawn()?;
    // The command holds the browser's ends of the pipes; while it lives the pipes never close.
    drop(command);
    Ok((child, Connection::open(our_write.into(), our_read.into(), tasks)?))
}

/// Read the browser's error output to its end; the last lines of it, for a message.
async fn last_words(stderr: Option<ChildStderr>) -> String {
    const KEPT: usize = 5;
    let mut last = std::collections::VecDeque::with_capacity(KEPT);
    let Some(stderr) = stderr else { return String::new() };
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(target: "chromium", "{line}");
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(line);
    }
    Vec::from(last).join(" | ")
}

/// Remove what browsers of an earlier life of the daemon left in `runtime`. They end by themselves
/// when their pipe closes, but one that is still at it would write its profile anew: it is killed.
/// Only to be called by whoever holds the store's lock.
///
/// # Errors
/// What the system answers.
pub(super) fn sweep(runtime: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(runtime) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX) {
            end_orphans(&entry.path());
            scratch::remove_dir_all(&entry.path())?;
        }
    }
    Ok(())
}

/// Kill the browser that a killed daemon left running in `folder`, with all it started, and wait
/// a moment for its end.
fn end_orphans(folder: &Path) {
    for _ in 0..ORPHAN_ATTEMPTS {
        let orphans = processes_in(folder);
        if orphans.is_empty() {
            return;
        }
        for orphan in orphans {
            // What is not the head of its group has ended with its group, or does with its head.
            let group = kill_process_group(orphan, Signal::KILL);
            let killed = group.or_else(|_| kill_process(orphan, Signal::KILL));
            if let Err(error) = killed
                && error != rustix::io::Errno::SRCH
            {
                tracing::warn!(%error, pid = orphan.as_raw_nonzero(), "cannot kill an old browser");
            }
        }
        std::thread::sleep(ORPHAN_PAUSE);
    }
    tracing::warn!(folder = %folder.display(), "an old browser does not end");
}

/// The processes that were started for the profile in `folder`, whose name is never used again.
fn processes_in(folder: &Path) -> Vec<Pid> {
    use std::os::unix::ffi::OsStrExt as _;
    let mark = folder.as_os_str().as_bytes();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let found = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
        // A process may end while it is looked at, and has no command line then.
        let command = std::fs::read(entry.path().join("cmdline")).ok()?;
        let mut words = command.split(|byte| *byte == 0);
        let ours = words.any(|word| {
            let profile = word.strip_prefix(PROFILE_FLAG.as_bytes());
            profile.is_some_and(|profile| profile.strip_prefix(mark) == Some(b"/profile"))
        });
        ours.then_some(pid)
    });
    found.collect()
}
