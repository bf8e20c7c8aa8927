//! Owns the masking of what the operator's rules name: it is covered in the page itself, before
//! anything of it is painted, and told of with rule and place. A page whose masks cannot be put on is
//! not captured.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::frames::{self, Area, Frame};
use super::injected::{MASK, MASK_EVENT, on_every_document};
use super::limits::{PAGE_CALL, QUICK};
use super::page::Page;
use super::script::World;
use crate::backend::{BoundingBox, Masked};
use crate::error::{CaptureError, ErrorKind};
use crate::masks::Masks;

/// Most places of a rule that are told.
const PLACES: usize = 100;

/// What is covered in a page.
#[derive(Debug, Default)]
pub(super) struct Covered {
    /// The rules that covered something.
    pub(super) masked: Vec<Masked>,
    /// Whether what is covered may stand in a snapshot of the page, as text.
    pub(super) in_text: bool,
}

/// Put `masks` on every document of `page` from now on, instead of those that are on.
pub(super) async fn put_on(page: &Page, masks: &Masks) -> Result<(), PageError> {
    #[derive(Deserialize)]
    struct Added {
        identifier: String,
    }
    if page.masks() == *masks {
        return Ok(());
    }
    let mut scripts = Vec::new();
    let adding = on_every_document(masks)
        .map(|params| page.call_raw("Page.addScriptToEvaluateOnNewDocument", params, QUICK));
    for added in join_all(adding).await {
        let added: Added = serde_json::from_str(added?.get())
            .map_err(|error| CaptureError::internal("reading the browser's answer", error))?;
        scripts.push(added.identifier);
    }
    for before in page.keep_masks(masks.clone(), scripts) {
        let params = json!({ "identifier": before });
        page.call_raw("Page.removeScriptToEvaluateOnNewDocument", params, QUICK).await?;
    }
    Ok(())
}

/// What a frame tells of its masks.
#[derive(Deserialize)]
#[serde(expecting = "struct Told")]
struct MaskReport {
    /// Whether there are frames within.
    frames: bool,
    scroll: [f64; 2],
    size: [f64; 2],
    /// Number of elements that were found bare, and may have been shown, since this was told last.
    late: u64,
    /// Number of elements that cannot be covered.
    bare: u64,
    masked: Vec<One>,
}

#[derive(Deserialize)]
struct One {
    rule: String,
    valid: bool,
    /// Number of elements that are seen.
    count: u64,
    /// Whether there are any, seen or not.
    present: bool,
    /// Left, top, width and height in the frame's own window.
    places: Vec<[f64; 4]>,
}

/// Make sure that the masks of `page` are on, and tell what they cover: the elements of all its
/// frames, and where in the page they are. What was found bare is covered now, and remembered by the
/// page as having been uncovered.
///
/// # Errors
/// `mask_failed` when a rule cannot be put into force, or the page shows what it is for in spite of it.
pub(super) async fn cover(page: &Page) -> Result<Covered, PageError> {
    let masks = page.masks();
    if masks.rules().is_empty() {
        return Ok(Covered::default());
    }
    let told = mask_report(&World::isolated(page).await?, &masks).await?;
    if let Some(bad) = told.masked.iter().find(|one| !one.valid) {
        let message = format!(
            "`{}` is no CSS selector of this browser, so nothing is captured; the operator mends it \
             in `privacy.mask`",
            bad.rule
        );
        return Err(CaptureError::new(ErrorKind::MaskFailed, message).field("privacy.mask").into());
    }
    let [x, y] = told.scroll;
    let mut masked = Vec::new();
    let (mut late, mut bare) = (told.late, told.bare);
    let mut present = of_text(&told, &masks);
    // The whole page can be seen, and of a frame only its window.
    add(&mut masked, &told.masked, [1.0; 2], None, (x, y));
    let inner = if told.frames { frames::within(page).await } else { Vec::new() };
    let inside = join_all(inner.iter().map(|frame| covered_in(frame, &masks))).await;
    for (frame, told) in inner.iter().zip(inside) {
        let Some(told) = told else { continue };
        (late, bare) = (late + told.late, bare + told.bare);
        present |= of_text(&told, &masks);
        let MaskReport { size: [width, height], masked: found, .. } = told;
        let scale = [frame.area.width / width.max(1.0), frame.area.height / height.max(1.0)];
        add(&mut masked, &found, scale, Some(frame.area), (x, y));
    }
    if late > 0 || bare > 0 {
        page.set_uncovered(true);
    }
    if bare > 0 {
        return Err(uncovered().into());
    }
    let in_text =
        present || (told.frames && masks.rules().iter().any(|rule| masks.covers_text(rule)));
    Ok(Covered { masked, in_text })
}

/// Make sure that what was made of `page` since it was covered shows nothing that a mask is for.
///
/// # Errors
/// `mask_failed` when it may.
pub(super) async fn covered_still(page: &Page) -> Result<(), PageError> {
    let before = page.was_uncovered();
    page.set_uncovered(false);
    let covered = cover(page).await;
    let meanwhile = page.was_uncovered();
    page.set_uncovered(before || meanwhile);
    covered?;
    if meanwhile { Err(uncovered().into()) } else { Ok(()) }
}

/// The page shows what a rule covers.
pub(super) fn uncovered() -> CaptureError {
    let message = "the page uncovers what a rule of the operator's covers, so nothing of it is kept; \
                   `privacy.mask` cannot be put into force against a page that works against it";
    CaptureError::new(ErrorKind::MaskFailed, message).field("privacy.mask")
}

/// Whether something is in a frame, seen or not, that a rule covers and a snapshot would tell.
fn of_text(told: &MaskReport, masks: &Masks) -> bool {
    told.masked.iter().any(|one| one.present && masks.covers_text(&one.rule))
}

/// What a frame tells of its masks. A document to which no script was added is covered now.
async fn mask_report(world: &World, masks: &Masks) -> Result<MaskReport, PageError> {
    let ensured = format!(
        "(rules, event, most) => {{ globalThis.exhibitMask || ({MASK})(rules, event); \
         return globalThis.exhibitMask.places(most); }}"
    );
    let arguments = [json!(masks.rules()), json!(MASK_EVENT), json!(PLACES)];
    world.call(&ensured, &arguments, PAGE_CALL).await
}

/// What is covered in a frame within a page. None when it is gone, or does not answer.
async fn covered_in(frame: &Frame, masks: &Masks) -> Option<MaskReport> {
    let world = World::of_frame(frame.line.clone(), &frame.id).await.ok()?;
    let told = mask_report(&world, masks).await;
    told.inspect_err(|error| tracing::debug!(%error, "a frame does not tell its masks")).ok()
}

/// Add what is covered in a frame, which is shown at `area`, so much larger than it is, to what is
/// covered in a page that was scrolled by `scroll`.
fn add(
    masked: &mut Vec<Masked>,
    found: &[One],
    scale: [f64; 2],
    area: Option<Area>,
    scroll: (f64, f64),
) {
    for One { rule, count, places, .. } in found.iter().filter(|one| one.count > 0) {
        let known = masked.iter().position(|one| one.rule == *rule);
        let at = known.unwrap_or_else(|| {
            masked.push(Masked { rule: rule.clone(), count: 0, places: Vec::new() });
            masked.len() - 1
        });
        let total = &mut masked[at];
        total.count += count;
        let room = PLACES - total.places.len();
        let shown = places.iter().filter_map(|place| shown(*place, scale, area, scroll));
        total.places.extend(shown.take(room));
    }
}

/// A place in a frame's window as one in the page; none when the frame's window does not show it.
fn shown(
    [x, y, width, height]: [f64; 4],
    [across, down]: [f64; 2],
    area: Option<Area>,
    scroll: (f64, f64),
) -> Option<BoundingBox> {
    let (mut left, mut top) = (x * across, y * down);
    let (mut right, mut bottom) = (left + width * across, top + height * down);
    if let Some(area) = area {
        (left, right) = (left.max(0.0) + area.left, right.min(area.width) + area.left);
        (top, bottom) = (top.max(0.0) + area.top, bottom.min(area.height) + area.top);
    }
    let seen = right > left && bottom > top;
    #[expect(clippy::cast_possible_truncation, reason = "pixels of a page")]
    let whole = |value: f64| value.round() as i64;
    seen.then(|| {
        let (left, top) = (left + scroll.0, top + scroll.1);
        [whole(left), whole(top), whole(right + scroll.0 - left), whole(bottom + scroll.1 - top)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_frame_covers_is_counted_once_each_and_placed_in_the_page() {
        let one = |count, places: &[[f64; 4]]| One {
            rule: ".iban".to_owned(),
            valid: true,
            count,
            present: true,
            places: places.to_vec(),
        };
        let mut masked = Vec::new();
        let scroll = (0.0, 500.0);
        add(&mut masked, &[one(1, &[[10.0, -480.0, 50.0, 30.0]])], [1.0; 2], None, scroll);
        let area = Area { left: 300.0, top: -100.0, width: 200.0, height: 100.0 };
        // The second is cut by the frame's window, the third lies outside of it.
        let inside =
            [[10.0, 20.0, 50.0, 30.0], [180.0, 90.0, 50.0, 30.0], [0.0, 900.0, 50.0, 30.0]];
        add(&mut masked, &[one(3, &inside)], [1.0; 2], Some(area), scroll);
        // A frame that is shown twice as large as it is.
        add(&mut masked, &[one(1, &inside[..1])], [2.0; 2], Some(area), scroll);
        // A frame without anything adds nothing.
        add(&mut masked, &[one(0, &[])], [1.0; 2], Some(area), scroll);
        assert_eq!(masked.len(), 1);
        assert_eq!(masked[0].count, 5);
        let places: [BoundingBox; 4] =
            [[10, 20, 50, 30], [310, 420, 50, 30], [480, 490, 20, 10], [320, 440, 100, 60]];
        assert_eq!(masked[0].places, places);
    }

    #[test]
    fn no_more_places_are_told_than_there_is_room_for() {
        let places = vec![[0.0, 0.0, 1.0, 1.0]; PLACES];
        let mut masked = Vec::new();
        for _ in 0..3 {
            let (rule, places) = ("p".to_owned(), places.clone());
            let one = One { rule, valid: true, count: 150, present: true, places };
            add(&mut masked, &[one], [1.0; 2], None, (0.0, 0.0));
        }
        assert_eq!((masked[0].count, masked[0].places.len()), (450, PLACES));
    }
}
