//! Owns a file that grows while a run is open and must survive a crash as far as it is: its writer, and
//! what its run knows of it meanwhile.

use std::any::Any;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::digest::Digest;
use crate::disk;

/// A file of a run that grows. When it is dropped it stays as it is, to be made part of the run.
#[derive(Debug)]
pub struct GrowingFile {
    path: PathBuf,
    file: disk::Growing,
    /// Bytes that must stay free on its file system.
    head_room: u64,
    since_checked: u64,
    /// Alive while somebody may write. The fields are dropped in this order: the file is closed
    /// before anybody can see that its writer is gone.
    _writer: Arc<()>,
    /// What has to last as long as the file is written.
    _held: Option<Box<dyn Any + Send>>,
}

impl GrowingFile {
    /// Begin one at `path`, which must be free; what its run knows of it comes with it.
    pub(super) fn begin(path: &Path, head_room: u64) -> io::Result<(Self, Begun)> {
        let file = disk::Growing::create(path)?;
        let grown = file.grown()?;
        let writer = Arc::new(());
        let begun = Begun { writer: Arc::downgrade(&writer), grown };
        let path = path.to_owned();
        let file = Self { path, file, head_room, since_checked: 0, _writer: writer, _held: None };
        Ok((file, begun))
    }

    /// The same file, which keeps `held` until nobody writes to it any more.
    #[must_use]
    pub fn holding(self, held: impl Any + Send) -> Self {
        Self { _held: Some(Box::new(held)), ..self }
    }
}

/// A file that grows, as its run knows it.
#[derive(Debug)]
pub(super) struct Begun {
    writer: Weak<()>,
    grown: disk::Grown,
}

impl Begun {
    /// Whether its writer lives.
    pub(super) fn is_being_written(&self) -> bool {
        self.writer.strong_count() > 0
    }

    /// Digest and size of what was written, and the file itself, for reading.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidData`] when it is not what was written; what the system answers.
    pub(super) fn finish(&self) -> io::Result<(Digest, u64, File)> {
        self.grown.finish()
    }
}

/// The disk is looked at again after so many bytes.
const CHECK_EVERY: u64 = 4 * 1024 * 1024;

impl GrowingFile {
    /// Append `bytes`.
    ///
    /// # Errors
    /// [`io::ErrorKind::StorageFull`] when its head-room is used up; what the system answers.
    pub fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.since_checked += bytes.len() as u64;
        if self.since_checked >= CHECK_EVERY {
            self.since_checked = 0;
            if disk::free_bytes(&self.path)? < self.head_room {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        self.file.append(bytes)
    }

    /// Make durable what was appended, then write `bytes` over what stands at `at`.
    ///
    /// # Errors
    /// What the system answers.
    pub fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.patch(at, bytes)
    }
}
