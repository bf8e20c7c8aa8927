//! Owns the watch over sealed evidence while the daemon lives: who changes a sealed folder or the log
//! is told of within a second, in the log, in the daemon's own log and to the operator's program, and
//! what was changed is read again at once. It changes nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Sleep, sleep};

use super::Integrity;
use super::judging::damage_codes;
use crate::disk::{self, own::Ledger};
use crate::error::{Problem, chain};
use crate::evidence::{Finding, FindingCode, IMPORTED, LOG_PLACE, verify};
use crate::id::RunId;
use crate::integrity::{Burst, Folders, HookCounts, TamperPlace, WatchEvent};
use crate::spans;
use crate::tasks::Tasks;

/// How long tamper events are gathered before they are reported.
const GATHER: Duration = Duration::from_millis(100);
/// How long after that the next are told at the earliest.
const APART: Duration = Duration::from_millis(800);
/// How long until it is tried again to watch.
const AGAIN: Duration = Duration::from_secs(60);

/// How the watch fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Watching {
    /// Whether folders are watched at this moment.
    pub on: bool,
    /// Folders that are watched.
    pub folders: u64,
    /// Folders that are not, because the kernel gives no more watches.
    pub missed: u64,
    /// Tamper events that were seen since the daemon started.
    #[serde(rename = "touches")]
    pub tamper_events: u64,
    /// How often the kernel dropped events, since then.
    pub lost: u64,
    /// Why nothing is watched.
    pub why_not: Option<String>,
}

/// What is there to tell and to read again.
#[derive(Default)]
struct Round {
    bursts: BTreeMap<TamperPlace, Burst>,
    lost: bool,
}

/// Why following the folders ended.
enum Ended {
    Stopping,
    Lost,
}

/// What is read again after a tamper event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Log,
    Imports,
    Run(RunId),
}

type Checking = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Integrity {
    /// How the watch fares, and the operator's program.
    pub fn watching(&self) -> (Watching, HookCounts) {
        (self.watch_state().clone(), self.0.hook.counts())
    }

    fn watch_state(&self) -> MutexGuard<'_, Watching> {
        self.0.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watch the store until `tasks` are to stop. What the daemon does itself counts as its own from
    /// this call on, not only once the answer is polled.
    pub fn watch(&self, tasks: Tasks) -> impl Future<Output = ()> + Send + use<> {
        let (this, wanted) = (self.clone(), self.0.context.config.borrow().integrity.watch);
        let own = wanted.then(|| Folders::ledger(self.0.context.root()));
        async move {
            match own {
                Some(own) => this.keep_watching(own, &tasks).await,
                None => this.watch_state().why_not = Some("`integrity.watch` is false".to_owned()),
            }
        }
    }

    async fn keep_watching(&self, own: Arc<Ledger>, tasks: &Tasks) {
        let mut lost = false;
        loop {
            let pause = match self.follow(Arc::clone(&own), lost, tasks).await {
                Ok(Ended::Stopping) => return,
                Ok(Ended::Lost) => {
                    lost = true;
                    APART
                }
                Err(error) => {
                    let why = chain(&error);
                    tracing::error!(error = %why, again = ?AGAIN, "sealed evidence is not watched; the scrubber reads it nevertheless");
                    let mut state = self.watch_state();
                    let (tamper_events, lost) = (state.tamper_events, state.lost);
                    *state =
                        Watching { tamper_events, lost, why_not: Some(why), ..Watching::default() };
                    AGAIN
                }
            };
            tokio::select! {
                () = tasks.stopping() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// Watch all folders, and report what is changed. `lost` is whether that is not known of the time
    /// before.
    async fn follow(&self, own: Arc<Ledger>, lost: bool, tasks: &Tasks) -> Result<Ended, Problem> {
        let root = self.0.context.root().to_owned();
        let watch = move || Folders::watch(&root, own, Folders::most()).map_err(unwatched);
        let mut folders = self.0.context.blocking("watching the store", watch).await?;
        let descriptor = folders.descriptor().map_err(unwatched)?;
        #[expect(
            deprecated,
            reason = "an `OwnedFd` is what the successor's unsafe promise asks for"
        )]
        let ready = AsyncFd::with_interest(descriptor, Interest::READABLE).map_err(unwatched)?;
        self.covered(&folders);
        if lost {
            self.hurry();
        }
        let (mut round, mut timer) = (Round::default(), None::<Pin<Box<Sleep>>>);
        let (mut waiting, mut checking) = (BTreeSet::<Check>::new(), None::<Checking>);
        loop {
            if checking.is_none()
                && let Some(check) = waiting.pop_first()
            {
                checking = Some(Box::pin(self.clone().check(check)));
            }
            tokio::select! {
                () = tasks.stopping() => return Ok(Ended::Stopping),
                () = maybe(&mut checking) => checking = None,
                guard = ready.readable() => {
                    guard.map_err(unwatched)?.clear_ready();
                    let read = move || round.read(folders);
                    (round, folders) = self.0.context.blocking("reading what was touched", read).await?;
                    self.covered(&folders);
                    if timer.is_none() && !round.is_empty() {
                        timer = Some(Box::pin(sleep(GATHER)));
                    }
                }
                () = maybe(&mut timer) => {
                    timer = None;
                    if !round.is_empty() {
                        waiting.extend(round.bursts.keys().map(|place| match place {
                            TamperPlace::Run(run) => Check::Run(*run),
                            TamperPlace::Imported => Check::Imports,
                            _ => Check::Log,
                        }));
                        let told = std::mem::take(&mut round);
                        if self.report_tampering(told).await {
                            return Ok(Ended::Lost);
                        }
                        timer = Some(Box::pin(sleep(APART)));
                    }
                }
            }
        }
    }

    /// Keep what is watched for whoever asks, and say when it is not all.
    fn covered(&self, folders: &Folders) {
        let (watched, missed) = (folders.watched(), folders.missed());
        let mut state = self.watch_state();
        if missed > 0 && (state.missed == 0 || !state.on) {
            tracing::warn!(
                watched,
                missed,
                "not all folders can be watched; raise fs.inotify.max_user_watches and start again; the scrubber reads the rest"
            );
        }
        (state.on, state.folders, state.missed, state.why_not) = (true, watched, missed, None);
    }

    /// Report what was changed; whether something was lost.
    async fn report_tampering(&self, round: Round) -> bool {
        let this = self.clone();
        let lost = round.lost;
        let told = self.0.context.blocking("telling what was touched", move || {
            for (place, burst) in &round.bursts {
                this.watch_state().tamper_events += burst.count();
                let (place, paths) = (place.to_string(), &burst.paths);
                tracing::error!(place, touched = spans::value(&burst.tamper_events), paths = spans::value(paths), "evidence was touched by somebody else");
                let mut told = json!(burst);
                told["place"] = json!(place);
                this.tell_finding(&told);
            }
            if round.lost {
                this.watch_state().lost += 1;
                tracing::error!("the kernel dropped events: what was touched is not known; all evidence is read again now");
                this.tell_finding(&json!({ "place": "store", "lost": true }));
            }
            Ok(())
        });
        if let Err(error) = told.await {
            tracing::error!(error = chain(&error), "what was touched is not told");
        }
        lost
    }

    /// Read again what was changed, and tell how it is.
    async fn check(self, check: Check) {
        let this = self.clone();
        let checked = self.0.context.blocking("reading what was touched", move || {
            for (place, findings, codes) in this.read_again(check) {
                if this.note_unread(&place, &findings) && codes.is_empty() {
                    // The scrubber tries again, and tells of it when it is known.
                    continue;
                }
                if codes.is_empty() {
                    tracing::warn!(place, "what was touched is still as it was sealed");
                } else {
                    tracing::error!(
                        place,
                        ?codes,
                        "evidence is not as it was; run `exhibit verify`"
                    );
                }
                this.tell_finding(&json!({ "place": place, "codes": codes, "after_touch": true }));
            }
            Ok(())
        });
        if let Err(error) = checked.await {
            tracing::error!(error = chain(&error), "what was touched was not read again");
        }
    }

    /// Read what `check` names; what is to be said of it and the codes of what is not as it was, by place.
    fn read_again(&self, check: Check) -> Vec<(String, Vec<Finding>, BTreeSet<String>)> {
        match check {
            Check::Run(run) => {
                let findings = self.findings_of(run);
                let codes = self.codes_of_run(run, &findings);
                vec![(run.to_string(), findings, codes)]
            }
            // Folders above the runs may have been moved.
            Check::Log => {
                let (_, findings, codes) = self.log_findings();
                vec![(LOG_PLACE.to_owned(), findings, codes)]
            }
            Check::Imports => {
                let (mut altered, mut unread) = (Vec::new(), false);
                for (place, findings) in self.import_findings().1 {
                    unread |= findings.iter().any(|one| one.code == FindingCode::Unreadable);
                    match damage_codes(&findings) {
                        codes if codes.is_empty() => self.judge(&place, &findings, &codes),
                        codes => altered.push((place, findings, codes)),
                    }
                }
                if altered.is_empty() && !unread {
                    altered.push((IMPORTED.to_owned(), Vec::new(), BTreeSet::new()));
                }
                altered
            }
        }
    }

    pub(in crate::runs) fn findings_of(&self, run: RunId) -> Vec<Finding> {
        let folder = self.0.context.store.folder_of(run);
        match disk::found(&folder) {
            Ok(None) => {
                let place = run.to_string();
                vec![Finding::new(verify::doubt(true), place, "a sealed folder", "none")]
            }
            // Where nobody can tell what lies there, verification says so.
            _ => verify::folder(&folder, &self.0.signing.own_trust()).findings,
        }
    }
}

impl Round {
    fn is_empty(&self) -> bool {
        self.bursts.is_empty() && !self.lost
    }

    /// Take in what there is to read of `folders`.
    fn read(mut self, mut folders: Folders) -> Result<(Self, Folders), Problem> {
        let read = folders.read(&mut |seen| match seen {
            WatchEvent::Tampered(event) => {
                self.bursts.entry(TamperPlace::of(&event.path)).or_default().add(&event);
            }
            WatchEvent::Lost => self.lost = true,
        });
        read.map_err(unwatched)?;
        Ok((self, folders))
    }
}

/// Completes with `future`; never, when there is none.
async fn maybe<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn unwatched(error: io::Error) -> Problem {
    Problem::internal("watching the store (inotify)", error)
}
