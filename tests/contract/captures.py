"""Owns the checks of pictures, documents and cards."""

import json
import re

from asking import BLUE, BOX, EMPTY, FORM, RED, WHITE, Asking
from shapes import FLAGS
from wire import pixel, size


class Captures(Asking):
    """Screenshot, PDF and card: every field, and what can be seen of it."""

    def screenshots(self):
        default = self.raw("screenshot", {"url": f"{self.site}/ok"}, "image/png", "the default")
        self.check("the default is 1280 × 720", size(default) == (1280, 720), size(default))
        for format in ("png", "jpeg", "webp"):
            body = {
                "html": WHITE + BOX, "format": format, "quality": 55, "width": 200, "height": 150,
            }  # fmt: skip
            picture = self.raw("screenshot", body, f"image/{format}", f"format {format}")
            self.check(f"{format}: 200 × 150", size(picture) == (200, 150), size(picture))
            self.picture(f"{format} as JSON", body, format, (200, 150))
        sizes = {}
        for quality in (1, 100):
            body = {"url": f"{self.site}/ok", "format": "jpeg", "quality": quality}
            sizes[quality] = len(self.picture(f"quality {quality}", body, "jpeg", (1280, 720)))
        self.check("more quality takes more bytes", sizes[1] * 2 < sizes[100], sizes)
        self.picture("markdown", {"markdown": "# Refund\n\n- one\n"}, extent=(1280, 720))
        body = {"waitUntil": "load", "response_type": "json", "html": FORM, "extractMetadata": True}
        told = self.server.post("screenshot", body).json or {}
        self.shape("metadata", told.get("metadata"), {"title": str, "description": str})
        found = (told.get("metadata") or {}).get("title")
        self.check("metadata has the title", found == "Refund", told.get("metadata"))
        self.check("metadata has the Open Graph tags", "A refund" in json.dumps(told), told.keys())
        body = {**body, "url": f"{self.site}/ok"}
        del body["html"]
        told = self.server.post("screenshot", body).json or {}
        found = (told.get("metadata") or {}).get("httpStatusCode")
        self.check("metadata has the page's status", found == 200, told.get("metadata"))
        told = self.server.post("screenshot", {**body, "extractMetadata": False}).json or {}
        self.check("no metadata unless asked for", "metadata" not in told, told.keys())
        for wait in ("load", "domcontentloaded", "networkidle0", "networkidle2"):
            body = {"url": f"{self.site}/ok", "waitUntil": wait, "navigationTimeout": 20000}
            self.picture(f"waitUntil {wait}", body)
        body = {"url": f"{self.site}/late-element", "waitForSelector": "#late", "delay": 50}
        self.picture("waitForSelector", {**body, "selector": "#late"})

    def views(self):
        self.picture("the largest view", {"html": WHITE, "width": 3840, "height": 2160})
        small = {"html": WHITE, "width": 1, "height": 1}
        self.picture("the smallest view", small, extent=(1, 1))
        body = {"html": WHITE, "width": 200, "height": 100, "deviceScaleFactor": 3}
        self.picture("deviceScaleFactor", body, extent=(600, 300))
        self.seen("the view", {"width": 400, "height": 300, "deviceScaleFactor": 2}, "400x300@2")
        answer = self.server.send("GET", "/api/v1/devices").json or {}
        phones = [one for one in answer.get("devices", []) if one["id"] == "iphone_14_pro"]
        if self.check("iphone_14_pro is a device", len(phones) == 1, answer):
            phone = phones[0]
            scale = phone["deviceScaleFactor"]
            extent = (phone["width"] * scale, phone["height"] * scale)
            self.picture(
                "viewportDevice", {"html": WHITE, "viewportDevice": phone["id"]}, extent=extent
            )
            body = {"html": WHITE, "viewportDevice": phone["id"], "viewportLandscape": True}
            self.picture("viewportLandscape", body, extent=extent[::-1])
            self.seen("a device", {"viewportDevice": phone["id"]}, "iPhone")
        told = "document.body.style.background = navigator.maxTouchPoints > 0 ? '#f00' : '#00f'"
        for touch, colour in ((True, RED), (False, BLUE)):
            body = {"html": WHITE, "viewportHasTouch": touch, "viewportMobile": touch}
            self.coloured(f"viewportHasTouch {touch}", body | {"injectJs": told}, colour)

    def identity(self):
        self.seen("darkMode", {"darkMode": True}, "dark")
        self.seen("timeZone", {"timeZone": "Asia/Tokyo"}, "Asia/Tokyo")
        self.seen("userAgent", {"userAgent": "contract/1"}, "contract/1")
        self.seen("headers", {"headers": {"X-Contract": "is here"}}, "is here")
        self.seen("authorization", {"authorization": "Bearer seen"}, "Bearer seen")
        self.seen(
            "cookies by text", {"cookies": ["first=one", "second=two"]}, "first=one; second=two"
        )
        cookie = {
            "name": "whole", "value": "yes", "domain": "127.0.0.1", "path": "/", "secure": False,
            "httpOnly": False, "sameSite": "Lax", "expirationDate": 4102444800, "hostOnly": True,
        }  # fmt: skip
        self.seen("cookies by object", {"cookies": [cookie], "bypassCSP": True}, "whole=yes")
        for site in ("Strict", "Lax", "strict", "lax", "no_restriction", "unspecified"):
            cookie = {"name": "site", "value": site, "url": f"{self.site}/", "sameSite": site}
            cookie |= {"expires": 4102444800, "secure": site == "no_restriction"}
            body = {"url": f"{self.site}/ok", "cookies": [cookie]}
            self.picture(f"a cookie with sameSite {site}", body)
        body = {"url": f"{self.site}/ok", "authState": self.signed_in(), "headers": {"X-One": "1"}}
        self.picture("authState", {**body, "authorization": "Basic YTpi", "bypassCSP": True})
        colours = "background:#f00"
        page = f"{WHITE}<style>body{{background:#00f!important}}@media %s{{body{{{colours}!important}}}}"
        for what, query, body in [
            ("darkMode", "(prefers-color-scheme:dark)", {"darkMode": True}),
            ("reducedMotion", "(prefers-reduced-motion:reduce)", {"reducedMotion": True}),
            ("mediaType", "print", {"mediaType": "print"}),
        ]:
            for on, colour in ((True, RED), (False, BLUE)):
                sent = {"html": page % query} | (body if on else {})
                self.coloured(f"{what} {on}", sent, colour)
        red = "document.body.style.background = '#f00'"
        there = "if (Intl.DateTimeFormat().resolvedOptions().timeZone === 'Europe/Paris'"
        there += " && navigator.userAgent === 'contract/1') " + red
        body = {"html": WHITE, "timeZone": "Europe/Paris", "userAgent": "contract/1"}
        self.coloured("timeZone and userAgent", body | {"injectJs": there}, RED)
        where = {"geolocation": {"latitude": 48.85, "longitude": 2.35, "accuracy": 10}}
        asked = """new Promise(done => navigator.geolocation.getCurrentPosition(place => {
            if (place.coords.latitude === 48.85 && place.coords.longitude === 2.35) %s; done();
        }, done))""" % red
        self.coloured(
            "geolocation", {"url": f"{self.site}/elements", "injectJs": asked} | where, RED
        )
        kept = "if (localStorage.getItem('state') === 'kept' && document.cookie === 'state=kept') "
        body = {"url": f"{self.site}/elements", "injectJs": kept + red}
        self.coloured("authState", body | {"authState": self.signed_in()}, RED)
        self.coloured("no authState", body, (255, 255, 255, 255))
        strict = "<meta http-equiv='content-security-policy' content=\"script-src 'none'\">"
        body = {"html": f"<head>{strict}</head>{WHITE}<script>{red}</script>"}
        self.coloured("a policy", body, (255, 255, 255, 255))
        self.coloured("bypassCSP", body | {"bypassCSP": True}, RED)

    def edits(self):
        page = {"html": WHITE + BOX, "width": 120, "height": 100}
        found = pixel(self.picture("nothing changed", page), 50, 50)
        self.check("the box is there", found == BLUE, found)
        for what, body, wanted in [
            ("hideSelectors", {"hideSelectors": ["#box"]}, (255, 255, 255, 255)),
            ("injectCss", {"injectCss": "#box{background:#f00!important}"}, RED),
            ("injectJs", {"injectJs": "box.style.background = '#f00'"}, RED),
        ]:
            found = pixel(self.picture(what, page | body), 50, 50)
            self.check(f"{what} is seen", found == wanted, found)
        clicked = WHITE + BOX + "<script>box.onclick = () => box.style.background = '#f00'</script>"
        body = {"html": clicked, "click": "#box", "delay": 10, "width": 120, "height": 100}
        found = pixel(self.picture("click", body), 50, 50)
        self.check("the click is seen", found == RED, found)
        found = self.picture("selector", page | {"selector": "#box"}, extent=(60, 40))
        self.check("selector shows the element", pixel(found, 0, 0) == BLUE, pixel(found, 0, 0))
        clip = {"x": 10, "y": 20, "width": 30, "height": 20}
        found = self.picture("clip", page | {"clip": clip}, extent=(30, 20))
        corners = (pixel(found, 9, 9), pixel(found, 10, 10))
        wanted = ((255, 255, 255, 255), BLUE)
        self.check("clip shows the place", corners == wanted, corners)
        bare = {"html": f"<body>{BOX}", "omitBackground": True, "width": 120, "height": 100}
        found = pixel(self.picture("omitBackground", bare), 2, 2)
        self.check("omitBackground is transparent", found == EMPTY, found)
        broken = "onerror=\"document.body.style.background='#f00'\""
        page_of = f"{WHITE}<img src='{self.site}/img/0' width=40 height=40 {broken}>"
        self.coloured("nothing blocked", {"html": page_of}, (28, 28, 28, 255))
        for what, body in [
            ("blockRequests", {"blockRequests": ["*/img/*"]}),
            ("blockResources", {"blockResources": ["image", "font"]}),
        ]:
            hidden = {"html": page_of, "injectCss": "img{visibility:hidden}"}
            self.coloured(what, hidden | body, RED)
        flags = {name: True for name in FLAGS.split()}
        self.coloured("the four flags", {"html": page_of} | flags, (28, 28, 28, 255))
        style = {
            "theme": "notion", "frame": "macos", "frameTheme": "dark", "background": "ocean",
            "bgColor": "#ffffff", "bgColors": ["#ffffff", "#000000"], "padding": 40,
            "borderRadius": 12, "shadow": "md",
        }  # fmt: skip
        self.picture("style", page | {"style": style})
        for name in ("injectCss", "injectJs"):
            most = {name: "/*" + "x" * (50 * 1024 - 4) + "*/"}
            self.picture(f"{name} of 50 KB", page | most, extent=(120, 100))

    def whole_pages(self):
        body = {"url": f"{self.site}/tall/2500", "width": 300, "height": 200, "fullPage": True}
        self.picture("fullPage", body, extent=(300, 2500))
        paced = {"fullPageScroll": True, "fullPageScrollDelay": 1, "fullPageScrollBy": 1000}
        self.picture("fullPageScroll", body | paced, extent=(300, 2500))
        self.picture("fullPageScroll off", body | {"fullPageScroll": False}, extent=(300, 2500))
        self.picture("fullPageMaxHeight", body | {"fullPageMaxHeight": 900}, extent=(300, 900))

    def documents(self):
        page = {"html": "".join(f"<p style='break-after:page'>{n}</p>" for n in "123") + "end"}
        document = self.raw("pdf", page, "application/pdf", "a PDF")
        count = lambda data: len(re.findall(rb"/Type\s*/Page\b", data))
        self.check("a PDF has four pages", count(document) == 4, count(document))
        whole = {
            "format": "Letter", "landscape": True, "printBackground": False, "scale": 0.5,
            "margin": {"top": "1cm", "right": "10mm", "bottom": "1in", "left": "20px"},
            "pageRanges": "1-2", "displayHeaderFooter": True, "delay": 10,
            "headerTemplate": "<span class='title'></span>",
            "footerTemplate": "<span class='pageNumber'></span>", "response_type": "json",
        }  # fmt: skip
        answer = self.server.post("pdf", page | whole)
        if self.check("a PDF with every field answers 200", answer.status == 200, answer):
            document = self.encoded("a PDF with every field", answer, "pdf")
            self.check("pageRanges leaves two pages", count(document) == 2, count(document))
        box = re.compile(rb"/MediaBox\s*\[\s*0\s+0\s+([\d.]+)\s+([\d.]+)")
        sheet = lambda data: [tuple(round(float(n)) for n in found) for found in box.findall(data)]
        for format, wanted in [
            ("A4", (595, 842)), ("Letter", (612, 792)), ("Legal", (612, 1008)),
            ("Tabloid", (792, 1224)), ("A3", (842, 1191)), ("A5", (420, 595)),
        ]:  # fmt: skip
            for landscape in (False, True):
                body = {"html": WHITE, "format": format, "landscape": landscape, "margin": "1cm"}
                document = self.raw("pdf", body, "application/pdf", f"{format}, {landscape}")
                sides = wanted[::-1] if landscape else wanted
                near = [max(abs(a - b) for a, b in zip(one, sides)) <= 1 for one in sheet(document)]
                found = sheet(document)
                self.check(f"{format}, landscape {landscape}: the sheet", near and all(near), found)
        document = self.raw("pdf", {"html": WHITE, "width": "10in"}, "application/pdf", "a width")
        wide = [one[0] for one in sheet(document)]
        self.check("width overrides the format", wide and set(wide) <= {719, 720, 721}, wide)
        self.raw("pdf", {"url": f"{self.site}/ok"}, "application/pdf", "a PDF of an address")

    def cards(self):
        card = self.raw("og-image", {}, "image/png", "an empty request")
        self.check("a card is 1200 × 630", size(card) == (1200, 630), size(card))
        pictured = f"{self.site}/img/1"
        for template, format in (("default", "png"), ("minimal", "jpeg"), ("gradient", "webp")):
            body = {
                "template": template, "format": format, "title": "Refund", "subtitle": "TX-1042",
                "logo": pictured, "bgColor": "#102030", "textColor": "#ffffff",
                "accentColor": "#00ff00", "bgImage": pictured, "width": 600, "height": 315,
                "response_type": "json",
            }  # fmt: skip
            answer = self.server.post("og-image", body)
            if self.check(f"the template {template} answers 200", answer.status == 200, answer):
                self.encoded(f"the template {template}", answer, format, (600, 315))
        body = {"html": "<body style='margin:0;background:#f00'>", "width": 60, "height": 40}
        card = self.raw("og-image", body, "image/png", "a card of its own")
        self.check("html overrides the template", pixel(card, 30, 20) == RED, pixel(card, 30, 20))
        card = self.raw("og-image", {"width": 2400, "height": 1260}, "image/png", "the largest")
        self.check("the largest card", size(card) == (2400, 1260), size(card))
