//! Owns the settings of a picture: what of a page it shows, in which form.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Encoding of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lossless.
    Png,
    /// Lossy; quality 1 to 100.
    Jpeg(u8),
    /// Lossy; quality 1 to 100.
    Webp(u8),
}

impl Format {
    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg(_) => "image/jpeg",
            Self::Webp(_) => "image/webp",
        }
    }

    /// The usual ending of such a file's name, which is also the hosted API's word for it.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg(_) => "jpeg",
            Self::Webp(_) => "webp",
        }
    }

    /// Quality, where the format has one.
    pub fn quality(self) -> Option<u8> {
        match self {
            Self::Png => None,
            Self::Jpeg(quality) | Self::Webp(quality) => Some(quality),
        }
    }
}

/// A rectangle in CSS pixels, from the page's top left corner.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rect {
    /// From the left.
    pub x: f64,
    /// From the top.
    pub y: f64,
    /// Greater than 0.
    pub width: f64,
    /// Greater than 0.
    pub height: f64,
}

/// Which part of the page the picture shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Region {
    /// What fits the window.
    Viewport,
    /// All of it.
    FullPage(FullPage),
    /// The first element that a CSS selector matches.
    Element(String),
    /// A rectangle.
    Clip(Rect),
}

/// How the whole of a page is brought to light.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullPage {
    /// Whether the page is scrolled through first, so that what loads late is there.
    pub scroll: bool,
    /// Pause at each step of scrolling; a frame's time when not given.
    pub scroll_delay: Option<Duration>,
    /// CSS pixels of each step; the window's height when not given.
    pub scroll_by: Option<u32>,
    /// CSS pixels after which the picture ends.
    pub max_height: Option<u32>,
    /// Whether an area that scrolls by itself is given the height of what is in it.
    pub expand_scrollers: bool,
}

impl Default for FullPage {
    fn default() -> Self {
        Self {
            scroll: true,
            scroll_delay: None,
            scroll_by: None,
            max_height: None,
            expand_scrollers: false,
        }
    }
}

/// Which picture is taken of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Encoding.
    pub format: Format,
    /// Part of the page.
    pub region: Region,
    /// Whether the page's default background is transparent.
    pub omit_background: bool,
}

impl Default for Picture {
    /// The hosted API's defaults.
    fn default() -> Self {
        Self { format: Format::Png, region: Region::Viewport, omit_background: false }
    }
}

impl Picture {
    /// The fields through which it changes the page.
    pub(super) fn altered_by(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if self.omit_background {
            names.push("omitBackground");
        }
        if matches!(self.region, Region::FullPage(FullPage { expand_scrollers: true, .. })) {
            names.push("expandScrollers");
        }
        names
    }

    /// Its settings as they are put on record.
    pub(super) fn record(&self, record: &mut Map<String, Value>) {
        let (mut selector, mut clip, mut full_page) = (None, None, None);
        match &self.region {
            Region::Viewport => {}
            Region::FullPage(settings) => full_page = Some(settings),
            Region::Element(css) => selector = Some(css),
            Region::Clip(rect) => clip = Some(rect),
        }
        let mut set = |name: &str, value: Value| record.insert(name.to_owned(), value);
        set("format", json!(self.format.extension()));
        set("quality", json!(self.format.quality()));
        set("omitBackground", json!(self.omit_background));
        set("fullPage", json!(full_page.is_some()));
        if let Some(settings) = full_page {
            set("fullPageScroll", json!(settings.scroll));
            set("fullPageScrollDelay", json!(settings.scroll_delay.map(|delay| delay.as_millis())));
            set("fullPageScrollBy", json!(settings.scroll_by));
            set("fullPageMaxHeight", json!(settings.max_height));
            if settings.expand_scrollers {
                set("expandScrollers", json!(true));
            }
        }
        set("selector", json!(selector));
        set("clip", json!(clip));
    }
}
