//! Owns the reading of time. Every dated thing takes a [`Clock`] or a [`Moment`], so that it can
//! be tested with a time of the test's choosing. Nothing else may ask the system what time it is
//! (clippy's `disallowed-methods` holds that).

mod kernel;

use std::sync::Arc;
use std::time::{Duration, Instant};

pub use exhibit_verify::moment::{Moment, TimeQuality, rfc3339_millis};
use jiff::Timestamp;

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
}
