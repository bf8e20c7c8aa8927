//! Owns the printing of a page as PDF. The document comes as a stream, in pieces, so that a large
//! one is never a single message.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::limits::{PAGE_CALL, QUICK};
use super::page::Page;
use super::pipe::CallError;
use crate::error::{CaptureError, ErrorKind};
use crate::settings::pdf::Pdf;
use exhibit_verify::blob::{Blob, BlobWriter};

/// Bytes asked for at a time.
const PIECE: u64 = 1 << 20;

#[derive(Deserialize)]
struct Printed {
    stream: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    data: String,
    #[serde(default)]
    base64_encoded: bool,
    eof: bool,
}

/// Print the page as it stands.
pub(super) async fn print(page: &Page, pdf: &Pdf, spool: &Path) -> Result<Blob, PageError> {
    let params = json!({
        "landscape": pdf.landscape,
        "displayHeaderFooter": pdf.display_header_footer,
        "printBackground": pdf.print_background,
        "scale": pdf.scale,
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
    let printed = match page.call_raw("Page.printToPDF", params, PAGE_CALL).await {
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
    let unreadable = |error| CaptureError::internal("reading the document", error);
    let printed: Printed = serde_json::from_str(printed.get()).map_err(unreadable)?;
    let mut document = BlobWriter::new(spool);
    let unwritten = |error| CaptureError::internal("keeping the document", error);
    loop {
        let params = json!({ "handle": printed.stream, "size": PIECE });
        let piece = page.call_raw("IO.read", params, QUICK).await?;
        let piece: Piece = serde_json::from_str(piece.get()).map_err(unreadable)?;
        let bytes = if piece.base64_encoded {
            let decoded = STANDARD.decode(&piece.data);
            decoded.map_err(|error| CaptureError::internal("reading the document", error))?
        } else {
            piece.data.into_bytes()
        };
        // To the page cache, if to a file at all: only keeping the document waits for the disk.
        document.write_all(&bytes).map_err(unwritten)?;
        if piece.eof {
            break;
        }
    }
    page.call_raw("IO.close", json!({ "handle": printed.stream }), QUICK).await?;
    Ok(document.finish())
}
