//! Owns how the verification of a log reads what is in a store: what cannot be read is said as that, once,
//! whatever the check that met it would say of absent or other bytes.

use std::error::Error;
use std::fs::Metadata;

use super::super::unread::{Unread, unreadable};
use super::LogCheck;
use crate::disk;
use crate::finding::FindingCode;

impl LogCheck<'_> {
    /// Say that `place` could not be read.
    pub(in crate::verify) fn unread(
        &mut self,
        place: impl Into<String>,
        error: &(dyn Error + 'static),
    ) {
        let finding = unreadable(place, error);
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
    }

    /// Whether `read` failed because `place` could not be read, which is said then.
    pub(in crate::verify) fn unread_result<T, E: Error + 'static>(
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
    pub(in crate::verify) fn failed(
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
    pub(in crate::verify) fn there(&mut self, place: &str) -> Result<Option<Metadata>, Unread> {
        let found = disk::found(&self.root.join(place));
        self.unread_result(place, &found);
        found.map_err(|_| Unread)
    }

    /// Whether a folder lies at `place` in the store, or a link to one; none when nobody can tell.
    pub(in crate::verify) fn is_folder(&mut self, place: &str) -> Option<bool> {
        let found = self.there(place).ok()?;
        let is_link = found.as_ref().is_some_and(Metadata::is_symlink);
        Some(found.is_some_and(|found| found.is_dir()) || is_link && self.root.join(place).is_dir())
    }

    /// Whether something of that `kind` lies at `place` in the store, links not followed.
    pub(in crate::verify) fn lies(
        &mut self,
        place: &str,
        kind: fn(&Metadata) -> bool,
    ) -> Result<bool, Unread> {
        Ok(self.there(place)?.is_some_and(|found| kind(&found)))
    }
}
