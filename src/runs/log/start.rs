//! Owns the taking up of a store's log at the start of the daemon: the log hears that it started, and with
//! which key it signs. Refuses a store that another machine used last.

use std::path::Path;
use std::sync::Arc;

use super::signing::{self, SigningKey};
use crate::clock::Clock;
use crate::config::Config;
use crate::digest::Digest;
use crate::disk::{self, room::Reserve};
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{Leaf, LeafKind, Life, Log, LogReader, LoggedKeys, leaf};
use crate::evidence::{LogKey, Signers, Store, StoreError};
use crate::integrity::memory::Memory;
use crate::runs::problem::store_problem;
use crate::runs::provenance::host_name;
use crate::tlog::note::Algorithm;

/// Letters of a machine's digest by which it is called.
const TAG: usize = 16;
/// The machine's and the boot's identity (machine-id(5), random(4)).
const MACHINE: &str = "/etc/machine-id";
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// Open the log of `store`, which this process holds, and say in it that the daemon starts, and with
/// which key it signs.
///
/// A log that was begun before, and that there is no room for in spite of the `reserve`, is read.
pub(in crate::runs) fn begin(
    store: Store,
    config: &Config,
    key: &LogKey,
    clock: &Clock,
    reserve: &Reserve,
) -> Result<Begun, Problem> {
    let origin = origin(store.root(), config, key)?;
    let open = || Log::open(store.root(), key, &origin).map_err(log_problem);
    // A store that is refused is refused before a key is made, exchanged or noted.
    let there = LogReader::of_store(store.root()).exists().then(open).transpose()?;
    let last = there.as_ref().map(last_start).transpose()?.flatten();
    let memory = remembered(config, key, &origin)?;
    check_goes_on(&store, there.as_ref(), &memory)?;
    if last.is_none() {
        check_begins_with_nothing(&store)?;
    }
    let moved = check_machine(last.as_ref(), identity(&origin, MACHINE), config)?;
    let logged = there.as_ref().map(|log| LoggedKeys::of_store(store.root(), Some(&log.key())));
    let logged = logged.transpose().map_err(log_problem)?;
    // Where the operator says that the store was moved here, another machine's keys may have stayed there.
    let logged = logged.filter(|_| !moved);
    // Nobody signs with the key before while the store is held.
    let (signing, signers) = SigningKey::begin(config, clock, logged.as_ref())?;
    let log = there.map_or_else(open, Ok)?;
    hand_out(&config.keys.log_public_file(), &log)?;
    let before = signing::last_told(&log)?;
    let life = life(config, signing.fingerprint(), &origin);
    let mut entries = vec![leaf::start(&life, moved, clock.now())];
    if let Some(before) = before.filter(|before| *before != life.key) {
        entries.push(leaf::key_change(&before, &life.key, signers.reason(), clock.now()));
    }
    let is_new = last.is_none();
    let mut unsaid = Unsaid { entries, signers, why: String::new() };
    let mut said = unsaid.say(&log, clock);
    if said.as_ref().is_err_and(|problem| problem.code == Code::StoreFull && reserve.spend_half()) {
        tracing::error!("the disk is full; half of the reserve is spent");
        said = unsaid.say(&log, clock);
    }
    let unsaid = match said {
        Ok(()) => None,
        Err(problem) if problem.code == Code::StoreFull && !is_new => {
            let why = chain(&problem);
            tracing::error!(
                why,
                "there is no room to write: the daemon is read-only; free some space or inodes, and it goes on by itself"
            );
            Some(Unsaid { why: problem.message, ..unsaid })
        }
        Err(problem) => return Err(problem),
    };
    tracing::info!(log = %log.key(), "runs stand in the log");
    let log = Arc::new(log);
    let store = store.with_log(Arc::clone(&log));
    let begun = Begun { store, log, signing, unsaid, memory };
    remember(&begun.memory, &begun.log);
    Ok(begun)
}

/// A store that was taken possession of.
pub(in crate::runs) struct Begun {
    pub(in crate::runs) store: Store,
    pub(in crate::runs) log: Arc<Log>,
    pub(in crate::runs) signing: SigningKey,
    /// What the log could not be told, for want of room.
    pub(in crate::runs) unsaid: Option<Unsaid>,
    /// How far the log had come, outside the store.
    pub(in crate::runs) memory: Memory,
}

/// What the log is to hear of a start.
#[derive(Debug)]
pub(in crate::runs) struct Unsaid {
    entries: Vec<Vec<u8>>,
    signers: Signers,
    /// What there was no room for.
    pub(in crate::runs) why: String,
}

impl Unsaid {
    /// Say it.
    pub(in crate::runs) fn say(&mut self, log: &Log, clock: &Clock) -> Result<(), Problem> {
        // Together: after a start that names the key nobody would see that it was exchanged.
        if !self.entries.is_empty() {
            log.append_all(self.entries.clone()).map_err(store_problem)?;
            self.entries.clear();
        }
        signing::tell_revocations(log, &mut self.signers, clock)
    }
}

/// The last start that `log` tells of.
fn last_start(log: &Log) -> Result<Option<Leaf>, Problem> {
    let started = log.last(|leaf| leaf.kind == LeafKind::Start).map_err(store_problem)?;
    Ok(started.map(|(_, leaf)| leaf))
}

/// What is remembered of the log `origin`, beside its key.
fn remembered(config: &Config, key: &LogKey, origin: &str) -> Result<Memory, Problem> {
    let folder = config.keys.log_memory_folder();
    let signer = key.signer(origin).map_err(|error| {
        let message = format!("the log's key makes no signer called `{origin}`: {error}");
        Problem::new(Code::InvalidConfig, message).field("transparency.origin")
    })?;
    let log = signer.verifier(Algorithm::Ed25519).to_string();
    Memory::open(&folder, &log, false).map_err(|error| {
        let message = format!(
            "how far the log had come cannot be read or written in {}; check owner and permissions. Where \
             it holds something else, put it back; if it is lost for good and the store is known to be \
             in its newest state, note why and remove it",
            folder.display()
        );
        Problem::new(Code::InvalidConfig, message).field("keys.log").because(error)
    })
}

/// The log that is `there` goes on from what is remembered of it: an older one, another or none in its
/// place is not gone on with, for what would be sealed then could contradict what was sealed before.
fn check_goes_on(store: &Store, there: Option<&Log>, memory: &Memory) -> Result<(), Problem> {
    let why = match (there, memory.tree_head()) {
        (None, Some(seen)) => {
            format!("the store has no log, and {} entries of it were seen before", seen.size)
        }
        (None, None) => return Ok(()),
        (Some(log), _) => match memory.check(&log.reader(), &log.checkpoint().1) {
            Ok(()) => return Ok(()),
            Err(why) => why,
        },
    };
    let message = format!(
        "the log of the store {} is not continued: {why}; put back the newest state of the store. \
         If that is lost for good and this one is to be gone on with, note why and remove {}",
        store.root().display(),
        memory.path().display()
    );
    Err(Problem::new(Code::LogDamaged, message))
}

/// A log begins in a store that holds nothing yet: what a store holds without one was sealed elsewhere,
/// or before the log was taken away, and nobody puts that into a log unseen.
fn check_begins_with_nothing(store: &Store) -> Result<(), Problem> {
    let Some(there) = store.first_thing().map_err(store_problem)? else { return Ok(()) };
    let message = format!(
        "the store's log has not begun, and {} is there: a log was taken away, or the store is from \
         elsewhere; restore the log, or begin another store and keep this one for `exhibit verify`",
        there.display()
    );
    Err(Problem::new(Code::LogDamaged, message))
}

/// Remember how far `log` has come.
pub(in crate::runs) fn remember(memory: &Memory, log: &Log) {
    if let Err(why) = memory.see_checkpoint(&log.checkpoint().1) {
        tracing::error!(why, "how far the log has come is not remembered");
    }
}

/// The name of the log: the one it has, or the configuration's, or one that no other log has.
fn origin(root: &Path, config: &Config, key: &LogKey) -> Result<String, Problem> {
    let there = Log::origin_of(root).map_err(log_problem)?;
    match (there, &config.transparency.origin) {
        (Some(there), Some(wanted)) if there != *wanted => {
            let message = format!(
                "the log of the store is called `{there}`, and a log keeps its name; write that, \
                 or \"\", or use another store"
            );
            Err(Problem::new(Code::InvalidConfig, message).field("transparency.origin"))
        }
        (Some(there), _) => Ok(there),
        (None, Some(wanted)) => Ok(wanted.clone()),
        (None, None) => {
            let sound = |letter: char| letter.is_ascii_alphanumeric() || ".-_".contains(letter);
            let host: String = host_name().chars().filter(|letter| sound(*letter)).collect();
            Ok(format!("exhibit/{host}/{}", &key.fingerprint().to_string()[..8]))
        }
    }
}

/// What keeps the log from being continued, for the operator at start.
fn log_problem(error: StoreError) -> Problem {
    let StoreError::Damaged { .. } = &error else { return store_problem(error) };
    let message = format!(
        "the store's log is not continued: {error}; `exhibit verify` on the store says what is \
         wrong; restore the log or its key (keys.log), or begin another store"
    );
    Problem::new(Code::LogDamaged, message)
}

/// Write the log's public key beside its private one, for whoever checks the log.
fn hand_out(path: &Path, log: &Log) -> Result<(), Problem> {
    let line = format!("{}\n", log.key());
    let there = std::fs::read(path).is_ok_and(|bytes| bytes == line.as_bytes());
    if there {
        return Ok(());
    }
    let written = disk::remove_cut_short(path);
    let written = written.and_then(|()| disk::replace(path, line.as_bytes(), 0o644));
    written.map_err(|error| {
        let message =
            format!("the log's public key {} cannot be written; check the folder", path.display());
        Problem::new(Code::InvalidConfig, message).field("keys.log").because(error)
    })
}

/// Who this machine or boot is to the log `origin`, by what stands in the file `path`.
fn identity(origin: &str, path: &str) -> Digest {
    let known = std::fs::read_to_string(path).unwrap_or_else(|_| host_name());
    Digest::of_parts(&[origin.as_bytes(), b"\n", known.trim().as_bytes()])
}

fn life(config: &Config, key: String, origin: &str) -> Life {
    Life {
        exhibit: env!("CARGO_PKG_VERSION").to_owned(),
        machine: identity(origin, MACHINE),
        boot: identity(origin, BOOT),
        key,
        config_sha256: digest_of(config),
        heartbeat_ms: leaf::millis(config.transparency.heartbeat),
    }
}

/// Of all settings in force; a secret counts only as being there.
pub(in crate::runs) fn digest_of(config: &Config) -> Digest {
    Digest::of(config.to_string().as_bytes())
}

/// Whether the store was moved here from the machine that the configuration names.
fn check_machine(last: Option<&Leaf>, own: Digest, config: &Config) -> Result<bool, Problem> {
    let machine = last.and_then(|leaf| leaf.data.get("machine")?.as_str());
    let Some(machine) = machine.filter(|machine| *machine != own.to_string()) else {
        return Ok(false);
    };
    let tag = machine.get(..TAG).unwrap_or(machine);
    if config.transparency.moved_from.as_deref() == Some(tag) {
        return Ok(true);
    }
    let message = format!(
        "the store was last used on another machine, which this log calls {tag}: two daemons that \
         continue one log would contradict each other; if the store was moved and is not used \
         there any more, set transparency.moved_from = \"{tag}\""
    );
    Err(Problem::new(Code::InvalidConfig, message).field("transparency.moved_from"))
}
