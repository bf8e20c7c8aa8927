//! Owns the checkpoints there were: those that the store keeps, and those that somebody kept elsewhere,
//! each of which the log must continue.

use std::path::PathBuf;

use super::log::LogCheck;
use crate::evidence::finding::FindingCode;
use crate::evidence::log::{HISTORY, STAMPED, StampFile, TreeReader, WITNESSED};
use crate::evidence::log::{read_checkpoint, read_kept_checkpoint};
use crate::tlog::checkpoint::Checkpoint;
use crate::tlog::note::Note;
use crate::tlog::policy::Judgement;
use crate::tlog::tile;
use crate::tlog::tree;

impl LogCheck<'_> {
    /// Whether enough witnesses saw an earlier checkpoint; that the log continues it is checked
    /// with the others.
    pub(super) fn witnessed(&mut self, now: &Checkpoint, place: &str, found: String) {
        let earlier = read_checkpoint(&self.root.join(HISTORY).join(WITNESSED)).ok();
        let believed =
            earlier.and_then(|(note, earlier)| match self.trust.log().judge(&note, &now.origin) {
                Judgement::Believed { witnesses } if earlier.size <= now.size => {
                    Some((earlier.size, witnesses))
                }
                _ => None,
            });
        let expected = "the witnesses of the policy";
        let Some((size, witnesses)) = believed else {
            self.add(FindingCode::WitnessMissing, place, expected, found);
            return;
        };
        self.report.witnesses = witnesses.into_iter().map(|(name, _)| name).collect();
        let found = format!("those of the first {size} of {} entries", now.size);
        self.add(FindingCode::WitnessBehind, place, expected, found);
    }

    /// The checkpoints that were published, against the tree.
    pub(super) fn history(&mut self, newest: &Note, checkpoint: &Checkpoint) {
        if self.root.join(HISTORY).symlink_metadata().is_err() {
            self.add(FindingCode::LogMissing, HISTORY, "the checkpoints there were", "nothing");
            return;
        }
        self.list(HISTORY);
        let mut stamps = Vec::new();
        for place in std::mem::take(&mut self.unseen) {
            if let Some(file) = StampFile::parse(&place[HISTORY.len() + 1..]) {
                stamps.push(file);
                continue;
            }
            match read_checkpoint(&self.root.join(&place)) {
                Ok((note, old)) => {
                    let expected = format!("{HISTORY}/{}.note", tile::grouped(old.size));
                    let named = [WITNESSED, STAMPED].map(|name| format!("{HISTORY}/{name}"));
                    if place != expected && !named.contains(&place) {
                        self.add(FindingCode::UnexpectedFile, &place, expected, "a checkpoint");
                    }
                    // One with more cosignatures says the same as the newest.
                    if note != *newest {
                        self.continues(&place, &note, &old, checkpoint);
                    }
                }
                Err(error) => {
                    self.add(FindingCode::LogMalformed, place, "a checkpoint", error.to_string());
                }
            }
        }
        // A request before its answers.
        stamps.sort_unstable();
        self.stamps(&stamps);
    }

    /// Checkpoints that somebody kept elsewhere.
    pub(super) fn remembered(&mut self, remembered: &[PathBuf], checkpoint: &Checkpoint) {
        for path in remembered {
            let place = path.display().to_string();
            match read_kept_checkpoint(path) {
                Ok((note, old)) => {
                    let before = self.findings.len();
                    self.continues(&place, &note, &old, checkpoint);
                    self.report.remembered += u64::from(self.findings.len() == before);
                }
                Err(error) => {
                    self.add(FindingCode::Unreadable, place, "a checkpoint", error.to_string());
                }
            }
        }
    }

    /// Whether the log continues what `old` states.
    pub(super) fn continues(
        &mut self,
        place: &str,
        note: &Note,
        old: &Checkpoint,
        now: &Checkpoint,
    ) {
        if old.origin != now.origin {
            self.add(FindingCode::LogUnknown, place, now.origin.clone(), old.origin.clone());
            return;
        }
        if let Judgement::UnknownLog = self.trust.log().judge(note, &old.origin)
            && !self.trust.log().is_empty()
        {
            let expected = "the signature of a log that is vouched for";
            self.add(FindingCode::LogUnknown, place, expected, old.origin.clone());
            return;
        }
        self.holds(place, old, now);
    }

    /// Whether the log still begins with what `old` states.
    pub(super) fn holds(&mut self, place: &str, old: &Checkpoint, now: &Checkpoint) {
        if old.size > now.size {
            // A log in use may have grown since it was looked at; its checkpoint comes first.
            if self.reader.checkpoint().is_ok_and(|(_, newest)| newest.size >= old.size) {
                return;
            }
            let (expected, found) = (format!("{} entries", old.size), format!("{}", now.size));
            self.add(FindingCode::LogTruncated, place, expected, found);
            return;
        }
        let tree = TreeReader::new(&self.reader, now.size);
        let root = tree::root(&tree, old.size);
        if root.as_ref().ok() != Some(&old.root) {
            let found = root.map_or_else(|error| error.to_string(), |root| root.to_string());
            self.add(FindingCode::LogRewritten, place, old.root.to_string(), found);
        }
    }
}
