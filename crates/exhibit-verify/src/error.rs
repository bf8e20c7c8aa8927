//! Owns what can go wrong with the store, told apart by what its owner can do about it. Every
//! error names the path it is about.

use std::io;
use std::path::{Path, PathBuf};

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another daemon holds the store.
    #[error("the store {} belongs to another running daemon; stop it or use another store", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The disk or the quota is full.
    #[error("no space left to write {}; free some and try again", .path.display())]
    Full {
        /// What was to be written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Read-only, or not ours to write.
    #[error("{} cannot be written; check owner, permissions and that the file system is not read-only", .path.display())]
    Unwritable {
        /// What was to be written or read.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name exists already; evidence is written once.
    #[error("the name {} is taken; evidence is never overwritten, choose another name", .path.display())]
    NameTaken {
        /// The name.
        path: PathBuf,
    },
    /// The name cannot be part of a path in an evidence folder.
    #[error(
        "the name {name:?} cannot be used; use 1 to 100 of A-Z a-z 0-9 . _ -, not beginning with a dot or hyphen, not ending in a dot or .partial, and no name of a device of Windows (con, nul, com1, …)"
    )]
    UnsafeName {
        /// The name as it was given.
        name: String,
    },
    /// Somebody still writes to the file.
    #[error("{} is still being written; try again when its writer has ended", .path.display())]
    BeingWritten {
        /// The file.
        path: PathBuf,
    },
    /// What an evidence folder cannot hold, so that the run could not be sealed or read again.
    #[error("{what}")]
    Unfit {
        /// Which limit it passes, and what to do.
        what: String,
    },
    /// There is no such run or file.
    #[error("{} does not exist", .path.display())]
    NotFound {
        /// What is missing.
        path: PathBuf,
    },
    /// What is there cannot be understood.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// What is damaged.
        path: PathBuf,
        /// In which way.
        what: String,
    },
    /// It failed so that nobody can tell whether it was done: the next start finds out.
    #[error("whether it was done is not known until the next start")]
    InDoubt {
        /// What went wrong.
        source: Box<StoreError>,
    },
    /// Anything else the system answered.
    #[error("working on {} failed", .path.display())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl StoreError {
    /// The error for what the system answered about `path`.
    pub fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path, source }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Self::Unwritable { path, source }
            }
            io::ErrorKind::AlreadyExists => Self::NameTaken { path },
            io::ErrorKind::NotFound => Self::NotFound { path },
            _ => Self::Io { path, source },
        }
    }

    /// The same for another who waited for the same work: what the system said cannot be told twice,
    /// but of which kind it was.
    #[must_use]
    pub fn again(&self) -> Self {
        let (path, kind) = match self {
            Self::InDoubt { source } => return Self::InDoubt { source: Box::new(source.again()) },
            Self::UnsafeName { name } => return Self::UnsafeName { name: name.clone() },
            Self::Unfit { what } => return Self::Unfit { what: what.clone() },
            Self::Damaged { path, what } => {
                return Self::Damaged { path: path.clone(), what: what.clone() };
            }
            Self::Locked { path } => return Self::Locked { path: path.clone() },
            Self::BeingWritten { path } => return Self::BeingWritten { path: path.clone() },
            Self::NameTaken { path } => (path, io::ErrorKind::AlreadyExists),
            Self::NotFound { path } => (path, io::ErrorKind::NotFound),
            Self::Full { path, source }
            | Self::Unwritable { path, source }
            | Self::Io { path, source } => (path, source.kind()),
        };
        Self::new(path, kind.into())
    }

    /// For `map_err`: the error for what the system answered about `path`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::new(path, source)
    }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn what_the_owner_can_do_decides_the_variant() {
        let of = |errno: Errno| StoreError::new(Path::new("/s/x"), errno.into());
        assert!(matches!(of(Errno::NOSPC), StoreError::Full { .. }));
        assert!(matches!(of(Errno::DQUOT), StoreError::Full { .. }));
        assert!(matches!(of(Errno::ROFS), StoreError::Unwritable { .. }));
        assert!(matches!(of(Errno::ACCESS), StoreError::Unwritable { .. }));
        assert!(matches!(of(Errno::PERM), StoreError::Unwritable { .. }));
        assert!(matches!(of(Errno::EXIST), StoreError::NameTaken { .. }));
        assert!(matches!(of(Errno::NOENT), StoreError::NotFound { .. }));
        assert!(matches!(of(Errno::IO), StoreError::Io { .. }));
        assert!(of(Errno::NOSPC).to_string().contains("/s/x"));
    }
}
