//! Owns the caption of a picture: a strip above the page's pixels, and a hatched frame around them.
//! Pure drawing, the same words and the same picture give the same bytes. What is told comes from
//! above; that nothing handed in can pass for words of ours is decided here.
//!
//! The page's pixels are copied as they are; the caption lies outside of them. Labels stand in a
//! column of their own, only our words are set in white on black, and whatever is not ours is
//! written in printable characters of Latin-1, everything else spelled out as `\u{202e}`.

mod address;
mod error;
mod frame;
mod glyphs;
mod source;
mod strip;
mod words;

pub use address::Address;
pub use error::FrameError;
pub use frame::{Inside, decoded, frame};
pub use source::Encoding;
pub use strip::Caption;
pub use words::Words;

#[cfg(test)]
mod tests;
