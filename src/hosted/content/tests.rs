//! Tests of what a hosted service may answer: honest pictures and documents of each kind, and each
//! way to make of them something that moves, runs, bursts, or is another picture.

use proptest::prelude::*;

use super::*;
use crate::compare::Bitmap;
use crate::settings::{Format, FullPage, Rect};

const SMALL: Viewport =
    Viewport { width: 4, height: 3, device_scale_factor: 1.0, mobile: false, touch: false };

fn bitmap(width: u32, height: u32) -> Vec<u8> {
    let samples = vec![200; (width * height * 4) as usize];
    Bitmap::new(width, height, samples).expect("a picture").to_png().expect("a PNG")
}

/// A chunk of a PNG, its check not minded by whom it is for here.
fn chunk(kind: &[u8], data: &[u8]) -> Vec<u8> {
    let length = u32::try_from(data.len()).expect("short").to_be_bytes();
    [&length[..], kind, data, &crc(kind, data).to_be_bytes()].concat()
}

fn crc(kind: &[u8], data: &[u8]) -> u32 {
    let all = kind.iter().chain(data);
    !all.fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
    })
}

/// `png` with `more` before its end.
fn with(png: &[u8], more: &[u8]) -> Vec<u8> {
    let end = png.len() - 12;
    [&png[..end], more, &png[end..]].concat()
}

fn picture(format: Format, region: Region) -> Picture {
    Picture { format, region, omit_background: false }
}

#[track_caller]
fn taken(picture: &Picture, viewport: Viewport, bytes: &[u8]) {
    let read = check_picture(picture, viewport, 1_000_000, bytes);
    assert!(read.is_ok(), "{picture:?}: {read:?}");
}

#[track_caller]
fn not(code: ErrorKind, part: &str, format: Format, bytes: &[u8]) {
    let picture = picture(format, Region::Viewport);
    let found = check_picture(&picture, SMALL, 1_000_000, bytes).expect_err(part);
    assert_eq!(found.kind, code, "{found:?}");
    assert!(found.what.contains(part), "{part}: {found:?}");
}

#[test]
fn a_picture_of_the_size_that_was_asked_for_is_taken() {
    let png = |region| picture(Format::Png, region);
    taken(&png(Region::Viewport), SMALL, &bitmap(4, 3));
    taken(&png(Region::Viewport), Viewport { device_scale_factor: 2.6, ..SMALL }, &bitmap(11, 8));
    taken(&png(Region::FullPage(FullPage::default())), SMALL, &bitmap(6, 90));
    taken(&png(Region::Element("#a".to_owned())), SMALL, &bitmap(1, 70));
    let clip = Rect { x: 0.0, y: 0.0, width: 7.5, height: 2.0 };
    taken(&png(Region::Clip(clip)), SMALL, &bitmap(8, 2));
    let remarked = with(&bitmap(4, 3), &chunk(b"pHYs", &[0; 9]));
    taken(&png(Region::Viewport), SMALL, &remarked);
}

#[test]
fn a_picture_of_another_size_is_refused_before_it_is_decoded() {
    let refused = |region, width, height| {
        let picture = picture(Format::Png, region);
        let found = check_picture(&picture, SMALL, 1_000, &bitmap(width, height));
        let found = found.expect_err("another size");
        assert_eq!(found.kind, ErrorKind::BackendAnswerRefused);
        assert!(found.what.contains(&format!("{width} × {height} pixels")), "{found:?}");
    };
    refused(Region::Viewport, 40, 30);
    refused(Region::Viewport, 4, 5);
    refused(Region::FullPage(FullPage::default()), 2, 9);
    let full = FullPage { max_height: Some(50), ..FullPage::default() };
    refused(Region::FullPage(full), 4, 60);
    refused(Region::Clip(Rect { x: 0.0, y: 0.0, width: 9.0, height: 9.0 }), 9, 3);
    refused(Region::Element("#a".to_owned()), 1_001, 1);
    // 69 bytes that would be four gigapixels.
    let header =
        [&65_535_u32.to_be_bytes()[..], &65_535_u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let packed = [0x78, 0x9c, 0x63, 0, 0, 0, 1, 0, 1, 0, 0, 0];
    let bomb = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", &packed),
        chunk(b"IEND", b""),
    ];
    let bomb = bomb.concat();
    assert_eq!(bomb.len(), 69);
    not(ErrorKind::BackendAnswerRefused, "65535 × 65535", Format::Png, &bomb);
    let region = Region::Element("#a".to_owned());
    let found = check_picture(&picture(Format::Png, region), SMALL, 1_000_000, &bomb);
    assert!(found.expect_err("too many").what.contains("65535"));
}

#[test]
fn a_png_holds_one_still_picture_and_nothing_else() {
    let png = bitmap(4, 3);
    let refused = ErrorKind::BackendAnswerRefused;
    let with = |kind: &[u8; 4], data: &[u8]| with(&png, &chunk(kind, data));
    not(refused, "animation", Format::Png, &with(b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]));
    not(refused, "animation", Format::Png, &with(b"fdAT", b"abcd"));
    not(refused, "markup", Format::Png, &with(b"tEXt", b"Comment\0<svg onload=alert(1)>"));
    not(refused, "a chunk iTXt", Format::Png, &with(b"iTXt", b"x\0\x01\0\0\0packed"));
    not(refused, "a chunk zTXt", Format::Png, &with(b"zTXt", b"x\0\0packed"));
    not(refused, "a chunk \\x00\\x1b[2", Format::Png, &with(b"\0\x1b[2", b""));
    not(refused, "script", Format::Png, &with(b"iCCP", b"x\0\0..<ScRiPt>alert(1)"));
    not(refused, "bytes behind its end", Format::Png, &[&png[..], b"<script>"].concat());
    not(refused, "bytes behind its end", Format::Png, &[&png[..], b"PK\x03\x04"].concat());
    not(refused, "no header", Format::Png, &[&png[..8], &chunk(b"IDAT", b""), &png[8..]].concat());
    let mut interlaced = png.clone();
    interlaced[28] = 1;
    not(refused, "interlaced", Format::Png, &interlaced);
    let mut broken = png.clone();
    broken[png.len() - 20] ^= 0xff;
    not(refused, "cannot be decoded", Format::Png, &broken);
    for length in 8..png.len() {
        not(ErrorKind::BackendFailed, "cut short", Format::Png, &png[..length]);
    }
    not(ErrorKind::BackendFailed, "image/png instead of image/jpeg", Format::Jpeg(80), &png);
    not(ErrorKind::BackendFailed, "no image/png", Format::Png, b"<svg xmlns=''>");
}

/// A grey JPEG of 8 × 8 pixels, made by hand: one table each, one scan of one block.
fn jpeg() -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8];
    let mut segment = |marker: u8, data: &[u8]| {
        let length = u16::try_from(data.len() + 2).expect("short").to_be_bytes();
        jpeg.extend([&[0xff, marker], &length[..], data].concat());
    };
    segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    segment(0xc0, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]);
    let one_code = |class: u8| [&[class, 1][..], &[0; 15], &[0]].concat();
    segment(0xc4, &one_code(0));
    segment(0xc4, &one_code(0x10));
    segment(0xda, &[1, 1, 0, 0, 63, 0]);
    // A difference of nothing, the end of the block, and filling.
    jpeg.extend([0b0011_1111, 0xff, 0xd9]);
    jpeg
}

#[test]
fn a_jpeg_holds_one_still_picture_and_nothing_else() {
    let jpeg = jpeg();
    let eight = Viewport { width: 8, height: 8, ..SMALL };
    let format = Format::Jpeg(80);
    taken(&picture(format, Region::Viewport), eight, &jpeg);
    let refused = ErrorKind::BackendAnswerRefused;
    let with = |marker: u8, data: &[u8]| {
        let length = u16::try_from(data.len() + 2).expect("short").to_be_bytes();
        [&jpeg[..2], &[0xff, marker], &length, data, &jpeg[2..]].concat()
    };
    not(refused, "8 × 8", format, &jpeg);
    not(refused, "bytes behind its end", format, &[&jpeg[..], b"<script>"].concat());
    not(refused, "bytes behind its end", format, &[&jpeg[..], &jpeg].concat());
    not(refused, "further pictures", format, &with(0xe2, b"MPF\0II*\0"));
    not(refused, "markup", format, &with(0xfe, b"<svg onload=alert(1)>"));
    not(refused, "markup", format, &with(0xe1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>"));
    not(refused, "a second picture", format, &with(0xc0, &[8, 0, 9, 0, 9, 1, 1, 0x11, 0]));
    not(refused, "between", format, &[&jpeg[..20], b"x", &jpeg[20..]].concat());
    let scan = &jpeg[jpeg.len() - 13..jpeg.len() - 2];
    assert!(scan.starts_with(b"\xff\xda"), "{scan:x?}");
    let scans = [&jpeg[..jpeg.len() - 2], &scan.repeat(64), b"\xff\xd9"].concat();
    not(refused, "more scans", format, &scans);
    for length in 3..jpeg.len() {
        not(ErrorKind::BackendFailed, "cut short", format, &jpeg[..length]);
    }
}

/// A WebP of one pixel, lossless (RFC 9649).
fn webp(more: &[u8]) -> Vec<u8> {
    let vp8l =
        [0x2f, 0, 0, 0, 0, 0x07, 0xd0, 0xff, 0xfe, 0xf7, 0xbf, 0xff, 0x81, 0x88, 0x88, 0xe8, 0xff];
    let mut body = b"WEBPVP8L".to_vec();
    body.extend(u32::try_from(vp8l.len()).expect("short").to_le_bytes());
    body.extend(vp8l);
    body.push(0);
    body.extend(more);
    let length = u32::try_from(body.len()).expect("short").to_le_bytes();
    [b"RIFF", &length[..], &body].concat()
}

#[test]
fn a_webp_holds_one_still_picture_and_nothing_else() {
    let (format, refused) = (Format::Webp(80), ErrorKind::BackendAnswerRefused);
    let whole = webp(b"");
    assert_eq!(super::webp::read(&whole), Ok((1, 1)));
    not(refused, "1 × 1", format, &whole);
    not(refused, "an animation", format, &webp(b"ANIM\x06\0\0\0\xff\xff\xff\xff\0\0"));
    not(refused, "an animation", format, &webp(b"VP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0"));
    not(refused, "a chunk XMP ", format, &webp(b"XMP \x04\0\0\0<x/>"));
    not(refused, "bytes behind its end", format, &[&whole[..], b"<script>"].concat());
    for length in 13..whole.len() {
        not(ErrorKind::BackendFailed, "cut short", format, &whole[..length]);
    }
}

#[test]
fn a_pdf_does_nothing_and_carries_nothing() {
    let product = Product::Pdf(crate::settings::pdf::Pdf::default());
    let check = |bytes: &[u8]| check(&product, SMALL, 1, bytes);
    let honest = "%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R /Lang (en)>>\nendobj\n\
                  3 0 obj << /Subtype /Link /A << /S /URI /URI (https://a.example) >> >>\n\
                  startxref\n9\n%%EOF\n";
    assert!(check(honest.as_bytes()).is_ok());
    for (acts, part) in [
        ("/OpenAction 4 0 R", "/OpenAction"),
        ("/AA << /O << /S /JavaScript /JS (app.alert(1)) >> >>", "/JavaScript"),
        ("/S/J#61va#53cript", "/JavaScript"),
        ("/Launch", "/Launch"),
        ("/Names << /EmbeddedFiles 5 0 R >>", "/EmbeddedFiles"),
        ("/Type /ObjStm", "cannot be looked through"),
        ("/Encrypt 6 0 R", "cannot be looked through"),
    ] {
        let found = check(honest.replace("/Lang (en)", acts).as_bytes()).expect_err(acts);
        assert_eq!(found.kind, ErrorKind::BackendAnswerRefused, "{acts}");
        assert!(found.what.contains(part), "{acts}: {found:?}");
    }
    let found = check(format!("{honest}<script>").as_bytes()).expect_err("a second file");
    assert!(found.what.contains("behind its end"), "{found:?}");
    let found = check(&honest.as_bytes()[..honest.len() - 8]).expect_err("cut");
    assert_eq!((found.kind, found.what.contains("cut short")), (ErrorKind::BackendFailed, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_is_answered_is_judged(at in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in any::<prop::sample::Index>(), noise in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = [bitmap(4, 3), jpeg(), webp(b""), b"%PDF-1.4\n/A#4\n%%EOF".to_vec()];
        for mut bytes in whole {
            let place = at.index(bytes.len());
            bytes[place] = byte;
            let part = &bytes[..cut.index(bytes.len() + 1)];
            let noisy = [&bytes[..12.min(bytes.len())], &noise].concat();
            for bytes in [&bytes[..], part, &noisy] {
                let png = super::png::read(bytes);
                prop_assert!(png.is_err() || bytes[bytes.len() - 8..].starts_with(b"IEND"));
                drop((super::jpeg::read(bytes), super::webp::read(bytes), super::pdf::read(bytes)));
            }
        }
    }
}
