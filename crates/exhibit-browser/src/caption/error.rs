//! Owns the error of framing: why a picture has no framed copy.

use std::fmt::Display;
use std::io;

/// Why there is no framed picture.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// It has more pixels than can be framed.
    #[error("{width} × {height} pixels are too many to be framed")]
    TooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// It is of a kind that is not framed.
    #[error("the picture is {0}, and such pictures are not framed")]
    Unsupported(&'static str),
    /// It is damaged, or not what it should be.
    #[error("the picture cannot be decoded: {0}")]
    Unreadable(String),
    /// Its bytes cannot be read.
    #[error("the picture cannot be read")]
    Read(#[source] io::Error),
    /// The framed one cannot be written.
    #[error("the framed picture cannot be written")]
    Write(#[source] png::EncodingError),
}

impl FrameError {
    pub(super) fn unreadable(why: impl Display) -> Self {
        // A decoder may quote what it read.
        Self::Unreadable(
            why.to_string().chars().filter(|one| !one.is_control()).take(200).collect(),
        )
    }
}
