//! Owns the holding of the keys' history against the log. The history is a plain file that whoever has
//! the files can edit; the log says which keys signed, from when on, and which were revoked, and its own
//! word counts. What an older log, or another store's, may have told of is a doubt and no contradiction.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{Epoch, Signers, SignersError};
use crate::log::{LoggedEpoch, LoggedKeys, LoggedRevocation};

/// How far times of the history may be from the log's: a key is taken up before the log hears of it.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(10);

/// What the history says and the log does not, or the other way round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Doubt {
    /// Where in the file.
    pub field: String,
    /// What stands there, and what the log says.
    pub found: String,
    /// What to do.
    pub remedy: String,
    /// Whether both cannot be true.
    pub contradicts: bool,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, found, remedy, .. } = self;
        write!(f, "{field}: {found}; {remedy}")
    }
}

/// All of `doubts`, in one line.
pub(super) fn joined(doubts: &[Doubt]) -> String {
    doubts.iter().map(Doubt::to_string).collect::<Vec<_>>().join(". ")
}

impl Signers {
    /// Hold the history against what is `logged`: `current` is the fingerprint of the key that is
    /// there, which may sign although the log was not told of it yet.
    pub fn doubts(&self, logged: &LoggedKeys, current: Option<&str>) -> Vec<Doubt> {
        let mut doubts = Vec::new();
        if self.keys().is_empty() {
            doubts.extend(Self::nothing(logged, current));
        } else {
            self.chain(&mut doubts);
            self.order(logged, current, &mut doubts);
        }
        self.revocations(logged, &mut doubts);
        doubts
    }

    /// The same, where what cannot be true is an error; what is left is doubtful.
    ///
    /// # Errors
    /// [`SignersError::Contradicted`], [`SignersError::Revoked`] of the key that is there.
    pub fn agree(
        &self,
        logged: &LoggedKeys,
        current: Option<&str>,
    ) -> Result<Vec<Doubt>, SignersError> {
        let doubts = self.doubts(logged, current);
        if doubts.iter().any(|doubt| doubt.contradicts) {
            return Err(SignersError::Contradicted { path: self.path.clone(), doubts });
        }
        Ok(doubts)
    }

    /// Of a history that is not there: it can be made anew of the one key that the log knows.
    fn nothing(logged: &LoggedKeys, current: Option<&str>) -> Option<Doubt> {
        let keys: Vec<&str> = logged.epochs.iter().map(|it| it.fingerprint.as_str()).collect();
        let known = match keys[..] {
            [] => true,
            [one] => current.is_none_or(|current| current == one),
            _ => false,
        };
        (!known).then(|| Doubt {
            field: "keys".to_owned(),
            found: format!("there is no history, and the log names {}", keys.join(", ")),
            remedy: restore(),
            contradicts: true,
        })
    }

    /// Each key's time ends where the next one's begins.
    fn chain(&self, doubts: &mut Vec<Doubt>) {
        let keys = self.keys();
        let time = |at: Option<Timestamp>| at.map_or("none".to_owned(), |at| at.to_string());
        let before = std::iter::once(None).chain(keys.iter().map(|key| key.until));
        for (index, (key, before)) in keys.iter().zip(before).enumerate() {
            if key.from != before {
                let (from, before) = (time(key.from), time(before));
                let found = format!("{from}, and the key before it signed until {before}");
                doubts.push(contradiction(format!("keys[{index}].from"), found));
            }
        }
        if let Some(until) = keys.last().and_then(|last| last.until) {
            let found = format!("{until}, and no key follows it");
            doubts.push(contradiction(format!("keys[{}].until", keys.len() - 1), found));
        }
    }

    /// The keys that the log names stand in the history in that order, each from when on it says.
    fn order(&self, logged: &LoggedKeys, current: Option<&str>, doubts: &mut Vec<Doubt>) {
        let keys = self.keys();
        let (mut next, mut before) = (0, None);
        for told in &logged.epochs {
            let rest = &keys[next..];
            let Some(place) = rest.iter().position(|key| key.fingerprint == told.fingerprint)
            else {
                let found = format!("lacks {}, which signs by the log's word", told.fingerprint);
                doubts.push(contradiction("keys".to_owned(), found));
                continue;
            };
            let place = next + place;
            for (index, key) in keys.iter().enumerate().take(place).skip(next) {
                doubts.push(unnamed(index, key, before.is_none().then_some(told)));
            }
            if let (Some(before), Some(from)) = (before, keys[place].from) {
                doubts.extend(too_far(place, from, before, told));
            }
            (next, before) = (place + 1, Some(told));
        }
        for (index, key) in keys.iter().enumerate().skip(next) {
            let is_last = index + 1 == keys.len() && current == Some(key.fingerprint.as_str());
            // The log is told after the history, and a crash may have come between.
            let soon = before.and_then(|before| before.last.min(logged.newest));
            let early = soon.zip(key.from).is_some_and(|(soon, from)| from < soon - TOLERANCE);
            if !logged.epochs.is_empty() && (!is_last || early) {
                doubts.push(unnamed(index, key, None));
            }
        }
    }

    /// Every key that the log revokes is revoked, since as long at least.
    fn revocations(&self, logged: &LoggedKeys, doubts: &mut Vec<Doubt>) {
        let millis = |at: Timestamp| at.as_millisecond();
        for (key, LoggedRevocation { since, index, reason }) in &logged.revoked {
            let since_when = since.map_or("for ever".to_owned(), |since| format!("since {since}"));
            let told = format!("the log's entry {index} revokes it {since_when} ({reason})");
            let (field, found) = match self.revocation(key) {
                None => ("revoked".to_owned(), format!("lacks {key}, and {told}")),
                Some(known) if since.is_none_or(|since| millis(known.since) > millis(since)) => {
                    let field = format!("revoked[{key}].since");
                    (field, format!("{}, and {told}", known.since))
                }
                Some(_) => continue,
            };
            doubts.push(contradiction(field, found));
        }
        for known in self.revoked().iter().filter(|known| known.logged) {
            if !logged.revoked.contains_key(&known.fingerprint) {
                doubts.push(Doubt {
                    field: format!("revoked[{}].logged", known.fingerprint),
                    found: "true, and no entry of this log revokes it".to_owned(),
                    remedy: "if no earlier store's log does, take it out".to_owned(),
                    contradicts: false,
                });
            }
        }
    }
}

fn restore() -> String {
    "put back the file as it was (it belongs into every backup)".to_owned()
}

fn contradiction(field: String, found: String) -> Doubt {
    Doubt { field, found, remedy: restore(), contradicts: true }
}

/// That no entry names the key number `index`: before the log began, with `first`, it may have signed
/// evidence of an earlier store.
fn unnamed(index: usize, key: &Epoch, first: Option<&LoggedEpoch>) -> Doubt {
    let began = first.and_then(|first| first.first);
    let earlier = began.zip(key.until).is_some_and(|(began, until)| until <= began + TOLERANCE);
    let found = format!("{}, which no entry of the log names", key.fingerprint);
    let remedy = if earlier {
        "hand it to auditors only if it signed evidence of an earlier store; if not, take it out"
    } else {
        "take it out, or put back the file as it was"
    };
    let field = format!("keys[{index}].fingerprint");
    Doubt { field, found, remedy: remedy.to_owned(), contradicts: !earlier }
}

/// That the key number `index` signs from a time on at which the log says that it did not yet, or that
/// it did long since. Where the clock was set back in between, the log's times say less.
fn too_far(
    index: usize,
    from: Timestamp,
    before: &LoggedEpoch,
    told: &LoggedEpoch,
) -> Option<Doubt> {
    let (last, first) = (before.last?, told.first?);
    let (earliest, latest) = (last.min(first), last.max(first));
    if earliest - TOLERANCE <= from && from <= latest + TOLERANCE {
        return None;
    }
    let found = format!(
        "{from}, and by the log's word {} signed at {last} and {} at {first}",
        before.fingerprint, told.fingerprint
    );
    Some(contradiction(format!("keys[{index}].from"), found))
}
