"""Owns the checks of what is told of a page and of two pages: inspect, observe, diff."""

from asking import BOX, FORM, WHITE, Asking
from shapes import CONSOLE, DIFF, ELEMENTS, FIELDS, INSPECT, OBSERVE
from wire import bare_base64, kind, size


class Reading(Asking):
    """Inspect, observe and diff: every field, and the shape of every reply."""

    def inspections(self):
        told = self.told("inspect", {"html": FORM}, "a document", INSPECT)
        if told:
            found = (told["title"], told["metadata"]["lang"], told["metadata"]["description"])
            self.check(
                "title, lang, description", found == ("Refund", "en", "Pay money back"), found
            )
            found = told["headings"] and told["headings"][0]
            self.check(
                "a heading", found and (found["level"], found["text"]) == (1, "Refund"), found
            )
            found = [one["attributes"].get("placeholder") for one in told["elements"]]
            self.check("an element's attributes", "48.50" in found, found)
            found = [(form["method"].lower(), len(form["fields"])) for form in told["forms"]]
            self.check(
                "the form with its fields", found and found[0][0] == "post" and found[0][1], found
            )
            found = [link["text"] for link in told["links"]]
            self.check("the link", found == ["Home"], found)
            found = [image["alt"] for image in told["images"]]
            self.check("the picture", found == ["A dot"], found)
            self.check("no console unless asked for", "console" not in told, told)
        body = {"html": FORM, "includeConsole": True}
        told = self.told("inspect", body, "with the console", INSPECT | {"console": CONSOLE})
        found = [one["text"] for one in told.get("console", {}).get("messages", [])]
        self.check("the console's words", "careful" in found, found)
        body = self.everything() | {"url": f"{self.site}/form", "authState": self.signed_in()}
        told = self.told("inspect", body, "every field", INSPECT)
        found = told.get("metadata", {}).get("httpStatusCode")
        self.check("the page's status", found == 200, told.get("metadata"))

    def observations(self):
        told = self.told("observe", {"html": FORM}, "a document", OBSERVE | {"elements": ELEMENTS})
        if told:
            ids = {one["id"] for one in told["elements"]}
            used = {one for action in told["actions"] for one in action["elementIds"]}
            used |= {one for form in told["forms"] for one in form["fieldIds"]}
            self.check("every id is an element's", used and used <= ids, (used, ids))
            for name in ("content", "ariaTree", "console", "screenshot"):
                self.check(f"no {name} unless asked for", not told.get(name), told.get(name))
        full = OBSERVE | {
            "elements": [ELEMENTS[0] | {"rect": ELEMENTS[0]["rect?"]}],
            "content": {"markdown": str, "wordCount": int},
            "ariaTree": str,
            "console": CONSOLE,
            "screenshot": {"base64": str, "format": str},
        }
        asked = {name: True for name in """includeRects includeContent includeAriaTree
            includeScreenshot screenshotFullPage includeConsole""".split()}
        for format in ("jpeg", "png", "webp"):
            body = {"html": FORM, "maxElements": 150, "format": "json", "screenshotFormat": format}
            told = self.told("observe", asked | body, f"all of it, {format}", full)
            shot = told.get("screenshot", {})
            data = bare_base64(shot.get("base64")) or b""
            self.check(
                f"its picture is a {format}", kind(data) == shot.get("format") == format, shot
            )
        told = self.told("observe", {"html": FORM, "includeScreenshot": True}, "a picture", OBSERVE)
        found = (told.get("screenshot") or {}).get("format")
        self.check("its picture is a jpeg by default", found == "jpeg", found)
        many = {"html": "".join(f"<button>Button {n}</button>" for n in range(200))}
        for most, body in ((40, {}), (1, {"maxElements": 1}), (150, {"maxElements": 150})):
            told = self.told("observe", many | body, f"{most} elements", OBSERVE)
            found = len(told.get("elements", []))
            self.check(f"at most {most} elements, and so many", found == most, found)
        flat = OBSERVE | {"dom_text": str, "selectors": {"1": str}}
        told = self.told("observe", {"html": FORM, "format": "flatdomtree"}, "the flat form", flat)
        self.check("the flat form has no elements", told and "elements" not in told, told.keys())
        allowed = FIELDS["observe"].split()
        body = {name: value for name, value in self.everything().items() if name in allowed}
        told = self.told("observe", body | {"url": f"{self.site}/form"}, "every field", OBSERVE)
        found = told.get("metadata", {}).get("httpStatusCode")
        self.check("the page's status", found == 200, told.get("metadata"))
        for kind_of, page in [
            ("login", "<form><input name=user><input type=password><button>Log in</button></form>"),
            ("search", "<form role=search><input type=search><button>Search</button></form>"),
        ]:
            told = self.told("observe", {"html": page}, f"a page for {kind_of}", OBSERVE)
            self.check(f"the type {kind_of}", told.get("pageType") == kind_of, told.get("pageType"))

    def comparisons(self):
        extent = {"width": 120, "height": 100}
        body = {"html_a": WHITE + BOX, "html_b": WHITE, "threshold": 0.1} | extent
        told = self.told("diff", body, "two documents", DIFF)
        found = (told.get("changed_pixels"), told.get("total_pixels"))
        self.check("the pixels are counted", found == (60 * 40, 120 * 100), found)
        self.check(
            "the share is a percentage", told.get("changed_pct") == 20, told.get("changed_pct")
        )
        data = bare_base64((told.get("diff_image") or "").split(",")[-1]) or b""
        self.check(
            "diff_image is a picture", kind(data) == "png" and size(data) == (120, 100), told
        )
        url = f"{self.site}/ok"
        told = self.told("diff", {"url_a": url, "url_b": url}, "twice the same address", DIFF)
        found = (told.get("changed_pixels"), told.get("url_a"), told.get("url_b"))
        self.check("nothing changed", found == (0, url, url), found)
        url = f"{self.site}/elements"
        body = self.everything() | {"url_a": url, "url_b": url, "threshold": 1}
        body |= {"selector": "#box", "delay": 10, "click": "#box"}
        told = self.told("diff", body, "a selector and every field", DIFF)
        found = (told.get("changed_pixels"), told.get("total_pixels"))
        self.check("the element alone", found == (0, 200 * 100), told)
        body = {"html_a": WHITE + BOX, "html_b": WHITE} | extent
        clip = {"clip": {"x": 20, "y": 30, "width": 10, "height": 10}}
        told = self.told("diff", body | clip, "a clip", DIFF)
        found = (told.get("changed_pixels"), told.get("total_pixels"))
        self.check("the clip alone", found == (100, 100), found)
        tall = {"fullPage": True, "fullPageScroll": True, "fullPageScrollDelay": 1}
        tall |= {"fullPageScrollBy": 500, "fullPageMaxHeight": 900} | extent
        body = {"html_a": f"{WHITE}<div style='height:2000px'>"} | tall
        told = self.told("diff", body | {"url_b": f"{self.site}/tall/2500"}, "whole pages", DIFF)
        self.check("to the height asked for", told.get("total_pixels") == 120 * 900, told)
