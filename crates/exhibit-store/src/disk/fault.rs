//! Owns the faults that tests give a disk: everything that changes a file system is one step, and a
//! `Plan` says at which step below a folder what goes wrong. In the program itself there are no
//! plans, and a step is what it does.

#[cfg(not(any(test, feature = "testing")))]
pub(super) use plain::{changes, makes, removes, writes};
#[cfg(any(test, feature = "testing"))]
pub use planned::{Fault, Plan, try_all, try_in_turn};
#[cfg(any(test, feature = "testing"))]
pub(super) use planned::{changes, makes, removes, writes};

#[cfg(not(any(test, feature = "testing")))]
mod plain {
    use std::io;
    use std::path::Path;

    /// One step: something that needs no room.
    #[inline]
    pub(in crate::disk) fn changes<T>(
        _: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        act()
    }

    /// One step that makes a file or folder.
    #[inline]
    pub(in crate::disk) fn makes<T>(
        _: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        act()
    }

    /// One step that writes `bytes`.
    #[inline]
    pub(in crate::disk) fn writes(
        _: &Path,
        bytes: &[u8],
        act: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        act(bytes)
    }

    /// As many steps as there are things in the folder, which goes with them.
    #[inline]
    pub(in crate::disk) fn removes(
        _: &Path,
        act: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        act()
    }
}

#[cfg(any(test, feature = "testing"))]
mod planned {
    use std::fs;
    use std::io;
    use std::path::{Path, PathBuf};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
    use std::thread;
    use std::time::Duration;

    use rustix::io::Errno;

    /// How long a slow step takes.
    const SLOW: Duration = Duration::from_millis(5);

    static PLANS: Mutex<Vec<Arc<Mutex<State>>>> = Mutex::new(Vec::new());

    /// What goes wrong.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
        /// The step is not done, and said to have failed.
        Failed,
        /// It is done, and said to have failed.
        FailedButWritten,
        /// Half of what was to be written is, and the step is said to have failed.
        Torn,
        /// There is no room, from this step on.
        Full,
        /// Nothing can be changed, from this step on.
        ReadOnly,
        /// It takes its time.
        Slow,
        /// The process was killed before this step: nothing is done any more.
        Killed,
    }

    impl Fault {
        /// All of them.
        pub const ALL: [Self; 7] = [
            Self::Failed,
            Self::FailedButWritten,
            Self::Torn,
            Self::Full,
            Self::ReadOnly,
            Self::Slow,
            Self::Killed,
        ];
    }

    /// A fault below a folder, until this is dropped.
    #[derive(Debug)]
    pub struct Plan(Arc<Mutex<State>>);

    #[derive(Debug)]
    struct State {
        folder: PathBuf,
        fault: Fault,
        at: u64,
        steps: u64,
    }

    impl Plan {
        /// Have `fault` happen at step `at`, from 0, of what is done to `folder` and below.
        pub fn below(folder: &Path, fault: Fault, at: u64) -> Self {
            let state = State { folder: folder.to_owned(), fault, at, steps: 0 };
            let state = Arc::new(Mutex::new(state));
            plans().push(Arc::clone(&state));
            Self(state)
        }

        /// How many steps there were.
        pub fn steps(&self) -> u64 {
            lock(&self.0).steps
        }
    }

    impl Drop for Plan {
        fn drop(&mut self) {
            plans().retain(|state| !Arc::ptr_eq(state, &self.0));
        }
    }

    /// Show `outcome`, which says what is wrong, every fault at every step of so many, or at one of
    /// `stride` where `EXHIBIT_FAULTS` does not ask for all.
    pub fn try_all(steps: u64, stride: usize, outcome: impl Fn(Fault, u64) -> Vec<String> + Sync) {
        let all = Fault::ALL.into_iter().flat_map(|fault| (0..steps).map(move |at| (fault, at)));
        try_cases(all, stride, outcome);
    }

    /// The same of a fault at each step, another one from step to step.
    pub fn try_in_turn(
        steps: u64,
        stride: usize,
        outcome: impl Fn(Fault, u64) -> Vec<String> + Sync,
    ) {
        try_cases(Fault::ALL.into_iter().cycle().zip(0..steps), stride, outcome);
    }

    #[expect(clippy::print_stdout, reason = "a test says how much it tries")]
    fn try_cases(
        all: impl Iterator<Item = (Fault, u64)>,
        stride: usize,
        outcome: impl Fn(Fault, u64) -> Vec<String> + Sync,
    ) {
        let every = std::env::var("EXHIBIT_FAULTS").is_ok_and(|which| which == "all");
        let stride = if every { 1 } else { stride };
        let cases: Vec<(Fault, u64)> = all.step_by(stride).collect();
        println!("{} cases of one in {stride}", cases.len());
        let told = |(fault, at): &(Fault, u64)| {
            let wrong = outcome(*fault, *at).into_iter();
            wrong.map(|what| format!("{fault:?} at {at}: {what}")).collect::<Vec<_>>()
        };
        let wrong: Vec<String> = thread::scope(|scope| {
            let halves = cases.chunks(cases.len().div_ceil(2));
            let workers =
                halves.map(|half| scope.spawn(|| half.iter().flat_map(told).collect::<Vec<_>>()));
            let workers: Vec<_> = workers.collect();
            workers.into_iter().flat_map(|worker| worker.join().expect("done")).collect()
        });
        assert!(wrong.is_empty(), "{} of {} cases: {wrong:#?}", wrong.len(), cases.len());
    }

    fn plans() -> MutexGuard<'static, Vec<Arc<Mutex<State>>>> {
        PLANS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
        state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to go wrong with the next step on `path`, if anything.
    fn next(path: &Path, needs_room: bool) -> Option<Fault> {
        let found = plans().iter().find(|state| path.starts_with(&lock(state).folder)).cloned()?;
        let mut state = lock(&found);
        let (step, fault, at) = (state.steps, state.fault, state.at);
        state.steps += 1;
        let now = match fault {
            Fault::Full => step >= at && needs_room,
            Fault::ReadOnly | Fault::Killed => step >= at,
            _ => step == at,
        };
        now.then_some(fault)
    }

    fn failure(fault: Fault) -> io::Error {
        let errno = match fault {
            Fault::Full => Errno::NOSPC,
            Fault::ReadOnly => Errno::ROFS,
            _ => Errno::IO,
        };
        errno.into()
    }

    pub(in crate::disk) fn changes<T>(
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        step(path, false, act)
    }

    pub(in crate::disk) fn makes<T>(
        path: &Path,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        step(path, true, act)
    }

    /// Where a fault is planned, one thing after the other, each a step, so that some can be left.
    pub(in crate::disk) fn removes(
        folder: &Path,
        act: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        if !plans().iter().any(|state| folder.starts_with(&lock(state).folder)) {
            return act();
        }
        remove(folder)
    }

    #[expect(clippy::disallowed_methods, reason = "what `disk` does in one go")]
    fn remove(path: &Path) -> io::Result<()> {
        if !path.symlink_metadata()?.is_dir() {
            return changes(path, || fs::remove_file(path));
        }
        for entry in fs::read_dir(path)? {
            remove(&entry?.path())?;
        }
        changes(path, || fs::remove_dir(path))
    }

    fn step<T>(
        path: &Path,
        needs_room: bool,
        act: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        match next(path, needs_room) {
            None => act(),
            Some(Fault::Slow) => {
                thread::sleep(SLOW);
                act()
            }
            Some(fault @ Fault::FailedButWritten) => act().and(Err(failure(fault))),
            Some(fault) => Err(failure(fault)),
        }
    }

    pub(in crate::disk) fn writes(
        path: &Path,
        bytes: &[u8],
        act: impl FnOnce(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        match next(path, true) {
            None => act(bytes),
            Some(Fault::Slow) => {
                thread::sleep(SLOW);
                act(bytes)
            }
            Some(fault @ Fault::FailedButWritten) => act(bytes).and(Err(failure(fault))),
            // What a disk that becomes full does, too.
            Some(fault @ (Fault::Torn | Fault::Full)) => {
                act(&bytes[..bytes.len() / 2]).and(Err(failure(fault)))
            }
            Some(fault) => Err(failure(fault)),
        }
    }
}
