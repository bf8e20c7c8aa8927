//! Owns the sequences that callers keep to run them later: one file each, readable by the daemon
//! alone. They are no evidence: running one is. What is typed by them is in the file as it was
//! sent, so that secrets belong into variables.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::config::Config;
use crate::disk;
use crate::error::{Code, Problem};
use crate::id::RandomId;
use crate::quotas::Quota;
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

/// What is known of a sequence without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: RandomId,
    caller: Caller,
    name: String,
    description: String,
    kind: String,
    created_at: String,
    steps: usize,
    /// Of its file.
    bytes: u64,
}

impl Listed {
    fn of(sequence: &StoredSequence, bytes: u64) -> Self {
        Self {
            id: sequence.id,
            caller: sequence.caller.clone(),
            name: sequence.name.clone(),
            description: sequence.description.clone(),
            kind: sequence.kind.clone(),
            created_at: sequence.created_at.clone(),
            steps: sequence.body["steps"].as_array().map_or(0, Vec::len),
            bytes,
        }
    }

    /// What its caller is told of it in a list.
    pub fn summary(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "description": self.description,
            "type": self.kind,
            "step_count": self.steps,
            "created_at": self.created_at,
        })
    }
}

impl StoredSequence {
    /// What its caller is told of it in a list.
    pub fn summary(&self) -> Value {
        Listed::of(self, 0).summary()
    }
}

/// The sequences that are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct StoredSequences {
    folder: Arc<PathBuf>,
    /// What lies in the folder, without the bodies; none until it was read.
    listed: Arc<Mutex<Option<HashMap<RandomId, Listed>>>>,
    config: watch::Receiver<Arc<Config>>,
    clock: Clock,
    tasks: Tasks,
}

impl StoredSequences {
    /// Those in the folder beside the evidence; `tasks` carries the work on them. The folder is made
    /// when the first is kept.
    pub fn open(config: watch::Receiver<Arc<Config>>, clock: Clock, tasks: Tasks) -> Self {
        let folder = Arc::new(config.borrow().store.path.join(FOLDER));
        Self { folder, listed: Arc::default(), config, clock, tasks }
    }

    /// Keep a sequence.
    ///
    /// # Errors
    /// `invalid_field` when the caller keeps too many, `quota_exceeded` when they are too long;
    /// `store_full`, `store_unwritable`.
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
            let bytes = serde_json::to_vec_pretty(&sequence)
                .map_err(|error| Problem::internal("writing down a sequence", error))?;
            let size = bytes.len() as u64;
            // Held while it is judged and written: two at a time would both find room.
            let mut place = this.lock();
            let listed = this.listed(&mut place)?;
            let own = listed.values().filter(|one| sequence.caller.may_act_on(&one.caller));
            let (count, stored) =
                own.fold((0, 0), |(count, all), one| (count + 1, all + one.bytes));
            if count >= MOST {
                let message = format!("{MOST} sequences are kept already; delete some first");
                return Err(Problem::new(Code::InvalidField, message).field("name"));
            }
            let most = this.config.borrow().quotas.stored;
            if stored + size > most {
                return Err(Quota::Stored.reached(most));
            }
            disk::make_dirs(&this.folder).map_err(unwritable)?;
            disk::replace(&this.path(id), &bytes, 0o600).map_err(unwritable)?;
            listed.insert(id, Listed::of(&sequence, size));
            Ok(sequence)
        })
        .await
    }

    /// The sequences of `caller`, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn list(&self, caller: Caller) -> Result<Vec<Listed>, Problem> {
        self.on_disk(move |this| {
            let mut place = this.lock();
            let listed = this.listed(&mut place)?;
            let own = listed.values().filter(|one| caller.may_act_on(&one.caller));
            let mut own: Vec<Listed> = own.cloned().collect();
            own.sort_by(|one, other| {
                other
                    .created_at
                    .cmp(&one.created_at)
                    .then_with(|| one.id.to_string().cmp(&other.id.to_string()))
            });
            Ok(own)
        })
        .await
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
            disk::remove_file(&this.path(id)).map_err(unwritable)?;
            if let Some(listed) = this.lock().as_mut() {
                listed.remove(&id);
            }
            Ok(())
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

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<RandomId, Listed>>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What lies in the folder. It is read once, one sequence at a time: bodies are large, and nobody
    /// else writes there.
    fn listed<'a>(
        &self,
        place: &'a mut Option<HashMap<RandomId, Listed>>,
    ) -> Result<&'a mut HashMap<RandomId, Listed>, Problem> {
        if place.is_none() {
            let mut found = HashMap::new();
            for path in self.files()? {
                match read(&path) {
                    Ok(sequence) => {
                        let bytes = path.metadata().map_or(0, |found| found.len());
                        found.insert(sequence.id, Listed::of(&sequence, bytes));
                    }
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "a sequence cannot be read");
                    }
                }
            }
            *place = Some(found);
        }
        Ok(place.as_mut().expect("it was just read"))
    }

    fn files(&self) -> Result<Vec<PathBuf>, Problem> {
        let entries = match disk::list(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|it| Problem::internal("reading the sequences", it))?,
        };
        let paths = entries.into_iter().map(|entry| entry.path());
        Ok(paths.filter(|path| path.extension().is_some_and(|it| it == "json")).collect())
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

    /// Those in `folder`, of each caller at most `stored` bytes.
    fn sequences(folder: &Path, clock: Clock, stored: u64) -> StoredSequences {
        let mut config = Config::default();
        config.store.path = folder.to_owned();
        config.quotas.stored = stored;
        let config = watch::Sender::new(Arc::new(config)).subscribe();
        StoredSequences::open(config, clock, Tasks::new())
    }

    #[tokio::test]
    async fn each_caller_has_so_many_bytes_in_this_life_and_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-24T08:00:00Z".parse().expect("a time"));
        let caller = |uid| Caller::Socket { uid, gid: 1, pid: None };
        let request = || {
            let text = "x".repeat(1000);
            let fill = json!({ "action": "fill", "selector": "#a", "value": text });
            let steps = json!([fill, { "action": "screenshot" }]);
            StoredRequest::read(json!({ "name": "Long", "steps": steps })).expect("sound")
        };
        let kept = sequences(folder.path(), clock.clone(), 3000);
        let first = kept.keep(caller(1), request()).await.expect("room");
        kept.keep(caller(1), request()).await.expect("room");
        let full = kept.keep(caller(1), request()).await.expect_err("no more");
        assert_eq!((full.code, full.code.status()), (Code::QuotaExceeded, 507));
        assert!(full.message.contains("3000") && full.message.contains("quotas.stored"), "{full}");
        kept.keep(caller(2), request()).await.expect("another caller's");
        // Another life counts what lies there; what is deleted makes room.
        let kept = sequences(folder.path(), clock, 3000);
        assert_eq!(kept.keep(caller(1), request()).await.expect_err("still").code, full.code);
        kept.delete(caller(1), first.id).await.expect("deleted");
        kept.keep(caller(1), request()).await.expect("room again");
        assert_eq!(kept.list(caller(1)).await.expect("two").len(), 2);
    }

    #[tokio::test]
    async fn a_sequence_is_its_keepers_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::fixed("2026-11-24T08:00:00Z".parse().expect("a time"));
        let kept = sequences(folder.path(), clock, u64::MAX);
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
