"""Owns what `make fuzz-api` adds to schemathesis: it leads most requests to a local page and keeps
them short, gives ids that exist, corrects what is refused by what the refusal says until it is
understood, checks every answer, and writes the summary. What is generated is schemathesis' own;
one request in ten is sent exactly as it was made."""

import ast
import atexit
import collections
import hashlib
import json
import os
import re
import threading
import time

import requests
import schemathesis

SITE = os.environ["FUZZ_SITE"]
SUMMARY = os.environ["FUZZ_SUMMARY"]
BASE = os.environ["FUZZ_BASE"]
KEY = {"x-api-key": os.environ["FUZZ_KEY"]}
# Answers that tell of the page, the load or what is not there yet, and not of a fault of ours.
TOLD = {501, 502, 503, 504, 507}
# How long an answer may take: the daemon's limit for a capture is 20 s.
LIMIT = 60
# How often one request is corrected.
CORRECTIONS = 12
PAGE = """<!doctype html><title>Refund</title><h1>Refund</h1><form id="form"><label>Amount
<input id="amount"></label><select id="role"><option>a</option></select><button id="send">Send
</button></form><a href="#form">Form</a><img alt="dot" src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">"""
SELECTORS = ["#form", "#amount", "#role", "#send", "h1", "body"]
SELECTED = {"selector", "selector_a", "click", "waitForSelector"}
ADDRESSES = {"url", "url_a", "url_b", "bgImage", "logo"}
DOCUMENTS = {"html", "html_a", "html_b"}
# Longest of each wait, in ms: up to there it is made short, beyond it is wrong and stays.
WAITS = {"delay": 30000, "ms": 10000, "timeout": 15000, "fullPageScrollDelay": 2000}
SHORT = 50
PATIENCE = 700
LOADING = ("/screenshot", "/pdf", "/inspect", "/observe", "/diff", "/captures")
CAPTURING = (*LOADING, "/og-image", "sequence", "/run")

lock = threading.Lock()


def one_at_a_time(parse):
    """CPython 3.11 counts the depth of a syntax tree for all threads at once, and stops when two
    make one (hypothesis does)."""
    own = threading.RLock()

    def parsed(*arguments, **named):
        with own:
            return parse(*arguments, **named)

    return parsed


ast.parse = one_at_a_time(ast.parse)
statuses, codes, operations, done = (collections.Counter() for _ in range(4))
corrected = 0
failures = []
slowest = (0.0, "")
made = collections.defaultdict(list)


def number(*parts):
    """A number that follows from what is sent alone, so that a run can be done again."""
    text = repr(parts).encode("utf-8", "backslashreplace")
    return int.from_bytes(hashlib.sha256(text).digest()[:4], "big")


def tame(value, chance):
    """The same body, led to the local page, with short waits and a view of moderate size."""
    if isinstance(value, list):
        return [tame(item, chance + index) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    tamed = {}
    if value.get("action") == "wait_for":
        value.setdefault("timeout", PATIENCE)
    for name, item in value.items():
        chance += 1
        numeric = type(item) in (int, float)
        if isinstance(item, str) and name in ADDRESSES:
            item = SITE if chance % 10 else item
        elif isinstance(item, str) and name in DOCUMENTS:
            item = PAGE if chance % 2 else item
        elif isinstance(item, str) and name in SELECTED:
            item = SELECTORS[chance % len(SELECTORS)] if chance % 3 else item
        elif isinstance(item, str) and name == "session_id":
            item = one_of("sessions", chance) or item
        elif numeric and name in WAITS and SHORT < item <= WAITS[name]:
            item = SHORT
        elif numeric and name == "navigationTimeout" and not 0 < item <= PATIENCE and item <= 30000:
            item = PATIENCE if item >= 0 else item
        elif numeric and name in ("width", "height") and 800 < item <= 2160:
            item = 800 if chance % 20 else item
        else:
            item = tame(item, chance)
        tamed[name] = item
    return tamed


def one_of(kind, chance):
    """The id of something that is there: a new one when there is none."""
    with lock:
        if made[kind]:
            return made[kind][chance % len(made[kind])]
    body = {"runs": {"workflow": "fuzz"}, "sequences": STORED, "sessions": {}}.get(kind)
    if body is None:
        return None
    answer = requests.post(f"{BASE}/api/v1/{kind}", json=body, headers=KEY, timeout=LIMIT)
    remember(f"/api/v1/{kind}", answer)
    return made[kind][-1] if made[kind] else None


STORED = {
    "name": "stored",
    "steps": [{"action": "navigate", "url": SITE}, {"action": "screenshot"}],
}


def remember(path, answer):
    """Keep the ids of what was made."""
    told = told_of(answer)
    for kind, name in (("sessions", "session_id"), ("runs", "run"), ("sequences", "id")):
        if path == f"/api/v1/{kind}" and isinstance(told, dict) and name in told:
            with lock:
                made[kind] = [*made[kind][-19:], told[name]]


def forget(text):
    """Drop the ids of what is gone."""
    with lock:
        for kind, ids in made.items():
            made[kind] = [one for one in ids if one not in text]


def told_of(answer):
    try:
        return json.loads(answer.content)
    except ValueError:
        return None


def in_turn(case):
    """Whether a case is one of those that try each limit of each field in turn: there are plenty,
    most are refused at once, and a part of them is enough where a page is loaded."""
    return bool(case.meta) and str(case.meta.phase.name) == "coverage"


@schemathesis.hook
def before_call(context, case, kwargs):
    chance = number(case.method, case.path, case.body, case.path_parameters, case.query)
    if in_turn(case) and chance % 6:
        return
    if isinstance(case.body, (dict, list)) and chance % 10:
        body = tame(case.body, chance)
        if isinstance(body, dict) and case.path.endswith(LOADING):
            body.setdefault("navigationTimeout", PATIENCE)
            body.setdefault("waitUntil", "load")
            if body.get("type") == "og-image":
                del body["navigationTimeout"], body["waitUntil"]
        case.body = body
    for name in list(case.headers or {}):
        if name.lower() == "x-exhibit-run" and chance % 8:
            case.headers[name] = one_of("runs", chance)
    kind = case.path.removeprefix("/api/v1/").split("/")[0]
    if "id" in (case.path_parameters or {}) and chance % 4:
        case.path_parameters["id"] = one_of(kind, chance) or case.path_parameters["id"]


@schemathesis.hook
def after_call(context, case, response):
    judge(case.method, case.path, response, response.elapsed)
    refused = isinstance(case.body, dict) and response.status_code >= 400
    chosen = not in_turn(case) or number(case.path, case.body) % 20 == 0
    if case.method.upper() == "POST" and refused and chosen:
        correct(case.path, response)


@schemathesis.hook
def after_network_error(context, case, request):
    with lock:
        failures.append(f"{case.method} {case.path}: no answer")


def correct(path, response):
    """Send what was refused again, without the field that the refusal names."""
    global corrected
    request = response.request
    try:
        body = json.loads(request.body or "{}")
    except ValueError:
        return
    headers = {
        name: value for name, value in request.headers.items() if name.lower().startswith("x-")
    }
    for _ in range(CORRECTIONS):
        told = told_of(response) or {}
        code, field = told.get("code"), told.get("field") or ""
        if code in ("run_sealed", "run_not_found", "session_not_found"):
            forget(request.url + json.dumps(dict(headers)) + json.dumps(body))
        if code in ("run_sealed", "run_not_found", "not_your_run", "backend_not_configured"):
            field = "x-exhibit-backend" if "backend" in code else "x-exhibit-run"
        if response.status_code >= 500 or not field:
            return
        before = (body, headers)
        headers = {name: value for name, value in headers.items() if name.lower() != field}
        body = without(body, re.findall(r"[^.\[\]]+", field))
        if body is None and len(headers) == len(before[1]):
            return
        body = before[0] if body is None else body
        started = time.monotonic()
        try:
            response = requests.post(
                request.url, json=body, headers={**headers, **KEY}, timeout=LIMIT
            )
        except requests.RequestException as error:
            with lock:
                failures.append(f"POST {path}: no answer to {json.dumps(body)[:500]}: {error}")
            return
        with lock:
            corrected += 1
        judge("POST", path, response, time.monotonic() - started)


def without(body, parts):
    """`body` without the field of this path, or without the innermost of its parents there is."""
    if isinstance(body, dict):
        name = parts[0]
        if name not in body:
            return None
        inner = without(body[name], parts[1:]) if len(parts) > 1 else None
        rest = {key: value for key, value in body.items() if key != name}
        return rest if inner is None else {**body, name: inner}
    if isinstance(body, list) and parts[0].isdigit() and int(parts[0]) < len(body):
        index = int(parts[0])
        inner = without(body[index], parts[1:]) if len(parts) > 1 else None
        kept = [] if inner is None else [inner]
        return body[:index] + kept + body[index + 1 :]
    return None


def judge(method, path, answer, took):
    """Count an answer, and remember what is wrong with it."""
    global slowest
    status, told = answer.status_code, told_of(answer)
    name = f"{method.upper()} {path}"
    error = told if status >= 400 and isinstance(told, dict) else {}
    wrong = None
    if status >= 500 and status not in TOLD:
        wrong = "a fault of the daemon"
    elif status >= 400 and method.upper() != "HEAD":
        texts = [error.get("error"), error.get("code")]
        if not all(isinstance(text, str) and text for text in texts):
            wrong = "no text in `error` and `code`"
    with lock:
        statuses[status] += 1
        operations[name] += 1
        done[name] += 200 <= status < 300
        if "code" in error:
            codes[str(error["code"])] += 1
        slowest = max(slowest, (took, name))
        if wrong:
            sent = answer.request.body
            failures.append(
                f"{name}: {status}, {wrong}: {answer.content[:300]!r} to {sent!r:.1500}"
            )
    remember(path, answer) if method.upper() == "POST" and status < 300 else None
    if path.endswith("/seal") and status < 300 or method.upper() == "DELETE":
        forget(answer.request.url)
    return wrong


@schemathesis.check
def answers_as_promised(ctx, response, case):
    """No fault of ours, and every error says so in the one form."""
    status, told = response.status_code, told_of(response)
    assert status < 500 or status in TOLD, f"{status} is a fault of the daemon"
    if status >= 400 and case.method.upper() != "HEAD":
        assert isinstance(told, dict), "an error that is no JSON object"
        for name in ("error", "code"):
            assert isinstance(told.get(name), str) and told[name], f"no text in `{name}`"


def summary():
    captured = sum(count for name, count in done.items() if name.endswith(CAPTURING))
    lines = [
        f"requests {sum(statuses.values())}",
        f"corrected {corrected}",
        f"captures {captured}",
        f"slowest {slowest[0]:.1f} s, {slowest[1]}",
        f"failures {len(failures)}",
    ]
    lines += [f"  {failure}" for failure in failures[:50]]
    for title, counted in (("by status", statuses), ("by code", codes)):
        lines.append(title)
        lines += [f"  {count:6} {name}" for name, count in counted.most_common()]
    lines.append("by operation: sent, and done as asked")
    lines += [f"  {count:6} {done[name]:6} {name}" for name, count in operations.most_common()]
    with open(SUMMARY, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")


atexit.register(summary)
