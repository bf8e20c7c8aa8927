//! Owns the reading of a picture row by row, whatever its encoding, with its samples as they are: a
//! PNG in the memory of two rows, other pictures whole, which bounds how large they may be.

use std::io::{BufRead, Seek};

use image_webp::WebPDecoder;
use png::{BitDepth, ColorType};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::error::FrameError;

/// Most pixels of a picture that has to be decoded as a whole.
const WHOLE: u64 = 64_000_000;
/// Longest side that is read.
const SIDE: u32 = 1 << 18;

/// How a picture is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

/// A picture being read.
pub(super) struct Source<R: BufRead + Seek> {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) color: ColorType,
    pub(super) depth: BitDepth,
    rows: Rows<R>,
}

enum Rows<R: BufRead + Seek> {
    Png(Box<png::Reader<R>>),
    Whole { samples: Vec<u8>, line: usize, at: usize },
}

impl<R: BufRead + Seek> Source<R> {
    /// Begin to read a picture of at most `max_pixels`.
    pub(super) fn open(
        picture: R,
        encoding: Encoding,
        max_pixels: u64,
    ) -> Result<Self, FrameError> {
        match encoding {
            Encoding::Png => Self::png(picture, max_pixels),
            Encoding::Jpeg => Self::jpeg(picture, max_pixels),
            Encoding::Webp => Self::webp(picture, max_pixels),
        }
    }

    /// The samples of the next row.
    pub(super) fn row(&mut self) -> Result<&[u8], FrameError> {
        match &mut self.rows {
            Rows::Png(reader) => {
                let row = reader.next_row().map_err(FrameError::unreadable)?;
                row.map(|row| row.data()).ok_or_else(|| FrameError::unreadable("a row is missing"))
            }
            Rows::Whole { samples, line, at } => {
                let from = *at;
                *at += *line;
                samples.get(from..*at).ok_or_else(|| FrameError::unreadable("a row is missing"))
            }
        }
    }

    /// Read what follows the last row: a picture that was cut there is none.
    pub(super) fn finish(&mut self) -> Result<(), FrameError> {
        match &mut self.rows {
            Rows::Png(reader) => reader.finish().map_err(FrameError::unreadable),
            Rows::Whole { .. } => Ok(()),
        }
    }

    fn png(picture: R, max_pixels: u64) -> Result<Self, FrameError> {
        let mut options = png::DecodeOptions::default();
        options.set_ignore_text_chunk(true);
        options.set_ignore_iccp_chunk(true);
        let mut decoder = png::Decoder::new_with_options(picture, options);
        decoder.set_transformations(png::Transformations::EXPAND);
        let header = decoder.read_header_info().map_err(FrameError::unreadable)?;
        let (width, height, interlaced) = (header.width, header.height, header.interlaced);
        check_size(width, height, max_pixels)?;
        let reader = decoder.read_info().map_err(FrameError::unreadable)?;
        if interlaced || reader.info().animation_control().is_some() {
            return Err(FrameError::Unsupported("interlaced or animated"));
        }
        let (color, depth) = reader.output_color_type();
        Ok(Self { width, height, color, depth, rows: Rows::Png(Box::new(reader)) })
    }

    fn jpeg(mut picture: R, max_pixels: u64) -> Result<Self, FrameError> {
        let mut bytes = Vec::new();
        picture.read_to_end(&mut bytes).map_err(FrameError::Read)?;
        let options = DecoderOptions::default()
            .set_max_width(SIDE as usize)
            .set_max_height(SIDE as usize)
            .jpeg_set_out_colorspace(ColorSpace::RGB);
        let mut decoder = JpegDecoder::new_with_options(&bytes, options);
        decoder.decode_headers().map_err(FrameError::unreadable)?;
        let size = decoder.dimensions().unwrap_or_default();
        let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        let (width, height) = (side(size.0), side(size.1));
        check_size(width, height, max_pixels.min(WHOLE))?;
        let samples = decoder.decode().map_err(FrameError::unreadable)?;
        // A grey one stays grey, whatever is asked for.
        let grey = samples.len() as u64 == u64::from(width) * u64::from(height);
        let color = if grey { ColorType::Grayscale } else { ColorType::Rgb };
        Ok(Self::whole(width, height, color, samples))
    }

    fn webp(picture: R, max_pixels: u64) -> Result<Self, FrameError> {
        let mut decoder = WebPDecoder::new(picture).map_err(FrameError::unreadable)?;
        let (width, height) = decoder.dimensions();
        check_size(width, height, max_pixels.min(WHOLE))?;
        if decoder.is_animated() {
            return Err(FrameError::Unsupported("animated"));
        }
        let length = decoder.output_buffer_size().unwrap_or_default();
        decoder.set_memory_limit(length);
        let mut samples = vec![0; length];
        decoder.read_image(&mut samples).map_err(FrameError::unreadable)?;
        let color = if decoder.has_alpha() { ColorType::Rgba } else { ColorType::Rgb };
        Ok(Self::whole(width, height, color, samples))
    }

    fn whole(width: u32, height: u32, color: ColorType, samples: Vec<u8>) -> Self {
        let line = width as usize * color.samples();
        let rows = Rows::Whole { samples, line, at: 0 };
        Self { width, height, color, depth: BitDepth::Eight, rows }
    }
}

fn check_size(width: u32, height: u32, max_pixels: u64) -> Result<(), FrameError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > max_pixels || width.max(height) > SIDE {
        return Err(FrameError::TooLarge { width, height });
    }
    Ok(())
}
