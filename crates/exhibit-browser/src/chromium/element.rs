//! Owns the finding of the element that a picture is of: the part of it that can be seen, and why
//! there is none. The picture shows that part and nothing else.

use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::limits::{PAGE_CALL, QUICK};
use super::nearest;
use super::page::Page;
use super::script::World;
use crate::backend::{BoundingBox, Cut};
use crate::error::{CaptureError, ErrorKind};
use crate::settings::Rect;

/// Finds the element and what of it can be seen.
const VISIBLE: &str = include_str!("visible.js");
/// CSS pixels by which an element may seem to move without having moved.
const STILL: f64 = 1.0;

/// What of an element can be seen, in CSS pixels of the page.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Visible {
    /// The part that can be seen.
    pub(super) part: Rect,
    /// What is missing, if anything is.
    pub(super) cut: Option<Cut>,
    /// The whole of it.
    whole: BoundingBox,
}

impl Visible {
    /// The same, of which something else is missing, too; where a cover is told of that is it.
    pub(super) fn lacking(mut self, why: &str) -> Self {
        let Rect { x, y, width, height } = self.part;
        let (asked, shown) = (self.whole, rounded([x, y, width, height]));
        let cut = self.cut.get_or_insert_with(|| Cut {
            asked,
            shown,
            why: String::new(),
            covered_by: Vec::new(),
        });
        if cut.covered_by.is_empty() {
            let join = if cut.why.is_empty() { "" } else { "; " };
            cut.why = format!("{}{join}{why}", cut.why);
        }
        self
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Found {
    Seen { r#box: [f64; 4], part: [f64; 4], reasons: Vec<String>, covered_by: Vec<String> },
    Unseen { why: String },
}

/// Bring the first element that `selector` matches into view, and measure what of it is there.
///
/// # Errors
/// `selector_not_found`, `selector_not_visible` with what is wrong, `invalid_field`.
pub(super) async fn bring(page: &Page, selector: &str) -> Result<Visible, PageError> {
    match look(page, selector, true).await? {
        Some(Found::Seen { r#box, part, reasons, covered_by }) => {
            Ok(visible(r#box, part, &reasons, covered_by))
        }
        Some(Found::Unseen { why }) => Err(not_visible(selector, &why)),
        None => Err(nearest::not_found(page, "selector", selector).await),
    }
}

/// Whether the element is where it was when it was measured.
pub(super) async fn is_still(
    page: &Page,
    selector: &str,
    before: &Visible,
) -> Result<bool, PageError> {
    let Some(Found::Seen { part, .. }) = look(page, selector, false).await? else {
        return Ok(false);
    };
    let Rect { x, y, width, height } = before.part;
    let moved =
        part.iter().zip([x, y, width, height]).any(|(now, then)| (now - then).abs() > STILL);
    Ok(!moved)
}

/// Hold the page's animations still, or let them go on.
pub(super) async fn hold_animations(page: &Page, hold: bool) -> Result<(), PageError> {
    if hold {
        page.call_raw("Animation.enable", json!({}), QUICK).await?;
    }
    let rate = u8::from(!hold);
    page.call_raw("Animation.setPlaybackRate", json!({ "playbackRate": rate }), QUICK).await?;
    if !hold {
        page.call_raw("Animation.disable", json!({}), QUICK).await?;
    }
    Ok(())
}

/// The element moved each time it was looked at.
pub(super) fn restless(selector: &str) -> PageError {
    let message = format!(
        "`selector` is `{selector}`, and what it matches moves, so that a picture shows something \
         else; wait with `delay` or `waitForSelector`, or ask for `reducedMotion`"
    );
    CaptureError::new(ErrorKind::SelectorNotVisible, message).field("selector").into()
}

async fn look(page: &Page, selector: &str, bring: bool) -> Result<Option<Found>, PageError> {
    let world = World::isolated(page).await?;
    let found = world.call(VISIBLE, &[json!(selector), json!(bring)], PAGE_CALL).await;
    found.map_err(|error| error.in_field("selector", selector))
}

pub(super) fn not_visible(selector: &str, why: &str) -> PageError {
    let message = format!(
        "`selector` is `{selector}`, and what it matches cannot be seen: {why}; name another \
         element, or bring it to light first, with `click` or the steps of a sequence"
    );
    CaptureError::new(ErrorKind::SelectorNotVisible, message).field("selector").into()
}

fn visible(
    whole: [f64; 4],
    part: [f64; 4],
    reasons: &[String],
    covered_by: Vec<String>,
) -> Visible {
    let [x, y, width, height] = part;
    let cut = (!reasons.is_empty()).then(|| Cut {
        asked: rounded(whole),
        shown: rounded(part),
        why: reasons.join("; "),
        covered_by,
    });
    Visible { part: Rect { x, y, width, height }, cut, whole: rounded(whole) }
}

fn rounded(sides: [f64; 4]) -> BoundingBox {
    #[expect(clippy::cast_possible_truncation, reason = "pixels of a page")]
    sides.map(|side| side.round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_only_where_something_is() {
        let (whole, part) = ([-100.0, 90.0, 300.0, 60.0], [0.0, 90.0, 200.4, 60.0]);
        assert_eq!(visible(whole, whole, &[], Vec::new()).cut, None);
        let cut = visible(whole, part, &["it reaches beyond the page".to_owned()], Vec::new()).cut;
        let cut = cut.expect("a part is missing");
        assert_eq!((cut.asked, cut.shown), ([-100, 90, 300, 60], [0, 90, 200, 60]));
        let lacking = visible(whole, whole, &[], Vec::new()).lacking("one").lacking("two");
        assert_eq!(lacking.cut.expect("told").why, "one; two");
    }
}
