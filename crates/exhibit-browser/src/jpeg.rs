//! Owns the writing of a JPEG: baseline DCT, three components without subsampling, the Huffman tables
//! that ITU-T T.81 recommends (Annex K). Row by row, so that a picture of any height takes the memory
//! of eight rows. Only pictures that were put together are written here; all others are the browser's.

/// Indices of a block's values in the order in which they are written (T.81, figure A.6).
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Quantization at quality 50: luminance and chrominance (T.81, tables K.1 and K.2).
const QUANTS: [[u16; 64]; 2] = [
    [
        16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69,
        56, 14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81,
        104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    ],
    [
        17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99,
        99, 47, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    ],
];

/// How many codes there are of each length from 1 to 16, and their values (T.81, tables K.3 and K.4).
const DC: [([u8; 16], &[u8]); 2] = [
    ([0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
    ([0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]),
];

/// The same of the other values (T.81, tables K.5 and K.6).
const AC: [([u8; 16], &[u8]); 2] = [
    (
        [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
        &[
            0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51,
            0x61, 0x07, 0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1,
            0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18,
            0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
            0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57,
            0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75,
            0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92,
            0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
            0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
            0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8,
            0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2,
            0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
        ],
    ),
    (
        [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
        &[
            0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07,
            0x61, 0x71, 0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09,
            0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25,
            0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38,
            0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56,
            0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74,
            0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
            0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
            0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
            0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6,
            0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2,
            0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
        ],
    ),
];

/// Code and length of each value.
type Codes = [(u16, u8); 256];

/// Writes a JPEG from the top down.
#[derive(Debug)]
pub(crate) struct JpegEncoder {
    width: usize,
    out: Vec<u8>,
    /// Bits that do not fill a byte yet, and how many.
    bits: (u32, u32),
    /// Divisors of luminance and chrominance, in the order of a block.
    quants: [[u16; 64]; 2],
    codes: [(Box<Codes>, Box<Codes>); 2],
    /// The cosines of the transform.
    cosines: [[f32; 8]; 8],
    /// The last mean of each component.
    last: [i32; 3],
    /// Rows that do not fill a block yet, three samples for each pixel.
    rows: Vec<Vec<u8>>,
}

impl JpegEncoder {
    /// Begin a picture of this size in pixels; `quality` is from 1 to 100.
    pub(crate) fn new(width: u16, height: u16, quality: u8) -> Self {
        let quality = u32::from(quality.clamp(1, 100));
        let scale = if quality < 50 { 5_000 / quality } else { 200 - 2 * quality };
        let divisor = |value: u16| {
            u16::try_from(((u32::from(value) * scale + 50) / 100).clamp(1, 255)).unwrap_or(255)
        };
        let quants = QUANTS.map(|table| table.map(divisor));
        let codes = [0, 1].map(|kind| (Box::new(codes(&DC[kind])), Box::new(codes(&AC[kind]))));
        let mut cosines = [[0.0; 8]; 8];
        for (frequency, row) in (0_u8..).zip(&mut cosines) {
            let norm = if frequency == 0 { 0.125_f32.sqrt() } else { 0.5 };
            for (at, value) in (0_u8..).zip(row) {
                let angle = (2.0 * f32::from(at) + 1.0) * f32::from(frequency);
                *value = norm * (angle * std::f32::consts::PI / 16.0).cos();
            }
        }
        let mut this = Self {
            width: width.into(),
            out: Vec::new(),
            bits: (0, 0),
            quants,
            codes,
            cosines,
            last: [0; 3],
            rows: Vec::new(),
        };
        this.head(width, height);
        this
    }

    /// The next row, each pixel in `channels` samples of which the first three are its colour.
    pub(crate) fn row(&mut self, row: &[u8], channels: usize) {
        let pixel = |pixel: &[u8]| [pixel[0], pixel[1], pixel[2]];
        self.rows.push(row.chunks_exact(channels).flat_map(pixel).collect());
        if self.rows.len() == 8 {
            self.blocks();
        }
    }

    /// The picture.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if let Some(last) = self.rows.last().cloned() {
            self.rows.resize(8, last);
            self.blocks();
        }
        // The last byte is filled with ones.
        self.write(0x7f, 7);
        self.out.extend([0xff, 0xd9]);
        self.out
    }

    fn segment(&mut self, marker: u8, content: &[u8]) {
        let length = u16::try_from(content.len() + 2).unwrap_or(u16::MAX);
        self.out.extend([0xff, marker]);
        self.out.extend(length.to_be_bytes());
        self.out.extend(content);
    }

    fn head(&mut self, width: u16, height: u16) {
        self.out.extend([0xff, 0xd8]);
        self.segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
        for (number, table) in (0_u8..).zip(self.quants) {
            let values = ZIGZAG.iter().map(|at| u8::try_from(table[*at]).unwrap_or(255));
            let content: Vec<u8> = std::iter::once(number).chain(values).collect();
            self.segment(0xdb, &content);
        }
        let mut frame = vec![8];
        frame.extend(height.to_be_bytes());
        frame.extend(width.to_be_bytes());
        frame.extend([3, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1]);
        self.segment(0xc0, &frame);
        for (class, tables) in [(0, DC), (0x10, AC)] {
            for (number, (counts, values)) in (0_u8..).zip(tables) {
                let content: Vec<u8> = std::iter::once(class | number)
                    .chain(counts)
                    .chain(values.iter().copied())
                    .collect();
                self.segment(0xc4, &content);
            }
        }
        self.segment(0xda, &[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    }

    /// Write the blocks of eight rows.
    fn blocks(&mut self) {
        let rows = std::mem::take(&mut self.rows);
        for left in (0..self.width).step_by(8) {
            let mut planes = [[0.0_f32; 64]; 3];
            for (y, row) in rows.iter().enumerate() {
                for x in 0..8 {
                    // Beyond the edge its last pixel goes on.
                    let at = (left + x).min(self.width - 1) * 3;
                    let [red, green, blue] = [0, 1, 2].map(|channel| f32::from(row[at + channel]));
                    let at = y * 8 + x;
                    planes[0][at] = 0.299 * red + 0.587 * green + 0.114 * blue - 128.0;
                    planes[1][at] = -0.168_736 * red - 0.331_264 * green + 0.5 * blue;
                    planes[2][at] = 0.5 * red - 0.418_688 * green - 0.081_312 * blue;
                }
            }
            for (component, plane) in planes.iter().enumerate() {
                self.block(component, plane);
            }
        }
    }

    fn block(&mut self, component: usize, plane: &[f32; 64]) {
        let kind = component.min(1);
        let values = self.transformed(kind, plane);
        let difference = values[0] - self.last[component];
        self.last[component] = values[0];
        let (size, bits) = magnitude(difference);
        self.code(kind, false, size);
        self.write(bits, size.into());
        let mut zeros = 0_u8;
        for at in &ZIGZAG[1..] {
            let value = values[*at];
            if value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                self.code(kind, true, 0xf0);
                zeros -= 16;
            }
            let (size, bits) = magnitude(value);
            self.code(kind, true, zeros << 4 | size);
            self.write(bits, size.into());
            zeros = 0;
        }
        if zeros > 0 {
            self.code(kind, true, 0);
        }
    }

    /// The values of a block after transform and quantization.
    fn transformed(&self, kind: usize, plane: &[f32; 64]) -> [i32; 64] {
        let mut half = [0.0_f32; 64];
        for y in 0..8 {
            for (frequency, cosines) in self.cosines.iter().enumerate() {
                let row = &plane[y * 8..y * 8 + 8];
                half[y * 8 + frequency] = row.iter().zip(cosines).map(|(a, b)| a * b).sum();
            }
        }
        let mut values = [0; 64];
        for (down, cosines) in self.cosines.iter().enumerate() {
            for across in 0..8 {
                let sum: f32 = (0..8).map(|y| half[y * 8 + across] * cosines[y]).sum();
                let at = down * 8 + across;
                let value = (sum / f32::from(self.quants[kind][at])).round();
                #[expect(clippy::cast_possible_truncation, reason = "at most 2^11")]
                let value = value as i32;
                values[at] = value;
            }
        }
        values
    }

    fn code(&mut self, kind: usize, ac: bool, value: u8) {
        let (dc, other) = &self.codes[kind];
        let (code, length) = if ac { other[usize::from(value)] } else { dc[usize::from(value)] };
        self.write(code.into(), length.into());
    }

    /// Write the lowest `count` of `bits`, at most 16.
    fn write(&mut self, bits: u32, count: u32) {
        let (mut waiting, mut filled) = self.bits;
        waiting = waiting << count | (bits & ((1 << count) - 1));
        filled += count;
        while filled >= 8 {
            filled -= 8;
            let [.., byte] = (waiting >> filled).to_be_bytes();
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
        }
        self.bits = (waiting & ((1 << filled) - 1), filled);
    }
}

/// How many bits a value takes, and these bits (T.81, F.1.2.1.1).
fn magnitude(value: i32) -> (u8, u32) {
    let size = u32::BITS - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 { value - 1 } else { value }.cast_unsigned();
    (u8::try_from(size).unwrap_or_default(), bits)
}

/// The codes of a table (T.81, Annex C).
fn codes((counts, values): &([u8; 16], &[u8])) -> Codes {
    let mut codes = [(0, 0); 256];
    let (mut code, mut at) = (0, 0);
    for (length, count) in (1..).zip(counts) {
        for _ in 0..*count {
            codes[usize::from(values[at])] = (code, length);
            code += 1;
            at += 1;
        }
        code <<= 1;
    }
    codes
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
        let mut encoder = JpegEncoder::new(width, height, quality);
        for y in 0..u32::from(height) {
            let row = (0..u32::from(width)).flat_map(|x| {
                let [red, green, blue] = pixel(x, y);
                [red, green, blue, 255].into_iter().take(channels)
            });
            encoder.row(&row.collect::<Vec<u8>>(), channels);
        }
        encoder.finish()
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
