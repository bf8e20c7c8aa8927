//! Owns the painting of what the browser leaves out of a picture that reaches beyond the window: each
//! such area is brought into a window and put into the picture as it is there. Few are brought there
//! one after the other, as a person would scroll; many by one window as tall as they reach, where that
//! moves nothing of the page.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use super::super::error::PageError;
use super::super::frames;
use super::super::page::Page;
use super::super::pipe::CallError;
use super::super::screenshot::{self, clip_of_page};
use super::super::script::World;
use super::flat::is_one_colour_in;
use super::paste::Patch;
use super::scroll::Scrolled;
use super::survey::{Survey, View};
use super::tiles::{Area, Group, Piece, groups};
use crate::error::CaptureError;
use crate::facts::{Incomplete, PaintWay, Painted, ViewBox};
use crate::settings::{Format, Rect, Viewport};

/// More windows than this are worth a try with a tall one.
const FEW: f64 = 3.0;
/// Tallest window in device pixels, and most pixels of one: what a compositor draws at once.
const TALLEST: f64 = 16_384.0;
const LARGEST: f64 = 64e6;
/// Most patches of a picture.
const PATCHES: usize = 400;
/// How long a frame may take to show itself once it is in the window.
const SHOWN: Duration = Duration::from_secs(3);
/// What stands for a part of the page that is no thing of its own.
const OF_THE_PAGE: u64 = u64::MAX >> 11;
/// What is left of a capture's time for putting the picture together.
const RESERVE: Duration = Duration::from_secs(2);

/// What of a picture has to be painted by itself.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Missing {
    pieces: Vec<Piece>,
    /// The boxes of the things that they are parts of.
    boxes: HashMap<u64, Area>,
    /// Whether something was there only while the window was.
    passes: bool,
}

impl Missing {
    /// What `survey` tells may be missing in a picture of `rect`, and what was there only while the page
    /// was `scrolled`.
    pub(in super::super) fn of(survey: &Survey, scrolled: &Scrolled, rect: Rect) -> Self {
        let mut missing = Self::default();
        for area in &scrolled.passing {
            let pieces = area.and(rect.into()).without(survey.window).into_iter();
            let pieces = pieces.filter(|piece| !piece.is_empty());
            missing.pieces.extend(pieces.map(|area| Piece { id: OF_THE_PAGE, area }));
            missing.passes = true;
        }
        let frames = survey.frames.iter().filter(|one| !one.waits).map(|one| (one.id, one.area));
        let drawn = survey.drawn.iter().map(|one| (one.id, one.area));
        for (id, area) in frames.chain(drawn) {
            let wanted = area.and(rect.into());
            let beyond = wanted.without(survey.window).into_iter();
            let beyond = beyond.filter(|piece| !piece.is_empty());
            let beyond = beyond.map(|area| Piece { id, area: area.outwards() });
            missing.pieces.extend(beyond);
            missing.boxes.insert(id, area);
        }
        missing
    }

    pub(in super::super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }
}

/// What is put into a picture, and what could not be.
pub(in super::super) struct Whole {
    pub(in super::super) patches: Vec<Patch>,
    pub(in super::super) painted: Painted,
    pub(in super::super) unpainted: Vec<Incomplete>,
}

/// Take what is `missing`, until `until` at the latest, in a `view` that was begun. The page is left
/// scrolled and changed; whoever calls restores it.
pub(in super::super) async fn paint(
    page: &Page,
    view: View,
    missing: &Missing,
    viewport: Viewport,
    until: Instant,
) -> Result<Whole, PageError> {
    let (width, height) = (f64::from(viewport.width), f64::from(viewport.height));
    let groups = groups(missing.pieces.clone(), height);
    let painting = Painting {
        page,
        view,
        missing,
        until,
        patches: Vec::new(),
        unpainted: Vec::new(),
        hidden: 0,
    };
    let windows: f64 = groups.iter().map(|group| (group.area.height / height).ceil()).sum();
    // What is there only while the window is, a taller window need not bring.
    if windows > FEW
        && !missing.passes
        && let Some(patches) = painting.tall(viewport).await?
    {
        return Ok(Painting { patches, ..painting }.whole(PaintWay::TallWindow));
    }
    painting.walk(&groups, width).await
}

/// The painting of what is missing, under way.
struct Painting<'a> {
    page: &'a Page,
    view: View,
    missing: &'a Missing,
    until: Instant,
    patches: Vec<Patch>,
    unpainted: Vec<Incomplete>,
    hidden: u64,
}

impl Painting<'_> {
    /// Take all by one window; none where it would be too large, or the page is another one in it.
    async fn tall(&self, viewport: Viewport) -> Result<Option<Vec<Patch>>, PageError> {
        let pieces = &self.missing.pieces;
        let all = pieces.iter().map(|piece| piece.area).reduce(Area::with).unwrap_or_default();
        let (width, height) = (f64::from(viewport.width), all.bottom().ceil());
        let scale = viewport.device_scale_factor;
        let fits = height * scale <= TALLEST && width * height * scale * scale <= LARGEST;
        if !fits || all.right() > width {
            return Ok(None);
        }
        let before = self.view.layout().await?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked above"
        )]
        let tall = Viewport { height: height as u32, ..viewport };
        self.page.set_viewport(tall).await?;
        let taken = self.in_tall(&before, all).await;
        self.page.set_viewport(viewport).await?;
        self.view.frames(2).await?;
        taken
    }

    async fn in_tall(&self, before: &[f64], all: Area) -> Result<Option<Vec<Patch>>, PageError> {
        self.view.frames(3).await?;
        if !self.shown().await.is_empty() {
            return Ok(None);
        }
        let after = self.view.layout().await?;
        let same = before.len() == after.len()
            && before.iter().zip(&after).all(|(before, after)| (before - after).abs() <= 0.5);
        if !same {
            return Ok(None);
        }
        let png = clip_of_page(self.page, all.into()).await?;
        let cuts = self.missing.pieces.iter().map(|piece| piece.area).collect();
        Ok(Some(vec![Patch { at: all, png, cuts }]))
    }

    /// Take all piece by piece.
    async fn walk(mut self, groups: &[Group], width: f64) -> Result<Whole, PageError> {
        for group in groups {
            for column in group.area.columns(width) {
                self.column(group, column).await?;
            }
        }
        Ok(self.whole(PaintWay::Patches))
    }

    /// Take what of `group` is in `column`, from its top down.
    async fn column(&mut self, group: &Group, column: Area) -> Result<(), PageError> {
        let mut rest = column;
        let ids = group.ids();
        while rest.height >= 1.0 {
            if Instant::now() + RESERVE >= self.until || self.patches.len() >= PATCHES {
                self.lack(group, rest, "out_of_time");
                return Ok(());
            }
            let brought = self.view.bring(rest, &ids).await?;
            self.hidden += brought.hidden;
            let moved = ids.iter().zip(&brought.at).any(|(id, now)| {
                let before = self.missing.boxes.get(id);
                now.zip(before).is_some_and(|(now, before)| !now.is_at(*before))
            });
            let shown = brought.shown.inwards();
            if moved || shown.is_empty() || shown.y > rest.y + 1.0 {
                self.lack(group, rest, if moved { "layout_moved" } else { "not_reached" });
                return Ok(());
            }
            self.take(group, shown).await?;
            rest = Area { y: shown.bottom(), height: rest.bottom() - shown.bottom(), ..rest };
        }
        Ok(())
    }

    /// Take what of `group` is `shown` in the window.
    async fn take(&mut self, group: &Group, shown: Area) -> Result<(), PageError> {
        let cuts = group.pieces.iter().map(|piece| piece.area.and(shown));
        let cuts: Vec<Area> = cuts.filter(|cut| !cut.is_empty()).collect();
        if cuts.is_empty() {
            return Ok(());
        }
        let mut unshown = self.shown().await;
        let (mut at, mut png) = self.window().await?;
        // What has one colour only may just not have been drawn yet.
        for _ in 0..2 {
            let is_flat = is_one_colour_in(&png, at, shown);
            if !is_flat || Instant::now() + RESERVE >= self.until {
                break;
            }
            self.view.frames(3).await?;
            unshown = self.shown().await;
            (at, png) = self.window().await?;
        }
        for area in unshown {
            let area = area.and(shown);
            if !area.is_empty() {
                self.unpainted.push(Incomplete::new("frame_not_painted", area.into()));
            }
        }
        self.patches.push(Patch { at, png, cuts });
        Ok(())
    }

    /// The window as it is, and its place in the page. A part of the page would be taken from a larger
    /// window, in which the page may be scrolled otherwise.
    async fn window(&self) -> Result<(Area, Vec<u8>), PageError> {
        let at = self.view.place().await?;
        Ok((at, screenshot::window(self.page, Format::Png).await?))
    }

    fn lack(&mut self, group: &Group, rest: Area, reason: &'static str) {
        for piece in &group.pieces {
            let area = piece.area.and(rest);
            if !area.is_empty() {
                self.unpainted.push(Incomplete::new(reason, area.into()));
            }
        }
    }

    /// Wait until all frames in the window have drawn themselves; those that have not.
    async fn shown(&self) -> Vec<Area> {
        const SHOWS: &str = "async limit => {
            const end = performance.now() + limit;
            const late = () => new Promise(resolve => {
                setTimeout(resolve, Math.max(0, end - performance.now()), false);
            });
            const frame = () => new Promise(resolve => requestAnimationFrame(() => resolve(true)));
            if (document.readyState !== 'complete') {
                const loaded = new Promise(resolve => addEventListener('load', resolve, { once: true }));
                await Promise.race([loaded, late()]);
            }
            return Promise.race([frame().then(frame), late()]);
        }";
        let Ok(place) = self.view.place().await else { return Vec::new() };
        let [x, y, width, height] = place.into();
        let inner = frames::within(self.page).await;
        let inner = inner.into_iter().map(|frame| {
            let at = frame.area;
            let area = Area { x: at.left + x, y: at.top + y, width: at.width, height: at.height };
            (frame, area)
        });
        let window = Area { x, y, width, height };
        let inner: Vec<_> = inner.filter(|(_, area)| !area.and(window).is_empty()).collect();
        let asked = inner.iter().map(|(frame, _)| async {
            let world = World::of_frame(frame.line.clone(), &frame.id).await?;
            world.call::<bool>(SHOWS, &[json!(SHOWN.as_millis())], SHOWN * 2).await
        });
        let told = join_all(asked).await;
        let unshown = inner.iter().zip(told).filter(|(_, told)| match told {
            Ok(shown) => !shown,
            // A frame that went away meanwhile is not missed.
            Err(PageError::Call(CallError::Timeout { .. })) => true,
            Err(_) => false,
        });
        unshown.map(|((_, area), _)| *area).collect()
    }

    fn whole(self, way: PaintWay) -> Whole {
        let Self { patches, unpainted, hidden, .. } = self;
        let boxes =
            patches.iter().flat_map(|patch| &patch.cuts).map(|cut| ViewBox::rounded((*cut).into()));
        let painted = Painted {
            way,
            patches: patches.len() as u64,
            sections: 0,
            boxes: boxes.collect(),
            hidden,
            base: None,
        };
        Whole { patches, painted, unpainted }
    }
}

/// What is wrong with a task that put a picture together.
pub(super) fn broken(error: impl std::error::Error + Send + Sync + 'static) -> CaptureError {
    CaptureError::internal("putting the picture together", error)
}
