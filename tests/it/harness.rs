//! What the integration tests share: a daemon in this process on a temporary socket and store,
//! with the real Chromium, and a plain HTTP client that knows nothing of the library.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use exhibit::clock::Clock;
use exhibit::config::Config;
use exhibit::daemon::Daemon;
use exhibit::evidence::{Trust, verify};
use exhibit::tlog::policy::Policy;
use serde_json::{Value, json};
use tempfile::TempDir;

/// How long a condition may take before a test fails: generous, because CI is busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A daemon of a test's own.
pub(crate) struct TestDaemon {
    /// Socket, store, keys and the browser's folder.
    pub folder: TempDir,
    daemon: Option<Daemon>,
    client: reqwest::Client,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(200)]);
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("plain text"))
    }

    /// The reply to something that must succeed.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(2_000)]);
        assert!((200..300).contains(&self.status), "{}: {text}", self.status);
        self
    }

    /// Status, code and field of a refusal; its sentence must name a remedy.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        let error = text("error");
        assert!(error.contains(';') || error.contains('?'), "no remedy in: {error}");
        (self.status, text("code"), text("field"))
    }

    /// The run named in the headers.
    #[track_caller]
    pub(crate) fn run(&self) -> String {
        self.header("x-exhibit-run").expect("a run").to_owned()
    }
}

/// A configuration whose every path lies in `folder`.
pub(crate) fn config_in(folder: &Path) -> Config {
    let mut config = Config::default();
    config.daemon.socket = folder.join("exhibit.sock");
    config.daemon.drain = Duration::from_secs(20);
    config.store.path = folder.join("store");
    config.store.min_free = 0;
    config.store.min_free_inodes = 0;
    config.keys.signing = folder.join("keys/signing_ed25519");
    config.keys.api = folder.join("keys/api-keys.json");
    config.browser.runtime = folder.join("browser");
    // Chromium's sandbox does not work for root, and CI is root.
    config.browser.sandbox = !rustix::process::geteuid().is_root();
    config.browser.prepared = 1;
    config
}

impl TestDaemon {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self::start_in(folder, change).await
    }

    pub(crate) async fn start_in(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = config_in(folder.path());
        change(&mut config);
        let socket = config.daemon.socket.clone();
        let daemon = Daemon::start(Arc::new(config), None, Clock::system()).await;
        let daemon = daemon.expect("the daemon starts");
        let client = exhibit::http::client().unix_socket(socket).build().expect("a client");
        Self { folder, daemon: Some(daemon), client }
    }

    pub(crate) fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("not stopped yet")
    }

    /// Stop in an orderly way; the store stays.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.daemon.take().expect("not stopped yet").stop().await;
        self.folder
    }

    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = tokio::time::timeout(LIMIT * 2, request.send()).await;
        let response = response.expect("an answer in time").expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.bytes().await.expect("a whole body").to_vec();
        Reply { status, headers, body }
    }

    pub(crate) fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("http://exhibit{path}"))
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.send(self.request(reqwest::Method::POST, path).json(&body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(reqwest::Method::GET, path)).await
    }

    pub(crate) async fn shot(&self, body: Value) -> Reply {
        self.post("/api/v1/screenshot", body).await
    }

    /// A screenshot that waits for `load` only: enough for most pages of the test site.
    pub(crate) async fn quick_shot(&self, url: &str) -> Reply {
        self.shot(json!({ "url": url, "waitUntil": "load" })).await
    }

    pub(crate) async fn open_run(&self, workflow: &str) -> String {
        let reply = self.post("/v1/runs", json!({ "workflow": workflow })).await.ok();
        assert_eq!(reply.status, 201);
        reply.json()["run"].as_str().expect("an id").to_owned()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// The sealed folder of a run.
    pub(crate) fn sealed(&self, run: &str) -> PathBuf {
        sealed_folder(&self.store(), run)
    }

    /// The events of a sealed run.
    pub(crate) fn events(&self, run: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.sealed(run).join("data/events.jsonl"));
        let text = text.expect("events");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    /// The kinds of the events of a sealed run.
    pub(crate) fn kinds(&self, run: &str) -> Vec<String> {
        let kind = |event: &Value| event["kind"].as_str().expect("a kind").to_owned();
        self.events(run).iter().map(kind).collect()
    }

    /// `capture.json` of a sealed run's capture.
    pub(crate) fn capture(&self, run: &str, name: &str) -> Value {
        let path = self.sealed(run).join(format!("data/captures/{name}/capture.json"));
        let text =
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&text).expect("JSON")
    }

    /// A compressed file of a sealed run's capture, as text.
    pub(crate) fn unpacked(&self, run: &str, capture: &str, file: &str) -> String {
        let path = self.sealed(run).join("data/captures").join(capture).join(file);
        let packed = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let bytes = exhibit::pack::decompress(&packed, 100_000_000).expect("a sound frame");
        String::from_utf8(bytes).expect("text")
    }

    /// Every file of a sealed run, decompressed where it is compressed.
    pub(crate) fn contents(&self, run: &str) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        let mut folders = vec![self.sealed(run)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let mut bytes = std::fs::read(&path).expect("readable");
                if path.extension().is_some_and(|ending| ending == "zst") {
                    bytes = exhibit::pack::decompress(&bytes, 100_000_000).expect("a sound frame");
                }
                found.push((path.display().to_string(), bytes));
            }
        }
        found
    }

    /// Whoever is handed this key's line trusts this daemon.
    pub(crate) fn trust(&self) -> Trust {
        trust_in(self.folder.path())
    }

    /// The folder of a sealed run verifies, without any finding.
    #[track_caller]
    pub(crate) fn assert_verifies(&self, run: &str) {
        let report = verify::folder(&self.sealed(run), &self.trust());
        assert!(report.findings.is_empty(), "{:#?}", report.findings);
    }
}

/// The sealed folder of `run` in the store at `store`.
pub(crate) fn sealed_folder(store: &Path, run: &str) -> PathBuf {
    let id: exhibit::id::RunId = run.parse().expect("a run id");
    let day = id.opened_at().strftime("%Y/%m/%d").to_string();
    store.join("runs").join(day).join(run)
}

/// Trust in the keys of the daemon whose folder this is: of its evidence, and of its log.
pub(crate) fn trust_in(folder: &Path) -> Trust {
    let key = folder.join("keys/signing_ed25519");
    let signer = exhibit::evidence::Signer::load_or_create(&key).expect("the daemon's key");
    let line = signer.allowed_signers_line("exhibit");
    let key = std::fs::read_to_string(folder.join("keys/log_ed25519.vkey")).expect("the log's key");
    let policy = Policy::parse(&format!("log {key}")).expect("a policy");
    Trust::from_allowed_signers(&line).expect("a sound line").with_log(policy)
}

/// Wait until `condition` holds, looking again and again, at most for [`LIMIT`].
pub(crate) async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while !condition().await {
            tick.tick().await;
        }
    };
    tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// The processes whose command line names `path`: the browser of the daemon whose folder it is,
/// with all that belongs to it. Zombies have no command line any more.
pub(crate) fn processes_with(path: &Path) -> Vec<i32> {
    let path = path.to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("procfs") {
        let entry = entry.expect("an entry");
        let Ok(pid) = entry.file_name().to_string_lossy().parse() else { continue };
        // A process may end while it is looked at.
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(&path) {
            found.push(pid);
        }
    }
    found
}
