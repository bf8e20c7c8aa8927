//! Owns the daemon's part in making what is sealed immutable: it asks the guard for each run, beside its
//! other work and again where that failed, knows what came of it, and has the guard let go of what the
//! log says that goes. It sets no flag itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;

use crate::disk::flags::{is_append_only, is_immutable};
use crate::disk::own::Window;
use crate::error::{Code, Problem, chain};
use crate::evidence::log;
use crate::evidence::{SEAL, StoreError, archived_in, sealed_in};
use crate::id::RunId;
use crate::integrity::guard::{self, Flag, GuardCommand};
use crate::integrity::verity;
use crate::runs::context::Context;
use crate::runs::retention::turn::{Turn, Turns};
use crate::tasks::Tasks;
use crate::tlog::tile::Tile;

/// How long until what failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);

/// How the guard fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Guarded {
    /// Whether the immutable flag was seen to hold, by trying to break it.
    pub holds: bool,
    /// Why not.
    pub why_not: Option<String>,
    /// The same of the append-only flag of the folders that runs lie in.
    pub append_only: Measured,
    /// The same of fs-verity, which needs no guard.
    pub verity: Measured,
    /// Sealed folders and archives that were made immutable, or were found to be, since the daemon
    /// started.
    pub immutable: u64,
    /// Full tiles of the log that are immutable.
    pub tiles: u64,
    /// Sealed folders and archives on which fs-verity was enabled, or was found to be, likewise.
    pub with_verity: u64,
    /// Sealed folders and archives that lack what can be had here, and whose turn comes again.
    pub waiting: u64,
}

/// Whether something holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// Whether it was seen to hold, by trying to break it.
    pub holds: bool,
    /// Why not.
    pub why_not: Option<String>,
}

/// Runs that were just sealed.
type Sealed = mpsc::UnboundedReceiver<RunId>;

/// The daemon's side of the guard, and of fs-verity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GuardClient(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    context: Arc<Context>,
    turns: Arc<Turns>,
    guarded: Mutex<Guarded>,
    lock_soon: mpsc::UnboundedSender<RunId>,
    sealed: Mutex<Option<Sealed>>,
}

impl GuardClient {
    pub(in crate::runs) fn new(context: Arc<Context>, turns: Arc<Turns>) -> Self {
        let (lock_soon, sealed) = mpsc::unbounded_channel();
        let (guarded, sealed) = (Mutex::default(), Mutex::new(Some(sealed)));
        Self(Arc::new(Inner { context, turns, guarded, lock_soon, sealed }))
    }

    /// How the guard fares.
    pub fn status(&self) -> Guarded {
        self.guard_state().clone()
    }

    fn guard_state(&self) -> MutexGuard<'_, Guarded> {
        self.0.guarded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether both flags were seen to hold.
    fn both_hold(&self) -> bool {
        let state = self.guard_state();
        state.holds && state.append_only.holds
    }

    /// Have the folder or archive of `run`, which is sealed, made immutable when its turn comes.
    pub(in crate::runs) fn lock_soon(&self, run: RunId) {
        // Nobody takes it when there is no guard.
        let _ = self.0.lock_soon.send(run);
    }

    /// Enable fs-verity on every sealed folder and archive, where there is that, and have the guard make
    /// it immutable, where there is one, until `tasks` are to stop.
    pub async fn keep_locked(self, tasks: Tasks) {
        let sealed = self.0.sealed.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut sealed) = sealed else { return };
        let socket = self.0.context.config.borrow().integrity.guard.clone();
        let verity = self.measure_verity().await;
        if socket.is_none() {
            let none = Some("`integrity.guard` names no guard".to_owned());
            let mut state = self.guard_state();
            (state.why_not, state.append_only.why_not) = (none.clone(), none);
            if !verity {
                return;
            }
        }
        let mut waiting = self.not_locked(socket.is_some(), verity).await;
        loop {
            self.guard_state().waiting = waiting.len() as u64;
            waiting = self.lock_all(waiting, socket.as_deref(), &tasks).await;
            self.guard_state().waiting = waiting.len() as u64;
            if let Some(socket) = &socket {
                self.lock_tiles(socket).await;
            }
            let again = !waiting.is_empty() || socket.is_some() && !self.both_hold();
            tokio::select! {
                () = tasks.stopping() => return,
                run = sealed.recv() => waiting.extend(run),
                () = tokio::time::sleep(AGAIN), if again => {}
            }
        }
    }

    /// The sealed runs that lack what is to be had: with a guard (`guarded`), to be immutable in an
    /// append-only folder; without, fs-verity. The others are counted.
    async fn not_locked(&self, guarded: bool, verity: bool) -> BTreeSet<RunId> {
        let this = self.clone();
        let looked = self.0.context.blocking("looking at what is sealed", move || {
            let mut waiting = BTreeSet::new();
            let name = |folder: &Path| folder.file_name()?.to_str()?.parse::<RunId>().ok();
            let folders = sealed_in(this.0.context.root()).filter_map(|at| Some((name(&at)?, at)));
            for (run, place) in folders.chain(archived_in(this.0.context.root())) {
                let enabled = verity && verity::is_enabled(&place);
                let locked = guarded && is_locked(&place);
                let mut state = this.guard_state();
                state.with_verity += u64::from(enabled);
                state.immutable += u64::from(locked);
                if !(if guarded { locked } else { enabled }) {
                    waiting.insert(run);
                }
            }
            Ok(waiting)
        });
        looked.await.unwrap_or_default()
    }

    /// Do it for each of `runs`; those that are left.
    async fn lock_all(
        &self,
        runs: BTreeSet<RunId>,
        socket: Option<&Path>,
        tasks: &Tasks,
    ) -> BTreeSet<RunId> {
        let there = match socket {
            Some(socket) => self.both_hold() || self.measured(socket).await,
            None => false,
        };
        let ask = socket.filter(|_| there);
        let away = socket.is_some() && !there;
        let mut left = BTreeSet::new();
        for run in runs {
            if tasks.is_stopping() {
                left.insert(run);
                continue;
            }
            let (this, own) = (self.clone(), ask.map(Path::to_path_buf));
            let done = self
                .0
                .context
                .blocking("making immutable", move || Ok(this.lock(run, own.as_deref())));
            match done.await {
                Ok(true) if !away => {}
                Ok(_) => drop(left.insert(run)),
                Err(error) => {
                    tracing::error!(%run, error = chain(&error), "what is sealed is not immutable");
                }
            }
        }
        left
    }

    /// Do it for `run`; whether it is done.
    fn lock(&self, run: RunId, socket: Option<&Path>) -> bool {
        // What a purge takes away at this moment is not locked again.
        let _turn = self.0.turns.take();
        let _own = self.windows(run);
        // One that is gone meanwhile needs no lock.
        if !self.is_sealed(run) {
            return true;
        }
        if self.guard_state().verity.holds {
            let places =
                [self.0.context.store.folder_of(run), self.0.context.store.archive_of(run)];
            let lacking = |place: &&PathBuf| place.exists() && !verity::is_enabled(place);
            for place in places.iter().filter(lacking) {
                if !verity::enable(place) {
                    return false;
                }
                self.guard_state().with_verity += u64::from(verity::is_enabled(place));
            }
        }
        let Some(socket) = socket else { return true };
        match guard::ask(socket, GuardCommand::Lock(run)) {
            Ok(()) => self.guard_state().immutable += 1,
            Err(why) => {
                tracing::error!(%run, why, again = ?AGAIN, "what is sealed is not immutable");
                let mut state = self.guard_state();
                (state.holds, state.why_not) = (false, Some(why));
                return false;
            }
        }
        true
    }

    /// Have the tiles of the log made immutable that have become full.
    async fn lock_tiles(&self, socket: &Path) {
        let (_, checkpoint) = self.0.context.log.checkpoint();
        let full = Tile::all(checkpoint.size).filter(|tile| tile.is_full()).count() as u64;
        if !self.both_hold() || self.guard_state().tiles == full {
            return;
        }
        let (own, tiles) =
            (socket.to_owned(), self.0.context.root().join(log::FOLDER).join("tile"));
        let asked = self.0.context.blocking("asking the guard", move || {
            let _own = Window::below(&tiles);
            Ok(guard::ask(&own, GuardCommand::Tiles(checkpoint.size)))
        });
        match asked.await.unwrap_or_else(|error| Err(chain(&error))) {
            Ok(()) => self.guard_state().tiles = full,
            Err(why) => tracing::error!(why, "full tiles of the log are not immutable"),
        }
    }

    /// Whether fs-verity holds, by trying.
    async fn measure_verity(&self) -> bool {
        let root = self.0.context.root().to_path_buf();
        let asked = self.0.context.blocking("trying fs-verity", move || Ok(verity::measure(&root)));
        let holds = asked.await.unwrap_or_else(|error| Err(chain(&error)));
        if holds.is_ok() {
            tracing::info!("fs-verity is enabled on what is sealed");
        }
        let is = holds.is_ok();
        self.guard_state().verity = Measured { holds: is, why_not: holds.err() };
        is
    }

    /// Whether both flags hold, by the guard's trying.
    async fn measured(&self, socket: &Path) -> bool {
        let own = socket.to_owned();
        let asked = self.0.context.blocking("asking the guard", move || {
            Ok([Flag::Immutable, Flag::AppendOnly]
                .map(|flag| guard::ask(&own, GuardCommand::Measure(flag))))
        });
        let [immutable, append_only] = asked.await.unwrap_or_else(|error| {
            let why = chain(&error);
            [Err(why.clone()), Err(why)]
        });
        match immutable.as_ref().and(append_only.as_ref()) {
            Ok(()) => tracing::info!("what is sealed is made immutable"),
            Err(why) => {
                tracing::error!(why, again = ?AGAIN, "what is sealed is read-only, but not immutable");
            }
        }
        let holds = immutable.is_ok() && append_only.is_ok();
        let mut state = self.guard_state();
        (state.holds, state.why_not) = (immutable.is_ok(), immutable.err());
        state.append_only = Measured { holds: append_only.is_ok(), why_not: append_only.err() };
        holds
    }

    /// Enable fs-verity on what there is of `run`, where it holds: what stays in favour of what goes
    /// is made immutable by the guard, and then that comes too late.
    fn enable_verity(&self, run: RunId) {
        if self.guard_state().verity.holds {
            let places =
                [self.0.context.store.folder_of(run), self.0.context.store.archive_of(run)];
            for place in places.iter().filter(|place| place.exists()) {
                if !verity::is_enabled(place) && verity::enable(place) {
                    self.guard_state().with_verity += 1;
                }
            }
        }
    }

    /// Whether there is a folder or an archive of `run`.
    fn is_sealed(&self, run: RunId) -> bool {
        self.0.context.store.folder_of(run).is_dir()
            || self.0.context.store.archive_of(run).is_file()
    }

    /// Open windows on all that the guard may change of `run`, because it does so for us.
    fn windows(&self, run: RunId) -> Vec<Window> {
        let of_run = [self.0.context.store.folder_of(run), self.0.context.store.archive_of(run)]
            .map(|at| Window::below(&at));
        let above = guard::above(run).map(|folder| Window::on(&self.0.context.root().join(folder)));
        of_run.into_iter().chain(above).collect()
    }

    /// Whether the kernel would let go what there is of `run`, with the guard's help where there is
    /// one.
    pub(in crate::runs) fn check_removable(&self, run: RunId) -> Result<(), StoreError> {
        self.check_lets_go(run, self.0.context.config.borrow().integrity.guard.is_some())
    }

    /// The same, with a guard's help or (`guarded` is false) without.
    fn check_lets_go(&self, run: RunId, guarded: bool) -> Result<(), StoreError> {
        if self.0.context.store.archive_of(run).is_file() {
            self.0.context.store.check_archive_removable(run, guarded)?;
        }
        if self.0.context.store.folder_of(run).is_dir() {
            self.0.context.store.check_removable(run, guarded)?;
        }
        Ok(())
    }

    /// `take` away what there is of `run`, by the word of the log: the guard, where there is one, lets
    /// it go before, and closes the folder of its day afterwards.
    pub(in crate::runs) fn let_go<T>(
        &self,
        run: RunId,
        _turn: &Turn<'_>,
        take: impl FnOnce() -> T,
    ) -> Result<T, Problem> {
        let socket = self.0.context.config.borrow().integrity.guard.clone();
        let (Some(socket), true) = (socket, self.is_sealed(run)) else { return Ok(take()) };
        let _own = self.windows(run);
        self.enable_verity(run);
        let released = match guard::release(&socket, run) {
            Ok(released) => released,
            Err(why) => {
                // A guard that is away matters only where it was before.
                let free = self.check_lets_go(run, false);
                free.map_err(|error| not_let_go(run, &why, error))?;
                return Ok(take());
            }
        };
        let taken = take();
        if let Err(why) = released.close() {
            // The guard does it at its start, and with the next run of that day.
            tracing::error!(%run, why, "the folder of a day is not append-only");
            let mut state = self.guard_state();
            state.append_only = Measured { holds: false, why_not: Some(why) };
        }
        Ok(taken)
    }
}

/// Whether the sealed folder or archive at `place` is immutable, and lies in an append-only folder.
fn is_locked(place: &Path) -> bool {
    let has = |path: &Path| is_immutable(path).unwrap_or(false);
    let day = place.parent().is_some_and(|day| is_append_only(day).unwrap_or(false));
    // A folder's own flag is set last.
    day && has(place) && (place.is_file() || has(&place.join(SEAL)))
}

fn not_let_go(run: RunId, why: &str, error: StoreError) -> Problem {
    let message = format!(
        "the log says that the run {run} goes, but it is immutable and the guard does not let it go \
         ({why}); start the guard (`exhibit guard`), then ask again"
    );
    Problem::new(Code::StoreUnwritable, message).because(error)
}
