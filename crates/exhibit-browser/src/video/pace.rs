//! Owns when the next picture of a recording is due. The browser is told that a frame was taken only
//! then, and answers with its newest: frames that would be too many are neither coded by it nor read
//! by us.

use std::time::Duration;

use tokio::time::Instant;

use super::Frame;

/// No frame is under way for longer.
const STALE: Duration = Duration::from_secs(5);

/// The pace of a recording.
pub(super) struct Pace {
    step: f64,
    /// The browser's clock as seen from here.
    clock: Option<(Instant, f64)>,
    /// By that clock.
    due: f64,
    owed: Option<Box<dyn FnOnce() + Send>>,
}

impl Pace {
    /// At most `frame_rate` pictures a second.
    pub(super) fn new(frame_rate: u32) -> Self {
        Self { step: 1.0 / f64::from(frame_rate.max(1)), clock: None, due: 0.0, owed: None }
    }

    /// The browser's time; 0 before its first frame.
    pub(super) fn now(&self) -> f64 {
        self.clock.map_or(0.0, |(then, at)| at + then.elapsed().as_secs_f64())
    }

    /// When the next picture may be shown.
    pub(super) fn due(&self) -> f64 {
        self.due
    }

    /// A frame came that was shown at `at`; when that is, by a clock that never goes back: when the
    /// host's does, the frame was shown now.
    pub(super) fn came(&mut self, at: f64) -> f64 {
        let now = self.now();
        let at = if at < now - STALE.as_secs_f64() { now } else { at };
        self.clock = Some((Instant::now(), at.max(now)));
        at
    }

    /// Whether the browser waits to be told that a frame was taken.
    pub(super) fn owes(&self) -> bool {
        self.owed.is_some()
    }

    /// Have the next frame sent.
    pub(super) fn ask(&mut self) {
        if let Some(owed) = self.owed.take() {
            owed();
        }
    }

    /// A frame was shown at `now`. The next is due a step after this one was, so that the rate is
    /// kept however late frames come; not when it came later than a step.
    pub(super) fn shown(&mut self, frame: Frame, now: f64) {
        let next = self.due + self.step;
        self.due = if next > now { next } else { now + self.step };
        self.owed = Some(frame.taken);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;

    fn frame(at: f64) -> (Frame, Receiver<()>) {
        let (told, taken) = channel();
        let taken_now = move || told.send(()).expect("the test listens");
        (Frame { jpeg: String::new(), at, taken: Box::new(taken_now) }, taken)
    }

    #[test]
    fn the_rate_is_kept_and_the_browser_is_told_when_the_next_picture_is_due() {
        let mut pace = Pace::new(25);
        assert!((pace.now(), pace.due(), pace.owes()) == (0.0, 0.0, false));
        let (first, taken) = frame(100.0);
        assert!((pace.came(100.0) - 100.0).abs() < 1e-9);
        pace.shown(first, 100.0);
        assert!((pace.due() - 100.04).abs() < 1e-9 && pace.owes());
        taken.try_recv().expect_err("not yet");
        pace.ask();
        taken.try_recv().expect("told");
        assert!(!pace.owes());
        // One that comes late does not make the next one late.
        pace.shown(frame(100.03).0, 100.05);
        assert!((pace.due() - 100.08).abs() < 1e-9);
        // After a rest the pace begins anew.
        pace.shown(frame(107.0).0, 107.01);
        assert!((pace.due() - 107.05).abs() < 1e-9);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_take_the_recording_back() {
        let mut pace = Pace::new(25);
        pace.came(1_000.0);
        assert!((pace.came(999.9) - 999.9).abs() < 1e-9, "it was under way");
        let at = pace.came(400.0);
        assert!((1_000.0..1_010.0).contains(&at), "{at}");
        assert!((pace.came(2_000.0) - 2_000.0).abs() < 1e-9);
        assert!(pace.now() >= 2_000.0);
    }
}
