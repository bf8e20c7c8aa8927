//! Owns the going of what the log says that goes: the folder or the archive of a run, with the guard's
//! help where there is one.

use super::Retention;
use super::turn::Turn;
use crate::error::{Code, Problem, chain};
use crate::evidence::{Leaving, StoreError};
use crate::id::RunId;
use crate::runs::problem::store_problem;

impl Retention {
    /// Take the folder of `run` away, of which the log says why; and its archive, if it was purged.
    pub(super) fn take_folder_away(
        &self,
        run: RunId,
        why: Leaving,
        turn: &Turn<'_>,
    ) -> Result<(), Problem> {
        let store = &self.0.context.store;
        let taken = self.0.guard.let_go(run, turn, || {
            store.move_aside(run, why)?;
            if why == Leaving::Purged { store.remove_archive(run) } else { Ok(()) }
        })?;
        let done = taken.and_then(|()| store.remove_aside(run, why));
        done.map_err(|error| refused_by_kernel(run, error))
    }

    /// Remove the archive of `run`, of which the log says that it is a folder again.
    pub(super) fn take_archive_away(&self, run: RunId, turn: &Turn<'_>) -> Result<(), Problem> {
        let removed =
            self.0.guard.let_go(run, turn, || self.0.context.store.remove_archive(run))?;
        removed.map_err(|error| refused_by_kernel(run, error))
    }
}

/// With `run` all is done, and what is left of the doing was `removed`, or is by the next start.
pub(super) fn tidy(run: RunId, removed: Result<(), StoreError>) {
    if let Err(error) = removed {
        tracing::warn!(%run, error = chain(&error), "its mark stays until the next start");
    }
}

pub(super) fn refused_by_kernel(run: RunId, error: StoreError) -> Problem {
    let StoreError::Unwritable { path, .. } = &error else { return store_problem(error) };
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let message = format!(
        "the kernel does not let the folder of the run {run} go (at `{name}`): it is immutable, or \
         another user's; clear that (`chattr -R -i -a`, lsattr shows it), then ask again"
    );
    Problem::new(Code::StoreUnwritable, message).because(error)
}
