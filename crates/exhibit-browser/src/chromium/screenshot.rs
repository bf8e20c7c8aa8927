//! Owns the browser's call for a screenshot: of a rectangle of the page, or of the window.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chromiumoxide_cdp::cdp::browser_protocol::page::{
    CaptureScreenshotFormat, CaptureScreenshotParams, Viewport as Clip,
};

use super::error::PageError;
use super::limits::PAGE_CALL;
use super::page::Page;
use crate::error::CaptureError;
use crate::settings::{Format, Rect};

/// What of the page is in `rect`, without loss.
pub(super) async fn clip_of_page(page: &Page, rect: Rect) -> Result<Vec<u8>, PageError> {
    screenshot(page, Format::Png, Some(rect)).await
}

/// The window as it stands.
pub(super) async fn window(page: &Page, format: Format) -> Result<Vec<u8>, PageError> {
    screenshot(page, format, None).await
}

/// What of the page is in `rect`, or the window as it stands.
pub(super) async fn screenshot(
    page: &Page,
    format: Format,
    rect: Option<Rect>,
) -> Result<Vec<u8>, PageError> {
    let encoding = match format {
        Format::Png => CaptureScreenshotFormat::Png,
        Format::Jpeg(_) => CaptureScreenshotFormat::Jpeg,
        Format::Webp(_) => CaptureScreenshotFormat::Webp,
    };
    let params = CaptureScreenshotParams {
        format: Some(encoding),
        quality: format.quality().map(i64::from),
        clip: rect.map(|r| Clip { x: r.x, y: r.y, width: r.width, height: r.height, scale: 1.0 }),
        capture_beyond_viewport: rect.map(|_| true),
        ..CaptureScreenshotParams::default()
    };
    let answer = page.call(params, PAGE_CALL).await?;
    let decoded = STANDARD.decode(AsRef::<[u8]>::as_ref(&answer.data));
    Ok(decoded.map_err(|error| CaptureError::internal("reading the picture", error))?)
}
