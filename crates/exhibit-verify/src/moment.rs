//! Owns moments: readings of the wall clock and the monotonic clock, their one written form, and what
//! the kernel said of the clock. Reads no clock: whoever dates something hands a moment in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A reading of the wall clock and of the monotonic clock, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock, UTC. May step when the host's clock is set.
    pub wall: Timestamp,
    /// Time since this clock was made; never steps, stands still while the daemon is not running.
    pub monotonic: Duration,
    /// What the kernel says of the wall clock; none where it does not say.
    pub state: Option<TimeQuality>,
}

/// What the kernel says of its wall clock (adjtimex(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeQuality {
    /// Whether it is kept in step with a reference, by the word of whatever program does so.
    pub synchronised: bool,
    /// The largest error that program reckons with, in microseconds; it grows while nobody corrects
    /// the clock, and says nothing when it is not synchronised.
    pub max_error_us: u64,
}

impl Moment {
    /// The wall clock in RFC 3339, UTC, with exactly three decimals of a second: the one form in
    /// which times are written into evidence.
    pub fn to_rfc3339(self) -> String {
        rfc3339_millis(self.wall)
    }

    /// The wall clock in seconds since the epoch, to the microsecond.
    #[expect(clippy::cast_precision_loss, reason = "microseconds since the epoch are below 2^53")]
    pub fn seconds(self) -> f64 {
        self.wall.as_microsecond() as f64 / 1_000_000.0
    }

    /// The moment that is `step` later.
    #[must_use]
    pub fn plus(self, step: Duration) -> Self {
        let signed = SignedDuration::try_from(step).unwrap_or(SignedDuration::MAX);
        let wall = self.wall.saturating_add(signed).unwrap_or(Timestamp::MAX);
        Self { wall, monotonic: self.monotonic.saturating_add(step), state: self.state }
    }

    /// By how many milliseconds the wall clock was set between `before` and this, in one life of
    /// the daemon: what it went on more, or less, than the monotonic clock did.
    pub fn stepped_since(self, before: Self) -> i64 {
        let wall = self.wall.as_millisecond().saturating_sub(before.wall.as_millisecond());
        let went = self.monotonic.saturating_sub(before.monotonic).as_millis();
        wall.saturating_sub(i64::try_from(went).unwrap_or(i64::MAX))
    }
}

/// `at` in RFC 3339, UTC, with exactly three decimals of a second (`2026-11-24T08:15:46.120Z`).
pub fn rfc3339_millis(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_keep_their_three_decimals() {
        let at: Timestamp = "2026-11-24T08:15:46Z".parse().expect("a timestamp");
        assert_eq!(rfc3339_millis(at), "2026-11-24T08:15:46.000Z");
    }
}
