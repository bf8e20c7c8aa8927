//! Owns the reading of time. Every dated thing takes a [`Clock`] or a [`Moment`], so that it can
//! be tested with a time of the test's choosing. Nothing else may ask the system what time it is
//! (clippy's `disallowed-methods` holds that).

mod kernel;

use std::sync::Arc;
use std::time::{Duration, Instant};

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

/// Where times come from: the system, or a value the test sets.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Source>);

#[derive(Debug)]
enum Source {
    System { origin: Instant },
    Fixed(std::sync::Mutex<Moment>),
}

impl Clock {
    /// The system's clocks.
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the clock")]
    pub fn system() -> Self {
        Self(Arc::new(Source::System { origin: Instant::now() }))
    }

    /// A clock that stands still at `wall` until [`Clock::advance`] moves it.
    pub fn fixed(wall: Timestamp) -> Self {
        let moment = Moment { wall, monotonic: Duration::ZERO, state: None };
        Self(Arc::new(Source::Fixed(std::sync::Mutex::new(moment))))
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the clock")]
    pub fn now(&self) -> Moment {
        match &*self.0 {
            Source::System { origin } => {
                let state = kernel::quality();
                Moment { wall: Timestamp::now(), monotonic: origin.elapsed(), state }
            }
            Source::Fixed(moment) => {
                *moment.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
            }
        }
    }

    /// Move a fixed clock forward by `step`; without effect on the system's clock.
    pub fn advance(&self, step: Duration) {
        if let Source::Fixed(moment) = &*self.0 {
            let mut moment = moment.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *moment = moment.plus(step);
        }
    }

    /// Set the wall clock of a fixed clock, as its host's owner might; without effect on the
    /// system's.
    pub fn set_wall(&self, wall: Timestamp) {
        if let Source::Fixed(moment) = &*self.0 {
            moment.lock().unwrap_or_else(std::sync::PoisonError::into_inner).wall = wall;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = Clock::fixed("2026-11-24T08:15:46.1204Z".parse().expect("a timestamp"));
        let before = clock.now();
        assert_eq!(before, clock.now());
        clock.advance(Duration::from_millis(1500));
        let after = clock.now();
        assert_eq!(after.monotonic, Duration::from_millis(1500));
        assert_eq!(after.to_rfc3339(), "2026-11-24T08:15:47.620Z");
    }

    #[test]
    fn a_clock_that_is_set_shows_against_the_monotonic_one() {
        let clock = Clock::fixed("2026-11-24T08:15:46Z".parse().expect("a timestamp"));
        let before = clock.now();
        clock.advance(Duration::from_secs(90));
        assert_eq!(clock.now().stepped_since(before), 0);
        clock.set_wall("2026-11-24T08:15:16Z".parse().expect("a timestamp"));
        assert_eq!(clock.now().stepped_since(before), -120_000);
    }

    #[test]
    fn the_kernel_is_asked_about_its_clock() {
        // A container may forbid the question, and then there is no answer.
        let state = Clock::system().now().state;
        assert!(state.is_none_or(|state| state.max_error_us < 3_600_000_000), "{state:?}");
    }

    #[test]
    fn whole_seconds_keep_their_three_decimals() {
        let at: Timestamp = "2026-11-24T08:15:46Z".parse().expect("a timestamp");
        assert_eq!(rfc3339_millis(at), "2026-11-24T08:15:46.000Z");
    }
}
