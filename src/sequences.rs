//! Owns the sequences that callers keep to run them later: one file each, readable by the daemon
//! alone. They are no evidence: running one is. What is typed by them is in the file as it was
//! sent, so that secrets belong into variables.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::disk;
use crate::error::{Code, Problem};
use crate::id::RandomId;
use crate::request::StoredRequest;
use crate::run::Caller;
use crate::tasks::Tasks;

/// Their folder, in the store's.
const FOLDER: &str = "sequences";
/// Most sequences kept for one caller.
const MOST: usize = 1_000;
/// Largest file of one.
const LARGEST: u64 = 20 * 1024 * 1024;

/// A sequence that is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredSequence {
    /// Its id.
    pub id: RandomId,
    /// Who keeps it.
    pub caller: Caller,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// `sequence` or `video`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it was kept, RFC 3339.
    pub created_at: String,
    /// The body with which it is run.
    pub body: Value,
}

impl StoredSequence {
    /// Number of its steps.
    pub fn step_count(&self) -> usize {
        self.body["steps"].as_array().map_or(0, Vec::len)
    }

    /// What its caller is told of it in a list.
    pub fn summary(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "type": self.kind,
            "step_count": self.step_count(),
            "created_at": self.created_at,
        })
    }
}

/// The sequences that are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoredSequences {
    folder: Arc<PathBuf>,
    clock: Clock,
    tasks: Tasks,
}

impl StoredSequences {
    /// Those in the folder beside the evidence in `store`; `tasks` carries the work on them.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(store: &Path, clock: Clock, tasks: Tasks) -> Result<Self, Problem> {
        let folder = store.join(FOLDER);
        disk::make_dirs(&folder)
            .map_err(|error| Problem::internal("making the folder of the sequences", error))?;
        Ok(Self { folder: Arc::new(folder), clock, tasks })
    }

    /// Keep a sequence.
    ///
    /// # Errors
    /// `invalid_field` when the caller keeps too many; `store_full`, `store_unwritable`.
    pub async fn keep(
        &self,
        caller: Caller,
        request: StoredRequest,
    ) -> Result<StoredSequence, Problem> {
        let id = RandomId::new().map_err(|error| Problem::internal("making an id", error))?;
        let StoredRequest { name, description, kind, body } = request;
        let kind = kind.to_owned();
        let created_at = self.clock.now().to_rfc3339();
        let sequence = StoredSequence { id, caller, name, description, kind, created_at, body };
        self.on_disk(move |this| {
            if this.all(&sequence.caller)?.len() >= MOST {
                let message = format!("{MOST} sequences are kept already; delete some first");
                return Err(Problem::new(Code::InvalidField, message).field("name"));
            }
            let bytes = serde_json::to_vec_pretty(&sequence)
                .map_err(|error| Problem::internal("writing down a sequence", error))?;
            disk::replace(&this.path(id), &bytes, 0o600).map_err(unwritable)?;
            Ok(sequence)
        })
        .await
    }

    /// The sequences of `caller`, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list(&self, caller: Caller) -> Result<Vec<StoredSequence>, Problem> {
        self.on_disk(move |this| this.all(&caller)).await
    }

    /// One of `caller`'s sequences.
    ///
    /// # Errors
    /// `sequence_not_found`; one of somebody else's is not told from one that is not there.
    pub async fn get(&self, caller: Caller, id: RandomId) -> Result<StoredSequence, Problem> {
        self.on_disk(move |this| this.one(&caller, id)).await
    }

    /// Delete one of `caller`'s sequences.
    ///
    /// # Errors
    /// `sequence_not_found`.
    pub async fn delete(&self, caller: Caller, id: RandomId) -> Result<(), Problem> {
        self.on_disk(move |this| {
            this.one(&caller, id)?;
            disk::remove_file(&this.path(id)).map_err(unwritable)
        })
        .await
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let this = self.clone();
        let done = self.tasks.spawn_blocking(move || work(&this)).await;
        done.map_err(|error| Problem::internal("working on the sequences", error))?
    }

    fn path(&self, id: RandomId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    fn one(&self, caller: &Caller, id: RandomId) -> Result<StoredSequence, Problem> {
        let found = match read(&self.path(id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Problem::internal("reading a sequence", error)),
            Ok(sequence) => Some(sequence),
        };
        found.filter(|sequence| caller.may_act_on(&sequence.caller)).ok_or_else(|| {
            let message = format!("no sequence {id} of yours is kept; GET /sequences lists them");
            Problem::new(Code::SequenceNotFound, message).field("id")
        })
    }

    fn all(&self, caller: &Caller) -> Result<Vec<StoredSequence>, Problem> {
        let unreadable = |error| Problem::internal("reading the sequences", error);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&*self.folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                match read(&path) {
                    Ok(sequence) if caller.may_act_on(&sequence.caller) => found.push(sequence),
                    Ok(_) => {}
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "a sequence cannot be read");
                    }
                }
            }
        }
        found.sort_by(|one, other| other.created_at.cmp(&one.created_at));
        Ok(found)
    }
}

fn read(path: &Path) -> io::Result<StoredSequence> {
    let bytes = disk::read_limited(path, LARGEST)?;
    serde_json::from_slice(&bytes).map_err(io::Error::from)
}

fn unwritable(error: io::Error) -> Problem {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Code::StoreFull,
        _ => Code::StoreUnwritable,
    };
    let message = "the sequence could not be written; ask the operator to look at the store's disk";
    Problem::new(code, message).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sequence_is_its_keepers_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-24T08:00:00Z".parse().expect("a time"));
        let kept = StoredSequences::open(folder.path(), clock, Tasks::new()).expect("a folder");
        let caller = |uid| Caller::Socket { uid, gid: 1, pid: None };
        let body = json!({ "name": "Refund", "steps": [{ "action": "screenshot" }] });
        let request = StoredRequest::read(body).expect("sound");
        let sequence = kept.keep(caller(1), request).await.expect("kept");
        assert_eq!(kept.get(caller(1), sequence.id).await.expect("there"), sequence);
        let problem = kept.get(caller(2), sequence.id).await.expect_err("somebody else's");
        assert_eq!(problem.code, Code::SequenceNotFound);
        assert!(kept.list(caller(2)).await.expect("none").is_empty());
        assert_eq!(kept.list(caller(1)).await.expect("one").len(), 1);
        kept.delete(caller(2), sequence.id).await.expect_err("not theirs to delete");
        kept.delete(caller(1), sequence.id).await.expect("gone");
        assert!(kept.list(caller(1)).await.expect("none").is_empty());
    }
}
