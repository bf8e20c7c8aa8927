//! Owns the writing of a JPEG row by row (baseline, without subsampling), so that a picture of any height
//! takes the memory of a few rows. Only pictures that were put together are written here; all others are
//! the browser's.

use std::cell::RefCell;

use jpeg_encoder::{
    Encoder, EncodingError, ImageBuffer, JpegColorType, SamplingFactor, rgb_to_ycbcr,
};

/// The rows of a picture, as the encoder asks for them: from the top, and the last of them as often as
/// it takes to fill a block.
struct Rows<N, E> {
    size: (u16, u16),
    channels: usize,
    state: RefCell<State<N, E>>,
}

struct State<N, E> {
    next: N,
    /// The number of the row that was read last, and its samples.
    last: Option<(u16, Vec<u8>)>,
    failed: Option<E>,
}

impl<N: FnMut() -> Result<Vec<u8>, E>, E> State<N, E> {
    /// The samples of row `y`; of one that cannot be read there are none.
    fn row(&mut self, y: u16) -> &[u8] {
        if self.last.as_ref().is_none_or(|(last, _)| *last != y) && self.failed.is_none() {
            match (self.next)() {
                Ok(row) => self.last = Some((y, row)),
                Err(error) => self.failed = Some(error),
            }
        }
        self.last.as_ref().map_or(&[], |(_, row)| row)
    }
}

impl<N: FnMut() -> Result<Vec<u8>, E>, E> ImageBuffer for &Rows<N, E> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        JpegColorType::Ycbcr
    }

    fn width(&self) -> u16 {
        self.size.0
    }

    fn height(&self) -> u16 {
        self.size.1
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let mut state = self.state.borrow_mut();
        let mut pixels = state.row(y).chunks_exact(self.channels);
        for _ in 0..self.size.0 {
            let [red, green, blue] = pixels.next().map_or([0; 3], |it| [it[0], it[1], it[2]]);
            let (luma, blueness, redness) = rgb_to_ycbcr(red, green, blue);
            buffers[0].push(luma);
            buffers[1].push(blueness);
            buffers[2].push(redness);
        }
    }
}

/// A JPEG of so many pixels, width and height, of `quality` from 1 to 100. `next` gives its rows from the
/// top, each pixel in `channels` samples, 3 or 4: red, green, blue, and what is left out.
///
/// # Errors
/// What `next` answers; what the encoder does.
pub(crate) fn encode<E: From<EncodingError>>(
    size: (u16, u16),
    quality: u8,
    channels: usize,
    next: impl FnMut() -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, E> {
    let state = RefCell::new(State { next, last: None, failed: None });
    let rows = Rows { size, channels, state };
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(SamplingFactor::F_1_1);
    let encoded = encoder.encode_image(&rows);
    match rows.state.into_inner().failed {
        Some(error) => Err(error),
        None => encoded.map(|()| out).map_err(E::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture in which every block differs, of a size that is no multiple of eight.
    fn pixel(x: u32, y: u32) -> [u8; 3] {
        let wave = |value: u32| u8::try_from(value % 256).unwrap_or_default();
        [wave(x * 3), wave(y * 5), wave((x + y) * 2)]
    }

    fn encoded(width: u16, height: u16, quality: u8, channels: usize) -> Vec<u8> {
        let mut rows = 0..u32::from(height);
        let next = || -> Result<Vec<u8>, EncodingError> {
            let y = rows.next().expect("no row is asked for that there is not");
            let row = (0..u32::from(width)).flat_map(|x| {
                let [red, green, blue] = pixel(x, y);
                [red, green, blue, 255].into_iter().take(channels)
            });
            Ok(row.collect())
        };
        encode((width, height), quality, channels, next).expect("encoded")
    }

    #[test]
    fn another_reader_sees_the_same_picture() {
        for (width, height, channels) in [(64, 40, 3), (37, 21, 4), (1, 1, 3), (8, 9, 3)] {
            let bytes = encoded(width, height, 98, channels);
            let mut decoder = zune_jpeg::JpegDecoder::new(&bytes);
            let told = decoder.decode().expect("a JPEG");
            assert_eq!(decoder.dimensions(), Some((width.into(), height.into())));
            let mut off = 0_u64;
            for (at, value) in (0_u32..).zip(&told) {
                let (x, y) = (at / 3 % u32::from(width), at / 3 / u32::from(width));
                off += u64::from(value.abs_diff(pixel(x, y)[(at % 3) as usize]));
            }
            let mean = off / told.len() as u64;
            assert!(mean <= 2, "{width} × {height}: {mean}");
        }
    }

    #[test]
    fn less_quality_takes_fewer_bytes() {
        let sizes = [10, 50, 90].map(|quality| encoded(128, 128, quality, 3).len());
        assert!(sizes[0] < sizes[1] && sizes[1] < sizes[2], "{sizes:?}");
    }
}
