//! Owns the taking of a picture of a page that is ready: which rectangle, how large, and
//! that it shows what was measured.

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::element::{self, Visible};
use super::error::PageError;
use super::limits::PAGE_CALL;
use super::page::Page;
use super::screenshot::screenshot;
use super::shown;
use super::view::{self, Detector, Missing, Scrolled};
use crate::backend::Companion;
use crate::error::{CaptureError, ErrorKind};
use crate::media::png_size;
use crate::settings::{Format, PageSettings, Picture, Rect, Region, Viewport};

/// What of the page is to be in the picture, found before it is taken.
pub(super) struct Frame {
    rect: Option<Rect>,
    pixels: (u32, u32),
    /// What the browser would leave unpainted.
    missing: Missing,
    detector: Detector,
    viewport: Viewport,
    /// The element that the picture is of, if it is of one.
    of: Option<(String, Visible)>,
}

impl Frame {
    /// Whether the page is not, or will not be, as it was while the picture is taken.
    pub(super) fn touches(&self, page: &Page) -> bool {
        page.view_is_touched() || !self.missing.is_empty()
    }
}

/// How often an element that moves is looked for again.
const ATTEMPTS: usize = 4;

/// Bring to light what the picture is to show, and measure it.
pub(super) async fn frame(
    page: &Page,
    settings: &PageSettings,
    picture: &Picture,
    max_pixels: u64,
) -> Result<Frame, PageError> {
    let mut scrolled = Scrolled::default();
    if let Region::FullPage(full) = &picture.region {
        if full.expand_scrollers {
            view::expand(page).await?;
        }
        if full.scroll {
            scrolled = view::scroll_through(page, full).await?;
        }
    }
    let whole = matches!(picture.region, Region::FullPage(_));
    page.observed().facts.cut = None;
    if !matches!(picture.region, Region::Viewport) {
        view::know(page).await?;
    }
    let measuring = locate(page, settings, &picture.region);
    let ((mut rect, mut of), mut survey) = if let Region::Element(_) = picture.region {
        // It is brought into the window first.
        (measuring.await?, view::survey(page, whole).await?)
    } else {
        tokio::try_join!(measuring, view::survey(page, whole))?
    };
    if rect.is_some_and(|rect| survey.skips(rect)) && view::render(page).await? {
        (rect, of) = locate(page, settings, &picture.region).await?;
        survey = view::survey(page, whole).await?;
    }
    // Of a whole page its caller says whether it is scrolled through.
    if let Some(part) = rect.filter(|rect| !whole && survey.waits(*rect)) {
        view::visit(page, part).await?;
        (rect, of) = locate(page, settings, &picture.region).await?;
        survey = view::survey(page, whole).await?;
    }
    let pixels = size_in_pixels(rect, settings.viewport, max_pixels)?;
    let detector = Detector {
        area: rect.map_or_else(|| survey.window(), Into::into),
        whole,
        of_page: whole || rect.is_none(),
    };
    detector.before(page, &survey).await?;
    let missing = rect.map_or_else(Missing::default, |rect| Missing::of(&survey, &scrolled, rect));
    Ok(Frame { rect, pixels, missing, detector, viewport: settings.viewport, of })
}

/// Where on the page the picture is of, if not of the window; and the element, if it is of one.
async fn locate(
    page: &Page,
    settings: &PageSettings,
    region: &Region,
) -> Result<(Option<Rect>, Option<(String, Visible)>), PageError> {
    let Region::Element(selector) = region else {
        return Ok((rectangle(page, settings, region).await?, None));
    };
    measure(page).await?;
    let visible = element::bring(page, selector).await?;
    Ok((Some(visible.part), Some((selector.clone(), visible))))
}

/// A picture that was taken.
pub(super) struct Shot {
    /// Its bytes; as the browser gave them, unless something had to be put into it.
    pub(super) bytes: Vec<u8>,
    /// Its size in device pixels.
    pub(super) pixels: (u32, u32),
    /// What goes with it.
    pub(super) companions: Vec<Companion>,
}

/// Take the picture, until `until` at the latest.
pub(super) async fn take(
    page: &Page,
    picture: &Picture,
    frame: Frame,
    until: Instant,
) -> Result<Shot, PageError> {
    let Frame { rect, pixels, missing, detector, viewport, of } = frame;
    let (bytes, companions) = match (rect.filter(|_| !missing.is_empty()), of) {
        (Some(rect), of) => {
            let cut = match of {
                Some((selector, visible)) => {
                    Box::pin(shown::proved(page, &selector, visible, until)).await?.cut
                }
                None => None,
            };
            let made = view::compose(page, picture, rect, &missing, viewport, until).await?;
            page.observed().facts.cut = cut;
            (made.bytes, vec![made.base])
        }
        (None, Some((selector, visible))) => {
            (of_element(page, picture.format, &selector, visible, until).await?, Vec::new())
        }
        (None, None) => (screenshot(page, picture.format, rect).await?, Vec::new()),
    };
    let pixels = png_size(&bytes).unwrap_or(pixels);
    detector.after(page, picture.format, &bytes, pixels).await?;
    Ok(Shot { bytes, pixels, companions })
}

/// A picture of an element that was where it had been measured, before and after it was taken.
async fn of_element(
    page: &Page,
    format: Format,
    selector: &str,
    mut visible: Visible,
    until: Instant,
) -> Result<Vec<u8>, PageError> {
    let mut held = false;
    let (mut taken, mut unseen) = (None, None);
    for _ in 0..ATTEMPTS {
        let bytes = screenshot(page, format, Some(visible.part)).await?;
        if element::is_still(page, selector, &visible).await? {
            match Box::pin(shown::proved(page, selector, visible.clone(), until)).await {
                // What moved meanwhile proves nothing.
                _ if !element::is_still(page, selector, &visible).await? => {}
                Ok(proved) => {
                    taken = Some((bytes, proved.cut));
                    break;
                }
                Err(error) => {
                    unseen = Some(error);
                    break;
                }
            }
        }
        if !held {
            element::hold_animations(page, true).await?;
            held = true;
        }
        visible = element::bring(page, selector).await?;
    }
    if held {
        element::hold_animations(page, false).await?;
    }
    if let Some(error) = unseen {
        return Err(error);
    }
    let (bytes, cut) = taken.ok_or_else(|| element::restless(selector))?;
    page.observed().facts.cut = cut;
    Ok(bytes)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LayoutMetrics {
    css_content_size: Size,
}

#[derive(Deserialize)]
struct Size {
    width: f64,
    height: f64,
}

/// The size of the whole page, which goes on record.
async fn measure(page: &Page) -> Result<Size, PageError> {
    let metrics = page.call_raw("Page.getLayoutMetrics", json!({}), PAGE_CALL).await?;
    let size = serde_json::from_str::<LayoutMetrics>(metrics.get())
        .map_err(|error| CaptureError::internal("measuring the page", error))?
        .css_content_size;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a page's size")]
    let whole = (size.width.max(0.0).ceil() as u64, size.height.max(0.0).ceil() as u64);
    page.observed().facts.page_size = Some(whole);
    Ok(size)
}

/// The rectangle of the page to be captured; none for the window as it is.
async fn rectangle(
    page: &Page,
    settings: &PageSettings,
    region: &Region,
) -> Result<Option<Rect>, PageError> {
    let size = measure(page).await?;
    match region {
        Region::Viewport | Region::Element(_) => Ok(None),
        Region::FullPage(full) => {
            let most = full.max_height.map_or(f64::INFINITY, f64::from);
            let (width, height) = (size.width.max(1.0), size.height.clamp(1.0, most));
            Ok(Some(Rect { x: 0.0, y: 0.0, width, height }))
        }
        Region::Clip(clip) => {
            let (right, bottom) = (clip.x + clip.width, clip.y + clip.height);
            let width = size.width.max(f64::from(settings.viewport.width));
            let height = size.height.max(f64::from(settings.viewport.height));
            if right <= width && bottom <= height {
                return Ok(Some(*clip));
            }
            let message = format!(
                "`clip` reaches to {right} × {bottom}, and the page ends at {width} × {height} CSS \
                 pixels; give a rectangle inside it"
            );
            Err(CaptureError::new(ErrorKind::ClipOutsidePage, message).field("clip").into())
        }
    }
}

/// The size of the picture in device pixels, refused above `most`.
fn size_in_pixels(
    rect: Option<Rect>,
    viewport: Viewport,
    most: u64,
) -> Result<(u32, u32), CaptureError> {
    let (width, height) = match rect {
        Some(rect) => (rect.width, rect.height),
        None => (f64::from(viewport.width), f64::from(viewport.height)),
    };
    let scale = viewport.device_scale_factor;
    let (width, height) = ((width * scale).ceil(), (height * scale).ceil());
    #[expect(clippy::cast_precision_loss, reason = "a limit far below 2^52")]
    if width * height > most as f64 {
        let message = format!(
            "the picture would be {width} × {height} pixels, more than `capture.max_pixels` \
             ({most}); ask for a `clip`, or a smaller `deviceScaleFactor`"
        );
        return Err(CaptureError::new(ErrorKind::PictureTooLarge, message).field("fullPage"));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    Ok((width as u32, height as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pixel_limit_counts_device_pixels() {
        let viewport = Viewport { device_scale_factor: 2.0, ..Viewport::default() };
        let rect = Some(Rect { x: 0.0, y: 0.0, width: 100.0, height: 100.5 });
        assert_eq!(size_in_pixels(rect, viewport, 200 * 201).expect("just inside"), (200, 201));
        let problem = size_in_pixels(rect, viewport, 200 * 201 - 1).expect_err("just outside");
        assert_eq!(problem.kind, ErrorKind::PictureTooLarge);
    }

    #[test]
    fn a_png_says_its_size() {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend([0, 0, 5, 0, 0, 0, 2, 208]);
        assert_eq!(png_size(&png), Some((1280, 720)));
        assert_eq!(png_size(&png[..20]), None);
        assert_eq!(png_size(b"\xff\xd8\xff"), None);
    }
}
