"""Owns what the contract test needs beside the contract: HTTP as the hosted API's client speaks it,
the shapes of answers, the reading of pictures, and the count of checks. Standard library only."""

import base64
import binascii
import http.client
import json
import struct
import sys
import threading
import urllib.parse
import zlib

# How long the hosted API's own client waits for an answer.
TIMEOUT = 120


class Answer:
    """One answer, read to its end."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def media_type(self):
        return self.headers.get("content-type", "").split(";")[0].strip()

    @property
    def json(self):
        """The body as JSON; none when it is something else."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def __str__(self):
        return f"{self.status} {self.media_type} {self.body[:300]!r}"


class Server:
    """The service under test, as its callers reach it."""

    def __init__(self, base, key):
        parts = urllib.parse.urlsplit(base)
        self.host, self.port = parts.hostname, parts.port or 80
        self.prefix = parts.path.rstrip("/")
        self.key = key
        self.runs = []
        self.sent = {}
        self.lock = threading.Lock()

    def send(self, method, path, body=None, auth="header", raw=None):
        """Send a request with the headers that the hosted API's client sends."""
        headers = {
            "user-agent": "pagebolt-mcp/1.16.0",
            "accept": "*/*",
            "accept-language": "*",
            "sec-fetch-mode": "cors",
            "accept-encoding": "gzip, deflate",
        }
        if auth == "header":
            headers["x-api-key"] = self.key
        elif auth == "bearer":
            headers["authorization"] = f"Bearer {self.key}"
        elif auth == "query":
            path += f"?api_key={urllib.parse.quote(self.key)}"
        elif auth == "wrong":
            headers["x-api-key"] = "pf_test_key"
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            headers["content-type"] = "application/json"
        connection = http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)
        try:
            connection.request(method, self.prefix + path, raw, headers)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.getheader("content-encoding") in ("gzip", "deflate"):
            data = zlib.decompress(data, 47)
        answer = Answer(response.status, response.getheaders(), data)
        with self.lock:
            run = answer.headers.get("x-exhibit-run")
            if run and run not in self.runs:
                self.runs.append(run)
        return answer

    def post(self, name, body, path=None):
        """POST to an endpoint, remembering which of its fields were sent and understood."""
        answer = self.send("POST", path or f"/api/v1/{name}", body)
        if answer.status < 300 or answer.status == 501:
            self.sent.setdefault(name, set()).update(body)
            for step in body.get("steps", []):
                self.sent.setdefault("step", set()).update(step)
        return answer

    def twice(self, *arguments, **how):
        """The same request two times at once, as the client's retries do to whatever fails."""
        answers = []
        send = lambda: answers.append(self.send(*arguments, **how))
        threads = [threading.Thread(target=send) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers


class Checks:
    """Counts and prints what was checked."""

    def __init__(self):
        self.passed = 0
        self.failed = []
        self.group = ""

    def check(self, what, holds, found=""):
        name = f"{self.group}: {what}"
        if holds:
            self.passed += 1
            print(f"ok    {name}")
        else:
            self.failed.append(name)
            print(f"FAIL  {name}: {str(found)[:1000]}")
        sys.stdout.flush()
        return bool(holds)

    def shape(self, what, value, spec):
        """`value` has the shape `spec`; what is wrong is listed by path."""
        wrong = list(differences(value, spec, ""))
        return self.check(what, not wrong, "; ".join(wrong[:10]))


class OneOf(tuple):
    """Values of which one must be there."""


class Either(tuple):
    """Shapes of which one must hold."""


NUMBER = (int, float)


def differences(value, spec, path):
    """What of `value` is not as `spec` says: a type, a list of one spec, a dict of specs (a name
    with `?` may be missing), OneOf or Either."""
    here = path or "the body"
    if isinstance(spec, dict):
        if not isinstance(value, dict):
            yield f"{here} is no object: {value!r:.80}"
            return
        for name, inner in spec.items():
            bare = name.rstrip("?")
            if bare in value:
                yield from differences(value[bare], inner, f"{path}.{bare}".lstrip("."))
            elif not name.endswith("?"):
                yield f"{path}.{bare} is missing".lstrip(".")
    elif isinstance(spec, list):
        if not isinstance(value, list):
            yield f"{here} is no list: {value!r:.80}"
            return
        for index, item in enumerate(value):
            yield from differences(item, spec[0], f"{path}[{index}]")
    elif isinstance(spec, OneOf):
        if value not in spec:
            yield f"{here} is {value!r:.80}, not one of {', '.join(map(str, spec))}"
    elif isinstance(spec, Either):
        if all(any(differences(value, one, path)) for one in spec):
            yield f"{here} has none of its shapes: {value!r:.80}"
    elif isinstance(value, bool) and spec is not bool or not isinstance(value, spec):
        yield f"{here} is {value!r:.80}"


def bare_base64(text):
    """The bytes of base64 without any prefix; none when it is something else."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        return None


def kind(data):
    """What the first bytes say a picture or document is."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "pdf" if data.startswith(b"%PDF-") else "unknown"


def size(data):
    """Width and height of a picture."""
    what = kind(data)
    if what == "png":
        return struct.unpack(">II", data[16:24])
    if what == "jpeg":
        at = 2
        while at + 9 < len(data):
            marker, length = data[at + 1], struct.unpack(">H", data[at + 2 : at + 4])[0]
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack(">HH", data[at + 5 : at + 9])
                return width, height
            at += 2 + length
    if what == "webp":
        chunk = data[12:16]
        if chunk == b"VP8X":
            three = lambda at: int.from_bytes(data[at : at + 3], "little") + 1
            return three(24), three(27)
        if chunk == b"VP8L":
            bits = int.from_bytes(data[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if chunk == b"VP8 ":
            width, height = struct.unpack("<HH", data[26:30])
            return width & 0x3FFF, height & 0x3FFF
    return None


def pixel(data, x, y):
    """Red, green, blue and alpha of one pixel of a PNG with eight bits a channel; none when it is
    no such picture."""
    if kind(data) != "png":
        return None
    width, height = size(data)
    depth, colour = data[24], data[25]
    channels = {2: 3, 6: 4}.get(colour)
    if depth != 8 or channels is None or x >= width or y >= height:
        return None
    at, packed = 8, b""
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    rows = zlib.decompress(packed)
    stride = width * channels
    above = bytearray(stride)
    for row in range(y + 1):
        start = row * (stride + 1)
        line = bytearray(rows[start + 1 : start + 1 + stride])
        unfilter(rows[start], line, above, channels)
        above = line
    found = tuple(above[x * channels : (x + 1) * channels])
    return found if channels == 4 else (*found, 255)


def unfilter(how, line, above, channels):
    """Undo the filter of one row of a PNG."""
    if how == 0:
        return
    for index in range(len(line)):
        left = line[index - channels] if index >= channels else 0
        up = above[index]
        if how == 1:
            guess = left
        elif how == 2:
            guess = up
        elif how == 3:
            guess = (left + up) // 2
        else:
            corner = above[index - channels] if index >= channels else 0
            guess = min((left, up, corner), key=lambda one: abs(left + up - corner - one))
        line[index] = (line[index] + guess) & 0xFF
