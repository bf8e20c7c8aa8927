//! Owns the register of what this process itself is doing to watched folders, so that whoever
//! watches them can tell its own work from that of others: the kernel's events do not say whose they
//! are, and nothing but [`disk`](super) writes. It looks at no file.
//!
//! A [`Window`] is open from before a change until after it. The kernel queues an event before the
//! call that caused it returns, so whoever takes a [`Ledger::mark`], then reads all events that are
//! there, has seen everything that windows closed before the mark stand for, and may forget them.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

/// All ledgers that are kept in this process: one for each store that is watched.
static KEPT: RwLock<Vec<Weak<Ledger>>> = RwLock::new(Vec::new());

/// Paths that are remembered after their changes are over.
const REMEMBERED: usize = 256;

/// What this process is doing below some folders.
#[derive(Debug)]
pub struct Ledger {
    folders: Vec<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Grows with each mark.
    now: u64,
    paths: HashMap<PathBuf, PathWindows>,
    /// Those changed last, oldest first.
    recent: VecDeque<PathBuf>,
}

#[derive(Debug, Default)]
struct PathWindows {
    /// Windows that are open on it; of those, how many reach below it.
    open: u32,
    deep: u32,
    /// When the last one was closed, and the last that reached below it.
    closed: Option<u64>,
    closed_deep: Option<u64>,
}

impl Ledger {
    /// Begin to note what this process does to `folders` and below, until the ledger is dropped.
    pub fn keep(folders: Vec<PathBuf>) -> Arc<Self> {
        let ledger = Arc::new(Self { folders, state: Mutex::default() });
        let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|ledger| ledger.strong_count() > 0);
        kept.push(Arc::downgrade(&ledger));
        ledger
    }

    /// Whether a change of `path` is, or was just now, this process's own.
    pub fn is_own(&self, path: &Path) -> bool {
        let state = self.state();
        if state.paths.contains_key(path) {
            return true;
        }
        let deep = |entry: &PathWindows| entry.deep > 0 || entry.closed_deep.is_some();
        path.ancestors().skip(1).any(|above| state.paths.get(above).is_some_and(deep))
    }

    /// Whether `path` was among the last that this process changed. That a file was closed is told
    /// late when another program was being started at that moment: until it has become that
    /// program, it holds a copy of all our files.
    pub fn was_own(&self, path: &Path) -> bool {
        self.state().recent.iter().any(|recent| recent == path)
    }

    /// A moment to give to [`Ledger::forget`].
    pub fn mark(&self) -> u64 {
        let mut state = self.state();
        state.now += 1;
        state.now
    }

    /// Forget the windows that were closed before `mark` was taken: their events have been read.
    pub fn forget(&self, mark: u64) {
        self.state().paths.retain(|_, entry| {
            for closed in [&mut entry.closed, &mut entry.closed_deep] {
                *closed = closed.filter(|closed| *closed >= mark);
            }
            entry.open > 0 || entry.closed.is_some() || entry.closed_deep.is_some()
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, path: &Path, deep: bool) {
        let mut state = self.state();
        let entry = state.paths.entry(path.to_owned()).or_default();
        entry.open += 1;
        entry.deep += u32::from(deep);
    }

    fn close(&self, path: &Path, deep: bool) {
        let mut state = self.state();
        let now = Some(state.now);
        let entry = state.paths.get_mut(path).expect("a window's path stays until it is closed");
        entry.open -= 1;
        entry.closed = now;
        if deep {
            entry.deep -= 1;
            entry.closed_deep = now;
        }
        if state.recent.len() >= REMEMBERED {
            state.recent.pop_front();
        }
        state.recent.push_back(path.to_owned());
    }
}

/// A change of one path that is under way; over when this is dropped.
#[must_use = "the change is over when this is dropped"]
#[derive(Debug)]
pub struct Window(Option<(Arc<Ledger>, PathBuf, bool)>);

impl Window {
    /// `path` itself is about to be changed.
    pub fn on(path: &Path) -> Self {
        Self::open(path, false)
    }

    /// `path` and everything below it is about to be changed, perhaps by another process that does
    /// it for this one.
    pub fn below(path: &Path) -> Self {
        Self::open(path, true)
    }

    fn open(path: &Path, deep: bool) -> Self {
        let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner);
        let ledger = kept.iter().filter_map(Weak::upgrade);
        let ledger =
            ledger.into_iter().find(|kept| kept.folders.iter().any(|at| path.starts_with(at)));
        Self(ledger.map(|ledger| {
            ledger.open(path, deep);
            (ledger, path.to_owned(), deep)
        }))
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        if let Some((ledger, path, deep)) = self.0.take() {
            ledger.close(&path, deep);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_own_until_its_events_have_been_read() {
        let root = Path::new("/nowhere/own-windows/runs");
        let ledger = Ledger::keep(vec![root.to_owned()]);
        let (file, other) = (root.join("a/b"), root.join("a/c"));
        let window = Window::on(&file);
        assert!(ledger.is_own(&file) && !ledger.is_own(&other) && !ledger.is_own(root));
        assert!(!ledger.is_own(&file.join("below")), "only the path itself");
        let before = ledger.mark();
        ledger.forget(before);
        assert!(ledger.is_own(&file), "still open");
        drop(window);
        ledger.forget(before);
        assert!(ledger.is_own(&file), "closed after the mark: its events may be unread");
        let after = ledger.mark();
        ledger.forget(after);
        assert!(!ledger.is_own(&file));
        assert!(ledger.was_own(&file) && !ledger.was_own(&other));
        assert!(ledger.state().paths.is_empty(), "nothing is left behind");
    }

    #[test]
    fn a_deep_window_covers_what_is_below_and_others_are_not_noted() {
        let root = Path::new("/nowhere/deep-windows/runs");
        let ledger = Ledger::keep(vec![root.to_owned()]);
        drop(Window::below(&root.join("run")));
        assert!(ledger.is_own(&root.join("run/data/x")) && !ledger.is_own(&root.join("other")));
        drop(Window::on(Path::new("/nowhere/deep-windows/open/x")));
        assert_eq!(ledger.state().paths.len(), 1, "only what is watched");
        // Two at once on one path: the first to end does not end the other.
        let (one, two) = (Window::on(&root.join("y")), Window::on(&root.join("y")));
        drop(one);
        ledger.forget(ledger.mark());
        assert!(ledger.is_own(&root.join("y")));
        drop(two);
    }
}
