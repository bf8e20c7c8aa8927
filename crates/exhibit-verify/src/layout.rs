//! Owns the names and places of the evidence format `exhibit/1` (docs/FORMAT.md): what each file of
//! a folder is called, which names a folder may hold, how big each may be. Touches no file content.

use std::ffi::{OsStr, OsString};
use std::fs::FileType;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::artifact::is_safe_name;
use crate::disk::{self, PARTIAL_SUFFIX};
use crate::error::StoreError;
use crate::id::RunId;
use exhibit_tlog::digest::Digest;

/// Name of this version of the format.
pub const FORMAT: &str = "exhibit/1";
/// Namespace of our OpenSSH signatures: one made for another purpose cannot be passed off as ours.
pub const NAMESPACE: &str = "evidence@exhibit";

/// The BagIt declaration.
pub const BAGIT: &str = "bagit.txt";
/// The BagIt metadata.
pub const BAG_INFO: &str = "bag-info.txt";
/// Digests of everything below `data/`.
pub const MANIFEST: &str = "manifest-sha256.txt";
/// Digests of the files beside `data/`; what is signed.
pub const TAG_MANIFEST: &str = "tagmanifest-sha256.txt";
/// How to check the folder with stock tools.
pub const VERIFY: &str = "VERIFY.txt";
/// The signature over the tag manifest.
pub const SIGNATURE: &str = "tagmanifest-sha256.txt.sig";
/// The one value that stands for the folder in the log.
pub const SEAL: &str = "seal.json";
/// The report, when there is one; covered by the tag manifest.
pub const REPORT: &str = "report.html";
/// What an authority was asked over the signature, when it answered in time.
pub const REQUEST: &str = "tagmanifest-sha256.txt.sig.tsq";
/// What it answered: a timestamp over the signature.
pub const TIMESTAMP: &str = "tagmanifest-sha256.txt.sig.tsr";
/// That the seal stands in the log.
pub const PROOF: &str = "seal.json.tlog-proof";

/// The event chain.
pub const EVENTS: &str = "data/events.jsonl";
/// The record of the run, written when it is sealed.
pub const RECORD: &str = "data/run.json";
/// What took the captures.
pub const PROVENANCE: &str = "data/provenance.json";
/// Folder of what the caller added, below `data/`.
pub const ATTACHMENTS: &str = "attachments";

/// The files the tag manifest lists, in bytewise order.
pub const LISTED: [&str; 4] = [VERIFY, BAG_INFO, BAGIT, MANIFEST];
/// The files that sealing writes beside `data/`: what recovery drops and writes anew.
pub const TAG_FILES: [&str; 7] = [VERIFY, BAG_INFO, BAGIT, MANIFEST, SEAL, TAG_MANIFEST, SIGNATURE];
/// Names that some folders have beside `data/`, and some have not.
pub const RESERVED: [&str; 4] = [REPORT, PROOF, REQUEST, TIMESTAMP];

/// Largest manifest that is read, in bytes.
pub const MAX_MANIFEST: u64 = 64 << 20;
/// Longest line of a manifest, in bytes.
pub const MAX_MANIFEST_LINE: usize = 4096;
/// Most entries of a manifest.
pub const MAX_ENTRIES: usize = 1_000_000;
/// Longest line of an event chain that is read, in bytes.
pub const MAX_EVENT_READ: u64 = 64 << 20;
/// Longest event that is written, in bytes; the closing event may be longer.
pub const MAX_EVENT_WRITE: usize = 8 << 20;
/// Most levels below a field of an event's data; readers commonly stop at 128 in all.
pub const MAX_EVENT_DEPTH: usize = 100;
/// Most files of one run: their list must fit into the closing event.
pub const MAX_FILES: usize = 100_000;
/// Largest of the other files that are read whole, in bytes.
pub const MAX_SMALL: u64 = 16 << 20;
/// Most parts of a path below `data/`.
const MAX_DEPTH: usize = 8;

/// Folder of unsealed runs, in the store.
pub const OPEN: &str = "open";
/// Folder of what was set aside at a start, because it is not what the log tells.
pub const QUARANTINE: &str = "quarantine";
/// Folder of sealed runs, in the store.
pub const RUNS: &str = "runs";
/// Folder of purged runs on their way out, in the store.
pub const PURGING: &str = "purging";
/// Folder of archives on their way in, and of what they were made from on its way out.
pub const ARCHIVING: &str = "archiving";
/// What a run's archive is called after its id.
pub const ARCHIVE_SUFFIX: &str = ".tar.zst";
/// Folder of bundles of other stores that were taken in, in the store.
pub const IMPORTED: &str = "imported";
/// What a bundle that is being taken in is called after its digest.
pub const BEGUN_SUFFIX: &str = ".begun";
/// What the mark of one that is being purged is called after its digest.
pub const GOING_SUFFIX: &str = ".going";
/// The lock, in the store.
pub const LOCK: &str = "lock";

/// Place of a sealed run in its store: `runs/2026/11/23/<run id>`, by the UTC date in its id.
pub fn sealed_place(run: RunId) -> String {
    format!("{RUNS}/{}/{run}", run.opened_at().strftime("%Y/%m/%d"))
}

/// Place of an unsealed run in its store.
pub fn open_place(run: RunId) -> String {
    format!("{OPEN}/{run}")
}

/// Place of a purged run in its store until it is removed.
pub fn purging_place(run: RunId) -> String {
    format!("{PURGING}/{run}")
}

/// Place of an archived run in its store: where its folder was, with an ending.
pub fn archived_place(run: RunId) -> String {
    format!("{}{ARCHIVE_SUFFIX}", sealed_place(run))
}

/// Place of a run's folder on its way out, after its archive is in place.
pub fn archiving_place(run: RunId) -> String {
    format!("{ARCHIVING}/{run}")
}

/// The run whose archive is called `name`.
pub fn archived_run(name: &OsStr) -> Option<RunId> {
    name.to_str()?.strip_suffix(ARCHIVE_SUFFIX)?.parse().ok()
}

/// Place of a bundle of another store that was taken in.
pub fn imported_place(sha256: Digest) -> String {
    format!("{IMPORTED}/{sha256}{ARCHIVE_SUFFIX}")
}

/// Place of such a bundle until the log tells of it.
pub fn importing_place(sha256: Digest) -> String {
    format!("{IMPORTED}/{sha256}{BEGUN_SUFFIX}")
}

/// The digest after which a bundle called `name` is named, behind which `suffix` stands.
pub fn imported_as(name: &OsStr, suffix: &str) -> Option<Digest> {
    name.to_str()?.strip_suffix(suffix)?.parse().ok()
}

/// Whether `path` can be the path of an artifact below `data/`: safe parts, not too deep, and not
/// a name that recovery would take for a file cut short.
pub fn is_safe_path(path: &str) -> bool {
    path.split('/').count() <= MAX_DEPTH
        && path.split('/').all(|part| is_safe_name(part) && !part.ends_with(PARTIAL_SUFFIX))
}

/// Names that Windows keeps for devices, whatever ending follows them.
const DEVICES: [&str; 4] = ["aux", "con", "nul", "prn"];

/// Whether a file called `name`, which is safe, can be unpacked everywhere: Windows keeps some names for
/// devices, and drops a dot at the end ("Naming Files, Paths, and Namespaces" in its documentation).
/// What was written before this was asked is read all the same.
pub fn is_portable_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let port = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    let is_port = port.is_some_and(|rest| rest.len() == 1 && rest.as_bytes()[0].is_ascii_digit());
    !DEVICES.contains(&stem.as_str()) && !is_port && !name.ends_with('.')
}

/// The media type a name's ending speaks of: what is left to go by when a file was written and the
/// event that tells its type was not.
pub fn media_type_of(path: &str) -> &'static str {
    let name = path.strip_suffix(".zst").unwrap_or(path);
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "json" => "application/json",
        "jsonl" => "application/jsonl",
        "html" => "text/html",
        "mhtml" => "multipart/related",
        "txt" | "log" => "text/plain",
        "pdf" => "application/pdf",
        "mp4" => "video/mp4",
        "vtt" => "text/vtt",
        _ => "application/octet-stream",
    }
}

/// `name` in a spelling that can be shown and that no other name shares: names of the format stand
/// for themselves, in all others whatever is not plain ASCII is escaped.
pub fn readable(name: &OsStr) -> String {
    name.as_bytes().escape_ascii().to_string()
}

/// One entry of a folder: its name, its path and what it is (a link is a link).
#[derive(Debug)]
pub struct FolderEntry {
    /// The name.
    pub name: OsString,
    /// The folder's path with the name.
    pub path: PathBuf,
    /// What it is, links not followed.
    pub kind: FileType,
}

/// The entries of `folder`, in bytewise order of their names.
///
/// # Errors
/// What the system answers.
pub fn entries(folder: &Path) -> io::Result<Vec<FolderEntry>> {
    let mut entries = Vec::new();
    for entry in disk::list(folder)? {
        entries.push(FolderEntry {
            name: entry.file_name(),
            path: entry.path(),
            kind: entry.file_type()?,
        });
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// The runs that were moved aside in the store at `root`.
///
/// # Errors
/// See [`StoreError`].
pub fn aside_in(root: &Path) -> Result<Vec<RunId>, StoreError> {
    let entries = listed(&root.join(PURGING))?;
    Ok(entries.iter().filter_map(|entry| entry.name.to_str()?.parse().ok()).collect())
}

/// The entries of `folder`; none where there is no such folder.
///
/// # Errors
/// See [`StoreError`].
pub fn listed(folder: &Path) -> Result<Vec<FolderEntry>, StoreError> {
    match entries(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(StoreError::at(folder)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_lies_under_the_utc_date_of_its_id() {
        let run: RunId = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57".parse().expect("an id");
        let date = run.opened_at().to_string()[..10].replace('-', "/");
        assert_eq!(sealed_place(run), format!("runs/{date}/{run}"));
    }

    #[test]
    fn paths_that_leave_the_folder_or_look_half_written_are_refused() {
        for good in ["a", "captures/0001-before/screenshot.png"] {
            assert!(is_safe_path(good), "{good}");
        }
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "a.partial", "a.partial/b", "a\\b"] {
            assert!(!is_safe_path(bad), "{bad}");
        }
        assert!(!is_safe_path(&["d"; 9].join("/")));
    }
}
