//! Owns the compressed form of a bundle: one frame of Zstandard (RFC 8878) with a checksum, as our
//! encoder makes it, and nothing before, between or behind. Skippable frames, further frames and
//! dictionaries are places for what one unpacker sees and another does not, so they are refused.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::BundleError;

/// How hard is tried to make it small: pictures and recordings are small already.
const LEVEL: i32 = 3;
/// First bytes of a frame (3.1.1).
pub(super) const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Its descriptor (3.1.1.1.1): a checksum, no content size, no dictionary, a window of its own.
pub(super) const DESCRIPTOR: u8 = 0x04;
/// Largest window, as a power of two: what every decoder should take (3.1.1.1.2).
pub(super) const MAX_WINDOW: u32 = 23;

/// What makes a frame of what is written to it.
///
/// # Errors
/// What `out` answers.
pub fn encoder<W: Write>(out: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(out, LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Reads what is in a frame.
pub(super) struct Frame<R: Read> {
    decoder: zstd::Decoder<'static, Packed<R>>,
}

type Packed<R> = io::Chain<io::Cursor<[u8; 6]>, BufReader<R>>;

impl<R: Read> Frame<R> {
    /// Read the frame that `packed` begins with.
    ///
    /// # Errors
    /// [`BundleError`] for another one than our encoder's.
    pub(super) fn open(packed: R) -> Result<Self, BundleError> {
        let mut packed = BufReader::with_capacity(1 << 17, packed);
        let mut head = [0; 6];
        if let Err(error) = packed.read_exact(&mut head) {
            let short = error.kind() == io::ErrorKind::UnexpectedEof;
            return Err(if short {
                not("it is too short for a frame of Zstandard")
            } else {
                error.into()
            });
        }
        if head[..4] != MAGIC {
            return Err(not("it does not begin with a frame of Zstandard"));
        }
        if head[4] != DESCRIPTOR {
            return Err(not(
                "its frame is not one of ours: with a checksum, without size or dictionary",
            ));
        }
        // Exponent and mantissa (3.1.1.1.2); our encoder's windows are powers of two.
        if head[5] & 7 != 0 || u32::from(head[5] >> 3) + 10 > MAX_WINDOW {
            return Err(not("its frame needs a larger window than 8 MiB, or one of an odd size"));
        }
        let packed = io::Cursor::new(head).chain(packed);
        let mut decoder = zstd::Decoder::with_buffer(packed)?.single_frame();
        decoder.window_log_max(MAX_WINDOW)?;
        Ok(Self { decoder })
    }

    /// Read to the end, behind which nothing may follow.
    ///
    /// # Errors
    /// [`BundleError`] where something does, be it in the frame or behind it.
    pub(super) fn close(mut self) -> Result<(), BundleError> {
        let mut one = [0];
        if self.decoder.read(&mut one)? != 0 {
            return Err(not("bytes follow the end of the tar"));
        }
        let mut rest = self.decoder.finish();
        if rest.fill_buf()?.is_empty() { Ok(()) } else { Err(not("bytes follow the frame")) }
    }
}

impl<R: Read> Read for Frame<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.decoder.read(buffer)
    }
}

fn not(why: &str) -> BundleError {
    BundleError::NotABundle(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = encoder(Vec::new()).expect("an encoder");
        encoder.write_all(bytes).expect("in memory");
        encoder.finish().expect("in memory")
    }

    fn read(packed: &[u8]) -> Result<Vec<u8>, BundleError> {
        let mut frame = Frame::open(packed)?;
        let mut bytes = vec![0; 5];
        frame.read_exact(&mut bytes)?;
        frame.close()?;
        Ok(bytes)
    }

    /// Frames in every form that a decoder of the field may take for the same bytes.
    fn others() -> Vec<(&'static str, Vec<u8>)> {
        let ours = framed(b"hello");
        let skippable = [&b"\x50\x2a\x4d\x18\x04\x00\x00\x00more"[..], &ours].concat();
        let behind = [&ours[..], b"\x5f\x2a\x4d\x18\x00\x00\x00\x00"].concat();
        let unchecked = zstd::encode_all(&b"hello"[..], 1).expect("in memory");
        let mut sized = zstd::bulk::Compressor::new(3).expect("a compressor");
        sized.include_checksum(true).expect("set");
        let sized = sized.compress(b"hello").expect("in memory");
        let mut wide = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
        wide.include_checksum(true).expect("set");
        wide.window_log(24).expect("set");
        wide.write_all(b"hello").expect("in memory");
        let mut odd = ours.clone();
        odd[5] |= 1;
        let mut reserved = ours.clone();
        reserved[4] |= 0x08;
        let mut summed = ours.clone();
        *summed.last_mut().expect("a checksum") ^= 1;
        let legacy = [&b"\x27\xb5\x2f\xfd"[..], &ours[4..]].concat();
        vec![
            ("two frames", [&ours[..], &framed(b"")].concat()),
            ("the bytes in two frames", [framed(b"hel"), framed(b"lo")].concat()),
            ("a skippable frame before", skippable),
            ("a skippable frame behind", behind),
            ("a byte behind", [&ours[..], b"\0"].concat()),
            ("no checksum", unchecked),
            ("a content size", sized),
            ("a large window", wide.finish().expect("in memory")),
            ("a window that is no power of two", odd),
            ("a reserved bit", reserved),
            ("another checksum", summed),
            ("an old version", legacy),
            ("cut short", ours[..ours.len() - 1].to_vec()),
            ("nothing", Vec::new()),
            ("more in the frame", framed(b"hello\0")),
        ]
    }

    #[test]
    fn a_frame_is_read_in_the_one_form_that_we_write() {
        assert_eq!(read(&framed(b"hello")).expect("ours"), b"hello");
        for (what, bytes) in others() {
            let refused = read(&bytes);
            assert!(refused.is_err(), "{what}: {refused:?}");
            assert!(!refused.expect_err("refused").is_of_the_system(), "{what}");
        }
    }
}
