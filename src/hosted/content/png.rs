//! Owns the look at the chunks of a PNG (W3C PNG, third edition): one still picture and its colours.

use super::{Fault, no_markup};

/// Chunks that say how the picture is to be seen.
const KNOWN: [&[u8; 4]; 12] = [
    b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"bKGD", b"pHYs",
    b"tIME", b"cICP",
];

/// Width and height.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    let number = |at: usize| {
        let four = bytes.get(at..at + 4).ok_or(Fault::Cut)?;
        Ok(u32::from_be_bytes(four.try_into().expect("four bytes")))
    };
    let (mut at, mut size) = (8, None);
    loop {
        let length = usize::try_from(number(at)?).map_err(|_| Fault::Cut)?;
        let kind = bytes.get(at + 4..at + 8).ok_or(Fault::Cut)?;
        let end = (at + 12).checked_add(length).ok_or(Fault::Cut)?;
        let data = bytes.get(at + 8..end - 4).ok_or(Fault::Cut)?;
        if bytes.len() < end {
            return Err(Fault::Cut);
        }
        match (kind, size) {
            (b"IHDR", None) if length == 13 => {
                if data[12] != 0 {
                    return Err(Fault::holds("interlaced lines"));
                }
                size = Some((number(at + 8)?, number(at + 12)?));
            }
            (_, None) => return Err(Fault::holds("no header")),
            (b"IEND", Some(size)) => {
                let behind = bytes.len() - end;
                return match behind {
                    0 if length == 0 => Ok(size),
                    _ => Err(Fault::holds(format!("{} bytes behind its end", behind + length))),
                };
            }
            (b"acTL" | b"fcTL" | b"fdAT", _) => return Err(Fault::holds("an animation (APNG)")),
            (b"tEXt" | b"eXIf", _) => no_markup(data)?,
            (kind, _) if KNOWN.iter().any(|known| *known == kind) => {}
            (kind, _) => return Err(Fault::holds(format!("a chunk {}", kind.escape_ascii()))),
        }
        at = end;
    }
}
