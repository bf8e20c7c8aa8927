//! Owns the proof that an element can be seen in a picture: it is painted black and then white, and where
//! nothing changes something else is seen, whatever that is made of.

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::element::{self, Visible};
use super::error::PageError;
use super::limits::{PAGE_CALL, QUICK};
use super::page::Page;
use super::screenshot::clip_of_page;
use super::script::World;
use super::view::{Difference, differences};
use crate::error::CaptureError;
use crate::settings::Rect;

/// Paints an element.
const SHOWN: &str = include_str!("shown.js");
/// Most CSS pixels that are looked at, from the upper edge down.
const LARGEST: f64 = 6e6;
/// Part of the difference between black and white by which an element is seen: less is a cover.
const SEEN: f64 = 0.1;
/// Fewer pixels than this, and than one in so many, are nothing that is missed or seen.
const FEW: (usize, usize) = (16, 500);
/// Levels by which two pictures of one thing may differ.
const NOISE: u8 = 6;

/// How an element was painted.
#[derive(Deserialize)]
struct Paint {
    /// How solid the page paints it, 0 to 1.
    opacity: f64,
    /// Whether it took.
    takes: bool,
    /// Whether it fills its box, and has no shape of its own.
    fills: bool,
}

struct Tester<'a> {
    page: &'a Page,
    selector: &'a str,
    world: World,
    rect: Rect,
}

/// What is left of `visible`, the element that `selector` matches: that something lies over it is told,
/// and an element of which nothing is seen is none to be pictured. Nothing is looked at that cannot be
/// before `until`.
///
/// # Errors
/// `selector_not_visible`
pub(super) async fn proved(
    page: &Page,
    selector: &str,
    visible: Visible,
    until: Instant,
) -> Result<Visible, PageError> {
    if Instant::now() + QUICK / 2 >= until {
        return Ok(visible);
    }
    let part = visible.part;
    let height = part.height.min((LARGEST / part.width.max(1.0)).ceil());
    let rect = Rect { height, ..part };
    let tester = Tester { page, selector, world: World::isolated(page).await?, rect };
    // Whoever ends this in between has the page restored.
    let touched = page.view_is_touched();
    page.touch_view();
    let proved = tester.prove(visible).await;
    tester.call::<Value>("clear", &[]).await?;
    if !touched {
        page.view_is_restored();
    }
    proved
}

impl Tester<'_> {
    async fn prove(&self, visible: Visible) -> Result<Visible, PageError> {
        let Some(Paint { opacity, takes, fills }) = self.paint("black").await? else {
            // It has no box of its own, or is covered by the operator's rules.
            return Ok(visible);
        };
        if !takes {
            return Ok(visible.lacking("whether something lies over it cannot be told"));
        }
        let black = self.shot().await?;
        self.paint("white").await?;
        let white = self.shot().await?;
        self.call::<Value>("clear", &[]).await?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
        let least = (SEEN * opacity.clamp(0.01, 1.0) * 255.0).max(2.0) as u8;
        let found = self.compare(black, white, least).await?;
        let Difference { total, differing, .. } = found;
        let is_much = |pixels: usize| pixels > FEW.0 && pixels * FEW.1 > total;
        if !is_much(total - differing) {
            return Ok(visible);
        }
        let points: Vec<[f64; 2]> = found
            .same
            .iter()
            .map(|[x, y]| [self.rect.x + x * self.rect.width, self.rect.y + y * self.rect.height])
            .collect();
        let there: Vec<u64> = self.call("at", &[json!(points)]).await?;
        let covered = there.iter().filter(|there| **there == 1).count();
        if !is_much(differing) && self.is_nothing().await? {
            return Err(element::not_visible(
                self.selector,
                "something else is seen in its place: something covers it that is no element of its \
                 own, or a filter, mask or blend hides it",
            ));
        }
        if fills && is_much((total - differing) * covered / there.len().max(1)) {
            return Ok(visible.lacking("something covers a part of it"));
        }
        Ok(visible)
    }

    /// Whether the picture is the same without the element.
    async fn is_nothing(&self) -> Result<bool, PageError> {
        let with = self.shot().await?;
        let Some(Paint { takes: true, .. }) = self.paint("none").await? else { return Ok(false) };
        let without = self.shot().await?;
        let Difference { differing, .. } = self.compare(with, without, NOISE).await?;
        Ok(differing <= FEW.0)
    }

    async fn compare(
        &self,
        one: Vec<u8>,
        other: Vec<u8>,
        least: u8,
    ) -> Result<Difference, PageError> {
        let work = self.page.tasks().spawn_blocking(move || differences(&one, &other, least));
        let broken = |error| CaptureError::internal("comparing two pictures", error);
        let found = work.await.map_err(broken)?;
        found.map_err(|error| CaptureError::internal("comparing two pictures", error).into())
    }

    async fn paint(&self, kind: &str) -> Result<Option<Paint>, PageError> {
        self.call("paint", &[json!(self.selector), json!(kind)]).await
    }

    async fn shot(&self) -> Result<Vec<u8>, PageError> {
        clip_of_page(self.page, self.rect).await
    }

    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        method: &str,
        arguments: &[Value],
    ) -> Result<T, PageError> {
        let function = format!(
            "(...all) => (globalThis.exhibitShown || ({SHOWN})()).{method}(...all) ?? null"
        );
        self.world.call(&function, arguments, PAGE_CALL).await
    }
}
