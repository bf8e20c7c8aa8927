//! Owns the difference between what cannot be read and what is not as it was: a failure of the system
//! (EMFILE, EACCES, EIO) becomes the finding `unreadable`, whatever the check that met it would say
//! of absent or other bytes.

use std::error::Error;
use std::fs::Metadata;

use super::log::LogCheck;
use crate::cause::chain;
use crate::disk;
use crate::finding::{Finding, FindingCode};

/// Something could not be read, and that is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread;

/// The finding for what could not be read at `place`.
pub(super) fn unreadable(place: impl Into<String>, error: &(dyn Error + 'static)) -> Finding {
    let expected = "what can be read";
    Finding::new(FindingCode::Unreadable, place, expected, chain(error))
}

impl LogCheck<'_> {
    /// Say that `place` could not be read.
    pub(super) fn unread(&mut self, place: impl Into<String>, error: &(dyn Error + 'static)) {
        let finding = unreadable(place, error);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Whether `read` failed because `place` could not be read, which is said then.
    pub(super) fn unread_result<T, E: Error + 'static>(
        &mut self,
        place: &str,
        read: &Result<T, E>,
    ) -> bool {
        let Err(error) = read else { return false };
        let unread = disk::is_unreadable(error);
        if unread {
            self.unread(place, error);
        }
        unread
    }

    /// Say that reading `place` failed: `code`, unless the system could not read it.
    pub(super) fn failed(
        &mut self,
        code: FindingCode,
        place: &str,
        expected: &str,
        error: &(dyn Error + 'static),
    ) {
        if disk::is_unreadable(error) {
            self.unread(place, error);
        } else {
            self.add(code, place, expected, error.to_string());
        }
    }

    /// What lies at `place` in the store, if anything does, links not followed.
    pub(super) fn there(&mut self, place: &str) -> Result<Option<Metadata>, Unread> {
        let found = disk::found(&self.root.join(place));
        self.unread_result(place, &found);
        found.map_err(|_| Unread)
    }

    /// Whether a folder lies at `place` in the store, or a link to one; none when nobody can tell.
    pub(super) fn is_folder(&mut self, place: &str) -> Option<bool> {
        let found = self.there(place).ok()?;
        let is_link = found.as_ref().is_some_and(Metadata::is_symlink);
        Some(found.is_some_and(|found| found.is_dir()) || is_link && self.root.join(place).is_dir())
    }

    /// Whether something of that `kind` lies at `place` in the store, links not followed.
    pub(super) fn lies(
        &mut self,
        place: &str,
        kind: fn(&Metadata) -> bool,
    ) -> Result<bool, Unread> {
        Ok(self.there(place)?.is_some_and(|found| kind(&found)))
    }
}
