//! Owns the comparison of a work tree's files with those of its commit, byte by byte: no filter and
//! no conversion of line ends is applied, because those are programs and settings of the repository.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use rustix::fs::OFlags;
use serde::Serialize;
use sha1::Digest as _;

use super::git::TreeEntry;
use super::{Listed, MAX_FILE, WorkTree, WorktreeStatus};
use crate::digest::Digest;
use crate::error::{Code, Problem};

/// Most files and bytes that are compared.
const MAX_FILES: usize = 20_000;
const MAX_BYTES: u64 = 512 << 20;
/// Most changed files that are named.
const MAX_NAMED: usize = 20;

/// Whether a work tree is as its commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Every file of the commit is there as the commit has it.
    Clean,
    /// At least one is not.
    Dirty,
    /// There is too much to compare.
    Unknown,
}

/// What is known of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileFacts {
    /// Its path in the repository.
    pub path: String,
    /// Its length.
    pub size_bytes: u64,
    /// SHA-256 of its bytes as they lie there.
    pub sha256: Digest,
    /// The id git would give these bytes.
    pub blob: String,
    /// The id of the file in the commit, if that has it.
    pub blob_at_commit: Option<String>,
}

impl WorkTree {
    /// Compare with what git `listed`; of the file `wanted`, the facts and its bytes.
    ///
    /// # Errors
    /// `invalid_field` when there is no such file, or it is too large.
    pub fn compare(
        &self,
        listed: &Listed,
        wanted: Option<&str>,
    ) -> Result<(WorktreeStatus, Option<Vec<u8>>), Problem> {
        let long = listed.commit.len() == 64;
        let mut seen = WorktreeStatus {
            path: self.path.clone(),
            commit: listed.commit.clone(),
            state: State::Clean,
            compared: 0,
            changed: Vec::new(),
            reason: None,
            file: None,
        };
        let mut bytes = 0;
        for entry in &listed.files {
            // Another repository inside this one is not this one's.
            if entry.mode == "160000" {
                continue;
            }
            if seen.compared >= MAX_FILES as u64 || bytes > MAX_BYTES {
                let reason = format!("only the first {} files were compared", seen.compared);
                seen.reason = Some(reason);
                if seen.state == State::Clean {
                    seen.state = State::Unknown;
                }
                break;
            }
            seen.compared += 1;
            if !self.is_same(entry, long, MAX_BYTES - bytes.min(MAX_BYTES), &mut bytes) {
                seen.state = State::Dirty;
                if seen.changed.len() < MAX_NAMED {
                    seen.changed.push(entry.path.clone());
                }
            }
        }
        let Some(wanted) = wanted else { return Ok((seen, None)) };
        let content = self.content(wanted)?;
        let known = listed.files.iter().find(|entry| entry.path == wanted);
        seen.file = Some(FileFacts {
            path: wanted.to_owned(),
            size_bytes: content.len() as u64,
            sha256: Digest::of(&content),
            blob: blob_id(&content, long),
            blob_at_commit: known.map(|entry| entry.blob.clone()),
        });
        Ok((seen, Some(content)))
    }

    /// Whether the file of `entry` is there as the commit has it.
    fn is_same(&self, entry: &TreeEntry, long: bool, most: u64, total: &mut u64) -> bool {
        if entry.mode == "120000" {
            // A link is not followed: its target is its content.
            let target = self.link(&entry.path);
            return target.is_ok_and(|target| blob_id(&target, long) == entry.blob);
        }
        let read = self.read(&entry.path, most);
        let Ok((content, executable)) = read else { return false };
        *total += content.len() as u64;
        executable == (entry.mode == "100755") && blob_id(&content, long) == entry.blob
    }

    /// The bytes of a plain file of at most `most` bytes, and whether it may be executed.
    fn read(&self, path: &str, most: u64) -> io::Result<(Vec<u8>, bool)> {
        let file: File = self.below(path, OFlags::empty())?.into();
        let facts = file.metadata()?;
        if !facts.is_file() || facts.size() > most {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // Another name of the same file may lie anywhere on this file system.
        if facts.nlink() != 1 {
            return Err(io::ErrorKind::TooManyLinks.into());
        }
        let mut content = Vec::new();
        file.take(most + 1).read_to_end(&mut content)?;
        Ok((content, facts.permissions().mode() & 0o100 != 0))
    }

    fn link(&self, path: &str) -> io::Result<Vec<u8>> {
        let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
        let folder = self.below(folder, OFlags::DIRECTORY)?;
        Ok(rustix::fs::readlinkat(folder, name, Vec::new())?.into_bytes())
    }

    fn content(&self, path: &str) -> Result<Vec<u8>, Problem> {
        let refused = |why: &str| {
            let message = format!(
                "`path` names {why}; give the path of a plain file below the work tree, without \
                 links, of at most {MAX_FILE} bytes"
            );
            Problem::new(Code::InvalidField, message).field("path")
        };
        if path.split('/').any(|part| part == ".git") {
            return Err(refused("a file of git's own"));
        }
        let read = self.read(path, MAX_FILE).map(|(content, _)| content);
        read.map_err(|error| {
            let why = match error.kind() {
                io::ErrorKind::TooManyLinks => "a file that has another name (a hard link)",
                _ => "no file that can be read",
            };
            refused(why).because(error)
        })
    }
}

/// The id that git gives `content`: a SHA-1, or a SHA-256 in a repository of that format.
pub(super) fn blob_id(content: &[u8], long: bool) -> String {
    let head = format!("blob {}\0", content.len());
    if long {
        return Digest::of(&[head.as_bytes(), content].concat()).to_string();
    }
    let mut hash = sha1::Sha1::new();
    hash.update(head.as_bytes());
    hash.update(content);
    format!("{:x}", hash.finalize())
}
