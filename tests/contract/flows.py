"""Owns the checks of what goes on for longer than one request: sequences, sessions, what is kept,
and recordings."""

import threading

from asking import WHITE, Asking
from shapes import FLAGS, INSPECT, JOB, KEYS, OBSERVE, QUEUED, VIDEO
from wire import OneOf, bare_base64, size


class Flows(Asking):
    """Sequences with every action and key, sessions from beginning to end."""

    def sequences(self):
        session = self.open_session("for the sequence")
        steps = [
            {"action": "navigate", "url": f"{self.site}/form"},
            {"action": "click", "selector": "#user"},
            {"action": "fill", "selector": "#user", "value": "Ada"},
            {"action": "fill", "selector": "#note", "value": "a note"},
            {"action": "select", "selector": "#role", "value": "a"},
            {"action": "hover", "selector": "#hover"},
            {"action": "dblclick", "selector": "#hover"},
            {"action": "scroll", "x": 0, "y": 200, "relative": True},
            {"action": "scroll", "selector": "#below"},
            {"action": "wait", "ms": 10},
            {"action": "wait_for", "selector": "#heard", "timeout": 5000},
            {"action": "evaluate", "script": "document.title = 'Evaluated'"},
            {"action": "evaluate", "script": "//" + "x" * 4998},
            {"action": "screenshot", "name": "first", "format": "jpeg", "quality": 50, "delay": 10,
             "fullPage": True, "fullPageScroll": True, "pauseAfter": 10,
             "style": {"frame": "macos", "padding": 10}},
            {"action": "screenshot", "name": "second", "selector": "#form", "format": "webp"},
            {"action": "pdf", "name": "third", "format": "A5", "landscape": True,
             "printBackground": False, "margin": "1cm", "scale": 0.5},
            {"action": "diff", "name": "fourth", "html_b": WHITE, "threshold": 0.2, "delay": 1,
             "fullPage": True, "fullPageScroll": False},
            {"action": "diff", "name": "fifth", "url_b": f"{self.site}/form", "selector_a": "#send",
             "optional": True},
        ]  # fmt: skip
        body = {"session_id": session, "steps": steps}
        told = self.sequence("every action", body)
        self.all_ok("every action", told)
        if told:
            names = [output["name"] for output in told["outputs"]]
            wanted = ["first", "second", "third", "fourth", "fifth"]
            self.check("every action: all outputs", names == wanted, names)
            indexes = [output["step_index"] for output in told["outputs"]]
            self.check("every action: their steps", indexes == [13, 14, 15, 16, 17], indexes)
            types = [output.get("content_type") for output in told["outputs"][:2]]
            self.check("the media types", types == ["image/jpeg", "image/webp"], types)
            changed = [output.get("changed_pixels") for output in told["outputs"][3:]]
            differs = len(changed) == 2 and changed[0] > 0 and changed[1] == 0
            self.check("the blank page differs, the same does not", differs, changed)
            charged = told["usage"]["outputs_charged"]
            self.check("every action: outputs_charged", charged == 5, charged)
            quiet = not any("state" in one for one in told["step_results"])
            self.check("no state unless asked for", quiet, told["step_results"])
        self.heard(session, "user Ada", "note a note", "role a", "hovered", "double")
        found = self.server.post("observe", {"session_id": session}).json or {}
        self.check("evaluate changed the page", found.get("title") == "Evaluated", found)

        steps = [{"action": "press_key", "key": key, "selector": "#user"} for key in KEYS]
        steps += [{"action": "press_key", "key": "Escape"}, {"action": "screenshot"}]
        told = self.sequence("every key", {"session_id": session, "steps": steps})
        self.all_ok("every key", told)
        self.heard(session, *[f"key {key}" for key in KEYS if key != "Space"], "sent at")
        self.close_session(session)

        body = {
            "viewport": {"width": 400, "height": 300}, "deviceScaleFactor": 2, "darkMode": True,
            "cookies": ["seen=yes", {"name": "more", "value": "1", "domain": "127.0.0.1"}],
            "authState": self.signed_in(), "observeAfterEachStep": True,
            "steps": [{"action": "navigate", "url": f"{self.site}/form"},
                      {"action": "screenshot", "name": "whole", "omitBackground": True}],
        }  # fmt: skip
        body |= {name: True for name in FLAGS.split()}
        told = self.sequence("a sequence with every field", body)
        self.all_ok("a sequence with every field", told)
        if told and told["outputs"]:
            found = size(bare_base64(told["outputs"][0]["data"]))
            self.check("its view", found == (800, 600), found)
            states = [one.get("state", {}).get("pageType") for one in told["step_results"]]
            self.check("a state after each step", all(states) and len(states) == 2, states)
        steps = [{"action": "navigate", "url": f"{self.site}/ok"}, {"action": "screenshot"}]
        for path in ("/api/v1/run_sequence", "/v1/sequence", "/v1/run_sequence"):
            self.all_ok(path, self.sequence(path, {"steps": steps}, path))

    def partial_failures(self):
        shot = {"action": "screenshot", "name": "after"}
        go = {"action": "navigate", "url": f"{self.site}/form"}
        missing = {"action": "wait_for", "selector": "#nowhere", "timeout": 200}
        told = self.sequence("a step that fails", {"steps": [go, missing, shot]})
        if told:
            found = [one["status"] for one in told["step_results"]]
            self.check("a step that fails is told", found[:2] == ["ok", "error"], found)
            self.shape("it says why", told["step_results"][1], {"error": str})
            self.check("less is completed", told["steps_completed"] < 3, told)
        told = self.sequence(
            "an optional step", {"steps": [go, missing | {"optional": True}, shot]}
        )
        if told:
            found = [one["status"] for one in told["step_results"]]
            self.check("an optional step may fail", found == ["ok", "error", "ok"], found)
            self.check("the output is there", len(told["outputs"]) == 1, told["outputs"])
        first = {"action": "click", "selector": "#nowhere"}
        told = self.sequence("a first step that fails", {"steps": [first, shot]})
        if told:
            found = (told["outputs"], told["step_results"][0]["status"])
            self.check("the lists are there all the same", found == ([], "error"), told)

    def listed(self):
        told = self.server.send("GET", "/api/v1/sessions").json
        spec = {"sessions": [{"session_id": str, "created_at": str, "expires_at": str}]}
        self.shape("the list of sessions", told, spec)
        return [one.get("session_id") for one in (told or {}).get("sessions", [])]

    def sessions(self):
        body = {
            "cookies": [{"name": "seen", "value": "yes", "domain": "127.0.0.1"}],
            "viewport": {"width": 640, "height": 480}, "stealth": False,
        }  # fmt: skip
        session = self.open_session("with every field", body)
        self.check("the session is listed", session in self.listed(), session)
        here = {"session_id": session}
        go = [{"action": "navigate", "url": f"{self.site}/echo"}, {"action": "screenshot"}]
        told = self.sequence("in the session", here | {"steps": go})
        if told and told["outputs"]:
            found = size(bare_base64(told["outputs"][0]["data"]))
            self.check("the session's view", found == (640, 480), found)
        self.picture("in the session", here, extent=(640, 480))
        told = self.told("inspect", here, "the session inspected", INSPECT)
        self.check("the session kept its page", told.get("title") == "Echo", told)
        self.seen("the session with another address", here, "seen=yes")
        told = self.told("observe", here, "the session observed", OBSERVE)
        self.check("the page it went to", told.get("url") == f"{self.site}/echo", told.get("url"))
        self.picture("an address in the session", here | {"url": f"{self.site}/form"})
        told = self.told("inspect", here, "the session inspected again", INSPECT)
        self.check("it has gone there", told.get("title") == "Form", told.get("title"))
        self.close_session(session)
        self.check("a closed session is not listed", session not in self.listed(), session)
        path = "/api/v1/screenshot"
        self.fails("a closed session", 404, "POST", path, here)
        self.fails("closing it again", 404, "DELETE", f"/api/v1/sessions/{session}")

    def kept(self):
        trace = [
            {"step": 1, "action": "navigate", "target": f"{self.site}/form", "result": "ok"},
            {"step": 2, "action": "fill", "target": "e1", "value": "48.50", "thought": "so"},
        ]
        body = {"trace": trace, "selectors": {"e1": "#user"}, "type": "sequence", "save": False}
        answer = self.server.post("sequences/import", body)
        self.check("an import answers 200", answer.status == 200, answer)
        spec = {"saved": OneOf((False,)), "steps": [{"action": str}], "step_count": int}
        if self.shape("an import that is not kept", answer.json, spec):
            told = answer.json
            self.check("its count", told["step_count"] == len(told["steps"]) >= 2, told)
            self.check("its first step", told["steps"][0]["action"] == "navigate", told)
            found = told["steps"][1].get("selector")
            self.check("its selectors", found == "#user", told)
            # What was imported can be run as it is.
            steps = [one for one in told["steps"] if one["action"] != "screenshot"]
            steps.append({"action": "screenshot"})
            self.all_ok("what was imported", self.sequence("what was imported", {"steps": steps}))
        del body["save"]
        answer = self.server.post("sequences/import", body | {"name": "Imported"})
        spec = {"id": str, "name": OneOf(("Imported",)), "type": OneOf(("sequence",))}
        spec |= {"step_count": int, "steps": [{"action": str}]}
        self.shape("an import that is kept", answer.json, spec)
        steps = [{"action": "navigate", "url": f"{self.site}/ok"}, {"action": "screenshot"}]
        body = {
            "name": "x" * 100, "description": "y" * 500, "type": "sequence", "steps": steps,
            "viewport": {"width": 800, "height": 600},
        }  # fmt: skip
        answer = self.server.post("sequences", body)
        self.check("a sequence is kept", 200 <= answer.status < 300, answer)
        self.shape("a kept sequence", answer.json, {"id": str, "name": OneOf((body["name"],))})
        more = {"pace": 1, "format": "mp4", "audioGuide": {"enabled": False}}
        answer = self.server.post("sequences", body | more | {"type": "video"})
        self.check("one for a video is kept", 200 <= answer.status < 300, answer)
        self.shape("one that is for a video", answer.json, {"id": str, "name": str})

    def videos(self):
        """Recordings in every mode; and the one thing the service does not do says so."""
        steps = [
            {"action": "navigate", "url": f"{self.site}/{{{{page}}}}", "note": "Look"},
            {"action": "fill", "selector": "#user", "value": "Ada", "narration": "Her name"},
            {"action": "click", "selector": "#user", "zoom": {"enabled": False}},
            {"action": "press_key", "key": "Tab"},
            {"action": "highlight", "selector": "#send", "style": "outline", "color": "#ff0000",
             "duration": 200, "thickness": 2, "padding": 4, "label": "Here"},
            {"action": "wait", "ms": 100, "live": True, "pauseAfter": 100},
        ]  # fmt: skip
        video = {
            "steps": steps,
            "viewport": {"width": 800, "height": 600}, "format": "mp4", "framerate": 30,
            "darkMode": False, "deviceScaleFactor": 1, "cookies": ["a=b"],
            "authState": self.signed_in(), "variables": {"page": "form"}, "async": False,
            "response_type": "json", "cursor": {"visible": True, "style": "dot"},
            "clickEffect": {"enabled": True, "style": "ring"}, "zoom": {"enabled": False},
            "autoZoom": False, "pace": "normal", "frame": {"enabled": False},
            "background": {"enabled": False}, "audioGuide": {"enabled": False},
        }  # fmt: skip
        video |= {name: True for name in FLAGS.split()}
        answer = self.server.post("video", video)
        self.check("a video answers 200", answer.status == 200, answer)
        told = answer.json or {}
        self.shape("a video: the shape of the reply", told, VIDEO)
        data = bare_base64(told.get("data")) or b""
        self.check("a video is bare base64 of an MP4", data[4:8] == b"ftyp", data[:16])
        self.check("a video: size_bytes", told.get("size_bytes") == len(data), len(data))
        done = (told.get("steps_completed"), told.get("total_steps"))
        self.check("a video: every step is done", done == (len(steps), len(steps)), told)
        del video["response_type"]
        answer = self.server.post("video", video)
        found = (answer.status, answer.media_type, answer.body[4:8])
        self.check("a video as bytes", found == (200, "video/mp4", b"ftyp"), answer)
        answer = self.server.post("video", video | {"async": True})
        self.check("a video for later answers 202", answer.status == 202, answer)
        self.shape("a video for later: the shape of the reply", answer.json, QUEUED)
        self.followed((answer.json or {}).get("status_url", "/api/v1/jobs/none"))
        self.fails("a video without steps", 400, "POST", "/api/v1/video", {"steps": []})
        act = {
            "url": f"{self.site}/ok", "goal": "look at it", "maxSteps": 1,
            "allowedDomains": ["127.0.0.1"], "session_id": "none",
            "credentials": {"username": "a", "password": "b"},
        }  # fmt: skip
        self.server.post("act", act)
        self.fails("act", 501, "POST", "/api/v1/act", act)

    def followed(self, path):
        """A job until it is done, asked for again and again as the client does."""
        for _ in range(600):
            told = self.server.send("GET", path).json or {}
            if told.get("status") in ("completed", "failed"):
                break
            threading.Event().wait(0.1)
        self.check("the job is completed", told.get("status") == "completed", told)
        self.shape("a job that is done", told, JOB)
        file = self.server.send("GET", (told.get("output") or {}).get("file_url", "/none"))
        self.check("the job's file is an MP4", file.body[4:8] == b"ftyp", file)
        listed = (self.server.send("GET", "/api/v1/jobs").json or {}).get("jobs", [])
        self.check("the job is listed", told.get("id") in [one["id"] for one in listed], listed)
