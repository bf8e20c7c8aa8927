//! Owns the index over the sealed runs: a SQLite file for quick lists. It is never the truth and
//! can be deleted at any time; everything in it is read from the folders' own `run.json`. What is
//! asked of it is `query.rs`'s. One connection writes, those of [`readers`] read.

mod marks;
mod readers;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, ToSql, params};

use self::marks::Marks;
pub(crate) use self::marks::logged_seals;
use self::readers::{Reader, Readers};
use super::archive::archived_in;
use super::error::StoreError;
use super::facts::RunFacts;
use super::record::RunSummary;
use super::store;
use crate::disk;
use crate::id::RunId;
use crate::run::{RunSpec, State};
use crate::workflow::Verdict;

/// Counts up whenever the table changes; an index of another version is made anew.
const VERSION: i64 = 5;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS runs (
        run TEXT PRIMARY KEY, workflow TEXT NOT NULL, state TEXT NOT NULL,
        opened_at TEXT NOT NULL, verdict TEXT, outcome TEXT, agent TEXT, principal TEXT,
        opener TEXT NOT NULL, words TEXT NOT NULL, summary TEXT NOT NULL,
        captures INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS usage (
        opener TEXT NOT NULL, month TEXT NOT NULL, captures INTEGER NOT NULL,
        PRIMARY KEY (opener, month)
    ) STRICT, WITHOUT ROWID;
    CREATE TRIGGER IF NOT EXISTS counted AFTER INSERT ON runs BEGIN
        INSERT INTO usage VALUES (new.opener, substr(new.opened_at, 1, 7), new.captures)
        ON CONFLICT (opener, month) DO UPDATE SET captures = captures + excluded.captures;
    END;
    CREATE TRIGGER IF NOT EXISTS uncounted AFTER DELETE ON runs BEGIN
        UPDATE usage SET captures = captures - old.captures
        WHERE opener = old.opener AND month = substr(old.opened_at, 1, 7);
    END;
    CREATE INDEX IF NOT EXISTS by_opener ON runs (opener, run);
    CREATE INDEX IF NOT EXISTS by_workflow ON runs (workflow, run);
    CREATE INDEX IF NOT EXISTS by_verdict ON runs (state, verdict);
    CREATE INDEX IF NOT EXISTS by_outcome ON runs (outcome);
    CREATE INDEX IF NOT EXISTS by_agent ON runs (agent);
    CREATE INDEX IF NOT EXISTS by_principal ON runs (principal);";

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

/// What filling an index came to.
#[derive(Debug, Default)]
pub struct Filled {
    /// Runs that were taken in.
    pub added: u64,
    /// Folders whose record cannot be read, with the reason; `verify` says more.
    pub unreadable: Vec<(PathBuf, StoreError)>,
    /// Runs that are taken in although their seal does not bind what they say.
    pub doubted: Vec<RunId>,
}

/// The index. Can be shared: writers take turns, and readers wait for no writer.
#[derive(Debug)]
pub struct Index {
    path: PathBuf,
    /// Closed before the writer: only that can take SQLite's files beside the index away.
    readers: Readers,
    writer: Mutex<Connection>,
    is_new: bool,
    marks: Marks,
    /// Where it lies, when it goes with this.
    _folder: Option<tempfile::TempDir>,
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
        let (writer, readers) = (Mutex::new(connection), Readers::of(path));
        let marks = Marks::default();
        Self { path: path.to_owned(), writer, readers, is_new, marks, _folder: None }
    }

    /// An index in the folder for temporary files, which goes with this.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn temporary() -> Result<Self, IndexError> {
        let place = std::env::temp_dir();
        let folder = tempfile::tempdir().map_err(StoreError::at(&place))?;
        let index = Self::open(&folder.path().join("index.sqlite"))?;
        Ok(Self { _folder: Some(folder), ..index })
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
        let seals = OnceCell::new();
        // Without a log the folders are all there is.
        let logged = |run: RunId| {
            seals.get_or_init(|| logged_seals(root).unwrap_or_default()).get(&run).copied()
        };
        for folder in store::sealed_in(root) {
            let name = folder.file_name().and_then(|name| name.to_str()?.parse::<RunId>().ok());
            if let Some(run) = name
                && self.get(run)?.is_some()
            {
                continue;
            }
            let facts = RunFacts::of(&folder, name.and_then(logged));
            self.take_in(&mut filled, facts, folder)?;
        }
        for (run, archive) in archived_in(root) {
            if self.get(run)?.is_none() {
                let facts = RunFacts::archived(&archive, run, logged(run));
                self.take_in(&mut filled, facts, archive)?;
            }
        }
        Ok(filled)
    }

    fn take_in(
        &self,
        filled: &mut Filled,
        read: Result<RunFacts, StoreError>,
        place: PathBuf,
    ) -> Result<(), IndexError> {
        match read {
            Ok(facts) => {
                if !facts.doubts.is_empty() {
                    filled.doubted.push(facts.record.opening.run);
                }
                self.put(facts)?;
                filled.added += 1;
            }
            Err(error) => filled.unreadable.push((place, error)),
        }
        Ok(())
    }

    /// Take in one run, or replace what is known of it.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn put(&self, facts: impl Into<RunFacts>) -> Result<(), IndexError> {
        let facts = facts.into();
        let code = facts.code_words();
        let record = facts.record;
        let more = [record.ending.outcome.as_deref(), record.ending.reason.as_deref()];
        let more = more.into_iter().chain(code.iter().map(|text| Some(text.as_str())));
        let words = words(record.opening.run, &record.opening.spec, more);
        let opener = record.opening.caller.account();
        let summary = RunSummary::from(record);
        let text = serde_json::to_string(&summary).expect("a summary is plain data");
        let captures = i64::try_from(summary.counts.captures).unwrap_or(i64::MAX);
        let run = summary.run.to_string();
        let row = params![
            run,
            summary.workflow,
            state_name(summary.state),
            summary.opened_at,
            summary.verdict.map(Verdict::word),
            summary.outcome,
            summary.agent,
            summary.principal,
            opener,
            words,
            text,
            captures
        ];
        let mark = self.mark_of(&[
            Some(&run),
            Some(&summary.workflow),
            Some(state_name(summary.state)),
            Some(&summary.opened_at),
            summary.verdict.map(Verdict::word),
            summary.outcome.as_deref(),
            summary.agent.as_deref(),
            summary.principal.as_deref(),
            Some(&opener),
            Some(&words),
            Some(&text),
        ]);
        self.replace(&run, row, mark.as_deref()).map_err(failed(&self.path))
    }

    /// Put `row` with its `mark` in the place of what is known of `run`, in one step. The triggers see
    /// both steps of it.
    fn replace(
        &self,
        run: &str,
        row: &[&dyn ToSql],
        mark: Option<&str>,
    ) -> Result<(), rusqlite::Error> {
        const INSERT: &str =
            "INSERT INTO runs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let mut writer = self.lock();
        let all = writer.transaction()?;
        all.prepare_cached("DELETE FROM runs WHERE run = ?1")?.execute([run])?;
        all.prepare_cached(INSERT)?.execute(row)?;
        if let Some(mark) = mark {
            marks::note(&all, run, mark)?;
        }
        all.commit()
    }

    /// Take `run` out: it is not there any more.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn forget(&self, run: RunId) -> Result<(), IndexError> {
        let removed = self.lock().execute("DELETE FROM runs WHERE run = ?1", [run.to_string()]);
        removed.map(drop).map_err(failed(&self.path))
    }

    /// What is known of `run`.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn get(&self, run: RunId) -> Result<Option<RunSummary>, IndexError> {
        let reader = self.reader()?;
        let text = reader
            .prepare_cached("SELECT summary FROM runs WHERE run = ?1")
            .and_then(|mut statement| {
                statement.query_row([run.to_string()], |row| row.get::<_, String>(0)).optional()
            })
            .map_err(failed(&self.path))?;
        // A row that cannot be understood is as good as none: the folder is the truth.
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// How a failure of SQLite is told.
    pub(super) fn failed(&self, source: rusqlite::Error) -> IndexError {
        failed(&self.path)(source)
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that reads.
    pub(super) fn reader(&self) -> Result<Reader<'_>, IndexError> {
        self.readers.lend().map_err(failed(&self.path))
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
    make(&connection)?;
    // A trigger, a view or a table of somebody else's would show what is not so.
    if schema(&connection)? != own_schema()? {
        return Err(rusqlite::Error::InvalidQuery);
    }
    Ok(connection)
}

/// Make what is missing of the tables, and have nothing that stands in the schema do more than they need.
fn make(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.execute_batch(SCHEMA)?;
    connection.execute_batch(marks::SCHEMA)?;
    connection.pragma_update(None, "user_version", VERSION)
}

/// Make the tables of `connection` anew where its schema is not the one that was made: somebody put a
/// trigger or a view into it, or took a table out; whether that was so.
fn mend(connection: &Connection) -> Result<bool, rusqlite::Error> {
    let (found, own) = (schema(connection)?, own_schema()?);
    if found == own {
        return Ok(false);
    }
    let all = connection.unchecked_transaction()?;
    // A trigger could act on what goes, and an index goes with its table.
    for kind in ["trigger", "view", "table"] {
        let names = found.iter().filter(|it| it[0].as_deref() == Some(kind));
        for name in names.filter_map(|it| it[1].as_deref()) {
            let name = name.replace('"', "\"\"");
            all.execute_batch(&format!("DROP {kind} IF EXISTS \"{name}\""))?;
        }
    }
    all.commit()?;
    make(connection)?;
    if schema(connection)? == own { Ok(true) } else { Err(rusqlite::Error::InvalidQuery) }
}

/// All that the schema of `connection` says: of each thing its kind, name, table and statement.
fn schema(connection: &Connection) -> Result<Vec<[Option<String>; 4]>, rusqlite::Error> {
    // What SQLite keeps for itself has names that nobody else can give.
    let all = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name";
    let mut statement = connection.prepare(all)?;
    let rows =
        statement.query_map([], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?]))?;
    rows.collect()
}

/// What [`schema`] says of a new index.
fn own_schema() -> Result<Vec<[Option<String>; 4]>, rusqlite::Error> {
    let connection = Connection::open_in_memory()?;
    make(&connection)?;
    schema(&connection)
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

pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Sealed => "sealed",
        State::Expired => "expired",
        State::Interrupted => "interrupted",
    }
}

/// What can be searched for in a run, in small letters: all that its caller declared, and `more`.
pub fn words<'a>(
    run: RunId,
    spec: &RunSpec,
    more: impl IntoIterator<Item = Option<&'a str>>,
) -> String {
    let declared = serde_json::to_value(spec).expect("what a caller declared is plain data");
    let mut words = run.to_string();
    gather(&declared, &mut words);
    for text in more.into_iter().flatten() {
        words.push('\n');
        words.push_str(text);
    }
    words.to_lowercase()
}

/// Every text in `value`, names of fields left out, a line each.
fn gather(value: &serde_json::Value, words: &mut String) {
    use serde_json::Value;
    match value {
        Value::String(text) => {
            words.push('\n');
            words.push_str(text);
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, words)),
        Value::Object(fields) => fields.values().for_each(|field| gather(field, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
