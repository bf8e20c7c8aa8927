//! Owns the tables of the fields that requests have, group by group, by the hosted API's names.

use super::field::{Field, Kind, alias, field, ignored};

/// Words of `waitUntil`.
const WAITS: &[&str] = &["load", "domcontentloaded", "networkidle0", "networkidle2", "networkidle"];
/// Words of a picture's `format`.
const FORMATS: &[&str] = &["png", "jpeg", "webp", "jpg"];

pub(super) const TARGET: &[Field] = &[
    field("url", Kind::Address, "", "the page"),
    field("html", Kind::Text(10_485_760), "", "a document of the caller's own, instead of a page"),
];

pub(super) const MARKDOWN: &[Field] = &[field(
    "markdown",
    Kind::Text(10_485_760),
    "",
    "a text in Markdown (CommonMark, tables, task lists), instead of a page",
)];

pub(super) const SESSION: &[Field] = &[field(
    "session_id",
    Kind::Id,
    "",
    "the page of a session, as it stands or gone to `url`, instead of a fresh one",
)];

pub(super) const TARGETS: &[Field] = &[
    field("url_a", Kind::Address, "", "the first page"),
    field("html_a", Kind::Text(10_485_760), "", "the first, as a document of the caller's own"),
    field("url_b", Kind::Address, "", "the second page"),
    field("html_b", Kind::Text(10_485_760), "", "the second, as a document of the caller's own"),
    field("threshold", Kind::Number(0.0, 1.0), "0.1", "how different a pixel must be to count"),
];

const WINDOW: &[Field] = &[
    field("width", Kind::Int(1, 3840), "1280", "CSS pixels"),
    field("height", Kind::Int(1, 2160), "720", "CSS pixels"),
    field("deviceScaleFactor", Kind::Number(1.0, 3.0), "1", "device pixels per CSS pixel"),
];

pub(super) const VIEW: &[Field] = &[
    WINDOW[0],
    WINDOW[1],
    WINDOW[2],
    field(
        "viewportDevice",
        Kind::Text(100),
        "",
        "a preset of GET `/devices`: its window, touch screen and user agent; other fields change it",
    ),
    field("viewportMobile", Kind::Flag, "false", "lay the page out as on a phone"),
    field("viewportHasTouch", Kind::Flag, "false", "have a touch screen"),
    field("viewportLandscape", Kind::Flag, "false", "lay the device on its side"),
    alias("viewport", Kind::Object(WINDOW), "`width`, `height`, `deviceScaleFactor` as one object"),
    alias("device_scale_factor", Kind::Number(1.0, 3.0), "`deviceScaleFactor`"),
];

/// The window of a PDF's page: there `width` and `height` mean the sheet.
pub(super) const PDF_VIEW: &[Field] =
    &[VIEW[2], VIEW[3], VIEW[4], VIEW[5], VIEW[6], VIEW[7], VIEW[8]];

pub(super) const TIME: &[Field] = &[
    field(
        "waitUntil",
        Kind::Choice(WAITS),
        "\"networkidle2\"",
        "how far the page must have come; idle is 500 ms with at most 0 or 2 requests under way",
    ),
    field("waitForSelector", Kind::Text(2_000), "", "a CSS selector that must match first"),
    field(
        "navigationTimeout",
        Kind::Int(0, 30_000),
        "25000",
        "milliseconds; 0 leaves only `capture.deadline`",
    ),
    field("delay", Kind::Int(0, 30_000), "0", "milliseconds after the page is ready"),
    alias("wait_until", Kind::Choice(WAITS), "`waitUntil`"),
    alias("wait_for_selector", Kind::Text(2_000), "`waitForSelector`"),
];

const PLACE: &[Field] = &[
    field("latitude", Kind::Number(-90.0, 90.0), "", "degrees north"),
    field("longitude", Kind::Number(-180.0, 180.0), "", "degrees east"),
    field("accuracy", Kind::Number(0.0, 100_000.0), "1", "metres"),
];

const LOCALE: Field = field(
    "locale",
    Kind::Text(100),
    "",
    "ours: a language tag (BCP 47), `de-CH`; sets `Accept-Language`, `navigator.languages` and `Intl` \
     alike, in frames, workers and windows too; of a session unless given",
);

pub(super) const EMU: &[Field] = &[
    field("darkMode", Kind::Flag, "false", "`prefers-color-scheme: dark`"),
    field("reducedMotion", Kind::Flag, "false", "`prefers-reduced-motion: reduce`"),
    field("mediaType", Kind::Choice(&["screen", "print"]), "", "which style sheets apply"),
    field("timeZone", Kind::Text(100), "", "an IANA name, `Europe/Berlin`"),
    LOCALE,
    field("geolocation", Kind::Object(PLACE), "", "where the page is told to be"),
    field("userAgent", Kind::Text(1_000), "", "how the browser names itself"),
    alias("dark_mode", Kind::Flag, "`darkMode`"),
    alias("user_agent", Kind::Text(1_000), "`userAgent`"),
];

const ITEM: &[Field] = &[
    field("name", Kind::Text(8_192), "", ""),
    field("value", Kind::Text(1_000_000), "", "a secret"),
];

const STORAGE: &[Field] = &[
    field("origin", Kind::Address, "", "`https://shop.example`"),
    field("items", Kind::Objects(1_000, ITEM), "", "what is in it"),
];

const STATE: &[Field] = &[
    field("cookies", Kind::Cookies(100), "", "as `cookies`"),
    field("localStorage", Kind::Objects(100, STORAGE), "", "by origin"),
];

pub(super) const COOKIES: &[Field] = &[
    field("cookies", Kind::Cookies(100), "", "set before the page is loaded; values are secrets"),
    field(
        "authState",
        Kind::Object(STATE),
        "",
        "cookies and local storage of a browser that is signed in, put into place before the page is \
         loaded; values are secrets",
    ),
];

pub(super) const AUTH: &[Field] = &[
    COOKIES[0],
    COOKIES[1],
    field("headers", Kind::Map, "", "sent with every request of the page; values are secrets"),
    field("authorization", Kind::Text(8_192), "", "the header `Authorization`; a secret"),
    field("bypassCSP", Kind::Flag, "false", "do not apply the page's content security policy"),
];

pub(super) const EDIT: &[Field] = &[
    field("hideSelectors", Kind::Texts(100), "", "CSS selectors of what is made invisible"),
    field("injectCss", Kind::Text(51_200), "", "a style sheet"),
    field("injectJs", Kind::Text(51_200), "", "a script; its promise is waited for, at most 15 s"),
    field("click", Kind::Text(2_000), "", "a CSS selector of what is clicked, last of all"),
];

pub(super) const LISTS: &[Field] = &[
    field("blockBanners", Kind::Flag, "false", "keep out and hide consent banners"),
    field("blockAds", Kind::Flag, "false", "keep out advertising networks"),
    field("blockChats", Kind::Flag, "false", "keep out and hide chat widgets"),
    field("blockTrackers", Kind::Flag, "false", "keep out analytics and other trackers"),
];

pub(super) const BLOCK: &[Field] = &[
    LISTS[0],
    LISTS[1],
    LISTS[2],
    LISTS[3],
    field(
        "blockRequests",
        Kind::Texts(100),
        "",
        "addresses that contain one of these are not asked for; `*` stands for anything",
    ),
    field(
        "blockResources",
        Kind::Texts(100),
        "",
        "types that are not asked for: stylesheet, image, media, font, script, texttrack, xhr, \
         fetch, eventsource, manifest, other",
    ),
];

pub(super) const FULL: &[Field] = &[
    field("fullPage", Kind::Flag, "false", "the whole page, lazy images included"),
    field("fullPageScroll", Kind::Flag, "true", "scroll through the page first"),
    field(
        "fullPageScrollDelay",
        Kind::Int(0, 2_000),
        "",
        "milliseconds at each step; else a frame",
    ),
    field(
        "fullPageScrollBy",
        Kind::Int(1, 100_000),
        "",
        "CSS pixels of a step; else the window's height",
    ),
    field(
        "fullPageMaxHeight",
        Kind::Int(1, 1_000_000),
        "",
        "CSS pixels after which the picture ends",
    ),
    alias("full_page", Kind::Flag, "`fullPage`"),
    field(
        "expandScrollers",
        Kind::Flag,
        "false",
        "ours: with `fullPage`, give an area that scrolls by itself the height of what is in it; alters \
         the view",
    ),
];

const CLIP: &[Field] = &[
    field("x", Kind::Number(0.0, 1_000_000.0), "", "CSS pixels from the left"),
    field("y", Kind::Number(0.0, 1_000_000.0), "", "CSS pixels from the top"),
    field("width", Kind::Number(1.0, 1_000_000.0), "", "CSS pixels"),
    field("height", Kind::Number(1.0, 1_000_000.0), "", "CSS pixels"),
];

pub(super) const REGION: &[Field] = &[
    field("selector", Kind::Text(2_000), "", "the first element it matches, instead of the window"),
    field("clip", Kind::Object(CLIP), "", "a rectangle of the page, instead of the window"),
];

pub(super) const PICTURE: &[Field] = &[
    field("format", Kind::Choice(FORMATS), "\"png\"", "how the picture is encoded"),
    field("quality", Kind::Int(1, 100), "80", "for jpeg and webp"),
    field("omitBackground", Kind::Flag, "false", "transparent where the page has no background"),
];

pub(super) const SHOT: &[Field] = &[
    field(
        "extractMetadata",
        Kind::Flag,
        "false",
        "tell what the page says of itself, in `metadata`",
    ),
    ignored("style", Kind::Any, "decoration; the evidence is always the plain picture"),
];

pub(super) const ANSWER: &[Field] = &[field(
    "response_type",
    Kind::Choice(&["json", "binary"]),
    "\"binary\"",
    "`json` answers with base64 instead of the bytes themselves",
)];

pub(super) const STAGE: &[Field] = &[field(
    "stage",
    Kind::Text(40),
    "\"during\"",
    "ours: `before`, `during`, `after`, or a name of lower-case letters, digits, hyphens",
)];

pub(super) const PDF: &[Field] = &[
    field(
        "format",
        Kind::Text(100),
        "\"A4\"",
        "Letter, Legal, Tabloid, Ledger, A0 to A6, in any case",
    ),
    field("width", Kind::Length, "", "of the sheet, instead of `format`"),
    field("height", Kind::Length, "", "of the sheet, instead of `format`"),
    field("landscape", Kind::Flag, "false", "lay the sheet on its side"),
    field("printBackground", Kind::Flag, "true", "print backgrounds"),
    field("margin", Kind::Margin, "", "distances from the edges"),
    field("scale", Kind::Number(0.1, 2.0), "1", "size of the content"),
    field(
        "fitToWidth",
        Kind::Flag,
        "false",
        "ours: make the content smaller where it is wider than the sheet",
    ),
    field(
        "preferCSSPageSize",
        Kind::Flag,
        "false",
        "ours: take the paper that the page's style sheets name (`@page`) instead of `format`",
    ),
    field(
        "tagged",
        Kind::Flag,
        "false",
        "ours: tell the structure (PDF/UA) to those who do not see it; takes several times as long",
    ),
    field("pageRanges", Kind::Text(1_000), "", "like `1-5, 8`; else all"),
    field("displayHeaderFooter", Kind::Flag, "false", "print header and footer"),
    field("headerTemplate", Kind::Text(51_200), "", "HTML, in Chromium's template language"),
    field("footerTemplate", Kind::Text(51_200), "", "HTML, in Chromium's template language"),
];

pub(super) const CARD: &[Field] = &[
    field(
        "template",
        Kind::Choice(&["default", "minimal", "gradient"]),
        "\"gradient\"",
        "the look",
    ),
    field("html", Kind::Text(1_048_576), "", "a card of the caller's own, instead of a template"),
    field("title", Kind::Text(500), "\"Your Title Here\"", ""),
    field("subtitle", Kind::Text(500), "", ""),
    field("logo", Kind::Address, "", "a picture in the corner"),
    field("bgImage", Kind::Address, "", "a picture behind"),
    field("bgColor", Kind::Color, "", "background"),
    field("textColor", Kind::Color, "", "text"),
    field("accentColor", Kind::Color, "", "accent"),
    field("width", Kind::Int(1, 2_400), "1200", "pixels"),
    field("height", Kind::Int(1, 1_260), "630", "pixels"),
    field("format", Kind::Choice(FORMATS), "\"png\"", "how the picture is encoded"),
    field("quality", Kind::Int(1, 100), "80", "for jpeg and webp"),
];

pub(super) const CONSOLE: &[Field] =
    &[field("includeConsole", Kind::Flag, "false", "tell the page's console, too")];

pub(super) const OBSERVE: &[Field] = &[
    field("format", Kind::Choice(&["json", "flatdomtree"]), "\"json\"", "how elements are told"),
    field("maxElements", Kind::Int(1, 150), "40", "elements told at most"),
    field("includeRects", Kind::Flag, "false", "tell each element's place"),
    field("includeContent", Kind::Flag, "false", "tell the page's text, as Markdown"),
    field("includeAriaTree", Kind::Flag, "false", "tell the browser's accessibility tree, as text"),
    field("includeScreenshot", Kind::Flag, "false", "take a picture, too"),
    field("screenshotFullPage", Kind::Flag, "false", "of the whole page"),
    field("screenshotFormat", Kind::Choice(FORMATS), "\"jpeg\"", "how it is encoded"),
    CONSOLE[0],
];

const SMALL_WINDOW: &[Field] = &[
    field("width", Kind::Int(320, 3840), "1280", "CSS pixels"),
    field("height", Kind::Int(200, 2160), "720", "CSS pixels"),
];

pub(super) const VIEWPORT: &[Field] =
    &[field("viewport", Kind::Object(SMALL_WINDOW), "", "the window"), WINDOW[2], LOCALE];

pub(super) const SEQUENCE: &[Field] = &[
    field(
        "steps",
        Kind::Steps,
        "",
        "taken one after the other in one page; 1 to 5 outputs and at most 2 scripts among them",
    ),
    field("darkMode", Kind::Flag, "false", "`prefers-color-scheme: dark`"),
    field(
        "observeAfterEachStep",
        Kind::Flag,
        "false",
        "tell the page's state in each step's result",
    ),
    field(
        "record",
        Kind::Flag,
        "false",
        "record the page while the steps are taken; the recording is in the evidence",
    ),
];

pub(super) const FILM: &[Field] = &[
    field(
        "steps",
        Kind::Film,
        "",
        "taken one after the other in one page, at the pace of the page and of their pauses",
    ),
    field(
        "format",
        Kind::Choice(&["mp4", "webm", "gif"]),
        "\"mp4\"",
        "H.264 or AV1, as `video.source` of the configuration says; the others where `video.ffmpeg` \
         is configured",
    ),
    field("framerate", Kind::Int(1, 60), "30", "most pictures a second"),
    field("darkMode", Kind::Flag, "false", "`prefers-color-scheme: dark`"),
    field("variables", Kind::Map, "", "values for `{{name}}` in any text of the steps"),
    field("async", Kind::Flag, "false", "answer at once with a job"),
    field(
        "observeAfterEachStep",
        Kind::Flag,
        "false",
        "tell the page's state in each step's result",
    ),
    ignored("cursor", Kind::Any, "nothing is drawn into a recording"),
    ignored("clickEffect", Kind::Any, "nothing is drawn into a recording"),
    ignored("zoom", Kind::Any, "nothing is enlarged"),
    ignored("autoZoom", Kind::Any, "nothing is enlarged"),
    ignored("pace", Kind::Any, "nothing is speeded up or slowed down"),
    ignored("frame", Kind::Any, "decoration"),
    ignored("background", Kind::Any, "decoration"),
    ignored("audioGuide", Kind::Any, "nothing is spoken"),
];

pub(super) const RECORD: &[Field] = &[
    field("session_id", Kind::Id, "", "whose page is recorded"),
    field("framerate", Kind::Int(1, 60), "25", "most pictures a second"),
];

/// What every step of a recording has, beside what every step has.
pub(super) const FILM_STEP: &[Field] = &[
    field("note", Kind::Text(200), "", "said in the captions"),
    field("narration", Kind::Text(500), "", "said in the captions"),
    field("label", Kind::Text(80), "", "said in the captions"),
    ignored("live", Kind::Any, "everything is"),
    ignored("zoom", Kind::Any, "nothing is enlarged"),
    ignored("color", Kind::Any, "nothing is drawn into a recording"),
    ignored("thickness", Kind::Any, "nothing is drawn into a recording"),
    ignored("padding", Kind::Any, "nothing is drawn into a recording"),
];

pub(super) const OPEN_SESSION: &[Field] =
    &[ignored("stealth", Kind::Flag, "a recorder does not hide from a site that it is one")];

pub(super) const KEEP: &[Field] = &[
    field("name", Kind::Text(100), "", "what it is called"),
    field("description", Kind::Text(500), "", "what it is for"),
    field("type", Kind::Choice(&["sequence", "video"]), "\"sequence\"", "what it is run as"),
    field("steps", Kind::Steps, "", "as of a sequence; `{{name}}` in a text is a variable"),
    field("viewport", Kind::Object(SMALL_WINDOW), "", "the window"),
    field("pace", Kind::Number(0.5, 3.0), "", "kept for recordings"),
    field("format", Kind::Text(100), "", "kept for recordings"),
    field("audioGuide", Kind::Any, "", "kept for recordings"),
    field("darkMode", Kind::Flag, "false", "as of a sequence"),
    WINDOW[2],
];

/// What an agent does, and what it does apart from the page.
const DONE: &[&str] = &[
    "click",
    "dblclick",
    "hover",
    "wait_for",
    "fill",
    "type",
    "select",
    "press_key",
    "press",
    "scroll",
    "wait",
    "navigate",
    "done",
    "finish",
    "fail",
    "observe",
    "screenshot",
    "think",
];

const TRACE: &[Field] = &[
    field("step", Kind::Int(0, 1_000_000), "", "its number"),
    field("action", Kind::Choice(DONE), "", "what was done"),
    field("target", Kind::Text(8_192), "", "an id in `selectors`, or a selector or address itself"),
    field("value", Kind::Text(100_000), "", "what was typed, chosen or pressed"),
    field("result", Kind::Any, "", "passed over"),
    field("thought", Kind::Any, "", "passed over"),
];

pub(super) const IMPORT: &[Field] = &[
    field("trace", Kind::Objects(100, TRACE), "", "what an agent did, as `/act` tells it"),
    field("selectors", Kind::Map, "", "the selector of each id in it"),
    field("name", Kind::Text(100), "\"Imported\"", "what the sequence is called"),
    field("type", Kind::Choice(&["sequence", "video"]), "\"sequence\"", "what it is run as"),
    field("save", Kind::Flag, "true", "keep it"),
];

pub(super) const RUN_KEPT: &[Field] =
    &[field("variables", Kind::Map, "", "the values of the variables in it")];

/// What every step has.
pub(super) const EVERY_STEP: &[Field] = &[
    field("optional", Kind::Flag, "false", "the sequence goes on when this fails"),
    field("pauseAfter", Kind::Int(0, 10_000), "0", "milliseconds after it"),
    ignored("style", Kind::Any, "decoration"),
];

const SELECTOR: Field = field("selector", Kind::Text(8_192), "", "a CSS selector");
const NAME: Field = field("name", Kind::Text(200), "", "of the output");
const PAUSE: Field = field("delay", Kind::Int(0, 10_000), "0", "milliseconds before");
const KEYS: &[&str] = &[
    "Escape",
    "Enter",
    "Tab",
    "Backspace",
    "Delete",
    "Space",
    "ArrowUp",
    "ArrowDown",
    "ArrowLeft",
    "ArrowRight",
    "Home",
    "End",
    "PageUp",
    "PageDown",
];

/// The action that only a recording has.
pub(super) const HIGHLIGHT: (&str, &[&str], &[Field]) = (
    "highlight",
    &["selector"],
    &[SELECTOR, field("duration", Kind::Int(200, 15_000), "3500", "milliseconds it is waited")],
);

/// The actions, with what each needs and what it may have.
pub(super) const STEPS: &[(&str, &[&str], &[Field])] = &[
    ("navigate", &["url"], &[field("url", Kind::Address, "", "where to go")]),
    ("click", &["selector"], &[SELECTOR]),
    ("dblclick", &["selector"], &[SELECTOR]),
    ("hover", &["selector"], &[SELECTOR]),
    (
        "fill",
        &["selector", "value"],
        &[SELECTOR, field("value", Kind::Text(100_000), "", "what is typed")],
    ),
    (
        "select",
        &["selector", "value"],
        &[SELECTOR, field("value", Kind::Text(8_192), "", "an option's value or text")],
    ),
    (
        "scroll",
        &[],
        &[
            field("selector", Kind::Text(2_000), "", "what is scrolled into view"),
            field("x", Kind::Number(-1e6, 1e6), "0", "CSS pixels to the right"),
            field("y", Kind::Number(-1e6, 1e6), "0", "CSS pixels down"),
            field("relative", Kind::Flag, "true", "they are"),
        ],
    ),
    ("wait", &[], &[field("ms", Kind::Int(0, 10_000), "0", "milliseconds")]),
    (
        "wait_for",
        &["selector"],
        &[SELECTOR, field("timeout", Kind::Int(0, 15_000), "10000", "milliseconds")],
    ),
    ("evaluate", &["script"], &[field("script", Kind::Text(5_000), "", "on record as it is")]),
    (
        "press_key",
        &["key"],
        &[
            field("key", Kind::Choice(KEYS), "", "which"),
            field("selector", Kind::Text(2_000), "", "what is focused first"),
        ],
    ),
    (
        "screenshot",
        &[],
        &[
            NAME, PAUSE, PICTURE[0], PICTURE[1], PICTURE[2], FULL[0], FULL[1], FULL[2], FULL[3],
            FULL[4], FULL[6], REGION[0], REGION[1],
        ],
    ),
    (
        "pdf",
        &[],
        &[
            NAME, PDF[0], PDF[1], PDF[2], PDF[3], PDF[4], PDF[5], PDF[6], PDF[7], PDF[8], PDF[9],
            PDF[10],
        ],
    ),
    (
        "diff",
        &[],
        &[
            NAME,
            PAUSE,
            TARGETS[2],
            TARGETS[3],
            TARGETS[4],
            field("selector_a", Kind::Text(2_000), "", "what of both pages is compared"),
            FULL[0],
            FULL[1],
            FULL[2],
            FULL[3],
            FULL[4],
            FULL[6],
            REGION[0],
            REGION[1],
        ],
    ),
];
