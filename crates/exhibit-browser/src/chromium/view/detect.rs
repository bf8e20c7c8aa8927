//! Owns the look for what a picture does not show although it seems to: frames, pictures and canvases
//! that have nothing to show, areas that scroll by themselves, a picture of one colour.

use super::super::cut::cut;
use super::super::error::PageError;
use super::super::frames;
use super::super::limits::QUICK;
use super::super::page::Page;
use super::super::script::World;
use super::flat::is_flat;
use super::survey::{Inner, Survey, View};
use super::tiles::Area;
use crate::facts::{Incomplete, MOST_INCOMPLETE};
use crate::settings::{Format, presentable_text};

/// Words for why something is not shown, and what is kept of a reason that a page tells.
const REASONS: &[&str] = &["canvas_lost", "image_failed", "image_not_loaded", "media_failed"];
/// A picture of one colour takes few bytes: this many, and one for so many pixels.
const FLAT: (u64, u64) = (2_000, 200);
/// Longest address of a part that is told of, in characters.
const ADDRESS: usize = 500;
/// CSS pixels that an area may scroll without anything being missed.
const SLACK: f64 = 8.0;

/// What is looked for in a picture of `area`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Detector {
    pub(in super::super) area: Area,
    /// Whether the picture is of all of the page.
    pub(in super::super) whole: bool,
    /// Whether it is of the page or its window, and not of a part that was asked for.
    pub(in super::super) of_page: bool,
}

impl Detector {
    /// What `survey` tells that the picture will not show.
    pub(in super::super) async fn before(
        self,
        page: &Page,
        survey: &Survey,
    ) -> Result<(), PageError> {
        let mut found = Vec::new();
        for failure in &survey.failed {
            let reason = REASONS.iter().find(|reason| **reason == failure.reason);
            found.extend(reason.map(|reason| self.lack(reason, failure.area, &failure.url)));
        }
        for frame in survey.frames.iter().filter(|frame| frame.waits) {
            found.push(self.lack("frame_not_loaded", frame.area, &frame.url));
        }
        let elsewhere = survey.frames.iter().filter(|frame| !frame.waits);
        let elsewhere: Vec<&Inner> =
            elsewhere.filter(|frame| !frame.area.and(self.area).is_empty()).collect();
        if !elsewhere.is_empty() {
            found.extend(self.in_frames(page, survey, &elsewhere).await);
        }
        if let Some(scroller) = &survey.scroller {
            found.push(Some(cut_at(scroller.area, scroller.hidden)));
        }
        let mut seen = page.observed();
        let blocked: Vec<String> = seen.facts.blocked.iter().map(|one| one.url.clone()).collect();
        // What the caller had blocked is told of as that.
        let wanted = |one: &Incomplete| !one.url.as_ref().is_some_and(|url| blocked.contains(url));
        let found = found.into_iter().flatten().filter(wanted);
        seen.facts.incomplete_view.extend(found.take(MOST_INCOMPLETE));
        Ok(())
    }

    fn lack(self, reason: &'static str, area: Area, url: &str) -> Option<Incomplete> {
        let area = area.and(self.area);
        let url = presentable_text(cut(url.to_owned(), ADDRESS));
        (!area.is_empty()).then(|| Incomplete::new(reason, area.into()).of(url))
    }

    /// The frames of other origins that show an error, or are cut where they scroll.
    async fn in_frames(
        self,
        page: &Page,
        survey: &Survey,
        elsewhere: &[&Inner],
    ) -> Vec<Option<Incomplete>> {
        const HIDDEN: &str = "() => {
            const root = document.scrollingElement;
            return root ? root.scrollHeight - root.clientHeight : 0;
        }";
        let mut found = Vec::new();
        let (x, y) = (survey.window.x, survey.window.y);
        for frame in frames::within(page).await {
            let at = frame.area;
            let area = Area { x: at.left + x, y: at.top + y, width: at.width, height: at.height };
            let is_it = |inner: &&&Inner| {
                let both = inner.area.and(area);
                both.width * both.height >= area.width * area.height * 0.8
            };
            if frame.failed.is_some() {
                let inner = elsewhere.iter().find(is_it);
                let url = frame.failed.as_deref().unwrap_or_default();
                found.push(inner.and_then(|inner| self.lack("frame_not_loaded", inner.area, url)));
                continue;
            }
            let shown = area.and(self.area);
            let large =
                shown.height >= self.area.height / 2.0 && shown.width >= self.area.width / 4.0;
            if self.whole && large && elsewhere.iter().any(|inner| is_it(&inner)) {
                let Ok(world) = World::of_frame(frame.line.clone(), &frame.id).await else {
                    continue;
                };
                let hidden: f64 = world.call(HIDDEN, &[], QUICK).await.unwrap_or_default();
                found.push((hidden > SLACK).then(|| cut_at(area, hidden)));
            }
        }
        found
    }

    /// Whether a picture that takes `bytes` and has so many pixels is of one colour where the page has
    /// something to show, or does not give that colour.
    pub(in super::super) async fn after(
        self,
        page: &Page,
        format: Format,
        bytes: &[u8],
        (width, height): (u32, u32),
    ) -> Result<(), PageError> {
        let pixels = u64::from(width) * u64::from(height);
        if bytes.len() as u64 > FLAT.0 + pixels / FLAT.1 || !is_flat(format, bytes) {
            return Ok(());
        }
        let content = View::of(page).await?.content(self.area).await?;
        if content == 2 || (content == 0 && self.of_page) {
            let lack = Incomplete::new("one_colour", self.area.into());
            page.observed().facts.incomplete_view.push(lack);
        }
        Ok(())
    }
}

/// An area that scrolls further than it shows.
fn cut_at(area: Area, hidden: f64) -> Incomplete {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels of a page")]
    let hidden = hidden.max(0.0).round() as u64;
    Incomplete { hidden_height: Some(hidden), ..Incomplete::new("cut_at_viewport", area.into()) }
}
