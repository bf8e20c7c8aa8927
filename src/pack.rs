//! Owns compression: text artifacts are kept as Zstandard frames (RFC 8878) with a content
//! checksum, and are unpacked only up to a limit the caller names.

use std::io::{self, Read};

/// Level 3 is Zstandard's own default: the knee of its curve for page-sized text.
const LEVEL: i32 = 3;

/// `bytes` as one Zstandard frame with content size and checksum.
///
/// # Errors
/// Only when memory for the encoder cannot be had.
pub fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
    compressor.include_checksum(true)?;
    compressor.compress(bytes)
}

/// The content of the frames in `packed`, at most `limit` bytes of it.
///
/// # Errors
/// `InvalidData` when `packed` is no sound frame or holds more than `limit` bytes.
pub fn decompress(packed: &[u8], limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(packed)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let message = format!("more than {limit} bytes when unpacked");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let text = "refund ".repeat(10_000).into_bytes();
        let packed = compress(&text).expect("compressed");
        assert!(packed.len() < text.len() / 50);
        assert_eq!(decompress(&packed, text.len() as u64).expect("unpacked"), text);
    }

    #[test]
    fn a_bomb_stops_at_the_limit() {
        let packed = compress(&vec![0; 10_000_000]).expect("compressed");
        let error = decompress(&packed, 1_000_000).expect_err("over the limit");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let mut packed = compress(&b"before and after".repeat(100)).expect("compressed");
        let last = packed.len() - 1;
        packed[last] ^= 1;
        assert!(decompress(&packed, 1_000_000).is_err());
    }
}
