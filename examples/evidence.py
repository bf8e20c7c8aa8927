"""What the example programs share: talking to the daemon's Unix socket with the standard library."""

import http.client
import json
import socket
import sys
import urllib.request


class Daemon(http.client.HTTPConnection):
    """A connection to the daemon, over its socket."""

    def __init__(self, path):
        super().__init__("exhibit", timeout=120)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        try:
            self.sock.connect(self.path)
        except OSError as problem:
            sys.exit(f"no daemon answers at {self.path}: {problem.strerror}")


class Run:
    """A run under evidence: opened, added to, sealed. What fails in a `with` is sealed as failed."""

    def __init__(self, path, **declared):
        self.daemon = Daemon(path)
        self.id = None
        self.sealed = False
        opened = self.call("/runs", declared)
        self.id = opened["run"]
        for needed in opened["needed"] or []:
            print(f"needed: {needed}", file=sys.stderr)

    def __enter__(self):
        return self

    def __exit__(self, kind, problem, trace):
        if kind is not None and not self.sealed:
            reason = str(problem).splitlines() or [kind.__name__]
            self.seal("failed", reason[0][:500])

    def send(self, path, body, media_type, method="POST"):
        headers = {"content-type": media_type}
        if self.id:
            headers["x-exhibit-run"] = self.id
        self.daemon.request(method, f"/api/v1{path}", body, headers)
        answer = self.daemon.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{path}: {answer.status} {text.decode()}")
        return json.loads(text) if text else None

    def call(self, path, body):
        return self.send(path, json.dumps(body), "application/json")

    def log(self, message, kind="log", **data):
        event = {"kind": kind, "level": "info", "message": message, "data": data}
        self.call(f"/runs/{self.id}/events", event)

    def code(self, file):
        """Attach the program that runs, and name it as the code."""
        name = file.rsplit("/", 1)[-1]
        with open(file, "rb") as source:
            self.send(f"/runs/{self.id}/attachments?name={name}", source.read(), "text/x-python")
        said = {"attachment": name, "path": f"examples/{name}", "symbol": "main"}
        self.call(f"/runs/{self.id}/code", said)

    def capture(self, stage, url):
        self.call(f"/runs/{self.id}/captures", {"stage": stage, "url": url, "waitUntil": "load"})

    def act(self, steps):
        """Take steps in a page that is recorded meanwhile."""
        session = self.call("/sessions", {})["session_id"]
        recording = self.call(f"/runs/{self.id}/recordings", {"session_id": session})["recording"]
        done = self.call("/sequence", {"session_id": session, "steps": steps, "stage": "during"})
        self.call(f"/runs/{self.id}/recordings/{recording}/stop", {})
        self.send(f"/sessions/{session}", None, "application/json", "DELETE")
        if done["steps_completed"] != done["total_steps"]:
            sys.exit(f"a step failed: {done['step_results']}")

    def seal(self, outcome, reason):
        self.sealed = True
        receipt = self.call(f"/runs/{self.id}/seal", {"outcome": outcome, "reason": reason})
        print(json.dumps(receipt))
        print(f"{outcome}: run {self.id} is sealed; exhibit show {self.id}", file=sys.stderr)


def fetch(url):
    """What the application itself says."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)
