//! Owns the guard: the one part that may set and clear the flags of sealed folders and archives, of the
//! folders they lie in and of the log's full tiles, in a process of its own with the capability for it
//! and no other. It knows runs by their ids and nothing by a path, and clears a flag only for what goes
//! by the word of the store's log (`word.rs`). It writes nothing but flags, and a canary to measure them.
//!
//! Sealed folders and archives are immutable; `runs/` and the folders of years, months and days are
//! append-only, so that runs come in and none goes. A run that goes needs the folder of its day without
//! the flag: it is so while whoever asked is there, and no longer; a guard that was ended in between
//! sets it when it starts.

mod asking;
mod word;

use std::cell::Cell;
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

pub use self::asking::{Flag, GuardCommand, Released, ask, release};
use self::asking::{answer, be_patient, line};
use self::word::{Log, Word};
use crate::digest::Digest;
use crate::disk::canary::{Attempt, Canary};
use crate::disk::flags::Held;
use crate::evidence::{RUNS, Trust, archived_place, log, seal_digest, sealed_place, verify};
use crate::id::RunId;
use crate::integrity::memory::Memory;
use crate::tlog::note::VerifierKey;
use crate::tlog::tile::Tile;

/// Folders of years, months and days: levels below `runs/`.
const LEVELS: usize = 3;

/// The guard over one store.
#[derive(Debug)]
pub struct Guard {
    /// A path to the folder that is held: what is put in its place meanwhile is not looked at.
    store: PathBuf,
    held: Held,
    owner: u32,
    log: Log,
    /// Entries of the log whose full tiles are immutable.
    tiled: Cell<u64>,
}

impl Guard {
    /// Guard the store at `store`, whose log has the public key `key`; how far that was seen is
    /// remembered in the folder `state`.
    ///
    /// # Errors
    /// What the system answers.
    pub fn open(store: &Path, key: VerifierKey, state: &Path) -> io::Result<Self> {
        let held = Held::open(store)?;
        let owner = held.owner()?;
        let memory = Memory::open(state, &key.to_string(), true)?;
        let store = held.path();
        let log = Log { store: store.clone(), key, memory };
        Ok(Self { store, held, owner, log, tiled: Cell::new(0) })
    }

    /// Look at the log and remember how far it goes; how many entries it has.
    ///
    /// # Errors
    /// Why it does not count, in words.
    pub fn look(&self) -> Result<u64, String> {
        self.log.checkpoint().map(|checkpoint| checkpoint.size)
    }

    /// Make `runs/` and the folders of all days append-only: also one that an earlier guard had let go
    /// of when it was ended. How many were not.
    ///
    /// # Errors
    /// Why they are not, in words.
    pub fn close_days(&self) -> Result<u64, String> {
        self.held.set_append_only_to(Path::new(RUNS), LEVELS).map_err(|error| cause(&error))
    }

    /// Answer whoever connects to `listener`, one after the other, for as long as it lasts.
    pub fn serve(&self, listener: &UnixListener) {
        for stream in listener.incoming() {
            let answered = stream.and_then(|stream| self.answer(&stream));
            if let Err(error) = answered {
                tracing::warn!(%error, "somebody was not answered");
            }
        }
    }

    fn answer(&self, stream: &UnixStream) -> io::Result<()> {
        be_patient(stream)?;
        let peer = rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw();
        let command = if peer == self.owner || peer == 0 {
            line(stream)?.trim_end().parse()
        } else {
            Err("only the user that owns the store is answered".to_owned())
        };
        let done = match &command {
            Ok(command) => self.carry_out(*command),
            Err(why) => Err(why.clone()),
        };
        if let Err(why) = &done {
            tracing::warn!(peer, why, "an order was not carried out");
        }
        let answered = answer(stream, &done);
        match (command, done) {
            (Ok(GuardCommand::Release(run)), Ok(())) => {
                // Whoever asked is done, is gone or is silent for too long: all the same to us.
                let _ = answered.and_then(|()| line(stream));
                let closed = self.close_day(run);
                if let Err(why) = &closed {
                    tracing::error!(%run, why, "the folder of a day is not append-only");
                }
                answer(stream, &closed)
            }
            _ => answered,
        }
    }

    /// Do as told. A release leaves the folder of a day open.
    fn carry_out(&self, command: GuardCommand) -> Result<(), String> {
        match command {
            GuardCommand::Lock(run) => {
                let changed = self.lock(run)?;
                // What is locked is no less so for it.
                if let Err(why) = self.look() {
                    tracing::error!(why, "the log is not what it was");
                }
                tracing::info!(%run, changed, "what is sealed was made immutable");
            }
            GuardCommand::Release(run) => {
                let word = self.log.word(run)?;
                let changed = self.let_go(run, word)?;
                tracing::warn!(%run, word = word.name(), changed, "what the log says that goes may be changed");
            }
            GuardCommand::Tiles(size) => {
                let changed = self.lock_tiles(size)?;
                tracing::info!(size, changed, "full tiles of the log were made immutable");
            }
            GuardCommand::Measure(flag) => measure(&self.store, flag)?,
        }
        Ok(())
    }

    /// Whether there is something at `place`.
    fn is_there(&self, place: &str) -> bool {
        self.store.join(place).symlink_metadata().is_ok()
    }

    fn set(&self, place: &str, on: bool) -> Result<u64, String> {
        self.held.set_immutable(Path::new(place), on).map_err(|error| cause(&error))
    }

    /// Make what there is of `run` immutable, its folder or its archive; then what is above it
    /// append-only.
    fn lock(&self, run: RunId) -> Result<u64, String> {
        let places = [sealed_place(run), archived_place(run)];
        let there: Vec<&String> = places.iter().filter(|place| self.is_there(place)).collect();
        if there.is_empty() {
            return Err(cause(&io::ErrorKind::NotFound.into()));
        }
        let mut changed = 0;
        for place in there {
            changed += self.set(place, true)?;
        }
        for folder in above(run) {
            let set = self.held.set_append_only(&folder, true);
            changed += u64::from(set.map_err(|error| cause(&error))?);
        }
        Ok(changed)
    }

    /// Make the tiles immutable that are full in a log of `size` entries: they never change, and nothing
    /// lets them go.
    fn lock_tiles(&self, size: u64) -> Result<u64, String> {
        let there = self.look()?;
        if size > there {
            return Err(format!("the log has {there} entries, not {size}"));
        }
        let mut changed = 0;
        let full = Tile::all(size).filter(|tile| tile.is_full());
        for tile in full.filter(|tile| tile.is_beyond(self.tiled.get())) {
            changed += self.set(&format!("{}/{tile}", log::FOLDER), true)?;
        }
        self.tiled.set(self.tiled.get().max(size));
        Ok(changed)
    }

    fn let_go(&self, run: RunId, word: Word) -> Result<u64, String> {
        let (folder, archive) = (sealed_place(run), archived_place(run));
        let (has_folder, has_archive) = (self.is_there(&folder), self.is_there(&archive));
        let going = match word {
            Word::Purged => vec![(has_folder, &folder), (has_archive, &archive)],
            Word::Archived(_) if !has_archive => {
                return Err(format!("the archive of {run} is not in its place"));
            }
            Word::Archived(_) => vec![(has_folder, &folder)],
            Word::Restored(_) if !has_folder => {
                return Err(format!("the folder of {run} is not in its place"));
            }
            Word::Restored(_) => vec![(has_archive, &archive)],
        };
        let going: Vec<&String> =
            going.into_iter().filter_map(|(there, place)| there.then_some(place)).collect();
        if going.is_empty() {
            return Err(format!("of {run} nothing is there that goes; what is there stays"));
        }
        let mut changed = match word {
            Word::Purged => 0,
            Word::Archived(sha256) => {
                self.keep(&archive, || self.check_archive(run, &archive, sha256))?
            }
            Word::Restored(seal) => self.keep(&folder, || self.check_folder(run, &folder, seal))?,
        };
        for place in going {
            changed += self.set(place, false)?;
        }
        let day = above(run).next().expect("a run lies in a day");
        let opened = self.held.set_append_only(&day, false).map_err(|error| cause(&error))?;
        Ok(changed + u64::from(opened))
    }

    /// Make what is at `place` immutable, in whose favour the other goes, so that it stays what `check`
    /// sees; if that fails it is left as it was.
    fn keep(&self, place: &str, check: impl Fn() -> Result<(), String>) -> Result<u64, String> {
        let changed = self.set(place, true)?;
        check().inspect_err(|_| {
            if changed > 0 {
                drop(self.set(place, false));
            }
        })?;
        Ok(changed)
    }

    /// Whether the archive at `place` is the one that the log tells of.
    fn check_archive(&self, run: RunId, place: &str, sha256: Digest) -> Result<(), String> {
        let file = self.held.open_file(Path::new(place)).map_err(|error| cause(&error))?;
        let (found, _) = Digest::of_reader(file).map_err(|error| cause(&error))?;
        if found == sha256 {
            return Ok(());
        }
        Err(format!("the archive of {run} is not the one that the log tells of; its folder stays"))
    }

    /// Whether the folder at `place` is sound, and the one whose seal the log holds.
    fn check_folder(&self, run: RunId, place: &str, seal: Digest) -> Result<(), String> {
        let folder = self.store.join(place);
        let report = verify::folder(&folder, &Trust::default());
        let damage = report.findings.iter().find(|finding| finding.class.is_damage());
        if seal_digest(&folder) == Some(seal) && damage.is_none() {
            return Ok(());
        }
        let why = damage.map_or("its seal is another".to_owned(), |one| one.code.to_string());
        Err(format!("the folder of {run} is not what was sealed ({why}); its archive stays"))
    }

    fn close_day(&self, run: RunId) -> Result<(), String> {
        let day = above(run).next().expect("a run lies in a day");
        match self.held.set_append_only(&day, true) {
            // Nothing was sealed on that day.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            set => set.map(drop).map_err(|error| cause(&error)),
        }
    }
}

/// The folders above what is sealed of `run`, in the store: its day, month and year, and `runs/`.
pub(crate) fn above(run: RunId) -> impl Iterator<Item = PathBuf> {
    let place = PathBuf::from(sealed_place(run));
    let above: Vec<PathBuf> = place.ancestors().skip(1).map(Path::to_path_buf).collect();
    above.into_iter().filter(|folder| !folder.as_os_str().is_empty())
}

/// Whether `flag` holds in the store at `store`, by trying it on a canary.
///
/// # Errors
/// Why it does not, in words.
pub fn measure(store: &Path, flag: Flag) -> Result<(), String> {
    let canary = Canary::make(store).map_err(|error| format!("no canary can be made: {error}"))?;
    let locked = match flag {
        Flag::Immutable => canary.lock(),
        Flag::AppendOnly => canary.lock_day(),
    };
    locked.map_err(|error| cause(&error))?;
    let attempts: Vec<Attempt> = match flag {
        Flag::Immutable => canary.attack(),
        Flag::AppendOnly => canary.attack_day(),
    };
    let passed: Vec<&str> =
        attempts.iter().filter(|one| !one.refused).map(|one| one.what).collect();
    if !passed.is_empty() {
        return Err(format!("not refused: {}", passed.join(", ")));
    }
    if flag == Flag::AppendOnly {
        canary.add_to_day().map_err(|error| format!("a run could not be added: {error}"))?;
    }
    Ok(())
}

fn cause(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::Unsupported => "the file system has no such flags".to_owned(),
        io::ErrorKind::PermissionDenied => {
            "the process lacks the capability CAP_LINUX_IMMUTABLE, or does not own the files"
                .to_owned()
        }
        io::ErrorKind::NotFound => "there is no such sealed folder, archive or tile".to_owned(),
        io::ErrorKind::InvalidInput => "it holds what is neither file nor folder".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_a_run_is_its_day_its_month_its_year_and_all_runs() {
        let run: RunId = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57".parse().expect("an id");
        let above: Vec<String> = above(run).map(|folder| folder.display().to_string()).collect();
        assert_eq!(above, ["runs/2025/11/23", "runs/2025/11", "runs/2025", "runs"]);
    }
}
