//! Owns the scrubber: reads every sealed folder, every kept bundle and the log again, at a measured
//! pace, for as long as the daemon lives, and says in the log what is no longer as it was. It goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::Runs;
use super::problem::store_problem;
use crate::digest::Digest;
use crate::disk;
use crate::error::{Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{
    Finding, FindingCode, IMPORTED, QUARANTINE, Trust, archived_place, sealed_in, verify,
};
use crate::id::RunId;
use crate::population::{Query, population};
use crate::tasks::Tasks;

/// Where it is remembered what was read last, in the store.
const PLACE: &str = "scrub.json";
const LIMIT: u64 = 1 << 16;
/// For the daemon alone.
const MODE: u32 = 0o600;
/// What stands for the log, and for runs that are gone, where a run would be named.
pub(super) const LOG: &str = "log";

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
    /// What is not as it was: codes of findings, by run or `log`.
    pub findings: BTreeMap<String, BTreeSet<String>>,
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

    /// How far the scrubber is.
    pub fn scrubbed(&self) -> Scrubbed {
        self.scrub_state().clone()
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
                    self.judge(&id.to_string(), &report.findings);
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
        let (bytes, findings) = self.log_findings();
        self.judge(LOG, &findings);
        let bytes = bytes + self.scrub_archives() + self.scrub_imports();
        // Of a run that is gone the log tells; of what is wrong with a bundle, each round anew.
        let there = |run: &RunId| self.0.store.folder_of(*run).is_dir() || self.is_archived(*run);
        let mut scrubbed = self.scrub_state();
        scrubbed.findings.retain(|place, _| {
            // What was set aside stays told of until somebody takes it away.
            let aside = place.starts_with(QUARANTINE) && self.root().join(place).exists();
            place == LOG || aside || is_import(place) || place.parse().is_ok_and(|run| there(&run))
        });
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
            self.judge(&run.to_string(), &findings);
        }
        bytes
    }

    /// Hold each kept bundle of another store against the digest in the log; how many bytes were read.
    fn scrub_imports(&self) -> u64 {
        let (bytes, found) = self.import_findings();
        for (place, findings) in found {
            self.judge(&place, &findings);
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
        let before = self.scrubbed().findings.into_keys().filter(|place| is_import(place));
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

    /// Hold the log against itself and against the runs there are; about how many bytes were read.
    pub(super) fn log_findings(&self) -> (u64, Vec<Finding>) {
        let (report, mut findings) = verify::log_and_custody(self.root(), &Trust::none());
        let query = Query { from: None, to: None, workflow: None };
        match population(self.root(), query) {
            Ok(population) => findings.extend(population.doubtful().filter_map(|run| {
                // It may have been purged, archived or restored since the log was read.
                if self.tombstone(run.run).is_some() {
                    return None;
                }
                let there = self.0.store.folder_of(run.run).is_dir() || self.is_archived(run.run);
                if run.fate == crate::population::Fate::Gone && there {
                    return None;
                }
                let code = verify::doubt(run.fate == crate::population::Fate::Gone);
                let (place, found) = (run.run.to_string(), run.fate.word());
                Some(Finding::new(code, place, "a run as the log tells", found))
            })),
            Err(error) => tracing::error!(error = chain(&error), "the log cannot be read"),
        }
        // An entry and its hashes, as a guess.
        (report.size * 512, findings)
    }

    /// Say once what is not as it was.
    fn judge(&self, place: &str, findings: &[Finding]) {
        let codes = Self::codes(findings);
        if !self.is_news(place, &codes) || codes.is_empty() {
            return;
        }
        tracing::error!(place, ?codes, "evidence is not as it was; run `exhibit verify`");
        self.tell_finding(&json!({ "place": place, "codes": codes }));
    }

    /// The codes of what is not as it was sealed.
    pub(super) fn codes(findings: &[Finding]) -> BTreeSet<String> {
        let bad = findings.iter().filter(|one| one.class.is_damage());
        bad.map(|finding| finding.code.to_string()).collect()
    }

    /// Remember what is so with `place`; whether it was otherwise.
    pub(super) fn is_news(&self, place: &str, codes: &BTreeSet<String>) -> bool {
        let findings = &mut self.scrub_state().findings;
        if codes.is_empty() {
            return findings.remove(place).is_some();
        }
        findings.insert(place.to_owned(), codes.clone()).as_ref() != Some(codes)
    }

    /// Put a finding into the log, and tell the operator's program of it.
    pub(super) fn tell_finding(&self, told: &Value) {
        let entry = leaf::finding(told, self.0.clock.now());
        let mut message: Map<String, Value> =
            serde_json::from_slice(&entry).expect("an entry is an object");
        let index = self.log().append(entry).map_err(|error| {
            let problem: Problem = store_problem(error);
            tracing::error!(error = chain(&problem), "the log does not say so");
        });
        message.insert("log_index".to_owned(), json!(index.ok()));
        message.insert("store".to_owned(), json!(self.root().to_string_lossy()));
        self.0.hook.send(Value::Object(message));
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
    note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default()
}
