//! Owns the marks by which the daemon knows rows of the index as its own: whoever can write to the
//! store's folder can write to the index as well, and what it says is shown. Each row has a keyed digest
//! over what is in it; a row without its own is thrown away, and read again from its folder. SQLite tells
//! when another connection wrote, so that rows are gone through at the start and after that only.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use rusqlite::{Connection, Row, params};

use super::{Index, IndexError};
use crate::digest::Digest;
use crate::id::RunId;
use crate::log::{Leaf, LeafKind, LogReader};
use crate::{LogKey, StoreError};

/// What is marked of a row, in order.
const COLUMNS: [&str; 11] = [
    "run",
    "workflow",
    "state",
    "opened_at",
    "verdict",
    "outcome",
    "agent",
    "principal",
    "opener",
    "words",
    "summary",
];
pub(super) const SCHEMA: &str = "CREATE TABLE IF NOT EXISTS marks (run TEXT PRIMARY KEY, mark TEXT NOT NULL) \
                      STRICT, WITHOUT ROWID;";
/// What was used, by the rows that are left, whose summaries are marked.
const RECOUNT: &str = "
    UPDATE runs SET captures = coalesce(json_extract(summary, '$.counts.captures'), 0);
    DELETE FROM usage;
    INSERT INTO usage SELECT opener, substr(opened_at, 1, 7), sum(captures)
        FROM runs GROUP BY opener, substr(opened_at, 1, 7);";

/// The key, once somebody gave one, and how far the index was looked at.
#[derive(Debug, Default)]
pub(super) struct Marks {
    key: OnceLock<Digest>,
    /// What SQLite counted of other connections' writing when the rows were gone through last.
    seen: Mutex<Option<i64>>,
}

/// What stands in a row.
pub(super) type Content<'a> = [Option<&'a str>; COLUMNS.len()];

impl Index {
    /// Mark rows by what only the holder of the log's key can compute, and believe no others.
    pub fn authenticate(&self, key: &LogKey) {
        let key = key.derived("exhibit index");
        // A second daemon in one process has the same key, or its rows are read again.
        let _ = self.marks.key.set(key);
    }

    /// The mark of a row; none without a key.
    pub(super) fn mark_of(&self, content: &Content) -> Option<String> {
        let key = self.marks.key.get()?.as_bytes();
        let content = serde_json::to_vec(content).expect("texts are plain data");
        let inner = Digest::of_parts(&[key, b"inner", &content]);
        Some(Digest::of_parts(&[key, b"outer", inner.as_bytes()]).to_string())
    }

    /// Make a changed schema anew, and throw away every row that is not known as one's own, where another connection wrote since that
    /// was done last, or it never was; whether another did, so that [`Index::fill`] is called for.
    ///
    /// # Errors
    /// [`IndexError`].
    pub fn distrust(&self) -> Result<bool, IndexError> {
        if self.marks.key.get().is_none() {
            return Ok(false);
        }
        let connection = self.lock();
        let mut seen = self.marks.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let version = connection.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0));
        let version = version.map_err(|error| self.failed(error))?;
        if *seen == Some(version) {
            return Ok(false);
        }
        super::mend(&connection).map_err(|error| self.failed(error))?;
        let strangers = self.strangers(&connection).map_err(|error| self.failed(error))?;
        for run in &strangers {
            let removed = connection.execute("DELETE FROM runs WHERE run = ?1", [run]);
            removed.map_err(|error| self.failed(error))?;
        }
        recount(&connection).map_err(|error| self.failed(error))?;
        *seen = Some(version);
        Ok(true)
    }

    /// The rows whose mark is another, or missing, by what stands where a run should.
    fn strangers(&self, connection: &Connection) -> Result<Vec<String>, rusqlite::Error> {
        connection.execute_batch(SCHEMA)?;
        let columns = COLUMNS.map(|column| format!("runs.{column}")).join(", ");
        let all = format!("SELECT mark, {columns} FROM runs LEFT JOIN marks USING (run)");
        let mut statement = connection.prepare_cached(&all)?;
        let is_own = |row: &Row<'_>| -> Result<bool, rusqlite::Error> {
            let mark: Option<String> = row.get(0)?;
            let mut content: [Option<String>; COLUMNS.len()] = Default::default();
            for (place, text) in content.iter_mut().enumerate() {
                *text = row.get(place + 1)?;
            }
            let content = content.each_ref().map(|text| text.as_deref());
            Ok(mark.is_some() && mark == self.mark_of(&content))
        };
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(1)?, is_own(row)?)))?;
        let rows: Vec<(String, bool)> = rows.collect::<Result<_, _>>()?;
        Ok(rows.into_iter().filter(|(_, own)| !own).map(|(run, _)| run).collect())
    }
}

/// Count what was used again: whoever wrote into the index may have changed that, too.
fn recount(connection: &Connection) -> Result<(), rusqlite::Error> {
    let both = connection.unchecked_transaction()?;
    both.execute_batch(RECOUNT)?;
    both.commit()
}

/// Note the `mark` of the row of `run`, by whoever writes that.
pub(super) fn note(connection: &Connection, run: &str, mark: &str) -> Result<(), rusqlite::Error> {
    connection.execute_batch(SCHEMA)?;
    let insert = "INSERT OR REPLACE INTO marks VALUES (?1, ?2)";
    connection.prepare_cached(insert)?.execute(params![run, mark]).map(drop)
}

/// The digest of the last seal of each run in the log of the store at `root`.
///
/// # Errors
/// See [`StoreError`].
pub(crate) fn logged_seals(root: &Path) -> Result<HashMap<RunId, Digest>, StoreError> {
    let reader = LogReader::of_store(root);
    let (_, checkpoint) = reader.checkpoint()?;
    let mut seals = HashMap::new();
    reader.each(checkpoint.size, |_, entry| {
        let leaf = Leaf::parse(entry).filter(|leaf| leaf.kind == LeafKind::Seal);
        seals.extend(leaf.and_then(|leaf| leaf.run).map(|run| (run, Digest::of(entry))));
    })?;
    Ok(seals)
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{Bench, id, log_key};
    use super::*;
    use crate::Filter;

    fn listed(index: &Index) -> Vec<(RunId, Option<String>)> {
        let runs = index.list(&Filter::default()).expect("listed");
        runs.into_iter().map(|run| (run.run, run.outcome)).collect()
    }

    /// What an insider does, beside the daemon's own connection.
    fn edit(path: &Path, statement: &str) {
        let other = Connection::open(path).expect("opened");
        assert!(other.execute(statement, []).expect("edited") > 0, "{statement}");
    }

    #[test]
    fn rows_of_others_are_thrown_away_and_read_again() {
        let bench = Bench::new();
        bench.sealed(0);
        bench.sealed(1);
        let root = bench.store.root().to_owned();
        let path = root.join("index.sqlite");
        let index = Index::open(&path).expect("opened");
        index.authenticate(&log_key());
        index.fill(&root).expect("filled");
        let honest = listed(&index);
        assert_eq!(honest.len(), 2);
        assert!(index.distrust().expect("looked"), "the first look");
        assert!(!index.distrust().expect("looked"), "nobody else wrote");
        let to_failed = "UPDATE runs SET outcome = 'failed', \
                         summary = replace(summary, 'succeeded', 'failed')";
        let run = id(0);
        for attack in [
            to_failed.to_owned(),
            "UPDATE runs SET state = 'expired'".to_owned(),
            "UPDATE runs SET words = ''".to_owned(),
            format!("DELETE FROM runs WHERE run = '{run}'"),
            format!("UPDATE marks SET mark = (SELECT mark FROM marks WHERE run != '{run}')"),
            "INSERT INTO runs SELECT '019ab2f0-6c20-7000-8000-00000000000a', workflow, state, \
             opened_at, verdict, outcome, agent, principal, opener, words, summary, captures FROM runs LIMIT 1"
                .to_owned(),
        ] {
            edit(&path, &attack);
            assert!(index.distrust().expect("looked"), "{attack}");
            index.fill(&root).expect("filled");
            assert_eq!(listed(&index), honest, "{attack}");
        }
        // A start, too, believes its own rows only.
        drop(index);
        edit(&path, to_failed);
        let index = Index::open(&path).expect("opened");
        index.authenticate(&log_key());
        assert!(index.distrust().expect("looked"));
        assert_eq!(listed(&index), []);
    }
}
