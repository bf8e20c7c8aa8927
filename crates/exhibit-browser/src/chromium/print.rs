//! Owns the printing of a page as PDF.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::error::PageError;
use super::limits::{PAGE_CALL, QUICK};
use super::page::Page;
use super::pipe::CallError;
use super::product_request::ProductRequest;
use super::script::World;
use super::stream;
use crate::error::{CaptureError, ErrorKind};
use crate::settings::Viewport;
use crate::settings::pdf::Pdf;
use exhibit_verify::blob::Blob;

/// Left of the capture's time for the refusal of what took too long.
const MARGIN: Duration = Duration::from_millis(500);
/// CSS pixels of an inch.
const PIXELS: f64 = 96.0;
/// The smallest size of the content that the browser prints.
const SMALLEST: f64 = 0.1;

/// The size at which the widest part of the page fits between the margins of a sheet: at most
/// `pdf.scale`. The page is laid out for a sheet to find that, and then as it was.
async fn fitting(page: &Page, pdf: &Pdf) -> Result<f64, PageError> {
    const WIDEST: &str = "() => Math.max(document.documentElement.scrollWidth,
        document.body ? document.body.scrollWidth : 0)";
    let sheet = if pdf.landscape { pdf.paper.height } else { pdf.paper.width };
    let room = ((sheet - pdf.margin.left - pdf.margin.right) * PIXELS).max(1.0);
    let window = page.viewport();
    let media = |media: &str| json!({ "media": media });
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a sheet's width")]
    page.set_viewport(Viewport { width: room as u32, mobile: false, ..window }).await?;
    page.call_raw("Emulation.setEmulatedMedia", media("print"), QUICK).await?;
    let widest = World::isolated(page).await?.call::<f64>(WIDEST, &[], PAGE_CALL).await;
    page.call_raw("Emulation.setEmulatedMedia", media(""), QUICK).await?;
    page.set_viewport(window).await?;
    Ok((room / widest?.max(1.0)).clamp(SMALLEST, pdf.scale.max(SMALLEST)))
}

#[derive(Deserialize)]
struct Printed {
    stream: String,
}

/// Print the page as it stands.
pub(super) async fn print(
    page: &Page,
    request: &ProductRequest<'_>,
    pdf: &Pdf,
) -> Result<Blob, PageError> {
    let scale = if pdf.fit_to_width { fitting(page, pdf).await? } else { pdf.scale };
    page.observed().facts.print_scale = pdf.fit_to_width.then_some(scale);
    // Printing is the browser's work: as long as the capture may take, it may.
    let limit = request.deadline.saturating_duration_since(Instant::now() + MARGIN);
    let params = json!({
        "landscape": pdf.landscape,
        "displayHeaderFooter": pdf.display_header_footer,
        "printBackground": pdf.print_background,
        "scale": scale,
        "preferCSSPageSize": pdf.prefer_css_page_size,
        "generateTaggedPDF": pdf.tagged,
        "paperWidth": pdf.paper.width,
        "paperHeight": pdf.paper.height,
        "marginTop": pdf.margin.top,
        "marginBottom": pdf.margin.bottom,
        "marginLeft": pdf.margin.left,
        "marginRight": pdf.margin.right,
        "pageRanges": pdf.page_ranges.as_deref().unwrap_or_default(),
        "headerTemplate": pdf.header_template.as_deref().unwrap_or_default(),
        "footerTemplate": pdf.footer_template.as_deref().unwrap_or_default(),
        "transferMode": "ReturnAsStream",
    });
    let printed = match page.call_raw("Page.printToPDF", params, limit).await {
        // Chromium judges pages and margins itself, and says which it does not accept.
        Err(CallError::Refused { message, .. }) => {
            let text = format!(
                "the browser does not print the page so ({message}); check `pageRanges`, `margin` \
                 and the paper's size"
            );
            return Err(CaptureError::new(ErrorKind::InvalidField, text)
                .field("pageRanges")
                .into());
        }
        printed => printed?,
    };
    let printed: Printed = serde_json::from_str(printed.get())
        .map_err(|error| CaptureError::internal("reading the document", error))?;
    let document = stream::read(page, &printed.stream, request.spool, u64::MAX).await?;
    // None is too large.
    Ok(document.unwrap_or_else(|| Vec::new().into()))
}
