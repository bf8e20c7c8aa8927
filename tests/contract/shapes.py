"""Owns what the hosted API's wire contract says, as data: every field by endpoint, and the shapes of
replies. Written from the contract alone."""

from wire import NUMBER, Either, OneOf

VIEW = """width height viewportDevice viewportMobile viewportHasTouch viewportLandscape
    deviceScaleFactor"""
TIME = "waitUntil waitForSelector navigationTimeout"
EMU = "darkMode reducedMotion mediaType timeZone geolocation userAgent"
AUTH = "cookies headers authorization bypassCSP"
EDIT = "hideSelectors injectCss injectJs"
FLAGS = "blockBanners blockAds blockChats blockTrackers"
BLOCK = FLAGS + " blockRequests blockResources"
FULL = "fullPage fullPageScroll fullPageScrollDelay fullPageScrollBy fullPageMaxHeight"
PAGE = " ".join([VIEW, TIME, EMU, AUTH, EDIT, BLOCK])

# Every field of the contract, by endpoint; `step` are the fields of a sequence's steps.
FIELDS = {
    "screenshot": f"""url html markdown {PAGE} {FULL} format quality omitBackground selector clip
        delay click extractMetadata style session_id response_type authState""",
    "pdf": """url html format landscape printBackground margin scale width pageRanges headerTemplate
        footerTemplate displayHeaderFooter delay response_type""",
    "og-image": """template html title subtitle logo bgColor textColor accentColor bgImage width
        height format response_type""",
    "sequence": f"""steps viewport darkMode {FLAGS} deviceScaleFactor cookies authState session_id
        observeAfterEachStep""",
    "step": """action url selector value x y relative ms timeout script key name format fullPage
        fullPageScroll quality omitBackground delay style landscape printBackground margin scale
        url_b html_b selector_a threshold optional pauseAfter""",
    "video": f"""steps viewport format framerate darkMode {FLAGS} deviceScaleFactor cookies
        authState variables async response_type cursor clickEffect zoom autoZoom pace frame
        background audioGuide""",
    "inspect": f"url html session_id {PAGE} includeConsole authState",
    "observe": f"""url html session_id format maxElements includeRects includeContent
        includeAriaTree includeScreenshot screenshotFullPage includeConsole screenshotFormat width
        height viewportDevice deviceScaleFactor {TIME} darkMode timeZone userAgent {AUTH}
        {FLAGS}""",
    "diff": f"""url_a html_a url_b html_b threshold {PAGE} {FULL} selector clip delay click""",
    "act": "url goal maxSteps allowedDomains credentials session_id",
    "sequences/import": "trace selectors name type save",
    "sequences": "name description type steps viewport pace format audioGuide",
    "sessions": "cookies viewport stealth",
}

KEYS = """Escape Tab Backspace Delete Space ArrowUp ArrowDown ArrowLeft ArrowRight Home End PageUp
    PageDown Enter""".split()
PAGE_TYPES = OneOf(("login", "signup", "search", "article", "form", "generic"))

# The shapes of the contract's replies.
ENCODED = {"data": str, "size_bytes": int, "duration_ms": NUMBER}
STATE = {
    "pageType": PAGE_TYPES,
    "url": str,
    "elements": [{"id": str, "role": str, "name": str, "selector": str}],
    "actions": [{"intent": str, "elementIds": [str]}],
}
SEQUENCE = {
    "outputs": [
        Either((
            {
                "type": OneOf(("screenshot",)), "name": str, "data": str, "content_type": str,
                "format": OneOf(("png", "jpeg", "webp")), "size_bytes": int, "step_index": int,
            },
            {
                "type": OneOf(("pdf",)), "name": str, "data?": str, "size_bytes": int,
                "step_index": int,
            },
            {
                "type": OneOf(("diff",)), "name": str, "data": str, "changed_pct": NUMBER,
                "changed_pixels": int, "total_pixels": int, "step_index": int,
            },
        ))
    ],
    "step_results": [
        {
            "step_index": int, "action": str, "status": OneOf(("ok", "error")), "error?": str,
            "state?": Either((STATE, {"error": str})),
        }
    ],
    "steps_completed": int,
    "total_steps": int,
    "total_duration_ms": NUMBER,
    "usage": {"outputs_charged": NUMBER, "remaining": NUMBER},
}  # fmt: skip
CONSOLE = {"messages": [{"type": str, "text": str, "location?": object}], "truncated": bool}
INSPECT = {
    "title": str,
    "url": str,
    "metadata": {"description": (str, type(None)), "lang": (str, type(None))},
    "headings": [{"level": int, "text": str, "selector": str}],
    "elements": [
        {
            "tag": str, "role": (str, type(None)), "text": str, "selector": str,
            "attributes": {"type?": str, "placeholder?": str, "href?": str},
            "rect": {"x": NUMBER, "y": NUMBER, "width": NUMBER, "height": NUMBER},
        }
    ],
    "forms": [{"selector": str, "method": str, "action": str, "fields": [str]}],
    "links": [{"text": str, "href": str, "selector": str}],
    "images": [{"alt": (str, type(None)), "src": str, "selector": str}],
    "duration_ms": NUMBER,
}  # fmt: skip
OBSERVE = {
    "url": str,
    "title": str,
    "pageType": PAGE_TYPES,
    "metadata": {},
    "actions": [{"intent": str, "elementIds": [str]}],
    "forms": [{"selector?": str, "method?": str, "action?": (str, type(None)), "fieldIds": [str]}],
    "headings": [{"level": int, "text": str}],
    "stats": {"elementCount": int, "estimatedTokens": NUMBER},
    "duration_ms": NUMBER,
}
ELEMENTS = [
    {
        "id": str, "role": str, "type?": (str, type(None)), "name": str, "state?": [str],
        "selector": str, "href?": (str, type(None)),
        "rect?": {"x": NUMBER, "y": NUMBER, "w": NUMBER, "h": NUMBER},
    }
]  # fmt: skip
DIFF = {
    "diff_image": str,
    "changed_pct": NUMBER,
    "changed_pixels": int,
    "total_pixels": int,
    "url_a?": (str, type(None)),
    "url_b?": (str, type(None)),
    "duration_ms": NUMBER,
}
VIDEO = {
    "data": str,
    "format": OneOf(("mp4", "webm", "gif")),
    "size_bytes": int,
    "duration_ms": NUMBER,
    "frames": int,
    "steps_completed": int,
    "total_steps": int,
    "usage": {"video_cost": NUMBER, "remaining": NUMBER},
}
QUEUED = {
    "job_id": str, "status": OneOf(("queued",)), "status_url": str, "queue_position": int,
    "estimated_wait_ms": NUMBER,
}  # fmt: skip
JOB = {
    "id": str, "type": str, "status": OneOf(("completed",)), "created_at": str,
    "completed_at": str,
    "output": {
        "format": str, "content_type": str, "size_bytes": int, "duration_ms": NUMBER,
        "frames": int, "steps_completed": int, "total_steps": int, "id": str, "url": str,
        "embed_url": str, "file_url": str, "visibility": OneOf(("private",)),
    },
}  # fmt: skip
