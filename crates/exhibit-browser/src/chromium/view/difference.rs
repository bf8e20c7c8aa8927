//! Owns the comparing of two pictures of one place, pixel by pixel.

use super::paste::{PasteError, next_row, open};

/// Most places that are told.
const MOST: usize = 300;

/// Where two pictures differ.
#[derive(Debug, Default, PartialEq)]
pub(in super::super) struct Difference {
    /// Pixels of each.
    pub(in super::super) total: usize,
    /// Pixels that differ.
    pub(in super::super) differing: usize,
    /// Some of those that do not, all over the picture: 0 to 1 from its left and from its top.
    pub(in super::super) same: Vec<[f64; 2]>,
}

/// Where two pictures differ by `least` levels of a colour or more. Pictures of different sizes differ
/// everywhere.
pub(in super::super) fn differences(
    one: &[u8],
    other: &[u8],
    least: u8,
) -> Result<Difference, PasteError> {
    let (mut one, mut other) = (open(one)?, open(other)?);
    let size = (one.info().width, one.info().height);
    let (width, height) = (size.0 as usize, size.1 as usize);
    let total = width * height;
    if size != (other.info().width, other.info().height) {
        return Ok(Difference { total, differing: total, same: Vec::new() });
    }
    let mut same: Vec<usize> = Vec::new();
    // One in so many is kept.
    let mut step = 1;
    let mut count = 0;
    for y in 0..height {
        let rows = (next_row(&mut one, 3)?, next_row(&mut other, 3)?);
        let pairs = rows.0.chunks_exact(3).zip(rows.1.chunks_exact(3));
        for (x, (one, other)) in pairs.enumerate() {
            if one.iter().zip(other).any(|(one, other)| one.abs_diff(*other) >= least) {
                continue;
            }
            if count % step == 0 {
                same.push(y * width + x);
            }
            count += 1;
            if same.len() >= 2 * MOST {
                let mut at = 0;
                same.retain(|_| {
                    at += 1;
                    at % 2 == 1
                });
                step *= 2;
            }
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "sides of pictures")]
    let place = |at: usize| {
        let middle = |at: usize, side: usize| (at as f64 + 0.5) / side as f64;
        [middle(at % width, width), middle(at / width, height)]
    };
    let same = same.into_iter().map(place).collect();
    Ok(Difference { total, differing: total - count, same })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(pixels: &[[u8; 3]], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let height = u32::try_from(pixels.len()).expect("small") / width;
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(pixels.as_flattened()).expect("pixels");
        writer.finish().expect("an end");
        out
    }

    #[test]
    fn what_is_the_same_is_told_with_its_place() {
        let black = picture(&[[0; 3]; 4], 2);
        let white = picture(&[[255; 3], [255; 3], [0, 9, 0], [255; 3]], 2);
        let found = differences(&black, &white, 10).expect("two pictures");
        let expected = Difference { total: 4, differing: 3, same: vec![[0.25, 0.75]] };
        assert_eq!(found, expected);
        assert_eq!(differences(&black, &white, 9).expect("two pictures").differing, 4);
        let longer = picture(&[[0; 3]; 6], 2);
        assert_eq!(differences(&black, &longer, 1).expect("two pictures").differing, 4);
        let many = picture(&vec![[7; 3]; 10_000], 100);
        let found = differences(&many, &many, 1).expect("two pictures");
        assert!((MOST..=2 * MOST).contains(&found.same.len()) && found.differing == 0);
        let below = found.same.iter().filter(|[_, y]| *y > 0.5).count();
        assert!(below.abs_diff(found.same.len() / 2) < 20, "{below}");
    }
}
