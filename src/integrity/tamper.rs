//! Owns tamper events and how they are reported: of which run or part of the store, in which way,
//! and grouped, so that a thousand at once are one thing to say. Sees no file.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use serde::Serialize;

use crate::id::RunId;

/// Most paths of a burst that are told by name.
const TOLD: usize = 8;
/// Longest path that is told, in bytes of its spelling.
const LONGEST: usize = 200;
/// Folders below a run's `data/` whose files have names of the caller's choosing.
const CALLERS: [&str; 2] = ["attachments", "code"];

/// What was done. Reading is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TamperKind {
    /// A file's content was written or cut.
    Modified,
    /// A file was open for writing: what a memory map wrote shows only by this.
    Written,
    /// Permissions, owner, times, extended attributes.
    Attributes,
    /// A file or folder was made.
    Created,
    /// One was removed.
    Removed,
    /// One got another name, or went elsewhere.
    MovedAway,
    /// One came from elsewhere, or from another name.
    MovedHere,
    /// What was watched is gone with its file system.
    Unmounted,
}

/// A change by somebody else: what kind, and of which path below the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TamperEvent {
    /// Path below the store.
    pub path: PathBuf,
    /// What was done to it.
    pub kind: TamperKind,
}

/// What was changed, as it is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TamperPlace {
    /// A sealed run.
    Run(RunId),
    /// A folder between `runs/` and the runs, or what does not belong there.
    Runs,
    /// The log.
    Log,
    /// The checkpoints there were.
    Checkpoints,
    /// The bundles of other stores that are kept.
    Imported,
    /// The store's own folder.
    Store,
}

impl TamperPlace {
    /// What `path`, which is one below the store, belongs to.
    pub fn of(path: &Path) -> Self {
        let mut parts = path.components().map(Component::as_os_str);
        match parts.next().map(OsStr::as_bytes) {
            Some(b"runs") => {
                let run = parts.nth(3).and_then(|name| name.to_str()?.parse().ok());
                run.map_or(Self::Runs, Self::Run)
            }
            Some(b"log") => Self::Log,
            Some(b"checkpoints") => Self::Checkpoints,
            Some(b"imported") => Self::Imported,
            _ => Self::Store,
        }
    }
}

impl fmt::Display for TamperPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(run) => run.fmt(f),
            Self::Runs => f.write_str("runs"),
            Self::Log => f.write_str("log"),
            Self::Checkpoints => f.write_str("checkpoints"),
            Self::Imported => f.write_str("imported"),
            Self::Store => f.write_str("store"),
        }
    }
}

/// The tamper events of one place within a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Burst {
    /// How many of which kind.
    #[serde(rename = "touched")]
    pub tamper_events: BTreeMap<TamperKind, u64>,
    /// Paths below the store, some of them; names that a caller chose are left out, so that the
    /// log, which outlives the evidence, holds nothing of theirs.
    pub paths: BTreeSet<String>,
    /// Whether there were more paths.
    pub more: bool,
}

impl Burst {
    /// Take in an event.
    pub fn add(&mut self, event: &TamperEvent) {
        *self.tamper_events.entry(event.kind).or_default() += 1;
        let told = shown_path(&event.path);
        if self.paths.len() < TOLD {
            self.paths.insert(told);
        } else {
            self.more |= !self.paths.contains(&told);
        }
    }

    /// Take in all of another burst.
    pub fn join(&mut self, other: Self) {
        for (kind, count) in other.tamper_events {
            *self.tamper_events.entry(kind).or_default() += count;
        }
        self.more |= other.more;
        for path in other.paths {
            if self.paths.len() < TOLD {
                self.paths.insert(path);
            } else {
                self.more |= !self.paths.contains(&path);
            }
        }
    }

    /// How many events.
    pub fn count(&self) -> u64 {
        self.tamper_events.values().sum()
    }
}

/// `path` in a spelling that can be shown, without names of callers.
fn shown_path(path: &Path) -> String {
    let parts: Vec<&OsStr> = path.components().map(Component::as_os_str).collect();
    let callers = matches!(parts.get(5..7), Some([data, folder])
        if *data == "data" && CALLERS.iter().any(|name| folder == name));
    let shown = if callers { &parts[..7] } else { &parts[..] };
    let mut text = String::new();
    for part in shown {
        if !text.is_empty() {
            text.push('/');
        }
        text.push_str(&part.as_bytes().escape_ascii().to_string());
    }
    if callers && parts.len() > shown.len() {
        text.push_str("/…");
    }
    if text.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

    fn event(path: &str) -> TamperEvent {
        TamperEvent { path: path.into(), kind: TamperKind::Modified }
    }

    #[test]
    fn a_path_belongs_to_its_run_or_to_a_part_of_the_store() {
        let run = format!("runs/2026/11/23/{RUN}");
        let own = TamperPlace::Run(RUN.parse().expect("an id"));
        for (path, place) in [
            (run.as_str(), own),
            (&format!("{run}/data/run.json"), own),
            ("runs/2026/11/23", TamperPlace::Runs),
            ("runs/2026/11/23/notes.txt", TamperPlace::Runs),
            ("runs", TamperPlace::Runs),
            ("log/tile/0/000", TamperPlace::Log),
            ("checkpoints/000000001.note", TamperPlace::Checkpoints),
            ("imported/x.tar.zst", TamperPlace::Imported),
            ("", TamperPlace::Store),
        ] {
            assert_eq!(TamperPlace::of(Path::new(path)), place, "{path}");
        }
    }

    #[test]
    fn a_burst_counts_all_and_names_some() {
        let mut burst = Burst::default();
        for number in 0..20 {
            burst.add(&event(&format!("log/{number:02}")));
            burst.add(&event("log/00"));
        }
        assert_eq!((burst.count(), burst.paths.len(), burst.more), (40, TOLD, true));
        let mut other = Burst::default();
        other.add(&TamperEvent { path: "log".into(), kind: TamperKind::Removed });
        other.join(burst);
        assert_eq!(other.tamper_events[&TamperKind::Modified], 40);
        assert_eq!((other.count(), other.paths.len(), other.more), (41, TOLD, true));
    }

    #[test]
    fn names_that_callers_chose_are_not_told_and_others_can_be_shown() {
        let run = format!("runs/2026/11/23/{RUN}");
        assert_eq!(
            shown_path(Path::new(&format!("{run}/data/attachments/alice-smith.pdf"))),
            format!("{run}/data/attachments/…")
        );
        assert_eq!(
            shown_path(Path::new(&format!("{run}/data/run.json"))),
            format!("{run}/data/run.json")
        );
        let odd = Path::new(OsStr::from_bytes(b"log/a\x1b[31m\xff"));
        assert_eq!(shown_path(odd), "log/a\\x1b[31m\\xff");
        let long = shown_path(Path::new(&format!("log/{}", "ä".repeat(300))));
        assert!(long.len() < 210 && long.ends_with('…'), "{long}");
    }
}
