//! Owns the unpacking of bundles; what a bundle is, and its reading, is [`exhibit_verify::bundle`].

mod unpack;

pub use exhibit_verify::bundle::*;

pub use self::unpack::{Unpacked, unpack};

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use self::attacks::all as attacks;
#[cfg(any(test, feature = "testing"))]
pub use exhibit_verify::bundle::testing::framed;
