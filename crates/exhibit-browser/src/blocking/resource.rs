//! Owns the kinds of things a page asks for.

use std::fmt;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The page itself. Nothing here ever blocks it.
    Document,
    /// A document in a frame. The protocol calls it `Document` too, see [`Resource::in_frame`].
    Frame,
    /// A style sheet.
    Stylesheet,
    /// A picture.
    Image,
    /// Audio or video.
    Media,
    /// A web font.
    Font,
    /// A script.
    Script,
    /// Subtitles.
    TextTrack,
    /// A request by `XMLHttpRequest`.
    Xhr,
    /// A request by `fetch()`.
    Fetch,
    /// A stream of server-sent events.
    EventSource,
    /// A web socket.
    WebSocket,
    /// A web app manifest.
    Manifest,
    /// Everything else: pings, prefetches, preflights, reports.
    Other,
}

impl Resource {
    /// Every kind a caller may ask to be blocked: all but documents and frames.
    pub const ASKABLE: [Self; 12] = [
        Self::Stylesheet,
        Self::Image,
        Self::Media,
        Self::Font,
        Self::Script,
        Self::TextTrack,
        Self::Xhr,
        Self::Fetch,
        Self::EventSource,
        Self::WebSocket,
        Self::Manifest,
        Self::Other,
    ];

    /// Reads the word of a caller, spelt as in Puppeteer and Playwright, in any case.
    /// `document` is no such word, because blocking it would leave nothing to record.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ASKABLE.into_iter().find(|kind| kind.word().eq_ignore_ascii_case(word))
    }

    /// Reads the protocol's `Network.ResourceType`.
    /// Types without a kind of their own, and types newer than this program, are [`Self::Other`].
    pub fn from_protocol(word: &str) -> Self {
        if word == "Document" {
            return Self::Document;
        }
        Self::from_word(word).unwrap_or(Self::Other)
    }

    /// The same request when it was made for a frame that is not the page's main one.
    #[must_use]
    pub fn in_frame(self) -> Self {
        match self {
            Self::Document => Self::Frame,
            other => other,
        }
    }

    /// The word callers and the record use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Frame => "frame",
            Self::Stylesheet => "stylesheet",
            Self::Image => "image",
            Self::Media => "media",
            Self::Font => "font",
            Self::Script => "script",
            Self::TextTrack => "texttrack",
            Self::Xhr => "xhr",
            Self::Fetch => "fetch",
            Self::EventSource => "eventsource",
            Self::WebSocket => "websocket",
            Self::Manifest => "manifest",
            Self::Other => "other",
        }
    }

    /// The word of the filter engine, which knows fewer kinds.
    pub(super) fn engine_word(self) -> &'static str {
        match self {
            Self::Frame => "subdocument",
            Self::Fetch => "xhr",
            Self::TextTrack | Self::EventSource | Self::Manifest => "other",
            other => other.word(),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
