//! Owns the bundles of other stores that this one keeps: taken in as they are, with an entry of the
//! log before each has its place, listed, and given out again. Nothing of them becomes a run of this
//! store, and whose they are is not judged here.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::Retention;
use super::importing::{Imported, Keeping, not_taken};
use super::turn::Turn;
use crate::blob::Blob;
use crate::bundle::{self, Folder, Limits};
use crate::clock::rfc3339_millis;
use crate::digest::Digest;
use crate::error::{Code, Problem, chain};
use crate::evidence::log::{KeptImport, leaf};
use crate::evidence::verify::{self, Beside};
use crate::evidence::{Act, Finding, PROOF, RECORD, RunRecord, RunSummary, StoreError, Trust};
use crate::id::RunId;
use crate::run::{Caller, Reader};
use crate::runs::access::accessor::{Accessor, decided};
use crate::runs::problem::store_problem;
use crate::shown::shown_within;
use crate::spans;
use crate::tlog::proof::Proof;
use crate::tlog::tile::MAX_ENTRY;

/// Most logs that one bundle's runs are of.
const MAX_ORIGINS: usize = 16;
/// Most letters of a log's name that are repeated.
const MAX_ORIGIN: usize = 200;

/// A bundle of another store that is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Import {
    /// What the log says of it.
    #[serde(flatten)]
    pub kept: KeptImport,
    /// Whether its file is there.
    pub there: bool,
}

/// What of a bundle of another store its entry says.
pub(super) struct Foreign {
    runs: Vec<RunId>,
    origins: BTreeSet<String>,
    kept_until: Timestamp,
}

impl Retention {
    /// The answer to whoever brings a bundle that is kept already.
    ///
    /// # Errors
    /// `run_damaged` when other bytes lie in its place.
    pub(super) fn kept_already(&self, sha256: Digest) -> Result<Option<Imported>, Problem> {
        let Some(kept) = self.0.decisions.read().import(sha256).cloned() else { return Ok(None) };
        let there = self.0.context.store.kept_import(sha256, kept.size).map_err(in_its_place)?;
        Ok(there.map(|_| kept_answer(sha256, kept.runs, Keeping::Here, kept.log_index)))
    }

    /// Whether the runs in `bundle`, none of which is this store's, are sound as far as can be said
    /// without believing anybody.
    ///
    /// # Errors
    /// `run_damaged`; `invalid_field` for more logs than one entry tells of.
    pub(super) fn judge_foreign(&self, bundle: &Blob) -> Result<Foreign, Problem> {
        let (mut origins, mut kept_until) = (BTreeSet::new(), Timestamp::MIN);
        let (mut runs, mut refused) = (Vec::new(), None);
        let judge = |folder: Folder| {
            runs.push(folder.run);
            if refused.is_some() {
                return;
            }
            match self.judge_stranger(&folder) {
                Ok((logs, until)) => {
                    origins.extend(logs);
                    kept_until = kept_until.max(until);
                }
                Err(problem) => refused = Some(problem),
            }
        };
        let read = bundle::folders(bundle.reader(), bundle.len(), Limits::default(), judge);
        read.map_err(not_taken)?;
        if let Some(problem) = refused {
            return Err(problem);
        }
        if origins.len() > MAX_ORIGINS {
            let message = format!(
                "the bundle holds runs of {} logs; send bundles with runs of at most {MAX_ORIGINS}",
                origins.len()
            );
            return Err(Problem::new(Code::InvalidField, message).field("body"));
        }
        Ok(Foreign { runs, origins, kept_until })
    }

    /// Whether `folder`, of a run of another store, is sound and promises nothing that this store does
    /// not allow: the names of the logs it leads to, and until when it is kept.
    fn judge_stranger(&self, folder: &Folder) -> Result<(Vec<String>, Timestamp), Problem> {
        let run = folder.run;
        let Beside { report, beside } = verify::beside(Path::new("."), folder, &Trust::none());
        let bad = |finding: &&Finding| finding.class.is_damage();
        let wrong = report.findings.iter().chain(&beside).filter(bad);
        let wrong: BTreeSet<&str> = wrong.map(|finding| finding.code.as_str()).collect();
        let record: Option<RunRecord> =
            folder.whole(RECORD).and_then(|text| serde_json::from_slice(text).ok());
        let Some(record) = record.filter(|_| wrong.is_empty()) else {
            return Err(damaged(run, &wrong.into_iter().collect::<Vec<_>>().join(", ")));
        };
        let proofs = [folder.whole(PROOF), folder.proof.as_deref()];
        let proofs: Vec<Proof> = proofs.into_iter().flatten().filter_map(proof_in).collect();
        proofs.iter().try_for_each(|proof| self.check_origin(run, proof))?;
        let until = self.promised(&RunSummary::from(record))?;
        let name = |proof: &Proof| shown_within(&proof.checkpoint.origin, MAX_ORIGIN);
        Ok((proofs.iter().map(name).collect(), until))
    }

    /// Whether `proof`, of a run that is not in this store's log, names another log than that.
    fn check_origin(&self, run: RunId, proof: &Proof) -> Result<(), Problem> {
        let (_, own) = self.0.context.log.checkpoint();
        if proof.checkpoint.origin != own.origin {
            return Ok(());
        }
        let why = if proof.note.signed_by(&self.0.context.log.key()).is_some() {
            "its checkpoint is signed with this log's key, so that this log is not whole, or the key \
             is used elsewhere; look into it with `exhibit verify --checkpoint` and a checkpoint that \
             was kept"
        } else {
            "another store chose this log's name; have its operator choose a name of their own \
             (`transparency.origin`), and keep this bundle elsewhere"
        };
        let message = format!(
            "the run {run} in the bundle is not in this store's log, but its proof names a log of the \
             same name, `{}`: {why}",
            own.origin
        );
        Err(Problem::new(Code::InvalidField, message).field("body"))
    }

    /// Until when `run`, of another store, is to be kept: as long as was promised of it, which binds
    /// nobody here for longer than `retention.imports` says, and as long as this store keeps its like.
    fn promised(&self, run: &RunSummary) -> Result<Timestamp, Problem> {
        let most = self.0.context.config.borrow().retention.imports();
        let days = run.retention.as_ref().map_or(0, |promise| promise.days);
        let now = self.0.context.clock.now().wall;
        // Clocks differ, but by less than a day.
        let tomorrow = now.saturating_add(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MAX);
        let sealed_at = shown_within(&run.sealed_at, MAX_ORIGIN);
        let message = if days > most {
            format!(
                "the run {} in the bundle was promised to be kept for {days} days, longer than the \
                 {most} days for which bundles of other stores may bind this one; where you want \
                 that, set `retention.imports` to \"{days}d\" and import it again",
                run.run
            )
        } else if run.sealed_at.parse().is_ok_and(|sealed: Timestamp| sealed <= tomorrow) {
            return Ok(self.kept_until(run));
        } else {
            format!(
                "the run {} in the bundle says that it was sealed at {sealed_at}, which is still to \
                 come, and would be kept from then on; look at the clocks of this host and of the \
                 one it comes from",
                run.run
            )
        };
        Err(Problem::new(Code::InvalidField, message).field("body"))
    }

    /// Keep `bundle` as it is, with what its entry says of it.
    ///
    /// # Errors
    /// `store_full`; `invalid_field` for more runs than an entry can name; `run_damaged` when
    /// something lies in its place of which the log does not tell.
    pub(super) fn keep_foreign(
        &self,
        bundle: &Blob,
        sha256: Digest,
        foreign: Foreign,
        by: &Caller,
    ) -> Result<Imported, Problem> {
        let Foreign { runs, origins, kept_until } = foreign;
        let (store, size) = (&self.0.context.store, bundle.len());
        let kept_until = rfc3339_millis(kept_until);
        let keep = leaf::Keep { runs: &runs, sha256, size, origins: &origins, kept_until, by };
        let entry = leaf::keep_import(&keep, self.0.context.clock.now());
        if entry.len() > MAX_ENTRY {
            let message = format!(
                "the bundle holds {} runs, more than one entry of the log can name; send it in parts",
                runs.len()
            );
            return Err(Problem::new(Code::InvalidField, message).field("body"));
        }
        self.0.room.check_for_bundle(size, 1)?;
        if store.import_of(sha256).symlink_metadata().is_ok() {
            let path = store.import_of(sha256);
            let what = "the log does not tell of it".to_owned();
            return Err(in_its_place(StoreError::Damaged { path, what }));
        }
        store.write_import(bundle.reader(), sha256, size).map_err(store_problem)?;
        let index = {
            let mut standing = self.0.decisions.lock();
            let detail = json!({ "sha256": sha256, "kept": true });
            let event = decided(by, Act::Import, runs.clone(), detail);
            standing.record(event, vec![entry])?
        };
        tracing::warn!(runs = runs.len(), log_index = index, %sha256, origins = spans::value(&origins), by = by.account(), "a bundle of another store is kept");
        store.publish_import(sha256, size).map_err(store_problem)?;
        Ok(kept_answer(sha256, runs, Keeping::New, index))
    }

    /// Finish the taking in and the purges of bundles that something cut short after the log told of
    /// them. What the log does not tell of is taken back where that is `sure`: at a start, when what was
    /// in doubt is settled.
    pub(super) fn finish_kept_imports(&self, sure: bool, _turn: &Turn<'_>) {
        let store = &self.0.context.store;
        let (begun, going) =
            match store.begun_imports().and_then(|it| Ok((it, store.going_imports()?))) {
                Ok(found) => found,
                Err(error) => {
                    return tracing::error!(error = chain(&error), "`imported/` is not read");
                }
            };
        let report = |sha256: Digest, done: Result<(), StoreError>| match done {
            Ok(()) => {
                tracing::warn!(%sha256, "what was cut short of an import is finished or undone");
            }
            Err(error) => {
                let error = chain(&error);
                tracing::error!(%sha256, error, "an import is not finished; the next start goes on");
            }
        };
        for sha256 in begun {
            let size = self.0.decisions.lock().import(sha256).map(|kept| kept.size);
            if let Some(size) = size {
                report(sha256, store.publish_import(sha256, size));
            } else if sure {
                report(sha256, store.drop_begun_import(sha256));
            }
        }
        for sha256 in going {
            if self.0.decisions.lock().purged_imports().contains(&sha256) {
                report(sha256, store.remove_import(sha256));
            } else if sure {
                report(sha256, store.unmark_import(sha256));
            }
        }
    }

    /// The bundles of other stores that are kept.
    ///
    /// # Errors
    /// `not_a_viewer` for whoever may not look at everybody's runs.
    pub fn imports(&self, reader: &Reader) -> Result<Vec<Import>, Problem> {
        viewer(reader)?;
        let kept: Vec<KeptImport> = self.0.decisions.read().imports().cloned().collect();
        let there = |kept: KeptImport| {
            let there = self.0.context.store.import_of(kept.sha256).is_file();
            Import { kept, there }
        };
        let mut imports: Vec<Import> = kept.into_iter().map(there).collect();
        imports.sort_by_key(|import| import.kept.log_index);
        Ok(imports)
    }

    /// The kept bundle with this digest, byte for byte, for `accessor`, who is put on record.
    ///
    /// # Errors
    /// `not_a_viewer`; `import_not_found`; `run_damaged` when other bytes lie in its place.
    pub async fn give_import(&self, sha256: Digest, accessor: &Accessor) -> Result<Blob, Problem> {
        viewer(&accessor.reader)?;
        let (this, accessor) = (self.clone(), accessor.clone());
        self.0
            .context
            .blocking("giving out a bundle", move || {
                let told = this.0.decisions.lock().import(sha256).cloned();
                let kept = told.ok_or_else(|| not_found(sha256))?;
                let there =
                    this.0.context.store.kept_import(sha256, kept.size).map_err(in_its_place)?;
                let file = there.ok_or_else(|| not_found(sha256))?;
                this.0.access.export(&accessor, &kept.runs, sha256)?;
                let by = &accessor.caller;
                tracing::info!(%sha256, by = by.account(), "a kept bundle of another store was given out");
                Ok(Blob::of_file(file, kept.size))
            })
            .await
    }
}

fn kept_answer(sha256: Digest, others: Vec<RunId>, kept: Keeping, index: u64) -> Imported {
    let (restored, here, log_index) = (Vec::new(), Vec::new(), Some(index));
    Imported { sha256, restored, here, others, kept: Some(kept), log_index }
}

fn proof_in(text: &[u8]) -> Option<Proof> {
    Proof::parse(std::str::from_utf8(text).ok()?).ok()
}

fn viewer(reader: &Reader) -> Result<(), Problem> {
    if *reader == Reader::Everything {
        return Ok(());
    }
    let message = "bundles of other stores are for whoever may look at everybody's runs; ask the \
                   operator to put you into `web.viewers`";
    Err(Problem::new(Code::NotAViewer, message))
}

pub(super) fn not_found(sha256: Digest) -> Problem {
    let message = format!(
        "no bundle with the digest {sha256} is kept here; `exhibit import --list` says which are"
    );
    Problem::new(Code::ImportNotFound, message).field("sha256")
}

/// Something that is not the bundle lies where it is kept.
fn in_its_place(error: StoreError) -> Problem {
    if !matches!(error, StoreError::Damaged { .. }) {
        return store_problem(error);
    }
    let message = "what lies in the bundle's place in `imported/` is not the bundle that the log tells \
                   of; have the operator look into it with `exhibit verify`, move it away, and import \
                   the bundle again";
    Problem::new(Code::RunDamaged, message).field("body").because(error)
}

/// A run of another store is not sound.
fn damaged(run: RunId, what: &str) -> Problem {
    let message = format!(
        "the run {run} in the bundle is not as it was sealed ({what}), so the bundle is not taken in; \
         send another copy"
    );
    Problem::new(Code::RunDamaged, message).field("body")
}
