//! Owns the putting of patches into a picture: row by row, so that a picture of any height takes the
//! memory of the patches that its row is in. What is outside of the patches' cuts stays as it is.

use std::io::{Cursor, Write as _};

use image_webp::{ColorType as WebpColor, WebPEncoder};
use png::{BitDepth, ColorType, Compression, Decoder, Encoder, Reader, Transformations};

use super::tiles::Area;
use crate::jpeg;
use crate::settings::{Format, Rect};

/// From this many pixels on a picture is compressed quickly rather than well.
const LARGE: u64 = 16_000_000;
/// Longest side of a WebP (RFC 9649, 2.5); a JPEG's is told in 16 bits (ITU-T T.81, B.2.2).
const WEBP_SIDE: u32 = 16_383;
const WEBP_TOO_LONG: &str = "a WebP has at most 16383 pixels a side; ask for png";
const JPEG_TOO_LONG: &str = "a JPEG has at most 65535 pixels a side; ask for png";

/// A picture of a part of a page, of which some areas are put into another picture.
#[derive(Clone, Debug)]
pub(in super::super) struct Patch {
    /// What it shows.
    pub(super) at: Area,
    /// Its bytes.
    pub(super) png: Vec<u8>,
    /// What of it is used.
    pub(super) cuts: Vec<Area>,
}

/// Why a picture cannot be put together.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum PasteError {
    /// A picture of the browser's is none.
    #[error("the browser's picture cannot be read")]
    Decode(#[from] png::DecodingError),
    /// It cannot be written.
    #[error("the picture cannot be written")]
    Encode(#[from] png::EncodingError),
    /// The same of a JPEG.
    #[error("the picture cannot be written")]
    Jpeg(#[from] jpeg_encoder::EncodingError),
    /// The same of a WebP.
    #[error("the picture cannot be written")]
    Webp(#[from] image_webp::EncodingError),
    /// It has no rows, or none of this kind of pixels.
    #[error("the browser's picture is of no known kind")]
    Kind,
    /// It is too long for the format that was asked for.
    #[error("{0}")]
    TooLong(&'static str),
}

pub(super) type Png<'a> = Reader<Cursor<&'a [u8]>>;

pub(super) fn open(png: &[u8]) -> Result<Png<'_>, PasteError> {
    let mut decoder = Decoder::new(Cursor::new(png));
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    Ok(decoder.read_info()?)
}

/// The next row of a picture, each pixel in `channels` samples: 3 or 4.
pub(super) fn next_row(reader: &mut Png<'_>, channels: usize) -> Result<Vec<u8>, PasteError> {
    let color = reader.output_color_type().0;
    let row = reader.next_row()?.ok_or(PasteError::Kind)?;
    let data = row.data();
    let has = match color {
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
        _ => return Err(PasteError::Kind),
    };
    if has == channels {
        return Ok(data.to_vec());
    }
    let pixel = |pixel: &[u8]| {
        let alpha = (channels == 4).then_some(u8::MAX);
        pixel[..3].iter().copied().chain(alpha).collect::<Vec<u8>>()
    };
    Ok(data.chunks_exact(has).flat_map(pixel).collect())
}

/// A patch and its place in the picture, in pixels of that.
struct Placed<'a> {
    patch: &'a Patch,
    left: usize,
    top: usize,
    /// Left, top, right and bottom of each cut.
    cuts: Vec<[usize; 4]>,
    bottom: usize,
    rows: Option<(Png<'a>, usize)>,
}

/// Put `patches` into the picture `base` of `rect` and encode it as `format`.
///
/// # Errors
/// See [`PasteError`].
pub(in super::super) fn paste(
    base: &[u8],
    rect: Rect,
    patches: &[Patch],
    format: Format,
) -> Result<Vec<u8>, PasteError> {
    let mut rows = Rows::open(base, rect, patches)?;
    match format {
        Format::Png => rows.png(),
        Format::Jpeg(quality) => rows.jpeg(quality),
        Format::Webp(_) => rows.webp(),
    }
}

/// The rows of a picture with patches in it.
struct Rows<'a> {
    base: Png<'a>,
    placed: Vec<Placed<'a>>,
    width: u32,
    height: u32,
    channels: usize,
    y: usize,
}

impl<'a> Rows<'a> {
    fn open(base: &'a [u8], rect: Rect, patches: &'a [Patch]) -> Result<Self, PasteError> {
        let base = open(base)?;
        let (width, height) = (base.info().width, base.info().height);
        let channels = if base.output_color_type().0 == ColorType::Rgba { 4 } else { 3 };
        let placed = placed(rect, (width, height), patches);
        Ok(Self { base, placed, width, height, channels, y: 0 })
    }

    fn next(&mut self) -> Result<Option<Vec<u8>>, PasteError> {
        if self.y >= self.height as usize {
            return Ok(None);
        }
        let mut row = next_row(&mut self.base, self.channels)?;
        for one in &mut self.placed {
            one.put(&mut row, self.y, self.channels)?;
        }
        self.y += 1;
        Ok(Some(row))
    }

    fn png(&mut self) -> Result<Vec<u8>, PasteError> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, self.width, self.height);
        encoder.set_color(if self.channels == 4 { ColorType::Rgba } else { ColorType::Rgb });
        encoder.set_depth(BitDepth::Eight);
        let large = u64::from(self.width) * u64::from(self.height) > LARGE;
        encoder.set_compression(if large { Compression::Fast } else { Compression::Balanced });
        let mut writer = encoder.write_header()?;
        let mut rows = writer.stream_writer()?;
        while let Some(row) = self.next()? {
            rows.write_all(&row).map_err(png::EncodingError::from)?;
        }
        rows.finish()?;
        writer.finish()?;
        Ok(out)
    }

    fn jpeg(&mut self, quality: u8) -> Result<Vec<u8>, PasteError> {
        let side = |side| u16::try_from(side).map_err(|_| PasteError::TooLong(JPEG_TOO_LONG));
        let size = (side(self.width)?, side(self.height)?);
        let channels = self.channels;
        jpeg::encode(size, quality, channels, || self.next()?.ok_or(PasteError::Kind))
    }

    /// A WebP without loss: none other can be written.
    fn webp(&mut self) -> Result<Vec<u8>, PasteError> {
        if self.width.max(self.height) > WEBP_SIDE {
            return Err(PasteError::TooLong(WEBP_TOO_LONG));
        }
        let mut samples = Vec::new();
        while let Some(row) = self.next()? {
            samples.extend(row);
        }
        let color = if self.channels == 4 { WebpColor::Rgba8 } else { WebpColor::Rgb8 };
        let mut out = Vec::new();
        WebPEncoder::new(&mut out).encode(&samples, self.width, self.height, color)?;
        Ok(out)
    }
}

fn placed<'p>(rect: Rect, (width, height): (u32, u32), patches: &'p [Patch]) -> Vec<Placed<'p>> {
    let (across, down) = (f64::from(width) / rect.width, f64::from(height) / rect.height);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a picture")]
    let pixel = |value: f64, most: u32| value.round().clamp(0.0, f64::from(most)) as usize;
    let x = |value: f64| pixel((value - rect.x) * across, width);
    let y = |value: f64| pixel((value - rect.y) * down, height);
    let place = |patch: &'p Patch| {
        let Patch { at, cuts, .. } = patch;
        let cut = |cut: &Area| [x(cut.x), y(cut.y), x(cut.right()), y(cut.bottom())];
        let cuts: Vec<_> = cuts.iter().map(cut).collect();
        let bottom = cuts.iter().map(|cut| cut[3]).max().unwrap_or_default();
        Placed { patch, left: x(at.x), top: y(at.y), cuts, bottom, rows: None }
    };
    patches.iter().map(place).collect()
}

impl Placed<'_> {
    /// Put what of it is in row `y` into `row`.
    fn put(&mut self, row: &mut [u8], y: usize, channels: usize) -> Result<(), PasteError> {
        if y < self.top || y >= self.bottom {
            self.rows = None;
            return Ok(());
        }
        if self.rows.is_none() {
            self.rows = Some((open(&self.patch.png)?, self.top));
        }
        let Some((reader, at)) = &mut self.rows else { return Ok(()) };
        let mut own = None;
        // It has a row less where its place was rounded.
        while *at <= y && *at - self.top < reader.info().height as usize {
            own = Some(next_row(reader, channels)?);
            *at += 1;
        }
        let Some(own) = own else { return Ok(()) };
        for [left, top, right, bottom] in &self.cuts {
            let right = (*right).min(self.left + own.len() / channels);
            if (*top..*bottom).contains(&y) && *left >= self.left && *left < right {
                let from = &own[(left - self.left) * channels..(right - self.left) * channels];
                row[left * channels..right * channels].copy_from_slice(from);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::flat::{is_flat, is_one_colour};
    use super::*;

    const GREY: [u8; 3] = [200; 3];
    const RED: [u8; 3] = [255, 0, 0];

    fn plain(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, width, height);
        encoder.set_color(ColorType::Rgb);
        let mut writer = encoder.write_header().expect("a header");
        let samples = colour.repeat((width * height) as usize);
        writer.write_image_data(&samples).expect("pixels");
        writer.finish().expect("an end");
        out
    }

    fn samples(png: &[u8]) -> Vec<u8> {
        let mut reader = open(png).expect("a PNG");
        let rows = 0..reader.info().height;
        rows.flat_map(|_| next_row(&mut reader, 3).expect("a row")).collect()
    }

    fn area(x: f64, y: f64, width: f64, height: f64) -> Area {
        Area { x, y, width, height }
    }

    /// A picture of 20 × 10 CSS pixels from (5, 100) on, two device pixels each.
    fn pasted(format: Format) -> Vec<u8> {
        let rect = Rect { x: 5.0, y: 100.0, width: 20.0, height: 10.0 };
        let at = area(10.0, 102.0, 10.0, 6.0);
        let cuts = vec![area(11.0, 103.0, 4.0, 2.0)];
        let patch = Patch { at, png: plain(20, 12, RED), cuts };
        paste(&plain(40, 20, GREY), rect, &[patch], format).expect("put together")
    }

    fn flat(format: Format) -> Vec<u8> {
        let rect = Rect { x: 0.0, y: 0.0, width: 20.0, height: 10.0 };
        paste(&plain(40, 20, GREY), rect, &[], format).expect("put together")
    }

    #[test]
    fn only_the_cut_is_put_into_the_picture() {
        let png = pasted(Format::Png);
        let samples = samples(&png);
        for (at, pixel) in samples.chunks_exact(3).enumerate() {
            let (x, y) = (at % 40, at / 40);
            let inside = (12..20).contains(&x) && (6..10).contains(&y);
            assert_eq!(pixel, if inside { RED } else { GREY }, "at {x}, {y}");
        }
        assert!(!is_one_colour(&png) && is_one_colour(&plain(9, 9, RED)));
        assert!(!is_one_colour(b"no picture"));
        assert!(is_flat(Format::Webp(80), &flat(Format::Webp(80))));
        assert!(is_flat(Format::Jpeg(80), &flat(Format::Jpeg(80))));
        assert!(!is_flat(Format::Jpeg(80), &pasted(Format::Jpeg(80))));
    }

    #[test]
    fn other_formats_show_the_same() {
        let webp = pasted(Format::Webp(80));
        let mut decoder = image_webp::WebPDecoder::new(Cursor::new(webp)).expect("a WebP");
        let mut told = vec![0; decoder.output_buffer_size().expect("a size")];
        decoder.read_image(&mut told).expect("pixels");
        assert_eq!(told, samples(&pasted(Format::Png)));
        let jpeg = pasted(Format::Jpeg(95));
        let told = zune_jpeg::JpegDecoder::new(&jpeg).decode().expect("a JPEG");
        let at = |x: usize, y: usize| told[(y * 40 + x) * 3];
        assert!(at(15, 7) > 240 && at(15, 14).abs_diff(200) < 8, "{} {}", at(15, 7), at(15, 14));
    }

    #[test]
    fn a_damaged_picture_and_one_that_is_too_long_are_told_of() {
        let rect = Rect { x: 0.0, y: 0.0, width: 10.0, height: 10.0 };
        let problem = paste(b"no picture", rect, &[], Format::Png).expect_err("no PNG");
        assert!(matches!(problem, PasteError::Decode(_)), "{problem}");
        let long = plain(1, WEBP_SIDE + 1, GREY);
        let problem = paste(&long, rect, &[], Format::Webp(80)).expect_err("too long");
        assert!(problem.to_string().contains("ask for png"), "{problem}");
    }
}
