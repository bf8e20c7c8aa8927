//! Owns the looking at a git work tree: which commit it is at, whether its files are that commit's,
//! and the bytes of one of them. The repository is treated as hostile: nothing of it is run, nothing
//! outside it is read, and `git` is asked only for what stands in its objects (docs/decisions says
//! why). Looks only where the configuration allows, and changes nothing.

mod compare;
mod git;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use serde::Serialize;

pub use compare::{FileFacts, State};
use git::Git;

use crate::disk::flags::without_openat2;
use crate::error::{Code, Problem};

/// Largest file whose bytes are kept.
pub const MAX_FILE: u64 = 1 << 20;

/// What was seen of a work tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorktreeStatus {
    /// Its folder.
    pub path: PathBuf,
    /// The commit it is at.
    pub commit: String,
    /// Whether the files that the commit has are there as it has them.
    pub state: State,
    /// Files that were compared.
    pub compared: u64,
    /// The first files that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Why it could not be told, where it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The file that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<FileFacts>,
}

/// A work tree that may be looked at.
#[derive(Debug)]
pub struct WorkTree {
    path: PathBuf,
    /// Its folder, held open: whatever is put in its place meanwhile is not looked at.
    folder: OwnedFd,
}

impl WorkTree {
    /// The work tree at `path`, which must lie in one of `allowed`.
    ///
    /// # Errors
    /// `target_forbidden`, or `invalid_field` for what is no work tree.
    pub fn open(path: &str, allowed: &[PathBuf]) -> Result<Self, Problem> {
        let refused = || {
            let message = "`work_tree` lies in no folder of `code.work_trees`; ask the operator to \
                           allow it there, or attach the file and name it as `attachment`";
            Problem::new(Code::TargetForbidden, message).field("work_tree")
        };
        // Where nothing is allowed, nothing is looked at: the answer must not tell what exists.
        let real = Path::new(path).canonicalize().map_err(|_| refused())?;
        let inside = allowed.iter().filter_map(|folder| folder.canonicalize().ok());
        if !Path::new(path).is_absolute() || !inside.into_iter().any(|top| real.starts_with(top)) {
            return Err(refused());
        }
        let folder = File::open(&real).map_err(|_| refused())?.into();
        let tree = Self { path: real, folder };
        tree.check()?;
        Ok(tree)
    }

    /// Refuse repositories that lead elsewhere.
    fn check(&self) -> Result<(), Problem> {
        let refused = |why: &str| {
            let message = format!(
                "`work_tree` {why}; give the top folder of an ordinary clone, with its own `.git`"
            );
            Problem::new(Code::InvalidField, message).field("work_tree")
        };
        for folder in [".git", ".git/objects", ".git/refs"] {
            match self.below(folder, OFlags::DIRECTORY) {
                Ok(_) => {}
                Err(Errno::NOSYS) => {
                    let error = without_openat2(Errno::NOSYS);
                    return Err(Problem::internal("opening a work tree", error));
                }
                Err(_) => return Err(refused("is no work tree of git")),
            }
        }
        let absent = |name: &str| matches!(self.below(name, OFlags::PATH), Err(Errno::NOENT));
        let elsewhere = ["commondir", "objects/info/alternates", "objects/info/http-alternates"];
        let elsewhere = elsewhere.iter().any(|name| !absent(&format!(".git/{name}")));
        // Folders of objects that are links would lead to those of another repository.
        let folders = (0..=255_u8).map(|number| format!("{number:02x}"));
        let mut folders = folders.chain(["pack".to_owned(), "info".to_owned()]);
        let linked = folders.any(|name| {
            let name = format!(".git/objects/{name}");
            !absent(&name) && self.below(&name, OFlags::DIRECTORY).is_err()
        });
        if elsewhere || linked {
            return Err(refused("takes its objects from elsewhere"));
        }
        Ok(())
    }

    /// Open what is called `name` below the folder, by no link and in no other place.
    fn below(&self, name: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        // A pipe must not keep us waiting.
        let flags = flags | OFlags::CLOEXEC;
        let flags = if flags.contains(OFlags::PATH) { flags } else { flags | OFlags::NONBLOCK };
        rustix::fs::openat2(&self.folder, name, flags, Mode::empty(), resolve)
    }

    /// What `git` says of it: its commit, and the files of that.
    ///
    /// # Errors
    /// `invalid_field` when git cannot say it.
    pub async fn listed(&self) -> Result<Listed, Problem> {
        let git = Git::new(&self.path);
        let commit =
            git.ask(&["rev-parse", "--verify", "--end-of-options", "HEAD^{commit}"]).await?;
        let commit = String::from_utf8_lossy(&commit).trim().to_owned();
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if !matches!(commit.len(), 40 | 64) || !commit.bytes().all(hex) {
            return Err(git::unreadable("its commit has no id"));
        }
        let files = git.ask(&["ls-tree", "-r", "-z", "--full-tree", &commit]).await?;
        Ok(Listed { commit, files: git::entries(&files)? })
    }
}

/// What git says of a work tree.
#[derive(Debug)]
pub struct Listed {
    commit: String,
    files: Vec<git::TreeEntry>,
}
