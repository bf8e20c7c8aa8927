//! Owns the description of one file of evidence, and the table of the places in the daemon's events
//! where it describes one. Holds no bytes and touches no disk.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::blob::Blob;
use exhibit_tlog::digest::Digest;

/// Where the daemon's events describe files: the kind of event, and the key of its data that holds
/// an artifact object or a list of them (docs/FORMAT.md, section 3.4.1). An object of that form
/// anywhere else came from a caller or a page, and binds nothing.
const STATED: [(&str, &str); 11] = [
    ("run.opened", "provenance"),
    ("capture.taken", "artifacts"),
    ("captures.compared", "artifacts"),
    ("recording.taken", "artifacts"),
    ("window.closed", "artifacts"),
    ("download.refused", "artifacts"),
    ("recording.failed", "artifacts"),
    ("recording.converted", "artifacts"),
    ("attachment.added", "artifact"),
    ("code.referenced", "artifact"),
    ("run.sealed", "artifacts"),
];

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

impl Artifact {
    /// The files that an event of the daemon's, of the kind `kind` and with this data, states.
    pub fn stated(kind: &str, data: &Map<String, Value>) -> Vec<Self> {
        let key = STATED.iter().find(|(stating, _)| *stating == kind).map(|(_, key)| key);
        match key.and_then(|key| data.get(*key)) {
            Some(Value::Array(items)) => items.iter().filter_map(Self::read).collect(),
            Some(one) => Self::read(one).into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The artifact that `value` describes, when it has all four fields in their form.
    fn read(value: &Value) -> Option<Self> {
        // A list of the four values would be read as well.
        let artifact = value.as_object().and_then(|_| Self::deserialize(value).ok())?;
        artifact.path.starts_with("data/").then_some(artifact)
    }
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
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_is_stated_by_its_key_and_by_nothing_else() {
        let artifact = Artifact {
            path: "data/a".to_owned(),
            media_type: "text/plain".to_owned(),
            size_bytes: 1,
            sha256: Digest::of(b"a"),
        };
        let stated = |kind: &str, data: Value| {
            Artifact::stated(kind, data.as_object().expect("an object")).len()
        };
        for (kind, key) in STATED {
            assert_eq!(stated(kind, json!({ key: artifact })), 1, "{kind}");
            assert_eq!(stated(kind, json!({ key: [artifact, artifact] })), 2, "{kind}");
            for elsewhere in [
                json!({ "labels": { key: artifact } }),
                json!({ "settings": [artifact] }),
                json!({ "a": artifact }),
                json!({ key: { "deep": artifact } }),
                json!({ key: [[artifact]] }),
            ] {
                assert_eq!(stated(kind, elsewhere), 0, "{kind}");
            }
        }
        for kind in ["run.recovered", "capture.requested", "step.done", "log", ""] {
            let data = json!({ "artifact": artifact, "artifacts": [artifact] });
            assert_eq!(stated(kind, data), 0, "{kind}");
        }
        let mut elsewhere = json!(artifact);
        elsewhere["path"] = json!("src/a");
        let mut unsized_one = json!(artifact);
        unsized_one["size_bytes"] = json!(1.5);
        let values = json!(["data/a", "text/plain", 1, artifact.sha256]);
        let data = json!({ "artifacts": [elsewhere, unsized_one, "data/a", values, null] });
        assert_eq!(stated("capture.taken", data), 0, "none of these describes a file");
    }

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
