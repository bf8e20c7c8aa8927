//! Owns what guard and daemon remember of the log, outside the store: the largest size that was seen,
//! with its root. Whoever has the store's files alone cannot put an older state of the log, another, or
//! none in its place without either noticing.
//!
//! The guard's file grows only, in a folder that lets no name go, both by flags which nobody takes off
//! but who has the capability: the store's own user can add to it, which makes the guard hold on to
//! more, and cannot take anything back. Without flags, and for the daemon, it is an ordinary file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::digest::Digest;
use crate::disk::flags::Held;
use crate::disk::{self, Appending};
use crate::error::chain;
use crate::evidence::log::{LogReader, TreeReader};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::tree;

/// Largest file that is added to; beyond it is written anew, with its last line.
const MOST: u64 = 1 << 20;
/// Largest file that is read.
const LIMIT: u64 = 64 << 20;
const MODE: u32 = 0o600;

/// The head of the log's tree: its size and root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeHead {
    /// Entries.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
}

/// What was seen.
#[derive(Debug)]
pub(crate) struct Memory {
    folder: PathBuf,
    /// Name of the file in it.
    name: String,
    /// Whether flags are set on both.
    flags: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    seen: Option<TreeHead>,
    file: Appending,
    length: u64,
}

impl Memory {
    /// Take up what is remembered in `folder` of the log called `log`, and begin where nothing is; with
    /// `flags`, so that nothing can be taken back, where there are any.
    ///
    /// # Errors
    /// `InvalidData` where what is there is no memory: it may be that of an older state which somebody
    /// wants forgotten. What the system answers.
    pub(crate) fn open(folder: &Path, log: &str, flags: bool) -> io::Result<Self> {
        disk::make_dirs(folder)?;
        let name = format!("seen-{}", &Digest::of(log.as_bytes()).to_string()[..16]);
        let path = folder.join(&name);
        let text = match disk::read_limited(&path, LIMIT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let seen = largest(&text);
        // To the guard's, which only grows, its user can add what is none; that takes nothing back.
        if !(is_memory(&text) || flags && seen.is_some()) {
            let what = format!("{} does not hold what is remembered of a log", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        if text.len() as u64 > MOST
            && let Some(seen) = seen
        {
            write_anew(folder, &name, seen)?;
        }
        let mut file = Appending::open(&path)?;
        if flags {
            hold(folder, &name);
        }
        let mut length = path.metadata()?.len();
        // A line that was cut short must not spoil the next.
        if !text.is_empty() && !text.ends_with(b"\n") {
            file.append(b"\n")?;
            length += 1;
        }
        let state = Mutex::new(State { seen, file, length });
        Ok(Self { folder: folder.to_owned(), name, flags, state })
    }

    /// The largest state that was seen.
    pub(crate) fn tree_head(&self) -> Option<TreeHead> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).seen
    }

    /// Remember `seen`, which goes on from what was seen.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub(crate) fn see(&self, seen: TreeHead) -> Result<(), String> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.seen.is_some_and(|before| before.size >= seen.size) {
            return Ok(());
        }
        let line = line(seen);
        let written = if state.length > MOST {
            write_anew(&self.folder, &self.name, seen).and_then(|()| {
                state.file = Appending::open(&self.folder.join(&self.name))?;
                state.length = 0;
                Ok(())
            })
        } else {
            state.file.append(line.as_bytes())
        };
        written.map_err(|error| {
            format!("what was seen of the log cannot be remembered: {}", chain(&error))
        })?;
        state.length += line.len() as u64;
        state.seen = Some(seen);
        if self.flags {
            hold(&self.folder, &self.name);
        }
        Ok(())
    }

    /// Remember the state that `checkpoint` states.
    ///
    /// # Errors
    /// Why it cannot be, in words.
    pub(crate) fn see_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        self.see(TreeHead { size: checkpoint.size, root: checkpoint.root })
    }

    /// Whether the log that `reader` reads, whose newest checkpoint is `checkpoint`, goes on from what
    /// was seen.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) fn check(&self, reader: &LogReader, checkpoint: &Checkpoint) -> Result<(), String> {
        let Some(seen) = self.tree_head() else { return Ok(()) };
        let (size, root) = (checkpoint.size, checkpoint.root);
        if size < seen.size {
            return Err(format!(
                "the log has {size} entries, and {} were seen before: an older state of it was put \
                 in its place",
                seen.size
            ));
        }
        let damaged = |error: &io::Error| format!("the log cannot be read: {error}");
        let tree = TreeReader::new(reader, size);
        let proof =
            tree::consistency_proof(&tree, seen.size, size).map_err(|error| damaged(&error))?;
        if tree::verify_consistency(seen.size, seen.root, size, root, &proof) {
            return Ok(());
        }
        Err(format!(
            "the log does not go on from the {} entries that were seen before: it is another",
            seen.size
        ))
    }

    /// The file, for those who decide that an older state counts.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }
}

fn line(seen: TreeHead) -> String {
    format!("{} {}\n", seen.size, seen.root)
}

/// Whether each line of `text` is a state, or the beginning of one that was cut short.
fn is_memory(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').all(|line| {
        let size = line.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let root = line[size..].strip_prefix(b" ").unwrap_or(&line[size..]);
        let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (size > 0 || line.is_empty()) && root.len() <= 64 && root.iter().all(hex)
    })
}

/// The largest state of those in `text`; what is no whole line was cut short.
fn largest(text: &[u8]) -> Option<TreeHead> {
    let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &text[..end]);
    let lines = std::str::from_utf8(whole).unwrap_or_default().lines();
    let states = lines.filter_map(|line| {
        let (size, root) = line.split_once(' ')?;
        Some(TreeHead { size: size.parse().ok()?, root: root.parse().ok()? })
    });
    states.max_by_key(|seen| seen.size)
}

/// Write the file anew with `seen` alone.
fn write_anew(folder: &Path, name: &str, seen: TreeHead) -> io::Result<()> {
    let held = Held::open(folder)?;
    // On a file system without flags there is nothing to take off.
    drop(held.set_append_only_here(false));
    drop(held.set_append_only_on(Path::new(name), false));
    disk::replace(&folder.join(name), line(seen).as_bytes(), MODE)
}

/// Set the flags, where there are any.
fn hold(folder: &Path, name: &str) {
    let set = || {
        let held = Held::open(folder)?;
        held.set_append_only_on(Path::new(name), true)?;
        held.set_append_only_here(true)
    };
    if let Err(error) = set() {
        tracing::debug!(%error, "what the guard remembers is an ordinary file");
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test plays whoever is in the way")]
mod tests {
    use std::fs;

    use super::*;

    fn head_of(size: u64) -> TreeHead {
        TreeHead { size, root: Digest::of(&size.to_le_bytes()) }
    }

    /// Takes the flags off, so that the folder can be removed.
    struct Off(tempfile::TempDir);

    impl Drop for Off {
        fn drop(&mut self) {
            let at = self.0.path();
            drop(std::process::Command::new("chattr").args(["-R", "-a"]).arg(at).output());
        }
    }

    #[test]
    fn the_largest_is_remembered_through_restarts_and_lines_cut_short() {
        let off = Off(tempfile::tempdir().expect("a folder"));
        let folder = off.0.path().join("state");
        let memory = Memory::open(&folder, "log", true).expect("opened");
        assert_eq!(memory.tree_head(), None);
        for size in [3, 7, 5] {
            memory.see(head_of(size)).expect("remembered");
        }
        assert_eq!(memory.tree_head(), Some(head_of(7)));
        drop(memory);
        let memory = Memory::open(&folder, "log", true).expect("opened");
        assert_eq!(memory.tree_head(), Some(head_of(7)));
        assert_eq!(Memory::open(&folder, "another", true).expect("opened").tree_head(), None);
        // What others add takes nothing back.
        let file = folder.join(&memory.name);
        drop(memory);
        let mut more = fs::OpenOptions::new().append(true).open(&file).expect("it can be added to");
        std::io::Write::write_all(&mut more, b"nonsense\n1 x\n9 cut sho").expect("written");
        let memory = Memory::open(&folder, "log", true).expect("opened");
        assert_eq!(memory.tree_head(), Some(head_of(7)));
        memory.see(head_of(8)).expect("remembered");
        assert_eq!(
            Memory::open(&folder, "log", true).expect("opened").tree_head(),
            Some(head_of(8))
        );
    }

    #[test]
    fn a_file_that_has_grown_is_written_anew() {
        let off = Off(tempfile::tempdir().expect("a folder"));
        let folder = off.0.path().join("state");
        let memory = Memory::open(&folder, "log", true).expect("opened");
        let file = folder.join(&memory.name);
        for size in 0..15_000 {
            let lines = memory.state.lock().expect("alone").length / 70;
            if lines > 14_000 {
                break;
            }
            memory.state.lock().expect("alone").length += 7000;
            memory.see(head_of(size)).expect("remembered");
        }
        let (last, length) =
            (memory.tree_head().expect("some"), file.metadata().expect("there").len());
        drop(memory);
        assert_eq!(Memory::open(&folder, "log", true).expect("opened").tree_head(), Some(last));
        assert!(length < MOST, "{length}");
    }

    #[test]
    fn nobody_takes_back_what_was_seen_where_there_are_flags() {
        let off = Off(tempfile::tempdir().expect("a folder"));
        let folder = off.0.path().join("state");
        let memory = Memory::open(&folder, "log", true).expect("opened");
        memory.see(head_of(7)).expect("remembered");
        let file = folder.join(&memory.name);
        if !crate::disk::flags::is_append_only(&file).expect("seen") {
            return;
        }
        fs::write(&file, "").expect_err("cut short");
        fs::remove_file(&file).expect_err("removed");
        fs::rename(&file, folder.join("other")).expect_err("renamed");
        fs::rename(&folder, off.0.path().join("other")).expect_err("its folder renamed");
        assert_eq!(
            Memory::open(&folder, "log", true).expect("opened").tree_head(),
            Some(head_of(7))
        );
    }
}
