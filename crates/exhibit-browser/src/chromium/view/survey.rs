//! Owns what is asked of a page before a picture of it is taken: which of its parts the browser may
//! leave unpainted outside of the window, which failed, and what is cut off.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::super::error::PageError;
use super::super::limits::PAGE_CALL;
use super::super::page::Page;
use super::super::script::World;
use super::tiles::Area;
use crate::settings::Rect;

const VIEW: &str = include_str!("view.js");
const SCROLLERS: &str = include_str!("scrollers.js");
/// Limit of a call that waits for frames or pictures.
const WAITING: Duration = Duration::from_secs(20);

/// What a page tells of its view.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in super::super) struct Survey {
    /// Frames of other origins, or whose documents have not begun.
    pub(super) frames: Vec<Inner>,
    /// What scripts and decoders draw: canvases and videos.
    pub(super) drawn: Vec<Drawn>,
    /// What has nothing to show.
    pub(super) failed: Vec<Failure>,
    /// Number of sections that are not painted because they are away from the window.
    pub(super) skipped: u64,
    /// An area that scrolls by itself, and how much of it is not seen; asked for of whole pages.
    pub(super) scroller: Option<Scroller>,
    /// What of the page is in the window.
    pub(super) window: Area,
}

impl Survey {
    /// What of the page is in the window.
    pub(in super::super) fn window(&self) -> Area {
        self.window
    }

    /// Whether things in a picture of `rect` may wait for their place to come near the window.
    pub(in super::super) fn waits(&self, rect: Rect) -> bool {
        let beyond = |area: Area| {
            let area = area.and(rect.into());
            !area.is_empty() && !area.without(self.window).is_empty()
        };
        self.frames.iter().any(|one| one.waits && beyond(one.area))
            || self.failed.iter().any(|one| one.reason == "image_not_loaded" && beyond(one.area))
    }

    /// Whether sections are skipped in a picture of `rect`.
    pub(in super::super) fn skips(&self, rect: Rect) -> bool {
        self.skipped > 0 && !Area::from(rect).without(self.window).is_empty()
    }
}

/// A frame.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Inner {
    pub(super) id: u64,
    #[serde(rename = "box")]
    pub(super) area: Area,
    pub(super) url: String,
    /// Whether its document has not begun.
    pub(super) waits: bool,
}

/// A canvas or video.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Drawn {
    pub(super) id: u64,
    #[serde(rename = "box")]
    pub(super) area: Area,
}

/// Something that has nothing to show.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Failure {
    #[serde(rename = "box")]
    pub(super) area: Area,
    pub(super) reason: String,
    pub(super) url: String,
}

/// An area that scrolls by itself.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Scroller {
    #[serde(rename = "box")]
    pub(super) area: Area,
    /// CSS pixels.
    pub(super) hidden: f64,
}

/// What brought a box into the window.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Brought {
    /// What of it can be seen there.
    pub(super) shown: Area,
    /// Things that had to be hidden.
    pub(super) hidden: u64,
    /// Where the things asked for are now.
    pub(super) at: Vec<Option<Area>>,
}

/// The script of ours in a page that knows its view.
pub(in super::super) struct View(World);

/// A call of `method` of the script in a page, whether or not it runs there already.
fn calling(method: &str) -> String {
    format!("(...all) => (globalThis.exhibitView || ({VIEW})({SCROLLERS})).{method}(...all)")
}

impl View {
    pub(in super::super) async fn of(page: &Page) -> Result<Self, PageError> {
        World::isolated(page).await.map(Self)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        arguments: &[Value],
        limit: Duration,
    ) -> Result<T, PageError> {
        self.0.call(&calling(method), arguments, limit).await
    }

    /// Have the script know the closed shadows of the page.
    pub(super) async fn know_shadows(&self) -> Result<(), PageError> {
        self.0.know_closed_shadows(&calling("know")).await
    }

    /// What of the page may be missing; of all of it if `whole`.
    pub(super) async fn survey(&self, whole: bool, failed: &[String]) -> Result<Survey, PageError> {
        self.call("survey", &[json!(whole), json!(failed)], PAGE_CALL).await
    }

    /// Scroll through `area` and back.
    pub(super) async fn visit(&self, area: Area) -> Result<(), PageError> {
        self.call::<Value>("visit", &[json!(area)], WAITING).await.map(drop)
    }

    /// Have all sections painted that are skipped; how many.
    pub(super) async fn render(&self) -> Result<u64, PageError> {
        self.call("render", &[], WAITING).await
    }

    /// Give areas that scroll by themselves the height of what is in them; how many.
    pub(super) async fn expand(&self) -> Result<u64, PageError> {
        self.call("expand", &[], WAITING).await
    }

    /// Take note of what stays in its place while the page is scrolled.
    pub(super) async fn begin(&self) -> Result<(), PageError> {
        self.call::<Value>("begin", &[], PAGE_CALL).await.map(drop)
    }

    /// Bring `area` into the window.
    pub(super) async fn bring(&self, area: Area, ids: &[u64]) -> Result<Brought, PageError> {
        self.call("bring", &[json!(area), json!(ids)], WAITING).await
    }

    /// The page's size and the boxes of its parts.
    pub(super) async fn layout(&self) -> Result<Vec<f64>, PageError> {
        self.call("layout", &[], PAGE_CALL).await
    }

    /// What of the page is in the window.
    pub(super) async fn place(&self) -> Result<Area, PageError> {
        self.call("place", &[], PAGE_CALL).await
    }

    /// Wait for so many frames of the page.
    pub(super) async fn frames(&self, count: u64) -> Result<(), PageError> {
        self.call::<Value>("frames", &[json!(count)], WAITING).await.map(drop)
    }

    /// Whether there is something to be seen in `area`: 2 for text or pictures, 1 for what has a colour
    /// of its own, 0 for nothing.
    pub(super) async fn content(&self, area: Area) -> Result<u64, PageError> {
        self.call("content", &[json!(area)], PAGE_CALL).await
    }

    /// Undo all that was changed.
    pub(super) async fn restore(&self) -> Result<(), PageError> {
        self.call::<Value>("restore", &[], PAGE_CALL).await.map(drop)
    }
}
