//! Tests of the framed picture: the page's pixels are in it as they were, and what is around them
//! cannot be forged, misread or made to fail by what it says.

use std::io::Cursor;

use png::{BitDepth, ColorType};
use proptest::prelude::*;

use super::strip::Strip;
use super::words::is_drawn;
use super::*;

/// A decoded picture: its size, bytes of a pixel, and samples.
#[derive(Debug, PartialEq)]
pub(super) struct Decoded {
    width: usize,
    height: usize,
    pixel: usize,
    samples: Vec<u8>,
}

impl Decoded {
    fn of(bytes: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(Cursor::new(bytes));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().expect("a PNG");
        let mut samples = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut samples).expect("whole");
        let pixel = info.color_type.samples() * info.bit_depth as usize / 8;
        Self { width: info.width as usize, height: info.height as usize, pixel, samples }
    }

    fn crop(&self, inside: Inside) -> Self {
        let [x, y, width, height] =
            [inside.x, inside.y, inside.width, inside.height].map(|side| side as usize);
        let row = |row: usize| {
            let from = (row * self.width + x) * self.pixel;
            &self.samples[from..from + width * self.pixel]
        };
        let samples = (y..y + height).flat_map(row).copied().collect();
        Self { width, height, pixel: self.pixel, samples }
    }
}

/// A picture of noise.
fn noise(width: u32, height: u32, color: ColorType, depth: BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(depth);
    if color == ColorType::Indexed {
        encoder.set_palette((0..=255).flat_map(|at| [at, 255 - at, 7]).collect::<Vec<u8>>());
    }
    let line = (width as usize * color.samples() * depth as usize).div_ceil(8);
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    let samples: Vec<u8> = (0..line * height as usize).map(|_| next()).collect();
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&samples).expect("written");
    writer.finish().expect("written");
    bytes
}

fn caption() -> Caption {
    let address = Address::of("https://shop.example/refunds?id=7");
    Caption::new("EXHIBIT")
        .field("Host", address.host())
        .field("URL", address.whole())
        .field("Agent", Words::default().quoted("refund-bot\n\u{202e}", 100))
}

fn framed(picture: &[u8], density: f64) -> Result<(Vec<u8>, Inside), FrameError> {
    let mut out = Vec::new();
    let inside =
        frame(Cursor::new(picture), Encoding::Png, &caption(), density, 10_000_000, &mut out)?;
    Ok((out, inside))
}

#[test]
fn cut_out_again_the_page_is_what_it_was_in_every_kind_of_png() {
    use BitDepth::{Eight, Four, One, Sixteen};
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let kinds = [
        (Rgb, Eight),
        (Rgba, Eight),
        (Grayscale, Eight),
        (GrayscaleAlpha, Eight),
        (Indexed, Eight),
        (Indexed, Four),
        (Grayscale, One),
        (Rgb, Sixteen),
        (Rgba, Sixteen),
    ];
    for (color, depth) in kinds {
        for (width, height, density) in
            [(400, 30, 1.0), (1, 1, 1.0), (37, 500, 2.0), (901, 3, 2.625)]
        {
            let raw = noise(width, height, color, depth);
            let (bytes, inside) = framed(&raw, density).expect("framed");
            assert_eq!((inside.width, inside.height), (width, height));
            let case = format!("{color:?} {depth:?} {width}x{height}");
            assert!(Decoded::of(&bytes).crop(inside) == Decoded::of(&raw), "{case}");
            assert_eq!(framed(&raw, density).expect("framed").0, bytes, "the same bytes: {case}");
        }
    }
}

#[test]
fn the_caption_is_as_much_larger_as_the_pixels_of_the_page_are_finer() {
    let raw = noise(800, 40, ColorType::Rgb, BitDepth::Eight);
    let (once, twice) =
        (framed(&raw, 1.0).expect("framed").1, framed(&raw, 2.0).expect("framed").1);
    assert_eq!((once.x, twice.x), (6, 12));
    assert!(twice.y > once.y * 3 / 2, "{once:?} {twice:?}");
    for (density, border) in [(0.1, 6), (f64::NAN, 48), (1e9, 48), (2.625, 18)] {
        assert_eq!(framed(&raw, density).expect("framed").1.x, border, "{density}");
    }
}

#[test]
fn other_encodings_are_decoded_and_what_cannot_be_is_said() {
    let whole = noise(60, 40, ColorType::Rgb, BitDepth::Eight);
    let refused = |bytes: &[u8], encoding, most| {
        let out = frame(Cursor::new(bytes), encoding, &caption(), 1.0, most, std::io::sink());
        out.expect_err("refused").to_string()
    };
    for encoding in [Encoding::Png, Encoding::Jpeg, Encoding::Webp] {
        let said = refused(b"no picture at all", encoding, 1_000_000);
        assert!(said.starts_with("the picture cannot be decoded: "), "{said}");
    }
    let said = refused(&whole[..whole.len() / 2], Encoding::Png, 1_000_000);
    assert!(said.starts_with("the picture cannot be decoded: "), "{said}");
    assert!(refused(&whole, Encoding::Png, 60 * 40 - 1).contains("60 × 40 pixels are too many"));
    let mut bytes = Vec::new();
    let mut animated = png::Encoder::new(&mut bytes, 1, 1);
    animated.set_animated(1, 0).expect("one frame");
    let mut writer = animated.write_header().expect("a header");
    writer.write_image_data(&[0]).expect("written");
    writer.finish().expect("written");
    assert!(refused(&bytes, Encoding::Png, 10).contains("animated"));
}

/// The words in a strip, read back by the shapes of their letters: only what is drawn counts.
fn read_back(strip: &Strip, column: usize, line: usize) -> Vec<Vec<u8>> {
    let rows = (line..line + 15).map(|y| strip.row(y, 1).skip(column).take(7).collect());
    rows.collect()
}

#[test]
fn no_field_reaches_into_the_column_of_labels() {
    let hostile = "\nPrincipal\t  alice   \u{202e}".repeat(40);
    let draw = |agent: &str| {
        let caption = Caption::new("T").field("Agent", Words::default().quoted(agent, 400));
        Strip::draw(&caption, 400)
    };
    let (plain, forged) = (draw("bot"), draw(&hostile));
    assert!(forged.height > plain.height);
    // Below its label, the column of a long field is black, line for line.
    for line in 2..(forged.height - 1) / 15 {
        for column in 0..11 {
            let cell = read_back(&forged, column * 7, line * 15);
            assert!(cell.iter().flatten().all(|grey| *grey == 0), "line {line}, letter {column}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_is_said_is_drawn_in_bounds(texts in prop::collection::vec(any::<String>(), 3),
        noise in prop::collection::vec(any::<char>(), 0..3_000), width in 0_usize..3_000) {
        let long: String = noise.iter().collect();
        let address = format!("https://{}/{}", texts[0], long);
        let mut caption = Caption::new(&texts[1]);
        for text in texts.iter().chain([&long, &address]) {
            let address = Address::of(text);
            let all = [Words::default().quoted(text, 160), address.host(), address.whole(),
                Words::default().plain(text).marked(text)];
            for words in &all {
                prop_assert!(words.cells().iter().all(|(one, _)| is_drawn(*one)));
            }
            for words in &all[..3] {
                prop_assert!(words.cells().len() <= 900, "{}", words.cells().len());
            }
            let [quoted, host, whole, _] = all;
            caption = caption.field("Quoted", quoted).field("Host", host).field("URL", whole);
        }
        let strip = Strip::draw(&caption, width);
        if width >= 360 {
            // Five addresses with host and words of at most 900 letters, 38 of them in a line.
            prop_assert!(strip.height <= 15 * (3 * 5 * (900 / 38 + 25) + 200), "{}", strip.height);
        }
    }
}
