//! Owns what the bytes of a picture or document say of themselves: what they are, how
//! large the picture is.

/// The media type that the first bytes tell.
pub fn sniffed(bytes: &[u8]) -> Option<&'static str> {
    let starts = |magic: &[u8]| bytes.starts_with(magic);
    if starts(b"\x89PNG\r\n\x1a\n") {
        Some("image/png")
    } else if starts(b"\xff\xd8\xff") {
        Some("image/jpeg")
    } else if starts(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some("image/webp")
    } else if starts(b"%PDF-") {
        Some("application/pdf")
    } else {
        None
    }
}

/// Width and height of a PNG, from its header (PNG specification, §11.2.1).
pub fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let header = bytes.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(4..16)?.strip_prefix(b"IHDR")?;
    let number = |at: usize| Some(u32::from_be_bytes(header.get(at..at + 4)?.try_into().ok()?));
    Some((number(0)?, number(4)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_known_by_their_beginning() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x05\0\0\0\x02\xd0..IEND\xaeB\x60\x82";
        let whole: [(&str, &[u8]); 4] = [
            ("image/png", png),
            ("image/jpeg", b"\xff\xd8\xff\xe0....\xff\xd9"),
            ("image/webp", b"RIFF\x08\0\0\0WEBPVP8 "),
            ("application/pdf", b"%PDF-1.4\n....\n%%EOF\n"),
        ];
        for (media_type, bytes) in whole {
            assert_eq!(sniffed(bytes), Some(media_type));
        }
        assert_eq!(sniffed(b"<!doctype html>"), None);
        assert_eq!(sniffed(b""), None);
        assert_eq!(png_size(png), Some((1280, 720)));
        assert_eq!(png_size(b"\xff\xd8\xff"), None);
    }
}
