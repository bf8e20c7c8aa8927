//! The daemon as a process of its own: the real binary, which can be killed.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use exhibit::evidence::{Finding, FindingCode};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Reply, eventually, trust_in};

/// A running `exhibit serve`, with its files in a folder that outlives it.
pub(crate) struct Process {
    pub(crate) child: Child,
    client: reqwest::Client,
}

/// The binary under test.
pub(crate) fn exhibit() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_exhibit"));
    for name in ["EXHIBIT_CONFIG", "EXHIBIT_SOCKET", "EXHIBIT_URL", "EXHIBIT_KEY"] {
        command.env_remove(name);
    }
    command
}

/// Exit code and standard output of the binary, run in `folder`.
pub(crate) fn told(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let (code, text, _) = outcome(folder, arguments);
    (code, text)
}

/// Exit code of the binary, run in `folder`, and all it says, standard output first.
pub(crate) fn said(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let (code, stdout, stderr) = outcome(folder, arguments);
    (code, stdout + &stderr)
}

/// Exit code, standard output and standard error of the binary, run in `folder`.
pub(crate) fn outcome(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = exhibit().args(arguments).current_dir(folder).output().expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().expect("an exit code"), text(output.stdout), text(output.stderr))
}

/// Write a configuration whose every path lies in `folder`; `more` is added to its tables.
pub(crate) fn write_config(folder: &Path, more: &str) {
    let sandbox = !rustix::process::geteuid().is_root();
    let text = format!(
        "{more}\n[store]\npath = \"store\"\nmin_free = \"0 B\"\nmin_free_inodes = 0\n[keys]\n\
         signing = \"keys/signing_ed25519\"\napi = \"keys/api-keys.json\"\n"
    );
    let browser = format!("sandbox = {sandbox}\nruntime = \"browser\"\nprepared = 1\n");
    let daemon = "socket = \"exhibit.sock\"\n";
    // A table may stand in a file once: ours are put into those of `more`.
    let text = into_table(into_table(text, "daemon", daemon), "browser", &browser);
    std::fs::write(folder.join("config.toml"), text).expect("written");
}

fn into_table(text: String, table: &str, lines: &str) -> String {
    let heading = format!("[{table}]\n");
    if text.contains(&heading) {
        text.replace(&heading, &format!("{heading}{lines}"))
    } else {
        format!("{text}{heading}{lines}")
    }
}

impl Process {
    /// Start a daemon and wait until it takes captures.
    pub(crate) async fn start(folder: &TempDir) -> Self {
        let child = exhibit()
            .args(["--config", "config.toml", "serve"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).expect("a file"))
            .spawn()
            .expect("the binary starts");
        let socket = folder.path().join("exhibit.sock");
        let client = exhibit::http::client().unix_socket(socket).build().expect("a client");
        let process = Self { child, client };
        eventually("the daemon is ready", async || {
            process.try_send("GET", "/readyz", &Value::Null).await.is_some_and(|r| r.status == 200)
        })
        .await;
        process
    }

    /// Send a request; none when the daemon is gone before it has answered in full.
    pub(crate) async fn try_send(&self, method: &str, path: &str, body: &Value) -> Option<Reply> {
        self.try_send_with(&[], method, path, body).await
    }

    async fn try_send_with(
        &self,
        headers: &[(&str, &str)],
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<Reply> {
        let method = method.parse().expect("a method");
        let request = self.client.request(method, format!("http://exhibit{path}"));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = request.json(body).send().await.ok()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Some(Reply { status, headers, body: response.bytes().await.ok()?.to_vec() })
    }

    /// `POST`, of a daemon that is there.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Reply {
        self.try_send("POST", path, &body).await.expect("the daemon answers")
    }

    /// `POST` with more headers.
    pub(crate) async fn post_with(
        &self,
        headers: &[(&str, &str)],
        path: &str,
        body: &Value,
    ) -> Reply {
        self.try_send_with(headers, "POST", path, body).await.expect("the daemon answers")
    }

    /// Open a run of `workflow`; its id.
    pub(crate) async fn open_run(&self, workflow: &str) -> String {
        let opened = self.post("/v1/runs", json!({ "workflow": workflow })).await.ok().json();
        opened["run"].as_str().expect("an id").to_owned()
    }

    /// Open and seal a run of `workflow`; its id.
    pub(crate) async fn sealed_run(&self, workflow: &str) -> String {
        let run = self.open_run(workflow).await;
        self.post(&format!("/v1/runs/{run}/seal"), json!({})).await.ok();
        run
    }

    /// Send it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        kill_process(Pid::from_raw(pid).expect("a process id"), signal).expect("it was running");
    }

    /// SIGTERM, and wait for the orderly end.
    pub(crate) fn terminate(mut self) -> std::process::ExitStatus {
        self.signal(Signal::TERM);
        self.child.wait().expect("it ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Everything in the store of `folder` verifies, and nothing is left open.
#[track_caller]
pub(crate) fn assert_store_is_sound(folder: &Path) -> usize {
    let store = folder.join("store");
    let report = exhibit::evidence::verify::store(&store, &trust_in(folder), &[]);
    assert!(report.findings.is_empty(), "{:#?}", report.findings);
    for folder in &report.folders {
        // A run that a crash left open says which of its events the log had not heard of.
        let codes = [FindingCode::EventsUnlogged, FindingCode::FilesUnnamed];
        let said = |finding: &&Finding| !codes.contains(&finding.code);
        let findings: Vec<_> = folder.findings.iter().filter(said).collect();
        assert!(findings.is_empty(), "{:?}: {findings:#?}", folder.run);
    }
    let open = std::fs::read_dir(store.join("open")).expect("a folder");
    let open: Vec<_> = open.map(|entry| entry.expect("an entry").file_name()).collect();
    assert!(open.is_empty(), "left open: {open:?}");
    report.folders.len()
}

/// What docs/verify.sh says of the store in `folder`, by the word of `trust` beside it, and whether it
/// passed.
pub(crate) fn stock_tools(folder: &Path) -> (bool, String) {
    let (code, said) = verify_sh(folder, &["--trust", "trust", "--store", "store"]);
    (code == Some(0), said)
}

/// How docs/verify.sh ends with `arguments`, in `folder`, and what it says.
pub(crate) fn verify_sh(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify.sh");
    let output = Command::new(script).args(arguments).current_dir(folder).output();
    let output = output.expect("bash is there");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A screenshot of `url` that waits for `load` only.
pub(crate) fn quick(url: &str) -> Value {
    json!({ "url": url, "waitUntil": "load" })
}
