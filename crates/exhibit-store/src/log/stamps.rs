//! Owns the timestamps over the log's checkpoints: the requests that were made and the responses
//! that answer them, each kept beside the checkpoint it is over, and named by its digest in the log. A
//! timestamp is over a checkpoint's text alone, so that cosignatures can still be added to its note.

use std::path::Path;

use serde_json::Value;

use super::{
    HISTORY, Leaf, LeafKind, Log, MAX_PER_CHECKPOINT, STAMPED, StampFile, leaf, lock,
    read_checkpoint,
};
use crate::StoreError;
use crate::clock::Moment;
use crate::digest::Digest;
use crate::disk;
use crate::timestamp::{Authorities, Request, StampError, TimestampToken, Untrusted};
use crate::tlog::tile::grouped;

const READ_ONLY: u32 = 0o400;

fn write(file: StampFile, root: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let path = root.join(HISTORY).join(file.path());
    disk::replace(&path, bytes, READ_ONLY).map_err(StoreError::at(&path))
}

/// A timestamp of this log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// Size of the checkpoint it is over.
    pub size: u64,
    /// The timestamp.
    pub stamp: TimestampToken,
}

/// Why a response was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum StampRefusal {
    /// It is no timestamp, or not a sound one.
    #[error("{0}")]
    Unsound(#[from] StampError),
    /// Nobody whom the operator believes gave it.
    #[error("it is by no authority of `timestamp.authorities`: {0}")]
    Foreign(#[from] Untrusted),
    /// No request of this log asked for it.
    #[error("it answers no request of this log that is kept")]
    NotAsked,
    /// There are as many as a checkpoint may have.
    #[error("the checkpoint at {0} has {MAX_PER_CHECKPOINT} timestamps already")]
    TooMany(u64),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Log {
    /// What to ask an authority over the newest checkpoint, and its size: the same for all who
    /// are asked over it. It is on disk when this returns.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn timestamp_request(&self) -> Result<(u64, Request), StoreError> {
        let _one = lock(&self.stamping);
        let (note, checkpoint) = self.checkpoint();
        let file = StampFile::Request(checkpoint.size);
        let place = self.root.join(HISTORY).join(file.path());
        match file.read(&self.root) {
            Ok(bytes) => {
                let kept = Request::parse(&bytes).ok();
                let kept = kept.filter(|it| it.imprint == Digest::of(note.text.as_bytes()));
                let what = "it is no request over its checkpoint".to_owned();
                let kept = kept.ok_or(StoreError::Damaged { path: place, what })?;
                Ok((checkpoint.size, kept))
            }
            Err(StoreError::NotFound { .. }) => {
                let made = Request::over(note.text.as_bytes());
                let made = made.map_err(|error| StoreError::new(&place, error.into()))?;
                write(file, &self.root, made.bytes())?;
                Ok((checkpoint.size, made))
            }
            Err(error) => Err(error),
        }
    }

    /// Take in the response of an authority to a request that is kept: one of those that are
    /// `believed`, where it was said who these are. It is on disk, and in the log, when this returns.
    ///
    /// # Errors
    /// [`StampRefusal`].
    pub fn take_stamp(
        &self,
        response: &[u8],
        believed: Option<&Authorities>,
        at: Moment,
    ) -> Result<Stamped, StampRefusal> {
        let bytes = &*TimestampToken::without_words(response);
        let stamp = TimestampToken::parse(bytes)?;
        if let Some(believed) = believed {
            believed.judge(&stamp)?;
        }
        let _one = lock(&self.stamping);
        let history = self.root.join(HISTORY);
        let all = StampFile::all(&self.root).map_err(StoreError::at(&history))?;
        let asked = all.iter().rev().find(|file| {
            matches!(file, StampFile::Request(_))
                && file.read(&self.root).is_ok_and(|bytes| {
                    Request::parse(&bytes).is_ok_and(|request| stamp.answers(&request))
                })
        });
        let size = asked.ok_or(StampRefusal::NotAsked)?.size();
        let there: Vec<StampFile> = all
            .into_iter()
            .filter(|file| file.size() == size && matches!(file, StampFile::Response(..)))
            .collect();
        let known = |file: &StampFile| file.read(&self.root).is_ok_and(|kept| kept == bytes);
        if !there.iter().any(known) {
            let free = (1..=MAX_PER_CHECKPOINT)
                .map(|number| StampFile::Response(size, number))
                .find(|file| !there.contains(file));
            let foreign = || there.into_iter().find(|file| self.is_foreign(*file, believed));
            let place = free.or_else(foreign).ok_or(StampRefusal::TooMany(size))?;
            self.keep(place, bytes, at)?;
        }
        // A copy that cannot be read must not keep the next one from its place.
        let newest = read_checkpoint(&history.join(STAMPED)).map_or(0, |(_, newest)| newest.size);
        if newest < size {
            let note = history.join(format!("{}.note", grouped(size)));
            let (note, _) = read_checkpoint(&note)?;
            let path = history.join(STAMPED);
            disk::replace(&path, note.to_string().as_bytes(), READ_ONLY)
                .map_err(StoreError::at(&path))?;
        }
        Ok(Stamped { size, stamp })
    }

    /// Whether somebody put `file` there whom nobody believes, and the log does not tell of it: it must
    /// not keep an authority that is believed from its place.
    fn is_foreign(&self, file: StampFile, believed: Option<&Authorities>) -> bool {
        let (Some(believed), Ok(bytes)) = (believed, file.read(&self.root)) else { return false };
        if TimestampToken::parse(&bytes).is_ok_and(|stamp| believed.judge(&stamp).is_ok()) {
            return false;
        }
        let sha256 = Digest::of(&bytes).to_string();
        let told = |leaf: &Leaf| {
            leaf.kind == LeafKind::Timestamp
                && leaf.data.get("sha256").and_then(Value::as_str) == Some(&*sha256)
        };
        self.last(told).is_ok_and(|told| told.is_none())
    }

    /// Keep the response `bytes` as `file`, and say so in the log: the file first, for the log must
    /// tell of none that was never there.
    fn keep(&self, file: StampFile, bytes: &[u8], at: Moment) -> Result<(), StoreError> {
        write(file, &self.root, bytes)?;
        let told = self.append(leaf::timestamp(file.size(), Digest::of(bytes), at));
        if told.as_ref().is_err_and(|error| !matches!(error, StoreError::InDoubt { .. })) {
            // What the log does not tell of counts all the same; it is asked for again.
            drop(disk::remove_file(&self.root.join(HISTORY).join(file.path())));
        }
        told.map(drop)
    }

    /// The newest checkpoint that has a timestamp, with the first one of those who are `believed`,
    /// where it was said who these are. What is none, or somebody else's, is passed over.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn stamped(&self, believed: Option<&Authorities>) -> Result<Option<Stamped>, StoreError> {
        let path = self.root.join(HISTORY).join(STAMPED);
        let (note, checkpoint) = match read_checkpoint(&path) {
            Err(StoreError::NotFound { .. }) => return Ok(None),
            read => read?,
        };
        let size = checkpoint.size;
        let counts = |stamp: &TimestampToken| {
            stamp.is_over(note.text.as_bytes())
                && believed.is_none_or(|believed| believed.judge(stamp).is_ok())
        };
        let answers = (1..=MAX_PER_CHECKPOINT).map(|number| StampFile::Response(size, number));
        let mut stamps =
            answers.filter_map(|file| TimestampToken::parse(&file.read(&self.root).ok()?).ok());
        Ok(stamps.find(counts).map(|stamp| Stamped { size, stamp }))
    }
}
