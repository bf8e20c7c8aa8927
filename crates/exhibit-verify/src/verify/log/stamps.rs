//! Owns the verification of timestamps over a log's checkpoints: that each is over its checkpoint,
//! answers what was asked, and was given by an authority that somebody believes, at a moment in
//! which that could give any; and that nothing it covers is dated after it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::super::unread::Unread;
use super::LogCheck;
use crate::disk;
use crate::finding::FindingCode;
use crate::log::{FOLDER, HISTORY, Leaf, LeafKind, StampFile, read_checkpoint};
use crate::timestamp::{MAX_STAMP, Request, StampError, TimestampToken};
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::tile::grouped;

/// Most that an authority's word on its own accuracy counts.
const MOST_OFF: SignedDuration = SignedDuration::from_mins(10);

/// How far the clocks of host and authority may be apart before it is worth a word, beside what
/// the authority says of its own.
pub(in crate::verify) const APART: SignedDuration = SignedDuration::from_mins(1);

/// How far the time of `stamp` may be off, by its authority's word: it must not reach so far that
/// its time says nothing.
pub(in crate::verify) fn accuracy(stamp: &TimestampToken) -> SignedDuration {
    SignedDuration::try_from(stamp.accuracy).map_or(MOST_OFF, |off| off.min(MOST_OFF))
}

/// The digest of a checkpoint's text, if there is one, and what was asked over it.
type StampedCheckpoint = (Result<Option<Digest>, Unread>, Option<Request>);

/// Which timestamps are there.
#[derive(Debug, Default)]
struct There {
    /// Size and digest of those that were read.
    read: BTreeSet<(u64, Digest)>,
    /// The sizes of those that could not be.
    unread: BTreeSet<u64>,
}

/// The newest checkpoint with a timestamp that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StampedReport {
    /// Its size: entries that were there at that time.
    pub size: u64,
    /// The time, by the authority's clock: RFC 3339, UTC.
    pub time: String,
    /// Name of the authority.
    pub authority: String,
}

/// What is remembered of the entries for the timestamps over them.
#[derive(Debug, Default)]
pub(in crate::verify) struct Dated {
    latest: Option<Timestamp>,
    /// By the size of a checkpoint with a timestamp: the latest time of an entry below it.
    by_size: BTreeMap<u64, Option<Timestamp>>,
    /// Timestamps of which the log tells: the size they are over, the digest, and the entry.
    told: Vec<(u64, Option<Digest>, u64)>,
}

impl Dated {
    /// For the timestamps there are in the store at `root`.
    pub(in crate::verify) fn in_store(root: &Path) -> io::Result<Self> {
        let files = match StampFile::all(root) {
            // That there is no history becomes a finding when it is read.
            Err(error) if !disk::is_unreadable(&error) => Vec::new(),
            files => files?,
        };
        let by_size = files.into_iter().map(|file| (file.size(), None)).collect();
        Ok(Self { by_size, ..Self::default() })
    }

    /// The entry `index` of the log, in order.
    pub(in crate::verify) fn entry(&mut self, index: u64, leaf: &Leaf) {
        if leaf.kind == LeafKind::Timestamp {
            let size = leaf.data.get("size").and_then(Value::as_u64).unwrap_or(index);
            let sha256 = leaf.data.get("sha256").and_then(|it| it.as_str()?.parse().ok());
            self.told.push((size, sha256, index));
        }
        if self.by_size.is_empty() {
            return;
        }
        self.latest = self.latest.max(leaf.time.parse().ok());
        if let Some(latest) = self.by_size.get_mut(&(index + 1)) {
            *latest = self.latest;
        }
    }
}

impl LogCheck<'_> {
    /// Check the timestamps `files` of a log that follows from its entries: all there are, if they
    /// could be `listed`.
    pub(in crate::verify) fn stamps(
        &mut self,
        files: &[StampFile],
        listed: Result<(), Unread>,
        now: &Checkpoint,
    ) {
        let (mut unjudged, mut there) = (0_u32, There::default());
        let mut notes: BTreeMap<u64, StampedCheckpoint> = BTreeMap::new();
        for file in files {
            let size = file.size();
            let (text, request) =
                notes.entry(size).or_insert_with(|| (self.text_at(size, now), None));
            // What cannot be read is nothing that a timestamp can be held against.
            let Ok(text) = *text else {
                there.unread.insert(size);
                continue;
            };
            match self.stamp(*file, text, request, &mut there) {
                Some(_) if self.trust.time().is_empty() => unjudged += 1,
                Some(stamp) => self.believe(*file, &stamp),
                None => {}
            }
        }
        if unjudged > 0 {
            let expected = "authorities that are believed (tsa-ca.pem)";
            let found = format!("none, for {unjudged} timestamps");
            self.add(FindingCode::TimestampNotJudged, HISTORY, expected, found);
        }
        let told = std::mem::take(&mut self.dated.told);
        if listed.is_err() {
            return;
        }
        for (size, sha256, index) in told {
            // One that cannot be read may be the one.
            if !there.unread.contains(&size)
                && sha256.is_none_or(|sha256| !there.read.contains(&(size, sha256)))
            {
                let place = format!("{HISTORY}/{}", StampFile::Response(size, 1).path());
                let expected = format!("the timestamp that {FOLDER}#{index} tells of");
                self.add(FindingCode::TimestampMissing, place, expected, "none like it");
            }
        }
    }

    /// Digest of the text of the checkpoint at `size`, if it is there and nothing is wrong with it: the one
    /// that was judged, or one that came since and the log continues.
    fn text_at(&mut self, size: u64, now: &Checkpoint) -> Result<Option<Digest>, Unread> {
        let place = format!("{HISTORY}/{}.note", grouped(size));
        let wrong = self.findings.iter().find(|finding| finding.place == place);
        if let Some(finding) = wrong {
            return if finding.code == FindingCode::Unreadable { Err(Unread) } else { Ok(None) };
        }
        if let Some(judged) = self.notes.get(&place) {
            return Ok(Some(*judged));
        }
        let read = read_checkpoint(&self.root.join(&place));
        if self.unread_result(&place, &read) {
            return Err(Unread);
        }
        let Ok((note, old)) = read else { return Ok(None) };
        let before = self.findings.len();
        if self.is_known(&place, &note, &old, now) {
            self.holds(&place, &old, now);
        }
        Ok((self.findings.len() == before).then(|| Digest::of(note.text.as_bytes())))
    }

    /// Check one file; the timestamp in it, if it is a sound one over its checkpoint. `asked` is
    /// the request over the same checkpoint, which comes before its answers; of these it is noted which
    /// are `there`.
    fn stamp(
        &mut self,
        file: StampFile,
        text: Option<Digest>,
        asked: &mut Option<Request>,
        there: &mut There,
    ) -> Option<TimestampToken> {
        let place = format!("{HISTORY}/{}", file.path());
        let bytes = match disk::read_limited(&self.root.join(&place), MAX_STAMP) {
            Ok(bytes) => bytes,
            Err(error) => {
                there.unread.insert(file.size());
                self.add(FindingCode::Unreadable, place, "a readable file", error.to_string());
                return None;
            }
        };
        let is_request = matches!(file, StampFile::Request(_));
        let (stamp, over) = if is_request {
            match Request::parse(&bytes) {
                Ok(request) => {
                    let over = request.imprint;
                    *asked = Some(request);
                    (None, over)
                }
                Err(error) => return self.malformed(place, "a request of RFC 3161", &error),
            }
        } else {
            there.read.insert((file.size(), Digest::of(&bytes)));
            match TimestampToken::parse(&bytes) {
                Ok(stamp) => {
                    let over = stamp.imprint;
                    (Some(stamp), over)
                }
                Err(error) => return self.malformed(place, "a response of RFC 3161", &error),
            }
        };
        if text != Some(over) {
            let expected = format!("over the checkpoint at {}", file.size());
            self.add(FindingCode::TimestampMismatch, place, expected, "over something else");
            return None;
        }
        if let (Some(stamp), Some(request)) = (&stamp, asked)
            && !stamp.answers(request)
        {
            let expected = "an answer to the request beside it";
            self.add(FindingCode::TimestampMismatch, place, expected, "to another");
            return None;
        }
        stamp
    }

    fn malformed(
        &mut self,
        place: String,
        expected: &str,
        error: &StampError,
    ) -> Option<TimestampToken> {
        self.add(FindingCode::TimestampMalformed, place, expected, error.to_string());
        None
    }

    /// Whether a sound timestamp counts, and what follows.
    fn believe(&mut self, file: StampFile, stamp: &TimestampToken) {
        let (place, size) = (format!("{HISTORY}/{}", file.path()), file.size());
        let authority = match self.trust.time().judge(stamp) {
            Ok(name) => name,
            Err(why) => {
                let expected = "an authority that is believed, then";
                self.add(FindingCode::TimestampForeign, place, expected, why.to_string());
                return;
            }
        };
        let latest = self.dated.by_size.get(&size).copied().flatten();
        let bound = stamp.time.checked_add(accuracy(stamp) + APART).unwrap_or(Timestamp::MAX);
        if let Some(latest) = latest.filter(|latest| *latest > bound) {
            let expected = format!("entries dated before {}", stamp.time);
            self.add(FindingCode::TimestampBeforeEntry, place, expected, latest.to_string());
        }
        let there_by = stamp.time.checked_add(accuracy(stamp)).unwrap_or(Timestamp::MAX);
        self.there_by.push((size, there_by));
        if self.report.stamped.as_ref().is_none_or(|newest| newest.size < size) {
            let time = stamp.time.to_string();
            self.report.stamped = Some(StampedReport { size, time, authority });
        }
    }
}
