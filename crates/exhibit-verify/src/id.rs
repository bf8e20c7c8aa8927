//! Owns the identity of a run: a UUID version 7 (RFC 9562), so that ids sort by the time the run
//! was opened. Parsing accepts only the hyphenated lower-case form, which is also the only form
//! that ever becomes part of a path.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::{ContextV7, Uuid, Variant};

use crate::moment::Moment;

/// The identity of one run. 36 characters: `019ab2f0-6c1e-7d3a-9a41-0d9c6e2f8b57`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(Uuid);

/// Why a text is not a run id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a run id: a run id is a lower-case hyphenated UUID of version 7")]
pub struct BadRunId;

/// Keeps ids made within one millisecond in the order in which they were made.
static CONTEXT: std::sync::Mutex<ContextV7> = std::sync::Mutex::new(ContextV7::new());

impl RunId {
    /// A new id, stamped with `at` (milliseconds since the epoch).
    pub fn new(at: Moment) -> Self {
        let seconds = u64::try_from(at.wall.as_second()).unwrap_or(0);
        let nanos = u32::try_from(at.wall.subsec_nanosecond()).unwrap_or(0);
        let context = CONTEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanos)))
    }

    /// The time the id carries, with a resolution of one millisecond.
    pub fn opened_at(self) -> Timestamp {
        let millis = self.0.get_timestamp().map_or(0, |stamp| {
            let (seconds, nanos) = stamp.to_unix();
            i64::try_from(seconds).unwrap_or(0) * 1000 + i64::from(nanos / 1_000_000)
        });
        Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The URN of RFC 9562 §4: `urn:uuid:…`.
    pub fn urn(self) -> String {
        format!("urn:uuid:{self}")
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunId {
    type Err = BadRunId;

    fn from_str(text: &str) -> Result<Self, BadRunId> {
        let uuid = Uuid::try_parse(text).map_err(|_| BadRunId)?;
        let id = Self(uuid);
        // Only the canonical spelling: an id in a path must have one name.
        let is_v7 = uuid.get_version_num() == 7 && uuid.get_variant() == Variant::RFC4122;
        if is_v7 && id.to_string() == text { Ok(id) } else { Err(BadRunId) }
    }
}

/// The identity of a browser session or a stored sequence: a random UUID (version 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RandomId(Uuid);

/// The identity of a browser session.
pub type SessionId = RandomId;

impl RandomId {
    /// A new id.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn new() -> std::io::Result<Self> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(uuid::Builder::from_random_bytes(bytes).into_uuid()))
    }
}

impl fmt::Display for RandomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RandomId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

impl TryFrom<String> for RunId {
    type Error = BadRunId;

    fn try_from(text: String) -> Result<Self, BadRunId> {
        text.parse()
    }
}

impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn moment() -> Moment {
        let wall = "2026-11-24T08:15:46.123Z".parse().expect("a timestamp");
        Moment { wall, monotonic: Duration::ZERO, state: None }
    }

    #[test]
    fn ids_sort_in_the_order_they_were_made() {
        let ids: Vec<RunId> = (0..1000).map(|_| RunId::new(moment())).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn an_id_carries_its_time_and_survives_a_round_trip() {
        let id = RunId::new(moment());
        assert_eq!(id.opened_at().to_string(), "2026-11-24T08:15:46.123Z");
        assert_eq!(id.to_string().parse::<RunId>(), Ok(id));
        assert_eq!(id.urn(), format!("urn:uuid:{id}"));
    }

    #[test]
    fn only_the_canonical_spelling_is_an_id() {
        let id = RunId::new(moment()).to_string();
        for bad in [
            id.to_uppercase(),
            id.replace('-', ""),
            format!("{{{id}}}"),
            format!("{id}/.."),
            format!("../{id}"),
            "..".to_owned(),
            String::new(),
            "67e55044-10b1-426f-9247-bb680e5fe0c8".to_owned(),
        ] {
            assert_eq!(bad.parse::<RunId>(), Err(BadRunId), "{bad}");
        }
    }
}
