//! Owns how long a run is kept: the promise that is recorded with it when it is opened, and the day
//! until which two promises together keep it. Knows neither configuration nor disk.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a run is to be kept after it is sealed, as was promised when it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// Its class by the configuration; none where the default held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// Days of 24 hours, counted from the time at which it is sealed.
    pub days: u32,
}

impl Retention {
    /// The time before which a run that was sealed at `sealed_at` must not be purged: by what was
    /// promised with it (none in runs of older versions), or by the `days` in force now, whichever
    /// is later.
    pub fn kept_until(recorded: Option<&Self>, days: u32, sealed_at: Timestamp) -> Timestamp {
        let days = recorded.map_or(days, |recorded| recorded.days.max(days));
        let kept = SignedDuration::from_hours(24 * i64::from(days));
        sealed_at.saturating_add(kept).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_of_two_promises_holds() {
        let sealed: Timestamp = "2026-11-24T08:15:46Z".parse().expect("a time");
        let recorded = |days| Retention { class: None, days };
        let until = |recorded: Option<&Retention>, days| {
            Retention::kept_until(recorded, days, sealed).to_string()
        };
        assert_eq!(until(Some(&recorded(400)), 30), "2027-12-29T08:15:46Z");
        assert_eq!(until(Some(&recorded(30)), 400), "2027-12-29T08:15:46Z");
        assert_eq!(until(None, 1), "2026-11-25T08:15:46Z");
        // A promise that no calendar holds is kept as long as there is one.
        assert_eq!(Retention::kept_until(None, u32::MAX, sealed), Timestamp::MAX);
    }
}
