//! Owns the making and hashing of API keys, which are secrets: `Debug` prints a mark in their place.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use exhibit_browser::secret::{REDACTED, Secret};

use crate::digest::Digest;

/// What every API key of ours begins with, so that secret scanners can find a leaked one.
pub const KEY_PREFIX: &str = "exk_";

/// A new API key: the prefix and 256 random bits in base64url.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_api_key() -> Result<Secret<String>, getrandom::Error> {
    Ok(Secret::new(format!("{KEY_PREFIX}{}", new_token()?.expose())))
}

/// 256 random bits in base64url: 43 characters.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn new_token() -> Result<Secret<String>, getrandom::Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is stored of an API key. One round of SHA-256 is enough, because a key is 256 random bits
/// and not a password; looking a hash up leaks no timing of the key itself.
pub fn hash_api_key(key: &str) -> Digest {
    Digest::of(key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?}"), REDACTED);
        assert_eq!(*secret.expose(), "hunter2");
    }

    #[test]
    fn keys_are_long_and_differ() {
        let (one, other) = (new_api_key().expect("random"), new_api_key().expect("random"));
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), KEY_PREFIX.len() + 43);
    }
}
