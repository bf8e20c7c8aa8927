//! Who records: our daemon, as a process of its own with the binary that is shipped, and Node with a
//! rival. All open the same pages, record them, end the recordings, and take lossless pictures.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::harness::sealed_folder;
use crate::process::{Process, exhibit, write_config};

/// Who records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The daemon, from this source of its own.
    Exhibit(&'static str),
    /// A script below `rivals/`.
    Rival(&'static str),
}

pub(crate) const SOURCES: [Source; 4] = [
    Source::Exhibit("screencast"),
    Source::Exhibit("recorder"),
    Source::Rival("playwright"),
    Source::Rival("puppeteer"),
];

impl Source {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Exhibit(source) => format!("exhibit {source}"),
            Self::Rival(script) => script.to_owned(),
        }
    }
}

/// Recordings that have ended.
pub(crate) struct Recorded {
    pub(crate) files: Vec<PathBuf>,
    /// What the daemon says of each; empty for others.
    pub(crate) summaries: Vec<Value>,
}

pub(crate) enum Driver {
    Exhibit(Box<Daemon>),
    Rival(Box<Rival>),
}

impl Driver {
    /// Start it, with its browser.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub(crate) async fn start(source: Source) -> Result<Self, String> {
        Ok(match source {
            Source::Exhibit(source) => Self::Exhibit(Box::new(Daemon::start(source).await?)),
            Source::Rival(script) => Self::Rival(Box::new(Rival::start(script).await?)),
        })
    }

    /// The process all others are below.
    pub(crate) fn process(&self) -> u32 {
        match self {
            Self::Exhibit(daemon) => daemon.process.child.id(),
            Self::Rival(rival) => rival.child.id().expect("it runs"),
        }
    }

    /// Open a page each, and record them if asked.
    pub(crate) async fn open(&mut self, urls: &[String], record: bool) -> Result<(), String> {
        match self {
            Self::Exhibit(daemon) => daemon.open(urls, record).await,
            Self::Rival(rival) => {
                let folder = rival.folder.path().join("recordings");
                let order =
                    json!({ "do": "open", "urls": urls, "record": record, "folder": folder });
                // Puppeteer writes into a folder that is there.
                std::fs::create_dir_all(folder).expect("a folder");
                rival.order(order).await.map(drop)
            }
        }
    }

    /// End the recordings and close the pages; the files are whole when it returns.
    pub(crate) async fn stop(&mut self) -> Result<Recorded, String> {
        match self {
            Self::Exhibit(daemon) => daemon.stop().await,
            Self::Rival(rival) => {
                let mut answer = rival.order(json!({ "do": "stop" })).await?;
                let files: Vec<Option<PathBuf>> =
                    serde_json::from_value(answer["files"].take()).expect("paths");
                Ok(Recorded { files: files.into_iter().flatten().collect(), summaries: vec![] })
            }
        }
    }

    /// A lossless picture, PNG, of each page.
    pub(crate) async fn shots(&mut self, urls: &[String]) -> Result<Vec<Vec<u8>>, String> {
        match self {
            Self::Exhibit(daemon) => daemon.shots(urls).await,
            Self::Rival(rival) => {
                let folder = rival.folder.path().to_owned();
                rival.order(json!({ "do": "shots", "urls": urls, "folder": folder })).await?;
                let path = |at| folder.join(format!("{at}.png"));
                Ok((0..urls.len()).map(|at| std::fs::read(path(at)).expect("a picture")).collect())
            }
        }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Exhibit(daemon) => drop(daemon.process.terminate()),
            Self::Rival(mut rival) => {
                drop(rival.order(json!({ "do": "close" })).await);
                drop(rival.child.wait().await);
            }
        }
    }
}

/// Our daemon.
pub(crate) struct Daemon {
    process: Process,
    folder: TempDir,
    sessions: Vec<Value>,
    /// The run, and the names of the recordings in it.
    run: Option<(String, Vec<Value>)>,
}

impl Daemon {
    async fn start(source: &str) -> Result<Self, String> {
        let folder = tempfile::tempdir().expect("a folder");
        let video = |source: &str| {
            let limits = "max = 8\nmax_duration = \"2h\"\nmax_bytes = \"4 GiB\"\n";
            format!(
                "[video]\n{source}{limits}[sessions]\nmax_duration = \"2h\"\nidle = \"2h\"\n\
                 [runs]\nidle = \"2h\"\n"
            )
        };
        write_config(folder.path(), &video(&format!("source = \"{source}\"\n")));
        if let Err(refusal) = check(folder.path()) {
            if !refusal.contains("source") {
                return Err(format!("its configuration is refused: {refusal}"));
            }
            // A daemon without the key has the one source.
            if source != "screencast" {
                return Err("not offered by this daemon".to_owned());
            }
            write_config(folder.path(), &video(""));
            check(folder.path())?;
        }
        let process = Process::start(&folder).await;
        Ok(Self { process, folder, sessions: vec![], run: None })
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        let reply = self.process.post(path, body).await;
        let text = String::from_utf8_lossy(&reply.body);
        if !(200..300).contains(&reply.status) {
            return Err(format!("{path}: {} {text}", reply.status));
        }
        serde_json::from_slice(&reply.body).map_err(|error| format!("{path}: {error}"))
    }

    async fn open(&mut self, urls: &[String], record: bool) -> Result<(), String> {
        for url in urls {
            let session = self.post("/v1/sessions", json!({})).await?["session_id"].take();
            let shot = json!({ "session_id": session, "url": url, "waitUntil": "load" });
            let shot = self.process.post("/v1/screenshot", shot).await;
            if shot.status != 200 {
                return Err(String::from_utf8_lossy(&shot.body).into_owned());
            }
            self.sessions.push(session);
        }
        if !record {
            return Ok(());
        }
        let run = self.post("/v1/runs", json!({ "workflow": "bench" })).await?;
        let run = run["run"].as_str().expect("an id").to_owned();
        let mut names = vec![];
        for session in &self.sessions {
            let path = format!("/v1/runs/{run}/recordings");
            let mut started = self.post(&path, json!({ "session_id": session })).await?;
            names.push(started["recording"].take());
        }
        self.run = Some((run, names));
        Ok(())
    }

    async fn stop(&mut self) -> Result<Recorded, String> {
        let mut recorded = Recorded { files: vec![], summaries: vec![] };
        if let Some((run, names)) = self.run.take() {
            let names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
            for name in &names {
                let path = format!("/v1/runs/{run}/recordings/{name}/stop");
                let mut stopped = self.post(&path, json!({})).await?;
                recorded.summaries.push(stopped["summary"].take());
            }
            self.post(&format!("/v1/runs/{run}/seal"), json!({})).await?;
            let folder = sealed_folder(&self.folder.path().join("store"), &run);
            let file = |name| folder.join(format!("data/recordings/{name}.mp4"));
            recorded.files = names.iter().map(file).collect();
        }
        for session in self.sessions.drain(..) {
            let path = format!("/v1/sessions/{}", session.as_str().expect("an id"));
            let gone = self.process.try_send("DELETE", &path, &Value::Null).await;
            assert!(gone.is_some_and(|reply| reply.status < 300), "a session is closed");
        }
        Ok(recorded)
    }

    async fn shots(&self, urls: &[String]) -> Result<Vec<Vec<u8>>, String> {
        let mut shots = vec![];
        for url in urls {
            let shot = json!({ "url": url, "format": "png", "waitUntil": "load" });
            let reply = self.process.post("/v1/screenshot", shot).await;
            if reply.status != 200 {
                return Err(String::from_utf8_lossy(&reply.body).into_owned());
            }
            shots.push(reply.body);
        }
        Ok(shots)
    }
}

/// Whether the daemon takes the configuration in `folder`; what it says otherwise.
fn check(folder: &Path) -> Result<(), String> {
    let mut command = exhibit();
    command.args(["--config", "config.toml", "config", "check"]).current_dir(folder);
    let checked = command.output().expect("the binary starts");
    let said = [checked.stdout, checked.stderr].concat();
    if checked.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into()) }
}

/// Node with a script that takes orders.
pub(crate) struct Rival {
    child: Child,
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
}

impl Rival {
    async fn start(script: &str) -> Result<Self, String> {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/rivals");
        if !place.join("node_modules").exists() {
            return Err("not installed; run scripts/setup-bench".to_owned());
        }
        let mut child = Command::new("node")
            .arg(place.join(format!("{script}.mjs")))
            .env("PLAYWRIGHT_BROWSERS_PATH", place.join("browsers"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("node does not start: {error}"))?;
        let orders = child.stdin.take().expect("piped");
        let answers = BufReader::new(child.stdout.take().expect("piped")).lines();
        let folder = tempfile::tempdir().expect("a folder");
        let mut rival = Self { child, orders, answers, folder };
        let browser = exhibit::backend::chromium::find::browser(None);
        let browser = browser.map_err(|problem| problem.to_string())?;
        // Chromium's sandbox does not work for root.
        let root = rustix::process::geteuid().is_root();
        let args: &[&str] = if root { &["--no-sandbox"] } else { &[] };
        rival.order(json!({ "do": "start", "browser": browser, "args": args })).await?;
        Ok(rival)
    }

    async fn order(&mut self, order: Value) -> Result<Value, String> {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.map_err(|e| e.to_string())?;
        let line = self.answers.next_line().await.map_err(|error| error.to_string())?;
        let line = line.ok_or("node ended without an answer")?;
        let answer: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        answer["error"].as_str().map_or(Ok(()), |error| Err(error.to_owned()))?;
        Ok(answer)
    }
}
