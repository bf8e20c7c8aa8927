//! Owns the looking at runs by whoever may read them, as pages show it: a list that is searched, one
//! run with what it holds so far, one file of it. Changes nothing, and puts on record who saw what.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::Disclosure;
use super::accessor::Accessor;
use crate::blob::Blob;
use crate::error::{Code, Problem};
use crate::evidence::Act;
use crate::id::RunId;
use crate::report::{self, Glance};
use crate::run::Reader;
use crate::runs::problem::archived;
use crate::runs::problem::{not_to_see, unknown};
use crate::runs::registry::open::OpenRun;

/// A run that may be read.
pub(super) struct Readable {
    /// Where it lies now.
    pub(in crate::runs) folder: PathBuf,
    /// The run, while it is open.
    open: Option<Arc<OpenRun>>,
}

/// What a run holds.
#[derive(Debug)]
pub struct Look {
    /// Whether it is open: then it can still grow.
    pub open: bool,
    /// What was read in its folder.
    pub glance: Glance,
}

impl Disclosure {
    /// What the run `id` holds, for `accessor`, who is put on record.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `custody_unwritable`, or what kept it from being read.
    pub async fn look(&self, id: RunId, accessor: &Accessor) -> Result<Look, Problem> {
        match self.look_once(id, accessor).await {
            // It may have been sealed just now.
            Err(problem) if problem.code == Code::RunNotFound => self.look_once(id, accessor).await,
            looked => looked,
        }
    }

    async fn look_once(&self, id: RunId, accessor: &Accessor) -> Result<Look, Problem> {
        let readable = self.readable(id, &accessor.reader).await?;
        let (this, accessor) = (self.clone(), accessor.clone());
        self.0
            .context
            .blocking("reading the run", move || {
                let open = readable.open.is_some();
                if !open {
                    // What contradicts its seal is told from here on, whatever the folder says.
                    this.0.catalog.facts_of(id).ok();
                }
                let integrity = this.0.integrity.of(id).filter(|_| !open);
                let judged = readable.open.map(|run| run.shown()["completeness"].take());
                let glance = Glance::of(&readable.folder, judged, integrity.as_ref())
                    .map_err(|_| unknown(id))?;
                this.0.access.record_access(&accessor, Act::View, id, None)?;
                Ok(Look { open, glance })
            })
            .await
    }

    /// The file `path` of the run `id`, for `accessor`, who is put on record as doing `act`.
    ///
    /// # Errors
    /// `run_not_found`, `not_your_run`, `file_not_found`, `custody_unwritable`.
    pub async fn file(
        &self,
        id: RunId,
        accessor: &Accessor,
        path: String,
        act: Act,
    ) -> Result<Blob, Problem> {
        let folder = self.readable(id, &accessor.reader).await?.folder;
        let (this, accessor) = (self.clone(), accessor.clone());
        self.0
            .context
            .blocking("reading the file", move || {
                let found = report::file_in(&folder, &path)
                    .and_then(|(path, length)| Some(Blob::of_file(File::open(path).ok()?, length)));
                let found = found.ok_or_else(|| no_such_file(id))?;
                this.0.access.record_access(&accessor, act, id, Some(&path))?;
                Ok(found)
            })
            .await
    }

    /// A small picture of the picture `path` of the run `id`, for `accessor`: a PNG.
    ///
    /// # Errors
    /// As [`Disclosure::file`].
    pub async fn thumbnail(
        &self,
        id: RunId,
        accessor: &Accessor,
        path: String,
    ) -> Result<Blob, Problem> {
        let folder = self.readable(id, &accessor.reader).await?.folder;
        let (this, accessor) = (self.clone(), accessor.clone());
        self.0
            .context
            .blocking("making a small picture", move || {
                let small = report::thumbnail_in(&folder, &path).map(Blob::from);
                let small = small.ok_or_else(|| no_such_file(id))?;
                this.0.access.record_access(&accessor, Act::View, id, Some(&path))?;
                Ok(small)
            })
            .await
    }

    /// Where the run `id` lies, when `reader` may read it.
    pub(super) async fn readable(&self, id: RunId, reader: &Reader) -> Result<Readable, Problem> {
        let open = self.0.registry.get(id);
        // While it is being sealed its folder moves, before it is taken off the list.
        let open = open.filter(|_| self.0.context.store.folder_of_open(id).exists());
        let (folder, opener) = match &open {
            Some(run) => (self.0.context.store.folder_of_open(id), run.opening.caller.clone()),
            None => (
                self.0.context.store.folder_of(id),
                self.0.catalog.sealed_run(id).await?.opening.caller,
            ),
        };
        if reader.may_read(&opener) {
            if open.is_none() && !folder.is_dir() && self.0.decisions.is_archived(id) {
                return Err(archived(id));
            }
            return Ok(Readable { folder, open });
        }
        Err(not_to_see(id))
    }
}

fn no_such_file(id: RunId) -> Problem {
    let message = format!("the run {id} has no such file; its page lists those it has");
    Problem::new(Code::FileNotFound, message)
}
