//! A disk that fails, at every step of taking in bundles of other stores, and of purging one. A
//! start afterwards finishes what the log tells of and takes back the rest: who was told that a
//! bundle is kept finds it, one that was purged is gone, and verification finds nothing. `cargo
//! test` tries some of the steps, `EXHIBIT_FAULTS=all` every one.

use std::fs;
use std::time::Duration;

use super::{DaemonFolder, Life, operator, try_life};
use crate::blob::Blob;
use crate::digest::Digest;
use crate::error::{Code, chain};
use crate::evidence::FindingCode;
use crate::request::ImportPurgeRequest;
use crate::run::Reader;
use crate::runs::{Accessor, Imported, Keeping, Runs};

/// Of so many steps, one is tried by `cargo test`.
const STRIDE: usize = 11;
/// After whatever was promised.
const LATER: Duration = Duration::from_hours(24 * 500);

/// A daemon on a disk that can fail.
struct Trial {
    place: DaemonFolder,
    /// Of another store.
    bundles: [Blob; 2],
    /// Digests of bundles of which somebody was told that they are kept.
    kept: Vec<Digest>,
    /// That one is purged.
    purged: Option<Digest>,
    /// What was refused twice in a row.
    refused: Vec<String>,
}

impl Trial {
    fn new(bundles: [Blob; 2]) -> Self {
        let (kept, refused) = (Vec::new(), Vec::new());
        Self { place: DaemonFolder::new(), bundles, kept, purged: None, refused }
    }
}

/// Two bundles, each of a run of another store's.
pub(super) fn bundles() -> [Blob; 2] {
    let other = DaemonFolder::new();
    let runs = other.open().expect("a store");
    let bundles = [(); 2].map(|()| bundle(&other, &runs));
    other.wait(runs.stopped());
    bundles
}

fn bundle(place: &DaemonFolder, runs: &Runs) -> Blob {
    let run = place.sealed(runs).expect("sealed").run;
    let accessor = Accessor::caller(operator(), Reader::Everything);
    place.wait(runs.disclosure().bundle(vec![run], &accessor)).expect("a bundle")
}

impl Life for Trial {
    fn place(&self) -> &DaemonFolder {
        &self.place
    }

    fn copy(&self) -> Self {
        Self::new(self.bundles.clone())
    }

    /// Both bundles are brought, each once more when that fails; then the first one again; then the
    /// second one is purged.
    fn live(&mut self) {
        let (place, bundles) = (&self.place, &self.bundles);
        let Ok(runs) = place.open().or_else(|_| place.open()) else { return };
        for bundle in [&bundles[0], &bundles[1], &bundles[0]] {
            let bring = || place.wait(runs.retention().import(bundle.clone(), &operator()));
            match bring().or_else(|_| bring()) {
                Ok(Imported { sha256, .. }) => self.kept.push(sha256),
                Err(problem) => self.refused.push(chain(&problem)),
            }
        }
        let second = bundles[1].digest().expect("read");
        if self.kept.contains(&second) {
            place.clock.advance(LATER);
            let purge = || place.wait(runs.retention().purge_import(second, asked(), &operator()));
            match purge().or_else(|_| purge()) {
                Ok(_) => self.purged = Some(second),
                // What is in doubt the second time says so: it is purged already.
                Err(problem) if problem.code == Code::ImportNotFound => self.purged = Some(second),
                Err(problem) => self.refused.push(chain(&problem)),
            }
            self.kept.retain(|kept| *kept != second);
        }
        place.wait(runs.stopped());
    }

    fn wrong(&self) -> Vec<String> {
        let runs = match self.place.open() {
            Ok(runs) => runs,
            Err(problem) => return vec![format!("no start: {}", chain(&problem))],
        };
        let mut wrong = self.place.wrong(&runs);
        // Of the other store's key nobody was told here.
        wrong.retain(|it| !it.starts_with(FindingCode::ImportNotVouched.as_str()));
        for sha256 in &self.kept {
            let size =
                runs.retention().decisions().lock().import(*sha256).map_or(0, |kept| kept.size);
            if !runs.0.context.store.kept_import(*sha256, size).is_ok_and(|kept| kept.is_some()) {
                wrong.push(format!("{sha256} is not kept"));
            }
        }
        let there = |sha256: &Digest| {
            let named = runs.0.context.store.import_of(*sha256).exists();
            named || runs.retention().decisions().lock().import(*sha256).is_some()
        };
        if let Some(sha256) = self.purged.filter(there) {
            wrong.push(format!("{sha256} is not purged"));
        }
        for entry in fs::read_dir(runs.root().join("imported")).into_iter().flatten().flatten() {
            if !entry.file_name().to_string_lossy().ends_with(".tar.zst") {
                wrong.push(format!("{} is left", entry.path().display()));
            }
        }
        // What is over stands in the way of nothing.
        for bundle in &self.bundles {
            let brought = self.place.wait(runs.retention().import(bundle.clone(), &operator()));
            let sha256 = bundle.digest().expect("read");
            match brought {
                Ok(Imported { kept: Some(Keeping::New), .. }) if self.kept.contains(&sha256) => {
                    wrong.push(format!("{sha256} was not here"));
                }
                Ok(_) => {}
                Err(problem) => wrong.push(format!("{sha256}: {}", chain(&problem))),
            }
        }
        wrong
    }

    fn refused(&mut self) -> Vec<String> {
        std::mem::take(&mut self.refused)
    }

    fn is_all_told(&self) -> bool {
        self.kept.len() == 2 && self.purged.is_some()
    }
}

fn asked() -> ImportPurgeRequest {
    let reason = "its time is over".to_owned();
    ImportPurgeRequest { reason, dry_run: false, even_damaged: false }
}

#[test]
fn a_disk_that_fails_at_any_step_loses_no_bundle_that_is_kept_and_keeps_none_untold() {
    try_life(Trial::new(bundles()), STRIDE);
}
