//! Owns the description of one file of evidence. Holds no bytes and touches no disk.

use serde::{Deserialize, Serialize};

use crate::blob::Blob;
use crate::digest::Digest;

/// One file of evidence, as events, receipts and answers describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Path inside the evidence folder, `/` between parts: `data/captures/0001-before/screenshot.png`.
    pub path: String,
    /// What the bytes are, before any compression the name shows: `image/png`.
    pub media_type: String,
    /// Length of the file in bytes.
    pub size_bytes: u64,
    /// SHA-256 of the file's bytes as they lie on disk.
    pub sha256: Digest,
}

/// A file about to be added to a run: where, what and its bytes.
#[derive(Clone, Debug)]
pub struct NewArtifact {
    /// Path below `data/`: `captures/0001-before/screenshot.png`.
    pub path: String,
    /// What the bytes are, before any compression the name shows.
    pub media_type: &'static str,
    /// The bytes to be written.
    pub bytes: Blob,
}

/// Whether `name` can be one part of a path in an evidence folder: 1 to 100 characters of
/// `A–Z a–z 0–9 . _ -`, not beginning with a dot or a hyphen. Nothing outside this set ever becomes
/// part of a path, so that every stock tool reads the manifests the same way.
pub fn is_safe_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=100).contains(&name.len())
        && name.bytes().all(allowed)
        && !name.starts_with('.')
        && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::is_safe_name;

    #[test]
    fn names_that_could_leave_the_folder_or_confuse_a_tool_are_refused() {
        for good in ["review.pdf", "A-1_b", "0001-before", "x..y"] {
            assert!(is_safe_name(good), "{good}");
        }
        for bad in
            ["", ".", "..", ".hidden", "-rf", "a/b", "a\\b", "a b", "a\nb", "ü", "a%2fb", "a\0"]
        {
            assert!(!is_safe_name(bad), "{bad:?}");
        }
        assert!(!is_safe_name(&"x".repeat(101)));
    }
}
