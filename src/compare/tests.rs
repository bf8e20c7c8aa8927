//! What a comparison finds, against counts frozen from the reference and against hostile bytes.

use proptest::prelude::*;

use super::*;

const PLENTY: u64 = 1 << 20;

fn drawn(width: u32, height: u32, mut colour: impl FnMut(u32, u32) -> Pixel) -> Bitmap {
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    Bitmap::of_pixels(width, height, places.map(|(x, y)| colour(x, y)).collect())
}

fn plain(width: u32, height: u32, colour: Pixel) -> Bitmap {
    drawn(width, height, |_, _| colour)
}

/// A white picture with black pixels where `is_black` says so.
fn dotted(width: u32, height: u32, is_black: impl Fn(u32, u32) -> bool) -> Bitmap {
    drawn(width, height, |x, y| if is_black(x, y) { [0, 0, 0, 255] } else { WHITE })
}

fn byte(number: u32) -> u8 {
    u8::try_from(number).expect("a channel is made from less than 256")
}

fn counts(found: &Comparison) -> (u64, u64, u64) {
    (found.changed_pixels, found.anti_aliased_pixels, found.total_pixels)
}

fn rectangles(found: &Comparison) -> Vec<(u32, u32, u32, u32, u64)> {
    let regions = found.regions.iter();
    regions.map(|one| (one.x, one.y, one.width, one.height, one.changed_pixels)).collect()
}

/// A line with soft edges, `shift` eighths of a pixel to the right.
fn soft_line(shift: u32) -> Bitmap {
    drawn(48, 32, |x, y| {
        let inside = |i: u32, j: u32| (3 * (x * 8 + i)).abs_diff(5 * (y * 8 + j) + 3 * shift) <= 60;
        let covered = (0..64).filter(|k| inside(k % 8, k / 8)).count();
        let grey = 255 - u8::try_from(covered * 255 / 64).expect("at most 255");
        [grey, grey, grey, 255]
    })
}

/// A number below 256 that looks drawn by lot.
fn lot(x: u32, y: u32, seed: u32) -> u32 {
    let mixed =
        x.wrapping_mul(73_856_093) ^ y.wrapping_mul(19_349_663) ^ seed.wrapping_mul(83_492_791);
    mixed.wrapping_mul(2_654_435_761) >> 24
}

/// Squares of three greys with specks, some of them half transparent.
fn speckled(seed: u32) -> Bitmap {
    drawn(40, 40, |x, y| {
        let grey = byte(lot(x / 4, y / 4, 9) % 3 * 120 + lot(x, y, seed) / 200 * 15);
        [grey, grey, 255 - grey, if lot(x, y, seed + 1) < 240 { 255 } else { 128 }]
    })
}

fn gradient(k: u32) -> Bitmap {
    drawn(64, 40, |x, y| {
        [x * 4 % 256, (y * 6 + k) % 256, (x + y * k) % 256, 255 - x * k % 64].map(byte)
    })
}

/// Counts of PyPI `pixelmatch` 0.4.0 for the same pictures: threshold, changed, anti-aliased.
#[test]
fn agrees_with_the_reference() {
    let check = |before: &Bitmap, after: &Bitmap, expected: [(f64, u64, u64); 4]| {
        for (threshold, changed, smoothed) in expected {
            let found = compare(before, after, threshold);
            let counted = (found.changed_pixels, found.anti_aliased_pixels);
            assert_eq!(counted, (changed, smoothed), "threshold {threshold}");
        }
    };
    let line = [(0.0, 9, 196), (0.02, 9, 158), (0.1, 9, 129), (0.5, 0, 56)];
    check(&soft_line(0), &soft_line(9), line);
    let specks = [(0.0, 522, 194), (0.02, 522, 194), (0.1, 168, 47), (0.5, 0, 0)];
    check(&speckled(1), &speckled(4), specks);
    let slopes = [(0.0, 2560, 0), (0.02, 2555, 0), (0.1, 1910, 0), (0.5, 0, 0)];
    check(&gradient(0), &gradient(7), slopes);
}

#[test]
fn identical_pictures_have_no_changes() {
    let found = compare(&gradient(3), &gradient(3), 0.0);
    assert_eq!((counts(&found), found.regions.len()), ((0, 0, 2560), 0));
    assert!(found.changed_percent().abs() < f64::EPSILON);
}

#[test]
fn one_pixel_is_found_and_drawn() {
    let found = compare(&plain(30, 20, WHITE), &dotted(30, 20, |x, y| (x, y) == (17, 5)), 0.1);
    assert_eq!(counts(&found), (1, 0, 600));
    assert_eq!(rectangles(&found), [(17, 5, 1, 1, 1)]);
    assert_eq!(found.image, drawn(30, 20, |x, y| if (x, y) == (17, 5) { RED } else { WHITE }));
    assert!((found.changed_percent() - 0.1667).abs() < f64::EPSILON);
}

#[test]
fn unchanged_pixels_fade_and_smoothed_ones_are_yellow() {
    let black = plain(3, 3, [0, 0, 0, 255]);
    assert_eq!(compare(&black, &black, 0.1).image, plain(3, 3, [229, 229, 229, 255]));
    let found = compare(&soft_line(0), &soft_line(9), 0.1);
    let painted = |colour| found.image.pixels().iter().filter(|&&pixel| pixel == colour).count();
    assert_eq!((painted(RED), painted(YELLOW)), (9, 129));
}

#[test]
fn what_only_one_picture_has_is_changed() {
    let (small, large) = (plain(10, 8, WHITE), plain(13, 9, WHITE));
    for (before, after) in [(&small, &large), (&large, &small)] {
        let found = compare(before, after, 1.0);
        assert_eq!(counts(&found), (13 * 9 - 10 * 8, 0, 13 * 9));
        assert_eq!(rectangles(&found), [(0, 0, 13, 9, 37)]);
    }
    let (wide, high) = (plain(10, 2, WHITE), plain(3, 6, WHITE));
    for (before, after) in [(&wide, &high), (&high, &wide)] {
        let found = compare(before, after, 0.1);
        assert_eq!(counts(&found), (7 * 2 + 3 * 4, 0, 60));
        assert_eq!(found.image.pixels()[59], WHITE, "neither has the lower right corner");
    }
}

#[test]
fn a_union_too_large_is_refused() {
    let (wide, high) = (plain(5000, 1, WHITE), plain(1, 5000, WHITE));
    assert_eq!(union_pixels(&wide, &high), 25_000_000);
    let refused = compare_within(&wide, &high, 0.1, PLENTY);
    assert!(matches!(refused, Err(CompareError::TooLarge { width: 5000, height: 5000, .. })));
    assert!(compare_within(&wide, &wide, 0.1, 5000).is_ok());
}

#[test]
fn the_threshold_decides_where_a_difference_begins() {
    let changed = |step: u8, threshold: f64| {
        let grey = |value: u8| [value, value, value, 255];
        let after = drawn(3, 3, |x, y| grey(if (x, y) == (1, 1) { 100 + step } else { 100 }));
        compare(&plain(3, 3, grey(100)), &after, threshold).changed_pixels == 1
    };
    assert!(!changed(26, 0.1) && changed(27, 0.1));
    assert!(changed(1, 0.0) && !changed(1, 0.01) && !changed(155, 1.0));
    assert!(changed(1, -3.0) && changed(1, f64::NAN), "strict when it is no sensible number");
    assert!(!changed(155, f64::INFINITY));
}

#[test]
fn alpha_is_compared_as_seen_on_white() {
    let changed = |one, other| compare(&plain(4, 4, one), &plain(4, 4, other), 0.0).changed_pixels;
    assert_eq!(changed([255, 0, 0, 0], [0, 0, 255, 0]), 0, "both are transparent");
    assert_eq!(changed([255, 255, 255, 7], WHITE), 0, "white on white");
    assert_eq!(changed([0, 0, 0, 255], [0, 0, 0, 254]), 16);
    let half = compare(&plain(4, 4, [0, 0, 0, 128]), &plain(4, 4, [127, 127, 127, 255]), 0.01);
    assert_eq!(half.changed_pixels, 0, "half black on white is grey");
}

#[test]
fn a_shifted_soft_line_is_smoothing_and_a_hard_one_is_change() {
    let soft = compare(&soft_line(0), &soft_line(3), 0.1);
    assert_eq!((soft.changed_pixels, soft.anti_aliased_pixels), (0, 93));
    let hard = compare(&dotted(20, 20, |x, _| x == 9), &dotted(20, 20, |x, _| x == 10), 0.1);
    assert_eq!((hard.changed_pixels, hard.anti_aliased_pixels), (40, 0));
}

#[test]
fn changed_pixels_gather_in_regions() {
    let check = |spots: &[Point], expected: &[(u32, u32, u32, u32, u64)]| {
        let after = dotted(100, 100, |x, y| spots.contains(&(x, y)));
        assert_eq!(rectangles(&compare(&plain(100, 100, WHITE), &after, 0.1)), expected);
    };
    check(&[(3, 4), (60, 4), (3, 90)], &[(3, 4, 1, 1, 1), (60, 4, 1, 1, 1), (3, 90, 1, 1, 1)]);
    check(&[(15, 15), (31, 31)], &[(15, 15, 17, 17, 2)]);
    check(&[(31, 0), (1, 16)], &[(1, 0, 31, 17, 2)]);
    check(&[(15, 0), (32, 0)], &[(15, 0, 1, 1, 1), (32, 0, 1, 1, 1)]);
    check(&[(99, 99)], &[(99, 99, 1, 1, 1)]);
}

#[test]
fn of_many_regions_the_largest_are_named() {
    let small = |x: u32, y: u32| x < 32 * 7 && y < 32;
    let after = dotted(352, 352, |x, y| {
        x % 32 < if small(x, y) { 1 } else { 2 } && y % 32 == 0 && (x, y) != (351, 0)
    });
    let found = compare(&plain(352, 352, WHITE), &after, 0.1);
    assert_eq!(found.changed_pixels, 121 * 2 - 7);
    assert_eq!(found.regions.len(), MOST_REGIONS);
    assert!(found.regions.iter().all(|one| one.changed_pixels == 2));
    assert!(found.regions.is_sorted_by_key(|one| (one.y, one.x)));
}

/// A PNG of two pixels side by side.
fn png_of(
    color: png::ColorType,
    depth: png::BitDepth,
    samples: &[u8],
    edit: impl FnOnce(&mut png::Encoder<'_, &mut Vec<u8>>),
) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 2, 1);
    encoder.set_color(color);
    encoder.set_depth(depth);
    edit(&mut encoder);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(samples).unwrap();
    writer.finish().unwrap();
    bytes
}

#[test]
fn every_kind_of_png_is_read() {
    use png::BitDepth::{Eight, Four, One, Sixteen, Two};
    use png::ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    let check = |png: Vec<u8>, first: Pixel, second: Pixel| {
        let read = Bitmap::from_png(&png, 2).unwrap();
        assert_eq!((read.width(), read.height(), read.pixels()), (2, 1, &[first, second][..]));
    };
    let grey = |value: u8| [value, value, value, 255];
    check(png_of(Grayscale, One, &[0x40], |_| ()), grey(0), grey(255));
    check(png_of(Grayscale, Two, &[0x60], |_| ()), grey(85), grey(170));
    check(png_of(Grayscale, Four, &[0x1f], |_| ()), grey(17), grey(255));
    check(png_of(Grayscale, Eight, &[7, 200], |_| ()), grey(7), grey(200));
    check(png_of(Grayscale, Sixteen, &[7, 255, 200, 1], |_| ()), grey(7), grey(200));
    let keyed = png_of(Grayscale, Eight, &[7, 200], |png| png.set_trns(&[0, 7][..]));
    check(keyed, [7, 7, 7, 0], grey(200));
    check(png_of(GrayscaleAlpha, Eight, &[7, 9, 8, 0], |_| ()), [7, 7, 7, 9], [8, 8, 8, 0]);
    let wide = [7, 0, 9, 0, 8, 0, 0, 255];
    check(png_of(GrayscaleAlpha, Sixteen, &wide, |_| ()), [7, 7, 7, 9], [8, 8, 8, 0]);
    check(png_of(Rgb, Eight, &[1, 2, 3, 4, 5, 6], |_| ()), [1, 2, 3, 255], [4, 5, 6, 255]);
    let wide = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 9];
    check(png_of(Rgb, Sixteen, &wide, |_| ()), [1, 2, 3, 255], [4, 5, 6, 255]);
    let keyed =
        png_of(Rgb, Eight, &[1, 2, 3, 4, 5, 6], |png| png.set_trns(&[0, 4, 0, 5, 0, 6][..]));
    check(keyed, [1, 2, 3, 255], [4, 5, 6, 0]);
    check(png_of(Rgba, Eight, &[1, 2, 3, 4, 5, 6, 7, 8], |_| ()), [1, 2, 3, 4], [5, 6, 7, 8]);
    let wide = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 255];
    check(png_of(Rgba, Sixteen, &wide, |_| ()), [1, 2, 3, 4], [5, 6, 7, 8]);
    for (depth, sample) in [(One, 0x40), (Two, 0x10), (Four, 0x01)] {
        let paletted = png_of(Indexed, depth, &[sample], |png| {
            png.set_palette(&[10, 20, 30, 40, 50, 60][..]);
            png.set_trns(&[99][..]);
        });
        check(paletted, [10, 20, 30, 99], [40, 50, 60, 255]);
    }
    let paletted = png_of(Indexed, Eight, &[1, 0], |png| png.set_palette(&[1, 2, 3, 4, 5, 6][..]));
    check(paletted, [4, 5, 6, 255], [1, 2, 3, 255]);
}

#[test]
fn a_png_written_is_read_back_and_always_the_same() {
    let picture = gradient(5);
    let bytes = picture.to_png().unwrap();
    assert_eq!(bytes, picture.to_png().unwrap());
    assert_eq!(Bitmap::from_png(&bytes, 2560).unwrap(), picture);
    let refused = Bitmap::from_png(&bytes, 2559);
    assert!(matches!(refused, Err(CompareError::TooLarge { width: 64, height: 40, .. })));
}

#[test]
fn a_size_that_the_pixels_do_not_fill_is_refused() {
    for (width, height, length) in [(0, 0, 0), (0, 5, 0), (2, 1, 7), (u32::MAX, u32::MAX, 4)] {
        let refused = Bitmap::new(width, height, vec![0; length]);
        assert!(matches!(refused, Err(CompareError::WrongLength { .. })));
    }
    assert_eq!(Bitmap::new(1, 1, vec![1, 2, 3, 4]).unwrap().rgba(), [1, 2, 3, 4]);
}

#[test]
fn a_png_cut_short_or_damaged_is_refused() {
    let check = |bytes: &[u8], what: &str, at: usize| {
        let read = Bitmap::from_png(bytes, PLENTY);
        assert!(read.is_err(), "{what} at {at} of {}", bytes.len());
    };
    for whole in [gradient(5).to_png().unwrap(), soft_line(0).to_png().unwrap()] {
        for at in 0..whole.len() {
            check(&whole[..at], "cut", at);
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            check(&flipped, "flipped", at);
        }
    }
    check(b"GIF89a", "no PNG", 0);
}

#[test]
fn a_huge_png_is_refused_by_its_header() {
    let mut bytes = Vec::new();
    let encoder = png::Encoder::new(&mut bytes, 0x7fff_ffff, 0x7fff_ffff);
    drop(encoder.write_header().unwrap());
    let refused = Bitmap::from_png(&bytes, PLENTY);
    assert!(matches!(refused, Err(CompareError::TooLarge { width: 0x7fff_ffff, .. })));
    assert!(matches!(Bitmap::from_png(&bytes, u64::MAX), Err(CompareError::Unreadable(_))));
}

#[test]
fn an_animation_is_refused() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 1, 1);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[1]).unwrap();
    writer.write_image_data(&[2]).unwrap();
    writer.finish().unwrap();
    assert!(matches!(Bitmap::from_png(&bytes, PLENTY), Err(CompareError::Animated)));
}

/// Gives every chunk of a PNG the checksum it should have, as far as its chunks can be followed.
fn with_right_checksums(bytes: &mut [u8]) {
    let mut rest = &mut bytes[8..];
    while let Some((length, chunk)) = rest.split_first_chunk_mut::<4>() {
        let body = 4 + u32::from_be_bytes(*length) as usize;
        if chunk.len() < body + 4 {
            return;
        }
        let checksum = chunk[..body].iter().fold(u32::MAX, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| {
                (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
            })
        });
        chunk[body..body + 4].copy_from_slice(&(!checksum).to_be_bytes());
        rest = &mut chunk[body + 4..];
    }
}

#[test]
fn checksums_are_forged_as_they_should_be() {
    let whole = soft_line(0).to_png().unwrap();
    let mut sealed = whole.clone();
    with_right_checksums(&mut sealed);
    assert_eq!(sealed, whole);
}

fn picture() -> impl Strategy<Value = Bitmap> {
    (1..40_u32, 1..40_u32, any::<u32>(), 1..9_u32).prop_map(|(width, height, seed, grain)| {
        let channel = |x, y, k| byte(lot(x / grain, y / grain, seed.wrapping_add(k)));
        drawn(width, height, |x, y| [0, 1, 2, 3].map(|k| channel(x, y, k)))
    })
}

proptest! {
    #[test]
    fn a_picture_equals_itself(one in picture(), threshold in 0.0..=1.0_f64) {
        prop_assert_eq!(compare(&one, &one, threshold).changed_pixels, 0);
    }

    #[test]
    fn the_counts_fit_together(
        one in picture(), other in picture(), threshold in 0.0..=1.0_f64,
    ) {
        let found = compare(&one, &other, threshold);
        let back = compare(&other, &one, threshold);
        prop_assert_eq!(counts(&found), counts(&back));
        prop_assert!(found.changed_pixels + found.anti_aliased_pixels <= found.total_pixels);
        // Forty by forty pixels are nine cells, so that no region is left out.
        let named: u64 = found.regions.iter().map(|region| region.changed_pixels).sum();
        prop_assert_eq!(named, found.changed_pixels);
        prop_assert_eq!(found.image.pixels().len() as u64, found.total_pixels);
    }

    #[test]
    fn no_noise_makes_it_panic(noise in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Bitmap::from_png(&noise, PLENTY).is_err());
    }

    #[test]
    fn no_forged_png_makes_it_panic(
        kind in 0..3_usize,
        forged in proptest::collection::vec((8..400_usize, any::<u8>()), 1..4),
    ) {
        let mut bytes = match kind {
            0 => soft_line(0).to_png().expect("a small picture"),
            1 => png_of(png::ColorType::Grayscale, png::BitDepth::Two, &[0x60], |png| {
                png.set_trns(&[0, 1][..]);
            }),
            _ => png_of(png::ColorType::Indexed, png::BitDepth::One, &[0x40], |png| {
                png.set_palette(&[10, 20, 30, 40, 50, 60][..]);
                png.set_trns(&[99][..]);
            }),
        };
        for (at, value) in forged {
            let at = 8 + (at - 8) % (bytes.len() - 8);
            bytes[at] = value;
        }
        with_right_checksums(&mut bytes);
        drop(Bitmap::from_png(&bytes, PLENTY));
    }
}
