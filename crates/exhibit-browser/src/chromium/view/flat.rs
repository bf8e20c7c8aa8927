//! Owns the question whether a picture is of one colour.

use std::io::Cursor;
use std::ops::Range;

use image_webp::WebPDecoder;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::paste::{PasteError, next_row, open};
use super::tiles::Area;
use crate::settings::Format;

/// Whether all of a picture is of one colour. One that cannot be read is not.
pub(super) fn is_flat(format: Format, bytes: &[u8]) -> bool {
    match format {
        Format::Png => is_one_colour(bytes),
        Format::Jpeg(_) => {
            let options = DecoderOptions::default()
                .set_max_height(1 << 16)
                .set_max_width(1 << 16)
                .jpeg_set_out_colorspace(ColorSpace::RGB);
            let samples = JpegDecoder::new_with_options(bytes, options).decode();
            samples.is_ok_and(|samples| is_uniform(&samples, 3))
        }
        Format::Webp(_) => {
            let Ok(mut decoder) = WebPDecoder::new(Cursor::new(bytes)) else { return false };
            let mut samples = vec![0; decoder.output_buffer_size().unwrap_or_default()];
            let channels = if decoder.has_alpha() { 4 } else { 3 };
            decoder.read_image(&mut samples).is_ok() && is_uniform(&samples, channels)
        }
    }
}

/// Whether all of a PNG is of one colour. What cannot be read is not.
pub(super) fn is_one_colour(png: &[u8]) -> bool {
    let whole = Area { x: 0.0, y: 0.0, width: 1.0, height: 1.0 };
    is_one_colour_in(png, whole, whole)
}

/// Whether what a PNG of `at` shows of `part` is of one colour.
pub(super) fn is_one_colour_in(png: &[u8], at: Area, part: Area) -> bool {
    let uniform = || -> Result<bool, PasteError> {
        let mut reader = open(png)?;
        let (width, height) = (reader.info().width as usize, reader.info().height as usize);
        let columns = pixels((part.x - at.x, part.right() - at.x), at.width, width);
        let rows = pixels((part.y - at.y, part.bottom() - at.y), at.height, height);
        let mut first: Option<Vec<u8>> = None;
        for y in 0..rows.end {
            let row = next_row(&mut reader, 4)?;
            let row = &row[4 * columns.start..4 * columns.end];
            if y < rows.start || row.is_empty() {
                continue;
            }
            if !is_uniform(row, 4) || first.as_ref().is_some_and(|first| row[..4] != **first) {
                return Ok(false);
            }
            first.get_or_insert_with(|| row[..4].to_vec());
        }
        Ok(first.is_some())
    };
    uniform().unwrap_or(false)
}

/// The pixels of a side of `length` that shows `size` CSS pixels, from one place in these to another.
fn pixels((from, to): (f64, f64), size: f64, length: usize) -> Range<usize> {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within a picture"
    )]
    let pixel = |at: f64| (at / size * length as f64).round().clamp(0.0, length as f64) as usize;
    pixel(from)..pixel(to).max(pixel(from))
}

fn is_uniform(samples: &[u8], channels: usize) -> bool {
    let mut pixels = samples.chunks_exact(channels);
    let first = pixels.next();
    pixels.all(|pixel| Some(pixel) == first)
}
