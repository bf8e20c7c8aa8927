//! Owns the look at the chunks of a WebP (RFC 9649): one still picture and its colours.

use std::io::Cursor;

use super::{Fault, no_markup};

/// Width and height.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4).ok_or(Fault::Cut)?;
        let number = u32::from_le_bytes(four.try_into().expect("four bytes"));
        usize::try_from(number).map_err(|_| Fault::Cut)
    };
    let end = number(4)?.checked_add(8).ok_or(Fault::Cut)?;
    match bytes.len().checked_sub(end) {
        None => return Err(Fault::Cut),
        Some(0) => {}
        Some(behind) => return Err(Fault::holds(format!("{behind} bytes behind its end"))),
    }
    let mut at = 12;
    while at < end {
        let kind = bytes.get(at..at + 4).ok_or(Fault::Cut)?;
        let length = number(at + 4)?;
        let data_end = (at + 8).checked_add(length).ok_or(Fault::Cut)?;
        let data = bytes.get(at + 8..data_end).ok_or(Fault::Cut)?;
        match kind {
            b"VP8 " | b"VP8L" | b"ALPH" | b"ICCP" => {}
            b"VP8X" if data.first().is_some_and(|flags| flags & 2 == 0) => {}
            b"VP8X" | b"ANIM" | b"ANMF" => return Err(Fault::holds("an animation")),
            b"EXIF" => no_markup(data)?,
            kind => return Err(Fault::holds(format!("a chunk {}", kind.escape_ascii()))),
        }
        at = data_end + length % 2;
    }
    let decoder = image_webp::WebPDecoder::new(Cursor::new(bytes));
    decoder.map(|decoder| decoder.dimensions()).map_err(|_| Fault::holds("no picture"))
}
