//! Owns the asking of `git`: two commands that read objects and refs, in an environment in which no
//! configuration but the repository's own is read, and nothing of that can start a program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::error::{Code, Problem};

/// How long git may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of an answer of its.
const MAX_ANSWER: u64 = 16 << 20;

/// A repository to be asked.
pub(super) struct Git {
    folder: PathBuf,
}

/// A file of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TreeEntry {
    /// `100644`, `100755`, `120000` (a link) or `160000` (another repository).
    pub(super) mode: String,
    /// The id of its content.
    pub(super) blob: String,
    pub(super) path: String,
}

impl Git {
    pub(super) fn new(work_tree: &Path) -> Self {
        Self { folder: work_tree.join(".git") }
    }

    /// What git answers to `command`.
    pub(super) async fn ask(&self, command: &[&str]) -> Result<Vec<u8>, Problem> {
        let settings = [
            // The repository may belong to the agent's user; nothing of it is trusted anyway.
            "safe.directory=*",
            "core.fsmonitor=",
            "core.hooksPath=/dev/null",
            "protocol.allow=never",
        ];
        let mut git = Command::new("git");
        git.env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .env("HOME", "/nonexistent")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0")
            // A missing object of a partial clone would be fetched, by a program of its choice.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "none")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_DIR", &self.folder)
            .env("GIT_COMMON_DIR", &self.folder)
            .env("GIT_OBJECT_DIRECTORY", self.folder.join("objects"))
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", "")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        for setting in settings {
            git.args(["-c", setting]);
        }
        git.arg("--no-pager").args(command);
        let mut child = git.spawn().map_err(|error| {
            let message = "git cannot be started on the daemon's host; install it, or attach the \
                           file and name it as `attachment`";
            Problem::new(Code::NotSupported, message).because(error)
        })?;
        let mut answer = Vec::new();
        let stdout = child.stdout.take();
        let reading = async {
            if let Some(stdout) = stdout {
                stdout.take(MAX_ANSWER + 1).read_to_end(&mut answer).await?;
            }
            if answer.len() as u64 > MAX_ANSWER {
                return Err(std::io::ErrorKind::FileTooLarge.into());
            }
            child.wait().await
        };
        match tokio::time::timeout(PATIENCE, reading).await {
            Ok(Ok(status)) if status.success() => Ok(answer),
            Ok(Ok(_)) => Err(unreadable("git finds no commit in it")),
            Ok(Err(error)) => Err(unreadable("git says too much of it").because(error)),
            Err(_) => Err(unreadable("git takes too long over it")),
        }
    }
}

/// What is said of a repository that cannot be read. What git says itself may hold other files'
/// text, and is told to nobody.
pub(super) fn unreadable(why: &str) -> Problem {
    let message = format!("`work_tree` cannot be read: {why}; mend it, or attach the file instead");
    Problem::new(Code::InvalidField, message).field("work_tree")
}

/// The files in the answer of `ls-tree -r -z`.
pub(super) fn entries(answer: &[u8]) -> Result<Vec<TreeEntry>, Problem> {
    let strange = || unreadable("git lists its files in an unknown way");
    let mut entries = Vec::new();
    for line in answer.split(|byte| *byte == 0).filter(|line| !line.is_empty()) {
        let line = String::from_utf8_lossy(line);
        let (facts, path) = line.split_once('\t').ok_or_else(strange)?;
        let mut facts = facts.split(' ');
        let (mode, _, blob) = (facts.next(), facts.next(), facts.next());
        let (Some(mode), Some(blob)) = (mode, blob) else { return Err(strange()) };
        entries.push(TreeEntry {
            mode: mode.to_owned(),
            blob: blob.to_owned(),
            path: path.to_owned(),
        });
    }
    Ok(entries)
}
