//! Owns the measure of what a page says in its console: the pipe is every page's, and one that says
//! more than anybody reads must not keep the others from being answered.

use std::time::Duration;

use tokio::time::Instant;

/// Events of a session's console within [`SPAN`], and bytes of them: more is a flood.
const MOST: u32 = 2_000;
const MOST_BYTES: usize = 16 << 20;
/// How long is counted at a time.
const SPAN: Duration = Duration::from_secs(1);

/// What a session said in its console of late.
#[derive(Debug)]
pub(super) struct Meter {
    since: Instant,
    events: u32,
    bytes: usize,
}

/// Whether `method` is an event of a console.
pub(super) fn is_of_console(method: &str) -> bool {
    matches!(method, "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded")
}

impl Meter {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, events: 0, bytes: 0 }
    }

    /// One more event of so many bytes; whether it is one too many.
    pub(super) fn is_over(&mut self, bytes: usize, now: Instant) -> bool {
        if now.duration_since(self.since) >= SPAN {
            *self = Self::new(now);
        }
        self.events = self.events.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.events > MOST || self.bytes > MOST_BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_a_second_is_limited_and_more_than_that_is_not() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        for second in 0..3 {
            let now = begun + SPAN * second;
            assert!((0..MOST).all(|_| !meter.is_over(10, now)), "as much as is allowed");
            assert!(meter.is_over(10, now), "one more");
        }
        let mut meter = Meter::new(begun);
        assert!(!meter.is_over(MOST_BYTES, begun) && meter.is_over(1, begun));
        assert!(is_of_console("Log.entryAdded") && !is_of_console("Network.requestWillBeSent"));
    }
}
