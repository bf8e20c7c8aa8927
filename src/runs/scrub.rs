//! Owns the scrubber: reads every sealed folder, every kept bundle and the log again, at a measured
//! pace, for as long as the daemon lives, and says in the log what is no longer as it was. It goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Runs;
use crate::digest::Digest;
use crate::disk;
use crate::error::chain;
use crate::evidence::{
    Finding, FindingCode, IMPORTED, LOG_PLACE, QUARANTINE, Trust, archived_place, seal_digest,
    sealed_in, verify,
};
use crate::id::RunId;
use crate::population::absent;
use crate::tasks::Tasks;

/// Where it is remembered what was read last, in the store.
const PLACE: &str = "scrub.json";
const LIMIT: u64 = 1 << 16;
/// What the end of a round alone finds.
const UNLOGGED: FindingCode = FindingCode::RunNotLogged;
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
        self
    }
}

/// How a rest ended.
enum Rest {
    Over,
    Hurried,
    Stopping,
}

impl Runs {
    /// Read everything again and again until `tasks` are to stop.
    pub async fn scrub(self, tasks: Tasks) {
        // Whether a whole round is read without rest, and whether another follows.
        let (mut hurried, mut again) = (false, false);
        let mut pause = Duration::ZERO;
        loop {
            let settings = self.0.config.borrow().integrity.clone();
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
            let turn = self.blocking("reading evidence again", move || Ok(this.turn()));
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
        scrubbed.findings.retain(|place, _| self.root().join(place).exists());
        scrubbed.findings.extend(standing);
        scrubbed
    }

    pub(super) fn scrub_state(&self) -> MutexGuard<'_, Scrubbed> {
        self.0.scrubbed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Read the next folder, or finish the round with the log; how many bytes were read.
    fn turn(&self) -> u64 {
        let last = self.scrub_state().last;
        let run = |path: &PathBuf| path.file_name()?.to_str()?.parse::<RunId>().ok();
        let next = sealed_in(self.root())
            .find(|path| last.is_none_or(|last| run(path).is_some_and(|id| id > last)));
        let bytes = match next.as_ref().and_then(|path| Some((run(path)?, path))) {
            Some((id, path)) => {
                let report = verify::folder(path, &self.own_trust());
                {
                    let mut scrubbed = self.scrub_state();
                    scrubbed.last = Some(id);
                    scrubbed.folders += 1;
                }
                // It may have been purged while it was read.
                if path.is_dir() || self.tombstone(id).is_none() {
                    self.judge(&id.to_string(), &self.codes_of_run(id, &report.findings));
                }
                report.bytes
            }
            None => self.finish(),
        };
        let mut text = serde_json::to_vec_pretty(&self.scrubbed()).expect("a note is plain data");
        text.push(b'\n');
        if let Err(error) = disk::replace(&self.root().join(PLACE), &text, MODE) {
            tracing::warn!(%error, "the scrubber's place is not remembered");
        }
        bytes
    }

    /// The end of a round: the log itself, the custody log, and the runs it tells of.
    fn finish(&self) -> u64 {
        let (bytes, codes) = self.log_codes();
        self.judge(LOG_PLACE, &codes);
        let bytes = bytes + self.scrub_archives() + self.scrub_imports();
        let mut scrubbed = self.scrub_state();
        scrubbed.last = None;
        scrubbed.folders = 0;
        scrubbed.rounds += 1;
        scrubbed.finished_at = Some(self.0.clock.now().to_rfc3339());
        tracing::info!(rounds = scrubbed.rounds, "all evidence was read again");
        bytes
    }

    /// Hold each archive against the digest in the log, which was taken when it had been unpacked and
    /// verified; how many bytes were read.
    fn scrub_archives(&self) -> u64 {
        let archives: Vec<_> = self.standing().archives().collect();
        let mut bytes = 0;
        for (run, logged) in archives {
            let path = self.0.store.archive_of(run);
            // That one is gone, the log tells.
            let Ok(file) = File::open(&path) else { continue };
            let found = Digest::of_reader(file);
            bytes += found.as_ref().map_or(0, |(_, size)| *size);
            let sound = found.is_ok_and(|(found, _)| found == logged.sha256);
            // It may have been restored or purged while it was read.
            let stands = self.standing().archive(run) == Some(logged);
            let place = archived_place(run);
            let (code, found) = (FindingCode::ArchiveNotLogged, "other bytes");
            let wrong = || Finding::new(code, place, logged.sha256.to_string(), found);
            let findings = if sound || !stands { Vec::new() } else { vec![wrong()] };
            self.judge(&run.to_string(), &Self::codes(&findings));
        }
        bytes
    }

    /// Hold each kept bundle of another store against the digest in the log; how many bytes were read.
    fn scrub_imports(&self) -> u64 {
        let (bytes, found) = self.import_findings();
        for (place, findings) in found {
            self.judge(&place, &Self::codes(&findings));
        }
        bytes
    }

    /// What is to be said of each kept bundle of another store, by its place, and of what else lies
    /// beside them; of those for which something was found before, too. How many bytes were read.
    pub(super) fn import_findings(&self) -> (u64, BTreeMap<String, Vec<Finding>>) {
        let logged = || {
            let standing = self.standing();
            let kept = standing.imports().map(|kept| kept.sha256).collect();
            verify::LoggedImports { kept, purged: standing.purged_imports().clone() }
        };
        let (bytes, findings) = verify::imports(self.root(), logged);
        let before = self.standing_findings().into_keys().filter(|place| is_import(place));
        let mut found: BTreeMap<_, Vec<_>> = before.map(|place| (place, Vec::new())).collect();
        for finding in findings {
            // Names that somebody else gave do not go into the log.
            let own = finding.code == FindingCode::ImportNotLogged
                || finding.code == FindingCode::ImportGone;
            let place = if own { finding.place.clone() } else { IMPORTED.to_owned() };
            found.entry(place).or_default().push(finding);
        }
        (bytes, found)
    }

    /// Hold the log against itself and against the runs there are; about how many bytes were read, and
    /// the codes of what is not as it was.
    pub(super) fn log_codes(&self) -> (u64, BTreeSet<String>) {
        let (report, findings) = verify::log_and_custody(self.root(), &Trust::none());
        let mut codes = Self::codes(&findings);
        codes.extend(self.judge_missing());
        // An entry and its hashes, as a guess.
        (report.size * 512, codes)
    }

    /// Hold the runs that the log tells of against those that are there; the codes of what is wrong.
    /// Each is judged under its own name, too, so that it is known of that run wherever it is shown.
    fn judge_missing(&self) -> BTreeSet<String> {
        let codes = match absent(self.root()) {
            Ok(doubted) => doubted,
            Err(error) => {
                tracing::error!(error = chain(&error), "the log cannot be read");
                return BTreeSet::new();
            }
        };
        let mut all = BTreeSet::new();
        let mut unlogged = BTreeSet::new();
        for (run, gone) in codes {
            // It may have been purged, archived or restored since the log was read, or be on its way
            // to its place: it is taken off the list of open runs only after it arrived there.
            let there = self.registry().contains_key(&run)
                || self.0.store.folder_of(run).is_dir()
                || self.is_archived(run);
            if self.tombstone(run).is_some() || (gone && there) {
                continue;
            }
            let code = verify::doubt(gone).to_string();
            let place = run.to_string();
            let mut codes = BTreeSet::from([code.clone()]);
            if !gone {
                unlogged.insert(place.clone());
                codes.extend(self.found().codes_of(&place).0);
            }
            self.judge(&place, &codes);
            all.insert(code);
        }
        // Of those the log tells by now.
        for (place, mut codes) in self.standing_findings() {
            if codes.remove(UNLOGGED.as_str()) && !unlogged.contains(&place) && place != LOG_PLACE {
                self.judge(&place, &codes);
            }
        }
        all
    }

    /// The codes of `findings`, which the folder of `run` gave, and of what its folder cannot tell: that
    /// its seal is not the logged one, and that the log does not tell of it.
    pub(super) fn codes_of_run(&self, run: RunId, findings: &[Finding]) -> BTreeSet<String> {
        let mut codes = Self::codes(findings);
        codes.extend(self.found().codes_of(&run.to_string()).0.take(UNLOGGED.as_str()));
        let seal = seal_digest(&self.0.store.folder_of(run));
        if seal.is_some() && self.seal_in_log(run).is_some_and(|logged| Some(logged) != seal) {
            codes.insert(FindingCode::SealNotLogged.to_string());
        }
        codes
    }

    /// Say once what is not as it was, and once that it is again.
    pub(super) fn judge(&self, place: &str, codes: &BTreeSet<String>) {
        if !self.is_news(place, codes) {
            return;
        }
        if codes.is_empty() {
            tracing::warn!(place, "evidence that was not as it was is as it was sealed again");
        } else {
            tracing::error!(place, ?codes, "evidence is not as it was; run `exhibit verify`");
        }
        self.tell_finding(&json!({ "place": place, "codes": codes }));
    }

    /// The codes of what is not as it was sealed.
    pub(super) fn codes(findings: &[Finding]) -> BTreeSet<String> {
        let bad = findings.iter().filter(|one| one.class.is_damage());
        bad.map(|finding| finding.code.to_string()).collect()
    }

    /// Run the operator's program for what is told, until `tasks` are to stop.
    pub async fn alert(self, tasks: Tasks) {
        let messages = self.0.messages.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut messages) = messages else { return };
        loop {
            let message = tokio::select! {
                () = tasks.stopping() => return,
                message = messages.recv() => message,
            };
            let Some(message) = message else { return };
            let settings = self.0.config.borrow().integrity.clone();
            tokio::select! {
                () = tasks.stopping() => return,
                () = self.0.hook.tell(&settings.hook, &message, settings.hook_limit) => {}
            }
        }
    }
}

/// Whether `place` is that of a kept bundle of another store, or the folder of those.
fn is_import(place: &str) -> bool {
    place.strip_prefix(IMPORTED).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// How far the scrubber of an earlier life was, by its own note in the store at `root`.
pub(super) fn remembered(root: &Path) -> Scrubbed {
    let note = disk::read_limited(&root.join(PLACE), LIMIT).ok();
    let note = note.and_then(|note| serde_json::from_slice::<Scrubbed>(&note).ok());
    let mut scrubbed = note.unwrap_or_default();
    // All else the log remembers.
    scrubbed.findings.retain(|place, _| place.starts_with(QUARANTINE));
    scrubbed
}
