//! Owns the look at the segments of a JPEG (ITU T.81): one still picture, its tables and remarks.

use super::{Fault, no_markup};

/// Most scans: each is decoded over the whole picture, however short it is.
const SCANS: u32 = 64;

/// Width and height.
pub(super) fn read(bytes: &[u8]) -> Result<(u32, u32), Fault> {
    let (mut at, mut size, mut scans) = (2, None, 0);
    loop {
        if *bytes.get(at).ok_or(Fault::Cut)? != 0xff {
            return Err(Fault::holds("bytes between its segments"));
        }
        let marker = *bytes.get(at + 1).ok_or(Fault::Cut)?;
        match marker {
            // Filling.
            0xff => {
                at += 1;
                continue;
            }
            0xd9 => {
                let behind = bytes.len() - (at + 2);
                return match (behind, size) {
                    (0, Some(size)) => Ok(size),
                    (0, None) => Err(Fault::holds("no picture")),
                    _ => Err(Fault::holds(format!("{behind} bytes behind its end"))),
                };
            }
            0xd8 => return Err(Fault::holds("a second picture")),
            0x01 | 0xd0..=0xd7 | 0x00 => return Err(Fault::holds("a marker out of place")),
            _ => {}
        }
        let length = bytes.get(at + 2..at + 4).ok_or(Fault::Cut)?;
        let length = usize::from(u16::from_be_bytes([length[0], length[1]]));
        let data = bytes.get(at + 4..at + 2 + length.max(2)).ok_or(Fault::Cut)?;
        at += 2 + length.max(2);
        match marker {
            // A scan: coded data follow, in which 0xff is followed by 0 or a restart.
            0xda if scans == SCANS => return Err(Fault::holds("more scans than a picture has")),
            0xda => (at, scans) = (end_of_scan(bytes, at)?, scans + 1),
            marker => {
                if let Some(sides) = segment(marker, data)?
                    && size.replace(sides).is_some()
                {
                    return Err(Fault::holds("a second picture"));
                }
            }
        }
    }
}

/// Width and height, if the segment says them: among the numbers of frame headers are some of tables.
fn segment(marker: u8, data: &[u8]) -> Result<Option<(u32, u32)>, Fault> {
    let side = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
    match marker {
        0xc4 | 0xc8 | 0xcc => Ok(None),
        0xc0..=0xcf => match data {
            &[_, high, low, wide, narrow, ..] => Ok(Some((side(wide, narrow), side(high, low)))),
            _ => Err(Fault::Cut),
        },
        0xe2 if data.starts_with(b"MPF\0") => Err(Fault::holds("further pictures (MPF)")),
        0xe0..=0xef | 0xfe => no_markup_in(marker, data).map(|()| None),
        _ => Ok(None),
    }
}

/// Colour profiles are no text.
fn no_markup_in(marker: u8, data: &[u8]) -> Result<(), Fault> {
    if marker == 0xe2 && data.starts_with(b"ICC_PROFILE\0") { Ok(()) } else { no_markup(data) }
}

fn end_of_scan(bytes: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        let rest = bytes.get(at..).ok_or(Fault::Cut)?;
        at += rest.iter().position(|byte| *byte == 0xff).ok_or(Fault::Cut)?;
        match bytes.get(at + 1).ok_or(Fault::Cut)? {
            0x00 | 0xd0..=0xd7 => at += 2,
            _ => return Ok(at),
        }
    }
}
