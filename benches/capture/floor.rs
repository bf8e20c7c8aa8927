//! The floor: the least that any driver must do for one screenshot, over a bare pipe, with blocking
//! calls and nothing else — context, page, navigate, wait for `load`, PNG, dispose. No evidence.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use serde_json::{Value, json};

/// A browser driven with bare calls.
pub(crate) struct Floor {
    child: Child,
    to: PipeWriter,
    from: BufReader<PipeReader>,
    next: u64,
    _folder: tempfile::TempDir,
}

impl Floor {
    /// Start `binary` with `flags`: the ones the daemon uses.
    pub(crate) fn start(binary: &Path, flags: &[String]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (their_read, to) = std::io::pipe().expect("a pipe");
        let (from, their_write) = std::io::pipe().expect("a pipe");
        let mut command = Command::new(binary);
        command
            .args(flags)
            .arg(format!("--user-data-dir={}", folder.path().display()))
            .arg("about:blank")
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        let mappings = vec![
            FdMapping { parent_fd: their_read.into(), child_fd: 3 },
            FdMapping { parent_fd: their_write.into(), child_fd: 4 },
        ];
        command.fd_mappings(mappings).expect("distinct descriptors");
        let child = command.spawn().expect("the browser starts");
        Self { child, to, from: BufReader::new(from), next: 0, _folder: folder }
    }

    fn send(&mut self, session: Option<&str>, method: &str, params: Value) -> u64 {
        self.next += 1;
        let mut call = json!({ "id": self.next, "method": method, "params": params });
        if let Some(session) = session {
            call["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{call}\0").as_bytes()).expect("the browser reads");
        self.next
    }

    fn receive(&mut self) -> Value {
        let mut message = Vec::new();
        self.from.read_until(0, &mut message).expect("the browser writes");
        message.pop();
        serde_json::from_slice(&message).expect("JSON")
    }

    fn call(&mut self, session: Option<&str>, method: &str, params: Value) -> Value {
        let id = self.send(session, method, params);
        loop {
            let mut message = self.receive();
            if message["id"] == id {
                return message["result"].take();
            }
        }
    }

    /// One screenshot of `url`; the length of its base64.
    pub(crate) fn shot(&mut self, url: &str) -> usize {
        let context = self.call(None, "Target.createBrowserContext", json!({}));
        let context = context["browserContextId"].clone();
        let params = json!({
            "url": "about:blank", "browserContextId": context, "width": 1280, "height": 720,
        });
        let target = self.call(None, "Target.createTarget", params)["targetId"].clone();
        let params = json!({ "targetId": target, "flatten": true });
        let session = self.call(None, "Target.attachToTarget", params);
        let session = session["sessionId"].as_str().expect("a session").to_owned();
        self.call(Some(&session), "Page.enable", json!({}));
        let params =
            json!({ "width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": false });
        self.call(Some(&session), "Emulation.setDeviceMetricsOverride", params);
        self.send(Some(&session), "Page.navigate", json!({ "url": url }));
        while self.receive()["method"] != "Page.loadEventFired" {}
        let picture = self.call(Some(&session), "Page.captureScreenshot", json!({}));
        let length = picture["data"].as_str().expect("a picture").len();
        self.call(None, "Target.disposeBrowserContext", json!({ "browserContextId": context }));
        length
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
