"""Owns how the contract's client asks: a request in one line, its reply checked for what holds of
every reply of the kind."""

from shapes import ENCODED, OBSERVE, SEQUENCE
from wire import Checks, Server, bare_base64, differences, kind, pixel, size

FORM = """<!doctype html><html lang="en"><head><title>Refund</title>
<meta name="description" content="Pay money back"><meta property="og:title" content="A refund">
</head><body style="margin:0"><h1>Refund</h1><a id="home" href="http://a.example/">Home</a>
<form id="f" action="http://a.example/refunds" method="post">
<input id="amount" type="number" placeholder="48.50"><button>Send</button></form>
<img id="dot" alt="A dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<script>console.warn("careful")</script></body></html>"""
WHITE = "<!doctype html><body style='margin:0;background:#fff'>"
BOX = (
    "<div id='box' style='position:absolute;left:20px;top:30px;width:60px;height:40px;"
    "background:#00f'></div>"
)
RED, BLUE, EMPTY = (255, 0, 0, 255), (0, 0, 255, 255), (0, 0, 0, 0)


class Asking:
    """A service and a site, and what several groups of checks do with them."""

    def __init__(self, base, key, site):
        self.server = Server(base, key)
        self.site = site.rstrip("/")
        self.counted = Checks()
        self.check = self.counted.check
        self.shape = self.counted.shape

    def picture(self, what, body, format="png", extent=None):
        """A screenshot as the MCP client asks for it; its bytes."""
        body = {"waitUntil": "load", "response_type": "json", **body}
        answer = self.server.post("screenshot", body)
        if not self.check(f"{what} answers 200", answer.status == 200, answer):
            return b""
        return self.encoded(what, answer, format, extent)

    def encoded(self, what, answer, format, extent=None):
        """A reply with the product as base64; its bytes."""
        told = answer.json or {}
        self.shape(f"{what}: the shape of the reply", told, ENCODED)
        data = bare_base64(told.get("data")) or b""
        self.check(f"{what}: data is bare base64 of a {format}", kind(data) == format, data[:40])
        self.check(f"{what}: size_bytes", told.get("size_bytes") == len(data), answer)
        if extent:
            self.check(f"{what}: {extent[0]} × {extent[1]}", size(data) == extent, size(data))
        return data

    def raw(self, name, body, media_type, what):
        """A reply that is the product itself; its bytes."""
        answer = self.server.post(name, body)
        found = (answer.status, answer.media_type, kind(answer.body))
        wanted = (200, media_type, media_type.split("/")[1])
        self.check(f"{what} answers bytes of {media_type}", found == wanted, answer)
        return answer.body

    def told(self, name, body, what, shape):
        """A JSON reply of a shape; an empty one when there is none."""
        answer = self.server.post(name, {"waitUntil": "load", **body})
        self.check(f"{what} answers 200", answer.status == 200, answer)
        told = answer.json
        holds = self.shape(f"{what}: the shape of the reply", told, shape)
        return told if holds else {}

    def seen(self, what, body, *words):
        """What the page /echo saw of the request and of its browser."""
        body = {"url": f"{self.site}/echo", "includeContent": True, "maxElements": 1, **body}
        told = self.told("observe", body, what, OBSERVE)
        text = (told.get("content") or {}).get("markdown", "").replace("\\", "")
        for word in words:
            self.check(f"{what}: the page sees {word}", word in text, text)

    def fails(self, what, status, method, path, body=None, **how):
        """A failing request, sent twice at once: twice the same refusal, and no harm."""
        first, second = self.server.twice(method, path, body, **how)
        for answer in (first, second):
            if not self.check(f"{what} answers {status}", answer.status == status, answer):
                return
            self.shape(
                f"{what}: error and code are text",
                answer.json,
                {"error": str, "code": str, "hint?": str},
            )
            self.check(f"{what}: error says something", answer.json.get("error"), answer)
        same = first.json.get("code") == second.json.get("code")
        self.check(f"{what}: the same code both times", same, (first.json, second.json))

    def sequence(self, what, body, path=None):
        """A sequence; its reply, when it has the contract's shape."""
        answer = self.server.post("sequence", body, path)
        self.check(f"{what} answers 200", answer.status == 200, answer)
        told = answer.json or {}
        self.shape(f"{what}: the shape of the reply", told, SEQUENCE)
        if any(differences(told, SEQUENCE, "")):
            return None
        indexes = [one["step_index"] for one in told["step_results"]]
        self.check(f"{what}: the results in order", indexes == list(range(len(indexes))), indexes)
        self.check(f"{what}: total_steps", told["total_steps"] == len(body["steps"]), told)
        for output in told["outputs"]:
            data = bare_base64(output["data"]) if "data" in output else None
            name = f"{what}: the output {output['name']}"
            format = {"pdf": "pdf", "diff": "png"}.get(output["type"], output.get("format"))
            self.check(
                f"{name} is bare base64 of a {format}", data and kind(data) == format, output
            )
            if output["type"] != "diff":
                told_size = output["size_bytes"]
                self.check(f"{name}: size_bytes", told_size == len(data or b""), told_size)
        return told

    def all_ok(self, what, told):
        """Every step of a sequence was done."""
        wrong = [one for one in (told or {}).get("step_results", []) if one["status"] != "ok"]
        done = told and told["steps_completed"] == told["total_steps"]
        self.check(f"{what}: every step is ok", done and not wrong, wrong or told)

    def heard(self, session, *words):
        """What the page /form was told, as the session shows it."""
        body = {"session_id": session, "includeContent": True}
        told = self.server.post("observe", body).json or {}
        text = (told.get("content") or {}).get("markdown", "")
        for word in words:
            self.check(f"the page heard: {word}", word in text, text or told)

    def open_session(self, what, body=None):
        """The id of a new session."""
        answer = self.server.post("sessions", body or {})
        self.check(f"a session {what} is opened", 200 <= answer.status < 300, answer)
        spec = {"session_id": str, "expires_at": str, "note?": str}
        self.shape(f"a session {what}: the shape of the reply", answer.json, spec)
        return (answer.json or {}).get("session_id", "none")

    def close_session(self, session):
        answer = self.server.send("DELETE", f"/api/v1/sessions/{session}")
        self.check("a session is closed", 200 <= answer.status < 300, answer)

    def signed_in(self):
        """What makes the site believe that somebody has been there before."""
        items = [{"name": "state", "value": "kept"}]
        return {
            "cookies": [{"name": "state", "value": "kept", "domain": "127.0.0.1"}],
            "localStorage": [{"origin": self.site, "items": items}],
        }

    def coloured(self, what, body, wanted):
        """A small picture, and the colour in its middle."""
        found = pixel(self.picture(what, body | {"width": 40, "height": 40}), 20, 20)
        self.check(f"{what} is what the page shows", found == wanted, found)

    def everything(self):
        """The fields of a page that go together."""
        return {
            "width": 800, "height": 600, "viewportDevice": "macbook_pro_14",
            "viewportMobile": False, "viewportHasTouch": False, "viewportLandscape": False,
            "deviceScaleFactor": 1, "waitUntil": "load", "waitForSelector": "body",
            "navigationTimeout": 20000, "darkMode": True, "reducedMotion": True,
            "mediaType": "screen", "timeZone": "Europe/Berlin",
            "geolocation": {"latitude": 1, "longitude": 2}, "userAgent": "contract/1",
            "cookies": ["a=b"], "headers": {"X-A": "b"}, "authorization": "Bearer x",
            "bypassCSP": True, "hideSelectors": [".ad"], "injectCss": "p{margin:0}",
            "injectJs": "void 0", "blockBanners": True, "blockAds": True, "blockChats": True,
            "blockTrackers": True, "blockRequests": ["*.example.com/*"], "blockResources": ["font"],
        }  # fmt: skip
