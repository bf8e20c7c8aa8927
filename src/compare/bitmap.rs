//! Owns a picture in memory, and its way from and to PNG.

use std::io::Cursor;

/// Why pictures cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// The bytes are no complete PNG.
    #[error("the picture is not a complete, undamaged PNG; take it again or fetch it anew")]
    Unreadable(#[source] png::DecodingError),
    /// The PNG has several frames.
    #[error("the picture is an animated PNG; give one that stands still")]
    Animated,
    /// The picture has more pixels than the caller allows.
    #[error(
        "{width} x {height} pixels are more than the {max_pixels} allowed; \
         take a smaller picture or allow more"
    )]
    TooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// How many pixels the caller allows.
        max_pixels: u64,
    },
    /// The bytes do not fill the picture, or it has no pixel.
    #[error(
        "{length} bytes are no {width} x {height} pixels; \
         give four bytes for each, and one pixel at least"
    )]
    WrongLength {
        /// The width asked for.
        width: u32,
        /// The height asked for.
        height: u32,
        /// How many bytes there are.
        length: usize,
    },
    /// The PNG cannot be written.
    #[error("the picture cannot be written as a PNG; compare a smaller part of it")]
    Unwritable(#[source] png::EncodingError),
}

/// A picture in memory: eight bits each of red, green, blue and alpha, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bitmap {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
}

impl Bitmap {
    /// A picture of the given size from its pixels.
    ///
    /// # Errors
    /// When the pixels do not fill the size, or there is none.
    pub fn new(width: u32, height: u32, rgba: Vec<u8>) -> Result<Self, CompareError> {
        let pixels = u64::from(width) * u64::from(height);
        let length = rgba.len();
        if pixels > 0 && u64::try_from(length).ok() == pixels.checked_mul(4) {
            Ok(Self { width, height, rgba })
        } else {
            Err(CompareError::WrongLength { width, height, length })
        }
    }

    /// Reads a PNG of any colour type and bit depth.
    /// Of sixteen bits the upper eight are kept; colour profiles and gamma are ignored.
    /// Checksums are checked, those of optional chunks included.
    ///
    /// # Errors
    /// When it has more than `max_pixels`, which is known before anything is allocated for them,
    /// and when it is animated, damaged or cut short.
    pub fn from_png(bytes: &[u8], max_pixels: u64) -> Result<Self, CompareError> {
        let mut decoder = decoder(bytes);
        let header = decoder.read_header_info().map_err(CompareError::Unreadable)?;
        let (width, height) = (header.width, header.height);
        if u64::from(width) * u64::from(height) > max_pixels {
            return Err(CompareError::TooLarge { width, height, max_pixels });
        }
        let mut reader = decoder.read_info().map_err(CompareError::Unreadable)?;
        if reader.info().animation_control().is_some() {
            return Err(CompareError::Animated);
        }
        let length = reader
            .output_buffer_size()
            .ok_or(CompareError::Unreadable(png::DecodingError::LimitsExceeded))?;
        let mut samples = vec![0; length];
        let frame = reader.next_frame(&mut samples).map_err(CompareError::Unreadable)?;
        reader.finish().map_err(CompareError::Unreadable)?;
        Self::new(width, height, to_rgba(samples, frame.color_type))
    }

    /// The picture as a PNG of eight bits with alpha; the same picture gives the same bytes.
    ///
    /// # Errors
    /// When the picture is too large for a PNG.
    pub fn to_png(&self) -> Result<Vec<u8>, CompareError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgba);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Balanced);
        let mut writer = encoder.write_header().map_err(CompareError::Unwritable)?;
        writer.write_image_data(&self.rgba).map_err(CompareError::Unwritable)?;
        writer.finish().map_err(CompareError::Unwritable)?;
        Ok(bytes)
    }

    /// Its width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Its height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// A picture whose pixels are known to fill it.
    pub(super) fn of_pixels(width: u32, height: u32, pixels: Vec<[u8; 4]>) -> Self {
        Self { width, height, rgba: pixels.into_flattened() }
    }

    /// Its pixels, one array each.
    pub(super) fn pixels(&self) -> &[[u8; 4]] {
        self.rgba.as_chunks().0
    }

    /// Paint one pixel, which lies in the picture.
    pub(super) fn set(&mut self, (x, y): (u32, u32), pixel: [u8; 4]) {
        let at = (y as usize * self.width as usize + x as usize) * 4;
        self.rgba[at..at + 4].copy_from_slice(&pixel);
    }

    /// Its pixels, four bytes each, row by row from the top.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }
}

/// A decoder that trusts no checksum unchecked and keeps nothing but the pixels.
fn decoder(bytes: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    let mut options = png::DecodeOptions::default();
    options.set_ignore_checksums(false);
    options.set_skip_ancillary_crc_failures(false);
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let mut decoder = png::Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_transformations(
        png::Transformations::normalize_to_color8() | png::Transformations::ALPHA,
    );
    decoder
}

/// The decoder adds alpha to every picture but leaves grey ones grey.
fn to_rgba(samples: Vec<u8>, color: png::ColorType) -> Vec<u8> {
    if color == png::ColorType::GrayscaleAlpha {
        let (pairs, _) = samples.as_chunks::<2>();
        pairs.iter().flat_map(|&[grey, alpha]| [grey, grey, grey, alpha]).collect()
    } else {
        samples
    }
}
