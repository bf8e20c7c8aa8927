//! Owns the connections that read the index: a few of their own, so that no reader waits for the
//! writer and no writer for a reader (SQLite's WAL). Readers wait for readers when all are lent.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::{Connection, OpenFlags};

/// Most connections there are at a time: each holds three descriptors.
const MOST: usize = 4;

/// Connections for reading, made when they are needed.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Connection>,
    lent: usize,
}

/// A connection that is lent until this is dropped.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Readers {
    /// For the index at `path`, which somebody holds open for writing.
    pub(super) fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), state: Mutex::default(), returned: Condvar::new() }
    }

    /// A connection, when one is free.
    pub(super) fn lend(&self) -> Result<Reader<'_>, rusqlite::Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.lent == MOST {
            state = self.returned.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.lent += 1;
        let idle = state.idle.pop();
        drop(state);
        let mut reader = Reader { readers: self, connection: idle };
        if reader.connection.is_none() {
            // Where this fails, dropping the reader gives its place back.
            reader.connection = Some(connect(&self.path)?);
        }
        Ok(reader)
    }
}

fn connect(path: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
}

impl Deref for Reader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until it is returned")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut state = self.readers.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lent -= 1;
        state.idle.extend(self.connection.take());
        self.readers.returned.notify_one();
    }
}
