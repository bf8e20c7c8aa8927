//! Owns the check of the timestamp over a folder's signature: that it is over it, answers what was
//! asked, and was given by an authority that somebody believes, at a moment in which that could give
//! any; and that the folder does not say it was sealed at another time.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::log::LogCheck;
use super::log::stamps::{APART, accuracy};
use super::{Check, FolderReport};
use crate::finding::FindingCode;
use crate::layout::{MAX_SMALL, REQUEST, SIGNATURE, TIMESTAMP, sealed_place};
use crate::record::RunRecord;
use crate::timestamp::{MAX_STAMP, Request, TimestampToken};
use crate::trust::Trust;
use exhibit_tlog::digest::Digest;

/// How long before its timestamp a folder may say that it was sealed: the bound of WACZ's signing
/// (specs.webrecorder.net/wacz-auth).
const BEFORE: SignedDuration = SignedDuration::from_mins(10);

/// The timestamp over a folder's signature, when it counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StampReport {
    /// When the signature was there, by the authority's clock: RFC 3339, UTC.
    pub time: String,
    /// How far that may be off, by the authority's word, in milliseconds.
    pub accuracy_ms: u64,
    /// Name of the authority.
    pub authority: String,
}

impl LogCheck<'_> {
    /// Check that the runs were stamped in the order in which the log holds their seals: `folders`,
    /// each with its place in the log. Of runs that are sealed at the same time the one that takes
    /// longer to read back may be stamped first and stand behind.
    pub(super) fn stamped_in_order<'r>(&mut self, folders: impl Iterator<Item = &'r FolderReport>) {
        let last = |folder: &FolderReport| self.runs.get(&folder.run?)?.last;
        let mut folders: Vec<(u64, &FolderReport)> =
            folders.filter_map(|folder| Some((last(folder)?, folder))).collect();
        folders.sort_unstable_by_key(|(index, _)| *index);
        let mut latest: Option<(Timestamp, Timestamp)> = None;
        for (_, folder) in folders {
            let Some(stamped) = &folder.stamped else { continue };
            let Ok(time) = stamped.time.parse::<Timestamp>() else { continue };
            let off = SignedDuration::from_millis(stamped.accuracy_ms.try_into().unwrap_or(0));
            let (earliest, last) = (time - off, time + off);
            match latest {
                Some((before, then)) if last + BEFORE < before => {
                    let place = format!("{}/{TIMESTAMP}", sealed_place_of(folder));
                    let expected = format!("not before {then}, as those before it in the log");
                    self.add(FindingCode::TimestampOrder, place, expected, time.to_string());
                }
                Some((before, _)) if before >= earliest => {}
                _ => latest = Some((earliest, time)),
            }
        }
    }
}

fn sealed_place_of(folder: &FolderReport) -> String {
    folder.run.map_or_else(|| folder.folder.clone(), sealed_place)
}

impl Check<'_> {
    /// When the signature was there, by the word of an authority that is believed. That there must
    /// be a timestamp says `seal.json`.
    pub(super) fn timestamp(
        &mut self,
        record: Option<&RunRecord>,
        trust: &Trust,
    ) -> Option<Timestamp> {
        let stamp = self.stamp()?;
        if trust.time().is_empty() {
            let expected = "authorities that are believed (tsa-ca.pem)";
            self.add(FindingCode::TimestampNotJudged, TIMESTAMP, expected, "none");
            return None;
        }
        let authority = match trust.time().judge(&stamp) {
            Ok(name) => name,
            Err(why) => {
                let expected = "an authority that is believed, then";
                self.add(FindingCode::TimestampUntrusted, TIMESTAMP, expected, why.to_string());
                return None;
            }
        };
        self.near(record, &stamp);
        let accuracy_ms = accuracy(&stamp).as_millis().try_into().unwrap_or(0);
        let time = stamp.time.to_string();
        self.report.stamped = Some(StampReport { time, accuracy_ms, authority });
        Some(stamp.time)
    }

    /// The timestamp, if there is a sound one over the signature that answers its request.
    fn stamp(&mut self) -> Option<TimestampToken> {
        let asked = self.read(REQUEST, MAX_STAMP);
        let bytes = self.read(TIMESTAMP, MAX_STAMP)?;
        let stamp = match TimestampToken::parse(&bytes) {
            Ok(stamp) => stamp,
            Err(error) => {
                let expected = "a response of RFC 3161";
                self.add(FindingCode::TimestampMalformed, TIMESTAMP, expected, error.to_string());
                return None;
            }
        };
        let signature = self.read(SIGNATURE, MAX_SMALL)?;
        if stamp.imprint != Digest::of(&signature) {
            let expected = "a timestamp over this signature";
            self.add(FindingCode::TimestampMismatch, TIMESTAMP, expected, "over something else");
            return None;
        }
        match Request::parse(&asked?) {
            Ok(request) if stamp.answers(&request) => Some(stamp),
            Ok(_) => {
                let expected = "an answer to the request beside it";
                self.add(FindingCode::TimestampMismatch, TIMESTAMP, expected, "to another");
                None
            }
            Err(error) => {
                let expected = "a request of RFC 3161";
                self.add(FindingCode::TimestampMalformed, REQUEST, expected, error.to_string());
                None
            }
        }
    }

    /// Whether the folder says that it was sealed when it was stamped.
    fn near(&mut self, record: Option<&RunRecord>, stamp: &TimestampToken) {
        // Without a record there is nothing to hold against it; that there is none is a finding.
        let Some(sealed) = record.and_then(|record| record.sealed_at.parse::<Timestamp>().ok())
        else {
            return;
        };
        let (behind, off) = (stamp.time.duration_since(sealed), accuracy(stamp));
        if behind < -(off + APART) || behind > off + BEFORE {
            let expected = format!("sealed shortly before {}", stamp.time);
            let place = format!("{}#sealed_at", crate::layout::RECORD);
            self.add(FindingCode::SealedTimeMismatch, place, expected, sealed.to_string());
        }
    }
}
