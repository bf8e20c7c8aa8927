//! Owns the scrubber: reads every sealed folder and the log again, at a measured pace, for as long as
//! the daemon lives, and says in the log what is no longer as it was. It goes on where it stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::Runs;
use super::problem::store_problem;
use crate::disk;
use crate::error::{Problem, chain};
use crate::evidence::log::leaf;
use crate::evidence::{Class, Finding, Trust, sealed_in, verify};
use crate::id::RunId;
use crate::population::{Query, population};
use crate::tasks::Tasks;

/// Where it is remembered what was read last, in the store.
const PLACE: &str = "scrub.json";
const LIMIT: u64 = 1 << 16;
/// For the daemon alone.
const MODE: u32 = 0o600;
/// What stands for the log, and for runs that are gone, where a run would be named.
const LOG: &str = "log";

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

impl Runs {
    /// Read everything again and again until `tasks` are to stop.
    pub async fn scrub(self, tasks: Tasks) {
        let mut scrubbed = self.scrubbed();
        loop {
            let settings = self.0.config.borrow().integrity.clone();
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep(settings.rest) => {}
            }
            if settings.pace == 0 {
                continue;
            }
            let this = self.clone();
            let turn = self.blocking("reading evidence again", move || Ok(this.turn(scrubbed)));
            let bytes = match turn.await {
                Ok((after, bytes)) => {
                    scrubbed = after;
                    bytes
                }
                Err(error) => {
                    tracing::error!(error = chain(&error), "the scrubber stopped");
                    return;
                }
            };
            // As long as the disk is spared in between, nobody waits for it.
            #[expect(clippy::cast_precision_loss, reason = "a pause need not be exact")]
            let pause = Duration::from_secs_f64(bytes as f64 / settings.pace as f64);
            tokio::select! {
                () = tasks.stopping() => return,
                () = tokio::time::sleep(pause.min(Duration::from_hours(1))) => {}
            }
        }
    }

    /// How far the scrubber was, by its own note.
    pub fn scrubbed(&self) -> Scrubbed {
        let note = disk::read_limited(&self.note(), LIMIT).ok();
        note.and_then(|note| serde_json::from_slice(&note).ok()).unwrap_or_default()
    }

    fn note(&self) -> PathBuf {
        self.root().join(PLACE)
    }

    /// Read the next folder, or finish the round with the log; how many bytes were read.
    fn turn(&self, mut scrubbed: Scrubbed) -> (Scrubbed, u64) {
        let run = |path: &PathBuf| path.file_name()?.to_str()?.parse::<RunId>().ok();
        let next = sealed_in(self.root())
            .find(|path| scrubbed.last.is_none_or(|last| run(path).is_some_and(|id| id > last)));
        let bytes = match next.as_ref().and_then(|path| Some((run(path)?, path))) {
            Some((id, path)) => {
                let report = verify::folder(path, &Trust::of_signer(&self.0.signer));
                scrubbed.last = Some(id);
                scrubbed.folders += 1;
                // It may have been purged while it was read.
                if path.is_dir() || self.tombstone(id).is_none() {
                    self.judge(&mut scrubbed, &id.to_string(), &report.findings);
                }
                report.bytes
            }
            None => self.finish(&mut scrubbed),
        };
        let mut text = serde_json::to_vec_pretty(&scrubbed).expect("a note is plain data");
        text.push(b'\n');
        if let Err(error) = disk::replace(&self.note(), &text, MODE) {
            tracing::warn!(%error, "the scrubber's place is not remembered");
        }
        (scrubbed, bytes)
    }

    /// The end of a round: the log itself, the custody log, and the runs it tells of.
    fn finish(&self, scrubbed: &mut Scrubbed) -> u64 {
        let (report, mut findings) = verify::log_and_custody(self.root(), &Trust::none());
        let query = Query { from: None, to: None, workflow: None };
        match population(self.root(), query) {
            Ok(population) => findings.extend(population.doubtful().map(|run| {
                let code = verify::doubt(run.fate == crate::population::Fate::Gone);
                Finding::new(code, run.run.to_string(), "a run as the log tells", run.fate.word())
            })),
            Err(error) => tracing::error!(error = chain(&error), "the log cannot be read"),
        }
        self.judge(scrubbed, LOG, &findings);
        // Of a run that is gone the log tells.
        let there = |run: &RunId| self.0.store.folder_of(*run).is_dir();
        scrubbed
            .findings
            .retain(|place, _| place == LOG || place.parse().is_ok_and(|run| there(&run)));
        scrubbed.last = None;
        scrubbed.folders = 0;
        scrubbed.rounds += 1;
        scrubbed.finished_at = Some(self.0.clock.now().to_rfc3339());
        tracing::info!(rounds = scrubbed.rounds, "all evidence was read again");
        // An entry and its hashes, as a guess.
        report.size * 512
    }

    /// Say once what is not as it was.
    fn judge(&self, scrubbed: &mut Scrubbed, place: &str, findings: &[Finding]) {
        // Whom to believe is for auditors to say; older folders have older keys.
        let bad =
            findings.iter().filter(|one| !matches!(one.class, Class::Note | Class::UnknownKey));
        let codes: BTreeSet<String> = bad.map(|finding| finding.code.to_string()).collect();
        if codes.is_empty() {
            scrubbed.findings.remove(place);
            return;
        }
        if scrubbed.findings.get(place) == Some(&codes) {
            return;
        }
        tracing::error!(place, ?codes, "evidence is not as it was; run `exhibit verify`");
        let told = json!({ "place": place, "codes": codes });
        if let Err(error) = self.log().append(leaf::finding(&told, self.0.clock.now())) {
            let problem: Problem = store_problem(error);
            tracing::error!(error = chain(&problem), "the log does not say so");
        }
        scrubbed.findings.insert(place.to_owned(), codes);
    }
}
