//! Owns what the log says of evidence that was not as it was: each `finding` entry, and the later one
//! that tells that all is as it was again. Folded from the log alone, so that the daemon, its pages and
//! an auditor with a copy of the store know the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use super::error::StoreError;
use super::layout::{IMPORTED, sealed_place};
use super::log::{Leaf, LeafKind, LogReader};
use crate::id::RunId;
use crate::shown::shown_within;
use exhibit_tlog::checkpoint::Checkpoint;

/// What stands for the log, and for folders that are no run's, where a run would be named.
pub const LOG_PLACE: &str = "log";
/// Code of a run that the log tells of and the store does not hold.
const GONE: &str = "run_gone";
/// Most letters of what an entry says that are kept.
const LONGEST: usize = 200;

/// Who read the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FoundBy {
    /// The scrubber, in its round.
    Scrub,
    /// The watch, because somebody touched it.
    Watch,
}

/// A later entry of the log, after which the evidence was as it was again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// Index of that entry; none of one that could not be written.
    pub index: Option<u64>,
    /// Its time, RFC 3339, UTC.
    pub time: String,
}

/// What a `finding` entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindingDetail {
    /// Evidence was read, and is not as it was.
    Codes(BTreeSet<String>, FoundBy),
    /// Somebody else than the daemon touched it, in these ways.
    Tampered(Vec<String>),
    /// The kernel dropped events: what was touched is not known.
    Lost,
}

/// One `finding` entry that says that something is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedFinding {
    /// Its index in the log; none of one that could not be written.
    pub index: Option<u64>,
    /// Where: a run, or a part of the store.
    pub place: String,
    /// When, RFC 3339, UTC.
    pub time: String,
    /// What it says.
    pub detail: FindingDetail,
    /// The later entry of its place without codes.
    pub resolved: Option<Resolved>,
}

/// How a run stands that was found to be no longer as it was sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Integrity {
    /// Whether it still is.
    pub state: IntegrityState,
    /// Codes of what was found.
    pub codes: BTreeSet<String>,
    /// When it was found first, RFC 3339, UTC.
    pub found_at: String,
    /// Who found it.
    pub found_by: FoundBy,
    /// Index of the entry in the log that said so first.
    pub log_index: Option<u64>,
    /// When it was found to be as it was sealed again, RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<String>,
}

/// Whether what was found still stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntegrityState {
    /// It is not as it was sealed.
    Altered,
    /// It was not, and is again.
    Restored,
}

impl Integrity {
    /// What the log of the store in which the sealed folder `folder` lies says of its run; none where it
    /// lies elsewhere.
    pub fn in_store(folder: &Path) -> Option<Self> {
        let run: RunId = folder.file_name()?.to_str()?.parse().ok()?;
        // Year, month, day and `runs` lie between.
        let root = folder.ancestors().nth(5)?;
        let own = folder.strip_prefix(root).ok()? == Path::new(&sealed_place(run));
        Findings::of_store(root).ok().filter(|_| own)?.of(run)
    }

    /// Whether the run is not as it was sealed, as far as is known.
    pub fn is_altered(&self) -> bool {
        self.state == IntegrityState::Altered
    }

    /// The word for it that stands where a run's state would.
    pub fn word(&self) -> &'static str {
        match self.state {
            IntegrityState::Altered if self.codes.contains(GONE) => "Gone",
            IntegrityState::Altered => "Altered",
            IntegrityState::Restored => "Restored",
        }
    }

    /// The same in a sentence.
    pub fn sentence(&self) -> String {
        let codes: Vec<&str> = self.codes.iter().map(String::as_str).collect();
        let codes = codes.join(", ");
        let by = match self.found_by {
            FoundBy::Scrub => "the scrubber",
            FoundBy::Watch => "the watch",
        };
        let at = &self.found_at;
        match &self.resolved_at {
            None => format!("This run is not as it was sealed: {codes}, found at {at} by {by}."),
            Some(since) => format!(
                "This run was not as it was sealed ({codes}, found at {at} by {by}); at {since} it \
                 was found to be as it was sealed again."
            ),
        }
    }
}

/// All that the log says of findings.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// Every entry that says that something is not as it was, in order.
    all: Vec<LoggedFinding>,
    /// Which of them tell of a place, by their position.
    by_place: BTreeMap<String, Vec<usize>>,
    /// Positions of those that are not resolved.
    standing: BTreeSet<usize>,
}

impl Findings {
    /// What the log of the store at `root` says, as it lies there: whoever shows it believes nobody.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn of_store(root: &Path) -> Result<Self, StoreError> {
        let reader = LogReader::of_store(root);
        let (_, checkpoint) = reader.checkpoint()?;
        let mut findings = Self::default();
        reader.each(checkpoint.size, |index, entry| findings.entry(index, entry))?;
        Ok(findings)
    }

    /// The same as far as the checkpoint `at`, which the caller believes.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn at(root: &Path, at: &Checkpoint) -> Result<Self, StoreError> {
        let mut findings = Self::default();
        LogReader::of_store(root).each_in(at, |index, entry| findings.entry(index, entry))?;
        Ok(findings)
    }

    fn entry(&mut self, index: u64, entry: &[u8]) {
        // Spares the reading of all others.
        let text = std::str::from_utf8(entry).unwrap_or_default();
        if text.contains("\"kind\":\"finding\"")
            && let Some(leaf) = Leaf::parse(entry)
        {
            self.take(Some(index), &leaf);
        }
    }

    /// Take over what `leaf`, the entry `index`, says; other kinds say nothing here.
    pub fn take(&mut self, index: Option<u64>, leaf: &Leaf) {
        if leaf.kind != LeafKind::Finding {
            return;
        }
        let field = |name: &str| leaf.data.get(name).unwrap_or(&Value::Null);
        let place = shown_within(field("place").as_str().unwrap_or_default(), LONGEST);
        let text = |text: &str| shown_within(text, LONGEST);
        let time = text(&leaf.time);
        let detail = if let Some(codes) = field("codes").as_array() {
            let codes: BTreeSet<String> =
                codes.iter().filter_map(Value::as_str).map(text).collect();
            if codes.is_empty() {
                return self.resolve(&place, &Resolved { index, time });
            }
            let watched = field("after_touch") == &Value::Bool(true);
            FindingDetail::Codes(codes, if watched { FoundBy::Watch } else { FoundBy::Scrub })
        } else if let Some(ways) = field("touched").as_object() {
            FindingDetail::Tampered(ways.keys().map(|way| text(way)).collect())
        } else {
            FindingDetail::Lost
        };
        let position = self.all.len();
        self.by_place.entry(place.clone()).or_default().push(position);
        self.standing.insert(position);
        self.all.push(LoggedFinding { index, place, time, detail, resolved: None });
    }

    /// The evidence at `place` was read, and is as it was.
    fn resolve(&mut self, place: &str, resolved: &Resolved) {
        let Self { all, standing, .. } = self;
        standing.retain(|position| {
            let one = &mut all[*position];
            let is_over = one.is_read_with(place);
            if is_over {
                one.resolved = Some(resolved.clone());
            }
            !is_over
        });
    }

    /// Every entry that says that something is not as it was, in order.
    pub fn all(&self) -> &[LoggedFinding] {
        &self.all
    }

    /// The codes of what is not as it was at `place`, and whether the log says so.
    pub fn codes_of(&self, place: &str) -> (BTreeSet<String>, bool) {
        let last = self.judgements(place).next_back();
        match last {
            Some(LoggedFinding {
                detail: FindingDetail::Codes(codes, _),
                resolved: None,
                index,
                ..
            }) => (codes.clone(), index.is_some()),
            Some(LoggedFinding { resolved: Some(resolved), .. }) => {
                (BTreeSet::new(), resolved.index.is_some())
            }
            _ => (BTreeSet::new(), true),
        }
    }

    /// The places where something is not as it was, with the codes of it.
    pub fn standing(&self) -> BTreeMap<String, BTreeSet<String>> {
        let places = self.by_place.keys();
        let found = places.map(|place| (place.clone(), self.codes_of(place).0));
        found.filter(|(_, codes)| !codes.is_empty()).collect()
    }

    /// How the run `run` stands; none when nothing was ever found.
    pub fn of(&self, run: RunId) -> Option<Integrity> {
        let place = run.to_string();
        let last = self.judgements(&place).next_back()?;
        // What stood together with the last one, or was resolved together with it.
        let first = self.judgements(&place).find(|one| one.resolved == last.resolved)?;
        let (FindingDetail::Codes(codes, _), FindingDetail::Codes(_, by)) =
            (&last.detail, &first.detail)
        else {
            return None;
        };
        let restored = last.resolved.as_ref();
        Some(Integrity {
            state: match restored {
                None => IntegrityState::Altered,
                Some(_) => IntegrityState::Restored,
            },
            codes: codes.clone(),
            found_at: first.time.clone(),
            found_by: *by,
            log_index: first.index,
            resolved_at: restored.map(|resolved| resolved.time.clone()),
        })
    }

    /// The runs that are not as they were sealed.
    pub fn altered(&self) -> BTreeSet<RunId> {
        let places = self.standing.iter().map(|position| &self.all[*position]);
        let judged = places.filter(|one| matches!(one.detail, FindingDetail::Codes(..)));
        judged.filter_map(|one| one.place.parse().ok()).collect()
    }

    fn judgements(&self, place: &str) -> impl DoubleEndedIterator<Item = &LoggedFinding> {
        let positions = self.by_place.get(place).map_or(&[][..], Vec::as_slice);
        let told = positions.iter().map(|position| &self.all[*position]);
        told.filter(|one| matches!(one.detail, FindingDetail::Codes(..)))
    }
}

impl LoggedFinding {
    /// Whether what it tells of is read again where `place` is.
    fn is_read_with(&self, place: &str) -> bool {
        let own = self.place == place;
        let below = |folder: &str| {
            self.place.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
        };
        match &self.detail {
            FindingDetail::Codes(..) => own || (place == IMPORTED && below(IMPORTED)),
            // Folders that are no run's are read with the log.
            FindingDetail::Tampered(_) => {
                let with_log = self.place.parse::<RunId>().is_err() && self.place != IMPORTED;
                own || (place == LOG_PLACE && with_log)
            }
            FindingDetail::Lost => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = "019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57";

    fn findings(entries: &[Value]) -> Findings {
        let mut findings = Findings::default();
        for (index, entry) in entries.iter().enumerate() {
            let mut entry = entry.clone();
            entry["format"] = json!("exhibit-log/1");
            entry["kind"] = json!("finding");
            entry["time"] = json!(format!("2026-11-24T08:15:4{index}.000Z"));
            let leaf = Leaf::parse(entry.to_string().as_bytes()).expect("an entry");
            findings.take(Some(index as u64), &leaf);
        }
        findings
    }

    #[test]
    fn a_run_is_altered_until_it_is_found_to_be_as_it_was() {
        let run: RunId = RUN.parse().expect("an id");
        let told = [
            json!({ "place": RUN, "touched": { "written": 1 } }),
            json!({ "place": RUN, "codes": ["file_altered"], "after_touch": true }),
            json!({ "place": RUN, "codes": ["file_altered", "file_missing"] }),
            json!({ "place": RUN, "codes": [] }),
            json!({ "place": RUN, "codes": ["seal_mismatch"] }),
        ];
        assert!(findings(&told[..1]).of(run).is_none(), "a touch alone is no judgement");
        let found = findings(&told[..3]).of(run).expect("found");
        assert!(found.is_altered());
        assert_eq!(
            (found.codes.len(), found.log_index, found.found_by),
            (2, Some(1), FoundBy::Watch)
        );
        let all = findings(&told[..4]);
        let found = all.of(run).expect("found");
        assert_eq!((found.state, found.codes.len()), (IntegrityState::Restored, 2));
        assert_eq!(found.resolved_at.as_deref(), Some("2026-11-24T08:15:43.000Z"));
        assert!(all.altered().is_empty() && all.all().iter().all(|one| one.resolved.is_some()));
        let again = findings(&told);
        let found = again.of(run).expect("found");
        assert_eq!((found.is_altered(), found.log_index), (true, Some(4)));
        assert_eq!(again.altered(), [run].into());
        assert_eq!(again.standing().len(), 1);
    }

    #[test]
    fn what_is_no_runs_is_read_with_the_log_and_bundles_together() {
        let told = [
            json!({ "place": "checkpoints", "touched": { "written": 1 } }),
            json!({ "place": "imported/a", "codes": ["import_not_logged"] }),
            json!({ "place": RUN, "codes": ["file_altered"] }),
            json!({ "place": "store", "lost": true }),
            json!({ "place": "log", "codes": [] }),
            json!({ "place": "imported", "codes": [] }),
        ];
        let found = findings(&told);
        let resolved: Vec<bool> = found.all().iter().map(|one| one.resolved.is_some()).collect();
        assert_eq!(resolved, [true, true, false, false]);
    }
}
