//! Owns the decision what becomes of a run that a start finds in `open/`: what the log tells of it
//! decides, never the folder alone. A run whose seal is in the log is that seal or it is nothing;
//! one that is not as far as the log says is not signed. What cannot be read is left where it is.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use exhibit_verify::opening::{Heads, is_newborn};

use super::chain;
use super::error::StoreError;
use super::finding::{Class, FindingCode};
use super::layout::{self, EVENTS, MAX_SMALL, SEAL};
use super::log::History;
use super::store::Store;
use super::trust::Trust;
use super::{publish, verify};
use crate::digest::Digest;
use crate::disk::{self};
use crate::id::RunId;

/// Most folders of one run that are set aside.
const MOST: u32 = 1000;
/// Mode of a folder that is to be moved.
const PRIVATE_FOLDER: u32 = 0o700;

/// What becomes of a run in `open/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Triage {
    /// A crash left it open: it is taken up and sealed.
    Resume,
    /// Its seal is the entry of this index, and the folder is that seal: it is moved to its place.
    Publish(u64),
    /// It was being opened, and nobody was told of it: it is removed.
    Discard,
    /// It is not what the log tells: it is set aside, and never signed.
    Quarantine(FindingCode),
}

impl Store {
    /// What becomes of the run in `open/`, of which the log says `history`.
    ///
    /// # Errors
    /// See [`StoreError`]: it cannot be read, so nothing becomes of it.
    pub fn triage(&self, run: RunId, history: &History) -> Result<Triage, StoreError> {
        let folder = self.folder_of_open(run);
        if !self.has_log() {
            return Ok(Triage::Resume);
        }
        if !is_plain(&folder).map_err(StoreError::at(&folder))? {
            return Ok(Triage::Quarantine(FindingCode::NotAFile));
        }
        if history.purged {
            return Ok(Triage::Quarantine(FindingCode::RunReopened));
        }
        if let Some((index, seal)) = history.seal {
            return self.triage_sealed(run, &folder, index, seal);
        }
        if history.first_event.is_none() {
            let newborn = is_newborn(&folder, run).map_err(StoreError::at(&folder))?;
            let foreign = Triage::Quarantine(FindingCode::RunNotLogged);
            return Ok(if newborn { Triage::Discard } else { foreign });
        }
        let wrong = disagreement(&folder, history).map_err(StoreError::at(&folder))?;
        Ok(wrong.map_or(Triage::Resume, Triage::Quarantine))
    }

    /// The same of a run whose seal is in the log.
    fn triage_sealed(
        &self,
        run: RunId,
        folder: &Path,
        index: u64,
        logged: Digest,
    ) -> Result<Triage, StoreError> {
        let there = [self.folder_of(run), self.archive_of(run)];
        if there.iter().any(|place| place.symlink_metadata().is_ok()) {
            return Ok(Triage::Quarantine(FindingCode::RunReopened));
        }
        let path = folder.join(SEAL);
        match disk::read_plain(&path, MAX_SMALL) {
            Ok(seal) if Digest::of(&seal) == logged => {}
            Err(error) if !is_absence(&error) => return Err(StoreError::new(&path, error)),
            _ => return Ok(Triage::Quarantine(FindingCode::SealNotLogged)),
        }
        let proof = folder.join(layout::PROOF);
        disk::remove_cut_short(&proof).map_err(StoreError::at(&proof))?;
        let report = verify::folder(folder, &Trust::default());
        let findings = || report.findings.iter();
        if findings().any(|finding| finding.code == FindingCode::Unreadable) {
            let source = std::io::Error::other("it cannot be read whole");
            return Err(StoreError::new(folder, source));
        }
        // Damage that an open run had was sealed with it, and is part of the seal. A proof is made anew.
        let wrong = findings().find(|finding| {
            !matches!(finding.class, Class::Note | Class::UnknownKey)
                && !finding.code.is_recorded_damage()
                && finding.place != layout::PROOF
        });
        Ok(wrong.map_or(Triage::Publish(index), |found| Triage::Quarantine(found.code)))
    }

    /// Move the folder of `run`, which is the seal that the entry `index` of the log holds, to its
    /// place.
    ///
    /// # Errors
    /// See [`StoreError`]; then it can be tried again.
    pub fn publish_sealed(&self, run: RunId, index: u64) -> Result<(), StoreError> {
        let folder = self.folder_of_open(run);
        disk::set_mode(&folder, PRIVATE_FOLDER).map_err(StoreError::at(&folder))?;
        super::publish::protect_below(&folder)?;
        if let Some(log) = &self.place(run).log {
            publish::prove(&folder, log, index)?;
        }
        publish::move_to_place(self.root(), run)?;
        publish::settle(self.root(), run)
    }

    /// Remove the folder of `run`, which was being opened.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn discard(&self, run: RunId) -> Result<(), StoreError> {
        let folder = self.folder_of_open(run);
        disk::remove_dir_all(&folder).map_err(StoreError::at(&folder))?;
        let open = self.root().join(layout::OPEN);
        disk::sync_dir(&open).map_err(StoreError::at(&open))
    }

    /// Set what lies in `open/` as `run` aside: its place, inside the store.
    ///
    /// # Errors
    /// See [`StoreError`]; then it lies where it was.
    pub fn quarantine(&self, run: RunId) -> Result<String, StoreError> {
        let (from, folder) = (self.folder_of_open(run), self.root().join(layout::QUARANTINE));
        disk::make_dirs(&folder).map_err(StoreError::at(&folder))?;
        // A folder can be moved elsewhere only by whom it lets write into it.
        if from.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            disk::set_mode(&from, PRIVATE_FOLDER).map_err(StoreError::at(&from))?;
        }
        let names = std::iter::once(run.to_string())
            .chain((2..=MOST).map(|number| format!("{run}.{number}")));
        for name in names {
            let to: PathBuf = folder.join(&name);
            match disk::rename_new(&from, &to) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::new(&from, error)),
                Ok(()) => {
                    for folder in [&folder, &self.root().join(layout::OPEN)] {
                        disk::sync_dir(folder).map_err(StoreError::at(folder))?;
                    }
                    return Ok(format!("{}/{name}", layout::QUARANTINE));
                }
            }
        }
        Err(StoreError::NameTaken { path: folder.join(run.to_string()) })
    }
}

/// Whether an error says that there is no such file, or something else in its place.
fn is_absence(error: &std::io::Error) -> bool {
    use ErrorKind::{FileTooLarge, InvalidInput, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | InvalidInput | FileTooLarge)
}

/// Whether `folder` is a folder of nothing but folders and plain files.
fn is_plain(folder: &Path) -> std::io::Result<bool> {
    if !fs::symlink_metadata(folder)?.is_dir() {
        return Ok(false);
    }
    for entry in layout::entries(folder)? {
        let plain = entry.kind.is_file() || (entry.kind.is_dir() && is_plain(&entry.path)?);
        if !plain {
            return Ok(false);
        }
    }
    Ok(true)
}

/// In which way the chain in `folder` is not what the log says of it.
fn disagreement(folder: &Path, history: &History) -> std::io::Result<Option<FindingCode>> {
    let path = folder.join(EVENTS);
    let file = match File::open(&path) {
        Err(error) if is_absence(&error) => return Ok(Some(FindingCode::OpeningNotLogged)),
        opened => opened?,
    };
    let mut heads = Heads::of(&history.heads);
    for line in chain::lines(BufReader::new(file)) {
        let line = match line {
            Err(error) if is_absence(&error) => return Ok(Some(FindingCode::TooLarge)),
            line => line?,
        };
        if !line.whole {
            break;
        }
        let sha256 = Digest::of(&line.bytes);
        if heads.lines == 0 && history.first_event != Some(sha256) {
            return Ok(Some(FindingCode::OpeningNotLogged));
        }
        heads.take(sha256);
    }
    Ok(if heads.lines == 0 {
        Some(FindingCode::OpeningNotLogged)
    } else {
        heads.missing().map(|_| FindingCode::HeadNotLogged)
    })
}
