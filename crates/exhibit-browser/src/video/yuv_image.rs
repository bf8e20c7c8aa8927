//! Owns the images that the coder wants: brightness in full, colour in half the resolution each
//! way, both in full range, as they stand in a JPEG.

use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// Largest side that is decoded.
const SIDE: usize = 8_192;

/// A picture of even sides in YUV: a plane of brightness and two of colour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct YuvImage {
    width: usize,
    height: usize,
    y: Vec<u8>,
    u: Vec<u8>,
    v: Vec<u8>,
}

impl YuvImage {
    /// A black picture; odd sides are made even.
    pub(super) fn black(width: usize, height: usize) -> Self {
        let (width, height) = (width.max(2) & !1, height.max(2) & !1);
        let colour = vec![128; width * height / 4];
        Self { width, height, y: vec![0; width * height], u: colour.clone(), v: colour }
    }

    /// A grey picture, of brightness as told, row by row.
    #[cfg(test)]
    pub(super) fn of_brightness(width: usize, height: usize, told: impl FnMut() -> u8) -> Self {
        let mut picture = Self::black(width, height);
        picture.y.fill_with(told);
        picture
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn height(&self) -> usize {
        self.height
    }

    pub(super) fn planes(&self) -> (&[u8], &[u8], &[u8]) {
        (&self.y, &self.u, &self.v)
    }

    /// Put a JPEG into the picture's top left corner; what it does not cover becomes black, and
    /// what does not fit is cut off.
    ///
    /// # Errors
    /// When it is no JPEG of a browser's.
    pub(super) fn draw(&mut self, jpeg: &[u8]) -> Result<(), DecodeErrors> {
        let mut decoder = JpegDecoder::new_with_options(jpeg, options());
        let pixels = decoder.decode()?;
        let (width, height) = decoder.dimensions().unwrap_or_default();
        if pixels.len() < width * height * 3 {
            return Err(DecodeErrors::FormatStatic("a picture without colour"));
        }
        if (width, height) != (self.width, self.height) {
            *self = Self::black(self.width, self.height);
        }
        let (right, bottom) = (width.min(self.width), height.min(self.height));
        for row in 0..bottom {
            let from = &pixels[row * width * 3..][..right * 3];
            let to = &mut self.y[row * self.width..][..right];
            to.iter_mut().zip(from.chunks_exact(3)).for_each(|(to, from)| *to = from[0]);
        }
        // The colour of four pixels is their mean.
        for row in 0..bottom / 2 {
            let above = &pixels[row * 2 * width * 3..][..right * 3];
            let below = &pixels[(row * 2 + 1) * width * 3..][..right * 3];
            let start = row * self.width / 2;
            let pairs = above.chunks_exact(6).zip(below.chunks_exact(6));
            for (column, (above, below)) in pairs.enumerate() {
                let mean = |at: usize| {
                    let sum = u16::from(above[at])
                        + u16::from(above[at + 3])
                        + u16::from(below[at])
                        + u16::from(below[at + 3]);
                    u8::try_from((sum + 2) / 4).unwrap_or(u8::MAX)
                };
                self.u[start + column] = mean(1);
                self.v[start + column] = mean(2);
            }
        }
        Ok(())
    }
}

fn options() -> DecoderOptions {
    DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::YCbCr)
        .set_max_width(SIDE)
        .set_max_height(SIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_are_even_and_what_is_no_picture_is_refused() {
        let mut picture = YuvImage::black(641, 3);
        assert_eq!((picture.width(), picture.height()), (640, 2));
        assert_eq!(picture.planes().0.len(), 1280);
        let before = picture.clone();
        for bytes in [&b""[..], b"\xff\xd8\xff", b"no picture at all"] {
            picture.draw(bytes).expect_err("no JPEG");
            assert_eq!(picture, before);
        }
    }
}
