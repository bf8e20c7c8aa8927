//! Owns the texts of BagIt 1.0 (RFC 8493): declaration, metadata and manifests, written in the one
//! form that `sha256sum -c`, `bagit.py` and we all read the same way, and read back strictly.
//! Works on bytes; touches no disk.

use crate::artifact::is_safe_name;
use crate::id::RunId;
use exhibit_tlog::digest::Digest;

use super::layout::{MAX_ENTRIES, MAX_MANIFEST_LINE};

/// The whole of `bagit.txt`.
pub const DECLARATION: &str = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n";

/// What `bag-info.txt` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BagInfo {
    /// Whose evidence it is, when configured.
    pub organization: Option<String>,
    /// UTC date of sealing: `2026-11-23`.
    pub date: String,
    /// `urn:uuid:` of the run.
    pub identifier: String,
    /// Bytes and files below `data/`: `<bytes>.<files>`.
    pub oxum: String,
    /// What wrote the bag.
    pub agent: String,
}

/// Bytes and files below `data/` in the form of `Payload-Oxum`.
pub fn oxum(bytes: u64, files: u64) -> String {
    format!("{bytes}.{files}")
}

impl BagInfo {
    /// The metadata of `run`, sealed at `sealed_at` (RFC 3339).
    pub fn new(run: RunId, sealed_at: &str, oxum: String, organization: Option<&str>) -> Self {
        Self {
            // A line feed in a configured name must not become a line of its own.
            organization: organization
                .map(|name| name.split_whitespace().collect::<Vec<_>>().join(" ")),
            date: sealed_at.chars().take(10).collect(),
            identifier: run.urn(),
            oxum,
            agent: format!("exhibit {}", env!("CARGO_PKG_VERSION")),
        }
    }

    /// The text of `bag-info.txt`.
    pub fn render(&self) -> String {
        let Self { organization, date, identifier, oxum, agent } = self;
        let organization =
            organization.as_ref().map(|name| format!("Source-Organization: {name}\n"));
        format!(
            "{}Bagging-Date: {date}\nExternal-Identifier: {identifier}\nPayload-Oxum: {oxum}\n\
             Bag-Software-Agent: {agent}\n",
            organization.unwrap_or_default()
        )
    }

    /// Read the text of `bag-info.txt`; none unless it is exactly what [`BagInfo::render`] writes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let value = |label: &str| {
            text.lines().find_map(|line| line.strip_prefix(label)?.strip_prefix(": "))
        };
        let info = Self {
            organization: value("Source-Organization").map(str::to_owned),
            date: value("Bagging-Date")?.to_owned(),
            identifier: value("External-Identifier")?.to_owned(),
            oxum: value("Payload-Oxum")?.to_owned(),
            agent: value("Bag-Software-Agent")?.to_owned(),
        };
        (info.render() == text).then_some(info)
    }
}

/// The text of a manifest. `entries` must be in bytewise order of their names.
pub fn render_manifest<'a>(entries: impl IntoIterator<Item = (&'a str, Digest)>) -> String {
    entries.into_iter().fold(String::new(), |text, (name, digest)| text + &line(name, digest))
}

fn line(name: &str, digest: Digest) -> String {
    format!("{digest}  {name}\n")
}

/// One entry of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Path inside the folder.
    pub name: String,
    /// Expected digest.
    pub sha256: Digest,
}

/// What is wrong with a line of a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    /// Not a digest, two spaces, a name and a line feed; or too long; or too many.
    Malformed,
    /// The name could leave the folder, or be read differently by different tools.
    UnsafeName,
    /// The name stands there twice.
    Duplicate,
    /// Not in bytewise order.
    Unsorted,
}

/// A manifest as it was read: all sound entries, and the faults by line number from 1.
#[derive(Debug, Default)]
pub struct Manifest {
    /// The sound entries, in the order of the file.
    pub entries: Vec<ManifestEntry>,
    /// What is wrong, and where.
    pub faults: Vec<(usize, LineFault)>,
}

impl Manifest {
    /// Read a manifest; `prefix` is what each name must begin with (`data/`, or nothing for names
    /// beside `data/`).
    pub fn parse(text: &[u8], prefix: &str) -> Self {
        let mut manifest = Self::default();
        // Names seen, for duplicates even where the order is broken.
        let mut seen = std::collections::HashSet::new();
        for (index, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
            if index >= MAX_ENTRIES {
                manifest.faults.push((index + 1, LineFault::Malformed));
                break;
            }
            let entry = match parse_line(line, prefix) {
                Err(fault) => {
                    manifest.faults.push((index + 1, fault));
                    continue;
                }
                Ok(entry) => entry,
            };
            if !seen.insert(entry.name.clone()) {
                // Not an entry a second time: a file named a million times is read once.
                manifest.faults.push((index + 1, LineFault::Duplicate));
                continue;
            }
            if manifest.entries.last().is_some_and(|last| last.name > entry.name) {
                manifest.faults.push((index + 1, LineFault::Unsorted));
            }
            manifest.entries.push(entry);
        }
        manifest
    }
}

fn parse_line(line: &[u8], prefix: &str) -> Result<ManifestEntry, LineFault> {
    let malformed = LineFault::Malformed;
    if line.len() > MAX_MANIFEST_LINE {
        return Err(malformed);
    }
    let line = line.strip_suffix(b"\n").ok_or(malformed)?;
    let line = std::str::from_utf8(line).map_err(|_| malformed)?;
    let (digest, name) = line.split_once("  ").ok_or(malformed)?;
    let sha256 = digest.parse().map_err(|_| malformed)?;
    let below = name.strip_prefix(prefix).ok_or(LineFault::UnsafeName)?;
    let depth_allowed = !prefix.is_empty() || !below.contains('/');
    if !depth_allowed || !below.split('/').all(is_safe_name) {
        return Err(LineFault::UnsafeName);
    }
    Ok(ManifestEntry { name: name.to_owned(), sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<(usize, LineFault)> {
        Manifest::parse(text.as_bytes(), "data/").faults
    }

    #[test]
    fn what_is_written_is_read_back() {
        let entries = [("data/a", Digest::of(b"a")), ("data/b/c", Digest::of(b"c"))];
        let manifest = Manifest::parse(render_manifest(entries).as_bytes(), "data/");
        assert_eq!(manifest.faults, []);
        let read: Vec<_> = manifest.entries.iter().map(|e| (e.name.as_str(), e.sha256)).collect();
        assert_eq!(read, entries);
    }

    #[test]
    fn every_fault_has_its_line() {
        let digest = Digest::of(b"");
        let line = |name: &str| format!("{digest}  {name}\n");
        let good = line("data/b");
        for (text, fault) in [
            (line("data/../x"), LineFault::UnsafeName),
            (line("/etc/passwd"), LineFault::UnsafeName),
            (line("data//x"), LineFault::UnsafeName),
            (line("data/%0a"), LineFault::UnsafeName),
            (line("data/c\r"), LineFault::UnsafeName),
            (line("bagit.txt"), LineFault::UnsafeName),
            (line("data/b"), LineFault::Duplicate),
            (line("data/a"), LineFault::Unsorted),
            (format!("{digest} data/c\n"), LineFault::Malformed),
            (format!("{digest}  data/c"), LineFault::Malformed),
            ("\n".to_owned(), LineFault::Malformed),
            (line("data/ü").to_uppercase(), LineFault::Malformed),
            (line(&format!("data/{}", "x/".repeat(3000))), LineFault::Malformed),
        ] {
            assert_eq!(faults(&format!("{good}{text}")), [(2, fault)], "{text:?}");
        }
    }

    #[test]
    fn metadata_that_we_would_not_have_written_is_refused() {
        let run: RunId = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57".parse().expect("an id");
        let info = BagInfo::new(run, "2026-11-24T08:15:46.120Z", oxum(7, 2), Some("A\nB: c"));
        let text = info.render();
        assert!(text.starts_with("Source-Organization: A B: c\nBagging-Date: 2026-11-24\n"));
        assert_eq!(BagInfo::parse(text.as_bytes()), Some(info));
        for bad in [text.replace('\n', "\r\n"), format!("{text}Payload-Oxum: 1.1\n"), text + "\n"] {
            assert_eq!(BagInfo::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_confuse_the_reader(text in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let manifest = Manifest::parse(&text, "data/");
            proptest::prop_assert!(manifest.entries.iter().all(|e| !e.name.contains("..")|| !e.name.contains("/../")));
            proptest::prop_assert!(BagInfo::parse(&text).is_none_or(|info| info.render().as_bytes() == text));
        }
    }
}
