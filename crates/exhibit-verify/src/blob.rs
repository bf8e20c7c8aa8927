//! Owns bytes on their way into evidence and to a caller: in memory while they are few, in a file
//! without a name once they are many. Cheap to clone; nothing is left when the last clone goes.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use exhibit_tlog::digest::Digest;

/// Most bytes that are held in memory.
const IN_MEMORY: usize = 4 * 1024 * 1024;
/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// Bytes that do not change any more.
#[derive(Clone, Debug)]
pub struct Blob(Arc<BlobStorage>);

#[derive(Debug)]
enum BlobStorage {
    Memory(Vec<u8>),
    File { file: File, length: u64 },
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(BlobStorage::Memory(bytes)))
    }
}

impl Blob {
    /// The first `length` bytes of a file that does not change any more.
    pub fn of_file(file: File, length: u64) -> Self {
        Self(Arc::new(BlobStorage::File { file, length }))
    }

    /// Number of bytes.
    pub fn len(&self) -> u64 {
        match &*self.0 {
            BlobStorage::Memory(bytes) => bytes.len() as u64,
            BlobStorage::File { length, .. } => *length,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them at once: for what cannot do with less.
    ///
    /// # Errors
    /// What the system answers.
    pub fn bytes(&self) -> io::Result<Cow<'_, [u8]>> {
        if let BlobStorage::Memory(bytes) = &*self.0 {
            return Ok(Cow::Borrowed(bytes));
        }
        let mut bytes = Vec::new();
        self.reader().read_to_end(&mut bytes)?;
        Ok(Cow::Owned(bytes))
    }

    /// A reader of its own, from the beginning.
    pub fn reader(&self) -> BlobReader {
        BlobReader { blob: self.clone(), at: 0 }
    }

    /// SHA-256 of the bytes.
    ///
    /// # Errors
    /// What the system answers.
    pub fn digest(&self) -> io::Result<Digest> {
        match &*self.0 {
            BlobStorage::Memory(bytes) => Ok(Digest::of(bytes)),
            BlobStorage::File { .. } => Digest::of_reader(self.reader()).map(|(digest, _)| digest),
        }
    }

    /// A file with the bytes, for another program to read: one without a name in `folder` where they
    /// are in memory.
    ///
    /// # Errors
    /// What the system answers.
    pub fn to_file(&self, folder: &Path) -> io::Result<File> {
        match &*self.0 {
            BlobStorage::File { file, .. } => file.try_clone(),
            BlobStorage::Memory(bytes) => {
                let mut file = tempfile::tempfile_in(folder)?;
                file.write_all(bytes)?;
                Ok(file)
            }
        }
    }

    /// The bytes piece by piece.
    pub fn pieces(&self) -> impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'static {
        self.part(0, self.len())
    }

    /// The `length` bytes from `at` on, piece by piece; fewer where it ends before.
    pub fn part(
        &self,
        at: u64,
        length: u64,
    ) -> impl Iterator<Item = io::Result<Vec<u8>>> + Send + 'static {
        let mut reader = BlobReader { blob: self.clone(), at }.take(length);
        std::iter::from_fn(move || {
            let mut piece = vec![0; PIECE];
            match reader.read(&mut piece) {
                Ok(0) => None,
                Ok(length) => {
                    piece.truncate(length);
                    Some(Ok(piece))
                }
                Err(error) => Some(Err(error)),
            }
        })
    }
}

/// Reads a blob, independently of its other readers.
#[derive(Debug)]
pub struct BlobReader {
    blob: Blob,
    at: u64,
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &*self.blob.0 {
            BlobStorage::Memory(bytes) => {
                let at = usize::try_from(self.at).unwrap_or(usize::MAX).min(bytes.len());
                (&bytes[at..]).read(buffer)?
            }
            BlobStorage::File { file, .. } => file.read_at(buffer, self.at)?,
        };
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for BlobReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(step) => self.at.checked_add_signed(step),
            SeekFrom::End(step) => self.blob.len().checked_add_signed(step),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// A blob being written.
#[derive(Debug)]
pub struct BlobWriter {
    folder: PathBuf,
    memory: Vec<u8>,
    file: Option<File>,
    length: u64,
}

impl BlobWriter {
    /// Nothing written yet; what becomes large goes to the file system of `folder`.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), memory: Vec::new(), file: None, length: 0 }
    }

    /// What was written.
    pub fn finish(self) -> Blob {
        match self.file {
            Some(file) => Blob(Arc::new(BlobStorage::File { file, length: self.length })),
            None => self.memory.into(),
        }
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.file.is_none() && self.memory.len() + bytes.len() > IN_MEMORY {
            let mut file = tempfile::tempfile_in(&self.folder)?;
            file.write_all(&std::mem::take(&mut self.memory))?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes)?,
            None => self.memory.extend_from_slice(bytes),
        }
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_stay_in_memory_and_many_go_to_a_file_without_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for length in [0, 1, IN_MEMORY, IN_MEMORY + 1, 3 * IN_MEMORY] {
            let bytes: Vec<u8> =
                (0..length).map(|at| u8::try_from(at % 251).expect("small")).collect();
            let mut writer = BlobWriter::new(folder.path());
            for piece in bytes.chunks(1_000_003) {
                writer.write_all(piece).expect("written");
            }
            let blob = writer.finish();
            assert_eq!(
                matches!(&*blob.0, BlobStorage::File { .. }),
                length > IN_MEMORY,
                "{length}"
            );
            assert_eq!((blob.len(), blob.is_empty()), (length as u64, length == 0));
            assert_eq!(blob.digest().expect("read"), Digest::of(&bytes));
            let (one, other) = (blob.clone(), blob.clone());
            let pieces = one.pieces().collect::<io::Result<Vec<_>>>().expect("read").concat();
            assert!(pieces == bytes && *other.bytes().expect("read") == bytes, "{length}");
            let (from, to) = (length / 3, length / 2);
            let part = one.part(from as u64, (to - from) as u64).collect::<io::Result<Vec<_>>>();
            assert!(part.expect("read").concat() == bytes[from..to], "{length}");
            assert_eq!(one.part(length as u64 + 1, 1).count(), 0);
            assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
        }
    }
}
