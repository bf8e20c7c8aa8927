//! Owns the scrubber: reads every sealed folder, every kept bundle and the log again, at a measured
//! pace, for as long as the daemon lives, and says in the log what is no longer as it was. It goes on where it stopped.
//! What cannot be read is no change: it is told by status and metrics, and tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Integrity;
use super::judging::{UNLOGGED, damage_codes};
use crate::digest::Digest;
use crate::disk;
use crate::error::chain;
use crate::evidence::{
    Finding, FindingCode, IMPORTED, LOG_PLACE, QUARANTINE, RUNS, Trust, archived_place, sealed_in,
    verify,
};
use crate::id::RunId;
use crate::population::{Fate, absent};
use crate::tasks::Tasks;

/// Where it is remembered what was read last, in the store.
const PLACE: &str = "scrub.json";
const LIMIT: u64 = 1 << 16;
/// For the daemon alone.
const MODE: u32 = 0o600;
/// What stands for runs that are not named.
const OTHERS: &str = "runs";

/// How far the scrubber is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrubbed {
    /// The run that was read last; none at the beginning of a round.
    pub last: Option<RunId>,
    /// Folders read in this round.
    pub folders: u64,
    /// Rounds that were finished.
    pub rounds: u64,
    /// When the last round was finished, RFC 3339, UTC.
    pub finished_at: Option<String>,
    /// What is not as it was, by the log: codes of findings, by run or part of the store. What a file
    /// says of it is believed of `quarantine/` only.
    #[serde(default)]
    pub findings: BTreeMap<String, BTreeSet<String>>,
    /// What could not be read, and so is neither known to be intact nor altered: why, by run or `log`.
    #[serde(default)]
    pub unreadable: BTreeMap<String, String>,
    /// When the unreadable was tried last, by the monotonic clock.
    #[serde(skip)]
    pub(in crate::runs) tried: Option<Duration>,
}

impl Scrubbed {
    /// The same for those who may not look at everybody's runs: that something is not as it was, and
    /// not of which run.
    #[must_use]
    pub fn without_runs(mut self) -> Self {
        self.last = None;
        let log = self.findings.remove(LOG_PLACE);
        let others: BTreeSet<String> = self.findings.into_values().flatten().collect();
        let of_runs = Some(others).filter(|codes| !codes.is_empty());
        let told = [(LOG_PLACE, log), (OTHERS, of_runs)];
        let told = told.into_iter().filter_map(|(of, codes)| Some((of.to_owned(), codes?)));
        self.findings = told.collect();
        let log = self.unreadable.remove(LOG_PLACE);
        let others = (!self.unreadable.is_empty()).then(|| "some cannot be read".to_owned());
        let told = [(LOG_PLACE, log), (OTHERS, others)];
        let told = told.into_iter().filter_map(|(of, why)| Some((of.to_owned(), why?)));
        self.unreadable = told.collect();
        self
    }
}

/// How a rest ended.
enum Rest {
    Over,
    Hurried,
    Stopping,
}

impl Integrity {
    /// Read everything again and again until `tasks` are to stop.
    pub async fn scrub(self, tasks: Tasks) {
        // Whether a whole round is read without rest, and whether another follows.
        let (mut hurried, mut again) = (false, false);
        let mut pause = Duration::ZERO;
        loop {
            let settings = self.0.context.config.borrow().integrity.clone();
            let rest = if hurried { Duration::ZERO } else { settings.rest.max(pause) };
            match self.rest(rest, &tasks).await {
                Rest::Stopping => return,
                Rest::Hurried if hurried => again = true,
                Rest::Hurried => {
                    hurried = true;
                    let mut scrubbed = self.scrub_state();
                    (scrubbed.last, scrubbed.folders) = (None, 0);
                }
                Rest::Over => {}
            }
            if settings.pace == 0 && !hurried {
                continue;
            }
            let before = self.scrub_state().rounds;
            let this = self.clone();
            let turn = self.0.context.blocking("reading evidence again", move || Ok(this.turn()));
            let bytes = match turn.await {
                Ok(bytes) => bytes,
                Err(error) => {
                    tracing::error!(error = chain(&error), "the scrubber stopped");
                    return;
                }
            };
            if self.scrub_state().rounds > before {
                (hurried, again) = (again, false);
            }
            // As long as the disk is spared in between, nobody waits for it.
            #[expect(clippy::cast_precision_loss, reason = "a pause need not be exact")]
            let needed = bytes as f64 / settings.pace.max(1) as f64;
            pause = Duration::from_secs_f64(needed.min(3600.0));
        }
    }

    async fn rest(&self, pause: Duration, tasks: &Tasks) -> Rest {
        tokio::select! {
            () = tasks.stopping() => Rest::Stopping,
            () = self.0.hurry.notified() => Rest::Hurried,
            () = tokio::time::sleep(pause) => Rest::Over,
        }
    }

    /// Have the scrubber read all evidence from the beginning, without rest.
    pub(super) fn hurry(&self) {
        self.0.hurry.notify_one();
    }

    /// How far the scrubber is, and what is not as it was.
    pub fn scrubbed(&self) -> Scrubbed {
        let standing = self.standing_findings();
        let mut scrubbed = self.scrub_state().clone();
        // What was set aside stays told of until somebody takes it away.
        scrubbed.findings.retain(|place, _| self.0.context.root().join(place).exists());
        scrubbed.findings.extend(standing);
        scrubbed
    }

    pub(super) fn scrub_state(&self) -> MutexGuard<'_, Scrubbed> {
        self.0.scrubbed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was set aside at `place` stays told of.
    pub(in crate::runs) fn quarantined(&self, place: &str, code: FindingCode) {
        let mut scrubbed = self.scrub_state();
        scrubbed.findings.entry(place.to_owned()).or_default().insert(code.to_string());
    }

    /// Read the next folder, or finish the round with the log; how many bytes were read.
    pub(in crate::runs) fn turn(&self) -> u64 {
        let bytes = self.try_again().unwrap_or_else(|| self.next_folder());
        let mut text = serde_json::to_vec_pretty(&self.scrubbed()).expect("a note is plain data");
        text.push(b'\n');
        if let Err(error) = disk::replace(&self.0.context.root().join(PLACE), &text, MODE) {
            tracing::warn!(%error, "the scrubber's place is not remembered");
        }
        bytes
    }

    fn next_folder(&self) -> u64 {
        let last = self.scrub_state().last;
        let run = |path: &PathBuf| path.file_name()?.to_str()?.parse::<RunId>().ok();
        let next = sealed_in(self.0.context.root())
            .find(|path| last.is_none_or(|last| run(path).is_some_and(|id| id > last)));
        match next.as_ref().and_then(|path| Some((run(path)?, path))) {
            Some((id, path)) => {
                let bytes = self.read_folder(id, path);
                let mut scrubbed = self.scrub_state();
                scrubbed.last = Some(id);
                scrubbed.folders += 1;
                bytes
            }
            None => self.finish(),
        }
    }

    pub(super) fn read_folder(&self, run: RunId, path: &Path) -> u64 {
        let report = verify::folder(path, &self.0.signing.own_trust());
        // It may have been purged while it was read.
        if path.is_dir() || self.0.decisions.tombstone(run).is_none() {
            let codes = self.codes_of_run(run, &report.findings);
            self.judge(&run.to_string(), &report.findings, &codes);
        }
        report.bytes
    }

    /// The end of a round: the log itself, the custody log, and the runs it tells of.
    fn finish(&self) -> u64 {
        let (bytes, findings, codes) = self.log_findings();
        self.judge(LOG_PLACE, &findings, &codes);
        self.judge_findings(RUNS, &self.unlisted());
        let bytes = bytes + self.scrub_archives() + self.scrub_imports();
        self.forget_unread();
        let mut scrubbed = self.scrub_state();
        scrubbed.last = None;
        scrubbed.folders = 0;
        scrubbed.rounds += 1;
        scrubbed.finished_at = Some(self.0.context.clock.now().to_rfc3339());
        let unreadable = scrubbed.unreadable.len();
        tracing::info!(rounds = scrubbed.rounds, unreadable, "all evidence was read again");
        bytes
    }

    /// Hold each archive against the digest in the log, which was taken when it had been unpacked and
    /// verified; how many bytes were read.
    pub(super) fn scrub_archives(&self) -> u64 {
        let archives: Vec<_> = self.0.decisions.lock().archives().collect();
        let mut bytes = 0;
        for (run, logged) in archives {
            let path = self.0.context.store.archive_of(run);
            let place = archived_place(run);
            let found = disk::open(&path).and_then(Digest::of_reader);
            let sound = match found {
                Ok((found, size)) => {
                    bytes += size;
                    found == logged.sha256
                }
                Err(error) if disk::is_unreadable(&error) => {
                    let expected = "a readable file";
                    let (code, found) = (FindingCode::Unreadable, error.to_string());
                    let unread = [Finding::new(code, place, expected, found)];
                    self.judge_findings(&run.to_string(), &unread);
                    continue;
                }
                // That one is gone, the log tells.
                Err(_) => continue,
            };
            // It may have been restored or purged while it was read.
            let stands = self.0.decisions.lock().archive(run) == Some(logged);
            let (code, found) = (FindingCode::ArchiveNotLogged, "other bytes");
            let wrong = || Finding::new(code, place, logged.sha256.to_string(), found);
            let findings = if sound || !stands { Vec::new() } else { vec![wrong()] };
            self.judge_findings(&run.to_string(), &findings);
        }
        bytes
    }

    /// Hold each kept bundle of another store against the digest in the log; how many bytes were read.
    pub(super) fn scrub_imports(&self) -> u64 {
        let (bytes, found) = self.import_findings();
        for (place, findings) in found {
            self.judge_findings(&place, &findings);
        }
        bytes
    }

    /// What is to be said of each kept bundle of another store, by its place, and of what else lies
    /// beside them; of those for which something was found before, too. How many bytes were read.
    pub(super) fn import_findings(&self) -> (u64, BTreeMap<String, Vec<Finding>>) {
        let logged = || {
            let standing = self.0.decisions.lock();
            let kept = standing.imports().map(|kept| (kept.sha256, kept.size)).collect();
            verify::LoggedImports { kept, purged: standing.purged_imports().clone() }
        };
        let (bytes, findings) = verify::imports(self.0.context.root(), logged);
        let before = self.standing_findings().into_keys();
        let unread: Vec<String> = self.scrub_state().unreadable.keys().cloned().collect();
        let before = before.chain(unread).filter(|place| is_import(place));
        let mut found: BTreeMap<_, Vec<_>> = before.map(|place| (place, Vec::new())).collect();
        for finding in findings {
            // Names that somebody else gave do not go into the log.
            let own =
                [FindingCode::ImportNotLogged, FindingCode::ImportGone, FindingCode::Unreadable];
            let place = if own.contains(&finding.code) {
                finding.place.clone()
            } else {
                IMPORTED.to_owned()
            };
            found.entry(place).or_default().push(finding);
        }
        (bytes, found)
    }

    /// Hold the log against itself and against the runs there are; about how many bytes were read, what
    /// is to be said of the log, and the codes of what is not as it was.
    pub(in crate::runs) fn log_findings(&self) -> (u64, Vec<Finding>, BTreeSet<String>) {
        let trust = Trust::none().with_log(self.0.context.log_policy());
        let (report, mut findings) = verify::log_and_custody(self.0.context.root(), &trust);
        let mut codes = damage_codes(&findings);
        codes.extend(self.judge_missing(&mut findings));
        // An entry and its hashes, as a guess.
        (report.size * 512, findings, codes)
    }

    /// Hold the runs that the log tells of against those that are there; the codes of what is wrong.
    /// Each is judged under its own name, too, so that it is known of that run wherever it is shown.
    /// Where the log cannot be read, that goes to `findings`.
    fn judge_missing(&self, findings: &mut Vec<Finding>) -> BTreeSet<String> {
        let doubted = match absent(self.0.context.root(), &self.0.context.log_policy()) {
            Ok(doubted) => doubted,
            Err(error) => {
                tracing::error!(error = chain(&error), "the log cannot be read");
                if disk::is_unreadable(&error) {
                    let (code, expected) = (FindingCode::Unreadable, "a readable log");
                    findings.push(Finding::new(code, LOG_PLACE, expected, chain(&error)));
                }
                return BTreeSet::new();
            }
        };
        let mut all = BTreeSet::new();
        let mut unlogged = BTreeSet::new();
        for (run, fate) in doubted {
            // It may have been purged, archived or restored since the log was read, or be on its way
            // to its place: it is taken off the list of open runs only after it arrived there.
            let there = || {
                self.0.registry.contains(run)
                    || self.may_be_there(run)
                    || self.0.decisions.is_archived(run)
            };
            if self.0.decisions.tombstone(run).is_some() || (fate == Fate::Gone && there()) {
                continue;
            }
            let place = run.to_string();
            if fate == Fate::Unreadable {
                let (code, expected) = (FindingCode::Unreadable, "a readable folder");
                self.note_unread(&place, &[Finding::new(code, &place, expected, fate.word())]);
                continue;
            }
            let code = verify::doubt(fate == Fate::Gone).to_string();
            let mut codes = BTreeSet::from([code.clone()]);
            if fate == Fate::NotLogged {
                unlogged.insert(place.clone());
                codes.extend(self.found().codes_of(&place).0);
            }
            self.judge(&place, &[], &codes);
            all.insert(code);
        }
        // Where not all could be listed, nobody knows what became of the others.
        if self.unlisted().is_empty() {
            self.judge_logged(&unlogged);
        }
        all
    }

    /// Say of those that were not in the log, but for the `unlogged`, that it tells of them by now.
    fn judge_logged(&self, unlogged: &BTreeSet<String>) {
        for (place, mut codes) in self.standing_findings() {
            if codes.remove(UNLOGGED.as_str()) && !unlogged.contains(&place) && place != LOG_PLACE {
                self.judge(&place, &[], &codes);
            }
        }
    }
}

/// Whether `place` is that of a kept bundle of another store, or the folder of those.
pub(super) fn is_import(place: &str) -> bool {
    place.strip_prefix(IMPORTED).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How far the scrubber of an earlier life was, by its own note in the store at `root`.
pub(super) fn remembered(root: &Path) -> Scrubbed {
    let note = disk::read_limited(&root.join(PLACE), LIMIT).ok();
    let note = note.and_then(|note| serde_json::from_slice::<Scrubbed>(&note).ok());
    let mut scrubbed = note.unwrap_or_default();
    // All else the log remembers; what could not be read is tried again.
    scrubbed.unreadable.clear();
    scrubbed.findings.retain(|place, _| place.starts_with(QUARANTINE));
    scrubbed
}
