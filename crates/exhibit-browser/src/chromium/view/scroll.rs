//! Owns the scrolling through a page before all of it is pictured: what loads only when it comes into
//! view is loaded, and what shows only while the window is there is known.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::super::error::PageError;
use super::super::limits::QUICK;
use super::super::page::Page;
use super::super::script::World;
use super::tiles::Area;
use crate::settings::FullPage;

const SCROLL: &str = include_str!("scroll.js");
/// Longest time for it, with the images that come.
const LIMIT: Duration = Duration::from_secs(15);

/// What was seen on the way.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in super::super) struct Scrolled {
    /// Whether all images had come.
    whole: bool,
    /// Windows in which the page shows what it does not show from elsewhere.
    #[serde(rename = "boxes")]
    pub(super) passing: Vec<Area>,
}

/// Scroll through the whole of `page`, wait for the images, and return to the top.
pub(in super::super) async fn scroll_through(
    page: &Page,
    settings: &FullPage,
) -> Result<Scrolled, PageError> {
    let world = World::isolated(page).await?;
    let delay = settings.scroll_delay.map(|delay| delay.as_millis());
    let arguments = [json!(LIMIT.as_millis()), json!(settings.scroll_by), json!(delay)];
    let scrolled = world.call::<Scrolled>(SCROLL, &arguments, LIMIT + QUICK).await?;
    if !scrolled.whole
        && let Some(settled) = page.observed().facts.settled.as_mut()
    {
        settled.reached = false;
    }
    Ok(scrolled)
}
