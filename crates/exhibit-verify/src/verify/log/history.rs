//! Owns the checkpoints there were: those that the store keeps, and those that somebody kept elsewhere,
//! each of which the log must continue; and what witnesses saw of the log, and when.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

use super::super::proof::cosigned_by;
use super::LogCheck;
use crate::error::StoreError;
use crate::finding::FindingCode;
use crate::log::{
    CHECKPOINT, FOLDER, HISTORY, OtherTile, STAMPED, StampFile, TreeReader, WITNESSED,
};
use crate::log::{read_checkpoint, read_kept_checkpoint};
use crate::trust::TRUST_POLICY;
use exhibit_tlog::checkpoint::Checkpoint;
use exhibit_tlog::digest::Digest;
use exhibit_tlog::note::Note;
use exhibit_tlog::policy::Judgement;
use exhibit_tlog::tile;
use exhibit_tlog::tree;

/// What a witness saw of a log last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WitnessReport {
    /// Its name in the trust policy.
    pub name: String,
    /// When, by its own clock: RFC 3339, UTC; none when it cosigned no checkpoint that is there.
    pub time: Option<String>,
    /// How many entries the log had then.
    pub size: Option<u64>,
}

/// What is remembered of the checkpoints that the log continues.
#[derive(Debug, Default)]
pub(in crate::verify) struct Watch {
    /// By witness: when it looked last, in seconds since the epoch, and the size that it saw.
    seen: BTreeMap<String, (u64, u64)>,
    /// Checkpoints with signatures of keys of which nothing was said.
    strange: u32,
}

/// A checkpoint that somebody kept elsewhere, and what there is of it.
pub(in crate::verify) struct Kept {
    place: String,
    read: Result<(Note, Checkpoint), StoreError>,
}

impl Kept {
    pub(super) fn read(path: &Path) -> Self {
        Self { place: path.display().to_string(), read: read_kept_checkpoint(path) }
    }
}

impl LogCheck<'_> {
    /// Whether the policy asks for what it names.
    pub(in crate::verify) fn policy(&mut self) {
        if let Some(found) = self.trust.log().weakness() {
            let expected = "a log, and a quorum of the witnesses";
            self.add(FindingCode::PolicyWeak, TRUST_POLICY, expected, found);
        }
    }

    /// Remember who signed `note`, which the log continues.
    fn note_cosigners(&mut self, note: &Note, size: u64) {
        let policy = self.trust.log();
        for (name, time) in policy.cosigned(note) {
            let last = self.watch.seen.entry(name).or_default();
            *last = (*last).max((time, size));
        }
        self.watch.strange += u32::from(policy.has_strangers(note));
    }

    /// Say what witnesses saw last, and whether that is as late as the auditor asks.
    fn watched(&mut self) {
        let Watch { seen, strange } = std::mem::take(&mut self.watch);
        let last = |name: &str| seen.get(name).copied();
        let report = |name: &str| WitnessReport {
            name: name.to_owned(),
            time: last(name).map(|(time, _)| moment(time).to_string()),
            size: last(name).map(|(_, size)| size),
        };
        let policy = self.trust.log();
        self.report.seen = policy.witnesses().map(report).collect();
        let since = self.trust.since();
        let fresh = |since: Timestamp| {
            policy.is_quorum(|name| last(name).is_some_and(|(time, _)| moment(time) >= since))
        };
        if let Some(since) = since.filter(|since| !fresh(*since)) {
            let looks = self
                .report
                .seen
                .iter()
                .filter_map(|it| Some(format!("{} at {}", it.name, it.time.as_ref()?)));
            let looks: Vec<String> = looks.collect();
            let expected = format!("the witnesses of the policy, since {since}");
            let place = format!("{FOLDER}/{CHECKPOINT}");
            self.add(FindingCode::WitnessStale, place, expected, cosigned_by(&looks));
        }
        if strange > 0 {
            let found = format!("other signatures, on {strange} checkpoints");
            let expected = "signatures of keys of which something was said";
            self.add(FindingCode::SignatureUnknown, HISTORY, expected, found);
        }
    }

    /// Whether enough witnesses saw an earlier checkpoint; that the log continues it is checked
    /// with the others.
    pub(in crate::verify) fn witnessed(&mut self, now: &Checkpoint, place: &str, found: String) {
        let earlier = read_checkpoint(&self.root.join(HISTORY).join(WITNESSED));
        if self.unread_result(&format!("{HISTORY}/{WITNESSED}"), &earlier) {
            return;
        }
        let believed = earlier.ok().and_then(|(note, earlier)| {
            match self.trust.log().judge(&note, &now.origin) {
                Judgement::Believed { witnesses } if earlier.size <= now.size => {
                    Some((earlier.size, witnesses))
                }
                _ => None,
            }
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
    pub(in crate::verify) fn history(&mut self, newest: &Note, checkpoint: &Checkpoint) {
        match self.there(HISTORY) {
            Ok(Some(_)) => {}
            Ok(None) => {
                self.add(FindingCode::LogMissing, HISTORY, "the checkpoints there were", "nothing");
                return;
            }
            Err(_) => return,
        }
        let listed = self.list(HISTORY);
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
                    let before = self.findings.len();
                    if note != *newest && self.is_known(&place, &note, &old, checkpoint) {
                        self.holds(&place, &old, checkpoint);
                    }
                    self.notes.insert(place, Digest::of(note.text.as_bytes()));
                    // A look at what the log became since is none at what was verified.
                    if self.findings.len() == before && old.size <= checkpoint.size {
                        self.note_cosigners(&note, old.size);
                    }
                }
                Err(error) => {
                    self.failed(FindingCode::LogMalformed, &place, "a checkpoint", &error);
                }
            }
        }
        self.note_cosigners(newest, checkpoint.size);
        self.watched();
        // A request before its answers.
        stamps.sort_unstable();
        self.stamps(&stamps, listed, checkpoint);
    }

    /// Checkpoints that somebody kept elsewhere.
    pub(in crate::verify) fn remembered(&mut self, remembered: Vec<Kept>, checkpoint: &Checkpoint) {
        for Kept { place, read } in remembered {
            match read {
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

    /// Whether `old` is of the log that `now` is of, and signed by one that is vouched for; said when not.
    pub(super) fn is_known(
        &mut self,
        place: &str,
        note: &Note,
        old: &Checkpoint,
        now: &Checkpoint,
    ) -> bool {
        let policy = self.trust.log();
        let unknown = matches!(policy.judge(note, &old.origin), Judgement::UnknownLog);
        let expected = if old.origin != now.origin {
            now.origin.clone()
        } else if unknown && !policy.is_empty() {
            "the signature of a log that is vouched for".to_owned()
        } else {
            return true;
        };
        self.add(FindingCode::LogUnknown, place, expected, old.origin.clone());
        false
    }

    /// Whether the log as it was verified continues what `old` states, which somebody kept before.
    pub(in crate::verify) fn continues(
        &mut self,
        place: &str,
        note: &Note,
        old: &Checkpoint,
        now: &Checkpoint,
    ) {
        if !self.is_known(place, note, old, now) {
            return;
        }
        if old.size > now.size {
            self.truncated(place, old, now);
        } else {
            self.holds(place, old, now);
        }
    }

    /// Whether the log still begins with what `old` states.
    pub(in crate::verify) fn holds(&mut self, place: &str, old: &Checkpoint, now: &Checkpoint) {
        if old.size > now.size {
            // A log in use may have grown since it was looked at; its checkpoint comes first.
            let root = self.later_root(old.size);
            if self.unread_result(&format!("{FOLDER}/{CHECKPOINT}"), &root) {
                return;
            }
            match root.ok().flatten() {
                Some(root) => self.follows(place, old, Ok(root)),
                None => self.truncated(place, old, now),
            }
            return;
        }
        let tree = TreeReader::held(&self.reader, now.size, &self.tiles);
        let root = tree::root(&tree, old.size);
        // A tile that is altered was told of as that.
        let other = |error: &io::Error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<OtherTile>());
            inner.is_some()
        };
        let told = self.findings.iter().any(|it| it.code == FindingCode::LogTileAltered);
        if told && root.as_ref().is_err_and(other) {
            return;
        }
        if !self.unread_result(FOLDER, &root) {
            self.follows(place, old, root);
        }
    }

    fn truncated(&mut self, place: &str, old: &Checkpoint, now: &Checkpoint) {
        let (expected, found) = (format!("{} entries", old.size), format!("{}", now.size));
        self.add(FindingCode::LogTruncated, place, expected, found);
    }

    /// Hold what `old` states against the `root` over as many entries of the log.
    fn follows(&mut self, place: &str, old: &Checkpoint, root: io::Result<Digest>) {
        if root.as_ref().ok() != Some(&old.root) {
            let found = root.map_or_else(|error| error.to_string(), |root| root.to_string());
            self.add(FindingCode::LogRewritten, place, old.root.to_string(), found);
        }
    }
}

/// The time of a cosignature; one that no clock shows is the last that one can.
fn moment(seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).ok();
    seconds.and_then(|seconds| Timestamp::from_second(seconds).ok()).unwrap_or(Timestamp::MAX)
}
