//! Owns timestamps (RFC 3161): asking an authority to say that something was there at a moment,
//! reading what it answers, and judging whether that counts. Speaks no HTTP, keeps no files and
//! knows no clock: a timestamp is judged at the moment it states.

mod authority;
mod form;
mod request;
mod signed;
mod token;

pub use self::authority::{Authorities, Untrusted};
pub use self::request::Request;
pub use self::token::TimestampToken;

/// Largest request or response that is read.
pub const MAX_STAMP: u64 = 256 * 1024;

/// Media types of a request and a response (RFC 3161, 3.4).
pub const QUERY: &str = "application/timestamp-query";
/// See [`QUERY`].
pub const REPLY: &str = "application/timestamp-reply";

/// Why something is no timestamp.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StampError {
    /// It is not in the form of RFC 3161, or not signed by the certificate it brings.
    #[error("no timestamp of RFC 3161: {0}")]
    Malformed(String),
    /// The authority answered that it gives none.
    #[error("the authority gave no timestamp: {0}")]
    Refused(String),
    /// It is signed in a way that is not supported.
    #[error("a timestamp that cannot be checked: {0}; RSA and ECDSA on P-256 and P-384 can")]
    Unsupported(String),
}

fn malformed(what: impl std::fmt::Display) -> StampError {
    StampError::Malformed(what.to_string())
}
