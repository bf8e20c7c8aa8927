//! Owns the reading of time. Every dated thing takes a [`Clock`] or a [`Moment`], so that it can
//! be tested with a time of the test's choosing. Nothing else may ask the system what time it is
//! (clippy's `disallowed-methods` holds that).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// A reading of the wall clock and of the monotonic clock, taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Wall clock, UTC. May step when the host's clock is set.
    pub wall: Timestamp,
    /// Time since this clock was made; never steps, stands still while the daemon is not running.
    pub monotonic: Duration,
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
        Self { wall, monotonic: self.monotonic.saturating_add(step) }
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
        let moment = Moment { wall, monotonic: Duration::ZERO };
        Self(Arc::new(Source::Fixed(std::sync::Mutex::new(moment))))
    }

    /// The time now.
    #[expect(clippy::disallowed_methods, reason = "the one place that may read the clock")]
    pub fn now(&self) -> Moment {
        match &*self.0 {
            Source::System { origin } => {
                Moment { wall: Timestamp::now(), monotonic: origin.elapsed() }
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
    fn whole_seconds_keep_their_three_decimals() {
        let at: Timestamp = "2026-11-24T08:15:46Z".parse().expect("a timestamp");
        assert_eq!(rfc3339_millis(at), "2026-11-24T08:15:46.000Z");
    }
}
