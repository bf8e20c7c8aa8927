//! Owns the names of the files beside the log's checkpoints: requests for timestamps, and responses.

use std::io;
use std::path::Path;

use exhibit_tlog::tile::grouped;

use super::HISTORY;
use crate::disk;
use crate::error::StoreError;
use crate::layout::{self, FolderEntry};
use crate::timestamp::MAX_STAMP;

/// Timestamps that one checkpoint may have: from so many authorities.
pub const MAX_PER_CHECKPOINT: u32 = 16;

/// What a file among the checkpoints is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StampFile {
    /// A request.
    Request(u64),
    /// A response to it, the first, second and so on.
    Response(u64, u32),
}

impl StampFile {
    /// By its path among the checkpoints, in its one form; none for any other file.
    pub fn parse(path: &str) -> Option<Self> {
        let (stem, ending) = path.rsplit_once('.')?;
        let (stem, number) = match stem.split_once('.') {
            Some((stem, number)) => (stem, number.parse().ok()?),
            None => (stem, 1),
        };
        let digits: String = stem.chars().filter(char::is_ascii_digit).collect();
        let size = digits.parse().ok()?;
        let file = match ending {
            "tsq" => Self::Request(size),
            "tsr" if (1..=MAX_PER_CHECKPOINT).contains(&number) => Self::Response(size, number),
            _ => return None,
        };
        (file.path() == path).then_some(file)
    }

    /// Size of the checkpoint it is over.
    pub fn size(self) -> u64 {
        match self {
            Self::Request(size) | Self::Response(size, _) => size,
        }
    }

    /// Its path among the checkpoints.
    pub fn path(self) -> String {
        match self {
            Self::Request(size) => format!("{}.tsq", grouped(size)),
            Self::Response(size, 1) => format!("{}.tsr", grouped(size)),
            Self::Response(size, number) => format!("{}.{number}.tsr", grouped(size)),
        }
    }

    /// The bytes of it, in the store at `root`.
    ///
    /// # Errors
    /// `FileTooLarge` for more than a timestamp can have; see [`StoreError`].
    pub fn read(self, root: &Path) -> Result<Vec<u8>, StoreError> {
        let path = root.join(HISTORY).join(self.path());
        disk::read_limited(&path, MAX_STAMP).map_err(StoreError::at(&path))
    }

    /// Those of the store at `root`, smallest checkpoint first.
    ///
    /// # Errors
    /// What the system answers.
    pub fn all(root: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        collect(&root.join(HISTORY), "", &mut found)?;
        found.sort_unstable_by_key(|file| (file.size(), *file));
        Ok(found)
    }
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<StampFile>) -> io::Result<()> {
    for FolderEntry { name, path, kind } in layout::entries(folder)? {
        let Some(name) = name.to_str() else { continue };
        if kind.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), found)?;
        } else {
            found.extend(StampFile::parse(&format!("{prefix}{name}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_one_name() {
        for file in [
            StampFile::Request(0),
            StampFile::Request(1_234_067),
            StampFile::Response(999, 1),
            StampFile::Response(1000, 2),
            StampFile::Response(1000, 16),
        ] {
            assert_eq!(StampFile::parse(&file.path()), Some(file));
        }
        assert_eq!(StampFile::Response(1_234_067, 3).path(), "x001/x234/067.3.tsr");
        for other in [
            "067.note",
            "67.tsr",
            "067.1.tsr",
            "067.02.tsr",
            "067.2.tsq",
            "x001/67.tsr",
            "1067.tsr",
            "067.tsr.tsr",
            "stamped.note",
            "",
            ".tsr",
            "067.2.2.tsr",
            "021.17.tsr",
            "067.+2.tsr",
            "067.0.tsr",
        ] {
            assert_eq!(StampFile::parse(other), None, "{other}");
        }
    }
}
