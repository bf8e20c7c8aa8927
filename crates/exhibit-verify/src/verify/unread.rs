//! Owns the difference between what cannot be read and what is not as it was: a failure of the system
//! (EMFILE, EACCES, EIO) becomes the finding `unreadable`, whatever the check that met it would say
//! of absent or other bytes.

use std::error::Error;

use crate::cause::chain;
use crate::finding::{Finding, FindingCode};

/// Something could not be read, and that is said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread;

/// The finding for what could not be read at `place`.
pub(super) fn unreadable(place: impl Into<String>, error: &(dyn Error + 'static)) -> Finding {
    let expected = "what can be read";
    Finding::new(FindingCode::Unreadable, place, expected, chain(error))
}
