//! Owns small pictures of large ones: read row by row, so that a picture of any size takes the
//! memory of two rows, and averaged over boxes. Tall pages are cut to their top.

use std::io::{BufRead, Seek};

/// What a small picture is.
pub(super) const MEDIA_TYPE: &str = "image/png";

/// Its width in pixels.
const WIDTH: u32 = 280;
/// Its greatest height.
const HEIGHT: u32 = 210;
/// Most pixels of a row that is read.
const MAX_WIDTH: u32 = 1 << 16;
/// Pixels that are decoded for one report before small pictures are given up.
const PIXELS: u64 = 800_000_000;
/// Bytes of small pictures in one report.
const BYTES: usize = 24 << 20;
/// Bits of each colour that are kept: enough to recognise a page, in fewer bytes.
const KEPT: u8 = 0b1111_1100;

/// Makes small pictures, until it has done enough.
#[derive(Debug)]
pub(super) struct Thumbnails {
    pixels: u64,
    bytes: usize,
}

impl Default for Thumbnails {
    fn default() -> Self {
        Self { pixels: PIXELS, bytes: BYTES }
    }
}

/// Sums of colours of the boxes in one row, and how many pixels each has.
struct Boxes {
    sums: Vec<[u64; 3]>,
    counts: Vec<u64>,
}

impl Thumbnails {
    /// A small PNG of the PNG in `file`; none when that is damaged, interlaced, or too much.
    pub(super) fn of_png(&mut self, file: impl BufRead + Seek) -> Option<Vec<u8>> {
        let mut decoder = png::Decoder::new_with_limits(file, png::Limits { bytes: 32 << 20 });
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        decoder.ignore_checksums(true);
        let mut reader = decoder.read_info().ok()?;
        let (width, height) = (reader.info().width, reader.info().height);
        if reader.info().interlaced || width == 0 || height == 0 || width > MAX_WIDTH {
            return None;
        }
        let small = WIDTH.min(width);
        // Rows of the original for the rows of the small one, the same scale both ways.
        let rows = (u64::from(HEIGHT) * u64::from(width) / u64::from(small)).min(height.into());
        let tall = u32::try_from(rows * u64::from(small) / u64::from(width)).ok()?.max(1);
        self.pixels = self.pixels.checked_sub(rows * u64::from(width))?;
        let samples = reader.output_color_type().0.samples();
        let mut picture = Vec::with_capacity((small * tall * 3) as usize);
        let mut boxes = Boxes::new(small);
        let mut line = 0;
        for row in 0..rows {
            let at = u32::try_from(row * u64::from(tall) / rows).ok()?;
            if at != line {
                boxes.drain_into(&mut picture);
                line = at;
            }
            boxes.add(reader.next_row().ok()??.data(), samples, width, small);
        }
        boxes.drain_into(&mut picture);
        let bytes = encode(small, tall, &picture)?;
        self.bytes = self.bytes.checked_sub(bytes.len())?;
        Some(bytes)
    }
}

impl Boxes {
    fn new(small: u32) -> Self {
        Self { sums: vec![[0; 3]; small as usize], counts: vec![0; small as usize] }
    }

    fn add(&mut self, row: &[u8], samples: usize, width: u32, small: u32) {
        for (x, pixel) in row.chunks_exact(samples).enumerate() {
            let at = x * small as usize / width as usize;
            let (red, green, blue, alpha) = match *pixel {
                [grey] => (grey, grey, grey, 255),
                [grey, alpha] => (grey, grey, grey, alpha),
                [red, green, blue] => (red, green, blue, 255),
                [red, green, blue, alpha] => (red, green, blue, alpha),
                _ => continue,
            };
            // Whatever shines through lies on white.
            for (sum, colour) in self.sums[at].iter_mut().zip([red, green, blue]) {
                *sum +=
                    (u64::from(colour) * u64::from(alpha) + 255 * (255 - u64::from(alpha))) / 255;
            }
            self.counts[at] += 1;
        }
    }

    fn drain_into(&mut self, picture: &mut Vec<u8>) {
        for (sum, count) in self.sums.iter_mut().zip(&mut self.counts) {
            for part in &mut *sum {
                let mean = u8::try_from(*part / (*count).max(1)).unwrap_or(u8::MAX) & KEPT;
                // White stays white.
                picture.push(mean | (mean >> 6));
                *part = 0;
            }
            *count = 0;
        }
    }
}

fn encode(width: u32, height: u32, rgb: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Balanced);
    let mut writer = encoder.write_header().ok()?;
    writer.write_image_data(rgb).ok()?;
    writer.finish().ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::compare::Bitmap;

    fn page(width: u32, height: u32) -> Vec<u8> {
        // The left half black, the right half half-transparent red.
        let row =
            (0..width).flat_map(|x| if x < width / 2 { [0, 0, 0, 255] } else { [255, 0, 0, 128] });
        let row: Vec<u8> = row.collect();
        let rgba = row.repeat(height as usize);
        Bitmap::new(width, height, rgba).expect("a picture").to_png().expect("a PNG")
    }

    #[test]
    fn a_picture_shrinks_and_a_tall_one_is_cut_to_its_top() {
        for (size, expected) in [
            ((1280, 720), (280, 157)),
            ((1000, 30_000), (280, 210)),
            ((40, 30), (40, 30)),
            ((1, 1), (1, 1)),
        ] {
            let small = Thumbnails::default().of_png(Cursor::new(page(size.0, size.1)));
            let small =
                Bitmap::from_png(&small.expect("a small picture"), 1_000_000).expect("a PNG");
            assert_eq!((small.width(), small.height()), expected, "{size:?}");
        }
        let small = Thumbnails::default().of_png(Cursor::new(page(1280, 720))).expect("small");
        let small = Bitmap::from_png(&small, 1_000_000).expect("a PNG");
        assert_eq!(small.rgba()[..4], [0, 0, 0, 255]);
        let last = small.rgba().len() - 4;
        assert_eq!(small.rgba()[last..], [255, 125, 125, 255]);
    }

    #[test]
    fn what_is_no_picture_or_too_much_has_none() {
        assert_eq!(Thumbnails::default().of_png(Cursor::new(b"not a PNG".to_vec())), None);
        let mut cut = page(400, 400);
        cut.truncate(200);
        assert_eq!(Thumbnails::default().of_png(Cursor::new(cut)), None);
        assert_eq!(Thumbnails { pixels: 10, bytes: BYTES }.of_png(Cursor::new(page(4, 4))), None);
    }
}
