//! Owns the reading of what the browser hands over as a stream: in pieces, so that something large is
//! never a single message.

use std::io::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::limits::QUICK;
use super::page::Page;
use crate::error::CaptureError;
use exhibit_verify::blob::{Blob, BlobWriter};

/// Bytes asked for at a time.
const PIECE: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Piece {
    data: String,
    #[serde(default)]
    base64_encoded: bool,
    eof: bool,
}

/// Read the stream `handle` to its end; none when it has more than `most` bytes, of which no more are
/// read. What is large waits in the folder `spool`.
pub(super) async fn read(
    page: &Page,
    handle: &str,
    spool: &Path,
    most: u64,
) -> Result<Option<Blob>, PageError> {
    let mut document = BlobWriter::new(spool);
    let mut length = 0;
    let whole = loop {
        let params = json!({ "handle": handle, "size": PIECE });
        let piece = page.call_raw("IO.read", params, QUICK).await?;
        let piece: Piece = serde_json::from_str(piece.get())
            .map_err(|error| CaptureError::internal("reading the document", error))?;
        let bytes = if piece.base64_encoded {
            let decoded = STANDARD.decode(&piece.data);
            decoded.map_err(|error| CaptureError::internal("reading the document", error))?
        } else {
            piece.data.into_bytes()
        };
        length += bytes.len() as u64;
        if length > most {
            break false;
        }
        // To the page cache, if to a file at all: only keeping the document waits for the disk.
        document
            .write_all(&bytes)
            .map_err(|error| CaptureError::internal("keeping the document", error))?;
        if piece.eof {
            break true;
        }
    };
    page.call_raw("IO.close", json!({ "handle": handle }), QUICK).await?;
    Ok(whole.then(|| document.finish()))
}
