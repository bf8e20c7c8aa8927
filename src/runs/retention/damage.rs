//! Owns the damage that stands in the way of moving a sealed run: codes of findings of its folder or
//! archive, and what is said of them.

use std::collections::BTreeSet;
use std::path::Path;

use super::Retention;
use crate::digest::Digest;
use crate::disk;
use crate::error::{Code, Problem};
use crate::evidence::log::Logged;
use crate::evidence::{FindingCode, seal_digest, verify};
use crate::id::RunId;
use crate::runs::integrity::judging::damage_codes;
use crate::runs::problem::store_problem;

/// The code of what cannot be read, which is no damage that anybody knows of.
pub(super) const UNREADABLE: &str = "unreadable";

impl Retention {
    /// The digest of the seal of `run` that the log holds.
    pub(super) fn logged_seal(&self, run: RunId) -> Result<Option<Digest>, Problem> {
        let places = self.0.context.log.places(&[run]).map_err(store_problem)?;
        let seal = places.get(&run).and_then(|place| place.seal);
        Ok(seal.and_then(|seal| self.0.context.log.entry(seal).ok()).map(|seal| Digest::of(&seal)))
    }

    /// Whether the folder of `run` is sound, and the one that the log holds the seal of.
    pub(super) fn is_as_sealed(&self, run: RunId) -> Result<bool, Problem> {
        let (folder, seal) = (self.0.context.store.folder_of(run), self.logged_seal(run)?);
        let wrong = self.sound(&folder);
        if wrong.iter().any(|code| code == UNREADABLE) {
            return Err(unreadable(run));
        }
        Ok(seal.is_some() && seal_digest(&folder) == seal && wrong.is_empty())
    }

    /// The digest of the seal that stands at `place` in the log.
    pub(super) fn seal_at(&self, place: Logged) -> Option<Digest> {
        Some(Digest::of(&self.0.context.log.entry(place.seal?).ok()?))
    }

    /// Codes of what is wrong with `folder`.
    pub(super) fn sound(&self, folder: &std::path::Path) -> Vec<String> {
        let report = verify::folder(folder, &self.0.signing.own_trust());
        let bad = report.findings.iter().filter(|one| one.class.is_damage());
        let mut codes: Vec<String> = bad.map(|finding| finding.code.to_string()).collect();
        codes.dedup();
        codes
    }

    /// What is wrong with the archive of `run`: codes of findings.
    pub(super) fn damage_of_archive(&self, run: RunId) -> BTreeSet<String> {
        let stands = self.0.decisions.lock().archive(run);
        let path = self.0.context.store.archive_of(run);
        // One of another size is not read to learn that it is another.
        let size = stands.and_then(|archive| archive.size);
        let of_size = |found: std::fs::Metadata| {
            found.is_file() && size.is_none_or(|size| size == found.len())
        };
        let found = disk::found(&path).map(|found| found.is_some_and(of_size)).and_then(|fits| {
            let read = || disk::open(&path).and_then(Digest::of_reader);
            if fits { read() } else { Err(std::io::ErrorKind::InvalidData.into()) }
        });
        if found.as_ref().is_err_and(|error| disk::is_unreadable(error)) {
            return [UNREADABLE.to_owned()].into();
        }
        let found = found.ok().map(|(sha256, _)| sha256);
        let sound = found.is_some() && found == stands.map(|archive| archive.sha256);
        let codes = if sound { None } else { Some("archive_not_logged".to_owned()) };
        codes.into_iter().collect()
    }

    /// What is wrong with a sealed folder: codes of findings.
    pub(super) fn damage_of(&self, folder: &Path, place: Logged) -> BTreeSet<String> {
        let report = verify::folder(folder, &self.0.signing.own_trust());
        let mut codes = damage_codes(&report.findings);
        if report.findings.iter().any(|finding| finding.code == FindingCode::Unreadable) {
            codes.insert(UNREADABLE.to_owned());
        }
        let found = seal_digest(folder);
        // Of a seal that cannot be read nothing more can be said.
        if found.is_none() && codes.contains(UNREADABLE) {
            return codes;
        }
        let logged = place.seal.and_then(|index| self.0.context.log.entry(index).ok());
        let logged = logged.map(|entry| Digest::of(&entry));
        if logged.is_none() || logged != found {
            codes.insert("seal_not_logged".to_owned());
        }
        codes
    }
}

/// Whether `run` is as it was sealed nobody can tell now.
pub(super) fn unreadable(run: RunId) -> Problem {
    let message = format!(
        "the run {run} cannot be read, so whether it is as it was sealed is not known; look at the \
         disk and at permissions, then ask again"
    );
    Problem::new(Code::RunUnreadable, message)
}

pub(super) fn damaged(run: RunId, what: &str) -> Problem {
    if what == UNREADABLE {
        return unreadable(run);
    }
    let message = format!(
        "the run {run} is not as it was sealed ({what}), and stays as it is; look into it with \
         `exhibit verify`"
    );
    Problem::new(Code::RunDamaged, message)
}
