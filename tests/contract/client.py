#!/usr/bin/env python3
"""A client of the hosted screenshot API, written from its wire contract alone: it sends every field
of every endpoint to a service and checks every reply, field by field. It knows nothing of Exhibit
but that the header X-Exhibit-Run names the run of an answer.

    client.py BASE_URL API_KEY SITE_URL        (or EXHIBIT_URL, EXHIBIT_KEY and CONTRACT_SITE)

SITE_URL is a web site on 127.0.0.1 to capture, with the pages /ok, /form, /echo, /elements, /img/0,
/img/1, /tall/2500, /late-element and /hang. A line for each check, then a JSON summary; 0 when all hold, otherwise 1.
"""

import json
import os
import socket
import sys
import traceback

from asking import WHITE
from captures import Captures
from flows import Flows
from reading import Reading
from shapes import FIELDS
from wire import NUMBER, Either, kind, size


class Contract(Captures, Reading, Flows):
    """Every endpoint of the contract."""

    def run(self):
        for group in [
            self.access, self.screenshots, self.views, self.identity, self.edits, self.whole_pages,
            self.documents, self.cards, self.sequences, self.partial_failures, self.inspections,
            self.observations, self.comparisons, self.sessions, self.about, self.kept, self.videos,
            self.errors, self.all_fields,
        ]:  # fmt: skip
            self.counted.group = group.__name__
            try:
                group()
            except Exception:
                self.check("goes on to its end", False, traceback.format_exc())
        return self.counted

    def access(self):
        for base in ("/api/v1", "/v1"):
            for auth in ("header", "bearer", "query"):
                answer = self.server.send("GET", f"{base}/usage", auth=auth)
                self.check(f"{base} with the key by {auth}", answer.status == 200, answer)
            body = {"html": WHITE, "waitUntil": "load"}
            answer = self.server.send("POST", f"{base}/screenshot", body, auth="query")
            self.check(f"{base}/screenshot by query", kind(answer.body) == "png", answer)
            for auth in ("none", "wrong"):
                path = f"{base}/usage"
                self.fails(f"{base}, key: {auth}", 401, "GET", path, auth=auth)
                path = f"{base}/screenshot"
                self.fails(f"{base} POST, key: {auth}", 401, "POST", path, body, auth=auth)
        answer = self.server.send("GET", "/llms-full.txt", auth="none")
        self.check("/llms-full.txt needs no key", answer.status == 200, answer)
        self.check("/llms-full.txt is text", answer.media_type.startswith("text/"), answer)
        self.check("/llms-full.txt says something", len(answer.body) > 200, answer)

    def about(self):
        told = self.server.send("GET", "/api/v1/devices").json
        spec = {
            "id": str, "name": str, "width": int, "height": int, "deviceScaleFactor": NUMBER,
            "mobile": bool,
        }  # fmt: skip
        self.shape("the devices", told, {"devices": [spec]})
        ids = [one.get("id") for one in (told or {}).get("devices", [])]
        self.check("25 devices or more", len(set(ids)) >= 25 and len(set(ids)) == len(ids), ids)
        self.check("the known ids", {"iphone_14_pro", "macbook_pro_14"} <= set(ids), ids)
        told = self.server.send("GET", "/api/v1/usage").json
        spec = {"plan": str, "usage": {"current": NUMBER, "limit": NUMBER, "remaining": NUMBER}}
        self.shape("the usage", told, spec)
        before = (told or {}).get("usage", {}).get("current")
        self.picture("one more capture", {"html": WHITE})
        told = self.server.send("GET", "/api/v1/usage").json or {}
        after = told.get("usage", {}).get("current")
        self.check("the usage grows", before is not None and after == before + 1, (before, after))
        answer = self.server.send("GET", "/api/v1/jobs")
        job = {"id": str, "type": str, "status": str, "created_at": str}
        self.shape("the jobs", answer.json, Either(({"jobs": [job]}, [job])))
        self.fails("a job nobody knows", 404, "GET", "/api/v1/jobs/a%2Fb")

    def errors(self):
        page = {"html": WHITE, "waitUntil": "load"}
        shot = "/api/v1/screenshot"
        for what, body in [
            ("no target", {}), ("width 0", page | {"width": 0}),
            ("width 3841", page | {"width": 3841}), ("height 2161", page | {"height": 2161}),
            ("quality 101", page | {"quality": 101}), ("quality 0", page | {"quality": 0}),
            ("deviceScaleFactor 4", page | {"deviceScaleFactor": 4}),
            ("delay 30001", page | {"delay": 30001}),
            ("navigationTimeout 30001", page | {"navigationTimeout": 30001}),
            ("fullPageScrollDelay 2001", page | {"fullPageScrollDelay": 2001}),
            ("a format nobody knows", page | {"format": "gif"}),
            ("a number for a flag", page | {"fullPage": 1}),
            ("a text for a number", page | {"width": "wide"}),
            ("half a clip", page | {"clip": {"x": 1, "y": 1}}),
            ("a script of 51 KB", page | {"injectJs": "x" * 51 * 1024}),
            ("an address that is none", {"url": "not an address"}),
        ]:  # fmt: skip
            self.fails(what, 400, "POST", shot, body)
        for what, raw in (("no JSON", b"{"), ("a list", b"[]"), ("no UTF-8", b"\xff\xfe")):
            self.fails(f"the body {what}", 400, "POST", shot, raw=raw)
        for name, body in [
            ("pdf", {}), ("pdf", {"html": WHITE, "scale": 3}), ("og-image", {"width": 2401}),
            ("og-image", {"template": "none"}), ("inspect", {}), ("observe", {}),
            ("observe", {"html": WHITE, "maxElements": 151}), ("diff", {"html_a": WHITE}),
            ("diff", {"html_a": WHITE, "html_b": WHITE, "threshold": 2}), ("sequence", {}),
            ("sequence", {"steps": []}), ("sequence", {"steps": [{"action": "wait", "ms": 1}]}),
            ("sequence", {"steps": [{"action": "screenshot"}] * 6}),
            ("sequence", {"steps": [{"action": "screenshot"}] * 101}),
            ("sequence", {"steps": [{"action": "fly"}, {"action": "screenshot"}]}),
            ("sequence", {"steps": [{"action": "evaluate", "script": "1"}] * 3
                          + [{"action": "screenshot"}]}),
            ("sequence", {"steps": [{"action": "screenshot"}], "viewport": {"width": 319}}),
            ("sequences/import", {}), ("sequences", {"steps": []}),
        ]:  # fmt: skip
            self.fails(f"{name} of {json.dumps(body)[:60]}", 400, "POST", f"/api/v1/{name}", body)
        for url in ("file:///etc/passwd", "javascript:alert(1)"):
            self.fails(url, 403, "POST", shot, {"url": url})
            steps = [{"action": "navigate", "url": url}, {"action": "screenshot"}]
            self.fails(f"a step to {url}", 403, "POST", "/api/v1/sequence", {"steps": steps})
        self.fails("no such endpoint", 404, "GET", "/api/v1/nothing-here")
        gone = "3f0e8f0a-94a5-4f4e-8d39-6a7c6a3c7f10"
        self.fails("no such session", 404, "DELETE", f"/api/v1/sessions/{gone}")
        for name in ("screenshot", "inspect", "observe"):
            self.fails(
                f"{name} in no session", 404, "POST", f"/api/v1/{name}", {"session_id": gone}
            )
        huge = {"html": "x" * 12 * 1024 * 1024}
        self.fails("a body of 12 MiB", 413, "POST", shot, huge)
        self.fails("a selector of nothing", 422, "POST", shot, page | {"selector": "#nowhere"})
        with socket.create_server(("127.0.0.1", 0)) as nobody:
            refused = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        self.fails("a port where nobody listens", 502, "POST", shot, {"url": refused})
        hang = {"url": f"{self.site}/hang", "navigationTimeout": 300}
        self.fails("a page that does not answer", 504, "POST", shot, hang)
        found = self.picture("and it works as before", page | {"width": 40, "height": 40})
        self.check("nothing was harmed", size(found) == (40, 40), size(found))

    def all_fields(self):
        for name, fields in FIELDS.items():
            left = set(fields.split()) - self.server.sent.get(name, set())
            self.check(f"every field of {name} was sent and understood", not left, sorted(left))


def main(arguments):
    given = [os.environ.get(name) for name in ("EXHIBIT_URL", "EXHIBIT_KEY", "CONTRACT_SITE")]
    given[: len(arguments)] = arguments
    if len(given) != 3 or not all(given):
        sys.exit(__doc__)
    contract = Contract(*given)
    counted = contract.run()
    summary = {
        "checks": counted.passed + len(counted.failed),
        "failed": counted.failed,
        "runs": contract.server.runs,
    }
    print(json.dumps(summary))
    return 1 if counted.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
