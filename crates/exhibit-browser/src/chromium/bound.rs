//! Owns which limit ends the waiting for a page: of those that are set, the one that passes first.

use std::time::Duration;

use tokio::time::Instant;

/// What ends the waiting for a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Bound {
    /// `navigationTimeout`, in milliseconds.
    Navigation(u128),
    /// The time of a step, in milliseconds.
    Step(u128),
    /// The time of the whole capture.
    #[default]
    Deadline,
}

impl Bound {
    /// The sooner of `limit` from `begun` on, unless that is zero, and `deadline`; and which it is.
    pub(super) fn sooner(begun: Instant, limit: Duration, deadline: Instant) -> (Instant, Self) {
        if limit.is_zero() || begun + limit >= deadline {
            (deadline, Self::Deadline)
        } else {
            (begun + limit, Self::Navigation(limit.as_millis()))
        }
    }

    /// When the waiting was over, in words.
    pub(super) fn passed(self) -> String {
        match self {
            Self::Navigation(limit) => format!("within {limit} ms"),
            Self::Step(limit) => format!("within the {limit} ms of a step"),
            Self::Deadline => {
                "before `capture.deadline` passed, which counts the wait for a turn too".to_owned()
            }
        }
    }

    /// What lets it last.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Navigation(_) => "raise `navigationTimeout`",
            Self::Step(_) => "make the page faster",
            Self::Deadline => "have the operator raise `capture.deadline`",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_passes_first_is_the_one_that_is_named() {
        let now = Instant::now();
        let of = |limit, deadline| {
            let seconds = Duration::from_secs;
            Bound::sooner(now, seconds(limit), now + seconds(deadline)).1
        };
        assert_eq!(of(25, 90), Bound::Navigation(25_000));
        assert_eq!((of(25, 20), of(0, 20)), (Bound::Deadline, Bound::Deadline));
        assert!(Bound::Deadline.remedy().contains("capture.deadline"));
    }
}
