//! Owns how large the files of an evidence folder may be, by what they are (docs/FORMAT.md, 2.2), and
//! how much may lie below `data/`, by the folder's own word. Whoever reads a folder asks here before
//! it reads a byte of a file. Touches no file.

use super::bag::BagInfo;
use super::layout::{
    BAG_INFO, BAGIT, MANIFEST, MAX_MANIFEST, MAX_SMALL, PROOF, PROVENANCE, RECORD, REPORT, REQUEST,
    SEAL, SIGNATURE, TAG_MANIFEST, TIMESTAMP,
};
use crate::timestamp::MAX_STAMP;
use exhibit_tlog::note::MAX_NOTE;
use exhibit_tlog::tile::MAX_ENTRY;

/// Largest text beside `data/` that is no manifest, in bytes.
pub const MAX_TAG_FILE: u64 = 1 << 20;
/// Largest signature: one with its armor has some 300 bytes.
pub const MAX_SIGNATURE: u64 = 1 << 16;
/// Largest report: what it carries is bounded, and this is several times as much.
const MAX_REPORT: u64 = 512 << 20;
/// Bytes below `data/` beyond `Payload-Oxum` that are read, so that what was added is told by name.
pub const SLACK: u64 = 64 << 20;
/// Bytes below `data/` that are read where `bag-info.txt` does not say how many there are.
pub const UNSTATED: u64 = 1 << 30;

/// Most bytes of the file at `path` in a folder. Below `data/` the whole is bounded, by
/// [`payload_in`].
pub fn largest(path: &str) -> u64 {
    match path {
        MANIFEST | TAG_MANIFEST => MAX_MANIFEST,
        REPORT => MAX_REPORT,
        SIGNATURE => MAX_SIGNATURE,
        SEAL => MAX_ENTRY as u64,
        PROOF => MAX_NOTE,
        REQUEST | TIMESTAMP => MAX_STAMP,
        RECORD | PROVENANCE => MAX_SMALL,
        _ if path.starts_with("data/") => u64::MAX,
        // Texts, and what has no place in the format.
        _ => MAX_TAG_FILE,
    }
}

/// Whether the file at `path` is read whole, and not only hashed or line by line.
pub fn is_read_whole(path: &str) -> bool {
    let names = [
        MANIFEST,
        TAG_MANIFEST,
        BAGIT,
        BAG_INFO,
        SIGNATURE,
        SEAL,
        PROOF,
        REQUEST,
        TIMESTAMP,
        RECORD,
    ];
    names.contains(&path)
}

/// Bytes below `data/`, as the `bag-info.txt` with this text says; none where it is not in the form
/// of the format.
pub fn payload_in(text: &[u8]) -> Option<u64> {
    BagInfo::parse(text)?.oxum.split_once('.')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{EVENTS, VERIFY};

    #[test]
    fn each_kind_of_file_has_its_limit() {
        for (path, most) in [
            ("manifest-sha256.txt", 64 << 20),
            ("tagmanifest-sha256.txt.sig", 1 << 16),
            ("tagmanifest-sha256.txt.sig.tsr", 256 << 10),
            ("seal.json", 65_535),
            ("bag-info.txt", 1 << 20),
            ("x", 1 << 20),
            ("data/run.json", 16 << 20),
            ("data/attachments/run.json", u64::MAX),
        ] {
            assert_eq!(largest(path), most, "{path}");
        }
        assert!(is_read_whole(RECORD) && !is_read_whole(EVENTS) && !is_read_whole(VERIFY));
        let text = "Bagging-Date: 2026-11-24\nExternal-Identifier: urn:uuid:x\nPayload-Oxum: 70.3\n\
                    Bag-Software-Agent: exhibit 0.1.0\n";
        assert_eq!(payload_in(text.as_bytes()), Some(70));
        assert_eq!(payload_in(b"Payload-Oxum: 70.3\n"), None);
    }
}
