//! Owns the index over the sealed runs: a SQLite file for quick lists. It is never the truth and
//! can be deleted at any time; everything in it is read from the folders' own `run.json`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::error::StoreError;
use super::record::RunSummary;
use super::store;
use crate::clock::rfc3339_millis;
use crate::disk;
use crate::id::RunId;
use crate::run::State;
use crate::workflow::Verdict;

/// Counts up whenever the table changes; an index of another version is made anew.
const VERSION: i64 = 2;
/// Most runs that one list answers.
pub const MAX_LIST: u32 = 1000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS runs (
        run TEXT PRIMARY KEY, workflow TEXT NOT NULL, state TEXT NOT NULL,
        opened_at TEXT NOT NULL, verdict TEXT, summary TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS by_workflow ON runs (workflow, run);";

/// Why the index did not answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite.
    #[error("the index {} cannot be used; delete it, or run: exhibit index rebuild", .path.display())]
    Sqlite {
        /// The file of the index.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The disk.
    #[error("the index cannot be made anew")]
    Store(#[from] StoreError),
}

/// Which runs to list; nothing set lists all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only this workflow.
    pub workflow: Option<String>,
    /// Only runs of this verdict.
    pub verdict: Option<Verdict>,
    /// Only this state.
    pub state: Option<State>,
    /// Only runs opened at or after this time.
    pub since: Option<Timestamp>,
    /// Only runs opened before this time.
    pub until: Option<Timestamp>,
    /// Only runs older than this one: the last of the page before.
    pub before: Option<RunId>,
    /// At most this many; [`MAX_LIST`] when not given or more.
    pub limit: Option<u32>,
}

/// What filling an index came to.
#[derive(Debug, Default)]
pub struct Filled {
    /// Runs that were taken in.
    pub added: u64,
    /// Folders whose record cannot be read, with the reason; `verify` says more.
    pub unreadable: Vec<(PathBuf, StoreError)>,
}

/// The index. Can be shared: calls take turns.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    connection: Mutex<Connection>,
    is_new: bool,
}

impl Index {
    /// Open the index at `path`. One that is missing, damaged or of another version is made anew,
    /// empty: then [`Index::is_new`] answers true and [`Index::fill`] is called for.
    ///
    /// # Errors
    /// [`IndexError`] when none can be made either.
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let existed = path.exists();
        match connect(path) {
            Ok(connection) => Ok(Self::with(path, connection, !existed)),
            Err(_) if existed => {
                remove(path)?;
                let connection = connect(path).map_err(failed(path))?;
                Ok(Self::with(path, connection, true))
            }
            Err(source) => Err(failed(path)(source)),
        }
    }

    fn with(path: &Path, connection: Connection, is_new: bool) -> Self {
        Self { path: path.to_owned(), connection: Mutex::new(connection), is_new }
    }

    /// Make the index at `path` anew from the folders of the store at `root`.
    ///
    /// # Errors
    /// [`IndexError`]; a folder that cannot be read is no error but part of the answer.
    pub fn rebuild(path: &Path, root: &Path) -> Result<(Self, Filled), IndexError> {
        remove(path)?;
        let index = Self::open(path)?;
        let filled = index.fill(root)?;
        Ok((index, filled))
    }

    /// Whether it was made anew when it was opened, and so does not know the runs there are.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Take in all sealed runs of the store at `root` that it does not know yet.
    ///
    /// # Errors
    /// [`IndexError`]; a folder that cannot be read is no error but part of the answer.
    pub fn fill(&self, root: &Path) -> Result<Filled, IndexError> {
        let mut filled = Filled::default();
        for folder in store::sealed_in(root) {
            let name = folder.file_name().and_then(|name| name.to_str()?.parse::<RunId>().ok());
            if let Some(run) = name
                && self.get(run)?.is_some()
            {
                continue;
            }
            match RunSummary::read(&folder) {
                Ok(summary) => {
                    self.put(&summary)?;
                    filled.added += 1;
                }
                Err(error) => filled.unreadable.push((folder, error)),
            }
        }
        Ok(filled)
    }

    /// Take in one run, or replace what is known of it.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn put(&self, summary: &RunSummary) -> Result<(), IndexError> {
        let text = serde_json::to_string(summary).expect("a summary is plain data");
        self.lock()
            .prepare_cached("INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6)")
            .and_then(|mut statement| {
                statement.execute(params![
                    summary.run.to_string(),
                    summary.workflow,
                    state_name(summary.state),
                    summary.opened_at,
                    summary.verdict.map(Verdict::word),
                    text
                ])
            })
            .map_err(failed(&self.path))?;
        Ok(())
    }

    /// What is known of `run`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn get(&self, run: RunId) -> Result<Option<RunSummary>, IndexError> {
        let text = self
            .lock()
            .prepare_cached("SELECT summary FROM runs WHERE run = ?1")
            .and_then(|mut statement| {
                statement.query_row([run.to_string()], |row| row.get::<_, String>(0)).optional()
            })
            .map_err(failed(&self.path))?;
        // A row that cannot be understood is as good as none: the folder is the truth.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// The runs that pass `filter`, newest first.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn list(&self, filter: &Filter) -> Result<Vec<RunSummary>, IndexError> {
        const LIST: &str = "SELECT summary FROM runs
            WHERE (?1 IS NULL OR workflow = ?1) AND (?2 IS NULL OR state = ?2)
              AND (?3 IS NULL OR opened_at >= ?3) AND (?4 IS NULL OR opened_at < ?4)
              AND (?5 IS NULL OR run < ?5) AND (?6 IS NULL OR verdict = ?6)
            ORDER BY run DESC LIMIT ?7";
        let connection = self.lock();
        let mut statement = connection.prepare_cached(LIST).map_err(failed(&self.path))?;
        let parameters = params![
            filter.workflow,
            filter.state.map(state_name),
            filter.since.map(rfc3339_millis),
            filter.until.map(rfc3339_millis),
            filter.before.map(|run| run.to_string()),
            filter.verdict.map(Verdict::word),
            filter.limit.unwrap_or(MAX_LIST).min(MAX_LIST),
        ];
        let rows = statement
            .query_map(parameters, |row| row.get::<_, String>(0))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(failed(&self.path))?;
        Ok(rows.iter().filter_map(|text| serde_json::from_str(text).ok()).collect())
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to a sound index of this version.
fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let connection = Connection::open(path)?;
    // Losing the last entries in a power cut is fine: they are filled in from the folders.
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let sound: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if sound != "ok" || (tables > 0 && version != VERSION) {
        return Err(rusqlite::Error::InvalidQuery);
    }
    connection.execute_batch(SCHEMA)?;
    connection.pragma_update(None, "user_version", VERSION)?;
    Ok(connection)
}

/// Remove the file of an index with what SQLite keeps beside it.
fn remove(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let name = PathBuf::from(name);
        disk::remove_file(&name).map_err(StoreError::at(&name))?;
    }
    Ok(())
}

fn failed(path: &Path) -> impl FnOnce(rusqlite::Error) -> IndexError {
    move |source| IndexError::Sqlite { path: path.to_owned(), source }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Sealed => "sealed",
        State::Expired => "expired",
        State::Interrupted => "interrupted",
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
mod tests {
    use std::fs;

    use super::super::fixture::{Bench, id};
    use super::*;

    fn runs(index: &Index, filter: &Filter) -> Vec<RunId> {
        index.list(filter).expect("listed").into_iter().map(|summary| summary.run).collect()
    }

    #[test]
    fn lists_are_newest_first_and_filtered() {
        let bench = Bench::new();
        let folders = [bench.sealed(0), bench.sealed(1)];
        let index = Index::open(&bench.store.root().join("index.sqlite")).expect("opened");
        for folder in &folders {
            index.put(&RunSummary::read(folder).expect("read")).expect("put");
        }
        let all = Filter::default();
        assert_eq!(runs(&index, &all), [id(1), id(0)]);
        assert_eq!(runs(&index, &Filter { limit: Some(1), ..all.clone() }), [id(1)]);
        assert_eq!(runs(&index, &Filter { before: Some(id(1)), ..all.clone() }), [id(0)]);
        let workflow = Some("other".to_owned());
        assert_eq!(runs(&index, &Filter { workflow, ..all.clone() }), []);
        let state = Some(State::Interrupted);
        assert_eq!(runs(&index, &Filter { state, ..all.clone() }), []);
        let split = index.get(id(1)).expect("got").expect("known").opened_at.parse().ok();
        assert_eq!(runs(&index, &Filter { since: split, ..all.clone() }), [id(1)]);
        assert_eq!(runs(&index, &Filter { until: split, ..all }), [id(0)]);
    }

    #[test]
    fn deleting_or_damaging_the_file_loses_nothing() {
        let bench = Bench::new();
        bench.sealed(0);
        bench.sealed(1);
        let root = bench.store.root().to_owned();
        let path = root.join("index.sqlite");
        let (index, filled) = Index::rebuild(&path, &root).expect("built");
        assert_eq!((filled.added, filled.unreadable.len()), (2, 0));
        let before = index.list(&Filter::default()).expect("listed");
        drop(index);
        for damage in ["delete", "garbage", "truncate"] {
            match damage {
                "delete" => fs::remove_file(&path).expect("removed"),
                "garbage" => fs::write(&path, vec![b'x'; 8192]).expect("written"),
                _ => {
                    let bytes = fs::read(&path).expect("read");
                    fs::write(&path, &bytes[..bytes.len() / 2]).expect("written");
                }
            }
            let index = Index::open(&path).expect("opened");
            assert!(index.is_new(), "{damage}");
            index.fill(&root).expect("filled");
            assert_eq!(index.list(&Filter::default()).expect("listed"), before, "{damage}");
        }
        assert!(!Index::open(&path).expect("opened").is_new());
    }
}
