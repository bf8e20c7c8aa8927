//! Owns what of an evidence folder is known when the bundle that it lies in has passed by once: the
//! digest and size of each file, whole the few that are read whole, and the events, packed again. No
//! file is made of it, so that a bundle of zeros fills no disk.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};

use super::header::TarType;
use super::reader::{Reader, Survey, TarEntry};
use super::{BundleError, Limits};
use crate::blob::{Blob, BlobWriter};
use crate::id::RunId;
use crate::layout::EVENTS;
use crate::sizes::is_read_whole;
use exhibit_tlog::digest::Digest;

/// How hard is tried to keep the events small while they are looked at.
const LEVEL: i32 = 1;
/// As far as a match may reach back in a bundle (`frame`), so that what was small stays small.
const WINDOW: u32 = super::frame::MAX_WINDOW;
/// Bytes of events that are kept, packed, however small the bundle is.
const LEAST_KEPT: u64 = 64 << 20;

/// What there is in a folder under one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderItem {
    /// A folder.
    Folder,
    /// A plain file.
    File {
        /// Its bytes.
        size: u64,
        /// Their digest.
        sha256: Digest,
    },
}

/// An evidence folder in a bundle.
#[derive(Debug)]
pub struct Folder {
    /// The run.
    pub run: RunId,
    /// Everything in it, by path.
    pub entries: BTreeMap<String, FolderItem>,
    whole: BTreeMap<String, Vec<u8>>,
    /// Packed.
    events: Option<Blob>,
    /// The proof beside it.
    pub proof: Option<Vec<u8>>,
}

impl Folder {
    fn new(run: RunId, proof: Option<Vec<u8>>) -> Self {
        let (entries, whole) = (BTreeMap::new(), BTreeMap::new());
        Self { run, entries, whole, events: None, proof }
    }

    /// The bytes of a file that is read whole, if it is there.
    pub fn whole(&self, path: &str) -> Option<&[u8]> {
        self.whole.get(path).map(Vec::as_slice)
    }

    /// The event chain, if it is there.
    ///
    /// # Errors
    /// What the system answers.
    pub fn events(&self) -> io::Result<Option<impl BufRead + use<>>> {
        let Some(events) = &self.events else { return Ok(None) };
        let mut decoder = zstd::Decoder::new(events.reader())?;
        decoder.window_log_max(WINDOW)?;
        Ok(Some(BufReader::new(decoder)))
    }

    fn take<R: Read>(
        &mut self,
        entry: &TarEntry,
        reader: &mut Reader<R>,
        kept: u64,
    ) -> Result<(), BundleError> {
        let Some(path) = entry.name.inside() else { return Ok(()) };
        let seen = if entry.kind == TarType::Folder {
            FolderItem::Folder
        } else if path == EVENTS {
            let mut packed = encoder(kept)?;
            let (sha256, size) = copy(reader, &mut packed)?;
            self.events = Some(packed.finish()?.blob.finish());
            FolderItem::File { size, sha256 }
        } else if is_read_whole(path) {
            let mut bytes = Vec::new();
            let (sha256, size) = copy(reader, &mut bytes)?;
            self.whole.insert(path.to_owned(), bytes);
            FolderItem::File { size, sha256 }
        } else {
            let (sha256, size) = copy(reader, &mut io::sink())?;
            FolderItem::File { size, sha256 }
        };
        self.entries.insert(path.to_owned(), seen);
        Ok(())
    }
}

/// Show `take` each folder in the bundle `packed`, which has `length` bytes, one after the other; what
/// it holds. Only when this ends well it was a bundle.
///
/// # Errors
/// [`BundleError`].
pub fn folders(
    packed: impl Read,
    length: u64,
    limits: Limits,
    mut take: impl FnMut(Folder),
) -> Result<Survey, BundleError> {
    let mut reader = Reader::open(packed, limits)?;
    let kept = length.saturating_mul(4).saturating_add(LEAST_KEPT);
    let mut proofs = BTreeMap::new();
    let mut folder: Option<Folder> = None;
    while let Some(entry) = reader.next_entry()? {
        let run = entry.name.run();
        if entry.name.is_proof() {
            let mut proof = Vec::new();
            reader.read_to_end(&mut proof)?;
            proofs.insert(run, proof);
            continue;
        }
        let mut at = match folder.take() {
            Some(folder) if folder.run == run => folder,
            before => {
                before.into_iter().for_each(&mut take);
                Folder::new(run, proofs.remove(&run))
            }
        };
        at.take(&entry, &mut reader, kept)?;
        folder = Some(at);
    }
    let survey = reader.close()?;
    folder.into_iter().for_each(&mut take);
    Ok(survey)
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<(Digest, u64)> {
    let mut hashing = exhibit_tlog::digest::Hashing::new(to);
    let size = io::copy(from, &mut hashing)?;
    Ok((hashing.finish().0, size))
}

/// Packs events, into at most `left` bytes.
struct Kept {
    blob: BlobWriter,
    left: u64,
}

fn encoder(left: u64) -> io::Result<zstd::Encoder<'static, Kept>> {
    let blob = BlobWriter::new(&std::env::temp_dir());
    let mut encoder = zstd::Encoder::new(Kept { blob, left }, LEVEL)?;
    encoder.window_log(WINDOW)?;
    encoder.long_distance_matching(true)?;
    Ok(encoder)
}

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len() as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        self.blob.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::bundle::write;

    #[expect(clippy::disallowed_methods, reason = "a test prepares a folder")]
    fn of(events: &[u8]) -> (Vec<u8>, Folder) {
        let scratch = tempfile::tempdir().expect("a folder");
        let at = scratch.path().join("019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57");
        std::fs::create_dir_all(at.join("data")).expect("made");
        std::fs::write(at.join(EVENTS), events).expect("written");
        let run = at.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("an id");
        let packed = write(Vec::new(), &[(run, &at, None)]).expect("written");
        let (length, mut seen) = (packed.len() as u64, Vec::new());
        folders(packed.as_slice(), length, Limits::default(), |folder| seen.push(folder))
            .expect("a bundle");
        (packed, seen.pop().expect("a folder"))
    }

    #[test]
    fn events_come_back_and_zeros_take_no_room() {
        let lines = (0..200_000_u64).fold(String::new(), |mut lines, line| {
            writeln!(lines, "{}", line.wrapping_mul(0x9e37_79b9_7f4a_7c15)).expect("in memory");
            lines
        });
        // As far back as a match may reach, so that only a long one finds it.
        let far = [lines.repeat(2), "x".repeat(7 << 20)].concat().repeat(2);
        for events in [Vec::new(), lines.into_bytes(), vec![0; 32 << 20], far.into_bytes()] {
            let (packed, folder) = of(&events);
            let mut back = Vec::new();
            let mut reader = folder.events().expect("readable").expect("there");
            reader.read_to_end(&mut back).expect("readable");
            assert!(back == events, "{} bytes", events.len());
            let kept = folder.events.as_ref().expect("there").len();
            assert!(kept <= 2 * packed.len() as u64 + 1000, "{kept} for {}", packed.len());
        }
    }

    #[test]
    fn events_that_are_larger_than_all_of_their_bundle_are_given_up() {
        let mut kept = encoder(1000).expect("an encoder");
        let lines: Vec<u8> =
            (0..4_000_000_u32).flat_map(|at| at.wrapping_mul(0x9e37_79b9).to_le_bytes()).collect();
        let refused = copy(&mut lines.as_slice(), &mut kept).and_then(|_| kept.finish());
        assert_eq!(refused.err().map(|error| error.kind()), Some(io::ErrorKind::FileTooLarge));
    }
}
