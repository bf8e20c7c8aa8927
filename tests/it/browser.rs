//! A Chromium of a test's own, driven over its pipe: for pages that the daemon does not open, like
//! files from disk. Knows what the page asked for and complained about.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::process::Child;

use crate::harness::LIMIT;

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: Sender,
    from: BufReader<Receiver>,
    session: Option<String>,
    calls: u64,
    /// Every event of the page so far.
    pub events: Vec<Value>,
    _profile: TempDir,
}

impl Browser {
    /// Start the browser at `binary`.
    pub(crate) async fn start(binary: &Path) -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let (their_read, our_write) = std::io::pipe().expect("a pipe");
        let (our_read, their_write) = std::io::pipe().expect("a pipe");
        let mut command = tokio::process::Command::new(binary);
        command
            .args(["--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--mute-audio"])
            .args(["--headless", "--hide-scrollbars", "--autoplay-policy=no-user-gesture-required"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mappings = vec![mapping(their_read.into(), 3), mapping(their_write.into(), 4)];
        command.as_std_mut().fd_mappings(mappings).expect("free numbers");
        let child = command.spawn().expect("the browser starts");
        drop(command);
        let to = Sender::from_owned_fd(our_write.into()).expect("a pipe");
        let from = BufReader::new(Receiver::from_owned_fd(our_read.into()).expect("a pipe"));
        let (calls, events) = (0, Vec::new());
        let mut browser = Self { child, to, from, session: None, calls, events, _profile: profile };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await;
        }
        browser
    }

    /// Call a method of the protocol; its result.
    pub(crate) async fn call(&mut self, method: &str, params: Value) -> Value {
        let answer = self.try_call(method, params).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Call a method of the protocol; its result, or the browser's error.
    async fn try_call(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.calls += 1;
        let id = self.calls;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).await.expect("the browser listens");
        loop {
            let message = self.next().await;
            if message["id"] == id {
                let error = &message["error"];
                return if error.is_null() {
                    Ok(message["result"].clone())
                } else {
                    Err(error.clone())
                };
            }
            self.events.push(message);
        }
    }

    async fn next(&mut self) -> Value {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(LIMIT, self.from.read_until(0, &mut bytes)).await;
        read.expect("an answer in time").expect("the browser lives");
        bytes.pop();
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// Open the file at `path` and wait until it has loaded.
    pub(crate) async fn open(&mut self, path: &Path) {
        let url = url::Url::from_file_path(path).expect("a whole path");
        self.visit(url.as_str()).await;
    }

    /// Open `url` and wait until it has loaded.
    pub(crate) async fn visit(&mut self, url: &str) {
        self.events.clear();
        self.call("Page.navigate", json!({ "url": url })).await;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let message = self.next().await;
            self.events.push(message);
        }
    }

    /// The value of a script, which may be a promise; null of one that led to another page before it
    /// could answer.
    pub(crate) async fn value(&mut self, script: &str) -> Value {
        let params = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true, "userGesture": true,
        });
        let answer = match self.try_call("Runtime.evaluate", params).await {
            Err(error) if error["message"] == "Inspected target navigated or closed" => {
                return Value::Null;
            }
            answer => answer.unwrap_or_else(|error| panic!("{script}: {error}")),
        };
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Wait until a script is true.
    pub(crate) async fn until(&mut self, script: &str) {
        let waiting = async {
            let mut tick = tokio::time::interval(Duration::from_millis(20));
            while self.value(script).await != true {
                tick.tick().await;
            }
        };
        tokio::time::timeout(LIMIT, waiting).await.unwrap_or_else(|_| panic!("never: {script}"));
    }

    /// Press a key.
    pub(crate) async fn press(&mut self, key: &str, code: u32) {
        for kind in ["rawKeyDown", "keyUp"] {
            let params =
                json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            self.call("Input.dispatchKeyEvent", params).await;
        }
    }

    /// Show the page `width` pixels wide, light or dark.
    pub(crate) async fn view(&mut self, width: u32, dark: bool) {
        let params = json!({
            "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false,
        });
        self.call("Emulation.setDeviceMetricsOverride", params).await;
        let scheme = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features })).await;
    }

    /// Keep a picture of what is seen of the page, for whoever wants to look.
    pub(crate) async fn picture(&mut self, path: &Path) {
        self.picture_of(None, path).await;
    }

    /// Keep a picture of the page, or of a part of it.
    pub(crate) async fn picture_of(&mut self, clip: Option<Value>, path: &Path) {
        use base64::Engine as _;
        let mut params = json!({ "captureBeyondViewport": true });
        if let Some(clip) = clip {
            params["clip"] = clip;
        }
        let taken = self.call("Page.captureScreenshot", params).await;
        let bytes = base64::engine::general_purpose::STANDARD
            .decode(taken["data"].as_str().expect("a picture"));
        std::fs::write(path, bytes.expect("base64")).expect("written");
    }

    /// Have axe-core look at the page: how many rules pass, and what is wrong.
    pub(crate) async fn axe(&mut self) -> (u64, Value) {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("target/tools/axe/node_modules/axe-core/axe.min.js");
        let script = std::fs::read_to_string(&script).expect("run `make axe`, which fetches it");
        self.value(&format!("{script};0")).await;
        let found = self
            .value(
                "axe.run(document, { resultTypes: ['violations'] }).then(done => [done.passes.length,
                    done.violations.map(one => one.id + ': ' + one.nodes.map(node => node.html.slice(0, 150)
                        + ' | ' + node.failureSummary).slice(0, 3).join('\\n    '))])",
            )
            .await;
        (found[0].as_u64().expect("a number"), found[1].clone())
    }

    /// The addresses that the page asked for, what it carries itself left out.
    pub(crate) fn requests(&self) -> Vec<String> {
        let sent =
            self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = sent.filter_map(|event| event["params"]["request"]["url"].as_str());
        urls.filter(|url| !url.starts_with("data:")).map(str::to_owned).collect()
    }

    /// What the page complained about: exceptions, errors, violations of its policy.
    pub(crate) fn complaints(&self) -> Vec<&Value> {
        let told = ["Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"];
        let is_one = |event: &&Value| told.iter().any(|method| event["method"] == *method);
        self.events.iter().filter(is_one).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The profile is removed afterwards, and must not be written to any more.
        drop(self.child.start_kill());
    }
}

fn mapping(parent_fd: OwnedFd, child_fd: i32) -> FdMapping {
    FdMapping { parent_fd, child_fd }
}
