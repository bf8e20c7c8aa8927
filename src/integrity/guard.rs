//! Owns the guard: the one part that may set and clear the immutable flag of sealed folders, in a
//! process of its own with that capability and no other. It is asked by one line over a Unix socket,
//! knows runs by their ids and nothing by a path, and clears the flag only of a run whose end the
//! store's log holds. It writes nothing but flags, and a canary to measure them.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use std::fmt;

use crate::disk::canary::Canary;
use crate::disk::flags::Held;
use crate::evidence::log::{Leaf, LeafKind, LogReader};
use crate::evidence::sealed_place;
use crate::id::RunId;
use crate::tlog::note::VerifierKey;
use crate::tlog::tile::WIDTH;

/// Longest line, either way.
const LINE: u64 = 1024;
/// How long the other side may be silent.
const PATIENCE: Duration = Duration::from_secs(30);
/// Kinds of the log's entries after which a run may go.
const ENDS: [&str; 2] = ["purge", "archive"];

/// What the guard is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Make the sealed folder of a run immutable.
    Lock(RunId),
    /// Make it removable again, because the log says that it goes.
    Release(RunId),
    /// Try whether the flag holds.
    Measure,
}

impl FromStr for Order {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let run = |id: &str| id.parse().map_err(|error| format!("{error}"));
        match line.split_once(' ') {
            Some(("lock", id)) => Ok(Self::Lock(run(id)?)),
            Some(("release", id)) => Ok(Self::Release(run(id)?)),
            None if line == "measure" => Ok(Self::Measure),
            _ => Err("not an order; say `lock RUN`, `release RUN` or `measure`".to_owned()),
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lock(run) => write!(f, "lock {run}"),
            Self::Release(run) => write!(f, "release {run}"),
            Self::Measure => f.write_str("measure"),
        }
    }
}

/// Give `order` to the guard on `socket`.
///
/// # Errors
/// Why it was not done, in words.
pub fn ask(socket: &Path, order: Order) -> Result<(), String> {
    let answer = exchange(socket, order)
        .map_err(|error| format!("the guard on {} does not answer: {error}", socket.display()))?;
    match answer.trim_end().split_once(' ') {
        None if answer.trim_end() == "ok" => Ok(()),
        Some(("no", why)) => Err(why.to_owned()),
        _ => Err("the guard's answer cannot be understood".to_owned()),
    }
}

fn exchange(socket: &Path, order: Order) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{order}\n").as_bytes())?;
    line(&stream)
}

fn line(stream: &UnixStream) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(stream.take(LINE)).read_line(&mut line)?;
    Ok(line)
}

/// The guard over one store.
#[derive(Debug)]
pub struct Guard {
    store: PathBuf,
    held: Held,
    owner: u32,
    log_key: VerifierKey,
}

impl Guard {
    /// Guard the store at `store`, whose log has the public key `log_key`.
    ///
    /// # Errors
    /// What the system answers.
    pub fn open(store: &Path, log_key: VerifierKey) -> io::Result<Self> {
        let held = Held::open(store)?;
        let owner = held.owner()?;
        Ok(Self { store: store.to_owned(), held, owner, log_key })
    }

    /// Answer whoever connects to `listener`, one after the other, for as long as it lasts.
    pub fn serve(&self, listener: &UnixListener) {
        for stream in listener.incoming() {
            let answered = stream.and_then(|stream| self.answer(stream));
            if let Err(error) = answered {
                tracing::warn!(%error, "somebody was not answered");
            }
        }
    }

    fn answer(&self, mut stream: UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let peer = rustix::net::sockopt::socket_peercred(&stream)?.uid.as_raw();
        let done = if peer == self.owner || peer == 0 {
            line(&stream)?.trim_end().parse().and_then(|order| self.carry_out(order))
        } else {
            Err("only the user that owns the store is answered".to_owned())
        };
        let answer = match done {
            Ok(()) => "ok\n".to_owned(),
            Err(why) => {
                tracing::warn!(peer, why, "an order was not carried out");
                format!("no {}\n", why.replace('\n', " "))
            }
        };
        stream.write_all(answer.as_bytes())
    }

    /// Do as told.
    ///
    /// # Errors
    /// Why not, in words.
    pub fn carry_out(&self, order: Order) -> Result<(), String> {
        match order {
            Order::Lock(run) => {
                let changed = self.set(run, true)?;
                tracing::info!(%run, changed, "a sealed folder was made immutable");
            }
            Order::Release(run) => {
                self.check_ended(run)?;
                let changed = self.set(run, false)?;
                tracing::warn!(%run, changed, "a folder may be changed again: the log says that it goes");
            }
            Order::Measure => measure(&self.store)?,
        }
        Ok(())
    }

    fn set(&self, run: RunId, on: bool) -> Result<u64, String> {
        self.held.set_immutable(Path::new(&sealed_place(run)), on).map_err(|error| cause(&error))
    }

    /// Whether the log says that `run` goes: in an entry that its signed checkpoint covers.
    fn check_ended(&self, run: RunId) -> Result<(), String> {
        let damaged = |error: &dyn fmt::Display| format!("the log cannot be read: {error}");
        let log = LogReader::of_store(&self.store);
        let (note, checkpoint) = log.checkpoint().map_err(|error| damaged(&error))?;
        if note.signed_by(&self.log_key).is_none() {
            return Err("the log's checkpoint is not signed with the log's key".to_owned());
        }
        let size = checkpoint.size;
        for bundle in (0..size.div_ceil(WIDTH)).rev() {
            let entries = log.bundle(bundle, size).map_err(|error| damaged(&error))?;
            let found = entries.iter().rposition(|entry| ends(entry, run) || returns(entry, run));
            let Some(at) = found else { continue };
            if returns(&entries[at], run) {
                return Err(format!("{run} was archived and restored since; it stays"));
            }
            let index = bundle * WIDTH + at as u64;
            let proof = log.proof(index, note, checkpoint).map_err(|error| damaged(&error))?;
            return if proof.includes(&entries[at]) {
                Ok(())
            } else {
                Err("the log's entry is not the one that its checkpoint covers".to_owned())
            };
        }
        Err(format!("the log holds no purge of {run}; a sealed folder stays until it does"))
    }
}

/// Whether `entry` says that `run` goes.
fn ends(entry: &[u8], run: RunId) -> bool {
    let Some(leaf) = Leaf::parse(entry) else { return false };
    let named = |value: &serde_json::Value| value.as_str() == Some(run.to_string().as_str());
    let kind = leaf.data.get("kind").and_then(|kind| kind.as_str());
    let runs = leaf.data.get("runs").and_then(|runs| runs.as_array());
    kind.is_some_and(|kind| ENDS.contains(&kind))
        && (leaf.run == Some(run) || runs.is_some_and(|runs| runs.iter().any(named)))
}

/// Whether `entry` says that `run` is a sealed folder again.
fn returns(entry: &[u8], run: RunId) -> bool {
    Leaf::parse(entry).is_some_and(|leaf| leaf.kind == LeafKind::Restore && leaf.run == Some(run))
}

/// Whether the immutable flag holds in the store at `store`, by trying it on a canary.
///
/// # Errors
/// Why it does not, in words.
pub fn measure(store: &Path) -> Result<(), String> {
    let canary = Canary::make(store).map_err(|error| format!("no canary can be made: {error}"))?;
    canary.lock().map_err(|error| cause(&error))?;
    let passed: Vec<&str> =
        canary.attack().iter().filter(|one| !one.refused).map(|one| one.what).collect();
    if passed.is_empty() { Ok(()) } else { Err(format!("not refused: {}", passed.join(", "))) }
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Unsupported => "the file system has no immutable flag".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "the process lacks the capability CAP_LINUX_IMMUTABLE, or does not own the files"
                .to_owned()
        }
        io::ErrorKind::NotFound => "there is no such sealed folder".to_owned(),
        io::ErrorKind::InvalidInput => "it holds what is neither file nor folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

    #[test]
    fn an_order_is_a_word_and_a_run_and_nothing_else() {
        let run: RunId = RUN.parse().expect("an id");
        for order in [Order::Lock(run), Order::Release(run), Order::Measure] {
            assert_eq!(order.to_string().parse(), Ok(order));
        }
        for other in ["", "lock", "lock ../../etc", "lock /etc", "measure x", "unlock x"] {
            other.parse::<Order>().expect_err(other);
        }
    }

    #[test]
    fn only_an_entry_that_says_so_ends_a_run() {
        let run: RunId = RUN.parse().expect("an id");
        let entry = |kind: &str, more: &str| {
            format!(
                "{{\"format\":\"exhibit-log/1\",\"kind\":\"{kind}\",{more},\"time\":\"2026-11-29T00:00:00.000Z\"}}"
            )
        };
        let own = format!("\"run\":\"{RUN}\"");
        assert!(ends(entry("purge", &own).as_bytes(), run));
        assert!(ends(entry("archive", &format!("\"runs\":[\"{RUN}\"]")).as_bytes(), run));
        assert!(!ends(entry("open", &own).as_bytes(), run));
        assert!(!ends(entry("purge", &own.replace("8b57", "8b58")).as_bytes(), run));
        assert!(!ends(b"purge", run));
        assert!(returns(entry("restore", &own).as_bytes(), run));
        assert!(!returns(entry("archive", &own).as_bytes(), run));
    }
}
